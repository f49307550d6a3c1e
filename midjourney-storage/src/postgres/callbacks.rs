//! The callbacks that came in: a table that forgets.

use midjourney_core::{
    clock::Timestamp,
    id::JobId,
    job::{AccountName, CALLBACKS_KEPT, CallbackQuery, CallbackRecord, KNOWN_AGAIN, UpstreamId, Verdict},
};
use tokio_postgres::Error;

use super::{
    db::{Db, One},
    queries::before,
    writer::{Command, Refusal, Tx},
};
use crate::rows::{
    Value,
    callbacks::{CALLBACK, RawCallback, RawTally},
    count, int,
};

/// After how many of them old ones are looked for.
const SWEEP_EVERY: i64 = 256;

/// How many old ones go at a time; more than come in between.
const SWEPT: i64 = 1_024;

/// Whether one like `callback` was heeded before.
pub(super) async fn is_known(db: Db<'_>, callback: &CallbackRecord) -> Result<bool, Error> {
    let Some(mark) = &callback.mark else {
        return Ok(false);
    };
    let known = db
        .number("SELECT 1::bigint FROM callbacks WHERE mark = $1", &[mark.into()])
        .await?;
    Ok(known.is_some())
}

/// Adds one that is not known.
pub(super) async fn put(db: Db<'_>, callback: &CallbackRecord) -> Result<(), Error> {
    let verdict = Verdict::ALL
        .iter()
        .position(|verdict| *verdict == callback.verdict);
    let values = [
        callback.id.as_bytes().into(),
        callback.at.as_millis().into(),
        callback.account.as_ref().map(AccountName::as_str).into(),
        callback.job.as_ref().map(JobId::as_bytes).into(),
        callback.task.as_ref().map(UpstreamId::as_str).into(),
        verdict.map(count).into(),
        callback.detail.as_str().into(),
        int(callback.bytes).into(),
        callback.from.map(|from| from.to_string()).into(),
        callback.mark.as_ref().into(),
    ];
    let put = format!(
        "INSERT INTO callbacks ({CALLBACK}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING row"
    );
    let row = db.number(&put, &values).await?;
    if row.is_some_and(|row| row % SWEEP_EVERY == 0) {
        sweep(db, callback.at).await?;
    }
    Ok(())
}

/// Removes what need not be kept.
async fn sweep(db: Db<'_>, now: Timestamp) -> Result<(), Error> {
    let kept = Value::from(int(CALLBACKS_KEPT));
    db.execute(
        "DELETE FROM callbacks WHERE mark IS NULL AND row <=
             (SELECT row FROM callbacks WHERE mark IS NULL ORDER BY row DESC LIMIT 1 OFFSET $1)",
        std::slice::from_ref(&kept),
    )
    .await?;
    // Rows come in the order of time, but for those of a clock that was ahead: they must not stand before the others.
    let known = i64::try_from(KNOWN_AGAIN.as_millis()).unwrap_or(i64::MAX);
    let now = now.as_millis();
    db.execute(
        "DELETE FROM callbacks WHERE received_at NOT BETWEEN $3 AND $4 AND row IN
             (SELECT row FROM callbacks WHERE mark IS NOT NULL AND row <=
                  (SELECT row FROM callbacks WHERE mark IS NOT NULL ORDER BY row DESC LIMIT 1 OFFSET $1)
              ORDER BY row LIMIT $2)",
        &[kept, SWEPT.into(), now.saturating_sub(known).into(), now.into()],
    )
    .await?;
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

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), Refusal> {
        for callback in &self.0 {
            if !is_known(tx.db, callback).await? {
                put(tx.db, callback).await?;
            }
        }
        Ok(())
    }
}

pub(super) async fn list(db: Db<'_>, query: &CallbackQuery, limit: usize) -> Result<Vec<RawCallback>, Error> {
    let wanted = query.verdict;
    let verdict = Verdict::ALL.iter().position(|verdict| Some(*verdict) == wanted);
    let mut values = vec![
        before(query.after),
        count(limit).into(),
        verdict.map(count).into(),
        (&query.since.map(first_id).unwrap_or_default()).into(),
        query.task.as_ref().map(UpstreamId::as_str).into(),
    ];
    let of_job = match &query.job {
        Some(job) => {
            values.push(job.as_bytes().into());
            "AND job = $6"
        }
        None => "",
    };
    let sql = format!(
        "SELECT {CALLBACK} FROM callbacks WHERE id < $1 AND id >= $4 {of_job}
             AND ($3::bigint IS NULL OR verdict = $3) AND ($5::text IS NULL OR task = $5)
         ORDER BY id DESC LIMIT $2"
    );
    db.rows(&sql, &values).await
}

/// The least id that one which came at `since` can have: ids begin with their time, and are found by it without a look
/// at older rows.
fn first_id(since: Timestamp) -> [u8; 16] {
    let millis = u64::try_from(since.as_millis()).unwrap_or(0);
    (u128::from(millis) << 80).to_be_bytes()
}

/// [`JobStore::callback_tallies`](midjourney_core::job::JobStore::callback_tallies).
pub(super) async fn tallies(db: Db<'_>) -> Result<Vec<RawTally>, Error> {
    let sql = "SELECT verdict, count(*), max(received_at) FROM callbacks GROUP BY verdict";
    db.rows(sql, &[]).await
}

pub(super) async fn job_of_task(
    db: Db<'_>,
    account: &AccountName,
    task: &UpstreamId,
) -> Result<Option<JobId>, Error> {
    let found: Option<One> = db
        .row(
            "SELECT id FROM jobs WHERE account = $1 AND task = $2 LIMIT 1",
            &[account.as_str().into(), task.as_str().into()],
        )
        .await?;
    Ok(match found {
        Some(One([Value::Blob(id)])) => <[u8; 16]>::try_from(id.as_slice()).ok().map(JobId::from_bytes),
        _ => None,
    })
}
