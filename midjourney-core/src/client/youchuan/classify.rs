//! What answers mean. Everything here is pure. The spelling mistakes are the upstream's.

use super::wire::Job;
use crate::{
    client::{
        ClientError,
        http::{Loose, Reply, named::says::Sign, web_link},
        verbs::{self, films, singles},
    },
    image::ImageKind,
    job::{Action, Failure, FailureKind, RemoteImage, RemoteResult, RemoteStatus, UpstreamId},
};

/// How many pictures a job gives at most.
const MAX_PICTURES: usize = 4;

/// The reasons of refusals ("HTTP | reason", wire facts), but for those of 5xx, which may come after the work.
const REASONS: [Sign; 14] = [
    (
        "Invalid_Argument",
        FailureKind::InvalidPrompt,
        "the upstream does not accept the request",
    ),
    (
        "Invalid_Prompt_Parameter",
        FailureKind::InvalidPrompt,
        "Midjourney does not accept a parameter",
    ),
    (
        "Cancel_Job_Not_Runnig",
        FailureKind::Unsupported,
        "the task is over",
    ),
    (
        "Job_ReUpscale_Not_Support",
        FailureKind::Unsupported,
        "the picture was upscaled before",
    ),
    (
        "Invalid_App_Identifier",
        FailureKind::AccountBlocked,
        "the upstream refused the key",
    ),
    (
        "Account_Fee_Not_Enough",
        FailureKind::QuotaExhausted,
        "the account at the upstream has no credit left",
    ),
    (
        "No_More_Relax_Credit",
        FailureKind::QuotaExhausted,
        "the account at the upstream has no relax credit left",
    ),
    (
        "Permission_Denied",
        FailureKind::AccountBlocked,
        "the account at the upstream may not do this",
    ),
    (
        "Msg_Sensitive",
        FailureKind::Moderated,
        "the upstream refused the content",
    ),
    (
        "Upscale_Not_Support",
        FailureKind::Unsupported,
        "the upstream does not upscale this picture",
    ),
    (
        "Relax_Not_Allow",
        FailureKind::Unsupported,
        "the account at the upstream has no relax mode",
    ),
    (
        "No_Avaliable_Plan",
        FailureKind::AccountBlocked,
        "the account at the upstream has no plan",
    ),
    (
        "Not_Support",
        FailureKind::Unsupported,
        "the upstream does not do this",
    ),
    (
        "Max_Concurrent_Limited",
        FailureKind::QueueFull,
        "the account at the upstream is working on as much as it may",
    ),
];

/// The comments of jobs that failed, without the prefix `JobStatus` ("`comment` values", wire facts).
const COMMENTS: [Sign; 14] = [
    ("Fail", FailureKind::Transient, "the upstream could not draw this"),
    ("Error", FailureKind::Transient, "the upstream broke down"),
    ("Reject", FailureKind::Moderated, "Midjourney refused the content"),
    (
        "TextReject",
        FailureKind::Moderated,
        "Midjourney refused the prompt",
    ),
    (
        "ImagePromptDenied",
        FailureKind::Moderated,
        "Midjourney refused an image in the prompt",
    ),
    (
        "BadPrompt",
        FailureKind::InvalidPrompt,
        "Midjourney does not accept the prompt",
    ),
    (
        "InvalidParameter",
        FailureKind::InvalidPrompt,
        "Midjourney does not accept a parameter",
    ),
    (
        "InvalidImagePromptLink",
        FailureKind::InvalidPrompt,
        "Midjourney could not read a link in the prompt",
    ),
    (
        "DuplicateImage",
        FailureKind::InvalidPrompt,
        "Midjourney wants different images in the prompt",
    ),
    (
        "Timeout",
        FailureKind::Transient,
        "the upstream gave up waiting for the task",
    ),
    (
        "RequestTimeout",
        FailureKind::Transient,
        "the upstream gave up waiting for the task",
    ),
    (
        "MaxConcurrentLimited",
        FailureKind::QueueFull,
        "the account at the upstream is working on as much as it may",
    ),
    (
        "CreditNotEnough",
        FailureKind::QuotaExhausted,
        "the account at the upstream has no credit left",
    ),
    (
        "Canceled",
        FailureKind::CancelledAtUpstream,
        "the upstream cancelled the task",
    ),
];

