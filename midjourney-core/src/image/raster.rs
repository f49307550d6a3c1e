//! Pictures unpacked into pixels: scaled, cut, laid out side by side, and packed again.
//!
//! Unpacking costs memory that no file size tells of, so it is bounded: [`MAX_MEMORY`] for one picture, and no more than
//! [`AT_ONCE`] of them at a time through [`beside`].

use std::io::Cursor;

use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use image::{
    DynamicImage, GenericImage as _, ImageFormat, ImageReader, Limits, RgbImage, codecs::jpeg::JpegEncoder,
};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::MediaType;

/// The longest edge that is unpacked, in pixels.
pub const MAX_EDGE: u32 = 16_384;

/// The most memory that unpacking one picture may take, in bytes: a square of 6,600 pixels in three colours.
pub const MAX_MEMORY: u64 = 128 * 1024 * 1024;

/// How many pictures are unpacked at a time in one process.
pub const AT_ONCE: usize = 2;

static TURNS: Semaphore = Semaphore::const_new(AT_ONCE);

/// How many files are held whole in one process while they wait for their turn.
const HELD: usize = 8;

static HOLDS: Semaphore = Semaphore::const_new(HELD);

/// Leave to hold a whole file, until it is dropped. Whoever asks for many pictures at once waits here, not in memory.
pub(crate) async fn hold() -> Option<SemaphorePermit<'static>> {
    // Nobody closes it.
    HOLDS.acquire().await.ok()
}

/// Why a picture cannot be worked on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RasterError {
    /// The file is no picture, is damaged, or is larger than the limits allow.
    #[error("the picture cannot be unpacked: {0}")]
    Unreadable(String),
    /// The picture cannot be packed that way.
    #[error("the picture cannot be written: {0}")]
    Unwritable(String),
    /// The work ended in a panic.
    #[error("the picture could not be worked on")]
    Broken,
}

/// Runs `work` on a thread beside the runtime, when its turn has come.
///
/// **Cancel safety:** work that has begun goes on to its end.
pub async fn beside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, RasterError> + Send + 'static,
) -> Result<T, RasterError> {
    let turn = TURNS.acquire().await;
    tokio::task::spawn_blocking(move || {
        let _turn = turn;
        work()
    })
    .await
    .unwrap_or(Err(RasterError::Broken))
}

/// How a picture is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(clippy::exhaustive_enums, reason = "what every browser shows")]
pub enum Encoding {
    /// Without loss.
    Png,
    /// At quality 85.
    Jpeg,
    /// At quality 82.
    WebP,
}

impl Encoding {
    /// The kind of file.
    pub const fn media_type(self) -> MediaType {
        match self {
            Self::Png => MediaType::Png,
            Self::Jpeg => MediaType::Jpeg,
            Self::WebP => MediaType::WebP,
        }
    }

    /// The way that gives files of this kind, or the nearest to it; `None` for videos.
    pub const fn nearest(media_type: MediaType) -> Option<Self> {
        match media_type {
            MediaType::Png | MediaType::Gif => Some(Self::Png),
            MediaType::Jpeg => Some(Self::Jpeg),
            MediaType::WebP => Some(Self::WebP),
            MediaType::Mp4 => None,
        }
    }
}

/// A picture as pixels.
#[derive(Clone, Debug)]
pub struct Raster(DynamicImage);

impl Raster {
    /// Unpacks a file. Of one that moves, the first picture.
    pub fn decode(bytes: &[u8]) -> Result<Self, RasterError> {
        let mut reader = ImageReader::new(Cursor::new(bytes))
            .with_guessed_format()
            .map_err(unreadable)?;
        let mut limits = Limits::default();
        limits.max_image_width = Some(MAX_EDGE);
        limits.max_image_height = Some(MAX_EDGE);
        limits.max_alloc = Some(MAX_MEMORY);
        reader.limits(limits);
        reader.decode().map(Self).map_err(unreadable)
    }

    /// Width and height in pixels.
    pub fn size(&self) -> (u32, u32) {
        (self.0.width(), self.0.height())
    }

