//! The numbers of this upstream's verbs (developer documentation, as collected in the wire facts).

use crate::{
    client::verbs::Numbers,
    job::{Action, Direction, Strength, UpscaleMode},
};

/// `YouChuan`'s numbers. Its pans and remixes count otherwise than `LegNext`'s.
pub(super) const NUMBERS: Numbers = Numbers {
    // "`type` 0 standard, 1 creative, 2 v5 2x, 3 v5 4x". The standard one is what others call subtle.
    upscale: |mode| match mode {
        UpscaleMode::Subtle => Some(0),
        UpscaleMode::Creative => Some(1),
        UpscaleMode::Double => Some(2),
        UpscaleMode::Quadruple => Some(3),
        UpscaleMode::Cutout => None,
    },
    // "`direction` 0 down, 1 right, 2 up, 3 left"
    pan: |direction| match direction {
        Direction::Down => 0,
        Direction::Right => 1,
        Direction::Up => 2,
        Direction::Left => 3,
    },
    // "`mode` 0 strong (default) / 1 subtle": the other way round than a variation's `type`.
    remix: |strength| match strength {
        Strength::Strong => 0,
        Strength::Subtle => 1,
    },
    // "V8.1 guide: an upscale is a diffusion again with `--hd` and the same `--seed`; does not work - pan, outpaint, inpaint"
    lacks: |(whole, _), action| {
        whole >= 8
            && matches!(
                action,
                Action::Upscale { .. } | Action::Pan { .. } | Action::Zoom { .. } | Action::Inpaint
            )
    },
    // "`extend-video`: `prompt` (req)"
    extends_with_prompt: true,
};
