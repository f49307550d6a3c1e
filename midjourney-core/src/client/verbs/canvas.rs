//! Pictures in bodies of `LegNext` and `YouChuan`: leading links of a prompt, originals, masks, and where an original lies on
//! the canvas of an edit. It fills it.

use super::{Fields, films::led, link, links, text, unsupported};
use crate::{
    client::{ClientError, InputPicture, Submission, http::Caller},
    image::{peek, sniff},
    job::{Action, Failure, FailureKind},
};

/// `fields` with the pictures of `submission`, as both upstreams take them.
pub(in crate::client) async fn with_pictures(
    caller: &Caller,
    submission: &Submission,
    fields: Fields,
) -> Result<Fields, ClientError> {
    let images = links(&submission.images)?;
    match submission.request.action {
        // Image prompts stand before the text ("image URLs first", prompt grammar).
        Action::Imagine if !images.is_empty() => {
            let whole = format!("{} {}", images.join(" "), submission.request.prompt);
            let whole = text(&whole).map_err(ClientError::refused)?;
            Ok(fields.with("text", whole))
        }
        Action::Animate { motion } if submission.parent.is_none() => {
            let first = images
                .first()
                .ok_or_else(|| ClientError::unsupported("a video needs a picture to begin with"))?;
            led(fields, submission, motion, first)
        }
        Action::Retexture => Ok(fields.with_some("imgUrl", images.first().copied())),
        Action::Inpaint => masked(submission, fields),
        Action::Edit => {
            let fields = fields.with_some("imgUrl", images.first().copied());
            canvas(caller, submission, masked(submission, fields)?).await
        }
        _ => Ok(fields),
    }
}

/// `mask{url}`: black and white, "white = redo".
fn masked(submission: &Submission, fields: Fields) -> Result<Fields, ClientError> {
    let url = submission.mask.as_ref().map(link).transpose()?;
    Ok(fields.with_some("mask", url.map(|url| Fields::default().with("url", url))))
}

/// `canvas{width,height}` and `imgPos{width,height,x,y}` for the picture that `submission` edits.
async fn canvas(caller: &Caller, submission: &Submission, fields: Fields) -> Result<Fields, ClientError> {
    let size = match (&submission.parent, submission.images.first()) {
        (Some(parent), _) => parent.picture_size,
        (None, Some(picture)) => size_of(caller, picture).await?,
        (None, None) => None,
    };
    let (width, height) = size.ok_or_else(|| {
        ClientError::refused(unsupported(
            "the size of the picture is not known, and an edit needs it",
        ))
    })?;
    let canvas = Fields::default().with("width", width).with("height", height);
    let position = canvas.clone().with("x", 0).with("y", 0);
    Ok(fields.with("canvas", canvas).with("imgPos", position))
}

/// Width and height of a picture, from its first bytes.
async fn size_of(caller: &Caller, picture: &InputPicture) -> Result<Option<(u32, u32)>, ClientError> {
    if let Some((bytes, _)) = &picture.file {
        return Ok(sniff(bytes).and_then(|sniffed| sniffed.size));
    }
    let Some(url) = &picture.url else {
        return Ok(None);
    };
    let (head, _) = peek(caller.brought(url).await?).await.map_err(|error| {
        let failure = Failure::new(
            FailureKind::ImageUnavailable,
            "the picture to edit could not be read",
        );
        ClientError::not_now(failure, None).with_source(error)
    })?;
    Ok(sniff(&head).and_then(|sniffed| sniffed.size))
}
