use super::*;
use crate::{
    clock::OsEntropy,
    delivery::Receiver,
    id::SubscriptionId,
    job::{Owner, Position},
};

const START: Timestamp = Timestamp::from_millis(1_795_341_600_000);
const HOUR: Duration = Duration::from_secs(3_600);

fn delivery() -> Delivery {
    let id = DeliveryId::new(START, &OsEntropy);
    let to = Receiver::Address("https://a.example/".to_owned());
    Delivery::new(id, Owner::local(), to, "job.completed", "{}", START)
}

fn subscription() -> Subscription {
    let id = SubscriptionId::new(START, &OsEntropy);
    Subscription::new(id, Owner::local(), "https://a.example/", Position::START, START)
}

fn attempted(delivery: &Delivery, at: Timestamp, outcome: Outcome, chance: f64) -> Attempted {
    Attempted {
        delivery: delivery.id,
        epoch: 1,
        at,
        outcome,
        chance,
    }
}

fn due(delivery: &Delivery) -> Option<Timestamp> {
    match delivery.state {
        DeliveryState::Waiting { due } => Some(due),
        _ => None,
    }
}

/// Sends at the time that the rules give, until they give none; returns the waits.
fn waits(outcome: &Outcome, chance: f64) -> (Vec<Duration>, Delivery) {
    let (mut delivery, mut now, mut waits) = (delivery(), START, Vec::new());
    while let Some(next) = due(&delivery) {
        waits.push(next.saturating_since(now));
        now = next;
        let attempted = attempted(&delivery, now, outcome.clone(), chance);
        assert!(!settle(&mut delivery, None, &attempted));
    }
    (waits, delivery)
}

#[test]
fn a_receiver_that_fails_is_tried_by_the_schedule_and_then_given_up() {
    for outcome in [
        Outcome::status(500),
        Outcome::status(301),
        Outcome::status(404),
        Outcome::Unanswered("no connection could be made".to_owned()),
    ] {
        for (chance, share) in [(0.0, 0.8), (0.5, 1.0), (1.0, 1.2)] {
            let (waits, delivery) = waits(&outcome, chance);
            assert_eq!(waits, SCHEDULE.map(|wait| wait.mul_f64(share)));
            assert!(
                matches!(
                    delivery.state,
                    DeliveryState::Dead {
                        why: DeadReason::Exhausted,
                        ..
                    }
                ),
                "{delivery:?}"
            );
            assert_eq!(
                (delivery.attempts, delivery.last.map(|(_, last)| last)),
                (8, Some(outcome.clone()))
            );
        }
    }
}

#[test]
fn only_a_2xx_says_that_it_arrived() {
    for status in 100..600 {
        let mut delivery = delivery();
        let outcome = Outcome::status(status);
        let attempted = attempted(&delivery, START, outcome, 0.5);
        settle(&mut delivery, None, &attempted);
        let delivered = delivery.state == DeliveryState::Delivered { at: START };
        assert_eq!(delivered, (200..300).contains(&status), "{status}");
    }
}

#[test]
fn a_receiver_is_left_alone_for_as_long_as_it_asks_up_to_a_day() {
    for (asked, held) in [
        (0, 5),
        (3, 5),
        (60, 60),
        (86_400, 86_400),
        (1_000_000_000, 86_400),
    ] {
        let (mut delivery, mut of) = (delivery(), subscription());
        let outcome = Outcome::Answered {
            status: 429,
            retry_after: Some(Duration::from_secs(asked)),
        };
        let tried = attempted(&delivery, START, outcome, 0.5);
        settle(&mut delivery, Some(&mut of), &tried);
        let until = START.saturating_add(Duration::from_secs(held));
        assert_eq!(due(&delivery), Some(until), "{asked}");
        let asked = Duration::from_secs(asked).min(LONGEST_PAUSE);
        assert_eq!(of.paused_until, Some(START.saturating_add(asked)));
    }
}

#[test]
fn a_receiver_that_is_gone_is_told_nothing_more() {
    let (mut delivery, mut of) = (delivery(), subscription());
    let gone = attempted(&delivery, START, Outcome::status(410), 0.5);
    assert!(settle(&mut delivery, Some(&mut of), &gone));
    assert_eq!(of.disabled, Some((START, DisabledReason::Gone)));
    let why = DeadReason::Gone;
    assert_eq!(delivery.state, DeliveryState::Dead { at: START, why });
}

/// Whoever answers now and then is not gone.
#[test]
fn only_unbroken_failure_disables_a_subscription_and_once() {
    let fails = |of: &mut Subscription, at: Timestamp| {
        let mut delivery = delivery();
        let attempted = attempted(&delivery, at, Outcome::status(500), 0.5);
        settle(&mut delivery, Some(of), &attempted)
    };
    let hours = |n: u32| START.saturating_add(HOUR * n);
    let mut sporadic = subscription();
    for hour in 0..1_000 {
        if hour % 120 == 119 {
            let mut delivery = delivery();
            let arrived = attempted(&delivery, hours(hour), Outcome::status(204), 0.5);
            assert!(!settle(&mut delivery, Some(&mut sporadic), &arrived));
        } else {
            assert!(!fails(&mut sporadic, hours(hour)), "hour {hour}");
        }
    }
    let mut steady = subscription();
    let notices: Vec<_> = (0..=121)
        .filter(|hour| fails(&mut steady, hours(*hour)))
        .collect();
    assert_eq!(notices, [120]);
    assert_eq!(steady.disabled, Some((hours(120), DisabledReason::Failing)));
    steady.enable();
    assert!(!fails(&mut steady, hours(122)), "it starts over");
}
