//! What an upstream says about a task, in one form for all upstreams.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::failure::Failure;
use crate::{clock::Entropy, image::ImageKind};

/// An upstream's own name for a task. Opaque; meaningful only together with the job's account.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UpstreamId(String);

impl UpstreamId {
    /// An id as the upstream wrote it.
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UpstreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Our own mark on one submit, sent along where the upstream has a field that it echoes, so that a lost answer can be
/// looked for. New for every submit that is known not to repeat an earlier one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Nonce(String);

impl Nonce {
    /// A fresh mark of 128 random bits.
    pub fn new(entropy: &dyn Entropy) -> Self {
        let mut bytes = [0; 16];
        entropy.fill(&mut bytes);
        Self(format!("{:032x}", u128::from_be_bytes(bytes)))
    }

    /// The mark that was written like this; `None` where it has not the form of one.
    pub fn parse(text: &str) -> Option<Self> {
        let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        (text.len() == 32 && text.bytes().all(digit)).then(|| Self(text.to_owned()))
    }

    /// 32 hex digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One picture at the upstream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RemoteImage {
    /// Where its bytes are. Untrusted; links die.
    pub url: String,
    /// What it shows.
    pub kind: ImageKind,
    /// 1 to 4 for single pictures, 0 for the grid.
    pub index: u8,
}

impl RemoteImage {
    /// The picture `index` of a task, at `url`.
    pub fn new(url: impl Into<String>, kind: ImageKind, index: u8) -> Self {
        Self {
            url: url.into(),
            kind,
            index,
        }
    }
}

/// Something that the upstream offers to do with a finished task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RemoteAction {
    /// The upstream's name for it, such as a button's custom id.
    pub id: String,
    /// Its label, where there is one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub label: String,
}

impl RemoteAction {
    /// The action that the upstream calls `id` and shows as `label`.
    pub fn new(id: impl Into<String>, label: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            label: label.into(),
        }
    }
}

/// What a finished task gave.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RemoteResult {
    /// Its pictures.
    pub images: Vec<RemoteImage>,
    /// What can be done with them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub actions: Vec<RemoteAction>,
    /// The seed, where the upstream tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u32>,
    /// Texts, where it gave texts: suggested prompts, one each. Untrusted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub texts: Vec<String>,
    /// What follow-ups name it by, where that is not the task's own id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handle: Option<String>,
}

impl RemoteResult {
    /// A result with these pictures.
    pub fn new(images: Vec<RemoteImage>) -> Self {
        Self {
            images,
            ..Self::default()
        }
    }

    /// The same result, offering these actions.
    pub fn with_actions(mut self, actions: Vec<RemoteAction>) -> Self {
        self.actions = actions;
        self
    }

    /// Whether there is nothing in it yet: some upstreams say "done" before they have the links.
    pub fn is_empty(&self) -> bool {
        self.images.is_empty() && self.texts.is_empty()
    }

    /// The same result with these texts.
    pub fn with_texts(mut self, texts: Vec<String>) -> Self {
        self.texts = texts;
        self
    }

    /// The same result, which follow-ups name so.
    pub fn with_handle(mut self, handle: Option<String>) -> Self {
        self.handle = handle;
        self
    }

    /// The same result, drawn from this seed.
    pub const fn with_seed(mut self, seed: Option<u32>) -> Self {
        self.seed = seed;
        self
    }
}

/// What an upstream says about a task.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RemoteStatus {
    /// Accepted, not started.
    Waiting,
    /// Being drawn; 0 to 100 where it tells.
    Running {
        /// Percent done.
        progress: Option<u8>,
    },
    /// A window is open at the upstream and waits for a choice, a text or a mask.
    AwaitingInput,
    /// Done.
    Succeeded(RemoteResult),
    /// Ended without a picture.
    Failed(Failure),
    /// Cancelled at the upstream.
    Cancelled,
    /// The upstream does not know the task.
    Missing,
}

/// What an upstream can do; decides what recovery may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts about an upstream, not a state"
)]
pub struct Capabilities {
    /// Submitting twice with the same nonce spends once. True of no paid upstream known today.
    pub idempotent_submit: bool,
    /// A submit can be looked up by its nonce afterwards.
    pub reconcile: bool,
    /// A running task can be cancelled.
    pub cancel: bool,
    /// The upstream calls back when a task changes.
    pub callbacks: bool,
    /// The pictures are made up, nothing is spent. Shown wherever the pictures are.
    pub simulated: bool,
    /// Some actions open a window first, which [`confirm`](crate::client::MidjourneyClient::confirm) answers.
    pub windows: bool,
    /// The seed of a finished task can be asked for.
    pub seed: bool,
    /// How pictures that a request brings along are handed over.
    pub pictures: PictureForm,
    /// How a mask is handed over.
    pub mask: PictureForm,
}

/// How an upstream takes pictures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "whoever prepares pictures must face each form"
)]
pub enum PictureForm {
    /// Each as a link or as bytes, whichever there is.
    #[default]
    Either,
    /// As links only, which it fetches itself.
    Link,
    /// As bytes only.
    Bytes,
}
