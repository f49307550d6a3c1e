//! The one thread that writes, and how many writes become one commit.
//!
//! A commit at full durability costs one sync of the disk, whether it holds one change or a thousand. So the thread
//! takes everything that waits, runs it in one transaction, and answers all of it after the commit. While one sync
//! runs, the next batch gathers; there is no timer, so a lone caller waits for nobody.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI32, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use midjourney_core::{
    error::{Applied, Retry},
    job::{AccountName, Event, StoreError},
};
use rusqlite::Connection;
use tokio::sync::{oneshot, watch};

use super::{
    error::{BACKEND, Shared, again, classify, failed, is_busy, is_io, is_sync},
    newest::Newest,
    tallies,
};
use crate::rows::tallies::{Changes, Place};

/// SQLite has no notification across processes, so the thread looks this often, at the cost of one read of shared
/// memory, whether another process has committed.
const WATCH: Duration = Duration::from_millis(50);

/// The most commands of one commit, and the most rows: what bounds a caller's wait and the log's growth.
const MAX_COMMANDS: usize = 1024;
const MAX_ROWS: usize = 4096;

/// Pages in the log from which it is copied into the database (16 MB), and how many more to wait for where a reader
/// was in the way.
const CHECKPOINT: i32 = 4000;
const CHECKPOINT_STEP: i32 = 1000;

