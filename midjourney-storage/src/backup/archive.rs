//! The form of a backup file.
//!
//! | entry | holds |
//! | --- | --- |
//! | `manifest.json` | the version of this form, when it was made, the columns of each table |
//! | `secrets.json` | the gateway's own secrets by name |
//! | `rows/<table>/<number>.jsonl` | rows, tables in their order |
//! | `files/<key>` | a picture |
//! | `end.json` | how many rows and files there are, and their checksums |

use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
};

use midjourney_core::clock::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tar::{Builder, EntryType, Header};

use super::{BackupError, reading, sums::TableSum, writing};
use crate::transfer::{TABLES, Table};

pub(super) const MANIFEST: &str = "manifest.json";
pub(super) const SECRETS: &str = "secrets.json";
pub(super) const END: &str = "end.json";
pub(super) const ROWS: &str = "rows/";
pub(super) const FILES: &str = "files/";

/// Rises whenever the form changes.
const VERSION: u32 = 1;

/// The longest entry that is not a picture, in bytes.
const LONGEST: u64 = 256 * 1024 * 1024;

/// What a backup begins with.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    form: String,
    version: u32,
    created_at: Timestamp,
    tables: Vec<(String, Vec<String>)>,
}

impl Manifest {
    pub(super) fn new(created_at: Timestamp) -> Self {
        let columns = |table: &&Table| {
            let columns = table.columns.iter().map(|column| (*column).to_owned());
            (table.name.to_owned(), columns.collect())
        };
        Self {
            form: "midjourney-backup".to_owned(),
            version: VERSION,
            created_at,
            tables: TABLES.iter().map(columns).collect(),
        }
    }

    /// **Errors:** where this release cannot read it.
    pub(super) fn check(&self) -> Result<(), BackupError> {
        let ours = Self::new(self.created_at);
        if self.form != ours.form {
            return Err(BackupError::NotABackup);
        }
        if self.version != VERSION {
            let what = format!("it is written in version {}, not {VERSION}", self.version);
            return Err(BackupError::OtherRelease(what));
        }
        if *self != ours {
            return Err(BackupError::OtherRelease("it has other tables".to_owned()));
        }
        Ok(())
    }
}

/// What a backup ends with.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct End {
    pub(super) tables: BTreeMap<String, TableSum>,
    pub(super) files: u64,
    pub(super) bytes: u64,
    /// Files that could not be had.
    pub(super) lost: Vec<String>,
}

/// Writes a backup, entry by entry.
pub(super) struct Writer<W: Write> {
    tar: Builder<W>,
    created: u64,
}

impl<W: Write> Writer<W> {
    pub(super) fn new(to: W, created: Timestamp) -> Self {
        Self {
            tar: Builder::new(to),
            created: u64::try_from(created.as_millis() / 1000).unwrap_or(0),
        }
    }

    pub(super) fn json(&mut self, name: &str, what: &impl Serialize) -> Result<(), BackupError> {
        let text = serde_json::to_vec(what).map_err(|error| writing(error.into()))?;
        self.bytes(name, &text)
    }

    pub(super) fn bytes(&mut self, name: &str, bytes: &[u8]) -> Result<(), BackupError> {
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.entry(name, length, bytes)
    }

    /// An entry of so many bytes, which `from` gives.
    pub(super) fn entry(&mut self, name: &str, length: u64, from: impl Read) -> Result<(), BackupError> {
        let mut header = Header::new_gnu();
        header.set_entry_type(EntryType::Regular);
        header.set_size(length);
        header.set_mode(0o600);
        header.set_mtime(self.created);
        self.tar.append_data(&mut header, name, from).map_err(writing)
    }

    pub(super) fn finish(self) -> Result<W, BackupError> {
        self.tar.into_inner().map_err(writing)
    }
}

/// An entry's bytes, `most` of them at most.
pub(super) fn bytes(entry: &mut tar::Entry<'_, impl Read>, most: u64) -> Result<Vec<u8>, BackupError> {
    if entry.size() > most {
        return Err(BackupError::Damaged("an entry is too long".to_owned()));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(entry.size()).unwrap_or(0));
    entry.read_to_end(&mut bytes).map_err(cut)?;
    Ok(bytes)
}

pub(super) fn json<T: DeserializeOwned>(
    name: &str,
    entry: &mut tar::Entry<'_, impl Read>,
) -> Result<T, BackupError> {
    let text = bytes(entry, LONGEST)?;
    serde_json::from_slice(&text).map_err(|_| BackupError::Damaged(format!("{name} cannot be read")))
}

pub(super) fn lines(entry: &mut tar::Entry<'_, impl Read>) -> Result<Vec<u8>, BackupError> {
    bytes(entry, LONGEST)
}

/// What goes wrong within an archive is the archive's fault, unless the device says otherwise.
pub(super) fn cut(error: io::Error) -> BackupError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData | io::ErrorKind::Other => {
            BackupError::Damaged("it ends too early, or is no archive".to_owned())
        }
        _ => reading(error),
    }
}
