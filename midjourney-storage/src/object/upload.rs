//! Bytes in parts of one size, as some services want them, and an upload of such parts.

use bytes::{Buf as _, Bytes};
use object_store::{Error, MultipartUpload, ObjectStore, ObjectStoreExt as _, PutPayload, path::Path};
use tokio::runtime::Handle;

/// The size of every part but the last; at least 5 MiB in S3. What a picture takes in memory is little more than this.
const PART: usize = 8 * 1024 * 1024;

/// Gathers pieces to parts.
#[derive(Default)]
pub(super) struct Parts {
    pieces: Vec<Bytes>,
    length: usize,
}

impl Parts {
    pub(super) fn push(&mut self, piece: Bytes) {
        self.length = self.length.saturating_add(piece.len());
        self.pieces.push(piece);
    }

    /// A whole part, once there are more bytes than it takes: what is left over makes the last one, so that this is
    /// never empty and what fits in one part is one request.
    pub(super) fn full(&mut self) -> Option<PutPayload> {
        if self.length <= PART {
            return None;
        }
        let (mut part, mut missing) = (Vec::new(), PART);
        let mut pieces = std::mem::take(&mut self.pieces).into_iter();
        for mut piece in pieces.by_ref() {
            if piece.len() > missing {
                part.push(piece.split_to(missing));
                self.pieces.push(piece);
                break;
            }
            missing = missing.saturating_sub(piece.remaining());
            part.push(piece);
            if missing == 0 {
                break;
            }
        }
        self.pieces.extend(pieces);
        self.length = self.length.saturating_sub(PART);
        Some(part.into_iter().collect())
    }

    /// What is left.
    pub(super) fn rest(self) -> PutPayload {
        self.pieces.into_iter().collect()
    }
}

/// An upload that has begun; unless it is finished, it is given up when this is dropped.
pub(super) struct Upload(Option<Box<dyn MultipartUpload>>);

impl Upload {
    pub(super) async fn begin(store: &dyn ObjectStore, path: &Path) -> Result<Self, Error> {
        Ok(Self(Some(store.put_multipart(path).await?)))
    }

    pub(super) async fn put(&mut self, part: PutPayload) -> Result<(), Error> {
        match &mut self.0 {
            Some(upload) => upload.put_part(part).await,
            None => Ok(()),
        }
    }

    pub(super) async fn finish(mut self, last: PutPayload) -> Result<(), Error> {
        self.put(last).await?;
        if let Some(upload) = &mut self.0 {
            upload.complete().await?;
        }
        // There is nothing left to give up.
        self.0 = None;
        Ok(())
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let Some(mut upload) = self.0.take() else {
            return;
        };
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                if let Err(error) = upload.abort().await {
                    tracing::warn!(error = %error, "an unfinished upload stays in the bucket");
                }
            });
        }
    }
}

/// Whether the parts were gone when they were to be put together. At Azure whoever finishes first takes the parts of all
/// other uploads to the same key along, and a request that is repeated since its answer was lost finds that it has done
/// so itself.
pub(super) fn was_overtaken(error: &Error) -> bool {
    error.to_string().contains("<Code>InvalidBlockList</Code>")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cuts pieces of these sizes into parts; their sizes, the last one included.
    fn cut(sizes: &[usize]) -> Vec<usize> {
        let (mut parts, mut cut, mut next) = (Parts::default(), Vec::new(), 0_u8);
        let mut all = Vec::new();
        for size in sizes {
            let piece: Vec<u8> = std::iter::repeat_with(|| {
                next = next.wrapping_add(1);
                next
            })
            .take(*size)
            .collect();
            parts.push(piece.into());
            while let Some(part) = parts.full() {
                cut.push(part.content_length());
                all.extend(part.into_iter().flatten());
            }
        }
        let last = parts.rest();
        cut.push(last.content_length());
        all.extend(last.into_iter().flatten());
        let total: usize = sizes.iter().sum();
        assert_eq!(all.len(), total);
        assert!(
            all.windows(2).all(|two| two[1] == two[0].wrapping_add(1)),
            "in order"
        );
        cut
    }

    #[test]
    fn all_parts_but_the_last_have_one_size() {
        assert_eq!(cut(&[]), [0]);
        assert_eq!(cut(&[5]), [5]);
        assert_eq!(cut(&[PART]), [PART]);
        assert_eq!(cut(&[PART, 1]), [PART, 1]);
        assert_eq!(cut(&[2 * PART + 3]), [PART, PART, 3]);
        assert_eq!(cut(&[PART - 1, 2, PART, PART - 1]), [PART, PART, PART]);
    }
}
