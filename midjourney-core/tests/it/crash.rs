//! The gateway dies at every operation on its store, before and after it took effect; another one goes on.

use std::sync::Arc;

use midjourney_core::{
    engine::EngineConfig,
    id::JobId,
    job::{Capabilities, FailureKind, Stage, Status},
    testing::{FakeClient, FaultPlan, FaultyJobStore},
};

use crate::given::World;

/// What the upstream can do decides how a crash ends.
fn upstreams() -> [(&'static str, Capabilities); 3] {
    let can = |idempotent_submit, reconcile| {
        let mut capabilities = Capabilities::default();
        capabilities.idempotent_submit = idempotent_submit;
        capabilities.reconcile = reconcile;
        capabilities
    };
    [
        ("repeats safely", can(true, false)),
        ("can be asked", can(false, true)),
        ("can do neither", can(false, false)),
    ]
}

/// Runs a job with a store that follows `plan`, until the store has died or the job is over; tells how many operations
/// there were.
async fn first_life(world: &World, id: JobId, plan: FaultPlan) -> usize {
    let store = Arc::new(FaultyJobStore::new(Arc::clone(&world.jobs), plan));
    let shared: Arc<FaultyJobStore> = Arc::clone(&store);
    let engine = world
        .gateway_over(shared, 2)
        .start_engine(EngineConfig::default());
    world
        .live_until("death or the end", async || {
            store.failed() > 0 || world.job(id).await.status().is_final()
        })
        .await;
    let count = store.count();
    // A death, not a shutdown: whatever was under way is gone.
    drop(engine);
    count
}

#[tokio::test]
async fn a_death_at_any_moment_neither_pays_twice_nor_loses_the_job() {
    for (upstream, capabilities) in upstreams() {
        let world = World::new(FakeClient::new().with_capabilities(capabilities));
        let id = world.accepted().await;
        let operations = first_life(&world, id, FaultPlan::None).await;
        assert!(
            operations >= 10,
            "{operations} operations are too few for a whole life"
        );

        let mut unknown = 0;
        for n in 1..=operations {
            for after in [false, true] {
                let world = World::new(FakeClient::new().with_capabilities(capabilities));
                let id = world.accepted().await;
                first_life(
                    &world,
                    id,
                    FaultPlan::FailNth {
                        n,
                        after,
                        forever: true,
                    },
                )
                .await;

                let engine = world
                    .gateway_over(Arc::clone(&world.jobs), 3)
                    .start_engine(EngineConfig::default());
                let job = world.live_until_over(id).await;
                drop(engine);

                let moment = format!("{upstream}, operation {n}, after: {after}: {:?}", job.life.state);
                assert!(
                    world.client.paid() <= 1,
                    "paid {} times; {moment}",
                    world.client.paid()
                );
                match job.status() {
                    Status::Completed => assert_eq!(world.client.paid(), 1, "{moment}"),
                    Status::Expired => {
                        // Nobody could be asked, so nobody was: it waited for a decision to its limit.
                        assert_eq!(
                            job.life.failure().unwrap().kind,
                            FailureKind::SubmitUnknown,
                            "{moment}"
                        );
                        assert_eq!(upstream, "can do neither", "{moment}");
                        unknown += 1;
                    }
                    _ => panic!("{moment}"),
                }
            }
        }
        // The one window that nobody can close: after the intent, before the answer is on disk.
        assert_eq!(unknown > 0, upstream == "can do neither", "{upstream}: {unknown}");
    }
}

#[tokio::test]
async fn a_store_that_fails_once_at_any_operation_costs_no_job_and_no_money() {
    let world = World::new(FakeClient::new());
    let id = world.accepted().await;
    let operations = first_life(&world, id, FaultPlan::None).await;
    for n in 1..=operations {
        for after in [false, true] {
            let world = World::new(FakeClient::new());
            let id = world.accepted().await;
            let plan = FaultPlan::FailNth {
                n,
                after,
                forever: false,
            };
            let store = Arc::new(FaultyJobStore::new(Arc::clone(&world.jobs), plan));
            let engine = world.gateway_over(store, 2).start_engine(EngineConfig::default());
            // A claim whose answer is lost takes the lease's time to be made good; nothing may take longer.
            let job = world.live_until_over(id).await;
            drop(engine);
            assert_eq!(
                job.status(),
                Status::Completed,
                "operation {n}, after: {after}: {:?}",
                job.life
            );
            assert_eq!(world.client.paid(), 1, "operation {n}, after: {after}");
        }
    }
}

#[tokio::test]
async fn a_job_that_nobody_can_ask_about_waits_and_is_settled_by_hand() {
    use midjourney_core::job::{Failure, Resolution};
    use midjourney_core::testing::{SubmitOutcome, Trouble};

    let world = World::new(FakeClient::new());
    world
        .client
        .script_submits([SubmitOutcome::Fail(Trouble::lost(Failure::new(
            FailureKind::TimedOut,
            "no answer",
        )))]);
    let id = world.accepted().await;
    let engine = world.start();
    world
        .live_until("the unknown", async || {
            world.job(id).await.life.state.stage() == Some(Stage::SubmitUnknown)
        })
        .await;
    let job = world.gateway().resolve(id, Resolution::Resubmit).await.unwrap();
    assert_eq!(job.life.state.stage(), Some(Stage::Queued));
    assert_eq!(world.live_until_over(id).await.status(), Status::Completed);
    assert_eq!(world.client.submits().len(), 2);
    drop(engine);
}
