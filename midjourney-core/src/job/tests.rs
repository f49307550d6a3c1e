//! What can happen to a job, tried exhaustively and at random.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::{
    clock::{OsEntropy, Timestamp},
    image::ImageKind,
};

const T0: Timestamp = Timestamp::from_millis(1_795_341_600_000);

fn at(seconds: u64) -> Moment {
    Moment {
        now: T0.saturating_add(Duration::from_secs(seconds)),
        chance: 0.5,
    }
}

fn failure(kind: FailureKind) -> Failure {
    Failure::new(kind, "as scripted")
}

fn upstream() -> UpstreamId {
    UpstreamId::new("task-1")
}

fn nonce() -> Nonce {
    Nonce::new(&OsEntropy)
}

fn result() -> RemoteResult {
    RemoteResult::new(vec![RemoteImage::new(
        "https://cdn.example/1.png",
        ImageKind::Single,
        1,
    )])
}

/// Takes `inputs` one after another, one second apart.
fn live(inputs: impl IntoIterator<Item = Input>) -> Life {
    let policy = Policy::default();
    inputs
        .into_iter()
        .zip(1..)
        .fold(Life::new(T0), |life, (input, second)| {
            step(&life, input, &policy, at(second))
                .expect("a lawful step")
                .life
        })
}

fn start() -> Input {
    Input::Start { nonce: nonce() }
}

fn accepted() -> Input {
    Input::Accepted { upstream: upstream() }
}

#[test]
fn a_job_that_meets_no_trouble_goes_straight_to_its_pictures() {
    let policy = Policy::default();
    let mut life = Life::new(T0);
    let mut told = Vec::new();
    for (input, second) in [
        start(),
        accepted(),
        Input::Observed(RemoteStatus::Running { progress: Some(40) }),
        Input::Observed(RemoteStatus::Succeeded(result())),
        Input::Stored,
    ]
    .into_iter()
    .zip(1..)
    {
        let next = step(&life, input, &policy, at(second)).unwrap();
        told.push(next.event.unwrap().name());
        life = next.life;
    }
    assert_eq!(
        told,
        [
            "job.submitting",
            "job.submitted",
            "job.progress",
            "job.storing",
            "job.completed"
        ]
    );
    assert_eq!(life.state.status(), Status::Completed);
    assert_eq!((life.submits, life.due), (1, None));
}

#[test]
fn a_lost_answer_is_never_followed_by_a_second_submit_of_its_own() {
    let lost = live([start(), Input::AnswerLost(failure(FailureKind::TimedOut))]);
    assert_eq!(lost.state.stage(), Some(Stage::SubmitUnknown));
    assert_eq!(lost.failure().map(|f| f.spent), Some(Spent::Maybe));
    // Whatever the upstream can or cannot do, a claim never leads to a submit from here.
    for reconcile in [false, true] {
        for idempotent_submit in [false, true] {
            let found = resume(
                &lost.state,
                Capabilities {
                    idempotent_submit,
                    reconcile,
                    ..Capabilities::default()
                },
            );
            assert!(
                matches!(found, Resume::Reconcile | Resume::Step(Input::Inconclusive)),
                "{found:?}"
            );
        }
    }
    assert!(step(&lost, start(), &Policy::default(), at(9)).is_err());
}

#[test]
fn a_lost_submit_ends_by_evidence_by_decision_or_by_its_limit() {
    let lost = live([start(), Input::AnswerLost(failure(FailureKind::TimedOut))]);
    let policy = Policy::default();
    let go = |input, second| step(&lost, input, &policy, at(second)).unwrap().life;
    assert_eq!(go(accepted(), 9).state.stage(), Some(Stage::Submitted));
    assert_eq!(go(Input::Absent, 9).state.stage(), Some(Stage::Queued));
    let adopt = Input::Resolve(Resolution::Adopt {
        upstream_id: upstream(),
    });
    assert_eq!(go(adopt, 9).state.upstream(), Some(&upstream()));
    assert_eq!(
        go(Input::Resolve(Resolution::Resubmit), 9).state.stage(),
        Some(Stage::Queued)
    );
    assert_eq!(
        go(Input::Resolve(Resolution::GiveUp), 9).state.status(),
        Status::Cancelled
    );
    assert_eq!(
        go(Input::Inconclusive, 9).state.stage(),
        Some(Stage::SubmitUnknown)
    );
    let expired = go(Input::Inconclusive, 25 * 3600);
    assert_eq!(expired.state.status(), Status::Expired);
    assert_eq!(
        expired.failure().map(|f| (f.kind, f.spent)),
        Some((FailureKind::SubmitUnknown, Spent::Maybe))
    );
}

