//! Where the bytes of pictures are kept.

use std::{fmt, ops::Range, pin::Pin, str::FromStr, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::Stream;
use futures_util::StreamExt as _;

use super::{ImageDigest, ImageKind, sniff::MediaType};
use crate::{
    clock::Timestamp,
    error::BoxError,
    id::{JobId, UploadId},
};

/// Bytes as they come. An error ends the stream.
pub type ByteStream = Pin<Box<dyn Stream<Item = Result<Bytes, BoxError>> + Send + 'static>>;

/// All of `body` in memory, `expected` bytes or so.
pub(crate) async fn read_whole(mut body: ByteStream, expected: u64) -> Result<Vec<u8>, BoxError> {
    let mut bytes = Vec::with_capacity(usize::try_from(expected).unwrap_or(0));
    while let Some(chunk) = body.next().await {
        bytes.extend_from_slice(&chunk?);
    }
    Ok(bytes)
}

/// A picture's place in the store: `2026/11/22/job_..._1.png`.
///
/// The key follows from the job alone, so storing a picture again after a crash lands on the same place. A person can
/// browse it. It holds lower-case letters, digits, `_`, `.` and `/` only, and no part of it comes from outside.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageKey(String);

impl ImageKey {
    /// The place of picture `index` of `job`, which was accepted at `created`.
    pub fn new(created: Timestamp, job: JobId, kind: ImageKind, index: u8, media_type: MediaType) -> Self {
        let (year, month, day) = created.utc_date();
        let extension = media_type.extension();
        Self(match kind {
            ImageKind::Grid => format!("{year:04}/{month:02}/{day:02}/{job}_grid.{extension}"),
            ImageKind::Single => format!("{year:04}/{month:02}/{day:02}/{job}_{index}.{extension}"),
        })
    }

    /// The place of a picture that a caller brought along at `created`.
    pub fn upload(created: Timestamp, id: UploadId, media_type: MediaType) -> Self {
        let (year, month, day) = created.utc_date();
        Self(format!(
            "{year:04}/{month:02}/{day:02}/{id}.{}",
            media_type.extension()
        ))
    }

    /// The key as text; parts are separated by `/` on every platform.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ImageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text is not an image key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an image key of the form 2026/11/22/job_..._1.png")]
pub struct InvalidImageKey;

impl FromStr for ImageKey {
    type Err = InvalidImageKey;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = |part: &str| {
            !part.is_empty()
                && !part.starts_with('.')
                && part
                    .bytes()
                    .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.'))
        };
        if text.len() <= 200 && text.split('/').count() == 4 && text.split('/').all(plain) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidImageKey)
        }
    }
}

/// What a store knows about bytes it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredImage {
    /// SHA-256 of the bytes.
    pub digest: ImageDigest,
    /// How many.
    pub bytes: u64,
}

impl StoredImage {
    /// `bytes` bytes whose SHA-256 is `digest`.
    pub const fn new(digest: ImageDigest, bytes: u64) -> Self {
        Self { digest, bytes }
    }
}

/// Why bytes could not be kept or given.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageStoreError {
    /// There is nothing under that key.
    #[error("there is no image {0}")]
    NotFound(ImageKey),
    /// The stream of bytes to store ended in an error. Nothing was kept.
    #[error("the bytes of {key} did not arrive whole")]
    Source {
        /// Where they should have gone.
        key: ImageKey,
        /// What ended them.
        #[source]
        source: BoxError,
    },
    /// More bytes than the limit. Nothing was kept.
    #[error("{key} is larger than {limit} bytes")]
    TooLarge {
        /// Where they should have gone.
        key: ImageKey,
        /// The limit.
        limit: u64,
    },
    /// The range starts past the end, or ends before it starts.
    #[error("the range is not within the image's {length} bytes")]
    BadRange {
        /// How many bytes there are.
        length: u64,
    },
    /// The device is full. Nothing was kept.
    #[error("no room left where images are stored")]
    Full {
        /// The cause.
        #[source]
        source: BoxError,
    },
    /// The store itself failed.
    #[error("{backend}: {operation} failed")]
    Backend {
        /// Which backend.
        backend: &'static str,
        /// What it was doing.
        operation: &'static str,
        /// The cause.
        #[source]
        source: BoxError,
    },
}

/// Where the bytes of pictures are kept. What is known about them is in the [`JobStore`](crate::job::JobStore).
///
/// Held to one suite, [`testing::image_store`](crate::testing) (feature `testing`).
#[async_trait]
pub trait ImageStore: fmt::Debug + Send + Sync + 'static {
    /// The backend's name: `memory`, `local`.
    fn backend(&self) -> &'static str;

    /// Keeps the bytes of `body`, at most `limit` of them, under `key`; replaces what was there.
    ///
    /// **Contract:** when it returns, the bytes survive the death of process and machine (where the backend has a
    /// disk); a reader sees the old bytes or the new ones, never a mix; on error nothing has changed. Memory use does
    /// not grow with the picture, except in the memory backend.
    ///
    /// **Cancel safety:** dropping the future keeps the old bytes or the new ones; leftovers are cleaned up later.
    async fn put(&self, key: &ImageKey, body: ByteStream, limit: u64)
    -> Result<StoredImage, ImageStoreError>;

    /// How many bytes are under `key`; `None` where there is nothing.
    async fn length(&self, key: &ImageKey) -> Result<Option<u64>, ImageStoreError>;

    /// The bytes under `key`, or the part of them in `range` (end exclusive, cut to the length).
    ///
    /// **Errors:** [`ImageStoreError::NotFound`], [`ImageStoreError::BadRange`].
    async fn read(&self, key: &ImageKey, range: Option<Range<u64>>) -> Result<ByteStream, ImageStoreError>;

    /// An address at which whoever has it gets the bytes under `key` without us, for `life` at least; `None`, as in most
    /// stores, where there is no such address. Whether there is anything under `key` is not looked at.
    async fn link(&self, _key: &ImageKey, _life: Duration) -> Result<Option<String>, ImageStoreError> {
        Ok(None)
    }

    /// Removes what is under `key`; fine where there is nothing.
    async fn remove(&self, key: &ImageKey) -> Result<(), ImageStoreError>;

    /// Whether the store can be written to at the moment.
    async fn ping(&self) -> Result<(), ImageStoreError>;
}
