//! What a file is, told from its bytes and never from its name or its server's word.

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use serde::{Serialize, Serializer};

use super::ByteStream;
use crate::error::BoxError;

/// The kinds of file that are stored; everything else is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MediaType {
    /// `image/png`
    Png,
    /// `image/jpeg`
    Jpeg,
    /// `image/webp`
    WebP,
    /// `image/gif`
    Gif,
    /// `video/mp4`
    Mp4,
}

impl MediaType {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Png, Self::Jpeg, Self::WebP, Self::Gif, Self::Mp4];

    /// The MIME type.
    pub const fn mime(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::WebP => "image/webp",
            Self::Gif => "image/gif",
            Self::Mp4 => "video/mp4",
        }
    }

    /// The file name's ending.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpg",
            Self::WebP => "webp",
            Self::Gif => "gif",
            Self::Mp4 => "mp4",
        }
    }

    /// Whether it is a picture, not a video.
    pub const fn is_picture(self) -> bool {
        !matches!(self, Self::Mp4)
    }

    /// The kind with this MIME type.
    pub fn from_mime(mime: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.mime() == mime)
    }
}

impl Serialize for MediaType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.mime())
    }
}

/// What the first bytes of a file tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sniffed {
    /// What kind of file.
    pub media_type: MediaType,
    /// Width and height in pixels, where the header holds them.
    pub size: Option<(u32, u32)>,
}

/// What every PNG begins with.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";

/// How many bytes from a file's start are enough for [`sniff`] on files as upstreams make them.
pub const SNIFF_BYTES: usize = 64 * 1024;

/// Tells what a file is from its first [`SNIFF_BYTES`]; `None` for anything but the [`MediaType`]s. Reads headers
/// only, decodes nothing.
pub fn sniff(head: &[u8]) -> Option<Sniffed> {
    if is_mp4(head) {
        let media_type = MediaType::Mp4;
        return Some(Sniffed {
            media_type,
            size: None,
        });
    }
    let media_type = match imagesize::image_type(head).ok()? {
        // Its first four bytes would do there; the others tell of line ends that were mended on the way.
        imagesize::ImageType::Png if head.starts_with(PNG) => MediaType::Png,
        imagesize::ImageType::Jpeg => MediaType::Jpeg,
        imagesize::ImageType::Webp => MediaType::WebP,
        imagesize::ImageType::Gif => MediaType::Gif,
        _ => return None,
    };
    let size = imagesize::blob_size(head)
        .ok()
        .and_then(|size| Some((u32::try_from(size.width).ok()?, u32::try_from(size.height).ok()?)));
    Some(Sniffed { media_type, size })
}

/// Whether a file begins with the box of an MP4 video (ISO 14496-12, `ftyp`); the same box with other brands begins
/// pictures and sound.
fn is_mp4(head: &[u8]) -> bool {
    let brand = head.get(8..12).filter(|_| head.get(4..8) == Some(b"ftyp"));
    brand.is_some_and(|brand| {
        let iso = brand.starts_with(b"iso") && brand.iter().all(u8::is_ascii_alphanumeric);
        iso || matches!(brand, b"mp41" | b"mp42" | b"avc1" | b"M4V " | b"dash")
    })
}

/// The first bytes of a stream, enough to tell what it is, and the whole stream again.
pub(crate) async fn peek(mut body: ByteStream) -> Result<(Vec<u8>, ByteStream), BoxError> {
    let mut head = Vec::new();
    let mut chunks: Vec<Bytes> = Vec::new();
    while head.len() < SNIFF_BYTES
        && let Some(chunk) = body.next().await
    {
        let chunk = chunk?;
        head.extend_from_slice(&chunk);
        chunks.push(chunk);
    }
    let whole = stream::iter(chunks.into_iter().map(Ok)).chain(body);
    Ok((head, Box::pin(whole)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pictures_and_videos_pass_whatever_they_are_called() {
        let gif = b"GIF89a\x02\x00\x03\x00\x00\x00\x00";
        assert_eq!(
            sniff(gif),
            Some(Sniffed {
                media_type: MediaType::Gif,
                size: Some((2, 3))
            })
        );
        for other in [
            &b"<svg xmlns='http://www.w3.org/2000/svg'/>"[..],
            b"<html>",
            b"%PDF-1.7",
            b"",
            b"\x89PN",
            b"\x89PNG\n\x1a\n\0\0\0\rIHDR",
            b"BM\0\0",
            b"\0\0\0\x1cftypM4A \0\0\0\0",
            b"\0\0\0\x1cftyp",
        ] {
            assert_eq!(sniff(other), None);
        }
        for brand in [b"isom", b"iso6", b"mp42"] {
            let head = [&b"\0\0\0\x1cftyp"[..], brand, b"\0\0\x02\0"].concat();
            assert_eq!(sniff(&head).map(|video| video.media_type), Some(MediaType::Mp4));
        }
        // A cut header tells the kind but no size.
        assert_eq!(
            sniff(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR").map(|s| s.size),
            Some(None)
        );
    }
}
