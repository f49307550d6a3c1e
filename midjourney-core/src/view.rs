//! Jobs and pictures as they are shown: one envelope for HTTP, MCP and the command line.

mod event;
mod lineage;
mod webhooks;

use serde::Serialize;

pub use self::event::EventView;
pub use self::lineage::LineageView;
pub use self::webhooks::{AttemptView, DeliveryView, SubscriptionView};

use crate::{
    budget::Credits,
    clock::Timestamp,
    id::{BatchId, CallbackId, ImageId, JobId},
    image::{Image, ImageKind},
    job::{CallbackRecord, Failure, Job, JobState, ParentRef, RemoteAction, Spent, Status},
};

/// A job with all that is known about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct JobView {
    /// The job's id, `job_` and 32 hex digits.
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "job_019ab3c0d1e27f3a8b4c5d6e7f8091a2"))]
    pub id: JobId,
    /// `pending`, `processing`, `completed`, `failed`, `cancelled` or `expired`.
    pub status: &'static str,
    /// The finer word while the job is under way: `queued`, `submitting`, `submit_unknown`, `submitted`, `running`,
    /// `awaiting_input`, `cancelling`, `storing`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<&'static str>,
    /// 0 to 100, where known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<u8>,
    /// `imagine`, `upscale`, `variation`, `reroll`, `remix`, `zoom`, `pan`, `inpaint`, `edit`, `retexture`, `blend`,
    /// `describe`, `shorten`, `animate` or `extend`.
    pub action: &'static str,
    /// The prompt as it is sent.
    pub prompt: String,
    /// The batch, where one request became several jobs.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub batch: Option<BatchId>,
    /// The job whose picture this one started from.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub parent_job: Option<JobId>,
    /// Which picture of the parent, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_index: Option<u8>,
    /// The account it runs on.
    pub account: String,
    /// Whether the pictures are made up by the built-in simulated upstream.
    pub simulated: bool,
    /// The pictures, once completed: the grid first, then by index.
    pub images: Vec<ImageView>,
    /// What can be done with the pictures, in the upstream's own words, where it told. Untrusted text.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub offers: Vec<String>,
    /// Texts, where the action gives texts: suggested prompts, a shorter prompt. Untrusted text.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub texts: Vec<String>,
    /// The seed, where known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u32>,
    /// How many pictures of the usual four did not come although the job is completed: the upstream held them back, as its
    /// moderation does, or they could not be fetched, which `failure` tells then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<u8>,
    /// Why it ended without pictures, why some are missing, or what the last try stumbled over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<FailureView>,
    /// What it is charged with, by the operator's estimate and in the operator's unit; absent where nobody keeps account,
    /// and once a charge was given back.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<f64>))]
    pub cost: Option<Credits>,
    /// How often it was submitted to the upstream.
    pub submits: u32,
    /// The sequence number of the newest event; what to watch from.
    pub sequence: u64,
    /// When it was accepted.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub created_at: Timestamp,
    /// When it last changed.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub updated_at: Timestamp,
}

/// Why a job has no pictures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct FailureView {
    /// The stable code of the class.
    pub code: &'static str,
    /// One plain sentence.
    pub message: String,
    /// The upstream's own words. Untrusted text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream_text: Option<String>,
    /// `no`, `maybe` or `yes`: whether it may have cost something.
    pub spent: &'static str,
}

/// A picture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct ImageView {
    /// The picture's id.
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "img_019ab3c0d1e27f3a8b4c5d6e7f8091a2"))]
    pub id: ImageId,
    /// The job that made it.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub job: JobId,
    /// `grid` or `single`.
    pub kind: &'static str,
    /// 1 to 4; 0 for the grid.
    pub index: u8,
    /// The file's place in the image store.
    pub path: String,
    /// Told from the bytes.
    pub media_type: &'static str,
    /// The file's length.
    pub bytes: u64,
    /// In pixels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    /// In pixels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
    /// SHA-256 of the bytes, in hex.
    pub sha256: String,
    /// Whether it is kept, whatever retention says.
    pub pinned: bool,
    /// What people have filed it under.
    pub tags: Vec<String>,
    /// When it was stored.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub created_at: Timestamp,
}

