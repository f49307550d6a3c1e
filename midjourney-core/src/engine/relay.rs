//! Turns events and notices into deliveries.

use std::time::Duration;

use super::Parts;
use crate::{
    delivery::{Delivery, EventFilter, ImageLink, Message, Receiver, Subscription, Webhooks},
    error::BoxError,
    id::DeliveryId,
    image::Image,
    job::{Event, ImageQuery, Job, Position, Status},
    link::image_path,
    view::JobView,
};

/// How many events are read at once.
const BATCH: usize = 512;

/// How long the links in a message open: longer than it is tried, and time to look at it after that.
const LINK_LIFE: Duration = Duration::from_secs(3 * 86_400);

/// After how many events that nobody wanted the place is noted all the same; as many are read again after a restart.
const UNNOTED: u64 = 4_096;

/// Reads the events in order, from where the relay of any process left off.
pub(super) struct Relay {
    /// The place that the store knows, and that up to which was read here: between the two are only events that nobody
    /// wanted. None before the store was asked.
    place: Option<(Position, Position)>,
}

impl Relay {
    pub(super) const fn new() -> Self {
        Self { place: None }
    }

    /// Makes the deliveries of the next events. Returns whether there may be more.
    pub(super) async fn step(&mut self, parts: &Parts, webhooks: &Webhooks) -> Result<bool, BoxError> {
        let (noted, read) = if let Some(place) = self.place {
            place
        } else {
            let noted = webhooks.store.relayed().await?;
            (noted, noted)
        };
        self.place = Some((noted, read));
        let events = parts.jobs.events(read, BATCH).await?;
        let Some(last) = events.last().map(|event| event.position) else {
            return Ok(false);
        };
        let more = events.len() == BATCH;
        let deliveries = deliveries(parts, webhooks, &events).await?;
        if deliveries.is_empty() && last.get().saturating_sub(noted.get()) < UNNOTED {
            self.place = Some((noted, last));
            return Ok(more);
        }
        let first = webhooks.store.relay(noted, last, deliveries).await?;
        // Where another process was faster: on from where it is.
        self.place = first.then_some((last, last));
        Ok(more || !first)
    }
}

/// Makes the deliveries of what this process has noticed of its accounts. Where the store fails in the middle, some are
/// told again.
pub(super) async fn tell_of_accounts(parts: &Parts, webhooks: &Webhooks) -> Result<(), BoxError> {
    while let Some(notice) = parts.accounts.notice() {
        let message = Message::about(&notice);
        let body = message.body()?;
        for one in webhooks.store.subscriptions().await? {
            if !one.wants_accounts() {
                continue;
            }
            let now = parts.clock.now();
            let id = DeliveryId::new(now, &*parts.entropy);
            let receiver = Receiver::Subscription(one.id);
            let delivery = Delivery::new(id, one.owner, receiver, message.kind, body.clone(), now);
            webhooks.store.put_delivery(&delivery).await?;
        }
        parts.accounts.told(&notice);
    }
    Ok(())
}

async fn deliveries(parts: &Parts, webhooks: &Webhooks, events: &[Event]) -> Result<Vec<Delivery>, BoxError> {
    let usual = EventFilter::default();
    let mut subscriptions: Option<Vec<Subscription>> = None;
    let mut deliveries = Vec::new();
    for event in events {
        let subscriptions = match &mut subscriptions {
            Some(known) => known,
            unknown => unknown.insert(webhooks.store.subscriptions().await?),
        };
        let wanted = |one: &Subscription| one.wants(&one.owner, event.kind, event.position);
        if !usual.wants(event.kind) && !subscriptions.iter().any(wanted) {
            continue;
        }
        let Some(job) = parts.jobs.load(event.job).await? else {
            continue;
        };
        let mut receivers: Vec<_> = subscriptions
            .iter()
            .filter(|one| one.wants(&job.owner, event.kind, event.position))
            .map(|one| Receiver::Subscription(one.id))
            .collect();
        if let Some(address) = job
            .request
            .echo
            .webhook
            .as_ref()
            .filter(|_| usual.wants(event.kind))
        {
            receivers.push(Receiver::Address(address.clone()));
        }
        if receivers.is_empty() {
            continue;
        }
        let body = message(parts, event, &job).await?.body()?;
        for receiver in receivers {
            let id = DeliveryId::new(parts.clock.now(), &*parts.entropy);
            let kind = event.kind.name();
            let delivery = Delivery::new(
                id,
                job.owner.clone(),
                receiver,
                kind,
                body.clone(),
                parts.clock.now(),
            );
            deliveries.push(delivery.about(job.id));
        }
    }
    Ok(deliveries)
}

async fn message(parts: &Parts, event: &Event, job: &Job) -> Result<Message, BoxError> {
    let images = if job.status() == Status::Completed {
        parts.jobs.images(&ImageQuery::of(job.id)).await?.items
    } else {
        Vec::new()
    };
    let link = |image: &Image| {
        let links = parts.links.as_ref()?;
        let url = links.sign(&image_path(image.id), parts.clock.now(), LINK_LIFE);
        Some(ImageLink::new(image.id, url))
    };
    let links = images.iter().filter_map(link).collect();
    let client = parts.accounts.client(&job.account);
    let simulated = client.is_some_and(|client| client.capabilities().simulated);
    Ok(Message::of(event, JobView::of(job, &images, simulated), links))
}
