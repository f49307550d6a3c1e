//! Subscriptions and what is on its way to them.

use std::{collections::HashMap, fmt::Write as _};

use midjourney_core::{
    clock::Timestamp,
    delivery::{
        Attempted, DeadReason, Delivery, DeliveryClaim, DeliveryQuery, DeliveryState, Receiver, SOCKETS_EACH,
        Settled, Subscription, SubscriptionChange, settle,
    },
    error::{Applied, Retry},
    id::{DeliveryId, SubscriptionId},
    job::{LONGEST_WAIT, Position, StoreError},
};
use rusqlite::{Connection, OptionalExtension as _, params, params_from_iter};

use super::{
    columns::Columns as _,
    error::failed,
    queries::END,
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

pub(super) fn subscription(db: &Connection, id: SubscriptionId) -> rusqlite::Result<Option<RawSubscription>> {
    db.prepare_cached(&format!("SELECT {SUBSCRIPTION} FROM subscriptions WHERE id = ?1"))?
        .query_row([id.as_bytes()], RawSubscription::read)
        .optional()
}

pub(super) fn subscriptions(db: &Connection) -> rusqlite::Result<Vec<RawSubscription>> {
    db.prepare_cached(&format!("SELECT {SUBSCRIPTION} FROM subscriptions ORDER BY id"))?
        .query_map([], RawSubscription::read)?
        .collect()
}

pub(super) fn delivery(db: &Connection, id: DeliveryId) -> rusqlite::Result<Option<RawDelivery>> {
    db.prepare_cached(&format!("SELECT {DELIVERY} FROM deliveries WHERE id = ?1"))?
        .query_row([id.as_bytes()], RawDelivery::read)
        .optional()
}

pub(super) fn list(
    db: &Connection,
    query: &DeliveryQuery,
    limit: usize,
) -> rusqlite::Result<Vec<RawDelivery>> {
    let after = query.after.map(|cursor| cursor.key());
    let after = after.as_ref().map_or(END, |key| key.as_slice());
    let state = query.state.map(|name| {
        DeliveryState::NAMES
            .iter()
            .position(|state| *state == name)
            .map_or(-1, count)
    });
    let blob = |bytes: &[u8; 16]| Value::Blob(bytes.to_vec());
    let asked = [
        ("subscription", query.subscription.map(|id| blob(id.as_bytes()))),
        ("job", query.job.map(|id| blob(id.as_bytes()))),
        (
            "owner",
            query
                .owner
                .as_ref()
                .map(|owner| Value::Text(owner.as_str().to_owned())),
        ),
        ("state", state.map(Value::Integer)),
    ];
    // Each condition is there or not, so that an index can be chosen by what is asked.
    let asked: Vec<_> = asked
        .into_iter()
        .filter_map(|(column, value)| Some((column, value?)))
        .collect();
    let mut wanted = "id < ?1".to_owned();
    for (number, (column, _)) in (3..).zip(&asked) {
        write!(wanted, " AND {column} = ?{number}").unwrap_or_default();
    }
    let fixed = [Value::Blob(after.to_vec()), Value::Integer(count(limit))];
    let values = fixed.into_iter().chain(asked.into_iter().map(|(_, value)| value));
    db.prepare_cached(&format!(
        "SELECT {DELIVERY} FROM deliveries WHERE {wanted} ORDER BY id DESC LIMIT ?2"
    ))?
    .query_map(params_from_iter(values), RawDelivery::read)?
    .collect()
}

pub(super) fn relayed(db: &Connection) -> rusqlite::Result<i64> {
    db.prepare_cached("SELECT number FROM tallies WHERE what = 'relayed' AND name = ''")?
        .query_row([], |row| row.get(0))
}

/// The lanes in which something waits, each with the earliest time at which that can be claimed by itself.
const LANES: &str = "WITH RECURSIVE lanes (lane) AS (
        SELECT min(lane) FROM deliveries WHERE wake_at IS NOT NULL
        UNION ALL
        SELECT (SELECT min(lane) FROM deliveries WHERE wake_at IS NOT NULL AND lane > lanes.lane)
        FROM lanes WHERE lane IS NOT NULL)
    SELECT lane, (SELECT min(wake_at) FROM deliveries WHERE lane = lanes.lane AND wake_at IS NOT NULL)
    FROM lanes WHERE lane IS NOT NULL";

