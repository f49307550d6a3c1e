//! How a request is sent, or why it cannot be: told without asking anybody.

use super::{Dialect, actions::supports, buttons};
use crate::{
    client::{
        ParentTask,
        http::named::{allowed::unsupported, wording::has_own_prompt},
    },
    job::{Action, Failure, FailureKind, JobRequest, Motion, Shape, UpscaleMode, Zoom},
    prompt::Prompt,
};

/// How a request is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plan<'a> {
    /// `submit/imagine`.
    Imagine,
    /// `submit/blend`.
    Blend {
        /// The form of the result.
        shape: Shape,
    },
    /// `submit/describe`.
    Describe {
        /// What is described.
        picture: Source<'a>,
    },
    /// `submit/shorten`.
    Shorten,
    /// `submit/edits`.
    Edit {
        /// What is changed.
        picture: Source<'a>,
    },
    /// `submit/retexture`.
    Retexture,
    /// `submit/video` of the picture that came along.
    Animate {
        /// How much moves.
        motion: Motion,
    },
    /// `submit/video` once more.
    Extend {
        /// The parent.
        task: &'a str,
        /// Which of its videos, counted from 0.
        index: u8,
        /// How much moves.
        motion: Motion,
        /// What it shows.
        prompt: Option<&'a str>,
    },
    /// `submit/action` with this custom id.
    Press {
        /// The parent.
        task: &'a str,
        /// The button.
        button: &'a str,
        /// Whether a window for another prompt is to be opened.
        remix: bool,
    },
    /// `submit/change`.
    Change {
        /// The parent.
        task: &'a str,
        /// `UPSCALE`, `VARIATION` or `REROLL`.
        action: &'static str,
        /// 1 to 4; not for `REROLL`.
        index: Option<u8>,
    },
}

/// Where the picture of a submit comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source<'a> {
    /// It came along with the request.
    Brought,
    /// It is the parent's, there.
    At(&'a str),
}

/// Decides how `request` is sent, or why it cannot be.
pub(super) fn plan<'a>(
    dialect: Dialect,
    request: &JobRequest,
    parent: Option<&'a ParentTask>,
) -> Result<Plan<'a>, Failure> {
    let what = request.action;
    if !supports(dialect, what) {
        return Err(unsupported(format!("this upstream has no {what}")));
    }
    match what {
        Action::Imagine => Ok(Plan::Imagine),
        Action::Blend { shape } => Ok(Plan::Blend { shape }),
        Action::Shorten => Ok(Plan::Shorten),
        Action::Retexture => Ok(Plan::Retexture),
        // Elsewhere the route takes bytes only, and the parent's are not at hand.
        Action::Describe if parent.is_some() && dialect != Dialect::TrueAi => Err(unsupported(
            "this upstream describes only pictures that come along; upload the picture".to_owned(),
        )),
        Action::Describe => Ok(Plan::Describe {
            picture: source(what, parent)?,
        }),
        Action::Edit if request.mask.is_some() => Err(unsupported(
            "this upstream takes no mask for an edit; inpaint an upscaled picture instead".to_owned(),
        )),
        Action::Edit => Ok(Plan::Edit {
            picture: source(what, parent)?,
        }),
        Action::Animate { motion } if parent.is_none() => {
            if request.prompt.is_empty() {
                let message = "this upstream makes videos from a picture and a prompt; say what happens";
                return Err(Failure::new(FailureKind::InvalidPrompt, message));
            }
            Ok(Plan::Animate { motion })
        }
        _ => follow_up(dialect, request, parent),
    }
}

/// The picture that `what` starts from.
fn source(what: Action, parent: Option<&ParentTask>) -> Result<Source<'_>, Failure> {
    let Some(parent) = parent else {
        return Ok(Source::Brought);
    };
    if matches!(parent.action, Action::Animate { .. } | Action::Extend { .. }) {
        return Err(unsupported(format!(
            "a {what} starts from a picture, not from a video"
        )));
    }
    // The link of a task with several pictures is mostly that of the grid.
    let single = match parent.actions.as_slice() {
        [] => matches!(parent.action, Action::Upscale { .. }),
        buttons => !buttons::of_grid(buttons),
    };
    match parent.picture_url.as_deref() {
        Some(url) if single => Ok(Source::At(url)),
        _ => Err(unsupported(format!(
            "a {what} starts from a single picture at this upstream; upscale it first, or upload it"
        ))),
    }
}

