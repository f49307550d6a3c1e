//! Who pays for a job.

use std::fmt;

use super::request::{AccountName, Owner};
use crate::{
    budget::{Budget, Budgets, Credits, Period, Spending},
    clock::{Day, Timestamp},
};

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

/// What a job's purses were charged with at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "an amount and a time")]
pub struct Charge {
    /// How much.
    pub cost: Credits,
    /// When. Whatever is given back of it goes to that day and that month.
    pub at: Timestamp,
}

impl Charge {
    /// What this adds to what was spent from a purse that gets `back` another charge: that makes up for it in the same
    /// day, and in the same month, only.
    fn more(self, back: Option<Self>) -> Spending {
        let today = Day::of(self.at);
        let without = |counts: &dyn Fn(&Day) -> bool| {
            let back = back.filter(|back| counts(&Day::of(back.at)));
            let less = back.map_or(Credits::ZERO, |back| back.cost);
            self.cost.saturating_sub(less)
        };
        Spending {
            day: without(&|day| *day == today),
            month: without(&|day| today.month().contains(day)),
        }
    }
}

/// A line in the account of a purse.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// Whose.
    pub purse: Purse,
    /// How much and when.
    pub charge: Charge,
    /// Whether it is given back to the day of the charge, rather than charged.
    pub back: bool,
    /// What may be spent from the purse.
    budget: Budget,
    /// What it is charged more, all entries of the change taken together.
    more: Spending,
}

impl Entry {
    /// One charge goes `back` and another is made, each for an account and for the owner.
    pub(super) fn all(
        owner: &Owner,
        back: Option<(&AccountName, Charge)>,
        charge: Option<(&AccountName, Charge)>,
        budgets: Budgets,
    ) -> Vec<Self> {
        let purses = |account: &AccountName| [Purse::Account(account.clone()), Purse::Owner(owner.clone())];
        let costs = |(_, charge): &(_, Charge)| charge.cost > Credits::ZERO;
        let mut entries = Vec::new();
        if let Some((account, charge)) = back.filter(costs) {
            entries.extend(purses(account).map(|purse| Self {
                purse,
                charge,
                back: true,
                budget: Budget::default(),
                more: Spending::default(),
            }));
        }
        if let Some((account, charge)) = charge.filter(costs) {
            for (purse, budget) in purses(account).into_iter().zip([budgets.account, budgets.owner]) {
                let returned = entries.iter().find(|entry| entry.purse == purse);
                entries.push(Self {
                    more: charge.more(returned.map(|entry| entry.charge)),
                    purse,
                    charge,
                    back: false,
                    budget,
                });
            }
        }
        entries
    }

    /// Whether some budget could stand in the way, so that it matters what was spent.
    pub fn is_limited(&self) -> bool {
        self.budget != Budget::default()
    }

    /// Why it may not be made where so much was `spent` from its purse before the change; `None` where it may.
    pub fn overdrawn(&self, spent: Spending) -> Option<Overdrawn> {
        let period = self.budget.exceeded(spent, self.more)?;
        let limit = self.budget.of(period).unwrap_or_default();
        Some(Overdrawn {
            purse: self.purse.clone(),
            period,
            asked: self.more.of(period),
            left: limit.saturating_sub(spent.of(period)),
        })
    }
}

/// What a change does to the last charge of its job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "every store must know each of them")]
pub enum Billing {
    /// Nothing.
    #[default]
    Keep,
    /// Gives it back: it was for something that has cost nothing.
    GiveBack,
    /// Leaves it for good, since it may have been paid, and charges the same once more.
    Again,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn credits(text: &str) -> Credits {
        text.parse().unwrap()
    }

    fn charge(cost: &str, at: &str) -> Charge {
        Charge {
            cost: credits(cost),
            at: at.parse().unwrap(),
        }
    }

    fn spending(day: &str, month: &str) -> Spending {
        Spending {
            day: credits(day),
            month: credits(month),
        }
    }

    #[test]
    fn the_tighter_limit_is_named_with_what_is_left() {
        let budgets = Budgets {
            owner: Budget {
                day: Some(credits("10")),
                month: Some(credits("12")),
            },
            account: Budget::default(),
        };
        let check = |spent, asked| {
            let asked = charge(asked, "2026-11-22T10:00:00Z");
            let entries = Entry::all(
                &Owner::new("ann"),
                None,
                Some((&AccountName::new("main"), asked)),
                budgets,
            );
            assert!(!entries[0].is_limited() && entries[1].is_limited());
            entries[1].overdrawn(spent)
        };
        assert_eq!(check(spending("9", "9"), "1"), None);
        let day = check(spending("9", "9"), "2").unwrap();
        assert_eq!((day.period, day.left), (Period::Day, credits("1")));
        let month = check(spending("0", "11.5"), "1").unwrap();
        assert_eq!((month.period, month.left), (Period::Month, credits("0.5")));
    }

    #[test]
    fn what_goes_back_makes_up_for_a_charge_in_the_same_period_only() {
        let now = charge("5", "2026-12-02T00:01:00Z");
        for (returned, more) in [
            ("2026-12-02T00:00:00Z", spending("2", "2")),
            ("2026-12-01T23:59:00Z", spending("5", "2")),
            ("2026-11-30T23:59:00Z", spending("5", "5")),
            ("2027-12-02T00:00:00Z", spending("5", "5")),
        ] {
            assert_eq!(now.more(Some(charge("3", returned))), more, "{returned}");
        }
        // What costs less than before is within any budget.
        let less = now.more(Some(charge("8", "2026-12-02T00:00:00Z")));
        assert_eq!(less, Spending::default());
    }
}
