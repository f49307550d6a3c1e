//! What the suite cannot ask of every store: the file, other processes on it, and what is wrong with it.

mod damage;
mod processes;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use midjourney_core::{
    clock::Timestamp,
    delivery::DeliveryStore,
    delivery_store_suite,
    error::Chain,
    id::{CallbackId, ImageId, JobId, WorkerId},
    image::{Image, ImageDigest, ImageKey, ImageKind, MediaType},
    job::{
        AccountName, CallbackRecord, Claim, Commit, Event, EventKind, IdempotencyKey, ImageQuery, Insertion,
        Job, JobQuery, JobRequest, JobState, JobStore, LeaseEnd, NewJob, NewJobs, Owner, Position,
        StoreError, UpstreamId, Verdict,
    },
    job_store_suite,
    testing::SeededEntropy,
};
use midjourney_storage::sqlite::{SqliteJobStore, SqliteOptions};
use rusqlite::Connection;
use tempfile::TempDir;

const NOW: Timestamp = Timestamp::from_millis(1_795_341_600_000);

/// Nothing healthy takes this long.
const DEADLINE: Duration = Duration::from_secs(20);

fn file(folder: &TempDir) -> PathBuf {
    folder.path().join("jobs.db")
}

async fn open(path: &Path) -> SqliteJobStore {
    SqliteJobStore::open(path, SqliteOptions::default())
        .await
        .unwrap()
}

fn new_jobs(seed: u64, count: usize) -> NewJobs {
    let entropy = SeededEntropy::new(seed);
    let jobs = (0..count)
        .map(|number| {
            NewJob::new(
                JobId::new(NOW, &entropy),
                JobRequest::imagine(format!("fox {seed} {number} --v 7")),
            )
        })
        .collect();
    NewJobs::new(Owner::local(), AccountName::new("main"), jobs, NOW)
}

async fn insert(store: &SqliteJobStore, seed: u64, count: usize) -> Vec<Job> {
    match store.insert(new_jobs(seed, count)).await.unwrap() {
        Insertion::Created(jobs) => jobs,
        other => panic!("expected new jobs, got {other:?}"),
    }
}

fn wish(limit: usize) -> Claim {
    Claim::new(
        WorkerId::new(NOW, &SeededEntropy::new(1)),
        vec![AccountName::new("main").into()],
        limit,
        NOW,
        Duration::from_secs(60),
    )
}

/// A database with three jobs, closed, so that all of it is in the one file.
async fn filled(path: &Path) -> Vec<Job> {
    let store = open(path).await;
    let jobs = insert(&store, 1, 3).await;
    store.close().await.unwrap();
    assert!(
        !path.with_extension("db-wal").exists(),
        "closing takes the log in"
    );
    jobs
}

mod suite {
    use super::*;

    async fn fresh() -> (Arc<dyn JobStore>, TempDir) {
        let folder = tempfile::tempdir().unwrap();
        (Arc::new(open(&file(&folder)).await), folder)
    }

    job_store_suite!(fresh);
}

mod delivery_suite {
    use super::*;

    async fn fresh() -> (Arc<dyn DeliveryStore>, TempDir) {
        let folder = tempfile::tempdir().unwrap();
        (Arc::new(open(&file(&folder)).await), folder)
    }

    delivery_store_suite!(fresh);
}

fn picture(job: &Job) -> Image {
    Image::new(
        ImageId::new(NOW, &SeededEntropy::new(9)),
        job.id,
        job.owner.clone(),
        ImageKind::Single,
        1,
        ImageKey::new(NOW, job.id, ImageKind::Single, 1, MediaType::WebP),
        ImageDigest::of(b"x"),
        1,
        MediaType::WebP,
        None,
        "https://upstream.invalid/1".to_owned(),
        NOW,
    )
}

/// Everything that can be read.
async fn all(store: &SqliteJobStore, done: &Job, asked: NewJobs) -> impl PartialEq + std::fmt::Debug + use<> {
    let images = store.images(&ImageQuery::of(done.id)).await.unwrap();
    let first = images.items.first().unwrap().id;
    let image = store.image(first).await.unwrap();
    (
        store.list(&JobQuery::newest(9)).await.unwrap(),
        store.events(Position::START, 9).await.unwrap(),
        store.counts().await.unwrap(),
        store.load(done.id).await.unwrap(),
        store.insert(asked).await.unwrap(),
        store.next_due(&[AccountName::new("main").into()]).await.unwrap(),
        (images, image),
    )
}

#[tokio::test]
async fn a_new_opening_finds_everything() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&file(&folder)).await;
    let key = IdempotencyKey::new("k").unwrap();
    let asked = new_jobs(2, 3).with_key(Some(key));
    store.insert(asked.clone()).await.unwrap();
    let claimed = store.claim(wish(1)).await.unwrap().remove(0);
    let mut life = claimed.job.life.clone();
    life.state = JobState::Completed {
        upstream: UpstreamId::new("t"),
        actions: Vec::new(),
        seed: Some(7),
        texts: Vec::new(),
        handle: None,
    };
    life.due = None;
    let commit = Commit::new(&claimed.job, life, Some(EventKind::Completed), NOW)
        .under(claimed.lease, LeaseEnd::Release)
        .with_images(vec![picture(&claimed.job)]);
    let done = store.commit(commit).await.unwrap();

    let before = all(&store, &done, asked.clone()).await;
    assert!(store.integrity_check().await.unwrap().is_empty());
    store.close().await.unwrap();
    let again = open(&file(&folder)).await;
    assert_eq!(all(&again, &done, asked).await, before);
}

