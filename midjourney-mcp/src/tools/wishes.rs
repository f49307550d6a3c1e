//! The tools that make jobs of everything but a prompt: their words, and what their arguments ask for.

use midjourney_core::job::{Action, Direction, Motion, Need, Shape, Strength, UpscaleMode, Zoom};
use serde_json::Value;

use super::{Common, MAX_PROMPT_CHARS, Picture, picture::Origin, reader::Reader};

pub(super) const UPSCALES: [(&str, UpscaleMode); 5] = [
    ("cutout", UpscaleMode::Cutout),
    ("subtle", UpscaleMode::Subtle),
    ("creative", UpscaleMode::Creative),
    ("2x", UpscaleMode::Double),
    ("4x", UpscaleMode::Quadruple),
];
pub(super) const STRENGTHS: [(&str, Strength); 2] =
    [("subtle", Strength::Subtle), ("strong", Strength::Strong)];
pub(super) const SIDES: [(&str, Direction); 4] = [
    ("left", Direction::Left),
    ("right", Direction::Right),
    ("up", Direction::Up),
    ("down", Direction::Down),
];
pub(super) const SHAPES: [(&str, Shape); 3] = [
    ("portrait", Shape::Portrait),
    ("square", Shape::Square),
    ("landscape", Shape::Landscape),
];
pub(super) const MOTIONS: [(&str, Motion); 2] = [("low", Motion::Low), ("high", Motion::High)];
pub(super) const EDITS: [(&str, EditMode); 7] = [
    ("pan", EditMode::Pan),
    ("zoom", EditMode::Zoom),
    ("inpaint", EditMode::Inpaint),
    ("remix", EditMode::Remix),
    ("reroll", EditMode::Reroll),
    ("edit", EditMode::Edit),
    ("retexture", EditMode::Retexture),
];
/// Whether a video is made longer.
pub(super) const FILMS: [(&str, bool); 2] = [("animate", false), ("extend", true)];

/// What `edit` does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EditMode {
    Pan,
    Zoom,
    Inpaint,
    Remix,
    Reroll,
    Edit,
    Retexture,
}

/// A request for anything but an imagine, its pictures still as they were named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ActArgs {
    pub action: Action,
    pub prompt: Option<String>,
    pub pictures: Vec<Picture>,
    pub mask: Option<Picture>,
    pub common: Common,
}

impl ActArgs {
    /// Reads the arguments of `tool`; `None` where some are wrong, which `read` keeps.
    pub(super) fn read(tool: &str, read: &mut Reader<'_>) -> Option<Self> {
        let common = Common::read(read);
        let prompt = read.text("prompt", MAX_PROMPT_CHARS);
        let mask = read.picture("mask");
        let mut pictures = read.pictures("images");
        pictures.extend(read.picture("image"));
        let action = match tool {
            "upscale" => Some(Action::Upscale {
                mode: read.choice("mode", &UPSCALES).unwrap_or_default(),
            }),
            "vary" => Some(Action::Variation {
                strength: read.choice("strength", &STRENGTHS),
            }),
            "edit" => edit(read),
            "blend" => Some(Action::Blend {
                shape: read.choice("shape", &SHAPES).unwrap_or_default(),
            }),
            "describe" if prompt.is_some() => Some(Action::Shorten),
            "describe" => Some(Action::Describe),
            _ => {
                let motion = read.choice("motion", &MOTIONS).unwrap_or_default();
                Some(match read.choice("mode", &FILMS) {
                    Some(true) => Action::Extend { motion },
                    _ => Action::Animate { motion },
                })
            }
        };
        check_pictures(action?, &pictures, read);
        Some(Self {
            action: action?,
            prompt,
            pictures,
            mask,
            common,
        })
    }
}

fn edit(read: &mut Reader<'_>) -> Option<Action> {
    let mode = read.required("mode", "what to do: pan, zoom, edit, ..", |read, name| {
        read.choice(name, &EDITS)
    });
    let side = read.choice("direction", &SIDES);
    let zoom = zoom(read);
    let strength = read.choice("strength", &STRENGTHS);
    let mode = mode?;
    for (name, of, word) in [
        ("direction", EditMode::Pan, "pan"),
        ("zoom", EditMode::Zoom, "zoom"),
        ("strength", EditMode::Remix, "remix"),
    ] {
        if mode != of && read.has(name) {
            read.object(name, format!("only mode {word} takes it; leave it out"));
        }
    }
    Some(match mode {
        EditMode::Pan => {
            if !read.has("direction") {
                read.object("direction", "is missing; give left, right, up or down");
            }
            Action::Pan { direction: side? }
        }
        EditMode::Zoom => Action::Zoom {
            zoom: zoom.unwrap_or(Zoom::Double),
        },
        EditMode::Inpaint => Action::Inpaint,
        EditMode::Remix => Action::Remix {
            strength: strength.unwrap_or(Strength::Strong),
        },
        EditMode::Reroll => Action::Reroll,
        EditMode::Edit => Action::Edit,
        EditMode::Retexture => Action::Retexture,
    })
}

/// `2x`, `1.8`, `square`, or a number.
fn zoom(read: &mut Reader<'_>) -> Option<Zoom> {
    let value = read.value("zoom")?;
    let zoom = match value {
        Value::String(word) => match word.as_str() {
            "square" => Some(Zoom::Square),
            "1.5x" => Some(Zoom::OneAndAHalf),
            "2x" => Some(Zoom::Double),
            factor => factor.trim_end_matches('x').parse().ok().and_then(Zoom::custom),
        },
        other => other.as_f64().and_then(Zoom::custom),
    };
    if zoom.is_none() {
        read.object(
            "zoom",
            "expected 1.5x, 2x, square, or a factor of more than 1 and 2 at most, such as 1.8",
        );
    }
    zoom
}

/// Whether there is a picture where one is needed, and one of ours where no other will do.
fn check_pictures(action: Action, pictures: &[Picture], read: &mut Reader<'_>) {
    let needs = action.needs();
    let of_ours = "a picture of a finished job, such as mj://jobs/{job_id}/images/1";
    for picture in pictures {
        if needs.images.1 == 0 && needs.parent != Need::No && !matches!(picture.from, Origin::Ours(..)) {
            let detail = format!("{} starts from {of_ours}; give one", action.name());
            read.object(&picture.place, detail);
        }
    }
    if pictures.is_empty() && !read.has("image") && !read.has("images") && action != Action::Shorten {
        match action {
            Action::Blend { .. } => read.object("images", "is missing; give two to five pictures"),
            Action::Describe => read.object("image", "is missing; give a picture, or a prompt to shorten"),
            _ => read.object("image", format!("is missing; give {of_ours}")),
        }
    }
}
