//! Following all jobs: every committed event once, in the order of the commits, from wherever one left off.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "helpers of tests fail as tests do"
)]

use std::{collections::BTreeSet, pin::pin, sync::Arc, time::Duration};

use futures_util::{StreamExt as _, future::join_all};
use midjourney_core::{
    gateway::{Gateway, Imagine, WatchAll, WatchFilter},
    id::JobId,
    job::{Event, JobStore, Owner, Position},
    testing::{FakeClient, FaultPlan, FaultyJobStore},
};

use crate::given::World;

async fn all(world: &World) -> Vec<Event> {
    world.jobs.events(Position::START, 100_000).await.unwrap()
}

/// The next `count` events, for which nobody has to wait longer than a busy machine takes.
async fn told(watch: &mut WatchAll, count: usize) -> Vec<Event> {
    let telling = async {
        let mut told = Vec::new();
        while told.len() < count {
            told.push((*watch.next().await.unwrap()).clone());
        }
        told
    };
    tokio::time::timeout(Duration::from_secs(20), telling)
        .await
        .expect("every event is told")
}

async fn ask(gateway: &Gateway, owner: &Owner) -> JobId {
    let mut request = Imagine::new("a red fox");
    request.owner = owner.clone();
    let accepted = gateway.imagine(request).await.unwrap();
    accepted.jobs.first().unwrap().id
}

