//! Jobs in one SQLite file.
//!
//! - One thread writes and makes one commit of everything that waits (`writer`, `commands`).
//! - Readers have their own connections and never wait for it (`readers`, `queries`).
//! - Several processes may use one file at once; each sees the others' commits within about 50 ms.
//! - The file is made only where there is none. What is not ours, damaged or from a newer release is refused and left
//!   as it is (`open`, `migrate`).
//!
//! The file must lie on a local disk: SQLite's log needs memory that its processes share.

mod callbacks;
mod columns;
mod commands;
mod deliveries;
mod delivery_store;
mod error;
mod library;
mod migrate;
mod newest;
mod open;
mod purses;
mod queries;
mod readers;
mod removal;
mod tallies;
#[cfg(feature = "assemble")]
mod transfer;
mod writer;

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use midjourney_core::{
    budget::Spending,
    clock::Timestamp,
    error::{Applied, Chain, Retry},
    id::{ImageId, JobId, UploadId},
    image::{Image, ImageKey, MarkChange, Upload},
    job::{
        AccountName, CallbackQuery, CallbackRecord, CallbackTally, Changes, Claim, Claimed, Commit, Counts,
        Event, IdempotencyKey, ImageQuery, ImageSearch, Insertion, Job, JobQuery, JobStore, Lease, Live,
        NewJobs, Owner, Position, Purse, Removal, RequestDigest, Share, StoreError, UpstreamId, Verdict,
    },
    page::{Cursor, Page},
};
use tokio::sync::watch;

#[cfg(feature = "assemble")]
use crate::transfer::{Loads, Rows};

use self::{
    callbacks::PutCallbacks,
    commands::{Change, Extend, Insert, Ping, PutUpload},
    error::{BACKEND, failed},
    library::Mark,
    newest::Newest,
    readers::Readers,
    removal::{Forget, Remove},
    writer::Writer,
};
use crate::rows::{
    Earlier, RawEvent, RawImage, RawJob, RawLeftover, RawUpload,
    callbacks::{RawCallback, RawTally},
    clamped, decoded, library as stored,
};

/// How a [`SqliteJobStore`] works.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SqliteOptions {
    /// How many connections read at the same time.
    pub readers: usize,
    /// How long a write waits for another process that is writing.
    pub busy_limit: Duration,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            readers: 4,
            busy_limit: Duration::from_secs(30),
        }
    }
}

/// A [`JobStore`] in one SQLite file.
///
/// What it has acknowledged survives the death of the process and the machine: every commit is synced
/// (`synchronous=FULL`) before it is answered. Once a sync has failed, nothing can be promised about what is on disk:
/// from there on every write and [`ping`](JobStore::ping) fail with [`StoreError::Stopped`] until the file is opened
/// anew, while reads go on. [`stopped`](Self::stopped) tells when.
///
/// A row that cannot be read makes [`load`](JobStore::load) and the [`list`](JobStore::list)s it stands in fail with
/// [`StoreError::Corrupt`], which names it: a list that left it out would look whole. [`claim`](JobStore::claim) logs
/// it and goes on with the others, so that it stops no work but its own.
pub struct SqliteJobStore {
    path: Arc<Path>,
    // Before the writer: the connection that is closed last, and copies the log into the database, must be able to
    // write.
    readers: Arc<Readers>,
    writer: Writer,
    newest: Arc<Newest>,
    changes: watch::Sender<u64>,
}

impl SqliteJobStore {
    /// Opens the database at `path`; makes it, and the folders above it, where there is none (modes 0600 and 0700).
    ///
    /// **Errors:** [`StoreError::Damaged`] where there is something else, also an empty file or the log of a database
    /// that is gone; [`StoreError::NewerSchema`]. Whatever is refused is left as it is.
    pub async fn open(path: impl Into<PathBuf>, options: SqliteOptions) -> Result<Self, StoreError> {
        let path = path.into();
        blocking("opening the database", move || Self::open_now(&path, &options)).await?
    }

