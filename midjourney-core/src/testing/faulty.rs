use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;

use crate::{
    budget::Spending,
    clock::Timestamp,
    error::{Applied, Retry},
    id::{ImageId, JobId, UploadId},
    image::{Image, ImageKey, MarkChange, Upload},
    job::{
        AccountName, CallbackQuery, CallbackRecord, CallbackTally, Changes, Claim, Claimed, Commit, Counts,
        Event, IdempotencyKey, ImageQuery, ImageSearch, Insertion, Job, JobQuery, JobStore, Lease, Live,
        NewJobs, Owner, Position, Purse, Removal, RequestDigest, Share, StoreError, UpstreamId, Verdict,
    },
    page::{Cursor, Page},
};

/// What is to go wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a plan is written out by the test that makes it"
)]
pub enum FaultPlan {
    /// Nothing.
    #[default]
    None,
    /// Operation number `n`, counted from 1.
    FailNth {
        /// Which.
        n: usize,
        /// Whether it takes effect before it fails ([`Applied::Maybe`]), or does not ([`Applied::No`]).
        after: bool,
        /// Whether every later operation fails too, without effect, as if the process had died there.
        forever: bool,
    },
}

/// A store in front of another one, whose n-th operation fails.
///
/// Every asynchronous method counts as an operation, reads included. Run once without a plan to learn how many
/// there are, then once for each of them.
#[derive(Debug)]
pub struct FaultyJobStore {
    inner: Arc<dyn JobStore>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    plan: FaultPlan,
    operations: Vec<&'static str>,
    failed: usize,
}

enum Fate {
    Works,
    FailsBefore,
    FailsAfter,
}

