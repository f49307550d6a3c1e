//! The JSON of the wire.

use serde::{Deserialize, Serialize};

use crate::client::http::{List, Loose, Text};

/// What every task may be started with.
#[derive(Clone, Copy, Serialize)]
pub(super) struct Common<'a> {
    /// `fast`, `relax` or `turbo`; the upstream's default is `fast`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mode: Option<&'static str>,
    /// Asks for the four pictures beside the grid; videos come without being asked for.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) split_images: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) callback_url: Option<&'a str>,
    /// An answer at once, as a callback address gives as well.
    #[serde(rename = "async", skip_serializing_if = "std::ops::Not::not")]
    pub(super) wait_not: bool,
}

/// `POST /midjourney/imagine`, for drawing and for what is done to a grid or a picture.
#[derive(Serialize)]
pub(super) struct Draw<'a> {
    pub(super) action: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) prompt: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) image_id: Option<&'a str>,
    /// Base64; white is drawn anew.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mask: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) hd: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) quality: Option<String>,
    /// Says that the prompt has one; for the price only, as is the next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) style_reference: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) moodboard: Option<bool>,
    #[serde(flatten)]
    pub(super) common: Common<'a>,
}

impl<'a> Draw<'a> {
    pub(super) const fn new(action: String, common: Common<'a>) -> Self {
        Self {
            action,
            prompt: None,
            image_id: None,
            mask: None,
            version: None,
            hd: None,
            quality: None,
            style_reference: None,
            moodboard: None,
            common,
        }
    }
}

/// `POST /midjourney/edits`.
#[derive(Serialize)]
pub(super) struct Edit<'a> {
    pub(super) action: &'static str,
    pub(super) image_url: String,
    pub(super) prompt: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mask: Option<String>,
    #[serde(flatten)]
    pub(super) common: Common<'a>,
}

/// `POST /midjourney/videos`. `resolution`, `loop` and `end_image_url` are left to the upstream.
#[derive(Serialize)]
pub(super) struct Film<'a> {
    pub(super) action: &'static str,
    pub(super) prompt: String,
    /// What the video begins with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) image_url: Option<String>,
    /// The videos to go on with, and which of them, counted from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) video_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) video_index: Option<u8>,
    #[serde(flatten)]
    pub(super) common: Common<'a>,
}

/// `POST /midjourney/describe`.
#[derive(Serialize)]
pub(super) struct Describe {
    pub(super) image_url: String,
}

/// `POST /midjourney/shorten`.
#[derive(Serialize)]
pub(super) struct Shorten<'a> {
    pub(super) prompt: &'a str,
}

/// `POST /midjourney/seed`.
#[derive(Serialize)]
pub(super) struct ImageId<'a> {
    pub(super) image_id: &'a str,
}

/// `POST /midjourney/tasks`.
#[derive(Serialize)]
pub(super) struct Retrieve<'a> {
    pub(super) action: &'static str,
    pub(super) id: &'a str,
}

/// What a task gave: the answer to a submit, the body of a callback, `response` of a record.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Answer {
    pub(super) success: Option<Flag>,
    pub(super) task_id: Text,
    pub(super) image_id: Text,
    /// A copy of half the size.
    pub(super) image_url: Text,
    pub(super) raw_image_url: Text,
    pub(super) sub_image_urls: List<Text>,
    /// Of videos: "`{success, task_id, video_id, video_urls[4], image_url, image_width, image_height, progress}`", where
    /// `image_url` is "the cover image" (`docs/midjourney_videos_api_integration_guide.md`).
    pub(super) video_id: Text,
    pub(super) video_urls: List<Text>,
    pub(super) progress: Text,
    pub(super) actions: List<Text>,
    pub(super) seed: Text,
    /// Of describing.
    pub(super) descriptions: List<Text>,
    /// Of shortening.
    pub(super) prompts: List<Text>,
    pub(super) error: Loose<Trouble>,
    /// Stands where `error` is missing (source: the MCP server's `core/client.py`).
    pub(super) detail: Text,
}

impl Answer {
    /// Whether it is of videos, whose picture is none of the results.
    pub(super) fn of_videos(&self) -> bool {
        !self.video_id.as_str().is_empty() || !self.video_urls.0.is_empty()
    }

    pub(super) fn succeeded(&self) -> Option<bool> {
        match &self.success {
            Some(Flag::Bool(success)) => Some(*success),
            Some(Flag::Other(text)) => text.as_str().parse().ok(),
            None => None,
        }
    }

    /// The upstream's own words about a failure.
    pub(super) fn words(&self) -> &str {
        match self.error.0.message.as_str() {
            "" => self.detail.as_str(),
            message => message,
        }
    }
}

/// True, false, or something else.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Flag {
    Bool(bool),
    Other(Text),
}

/// Why something failed.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Trouble {
    pub(super) code: Text,
    pub(super) message: Text,
}

/// A task, as asking for it gives it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Record {
    pub(super) id: Text,
    pub(super) state: Text,
    pub(super) image_id: Text,
    pub(super) request: Loose<Asked>,
    pub(super) response: Loose<Answer>,
}

/// What a task was started with.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    pub(super) action: Text,
}
