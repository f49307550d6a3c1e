//! Which model does what is asked, and with which body (`docs/official-api/*.md`).
//!
//! Masks are polygons here, or pictures whose opaque parts are drawn anew (`v8-1-upload-paint.md`). Ours are white on black
//! and opaque throughout: the whole picture would be drawn anew, and paid. Nor can they be traced into polygons: `width` and
//! `height` beside their points are "region dimensions" in one place (`inpaint.md`, where points lie beyond both) and the
//! picture's at upstreams of the same shape, so nobody knows what would be drawn over. Without a mask an edit draws what the
//! picture leaves free of its canvas (`canvas-edit.md`), and ours fill it. So there is no inpaint and no edit.

use super::model::{Series, Written};
use crate::{
    client::{
        ClientError, ParentTask, Submission,
        verbs::{self, Fields, PAN_SCALE, lacking, links, own_prompt, picture, scale, text, unsupported},
    },
    job::{Action, Direction, Failure, JobRequest, Need, RemoteAction, Strength, UpscaleMode},
};

/// The verb behind `model`'s series, empty for drawing; `None` where there is none.
fn verb(series: Series, action: Action) -> Option<&'static str> {
    let seven = |verb| (series == Series::V7).then_some(verb);
    match action {
        Action::Imagine => Some(""),
        Action::Variation { .. } => Some("variation"),
        Action::Remix { .. } => Some("remix"),
        Action::Retexture => Some("retexture"),
        // V8.1 has none of these ("v8-1-*.md").
        Action::Upscale {
            mode: UpscaleMode::Subtle | UpscaleMode::Creative,
        } => seven("upscale"),
        Action::Zoom { zoom } if scale(zoom).is_some() => seven("outpaint"),
        Action::Pan { .. } => seven("pan"),
        _ => None,
    }
}

/// Whether a model of any series does `action`.
pub(super) fn supports(action: Action) -> bool {
    Series::ALL
        .into_iter()
        .any(|series| verb(series, action).is_some())
}

/// Where there is `action` instead, which needs a mask or fills a canvas.
const fn masked(action: Action) -> Option<&'static str> {
    match action {
        Action::Inpaint => Some("acedata, apiframe, legnext, midjourney-proxy, ttapi and youchuan"),
        Action::Edit => Some("acedata, legnext, midjourney-proxy and youchuan"),
        _ => None,
    }
}

/// What a task drawn by `model` offers: the models of its series that start from a task. What was upscaled is not upscaled
/// again (`upscale.md`).
pub(super) fn offers(model: &str) -> Vec<RemoteAction> {
    let Some(series) = Series::of_model(model) else {
        return Vec::new();
    };
    let mut verbs: Vec<&str> = Action::ALL
        .into_iter()
        .filter(|action| *action != Action::Imagine && *action != Action::Retexture)
        .filter_map(|action| verb(series, action))
        .filter(|verb| !(*verb == "upscale" && model.ends_with("-upscale")))
        .collect();
    verbs.dedup();
    let offer = |verb: &str| RemoteAction::new(name(series, verb), verb);
    verbs.into_iter().map(offer).collect()
}

fn name(series: Series, verb: &str) -> String {
    match verb {
        "" => series.model().to_owned(),
        verb => format!("{}-{verb}", series.model()),
    }
}

/// The body that `request` is sent with, but for its pictures and its callback, or why it cannot be sent.
pub(super) fn plan(request: &JobRequest, parent: Option<&ParentTask>) -> Result<Fields, Failure> {
    let action = request.action;
    if let Some(others) = masked(action) {
        return Err(unsupported(format!(
            "EvoLink does not take masks as they come here, white on black, so it has no {action}; {others} do"
        )));
    }
    if !supports(action) {
        return Err(lacking(action, supports));
    }
    match action {
        Action::Imagine | Action::Retexture => {
            let written = Written::of(&request.prompt)?;
            let series = written.series.unwrap_or(Series::V7);
            let verb = verb(series, action).unwrap_or_default();
            let fields = Fields::default().with("prompt", written.text()?);
            finish(fields, &name(series, verb), &written, Fields::default())
        }
        _ => follow_up(request, verbs::task(request, parent)?),
    }
}

