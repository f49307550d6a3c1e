//! What is sent: the route and the body of each plan, and what a window is given.

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{
    Dialect,
    plan::{Plan, Source},
    wire::{Blend, Change, Common, Describe, Imagine, Modal, Press, Redraw, Shorten, Video},
};
use crate::{
    client::{
        InputPicture, Submission,
        http::{json, named::allowed::unsupported},
    },
    job::{Action, Failure, InputImage, Motion, Shape, UpstreamId, Zoom},
    key::Secret,
};

/// The route below `submit` and the body that `plan` is sent with.
pub(super) fn body(
    dialect: Dialect,
    submission: &Submission,
    plan: Plan<'_>,
) -> Result<(&'static str, Vec<u8>), Failure> {
    let common = Common {
        state: submission.nonce.as_str(),
        notify_hook: submission.callback_url.as_ref().map(Secret::expose),
    };
    let prompt = submission.request.prompt.as_str();
    Ok(match plan {
        Plan::Imagine => ("imagine", json(&imagine(submission, common)?)),
        Plan::Blend { shape } => {
            let base64_array = submission.images.iter().map(data_url).collect::<Result<_, _>>()?;
            let dimensions = dimensions(shape);
            let body = Blend {
                base64_array,
                dimensions,
                common,
            };
            ("blend", json(&body))
        }
        Plan::Describe { picture } => ("describe", json(&describe(dialect, submission, picture, common)?)),
        Plan::Shorten => ("shorten", json(&Shorten { prompt, common })),
        Plan::Edit { picture } => {
            let image = redrawn(submission, picture)?;
            (
                "edits",
                json(&Redraw {
                    prompt,
                    image,
                    common,
                }),
            )
        }
        Plan::Retexture => {
            let image = redrawn(submission, Source::Brought)?;
            (
                "retexture",
                json(&Redraw {
                    prompt,
                    image,
                    common,
                }),
            )
        }
        Plan::Animate { motion } => {
            let body = Video {
                prompt,
                motion: moving(motion),
                image: Some(data_url(brought(submission)?)?),
                action: None,
                task_id: None,
                index: None,
                common,
            };
            ("video", json(&body))
        }
        Plan::Extend {
            task,
            index,
            motion,
            prompt: parents,
        } => {
            let body = Video {
                prompt: parents.unwrap_or(prompt),
                motion: moving(motion),
                image: None,
                action: Some("extend"),
                task_id: Some(task),
                index: Some(index),
                common,
            };
            ("video", json(&body))
        }
        Plan::Press { task, button, remix } => {
            let body = Press {
                task_id: task,
                custom_id: button,
                enable_remix: remix,
                common,
            };
            ("action", json(&body))
        }
        Plan::Change { task, action, index } => {
            let body = Change {
                task_id: task,
                action,
                index,
                common,
            };
            ("change", json(&body))
        }
    })
}

/// Links lead the prompt, where every line reads them; `base64Array` is for bytes.
fn imagine<'a>(submission: &'a Submission, common: Common<'a>) -> Result<Imagine<'a>, Failure> {
    let mut links = Vec::new();
    let mut base64_array = Vec::new();
    for (number, picture) in submission.images.iter().enumerate() {
        match link(submission, number) {
            Some(url) => links.push(url),
            None => base64_array.push(data_url(picture)?),
        }
    }
    let prompt = submission.request.prompt.as_str();
    let prompt = if links.is_empty() {
        Cow::Borrowed(prompt)
    } else {
        links.push(prompt);
        Cow::Owned(links.join(" "))
    };
    Ok(Imagine {
        prompt,
        base64_array,
        common,
    })
}

/// A data URL; trueai fetches links too.
fn describe<'a>(
    dialect: Dialect,
    submission: &'a Submission,
    picture: Source<'a>,
    common: Common<'a>,
) -> Result<Describe<'a>, Failure> {
    let link = match picture {
        Source::At(url) => Some(url),
        Source::Brought if dialect == Dialect::TrueAi => link(submission, 0),
        Source::Brought => None,
    };
    let base64 = match link {
        Some(_) => None,
        None => Some(data_url(brought(submission)?)?),
    };
    Ok(Describe { base64, link, common })
}

