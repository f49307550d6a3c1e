//! Which model draws a prompt, and what is said beside the text rather than in it.

use crate::{
    client::verbs::{
        text, unsupported,
        version::{parameter, version},
    },
    job::{Failure, FailureKind},
    prompt::Prompt,
};

/// A line of models: pictures of one can be followed up by its own models only ("The source task must be a completed V8.1
/// series task", `v8-1-variation.md`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Series {
    /// `mj-v7`. Also for prompts that name no version: it has all the verbs, and the upstream's own examples use it.
    V7,
    /// `mj-v8.1`.
    V8,
}

impl Series {
    pub(super) const ALL: [Self; 2] = [Self::V7, Self::V8];

    /// The model that draws, whose name the others begin with.
    pub(super) const fn model(self) -> &'static str {
        match self {
            Self::V7 => "mj-v7",
            Self::V8 => "mj-v8.1",
        }
    }

    /// The series of the model `name`.
    pub(super) fn of_model(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|series| {
            let rest = name.strip_prefix(series.model());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        })
    }
}

/// A prompt as the upstream wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Written {
    /// The text without the parameters that it must not hold ("`--v`, `--niji`, `--fast`, `--draft`, `--turbo` in the prompt
    /// are refused").
    pub(super) text: String,
    /// The series that it names.
    pub(super) series: Option<Series>,
    /// `model_params.speed`.
    pub(super) speed: Option<&'static str>,
    /// `quality`, which V8.1 takes instead of `--hd` ("use top-level `quality`", `v8-1-image-generation.md`).
    pub(super) quality: Option<&'static str>,
}

/// The parameters that are not said in the text.
const BESIDE: [&str; 9] = [
    "v", "version", "niji", "fast", "turbo", "draft", "relax", "hd", "sd",
];

impl Written {
    /// `prompt`, taken apart.
    pub(super) fn of(prompt: &str) -> Result<Self, Failure> {
        let parsed = Prompt::parse(prompt);
        let has = |name: &str| parameter(&parsed, &[name]).is_some();
        let series = match version(&parsed) {
            _ if has("niji") => None,
            None if has("v") || has("version") => None,
            None => Some(None),
            Some((7, 0)) => Some(Some(Series::V7)),
            Some((8, 1)) => Some(Some(Series::V8)),
            Some(_) => None,
        };
        let Some(series) = series else {
            return Err(unsupported("EvoLink draws with versions 7 and 8.1 only"));
        };
        if has("relax") {
            return Err(unsupported(
                "EvoLink has no relax mode; it has fast, turbo and draft",
            ));
        }
        let speed = ["draft", "turbo", "fast"].into_iter().find(|name| has(name));
        let quality = match (has("hd"), has("sd")) {
            (true, _) => Some("hd"),
            (false, true) => Some("standard"),
            (false, false) => None,
        };
        if quality == Some("hd") && speed == Some("draft") {
            return Err(Failure::new(
                FailureKind::InvalidPrompt,
                "a draft is never HD; leave --hd or --draft out",
            ));
        }
        Ok(Self {
            text: without(&parsed, prompt),
            series,
            speed,
            quality,
        })
    }

    /// The text, where there is one that is not too long.
    pub(super) fn text(&self) -> Result<&str, Failure> {
        text(&self.text)
    }
}

/// `prompt` without what is said beside it.
fn without(parsed: &Prompt, prompt: &str) -> String {
    let mut kept = String::new();
    let mut at = 0;
    for param in parsed.params().filter(|param| BESIDE.contains(&param.name)) {
        kept.push_str(prompt.get(at..param.span.start).unwrap_or_default());
        at = param.span.end;
    }
    kept.push_str(prompt.get(at..).unwrap_or_default());
    kept.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts_are_taken_apart_row_by_row() {
        let seven = Some(Series::V7);
        for (prompt, text, series, speed, quality) in [
            ("a fox", "a fox", None, None, None),
            (
                "a fox --ar 3:2 --v 7 --s 250",
                "a fox --ar 3:2 --s 250",
                seven,
                None,
                None,
            ),
            ("a fox --fast --v 7", "a fox", seven, Some("fast"), None),
            ("a fox --turbo", "a fox", None, Some("turbo"), None),
            (
                "a fox --draft --v 8.1",
                "a fox",
                Some(Series::V8),
                Some("draft"),
                None,
            ),
            (
                "a fox --v 8.1 --hd --no a, b",
                "a fox --no a, b",
                Some(Series::V8),
                None,
                Some("hd"),
            ),
            (
                "a fox --v 8.1 --sd",
                "a fox",
                Some(Series::V8),
                None,
                Some("standard"),
            ),
            (
                "https://a.example/b.png a fox --seed 1",
                "https://a.example/b.png a fox --seed 1",
                None,
                None,
                None,
            ),
        ] {
            let written = Written::of(prompt).unwrap();
            assert_eq!(
                (
                    written.text.as_str(),
                    written.series,
                    written.speed,
                    written.quality
                ),
                (text, series, speed, quality),
                "{prompt}"
            );
        }
        for (prompt, words) in [
            ("a fox --v 6.1", "7 and 8.1"),
            ("a fox --v 8", "7 and 8.1"),
            ("a fox --v x", "7 and 8.1"),
            ("a fox --niji 7", "7 and 8.1"),
            ("a fox --relax", "turbo"),
            ("a fox --v 8.1 --hd --draft", "HD"),
        ] {
            let failure = Written::of(prompt).unwrap_err();
            assert!(failure.message.contains(words), "{prompt}: {failure}");
        }
    }

    #[test]
    fn models_tell_their_series() {
        for (name, series) in [
            ("mj-v7", Some(Series::V7)),
            ("mj-v7-upscale", Some(Series::V7)),
            ("mj-v8.1-remix", Some(Series::V8)),
            ("mj-v8.1", Some(Series::V8)),
            ("mj-v70", None),
            ("", None),
        ] {
            assert_eq!(Series::of_model(name), series, "{name}");
        }
    }
}
