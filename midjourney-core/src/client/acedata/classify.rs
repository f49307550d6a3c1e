//! What answers mean. Everything here is pure.

use super::wire::{Answer, Record};
use crate::{
    client::{
        ClientError,
        http::{
            Reply, Text, by_status, mask,
            named::{
                answer::{read, told, unexplained, unreadable},
                offered::{is_grid, offers},
                says::{failed, meaning},
                task::{link, links, pictures, progress, texts, videos},
            },
            packed, task_id,
        },
    },
    job::{Failure, FailureKind, RemoteResult, RemoteStatus, Spent, UpstreamId},
};

/// What the answer to a submit means.
pub(super) fn submitted(reply: &Reply<'_>) -> Result<UpstreamId, ClientError> {
    let answer: Answer = read(reply);
    match reply.status {
        200..=299 => accepted(&answer, reply),
        400..=499 => Err(refusal(&answer, reply).unwrap_or_else(|| unexplained(reply))),
        _ => Err(unexplained(reply)),
    }
}

fn accepted(answer: &Answer, reply: &Reply<'_>) -> Result<UpstreamId, ClientError> {
    // A task that has failed already tells why when it is asked for.
    if let Some(id) = task_id(answer.task_id.as_str())
        && answer.descriptions.0.is_empty()
        && answer.prompts.0.is_empty()
    {
        return Ok(id);
    }
    if answer.succeeded() == Some(false) {
        return Err(refusal(answer, reply).unwrap_or_else(|| unexplained(reply)));
    }
    let texts = said(answer, reply.secrets);
    if texts.is_empty() {
        return Err(unexplained(reply));
    }
    Ok(packed::write(&texts))
}

/// The texts of describing or shortening.
fn said(answer: &Answer, secrets: &[&str]) -> Vec<String> {
    let lines = answer.descriptions.0.iter().chain(&answer.prompts.0);
    texts(lines.map(Text::as_str), secrets)
}

/// The error that a code names as a refusal ("Errors" of the wire facts); `None` where nothing says so surely. A 400
/// with words of its own is one too: the MCP server reads `detail` where `error` is missing.
fn refusal(answer: &Answer, reply: &Reply<'_>) -> Option<ClientError> {
    let code = answer.error.0.code.as_str();
    let words = answer.words();
    let of_the_prompt = || {
        let known = moderated(code, words).or_else(|| meaning(words));
        known.unwrap_or((
            FailureKind::InvalidPrompt,
            "the upstream does not accept the request",
        ))
    };
    let (kind, message) = match (reply.status, code) {
        (429, _) => return by_status(reply),
        (401 | 403, _) => known(code)
            .or_else(|| moderated(code, words))
            .or_else(|| meaning(words))
            .unwrap_or((
                FailureKind::AccountBlocked,
                "the upstream refused the key; check it",
            )),
        // Those two surely mean "not taken" under their own status only.
        (_, "api_error" | "too_many_requests") => return None,
        (_, "bad_request") => of_the_prompt(),
        (400, _) if known(code).is_none() && !words.is_empty() => of_the_prompt(),
        _ => known(code)?,
    };
    let mut error = ClientError::refused(Failure::new(kind, message)).with_source(reply.said());
    if !words.is_empty() {
        error.failure = error.failure.with_upstream_text(&reply.text(words));
    }
    Some(error)
}

/// What a code means.
fn known(code: &str) -> Option<(FailureKind, &'static str)> {
    use FailureKind as K;
    Some(match code {
        "bad_request" => (K::InvalidPrompt, "the upstream does not accept the request"),
        "api_not_implemented" => (K::Unsupported, "the upstream does not do this"),
        "token_mismatched" | "invalid_token" => (K::AccountBlocked, "the upstream refused the key; check it"),
        "disabled" => (K::AccountBlocked, "the account at the upstream is disabled"),
        "used_up" => (
            K::QuotaExhausted,
            "the account at the upstream has no credit left",
        ),
        "too_many_requests" => (K::RateLimited, "too many requests at the upstream"),
        "api_error" => (K::Transient, "the upstream broke down"),
        _ => return None,
    })
}

