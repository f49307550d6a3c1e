//! The numbers in `tallies`: what writes and reads them.

use std::collections::BTreeMap;

use midjourney_core::job::{AccountName, Counts, Live, Status};
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::rows::tallies::{Changes, What};

/// How many jobs of `account` hold a slot.
pub(super) fn running(db: &Connection, account: &AccountName) -> rusqlite::Result<i64> {
    let number: Option<i64> = db
        .prepare_cached("SELECT number FROM tallies WHERE what = ?1 AND name = ?2")?
        .query_row([What::Running.name(), account.as_str()], |row| row.get(0))
        .optional()?;
    Ok(number.unwrap_or(0))
}

pub(super) fn write(db: &Connection, changes: &Changes) -> rusqlite::Result<()> {
    for (what, name, by) in changes.iter() {
        db.prepare_cached(
            "INSERT INTO tallies (what, name, number) VALUES (?1, ?2, ?3)
             ON CONFLICT DO UPDATE SET number = number + excluded.number",
        )?
        .execute(params![what.name(), name, by])?;
    }
    Ok(())
}

/// The position of the newest event.
pub(super) fn position(db: &Connection) -> rusqlite::Result<i64> {
    db.prepare_cached("SELECT number FROM tallies WHERE what = 'position'")?
        .query_row([], |row| row.get(0))
}

pub(super) fn set_position(db: &Connection, position: i64) -> rusqlite::Result<()> {
    db.prepare_cached("UPDATE tallies SET number = ?1 WHERE what = 'position'")?
        .execute([position])
        .map(drop)
}

pub(super) fn counts(db: &Connection) -> rusqlite::Result<Counts> {
    let mut counts = Counts::default();
    let mut number = db.prepare_cached("SELECT number FROM tallies WHERE what = 'status' AND name = ?1")?;
    for status in Status::ALL {
        let jobs = number.query_row([status.name()], |row| row.get(0)).optional()?;
        *counts.of(status) = jobs.unwrap_or(0);
    }
    Ok(counts)
}

pub(super) fn live(db: &Connection) -> rusqlite::Result<BTreeMap<AccountName, Live>> {
    let mut all = BTreeMap::<_, Live>::new();
    let mut numbers =
        db.prepare_cached("SELECT name, number FROM tallies WHERE what = ?1 AND number <> 0")?;
    for what in [What::Pending, What::Running] {
        let mut rows = numbers.query([what.name()])?;
        while let Some(row) = rows.next()? {
            let live = all.entry(AccountName::new(row.get::<_, String>(0)?)).or_default();
            match what {
                What::Running => live.running = row.get(1)?,
                _ => live.pending = row.get(1)?,
            }
        }
    }
    Ok(all)
}

/// Whether some number is not what counting gives.
pub(super) fn are_wrong(db: &Connection) -> rusqlite::Result<bool> {
    let words = Status::ALL.map(|status| {
        let code = crate::rows::status_code(status);
        format!("WHEN {code} THEN '{}'", status.name())
    });
    let counted = format!(
        "SELECT 'status' AS what, CASE status {} END AS name, count(*) AS number FROM jobs GROUP BY status
         UNION ALL SELECT 'pending', account, count(*) FROM jobs WHERE status = 0 GROUP BY account
         UNION ALL SELECT 'running', account, count(*) FROM jobs WHERE holds_slot GROUP BY account",
        words.join(" ")
    );
    db.query_row(
        &format!(
            "SELECT EXISTS (
                 SELECT 1 FROM (SELECT what, name, number FROM tallies WHERE what <> 'position' AND number <> 0) AS kept
                 FULL JOIN ({counted}) AS counted USING (what, name)
                 WHERE kept.number IS NOT counted.number)"
        ),
        [],
        |row| row.get(0),
    )
}
