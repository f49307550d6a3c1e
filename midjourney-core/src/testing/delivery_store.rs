//! What a [`DeliveryStore`] must do, case by case. Run by [`delivery_store_suite!`](crate::delivery_store_suite).

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;

use super::{
    Case,
    given::{at, job_id},
};
use crate::{
    clock::Timestamp,
    delivery::{
        Attempted, ClaimedDelivery, DeadReason, Delivery, DeliveryClaim, DeliveryQuery, DeliveryState,
        DeliveryStore, DisabledReason, EventFilter, Outcome, Receiver, SOCKETS_EACH, Subscription,
        SubscriptionChange,
    },
    id::{DeliveryId, SubscriptionId},
    job::{EventKind, Owner, Position},
};

/// All cases.
pub const CASES: &[Case<Arc<dyn DeliveryStore>>] =
    crate::__delivery_store_cases! { table Arc<dyn DeliveryStore> };

#[doc(hidden)]
#[macro_export]
macro_rules! __delivery_store_cases {
    ($($mode:tt)+) => {
        $crate::__suite! { $($mode)+;
            subscriptions_are_found_again_as_they_were,
            subscriptions_are_listed_oldest_first,
            a_change_changes_what_it_names,
            a_change_of_nothing_is_none,
            removing_a_subscription_takes_its_deliveries_along,
            deliveries_are_found_again_as_they_were,
            relay_adds_deliveries_and_moves_on,
            relay_from_another_place_adds_nothing,
            relays_at_once_add_once,
            claim_hands_out_what_is_due_longest_due_first,
            claim_keeps_to_its_limit,
            claims_at_once_hand_out_each_once,
            claim_gives_one_receiver_a_few_at_a_time,
            claim_tells_receivers_apart,
            claim_leaves_leased_ones_alone_until_their_lease_runs_out,
            claim_leaves_a_receiver_alone_that_pauses,
            what_a_wrong_clock_put_far_ahead_counts_as_come,
            next_delivery_is_when_the_next_can_be_claimed,
            record_keeps_what_follows,
            record_under_an_older_claim_changes_nothing,
            record_of_what_is_gone_is_none,
            success_ends_a_series_of_failures,
            what_disables_a_subscription_gives_up_what_waits,
            disabling_by_hand_gives_up_what_waits,
            deliveries_are_listed_newest_first_in_pages,
            deliveries_are_listed_by_what_is_asked,
            replay_starts_over,
            replay_while_it_is_sent_takes_it_over,
            replay_of_the_dead_is_of_one_subscription_and_since_a_time,
            forget_removes_what_is_old_and_over,
            every_change_is_told,
        }
    };
}

const LEASE: i64 = 10_000;

fn numbered(number: u64) -> [u8; 16] {
    ((0x019a_b3c0_d100_7000 << 64) | u128::from(number)).to_be_bytes()
}

fn subscription_id(number: u64) -> SubscriptionId {
    SubscriptionId::from_bytes(numbered(number))
}

fn delivery_id(number: u64) -> DeliveryId {
    DeliveryId::from_bytes(numbered(number))
}

fn subscription(number: u64) -> Subscription {
    let url = format!("https://receiver-{number}.example/hook?token=1");
    Subscription::new(
        subscription_id(number),
        Owner::local(),
        url,
        Position::new(number),
        at(0),
    )
}

/// Due at once, to subscription `to`.
fn delivery(number: u64, to: u64) -> Delivery {
    let to = Receiver::Subscription(subscription_id(to));
    let body = format!("{{\"number\":{number}}}");
    Delivery::new(
        delivery_id(number),
        Owner::local(),
        to,
        "job.completed",
        body,
        at(0),
    )
}

fn to_address(number: u64, url: &str) -> Delivery {
    let mut delivery = delivery(number, 0);
    delivery.receiver = Receiver::Address(url.to_owned());
    delivery
}

async fn put(store: &dyn DeliveryStore, deliveries: impl IntoIterator<Item = Delivery>) {
    for delivery in deliveries {
        store.put_delivery(&delivery).await.unwrap();
    }
}