/// What the answer to a submit means.
pub(super) fn submitted(
    reply: &Reply<'_>,
    action: Action,
    follow_up: bool,
) -> Result<UpstreamId, ClientError> {
    let parsed = serde_json::from_slice::<Loose<Job>>(reply.body).ok();
    let job = parsed.map(|Loose(job)| job).unwrap_or_default();
    let parts = [job.reason.as_str(), job.message.as_str()];
    let words = parts.iter().filter(|part| !part.is_empty());
    let words = words.copied().collect::<Vec<_>>().join(": ");
    verbs::submitted(reply, &job.id, &words, follow_up, || refusal(&job, action, reply))
}

fn refusal(job: &Job, action: Action, reply: &Reply<'_>) -> Option<ClientError> {
    // "`extend-video`: at most 4 times, then HTTP 405"
    if reply.status == 405 && matches!(action, Action::Extend { .. }) {
        let failure = Failure::new(
            FailureKind::Unsupported,
            "the upstream makes a video longer four times at most",
        );
        return Some(ClientError::refused(failure).with_source(reply.said()));
    }
    let reason = job.reason.as_str();
    let (_, kind, message) = REASONS.into_iter().find(|(sign, ..)| *sign == reason)?;
    let failure = Failure::new(kind, message);
    let error = match kind {
        // "429 `Max_Concurrent_Limited`"
        FailureKind::QueueFull => ClientError::not_now(failure, reply.wait()),
        _ => ClientError::refused(failure),
    };
    Some(error.with_source(reply.said()))
}

/// What the answer to fetching the job `id` means.
pub(super) fn fetched(reply: &Reply<'_>, id: &UpstreamId) -> Result<RemoteStatus, ClientError> {
    let job = verbs::fetched(reply, id, |job: &Job| &job.id)?;
    Ok(job.map_or(RemoteStatus::Missing, |job| status_of(&job, reply.secrets)))
}

/// What a job says about itself ("`status`: 1 running, 2 success, 3 failed").
pub(super) fn status_of(job: &Job, secrets: &[&str]) -> RemoteStatus {
    let running = RemoteStatus::Running { progress: None };
    let comment = job.comment.as_str();
    let comment = comment.strip_prefix("JobStatus").unwrap_or(comment);
    let failure = COMMENTS.into_iter().find(|(sign, ..)| *sign == comment);
    match (job.status.as_str(), failure) {
        // "Success can come before the URLs are filled."
        ("2", _) => Some(images(job))
            .filter(|images| !images.is_empty())
            .map_or(running, |images| {
                RemoteStatus::Succeeded(RemoteResult::new(images))
            }),
        ("1", _) if matches!(comment, "Created" | "Queued") => RemoteStatus::Waiting,
        ("1", _) => running,
        // The comment alone tells that a status which is not known is an end.
        (_, Some((_, FailureKind::CancelledAtUpstream, _))) => RemoteStatus::Cancelled,
        (_, Some(_)) | ("3", None) => {
            let words = if job.message.as_str().is_empty() {
                job.comment.as_str()
            } else {
                job.message.as_str()
            };
            RemoteStatus::Failed(verbs::failed(words, failure, secrets))
        }
        _ if matches!(comment, "Created" | "Queued") => RemoteStatus::Waiting,
        _ => running,
    }
}

/// The pictures by their own numbers where those are told, or else by their places; of a video job, the videos so.
///
/// The documentation has one job object with `urls` for every verb, those of videos as well.
fn images(job: &Job) -> Vec<RemoteImage> {
    let (numbered, placed) = (numbered(job), singles(&job.urls.0, MAX_PICTURES));
    let whole = web_link(job.video_url.as_str()).map(|url| RemoteImage::new(url, ImageKind::Single, 1));
    let found = [films(&numbered), films(&placed), whole.into_iter().collect()];
    let mut found = found.into_iter().chain([numbered, placed]);
    found.find(|images| !images.is_empty()).unwrap_or_default()
}

fn numbered(job: &Job) -> Vec<RemoteImage> {
    let numbered = job.img_urls.0.iter().filter_map(|Loose(picture)| {
        let url = web_link(picture.url.as_str())?;
        let no: u8 = picture.no.as_str().parse().ok().filter(|no| *no < 4)?;
        Some(RemoteImage::new(url, ImageKind::Single, no + 1))
    });
    let mut images: Vec<RemoteImage> = numbered.collect();
    images.sort_by_key(|image| image.index);
    images.dedup_by_key(|image| image.index);
    images
}