fn follow_up<'a>(
    dialect: Dialect,
    request: &JobRequest,
    parent: Option<&'a ParentTask>,
) -> Result<Plan<'a>, Failure> {
    let what = request.action;
    let (Some(parent), Some(at)) = (parent, request.parent) else {
        return Err(unsupported(format!(
            "a {what} needs a finished picture to start from"
        )));
    };
    let index = at.index;
    if what != Action::Reroll && !(1..=4).contains(&index) {
        return Err(unsupported(format!(
            "there is no picture {index}; pictures are counted 1 to 4"
        )));
    }
    let own_prompt = has_own_prompt(request, parent);
    if let Action::Extend { motion } = what {
        return extend(parent, index, motion, own_prompt);
    }
    let remix = remixes(dialect, what, own_prompt)?;
    if matches!(what, Action::Zoom { .. }) && says_zoom(&request.prompt) {
        let message = "leave `--zoom` out of the prompt; the request itself says how much";
        return Err(Failure::new(FailureKind::InvalidPrompt, message));
    }
    let task = parent.name();
    // The Java line has no buttons; elsewhere they may be missing from old tasks. trueai has no other route.
    if dialect == Dialect::Java || (parent.actions.is_empty() && dialect != Dialect::TrueAi) {
        return change(task, what, index);
    }
    match buttons::find(&parent.actions, what, index, own_prompt) {
        Some(button) => Ok(Plan::Press {
            task,
            button: &button.id,
            remix,
        }),
        None => Err(unsupported(format!(
            "the parent task offers no {what} of picture {index}; it offers {}",
            buttons::names(&parent.actions)
        ))),
    }
}

/// By the button where there is one; the route takes a prompt, and needs one.
fn extend(parent: &ParentTask, index: u8, motion: Motion, own_prompt: bool) -> Result<Plan<'_>, Failure> {
    let task = parent.name();
    let what = Action::Extend { motion };
    if let Some(button) = buttons::find(&parent.actions, what, index, own_prompt).filter(|_| !own_prompt) {
        return Ok(Plan::Press {
            task,
            button: &button.id,
            remix: false,
        });
    }
    let prompt = Some(parent.prompt.as_str()).filter(|_| !own_prompt);
    if prompt.is_some_and(str::is_empty) {
        let message = "this upstream extends a video with a prompt; say what happens";
        return Err(Failure::new(FailureKind::InvalidPrompt, message));
    }
    Ok(Plan::Extend {
        task,
        index: index.saturating_sub(1),
        motion,
        prompt,
    })
}

/// Whether a window for another prompt must be asked for. A prompt that would be paid for and not read is refused.
fn remixes(dialect: Dialect, what: Action, own_prompt: bool) -> Result<bool, Failure> {
    match what {
        Action::Remix { .. } => Ok(true),
        _ if !own_prompt => Ok(false),
        // Their windows ask for a prompt in any case.
        Action::Inpaint => Ok(false),
        Action::Zoom { zoom } if zoom != Zoom::Square => Ok(false),
        // "With Remix mode on also reroll, variation, pan."
        Action::Reroll | Action::Variation { .. } | Action::Pan { .. } if dialect == Dialect::TrueAi => {
            Ok(true)
        }
        _ => Err(unsupported(format!(
            "this upstream does a {what} with the parent's prompt only; leave the prompt out"
        ))),
    }
}

fn says_zoom(prompt: &str) -> bool {
    Prompt::parse(prompt)
        .params()
        .any(|param| param.name.eq_ignore_ascii_case("zoom"))
}

