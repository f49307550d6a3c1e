//! All rows of a job database at one moment, in a form that any kind of job database gives and takes.
//!
//! What follows from other rows is not among them: the [library](midjourney_core::job::library) is filed anew.

mod tables;

use midjourney_core::job::StoreError;
use tokio::sync::mpsc;

pub(crate) use self::tables::{IMAGES, TABLES, Table, UPLOADS};
use crate::rows::Value;

/// How many rows travel together.
pub(crate) const TOGETHER: usize = 500;

/// How many batches may wait for whoever takes them.
const AHEAD: usize = 4;

/// Some rows of one table, in its order.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) table: &'static Table,
    pub(crate) rows: Vec<Vec<Value>>,
}

/// All rows, table by table as in [`TABLES`]. An error ends them.
pub(crate) type Rows = mpsc::Receiver<Result<Batch, StoreError>>;

/// Where rows come from.
pub(crate) type RowSender = mpsc::Sender<Result<Batch, StoreError>>;

/// The way of rows from a database to whoever takes them.
pub(crate) fn rows() -> (RowSender, Rows) {
    mpsc::channel(AHEAD)
}

/// What a database that has no jobs yet is to do, in one transaction. Without a [`Commit`](Load::Commit) at the end,
/// nothing has happened.
#[derive(Debug)]
pub(crate) enum Load {
    /// Take these rows.
    Rows(Batch),
    /// Forget the pictures under these keys, whose files nobody has.
    Forget(Vec<String>),
    /// That was all.
    Commit,
}

/// What is to be done, one after the other.
pub(crate) type Loads = mpsc::Receiver<Load>;

/// The way of rows into a database.
pub(crate) fn loads() -> (mpsc::Sender<Load>, Loads) {
    mpsc::channel(AHEAD)
}
