//! What watchers are told.

use serde::{Deserialize, Serialize};

use super::{
    failure::Failure,
    state::{Stage, Status},
};
use crate::{clock::Timestamp, id::JobId};

/// A place in the store-wide order of events. Counts up from 1 within one store; gaps are allowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Position(u64);

impl Position {
    /// Before the first event.
    pub const START: Self = Self(0);

    /// The position with this number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum EventKind {
    /// The job was accepted and is on disk.
    #[serde(rename = "job.created")]
    Created,
    /// The gateway is about to submit it; from here it may cost money.
    #[serde(rename = "job.submitting")]
    Submitting,
    /// The upstream did not take it yet; it waits for another try.
    #[serde(rename = "job.requeued")]
    Requeued,
    /// The upstream accepted it.
    #[serde(rename = "job.submitted")]
    Submitted,
    /// The upstream reported progress.
    #[serde(rename = "job.progress")]
    Progress,
    /// The upstream waits for a choice or a mask.
    #[serde(rename = "job.awaiting_input")]
    AwaitingInput,
    /// The submit's answer was lost.
    #[serde(rename = "job.submit_unknown")]
    SubmitUnknown,
    /// The upstream is done; the pictures are being fetched and stored.
    #[serde(rename = "job.storing")]
    Storing,
    /// Somebody asked to cancel it.
    #[serde(rename = "job.cancelling")]
    Cancelling,
    /// The pictures are stored.
    #[serde(rename = "job.completed")]
    Completed,
    /// It ended without pictures.
    #[serde(rename = "job.failed")]
    Failed,
    /// It was cancelled.
    #[serde(rename = "job.cancelled")]
    Cancelled,
    /// A limit passed before it could run, or before anything was known about it.
    #[serde(rename = "job.expired")]
    Expired,
}

impl EventKind {
    /// Every kind.
    pub const ALL: [Self; 13] = [
        Self::Created,
        Self::Submitting,
        Self::Requeued,
        Self::Submitted,
        Self::Progress,
        Self::AwaitingInput,
        Self::SubmitUnknown,
        Self::Storing,
        Self::Cancelling,
        Self::Completed,
        Self::Failed,
        Self::Cancelled,
        Self::Expired,
    ];

    /// The kind of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The name as users see it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Created => "job.created",
            Self::Submitting => "job.submitting",
            Self::Requeued => "job.requeued",
            Self::Submitted => "job.submitted",
            Self::Progress => "job.progress",
            Self::AwaitingInput => "job.awaiting_input",
            Self::SubmitUnknown => "job.submit_unknown",
            Self::Storing => "job.storing",
            Self::Cancelling => "job.cancelling",
            Self::Completed => "job.completed",
            Self::Failed => "job.failed",
            Self::Cancelled => "job.cancelled",
            Self::Expired => "job.expired",
        }
    }
}

/// A committed change of one job. Written in the transaction of the change it tells, so nobody hears of what was not
/// stored, and the only source of every notification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Event {
    /// The job.
    pub job: JobId,
    /// 1 for the job's first event, then up by one without gaps.
    pub sequence: u64,
    /// The place in the store-wide order.
    pub position: Position,
    /// When.
    pub at: Timestamp,
    /// What.
    pub kind: EventKind,
    /// The job's status after it.
    pub status: Status,
    /// The job's stage after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<Stage>,
    /// 0 to 100 where the upstream tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<u8>,
    /// Why, for a job that ended without pictures or waits to be tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

impl Event {
    /// The event that tells `kind` about a job whose life is now `life`. Stores fill in position and sequence.
    pub fn of(
        job: JobId,
        sequence: u64,
        position: Position,
        at: Timestamp,
        kind: EventKind,
        life: &super::Life,
    ) -> Self {
        Self {
            job,
            sequence,
            position,
            at,
            kind,
            status: life.state.status(),
            stage: life.state.stage(),
            progress: life.state.progress(),
            failure: life.failure().cloned(),
        }
    }
}
