//! `TTAPI`: named actions, one shape for fetching and for callbacks, our mark echoed.
//!
//! Its documentation names no HTTP statuses for refusals and none for tasks that it does not know; those here are the
//! usual ones.

mod names;

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Query, Request, State},
    http::{HeaderMap, StatusCode},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::post,
};
use midjourney_core::{
    clock::Timestamp,
    image::ImageKind,
    job::{Action, FailureKind, RemoteStatus, Shape},
};
use serde::Deserialize;
use serde_json::{Value, json};

use self::names::NAMES;
use super::Wire;
use crate::simulate::{
    backend::{Backend, Order, Refusal, Seen},
    callback::Posted,
};

#[derive(Debug)]
pub(super) struct TtApi;

impl Wire for TtApi {
    fn routes(&self, backend: Arc<Backend>) -> Router {
        let routes = Router::new()
            .route("/imagine", post(imagine))
            .route("/action", post(action))
            .route("/blend", post(blend))
            .route("/describe", post(describe))
            .route("/inpaint", post(inpaint))
            .route("/seed", post(fetch))
            .route("/fetch", post(fetch).get(look))
            .layer(middleware::from_fn_with_state(Arc::clone(&backend), authorise))
            .with_state(backend);
        routes.clone().nest("/midjourney/v1", routes)
    }

    fn id(&self, number: u64, random: u64) -> String {
        super::uuid(number, random)
    }

    fn callback(&self, task: &Seen, _at: Timestamp, _secret: &str) -> Option<Posted> {
        Some(Posted {
            body: told(task).to_string().into_bytes(),
            headers: Vec::new(),
        })
    }
}

