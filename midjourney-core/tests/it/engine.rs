//! What the engine does with what an upstream answers.

use std::{sync::Arc, time::Duration};

use midjourney_core::{
    clock::Clock as _,
    engine::EngineConfig,
    error::ErrorKind,
    gateway::{Act, Imagine},
    image::ImageStore as _,
    job::{
        Action, Failure, FailureKind, IdempotencyKey, ImageQuery, ParentRef, RemoteStatus, Spent, Stage,
        Status, UpscaleMode,
    },
    testing::{FakeClient, FetchOutcome, SubmitOutcome, Trouble},
};

use crate::given::World;

fn failure(kind: FailureKind) -> Failure {
    Failure::new(kind, "as scripted")
}

#[tokio::test]
async fn a_completed_job_has_its_pictures_in_the_store() {
    let world = World::new(FakeClient::new());
    let id = world.accepted().await;
    let engine = world.start();
    let job = world.live_until_over(id).await;
    drop(engine);
    assert_eq!((job.status(), job.life.submits), (Status::Completed, 1));
    let images = world.jobs.images(&ImageQuery::of(id)).await.unwrap().items;
    assert!(images.len() >= 4, "{images:?}");
    for image in images {
        assert_eq!(world.images.length(&image.key).await.unwrap(), Some(image.bytes));
    }
    let told: Vec<_> = world
        .jobs
        .history(id, 0, 50)
        .await
        .unwrap()
        .into_iter()
        .map(|e| e.kind.name())
        .collect();
    assert_eq!(told.first(), Some(&"job.created"));
    assert_eq!(told.last(), Some(&"job.completed"));
}

#[tokio::test]
async fn what_the_upstream_refuses_is_not_asked_again() {
    let world = World::new(FakeClient::new());
    world
        .client
        .script_submits([SubmitOutcome::Fail(Trouble::refused(failure(
            FailureKind::Moderated,
        )))]);
    let id = world.accepted().await;
    let engine = world.start();
    let job = world.live_until_over(id).await;
    drop(engine);
    assert_eq!(job.status(), Status::Failed);
    assert_eq!(
        job.life.failure().map(|f| (f.kind, f.spent)),
        Some((FailureKind::Moderated, Spent::No))
    );
    assert_eq!((world.client.submits().len(), world.client.paid()), (1, 0));
}

#[tokio::test]
async fn not_now_waits_as_long_as_the_upstream_asks() {
    let world = World::new(FakeClient::new());
    let busy = Trouble::not_now(failure(FailureKind::QueueFull), Some(Duration::from_secs(90)));
    world
        .client
        .script_submits([SubmitOutcome::Fail(busy.clone()), SubmitOutcome::Fail(busy)]);
    let begun = world.clock.now();
    let id = world.accepted().await;
    let engine = world.start();
    let job = world.live_until_over(id).await;
    drop(engine);
    assert_eq!(job.status(), Status::Completed);
    assert!(world.clock.now().saturating_since(begun) >= Duration::from_secs(180));
    assert_eq!((world.client.submits().len(), world.client.paid()), (3, 1));
}

#[tokio::test]
async fn a_lost_answer_is_found_again_at_an_upstream_that_can_be_asked() {
    let mut can = midjourney_core::job::Capabilities::default();
    can.reconcile = true;
    let world = World::new(FakeClient::new().with_capabilities(can));
    world.client.script_submits([SubmitOutcome::LostAfter]);
    let id = world.accepted().await;
    let engine = world.start();
    let job = world.live_until_over(id).await;
    drop(engine);
    assert_eq!(job.status(), Status::Completed);
    assert_eq!((world.client.submits().len(), world.client.paid()), (1, 1));
}

#[tokio::test]
async fn pictures_that_break_off_or_are_none_are_fetched_again() {
    let world = World::new(FakeClient::new());
    world.client.script_fetches([
        FetchOutcome::Cut("\u{89}PNG".into()),
        FetchOutcome::Bytes("<html>not found</html>".into()),
        FetchOutcome::Fail(Trouble::passing()),
    ]);
    let id = world.accepted().await;
    let engine = world.start();
    let job = world.live_until_over(id).await;
    drop(engine);
    assert_eq!(job.status(), Status::Completed, "{:?}", job.life);
    assert_eq!(world.client.paid(), 1);
    // Completed means stored, also after trouble.
    let images = world.jobs.images(&ImageQuery::of(id)).await.unwrap().items;
    assert_eq!(images.len(), 4);
    for image in images {
        assert_eq!(world.images.length(&image.key).await.unwrap(), Some(image.bytes));
    }
}

