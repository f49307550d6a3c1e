//! Schema changes: numbered SQL files, applied once and in order, each with a checksum.

use midjourney_core::{
    error::{Applied, Retry},
    job::StoreError,
};
use tokio_postgres::{Client, Error};

use super::error::{classify, failed};
use crate::rows::checksum;

/// Append-only: a file here never changes once it was released.
const MIGRATIONS: &[&str] = &[include_str!("migrations/0001_schema.sql")];

const OPERATION: &str = "opening the database";

/// Held while the schema is looked at and changed, so that of several nodes which start at once one does it: `MJgw`.
const LOCK: i64 = 0x4d4a_6777;

/// Brings the schema up to the newest version.
///
/// **Errors:** [`StoreError::NewerSchema`]; [`StoreError::Damaged`] for one that was not made by these files.
pub(super) async fn apply(client: &mut Client, place: &str) -> Result<(), StoreError> {
    let sql = |error| classify(OPERATION, Applied::No, error);
    let work = client.transaction().await.map_err(sql)?;
    work.execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK])
        .await
        .map_err(sql)?;
    work.batch_execute(
        "CREATE TABLE IF NOT EXISTS schema_migrations (
             version    BIGINT PRIMARY KEY,
             checksum   TEXT   NOT NULL,
             applied_at TIMESTAMPTZ NOT NULL DEFAULT now()
         )",
    )
    .await
    .map_err(sql)?;
    let applied = work
        .query(
            "SELECT version, checksum FROM schema_migrations ORDER BY version",
            &[],
        )
        .await
        .map_err(sql)?;
    let known = u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX);
    for row in &applied {
        let (version, found) = read(row).map_err(sql)?;
        let number = u32::try_from(version).unwrap_or(u32::MAX);
        if number > known {
            return Err(StoreError::NewerSchema { found: number, known });
        }
        let ours = usize::try_from(version.saturating_sub(1))
            .ok()
            .and_then(|index| MIGRATIONS.get(index));
        if ours.map(|text| checksum(text)).as_deref() != Some(&*found) {
            return Err(StoreError::Damaged {
                path: place.to_owned(),
                source: format!("its schema was not made by migration {version} of this program").into(),
            });
        }
    }
    for (version, text) in (1_i64..).zip(MIGRATIONS).skip(applied.len()) {
        work.batch_execute(text).await.map_err(sql)?;
        work.execute(
            "INSERT INTO schema_migrations (version, checksum) VALUES ($1, $2)",
            &[&version, &checksum(text)],
        )
        .await
        .map_err(sql)?;
    }
    work.commit()
        .await
        .map_err(|error| failed(OPERATION, Applied::Maybe, Retry::Soon, error))
}

fn read(row: &tokio_postgres::Row) -> Result<(i64, String), Error> {
    Ok((row.try_get(0)?, row.try_get(1)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever edits a released migration breaks every database that has it.
    #[test]
    fn released_migrations_stay_as_they_are() {
        let checksums: Vec<_> = MIGRATIONS.iter().map(|text| checksum(text)).collect();
        assert_eq!(checksums, [include_str!("migrations/0001_schema.sha256").trim()]);
    }
}
