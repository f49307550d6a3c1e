//! What answers mean. Everything here is pure.
//!
//! For a submit the one question that costs money is whether the task may have been started: only answers that the
//! wire facts name as refusals say no, and everything else says maybe.

use std::time::Duration;

use super::wire::{Button, Link, List, Loose, Submitted, Task};
use crate::{
    client::ClientError,
    clock::Timestamp,
    image::ImageKind,
    job::{Failure, FailureKind, RemoteAction, RemoteImage, RemoteResult, RemoteStatus, Spent, UpstreamId},
};

/// The longest wait that an upstream can ask for.
const MAX_WAIT: Duration = Duration::from_secs(3_600);

/// How much of an answer is kept for the log, in bytes.
const MAX_EXCERPT: usize = 2_000;

/// The longest address of a picture.
const MAX_URL: usize = 4_096;

/// An answer, with what must not be repeated from it.
#[derive(Clone, Copy)]
pub(super) struct Reply<'a> {
    pub(super) status: u16,
    pub(super) body: &'a [u8],
    pub(super) retry_after: Option<&'a str>,
    pub(super) now: Timestamp,
    /// The key and the callback address.
    pub(super) secrets: &'a [&'a str],
}

/// An answer as it goes to the log.
#[derive(Debug, thiserror::Error)]
#[error("the upstream answered HTTP {status}: {excerpt}")]
pub(super) struct Said {
    status: u16,
    excerpt: String,
}

impl Reply<'_> {
    /// The beginning of the body, without secrets.
    pub(super) fn said(&self) -> Said {
        let window = self.body.get(..4 * MAX_EXCERPT).unwrap_or(self.body);
        let mut excerpt = mask(&String::from_utf8_lossy(window), self.secrets);
        // A secret may lie across the window's end and so have escaped the mask.
        let longest = self.secrets.iter().map(|secret| secret.len()).max().unwrap_or(0);
        let certain = if window.len() < self.body.len() {
            excerpt.len().saturating_sub(longest)
        } else {
            excerpt.len()
        };
        while excerpt.len() > certain.min(MAX_EXCERPT) {
            excerpt.pop();
        }
        Said {
            status: self.status,
            excerpt,
        }
    }

    fn text(&self, text: &str) -> String {
        mask(text, self.secrets)
    }

    fn wait(&self) -> Option<Duration> {
        self.retry_after.and_then(|text| retry_after(text, self.now))
    }
}

/// `text` without the `secrets`. Very short ones are left: masking a letter would tell which letter it is.
pub(super) fn mask(text: &str, secrets: &[&str]) -> String {
    let mut masked = text.to_owned();
    for secret in secrets.iter().filter(|secret| secret.len() >= 4) {
        masked = masked.replace(secret, "***");
    }
    masked
}

/// How long a `Retry-After` asks to wait: seconds or a date, at most an hour. `None` where it is neither.
pub(super) fn retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        // More digits than a number holds are a long wait as well.
        return Some(text.parse().map_or(MAX_WAIT, Duration::from_secs).min(MAX_WAIT));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
    let wait = Timestamp::from_millis(date.as_millisecond()).saturating_since(now);
    Some(wait.min(MAX_WAIT))
}

/// An id of this family, fit for a path: 16 digits in the sources, other plain words at resellers.
pub(super) fn task_id(text: &str) -> Option<UpstreamId> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':');
    let fits = (1..=128).contains(&text.len()) && text.bytes().all(plain) && !text.bytes().all(|b| b == b'.');
    fits.then(|| UpstreamId::new(text))
}

/// The error for an HTTP status that says the same whatever was asked; `None` for those that do not.
fn by_status(reply: &Reply<'_>) -> Option<ClientError> {
    let error = match reply.status {
        401 | 403 => ClientError::refused(Failure::new(
            FailureKind::AccountBlocked,
            "the upstream refused the key; check the key, and the dialect (trueai wants `trueai`)",
        )),
        402 => ClientError::refused(Failure::new(
            FailureKind::QuotaExhausted,
            "the account at the upstream has no credit left",
        )),
        429 => ClientError::not_now(
            Failure::new(FailureKind::RateLimited, "too many requests at the upstream"),
            reply.wait(),
        ),
        _ => return None,
    };
    Some(error.with_source(reply.said()))
}

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

/// A submit's answer that does not tell whether the task was started.
fn garbled(reply: &Reply<'_>, message: &str) -> ClientError {
    let kind = if reply.status >= 500 {
        FailureKind::Transient
    } else {
        FailureKind::BadAnswer
    };
    ClientError::lost(Failure::new(kind, message).with_spent(Spent::Maybe)).with_source(reply.said())
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

/// A passing trouble with a question that is free to repeat.
pub(super) fn trouble(kind: FailureKind, message: &str, reply: &Reply<'_>) -> ClientError {
    ClientError::not_now(Failure::new(kind, message), reply.wait()).with_source(reply.said())
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
    fn no_part_of_a_secret_stays_where_a_body_is_cut() {
        let secret = "canary-5ecret-key-of-some-length";
        for shift in 0..secret.len() {
            let body = format!("{}{}", "x".repeat(shift), secret.repeat(1_000));
            let reply = Reply {
                status: 200,
                body: body.as_bytes(),
                retry_after: None,
                now: Timestamp::default(),
                secrets: &[secret],
            };
            let said = reply.said().to_string();
            assert!(
                !said.contains("ca") && said.len() <= MAX_EXCERPT + 50,
                "{shift}: {said}"
            );
        }
    }

    #[test]
    fn waits_are_read_and_bounded() {
        let now = Timestamp::from_millis(784_111_777_000);
        let secs = Duration::from_secs;
        for (text, wait) in [
            ("0", Some(secs(0))),
            (" 120 ", Some(secs(120))),
            ("1000000000", Some(MAX_WAIT)),
            ("99999999999999999999999999", Some(MAX_WAIT)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", Some(secs(60))),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(secs(0))),
            ("Sat, 06 Nov 2094 08:00:00 GMT", Some(MAX_WAIT)),
            ("-5", None),
            ("1.5", None),
            ("", None),
            ("soon", None),
        ] {
            assert_eq!(retry_after(text, now), wait, "{text}");
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

    #[test]
    fn ids_that_would_change_the_path_are_not_ids() {
        assert!(task_id("1700000000000123").is_some());
        for bad in ["", ".", "..", "a/b", "a b", "1,2", "a?b", "a%2f", "é"] {
            assert_eq!(task_id(bad), None, "{bad}");
        }
    }
}
