//! What was spent from which purse, on which day.

use midjourney_core::{
    budget::{Credits, Spending},
    clock::{Day, Timestamp},
    job::{Entry, Overdrawn, Purse},
};
use tokio_postgres::Error;

use super::db::{Db, Two, numbers};
use crate::rows::int;

/// What `purse` has spent in the day and the month of `now`.
pub(super) async fn spent(db: Db<'_>, purse: &Purse, now: Timestamp) -> Result<Spending, Error> {
    let today = Day::of(now);
    let month = today.month();
    let sums: Option<Two> = db
        .row(
            "SELECT coalesce(sum(amount) FILTER (WHERE day = $4), 0)::bigint, coalesce(sum(amount), 0)::bigint
             FROM spending WHERE purse = $1 AND day >= $2 AND day < $3",
            &[
                purse.to_string().into(),
                month.start.number().into(),
                month.end.number().into(),
                today.number().into(),
            ],
        )
        .await?;
    let [day, month] = numbers(sums.map(|sums| sums.0)).map(amount);
    Ok(Spending { day, month })
}

/// The same of several purses, in their order.
pub(super) async fn all_spent(db: Db<'_>, purses: &[Purse], now: Timestamp) -> Result<Vec<Spending>, Error> {
    let mut all = Vec::with_capacity(purses.len());
    for purse in purses {
        all.push(spent(db, purse, now).await?);
    }
    Ok(all)
}

fn amount(stored: i64) -> Credits {
    Credits::from_thousandths(u64::try_from(stored).unwrap_or_default())
}

/// Why one of `entries` may not be made; `None` where all may.
pub(super) async fn overdrawn(
    db: Db<'_>,
    entries: &[Entry],
    now: Timestamp,
) -> Result<Option<Overdrawn>, Error> {
    for entry in entries.iter().filter(|entry| entry.is_limited()) {
        if let Some(overdrawn) = entry.overdrawn(spent(db, &entry.purse, now).await?) {
            return Ok(Some(overdrawn));
        }
    }
    Ok(None)
}

/// Makes all of `entries`.
pub(super) async fn book(db: Db<'_>, entries: &[Entry]) -> Result<(), Error> {
    for Entry {
        purse, charge, back, ..
    } in entries
    {
        let cost = int(charge.cost.thousandths());
        let by = if *back { cost.saturating_neg() } else { cost };
        db.execute(
            "INSERT INTO spending (purse, day, amount) VALUES ($1, $2, $3)
             ON CONFLICT (purse, day) DO UPDATE SET amount = spending.amount + excluded.amount",
            &[
                purse.to_string().into(),
                Day::of(charge.at).number().into(),
                by.into(),
            ],
        )
        .await?;
    }
    Ok(())
}
