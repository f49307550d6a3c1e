//! Which line of the family has which action.

use super::Dialect;
use crate::job::{Action, UpscaleMode};

/// Whether gateways of this line have `action` ("Submit routes" and "Modal flow" of the wire facts).
pub(super) const fn supports(dialect: Dialect, action: Action) -> bool {
    match action {
        // The first screen of buttons is also had by `submit/change`, which needs no buttons.
        Action::Imagine
        | Action::Upscale {
            mode: UpscaleMode::Cutout,
        }
        | Action::Variation { strength: None }
        | Action::Reroll
        | Action::Blend { .. }
        | Action::Describe => true,
        // The Java line has neither buttons nor windows.
        Action::Upscale { .. }
        | Action::Variation { .. }
        | Action::Zoom { .. }
        | Action::Pan { .. }
        | Action::Inpaint
        | Action::Shorten => !matches!(dialect, Dialect::Java),
        Action::Edit | Action::Animate { .. } | Action::Extend { .. } => {
            matches!(dialect, Dialect::TrueAi | Dialect::NewApi | Dialect::Auto)
        }
        // Elsewhere remixing is a mode of the account, which a request can neither see nor set.
        Action::Remix { .. } | Action::Retexture => matches!(dialect, Dialect::TrueAi),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIALECTS: [Dialect; 5] = [
        Dialect::Java,
        Dialect::Plus,
        Dialect::TrueAi,
        Dialect::NewApi,
        Dialect::Auto,
    ];

    #[test]
    fn the_table_is_that_of_the_facts() {
        for action in Action::ALL {
            let row = DIALECTS.map(|dialect| supports(dialect, action));
            let [java, plus, trueai, new_api, auto] = row;
            let expected = match action.to_string().as_str() {
                "imagine" | "cutout upscale" | "upscale cutout" | "variation" | "reroll" | "blend square"
                | "describe" => [true; 5],
                "edit" | "animate low" | "animate high" | "extend low" => [false, false, true, true, true],
                "remix subtle" | "remix strong" | "retexture" => [false, false, true, false, false],
                _ => [false, true, true, true, true],
            };
            assert_eq!([java, plus, trueai, new_api, auto], expected, "{action}");
        }
    }
}