/// The picture of an edit or a retexture: a link or a data URL.
fn redrawn<'a>(submission: &'a Submission, picture: Source<'a>) -> Result<Cow<'a, str>, Failure> {
    let link = match picture {
        Source::At(url) => Some(url),
        Source::Brought => link(submission, 0),
    };
    match link {
        Some(url) => Ok(Cow::Borrowed(url)),
        None => data_url(brought(submission)?).map(Cow::Owned),
    }
}

fn brought(submission: &Submission) -> Result<&InputPicture, Failure> {
    submission
        .images
        .first()
        .ok_or_else(|| unsupported("there is no picture to start from"))
}

/// The link to picture `number`, where the upstream should use one. What was uploaded to us goes as bytes: a link of ours
/// would stand in a prompt that others can read.
fn link(submission: &Submission, number: usize) -> Option<&str> {
    let picture = submission.images.get(number)?;
    let uploaded = !matches!(submission.request.images.get(number), Some(InputImage::Url(_)));
    if uploaded && picture.file.is_some() {
        return None;
    }
    picture.url.as_deref()
}

/// `data:image/png;base64,...`
fn data_url(picture: &InputPicture) -> Result<String, Failure> {
    let Some((bytes, kind)) = &picture.file else {
        return Err(unsupported(
            "this upstream takes this picture as a file only; upload it",
        ));
    };
    let mut url = format!("data:{};base64,", kind.mime());
    STANDARD.encode_string(bytes, &mut url);
    Ok(url)
}

const fn dimensions(shape: Shape) -> &'static str {
    match shape {
        Shape::Portrait => "PORTRAIT",
        Shape::Square => "SQUARE",
        Shape::Landscape => "LANDSCAPE",
    }
}

const fn moving(motion: Motion) -> &'static str {
    match motion {
        Motion::Low => "low",
        Motion::High => "high",
    }
}

/// What the window of the task `id` is given. It has its mark and its callback address already, so neither is sent.
pub(super) fn modal(id: &UpstreamId, submission: &Submission) -> Result<Vec<u8>, Failure> {
    let request = &submission.request;
    if request.prompt.is_empty() {
        return Err(unsupported(
            "the upstream's window waits for a prompt, and the request has none",
        ));
    }
    let factor = match request.action {
        Action::Zoom { zoom } => factor(zoom),
        _ => None,
    };
    let prompt = match factor {
        Some(factor) => Cow::Owned(format!("{} --zoom {factor}", request.prompt)),
        None => Cow::Borrowed(request.prompt.as_str()),
    };
    let mask = submission.mask.as_ref().map(data_url).transpose()?;
    if request.action == Action::Inpaint && mask.is_none() {
        return Err(unsupported(
            "the upstream's window waits for a mask, and the request has none",
        ));
    }
    Ok(json(&Modal {
        task_id: id.as_str(),
        prompt,
        mask_base64: mask,
    }))
}

/// The value of `--zoom`, without idle zeros.
fn factor(zoom: Zoom) -> Option<String> {
    let hundredths = match zoom {
        Zoom::OneAndAHalf => 150,
        Zoom::Double => 200,
        Zoom::Custom(hundredths) => hundredths,
        Zoom::Square => return None,
    };
    let text = format!("{}.{:02}", hundredths / 100, hundredths % 100);
    Some(text.trim_end_matches('0').trim_end_matches('.').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_are_written_without_idle_zeros() {
        for (zoom, text) in [
            (Zoom::OneAndAHalf, Some("1.5")),
            (Zoom::Double, Some("2")),
            (Zoom::Custom(101), Some("1.01")),
            (Zoom::Custom(110), Some("1.1")),
            (Zoom::Custom(200), Some("2")),
            (Zoom::Square, None),
        ] {
            assert_eq!(factor(zoom).as_deref(), text);
        }
    }
}
