//! `ApiFrame`: a route for each action, and a secret that comes back with callbacks.
//!
//! A finished task has no status; what one says that still runs or has failed is not documented, nor what describing and
//! the seed answer, nor whether there is a limit. What stands here for those is what its documented answers suggest.

use std::sync::Arc;

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::post,
};
use midjourney_core::{
    clock::Timestamp,
    image::ImageKind,
    job::{Action, Direction, FailureKind, RemoteStatus, Shape, Strength, UpscaleMode, Zoom},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Wire;
use crate::simulate::{
    backend::{Backend, Order, Refusal, Seen},
    callback::Posted,
};

#[derive(Debug)]
pub(super) struct ApiFrame;

impl Wire for ApiFrame {
    fn routes(&self, backend: Arc<Backend>) -> Router {
        Router::new()
            .route("/{verb}", post(submit))
            .route("/fetch", post(fetch))
            .route("/seed", post(seed))
            .layer(middleware::from_fn_with_state(Arc::clone(&backend), authorise))
            .with_state(backend)
    }

    fn id(&self, number: u64, random: u64) -> String {
        super::uuid(number, random)
    }

    fn callback(&self, task: &Seen, _at: Timestamp, _secret: &str) -> Option<Posted> {
        let secret = task.order.kept.clone();
        Some(Posted {
            body: told(task).to_string().into_bytes(),
            headers: secret
                .map(|secret| ("x-webhook-secret", secret))
                .into_iter()
                .collect(),
        })
    }
}

async fn authorise(
    State(backend): State<Arc<Backend>>,
    headers: HeaderMap,
    request: Request,
    next: Next,
) -> Response {
    let shown = headers
        .get(header::AUTHORIZATION)
        .and_then(|key| key.to_str().ok());
    if backend.key.is_none() || shown == backend.key.as_deref() {
        return next.run(request).await;
    }
    (StatusCode::UNAUTHORIZED, Json(json!({}))).into_response()
}

fn error(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({"errors": [{"msg": message}]}))).into_response()
}

fn refused(refusal: Refusal) -> Response {
    let message = match refusal {
        Refusal::Moderated => "Banned prompt detected",
        Refusal::Invalid => "Invalid parameter",
        Refusal::QueueFull | Refusal::RateLimited => {
            return error(StatusCode::TOO_MANY_REQUESTS, "too many requests");
        }
        Refusal::NoCredit => "Credits exhausted",
        Refusal::UnknownParent => "parent_task_id is not known",
        Refusal::UnfinishedParent => "the parent task is not finished",
        Refusal::NotOffered => "the parent task does not allow this",
    };
    error(StatusCode::BAD_REQUEST, message)
}

/// The field that is wrong.
type Wrong = &'static str;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Submit {
    prompt: String,
    aspect_ratio: String,
    process_mode: Option<String>,
    parent_task_id: String,
    index: String,
    r#type: String,
    mask: String,
    zoom_ratio: Option<f64>,
    direction: String,
    image_url: String,
    image_urls: Vec<String>,
    dimension: String,
    webhook_url: Option<String>,
    webhook_secret: Option<String>,
}

impl Submit {
    /// What `verb` with this body asks for; `None` where there is no such verb.
    fn order(self, verb: &str) -> Option<Result<Order, Wrong>> {
        let read = match verb {
            "imagine" => self.imagine(),
            "upscale-1x" => self.numbered().map(|index| {
                let mode = UpscaleMode::Cutout;
                (Action::Upscale { mode }, index)
            }),
            "upscale-alt" => self.upscale(&[
                ("subtle", UpscaleMode::Subtle),
                ("creative", UpscaleMode::Creative),
            ]),
            "upscale-highres" => self.upscale(&[("2x", UpscaleMode::Double), ("4x", UpscaleMode::Quadruple)]),
            "reroll" => Ok((Action::Reroll, 0)),
            "variations" => self.variation(),
            "inpaint" => {
                // Bare base64, where others want a data URL.
                let bare = !self.mask.is_empty() && !self.mask.starts_with("data:");
                if bare {
                    Ok((Action::Inpaint, 1))
                } else {
                    Err("mask")
                }
            }
            "outpaint" => self.zoom().map(|zoom| (Action::Zoom { zoom }, 1)),
            "pan" => self.pan(),
            "describe" => linked(&[&self.image_url]).map(|()| (Action::Describe, 0)),
            "blend" => self.blend(),
            _ => return None,
        };
        Some(read.and_then(|(action, index)| self.ordered(action, index)))
    }

    fn ordered(self, action: Action, index: u8) -> Result<Order, Wrong> {
        let alone = matches!(action, Action::Imagine | Action::Describe | Action::Blend { .. });
        if alone != self.parent_task_id.is_empty() {
            return Err("parent_task_id");
        }
        let images = match action {
            Action::Describe => 1,
            _ => self.image_urls.len(),
        };
        Ok(Order {
            parent: (!alone).then_some((self.parent_task_id, index)),
            callback: self.webhook_url,
            kept: self.webhook_secret,
            images,
            ..Order::new(action, self.prompt)
        })
    }

