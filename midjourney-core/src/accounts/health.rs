//! How an account is doing, as one pure function of what its calls came to.
//!
//! ```text
//! Ok -> Throttled (asked to wait)          -> Ok, by itself
//! Ok -> Down (hangs, or fails in a row)    -> one probe at a time -> Ok
//! Ok -> Exhausted | NeedsPerson | Blocked  -> one probe now and then -> Ok
//! ```

use std::time::Duration;

use crate::{
    clock::Timestamp,
    job::{Failure, FailureKind},
};

/// Calls that may fail in a row before an account counts as down.
const FAILURES_UNTIL_DOWN: u32 = 5;
/// Between two probes of an account that is down.
const PROBE_DOWN: Duration = Duration::from_secs(30);
/// Between two probes of an account that a person has to see to: somebody may have done so.
pub(super) const PROBE_STUCK: Duration = Duration::from_secs(15 * 60);
/// How long an upstream that asks to wait is left alone where it does not say.
const PAUSE: Duration = Duration::from_secs(10);

/// The longest that an upstream is left alone because it asked for that.
const LONGEST_PAUSE: Duration = Duration::from_secs(3_600);

/// How an account is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Condition {
    /// New work may be sent.
    #[default]
    Ok,
    /// It asked to wait.
    Throttled,
    /// It does not answer.
    Down,
    /// It has no credit left.
    Exhausted,
    /// It needs a person: a captcha, terms to accept, a message from a moderator.
    NeedsPerson,
    /// It may not be used: key refused, banned, subscription ended.
    Blocked,
}

impl Condition {
    /// The word users see.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Throttled => "throttled",
            Self::Down => "down",
            Self::Exhausted => "exhausted",
            Self::NeedsPerson => "needs_person",
            Self::Blocked => "blocked",
        }
    }
}

/// What a call to the upstream came to, as far as the account is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Signal {
    /// It took a task, or answered about one; whatever it said, the account works.
    Answered,
    /// It told about an earlier task: it can be reached, which says nothing about new ones.
    Told,
    /// It failed for this reason, perhaps saying how long to wait.
    Failed(FailureKind, Option<Duration>),
    /// It did not answer in time. Once is enough: each submit more may be one more that is paid and not known of.
    Hung,
}

impl Signal {
    /// What `failure` of one call says about the account.
    pub const fn of(failure: &Failure, after: Option<Duration>) -> Self {
        Self::Failed(failure.kind, after)
    }
}

/// An account's health.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Health {
    condition: Condition,
    /// When it may be tried again; meaningless while it is ok.
    retry_at: Timestamp,
    failures: u32,
    /// It did not answer in time when it was last asked.
    hangs: bool,
}

impl Health {
    /// How it is doing.
    pub const fn condition(&self) -> Condition {
        self.condition
    }

    /// Whether it did not answer in time when it was last asked: whoever asks it anything may wait long.
    pub const fn hangs(&self) -> bool {
        self.hangs
    }

    /// When new work may be sent: `None` at once, else not before that time, and then one piece as a probe.
    pub fn waits_until(&self, now: Timestamp) -> Option<Timestamp> {
        let waits = self.condition != Condition::Ok && lies_ahead(self.retry_at, now);
        waits.then_some(self.retry_at)
    }

    /// The health once a probe has left at `now`: nobody else tries until it is known what came of it, or its time is
    /// over.
    pub fn probing(mut self, now: Timestamp) -> Self {
        if self.condition != Condition::Ok {
            self.retry_at = now.saturating_add(pause(self.condition));
        }
        self
    }

    /// The health after a call came to `signal` at `now`.
    pub fn after(self, signal: Signal, now: Timestamp) -> Self {
        let (kind, asked) = match signal {
            Signal::Answered => return Self::default(),
            Signal::Told => {
                return match self.condition {
                    Condition::Ok | Condition::Down => Self::default(),
                    _ => Self { hangs: false, ..self },
                };
            }
            Signal::Failed(kind, asked) => (kind, asked.map(|asked| asked.min(LONGEST_PAUSE))),
            Signal::Hung => {
                return match self.condition {
                    Condition::Ok | Condition::Throttled | Condition::Down => Self {
                        condition: Condition::Down,
                        retry_at: now.saturating_add(PROBE_DOWN),
                        failures: FAILURES_UNTIL_DOWN,
                        hangs: true,
                    },
                    _ => Self { hangs: true, ..self },
                };
            }
        };
        let stuck = |condition| Self {
            condition,
            retry_at: now.saturating_add(pause(condition)),
            failures: 0,
            hangs: false,
        };
        match kind {
            FailureKind::QuotaExhausted => stuck(Condition::Exhausted),
            FailureKind::NeedsPerson => stuck(Condition::NeedsPerson),
            FailureKind::AccountBlocked => stuck(Condition::Blocked),
            FailureKind::RateLimited | FailureKind::QueueFull => Self {
                condition: Condition::Throttled,
                retry_at: now.saturating_add(asked.unwrap_or(PAUSE)),
                failures: 0,
                hangs: false,
            },
            FailureKind::Transient | FailureKind::TimedOut | FailureKind::BadAnswer => {
                let failures = self.failures.saturating_add(1);
                if failures < FAILURES_UNTIL_DOWN {
                    return Self {
                        failures,
                        hangs: false,
                        ..self
                    };
                }
                Self {
                    condition: Condition::Down,
                    retry_at: now.saturating_add(asked.unwrap_or(PROBE_DOWN)),
                    failures,
                    hangs: false,
                }
            }
            // What is wrong with a prompt, a picture or our own storage says that the account answers.
            _ => Self::default(),
        }
    }
}

