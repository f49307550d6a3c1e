//! The buttons under a finished task, and what pressing one means.

use midjourney_core::job::{Action, Direction, Motion, RemoteStatus, Strength, UpscaleMode, Zoom};

use super::task;
use crate::simulate::backend::Seen;

/// One button.
#[derive(Clone, Debug)]
pub(super) struct Button {
    pub(super) id: String,
    pub(super) label: &'static str,
    pub(super) emoji: &'static str,
}

/// What a button does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pressed {
    pub(super) action: Action,
    /// Of which picture; 0 for all.
    pub(super) index: u8,
    /// Whether it opens a window first.
    pub(super) window: bool,
}

const NUMBERED: [(u8, &str, &str); 4] = [(1, "U1", "V1"), (2, "U2", "V2"), (3, "U3", "V3"), (4, "U4", "V4")];

/// The buttons that Discord shows under such a task; none before it is done.
pub(super) fn of(task: &Seen) -> Vec<Button> {
    let RemoteStatus::Succeeded(_) = task.status else {
        return Vec::new();
    };
    let number = task.id.parse::<u64>().unwrap_or_default();
    let uuid = format!("{:08x}-0000-4000-8000-{number:012x}", number % 0xffff_ffff);
    let mut buttons = Vec::new();
    let mut add = |id: String, label, emoji| buttons.push(Button { id, label, emoji });
    match task.order.action {
        Action::Describe => {
            for (number, ..) in NUMBERED {
                add(format!("MJ::Job::PicReader::{number}"), "", "1️⃣");
            }
            add("MJ::Picread::Retry".to_owned(), "", "🔄");
        }
        Action::Shorten => add("MJ::Job::PromptAnalyzer::1".to_owned(), "", "1️⃣"),
        Action::Animate { .. } | Action::Extend { .. } => {
            for (number, label, _) in NUMBERED {
                add(
                    format!("MJ::JOB::video_virtual_upscale::{number}::{uuid}"),
                    label,
                    "",
                );
            }
            add(
                format!("MJ::JOB::animate_high_extend::1::{uuid}"),
                "Extend (High motion)",
                "",
            );
            add(
                format!("MJ::JOB::animate_low_extend::1::{uuid}"),
                "Extend (Low motion)",
                "",
            );
        }
        _ if task::is_grid(task) => {
            for (number, label, _) in NUMBERED {
                add(format!("MJ::JOB::upsample::{number}::{uuid}"), label, "");
            }
            add(format!("MJ::JOB::reroll::0::{uuid}::SOLO"), "", "🔄");
            for (number, _, label) in NUMBERED {
                add(format!("MJ::JOB::variation::{number}::{uuid}"), label, "");
            }
        }
        _ => {
            for (id, label, emoji) in under_a_single(version(&task.order.prompt)) {
                let solo = if id.starts_with("MJ::CustomZoom") {
                    ""
                } else {
                    "::SOLO"
                };
                add(format!("{id}::1::{uuid}{solo}"), label, emoji);
            }
        }
    }
    buttons
}

/// The version that a prompt asks for: whether it is a niji, and its number in tenths.
fn version(prompt: &str) -> (bool, u32) {
    let mut words = prompt.split_whitespace();
    let mut found = (false, 70);
    while let Some(word) = words.next() {
        let niji = word == "--niji";
        if !niji && !matches!(word, "--v" | "--version") {
            continue;
        }
        let (whole, part) = words
            .next()
            .map_or(("", "0"), |text| text.split_once('.').unwrap_or((text, "0")));
        if let (Ok(whole), Ok(part)) = (whole.parse::<u32>(), part.parse::<u32>()) {
            found = (niji, whole.saturating_mul(10).saturating_add(part.min(9)));
        }
    }
    found
}

