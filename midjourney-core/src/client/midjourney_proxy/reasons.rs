//! Why tasks fail, told from the gateway's words.

use crate::{
    client::http::named::says::{self, Sign},
    job::{Failure, FailureKind},
};

/// Why a task failed, by Midjourney's own words or, without any, by those of the gateway ("Embed titles used as error signs",
/// "failReason" of the wire facts).
pub(super) fn failed(reason: &str) -> Failure {
    let lower = reason.to_lowercase();
    match TEXTS.iter().find(|(sign, ..)| lower.contains(sign)) {
        Some((_, kind, message)) => says::failed_or(reason, (*kind, *message)),
        None => says::failed(reason, FailureKind::Transient),
    }
}

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
            ("[Unrecognized argument(s)] `--x`", FailureKind::InvalidPrompt),
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
