//! The one task of a node that writes, and how many writes become one commit.
//!
//! A commit costs one sync of the server's disk, whether it holds one change or a thousand. So the task takes everything
//! that waits, runs it in one transaction, and answers all of it after the commit. While one commit runs, the next batch
//! gathers; there is no timer, so a lone caller waits for nobody.
//!
//! Nodes take turns: a transaction begins with the lock on the row of the newest position. Whatever is read under it still
//! holds when it commits, and positions come in the order of commits.
//!
//! Where the connection is lost in the middle of a commit, nobody was told yet what came of it. The database knows: each
//! transaction leaves the number of its turn there, and it is looked for over a new connection.

use std::time::Duration;

use deadpool_postgres::Object;
use futures_util::future::BoxFuture;
use midjourney_core::{
    error::{Applied, Retry},
    job::{AccountName, StoreError},
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
    time::{Instant, sleep},
};
use tokio_postgres::Error;

use super::{
    db::Db,
    error::{Shared, classify_again, failed, is_lost, is_passing},
    link::{Link, within},
    listen::CHANNEL,
    tallies,
    turns::Turns,
};
use crate::rows::tallies::{Changes, Place};

/// The most commands of one commit, and the most rows: what bounds a caller's wait.
const MAX_COMMANDS: usize = 1_024;
const MAX_ROWS: usize = 4_096;

/// How long one node goes on adding to its transaction while the others wait for their turn: as much as a slow line lets
/// through in that time.
const TURN: Duration = Duration::from_millis(500);

/// The wait before another try to connect.
const AGAIN: Duration = Duration::from_millis(100);

/// An open write transaction, and what must be done at its end.
pub(super) struct Tx<'a> {
    pub(super) db: Db<'a>,
    tallies: Changes,
    /// The position of the newest event.
    position: i64,
    told: bool,
    changed: bool,
}

impl Tx<'_> {
    /// The position for one more event.
    pub(super) const fn next_position(&mut self) -> i64 {
        self.position = self.position.saturating_add(1);
        self.told = true;
        self.position
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
    pub(super) async fn running(&self, account: &AccountName) -> Result<i64, Error> {
        let stored = tallies::running(self.db, account).await?;
        Ok(stored.saturating_add(self.tallies.running(account)))
    }

    async fn finish(&self) -> Result<(), Error> {
        if self.told {
            tallies::set_position(self.db, self.position).await?;
        }
        tallies::write(self.db, &self.tallies).await?;
        if self.changed {
            self.db.execute(&format!("NOTIFY {CHANNEL}"), &[]).await?;
        }
        Ok(())
    }
}

