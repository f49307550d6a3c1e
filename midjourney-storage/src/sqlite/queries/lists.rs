//! Lists of jobs, newest first, each read from an index in the order of its pages.
//!
//! One index, by owner, status and id, serves the lists by owner, by status and by both: as one walk for each owner and
//! status that fit, merged. An index for each of these lists would make every new job and every change dearer.

use midjourney_core::job::{JobQuery, Owner, Status};
use rusqlite::{Connection, Params, params};

use super::super::columns::Columns as _;
use crate::rows::{JOB, RawJob, count, status_code};

/// Sorts after every id: blobs compare byte by byte, then by length.
pub(in super::super) const END: &[u8] = &[0xff; 17];

/// Narrows a list to a batch, which is small: the rest is looked at in each of its jobs.
const OF_BATCH: &str = " AND batch = ?3 AND (?4 IS NULL OR owner = ?4) AND (?5 IS NULL OR status = ?5)";

/// One walk.
const WALK: &str =
    "SELECT id, row FROM jobs WHERE owner = ?1 AND status = ?2 AND id < ?3 ORDER BY id DESC LIMIT ?4";

/// Every owner, each found by one step in the index.
const OWNERS: &str = "WITH RECURSIVE owners (name) AS (
         SELECT min(owner) FROM jobs
         UNION ALL
         SELECT (SELECT min(owner) FROM jobs WHERE owner > name) FROM owners WHERE name IS NOT NULL
     )
     SELECT name FROM owners WHERE name IS NOT NULL";

pub(in super::super) fn jobs(
    db: &Connection,
    query: &JobQuery,
    limit: usize,
) -> rusqlite::Result<Vec<RawJob>> {
    let after = query.after.map(|cursor| cursor.key());
    let after = after.as_ref().map_or(END, |key| key.as_slice());
    let owner = query.owner.as_ref().map(Owner::as_str);
    match (query.batch, owner, query.status) {
        (Some(batch), owner, status) => {
            let wanted = params![
                after,
                count(limit),
                batch.as_bytes(),
                owner,
                status.map(status_code)
            ];
            in_order_of_ids(db, OF_BATCH, wanted)
        }
        (None, None, None) => in_order_of_ids(db, "", params![after, count(limit)]),
        (None, owner, status) => merged(db, owner, status, after, limit),
    }
}

fn in_order_of_ids(db: &Connection, filter: &str, wanted: impl Params) -> rusqlite::Result<Vec<RawJob>> {
    db.prepare_cached(&in_order_of_ids_sql(filter))?
        .query_map(wanted, RawJob::read)?
        .collect()
}

fn in_order_of_ids_sql(filter: &str) -> String {
    format!("SELECT {JOB} FROM jobs WHERE id < ?1{filter} ORDER BY id DESC LIMIT ?2")
}

fn merged(
    db: &Connection,
    owner: Option<&str>,
    status: Option<Status>,
    after: &[u8],
    limit: usize,
) -> rusqlite::Result<Vec<RawJob>> {
    // One snapshot: a job whose status changed between two walks would else be met twice, or never.
    let snapshot = db.unchecked_transaction()?;
    let owners = match owner {
        Some(owner) => vec![owner.to_owned()],
        None => all_owners(db)?,
    };
    let statuses = Status::ALL
        .into_iter()
        .filter(|one| status.is_none_or(|status| status == *one));
    let mut walk = db.prepare_cached(WALK)?;
    let mut found: Vec<([u8; 16], i64)> = Vec::new();
    for status in statuses {
        for owner in &owners {
            let wanted = params![owner, status_code(status), after, count(limit)];
            for job in walk.query_map(wanted, |row| Ok((row.get(0)?, row.get(1)?)))? {
                found.push(job?);
            }
        }
    }
    found.sort_unstable_by(|one, other| other.cmp(one));
    found.truncate(limit);
    let mut read = db.prepare_cached(&format!("SELECT {JOB} FROM jobs WHERE row = ?1"))?;
    let jobs = found
        .into_iter()
        .map(|(_, row)| read.query_row([row], RawJob::read))
        .collect::<rusqlite::Result<_>>()?;
    snapshot.commit()?;
    Ok(jobs)
}

fn all_owners(db: &Connection) -> rusqlite::Result<Vec<String>> {
    db.prepare_cached(OWNERS)?
        .query_map([], |row| row.get(0))?
        .collect()
}

#[cfg(test)]
mod tests;
