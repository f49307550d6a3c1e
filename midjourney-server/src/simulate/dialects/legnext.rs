//! `LegNext`: `POST /api/v1/<verb>`, signed callbacks.

use std::sync::Arc;

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use hmac::{Hmac, KeyInit as _, Mac as _};
use midjourney_core::{
    clock::Timestamp,
    image::ImageKind,
    job::{Action, Direction, FailureKind, RemoteStatus, Strength, UpscaleMode},
};
use serde_json::{Value, json};
use sha2::Sha256;

use super::{
    Wire,
    verbs::{Numbers, Submit},
};
use crate::simulate::{
    backend::{Backend, Refusal, Seen},
    callback::Posted,
};

const NUMBERS: Numbers = Numbers {
    upscales: &[UpscaleMode::Subtle, UpscaleMode::Creative],
    directions: [Direction::Up, Direction::Down, Direction::Left, Direction::Right],
    // "Remix mode (0=Low, 1=High)".
    strengths: [Strength::Subtle, Strength::Strong],
};

/// How unset times are written.
const NEVER: &str = "0001-01-01T00:00:00Z";

#[derive(Debug)]
pub(super) struct LegNext;

impl Wire for LegNext {
    fn routes(&self, backend: Arc<Backend>) -> Router {
        // The documented base ends in `/api`; what is configured as base decides whether that is sent.
        let routes = Router::new()
            .route("/v1/{verb}", post(submit))
            .route("/v1/job/{id}", get(job))
            .route("/account/balance", get(balance))
            .with_state(backend);
        routes.clone().nest("/api", routes)
    }

    fn id(&self, number: u64, random: u64) -> String {
        super::uuid(number, random)
    }

    fn callback(&self, task: &Seen, at: Timestamp, secret: &str) -> Option<Posted> {
        let body = told(task, at).to_string().into_bytes();
        let time = (at.as_millis() / 1_000).to_string();
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).ok()?;
        mac.update(time.as_bytes());
        mac.update(b".");
        mac.update(&body);
        let signature = mac.finalize().into_bytes();
        let signature: Vec<_> = signature.iter().map(|byte| format!("{byte:02x}")).collect();
        Some(Posted {
            body,
            headers: vec![
                ("x-legnext-timestamp", time),
                ("x-legnext-signature", signature.concat()),
            ],
        })
    }
}

fn error(status: StatusCode, message: &str) -> Response {
    let body = json!({"code": status.as_u16(), "message": message, "raw_message": "", "detail": null});
    (status, Json(body)).into_response()
}

fn refused(refusal: Refusal) -> Response {
    match refusal {
        Refusal::Moderated => error(StatusCode::FORBIDDEN, "sensitive content"),
        Refusal::Invalid => error(StatusCode::BAD_REQUEST, "invalid prompt parameter"),
        Refusal::QueueFull | Refusal::RateLimited => error(StatusCode::TOO_MANY_REQUESTS, "too many jobs"),
        Refusal::NoCredit => error(StatusCode::PAYMENT_REQUIRED, "insufficient points"),
        Refusal::UnknownParent => error(StatusCode::NOT_FOUND, "job not found"),
        Refusal::UnfinishedParent => error(StatusCode::BAD_REQUEST, "job is not completed"),
        Refusal::NotOffered => error(StatusCode::BAD_REQUEST, "action is not available"),
    }
}

/// The refusal of who does not show the key.
fn stranger(backend: &Backend, headers: &HeaderMap) -> Option<Response> {
    let shown = headers.get("x-api-key").and_then(|key| key.to_str().ok());
    let known = backend.key.is_none() || shown == backend.key.as_deref();
    (!known).then(|| error(StatusCode::UNAUTHORIZED, "invalid api key"))
}

async fn submit(
    State(backend): State<Arc<Backend>>,
    Path(verb): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if let Some(refused) = stranger(&backend, &headers) {
        return refused;
    }
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    let is_form = kind.is_some_and(|kind| kind.starts_with("multipart/form-data"));
    let read = match (verb.as_str(), is_form) {
        ("inpaint", true) => Some(form(&body)),
        ("inpaint", false) | (_, true) => None,
        _ => serde_json::from_slice(&body).ok(),
    };
    let Some(read): Option<Submit> = read else {
        return error(StatusCode::UNPROCESSABLE_ENTITY, "the body cannot be read");
    };
    match read.order(&verb, &NUMBERS) {
        Err("verb") => error(StatusCode::NOT_FOUND, "no such route"),
        Err(wrong) => error(StatusCode::BAD_REQUEST, &format!("invalid {wrong}")),
        Ok(order) => {
            let at = backend.clock.now();
            let said = |taken: Result<&Seen, Refusal>| match taken {
                Ok(task) => Json(told(task, at)).into_response(),
                Err(refusal) => refused(refusal),
            };
            backend.submit(order, said).await
        }
    }
}

