//! What SQLite's errors mean to a caller: the only place that looks at result codes.

use std::{path::Path, sync::Arc};

use midjourney_core::{
    error::{Applied, BoxError, Retry},
    job::StoreError,
};
use rusqlite::{Error, ErrorCode, ffi};

/// The backend's name in errors and to callers.
pub(super) const BACKEND: &str = "sqlite";

/// Says what `error` means for `operation` on the database at `path`.
pub(super) fn classify(path: &Path, operation: &'static str, applied: Applied, error: Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::Full { source: error.into() },
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => damaged(path, error),
        code => {
            let passing = matches!(
                code,
                Some(
                    ErrorCode::DatabaseBusy
                        | ErrorCode::DatabaseLocked
                        | ErrorCode::SystemIoFailure
                        | ErrorCode::OutOfMemory
                        | ErrorCode::CannotOpen
                )
            );
            let retry = if passing { Retry::Soon } else { Retry::Never };
            failed(operation, applied, retry, error)
        }
    }
}

/// The same while a file is looked at that may be anybody's: a table or column that is missing is a sign of damage.
pub(super) fn classify_unknown(path: &Path, operation: &'static str, error: Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::Unknown) => damaged(path, error),
        _ => classify(path, operation, Applied::No, error),
    }
}

/// The database itself failed at `operation`.
pub(super) fn failed(
    operation: &'static str,
    applied: Applied,
    retry: Retry,
    source: impl Into<BoxError>,
) -> StoreError {
    StoreError::Backend {
        backend: BACKEND,
        operation,
        applied,
        retry,
        source: source.into(),
    }
}

/// The file is not a database of ours, or is damaged.
pub(super) fn damaged(path: &Path, source: impl Into<BoxError>) -> StoreError {
    StoreError::Damaged {
        path: path.display().to_string(),
        source: source.into(),
    }
}

/// Whether another process holds the lock.
pub(super) fn is_busy(error: &Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
}

/// Whether the system failed to read, write or sync.
pub(super) fn is_io(error: &Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::SystemIoFailure)
}

/// Whether a sync failed. What the system has dropped by then, no second sync brings back.
pub(super) fn is_sync(error: &Error) -> bool {
    error.sqlite_error().is_some_and(|e| {
        matches!(
            e.extended_code,
            ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC
        )
    })
}

/// The same error once more, for each caller of a batch that failed as a whole.
pub(super) fn again(error: &Error) -> Error {
    match error {
        Error::SqliteFailure(code, text) => Error::SqliteFailure(*code, text.clone()),
        other => Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_ERROR), Some(other.to_string())),
    }
}

/// Whether a row breaks a rule of the schema, such as an id that is there already.
pub(super) fn is_constraint(error: &Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation)
}

/// One failure told to many callers.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Shared(Arc<str>);

impl Shared {
    pub(super) fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }
}
