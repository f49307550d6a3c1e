//! The callbacks that came in: a table that forgets.

use midjourney_core::{
    clock::Timestamp,
    id::JobId,
    job::{AccountName, CALLBACKS_KEPT, CallbackQuery, CallbackRecord, KNOWN_AGAIN, UpstreamId, Verdict},
};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{
    columns::Columns as _,
    queries::END,
    writer::{Command, Refusal, Tx},
};
use crate::rows::{
    callbacks::{CALLBACK, RawCallback, RawTally},
    count, int,
};

/// After how many of them old ones are looked for.
const SWEEP_EVERY: i64 = 256;

/// How many old ones go at a time; more than come in between.
const SWEPT: i64 = 1_024;

/// Whether one like `callback` was heeded before.
pub(super) fn is_known(db: &Connection, callback: &CallbackRecord) -> rusqlite::Result<bool> {
    let Some(mark) = callback.mark else {
        return Ok(false);
    };
    db.prepare_cached("SELECT EXISTS (SELECT 1 FROM callbacks WHERE mark = ?1)")?
        .query_row([mark], |row| row.get(0))
}

/// Adds one that is not known.
pub(super) fn put(db: &Connection, callback: &CallbackRecord) -> rusqlite::Result<()> {
    let verdict = Verdict::ALL
        .iter()
        .position(|verdict| *verdict == callback.verdict);
    db.prepare_cached(&format!(
        "INSERT INTO callbacks ({CALLBACK}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"
    ))?
    .execute(params![
        callback.id.as_bytes(),
        callback.at.as_millis(),
        callback.account.as_ref().map(AccountName::as_str),
        callback.job.as_ref().map(JobId::as_bytes),
        callback.task.as_ref().map(UpstreamId::as_str),
        verdict.map(count),
        callback.detail,
        int(callback.bytes),
        callback.from.map(|from| from.to_string()),
        callback.mark,
    ])?;
    if db.last_insert_rowid() % SWEEP_EVERY == 0 {
        sweep(db, callback.at)?;
    }
    Ok(())
}

/// Removes what need not be kept.
fn sweep(db: &Connection, now: Timestamp) -> rusqlite::Result<()> {
    let kept = int(CALLBACKS_KEPT);
    db.prepare_cached(
        "DELETE FROM callbacks WHERE mark IS NULL AND row <=
             (SELECT row FROM callbacks WHERE mark IS NULL ORDER BY row DESC LIMIT 1 OFFSET ?1)",
    )?
    .execute([kept])?;
    // Rows come in the order of time, but for those of a clock that was ahead: they must not stand before the others.
    let known = i64::try_from(KNOWN_AGAIN.as_millis()).unwrap_or(i64::MAX);
    let now = now.as_millis();
    db.prepare_cached(
        "DELETE FROM callbacks WHERE received_at NOT BETWEEN ?3 AND ?4 AND row IN
             (SELECT row FROM callbacks WHERE mark IS NOT NULL AND row <=
                  (SELECT row FROM callbacks WHERE mark IS NOT NULL ORDER BY row DESC LIMIT 1 OFFSET ?1)
              ORDER BY row LIMIT ?2)",
    )?
    .execute(params![kept, SWEPT, now.saturating_sub(known), now])?;
    Ok(())
}

/// [`JobStore::put_callbacks`](midjourney_core::job::JobStore::put_callbacks).
pub(super) struct PutCallbacks(pub(super) Vec<CallbackRecord>);

impl Command for PutCallbacks {
    type Output = ();
    const OPERATION: &'static str = "recording callbacks";

    fn rows(&self) -> usize {
        self.0.len()
    }

    fn run(&self, tx: &mut Tx<'_>) -> Result<(), Refusal> {
        for callback in &self.0 {
            if !is_known(tx.db, callback)? {
                put(tx.db, callback)?;
            }
        }
        Ok(())
    }
}

pub(super) fn list(
    db: &Connection,
    query: &CallbackQuery,
    limit: usize,
) -> rusqlite::Result<Vec<RawCallback>> {
    let after = query.after.map(|cursor| cursor.key());
    let after = after.as_ref().map_or(END, |key| key.as_slice());
    let job = if query.job.is_some() {
        "job = ?3"
    } else {
        "?3 IS NULL"
    };
    let wanted = query.verdict;
    let verdict = Verdict::ALL.iter().position(|verdict| Some(*verdict) == wanted);
    db.prepare_cached(&format!(
        "SELECT {CALLBACK} FROM callbacks WHERE id < ?1 AND id >= ?5 AND {job} AND (?4 IS NULL OR verdict = ?4)
             AND (?6 IS NULL OR task = ?6)
         ORDER BY id DESC LIMIT ?2"
    ))?
    .query_map(
        params![
            after,
            count(limit),
            query.job.as_ref().map(JobId::as_bytes),
            verdict.map(count),
            query.since.map(first_id).unwrap_or_default(),
            query.task.as_ref().map(UpstreamId::as_str),
        ],
        RawCallback::read,
    )?
    .collect()
}

/// The least id that one which came at `since` can have: ids begin with their time, and are found by it without a look
/// at older rows.
fn first_id(since: Timestamp) -> [u8; 16] {
    let millis = u64::try_from(since.as_millis()).unwrap_or(0);
    (u128::from(millis) << 80).to_be_bytes()
}

/// [`JobStore::callback_tallies`](midjourney_core::job::JobStore::callback_tallies).
pub(super) fn tallies(db: &Connection) -> rusqlite::Result<Vec<RawTally>> {
    db.prepare_cached("SELECT verdict, count(*), max(received_at) FROM callbacks GROUP BY verdict")?
        .query_map([], RawTally::read)?
        .collect()
}

pub(super) fn job_of_task(
    db: &Connection,
    account: &AccountName,
    task: &UpstreamId,
) -> rusqlite::Result<Option<JobId>> {
    db.prepare_cached("SELECT id FROM jobs WHERE account = ?1 AND task = ?2 LIMIT 1")?
        .query_row([account.as_str(), task.as_str()], |row| row.get(0))
        .optional()
        .map(|id| id.map(JobId::from_bytes))
}
