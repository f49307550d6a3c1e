//! `AceDataCloud`: every route is a POST, and a task's answer is nested in its record.
//!
//! Only what answers at once is imitated: a submit that would wait for its pictures, as it does there with neither
//! `callback_url` nor `async`, is refused as not implemented. How it says that it does not know a task is not documented;
//! here that is status 404.

mod names;
mod task;

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::post,
};
use midjourney_core::{
    clock::Timestamp,
    job::{Action, Motion, RemoteStatus},
};
use serde::Deserialize;
use serde_json::json;

use self::{
    names::NAMES,
    task::{answer, record},
};
use super::Wire;
use crate::simulate::{
    backend::{Backend, Order, Refusal, Seen},
    callback::Posted,
};

const GENERATE: &str = "generate";

const MODES: [&str; 3] = ["fast", "relax", "turbo"];
const VERSIONS: [&str; 7] = ["5.2", "6", "6.1", "7", "8", "8.1", "8.2"];
const QUALITIES: [&str; 3] = ["1", "2", "4"];

#[derive(Debug)]
pub(super) struct AceData;

impl Wire for AceData {
    fn routes(&self, backend: Arc<Backend>) -> Router {
        let routes = Router::new()
            .route("/imagine", post(imagine))
            .route("/edits", post(edits))
            .route("/videos", post(videos))
            .route("/describe", post(describe))
            .route("/shorten", post(shorten))
            .route("/seed", post(seed))
            .route("/tasks", post(tasks))
            .layer(middleware::from_fn_with_state(Arc::clone(&backend), authorise))
            .with_state(backend);
        Router::new().nest("/midjourney", routes)
    }

