//! The numbers in `tallies`: what changes them within a transaction, and what reads them.

use std::collections::BTreeMap;

use midjourney_core::job::{AccountName, Counts, Job, Live, Status};
use rusqlite::{Connection, OptionalExtension as _, params};

/// What is counted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    /// Jobs of a status.
    Status,
    /// Jobs of an account that were not submitted yet.
    Pending,
    /// Jobs of an account that hold a slot.
    Running,
}

impl What {
    const fn name(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Pending => "pending",
            Self::Running => "running",
        }
    }
}

/// Where a job counts.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) account: &'a AccountName,
    pub(super) status: Status,
    pub(super) holds_slot: bool,
}

impl<'a> Place<'a> {
    pub(super) const fn of(job: &'a Job) -> Self {
        Self {
            account: &job.account,
            status: job.status(),
            holds_slot: job.life.state.holds_slot(),
        }
    }
}

/// What a transaction changes; a handful of numbers, however many jobs it touches.
#[derive(Default)]
pub(super) struct Changes(Vec<(What, String, i64)>);

impl Changes {
    /// Notes that `by` more jobs are at `place`.
    pub(super) fn count(&mut self, place: Place<'_>, by: i64) {
        self.add(What::Status, place.status.name(), by);
        if place.status == Status::Pending {
            self.add(What::Pending, place.account.as_str(), by);
        }
        if place.holds_slot {
            self.add(What::Running, place.account.as_str(), by);
        }
    }

    fn add(&mut self, what: What, name: &str, by: i64) {
        let known = self.0.iter_mut().find(|(w, n, _)| *w == what && n == name);
        if let Some((_, _, number)) = known {
            *number = number.saturating_add(by);
        } else {
            self.0.push((what, name.to_owned(), by));
        }
    }

    /// How many jobs of `account` hold a slot, with this.
    pub(super) fn running(&self, db: &Connection, account: &AccountName) -> rusqlite::Result<i64> {
        let here =
            |(what, name, _): &&(What, String, i64)| *what == What::Running && name == account.as_str();
        let changed = self.0.iter().find(here).map_or(0, |(_, _, by)| *by);
        let number: Option<i64> = db
            .prepare_cached("SELECT number FROM tallies WHERE what = ?1 AND name = ?2")?
            .query_row([What::Running.name(), account.as_str()], |row| row.get(0))
            .optional()?;
        Ok(number.unwrap_or(0).saturating_add(changed))
    }

    pub(super) fn write(&self, db: &Connection) -> rusqlite::Result<()> {
        for (what, name, by) in &self.0 {
            if *by != 0 {
                db.prepare_cached(
                    "INSERT INTO tallies (what, name, number) VALUES (?1, ?2, ?3)
                     ON CONFLICT DO UPDATE SET number = number + excluded.number",
                )?
                .execute(params![what.name(), name, by])?;
            }
        }
        Ok(())
    }
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
        let code = super::rows::status_code(status);
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
