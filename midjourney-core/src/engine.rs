//! Does the work: takes due jobs, performs effects, commits what came of them.
//!
//! The engine decides nothing by itself. It asks [`resume`](crate::job::resume) what to do, does it, and lets
//! [`step`](crate::job::step) say where that leads. Any number of engines, in any number of processes, may work on one
//! store: leases keep them apart, and epochs fence off those that were too slow.
//!
//! - `dispatch` finds due jobs and starts a worker for each.
//! - `perform` is one worker: one job, step by step, until it has to wait.
//! - `effects` are the calls to the upstream.
//! - `pictures` gets the pictures of a request ready for its upstream.
//! - `download` brings finished pictures home.
//! - `cut` makes four pictures of a grid that came alone.
//! - `guard` turns a call that panics into one that failed.
//! - `lease` keeps a worker's lease alive while it works.
//!
//! Beside that it sends [webhooks](crate::delivery), where the gateway has any, and tidies up:
//!
//! - `relay` turns events into deliveries.
//! - `sender` sends those that are due.
//! - `clean` removes what is past its time.

mod clean;
#[cfg(feature = "renditions")]
mod cut;
mod dispatch;
mod download;
mod effects;
mod guard;
mod lease;
mod perform;
mod pictures;
mod relay;
mod sender;

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, task::JoinHandle};

pub use self::clean::Cleaned;
pub(crate) use self::clean::{clean, remove_files};
use crate::{
    accounts::Accounts,
    budget::Budgets,
    clock::{Clock, Entropy},
    delivery::Webhooks,
    id::WorkerId,
    image::ImageStore,
    job::{AccountName, JobStore, Policy},
    link::PublicLinks,
    webhook::CallbackRegistration,
};

/// What a gateway is made of.
#[derive(Clone, Debug)]
#[expect(
    clippy::exhaustive_structs,
    reason = "whoever assembles a gateway must name every part"
)]
pub struct Parts {
    /// Where jobs are kept.
    pub jobs: Arc<dyn JobStore>,
    /// Where pictures are kept.
    pub images: Arc<dyn ImageStore>,
    /// The upstreams.
    pub accounts: Accounts,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
    /// Limits and waits.
    pub policy: Policy,
    /// Where upstreams may call back, if anywhere.
    pub callback: Option<CallbackRegistration>,
    /// How others reach our files, if they can.
    pub links: Option<PublicLinks>,
    /// How others are told what happens, if they are.
    pub webhooks: Option<Webhooks>,
}

impl Parts {
    /// What may be spent on an owner's jobs on `account`.
    pub(crate) fn budgets(&self, account: &AccountName) -> Budgets {
        let account = self.accounts.get(account);
        Budgets {
            account: account.map(|account| account.budget).unwrap_or_default(),
            owner: self.policy.owner_budget,
        }
    }
}

/// How an engine works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EngineConfig {
    /// How many jobs it touches at one moment, at least one. Jobs that wait at the upstream do not count. Default 12.
    pub concurrency: usize,
    /// How long a worker that falls silent keeps its job. Should be twice the longest upstream call, and is never less
    /// than a second. Default 2 min.
    pub lease: Duration,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            concurrency: 12,
            lease: Duration::from_secs(120),
        }
    }
}

impl EngineConfig {
    /// An engine that touches up to `concurrency` jobs at a time, each held for `lease`.
    pub const fn new(concurrency: usize, lease: Duration) -> Self {
        Self { concurrency, lease }
    }

    /// The nearest configuration that gets any work done: no workers would mean no work, no lease a busy loop.
    fn workable(self) -> Self {
        Self {
            concurrency: self.concurrency.max(1),
            lease: self.lease.max(Duration::from_secs(1)),
        }
    }
}

/// A running engine. Dropping it stops the engine without waiting for its workers; their jobs are taken up again
/// when their leases run out.
#[derive(Debug)]
pub struct Engine {
    stop: watch::Sender<bool>,
    task: Option<JoinHandle<()>>,
}

impl Engine {
    /// Starts working. Must be called within a tokio runtime.
    pub fn start(parts: Parts, config: EngineConfig) -> Self {
        let (stop, stopping) = watch::channel(false);
        let worker = WorkerId::new(parts.clock.now(), &*parts.entropy);
        let parts = Arc::new(parts);
        let jobs = dispatch::run(Arc::clone(&parts), config, worker, stopping.clone());
        let task = tokio::spawn(async move {
            let clean = clean::run(Arc::clone(&parts), stopping.clone());
            let webhooks = async {
                if let Some(webhooks) = parts.webhooks.clone() {
                    sender::run(parts, webhooks, stopping).await;
                }
            };
            tokio::join!(jobs, webhooks, clean);
        });
        Self {
            stop,
            task: Some(task),
        }
    }

    /// Takes no more jobs and returns once the workers are done, or after `limit`. What is cut off then is taken up
    /// again by the next engine; a submit that was cut off is treated as unknown, never repeated blindly.
    ///
    /// Returns whether all workers were done. **Cancel safety:** dropping the future stops the engine at once.
    pub async fn shutdown(mut self, limit: Duration) -> bool {
        self.stop.send_replace(true);
        // Stays in its place, so that whoever drops this future stops the engine.
        let Some(task) = &mut self.task else {
            return true;
        };
        tokio::time::timeout(limit, task).await.is_ok()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}
