//! What answers mean. Everything here is pure.

use serde::de::DeserializeOwned;

use super::{
    actions::upscalers,
    wire::{Job, Refused, Renewed, Submitted},
};
use crate::{
    client::{
        ClientError,
        http::{
            List, Loose, Reply, Text, by_status, garbled,
            named::{
                answer::{self, read, unexplained},
                says::{failed, meaning},
                task::texts,
            },
            packed, task_id, trouble,
        },
    },
    image::ImageKind,
    job::{Failure, FailureKind, RemoteAction, RemoteImage, RemoteResult, RemoteStatus, Spent, UpstreamId},
};

/// What is said of Cloudflare's refusal.
pub(super) const BARRED: &str =
    "Cloudflare does not let this program through; only a person in a browser gets further";

/// The error for a call that Cloudflare refused: it never reached the service.
pub(super) fn barred(reply: &Reply<'_>) -> ClientError {
    ClientError::refused(Failure::new(FailureKind::NeedsPerson, BARRED)).with_source(reply.said())
}

/// The error for an answer with which somebody refused the caller, not the call ("401 = session, 403 = Cloudflare").
fn shut_out(reply: &Reply<'_>) -> Option<ClientError> {
    match reply.status {
        403 => Some(barred(reply)),
        401 => {
            let message = "the session has ended; sign in again and store its tokens";
            let failure = Failure::new(FailureKind::NeedsPerson, message);
            Some(ClientError::refused(failure).with_source(reply.said()))
        }
        _ => None,
    }
}

/// What the answer to a submit means, or to describing.
pub(super) fn submitted(reply: &Reply<'_>) -> Result<UpstreamId, ClientError> {
    if let Some(error) = shut_out(reply) {
        return Err(error);
    }
    match reply.status {
        200..=299 => accepted(reply),
        402 | 429 => Err(by_status(reply).unwrap_or_else(|| unexplained(reply))),
        _ => Err(unexplained(reply)),
    }
}

fn accepted(reply: &Reply<'_>) -> Result<UpstreamId, ClientError> {
    let answer: Submitted = read(reply);
    if let Some(Loose(started)) = answer.success.0.first() {
        // One was asked for; of several, the others are nobody's.
        return task_id(started.job_id.as_str())
            .ok_or_else(|| garbled(reply, "the upstream started a job but did not name it"));
    }
    if let Some(Loose(refused)) = answer.failure.0.first() {
        return Err(refusal(refused, reply));
    }
    let lines = answer.data.0.descriptions.0.iter().map(Text::as_str);
    match texts(lines, reply.secrets) {
        texts if texts.is_empty() => Err(unexplained(reply)),
        texts => Ok(packed::write(&texts)),
    }
}

/// The error for a job that is listed as refused: it was not started.
fn refusal(refused: &Refused, reply: &Reply<'_>) -> ClientError {
    let (kind, message) = match refused.kind.as_str() {
        "invalid_parameter" => (
            FailureKind::InvalidPrompt,
            "Midjourney does not accept a parameter",
        ),
        "invalid_link" => (
            FailureKind::InvalidPrompt,
            "Midjourney could not read a link in the prompt",
        ),
        _ => meaning(refused.message.as_str()).unwrap_or((
            FailureKind::BadAnswer,
            "Midjourney refused the job for a reason that is not known here",
        )),
    };
    let words = match (refused.kind.as_str(), refused.message.as_str()) {
        (kind, "") => kind.to_owned(),
        ("", message) => message.to_owned(),
        (kind, message) => format!("{kind}: {message}"),
    };
    let failure = Failure::new(kind, message).with_upstream_text(&reply.text(&words));
    let error = match kind {
        FailureKind::QueueFull | FailureKind::Transient => ClientError::not_now(failure, reply.wait()),
        _ => ClientError::refused(failure),
    };
    error.with_source(reply.said())
}

