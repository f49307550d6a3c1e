//! Sends the webhooks that are due.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, task::JoinSet};
use tracing::{debug, warn};

use super::{
    Parts,
    relay::{Relay, tell_of_accounts},
};
use crate::{
    clock::Timestamp,
    delivery::{
        ANSWER_TIME, Attempted, ClaimedDelivery, DeliveryClaim, DeliveryState, Outcome, Post, Receiver,
        Webhooks,
    },
    error::{BoxError, Chain},
    key::Secret,
};

/// How many messages are on their way at once.
const POSTS: usize = 256;

/// How long a sender has for one message: the answer's time, and that of the record after it.
const LEASE: Duration = Duration::from_secs(60);

/// The shortest time between two looks at the store, which is what a message may be late by while much happens.
const GATHER: Duration = Duration::from_millis(20);

/// The longest time between two looks: what is left of polling.
const LONGEST_IDLE: Duration = Duration::from_secs(5);

/// The wait after the store failed, or after others were sending all that is due.
const PAUSE: Duration = Duration::from_secs(1);

/// How long deliveries are kept that are not waiting any more.
const KEPT: Duration = Duration::from_secs(30 * 86_400);

/// How often old ones are looked for, and how many go at a time.
const SWEEP_EVERY: Duration = Duration::from_secs(3_600);
const SWEPT: usize = 1_000;

/// Relays and sends until `stopping` turns true, then until the last answer is recorded.
pub(super) async fn run(parts: Arc<Parts>, webhooks: Webhooks, mut stopping: watch::Receiver<bool>) {
    let mut news = parts.jobs.changes();
    let mut orders = webhooks.store.delivery_changes();
    let mut relay = Relay::new();
    let mut posts = JoinSet::new();
    let mut swept = Timestamp::default();
    while !*stopping.borrow() {
        // Before looking, so that a change after the look is not missed.
        news.mark_unchanged();
        orders.mark_unchanged();
        let now = parts.clock.now();
        if now.saturating_since(swept) >= SWEEP_EVERY {
            swept = now;
            sweep(&webhooks, now).await;
        }
        let next = match look(&parts, &webhooks, &mut relay, &mut posts).await {
            Ok(next) => next,
            Err(error) => {
                warn!(error = %Chain(&*error), "webhooks wait: the store failed");
                now.saturating_add(PAUSE)
            }
        };
        let gathered = parts.clock.now().saturating_add(GATHER);
        tokio::select! {
            biased;
            _ = stopping.changed() => break,
            () = parts.clock.sleep_until(gathered.min(next)) => {}
        }
        tokio::select! {
            biased;
            _ = stopping.changed() => break,
            Some(done) = posts.join_next() => note_panic(done),
            () = parts.clock.sleep_until(next) => {}
            gone = news.changed() => if gone.is_err() { break },
            gone = orders.changed() => if gone.is_err() { break },
            () = parts.accounts.noticed() => {}
        }
    }
    debug!(under_way = posts.len(), "no more webhooks are sent");
    while let Some(done) = posts.join_next().await {
        note_panic(done);
    }
}

/// Relays what happened, starts sending what is due, and says when to look again.
async fn look(
    parts: &Arc<Parts>,
    webhooks: &Webhooks,
    relay: &mut Relay,
    posts: &mut JoinSet<()>,
) -> Result<Timestamp, BoxError> {
    while relay.step(parts, webhooks).await? {}
    tell_of_accounts(parts, webhooks).await?;
    let now = parts.clock.now();
    let idle = now.saturating_add(LONGEST_IDLE);
    let free = POSTS.saturating_sub(posts.len());
    let next = webhooks.store.next_delivery(now).await?;
    if free == 0 || next.is_none_or(|next| next > now) {
        return Ok(next.map_or(idle, |next| next.min(idle)));
    }
    let claim = DeliveryClaim {
        now,
        lease: LEASE,
        limit: free,
    };
    let claimed = webhooks.store.claim_deliveries(claim).await?;
    // What is due and not to be had is on its way elsewhere, or its receiver is busy.
    let again = if claimed.is_empty() {
        now.saturating_add(PAUSE)
    } else {
        now
    };
    for claimed in claimed {
        let (parts, webhooks) = (Arc::clone(parts), webhooks.clone());
        posts.spawn(async move { deliver(&parts, &webhooks, claimed).await });
    }
    Ok(again)
}

/// Sends one message, once, and records what came of it. Where that cannot be recorded it is sent again when the lease
/// has run out: twice rather than never.
async fn deliver(parts: &Parts, webhooks: &Webhooks, claimed: ClaimedDelivery) {
    let ClaimedDelivery {
        delivery,
        subscription,
        epoch,
    } = claimed;
    let url = match (&delivery.receiver, &subscription) {
        (Receiver::Address(url), _) => url.clone(),
        (Receiver::Subscription(_), Some(subscription)) => subscription.url.clone(),
        (Receiver::Subscription(_), None) => return,
    };
    let now = parts.clock.now();
    let signature = webhooks.key.sign(
        subscription.as_ref(),
        &delivery.owner,
        delivery.id,
        now,
        &delivery.body,
    );
    let post = Post::new(Secret::new(url), delivery.id, now, signature, delivery.body);
    let late = now.saturating_add(ANSWER_TIME).saturating_add(PAUSE);
    let outcome = tokio::select! {
        outcome = webhooks.transport.post(post) => outcome,
        () = parts.clock.sleep_until(late) => Outcome::Unanswered("no answer within the time limit".to_owned()),
    };
    let attempted = Attempted {
        delivery: delivery.id,
        epoch,
        at: parts.clock.now(),
        outcome,
        chance: parts.entropy.chance(),
    };
    match webhooks.store.record(&attempted).await {
        Ok(Some(settled)) => {
            if let DeliveryState::Dead { why, .. } = settled.delivery.state {
                warn!(delivery = %delivery.id, why = why.name(), "a webhook was given up");
            }
            if let Some(disabled) = settled.disabled
                && let Some((_, why)) = disabled.disabled
            {
                warn!(subscription = %disabled.id, why = why.name(), "a webhook subscription was disabled");
            }
        }
        Ok(None) => debug!(delivery = %delivery.id, "a webhook was taken over while it was sent"),
        Err(error) => {
            warn!(delivery = %delivery.id, error = %Chain(&error), "a webhook's answer was not recorded");
        }
    }
}

async fn sweep(webhooks: &Webhooks, now: Timestamp) {
    let before = Timestamp::from_millis(
        now.as_millis()
            .saturating_sub(i64::try_from(KEPT.as_millis()).unwrap_or(i64::MAX)),
    );
    if let Err(error) = webhooks.store.forget_deliveries(before, SWEPT).await {
        warn!(error = %Chain(&error), "old webhooks could not be removed");
    }
}

fn note_panic(done: Result<(), tokio::task::JoinError>) {
    if let Err(error) = done
        && error.is_panic()
    {
        tracing::error!(%error, "sending a webhook panicked; it is sent again when its lease has run out");
    }
}
