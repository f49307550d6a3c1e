//! What keeps a client with a fault from doing harm: a call that panics has failed like any other.

use std::panic::AssertUnwindSafe;

use futures_util::{FutureExt as _, StreamExt as _};
use tracing::error;

use crate::{
    client::{ClientError, MidjourneyClient},
    image::ByteStream,
    job::{Failure, FailureKind, RemoteImage},
};

/// How that is told.
const PANICKED: &str = "the client of the upstream panicked, which is a fault of the gateway";

/// The answer to a call of the client. Nobody knows what one that panicked has done.
///
/// A client that is left half changed is its own affair; ours share nothing with it but the call.
pub(super) async fn answer<T>(call: impl Future<Output = Result<T, ClientError>>) -> Result<T, ClientError> {
    AssertUnwindSafe(call).catch_unwind().await.unwrap_or_else(|_| {
        error!("the client of the upstream panicked");
        Err(ClientError::lost(Failure::new(FailureKind::BadAnswer, PANICKED)))
    })
}

/// A picture. It breaks off where the client panics on the way.
pub(super) async fn fetch(
    client: &dyn MidjourneyClient,
    picture: &RemoteImage,
) -> Result<ByteStream, ClientError> {
    let body = answer(client.fetch(picture)).await?;
    let pieces = AssertUnwindSafe(body).catch_unwind();
    Ok(pieces
        .map(|piece| piece.unwrap_or_else(|_| Err(PANICKED.into())))
        .boxed())
}
