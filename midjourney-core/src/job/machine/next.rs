//! The arrows of the machine.

use std::time::Duration;

use super::{Moment, Transition};
use crate::{
    clock::Timestamp,
    job::{
        event::EventKind,
        failure::{Failure, FailureKind, Spent},
        policy::Policy,
        purse::Billing,
        remote::{Nonce, RemoteResult, RemoteStatus, UpstreamId},
        state::{JobState, Life, Phase},
    },
};

/// A task that the upstream denies this many times in a row is lost.
const MISSES_UNTIL_LOST: u8 = 3;

/// A task that nobody can be asked about is given up after this many looks in a row at least: some four minutes.
const LOOKS_IN_VAIN: u32 = 8;

/// A look that comes this long after it was due means that nobody could look: the gateway was down, the machine slept,
/// or its clock was set forward.
const NOBODY_LOOKED: Duration = Duration::from_secs(60);

pub(super) fn maybe_paid(message: &str) -> Failure {
    Failure::new(FailureKind::SubmitUnknown, message).with_spent(Spent::Maybe)
}

/// The arrows of the machine, each by its name.
pub(super) struct Next<'a> {
    pub(super) life: &'a Life,
    pub(super) policy: &'a Policy,
    pub(super) at: Moment,
}

impl Next<'_> {
    fn to(&self, state: JobState, wait: Option<Duration>, event: EventKind) -> Transition {
        let mut life = self.life.clone();
        life.state = state;
        life.entered = self.at.now;
        life.heard = self.at.now;
        life.due = wait.map(|wait| self.at.now.saturating_add(wait));
        life.attempts = 0;
        life.trouble = None;
        Transition {
            life,
            event: Some(event),
            billing: Billing::Keep,
        }
    }

    /// The same state, one more try without news.
    fn again(&self, wait: Duration, trouble: Option<Failure>) -> Transition {
        let mut life = self.life.clone();
        life.due = Some(self.at.now.saturating_add(wait));
        life.attempts = life.attempts.saturating_add(1);
        life.trouble = trouble;
        Transition {
            life,
            event: None,
            billing: Billing::Keep,
        }
    }

    pub(super) fn unchanged(&self) -> Transition {
        Transition {
            life: self.life.clone(),
            event: None,
            billing: Billing::Keep,
        }
    }

    pub(super) fn due_now(&self) -> Transition {
        let mut next = self.unchanged();
        next.life.due = Some(self.at.now);
        next
    }

    fn passed(&self, since: Timestamp, limit: Duration) -> bool {
        self.at.now.saturating_since(since) >= limit
    }

    /// For how long nobody could look, up to this look.
    fn unwatched(&self) -> Option<Duration> {
        let late = |due| self.at.now.saturating_since(due);
        self.life.due.map(late).filter(|late| *late >= NOBODY_LOOKED)
    }

    /// `since`, later by the time in which nobody could look: a task that goes on must not answer for it. Where the clock
    /// was set forward, that time did not even pass. A limit ends all the same where every look is late, since the waits
    /// in between count.
    fn watched(&self, since: Timestamp) -> Timestamp {
        since.saturating_add(self.unwatched().unwrap_or_default())
    }

    /// The end of the job. What its last submit was charged with is given back where that cost nothing, whatever an
    /// earlier one may have cost.
    fn over(&self, state: JobState, event: EventKind, free: bool) -> Transition {
        let mut next = self.to(state, None, event);
        // What the upstream had begun when it was told to stop may well be paid.
        if free && !matches!(self.life.state, JobState::Cancelling { .. }) {
            next.billing = Billing::GiveBack;
        }
        next
    }

    pub(super) fn failed(&self, failure: Failure) -> Transition {
        let free = failure.spent == Spent::No;
        let failure = self.with_earlier_submits(failure);
        self.over(JobState::Failed { failure }, EventKind::Failed, free)
    }

    fn expired(&self, failure: Failure) -> Transition {
        let free = failure.spent == Spent::No;
        let failure = self.with_earlier_submits(failure);
        self.over(JobState::Expired { failure }, EventKind::Expired, free)
    }

    pub(super) fn cancelled(&self, failure: Option<Failure>) -> Transition {
        let free = failure.as_ref().is_none_or(|failure| failure.spent == Spent::No);
        let earlier = || {
            let resubmitted = self.life.resubmitted?;
            let message = format!("cancelled; a submit before {resubmitted} may have been paid");
            Some(maybe_paid(&message))
        };
        let failure = failure.map_or_else(earlier, |failure| Some(self.with_earlier_submits(failure)));
        self.over(JobState::Cancelled { failure }, EventKind::Cancelled, free)
    }

    /// That the last submit cost nothing says nothing about one whose answer was lost.
    fn with_earlier_submits(&self, failure: Failure) -> Failure {
        if self.life.resubmitted.is_some() && failure.spent == Spent::No {
            return failure.with_spent(Spent::Maybe);
        }
        failure
    }

    pub(super) fn start(&self, nonce: Nonce) -> Transition {
        let since = self.life.resubmitted.unwrap_or(self.life.created);
        if self.passed(since, self.policy.queue_limit) {
            return self.expired(self.life.trouble.clone().unwrap_or_else(|| {
                Failure::new(
                    FailureKind::TimedOut,
                    "it could not be submitted within the queue limit",
                )
            }));
        }
        let mut next = self.to(
            JobState::Submitting { nonce },
            Some(Duration::ZERO),
            EventKind::Submitting,
        );
        next.life.attempts = self.life.attempts;
        next.life.submits = self.life.submits.saturating_add(1);
        next
    }

    pub(super) fn deferred(&self, until: Timestamp) -> Transition {
        let mut next = self.unchanged();
        next.life.due = Some(until.max(self.at.now));
        next
    }

    pub(super) fn accepted(&self, upstream: UpstreamId) -> Transition {
        if self.life.cancel_requested {
            return self.cancelling(upstream);
        }
        let state = JobState::Submitted {
            upstream,
            phase: Phase::Waiting,
            progress: None,
            misses: 0,
            confirmed: false,
        };
        self.to(
            state,
            Some(self.policy.poll.wait(0, self.at.chance)),
            EventKind::Submitted,
        )
    }

    /// Surely not submitted, this time. What never left the queue has no news to tell.
    pub(super) fn requeue(&self, failure: Failure, after: Option<Duration>) -> Transition {
        if self.life.cancel_requested {
            return self.cancelled(None);
        }
        let attempts = self.life.attempts.saturating_add(1);
        if attempts >= self.policy.submit_attempts {
            return self.failed(failure);
        }
        let wait = self
            .policy
            .retry_wait(attempts.saturating_sub(1), after, self.at.chance);
        if self.life.state == JobState::Queued {
            return self.again(wait, Some(failure));
        }
        let mut next = self.to(JobState::Queued, Some(wait), EventKind::Requeued);
        next.life.attempts = attempts;
        next.life.trouble = Some(failure);
        next
    }

    pub(super) fn resubmit(&self) -> Transition {
        let mut next = self.to(JobState::Queued, Some(Duration::ZERO), EventKind::Requeued);
        next.life.resubmitted = Some(self.at.now);
        next.billing = Billing::Again;
        next
    }

    pub(super) fn remember_cancel(&self) -> Transition {
        let mut next = self.unchanged();
        if !next.life.cancel_requested {
            next.life.cancel_requested = true;
            next.event = Some(EventKind::Cancelling);
        }
        next
    }

    pub(super) fn unknown(&self, nonce: Nonce, failure: Failure) -> Transition {
        if self.life.cancel_requested {
            return self.cancelled(Some(failure.with_spent(Spent::Maybe)));
        }
        let wait = self.policy.retry.wait(0, self.at.chance);
        let mut next = self.to(
            JobState::SubmitUnknown { nonce, over: false },
            Some(wait),
            EventKind::SubmitUnknown,
        );
        next.life.trouble = Some(failure.with_spent(Spent::Maybe));
        next
    }

    pub(super) fn still_unknown(&self) -> Transition {
        if self.passed(self.life.entered, self.policy.unknown_limit) {
            return self.expired(maybe_paid(
                "nothing showed whether the upstream had accepted it; it may have been paid",
            ));
        }
        let mut next = self.again(
            self.policy.retry.wait(self.life.attempts, self.at.chance),
            self.life.trouble.clone(),
        );
        if let JobState::SubmitUnknown { over, .. } = &mut next.life.state {
            *over = self.passed(self.life.entered, self.policy.run_limit);
        }
        next
    }

    pub(super) fn observed(&self, status: RemoteStatus) -> Transition {
        let JobState::Submitted {
            upstream,
            phase,
            progress,
            misses,
            confirmed,
        } = &self.life.state
        else {
            return self.unchanged();
        };
        let upstream = upstream.clone();
        match status {
            // Some upstreams say "done" before they have the links: that is not done yet.
            RemoteStatus::Succeeded(result) if result.is_empty() => {
                self.heard(upstream, Phase::Running, progress.or(Some(99)))
            }
            RemoteStatus::Succeeded(result) => self.to(
                JobState::Storing {
                    upstream,
                    result,
                    renewed: false,
                },
                Some(Duration::ZERO),
                EventKind::Storing,
            ),
            RemoteStatus::Failed(failure) => self.failed(failure),
            RemoteStatus::Cancelled if self.life.cancel_requested => self.cancelled(None),
            RemoteStatus::Cancelled => {
                let message = "the task was cancelled at the upstream";
                let cancelled = Failure::new(FailureKind::CancelledAtUpstream, message);
                self.failed(cancelled.with_spent(Spent::Maybe))
            }
            RemoteStatus::Missing => {
                let misses = misses.saturating_add(1);
                if misses >= MISSES_UNTIL_LOST {
                    let lost = Failure::new(
                        FailureKind::LostAtUpstream,
                        "the upstream no longer knows the task",
                    );
                    return self.failed(lost.with_spent(Spent::Maybe));
                }
                let mut next = self.again(self.policy.poll.wait(u32::from(misses), self.at.chance), None);
                next.life.state = JobState::Submitted {
                    upstream,
                    phase: *phase,
                    progress: *progress,
                    misses,
                    confirmed: *confirmed,
                };
                next
            }
            RemoteStatus::Waiting => self.heard(upstream, *phase, *progress),
            RemoteStatus::Running { progress: seen } => self.heard(
                upstream,
                Phase::Running,
                seen.map(|seen| seen.min(100)).max(*progress),
            ),
            RemoteStatus::AwaitingInput => self.heard(upstream, Phase::AwaitingInput, *progress),
        }
    }

    /// News may be old: it ends no job by being none of an end. The task is asked about instead.
    pub(super) fn told(&self, status: RemoteStatus) -> Transition {
        let ended = matches!(status, RemoteStatus::Failed(_) | RemoteStatus::Cancelled);
        let next = self.observed(status);
        if next.life.state.status().is_final() && !ended {
            return self.due_now();
        }
        next
    }

    /// Still under way: tell watchers what is new, or see whether it has taken too long. Each look at a task past its
    /// limit has just asked the upstream, so no result is given up without one last look.
    fn heard(&self, upstream: UpstreamId, phase: Phase, progress: Option<u8>) -> Transition {
        let answered = matches!(self.life.state, JobState::Submitted { confirmed: true, .. });
        let state = JobState::Submitted {
            upstream,
            phase,
            progress,
            misses: 0,
            confirmed: answered,
        };
        let news = state.stage() != self.life.state.stage() || progress != self.life.state.progress();
        // Silence that was ours, or the network's, says nothing about the task.
        let heard_again = self.life.trouble.is_some();
        if let Some(failure) = self.overdue(news || heard_again) {
            return self.failed(failure);
        }
        if !news {
            let mut next = self.again(
                self.policy
                    .poll
                    .wait(self.life.attempts.saturating_add(1), self.at.chance),
                None,
            );
            next.life.state = state;
            next.life.entered = self.watched(self.life.entered);
            next.life.heard = if heard_again {
                self.at.now
            } else {
                self.watched(self.life.heard)
            };
            return next;
        }
        let event = if phase == Phase::AwaitingInput {
            EventKind::AwaitingInput
        } else {
            EventKind::Progress
        };
        // A window that just opened is answered at once.
        let wait = if phase == Phase::AwaitingInput && !answered {
            Duration::ZERO
        } else {
            self.policy.poll.wait(0, self.at.chance)
        };
        let mut next = self.to(state, Some(wait), event);
        next.life.entered = self.watched(self.life.entered);
        next
    }

    /// The same task with its window in another state.
    pub(super) fn window(&self, to: Phase, answered: bool, wait: Duration) -> Transition {
        let mut next = self.again(wait, None);
        if let JobState::Submitted { phase, confirmed, .. } = &mut next.life.state {
            (*phase, *confirmed) = (to, answered);
        }
        next
    }

    pub(super) fn confirmed(&self) -> Transition {
        let mut next = self.window(Phase::Waiting, true, self.policy.poll.wait(0, self.at.chance));
        next.life.attempts = 0;
        next.life.heard = self.at.now;
        next.event = Some(EventKind::Progress);
        next
    }

    /// A window that nothing can be given to stays open, for a person. What surely did not arrive is sent again. What the
    /// upstream refuses ends the job; an open window costs nothing.
    pub(super) fn confirm_failed(&self, failure: Failure, retry: bool) -> Transition {
        if failure.kind == FailureKind::Unsupported {
            let wait = self.policy.poll.wait(self.life.attempts, self.at.chance);
            let mut next = self.window(Phase::AwaitingInput, true, wait);
            next.life.trouble = Some(failure);
            return next;
        }
        if !retry || self.life.attempts.saturating_add(1) >= self.policy.submit_attempts {
            return self.failed(failure);
        }
        let wait = self.policy.retry.wait(self.life.attempts, self.at.chance);
        let mut next = self.window(Phase::AwaitingInput, false, wait);
        next.life.trouble = Some(failure);
        next
    }

    /// The task itself shows whether the answer arrived; a second one might be paid twice.
    pub(super) fn confirm_lost(&self, failure: Failure) -> Transition {
        let wait = self.policy.poll.wait(0, self.at.chance);
        let mut next = self.window(Phase::AwaitingInput, true, wait);
        next.life.trouble = Some(failure.with_spent(Spent::Maybe));
        next
    }

    fn overdue(&self, news: bool) -> Option<Failure> {
        let message = if self.passed(self.watched(self.life.entered), self.policy.run_limit) {
            "the upstream did not finish within the run limit"
        } else if !news && self.passed(self.watched(self.life.heard), self.policy.silence_limit) {
            "the upstream showed no progress within the silence limit"
        } else {
            return None;
        };
        Some(Failure::new(FailureKind::TimedOut, message).with_spent(Spent::Yes))
    }

    /// A task that nobody can be asked about is not given up for that: it is paid for, and its pictures may be ready when
    /// the upstream is back. So it has as long as a lost submit, and ends only after the upstream was asked in vain for a
    /// while: the first look after a pause of our own often finds no network yet.
    pub(super) fn poll_failed(&self, failure: Failure, after: Option<Duration>) -> Transition {
        let first = self.life.trouble.is_none();
        let paused = self.unwatched().is_some();
        let in_vain = match self.life.attempts {
            _ if first => 0,
            // Those before the pause. Fewer are kept: where all looks are late for want of workers, they must add up.
            enough if paused && enough >= LOOKS_IN_VAIN => 0,
            looks => looks,
        };
        let looks = in_vain.saturating_add(1);
        let limit = self.policy.unknown_limit.max(self.policy.run_limit);
        if looks >= LOOKS_IN_VAIN && self.passed(self.life.entered, limit) {
            let message = "the upstream could not be asked any more";
            let mut given_up = Failure::new(FailureKind::TimedOut, message).with_spent(Spent::Yes);
            given_up.upstream_text = failure.upstream_text;
            return self.failed(given_up);
        }
        let rhythm = if paused { 0 } else { in_vain };
        let wait = self.policy.retry_wait(rhythm, after, self.at.chance);
        let mut next = self.again(wait, Some(failure.with_spent(Spent::Yes)));
        next.life.attempts = looks;
        if first {
            next.life.entered = self.watched(self.life.entered);
        }
        next
    }

    pub(super) fn cancelling(&self, upstream: UpstreamId) -> Transition {
        let mut next = self.to(
            JobState::Cancelling { upstream },
            Some(Duration::ZERO),
            EventKind::Cancelling,
        );
        next.life.cancel_requested = true;
        next
    }

    pub(super) fn cancel_failed(&self, failure: Failure, retry: bool) -> Transition {
        if !retry || self.life.attempts.saturating_add(1) >= self.policy.cancel_attempts {
            return self.cancelled(Some(failure.with_spent(Spent::Yes)));
        }
        self.again(
            self.policy.retry.wait(self.life.attempts, self.at.chance),
            Some(failure),
        )
    }

    /// Too late to cancel: it is paid for, so its result is kept. A window that is still open stays so: whether it was
    /// answered before is forgotten by now, and nobody wants it answered any more.
    pub(super) fn watch_again(&self, upstream: UpstreamId) -> Transition {
        let state = JobState::Submitted {
            upstream,
            phase: Phase::Running,
            progress: None,
            misses: 0,
            confirmed: true,
        };
        let mut next = self.to(state, Some(Duration::ZERO), EventKind::Progress);
        next.life.cancel_requested = false;
        next
    }

    pub(super) fn completed(&self, upstream: UpstreamId, result: RemoteResult) -> Transition {
        let RemoteResult {
            actions,
            seed,
            texts,
            handle,
            ..
        } = result;
        self.to(
            JobState::Completed {
                upstream,
                actions,
                seed,
                texts,
                handle,
            },
            None,
            EventKind::Completed,
        )
    }

    /// Once: an upstream that gives dead links again has no others.
    pub(super) fn renewed(&self, upstream: UpstreamId, result: RemoteResult) -> Transition {
        let mut next = self.again(Duration::ZERO, None);
        next.life.state = JobState::Storing {
            upstream,
            result,
            renewed: true,
        };
        next
    }

    /// The pictures are paid for and nowhere else for long: both the tries and the time must be used up, and what only
    /// our own storage is to blame for is tried for as long as links may live. Then the job is `completed` with those that
    /// are there, and says what became of the others.
    pub(super) fn store_failed(
        &self,
        failure: Failure,
        retry: bool,
        completed: Option<impl FnOnce() -> Transition>,
    ) -> Transition {
        let failure = failure.with_spent(Spent::Yes);
        let tries = self.life.attempts.saturating_add(1);
        let limit = if failure.kind == FailureKind::StorageFailed {
            self.policy.storage_limit.max(self.policy.store_limit)
        } else {
            self.policy.store_limit
        };
        let over = tries >= self.policy.store_attempts && self.passed(self.life.entered, limit);
        if !retry || over {
            return match completed {
                Some(completed) => {
                    let mut next = completed();
                    next.life.trouble = Some(failure);
                    next
                }
                None => self.failed(failure),
            };
        }
        self.again(
            self.policy.retry.wait(self.life.attempts, self.at.chance),
            Some(failure),
        )
    }
}
