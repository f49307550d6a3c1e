//! [`DeliveryStore`] in the database of the jobs: what a change tells and where the relay is are in one transaction.

use async_trait::async_trait;
use midjourney_core::{
    clock::Timestamp,
    delivery::{
        Attempted, ClaimedDelivery, Delivery, DeliveryClaim, DeliveryQuery, DeliveryStore, Settled,
        Subscription, SubscriptionChange,
    },
    error::{Applied, Chain, Retry},
    id::{DeliveryId, SubscriptionId},
    job::{Changes, Position, StoreError},
    page::Page,
};

use super::{
    Db, PostgresJobStore, classify,
    deliveries::{
        self, ChangeSubscription, ClaimDeliveries, Forget, PutDelivery, PutSubscription, RawClaimed, Record,
        Relay, RemoveSubscription, Replay, ReplayDead,
    },
    error::is_lost,
    failed, within,
};
use crate::rows::{
    clamped, decoded,
    deliveries::{RawDelivery, RawSubscription},
};

#[async_trait]
impl DeliveryStore for PostgresJobStore {
    async fn put_subscription(&self, subscription: &Subscription) -> Result<(), StoreError> {
        self.writer.run(PutSubscription::new(subscription)?).await
    }

    async fn subscription(&self, id: SubscriptionId) -> Result<Option<Subscription>, StoreError> {
        let row = read!(
            self.link,
            "reading a subscription",
            |db| deliveries::subscription(db, id)
        )?;
        row.map(RawSubscription::decode).transpose()
    }

    async fn subscriptions(&self) -> Result<Vec<Subscription>, StoreError> {
        let rows = read!(
            self.link,
            "listing subscriptions",
            |db| deliveries::subscriptions(db)
        )?;
        decoded(rows, RawSubscription::decode)
    }

    async fn change_subscription(
        &self,
        id: SubscriptionId,
        change: &SubscriptionChange,
        now: Timestamp,
    ) -> Result<Option<Subscription>, StoreError> {
        let change = change.clone();
        self.writer.run(ChangeSubscription { id, change, now }).await
    }

    async fn remove_subscription(&self, id: SubscriptionId) -> Result<bool, StoreError> {
        self.writer.run(RemoveSubscription(id)).await
    }

    async fn relayed(&self) -> Result<Position, StoreError> {
        let position = read!(self.link, "reading what was relayed", |db| deliveries::relayed(
            db
        ))?;
        Ok(Position::new(u64::try_from(position).unwrap_or_default()))
    }

    async fn relay(
        &self,
        from: Position,
        to: Position,
        deliveries: Vec<Delivery>,
    ) -> Result<bool, StoreError> {
        let relay = Relay { from, to, deliveries };
        self.writer.run(relay).await
    }

    async fn put_delivery(&self, delivery: &Delivery) -> Result<(), StoreError> {
        self.writer.run(PutDelivery(delivery.clone())).await
    }

    async fn claim_deliveries(&self, claim: DeliveryClaim) -> Result<Vec<ClaimedDelivery>, StoreError> {
        let rows = self.writer.run(ClaimDeliveries(claim)).await?;
        let decode = |row: RawClaimed| {
            Ok::<_, StoreError>(ClaimedDelivery {
                delivery: row.delivery.decode()?,
                subscription: row.subscription.map(RawSubscription::decode).transpose()?,
                epoch: row.epoch,
            })
        };
        let mut claimed = Vec::with_capacity(rows.len());
        for row in rows {
            match decode(row) {
                Ok(delivery) => claimed.push(delivery),
                // It comes up again when its lease has run out, and so does this line.
                Err(error) => {
                    tracing::error!(error = %Chain(&error), "a delivery that is due cannot be read");
                }
            }
        }
        Ok(claimed)
    }

    async fn next_delivery(&self, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        let next = read!(self.link, "reading when the next delivery is due", |db| {
            deliveries::next(db, now)
        })?;
        Ok(next.map(Timestamp::from_millis))
    }

    async fn record(&self, attempted: &Attempted) -> Result<Option<Settled>, StoreError> {
        self.writer.run(Record(attempted.clone())).await
    }

    async fn delivery(&self, id: DeliveryId) -> Result<Option<Delivery>, StoreError> {
        let row = read!(self.link, "reading a delivery", |db| deliveries::delivery(db, id))?;
        row.map(RawDelivery::decode).transpose()
    }

    async fn deliveries(&self, query: &DeliveryQuery) -> Result<Page<Delivery>, StoreError> {
        let limit = clamped(query.limit);
        let query = query.clone();
        let rows = read!(self.link, "listing deliveries", |db| deliveries::list(
            db,
            &query,
            limit.saturating_add(1)
        ))?;
        let deliveries = decoded(rows, RawDelivery::decode)?;
        Ok(Page::from_probe(deliveries, limit, |one: &Delivery| {
            *one.id.as_bytes()
        }))
    }

    async fn replay(&self, id: DeliveryId, now: Timestamp) -> Result<Option<Delivery>, StoreError> {
        self.writer.run(Replay { id, now }).await
    }

    async fn replay_dead(
        &self,
        id: SubscriptionId,
        since: Timestamp,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        self.writer.run(ReplayDead { id, since, now }).await
    }

    async fn forget_deliveries(&self, before: Timestamp, limit: usize) -> Result<u64, StoreError> {
        self.writer.run(Forget { before, limit }).await
    }

    fn delivery_changes(&self) -> Changes {
        self.changes.subscribe()
    }
}
