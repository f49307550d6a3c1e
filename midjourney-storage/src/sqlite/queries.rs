//! What is read, each question answered from an index.

mod lists;

use midjourney_core::{
    id::{ImageId, JobId, UploadId},
    job::{AccountName, Counts, ImageQuery, Live, Owner, Position, Share, Status},
};
use rusqlite::{Connection, OptionalExtension as _, params};

use self::lists::END;
pub(super) use self::lists::jobs;
use super::rows::{
    EVENT, FIRST_EVENT, IMAGE, JOB, RawEvent, RawImage, RawJob, RawUpload, UPLOAD, count, int, status_code,
};

/// What is due on one account, the longest due first.
pub(super) const CLAIMABLE: &str = "SELECT wake_at, id, row FROM jobs
     WHERE account = ?1 AND status = ?2 AND wake_at <= ?3 ORDER BY wake_at, id LIMIT ?4";

const NEXT_DUE: &str =
    "SELECT min(wake_at) FROM jobs WHERE account = ?1 AND status = ?2 AND wake_at IS NOT NULL";

const LIVE: &str = "SELECT count(*) FROM jobs WHERE account = ?1 AND status = ?2 AND wake_at IS NOT NULL";

/// The statuses of jobs that are not over.
pub(super) const LIVING: [Status; 2] = [Status::Pending, Status::Processing];

pub(super) fn job(db: &Connection, id: JobId) -> rusqlite::Result<Option<RawJob>> {
    db.prepare_cached(&format!("SELECT {JOB} FROM jobs WHERE id = ?1"))?
        .query_row([id.as_bytes()], |row| RawJob::read(row, 0))
        .optional()
}

pub(super) fn next_due(db: &Connection, shares: &[Share]) -> rusqlite::Result<Option<i64>> {
    let mut earliest = db.prepare_cached(NEXT_DUE)?;
    let mut next: Option<i64> = None;
    for share in shares {
        for status in LIVING {
            if status == Status::Pending && share.starts == 0 {
                continue;
            }
            let wanted = params![share.account.as_str(), status_code(status)];
            let wake: Option<i64> = earliest.query_row(wanted, |row| row.get(0))?;
            next = match (next, wake) {
                (Some(next), Some(wake)) => Some(next.min(wake)),
                (next, wake) => next.or(wake),
            };
        }
    }
    Ok(next)
}

pub(super) fn live(db: &Connection, account: &AccountName) -> rusqlite::Result<Live> {
    let mut number = db.prepare_cached(LIVE)?;
    let mut of = |status| number.query_row(params![account.as_str(), status_code(status)], |row| row.get(0));
    Ok(Live {
        pending: of(Status::Pending)?,
        processing: of(Status::Processing)?,
    })
}

pub(super) fn history(
    db: &Connection,
    id: JobId,
    after: u64,
    limit: usize,
) -> rusqlite::Result<Vec<RawEvent>> {
    db.prepare_cached(&history_sql())?
        .query_map(params![id.as_bytes(), int(after), count(limit)], RawEvent::read)?
        .collect()
}

fn history_sql() -> String {
    format!(
        "SELECT {FIRST_EVENT} FROM jobs WHERE id = ?1 AND ?2 < 1
         UNION ALL
         SELECT {EVENT} FROM events WHERE job = (SELECT row FROM jobs WHERE id = ?1) AND sequence > ?2
         ORDER BY sequence LIMIT ?3"
    )
}

pub(super) fn events(db: &Connection, after: Position, limit: usize) -> rusqlite::Result<Vec<RawEvent>> {
    db.prepare_cached(&events_sql())?
        .query_map(params![int(after.get()), count(limit)], RawEvent::read)?
        .collect()
}

fn events_sql() -> String {
    format!(
        "SELECT {FIRST_EVENT} FROM jobs WHERE row > ?1
         UNION ALL
         SELECT {EVENT} FROM events WHERE position > ?1
         ORDER BY position LIMIT ?2"
    )
}

