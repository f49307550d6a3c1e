//! Files that are not usable. None is changed, none is replaced, none makes the process fall over.

use std::fs;

use super::*;

async fn refused(path: &Path) -> StoreError {
    match SqliteJobStore::open(path, SqliteOptions::default()).await {
        Ok(_) => panic!("{} was opened", path.display()),
        Err(error) => error,
    }
}

#[tokio::test]
async fn what_is_not_our_database_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole.db");
    filled(&whole).await;
    let whole = fs::read(&whole).unwrap();
    let foreign = folder.path().join("foreign.db");
    Connection::open(&foreign)
        .unwrap()
        .execute_batch("CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)")
        .unwrap();
    let foreign = fs::read(&foreign).unwrap();
    let mut unmarked = whole.clone();
    unmarked[68] ^= 1;
    let mut no_magic = whole.clone();
    no_magic[0] = b'X';
    let text = b"jobs: none\n".repeat(1_000);

    for (name, bytes) in [
        ("empty", &[][..]),
        ("one byte", b"S"),
        ("only the magic", b"SQLite format 3\0"),
        ("text", &text),
        ("zeros", &[0; 8192]),
        ("another program's database", &foreign),
        ("ours with another mark", &unmarked),
        ("ours without its magic", &no_magic),
        ("the first page", &whole[..4096]),
        ("half", &whole[..whole.len() / 2]),
        ("all but the last page", &whole[..whole.len() - 4096]),
    ] {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        for _ in 0..2 {
            let error = refused(&path).await;
            assert!(matches!(error, StoreError::Damaged { .. }), "{name}: {error:?}");
            let text = Chain(&error).to_string();
            assert!(text.contains(name) && text.contains("Restore a backup"), "{text}");
            assert!(fs::read(&path).unwrap() == bytes, "{name} was changed");
        }
    }
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder);
    filled(&path).await;
    let raw = Connection::open(&path).unwrap();
    raw.execute_batch("PRAGMA user_version = 99; PRAGMA wal_checkpoint(TRUNCATE)")
        .unwrap();
    drop(raw);
    let before = fs::read(&path).unwrap();
    let error = refused(&path).await;
    assert!(
        matches!(error, StoreError::NewerSchema { found: 99, known: 5 }),
        "{error:?}"
    );
    assert!(fs::read(&path).unwrap() == before);
}

#[tokio::test]
async fn a_schema_that_other_migrations_made_is_refused() {
    for change in [
        "UPDATE schema_migrations SET checksum = 'other'",
        "DELETE FROM schema_migrations",
        "DROP TABLE schema_migrations",
        "DROP TABLE events",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = file(&folder);
        filled(&path).await;
        Connection::open(&path).unwrap().execute_batch(change).unwrap();
        let error = refused(&path).await;
        assert!(matches!(error, StoreError::Damaged { .. }), "{change}: {error:?}");
    }
}

#[tokio::test]
async fn the_log_of_a_missing_database_is_not_mixed_into_a_new_one() {
    for suffix in ["db-wal", "db-journal"] {
        let folder = tempfile::tempdir().unwrap();
        let path = file(&folder);
        fs::write(path.with_extension(suffix), b"perhaps jobs").unwrap();
        let error = refused(&path).await;
        assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
        assert!(Chain(&error).to_string().contains(suffix));
        assert!(!path.exists(), "no empty database appears in its place");
        assert_eq!(fs::read(path.with_extension(suffix)).unwrap(), b"perhaps jobs");
    }
}

#[tokio::test]
async fn a_folder_or_a_path_through_a_file_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    refused(folder.path()).await;
    fs::write(folder.path().join("file"), b"x").unwrap();
    refused(&folder.path().join("file/jobs.db")).await;
}

/// What a power cut may leave: the file as of the last checkpoint and some of the log.
#[tokio::test]
async fn a_cut_log_gives_what_was_whole_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder);
    let store = open(&path).await;
    let mut jobs = Vec::new();
    for seed in 0..12 {
        jobs.extend(insert(&store, seed, 1).await);
    }
    let database = fs::read(&path).unwrap();
    let log = fs::read(path.with_extension("db-wal")).unwrap();
    let mut most = 0;
    for length in (0..=log.len()).step_by(4096) {
        let copy = tempfile::tempdir().unwrap();
        let path = file(&copy);
        fs::write(&path, &database).unwrap();
        fs::write(path.with_extension("db-wal"), &log[..length]).unwrap();
        let store = open(&path).await;
        let mut found = 0;
        for job in &jobs {
            match store.load(job.id).await.unwrap() {
                Some(loaded) if loaded == *job => found += 1,
                Some(other) => panic!("{other:?}"),
                None => break,
            }
        }
        let counted = store.counts().await.unwrap().pending;
        assert_eq!(counted, found, "a prefix, in the order of the commits");
        assert!(found >= most);
        most = found;
    }
    assert!(most >= 11, "{most}");
}

#[tokio::test]
async fn one_wrong_byte_anywhere_is_told_or_harmless() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder);
    filled(&path).await;
    let whole = fs::read(&path).unwrap();
    let mut refusals = 0;
    for number in 0..200 {
        let mut bytes = whole.clone();
        // A quarter in the header page, the rest spread over the file.
        let place = if number % 4 == 0 {
            number * 3
        } else {
            (number * 7919 * 31) % bytes.len()
        };
        bytes[place] ^= 0x41;
        fs::write(&path, &bytes).unwrap();
        for side in ["db-wal", "db-shm"] {
            fs::remove_file(path.with_extension(side)).unwrap_or_default();
        }
        match SqliteJobStore::open(&path, SqliteOptions::default()).await {
            Err(error) => {
                refusals += 1;
                assert!(
                    fs::read(&path).unwrap() == bytes,
                    "byte {place}: changed after {error:?}"
                );
            }
            Ok(store) => {
                // Answers or errors, as it comes; but never a store that has forgotten its jobs.
                let listed = store.list(&JobQuery::newest(9)).await;
                if let Ok(page) = listed {
                    assert!(!page.items.is_empty(), "byte {place}: the jobs are gone");
                }
                drop(store.claim(wish(9)).await);
                drop(store.insert(new_jobs(5, 1)).await);
                drop(store.integrity_check().await);
                store.close().await.unwrap();
            }
        }
    }
    assert!(refusals > 5, "{refusals}");
}
