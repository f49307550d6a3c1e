//! Which button of the parent task does what is asked.
//!
//! Chosen by the prefix of the custom id and never by the label, and only from the buttons that the finished task
//! has ("Buttons (custom ids)" of the wire facts): labels differ between lines, and pan buttons have none.

use super::Dialect;
use crate::{
    client::ParentTask,
    job::{Action, Failure, FailureKind, JobRequest, RemoteAction, Strength, UpscaleMode},
};

/// How many buttons a refusal names.
const MAX_NAMED: usize = 20;

/// How a request is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Plan<'a> {
    /// `submit/imagine`.
    Imagine,
    /// `submit/action` with this custom id.
    Press {
        /// The parent.
        task: &'a str,
        /// The button.
        button: &'a str,
    },
    /// `submit/change`.
    Change {
        /// The parent.
        task: &'a str,
        /// `UPSCALE` or `VARIATION`.
        action: &'static str,
        /// 1 to 4.
        index: u8,
    },
}

/// Whether gateways of this line have `action`.
pub(super) const fn supports(dialect: Dialect, action: Action) -> bool {
    let _ = dialect;
    matches!(
        action,
        Action::Imagine | Action::Upscale { .. } | Action::Variation { .. }
    )
}

/// Decides how `request` is sent, or why it cannot be.
pub(super) fn plan<'a>(
    dialect: Dialect,
    request: &JobRequest,
    parent: Option<&'a ParentTask>,
) -> Result<Plan<'a>, Failure> {
    let unsupported = |message: String| Failure::new(FailureKind::Unsupported, message);
    let what = request.action;
    if !supports(dialect, what) {
        return Err(unsupported(format!("this upstream has no {what}")));
    }
    if what == Action::Imagine {
        return Ok(Plan::Imagine);
    }
    let (Some(parent), Some(at)) = (parent, request.parent) else {
        return Err(unsupported(format!(
            "a {what} needs a finished picture to start from"
        )));
    };
    let (task, index) = (parent.upstream.as_str(), at.index);
    if !(1..=4).contains(&index) {
        return Err(unsupported(format!(
            "there is no picture {index}; pictures are counted 1 to 4"
        )));
    }
    // The Java line has no buttons; elsewhere they may be missing from old tasks. trueai has no other route.
    if dialect == Dialect::Java || (parent.actions.is_empty() && dialect != Dialect::TrueAi) {
        return match &request.action {
            Action::Upscale {
                mode: UpscaleMode::Cutout,
            } => Ok(Plan::Change {
                task,
                action: "UPSCALE",
                index,
            }),
            Action::Variation { strength: None } => Ok(Plan::Change {
                task,
                action: "VARIATION",
                index,
            }),
            _ => Err(unsupported(format!(
                "this upstream has no {what}: without buttons only `upscale` by cutout and plain `variation` work"
            ))),
        };
    }
    let found = verbs(request.action).iter().find_map(|wanted| {
        parent
            .actions
            .iter()
            .find(|action| matches(&action.id, *wanted, index))
    });
    match found {
        Some(action) => Ok(Plan::Press {
            task,
            button: &action.id,
        }),
        None => Err(unsupported(format!(
            "the parent task offers no {what} of picture {index}; it offers {}",
            names(&parent.actions)
        ))),
    }
}

/// The verb of a custom id: a whole word, or its beginning and end.
type Verb = (&'static str, Option<&'static str>);

/// The verbs that do `action`, the best first.
const fn verbs(action: Action) -> &'static [Verb] {
    match action {
        Action::Upscale { mode } => match mode {
            UpscaleMode::Cutout => &[("upsample", None)],
            // `upsample_v7_2x_subtle`, `upsample_v6r1_2x_subtle`, ...: one for each version.
            UpscaleMode::Subtle => &[("upsample_", Some("_subtle"))],
            UpscaleMode::Creative => &[("upsample_", Some("_creative"))],
            UpscaleMode::Double => &[("upsample_", Some("_2x"))],
            UpscaleMode::Quadruple => &[("upsample_", Some("_4x"))],
        },
        Action::Variation { strength } => match strength {
            // A single picture has no plain variation; strong is what a grid's button does by default.
            None => &[("variation", None), ("high_variation", None)],
            Some(Strength::Subtle) => &[("low_variation", None)],
            Some(Strength::Strong) => &[("high_variation", None)],
        },
        _ => &[],
    }
}

fn matches(id: &str, (start, end): Verb, index: u8) -> bool {
    let mut parts = id.split("::");
    let (head, group, verb, n) = (parts.next(), parts.next(), parts.next(), parts.next());
    let fits = |verb: &str| match end {
        None => verb == start,
        Some(end) => verb.starts_with(start) && verb.ends_with(end),
    };
    head == Some("MJ")
        && group == Some("JOB")
        && verb.is_some_and(fits)
        && n.and_then(|n| n.parse::<u8>().ok()) == Some(index)
}

