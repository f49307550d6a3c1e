//! What the writer can be asked for. Everything that costs time and needs no database, such as making JSON, is done
//! before, on the caller's own thread.

use std::sync::LazyLock;

use midjourney_core::{
    clock::Timestamp,
    error::{Applied, Retry},
    id::BatchId,
    image::Upload,
    job::{
        Commit, Event, EventKind, IdempotencyKey, Insertion, Job, LONGEST_WAIT, Lease, Life, NewJobs,
        Overdrawn, Position, RequestDigest, Status, StoreError,
    },
};
use rusqlite::{Connection, OptionalExtension as _, params, params_from_iter};

use super::{
    callbacks,
    columns::Columns as _,
    error::{failed, is_constraint},
    library, purses,
    queries::{self, CLAIMABLE},
    writer::{Command, Refusal, Tx},
};
use crate::rows::{
    Earlier, IMAGE, JOB, LIVING, RawJob, UPLOAD,
    change::{CHANGED, Changing, Present, image_columns, upload_columns},
    count, int, status_code, stored,
    tallies::Place,
};

/// Adds an event.
const TELL: &str = "INSERT INTO events (position, job, sequence, at, body) VALUES (?1, ?2, ?3, ?4, ?5)";

/// Writes [`CHANGED`].
static CHANGE: LazyLock<String> = LazyLock::new(|| {
    let columns: Vec<_> = (2..)
        .zip(CHANGED)
        .map(|(number, name)| format!("{name} = ?{number}"))
        .collect();
    format!("UPDATE jobs SET {} WHERE row = ?1", columns.join(", "))
});

fn json<T: serde::Serialize>(operation: &'static str, data: &T) -> Result<String, StoreError> {
    stored::write(data).map_err(|error| failed(operation, Applied::No, Retry::Never, error))
}

