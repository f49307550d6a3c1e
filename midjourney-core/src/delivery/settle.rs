//! What follows from a try to deliver: the rules of webhooks, without any effect.

use std::time::Duration;

use super::{
    record::{DeadReason, Delivery, DeliveryState, Outcome},
    subscription::{DisabledReason, Subscription},
};
use crate::{clock::Timestamp, id::DeliveryId};

/// The waits before each try, the first after the event, each other after the try before it; each a fifth longer or
/// shorter, so that receivers that came back are not met by all at once.
pub const SCHEDULE: [Duration; 8] = [
    Duration::ZERO,
    Duration::from_secs(5),
    Duration::from_secs(5 * 60),
    Duration::from_secs(30 * 60),
    Duration::from_secs(2 * 3_600),
    Duration::from_secs(5 * 3_600),
    Duration::from_secs(10 * 3_600),
    Duration::from_secs(10 * 3_600),
];

/// The longest pause that a receiver may ask for.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(24 * 3_600);

/// How long nothing may arrive at a subscription before it is disabled.
pub const DISABLED_AFTER: Duration = Duration::from_secs(120 * 3_600);

/// A try that was made.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "the facts of one try")]
pub struct Attempted {
    /// What was sent.
    pub delivery: DeliveryId,
    /// The claim under which it was.
    pub epoch: u64,
    /// When it was over.
    pub at: Timestamp,
    /// What came of it.
    pub outcome: Outcome,
    /// From 0 to 1, by chance: how much of the wait's fifth is added.
    pub chance: f64,
}

/// What a try led to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settled {
    /// The delivery after it.
    pub delivery: Delivery,
    /// Its subscription, where this try disabled it.
    pub disabled: Option<Subscription>,
}

impl Settled {
    /// A try that led to this.
    pub const fn new(delivery: Delivery, disabled: Option<Subscription>) -> Self {
        Self { delivery, disabled }
    }
}

/// Where a try takes a delivery and its subscription. Returns whether it disabled the subscription; whatever waits for
/// it is dead then.
pub fn settle(
    delivery: &mut Delivery,
    subscription: Option<&mut Subscription>,
    attempted: &Attempted,
) -> bool {
    let Attempted {
        at, outcome, chance, ..
    } = attempted;
    let at = *at;
    delivery.attempts = delivery.attempts.saturating_add(1);
    delivery.last = Some((at, outcome.clone()));
    let (gone, pause) = match outcome {
        Outcome::Answered { status, retry_after } => (
            *status == 410,
            retry_after
                .map(|pause| pause.min(LONGEST_PAUSE))
                .filter(|_| !outcome.arrived()),
        ),
        Outcome::Unanswered(_) => (false, None),
    };
    let pause = pause.map(|pause| at.saturating_add(pause));
    let next = usize::try_from(delivery.attempts)
        .ok()
        .and_then(|n| SCHEDULE.get(n));
    delivery.state = match next {
        _ if outcome.arrived() => DeliveryState::Delivered { at },
        _ if gone => DeliveryState::Dead {
            at,
            why: DeadReason::Gone,
        },
        None => DeliveryState::Dead {
            at,
            why: DeadReason::Exhausted,
        },
        Some(wait) => {
            let due = at.saturating_add(wait.mul_f64(0.8 + 0.4 * chance.clamp(0.0, 1.0)));
            DeliveryState::Waiting {
                due: pause.map_or(due, |pause| pause.max(due)),
            }
        }
    };
    let Some(subscription) = subscription else {
        return false;
    };
    if outcome.arrived() {
        subscription.failing_since = None;
        subscription.paused_until = None;
        return false;
    }
    let since = *subscription.failing_since.get_or_insert(at);
    subscription.paused_until = subscription.paused_until.max(pause);
    let why = if gone {
        DisabledReason::Gone
    } else if at.saturating_since(since) >= DISABLED_AFTER {
        DisabledReason::Failing
    } else {
        return false;
    };
    let disables = subscription.disable(why, at);
    if let (true, DeliveryState::Waiting { .. }) = (disables, delivery.state) {
        let why = DeadReason::Disabled;
        delivery.state = DeliveryState::Dead { at, why };
    }
    disables
}

#[cfg(test)]
mod tests;
