//! The mask of an inpaint, which `LegNext` alone takes as a file ("**multipart form**: file `mask` (PNG)", wire facts).

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;

use crate::{
    client::{ClientError, InputPicture, http::Caller},
    image::{MAX_UPLOAD, MediaType, sniff},
    job::{Failure, FailureKind},
};

/// The bytes of `mask`, fetched where it comes as a link.
pub(super) async fn bytes(caller: &Caller, mask: Option<&InputPicture>) -> Result<Bytes, ClientError> {
    let invalid = |message: &str| ClientError::refused(Failure::new(FailureKind::InvalidPrompt, message));
    let bytes = match mask {
        Some(InputPicture {
            file: Some((bytes, _)),
            ..
        }) => bytes.clone(),
        Some(InputPicture { url: Some(url), .. }) => fetch(caller, url).await?,
        _ => return Err(invalid("an inpaint needs a mask: white where it draws anew")),
    };
    match sniff(&bytes) {
        Some(sniffed) if sniffed.media_type == MediaType::Png => Ok(bytes),
        _ => Err(invalid("LegNext takes masks as PNG only")),
    }
}

async fn fetch(caller: &Caller, url: &str) -> Result<Bytes, ClientError> {
    let failed = |message: &str| Failure::new(FailureKind::ImageUnavailable, message);
    let mut body = caller.brought(url).await?;
    let mut bytes = BytesMut::new();
    while let Some(chunk) = body.next().await {
        bytes.extend_from_slice(&chunk.map_err(|error| {
            ClientError::not_now(failed("the mask could not be fetched"), None).with_source(error)
        })?);
        if u64::try_from(bytes.len()).is_ok_and(|length| length > MAX_UPLOAD) {
            return Err(ClientError::refused(failed("the mask is larger than 20 MiB")));
        }
    }
    Ok(bytes.freeze())
}
