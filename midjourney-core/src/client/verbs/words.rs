//! What texts about a failure mean: Midjourney's own words, which these upstreams pass on.

use crate::{
    client::http::mask,
    job::{Failure, FailureKind, Spent},
};

/// A text that is known, and what it means.
pub(in crate::client) type Sign = (&'static str, FailureKind, &'static str);

/// "Error and moderation texts" of the wire facts, in lower case.
const SIGNS: [Sign; 16] = [
    (
        "banned prompt",
        FailureKind::Moderated,
        "Midjourney refused the prompt",
    ),
    (
        "output filters",
        FailureKind::Moderated,
        "Midjourney refused the picture it drew",
    ),
    (
        "image denied",
        FailureKind::Moderated,
        "Midjourney refused an image in the prompt",
    ),
    (
        "sensitive",
        FailureKind::Moderated,
        "the upstream refused the content",
    ),
    (
        "moderat",
        FailureKind::Moderated,
        "the upstream refused the content",
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
        "plan cancelled",
        FailureKind::AccountBlocked,
        "the Midjourney account's plan has ended",
    ),
    (
        "tos not accepted",
        FailureKind::NeedsPerson,
        "Midjourney's terms have to be accepted",
    ),
    (
        "pending mod message",
        FailureKind::NeedsPerson,
        "a Midjourney moderator wants an answer",
    ),
    (
        "action needed to continue",
        FailureKind::NeedsPerson,
        "Midjourney wants a person to act",
    ),
];

/// What `text` means, where its words are known. Codes spell them with `_`.
pub(in crate::client) fn judge(text: &str) -> Option<Sign> {
    let lower = text.to_lowercase().replace('_', " ");
    SIGNS.into_iter().find(|(sign, ..)| lower.contains(sign))
}

/// Why a task failed that says `text`, once it was accepted; without known words it is `otherwise`.
pub(in crate::client) fn failed(text: &str, otherwise: Option<Sign>, secrets: &[&str]) -> Failure {
    let unknown = ("", FailureKind::Transient, "the upstream could not draw this");
    let (_, kind, message) = judge(text).or(otherwise).unwrap_or(unknown);
    let failure = Failure::new(kind, message).with_spent(Spent::Yes);
    if text.is_empty() {
        failure
    } else {
        failure.with_upstream_text(&mask(text, secrets))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_told_apart_row_by_row() {
        use FailureKind as K;
        for (text, kind) in [
            ("Banned prompt detected: x", Some(K::Moderated)),
            ("Request cancelled due to output filters", Some(K::Moderated)),
            ("[Image denied]", Some(K::Moderated)),
            ("Sensitive words", Some(K::Moderated)),
            ("content_moderation", Some(K::Moderated)),
            ("Invalid prompt", Some(K::InvalidPrompt)),
            ("invalid_parameter", Some(K::InvalidPrompt)),
            ("Invalid link!", Some(K::InvalidPrompt)),
            ("Queue full", Some(K::QueueFull)),
            ("Credits exhausted", Some(K::QuotaExhausted)),
            ("Subscription required", Some(K::AccountBlocked)),
            ("Subscription paused", Some(K::AccountBlocked)),
            ("Plan Cancelled", Some(K::AccountBlocked)),
            ("Tos not accepted", Some(K::NeedsPerson)),
            ("Pending mod message", Some(K::NeedsPerson)),
            ("Action needed to continue", Some(K::NeedsPerson)),
            ("something else", None),
            ("", None),
        ] {
            assert_eq!(judge(text).map(|(_, kind, _)| kind), kind, "{text}");
        }
        assert_eq!(failed("", None, &[]).kind, K::Transient);
    }
}
