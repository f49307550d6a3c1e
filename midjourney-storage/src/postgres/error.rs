//! What PostgreSQL's errors mean to a caller: the only place that looks at their codes.

use midjourney_core::{
    error::{Applied, BoxError, Retry},
    job::StoreError,
};
use tokio_postgres::{Error, error::SqlState};

/// The backend's name in errors and to callers.
pub(super) const BACKEND: &str = "postgres";

/// Says what `error` means for `operation`.
pub(super) fn classify(operation: &'static str, applied: Applied, error: Error) -> StoreError {
    let (full, retry) = (is_full(&error), retry(&error));
    told(operation, applied, full, retry, error.into())
}

/// The same for one of many callers.
pub(super) fn classify_again(operation: &'static str, applied: Applied, error: &Error) -> StoreError {
    let source = Shared::of(error).into();
    told(operation, applied, is_full(error), retry(error), source)
}

fn told(operation: &'static str, applied: Applied, full: bool, retry: Retry, source: BoxError) -> StoreError {
    if full {
        return StoreError::Full { source };
    }
    failed(operation, applied, retry, source)
}

fn retry(error: &Error) -> Retry {
    if is_passing(error) {
        Retry::Soon
    } else {
        Retry::Never
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

/// What a server answers that only reads, such as a standby, and one that ended a transaction for having stood still.
const NOT_HERE: [SqlState; 2] = [
    SqlState::READ_ONLY_SQL_TRANSACTION,
    SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
];

/// Whether the connection is gone, is about to be, or leads to a server that takes no writes: another one is needed.
pub(super) fn is_lost(error: &Error) -> bool {
    error.is_closed()
        || error.code().map_or_else(
            // An error of ours about a value is no matter of the connection; all others without a code are.
            || std::error::Error::source(error).is_some_and(<dyn std::error::Error>::is::<std::io::Error>),
            |code| code.code().starts_with("57P") || code.code().starts_with("08") || NOT_HERE.contains(code),
        )
}

fn is_full(error: &Error) -> bool {
    error.code() == Some(&SqlState::DISK_FULL)
}

/// Whether the same may work soon: connections, locks, and a server that has too much to do.
pub(super) fn is_passing(error: &Error) -> bool {
    is_lost(error)
        || error.code().filter(|_| !is_full(error)).is_some_and(|code| {
            ["40", "53", "55", "57", "58"]
                .iter()
                .any(|class| code.code().starts_with(class))
        })
}

/// One failure told to many callers.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Shared(std::sync::Arc<str>);

impl Shared {
    pub(super) fn of(error: &(dyn std::error::Error + 'static)) -> Self {
        Self(midjourney_core::error::Chain(error).to_string().into())
    }
}
