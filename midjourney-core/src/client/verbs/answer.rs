//! What answers mean before anything in them is looked at that differs between the upstreams.

use serde::de::DeserializeOwned;

use crate::{
    client::{
        ClientError,
        http::{
            Loose, Reply, Text, by_status, garbled,
            named::{
                answer::unreadable,
                task::{bad_callback, callback as read_callback},
            },
            task_id, trouble,
        },
    },
    job::{Failure, FailureKind, UpstreamId},
};

/// What the answer to a submit means that names the task `id`. `told` is the refusal that it spells in the upstream's own
/// terms, asked for only where its status is one of a refusal.
///
/// Only what is named as a refusal counts as one; whatever else comes back may have started the task.
pub(in crate::client) fn submitted(
    reply: &Reply<'_>,
    id: &Text,
    words: &str,
    follow_up: bool,
    told: impl FnOnce() -> Option<ClientError>,
) -> Result<UpstreamId, ClientError> {
    let error = match reply.status {
        200..=299 => {
            return task_id(id.as_str()).ok_or_else(|| garbled(reply, "the upstream's answer names no task"));
        }
        // These two ask for the same request elsewhere: it was not worked on. The others are also how a server shows
        // the way to the result of its work.
        307 | 308 => ClientError::refused(Failure::new(
            FailureKind::BadAnswer,
            "the upstream redirects; configure the address it redirects to",
        ))
        .with_source(reply.said()),
        300..=399 => garbled(
            reply,
            "the upstream redirects; configure the address it redirects to",
        ),
        400..=499 if !id.as_str().is_empty() => {
            garbled(reply, "the upstream both refused the task and named it")
        }
        400..=499 => told()
            .or_else(|| refusal(reply, follow_up))
            .unwrap_or_else(|| garbled(reply, "the upstream's answer could not be understood")),
        _ => garbled(reply, "the upstream failed while it took the task"),
    };
    Err(with_words(error, reply, words))
}

/// What a status means that all three upstreams use alike: 400, 401, 402, 403, 404, 405, 413, 422 and 429 ("HTTP errors",
/// wire facts).
fn refusal(reply: &Reply<'_>, follow_up: bool) -> Option<ClientError> {
    let (kind, message) = match reply.status {
        400 | 413 | 422 => (FailureKind::InvalidPrompt, "the upstream refused the request"),
        404 if follow_up => (
            FailureKind::LostAtUpstream,
            "the upstream no longer knows the parent task",
        ),
        404 | 405 => (
            FailureKind::Unsupported,
            "the upstream has no such route; check the base URL",
        ),
        _ => return by_status(reply),
    };
    Some(ClientError::refused(Failure::new(kind, message)).with_source(reply.said()))
}

fn with_words(mut error: ClientError, reply: &Reply<'_>, words: &str) -> ClientError {
    if !words.is_empty() {
        error.failure = error.failure.with_upstream_text(&reply.text(words));
    }
    error
}

/// The task in the answer to asking for the task `id`, told by `ids`; `None` where the upstream does not know it.
pub(in crate::client) fn fetched<T: Default + DeserializeOwned>(
    reply: &Reply<'_>,
    id: &UpstreamId,
    ids: impl Fn(&T) -> &Text,
) -> Result<Option<T>, ClientError> {
    match reply.status {
        200..=299 => {
            let Loose(task) =
                serde_json::from_slice::<Loose<T>>(reply.body).map_err(|_| unreadable(reply))?;
            // Another task's pictures must never become this job's.
            if ids(&task).as_str() == id.as_str() {
                Ok(Some(task))
            } else {
                Err(unreadable(reply))
            }
        }
        // A wrong address is answered with a page, an unknown task with nothing or with an object.
        404 if matches!(reply.body.trim_ascii().first(), None | Some(b'{')) => Ok(None),
        500..=599 => Err(trouble(
            FailureKind::Transient,
            "the upstream failed while telling about the task",
            reply,
        )),
        _ => Err(by_status(reply).unwrap_or_else(|| {
            trouble(
                FailureKind::BadAnswer,
                "the upstream does not tell about the task",
                reply,
            )
        })),
    }
}

/// The task in a callback, with its name told by `ids`.
pub(in crate::client) fn callback<T: Default + DeserializeOwned>(
    body: &[u8],
    ids: impl Fn(&T) -> &Text,
) -> Result<(UpstreamId, T), ClientError> {
    let task = read_callback(body)?;
    let id = task_id(ids(&task).as_str()).ok_or_else(|| bad_callback("the callback names no task"))?;
    Ok((id, task))
}
