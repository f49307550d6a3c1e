//! Removing what is past its time, and the files that are left over.

use midjourney_core::{
    id::JobId,
    image::ImageKey,
    job::{AccountName, Removal, Status},
};
use tokio_postgres::Error;

use super::{
    db::{Db, One, Two},
    library,
    writer::{Command, Refusal, Tx},
};
use crate::rows::{RawLeftover, Value, count, int, status_code, tallies::Place};

/// [`JobStore::remove`](midjourney_core::job::JobStore::remove).
pub(super) struct Remove(pub(super) Removal);

impl Command for Remove {
    type Output = ();
    const OPERATION: &'static str = "removing what is past its time";

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), Refusal> {
        let Self(removal) = self;
        for (id, version) in &removal.jobs {
            let id = Value::from(id.as_bytes());
            let judged: Option<Two> = tx
                .db
                .row(
                    "SELECT account, status FROM jobs WHERE id = $1 AND version = $2
                     AND NOT EXISTS (SELECT 1 FROM images WHERE images.job = jobs.id AND pinned <> 0) FOR UPDATE",
                    &[id.clone(), int(*version).into()],
                )
                .await?;
            let Some(Two([Value::Text(account), code])) = judged else {
                continue;
            };
            let is = |status: &Status| status.is_final() && code == Value::from(status_code(*status));
            let Some(status) = Status::ALL.into_iter().find(is) else {
                continue;
            };
            tx.db
                .execute(
                    "INSERT INTO leftovers (key) SELECT key FROM images WHERE job = $1 ON CONFLICT DO NOTHING",
                    std::slice::from_ref(&id),
                )
                .await?;
            // Its events and pictures go with it.
            tx.db.execute("DELETE FROM jobs WHERE id = $1", &[id]).await?;
            let place = Place {
                account: &AccountName::new(account),
                status,
                holds_slot: false,
            };
            tx.count(place, -1);
        }
        for id in &removal.images {
            let over =
                "id = $1 AND pinned = 0 AND (SELECT status FROM jobs WHERE jobs.id = images.job) >= $2";
            let wanted = [id.as_bytes().into(), status_code(Status::Completed).into()];
            let keep = format!(
                "INSERT INTO leftovers (key) SELECT key FROM images WHERE {over} ON CONFLICT DO NOTHING"
            );
            tx.db.execute(&keep, &wanted).await?;
            let remove = format!("DELETE FROM images WHERE {over} RETURNING job");
            if let Some(One([Value::Blob(job)])) = tx.db.row(&remove, &wanted).await?
                && let Ok(job) = job.try_into()
            {
                library::file_anew(tx.db, JobId::from_bytes(job)).await?;
            }
        }
        for id in &removal.uploads {
            let id = [Value::from(id.as_bytes())];
            let keep =
                "INSERT INTO leftovers (key) SELECT key FROM uploads WHERE id = $1 ON CONFLICT DO NOTHING";
            tx.db.execute(keep, &id).await?;
            tx.db.execute("DELETE FROM uploads WHERE id = $1", &id).await?;
        }
        Ok(())
    }
}

/// [`JobStore::forget_leftovers`](midjourney_core::job::JobStore::forget_leftovers).
pub(super) struct Forget(pub(super) Vec<ImageKey>);

impl Command for Forget {
    type Output = ();
    const OPERATION: &'static str = "forgetting files that are gone";

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), Refusal> {
        for key in &self.0 {
            let forget = "DELETE FROM leftovers WHERE key = $1";
            tx.db.execute(forget, &[key.as_str().into()]).await?;
        }
        Ok(())
    }
}

pub(super) async fn leftovers(db: Db<'_>, limit: usize) -> Result<Vec<RawLeftover>, Error> {
    let sql = "SELECT key FROM leftovers ORDER BY key LIMIT $1";
    db.rows(sql, &[count(limit).into()]).await
}