const fn claim_at(now: Timestamp) -> DeliveryClaim {
    DeliveryClaim {
        now,
        lease: Duration::from_millis(LEASE.unsigned_abs()),
        limit: 100,
    }
}

async fn claim(store: &dyn DeliveryStore, now: Timestamp) -> Vec<ClaimedDelivery> {
    store.claim_deliveries(claim_at(now)).await.unwrap()
}

fn ids(claimed: &[ClaimedDelivery]) -> Vec<DeliveryId> {
    claimed.iter().map(|one| one.delivery.id).collect()
}

fn tried(claimed: &ClaimedDelivery, now: Timestamp, outcome: Outcome) -> Attempted {
    Attempted {
        delivery: claimed.delivery.id,
        epoch: claimed.epoch,
        at: now,
        outcome,
        chance: 0.5,
    }
}

async fn state(store: &dyn DeliveryStore, number: u64) -> DeliveryState {
    let delivery = store.delivery(delivery_id(number)).await.unwrap();
    delivery.expect("it is there").state
}

const fn dead(now: Timestamp, why: DeadReason) -> DeliveryState {
    DeliveryState::Dead { at: now, why }
}

/// Everything that a subscription has comes back.
pub async fn subscriptions_are_found_again_as_they_were(store: Arc<dyn DeliveryStore>) {
    let plain = subscription(1);
    let mut full = subscription(2).to(EventFilter::new([EventKind::Progress, EventKind::Failed]));
    full.owner = Owner::new("o'brien \u{1f98a}");
    full.disabled = Some((at(3), DisabledReason::Failing));
    full.generation = 7;
    full.rotated = at(4);
    full.failing_since = Some(at(5));
    full.paused_until = Some(at(6));
    for subscription in [plain, full] {
        store.put_subscription(&subscription).await.unwrap();
        let found = store.subscription(subscription.id).await.unwrap();
        assert_eq!(found, Some(subscription));
    }
    assert_eq!(store.subscription(subscription_id(3)).await.unwrap(), None);
}

/// All of them, by id.
pub async fn subscriptions_are_listed_oldest_first(store: Arc<dyn DeliveryStore>) {
    assert_eq!(store.subscriptions().await.unwrap(), []);
    for number in [2, 3, 1] {
        store.put_subscription(&subscription(number)).await.unwrap();
    }
    let listed = store.subscriptions().await.unwrap();
    assert_eq!(listed, [1, 2, 3].map(subscription));
}

/// And nothing else, in no other subscription.
pub async fn a_change_changes_what_it_names(store: Arc<dyn DeliveryStore>) {
    let (mut expected, other) = (subscription(1), subscription(2));
    store.put_subscription(&expected).await.unwrap();
    store.put_subscription(&other).await.unwrap();
    let change = SubscriptionChange {
        url: Some("https://elsewhere.example/".to_owned()),
        rotate: true,
        ..SubscriptionChange::default()
    };
    let second = SubscriptionChange {
        events: Some(EventFilter::new([EventKind::Created])),
        ..SubscriptionChange::default()
    };
    for (change, now) in [(change, at(5)), (second, at(6))] {
        change.apply(&mut expected, now);
        let changed = store
            .change_subscription(expected.id, &change, now)
            .await
            .unwrap();
        assert_eq!(changed.as_ref(), Some(&expected));
    }
    assert_eq!(store.subscriptions().await.unwrap(), [expected, other]);
}

/// What is not there cannot be changed or removed.
pub async fn a_change_of_nothing_is_none(store: Arc<dyn DeliveryStore>) {
    let change = SubscriptionChange::default();
    let changed = store
        .change_subscription(subscription_id(1), &change, at(0))
        .await;
    assert_eq!(changed.unwrap(), None);
    assert!(!store.remove_subscription(subscription_id(1)).await.unwrap());
}

