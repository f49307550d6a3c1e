//! Connections that only read. They see the last commit and never wait for the writer.

use std::{
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, TryLockError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use midjourney_core::{
    error::{Applied, Retry},
    job::StoreError,
};
use rusqlite::Connection;

use super::error::{Shared, classify, failed, is_busy};

/// Rows up to which a read is done on the caller's thread.
///
/// Measured: a point read takes 6 µs, a page of 50 rows 125 µs with its decoding, and handing either to another thread
/// and back 100 µs and more on a busy machine. Longer reads would hold up the other tasks of the thread.
const INLINE_ROWS: usize = 64;

/// The connections of one store.
pub(super) struct Readers {
    path: Arc<Path>,
    limit: Duration,
    slots: Box<[Mutex<Connection>]>,
    next: AtomicUsize,
}

impl Readers {
    pub(super) fn new(path: Arc<Path>, limit: Duration, connections: Vec<Connection>) -> Self {
        Self {
            path,
            limit,
            slots: connections.into_iter().map(Mutex::new).collect(),
            next: AtomicUsize::new(0),
        }
    }

    /// Runs `query`, which gives about `rows` rows.
    pub(super) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        operation: &'static str,
        rows: usize,
        query: impl Fn(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        if rows <= INLINE_ROWS
            && let Some(answer) = self.at_once(&query)
        {
            return answer.map_err(|error| self.failed(operation, error));
        }
        let readers = Arc::clone(self);
        match tokio::task::spawn_blocking(move || readers.patiently(&query)).await {
            Ok(answer) => answer.map_err(|error| self.failed(operation, error)),
            Err(_) => Err(failed(
                operation,
                Applied::No,
                Retry::Soon,
                Shared::new("the read was broken off"),
            )),
        }
    }

    fn failed(&self, operation: &'static str, error: rusqlite::Error) -> StoreError {
        classify(&self.path, operation, Applied::No, error)
    }

    /// `None` where it would have to wait: for a connection, or for another process that repairs the log.
    fn at_once<T>(&self, query: &impl Fn(&Connection) -> rusqlite::Result<T>) -> Option<rusqlite::Result<T>> {
        let free = self.slots.iter().find_map(|slot| match slot.try_lock() {
            Ok(db) => Some(db),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        })?;
        match query(&free) {
            Err(error) if is_busy(&error) => None,
            answer => Some(answer),
        }
    }

    fn patiently<T>(&self, query: &impl Fn(&Connection) -> rusqlite::Result<T>) -> rusqlite::Result<T> {
        let Some(db) = self.any() else {
            return Err(rusqlite::Error::InvalidQuery);
        };
        let mut tries = self.limit.as_millis();
        loop {
            match query(&db) {
                Err(error) if is_busy(&error) && tries > 0 => tries = tries.saturating_sub(1),
                answer => return answer,
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// A free connection, or the next one in turn once it is free. There is always at least one.
    fn any(&self) -> Option<MutexGuard<'_, Connection>> {
        let free = self.slots.iter().find_map(|slot| slot.try_lock().ok());
        free.or_else(|| {
            let turn = self.next.fetch_add(1, Ordering::Relaxed);
            let slot = self.slots.get(turn.checked_rem(self.slots.len())?)?;
            Some(slot.lock().unwrap_or_else(PoisonError::into_inner))
        })
    }
}
