//! What a caller wants drawn.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::action::Action;
use crate::id::{JobId, UploadId};

/// Who a job, its events and its images belong to. `local` until access control names others.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Owner(String);

impl Owner {
    /// An owner by name.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The single user of a machine without access control.
    pub fn local() -> Self {
        Self("local".to_owned())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The account a job runs on: an upstream plus credentials. Follow-ups stay on their parent's account.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AccountName(String);

impl AccountName {
    /// An account by the name the operator gave it.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The picture a follow-up starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ParentRef {
    /// The job that made the picture.
    pub job: JobId,
    /// Which of its pictures, 1 to 4, counted left to right, top to bottom; 0 means all of them, for actions that do not
    /// start from a single one.
    pub index: u8,
}

impl ParentRef {
    /// Picture `index` (from 1) of `job`.
    pub const fn new(job: JobId, index: u8) -> Self {
        Self { job, index }
    }
}

/// A picture that a request brings along.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum InputImage {
    /// It is on the web, for the upstream to fetch.
    Url(String),
    /// It was uploaded to us before.
    Upload(UploadId),
}

/// What a caller wants to get back with its job: kept as it came, and never sent to an upstream.
///
/// It is part of the request, so that it is on disk with the job and never changes.
#[derive(Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Echo {
    /// What the caller knows the job by, where that is not the job's own id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The caller's own text about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Where its changes are posted. May hold a token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notify: Option<String>,
    /// Where signed webhooks about it are sent. May hold a token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<String>,
}

impl Echo {
    /// This text to give back, and this address to post changes to.
    pub const fn new(state: Option<String>, notify: Option<String>) -> Self {
        Self {
            name: None,
            state,
            notify,
            webhook: None,
        }
    }

    /// The same for a job that the caller knows by `name`.
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Whether the caller wants nothing back.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Debug for Echo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Echo")
            .field("name", &self.name)
            .field("state", &self.state)
            .field("notify", &self.notify.as_ref().map(|_| ".."))
            .field("webhook", &self.webhook.as_ref().map(|_| ".."))
            .finish()
    }
}

/// One job's work in canonical form: equal requests are equal byte for byte when serialised.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct JobRequest {
    /// What is to be done.
    #[serde(flatten)]
    pub action: Action,
    /// The canonical prompt, permutations and repeats already expanded. Follow-ups without one of their own carry their
    /// parent's. Empty where the action takes none.
    pub prompt: String,
    /// The picture to start from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<ParentRef>,
    /// Pictures that come with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<InputImage>,
    /// Which part is to be drawn anew: white there, black elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mask: Option<InputImage>,
    /// What the caller wants to get back with the job.
    #[serde(default, skip_serializing_if = "Echo::is_empty")]
    pub echo: Echo,
}

impl JobRequest {
    /// Do `action`, as `prompt` says, which is canonical.
    pub fn new(action: Action, prompt: impl Into<String>) -> Self {
        Self {
            action,
            prompt: prompt.into(),
            parent: None,
            images: Vec::new(),
            mask: None,
            echo: Echo::default(),
        }
    }

    /// Draw from `prompt`, which is canonical.
    pub fn imagine(prompt: impl Into<String>) -> Self {
        Self::new(Action::Imagine, prompt)
    }

    /// Do `action` to a picture of an earlier job whose prompt was `prompt`.
    pub fn follow_up(action: Action, parent: ParentRef, prompt: impl Into<String>) -> Self {
        Self::new(action, prompt).with_parent(Some(parent))
    }

    /// The same request, starting from this picture.
    pub const fn with_parent(mut self, parent: Option<ParentRef>) -> Self {
        self.parent = parent;
        self
    }

    /// The same request with these pictures.
    pub fn with_images(mut self, images: Vec<InputImage>) -> Self {
        self.images = images;
        self
    }

    /// The same request within this mask.
    pub fn with_mask(mut self, mask: Option<InputImage>) -> Self {
        self.mask = mask;
        self
    }

    /// The same request of a caller that wants this back.
    pub fn with_echo(mut self, echo: Echo) -> Self {
        self.echo = echo;
        self
    }
}

/// SHA-256 over the canonical form of a whole request: all its jobs, in order. The account is no part of it: a pool may
/// choose another one when the request comes again.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestDigest([u8; 32]);

impl RequestDigest {
    /// The digest of `jobs`.
    pub fn of<'a>(jobs: impl IntoIterator<Item = &'a JobRequest>) -> Self {
        let mut hasher = Sha256::new();
        let mut part = |bytes: &[u8]| {
            hasher.update(u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
            hasher.update(bytes);
        };
        for job in jobs {
            // Serialising plain strings and enums into memory cannot fail.
            part(&serde_json::to_vec(job).unwrap_or_default());
        }
        Self(hasher.finalize().into())
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The digest behind 32 bytes read from a database.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for RequestDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(4).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The caller's own name for a request, so that repeating it returns the same jobs.
///
/// 1 to 255 visible ASCII characters. A key is bound to its owner and lives as long as its first job's row.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(String);

/// The text cannot be an idempotency key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an idempotency key is 1 to 255 visible ASCII characters; a UUID is a good one")]
pub struct InvalidIdempotencyKey;

impl IdempotencyKey {
    /// Checks and takes a key.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidIdempotencyKey> {
        let text = text.into();
        if (1..=255).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic()) {
            Ok(Self(text))
        } else {
            Err(InvalidIdempotencyKey)
        }
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
