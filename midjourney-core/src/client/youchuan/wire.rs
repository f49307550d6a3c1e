//! The JSON of the wire, read leniently: sources disagree about types.

use serde::Deserialize;

use crate::client::http::{List, Loose, Text};

/// A job: the answer to a submit, to asking for it, and the body of a callback. `message` and `reason` are there when it is
/// no job at all: `{"code":400,"message":"...","reason":"Invalid_Argument"}`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Job {
    pub(super) id: Text,
    /// A number for the documentation, a text for trueai's model.
    pub(super) status: Text,
    /// `JobStatusSuccess` or `Success`, and so on.
    pub(super) comment: Text,
    pub(super) urls: List<Text>,
    /// Of trueai's richer shape, with the pictures' own numbers.
    #[serde(rename = "imgUrls")]
    pub(super) img_urls: List<Loose<Picture>>,
    /// Of the richer shape, for a video: where it is ("`videoUrl`", `YouChuanModels.cs`).
    #[serde(rename = "videoUrl")]
    pub(super) video_url: Text,
    pub(super) message: Text,
    pub(super) reason: Text,
}

/// One picture of the richer shape.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Picture {
    pub(super) url: Text,
    /// Counted from 0.
    pub(super) no: Text,
}