/// What lies beyond this was put there by a clock that was wrong.
fn stray_after(now: Timestamp) -> i64 {
    now.saturating_add(LONGEST_WAIT).as_millis()
}

/// The lanes that are to be left alone at `now`, each until when.
fn paused(db: &Connection, now: Timestamp) -> rusqlite::Result<HashMap<String, i64>> {
    db.prepare_cached(
        "SELECT id, paused_until FROM subscriptions WHERE paused_until > ?1 AND paused_until <= ?2",
    )?
    .query_map([now.as_millis(), stray_after(now)], |row| {
        let id = SubscriptionId::from_bytes(row.get(0)?);
        Ok((id.to_string(), row.get(1)?))
    })?
    .collect()
}

pub(super) fn next(db: &Connection, now: Timestamp) -> rusqlite::Result<Option<i64>> {
    let mut lanes = db.prepare_cached(LANES)?;
    let mut lanes = lanes.query([])?;
    let mut paused_lanes = None;
    let mut next: Option<i64> = None;
    while let Some(row) = lanes.next()? {
        let (lane, mut wake): (String, i64) = (row.get(0)?, row.get(1)?);
        if wake > stray_after(now) {
            wake = now.as_millis();
        }
        let paused = match &paused_lanes {
            Some(known) => known,
            None => paused_lanes.insert(paused(db, now)?),
        };
        let wake = paused.get(&lane).map_or(wake, |until| wake.max(*until));
        next = Some(next.map_or(wake, |next| next.min(wake)));
    }
    Ok(next)
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

    fn run(&self, tx: &mut Tx<'_>) -> Result<(), Refusal> {
        let one = &self.subscription;
        let fixed = [
            Value::Blob(one.id.as_bytes().to_vec()),
            Value::Text(one.owner.as_str().to_owned()),
            int(one.since.get()).into(),
            one.created.as_millis().into(),
        ];
        let values = fixed.into_iter().chain(changing(one, self.events.clone()));
        tx.db
            .prepare_cached(
                "INSERT INTO subscriptions (id, owner, since, created_at, url, events, disabled_at, disabled_why,
                     generation, rotated_at, failing_since, paused_until)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
            )?
            .execute(params_from_iter(values))?;
        tx.changed();
        Ok(())
    }
}

/// Writes what changed about a subscription.
fn update(db: &Connection, subscription: &Subscription, operation: &'static str) -> Result<(), Refusal> {
    let values = changing(subscription, events_of(subscription, operation)?);
    let id = Value::Blob(subscription.id.as_bytes().to_vec());
    db.prepare_cached(
        "UPDATE subscriptions SET url = ?1, events = ?2, disabled_at = ?3, disabled_why = ?4, generation = ?5,
             rotated_at = ?6, failing_since = ?7, paused_until = ?8 WHERE id = ?9",
    )?
    .execute(params_from_iter(values.into_iter().chain([id])))?;
    Ok(())
}

