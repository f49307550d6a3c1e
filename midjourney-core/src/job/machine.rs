//! The life of a job, as one pure function.
//!
//! ```text
//! Queued -> Submitting -> Submitted -> Storing -> Completed
//!    ^          |             |
//!    +- not yet +             +-> Cancelling -> Cancelled
//!               |
//!               +-> SubmitUnknown (the answer was lost)
//!
//! any state that is not final may end as Failed or Expired
//! ```
//!
//! The rule that everything else serves: *intent is committed before an effect*. `Submitting` is on disk before the
//! request leaves, so a crash leaves a state that says what may have happened. A submit whose answer is lost becomes
//! `SubmitUnknown`, and leaves it only by evidence or by somebody's decision; no arrow leads from it to a second
//! submit on its own.

mod next;

use std::time::Duration;

use self::next::{Next, maybe_paid};
use super::{
    event::EventKind,
    failure::{Failure, FailureKind},
    input::{Input, Resolution},
    policy::Policy,
    purse::Billing,
    state::{JobState, Life, Phase, Stage},
};
use crate::clock::Timestamp;

/// When a step happens, with a number drawn for its jitter.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "a plain pair of arguments")]
pub struct Moment {
    /// The time.
    pub now: Timestamp,
    /// `0.0..1.0`.
    pub chance: f64,
}

/// What a step leads to: what to commit.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transition {
    /// The life after it.
    pub life: Life,
    /// What watchers are told; `None` where only the next look moved.
    pub event: Option<EventKind>,
    /// What becomes of the job's last charge.
    pub billing: Billing,
}

/// The input makes no sense in the job's present state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a job that is {state} cannot take this: {input}")]
pub struct InvalidTransition {
    /// The job's stage or status.
    pub state: &'static str,
    /// The input's name.
    pub input: &'static str,
}

/// Where a job goes from `life` on `input`. Pure: the same arguments give the same answer.
pub fn step(life: &Life, input: Input, policy: &Policy, at: Moment) -> Result<Transition, InvalidTransition> {
    let next = Next { life, policy, at };
    match (&life.state, input) {
        (JobState::Queued, Input::Deferred { until }) => Ok(next.deferred(until)),
        (JobState::Queued, Input::Start { nonce }) => Ok(next.start(nonce)),
        (JobState::Queued, Input::CancelRequested) | (JobState::Cancelling { .. }, Input::CancelDone) => {
            Ok(next.cancelled(None))
        }

        (JobState::Submitting { .. } | JobState::SubmitUnknown { .. }, Input::Accepted { upstream }) => {
            Ok(next.accepted(upstream))
        }
        // A callback came first and spoke of another task: what the upstream answers itself is the better evidence.
        (JobState::Submitted { upstream: told, .. }, Input::Accepted { upstream }) if *told != upstream => {
            Ok(next.accepted(upstream))
        }
        (JobState::Queued | JobState::Submitting { .. }, Input::Refused(failure)) => Ok(next.failed(failure)),
        (JobState::Queued | JobState::Submitting { .. }, Input::NotAccepted { failure, after }) => {
            Ok(next.requeue(failure, after))
        }
        (JobState::Submitting { .. } | JobState::SubmitUnknown { .. }, Input::Absent) => Ok(next.requeue(
            Failure::new(FailureKind::Transient, "the submit never reached the upstream"),
            None,
        )),
        (JobState::Submitting { nonce }, Input::AnswerLost(failure)) => {
            Ok(next.unknown(nonce.clone(), failure))
        }
        (JobState::Submitting { nonce }, Input::Inconclusive) => Ok(next.unknown(
            nonce.clone(),
            Failure::new(
                FailureKind::SubmitUnknown,
                "the gateway stopped while the submit was under way",
            ),
        )),
        (JobState::Submitting { .. }, Input::CancelRequested) => Ok(next.remember_cancel()),

        (JobState::SubmitUnknown { .. }, Input::Inconclusive) => Ok(next.still_unknown()),
        (JobState::SubmitUnknown { .. }, Input::CancelRequested | Input::Resolve(Resolution::GiveUp)) => {
            Ok(next.cancelled(Some(maybe_paid(
                "cancelled while nobody knew whether the upstream had accepted it",
            ))))
        }
        (JobState::SubmitUnknown { .. }, Input::Resolve(Resolution::Adopt { upstream_id })) => {
            Ok(next.accepted(upstream_id))
        }
        (JobState::SubmitUnknown { .. }, Input::Resolve(Resolution::Resubmit)) => Ok(next.resubmit()),

        (JobState::Submitted { .. }, Input::Observed(status)) => Ok(next.observed(status)),
        (JobState::Submitted { .. }, Input::Told(status)) => Ok(next.told(status)),
        (JobState::Submitted { .. } | JobState::Cancelling { .. }, Input::Hinted) => Ok(next.due_now()),
        (JobState::Submitted { .. }, Input::PollFailed { failure, after }) => {
            Ok(next.poll_failed(failure, after))
        }
        (
            JobState::Submitted {
                phase: Phase::AwaitingInput,
                confirmed: false,
                ..
            },
            Input::Confirm,
        ) => Ok(next.window(Phase::AwaitingInput, true, Duration::ZERO)),
        (JobState::Submitted { confirmed: true, .. }, Input::Confirmed) => Ok(next.confirmed()),
        (
            JobState::Submitted { confirmed: true, .. }
            | JobState::Submitted {
                phase: Phase::AwaitingInput,
                ..
            },
            Input::ConfirmFailed { failure, retry },
        ) => Ok(next.confirm_failed(failure, retry)),
        (JobState::Submitted { confirmed: true, .. }, Input::ConfirmLost(failure)) => {
            Ok(next.confirm_lost(failure))
        }
        (JobState::Submitted { upstream, .. }, Input::CancelRequested) => {
            Ok(next.cancelling(upstream.clone()))
        }

        (JobState::Cancelling { upstream }, Input::CancelTooLate) => Ok(next.watch_again(upstream.clone())),
        (JobState::Cancelling { .. }, Input::CancelFailed { failure, retry }) => {
            Ok(next.cancel_failed(failure, retry))
        }
        (JobState::Cancelling { .. } | JobState::Cancelled { .. }, Input::CancelRequested) => {
            Ok(next.unchanged())
        }

        (JobState::Storing { upstream, result, .. }, Input::Stored) => {
            Ok(next.completed(upstream.clone(), result.clone()))
        }
        (
            JobState::Storing {
                upstream,
                renewed: false,
                ..
            },
            Input::Renewed(result),
        ) => Ok(next.renewed(upstream.clone(), result)),
        (JobState::Storing { upstream, result, .. }, Input::StoreFailed { failure, retry, some }) => {
            let completed = || next.completed(upstream.clone(), result.clone());
            Ok(next.store_failed(failure, retry, some.then_some(completed)))
        }

        (state, input) => Err(InvalidTransition {
            state: state.stage().map_or(state.status().name(), Stage::name),
            input: input.name(),
        }),
    }
}
