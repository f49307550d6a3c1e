//! What the writer can be asked for about jobs. Everything that costs time and needs no database, such as making JSON, is
//! done before, on the caller's own task.

use std::sync::LazyLock;

use midjourney_core::{
    error::{Applied, Retry},
    id::BatchId,
    image::Upload,
    job::{Commit, IdempotencyKey, Insertion, Job, NewJobs, Overdrawn, RequestDigest, Status, StoreError},
};
use tokio_postgres::Error;

use super::{
    callbacks,
    db::{Columns, Db, numbers, values},
    error::failed,
    library, purses, queries,
    writer::{Command, Refusal, Tx},
};
use crate::rows::{
    Earlier, IMAGE, JOB, RawJob, UPLOAD, Value,
    change::{CHANGED, Changing, Present, image_columns, upload_columns},
    count, int, status_code, stored,
    tallies::Place,
};

/// [`JobStore::insert`](midjourney_core::job::JobStore::insert).
pub(super) struct Insert {
    jobs: NewJobs,
    /// Where there is a key.
    digest: Option<RequestDigest>,
    requests: Vec<String>,
}

/// What came of it; the jobs are put together by the caller.
pub(super) enum Inserted {
    Created,
    Earlier(Earlier),
    Overdrawn(Overdrawn),
}

impl Insert {
    pub(super) fn new(jobs: NewJobs) -> Result<Self, StoreError> {
        let json = |error| failed(Self::OPERATION, Applied::No, Retry::Never, error);
        Ok(Self {
            requests: jobs
                .jobs
                .iter()
                .map(|job| stored::write(&job.request).map_err(json))
                .collect::<Result<_, _>>()?,
            digest: jobs.idempotency_key.is_some().then(|| jobs.digest()),
            jobs,
        })
    }

    /// The answer to the caller.
    pub(super) fn answer(self, inserted: Inserted) -> Result<Insertion, StoreError> {
        Ok(match inserted {
            Inserted::Created => Insertion::Created(self.jobs.into_jobs()),
            Inserted::Earlier(earlier) => earlier.answer()?,
            Inserted::Overdrawn(overdrawn) => Insertion::Overdrawn(overdrawn),
        })
    }
}

impl Command for Insert {
    type Output = Inserted;
    const OPERATION: &'static str = "inserting jobs";

    fn rows(&self) -> usize {
        self.requests.len()
    }

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Inserted, Refusal> {
        let common = &self.jobs;
        if let (Some(key), Some(digest)) = (&common.idempotency_key, self.digest)
            && let Some(earlier) = queries::earlier(tx.db, &common.owner, key, digest).await?
        {
            return Ok(Inserted::Earlier(earlier));
        }
        let entries = common.entries();
        if let Some(overdrawn) = purses::overdrawn(tx.db, &entries, common.now).await? {
            return Ok(Inserted::Overdrawn(overdrawn));
        }
        let key = common.idempotency_key.as_ref().map(IdempotencyKey::as_str);
        for (ordinal, (job, request)) in (0_i64..).zip(common.jobs.iter().zip(&self.requests)) {
            let values = [
                tx.next_position().into(),
                job.id.as_bytes().into(),
                common.owner.as_str().into(),
                common.account.as_str().into(),
                common.batch.as_ref().map(BatchId::as_bytes).into(),
                status_code(Status::Pending).into(),
                common.now.as_millis().into(),
                int(job.cost.thousandths()).into(),
                key.into(),
                self.digest.as_ref().map(RequestDigest::as_bytes).into(),
                ordinal.into(),
                request.as_str().into(),
            ];
            tx.db
                .execute(
                    "INSERT INTO jobs (row, id, owner, account, batch, status, due, wake_at, created_at, updated_at,
                                       cost, idempotency_key, digest, ordinal, request)
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $7, $7, $7, $8, $9, $10, $11, $12)",
                    &values,
                )
                .await?;
        }
        purses::book(tx.db, &entries).await?;
        let place = Place {
            account: &common.account,
            status: Status::Pending,
            holds_slot: false,
        };
        tx.count(place, count(common.jobs.len()));
        tx.changed();
        Ok(Inserted::Created)
    }
}

/// [`JobStore::commit`](midjourney_core::job::JobStore::commit).
pub(super) struct Change(Changing);

/// Writes [`CHANGED`].
static CHANGE: LazyLock<String> = LazyLock::new(|| {
    let columns: Vec<_> = (2..)
        .zip(CHANGED)
        .map(|(number, name)| format!("{name} = ${number}"))
        .collect();
    format!("UPDATE jobs SET {} WHERE row = $1", columns.join(", "))
});

/// Replaces the picture at its place, if there is one.
static PUT_IMAGE: LazyLock<String> = LazyLock::new(|| {
    let places: Vec<_> = (1..=15).map(|number| format!("${number}")).collect();
    let set: Vec<_> = IMAGE
        .split(", ")
        .map(|column| format!("{column} = excluded.{column}"))
        .collect();
    format!(
        "INSERT INTO images ({IMAGE}) VALUES ({}) ON CONFLICT (job, kind, number) DO UPDATE SET {}",
        places.join(", "),
        set.join(", ")
    )
});

