//! The numbers in `tallies`: what writes and reads them.

use std::collections::BTreeMap;

use midjourney_core::job::{AccountName, Counts, Live, Status};
use tokio_postgres::Error;

use super::db::{Db, Two};
use crate::rows::{
    Value,
    tallies::{Changes, What},
};

/// How many jobs of `account` hold a slot.
pub(super) async fn running(db: Db<'_>, account: &AccountName) -> Result<i64, Error> {
    let number = db
        .number(
            "SELECT number FROM tallies WHERE what = $1 AND name = $2",
            &[What::Running.name().into(), account.as_str().into()],
        )
        .await?;
    Ok(number.unwrap_or(0))
}

pub(super) async fn write(db: Db<'_>, changes: &Changes) -> Result<(), Error> {
    for (what, name, by) in changes.iter() {
        db.execute(
            "INSERT INTO tallies (what, name, number) VALUES ($1, $2, $3)
             ON CONFLICT (what, name) DO UPDATE SET number = tallies.number + excluded.number",
            &[what.name().into(), name.into(), by.into()],
        )
        .await?;
    }
    Ok(())
}

/// The position of the newest event.
pub(super) async fn position(db: Db<'_>) -> Result<i64, Error> {
    let position = db
        .number(
            "SELECT number FROM tallies WHERE what = 'position' AND name = ''",
            &[],
        )
        .await?;
    Ok(position.unwrap_or(0))
}

pub(super) async fn set_position(db: Db<'_>, position: i64) -> Result<(), Error> {
    db.execute(
        "UPDATE tallies SET number = $1 WHERE what = 'position' AND name = ''",
        &[position.into()],
    )
    .await
    .map(drop)
}

pub(super) async fn counts(db: Db<'_>) -> Result<Counts, Error> {
    let rows: Vec<Two> = db
        .rows(
            "SELECT name, number FROM tallies WHERE what = $1",
            &[What::Status.name().into()],
        )
        .await?;
    let mut counts = Counts::default();
    for Two([name, number]) in rows {
        let status = Status::ALL
            .into_iter()
            .find(|status| name == Value::from(status.name()));
        if let Some(status) = status {
            *counts.of(status) = unsigned(&number);
        }
    }
    Ok(counts)
}

pub(super) async fn live(db: Db<'_>) -> Result<BTreeMap<AccountName, Live>, Error> {
    let mut all = BTreeMap::<_, Live>::new();
    for what in [What::Pending, What::Running] {
        let rows: Vec<Two> = db
            .rows(
                "SELECT name, number FROM tallies WHERE what = $1 AND number <> 0",
                &[what.name().into()],
            )
            .await?;
        for Two([name, number]) in rows {
            let Value::Text(name) = name else {
                continue;
            };
            let live = all.entry(AccountName::new(name)).or_default();
            match what {
                What::Running => live.running = unsigned(&number),
                _ => live.pending = unsigned(&number),
            }
        }
    }
    Ok(all)
}

fn unsigned(value: &Value) -> u64 {
    match value {
        Value::Integer(number) => u64::try_from(*number).unwrap_or_default(),
        _ => 0,
    }
}
