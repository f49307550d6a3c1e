use std::{collections::HashMap, fmt, ops::Range, sync::Mutex};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt as _, stream};

use super::lock;
use crate::image::{ByteStream, ImageDigest, ImageKey, ImageStore, ImageStoreError, StoredImage};

/// Readers get pieces of this size, as from a disk.
const CHUNK: usize = 64 * 1024;

/// An [`ImageStore`] in memory.
#[derive(Default)]
pub struct MemoryImageStore {
    images: Mutex<HashMap<ImageKey, Bytes>>,
}

impl MemoryImageStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }
}

impl fmt::Debug for MemoryImageStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryImageStore").finish_non_exhaustive()
    }
}

fn count(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

#[async_trait]
impl ImageStore for MemoryImageStore {
    fn backend(&self) -> &'static str {
        "memory"
    }

    async fn put(
        &self,
        key: &ImageKey,
        mut body: ByteStream,
        limit: u64,
    ) -> Result<StoredImage, ImageStoreError> {
        let mut all = BytesMut::new();
        while let Some(part) = body.next().await {
            let part = part.map_err(|source| ImageStoreError::Source {
                key: key.clone(),
                source,
            })?;
            if count(all.len()).saturating_add(count(part.len())) > limit {
                return Err(ImageStoreError::TooLarge {
                    key: key.clone(),
                    limit,
                });
            }
            all.extend_from_slice(&part);
        }
        let stored = StoredImage::new(ImageDigest::of(&all), count(all.len()));
        lock(&self.images).insert(key.clone(), all.freeze());
        Ok(stored)
    }

    async fn length(&self, key: &ImageKey) -> Result<Option<u64>, ImageStoreError> {
        Ok(lock(&self.images).get(key).map(|bytes| count(bytes.len())))
    }

    async fn read(&self, key: &ImageKey, range: Option<Range<u64>>) -> Result<ByteStream, ImageStoreError> {
        let all = lock(&self.images)
            .get(key)
            .cloned()
            .ok_or_else(|| ImageStoreError::NotFound(key.clone()))?;
        let length = count(all.len());
        let range = range.unwrap_or(0..length);
        if range.start > length || range.end < range.start {
            return Err(ImageStoreError::BadRange { length });
        }
        // Both ends lie within the length, which came from a `usize`.
        let start = usize::try_from(range.start).unwrap_or(all.len());
        let end = usize::try_from(range.end.min(length)).unwrap_or(all.len());
        let mut rest = all.slice(start..end);
        let parts =
            std::iter::from_fn(move || (!rest.is_empty()).then(|| Ok(rest.split_to(rest.len().min(CHUNK)))));
        Ok(stream::iter(parts).boxed())
    }

    async fn remove(&self, key: &ImageKey) -> Result<(), ImageStoreError> {
        lock(&self.images).remove(key);
        Ok(())
    }

    async fn ping(&self) -> Result<(), ImageStoreError> {
        Ok(())
    }
}
