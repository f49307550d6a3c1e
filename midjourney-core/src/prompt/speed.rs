//! How fast a prompt is to be drawn.

use super::{CheckOptions, ExpandedPrompt, Place, RenderPlan, Speed, Table, check};

impl Speed {
    /// Every speed.
    pub const ALL: [Self; 3] = [Self::Fast, Self::Relax, Self::Turbo];

    /// The parameter's name, which is also the word users see.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fast => "fast",
            Self::Relax => "relax",
            Self::Turbo => "turbo",
        }
    }
}

fn read<T>(prompt: &str, look: impl FnOnce(&ExpandedPrompt) -> T) -> Option<T> {
    let report = check(prompt, Table::builtin(), &CheckOptions::default());
    report.expanded().next().map(look)
}

/// The speed that a canonical prompt asks for; `None` where it leaves that to the account, or is one that only an
/// operator's table understands.
pub fn speed(prompt: &str) -> Option<Speed> {
    read(prompt, |prompt| prompt.params().speed()).flatten()
}

/// A canonical prompt, asking for `speed`; `None` where only an operator's table understands it.
pub fn at_speed(prompt: &str, speed: Speed) -> Option<String> {
    let others = Speed::ALL.into_iter().fold(RenderPlan::text(), |plan, speed| {
        plan.with(speed.name(), Place::Omit)
    });
    let text = read(prompt, |prompt| prompt.render(&others).text)?;
    Some(format!("{text} --{}", speed.name()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_speed_of_a_prompt_is_read_and_replaced() {
        for (prompt, asked, relaxed) in [
            ("a fox --v 7", None, "a fox --v 7 --relax"),
            (
                "a fox --turbo --ar 3:2",
                Some(Speed::Turbo),
                "a fox --ar 3:2 --relax",
            ),
            ("a fox --relax", Some(Speed::Relax), "a fox --relax"),
        ] {
            assert_eq!(speed(prompt), asked, "{prompt}");
            assert_eq!(at_speed(prompt, Speed::Relax).as_deref(), Some(relaxed));
        }
        assert_eq!(at_speed("a fox --operators-own 3", Speed::Relax), None);
    }
}
