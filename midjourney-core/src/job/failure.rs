//! Why a job did not produce a picture.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The longest text kept from an upstream, in bytes.
const MAX_TEXT: usize = 2_000;

/// The one error model for every upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FailureKind {
    /// The upstream does not accept the prompt or a parameter; another text may pass.
    InvalidPrompt,
    /// The upstream refused the content; final.
    Moderated,
    /// The upstream, or this account at it, cannot do this action.
    Unsupported,
    /// The upstream's queue is full; nothing was spent.
    QueueFull,
    /// Too many requests; nothing was spent.
    RateLimited,
    /// The account has no credit left.
    QuotaExhausted,
    /// The account may not be used: key refused, banned, subscription ended.
    AccountBlocked,
    /// The account needs a person: a captcha, terms to accept, a message from a moderator.
    NeedsPerson,
    /// The upstream or the way to it failed in a passing way.
    Transient,
    /// A deadline of ours passed.
    TimedOut,
    /// The upstream no longer knows the task.
    LostAtUpstream,
    /// The upstream's answer could not be understood.
    BadAnswer,
    /// The finished pictures could not be fetched or are not pictures.
    ImageUnavailable,
    /// The links to the finished pictures had died before they were fetched.
    ImageExpired,
    /// The pictures could not be written to our own storage.
    StorageFailed,
    /// The submit's answer was lost, and nothing showed within the limit whether it was accepted.
    SubmitUnknown,
    /// The upstream says the task was cancelled there.
    CancelledAtUpstream,
}

impl FailureKind {
    /// Whether it is about the account and not about the job: another account may take the same job.
    pub const fn concerns_account(self) -> bool {
        matches!(
            self,
            Self::QuotaExhausted | Self::AccountBlocked | Self::NeedsPerson
        )
    }

    /// The stable code shown to callers.
    pub const fn code(self) -> &'static str {
        match self {
            Self::InvalidPrompt => "invalid_prompt",
            Self::Moderated => "moderated",
            Self::Unsupported => "unsupported",
            Self::QueueFull => "queue_full",
            Self::RateLimited => "rate_limited",
            Self::QuotaExhausted => "quota_exhausted",
            Self::AccountBlocked => "account_blocked",
            Self::NeedsPerson => "needs_person",
            Self::Transient => "transient",
            Self::TimedOut => "timed_out",
            Self::LostAtUpstream => "lost_at_upstream",
            Self::BadAnswer => "bad_answer",
            Self::ImageUnavailable => "image_unavailable",
            Self::ImageExpired => "image_expired",
            Self::StorageFailed => "storage_failed",
            Self::SubmitUnknown => "submit_unknown",
            Self::CancelledAtUpstream => "cancelled_at_upstream",
        }
    }
}

/// Whether a failed job may have cost something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(
    clippy::exhaustive_enums,
    reason = "there is no fourth answer, and every reader must face all three"
)]
pub enum Spent {
    /// Nothing was spent.
    No,
    /// Nobody can tell.
    Maybe,
    /// The upstream accepted the job; it charges by its own rules.
    Yes,
}

/// Why a job ended without a picture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Failure {
    /// Which class of failure.
    pub kind: FailureKind,
    /// One plain sentence for people.
    pub message: String,
    /// The upstream's own words, cut to 2,000 bytes, control characters removed. Untrusted text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream_text: Option<String>,
    /// Whether it may have cost something.
    pub spent: Spent,
}

impl Failure {
    /// A failure of `kind` before anything was spent.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: clean(&message.into()),
            upstream_text: None,
            spent: Spent::No,
        }
    }

    /// The same failure with the upstream's own words. The caller has masked secrets.
    pub fn with_upstream_text(mut self, text: &str) -> Self {
        self.upstream_text = Some(clean(text));
        self
    }

    /// The same failure with another cost.
    pub const fn with_spent(mut self, spent: Spent) -> Self {
        self.spent = spent;
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.kind.code())
    }
}

/// Upstream texts come from strangers and reach terminals, logs and models: no control characters, no
/// bidirectional overrides, bounded length.
fn clean(text: &str) -> String {
    let mut kept = String::new();
    for c in text.chars() {
        let hidden = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
        if kept.len() + c.len_utf8() > MAX_TEXT {
            break;
        }
        if c == '\n' || c == '\t' {
            kept.push(' ');
        } else if !c.is_control() && !hidden {
            kept.push(c);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn upstream_text_is_bounded_and_harmless() {
        let failure = Failure::new(FailureKind::Moderated, "refused")
            .with_upstream_text(&format!("a\u{1b}[31m\u{202e}b\nc{}", "é".repeat(2_000)));
        let text = failure.upstream_text.unwrap();
        assert!(text.starts_with("a[31mb c"), "{text}");
        assert!(text.len() <= MAX_TEXT);
    }
}
