//! What upstreams share that take actions by plain names, one task each.

mod offered;
mod says;
mod task;
mod wording;

pub(in crate::client) use self::{
    offered::{Name, allowed, pick, start, unsupported},
    says::{failed, meaning},
    task::{bad_callback, callback, is_grid, link, links, offers, pictures, progress, texts},
    wording::{SPEEDS, Wording, base64_of, has_own_prompt, link_of, with_images},
};
use super::Reply;
use crate::{
    client::ClientError,
    job::{Failure, FailureKind},
};

/// The error for a submit that was not worked on, told by a status with which HTTP itself says so (source: RFC 9110);
/// `None` for all others. Other redirects are also how a server shows the way to the result of its work.
pub(in crate::client) fn unworked(reply: &Reply<'_>) -> Option<ClientError> {
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
