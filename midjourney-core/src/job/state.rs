//! Where a job is: what is stored of its life, and the words that users see for it.

use serde::{Deserialize, Serialize};

use super::{
    failure::Failure,
    remote::{Nonce, RemoteAction, RemoteResult, UpstreamId},
};
use crate::clock::Timestamp;

/// What the upstream is doing with a task that it accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Phase {
    /// It waits in the upstream's queue.
    Waiting,
    /// It is being drawn.
    Running,
    /// A window is open and waits for a person.
    AwaitingInput,
}

/// Where a job is, with what is known there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
#[non_exhaustive]
pub enum JobState {
    /// Waiting to be submitted.
    Queued,
    /// About to be submitted, or the answer is on its way. From here it may have been paid.
    Submitting {
        /// The mark on this submit.
        nonce: Nonce,
    },
    /// The submit's answer was lost.
    SubmitUnknown {
        /// The mark to look for.
        nonce: Nonce,
        /// The task would be over by now, if there ever was one: it takes up none of the account's slots any more.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        over: bool,
    },
    /// The upstream has it.
    Submitted {
        /// The upstream's name for it.
        upstream: UpstreamId,
        /// What the upstream is doing with it.
        phase: Phase,
        /// 0 to 100 where the upstream tells; never falls.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        progress: Option<u8>,
        /// How often in a row the upstream has denied knowing it.
        #[serde(default)]
        misses: u8,
        /// The window that it opened was answered, or is about to be.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        confirmed: bool,
    },
    /// The upstream is being told to stop.
    Cancelling {
        /// The upstream's name for it.
        upstream: UpstreamId,
    },
    /// The upstream is done; the pictures are being fetched and stored.
    Storing {
        /// The upstream's name for it.
        upstream: UpstreamId,
        /// What to fetch.
        result: RemoteResult,
        /// The links had died and were asked for once more.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        renewed: bool,
    },
    /// The pictures are in our storage. Final.
    Completed {
        /// The upstream's name for it, for follow-ups.
        upstream: UpstreamId,
        /// What can be done with the pictures.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        actions: Vec<RemoteAction>,
        /// The seed, where known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seed: Option<u32>,
        /// Texts, where it gave texts.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        texts: Vec<String>,
        /// What follow-ups name it by, where that is not the task's own id.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        handle: Option<String>,
    },
    /// Ended without pictures. Final.
    Failed {
        /// Why.
        failure: Failure,
    },
    /// Cancelled. Final.
    Cancelled {
        /// What could not be undone, where something could not.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        failure: Option<Failure>,
    },
    /// A limit passed. Final.
    Expired {
        /// Which.
        failure: Failure,
    },
}

/// A job's status as users see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::exhaustive_enums, reason = "these six words are the public contract")]
pub enum Status {
    /// Accepted, not yet submitted.
    Pending,
    /// Under way.
    Processing,
    /// Done; the pictures are stored.
    Completed,
    /// Ended without pictures.
    Failed,
    /// Cancelled.
    Cancelled,
    /// A limit passed.
    Expired,
}

impl Status {
    /// Every status, in the order of a job's life.
    pub const ALL: [Self; 6] = [
        Self::Pending,
        Self::Processing,
        Self::Completed,
        Self::Failed,
        Self::Cancelled,
        Self::Expired,
    ];

    /// The word users see.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Processing => "processing",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Expired => "expired",
        }
    }

    /// Whether a job of this status never changes again.
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Pending | Self::Processing)
    }
}

impl std::str::FromStr for Status {
    type Err = UnknownStatus;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|status| status.name() == text)
            .ok_or(UnknownStatus)
    }
}

/// The text is not one of the six statuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected one of pending, processing, completed, failed, cancelled, expired")]
pub struct UnknownStatus;

/// The finer word beside the status of a job that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Stage {
    /// Waiting to be submitted.
    Queued,
    /// Being submitted.
    Submitting,
    /// The submit's answer was lost.
    SubmitUnknown,
    /// In the upstream's queue.
    Submitted,
    /// Being drawn.
    Running,
    /// The upstream waits for a choice.
    AwaitingInput,
    /// The upstream is being told to stop.
    Cancelling,
    /// The pictures are being fetched and stored.
    Storing,
}