/// Those of others stay.
pub async fn removing_a_subscription_takes_its_deliveries_along(store: Arc<dyn DeliveryStore>) {
    for number in [1, 2] {
        store.put_subscription(&subscription(number)).await.unwrap();
    }
    put(&*store, [delivery(1, 1), delivery(2, 2)]).await;
    assert!(store.remove_subscription(subscription_id(1)).await.unwrap());
    assert_eq!(store.subscriptions().await.unwrap(), [subscription(2)]);
    assert_eq!(store.delivery(delivery_id(1)).await.unwrap(), None);
    assert_eq!(
        store.delivery(delivery_id(2)).await.unwrap(),
        Some(delivery(2, 2))
    );
}

/// Everything that a delivery has comes back.
pub async fn deliveries_are_found_again_as_they_were(store: Arc<dyn DeliveryStore>) {
    store.put_subscription(&subscription(1)).await.unwrap();
    let mut full = to_address(2, "https://a.example:8443/hook/%20?q=\u{e9}").about(job_id(9));
    full.owner = Owner::new("other");
    full.attempts = 3;
    full.last = Some((
        at(7),
        Outcome::Answered {
            status: 503,
            retry_after: Some(Duration::from_secs(90)),
        },
    ));
    let mut unanswered = delivery(3, 1);
    unanswered.last = Some((at(8), Outcome::Unanswered("it's gone".to_owned())));
    unanswered.state = dead(at(8), DeadReason::Exhausted);
    let mut delivered = delivery(4, 1);
    delivered.state = DeliveryState::Delivered { at: at(9) };
    for delivery in [delivery(1, 1), full, unanswered, delivered] {
        store.put_delivery(&delivery).await.unwrap();
        assert_eq!(store.delivery(delivery.id).await.unwrap(), Some(delivery));
    }
    assert_eq!(store.delivery(delivery_id(5)).await.unwrap(), None);
}

/// Both in one step.
pub async fn relay_adds_deliveries_and_moves_on(store: Arc<dyn DeliveryStore>) {
    store.put_subscription(&subscription(1)).await.unwrap();
    let from = store.relayed().await.unwrap();
    let (middle, to) = (Position::new(from.get() + 3), Position::new(from.get() + 7));
    let two = vec![delivery(1, 1), delivery(2, 1)];
    assert!(store.relay(from, middle, two).await.unwrap());
    assert_eq!(store.relayed().await.unwrap(), middle);
    assert_eq!(
        ids(&claim(&*store, at(0)).await),
        [delivery_id(1), delivery_id(2)]
    );
    assert!(store.relay(middle, to, Vec::new()).await.unwrap());
    assert_eq!(store.relayed().await.unwrap(), to);
}

/// Another process has relayed these events.
pub async fn relay_from_another_place_adds_nothing(store: Arc<dyn DeliveryStore>) {
    store.put_subscription(&subscription(1)).await.unwrap();
    let from = store.relayed().await.unwrap();
    let next = |by: u64| Position::new(from.get() + by);
    assert!(!store.relay(next(1), next(2), vec![delivery(1, 1)]).await.unwrap());
    assert_eq!(store.relayed().await.unwrap(), from);
    assert_eq!(store.delivery(delivery_id(1)).await.unwrap(), None);
}

/// Of those from one place one wins.
pub async fn relays_at_once_add_once(store: Arc<dyn DeliveryStore>) {
    store.put_subscription(&subscription(1)).await.unwrap();
    let from = store.relayed().await.unwrap();
    let to = Position::new(from.get() + 1);
    let relays = (1..=8).map(|number| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.relay(from, to, vec![delivery(number, 1)]).await.unwrap() })
    });
    let done: Vec<_> = join_all(relays).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(done.iter().filter(|done| **done).count(), 1);
    let listed = store.deliveries(&DeliveryQuery::default()).await.unwrap();
    assert_eq!(listed.items.len(), 1);
}

