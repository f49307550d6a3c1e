//! The newest events, as the writer has committed them: whoever follows closely need not ask the database.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use midjourney_core::job::{Event, Position};

/// How many are kept.
const KEPT: usize = 1_024;

/// Events whose positions follow one another without a gap, so that nothing is between them. What other processes commit is
/// not among them: the writer forgets all when it sees that there was something.
#[derive(Debug, Default)]
pub(super) struct Newest(Mutex<VecDeque<Event>>);

impl Newest {
    fn events(&self) -> MutexGuard<'_, VecDeque<Event>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds what was committed just now, in its order.
    pub(super) fn add(&self, committed: Vec<Event>) {
        let mut events = self.events();
        for event in committed {
            let follows = |last: &Event| last.position.get().checked_add(1) == Some(event.position.get());
            if !events.back().is_none_or(follows) {
                events.clear();
            }
            if events.len() >= KEPT {
                events.pop_front();
            }
            events.push_back(event);
        }
    }

    /// Leaves everything to the database.
    pub(super) fn forget(&self) {
        self.events().clear();
    }

    /// Up to `limit` events after `after`; `None` where only the database knows.
    pub(super) fn after(&self, after: Position, limit: usize) -> Option<Vec<Event>> {
        let events = self.events();
        let first = events.front()?.position.get();
        let skipped = after.get().checked_add(1)?.checked_sub(first)?;
        let skipped = usize::try_from(skipped).ok()?;
        let found: Vec<_> = events.iter().skip(skipped).take(limit).cloned().collect();
        (!found.is_empty()).then_some(found)
    }
}

#[cfg(test)]
mod tests {
    use midjourney_core::{
        clock::{OsEntropy, Timestamp},
        id::JobId,
        job::{EventKind, Life},
    };

    use super::*;

    fn event(position: u64) -> Event {
        let at = Timestamp::from_millis(0);
        let job = JobId::new(at, &OsEntropy);
        Event::of(
            job,
            1,
            Position::new(position),
            at,
            EventKind::Created,
            &Life::new(at),
        )
    }

    fn after(newest: &Newest, position: u64, limit: usize) -> Option<Vec<u64>> {
        let found = newest.after(Position::new(position), limit)?;
        Some(found.iter().map(|event| event.position.get()).collect())
    }

    #[test]
    fn only_what_follows_without_a_gap_is_told() {
        let newest = Newest::default();
        assert_eq!(after(&newest, 0, 10), None);
        newest.add(vec![event(5), event(6)]);
        newest.add(vec![event(7)]);
        assert_eq!(after(&newest, 3, 10), None, "there may be a fourth");
        assert_eq!(after(&newest, 4, 10), Some(vec![5, 6, 7]));
        assert_eq!(after(&newest, 5, 1), Some(vec![6]));
        assert_eq!(after(&newest, 7, 10), None, "others may have added to them");
        // Somebody else was in between.
        newest.add(vec![event(9)]);
        assert_eq!(after(&newest, 4, 10), None);
        assert_eq!(after(&newest, 8, 10), Some(vec![9]));
        newest.forget();
        assert_eq!(after(&newest, 8, 10), None);
        for position in 1..=3_000 {
            newest.add(vec![event(position)]);
        }
        assert_eq!(after(&newest, 1_900, 10), None);
        assert_eq!(after(&newest, 2_998, 10), Some(vec![2_999, 3_000]));
    }
}