pub(super) fn head(db: &Connection) -> rusqlite::Result<u64> {
    db.prepare_cached("SELECT position FROM newest_event")?
        .query_row([], |row| row.get(0))
}

pub(super) fn image(db: &Connection, id: ImageId) -> rusqlite::Result<Option<RawImage>> {
    db.prepare_cached(&format!("SELECT {IMAGE} FROM images WHERE id = ?1"))?
        .query_row([id.as_bytes()], RawImage::read)
        .optional()
}

pub(super) fn upload(db: &Connection, id: UploadId) -> rusqlite::Result<Option<RawUpload>> {
    db.prepare_cached(&format!("SELECT {UPLOAD} FROM uploads WHERE id = ?1"))?
        .query_row([id.as_bytes()], RawUpload::read)
        .optional()
}

/// The pictures of one job, grid first. A job has a handful, so this order needs no cursor.
pub(super) fn images_of(
    db: &Connection,
    job: JobId,
    query: &ImageQuery,
    limit: usize,
) -> rusqlite::Result<Vec<RawImage>> {
    let owner = query.owner.as_ref().map(Owner::as_str);
    db.prepare_cached(&format!(
        "SELECT {IMAGE} FROM images WHERE job = ?1 AND (?2 IS NULL OR owner = ?2) ORDER BY kind, number LIMIT ?3"
    ))?
    .query_map(params![job.as_bytes(), owner, count(limit)], RawImage::read)?
    .collect()
}

pub(super) fn images(db: &Connection, query: &ImageQuery, limit: usize) -> rusqlite::Result<Vec<RawImage>> {
    let after = query.after.map(|cursor| cursor.key());
    let after = after.as_ref().map_or(END, |key| key.as_slice());
    match &query.owner {
        Some(owner) => db
            .prepare_cached(&format!(
                "SELECT {IMAGE} FROM images WHERE id < ?1 AND owner = ?2 ORDER BY id DESC LIMIT ?3"
            ))?
            .query_map(params![after, owner.as_str(), count(limit)], RawImage::read)?
            .collect(),
        None => db
            .prepare_cached(&format!(
                "SELECT {IMAGE} FROM images WHERE id < ?1 ORDER BY id DESC LIMIT ?2"
            ))?
            .query_map(params![after, count(limit)], RawImage::read)?
            .collect(),
    }
}

pub(super) fn counts(db: &Connection) -> rusqlite::Result<Counts> {
    let mut counts = Counts::default();
    let mut statement = db.prepare_cached("SELECT status, jobs FROM job_counts")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let (code, jobs): (i64, u64) = (row.get(0)?, row.get(1)?);
        if let Some(status) = Status::ALL
            .into_iter()
            .find(|status| status_code(*status) == code)
        {
            *counts.of(status) = jobs;
        }
    }
    Ok(counts)
}

/// Everything that is wrong with the file, in words; empty where nothing is.
pub(super) fn integrity(db: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut wrong: Vec<String> = db
        .prepare("PRAGMA integrity_check")?
        .query_map([], |row| row.get(0))?
        .filter(|line: &rusqlite::Result<String>| line.as_ref().map_or(true, |line| line != "ok"))
        .collect::<rusqlite::Result<_>>()?;
    let mut orphans = db.prepare("SELECT \"table\", rowid, parent FROM pragma_foreign_key_check")?;
    let mut rows = orphans.query([])?;
    while let Some(row) = rows.next()? {
        let (table, id, parent): (String, Option<i64>, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        wrong.push(format!(
            "{table}, row {}: its row in {parent} is missing",
            id.unwrap_or_default()
        ));
    }
    let miscounted: i64 = db.query_row(
        "SELECT count(*) FROM job_counts AS c
         WHERE jobs <> (SELECT count(*) FROM jobs WHERE status = c.status)",
        [],
        |row| row.get(0),
    )?;
    if miscounted > 0 {
        wrong.push("job_counts does not match the jobs".to_owned());
    }
    Ok(wrong)
}

#[cfg(test)]
mod tests;