#[test]
fn a_crash_between_intent_and_answer_is_resumed_by_what_the_upstream_can_do() {
    let submitting = live([start()]).state;
    let can = |idempotent_submit, reconcile| Capabilities {
        idempotent_submit,
        reconcile,
        ..Capabilities::default()
    };
    assert_eq!(resume(&submitting, can(true, true)), Resume::SubmitAgain);
    assert_eq!(resume(&submitting, can(false, true)), Resume::Reconcile);
    assert_eq!(
        resume(&submitting, can(false, false)),
        Resume::Step(Input::Inconclusive)
    );
}

#[test]
fn not_now_is_tried_again_as_often_as_allowed_and_spends_nothing() {
    let policy = Policy::default();
    let mut life = Life::new(T0);
    for second in 1..=policy.submit_attempts {
        life = step(&life, start(), &policy, at(u64::from(second))).unwrap().life;
        let not_now = Input::NotAccepted {
            failure: failure(FailureKind::QueueFull),
            after: Some(Duration::from_secs(30)),
        };
        life = step(&life, not_now, &policy, at(u64::from(second))).unwrap().life;
        if life.state.stage() == Some(Stage::Queued) {
            assert!(life.due.unwrap() >= at(u64::from(second)).now.saturating_add(Duration::from_secs(30)));
        }
    }
    assert_eq!(life.state.status(), Status::Failed);
    assert_eq!(
        life.failure().map(|f| (f.kind, f.spent)),
        Some((FailureKind::QueueFull, Spent::No))
    );
}

#[test]
fn cancelling_waits_for_an_answer_that_is_on_its_way() {
    let asked = live([start(), Input::CancelRequested]);
    assert!(asked.cancel_requested);
    assert_eq!(asked.state.stage(), Some(Stage::Submitting));
    let known = step(&asked, accepted(), &Policy::default(), at(5)).unwrap().life;
    assert_eq!(known.state.stage(), Some(Stage::Cancelling));
    let lost = step(
        &asked,
        Input::AnswerLost(failure(FailureKind::TimedOut)),
        &Policy::default(),
        at(5),
    )
    .unwrap();
    assert_eq!(lost.life.state.status(), Status::Cancelled);
    assert_eq!(lost.life.failure().map(|f| f.spent), Some(Spent::Maybe));
}

#[test]
fn a_cancel_that_comes_too_late_keeps_the_picture_that_was_paid_for() {
    let late = live([start(), accepted(), Input::CancelRequested, Input::CancelTooLate]);
    let done = step(
        &late,
        Input::Observed(RemoteStatus::Succeeded(result())),
        &Policy::default(),
        at(9),
    )
    .unwrap();
    assert_eq!(done.life.state.stage(), Some(Stage::Storing));
}

/// Whoever wanted to cancel wants no window answered, and one that was answered before is not answered twice.
#[test]
fn after_a_cancel_that_came_too_late_no_window_is_answered() {
    let late = live([start(), accepted(), Input::CancelRequested, Input::CancelTooLate]);
    let asks = Input::Observed(RemoteStatus::AwaitingInput);
    let open = step(&late, asks, &Policy::default(), at(9)).unwrap().life;
    assert!(step(&open, Input::Confirm, &Policy::default(), at(10)).is_err());
}

