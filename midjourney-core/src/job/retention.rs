//! How long what is over is kept.

use std::{collections::BTreeSet, time::Duration};

use super::{Job, Status};
use crate::{
    clock::Timestamp,
    id::{ImageId, JobId, UploadId},
    image::{Image, Upload},
};

/// How long jobs are kept after they ended, by how they did, and pictures by themselves. `None`, the default of all, is for
/// ever. A job goes with its events and its pictures, unless one of these is pinned; a picture's job stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retention {
    /// Jobs that were completed.
    pub completed: Option<Duration>,
    /// Jobs that failed.
    pub failed: Option<Duration>,
    /// Jobs that were cancelled.
    pub cancelled: Option<Duration>,
    /// Jobs that expired.
    pub expired: Option<Duration>,
    /// Pictures, and those that callers brought along.
    pub images: Option<Duration>,
}

impl Retention {
    /// How long a job that ended as `status` is kept; `None` for ever, as whatever is not over.
    pub const fn of(&self, status: Status) -> Option<Duration> {
        match status {
            Status::Pending | Status::Processing => None,
            Status::Completed => self.completed,
            Status::Failed => self.failed,
            Status::Cancelled => self.cancelled,
            Status::Expired => self.expired,
        }
    }

    /// Whether `job` goes at `now`. `needed` are those that jobs under way start from.
    pub fn removes(&self, job: &Job, needed: &BTreeSet<JobId>, now: Timestamp) -> bool {
        let kept = self.of(job.status());
        kept.is_some_and(|kept| is_past(job.life.entered, kept, now)) && !needed.contains(&job.id)
    }

    /// Whether `image` goes at `now`, by itself. Pinned ones never do.
    pub fn removes_image(&self, image: &Image, needed: &BTreeSet<JobId>, now: Timestamp) -> bool {
        let kept = self.images;
        kept.is_some_and(|kept| is_past(image.created, kept, now))
            && !needed.contains(&image.job)
            && !image.marks.pinned
    }

    /// Whether what a caller brought along goes at `now`. `needed` is what jobs under way start from.
    pub fn removes_upload(&self, upload: &Upload, needed: &BTreeSet<UploadId>, now: Timestamp) -> bool {
        let kept = self.images;
        kept.is_some_and(|kept| is_past(upload.created, kept, now)) && !needed.contains(&upload.id)
    }
}

fn is_past(begin: Timestamp, kept: Duration, now: Timestamp) -> bool {
    begin.saturating_add(kept) <= now
}

/// What is to be removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Removal {
    /// Jobs, each with the version it was judged by.
    pub jobs: Vec<(JobId, u64)>,
    /// Pictures whose jobs stay.
    pub images: Vec<ImageId>,
    /// What callers brought along.
    pub uploads: Vec<UploadId>,
}

impl Removal {
    /// These jobs, with all that is theirs.
    pub fn of_jobs<'a>(jobs: impl IntoIterator<Item = &'a Job>) -> Self {
        Self {
            jobs: jobs.into_iter().map(|job| (job.id, job.version)).collect(),
            ..Self::default()
        }
    }

    /// These pictures.
    pub fn of_images<'a>(images: impl IntoIterator<Item = &'a Image>) -> Self {
        Self {
            images: images.into_iter().map(|image| image.id).collect(),
            ..Self::default()
        }
    }

    /// These pictures that callers brought along.
    pub fn of_uploads<'a>(uploads: impl IntoIterator<Item = &'a Upload>) -> Self {
        Self {
            uploads: uploads.into_iter().map(|upload| upload.id).collect(),
            ..Self::default()
        }
    }
}
