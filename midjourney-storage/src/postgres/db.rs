//! Statements over one connection: each prepared once, its values and rows those of [`crate::rows`].

use std::borrow::Cow;

use deadpool_postgres::ClientWrapper;
use tokio_postgres::{
    Error, Row,
    types::{FromSql, IsNull, ToSql, Type, private::BytesMut, to_sql_checked},
};

use crate::rows::{
    RawEvent, RawImage, RawJob, RawLeftover, RawUpload, Value,
    callbacks::{RawCallback, RawTally},
    deliveries::{RawDelivery, RawSubscription},
};

type BoxError = Box<dyn std::error::Error + Sync + Send>;

/// A connection.
#[derive(Clone, Copy)]
pub(super) struct Db<'a>(pub(super) &'a ClientWrapper);

impl Db<'_> {
    /// Runs a statement; how many rows it changed.
    pub(super) async fn execute(self, sql: &str, values: &[Value]) -> Result<u64, Error> {
        let statement = self.0.prepare_cached(sql).await?;
        self.0.execute(&statement, &parameters(values)).await
    }

    /// All rows that a statement gives.
    pub(super) async fn rows<T: Columns>(self, sql: &str, values: &[Value]) -> Result<Vec<T>, Error> {
        let statement = self.0.prepare_cached(sql).await?;
        let rows = self.0.query(&statement, &parameters(values)).await?;
        rows.iter().map(T::read).collect()
    }

    /// The row that a statement gives, if any.
    pub(super) async fn row<T: Columns>(self, sql: &str, values: &[Value]) -> Result<Option<T>, Error> {
        let statement = self.0.prepare_cached(sql).await?;
        let row = self.0.query_opt(&statement, &parameters(values)).await?;
        row.as_ref().map(T::read).transpose()
    }

    /// The number that a statement gives; `None` where it gives no row, or NULL.
    pub(super) async fn number(self, sql: &str, values: &[Value]) -> Result<Option<i64>, Error> {
        let row: Option<One> = self.row(sql, values).await?;
        Ok(match row {
            Some(One([Value::Integer(number)])) => Some(number),
            _ => None,
        })
    }
}

pub(super) fn parameters(values: &[Value]) -> Vec<&(dyn ToSql + Sync)> {
    fn parameter(value: &Value) -> &(dyn ToSql + Sync) {
        value
    }
    values.iter().map(parameter).collect()
}

/// A row that is taken as it is.
pub(super) trait Columns: Sized {
    /// Takes the columns from number `from` on.
    fn read_from(row: &Row, from: usize) -> Result<Self, Error>;

    /// Takes all columns.
    fn read(row: &Row) -> Result<Self, Error> {
        Self::read_from(row, 0)
    }
}

macro_rules! columns {
    ($($raw:ident),+) => {
        $(impl Columns for $raw {
            fn read_from(row: &Row, from: usize) -> Result<Self, Error> {
                values(row, from).map(Self)
            }
        })+
    };
}

/// One column.
pub(super) struct One(pub(super) [Value; 1]);
/// Two columns.
pub(super) struct Two(pub(super) [Value; 2]);
/// Three columns.
pub(super) struct Three(pub(super) [Value; 3]);

columns!(
    One,
    RawCallback,
    RawDelivery,
    RawEvent,
    RawImage,
    RawJob,
    RawLeftover,
    RawSubscription,
    RawTally,
    RawUpload,
    Three,
    Two
);

/// A number in front of something else.
impl<T: Columns> Columns for (i64, T) {
    fn read_from(row: &Row, from: usize) -> Result<Self, Error> {
        Ok((row.try_get(from)?, T::read_from(row, from.saturating_add(1))?))
    }
}

pub(super) fn values<const N: usize>(row: &Row, from: usize) -> Result<[Value; N], Error> {
    let mut values = [const { Value::Null }; N];
    for (value, column) in values.iter_mut().zip(from..) {
        *value = row.try_get(column)?;
    }
    Ok(values)
}

/// The first `width` columns of a row.
#[cfg(feature = "assemble")]
pub(super) fn all(row: &Row, width: usize) -> Result<Vec<Value>, Error> {
    (0..width).map(|column| row.try_get(column)).collect()
}

impl<'a> FromSql<'a> for Value {
    fn from_sql(kind: &Type, raw: &'a [u8]) -> Result<Self, BoxError> {
        Ok(match *kind {
            Type::BYTEA => Self::Blob(raw.to_vec()),
            Type::TEXT => Self::Text(read_text(<&str>::from_sql(kind, raw)?)),
            _ => Self::Integer(i64::from_sql(&Type::INT8, raw)?),
        })
    }

    fn from_sql_null(_: &Type) -> Result<Self, BoxError> {
        Ok(Self::Null)
    }

    fn accepts(kind: &Type) -> bool {
        matches!(*kind, Type::BYTEA | Type::TEXT | Type::INT8)
    }
}

impl ToSql for Value {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, BoxError> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Integer(number) => number.to_sql_checked(kind, out),
            Self::Text(text) => written_text(text).to_sql_checked(kind, out),
            Self::Blob(bytes) => bytes.to_sql_checked(kind, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        // Each value looks for itself.
        true
    }

    to_sql_checked!();
}

/// Marks a character that PostgreSQL's texts cannot hold; one for private use, which is marked itself where it occurs.
const MARK: char = '\u{e000}';

/// `text` without the character zero, which PostgreSQL refuses.
fn written_text(text: &str) -> Cow<'_, str> {
    if !text.contains(['\0', MARK]) {
        return text.into();
    }
    let mut written = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\0' => written.extend([MARK, '0']),
            MARK => written.extend([MARK, '1']),
            other => written.push(other),
        }
    }
    written.into()
}

/// What [`written_text`] wrote.
fn read_text(text: &str) -> String {
    let mut read = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        read.push(match letter {
            MARK if letters.next() == Some('0') => '\0',
            other => other,
        });
    }
    read
}

/// The numbers in a row of them; zeros where there is none.
pub(super) fn numbers<const N: usize>(row: Option<[Value; N]>) -> [i64; N] {
    row.map_or([0; N], |row| {
        row.map(|value| match value {
            Value::Integer(number) => number,
            _ => 0,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_read_as_it_was_written() {
        for text in [
            "",
            "a fox",
            "\0",
            "a\0\0b",
            "\u{e000}",
            "\u{e000}0\0\u{e000}1",
            "\u{e000}\u{e000}",
        ] {
            let written = written_text(text);
            assert!(!written.contains('\0'), "{text:?}");
            assert_eq!(read_text(&written), text);
        }
    }
}
