//! What was spent from which purse, on which day.

use midjourney_core::{
    budget::{Budget, Credits, Day, Spending},
    clock::Timestamp,
    job::{Overdrawn, Purse},
};
use rusqlite::{Connection, params};

use super::rows::int;

/// What `purse` has spent in the day and the month of `now`.
pub(super) fn spent(db: &Connection, purse: &Purse, now: Timestamp) -> rusqlite::Result<Spending> {
    let today = Day::of(now);
    let mut sum = db.prepare_cached(
        "SELECT coalesce(sum(amount) FILTER (WHERE day >= ?3), 0), coalesce(sum(amount), 0)
         FROM spending WHERE purse = ?1 AND day >= ?2",
    )?;
    let wanted = params![purse.to_string(), today.first_of_month().number(), today.number()];
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

/// Why `cost` may not be charged to `purse`; `None` where it may.
pub(super) fn refused(
    db: &Connection,
    purse: &Purse,
    budget: Budget,
    cost: Credits,
    now: Timestamp,
) -> rusqlite::Result<Option<Overdrawn>> {
    if budget == Budget::default() {
        return Ok(None);
    }
    Ok(Overdrawn::check(purse, budget, spent(db, purse, now)?, cost))
}

/// Charges `cost` to `purse`, on the day of `when`.
pub(super) fn charge(db: &Connection, purse: &Purse, when: Timestamp, cost: Credits) -> rusqlite::Result<()> {
    add(db, purse, when, int(cost.thousandths()))
}

/// Gives back what was charged on the day of `when`.
pub(super) fn give_back(
    db: &Connection,
    purse: &Purse,
    when: Timestamp,
    cost: Credits,
) -> rusqlite::Result<()> {
    add(db, purse, when, int(cost.thousandths()).saturating_neg())
}

fn add(db: &Connection, purse: &Purse, when: Timestamp, by: i64) -> rusqlite::Result<()> {
    if by == 0 {
        return Ok(());
    }
    db.prepare_cached(
        "INSERT INTO spending (purse, day, amount) VALUES (?1, ?2, ?3)
         ON CONFLICT DO UPDATE SET amount = amount + excluded.amount",
    )?
    .execute(params![purse.to_string(), Day::of(when).number(), by])
    .map(drop)
}
