//! The JSON of the wire.

use serde::{Deserialize, Serialize};

use crate::client::http::{List, Loose, Text};

/// The body of a submit, whose route says what it is.
#[derive(Serialize)]
pub(super) struct Submit<'a> {
    #[serde(flatten)]
    pub(super) body: Body<'a>,
    #[serde(flatten)]
    pub(super) common: Common<'a>,
}

/// What every submit may carry.
#[derive(Serialize)]
pub(super) struct Common<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) webhook_url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) webhook_secret: Option<&'a str>,
}

/// What the routes take.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Body<'a> {
    Imagine {
        prompt: String,
        /// 1:1 where it is missing.
        #[serde(skip_serializing_if = "Option::is_none")]
        aspect_ratio: Option<String>,
        /// `fast` or `turbo`.
        #[serde(skip_serializing_if = "Option::is_none")]
        process_mode: Option<&'static str>,
    },
    /// `upscale-1x` and `variations`.
    Indexed {
        parent_task_id: &'a str,
        /// `1` to `4` as text; a variation may also be `strong` or `subtle`.
        index: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        prompt: Option<&'a str>,
    },
    /// `upscale-alt` and `upscale-highres`.
    Upscale {
        parent_task_id: &'a str,
        /// `subtle`, `creative`; `2x`, `4x`.
        #[serde(rename = "type")]
        kind: &'static str,
    },
    Reroll {
        parent_task_id: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        prompt: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        aspect_ratio: Option<String>,
    },
    Inpaint {
        parent_task_id: &'a str,
        /// Base64 without a data URL's head.
        mask: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        prompt: Option<&'a str>,
    },
    Outpaint {
        parent_task_id: &'a str,
        /// 1, or up to 2.
        zoom_ratio: f32,
        #[serde(skip_serializing_if = "Option::is_none")]
        aspect_ratio: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        prompt: Option<&'a str>,
    },
    Pan {
        parent_task_id: &'a str,
        direction: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        prompt: Option<&'a str>,
    },
    Describe {
        image_url: &'a str,
    },
    Blend {
        image_urls: Vec<&'a str>,
        dimension: &'static str,
    },
}

/// `POST /fetch` and `POST /seed`.
#[derive(Serialize)]
pub(super) struct TaskId<'a> {
    pub(super) task_id: &'a str,
}

/// Any answer, and the body of a webhook. The fields of a task that still runs or has failed are not documented; those
/// from `status` on are what may be expected there.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Answer {
    pub(super) task_id: Text,
    pub(super) task_type: Text,
    pub(super) original_image_url: Text,
    pub(super) image_urls: List<Text>,
    pub(super) errors: List<Loose<Message>>,
    pub(super) seed: Text,
    pub(super) status: Text,
    pub(super) progress: Text,
    pub(super) percentage: Text,
    pub(super) message: Text,
    /// The picture of a task that makes one.
    pub(super) image_url: Text,
    /// The texts of a description.
    pub(super) content: List<Text>,
    pub(super) prompts: List<Text>,
    pub(super) descriptions: List<Text>,
}

impl Answer {
    /// The upstream's own words about a failure.
    pub(super) fn words(&self) -> String {
        let errors = self.errors.0.iter().map(|Loose(error)| error.msg.as_str());
        let words: Vec<&str> = std::iter::once(self.message.as_str())
            .chain(errors)
            .filter(|text| !text.is_empty())
            .collect();
        words.join("; ")
    }
}

/// One of the errors of a refusal.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Message {
    pub(super) msg: Text,
}
