//! A picture, from its description to a PNG file.

use serde::{Deserialize, Serialize};

use super::{
    font,
    params::Params,
    scene::Scene,
    task::{pack, unpack},
};

/// What every address of a simulated picture starts with.
const SCHEME: &str = "sim://1/";

/// Larger pictures are not made: 16 megapixels, as an upscaled `--hd` picture has.
const MAX_PIXELS: u64 = 1 << 24;

/// The longest side.
const MAX_SIDE: u32 = 8_192;

/// How much of the prompt is drawn on the picture, in letters.
const CAPTION: usize = 48;

/// All that a picture is drawn from. The names are short because addresses hold them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Picture {
    #[serde(rename = "w")]
    width: u32,
    #[serde(rename = "h")]
    height: u32,
    /// What decides the shapes.
    #[serde(rename = "s")]
    seed: u64,
    /// What decides the colours.
    #[serde(rename = "c")]
    colour: u64,
    /// What decides the small things.
    #[serde(rename = "d")]
    detail: u64,
    #[serde(rename = "v")]
    style: u8,
    /// Four pictures in one.
    #[serde(rename = "g", default, skip_serializing_if = "is_false")]
    pub(super) grid: bool,
    /// To be served as something that is not a picture.
    #[serde(rename = "x", default, skip_serializing_if = "is_false")]
    pub(super) spoiled: bool,
    #[serde(rename = "t")]
    caption: String,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde's `skip_serializing_if` passes a reference"
)]
const fn is_false(value: &bool) -> bool {
    !*value
}

