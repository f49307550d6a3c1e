//! Pictures in a bucket of object storage, shared by any number of nodes.
//!
//! | feature | what | credentials in the environment |
//! | --- | --- | --- |
//! | `s3` | Amazon S3 and what speaks its protocol | `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, an instance's role |
//! | `gcs` | Google Cloud Storage | `GOOGLE_APPLICATION_CREDENTIALS`, an instance's account |
//! | `azure` | Azure Blob Storage | `AZURE_STORAGE_ACCOUNT_NAME`, `AZURE_STORAGE_ACCOUNT_KEY`, an instance's identity |
//!
//! A small picture is one request; a bigger one goes in parts and is there once all of them are. Where a process dies in
//! the middle, the parts stay and are paid for, though nobody sees them: have the bucket remove unfinished uploads after a
//! day.

mod connect;
mod upload;

use std::{fmt, ops::Range, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use http::Method;
use midjourney_core::{
    error::BoxError,
    image::{ByteStream, ImageDigest, ImageKey, ImageStore, ImageStoreError, StoredImage},
};
use object_store::{
    Error, GetOptions, ObjectMeta, ObjectStore, ObjectStoreExt as _, PutPayload, path::Path, signer::Signer,
};
use sha2::{Digest as _, Sha256};

pub use self::connect::{Bucket, BucketKind, Credentials};
use self::{
    connect::Service,
    upload::{Parts, Upload},
};

/// How often a reading is begun anew whose picture is replaced between the question for its length and that for its
/// bytes.
const TRIES: u32 = 3;

/// An [`ImageStore`] in a bucket.
///
/// Every request is tried four times within half a minute where the service is busy or cannot be reached.
pub struct ObjectImageStore {
    store: Arc<dyn ObjectStore>,
    signer: Arc<dyn Signer>,
    /// Whether links are given out.
    signs: bool,
    kind: BucketKind,
    place: String,
    prefix: Path,
}

impl fmt::Debug for ObjectImageStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The client beneath knows the credentials.
        f.debug_struct("ObjectImageStore")
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

impl ObjectImageStore {
    /// The store in `bucket`. Asks nobody yet.
    ///
    /// **Errors:** [`ImageStoreError::Backend`] where the options do not make sense, or this build lacks the kind.
    pub fn open(bucket: &Bucket) -> Result<Self, ImageStoreError> {
        let kind = bucket.kind;
        let refused = |source| backend(kind, "opening the bucket", source);
        let Service { store, signer } = connect::connect(bucket).map_err(refused)?;
        Ok(Self {
            store,
            signer,
            signs: false,
            kind,
            place: bucket.place(),
            prefix: Path::parse(bucket.prefix.as_deref().unwrap_or_default())
                .map_err(|e| refused(e.into()))?,
        })
    }

    /// The same, whose pictures whoever has a [`link`](ImageStore::link) gets from the service itself.
    pub fn with_signed_links(mut self, signed: bool) -> Self {
        self.signs = signed;
        self
    }

    /// Where this is, in words.
    pub fn place(&self) -> &str {
        &self.place
    }

    fn path(&self, key: &str) -> Path {
        let key = Path::from(key);
        self.prefix.parts().chain(key.parts()).collect()
    }

    fn failed(&self, operation: &'static str, error: impl Into<BoxError>) -> ImageStoreError {
        backend(self.kind, operation, error.into())
    }

    async fn head(&self, key: &ImageKey) -> Result<Option<ObjectMeta>, ImageStoreError> {
        match self.store.head(&self.path(key.as_str())).await {
            Ok(meta) => Ok(Some(meta)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed("asking for a picture", error)),
        }
    }

    /// The part of the value that is there now; `None` where it is replaced meanwhile.
    async fn read_part(
        &self,
        key: &ImageKey,
        range: Range<u64>,
    ) -> Result<Option<ByteStream>, ImageStoreError> {
        let Some(meta) = self.head(key).await? else {
            return Err(ImageStoreError::NotFound(key.clone()));
        };
        if range.start > meta.size || range.end < range.start {
            return Err(ImageStoreError::BadRange { length: meta.size });
        }
        let range = range.start..range.end.min(meta.size);
        // No protocol has a range of no bytes.
        if range.is_empty() {
            return Ok(Some(stream::empty().boxed()));
        }
        let options = GetOptions {
            range: Some(range.into()),
            if_match: meta.e_tag,
            ..GetOptions::default()
        };
        match self.get(key, options).await {
            Err(Error::Precondition { .. }) => Ok(None),
            got => self.given(key, got).map(Some),
        }
    }

    async fn get(&self, key: &ImageKey, options: GetOptions) -> Result<ByteStream, Error> {
        let got = self.store.get_opts(&self.path(key.as_str()), options).await?;
        Ok(got.into_stream().map_err(BoxError::from).boxed())
    }

    fn given(&self, key: &ImageKey, got: Result<ByteStream, Error>) -> Result<ByteStream, ImageStoreError> {
        got.map_err(|error| match error {
            Error::NotFound { .. } => ImageStoreError::NotFound(key.clone()),
            error => self.failed("reading a picture", error),
        })
    }
}

fn backend(kind: BucketKind, operation: &'static str, source: BoxError) -> ImageStoreError {
    ImageStoreError::Backend {
        backend: kind.name(),
        operation,
        source,
    }
}

#[async_trait]
impl ImageStore for ObjectImageStore {
    fn backend(&self) -> &'static str {
        self.kind.name()
    }

    async fn put(
        &self,
        key: &ImageKey,
        mut body: ByteStream,
        limit: u64,
    ) -> Result<StoredImage, ImageStoreError> {
        let path = self.path(key.as_str());
        let failed = |error: Error| self.failed("storing a picture", error);
        let (mut digest, mut bytes, mut parts) = (Sha256::new(), 0_u64, Parts::default());
        let mut upload = None;
        while let Some(piece) = body.next().await {
            let piece = piece.map_err(|source| ImageStoreError::Source {
                key: key.clone(),
                source,
            })?;
            bytes = bytes.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
            if bytes > limit {
                return Err(ImageStoreError::TooLarge {
                    key: key.clone(),
                    limit,
                });
            }
            digest.update(&piece);
            parts.push(piece);
            while let Some(part) = parts.full() {
                let begun = match &mut upload {
                    Some(begun) => begun,
                    none => none.insert(Upload::begin(&*self.store, &path).await.map_err(failed)?),
                };
                begun.put(part).await.map_err(failed)?;
            }
        }
        let rest: PutPayload = parts.rest();
        let stored = match upload {
            None => self.store.put(&path, rest).await.map(|_| ()),
            Some(upload) => upload.finish(rest).await,
        };
        match stored {
            Err(error) if upload::was_overtaken(&error) && self.length(key).await? == Some(bytes) => {}
            stored => stored.map_err(failed)?,
        }
        let digest: [u8; 32] = digest.finalize().into();
        Ok(StoredImage::new(ImageDigest::from_bytes(digest), bytes))
    }

    async fn length(&self, key: &ImageKey) -> Result<Option<u64>, ImageStoreError> {
        Ok(self.head(key).await?.map(|meta| meta.size))
    }

    async fn read(&self, key: &ImageKey, range: Option<Range<u64>>) -> Result<ByteStream, ImageStoreError> {
        let Some(range) = range else {
            let got = self.get(key, GetOptions::default()).await;
            return self.given(key, got);
        };
        for _ in 0..TRIES {
            if let Some(body) = self.read_part(key, range.clone()).await? {
                return Ok(body);
            }
        }
        Err(self.failed("reading a picture", "it is replaced again and again"))
    }

    async fn link(&self, key: &ImageKey, life: Duration) -> Result<Option<String>, ImageStoreError> {
        if !self.signs {
            return Ok(None);
        }
        let path = self.path(key.as_str());
        let signed = self.signer.signed_url(Method::GET, &path, life).await;
        signed
            .map(|url| Some(url.into()))
            .map_err(|error| self.failed("signing a link", error))
    }

    async fn remove(&self, key: &ImageKey) -> Result<(), ImageStoreError> {
        match self.store.delete(&self.path(key.as_str())).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.failed("removing a picture", error)),
        }
    }

    async fn ping(&self) -> Result<(), ImageStoreError> {
        // No picture is called so.
        let path = self.path("ping");
        let failed = |error| self.failed("writing to the bucket", error);
        self.store
            .put(&path, PutPayload::from_static(b"?"))
            .await
            .map_err(failed)?;
        match self.store.delete(&path).await {
            // Another node was faster.
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(failed(error)),
        }
    }
}
