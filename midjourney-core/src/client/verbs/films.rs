//! `video-diffusion` and `extend-video`, which `LegNext` and `YouChuan` have alike.
//!
//! Sources: the `YouChuan` documentation ("jobId/prompt: one of the two", with an example that has both) and the `LegNext`
//! documentation ("Option 1: `jobId`, `imageNo`, `prompt` not required; option 2: `prompt` with image URL included"). Both
//! take `--motion` in the prompt, low by default.

use super::{Fields, Numbers, own_prompt, picture, text, unsupported};
use crate::{
    client::{
        ClientError, ParentTask, Submission,
        http::films::{moving, wordless},
    },
    job::{Failure, JobRequest, Motion},
};

impl Numbers {
    /// A video that begins with a picture of a finished job, or with the one that comes along.
    pub(super) fn animate(
        &self,
        request: &JobRequest,
        parent: Option<&ParentTask>,
        motion: Motion,
    ) -> Result<Fields, Failure> {
        let Some(parent) = parent else {
            if request.images.is_empty() {
                return Err(unsupported("a video needs a picture to begin with"));
            }
            let prompt = moving(&request.prompt, motion);
            return Ok(Fields::default().with("prompt", text(&prompt)?));
        };
        let prompt = spoken(own_prompt(request, parent), motion)?;
        Ok(self.start(request, Some(parent))?.with_some("prompt", prompt))
    }

    /// A video that goes on with one of a finished job.
    pub(super) fn extend(
        &self,
        request: &JobRequest,
        parent: Option<&ParentTask>,
        motion: Motion,
    ) -> Result<Fields, Failure> {
        let parent = self.parent(request, parent)?;
        let mut said = own_prompt(request, parent);
        if self.extends_with_prompt && said.is_none() {
            if parent.prompt.is_empty() {
                return Err(wordless(request.action));
            }
            said = Some(&parent.prompt);
        }
        Ok(Fields::default()
            .with("jobId", parent.name())
            .with("videoNo", picture(request)?)
            .with_some("prompt", spoken(said, motion)?))
    }
}

/// The prompt of a video that needs none; `None` where nothing is to be said.
fn spoken(said: Option<&str>, motion: Motion) -> Result<Option<String>, Failure> {
    if said.is_none() && motion == Motion::Low {
        return Ok(None);
    }
    let prompt = moving(said.unwrap_or_default(), motion);
    text(&prompt)?;
    Ok(Some(prompt))
}

/// `fields` of a video that begins with the picture at `link`, which leads the prompt ("`[image_url] text`").
pub(super) fn led(
    fields: Fields,
    submission: &Submission,
    motion: Motion,
    link: &str,
) -> Result<Fields, ClientError> {
    let whole = format!("{link} {}", moving(&submission.request.prompt, motion));
    let whole = text(&whole).map_err(ClientError::refused)?;
    Ok(fields.with("prompt", whole))
}
