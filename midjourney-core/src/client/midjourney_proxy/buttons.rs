//! Which button of a finished task does what is asked.
//!
//! Chosen by the beginning of the custom id and never by the label, and only from the buttons that the task has
//! ("Buttons (custom ids)" of the wire facts): labels differ between lines, and pan buttons have none.

use crate::job::{Action, Direction, Motion, RemoteAction, Strength, UpscaleMode, Zoom};

/// How many buttons a refusal names.
const MAX_NAMED: usize = 20;

/// The beginning of a custom id.
#[derive(Clone, Copy, Debug)]
struct Pattern {
    /// Its words. A `*` in one of them stands for anything within that word.
    words: &'static str,
    /// Whether the number of the picture follows.
    numbered: bool,
}

/// A button of one picture.
const fn of_picture(words: &'static str) -> Pattern {
    Pattern {
        words,
        numbered: true,
    }
}

/// A button of the whole task.
const fn of_task(words: &'static str) -> Pattern {
    Pattern {
        words,
        numbered: false,
    }
}

/// The button in `offered` that does `action` to picture `index`; one with a window for a prompt of its own, where
/// `own_prompt` says so and pressing alone would draw the parent's.
pub(super) fn find(
    offered: &[RemoteAction],
    action: Action,
    index: u8,
    own_prompt: bool,
) -> Option<&RemoteAction> {
    patterns(action, own_prompt)
        .iter()
        .find_map(|pattern| offered.iter().find(|button| pattern.fits(&button.id, index)))
}

/// Whether the buttons are those of a grid.
pub(super) fn of_grid(offered: &[RemoteAction]) -> bool {
    offered.iter().any(|button| is_of_grid(&button.id))
}

/// Whether a button with this custom id stands under grids only.
pub(super) fn is_of_grid(id: &str) -> bool {
    id.starts_with("MJ::JOB::upsample::") || id.starts_with("MJ::JOB::variation::")
}

/// The buttons that do `action`, the best first.
const fn patterns(action: Action, own_prompt: bool) -> &'static [Pattern] {
    const PLAIN: Pattern = of_picture("MJ::JOB::variation");
    const SUBTLE: Pattern = of_picture("MJ::JOB::low_variation");
    const STRONG: Pattern = of_picture("MJ::JOB::high_variation");
    // The facts have a number here as well; what public clients press has none.
    const CUSTOM_ZOOM: Pattern = of_task("MJ::CustomZoom");
    match action {
        Action::Upscale { mode } => match mode {
            UpscaleMode::Cutout => &const { [of_picture("MJ::JOB::upsample")] },
            // `upsample_v7_2x_subtle`, `upsample_v6r1_2x_subtle`, ...: one for each version.
            UpscaleMode::Subtle => &const { [of_picture("MJ::JOB::upsample_*_subtle")] },
            UpscaleMode::Creative => &const { [of_picture("MJ::JOB::upsample_*_creative")] },
            UpscaleMode::Double => &const { [of_picture("MJ::JOB::upsample_*_2x")] },
            UpscaleMode::Quadruple => &const { [of_picture("MJ::JOB::upsample_*_4x")] },
        },
        Action::Variation { strength } => match strength {
            // A single picture has no plain variation; strong is what a grid's button does by default.
            None => &const { [PLAIN, STRONG] },
            Some(Strength::Subtle) => &const { [SUBTLE] },
            Some(Strength::Strong) => &const { [STRONG] },
        },
        Action::Remix { strength } => match strength {
            Strength::Subtle => &const { [SUBTLE] },
            Strength::Strong => &const { [STRONG] },
        },
        Action::Reroll => &const { [of_task("MJ::JOB::reroll")] },
        Action::Zoom { zoom } => match zoom {
            Zoom::OneAndAHalf if !own_prompt => &const { [of_picture("MJ::Outpaint::75")] },
            Zoom::Double if !own_prompt => &const { [of_picture("MJ::Outpaint::50")] },
            // Not in the facts; seen in three public clients.
            Zoom::Square => &const { [of_picture("MJ::Outpaint::100")] },
            Zoom::OneAndAHalf | Zoom::Double | Zoom::Custom(_) => &const { [CUSTOM_ZOOM] },
        },
        Action::Pan { direction } => match direction {
            Direction::Left => &const { [of_picture("MJ::JOB::pan_left")] },
            Direction::Right => &const { [of_picture("MJ::JOB::pan_right")] },
            Direction::Up => &const { [of_picture("MJ::JOB::pan_up")] },
            Direction::Down => &const { [of_picture("MJ::JOB::pan_down")] },
        },
        Action::Inpaint => &const { [of_picture("MJ::Inpaint")] },
        Action::Animate { motion } => match motion {
            Motion::Low => &const { [of_picture("MJ::JOB::animate_low")] },
            Motion::High => &const { [of_picture("MJ::JOB::animate_high")] },
        },
        Action::Extend { motion } => match motion {
            Motion::Low => &const { [of_picture("MJ::JOB::animate_low_extend")] },
            Motion::High => &const { [of_picture("MJ::JOB::animate_high_extend")] },
        },
        _ => &[],
    }
}