impl JobView {
    /// `job` with its pictures.
    pub fn of(job: &Job, images: &[Image], simulated: bool) -> Self {
        let state = &job.life.state;
        Self {
            id: job.id,
            status: job.status().name(),
            stage: state.stage().map(crate::job::Stage::name),
            progress: state.progress(),
            action: job.request.action.name(),
            prompt: job.request.prompt.clone(),
            batch: job.batch,
            parent_job: job.request.parent.map(|ParentRef { job, .. }| job),
            parent_index: job.request.parent.map(|ParentRef { index, .. }| index),
            account: job.account.as_str().to_owned(),
            simulated,
            images: images.iter().map(ImageView::of).collect(),
            offers: match state {
                JobState::Completed { actions, .. } => actions.iter().map(offer).collect(),
                _ => Vec::new(),
            },
            texts: match state {
                JobState::Completed { texts, .. } => texts.clone(),
                _ => Vec::new(),
            },
            seed: match state {
                JobState::Completed { seed, .. } => *seed,
                _ => None,
            },
            missing: missing(job, images),
            failure: job.life.failure().map(FailureView::of),
            cost: (job.cost > Credits::ZERO).then_some(job.cost),
            submits: job.life.submits,
            sequence: job.sequence,
            created_at: job.life.created,
            updated_at: job.updated,
        }
    }
}

/// How many of the four pictures of a grid are missing. One picture alone, and no grid of it, is all that some upstreams
/// make.
fn missing(job: &Job, images: &[Image]) -> Option<u8> {
    let singles = images.iter().filter(|image| image.kind == ImageKind::Single);
    let (count, is_grid) = (
        singles.count(),
        images.iter().any(|image| image.kind == ImageKind::Grid),
    );
    let films = images.iter().any(|image| !image.media_type.is_picture());
    let counts = job.status() == Status::Completed && job.request.action.makes_grid() && !films;
    let some = count > 1 || (count == 1 && is_grid);
    let gap = 4_usize.saturating_sub(count);
    (counts && some && gap > 0).then(|| u8::try_from(gap).unwrap_or(4))
}

fn offer(action: &RemoteAction) -> String {
    if action.label.is_empty() {
        action.id.clone()
    } else {
        action.label.clone()
    }
}

impl FailureView {
    /// `failure` as shown.
    pub fn of(failure: &Failure) -> Self {
        Self {
            code: failure.kind.code(),
            message: failure.message.clone(),
            upstream_text: failure.upstream_text.clone(),
            spent: match failure.spent {
                Spent::No => "no",
                Spent::Maybe => "maybe",
                Spent::Yes => "yes",
            },
        }
    }
}

impl ImageView {
    /// `image` as shown.
    pub fn of(image: &Image) -> Self {
        Self {
            id: image.id,
            job: image.job,
            kind: image.kind.name(),
            index: image.index,
            path: image.key.as_str().to_owned(),
            media_type: image.media_type.mime(),
            bytes: image.bytes,
            width: image.size.map(|(width, _)| width),
            height: image.size.map(|(_, height)| height),
            sha256: image.digest.to_string(),
            pinned: image.marks.pinned,
            tags: image.marks.tags.iter().map(ToString::to_string).collect(),
            created_at: image.created,
        }
    }
}

/// A callback that came in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[non_exhaustive]
pub struct CallbackView {
    /// Its id.
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "cbk_019ab3c0d1e27f3a8b4c5d6e7f8091a2"))]
    pub id: CallbackId,
    /// When it came.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub received_at: Timestamp,
    /// What became of it: `applied`, `noticed`, `repeated`, `late`, `parked`, `foreign`, `unknown`, `forged`, `expired`,
    /// `malformed` or `barred`; of a probe of our own address, `probe` or `missed`.
    pub verdict: &'static str,
    /// Why, where the verdict alone does not say it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// The job that it was about, where that is known.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub job: Option<JobId>,
    /// The account whose upstream sent it, where that is known.
    pub account: Option<String>,
    /// The task that it spoke of. Untrusted text.
    pub task: Option<String>,
    /// The length of its body, in bytes.
    pub bytes: u64,
    /// The address that it came from.
    pub from: Option<String>,
}

impl CallbackView {
    /// What is shown of a callback.
    pub fn of(record: &CallbackRecord) -> Self {
        Self {
            id: record.id,
            received_at: record.at,
            verdict: record.verdict.name(),
            detail: record.detail.clone(),
            job: record.job,
            account: record.account.as_ref().map(ToString::to_string),
            task: record.task.as_ref().map(ToString::to_string),
            bytes: record.bytes,
            from: record.from.map(|from| from.to_string()),
        }
    }
}
