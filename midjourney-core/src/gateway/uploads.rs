//! Takes in pictures that callers bring along.

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use sha2::{Digest as _, Sha256};

use super::Gateway;
use crate::{
    error::{Error, ErrorKind},
    id::UploadId,
    image::{ByteStream, ImageKey, ImageStoreError, MAX_UPLOAD, Upload, peek, sniff},
    job::Owner,
};

impl Gateway {
    /// Keeps a picture for requests to refer to; it is on disk when this returns. What it is is told from its bytes.
    ///
    /// **Errors:** [`ErrorKind::Invalid`] for what is no PNG, JPEG, WebP or GIF, or is larger than 20 MiB. **Cancel
    /// safety:** the picture is kept or not.
    pub async fn upload(&self, owner: Owner, body: ByteStream) -> Result<Upload, Error> {
        let id = UploadId::new(self.parts.clock.now(), &*self.parts.entropy);
        self.keep(id, owner, body).await
    }

    /// As [`upload`](Gateway::upload), for a picture that is at hand whole: the same bytes of the same owner are the same
    /// upload, so that a request which is repeated with its pictures is the same request.
    ///
    /// **Errors:** as for [`upload`](Gateway::upload). **Cancel safety:** the picture is kept or not.
    pub async fn upload_bytes(&self, owner: Owner, bytes: Bytes) -> Result<Upload, Error> {
        let mut hasher = Sha256::new();
        hasher.update(Sha256::digest(owner.as_str()));
        hasher.update(&bytes);
        let id = UploadId::of_digest(hasher.finalize().into());
        if let Some(known) = self.parts.jobs.upload(id).await? {
            return Ok(known);
        }
        let body = stream::iter([Ok(bytes)]).boxed();
        match self.keep(id, owner, body).await {
            Ok(upload) => Ok(upload),
            // Somebody else may have kept it meanwhile, and ids are taken once.
            Err(error) => self.parts.jobs.upload(id).await?.ok_or(error),
        }
    }

    async fn keep(&self, id: UploadId, owner: Owner, body: ByteStream) -> Result<Upload, Error> {
        let broken = |source| Error::field("", "the picture did not arrive whole").with_source(source);
        let (head, body) = peek(body).await.map_err(broken)?;
        let Some(sniffed) = sniff(&head).filter(|file| file.media_type.is_picture()) else {
            return Err(Error::field(
                "",
                "expected the bytes of a PNG, JPEG, WebP or GIF file",
            ));
        };
        let now = self.parts.clock.now();
        let key = ImageKey::upload(now, id, sniffed.media_type);
        let stored = match self.parts.images.put(&key, body, MAX_UPLOAD).await {
            Ok(stored) => stored,
            Err(ImageStoreError::Source { source, .. }) => return Err(broken(source)),
            Err(ImageStoreError::TooLarge { limit, .. }) => {
                let detail = format!("a picture may have {limit} bytes (20 MiB) at most");
                return Err(Error::field("", detail));
            }
            Err(error) => return Err(error.into()),
        };
        let upload = Upload::new(
            id,
            owner,
            key,
            stored.digest,
            stored.bytes,
            sniffed.media_type,
            sniffed.size,
            now,
        );
        self.parts.jobs.put_upload(&upload).await?;
        Ok(upload)
    }

    /// What is known about a picture that was brought along, and its bytes.
    ///
    /// **Errors:** [`ErrorKind::NotFound`].
    pub async fn uploaded(&self, id: UploadId) -> Result<(Upload, ByteStream), Error> {
        let upload = self.parts.jobs.upload(id).await?;
        let upload =
            upload.ok_or_else(|| Error::new(ErrorKind::NotFound, format!("there is no upload {id}")))?;
        let body = self.parts.images.read(&upload.key, None).await?;
        Ok((upload, body))
    }
}
