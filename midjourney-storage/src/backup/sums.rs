//! What tells whether two sets of rows are equal, and which files belong to them.

use std::collections::{BTreeMap, HashMap};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use midjourney_core::image::{ImageDigest, ImageKey};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use sha2::{Digest as _, Sha256};

use super::{BackupError, Report};
use crate::{
    rows::Value,
    transfer::{Batch, IMAGES, TABLES, Table, UPLOADS},
};

/// The rows of one table: how many, and the SHA-256 of their lines.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TableSum {
    pub(super) rows: u64,
    pub(super) sha256: String,
}

/// What is known of a file from its row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected {
    pub(super) digest: ImageDigest,
    pub(super) bytes: u64,
}

/// Sums up rows while they go by, and remembers the files that they speak of: some 150 bytes for each.
#[derive(Default)]
pub(super) struct Sums {
    tables: BTreeMap<&'static str, (u64, Sha256)>,
    pub(super) files: HashMap<ImageKey, Expected>,
}

impl Sums {
    /// Takes a batch in; its lines.
    pub(super) fn add(&mut self, batch: &Batch) -> Result<Vec<u8>, BackupError> {
        let mut lines = Vec::new();
        for row in &batch.rows {
            lines.extend(line(row));
            lines.push(b'\n');
            if [&IMAGES, &UPLOADS].contains(&batch.table) {
                let (key, expected) = file(batch.table, row).ok_or_else(|| {
                    BackupError::Damaged(format!("a row of {} cannot be read", batch.table.name))
                })?;
                self.files.insert(key, expected);
            }
        }
        let (rows, sum) = self.tables.entry(batch.table.name).or_default();
        *rows = rows.saturating_add(u64::try_from(batch.rows.len()).unwrap_or(u64::MAX));
        sum.update(&lines);
        Ok(lines)
    }

    /// The sums of all tables, of those without rows too.
    pub(super) fn tables(&self) -> BTreeMap<String, TableSum> {
        let sum = |table: &&Table| {
            let (rows, sum) = self.tables.get(table.name).cloned().unwrap_or_default();
            let digest: [u8; 32] = sum.finalize().into();
            let sha256 = ImageDigest::from_bytes(digest).to_string();
            (table.name.to_owned(), TableSum { rows, sha256 })
        };
        TABLES.iter().map(sum).collect()
    }

    /// What there is, without files.
    pub(super) fn report(&self) -> Report {
        let rows = |name| self.tables.get(name).map_or(0, |(rows, _)| *rows);
        Report {
            jobs: rows("jobs"),
            rows: self.tables.values().map(|(rows, _)| *rows).sum(),
            ..Report::default()
        }
    }
}

fn file(table: &Table, row: &[Value]) -> Option<(ImageKey, Expected)> {
    let column = |name| row.get(table.place(name)?);
    let Value::Text(key) = column("key")? else {
        return None;
    };
    let (Value::Blob(digest), Value::Integer(bytes)) = (column("digest")?, column("bytes")?) else {
        return None;
    };
    let digest = ImageDigest::from_bytes(digest.as_slice().try_into().ok()?);
    let bytes = u64::try_from(*bytes).ok()?;
    Some((key.parse().ok()?, Expected { digest, bytes }))
}

/// A row as a JSON array; bytes are `{"base64": ..}`.
fn line(row: &[Value]) -> Vec<u8> {
    let cell = |value: &Value| match value {
        Value::Null => Json::Null,
        Value::Integer(number) => json!(number),
        Value::Text(text) => json!(text),
        Value::Blob(bytes) => json!({ "base64": STANDARD.encode(bytes) }),
    };
    let cells: Vec<_> = row.iter().map(cell).collect();
    // Plain values cannot fail to become JSON.
    serde_json::to_vec(&cells).unwrap_or_default()
}

/// The row in a line of `table`; `None` where it is none.
pub(super) fn row(table: &Table, line: &[u8]) -> Option<Vec<Value>> {
    let cells: Vec<Json> = serde_json::from_slice(line).ok()?;
    if cells.len() != table.columns.len() {
        return None;
    }
    let value = |cell: Json| match cell {
        Json::Null => Some(Value::Null),
        Json::Number(number) => number.as_i64().map(Value::Integer),
        Json::String(text) => Some(Value::Text(text)),
        Json::Object(bytes) => {
            let text = bytes.get("base64")?.as_str()?;
            STANDARD.decode(text).ok().map(Value::Blob)
        }
        Json::Bool(_) | Json::Array(_) => None,
    };
    cells.into_iter().map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_survives_its_line() {
        let table = TABLES.iter().find(|table| table.name == "tallies").unwrap();
        for values in [
            [
                Value::Null,
                Value::Text("a\n\"b\"\0 狐".to_owned()),
                Value::Integer(i64::MIN),
            ],
            [
                Value::Blob(vec![0, 255]),
                Value::Blob(Vec::new()),
                Value::Text(String::new()),
            ],
        ] {
            let line = line(&values);
            assert!(!line.contains(&b'\n'));
            assert_eq!(row(table, &line), Some(values.to_vec()));
        }
        for other in [
            "",
            "[]",
            "[1,2]",
            "[1,2,3,4]",
            "[1,2,true]",
            "[1,2,3.5]",
            "[1,2,{\"base64\":\"!\"}]",
        ] {
            assert_eq!(row(table, other.as_bytes()), None, "{other}");
        }
    }
}