/// Jobs that are asked for and cancelled, two events each.
async fn come_and_go(gateway: Gateway, owner: Owner, jobs: usize) {
    for _ in 0..jobs {
        let id = ask(&gateway, &owner).await;
        gateway.cancel(id).await.unwrap();
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_two_gateways_commit_at_once_is_told_once_each_and_in_order() {
    const JOBS: usize = 150;
    let world = World::new(FakeClient::new());
    let owners = [Owner::local(), Owner::new("guest")];
    let gateway = world.gateway();
    let start = |filter| gateway.watch_all(Some(Position::START), filter);
    let mut everything = start(WatchFilter::default()).await.unwrap();
    let guest = owners[1].clone();
    let mut guests = start(WatchFilter::default().with_owner(guest)).await.unwrap();

    let mut writers = Vec::new();
    for gateway in [
        world.gateway(),
        world.another().gateway_over(Arc::clone(&world.jobs), 2),
    ] {
        let busy = |owner: &Owner| tokio::spawn(come_and_go(gateway.clone(), owner.clone(), JOBS));
        writers.extend(owners.iter().map(busy));
    }
    let everything = tokio::spawn(async move { told(&mut everything, 8 * JOBS).await });
    let seen_of_guests = told(&mut guests, 4 * JOBS).await;
    let seen = everything.await.unwrap();
    join_all(writers).await.into_iter().for_each(Result::unwrap);

    assert_eq!(seen, all(&world).await);
    let mut of_guests = Vec::new();
    for event in seen {
        if world.job(event.job).await.owner == owners[1] {
            of_guests.push(event);
        }
    }
    assert_eq!(seen_of_guests, of_guests);
}

#[tokio::test]
async fn a_follower_goes_on_where_it_left_off() {
    let world = World::new(FakeClient::new());
    let gateway = world.gateway();
    come_and_go(gateway.clone(), Owner::local(), 100).await;
    let all = all(&world).await;
    let mut seen = Vec::new();
    let mut place = Some(Position::START);
    for step in [1, 63, 1, 70, 65] {
        let mut watch = gateway.watch_all(place, WatchFilter::default()).await.unwrap();
        seen.extend(told(&mut watch, step).await);
        assert_eq!(watch.position(), seen.last().unwrap().position);
        place = Some(watch.position());
    }
    assert_eq!(seen, all);

    // From now on.
    let mut fresh = gateway.watch_all(None, WatchFilter::default()).await.unwrap();
    assert_eq!(fresh.position(), place.unwrap());
    let id = ask(&gateway, &Owner::local()).await;
    assert_eq!(told(&mut fresh, 1).await[0].job, id);
}

#[tokio::test]
async fn what_is_filtered_out_is_not_read_again() {
    let world = World::new(FakeClient::new());
    let gateway = world.gateway();
    let wanted = ask(&gateway, &Owner::local()).await;
    come_and_go(gateway.clone(), Owner::local(), 100).await;
    let filter = WatchFilter::default().with_jobs([wanted]);
    let mut watch = gateway.watch_all(Some(Position::START), filter).await.unwrap();
    assert_eq!(told(&mut watch, 1).await[0].job, wanted);

    // Asked too early, and given up; then something comes.
    assert!(futures_util::poll!(pin!(watch.next())).is_pending());
    assert_eq!(watch.position(), world.jobs.head().await.unwrap());
    let cancelled = {
        let mut rest = pin!(watch.next());
        assert!(futures_util::poll!(&mut rest).is_pending());
        gateway.cancel(wanted).await.unwrap();
        tokio::time::timeout(Duration::from_secs(20), rest).await
    };
    let cancelled = cancelled.expect("it wakes").unwrap();
    assert_eq!((cancelled.job, cancelled.sequence), (wanted, 2));
    assert_eq!(watch.position(), world.jobs.head().await.unwrap());
}

#[tokio::test]
async fn an_event_that_could_not_be_read_is_told_when_asked_again() {
    let world = World::new(FakeClient::new());
    let faulty = Arc::new(FaultyJobStore::new(Arc::clone(&world.jobs), FaultPlan::None));
    let store: Arc<dyn JobStore> = Arc::<FaultyJobStore>::clone(&faulty);
    let gateway = world.gateway_over(store, 1);
    let id = ask(&gateway, &Owner::local()).await;
    let filter = WatchFilter::default().with_owner(Owner::local());
    let mut watch = gateway.watch_all(Some(Position::START), filter).await.unwrap();
    // First the events cannot be read, then their job.
    for n in [1, 2] {
        faulty.arm(FaultPlan::FailNth {
            n,
            after: false,
            forever: false,
        });
        watch.next().await.unwrap_err();
    }
    assert_eq!(told(&mut watch, 1).await[0].job, id);

    faulty.arm(FaultPlan::FailNth {
        n: 1,
        after: false,
        forever: true,
    });
    let watch = gateway.watch_all(Some(Position::START), WatchFilter::default());
    let told: Vec<_> = watch.await.unwrap().into_stream().collect().await;
    assert!(matches!(&told[..], [Err(_)]), "{told:?}");
}

/// One reader for all: what is told to a thousand is read once, and encoded once.
#[tokio::test]
async fn a_thousand_followers_cost_the_store_no_more_than_one() {
    let world = World::new(FakeClient::new());
    let faulty = Arc::new(FaultyJobStore::new(Arc::clone(&world.jobs), FaultPlan::None));
    let store: Arc<dyn JobStore> = Arc::<FaultyJobStore>::clone(&faulty);
    let gateway = world.gateway_over(store, 1);
    let id = ask(&world.gateway(), &Owner::local()).await;
    let mut of_job = Vec::new();
    let mut of_all = Vec::new();
    for _ in 0..1_000 {
        let mut watch = gateway.watch(id, 0).await.unwrap();
        assert_eq!(watch.next().await.unwrap().unwrap().sequence, 1);
        of_job.push(watch);
        let filter = WatchFilter::default().with_owner(Owner::local());
        of_all.push(gateway.watch_all(None, filter).await.unwrap());
    }
    // Once the reader has begun, all have seen what the store knows, and wait.
    for _ in 0..2 {
        for watch in &mut of_job {
            assert!(futures_util::poll!(pin!(watch.next())).is_pending());
        }
        for watch in &mut of_all {
            assert!(futures_util::poll!(pin!(watch.next())).is_pending());
        }
        tokio::task::yield_now().await;
    }
    faulty.arm(FaultPlan::None);
    world.gateway().cancel(id).await.unwrap();
    let mut texts = BTreeSet::new();
    for watch in &mut of_job {
        let event = watch.next().await.unwrap().unwrap();
        assert_eq!(event.sequence, 2);
        texts.insert(event.json().as_ptr());
    }
    for watch in &mut of_all {
        texts.insert(watch.next().await.unwrap().json().as_ptr());
    }
    assert_eq!(texts.len(), 1, "it is encoded once");
    // The reader's look, its next one, and whose job it is.
    assert!(faulty.count() <= 3, "{:?}", faulty.operations());
}

/// More comes than is kept for those who are slow.
#[tokio::test]
async fn who_is_slow_misses_nothing() {
    let world = World::new(FakeClient::new());
    let gateway = world.gateway();
    let mut quick = gateway.watch_all(None, WatchFilter::default()).await.unwrap();
    let mut slow = gateway.watch_all(None, WatchFilter::default()).await.unwrap();
    for watch in [&mut quick, &mut slow] {
        assert!(futures_util::poll!(pin!(watch.next())).is_pending());
    }
    for _ in 0..15 {
        come_and_go(gateway.clone(), Owner::local(), 50).await;
        told(&mut quick, 100).await;
    }
    assert_eq!(told(&mut slow, 1_500).await, all(&world).await);
    let id = ask(&gateway, &Owner::local()).await;
    assert_eq!(told(&mut slow, 1).await[0].job, id);
}
