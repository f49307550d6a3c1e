//! What answers mean. Everything here is pure.

use super::{
    actions,
    wire::{Output, Task},
};
use crate::{
    client::{
        ClientError,
        http::{Loose, Reply, Text, web_link},
        verbs::{self, judge, singles},
    },
    image::ImageKind,
    job::{Failure, FailureKind, RemoteAction, RemoteImage, RemoteResult, RemoteStatus, UpstreamId},
};

/// How many pictures a task gives at most.
const MAX_PICTURES: usize = 4;

/// How many offers of a task are kept.
const MAX_OFFERS: usize = 128;

/// What the answer to a submit means.
pub(super) fn submitted(reply: &Reply<'_>, follow_up: bool) -> Result<UpstreamId, ClientError> {
    let parsed = serde_json::from_slice::<Loose<Task>>(reply.body).ok();
    let task = parsed.map(|Loose(task)| task).unwrap_or_default();
    let words = task.words();
    verbs::submitted(reply, &task.job_id, &words, follow_up, || {
        let refused =
            |kind, message: &str| ClientError::refused(Failure::new(kind, message)).with_source(reply.said());
        match reply.status {
            400 | 422 => judge(&words).map(|(_, kind, message)| refused(kind, message)),
            // "403 (sensitive)". Without words it is somebody else's 403, such as a proxy's.
            403 if !words.is_empty() => Some(refused(
                FailureKind::Moderated,
                "the upstream refused the content",
            )),
            _ => None,
        }
    })
}

/// What the answer to fetching the task `id` means.
pub(super) fn fetched(reply: &Reply<'_>, id: &UpstreamId) -> Result<RemoteStatus, ClientError> {
    let task = verbs::fetched(reply, id, |task: &Task| &task.job_id)?;
    Ok(task.map_or(RemoteStatus::Missing, |task| status_of(&task, reply.secrets)))
}

/// The seed in the answer to fetching the task `id`.
pub(super) fn seed(reply: &Reply<'_>, id: &UpstreamId) -> Result<Option<u32>, ClientError> {
    let task = verbs::fetched(reply, id, |task: &Task| &task.job_id)?;
    Ok(task.and_then(|task| task.output.0.seed.as_str().parse().ok()))
}

/// What a task says about itself (`JobStatus` of `types/enums.py`).
pub(super) fn status_of(task: &Task, secrets: &[&str]) -> RemoteStatus {
    let running = RemoteStatus::Running { progress: None };
    match task.status.as_str().to_ascii_lowercase().as_str() {
        "pending" | "staged" => RemoteStatus::Waiting,
        "failed" => RemoteStatus::Failed(verbs::failed(&task.words(), None, secrets)),
        "completed" => {
            let result = result(task);
            // The links may follow a moment later.
            if result.is_empty() {
                running
            } else {
                RemoteStatus::Succeeded(result)
            }
        }
        // Also words that are not known: a new one must not fail jobs.
        _ => running,
    }
}

fn result(task: &Task) -> RemoteResult {
    let Loose(output) = &task.output;
    let verb = task.verb();
    if matches!(verb.as_str(), "describe" | "shorten") {
        return RemoteResult::default().with_texts(texts(output));
    }
    // The picture beside videos shows how they begin.
    let videos = singles(&output.video_urls.0, MAX_PICTURES);
    let images = if videos.is_empty() && !verb.contains("video") {
        images(&verb, output)
    } else {
        videos
    };
    RemoteResult::new(images)
        .with_actions(offers(output))
        .with_seed(output.seed.as_str().parse().ok())
}

/// The singles with the grid that shows them all, or the one picture that there is.
fn images(verb: &str, output: &Output) -> Vec<RemoteImage> {
    let mut images = singles(&output.image_urls.0, MAX_PICTURES);
    let Some(whole) = web_link(output.image_url.as_str()) else {
        return images;
    };
    // "Image Generation (diffusion, blend, reroll): image_url: Grid/composite image URL" (`types/shared.py`).
    let grid = match images.len() {
        0 => matches!(verb, "diffusion" | "blend" | "reroll"),
        // One picture alone is shown by both fields.
        1 => return images,
        _ => images.iter().all(|image| image.url != whole),
    };
    if grid {
        images.push(RemoteImage::new(whole, ImageKind::Grid, 0));
    } else if images.is_empty() {
        images.push(RemoteImage::new(whole, ImageKind::Single, 1));
    }
    images
}

fn offers(output: &Output) -> Vec<RemoteAction> {
    let Loose(by_verb) = &output.available_actions;
    let named = by_verb.iter().filter(|(name, _)| (1..=64).contains(&name.len()));
    let mut offers: Vec<RemoteAction> = named
        .flat_map(|(name, pictures)| {
            let pictures: Vec<u8> = pictures
                .0
                .iter()
                .filter_map(|n| n.as_str().parse().ok())
                .collect();
            actions::offers(name, &pictures)
        })
        .collect();
    offers.truncate(MAX_OFFERS);
    offers
}

/// Suggestions one by one where they come so, or else the one text that there is.
fn texts(output: &Output) -> Vec<String> {
    let said = |text: &&Text| !text.as_str().is_empty();
    let mut texts: Vec<&Text> = output.prompts.0.iter().filter(said).collect();
    if texts.is_empty() {
        let others = [&output.final_prompt, &output.description, &output.prompt_en];
        texts.extend(others.into_iter().filter(said).take(1));
    }
    texts.into_iter().map(|text| verbs::cut(text.as_str())).collect()
}
