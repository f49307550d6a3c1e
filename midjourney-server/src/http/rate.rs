//! How many requests one sender may make.

use std::{
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    middleware::NoOpMiddleware,
    state::keyed::HashMapStateStore,
};

/// After how many requests the senders are forgotten whose share is whole again. What is kept of a sender takes some 40
/// bytes.
const SWEEP: u32 = 1 << 16;

/// Counts requests by sender. Each has its share at once, and gets it back evenly over a minute.
#[derive(Debug)]
pub(super) struct Rates<C: Clock = DefaultClock> {
    limiter: RateLimiter<IpAddr, HashMapStateStore<IpAddr>, C, NoOpMiddleware<C::Instant>>,
    taken: AtomicU32,
}

impl<C: Clock> Rates<C> {
    pub(super) fn per_minute(most: NonZeroU32, clock: C) -> Self {
        Self {
            limiter: RateLimiter::new(Quota::per_minute(most), HashMapStateStore::default(), clock),
            taken: AtomicU32::new(0),
        }
    }

    /// Counts a request of `sender`.
    ///
    /// **Errors:** how long to wait where it is one too many.
    pub(super) fn take(&self, sender: Option<IpAddr>) -> Result<(), Duration> {
        if self.taken.fetch_add(1, Ordering::Relaxed) % SWEEP == SWEEP - 1 {
            self.limiter.retain_recent();
            self.limiter.shrink_to_fit();
        }
        let taken = self.limiter.check_key(&network(sender));
        taken.map_err(|over| over.wait_time_from(self.limiter.clock().now()))
    }
}

/// Whom an address stands for. Somebody who has an IPv6 address has the 64 bits below it, too.
fn network(sender: Option<IpAddr>) -> IpAddr {
    match sender {
        Some(IpAddr::V6(address)) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        Some(address) => address,
        None => Ipv6Addr::UNSPECIFIED.into(),
    }
}

#[cfg(test)]
mod tests {
    use std::{net::Ipv4Addr, sync::Arc};

    use governor::clock::FakeRelativeClock;

    use super::*;

    fn rates(most: u32) -> (Rates<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        let most = NonZeroU32::new(most).unwrap();
        (Rates::per_minute(most, clock.clone()), clock)
    }

    fn from(rates: &Rates<FakeRelativeClock>, sender: &str) -> Result<(), Duration> {
        rates.take(Some(sender.parse().unwrap()))
    }

    #[test]
    fn thirty_two_clients_of_one_sender_share_its_limit_and_no_other_is_touched() {
        let (rates, clock) = rates(600);
        let rates = Arc::new(rates);
        let clients: Vec<_> = (0..32)
            .map(|_| {
                let rates = Arc::clone(&rates);
                std::thread::spawn(move || (0..100).filter(|_| from(&rates, "192.0.2.1").is_ok()).count())
            })
            .collect();
        let allowed: usize = clients.into_iter().map(|client| client.join().unwrap()).sum();
        assert_eq!(allowed, 600);
        assert!(from(&rates, "192.0.2.2").is_ok());
        // Ten come back each second.
        let wait = from(&rates, "192.0.2.1").unwrap_err();
        assert_eq!(wait, Duration::from_millis(100));
        clock.advance(Duration::from_secs(6));
        let allowed = (0..100).filter(|_| from(&rates, "192.0.2.1").is_ok()).count();
        assert_eq!(allowed, 60);
    }

    #[test]
    fn a_network_of_ipv6_is_one_sender() {
        let (rates, _) = rates(1);
        assert!(from(&rates, "2001:db8:0:1::1").is_ok());
        assert!(from(&rates, "2001:db8:0:1:ffff::2").is_err());
        assert!(from(&rates, "2001:db8:0:2::1").is_ok());
    }

    #[test]
    fn a_million_senders_are_forgotten_once_their_share_is_whole() {
        let (rates, clock) = rates(600);
        for number in 0..1_000_000 {
            assert!(rates.take(Some(Ipv4Addr::from_bits(number).into())).is_ok());
            if number % 1_000 == 0 {
                clock.advance(Duration::from_millis(10));
            }
        }
        let kept = u32::try_from(rates.limiter.len()).unwrap();
        assert!(kept <= 2 * SWEEP, "{kept}");
    }
}
