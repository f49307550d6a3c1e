//! What answers mean. Everything here is pure.
//!
//! For a submit the one question that costs money is whether the task may have been started: only answers that the
//! wire facts name as refusals say no, and everything else says maybe.

use super::wire::{Button, Link, Submitted, Task};
use crate::{
    client::{
        ClientError,
        http::{List, Loose, Reply, by_status, garbled, mask, task_id, trouble},
    },
    image::ImageKind,
    job::{Failure, FailureKind, RemoteAction, RemoteImage, RemoteResult, RemoteStatus, Spent, UpstreamId},
};

/// The longest address of a picture.
const MAX_URL: usize = 4_096;

/// What the answer to a submit means.
pub(super) fn submitted(reply: &Reply<'_>) -> Result<UpstreamId, ClientError> {
    let parsed = serde_json::from_slice::<Loose<Submitted>>(reply.body).ok();
    let answer = parsed.map(|Loose(answer)| answer).unwrap_or_default();
    let code = answer.code.as_str().parse::<i64>().ok();
    match reply.status {
        200..=299 => match code {
            // 21 is also "this was done before" (Java) and "a window waits" (plus, trueai): both name a task.
            Some(1 | 21 | 22) => task_id(answer.result.as_str())
                .ok_or_else(|| garbled(reply, "the upstream accepted the task but did not name it")),
            Some(code) => Err(refusal(code, &answer, reply)
                .unwrap_or_else(|| garbled(reply, "the upstream answered with an unknown code"))),
            None => Err(garbled(reply, "the upstream's answer could not be understood")),
        },
        // These two ask for the same request elsewhere: it was not worked on. The others are also how a server shows
        // the way to the result of its work.
        307 | 308 => Err(ClientError::refused(Failure::new(
            FailureKind::BadAnswer,
            "the upstream redirects; configure the address it redirects to",
        ))
        .with_source(reply.said())),
        408 => Err(garbled(reply, "the upstream gave up on the request")),
        400..=499 if matches!(code, Some(1 | 21 | 22)) => {
            Err(garbled(reply, "the upstream both refused and accepted the task"))
        }
        400..=499 => {
            let told = code.and_then(|code| refusal(code, &answer, reply));
            Err(told.or_else(|| by_status(reply)).unwrap_or_else(|| {
                let (kind, message) = match reply.status {
                    400 | 413 | 414 | 422 => (FailureKind::InvalidPrompt, "the upstream refused the request"),
                    404 | 405 => (
                        FailureKind::Unsupported,
                        "the upstream has no such route; check the base URL and the dialect",
                    ),
                    _ => (FailureKind::BadAnswer, "the upstream refused the request"),
                };
                ClientError::refused(Failure::new(kind, message)).with_source(reply.said())
            }))
        }
        300..=399 => Err(garbled(
            reply,
            "the upstream redirects; configure the address it redirects to",
        )),
        _ => Err(garbled(reply, "the upstream failed while it took the task")),
    }
}

