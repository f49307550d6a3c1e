//! What actions are called.

use midjourney_core::job::{Action, Direction, Strength, UpscaleMode, Zoom};

use crate::simulate::dialects::named::Names;

pub(super) const NAMES: Names = Names {
    cutout: "upscale",
    single: &[
        (
            "upscale_2x",
            Action::Upscale {
                mode: UpscaleMode::Double,
            },
        ),
        (
            "upscale_4x",
            Action::Upscale {
                mode: UpscaleMode::Quadruple,
            },
        ),
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
            "variation_subtle",
            Action::Variation {
                strength: Some(Strength::Subtle),
            },
        ),
        (
            "variation_strong",
            Action::Variation {
                strength: Some(Strength::Strong),
            },
        ),
        ("variation_region", Action::Inpaint),
        ("zoom_out_2x", Action::Zoom { zoom: Zoom::Double }),
        (
            "zoom_out_1_5x",
            Action::Zoom {
                zoom: Zoom::OneAndAHalf,
            },
        ),
        ("square", Action::Zoom { zoom: Zoom::Square }),
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
