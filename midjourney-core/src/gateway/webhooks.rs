//! Subscriptions to what happens, and the messages that went out.

use super::Gateway;
use crate::{
    clock::Timestamp,
    delivery::{
        Delivery, DeliveryQuery, EventFilter, Message, Receiver, Subscription, SubscriptionChange, Webhooks,
    },
    error::{Error, ErrorKind},
    id::{DeliveryId, SubscriptionId},
    job::{Echo, Owner},
    key::Secret,
    page::Page,
};

/// How many subscriptions one owner may have.
pub const MOST_SUBSCRIPTIONS: usize = 50;

/// The longest address, in bytes.
const MAX_URL: usize = 2_048;

/// A wish to be told.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Subscribe {
    /// Whose jobs are told about.
    pub owner: Owner,
    /// Where messages go.
    pub url: String,
    /// About which events; the [usual](EventFilter::default) ones where nothing is said.
    pub events: EventFilter,
}

impl Subscribe {
    /// The local owner wants to be told at `url`.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            owner: Owner::local(),
            url: url.into(),
            events: EventFilter::default(),
        }
    }

    /// The same about these events.
    pub fn to(mut self, events: EventFilter) -> Self {
        self.events = events;
        self
    }
}

impl Gateway {
    /// Tells somebody about what happens from now on. Returns the subscription and the secret that its messages are
    /// signed with.
    ///
    /// **Errors:** [`ErrorKind::Invalid`] for an address that may not be posted to, or one subscription too many;
    /// [`ErrorKind::Unavailable`] where this gateway sends no webhooks.
    pub async fn subscribe(&self, wish: Subscribe) -> Result<(Subscription, Secret), Error> {
        let webhooks = self.webhooks()?;
        check_address(webhooks, "/url", &wish.url)?;
        if wish.events.is_empty() {
            return Err(Error::field(
                "/events",
                "expected one event at least; `*` is all of them",
            ));
        }
        let all = webhooks.store.subscriptions().await?;
        if all.iter().filter(|one| one.owner == wish.owner).count() >= MOST_SUBSCRIPTIONS {
            let detail = format!("there may be {MOST_SUBSCRIPTIONS} subscriptions at most; remove one first");
            return Err(Error::new(ErrorKind::Conflict, detail));
        }
        let now = self.parts.clock.now();
        let id = SubscriptionId::new(now, &*self.parts.entropy);
        let since = self.parts.jobs.head().await?;
        let subscription = Subscription::new(id, wish.owner, wish.url, since, now).to(wish.events);
        webhooks.store.put_subscription(&subscription).await?;
        let secret = webhooks.key.secret_of(id, subscription.generation);
        Ok((subscription, secret))
    }

    /// All subscriptions, oldest first.
    pub async fn subscriptions(&self) -> Result<Vec<Subscription>, Error> {
        Ok(self.webhooks()?.store.subscriptions().await?)
    }

    /// The subscription.
    ///
    /// **Errors:** [`ErrorKind::NotFound`].
    pub async fn subscription(&self, id: SubscriptionId) -> Result<Subscription, Error> {
        let found = self.webhooks()?.store.subscription(id).await?;
        found.ok_or_else(|| unknown(id))
    }

    /// Changes where a subscription's messages go, what they tell, or whether there are any.
    ///
    /// **Errors:** [`ErrorKind::NotFound`]; [`ErrorKind::Invalid`] for an address that may not be posted to.
    pub async fn change_subscription(
        &self,
        id: SubscriptionId,
        change: &SubscriptionChange,
    ) -> Result<Subscription, Error> {
        let webhooks = self.webhooks()?;
        if let Some(url) = &change.url {
            check_address(webhooks, "/url", url)?;
        }
        if change.events.as_ref().is_some_and(EventFilter::is_empty) {
            return Err(Error::field(
                "/events",
                "expected one event at least; `*` is all of them",
            ));
        }
        let now = self.parts.clock.now();
        let changed = webhooks.store.change_subscription(id, change, now).await?;
        changed.ok_or_else(|| unknown(id))
    }

    /// Gives a subscription a new secret. The one before signs along for
    /// [`SECRET_OVERLAP`](crate::delivery::SECRET_OVERLAP) more.
    ///
    /// **Errors:** [`ErrorKind::NotFound`].
    pub async fn rotate_secret(&self, id: SubscriptionId) -> Result<(Subscription, Secret), Error> {
        let change = SubscriptionChange {
            rotate: true,
            ..SubscriptionChange::default()
        };
        let subscription = self.change_subscription(id, &change).await?;
        let secret = self.webhooks()?.key.secret_of(id, subscription.generation);
        Ok((subscription, secret))
    }