fn position(row: i64) -> Position {
    Position::new(u64::try_from(row).unwrap_or_default())
}

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
        Ok(Self {
            requests: jobs
                .jobs
                .iter()
                .map(|job| json(Self::OPERATION, &job.request))
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

    fn run(&self, tx: &mut Tx<'_>) -> Result<Inserted, Refusal> {
        let common = &self.jobs;
        if let (Some(key), Some(digest)) = (&common.idempotency_key, self.digest)
            && let Some(earlier) = queries::earlier(tx.db, &common.owner, key, digest)?
        {
            return Ok(Inserted::Earlier(earlier));
        }
        let entries = common.entries();
        if let Some(overdrawn) = purses::overdrawn(tx.db, &entries, common.now)? {
            return Ok(Inserted::Overdrawn(overdrawn));
        }
        let now = common.now.as_millis();
        let key = common.idempotency_key.as_ref().map(IdempotencyKey::as_str);
        let digest = self.digest.as_ref().map(RequestDigest::as_bytes);
        let mut insert = tx.db.prepare_cached(
            "INSERT INTO jobs (row, id, owner, account, batch, status, due, wake_at, created_at, updated_at,
                               cost, idempotency_key, digest, ordinal, request)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, ?7, ?7, ?8, ?9, ?10, ?11, ?12)",
        )?;
        let life = Life::new(common.now);
        for (ordinal, (job, request)) in (0_i64..).zip(common.jobs.iter().zip(&self.requests)) {
            let row = tx.next_position()?;
            let inserted = insert.execute(params![
                row,
                job.id.as_bytes(),
                common.owner.as_str(),
                common.account.as_str(),
                common.batch.as_ref().map(BatchId::as_bytes),
                status_code(Status::Pending),
                now,
                int(job.cost.thousandths()),
                key,
                digest,
                ordinal,
                request,
            ]);
            match inserted {
                // A refused first row has left nothing behind; after a later one the transaction is taken back.
                Err(error) if ordinal == 0 && is_constraint(&error) => {
                    return Err(failed(Self::OPERATION, Applied::No, Retry::Never, error).into());
                }
                other => other?,
            };
            let (now, kind) = (common.now, EventKind::Created);
            tx.tell(Event::of(job.id, 1, position(row), now, kind, &life));
        }
        purses::book(tx.db, &entries)?;
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

/// Sets a lease until `?2`, as [`wakes_at`] has it; `?3` is [`stray_after`] that.
const LEASE: &str = "lease_until = ?2, wake_at = CASE WHEN due > ?3 THEN ?2 ELSE max(due, ?2) END";

/// What lies beyond this was put there by a clock that was wrong.
fn stray_after(time: Timestamp) -> i64 {
    time.saturating_add(LONGEST_WAIT).as_millis()
}

/// [`JobStore::claim`](midjourney_core::job::JobStore::claim).
pub(super) struct Claim(pub(super) midjourney_core::job::Claim);

impl Command for Claim {
    type Output = Vec<(RawJob, u64)>;
    const OPERATION: &'static str = "claiming jobs";

    fn rows(&self) -> usize {
        self.0.limit
    }

    fn run(&self, tx: &mut Tx<'_>) -> Result<Self::Output, Refusal> {
        let claim = &self.0;
        let now = claim.now.as_millis();
        let until = claim.now.saturating_add(claim.lease);
        let stray = stray_after(claim.now);
        // Two walks of the index per account, merged here: together they read at most twice `limit` rows of each.
        let mut candidates = Vec::new();
        let mut due = tx.db.prepare_cached(CLAIMABLE)?;
        for share in &claim.accounts {
            let first = candidates.len();
            for status in LIVING {
                let most = share.most.min(claim.limit);
                let most = if status == Status::Pending {
                    share.starts.min(most)
                } else {
                    most
                };
                let wanted = params![
                    share.account.as_str(),
                    status_code(status),
                    now,
                    stray,
                    count(most)
                ];
                let found = due.query_map(wanted, |row| {
                    Ok((
                        row.get::<_, i64>(0)?,
                        row.get::<_, [u8; 16]>(1)?,
                        row.get::<_, i64>(2)?,
                    ))
                })?;
                for candidate in found {
                    candidates.push(candidate?);
                }
            }
            if let Some(own) = candidates.get_mut(first..) {
                own.sort_unstable();
            }
            candidates.truncate(first.saturating_add(share.most));
        }
        candidates.sort_unstable();
        let mut take = tx.db.prepare_cached(&format!(
            "UPDATE jobs SET lease_epoch = lease_epoch + 1, {LEASE}
             WHERE row = ?1
             RETURNING lease_epoch, {JOB}",
        ))?;
        let mut claimed = Vec::new();
        for (_, _, row) in candidates.into_iter().take(claim.limit) {
            claimed.push(
                take.query_row([row, until.as_millis(), stray_after(until)], |row| {
                    Ok((RawJob::read_from(row, 1)?, row.get::<_, u64>(0)?))
                })?,
            );
        }
        Ok(claimed)
    }
}

/// [`JobStore::extend`](midjourney_core::job::JobStore::extend).
pub(super) struct Extend(pub(super) Lease);

impl Command for Extend {
    type Output = Lease;
    const OPERATION: &'static str = "extending a lease";

    fn run(&self, tx: &mut Tx<'_>) -> Result<Lease, Refusal> {
        let lease = &self.0;
        let epoch: Option<u64> = tx
            .db
            .prepare_cached("SELECT lease_epoch FROM jobs WHERE id = ?1")?
            .query_row([lease.job.as_bytes()], |row| row.get(0))
            .optional()?;
        match epoch {
            None => Err(StoreError::NoSuchJob(lease.job).into()),
            Some(epoch) if epoch != lease.epoch => Err(StoreError::LeaseLost(lease.job).into()),
            Some(_) => {
                tx.db
                    .prepare_cached(&format!("UPDATE jobs SET {LEASE} WHERE id = ?1"))?
                    .execute(params![
                        lease.job.as_bytes(),
                        lease.until.as_millis(),
                        stray_after(lease.until)
                    ])?;
                Ok(*lease)
            }
        }
    }
}

/// [`JobStore::commit`](midjourney_core::job::JobStore::commit).
pub(super) struct Change(Changing);

impl Change {
    pub(super) fn new(commit: Commit) -> Result<Self, StoreError> {
        let changing = Changing::new(commit);
        changing
            .map(Self)
            .map_err(|error| failed(Self::OPERATION, Applied::No, Retry::Never, error))
    }

    fn present(&self, db: &Connection) -> rusqlite::Result<Option<Present>> {
        db.prepare_cached(&format!(
            "SELECT row, lease_epoch, lease_until, status, holds_slot, {JOB} FROM jobs WHERE id = ?1"
        ))?
        .query_row([self.0.commit.job.as_bytes()], |row| {
            Ok(Present {
                row: row.get(0)?,
                epoch: row.get(1)?,
                leased_until: row.get(2)?,
                status: row.get(3)?,
                holds_slot: row.get(4)?,
                version: row.get(6)?,
                job: RawJob::read_from(row, 5)?,
            })
        })
        .optional()
    }
}

impl Command for Change {
    type Output = Job;
    const OPERATION: &'static str = "committing a change";

    fn rows(&self) -> usize {
        self.0.commit.images.len().saturating_add(1)
    }

    fn run(&self, tx: &mut Tx<'_>) -> Result<Job, Refusal> {
        let (present, status) = self.0.checked(self.present(tx.db)?)?;
        let commit = &self.0.commit;
        // Before anything is written: a row that cannot be read is not changed either.
        let mut job = present.job.decode_with(commit.life.clone())?;
        let before = Place {
            account: &job.account.clone(),
            status,
            holds_slot: present.holds_slot,
        };
        if let Some(callback) = &commit.callback
            && callbacks::is_known(tx.db, callback)?
        {
            return Err(StoreError::Repeated(job.id).into());
        }
        let takes_slot = commit.life.state.holds_slot() && !before.holds_slot;
        if let Some(slots) = commit.slots
            && takes_slot
            && tx.running(&job.account)? >= i64::from(slots)
        {
            return Err(StoreError::NoSlot(job.id).into());
        }
        let entries = commit.settle(&mut job);
        if let Some(overdrawn) = purses::overdrawn(tx.db, &entries, commit.now)? {
            return Err(StoreError::Overdrawn(overdrawn).into());
        }
        purses::book(tx.db, &entries)?;
        self.0.number(&mut job);
        let columns = self.0.columns(present.row, present.leased_until, &job);
        tx.db
            .prepare_cached(&CHANGE)?
            .execute(params_from_iter(columns))?;
        if let (Some(event), Some(kind)) = (&self.0.event, commit.event) {
            let row = tx.next_position()?;
            tx.db.prepare_cached(TELL)?.execute(params![
                row,
                present.row,
                int(job.sequence),
                commit.now.as_millis(),
                event
            ])?;
            let (now, life) = (commit.now, &commit.life);
            tx.tell(Event::of(job.id, job.sequence, position(row), now, kind, life));
        }
        if let Some(callback) = &commit.callback {
            callbacks::put(tx.db, callback)?;
        }
        for image in &commit.images {
            tx.db
                .prepare_cached(&format!(
                    "INSERT OR REPLACE INTO images ({IMAGE})
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)"
                ))?
                .execute(params_from_iter(image_columns(image)))?;
        }
        if let Some(terms) = &commit.terms
            && (!commit.images.is_empty() || queries::has_images(tx.db, job.id)?)
        {
            library::file(tx.db, present.row, terms)?;
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

    fn run(&self, tx: &mut Tx<'_>) -> Result<(), Refusal> {
        tx.db
            .prepare_cached(&format!(
                "INSERT INTO uploads ({UPLOAD}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"
            ))?
            .execute(params_from_iter(upload_columns(&self.0)))?;
        Ok(())
    }
}

/// [`JobStore::ping`](midjourney_core::job::JobStore::ping): the write lock can be had, and no sync has failed. It
/// writes nothing, for every write would wake the watchers of every process.
pub(super) struct Ping;

impl Command for Ping {
    type Output = ();
    const OPERATION: &'static str = "asking for the write lock";

    fn run(&self, _tx: &mut Tx<'_>) -> Result<(), Refusal> {
        Ok(())
    }
}
