//! Whether a file came whole, told while its bytes go by.
//!
//! Only what is certainly cut is called so: decoders read on where a strict reader would not, and the picture is paid for.

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};

use super::{ByteStream, MediaType};

/// How much of a file's end is looked at: some tools append a few words behind it.
const TAIL: usize = 64 * 1024;

/// The file ends before its format does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the file is cut short")]
pub(crate) struct CutShort;

/// The same bytes, ending in [`CutShort`] where the file of kind `media_type` does not end as it should.
pub(crate) fn whole(body: ByteStream, media_type: MediaType) -> ByteStream {
    let ending = Ending::new(media_type);
    let parts = stream::unfold(Some((body, ending)), |state| async {
        let (mut body, mut ending) = state?;
        match body.next().await {
            Some(Ok(chunk)) => {
                ending.see(&chunk);
                Some((Ok(chunk), Some((body, ending))))
            }
            Some(Err(error)) => Some((Err(error), None)),
            None if ending.is_whole() => None,
            None => Some((Err(CutShort.into()), None)),
        }
    });
    Box::pin(parts)
}

/// What is remembered of the bytes that went by.
struct Ending {
    media_type: MediaType,
    seen: u64,
    tail: Vec<u8>,
    boxes: Boxes,
    head: Vec<u8>,
}

impl Ending {
    const fn new(media_type: MediaType) -> Self {
        Self {
            media_type,
            seen: 0,
            tail: Vec::new(),
            boxes: Boxes::new(),
            head: Vec::new(),
        }
    }

    fn see(&mut self, chunk: &Bytes) {
        self.seen = self.seen.saturating_add(count(chunk.len()));
        let missing = 8_usize.saturating_sub(self.head.len());
        self.head.extend(chunk.iter().take(missing));
        if self.media_type == MediaType::Mp4 {
            self.boxes.see(chunk);
        } else {
            self.tail.extend_from_slice(chunk);
            let surplus = self.tail.len().saturating_sub(TAIL);
            self.tail.drain(..surplus);
        }
    }

    fn is_whole(&self) -> bool {
        let ends_with = |mark: &[u8]| self.tail.windows(mark.len()).any(|part| part == mark);
        match self.media_type {
            // PNG (ISO 15948): the last chunk is IEND, with this checksum.
            MediaType::Png => ends_with(b"IEND\xae\x42\x60\x82"),
            // JPEG (ITU T.81): EOI.
            MediaType::Jpeg => ends_with(b"\xff\xd9"),
            // GIF89a: the trailer.
            MediaType::Gif => ends_with(b"\x3b"),
            // RIFF: a length behind the name, of what follows it.
            MediaType::WebP => {
                let length = self.head.get(4..8).and_then(|length| length.try_into().ok());
                length.is_none_or(|length| u64::from(u32::from_le_bytes(length)) + 8 <= self.seen)
            }
            MediaType::Mp4 => self.boxes.are_whole(),
        }
    }
}

/// Walks over the boxes of an MP4 file (ISO 14496-12): each begins with its length.
struct Boxes {
    /// How many bytes of the present box are still to come.
    left: u64,
    /// The beginning of a box, as far as it has come.
    head: Vec<u8>,
    /// A box that reaches to the end of the file, wherever that is.
    open: bool,
}

impl Boxes {
    const fn new() -> Self {
        Self {
            left: 0,
            head: Vec::new(),
            open: false,
        }
    }

    fn see(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && !self.open {
            let skipped = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
            self.left = self.left.saturating_sub(count(skipped));
            bytes = bytes.get(skipped..).unwrap_or_default();
            let wanted = if self.head.get(..4) == Some(&[0, 0, 0, 1]) {
                16
            } else {
                8
            };
            let taken = bytes.len().min(wanted - self.head.len());
            if self.left > 0 || taken == 0 {
                continue;
            }
            self.head.extend(bytes.iter().take(taken));
            bytes = bytes.get(taken..).unwrap_or_default();
            self.begin();
        }
    }

