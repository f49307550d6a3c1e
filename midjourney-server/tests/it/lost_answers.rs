//! Answers that are lost after the upstream has accepted: each job is paid once, and the gateway says what it knows.

use std::{collections::HashSet, sync::Arc, time::Duration};

use midjourney_core::{
    accounts::Accounts,
    clock::{OsEntropy, SystemClock},
    engine::{EngineConfig, Parts},
    gateway::{Gateway, Imagine, PromptRules},
    job::{AccountName, Backoff, Job, JobState, Policy, Spent, Status},
    memory::MemoryImageStore,
};
use midjourney_server::simulate::{Dialect, Simulation, SimulationOptions};
use midjourney_storage::sqlite::{SqliteJobStore, SqliteOptions};

use crate::upstreams;

/// Long enough for a machine that does other things too.
const DEADLINE: Duration = Duration::from_secs(120);

/// Jobs whose answers are lost, until each `rests`; and what the upstream was paid for. Between them are
/// as many that go well: an account whose answers are all lost would soon get no more work.
async fn lose(dialect: Dialect, lost: usize, rests: fn(&Job) -> bool) -> (Vec<Job>, Simulation) {
    let mut options = SimulationOptions::new(dialect);
    options.duration = Duration::from_millis(20);
    options.side = 16;
    let simulation = Simulation::start(options, Arc::new(SystemClock)).unwrap();
    let client = upstreams::connected(dialect, &simulation).await;
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteJobStore::open(folder.path().join("jobs.db"), SqliteOptions::default());
    let mut policy = Policy::default();
    policy.poll = Backoff::new(Duration::from_millis(50), Duration::from_millis(200));
    policy.retry = policy.poll;
    let parts = Parts {
        jobs: Arc::new(store.await.unwrap()),
        images: Arc::new(MemoryImageStore::new()),
        accounts: Accounts::single(AccountName::new("main"), client),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(OsEntropy),
        policy,
        callback: None,
        links: None,
        webhooks: None,
    };
    let gateway = Gateway::new(parts, PromptRules::default());
    let engine = gateway.start_engine(EngineConfig::default());
    let mut ids = Vec::new();
    for number in 0..lost {
        for prompt in [format!("fox {number} sim:lost"), format!("hen {number}")] {
            let accepted = gateway.imagine(Imagine::new(prompt)).await;
            ids.push(accepted.unwrap().jobs[0].id);
        }
    }
    let settled = async {
        loop {
            let mut jobs = Vec::with_capacity(ids.len());
            for id in &ids {
                jobs.push(gateway.job(*id).await.unwrap());
            }
            if jobs.iter().all(rests) {
                return jobs;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let jobs = tokio::time::timeout(DEADLINE, settled)
        .await
        .expect("every job comes to rest");
    engine.shutdown(Duration::from_secs(10)).await;
    (jobs, simulation)
}

const fn is_over(job: &Job) -> bool {
    job.status().is_final()
}

const fn is_unknown(job: &Job) -> bool {
    matches!(job.life.state, JobState::SubmitUnknown { .. })
}

/// Every job was submitted once and paid once.
fn paid_once(simulation: &Simulation, lost: usize) {
    let account = simulation.account();
    assert_eq!((account.submits, account.lost), (2 * lost as u64, lost as u64));
    let prompts: HashSet<_> = account.paid.iter().map(|paid| &paid.prompt).collect();
    assert_eq!((account.paid.len(), prompts.len()), (2 * lost, 2 * lost));
}

/// U4 where the upstream can be asked what it has: each look brings the list of all its tasks.
#[tokio::test(flavor = "multi_thread")]
async fn lost_answers_are_all_found_again_where_the_upstream_can_be_asked() {
    const LOST: usize = 500;
    let (jobs, simulation) = lose(Dialect::MidjourneyProxyTrueAi, LOST, is_over).await;
    paid_once(&simulation, LOST);
    assert!(jobs.iter().all(|job| job.status() == Status::Completed));
}

/// U4 where it cannot.
#[tokio::test(flavor = "multi_thread")]
async fn lost_answers_are_never_sent_again_where_the_upstream_cannot_be_asked() {
    const LOST: usize = 500;
    let (jobs, simulation) = lose(Dialect::LegNext, LOST, |job| is_over(job) || is_unknown(job)).await;
    paid_once(&simulation, LOST);
    let (lost, fine): (Vec<Job>, Vec<Job>) = jobs.into_iter().partition(is_unknown);
    assert!(fine.iter().all(|job| job.status() == Status::Completed));
    assert_eq!((lost.len(), fine.len()), (LOST, LOST));
    for job in lost {
        let failure = job.life.trouble.expect("the job says what is wrong");
        assert_eq!(failure.spent, Spent::Maybe);
        assert!(
            failure.message.contains("answer to the submit was lost"),
            "{}",
            failure.message
        );
    }
}
