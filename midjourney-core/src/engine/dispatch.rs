//! Finds due jobs and starts a worker for each.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, task::JoinSet};
use tracing::{Instrument as _, debug, info_span, warn};

use super::{EngineConfig, Parts, perform::Worker};
use crate::{error::Chain, id::WorkerId, job::Claim};

/// The longest wait between two looks at the store when nothing is known to be due: what is left of polling.
const LONGEST_IDLE: Duration = Duration::from_secs(5);
/// The wait after other workers took all that was due.
const AFTER_A_MISS: Duration = Duration::from_millis(50);
/// The wait after the store failed.
const AFTER_STORE_FAILURE: Duration = Duration::from_secs(1);

/// Runs until `stopping` turns true, then until the last worker is done.
pub(super) async fn run(
    parts: Arc<Parts>,
    config: EngineConfig,
    worker: WorkerId,
    mut stopping: watch::Receiver<bool>,
) {
    let config = config.workable();
    let accounts = parts.accounts.names();
    let mut changes = parts.jobs.changes();
    // Dropped with this future, which aborts what is still running: that is how `Engine` stops at once.
    let mut workers = JoinSet::new();

    while !*stopping.borrow() {
        // Before looking, so that a change after the look is not missed.
        changes.mark_unchanged();
        let free = config.concurrency.saturating_sub(workers.len());
        let now = parts.clock.now();
        let mut next_look = now.saturating_add(LONGEST_IDLE);
        if free > 0 {
            match parts.jobs.next_due(&accounts).await {
                Ok(Some(due)) if due <= now => {
                    let claim = Claim::new(worker, accounts.clone(), free, now, config.lease);
                    match parts.jobs.claim(claim).await {
                        Ok(claimed) => {
                            // There may be more that is due; where others were faster, there is no hurry.
                            next_look = if claimed.is_empty() {
                                now.saturating_add(AFTER_A_MISS)
                            } else {
                                now
                            };
                            for claimed in claimed {
                                let span = info_span!("job", id = %claimed.job.id);
                                let worker =
                                    Worker::new(Arc::clone(&parts), config, stopping.clone(), claimed);
                                workers.spawn(worker.run().instrument(span));
                            }
                        }
                        Err(error) => {
                            warn!(error = %Chain(&error), "due jobs could not be claimed");
                            next_look = now.saturating_add(AFTER_STORE_FAILURE);
                        }
                    }
                }
                Ok(Some(due)) => next_look = next_look.min(due),
                Ok(None) => {}
                Err(error) => {
                    warn!(error = %Chain(&error), "the store cannot tell what is due");
                    next_look = now.saturating_add(AFTER_STORE_FAILURE);
                }
            }
        }
        let full = workers.len() >= config.concurrency;
        tokio::select! {
            biased;
            _ = stopping.changed() => {}
            Some(done) = workers.join_next() => note_panic(done),
            () = parts.clock.sleep_until(next_look), if !full => {}
            news = changes.changed(), if !full => {
                if news.is_err() {
                    // The store is gone; nothing can be claimed any more.
                    break;
                }
            }
        }
    }
    debug!(running = workers.len(), "no more jobs are taken");
    while let Some(done) = workers.join_next().await {
        note_panic(done);
    }
}

/// A worker that panicked has lost nothing: its job is taken up again when the lease runs out.
fn note_panic(done: Result<(), tokio::task::JoinError>) {
    if let Err(error) = done
        && error.is_panic()
    {
        tracing::error!(%error, "a worker panicked; its job will be taken up again");
    }
}
