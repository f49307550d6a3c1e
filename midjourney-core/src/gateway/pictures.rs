//! Hands out the bytes of pictures.

use std::{ops::Range, time::Duration};

use super::Gateway;
use crate::{
    error::{Error, ErrorKind},
    id::ImageId,
    image::{ByteStream, Image, ImageStoreError, read_whole},
};

/// A picture and its bytes, or a part of them.
#[non_exhaustive]
pub struct Picture {
    /// What is known about it.
    pub image: Image,
    /// The bytes as they come.
    pub body: ByteStream,
}

impl std::fmt::Debug for Picture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Picture")
            .field("image", &self.image)
            .finish_non_exhaustive()
    }
}

impl Gateway {
    /// The bytes of an image, or the part of them in `range` (end exclusive).
    ///
    /// **Errors:** [`ErrorKind::NotFound`]; [`ErrorKind::Invalid`] for a range outside of it.
    pub async fn picture(&self, id: ImageId, range: Option<Range<u64>>) -> Result<Picture, Error> {
        let image = self.image(id).await?;
        let body = self.parts.images.read(&image.key, range).await?;
        Ok(Picture { image, body })
    }

    /// Where the bytes of an image can be had without this gateway, for `life` at least; `None` where they come from here
    /// alone.
    ///
    /// **Errors:** the store's.
    pub async fn picture_link(&self, image: &Image, life: Duration) -> Result<Option<String>, Error> {
        Ok(self.parts.images.link(&image.key, life).await?)
    }

    /// All bytes of an image at once.
    ///
    /// **Errors:** as for [`picture`](Gateway::picture). Memory: the picture's size, 64 MiB at most.
    pub async fn picture_bytes(&self, id: ImageId) -> Result<Vec<u8>, Error> {
        let Picture { body, image, .. } = self.picture(id, None).await?;
        read_whole(body, image.bytes).await.map_err(|source| {
            Error::new(ErrorKind::Unavailable, "the picture could not be read to its end").with_source(source)
        })
    }
}

impl From<ImageStoreError> for Error {
    fn from(error: ImageStoreError) -> Self {
        match &error {
            ImageStoreError::NotFound(key) => {
                Self::new(ErrorKind::NotFound, format!("the file {key} is gone"))
            }
            ImageStoreError::BadRange { length } => Self::field(
                "/range",
                format!("the range lies outside the picture's {length} bytes"),
            ),
            ImageStoreError::Full { .. } => {
                Self::new(ErrorKind::StorageFull, "no room left where pictures are stored")
            }
            _ => Self::new(ErrorKind::Internal, "the picture store failed"),
        }
        .with_source(error)
    }
}