/// The answer to a question that must be answered.
pub(super) fn asked<T: Default + DeserializeOwned>(reply: &Reply<'_>) -> Result<T, ClientError> {
    if let Some(error) = shut_out(reply) {
        return Err(error);
    }
    match reply.status {
        200..=299 => Ok(read(reply)),
        413..=415 => Err(ClientError::refused(Failure::new(
            FailureKind::InvalidPrompt,
            "the upstream does not take a picture of this size or kind",
        ))
        .with_source(reply.said())),
        _ => Err(by_status(reply).unwrap_or_else(|| {
            trouble(
                FailureKind::Transient,
                "the upstream does not answer as it should",
                reply,
            )
        })),
    }
}

/// An answer that lacks what was asked for.
pub(super) fn unreadable(reply: &Reply<'_>) -> ClientError {
    answer::unreadable(reply)
}

/// The tokens in the answer of the token service.
pub(super) fn renewed(reply: &Reply<'_>) -> Result<Renewed, ClientError> {
    match reply.status {
        200..=299 => Ok(read(reply)),
        400 | 401 | 403 => {
            let message = "the session can no longer be renewed; sign in again and store its tokens";
            Err(
                ClientError::refused(Failure::new(FailureKind::NeedsPerson, message))
                    .with_source(reply.said()),
            )
        }
        _ => Err(by_status(reply).unwrap_or_else(|| {
            trouble(
                FailureKind::Transient,
                "the session cannot be renewed at the moment",
                reply,
            )
        })),
    }
}

/// What the answer to asking for the job `id` means, whose pictures are below `cdn`.
pub(super) fn fetched(reply: &Reply<'_>, id: &UpstreamId, cdn: &str) -> Result<RemoteStatus, ClientError> {
    if let Some(error) = shut_out(reply) {
        return Err(error);
    }
    if !(200..=299).contains(&reply.status) {
        return Err(by_status(reply).unwrap_or_else(|| {
            trouble(
                FailureKind::Transient,
                "the upstream does not tell about the job",
                reply,
            )
        }));
    }
    let jobs: Option<List<Loose<Job>>> = serde_json::from_slice(reply.body).ok();
    let listed = reply.body.trim_ascii_start().starts_with(b"[");
    let Some(List(jobs)) = jobs.filter(|_| listed) else {
        return Err(unreadable(reply));
    };
    let of_id = |Loose(job): &&Loose<Job>| job.id.as_str().eq_ignore_ascii_case(id.as_str());
    match jobs.iter().find(of_id) {
        Some(Loose(job)) => Ok(status_of(job, id, cdn)),
        None if jobs.is_empty() => Ok(RemoteStatus::Missing),
        None => Err(unreadable(reply)),
    }
}

/// What a job says about itself. Only `completed` was ever seen; the other words are what clients expect, and one that
/// is not known must not fail jobs.
fn status_of(job: &Job, id: &UpstreamId, cdn: &str) -> RemoteStatus {
    match job.status.as_str().to_ascii_lowercase().as_str() {
        "completed" => RemoteStatus::Succeeded(result(job, id, cdn)),
        "queued" => RemoteStatus::Waiting,
        "cancelled" | "canceled" => RemoteStatus::Cancelled,
        "moderated" => RemoteStatus::Failed(
            Failure::new(FailureKind::Moderated, "Midjourney refused the picture it drew")
                .with_spent(Spent::Yes),
        ),
        "failed" => RemoteStatus::Failed(failed("", FailureKind::Transient)),
        _ => RemoteStatus::Running { progress: None },
    }
}

/// The pictures of a finished job, or its videos, whose addresses follow from its id ("Result files" of the wire facts).
fn result(job: &Job, id: &UpstreamId, cdn: &str) -> RemoteResult {
    let kind = job.kind.as_str();
    let video = kind.starts_with("vid_");
    let several = || if video || kind.contains("diffusion") { 4 } else { 1 };
    let count: u8 = job.batch_size.as_str().parse().unwrap_or_else(|_| several());
    let images = (0..count.clamp(1, 4)).map(|index| {
        let url = if video {
            format!("{cdn}/video/{id}/{index}.mp4")
        } else {
            format!("{cdn}/{id}/0_{index}.png")
        };
        RemoteImage::new(url, ImageKind::Single, index + 1)
    });
    let offers = upscalers(job.kind.as_str()).iter();
    RemoteResult::new(images.collect())
        .with_actions(offers.map(|(id, label)| RemoteAction::new(*id, *label)).collect())
}