    fn open_now(path: &Path, options: &SqliteOptions) -> Result<Self, StoreError> {
        // Absolute, for SQLite gives names such as `:memory:` a meaning of their own.
        let path = std::path::absolute(path)
            .map_err(|error| failed("opening the database", Applied::No, Retry::Never, error))?;
        let path: Arc<Path> = path.into();
        let opened = open::open(&path, options)?;
        let changes = watch::Sender::new(0);
        let readers = Readers::new(Arc::clone(&path), options.busy_limit, opened.readers);
        let newest = Arc::default();
        let writer = Writer::start(
            opened.writer,
            Arc::clone(&path),
            options.busy_limit,
            changes.clone(),
            Arc::clone(&newest),
        )?;
        Ok(Self {
            path,
            newest,
            readers: Arc::new(readers),
            writer,
            changes,
        })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns once a sync has failed, after which nothing is written until the file is opened anew: the sooner whoever
    /// has it open ends and begins again, the better.
    ///
    /// **Cancel safety:** dropping the future only ends the wait.
    pub async fn stopped(&self) {
        self.writer.stopped().await;
    }

    /// Whether that has happened.
    pub fn has_stopped(&self) -> bool {
        self.writer.has_stopped()
    }

    /// Waits until the file is closed. Not needed for safety: what was acknowledged is on disk.
    pub async fn close(self) -> Result<(), StoreError> {
        let Self { readers, writer, .. } = self;
        blocking("closing the database", move || {
            drop(readers);
            writer.join();
        })
        .await
    }

    /// Reads the whole file and tells what is wrong with it, in words; empty where nothing is. Takes minutes on a
    /// large file, and holds up nobody.
    pub async fn integrity_check(&self) -> Result<Vec<String>, StoreError> {
        let mut wrong = self
            .readers
            .read("checking the database", usize::MAX, queries::integrity)
            .await?;
        let mut query = JobQuery::newest(Page::<Job>::MAX);
        while wrong.is_empty() {
            match self.list(&query).await {
                Ok(Page { next: Some(next), .. }) => query.after = Some(next),
                Ok(_) => break,
                Err(error) => wrong.push(Chain(&error).to_string()),
            }
        }
        Ok(wrong)
    }
}

#[cfg(feature = "assemble")]
impl SqliteJobStore {
    /// All rows as they are when the first is read; writers go on meanwhile.
    pub(crate) fn dump(&self) -> Rows {
        let (sender, rows) = crate::transfer::rows();
        let path = Arc::<Path>::clone(&self.path);
        tokio::task::spawn_blocking(move || transfer::dump(&path, &sender));
        rows
    }

    /// Does what `loads` say, in one transaction; `false` where they ended without a commit.
    ///
    /// **Errors:** where there are jobs already, and the database's. **Cancel safety:** done or not done.
    pub(crate) async fn load_rows(&self, loads: Loads) -> Result<bool, StoreError> {
        let path = Arc::<Path>::clone(&self.path);
        blocking("loading rows", move || transfer::load(&path, loads)).await?
    }
}

impl fmt::Debug for SqliteJobStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteJobStore")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

async fn blocking<T: Send + 'static>(
    operation: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| failed(operation, Applied::Maybe, Retry::Never, error))
}

