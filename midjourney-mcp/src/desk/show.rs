//! Shows pictures: on a sheet, one at a time, and as resources.

use midjourney_core::{
    error::{Error, ErrorKind},
    gateway::{ImageView, JobView},
    id::JobId,
};
use serde_json::{Map, Value, json};

use super::{Blob, NoBlob, Office};
use crate::{
    error,
    picture::{self, Inline, Part, Unshowable},
    result::{self, Answer, MAX_INLINE, image_uri},
    text::line,
    tools::ShowArgs,
};

/// The most jobs of a batch whose pictures go on one sheet.
const MAX_ON_SHEET: usize = 9;
/// The most base64 characters of a resource, so that its message stays below 1 MiB.
const MAX_BLOB: usize = 1_000_000;
/// The longer edge of a resource that has to be scaled down.
const BLOB_EDGE: u32 = 4_096;

impl Office {
    pub(super) async fn show(&self, args: ShowArgs, arguments: &Map<String, Value>) -> Result<Answer, Error> {
        let job = self.gateway.job(args.job).await?;
        let view = self.gateway.view(&job).await?;
        let Some((image, part)) = choose(&view, args.index) else {
            return Ok(nothing_to_show(&view, args.index));
        };
        let picture = match image {
            Some(image) => self.fit(image, part, args.size, MAX_INLINE).await?,
            None => {
                self.sheet(std::slice::from_ref(&view), args.size, MAX_INLINE)
                    .await?
            }
        };
        let picture = match picture {
            Ok(picture) => picture,
            Err(Unshowable(why)) => return Ok(error::unshowable(&why, arguments)),
        };
        let index = args.index.unwrap_or(0);
        let mut answer = Answer::default();
        let what = match args.index {
            None => "all pictures".to_owned(),
            Some(index) => format!("picture {index}"),
        };
        let (width, height) = (picture.width, picture.height);
        line(
            &mut answer.text,
            format_args!("Job {}: {what}, shown at {width}x{height}.", view.id),
        );
        if matches!(part, Part::Quarter(_)) {
            answer
                .text
                .push_str("Cut out of the grid, the only picture that the upstream gave.");
        }
        if view.simulated {
            answer
                .text
                .push_str("SIMULATED: a placeholder, not drawn by Midjourney.\n");
        }
        answer.put("job_id", view.id.to_string());
        answer.put("index", index);
        if let Some(image) = image {
            answer.put("uri", image_uri(image.job, image.index));
            if let Some(path) = result::path(self.images_dir.as_deref(), image) {
                line(&mut answer.text, format_args!("File: {path}"));
                answer.put("path", path);
            }
        }
        answer.put("width", picture.width);
        answer.put("height", picture.height);
        answer.put("media_type", picture.media_type);
        answer.put("simulated", view.simulated);
        answer.picture = Some(picture);
        Ok(answer)
    }

    pub(super) async fn fit(
        &self,
        image: &ImageView,
        part: Part,
        edge: u32,
        budget: usize,
    ) -> Result<Result<Inline, Unshowable>, Error> {
        let bytes = self.gateway.picture_bytes(image.id).await?;
        Ok(picture::fit(bytes, Some(image.media_type), part, edge, budget).await)
    }

    /// One job's grid, or its pictures on one sheet; of several jobs each one's grid or first picture.
    pub(super) async fn sheet(
        &self,
        views: &[JobView],
        edge: u32,
        budget: usize,
    ) -> Result<Result<Inline, Unshowable>, Error> {
        let chosen: Vec<&ImageView> = match views {
            [only] => match only.images.iter().find(|image| image.index == 0) {
                Some(grid) => vec![grid],
                None => only.images.iter().take(MAX_ON_SHEET).collect(),
            },
            several => several
                .iter()
                .filter_map(|view| view.images.first())
                .take(MAX_ON_SHEET)
                .collect(),
        };
        if let [only] = chosen[..] {
            return self.fit(only, Part::Whole, edge, budget).await;
        }
        let mut files = Vec::with_capacity(chosen.len());
        for image in chosen {
            files.push(self.gateway.picture_bytes(image.id).await?);
        }
        Ok(picture::sheet(files, edge, budget).await)
    }

    pub(super) async fn blob(&self, id: JobId, index: u8) -> Result<Blob, NoBlob> {
        let job = self.gateway.job(id).await?;
        let view = self.gateway.view(&job).await?;
        let Some(image) = view.images.iter().find(|image| image.index == index) else {
            let there: Vec<String> = view.images.iter().map(|image| image.index.to_string()).collect();
            return Err(NoBlob::NotFound(if there.is_empty() {
                format!("job {id} is {} and has no pictures", view.status)
            } else {
                format!("job {id} has no picture {index}, only {}", there.join(", "))
            }));
        };
        let bytes = self.gateway.picture_bytes(image.id).await?;
        let original = picture::whole(&bytes, image.media_type, MAX_BLOB);
        if let Some(picture) = original {
            return Ok(Blob {
                picture,
                scaled_from: None,
            });
        }
        let picture = picture::fit(bytes, None, Part::Whole, BLOB_EDGE, MAX_BLOB)
            .await
            .map_err(|Unshowable(why)| NoBlob::Failed(why))?;
        Ok(Blob {
            picture,
            scaled_from: image.width.zip(image.height),
        })
    }
}

/// The picture that `index` means, and which part of it; no picture means a sheet of all. `None` where there is
/// nothing of that index.
fn choose(view: &JobView, index: Option<u8>) -> Option<(Option<&ImageView>, Part)> {
    let at = |index| view.images.iter().find(|image| image.index == index);
    match index {
        None if view.images.is_empty() => None,
        None => Some((at(0), Part::Whole)),
        Some(index) => match (at(index), at(0)) {
            (Some(image), _) => Some((Some(image), Part::Whole)),
            // Upstreams that give only the grid still mean its four parts.
            (None, Some(grid)) if index <= 4 && view.images.len() == 1 => {
                Some((Some(grid), Part::Quarter(index)))
            }
            _ => None,
        },
    }
}

fn nothing_to_show(view: &JobView, index: Option<u8>) -> Answer {
    let id = view.id;
    if view.stage.is_some() {
        let next = ("wait", json!({"job_id": id}));
        return error::refused(
            ErrorKind::Conflict,
            &format!("Job {id} is not finished yet"),
            Some(next),
        );
    }
    if view.images.is_empty() {
        let what = format!("Job {id} is {} and has no pictures", view.status);
        return error::refused(
            ErrorKind::Conflict,
            &what,
            Some(("get_job", json!({"job_id": id}))),
        );
    }
    let there: Vec<String> = view
        .images
        .iter()
        .filter(|image| image.index > 0)
        .map(|image| image.index.to_string())
        .collect();
    let what = format!(
        "Job {id} has no picture {}; there are {}",
        index.unwrap_or(0),
        there.join(", ")
    );
    error::refused(ErrorKind::Invalid, &what, Some(("show", json!({"job_id": id}))))
}