/// What a code means that names a refusal ("Return codes" of the wire facts); `None` for codes not known to.
fn refusal(code: i64, answer: &Submitted, reply: &Reply<'_>) -> Option<ClientError> {
    let text = match (answer.description.as_str(), answer.message.as_str()) {
        ("", message) => message,
        (description, _) => description,
    };
    let has = |words: &[&str]| {
        let text = text.to_lowercase();
        words.iter().any(|word| text.contains(word))
    };
    let refused = |kind, message: &str| Some(ClientError::refused(Failure::new(kind, message)));
    let not_now = |kind, message: &str| Some(ClientError::not_now(Failure::new(kind, message), reply.wait()));

    // Texts that mean the same under every code.
    let by_text = if has(&["队列已满", "queue full", "queue is full"]) {
        not_now(FailureKind::QueueFull, "the upstream's queue is full")
    } else if has(&["quota_not_enough", "insufficient_user_quota", "次数已达上限"]) {
        refused(
            FailureKind::QuotaExhausted,
            "the account at the upstream has no credit left",
        )
    } else if has(&["关联任务不存在", "task_not_found", "task_no_found"]) {
        refused(
            FailureKind::LostAtUpstream,
            "the upstream no longer knows the parent task",
        )
    } else if has(&["无可用的账号", "账号不可用"]) {
        not_now(
            FailureKind::Transient,
            "the upstream has no account free for this task",
        )
    } else if has(&[
        "关联任务状态错误",
        "关联任务不允许",
        "task_status_not_success",
        "未知的 action",
        "action参数错误",
        "不支持重新生成",
        "视频功能未启用",
        "禁止上传",
    ]) {
        refused(
            FailureKind::Unsupported,
            "the upstream does not do this with the parent task",
        )
    } else {
        None
    };
    let known = match code {
        3 => by_text.or_else(|| {
            refused(
                FailureKind::LostAtUpstream,
                "the upstream no longer knows the parent task",
            )
        }),
        // One reseller wraps its own breakdowns in this code; whether those come before the submit is not known.
        4 if by_text.is_none() && has(&["internal", "upstream error", "timeout"]) => None,
        4 => by_text.or_else(|| {
            refused(
                FailureKind::InvalidPrompt,
                "the upstream does not accept the request",
            )
        }),
        // The task is taken out of the upstream's store before it answers so: nothing runs, another try is free.
        9 => by_text.or_else(|| not_now(FailureKind::Transient, "the upstream could not take the task")),
        23 => not_now(FailureKind::QueueFull, "the upstream's queue is full"),
        24 => refused(
            FailureKind::Moderated,
            "the upstream's word filter refused the prompt",
        ),
        30 => refused(
            FailureKind::QuotaExhausted,
            "the account at the upstream has no credit left",
        ),
        // trueai's middleware also answers so for breakdowns of its own, hence only where the text is known.
        -1 => by_text,
        _ => None,
    }?;
    let word = answer.properties.0.banned_word.as_str();
    let words = if word.is_empty() {
        text.to_owned()
    } else {
        format!("{text}: {word}")
    };
    let mut error = known.with_source(reply.said());
    error.failure = error.failure.with_upstream_text(&reply.text(&words));
    Some(error)
}

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
            let images = images(task);
            if images.is_empty() {
                // The links follow a moment later.
                return RemoteStatus::Running { progress };
            }
            RemoteStatus::Succeeded(
                RemoteResult::new(images)
                    .with_actions(buttons(&task.buttons))
                    .with_seed(task.seed.as_str().parse().ok()),
            )
        }
        // Also words that are not known: a new one must not fail jobs. Previews are not taken for results.
        _ => RemoteStatus::Running { progress },
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

/// The pictures of a finished task: a grid with its singles where the line gives them, or one single.
fn images(task: &Task) -> Vec<RemoteImage> {
    let link = |url: &str| {
        let web = url.starts_with("https://") || url.starts_with("http://");
        (web && url.len() <= MAX_URL).then(|| url.to_owned())
    };
    let whole = link(task.image_url.as_str());
    let mut parts: Vec<String> = Vec::new();
    for Loose(Link { url }) in &task.image_urls.0 {
        parts.extend(link(url.as_str()).filter(|url| !parts.contains(url)));
    }
    parts.truncate(4);
    let single = |url: &String, index: u8| RemoteImage::new(url.as_str(), ImageKind::Single, index);
    if !is_grid(task, parts.len()) {
        return whole
            .iter()
            .chain(&parts)
            .take(1)
            .map(|url| single(url, 1))
            .collect();
    }
    // One link in the list is the grid again.
    if parts.len() == 1 && whole.is_some() {
        parts.clear();
    }
    let whole = whole.filter(|whole| !parts.contains(whole));
    let singles = parts.iter().zip(1..).map(|(url, index)| single(url, index));
    singles
        .chain(
            whole
                .iter()
                .map(|url| RemoteImage::new(url.as_str(), ImageKind::Grid, 0)),
        )
        .collect()
}

/// Whether a task's picture shows several. Its buttons know best: trueai calls every follow-up `ACTION`.
fn is_grid(task: &Task, parts: usize) -> bool {
    let mut verbs = task
        .buttons
        .0
        .iter()
        .filter_map(|Loose(button)| button.custom_id.as_str().strip_prefix("MJ::JOB::"))
        .peekable();
    if verbs.peek().is_some() {
        return verbs.any(|verb| verb.starts_with("upsample::") || verb.starts_with("variation::"));
    }
    match task.action.as_str().to_ascii_uppercase().as_str() {
        "IMAGINE" | "VARIATION" | "REROLL" | "BLEND" | "ZOOM" | "PAN" | "OUTPAINT" | "INPAINT" => true,
        action if action.starts_with("UPSCALE") || action.starts_with("SWAP") => false,
        _ => parts > 1,
    }
}

/// Why a task failed, from the title in `[title] text` or, without one, from the text ("Embed titles used as error
/// signs", "failReason" of the wire facts).
fn failed(reason: &str) -> Failure {
    let lower = reason.to_lowercase();
    let title = lower
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
        .map(|(title, _)| title.trim());
    let found = TITLES.iter().find(|(sign, ..)| match title {
        Some(title) => title.starts_with(sign),
        None => lower.contains(sign) && sign.contains(' '),
    });
    let found = found.or_else(|| TEXTS.iter().find(|(sign, ..)| lower.contains(sign)));
    let (_, kind, message) =
        found
            .copied()
            .unwrap_or(("", FailureKind::Transient, "the upstream could not draw this"));
    let failure = Failure::new(kind, message).with_spent(Spent::Yes);
    if reason.is_empty() {
        failure
    } else {
        failure.with_upstream_text(reason)
    }
}