/// The route that needs no buttons.
fn change(task: &str, what: Action, index: u8) -> Result<Plan<'_>, Failure> {
    let (action, index) = match what {
        Action::Upscale {
            mode: UpscaleMode::Cutout,
        } => ("UPSCALE", Some(index)),
        Action::Variation { strength: None } => ("VARIATION", Some(index)),
        Action::Reroll => ("REROLL", None),
        _ => {
            return Err(unsupported(format!(
                "the parent task offers no {what}: without buttons only cutouts, plain variations and rerolls work"
            )));
        }
    };
    Ok(Plan::Change { task, action, index })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::{OsEntropy, Timestamp},
        id::JobId,
        job::{Direction, InputImage, ParentRef, RemoteAction, Strength, UpstreamId},
    };

    const CUTOUT: Action = Action::Upscale {
        mode: UpscaleMode::Cutout,
    };
    const VARY: Action = Action::Variation { strength: None };
    const PAN: Action = Action::Pan {
        direction: Direction::Left,
    };
    const REMIX: Action = Action::Remix {
        strength: Strength::Strong,
    };

    fn follow_up(action: Action, index: u8) -> JobRequest {
        let job = JobId::new(Timestamp::from_millis(1), &OsEntropy);
        JobRequest::follow_up(action, ParentRef::new(job, index), "a fox")
    }

    fn parent(ids: &[&str]) -> ParentTask {
        let actions = ids.iter().map(|id| RemoteAction::new(*id, "")).collect();
        ParentTask::new(UpstreamId::new("17"), actions, "a fox".to_owned())
    }

    fn refused(dialect: Dialect, request: &JobRequest, parent: Option<&ParentTask>) -> String {
        let failure = plan(dialect, request, parent).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Unsupported, "{request:?}");
        failure.message
    }

    #[test]
    fn a_button_that_is_not_there_is_refused_with_those_that_are() {
        let grid = parent(&["MJ::JOB::upsample::1::u"]);
        let pressed = plan(Dialect::Auto, &follow_up(CUTOUT, 1), Some(&grid));
        let press = Plan::Press {
            task: "17",
            button: "MJ::JOB::upsample::1::u",
            remix: false,
        };
        assert_eq!(pressed, Ok(press));
        let message = refused(Dialect::Auto, &follow_up(CUTOUT, 2), Some(&grid));
        assert!(message.contains("MJ::JOB::upsample::1::u"), "{message}");
        for (request, parent) in [(follow_up(CUTOUT, 0), Some(&grid)), (follow_up(CUTOUT, 1), None)] {
            refused(Dialect::Auto, &request, parent);
        }
    }

    #[test]
    fn without_buttons_there_is_the_old_route() {
        let bare = parent(&[]);
        let with = parent(&["MJ::JOB::upsample::1::u"]);
        let changed = |action, index| {
            Ok(Plan::Change {
                task: "17",
                action,
                index,
            })
        };
        for (dialect, request, parent, expected) in [
            (
                Dialect::Auto,
                follow_up(CUTOUT, 1),
                &bare,
                changed("UPSCALE", Some(1)),
            ),
            (
                Dialect::Java,
                follow_up(CUTOUT, 1),
                &with,
                changed("UPSCALE", Some(1)),
            ),
            (
                Dialect::NewApi,
                follow_up(VARY, 2),
                &bare,
                changed("VARIATION", Some(2)),
            ),
            (
                Dialect::Java,
                follow_up(Action::Reroll, 0),
                &bare,
                changed("REROLL", None),
            ),
        ] {
            assert_eq!(plan(dialect, &request, Some(parent)), expected);
        }
        let subtle = Action::Upscale {
            mode: UpscaleMode::Subtle,
        };
        for (dialect, request) in [
            (Dialect::TrueAi, follow_up(CUTOUT, 1)),
            (Dialect::Java, follow_up(subtle, 1)),
            (Dialect::Auto, follow_up(PAN, 1)),
            (Dialect::Java, follow_up(VARY, 0)),
            (Dialect::Java, follow_up(VARY, 5)),
        ] {
            refused(dialect, &request, Some(&bare));
        }
    }

    #[test]
    fn a_prompt_of_its_own_is_read_or_refused() {
        let single = parent(&[
            "MJ::JOB::high_variation::1::u::SOLO",
            "MJ::JOB::reroll::0::u::SOLO",
            "MJ::JOB::pan_left::1::u::SOLO",
            "MJ::Inpaint::1::u::SOLO",
            "MJ::CustomZoom::u",
            "MJ::Outpaint::100::1::u::SOLO",
            "MJ::JOB::upsample_v5_2x::1::u::SOLO",
        ]);
        let zoom = |zoom| Action::Zoom { zoom };
        let double = Action::Upscale {
            mode: UpscaleMode::Double,
        };
        for (action, trueai, plus) in [
            (VARY, Some(true), None),
            (Action::Reroll, Some(true), None),
            (PAN, Some(true), None),
            (REMIX, Some(true), None),
            (Action::Inpaint, Some(false), Some(false)),
            (zoom(Zoom::Double), Some(false), Some(false)),
            (zoom(Zoom::Square), None, None),
            (double, None, None),
        ] {
            let mut request = follow_up(action, 1);
            "a wolf".clone_into(&mut request.prompt);
            for (dialect, expected) in [(Dialect::TrueAi, trueai), (Dialect::Plus, plus)] {
                let remix = match plan(dialect, &request, Some(&single)) {
                    Ok(Plan::Press { remix, .. }) => Some(remix),
                    Err(failure) if failure.kind == FailureKind::Unsupported => None,
                    other => panic!("{other:?}"),
                };
                assert_eq!(remix, expected, "{action} {dialect:?}");
            }
        }
        let mut twice = follow_up(zoom(Zoom::Custom(180)), 1);
        "a wolf --zoom 1.5".clone_into(&mut twice.prompt);
        let failure = plan(Dialect::Plus, &twice, Some(&single)).unwrap_err();
        assert_eq!(failure.kind, FailureKind::InvalidPrompt);
    }

    #[test]
    fn pictures_of_grids_are_not_taken_for_single_ones() {
        let url = "https://cdn/1.png";
        let at = |ids: &[&str], action| {
            parent(ids)
                .with_action(action)
                .with_picture_url(Some(url.to_owned()))
        };
        let grid = at(&["MJ::JOB::upsample::1::u"], Action::Imagine);
        let single = at(&["MJ::JOB::low_variation::1::u::SOLO"], Action::Reroll);
        let cut = at(&[], CUTOUT);
        let edit = follow_up(Action::Edit, 1);
        for parent in [&single, &cut] {
            let picture = Source::At(url);
            assert_eq!(
                plan(Dialect::TrueAi, &edit, Some(parent)),
                Ok(Plan::Edit { picture })
            );
            let describe = follow_up(Action::Describe, 1);
            assert_eq!(
                plan(Dialect::TrueAi, &describe, Some(parent)),
                Ok(Plan::Describe { picture })
            );
            refused(Dialect::Plus, &describe, Some(parent));
        }
        for parent in [&grid, &parent(&[]).with_action(CUTOUT), &at(&[], Action::Imagine)] {
            refused(Dialect::TrueAi, &edit, Some(parent));
        }
        let masked = JobRequest::new(Action::Edit, "x").with_mask(Some(InputImage::Url(url.to_owned())));
        refused(Dialect::TrueAi, &masked, None);
    }
}
