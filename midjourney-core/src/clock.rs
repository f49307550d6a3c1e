//! Time and chance as parameters.
//!
//! Nothing in this workspace asks the operating system for the time or for randomness on its own: both come in
//! through [`Clock`] and [`Entropy`], so that every decision can be replayed in a test.

mod day;

use std::{
    cell::RefCell,
    fmt,
    str::FromStr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

pub use self::day::{Day, ParseDayError};

/// A moment, in whole milliseconds since 1970-01-01T00:00:00Z.
///
/// Inside the workspace and in databases it is an `i64`; at every edge (JSON, logs, pages) it is RFC 3339 text.
/// Milliseconds, because all supported databases and upstreams can hold them without rounding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The moment `millis` milliseconds after (or, negative, before) the Unix epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// This moment plus `span`; stops at the largest representable moment instead of wrapping.
    pub fn saturating_add(self, span: Duration) -> Self {
        Self(
            self.0
                .saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)),
        )
    }

    /// This moment less `span`; stops at the smallest representable moment instead of wrapping.
    pub fn saturating_sub(self, span: Duration) -> Self {
        Self(
            self.0
                .saturating_sub(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)),
        )
    }

    /// How long ago `earlier` was, or zero where `earlier` lies ahead (clocks do jump).
    pub fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    fn to_jiff(self) -> jiff::Timestamp {
        jiff::Timestamp::from_millisecond(self.0).unwrap_or(if self.0 < 0 {
            jiff::Timestamp::MIN
        } else {
            jiff::Timestamp::MAX
        })
    }

    /// The UTC calendar day as `(year, month, day)`; what image paths are sharded by.
    pub fn utc_date(self) -> (i16, i8, i8) {
        let date = jiff::tz::Offset::UTC.to_datetime(self.to_jiff()).date();
        (date.year(), date.month(), date.day())
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC, for example `2026-11-22T10:00:00.25Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_jiff().fmt(f)
    }
}

/// The text is not an RFC 3339 time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an RFC 3339 time such as 2026-11-22T10:00:00Z")]
pub struct ParseTimestampError;

impl FromStr for Timestamp {
    type Err = ParseTimestampError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<jiff::Timestamp>()
            .map(|t| Self(t.as_millisecond()))
            .map_err(|_| ParseTimestampError)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// Where the engine and the gateway get the time from. Stores never ask: they receive `now` as a value.
#[async_trait]
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> Timestamp;

    /// Returns once [`now`](Clock::now) has reached `deadline`; earlier where the clock goes back meanwhile, for the
    /// deadline may have been reckoned while it was wrong. Whoever sleeps looks again.
    ///
    /// **Cancel safety:** dropping the future only ends the wait.
    async fn sleep_until(&self, deadline: Timestamp);
}

/// The operating system's clock, which does not go back while the process lives: where somebody sets it back, time goes
/// on at its own pace from the latest moment seen. Else every wait would become as much longer as the clock was wrong.
/// Only where it had been set forward by mistake, and comes back to where it would be without, is it followed back.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that may ask")]
    fn now(&self) -> Timestamp {
        static LATEST: Mutex<Option<Reading>> = Mutex::new(None);
        let since = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        let mut latest = LATEST.lock().unwrap_or_else(PoisonError::into_inner);
        let reading = Reading::after(latest.take(), since, Instant::now());
        Timestamp(i64::try_from(latest.insert(reading).time.as_millis()).unwrap_or(i64::MAX))
    }

    async fn sleep_until(&self, deadline: Timestamp) {
        let mut latest = self.now();
        loop {
            let now = self.now();
            if now >= deadline || now < latest {
                return;
            }
            latest = now;
            // In naps: tokio's timer does not see the clock being set forward, nor every sleep of the machine.
            tokio::time::sleep(deadline.saturating_since(now).min(LONGEST_NAP)).await;
        }
    }
}

/// The longest that a sleeper goes without a look at the clock.
const LONGEST_NAP: Duration = Duration::from_secs(30);

/// How far two clocks may be apart that tell the same time.
const SLACK: Duration = Duration::from_secs(60);

/// One look at both clocks.
#[derive(Clone, Copy, Debug)]
struct Reading {
    /// Since the Unix epoch.
    time: Duration,
    at: Instant,
    /// The wall clock's word at the first look, and when that was.
    first: Duration,
    started: Instant,
}

impl Reading {
    /// The wall clock's word, unless the steady clock says that it has gone back since the `last` reading.
    fn after(last: Option<Self>, wall: Duration, at: Instant) -> Self {
        let Some(last) = last else {
            return Self {
                time: wall,
                at,
                first: wall,
                started: at,
            };
        };
        let steady = last.time.saturating_add(at.saturating_duration_since(last.at));
        let undisturbed = last
            .first
            .saturating_add(at.saturating_duration_since(last.started));
        let came_back = steady.saturating_sub(wall) > SLACK && undisturbed.abs_diff(wall) <= SLACK;
        Self {
            time: if came_back { wall } else { steady.max(wall) },
            at,
            ..last
        }
    }
}

/// Where randomness comes from: ids, nonces, jitter.
pub trait Entropy: fmt::Debug + Send + Sync + 'static {
    /// Fills `out` with unpredictable bytes.
    fn fill(&self, out: &mut [u8]);

    /// A number drawn evenly from `0.0..1.0`, for jitter.
    fn chance(&self) -> f64 {
        let mut bytes = [0; 4];
        self.fill(&mut bytes);
        f64::from(u32::from_le_bytes(bytes)) / (f64::from(u32::MAX) + 1.0)
    }
}

/// The operating system's random source.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsEntropy;

/// How much a thread asks the system for at once: enough for sixteen ids.
const POOL: usize = 256;

/// Random bytes that were asked for and not given out yet, at the end of `bytes`.
struct Pool {
    bytes: [u8; POOL],
    left: usize,
}

thread_local! {
    static RANDOM: RefCell<Pool> = const { RefCell::new(Pool { bytes: [0; POOL], left: 0 }) };
}

impl Pool {
    fn take(&mut self, out: &mut [u8]) {
        if self.left < out.len() {
            from_system(&mut self.bytes);
            self.left = POOL;
        }
        let rest = self.left.saturating_sub(out.len());
        if let Some(taken) = self.bytes.get_mut(rest..self.left) {
            out.copy_from_slice(taken);
            // What was given out must not be found here.
            taken.fill(0);
        }
        self.left = rest;
    }
}

impl Entropy for OsEntropy {
    fn fill(&self, out: &mut [u8]) {
        if out.len() > POOL {
            return from_system(out);
        }
        RANDOM.with_borrow_mut(|pool| pool.take(out));
    }
}

#[expect(clippy::panic, reason = "no id, nonce or key may be made without randomness")]
fn from_system(out: &mut [u8]) {
    if let Err(error) = getrandom::fill(out) {
        panic!("the operating system gives no randomness: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rfc_3339_at_the_edges() {
        let time = Timestamp::from_millis(1_795_341_600_250);
        assert_eq!(time.to_string(), "2026-11-22T10:00:00.25Z");
        assert_eq!("2026-11-22T11:00:00.25+01:00".parse(), Ok(time));
        assert_eq!(time.utc_date(), (2026, 11, 22));
        assert!("yesterday".parse::<Timestamp>().is_err());
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any instant will do")]
    fn a_clock_that_is_set_back_goes_on_from_where_it_was() {
        let (hour, second, start) = (Duration::from_secs(3_600), Duration::from_secs(1), Instant::now());
        let first = Reading::after(None, hour * 10, start);
        let set_back = Reading::after(Some(first), hour * 9, start + second);
        assert_eq!(set_back.time, hour * 10 + second);
        let set_forward = Reading::after(Some(set_back), hour * 12, start + second * 2);
        assert_eq!(set_forward.time, hour * 12);
        let once_more = Reading::after(Some(set_forward), hour * 9, start + second * 3);
        assert_eq!(once_more.time, hour * 12 + second);
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any instant will do")]
    fn a_clock_that_was_set_forward_by_mistake_comes_back() {
        let (year, second, start) = (
            Duration::from_secs(31_536_000),
            Duration::from_secs(1),
            Instant::now(),
        );
        let first = Reading::after(None, year * 50, start);
        let wrong = Reading::after(Some(first), year * 60, start + second * 5);
        assert_eq!(wrong.time, year * 60);
        let right = Reading::after(Some(wrong), year * 50 + second * 12, start + second * 10);
        assert_eq!(right.time, year * 50 + second * 12);
    }

    #[test]
    fn no_random_bytes_are_given_out_twice() {
        let mut seen = std::collections::HashSet::new();
        for _ in 0..100 {
            let mut bytes = [0; 24];
            OsEntropy.fill(&mut bytes);
            assert!(seen.insert(bytes));
        }
        let mut long = [0; 2 * POOL];
        OsEntropy.fill(&mut long);
        assert!(long[..24] != long[24..48] && long.iter().any(|byte| *byte != 0));
    }

    #[test]
    fn arithmetic_stops_at_the_ends() {
        let end = Timestamp::from_millis(i64::MAX);
        assert_eq!(end.saturating_add(Duration::from_secs(1)), end);
        assert_eq!(Timestamp::default().saturating_since(end), Duration::ZERO);
        assert!(!end.to_string().is_empty());
    }
}
