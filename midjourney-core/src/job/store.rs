//! Where jobs are kept.

use std::{collections::BTreeMap, fmt, time::Duration};

use async_trait::async_trait;
use tokio::sync::watch;

use super::{
    callback::{CallbackQuery, CallbackRecord, CallbackTally, Verdict},
    commit::Commit,
    event::{Event, Position},
    library::ImageSearch,
    purse::{Charge, Entry, Overdrawn, Purse},
    remote::UpstreamId,
    request::{AccountName, IdempotencyKey, JobRequest, Owner, RequestDigest},
    retention::Removal,
    state::{Life, Status},
};
use crate::{
    budget::{Budget, Budgets, Credits, Spending},
    clock::Timestamp,
    error::{Applied, BoxError, Retry},
    id::{BatchId, ImageId, JobId, UploadId, WorkerId},
    image::{Image, ImageKey, MarkChange, Upload},
    page::{Cursor, Page},
};

/// A job as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// Counts up by one with every commit, from 1; what optimistic writers check.
    pub version: u64,
    /// The sequence number of its newest event.
    pub sequence: u64,
    /// Whose it is.
    pub owner: Owner,
    /// The account it runs on.
    pub account: AccountName,
    /// The request it came from, where that request became several jobs.
    pub batch: Option<BatchId>,
    /// What is to be done.
    pub request: JobRequest,
    /// Where it is.
    pub life: Life,
    /// What its purses are charged with for it, in all; what was given back does not count.
    pub cost: Credits,
    /// The last of its charges: the one that goes along to another account, or is given back.
    pub charge: Charge,
    /// When it last changed.
    pub updated: Timestamp,
}

impl Job {
    /// A job as read back by a store.
    #[expect(clippy::too_many_arguments, reason = "a row has this many columns")]
    pub const fn restore(
        id: JobId,
        version: u64,
        sequence: u64,
        owner: Owner,
        account: AccountName,
        batch: Option<BatchId>,
        request: JobRequest,
        life: Life,
        cost: Credits,
        charge: Charge,
        updated: Timestamp,
    ) -> Self {
        Self {
            id,
            version,
            sequence,
            owner,
            account,
            batch,
            request,
            life,
            cost,
            charge,
            updated,
        }
    }

    /// Its status as users see it.
    pub const fn status(&self) -> Status {
        self.life.state.status()
    }
}

/// One job to insert.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NewJob {
    /// Its id.
    pub id: JobId,
    /// What is to be done.
    pub request: JobRequest,
    /// What its purses are charged with for it.
    pub cost: Credits,
}

impl NewJob {
    /// A job named `id` that does `request`, free of charge.
    pub const fn new(id: JobId, request: JobRequest) -> Self {
        Self {
            id,
            request,
            cost: Credits::ZERO,
        }
    }

    /// The same job at this cost.
    pub const fn at_cost(mut self, cost: Credits) -> Self {
        self.cost = cost;
        self
    }
}

/// All jobs of one request, inserted together or not at all.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NewJobs {
    /// Whose they are.
    pub owner: Owner,
    /// The account they run on.
    pub account: AccountName,
    /// What ties them together, where they are several.
    pub batch: Option<BatchId>,
    /// The caller's name for the request. Stored with the [`digest`](NewJobs::digest), which is compared when the key
    /// comes again.
    pub idempotency_key: Option<IdempotencyKey>,
    /// The jobs, at least one, in order.
    pub jobs: Vec<NewJob>,
    /// What their purses may spend.
    pub budgets: Budgets,
    /// When.
    pub now: Timestamp,
}

impl NewJobs {
    /// These `jobs` for `owner` on `account`, accepted at `now`.
    pub const fn new(owner: Owner, account: AccountName, jobs: Vec<NewJob>, now: Timestamp) -> Self {
        Self {
            owner,
            account,
            batch: None,
            idempotency_key: None,
            jobs,
            budgets: Budgets {
                account: Budget {
                    day: None,
                    month: None,
                },
                owner: Budget {
                    day: None,
                    month: None,
                },
            },
            now,
        }
    }

