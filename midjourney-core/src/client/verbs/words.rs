//! What texts about a failure mean: Midjourney's own words, which these upstreams pass on.

use crate::{
    client::http::{
        mask,
        named::says::{self, Sign},
    },
    job::{Failure, FailureKind, Spent},
};

/// What these upstreams say in words of their own, in lower case.
const SIGNS: [Sign; 3] = [
    (
        "output filters",
        FailureKind::Moderated,
        "Midjourney refused the picture it drew",
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
];

/// What `text` means, where its words are known. Codes spell them with `_`. What passes is left to the status that it came
/// with.
pub(in crate::client) fn judge(text: &str) -> Option<Sign> {
    let lower = text.to_lowercase().replace('_', " ");
    let lasting = |(sign, kind, _): &Sign| sign.contains(' ') && *kind != FailureKind::Transient;
    let of_midjourney = says::SIGNS.into_iter().filter(lasting);
    let mut signs = SIGNS.into_iter().chain(of_midjourney);
    signs.find(|(sign, ..)| lower.contains(sign))
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
            ("Unrecognized argument(s)", Some(K::InvalidPrompt)),
            ("Queue full", Some(K::QueueFull)),
            ("Credits exhausted", Some(K::QuotaExhausted)),
            ("Subscription required", Some(K::AccountBlocked)),
            ("Subscription paused", Some(K::AccountBlocked)),
            ("Plan Cancelled", Some(K::AccountBlocked)),
            ("Tos not accepted", Some(K::NeedsPerson)),
            ("Pending mod message", Some(K::NeedsPerson)),
            ("Action needed to continue", Some(K::NeedsPerson)),
            // The status that they come with says more.
            ("Internal server error", None),
            ("the request was blocked by a proxy", None),
            ("something else", None),
            ("", None),
        ] {
            assert_eq!(judge(text).map(|(_, kind, _)| kind), kind, "{text}");
        }
        assert_eq!(failed("", None, &[]).kind, K::Transient);
    }
}