#[test]
fn a_queued_job_is_cancelled_at_once_and_a_stored_one_not_at_all() {
    assert_eq!(live([Input::CancelRequested]).state.status(), Status::Cancelled);
    let storing = live([
        start(),
        accepted(),
        Input::Observed(RemoteStatus::Succeeded(result())),
    ]);
    let refused = step(&storing, Input::CancelRequested, &Policy::default(), at(9)).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "a job that is storing cannot take this: cancel"
    );
}

#[test]
fn a_task_over_its_limit_gets_one_last_look() {
    let policy = Policy::default();
    let running = live([
        start(),
        accepted(),
        Input::Observed(RemoteStatus::Running { progress: Some(10) }),
    ]);
    // Somebody looked all the time.
    let watched = |until: Moment| Life {
        due: Some(until.now),
        ..running.clone()
    };
    let late = at(policy.run_limit.as_secs() + 60);
    // The look that finds it late still takes a result.
    let done = step(
        &watched(late),
        Input::Observed(RemoteStatus::Succeeded(result())),
        &policy,
        late,
    )
    .unwrap();
    assert_eq!(done.life.state.stage(), Some(Stage::Storing));
    let still = Input::Observed(RemoteStatus::Running { progress: Some(90) });
    let failed = step(&watched(late), still, &policy, late).unwrap().life;
    assert_eq!(
        failed.failure().map(|f| (f.kind, f.spent)),
        Some((FailureKind::TimedOut, Spent::Yes))
    );
    let silent = at(policy.silence_limit.as_secs() + 60);
    let same = Input::Observed(RemoteStatus::Running { progress: Some(10) });
    let failed = step(&watched(silent), same, &policy, silent).unwrap().life;
    assert_eq!(failed.state.status(), Status::Failed);
}

/// The gateway was down, the machine slept, or its clock was set forward.
#[test]
fn time_in_which_nobody_looked_counts_against_no_task_and_once() {
    let policy = Policy::default();
    let running = |percent| {
        Input::Observed(RemoteStatus::Running {
            progress: Some(percent),
        })
    };
    let begun = live([start(), accepted(), running(10)]);
    let away = 10 * 365 * 86_400;
    for percent in [10, 20] {
        let mut life = step(&begun, running(percent), &policy, at(away)).unwrap().life;
        assert_eq!(life.state.stage(), Some(Stage::Running));
        let mut now = at(away).now;
        while !life.state.status().is_final() {
            now = life.due.unwrap();
            life = step(&life, running(percent), &policy, Moment { now, ..at(0) })
                .unwrap()
                .life;
        }
        let lived = now.saturating_since(at(away).now);
        assert!(
            lived > policy.silence_limit / 2 && lived <= policy.silence_limit * 2,
            "{lived:?}"
        );
    }
}

#[test]
fn a_look_in_vain_after_a_pause_of_our_own_leaves_the_task_its_time() {
    let policy = Policy::default();
    let begun = live([start(), accepted()]);
    let woken = policy.run_limit.as_secs() * 3;
    let unanswered = Input::PollFailed {
        failure: failure(FailureKind::Transient),
        after: None,
    };
    let life = step(&begun, unanswered, &policy, at(woken)).unwrap().life;
    let running = Input::Observed(RemoteStatus::Running { progress: Some(10) });
    let life = step(&life, running, &policy, at(woken + 3)).unwrap().life;
    assert_eq!(life.state.stage(), Some(Stage::Running), "{:?}", life.failure());
}

/// With too few workers for what waits, each look is late, which is no pause.
#[test]
fn a_task_that_cannot_be_asked_about_is_given_up_though_every_look_is_late() {
    let policy = Policy::default();
    let mut life = live([start(), accepted()]);
    let mut now = life.created;
    while !life.state.status().is_final() {
        now = life.due.unwrap().saturating_add(Duration::from_secs(600));
        let unanswered = Input::PollFailed {
            failure: failure(FailureKind::Transient),
            after: None,
        };
        life = step(&life, unanswered, &policy, Moment { now, ..at(0) })
            .unwrap()
            .life;
        let lived = now.saturating_since(life.created);
        assert!(lived < policy.unknown_limit * 2, "it never ends: {life:?}");
    }
    assert!(now.saturating_since(life.created) >= policy.unknown_limit);
}