fn under_a_single((niji, version): (bool, u32)) -> Vec<(&'static str, &'static str, &'static str)> {
    let mut rows = match (niji, version) {
        (_, 70..=79) => vec![
            ("MJ::JOB::upsample_v7_2x_subtle", "Upscale (Subtle)", ""),
            ("MJ::JOB::upsample_v7_2x_creative", "Upscale (Creative)", ""),
        ],
        (false, 61) => vec![
            ("MJ::JOB::upsample_v6r1_2x_subtle", "Upscale (Subtle)", ""),
            ("MJ::JOB::upsample_v6r1_2x_creative", "Upscale (Creative)", ""),
        ],
        (_, 60..=69) => vec![
            ("MJ::JOB::upsample_v6_2x_subtle", "Upscale (Subtle)", ""),
            ("MJ::JOB::upsample_v6_2x_creative", "Upscale (Creative)", ""),
        ],
        (_, 50..=59) => vec![
            ("MJ::JOB::upsample_v5_2x", "Upscale (2x)", ""),
            ("MJ::JOB::upsample_v5_4x", "Upscale (4x)", ""),
        ],
        _ => Vec::new(),
    };
    rows.push(("MJ::JOB::low_variation", "Vary (Subtle)", ""));
    rows.push(("MJ::JOB::high_variation", "Vary (Strong)", ""));
    if version >= 50 {
        rows.push(("MJ::Inpaint", "Vary (Region)", ""));
    }
    if (50..80).contains(&version) {
        rows.extend([
            ("MJ::Outpaint::50", "Zoom Out 2x", ""),
            ("MJ::Outpaint::75", "Zoom Out 1.5x", ""),
            // Its id is not in the sources of the others; several public clients know it.
            ("MJ::Outpaint::100", "Make Square", ""),
            ("MJ::CustomZoom", "Custom Zoom", ""),
            ("MJ::JOB::pan_left", "", "⬅️"),
            ("MJ::JOB::pan_right", "", "➡️"),
            ("MJ::JOB::pan_up", "", "⬆️"),
            ("MJ::JOB::pan_down", "", "⬇️"),
        ]);
    }
    rows.extend([
        ("MJ::JOB::animate_high", "Animate (High motion)", ""),
        ("MJ::JOB::animate_low", "Animate (Low motion)", ""),
    ]);
    rows
}

/// What the button with this custom id does; `None` for those that nobody knows.
pub(super) fn pressed(custom: &str) -> Option<Pressed> {
    let parts: Vec<_> = custom.split("::").collect();
    let at_once = |action, index| {
        Some(Pressed {
            action,
            index,
            window: false,
        })
    };
    let window = |action, index| {
        Some(Pressed {
            action,
            index,
            window: true,
        })
    };
    match *parts.as_slice() {
        ["MJ", "JOB", verb, number, ..] => {
            let index = number.parse().ok()?;
            at_once(job(verb)?, index)
        }
        ["MJ", "Outpaint", "50", ..] => at_once(Action::Zoom { zoom: Zoom::Double }, 1),
        ["MJ", "Outpaint", "75", ..] => at_once(
            Action::Zoom {
                zoom: Zoom::OneAndAHalf,
            },
            1,
        ),
        ["MJ", "Outpaint", "100", ..] => at_once(Action::Zoom { zoom: Zoom::Square }, 1),
        ["MJ", "CustomZoom", ..] => window(
            Action::Zoom {
                zoom: Zoom::Custom(180),
            },
            1,
        ),
        ["MJ", "Inpaint", ..] => window(Action::Inpaint, 1),
        _ => None,
    }
}

fn job(verb: &str) -> Option<Action> {
    let upscale = |mode| Action::Upscale { mode };
    let pan = |direction| Action::Pan { direction };
    Some(match verb {
        "upsample" => upscale(UpscaleMode::Cutout),
        "variation" => Action::Variation { strength: None },
        "low_variation" => Action::Variation {
            strength: Some(Strength::Subtle),
        },
        "high_variation" => Action::Variation {
            strength: Some(Strength::Strong),
        },
        "reroll" => Action::Reroll,
        "pan_left" => pan(Direction::Left),
        "pan_right" => pan(Direction::Right),
        "pan_up" => pan(Direction::Up),
        "pan_down" => pan(Direction::Down),
        "animate_high" => Action::Animate { motion: Motion::High },
        "animate_low" => Action::Animate { motion: Motion::Low },
        "animate_high_extend" => Action::Extend { motion: Motion::High },
        "animate_low_extend" => Action::Extend { motion: Motion::Low },
        verb if verb.starts_with("upsample_") => match verb.rsplit('_').next()? {
            "subtle" => upscale(UpscaleMode::Subtle),
            "creative" => upscale(UpscaleMode::Creative),
            "2x" => upscale(UpscaleMode::Double),
            "4x" => upscale(UpscaleMode::Quadruple),
            _ => return None,
        },
        _ => return None,
    })
}

/// What a button does where the account remixes: the same from another prompt, asked for in a window.
pub(super) const fn remixed(action: Action) -> Option<Action> {
    match action {
        Action::Variation {
            strength: Some(strength),
        } => Some(Action::Remix { strength }),
        Action::Variation { strength: None } => Some(Action::Remix {
            strength: Strength::Strong,
        }),
        Action::Reroll | Action::Pan { .. } => Some(action),
        _ => None,
    }
}
