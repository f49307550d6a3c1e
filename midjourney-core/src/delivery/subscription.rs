//! Who wants to be told what.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    id::SubscriptionId,
    job::{EventKind, Owner, Position},
};

/// The event that tells how an account is doing.
pub const ACCOUNT_CONDITION: &str = "account.condition";

/// Which events somebody wants to be told about: by their names, wherever it is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<&'static str>")]
pub struct EventFilter {
    kinds: Vec<EventKind>,
    accounts: bool,
}

impl Default for EventFilter {
    /// What people wait for: the end of a job, and what it needs them for.
    fn default() -> Self {
        Self::new([
            EventKind::Completed,
            EventKind::Failed,
            EventKind::Cancelled,
            EventKind::Expired,
            EventKind::AwaitingInput,
            EventKind::SubmitUnknown,
        ])
    }
}

impl EventFilter {
    /// These kinds of a job's events, each counted once.
    pub fn new(kinds: impl IntoIterator<Item = EventKind>) -> Self {
        let kinds: Vec<_> = kinds.into_iter().collect();
        Self {
            kinds: EventKind::ALL
                .into_iter()
                .filter(|kind| kinds.contains(kind))
                .collect(),
            accounts: false,
        }
    }

    /// The same, and [how accounts are doing](ACCOUNT_CONDITION).
    pub const fn and_accounts(mut self) -> Self {
        self.accounts = true;
        self
    }

    /// The events of these names; `*` is all of them.
    ///
    /// **Errors:** the first name that is none, by its place.
    pub fn from_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, usize> {
        let (mut kinds, mut accounts) = (Vec::new(), false);
        for (place, name) in names.into_iter().enumerate() {
            match EventKind::from_name(name) {
                Some(kind) => kinds.push(kind),
                None if name == "*" => {
                    kinds.extend(EventKind::ALL);
                    accounts = true;
                }
                None if name == ACCOUNT_CONDITION => accounts = true,
                None => return Err(place),
            }
        }
        Ok(Self {
            accounts,
            ..Self::new(kinds)
        })
    }

    /// The names of all events there are.
    pub fn known() -> impl Iterator<Item = &'static str> {
        let kinds = EventKind::ALL.into_iter().map(EventKind::name);
        kinds.chain([ACCOUNT_CONDITION])
    }

    /// Whether it lets this kind of a job's events pass.
    pub fn wants(&self, kind: EventKind) -> bool {
        self.kinds.contains(&kind)
    }

    /// Whether it wants to hear how accounts are doing.
    pub const fn wants_accounts(&self) -> bool {
        self.accounts
    }

    /// Whether it lets nothing pass.
    pub const fn is_empty(&self) -> bool {
        self.kinds.is_empty() && !self.accounts
    }

    /// The names, in the order of a job's life.
    pub fn names(&self) -> Vec<&'static str> {
        let kinds = self.kinds.iter().copied().map(EventKind::name);
        kinds.chain(self.accounts.then_some(ACCOUNT_CONDITION)).collect()
    }
}

impl From<EventFilter> for Vec<&'static str> {
    fn from(filter: EventFilter) -> Self {
        filter.names()
    }
}

impl TryFrom<Vec<String>> for EventFilter {
    type Error = String;

    fn try_from(names: Vec<String>) -> Result<Self, String> {
        let filter = Self::from_names(names.iter().map(String::as_str));
        filter.map_err(|place| format!("no event is called {:?}", names.get(place)))
    }
}

/// Why a subscription gets nothing any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DisabledReason {
    /// Its owner wants it so.
    ByHand,
    /// The receiver answered 410: it is gone.
    Gone,
    /// Nothing arrived for [`DISABLED_AFTER`](super::DISABLED_AFTER).
    Failing,
}

impl DisabledReason {
    /// Every reason.
    pub const ALL: [Self; 3] = [Self::ByHand, Self::Gone, Self::Failing];

    /// The word users see.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ByHand => "by_hand",
            Self::Gone => "gone",
            Self::Failing => "failing",
        }
    }
}

/// Somebody's wish to be told about jobs.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Subscription {
    /// Its id.
    pub id: SubscriptionId,
    /// Whose it is; they are told about their own jobs, the operator about accounts too.
    pub owner: Owner,
    /// Where messages go. May hold a token.
    pub url: String,
    /// About which events.
    pub events: EventFilter,
    /// Only about what was committed after this.
    pub since: Position,
    /// When it was made.
    pub created: Timestamp,
    /// Since when it gets nothing, and why.
    pub disabled: Option<(Timestamp, DisabledReason)>,
    /// Which of its secrets is in use, counted from 1.
    pub generation: u32,
    /// When that one came into use; the one before it is good for [`SECRET_OVERLAP`](super::SECRET_OVERLAP) more.
    pub rotated: Timestamp,
    /// Since when nothing has arrived, if the last thing did not.
    pub failing_since: Option<Timestamp>,
    /// The receiver asked to be left alone until then.
    pub paused_until: Option<Timestamp>,
}

impl Subscription {
    /// `owner` wants to be told at `url`, from `since` on, about the usual events.
    pub fn new(
        id: SubscriptionId,
        owner: Owner,
        url: impl Into<String>,
        since: Position,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            owner,
            url: url.into(),
            events: EventFilter::default(),
            since,
            created: now,
            disabled: None,
            generation: 1,
            rotated: now,
            failing_since: None,
            paused_until: None,
        }
    }

    /// The same subscription to these events.
    pub fn to(mut self, events: EventFilter) -> Self {
        self.events = events;
        self
    }

    /// Whether it wants to be told of such an event of such an owner's job.
    pub fn wants(&self, owner: &Owner, kind: EventKind, position: Position) -> bool {
        self.disabled.is_none() && self.since < position && self.events.wants(kind) && self.owner == *owner
    }

    /// Whether it wants to be told how accounts are doing, which are the operator's own.
    pub fn wants_accounts(&self) -> bool {
        self.disabled.is_none() && self.events.wants_accounts() && self.owner == Owner::local()
    }

    /// Starts it again, as if nothing had failed before.
    pub fn enable(&mut self) {
        self.disabled = None;
        self.failing_since = None;
        self.paused_until = None;
    }

    /// Stops it, unless it is stopped. Returns whether it was not.
    pub const fn disable(&mut self, why: DisabledReason, now: Timestamp) -> bool {
        let was_enabled = self.disabled.is_none();
        if was_enabled {
            self.disabled = Some((now, why));
        }
        was_enabled
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("id", &self.id)
            .field("owner", &self.owner)
            .field("events", &self.events)
            .field("disabled", &self.disabled)
            .field("failing_since", &self.failing_since)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_given_by_name() {
        let filter = EventFilter::from_names(["job.failed", "job.completed", "job.failed"]).unwrap();
        assert_eq!(filter.names(), ["job.completed", "job.failed"]);
        let all = EventFilter::from_names(["*"]).unwrap();
        assert!(EventFilter::known().eq(all.names()));
        let accounts = EventFilter::from_names([ACCOUNT_CONDITION]).unwrap();
        assert!(accounts.wants_accounts() && !accounts.is_empty() && !filter.wants_accounts());
        assert_eq!(EventFilter::from_names(["job.failed", "job.done"]), Err(1));
        for kind in EventKind::ALL {
            assert_eq!(EventKind::from_name(kind.name()), Some(kind));
        }
    }
}