#[test]
fn the_first_look_after_a_pause_of_our_own_gives_nothing_up() {
    let policy = Policy::default();
    let unanswered = || Input::PollFailed {
        failure: failure(FailureKind::Transient),
        after: None,
    };
    let mut life = live([
        start(),
        accepted(),
        Input::Observed(RemoteStatus::Running { progress: Some(10) }),
    ]);
    // Asked in vain before the pause; that does not count.
    for second in 10..30 {
        life = step(&life, unanswered(), &policy, at(second)).unwrap().life;
    }
    let woken = policy.run_limit.as_secs() * 3;
    life = step(&life, unanswered(), &policy, at(woken)).unwrap().life;
    assert_eq!(life.state.stage(), Some(Stage::Running));
    assert!(life.due.unwrap() <= at(woken + 3).now, "looked again soon");
    let done = Input::Observed(RemoteStatus::Succeeded(result()));
    let done = step(&life, done, &policy, at(woken + 3)).unwrap().life;
    assert_eq!(done.state.stage(), Some(Stage::Storing));

    // Asked in vain for as long as a lost submit is looked for, the task is given up, and not before.
    let mut now = at(woken).now;
    while !life.state.status().is_final() {
        now = life.due.unwrap();
        let moment = Moment { now, ..at(0) };
        life = step(&life, unanswered(), &policy, moment).unwrap().life;
    }
    assert_eq!(
        life.failure().map(|f| (f.kind, f.spent)),
        Some((FailureKind::TimedOut, Spent::Yes))
    );
    let lived = now.saturating_since(life.created);
    assert!(
        lived >= policy.unknown_limit && lived < policy.unknown_limit * 2,
        "{lived:?}"
    );
}

#[test]
fn only_news_of_an_end_ends_a_job_unasked() {
    let policy = Policy::default();
    let life = live([start(), accepted()]);
    let late = at(policy.run_limit.as_secs() + 60);
    let told = |status| step(&life, Input::Told(status), &policy, late).unwrap().life;
    for still in [
        RemoteStatus::Waiting,
        RemoteStatus::Running { progress: Some(40) },
        RemoteStatus::AwaitingInput,
        RemoteStatus::Missing,
        RemoteStatus::Succeeded(RemoteResult::default()),
    ] {
        let asked = step(&life, Input::Observed(still.clone()), &policy, late);
        let next = told(still);
        assert!(matches!(next.state, JobState::Submitted { .. }), "{next:?}");
        if asked.unwrap().life.state.status().is_final() {
            assert_eq!(next.due, Some(late.now));
        }
    }
    assert_eq!(
        told(RemoteStatus::Succeeded(result())).state.stage(),
        Some(Stage::Storing)
    );
    let refused = RemoteStatus::Failed(failure(FailureKind::Moderated));
    assert_eq!(told(refused).state.status(), Status::Failed);
}

#[test]
fn a_breakdown_of_the_upstream_is_no_silence_of_the_task() {
    let policy = Policy::default();
    let running = || Input::Observed(RemoteStatus::Running { progress: Some(10) });
    let mut life = live([start(), accepted(), running()]);
    let late = policy.silence_limit.as_secs() + 60;
    for second in [10, 20, late] {
        let unanswered = Input::PollFailed {
            failure: failure(FailureKind::Transient),
            after: None,
        };
        life = step(&life, unanswered, &policy, at(second)).unwrap().life;
    }
    life = step(&life, running(), &policy, at(late + 1)).unwrap().life;
    assert_eq!(life.state.stage(), Some(Stage::Running));
    // From there it has its time again.
    life = step(&life, running(), &policy, at(late + 60)).unwrap().life;
    assert_eq!(life.state.stage(), Some(Stage::Running));
}

