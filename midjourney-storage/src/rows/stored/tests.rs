//! The forms as files that never change: what an earlier release wrote must be read by every later one.

use midjourney_core::{
    clock::{Entropy, Timestamp},
    id::JobId,
    image::ImageKind,
    job::{
        Action, Echo, FailureKind, JobRequest, JobState, Nonce, ParentRef, Phase, RemoteAction, RemoteImage,
        RemoteResult, Spent, Strength, UpscaleMode, UpstreamId,
    },
};

use super::*;

#[derive(Debug)]
struct Zeros;

impl Entropy for Zeros {
    fn fill(&self, out: &mut [u8]) {
        out.fill(0);
    }
}

fn failure() -> Failure {
    Failure::new(FailureKind::Moderated, "the upstream refused the prompt")
        .with_upstream_text("Sorry! \"banned\" ü")
        .with_spent(Spent::Maybe)
}

fn requests() -> Vec<JobRequest> {
    let parent = ParentRef::new(JobId::from_bytes([1; 16]), 3);
    let upscale = |mode| JobRequest::follow_up(Action::Upscale { mode }, parent, "a fox --v 7");
    let variation = |strength| JobRequest::follow_up(Action::Variation { strength }, parent, "a fox --v 7");
    vec![
        JobRequest::imagine("a \"fox\" ü 🦊 --ar 3:2 --v 7"),
        upscale(UpscaleMode::Cutout),
        upscale(UpscaleMode::Subtle),
        upscale(UpscaleMode::Creative),
        variation(None),
        variation(Some(Strength::Subtle)),
        variation(Some(Strength::Strong)),
        JobRequest::imagine("a fox").with_echo(
            Echo::new(
                Some("order 7".to_owned()),
                Some("https://gw.example/hook".to_owned()),
            )
            .with_name("win_1"),
        ),
    ]
}

fn lives() -> Vec<Life> {
    let upstream = UpstreamId::new("task-1");
    let nonce = Nonce::new(&Zeros);
    let submitted = |phase, progress, misses| JobState::Submitted {
        upstream: upstream.clone(),
        phase,
        progress,
        misses,
        confirmed: false,
    };
    let result = RemoteResult::new(vec![
        RemoteImage::new("https://upstream.invalid/g.png", ImageKind::Grid, 0),
        RemoteImage::new("https://upstream.invalid/1.png", ImageKind::Single, 1),
    ])
    .with_actions(vec![
        RemoteAction::new("MJ::JOB::upsample::1", "U1"),
        RemoteAction::new("x", ""),
    ])
    .with_seed(Some(42));
    let states = vec![
        JobState::Queued,
        JobState::Submitting { nonce: nonce.clone() },
        JobState::SubmitUnknown { nonce, over: false },
        submitted(Phase::Waiting, None, 0),
        submitted(Phase::Running, Some(31), 2),
        submitted(Phase::AwaitingInput, Some(100), 0),
        JobState::Cancelling {
            upstream: upstream.clone(),
        },
        JobState::Storing {
            upstream: upstream.clone(),
            result,
            renewed: false,
        },
        JobState::Completed {
            upstream: upstream.clone(),
            actions: Vec::new(),
            seed: None,
            texts: Vec::new(),
            handle: None,
        },
        JobState::Completed {
            upstream,
            actions: vec![RemoteAction::new("x", "U1")],
            seed: Some(0),
            texts: Vec::new(),
            handle: None,
        },
        JobState::Failed { failure: failure() },
        JobState::Cancelled { failure: None },
        JobState::Cancelled {
            failure: Some(failure()),
        },
        JobState::Expired { failure: failure() },
    ];
    let life = |state: JobState| {
        let mut life = Life::new(Timestamp::from_millis(1_795_341_600_250));
        life.entered = Timestamp::from_millis(1_795_341_601_000);
        life.due = (!state.status().is_final()).then_some(Timestamp::from_millis(1_795_341_602_007));
        life.attempts = 2;
        life.submits = 1;
        life.cancel_requested = matches!(state, JobState::Cancelling { .. });
        life.trouble = matches!(state, JobState::Queued).then(failure);
        life.state = state;
        life
    };
    states.into_iter().map(life).collect()
}

fn assert_golden<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(golden: &str, values: &[T]) {
    let written: Vec<_> = values.iter().map(|value| write(value).unwrap()).collect();
    let golden: Vec<_> = golden.lines().collect();
    assert_eq!(
        written,
        golden,
        "this release writes what the first one wrote:\n{}\n",
        written.join("\n")
    );
    for (line, value) in golden.iter().zip(values) {
        assert_eq!(&read::<T>(line).unwrap(), value, "{line}");
    }
}

#[test]
fn requests_of_version_1() {
    assert_golden(
        include_str!("../../../tests/golden/request.v1.jsonl"),
        &requests(),
    );
}

#[test]
fn lives_of_version_1() {
    assert_golden(include_str!("../../../tests/golden/life.v1.jsonl"), &lives());
}

#[test]
fn events_of_version_1() {
    let golden: Vec<_> = include_str!("../../../tests/golden/event.v1.jsonl")
        .lines()
        .collect();
    let written: Vec<_> = lives()
        .iter()
        .map(|life| write(&EventBody::of(EventKind::Progress, life)).unwrap())
        .collect();
    assert_eq!(written, golden, "{}\n", written.join("\n"));
    for line in golden {
        let body: EventBody = read(line).unwrap();
        assert_eq!(write(&body).unwrap(), line);
    }
}

/// The row of a job that was only accepted leaves out its life and its event, so what they are must never change.
#[test]
fn what_a_new_job_leaves_out_of_version_1() {
    let life = Life::new(Timestamp::from_millis(1_795_341_600_250));
    assert_eq!(
        write(&life).unwrap(),
        r#"{"v":1,"data":{"state":{"is":"queued"},"created":"2026-11-22T10:00:00.25Z","entered":"2026-11-22T10:00:00.25Z","heard":"2026-11-22T10:00:00.25Z","due":"2026-11-22T10:00:00.25Z","attempts":0,"submits":0,"cancel_requested":false}}"#
    );
    assert_eq!(
        write(&EventBody::of(EventKind::Created, &life)).unwrap(),
        r#"{"v":1,"data":{"kind":"job.created","status":"pending","stage":"queued"}}"#
    );
}

#[test]
fn another_version_is_named_rather_than_guessed_at() {
    for text in [
        r#"{"v":2,"data":{"new":"form"}}"#,
        r#"{"v":2,"data":"other"}"#,
        r#"{"v":0}"#,
    ] {
        let error = read::<JobRequest>(text).unwrap_err().to_string();
        assert!(error.contains("this release knows version 1"), "{error}");
    }
    for text in ["", "null", "{}", r#"{"v":1}"#, r#"{"v":1,"data":{}}"#, "\u{0}"] {
        assert!(read::<JobRequest>(text).is_err(), "{text}");
    }
}
