//! What jobs cost, and how much may be spent.
//!
//! Upstreams charge by their own rules and in their own units, and few say beforehand how much. So an operator gives each
//! account its [`Prices`] in whatever unit suits, and every job is charged with its estimate when it is accepted: to the
//! purse of its account and to that of its owner, in the transaction that makes it. A purse may have a [`Budget`]; a
//! request that would exceed it is refused before anything is spent. What ends without having cost anything is given back
//! in the transaction that ends it, to the day that it was charged to. A job that goes to another account takes its charge
//! along, at that account's price and of that day; one that is submitted again, though it may have been paid, is charged
//! again.

use std::{fmt, iter::Sum, str::FromStr, time::Duration};

use serde::{Serialize, Serializer, ser::Error as _};

use crate::clock::{Day, Timestamp};

/// An amount in the operator's own unit (credits, points, cents), kept in thousandths. Written as a decimal number, in
/// JSON too: it ends at [`Credits::MAX`], so that every reader of JSON reads the very amount.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Credits(u64);

impl Credits {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// The most there is, just short of 10^12: fifteen digits are what a double holds of any decimal number.
    pub const MAX: Self = Self(999_999_999_999_999);

    /// This many whole credits.
    pub fn whole(number: u32) -> Self {
        Self(u64::from(number) * 1_000)
    }

    /// This many thousandths, [`MAX`](Credits::MAX) at most.
    pub const fn from_thousandths(number: u64) -> Self {
        if number > Self::MAX.0 {
            Self::MAX
        } else {
            Self(number)
        }
    }

    /// How many thousandths.
    pub const fn thousandths(self) -> u64 {
        self.0
    }

    /// Both together.
    pub const fn saturating_add(self, other: Self) -> Self {
        Self::from_thousandths(self.0.saturating_add(other.0))
    }

    /// What is left without `other`; nothing where that is more.
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Sum for Credits {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::ZERO, Self::saturating_add)
    }
}

impl fmt::Display for Credits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 1_000, self.0 % 1_000);
        if rest == 0 {
            return write!(f, "{whole}");
        }
        let rest = format!("{rest:03}");
        write!(f, "{whole}.{}", rest.trim_end_matches('0'))
    }
}

/// The text is no amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a number such as 8 or 0.25, below 10^12 and with three decimals at most")]
pub struct ParseCreditsError;

impl FromStr for Credits {
    type Err = ParseCreditsError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (whole, rest) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || !digits(rest) || rest.len() > 3 {
            return Err(ParseCreditsError);
        }
        let thousandths = format!("{whole}{rest:0<3}")
            .parse()
            .map_err(|_| ParseCreditsError)?;
        if thousandths > Self::MAX.0 {
            return Err(ParseCreditsError);
        }
        Ok(Self(thousandths))
    }
}

impl Serialize for Credits {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_multiple_of(1_000) {
            return serializer.serialize_u64(self.0 / 1_000);
        }
        // The nearest double, whose shortest form is the decimal again.
        let number = self.to_string().parse().map_err(S::Error::custom)?;
        serializer.serialize_f64(number)
    }
}

/// What an account charges, by estimate. All zero where nobody keeps account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "whoever sets prices should see each of them"
)]
pub struct Prices {
    /// For whatever is drawn and has no price of its own below.
    pub drawing: Credits,
    /// For making one picture larger; as for a drawing where not set.
    pub upscale: Option<Credits>,
    /// For a video; as for a drawing where not set.
    pub video: Option<Credits>,
    /// For texts about pictures and prompts; nothing where not set.
    pub text: Option<Credits>,
    /// For a drawing whose prompt asks for relax mode; as for another one where not set. A drawing that falls back to
    /// relax mode keeps the price that it was accepted at.
    pub relax: Option<Credits>,
}

/// The most that may be spent from a purse; no limit where not set. Days and months are those of UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "whoever sets limits should see each of them"
)]
pub struct Budget {
    /// In one day.
    pub day: Option<Credits>,
    /// In one calendar month.
    pub month: Option<Credits>,
}