    /// The same jobs, made only within these budgets.
    pub const fn within(mut self, budgets: Budgets) -> Self {
        self.budgets = budgets;
        self
    }

    /// What all of them cost together.
    pub fn cost(&self) -> Credits {
        self.jobs.iter().map(|job| job.cost).sum()
    }

    /// What they are charged with, line by line.
    pub fn entries(&self) -> Vec<Entry> {
        let charge = Charge {
            cost: self.cost(),
            at: self.now,
        };
        Entry::all(&self.owner, None, Some((&self.account, charge)), self.budgets)
    }

    /// The same jobs tied together as `batch`.
    pub const fn in_batch(mut self, batch: Option<BatchId>) -> Self {
        self.batch = batch;
        self
    }

    /// The same jobs under the caller's own key.
    pub fn with_key(mut self, key: Option<IdempotencyKey>) -> Self {
        self.idempotency_key = key;
        self
    }

    /// The jobs as `insert` makes them: version 1, one event.
    pub fn into_jobs(self) -> Vec<Job> {
        let job = |new: NewJob| Job {
            id: new.id,
            version: 1,
            sequence: 1,
            owner: self.owner.clone(),
            account: self.account.clone(),
            batch: self.batch,
            request: new.request,
            life: Life::new(self.now),
            cost: new.cost,
            charge: Charge {
                cost: new.cost,
                at: self.now,
            },
            updated: self.now,
        };
        self.jobs.into_iter().map(job).collect()
    }

    /// The digest of the request. Worked out anew by each call: most requests have no key and need none.
    pub fn digest(&self) -> RequestDigest {
        RequestDigest::of(self.jobs.iter().map(|job| &job.request))
    }
}

/// What came of an insert.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "callers must tell the answers apart")]
pub enum Insertion {
    /// The jobs are new and on disk.
    Created(Vec<Job>),
    /// The key was used before with the same request; these are its jobs as they are now, in order.
    Replayed(Vec<Job>),
    /// The key was used before with another request. Nothing was inserted.
    Mismatch,
    /// A budget does not allow it. Nothing was inserted.
    Overdrawn(Overdrawn),
}

/// A question for jobs, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct JobQuery {
    /// Only this owner's.
    pub owner: Option<Owner>,
    /// Only jobs of this status.
    pub status: Option<Status>,
    /// Only jobs of this batch.
    pub batch: Option<BatchId>,
    /// Where to go on.
    pub after: Option<Cursor>,
    /// At most this many, clamped to 1..=[`Page::<Job>::MAX`].
    pub limit: usize,
}

impl JobQuery {
    /// The newest `limit` jobs.
    pub fn newest(limit: usize) -> Self {
        Self {
            limit,
            ..Self::default()
        }
    }
}

/// A question for images, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImageQuery {
    /// Only this owner's.
    pub owner: Option<Owner>,
    /// Only pictures of this job.
    pub job: Option<JobId>,
    /// Where to go on.
    pub after: Option<Cursor>,
    /// At most this many, clamped to 1..=[`Page::<Image>::MAX`].
    pub limit: usize,
}

impl ImageQuery {
    /// The newest `limit` images.
    pub fn newest(limit: usize) -> Self {
        Self {
            limit,
            ..Self::default()
        }
    }

    /// The images of `job`: the grid first, then by index.
    pub fn of(job: JobId) -> Self {
        Self {
            job: Some(job),
            limit: Page::<Image>::MAX,
            ..Self::default()
        }
    }
}

/// How much of one account's work may be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "an account and two numbers")]
pub struct Share {
    /// The account.
    pub account: AccountName,
    /// At most this many jobs that were not submitted yet.
    pub starts: usize,
    /// At most this many jobs in all.
    pub most: usize,
}

