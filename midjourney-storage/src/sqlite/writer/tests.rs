//! What is hard to bring about from outside: a full disk, a command that fails half-way, a sync that fails.

use std::path::PathBuf;

use futures_util::future::join_all;

use super::*;

const LIMIT: Duration = Duration::from_secs(20);

/// Adds a row, and then does what the case is about.
struct Add {
    text: String,
    then: fn(&Connection) -> Result<(), Refusal>,
}

impl Command for Add {
    type Output = i64;
    const OPERATION: &'static str = "adding";

    fn run(&self, tx: &mut Tx<'_>) -> Result<i64, Refusal> {
        tx.db.execute("INSERT INTO t (x) VALUES (?1)", [&self.text])?;
        (self.then)(tx.db)?;
        tx.changed();
        Ok(tx.db.last_insert_rowid())
    }
}

fn add(text: &str) -> Add {
    Add {
        text: text.to_owned(),
        then: |_| Ok(()),
    }
}

fn start(folder: &tempfile::TempDir, setup: &str) -> (Writer, watch::Receiver<u64>) {
    let path: PathBuf = folder.path().join("t.db");
    let db = Connection::open(&path).unwrap();
    db.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE t (row INTEGER PRIMARY KEY, x TEXT UNIQUE)")
        .unwrap();
    db.execute_batch(setup).unwrap();
    let (changes, seen) = watch::channel(0);
    (
        Writer::start(db, path.into(), LIMIT, changes, Arc::default()).unwrap(),
        seen,
    )
}

fn rows(folder: &tempfile::TempDir) -> i64 {
    let db = Connection::open(folder.path().join("t.db")).unwrap();
    db.query_row("SELECT count(*) FROM t", [], |row| row.get(0))
        .unwrap()
}

#[tokio::test]
async fn one_bad_command_spoils_no_other_of_its_batch() {
    let folder = tempfile::tempdir().unwrap();
    let (writer, _) = start(&folder, "INSERT INTO t (x) VALUES ('taken')");
    // All are sent before the first is run.
    let holder = Connection::open(folder.path().join("t.db")).unwrap();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    let texts: Vec<_> = (0..20)
        .map(|n| {
            if n % 5 == 0 {
                "taken".to_owned()
            } else {
                n.to_string()
            }
        })
        .collect();
    let all = join_all(texts.iter().map(|text| writer.run(add(text))));
    let (answers, ()) = tokio::join!(all, async { holder.execute_batch("COMMIT").unwrap() });
    for (text, answer) in texts.iter().zip(&answers) {
        assert_eq!(answer.is_err(), text == "taken", "{text}: {answer:?}");
    }
    assert_eq!(rows(&folder), 17);
}

#[tokio::test]
async fn what_fails_half_way_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (writer, changes) = start(&folder, "");
    let half = Add {
        text: "half".to_owned(),
        then: |db| Ok(db.execute_batch("INSERT INTO nowhere VALUES (1)")?),
    };
    let error = writer.run(half).await.unwrap_err();
    assert_eq!(error.applied(), Applied::No);
    assert_eq!((rows(&folder), *changes.borrow()), (0, 0));
    writer.run(add("whole")).await.unwrap();
    assert_eq!((rows(&folder), *changes.borrow()), (1, 1));
}

#[tokio::test]
async fn a_full_disk_is_told_and_passes() {
    let folder = tempfile::tempdir().unwrap();
    let (writer, _) = start(&folder, "PRAGMA max_page_count = 20");
    let large = "x".repeat(200_000);
    for _ in 0..2 {
        let full = writer.run(add(&large)).await;
        assert!(matches!(full, Err(StoreError::Full { .. })), "{full:?}");
    }
    writer.run(add("small")).await.unwrap();
    // The disk has grown for the next one.
    writer
        .run(Add {
            text: "grow".to_owned(),
            then: |db| Ok(db.pragma_update(None, "max_page_count", 2000)?),
        })
        .await
        .unwrap();
    writer.run(add(&large)).await.unwrap();
    assert_eq!(rows(&folder), 3);
}

#[tokio::test]
async fn after_a_failed_sync_nothing_more_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let (writer, _) = start(&folder, "");
    writer.run(add("kept")).await.unwrap();
    let fails = Add {
        text: "lost".to_owned(),
        then: |_| {
            let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR_FSYNC);
            Err(rusqlite::Error::SqliteFailure(code, None).into())
        },
    };
    writer.run(fails).await.unwrap_err();
    for _ in 0..3 {
        let error = writer.run(add("later")).await.unwrap_err();
        assert!(matches!(error, StoreError::Stopped { .. }), "{error:?}");
        assert_eq!(error.applied(), Applied::No);
    }
    tokio::time::timeout(LIMIT, writer.stopped()).await.unwrap();
    assert!(writer.has_stopped());
    assert_eq!(rows(&folder), 1);
}

#[tokio::test]
async fn a_panic_in_the_thread_is_an_error_to_callers() {
    let folder = tempfile::tempdir().unwrap();
    let (writer, _) = start(&folder, "");
    let fails = Add {
        text: String::new(),
        then: |_| panic!("a test"),
    };
    assert_eq!(writer.run(fails).await.unwrap_err().applied(), Applied::Maybe);
    writer.run(add("later")).await.unwrap_err();
    writer.join();
}

#[tokio::test]
async fn the_log_is_taken_in_while_the_store_runs() {
    let folder = tempfile::tempdir().unwrap();
    let (writer, _) = start(&folder, "PRAGMA wal_autocheckpoint = 0");
    let megabyte = "x".repeat(1_000_000);
    for number in 0..60 {
        writer.run(add(&format!("{number}{megabyte}"))).await.unwrap();
    }
    let length = |name| std::fs::metadata(folder.path().join(name)).unwrap().len();
    assert!(length("t.db") > 40_000_000, "{}", length("t.db"));
    assert!(length("t.db-wal") < 40_000_000, "{}", length("t.db-wal"));
    writer.join();
}
