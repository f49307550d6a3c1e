//! Several nodes on one database, and a database that goes away.

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
    time::Duration,
};

use futures_util::future::join_all;
use midjourney_core::{
    clock::Timestamp,
    error::{Applied, Retry},
    id::{JobId, WorkerId},
    job::{
        AccountName, Claim, IdempotencyKey, Insertion, Job, JobQuery, JobRequest, JobStore, NewJob, NewJobs,
        Owner, Position, StoreError,
    },
    testing::SeededEntropy,
};
use midjourney_storage::postgres::{PostgresJobStore, PostgresOptions};

use super::{ask, cluster::Cluster, connect, shared};

const NOW: Timestamp = Timestamp::from_millis(1_795_341_600_000);

/// Nothing healthy takes this long.
pub(super) const DEADLINE: Duration = Duration::from_secs(60);

pub(super) fn new_job(seed: u64) -> NewJobs {
    let id = JobId::new(NOW, &SeededEntropy::new(seed));
    let job = NewJob::new(id, JobRequest::imagine(format!("fox {seed} --v 7")));
    NewJobs::new(Owner::local(), AccountName::new("main"), vec![job], NOW)
}

pub(super) async fn insert(store: &PostgresJobStore, seed: u64) -> Job {
    match store.insert(new_job(seed)).await.unwrap() {
        Insertion::Created(jobs) => jobs.into_iter().next().unwrap(),
        other => panic!("expected a new job, got {other:?}"),
    }
}

pub(super) async fn all(store: &PostgresJobStore) -> Vec<JobId> {
    let mut query = JobQuery::newest(200);
    let mut jobs = Vec::new();
    loop {
        let page = store.list(&query).await.unwrap();
        jobs.extend(page.items.into_iter().map(|job| job.id));
        match page.next {
            Some(next) => query.after = Some(next),
            None => return jobs,
        }
    }
}