/// Only what is due, with its subscription.
pub async fn claim_hands_out_what_is_due_longest_due_first(store: Arc<dyn DeliveryStore>) {
    store.put_subscription(&subscription(1)).await.unwrap();
    let due = |number, to, due| {
        let mut delivery = delivery(number, to);
        delivery.state = DeliveryState::Waiting { due };
        delivery
    };
    let mut over = delivery(4, 1);
    over.state = DeliveryState::Delivered { at: at(0) };
    put(
        &*store,
        [due(1, 1, at(20)), due(2, 1, at(10)), due(3, 1, at(30)), over],
    )
    .await;
    assert_eq!(ids(&claim(&*store, at(9)).await), []);
    let claimed = claim(&*store, at(20)).await;
    assert_eq!(ids(&claimed), [delivery_id(2), delivery_id(1)]);
    assert_eq!(claimed[0].subscription, Some(subscription(1)));
    assert_eq!(claimed[0].delivery, due(2, 1, at(10)));
}

/// What is left over goes to the next claim.
pub async fn claim_keeps_to_its_limit(store: Arc<dyn DeliveryStore>) {
    let urls = (1..=6).map(|number| to_address(number, &format!("https://{number}.example/")));
    put(&*store, urls).await;
    let mut two = claim_at(at(0));
    two.limit = 2;
    assert_eq!(store.claim_deliveries(two).await.unwrap().len(), 2);
    assert_eq!(claim(&*store, at(0)).await.len(), 4);
}

/// No delivery goes to two senders.
pub async fn claims_at_once_hand_out_each_once(store: Arc<dyn DeliveryStore>) {
    let urls = (1..=40).map(|number| to_address(number, &format!("https://{number}.example/")));
    put(&*store, urls).await;
    let claims = (0..8).map(|_| {
        let store = Arc::clone(&store);
        tokio::spawn(async move { ids(&claim(&*store, at(0)).await) })
    });
    let mut all: Vec<_> = join_all(claims)
        .await
        .into_iter()
        .flat_map(Result::unwrap)
        .collect();
    all.sort_unstable();
    assert_eq!(all, (1..=40).map(delivery_id).collect::<Vec<_>>());
}

/// A dead receiver holds few connections, and keeps nobody from theirs.
pub async fn claim_gives_one_receiver_a_few_at_a_time(store: Arc<dyn DeliveryStore>) {
    for number in [1, 2] {
        store.put_subscription(&subscription(number)).await.unwrap();
    }
    put(&*store, (1..=10).map(|number| delivery(number, 1))).await;
    put(&*store, [delivery(11, 2)]).await;
    let first = claim(&*store, at(0)).await;
    let to_first = first.iter().filter(|one| one.delivery.id < delivery_id(11));
    assert_eq!((to_first.count(), first.len()), (SOCKETS_EACH, SOCKETS_EACH + 1));
    assert_eq!(ids(&claim(&*store, at(1)).await), []);
    let done = tried(&first[0], at(2), Outcome::status(200));
    store.record(&done).await.unwrap().expect("it is recorded");
    assert_eq!(claim(&*store, at(3)).await.len(), 1);
}

/// By scheme, host and port.
pub async fn claim_tells_receivers_apart(store: Arc<dyn DeliveryStore>) {
    let same = (1..=6).map(|number| to_address(number, &format!("https://a.example/{number}")));
    put(&*store, same).await;
    put(
        &*store,
        [
            to_address(7, "https://a.example:444/1"),
            to_address(8, "http://a.example/1"),
        ],
    )
    .await;
    assert_eq!(claim(&*store, at(0)).await.len(), SOCKETS_EACH + 2);
}

/// Then another sender may have them.
pub async fn claim_leaves_leased_ones_alone_until_their_lease_runs_out(store: Arc<dyn DeliveryStore>) {
    put(&*store, [to_address(1, "https://a.example/")]).await;
    let first = claim(&*store, at(0)).await;
    assert_eq!(ids(&claim(&*store, at(LEASE - 1)).await), []);
    let second = claim(&*store, at(LEASE)).await;
    assert_eq!(ids(&second), [delivery_id(1)]);
    assert!(second[0].epoch > first[0].epoch);
}

