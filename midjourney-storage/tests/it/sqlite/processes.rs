//! Several stores on one file, as several processes have them: SQLite's locks are per connection.

use std::{
    path::Path,
    sync::{Arc, mpsc},
    thread,
};

use futures_util::future::{join_all, poll_immediate};
use midjourney_core::{
    budget::{Budget, Budgets, Credits},
    error::{Applied, Retry},
    id::CallbackId,
    job::{CallbackRecord, Nonce, Purse, Transfer, Verdict},
};

use super::*;

/// Another process in the middle of a write transaction, until told to end it.
struct Holder {
    end: mpsc::Sender<()>,
    thread: thread::JoinHandle<()>,
}

impl Holder {
    fn hold(path: &Path) -> Self {
        let (end, ended) = mpsc::channel();
        let (held, holds) = mpsc::channel();
        let db = Connection::open(path).unwrap();
        let thread = thread::spawn(move || {
            db.execute_batch("BEGIN IMMEDIATE").unwrap();
            held.send(()).unwrap();
            ended.recv().unwrap();
            db.execute_batch("COMMIT").unwrap();
        });
        holds.recv().unwrap();
        Self { end, thread }
    }

    fn release(self) {
        self.end.send(()).unwrap();
        self.thread.join().unwrap();
    }
}

#[tokio::test]
async fn each_sees_what_the_other_commits() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (open(&file(&folder)).await, open(&file(&folder)).await);
    for (seed, (writer, watcher)) in (1..).zip([(&one, &other), (&other, &one), (&one, &other)]) {
        let mut changes = watcher.changes();
        changes.mark_unchanged();
        let head = watcher.head().await.unwrap();
        let jobs = insert(writer, seed, 1).await;
        // Earlier commits may still be coming in as hints: what counts is that this one does.
        tokio::time::timeout(DEADLINE, async {
            while watcher.events(head, 9).await.unwrap().is_empty() {
                changes.changed().await.unwrap();
            }
        })
        .await
        .unwrap();
        changes.changed().await.unwrap();
        assert_eq!(watcher.load(jobs[0].id).await.unwrap().as_ref(), Some(&jobs[0]));
    }
}

/// What one has committed itself it knows without asking, but what the other committed in between it must not skip.
#[tokio::test(flavor = "multi_thread")]
async fn who_follows_one_misses_nothing_of_the_other() {
    const EACH: u64 = 150;
    let folder = tempfile::tempdir().unwrap();
    let stores = [
        Arc::new(open(&file(&folder)).await),
        Arc::new(open(&file(&folder)).await),
    ];
    let followers = stores.clone().map(|store| {
        tokio::spawn(async move {
            let mut changes = store.changes();
            let mut seen: Vec<Event> = Vec::new();
            loop {
                changes.mark_unchanged();
                let last = seen.last().map_or(Position::START, |event| event.position);
                let more = store.events(last, 7).await.unwrap();
                let full = more.len() == 7;
                seen.extend(more);
                if seen.len() == 2 * usize::try_from(EACH).unwrap() {
                    break;
                }
                if !full {
                    changes.changed().await.unwrap();
                }
            }
            seen
        })
    });
    let writers = (0..).zip(stores.clone()).map(|(place, store)| async move {
        for number in 0..EACH {
            insert(&store, 1_000 * place + number, 1).await;
        }
    });
    join_all(writers).await;
    let all = open(&file(&folder))
        .await
        .events(Position::START, 1_000)
        .await
        .unwrap();
    for follower in followers {
        let seen = tokio::time::timeout(DEADLINE, follower).await.unwrap().unwrap();
        assert_eq!(seen, all);
    }
}

