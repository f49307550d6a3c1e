//! A gateway and imitated upstreams that live by one clock, which runs much faster than the machine's.

use std::{collections::HashMap, future::pending, sync::Arc, time::Duration};

use midjourney_core::{
    accounts::{Account, Accounts, Limits, Strategy},
    engine::{Engine, EngineConfig, Parts},
    gateway::{Gateway, PromptRules},
    image::ImageStore,
    job::{AccountName, JobStore, Policy},
    key::{KeyName, KeyVault as _, Secret},
    memory::{MemoryImageStore, MemoryJobStore, MemoryKeys},
    testing::{FakeClock, SeededEntropy, wait_until},
};
use midjourney_server::simulate::{Simulation, SimulationOptions};

use crate::upstreams;

/// Long enough for a machine that does other things too.
const DEADLINE: Duration = Duration::from_secs(240);

/// How long the machine rests between two moves of the clock.
const TICK: Duration = Duration::from_millis(2);

/// How a world is put together.
pub(crate) struct Setup {
    pub(crate) jobs: Arc<dyn JobStore>,
    pub(crate) images: Arc<dyn ImageStore>,
    pub(crate) policy: Policy,
    clock: FakeClock,
    accounts: Accounts,
    upstreams: HashMap<AccountName, Upstream>,
}

/// An imitation, and the key that its account shows there.
pub(crate) struct Upstream {
    pub(crate) simulation: Simulation,
    keys: Arc<MemoryKeys>,
}

impl Upstream {
    /// From now on, another key is shown, which the upstream does not know.
    pub(crate) async fn lose_key(&self) {
        let another = Secret::new("another-key|another-key");
        let (name, clock) = (KeyName::new(upstreams::KEY), FakeClock::new());
        self.keys.add(&name, another).await.unwrap();
        let now = midjourney_core::clock::Clock::now(&clock);
        self.keys.retire(&name, 1, now).await.unwrap();
    }
}

/// A running gateway with its upstreams.
pub(crate) struct World {
    pub(crate) clock: FakeClock,
    pub(crate) gateway: Gateway,
    pub(crate) accounts: Accounts,
    pub(crate) upstreams: HashMap<AccountName, Upstream>,
    _engine: Engine,
}

impl Setup {
    /// In memory, without accounts so far.
    pub(crate) fn new(strategy: Strategy) -> Self {
        Self {
            jobs: Arc::new(MemoryJobStore::new()),
            images: Arc::new(MemoryImageStore::new()),
            policy: Policy::default(),
            clock: FakeClock::new(),
            accounts: Accounts::new(strategy),
            upstreams: HashMap::new(),
        }
    }

    /// The same with an account `name` at an upstream of its own.
    pub(crate) async fn with(
        mut self,
        name: AccountName,
        options: SimulationOptions,
        limits: Limits,
    ) -> Self {
        let (dialect, clock) = (options.dialect, Arc::new(self.clock.clone()));
        let key = upstreams::key(dialect);
        let mut options = options;
        options.side = 16;
        options.key = Some(key.clone());
        let simulation = Simulation::start(options, Arc::<FakeClock>::clone(&clock) as _).unwrap();
        let keys = upstreams::vault(&key).await;
        let options = upstreams::options(&simulation, Arc::clone(&keys), clock);
        // Only an answer that drips takes so long.
        let options = options.with_submit_timeout(Duration::from_secs(2));
        let account = Account::new(
            name.clone(),
            upstreams::client(dialect, options, Arc::clone(&keys)),
        );
        self.accounts = self.accounts.with(account.with_limits(limits));
        self.upstreams.insert(name, Upstream { simulation, keys });
        self
    }

    pub(crate) fn start(self, seed: u64) -> World {
        let parts = Parts {
            jobs: self.jobs,
            images: self.images,
            accounts: self.accounts.clone(),
            clock: Arc::new(self.clock.clone()),
            entropy: Arc::new(SeededEntropy::new(seed)),
            policy: self.policy,
            callback: None,
            links: None,
            webhooks: None,
        };
        let gateway = Gateway::new(parts, PromptRules::default());
        World {
            clock: self.clock,
            // A worker shares the machine with its upstreams, while hours pass.
            _engine: gateway.start_engine(EngineConfig::new(32, Duration::from_secs(3_600))),
            gateway,
            accounts: self.accounts,
            upstreams: self.upstreams,
        }
    }
}

impl World {
    /// Lets time pass, for ever: `pace` at each tick, after which `meanwhile` is done.
    async fn pass(&self, pace: Duration, mut meanwhile: impl FnMut()) {
        loop {
            tokio::time::sleep(TICK).await;
            self.clock.advance(pace);
            meanwhile();
        }
    }

    /// Lets time pass while `work` is done.
    pub(crate) async fn while_passing<T>(
        &self,
        pace: Duration,
        meanwhile: impl FnMut(),
        work: impl Future<Output = T>,
    ) -> T {
        tokio::select! {
            () = self.pass(pace, meanwhile) => pending().await,
            done = tokio::time::timeout(DEADLINE, work) => done.expect("it is done in time"),
        }
    }

    /// Lets time pass until `look` is content; else it says what there is instead.
    pub(crate) async fn live_until(
        &self,
        what: &str,
        pace: Duration,
        look: impl AsyncFnMut() -> Result<(), String>,
    ) {
        self.while_passing(pace, || (), wait_until(what, DEADLINE, look))
            .await;
    }
}