    /// The secret that messages to the addresses of `owner`'s jobs are signed with.
    ///
    /// **Errors:** [`ErrorKind::Unavailable`] where this gateway sends no webhooks.
    pub fn job_webhook_secret(&self, owner: &Owner) -> Result<Secret, Error> {
        Ok(self.webhooks()?.key.secret_of_jobs(owner))
    }

    /// Ends a subscription; what waits for it is not sent.
    ///
    /// **Errors:** [`ErrorKind::NotFound`].
    pub async fn unsubscribe(&self, id: SubscriptionId) -> Result<(), Error> {
        let removed = self.webhooks()?.store.remove_subscription(id).await?;
        removed.then_some(()).ok_or_else(|| unknown(id))
    }

    /// Sends a message of type `webhook.test` by way of a subscription, as any other is sent. Look at the delivery for
    /// what came of it.
    ///
    /// **Errors:** [`ErrorKind::NotFound`]; [`ErrorKind::Conflict`] where the subscription is disabled.
    pub async fn test_subscription(&self, id: SubscriptionId) -> Result<Delivery, Error> {
        let subscription = self.subscription(id).await?;
        if subscription.disabled.is_some() {
            let detail = format!("the subscription {id} is disabled; enable it first");
            return Err(Error::new(ErrorKind::Conflict, detail));
        }
        let now = self.parts.clock.now();
        let message = Message::test(now);
        let body = message.body().map_err(|error| {
            Error::new(ErrorKind::Internal, "the message cannot be written").with_source(error)
        })?;
        let delivery = Delivery::new(
            DeliveryId::new(now, &*self.parts.entropy),
            subscription.owner,
            Receiver::Subscription(id),
            message.kind,
            body,
            now,
        );
        self.webhooks()?.store.put_delivery(&delivery).await?;
        Ok(delivery)
    }

    /// Messages and what became of them, newest first.
    pub async fn deliveries(&self, query: &DeliveryQuery) -> Result<Page<Delivery>, Error> {
        Ok(self.webhooks()?.store.deliveries(query).await?)
    }

    /// One message.
    ///
    /// **Errors:** [`ErrorKind::NotFound`].
    pub async fn delivery(&self, id: DeliveryId) -> Result<Delivery, Error> {
        let found = self.webhooks()?.store.delivery(id).await?;
        found.ok_or_else(|| unknown(id))
    }

    /// Sends a message again, whatever became of it.
    ///
    /// **Errors:** [`ErrorKind::NotFound`].
    pub async fn replay_delivery(&self, id: DeliveryId) -> Result<Delivery, Error> {
        let now = self.parts.clock.now();
        let replayed = self.webhooks()?.store.replay(id, now).await?;
        replayed.ok_or_else(|| unknown(id))
    }

    /// Sends again what was given up of a subscription since a moment. Returns how many messages that are.
    ///
    /// **Errors:** [`ErrorKind::NotFound`]; [`ErrorKind::Conflict`] where the subscription is disabled.
    pub async fn replay_dead(&self, id: SubscriptionId, since: Timestamp) -> Result<u64, Error> {
        if self.subscription(id).await?.disabled.is_some() {
            let detail = format!("the subscription {id} is disabled; enable it first");
            return Err(Error::new(ErrorKind::Conflict, detail));
        }
        let now = self.parts.clock.now();
        Ok(self.webhooks()?.store.replay_dead(id, since, now).await?)
    }

    /// Whether webhooks can be sent to where the caller wants to be told.
    pub(super) fn check_echo(&self, echo: &Echo) -> Result<(), Error> {
        match &echo.webhook {
            Some(url) => check_address(self.webhooks()?, "/webhook_url", url),
            None => Ok(()),
        }
    }

    fn webhooks(&self) -> Result<&Webhooks, Error> {
        let detail = "this gateway sends no webhooks; follow the job's events instead";
        let webhooks = self.parts.webhooks.as_ref();
        webhooks.ok_or_else(|| Error::new(ErrorKind::Unavailable, detail))
    }
}

fn check_address(webhooks: &Webhooks, pointer: &'static str, url: &str) -> Result<(), Error> {
    if url.len() > MAX_URL {
        return Err(Error::field(pointer, format!("expected {MAX_URL} bytes at most")));
    }
    let allowed = webhooks.transport.allows(url);
    allowed.map_err(|detail| Error::field(pointer, detail))
}

fn unknown(id: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::NotFound, format!("there is no {id}"))
}
