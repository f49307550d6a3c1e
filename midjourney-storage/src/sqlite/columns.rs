//! Values between SQLite's columns and rows that can be decoded anywhere.

use rusqlite::{
    Row, ToSql,
    types::{ToSqlOutput, Value as SqliteValue, ValueRef},
};

use crate::rows::{
    RawEvent, RawImage, RawJob, RawLeftover, RawUpload, Value,
    callbacks::{RawCallback, RawTally},
    deliveries::{RawDelivery, RawSubscription},
};

/// A row that is taken as it is.
pub(super) trait Columns: Sized {
    /// Takes the columns from number `from` on.
    fn read_from(row: &Row<'_>, from: usize) -> rusqlite::Result<Self>;

    /// Takes all columns.
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Self::read_from(row, 0)
    }
}

macro_rules! columns {
    ($($raw:ident),+) => {
        $(impl Columns for $raw {
            fn read_from(row: &Row<'_>, from: usize) -> rusqlite::Result<Self> {
                values(row, from).map(Self)
            }
        })+
    };
}

columns!(
    RawCallback,
    RawDelivery,
    RawEvent,
    RawImage,
    RawJob,
    RawLeftover,
    RawSubscription,
    RawTally,
    RawUpload
);

fn values<const N: usize>(row: &Row<'_>, from: usize) -> rusqlite::Result<[Value; N]> {
    let mut values = [const { Value::Null }; N];
    for (value, column) in values.iter_mut().zip(from..) {
        *value = read(row, column)?;
    }
    Ok(values)
}

/// The first `width` columns of a row.
#[cfg(feature = "assemble")]
pub(super) fn all(row: &Row<'_>, width: usize) -> rusqlite::Result<Vec<Value>> {
    (0..width).map(|column| read(row, column)).collect()
}

/// Text that is not UTF-8 is a fault of that row, to be told by the decoder, not of the query; so is a number that is not
/// whole, which no column of ours holds.
fn read(row: &Row<'_>, column: usize) -> rusqlite::Result<Value> {
    Ok(match row.get_ref(column)? {
        ValueRef::Integer(number) => Value::Integer(number),
        ValueRef::Text(text) => String::from_utf8(text.to_vec()).map_or(Value::Null, Value::Text),
        ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec()),
        ValueRef::Null | ValueRef::Real(_) => Value::Null,
    })
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Null => ToSqlOutput::Owned(SqliteValue::Null),
            Self::Integer(number) => (*number).into(),
            Self::Text(text) => text.as_str().into(),
            Self::Blob(bytes) => bytes.as_slice().into(),
        })
    }
}
