//! Why tasks fail, told from the gateway's words.

use crate::job::{Failure, FailureKind, Spent};

/// Why a task failed, from the title in `[title] text` or, without one, from the text ("Embed titles used as error
/// signs", "failReason" of the wire facts).
pub(super) fn failed(reason: &str) -> Failure {
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
}
