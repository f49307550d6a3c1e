//! A gateway on fakes: the time stands still until it is moved, the upstream follows a script.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests fail as tests do"
)]

use std::sync::Arc;

use midjourney_core::{
    accounts::Accounts,
    clock::Clock,
    delivery::Webhooks,
    engine::{Engine, EngineConfig, Parts},
    gateway::{Gateway, Imagine, PromptRules},
    id::JobId,
    job::{AccountName, Job, JobStore, JobStoreExt as _, Policy},
    memory::{MemoryImageStore, MemoryJobStore},
    testing::{FakeClient, FakeClock, SeededEntropy},
    webhook::CallbackRegistration,
};

pub(crate) struct World {
    pub(crate) jobs: Arc<dyn JobStore>,
    pub(crate) images: Arc<MemoryImageStore>,
    pub(crate) client: Arc<FakeClient>,
    pub(crate) clock: FakeClock,
    pub(crate) policy: Policy,
    pub(crate) callback: Option<CallbackRegistration>,
    pub(crate) webhooks: Option<Webhooks>,
}

impl World {
    pub(crate) fn new(client: FakeClient) -> Self {
        Self {
            jobs: Arc::new(MemoryJobStore::new()),
            images: Arc::new(MemoryImageStore::new()),
            client: Arc::new(client),
            clock: FakeClock::new(),
            policy: Policy::default(),
            callback: None,
            webhooks: None,
        }
    }

    /// The same world, seen by another process.
    pub(crate) fn another(&self) -> Self {
        Self {
            jobs: Arc::clone(&self.jobs),
            images: Arc::clone(&self.images),
            client: Arc::clone(&self.client),
            clock: self.clock.clone(),
            policy: self.policy.clone(),
            callback: self.callback.clone(),
            webhooks: self.webhooks.clone(),
        }
    }

    /// A gateway of this world over `jobs`, which may be this world's store with something in front of it.
    pub(crate) fn gateway_over(&self, jobs: Arc<dyn JobStore>, seed: u64) -> Gateway {
        let client: Arc<FakeClient> = Arc::clone(&self.client);
        let images: Arc<MemoryImageStore> = Arc::clone(&self.images);
        let parts = Parts {
            jobs,
            images,
            accounts: Accounts::single(AccountName::new("fake"), client),
            clock: Arc::new(self.clock.clone()),
            entropy: Arc::new(SeededEntropy::new(seed)),
            policy: self.policy.clone(),
            callback: self.callback.clone(),
            links: None,
            webhooks: self.webhooks.clone(),
        };
        Gateway::new(parts, PromptRules::default())
    }

    pub(crate) fn gateway(&self) -> Gateway {
        self.gateway_over(Arc::clone(&self.jobs), 1)
    }

    /// One job of this world, not yet worked on.
    pub(crate) async fn accepted(&self) -> JobId {
        self.gateway()
            .imagine(Imagine::new("a red fox"))
            .await
            .unwrap()
            .jobs[0]
            .id
    }

    pub(crate) fn start(&self) -> Engine {
        self.gateway().start_engine(EngineConfig::default())
    }

    pub(crate) async fn job(&self, id: JobId) -> Job {
        self.jobs.get(id).await.unwrap()
    }

    /// Lets everybody do what they can, then moves the time to when the next of them wakes, until `enough`.
    pub(crate) async fn live_until(&self, what: &str, mut enough: impl AsyncFnMut() -> bool) {
        for _ in 0..200_000 {
            for _ in 0..30 {
                tokio::task::yield_now().await;
            }
            if enough().await {
                return;
            }
            self.clock.advance_to_next();
        }
        panic!("lived until {} and {what} did not come", self.clock.now());
    }

    pub(crate) async fn live_until_over(&self, id: JobId) -> Job {
        self.live_until("the end of the job", async || {
            self.job(id).await.status().is_final()
        })
        .await;
        self.job(id).await
    }
}
