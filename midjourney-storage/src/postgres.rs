//! Jobs in PostgreSQL, shared by any number of equal nodes.
//!
//! - Writes of one node are gathered into transactions by one task; nodes take turns at them
//!   (`docs/adr/0008-writers-take-turns-in-postgres.md`). Claims and reads take no turns.
//! - What other nodes have done is heard by `LISTEN`, and looked for every two seconds where nothing is heard.
//! - Where the answer to a commit was lost, the database is asked for it before anybody is told what came of it.

mod callbacks;
mod claims;
mod commands;
mod db;
mod deliveries;
mod error;
mod library;
mod link;
mod listen;
mod migrate;
mod purses;
mod queries;
mod removal;
#[cfg(feature = "assemble")]
mod secrets;
mod tallies;
mod tls;
#[cfg(feature = "assemble")]
mod transfer;
mod turns;
mod writer;

use std::{collections::BTreeMap, fmt, path::PathBuf, time::Duration};

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
use tokio_postgres::{Config, Error};
#[cfg(feature = "assemble")]
use {
    crate::transfer::{Loads, Rows},
    midjourney_core::key::Secret,
};

use self::{
    callbacks::PutCallbacks,
    commands::{Change, Insert, Ping, PutUpload},
    db::Db,
    error::{BACKEND, classify, failed, is_lost},
    library::Mark,
    link::{Link, within},
    listen::Listener,
    removal::{Forget, Remove},
    writer::Writer,
};
use crate::rows::{
    Earlier, RawEvent, RawImage, RawJob, RawLeftover, RawUpload,
    callbacks::{RawCallback, RawTally},
    clamped, decoded, library as stored,
};

/// Answers a question over any connection. One that is lost or does not answer in time is not used again.
macro_rules! read {
    ($link:expr, $operation:literal, |$db:ident| $query:expr) => {{
        let connection = $link.get($operation).await?;
        let $db = Db(&connection);
        match within($query).await {
            Ok(answer) => answer.map_err(|error| {
                if is_lost(&error) {
                    drop(deadpool_postgres::Object::take(connection));
                }
                classify($operation, Applied::No, error)
            }),
            Err(late) => {
                drop(deadpool_postgres::Object::take(connection));
                Err(failed($operation, Applied::No, Retry::Soon, late))
            }
        }
    }};
}

mod delivery_store;

/// How a [`PostgresJobStore`] works.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PostgresOptions {
    /// How many connections there are at most, beside the one that listens; two at least.
    pub connections: usize,
    /// How long a connection may take to be made.
    pub connect_limit: Duration,
    /// How long a write is tried while the database cannot be reached.
    pub retry_limit: Duration,
    /// A file of certificates (PEM) that the database's own must be signed by, instead of those that the system trusts.
    /// Where it is set, no connection is made in the clear.
    pub ca: Option<PathBuf>,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self {
            connections: 8,
            connect_limit: Duration::from_secs(5),
            retry_limit: Duration::from_secs(20),
            ca: None,
        }
    }
}

/// A [`JobStore`] in a PostgreSQL database of version 13 or later.
///
/// What it has acknowledged survives the death of the node and of the database: every commit is synced
/// (`synchronous_commit=on`) before it is answered, whatever the server's own setting is.
///
/// A row that cannot be read makes [`load`](JobStore::load) and the [`list`](JobStore::list)s it stands in fail with
/// [`StoreError::Corrupt`], which names it. [`claim`](JobStore::claim) logs it and goes on with the others.
pub struct PostgresJobStore {
    link: Link,
    writer: Writer,
    changes: watch::Sender<u64>,
    _listener: Listener,
    place: String,
}

