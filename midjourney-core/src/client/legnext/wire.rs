//! The JSON of the wire, read leniently.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::client::http::{List, Loose, Text};

/// A task: the answer to a submit, to fetching it, and the body of a callback (`types/responses.py`). For an error the
/// flat fields are the documentation's shape, and `error` is the shape of the vendor's parser.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Task {
    pub(super) job_id: Text,
    /// With hyphens or underscores.
    #[serde(rename = "task_type")]
    verb: Text,
    pub(super) status: Text,
    pub(super) output: Loose<Output>,
    pub(super) error: Loose<Trouble>,
    message: Text,
    raw_message: Text,
}

impl Task {
    /// What it says about an error.
    pub(super) fn words(&self) -> String {
        let Loose(nested) = &self.error;
        let parts = [
            &nested.message,
            &nested.raw_message,
            &self.message,
            &self.raw_message,
        ];
        let mut words: Vec<&str> = parts.map(Text::as_str).to_vec();
        words.retain(|word| !word.is_empty());
        words.dedup();
        words.join(": ")
    }

    /// What it did, spelled with hyphens.
    pub(super) fn verb(&self) -> String {
        self.verb.as_str().to_ascii_lowercase().replace('_', "-")
    }
}

/// What a task gave (`types/shared.py`). Links may be `""`, in lists as well.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Output {
    pub(super) image_url: Text,
    pub(super) image_urls: List<Text>,
    /// "Video Operations (video-diffusion, extend-video, video-upscale): List of video URLs".
    pub(super) video_urls: List<Text>,
    pub(super) seed: Text,
    /// By verb, the pictures that it can be done with, counted from 0.
    pub(super) available_actions: Loose<BTreeMap<String, List<Text>>>,
    #[serde(rename = "promptEn")]
    pub(super) prompt_en: Text,
    pub(super) description: Text,
    #[serde(rename = "finalPrompt")]
    pub(super) final_prompt: Text,
    pub(super) prompts: List<Text>,
}

/// An error (`types/errors.py`).
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Trouble {
    message: Text,
    raw_message: Text,
}
