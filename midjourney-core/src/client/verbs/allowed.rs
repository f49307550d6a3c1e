//! What versions of Midjourney allow: the fallback for tasks that do not tell what can be done with them.

use super::{
    lacking, unsupported,
    version::{Version, parameter, version},
};
use crate::{
    job::{Action, Failure, Need, UpscaleMode},
    prompt::Prompt,
};

/// Whether pictures of `version` allow `action` ("Actions after generation" and "Support chart" of the wire facts).
const fn allows(version: Version, hd: bool, action: Action) -> bool {
    let (whole, _) = version;
    match action {
        Action::Upscale { mode } => match mode {
            UpscaleMode::Subtle | UpscaleMode::Creative => whole >= 6 && !(whole >= 8 && hd),
            UpscaleMode::Double | UpscaleMode::Quadruple => whole == 5,
            UpscaleMode::Cutout => true,
        },
        Action::Zoom { .. } | Action::Pan { .. } | Action::Inpaint => whole >= 5 && whole < 8,
        Action::Remix { .. } => whole >= 6,
        _ => true,
    }
}

/// Refuses what pictures drawn from `prompt` do not allow, at an upstream that otherwise `has` it.
pub(super) fn check(
    prompt: &str,
    action: Action,
    has: impl Fn(Version, Action) -> bool,
) -> Result<(), Failure> {
    let prompt = Prompt::parse(prompt);
    let Some(version) = version(&prompt) else {
        return Ok(());
    };
    let hd = parameter(&prompt, &["hd"]).is_some();
    let can = |action| allows(version, hd, action) && has(version, action);
    if can(action) {
        return Ok(());
    }
    let (whole, part) = version;
    let failure = lacking(action, |other| other.needs().parent != Need::No && can(other));
    Err(unsupported(format!(
        "pictures of version {whole}.{part} do not allow this: {}",
        failure.message
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{Direction, Strength, Zoom};

    #[test]
    fn versions_allow_row_by_row() {
        let upscale = |mode| Action::Upscale { mode };
        let pan = Action::Pan {
            direction: Direction::Left,
        };
        let zoom = Action::Zoom { zoom: Zoom::Double };
        let remix = Action::Remix {
            strength: Strength::Strong,
        };
        for (prompt, action, allowed) in [
            ("a fox", pan, true),
            ("a fox --v 7", pan, true),
            ("a fox --v 6.1", zoom, true),
            ("a fox --niji 7", Action::Inpaint, true),
            ("a fox --v 8.1", pan, false),
            ("a fox --v 8.2", zoom, false),
            ("a fox --v 8.1", Action::Inpaint, false),
            ("a fox --v 4", pan, false),
            ("a fox --v 8.1", upscale(UpscaleMode::Subtle), true),
            ("a fox --v 8.1 --hd", upscale(UpscaleMode::Subtle), false),
            ("a fox --v 5.2", upscale(UpscaleMode::Creative), false),
            ("a fox --v 5.2", upscale(UpscaleMode::Double), true),
            ("a fox --v 7", upscale(UpscaleMode::Quadruple), false),
            ("a fox --v 5.2", remix, false),
            ("a fox --v 8.1", remix, true),
            ("a fox --v 8.1", Action::Reroll, true),
            // Versions that are not told forbid nothing.
            ("a fox --v new", pan, true),
            ("a fox --v", pan, true),
        ] {
            let checked = check(prompt, action, |_, _| true);
            assert_eq!(checked.is_ok(), allowed, "{prompt}: {action}");
        }
    }
}