#[test]
fn finished_pictures_wait_for_room_in_our_own_storage() {
    let policy = Policy::default();
    let mut life = live([
        start(),
        accepted(),
        Input::Observed(RemoteStatus::Succeeded(result())),
    ]);
    let begun = life.entered;
    let failed = |kind| Input::StoreFailed {
        failure: failure(kind),
        retry: true,
        some: false,
    };
    // A fetch that fails first after hours in which nobody fetched is only the first try.
    let woken = at(policy.store_limit.as_secs() * 3);
    let once = step(&life, failed(FailureKind::ImageUnavailable), &policy, woken)
        .unwrap()
        .life;
    assert_eq!(once.state.stage(), Some(Stage::Storing));
    let mut lived = Duration::ZERO;
    while !life.state.status().is_final() {
        let now = life.due.unwrap();
        lived = now.saturating_since(begun);
        let full = failed(FailureKind::StorageFailed);
        life = step(&life, full, &policy, Moment { now, ..at(0) }).unwrap().life;
    }
    assert!(lived >= policy.storage_limit, "{lived:?}");
    assert_eq!(
        life.failure().map(|f| (f.kind, f.spent)),
        Some((FailureKind::StorageFailed, Spent::Yes))
    );
}

#[test]
fn what_has_come_is_kept_and_the_job_says_what_has_not() {
    let policy = Policy::default();
    let life = live([
        start(),
        accepted(),
        Input::Observed(RemoteStatus::Succeeded(result())),
    ]);
    let failed = |retry, some| Input::StoreFailed {
        failure: failure(FailureKind::ImageUnavailable),
        retry,
        some,
    };
    // While another try may help, it is made.
    let again = step(&life, failed(true, true), &policy, at(1)).unwrap().life;
    assert_eq!(again.state.stage(), Some(Stage::Storing));
    let kept = step(&life, failed(false, true), &policy, at(1)).unwrap();
    assert_eq!(kept.life.state.status(), Status::Completed);
    assert_eq!(kept.event, Some(EventKind::Completed));
    assert_eq!(
        kept.life.failure().map(|failure| (failure.kind, failure.spent)),
        Some((FailureKind::ImageUnavailable, Spent::Yes))
    );
    let nothing = step(&life, failed(false, false), &policy, at(1)).unwrap().life;
    assert_eq!(nothing.state.status(), Status::Failed);
}

#[test]
fn a_decision_to_submit_again_has_its_own_time_and_is_not_forgotten() {
    let policy = Policy::default();
    let lost = live([start(), Input::AnswerLost(failure(FailureKind::TimedOut))]);
    let late = policy.queue_limit.as_secs() + 60;
    let again = step(&lost, Input::Resolve(Resolution::Resubmit), &policy, at(late))
        .unwrap()
        .life;
    let fresh = Input::Start {
        nonce: Nonce::new(&OsEntropy),
    };
    let out = step(&again, fresh, &policy, at(late + 1)).unwrap().life;
    assert_eq!(out.state.stage(), Some(Stage::Submitting));
    // The second submit cost nothing; the first may have.
    let refused = step(
        &out,
        Input::Refused(failure(FailureKind::Moderated)),
        &policy,
        at(late + 2),
    )
    .unwrap()
    .life;
    assert_eq!(refused.failure().map(|f| f.spent), Some(Spent::Maybe));
    let cancelled = step(&again, Input::CancelRequested, &policy, at(late + 1))
        .unwrap()
        .life;
    assert_eq!(cancelled.failure().map(|f| f.spent), Some(Spent::Maybe));
}

#[test]
fn done_without_links_is_not_done_yet() {
    let life = live([
        start(),
        accepted(),
        Input::Observed(RemoteStatus::Succeeded(RemoteResult::default())),
    ]);
    assert_eq!(life.state.stage(), Some(Stage::Running));
}

#[test]
fn a_task_that_the_upstream_denies_three_times_is_lost() {
    let missing = || Input::Observed(RemoteStatus::Missing);
    let twice = live([start(), accepted(), missing(), missing()]);
    assert_eq!(twice.state.stage(), Some(Stage::Submitted));
    let lost = step(&twice, missing(), &Policy::default(), at(9)).unwrap().life;
    assert_eq!(lost.failure().map(|f| f.kind), Some(FailureKind::LostAtUpstream));
    // Being seen once in between starts the count anew.
    let seen = step(
        &twice,
        Input::Observed(RemoteStatus::Waiting),
        &Policy::default(),
        at(9),
    )
    .unwrap()
    .life;
    assert_eq!(
        step(&seen, missing(), &Policy::default(), at(10))
            .unwrap()
            .life
            .state
            .status(),
        Status::Processing
    );
}

