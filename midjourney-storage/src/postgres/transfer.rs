//! All rows of the database at one moment, and rows of another database into an empty one.

use futures_util::future::try_join_all;
use midjourney_core::{
    error::{Applied, Retry},
    id::JobId,
    job::{Status, StoreError},
};
use tokio_postgres::{Error, IsolationLevel};

use super::{
    db::{self, Db, One},
    error::{classify, failed},
    library,
    link::Link,
    writer::Refusal,
};
use crate::{
    rows::{Value, count, status_code},
    transfer::{Batch, Load, Loads, RowSender, TABLES, TOGETHER, Table},
};

/// Whoever takes or gives the rows may need longer between two statements than a node between two of its own.
const PATIENCE: &str =
    "SET LOCAL idle_in_transaction_session_timeout = 0; SET LOCAL statement_timeout = '10min'";

/// Gives all rows as they are at this moment; writers go on meanwhile.
pub(super) async fn dump(link: Link, rows: RowSender) {
    if let Err(error) = give_all(&link, &rows).await {
        // Whoever took the rows may have gone.
        drop(rows.send(Err(error)).await);
    }
}

async fn give_all(link: &Link, rows: &RowSender) -> Result<(), StoreError> {
    const OPERATION: &str = "reading all rows";
    let sql = |error| classify(OPERATION, Applied::No, error);
    let mut connection = deadpool_postgres::Object::take(link.get(OPERATION).await?);
    let moment = connection
        .build_transaction()
        .isolation_level(IsolationLevel::RepeatableRead)
        .read_only(true)
        .start()
        .await
        .map_err(sql)?;
    moment.batch_execute(PATIENCE).await.map_err(sql)?;
    for table in TABLES {
        let order = table.order.join(", ");
        let after: Vec<_> = (2..)
            .take(table.order.len())
            .map(|place| format!("${place}"))
            .collect();
        let first = format!(
            "SELECT {} FROM {} ORDER BY {order} LIMIT $1",
            table.list(),
            table.name
        );
        let next = format!(
            "SELECT {} FROM {} WHERE ({order}) > ({}) ORDER BY {order} LIMIT $1",
            table.list(),
            table.name,
            after.join(", ")
        );
        let mut last: Option<Vec<Value>> = None;
        loop {
            let mut wanted = vec![Value::from(count(TOGETHER))];
            let sql_text = match &last {
                None => &first,
                Some(last) => {
                    wanted.extend(last.iter().cloned());
                    &next
                }
            };
            let statement = moment.prepare_cached(sql_text).await.map_err(sql)?;
            let found = moment
                .query(&statement, &db::parameters(&wanted))
                .await
                .map_err(sql)?;
            let batch: Vec<Vec<Value>> = found
                .iter()
                .map(|row| db::all(row, table.columns.len()))
                .collect::<Result<_, _>>()
                .map_err(sql)?;
            last = batch.last().map(|row| key(table, row));
            let full = batch.len() == TOGETHER;
            if rows.send(Ok(Batch { table, rows: batch })).await.is_err() {
                return Ok(());
            }
            if !full {
                break;
            }
        }
    }
    Ok(())
}

/// What a row is ordered by.
fn key(table: &Table, row: &[Value]) -> Vec<Value> {
    let place = |column: &&str| row.get(table.place(column)?).cloned();
    table.order.iter().filter_map(place).collect()
}

/// Does what `loads` say in one transaction; `false` where they ended without a commit.
pub(super) async fn load(link: Link, mut loads: Loads) -> Result<bool, StoreError> {
    const OPERATION: &str = "loading rows";
    let sql = |error| classify(OPERATION, Applied::No, error);
    let connection = deadpool_postgres::Object::take(link.get(OPERATION).await?);
    // Rolled back by the end of the connection, unless it is committed.
    connection.batch_execute("BEGIN").await.map_err(sql)?;
    connection.batch_execute(PATIENCE).await.map_err(sql)?;
    let db = Db(&connection);
    // Nobody accepts a job meanwhile.
    db.execute("LOCK TABLE tallies IN ACCESS EXCLUSIVE MODE", &[])
        .await
        .map_err(sql)?;
    let jobs = db
        .number("SELECT count(*) FROM jobs", &[])
        .await
        .map_err(sql)?
        .unwrap_or_default();
    if jobs > 0 {
        let reason = format!("there are {jobs} jobs in it already; name an empty place");
        return Err(failed(OPERATION, Applied::No, Retry::Never, reason));
    }
    db.execute("DELETE FROM tallies", &[]).await.map_err(sql)?;
    while let Some(load) = loads.recv().await {
        match load {
            Load::Rows(batch) => take(db, &batch).await.map_err(sql)?,
            Load::Forget(keys) => {
                for key in keys {
                    db.execute("DELETE FROM images WHERE key = $1", &[key.into()])
                        .await
                        .map_err(sql)?;
                }
            }
            Load::Commit => {
                file(db).await.map_err(|refusal| match refusal {
                    Refusal::Sql(error) => sql(error),
                    Refusal::Store(error) => error,
                })?;
                connection
                    .batch_execute("COMMIT")
                    .await
                    .map_err(|error| classify(OPERATION, Applied::Maybe, error))?;
                return Ok(true);
            }
        }
    }
    Ok(false)
}

async fn take(db: Db<'_>, batch: &Batch) -> Result<(), Error> {
    let table = batch.table;
    let places: Vec<_> = (1..=table.columns.len())
        .map(|place| format!("${place}"))
        .collect();
    let insert = format!(
        "INSERT INTO {} ({}) VALUES ({})",
        table.name,
        table.list(),
        places.join(", ")
    );
    // All on their way at once: an answer is not waited for before the next is sent.
    try_join_all(batch.rows.iter().map(|row| db.execute(&insert, row))).await?;
    Ok(())
}

/// Files the pictures of all completed jobs.
async fn file(db: Db<'_>) -> Result<(), Refusal> {
    let wanted = [status_code(Status::Completed).into()];
    let completed: Vec<One> = db.rows("SELECT id FROM jobs WHERE status = $1", &wanted).await?;
    for One([id]) in completed {
        if let Value::Blob(id) = id
            && let Ok(id) = id.try_into()
        {
            library::file_anew(db, JobId::from_bytes(id)).await?;
        }
    }
    Ok(())
}
