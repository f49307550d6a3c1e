//! What versions of Midjourney allow: the fallback for tasks that do not tell what can be done with them.

use super::{lacking, unsupported};
use crate::{
    job::{Action, Failure, UpscaleMode},
    prompt::Prompt,
};

/// A version, niji's counted like the others.
pub(in crate::client) type Version = (u8, u8);

/// The value of a parameter of `prompt`, under any of its `names`; empty for flags.
pub(in crate::client) fn parameter(prompt: &Prompt, names: &[&str]) -> Option<String> {
    let found = prompt.params().find(|param| names.contains(&param.name));
    found.map(|param| param.value.to_owned())
}

/// The version that `prompt` names; `None` where it leaves it to the account.
pub(in crate::client) fn version(prompt: &Prompt) -> Option<Version> {
    let named = parameter(prompt, &["v", "version", "niji"])?;
    let (whole, part) = named.split_once('.').unwrap_or((&named, "0"));
    Some((whole.parse().ok()?, part.parse().ok()?))
}

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
pub(in crate::client) fn check(
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
    let failure = lacking(action, |other| {
        other.needs().parent != crate::job::Need::No && can(other)
    });
    Err(unsupported(format!(
        "pictures of version {whole}.{part} do not allow this: {}",
        failure.message
    )))
}