#[test]
fn a_queued_job_expires_with_the_reason_it_could_not_run() {
    let policy = Policy::default();
    let late = at(policy.queue_limit.as_secs() + 1);
    let expired = step(&Life::new(T0), start(), &policy, late).unwrap().life;
    assert_eq!(expired.state.status(), Status::Expired);
    assert_eq!(expired.submits, 0);
}

/// What a job was charged with is given back where its last submit cost nothing, and charged again with a decision to
/// submit it again, after which the charge of the submit that was lost is out of reach.
#[test]
fn a_charge_is_given_back_where_nothing_was_spent() {
    let billing = |life: &Life, input| step(life, input, &Policy::default(), at(1)).unwrap().billing;
    let ends = |spent| {
        Input::Observed(RemoteStatus::Failed(
            failure(FailureKind::Moderated).with_spent(spent),
        ))
    };
    let lost = || Input::AnswerLost(failure(FailureKind::TimedOut));
    let again = || Input::Resolve(Resolution::Resubmit);
    let waiting = live([]);
    let out = live([start()]);
    let unknown = live([start(), lost()]);
    let running = live([start(), accepted()]);
    let resent = live([start(), lost(), again()]);
    let out_again = live([start(), lost(), again(), start()]);
    let running_again = live([start(), lost(), again(), start(), accepted()]);
    for (life, input, expected) in [
        (&waiting, start(), Billing::Keep),
        (&waiting, Input::CancelRequested, Billing::GiveBack),
        (
            &out,
            Input::Refused(failure(FailureKind::Moderated)),
            Billing::GiveBack,
        ),
        (&unknown, Input::CancelRequested, Billing::Keep),
        (&unknown, again(), Billing::Again),
        (&running, ends(Spent::No), Billing::GiveBack),
        (&running, ends(Spent::Maybe), Billing::Keep),
        (&running, ends(Spent::Yes), Billing::Keep),
        (&resent, Input::CancelRequested, Billing::GiveBack),
        (
            &out_again,
            Input::Refused(failure(FailureKind::Moderated)),
            Billing::GiveBack,
        ),
        (&out_again, lost(), Billing::Keep),
        (&running_again, ends(Spent::No), Billing::GiveBack),
        (&running_again, ends(Spent::Maybe), Billing::Keep),
    ] {
        assert_eq!(
            billing(life, input.clone()),
            expected,
            "{input:?} in {:?}",
            life.state
        );
    }
    // What the upstream had begun when it was told to stop may well be paid.
    let stopping = live([start(), accepted(), Input::CancelRequested]);
    assert_eq!(billing(&stopping, Input::CancelDone), Billing::Keep);
}

fn any_status() -> impl Strategy<Value = RemoteStatus> {
    prop_oneof![
        Just(RemoteStatus::Waiting),
        proptest::option::of(0_u8..=255).prop_map(|progress| RemoteStatus::Running { progress }),
        Just(RemoteStatus::AwaitingInput),
        Just(RemoteStatus::Succeeded(result())),
        Just(RemoteStatus::Succeeded(RemoteResult::default())),
        Just(RemoteStatus::Failed(failure(FailureKind::Moderated))),
        Just(RemoteStatus::Cancelled),
        Just(RemoteStatus::Missing),
    ]
}

