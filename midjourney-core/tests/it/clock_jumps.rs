//! The clock is set while jobs are under way: none ends early for it, and none waits for ever.

use std::{collections::HashSet, time::Duration};

use midjourney_core::{
    clock::{Clock as _, Timestamp},
    gateway::Imagine,
    job::{FailureKind, Job, RemoteStatus, Spent, Stage, Status},
    testing::{FakeClient, FetchOutcome, SubmitOutcome, Trouble},
};

use crate::given::World;

const HOUR: Duration = Duration::from_secs(3_600);
const TEN_YEARS: Duration = Duration::from_secs(10 * 365 * 86_400);

type Jump = fn(Timestamp) -> Timestamp;

/// Where a job may be when the clock is set.
const STAGES: [Stage; 5] = [
    Stage::Queued,
    Stage::SubmitUnknown,
    Stage::Submitted,
    Stage::Running,
    Stage::Storing,
];

/// An upstream at which a job stays long enough in each stage to be met there.
fn unhurried() -> FakeClient {
    let mut can = midjourney_core::job::Capabilities::default();
    can.reconcile = true;
    let client = FakeClient::new().with_capabilities(can);
    client.script_submits([SubmitOutcome::LostAfter]);
    let running = |percent| {
        Ok(RemoteStatus::Running {
            progress: Some(percent),
        })
    };
    client.script_statuses([
        Ok(RemoteStatus::Waiting),
        running(10),
        running(10),
        running(60),
        running(60),
        Ok(FakeClient::succeeded(4)),
    ]);
    client.script_fetches([FetchOutcome::Fail(Trouble::passing())]);
    client
}

/// What becomes of a job at whose `stage` the clock is set; how long that took by the new time, and what was paid.
async fn set_at(stage: Stage, jump: Jump) -> (Job, Duration, usize) {
    let world = World::new(unhurried());
    let id = world.accepted().await;
    let engine = (stage != Stage::Queued).then(|| world.start());
    world
        .live_until(stage.name(), async || {
            world.job(id).await.life.state.stage() == Some(stage)
        })
        .await;
    world.clock.set(jump(world.clock.now()));
    let set = world.clock.now();
    let engine = engine.unwrap_or_else(|| world.start());
    let job = world.live_until_over(id).await;
    drop(engine);
    (job, world.clock.now().saturating_since(set), world.client.paid())
}

#[tokio::test]
async fn no_job_ends_early_or_never_because_the_clock_was_set() {
    let jumps: [(&str, Jump); 3] = [
        ("an hour on", |now| now.saturating_add(HOUR)),
        ("an hour back", |now| now.saturating_sub(HOUR)),
        ("ten years on", |now| now.saturating_add(TEN_YEARS)),
    ];
    for (name, jump) in jumps {
        for stage in STAGES {
            let (job, lived, paid) = set_at(stage, jump).await;
            let moment = format!("{name} at {}: {:?}", stage.name(), job.life);
            if name == "ten years on" && stage == Stage::Queued {
                // An order is good for a day, by the clock; nothing was spent on it.
                assert_eq!((job.status(), paid), (Status::Expired, 0), "{moment}");
                assert_eq!(job.life.failure().unwrap().spent, Spent::No, "{moment}");
                continue;
            }
            assert_eq!((job.status(), paid), (Status::Completed, 1), "{moment}");
            // A process that runs does not follow its clock back (`SystemClock`); one that is started anew may find
            // what is due an hour ahead, and is late by no more than that.
            assert!(lived < HOUR + HOUR / 4, "{lived:?}; {moment}");
        }
    }
}

/// The time that a jump leaps over is given back once: what the upstream never finishes still has an end.
#[tokio::test]
async fn a_task_without_end_has_its_limit_after_a_jump_too() {
    let world = World::new(FakeClient::new());
    let running = Ok(RemoteStatus::Running { progress: Some(50) });
    world.client.script_statuses([running]);
    let id = world.accepted().await;
    let engine = world.start();
    world
        .live_until("the drawing", async || {
            world.job(id).await.life.state.stage() == Some(Stage::Running)
        })
        .await;
    world.clock.advance(TEN_YEARS);
    let set = world.clock.now();
    let job = world.live_until_over(id).await;
    drop(engine);
    assert_eq!(
        job.life.failure().map(|f| f.kind),
        Some(FailureKind::TimedOut),
        "{job:?}"
    );
    let lived = world.clock.now().saturating_since(set);
    assert!(lived <= world.policy.run_limit, "{lived:?}");
}

#[tokio::test]
async fn ids_stay_unique_whatever_the_clock_does() {
    let world = World::new(FakeClient::new());
    let gateway = world.gateway();
    let mut ids = HashSet::new();
    for number in 0..60 {
        let now = world.clock.now();
        world.clock.set(match number % 3 {
            0 => now.saturating_add(HOUR),
            1 => now.saturating_sub(HOUR * 2),
            _ => now,
        });
        let accepted = gateway.imagine(Imagine::new("a red fox")).await.unwrap();
        assert!(ids.insert(accepted.jobs[0].id), "at {}", world.clock.now());
    }
}
