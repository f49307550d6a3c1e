//! Keeps a worker's lease alive while it works.

use std::{future::Future, pin::Pin, time::Duration};

use tracing::warn;

use super::Parts;
use crate::{
    error::Chain,
    job::{Lease, StoreError},
};

/// Runs `work` and extends `lease` every third of its length meanwhile. `None` where the lease is lost; the work can
/// go on or be dropped then.
pub(super) async fn while_held<T>(
    parts: &Parts,
    lease: &mut Lease,
    length: Duration,
    mut work: Pin<&mut impl Future<Output = T>>,
) -> Option<T> {
    loop {
        let next = parts.clock.now().saturating_add(length / 3);
        tokio::select! {
            biased;
            done = &mut work => return Some(done),
            () = parts.clock.sleep_until(next) => {}
        }
        match parts
            .jobs
            .extend(lease, parts.clock.now().saturating_add(length))
            .await
        {
            Ok(extended) => *lease = extended,
            Err(StoreError::LeaseLost(_)) => return None,
            Err(error) => warn!(error = %Chain(&error), "the lease could not be extended; trying again"),
        }
    }
}
