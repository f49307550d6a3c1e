//! Pictures that anybody can get at an address of their own, such as a CDN before a bucket or a folder.

use std::{ops::Range, sync::Arc, time::Duration};

use async_trait::async_trait;
use midjourney_core::image::{ByteStream, ImageKey, ImageStore, ImageStoreError, StoredImage};

/// An [`ImageStore`] whose pictures others hand out too, under their keys below one address.
#[derive(Clone, Debug)]
pub struct LinkedImageStore {
    inner: Arc<dyn ImageStore>,
    base: String,
}

impl LinkedImageStore {
    /// The pictures of `inner`, which are at `base` followed by `/` and their key for everybody.
    pub fn new(inner: Arc<dyn ImageStore>, base: impl Into<String>) -> Self {
        let base: String = base.into();
        Self {
            inner,
            base: base.trim_end_matches('/').to_owned(),
        }
    }
}

#[async_trait]
impl ImageStore for LinkedImageStore {
    fn backend(&self) -> &'static str {
        self.inner.backend()
    }

    async fn put(
        &self,
        key: &ImageKey,
        body: ByteStream,
        limit: u64,
    ) -> Result<StoredImage, ImageStoreError> {
        self.inner.put(key, body, limit).await
    }

    async fn length(&self, key: &ImageKey) -> Result<Option<u64>, ImageStoreError> {
        self.inner.length(key).await
    }

    async fn read(&self, key: &ImageKey, range: Option<Range<u64>>) -> Result<ByteStream, ImageStoreError> {
        self.inner.read(key, range).await
    }

    /// Keys hold nothing that an address must escape.
    async fn link(&self, key: &ImageKey, _life: Duration) -> Result<Option<String>, ImageStoreError> {
        Ok(Some(format!("{}/{key}", self.base)))
    }

    async fn remove(&self, key: &ImageKey) -> Result<(), ImageStoreError> {
        self.inner.remove(key).await
    }

    async fn ping(&self) -> Result<(), ImageStoreError> {
        self.inner.ping().await
    }
}
