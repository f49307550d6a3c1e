//! Wakes those who wait for a job.
//!
//! One task reads the store's events in order and wakes the watchers of the jobs they tell about; the watchers then
//! read what is new themselves. So ten thousand watchers cost one reader, and a slow watcher holds no memory but its own.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use tokio::{sync::Notify, task::AbortHandle};
use tracing::warn;

use crate::{
    clock::Clock,
    error::Chain,
    id::JobId,
    job::{Event, JobStore, Position, StoreError},
};

/// How many events are read at once.
const BATCH: usize = 512;
/// The wait after the store failed.
const AFTER_FAILURE: Duration = Duration::from_millis(500);

type Bells = Mutex<HashMap<JobId, Vec<Weak<Notify>>>>;

#[derive(Debug)]
pub(super) struct Hub {
    jobs: Arc<dyn JobStore>,
    clock: Arc<dyn Clock>,
    waiting: Arc<Bells>,
    /// Started with the first watcher: a gateway that nobody watches reads nothing.
    reader: tokio::sync::Mutex<Option<AbortHandle>>,
}

/// A watcher's place in the hub; leaving is dropping it.
#[derive(Debug)]
pub(super) struct Seat {
    job: JobId,
    bell: Arc<Notify>,
    /// Keeps the reader alive: a watcher may outlive the gateway it came from.
    hub: Arc<Hub>,
}

impl Seat {
    /// Returns once there may be news since the last call, at once if there was some in between.
    pub(super) async fn rung(&self) {
        self.bell.notified().await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut waiting = self.hub.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bells) = waiting.get_mut(&self.job) {
            bells.retain(|bell| !std::ptr::eq(bell.as_ptr(), Arc::as_ptr(&self.bell)));
            if bells.is_empty() {
                waiting.remove(&self.job);
            }
        }
    }
}

impl Hub {
    pub(super) fn new(jobs: Arc<dyn JobStore>, clock: Arc<dyn Clock>) -> Self {
        Self {
            jobs,
            clock,
            waiting: Arc::default(),
            reader: tokio::sync::Mutex::default(),
        }
    }

    /// Takes a seat. What is committed after this returns rings its bell; what came before must be read.
    pub(super) async fn join(self: &Arc<Self>, job: JobId) -> Result<Seat, StoreError> {
        let bell = Arc::new(Notify::new());
        {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.entry(job).or_default().push(Arc::downgrade(&bell));
        }
        let seat = Seat {
            job,
            bell,
            hub: Arc::clone(self),
        };
        let mut reader = self.reader.lock().await;
        if reader.as_ref().is_none_or(AbortHandle::is_finished) {
            // The place is fixed before the caller reads the job, so nothing falls between the two.
            let from = self.jobs.head().await?;
            let task = read(
                Arc::clone(&self.jobs),
                Arc::clone(&self.clock),
                Arc::clone(&self.waiting),
                from,
            );
            *reader = Some(tokio::spawn(task).abort_handle());
        }
        Ok(seat)
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        if let Some(reader) = self.reader.get_mut() {
            reader.abort();
        }
    }
}

async fn read(jobs: Arc<dyn JobStore>, clock: Arc<dyn Clock>, waiting: Arc<Bells>, mut after: Position) {
    let mut changes = jobs.changes();
    loop {
        changes.mark_unchanged();
        match jobs.events(after, BATCH).await {
            Ok(events) => {
                let more = events.len() == BATCH;
                after = events.last().map_or(after, |event| event.position);
                ring(&waiting, &events);
                if !more && changes.changed().await.is_err() {
                    return;
                }
            }
            Err(error) => {
                warn!(error = %Chain(&error), "events could not be read; trying again");
                clock.sleep_until(clock.now().saturating_add(AFTER_FAILURE)).await;
                // One row that cannot be read must not silence all watchers for good: what is behind the new place
                // they read themselves, each of its own job.
                if let Ok(head) = jobs.head().await {
                    after = head;
                    ring_all(&waiting);
                }
            }
        }
    }
}

fn ring_all(waiting: &Bells) {
    let waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
    let bells = waiting.values().flatten();
    bells.filter_map(Weak::upgrade).for_each(|bell| bell.notify_one());
}

fn ring(waiting: &Bells, events: &[Event]) {
    let waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
    for event in events {
        let bells = waiting.get(&event.job).into_iter().flatten();
        bells.filter_map(Weak::upgrade).for_each(|bell| bell.notify_one());
    }
}
