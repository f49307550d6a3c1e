//! Brings finished pictures home. Links die within hours at most upstreams, so this happens at once.

use std::sync::Arc;

use futures_util::future::try_join_all;
use tracing::warn;

use super::{Parts, guard};
use crate::{
    client::MidjourneyClient,
    error::Chain,
    id::ImageId,
    image::{Image, ImageKey, ImageStoreError, peek, sniff},
    job::{Failure, FailureKind, Input, Job, RemoteImage, RemoteResult},
};

/// The largest picture that is kept.
const LARGEST: u64 = 64 * 1024 * 1024;

/// Fetches and stores all pictures of `result`; all of them, or the input that says why not.
pub(super) async fn all(
    parts: &Parts,
    client: &Arc<dyn MidjourneyClient>,
    job: &Job,
    result: &RemoteResult,
) -> Result<Vec<Image>, Input> {
    try_join_all(result.images.iter().map(|image| one(parts, client, job, image))).await
}

async fn one(
    parts: &Parts,
    client: &Arc<dyn MidjourneyClient>,
    job: &Job,
    remote: &RemoteImage,
) -> Result<Image, Input> {
    let body = guard::fetch(&**client, remote).await.map_err(|error| {
        warn!(error = %Chain(&error), index = remote.index, "a picture could not be fetched");
        Input::StoreFailed {
            failure: error.failure,
            retry: error.retry,
        }
    })?;
    let (head, body) = peek(body).await.map_err(|error| {
        warn!(%error, index = remote.index, "a picture broke off");
        unavailable("a picture broke off on its way")
    })?;
    let Some(sniffed) = sniff(&head) else {
        return Err(unavailable(
            "what the upstream gave as a picture is not a PNG, JPEG, WebP, GIF or MP4 file",
        ));
    };
    let key = ImageKey::new(
        job.life.created,
        job.id,
        remote.kind,
        remote.index,
        sniffed.media_type,
    );
    let stored = parts.images.put(&key, body, LARGEST).await.map_err(|error| {
        warn!(error = %Chain(&error), %key, "a picture could not be stored");
        match error {
            ImageStoreError::Source { .. } => unavailable("a picture broke off on its way"),
            ImageStoreError::TooLarge { .. } => Input::StoreFailed {
                failure: Failure::new(FailureKind::ImageUnavailable, "a picture is larger than 64 MiB"),
                retry: false,
            },
            ImageStoreError::Full { .. } => storage_failed("no room left where pictures are stored"),
            _ => storage_failed("a picture could not be written"),
        }
    })?;
    let now = parts.clock.now();
    Ok(Image::new(
        ImageId::new(now, &*parts.entropy),
        job.id,
        job.owner.clone(),
        remote.kind,
        remote.index,
        key,
        stored.digest,
        stored.bytes,
        sniffed.media_type,
        sniffed.size,
        remote.url.clone(),
        now,
    ))
}

fn unavailable(message: &str) -> Input {
    Input::StoreFailed {
        failure: Failure::new(FailureKind::ImageUnavailable, message),
        retry: true,
    }
}

fn storage_failed(message: &str) -> Input {
    Input::StoreFailed {
        failure: Failure::new(FailureKind::StorageFailed, message),
        retry: true,
    }
}
