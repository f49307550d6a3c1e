//! Who works on what. Claims take no turns with the writers: a row that somebody is changing is passed over.

use midjourney_core::{
    clock::Timestamp,
    job::{Claim, LONGEST_WAIT, Lease, Share, Status},
};
use tokio_postgres::Error;

use super::db::{Db, Three, numbers};
use crate::rows::{LIVING, RawJob, Value, count, int, status_code};

/// What is due on one account, the longest due first, and what a wrong clock has put far ahead; locked, but for what
/// somebody else has locked. Two ends of the index: in one condition they would be sought through all that lies between.
const CLAIMABLE: &str = "WITH due AS (
         SELECT wake_at, id, row FROM jobs WHERE account = $1 AND status = $2 AND wake_at <= $3
         ORDER BY wake_at, id LIMIT $5 FOR UPDATE SKIP LOCKED),
     stray AS (
         SELECT wake_at, id, row FROM jobs WHERE account = $1 AND status = $2 AND wake_at > $4
         ORDER BY wake_at, id LIMIT $5 FOR UPDATE SKIP LOCKED)
     SELECT wake_at, row, 0::bigint FROM (SELECT * FROM due UNION ALL SELECT * FROM stray) AS both_ends
     ORDER BY wake_at, id LIMIT $5";

/// Sets a lease until `$2`, as [`wakes_at`](midjourney_core::job::wakes_at) has it; `$3` is [`stray_after`] that.
const LEASE: &str = "lease_until = $2, wake_at = CASE WHEN due > $3 THEN $2 ELSE greatest(due, $2) END";

/// What lies beyond this was put there by a clock that was wrong.
fn stray_after(time: Timestamp) -> i64 {
    time.saturating_add(LONGEST_WAIT).as_millis()
}

/// [`JobStore::claim`](midjourney_core::job::JobStore::claim), in a transaction of its own: the jobs, each with its epoch.
pub(super) async fn claim(db: Db<'_>, claim: &Claim) -> Result<Vec<(i64, RawJob)>, Error> {
    db.0.batch_execute("BEGIN").await?;
    let claimed = claim_within(db, claim).await;
    let end = if claimed.is_ok() { "COMMIT" } else { "ROLLBACK" };
    let ended = db.0.batch_execute(end).await;
    let claimed = claimed?;
    ended?;
    Ok(claimed)
}

async fn claim_within(db: Db<'_>, claim: &Claim) -> Result<Vec<(i64, RawJob)>, Error> {
    let mut candidates = Vec::new();
    for share in &claim.accounts {
        let first = candidates.len();
        for status in LIVING {
            let most = share.most.min(claim.limit);
            let most = if status == Status::Pending {
                share.starts.min(most)
            } else {
                most
            };
            let due: Vec<Three> = db
                .rows(
                    CLAIMABLE,
                    &[
                        share.account.as_str().into(),
                        status_code(status).into(),
                        claim.now.as_millis().into(),
                        stray_after(claim.now).into(),
                        count(most).into(),
                    ],
                )
                .await?;
            candidates.extend(due.into_iter().map(|due| {
                let [wake, row, _] = numbers(Some(due.0));
                (wake, row)
            }));
        }
        if let Some(own) = candidates.get_mut(first..) {
            own.sort_unstable();
        }
        candidates.truncate(first.saturating_add(share.most));
    }
    candidates.sort_unstable();
    let until = claim.now.saturating_add(claim.lease);
    let take = format!(
        "UPDATE jobs SET lease_epoch = lease_epoch + 1, {LEASE} WHERE row = $1 RETURNING lease_epoch, {}",
        crate::rows::JOB
    );
    let mut claimed = Vec::new();
    for (_, row) in candidates.into_iter().take(claim.limit) {
        let lease = lease_values(row.into(), until);
        claimed.extend(db.row::<(i64, RawJob)>(&take, &lease).await?);
    }
    Ok(claimed)
}

fn lease_values(which: Value, until: Timestamp) -> [Value; 3] {
    [which, until.as_millis().into(), stray_after(until).into()]
}

/// Makes `lease` last as long as it says; whether it was still held.
pub(super) async fn extend(db: Db<'_>, lease: &Lease) -> Result<bool, Error> {
    let [id, until, stray] = lease_values(lease.job.as_bytes().into(), lease.until);
    let extended = db
        .execute(
            &format!("UPDATE jobs SET {LEASE} WHERE id = $1 AND lease_epoch = $4"),
            &[id, until, stray, int(lease.epoch).into()],
        )
        .await?;
    Ok(extended > 0)
}

/// When the next job of `shares` wants a look.
pub(super) async fn next_due(db: Db<'_>, shares: &[Share]) -> Result<Option<i64>, Error> {
    let mut next: Option<i64> = None;
    for share in shares {
        for status in LIVING {
            if share.most == 0 || (status == Status::Pending && share.starts == 0) {
                continue;
            }
            let wake = db
                .number(
                    "SELECT min(wake_at) FROM jobs WHERE account = $1 AND status = $2 AND wake_at IS NOT NULL",
                    &[share.account.as_str().into(), status_code(status).into()],
                )
                .await?;
            next = match (next, wake) {
                (Some(next), Some(wake)) => Some(next.min(wake)),
                (next, wake) => next.or(wake),
            };
        }
    }
    Ok(next)
}
