//! Landscapes from numbers: a sky, a sun, ridges behind ridges, sometimes water.
//!
//! All in whole numbers, so that a picture is the same on every machine, and in units of 1/4096 of the shorter side,
//! so that it is the same scene at every size.

use super::draw::mix;

type Colour = [i32; 3];

/// The units of the shorter side.
const UNIT: i64 = 4_096;

/// How many ridges there are at most.
const RIDGES: usize = 5;

/// Sky above, sky at the horizon, sun, farthest ridge, nearest ridge.
const PALETTES: [[Colour; 5]; 10] = [
    [
        [38, 42, 92],
        [246, 152, 110],
        [255, 232, 180],
        [196, 112, 122],
        [34, 24, 58],
    ],
    [
        [66, 132, 190],
        [228, 236, 226],
        [255, 250, 230],
        [138, 172, 186],
        [22, 62, 74],
    ],
    [
        [12, 16, 44],
        [72, 62, 130],
        [232, 236, 255],
        [62, 66, 128],
        [8, 10, 30],
    ],
    [
        [250, 190, 120],
        [255, 236, 196],
        [255, 255, 244],
        [224, 150, 98],
        [92, 42, 36],
    ],
    [
        [24, 64, 72],
        [150, 204, 176],
        [250, 244, 206],
        [86, 146, 132],
        [10, 36, 40],
    ],
    [
        [84, 40, 98],
        [250, 130, 140],
        [255, 222, 160],
        [168, 74, 126],
        [36, 16, 56],
    ],
    [
        [120, 168, 216],
        [250, 214, 214],
        [255, 246, 236],
        [164, 160, 202],
        [52, 54, 100],
    ],
    [
        [18, 40, 60],
        [80, 150, 170],
        [210, 250, 240],
        [48, 104, 124],
        [6, 20, 32],
    ],
    [
        [196, 84, 58],
        [252, 196, 112],
        [255, 244, 200],
        [176, 82, 60],
        [48, 20, 26],
    ],
    [
        [98, 118, 96],
        [232, 226, 186],
        [255, 252, 226],
        [140, 152, 112],
        [36, 52, 40],
    ],
];

/// How the ridges run.
#[derive(Clone, Copy, Debug)]
enum Land {
    Mountains,
    Hills,
    Forest,
    Sea,
}

/// One landscape, before it is given a size.
#[derive(Clone, Debug)]
pub(super) struct Scene {
    seed: u64,
    detail: u64,
    palette: [Colour; 5],
    land: Land,
    ridges: usize,
    sun: (i64, i64, i64),
    stars: bool,
}

/// A number from `low..high`, the `n`th that follows from `seed`.
fn pick(seed: u64, n: u64, low: i64, high: i64) -> i64 {
    let span = u64::try_from(high - low).unwrap_or(1).max(1);
    low + i64::try_from(mix(seed ^ mix(n)) % span).unwrap_or(0)
}

/// From `a` to `b` as `t` goes from 0 to 256.
fn blend(a: Colour, b: Colour, t: i32) -> Colour {
    let t = t.clamp(0, 256);
    let [ar, ag, ab] = a;
    let [br, bg, bb] = b;
    [
        ar + (br - ar) * t / 256,
        ag + (bg - ag) * t / 256,
        ab + (bb - ab) * t / 256,
    ]
}

fn narrow(n: i64) -> i32 {
    i32::try_from(n).unwrap_or(if n < 0 { i32::MIN } else { i32::MAX })
}

/// Smooth noise from 0 to 1024 along a line, with hills about `scale` apart.
fn noise(seed: u64, x: i64, scale: i64) -> i64 {
    let scale = scale.max(1);
    let (cell, at) = (x.div_euclid(scale), x.rem_euclid(scale) * 1_024 / scale);
    let height = |cell: i64| pick(seed, u64::try_from(cell + 1_000_000).unwrap_or(0), 0, 1_025);
    let ease = at * at * (3 * 1_024 - 2 * at) / (1_024 * 1_024);
    (height(cell) * (1_024 - ease) + height(cell + 1) * ease) / 1_024
}

impl Scene {
    /// The landscape for these numbers. `style` shifts its colours.
    pub(super) fn new(seed: u64, colour: u64, detail: u64, style: u8) -> Self {
        let shift = u64::from(style) * 3;
        let index = usize::try_from((colour.wrapping_add(shift)) % 10).unwrap_or(0);
        let mut palette = PALETTES.get(index).copied().unwrap_or_default();
        // Niji is brighter; every picture is a little warmer or cooler than its neighbours.
        let warm = narrow(pick(seed, 1, -16, 17));
        for [r, g, b] in &mut palette {
            if style > 100 {
                for channel in [&mut *r, g, b] {
                    *channel += (255 - *channel) / 5;
                }
            }
            *r = (*r + warm).clamp(0, 255);
            *b = (*b - warm).clamp(0, 255);
        }
        let land = match pick(seed, 2, 0, 4) {
            0 => Land::Mountains,
            1 => Land::Hills,
            2 => Land::Forest,
            _ => Land::Sea,
        };
        let dark = palette.first().is_some_and(|sky| sky.iter().sum::<i32>() < 210);
        Self {
            seed,
            detail,
            palette,
            land,
            ridges: usize::try_from(pick(seed, 3, 3, 6)).unwrap_or(RIDGES),
            sun: (
                pick(seed, 4, 15, 86),
                pick(seed, 5, 12, 44),
                pick(seed, 6, 220, 520),
            ),
            stars: dark,
        }
    }