/// Starts a write transaction; waits up to `limit` for another process that is in one.
///
/// Asks every millisecond. SQLite's own wait grows to 100 ms, and a process that asks so rarely never meets the short
/// gap between two commits of a busy one.
pub(super) fn begin(db: &Connection, limit: Duration) -> rusqlite::Result<()> {
    let mut tries = limit.as_millis();
    loop {
        match db.prepare_cached("BEGIN IMMEDIATE")?.execute([]) {
            Err(error) if is_busy(&error) && tries > 0 => tries = tries.saturating_sub(1),
            other => return other.map(drop),
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// An open write transaction, and what must be done at its end.
pub(super) struct Tx<'a> {
    pub(super) db: &'a Connection,
    tallies: Changes,
    /// The position of the newest event, once one was added.
    position: Option<i64>,
    events: Vec<Event>,
    /// Events were removed.
    rewritten: bool,
    changed: bool,
}

impl Tx<'_> {
    /// The position for one more event. It is noted once for the whole transaction: `AUTOINCREMENT` would note it for
    /// each event.
    pub(super) fn next_position(&mut self) -> rusqlite::Result<i64> {
        let last = match self.position {
            Some(last) => last,
            None => tallies::position(self.db)?,
        };
        let next = last.saturating_add(1);
        self.position = Some(next);
        Ok(next)
    }

    /// Notes an event, for those who follow closely.
    pub(super) fn tell(&mut self, event: Event) {
        self.events.push(event);
    }

    /// Notes that events were removed.
    pub(super) const fn rewritten(&mut self) {
        self.rewritten = true;
    }

    /// Notes that there is something new to see.
    pub(super) const fn changed(&mut self) {
        self.changed = true;
    }

    /// Notes that `by` more jobs are at `place`.
    pub(super) fn count(&mut self, place: Place<'_>, by: i64) {
        self.tallies.count(place, by);
    }

    /// How many jobs of `account` hold a slot.
    pub(super) fn running(&self, account: &AccountName) -> rusqlite::Result<i64> {
        Ok(tallies::running(self.db, account)?.saturating_add(self.tallies.running(account)))
    }

    fn finish(&self) -> rusqlite::Result<()> {
        if let Some(position) = self.position {
            tallies::set_position(self.db, position)?;
        }
        tallies::write(self.db, &self.tallies)
    }
}

/// Why a command did not do its work.
pub(super) enum Refusal {
    /// It may not, and it has written nothing: the rest of the batch goes on.
    Store(StoreError),
    /// The database failed, perhaps half-way.
    Sql(rusqlite::Error),
}

impl From<rusqlite::Error> for Refusal {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Something to do in a write transaction. May be run again after a rollback.
pub(super) trait Command: Send + 'static {
    type Output: Send + 'static;
    const OPERATION: &'static str;

    /// About how many rows it writes.
    fn rows(&self) -> usize {
        1
    }

    fn run(&self, tx: &mut Tx<'_>) -> Result<Self::Output, Refusal>;
}

trait Task: Send {
    fn rows(&self) -> usize;
    fn run(&mut self, tx: &mut Tx<'_>) -> rusqlite::Result<()>;
    /// Tells the caller what came of it, once that is on disk.
    fn settle(self: Box<Self>);
    fn fail(self: Box<Self>, why: &dyn Fn(&'static str) -> StoreError);
}

struct Typed<C: Command> {
    command: C,
    outcome: Option<Result<C::Output, StoreError>>,
    reply: oneshot::Sender<Result<(C, C::Output), StoreError>>,
}

impl<C: Command> Task for Typed<C> {
    fn rows(&self) -> usize {
        self.command.rows()
    }

    fn run(&mut self, tx: &mut Tx<'_>) -> rusqlite::Result<()> {
        // A caller who is gone must not be given jobs that nobody will work on.
        if self.reply.is_closed() {
            return Ok(());
        }
        self.outcome = match self.command.run(tx) {
            Ok(output) => Some(Ok(output)),
            Err(Refusal::Store(error)) => Some(Err(error)),
            Err(Refusal::Sql(error)) => return Err(error),
        };
        Ok(())
    }

    fn settle(self: Box<Self>) {
        let Self {
            command,
            outcome,
            reply,
        } = *self;
        if let Some(outcome) = outcome {
            // The caller may have gone meanwhile.
            drop(reply.send(outcome.map(|output| (command, output))));
        }
    }

    fn fail(self: Box<Self>, why: &dyn Fn(&'static str) -> StoreError) {
        drop(self.reply.send(Err(why(C::OPERATION))));
    }
}

/// The handle to the thread. Dropping it lets the thread finish what waits, and end.
pub(super) struct Writer {
    inbox: Sender<Box<dyn Task>>,
    thread: JoinHandle<()>,
    stopped: watch::Receiver<Option<Shared>>,
}

impl Writer {
    pub(super) fn start(
        mut db: Connection,
        path: Arc<std::path::Path>,
        limit: Duration,
        changes: watch::Sender<u64>,
        newest: Arc<Newest>,
    ) -> Result<Self, StoreError> {
        let start = |error| failed("starting the writer", Applied::No, Retry::Never, error);
        let pages = Arc::new(AtomicI32::new(0));
        let noted = Arc::clone(&pages);
        db.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, count| {
            noted.store(count, Ordering::Relaxed);
            Ok(())
        }))
        .map_err(|error| classify(&path, "starting the writer", Applied::No, error))?;
        // Before anybody can have subscribed: what others commit from here on is news.
        let seen =
            data_version(&db).map_err(|error| classify(&path, "starting the writer", Applied::No, error))?;
        let (inbox, tasks) = mpsc::channel();
        let (stopped, has_stopped) = watch::channel(None);
        let worker = Worker {
            newest,
            db,
            path,
            limit,
            changes,
            seen,
            pages,
            checkpoint_at: CHECKPOINT,
            stopped,
        };
        let thread = thread::Builder::new()
            .name("sqlite-writer".to_owned())
            .spawn(move || worker.work(&tasks))
            .map_err(|error| start(Shared::new(error.to_string())))?;
        Ok(Self {
            inbox,
            thread,
            stopped: has_stopped,
        })
    }

    /// Has `command` run and committed.
    pub(super) async fn run<C: Command>(&self, command: C) -> Result<C::Output, StoreError> {
        let (_, output) = self.run_and_return(command).await?;
        Ok(output)
    }

    /// The same, giving the command back: what a thread has allocated is cheapest to free there, and some of it can be
    /// used again.
    pub(super) async fn run_and_return<C: Command>(&self, command: C) -> Result<(C, C::Output), StoreError> {
        let (reply, answer) = oneshot::channel();
        let task = Typed {
            command,
            outcome: None,
            reply,
        };
        let gone = |applied| {
            failed(
                C::OPERATION,
                applied,
                Retry::Never,
                Shared::new("the writer has ended"),
            )
        };
        if self.inbox.send(Box::new(task)).is_err() {
            return Err(gone(Applied::No));
        }
        answer.await.unwrap_or_else(|_| Err(gone(Applied::Maybe)))
    }

    /// Returns once nothing more is written.
    pub(super) async fn stopped(&self) {
        // A thread that is gone writes nothing more either.
        drop(self.stopped.clone().wait_for(Option::is_some).await);
    }

    /// Whether nothing more is written.
    pub(super) fn has_stopped(&self) -> bool {
        self.stopped.borrow().is_some() || self.stopped.has_changed().is_err()
    }

    /// Waits until all is written and the file is closed.
    pub(super) fn join(self) {
        drop(self.inbox);
        // A thread that panicked has closed its connection as well.
        drop(self.thread.join());
    }
}

/// Where a transaction failed.
enum Fault {
    Begin(rusqlite::Error),
    Run(rusqlite::Error),
    Commit(rusqlite::Error),
}

struct Worker {
    newest: Arc<Newest>,
    db: Connection,
    path: Arc<std::path::Path>,
    limit: Duration,
    changes: watch::Sender<u64>,
    /// The number that SQLite changes whenever another connection has committed.
    seen: i64,
    pages: Arc<AtomicI32>,
    checkpoint_at: i32,
    /// Set for good once a sync has failed: what is on disk is unknown from there on.
    stopped: watch::Sender<Option<Shared>>,
}

impl Worker {
    fn work(mut self, inbox: &Receiver<Box<dyn Task>>) {
        loop {
            match inbox.recv_timeout(WATCH) {
                Ok(first) => {
                    let batch = gather(first, inbox);
                    self.perform(batch);
                    self.checkpoint();
                }
                Err(RecvTimeoutError::Timeout) => self.look(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn perform(&mut self, mut batch: Vec<Box<dyn Task>>) {
        if let Some(reason) = self.stopped.borrow().clone() {
            return fail(batch, &|_| StoreError::Stopped {
                backend: BACKEND,
                source: reason.clone().into(),
            });
        }
        match self.transact(&mut batch) {
            Ok(news) => {
                if news {
                    self.announce();
                }
                for task in batch {
                    task.settle();
                }
            }
            // One of them, or the disk: alone, each gets its own answer.
            Err(Fault::Run(_)) if batch.len() > 1 && !self.has_stopped() => {
                for task in batch {
                    self.perform(vec![task]);
                }
            }
            Err(fault) => self.refuse(batch, fault),
        }
    }

    fn refuse(&self, batch: Vec<Box<dyn Task>>, fault: Fault) {
        let (applied, error) = match fault {
            Fault::Begin(error) | Fault::Run(error) => (Applied::No, error),
            // The log may hold the commit, and a restart may find it there.
            Fault::Commit(error) => (Applied::Maybe, error),
        };
        fail(batch, &|operation| {
            classify(&self.path, operation, applied, again(&error))
        });
    }

    /// Runs all of `batch` in one transaction; true where there is something new to see.
    fn transact(&mut self, batch: &mut [Box<dyn Task>]) -> Result<bool, Fault> {
        begin(&self.db, self.limit).map_err(Fault::Begin)?;
        match self.run_all(batch) {
            Ok(news) => Ok(news),
            Err(fault) => {
                match &fault {
                    Fault::Commit(error) if is_io(error) => self.stop(error.to_string()),
                    Fault::Run(error) if is_sync(error) => self.stop(error.to_string()),
                    _ => {}
                }
                if !self.db.is_autocommit()
                    && let Err(error) = self.db.execute_batch("ROLLBACK")
                {
                    self.stop(error.to_string());
                }
                Err(fault)
            }
        }
    }

    fn run_all(&mut self, batch: &mut [Box<dyn Task>]) -> Result<bool, Fault> {
        let news = self.others_committed().map_err(Fault::Run)?;
        if news {
            self.newest.forget();
        }
        let mut tx = Tx {
            db: &self.db,
            tallies: Changes::default(),
            position: None,
            events: Vec::new(),
            rewritten: false,
            changed: false,
        };
        for task in batch {
            task.run(&mut tx).map_err(Fault::Run)?;
        }
        tx.finish().map_err(Fault::Run)?;
        let news = news || tx.changed;
        let (events, rewritten) = (tx.events, tx.rewritten);
        self.db
            .prepare_cached("COMMIT")
            .and_then(|mut commit| commit.execute([]))
            .map_err(Fault::Commit)?;
        if rewritten {
            self.newest.forget();
        }
        self.newest.add(events);
        Ok(news)
    }

    fn stop(&mut self, reason: String) {
        tracing::error!(
            path = %self.path.display(), reason,
            "the disk failed to keep a commit; nothing more is written until a restart"
        );
        self.stopped.send_replace(Some(Shared::new(reason)));
    }

    fn has_stopped(&self) -> bool {
        self.stopped.borrow().is_some()
    }

    fn others_committed(&mut self) -> rusqlite::Result<bool> {
        let now = data_version(&self.db)?;
        Ok(std::mem::replace(&mut self.seen, now) != now)
    }

    fn look(&mut self) {
        // A lock that is held just now is met again in a moment.
        if self.changes.receiver_count() > 0 && self.others_committed().unwrap_or(false) {
            self.newest.forget();
            self.announce();
        }
    }

    fn announce(&self) {
        self.changes
            .send_modify(|number| *number = number.saturating_add(1));
    }

    /// Copies a long log into the database, after the answers and before the next batch.
    fn checkpoint(&mut self) {
        if self.pages.load(Ordering::Relaxed) < self.checkpoint_at || self.has_stopped() {
            return;
        }
        let result = self.db.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
            Ok((row.get::<_, i32>(1)?, row.get::<_, i32>(2)?))
        });
        match result {
            Ok((log, copied)) if log == copied => self.checkpoint_at = CHECKPOINT,
            Ok((log, _)) => self.checkpoint_at = log.saturating_add(CHECKPOINT_STEP),
            Err(error) if is_sync(&error) => self.stop(error.to_string()),
            Err(error) => {
                tracing::warn!(%error, "the write-ahead log could not be copied into the database yet");
                let pages = self.pages.load(Ordering::Relaxed);
                self.checkpoint_at = pages.saturating_add(CHECKPOINT_STEP);
            }
        }
    }
}

fn data_version(db: &Connection) -> rusqlite::Result<i64> {
    db.prepare_cached("PRAGMA data_version")?
        .query_row([], |row| row.get(0))
}

fn gather(first: Box<dyn Task>, inbox: &Receiver<Box<dyn Task>>) -> Vec<Box<dyn Task>> {
    let mut rows = first.rows();
    let mut batch = vec![first];
    while batch.len() < MAX_COMMANDS && rows < MAX_ROWS {
        let Ok(next) = inbox.try_recv() else { break };
        rows = rows.saturating_add(next.rows());
        batch.push(next);
    }
    batch
}

fn fail(batch: Vec<Box<dyn Task>>, why: &dyn Fn(&'static str) -> StoreError) {
    for task in batch {
        task.fail(why);
    }
}

#[cfg(test)]
mod tests;