    /// A quarter of a two by two grid, from 1, left to right and top to bottom.
    pub fn quarter(&self, index: u8) -> Self {
        let (width, height) = (self.0.width() / 2, self.0.height() / 2);
        let place = u32::from(index.saturating_sub(1)) % 4;
        let (x, y) = ((place % 2) * width, (place / 2) * height);
        Self(self.0.crop_imm(x, y, width.max(1), height.max(1)))
    }

    /// The same picture in its own proportions, as large as fits into `width` by `height`; never larger than it is.
    pub fn within(&self, width: u32, height: u32) -> Result<Self, RasterError> {
        let (to_width, to_height) = fit(self.size(), (width, height));
        if (to_width, to_height) == self.size() {
            return Ok(self.clone());
        }
        let mut small = DynamicImage::new(to_width, to_height, self.0.color());
        let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::CatmullRom));
        Resizer::new()
            .resize(&self.0, &mut small, &options)
            .map_err(|error| RasterError::Unwritable(error.to_string()))?;
        Ok(Self(small))
    }

    /// Several pictures on one sheet, left to right and top to bottom, in cells as large as the largest of them.
    pub fn sheet(pictures: &[Self]) -> Result<Self, RasterError> {
        let count = u32::try_from(pictures.len()).unwrap_or(u32::MAX);
        let columns = (1..=count)
            .find(|side| side.saturating_mul(*side) >= count)
            .unwrap_or(1);
        let largest = |side: fn(&DynamicImage) -> u32| pictures.iter().map(|Self(one)| side(one)).max();
        let cell_width = largest(DynamicImage::width).unwrap_or(1);
        let cell_height = largest(DynamicImage::height).unwrap_or(1);
        let width = cell_width.saturating_mul(columns);
        let height = cell_height.saturating_mul(count.div_ceil(columns).max(1));
        if width > MAX_EDGE || height > MAX_EDGE {
            return Err(RasterError::Unwritable("the sheet would be too large".to_owned()));
        }
        let mut sheet = RgbImage::new(width, height);
        for (place, Self(picture)) in (0..).zip(pictures) {
            let (x, y) = ((place % columns) * cell_width, (place / columns) * cell_height);
            sheet
                .copy_from(&picture.to_rgb8(), x, y)
                .map_err(|error| RasterError::Unwritable(error.to_string()))?;
        }
        Ok(Self(DynamicImage::ImageRgb8(sheet)))
    }

    /// Packs the picture.
    pub fn encode(&self, encoding: Encoding) -> Result<Vec<u8>, RasterError> {
        let mut file = Vec::new();
        match encoding {
            Encoding::Png => self
                .0
                .write_to(&mut Cursor::new(&mut file), ImageFormat::Png)
                .map_err(unwritable)?,
            Encoding::Jpeg => JpegEncoder::new_with_quality(&mut file, 85)
                .encode_image(&self.0.to_rgb8())
                .map_err(unwritable)?,
            Encoding::WebP => file = self.webp()?,
        }
        Ok(file)
    }

    fn webp(&self) -> Result<Vec<u8>, RasterError> {
        let (width, height) = self.size();
        let packed = if self.0.color().has_alpha() {
            let pixels = self.0.to_rgba8();
            webp::Encoder::from_rgba(&pixels, width, height).encode_simple(false, 82.0)
        } else {
            let pixels = self.0.to_rgb8();
            webp::Encoder::from_rgb(&pixels, width, height).encode_simple(false, 82.0)
        };
        packed
            .map(|packed| packed.to_vec())
            .map_err(|error| RasterError::Unwritable(format!("{error:?}")))
    }
}

/// The largest size of `size`'s proportions within `room`, not beyond `size`; at least one pixel.
fn fit((width, height): (u32, u32), room: (u32, u32)) -> (u32, u32) {
    let (wide, high) = (u64::from(width.max(1)), u64::from(height.max(1)));
    let (room_wide, room_high) = (u64::from(room.0.max(1)), u64::from(room.1.max(1)));
    if wide <= room_wide && high <= room_high {
        return (width, height);
    }
    let side = |side: u64| u32::try_from(side.max(1)).unwrap_or(u32::MAX);
    let rounded = |whole: u64, part: u64, of: u64| (whole * part + of / 2) / of;
    if wide * room_high >= high * room_wide {
        (side(room_wide), side(rounded(high, room_wide, wide)))
    } else {
        (side(rounded(wide, room_high, high)), side(room_high))
    }
}

