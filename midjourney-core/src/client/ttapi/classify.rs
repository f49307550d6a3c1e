//! What answers mean. Everything here is pure.
//!
//! `SUCCESS` means "accepted" in the answer to a submit and "done" in a task (source: the table of traps). The
//! documentation says nothing about refusals but the texts of failures, so only those that speak of the prompt count as
//! one; numeric codes are not known well enough to be read.

use super::wire::{Data, Task};
use crate::{
    client::{
        ClientError,
        http::{
            Reply, by_status, garbled, mask,
            named::{
                answer::{read, told, unexplained, unreadable},
                offered::{is_grid, offers},
                says::{failed, meaning},
                task::{link, links, pictures, progress, texts},
            },
            task_id,
        },
    },
    job::{Failure, FailureKind, RemoteResult, RemoteStatus, UpstreamId},
};

/// What the answer to a submit means.
pub(super) fn submitted(reply: &Reply<'_>) -> Result<UpstreamId, ClientError> {
    let answer: Task = read(reply);
    let id = task_id(answer.id());
    let status = answer.status.as_str().to_ascii_uppercase();
    match (reply.status, status.as_str(), id) {
        // A task that has failed already tells why when it is asked for.
        (200..=299, "SUCCESS" | "FAILED", Some(id)) => Ok(id),
        (200..=299, "FAILED", None) => Err(refusal(&answer, reply).unwrap_or_else(|| unexplained(reply))),
        (400..=499, "SUCCESS", _) => Err(garbled(reply, "the upstream both refused and accepted the task")),
        (400..=499, ..) => Err(refusal(&answer, reply)
            .or_else(|| by_status(reply))
            .unwrap_or_else(|| unexplained(reply))),
        _ => Err(unexplained(reply)),
    }
}

/// The error that a text names as a refusal of the prompt; `None` where nothing says so surely.
fn refusal(answer: &Task, reply: &Reply<'_>) -> Option<ClientError> {
    let words = answer.message.as_str();
    let (kind, message) = meaning(words)
        .filter(|(kind, _)| matches!(kind, FailureKind::Moderated | FailureKind::InvalidPrompt))?;
    let failure = Failure::new(kind, message).with_upstream_text(&reply.text(words));
    Some(ClientError::refused(failure).with_source(reply.said()))
}

/// What the answer to fetching the task `id` means.
pub(super) fn fetched(reply: &Reply<'_>, id: &UpstreamId) -> Result<RemoteStatus, ClientError> {
    let Some(task) = told::<Task>(reply)? else {
        return Ok(RemoteStatus::Missing);
    };
    // Another task's pictures must never become this job's; and a failure that names no task may be the question's own.
    let names = [task.job_id.as_str(), task.data.0.job_id.as_str()];
    if names.iter().all(|name| name.is_empty())
        || names.iter().any(|name| !name.is_empty() && *name != id.as_str())
    {
        return Err(unreadable(reply));
    }
    Ok(status_of(&task, reply.secrets))
}

/// What a task says about itself.
pub(super) fn status_of(task: &Task, secrets: &[&str]) -> RemoteStatus {
    let data = &task.data.0;
    let progress = progress(&data.progress);
    match task.status.as_str().to_ascii_uppercase().as_str() {
        "PENDING_QUEUE" => RemoteStatus::Waiting,
        "FAILED" => RemoteStatus::Failed(failed(
            &mask(task.message.as_str(), secrets),
            FailureKind::Transient,
        )),
        "SUCCESS" => {
            let result = result(data, secrets);
            if result.is_empty() {
                // The links follow a moment later.
                return RemoteStatus::Running { progress };
            }
            RemoteStatus::Succeeded(result)
        }
        // `ON_QUEUE`, and words that are not known: a new one must not fail jobs.
        _ => RemoteStatus::Running { progress },
    }
}

fn result(data: &Data, secrets: &[&str]) -> RemoteResult {
    let did = data.actions.as_str().to_ascii_lowercase();
    if did == "describe" {
        // Where the texts stand is not documented; the one text of a task is its prompt.
        return RemoteResult::new(Vec::new()).with_texts(texts(data.prompt.as_str().lines(), secrets));
    }
    let actions = offers(&data.components);
    let parts = links(&data.images);
    let grid = if actions.is_empty() {
        !(did.starts_with("upsample") || did.starts_with("upscale"))
    } else {
        is_grid(&actions, &["upsample", "variation"])
    };
    let whole = link(&data.cdn_image).or_else(|| link(&data.discord_image));
    RemoteResult::new(pictures(whole, parts, grid))
        .with_actions(actions)
        .with_seed(data.seed.as_str().parse().ok())
}