/// Spreads the bits of `n`.
pub(super) const fn mix(n: u64) -> u64 {
    let n = n.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let n = (n ^ (n >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    n ^ (n >> 31)
}

/// A number for some bytes, the same in every build: ids outlive the process.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |state, byte| mix(state ^ u64::from(*byte)))
}

impl Picture {
    /// What `prompt` would look like.
    pub(super) fn imagined(prompt: &str, params: &Params, side: u16) -> Self {
        let (width, height) = params.size(side);
        // The text alone decides the colours, so that another aspect or seed keeps the mood.
        let text = prompt.split(" --").next().unwrap_or_default();
        let seed = params
            .seed
            .map_or_else(|| hash(prompt.as_bytes()) & u64::from(u32::MAX), u64::from);
        Self {
            width,
            height,
            seed,
            colour: hash(text.as_bytes()),
            detail: mix(hash(text.as_bytes())),
            style: params.style,
            grid: false,
            spoiled: false,
            caption: text
                .split_whitespace()
                .filter(|word| !word.contains("://"))
                .collect::<Vec<_>>()
                .join(" ")
                .chars()
                .take(CAPTION)
                .collect(),
        }
    }

    /// The seed that a task with this picture tells.
    pub(super) fn told_seed(&self) -> u32 {
        u32::try_from(self.seed & u64::from(u32::MAX)).unwrap_or_default()
    }

    /// What it is a picture of.
    pub(super) fn caption(&self) -> &str {
        &self.caption
    }

    /// Picture `index` (from 1) of the four.
    pub(super) fn tile(&self, index: u8) -> Self {
        let mut tile = self.clone();
        tile.seed = mix(self.seed ^ (u64::from(index) << 40));
        tile.grid = false;
        tile
    }

    /// Doubles the size, where the picture is not at its limits. Another `detail` redraws the small things.
    pub(super) fn enlarge(&mut self, detail: u64) {
        let mut larger = self.clone();
        larger.width = self.width.saturating_mul(2);
        larger.height = self.height.saturating_mul(2);
        if larger.fits() {
            *self = larger;
        }
        self.detail ^= detail;
    }

    /// Another picture in the same colours; close to this one where `subtle`.
    pub(super) fn vary(&mut self, mark: u64, subtle: bool) {
        self.detail = mix(self.detail ^ mark);
        if !subtle {
            self.seed = mix(self.seed ^ mark);
        }
    }

    /// Its address.
    pub(super) fn url(&self) -> String {
        pack(SCHEME, self)
    }

    /// The picture at an address; `None` for addresses that this simulator never gave.
    pub(super) fn from_url(url: &str) -> Option<Self> {
        unpack(SCHEME, url).filter(Self::fits)
    }

    /// Whether it is of a size that is drawn at all.
    pub(super) fn fits(&self) -> bool {
        self.width.max(self.height) <= MAX_SIDE
            && u64::from(self.width) * u64::from(self.height) <= MAX_PIXELS
            && self.width.min(self.height) >= 2
    }

    /// Draws it and writes it as PNG.
    pub(super) fn png(&self) -> Result<Vec<u8>, png::EncodingError> {
        let mut pixels = if self.grid { self.four() } else { self.one() };
        self.mark(&mut pixels);
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, self.width, self.height);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_compression(png::Compression::Fast);
        encoder.set_filter(png::Filter::Up);
        encoder.add_text_chunk("Source".to_owned(), "simulated".to_owned())?;
        encoder.add_text_chunk(
            "Comment".to_owned(),
            "Drawn by the simulator of midjourney-gateway. Midjourney had no part in it.".to_owned(),
        )?;
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&pixels)?;
        writer.finish()?;
        Ok(file)
    }

    /// Its pixels, three bytes each.
    fn one(&self) -> Vec<u8> {
        Scene::new(self.seed, self.colour, self.detail, self.style).draw(self.width, self.height)
    }

    /// The four pictures at half their size, left to right, top to bottom.
    fn four(&self) -> Vec<u8> {
        let tiles = [1, 2, 3, 4].map(|index| {
            let mut tile = self.tile(index);
            tile.width /= 2;
            tile.height /= 2;
            tile.one()
        });
        let row = usize::try_from(self.width / 2 * 3).unwrap_or(usize::MAX).max(1);
        let mut pixels = Vec::with_capacity(tiles.iter().map(Vec::len).sum());
        let [a, b, c, d] = &tiles;
        for (left, right) in [(a, b), (c, d)] {
            for (left, right) in left.chunks_exact(row).zip(right.chunks_exact(row)) {
                pixels.extend_from_slice(left);
                pixels.extend_from_slice(right);
            }
        }
        pixels
    }

    /// Darkens the lower edge and writes on it what this is.
    fn mark(&self, pixels: &mut [u8]) {
        const LABEL: &str = "SIMULATED";
        let letter = font::WIDTH + 1;
        let label = u32::try_from(LABEL.len()).unwrap_or(9);
        // As large as looks well, but the label must fit.
        let dot = (self.width.min(self.height) / 200)
            .min(self.width / ((label + 2) * letter))
            .max(1);
        let bar = (font::HEIGHT + 6) * dot;
        let room = usize::try_from(self.width / (letter * dot))
            .unwrap_or(0)
            .saturating_sub(2);
        let line: Vec<u8> = format!("{LABEL}  {}", self.caption)
            .chars()
            .take(room.max(LABEL.len()))
            .map(|c| u8::try_from(c).ok().filter(u8::is_ascii).unwrap_or(b'?'))
            .collect();
        let row = usize::try_from(self.width * 3).unwrap_or(usize::MAX).max(1);
        let top = self.height.saturating_sub(bar);
        let left = letter * dot;
        let rows = pixels
            .chunks_exact_mut(row)
            .zip(0..)
            .skip_while(|(_, y)| *y < top);
        for (pixels, y) in rows {
            let text_row = (y - top) / dot;
            for (pixel, x) in pixels.chunks_exact_mut(3).zip(0_u32..) {
                let lit = x >= left && text_row >= 3 && font::dot(&line, (x - left) / dot, text_row - 3);
                let label = (x.saturating_sub(left)) / dot / letter < label;
                for (channel, bright) in pixel
                    .iter_mut()
                    .zip(if label { [255, 214, 92] } else { [235; 3] })
                {
                    *channel = if lit { bright } else { *channel / 4 };
                }
            }
        }
    }
}
