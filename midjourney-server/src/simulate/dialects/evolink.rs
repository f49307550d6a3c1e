//! `EvoLink`: one route, the verb in `model`, pictures counted from 0.
//!
//! It calls back over HTTPS to public addresses only, which no address on this machine is: it refuses all others here as
//! there, and so calls nobody.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use midjourney_core::{
    clock::Timestamp,
    image::ImageKind,
    job::{Action, Direction, FailureKind, RemoteStatus, Strength, UpscaleMode, Zoom},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Wire;
use crate::simulate::{
    backend::{Backend, Order, Refusal, Seen},
    callback::Posted,
};

/// The models that draw; those of what follows begin with their names.
const SERIES: [&str; 2] = ["mj-v8.1", "mj-v7"];

/// What must not stand in the text, but beside it.
const BESIDE: [&str; 5] = ["--v", "--niji", "--fast", "--draft", "--turbo"];

const SPEEDS: [&str; 3] = ["draft", "fast", "turbo"];

/// The longest text, in characters.
const MAX_TEXT: usize = 8_192;

#[derive(Debug)]
pub(super) struct EvoLink;

impl Wire for EvoLink {
    fn routes(&self, backend: Arc<Backend>) -> Router {
        Router::new()
            .route("/v1/images/generations", post(submit))
            .route("/v1/tasks/{id}", get(task))
            .layer(middleware::from_fn_with_state(Arc::clone(&backend), authorise))
            .with_state(backend)
    }

    fn id(&self, number: u64, _random: u64) -> String {
        format!("task-unified-{number}")
    }

