use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use midjourney_core::{
    clock::Timestamp,
    delivery::{
        Attempted, ClaimedDelivery, Delivery, DeliveryClaim, DeliveryQuery, DeliveryState, DeliveryStore,
        EventFilter, Outcome, Receiver, Settled, Subscription, SubscriptionChange,
    },
    id::{DeliveryId, SubscriptionId},
    job::{Changes, Position, StoreError},
    memory::MemoryDeliveryStore,
    page::Page,
    testing::delivery_store::CASES,
};
use tokio::sync::watch;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    AnyRelayCounts,
    ChangesNothing,
    ClaimsBackwards,
    ClaimsOnTimeOnly,
    ClaimsTwice,
    DisablesAndGoesOn,
    EveryReceiverIsAnother,
    EveryReceiverIsTheSame,
    FindsWhatIsNotThere,
    ForgetsBodies,
    ForgetsEvents,
    ForgetsFailures,
    ForgetsNothing,
    ForgetsPauses,
    IgnoresLimits,
    KeepsDeliveries,
    LeasesForLong,
    ListsBackwards,
    ListsEveryState,
    NewestSubscriptionFirst,
    NextIgnoresPauses,
    OldClaimsCount,
    RecordsSuccess,
    RelaysInPlace,
    ReplaysNothing,
    ReplaysTheOldToo,
    SettlesWhatIsGone,
    Silent,
}

/// The reference with one thing wrong.
#[derive(Debug)]
struct Broken {
    fault: Fault,
    inner: MemoryDeliveryStore,
    quiet: watch::Sender<u64>,
}

impl Broken {
    fn has(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    async fn of(&self, id: SubscriptionId) -> Result<Vec<Delivery>, StoreError> {
        let mut query = DeliveryQuery::default();
        query.limit = 200;
        query.subscription = Some(id);
        Ok(self.inner.deliveries(&query).await?.items)
    }
}

#[async_trait]
impl DeliveryStore for Broken {
    async fn put_subscription(&self, subscription: &Subscription) -> Result<(), StoreError> {
        let mut subscription = subscription.clone();
        match self.fault {
            Fault::ForgetsEvents => subscription.events = EventFilter::default(),
            Fault::ForgetsFailures => subscription.failing_since = None,
            Fault::ForgetsPauses => subscription.paused_until = None,
            _ => {}
        }
        self.inner.put_subscription(&subscription).await
    }

    async fn subscription(&self, id: SubscriptionId) -> Result<Option<Subscription>, StoreError> {
        self.inner.subscription(id).await
    }

    async fn subscriptions(&self) -> Result<Vec<Subscription>, StoreError> {
        let mut all = self.inner.subscriptions().await?;
        if self.has(Fault::NewestSubscriptionFirst) {
            all.reverse();
        }
        Ok(all)
    }

    async fn change_subscription(
        &self,
        id: SubscriptionId,
        change: &SubscriptionChange,
        now: Timestamp,
    ) -> Result<Option<Subscription>, StoreError> {
        if self.has(Fault::ChangesNothing) {
            return self.inner.subscription(id).await;
        }
        let changed = self.inner.change_subscription(id, change, now).await;
        if self.has(Fault::DisablesAndGoesOn) {
            for delivery in self.of(id).await? {
                self.inner.replay(delivery.id, now).await?;
            }
        }
        changed
    }

    async fn remove_subscription(&self, id: SubscriptionId) -> Result<bool, StoreError> {
        let deliveries = self.of(id).await?;
        let removed = self.inner.remove_subscription(id).await?;
        if self.has(Fault::KeepsDeliveries) {
            for delivery in &deliveries {
                self.inner.put_delivery(delivery).await?;
            }
        }
        Ok(removed || self.has(Fault::FindsWhatIsNotThere))
    }

    async fn relayed(&self) -> Result<Position, StoreError> {
        self.inner.relayed().await
    }

