//! What the operator is told of accounts.

use std::collections::{HashMap, VecDeque};

use super::Condition;
use crate::{clock::Timestamp, job::AccountName};

/// How many notices wait to be told, where somebody tells them at all; the oldest go.
const MOST: usize = 64;

/// An account gets no new work for a reason that may last, or works again.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Notice {
    /// The account.
    pub account: AccountName,
    /// How it is doing now.
    pub condition: Condition,
    /// Why, in one sentence; none where it works again.
    pub reason: Option<String>,
    /// Since when.
    pub at: Timestamp,
}

#[derive(Debug, Default)]
pub(super) struct Notices {
    waiting: VecDeque<Notice>,
    /// What was last told of accounts that did not work then.
    last: HashMap<AccountName, Condition>,
}

impl Notices {
    /// Has `notice` told, unless that is known already. Being asked to wait is no news: it comes often, and passes.
    pub(super) fn note(&mut self, notice: Notice) -> bool {
        let last = self.last.get(&notice.account).copied().unwrap_or_default();
        if notice.condition == Condition::Throttled || notice.condition == last {
            return false;
        }
        if notice.condition == Condition::Ok {
            self.last.remove(&notice.account);
        } else {
            self.last.insert(notice.account.clone(), notice.condition);
        }
        if self.waiting.len() == MOST {
            self.waiting.pop_front();
        }
        self.waiting.push_back(notice);
        true
    }

    pub(super) fn first(&self) -> Option<&Notice> {
        self.waiting.front()
    }

    /// `notice` was told, unless it had to go before.
    pub(super) fn told(&mut self, notice: &Notice) {
        if self.waiting.front() == Some(notice) {
            self.waiting.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lasts_is_told_once_and_so_is_its_end() {
        let mut notices = Notices::default();
        let mut told = Vec::new();
        for condition in [
            Condition::Throttled,
            Condition::Ok,
            Condition::Blocked,
            Condition::Throttled,
            Condition::Blocked,
            Condition::Down,
            Condition::Ok,
            Condition::Throttled,
            Condition::Ok,
        ] {
            let account = AccountName::new("main");
            let notice = Notice {
                account,
                condition,
                reason: None,
                at: Timestamp::default(),
            };
            if notices.note(notice) {
                told.push(condition);
            }
        }
        assert_eq!(told, [Condition::Blocked, Condition::Down, Condition::Ok]);
        let first = notices.first().unwrap().clone();
        notices.told(&first);
        notices.told(&first);
        assert_eq!(notices.first().unwrap().condition, Condition::Down);
    }
}