impl From<AccountName> for Share {
    /// All of the account's work.
    fn from(account: AccountName) -> Self {
        Self {
            account,
            starts: usize::MAX,
            most: usize::MAX,
        }
    }
}

/// What an account has to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "jobs that wait and jobs that run")]
pub struct Live {
    /// Jobs that were not submitted yet.
    pub pending: u64,
    /// Jobs that [hold a slot](super::JobState::holds_slot).
    pub running: u64,
}

/// A job whose next look lies further ahead than this was put there by a clock that was wrong, and is due at once: no
/// wait of ours is nearly as long.
pub const LONGEST_WAIT: Duration = Duration::from_secs(86_400);

/// When a job wants a look: at its due time, but not before the lease on it has run out. Nobody is kept from it longer
/// than that by a due time that no wait of ours reaches.
pub fn wakes_at(due: Timestamp, leased_until: Option<Timestamp>) -> Timestamp {
    match leased_until {
        Some(until) if due > until.saturating_add(LONGEST_WAIT) => until,
        Some(until) => due.max(until),
        None => due,
    }
}

/// Whether a job that wants a look at `wake` may be taken at `now`.
pub fn is_due(wake: Timestamp, now: Timestamp) -> bool {
    wake <= now || wake > now.saturating_add(LONGEST_WAIT)
}

/// A worker's wish for work.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Claim {
    /// Who asks.
    pub worker: WorkerId,
    /// Only jobs of these accounts: a process must not touch what it has no upstream for. Each account once.
    pub accounts: Vec<Share>,
    /// At most this many.
    pub limit: usize,
    /// Jobs due at or before this moment, with no live lease.
    pub now: Timestamp,
    /// How long the lease lasts.
    pub lease: Duration,
}

impl Claim {
    /// `worker` wants up to `limit` jobs of `accounts`, each for `lease`.
    pub const fn new(
        worker: WorkerId,
        accounts: Vec<Share>,
        limit: usize,
        now: Timestamp,
        lease: Duration,
    ) -> Self {
        Self {
            worker,
            accounts,
            limit,
            now,
            lease,
        }
    }
}

/// The right to work on a job until a moment. The epoch is a fencing token: it rises with every claim of the job, and
/// a write under an older one is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lease {
    /// The job.
    pub job: JobId,
    /// Which claim of it.
    pub epoch: u64,
    /// Until when nobody else may claim it.
    pub until: Timestamp,
}

impl Lease {
    /// Claim number `epoch` of `job`, until `until`.
    pub const fn new(job: JobId, epoch: u64, until: Timestamp) -> Self {
        Self { job, epoch, until }
    }
}

/// A claimed job.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Claimed {
    /// The job.
    pub job: Job,
    /// The right to work on it.
    pub lease: Lease,
}

impl Claimed {
    /// `job`, held under `lease`.
    pub const fn new(job: Job, lease: Lease) -> Self {
        Self { job, lease }
    }
}

/// How many jobs there are of each status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Counts {
    /// Waiting to be submitted.
    pub pending: u64,
    /// Under way.
    pub processing: u64,
    /// Done.
    pub completed: u64,
    /// Ended without pictures.
    pub failed: u64,
    /// Cancelled.
    pub cancelled: u64,
    /// Expired.
    pub expired: u64,
}

impl Counts {
    /// The counter of `status`.
    pub const fn of(&mut self, status: Status) -> &mut u64 {
        match status {
            Status::Pending => &mut self.pending,
            Status::Processing => &mut self.processing,
            Status::Completed => &mut self.completed,
            Status::Failed => &mut self.failed,
            Status::Cancelled => &mut self.cancelled,
            Status::Expired => &mut self.expired,
        }
    }
}

/// Tells that something was committed, by this process or another. A hint: the number only ever rises, says nothing
/// about what changed, and several commits may show as one.
pub type Changes = watch::Receiver<u64>;