/// Why a command did not do its work.
pub(super) enum Refusal {
    /// It may not, and it has written nothing: the rest of the batch goes on.
    Store(StoreError),
    /// The database failed.
    Sql(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Sql(error)
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Something to do in a write transaction. May be run again after a rollback.
pub(super) trait Command: Send + Sync + 'static {
    type Output: Send + 'static;
    const OPERATION: &'static str;

    /// About how many rows it writes.
    fn rows(&self) -> usize {
        1
    }

    fn run(&self, tx: &mut Tx<'_>) -> impl Future<Output = Result<Self::Output, Refusal>> + Send;
}

trait Task: Send {
    fn rows(&self) -> usize;
    fn run<'a>(&'a mut self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<(), Error>>;
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

    fn run<'a>(&'a mut self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<(), Error>> {
        Box::pin(async move {
            self.outcome = match self.command.run(tx).await {
                Ok(output) => Some(Ok(output)),
                Err(Refusal::Store(error)) => Some(Err(error)),
                Err(Refusal::Sql(error)) => return Err(error),
            };
            Ok(())
        })
    }

    fn settle(self: Box<Self>) {
        let Self {
            command,
            outcome,
            reply,
        } = *self;
        if let Some(outcome) = outcome {
            // Nobody has to wait for the answer.
            drop(reply.send(outcome.map(|output| (command, output))));
        }
    }

    fn fail(self: Box<Self>, why: &dyn Fn(&'static str) -> StoreError) {
        drop(self.reply.send(Err(why(C::OPERATION))));
    }
}

/// The way to the task that writes.
pub(super) struct Writer {
    inbox: mpsc::UnboundedSender<Box<dyn Task>>,
    task: JoinHandle<()>,
}

impl Writer {
    pub(super) fn start(link: Link, limit: Duration, changes: watch::Sender<u64>) -> Self {
        let (inbox, tasks) = mpsc::unbounded_channel();
        let worker = Worker {
            link,
            limit,
            changes,
            connection: None,
            turns: Turns::new(),
        };
        Self {
            inbox,
            task: tokio::spawn(worker.work(tasks)),
        }
    }

    /// Has `command` run and committed.
    pub(super) async fn run<C: Command>(&self, command: C) -> Result<C::Output, StoreError> {
        Ok(self.run_and_return(command).await?.1)
    }

    /// The same, giving the command back.
    pub(super) async fn run_and_return<C: Command>(&self, command: C) -> Result<(C, C::Output), StoreError> {
        let gone = |applied| failed(C::OPERATION, applied, Retry::Never, "the store is closed");
        let (reply, answer) = oneshot::channel();
        let task = Typed {
            command,
            outcome: None,
            reply,
        };
        self.inbox.send(Box::new(task)).map_err(|_| gone(Applied::No))?;
        answer.await.unwrap_or_else(|_| Err(gone(Applied::Maybe)))
    }

    /// Returns once nothing more is written.
    pub(super) async fn stopped(&self) {
        self.inbox.closed().await;
    }

    /// Whether nothing more is written.
    pub(super) fn has_stopped(&self) -> bool {
        self.inbox.is_closed()
    }

    /// Waits until all is written.
    pub(super) async fn close(self) {
        drop(self.inbox);
        // A task that panicked has nothing left to write.
        drop(self.task.await);
    }
}

/// A transaction that was committed.
#[derive(Clone, Copy)]
struct Done {
    /// How many of the tasks were in it.
    tasks: usize,
    /// Whether there is something new to see.
    changed: bool,
}

/// What became of a transaction that was not, or perhaps not.
enum Fault {
    /// It was no task's fault: none had its turn yet.
    Begin(Error),
    /// Nothing was written.
    Undone(Error),
    /// It may have been.
    Unknown { done: Done, turn: i64, error: Shared },
    /// No connection could be had.
    Unreachable(StoreError),
    /// The connection did not answer in time; nothing was sent that could commit.
    Frozen(Shared),
}

struct Worker {
    link: Link,
    limit: Duration,
    changes: watch::Sender<u64>,
    connection: Option<Object>,
    turns: Turns,
}

impl Worker {
    async fn work(mut self, mut tasks: mpsc::UnboundedReceiver<Box<dyn Task>>) {
        while let Some(first) = tasks.recv().await {
            let mut rows = first.rows();
            let mut batch = vec![first];
            while batch.len() < MAX_COMMANDS && rows < MAX_ROWS {
                let Ok(next) = tasks.try_recv() else {
                    break;
                };
                rows = rows.saturating_add(next.rows());
                batch.push(next);
            }
            let deadline = Instant::now() + self.limit;
            self.perform(batch, deadline).await;
        }
    }

    /// Runs `batch` until all of it is answered. What fails in passing is tried again until `deadline`.
    async fn perform(&mut self, mut batch: Vec<Box<dyn Task>>, deadline: Instant) {
        loop {
            let error = match self.transact(&mut batch).await {
                Ok(done) => {
                    batch = self.settle(batch, done);
                    if batch.is_empty() {
                        return;
                    }
                    continue;
                }
                Err(Fault::Begin(error)) if is_passing(&error) => Shared::of(&error),
                Err(Fault::Undone(error)) if is_lost(&error) => Shared::of(&error),
                // One of them, or the database: alone, each gets its own answer.
                Err(Fault::Undone(_)) if batch.len() > 1 => {
                    for task in batch {
                        Box::pin(self.perform(vec![task], deadline)).await;
                    }
                    return;
                }
                Err(Fault::Begin(error) | Fault::Undone(error)) => {
                    return fail(batch, |operation| classify_again(operation, Applied::No, &error));
                }
                Err(Fault::Frozen(error)) => error,
                Err(Fault::Unknown { done, turn, error }) => match self.outcome(turn, deadline).await {
                    Some(true) => {
                        batch = self.settle(batch, done);
                        if batch.is_empty() {
                            return;
                        }
                        error
                    }
                    Some(false) => error,
                    None => {
                        return fail(batch, |operation| {
                            failed(operation, Applied::Maybe, Retry::Soon, error.clone())
                        });
                    }
                },
                Err(Fault::Unreachable(error)) => Shared::of(&error),
            };
            self.connection = None;
            if Instant::now() >= deadline {
                return fail(batch, |operation| {
                    failed(operation, Applied::No, Retry::Soon, error.clone())
                });
            }
            tracing::debug!(%error, "the database could not be written to; trying again");
            sleep(AGAIN).await;
        }
    }

    /// Answers what is done; returns the rest.
    fn settle(&self, mut batch: Vec<Box<dyn Task>>, done: Done) -> Vec<Box<dyn Task>> {
        if done.changed {
            self.changes
                .send_modify(|number| *number = number.wrapping_add(1));
        }
        let rest = batch.split_off(done.tasks.min(batch.len()));
        for task in batch {
            task.settle();
        }
        rest
    }

    /// Runs `batch` in one transaction, as much of it as fits into one turn.
    async fn transact(&mut self, batch: &mut [Box<dyn Task>]) -> Result<Done, Fault> {
        let connection = match self.connection.take() {
            Some(connection) if !connection.is_closed() => connection,
            _ => self.link.get("writing").await.map_err(Fault::Unreachable)?,
        };
        let db = Db(&connection);
        let run = async {
            let undone = Fault::Undone;
            db.0.batch_execute("BEGIN").await.map_err(Fault::Begin)?;
            let taken = self.turns.take(db).await;
            let (position, turn) = taken.map_err(Fault::Begin)?;
            let mut tx = Tx {
                db,
                tallies: Changes::default(),
                position,
                told: false,
                changed: false,
            };
            let (begun, mut tasks) = (Instant::now(), 0_usize);
            for task in batch.iter_mut() {
                if tasks > 0 && begun.elapsed() >= TURN {
                    break;
                }
                task.run(&mut tx).await.map_err(undone)?;
                tasks = tasks.saturating_add(1);
            }
            tx.finish().await.map_err(undone)?;
            let changed = tx.changed || tx.told;
            Ok((turn, Done { tasks, changed }))
        };
        let (turn, done) = match within(run).await {
            Ok(Ok(done)) => done,
            Ok(Err(fault)) => {
                // What cannot be taken back ends with its connection.
                let lost = matches!(&fault, Fault::Begin(error) | Fault::Undone(error) if is_lost(error));
                match within(connection.batch_execute("ROLLBACK")).await {
                    Ok(Ok(())) if !lost => self.connection = Some(connection),
                    _ => drop(Object::take(connection)),
                }
                return Err(fault);
            }
            Err(late) => {
                drop(Object::take(connection));
                return Err(Fault::Frozen(Shared::of(&*late)));
            }
        };
        let error = match within(connection.batch_execute("COMMIT")).await {
            Ok(Ok(())) => {
                self.connection = Some(connection);
                return Ok(done);
            }
            Ok(Err(error)) => Shared::of(&error),
            Err(late) => Shared::of(&*late),
        };
        drop(Object::take(connection));
        Err(Fault::Unknown { done, turn, error })
    }

    /// Whether a turn was committed; `None` where that cannot be learned in time.
    async fn outcome(&self, turn: i64, deadline: Instant) -> Option<bool> {
        loop {
            match self.ask(turn).await {
                Some(used) => return Some(used),
                None if Instant::now() >= deadline => return None,
                // The server is away, or has not noticed yet that nobody goes on with it.
                None => sleep(AGAIN).await,
            }
        }
    }

    async fn ask(&self, turn: i64) -> Option<bool> {
        let connection = self.link.get("asking what became of a commit").await.ok()?;
        if let Ok(Ok(used)) = within(self.turns.was_used(Db(&connection), turn)).await {
            return Some(used);
        }
        // What was begun there ends with it.
        drop(Object::take(connection));
        None
    }
}

fn fail(batch: Vec<Box<dyn Task>>, why: impl Fn(&'static str) -> StoreError) {
    for task in batch {
        task.fail(&why);
    }
}
