//! Pictures: what is known about them, and where their bytes are kept.

pub(crate) mod ending;
pub mod marks;
#[cfg(feature = "renditions")]
pub mod provenance;
#[cfg(feature = "renditions")]
pub mod raster;
#[cfg(feature = "renditions")]
pub mod rendition;
pub mod sniff;
pub mod store;
pub mod upload;

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

pub use marks::{InvalidTag, MAX_TAGS, MarkChange, Marks, Tag};
pub(crate) use sniff::peek;
pub use sniff::{MediaType, Sniffed, sniff};
pub(crate) use store::read_whole;
pub use store::{ByteStream, ImageKey, ImageStore, ImageStoreError, InvalidImageKey, StoredImage};
pub use upload::{MAX_PICTURES, MAX_UPLOAD, Upload};

use crate::{
    clock::Timestamp,
    id::{ImageId, JobId},
    job::Owner,
};

/// What a picture shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ImageKind {
    /// All pictures of the job in one.
    Grid,
    /// One picture.
    Single,
}

impl ImageKind {
    /// The word users see.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Grid => "grid",
            Self::Single => "single",
        }
    }
}

/// SHA-256 of a picture's bytes, written as 64 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ImageDigest([u8; 32]);

impl ImageDigest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The digest behind 32 bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for ImageDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ImageDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A stored picture. The bytes are in the [`ImageStore`] under `key`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Image {
    /// Its id.
    pub id: ImageId,
    /// The job that made it.
    pub job: JobId,
    /// Whose it is.
    pub owner: Owner,
    /// What it shows.
    pub kind: ImageKind,
    /// 1 to 4 for single pictures, 0 for the grid.
    pub index: u8,
    /// Where its bytes are.
    pub key: ImageKey,
    /// What its bytes are.
    pub digest: ImageDigest,
    /// How many bytes.
    pub bytes: u64,
    /// What kind of file, told from the bytes.
    pub media_type: MediaType,
    /// Width and height in pixels, where the file tells.
    pub size: Option<(u32, u32)>,
    /// Where it was fetched from. Dies soon at most upstreams.
    pub source_url: String,
    /// When it was stored.
    pub created: Timestamp,
    /// What people have put on it.
    pub marks: Marks,
}

impl Image {
    /// A picture whose bytes are stored, without marks.
    #[expect(clippy::too_many_arguments, reason = "a row has this many columns")]
    pub fn new(
        id: ImageId,
        job: JobId,
        owner: Owner,
        kind: ImageKind,
        index: u8,
        key: ImageKey,
        digest: ImageDigest,
        bytes: u64,
        media_type: MediaType,
        size: Option<(u32, u32)>,
        source_url: String,
        created: Timestamp,
    ) -> Self {
        Self {
            id,
            job,
            owner,
            kind,
            index,
            key,
            digest,
            bytes,
            media_type,
            size,
            source_url,
            created,
            marks: Marks::default(),
        }
    }

    /// The same picture with these marks.
    pub fn with_marks(mut self, marks: Marks) -> Self {
        self.marks = marks;
        self
    }
}
