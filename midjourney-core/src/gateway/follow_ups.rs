//! What can be done with a finished job, and what its upstream still knows about it.

use super::Gateway;
use crate::{
    client::{ClientError, ParentTask},
    error::{Error, ErrorKind},
    id::JobId,
    image::{Image, ImageKind},
    job::{Action, ImageQuery, Job, JobRequest, JobState, Need, ParentRef},
};

impl Gateway {
    /// Those of `wishes`, each an action and one of the pictures (0 for all), that `job`, whose pictures are `images`, can
    /// go on with. Told without asking the upstream; nothing where the job is not completed.
    pub fn possible(&self, job: &Job, images: &[Image], wishes: &[(Action, u8)]) -> Vec<(Action, u8)> {
        let Some(client) = self.parts.accounts.client(&job.account) else {
            return Vec::new();
        };
        let possible = |(action, index): (Action, u8)| {
            let Some(task) = ParentTask::of(job, images, index) else {
                return false;
            };
            let parent = ParentRef::new(job.id, index);
            let request = JobRequest::follow_up(action, parent, job.request.prompt.clone());
            // A mask is still to come; what is asked without it says nothing.
            let asks = action.needs().mask != Need::Must;
            client.supports(action) && (!asks || client.check(&request, Some(&task)).is_ok())
        };
        wishes.iter().copied().filter(|wish| possible(*wish)).collect()
    }

    /// Everything that `job`, whose pictures are `images`, can go on with: each action in each of its varieties, and one
    /// of the pictures (0 for all). What a text or another picture is still needed for is among it.
    pub fn follow_ups(&self, job: &Job, images: &[Image]) -> Vec<(Action, u8)> {
        if images.is_empty() {
            return Vec::new();
        }
        let last = last_index(images);
        let is_video = |action| matches!(action, Action::Animate { .. } | Action::Extend { .. });
        let suits = |action: &Action| {
            let extends = matches!(action, Action::Extend { .. });
            action.needs().parent != Need::No && extends == is_video(job.request.action)
        };
        let wishes: Vec<_> = Action::ALL
            .into_iter()
            .filter(suits)
            .flat_map(|action| {
                let indexes = if action == Action::Reroll { 0..=0 } else { 1..=last };
                indexes.map(move |index| (action, index))
            })
            .collect();
        self.possible(job, images, &wishes)
    }

    /// The seed of a completed job: as it was told, or asked for now; `None` where nobody can tell.
    ///
    /// **Errors:** [`ErrorKind::NotFound`]; [`ErrorKind::Conflict`] where the job is not completed;
    /// [`ErrorKind::Rejected`] or [`ErrorKind::Unavailable`] where the upstream does not say. **Cancel safety:** safe.
    pub async fn seed(&self, id: JobId) -> Result<Option<u32>, Error> {
        let job = self.job(id).await?;
        let JobState::Completed { seed, .. } = &job.life.state else {
            let detail = format!("job {id} is {}; seeds are of completed jobs", job.status().name());
            return Err(Error::new(ErrorKind::Conflict, detail));
        };
        let client = self.client(&job.account)?;
        if seed.is_some() || !client.capabilities().seed {
            return Ok(*seed);
        }
        let images = self.parts.jobs.images(&ImageQuery::of(id)).await?.items;
        match ParentTask::of(&job, &images, 0) {
            Some(task) => Ok(client.seed(&task).await?),
            None => Ok(None),
        }
    }
}

/// The last of a job's pictures that can be named, whether its file is here or not: a grid alone still has four parts, and
/// upstreams know pictures that never came.
pub(super) fn last_index(images: &[Image]) -> u8 {
    let singles = images.iter().filter(|image| image.kind == ImageKind::Single);
    singles.map(|image| image.index).max().unwrap_or(4)
}

impl From<ClientError> for Error {
    /// An upstream's refusal of something that makes no job.
    fn from(error: ClientError) -> Self {
        let kind = if error.retry {
            ErrorKind::Unavailable
        } else {
            ErrorKind::Rejected
        };
        let mut told = Self::new(kind, error.failure.message.clone()).with_failure(error.failure.kind);
        if let Some(wait) = error.retry_after {
            told = told.with_retry_after(wait);
        }
        told.with_source(error)
    }
}