fn names(actions: &[RemoteAction]) -> String {
    let mut names: Vec<&str> = actions
        .iter()
        .map(|action| {
            if action.label.is_empty() {
                action.id.as_str()
            } else {
                action.label.as_str()
            }
        })
        .take(MAX_NAMED)
        .collect();
    if names.is_empty() {
        return "nothing".to_owned();
    }
    if actions.len() > MAX_NAMED {
        names.push("...");
    }
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::{OsEntropy, Timestamp},
        id::JobId,
        job::{ParentRef, UpstreamId},
    };

    fn follow_up(action: Action, index: u8) -> JobRequest {
        let job = JobId::new(Timestamp::from_millis(1), &OsEntropy);
        JobRequest::follow_up(action, ParentRef::new(job, index), "a fox")
    }

    fn parent(ids: &[&str]) -> ParentTask {
        let actions = ids.iter().map(|id| RemoteAction::new(*id, "")).collect();
        ParentTask::new(UpstreamId::new("17"), actions, "a fox".to_owned())
    }

    const UPSCALE: fn(UpscaleMode) -> Action = |mode| Action::Upscale { mode };
    const VARY: fn(Option<Strength>) -> Action = |strength| Action::Variation { strength };

    #[test]
    fn buttons_are_chosen_by_prefix() {
        let grid = parent(&[
            "MJ::JOB::upsample::1::u",
            "MJ::JOB::upsample::2::u",
            "MJ::JOB::reroll::0::u::SOLO",
            "MJ::JOB::variation::1::u",
            "MJ::JOB::variation::2::u",
        ]);
        let single = parent(&[
            "MJ::JOB::upsample_v7_2x_subtle::1::u::SOLO",
            "MJ::JOB::upsample_v6r1_2x_creative::1::u::SOLO",
            "MJ::JOB::low_variation::1::u::SOLO",
            "MJ::JOB::high_variation::1::u::SOLO",
            "MJ::Inpaint::1::u::SOLO",
        ]);
        for (action, from, index, button) in [
            (
                UPSCALE(UpscaleMode::Cutout),
                &grid,
                2,
                Some("MJ::JOB::upsample::2::u"),
            ),
            (UPSCALE(UpscaleMode::Cutout), &grid, 3, None),
            (UPSCALE(UpscaleMode::Subtle), &grid, 1, None),
            (UPSCALE(UpscaleMode::Cutout), &single, 1, None),
            (
                UPSCALE(UpscaleMode::Subtle),
                &single,
                1,
                Some("MJ::JOB::upsample_v7_2x_subtle::1::u::SOLO"),
            ),
            (
                UPSCALE(UpscaleMode::Creative),
                &single,
                1,
                Some("MJ::JOB::upsample_v6r1_2x_creative::1::u::SOLO"),
            ),
            (VARY(None), &grid, 1, Some("MJ::JOB::variation::1::u")),
            (
                VARY(None),
                &single,
                1,
                Some("MJ::JOB::high_variation::1::u::SOLO"),
            ),
            (
                VARY(Some(Strength::Subtle)),
                &single,
                1,
                Some("MJ::JOB::low_variation::1::u::SOLO"),
            ),
            (
                VARY(Some(Strength::Strong)),
                &single,
                1,
                Some("MJ::JOB::high_variation::1::u::SOLO"),
            ),
            (VARY(Some(Strength::Strong)), &grid, 1, None),
        ] {
            let request = follow_up(action, index);
            let planned = plan(Dialect::Auto, &request, Some(from));
            if let Some(button) = button {
                assert_eq!(planned, Ok(Plan::Press { task: "17", button }));
            } else {
                let failure = planned.unwrap_err();
                assert_eq!(failure.kind, FailureKind::Unsupported);
                assert!(failure.message.contains("MJ::JOB::"), "{failure}");
            }
        }
    }

    #[test]
    fn without_buttons_there_is_the_old_route() {
        let bare = parent(&[]);
        let with = parent(&["MJ::JOB::upsample::1::u"]);
        let cut = follow_up(UPSCALE(UpscaleMode::Cutout), 1);
        let change = |action| {
            Ok(Plan::Change {
                task: "17",
                action,
                index: 1,
            })
        };
        assert_eq!(plan(Dialect::Auto, &cut, Some(&bare)), change("UPSCALE"));
        assert_eq!(plan(Dialect::Java, &cut, Some(&with)), change("UPSCALE"));
        let vary = follow_up(VARY(None), 1);
        assert_eq!(plan(Dialect::NewApi, &vary, Some(&bare)), change("VARIATION"));
        for (dialect, request) in [
            (Dialect::TrueAi, cut.clone()),
            (Dialect::Java, follow_up(UPSCALE(UpscaleMode::Subtle), 1)),
            (Dialect::Auto, follow_up(VARY(Some(Strength::Strong)), 1)),
            (Dialect::Java, follow_up(VARY(None), 0)),
            (Dialect::Java, follow_up(VARY(None), 5)),
        ] {
            let failure = plan(dialect, &request, Some(&bare)).unwrap_err();
            assert_eq!(failure.kind, FailureKind::Unsupported, "{request:?}");
        }
        assert!(plan(Dialect::Auto, &cut, None).is_err());
    }
}
