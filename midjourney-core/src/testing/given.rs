//! Values that cases are made from.

use std::{sync::Arc, time::Duration};

use crate::{
    budget::Credits,
    clock::Timestamp,
    id::{BatchId, ImageId, JobId, WorkerId},
    image::{Image, ImageDigest, ImageKey, ImageKind, MediaType},
    job::{
        AccountName, Claim, Claimed, Commit, EventKind, Failure, FailureKind, Insertion, Job, JobRequest,
        JobState, JobStore, JobStoreExt as _, Life, NewJob, NewJobs, Nonce, Owner, Phase, Transfer,
        UpstreamId,
    },
    testing::SeededEntropy,
};

/// How long a lease lasts in the cases, in milliseconds.
pub(super) const LEASE: i64 = 10_000;

/// No healthy backend takes this long for one case.
pub(super) const DEADLINE: Duration = Duration::from_secs(60);

/// `millis` after the moment at which the cases begin.
pub(super) const fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(1_795_341_600_000 + millis)
}

fn numbered(number: u64) -> [u8; 16] {
    ((0x019a_b3c0_d100_7000 << 64) | u128::from(number)).to_be_bytes()
}

/// Ids that sort by their number.
pub(super) fn job_id(number: u64) -> JobId {
    JobId::from_bytes(numbered(number))
}

pub(super) fn image_id(number: u64) -> ImageId {
    ImageId::from_bytes(numbered(number))
}

pub(super) fn batch_id(number: u64) -> BatchId {
    BatchId::from_bytes(numbered(number))
}

pub(super) fn worker(number: u64) -> WorkerId {
    WorkerId::from_bytes(numbered(number))
}

pub(super) fn account() -> AccountName {
    AccountName::new("main")
}

pub(super) fn nonce() -> Nonce {
    Nonce::new(&SeededEntropy::new(7))
}

pub(super) fn failure() -> Failure {
    Failure::new(FailureKind::Transient, "the upstream hiccuped")
}

/// Jobs with these numbers, of the local user on the main account, accepted at `at(0)`.
pub(super) fn jobs(numbers: &[u64]) -> NewJobs {
    jobs_at(numbers, 0)
}

pub(super) fn jobs_at(numbers: &[u64], millis: i64) -> NewJobs {
    let new = |number: &u64| {
        NewJob::new(
            job_id(*number),
            JobRequest::imagine(format!("fox {number} --v 7")),
        )
    };
    NewJobs::new(
        Owner::local(),
        account(),
        numbers.iter().map(new).collect(),
        at(millis),
    )
}

/// The same, each at this cost.
pub(super) fn costing(cost: u32, mut jobs: NewJobs) -> NewJobs {
    for job in &mut jobs.jobs {
        job.cost = Credits::whole(cost);
    }
    jobs
}

/// Inserts what must be new.
pub(super) async fn insert(store: &Arc<dyn JobStore>, jobs: NewJobs) -> Vec<Job> {
    match store.insert(jobs).await.unwrap() {
        Insertion::Created(jobs) => jobs,
        other => panic!("expected new jobs, got {other:?}"),
    }
}

pub(super) async fn insert_one(store: &Arc<dyn JobStore>, number: u64) -> Job {
    insert(store, jobs(&[number])).await.remove(0)
}

pub(super) async fn load(store: &Arc<dyn JobStore>, number: u64) -> Job {
    store.get(job_id(number)).await.unwrap()
}

/// The way to the account `name`.
pub(super) fn transfer(name: &str, cost: Credits) -> Transfer {
    Transfer {
        account: AccountName::new(name),
        cost,
    }
}

/// A claim on the main account.
pub(super) fn wish(limit: usize, now: i64) -> Claim {
    Claim::new(
        worker(1),
        vec![account().into()],
        limit,
        at(now),
        Duration::from_millis(LEASE.unsigned_abs()),
    )
}

pub(super) async fn claim(store: &Arc<dyn JobStore>, limit: usize, now: i64) -> Vec<Claimed> {
    store.claim(wish(limit, now)).await.unwrap()
}

pub(super) async fn claim_one(store: &Arc<dyn JobStore>, now: i64) -> Claimed {
    let mut claimed = claim(store, 1, now).await;
    assert_eq!(claimed.len(), 1, "one job is due");
    claimed.remove(0)
}

/// The life of `job` after it went to `state` at `now`, to be looked at again at `due`.
pub(super) fn life(job: &Job, state: JobState, now: i64, due: Option<i64>) -> Life {
    let mut life = job.life.clone();
    life.state = state;
    life.entered = at(now);
    life.heard = at(now);
    life.due = due.map(at);
    life
}

pub(super) fn running(progress: u8) -> JobState {
    JobState::Submitted {
        upstream: UpstreamId::new("task-1"),
        phase: Phase::Running,
        progress: Some(progress),
        misses: 0,
        confirmed: false,
    }
}

pub(super) fn completed() -> JobState {
    JobState::Completed {
        upstream: UpstreamId::new("task-1"),
        actions: Vec::new(),
        seed: None,
        texts: Vec::new(),
        handle: None,
    }
}

/// News about `job`, decided on what was read, without a lease.
pub(super) fn progress(job: &Job, percent: u8, now: i64) -> Commit {
    Commit::new(
        job,
        life(job, running(percent), now, Some(now)),
        Some(EventKind::Progress),
        at(now),
    )
}

/// The end of `job`.
pub(super) fn finish(job: &Job, now: i64) -> Commit {
    Commit::new(
        job,
        life(job, completed(), now, None),
        Some(EventKind::Completed),
        at(now),
    )
}

/// The row of picture `index` of `job`; the grid for 0.
pub(super) fn picture(number: u64, job: &Job, index: u8) -> Image {
    let kind = if index == 0 {
        ImageKind::Grid
    } else {
        ImageKind::Single
    };
    Image::new(
        image_id(number),
        job.id,
        job.owner.clone(),
        kind,
        index,
        ImageKey::new(job.life.created, job.id, kind, index, MediaType::Png),
        ImageDigest::of(&number.to_be_bytes()),
        number,
        MediaType::Png,
        Some((1024, 768)),
        format!("https://upstream.invalid/{number}.png"),
        at(1),
    )
}
