//! The numbers in `tallies`: what a transaction changes of them.

use midjourney_core::job::{AccountName, Job, Status};

/// What is counted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// Jobs of a status.
    Status,
    /// Jobs of an account that were not submitted yet.
    Pending,
    /// Jobs of an account that hold a slot.
    Running,
}

impl What {
    /// The word in the table.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Pending => "pending",
            Self::Running => "running",
        }
    }
}

/// Where a job counts.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) account: &'a AccountName,
    pub(crate) status: Status,
    pub(crate) holds_slot: bool,
}

impl<'a> Place<'a> {
    pub(crate) const fn of(job: &'a Job) -> Self {
        Self {
            account: &job.account,
            status: job.status(),
            holds_slot: job.life.state.holds_slot(),
        }
    }
}

/// What a transaction changes; a handful of numbers, however many jobs it touches.
#[derive(Default)]
pub(crate) struct Changes(Vec<(What, String, i64)>);

impl Changes {
    /// Notes that `by` more jobs are at `place`.
    pub(crate) fn count(&mut self, place: Place<'_>, by: i64) {
        self.add(What::Status, place.status.name(), by);
        if place.status == Status::Pending {
            self.add(What::Pending, place.account.as_str(), by);
        }
        if place.holds_slot {
            self.add(What::Running, place.account.as_str(), by);
        }
    }

    fn add(&mut self, what: What, name: &str, by: i64) {
        let known = self.0.iter_mut().find(|(w, n, _)| *w == what && n == name);
        if let Some((_, _, number)) = known {
            *number = number.saturating_add(by);
        } else {
            self.0.push((what, name.to_owned(), by));
        }
    }

    /// How many more jobs of `account` hold a slot.
    pub(crate) fn running(&self, account: &AccountName) -> i64 {
        let here =
            |(what, name, _): &&(What, String, i64)| *what == What::Running && name == account.as_str();
        self.0.iter().find(here).map_or(0, |(_, _, by)| *by)
    }

    /// Each number that changes: what, whose, and by how much.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (What, &str, i64)> {
        let changes = self.0.iter().filter(|(_, _, by)| *by != 0);
        changes.map(|(what, name, by)| (*what, name.as_str(), *by))
    }
}