/// Whether `time` is still to come; what lies further ahead than any wait was reckoned while the clock was wrong.
pub(super) fn lies_ahead(time: Timestamp, now: Timestamp) -> bool {
    now < time && time <= now.saturating_add(LONGEST_PAUSE)
}

const fn pause(condition: Condition) -> Duration {
    match condition {
        Condition::Ok => Duration::ZERO,
        Condition::Throttled => PAUSE,
        Condition::Down => PROBE_DOWN,
        Condition::Exhausted | Condition::NeedsPerson | Condition::Blocked => PROBE_STUCK,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    fn failed(kind: FailureKind) -> Signal {
        Signal::Failed(kind, None)
    }

    #[test]
    fn five_failures_in_a_row_open_the_circuit_and_one_probe_at_a_time_closes_it() {
        let mut health = Health::default();
        for second in 0..4 {
            health = health.after(failed(FailureKind::Transient), at(second));
            assert_eq!(health.waits_until(at(second)), None);
        }
        health = health.after(failed(FailureKind::TimedOut), at(4));
        assert_eq!(health.condition(), Condition::Down);
        assert_eq!(health.waits_until(at(5)), Some(at(34)));
        // Then one probe; the next has to wait again.
        assert_eq!(health.waits_until(at(34)), None);
        health = health.probing(at(34));
        assert_eq!(health.waits_until(at(35)), Some(at(64)));
        assert_eq!(health.after(Signal::Answered, at(36)), Health::default());
    }

    #[test]
    fn one_call_that_hangs_opens_the_circuit() {
        let health = Health::default().after(Signal::Hung, at(0));
        assert_eq!(health.condition(), Condition::Down);
        assert_eq!(health.waits_until(at(1)), Some(at(30)));
        assert_eq!(health.after(Signal::Told, at(2)), Health::default());
        // An account that has no credit has none, whether it answers or not.
        let broke = Health::default().after(failed(FailureKind::QuotaExhausted), at(0));
        let hung = broke.after(Signal::Hung, at(1));
        assert_eq!(hung.condition(), Condition::Exhausted);
        assert!(hung.hangs() && !hung.after(Signal::Told, at(2)).hangs());
    }

    #[test]
    fn nobody_is_left_alone_for_years() {
        let asked = Some(Duration::from_secs(1_000_000_000));
        let health = Health::default().after(Signal::Failed(FailureKind::RateLimited, asked), at(0));
        assert_eq!(health.waits_until(at(0)), Some(at(3_600)));
    }

    #[test]
    fn a_clock_that_comes_back_leaves_no_account_ill() {
        let health = Health::default().after(failed(FailureKind::RateLimited), at(1_000_000));
        assert_eq!(health.waits_until(at(5)), None);
    }

    #[test]
    fn an_answer_in_between_starts_the_count_again() {
        let mut health = Health::default();
        for second in 0..40 {
            let signal = if second % 4 == 3 {
                failed(FailureKind::Moderated)
            } else {
                failed(FailureKind::Transient)
            };
            health = health.after(signal, at(second));
            assert_eq!(health.condition(), Condition::Ok);
        }
    }

    #[test]
    fn each_failure_has_its_condition_and_its_wait() {
        let asked = Some(Duration::from_secs(90));
        for (signal, condition, until) in [
            (failed(FailureKind::QuotaExhausted), Condition::Exhausted, at(900)),
            (failed(FailureKind::NeedsPerson), Condition::NeedsPerson, at(900)),
            (failed(FailureKind::AccountBlocked), Condition::Blocked, at(900)),
            (failed(FailureKind::RateLimited), Condition::Throttled, at(10)),
            (
                Signal::Failed(FailureKind::QueueFull, asked),
                Condition::Throttled,
                at(90),
            ),
        ] {
            let health = Health::default().after(signal, at(0));
            assert_eq!(
                (health.condition(), health.waits_until(at(0))),
                (condition, Some(until))
            );
            assert_eq!(health.after(Signal::Answered, at(1)), Health::default());
        }
    }

    #[test]
    fn news_of_an_earlier_task_opens_no_account_that_refused_a_new_one() {
        let broke = Signal::Failed(FailureKind::QuotaExhausted, None);
        let health = Health::default().after(broke, at(0)).after(Signal::Told, at(5));
        assert_eq!(health.condition(), Condition::Exhausted);
        assert_eq!(health.waits_until(at(6)), Some(at(15 * 60)));

        let failed = Signal::Failed(FailureKind::Transient, None);
        let down = (0..5).fold(Health::default(), |health, _| health.after(failed, at(0)));
        assert_eq!(down.condition(), Condition::Down);
        assert_eq!(down.after(Signal::Told, at(1)), Health::default());
    }
}
