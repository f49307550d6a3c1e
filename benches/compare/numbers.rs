//! Many figures as a few.

use std::time::Duration;

/// Least, median and most of some figures.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spread {
    pub(crate) least: f64,
    pub(crate) median: f64,
    pub(crate) most: f64,
}

impl Spread {
    pub(crate) fn of(figures: &[f64]) -> Option<Self> {
        let mut figures = figures.to_vec();
        figures.sort_unstable_by(f64::total_cmp);
        Some(Self {
            least: *figures.first()?,
            // Of an even number of figures, the middle of the two in the middle.
            median: f64::midpoint(
                *figures.get((figures.len() - 1) / 2)?,
                *figures.get(figures.len() / 2)?,
            ),
            most: *figures.last()?,
        })
    }
}

/// The figure below which `part` of them lie; 0 where there are none.
pub(crate) fn quantile(figures: &[f64], part: f64) -> f64 {
    let mut figures = figures.to_vec();
    figures.sort_unstable_by(f64::total_cmp);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a place in a list"
    )]
    let place = (figures.len() as f64 * part) as usize;
    figures.get(place).or(figures.last()).copied().unwrap_or(0.0)
}

pub(crate) fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// A count as a figure.
#[expect(clippy::cast_precision_loss, reason = "some millions")]
pub(crate) fn figure(count: usize) -> f64 {
    count as f64
}