    async fn relay(
        &self,
        from: Position,
        to: Position,
        deliveries: Vec<Delivery>,
    ) -> Result<bool, StoreError> {
        let from = if self.has(Fault::AnyRelayCounts) {
            self.inner.relayed().await?
        } else {
            from
        };
        let to = if self.has(Fault::RelaysInPlace) { from } else { to };
        self.inner.relay(from, to, deliveries).await
    }

    async fn put_delivery(&self, delivery: &Delivery) -> Result<(), StoreError> {
        let mut delivery = delivery.clone();
        match self.fault {
            Fault::ForgetsBodies => delivery.body.clear(),
            Fault::EveryReceiverIsAnother => {
                delivery.receiver = Receiver::Address(format!("https://{}.example/", delivery.id));
            }
            Fault::EveryReceiverIsTheSame => {
                delivery.receiver = Receiver::Address("https://same.example/".to_owned());
            }
            _ => {}
        }
        self.inner.put_delivery(&delivery).await
    }

    async fn claim_deliveries(&self, mut claim: DeliveryClaim) -> Result<Vec<ClaimedDelivery>, StoreError> {
        match self.fault {
            Fault::IgnoresLimits => claim.limit = 1_000,
            Fault::ClaimsTwice => claim.lease = Duration::ZERO,
            Fault::LeasesForLong => claim.lease = Duration::from_secs(3_600),
            _ => {}
        }
        let mut claimed = self.inner.claim_deliveries(claim).await?;
        match self.fault {
            Fault::ClaimsBackwards => claimed.reverse(),
            Fault::ClaimsOnTimeOnly => claimed.retain(|one| match one.delivery.state {
                DeliveryState::Waiting { due } => due <= claim.now,
                _ => false,
            }),
            _ => {}
        }
        Ok(claimed)
    }

    async fn next_delivery(&self, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        let now = if self.has(Fault::NextIgnoresPauses) {
            now.saturating_add(Duration::from_secs(3_600))
        } else {
            now
        };
        self.inner.next_delivery(now).await
    }

    async fn record(&self, attempted: &Attempted) -> Result<Option<Settled>, StoreError> {
        let mut attempted = attempted.clone();
        if self.has(Fault::RecordsSuccess) {
            attempted.outcome = Outcome::status(200);
        }
        let tries = if self.has(Fault::OldClaimsCount) { 9 } else { 0 };
        for later in 0..=tries {
            let mut attempted = attempted.clone();
            attempted.epoch += later;
            if let Some(settled) = self.inner.record(&attempted).await? {
                return Ok(Some(settled));
            }
        }
        if self.has(Fault::SettlesWhatIsGone) {
            let (owner, to) = (
                midjourney_core::job::Owner::local(),
                Receiver::Address(String::new()),
            );
            let gone = Delivery::new(attempted.delivery, owner, to, "", "", attempted.at);
            return Ok(Some(Settled::new(gone, None)));
        }
        Ok(None)
    }

    async fn delivery(&self, id: DeliveryId) -> Result<Option<Delivery>, StoreError> {
        self.inner.delivery(id).await
    }

    async fn deliveries(&self, query: &DeliveryQuery) -> Result<Page<Delivery>, StoreError> {
        let mut query = query.clone();
        if self.has(Fault::ListsEveryState) {
            query.state = None;
        }
        let mut page = self.inner.deliveries(&query).await?;
        if self.has(Fault::ListsBackwards) {
            page.items.reverse();
        }
        Ok(page)
    }

    async fn replay(&self, id: DeliveryId, now: Timestamp) -> Result<Option<Delivery>, StoreError> {
        if self.has(Fault::ReplaysNothing) {
            return self.inner.delivery(id).await;
        }
        self.inner.replay(id, now).await
    }

    async fn replay_dead(
        &self,
        id: SubscriptionId,
        since: Timestamp,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let since = if self.has(Fault::ReplaysTheOldToo) {
            Timestamp::default()
        } else {
            since
        };
        self.inner.replay_dead(id, since, now).await
    }

