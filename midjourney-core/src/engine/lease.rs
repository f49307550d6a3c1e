//! Keeps a worker's lease alive while it works.

use std::{future::Future, time::Duration};

use tracing::warn;

use super::Parts;
use crate::{
    error::Chain,
    job::{Lease, StoreError},
};

/// Runs `work` and extends `lease` every third of its length meanwhile.
///
/// The work is never cut off: what it finds out must be committed, and the commit itself is fenced. A lost lease
/// therefore only ends the extending.
pub(super) async fn while_held<T>(
    parts: &Parts,
    lease: &mut Lease,
    length: Duration,
    work: impl Future<Output = T>,
) -> T {
    tokio::pin!(work);
    loop {
        let next = parts.clock.now().saturating_add(length / 3);
        tokio::select! {
            biased;
            done = &mut work => return done,
            () = parts.clock.sleep_until(next) => {}
        }
        match parts
            .jobs
            .extend(lease, parts.clock.now().saturating_add(length))
            .await
        {
            Ok(extended) => *lease = extended,
            Err(StoreError::LeaseLost(_)) => return work.await,
            Err(error) => warn!(error = %Chain(&error), "the lease could not be extended; trying again"),
        }
    }
}
