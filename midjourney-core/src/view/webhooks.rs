//! Subscriptions and deliveries as they are shown.

use serde::Serialize;

use crate::{
    clock::Timestamp,
    delivery::{Delivery, DeliveryState, Outcome, Receiver, Subscription},
    id::{DeliveryId, JobId, SubscriptionId},
};

/// Somebody's wish to be told about jobs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct SubscriptionView {
    /// Its id.
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "sub_019ab3c0d1e27f3a8b4c5d6e7f8091a2"))]
    pub id: SubscriptionId,
    /// Where messages go.
    #[cfg_attr(feature = "openapi", schema(example = "https://shop.example/midjourney"))]
    pub url: String,
    /// About which events.
    pub events: Vec<&'static str>,
    /// Whether it gets any.
    pub enabled: bool,
    /// Why it gets none: `by_hand`, `gone` (the receiver answered 410) or `failing` (nothing arrived for 120 hours).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disabled_reason: Option<&'static str>,
    /// Since when it gets none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub disabled_at: Option<Timestamp>,
    /// Since when nothing has arrived, if the last message did not.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub failing_since: Option<Timestamp>,
    /// When it was made.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub created_at: Timestamp,
    /// When it got the secret that it has.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub secret_since: Timestamp,
}

impl SubscriptionView {
    /// What is shown of a subscription.
    pub fn of(subscription: &Subscription) -> Self {
        let (disabled_at, reason) = subscription.disabled.unzip();
        Self {
            id: subscription.id,
            url: subscription.url.clone(),
            events: subscription.events.names(),
            enabled: disabled_at.is_none(),
            disabled_reason: reason.map(crate::delivery::DisabledReason::name),
            disabled_at,
            failing_since: subscription.failing_since,
            created_at: subscription.created,
            secret_since: subscription.rotated,
        }
    }
}

/// A message to somebody, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct DeliveryView {
    /// Its id, which the receiver gets as `webhook-id`.
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "msg_019ab3c0d1e27f3a8b4c5d6e7f8091a2"))]
    pub id: DeliveryId,
    /// What it tells: the name of an event, or `webhook.test`.
    #[serde(rename = "type")]
    #[cfg_attr(feature = "openapi", schema(example = "job.completed"))]
    pub kind: String,
    /// The subscription that it goes to; absent where the job named an address of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub subscription: Option<SubscriptionId>,
    /// The scheme, host and port of the address that the job named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receiver: Option<String>,
    /// The job that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub job: Option<JobId>,
    /// `waiting`, `delivered` or `dead`.
    pub state: &'static str,
    /// When it is tried next.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub next_attempt_at: Option<Timestamp>,
    /// When it arrived.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub delivered_at: Option<Timestamp>,
    /// Why it is dead: `exhausted` (tried eight times), `gone` (the receiver answered 410) or `disabled`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dead_reason: Option<&'static str>,
    /// How often it was tried, since it was made or replayed.
    pub attempts: u32,
    /// The last try.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_attempt: Option<AttemptView>,
    /// When it was made.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub created_at: Timestamp,
}

/// A try to deliver a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct AttemptView {
    /// When it was over.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub at: Timestamp,
    /// The HTTP status of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Why there was no answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl DeliveryView {
    /// What is shown of a delivery.
    pub fn of(delivery: &Delivery) -> Self {
        let (next, delivered, dead) = match delivery.state {
            DeliveryState::Waiting { due } => (Some(due), None, None),
            DeliveryState::Delivered { at } => (None, Some(at), None),
            DeliveryState::Dead { why, .. } => (None, None, Some(why.name())),
        };
        Self {
            id: delivery.id,
            kind: delivery.kind.clone(),
            subscription: delivery.receiver.subscription(),
            receiver: match &delivery.receiver {
                Receiver::Address(_) => Some(delivery.receiver.lane()),
                Receiver::Subscription(_) => None,
            },
            job: delivery.job,
            state: delivery.state.name(),
            next_attempt_at: next,
            delivered_at: delivered,
            dead_reason: dead,
            attempts: delivery.attempts,
            last_attempt: delivery.last.as_ref().map(|(at, outcome)| AttemptView {
                at: *at,
                status: match outcome {
                    Outcome::Answered { status, .. } => Some(*status),
                    Outcome::Unanswered(_) => None,
                },
                error: match outcome {
                    Outcome::Answered { .. } => None,
                    Outcome::Unanswered(why) => Some(why.clone()),
                },
            }),
            created_at: delivery.created,
        }
    }
}
