//! How long to wait, how often to try.

use std::{net::IpAddr, time::Duration};

use ipnet::IpNet;

use super::Retention;
use crate::budget::Budget;

/// Exponential waits with jitter: `first`, doubled each time, at most `most`, each ±20 %.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backoff {
    /// The first wait.
    pub first: Duration,
    /// The longest wait.
    pub most: Duration,
}

impl Backoff {
    /// Waits from `first` up to `most`.
    pub const fn new(first: Duration, most: Duration) -> Self {
        Self { first, most }
    }

    /// The wait before try number `attempt` (0 is the first), spread by `chance` (`0.0..1.0`).
    pub fn wait(&self, attempt: u32, chance: f64) -> Duration {
        let doubled = self.first.saturating_mul(2_u32.saturating_pow(attempt.min(30)));
        doubled.min(self.most).mul_f64(0.8 + 0.4 * chance.clamp(0.0, 1.0))
    }
}

/// The limits a job lives under. Times are wall-clock spans.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Policy {
    /// How long a job may wait to be submitted; then it expires, nothing spent. Default 24 h.
    pub queue_limit: Duration,
    /// How long the upstream may take from acceptance to result; then one last look, then failed. Default 30 min.
    pub run_limit: Duration,
    /// How long a job may go without any news (a change of phase or progress) while it runs. Default 15 min.
    pub silence_limit: Duration,
    /// How long a lost submit answer is looked for before the job expires as "may have been paid", and how long an upstream
    /// that does not answer is asked about a task that it has. Default 24 h.
    pub unknown_limit: Duration,
    /// How long fetching the finished pictures is retried at least. Default 1 h.
    pub store_limit: Duration,
    /// How long storing them is retried while our own storage fails, say because it is full. Default 24 h.
    pub storage_limit: Duration,
    /// Tries at submitting while the upstream says "not now". Default 20.
    pub submit_attempts: u32,
    /// Tries at fetching and storing the pictures, at least. Default 12.
    pub store_attempts: u32,
    /// Tries at telling the upstream to cancel. Default 5.
    pub cancel_attempts: u32,
    /// The rhythm of looking at a running task. Default 1 s to 15 s.
    pub poll: Backoff,
    /// The rhythm of repeating what failed in a passing way. Default 2 s to 5 min.
    pub retry: Backoff,
    /// The longest `Retry-After` of an upstream that is honoured. Default 1 h.
    pub longest_retry_after: Duration,
    /// What each owner may spend. Default no limit.
    pub owner_budget: Budget,
    /// How long what is over is kept. Default for ever.
    pub retention: Retention,
    /// Where callbacks may come from. Default nowhere in particular: from everywhere.
    pub callback_senders: Vec<IpNet>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            queue_limit: Duration::from_secs(24 * 3600),
            run_limit: Duration::from_secs(30 * 60),
            silence_limit: Duration::from_secs(15 * 60),
            unknown_limit: Duration::from_secs(24 * 3600),
            store_limit: Duration::from_secs(3600),
            storage_limit: Duration::from_secs(24 * 3600),
            submit_attempts: 20,
            store_attempts: 12,
            cancel_attempts: 5,
            poll: Backoff::new(Duration::from_secs(1), Duration::from_secs(15)),
            retry: Backoff::new(Duration::from_secs(2), Duration::from_secs(300)),
            longest_retry_after: Duration::from_secs(3600),
            owner_budget: Budget::default(),
            retention: Retention::default(),
            callback_senders: Vec::new(),
        }
    }
}

impl Policy {
    /// Whether a callback may come from there. Where only some may send, one from nowhere may not.
    pub(crate) fn takes_callbacks_from(&self, from: Option<IpAddr>) -> bool {
        let known = |from: IpAddr| {
            self.callback_senders
                .iter()
                .any(|network| network.contains(&from))
        };
        self.callback_senders.is_empty() || from.is_some_and(|from| known(from.to_canonical()))
    }

    /// The wait before try `attempt`, at least what the other side `asked` for (up to the limit, plus jitter).
    pub fn retry_wait(&self, attempt: u32, asked: Option<Duration>, chance: f64) -> Duration {
        let own = self.retry.wait(attempt, chance);
        match asked {
            Some(asked) => own.max(
                asked
                    .min(self.longest_retry_after)
                    .mul_f64(1.0 + 0.2 * chance.clamp(0.0, 1.0)),
            ),
            None => own,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_their_limit_and_are_spread() {
        let backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(10));
        assert_eq!(backoff.wait(0, 0.5), Duration::from_secs(1));
        assert_eq!(backoff.wait(2, 0.5), Duration::from_secs(4));
        assert_eq!(backoff.wait(u32::MAX, 0.5), Duration::from_secs(10));
        assert!(backoff.wait(1, 0.0) < backoff.wait(1, 0.99));
    }

    #[test]
    fn what_the_other_side_asks_for_is_honoured_within_reason() {
        let policy = Policy::default();
        let asked = Duration::from_secs(60);
        let wait = policy.retry_wait(0, Some(asked), 0.99);
        assert!(wait >= asked && wait <= asked.mul_f64(1.2), "{wait:?}");
        assert!(
            policy.retry_wait(0, Some(Duration::from_secs(1_000_000_000)), 0.0) <= policy.longest_retry_after
        );
    }
}
