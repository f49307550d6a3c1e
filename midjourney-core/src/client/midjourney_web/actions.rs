//! What the web interface is known to do, and how it is asked ("Submit" of the wire facts).
//!
//! Zooms, inpaints, edits and retextures exist there, but nobody has written down what is sent for them. Pictures need
//! no cutting out of the grid: each is a file of its own.

use super::{
    options::{CountFrom, PanNumbers, WebOptions},
    wire::{ParentJob, What},
};
use crate::{
    client::{
        ParentTask,
        http::{
            films::fits,
            named::{
                allowed::{start, unsupported},
                wording::{SPEEDS, Wording, has_own_prompt},
            },
        },
    },
    job::{Action, Direction, Failure, JobRequest, Motion, Strength, UpscaleMode},
};

/// How a request is sent.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Plan<'a> {
    /// A drawing from a prompt; the links of pictures lead it.
    Imagine { prompt: String },
    /// A video of a picture that comes along, whose link leads the prompt.
    Animate { prompt: String },
    /// Something done to a finished job.
    FollowUp(What<'a>),
    /// Prompts for a picture: one that comes along, or the parent's, which is there.
    Describe { picture: Option<&'a str> },
}

/// Whether there is `action` at all.
pub(super) const fn supports(action: Action) -> bool {
    matches!(
        action,
        Action::Imagine
            | Action::Upscale {
                mode: UpscaleMode::Subtle | UpscaleMode::Creative
            }
            | Action::Variation { .. }
            | Action::Reroll
            | Action::Remix { .. }
            | Action::Pan { .. }
            | Action::Describe
            | Action::Animate { .. }
            | Action::Extend { .. }
    )
}

/// Decides how `request` is sent, or why it cannot be.
pub(super) fn plan<'a>(
    options: &WebOptions,
    request: &JobRequest,
    parent: Option<&'a ParentTask>,
) -> Result<Plan<'a>, Failure> {
    let action = request.action;
    match action {
        _ if !supports(action) => Err(unsupported(format!("this upstream has no {action}"))),
        Action::Imagine => Ok(Plan::Imagine {
            prompt: text(&request.prompt),
        }),
        Action::Describe => {
            let Some(parent) = parent else {
                return Ok(Plan::Describe { picture: None });
            };
            let picture = parent
                .picture_url
                .as_deref()
                .filter(|_| !of_video(parent))
                .ok_or_else(|| unsupported("it is not known where the picture to describe is; upload it"))?;
            Ok(Plan::Describe {
                picture: Some(picture),
            })
        }
        Action::Animate { motion } if parent.is_none() => Ok(Plan::Animate {
            prompt: moving(&text(&request.prompt), motion),
        }),
        _ => follow_up(options, request, parent).map(Plan::FollowUp),
    }
}

const fn of_video(parent: &ParentTask) -> bool {
    matches!(parent.action, Action::Animate { .. } | Action::Extend { .. })
}

/// What moves, and how much, as the pages write it.
fn moving(prompt: &str, motion: Motion) -> String {
    let motion = match motion {
        Motion::Low => "low",
        Motion::High => "high",
    };
    let parameters = format!("--bs 4 --motion {motion} --video 1");
    [prompt, &parameters].join(" ").trim_start().to_owned()
}

fn follow_up<'a>(
    options: &WebOptions,
    request: &JobRequest,
    parent: Option<&'a ParentTask>,
) -> Result<What<'a>, Failure> {
    let action = request.action;
    let (parent, picture) = start(request, parent)?;
    let id = parent.name();
    let own = has_own_prompt(request, parent);
    fits(action, parent)?;
    let reads = !matches!(
        action,
        Action::Upscale { .. } | Action::Variation { .. } | Action::Reroll
    );
    if own && !reads {
        return Err(unsupported(format!(
            "this upstream does a {action} with the parent's prompt only; leave the prompt out"
        )));
    }
    let index = match options.count_from {
        CountFrom::Zero => picture.saturating_sub(1),
        CountFrom::One => picture,
    };
    let new_prompt = || text(if own { &request.prompt } else { &parent.prompt });
    let video = |video_type, motion| What::Video {
        video_type,
        new_prompt: moving(&if own { text(&request.prompt) } else { String::new() }, motion),
        parent_job: Some(ParentJob {
            job_id: id,
            image_num: index,
        }),
        animate_mode: if own { "manual" } else { "auto" },
    };
    Ok(match action {
        Action::Upscale { mode } => What::Upscale {
            id,
            index,
            kind: upscaler(mode, parent)?,
        },
        Action::Variation { strength } => What::Vary {
            id,
            index,
            // What the plain buttons of a grid do.
            strong: strength != Some(Strength::Subtle),
        },
        Action::Remix { strength } => What::Remix {
            id,
            index,
            strong: strength == Strength::Strong,
            new_prompt: new_prompt(),
        },
        Action::Pan { direction } => What::Pan {
            id,
            index,
            direction: number(options.pan_numbers, direction),
            new_prompt: new_prompt(),
            fraction: 0.5,
            stitch: true,
        },
        Action::Animate { motion } => video("vid_1.1_i2v_480", motion),
        Action::Extend { motion } => video("vid_1.1_i2v_extend_480", motion),
        _ => What::Reroll { id },
    })
}

/// The upscaler of the parent's version, among those that it offers.
fn upscaler(mode: UpscaleMode, parent: &ParentTask) -> Result<&str, Failure> {
    let end = match mode {
        UpscaleMode::Creative => "_creative",
        _ => "_subtle",
    };
    let offered = parent.actions.iter().map(|action| action.id.as_str());
    let mut fitting = offered.filter(|id| id.ends_with(end));
    fitting.next().ok_or_else(|| {
        unsupported(format!(
            "no {} upscale is known for what drew the picture",
            end.trim_start_matches('_')
        ))
    })
}

/// What a finished job of this type can be upscaled with ("`type`" of the wire facts). No others are known.
pub(super) fn upscalers(job_type: &str) -> &'static [(&'static str, &'static str)] {
    match job_type {
        "v7_diffusion" | "v7_raw_diffusion" | "v7_draft_diffusion" => &[
            ("v7_2x_subtle", "Upscale (Subtle)"),
            ("v7_2x_creative", "Upscale (Creative)"),
        ],
        "v8-1_diffusion" => &[("v8r1_2x_subtle", "Upscale (Subtle)")],
        _ => &[],
    }
}

const fn number(numbers: PanNumbers, direction: Direction) -> u8 {
    match (numbers, direction) {
        (PanNumbers::FromDown, Direction::Down) | (PanNumbers::FromUp, Direction::Up) => 0,
        (_, Direction::Right) => 1,
        (PanNumbers::FromDown, Direction::Up) | (PanNumbers::FromUp, Direction::Down) => 2,
        (_, Direction::Left) => 3,
    }
}

/// The prompt without the speed, which has a field of its own.
fn text(prompt: &str) -> String {
    Wording::of(prompt).without(&SPEEDS).into_owned()
}

/// The speed that a request asks for.
pub(super) fn mode(request: &JobRequest) -> &'static str {
    Wording::of(&request.prompt).speed().unwrap_or("fast")
}
