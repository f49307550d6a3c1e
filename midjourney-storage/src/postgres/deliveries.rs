//! Subscriptions and what is on its way to them.

use std::{collections::HashMap, fmt::Write as _};

use midjourney_core::{
    clock::Timestamp,
    delivery::{
        Attempted, DeadReason, Delivery, DeliveryClaim, DeliveryQuery, DeliveryState, Receiver, SOCKETS_EACH,
        Settled, Subscription, SubscriptionChange, settle,
    },
    error::{Applied, Retry},
    id::{DeliveryId, JobId, SubscriptionId},
    job::{LONGEST_WAIT, Position, StoreError},
};
use tokio_postgres::Error;

use super::{
    db::{Db, Two, numbers},
    error::failed,
    queries::before,
    writer::{Command, Refusal, Tx},
};
use crate::rows::{
    Value, count,
    deliveries::{DELIVERY, RawDelivery, RawSubscription, SUBSCRIPTION, changing, moving},
    int, stored,
};

fn events_of(subscription: &Subscription, operation: &'static str) -> Result<String, StoreError> {
    let json = stored::write(&subscription.events);
    json.map_err(|error| failed(operation, Applied::No, Retry::Never, error))
}

pub(super) async fn subscription(db: Db<'_>, id: SubscriptionId) -> Result<Option<RawSubscription>, Error> {
    let sql = format!("SELECT {SUBSCRIPTION} FROM subscriptions WHERE id = $1");
    db.row(&sql, &[id.as_bytes().into()]).await
}

pub(super) async fn subscriptions(db: Db<'_>) -> Result<Vec<RawSubscription>, Error> {
    let sql = format!("SELECT {SUBSCRIPTION} FROM subscriptions ORDER BY id");
    db.rows(&sql, &[]).await
}

pub(super) async fn delivery(db: Db<'_>, id: DeliveryId) -> Result<Option<RawDelivery>, Error> {
    let sql = format!("SELECT {DELIVERY} FROM deliveries WHERE id = $1");
    db.row(&sql, &[id.as_bytes().into()]).await
}

pub(super) async fn list(db: Db<'_>, query: &DeliveryQuery, limit: usize) -> Result<Vec<RawDelivery>, Error> {
    let state = query.state.map(|name| {
        DeliveryState::NAMES
            .iter()
            .position(|state| *state == name)
            .map_or(-1, count)
    });
    let asked = [
        ("subscription", query.subscription.map(|id| id.as_bytes().into())),
        ("job", query.job.map(|id| id.as_bytes().into())),
        ("owner", query.owner.as_ref().map(|owner| owner.as_str().into())),
        ("state", state.map(Value::Integer)),
    ];
    // Each condition is there or not, so that an index can be chosen by what is asked.
    let mut wanted = "id < $1".to_owned();
    let mut values = vec![before(query.after), count(limit).into()];
    for (column, value) in asked {
        if let Some(value) = value {
            values.push(value);
            write!(wanted, " AND {column} = ${}", values.len()).unwrap_or_default();
        }
    }
    let sql = format!("SELECT {DELIVERY} FROM deliveries WHERE {wanted} ORDER BY id DESC LIMIT $2");
    db.rows(&sql, &values).await
}

pub(super) async fn relayed(db: Db<'_>) -> Result<i64, Error> {
    let relayed = db
        .number(
            "SELECT number FROM tallies WHERE what = 'relayed' AND name = ''",
            &[],
        )
        .await?;
    Ok(relayed.unwrap_or(0))
}

/// The lanes in which something waits, each with the earliest time at which that can be claimed by itself.
const LANES: &str = "WITH RECURSIVE lanes (lane) AS (
        SELECT (SELECT min(lane) FROM deliveries WHERE wake_at IS NOT NULL)
        UNION ALL
        SELECT (SELECT min(lane) FROM deliveries WHERE wake_at IS NOT NULL AND lane > lanes.lane)
        FROM lanes WHERE lane IS NOT NULL)
    SELECT lane, (SELECT min(wake_at) FROM deliveries WHERE lane = lanes.lane AND wake_at IS NOT NULL)
    FROM lanes WHERE lane IS NOT NULL";