impl Stage {
    /// The word users see.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Submitting => "submitting",
            Self::SubmitUnknown => "submit_unknown",
            Self::Submitted => "submitted",
            Self::Running => "running",
            Self::AwaitingInput => "awaiting_input",
            Self::Cancelling => "cancelling",
            Self::Storing => "storing",
        }
    }
}

impl JobState {
    /// Whether a window of the task was answered, or may have been.
    pub const fn is_confirmed(&self) -> bool {
        matches!(self, Self::Submitted { confirmed: true, .. })
    }

    /// Whether it takes up one of its account's slots: the upstream works on it, or may do so.
    pub const fn holds_slot(&self) -> bool {
        matches!(
            self,
            Self::Submitting { .. }
                | Self::SubmitUnknown { over: false, .. }
                | Self::Submitted { .. }
                | Self::Cancelling { .. }
        )
    }

    /// The status users see.
    pub const fn status(&self) -> Status {
        match self {
            Self::Queued => Status::Pending,
            Self::Submitting { .. }
            | Self::SubmitUnknown { .. }
            | Self::Submitted { .. }
            | Self::Cancelling { .. }
            | Self::Storing { .. } => Status::Processing,
            Self::Completed { .. } => Status::Completed,
            Self::Failed { .. } => Status::Failed,
            Self::Cancelled { .. } => Status::Cancelled,
            Self::Expired { .. } => Status::Expired,
        }
    }

    /// The stage users see; `None` once the job is over.
    pub const fn stage(&self) -> Option<Stage> {
        match self {
            Self::Queued => Some(Stage::Queued),
            Self::Submitting { .. } => Some(Stage::Submitting),
            Self::SubmitUnknown { .. } => Some(Stage::SubmitUnknown),
            Self::Submitted {
                phase: Phase::Waiting,
                ..
            } => Some(Stage::Submitted),
            Self::Submitted {
                phase: Phase::Running,
                ..
            } => Some(Stage::Running),
            Self::Submitted {
                phase: Phase::AwaitingInput,
                ..
            } => Some(Stage::AwaitingInput),
            Self::Cancelling { .. } => Some(Stage::Cancelling),
            Self::Storing { .. } => Some(Stage::Storing),
            Self::Completed { .. } | Self::Failed { .. } | Self::Cancelled { .. } | Self::Expired { .. } => {
                None
            }
        }
    }

    /// 0 to 100 where known.
    pub const fn progress(&self) -> Option<u8> {
        match self {
            Self::Submitted { progress, .. } => *progress,
            Self::Storing { .. } | Self::Completed { .. } => Some(100),
            _ => None,
        }
    }

    /// The upstream's name for the task, where the upstream has one.
    pub const fn upstream(&self) -> Option<&UpstreamId> {
        match self {
            Self::Submitted { upstream, .. }
            | Self::Cancelling { upstream }
            | Self::Storing { upstream, .. }
            | Self::Completed { upstream, .. } => Some(upstream),
            _ => None,
        }
    }
}

/// The part of a job that changes, all of it owned by [`step`](super::step).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Life {
    /// Where the job is.
    pub state: JobState,
    /// When it was accepted.
    pub created: Timestamp,
    /// When it came into its present state.
    pub entered: Timestamp,
    /// When there was last any news about it.
    pub heard: Timestamp,
    /// When somebody should look at it next; `None` once it is over.
    pub due: Option<Timestamp>,
    /// Tries without news in the present stage.
    pub attempts: u32,
    /// How often it was submitted.
    pub submits: u32,
    /// Somebody asked to cancel it while that could not be done at once.
    pub cancel_requested: bool,
    /// When somebody had it submitted again although an earlier submit may have been paid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resubmitted: Option<Timestamp>,
    /// Why the last try did not work, while the job is still under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<Failure>,
}

impl Life {
    /// A job accepted at `now`, due at once.
    pub const fn new(now: Timestamp) -> Self {
        Self {
            state: JobState::Queued,
            created: now,
            entered: now,
            heard: now,
            due: Some(now),
            attempts: 0,
            submits: 0,
            cancel_requested: false,
            resubmitted: None,
            trouble: None,
        }
    }

    /// Why the job ended without pictures, or what the last try stumbled over.
    pub const fn failure(&self) -> Option<&Failure> {
        match &self.state {
            JobState::Failed { failure } | JobState::Expired { failure } => Some(failure),
            JobState::Cancelled { failure } => failure.as_ref(),
            _ => self.trouble.as_ref(),
        }
    }
}