/// A callback that was heeded before a restart is known after it.
#[tokio::test]
async fn a_callback_is_known_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&file(&folder)).await;
    let job = insert(&store, 1, 1).await.remove(0);
    let caused = |job: &Job, seed: u64| {
        let id = CallbackId::new(NOW, &SeededEntropy::new(seed));
        let mut callback = CallbackRecord::new(id, NOW, 1, None, Verdict::Applied);
        callback.mark = Some([7; 32]);
        Commit::new(job, job.life.clone(), None, NOW).caused_by(callback)
    };
    let job = store.commit(caused(&job, 1)).await.unwrap();
    store.close().await.unwrap();
    let again = open(&file(&folder)).await;
    let refused = again.commit(caused(&job, 2)).await;
    assert!(matches!(refused, Err(StoreError::Repeated(_))), "{refused:?}");
}

#[tokio::test]
async fn a_dropped_store_ends_its_thread() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&file(&folder)).await;
    let mut changes = store.changes();
    drop(store);
    // The last sender is the thread's.
    let ended = tokio::time::timeout(DEADLINE, async { while changes.changed().await.is_ok() {} });
    ended.await.unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn file_and_folders_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/data/jobs.db");
    let store = open(&path).await;
    insert(&store, 1, 1).await;
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    for name in ["jobs.db", "jobs.db-wal", "jobs.db-shm"] {
        assert_eq!(mode(&path.with_file_name(name)), 0o600, "{name}");
    }
    assert_eq!(mode(&folder.path().join("deep/data")), 0o700);
    assert_eq!(mode(&folder.path().join("deep")), 0o700);
}

#[tokio::test]
async fn a_name_that_sqlite_would_take_for_something_else_is_a_file() {
    let folder = tempfile::tempdir().unwrap();
    for name in [":memory:", "file:x?mode=memory", "a b ü.db"] {
        let path = folder.path().join(name);
        let store = open(&path).await;
        insert(&store, 1, 1).await;
        store.close().await.unwrap();
        assert_eq!(open(&path).await.counts().await.unwrap().pending, 1, "{name}");
    }
}

#[tokio::test]
async fn an_integrity_check_finds_what_was_changed_behind_our_back() {
    let folder = tempfile::tempdir().unwrap();
    filled(&file(&folder)).await;
    let raw = Connection::open(file(&folder)).unwrap();
    raw.execute_batch(
        "PRAGMA foreign_keys = OFF;
         INSERT INTO events (position, job, sequence, at, body) VALUES (99, 1, 2, 0, '');
         DELETE FROM jobs WHERE row = 1;
         UPDATE jobs SET life = '{}' WHERE row = 2;",
    )
    .unwrap();
    drop(raw);
    let wrong = open(&file(&folder)).await.integrity_check().await.unwrap();
    assert_eq!(wrong.len(), 2, "{wrong:?}");
    assert!(wrong[0].contains("events, row 99"), "{wrong:?}");
    assert!(wrong[1].contains("tallies"), "{wrong:?}");
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_named_and_stops_no_other() {
    let cases: [(&str, &str, &str); 7] = [
        ("life", "life = '{\"v\":2,\"data\":{}}'", "version 2"),
        ("life", "life = 'null'", "expected"),
        (
            "life",
            "life = '{\"v\":1,\"data\":{\"state\":{\"is\":\"dreaming\"}}}'",
            "dreaming",
        ),
        ("request", "request = ''", "EOF"),
        ("request", "request = CAST(x'ff' AS TEXT)", "not text"),
        ("version", "version = -1", "out of range"),
        ("batch", "batch = zeroblob(16), life = '', request = '{}'", ""),
    ];
    for (column, change, told) in cases {
        let folder = tempfile::tempdir().unwrap();
        let jobs = filled(&file(&folder)).await;
        let raw = Connection::open(file(&folder)).unwrap();
        raw.execute(
            &format!("UPDATE jobs SET {change} WHERE id = ?1"),
            [jobs[1].id.as_bytes()],
        )
        .unwrap();
        drop(raw);
        let store = open(&file(&folder)).await;
        for error in [
            store.load(jobs[1].id).await.unwrap_err(),
            store.list(&JobQuery::newest(9)).await.unwrap_err(),
        ] {
            let StoreError::Corrupt {
                table,
                row,
                column: named,
                ..
            } = &error
            else {
                panic!("{change}: {error:?}");
            };
            assert_eq!((*table, row), ("jobs", &jobs[1].id.to_string()));
            assert!(*named == column || column == "batch", "{change}: {named}");
            assert!(Chain(&error).to_string().contains(told), "{}", Chain(&error));
        }
        assert_eq!(store.load(jobs[0].id).await.unwrap().as_ref(), Some(&jobs[0]));
        assert_eq!(store.claim(wish(9)).await.unwrap().len(), 2, "{change}");
    }
}
