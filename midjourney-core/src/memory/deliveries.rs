use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    ops::Bound,
    sync::Mutex,
};

use async_trait::async_trait;
use tokio::sync::watch;

use super::lock;
use crate::{
    clock::Timestamp,
    delivery::{
        Attempted, ClaimedDelivery, DeadReason, Delivery, DeliveryClaim, DeliveryQuery, DeliveryState,
        DeliveryStore, SOCKETS_EACH, Settled, Subscription, SubscriptionChange, settle,
    },
    id::{DeliveryId, SubscriptionId},
    job::{Changes, Position, StoreError, is_due, wakes_at},
    page::Page,
};

/// A [`DeliveryStore`] in memory.
pub struct MemoryDeliveryStore {
    tables: Mutex<Tables>,
    changes: watch::Sender<u64>,
}

#[derive(Default)]
struct Tables {
    subscriptions: BTreeMap<SubscriptionId, Subscription>,
    deliveries: BTreeMap<DeliveryId, Row>,
    relayed: Position,
}

struct Row {
    delivery: Delivery,
    epoch: u64,
    leased_until: Option<Timestamp>,
}

impl Row {
    const fn new(delivery: Delivery) -> Self {
        Self {
            delivery,
            epoch: 0,
            leased_until: None,
        }
    }

    /// When somebody may send it.
    fn wake(&self) -> Option<Timestamp> {
        match self.delivery.state {
            DeliveryState::Waiting { due } => Some(wakes_at(due, self.leased_until)),
            _ => None,
        }
    }
}

impl Tables {
    fn waits_for(&self, delivery: &Delivery, now: Timestamp) -> Option<Timestamp> {
        let subscription = self.subscriptions.get(&delivery.receiver.subscription()?)?;
        subscription.paused_until.filter(|until| !is_due(*until, now))
    }

    fn give_up(&mut self, id: SubscriptionId, at: Timestamp) {
        for row in self.deliveries.values_mut() {
            let waits = matches!(row.delivery.state, DeliveryState::Waiting { .. });
            if waits && row.delivery.receiver.subscription() == Some(id) {
                row.delivery.state = DeliveryState::Dead {
                    at,
                    why: DeadReason::Disabled,
                };
                row.leased_until = None;
            }
        }
    }
}

impl MemoryDeliveryStore {
    /// An empty store, whose relay begins with the first event.
    pub fn new() -> Self {
        Self {
            tables: Mutex::default(),
            changes: watch::Sender::new(0),
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut Tables) -> T) -> T {
        let done = change(&mut lock(&self.tables));
        self.changes.send_modify(|count| *count = count.saturating_add(1));
        done
    }
}

impl Default for MemoryDeliveryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryDeliveryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryDeliveryStore").finish_non_exhaustive()
    }
}

#[async_trait]
impl DeliveryStore for MemoryDeliveryStore {
    async fn put_subscription(&self, subscription: &Subscription) -> Result<(), StoreError> {
        self.change(|tables| tables.subscriptions.insert(subscription.id, subscription.clone()));
        Ok(())
    }

    async fn subscription(&self, id: SubscriptionId) -> Result<Option<Subscription>, StoreError> {
        Ok(lock(&self.tables).subscriptions.get(&id).cloned())
    }

    async fn subscriptions(&self) -> Result<Vec<Subscription>, StoreError> {
        Ok(lock(&self.tables).subscriptions.values().cloned().collect())
    }

    async fn change_subscription(
        &self,
        id: SubscriptionId,
        change: &SubscriptionChange,
        now: Timestamp,
    ) -> Result<Option<Subscription>, StoreError> {
        Ok(self.change(|tables| {
            let subscription = tables.subscriptions.get_mut(&id)?;
            let disabled = change.apply(subscription, now);
            let changed = subscription.clone();
            if disabled {
                tables.give_up(id, now);
            }
            Some(changed)
        }))
    }

    async fn remove_subscription(&self, id: SubscriptionId) -> Result<bool, StoreError> {
        Ok(self.change(|tables| {
            let others = |row: &Row| row.delivery.receiver.subscription() != Some(id);
            tables.deliveries.retain(|_, row| others(row));
            tables.subscriptions.remove(&id).is_some()
        }))
    }

    async fn relayed(&self) -> Result<Position, StoreError> {
        Ok(lock(&self.tables).relayed)
    }

    async fn relay(
        &self,
        from: Position,
        to: Position,
        deliveries: Vec<Delivery>,
    ) -> Result<bool, StoreError> {
        Ok(self.change(|tables| {
            let ours = tables.relayed == from;
            if ours {
                tables.relayed = to;
                let rows = deliveries.into_iter().map(|one| (one.id, Row::new(one)));
                tables.deliveries.extend(rows);
            }
            ours
        }))
    }

    async fn put_delivery(&self, delivery: &Delivery) -> Result<(), StoreError> {
        self.change(|tables| tables.deliveries.insert(delivery.id, Row::new(delivery.clone())));
        Ok(())
    }

