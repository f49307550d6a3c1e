//! What a finished task offers, for upstreams whose tasks say so.

use super::allowed::{allowed, from_a_single, gives_grid, unsupported};
use crate::{
    client::{
        ParentTask,
        http::{List, Text},
    },
    job::{Action, Failure, RemoteAction},
};

/// How many offers a refusal names.
const MAX_NAMED: usize = 20;

/// The longest name of an action.
const MAX_NAME: usize = 64;

/// An upstream's name for an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::client) enum Name {
    /// Of one picture of a grid, whose number stands behind it.
    Numbered(&'static str),
    /// Of all that the task made.
    Whole(&'static str),
}

impl Name {
    fn spell(self, index: u8) -> String {
        match self {
            Self::Numbered(stem) => format!("{stem}{index}"),
            Self::Whole(name) => name.to_owned(),
        }
    }
}

/// The first of `names` that the task offers or, where it does not tell, that Midjourney allows.
pub(in crate::client) fn pick(
    names: &[Name],
    action: Action,
    parent: &ParentTask,
    index: u8,
) -> Result<String, Failure> {
    if parent.actions.is_empty() {
        allowed(action, parent)?;
        // A name without a number would leave open which picture of a grid is meant.
        let grid = gives_grid(parent.action);
        let fits = |name: &&Name| matches!(name, Name::Numbered(_)) == grid || action == Action::Reroll;
        let name = names.iter().find(fits);
        return name
            .map(|name| name.spell(index))
            .ok_or_else(|| from_a_single(action));
    }
    let mut spelled = names.iter().map(|name| name.spell(index));
    let offered = |name: &String| parent.actions.iter().any(|offer| offer.id == *name);
    spelled.find(offered).ok_or_else(|| {
        unsupported(format!(
            "the parent task offers no {action} of picture {index}; it offers {}",
            in_words(parent)
        ))
    })
}

/// What a task offers, where it says so by plain names.
pub(in crate::client) fn offers(names: &List<Text>) -> Vec<RemoteAction> {
    let fits = |name: &&str| {
        (1..=MAX_NAME).contains(&name.len()) && !name.contains(|c: char| c.is_control() || c.is_whitespace())
    };
    let names = names.0.iter().map(Text::as_str).filter(fits);
    names.map(|name| RemoteAction::new(name, "")).collect()
}

/// Whether `offers` name one of four pictures: a `stem` with its number.
pub(in crate::client) fn is_grid(offers: &[RemoteAction], stems: &[&str]) -> bool {
    let numbered = |id: &str| {
        stems
            .iter()
            .any(|stem| matches!(id.strip_prefix(stem), Some("1" | "2" | "3" | "4")))
    };
    offers.iter().any(|offer| numbered(&offer.id))
}

fn in_words(parent: &ParentTask) -> String {
    let mut names: Vec<&str> = parent.actions.iter().map(|offer| offer.id.as_str()).collect();
    if names.len() > MAX_NAMED {
        names.truncate(MAX_NAMED);
        names.push("...");
    }
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{FailureKind, UpscaleMode, UpstreamId};

    const CUT: Action = Action::Upscale {
        mode: UpscaleMode::Cutout,
    };

    fn made(by: Action, prompt: &str) -> ParentTask {
        ParentTask::new(UpstreamId::new("1"), Vec::new(), prompt.to_owned()).with_action(by)
    }

    #[test]
    fn what_the_task_offers_goes_before_the_table() {
        let names = [Name::Numbered("variation"), Name::Whole("variation_strong")];
        let vary = Action::Variation { strength: None };
        let grid = made(Action::Imagine, "a fox");
        let offering = |ids: &[&str]| {
            let mut parent = grid.clone();
            parent.actions = ids.iter().map(|id| RemoteAction::new(*id, "")).collect();
            parent
        };
        let pick = |parent: &ParentTask| pick(&names, vary, parent, 2);
        assert_eq!(pick(&grid).unwrap(), "variation2");
        assert_eq!(pick(&made(CUT, "a fox")).unwrap(), "variation_strong");
        assert_eq!(
            pick(&offering(&["variation_strong"])).unwrap(),
            "variation_strong"
        );
        let failure = pick(&offering(&["variation1", "reroll"])).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Unsupported);
        assert!(failure.message.contains("variation1, reroll"), "{failure}");
        let many: Vec<String> = (0..100).map(|n| format!("x{n}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(pick(&offering(&many)).unwrap_err().message.len() < 300);
    }

    #[test]
    fn only_numbered_names_speak_of_a_grid() {
        let grid = |name: &str| {
            is_grid(
                &offers(&List(vec![Text(name.to_owned())])),
                &["upsample", "variation"],
            )
        };
        assert!(grid("upsample1") && grid("variation4"));
        for name in ["upsample", "upsample5", "upscale2", "high_variation", "", "a b"] {
            assert!(!grid(name), "{name}");
        }
    }
}
