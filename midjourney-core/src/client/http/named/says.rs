//! What Midjourney's own words mean, which upstreams hand on as texts (source: "Error and moderation texts" of the
//! wire facts, and the failure messages that TTAPI's documentation lists).

use crate::job::{Failure, FailureKind, Spent};

/// A sign, what it means, and how that is told.
pub(in crate::client) type Sign = (&'static str, FailureKind, &'static str);

/// What `text` means, where it begins with a known title, in brackets or without, or holds one of several words.
pub(in crate::client) fn meaning(text: &str) -> Option<(FailureKind, &'static str)> {
    let lower = text.trim().to_lowercase();
    let title = lower
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
        .map(|(title, _)| title.trim());
    let found = SIGNS.iter().find(|(sign, ..)| match title {
        Some(title) => title.starts_with(sign),
        // One word alone may be anybody's.
        None => lower.contains(sign) && sign.contains(' '),
    });
    found.map(|(_, kind, message)| (*kind, *message))
}

/// Why a task failed that says `reason`, which holds no secrets. `kind` is for words that mean nothing known.
pub(in crate::client) fn failed(reason: &str, kind: FailureKind) -> Failure {
    failed_or(reason, (kind, "the upstream could not draw this"))
}

/// The same, with something else for words that mean nothing known.
pub(in crate::client) fn failed_or(reason: &str, otherwise: (FailureKind, &'static str)) -> Failure {
    let (kind, message) = meaning(reason).unwrap_or(otherwise);
    let failure = Failure::new(kind, message).with_spent(Spent::Yes);
    if reason.is_empty() {
        failure
    } else {
        failure.with_upstream_text(reason)
    }
}

/// Midjourney's words, in lower case. One alone means something only as a title.
pub(in crate::client) const SIGNS: [Sign; 21] = {
    use FailureKind as K;
    [
        ("banned prompt", K::Moderated, "Midjourney refused the prompt"),
        (
            "request cancelled due to output filters",
            K::Moderated,
            "Midjourney refused the picture it drew",
        ),
        (
            "image denied",
            K::Moderated,
            "Midjourney refused an image in the prompt",
        ),
        (
            "invalid parameter",
            K::InvalidPrompt,
            "Midjourney does not accept a parameter",
        ),
        (
            "unrecognized argument",
            K::InvalidPrompt,
            "Midjourney does not know a parameter",
        ),
        (
            "invalid prompt",
            K::InvalidPrompt,
            "Midjourney does not accept the prompt",
        ),
        (
            "invalid link",
            K::InvalidPrompt,
            "Midjourney could not read a link in the prompt",
        ),
        (
            "queue full",
            K::QueueFull,
            "Midjourney's queue for the account is full",
        ),
        (
            "credits exhausted",
            K::QuotaExhausted,
            "the Midjourney account has no credit left",
        ),
        (
            "subscription required",
            K::AccountBlocked,
            "the Midjourney account has no subscription",
        ),
        (
            "subscription paused",
            K::AccountBlocked,
            "the Midjourney account's subscription is paused",
        ),
        (
            "plan cancelled",
            K::AccountBlocked,
            "the Midjourney account's plan has ended",
        ),
        ("blocked", K::AccountBlocked, "the Midjourney account is blocked"),
        (
            "tos not accepted",
            K::NeedsPerson,
            "Midjourney's terms have to be accepted",
        ),
        (
            "pending mod message",
            K::NeedsPerson,
            "a Midjourney moderator wants an answer",
        ),
        (
            "action needed to continue",
            K::NeedsPerson,
            "Midjourney wants a person to act",
        ),
        (
            "failed to process your command",
            K::Transient,
            "Midjourney could not work on this",
        ),
        ("internal error", K::Transient, "Midjourney broke down"),
        ("internal server error", K::Transient, "the upstream broke down"),
        (
            "job timeout",
            K::Transient,
            "the upstream gave up waiting for the task",
        ),
        (
            "job queued",
            K::Transient,
            "the upstream lost sight of a queued task",
        ),
    ]
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_told_apart_row_by_row() {
        use FailureKind as K;
        for (text, kind) in [
            ("[Banned prompt detected] The word x", Some(K::Moderated)),
            ("Banned prompt detected", Some(K::Moderated)),
            ("Request cancelled due to output filters", Some(K::Moderated)),
            ("[Image denied] x", Some(K::Moderated)),
            ("[Invalid parameter] Invalid value `9`", Some(K::InvalidPrompt)),
            ("Unrecognized argument(s): `-c`, `x`", Some(K::InvalidPrompt)),
            ("Invalid prompt", Some(K::InvalidPrompt)),
            ("[Invalid link!] x", Some(K::InvalidPrompt)),
            ("Queue full", Some(K::QueueFull)),
            ("Credits exhausted", Some(K::QuotaExhausted)),
            ("Subscription required", Some(K::AccountBlocked)),
            ("Subscription paused", Some(K::AccountBlocked)),
            ("Plan Cancelled", Some(K::AccountBlocked)),
            ("[Blocked] x", Some(K::AccountBlocked)),
            ("Tos not accepted", Some(K::NeedsPerson)),
            ("Pending mod message", Some(K::NeedsPerson)),
            ("Action needed to continue", Some(K::NeedsPerson)),
            ("Failed to process your command...", Some(K::Transient)),
            ("[Internal error]...", Some(K::Transient)),
            ("Internal Server Error", Some(K::Transient)),
            ("Job Timeout", Some(K::Transient)),
            ("Job queued", Some(K::Transient)),
            // Somebody's words must not block the account.
            ("the request was blocked by a proxy", None),
            ("[", None),
            ("", None),
            ("something new", None),
        ] {
            assert_eq!(meaning(text).map(|(kind, _)| kind), kind, "{text}");
        }
    }
}
