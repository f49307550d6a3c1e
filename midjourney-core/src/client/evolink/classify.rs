//! What answers mean. Everything here is pure.

use super::{actions, wire::Task};
use crate::{
    client::{
        ClientError,
        http::{Loose, Reply},
        verbs::{self, judge, singles},
    },
    job::{Failure, FailureKind, RemoteResult, RemoteStatus, UpstreamId},
};

/// How many pictures a task gives at most ("V8.1 draft gives 24 sketches in one result").
const MAX_PICTURES: usize = 24;

/// What the answer to a submit means (`docs/errors.md`).
pub(super) fn submitted(reply: &Reply<'_>, follow_up: bool) -> Result<UpstreamId, ClientError> {
    let parsed = serde_json::from_slice::<Loose<Task>>(reply.body).ok();
    let task = parsed.map(|Loose(task)| task).unwrap_or_default();
    let words = task.words();
    verbs::submitted(reply, &task.id, &words, follow_up, || {
        let known = matches!(reply.status, 400 | 403 | 422)
            .then(|| judge(&words))
            .flatten();
        known.map(|(_, kind, message)| {
            ClientError::refused(Failure::new(kind, message)).with_source(reply.said())
        })
    })
}

/// What the answer to fetching the task `id` means.
pub(super) fn fetched(reply: &Reply<'_>, id: &UpstreamId) -> Result<RemoteStatus, ClientError> {
    let task = verbs::fetched(reply, id, |task: &Task| &task.id)?;
    Ok(task.map_or(RemoteStatus::Missing, |task| status_of(&task, reply.secrets)))
}

/// What a task says about itself ("`status`: pending, processing, completed, failed"; a callback also comes for `cancelled`,
/// says the page of `mj-v7-variation`).
pub(super) fn status_of(task: &Task, secrets: &[&str]) -> RemoteStatus {
    let progress = task
        .progress
        .as_str()
        .parse()
        .ok()
        .filter(|percent| *percent <= 100);
    let running = RemoteStatus::Running { progress };
    match task.status.as_str().to_ascii_lowercase().as_str() {
        "pending" => RemoteStatus::Waiting,
        "cancelled" | "canceled" => RemoteStatus::Cancelled,
        "failed" => {
            let invalid = (
                "invalid_request",
                FailureKind::InvalidPrompt,
                "the upstream does not accept the request",
            );
            let known = (task.error.0.code.as_str() == invalid.0).then_some(invalid);
            RemoteStatus::Failed(verbs::failed(&task.words(), known, secrets))
        }
        "completed" => {
            // "may hold 1-4 images, because moderation drops some"; the links may follow a moment later.
            let images = singles(&task.results.0, MAX_PICTURES);
            if images.is_empty() {
                return running;
            }
            let offers = actions::offers(task.model.as_str());
            RemoteStatus::Succeeded(RemoteResult::new(images).with_actions(offers))
        }
        // Also words that are not known: a new one must not fail jobs.
        _ => running,
    }
}