impl PostgresJobStore {
    /// Connects to the database at `url` (`postgres://user:password@host/database`) and brings its schema up to date;
    /// nodes that start at once do that one after another.
    ///
    /// With `?sslmode=require` in it, or with [`PostgresOptions::ca`], connections are encrypted and the database's
    /// certificate must be good for its host; without either they are made in the clear.
    ///
    /// **Errors:** [`StoreError::Backend`] where `url` is none or the database cannot be reached;
    /// [`StoreError::NewerSchema`]; [`StoreError::Damaged`] for a schema of somebody else. No error shows the password.
    pub async fn connect(url: &str, options: PostgresOptions) -> Result<Self, StoreError> {
        let config: Config = url.parse().map_err(|_: Error| {
            let wrong = "expected postgres://user:password@host/database";
            failed(
                "reading the address of the database",
                Applied::No,
                Retry::Never,
                wrong,
            )
        })?;
        let place = format!("database {}", config.get_dbname().unwrap_or("postgres"));
        let link = Link::new(config, &options).await?;
        let mut connection = link.get("opening the database").await?;
        migrate::apply(&mut connection, &place).await?;
        drop(connection);
        let changes = watch::Sender::new(0);
        Ok(Self {
            writer: Writer::start(link.clone(), options.retry_limit, changes.clone()),
            _listener: Listener::start(link.clone(), changes.clone()),
            link,
            changes,
            place,
        })
    }

    /// The secret that all nodes share under `name`: `fresh`, unless there is one already.
    ///
    /// **Errors:** [`StoreError::Backend`], which may be tried again. **Cancel safety:** `fresh` may have been kept.
    #[cfg(feature = "assemble")]
    pub(crate) async fn shared_secret(&self, name: &str, fresh: &Secret) -> Result<Secret, StoreError> {
        let kept = read!(self.link, "reading a secret of the gateway's own", |db| {
            secrets::shared(db, name, fresh)
        })?;
        kept.ok_or(StoreError::Corrupt {
            table: "own_secrets",
            row: name.to_owned(),
            column: "value",
            source: "it is gone".into(),
        })
    }

    /// All rows as they are when the first is read; writers go on meanwhile.
    #[cfg(feature = "assemble")]
    pub(crate) fn dump(&self) -> Rows {
        let (sender, rows) = crate::transfer::rows();
        tokio::spawn(transfer::dump(self.link.clone(), sender));
        rows
    }

    /// Does what `loads` say, in one transaction; `false` where they ended without a commit.
    ///
    /// **Errors:** where there are jobs already, and the database's. **Cancel safety:** done or not done.
    #[cfg(feature = "assemble")]
    pub(crate) async fn load_rows(&self, loads: Loads) -> Result<bool, StoreError> {
        transfer::load(self.link.clone(), loads).await
    }

    /// The secrets that all nodes share, by name.
    #[cfg(feature = "assemble")]
    pub(crate) async fn shared_secrets(&self) -> Result<Vec<(String, Secret)>, StoreError> {
        read!(self.link, "reading the gateway's own secrets", |db| secrets::all(
            db
        ))
    }

    /// Has all nodes share `secret` under `name` from now on.
    #[cfg(feature = "assemble")]
    pub(crate) async fn replace_secret(&self, name: &str, secret: &Secret) -> Result<(), StoreError> {
        read!(self.link, "keeping a secret of the gateway's own", |db| {
            secrets::replace(db, name, secret)
        })
    }

    /// Where this is, in words: the database's name without the rest of its address.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Returns once nothing is written any more until the database is opened anew: the task that writes has died, or the
    /// runtime that it was started in.
    ///
    /// **Cancel safety:** dropping the future only ends the wait.
    pub async fn stopped(&self) {
        self.writer.stopped().await;
    }

    /// Whether that has happened.
    pub fn has_stopped(&self) -> bool {
        self.writer.has_stopped()
    }

    /// Waits until everything is written and the connections are closed. Not needed for safety.
    pub async fn close(self) {
        self.writer.close().await;
        self.link.close();
    }
}

