//! What a task says about itself, fetched or in a callback. Everything here is pure.

use super::{
    pictures::images,
    reasons::failed,
    texts,
    wire::{Button, Task},
};
use crate::{
    client::{
        ClientError,
        http::{List, Loose, Reply, by_status, mask, trouble},
    },
    job::{FailureKind, RemoteAction, RemoteResult, RemoteStatus, UpstreamId},
};

/// What the answer to fetching the task `id` means.
pub(super) fn fetched(reply: &Reply<'_>, id: &UpstreamId) -> Result<RemoteStatus, ClientError> {
    let blank = matches!(reply.body.trim_ascii(), b"" | b"null");
    match reply.status {
        // Java answers an unknown id with an empty body, trueai with null.
        200..=299 | 404 | 410 if blank => return Ok(RemoteStatus::Missing),
        200..=299 | 400 | 404 | 410 => {}
        500..=599 => {
            return Err(trouble(
                FailureKind::Transient,
                "the upstream failed while telling about the task",
                reply,
            ));
        }
        _ => {
            return Err(by_status(reply).unwrap_or_else(|| {
                trouble(
                    FailureKind::BadAnswer,
                    "the upstream does not tell about the task",
                    reply,
                )
            }));
        }
    }
    let unreadable = || {
        trouble(
            FailureKind::BadAnswer,
            "the upstream's answer could not be understood",
            reply,
        )
    };
    let Loose(task) = serde_json::from_slice::<Loose<Task>>(reply.body).map_err(|_| unreadable())?;
    let gone = ["task_not_found", "task_no_found", "任务不存在"]
        .iter()
        .any(|text| task.description.as_str().contains(text));
    if gone || task.code.as_str() == "3" || (reply.status == 404 && !task.code.as_str().is_empty()) {
        return Ok(RemoteStatus::Missing);
    }
    // Another task's pictures must never become this job's.
    let ours = task.id.as_str().is_empty() || task.id.as_str() == id.as_str();
    if reply.status >= 300 || !ours || (task.id.as_str().is_empty() && task.status.as_str().is_empty()) {
        return Err(unreadable());
    }
    Ok(status_of(&task, reply.secrets))
}

/// What a task says about itself.
pub(super) fn status_of(task: &Task, secrets: &[&str]) -> RemoteStatus {
    let progress = progress(task.progress.as_str());
    match task.status.as_str().to_ascii_uppercase().as_str() {
        "" | "NOT_START" | "SUBMITTED" => RemoteStatus::Waiting,
        "MODAL" => RemoteStatus::AwaitingInput,
        "CANCEL" | "CANCELLED" | "CANCELED" => RemoteStatus::Cancelled,
        // A failed task may stand at 100 %.
        "FAILURE" => RemoteStatus::Failed(failed(&mask(task.fail_reason.as_str(), secrets))),
        "SUCCESS" => {
            let result = result(task, secrets);
            if result.is_empty() {
                // What it gave follows a moment later.
                return RemoteStatus::Running { progress };
            }
            RemoteStatus::Succeeded(
                result
                    .with_actions(buttons(&task.buttons))
                    .with_seed(task.seed.as_str().parse().ok()),
            )
        }
        // Also words that are not known: a new one must not fail jobs. Previews are not taken for results.
        _ => RemoteStatus::Running { progress },
    }
}

/// What a finished task gave. The picture of a task that gives texts is the one it was asked about.
fn result(task: &Task, secrets: &[&str]) -> RemoteResult {
    match texts::of(task, secrets) {
        Some(texts) => RemoteResult::default().with_texts(texts),
        None => RemoteResult::new(images(task)),
    }
}

fn progress(text: &str) -> Option<u8> {
    let number = text.strip_suffix('%').unwrap_or(text).trim();
    let whole = number.split('.').next().unwrap_or(number);
    whole.parse().ok().filter(|percent| *percent <= 100)
}

fn buttons(buttons: &List<Loose<Button>>) -> Vec<RemoteAction> {
    let cut = |text: &str| {
        text.chars()
            .filter(|c| !c.is_control())
            .take(64)
            .collect::<String>()
    };
    buttons
        .0
        .iter()
        .map(|Loose(button)| button)
        .filter(|button| (1..=512).contains(&button.custom_id.as_str().len()))
        .map(|button| RemoteAction::new(button.custom_id.as_str(), cut(button.label.as_str())))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_read_as_it_comes() {
        for (text, percent) in [
            ("31%", Some(31)),
            ("0%", Some(0)),
            ("100", Some(100)),
            ("46.5%", Some(46)),
        ] {
            assert_eq!(progress(text), percent);
        }
        for text in ["", "101%", "-1%", "%", "soon", "NaN"] {
            assert_eq!(progress(text), None, "{text}");
        }
    }
}