#[tokio::test]
async fn links_that_died_are_asked_for_once_more() {
    let died = || FetchOutcome::Fail(Trouble::refused(failure(FailureKind::ImageExpired)));
    let world = World::new(FakeClient::new());
    world.client.script_fetches([died()]);
    let id = world.accepted().await;
    let engine = world.start();
    assert_eq!(world.live_until_over(id).await.status(), Status::Completed);
    drop(engine);
    assert_eq!(world.client.paid(), 1);

    // Dead links again are all that there is.
    let world = World::new(FakeClient::new());
    world.client.script_fetches((0..8).map(|_| died()));
    let id = world.accepted().await;
    let engine = world.start();
    let job = world.live_until_over(id).await;
    drop(engine);
    assert_eq!(
        job.life.failure().map(|f| (f.kind, f.spent)),
        Some((FailureKind::ImageExpired, Spent::Yes))
    );
}

#[tokio::test]
async fn an_upstream_that_stops_answering_fails_the_job_within_its_limit() {
    let world = World::new(FakeClient::new());
    world
        .client
        .script_statuses([Ok(RemoteStatus::Running { progress: Some(20) })]);
    let begun = world.clock.now();
    let id = world.accepted().await;
    let engine = world.start();
    let job = world.live_until_over(id).await;
    drop(engine);
    assert_eq!(
        job.life.failure().map(|f| (f.kind, f.spent)),
        Some((FailureKind::TimedOut, Spent::Yes))
    );
    let lived = world.clock.now().saturating_since(begun);
    assert!(
        lived >= world.policy.silence_limit && lived < world.policy.silence_limit * 2,
        "{lived:?}"
    );
}

/// It is woken by the clock's return, and what lies years ahead is due.
#[tokio::test]
async fn a_clock_that_was_wrong_for_a_while_holds_up_no_job() {
    let world = World::new(FakeClient::new());
    let right = world.clock.now();
    world.clock.advance(Duration::from_secs(10 * 365 * 86_400));
    let id = world.accepted().await;
    let engine = world.start();
    world
        .live_until("the submit", async || world.client.paid() == 1)
        .await;
    world.clock.set(right);
    let job = world.live_until_over(id).await;
    drop(engine);
    assert_eq!(job.status(), Status::Completed);
    let lived = world.clock.now().saturating_since(right);
    assert!(lived < world.policy.silence_limit, "{lived:?}");
}

/// It is the embedder's own; a fault in it costs no money and takes no worker along.
#[tokio::test]
async fn a_client_that_panics_over_an_answer_has_lost_it() {
    let world = World::new(FakeClient::new());
    world.client.script_submits([SubmitOutcome::PanicAfter]);
    let id = world.accepted().await;
    let engine = world.start();
    let job = world.live_until_over(id).await;
    drop(engine);
    assert_eq!((world.client.paid(), world.client.submits().len()), (1, 1));
    assert_eq!(
        job.life.failure().map(|failure| (failure.kind, failure.spent)),
        Some((FailureKind::SubmitUnknown, Spent::Maybe))
    );
}

fn with_windows() -> FakeClient {
    let mut can = midjourney_core::job::Capabilities::default();
    can.windows = true;
    let client = FakeClient::new().with_capabilities(can);
    client.script_statuses([
        Ok(RemoteStatus::AwaitingInput),
        Ok(RemoteStatus::AwaitingInput),
        Ok(FakeClient::succeeded(4)),
    ]);
    client
}

