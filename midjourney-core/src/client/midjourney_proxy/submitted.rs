//! What the answers to submits mean. Everything here is pure.
//!
//! The one question that costs money is whether the task may have been started: only answers that the wire facts name
//! as refusals say no, and everything else says maybe.

use super::wire::Submitted;
use crate::{
    client::{
        ClientError,
        http::{Loose, Reply, by_status, garbled, task_id, trouble},
    },
    job::{Failure, FailureKind, UpstreamId},
};

/// "A window waits" (plus, trueai), and "this was done before" (Java): both name a task.
const WINDOW: i64 = 21;

/// What the answer to a submit means.
pub(super) fn submitted(reply: &Reply<'_>) -> Result<UpstreamId, ClientError> {
    let (_, answer) = accepted(reply)?;
    task_id(answer.result.as_str())
        .ok_or_else(|| garbled(reply, "the upstream accepted the task but did not name it"))
}

/// What the answer to giving the window of `id` its input means. The task goes on under its id.
pub(super) fn confirmed(reply: &Reply<'_>, id: &UpstreamId) -> Result<(), ClientError> {
    let (code, answer) = accepted(reply)?;
    let named = answer.result.as_str();
    if code == WINDOW {
        return Err(garbled(reply, "the upstream's window still waits"));
    }
    if !named.is_empty() && named != id.as_str() {
        return Err(garbled(reply, "the upstream went on with another task"));
    }
    Ok(())
}

/// The seed in the answer to asking for it; `None` where the task has none to tell.
pub(super) fn seed(reply: &Reply<'_>) -> Result<Option<u32>, ClientError> {
    match reply.status {
        // An unknown task is 404, an unfinished one 400 (trueai).
        200..=299 | 400 | 404 => {
            let answer = read(reply);
            let told = answer.code.as_str() == "1";
            Ok(answer.result.as_str().parse().ok().filter(|_| told))
        }
        _ => Err(by_status(reply).unwrap_or_else(|| {
            trouble(
                FailureKind::Transient,
                "the upstream does not tell the seed at the moment",
                reply,
            )
        })),
    }
}

fn read(reply: &Reply<'_>) -> Submitted {
    let parsed = serde_json::from_slice::<Loose<Submitted>>(reply.body).ok();
    parsed.map(|Loose(answer)| answer).unwrap_or_default()
}

/// An answer that accepts, with its code.
fn accepted(reply: &Reply<'_>) -> Result<(i64, Submitted), ClientError> {
    let answer = read(reply);
    let code = answer.code.as_str().parse::<i64>().ok();
    match reply.status {
        200..=299 => match code {
            Some(code @ (1 | WINDOW | 22)) => Ok((code, answer)),
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
        400..=499 if matches!(code, Some(1 | WINDOW | 22)) => {
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
            "the upstream no longer knows the task to start from",
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
                "the upstream no longer knows the task to start from",
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