fn unreadable(error: impl std::fmt::Display) -> RasterError {
    RasterError::Unreadable(error.to_string())
}

fn unwritable(error: impl std::fmt::Display) -> RasterError {
    RasterError::Unwritable(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(value: u8, width: u32, height: u32) -> Raster {
        let pixel = image::Rgb([value, value, value]);
        Raster(DynamicImage::ImageRgb8(RgbImage::from_pixel(
            width, height, pixel,
        )))
    }

    #[test]
    fn a_picture_keeps_its_proportions_and_never_grows() {
        for (size, room, fitted) in [
            ((2048, 1024), (512, 4096), (512, 256)),
            ((1024, 2048), (4096, 512), (256, 512)),
            ((300, 200), (512, 512), (300, 200)),
            ((3, 1000), (100, 100), (1, 100)),
            ((1536, 1024), (768, 768), (768, 512)),
        ] {
            assert_eq!(fit(size, room), fitted, "{size:?} in {room:?}");
        }
        assert_eq!(plain(9, 900, 600).within(90, 90).unwrap().size(), (90, 60));
    }

    #[test]
    fn every_packing_gives_its_own_kind_of_file() {
        for encoding in [Encoding::Png, Encoding::Jpeg, Encoding::WebP] {
            let file = plain(120, 64, 32).encode(encoding).unwrap();
            let sniffed = super::super::sniff(&file).unwrap();
            assert_eq!(sniffed.media_type, encoding.media_type());
            assert_eq!(sniffed.size, Some((64, 32)));
            let back = Raster::decode(&file).unwrap().0.to_rgb8();
            assert!(back.get_pixel(20, 20).0[0].abs_diff(120) < 4, "{encoding:?}");
        }
    }

    #[test]
    fn a_sheet_is_cut_into_what_it_was_made_of() {
        let pictures = [10, 90, 170, 250].map(|value| plain(value, 30, 20));
        let sheet = Raster::sheet(&pictures).unwrap();
        assert_eq!(sheet.size(), (60, 40));
        for (index, value) in [(1, 10), (2, 90), (3, 170), (4, 250)] {
            let quarter = sheet.quarter(index);
            assert_eq!(quarter.size(), (30, 20));
            assert_eq!(quarter.0.to_rgb8().get_pixel(15, 10).0, [value; 3]);
        }
        assert_eq!(Raster::sheet(&pictures[..3]).unwrap().size(), (60, 40));
        assert_eq!(Raster::sheet(&pictures[..1]).unwrap().size(), (30, 20));
    }

    #[test]
    fn what_is_no_picture_is_refused() {
        let whole = plain(7, 40, 40).encode(Encoding::Png).unwrap();
        for bytes in [&b""[..], b"<svg/>", &whole[..60]] {
            assert!(matches!(Raster::decode(bytes), Err(RasterError::Unreadable(_))));
        }
    }

    #[test]
    fn a_bomb_is_not_unpacked() {
        let mut bytes = plain(7, 2, 2).encode(Encoding::Png).unwrap();
        // The header says 60,000 by 60,000; its checksum is made right so that only the size is wrong.
        bytes[16..20].copy_from_slice(&60_000_u32.to_be_bytes());
        bytes[20..24].copy_from_slice(&60_000_u32.to_be_bytes());
        let crc = crc32(&bytes[12..29]);
        bytes[29..33].copy_from_slice(&crc.to_be_bytes());
        assert!(matches!(Raster::decode(&bytes), Err(RasterError::Unreadable(_))));
    }

    fn crc32(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(u32::MAX, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
                (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
            })
        })
    }

    #[tokio::test]
    async fn work_that_panics_is_an_error_and_gives_its_turn_back() {
        for _ in 0..AT_ONCE * 2 {
            let panicked = beside(|| -> Result<(), _> { panic!("on purpose") }).await;
            assert!(matches!(panicked, Err(RasterError::Broken)));
        }
    }
}
