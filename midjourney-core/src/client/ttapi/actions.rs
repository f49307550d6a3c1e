//! Which action of the upstream does what is asked.
//!
//! Beware of its numbers: `upsample2` cuts out the second picture, `upscale2` doubles the size. Which of the names a
//! finished task allows, its own `components` say.

use crate::{
    client::{
        ParentTask,
        http::named::{
            allowed::{allowed, start, unsupported},
            offered::{Name, pick},
            wording::has_own_prompt,
        },
    },
    job::{Action, Direction, Failure, JobRequest, Need, Shape, Strength, UpscaleMode, Zoom},
};

/// How a request is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Plan<'a> {
    /// `imagine`.
    Imagine,
    /// `action`.
    Act {
        /// The parent.
        job: &'a str,
        /// The action.
        action: String,
    },
    /// `inpaint`.
    Inpaint {
        /// The parent.
        job: &'a str,
    },
    /// `blend`.
    Blend(Shape),
    /// `describe`, of the request's picture or of this one.
    Describe {
        /// Where the parent's picture is.
        picture: Option<&'a str>,
    },
}

/// Whether the upstream has `action`.
pub(super) const fn supports(action: Action) -> bool {
    let alone = matches!(
        action,
        Action::Imagine | Action::Inpaint | Action::Blend { .. } | Action::Describe
    );
    alone || !names(action).is_empty()
}

/// The names of what is done to a finished task, the best first; none where there are none.
const fn names(action: Action) -> &'static [Name] {
    use Name::{Numbered, Whole};
    match action {
        Action::Upscale { mode } => match mode {
            UpscaleMode::Cutout => &[Numbered("upsample")],
            UpscaleMode::Subtle => &[Whole("upscale_subtle")],
            UpscaleMode::Creative => &[Whole("upscale_creative")],
            UpscaleMode::Double => &[Whole("upscale2")],
            UpscaleMode::Quadruple => &[Whole("upscale4")],
        },
        Action::Variation { strength } => match strength {
            // A single picture has no plain variation; strong is what a grid's does by default.
            None => &[Numbered("variation"), Whole("high_variation")],
            Some(Strength::Subtle) => &[Whole("low_variation")],
            Some(Strength::Strong) => &[Whole("high_variation")],
        },
        Action::Reroll => &[Whole("reroll")],
        Action::Zoom { zoom } => match zoom {
            Zoom::OneAndAHalf => &[Whole("zoom_out_1_5")],
            Zoom::Double => &[Whole("zoom_out_2")],
            Zoom::Square => &[Whole("make_square")],
            Zoom::Custom(_) => &[],
        },
        Action::Pan { direction } => match direction {
            Direction::Left => &[Whole("pan_left")],
            Direction::Right => &[Whole("pan_right")],
            Direction::Up => &[Whole("pan_up")],
            Direction::Down => &[Whole("pan_down")],
        },
        // No route is documented for Remix, Edit, Retexture, Shorten and videos.
        _ => &[],
    }
}

/// Decides how `request` is sent, or why it cannot be.
pub(super) fn plan<'a>(request: &JobRequest, parent: Option<&'a ParentTask>) -> Result<Plan<'a>, Failure> {
    let action = request.action;
    if !supports(action) {
        return Err(unsupported(format!("this upstream has no {action}")));
    }
    if action.needs().parent != Need::Must {
        return match action {
            Action::Blend { shape } => Ok(Plan::Blend(shape)),
            Action::Describe => {
                let picture = parent.and_then(|parent| parent.picture_url.as_deref());
                if request.images.is_empty() && picture.is_none() {
                    return Err(unsupported("a describe needs a picture"));
                }
                Ok(Plan::Describe { picture })
            }
            _ => Ok(Plan::Imagine),
        };
    }
    let (parent, index) = start(request, parent)?;
    let job = parent.name();
    if action == Action::Inpaint {
        // No list of actions has this one, so whether it works is told from what the parent is.
        allowed(action, parent)?;
        return Ok(Plan::Inpaint { job });
    }
    if has_own_prompt(request, parent) {
        return Err(unsupported(format!(
            "a {action} takes no prompt of its own at this upstream; leave it out"
        )));
    }
    let action = pick(names(action), action, parent, index)?;
    Ok(Plan::Act { job, action })
}
