//! Pictures in other sizes and formats, made when they are asked for and remembered for a while.

use bytes::Bytes;
use quick_cache::{Weighter, sync::Cache};

use super::{
    ImageDigest, MediaType,
    raster::{Encoding, Raster, RasterError},
};

/// The largest width and height that can be asked for, in pixels.
pub const MAX_SIDE: u32 = 4_096;

/// How many bytes of finished renditions are remembered.
const REMEMBERED: u64 = 64 * 1024 * 1024;

/// How many of them, about.
const COUNT: usize = 2_000;

/// How a picture is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Rendition {
    /// No wider than this, in pixels; 1 to [`MAX_SIDE`].
    pub width: Option<u32>,
    /// No higher than this, in pixels; 1 to [`MAX_SIDE`].
    pub height: Option<u32>,
    /// Packed like this; as the original is, or nearly, where nothing is said.
    pub encoding: Option<Encoding>,
}

impl Rendition {
    /// No larger than `width` by `height`, packed as `encoding`.
    pub const fn new(width: Option<u32>, height: Option<u32>, encoding: Option<Encoding>) -> Self {
        Self {
            width,
            height,
            encoding,
        }
    }

    /// Whether an original of this kind and size is what is wanted.
    pub fn is_met_by(&self, media_type: MediaType, size: Option<(u32, u32)>) -> bool {
        let fits = |side: Option<u32>, most: Option<u32>| {
            most.is_none_or(|most| side.is_some_and(|side| side <= most))
        };
        self.encoding
            .is_none_or(|encoding| encoding.media_type() == media_type)
            && fits(size.map(|(width, _)| width), self.width)
            && fits(size.map(|(_, height)| height), self.height)
    }

    /// How it is packed where the original is of this kind; `None` where it cannot be made.
    pub fn encoding_of(&self, original: MediaType) -> Option<Encoding> {
        let nearest = Encoding::nearest(original)?;
        Some(self.encoding.unwrap_or(nearest))
    }

    /// Makes it of this file.
    pub(crate) fn render(&self, original: &[u8], encoding: Encoding) -> Result<Bytes, RasterError> {
        let picture = Raster::decode(original)?;
        let side = |side: Option<u32>| side.unwrap_or(u32::MAX);
        let small = picture.within(side(self.width), side(self.height))?;
        small.encode(encoding).map(Bytes::from)
    }
}

type Key = (ImageDigest, Rendition, Encoding);

#[derive(Clone, Debug)]
struct Weight;

impl Weighter<Key, Bytes> for Weight {
    fn weight(&self, _: &Key, file: &Bytes) -> u64 {
        u64::try_from(file.len()).unwrap_or(u64::MAX).max(1)
    }
}

/// Makes renditions, each once for all who ask for it at the same time, and remembers 64 MiB of them. In memory alone:
/// they can be made again from the original in some tens of milliseconds, and so nothing needs to be cleaned up with it.
#[derive(Debug)]
pub(crate) struct Renditions(Cache<Key, Bytes, Weight>);

impl Default for Renditions {
    fn default() -> Self {
        Self(Cache::with_weighter(COUNT, REMEMBERED, Weight))
    }
}

impl Renditions {
    /// The rendition of the picture with this digest, which `make` makes where nobody has.
    ///
    /// **Cancel safety:** who else asks for it makes it then.
    pub(crate) async fn get<E>(
        &self,
        digest: ImageDigest,
        wanted: Rendition,
        encoding: Encoding,
        make: impl Future<Output = Result<Bytes, E>>,
    ) -> Result<Bytes, E> {
        self.0
            .get_or_insert_async(&(digest, wanted, encoding), make)
            .await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::future::join_all;

    use super::*;

    #[test]
    fn an_original_that_fits_is_given_as_it_is() {
        let size = Some((1024, 768));
        for (wanted, met) in [
            (Rendition::default(), true),
            (Rendition::new(Some(1024), Some(768), Some(Encoding::Png)), true),
            (Rendition::new(Some(1023), None, None), false),
            (Rendition::new(None, Some(767), None), false),
            (Rendition::new(None, None, Some(Encoding::WebP)), false),
        ] {
            assert_eq!(wanted.is_met_by(MediaType::Png, size), met, "{wanted:?}");
        }
        assert!(!Rendition::new(Some(9), None, None).is_met_by(MediaType::Png, None));
    }

    #[tokio::test]
    async fn each_is_made_once_however_many_ask() {
        let original = Raster::sheet(&[]).unwrap().encode(Encoding::Png).unwrap();
        let renditions = Renditions::default();
        let reads = AtomicUsize::new(0);
        let wanted = Rendition::new(Some(64), None, Some(Encoding::Jpeg));
        let one = || {
            renditions.get(ImageDigest::of(&original), wanted, Encoding::Jpeg, async {
                reads.fetch_add(1, Ordering::Relaxed);
                wanted.render(&original, Encoding::Jpeg)
            })
        };
        let files = join_all((0..20).map(|_| one())).await;
        assert!(files.iter().all(Result::is_ok));
        assert_eq!(reads.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn what_could_not_be_made_is_tried_anew() {
        let renditions = Renditions::default();
        let digest = ImageDigest::of(b"");
        for bytes in [&b"no picture"[..], b"nor this"] {
            let made = renditions.get(digest, Rendition::default(), Encoding::Png, async {
                Rendition::default().render(bytes, Encoding::Png)
            });
            assert!(matches!(made.await, Err(RasterError::Unreadable(_))));
        }
    }
}
