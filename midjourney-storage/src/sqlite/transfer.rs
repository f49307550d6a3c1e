//! All rows of the file at one moment, and rows of another database into an empty one.

use std::path::Path;

use midjourney_core::{
    error::{Applied, Retry},
    id::JobId,
    job::{Status, StoreError},
};
use rusqlite::{Connection, OpenFlags, TransactionBehavior, params_from_iter};

use super::{
    SqliteOptions,
    error::{classify, failed},
    library, open,
    writer::Refusal,
};
use crate::{
    rows::{Value, status_code},
    transfer::{Batch, Load, Loads, RowSender, TABLES, TOGETHER, Table},
};

/// Gives all rows as they are at this moment; writers go on meanwhile. Blocks.
pub(super) fn dump(path: &Path, rows: &RowSender) {
    const OPERATION: &str = "reading all rows";
    let sql = |error| classify(path, OPERATION, Applied::No, error);
    let given = open::connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY, &SqliteOptions::default())
        .and_then(|mut db| {
            let moment = db.transaction()?;
            for table in TABLES {
                if !give(&moment, table, rows)? {
                    break;
                }
            }
            moment.finish()
        })
        .map_err(sql);
    if let Err(error) = given {
        // Whoever took the rows may have gone.
        drop(rows.blocking_send(Err(error)));
    }
}

/// Whether somebody still takes them.
fn give(db: &Connection, table: &'static Table, to: &RowSender) -> rusqlite::Result<bool> {
    let sql = format!(
        "SELECT {} FROM {} ORDER BY {}",
        table.list(),
        table.name,
        table.order.join(", ")
    );
    let mut statement = db.prepare(&sql)?;
    let mut found = statement.query([])?;
    let mut rows = Vec::with_capacity(TOGETHER);
    while let Some(row) = found.next()? {
        rows.push(super::columns::all(row, table.columns.len())?);
        if rows.len() == TOGETHER {
            let rows = std::mem::take(&mut rows);
            if to.blocking_send(Ok(Batch { table, rows })).is_err() {
                return Ok(false);
            }
        }
    }
    Ok(to.blocking_send(Ok(Batch { table, rows })).is_ok())
}

/// Does what `loads` say in one transaction; `false` where they ended without a commit. Blocks.
pub(super) fn load(path: &Path, mut loads: Loads) -> Result<bool, StoreError> {
    const OPERATION: &str = "loading rows";
    let sql = |error| classify(path, OPERATION, Applied::No, error);
    let mut db =
        open::connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE, &SqliteOptions::default()).map_err(sql)?;
    db.execute_batch("PRAGMA synchronous = FULL").map_err(sql)?;
    let work = db
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(sql)?;
    let jobs: i64 = work
        .query_row("SELECT count(*) FROM jobs", [], |row| row.get(0))
        .map_err(sql)?;
    if jobs > 0 {
        let reason = format!("there are {jobs} jobs in it already; name an empty place");
        return Err(failed(OPERATION, Applied::No, Retry::Never, reason));
    }
    work.execute_batch("DELETE FROM tallies").map_err(sql)?;
    while let Some(load) = loads.blocking_recv() {
        match load {
            Load::Rows(batch) => take(&work, &batch).map_err(sql)?,
            Load::Forget(keys) => {
                for key in keys {
                    work.execute("DELETE FROM images WHERE key = ?1", [key])
                        .map_err(sql)?;
                }
            }
            Load::Commit => {
                file(&work).map_err(|refusal| match refusal {
                    Refusal::Sql(error) => sql(error),
                    Refusal::Store(error) => error,
                })?;
                work.commit()
                    .map_err(|error| classify(path, OPERATION, Applied::Maybe, error))?;
                return Ok(true);
            }
        }
    }
    Ok(false)
}

fn take(db: &Connection, batch: &Batch) -> rusqlite::Result<()> {
    let table = batch.table;
    let places: Vec<_> = (1..=table.columns.len())
        .map(|place| format!("?{place}"))
        .collect();
    let mut insert = db.prepare_cached(&format!(
        "INSERT INTO {} ({}) VALUES ({})",
        table.name,
        table.list(),
        places.join(", ")
    ))?;
    for row in &batch.rows {
        insert.execute(params_from_iter::<&[Value]>(row))?;
    }
    Ok(())
}

/// Files the pictures of all completed jobs.
fn file(db: &Connection) -> Result<(), Refusal> {
    let mut completed = db.prepare("SELECT id FROM jobs WHERE status = ?1")?;
    let mut found = completed.query([status_code(Status::Completed)])?;
    while let Some(row) = found.next()? {
        library::file_anew(db, JobId::from_bytes(row.get(0)?))?;
    }
    Ok(())
}