async fn lanes(db: Db<'_>) -> Result<Vec<(String, i64)>, Error> {
    let rows: Vec<Two> = db.rows(LANES, &[]).await?;
    let lane = |Two(row): Two| match row {
        [Value::Text(lane), Value::Integer(wake)] => Some((lane, wake)),
        _ => None,
    };
    Ok(rows.into_iter().filter_map(lane).collect())
}

/// What lies beyond this was put there by a clock that was wrong.
fn stray_after(now: Timestamp) -> i64 {
    now.saturating_add(LONGEST_WAIT).as_millis()
}

/// The lanes that are to be left alone at `now`, each until when.
async fn paused(db: Db<'_>, now: Timestamp) -> Result<HashMap<String, i64>, Error> {
    let rows: Vec<Two> = db
        .rows(
            "SELECT id, paused_until FROM subscriptions WHERE paused_until > $1 AND paused_until <= $2",
            &[now.as_millis().into(), stray_after(now).into()],
        )
        .await?;
    let pause = |Two(row): Two| match row {
        [Value::Blob(id), Value::Integer(until)] => {
            let id = <[u8; 16]>::try_from(id.as_slice()).ok()?;
            let lane = Receiver::Subscription(SubscriptionId::from_bytes(id)).lane();
            Some((lane, until))
        }
        _ => None,
    };
    Ok(rows.into_iter().filter_map(pause).collect())
}

pub(super) async fn next(db: Db<'_>, now: Timestamp) -> Result<Option<i64>, Error> {
    let lanes = lanes(db).await?;
    if lanes.is_empty() {
        return Ok(None);
    }
    let paused = paused(db, now).await?;
    let wake = |(lane, wake): (String, i64)| {
        let wake = if wake > stray_after(now) {
            now.as_millis()
        } else {
            wake
        };
        paused.get(&lane).map_or(wake, |until| wake.max(*until))
    };
    Ok(lanes.into_iter().map(wake).min())
}

/// [`DeliveryStore::put_subscription`](midjourney_core::delivery::DeliveryStore::put_subscription).
pub(super) struct PutSubscription {
    subscription: Subscription,
    events: String,
}

impl PutSubscription {
    pub(super) fn new(subscription: &Subscription) -> Result<Self, StoreError> {
        Ok(Self {
            events: events_of(subscription, Self::OPERATION)?,
            subscription: subscription.clone(),
        })
    }
}

impl Command for PutSubscription {
    type Output = ();
    const OPERATION: &'static str = "adding a subscription";

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), Refusal> {
        let one = &self.subscription;
        let fixed = [
            one.id.as_bytes().into(),
            one.owner.as_str().into(),
            int(one.since.get()).into(),
            one.created.as_millis().into(),
        ];
        let values: Vec<_> = fixed
            .into_iter()
            .chain(changing(one, self.events.clone()))
            .collect();
        tx.db
            .execute(
                "INSERT INTO subscriptions (id, owner, since, created_at, url, events, disabled_at, disabled_why,
                     generation, rotated_at, failing_since, paused_until)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
                &values,
            )
            .await?;
        tx.changed();
        Ok(())
    }
}

/// Writes what changed about a subscription.
async fn update(db: Db<'_>, subscription: &Subscription, operation: &'static str) -> Result<(), Refusal> {
    let values = changing(subscription, events_of(subscription, operation)?);
    let id = Value::from(subscription.id.as_bytes());
    let values: Vec<_> = values.into_iter().chain([id]).collect();
    db.execute(
        "UPDATE subscriptions SET url = $1, events = $2, disabled_at = $3, disabled_why = $4, generation = $5,
             rotated_at = $6, failing_since = $7, paused_until = $8 WHERE id = $9",
        &values,
    )
    .await?;
    Ok(())
}

/// Gives up what waits for a subscription.
async fn give_up(db: Db<'_>, id: SubscriptionId, at: Timestamp) -> Result<(), Error> {
    let lane = Receiver::Subscription(id).lane();
    let why = DeadReason::ALL
        .iter()
        .position(|why| *why == DeadReason::Disabled);
    db.execute(
        "UPDATE deliveries SET state = 2, state_at = $2, why = $3, leased_until = NULL, wake_at = NULL
         WHERE lane = $1 AND wake_at IS NOT NULL",
        &[lane.into(), at.as_millis().into(), why.map(count).into()],
    )
    .await?;
    Ok(())
}