async fn authorise(
    State(backend): State<Arc<Backend>>,
    headers: HeaderMap,
    request: Request,
    next: Next,
) -> Response {
    let shown = headers.get("tt-api-key").and_then(|key| key.to_str().ok());
    if backend.key.is_none() || shown == backend.key.as_deref() {
        return next.run(request).await;
    }
    failed(StatusCode::UNAUTHORIZED, "the key is not valid")
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Submit {
    prompt: String,
    job_id: String,
    action: String,
    mask: String,
    img_base64_array: Vec<String>,
    dimensions: String,
    base64: String,
    url: String,
    hook_url: Option<String>,
    #[serde(rename = "notify_id")]
    notify_id: String,
    get_u_images: bool,
}

impl Submit {
    fn order(self, action: Action, parent: Option<u8>) -> Order {
        Order {
            parent: parent.map(|index| (self.job_id, index)),
            mark: self.notify_id,
            callback: self.hook_url,
            parts: self.get_u_images,
            ..Order::new(action, self.prompt)
        }
    }
}

fn failed(status: StatusCode, message: &str) -> Response {
    (
        status,
        Json(json!({"status": "FAILED", "message": message, "data": null})),
    )
        .into_response()
}

async fn take(backend: Arc<Backend>, order: Order) -> Response {
    let said = |taken: Result<&Seen, Refusal>| match taken {
        // Here this word means that it was accepted.
        Ok(task) => {
            Json(json!({"status": "SUCCESS", "message": "", "data": {"jobId": task.id}})).into_response()
        }
        Err(refusal) => {
            let (status, message) = match refusal {
                Refusal::Moderated => (StatusCode::BAD_REQUEST, "[Banned prompt detected] sim"),
                Refusal::Invalid => (StatusCode::BAD_REQUEST, "[Invalid parameter] Invalid value sim"),
                Refusal::QueueFull | Refusal::RateLimited => (StatusCode::TOO_MANY_REQUESTS, "too many jobs"),
                Refusal::NoCredit => (StatusCode::PAYMENT_REQUIRED, "no quota left"),
                Refusal::UnknownParent => (StatusCode::NOT_FOUND, "job not found"),
                Refusal::UnfinishedParent | Refusal::NotOffered => (
                    StatusCode::BAD_REQUEST,
                    "[Invalid parameter] the job does not offer this",
                ),
            };
            failed(status, message)
        }
    };
    backend.submit(order, said).await
}

fn wrong(name: &str) -> Response {
    failed(StatusCode::BAD_REQUEST, &format!("[Invalid parameter] {name}"))
}

async fn imagine(State(backend): State<Arc<Backend>>, Json(body): Json<Submit>) -> Response {
    if body.prompt.trim().is_empty() {
        return wrong("prompt");
    }
    take(backend, body.order(Action::Imagine, None)).await
}

async fn action(State(backend): State<Arc<Backend>>, Json(body): Json<Submit>) -> Response {
    let Some((action, index)) = NAMES.read(&body.action) else {
        return wrong("action");
    };
    let parent = backend.peek(&body.job_id).await;
    let offered = parent.is_none_or(|parent| NAMES.offered(&parent).contains(&body.action));
    let mut order = body.order(action, Some(index));
    order.offered = offered;
    take(backend, order).await
}

async fn blend(State(backend): State<Arc<Backend>>, Json(body): Json<Submit>) -> Response {
    let shape = match body.dimensions.as_str() {
        "PORTRAIT" => Shape::Portrait,
        "" | "SQUARE" => Shape::Square,
        "LANDSCAPE" => Shape::Landscape,
        _ => return wrong("dimensions"),
    };
    let images = body.img_base64_array.len();
    if !(2..=5).contains(&images) {
        return wrong("imgBase64Array");
    }
    let mut order = body.order(Action::Blend { shape }, None);
    order.images = images;
    take(backend, order).await
}

async fn describe(State(backend): State<Arc<Backend>>, Json(body): Json<Submit>) -> Response {
    if body.base64.is_empty() && !body.url.starts_with("http") {
        return wrong("url");
    }
    let mut order = body.order(Action::Describe, None);
    order.images = 1;
    take(backend, order).await
}

async fn inpaint(State(backend): State<Arc<Backend>>, Json(body): Json<Submit>) -> Response {
    // Bare base64, where others want a data URL.
    if body.mask.is_empty() || body.mask.starts_with("data:") {
        return wrong("mask");
    }
    take(backend, body.order(Action::Inpaint, Some(1))).await
}

async fn fetch(State(backend): State<Arc<Backend>>, Json(body): Json<Submit>) -> Response {
    show(backend, &body.job_id).await
}

async fn look(State(backend): State<Arc<Backend>>, Query(asked): Query<Submit>) -> Response {
    show(backend, &asked.job_id).await
}

async fn show(backend: Arc<Backend>, id: &str) -> Response {
    let said = |task: Option<&Seen>| match task {
        Some(task) => Json(told(task)).into_response(),
        None => failed(StatusCode::NOT_FOUND, "job not found"),
    };
    backend.show(id, said).await
}

fn told(task: &Seen) -> Value {
    let (status, progress, message) = match &task.status {
        RemoteStatus::Waiting => ("PENDING_QUEUE", 0, ""),
        RemoteStatus::Running { progress } => ("ON_QUEUE", progress.unwrap_or_default(), ""),
        RemoteStatus::Succeeded(_) => ("SUCCESS", 100, "success"),
        RemoteStatus::Failed(failure) if failure.kind == FailureKind::Moderated => {
            ("FAILED", 50, "[Banned prompt detected] sim")
        }
        RemoteStatus::Failed(_) | RemoteStatus::Cancelled => ("FAILED", 60, "[Internal error] sim:fail"),
        _ => ("ON_QUEUE", 0, ""),
    };
    let (grid, singles) = (task.links(ImageKind::Grid), task.links(ImageKind::Single));
    let whole = grid.first().or_else(|| singles.first());
    let (texts, seed) = match &task.status {
        RemoteStatus::Succeeded(result) => (result.texts.join("\n\n"), result.seed),
        _ => (String::new(), None),
    };
    let index = task.order.parent.as_ref().map_or(0, |(_, index)| *index);
    let did = NAMES.spell(task.order.action, index);
    json!({
        "status": status,
        "jobId": task.id,
        "message": message,
        "data": {
            "jobId": task.id,
            "actions": did.as_deref().unwrap_or_else(|| task.order.action.name()),
            "progress": progress.to_string(),
            "prompt": if texts.is_empty() { task.order.prompt.as_str() } else { texts.as_str() },
            "discordImage": whole,
            "cdnImage": whole,
            "hookUrl": task.order.callback,
            "components": NAMES.offered(task),
            "seed": seed.map_or_else(String::new, |seed| seed.to_string()),
            "images": if task.order.parts && !grid.is_empty() { singles } else { Vec::new() },
            "quota": "3",
            "notify_id": task.order.mark,
        },
    })
}