#[tokio::test]
async fn a_window_is_answered_once_even_where_the_answer_is_lost() {
    let lost = Trouble::lost(failure(FailureKind::Transient));
    let busy = Trouble::not_now(failure(FailureKind::QueueFull), None);
    for (answers, given) in [(vec![], 1), (vec![Err(lost)], 1), (vec![Err(busy)], 1)] {
        let world = World::new(with_windows());
        world.client.script_confirms(answers);
        let id = world.accepted().await;
        let engine = world.start();
        let job = world.live_until_over(id).await;
        drop(engine);
        assert_eq!(job.status(), Status::Completed, "{:?}", job.life);
        assert_eq!((world.client.confirmed(), world.client.paid()), (given, 1));
    }
}

#[tokio::test]
async fn a_window_that_nothing_can_be_given_to_waits_for_a_person_and_says_so() {
    let world = World::new(with_windows());
    world.client.script_statuses([Ok(RemoteStatus::AwaitingInput)]);
    let missing = Failure::new(FailureKind::Unsupported, "the window wants a mask");
    world.client.script_confirms([Err(Trouble::refused(missing))]);
    let id = world.accepted().await;
    let engine = world.start();
    world
        .live_until("what is missing", async || {
            world.job(id).await.life.trouble.is_some()
        })
        .await;
    drop(engine);
    let job = world.job(id).await;
    assert_eq!(job.life.state.stage(), Some(Stage::AwaitingInput));
    assert_eq!(job.life.failure().unwrap().message, "the window wants a mask");
}

#[tokio::test]
async fn cancelling_a_running_job_tells_the_upstream() {
    let world = World::new(FakeClient::new());
    world
        .client
        .script_statuses([Ok(RemoteStatus::Running { progress: Some(20) })]);
    let id = world.accepted().await;
    let engine = world.start();
    world
        .live_until("the run", async || {
            world.job(id).await.life.state.stage() == Some(Stage::Running)
        })
        .await;
    world.gateway().cancel(id).await.unwrap();
    let job = world.live_until_over(id).await;
    drop(engine);
    assert_eq!(job.status(), Status::Cancelled);
    let task = world.client.tasks().remove(0);
    assert!(world.client.was_cancelled(&task));
    // Cancelling what is cancelled is fine.
    assert_eq!(
        world.gateway().cancel(id).await.unwrap().status(),
        Status::Cancelled
    );
}

#[tokio::test]
async fn two_engines_on_one_store_submit_each_job_once() {
    let world = World::new(FakeClient::new());
    let gateway = world.gateway();
    let mut ids = Vec::new();
    for number in 0..30 {
        ids.push(
            gateway
                .imagine(Imagine::new(format!("fox {number}")))
                .await
                .unwrap()
                .jobs[0]
                .id,
        );
    }
    let engines = [2, 3].map(|seed| {
        world
            .gateway_over(Arc::clone(&world.jobs), seed)
            .start_engine(EngineConfig::default())
    });
    for id in ids {
        assert_eq!(world.live_until_over(id).await.status(), Status::Completed);
    }
    drop(engines);
    assert_eq!((world.client.paid(), world.client.submits().len()), (30, 30));
}

#[tokio::test]
async fn shutting_down_lets_a_submit_that_is_out_come_home() {
    let world = World::new(FakeClient::new());
    let id = world.accepted().await;
    let engine = world.start();
    world
        .live_until("the submit", async || !world.client.submits().is_empty())
        .await;
    assert!(engine.shutdown(Duration::from_secs(5)).await);
    assert!(
        world.job(id).await.life.state.upstream().is_some(),
        "{:?}",
        world.job(id).await.life
    );
}

#[tokio::test]
async fn one_key_is_one_request() {
    let world = World::new(FakeClient::new());
    let gateway = world.gateway();
    let key = || IdempotencyKey::new("order-1").ok();
    let first = gateway
        .imagine(Imagine::new("a fox").with_key(key()))
        .await
        .unwrap();
    // Another spelling of the same prompt is the same request.
    let again = gateway
        .imagine(Imagine::new("a  fox").with_key(key()))
        .await
        .unwrap();
    assert!(again.replayed && !first.replayed);
    assert_eq!(first.jobs[0].id, again.jobs[0].id);
    let other = gateway
        .imagine(Imagine::new("a wolf").with_key(key()))
        .await
        .unwrap_err();
    assert_eq!(other.kind(), ErrorKind::IdempotencyMismatch);
}

