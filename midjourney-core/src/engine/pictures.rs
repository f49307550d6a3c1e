//! Gets the pictures that a request brings along into the form in which its upstream takes them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use futures_util::{
    FutureExt as _, StreamExt as _,
    future::{OptionFuture, try_join, try_join_all},
};

use super::{Parts, guard};
use crate::{
    client::{InputPicture, MidjourneyClient},
    error::BoxError,
    id::UploadId,
    image::{ByteStream, ImageKind, MAX_PICTURES, MAX_UPLOAD, MediaType, sniff},
    job::{Failure, FailureKind, InputImage, JobRequest, PictureForm, RemoteImage},
    link::upload_path,
};

/// How long an upstream has to fetch a picture of ours: longer than any queue.
const LINK_LIFE: Duration = Duration::from_secs(2 * 86_400);

/// Why a picture cannot be handed over, and whether another try may help.
#[derive(Debug)]
pub(super) struct Unready {
    pub(super) failure: Failure,
    pub(super) retry: bool,
}

/// The pictures of `request` and its mask, as `client` takes them.
pub(super) async fn ready(
    parts: &Parts,
    client: &Arc<dyn MidjourneyClient>,
    request: &JobRequest,
) -> Result<(Vec<InputPicture>, Option<InputPicture>), Unready> {
    let can = client.capabilities();
    let room = Room(AtomicU64::new(MAX_PICTURES));
    let images = request
        .images
        .iter()
        .map(|picture| one(parts, client, can.pictures, picture, &room));
    let mask = OptionFuture::from(
        request
            .mask
            .as_ref()
            .map(|mask| one(parts, client, can.mask, mask, &room)),
    );
    try_join(try_join_all(images), mask.map(Option::transpose)).await
}

/// How many bytes more the pictures of one request may have.
struct Room(AtomicU64);

impl Room {
    /// Takes room for `length` bytes; whether there is that much.
    fn take(&self, length: usize) -> bool {
        let length = u64::try_from(length).unwrap_or(u64::MAX);
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(length)
            })
            .is_ok()
    }
}

async fn one(
    parts: &Parts,
    client: &Arc<dyn MidjourneyClient>,
    form: PictureForm,
    picture: &InputImage,
    room: &Room,
) -> Result<InputPicture, Unready> {
    match picture {
        InputImage::Url(url) if form == PictureForm::Bytes => {
            let remote = RemoteImage::new(url, ImageKind::Single, 1);
            let body = guard::fetch(&**client, &remote).await.map_err(|error| Unready {
                failure: error.failure,
                retry: error.retry,
            })?;
            let (bytes, media_type) = whole(body, room).await.map_err(|fault| match fault {
                Fault::NoPicture => Unready {
                    failure: Failure::new(
                        FailureKind::InvalidPrompt,
                        format!("{url} is no picture of 20 MiB at most"),
                    ),
                    retry: false,
                },
                Fault::TooMuch => too_much(),
                Fault::Broken(_) => Unready {
                    failure: Failure::new(FailureKind::Transient, format!("{url} broke off on its way")),
                    retry: true,
                },
            })?;
            Ok(InputPicture::of(bytes, media_type).with_url(Some(url.clone())))
        }
        InputImage::Url(url) => Ok(InputPicture::at(url)),
        InputImage::Upload(id) => uploaded(parts, form, *id, room).await,
    }
}

fn too_much() -> Unready {
    Unready {
        failure: Failure::new(FailureKind::InvalidPrompt, Fault::TooMuch.to_string()),
        retry: false,
    }
}

async fn uploaded(
    parts: &Parts,
    form: PictureForm,
    id: UploadId,
    room: &Room,
) -> Result<InputPicture, Unready> {
    let gone = |message: String, retry| Unready {
        failure: Failure::new(FailureKind::InvalidPrompt, message),
        retry,
    };
    let link = parts
        .links
        .as_ref()
        .map(|links| links.sign(&upload_path(id), parts.clock.now(), LINK_LIFE));
    let read = async {
        let Some(upload) = parts.jobs.upload(id).await? else {
            return Ok(None);
        };
        let body = parts.images.read(&upload.key, None).await?;
        Ok::<_, BoxError>(Some(whole(body, room).await?))
    };
    match (form, link) {
        (PictureForm::Link, Some(link)) => Ok(InputPicture::at(link)),
        (PictureForm::Link, None) => Err(gone(
            "the upstream takes links only, and uploads have none without server.public_url".to_owned(),
            false,
        )),
        (_, link) => match read.await {
            Ok(Some((bytes, media_type))) => Ok(InputPicture::of(bytes, media_type).with_url(link)),
            Ok(None) => Err(gone(format!("the upload {id} no longer exists"), false)),
            Err(error) if matches!(error.downcast_ref(), Some(Fault::TooMuch)) => Err(too_much()),
            Err(error) => {
                tracing::warn!(%error, upload = %id, "an upload could not be read");
                Err(gone(format!("the upload {id} could not be read"), true))
            }
        },
    }
}

/// Why bytes are no picture to hand on.
#[derive(Debug, thiserror::Error)]
enum Fault {
    /// They are something else, or too many.
    #[error("no picture of 20 MiB at most")]
    NoPicture,
    /// Together with the others of the request they are too many.
    #[error("the pictures of one request may come to 40 MiB in all")]
    TooMuch,
    /// They did not arrive whole; another try may.
    #[error("the picture broke off")]
    Broken(#[source] BoxError),
}

/// The bytes of a picture, which are one.
async fn whole(mut body: ByteStream, room: &Room) -> Result<(Bytes, MediaType), Fault> {
    let mut bytes = BytesMut::new();
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(Fault::Broken)?;
        if !room.take(chunk.len()) {
            return Err(Fault::TooMuch);
        }
        bytes.extend_from_slice(&chunk);
        if u64::try_from(bytes.len()).is_ok_and(|length| length > MAX_UPLOAD) {
            return Err(Fault::NoPicture);
        }
    }
    let sniffed = sniff(&bytes).ok_or(Fault::NoPicture)?;
    Ok((bytes.freeze(), sniffed.media_type))
}