#[async_trait]
impl JobStore for SqliteJobStore {
    fn backend(&self) -> &'static str {
        BACKEND
    }

    async fn insert(&self, jobs: NewJobs) -> Result<Insertion, StoreError> {
        let (insert, inserted) = self.writer.run_and_return(Insert::new(jobs)?).await?;
        insert.answer(inserted)
    }

    async fn earlier(
        &self,
        owner: &Owner,
        key: &IdempotencyKey,
        digest: RequestDigest,
    ) -> Result<Option<Insertion>, StoreError> {
        let (owner, key) = (owner.clone(), key.clone());
        let earlier = self
            .readers
            .read("looking up an idempotency key", 1, move |db| {
                queries::earlier(db, &owner, &key, digest)
            })
            .await?;
        earlier.map(Earlier::answer).transpose()
    }

    async fn load(&self, id: JobId) -> Result<Option<Job>, StoreError> {
        let row = self
            .readers
            .read("reading a job", 1, move |db| queries::job(db, id))
            .await?;
        row.map(RawJob::decode).transpose()
    }

    async fn list(&self, query: &JobQuery) -> Result<Page<Job>, StoreError> {
        let limit = clamped(query.limit);
        let query = query.clone();
        let rows = self
            .readers
            .read("listing jobs", limit, move |db| {
                queries::jobs(db, &query, limit.saturating_add(1))
            })
            .await?;
        let jobs = decoded(rows, RawJob::decode)?;
        Ok(Page::from_probe(jobs, limit, |job: &Job| *job.id.as_bytes()))
    }

    async fn claim(&self, claim: Claim) -> Result<Vec<Claimed>, StoreError> {
        let until = claim.now.saturating_add(claim.lease);
        let rows = self.writer.run(commands::Claim(claim)).await?;
        let mut claimed = Vec::with_capacity(rows.len());
        for (row, epoch) in rows {
            match row.decode() {
                Ok(job) => {
                    let lease = Lease::new(job.id, epoch, until);
                    claimed.push(Claimed::new(job, lease));
                }
                // It comes up again when its lease has run out, and so does this line.
                Err(error) => tracing::error!(error = %Chain(&error), "a job that is due cannot be read"),
            }
        }
        Ok(claimed)
    }

    async fn extend(&self, lease: &Lease, until: Timestamp) -> Result<Lease, StoreError> {
        let extended = Lease::new(lease.job, lease.epoch, until);
        self.writer.run(Extend(extended)).await
    }

    async fn next_due(&self, accounts: &[Share]) -> Result<Option<Timestamp>, StoreError> {
        let shares = accounts.to_vec();
        let next = self
            .readers
            .read("reading when the next job is due", shares.len(), move |db| {
                queries::next_due(db, &shares)
            })
            .await?;
        Ok(next.map(Timestamp::from_millis))
    }

    async fn live(&self) -> Result<BTreeMap<AccountName, Live>, StoreError> {
        self.readers
            .read("reading what accounts have to do", 1, tallies::live)
            .await
    }

    async fn commit(&self, commit: Commit) -> Result<Job, StoreError> {
        self.writer.run(Change::new(commit)?).await
    }

    async fn history(&self, id: JobId, after: u64, limit: usize) -> Result<Vec<Event>, StoreError> {
        let rows = self
            .readers
            .read("reading a job's events", limit, move |db| {
                queries::history(db, id, after, limit)
            })
            .await?;
        decoded(rows, RawEvent::decode)
    }

    async fn events(&self, after: Position, limit: usize) -> Result<Vec<Event>, StoreError> {
        if let Some(events) = self.newest.after(after, limit) {
            return Ok(events);
        }
        let rows = self
            .readers
            .read("reading events", limit, move |db| {
                queries::events(db, after, limit)
            })
            .await?;
        decoded(rows, RawEvent::decode)
    }

    async fn head(&self) -> Result<Position, StoreError> {
        let head = self
            .readers
            .read("reading the newest position", 1, tallies::position)
            .await?;
        Ok(Position::new(u64::try_from(head).unwrap_or_default()))
    }

    async fn image(&self, id: ImageId) -> Result<Option<Image>, StoreError> {
        let row = self
            .readers
            .read("reading an image's row", 1, move |db| queries::image(db, id))
            .await?;
        row.map(RawImage::decode).transpose()
    }

    async fn put_upload(&self, upload: &Upload) -> Result<(), StoreError> {
        self.writer.run(PutUpload(upload.clone())).await
    }

    async fn remove(&self, removal: &Removal) -> Result<(), StoreError> {
        self.writer.run(Remove(removal.clone())).await
    }

    async fn leftovers(&self, limit: usize) -> Result<Vec<ImageKey>, StoreError> {
        let rows = self
            .readers
            .read("reading what is left over", limit, move |db| {
                removal::leftovers(db, limit)
            })
            .await?;
        decoded(rows, RawLeftover::decode)
    }

    async fn forget_leftovers(&self, keys: &[ImageKey]) -> Result<(), StoreError> {
        self.writer.run(Forget(keys.to_vec())).await
    }

    async fn upload(&self, id: UploadId) -> Result<Option<Upload>, StoreError> {
        let row = self
            .readers
            .read("reading an upload's row", 1, move |db| queries::upload(db, id))
            .await?;
        row.map(RawUpload::decode).transpose()
    }

    async fn uploads(&self, after: Option<Cursor>, limit: usize) -> Result<Page<Upload>, StoreError> {
        let limit = clamped(limit);
        let rows = self
            .readers
            .read("listing uploads", limit, move |db| {
                queries::uploads(db, after, limit.saturating_add(1))
            })
            .await?;
        let uploads = decoded(rows, RawUpload::decode)?;
        Ok(Page::from_probe(uploads, limit, |upload: &Upload| {
            *upload.id.as_bytes()
        }))
    }

    async fn images(&self, query: &ImageQuery) -> Result<Page<Image>, StoreError> {
        let limit = clamped(query.limit);
        let query = query.clone();
        if let Some(job) = query.job {
            let rows = self
                .readers
                .read("listing a job's images", 1, move |db| {
                    queries::images_of(db, job, &query, limit)
                })
                .await?;
            return Ok(Page::new(decoded(rows, RawImage::decode)?, None));
        }
        let rows = self
            .readers
            .read("listing images", limit, move |db| {
                queries::images(db, &query, limit.saturating_add(1))
            })
            .await?;
        let images = decoded(rows, RawImage::decode)?;
        Ok(Page::from_probe(images, limit, |image: &Image| {
            *image.id.as_bytes()
        }))
    }

    async fn search(&self, search: &ImageSearch) -> Result<Page<Image>, StoreError> {
        let limit = clamped(search.limit);
        let sought = search.clone();
        let rows = self
            .readers
            .read("searching for images", limit, move |db| {
                library::search(db, &sought, limit)
            })
            .await?;
        stored::page(rows, search, limit)
    }

    async fn mark(&self, id: ImageId, change: &MarkChange) -> Result<Option<Image>, StoreError> {
        self.writer.run(Mark(id, change.clone())).await
    }

    async fn spent(&self, purses: &[Purse], now: Timestamp) -> Result<Vec<Spending>, StoreError> {
        let purses = purses.to_vec();
        self.readers
            .read("reading what was spent", purses.len(), move |db| {
                purses.iter().map(|purse| purses::spent(db, purse, now)).collect()
            })
            .await
    }

    async fn put_callbacks(&self, records: &[CallbackRecord]) -> Result<(), StoreError> {
        self.writer.run(PutCallbacks(records.to_vec())).await
    }

    async fn callbacks(&self, query: &CallbackQuery) -> Result<Page<CallbackRecord>, StoreError> {
        let limit = clamped(query.limit);
        let query = query.clone();
        let rows = self
            .readers
            .read("listing callbacks", limit, move |db| {
                callbacks::list(db, &query, limit.saturating_add(1))
            })
            .await?;
        let callbacks = decoded(rows, RawCallback::decode)?;
        Ok(Page::from_probe(callbacks, limit, |callback: &CallbackRecord| {
            *callback.id.as_bytes()
        }))
    }

    async fn callback_tallies(&self) -> Result<BTreeMap<Verdict, CallbackTally>, StoreError> {
        let rows = self
            .readers
            .read("counting callbacks", 1, callbacks::tallies)
            .await?;
        decoded(rows, RawTally::decode).map(|tallies| tallies.into_iter().collect())
    }

    async fn job_of_task(
        &self,
        account: &AccountName,
        task: &UpstreamId,
    ) -> Result<Option<JobId>, StoreError> {
        let (account, task) = (account.clone(), task.clone());
        self.readers
            .read("looking for a task", 1, move |db| {
                callbacks::job_of_task(db, &account, &task)
            })
            .await
    }

    async fn counts(&self) -> Result<Counts, StoreError> {
        self.readers.read("counting jobs", 1, tallies::counts).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.writer.run(Ping).await
    }

    fn changes(&self) -> Changes {
        self.changes.subscribe()
    }
}
