//! Names of tasks: jobs, and windows that wait for a text or a mask.
//!
//! A window is nothing but its id, which holds all there is to know: the button, the task it belongs to, what the caller
//! wants back, and the id of the job to be. So no window is lost at a restart, none has to be cleaned up, and the task
//! goes on under the same id once it is confirmed.

use std::str::FromStr;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use midjourney_core::{
    clock::Timestamp,
    id::JobId,
    job::{Echo, IdempotencyKey, Job},
};
use serde::{Deserialize, Serialize};

/// What every id of a window starts with.
const PREFIX: &str = "win_";

/// The longest id of a window that is read: the longest `state` and `notifyHook`, in base64, and some more.
const MAX_ID: usize = 8_192;

/// What a task id names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TaskId {
    /// A job.
    Job(JobId),
    /// A window, or the job that it became.
    Window(Box<Window>),
}

/// A button that was pressed and waits for what it needs. The names are short because the id holds them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Window {
    /// The job that it becomes.
    #[serde(rename = "j")]
    pub(super) job: JobId,
    /// The finished job that the button is of.
    #[serde(rename = "p")]
    pub(super) parent: JobId,
    /// The button.
    #[serde(rename = "b")]
    pub(super) button: String,
    /// What the caller wants back.
    #[serde(rename = "e", default, skip_serializing_if = "Echo::is_empty")]
    pub(super) echo: Echo,
}

/// The text is no id of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no id of a task")]
pub(super) struct NoTaskId;

impl TaskId {
    /// The job, which may not exist yet.
    pub(super) const fn job(&self) -> JobId {
        match self {
            Self::Job(id) => *id,
            Self::Window(window) => window.job,
        }
    }
}

impl FromStr for TaskId {
    type Err = NoTaskId;

    fn from_str(text: &str) -> Result<Self, NoTaskId> {
        match text.strip_prefix(PREFIX) {
            None => text.parse().map(Self::Job).map_err(|_| NoTaskId),
            Some(packed) => unpack(packed)
                .map(|window| Self::Window(Box::new(window)))
                .ok_or(NoTaskId),
        }
    }
}

fn unpack(packed: &str) -> Option<Window> {
    let packed = Some(packed).filter(|packed| packed.len() <= MAX_ID)?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(packed).ok()?).ok()
}

impl Window {
    /// The window's id: letters, digits, `-` and `_`.
    pub(super) fn id(&self) -> String {
        // Plain texts into memory: this cannot fail.
        let json = serde_json::to_vec(self).unwrap_or_default();
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(json))
    }

    /// Confirming a window twice gives one job.
    pub(super) fn key(&self) -> Option<IdempotencyKey> {
        IdempotencyKey::new(format!("mj-window-{}", self.job)).ok()
    }

    /// When it was opened: the id of its job tells (`UUIDv7`).
    pub(super) fn opened(&self) -> Timestamp {
        let millis = self.job.as_bytes().iter().take(6);
        Timestamp::from_millis(millis.fold(0, |sum, byte| sum << 8 | i64::from(*byte)))
    }
}

/// The id that the caller knows a job by.
pub(super) fn name(job: &Job) -> String {
    job.request
        .echo
        .name
        .clone()
        .unwrap_or_else(|| job.id.to_string())
}

#[cfg(test)]
mod tests {
    use midjourney_core::clock::OsEntropy;

    use super::*;

    #[test]
    fn a_window_is_its_id() {
        let now = Timestamp::from_millis(1_795_341_600_250);
        let window = Window {
            job: JobId::new(now, &OsEntropy),
            parent: JobId::new(now, &OsEntropy),
            button: "MJ::CustomZoom::1::u".to_owned(),
            echo: Echo::new(
                Some("ü".repeat(255)),
                Some(format!("https://a.example/{}", "x".repeat(1_980))),
            ),
        };
        assert_eq!(window.opened(), now);
        let id = window.id();
        assert!(
            id.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        );
        assert_eq!(id.parse(), Ok(TaskId::Window(Box::new(window))));
        for text in ["", "win_", "win_e30", "win_???", "job_1", "1700000000000123"] {
            assert_eq!(text.parse::<TaskId>(), Err(NoTaskId), "{text}");
        }
    }
}
