use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio::sync::watch;

use crate::clock::{Clock, Timestamp};

/// A clock that stands still until it is told to go on. Clones share one time.
#[derive(Clone, Debug)]
pub struct FakeClock {
    now: watch::Sender<Timestamp>,
    sleepers: Arc<Sleepers>,
}

#[derive(Debug, Default)]
struct Sleepers {
    deadlines: Mutex<(u64, BTreeMap<u64, Timestamp>)>,
}

impl Sleepers {
    fn lock(&self) -> MutexGuard<'_, (u64, BTreeMap<u64, Timestamp>)> {
        self.deadlines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a sleeper off the list, also where its sleep is dropped.
struct Sleeping<'a> {
    sleepers: &'a Sleepers,
    number: u64,
}

impl<'a> Sleeping<'a> {
    fn new(sleepers: &'a Sleepers, deadline: Timestamp) -> Self {
        let mut list = sleepers.lock();
        list.0 += 1;
        let number = list.0;
        list.1.insert(number, deadline);
        Self { sleepers, number }
    }
}

impl Drop for Sleeping<'_> {
    fn drop(&mut self) {
        self.sleepers.lock().1.remove(&self.number);
    }
}

impl FakeClock {
    /// A clock that stands at 2026-11-22T10:00:00Z.
    pub fn new() -> Self {
        Self::at(super::given::at(0))
    }

    /// A clock that stands at `now`.
    pub fn at(now: Timestamp) -> Self {
        Self {
            now: watch::Sender::new(now),
            sleepers: Arc::default(),
        }
    }

    /// Moves the time on and wakes who slept until then.
    pub fn advance(&self, span: Duration) {
        self.now.send_modify(|now| *now = now.saturating_add(span));
    }

    /// Sets the time, forwards or, as real clocks do at times, backwards.
    pub fn set(&self, now: Timestamp) {
        self.now.send_replace(now);
    }

    /// How many sleep at the moment.
    pub fn sleepers(&self) -> usize {
        self.sleepers.lock().1.len()
    }

    /// When the first of the sleepers wants to wake.
    pub fn next_wake(&self) -> Option<Timestamp> {
        self.sleepers.lock().1.values().min().copied()
    }

    /// Moves the time to when the first sleeper wants to wake; `false` where nobody sleeps. Never moves it back.
    pub fn advance_to_next(&self) -> bool {
        let next = self.next_wake();
        if let Some(next) = next {
            self.now.send_modify(|now| *now = next.max(*now));
        }
        next.is_some()
    }
}

impl Default for FakeClock {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        *self.now.borrow()
    }

    async fn sleep_until(&self, deadline: Timestamp) {
        let _sleeping = Sleeping::new(&self.sleepers, deadline);
        // The sender is part of the clock, so it outlives the wait.
        let mut time = self.now.subscribe();
        let mut latest = self.now();
        let wakes = |now: &Timestamp| {
            let went_back = *now < std::mem::replace(&mut latest, *now);
            *now >= deadline || went_back
        };
        drop(time.wait_for(wakes).await);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::wait_until;

    #[tokio::test]
    async fn a_sleeper_wakes_when_its_time_comes_and_not_before() {
        let clock = FakeClock::new();
        let wake = clock.now().saturating_add(Duration::from_secs(10));
        clock.sleep_until(clock.now()).await;
        let sleeper = tokio::spawn({
            let clock = clock.clone();
            async move { clock.sleep_until(wake).await }
        });
        wait_until("somebody sleeps", Duration::from_secs(10), async || {
            if clock.sleepers() == 1 {
                Ok(())
            } else {
                Err("nobody does")
            }
        })
        .await;
        assert_eq!(clock.next_wake(), Some(wake));
        clock.advance(Duration::from_millis(9_999));
        tokio::task::yield_now().await;
        assert!(!sleeper.is_finished());
        assert!(clock.advance_to_next());
        sleeper.await.unwrap();
        assert_eq!(clock.now(), wake);
        assert_eq!(clock.sleepers(), 0);
        assert!(!clock.advance_to_next());
    }

    #[tokio::test]
    async fn a_dropped_sleep_is_no_sleeper() {
        let clock = FakeClock::new();
        let far = Timestamp::from_millis(i64::MAX);
        let mut sleep = std::pin::pin!(clock.sleep_until(far));
        assert!(futures_util::poll!(&mut sleep).is_pending());
        assert_eq!(clock.sleepers(), 1);
        {
            let other = clock.sleep_until(far);
            let mut other = Box::pin(other);
            assert!(futures_util::poll!(&mut other).is_pending());
            assert_eq!(clock.sleepers(), 2);
        }
        assert_eq!(clock.sleepers(), 1);
    }

    /// Its deadline may mean nothing any more.
    #[tokio::test]
    async fn a_sleeper_wakes_when_the_clock_goes_back() {
        let clock = FakeClock::new();
        let mut sleep = std::pin::pin!(clock.sleep_until(Timestamp::from_millis(i64::MAX)));
        assert!(futures_util::poll!(&mut sleep).is_pending());
        clock.advance(Duration::from_secs(1));
        assert!(futures_util::poll!(&mut sleep).is_pending());
        clock.set(Timestamp::default());
        assert!(futures_util::poll!(&mut sleep).is_ready());
    }
}
