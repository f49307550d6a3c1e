//! An answer, and what can be said of it whatever was asked. Everything here is pure.

use std::time::Duration;

use crate::{
    client::ClientError,
    clock::Timestamp,
    job::{Failure, FailureKind, Spent, UpstreamId},
    net::retry_after,
};

/// The longest wait that an upstream can ask for.
const MAX_WAIT: Duration = Duration::from_secs(3_600);

/// The longest address of a picture.
const MAX_URL: usize = 4_096;

/// How much of an answer is kept for the log, in bytes.
const MAX_EXCERPT: usize = 2_000;

/// `text`, where it is a link to the web that may be kept.
pub(in crate::client) fn web_link(text: &str) -> Option<&str> {
    let web = text.starts_with("https://") || text.starts_with("http://");
    (web && text.len() <= MAX_URL).then_some(text)
}

/// An answer, with what must not be repeated from it.
#[derive(Clone, Copy)]
pub(in crate::client) struct Reply<'a> {
    pub(in crate::client) status: u16,
    pub(in crate::client) body: &'a [u8],
    pub(in crate::client) retry_after: Option<&'a str>,
    pub(in crate::client) now: Timestamp,
    /// The key and the callback address.
    pub(in crate::client) secrets: &'a [&'a str],
}

/// An answer as it goes to the log.
#[derive(Debug, thiserror::Error)]
#[error("the upstream answered HTTP {status}: {excerpt}")]
pub(in crate::client) struct Said {
    status: u16,
    excerpt: String,
}

impl Reply<'_> {
    /// The beginning of the body, without secrets.
    pub(in crate::client) fn said(&self) -> Said {
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

    /// `text` without secrets.
    pub(in crate::client) fn text(&self, text: &str) -> String {
        mask(text, self.secrets)
    }

    /// How long it asks to wait.
    pub(in crate::client) fn wait(&self) -> Option<Duration> {
        self.retry_after
            .and_then(|text| retry_after(text, self.now, MAX_WAIT))
    }
}

/// `text` without the `secrets`. Very short ones are left: masking a letter would tell which letter it is.
pub(in crate::client) fn mask(text: &str, secrets: &[&str]) -> String {
    let mut masked = text.to_owned();
    for secret in secrets.iter().filter(|secret| secret.len() >= 4) {
        masked = masked.replace(secret, "***");
    }
    masked
}

/// An id that is fit for a path: letters, digits, `-`, `_`, `.` and `:`.
pub(in crate::client) fn task_id(text: &str) -> Option<UpstreamId> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':');
    let fits = (1..=128).contains(&text.len()) && text.bytes().all(plain) && !text.bytes().all(|b| b == b'.');
    fits.then(|| UpstreamId::new(text))
}

/// The error for an HTTP status that says the same whatever was asked; `None` for those that do not.
pub(in crate::client) fn by_status(reply: &Reply<'_>) -> Option<ClientError> {
    let error = match reply.status {
        401 | 403 => ClientError::refused(Failure::new(
            FailureKind::AccountBlocked,
            "the upstream refused the key; check it (and, for midjourney-proxy, the dialect)",
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

/// A submit's answer that does not tell whether the task was started.
pub(in crate::client) fn garbled(reply: &Reply<'_>, message: &str) -> ClientError {
    let kind = if reply.status >= 500 {
        FailureKind::Transient
    } else {
        FailureKind::BadAnswer
    };
    ClientError::lost(Failure::new(kind, message).with_spent(Spent::Maybe)).with_source(reply.said())
}

/// A passing trouble with a question that is free to repeat.
pub(in crate::client) fn trouble(kind: FailureKind, message: &str, reply: &Reply<'_>) -> ClientError {
    ClientError::not_now(Failure::new(kind, message), reply.wait()).with_source(reply.said())
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn ids_that_would_change_the_path_are_not_ids() {
        assert!(task_id("1700000000000123").is_some());
        for bad in ["", ".", "..", "a/b", "a b", "1,2", "a?b", "a%2f", "é"] {
            assert_eq!(task_id(bad), None, "{bad}");
        }
    }
}
