//! The verbs that `LegNext` and `YouChuan` have under the same routes and field names, told apart by their numbers.

use super::{
    Fields, PAN_SCALE, allowed, lacking, own_prompt, picture, scale, task, text, unsupported,
    version::Version,
};
use crate::{
    client::{ParentTask, http::films::fits},
    job::{Action, Direction, Failure, JobRequest, Strength, UpscaleMode},
};

/// What the two number differently ("Cross table of traps", wire facts).
#[derive(Debug)]
pub(in crate::client) struct Numbers {
    /// `type` of an upscale; `None` for those that the upstream lacks.
    pub(in crate::client) upscale: fn(UpscaleMode) -> Option<u8>,
    /// `direction` of a pan.
    pub(in crate::client) pan: fn(Direction) -> u8,
    /// `mode` of a remix.
    pub(in crate::client) remix: fn(Strength) -> u8,
    /// What pictures of a version cannot be used for here, though Midjourney has it.
    pub(in crate::client) lacks: fn(Version, Action) -> bool,
    /// Whether a video is made longer with a prompt only.
    pub(in crate::client) extends_with_prompt: bool,
}

/// A request as it is sent, but for its pictures and its callback.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::client) struct Plan {
    /// The verb in the path.
    pub(in crate::client) verb: &'static str,
    /// The body.
    pub(in crate::client) fields: Fields,
}

impl Numbers {
    /// The verb that does `action`, from a finished task or not; `None` where there is none.
    pub(in crate::client) fn verb(&self, action: Action, follow_up: bool) -> Option<&'static str> {
        Some(match action {
            Action::Imagine => "diffusion",
            Action::Upscale { mode } => return (self.upscale)(mode).map(|_| "upscale"),
            Action::Variation { .. } => "variation",
            Action::Reroll => "reroll",
            Action::Remix { .. } => "remix",
            Action::Zoom { zoom } => return scale(zoom).map(|_| "outpaint"),
            Action::Pan { .. } => "pan",
            Action::Inpaint => "inpaint",
            Action::Edit if follow_up => "edit",
            Action::Edit => "upload-paint",
            Action::Retexture => "retexture",
            Action::Animate { .. } => "video-diffusion",
            Action::Extend { .. } => "extend-video",
            _ => return None,
        })
    }

    /// How `request` is sent, or why it cannot be.
    pub(in crate::client) fn plan(
        &self,
        request: &JobRequest,
        parent: Option<&ParentTask>,
    ) -> Result<Plan, Failure> {
        let action = request.action;
        let verb = self
            .verb(action, parent.is_some())
            .ok_or_else(|| lacking(action, |other| self.verb(other, false).is_some()))?;
        if let Some(parent) = parent {
            fits(action, parent)?;
        }
        let fields = match action {
            Action::Imagine => Fields::default().with("text", text(&request.prompt)?),
            Action::Retexture => Fields::default().with("remixPrompt", text(&request.prompt)?),
            Action::Edit => {
                // The picture fills the canvas, so that without a mask there would be nothing to draw and all to pay.
                if request.mask.is_none() {
                    return Err(unsupported(
                        "an edit needs a mask here; retexture and remix change the whole picture",
                    ));
                }
                let fields = match parent {
                    Some(_) => self.start(request, parent)?,
                    None => Fields::default(),
                };
                fields.with("remixPrompt", text(&request.prompt)?)
            }
            Action::Reroll => {
                let parent = self.parent(request, parent)?;
                if own_prompt(request, parent).is_some() {
                    return Err(unsupported(
                        "a reroll takes no prompt of its own here; imagine the new one",
                    ));
                }
                Fields::default().with("jobId", parent.name())
            }
            Action::Remix { strength } => self
                .start(request, parent)?
                .with("remixPrompt", text(&request.prompt)?)
                .with("mode", (self.remix)(strength)),
            Action::Animate { motion } => self.animate(request, parent, motion)?,
            Action::Extend { motion } => self.extend(request, parent, motion)?,
            Action::Upscale { mode } => self
                .start(request, parent)?
                .with_some("type", (self.upscale)(mode)),
            _ => {
                let fields = self.start(request, parent)?;
                let own = own_prompt(request, task(request, parent)?);
                let fields = fields.with_some("remixPrompt", own.map(text).transpose()?);
                match action {
                    // "`type` 0 subtle / 1 strong", alike for both. Strong is what the V buttons of a grid do.
                    Action::Variation { strength } => {
                        fields.with("type", u8::from(strength != Some(Strength::Subtle)))
                    }
                    Action::Zoom { zoom } => fields.with_some("scale", scale(zoom)),
                    Action::Pan { direction } => fields
                        .with("direction", (self.pan)(direction))
                        .with("scale", PAN_SCALE),
                    _ => fields,
                }
            }
        };
        Ok(Plan { verb, fields })
    }

    /// The task that a follow-up starts from, of a version that allows it.
    pub(super) fn parent<'a>(
        &self,
        request: &JobRequest,
        parent: Option<&'a ParentTask>,
    ) -> Result<&'a ParentTask, Failure> {
        let parent = task(request, parent)?;
        if parent.actions.is_empty() {
            allowed::check(&parent.prompt, request.action, |version, action| {
                self.verb(action, true).is_some() && !(self.lacks)(version, action)
            })?;
        }
        Ok(parent)
    }

    /// The picture that a follow-up starts from, as a body names it.
    pub(super) fn start(&self, request: &JobRequest, parent: Option<&ParentTask>) -> Result<Fields, Failure> {
        let parent = self.parent(request, parent)?;
        Ok(Fields::default()
            .with("jobId", parent.name())
            .with("imageNo", picture(request)?))
    }
}
