//! Backups: one file with everything, made while the gateway works, checked before it is believed.
//!
//! A backup is a tar archive that can be looked into with common tools: a manifest, the gateway's own secrets, the rows of
//! every table as they all were at one moment, one JSON array to a line, and every picture; at its end stand the numbers
//! and checksums of it all, without which it is no backup. It does not depend on the kind of database or of picture store
//! that it came from, so restoring it elsewhere is how a gateway moves; [`migrate()`] does the same without the file.
//!
//! It holds what the data directory holds, secrets of the gateway's own among it, and wants to be kept as safely. Keys of
//! upstreams are no part of it, and neither is the configuration.

mod archive;
mod create;
mod file;
mod migrate;
mod read;
mod sums;

use midjourney_core::{error::BoxError, image::ImageStoreError, job::StoreError};

pub use self::{file::BackupFile, migrate::migrate};
use crate::AssembleError;

/// What a backup holds, or what was moved.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Report {
    /// Jobs.
    pub jobs: u64,
    /// Rows of all tables together, those of jobs among them.
    pub rows: u64,
    /// Files: pictures, and what callers brought along.
    pub files: u64,
    /// How many bytes the files have.
    pub bytes: u64,
    /// The places of files that could not be had: gone or damaged where they were kept. They are not restored.
    pub lost: Vec<String>,
}

/// Why there is no backup, or nothing was restored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// The file cannot be read or written.
    #[error("the backup cannot be {doing}")]
    File {
        /// `read` or `written`.
        doing: &'static str,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// It is something else.
    #[error("the file is no backup of this program")]
    NotABackup,
    /// It was made by another release.
    #[error("the backup was made by another release ({0}); restore it with that one, or with a newer one")]
    OtherRelease(String),
    /// It ends too early, or is not what it says it is.
    #[error("the backup is damaged: {0}; nothing was restored")]
    Damaged(String),
    /// It is encrypted, and no secret key was named.
    #[error("the backup is encrypted; name the file of its secret key")]
    Sealed,
    /// It is encrypted for other keys, or damaged.
    #[error("the backup cannot be decrypted with these keys")]
    Unopened(#[source] BoxError),
    /// The text is no public key.
    #[error("{0:?} is no public key; expected one such as age1..., which age-keygen prints")]
    Recipient(String),
    /// This build lacks encryption.
    #[error(
        "encryption is not in this build; build it with the feature `age`, or pass the file through age yourself"
    )]
    NoAge,
    /// There is something already where it should go.
    #[error("there are jobs in {0} already; name an empty place. Nothing was changed")]
    NotEmpty(String),
    /// Both ends of a move are the same.
    #[error("both configurations mean {0}; name another place")]
    SamePlace(String),
    /// What was moved came out differently.
    #[error("{0}")]
    Differs(String),
    /// A database failed.
    #[error("the job database failed")]
    Jobs(#[from] StoreError),
    /// A store of pictures failed.
    #[error("the store of pictures failed")]
    Images(#[from] ImageStoreError),
    /// The gateway's own secrets cannot be had.
    #[error("the gateway's own secrets cannot be had")]
    Secrets(#[from] AssembleError),
    /// The work ended in a panic.
    #[error("the work broke off")]
    Broken(#[source] BoxError),
}

impl From<tokio::task::JoinError> for BackupError {
    fn from(error: tokio::task::JoinError) -> Self {
        Self::Broken(error.into())
    }
}

fn reading(source: std::io::Error) -> BackupError {
    BackupError::File {
        doing: "read",
        source,
    }
}

fn writing(source: std::io::Error) -> BackupError {
    BackupError::File {
        doing: "written",
        source,
    }
}