impl Columns for Present {
    fn read_from(row: &tokio_postgres::Row, from: usize) -> Result<Self, Error> {
        let [number, epoch, leased_until, status, holds_slot] = values(row, from)?;
        let leased_until = match leased_until {
            Value::Integer(until) => Some(until),
            _ => None,
        };
        let [number, epoch, status, holds_slot] = numbers(Some([number, epoch, status, holds_slot]));
        let job = RawJob::read_from(row, from.saturating_add(5))?;
        let version = match &job.0 {
            [_, Value::Integer(version), ..] => *version,
            _ => 0,
        };
        Ok(Self {
            row: number,
            epoch: u64::try_from(epoch).unwrap_or_default(),
            leased_until,
            status,
            holds_slot: holds_slot != 0,
            version: u64::try_from(version).unwrap_or_default(),
            job,
        })
    }
}

impl Change {
    pub(super) fn new(commit: Commit) -> Result<Self, StoreError> {
        let changing = Changing::new(commit);
        changing
            .map(Self)
            .map_err(|error| failed(Self::OPERATION, Applied::No, Retry::Never, error))
    }

    /// The present row, locked: claims take no turns with writers.
    async fn present(&self, db: Db<'_>) -> Result<Option<Present>, Error> {
        let sql = format!(
            "SELECT row, lease_epoch, lease_until, status, holds_slot, {JOB} FROM jobs WHERE id = $1 FOR UPDATE"
        );
        db.row(&sql, &[self.0.commit.job.as_bytes().into()]).await
    }
}

impl Command for Change {
    type Output = Job;
    const OPERATION: &'static str = "committing a change";

    fn rows(&self) -> usize {
        self.0.commit.images.len().saturating_add(1)
    }

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Job, Refusal> {
        let (present, status) = self.0.checked(self.present(tx.db).await?)?;
        let commit = &self.0.commit;
        // Before anything is written: a row that cannot be read is not changed either.
        let mut job = present.job.decode_with(commit.life.clone())?;
        let before = Place {
            account: &job.account.clone(),
            status,
            holds_slot: present.holds_slot,
        };
        if let Some(callback) = &commit.callback
            && callbacks::is_known(tx.db, callback).await?
        {
            return Err(StoreError::Repeated(job.id).into());
        }
        let takes_slot = commit.life.state.holds_slot() && !before.holds_slot;
        if let Some(slots) = commit.slots
            && takes_slot
            && tx.running(&job.account).await? >= i64::from(slots)
        {
            return Err(StoreError::NoSlot(job.id).into());
        }
        let entries = commit.settle(&mut job);
        if let Some(overdrawn) = purses::overdrawn(tx.db, &entries, commit.now).await? {
            return Err(StoreError::Overdrawn(overdrawn).into());
        }
        purses::book(tx.db, &entries).await?;
        self.0.number(&mut job);
        let columns = self.0.columns(present.row, present.leased_until, &job);
        tx.db.execute(&CHANGE, &columns).await?;
        if let Some(event) = &self.0.event {
            let values = [
                tx.next_position().into(),
                present.row.into(),
                int(job.sequence).into(),
                commit.now.as_millis().into(),
                event.as_str().into(),
            ];
            tx.db
                .execute(
                    "INSERT INTO events (position, job, sequence, at, body) VALUES ($1, $2, $3, $4, $5)",
                    &values,
                )
                .await?;
        }
        if let Some(callback) = &commit.callback {
            callbacks::put(tx.db, callback).await?;
        }
        for image in &commit.images {
            tx.db.execute(&PUT_IMAGE, &image_columns(image)).await?;
        }
        if let Some(terms) = &commit.terms
            && (!commit.images.is_empty() || queries::has_images(tx.db, job.id).await?)
        {
            library::file(tx.db, present.row, terms).await?;
        }
        tx.count(before, -1);
        tx.count(Place::of(&job), 1);
        tx.changed();
        Ok(job)
    }
}

/// [`JobStore::put_upload`](midjourney_core::job::JobStore::put_upload).
pub(super) struct PutUpload(pub(super) Upload);

impl Command for PutUpload {
    type Output = ();
    const OPERATION: &'static str = "storing an upload's row";

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), Refusal> {
        let put = format!("INSERT INTO uploads ({UPLOAD}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)");
        tx.db.execute(&put, &upload_columns(&self.0)).await?;
        Ok(())
    }
}

/// [`JobStore::ping`](midjourney_core::job::JobStore::ping): the lock of the writers can be had.
pub(super) struct Ping;

impl Command for Ping {
    type Output = ();
    const OPERATION: &'static str = "asking for the write lock";

    async fn run(&self, _tx: &mut Tx<'_>) -> Result<(), Refusal> {
        Ok(())
    }
}
