use std::{borrow::Cow, fmt, ops::Range, str::FromStr};

use serde::{Deserialize, Deserializer, de};

use super::Timestamp;

/// A day of UTC, counted from 1970-01-01: what purses keep their accounts by, and what pictures are found by. Written as
/// `2026-11-24`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(i64);

const MILLIS: i64 = 86_400_000;

impl Day {
    /// The day that `now` is in.
    pub const fn of(now: Timestamp) -> Self {
        Self(now.as_millis().div_euclid(MILLIS))
    }

    /// Its number; 0 is 1970-01-01.
    pub const fn number(self) -> i64 {
        self.0
    }

    /// Its first moment.
    pub const fn start(self) -> Timestamp {
        Timestamp::from_millis(self.0.saturating_mul(MILLIS))
    }

    /// The day after it.
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The days of its month.
    pub fn month(self) -> Range<Self> {
        self.first_of_month()..self.first_of_next_month()
    }

    fn first_of_month(self) -> Self {
        let (_, _, day) = self.start().utc_date();
        Self(self.0.saturating_sub(i64::from(day) - 1))
    }

    fn first_of_next_month(self) -> Self {
        // 31 days on is in the next month, wherever one begins at the first.
        Self(self.first_of_month().0.saturating_add(31)).first_of_month()
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.start().utc_date();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

/// The text is not a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a day such as 2026-11-24")]
pub struct ParseDayError;

impl FromStr for Day {
    type Err = ParseDayError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let midnight: Timestamp = format!("{text}T00:00:00Z").parse().map_err(|_| ParseDayError)?;
        let day = Self::of(midnight);
        // One writing for each day, and no times behind it.
        (day.to_string() == text).then_some(day).ok_or(ParseDayError)
    }
}

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse()
            .map_err(|error| de::Error::custom(format!("{error}, not {text:?}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_survives_its_text_and_what_is_none_is_refused() {
        for text in ["1970-01-01", "2024-02-29", "2026-11-24"] {
            assert_eq!(
                text.parse::<Day>().map(|day| day.to_string()),
                Ok(text.to_owned())
            );
        }
        for text in [
            "",
            "2026",
            "2026-11",
            "2026-2-1",
            "2026-02-30",
            "24.11.2026",
            "2026-11-24T01:00:00Z",
        ] {
            assert_eq!(text.parse::<Day>(), Err(ParseDayError), "{text}");
        }
    }
}
