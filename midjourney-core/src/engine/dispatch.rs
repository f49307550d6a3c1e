//! Finds due jobs and starts a worker for each.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use tokio::{sync::watch, task::JoinSet};
use tracing::{Instrument as _, debug, info_span, warn};

use super::{EngineConfig, Parts, perform::Worker};
use crate::{
    accounts::Account,
    clock::Timestamp,
    error::Chain,
    id::WorkerId,
    job::{AccountName, Claim, Claimed, Share, Status, is_due},
};

/// How many jobs are taken from an account that takes none, to be moved.
const MOVED_AT_ONCE: usize = 4;
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
    let mut changes = parts.jobs.changes();
    let mut crew = Crew::new(&parts, config, stopping.clone());

    while !*stopping.borrow() {
        // Before looking, so that a change after the look is not missed.
        changes.mark_unchanged();
        let free = crew.free();
        let now = parts.clock.now();
        let mut next_look = now.saturating_add(LONGEST_IDLE);
        if free > 0 {
            let (shares, look) = shares(&parts, &crew, now).await;
            next_look = next_look.min(look.unwrap_or(next_look));
            match parts.jobs.next_due(&shares).await {
                Ok(Some(due)) if is_due(due, now) => {
                    let claim = Claim::new(worker, shares, free, now, config.lease);
                    match parts.jobs.claim(claim).await {
                        Ok(claimed) => {
                            // There may be more that is due; where others were faster, there is no hurry.
                            next_look = if claimed.is_empty() {
                                now.saturating_add(AFTER_A_MISS)
                            } else {
                                now
                            };
                            for claimed in claimed {
                                crew.put_to_work(claimed, now);
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
        let full = crew.free() == 0;
        tokio::select! {
            biased;
            _ = stopping.changed() => {}
            Some(done) = crew.workers.join_next() => note_panic(done),
            () = parts.clock.sleep_until(next_look), if !full => {}
            news = changes.changed(), if !full => {
                if news.is_err() {
                    // The store is gone; nothing can be claimed any more.
                    break;
                }
            }
        }
    }
    debug!(running = crew.workers.len(), "no more jobs are taken");
    while let Some(done) = crew.workers.join_next().await {
        note_panic(done);
    }
}

/// The workers of one engine, and for which account each is busy. One account whose calls hang must not take up all of
/// them: the others' jobs would wait as long as its calls do.
struct Crew {
    parts: Arc<Parts>,
    config: EngineConfig,
    stopping: watch::Receiver<bool>,
    /// Dropped with this, which aborts what is still running: that is how `Engine` stops at once.
    workers: JoinSet<()>,
    /// One clone for each worker.
    busy: HashMap<AccountName, Arc<()>>,
}

impl Crew {
    fn new(parts: &Arc<Parts>, config: EngineConfig, stopping: watch::Receiver<bool>) -> Self {
        Self {
            parts: Arc::clone(parts),
            config,
            stopping,
            workers: JoinSet::new(),
            busy: HashMap::new(),
        }
    }

    fn free(&self) -> usize {
        self.config.concurrency.saturating_sub(self.workers.len())
    }

    /// How many more may work for `account`: half of all where there are others, one at a time where its calls hang.
    fn free_for(&self, account: &AccountName) -> usize {
        let accounts = &self.parts.accounts;
        let most = match accounts.all().len() {
            0 | 1 => self.config.concurrency,
            _ if accounts.hangs(account) => 1,
            _ => self.config.concurrency.div_ceil(2),
        };
        let busy = self.busy.get(account).map_or(0, Arc::strong_count);
        most.saturating_sub(busy.saturating_sub(1))
    }

    fn put_to_work(&mut self, claimed: Claimed, now: Timestamp) {
        let (parts, account) = (Arc::clone(&self.parts), claimed.job.account.clone());
        let span = info_span!("job", id = %claimed.job.id);
        let starts = claimed.job.status() == Status::Pending;
        let starting = starts.then(|| parts.accounts.start(&account, now).ok()).flatten();
        let worker = Worker::new(parts, self.config, self.stopping.clone(), claimed, starting);
        let hand = Arc::clone(self.busy.entry(account).or_default());
        let run = async move {
            worker.run().await;
            drop(hand);
        };
        self.workers.spawn(run.instrument(span));
    }
}

/// What may be taken of each account's work, and when an account that gets none now may get some.
async fn shares(parts: &Parts, crew: &Crew, now: Timestamp) -> (Vec<Share>, Option<Timestamp>) {
    let mut shares = Vec::new();
    let mut look: Option<Timestamp> = None;
    let starting = parts.accounts.about_to_start();
    let live = if parts.accounts.all().iter().any(|one| one.limits.slots.is_some()) {
        parts.jobs.live().await
    } else {
        Ok(BTreeMap::new())
    };
    if let Err(error) = &live {
        warn!(error = %Chain(error), "the store cannot tell what is under way");
    }
    for account in parts.accounts.all() {
        let busy = live.as_ref().map_or(usize::MAX, |live| {
            let running = live.get(&account.name).map_or(0, |live| live.running);
            let starting = starting.get(&account.name).copied().unwrap_or(0);
            usize::try_from(running)
                .unwrap_or(usize::MAX)
                .saturating_add(starting)
        });
        let starts = match parts.accounts.starts(account, busy, now) {
            Ok(starts) => starts,
            Err(until) => {
                look = Some(look.map_or(until, |look| look.min(until)));
                // What waits there may move to another account, a few at a time.
                let others = parts
                    .accounts
                    .all()
                    .iter()
                    .filter(|other| other.name != account.name);
                let open = |other: &Account| parts.accounts.waits_until(&other.name, now).is_none();
                if others.clone().any(open) {
                    MOVED_AT_ONCE
                } else {
                    0
                }
            }
        };
        shares.push(Share {
            account: account.name.clone(),
            starts,
            most: crew.free_for(&account.name),
        });
    }
    (shares, look)
}

/// A worker that panicked has lost nothing: its job is taken up again when the lease runs out.
fn note_panic(done: Result<(), tokio::task::JoinError>) {
    if let Err(error) = done
        && error.is_panic()
    {
        tracing::error!(%error, "a worker panicked; its job will be taken up again");
    }
}
