//! What Midjourney allows after a generation, for finished tasks that do not tell it themselves.

use super::wording::Wording;
use crate::{
    client::ParentTask,
    job::{Action, Failure, FailureKind, JobRequest, UpscaleMode},
    prompt::ExpandedPrompt,
};

/// Something that this upstream cannot do.
pub(in crate::client) fn unsupported(message: impl Into<String>) -> Failure {
    Failure::new(FailureKind::Unsupported, message)
}

/// The task that `request` starts from, and which of its pictures, counted from 1.
pub(in crate::client) fn start<'a>(
    request: &JobRequest,
    parent: Option<&'a ParentTask>,
) -> Result<(&'a ParentTask, u8), Failure> {
    let action = request.action;
    let (Some(parent), Some(at)) = (parent, request.parent) else {
        return Err(unsupported(format!(
            "a {action} needs a finished picture to start from"
        )));
    };
    // A reroll draws all of them again.
    if (1..=4).contains(&at.index) || action == Action::Reroll {
        Ok((parent, at.index))
    } else {
        let index = at.index;
        Err(unsupported(format!(
            "there is no picture {index}; pictures are counted 1 to 4"
        )))
    }
}

/// Whether Midjourney allows `action` on what `parent` made, by what that was and by its version (source: "Actions
/// after generation" of the wire facts). A prompt that names no version ran on the account's own, which nobody here
/// knows: then the upstream judges.
pub(in crate::client) fn allowed(action: Action, parent: &ParentTask) -> Result<(), Failure> {
    if parent.action.gives_text() {
        return Err(unsupported(format!(
            "a {} gives texts; a {action} needs a picture",
            parent.action
        )));
    }
    let grid = gives_grid(parent.action);
    match action {
        Action::Upscale {
            mode: UpscaleMode::Cutout,
        } if !grid => {
            return Err(unsupported(
                "the picture is cut out already; its subtle or creative upscale makes it larger",
            ));
        }
        Action::Upscale { mode } if grid && mode != UpscaleMode::Cutout => return Err(from_a_single(action)),
        Action::Zoom { .. } | Action::Pan { .. } | Action::Inpaint if grid => {
            return Err(from_a_single(action));
        }
        Action::Reroll if !grid => {
            return Err(unsupported(
                "a single picture cannot be drawn again; a variation of it can",
            ));
        }
        _ => {}
    }
    let wording = Wording::of(&parent.prompt);
    let Some(params) = wording.read().map(ExpandedPrompt::params) else {
        return Ok(());
    };
    let Some(version) = Version::named(params.version(), params.niji()) else {
        return Ok(());
    };
    let hd = params.hd() == Some(true);
    let fits = match action {
        Action::Upscale { mode } => match mode {
            UpscaleMode::Subtle | UpscaleMode::Creative => version.major >= 6 && !hd,
            UpscaleMode::Double | UpscaleMode::Quadruple => version.major == 5,
            _ => true,
        },
        Action::Zoom { .. } | Action::Pan { .. } => (5..=7).contains(&version.major),
        Action::Inpaint => version.major >= 5,
        Action::Remix { .. } => version.major >= 6,
        _ => true,
    };
    if fits {
        return Ok(());
    }
    let name = version.name;
    Err(unsupported(match action {
        Action::Upscale { .. } if hd => format!("a {action} needs a picture that was not drawn with --hd"),
        Action::Upscale { .. } if version.major == 5 => {
            format!("version {name} has no {action}; it has the 2x and the 4x upscale")
        }
        Action::Upscale { .. } => {
            format!("version {name} has no {action}; it has the subtle and the creative one")
        }
        _ => format!("version {name} has no {action}"),
    }))
}

/// Whether an action draws several pictures.
pub(super) const fn gives_grid(action: Action) -> bool {
    !matches!(action, Action::Upscale { .. })
}

/// The refusal of what does not work on a grid.
pub(super) fn from_a_single(action: Action) -> Failure {
    unsupported(format!(
        "a {action} starts from a single picture; cut one out first (upscale, cutout)"
    ))
}

struct Version {
    name: String,
    major: u8,
}

impl Version {
    fn named(version: Option<&str>, niji: Option<&str>) -> Option<Self> {
        let name = version
            .map(str::to_owned)
            .or_else(|| niji.map(|niji| format!("niji {niji}")))?;
        let number = name.trim_start_matches("niji ");
        let major = number.split('.').next()?.parse().ok()?;
        Some(Self { name, major })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{Direction, Strength, UpstreamId};

    const UP: fn(UpscaleMode) -> Action = |mode| Action::Upscale { mode };
    const CUT: Action = Action::Upscale {
        mode: UpscaleMode::Cutout,
    };

    fn made(by: Action, prompt: &str) -> ParentTask {
        ParentTask::new(UpstreamId::new("1"), Vec::new(), prompt.to_owned()).with_action(by)
    }

    #[test]
    fn the_version_judges_where_the_task_does_not() {
        let pan = Action::Pan {
            direction: Direction::Left,
        };
        let zoom = Action::Zoom {
            zoom: crate::job::Zoom::Double,
        };
        let remix = Action::Remix {
            strength: Strength::Subtle,
        };
        let vary = Action::Variation { strength: None };
        for (action, by, prompt, yes) in [
            (CUT, Action::Imagine, "a fox --v 8.2", true),
            (CUT, CUT, "a fox --v 7", false),
            (vary, Action::Imagine, "a fox", true),
            (vary, CUT, "a fox", true),
            (vary, Action::Describe, "", false),
            (CUT, Action::Shorten, "a fox", false),
            (Action::Reroll, Action::Imagine, "a fox", true),
            (Action::Reroll, CUT, "a fox", false),
            (UP(UpscaleMode::Subtle), Action::Imagine, "a fox --v 7", false),
            (UP(UpscaleMode::Subtle), CUT, "a fox --v 7", true),
            (UP(UpscaleMode::Creative), CUT, "a fox --v 6.1", true),
            (UP(UpscaleMode::Creative), CUT, "a fox --niji 6", true),
            (UP(UpscaleMode::Creative), CUT, "a fox --v 5.2", false),
            (UP(UpscaleMode::Subtle), CUT, "a fox --v 8.2", true),
            (UP(UpscaleMode::Subtle), CUT, "a fox --v 8.2 --hd", false),
            (UP(UpscaleMode::Subtle), CUT, "a fox", true),
            (UP(UpscaleMode::Double), CUT, "a fox --v 5.2", true),
            (UP(UpscaleMode::Quadruple), CUT, "a fox --v 7", false),
            (pan, CUT, "a fox --v 7", true),
            (pan, CUT, "a fox --v 8.2", false),
            (pan, Action::Imagine, "a fox --v 7", false),
            (zoom, CUT, "a fox --v 5.2", true),
            (zoom, CUT, "a fox --v 8.1", false),
            (Action::Inpaint, CUT, "a fox --v 8.1", true),
            (
                Action::Inpaint,
                Action::Blend {
                    shape: crate::job::Shape::Square,
                },
                "",
                false,
            ),
            (remix, CUT, "a fox --v 5.2", false),
            (remix, CUT, "a fox --v 6", true),
            // Not understood, so not judged.
            (pan, CUT, "a fox --operators-own --v 8.2", true),
        ] {
            let judged = allowed(action, &made(by, prompt));
            assert_eq!(
                judged.is_ok(),
                yes,
                "{action} after {by} of {prompt:?}: {judged:?}"
            );
        }
    }
}
