//! What upstreams post to us: what it means to a job, and the record of what came of it.

use std::{net::IpAddr, time::Duration};

use serde::Serialize;

use super::{
    input::Input,
    remote::{RemoteStatus, UpstreamId},
    request::AccountName,
    state::JobState,
};
pub use crate::webhook::REPLAY_WINDOW;
use crate::{
    clock::Timestamp,
    id::{CallbackId, JobId},
    page::Cursor,
};

/// The longest detail that is kept with a callback, in bytes.
const MAX_DETAIL: usize = 300;

/// How many callbacks are kept in any case, the refused ones at most.
pub const CALLBACKS_KEPT: u64 = 10_000;

/// How long a callback that was heeded is known again, however many came since: longer than its signature is good for.
pub const KNOWN_AGAIN: Duration = Duration::from_secs(2 * 300 + 600);

/// How long a callback waits for its job to get the task that it speaks of.
pub const PARKED_FOR: Duration = Duration::from_secs(600);

/// What became of a callback.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Verdict {
    /// It is signed and changed its job.
    Applied,
    /// It changed nothing by itself; its task is asked about at once.
    Noticed,
    /// It came before, and was dealt with then.
    Repeated,
    /// Its job needs no news any more.
    Late,
    /// It is signed, and no job under way has its task, or not yet. A job that gets the task within
    /// [`PARKED_FOR`] has it asked about at once.
    Parked,
    /// It speaks of another task than the job has.
    Foreign,
    /// There is no such job here.
    Unknown,
    /// It does not prove where it comes from.
    Forged,
    /// Its signature is too old, or of a time to come.
    Expired,
    /// It cannot be understood.
    Malformed,
    /// It is a probe of ours, which came through.
    Probe,
    /// A probe of ours did not come through as it should.
    Missed,
    /// It comes from where none may come from.
    Barred,
    /// It is one wrong address too many of the same sender; such ones are not recorded.
    Throttled,
}

impl Verdict {
    /// Every verdict.
    pub const ALL: [Self; 14] = [
        Self::Applied,
        Self::Noticed,
        Self::Repeated,
        Self::Late,
        Self::Parked,
        Self::Foreign,
        Self::Unknown,
        Self::Forged,
        Self::Expired,
        Self::Malformed,
        Self::Probe,
        Self::Missed,
        Self::Barred,
        Self::Throttled,
    ];

    /// The word users see.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Noticed => "noticed",
            Self::Repeated => "repeated",
            Self::Late => "late",
            Self::Parked => "parked",
            Self::Foreign => "foreign",
            Self::Unknown => "unknown",
            Self::Forged => "forged",
            Self::Expired => "expired",
            Self::Malformed => "malformed",
            Self::Probe => "probe",
            Self::Missed => "missed",
            Self::Barred => "barred",
            Self::Throttled => "throttled",
        }
    }

    /// Whether the sender is told that something is wrong with it.
    pub const fn is_refusal(self) -> bool {
        matches!(
            self,
            Self::Unknown | Self::Forged | Self::Expired | Self::Malformed | Self::Barred | Self::Throttled
        )
    }

    /// Whether it is about a probe of ours, and not about what an upstream posts.
    pub const fn is_of_probe(self) -> bool {
        matches!(self, Self::Probe | Self::Missed)
    }
}

/// A callback that came in, and what became of it. Its content is not kept: pictures' links and prompts belong to the job.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CallbackRecord {
    /// Its id.
    pub id: CallbackId,
    /// When it came.
    pub at: Timestamp,
    /// The account whose upstream sent it, where that is known.
    pub account: Option<AccountName>,
    /// The job that it is about, where that is known.
    pub job: Option<JobId>,
    /// The task that it speaks of.
    pub task: Option<UpstreamId>,
    /// What became of it.
    pub verdict: Verdict,
    /// Why, in one sentence; may be empty.
    pub detail: String,
    /// The length of its body, in bytes.
    pub bytes: u64,
    /// The other end of its connection: a proxy, where there is one in between.
    pub from: Option<IpAddr>,
    /// What tells it from others: a digest of its content and of whom it is about. One that was refused or parked has none.
    pub mark: Option<[u8; 32]>,
}

impl CallbackRecord {
    /// A callback of `bytes` bytes that came at `at`, of which nothing else is known.
    pub const fn new(
        id: CallbackId,
        at: Timestamp,
        bytes: u64,
        from: Option<IpAddr>,
        verdict: Verdict,
    ) -> Self {
        Self {
            id,
            at,
            account: None,
            job: None,
            task: None,
            verdict,
            detail: String::new(),
            bytes,
            from,
            mark: None,
        }
    }

    /// Whether the sender was told that something is wrong with it.
    pub const fn is_refused(&self) -> bool {
        self.verdict.is_refusal()
    }