    /// How far down the ridge `n` (0 is the farthest) begins at `x`, in a picture `tall` units tall.
    fn ridge(&self, n: usize, x: i64, tall: i64) -> i64 {
        let n = i64::try_from(n).unwrap_or(0);
        let of = i64::try_from(self.ridges).unwrap_or(3);
        let own = mix(self.seed ^ u64::try_from(n + 10).unwrap_or(0));
        let base = tall * 40 / 100 + tall * 44 * n / (100 * of);
        let swing = tall * 26 / 100;
        let slow = noise(own, x, 2_300 - 180 * n);
        let rough = noise(own ^ 1, x, 620);
        let fine = noise(own ^ self.detail, x, 150);
        let tiny = noise(own ^ self.detail ^ 2, x, 38);
        let height = match self.land {
            // A fold in the noise makes crests.
            Land::Mountains => {
                let crest = 1_024 - (2 * rough - 1_024).abs();
                slow * 50 + crest * 34 + fine * 12 + tiny * 4
            }
            Land::Hills | Land::Sea => slow * 86 + rough * 14,
            Land::Forest => {
                let every = 96 + 26 * n;
                let (tree, at) = (x.div_euclid(every), x.rem_euclid(every));
                let tip = every / 2 - (at - every / 2).abs();
                let tallness = pick(
                    own ^ self.detail,
                    u64::try_from(tree + 1_000_000).unwrap_or(0),
                    20,
                    100,
                );
                slow * 60 + rough * 14 + tip * 1_024 * tallness / every / 2
            }
        } / 100;
        base + swing / 2 - height * swing / 1_024
    }

    /// Its pixels at this size, three bytes each.
    pub(super) fn draw(&self, width: u32, height: u32) -> Vec<u8> {
        let shorter = i64::from(width.min(height)).max(1);
        let units = |pixels: u32| i64::from(pixels) * UNIT / shorter;
        let (wide, tall) = (units(width), units(height));
        let [zenith, horizon, sun, far, near] = self.palette;
        let of = narrow(i64::try_from(self.ridges).unwrap_or(3)).max(2);
        let tints: Vec<Colour> = (0..of).map(|n| blend(far, near, 256 * n / (of - 1))).collect();
        let columns: Vec<(i64, [i64; RIDGES])> = (0..width)
            .map(|x| {
                let x = units(x);
                let mut tops = [i64::MAX; RIDGES];
                for (n, top) in tops.iter_mut().enumerate().take(self.ridges) {
                    *top = self.ridge(n, x, tall);
                }
                (x, tops)
            })
            .collect();
        let (sun_x, sun_y, radius) = (wide * self.sun.0 / 100, tall * self.sun.1 / 100, self.sun.2);
        let glow = radius * 5;
        let shore = tall * 70 / 100;
        let mut pixels = Vec::with_capacity(columns.len() * 3 * usize::try_from(height).unwrap_or(0));
        for y in (0..height).map(units) {
            let sky = blend(zenith, horizon, narrow(y * 256 / (tall * 60 / 100).max(1)));
            let wave = noise(self.detail, y, 60) / 8;
            for &(x, tops) in &columns {
                let water = matches!(self.land, Land::Sea) && y > shore;
                let colour = if water {
                    let depth = narrow((y - shore) * 256 / (tall - shore).max(1));
                    let sea = blend(horizon, near, 70 + depth * 6 / 10);
                    let ripple = noise(self.detail ^ 7, y, 34) * (y - shore) / tall + wave;
                    let near_path = (x - sun_x).abs() < radius / 2 + ripple;
                    if near_path {
                        blend(sea, sun, 150 - depth / 2)
                    } else {
                        sea
                    }
                } else if let Some((n, top)) = tops.iter().enumerate().rfind(|(_, top)| y >= **top) {
                    let tint = tints.get(n).copied().unwrap_or(near);
                    // Mist gathers at the foot of each ridge.
                    let mist = narrow((y - top) * 200 / (tall * 22 / 100).max(1)).min(150);
                    blend(
                        tint,
                        horizon,
                        mist * (of - narrow(i64::try_from(n).unwrap_or(0))) / of,
                    )
                } else {
                    let (dx, dy) = (x - sun_x, y - sun_y);
                    let square = dx * dx + dy * dy;
                    if square < radius * radius {
                        sun
                    } else if square < glow * glow {
                        let away = i64::try_from(square.unsigned_abs().isqrt()).unwrap_or(0) - radius;
                        let left = 256 - away * 256 / (glow - radius);
                        blend(sky, sun, narrow(left * left * 150 / 65_536))
                    } else if self.stars && self.star(x, y) && y < tall / 2 {
                        blend(sky, [255; 3], 190)
                    } else {
                        sky
                    }
                };
                for channel in colour {
                    pixels.push(u8::try_from(channel.clamp(0, 255)).unwrap_or(u8::MAX));
                }
            }
        }
        pixels
    }

    /// Whether a star is at this place: at most one in each square of 160 units, a few units wide.
    fn star(&self, x: i64, y: i64) -> bool {
        let cell = u64::try_from(x / 160 * 4_096 + y / 160).unwrap_or(0);
        let at = |n: u64| pick(self.detail ^ cell, n, 12, 148);
        let (dx, dy) = (x % 160 - at(1), y % 160 - at(2));
        at(3) > 90 && dx * dx + dy * dy <= 70
    }
}
