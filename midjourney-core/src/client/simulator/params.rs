//! The few parameters that change what is drawn, read from the end of a prompt.

/// What the simulator takes from a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Params {
    /// Width to height.
    pub(super) aspect: (u32, u32),
    /// `--seed`.
    pub(super) seed: Option<u32>,
    /// The version's whole part; 100 more for niji.
    pub(super) style: u8,
    /// `--hd`.
    pub(super) hd: bool,
}

impl Params {
    /// Reads `prompt`. What cannot be read keeps its default: judging prompts is not the simulator's work.
    pub(super) fn read(prompt: &str) -> Self {
        let mut params = Self {
            aspect: (1, 1),
            seed: None,
            style: 8,
            hd: false,
        };
        let mut words = prompt.split_whitespace().peekable();
        while let Some(word) = words.next() {
            let value = words.peek().copied().unwrap_or_default();
            let major = || value.split('.').next().and_then(|major| major.parse::<u8>().ok());
            match word {
                "--ar" | "--aspect" => {
                    let sides = value
                        .split_once(':')
                        .and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
                    params.aspect = sides.filter(|(w, h)| *w > 0 && *h > 0).unwrap_or(params.aspect);
                }
                "--seed" => params.seed = value.parse().ok().or(params.seed),
                "--v" | "--version" => params.style = major().unwrap_or(params.style).min(99),
                "--niji" => params.style = major().unwrap_or(7).min(99) + 100,
                "--hd" => params.hd = true,
                _ => {}
            }
        }
        params
    }

    /// The picture's size: the aspect exactly, with the area of a square of `side`, wherever whole even numbers allow it.
    pub(super) fn size(&self, side: u16) -> (u32, u32) {
        let side = u32::from(side.clamp(16, 2_048));
        // Midjourney's own pictures doubled with version 5.
        let old = self.style < 5 || (100..105).contains(&self.style);
        let base = if old { side / 2 } else { side };
        let (w, h) = size_near(self.aspect, base);
        if self.hd { (w * 2, h * 2) } else { (w, h) }
    }
}

/// Even sides in the ratio `aspect`, with an area of at most about `base` squared.
fn size_near(aspect: (u32, u32), base: u32) -> (u32, u32) {
    let divisor = gcd(aspect.0, aspect.1);
    let (w, h) = (u64::from(aspect.0 / divisor), u64::from(aspect.1 / divisor));
    let area = u64::from(base) * u64::from(base);
    let fits = (area / w.saturating_mul(h).max(1)).isqrt();
    // Round numbers as Midjourney has them where there is room for them, else the largest even factor.
    let factor = if fits >= 64 { fits / 64 * 64 } else { fits / 2 * 2 };
    let side = |part: u64| u32::try_from(part.saturating_mul(factor)).unwrap_or(u32::MAX);
    if factor > 0 && w.max(h) <= w.min(h).saturating_mul(16) {
        return (side(w), side(h));
    }
    // Sides such as 5000:4999 have no small pixel size; come near, and never thinner than 16:1.
    let near = |part: u64, other: u64| {
        let part = part.clamp(other.div_ceil(16), other.saturating_mul(16));
        let side = (area.saturating_mul(part) / other.max(1)).isqrt();
        u32::try_from(side.max(2) / 2 * 2).unwrap_or(base)
    };
    (near(w, h), near(h, w))
}

const fn gcd(mut a: u32, mut b: u32) -> u32 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    if a == 0 { 1 } else { a }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read() {
        let params = Params::read("a fox --ar 3:2 --niji 6 --seed 7 --hd --unknown x");
        assert_eq!(params.aspect, (3, 2));
        assert_eq!((params.seed, params.style, params.hd), (Some(7), 106, true));
        for odd in [
            "",
            "--ar",
            "--ar x:y",
            "--ar 0:0 --seed -1 --v",
            "--v 8.1 --ar 1:99999999999",
        ] {
            assert_eq!(Params::read(odd).aspect, (1, 1), "{odd}");
        }
    }

    #[test]
    fn sizes_keep_the_ratio() {
        for (aspect, size) in [
            ((1, 1), (1024, 1024)),
            ((3, 2), (1152, 768)),
            ((2, 3), (768, 1152)),
            ((16, 9), (1024, 576)),
            ((1, 14), (256, 3584)),
            ((239, 100), (1434, 600)),
        ] {
            assert_eq!(size_near(aspect, 1024), size, "{aspect:?}");
        }
        for aspect in [
            (5000, 4999),
            (1, u32::MAX),
            (u32::MAX, 1),
            (u32::MAX, u32::MAX - 1),
        ] {
            let (w, h) = size_near(aspect, 1024);
            assert!(
                w >= 2 && h >= 2 && w % 2 == 0 && h % 2 == 0,
                "{aspect:?}: {w}x{h}"
            );
            assert!(
                w * h <= 1024 * 1024 + 8192 && w.max(h) <= 4200,
                "{aspect:?}: {w}x{h}"
            );
        }
    }
}