    async fn claim_deliveries(&self, claim: DeliveryClaim) -> Result<Vec<ClaimedDelivery>, StoreError> {
        Ok(self.change(|tables| {
            let now = claim.now;
            let mut busy: HashMap<String, usize> = HashMap::new();
            for row in tables.deliveries.values() {
                if row.leased_until.is_some_and(|until| !is_due(until, now)) {
                    *busy.entry(row.delivery.receiver.lane()).or_default() += 1;
                }
            }
            let due = |row: &Row| row.wake().filter(|wake| is_due(*wake, now));
            let mut waiting: Vec<_> = tables
                .deliveries
                .values()
                .filter(|row| tables.waits_for(&row.delivery, now).is_none())
                .filter_map(|row| Some((due(row)?, row.delivery.id)))
                .collect();
            waiting.sort_unstable();
            let mut claimed = Vec::new();
            for (_, id) in waiting {
                let Some(row) = tables.deliveries.get_mut(&id) else {
                    continue;
                };
                let lane = busy.entry(row.delivery.receiver.lane()).or_default();
                if *lane >= SOCKETS_EACH || claimed.len() >= claim.limit {
                    continue;
                }
                *lane += 1;
                row.epoch += 1;
                row.leased_until = Some(now.saturating_add(claim.lease));
                let subscription = row.delivery.receiver.subscription();
                claimed.push(ClaimedDelivery {
                    delivery: row.delivery.clone(),
                    subscription: subscription.and_then(|id| tables.subscriptions.get(&id).cloned()),
                    epoch: row.epoch,
                });
            }
            claimed
        }))
    }

    async fn next_delivery(&self, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        let tables = lock(&self.tables);
        let wakes = tables.deliveries.values().filter_map(|row| {
            let wake = row
                .wake()
                .map(|wake| if is_due(wake, now) { now.min(wake) } else { wake })?;
            Some(wake.max(tables.waits_for(&row.delivery, now).unwrap_or(wake)))
        });
        Ok(wakes.min())
    }

    async fn record(&self, attempted: &Attempted) -> Result<Option<Settled>, StoreError> {
        Ok(self.change(|tables| {
            let row = tables.deliveries.get_mut(&attempted.delivery)?;
            let waits = matches!(row.delivery.state, DeliveryState::Waiting { .. });
            if row.epoch != attempted.epoch || !waits {
                return None;
            }
            row.leased_until = None;
            let id = row.delivery.receiver.subscription();
            let mut subscription = id.and_then(|id| tables.subscriptions.get_mut(&id));
            let ends = settle(&mut row.delivery, subscription.as_deref_mut(), attempted);
            let disabled = subscription.filter(|_| ends).cloned();
            let delivery = row.delivery.clone();
            if let Some(disabled) = &disabled {
                tables.give_up(disabled.id, attempted.at);
            }
            Some(Settled::new(delivery, disabled))
        }))
    }

    async fn delivery(&self, id: DeliveryId) -> Result<Option<Delivery>, StoreError> {
        let tables = lock(&self.tables);
        Ok(tables.deliveries.get(&id).map(|row| row.delivery.clone()))
    }

    async fn deliveries(&self, query: &DeliveryQuery) -> Result<Page<Delivery>, StoreError> {
        let limit = query.limit.clamp(1, Page::<Delivery>::MAX);
        let before = query.after.map_or(Bound::Unbounded, |cursor| {
            Bound::Excluded(DeliveryId::from_bytes(cursor.key()))
        });
        let fits = |one: &&Delivery| {
            query.owner.as_ref().is_none_or(|owner| one.owner == *owner)
                && query.job.is_none_or(|job| one.job == Some(job))
                && query.state.is_none_or(|state| one.state.name() == state)
                && query
                    .subscription
                    .is_none_or(|id| one.receiver.subscription() == Some(id))
        };
        let tables = lock(&self.tables);
        let older = tables.deliveries.range((Bound::Unbounded, before)).rev();
        let rows = older.map(|(_, row)| &row.delivery).filter(fits);
        let rows = rows.take(limit.saturating_add(1)).cloned().collect();
        Ok(Page::from_probe(rows, limit, |one: &Delivery| *one.id.as_bytes()))
    }

    async fn replay(&self, id: DeliveryId, now: Timestamp) -> Result<Option<Delivery>, StoreError> {
        Ok(self.change(|tables| {
            let row = tables.deliveries.get_mut(&id)?;
            row.delivery.replay(now);
            // Whoever is sending it now does not speak for the new start.
            row.epoch += 1;
            row.leased_until = None;
            Some(row.delivery.clone())
        }))
    }

    async fn replay_dead(
        &self,
        id: SubscriptionId,
        since: Timestamp,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        Ok(self.change(|tables| {
            let mut replayed = 0_u64;
            for row in tables.deliveries.values_mut() {
                let given_up = matches!(row.delivery.state, DeliveryState::Dead { .. });
                let wanted =
                    row.delivery.receiver.subscription() == Some(id) && row.delivery.created >= since;
                if given_up && wanted {
                    row.delivery.replay(now);
                    replayed += 1;
                }
            }
            replayed
        }))
    }

    async fn forget_deliveries(&self, before: Timestamp, limit: usize) -> Result<u64, StoreError> {
        Ok(self.change(|tables| {
            let old = |row: &&Row| {
                let waits = matches!(row.delivery.state, DeliveryState::Waiting { .. });
                !waits && row.delivery.created < before
            };
            let old: Vec<_> = tables
                .deliveries
                .values()
                .filter(old)
                .map(|row| row.delivery.id)
                .take(limit)
                .collect();
            for id in &old {
                tables.deliveries.remove(id);
            }
            u64::try_from(old.len()).unwrap_or(u64::MAX)
        }))
    }

    fn delivery_changes(&self) -> Changes {
        self.changes.subscribe()
    }
}