    fn callback(&self, _task: &Seen, _at: Timestamp, _secret: &str) -> Option<Posted> {
        None
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
    let shown = shown.and_then(|key| key.strip_prefix("Bearer "));
    if backend.key.is_none() || shown == backend.key.as_deref() {
        return next.run(request).await;
    }
    error(StatusCode::UNAUTHORIZED, "unauthorized", "the key is not valid")
}

fn error(status: StatusCode, code: &str, message: &str) -> Response {
    let body = json!({"error": {"code": code, "message": message}});
    (status, Json(body)).into_response()
}

fn wrong(name: &str) -> Response {
    let message = format!("{name} is not valid");
    error(StatusCode::BAD_REQUEST, "invalid_request", &message)
}

fn refused(refusal: Refusal) -> Response {
    let bad = |message| (StatusCode::BAD_REQUEST, "invalid_request", message);
    let (status, code, message) = match refusal {
        Refusal::Moderated => bad("Banned prompt detected"),
        Refusal::Invalid => bad("Invalid parameter"),
        Refusal::QueueFull | Refusal::RateLimited => {
            (StatusCode::TOO_MANY_REQUESTS, "rate_limited", "too many requests")
        }
        Refusal::NoCredit => (
            StatusCode::PAYMENT_REQUIRED,
            "insufficient_credits",
            "no credit is left",
        ),
        Refusal::UnknownParent => (StatusCode::NOT_FOUND, "not_found", "there is no such task"),
        Refusal::UnfinishedParent => bad("the task is not completed"),
        Refusal::NotOffered => bad("the task does not allow this model"),
    };
    error(status, code, message)
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Submit {
    model: String,
    prompt: String,
    image_urls: Vec<String>,
    model_params: Params,
    callback_url: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Params {
    speed: Option<String>,
    task_id: String,
    image_number: Option<u8>,
    r#type: String,
    mode: String,
    direction: String,
    scale: Option<f64>,
    mask: Option<Value>,
    canvas: Option<Value>,
    img_pos: Option<Value>,
}

/// The field that is wrong.
type Wrong = &'static str;

/// The series and the verb of a model, which is empty for drawing.
fn split(model: &str) -> Option<(&'static str, &str)> {
    SERIES.into_iter().find_map(|series| {
        let verb = model.strip_prefix(series)?;
        let verb = if verb.is_empty() {
            verb
        } else {
            verb.strip_prefix('-')?
        };
        Some((series, verb))
    })
}

impl Submit {
    fn order(self) -> Result<Order, Wrong> {
        let (_, verb) = split(&self.model).ok_or("model")?;
        let params = &self.model_params;
        let (action, from) = match verb {
            "" => (Action::Imagine, From::Text),
            "retexture" => (Action::Retexture, From::Link),
            "upload-paint" => {
                params.placed()?;
                (Action::Edit, From::Link)
            }
            "variation" => {
                let strength = Some(strength(&params.r#type, "type")?);
                (Action::Variation { strength }, From::Task)
            }
            "upscale" => {
                let mode = match params.r#type.as_str() {
                    "standard" => UpscaleMode::Subtle,
                    "creative" => UpscaleMode::Creative,
                    _ => return Err("type"),
                };
                (Action::Upscale { mode }, From::Task)
            }
            "remix" => {
                let strength = strength(&params.mode, "mode")?;
                (Action::Remix { strength }, From::Task)
            }
            "outpaint" => {
                let zoom = params.zoom()?;
                (Action::Zoom { zoom }, From::Task)
            }
            "pan" => {
                let direction = params.side()?;
                (Action::Pan { direction }, From::Task)
            }
            "inpaint" => {
                params.mask.as_ref().ok_or("mask")?;
                (Action::Inpaint, From::Task)
            }
            "edit" => {
                params.placed()?;
                (Action::Edit, From::Task)
            }
            _ => return Err("model"),
        };
        self.check(verb, from)?;
        let index = self.model_params.image_number.unwrap_or_default();
        Ok(Order {
            parent: matches!(from, From::Task).then_some((self.model_params.task_id, index + 1)),
            images: self.image_urls.len(),
            kept: Some(self.model),
            ..Order::new(action, self.prompt)
        })
    }

    /// Refuses what the fields of no verb may hold, and what this verb lacks.
    fn check(&self, verb: &str, from: From) -> Result<(), Wrong> {
        let known = |speed: &str| SPEEDS.contains(&speed);
        if !self.model_params.speed.as_deref().is_none_or(known) {
            return Err("speed");
        }
        let beside = self.prompt.split_whitespace().any(|word| BESIDE.contains(&word));
        let missing = self.prompt.is_empty() && matches!(verb, "" | "remix" | "retexture");
        if beside || missing || self.prompt.chars().count() > MAX_TEXT {
            return Err("prompt");
        }
        // Only addresses that this machine has none of are called.
        if self
            .callback_url
            .as_ref()
            .is_some_and(|url| !url.starts_with("https://"))
        {
            return Err("callback_url");
        }
        match from {
            From::Text => Ok(()),
            From::Link => {
                let all = self.image_urls.iter().all(|url| url.starts_with("http"));
                let some = all && !self.image_urls.is_empty();
                some.then_some(()).ok_or("image_urls")
            }
            From::Task if self.model_params.task_id.is_empty() => Err("task_id"),
            From::Task => {
                let number = self.model_params.image_number.filter(|number| *number < 4);
                number.map(drop).ok_or("image_number")
            }
        }
    }
}

/// What a verb starts from.
#[derive(Clone, Copy, Debug)]
enum From {
    Text,
    Link,
    Task,
}

impl Params {
    fn placed(&self) -> Result<(), Wrong> {
        self.canvas.as_ref().ok_or("canvas")?;
        self.img_pos.as_ref().map(drop).ok_or("img_pos")
    }

    fn zoom(&self) -> Result<Zoom, Wrong> {
        match self.scale.and_then(Zoom::custom) {
            Some(Zoom::Custom(150)) => Ok(Zoom::OneAndAHalf),
            Some(Zoom::Custom(200)) => Ok(Zoom::Double),
            other => other.ok_or("scale"),
        }
    }

    fn side(&self) -> Result<Direction, Wrong> {
        Ok(match self.direction.as_str() {
            "up" => Direction::Up,
            "down" => Direction::Down,
            "left" => Direction::Left,
            "right" => Direction::Right,
            _ => return Err("direction"),
        })
    }
}

fn strength(word: &str, name: Wrong) -> Result<Strength, Wrong> {
    match word {
        "subtle" => Ok(Strength::Subtle),
        "strong" => Ok(Strength::Strong),
        _ => Err(name),
    }
}

async fn submit(State(backend): State<Arc<Backend>>, Json(body): Json<Submit>) -> Response {
    let mut order = match body.order() {
        Ok(order) => order,
        Err(name) => return wrong(name),
    };
    if let Some((parent, _)) = &order.parent
        && let Some(parent) = backend.peek(parent).await
    {
        // "The source task must be a completed task of the same series."
        order.offered = series(&parent.order) == series(&order);
    }
    let at = backend.clock.now();
    let said = |taken: Result<&Seen, Refusal>| match taken {
        Ok(task) => Json(told(task, at)).into_response(),
        Err(refusal) => refused(refusal),
    };
    backend.submit(order, said).await
}

fn series(order: &Order) -> Option<&'static str> {
    split(order.kept.as_deref()?).map(|(series, _)| series)
}

async fn task(State(backend): State<Arc<Backend>>, Path(id): Path<String>) -> Response {
    let at = backend.clock.now();
    let said = |task: Option<&Seen>| match task {
        Some(task) => Json(told(task, at)).into_response(),
        None => refused(Refusal::UnknownParent),
    };
    backend.show(&id, said).await
}

fn told(task: &Seen, at: Timestamp) -> Value {
    let failed = |message: &str| json!({"code": "service_unavailable", "message": message});
    let (status, progress, error) = match &task.status {
        RemoteStatus::Waiting => ("pending", 0, None),
        RemoteStatus::Running { progress } => ("processing", progress.unwrap_or_default(), None),
        RemoteStatus::Succeeded(_) => ("completed", 100, None),
        RemoteStatus::Failed(failure) if failure.kind == FailureKind::Moderated => {
            ("failed", 50, Some(failed("Banned prompt detected")))
        }
        RemoteStatus::Failed(_) | RemoteStatus::Cancelled => ("failed", 60, Some(failed("sim:fail"))),
        _ => ("processing", 0, None),
    };
    let left = (!task.is_over()).then(|| at.saturating_since(task.submitted).as_secs());
    let mut told = json!({
        "id": task.id,
        "object": "image.generation.task",
        "type": "image",
        "model": task.order.kept,
        "created": task.submitted.as_millis() / 1_000,
        "status": status,
        "progress": progress,
        "task_info": {"can_cancel": !task.is_over(), "estimated_time": left.map_or(0, |gone| 60_u64.saturating_sub(gone))},
        "usage": {"billing_rule": "per_call", "credits_reserved": 5.4, "user_group": "default"},
        "results": task.links(ImageKind::Single),
    });
    if let (Some(error), Some(told)) = (error, told.as_object_mut()) {
        told.insert("error".to_owned(), error);
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_are_read_with_their_params() {
        let read = |body: Value| {
            let submit: Submit = serde_json::from_value(body).unwrap();
            let order = submit.order()?;
            Ok((order.action, order.parent.map(|(_, index)| index)))
        };
        let of = |params: Value| {
            let mut params = params;
            params["task_id"] = json!("task-unified-1");
            params
        };
        for (body, expected) in [
            (
                json!({"model": "mj-v7", "prompt": "a fox"}),
                Ok((Action::Imagine, None)),
            ),
            (json!({"model": "mj-v70", "prompt": "a fox"}), Err("model")),
            (json!({"model": "mj-v7-dance", "prompt": "a fox"}), Err("model")),
            (
                json!({"model": "mj-v8.1", "prompt": "a fox --turbo"}),
                Err("prompt"),
            ),
            (
                json!({"model": "mj-v7", "prompt": "a fox", "model_params": {"speed": "relax"}}),
                Err("speed"),
            ),
            (
                json!({"model": "mj-v7", "prompt": "a fox", "callback_url": "http://127.0.0.1/hook"}),
                Err("callback_url"),
            ),
            (
                json!({"model": "mj-v7-upscale", "model_params": of(json!({"image_number": 3, "type": "standard"}))}),
                Ok((
                    Action::Upscale {
                        mode: UpscaleMode::Subtle,
                    },
                    Some(4),
                )),
            ),
            (
                json!({"model": "mj-v7-pan", "model_params": of(json!({"image_number": 4, "direction": "up"}))}),
                Err("image_number"),
            ),
            (
                json!({"model": "mj-v8.1-remix", "prompt": "a wolf",
                    "model_params": of(json!({"image_number": 0, "mode": "subtle"}))}),
                Ok((
                    Action::Remix {
                        strength: Strength::Subtle,
                    },
                    Some(1),
                )),
            ),
            (
                json!({"model": "mj-v7-retexture", "prompt": "of glass"}),
                Err("image_urls"),
            ),
        ] {
            assert_eq!(read(body.clone()), expected, "{body}");
        }
    }
}
