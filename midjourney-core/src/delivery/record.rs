//! A message on its way, and where it is.

use std::{fmt, time::Duration};

use serde::Serialize;

use crate::{
    clock::Timestamp,
    id::{DeliveryId, JobId, SubscriptionId},
    job::Owner,
};

/// What came of a try.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the rules must face each outcome")]
pub enum Outcome {
    /// The receiver answered.
    Answered {
        /// The HTTP status.
        status: u16,
        /// How long it wants to be left alone.
        retry_after: Option<Duration>,
    },
    /// There was no answer, and why: one sentence.
    Unanswered(String),
}

impl Outcome {
    /// An answer with this status.
    pub const fn status(status: u16) -> Self {
        Self::Answered {
            status,
            retry_after: None,
        }
    }

    /// Only 2xx says that a message arrived. A redirect says that it did not: a receiver that moved must be told of by
    /// its owner, not by whoever answers at its old address.
    pub const fn arrived(&self) -> bool {
        matches!(self, Self::Answered { status, .. } if *status >= 200 && *status < 300)
    }
}

/// Why a delivery is not tried any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DeadReason {
    /// It was tried as often as [`SCHEDULE`](super::SCHEDULE) says.
    Exhausted,
    /// The receiver answered 410.
    Gone,
    /// Its subscription was disabled.
    Disabled,
}

impl DeadReason {
    /// Every reason.
    pub const ALL: [Self; 3] = [Self::Exhausted, Self::Gone, Self::Disabled];

    /// The word users see.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exhausted => "exhausted",
            Self::Gone => "gone",
            Self::Disabled => "disabled",
        }
    }
}

/// Where a delivery is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "whoever looks must tell them apart")]
pub enum DeliveryState {
    /// It is tried next at this time.
    Waiting {
        /// When.
        due: Timestamp,
    },
    /// It arrived.
    Delivered {
        /// When.
        at: Timestamp,
    },
    /// It is not tried any more, unless somebody has it replayed.
    Dead {
        /// Since when.
        at: Timestamp,
        /// Why.
        why: DeadReason,
    },
}

impl DeliveryState {
    /// The words for every state.
    pub const NAMES: [&str; 3] = ["waiting", "delivered", "dead"];

    /// The word users see.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting { .. } => "waiting",
            Self::Delivered { .. } => "delivered",
            Self::Dead { .. } => "dead",
        }
    }
}

/// Who a message goes to.
#[derive(Clone, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "there are two ways to be told")]
pub enum Receiver {
    /// Wherever the subscription says at the time.
    Subscription(SubscriptionId),
    /// The address that a job named. May hold a token.
    Address(String),
}

impl Receiver {
    /// What messages to the same receiver have in common: the subscription, or the address's scheme, host and port.
    pub fn lane(&self) -> String {
        match self {
            Self::Subscription(id) => id.to_string(),
            Self::Address(url) => url.split('/').take(3).collect::<Vec<_>>().join("/"),
        }
    }

    /// The subscription, where it is one.
    pub const fn subscription(&self) -> Option<SubscriptionId> {
        match self {
            Self::Subscription(id) => Some(*id),
            Self::Address(_) => None,
        }
    }
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lane())
    }
}

/// One message to one receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delivery {
    /// Its id, which the receiver sees too.
    pub id: DeliveryId,
    /// Whose it is.
    pub owner: Owner,
    /// Who it goes to.
    pub receiver: Receiver,
    /// The job that it tells about; none for a test.
    pub job: Option<JobId>,
    /// What it tells: the name of an event, or `webhook.test`.
    pub kind: String,
    /// What is sent, the same each time.
    pub body: String,
    /// When it was made.
    pub created: Timestamp,
    /// Where it is.
    pub state: DeliveryState,
    /// How often it was tried, since it was made or replayed.
    pub attempts: u32,
    /// The last try and what came of it.
    pub last: Option<(Timestamp, Outcome)>,
}

impl Delivery {
    /// A message that is due at once.
    pub fn new(
        id: DeliveryId,
        owner: Owner,
        receiver: Receiver,
        kind: impl Into<String>,
        body: impl Into<String>,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            owner,
            receiver,
            job: None,
            kind: kind.into(),
            body: body.into(),
            created: now,
            state: DeliveryState::Waiting { due: now },
            attempts: 0,
            last: None,
        }
    }

    /// The same message, about this job.
    pub const fn about(mut self, job: JobId) -> Self {
        self.job = Some(job);
        self
    }

    /// Starts it over: due at once, with all its tries.
    pub const fn replay(&mut self, now: Timestamp) {
        self.state = DeliveryState::Waiting { due: now };
        self.attempts = 0;
    }
}