fn follow_up(request: &JobRequest, parent: &ParentTask) -> Result<Fields, Failure> {
    let action = request.action;
    let series = series_of(parent)?;
    let can = |action| {
        verb(series, action).filter(|verb| {
            let name = name(series, verb);
            parent.actions.is_empty() || parent.actions.iter().any(|offer| offer.id == name)
        })
    };
    let verb = can(action).ok_or_else(|| {
        lacking(action, |other| {
            other.needs().parent != Need::No && can(other).is_some()
        })
    })?;
    // "image_number starts at 0", `task_id` is the finished task.
    let params = Fields::default()
        .with("task_id", parent.name())
        .with("image_number", picture(request)?);
    let params = match action {
        Action::Upscale { mode } => params.with(
            "type",
            if mode == UpscaleMode::Creative {
                "creative"
            } else {
                // What others call subtle.
                "standard"
            },
        ),
        // Strong is what the V buttons of a grid do.
        Action::Variation { strength } => params.with("type", word(strength.unwrap_or(Strength::Strong))),
        Action::Remix { strength } => params.with("mode", word(strength)),
        Action::Zoom { zoom } => params.with_some("scale", scale(zoom)),
        Action::Pan { direction } => params.with("direction", side(direction)).with("scale", PAN_SCALE),
        _ => params,
    };
    let required = matches!(action, Action::Remix { .. });
    // An upscale takes no text (`upscale.md`).
    let takes = !matches!(action, Action::Upscale { .. });
    let own = own_prompt(request, parent).or_else(|| required.then_some(request.prompt.as_str()));
    let Some(prompt) = own.filter(|_| takes) else {
        return Ok(with_params(
            Fields::default().with("model", name(series, verb)),
            params,
        ));
    };
    let written = Written::of(prompt)?;
    if written.series.is_some_and(|named| named != series) {
        return Err(unsupported(format!(
            "the picture is from {}, and what follows from it stays with that version",
            series.model()
        )));
    }
    let fields = Fields::default().with("prompt", written.text()?);
    finish(fields, &name(series, verb), &written, params)
}

/// The series of a finished task: of the models that it offers or, without any, of the version that its prompt names.
fn series_of(parent: &ParentTask) -> Result<Series, Failure> {
    let told = parent
        .actions
        .first()
        .and_then(|offer| Series::of_model(&offer.id));
    match told {
        Some(series) => Ok(series),
        None => Ok(Written::of(&parent.prompt)?.series.unwrap_or(Series::V7)),
    }
}

/// `fields` and `params` with what stands beside the text, for `model`.
fn finish(fields: Fields, model: &str, written: &Written, params: Fields) -> Result<Fields, Failure> {
    let whole = model == Series::V8.model();
    if written.quality == Some("hd") && !whole {
        return Err(unsupported(
            "EvoLink has HD for whole pictures of version 8.1 only; leave --hd out",
        ));
    }
    // "`draft`: image-generation endpoint only" (`v8-1-image-generation.md`).
    if written.speed == Some("draft") && model.starts_with("mj-v8.1-") {
        return Err(unsupported(
            "EvoLink drafts whole pictures only; leave --draft out",
        ));
    }
    let params = params.with_some("speed", written.speed);
    let fields = fields
        .with("model", model)
        .with_some("quality", written.quality.filter(|_| whole));
    Ok(with_params(fields, params))
}

fn with_params(fields: Fields, params: Fields) -> Fields {
    if params.is_empty() {
        fields
    } else {
        fields.with("model_params", params)
    }
}

/// "`type` `subtle` or `strong`", "`mode` `strong`/`subtle`".
const fn word(strength: Strength) -> &'static str {
    match strength {
        Strength::Subtle => "subtle",
        Strength::Strong => "strong",
    }
}

/// "pan `direction` is a word".
const fn side(direction: Direction) -> &'static str {
    match direction {
        Direction::Left => "left",
        Direction::Right => "right",
        Direction::Up => "up",
        Direction::Down => "down",
    }
}

/// `fields` with the links to the pictures of `submission`.
pub(super) fn with_pictures(submission: &Submission, fields: Fields) -> Result<Fields, ClientError> {
    let images = links(&submission.images)?;
    match submission.request.action {
        // "image URLs for image-to-image must appear at the beginning of the prompt"
        Action::Imagine if !images.is_empty() => {
            let written = Written::of(&submission.request.prompt).map_err(ClientError::refused)?;
            let whole = format!("{} {}", images.join(" "), written.text);
            let whole = text(&whole).map_err(ClientError::refused)?;
            Ok(fields.with("prompt", whole))
        }
        Action::Retexture => Ok(fields.with("image_urls", images)),
        _ => Ok(fields),
    }
}