#[tokio::test]
async fn a_prompt_becomes_one_job_for_each_choice_and_none_where_it_is_wrong() {
    let world = World::new(FakeClient::new());
    let gateway = world.gateway();
    let accepted = gateway
        .imagine(Imagine::new("a {red, blue} fox --v 7"))
        .await
        .unwrap();
    let prompts: Vec<_> = accepted
        .jobs
        .iter()
        .map(|job| job.request.prompt.as_str())
        .collect();
    assert_eq!(prompts, ["a red fox --v 7", "a blue fox --v 7"]);
    assert!(accepted.batch.is_some());

    for wrong in ["", "a fox --ar 99:1", "a {a,b,c,d,e,f,g} {a,b,c,d,e,f,g} fox"] {
        let error = gateway.imagine(Imagine::new(wrong)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidPrompt, "{wrong}");
        assert!(error.report().is_some_and(|report| !report.is_valid()));
    }
    assert_eq!(world.jobs.counts().await.unwrap().pending, 2);
}

#[tokio::test]
async fn follow_ups_need_a_finished_picture_and_what_the_upstream_can_do() {
    let world = World::new(FakeClient::new());
    let gateway = world.gateway();
    let id = world.accepted().await;
    let upscale = |index| {
        Act::new(Action::Upscale {
            mode: UpscaleMode::Cutout,
        })
        .on(ParentRef::new(id, index))
    };
    assert_eq!(
        gateway.act(upscale(1)).await.unwrap_err().kind(),
        ErrorKind::Conflict
    );
    let engine = world.start();
    world.live_until_over(id).await;
    assert_eq!(
        gateway.act(upscale(9)).await.unwrap_err().fields()[0].pointer,
        "/index"
    );
    world.client.refuse_check(Some(failure(FailureKind::Unsupported)));
    assert_eq!(
        gateway.act(upscale(1)).await.unwrap_err().kind(),
        ErrorKind::Rejected
    );
    world.client.refuse_check(None);
    let child = gateway.act(upscale(2)).await.unwrap().jobs.remove(0);
    assert_eq!(world.live_until_over(child.id).await.status(), Status::Completed);
    let sent = world.client.submits().pop().unwrap();
    assert_eq!(sent.parent.unwrap().upstream, world.client.tasks()[0]);
    drop(engine);
}

#[tokio::test]
async fn a_watcher_sees_every_event_in_order_wherever_it_starts() {
    let world = World::new(FakeClient::new());
    let gateway = world.gateway();
    let id = world.accepted().await;
    let watcher = {
        let gateway = gateway.clone();
        tokio::spawn(async move {
            let mut watch = gateway.watch(id, 0).await.unwrap();
            let mut seen = Vec::new();
            while let Some(event) = watch.next().await.unwrap() {
                seen.push(event);
            }
            seen
        })
    };
    let engine = world.start();
    world.live_until_over(id).await;
    drop(engine);
    let seen = watcher.await.unwrap();
    let sequences: Vec<_> = seen.iter().map(|event| event.sequence).collect();
    assert_eq!(sequences, (1..).take(seen.len()).collect::<Vec<_>>());
    let seen: Vec<_> = seen.iter().map(|event| (**event).clone()).collect();
    assert_eq!(seen, world.jobs.history(id, 0, 100).await.unwrap());
    // Resumed in the middle, and behind the end.
    let mut late = gateway.watch(id, 3).await.unwrap();
    assert_eq!(late.next().await.unwrap().unwrap().sequence, 4);
    let mut over = gateway.watch(id, seen.last().unwrap().sequence).await.unwrap();
    assert_eq!(over.next().await.unwrap(), None);
}

/// Not for ever, a lease at a time.
#[tokio::test]
async fn a_client_that_panics_over_a_picture_has_not_given_it() {
    let world = World::new(FakeClient::new());
    world.client.script_statuses([Ok(FakeClient::succeeded(1))]);
    world.client.script_fetches(vec![FetchOutcome::Panic; 100]);
    let id = world.accepted().await;
    let engine = world.start();
    let job = world.live_until_over(id).await;
    drop(engine);
    let failure = job.life.failure().unwrap();
    assert_eq!(
        (failure.kind, failure.spent),
        (FailureKind::ImageUnavailable, Spent::Yes)
    );
}
