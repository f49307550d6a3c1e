//! Pictures that callers bring along: references, masks, originals to edit.

use super::{ImageDigest, ImageKey, MediaType};
use crate::{clock::Timestamp, id::UploadId, job::Owner};

/// The largest picture that is taken in, in bytes ("Upload limit 10 MB (one update note says 20 MB)", wire facts).
pub const MAX_UPLOAD: u64 = 20 * 1024 * 1024;

/// The most that all pictures of one request may come to, in bytes: they are held in memory while they are sent.
pub const MAX_PICTURES: u64 = 2 * MAX_UPLOAD;

/// A stored picture that no job made. The bytes are in the [`ImageStore`](super::ImageStore) under `key`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Upload {
    /// Its id.
    pub id: UploadId,
    /// Whose it is.
    pub owner: Owner,
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
    /// When it was taken in.
    pub created: Timestamp,
}

impl Upload {
    /// A picture whose bytes are stored.
    #[expect(clippy::too_many_arguments, reason = "a row has this many columns")]
    pub const fn new(
        id: UploadId,
        owner: Owner,
        key: ImageKey,
        digest: ImageDigest,
        bytes: u64,
        media_type: MediaType,
        size: Option<(u32, u32)>,
        created: Timestamp,
    ) -> Self {
        Self {
            id,
            owner,
            key,
            digest,
            bytes,
            media_type,
            size,
            created,
        }
    }
}
