//! The JSON of the wire, read leniently: the lines of this family disagree about types.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::client::http::{List, Loose, Text};

/// `POST /mj/submit/imagine`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Imagine<'a> {
    pub(super) prompt: Cow<'a, str>,
    /// Data URLs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) base64_array: Vec<String>,
    #[serde(flatten)]
    pub(super) common: Common<'a>,
}

/// `POST /mj/submit/blend`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Blend<'a> {
    /// Data URLs, two to five.
    pub(super) base64_array: Vec<String>,
    pub(super) dimensions: &'static str,
    #[serde(flatten)]
    pub(super) common: Common<'a>,
}

/// `POST /mj/submit/describe`: one of the two.
#[derive(Serialize)]
pub(super) struct Describe<'a> {
    /// A data URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) base64: Option<String>,
    /// For trueai alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) link: Option<&'a str>,
    #[serde(flatten)]
    pub(super) common: Common<'a>,
}

/// `POST /mj/submit/shorten`.
#[derive(Serialize)]
pub(super) struct Shorten<'a> {
    pub(super) prompt: &'a str,
    #[serde(flatten)]
    pub(super) common: Common<'a>,
}

/// `POST /mj/submit/edits` and `POST /mj/submit/retexture`.
#[derive(Serialize)]
pub(super) struct Redraw<'a> {
    pub(super) prompt: &'a str,
    /// A link or a data URL.
    pub(super) image: Cow<'a, str>,
    #[serde(flatten)]
    pub(super) common: Common<'a>,
}

/// `POST /mj/submit/video`. What is left out is as the gateway has it by default.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Video<'a> {
    pub(super) prompt: &'a str,
    pub(super) motion: &'static str,
    /// A data URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) image: Option<String>,
    /// `extend`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) action: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) task_id: Option<&'a str>,
    /// From 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) index: Option<u8>,
    #[serde(flatten)]
    pub(super) common: Common<'a>,
}

/// `POST /mj/submit/action`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Press<'a> {
    pub(super) task_id: &'a str,
    pub(super) custom_id: &'a str,
    /// For trueai alone.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) enable_remix: bool,
    #[serde(flatten)]
    pub(super) common: Common<'a>,
}

/// `POST /mj/submit/change`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Change<'a> {
    pub(super) task_id: &'a str,
    pub(super) action: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) index: Option<u8>,
    #[serde(flatten)]
    pub(super) common: Common<'a>,
}

/// `POST /mj/submit/modal`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Modal<'a> {
    pub(super) task_id: &'a str,
    pub(super) prompt: Cow<'a, str>,
    /// A data URL: white where something new is drawn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mask_base64: Option<String>,
}

/// What every submit may carry.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Common<'a> {
    /// Echoed in the task and in callbacks.
    pub(super) state: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) notify_hook: Option<&'a str>,
}

/// The answer to a submit. `message` belongs to the shape of trueai's middleware.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Submitted {
    pub(super) code: Text,
    pub(super) description: Text,
    pub(super) message: Text,
    pub(super) result: Text,
    pub(super) properties: Loose<SubmitProperties>,
}

/// A refusal of a reseller's own.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Refused {
    pub(super) code: Text,
    #[serde(rename = "type")]
    pub(super) kind: Text,
}

/// What comes along with a submit's answer.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct SubmitProperties {
    pub(super) banned_word: Text,
}

/// A task, as fetching it and callbacks give it. `code` and `description` are there when it is not a task at all.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Task {
    pub(super) id: Text,
    pub(super) action: Text,
    pub(super) status: Text,
    pub(super) progress: Text,
    pub(super) image_url: Text,
    pub(super) image_urls: List<Loose<Link>>,
    pub(super) video_url: Text,
    pub(super) video_urls: List<Loose<Link>>,
    pub(super) fail_reason: Text,
    pub(super) state: Text,
    pub(super) seed: Text,
    pub(super) buttons: List<Loose<Button>>,
    pub(super) properties: Loose<TaskProperties>,
    pub(super) code: Text,
    pub(super) description: Text,
}

/// What else a task carries.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct TaskProperties {
    /// The result of tasks that give texts.
    pub(super) final_prompt: Text,
    /// The same in Chinese.
    pub(super) final_zh_prompt: Text,
}

/// One of trueai's picture links.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Link {
    pub(super) url: Text,
}

/// A button under a task.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Button {
    pub(super) custom_id: Text,
    pub(super) label: Text,
}