    fn imagine(&self) -> Result<(Action, u8), Wrong> {
        if self.prompt.trim().is_empty() {
            return Err("prompt");
        }
        match self.process_mode.as_deref() {
            None | Some("fast" | "turbo") => Ok((Action::Imagine, 0)),
            Some(_) => Err("process_mode"),
        }
    }

    /// A number as text.
    fn numbered(&self) -> Result<u8, Wrong> {
        let index = self.index.parse().ok();
        index.filter(|index| (1..=4).contains(index)).ok_or("index")
    }

    fn upscale(&self, modes: &[(&str, UpscaleMode)]) -> Result<(Action, u8), Wrong> {
        let mut modes = modes.iter();
        let (_, mode) = modes.find(|(name, _)| *name == self.r#type).ok_or("type")?;
        Ok((Action::Upscale { mode: *mode }, 1))
    }

    fn variation(&self) -> Result<(Action, u8), Wrong> {
        let (strength, index) = match self.index.as_str() {
            "subtle" => (Some(Strength::Subtle), 1),
            "strong" => (Some(Strength::Strong), 1),
            _ => (None, self.numbered()?),
        };
        Ok((Action::Variation { strength }, index))
    }

    /// A ratio of 1 changes the form only.
    fn zoom(&self) -> Result<Zoom, Wrong> {
        let ratio = self.zoom_ratio.ok_or("zoom_ratio")?;
        match Zoom::custom(ratio) {
            Some(Zoom::Custom(150)) => Ok(Zoom::OneAndAHalf),
            Some(Zoom::Custom(200)) => Ok(Zoom::Double),
            Some(zoom) => Ok(zoom),
            None if (0.995..1.005).contains(&ratio) && self.aspect_ratio == "1:1" => Ok(Zoom::Square),
            None => Err("zoom_ratio"),
        }
    }

    fn pan(&self) -> Result<(Action, u8), Wrong> {
        let direction = match self.direction.as_str() {
            "up" => Direction::Up,
            "down" => Direction::Down,
            "left" => Direction::Left,
            "right" => Direction::Right,
            _ => return Err("direction"),
        };
        Ok((Action::Pan { direction }, 1))
    }

    fn blend(&self) -> Result<(Action, u8), Wrong> {
        let urls: Vec<&str> = self.image_urls.iter().map(String::as_str).collect();
        if !(2..=5).contains(&urls.len()) {
            return Err("image_urls");
        }
        linked(&urls)?;
        let shape = match self.dimension.as_str() {
            "portrait" => Shape::Portrait,
            "square" => Shape::Square,
            "landscape" => Shape::Landscape,
            _ => return Err("dimension"),
        };
        Ok((Action::Blend { shape }, 0))
    }
}

fn linked(urls: &[&str]) -> Result<(), Wrong> {
    let all = urls.iter().all(|url| url.starts_with("http"));
    if all { Ok(()) } else { Err("image_url") }
}

/// Whether Midjourney has this button under a grid, or under a single picture.
const fn fits(action: Action, grid: bool) -> bool {
    match action {
        Action::Upscale {
            mode: UpscaleMode::Cutout,
        }
        | Action::Variation { strength: None }
        | Action::Reroll => grid,
        _ => !grid,
    }
}

async fn submit(State(backend): State<Arc<Backend>>, Path(verb): Path<String>, body: Bytes) -> Response {
    let Ok(body) = serde_json::from_slice::<Submit>(&body) else {
        return error(StatusCode::BAD_REQUEST, "the body cannot be read");
    };
    let mut order = match body.order(&verb) {
        None => return StatusCode::NOT_FOUND.into_response(),
        Some(Err(wrong)) => return error(StatusCode::BAD_REQUEST, &format!("Invalid value of {wrong}")),
        Some(Ok(order)) => order,
    };
    if let Some((parent, _)) = &order.parent
        && let Some(parent) = backend.peek(parent).await
    {
        let grid = !parent.links(ImageKind::Grid).is_empty();
        order.offered = !parent.is_over() || fits(order.action, grid);
    }
    let said = |taken: Result<&Seen, Refusal>| match taken {
        Ok(task) => Json(json!({"task_id": task.id})).into_response(),
        Err(refusal) => refused(refusal),
    };
    backend.submit(order, said).await
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Question {
    task_id: String,
}

async fn fetch(State(backend): State<Arc<Backend>>, Json(asked): Json<Question>) -> Response {
    let said = |task: Option<&Seen>| match task {
        Some(task) => Json(told(task)).into_response(),
        None => error(StatusCode::NOT_FOUND, "task_id is not known"),
    };
    backend.show(&asked.task_id, said).await
}

async fn seed(State(backend): State<Arc<Backend>>, Json(asked): Json<Question>) -> Response {
    let said = |task: Option<&Seen>| match task.map(|task| &task.status) {
        Some(RemoteStatus::Succeeded(result)) => {
            Json(json!({"task_id": asked.task_id, "seed": result.seed})).into_response()
        }
        _ => error(StatusCode::BAD_REQUEST, "task_id is not known"),
    };
    backend.show(&asked.task_id, said).await
}

/// The route that an action has.
const fn task_type(action: Action) -> &'static str {
    match action {
        Action::Upscale { mode } => match mode {
            UpscaleMode::Subtle | UpscaleMode::Creative => "upscale-alt",
            UpscaleMode::Double | UpscaleMode::Quadruple => "upscale-highres",
            _ => "upscale-1x",
        },
        Action::Variation { .. } => "variations",
        Action::Zoom { .. } => "outpaint",
        other => other.name(),
    }
}

fn told(task: &Seen) -> Value {
    let kind = task_type(task.order.action);
    let running = |status: &str, percent: u8| json!({"task_id": task.id, "task_type": kind, "status": status, "percentage": percent});
    let failed = |message: &str| json!({"task_id": task.id, "task_type": kind, "status": "failed", "errors": [{"msg": message}]});
    match &task.status {
        RemoteStatus::Waiting => running("pending", 0),
        RemoteStatus::Running { progress } => running("processing", progress.unwrap_or_default()),
        RemoteStatus::Succeeded(result) if task.order.action.gives_text() => {
            json!({"task_id": task.id, "task_type": kind, "content": result.texts})
        }
        RemoteStatus::Succeeded(_) => {
            let (grid, singles) = (task.links(ImageKind::Grid), task.links(ImageKind::Single));
            let whole = grid.first().or_else(|| singles.first());
            let parts = if grid.is_empty() { &[][..] } else { &singles };
            json!({"task_id": task.id, "task_type": kind, "original_image_url": whole, "image_urls": parts})
        }
        RemoteStatus::Failed(failure) if failure.kind == FailureKind::Moderated => {
            failed("[Banned prompt detected] sim")
        }
        RemoteStatus::Failed(_) | RemoteStatus::Cancelled => failed("[Internal error] sim:fail"),
        _ => running("processing", 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbs_are_read_with_their_words() {
        let read = |verb: &str, body: Value| {
            let submit: Submit = serde_json::from_value(body).unwrap();
            let order = submit.order(verb)?;
            Some(order.map(|order| (order.action, order.parent.map(|(_, index)| index))))
        };
        let cut = Action::Upscale {
            mode: UpscaleMode::Cutout,
        };
        let vary = |strength| Action::Variation { strength };
        let zoom = |zoom| Action::Zoom { zoom };
        for (verb, body, expected) in [
            ("imagine", json!({"prompt": "a fox"}), Ok((Action::Imagine, None))),
            ("imagine", json!({}), Err("prompt")),
            (
                "imagine",
                json!({"prompt": "a fox", "process_mode": "relax"}),
                Err("process_mode"),
            ),
            (
                "upscale-1x",
                json!({"parent_task_id": "a", "index": "3"}),
                Ok((cut, Some(3))),
            ),
            ("upscale-1x", json!({"index": "3"}), Err("parent_task_id")),
            (
                "upscale-1x",
                json!({"parent_task_id": "a", "index": "5"}),
                Err("index"),
            ),
            (
                "upscale-alt",
                json!({"parent_task_id": "a", "type": "2x"}),
                Err("type"),
            ),
            (
                "variations",
                json!({"parent_task_id": "a", "index": "2"}),
                Ok((vary(None), Some(2))),
            ),
            (
                "variations",
                json!({"parent_task_id": "a", "index": "subtle"}),
                Ok((vary(Some(Strength::Subtle)), Some(1))),
            ),
            (
                "outpaint",
                json!({"parent_task_id": "a", "zoom_ratio": 1.8}),
                Ok((zoom(Zoom::Custom(180)), Some(1))),
            ),
            (
                "outpaint",
                json!({"parent_task_id": "a", "zoom_ratio": 1, "aspect_ratio": "1:1"}),
                Ok((zoom(Zoom::Square), Some(1))),
            ),
            (
                "outpaint",
                json!({"parent_task_id": "a", "zoom_ratio": 1}),
                Err("zoom_ratio"),
            ),
            (
                "inpaint",
                json!({"parent_task_id": "a", "mask": "data:image/png;base64,AA"}),
                Err("mask"),
            ),
            ("blend", json!({"image_urls": ["http://a"]}), Err("image_urls")),
        ] {
            assert_eq!(read(verb, body.clone()), Some(expected), "{verb} {body}");
        }
        assert_eq!(read("dance", json!({})), None);
    }
}
