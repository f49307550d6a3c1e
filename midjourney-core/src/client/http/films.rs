//! Videos, as upstreams with a verb or a route for them have them.

use crate::{
    client::ParentTask,
    job::{Action, Failure, FailureKind, Motion},
};

/// Refuses what starts from a picture on a video, and the other way round.
pub(in crate::client) fn fits(action: Action, parent: &ParentTask) -> Result<(), Failure> {
    let of_video = matches!(parent.action, Action::Animate { .. } | Action::Extend { .. });
    if of_video == matches!(action, Action::Extend { .. }) {
        return Ok(());
    }
    let what = if of_video {
        "a picture, not from a video"
    } else {
        "a video"
    };
    let message = format!("this upstream does a {action} from {what}");
    Err(Failure::new(FailureKind::Unsupported, message))
}

/// The prompt with how much moves, which no field says ("`--motion` low, high", wire facts).
pub(in crate::client) fn moving(prompt: &str, motion: Motion) -> String {
    let motion = match motion {
        Motion::Low => "--motion low",
        Motion::High => "--motion high",
    };
    [prompt, motion].join(" ").trim_start().to_owned()
}

/// The refusal of a video without words, where they are required.
pub(in crate::client) fn wordless(action: Action) -> Failure {
    let message = format!("this upstream does a {action} with a prompt only; say what happens");
    Failure::new(FailureKind::InvalidPrompt, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::UpstreamId;

    #[test]
    fn videos_are_extended_and_pictures_are_all_else() {
        let animate = Action::Animate { motion: Motion::Low };
        let extend = Action::Extend { motion: Motion::High };
        for (action, by, yes) in [
            (animate, Action::Imagine, true),
            (Action::Reroll, Action::Imagine, true),
            (extend, animate, true),
            (extend, extend, true),
            (extend, Action::Imagine, false),
            (animate, extend, false),
            (Action::Describe, animate, false),
        ] {
            let parent = ParentTask::new(UpstreamId::new("1"), Vec::new(), String::new()).with_action(by);
            assert_eq!(fits(action, &parent).is_ok(), yes, "{action} after {by}");
        }
        assert_eq!(moving("a fox", Motion::High), "a fox --motion high");
        assert_eq!(moving("", Motion::Low), "--motion low");
    }
}
