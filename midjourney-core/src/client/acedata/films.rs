//! `videos`: how a video is begun, and how one is made longer.
//!
//! Both take a prompt, in which how much moves is said; no field has it (source:
//! `docs/midjourney_videos_api_integration_guide.md`, `tools/video_tools.py` of the MCP server, which requires the prompt).

use super::actions::Plan;
use crate::{
    client::{
        ParentTask,
        http::{
            films::{moving, wordless},
            named::{
                allowed::{start, unsupported},
                wording::{SPEEDS, Wording},
            },
        },
    },
    job::{Action, Failure, JobRequest, Motion},
};

/// A video of the parent's picture, or of the one that comes along.
pub(super) fn animate<'a>(
    request: &JobRequest,
    parent: Option<&'a ParentTask>,
    motion: Motion,
) -> Result<Plan<'a>, Failure> {
    let picture = match parent {
        Some(parent) => {
            start(request, Some(parent))?;
            Some(single(parent)?)
        }
        None if request.images.is_empty() => {
            return Err(unsupported("a video needs a picture to begin with"));
        }
        None => None,
    };
    let prompt = prompt(request, parent, motion)?;
    Ok(Plan::Animate { picture, prompt })
}

/// More of one of the parent's videos.
pub(super) fn extend<'a>(
    request: &JobRequest,
    parent: Option<&'a ParentTask>,
    motion: Motion,
) -> Result<Plan<'a>, Failure> {
    let (parent, index) = start(request, parent)?;
    // A task's own id is no `video_id`.
    let videos = parent
        .handle
        .as_deref()
        .ok_or_else(|| unsupported("the upstream did not tell the `video_id` that a longer video needs"))?;
    Ok(Plan::Extend {
        videos,
        index: index.saturating_sub(1),
        prompt: prompt(request, Some(parent), motion)?,
    })
}

/// Where the parent's picture is. A grid's link stands for each of its parts where they have none; only a single
/// picture has a size.
fn single(parent: &ParentTask) -> Result<&str, Failure> {
    let upscaled = matches!(parent.action, Action::Upscale { .. });
    let alone = upscaled || parent.picture_size.is_some();
    let url = parent.picture_url.as_deref().filter(|_| alone);
    url.ok_or_else(|| {
        unsupported(
            "this upstream makes videos of single pictures by their links; cut one out first (upscale, cutout)",
        )
    })
}

fn prompt(request: &JobRequest, parent: Option<&ParentTask>, motion: Motion) -> Result<String, Failure> {
    let said = match parent {
        Some(parent) if request.prompt.is_empty() => &parent.prompt,
        _ => &request.prompt,
    };
    let wording = Wording::of(said);
    // "`mode` `fast`/`turbo` (no relax)"
    if wording.speed() == Some("relax") {
        return Err(unsupported(
            "this upstream makes no videos in relax mode; say --fast or --turbo",
        ));
    }
    let text = wording.without(&SPEEDS);
    if text.is_empty() {
        return Err(wordless(request.action));
    }
    Ok(moving(&text, motion))
}
