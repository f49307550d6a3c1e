//! The account of what was paid: every task that was started, and how many submits were not.

use midjourney_core::clock::Timestamp;
use serde::Serialize;

/// One submit that started a task, and so is paid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Paid {
    /// The task's id.
    pub task: String,
    /// The mark that came with the submit; empty where the wire has no place for one.
    pub mark: String,
    /// What was done, in words.
    pub action: String,
    /// The prompt that came with the submit; of a follow-up without one, its parent's.
    pub prompt: String,
    /// The task that it follows up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// Which of its pictures, from 1; 0 for all of them and where it follows up none.
    #[serde(skip_serializing_if = "is_all")]
    pub picture: u8,
    /// How often the task was asked about since.
    pub asked: u64,
    /// When it was started.
    pub at: Timestamp,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields so")]
const fn is_all(picture: &u8) -> bool {
    *picture == 0
}

/// What was paid, and what was not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Account {
    /// How many requests came that were to start a task.
    pub submits: u64,
    /// How many of them were turned away.
    pub refused: u64,
    /// How many of them opened a window, which costs nothing until it is answered.
    pub windows: u64,
    /// How many of them were taken and had their answer lost or spoiled.
    pub lost: u64,
    /// Every task that was started, in order.
    pub paid: Vec<Paid>,
}
