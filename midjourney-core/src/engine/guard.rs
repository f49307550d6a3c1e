//! What keeps a client with a fault from doing harm: a call that panics has failed like any other.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use tracing::error;

use crate::{
    client::ClientError,
    job::{Failure, FailureKind},
};

/// The answer to a call of the client. Nobody knows what one that panicked has done.
///
/// A client that is left half changed is its own affair; ours share nothing with it but the call.
pub(super) async fn answer<T>(call: impl Future<Output = Result<T, ClientError>>) -> Result<T, ClientError> {
    AssertUnwindSafe(call).catch_unwind().await.unwrap_or_else(|_| {
        error!("the client of the upstream panicked");
        Err(ClientError::lost(Failure::new(
            FailureKind::BadAnswer,
            "the client of the upstream panicked, which is a fault of the gateway",
        )))
    })
}
