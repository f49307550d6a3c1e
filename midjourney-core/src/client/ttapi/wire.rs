//! The JSON of the wire.

use serde::{Deserialize, Serialize};

use crate::client::http::{List, Loose, Text};

/// What drawing and actions may be started with.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Common<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) hook_url: Option<&'a str>,
    /// Echoed in the task and in callbacks.
    #[serde(rename = "notify_id")]
    pub(super) notify_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) timeout: Option<u16>,
    /// Asks for the four pictures beside the grid.
    pub(super) get_u_images: bool,
}

/// `POST /imagine`.
#[derive(Serialize)]
pub(super) struct Imagine<'a> {
    pub(super) prompt: String,
    /// `relax`, `fast` or `turbo`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mode: Option<&'static str>,
    /// True by default there; prompts are drawn here as they are written.
    pub(super) translation: bool,
    #[serde(flatten)]
    pub(super) common: Common<'a>,
}

/// `POST /action`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Act<'a> {
    pub(super) job_id: &'a str,
    pub(super) action: String,
    #[serde(flatten)]
    pub(super) common: Common<'a>,
}

/// `POST /inpaint`. The documentation names no other fields, here and in the next two.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Inpaint<'a> {
    pub(super) job_id: &'a str,
    /// Base64, "no data-URL prefix".
    pub(super) mask: String,
    pub(super) prompt: String,
}

/// `POST /blend`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Blend {
    pub(super) img_base64_array: Vec<String>,
    pub(super) dimensions: &'static str,
}

/// `POST /describe`.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Describe<'a> {
    Url(&'a str),
    Base64(String),
}

/// `POST /fetch` and `POST /seed`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct JobId<'a> {
    pub(super) job_id: &'a str,
}

/// Any answer: to a submit, to fetching, to asking for a seed; the body of a callback too.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Task {
    pub(super) status: Text,
    pub(super) job_id: Text,
    pub(super) message: Text,
    pub(super) data: Loose<Data>,
}

impl Task {
    /// The task's id, which stands in either of two places.
    pub(super) fn id(&self) -> &str {
        match self.job_id.as_str() {
            "" => self.data.0.job_id.as_str(),
            id => id,
        }
    }
}

/// What an answer is about.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Data {
    pub(super) job_id: Text,
    /// What the task does: one name, whatever the field is called.
    pub(super) actions: Text,
    pub(super) progress: Text,
    pub(super) prompt: Text,
    pub(super) discord_image: Text,
    pub(super) cdn_image: Text,
    pub(super) components: List<Text>,
    pub(super) images: List<Text>,
    pub(super) seed: Text,
    #[serde(rename = "notify_id")]
    pub(super) notify_id: Text,
}