/// Why the store did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The job is not there.
    #[error("there is no job {0}")]
    NoSuchJob(JobId),
    /// The job has changed since it was read: read it again and decide anew. Nothing was written.
    #[error("job {0} has changed in the meantime")]
    Stale(JobId),
    /// The lease was lost: another worker claimed the job. Nothing was written.
    #[error("the lease on job {0} is lost")]
    LeaseLost(JobId),
    /// The callback that caused the change was heeded before. Nothing was written.
    #[error("job {0} has had this callback before")]
    Repeated(JobId),
    /// Other jobs hold all of the account's slots. Nothing was written.
    #[error("job {0} finds no free slot on its account")]
    NoSlot(JobId),
    /// A purse of the job may not spend what the change would charge. Nothing was written.
    #[error("the budget of {} for this {} is used up", .0.purse, .0.period.name())]
    Overdrawn(Overdrawn),
    /// A stored row cannot be read.
    #[error("{table}, row {row}, column {column}: the stored value cannot be read")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The row's key.
        row: String,
        /// The column.
        column: &'static str,
        /// What is wrong with it.
        #[source]
        source: BoxError,
    },
    /// The device that holds the store is full. Nothing was written.
    #[error("no room left where jobs are stored")]
    Full {
        /// The cause.
        #[source]
        source: BoxError,
    },
    /// What is on disk is not known any more, since a sync of it failed: nothing is written until the store is opened
    /// anew. Nothing was written.
    #[error("{backend}: nothing more is written until a restart")]
    Stopped {
        /// Which backend.
        backend: &'static str,
        /// Why.
        #[source]
        source: BoxError,
    },
    /// The database was written by a newer release.
    #[error(
        "the database has schema {found}, this release knows up to {known}: run the newer release, or restore a backup"
    )]
    NewerSchema {
        /// The version found.
        found: u32,
        /// The newest version known here.
        known: u32,
    },
    /// The file is not a database of ours, or is damaged. It is left as it is.
    #[error(
        "{path} is not a usable job database; it was left untouched. Restore a backup, or move it away to start anew"
    )]
    Damaged {
        /// The file.
        path: String,
        /// What was found.
        #[source]
        source: BoxError,
    },
    /// The database itself failed.
    #[error("{backend}: {operation} failed")]
    Backend {
        /// Which backend.
        backend: &'static str,
        /// What it was doing.
        operation: &'static str,
        /// Whether it may have happened all the same.
        applied: Applied,
        /// Whether trying again may help.
        retry: Retry,
        /// The cause.
        #[source]
        source: BoxError,
    },
}

impl StoreError {
    /// Whether the operation may have taken effect all the same.
    pub const fn applied(&self) -> Applied {
        match self {
            Self::Backend { applied, .. } => *applied,
            _ => Applied::No,
        }
    }
}

