//! What is read, each question answered from an index.

mod lists;

use midjourney_core::{
    id::{ImageId, JobId, UploadId},
    job::{IdempotencyKey, ImageQuery, Owner, Position, RequestDigest, Share, Status},
    page::Cursor,
};
use rusqlite::{Connection, OptionalExtension as _, params};

pub(super) use self::lists::{END, jobs};
use super::{columns::Columns as _, tallies};
use crate::rows::{
    EVENT, Earlier, IMAGE, JOB, LIVING, RawEvent, RawImage, RawJob, RawUpload, UPLOAD, count, int,
    status_code,
};

/// The columns of [`RawEvent`] from `jobs`: the first event of each.
const FIRST_EVENT: &str = "row AS position, id AS job_id, 1 AS sequence, created_at AS at, NULL AS body";

/// What is due on one account, the longest due first, and what a wrong clock has put far ahead.
pub(super) const CLAIMABLE: &str = "SELECT wake_at, id, row FROM jobs
     WHERE account = ?1 AND status = ?2 AND wake_at <= ?3
     UNION ALL
     SELECT wake_at, id, row FROM jobs WHERE account = ?1 AND status = ?2 AND wake_at > ?4
     ORDER BY wake_at, id LIMIT ?5";

const NEXT_DUE: &str =
    "SELECT min(wake_at) FROM jobs WHERE account = ?1 AND status = ?2 AND wake_at IS NOT NULL";

/// What was made under `key`; `None` where it is free.
pub(super) fn earlier(
    db: &Connection,
    owner: &Owner,
    key: &IdempotencyKey,
    digest: RequestDigest,
) -> rusqlite::Result<Option<Earlier>> {
    let mut earlier = db.prepare_cached(&format!(
        "SELECT digest, {JOB} FROM jobs WHERE owner = ?1 AND idempotency_key = ?2 ORDER BY ordinal"
    ))?;
    let mut found = earlier.query(params![owner.as_str(), key.as_str()])?;
    let mut jobs = Vec::new();
    while let Some(row) = found.next()? {
        if jobs.is_empty() && RequestDigest::from_bytes(row.get(0)?) != digest {
            return Ok(Some(Earlier::Other));
        }
        jobs.push(RawJob::read_from(row, 1)?);
    }
    Ok((!jobs.is_empty()).then_some(Earlier::Same(jobs)))
}

pub(super) fn job(db: &Connection, id: JobId) -> rusqlite::Result<Option<RawJob>> {
    db.prepare_cached(&format!("SELECT {JOB} FROM jobs WHERE id = ?1"))?
        .query_row([id.as_bytes()], RawJob::read)
        .optional()
}

pub(super) fn next_due(db: &Connection, shares: &[Share]) -> rusqlite::Result<Option<i64>> {
    let mut earliest = db.prepare_cached(NEXT_DUE)?;
    let mut next: Option<i64> = None;
    for share in shares {
        for status in LIVING {
            if share.most == 0 || (status == Status::Pending && share.starts == 0) {
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

pub(super) fn image(db: &Connection, id: ImageId) -> rusqlite::Result<Option<RawImage>> {
    db.prepare_cached(&format!("SELECT {IMAGE} FROM images WHERE id = ?1"))?
        .query_row([id.as_bytes()], RawImage::read)
        .optional()
}

pub(super) fn has_images(db: &Connection, job: JobId) -> rusqlite::Result<bool> {
    db.prepare_cached("SELECT EXISTS (SELECT 1 FROM images WHERE job = ?1)")?
        .query_row([job.as_bytes()], |row| row.get(0))
}

pub(super) fn upload(db: &Connection, id: UploadId) -> rusqlite::Result<Option<RawUpload>> {
    db.prepare_cached(&format!("SELECT {UPLOAD} FROM uploads WHERE id = ?1"))?
        .query_row([id.as_bytes()], RawUpload::read)
        .optional()
}

pub(super) fn uploads(
    db: &Connection,
    after: Option<Cursor>,
    limit: usize,
) -> rusqlite::Result<Vec<RawUpload>> {
    let after = after.map(|cursor| cursor.key());
    let after = after.as_ref().map_or(END, |key| key.as_slice());
    db.prepare_cached(&format!(
        "SELECT {UPLOAD} FROM uploads WHERE id < ?1 ORDER BY id DESC LIMIT ?2"
    ))?
    .query_map(params![after, count(limit)], RawUpload::read)?
    .collect()
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
    if tallies::are_wrong(db)? {
        wrong.push("tallies do not match the jobs".to_owned());
    }
    Ok(wrong)
}

#[cfg(test)]
mod tests;