    /// The same record with another verdict, and why.
    pub fn judged(mut self, verdict: Verdict, detail: impl Into<String>) -> Self {
        self.verdict = verdict;
        self.detail = detail.into();
        let mut end = self.detail.len().min(MAX_DETAIL);
        while !self.detail.is_char_boundary(end) {
            end = end.saturating_sub(1);
        }
        self.detail.truncate(end);
        self
    }
}

/// Which callbacks to list, newest first.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct CallbackQuery {
    /// Of this job only.
    pub job: Option<JobId>,
    /// With this verdict only.
    pub verdict: Option<Verdict>,
    /// Of this task only, whichever account it is of: accounts may share a secret.
    pub task: Option<UpstreamId>,
    /// Those that came at this moment or later.
    pub since: Option<Timestamp>,
    /// Those after this cursor.
    pub after: Option<Cursor>,
    /// At most this many, up to [`Page::MAX`](crate::page::Page::MAX).
    pub limit: usize,
}

/// The callbacks of one verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a row of a table, which backends make")]
pub struct CallbackTally {
    /// How many there are.
    pub count: u64,
    /// When the newest of them came.
    pub newest: Timestamp,
}

/// What a callback means to a job.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "whoever asks must face each answer")]
pub enum Meaning {
    /// Take this step, or these.
    Steps(Vec<Input>),
    /// Nothing: the verdict says why.
    Nothing(Verdict),
}

/// What a callback that speaks of `task` means to a job in `state`. Its claim about the task is believed only where it
/// was `signed`; any other has the task asked about. That it names a task at all is evidence that a submit whose answer
/// is not known arrived: it came to an address that nobody but its upstream was told.
pub fn heed(state: &JobState, task: &UpstreamId, claim: RemoteStatus, signed: bool) -> Meaning {
    match state {
        JobState::Submitting { .. } | JobState::SubmitUnknown { .. } => Meaning::Steps(vec![
            Input::Accepted {
                upstream: task.clone(),
            },
            Input::Hinted,
        ]),
        JobState::Submitted { upstream, .. } if upstream == task => {
            Meaning::Steps(vec![if signed { Input::Told(claim) } else { Input::Hinted }])
        }
        JobState::Cancelling { upstream } | JobState::Storing { upstream, .. } if upstream == task => {
            Meaning::Nothing(Verdict::Late)
        }
        JobState::Queued
        | JobState::Submitted { .. }
        | JobState::Cancelling { .. }
        | JobState::Storing { .. } => Meaning::Nothing(Verdict::Foreign),
        JobState::Completed { .. }
        | JobState::Failed { .. }
        | JobState::Cancelled { .. }
        | JobState::Expired { .. } => Meaning::Nothing(Verdict::Late),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::OsEntropy,
        job::{Nonce, Phase},
    };

    #[test]
    fn only_a_signed_claim_about_the_jobs_own_task_is_believed() {
        let task = UpstreamId::new("task-1");
        let submitted = JobState::Submitted {
            upstream: task.clone(),
            phase: Phase::Waiting,
            progress: None,
            misses: 0,
            confirmed: false,
        };
        let lost = JobState::SubmitUnknown {
            nonce: Nonce::new(&OsEntropy),
            over: false,
        };
        let claim = || RemoteStatus::Running { progress: Some(40) };
        let accepted = Input::Accepted {
            upstream: task.clone(),
        };
        for (state, spoken_of, signed, meaning) in [
            (
                &submitted,
                "task-1",
                true,
                Meaning::Steps(vec![Input::Told(claim())]),
            ),
            (&submitted, "task-1", false, Meaning::Steps(vec![Input::Hinted])),
            (&submitted, "task-2", true, Meaning::Nothing(Verdict::Foreign)),
            (
                &lost,
                "task-1",
                false,
                Meaning::Steps(vec![accepted.clone(), Input::Hinted]),
            ),
            (
                &lost,
                "task-1",
                true,
                Meaning::Steps(vec![accepted, Input::Hinted]),
            ),
            (
                &JobState::Queued,
                "task-1",
                true,
                Meaning::Nothing(Verdict::Foreign),
            ),
            (
                &JobState::Cancelled { failure: None },
                "task-1",
                true,
                Meaning::Nothing(Verdict::Late),
            ),
        ] {
            assert_eq!(heed(state, &UpstreamId::new(spoken_of), claim(), signed), meaning);
        }
    }

    #[test]
    fn a_long_detail_is_cut_between_letters() {
        let record = CallbackRecord::new(
            CallbackId::new(Timestamp::default(), &OsEntropy),
            Timestamp::default(),
            1,
            None,
            Verdict::Malformed,
        );
        let detail = record.judged(Verdict::Forged, "é".repeat(400)).detail;
        assert_eq!(detail.len(), MAX_DETAIL);
    }
}