/// Whether it is the content that was refused: a 403 that is so has no code that is written down.
fn moderated(code: &str, words: &str) -> Option<(FailureKind, &'static str)> {
    let speaks = |text: &str| text.to_lowercase().contains("moderat");
    (speaks(code) || speaks(words)).then_some((FailureKind::Moderated, "the upstream refused the content"))
}

/// What the answer to asking for the task `id` means.
pub(super) fn fetched(reply: &Reply<'_>, id: &UpstreamId) -> Result<RemoteStatus, ClientError> {
    let Some(record) = told::<Record>(reply)? else {
        return Ok(RemoteStatus::Missing);
    };
    let response = &record.response.0;
    // Another task's pictures must never become this job's.
    let names = [record.id.as_str(), response.task_id.as_str()];
    if names.iter().all(|name| name.is_empty())
        || names.iter().any(|name| !name.is_empty() && *name != id.as_str())
    {
        return Err(unreadable(reply));
    }
    Ok(status_of(&record, reply.secrets))
}

/// What a record says. `state` may be missing; then `success` of the answer in it decides (source: the MCP server).
fn status_of(record: &Record, secrets: &[&str]) -> RemoteStatus {
    let response = &record.response.0;
    let answered = || answered(response, record.request.0.action.as_str(), secrets);
    let running = || RemoteStatus::Running {
        progress: progress(&response.progress),
    };
    match record.state.as_str().to_ascii_lowercase().as_str() {
        "pending" => RemoteStatus::Waiting,
        "failed" => RemoteStatus::Failed(failure(response, secrets)),
        "finished" | "" => match answered() {
            RemoteStatus::Succeeded(result) => {
                let images = || Some(&record.image_id).filter(|_| !response.of_videos());
                let handle = result.handle.clone().or_else(|| handle(images()?));
                RemoteStatus::Succeeded(result.with_handle(handle))
            }
            other => other,
        },
        // Also words that are not known: a new one must not fail jobs. Previews are not taken for results.
        _ => running(),
    }
}

/// What a task's answer says, which was asked to do `action`.
pub(super) fn answered(answer: &Answer, action: &str, secrets: &[&str]) -> RemoteStatus {
    let percent = progress(&answer.progress);
    match answer.succeeded() {
        Some(false) => return RemoteStatus::Failed(failure(answer, secrets)),
        // A line of the stream while it draws: its preview's link dies at the end.
        Some(true) if percent.is_none_or(|percent| percent == 100) => {}
        _ => return RemoteStatus::Running { progress: percent },
    }
    let actions = offers(&answer.actions);
    let parts = links(&answer.sub_image_urls);
    let grid = if actions.is_empty() {
        !action.starts_with("upscale")
    } else {
        is_grid(&actions, &["upscale", "variation"])
    };
    let whole = link(&answer.raw_image_url).or_else(|| link(&answer.image_url));
    let (images, name) = if answer.of_videos() {
        (videos(&answer.video_urls), &answer.video_id)
    } else {
        (pictures(whole, parts, grid), &answer.image_id)
    };
    let result = RemoteResult::new(images)
        .with_actions(actions)
        .with_texts(said(answer, secrets))
        .with_seed(answer.seed.as_str().parse().ok())
        .with_handle(handle(name));
    if result.is_empty() {
        // The links follow a moment later.
        return RemoteStatus::Running { progress: percent };
    }
    RemoteStatus::Succeeded(result)
}

/// What follow-ups name pictures or videos by.
fn handle(name: &Text) -> Option<String> {
    task_id(name.as_str()).map(|id| id.as_str().to_owned())
}

/// Why a task failed.
fn failure(answer: &Answer, secrets: &[&str]) -> Failure {
    let code = answer.error.0.code.as_str();
    let words = mask(answer.words(), secrets);
    if let Some((kind, message)) = moderated(code, &words) {
        return Failure::new(kind, message)
            .with_spent(Spent::Yes)
            .with_upstream_text(&words);
    }
    let kind = known(code).map_or(FailureKind::Transient, |(kind, _)| kind);
    failed(&words, kind)
}
