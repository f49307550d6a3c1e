//! Makes pictures small enough for a tool result.

use std::{io::Cursor, num::NonZeroU32};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use image::{
    DynamicImage, GenericImage as _, ImageReader, Limits, RgbImage, codecs::jpeg::JpegEncoder, imageops,
};
use tokio::sync::Semaphore;

/// The longest edge that is decoded.
const MAX_EDGE: u32 = 16_384;
/// The most memory that decoding one picture may take.
const MAX_ALLOC: u64 = 512 << 20;
/// Pictures are large once unpacked: one at a time.
static ONE_AT_A_TIME: Semaphore = Semaphore::const_new(1);
/// The smallest edge that is worth showing.
const LEAST_EDGE: u32 = 128;
const QUALITY: u8 = 80;

/// A picture inside a result.
#[derive(Clone, Debug)]
pub(crate) struct Inline {
    pub base64: String,
    pub media_type: &'static str,
    pub width: u32,
    pub height: u32,
}

/// The file is no picture that can be shown, or does not fit.
#[derive(Debug)]
pub(crate) struct Unshowable(pub String);

/// Which part of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Whole,
    /// A quarter of a two by two grid, from 1, left to right and top to bottom.
    Quarter(u8),
}

/// One picture whose longer edge is at most `edge` and whose base64 text is at most `budget` characters.
///
/// `original` is the media type of `bytes`, where they may be passed on as they are if they fit.
pub(crate) async fn fit(
    bytes: Vec<u8>,
    original: Option<&'static str>,
    part: Part,
    edge: u32,
    budget: usize,
) -> Result<Inline, Unshowable> {
    apart(move || {
        if part == Part::Whole
            && let Some(kept) = original.and_then(|media_type| whole(&bytes, media_type, budget))
            && kept.width.max(kept.height) <= edge
        {
            return Ok(kept);
        }
        let full = decode(&bytes)?;
        let picture = match part {
            Part::Whole => full,
            Part::Quarter(index) => quarter(&full, index),
        };
        shrink(&picture, edge, budget)
    })
    .await
}

/// The file as it is, where its base64 text is at most `budget` characters.
pub(crate) fn whole(bytes: &[u8], media_type: &'static str, budget: usize) -> Option<Inline> {
    let (width, height) = dimensions(bytes)?;
    (base64_len(bytes.len()) <= budget).then(|| Inline {
        base64: STANDARD.encode(bytes),
        media_type,
        width,
        height,
    })
}

/// Several pictures as one sheet, left to right and top to bottom; a single one by itself.
pub(crate) async fn sheet(files: Vec<Vec<u8>>, edge: u32, budget: usize) -> Result<Inline, Unshowable> {
    apart(move || {
        let columns = (1..=u32::MAX)
            .find(|n| usize::try_from(n * n).is_ok_and(|cells| cells >= files.len()))
            .unwrap_or(1);
        let cell = edge / columns.max(1);
        // Decoded one after the other, so that only small ones are held together.
        let mut small = Vec::with_capacity(files.len());
        for file in files {
            small.push(scaled(&decode(&file)?, cell));
        }
        if let [only] = &small[..] {
            return shrink(&DynamicImage::ImageRgb8(only.clone()), edge, budget);
        }
        let cell_width = small.iter().map(RgbImage::width).max().unwrap_or(1);
        let cell_height = small.iter().map(RgbImage::height).max().unwrap_or(1);
        let count = u32::try_from(small.len()).unwrap_or(u32::MAX);
        let mut sheet = RgbImage::new(cell_width * columns, cell_height * count.div_ceil(columns));
        for (place, picture) in (0..).zip(&small) {
            let (x, y) = ((place % columns) * cell_width, (place / columns) * cell_height);
            sheet
                .copy_from(picture, x, y)
                .map_err(|_| Unshowable("the pictures do not fit on one sheet".to_owned()))?;
        }
        shrink(&DynamicImage::ImageRgb8(sheet), edge, budget)
    })
    .await
}

/// Runs `work` beside the runtime, so that the protocol goes on meanwhile.
async fn apart(
    work: impl FnOnce() -> Result<Inline, Unshowable> + Send + 'static,
) -> Result<Inline, Unshowable> {
    let _turn = ONE_AT_A_TIME.acquire().await;
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|_| Err(Unshowable("the picture could not be processed".to_owned())))
}

const fn base64_len(bytes: usize) -> usize {
    bytes.div_ceil(3) * 4
}

fn reader(bytes: &[u8]) -> Option<ImageReader<Cursor<&[u8]>>> {
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().ok()?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_EDGE);
    limits.max_image_height = Some(MAX_EDGE);
    limits.max_alloc = Some(MAX_ALLOC);
    reader.limits(limits);
    Some(reader)
}

fn dimensions(bytes: &[u8]) -> Option<(u32, u32)> {
    reader(bytes)?.into_dimensions().ok()
}

fn decode(bytes: &[u8]) -> Result<DynamicImage, Unshowable> {
    reader(bytes)
        .ok_or_else(|| Unshowable("the file is no picture".to_owned()))?
        .decode()
        .map_err(|error| Unshowable(format!("the picture cannot be decoded ({error})")))
}

fn quarter(picture: &DynamicImage, index: u8) -> DynamicImage {
    let (width, height) = (picture.width() / 2, picture.height() / 2);
    let place = u32::from(index.saturating_sub(1)) % 4;
    picture.crop_imm(
        (place % 2) * width,
        (place / 2) * height,
        width.max(1),
        height.max(1),
    )
}

