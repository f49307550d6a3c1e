//! Tells others' servers what happened to jobs: signed webhooks, sent until they arrive.
//!
//! - A [`Subscription`] says who wants to be told what; a job may also name an address of its own.
//! - The events of the job store are the outbox: each is written in the transaction of the change that it tells. The
//!   [engine](crate::engine)'s relay reads them in order and turns each into one [`Delivery`] for everyone who wants it, in
//!   one transaction with its own place in the order. So none is lost and none is made twice, and jobs wait for nobody.
//! - The engine's sender posts what is due, signed as Standard Webhooks 1.0 has it, and [`settle`] says what follows: a
//!   pure function, which every store runs within its transaction.
//!
//! What arrives, arrives at least once and in any order: [`DeliveryId`](crate::id::DeliveryId) tells repetitions, the
//! job's `sequence` the order.

mod message;
mod record;
mod settle;
mod signature;
mod store;
mod subscription;
mod transport;

use std::{fmt, sync::Arc};

pub use message::{AccountNotice, ImageLink, MAX_BODY, Message, MessageData};
pub use record::{DeadReason, Delivery, DeliveryState, Outcome, Receiver};
pub use settle::{Attempted, DISABLED_AFTER, LONGEST_PAUSE, SCHEDULE, Settled, settle};
pub use signature::{SECRET_OVERLAP, SigningKey};
pub use store::{
    ClaimedDelivery, DeliveryClaim, DeliveryQuery, DeliveryStore, SOCKETS_EACH, SubscriptionChange,
};
pub use subscription::{ACCOUNT_CONDITION, DisabledReason, EventFilter, Subscription};
pub use transport::{ANSWER_TIME, Post, Transport};

/// What it takes to send webhooks.
#[derive(Clone)]
#[expect(
    clippy::exhaustive_structs,
    reason = "whoever assembles a gateway must name every part"
)]
pub struct Webhooks {
    /// Where subscriptions and deliveries are kept.
    pub store: Arc<dyn DeliveryStore>,
    /// How messages reach their receivers.
    pub transport: Arc<dyn Transport>,
    /// What messages are signed with.
    pub key: SigningKey,
}

impl fmt::Debug for Webhooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhooks")
            .field("store", &self.store)
            .field("transport", &self.transport)
            .finish_non_exhaustive()
    }
}