type Sign = (&'static str, FailureKind, &'static str);

const TITLES: [Sign; 17] = [
    (
        "banned prompt",
        FailureKind::Moderated,
        "Midjourney refused the prompt",
    ),
    (
        "request cancelled due to output filters",
        FailureKind::Moderated,
        "Midjourney refused the picture it drew",
    ),
    (
        "image denied",
        FailureKind::Moderated,
        "Midjourney refused an image in the prompt",
    ),
    (
        "invalid prompt",
        FailureKind::InvalidPrompt,
        "Midjourney does not accept the prompt",
    ),
    (
        "invalid parameter",
        FailureKind::InvalidPrompt,
        "Midjourney does not accept a parameter",
    ),
    (
        "invalid link",
        FailureKind::InvalidPrompt,
        "Midjourney could not read a link in the prompt",
    ),
    (
        "queue full",
        FailureKind::QueueFull,
        "Midjourney's queue for the account is full",
    ),
    (
        "credits exhausted",
        FailureKind::QuotaExhausted,
        "the Midjourney account has no credit left",
    ),
    (
        "plan cancelled",
        FailureKind::AccountBlocked,
        "the Midjourney account's plan has ended",
    ),
    (
        "subscription required",
        FailureKind::AccountBlocked,
        "the Midjourney account has no subscription",
    ),
    (
        "subscription paused",
        FailureKind::AccountBlocked,
        "the Midjourney account's subscription is paused",
    ),
    (
        "blocked",
        FailureKind::AccountBlocked,
        "the Midjourney account is blocked",
    ),
    (
        "pending mod message",
        FailureKind::NeedsPerson,
        "a Midjourney moderator wants an answer",
    ),
    (
        "tos not accepted",
        FailureKind::NeedsPerson,
        "Midjourney's terms have to be accepted",
    ),
    (
        "action needed to continue",
        FailureKind::NeedsPerson,
        "Midjourney wants a person to act",
    ),
    (
        "internal server error",
        FailureKind::Transient,
        "the upstream broke down",
    ),
    (
        "job queued",
        FailureKind::Transient,
        "the upstream lost sight of a queued task",
    ),
];

const TEXTS: [Sign; 6] = [
    (
        "敏感词",
        FailureKind::Moderated,
        "the upstream's word filter refused the prompt",
    ),
    ("队列已满", FailureKind::QueueFull, "the upstream's queue is full"),
    (
        "超时",
        FailureKind::Transient,
        "the upstream gave up waiting for the task",
    ),
    (
        "timeout",
        FailureKind::Transient,
        "the upstream gave up waiting for the task",
    ),
    (
        "timed out",
        FailureKind::Transient,
        "the upstream gave up waiting for the task",
    ),
    (
        "failed",
        FailureKind::Transient,
        "Midjourney could not work on this",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_told_apart_row_by_row() {
        for (reason, kind) in [
            ("[Banned prompt detected] The word x", FailureKind::Moderated),
            (
                "[Request cancelled due to output filters] ..",
                FailureKind::Moderated,
            ),
            ("[Image denied]", FailureKind::Moderated),
            ("可能包含敏感词", FailureKind::Moderated),
            ("[Invalid prompt] x", FailureKind::InvalidPrompt),
            ("[Invalid parameter] `--q 9`", FailureKind::InvalidPrompt),
            ("[Invalid link!] x", FailureKind::InvalidPrompt),
            ("[Queue full] wait", FailureKind::QueueFull),
            ("[Credits exhausted] x", FailureKind::QuotaExhausted),
            ("[Plan Cancelled] x", FailureKind::AccountBlocked),
            ("[Subscription required] x", FailureKind::AccountBlocked),
            ("[Subscription paused] x", FailureKind::AccountBlocked),
            ("[Blocked] x", FailureKind::AccountBlocked),
            ("[Pending mod message] x", FailureKind::NeedsPerson),
            ("[Tos not accepted] x", FailureKind::NeedsPerson),
            ("[Action needed to continue] x", FailureKind::NeedsPerson),
            ("[Internal Server Error] x", FailureKind::Transient),
            ("Failed to process your command", FailureKind::Transient),
            ("上游任务超时（超过1小时）", FailureKind::Transient),
            // Not a title: somebody's words must not block the account.
            ("the request was blocked by a proxy", FailureKind::Transient),
            ("Invalid parameter without brackets", FailureKind::InvalidPrompt),
            ("", FailureKind::Transient),
            ("[", FailureKind::Transient),
            ("something new", FailureKind::Transient),
        ] {
            assert_eq!(failed(reason).kind, kind, "{reason}");
        }
    }

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
