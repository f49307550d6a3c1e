//! A job store of your own: implement [`JobStore`], then hold it to the same suite as every other backend with
//! `midjourney_core::job_store_suite!` (feature `testing`).
//!
//! This one wraps another store and keeps a journal of every change, as an auditor may want it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use midjourney_core::{
    accounts::Accounts,
    budget::Spending,
    client::simulator::{Simulator, SimulatorOptions},
    clock::{Clock, OsEntropy, SystemClock, Timestamp},
    engine::{EngineConfig, Parts},
    gateway::{Gateway, Imagine, PromptRules},
    id::{ImageId, JobId, UploadId},
    image::{Image, ImageKey, MarkChange, Upload},
    job::{
        AccountName, CallbackQuery, CallbackRecord, CallbackTally, Changes, Claim, Claimed, Commit, Counts,
        Event, IdempotencyKey, ImageQuery, ImageSearch, Insertion, Job, JobQuery, JobStore, Lease, Live,
        NewJobs, Owner, Policy, Position, Purse, Removal, RequestDigest, Share, StoreError, UpstreamId,
        Verdict,
    },
    memory::{MemoryImageStore, MemoryJobStore},
    page::{Cursor, Page},
};

#[derive(Debug)]
struct Journaled<S> {
    store: S,
    journal: Arc<Mutex<Vec<String>>>,
}

impl<S> Journaled<S> {
    fn note(&self, line: String) {
        self.journal.lock().expect("not poisoned").push(line);
    }
}

#[async_trait]
impl<S: JobStore> JobStore for Journaled<S> {
    fn backend(&self) -> &'static str {
        "journaled"
    }

    async fn insert(&self, jobs: NewJobs) -> Result<Insertion, StoreError> {
        let insertion = self.store.insert(jobs).await?;
        if let Insertion::Created(jobs) = &insertion {
            jobs.iter()
                .for_each(|job| self.note(format!("{} accepted", job.id)));
        }
        Ok(insertion)
    }

    async fn commit(&self, commit: Commit) -> Result<Job, StoreError> {
        let job = self.store.commit(commit).await?;
        // After the commit, never before: the journal tells what is true.
        self.note(format!(
            "{} {}",
            job.id,
            job.life
                .state
                .stage()
                .map_or(job.status().name(), |stage| stage.name())
        ));
        Ok(job)
    }

    async fn earlier(
        &self,
        owner: &Owner,
        key: &IdempotencyKey,
        digest: RequestDigest,
    ) -> Result<Option<Insertion>, StoreError> {
        self.store.earlier(owner, key, digest).await
    }

    async fn load(&self, id: JobId) -> Result<Option<Job>, StoreError> {
        self.store.load(id).await
    }

    async fn list(&self, query: &JobQuery) -> Result<Page<Job>, StoreError> {
        self.store.list(query).await
    }

    async fn claim(&self, claim: Claim) -> Result<Vec<Claimed>, StoreError> {
        self.store.claim(claim).await
    }

    async fn extend(&self, lease: &Lease, until: Timestamp) -> Result<Lease, StoreError> {
        self.store.extend(lease, until).await
    }

    async fn live(&self) -> Result<BTreeMap<AccountName, Live>, StoreError> {
        self.store.live().await
    }

    async fn next_due(&self, accounts: &[Share]) -> Result<Option<Timestamp>, StoreError> {
        self.store.next_due(accounts).await
    }

    async fn history(&self, id: JobId, after: u64, limit: usize) -> Result<Vec<Event>, StoreError> {
        self.store.history(id, after, limit).await
    }

    async fn events(&self, after: Position, limit: usize) -> Result<Vec<Event>, StoreError> {
        self.store.events(after, limit).await
    }

    async fn head(&self) -> Result<Position, StoreError> {
        self.store.head().await
    }

    async fn image(&self, id: ImageId) -> Result<Option<Image>, StoreError> {
        self.store.image(id).await
    }

    async fn search(&self, search: &ImageSearch) -> Result<Page<Image>, StoreError> {
        self.store.search(search).await
    }

    async fn mark(&self, id: ImageId, change: &MarkChange) -> Result<Option<Image>, StoreError> {
        self.store.mark(id, change).await
    }

    async fn put_upload(&self, upload: &Upload) -> Result<(), StoreError> {
        self.store.put_upload(upload).await
    }

    async fn uploads(&self, after: Option<Cursor>, limit: usize) -> Result<Page<Upload>, StoreError> {
        self.store.uploads(after, limit).await
    }

    async fn remove(&self, removal: &Removal) -> Result<(), StoreError> {
        self.store.remove(removal).await
    }

    async fn leftovers(&self, limit: usize) -> Result<Vec<ImageKey>, StoreError> {
        self.store.leftovers(limit).await
    }

    async fn forget_leftovers(&self, keys: &[ImageKey]) -> Result<(), StoreError> {
        self.store.forget_leftovers(keys).await
    }

    async fn upload(&self, id: UploadId) -> Result<Option<Upload>, StoreError> {
        self.store.upload(id).await
    }

    async fn images(&self, query: &ImageQuery) -> Result<Page<Image>, StoreError> {
        self.store.images(query).await
    }

    async fn spent(&self, purses: &[Purse], now: Timestamp) -> Result<Vec<Spending>, StoreError> {
        self.store.spent(purses, now).await
    }

    async fn put_callbacks(&self, records: &[CallbackRecord]) -> Result<(), StoreError> {
        self.store.put_callbacks(records).await
    }

    async fn callbacks(&self, query: &CallbackQuery) -> Result<Page<CallbackRecord>, StoreError> {
        self.store.callbacks(query).await
    }

    async fn callback_tallies(&self) -> Result<BTreeMap<Verdict, CallbackTally>, StoreError> {
        self.store.callback_tallies().await
    }

    async fn job_of_task(
        &self,
        account: &AccountName,
        task: &UpstreamId,
    ) -> Result<Option<JobId>, StoreError> {
        self.store.job_of_task(account, task).await
    }

    async fn counts(&self) -> Result<Counts, StoreError> {
        self.store.counts().await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.store.ping().await
    }

    fn changes(&self) -> Changes {
        self.store.changes()
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let journal = Arc::default();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let simulator = Simulator::new(Arc::clone(&clock), SimulatorOptions::default());
    let gateway = Gateway::new(
        Parts {
            jobs: Arc::new(Journaled {
                store: MemoryJobStore::new(),
                journal: Arc::clone(&journal),
            }),
            images: Arc::new(MemoryImageStore::new()),
            accounts: Accounts::single(AccountName::new("simulator"), Arc::new(simulator)),
            clock,
            entropy: Arc::new(OsEntropy),
            policy: Policy::default(),
            callback: None,
            links: None,
            webhooks: None,
        },
        PromptRules::default(),
    );
    let engine = gateway.start_engine(EngineConfig::default());
    let job = gateway
        .imagine(Imagine::new("a paper boat"))
        .await?
        .jobs
        .remove(0);
    gateway.wait(job.id, Duration::from_secs(60)).await?;
    engine.shutdown(Duration::from_secs(10)).await;
    for line in journal.lock().expect("not poisoned").iter() {
        println!("{line}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_runs() {
        super::main().unwrap();
    }
}