/// Until its pause is over.
pub async fn claim_leaves_a_receiver_alone_that_pauses(store: Arc<dyn DeliveryStore>) {
    let mut pausing = subscription(1);
    pausing.paused_until = Some(at(50));
    store.put_subscription(&pausing).await.unwrap();
    store.put_subscription(&subscription(2)).await.unwrap();
    put(&*store, [delivery(1, 1), delivery(2, 2)]).await;
    assert_eq!(ids(&claim(&*store, at(49)).await), [delivery_id(2)]);
    assert_eq!(ids(&claim(&*store, at(50)).await), [delivery_id(1)]);
}

/// Be it a due time, a lease or a pause.
pub async fn what_a_wrong_clock_put_far_ahead_counts_as_come(store: Arc<dyn DeliveryStore>) {
    let far = at(0).saturating_add(Duration::from_secs(10 * 365 * 86_400));
    let mut pausing = subscription(1);
    pausing.paused_until = Some(far);
    store.put_subscription(&pausing).await.unwrap();
    let mut ahead = to_address(2, "https://a.example/");
    ahead.state = DeliveryState::Waiting { due: far };
    put(&*store, [delivery(1, 1), ahead]).await;
    assert_eq!(claim(&*store, far).await.len(), 2);
    assert!(
        store
            .next_delivery(at(0))
            .await
            .unwrap()
            .is_some_and(|next| next <= at(0))
    );
    let claimed = claim(&*store, at(0)).await;
    assert_eq!(ids(&claimed).len(), 2, "leased by the wrong clock");
    assert_eq!(ids(&claim(&*store, at(1)).await), []);
}

/// A sender that sleeps until then misses nothing.
pub async fn next_delivery_is_when_the_next_can_be_claimed(store: Arc<dyn DeliveryStore>) {
    let next = async |now| store.next_delivery(now).await.unwrap();
    assert_eq!(next(at(0)).await, None);
    let mut pausing = subscription(1);
    pausing.paused_until = Some(at(50));
    store.put_subscription(&pausing).await.unwrap();
    put(&*store, [delivery(1, 1)]).await;
    assert_eq!(next(at(0)).await, Some(at(50)));
    assert!(next(at(60)).await.is_some_and(|next| next <= at(60)));
    let claimed = claim(&*store, at(60)).await;
    assert_eq!(next(at(60)).await, Some(at(60 + LEASE)));
    put(&*store, [to_address(2, "https://a.example/")]).await;
    assert_eq!(next(at(60)).await, Some(at(0)));
    let other = claim(&*store, at(60)).await;
    for done in [&claimed[0], &other[0]] {
        let done = tried(done, at(61), Outcome::status(200));
        store.record(&done).await.unwrap().expect("it is recorded");
    }
    assert_eq!(next(at(61)).await, None);
}

/// As the rules say, on the delivery and on its subscription.
pub async fn record_keeps_what_follows(store: Arc<dyn DeliveryStore>) {
    store.put_subscription(&subscription(1)).await.unwrap();
    put(&*store, [delivery(1, 1)]).await;
    let (mut expected, mut of) = (delivery(1, 1), subscription(1));
    let busy = Outcome::Answered {
        status: 503,
        retry_after: Some(Duration::from_secs(60)),
    };
    let mut now = at(0);
    for outcome in [
        busy,
        Outcome::Unanswered("no answer".to_owned()),
        Outcome::status(204),
    ] {
        let claimed = claim(&*store, now).await;
        let tried = tried(&claimed[0], now, outcome);
        assert!(!crate::delivery::settle(&mut expected, Some(&mut of), &tried));
        let settled = store.record(&tried).await.unwrap().expect("it is recorded");
        assert_eq!((&settled.delivery, settled.disabled), (&expected, None));
        assert_eq!(
            store.delivery(expected.id).await.unwrap().as_ref(),
            Some(&expected)
        );
        assert_eq!(store.subscription(of.id).await.unwrap().as_ref(), Some(&of));
        if let DeliveryState::Waiting { due } = expected.state {
            now = due;
        }
    }
    assert_eq!(expected.state, DeliveryState::Delivered { at: now });
}

