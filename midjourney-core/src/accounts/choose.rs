//! Which account a new job goes to, as one pure function.

use super::Strategy;

/// An account that could take a job, as it is at the moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Candidate {
    /// Whether it takes new work.
    pub(super) open: bool,
    /// How many of its jobs wait or run.
    pub(super) jobs: u64,
    /// How many it may run at once.
    pub(super) slots: u32,
    /// How many may wait behind those.
    pub(super) queue: u32,
    /// Its share, where shares count.
    pub(super) weight: u32,
    /// Its rank, where rank counts; the lowest first.
    pub(super) priority: u32,
}

impl Candidate {
    fn has_room_for(&self, jobs: usize) -> bool {
        let most = u64::from(self.slots).saturating_add(self.queue.into());
        let jobs = u64::try_from(jobs).unwrap_or(u64::MAX);
        self.jobs.saturating_add(jobs) <= most
    }

    /// How full it is: jobs for each slot, in thousandths. Where nobody said how many slots there are, one is assumed.
    fn load(&self) -> u64 {
        let slots = if self.slots == u32::MAX { 1 } else { self.slots };
        self.jobs.saturating_mul(1_000) / u64::from(slots.max(1))
    }
}

/// The place of the account that takes the next request, of so many `jobs`; `None` where none has room for them. `turn`
/// counts the requests given out so far; `chance` is `0.0..1.0`. Accounts that take no work at the moment are chosen only where no other has room: their jobs
/// wait.
pub(super) fn choose(
    candidates: &[Candidate],
    jobs: usize,
    strategy: Strategy,
    turn: u64,
    chance: f64,
) -> Option<usize> {
    let with_room = |open: bool| -> Vec<usize> {
        let fits = candidates
            .iter()
            .enumerate()
            .filter(|(_, candidate)| candidate.has_room_for(jobs) && candidate.open == open);
        fits.map(|(place, _)| place).collect()
    };
    let mut places = with_room(true);
    if places.is_empty() {
        places = with_room(false);
    }
    let at = |place: &usize| candidates.get(*place).copied();
    match strategy {
        Strategy::LeastBusy => places
            .iter()
            .min_by_key(|place| at(place).map(|c| c.load()))
            .copied(),
        Strategy::RoundRobin => {
            let count = u64::try_from(places.len()).ok().filter(|count| *count > 0)?;
            places.get(usize::try_from(turn % count).ok()?).copied()
        }
        Strategy::Weighted => {
            let weight = |place: &usize| at(place).map_or(0.0, |c| f64::from(c.weight.max(1)));
            let total: f64 = places.iter().map(weight).sum();
            let mut left = chance.clamp(0.0, 1.0) * total;
            let found = places.iter().find(|place| {
                left -= weight(place);
                left < 0.0
            });
            found.or(places.last()).copied()
        }
        Strategy::Priority => places
            .iter()
            .min_by_key(|place| at(place).map(|c| (c.priority, c.load())))
            .copied(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Candidate = Candidate {
        open: true,
        jobs: 0,
        slots: 3,
        queue: 10,
        weight: 1,
        priority: 0,
    };

    fn busy(jobs: u64) -> Candidate {
        Candidate { jobs, ..ONE }
    }

    #[test]
    fn the_least_busy_is_the_one_with_the_fewest_jobs_for_each_slot() {
        let large = Candidate { slots: 12, ..busy(4) };
        let pool = [busy(2), large, busy(3)];
        assert_eq!(choose(&pool, 1, Strategy::LeastBusy, 0, 0.0), Some(1));
    }

    #[test]
    fn accounts_without_slots_share_too() {
        let boundless = |jobs| Candidate {
            slots: u32::MAX,
            ..busy(jobs)
        };
        let pool = [boundless(2), boundless(1)];
        assert_eq!(choose(&pool, 1, Strategy::LeastBusy, 0, 0.0), Some(1));
    }

    #[test]
    fn turns_go_round_those_with_room() {
        let full = busy(13);
        let pool = [busy(0), full, busy(0)];
        let turns: Vec<_> = (0..4)
            .map(|turn| choose(&pool, 1, Strategy::RoundRobin, turn, 0.0))
            .collect();
        assert_eq!(turns, [Some(0), Some(2), Some(0), Some(2)]);
        assert_eq!(choose(&[full], 1, Strategy::RoundRobin, 0, 0.0), None);
    }

    #[test]
    fn shares_follow_the_weights() {
        let pool = [ONE, Candidate { weight: 3, ..ONE }];
        let second = (0..100)
            .filter(|n| choose(&pool, 1, Strategy::Weighted, 0, f64::from(*n) / 100.0) == Some(1))
            .count();
        assert_eq!(second, 75);
        assert_eq!(choose(&pool, 1, Strategy::Weighted, 0, 1.0), Some(1));
    }

    #[test]
    fn rank_counts_until_the_first_is_full_or_closed() {
        let second = Candidate { priority: 1, ..ONE };
        assert_eq!(choose(&[second, ONE], 1, Strategy::Priority, 0, 0.0), Some(1));
        let closed = Candidate { open: false, ..ONE };
        assert_eq!(choose(&[second, closed], 1, Strategy::Priority, 0, 0.0), Some(0));
        // With nobody open, jobs wait at one that has room.
        assert_eq!(choose(&[closed], 1, Strategy::Priority, 0, 0.0), Some(0));
    }
}
