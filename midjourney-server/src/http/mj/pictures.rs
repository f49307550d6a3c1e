//! Pictures that come inside a body: decoded, kept as uploads, and referred to.

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use bytes::Bytes;
use futures_util::stream;
use midjourney_core::{
    gateway::Gateway,
    id::UploadId,
    job::{InputImage, Owner},
};

use super::wire::Answer;

/// How many bytes the pictures of one request may have, decoded, in all.
const LIMIT: usize = 8 * 1024 * 1024;

/// Base64 as clients write it, with or without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The pictures of one request.
pub(super) struct Intake<'a> {
    gateway: &'a Gateway,
    left: usize,
}

impl<'a> Intake<'a> {
    /// No picture yet.
    pub(super) const fn new(gateway: &'a Gateway) -> Self {
        Self { gateway, left: LIMIT }
    }

    /// Keeps each of `texts`, data URLs or plain base64, which came as `field`.
    pub(super) async fn keep_all(&mut self, field: &str, texts: &[String]) -> Result<Vec<UploadId>, Answer> {
        // All are decoded before one is kept.
        let mut pictures = Vec::with_capacity(texts.len());
        for text in texts {
            pictures.push(self.decode(field, text)?);
        }
        let mut ids = Vec::with_capacity(pictures.len());
        for picture in pictures {
            let body = Box::pin(stream::once(std::future::ready(Ok(picture))));
            let kept = self.gateway.upload(Owner::local(), body).await;
            let upload = kept.map_err(|error| {
                // What is wrong with a picture has no name of its own there.
                let wrong = error
                    .fields()
                    .first()
                    .map(|wrong| Answer::field(field, &wrong.detail));
                wrong.unwrap_or_else(|| error.into())
            })?;
            ids.push(upload.id);
        }
        Ok(ids)
    }

    /// The picture that came as `field`: an address, a data URL, or plain base64.
    pub(super) async fn picture(&mut self, field: &str, text: String) -> Result<InputImage, Answer> {
        if text.starts_with("http://") || text.starts_with("https://") {
            return Ok(InputImage::Url(text));
        }
        let kept = self.keep_all(field, &[text]).await?;
        let first = kept.first().copied().map(InputImage::Upload);
        first.ok_or_else(|| Answer::field(field, "expected a picture"))
    }

    fn decode(&mut self, field: &str, text: &str) -> Result<Bytes, Answer> {
        let payload = match text.strip_prefix("data:") {
            None => text,
            Some(rest) => match rest.split_once(";base64,") {
                Some((_, payload)) => payload,
                None => {
                    return Err(Answer::field(
                        field,
                        "expected a data URL in base64: data:image/png;base64,...",
                    ));
                }
            },
        };
        if payload.is_empty() {
            return Err(Answer::field(field, "the picture is empty"));
        }
        let bytes = BASE64
            .decode(payload)
            .map_err(|_| Answer::field(field, "broken base64; expected a data URL or plain base64"))?;
        self.left = self.left.checked_sub(bytes.len()).ok_or_else(|| {
            let detail = format!("the pictures of a request may have {LIMIT} bytes (8 MiB) in all");
            Answer::field(field, &detail)
        })?;
        Ok(bytes.into())
    }
}
