//! What jobs cost, and how much may be spent.
//!
//! Upstreams charge by their own rules and in their own units, and few say beforehand how much. So an operator gives each
//! account its [`Prices`] in whatever unit suits, and every job is charged with its estimate when it is accepted: to the
//! purse of its account and to that of its owner, in the transaction that makes it. A purse may have a [`Budget`]; a
//! request that would exceed it is refused before anything is spent. What ends without having cost anything is given back
//! in the transaction that ends it.

use std::{fmt, iter::Sum, str::FromStr, time::Duration};

use serde::{Serialize, Serializer};

use crate::{
    clock::Timestamp,
    job::{AccountName, Action, Owner},
    prompt::Speed,
};

/// An amount in the operator's own unit (credits, points, cents), kept in thousandths. Written as a decimal number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Credits(u64);

impl Credits {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// This many whole credits.
    pub fn whole(number: u32) -> Self {
        Self(u64::from(number) * 1_000)
    }

    /// This many thousandths.
    pub const fn from_thousandths(number: u64) -> Self {
        Self(number)
    }

    /// How many thousandths.
    pub const fn thousandths(self) -> u64 {
        self.0
    }

    /// Both together.
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
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
#[error("expected a number such as 8 or 0.25, with three decimals at most")]
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
        Ok(Self(thousandths))
    }
}

impl Serialize for Credits {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_multiple_of(1_000) {
            return serializer.serialize_u64(self.0 / 1_000);
        }
        // Exact as decimals far beyond what anybody has.
        let thousandths = u32::try_from(self.0).map_or(f64::MAX, f64::from);
        serializer.serialize_f64(thousandths / 1_000.0)
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
    /// For a drawing in relax mode; as for another one where not set.
    pub relax: Option<Credits>,
}

impl Prices {
    /// What one job of `action` costs at this speed. Turbo costs twice as much ("Turbo: about 4x speed, 2x cost", wire
    /// facts).
    pub fn of(&self, action: Action, speed: Option<Speed>) -> Credits {
        let price = match action {
            Action::Describe | Action::Shorten => return self.text.unwrap_or_default(),
            Action::Animate { .. } | Action::Extend { .. } => self.video,
            Action::Upscale { .. } => self.upscale,
            _ => None,
        };
        match (price, speed) {
            (None, Some(Speed::Relax)) => self.relax.unwrap_or(self.drawing),
            (price, Some(Speed::Turbo)) => {
                let price = price.unwrap_or(self.drawing);
                price.saturating_add(price)
            }
            (price, _) => price.unwrap_or(self.drawing),
        }
    }
}

/// Whose money it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "every job is charged to these two")]
pub enum Purse {
    /// An account's at its upstream.
    Account(AccountName),
    /// An API client's, out of what the operator grants.
    Owner(Owner),
}

impl fmt::Display for Purse {
    /// What is stored and shown: `account:main`, `owner:ann`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(name) => write!(f, "account:{name}"),
            Self::Owner(name) => write!(f, "owner:{}", name.as_str()),
        }
    }
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
    /// The limit that `more` would exceed on top of what was spent.
    pub fn exceeded(&self, spent: Spending, more: Credits) -> Option<Period> {
        let over = |limit: Option<Credits>, spent: Credits| {
            limit.is_some_and(|limit| spent.saturating_add(more) > limit)
        };
        if over(self.day, spent.day) {
            Some(Period::Day)
        } else {
            over(self.month, spent.month).then_some(Period::Month)
        }
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

/// What was spent from a purse, less what was given back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[expect(clippy::exhaustive_structs, reason = "the two periods of a budget")]
pub struct Spending {
    /// In the present day.
    pub day: Credits,
    /// In the present month.
    pub month: Credits,
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
            Self::Month => Day::of(now).first_of_next_month().start().saturating_since(now),
        }
    }
}

/// A day of UTC, counted from 1970-01-01: what purses keep their accounts by.
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

    const fn start(self) -> Timestamp {
        Timestamp::from_millis(self.0.saturating_mul(MILLIS))
    }

    const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The first day of its month.
    pub fn first_of_month(self) -> Self {
        let (_, _, day) = self.start().utc_date();
        Self(self.0.saturating_sub(i64::from(day) - 1))
    }

    fn first_of_next_month(self) -> Self {
        // 31 days on is in the next month, wherever one begins at the first.
        Self(self.first_of_month().0.saturating_add(31)).first_of_month()
    }
}

/// A charge that a budget does not allow.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Overdrawn {
    /// Whose budget.
    pub purse: Purse,
    /// Which of its limits.
    pub period: Period,
    /// What was asked for.
    pub asked: Credits,
    /// What is left.
    pub left: Credits,
}

impl Overdrawn {
    /// Why `asked` cannot be charged to `purse`; `None` where it can.
    pub fn check(purse: &Purse, budget: Budget, spent: Spending, asked: Credits) -> Option<Self> {
        let period = budget.exceeded(spent, asked)?;
        let (limit, spent) = match period {
            Period::Day => (budget.day, spent.day),
            Period::Month => (budget.month, spent.month),
        };
        Some(Self {
            purse: purse.clone(),
            period,
            asked,
            left: limit.unwrap_or_default().saturating_sub(spent),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{Motion, UpscaleMode};

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
            "99999999999999999999",
        ] {
            assert_eq!(wrong.parse::<Credits>(), Err(ParseCreditsError), "{wrong}");
        }
    }

    #[test]
    fn prices_follow_what_is_made_and_how_fast() {
        let only = Prices {
            drawing: credits("2"),
            ..Prices::default()
        };
        let upscale = Action::Upscale {
            mode: UpscaleMode::Subtle,
        };
        let video = Action::Animate { motion: Motion::Low };
        assert_eq!(only.of(Action::Imagine, None), credits("2"));
        assert_eq!(only.of(Action::Imagine, Some(Speed::Turbo)), credits("4"));
        assert_eq!(only.of(Action::Imagine, Some(Speed::Relax)), credits("2"));
        assert_eq!(only.of(upscale, None), credits("2"));
        assert_eq!(only.of(Action::Describe, None), Credits::ZERO);
        let each = Prices {
            upscale: Some(credits("0.5")),
            video: Some(credits("8")),
            text: Some(credits("0.1")),
            relax: Some(Credits::ZERO),
            ..only
        };
        assert_eq!(each.of(upscale, None), credits("0.5"));
        assert_eq!(each.of(video, Some(Speed::Turbo)), credits("16"));
        assert_eq!(each.of(Action::Shorten, None), credits("0.1"));
        assert_eq!(each.of(Action::Imagine, Some(Speed::Relax)), Credits::ZERO);
    }

    #[test]
    fn the_tighter_limit_is_named_with_what_is_left() {
        let budget = Budget {
            day: Some(credits("10")),
            month: Some(credits("12")),
        };
        let purse = Purse::Owner(Owner::new("ann"));
        let spent = |day, month| Spending {
            day: credits(day),
            month: credits(month),
        };
        let check = |spent, asked| Overdrawn::check(&purse, budget, spent, credits(asked));
        assert_eq!(check(spent("9", "9"), "1"), None);
        let day = check(spent("9", "9"), "2").unwrap();
        assert_eq!((day.period, day.left), (Period::Day, credits("1")));
        let month = check(spent("0", "11.5"), "1").unwrap();
        assert_eq!((month.period, month.left), (Period::Month, credits("0.5")));
    }

    #[test]
    fn months_are_those_of_the_calendar() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let day = Day::of(at("2028-02-29T23:59:59Z"));
        assert_eq!(day.first_of_month(), Day::of(at("2028-02-01T00:00:00Z")));
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