fn any_input() -> impl Strategy<Value = Input> {
    let fault = || Just(failure(FailureKind::Transient));
    prop_oneof![
        Just(()).prop_map(|()| start()),
        Just(accepted()),
        fault().prop_map(Input::Refused),
        fault().prop_map(|failure| Input::NotAccepted { failure, after: None }),
        fault().prop_map(Input::AnswerLost),
        Just(Input::Absent),
        Just(Input::Inconclusive),
        any_status().prop_map(Input::Observed),
        any_status().prop_map(Input::Told),
        fault().prop_map(|failure| Input::PollFailed {
            failure,
            after: Some(Duration::MAX)
        }),
        (0_u64..100_000).prop_map(|seconds| Input::Deferred {
            until: at(seconds).now
        }),
        Just(Input::Hinted),
        Just(Input::Confirm),
        Just(Input::Confirmed),
        (fault(), any::<bool>()).prop_map(|(failure, retry)| Input::ConfirmFailed { failure, retry }),
        fault().prop_map(Input::ConfirmLost),
        Just(Input::Stored),
        Just(Input::Renewed(result())),
        (fault(), any::<bool>(), any::<bool>()).prop_map(|(failure, retry, some)| Input::StoreFailed {
            failure,
            retry,
            some
        }),
        Just(Input::CancelRequested),
        Just(Input::CancelDone),
        Just(Input::CancelTooLate),
        (fault(), any::<bool>()).prop_map(|(failure, retry)| Input::CancelFailed { failure, retry }),
        Just(Input::Resolve(Resolution::Adopt {
            upstream_id: upstream()
        })),
        Just(Input::Resolve(Resolution::Resubmit)),
        Just(Input::Resolve(Resolution::GiveUp)),
    ]
}

proptest! {
    /// Whatever happens in whatever order: what is over stays over, what is not has a next look, progress of a task
    /// never falls, each mark leads to one submit, and a window of it is answered again only where that surely failed.
    #[test]
    fn no_order_of_events_breaks_a_job(inputs in proptest::collection::vec((any_input(), 0_u64..4_000), 1..60)) {
        let policy = Policy::default();
        let mut life = Life::new(T0);
        let mut seconds = 0;
        let mut marks = Vec::new();
        for (input, wait) in inputs {
            seconds += wait;
            let before = life.clone();
            let decided = matches!(input, Input::Absent | Input::NotAccepted { .. } | Input::Resolve(Resolution::Resubmit));
            let unanswered = matches!(input, Input::ConfirmFailed { retry: true, .. });
            let Ok(next) = step(&life, input, &policy, at(seconds)) else { continue };
            life = next.life;
            if before.state.is_confirmed() && matches!(life.state, JobState::Submitted { .. }) {
                prop_assert!(life.state.is_confirmed() || unanswered, "its window would be answered twice");
            }
            if before.state.status().is_final() {
                prop_assert_eq!(&life, &before);
                prop_assert_eq!(next.event, None);
            }
            prop_assert_eq!(life.due.is_none(), life.state.status().is_final());
            if let JobState::Submitting { nonce } = &life.state
                && life.submits > before.submits
            {
                prop_assert!(!marks.contains(nonce));
                marks.push(nonce.clone());
            }
            prop_assert_eq!(usize::try_from(life.submits).unwrap(), marks.len());
            let was_out = matches!(before.state, JobState::Submitting { .. } | JobState::SubmitUnknown { .. });
            if was_out && life.state == JobState::Queued {
                prop_assert!(decided, "went back to the queue without evidence or a decision");
            }
            if let (JobState::Submitted { .. }, JobState::Submitted { .. }) = (&before.state, &life.state) {
                prop_assert!(life.state.progress() >= before.state.progress());
            }
            let text = serde_json::to_string(&life).unwrap();
            prop_assert_eq!(serde_json::from_str::<Life>(&text).unwrap(), life.clone());
        }
    }

    /// A digest tells requests apart by every part of them, and by nothing else.
    #[test]
    fn a_digest_follows_the_request(prompts in proptest::collection::vec(".{0,20}", 1..4)) {
        let requests: Vec<_> = prompts.iter().map(JobRequest::imagine).collect();
        let digest = RequestDigest::of(&requests);
        prop_assert_eq!(digest, RequestDigest::of(&requests.clone()));
        let mut longer = requests.clone();
        longer.push(JobRequest::imagine("one more"));
        prop_assert_ne!(digest, RequestDigest::of(&longer));
    }
}
