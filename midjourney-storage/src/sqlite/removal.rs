//! Removing what is past its time, and the files that are left over.

use midjourney_core::{
    id::JobId,
    image::ImageKey,
    job::{AccountName, Removal, Status},
};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{
    columns::Columns as _,
    library,
    writer::{Command, Refusal, Tx},
};
use crate::rows::{RawLeftover, count, int, status_code, tallies::Place};

/// The statuses of jobs that are over.
const OVER: [Status; 4] = [
    Status::Completed,
    Status::Failed,
    Status::Cancelled,
    Status::Expired,
];

/// [`JobStore::remove`](midjourney_core::job::JobStore::remove).
pub(super) struct Remove(pub(super) Removal);

impl Command for Remove {
    type Output = ();
    const OPERATION: &'static str = "removing what is past its time";

    fn run(&self, tx: &mut Tx<'_>) -> Result<(), Refusal> {
        let Self(removal) = self;
        for (id, version) in &removal.jobs {
            let judged: Option<(i64, String, i64)> = tx
                .db
                .prepare_cached(
                    "SELECT row, account, status FROM jobs WHERE id = ?1 AND version = ?2
                     AND NOT EXISTS (SELECT 1 FROM images WHERE images.job = jobs.id AND pinned)",
                )?
                .query_row(params![id.as_bytes(), int(*version)], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
                })
                .optional()?;
            let over = judged.and_then(|(row, account, code)| {
                let status = OVER.into_iter().find(|status| status_code(*status) == code)?;
                Some((row, AccountName::new(account), status))
            });
            let Some((row, account, status)) = over else {
                continue;
            };
            tx.db
                .prepare_cached(
                    "INSERT OR IGNORE INTO leftovers (key) SELECT key FROM images WHERE job = ?1",
                )?
                .execute([id.as_bytes()])?;
            library::forget(tx.db, row)?;
            // Its events and pictures go with it.
            tx.rewritten();
            tx.db
                .prepare_cached("DELETE FROM jobs WHERE id = ?1")?
                .execute([id.as_bytes()])?;
            let place = Place {
                account: &account,
                status,
                holds_slot: false,
            };
            tx.count(place, -1);
        }
        for id in &removal.images {
            let over =
                "id = ?1 AND NOT pinned AND (SELECT status FROM jobs WHERE jobs.id = images.job) >= ?2";
            let wanted = params![id.as_bytes(), status_code(Status::Completed)];
            tx.db
                .prepare_cached(&format!(
                    "INSERT OR IGNORE INTO leftovers (key) SELECT key FROM images WHERE {over}"
                ))?
                .execute(wanted)?;
            let job: Option<[u8; 16]> = tx
                .db
                .prepare_cached(&format!("DELETE FROM images WHERE {over} RETURNING job"))?
                .query_row(wanted, |row| row.get(0))
                .optional()?;
            if let Some(job) = job {
                library::file_anew(tx.db, JobId::from_bytes(job))?;
            }
        }
        for id in &removal.uploads {
            tx.db
                .prepare_cached(
                    "INSERT OR IGNORE INTO leftovers (key) SELECT key FROM uploads WHERE id = ?1",
                )?
                .execute([id.as_bytes()])?;
            tx.db
                .prepare_cached("DELETE FROM uploads WHERE id = ?1")?
                .execute([id.as_bytes()])?;
        }
        Ok(())
    }
}

/// [`JobStore::forget_leftovers`](midjourney_core::job::JobStore::forget_leftovers).
pub(super) struct Forget(pub(super) Vec<ImageKey>);

impl Command for Forget {
    type Output = ();
    const OPERATION: &'static str = "forgetting files that are gone";

    fn run(&self, tx: &mut Tx<'_>) -> Result<(), Refusal> {
        let mut forget = tx.db.prepare_cached("DELETE FROM leftovers WHERE key = ?1")?;
        for key in &self.0 {
            forget.execute([key.as_str()])?;
        }
        Ok(())
    }
}

pub(super) fn leftovers(db: &Connection, limit: usize) -> rusqlite::Result<Vec<RawLeftover>> {
    db.prepare_cached("SELECT key FROM leftovers ORDER BY key LIMIT ?1")?
        .query_map([count(limit)], RawLeftover::read)?
        .collect()
}
