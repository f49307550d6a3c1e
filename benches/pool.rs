//! A pool of five accounts, one of which hangs: what the other four still get done, beside the same pool in health.
//!
//! Measured over real time with a database on disk, and printed as a ratio; not a criterion bench, since one round takes
//! seconds by its nature.

use std::{sync::Arc, time::Duration};

use midjourney_core::{
    accounts::{Account, Accounts, Limits, Strategy},
    client::{
        Callback, ClientError, MidjourneyClient, ParentTask, Reconciliation, Submission,
        simulator::{Simulator, SimulatorOptions},
    },
    clock::{OsEntropy, SystemClock},
    engine::{EngineConfig, Parts},
    gateway::{Gateway, Imagine, PromptRules},
    image::ByteStream,
    job::{
        AccountName, Action, Capabilities, Failure, FailureKind, JobQuery, JobRequest, Policy, RemoteImage,
        RemoteStatus, Status, UpstreamId,
    },
    memory::MemoryImageStore,
};
use midjourney_storage::sqlite::{SqliteJobStore, SqliteOptions};
use tempfile::TempDir;
use tokio::{runtime::Runtime, time::sleep};

const ACCOUNTS: usize = 5;
const SLOTS: u32 = 3;
/// How long a task takes, and how long a call that hangs does.
const TASK: Duration = Duration::from_millis(400);
const HANG: Duration = Duration::from_secs(15);
/// How long one round is watched.
const ROUND: Duration = Duration::from_secs(12);
const ROUNDS: usize = 3;

/// A simulator that may answer no call in time.
#[derive(Debug)]
struct Studio {
    inner: Simulator,
    hangs: bool,
}

impl Studio {
    async fn answer(&self) -> Result<(), ClientError> {
        if self.hangs {
            sleep(HANG).await;
            return Err(ClientError::lost(Failure::new(
                FailureKind::TimedOut,
                "no answer in time",
            )));
        }
        Ok(())
    }
}

#[async_trait::async_trait]
impl MidjourneyClient for Studio {
    fn upstream(&self) -> &'static str {
        self.inner.upstream()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn supports(&self, action: Action) -> bool {
        self.inner.supports(action)
    }

    fn check(&self, request: &JobRequest, parent: Option<&ParentTask>) -> Result<(), Failure> {
        self.inner.check(request, parent)
    }

    async fn submit(&self, submission: &Submission) -> Result<UpstreamId, ClientError> {
        self.answer().await?;
        self.inner.submit(submission).await
    }

    async fn reconcile(&self, submission: &Submission) -> Result<Reconciliation, ClientError> {
        self.answer().await?;
        self.inner.reconcile(submission).await
    }

    async fn status(&self, id: &UpstreamId) -> Result<RemoteStatus, ClientError> {
        self.answer().await?;
        self.inner.status(id).await
    }

    async fn cancel(&self, id: &UpstreamId) -> Result<bool, ClientError> {
        self.answer().await?;
        self.inner.cancel(id).await
    }

    async fn fetch(&self, image: &RemoteImage) -> Result<ByteStream, ClientError> {
        self.inner.fetch(image).await
    }

    fn parse_callback(&self, body: &[u8]) -> Result<Callback, ClientError> {
        self.inner.parse_callback(body)
    }
}

/// How many jobs the first four accounts complete in one round.
async fn round(hanging: bool, length: Duration) -> usize {
    let folder = TempDir::new().expect("a temporary folder");
    let jobs = SqliteJobStore::open(folder.path().join("jobs.db"), SqliteOptions::default())
        .await
        .expect("a database");
    let mut accounts = Accounts::new(Strategy::RoundRobin);
    for number in 0..ACCOUNTS {
        let options = SimulatorOptions::default().with_duration(TASK).with_side(16);
        let studio = Studio {
            inner: Simulator::new(Arc::new(SystemClock), options),
            hangs: hanging && number == ACCOUNTS - 1,
        };
        let limits = Limits {
            slots: Some(SLOTS),
            ..Limits::default()
        };
        let name = AccountName::new(format!("account-{number}"));
        accounts = accounts.with(Account::new(name, Arc::new(studio)).with_limits(limits));
    }
    let parts = Parts {
        jobs: Arc::new(jobs),
        images: Arc::new(MemoryImageStore::new()),
        accounts,
        clock: Arc::new(SystemClock),
        entropy: Arc::new(OsEntropy),
        policy: Policy::default(),
        callback: None,
        links: None,
        webhooks: None,
    };
    let gateway = Gateway::new(parts, PromptRules::default());
    // More than the round can do.
    for number in 0..ACCOUNTS * 60 {
        gateway
            .imagine(Imagine::new(format!("fox {number}")))
            .await
            .expect("accepted");
    }
    let engine = gateway.start_engine(EngineConfig::default());
    sleep(length).await;
    drop(engine);
    let mut query = JobQuery::newest(200);
    query.status = Some(Status::Completed);
    let last = AccountName::new(format!("account-{}", ACCOUNTS - 1));
    let mut done = 0;
    loop {
        let page = gateway.jobs(&query).await.expect("a page");
        done += page.items.iter().filter(|job| job.account != last).count();
        match page.next {
            Some(next) => query.after = Some(next),
            None => return done,
        }
    }
}

fn main() {
    // `cargo test` and `-- --test` only want to see it run.
    let (rounds, length) = if std::env::args().any(|argument| argument == "--test") {
        (1, Duration::from_secs(2))
    } else {
        (ROUNDS, ROUND)
    };
    let runtime = Runtime::new().expect("a runtime");
    for _ in 0..rounds {
        let healthy = runtime.block_on(round(false, length));
        let beside = runtime.block_on(round(true, length));
        #[expect(
            clippy::cast_precision_loss,
            clippy::as_conversions,
            reason = "some hundred jobs"
        )]
        let ratio = beside as f64 / healthy.max(1) as f64;
        println!("four accounts: {healthy} jobs in health, {beside} beside one that hangs, ratio {ratio:.3}");
    }
}
