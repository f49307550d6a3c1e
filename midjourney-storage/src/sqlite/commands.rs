//! What the writer can be asked for. Everything that costs time and needs no database, such as making JSON, is done
//! before, on the caller's own thread.

use midjourney_core::{
    clock::Timestamp,
    error::{Applied, Retry},
    id::BatchId,
    image::{Image, Upload},
    job::{
        Commit, IdempotencyKey, Insertion, Job, LONGEST_WAIT, Lease, LeaseEnd, NewJobs, Overdrawn,
        RequestDigest, Status, StoreError, UpstreamId, wakes_at,
    },
};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{
    callbacks,
    error::{failed, is_constraint},
    purses,
    queries::{self, CLAIMABLE, Earlier, LIVING},
    rows::{JOB, RawJob, count, int, kind_code, status_code},
    stored::{self, EventBody},
    tallies::Place,
    writer::{Command, Refusal, Tx},
};

/// Adds an event.
const TELL: &str = "INSERT INTO events (position, job, sequence, at, body) VALUES (?1, ?2, ?3, ?4, ?5)";

fn json<T: serde::Serialize>(operation: &'static str, data: &T) -> Result<String, StoreError> {
    stored::write(data).map_err(|error| failed(operation, Applied::No, Retry::Never, error))
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
        for (ordinal, (job, request)) in (0_i64..).zip(common.jobs.iter().zip(&self.requests)) {
            let inserted = insert.execute(params![
                tx.next_position()?,
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
                    Ok((RawJob::read(row, 1)?, row.get::<_, u64>(0)?))
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
pub(super) struct Change {
    commit: Commit,
    life: String,
    event: Option<String>,
}

/// What a change is checked against.
struct Present {
    row: i64,
    epoch: u64,
    leased_until: Option<i64>,
    status: i64,
    holds_slot: bool,
    version: u64,
    job: RawJob,
}

impl Change {
    pub(super) fn new(commit: Commit) -> Result<Self, StoreError> {
        if let Some(image) = commit.images.iter().find(|image| kind_code(image.kind).is_none()) {
            let text = format!("this release cannot store images of kind {}", image.kind.name());
            return Err(failed(Self::OPERATION, Applied::No, Retry::Never, text));
        }
        Ok(Self {
            life: json(Self::OPERATION, &commit.life)?,
            event: match commit.event {
                Some(kind) => Some(json(Self::OPERATION, &EventBody::of(kind, &commit.life))?),
                None => None,
            },
            commit,
        })
    }

    fn present(&self, db: &Connection) -> rusqlite::Result<Option<Present>> {
        db.prepare_cached(&format!(
            "SELECT row, lease_epoch, lease_until, status, holds_slot, {JOB} FROM jobs WHERE id = ?1"
        ))?
        .query_row([self.commit.job.as_bytes()], |row| {
            Ok(Present {
                row: row.get(0)?,
                epoch: row.get(1)?,
                leased_until: row.get(2)?,
                status: row.get(3)?,
                holds_slot: row.get(4)?,
                version: row.get(6)?,
                job: RawJob::read(row, 5)?,
            })
        })
        .optional()
    }

    /// The present row, if the change may be made.
    fn checked(&self, db: &Connection) -> Result<(Present, Status), Refusal> {
        let job = self.commit.job;
        let present = self.present(db)?.ok_or(StoreError::NoSuchJob(job))?;
        if let Some((lease, _)) = self.commit.lease
            && (lease.job != job || lease.epoch != present.epoch)
        {
            return Err(StoreError::LeaseLost(job).into());
        }
        let status = Status::ALL
            .into_iter()
            .find(|status| status_code(*status) == present.status);
        match status {
            Some(status) if present.version == self.commit.version && !status.is_final() => {
                Ok((present, status))
            }
            _ => Err(StoreError::Stale(job).into()),
        }
    }
}

impl Command for Change {
    type Output = Job;
    const OPERATION: &'static str = "committing a change";

    fn rows(&self) -> usize {
        self.commit.images.len().saturating_add(1)
    }

    fn run(&self, tx: &mut Tx<'_>) -> Result<Job, Refusal> {
        let (present, status) = self.checked(tx.db)?;
        let commit = &self.commit;
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
        job.version = job.version.saturating_add(1);
        job.updated = commit.now;
        if self.event.is_some() {
            job.sequence = job.sequence.saturating_add(1);
        }
        let leased_until = match commit.lease {
            Some((_, LeaseEnd::Release)) => None,
            _ => present.leased_until,
        };
        let due = commit.life.due.map(Timestamp::as_millis);
        let wake = commit
            .life
            .due
            .map(|due| wakes_at(due, leased_until.map(Timestamp::from_millis)));
        let charge = job.charge;
        let under_way = !job.status().is_final();
        let task = job.life.state.upstream().filter(|_| under_way);
        tx.db
            .prepare_cached(
                "UPDATE jobs SET status = ?2, holds_slot = ?3, due = ?4, wake_at = ?5, lease_until = ?6, version = ?7,
                                 sequence = ?8, updated_at = ?9, life = ?10, account = ?11, cost = ?12,
                                 charge = ?13, charged_at = ?14, task = ?15
                 WHERE row = ?1",
            )?
            .execute(params![
                present.row,
                status_code(job.status()),
                job.life.state.holds_slot(),
                due,
                wake.map(Timestamp::as_millis),
                leased_until,
                int(job.version),
                int(job.sequence),
                commit.now.as_millis(),
                self.life,
                job.account.as_str(),
                int(job.cost.thousandths()),
                (charge.cost != job.cost).then(|| int(charge.cost.thousandths())),
                (charge.at != job.life.created).then(|| charge.at.as_millis()),
                task.map(UpstreamId::as_str),
            ])?;
        if let Some(event) = &self.event {
            let position = tx.next_position()?;
            tx.db.prepare_cached(TELL)?.execute(params![
                position,
                present.row,
                int(job.sequence),
                commit.now.as_millis(),
                event
            ])?;
        }
        if let Some(callback) = &commit.callback {
            callbacks::put(tx.db, callback)?;
        }
        for image in &commit.images {
            put_image(tx.db, image)?;
        }
        tx.count(before, -1);
        tx.count(Place::of(&job), 1);
        tx.changed();
        Ok(job)
    }
}

fn put_image(db: &Connection, image: &Image) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT OR REPLACE INTO images (id, job, owner, kind, number, key, digest, bytes, media_type, width, height,
                                        source_url, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
    )?
    .execute(params![
        image.id.as_bytes(),
        image.job.as_bytes(),
        image.owner.as_str(),
        kind_code(image.kind),
        image.index,
        image.key.as_str(),
        image.digest.as_bytes(),
        int(image.bytes),
        image.media_type.mime(),
        image.size.map(|size| size.0),
        image.size.map(|size| size.1),
        image.source_url,
        image.created.as_millis(),
    ])?;
    Ok(())
}

/// [`JobStore::put_upload`](midjourney_core::job::JobStore::put_upload).
pub(super) struct PutUpload(pub(super) Upload);

impl Command for PutUpload {
    type Output = ();
    const OPERATION: &'static str = "storing an upload's row";

    fn run(&self, tx: &mut Tx<'_>) -> Result<(), Refusal> {
        let Self(upload) = self;
        tx.db
            .prepare_cached(
                "INSERT INTO uploads (id, owner, key, digest, bytes, media_type, width, height, created_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?
            .execute(params![
                upload.id.as_bytes(),
                upload.owner.as_str(),
                upload.key.as_str(),
                upload.digest.as_bytes(),
                int(upload.bytes),
                upload.media_type.mime(),
                upload.size.map(|size| size.0),
                upload.size.map(|size| size.1),
                upload.created.as_millis(),
            ])?;
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