    async fn forget_deliveries(&self, before: Timestamp, limit: usize) -> Result<u64, StoreError> {
        if self.has(Fault::ForgetsNothing) {
            return Ok(0);
        }
        self.inner.forget_deliveries(before, limit).await
    }

    fn delivery_changes(&self) -> Changes {
        if self.has(Fault::Silent) {
            return self.quiet.subscribe();
        }
        self.inner.delivery_changes()
    }
}

fn reference() -> Arc<dyn DeliveryStore> {
    Arc::new(MemoryDeliveryStore::new())
}

fn broken(fault: Fault) -> Arc<dyn DeliveryStore> {
    Arc::new(Broken {
        fault,
        inner: MemoryDeliveryStore::new(),
        quiet: watch::Sender::new(0),
    })
}

super::bites! {
    delivery_store, reference, broken;
    a_relay_from_anywhere: AnyRelayCounts => [relay_from_another_place_adds_nothing, relays_at_once_add_once],
    changes_without_effect: ChangesNothing => [a_change_changes_what_it_names],
    claims_backwards: ClaimsBackwards => [claim_hands_out_what_is_due_longest_due_first],
    claims_on_time_only: ClaimsOnTimeOnly => [what_a_wrong_clock_put_far_ahead_counts_as_come],
    claims_twice: ClaimsTwice => [claims_at_once_hand_out_each_once],
    disabled_and_sent_on: DisablesAndGoesOn => [disabling_by_hand_gives_up_what_waits],
    receivers_apart: EveryReceiverIsAnother => [claim_gives_one_receiver_a_few_at_a_time],
    receivers_as_one: EveryReceiverIsTheSame => [claim_tells_receivers_apart],
    removed_what_was_not_there: FindsWhatIsNotThere => [a_change_of_nothing_is_none],
    forgotten_bodies: ForgetsBodies => [deliveries_are_found_again_as_they_were],
    forgotten_events: ForgetsEvents => [subscriptions_are_found_again_as_they_were],
    forgotten_failures: ForgetsFailures => [success_ends_a_series_of_failures],
    kept_for_ever: ForgetsNothing => [forget_removes_what_is_old_and_over],
    forgotten_pauses: ForgetsPauses => [claim_leaves_a_receiver_alone_that_pauses],
    no_limits: IgnoresLimits => [claim_keeps_to_its_limit],
    orphans: KeepsDeliveries => [removing_a_subscription_takes_its_deliveries_along],
    long_leases: LeasesForLong => [claim_leaves_leased_ones_alone_until_their_lease_runs_out],
    listed_backwards: ListsBackwards => [deliveries_are_listed_newest_first_in_pages],
    listed_whatever_was_asked: ListsEveryState => [deliveries_are_listed_by_what_is_asked],
    newest_subscription_first: NewestSubscriptionFirst => [subscriptions_are_listed_oldest_first],
    next_without_pauses: NextIgnoresPauses => [next_delivery_is_when_the_next_can_be_claimed],
    old_claims_that_count: OldClaimsCount => [record_under_an_older_claim_changes_nothing],
    success_only: RecordsSuccess => [record_keeps_what_follows, what_disables_a_subscription_gives_up_what_waits],
    a_relay_that_stands_still: RelaysInPlace => [relay_adds_deliveries_and_moves_on],
    replays_without_effect: ReplaysNothing => [replay_starts_over, replay_while_it_is_sent_takes_it_over],
    replays_of_the_old: ReplaysTheOldToo => [replay_of_the_dead_is_of_one_subscription_and_since_a_time],
    settled_though_gone: SettlesWhatIsGone => [record_of_what_is_gone_is_none],
    silence: Silent => [every_change_is_told],
}

#[test]
fn every_case_bites() {
    super::assert_all_bite(CASES, CAUGHT_BY, &[]);
}