impl FaultyJobStore {
    /// In front of `inner`, failing as `plan` says.
    pub fn new(inner: Arc<dyn JobStore>, plan: FaultPlan) -> Self {
        let state = State {
            plan,
            ..State::default()
        };
        Self {
            inner,
            state: Mutex::new(state),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts over: counts from 1 again, and fails as `plan` says.
    pub fn arm(&self, plan: FaultPlan) {
        *self.state() = State {
            plan,
            ..State::default()
        };
    }

    /// How many operations there were so far.
    pub fn count(&self) -> usize {
        self.state().operations.len()
    }

    /// The names of the operations so far, in order; the n-th is at index `n - 1`.
    pub fn operations(&self) -> Vec<&'static str> {
        self.state().operations.clone()
    }

    /// How many of them were made to fail.
    pub fn failed(&self) -> usize {
        self.state().failed
    }

    /// The store behind it, which knows nothing of faults.
    pub fn inner(&self) -> Arc<dyn JobStore> {
        Arc::clone(&self.inner)
    }

    fn fate(&self, operation: &'static str) -> Fate {
        let mut state = self.state();
        state.operations.push(operation);
        let number = state.operations.len();
        let fate = match state.plan {
            FaultPlan::FailNth { n, after: true, .. } if number == n => Fate::FailsAfter,
            FaultPlan::FailNth { n, .. } if number == n => Fate::FailsBefore,
            FaultPlan::FailNth { n, forever: true, .. } if number > n => Fate::FailsBefore,
            FaultPlan::None | FaultPlan::FailNth { .. } => Fate::Works,
        };
        if !matches!(fate, Fate::Works) {
            state.failed += 1;
        }
        fate
    }

    async fn run<T: Send>(
        &self,
        operation: &'static str,
        work: impl Future<Output = Result<T, StoreError>> + Send,
    ) -> Result<T, StoreError> {
        let fails = |applied| StoreError::Backend {
            backend: "faulty",
            operation,
            applied,
            retry: Retry::Soon,
            source: "a planned fault".into(),
        };
        match self.fate(operation) {
            Fate::Works => work.await,
            Fate::FailsBefore => Err(fails(Applied::No)),
            Fate::FailsAfter => {
                work.await?;
                Err(fails(Applied::Maybe))
            }
        }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl JobStore for FaultyJobStore {
    fn backend(&self) -> &'static str {
        "faulty"
    }

    async fn insert(&self, jobs: NewJobs) -> Result<Insertion, StoreError> {
        self.run("insert", self.inner.insert(jobs)).await
    }

    async fn earlier(
        &self,
        owner: &Owner,
        key: &IdempotencyKey,
        digest: RequestDigest,
    ) -> Result<Option<Insertion>, StoreError> {
        self.run("earlier", self.inner.earlier(owner, key, digest)).await
    }

    async fn load(&self, id: JobId) -> Result<Option<Job>, StoreError> {
        self.run("load", self.inner.load(id)).await
    }

    async fn list(&self, query: &JobQuery) -> Result<Page<Job>, StoreError> {
        self.run("list", self.inner.list(query)).await
    }

    async fn claim(&self, claim: Claim) -> Result<Vec<Claimed>, StoreError> {
        self.run("claim", self.inner.claim(claim)).await
    }

    async fn extend(&self, lease: &Lease, until: Timestamp) -> Result<Lease, StoreError> {
        self.run("extend", self.inner.extend(lease, until)).await
    }

    async fn live(&self) -> Result<BTreeMap<AccountName, Live>, StoreError> {
        self.run("live", self.inner.live()).await
    }

    async fn next_due(&self, accounts: &[Share]) -> Result<Option<Timestamp>, StoreError> {
        self.run("next_due", self.inner.next_due(accounts)).await
    }

    async fn commit(&self, commit: Commit) -> Result<Job, StoreError> {
        self.run("commit", self.inner.commit(commit)).await
    }

    async fn history(&self, id: JobId, after: u64, limit: usize) -> Result<Vec<Event>, StoreError> {
        self.run("history", self.inner.history(id, after, limit)).await
    }

    async fn events(&self, after: Position, limit: usize) -> Result<Vec<Event>, StoreError> {
        self.run("events", self.inner.events(after, limit)).await
    }

    async fn head(&self) -> Result<Position, StoreError> {
        self.run("head", self.inner.head()).await
    }

    async fn image(&self, id: ImageId) -> Result<Option<Image>, StoreError> {
        self.run("image", self.inner.image(id)).await
    }

    async fn search(&self, search: &ImageSearch) -> Result<Page<Image>, StoreError> {
        self.run("search", self.inner.search(search)).await
    }

    async fn mark(&self, id: ImageId, change: &MarkChange) -> Result<Option<Image>, StoreError> {
        self.run("mark", self.inner.mark(id, change)).await
    }

    async fn put_upload(&self, upload: &Upload) -> Result<(), StoreError> {
        self.run("put_upload", self.inner.put_upload(upload)).await
    }

    async fn uploads(&self, after: Option<Cursor>, limit: usize) -> Result<Page<Upload>, StoreError> {
        self.run("uploads", self.inner.uploads(after, limit)).await
    }

    async fn remove(&self, removal: &Removal) -> Result<(), StoreError> {
        self.run("remove", self.inner.remove(removal)).await
    }

    async fn leftovers(&self, limit: usize) -> Result<Vec<ImageKey>, StoreError> {
        self.run("leftovers", self.inner.leftovers(limit)).await
    }

    async fn forget_leftovers(&self, keys: &[ImageKey]) -> Result<(), StoreError> {
        self.run("forget_leftovers", self.inner.forget_leftovers(keys))
            .await
    }

    async fn upload(&self, id: UploadId) -> Result<Option<Upload>, StoreError> {
        self.run("upload", self.inner.upload(id)).await
    }

    async fn images(&self, query: &ImageQuery) -> Result<Page<Image>, StoreError> {
        self.run("images", self.inner.images(query)).await
    }

    async fn spent(&self, purses: &[Purse], now: Timestamp) -> Result<Vec<Spending>, StoreError> {
        self.run("spent", self.inner.spent(purses, now)).await
    }

    async fn put_callbacks(&self, records: &[CallbackRecord]) -> Result<(), StoreError> {
        self.run("put_callbacks", self.inner.put_callbacks(records)).await
    }

    async fn callbacks(&self, query: &CallbackQuery) -> Result<Page<CallbackRecord>, StoreError> {
        self.run("callbacks", self.inner.callbacks(query)).await
    }

    async fn callback_tallies(&self) -> Result<BTreeMap<Verdict, CallbackTally>, StoreError> {
        self.run("callback_tallies", self.inner.callback_tallies()).await
    }

    async fn job_of_task(
        &self,
        account: &AccountName,
        task: &UpstreamId,
    ) -> Result<Option<JobId>, StoreError> {
        self.run("job_of_task", self.inner.job_of_task(account, task))
            .await
    }

    async fn counts(&self) -> Result<Counts, StoreError> {
        self.run("counts", self.inner.counts()).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.run("ping", self.inner.ping()).await
    }

    fn changes(&self) -> Changes {
        self.inner.changes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{memory::MemoryJobStore, testing::given};

    async fn outcome(plan: FaultPlan) -> (Vec<Option<Applied>>, usize) {
        let store = FaultyJobStore::new(Arc::new(MemoryJobStore::new()), plan);
        let mut answers = Vec::new();
        for number in 1..=3 {
            let answer = store.insert(given::jobs(&[number])).await;
            answers.push(answer.err().map(|error| error.applied()));
        }
        assert_eq!(store.operations(), ["insert"; 3]);
        assert_eq!(
            store.failed(),
            answers.iter().filter(|answer| answer.is_some()).count()
        );
        let kept = store.inner().counts().await.unwrap().pending;
        (answers, usize::try_from(kept).unwrap())
    }

    #[tokio::test]
    async fn the_nth_operation_fails_as_planned() {
        const NO: Option<Applied> = Some(Applied::No);
        const MAYBE: Option<Applied> = Some(Applied::Maybe);
        let plan = |after, forever| FaultPlan::FailNth { n: 2, after, forever };
        assert_eq!(outcome(FaultPlan::None).await, (vec![None; 3], 3));
        assert_eq!(outcome(plan(false, false)).await, (vec![None, NO, None], 2));
        assert_eq!(outcome(plan(true, false)).await, (vec![None, MAYBE, None], 3));
        assert_eq!(outcome(plan(false, true)).await, (vec![None, NO, NO], 1));
        assert_eq!(outcome(plan(true, true)).await, (vec![None, MAYBE, NO], 2));
    }

    mod without_a_fault {
        use super::*;

        async fn fresh() -> (Arc<dyn JobStore>, ()) {
            let inner = Arc::new(MemoryJobStore::new());
            (Arc::new(FaultyJobStore::new(inner, FaultPlan::None)), ())
        }

        crate::job_store_suite!(fresh);
    }
}