/// Gives up what waits for a subscription.
fn give_up(db: &Connection, id: SubscriptionId, at: Timestamp) -> rusqlite::Result<()> {
    let lane = Receiver::Subscription(id).lane();
    let why = DeadReason::ALL
        .iter()
        .position(|why| *why == DeadReason::Disabled);
    db.prepare_cached(
        "UPDATE deliveries SET state = 2, state_at = ?2, why = ?3, leased_until = NULL, wake_at = NULL
         WHERE lane = ?1 AND wake_at IS NOT NULL",
    )?
    .execute(params![lane, at.as_millis(), why.map(count)])?;
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

    fn run(&self, tx: &mut Tx<'_>) -> Result<Option<Subscription>, Refusal> {
        let Some(found) = subscription(tx.db, self.id)? else {
            return Ok(None);
        };
        let mut subscription = found.decode()?;
        let disabled = self.change.apply(&mut subscription, self.now);
        update(tx.db, &subscription, Self::OPERATION)?;
        if disabled {
            give_up(tx.db, self.id, self.now)?;
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

    fn run(&self, tx: &mut Tx<'_>) -> Result<bool, Refusal> {
        let removed = tx
            .db
            .prepare_cached("DELETE FROM subscriptions WHERE id = ?1")?
            .execute([self.0.as_bytes()])?;
        tx.changed();
        Ok(removed > 0)
    }
}

fn put(db: &Connection, delivery: &Delivery) -> rusqlite::Result<()> {
    let blob = |bytes: &[u8; 16]| Value::Blob(bytes.to_vec());
    let (subscription, address) = match &delivery.receiver {
        Receiver::Subscription(id) => (Some(blob(id.as_bytes())), None),
        Receiver::Address(url) => (None, Some(url.clone())),
    };
    let fixed = [
        blob(delivery.id.as_bytes()),
        Value::Text(delivery.owner.as_str().to_owned()),
        subscription.unwrap_or(Value::Null),
        Value::Text(delivery.receiver.lane()),
        delivery.job.map_or(Value::Null, |job| blob(job.as_bytes())),
        Value::Text(delivery.kind.clone()),
        delivery.created.as_millis().into(),
        address.into(),
        Value::Text(delivery.body.clone()),
    ];
    db.prepare_cached(
        "INSERT INTO deliveries (id, owner, subscription, lane, job, kind, created_at, address, body, state, state_at,
             why, attempts, last_at, last_status, last_pause, last_error, wake_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)",
    )?
    .execute(params_from_iter(fixed.into_iter().chain(moving(delivery))))?;
    Ok(())
}

/// Writes where a delivery is now; nobody is sending it any more.
fn settle_row(db: &Connection, delivery: &Delivery, newly_claimed: bool) -> rusqlite::Result<()> {
    let id = Value::Blob(delivery.id.as_bytes().to_vec());
    let epochs = i64::from(newly_claimed).into();
    db.prepare_cached(
        "UPDATE deliveries SET state = ?1, state_at = ?2, why = ?3, attempts = ?4, last_at = ?5, last_status = ?6,
             last_pause = ?7, last_error = ?8, wake_at = ?9, leased_until = NULL, epoch = epoch + ?11 WHERE id = ?10",
    )?
    .execute(params_from_iter(moving(delivery).into_iter().chain([id, epochs])))?;
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

    fn run(&self, tx: &mut Tx<'_>) -> Result<bool, Refusal> {
        let moved = tx
            .db
            .prepare_cached(
                "UPDATE tallies SET number = ?2 WHERE what = 'relayed' AND name = '' AND number = ?1",
            )?
            .execute([int(self.from.get()), int(self.to.get())])?;
        if moved == 0 {
            return Ok(false);
        }
        for delivery in &self.deliveries {
            // A subscription may have been removed since its events were read.
            let gone = match delivery.receiver.subscription() {
                Some(id) => subscription(tx.db, id)?.is_none(),
                None => false,
            };
            if !gone {
                put(tx.db, delivery)?;
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

    fn run(&self, tx: &mut Tx<'_>) -> Result<(), Refusal> {
        put(tx.db, &self.0)?;
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
    fn due(&self, db: &Connection, lane: &str) -> rusqlite::Result<Vec<(i64, i64)>> {
        let (now, far) = (self.0.now.as_millis(), stray_after(self.0.now));
        let busy: i64 = db
            .prepare_cached(
                "SELECT count(*) FROM deliveries WHERE lane = ?1 AND leased_until > ?2 AND leased_until <= ?3",
            )?
            .query_row(params![lane, now, far], |row| row.get(0))?;
        let mut due = Vec::new();
        for range in ["wake_at <= ?2", "wake_at > ?3"] {
            let free = count(SOCKETS_EACH)
                .saturating_sub(busy)
                .saturating_sub(count(due.len()));
            if free <= 0 {
                break;
            }
            let mut found = db.prepare_cached(&format!(
                "SELECT wake_at, row FROM deliveries
                 WHERE lane = ?1 AND {range} AND wake_at IS NOT NULL AND ?2 < ?3 ORDER BY wake_at, id LIMIT ?4"
            ))?;
            let found = found.query_map(params![lane, now, far, free], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
            for one in found {
                due.push(one?);
            }
        }
        Ok(due)
    }
}

impl Command for ClaimDeliveries {
    type Output = Vec<RawClaimed>;
    const OPERATION: &'static str = "claiming deliveries";

    fn rows(&self) -> usize {
        self.0.limit
    }

    fn run(&self, tx: &mut Tx<'_>) -> Result<Vec<RawClaimed>, Refusal> {
        let paused = paused(tx.db, self.0.now)?;
        let lanes: Vec<String> = tx
            .db
            .prepare_cached(LANES)?
            .query_map([], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        let mut due = Vec::new();
        for lane in lanes.iter().filter(|lane| !paused.contains_key(*lane)) {
            due.extend(self.due(tx.db, lane)?);
        }
        due.sort_unstable();
        due.truncate(self.0.limit);
        let until = self.0.now.saturating_add(self.0.lease).as_millis();
        let mut known: HashMap<SubscriptionId, RawSubscription> = HashMap::new();
        let mut claimed = Vec::with_capacity(due.len());
        for (_, row) in due {
            let (epoch, id): (i64, Option<[u8; 16]>) = tx
                .db
                .prepare_cached(
                    "UPDATE deliveries SET epoch = epoch + 1, leased_until = ?2, wake_at = ?2 WHERE row = ?1
                     RETURNING epoch, subscription",
                )?
                .query_row([row, until], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let delivery = tx
                .db
                .prepare_cached(&format!("SELECT {DELIVERY} FROM deliveries WHERE row = ?1"))?
                .query_row([row], RawDelivery::read)?;
            let id = id.map(SubscriptionId::from_bytes);
            if let Some(id) = id
                && !known.contains_key(&id)
                && let Some(found) = subscription(tx.db, id)?
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

    fn run(&self, tx: &mut Tx<'_>) -> Result<Option<Settled>, Refusal> {
        let attempted = &self.0;
        let claimed: bool = tx
            .db
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM deliveries WHERE id = ?1 AND epoch = ?2 AND state = 0)",
            )?
            .query_row(
                params![attempted.delivery.as_bytes(), int(attempted.epoch)],
                |row| row.get(0),
            )?;
        let Some(found) = delivery(tx.db, attempted.delivery)?.filter(|_| claimed) else {
            return Ok(None);
        };
        let mut delivery = found.decode()?;
        let mut subscription = match delivery.receiver.subscription() {
            Some(id) => subscription(tx.db, id)?
                .map(RawSubscription::decode)
                .transpose()?,
            None => None,
        };
        let before = subscription.clone();
        let ends = settle(&mut delivery, subscription.as_mut(), attempted);
        settle_row(tx.db, &delivery, false)?;
        if let Some(subscription) = subscription.as_ref().filter(|_| subscription != before) {
            update(tx.db, subscription, Self::OPERATION)?;
            if ends {
                give_up(tx.db, subscription.id, attempted.at)?;
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

    fn run(&self, tx: &mut Tx<'_>) -> Result<Option<Delivery>, Refusal> {
        let Some(found) = delivery(tx.db, self.id)? else {
            return Ok(None);
        };
        let mut delivery = found.decode()?;
        delivery.replay(self.now);
        // Whoever is sending it now does not speak for the new start.
        settle_row(tx.db, &delivery, true)?;
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

    fn run(&self, tx: &mut Tx<'_>) -> Result<u64, Refusal> {
        let replayed = tx
            .db
            .prepare_cached(
                "UPDATE deliveries SET state = 0, state_at = ?3, why = NULL, attempts = 0, wake_at = ?3
                 WHERE subscription = ?1 AND state = 2 AND created_at >= ?2",
            )?
            .execute(params![
                self.id.as_bytes(),
                self.since.as_millis(),
                self.now.as_millis()
            ])?;
        tx.changed();
        Ok(u64::try_from(replayed).unwrap_or(u64::MAX))
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

    fn run(&self, tx: &mut Tx<'_>) -> Result<u64, Refusal> {
        let removed = tx
            .db
            .prepare_cached(
                "DELETE FROM deliveries WHERE row IN
                     (SELECT row FROM deliveries WHERE wake_at IS NULL AND created_at < ?1 ORDER BY created_at LIMIT ?2)",
            )?
            .execute(params![self.before.as_millis(), count(self.limit)])?;
        Ok(u64::try_from(removed).unwrap_or(u64::MAX))
    }
}