fn wish(worker: u64, limit: usize) -> Claim {
    Claim::new(
        WorkerId::new(NOW, &SeededEntropy::new(worker)),
        vec![AccountName::new("main").into()],
        limit,
        NOW,
        Duration::from_secs(60),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_start_at_once_make_one_schema() {
    let url = shared().database();
    let nodes = join_all((0..6).map(|_| connect(&url))).await;
    insert(&nodes[0], 1).await;
    for node in &nodes {
        assert_eq!(all(node).await.len(), 1);
    }
}

#[tokio::test]
async fn a_schema_of_a_newer_release_is_refused_and_left_alone() {
    let url = shared().database();
    drop(connect(&url).await);
    let newer = "INSERT INTO schema_migrations (version, checksum) VALUES (7, 'x')";
    ask(&url, newer).await;
    let refused = PostgresJobStore::connect(&url, PostgresOptions::default()).await;
    let error = refused.unwrap_err();
    assert!(
        matches!(error, StoreError::NewerSchema { found: 7, known: 1 }),
        "{error:?}"
    );
}

#[test]
fn it_shows_that_nothing_more_is_written() {
    let runtime = || {
        tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .unwrap()
    };
    let (first, second) = (runtime(), runtime());
    let store = first.block_on(connect(&shared().database()));
    assert!(!store.has_stopped());
    // The task that writes goes with it.
    first.shutdown_background();
    let stopped = async { tokio::time::timeout(DEADLINE, store.stopped()).await };
    second.block_on(stopped).unwrap();
    assert!(store.has_stopped());
}

#[tokio::test]
async fn no_error_shows_the_password() {
    for url in [
        "postgres://me:hunter2@127.0.0.1:1/jobs",
        "postgres://me:hunter2@[bad/jobs",
        "host=/nowhere user=me password=hunter2",
    ] {
        let error = PostgresJobStore::connect(url, PostgresOptions::default())
            .await
            .unwrap_err();
        let told = format!("{error:?} {}", midjourney_core::error::Chain(&error));
        assert!(!told.contains("hunter2"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn equal_keys_at_two_nodes_make_one_job() {
    let url = shared().database();
    let nodes = [connect(&url).await, connect(&url).await];
    for round in 0..20 {
        let key = IdempotencyKey::new(format!("key-{round}")).unwrap();
        let calls = (0..8_u64).map(|call| {
            let mut jobs = new_job(round * 100 + call);
            jobs.jobs[0].request = JobRequest::imagine(format!("fox {round} --v 7"));
            nodes[usize::from(call % 2 == 0)].insert(jobs.with_key(Some(key.clone())))
        });
        let mut ids = HashSet::new();
        for made in join_all(calls).await {
            match made.unwrap() {
                Insertion::Created(jobs) | Insertion::Replayed(jobs) => ids.insert(jobs[0].id),
                other => panic!("{other:?}"),
            };
        }
        assert_eq!(ids.len(), 1);
    }
    assert_eq!(all(&nodes[0]).await.len(), 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_share_the_work_and_take_no_job_twice() {
    const JOBS: u64 = 200;
    let url = shared().database();
    let nodes = join_all((0..4).map(|_| connect(&url))).await;
    join_all((0..JOBS).map(|seed| insert(&nodes[0], seed))).await;
    let mut taken = Vec::new();
    while taken.len() < usize::try_from(JOBS).unwrap() {
        let claims = (1..)
            .zip(&nodes)
            .map(|(worker, node)| node.claim(wish(worker, 7)));
        let before = taken.len();
        for claimed in join_all(claims).await {
            taken.extend(claimed.unwrap().into_iter().map(|claimed| claimed.job.id));
        }
        assert!(taken.len() > before, "nobody finds any of those that are left");
    }
    let unique: HashSet<_> = taken.iter().collect();
    assert_eq!(unique.len(), taken.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_hears_of_what_others_commit_and_misses_no_event() {
    const JOBS: u64 = 100;
    let url = shared().database();
    let (here, there) = (connect(&url).await, connect(&url).await);
    let mut changes = here.changes();
    let writing = tokio::spawn(async move {
        join_all((0..JOBS).map(|seed| insert(&there, seed))).await;
    });
    let mut seen = BTreeSet::new();
    let mut after = Position::default();
    let read = async {
        while seen.len() < usize::try_from(JOBS).unwrap() {
            changes.mark_unchanged();
            let events = here.events(after, 7).await.unwrap();
            if events.is_empty() {
                changes.changed().await.unwrap();
            }
            for event in events {
                assert!(event.position > after);
                after = event.position;
                assert!(seen.insert(event.job));
            }
        }
    };
    tokio::time::timeout(DEADLINE, read)
        .await
        .expect("every event is heard of");
    writing.await.unwrap();
}

/// As during a switchover: for a while there is none but a server that only reads.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_waits_for_a_server_that_takes_it() {
    let cluster = Cluster::start();
    let url = cluster.database();
    let store = Arc::new(connect(&url).await);
    insert(&store, 1).await;
    ask(&url, "ALTER SYSTEM SET default_transaction_read_only = on").await;
    ask(&url, "SELECT pg_reload_conf()").await;
    let retry = |error: StoreError| match error {
        StoreError::Backend { applied, retry, .. } => (applied, retry),
        other => panic!("{other:?}"),
    };
    let read_only = async {
        loop {
            if let Err(error) = store.claim(wish(1, 1)).await {
                return retry(error);
            }
        }
    };
    let refused = tokio::time::timeout(DEADLINE, read_only).await.unwrap();
    assert_eq!(refused, (Applied::No, Retry::Soon));
    let new = PostgresJobStore::connect(&url, PostgresOptions::default()).await;
    assert_eq!(retry(new.unwrap_err()), (Applied::No, Retry::Soon));
    let there = Arc::clone(&store);
    let writing = tokio::spawn(async move { insert(&there, 2).await });
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!writing.is_finished());
    ask(&url, "ALTER SYSTEM RESET default_transaction_read_only").await;
    ask(&url, "SELECT pg_reload_conf()").await;
    tokio::time::timeout(DEADLINE, writing).await.unwrap().unwrap();
    assert_eq!(all(&store).await.len(), 2);
}

/// Whoever waits for a turn in vain goes on waiting for it, and so do all that wait behind.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_turn_that_does_not_come_is_nobodys_failure() {
    let url = shared().database();
    let store = Arc::new(connect(&url).await);
    let (holder, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    let hold = "BEGIN; SELECT number FROM tallies WHERE what = 'position' FOR UPDATE";
    holder.batch_execute(hold).await.unwrap();
    let writing = (0..8).map(|seed| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { insert(&store, seed).await })
    });
    let writing: Vec<_> = writing.collect();
    let give_up = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity
                   WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let mut vain = 0;
    while vain < 3 {
        vain += holder.query(give_up, &[]).await.unwrap().len();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    holder.batch_execute("COMMIT").await.unwrap();
    for job in writing {
        tokio::time::timeout(DEADLINE, job).await.unwrap().unwrap();
    }
    assert_eq!(all(&store).await.len(), 8);
}

/// Connections are cut while they write, then the whole server dies, again and again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_and_nothing_is_there_twice_when_the_database_dies() {
    const CUTS: u64 = 15;
    let cluster = Cluster::start();
    let url = cluster.database();
    let store = Arc::new(connect(&url).await);
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let writers = (0..4_u64).map(|writer| {
        let (store, stopped) = (Arc::clone(&store), stopped.clone());
        tokio::spawn(async move {
            let (mut acknowledged, mut unsure) = (Vec::new(), 0_usize);
            for number in 0.. {
                if *stopped.borrow() {
                    break;
                }
                match store.insert(new_job(writer * 1_000_000 + number)).await {
                    Ok(Insertion::Created(jobs)) => acknowledged.push(jobs[0].id),
                    Ok(other) => panic!("{other:?}"),
                    Err(error) => {
                        assert!(matches!(error, StoreError::Backend { .. }), "{error:?}");
                        unsure += 1;
                    }
                }
            }
            (acknowledged, unsure)
        })
    });
    let writers: Vec<_> = writers.collect();
    for cut in 0..CUTS {
        let before = all(&connect(&url).await).await.len();
        let grown = async { while all(&connect(&url).await).await.len() < before + 20 {} };
        tokio::time::timeout(DEADLINE, grown).await.expect("it goes on");
        if cut % 3 == 0 {
            cluster.crash();
        } else {
            let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                       WHERE application_name = 'midjourney' AND pid <> pg_backend_pid()";
            ask(&url, cut).await;
        }
    }
    stop.send_replace(true);
    let (mut acknowledged, mut unsure) = (HashSet::new(), 0);
    for writer in writers {
        let (ids, errors) = writer.await.unwrap();
        acknowledged.extend(ids);
        unsure += errors;
    }
    let stored = all(&connect(&url).await).await;
    let unique: HashSet<_> = stored.iter().copied().collect();
    assert_eq!(unique.len(), stored.len());
    assert!(acknowledged.is_subset(&unique), "an acknowledged job is lost");
    eprintln!(
        "{CUTS} cuts, {} acknowledged, {} stored, {unsure} calls failed",
        acknowledged.len(),
        stored.len()
    );
}
