//! Schema changes: numbered SQL files, applied once and in order, each with a checksum.

use std::{path::Path, time::Duration};

use midjourney_core::{
    error::{Applied, BoxError},
    job::StoreError,
};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{
    error::{classify, classify_unknown, damaged},
    writer::begin,
};
use crate::rows::checksum;

/// Marks a file as ours: `MJgw`.
pub(super) const APPLICATION_ID: i32 = 0x4d4a_6777;

/// Append-only: a file here never changes once it was released.
const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_jobs.sql"),
    include_str!("migrations/0002_uploads.sql"),
    include_str!("migrations/0003_callbacks.sql"),
    include_str!("migrations/0004_deliveries.sql"),
    include_str!("migrations/0005_library.sql"),
];

const OPERATION: &str = "opening the database";

/// The newest schema that this release knows.
pub(super) fn newest() -> u32 {
    u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX)
}

/// Looks whether the database is one of ours, and of a schema that this release can read. Writes nothing.
pub(super) fn verify(db: &Connection, path: &Path) -> Result<(), StoreError> {
    let sql = |error| classify_unknown(path, OPERATION, error);
    let application: i32 = pragma(db, "application_id").map_err(sql)?;
    if application != APPLICATION_ID {
        return Err(damaged(path, "it is a database of another program"));
    }
    let found = version(db).map_err(sql)?;
    if found > newest() {
        return Err(StoreError::NewerSchema {
            found,
            known: newest(),
        });
    }
    for (number, text) in numbered().filter(|(number, _)| *number <= found) {
        let recorded: Option<String> = db
            .query_row(
                "SELECT checksum FROM schema_migrations WHERE version = ?1",
                [number],
                |row| row.get(0),
            )
            .optional()
            .map_err(sql)?;
        if recorded.as_deref() != Some(&*checksum(text)) {
            let found: BoxError =
                format!("its schema was not made by migration {number} of this program").into();
            return Err(damaged(path, found));
        }
    }
    Ok(())
}

/// Brings the schema up to the newest version; waits up to `limit` for another process that is doing the same.
pub(super) fn apply(db: &Connection, path: &Path, limit: Duration) -> Result<(), StoreError> {
    let sql = |error| classify(path, OPERATION, Applied::No, error);
    begin(db, limit).map_err(sql)?;
    let done = run(db).and_then(|()| db.execute_batch("COMMIT"));
    if done.is_err() && !db.is_autocommit() {
        // The first error is the one to tell; the connection is closed right after it.
        db.execute_batch("ROLLBACK").unwrap_or_default();
    }
    done.map_err(sql)
}

fn run(db: &Connection) -> rusqlite::Result<()> {
    up_to(db, newest())
}

fn up_to(db: &Connection, last: u32) -> rusqlite::Result<()> {
    let present = version(db)?;
    if present == 0 {
        db.pragma_update(None, "application_id", APPLICATION_ID)?;
        db.execute_batch(
            "CREATE TABLE schema_migrations (
                version    INTEGER PRIMARY KEY,
                checksum   TEXT    NOT NULL,
                applied_at INTEGER NOT NULL
            ) STRICT",
        )?;
    }
    for (number, text) in numbered().filter(|(number, _)| present < *number && *number <= last) {
        db.execute_batch(text)?;
        // For people who look at the table; nothing decides by it, so SQLite may ask the clock.
        db.execute(
            "INSERT INTO schema_migrations (version, checksum, applied_at)
             VALUES (?1, ?2, CAST(unixepoch('subsec') * 1000 AS INTEGER))",
            params![number, checksum(text)],
        )?;
        db.pragma_update(None, "user_version", number)?;
    }
    Ok(())
}

fn numbered() -> impl Iterator<Item = (u32, &'static str)> {
    (1..).zip(MIGRATIONS.iter().copied())
}

fn version(db: &Connection) -> rusqlite::Result<u32> {
    pragma(db, "user_version")
}

fn pragma<T: rusqlite::types::FromSql>(db: &Connection, name: &str) -> rusqlite::Result<T> {
    db.pragma_query_value(None, name, |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use std::{fs, path::PathBuf};

    use super::*;

    /// Whoever edits a released migration breaks every database that has it.
    #[test]
    fn released_migrations_stay_as_they_are() {
        let checksums: Vec<_> = MIGRATIONS.iter().map(|text| checksum(text)).collect();
        assert_eq!(
            checksums,
            [
                include_str!("migrations/0001_jobs.sha256").trim(),
                include_str!("migrations/0002_uploads.sha256").trim(),
                include_str!("migrations/0003_callbacks.sha256").trim(),
                include_str!("migrations/0004_deliveries.sha256").trim(),
                include_str!("migrations/0005_library.sha256").trim()
            ]
        );
    }

    /// What a process that dies at that moment leaves: the files as they are, with whatever was not committed.
    fn as_left(path: &Path, folder: &Path) -> PathBuf {
        let left = folder.join("left.db");
        for side in ["", "-wal"] {
            let name = |path: &Path| format!("{}{side}", path.display());
            fs::copy(name(path), name(&left)).unwrap();
        }
        left
    }

    fn schema(db: &Connection) -> Vec<String> {
        let mut query = db
            .prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name")
            .unwrap();
        let rows = query.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    }

    #[test]
    fn a_migration_that_was_cut_anywhere_is_done_by_the_next_start() {
        let limit = Duration::from_secs(5);
        let whole = Connection::open_in_memory().unwrap();
        run(&whole).unwrap();
        for old in 1..newest() {
            for cut in old..=newest() {
                let folder = tempfile::tempdir().unwrap();
                let path = folder.path().join("jobs.db");
                let db = Connection::open(&path).unwrap();
                // So small a cache writes to the log before the end, as a long migration does.
                db.execute_batch("PRAGMA journal_mode = WAL; PRAGMA cache_size = 1")
                    .unwrap();
                up_to(&db, old).unwrap();
                db.execute_batch(
                    "INSERT INTO jobs (id, owner, account, status, created_at, updated_at, ordinal, request)
                     VALUES (zeroblob(16), 'local', 'main', 2, 1, 1, 0, '{}')",
                )
                .unwrap();
                db.execute_batch("BEGIN IMMEDIATE").unwrap();
                up_to(&db, cut).unwrap();
                let left = as_left(&path, folder.path());
                drop(db);

                let db = Connection::open(&left).unwrap();
                assert_eq!(version(&db).unwrap(), old, "half a migration is none");
                verify(&db, &left).unwrap();
                apply(&db, &left, limit).unwrap();
                verify(&db, &left).unwrap();
                assert_eq!(version(&db).unwrap(), newest());
                assert_eq!(schema(&db), schema(&whole), "{old}, cut at {cut}");
                let jobs: i64 = db
                    .query_row("SELECT count(*) FROM jobs", [], |row| row.get(0))
                    .unwrap();
                assert_eq!(jobs, 1);
            }
        }
    }
}