#[tokio::test]
async fn a_store_at_rest_is_quiet() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (open(&file(&folder)).await, open(&file(&folder)).await);
    let changes = other.changes();
    // Neither reads, nor pings, nor claims of nothing are news.
    one.ping().await.unwrap();
    other.ping().await.unwrap();
    assert!(one.claim(wish(1)).await.unwrap().is_empty());
    other.ping().await.unwrap();
    assert_eq!(*changes.borrow(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn work_is_shared_out_once() {
    let folder = tempfile::tempdir().unwrap();
    let stores: Vec<_> = join_all((0..4).map(|_| async { Arc::new(open(&file(&folder)).await) })).await;
    let inserts = (0..40).map(|seed| {
        let store = Arc::clone(&stores[seed % 4]);
        tokio::spawn(async move { insert(&store, u64::try_from(seed).unwrap() + 10, 5).await })
    });
    join_all(inserts)
        .await
        .into_iter()
        .for_each(|done| drop(done.unwrap()));
    let claims = (0..40).map(|number| {
        let store = Arc::clone(&stores[number % 4]);
        tokio::spawn(async move { store.claim(wish(7)).await.unwrap() })
    });
    let mut ids: Vec<_> = join_all(claims)
        .await
        .into_iter()
        .flat_map(Result::unwrap)
        .map(|claimed| claimed.job.id)
        .collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 200, "every job went out, and none twice");
    assert_eq!(stores[0].counts().await.unwrap().pending, 200);
    assert!(stores[1].integrity_check().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_fresh_file_may_be_opened_by_many_at_once() {
    for round in 0..8 {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data/jobs.db");
        let opened = join_all((0..8).map(|seed| {
            let path = path.clone();
            tokio::spawn(async move {
                let store = open(&path).await;
                insert(&store, seed, 1).await;
                store
            })
        }))
        .await;
        for store in opened {
            let counts = store.unwrap().counts().await.unwrap();
            assert_eq!(counts.pending, 8, "round {round}: all have the same file");
        }
        let drafts = std::fs::read_dir(path.parent().unwrap())
            .unwrap()
            .filter(|entry| {
                entry
                    .as_ref()
                    .unwrap()
                    .file_name()
                    .to_str()
                    .unwrap()
                    .contains(".new-")
            })
            .count();
        assert_eq!(drafts, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_wait_for_another_process_and_reads_do_not() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(open(&file(&folder)).await);
    let jobs = insert(&store, 1, 1).await;
    let holder = Holder::hold(&file(&folder));
    let waiting: Vec<_> = (2..34)
        .map(|seed| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { insert(&store, seed, 1).await })
        })
        .collect();
    for _ in 0..100 {
        assert_eq!(store.load(jobs[0].id).await.unwrap().as_ref(), Some(&jobs[0]));
        assert_eq!(store.list(&JobQuery::newest(200)).await.unwrap().items.len(), 1);
    }
    assert!(waiting.iter().all(|task| !task.is_finished()));
    holder.release();
    for task in waiting {
        task.await.unwrap();
    }
    assert_eq!(store.counts().await.unwrap().pending, 33);
}

#[tokio::test]
async fn waiting_has_an_end() {
    let folder = tempfile::tempdir().unwrap();
    let mut options = SqliteOptions::default();
    options.busy_limit = Duration::from_millis(20);
    let store = SqliteJobStore::open(file(&folder), options).await.unwrap();
    let holder = Holder::hold(&file(&folder));
    for error in [
        store.insert(new_jobs(1, 1)).await.unwrap_err(),
        store.ping().await.unwrap_err(),
    ] {
        assert!(
            matches!(
                error,
                StoreError::Backend {
                    applied: Applied::No,
                    retry: Retry::Soon,
                    ..
                }
            ),
            "{error:?}"
        );
    }
    holder.release();
    insert(&store, 1, 1).await;
    store.ping().await.unwrap();
}

#[tokio::test]
async fn a_caller_who_went_away_is_given_no_jobs() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&file(&folder)).await;
    insert(&store, 1, 1).await;
    let holder = Holder::hold(&file(&folder));
    // Sent, then dropped: nobody is left to work on what it would get.
    assert!(poll_immediate(store.claim(wish(1))).await.is_none());
    holder.release();
    assert_eq!(store.claim(wish(1)).await.unwrap().len(), 1);
}

/// Slots, budgets and the marks of callbacks are counted where all processes write.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_limited_is_limited_for_all_together() {
    let folder = tempfile::tempdir().unwrap();
    let stores: Vec<_> = join_all((0..4).map(|_| async { Arc::new(open(&file(&folder)).await) })).await;
    let jobs = insert(&stores[0], 1, 40).await;
    let start = |number: usize, job: &Job| {
        let (store, job) = (Arc::clone(&stores[number % 4]), job.clone());
        let mut life = job.life.clone();
        life.state = JobState::Submitting {
            nonce: Nonce::new(&SeededEntropy::new(7)),
        };
        let transfer = Transfer {
            account: AccountName::new("other"),
            cost: Credits::whole(1),
        };
        let (day, month) = (Some(Credits::whole(9)), None);
        let budgets = Budgets {
            account: Budget { day, month },
            owner: Budget::default(),
        };
        let id = CallbackId::new(NOW, &SeededEntropy::new(u64::try_from(number).unwrap()));
        let mut callback = CallbackRecord::new(id, NOW, 1, None, Verdict::Applied);
        callback.mark = Some([u8::try_from(number / 2).unwrap(); 32]);
        tokio::spawn(async move {
            let charged = Commit::new(&job, job.life.clone(), None, NOW)
                .moving_to(transfer)
                .within(budgets)
                .caused_by(callback);
            let charged = store.commit(charged).await;
            let version = charged.as_ref().map_or(job.version, |job| job.version);
            let mut started = Commit::new(&job, life, None, NOW).within_slots(Some(5));
            started.version = version;
            (charged, store.commit(started).await)
        })
    };
    let all = join_all(jobs.iter().enumerate().map(|(number, job)| start(number, job))).await;
    let (mut charged, mut repeated, mut started) = (0, 0, 0);
    for outcome in all {
        let (charge, start) = outcome.unwrap();
        match charge {
            Ok(_) => charged += 1,
            Err(StoreError::Repeated(_)) => repeated += 1,
            Err(error) => assert!(matches!(error, StoreError::Overdrawn(_)), "{error}"),
        }
        match start {
            Ok(_) => started += 1,
            Err(error) => assert!(matches!(error, StoreError::NoSlot(_)), "{error}"),
        }
    }
    assert_eq!((charged, started), (9, 10));
    assert!(repeated <= charged, "{repeated} marks were there already");
    let live = stores[1].live().await.unwrap();
    assert!(live.values().all(|live| live.running == 5), "{live:?}");
    let purses = [
        Purse::Account(AccountName::new("other")),
        Purse::Owner(Owner::local()),
    ];
    let spent = stores[2].spent(&purses, NOW).await.unwrap();
    assert!(
        spent.iter().all(|spent| spent.day == Credits::whole(9)),
        "{spent:?}"
    );
}
