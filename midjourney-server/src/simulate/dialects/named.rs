//! What `TTAPI` and `AceDataCloud` share: one route for actions by their names, which a finished task lists.

use midjourney_core::{
    image::ImageKind,
    job::{Action, RemoteStatus, UpscaleMode},
};

use crate::simulate::backend::Seen;

const VARIATION: &str = "variation";
const REROLL: &str = "reroll";
const CUTOUT: Action = Action::Upscale {
    mode: UpscaleMode::Cutout,
};

/// How one of the two names things.
#[derive(Debug)]
pub(super) struct Names {
    /// Cutting a picture out of a grid; its number stands behind the name.
    pub(super) cutout: &'static str,
    /// What is done to a single picture.
    pub(super) single: &'static [(&'static str, Action)],
}

impl Names {
    /// What a name means, and of which picture; 0 for all.
    pub(super) fn read(&self, name: &str) -> Option<(Action, u8)> {
        if name == REROLL {
            return Some((Action::Reroll, 0));
        }
        if let Some((_, action)) = self.single.iter().find(|(known, _)| *known == name) {
            return Some((*action, 1));
        }
        let (action, number) = match name.strip_prefix(self.cutout) {
            Some(number) => (CUTOUT, number),
            None => (
                Action::Variation { strength: None },
                name.strip_prefix(VARIATION)?,
            ),
        };
        let index = number.parse().ok().filter(|index| (1..=4).contains(index))?;
        Some((action, index))
    }

    /// The name of what is done to a picture; `None` where it has none.
    pub(super) fn spell(&self, action: Action, index: u8) -> Option<String> {
        match action {
            CUTOUT => Some(format!("{}{index}", self.cutout)),
            Action::Variation { strength: None } => Some(format!("{VARIATION}{index}")),
            Action::Reroll => Some(REROLL.to_owned()),
            _ => {
                let mut known = self.single.iter();
                known
                    .find(|(_, other)| *other == action)
                    .map(|(name, _)| (*name).to_owned())
            }
        }
    }

    /// The names that a task lists; none before it is done.
    pub(super) fn offered(&self, task: &Seen) -> Vec<String> {
        if !matches!(task.status, RemoteStatus::Succeeded(_)) || task.order.action.gives_text() {
            return Vec::new();
        }
        if task.links(ImageKind::Grid).is_empty() {
            return self.single.iter().map(|(name, _)| (*name).to_owned()).collect();
        }
        let numbered = |stem: &'static str| (1..=4).map(move |index| format!("{stem}{index}"));
        let cutouts = numbered(self.cutout).chain([REROLL.to_owned()]);
        cutouts.chain(numbered(VARIATION)).collect()
    }
}

#[cfg(test)]
mod tests {
    use midjourney_core::job::Strength;

    use super::*;

    const NAMES: Names = Names {
        cutout: "upscale",
        single: &[
            (
                "upscale_2x",
                Action::Upscale {
                    mode: UpscaleMode::Double,
                },
            ),
            (
                "variation_strong",
                Action::Variation {
                    strength: Some(Strength::Strong),
                },
            ),
        ],
    };

    #[test]
    fn names_are_read_as_they_are_spelled() {
        for (name, index) in [
            ("upscale3", 3),
            ("variation4", 4),
            ("reroll", 0),
            ("upscale_2x", 1),
            ("variation_strong", 1),
        ] {
            let (action, read) = NAMES.read(name).unwrap();
            assert_eq!(read, index, "{name}");
            assert_eq!(NAMES.spell(action, index).as_deref(), Some(name));
        }
        for name in ["upscale5", "upscale0", "upscale", "variation_subtle", ""] {
            assert_eq!(NAMES.read(name), None, "{name}");
        }
        assert_eq!(NAMES.spell(Action::Imagine, 0), None);
    }
}