/// Where jobs, their events and the rows of their images are kept.
///
/// Implementations are held to one suite, [`testing::job_store`](crate::testing) (feature `testing`). All methods
/// are atomic: they happen whole or not at all, and what a method has returned as done survives the death of the
/// process and the machine (where the backend has a disk).
///
/// **Cancel safety**, all methods: dropping the future leaves the operation done or not done, never half done.
#[async_trait]
pub trait JobStore: fmt::Debug + Send + Sync + 'static {
    /// The backend's name: `memory`, `sqlite`.
    fn backend(&self) -> &'static str;

    /// Accepts all jobs of one request.
    ///
    /// **Contract:** with a key that this owner has used before, nothing is inserted: an equal digest gives
    /// [`Insertion::Replayed`], another [`Insertion::Mismatch`]. Concurrent inserts under one key create one set.
    /// Each new job is due at once and has one event, [`EventKind::Created`](super::EventKind::Created). What the jobs
    /// cost is charged to the purses of their account and their owner, to the day of `now`; where that is more than a
    /// budget allows, nothing is inserted.
    async fn insert(&self, jobs: NewJobs) -> Result<Insertion, StoreError>;

    /// What [`insert`](JobStore::insert) answers to a request of this digest under a key that is in use; `None` where
    /// the key is free. Changes nothing.
    async fn earlier(
        &self,
        owner: &Owner,
        key: &IdempotencyKey,
        digest: RequestDigest,
    ) -> Result<Option<Insertion>, StoreError>;

    /// The job, or `None`.
    async fn load(&self, id: JobId) -> Result<Option<Job>, StoreError>;

    /// Jobs by descending id.
    async fn list(&self, query: &JobQuery) -> Result<Page<Job>, StoreError>;

    /// Hands out jobs that are due and not under a live lease, the longest due first, each to one worker only.
    ///
    /// **Contract:** a claim raises the epoch and changes nothing else that a reader sees; jobs whose worker died are
    /// handed out again once their lease has run out. Empty where there is nothing to do. What lies more than
    /// [`LONGEST_WAIT`] ahead, be it a due time or the end of a lease, counts as come.
    async fn claim(&self, claim: Claim) -> Result<Vec<Claimed>, StoreError>;

    /// Makes a lease last until `until`.
    ///
    /// **Errors:** [`StoreError::LeaseLost`] where another claim came in between, even if `lease` had run out first.
    async fn extend(&self, lease: &Lease, until: Timestamp) -> Result<Lease, StoreError>;

    /// When the next job of these accounts wants a look: its due time, or the end of the lease on it.
    async fn next_due(&self, accounts: &[Share]) -> Result<Option<Timestamp>, StoreError>;

    /// What each account has to do. Accounts without such jobs may be left out. Its cost does not grow with the jobs.
    async fn live(&self) -> Result<BTreeMap<AccountName, Live>, StoreError>;

    /// Makes one change and returns the job after it.
    ///
    /// **Contract:** version and sequence rise by one (the sequence only with an event). What [`Commit::settle`] charges
    /// and gives back is written with the change, each entry to the day of its charge.
    ///
    /// **Errors:** [`StoreError::LeaseLost`] where the lease has been taken over, else [`StoreError::Stale`] where
    /// the version has moved; a job that is over is always one of the two. [`StoreError::Overdrawn`] where a budget does
    /// not allow one of the entries. [`StoreError::Repeated`] where the mark of its callback is there already. [`StoreError::NoSlot`] where the job would
    /// [hold a slot](super::JobState::holds_slot) that it did not hold before, and its account has none left.
    async fn commit(&self, commit: Commit) -> Result<Job, StoreError>;

    /// Up to `limit` events of one job after sequence number `after`, in order. Empty for an unknown job.
    async fn history(&self, id: JobId, after: u64, limit: usize) -> Result<Vec<Event>, StoreError>;

    /// Up to `limit` events of all jobs after `after`, in the order of their commits.
    ///
    /// **Contract:** a reader that goes on from the last position it got misses none. Fewer than `limit` are all that this
    /// process has committed; where another has committed more, [`changes`](JobStore::changes) is about to rise.
    async fn events(&self, after: Position, limit: usize) -> Result<Vec<Event>, StoreError>;

    /// The position of the newest event.
    async fn head(&self) -> Result<Position, StoreError>;

    /// The row of one image, or `None`.
    async fn image(&self, id: ImageId) -> Result<Option<Image>, StoreError>;

    /// Images by descending id; those of one job by kind (grid first) and index.
    async fn images(&self, query: &ImageQuery) -> Result<Page<Image>, StoreError>;

    /// Pictures of completed jobs by what these are filed under: those of the job that was accepted last first, in the
    /// order of their [`Shelf`](super::Shelf)s, whose cursors lead on.
    ///
    /// **Contract:** a job is filed under [`Commit::terms`] once that is committed, and its pictures' marks are part of it
    /// from the moment they are made. Pages stay stable while pictures come and go.
    async fn search(&self, search: &ImageSearch) -> Result<Page<Image>, StoreError>;

    /// Changes what people have put on a picture and returns it as it is then; `None` where there is no such picture, or its
    /// job is not over.
    async fn mark(&self, id: ImageId, change: &MarkChange) -> Result<Option<Image>, StoreError>;

    /// Keeps the row of a picture that a caller brought along; its bytes are stored already. Ids are new each time.
    async fn put_upload(&self, upload: &Upload) -> Result<(), StoreError>;

    /// A picture that a caller brought along, or `None`.
    async fn upload(&self, id: UploadId) -> Result<Option<Upload>, StoreError>;

    /// Pictures that callers brought along, by descending id, at most `limit`, after the one that `after` names.
    async fn uploads(&self, after: Option<Cursor>, limit: usize) -> Result<Page<Upload>, StoreError>;

    /// Removes jobs with their events and pictures, pictures whose jobs stay, and what callers brought along. A job stays that is not over or has
    /// changed since it was judged, and so do pictures of a job that is not over. Pinned pictures stay, and their jobs.
    ///
    /// **Contract:** in one transaction. The files of what was removed are [`leftovers`](JobStore::leftovers) then.
    /// Positions of events are never given again.
    async fn remove(&self, removal: &Removal) -> Result<(), StoreError>;

    /// Up to `limit` files that nothing speaks of any more.
    async fn leftovers(&self, limit: usize) -> Result<Vec<ImageKey>, StoreError>;

    /// Forgets leftovers, whose files are gone.
    async fn forget_leftovers(&self, keys: &[ImageKey]) -> Result<(), StoreError>;

    /// Records callbacks that changed nothing. One with a mark that is there already is left out.
    ///
    /// **Contract**, for these and for those that come with a commit: the newest [`CALLBACKS_KEPT`](super::CALLBACKS_KEPT)
    /// are kept, and those with a mark for [`KNOWN_AGAIN`](super::KNOWN_AGAIN) at least; older ones go. Of those that were
    /// refused, only as many are kept.
    async fn put_callbacks(&self, records: &[CallbackRecord]) -> Result<(), StoreError>;

    /// Callbacks by descending id.
    async fn callbacks(&self, query: &CallbackQuery) -> Result<Page<CallbackRecord>, StoreError>;

    /// How many callbacks of each verdict are kept; verdicts without any are left out.
    async fn callback_tallies(&self) -> Result<BTreeMap<Verdict, CallbackTally>, StoreError>;

    /// The job under way that has this task at the upstream of `account`, or `None`.
    async fn job_of_task(
        &self,
        account: &AccountName,
        task: &UpstreamId,
    ) -> Result<Option<JobId>, StoreError>;

    /// What each of `purses` has spent in the day and the month of `now`, in their order: in these alone, not in later
    /// ones, which a clock that was wrong may have charged.
    async fn spent(&self, purses: &[Purse], now: Timestamp) -> Result<Vec<Spending>, StoreError>;

    /// How many jobs there are of each status.
    async fn counts(&self) -> Result<Counts, StoreError>;

    /// Whether the store can be written to at the moment.
    async fn ping(&self) -> Result<(), StoreError>;

    /// A signal that rises after every commit that this store can know of.
    fn changes(&self) -> Changes;
}

/// What users of a store want that is not worth every backend's while.
pub trait JobStoreExt: JobStore {
    /// The job.
    ///
    /// **Errors:** [`StoreError::NoSuchJob`] where there is none.
    fn get(&self, id: JobId) -> impl Future<Output = Result<Job, StoreError>> + Send {
        async move { self.load(id).await?.ok_or(StoreError::NoSuchJob(id)) }
    }
}

impl<S: JobStore + ?Sized> JobStoreExt for S {}
