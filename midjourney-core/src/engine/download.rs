//! Brings finished pictures home. Links die within hours at most upstreams, so this happens at once, and what has come is
//! kept whatever becomes of the rest.

use std::sync::Arc;

use futures_util::future::join_all;
use tracing::warn;

use super::{Parts, guard};
use crate::{
    client::MidjourneyClient,
    error::Chain,
    id::ImageId,
    image::{
        ByteStream, Image, ImageKey, ImageKind, ImageStoreError, MediaType, Sniffed, ending, peek, sniff,
    },
    job::{Failure, FailureKind, ImageQuery, Job, RemoteImage, RemoteResult},
};

/// The largest picture that is kept.
pub(super) const LARGEST: u64 = 64 * 1024 * 1024;

/// Why a picture is not there.
#[derive(Debug)]
pub(super) struct Missing {
    pub(super) failure: Failure,
    pub(super) retry: bool,
}

/// What came of a round.
#[derive(Debug)]
pub(super) struct Round {
    /// The pictures that this round brought.
    pub(super) images: Vec<Image>,
    /// Whether there are any now, those of earlier rounds among them.
    pub(super) some: bool,
    /// Why they are not all.
    pub(super) missing: Option<Missing>,
}

/// Fetches and stores the pictures of `result` that earlier rounds did not bring.
pub(super) async fn all(
    parts: &Parts,
    client: &Arc<dyn MidjourneyClient>,
    job: &Job,
    result: &RemoteResult,
) -> Round {
    let earlier = match parts.jobs.images(&ImageQuery::of(job.id)).await {
        Ok(page) => page.items,
        Err(error) => {
            warn!(error = %Chain(&error), job = %job.id, "nobody knows which pictures are there; all are fetched");
            Vec::new()
        }
    };
    let is_there = |remote: &RemoteImage| {
        earlier
            .iter()
            .any(|image| (image.kind, image.index) == (remote.kind, remote.index))
    };
    let wanted = result.images.iter().filter(|remote| !is_there(remote));
    let fetched = join_all(wanted.map(|remote| one(parts, client, job, remote))).await;
    let mut images = Vec::new();
    let mut missing: Option<Missing> = None;
    for fetched in fetched {
        match fetched {
            Ok(image) => images.push(image),
            // New links help against all other reasons too.
            Err(why) if missing.is_none() || why.failure.kind == FailureKind::ImageExpired => {
                missing = Some(why);
            }
            Err(_) => {}
        }
    }
    #[cfg(feature = "renditions")]
    if missing.is_none() && result.images.iter().all(|remote| remote.kind == ImageKind::Grid) {
        let grids: Vec<_> = earlier.iter().chain(&images).cloned().collect();
        for grid in &grids {
            images.extend(super::cut::singles(parts, job, grid).await);
        }
    }
    Round {
        some: !(earlier.is_empty() && images.is_empty()),
        images,
        missing,
    }
}

async fn one(
    parts: &Parts,
    client: &Arc<dyn MidjourneyClient>,
    job: &Job,
    remote: &RemoteImage,
) -> Result<Image, Missing> {
    let name = match remote.kind {
        ImageKind::Grid => "the grid".to_owned(),
        ImageKind::Single => format!("picture {}", remote.index),
    };
    let body = guard::fetch(&**client, remote).await.map_err(|error| {
        warn!(error = %Chain(&error), index = remote.index, "a picture could not be fetched");
        Missing {
            failure: error.failure,
            retry: error.retry,
        }
    })?;
    let (head, body) = peek(body).await.map_err(|error| {
        warn!(%error, index = remote.index, "a picture broke off");
        unavailable(format!("{name} broke off on its way"))
    })?;
    let Some(sniffed) = sniff(&head) else {
        return Err(unavailable(format!(
            "what the upstream gave as {name} is not a PNG, JPEG, WebP, GIF or MP4 file"
        )));
    };
    let body = ending::whole(body, sniffed.media_type);
    store(parts, job, remote, sniffed, body)
        .await
        .map_err(|error| match error {
            ImageStoreError::Source { source, .. } if source.is::<ending::CutShort>() => {
                unavailable(format!(
                    "{name} is damaged: the upstream's {} file is cut short",
                    name_of(sniffed.media_type)
                ))
            }
            ImageStoreError::Source { .. } => unavailable(format!("{name} broke off on its way")),
            ImageStoreError::TooLarge { .. } => Missing {
                failure: Failure::new(
                    FailureKind::ImageUnavailable,
                    format!("{name} is larger than 64 MiB"),
                ),
                retry: false,
            },
            ImageStoreError::Full { .. } => storage_failed("no room left where pictures are stored"),
            _ => storage_failed("a picture could not be written"),
        })
}

/// Keeps `body` as the picture `remote` of `job`.
pub(super) async fn store(
    parts: &Parts,
    job: &Job,
    remote: &RemoteImage,
    sniffed: Sniffed,
    body: ByteStream,
) -> Result<Image, ImageStoreError> {
    let key = ImageKey::new(
        job.life.created,
        job.id,
        remote.kind,
        remote.index,
        sniffed.media_type,
    );
    let stored = parts
        .images
        .put(&key, body, LARGEST)
        .await
        .inspect_err(|error| warn!(error = %Chain(error), %key, "a picture could not be stored"))?;
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

fn name_of(media_type: MediaType) -> String {
    media_type.extension().to_ascii_uppercase()
}

fn unavailable(message: String) -> Missing {
    Missing {
        failure: Failure::new(FailureKind::ImageUnavailable, message),
        retry: true,
    }
}

fn storage_failed(message: &str) -> Missing {
    Missing {
        failure: Failure::new(FailureKind::StorageFailed, message),
        retry: true,
    }
}
