//! A world with several accounts.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail as tests do"
)]

use std::sync::Arc;

use midjourney_core::{
    accounts::{Account, Accounts, Condition, Limits, Strategy},
    budget::{Budget, Credits, Prices},
    clock::Clock as _,
    engine::{Engine, EngineConfig, Parts},
    gateway::{Gateway, Imagine, PromptRules},
    id::JobId,
    image::ImageStore,
    job::{AccountName, Failure, FailureKind, Purse, Status},
    testing::{FakeClient, SeededEntropy, SubmitOutcome, Trouble},
};

use crate::given::World;

/// A world whose gateway has several accounts. The world's own client is not one of them.
pub(crate) struct Pool {
    pub(crate) world: World,
    pub(crate) accounts: Accounts,
    pub(crate) clients: Vec<Arc<FakeClient>>,
}

impl Pool {
    pub(crate) fn new(count: usize, strategy: Strategy, limits: Limits) -> Self {
        let clients: Vec<_> = (0..count).map(|_| Arc::new(FakeClient::new())).collect();
        let account = |number: usize| {
            let client: Arc<FakeClient> = Arc::clone(&clients[number]);
            Account::new(AccountName::new(format!("account-{number}")), client).with_limits(limits)
        };
        let mut accounts = Accounts::new(strategy);
        for number in 0..count {
            accounts = accounts.with(account(number));
        }
        Self {
            world: World::new(FakeClient::new()),
            accounts,
            clients,
        }
    }

    pub(crate) fn gateway(&self) -> Gateway {
        let world = &self.world;
        let images = Arc::clone(&world.images);
        let images: Arc<dyn ImageStore> = images;
        let parts = Parts {
            jobs: Arc::clone(&world.jobs),
            images,
            accounts: self.accounts.clone(),
            clock: Arc::new(world.clock.clone()),
            entropy: Arc::new(SeededEntropy::new(1)),
            policy: world.policy.clone(),
            callback: None,
            links: None,
            webhooks: None,
        };
        Gateway::new(parts, PromptRules::default())
    }

    pub(crate) fn start(&self) -> Engine {
        self.gateway().start_engine(EngineConfig::default())
    }

    pub(crate) async fn accept(&self, count: usize) -> Vec<JobId> {
        let gateway = self.gateway();
        let mut ids = Vec::new();
        for number in 0..count {
            let accepted = gateway
                .imagine(Imagine::new(format!("fox {number}")))
                .await
                .unwrap();
            ids.push(accepted.jobs[0].id);
        }
        ids
    }

    pub(crate) async fn live_until_idle(&self) {
        self.world
            .live_until("the end of all jobs", async || {
                let counts = self.world.jobs.counts().await.unwrap();
                counts.pending + counts.processing == 0
            })
            .await;
    }

    pub(crate) async fn live_until_all_completed(&self, ids: &[JobId]) {
        self.live_until_idle().await;
        for id in ids {
            assert_eq!(self.world.job(*id).await.status(), Status::Completed);
        }
    }

    pub(crate) fn paid(&self) -> Vec<usize> {
        self.clients.iter().map(|client| client.paid()).collect()
    }

    pub(crate) fn condition(&self, number: usize) -> Condition {
        self.accounts
            .condition(&AccountName::new(format!("account-{number}")))
    }

    /// The same pool, its accounts ranked, `change` made to each.
    pub(crate) fn with(mut self, change: impl Fn(usize, Account) -> Account) -> Self {
        let mut accounts = Accounts::new(Strategy::Priority);
        for (number, account) in self.accounts.all().iter().enumerate() {
            accounts = accounts.with(change(number, account.clone()));
        }
        self.accounts = accounts;
        self
    }

    pub(crate) async fn spent(&self, purse: Purse) -> Credits {
        let now = self.world.clock.now();
        self.world.jobs.spent(&[purse], now).await.unwrap()[0].day
    }
}

pub(crate) fn refused(kind: FailureKind) -> SubmitOutcome {
    SubmitOutcome::Fail(Trouble::refused(Failure::new(kind, "as scripted")))
}

pub(crate) fn slots(slots: u32) -> Limits {
    Limits {
        slots: Some(slots),
        queue: Some(1_000),
        ..Limits::default()
    }
}

pub(crate) fn priced(cost: u32, day: Option<u32>) -> (Prices, Budget) {
    let prices = Prices {
        drawing: Credits::whole(cost),
        ..Prices::default()
    };
    let budget = Budget {
        day: day.map(Credits::whole),
        month: None,
    };
    (prices, budget)
}

pub(crate) fn of_account(number: usize) -> Purse {
    Purse::Account(AccountName::new(format!("account-{number}")))
}
