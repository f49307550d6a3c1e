//! Answers of any of these upstreams. Everything here is pure.

use serde::de::DeserializeOwned;

use crate::{
    client::{
        ClientError,
        http::{Loose, Reply, Text, by_status, garbled, trouble},
    },
    job::{Failure, FailureKind},
};

/// A body, leniently read; its default where it is no JSON.
pub(in crate::client) fn read<T: Default + DeserializeOwned>(reply: &Reply<'_>) -> T {
    serde_json::from_slice::<Loose<T>>(reply.body)
        .map(|Loose(value)| value)
        .unwrap_or_default()
}

/// The error for a submit whose answer nothing else explains.
pub(in crate::client) fn unexplained(reply: &Reply<'_>) -> ClientError {
    unworked(reply).unwrap_or_else(|| match reply.status {
        400..=499 => garbled(
            reply,
            "the upstream's answer does not say whether it took the task",
        ),
        200..=299 => garbled(reply, "the upstream's answer could not be understood"),
        _ => garbled(reply, "the upstream failed while it took the task"),
    })
}

/// The error for a submit that was not worked on, told by a status with which HTTP itself says so (source: RFC 9110);
/// `None` for all others. Other redirects are also how a server shows the way to the result of its work.
fn unworked(reply: &Reply<'_>) -> Option<ClientError> {
    let (kind, message) = match reply.status {
        307 | 308 => (
            FailureKind::BadAnswer,
            "the upstream redirects; configure the address it redirects to",
        ),
        404 | 405 => (
            FailureKind::Unsupported,
            "the upstream has no such route or no such parent task; check the base URL",
        ),
        413..=415 => (
            FailureKind::InvalidPrompt,
            "the upstream does not take a request of this size or kind",
        ),
        _ => return None,
    };
    Some(ClientError::refused(Failure::new(kind, message)).with_source(reply.said()))
}

/// The body of an answer to asking for a task; `None` where the upstream does not know it.
pub(in crate::client) fn told<T: Default + DeserializeOwned>(
    reply: &Reply<'_>,
) -> Result<Option<T>, ClientError> {
    match reply.status {
        200..=299 => serde_json::from_slice::<Loose<T>>(reply.body)
            .map(|Loose(value)| Some(value))
            .map_err(|_| unreadable(reply)),
        404 | 410 => Ok(None),
        500..=599 => {
            let message = "the upstream failed while telling about the task";
            Err(trouble(FailureKind::Transient, message, reply))
        }
        _ => Err(by_status(reply).unwrap_or_else(|| {
            let message = "the upstream does not tell about the task";
            trouble(FailureKind::BadAnswer, message, reply)
        })),
    }
}

/// An answer about a task that tells nothing about it.
pub(in crate::client) fn unreadable(reply: &Reply<'_>) -> ClientError {
    let message = "the upstream's answer could not be understood";
    trouble(FailureKind::BadAnswer, message, reply)
}

/// The seed that `find` reads in an answer to asking for it.
pub(in crate::client) fn seed<T: Default + DeserializeOwned>(
    reply: &Reply<'_>,
    find: fn(&T) -> &Text,
) -> Result<Option<u32>, ClientError> {
    if !(200..=299).contains(&reply.status) {
        return Err(by_status(reply).unwrap_or_else(|| {
            let message = "the upstream does not tell the seed at the moment";
            trouble(FailureKind::Transient, message, reply)
        }));
    }
    Ok(find(&read(reply)).as_str().parse().ok())
}

#[cfg(feature = "testing")]
impl<'a> Reply<'a> {
    /// An answer without headers, which holds no secrets.
    pub(in crate::client) fn bare(status: u16, body: &'a [u8]) -> Self {
        Self {
            status,
            body,
            retry_after: None,
            now: crate::clock::Timestamp::default(),
            secrets: &[],
        }
    }
}
