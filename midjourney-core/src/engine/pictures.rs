//! Gets the pictures that a request brings along into the form in which its upstream takes them.

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;

use super::Parts;
use crate::{
    client::{InputPicture, MidjourneyClient},
    error::BoxError,
    id::UploadId,
    image::{ByteStream, ImageKind, MAX_UPLOAD, MediaType, sniff},
    job::{Failure, FailureKind, InputImage, PictureForm, RemoteImage},
};

/// How long an upstream has to fetch a picture of ours: longer than any queue.
const LINK_LIFE: Duration = Duration::from_secs(2 * 86_400);

/// Why a picture cannot be handed over, and whether another try may help.
#[derive(Debug)]
pub(super) struct Unready {
    pub(super) failure: Failure,
    pub(super) retry: bool,
}

/// `picture` for `client`, which takes such pictures as `form`.
pub(super) async fn ready(
    parts: &Parts,
    client: &Arc<dyn MidjourneyClient>,
    form: PictureForm,
    picture: &InputImage,
) -> Result<InputPicture, Unready> {
    match picture {
        InputImage::Url(url) if form == PictureForm::Bytes => {
            let remote = RemoteImage::new(url, ImageKind::Single, 1);
            let body = client.fetch(&remote).await.map_err(|error| Unready {
                failure: error.failure,
                retry: error.retry,
            })?;
            let (bytes, media_type) = whole(body).await.map_err(|fault| match fault {
                Fault::NoPicture => Unready {
                    failure: Failure::new(
                        FailureKind::InvalidPrompt,
                        format!("{url} is no picture of 20 MiB at most"),
                    ),
                    retry: false,
                },
                Fault::Broken(_) => Unready {
                    failure: Failure::new(FailureKind::Transient, format!("{url} broke off on its way")),
                    retry: true,
                },
            })?;
            Ok(InputPicture::of(bytes, media_type).with_url(Some(url.clone())))
        }
        InputImage::Url(url) => Ok(InputPicture::at(url)),
        InputImage::Upload(id) => uploaded(parts, form, *id).await,
    }
}

async fn uploaded(parts: &Parts, form: PictureForm, id: UploadId) -> Result<InputPicture, Unready> {
    let gone = |message: String, retry| Unready {
        failure: Failure::new(FailureKind::InvalidPrompt, message),
        retry,
    };
    let link = parts.links.as_ref().map(|links| {
        let path = format!("/images/uploads/{id}/content");
        links.sign(&path, parts.clock.now(), LINK_LIFE)
    });
    let read = async {
        let Some(upload) = parts.jobs.upload(id).await? else {
            return Ok(None);
        };
        let body = parts.images.read(&upload.key, None).await?;
        Ok::<_, BoxError>(Some(whole(body).await?))
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
    /// They did not arrive whole; another try may.
    #[error("the picture broke off")]
    Broken(#[source] BoxError),
}

/// The bytes of a picture, which are one.
async fn whole(mut body: ByteStream) -> Result<(Bytes, MediaType), Fault> {
    let mut bytes = BytesMut::new();
    while let Some(chunk) = body.next().await {
        bytes.extend_from_slice(&chunk.map_err(Fault::Broken)?);
        if u64::try_from(bytes.len()).is_ok_and(|length| length > MAX_UPLOAD) {
            return Err(Fault::NoPicture);
        }
    }
    let sniffed = sniff(&bytes).ok_or(Fault::NoPicture)?;
    Ok((bytes.freeze(), sniffed.media_type))
}