/// Whoever was too slow does not speak for the delivery.
pub async fn record_under_an_older_claim_changes_nothing(store: Arc<dyn DeliveryStore>) {
    put(&*store, [to_address(1, "https://a.example/")]).await;
    let first = claim(&*store, at(0)).await;
    let second = claim(&*store, at(LEASE)).await;
    let late = tried(&first[0], at(LEASE), Outcome::status(500));
    assert_eq!(store.record(&late).await.unwrap(), None);
    let before = to_address(1, "https://a.example/");
    assert_eq!(store.delivery(before.id).await.unwrap(), Some(before));
    let done = tried(&second[0], at(LEASE), Outcome::status(200));
    store.record(&done).await.unwrap().expect("it is recorded");
    let again = tried(&second[0], at(LEASE + 1), Outcome::status(500));
    assert_eq!(store.record(&again).await.unwrap(), None);
    assert_eq!(
        state(&*store, 1).await,
        DeliveryState::Delivered { at: at(LEASE) }
    );
}

/// It does not come back.
pub async fn record_of_what_is_gone_is_none(store: Arc<dyn DeliveryStore>) {
    store.put_subscription(&subscription(1)).await.unwrap();
    put(&*store, [delivery(1, 1)]).await;
    let claimed = claim(&*store, at(0)).await;
    assert!(store.remove_subscription(subscription_id(1)).await.unwrap());
    let tried = tried(&claimed[0], at(0), Outcome::status(200));
    assert_eq!(store.record(&tried).await.unwrap(), None);
    assert_eq!(store.delivery(delivery_id(1)).await.unwrap(), None);
}

/// A failure does not begin a new one.
pub async fn success_ends_a_series_of_failures(store: Arc<dyn DeliveryStore>) {
    let mut failing = subscription(1);
    failing.failing_since = Some(at(-1_000));
    failing.paused_until = Some(at(-500));
    store.put_subscription(&failing).await.unwrap();
    put(&*store, [delivery(1, 1), delivery(2, 1)]).await;
    let claimed = claim(&*store, at(0)).await;
    let failed = tried(&claimed[0], at(0), Outcome::status(500));
    store.record(&failed).await.unwrap().expect("it is recorded");
    let found = store.subscription(failing.id).await.unwrap();
    assert_eq!(found.as_ref(), Some(&failing), "it fails since then");
    let arrived = tried(&claimed[1], at(1), Outcome::status(200));
    store.record(&arrived).await.unwrap().expect("it is recorded");
    assert_eq!(
        store.subscription(failing.id).await.unwrap(),
        Some(subscription(1))
    );
}

/// In the same step; what arrived stays so.
pub async fn what_disables_a_subscription_gives_up_what_waits(store: Arc<dyn DeliveryStore>) {
    for number in [1, 2] {
        store.put_subscription(&subscription(number)).await.unwrap();
    }
    let mut delivered = delivery(3, 1);
    delivered.state = DeliveryState::Delivered { at: at(0) };
    put(
        &*store,
        [delivery(1, 1), delivery(2, 1), delivered, delivery(4, 2)],
    )
    .await;
    let claimed = claim(&*store, at(0)).await;
    let gone = tried(&claimed[0], at(5), Outcome::status(410));
    let settled = store.record(&gone).await.unwrap().expect("it is recorded");
    let disabled = settled.disabled.expect("it is disabled");
    assert_eq!(disabled.disabled, Some((at(5), DisabledReason::Gone)));
    assert_eq!(store.subscription(disabled.id).await.unwrap(), Some(disabled));
    assert_eq!(settled.delivery.state, dead(at(5), DeadReason::Gone));
    assert_eq!(state(&*store, 1).await, dead(at(5), DeadReason::Gone));
    assert_eq!(state(&*store, 2).await, dead(at(5), DeadReason::Disabled));
    assert_eq!(state(&*store, 3).await, DeliveryState::Delivered { at: at(0) });
    assert_eq!(state(&*store, 4).await, DeliveryState::Waiting { due: at(0) });
    let late = tried(&claimed[1], at(6), Outcome::status(500));
    assert_eq!(store.record(&late).await.unwrap(), None);
    assert_eq!(claim(&*store, at(10 * LEASE)).await.len(), 1);
}