impl fmt::Debug for PostgresJobStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresJobStore")
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl JobStore for PostgresJobStore {
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
        let earlier = read!(self.link, "looking up an idempotency key", |db| queries::earlier(
            db, owner, key, digest
        ))?;
        earlier.map(Earlier::answer).transpose()
    }

    async fn load(&self, id: JobId) -> Result<Option<Job>, StoreError> {
        let row = read!(self.link, "reading a job", |db| queries::job(db, id))?;
        row.map(RawJob::decode).transpose()
    }

    async fn list(&self, query: &JobQuery) -> Result<Page<Job>, StoreError> {
        let limit = clamped(query.limit);
        let rows = read!(self.link, "listing jobs", |db| queries::jobs(
            db,
            query,
            limit.saturating_add(1)
        ))?;
        let jobs = decoded(rows, RawJob::decode)?;
        Ok(Page::from_probe(jobs, limit, |job: &Job| *job.id.as_bytes()))
    }

    async fn claim(&self, claim: Claim) -> Result<Vec<Claimed>, StoreError> {
        let until = claim.now.saturating_add(claim.lease);
        // A task of its own: a caller that gives up must not leave a transaction open.
        let link = self.link.clone();
        let claiming =
            tokio::spawn(async move { read!(link, "claiming jobs", |db| claims::claim(db, &claim)) });
        let rows = claiming
            .await
            .map_err(|error| failed("claiming jobs", Applied::Maybe, Retry::Soon, error))??;
        let mut claimed = Vec::with_capacity(rows.len());
        for (epoch, row) in rows {
            match row.decode() {
                Ok(job) => {
                    let lease = Lease::new(job.id, u64::try_from(epoch).unwrap_or_default(), until);
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
        let held = read!(self.link, "extending a lease", |db| claims::extend(db, &extended))?;
        if held {
            return Ok(extended);
        }
        Err(match self.load(lease.job).await? {
            Some(_) => StoreError::LeaseLost(lease.job),
            None => StoreError::NoSuchJob(lease.job),
        })
    }

    async fn next_due(&self, accounts: &[Share]) -> Result<Option<Timestamp>, StoreError> {
        let next = read!(self.link, "reading when the next job is due", |db| {
            claims::next_due(db, accounts)
        })?;
        Ok(next.map(Timestamp::from_millis))
    }

    async fn live(&self) -> Result<BTreeMap<AccountName, Live>, StoreError> {
        read!(self.link, "reading what accounts have to do", |db| tallies::live(
            db
        ))
    }

    async fn commit(&self, commit: Commit) -> Result<Job, StoreError> {
        self.writer.run(Change::new(commit)?).await
    }

    async fn history(&self, id: JobId, after: u64, limit: usize) -> Result<Vec<Event>, StoreError> {
        let rows = read!(self.link, "reading a job's events", |db| queries::history(
            db, id, after, limit
        ))?;
        decoded(rows, RawEvent::decode)
    }

    async fn events(&self, after: Position, limit: usize) -> Result<Vec<Event>, StoreError> {
        let rows = read!(self.link, "reading events", |db| queries::events(
            db, after, limit
        ))?;
        decoded(rows, RawEvent::decode)
    }

    async fn head(&self) -> Result<Position, StoreError> {
        let head = read!(self.link, "reading the newest position", |db| tallies::position(
            db
        ))?;
        Ok(Position::new(u64::try_from(head).unwrap_or_default()))
    }

    async fn image(&self, id: ImageId) -> Result<Option<Image>, StoreError> {
        let row = read!(self.link, "reading an image's row", |db| queries::image(db, id))?;
        row.map(RawImage::decode).transpose()
    }

    async fn images(&self, query: &ImageQuery) -> Result<Page<Image>, StoreError> {
        let limit = clamped(query.limit);
        if let Some(job) = query.job {
            let rows = read!(self.link, "listing a job's images", |db| queries::images_of(
                db, job, query, limit
            ))?;
            return Ok(Page::new(decoded(rows, RawImage::decode)?, None));
        }
        let rows = read!(self.link, "listing images", |db| queries::images(
            db,
            query,
            limit.saturating_add(1)
        ))?;
        let images = decoded(rows, RawImage::decode)?;
        Ok(Page::from_probe(images, limit, |image: &Image| {
            *image.id.as_bytes()
        }))
    }

    async fn search(&self, search: &ImageSearch) -> Result<Page<Image>, StoreError> {
        let limit = clamped(search.limit);
        let rows = read!(self.link, "searching for images", |db| library::search(
            db, search, limit
        ))?;
        stored::page(rows, search, limit)
    }

    async fn mark(&self, id: ImageId, change: &MarkChange) -> Result<Option<Image>, StoreError> {
        self.writer.run(Mark(id, change.clone())).await
    }

    async fn put_upload(&self, upload: &Upload) -> Result<(), StoreError> {
        self.writer.run(PutUpload(upload.clone())).await
    }

    async fn upload(&self, id: UploadId) -> Result<Option<Upload>, StoreError> {
        let row = read!(self.link, "reading an upload's row", |db| queries::upload(db, id))?;
        row.map(RawUpload::decode).transpose()
    }

    async fn uploads(&self, after: Option<Cursor>, limit: usize) -> Result<Page<Upload>, StoreError> {
        let limit = clamped(limit);
        let rows = read!(self.link, "listing uploads", |db| queries::uploads(
            db,
            after,
            limit.saturating_add(1)
        ))?;
        let uploads = decoded(rows, RawUpload::decode)?;
        Ok(Page::from_probe(uploads, limit, |upload: &Upload| {
            *upload.id.as_bytes()
        }))
    }

    async fn remove(&self, removal: &Removal) -> Result<(), StoreError> {
        self.writer.run(Remove(removal.clone())).await
    }

    async fn leftovers(&self, limit: usize) -> Result<Vec<ImageKey>, StoreError> {
        let rows = read!(self.link, "reading what is left over", |db| removal::leftovers(
            db, limit
        ))?;
        decoded(rows, RawLeftover::decode)
    }

    async fn forget_leftovers(&self, keys: &[ImageKey]) -> Result<(), StoreError> {
        self.writer.run(Forget(keys.to_vec())).await
    }

    async fn put_callbacks(&self, records: &[CallbackRecord]) -> Result<(), StoreError> {
        self.writer.run(PutCallbacks(records.to_vec())).await
    }

    async fn callbacks(&self, query: &CallbackQuery) -> Result<Page<CallbackRecord>, StoreError> {
        let limit = clamped(query.limit);
        let rows = read!(self.link, "listing callbacks", |db| callbacks::list(
            db,
            query,
            limit.saturating_add(1)
        ))?;
        let callbacks = decoded(rows, RawCallback::decode)?;
        Ok(Page::from_probe(callbacks, limit, |callback: &CallbackRecord| {
            *callback.id.as_bytes()
        }))
    }

    async fn callback_tallies(&self) -> Result<BTreeMap<Verdict, CallbackTally>, StoreError> {
        let rows = read!(self.link, "counting callbacks", |db| callbacks::tallies(db))?;
        decoded(rows, RawTally::decode).map(|tallies| tallies.into_iter().collect())
    }

    async fn job_of_task(
        &self,
        account: &AccountName,
        task: &UpstreamId,
    ) -> Result<Option<JobId>, StoreError> {
        read!(self.link, "looking for a task", |db| callbacks::job_of_task(
            db, account, task
        ))
    }

    async fn spent(&self, purses: &[Purse], now: Timestamp) -> Result<Vec<Spending>, StoreError> {
        read!(self.link, "reading what was spent", |db| purses::all_spent(
            db, purses, now
        ))
    }

    async fn counts(&self) -> Result<Counts, StoreError> {
        read!(self.link, "counting jobs", |db| tallies::counts(db))
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.writer.run(Ping).await
    }

    fn changes(&self) -> Changes {
        self.changes.subscribe()
    }
}
