//! What one job costs, as one pure function.

use crate::{
    budget::{Credits, Prices},
    job::Action,
    prompt::Speed,
};

/// What one job of `action` costs at this speed. Turbo costs twice as much ("Turbo: about 4x speed, 2x cost", wire
/// facts).
pub(super) fn of(prices: &Prices, action: Action, speed: Option<Speed>) -> Credits {
    let price = match action {
        Action::Describe | Action::Shorten => return prices.text.unwrap_or_default(),
        Action::Animate { .. } | Action::Extend { .. } => prices.video,
        Action::Upscale { .. } => prices.upscale,
        _ => None,
    };
    match (price, speed) {
        (None, Some(Speed::Relax)) => prices.relax.unwrap_or(prices.drawing),
        (price, Some(Speed::Turbo)) => {
            let price = price.unwrap_or(prices.drawing);
            price.saturating_add(price)
        }
        (price, _) => price.unwrap_or(prices.drawing),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{Motion, UpscaleMode};

    fn credits(text: &str) -> Credits {
        text.parse().unwrap()
    }

    #[test]
    fn prices_follow_what_is_made_and_how_fast() {
        let only = Prices {
            drawing: credits("2"),
            ..Prices::default()
        };
        let upscale = Action::Upscale {
            mode: UpscaleMode::Subtle,
        };
        let video = Action::Animate { motion: Motion::Low };
        assert_eq!(of(&only, Action::Imagine, None), credits("2"));
        assert_eq!(of(&only, Action::Imagine, Some(Speed::Turbo)), credits("4"));
        assert_eq!(of(&only, Action::Imagine, Some(Speed::Relax)), credits("2"));
        assert_eq!(of(&only, upscale, None), credits("2"));
        assert_eq!(of(&only, Action::Describe, None), Credits::ZERO);
        let each = Prices {
            upscale: Some(credits("0.5")),
            video: Some(credits("8")),
            text: Some(credits("0.1")),
            relax: Some(Credits::ZERO),
            ..only
        };
        assert_eq!(of(&each, upscale, None), credits("0.5"));
        assert_eq!(of(&each, video, Some(Speed::Turbo)), credits("16"));
        assert_eq!(of(&each, Action::Shorten, None), credits("0.1"));
        assert_eq!(of(&each, Action::Imagine, Some(Speed::Relax)), Credits::ZERO);
    }
}
