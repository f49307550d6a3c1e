//! What the SQLite store takes in and hands out, each job on disk before it counts.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use futures_util::future::join_all;
use midjourney_core::{
    clock::{OsEntropy, Timestamp},
    id::{JobId, WorkerId},
    job::{AccountName, Claim, Commit, JobQuery, JobRequest, JobStore, LeaseEnd, NewJob, NewJobs, Owner},
    page::Cursor,
};
use midjourney_storage::sqlite::{SqliteJobStore, SqliteOptions};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// A clock for ids: each call one millisecond later, so that ids sort as they are made.
static NOW: AtomicI64 = AtomicI64::new(1_795_341_600_000);

fn tick() -> Timestamp {
    Timestamp::from_millis(NOW.fetch_add(1, Ordering::Relaxed))
}

fn account() -> AccountName {
    AccountName::new("simulator")
}

fn new_job() -> NewJobs {
    let now = tick();
    let job = NewJob::new(
        JobId::new(now, &OsEntropy),
        JobRequest::imagine("a red fox in the snow --ar 3:2 --v 7"),
    );
    NewJobs::new(Owner::local(), account(), vec![job], now)
}

async fn fresh() -> (Arc<dyn JobStore>, TempDir) {
    let folder = TempDir::new().unwrap();
    let store = SqliteJobStore::open(folder.path().join("jobs.db"), SqliteOptions::default())
        .await
        .unwrap();
    (Arc::new(store), folder)
}

fn inserts(c: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let (store, _folder) = runtime.block_on(fresh());
    let mut group = c.benchmark_group("store/insert");
    for callers in [1_usize, 8, 64, 256] {
        group.throughput(Throughput::Elements(callers as u64));
        group.bench_function(format!("{callers}_callers"), |b| {
            b.to_async(&runtime).iter(|| async {
                join_all((0..callers).map(|_| store.insert(new_job())))
                    .await
                    .into_iter()
                    .for_each(|done| drop(done.unwrap()));
            });
        });
    }
    group.finish();
}

fn cycles(c: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let (store, _folder) = runtime.block_on(fresh());
    let worker = WorkerId::new(tick(), &OsEntropy);
    let mut group = c.benchmark_group("store/claim");
    for workers in [1_usize, 8, 64] {
        group.throughput(Throughput::Elements(workers as u64));
        group.bench_function(format!("{workers}_at_once"), |b| {
            b.to_async(&runtime).iter_batched(
                || (),
                |()| async {
                    // Insert, claim, and a commit that ends the job: the queue's whole cycle.
                    join_all((0..workers).map(|_| async {
                        store.insert(new_job()).await.unwrap();
                        let claim =
                            Claim::new(worker, vec![account().into()], 1, tick(), Duration::from_secs(60));
                        for claimed in store.claim(claim).await.unwrap() {
                            let mut life = claimed.job.life.clone();
                            life.due = None;
                            let commit = Commit::new(&claimed.job, life, None, tick())
                                .under(claimed.lease, LeaseEnd::Release);
                            store.commit(commit).await.unwrap();
                        }
                    }))
                    .await;
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

/// A page of fifty among a thousand jobs and among a million (`MIDJOURNEY_BENCH_JOBS` changes the larger number).
#[expect(
    clippy::disallowed_methods,
    reason = "a measurement takes its size from whoever runs it"
)]
fn lists(c: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let most = std::env::var("MIDJOURNEY_BENCH_JOBS")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(100_000_usize);
    let mut group = c.benchmark_group("store/list_50");
    for jobs in [1_000, most] {
        let (store, _folder) = runtime.block_on(fresh());
        let middle = runtime.block_on(async {
            let mut middle = None;
            let part = 1_000.min(jobs / 2).max(1);
            for start in (0..jobs).step_by(part) {
                let done = join_all((0..part).map(|_| store.insert(new_job()))).await;
                if start <= jobs / 2
                    && let Some(Ok(midjourney_core::job::Insertion::Created(made))) = done.into_iter().next()
                {
                    middle = made.first().map(|job| Cursor::after(*job.id.as_bytes()));
                }
            }
            middle
        });
        let newest = JobQuery::newest(50);
        let mut deep = newest.clone();
        deep.after = middle;
        for (name, query) in [("newest", newest), ("deep", deep)] {
            group.bench_function(format!("{name}_of_{jobs}"), |b| {
                b.to_async(&runtime)
                    .iter(|| async { store.list(&query).await.unwrap() });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, inserts, cycles, lists);
criterion_main!(benches);
