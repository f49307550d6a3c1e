//! Where subscriptions and deliveries are kept.

use std::{fmt, time::Duration};

use async_trait::async_trait;

use super::{
    record::Delivery,
    settle::{Attempted, Settled},
    subscription::{DisabledReason, EventFilter, Subscription},
};
use crate::{
    clock::Timestamp,
    id::{DeliveryId, JobId, SubscriptionId},
    job::{Changes, Owner, Position, StoreError},
    page::{Cursor, Page},
};

/// How many messages are on their way to one receiver at most: a dead one holds no more connections than this.
pub const SOCKETS_EACH: usize = 4;

/// What to change about a subscription.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SubscriptionChange {
    /// Where messages go from now on, also those that wait.
    pub url: Option<String>,
    /// About which events.
    pub events: Option<EventFilter>,
    /// Whether it gets anything.
    pub enabled: Option<bool>,
    /// Whether its secret is changed for a new one.
    pub rotate: bool,
}

impl SubscriptionChange {
    /// Makes the change. Returns whether it disabled the subscription; what waits for it is dead then.
    pub fn apply(&self, subscription: &mut Subscription, now: Timestamp) -> bool {
        if let Some(url) = &self.url {
            subscription.url.clone_from(url);
        }
        if let Some(events) = &self.events {
            subscription.events = events.clone();
        }
        if self.rotate {
            subscription.generation = subscription.generation.saturating_add(1);
            subscription.rotated = now;
        }
        match self.enabled {
            Some(true) => subscription.enable(),
            Some(false) => return subscription.disable(DisabledReason::ByHand, now),
            None => {}
        }
        false
    }
}

/// A sender's wish for work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "a moment and two limits")]
pub struct DeliveryClaim {
    /// Deliveries due at or before this moment that nobody else is sending.
    pub now: Timestamp,
    /// How long the sender has before others may send them.
    pub lease: Duration,
    /// At most this many.
    pub limit: usize,
}

/// A delivery to send.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "what a sender needs to know")]
pub struct ClaimedDelivery {
    /// The delivery.
    pub delivery: Delivery,
    /// Its subscription, where it has one.
    pub subscription: Option<Subscription>,
    /// Which claim of it: a try under an older one is not recorded.
    pub epoch: u64,
}

/// Which deliveries to list, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeliveryQuery {
    /// Only this owner's.
    pub owner: Option<Owner>,
    /// Only those to this subscription.
    pub subscription: Option<SubscriptionId>,
    /// Only those about this job.
    pub job: Option<JobId>,
    /// Only those in the [state of this name](super::DeliveryState::name).
    pub state: Option<&'static str>,
    /// Where to go on.
    pub after: Option<Cursor>,
    /// At most this many, clamped to 1..=[`Page::<Delivery>::MAX`].
    pub limit: usize,
}

/// Where subscriptions and deliveries are kept.
///
/// Implementations are held to one suite, [`testing::delivery_store`](crate::testing) (feature `testing`). All methods
/// are atomic and durable, as those of [`JobStore`](crate::job::JobStore) are.
///
/// **Cancel safety**, all methods: dropping the future leaves the operation done or not done, never half done.
#[async_trait]
pub trait DeliveryStore: fmt::Debug + Send + Sync + 'static {
    /// Adds a subscription. Ids are new each time.
    async fn put_subscription(&self, subscription: &Subscription) -> Result<(), StoreError>;

    /// The subscription, or `None`.
    async fn subscription(&self, id: SubscriptionId) -> Result<Option<Subscription>, StoreError>;

    /// All subscriptions, oldest first.
    async fn subscriptions(&self) -> Result<Vec<Subscription>, StoreError>;

    /// Makes a change, as [`SubscriptionChange::apply`] has it, and returns the subscription after it; `None` where
    /// there is none. Where that disables it, what waits for it is dead.
    async fn change_subscription(
        &self,
        id: SubscriptionId,
        change: &SubscriptionChange,
        now: Timestamp,
    ) -> Result<Option<Subscription>, StoreError>;

    /// Removes a subscription and its deliveries. Returns whether it was there.
    async fn remove_subscription(&self, id: SubscriptionId) -> Result<bool, StoreError>;

    /// The last event whose deliveries are all there.
    async fn relayed(&self) -> Result<Position, StoreError>;

    /// Adds the deliveries of the events after `from` up to `to`, in one transaction with that place.
    ///
    /// **Contract:** `false`, and nothing is added, where the place is not `from` any more: another process was faster.
    async fn relay(
        &self,
        from: Position,
        to: Position,
        deliveries: Vec<Delivery>,
    ) -> Result<bool, StoreError>;

    /// Adds a delivery of its own.
    async fn put_delivery(&self, delivery: &Delivery) -> Result<(), StoreError>;

    /// Hands out deliveries that are due, the longest due first, each to one sender only, and to one
    /// [receiver](super::Receiver::lane) no more than [`SOCKETS_EACH`] that were not [recorded](Self::record) and whose lease
    /// has not run out. Those of a subscription that [pauses](Subscription::paused_until) wait. What lies more than
    /// [`LONGEST_WAIT`](crate::job::LONGEST_WAIT) ahead counts as come: a clock that was wrong put it there.
    async fn claim_deliveries(&self, claim: DeliveryClaim) -> Result<Vec<ClaimedDelivery>, StoreError>;

    /// When the next delivery wants to be sent: when it is due, its lease has run out, and its subscription's pause is
    /// over, if it has one at `now`.
    async fn next_delivery(&self, now: Timestamp) -> Result<Option<Timestamp>, StoreError>;

    /// Records a try, as [`settle`](super::settle) has it. `None`, and nothing is changed, where it was claimed anew in
    /// the meantime or is gone. Where the try disables the subscription, what else waits for it is dead.
    async fn record(&self, attempted: &Attempted) -> Result<Option<Settled>, StoreError>;

    /// The delivery, or `None`.
    async fn delivery(&self, id: DeliveryId) -> Result<Option<Delivery>, StoreError>;

    /// Deliveries by descending id.
    async fn deliveries(&self, query: &DeliveryQuery) -> Result<Page<Delivery>, StoreError>;

    /// Has deliveries sent again, [from the start](Delivery::replay): this one, whatever became of it. `None` where
    /// there is none.
    async fn replay(&self, id: DeliveryId, now: Timestamp) -> Result<Option<Delivery>, StoreError>;

    /// The same for all dead ones of a subscription that were made at or after `since`. Returns how many.
    async fn replay_dead(
        &self,
        id: SubscriptionId,
        since: Timestamp,
        now: Timestamp,
    ) -> Result<u64, StoreError>;

    /// Removes up to `limit` deliveries that were made before `before` and are not waiting. Returns how many.
    async fn forget_deliveries(&self, before: Timestamp, limit: usize) -> Result<u64, StoreError>;

    /// A signal that rises after every change that this store can know of.
    fn delivery_changes(&self) -> Changes;
}