impl Budget {
    /// The limit for `period`.
    pub const fn of(self, period: Period) -> Option<Credits> {
        match period {
            Period::Day => self.day,
            Period::Month => self.month,
        }
    }

    /// The limit that `more` would exceed on top of what was spent. Nothing more exceeds no limit.
    pub fn exceeded(self, spent: Spending, more: Spending) -> Option<Period> {
        [Period::Day, Period::Month].into_iter().find(|period| {
            let (spent, more) = (spent.of(*period), more.of(*period));
            let over = |limit| spent.saturating_add(more) > limit;
            more > Credits::ZERO && self.of(*period).is_some_and(over)
        })
    }
}

/// The budgets of the two purses that a job is charged to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "every job is charged to these two")]
pub struct Budgets {
    /// Of the account.
    pub account: Budget,
    /// Of the owner.
    pub owner: Budget,
}

/// What was spent from a purse, or is to be, less what was given back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[expect(clippy::exhaustive_structs, reason = "the two periods of a budget")]
pub struct Spending {
    /// In the present day.
    pub day: Credits,
    /// In the present month.
    pub month: Credits,
}

impl Spending {
    /// The amount that counts for `period`.
    pub const fn of(self, period: Period) -> Credits {
        match period {
            Period::Day => self.day,
            Period::Month => self.month,
        }
    }
}

/// What a budget is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the two periods of a budget")]
pub enum Period {
    /// A day of UTC.
    Day,
    /// A calendar month of UTC.
    Month,
}

impl Period {
    /// The word users see.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Month => "month",
        }
    }

    /// How long the present one goes on at `now`.
    pub fn rest(self, now: Timestamp) -> Duration {
        match self {
            Self::Day => Day::of(now).next().start().saturating_since(now),
            Self::Month => Day::of(now).month().end.start().saturating_since(now),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credits(text: &str) -> Credits {
        text.parse().unwrap()
    }

    #[test]
    fn amounts_are_decimal_numbers() {
        for (text, thousandths, shown) in [
            ("8", 8_000, "8"),
            ("0.25", 250, "0.25"),
            ("1.500", 1_500, "1.5"),
            ("0.001", 1, "0.001"),
            ("4294967.5", 4_294_967_500, "4294967.5"),
            ("1000000000", 1_000_000_000_000, "1000000000"),
            ("98765432109.877", 98_765_432_109_877, "98765432109.877"),
            ("999999999999.999", 999_999_999_999_999, "999999999999.999"),
        ] {
            assert_eq!(credits(text), Credits::from_thousandths(thousandths));
            assert_eq!(credits(text).to_string(), shown);
            assert_eq!(serde_json::to_string(&credits(text)).unwrap(), shown);
        }
        for wrong in [
            "",
            "-1",
            "1,5",
            "1.",
            ".5",
            "1.0001",
            "1e3",
            "many",
            "1000000000000",
            "99999999999999999999",
        ] {
            assert_eq!(wrong.parse::<Credits>(), Err(ParseCreditsError), "{wrong}");
        }
    }

    #[test]
    fn amounts_end_where_numbers_of_json_end_to_be_exact() {
        assert_eq!(Credits::MAX.saturating_add(credits("0.001")), Credits::MAX);
        assert_eq!(Credits::from_thousandths(u64::MAX), Credits::MAX);
    }

    #[test]
    fn months_are_those_of_the_calendar() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let day = Day::of(at("2028-02-29T23:59:59Z"));
        assert_eq!(
            day.month(),
            Day::of(at("2028-02-01T00:00:00Z"))..Day::of(at("2028-03-01T00:00:00Z"))
        );
        assert_eq!(
            Period::Month.rest(at("2028-02-29T12:00:00Z")),
            Duration::from_secs(12 * 3_600)
        );
        assert_eq!(
            Period::Month.rest(at("2028-12-31T23:00:00Z")),
            Duration::from_secs(3_600)
        );
        assert_eq!(
            Period::Day.rest(at("2028-12-31T23:00:00Z")),
            Duration::from_secs(3_600)
        );
    }
}