/// At most `edge` on the longer side; never larger than it is.
fn scaled(picture: &DynamicImage, edge: u32) -> RgbImage {
    let (width, height) = (picture.width(), picture.height());
    let longest = width.max(height).max(1);
    if longest <= edge {
        return picture.to_rgb8();
    }
    let side = |side: u32| {
        let scaled = u64::from(side) * u64::from(edge) / u64::from(longest);
        u32::try_from(scaled)
            .ok()
            .and_then(NonZeroU32::new)
            .map_or(1, NonZeroU32::get)
    };
    imageops::thumbnail(&picture.to_rgb8(), side(width), side(height))
}

/// As JPEG, as large as `edge` and `budget` allow.
fn shrink(picture: &DynamicImage, edge: u32, budget: usize) -> Result<Inline, Unshowable> {
    let mut edge = edge;
    loop {
        let small = scaled(picture, edge);
        let mut jpeg = Vec::new();
        JpegEncoder::new_with_quality(&mut jpeg, QUALITY)
            .encode_image(&small)
            .map_err(|error| Unshowable(format!("the picture cannot be scaled ({error})")))?;
        if base64_len(jpeg.len()) <= budget {
            return Ok(Inline {
                base64: STANDARD.encode(&jpeg),
                media_type: "image/jpeg",
                width: small.width(),
                height: small.height(),
            });
        }
        edge = edge.min(small.width().max(small.height())) * 3 / 4;
        if edge < LEAST_EDGE {
            return Err(Unshowable(
                "there is no room for the picture in this result".to_owned(),
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use image::ImageFormat;

    use super::*;

    fn noise(width: u32, height: u32) -> DynamicImage {
        let mut state = 1_u32;
        DynamicImage::ImageRgb8(RgbImage::from_fn(width, height, |_, _| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let [a, b, c, _] = state.to_be_bytes();
            image::Rgb([a, b, c])
        }))
    }

    fn png(picture: &DynamicImage) -> Vec<u8> {
        let mut out = Cursor::new(Vec::new());
        picture.write_to(&mut out, ImageFormat::Png).unwrap();
        out.into_inner()
    }

    #[tokio::test]
    async fn a_picture_that_fits_is_passed_on_as_it_is() {
        let bytes = png(&noise(64, 32));
        let kept = fit(bytes.clone(), Some("image/png"), Part::Whole, 64, 100_000)
            .await
            .unwrap();
        assert_eq!((kept.media_type, kept.width, kept.height), ("image/png", 64, 32));
        assert_eq!(STANDARD.decode(kept.base64).unwrap(), bytes);
    }

    #[tokio::test]
    async fn edge_and_budget_are_kept() {
        let bytes = png(&noise(900, 600));
        let small = fit(bytes.clone(), Some("image/png"), Part::Whole, 768, 1 << 20)
            .await
            .unwrap();
        assert_eq!(
            (small.media_type, small.width, small.height),
            ("image/jpeg", 768, 512)
        );
        let tight = fit(bytes.clone(), Some("image/png"), Part::Whole, 768, 60_000)
            .await
            .unwrap();
        assert!(tight.base64.len() <= 60_000 && tight.width < 768);
        let none = fit(bytes, None, Part::Whole, 768, 100).await.unwrap_err();
        assert!(none.0.contains("no room"), "{none:?}");
    }

    #[tokio::test]
    async fn a_sheet_lays_pictures_out_in_reading_order() {
        let plain = |value| {
            let pixel = image::Rgb([value, value, value]);
            png(&DynamicImage::ImageRgb8(RgbImage::from_pixel(300, 200, pixel)))
        };
        let files = [10, 90, 170, 250].map(plain).to_vec();
        let sheet = sheet(files, 400, 1 << 20).await.unwrap();
        assert_eq!((sheet.width, sheet.height), (400, 266));
        let picture = decode(&STANDARD.decode(&sheet.base64).unwrap()).unwrap();
        for (index, expected) in [(1, 10), (2, 90), (3, 170), (4, 250_u8)] {
            let part = quarter(&picture, index).to_rgb8();
            assert!(part.get_pixel(50, 50).0[0].abs_diff(expected) < 8, "{index}");
        }
    }

    #[tokio::test]
    async fn what_is_no_picture_is_refused() {
        for bytes in [Vec::new(), b"<svg/>".to_vec(), png(&noise(20, 20))[..60].to_vec()] {
            assert!(
                fit(bytes, Some("image/png"), Part::Quarter(2), 256, 1 << 20)
                    .await
                    .is_err()
            );
        }
    }

    #[tokio::test]
    async fn a_bomb_is_not_unpacked() {
        let mut bytes = png(&noise(2, 2));
        // The header says 60,000 by 60,000; its checksum is made right so that only the size is wrong.
        bytes[16..20].copy_from_slice(&60_000_u32.to_be_bytes());
        bytes[20..24].copy_from_slice(&60_000_u32.to_be_bytes());
        let crc = crc32(&bytes[12..29]);
        bytes[29..33].copy_from_slice(&crc.to_be_bytes());
        let error = fit(bytes, None, Part::Whole, 256, 1 << 20).await.unwrap_err();
        assert!(
            error.0.contains("limit") || error.0.contains("decoded"),
            "{error:?}"
        );
    }

    fn crc32(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(u32::MAX, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
                (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
            })
        })
    }
}
