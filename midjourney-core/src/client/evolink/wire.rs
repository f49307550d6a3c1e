//! The JSON of the wire, read leniently.

use serde::Deserialize;

use crate::client::http::{List, Loose, Text};

/// A task: the answer to a submit, to asking for it, and the body of a callback ("same format as the task query", the page
/// of `mj-v7-variation`).
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Task {
    pub(super) id: Text,
    pub(super) model: Text,
    pub(super) status: Text,
    pub(super) progress: Text,
    /// Links (`response-schema.md`).
    pub(super) results: List<Text>,
    pub(super) error: Loose<Trouble>,
    pub(super) message: Text,
}

impl Task {
    /// What it says about an error.
    pub(super) fn words(&self) -> String {
        let Loose(error) = &self.error;
        let parts = [error.code.as_str(), error.message.as_str(), self.message.as_str()];
        let words: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        words.join(": ")
    }
}

/// `{"code":"invalid_request","message":"..."}`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Trouble {
    pub(super) code: Text,
    pub(super) message: Text,
}