/// [`DeliveryStore::change_subscription`](midjourney_core::delivery::DeliveryStore::change_subscription).
pub(super) struct ChangeSubscription {
    pub(super) id: SubscriptionId,
    pub(super) change: SubscriptionChange,
    pub(super) now: Timestamp,
}

impl Command for ChangeSubscription {
    type Output = Option<Subscription>;
    const OPERATION: &'static str = "changing a subscription";

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Option<Subscription>, Refusal> {
        let Some(found) = subscription(tx.db, self.id).await? else {
            return Ok(None);
        };
        let mut subscription = found.decode()?;
        let disabled = self.change.apply(&mut subscription, self.now);
        update(tx.db, &subscription, Self::OPERATION).await?;
        if disabled {
            give_up(tx.db, self.id, self.now).await?;
        }
        tx.changed();
        Ok(Some(subscription))
    }
}

/// [`DeliveryStore::remove_subscription`](midjourney_core::delivery::DeliveryStore::remove_subscription).
pub(super) struct RemoveSubscription(pub(super) SubscriptionId);

impl Command for RemoveSubscription {
    type Output = bool;
    const OPERATION: &'static str = "removing a subscription";

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, Refusal> {
        let remove = "DELETE FROM subscriptions WHERE id = $1";
        let removed = tx.db.execute(remove, &[self.0.as_bytes().into()]).await?;
        tx.changed();
        Ok(removed > 0)
    }
}

async fn put(db: Db<'_>, delivery: &Delivery) -> Result<(), Error> {
    let (subscription, address) = match &delivery.receiver {
        Receiver::Subscription(id) => (Some(id.as_bytes()), None),
        Receiver::Address(url) => (None, Some(url.as_str())),
    };
    let fixed = [
        delivery.id.as_bytes().into(),
        delivery.owner.as_str().into(),
        subscription.into(),
        delivery.receiver.lane().into(),
        delivery.job.as_ref().map(JobId::as_bytes).into(),
        delivery.kind.as_str().into(),
        delivery.created.as_millis().into(),
        address.into(),
        delivery.body.as_str().into(),
    ];
    let values: Vec<_> = fixed.into_iter().chain(moving(delivery)).collect();
    db.execute(
        "INSERT INTO deliveries (id, owner, subscription, lane, job, kind, created_at, address, body, state, state_at,
             why, attempts, last_at, last_status, last_pause, last_error, wake_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)",
        &values,
    )
    .await?;
    Ok(())
}

/// Writes where a delivery is now; nobody is sending it any more.
async fn settle_row(db: Db<'_>, delivery: &Delivery, newly_claimed: bool) -> Result<(), Error> {
    let id = Value::from(delivery.id.as_bytes());
    let values: Vec<_> = moving(delivery)
        .into_iter()
        .chain([id, newly_claimed.into()])
        .collect();
    db.execute(
        "UPDATE deliveries SET state = $1, state_at = $2, why = $3, attempts = $4, last_at = $5, last_status = $6,
             last_pause = $7, last_error = $8, wake_at = $9, leased_until = NULL, epoch = epoch + $11 WHERE id = $10",
        &values,
    )
    .await?;
    Ok(())
}

/// [`DeliveryStore::relay`](midjourney_core::delivery::DeliveryStore::relay).
pub(super) struct Relay {
    pub(super) from: Position,
    pub(super) to: Position,
    pub(super) deliveries: Vec<Delivery>,
}

impl Command for Relay {
    type Output = bool;
    const OPERATION: &'static str = "relaying events";

    fn rows(&self) -> usize {
        self.deliveries.len().saturating_add(1)
    }

    async fn run(&self, tx: &mut Tx<'_>) -> Result<bool, Refusal> {
        let moved = tx
            .db
            .execute(
                "UPDATE tallies SET number = $2 WHERE what = 'relayed' AND name = '' AND number = $1",
                &[int(self.from.get()).into(), int(self.to.get()).into()],
            )
            .await?;
        if moved == 0 {
            return Ok(false);
        }
        for delivery in &self.deliveries {
            // A subscription may have been removed since its events were read.
            let gone = match delivery.receiver.subscription() {
                Some(id) => subscription(tx.db, id).await?.is_none(),
                None => false,
            };
            if !gone {
                put(tx.db, delivery).await?;
            }
        }
        if !self.deliveries.is_empty() {
            tx.changed();
        }
        Ok(true)
    }
}

