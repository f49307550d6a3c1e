//! What can happen to a job.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    failure::Failure,
    remote::{Nonce, RemoteResult, RemoteStatus, UpstreamId},
};
use crate::clock::Timestamp;

/// What happened to a job, as seen from outside the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Input {
    /// A worker is about to submit it under this mark.
    Start {
        /// The mark.
        nonce: Nonce,
    },
    /// Its account takes no new work before then.
    Deferred {
        /// When to look again.
        until: Timestamp,
    },
    /// The upstream accepted it, or was found to have accepted it.
    Accepted {
        /// The upstream's name for it.
        upstream: UpstreamId,
    },
    /// It cannot be submitted, or the upstream refused it for good; nothing was spent.
    Refused(Failure),
    /// It certainly was not taken, this time.
    NotAccepted {
        /// Why.
        failure: Failure,
        /// How long the upstream asked to wait.
        after: Option<Duration>,
    },
    /// The submit's answer was lost.
    AnswerLost(Failure),
    /// The upstream was asked about a lost submit and surely never got it.
    Absent,
    /// The upstream was asked, or could not be, and nothing is known still.
    Inconclusive,
    /// The upstream was asked, and said how the task is doing.
    Observed(RemoteStatus),
    /// The upstream said so on its own, a while ago perhaps.
    Told(RemoteStatus),
    /// A worker is about to answer the window that the task opened.
    Confirm,
    /// The window was answered.
    Confirmed,
    /// The window was not answered.
    ConfirmFailed {
        /// Why.
        failure: Failure,
        /// Whether the same answer may pass later; surely nothing happened then.
        retry: bool,
    },
    /// Nobody knows whether the window was answered.
    ConfirmLost(Failure),
    /// Somebody says that there is news of the task.
    Hinted,
    /// The upstream could not be asked how the task is doing.
    PollFailed {
        /// Why.
        failure: Failure,
        /// How long the upstream asked to wait.
        after: Option<Duration>,
    },
    /// All pictures are in our storage.
    Stored,
    /// The links had died; the upstream gave new ones.
    Renewed(RemoteResult),
    /// Not all pictures could be fetched and stored.
    StoreFailed {
        /// Why.
        failure: Failure,
        /// Whether trying again may help.
        retry: bool,
        /// Whether some are there.
        some: bool,
    },
    /// Somebody wants it cancelled.
    CancelRequested,
    /// The upstream stopped it.
    CancelDone,
    /// The upstream says it is over already; the result decides.
    CancelTooLate,
    /// The upstream could not be told to stop.
    CancelFailed {
        /// Why.
        failure: Failure,
        /// Whether trying again may help.
        retry: bool,
    },
    /// Somebody settles a lost submit.
    Resolve(Resolution),
}

/// A person's or a policy's decision about a lost submit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "decision", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Resolution {
    /// The upstream did accept it, under this id.
    Adopt {
        /// The upstream's name for it.
        upstream_id: UpstreamId,
    },
    /// Submit it again, knowing that it may be paid twice.
    Resubmit,
    /// Let it go.
    GiveUp,
}

impl Input {
    /// The words for errors.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Start { .. } => "start",
            Self::Deferred { .. } => "deferred",
            Self::Accepted { .. } => "accepted",
            Self::Refused(_) => "refused",
            Self::NotAccepted { .. } => "not accepted",
            Self::AnswerLost(_) => "answer lost",
            Self::Absent => "absent at the upstream",
            Self::Inconclusive => "inconclusive",
            Self::Observed(_) => "observed",
            Self::Told(_) => "told",
            Self::Confirm => "confirm",
            Self::Confirmed => "confirmed",
            Self::ConfirmFailed { .. } => "confirm failed",
            Self::ConfirmLost(_) => "confirm lost",
            Self::Hinted => "hinted",
            Self::PollFailed { .. } => "poll failed",
            Self::Stored => "stored",
            Self::Renewed(_) => "links renewed",
            Self::StoreFailed { .. } => "store failed",
            Self::CancelRequested => "cancel",
            Self::CancelDone => "cancel done",
            Self::CancelTooLate => "cancel too late",
            Self::CancelFailed { .. } => "cancel failed",
            Self::Resolve(_) => "resolve",
        }
    }
}