/// In the same step.
pub async fn disabling_by_hand_gives_up_what_waits(store: Arc<dyn DeliveryStore>) {
    store.put_subscription(&subscription(1)).await.unwrap();
    put(&*store, [delivery(1, 1)]).await;
    let off = SubscriptionChange {
        enabled: Some(false),
        ..SubscriptionChange::default()
    };
    let changed = store.change_subscription(subscription_id(1), &off, at(3)).await;
    let disabled = changed.unwrap().expect("it is there").disabled;
    assert_eq!(disabled, Some((at(3), DisabledReason::ByHand)));
    assert_eq!(state(&*store, 1).await, dead(at(3), DeadReason::Disabled));
    assert_eq!(store.next_delivery(at(3)).await.unwrap(), None);
}

/// Each once.
pub async fn deliveries_are_listed_newest_first_in_pages(store: Arc<dyn DeliveryStore>) {
    put(
        &*store,
        [3, 1, 5, 2, 4].map(|number| to_address(number, "https://a.example/")),
    )
    .await;
    let mut query = DeliveryQuery {
        limit: 2,
        ..DeliveryQuery::default()
    };
    let mut seen = Vec::new();
    loop {
        let page = store.deliveries(&query).await.unwrap();
        assert!(page.items.len() <= 2);
        seen.extend(page.items.iter().map(|one| one.id));
        let Some(next) = page.next else { break };
        query.after = Some(next);
    }
    assert_eq!(seen, [5, 4, 3, 2, 1].map(delivery_id));
}

/// By owner, subscription, job and state, together too.
pub async fn deliveries_are_listed_by_what_is_asked(store: Arc<dyn DeliveryStore>) {
    for number in [1, 2] {
        store.put_subscription(&subscription(number)).await.unwrap();
    }
    let mut other = delivery(3, 1).about(job_id(7));
    other.owner = Owner::new("other");
    let mut arrived = delivery(4, 1).about(job_id(8));
    arrived.state = DeliveryState::Delivered { at: at(0) };
    let mut given_up = to_address(5, "https://a.example/").about(job_id(7));
    given_up.state = dead(at(0), DeadReason::Exhausted);
    put(
        &*store,
        [delivery(1, 1), delivery(2, 2), other, arrived, given_up],
    )
    .await;
    let query = |change: &dyn Fn(&mut DeliveryQuery)| {
        let mut query = DeliveryQuery {
            limit: 10,
            ..DeliveryQuery::default()
        };
        change(&mut query);
        query
    };
    for (query, expected) in [
        (query(&|_| {}), vec![5, 4, 3, 2, 1]),
        (query(&|q| q.owner = Some(Owner::local())), vec![5, 4, 2, 1]),
        (
            query(&|q| q.subscription = Some(subscription_id(1))),
            vec![4, 3, 1],
        ),
        (query(&|q| q.job = Some(job_id(7))), vec![5, 3]),
        (query(&|q| q.state = Some("waiting")), vec![3, 2, 1]),
        (query(&|q| q.state = Some("delivered")), vec![4]),
        (query(&|q| q.state = Some("dead")), vec![5]),
        (
            query(&|q| {
                q.subscription = Some(subscription_id(1));
                q.state = Some("waiting");
                q.owner = Some(Owner::new("other"));
            }),
            vec![3],
        ),
    ] {
        let page = store.deliveries(&query).await.unwrap();
        let listed: Vec<_> = page.items.iter().map(|one| one.id).collect();
        let expected: Vec<_> = expected.into_iter().map(delivery_id).collect();
        assert_eq!(listed, expected, "{query:?}");
    }
}