/// The fields of a form, as far as an inpaint needs them.
fn form(body: &[u8]) -> Submit {
    let text = String::from_utf8_lossy(body);
    let field = |name: &str| {
        let (_, rest) = text.split_once(&format!("name=\"{name}\""))?;
        let (_, value) = rest.split_once("\r\n\r\n")?;
        value.split("\r\n").next().map(str::to_owned)
    };
    Submit {
        job_id: field("jobId").unwrap_or_default(),
        image_no: field("imageNo").and_then(|number| number.parse().ok()),
        remix_prompt: field("remixPrompt").unwrap_or_default(),
        // It is a file: that it begins as a PNG does is enough.
        mask: field("mask")
            .filter(|mask| mask.contains("PNG"))
            .map(Value::String),
        callback: field("callback").filter(|url| !url.is_empty()),
        ..Submit::default()
    }
}

async fn job(State(backend): State<Arc<Backend>>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    if let Some(refused) = stranger(&backend, &headers) {
        return refused;
    }
    let at = backend.clock.now();
    let said = |task: Option<&Seen>| match task {
        Some(task) => Json(told(task, at)).into_response(),
        None => refused(Refusal::UnknownParent),
    };
    backend.show(&id, said).await
}

async fn balance(State(backend): State<Arc<Backend>>) -> Json<Value> {
    let spent = backend.account().paid.len() * 80;
    Json(json!({
        "account_id": "simulated", "balance_usd": 0.0, "available_credits": 0,
        "available_points": 1_000_000_usize.saturating_sub(spent), "alert_threshold": 0, "low_balance_alert": false,
        "updated_at": backend.clock.now(),
    }))
}

const fn task_type(action: Action) -> &'static str {
    match action {
        Action::Imagine => "diffusion",
        Action::Zoom { .. } => "outpaint",
        Action::Animate { .. } => "video_diffusion",
        Action::Extend { .. } => "extend_video",
        other => other.name(),
    }
}

fn told(task: &Seen, at: Timestamp) -> Value {
    let (status, failure) = match &task.status {
        RemoteStatus::Waiting => ("pending", None),
        RemoteStatus::Succeeded(_) => ("completed", None),
        RemoteStatus::Failed(failure) => ("failed", Some(failure)),
        RemoteStatus::Cancelled => ("failed", None),
        _ => ("processing", None),
    };
    let error = match failure.map(|failure| failure.kind) {
        Some(FailureKind::Moderated) => {
            json!({"code": 403, "message": "sensitive content", "raw_message": "Banned prompt detected", "detail": null})
        }
        Some(_) => {
            json!({"code": 500, "message": "internal error", "raw_message": "sim:fail", "detail": null})
        }
        None => json!({"code": 0, "message": "", "raw_message": "", "detail": null}),
    };
    json!({
        "job_id": task.id,
        "model": "midjourney",
        "task_type": task_type(task.order.action),
        "status": status,
        "config": {"service_mode": "public", "webhook_config": {"endpoint": task.order.callback, "secret": ""}},
        "input": {"text": task.order.prompt},
        "output": output(task),
        "meta": {
            "created_at": task.submitted,
            "started_at": if status == "pending" { NEVER.to_owned() } else { task.submitted.to_string() },
            "ended_at": if task.is_over() { at.to_string() } else { NEVER.to_owned() },
            "usage": {"type": "point", "frozen": 0, "consume": 80},
        },
        "detail": null,
        "logs": [],
        "error": error,
    })
}

/// Before it is done, the links are there and empty.
fn output(task: &Seen) -> Value {
    let RemoteStatus::Succeeded(result) = &task.status else {
        return json!({"image_url": "", "image_urls": [""], "seed": ""});
    };
    let grid = task.links(ImageKind::Grid);
    let singles = task.links(ImageKind::Single);
    let numbers: Vec<_> = (0..singles.len()).collect();
    let seed = result.seed.map(|seed| seed.to_string());
    match task.order.action {
        Action::Describe => json!({"prompts": result.texts, "description": result.texts.join("\n\n")}),
        Action::Shorten => json!({"prompts": result.texts, "finalPrompt": result.texts.first()}),
        Action::Animate { .. } | Action::Extend { .. } => json!({
            "image_url": "", "image_urls": [], "video_urls": singles, "seed": seed,
            "available_actions": {"extend_video": numbers},
        }),
        _ => json!({
            "image_url": grid.first().or_else(|| singles.first()),
            "image_urls": singles,
            "seed": seed,
            "available_actions": {
                "upscale": numbers, "variation": numbers, "pan": numbers, "outpaint": numbers, "inpaint": numbers,
                "remix": numbers, "edit": numbers, "reroll": numbers, "video_diffusion": numbers,
            },
        }),
    }
}
