//! What actions are called.

use midjourney_core::job::{Action, Direction, Strength, UpscaleMode, Zoom};

use crate::simulate::dialects::named::Names;

pub(super) const NAMES: Names = Names {
    cutout: "upsample",
    single: &[
        (
            "upscale_subtle",
            Action::Upscale {
                mode: UpscaleMode::Subtle,
            },
        ),
        (
            "upscale_creative",
            Action::Upscale {
                mode: UpscaleMode::Creative,
            },
        ),
        (
            "upscale2",
            Action::Upscale {
                mode: UpscaleMode::Double,
            },
        ),
        (
            "upscale4",
            Action::Upscale {
                mode: UpscaleMode::Quadruple,
            },
        ),
        (
            "low_variation",
            Action::Variation {
                strength: Some(Strength::Subtle),
            },
        ),
        (
            "high_variation",
            Action::Variation {
                strength: Some(Strength::Strong),
            },
        ),
        ("zoom_out_2", Action::Zoom { zoom: Zoom::Double }),
        (
            "zoom_out_1_5",
            Action::Zoom {
                zoom: Zoom::OneAndAHalf,
            },
        ),
        ("make_square", Action::Zoom { zoom: Zoom::Square }),
        (
            "pan_left",
            Action::Pan {
                direction: Direction::Left,
            },
        ),
        (
            "pan_right",
            Action::Pan {
                direction: Direction::Right,
            },
        ),
        (
            "pan_up",
            Action::Pan {
                direction: Direction::Up,
            },
        ),
        (
            "pan_down",
            Action::Pan {
                direction: Direction::Down,
            },
        ),
    ],
};