/// [`DeliveryStore::put_delivery`](midjourney_core::delivery::DeliveryStore::put_delivery).
pub(super) struct PutDelivery(pub(super) Delivery);

impl Command for PutDelivery {
    type Output = ();
    const OPERATION: &'static str = "adding a delivery";

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), Refusal> {
        put(tx.db, &self.0).await?;
        tx.changed();
        Ok(())
    }
}

/// A delivery as it was claimed.
pub(super) struct RawClaimed {
    pub(super) delivery: RawDelivery,
    pub(super) subscription: Option<RawSubscription>,
    pub(super) epoch: u64,
}

/// [`DeliveryStore::claim_deliveries`](midjourney_core::delivery::DeliveryStore::claim_deliveries).
pub(super) struct ClaimDeliveries(pub(super) DeliveryClaim);

impl ClaimDeliveries {
    /// The rows in `lane` that can be claimed, as `(wake, row)`, as many as its receiver may be sent at once.
    async fn due(&self, db: Db<'_>, lane: &str) -> Result<Vec<(i64, i64)>, Error> {
        let (now, far) = (self.0.now.as_millis(), stray_after(self.0.now));
        let busy = db
            .number(
                "SELECT count(*) FROM deliveries WHERE lane = $1 AND leased_until > $2 AND leased_until <= $3",
                &[lane.into(), now.into(), far.into()],
            )
            .await?;
        let free = count(SOCKETS_EACH).saturating_sub(busy.unwrap_or(0));
        if free <= 0 {
            return Ok(Vec::new());
        }
        let due: Vec<Two> = db
            .rows(
                // Two ends of the index: in one condition they would be sought through all that lies between.
                "(SELECT wake_at, row, id FROM deliveries WHERE lane = $1 AND wake_at <= $2
                  ORDER BY wake_at, id LIMIT $4)
                 UNION ALL
                 (SELECT wake_at, row, id FROM deliveries WHERE lane = $1 AND wake_at > $3
                  ORDER BY wake_at, id LIMIT $4)
                 ORDER BY wake_at, id LIMIT $4",
                &[lane.into(), now.into(), far.into(), free.into()],
            )
            .await?;
        let pair = |Two(row)| {
            let [wake, row] = numbers(Some(row));
            (wake, row)
        };
        Ok(due.into_iter().map(pair).collect())
    }
}

impl Command for ClaimDeliveries {
    type Output = Vec<RawClaimed>;
    const OPERATION: &'static str = "claiming deliveries";

    fn rows(&self) -> usize {
        self.0.limit
    }

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Vec<RawClaimed>, Refusal> {
        let paused = paused(tx.db, self.0.now).await?;
        let mut due = Vec::new();
        for (lane, _) in lanes(tx.db).await? {
            if !paused.contains_key(&lane) {
                due.extend(self.due(tx.db, &lane).await?);
            }
        }
        due.sort_unstable();
        due.truncate(self.0.limit);
        let until = self.0.now.saturating_add(self.0.lease).as_millis();
        let claim = format!(
            "UPDATE deliveries SET epoch = epoch + 1, leased_until = $2, wake_at = $2 WHERE row = $1
             RETURNING epoch, {DELIVERY}"
        );
        let mut known: HashMap<SubscriptionId, RawSubscription> = HashMap::new();
        let mut claimed = Vec::with_capacity(due.len());
        for (_, row) in due {
            let found: Option<(i64, RawDelivery)> = tx.db.row(&claim, &[row.into(), until.into()]).await?;
            let Some((epoch, delivery)) = found else {
                continue;
            };
            let id = match &delivery.0 {
                [_, _, Value::Blob(id), ..] => <[u8; 16]>::try_from(id.as_slice()).ok(),
                _ => None,
            };
            let id = id.map(SubscriptionId::from_bytes);
            if let Some(id) = id
                && !known.contains_key(&id)
                && let Some(found) = subscription(tx.db, id).await?
            {
                known.insert(id, found);
            }
            claimed.push(RawClaimed {
                delivery,
                subscription: id.and_then(|id| known.get(&id).cloned()),
                epoch: u64::try_from(epoch).unwrap_or_default(),
            });
        }
        Ok(claimed)
    }
}

