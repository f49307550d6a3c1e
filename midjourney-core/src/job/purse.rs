//! Who pays for a job.

use std::fmt;

use super::request::{AccountName, Owner};
use crate::budget::{Budget, Credits, Period, Spending};

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

    fn credits(text: &str) -> Credits {
        text.parse().unwrap()
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
}
