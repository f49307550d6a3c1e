//! What prompts say about versions.

use crate::prompt::Prompt;

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