/// [`DeliveryStore::record`](midjourney_core::delivery::DeliveryStore::record).
pub(super) struct Record(pub(super) Attempted);

impl Command for Record {
    type Output = Option<Settled>;
    const OPERATION: &'static str = "recording a delivery";

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Option<Settled>, Refusal> {
        let attempted = &self.0;
        let id = Value::from(attempted.delivery.as_bytes());
        let claimed = tx
            .db
            .number(
                "SELECT 1::bigint FROM deliveries WHERE id = $1 AND epoch = $2 AND state = 0",
                &[id, int(attempted.epoch).into()],
            )
            .await?;
        let found = delivery(tx.db, attempted.delivery).await?;
        let Some(found) = found.filter(|_| claimed.is_some()) else {
            return Ok(None);
        };
        let mut delivery = found.decode()?;
        let mut subscription = match delivery.receiver.subscription() {
            Some(id) => subscription(tx.db, id)
                .await?
                .map(RawSubscription::decode)
                .transpose()?,
            None => None,
        };
        let before = subscription.clone();
        let ends = settle(&mut delivery, subscription.as_mut(), attempted);
        settle_row(tx.db, &delivery, false).await?;
        if let Some(subscription) = subscription.as_ref().filter(|_| subscription != before) {
            update(tx.db, subscription, Self::OPERATION).await?;
            if ends {
                give_up(tx.db, subscription.id, attempted.at).await?;
            }
        }
        tx.changed();
        Ok(Some(Settled::new(delivery, subscription.filter(|_| ends))))
    }
}

/// [`DeliveryStore::replay`](midjourney_core::delivery::DeliveryStore::replay).
pub(super) struct Replay {
    pub(super) id: DeliveryId,
    pub(super) now: Timestamp,
}

impl Command for Replay {
    type Output = Option<Delivery>;
    const OPERATION: &'static str = "replaying a delivery";

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Option<Delivery>, Refusal> {
        let Some(found) = delivery(tx.db, self.id).await? else {
            return Ok(None);
        };
        let mut delivery = found.decode()?;
        delivery.replay(self.now);
        // Whoever is sending it now does not speak for the new start.
        settle_row(tx.db, &delivery, true).await?;
        tx.changed();
        Ok(Some(delivery))
    }
}

/// [`DeliveryStore::replay_dead`](midjourney_core::delivery::DeliveryStore::replay_dead).
pub(super) struct ReplayDead {
    pub(super) id: SubscriptionId,
    pub(super) since: Timestamp,
    pub(super) now: Timestamp,
}

impl Command for ReplayDead {
    type Output = u64;
    const OPERATION: &'static str = "replaying deliveries";

    async fn run(&self, tx: &mut Tx<'_>) -> Result<u64, Refusal> {
        let replayed = tx
            .db
            .execute(
                "UPDATE deliveries SET state = 0, state_at = $3, why = NULL, attempts = 0, wake_at = $3
                 WHERE subscription = $1 AND state = 2 AND created_at >= $2",
                &[
                    self.id.as_bytes().into(),
                    self.since.as_millis().into(),
                    self.now.as_millis().into(),
                ],
            )
            .await?;
        tx.changed();
        Ok(replayed)
    }
}

/// [`DeliveryStore::forget_deliveries`](midjourney_core::delivery::DeliveryStore::forget_deliveries).
pub(super) struct Forget {
    pub(super) before: Timestamp,
    pub(super) limit: usize,
}

impl Command for Forget {
    type Output = u64;
    const OPERATION: &'static str = "removing old deliveries";

    fn rows(&self) -> usize {
        self.limit
    }

    async fn run(&self, tx: &mut Tx<'_>) -> Result<u64, Refusal> {
        let removed = tx
            .db
            .execute(
                "DELETE FROM deliveries WHERE row IN
                     (SELECT row FROM deliveries WHERE wake_at IS NULL AND created_at < $1 ORDER BY created_at LIMIT $2)",
                &[self.before.as_millis().into(), count(self.limit).into()],
            )
            .await?;
        Ok(removed)
    }
}
