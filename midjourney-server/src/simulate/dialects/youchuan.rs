//! `YouChuan`: `POST /v1/tob/<verb>`, two keys, statuses as numbers.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use midjourney_core::{
    clock::Timestamp,
    image::ImageKind,
    job::{Action, Direction, FailureKind, RemoteStatus, Strength, UpscaleMode},
};
use serde_json::{Value, json};

use super::{
    Wire,
    verbs::{Numbers, Submit},
};
use crate::simulate::{
    backend::{Backend, Refusal, Seen},
    callback::Posted,
};

const NUMBERS: Numbers = Numbers {
    upscales: &[
        UpscaleMode::Subtle,
        UpscaleMode::Creative,
        UpscaleMode::Double,
        UpscaleMode::Quadruple,
    ],
    directions: [Direction::Down, Direction::Right, Direction::Up, Direction::Left],
    // The other way round than a variation's.
    strengths: [Strength::Strong, Strength::Subtle],
};

/// The verbs of the other upstream that this one lacks.
const MISSING: [&str; 3] = ["blend", "describe", "shorten"];

#[derive(Debug)]
pub(super) struct YouChuan;

impl Wire for YouChuan {
    fn routes(&self, backend: Arc<Backend>) -> Router {
        Router::new()
            .route("/v1/tob/{verb}", post(submit))
            .route("/v1/tob/job/{id}", get(job))
            .with_state(backend)
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

fn error(status: StatusCode, reason: &str) -> Response {
    let body = json!({"code": status.as_u16(), "message": reason.replace('_', " "), "reason": reason});
    (status, Json(body)).into_response()
}

/// The reasons as the upstream spells them.
fn refused(refusal: Refusal) -> Response {
    let (status, reason) = match refusal {
        Refusal::Moderated => (StatusCode::FORBIDDEN, "Msg_Sensitive"),
        Refusal::Invalid => (StatusCode::BAD_REQUEST, "Invalid_Prompt_Parameter"),
        Refusal::QueueFull | Refusal::RateLimited => {
            (StatusCode::TOO_MANY_REQUESTS, "Max_Concurrent_Limited")
        }
        Refusal::NoCredit => (StatusCode::PAYMENT_REQUIRED, "Account_Fee_Not_Enough"),
        Refusal::UnknownParent | Refusal::UnfinishedParent => (StatusCode::BAD_REQUEST, "Invalid_Argument"),
        Refusal::NotOffered => (StatusCode::METHOD_NOT_ALLOWED, "Not_Support"),
    };
    error(status, reason)
}

/// The refusal of who does not show both parts of the key, which are kept with a `|` between them.
fn stranger(backend: &Backend, headers: &HeaderMap) -> Option<Response> {
    let part = |name: &str| headers.get(name).and_then(|part| part.to_str().ok());
    let shown = part("x-youchuan-app").zip(part("x-youchuan-secret"));
    let known = match &backend.key {
        None => shown.is_some(),
        Some(key) => key.split_once('|') == shown,
    };
    (!known).then(|| error(StatusCode::UNAUTHORIZED, "Invalid_App_Identifier"))
}

async fn submit(
    State(backend): State<Arc<Backend>>,
    Path(verb): Path<String>,
    headers: HeaderMap,
    Json(body): Json<Submit>,
) -> Response {
    if let Some(refused) = stranger(&backend, &headers) {
        return refused;
    }
    if MISSING.contains(&verb.as_str()) {
        return StatusCode::NOT_FOUND.into_response();
    }
    match body.order(&verb, &NUMBERS) {
        Err("verb") => StatusCode::NOT_FOUND.into_response(),
        Err(_) => error(StatusCode::BAD_REQUEST, "Invalid_Argument"),
        Ok(order) => {
            let said = |taken: Result<&Seen, Refusal>| match taken {
                Ok(task) => Json(told(task)).into_response(),
                Err(refusal) => refused(refusal),
            };
            backend.submit(order, said).await
        }
    }
}

async fn job(State(backend): State<Arc<Backend>>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    if let Some(refused) = stranger(&backend, &headers) {
        return refused;
    }
    let said = |task: Option<&Seen>| match task {
        Some(task) => Json(told(task)).into_response(),
        None => error(StatusCode::NOT_FOUND, "Invalid_Argument"),
    };
    backend.show(&id, said).await
}

fn told(task: &Seen) -> Value {
    let (status, comment) = match &task.status {
        RemoteStatus::Waiting => (1, "JobStatusCreated"),
        RemoteStatus::Succeeded(_) => (2, "JobStatusSuccess"),
        RemoteStatus::Failed(failure) if failure.kind == FailureKind::Moderated => (3, "JobStatusTextReject"),
        RemoteStatus::Failed(_) => (3, "JobStatusError"),
        RemoteStatus::Cancelled => (3, "JobStatusCanceled"),
        _ => (1, "JobStatusRunning"),
    };
    let singles = task.links(ImageKind::Single);
    let video = matches!(task.order.action, Action::Animate { .. } | Action::Extend { .. });
    json!({
        "id": task.id,
        "status": status,
        "comment": comment,
        "urls": singles,
        "videoUrl": if video { singles.first() } else { None },
        "imageRejectNum": 0,
    })
}