impl Pattern {
    fn fits(self, id: &str, index: u8) -> bool {
        let mut parts = id.split("::");
        let mut words = self.words.split("::");
        words.all(|word| parts.next().is_some_and(|part| is_word(part, word)))
            && (!self.numbered || parts.next().and_then(|n| n.parse().ok()) == Some(index))
    }
}

fn is_word(part: &str, word: &str) -> bool {
    match word.split_once('*') {
        None => part == word,
        Some((start, end)) => part.starts_with(start) && part.ends_with(end),
    }
}

/// What the buttons say, for a refusal.
pub(super) fn names(offered: &[RemoteAction]) -> String {
    let mut names: Vec<&str> = offered
        .iter()
        .map(|button| {
            if button.label.is_empty() {
                button.id.as_str()
            } else {
                button.label.as_str()
            }
        })
        .take(MAX_NAMED)
        .collect();
    if names.is_empty() {
        return "nothing".to_owned();
    }
    if offered.len() > MAX_NAMED {
        names.push("...");
    }
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRID: [&str; 5] = [
        "MJ::JOB::upsample::1::u",
        "MJ::JOB::upsample::2::u",
        "MJ::JOB::reroll::0::u::SOLO",
        "MJ::JOB::variation::1::u",
        "MJ::JOB::variation::2::u",
    ];

    const SINGLE: [&str; 19] = [
        "MJ::JOB::upsample_v7_2x_subtle::1::u::SOLO",
        "MJ::JOB::upsample_v6r1_2x_creative::1::u::SOLO",
        "MJ::JOB::upsample_v5_2x::1::u::SOLO",
        "MJ::JOB::upsample_v5_4x::1::u::SOLO",
        "MJ::JOB::low_variation::1::u::SOLO",
        "MJ::JOB::high_variation::1::u::SOLO",
        "MJ::Inpaint::1::u::SOLO",
        "MJ::Outpaint::50::1::u::SOLO",
        "MJ::Outpaint::75::1::u::SOLO",
        "MJ::Outpaint::100::1::u::SOLO",
        "MJ::CustomZoom::u",
        "MJ::JOB::pan_left::1::u::SOLO",
        "MJ::JOB::pan_right::1::u::SOLO",
        "MJ::JOB::pan_up::1::u::SOLO",
        "MJ::JOB::pan_down::1::u::SOLO",
        "MJ::JOB::animate_high::1::u::SOLO",
        "MJ::JOB::animate_low::1::u::SOLO",
        "MJ::JOB::animate_high_extend::1::u",
        "MJ::JOB::animate_low_extend::1::u",
    ];

    fn pressed<'a>(offered: &[&'a str], action: Action, index: u8, own_prompt: bool) -> Option<&'a str> {
        let buttons: Vec<_> = offered.iter().map(|id| RemoteAction::new(*id, "")).collect();
        let found = find(&buttons, action, index, own_prompt)?;
        offered.iter().find(|id| **id == found.id).copied()
    }

    #[test]
    fn every_button_is_found_by_its_beginning() {
        use Strength::{Strong, Subtle};
        let upscale = |mode| Action::Upscale { mode };
        let vary = |strength| Action::Variation { strength };
        let zoom = |zoom| Action::Zoom { zoom };
        let pan = |direction| Action::Pan { direction };
        for (action, index, grid, single) in [
            (upscale(UpscaleMode::Cutout), 1, Some(GRID[0]), None),
            (upscale(UpscaleMode::Cutout), 2, Some(GRID[1]), None),
            (upscale(UpscaleMode::Cutout), 3, None, None),
            (upscale(UpscaleMode::Subtle), 1, None, Some(SINGLE[0])),
            (upscale(UpscaleMode::Creative), 1, None, Some(SINGLE[1])),
            (upscale(UpscaleMode::Double), 1, None, Some(SINGLE[2])),
            (upscale(UpscaleMode::Quadruple), 1, None, Some(SINGLE[3])),
            (vary(None), 1, Some(GRID[3]), Some(SINGLE[5])),
            (vary(None), 2, Some(GRID[4]), None),
            (vary(Some(Subtle)), 1, None, Some(SINGLE[4])),
            (vary(Some(Strong)), 1, None, Some(SINGLE[5])),
            (Action::Remix { strength: Subtle }, 1, None, Some(SINGLE[4])),
            (Action::Remix { strength: Strong }, 1, None, Some(SINGLE[5])),
            (Action::Reroll, 0, Some(GRID[2]), None),
            (Action::Inpaint, 1, None, Some(SINGLE[6])),
            (zoom(Zoom::Double), 1, None, Some(SINGLE[7])),
            (zoom(Zoom::OneAndAHalf), 1, None, Some(SINGLE[8])),
            (zoom(Zoom::Square), 1, None, Some(SINGLE[9])),
            (zoom(Zoom::Custom(130)), 1, None, Some(SINGLE[10])),
            (pan(Direction::Left), 1, None, Some(SINGLE[11])),
            (pan(Direction::Right), 1, None, Some(SINGLE[12])),
            (pan(Direction::Up), 1, None, Some(SINGLE[13])),
            (pan(Direction::Down), 1, None, Some(SINGLE[14])),
            (pan(Direction::Down), 2, None, None),
            (
                Action::Animate { motion: Motion::High },
                1,
                None,
                Some(SINGLE[15]),
            ),
            (Action::Animate { motion: Motion::Low }, 1, None, Some(SINGLE[16])),
            (Action::Extend { motion: Motion::High }, 1, None, Some(SINGLE[17])),
            (Action::Extend { motion: Motion::Low }, 1, None, Some(SINGLE[18])),
            (Action::Imagine, 1, None, None),
        ] {
            assert_eq!(pressed(&GRID, action, index, false), grid, "{action} {index}");
            assert_eq!(pressed(&SINGLE, action, index, false), single, "{action} {index}");
        }
    }

    #[test]
    fn a_zoom_with_a_prompt_goes_through_the_window_that_takes_one() {
        for zoom in [Zoom::OneAndAHalf, Zoom::Double, Zoom::Custom(200)] {
            let found = pressed(&SINGLE, Action::Zoom { zoom }, 1, true);
            assert_eq!(found, Some("MJ::CustomZoom::u"));
        }
        let numbered = pressed(
            &["MJ::CustomZoom::1::u"],
            Action::Zoom {
                zoom: Zoom::Custom(150),
            },
            1,
            false,
        );
        assert_eq!(numbered, Some("MJ::CustomZoom::1::u"));
    }

    #[test]
    fn ids_that_only_look_alike_are_left_alone() {
        let cutout = Action::Upscale {
            mode: UpscaleMode::Cutout,
        };
        for id in [
            "",
            "MJ",
            "MJ::JOB::upsample",
            "MJ::JOB::upsample::x::u",
            "MJ::JOB::upsample::300::u",
            "XX::JOB::upsample::1::u",
            "MJ::JOB::upsample_v5_2x::1::u",
            "MJ::JOB::MJ::JOB::upsample::1",
        ] {
            assert_eq!(pressed(&[id], cutout, 1, false), None, "{id}");
        }
    }
}
