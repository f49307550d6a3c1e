//! From rows of `subscriptions` and `deliveries` to values of the domain, and back.

use std::time::Duration;

use midjourney_core::{
    clock::Timestamp,
    delivery::{DeadReason, Delivery, DeliveryState, DisabledReason, Outcome, Receiver, Subscription},
    id::{DeliveryId, JobId, SubscriptionId},
    job::{Owner, Position, StoreError},
};

use super::{Cell, Value, count, int, name, stored};

/// The columns of [`RawSubscription`], in its order.
pub(crate) const SUBSCRIPTION: &str =
    "id, owner, url, events, since, created_at, disabled_at, disabled_why, generation,
    rotated_at, failing_since, paused_until";
/// The columns of [`RawDelivery`], in its order.
pub(crate) const DELIVERY: &str =
    "id, owner, subscription, job, kind, created_at, state, state_at, why, attempts,
    last_at, last_status, last_pause, last_error, address, body";

/// A row of `subscriptions`.
#[derive(Clone)]
pub(crate) struct RawSubscription(pub(crate) [Value; 12]);

impl RawSubscription {
    /// The subscription in it.
    pub(crate) fn decode(self) -> Result<Subscription, StoreError> {
        let [
            id,
            owner,
            url,
            events,
            since,
            created,
            disabled,
            why,
            generation,
            rotated,
            failing,
            paused,
        ] = self.0;
        let own = id.clone();
        let row = || name(&own, |id| SubscriptionId::from_bytes(id).to_string());
        let cell = |column, value| Cell {
            table: "subscriptions",
            row: &row,
            column,
            value,
        };
        let mut subscription = Subscription::new(
            SubscriptionId::from_bytes(cell("id", id).blob()?),
            Owner::new(cell("owner", owner).text()?),
            cell("url", url).text()?,
            Position::new(cell("since", since).number()?),
            cell("created_at", created).time()?,
        );
        subscription.events = cell("events", events).text_with(stored::read)?;
        let disabled = cell("disabled_at", disabled).optional(time)?;
        subscription.disabled = match disabled {
            None => None,
            Some(at) => Some((at, one_of(&DisabledReason::ALL, &cell("disabled_why", why))?)),
        };
        subscription.generation = cell("generation", generation).number()?;
        subscription.rotated = cell("rotated_at", rotated).time()?;
        subscription.failing_since = cell("failing_since", failing).optional(time)?;
        subscription.paused_until = cell("paused_until", paused).optional(time)?;
        Ok(subscription)
    }
}

/// The columns of a subscription that may change, in the order `url, events, disabled_at, disabled_why, generation,
/// rotated_at, failing_since, paused_until`.
pub(crate) fn changing(subscription: &Subscription, events: String) -> [Value; 8] {
    let (disabled, why) = subscription.disabled.unzip();
    [
        Value::Text(subscription.url.clone()),
        Value::Text(events),
        disabled.map(Timestamp::as_millis).into(),
        why.and_then(|why| place(&DisabledReason::ALL, &why)).into(),
        i64::from(subscription.generation).into(),
        subscription.rotated.as_millis().into(),
        subscription.failing_since.map(Timestamp::as_millis).into(),
        subscription.paused_until.map(Timestamp::as_millis).into(),
    ]
}

/// A row of `deliveries`.
pub(crate) struct RawDelivery(pub(crate) [Value; 16]);

impl RawDelivery {
    /// The delivery in it.
    pub(crate) fn decode(self) -> Result<Delivery, StoreError> {
        let [
            id,
            owner,
            subscription,
            job,
            kind,
            created,
            state,
            state_at,
            why,
            attempts,
            last_at,
            last_status,
            last_pause,
            last_error,
            address,
            body,
        ] = self.0;
        let own = id.clone();
        let row = || name(&own, |id| DeliveryId::from_bytes(id).to_string());
        let cell = |column, value| Cell {
            table: "deliveries",
            row: &row,
            column,
            value,
        };
        let receiver = match cell("subscription", subscription).optional(|id| id.blob())? {
            Some(id) => Receiver::Subscription(SubscriptionId::from_bytes(id)),
            None => Receiver::Address(cell("address", address).text()?),
        };
        let mut delivery = Delivery::new(
            DeliveryId::from_bytes(cell("id", id).blob()?),
            Owner::new(cell("owner", owner).text()?),
            receiver,
            cell("kind", kind).text()?,
            cell("body", body).text()?,
            cell("created_at", created).time()?,
        );
        delivery.job = cell("job", job)
            .optional(|job| job.blob())?
            .map(JobId::from_bytes);
        let at = cell("state_at", state_at).time()?;
        let state = cell("state", state);
        delivery.state = match state.number::<u8>()? {
            0 => DeliveryState::Waiting { due: at },
            1 => DeliveryState::Delivered { at },
            2 => DeliveryState::Dead {
                at,
                why: one_of(&DeadReason::ALL, &cell("why", why))?,
            },
            _ => return Err(state.corrupt("no state has that number")),
        };
        delivery.attempts = cell("attempts", attempts).number()?;
        if let Some(at) = cell("last_at", last_at).optional(time)? {
            let status = cell("last_status", last_status).optional(|status| status.number())?;
            let pause = cell("last_pause", last_pause).optional(|pause| pause.number())?;
            let outcome = match status {
                Some(status) => Outcome::Answered {
                    status,
                    retry_after: pause.map(Duration::from_millis),
                },
                None => Outcome::Unanswered(cell("last_error", last_error).text()?),
            };
            delivery.last = Some((at, outcome));
        }
        Ok(delivery)
    }
}

/// The columns of a delivery that may change, in the order `state, state_at, why, attempts, last_at, last_status,
/// last_pause, last_error, wake_at`; nobody is sending it.
pub(crate) fn moving(delivery: &Delivery) -> [Value; 9] {
    let (state, at, why) = match delivery.state {
        DeliveryState::Waiting { due } => (0, due, None),
        DeliveryState::Delivered { at } => (1, at, None),
        DeliveryState::Dead { at, why } => (2, at, place(&DeadReason::ALL, &why)),
    };
    let (last_at, last) = delivery.last.as_ref().map(|(at, last)| (at, last)).unzip();
    let (status, pause, error) = match last {
        None => (None, None, None),
        Some(Outcome::Answered { status, retry_after }) => {
            let pause = retry_after.map(|pause| u64::try_from(pause.as_millis()).unwrap_or(u64::MAX));
            (Some(i64::from(*status)), pause.map(int), None)
        }
        Some(Outcome::Unanswered(why)) => (None, None, Some(why.clone())),
    };
    [
        state.into(),
        at.as_millis().into(),
        why.into(),
        i64::from(delivery.attempts).into(),
        last_at.map(|at| at.as_millis()).into(),
        status.into(),
        pause.into(),
        error.into(),
        (state == 0).then_some(at.as_millis()).into(),
    ]
}

#[expect(clippy::needless_pass_by_value, reason = "what `Cell::optional` calls")]
fn time(cell: Cell<'_>) -> Result<Timestamp, StoreError> {
    cell.time()
}

fn place<T: PartialEq>(all: &[T], one: &T) -> Option<i64> {
    all.iter().position(|known| known == one).map(count)
}

fn one_of<T: Copy>(all: &[T], cell: &Cell<'_>) -> Result<T, StoreError> {
    let known = all.get(cell.number::<usize>()?).copied();
    known.ok_or_else(|| cell.corrupt("nothing has that number"))
}
