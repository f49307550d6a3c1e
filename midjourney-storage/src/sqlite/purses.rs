//! What was spent from which purse, on which day.

use midjourney_core::{
    budget::{Credits, Spending},
    clock::{Day, Timestamp},
    job::{Entry, Overdrawn, Purse},
};
use rusqlite::{Connection, params};

use crate::rows::int;

/// What `purse` has spent in the day and the month of `now`.
pub(super) fn spent(db: &Connection, purse: &Purse, now: Timestamp) -> rusqlite::Result<Spending> {
    let today = Day::of(now);
    let month = today.month();
    let mut sum = db.prepare_cached(
        "SELECT coalesce(sum(amount) FILTER (WHERE day = ?4), 0), coalesce(sum(amount), 0)
         FROM spending WHERE purse = ?1 AND day >= ?2 AND day < ?3",
    )?;
    let wanted = params![
        purse.to_string(),
        month.start.number(),
        month.end.number(),
        today.number()
    ];
    sum.query_row(wanted, |row| {
        Ok(Spending {
            day: amount(row.get(0)?),
            month: amount(row.get(1)?),
        })
    })
}

fn amount(stored: i64) -> Credits {
    Credits::from_thousandths(u64::try_from(stored).unwrap_or_default())
}

/// Why one of `entries` may not be made; `None` where all may.
pub(super) fn overdrawn(
    db: &Connection,
    entries: &[Entry],
    now: Timestamp,
) -> rusqlite::Result<Option<Overdrawn>> {
    for entry in entries.iter().filter(|entry| entry.is_limited()) {
        if let Some(overdrawn) = entry.overdrawn(spent(db, &entry.purse, now)?) {
            return Ok(Some(overdrawn));
        }
    }
    Ok(None)
}

/// Makes all of `entries`.
pub(super) fn book(db: &Connection, entries: &[Entry]) -> rusqlite::Result<()> {
    for Entry {
        purse, charge, back, ..
    } in entries
    {
        let cost = int(charge.cost.thousandths());
        let by = if *back { cost.saturating_neg() } else { cost };
        db.prepare_cached(
            "INSERT INTO spending (purse, day, amount) VALUES (?1, ?2, ?3)
             ON CONFLICT DO UPDATE SET amount = amount + excluded.amount",
        )?
        .execute(params![purse.to_string(), Day::of(charge.at).number(), by])?;
    }
    Ok(())
}