    /// Takes the length out of a box's beginning once that is there.
    fn begin(&mut self) {
        let short: Option<[u8; 4]> = self.head.get(..4).and_then(|length| length.try_into().ok());
        let length = match (short.map(u32::from_be_bytes), self.head.len()) {
            (Some(1), 16..) => {
                let long: Option<[u8; 8]> = self.head.get(8..16).and_then(|length| length.try_into().ok());
                long.map(u64::from_be_bytes)
            }
            (Some(1), _) | (_, ..8) => return,
            (Some(0), _) => {
                self.open = true;
                return;
            }
            (short, _) => short.map(u64::from),
        };
        self.left = length.unwrap_or(0).saturating_sub(count(self.head.len()));
        self.head.clear();
    }

    fn are_whole(&self) -> bool {
        self.open || (self.left == 0 && self.head.is_empty())
    }
}

fn count(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn came_whole(file: &[u8], media_type: MediaType) -> bool {
        [1, 7, 64 * 1024].into_iter().all(|size| {
            let mut ending = Ending::new(media_type);
            for chunk in file.chunks(size) {
                ending.see(&Bytes::copy_from_slice(chunk));
            }
            ending.is_whole()
        })
    }

    fn files() -> Vec<(MediaType, Vec<u8>)> {
        let png = [
            &b"\x89PNG\r\n\x1a\n"[..],
            &[7; 200],
            b"\0\0\0\0IEND\xae\x42\x60\x82",
        ]
        .concat();
        let jpeg = [&b"\xff\xd8\xff\xe0"[..], &[7; 200], b"\xff\xd9"].concat();
        let gif = [&b"GIF89a"[..], &[7; 200], b"\x3b"].concat();
        let webp = [&b"RIFF\xcc\0\0\0WEBP"[..], &[7; 200]].concat();
        let mp4 = [
            &b"\0\0\0\x10ftypisom\0\0\x02\0"[..],
            b"\0\0\0\x01mdat\0\0\0\0\0\0\0\x40",
            &[7; 48],
            b"\0\0\0\x08free",
        ]
        .concat();
        vec![
            (MediaType::Png, png),
            (MediaType::Jpeg, jpeg),
            (MediaType::Gif, gif),
            (MediaType::WebP, webp),
            (MediaType::Mp4, mp4),
        ]
    }

    #[test]
    fn a_whole_file_passes_in_any_pieces_and_a_cut_one_does_not() {
        for (media_type, file) in files() {
            assert!(came_whole(&file, media_type), "{media_type:?}");
            for cut in [1, 2, 20, 100] {
                let cut = &file[..file.len() - cut.min(file.len() - 1)];
                // The last box of the video is eight bytes: without all of them it ends at a box's end again.
                if !(media_type == MediaType::Mp4 && cut.len() == file.len() - 8) {
                    assert!(
                        !came_whole(cut, media_type),
                        "{media_type:?} of {} bytes",
                        cut.len()
                    );
                }
            }
        }
    }

    #[test]
    fn what_tools_append_is_no_damage() {
        for (media_type, mut file) in files() {
            if media_type != MediaType::Mp4 {
                file.extend_from_slice(b"\nmade by a tool\n");
                assert!(came_whole(&file, media_type), "{media_type:?}");
            }
        }
    }

    #[test]
    fn a_last_box_may_reach_to_the_end() {
        let file = [&b"\0\0\0\x10ftypisom\0\0\x02\0"[..], b"\0\0\0\0mdat", &[7; 99]].concat();
        assert!(came_whole(&file, MediaType::Mp4));
    }

    #[tokio::test]
    async fn a_cut_file_ends_its_stream_in_an_error() {
        let (media_type, file) = files().swap_remove(0);
        for (length, whole_file) in [(file.len(), true), (file.len() - 3, false)] {
            let chunk = Bytes::copy_from_slice(&file[..length]);
            let body: ByteStream = Box::pin(stream::iter([Ok(chunk)]));
            let parts: Vec<_> = whole(body, media_type).collect().await;
            assert_eq!(parts.iter().all(Result::is_ok), whole_file);
        }
    }
}
