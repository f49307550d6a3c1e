//! What answers mean. Everything here is pure.
//!
//! A task that is done has pictures and no `status`; how one that runs or has failed says so is not documented, so any
//! word but those for failing means that it runs.

use super::wire::Answer;
use crate::{
    client::{
        ClientError,
        http::{
            Reply, Text, by_status, garbled, mask,
            named::{
                answer::{read, told, unexplained, unreadable},
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
    let answer: Answer = read(reply);
    let id = task_id(answer.task_id.as_str());
    match (reply.status, id) {
        (200..=299, Some(id)) => Ok(id),
        (400..=499, Some(_)) => Err(garbled(reply, "the upstream both refused and accepted the task")),
        (400..=499, None) => Err(refusal(&answer, reply)
            .or_else(|| by_status(reply))
            .unwrap_or_else(|| unexplained(reply))),
        _ => Err(unexplained(reply)),
    }
}

/// "Errors HTTP 400 `{"errors":[{"msg":"..."}]}`"; `None` where it is not that.
fn refusal(answer: &Answer, reply: &Reply<'_>) -> Option<ClientError> {
    let words = answer.words();
    if reply.status != 400 || answer.errors.0.is_empty() || words.is_empty() {
        return None;
    }
    let (kind, message) = meaning(&words).unwrap_or((
        FailureKind::InvalidPrompt,
        "the upstream does not accept the request",
    ));
    let failure = Failure::new(kind, message).with_upstream_text(&reply.text(&words));
    Some(ClientError::refused(failure).with_source(reply.said()))
}

/// What the answer to fetching the task `id` means.
pub(super) fn fetched(reply: &Reply<'_>, id: &UpstreamId) -> Result<RemoteStatus, ClientError> {
    let Some(task) = told::<Answer>(reply)? else {
        return Ok(RemoteStatus::Missing);
    };
    // Another task's pictures must never become this job's.
    if task.task_id.as_str() != id.as_str() {
        return Err(unreadable(reply));
    }
    Ok(status_of(&task, reply.secrets))
}

/// What a task says about itself.
pub(super) fn status_of(task: &Answer, secrets: &[&str]) -> RemoteStatus {
    let progress = progress(&task.progress).or_else(|| progress(&task.percentage));
    match task.status.as_str().to_ascii_lowercase().as_str() {
        "failed" | "failure" | "error" => {
            RemoteStatus::Failed(failed(&mask(&task.words(), secrets), FailureKind::Transient))
        }
        "cancelled" | "canceled" => RemoteStatus::Cancelled,
        "" | "finished" | "completed" | "success" => {
            let result = result(task, secrets);
            if !result.is_empty() {
                return RemoteStatus::Succeeded(result);
            }
            if !task.errors.0.is_empty() {
                return RemoteStatus::Failed(failed(&mask(&task.words(), secrets), FailureKind::Transient));
            }
            RemoteStatus::Running { progress }
        }
        "pending" | "queued" | "staged" => RemoteStatus::Waiting,
        // Previews are not taken for results.
        _ => RemoteStatus::Running { progress },
    }
}

fn result(task: &Answer, secrets: &[&str]) -> RemoteResult {
    let lines = [&task.content, &task.prompts, &task.descriptions];
    let lines = lines.into_iter().flat_map(|list| &list.0).map(Text::as_str);
    let kind = task.task_type.as_str();
    if kind == "describe" {
        return RemoteResult::new(Vec::new()).with_texts(texts(lines, secrets));
    }
    let whole = link(&task.original_image_url).or_else(|| link(&task.image_url));
    let grid = !(kind.starts_with("upscale") || kind.starts_with("faceswap"));
    let images = pictures(whole, links(&task.image_urls), grid);
    RemoteResult::new(images).with_seed(task.seed.as_str().parse().ok())
}
