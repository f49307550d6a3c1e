//! Which action of the upstream does what is asked.
//!
//! The names are those of `core/types.py` of the MCP server and of the web client; which of them a finished task
//! allows, its own `actions` say.

use super::films;
use crate::{
    client::{
        ParentTask,
        http::{
            films::fits,
            named::{
                allowed::{allowed, start, unsupported},
                offered::{Name, pick},
                wording::has_own_prompt,
            },
        },
    },
    job::{Action, Direction, Failure, JobRequest, Need, Shape, Strength, UpscaleMode, Zoom},
};

/// How a request is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Plan<'a> {
    /// `imagine` with the action `generate`.
    Generate,
    /// The same, with pictures alone.
    Blend(Shape),
    /// `imagine` with this action.
    Act {
        /// The parent's picture.
        image: &'a str,
        /// The action.
        name: String,
    },
    /// `imagine` with the action `variation_region`.
    Region {
        /// The parent's picture.
        image: &'a str,
    },
    /// `edits`, of the request's picture or of this one.
    Edit {
        /// Where the parent's picture is.
        picture: Option<&'a str>,
    },
    /// `describe`, of the request's picture or of this one.
    Describe {
        /// Where the parent's picture is.
        picture: Option<&'a str>,
    },
    /// `shorten`.
    Shorten,
    /// `videos` with the action `generate`, of the request's picture or of this one.
    Animate {
        /// Where the parent's picture is.
        picture: Option<&'a str>,
        /// What happens, and how much moves.
        prompt: String,
    },
    /// `videos` with the action `extend`.
    Extend {
        /// The parent's videos.
        videos: &'a str,
        /// Which of them, counted from 0.
        index: u8,
        /// What happens, and how much moves.
        prompt: String,
    },
}

/// Whether the upstream has `action`.
pub(super) const fn supports(action: Action) -> bool {
    let alone = matches!(
        action,
        Action::Imagine
            | Action::Inpaint
            | Action::Edit
            | Action::Blend { .. }
            | Action::Describe
            | Action::Shorten
            | Action::Animate { .. }
            | Action::Extend { .. }
    );
    alone || !names(action).is_empty()
}

/// The names of what is done to a finished task, the best first; none where there are none.
const fn names(action: Action) -> &'static [Name] {
    use Name::{Numbered, Whole};
    match action {
        Action::Upscale { mode } => match mode {
            UpscaleMode::Cutout => &[Numbered("upscale")],
            UpscaleMode::Subtle => &[Whole("upscale_subtle")],
            UpscaleMode::Creative => &[Whole("upscale_creative")],
            UpscaleMode::Double => &[Whole("upscale_2x")],
            UpscaleMode::Quadruple => &[Whole("upscale_4x")],
        },
        Action::Variation { strength } => match strength {
            // A single picture has no plain variation; strong is what a grid's does by default.
            None => &[Numbered("variation"), Whole("variation_strong")],
            Some(Strength::Subtle) => &[Whole("variation_subtle")],
            Some(Strength::Strong) => &[Whole("variation_strong")],
        },
        Action::Reroll => &[Whole("reroll")],
        Action::Zoom { zoom } => match zoom {
            Zoom::OneAndAHalf => &[Whole("zoom_out_1_5x")],
            Zoom::Double => &[Whole("zoom_out_2x")],
            Zoom::Square => &[Whole("square")],
            Zoom::Custom(_) => &[],
        },
        Action::Pan { direction } => match direction {
            Direction::Left => &[Whole("pan_left")],
            Direction::Right => &[Whole("pan_right")],
            Direction::Up => &[Whole("pan_up")],
            Direction::Down => &[Whole("pan_down")],
        },
        // Videos have a route of their own, Remix and Retexture have none.
        _ => &[],
    }
}

/// Decides how `request` is sent, or why it cannot be.
pub(super) fn plan<'a>(request: &JobRequest, parent: Option<&'a ParentTask>) -> Result<Plan<'a>, Failure> {
    let action = request.action;
    if !supports(action) {
        return Err(unsupported(format!("this upstream has no {action}")));
    }
    if let Some(parent) = parent {
        fits(action, parent)?;
    }
    match action {
        Action::Animate { motion } => return films::animate(request, parent, motion),
        Action::Extend { motion } => return films::extend(request, parent, motion),
        _ => {}
    }
    if action.needs().parent != Need::Must {
        let picture = parent.and_then(|parent| parent.picture_url.as_deref());
        if matches!(action, Action::Edit | Action::Describe) && request.images.is_empty() && picture.is_none()
        {
            return Err(unsupported(format!("a {action} needs a picture")));
        }
        return Ok(match action {
            Action::Blend { shape } => Plan::Blend(shape),
            Action::Edit => Plan::Edit { picture },
            Action::Describe => Plan::Describe { picture },
            Action::Shorten => Plan::Shorten,
            _ => Plan::Generate,
        });
    }
    let (parent, index) = start(request, parent)?;
    let image = parent.name();
    if action == Action::Inpaint {
        // No list of `actions` has this one, so whether it works is told from what the parent is.
        allowed(action, parent)?;
        return Ok(Plan::Region { image });
    }
    if has_own_prompt(request, parent) {
        return Err(unsupported(format!(
            "a {action} takes no prompt of its own at this upstream; leave it out"
        )));
    }
    let name = pick(names(action), action, parent, index)?;
    Ok(Plan::Act { image, name })
}