/// With all its tries.
pub async fn replay_starts_over(store: Arc<dyn DeliveryStore>) {
    let mut given_up = to_address(1, "https://a.example/");
    given_up.attempts = 8;
    given_up.last = Some((at(1), Outcome::status(500)));
    given_up.state = dead(at(1), DeadReason::Exhausted);
    put(&*store, [given_up.clone()]).await;
    let mut expected = given_up;
    expected.replay(at(2));
    let replayed = store.replay(expected.id, at(2)).await.unwrap();
    assert_eq!(replayed.as_ref(), Some(&expected));
    assert_eq!(store.delivery(expected.id).await.unwrap(), Some(expected));
    assert_eq!(ids(&claim(&*store, at(2)).await), [delivery_id(1)]);
    assert_eq!(store.replay(delivery_id(2), at(2)).await.unwrap(), None);
}

/// The answer to the old try does not settle the new start.
pub async fn replay_while_it_is_sent_takes_it_over(store: Arc<dyn DeliveryStore>) {
    put(&*store, [to_address(1, "https://a.example/")]).await;
    let sent = claim(&*store, at(0)).await;
    store
        .replay(delivery_id(1), at(1))
        .await
        .unwrap()
        .expect("it is there");
    let late = tried(&sent[0], at(2), Outcome::status(500));
    assert_eq!(store.record(&late).await.unwrap(), None);
    assert_eq!(ids(&claim(&*store, at(2)).await), [delivery_id(1)]);
}

/// What arrived is not sent again.
pub async fn replay_of_the_dead_is_of_one_subscription_and_since_a_time(store: Arc<dyn DeliveryStore>) {
    for number in [1, 2] {
        store.put_subscription(&subscription(number)).await.unwrap();
    }
    let given_up = |number, to, created| {
        let mut delivery = delivery(number, to);
        delivery.created = at(created);
        delivery.state = dead(at(100), DeadReason::Disabled);
        delivery
    };
    let mut arrived = delivery(5, 1);
    arrived.created = at(30);
    arrived.state = DeliveryState::Delivered { at: at(40) };
    put(
        &*store,
        [
            given_up(1, 1, 10),
            given_up(2, 1, 20),
            given_up(3, 1, 30),
            given_up(4, 2, 30),
            arrived,
        ],
    )
    .await;
    let replayed = store.replay_dead(subscription_id(1), at(20), at(200)).await;
    assert_eq!(replayed.unwrap(), 2);
    assert_eq!(
        ids(&claim(&*store, at(200)).await),
        [delivery_id(2), delivery_id(3)]
    );
}

/// A few at a time; what waits stays.
pub async fn forget_removes_what_is_old_and_over(store: Arc<dyn DeliveryStore>) {
    let made = |number, created, state| {
        let mut delivery = to_address(number, "https://a.example/");
        delivery.created = at(created);
        delivery.state = state;
        delivery
    };
    let over = DeliveryState::Delivered { at: at(50) };
    put(
        &*store,
        [
            made(1, 10, over),
            made(2, 20, dead(at(50), DeadReason::Exhausted)),
            made(3, 20, DeliveryState::Waiting { due: at(60) }),
            made(4, 30, over),
            made(5, 40, over),
        ],
    )
    .await;
    assert_eq!(store.forget_deliveries(at(40), 2).await.unwrap(), 2);
    assert_eq!(store.forget_deliveries(at(40), 2).await.unwrap(), 1);
    let left = store.deliveries(&DeliveryQuery::default()).await.unwrap();
    let newest = left.items.first().map(|one| one.id);
    assert_eq!(newest, Some(delivery_id(5)));
    assert_eq!(state(&*store, 3).await, DeliveryState::Waiting { due: at(60) });
    assert_eq!(store.delivery(delivery_id(4)).await.unwrap(), None);
}

/// Senders sleep until then.
pub async fn every_change_is_told(store: Arc<dyn DeliveryStore>) {
    let mut changes = store.delivery_changes();
    changes.mark_unchanged();
    store.put_subscription(&subscription(1)).await.unwrap();
    tokio::time::timeout(super::given::DEADLINE, changes.changed())
        .await
        .expect("a new subscription is told")
        .unwrap();
    changes.mark_unchanged();
    store.put_delivery(&delivery(1, 1)).await.unwrap();
    tokio::time::timeout(super::given::DEADLINE, changes.changed())
        .await
        .expect("a new delivery is told")
        .unwrap();
}
