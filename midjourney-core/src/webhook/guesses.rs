//! A limit for those who guess addresses: a table of a fixed size, so that no number of guessers fills the memory.

use std::{
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use crate::clock::Timestamp;

/// How many wrong addresses a caller may try within [`WINDOW`].
const ALLOWED: u32 = 60;

/// How long guesses are counted from the first of them, and how long a caller is refused at most.
pub(crate) const WINDOW: Duration = Duration::from_secs(60);

/// How many places there are for callers whose addresses fall together.
const WAYS: usize = 4;

/// How many groups of such places there are.
const GROUPS: usize = 1_024;

/// What one caller did.
#[derive(Clone, Copy, Debug)]
struct Tried {
    who: u128,
    since: Timestamp,
    count: u32,
}

/// Counts wrong addresses by caller.
pub(crate) struct Guesses(Mutex<Vec<[Option<Tried>; WAYS]>>);

impl std::fmt::Debug for Guesses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guesses").finish_non_exhaustive()
    }
}

impl Default for Guesses {
    fn default() -> Self {
        Self(Mutex::new(vec![[None; WAYS]; GROUPS]))
    }
}

impl Guesses {
    /// Notes a wrong address tried by `from`; whether it is one too many.
    ///
    /// Where callers fall together, the one that tried least is forgotten: whoever is refused stays so.
    pub(crate) fn is_one_too_many(&self, from: Option<IpAddr>, now: Timestamp) -> bool {
        let who = caller(from);
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(group) = table.get_mut(group(who)) else {
            return false;
        };
        let live = |tried: &Tried| now.saturating_since(tried.since) < WINDOW && tried.since <= now;
        for place in group.iter_mut() {
            *place = place.filter(live);
        }
        if let Some(known) = group.iter_mut().flatten().find(|tried| tried.who == who) {
            known.count = known.count.saturating_add(1);
            return known.count > ALLOWED;
        }
        let least = group
            .iter_mut()
            .min_by_key(|place| place.map_or(0, |tried| tried.count));
        if let Some(least) = least {
            *least = Some(Tried {
                who,
                since: now,
                count: 1,
            });
        }
        false
    }
}

/// Whom an address stands for. Somebody who has an IPv6 address has the 64 bits below it, too.
fn caller(from: Option<IpAddr>) -> u128 {
    match from.map(|from| from.to_canonical()) {
        Some(IpAddr::V4(address)) => address.to_ipv6_mapped().to_bits(),
        Some(IpAddr::V6(address)) => address.to_bits() & !u128::from(u64::MAX),
        None => Ipv6Addr::UNSPECIFIED.to_bits(),
    }
}

/// The place of a caller. Neighbours do not fall together.
fn group(who: u128) -> usize {
    let [high, low] = [who >> 64, who].map(|half| u64::try_from(half & u128::from(u64::MAX)).unwrap_or(0));
    let mixed = (high ^ low.rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    usize::try_from(mixed >> 54).unwrap_or(0) % GROUPS
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_millis(1_795_000_000_000);

    fn address(number: u32) -> IpAddr {
        std::net::Ipv4Addr::from_bits(number).into()
    }

    /// How many of `tries` at `now` were not one too many.
    fn allowed(guesses: &Guesses, from: Option<IpAddr>, now: Timestamp, tries: u32) -> u32 {
        (0..tries).fold(0, |sum, _| sum + u32::from(!guesses.is_one_too_many(from, now)))
    }

    #[test]
    fn a_caller_has_sixty_tries_in_a_minute() {
        let guesses = Guesses::default();
        let one = Some(address(0x0a00_0001));
        assert_eq!(allowed(&guesses, one, START, 100), 60);
        let almost = START.saturating_add(WINDOW.saturating_sub(Duration::from_millis(1)));
        assert_eq!(allowed(&guesses, one, almost, 10), 0);
        assert_eq!(allowed(&guesses, Some(address(0x0a00_0002)), almost, 100), 60);
        assert_eq!(allowed(&guesses, None, almost, 100), 60);
        assert_eq!(allowed(&guesses, one, START.saturating_add(WINDOW), 100), 60);
        // A clock that was set back must not refuse anybody for long.
        assert_eq!(allowed(&guesses, one, Timestamp::from_millis(0), 100), 60);
    }

    #[test]
    fn a_network_of_ipv6_is_one_caller_and_a_mapped_address_is_itself() {
        let guesses = Guesses::default();
        let ip = |text: &str| Some(text.parse().unwrap());
        assert_eq!(allowed(&guesses, ip("2001:db8:0:1::1"), START, 60), 60);
        assert_eq!(allowed(&guesses, ip("2001:db8:0:1:ffff::2"), START, 10), 0);
        assert_eq!(allowed(&guesses, ip("2001:db8:0:2::1"), START, 100), 60);
        assert_eq!(allowed(&guesses, ip("192.0.2.1"), START, 60), 60);
        assert_eq!(allowed(&guesses, ip("::ffff:192.0.2.1"), START, 10), 0);
    }

    /// However many callers there are, the table keeps its size, and whoever was refused stays refused.
    #[test]
    fn a_crowd_frees_nobody() {
        let guesses = Guesses::default();
        let busy = Some(address(0xc000_0201));
        assert_eq!(allowed(&guesses, busy, START, 61), 60);
        for number in 0..200_000 {
            assert!(!guesses.is_one_too_many(Some(address(number)), START));
        }
        assert!(guesses.is_one_too_many(busy, START));
        assert_eq!(guesses.0.lock().unwrap().len(), GROUPS);
    }
}