    /// All of it follows from the number, which is the picture's id.
    fn id(&self, number: u64, _random: u64) -> String {
        super::uuid(number, number.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    /// One, at the end: it sends many only to who wants a stream of lines as well.
    fn callback(&self, task: &Seen, _at: Timestamp, _secret: &str) -> Option<Posted> {
        Some(Posted {
            body: answer(task)?.to_string().into_bytes(),
            headers: Vec::new(),
        })
    }
}

/// The task whose picture has this id.
fn task_of(image_id: &str) -> String {
    let number = image_id.parse().ok();
    number.map_or_else(String::new, |number| AceData.id(number, 0))
}

/// The id of a task's picture.
fn image_of(task: &str) -> Option<String> {
    let mut parts = task.split('-');
    let few = u64::from_str_radix(parts.nth(1)?, 16).ok()?;
    let time = u64::from_str_radix(parts.nth(2)?, 16).ok()?;
    Some(((time << 16) | few).to_string())
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
    error(
        StatusCode::UNAUTHORIZED,
        "invalid_token",
        "the token is not valid",
    )
}

fn error(status: StatusCode, code: &str, message: &str) -> Response {
    let body =
        json!({"success": false, "error": {"code": code, "message": message}, "trace_id": "simulated"});
    (status, Json(body)).into_response()
}

fn wrong(name: &str) -> Response {
    let message = format!("{name} is not valid");
    error(StatusCode::BAD_REQUEST, "bad_request", &message)
}

fn refused(refusal: Refusal) -> Response {
    let bad = |message| (StatusCode::BAD_REQUEST, "bad_request", message);
    let (status, code, message) = match refusal {
        Refusal::Moderated => (StatusCode::FORBIDDEN, "moderation", "refused by moderation"),
        Refusal::Invalid => bad("Unrecognized argument(s): `--sim`"),
        Refusal::QueueFull | Refusal::RateLimited => (
            StatusCode::TOO_MANY_REQUESTS,
            "too_many_requests",
            "too many requests",
        ),
        Refusal::NoCredit => (StatusCode::FORBIDDEN, "used_up", "no credit is left"),
        Refusal::UnknownParent | Refusal::UnfinishedParent => bad("there is no such image"),
        Refusal::NotOffered => bad("the image does not offer this action"),
    };
    error(status, code, message)
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Submit {
    action: Option<String>,
    prompt: String,
    image_id: String,
    image_url: String,
    video_id: String,
    video_index: u8,
    mask: String,
    mode: Option<String>,
    version: Option<String>,
    quality: Option<String>,
    split_images: bool,
    callback_url: Option<String>,
    r#async: bool,
}

impl Submit {
    /// The field that holds something unknown.
    fn unknown(&self) -> Option<&'static str> {
        [
            ("mode", &self.mode, &MODES[..]),
            ("version", &self.version, &VERSIONS),
            ("quality", &self.quality, &QUALITIES),
        ]
        .into_iter()
        .find_map(|(name, field, known)| {
            let bad = field.as_deref().is_some_and(|value| !known.contains(&value));
            bad.then_some(name)
        })
    }

    fn order(self, action: Action, index: Option<u8>) -> Order {
        Order {
            parent: index.map(|index| (task_of(&self.image_id), index)),
            callback: self.callback_url,
            parts: self.split_images,
            ..Order::new(action, self.prompt)
        }
    }
}

async fn imagine(State(backend): State<Arc<Backend>>, Json(body): Json<Submit>) -> Response {
    let name = body.action.clone().unwrap_or_else(|| GENERATE.to_owned());
    if name == GENERATE {
        if body.prompt.trim().is_empty() {
            return wrong("prompt");
        }
        return start(backend, body, Action::Imagine, None, true).await;
    }
    let Some((action, index)) = NAMES.read(&name) else {
        return wrong("action");
    };
    if (action == Action::Inpaint) == body.mask.is_empty() {
        return wrong("mask");
    }
    let parent = backend.peek(&task_of(&body.image_id)).await;
    let offered = parent.is_none_or(|parent| NAMES.offered(&parent).contains(&name));
    start(backend, body, action, Some(index), offered).await
}

async fn edits(State(backend): State<Arc<Backend>>, Json(body): Json<Submit>) -> Response {
    if body.action.as_deref().is_some_and(|action| action != GENERATE) {
        return wrong("action");
    }
    if !body.image_url.starts_with("http") {
        return wrong("image_url");
    }
    if body.prompt.trim().is_empty() {
        return wrong("prompt");
    }
    start(backend, body, Action::Edit, None, true).await
}

/// A video begins with a picture; a longer one with one of a task's videos, counted from 0.
async fn videos(State(backend): State<Arc<Backend>>, Json(mut body): Json<Submit>) -> Response {
    if body.prompt.trim().is_empty() {
        return wrong("prompt");
    }
    if body.mode.as_deref() == Some("relax") {
        return wrong("mode");
    }
    let motion = if body.prompt.contains("--motion high") {
        Motion::High
    } else {
        Motion::Low
    };
    match body.action.as_deref().unwrap_or(GENERATE) {
        GENERATE if body.image_url.starts_with("http") => {
            start(backend, body, Action::Animate { motion }, None, true).await
        }
        GENERATE => wrong("image_url"),
        "extend" if body.video_index < 4 => {
            body.image_id = std::mem::take(&mut body.video_id);
            let number = body.video_index + 1;
            start(backend, body, Action::Extend { motion }, Some(number), true).await
        }
        "extend" => wrong("video_index"),
        _ => wrong("action"),
    }
}

async fn start(
    backend: Arc<Backend>,
    body: Submit,
    action: Action,
    index: Option<u8>,
    offered: bool,
) -> Response {
    if let Some(name) = body.unknown() {
        return wrong(name);
    }
    if body.callback_url.is_none() && !body.r#async {
        let message = "waiting for the pictures is not imitated; send `async` or a `callback_url`";
        return error(StatusCode::BAD_REQUEST, "api_not_implemented", message);
    }
    let mut order = body.order(action, index);
    order.offered = offered;
    order.images = usize::from(matches!(action, Action::Edit | Action::Animate { .. }));
    let said = |taken: Result<&Seen, Refusal>| match taken {
        Ok(task) => Json(json!({"task_id": task.id})).into_response(),
        Err(refusal) => refused(refusal),
    };
    backend.submit(order, said).await
}

async fn describe(State(backend): State<Arc<Backend>>, Json(body): Json<Submit>) -> Response {
    if !body.image_url.starts_with("http") {
        return wrong("image_url");
    }
    let mut order = body.order(Action::Describe, None);
    order.images = 1;
    texts(backend, order, "descriptions").await
}

async fn shorten(State(backend): State<Arc<Backend>>, Json(body): Json<Submit>) -> Response {
    if body.prompt.trim().is_empty() {
        return wrong("prompt");
    }
    texts(backend, body.order(Action::Shorten, None), "prompts").await
}

/// Texts are the answer to the submit.
async fn texts(backend: Arc<Backend>, mut order: Order, field: &'static str) -> Response {
    order.at_once = true;
    let said = |taken: Result<&Seen, Refusal>| match taken.map(|task| &task.status) {
        Ok(RemoteStatus::Succeeded(result)) => Json(json!({ field: result.texts })).into_response(),
        Ok(_) => error(StatusCode::INTERNAL_SERVER_ERROR, "api_error", "fetch failed"),
        Err(refusal) => refused(refusal),
    };
    backend.submit(order, said).await
}

async fn seed(State(backend): State<Arc<Backend>>, Json(body): Json<Submit>) -> Response {
    let said = |task: Option<&Seen>| match task.map(|task| &task.status) {
        Some(RemoteStatus::Succeeded(result)) => {
            Json(json!({"success": true, "seed": result.seed})).into_response()
        }
        _ => refused(Refusal::UnknownParent),
    };
    backend.show(&task_of(&body.image_id), said).await
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Question {
    action: String,
    id: String,
    ids: Vec<String>,
}

async fn tasks(State(backend): State<Arc<Backend>>, Json(body): Json<Question>) -> Response {
    let at = backend.clock.now();
    match body.action.as_str() {
        "retrieve" => {
            let said = |task: Option<&Seen>| match task {
                Some(task) => Json(record(task, at)).into_response(),
                None => error(StatusCode::NOT_FOUND, "not_found", "there is no such task"),
            };
            backend.show(&body.id, said).await
        }
        "retrieve_batch" => {
            let said = |tasks: &[Seen]| {
                let items: Vec<_> = tasks.iter().map(|task| record(task, at)).collect();
                Json(json!({"count": items.len(), "items": items})).into_response()
            };
            backend.list(Some(&body.ids), said).await
        }
        _ => wrong("action"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_leads_back_to_its_task() {
        for number in [1, 0xffff, 1_700_000_000_000_123] {
            let task = AceData.id(number, 7);
            assert_eq!(task_of(&image_of(&task).unwrap()), task, "{number}");
        }
        assert_eq!(image_of("task-1"), None);
        assert_eq!(task_of("fox"), "");
    }
}
