//! Makes pictures small enough for a tool result.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use midjourney_core::image::{
    raster::{Encoding, Raster, RasterError, beside},
    sniff,
};

/// The smallest edge that is worth showing.
const LEAST_EDGE: u32 = 128;

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

impl From<RasterError> for Unshowable {
    fn from(error: RasterError) -> Self {
        Self(error.to_string())
    }
}

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
    if part == Part::Whole
        && let Some(kept) = original.and_then(|media_type| whole(&bytes, media_type, budget))
        && kept.width.max(kept.height) <= edge
    {
        return Ok(kept);
    }
    let small = beside(move || {
        let full = Raster::decode(&bytes)?;
        let picture = match part {
            Part::Whole => full,
            Part::Quarter(index) => full.quarter(index),
        };
        shrink(&picture, edge, budget)
    });
    small.await?.ok_or_else(no_room)
}

/// The file as it is, where its base64 text is at most `budget` characters.
pub(crate) fn whole(bytes: &[u8], media_type: &'static str, budget: usize) -> Option<Inline> {
    let (width, height) = sniff(bytes)?.size?;
    (base64_len(bytes.len()) <= budget).then(|| Inline {
        base64: STANDARD.encode(bytes),
        media_type,
        width,
        height,
    })
}

/// Several pictures as one sheet, left to right and top to bottom; a single one by itself.
pub(crate) async fn sheet(files: Vec<Vec<u8>>, edge: u32, budget: usize) -> Result<Inline, Unshowable> {
    let small = beside(move || {
        let columns = (1..=edge)
            .find(|n| usize::try_from(n * n).is_ok_and(|cells| cells >= files.len()))
            .unwrap_or(1);
        let cell = edge / columns;
        // Unpacked one after the other, so that only small ones are held together.
        let mut small = Vec::with_capacity(files.len());
        for file in files {
            small.push(Raster::decode(&file)?.within(cell, cell)?);
        }
        shrink(&Raster::sheet(&small)?, edge, budget)
    });
    small.await?.ok_or_else(no_room)
}

fn no_room() -> Unshowable {
    Unshowable("there is no room for the picture in this result".to_owned())
}

const fn base64_len(bytes: usize) -> usize {
    bytes.div_ceil(3) * 4
}

/// As JPEG, as large as `edge` and `budget` allow; `None` where not even the smallest fits.
fn shrink(picture: &Raster, edge: u32, budget: usize) -> Result<Option<Inline>, RasterError> {
    let mut edge = edge;
    while edge >= LEAST_EDGE {
        let small = picture.within(edge, edge)?;
        let jpeg = small.encode(Encoding::Jpeg)?;
        let (width, height) = small.size();
        if base64_len(jpeg.len()) <= budget {
            return Ok(Some(Inline {
                base64: STANDARD.encode(&jpeg),
                media_type: Encoding::Jpeg.media_type().mime(),
                width,
                height,
            }));
        }
        edge = edge.min(width.max(height)) * 3 / 4;
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A PNG file of noise, which no packing makes small.
    fn noise(width: u32, height: u32) -> Vec<u8> {
        let mut state = 1_u32;
        let bytes = (0..width * height * 3)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                state.to_be_bytes()[0]
            })
            .collect();
        png(width, height, bytes)
    }

    fn plain(value: u8, width: u32, height: u32) -> Vec<u8> {
        let bytes = (0..width * height * 3).map(|_| value).collect();
        png(width, height, bytes)
    }

    fn png(width: u32, height: u32, pixels: Vec<u8>) -> Vec<u8> {
        let pixels = image::RgbImage::from_raw(width, height, pixels).unwrap();
        let mut file = std::io::Cursor::new(Vec::new());
        pixels.write_to(&mut file, image::ImageFormat::Png).unwrap();
        file.into_inner()
    }

    #[tokio::test]
    async fn a_picture_that_fits_is_passed_on_as_it_is() {
        let bytes = noise(64, 32);
        let kept = fit(bytes.clone(), Some("image/png"), Part::Whole, 64, 100_000)
            .await
            .unwrap();
        assert_eq!((kept.media_type, kept.width, kept.height), ("image/png", 64, 32));
        assert_eq!(STANDARD.decode(kept.base64).unwrap(), bytes);
    }

    #[tokio::test]
    async fn edge_and_budget_are_kept() {
        let bytes = noise(900, 600);
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
        let files = [10, 90, 170, 250].map(|value| plain(value, 300, 200)).to_vec();
        let sheet = sheet(files, 400, 1 << 20).await.unwrap();
        assert_eq!((sheet.width, sheet.height), (400, 266));
        let bytes = STANDARD.decode(&sheet.base64).unwrap();
        let pixels = image::load_from_memory(&bytes).unwrap().to_rgb8();
        for ((x, y), expected) in [
            ((50, 50), 10),
            ((250, 50), 90),
            ((50, 200), 170),
            ((250, 200), 250_u8),
        ] {
            assert!(pixels.get_pixel(x, y).0[0].abs_diff(expected) < 8, "{x}, {y}");
        }
    }

    #[tokio::test]
    async fn what_is_no_picture_is_refused() {
        for bytes in [Vec::new(), b"<svg/>".to_vec(), noise(20, 20)[..60].to_vec()] {
            assert!(
                fit(bytes, Some("image/png"), Part::Quarter(2), 256, 1 << 20)
                    .await
                    .is_err()
            );
        }
    }
}
