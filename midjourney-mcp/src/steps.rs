//! What can be done with a finished job, as calls that can be made as they stand.

use std::collections::BTreeSet;

use midjourney_core::{
    gateway::JobView,
    id::JobId,
    job::{Action, Zoom},
};
use serde_json::{Value, json};

use crate::{
    result::{image_uri, next_call},
    text::clean,
};

/// The most texts that are offered as prompts.
const MAX_TEXTS: usize = 6;

/// The tool that does `action`, and in which mode.
const fn tool(action: Action) -> Option<(&'static str, Option<&'static str>)> {
    Some(match action {
        Action::Upscale { .. } => ("upscale", None),
        Action::Variation { .. } => ("vary", None),
        Action::Describe => ("describe", None),
        Action::Animate { .. } => ("animate", None),
        Action::Extend { .. } => ("animate", Some("extend")),
        Action::Reroll
        | Action::Remix { .. }
        | Action::Zoom { .. }
        | Action::Pan { .. }
        | Action::Inpaint
        | Action::Edit => ("edit", Some(action.name())),
        _ => return None,
    })
}

/// The call that does `action` with picture `index` of `job`; `None` where a text or another picture is needed for it.
fn call(job: JobId, action: Action, index: u8) -> Option<Value> {
    let (name, mode) = tool(action)?;
    let mut arguments = json!({"image": image_uri(job, index)});
    let mut put = |name: &str, value: Value| {
        if let Some(arguments) = arguments.as_object_mut() {
            arguments.insert(name.to_owned(), value);
        }
    };
    if let Some(mode) = mode {
        put("mode", json!(mode));
    }
    match action {
        Action::Remix { .. }
        | Action::Inpaint
        | Action::Edit
        | Action::Zoom {
            zoom: Zoom::Custom(_),
        } => return None,
        Action::Upscale { mode } => put("mode", json!(mode)),
        Action::Variation {
            strength: Some(strength),
        } => put("strength", json!(strength)),
        Action::Zoom { zoom } => put("zoom", json!(zoom)),
        Action::Pan { direction } => put("direction", json!(direction)),
        Action::Animate { motion } | Action::Extend { motion } => put("motion", json!(motion)),
        _ => {}
    }
    Some(next_call(name, &arguments))
}

/// What can be done next.
#[derive(Clone, Debug, Default)]
pub(crate) struct Steps {
    /// Calls that can be made as they stand.
    pub calls: Vec<Value>,
    /// All that is possible in a few words: `upscale, vary, edit (zoom, pan)`.
    pub words: String,
}

impl Steps {
    /// What `possible`, an action and a picture each, and the texts of a job come to. `is_prompt` tells whether a text can
    /// be drawn as it stands.
    pub(crate) fn of(view: &JobView, possible: &[(Action, u8)], is_prompt: impl Fn(&str) -> bool) -> Self {
        let drawable = view
            .texts
            .iter()
            .filter(|text| **text == clean(text) && is_prompt(text));
        let mut calls: Vec<_> = drawable
            .take(MAX_TEXTS)
            .map(|text| next_call("imagine", &json!({"prompt": text})))
            .collect();
        let mut words = words(possible);
        if !calls.is_empty() {
            words.push_str("imagine");
        }
        calls.extend(follow_ups(view.id, possible));
        Self { calls, words }
    }
}

/// The calls. Of several pictures each is offered once for a tool, in its first variety; the rest is left to be asked for.
fn follow_ups(job: JobId, possible: &[(Action, u8)]) -> Vec<Value> {
    let several = possible.iter().any(|(_, index)| *index > 1);
    let mut offered = BTreeSet::new();
    let mut calls = Vec::new();
    for (action, index) in possible {
        let usual = matches!(
            action,
            Action::Upscale { .. } | Action::Variation { .. } | Action::Reroll | Action::Extend { .. }
        );
        if !several || (usual && offered.insert((action.name(), *index))) {
            calls.extend(call(job, *action, *index));
        }
    }
    calls
}

fn words(possible: &[(Action, u8)]) -> String {
    let mut tools: Vec<(&str, Vec<&str>)> = Vec::new();
    for (name, mode) in possible.iter().filter_map(|(action, _)| tool(*action)) {
        let place = tools.iter().position(|(known, _)| *known == name);
        let place = place.unwrap_or_else(|| {
            tools.push((name, Vec::new()));
            tools.len() - 1
        });
        if let Some((_, modes)) = tools.get_mut(place) {
            let new = mode.filter(|mode| !modes.contains(mode));
            modes.extend(new);
        }
    }
    let words = tools.into_iter().map(|(name, modes)| match &modes[..] {
        [] => name.to_owned(),
        modes => format!("{name} ({})", modes.join(", ")),
    });
    words.collect::<Vec<_>>().join(", ")
}
