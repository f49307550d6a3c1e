//! What to do with a job that has come due, whoever left it there.
//!
//! A claim does not tell whether the job was put aside on purpose or its worker died. It does not need to: the state
//! was committed before the effect it announces, so the state and what the upstream can do decide alone.
//!
//! | found | upstream can | then |
//! | --- | --- | --- |
//! | `Queued` | | commit `Submitting`, submit |
//! | `Submitting` | repeat safely | submit again under the same mark |
//! | `Submitting`, `SubmitUnknown` | look up by mark | look it up; only what is surely absent is submitted again |
//! | `Submitting`, `SubmitUnknown` | neither | unknown; waits for evidence or a decision |
//! | `Submitted`, a window open and not answered | answer windows | commit the intent, answer it |
//! | `Submitted` | | ask how it is doing |
//! | `Cancelling` | | tell the upstream again |
//! | `Storing` | | fetch and store again; keys are fixed, so that is harmless |

use super::{
    input::Input,
    remote::Capabilities,
    state::{JobState, Phase},
};

/// The next thing to do for a job.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Resume {
    /// Commit the intent to submit, then submit.
    Start,
    /// Submit again under the mark it has.
    SubmitAgain,
    /// Ask the upstream whether it got the submit.
    Reconcile,
    /// Commit the intent to answer the task's window, then answer it.
    Confirm,
    /// Ask the upstream how the task is doing.
    Poll,
    /// Tell the upstream to stop.
    Cancel,
    /// Fetch and store the pictures.
    Store,
    /// Nothing outside: take this step.
    Step(Input),
    /// The job is over.
    Nothing,
}

/// What to do next for a job in `state` at an upstream that can do `capabilities`.
pub fn resume(state: &JobState, capabilities: Capabilities) -> Resume {
    match state {
        JobState::Queued => Resume::Start,
        JobState::Submitting { .. } if capabilities.idempotent_submit => Resume::SubmitAgain,
        JobState::Submitting { .. } | JobState::SubmitUnknown { .. } if capabilities.reconcile => {
            Resume::Reconcile
        }
        JobState::Submitting { .. } | JobState::SubmitUnknown { .. } => Resume::Step(Input::Inconclusive),
        JobState::Submitted {
            phase: Phase::AwaitingInput,
            confirmed: false,
            ..
        } if capabilities.windows => Resume::Confirm,
        JobState::Submitted { .. } => Resume::Poll,
        JobState::Cancelling { .. } => Resume::Cancel,
        JobState::Storing { .. } => Resume::Store,
        JobState::Completed { .. }
        | JobState::Failed { .. }
        | JobState::Cancelled { .. }
        | JobState::Expired { .. } => Resume::Nothing,
    }
}
