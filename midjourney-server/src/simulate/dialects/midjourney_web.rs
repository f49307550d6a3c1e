//! Midjourney's own web interface, as the clients of others use it: nobody has promised any of it.
//!
//! Pictures are counted and directions of a pan numbered as most of those clients do. Statuses of refusals that nobody has
//! written down are the usual ones. Of what the service has, that which ours asks for is imitated. All of it is at one
//! address: the service below `/api`, its pictures below `/cdn`, Google's token service at `/v1/token`.

mod session;
mod submit;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, Query, Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use midjourney_core::{
    clock::Timestamp,
    job::{Action, FailureKind, RemoteStatus},
};
use serde::Deserialize;
use serde_json::{Value, json};

use self::{
    session::{LASTS, Sessions, USER},
    submit::{Submit, job_type, offered},
};
use super::Wire;
use crate::simulate::{
    answer,
    backend::{Backend, Order, Refusal, Seen},
    callback::Posted,
};

/// Where uploads are, below the address of pictures.
const UPLOADS: &str = "/cdn/u/";

#[derive(Debug, Default)]
pub(super) struct MidjourneyWeb(Arc<Service>);

/// What it knows beside its jobs.
#[derive(Debug, Default)]
struct Service {
    sessions: Sessions,
    uploads: AtomicU64,
}

/// What its routes work with.
#[derive(Clone, Debug)]
struct Gate {
    backend: Arc<Backend>,
    service: Arc<Service>,
}

impl Gate {
    fn key(&self) -> Option<&str> {
        self.backend.key.as_deref()
    }

    fn now(&self) -> Timestamp {
        self.backend.clock.now()
    }
}

impl Wire for MidjourneyWeb {
    fn routes(&self, backend: Arc<Backend>) -> Router {
        let gate = Gate {
            backend,
            service: Arc::clone(&self.0),
        };
        let api = Router::new()
            .route("/firebase-login", post(login))
            .route("/submit-jobs", post(submit))
            .route("/job-status", post(job_status))
            .route("/storage-upload-file", post(upload))
            .route("/describe", post(describe))
            .layer(middleware::from_fn_with_state(gate.clone(), authorise));
        Router::new()
            .nest("/api", api)
            .route("/v1/token", post(token))
            .route("/cdn/{task}/{name}", get(picture))
            .route("/cdn/video/{task}/{name}", get(video))
            .with_state(gate)
    }

    fn id(&self, number: u64, random: u64) -> String {
        super::uuid(number, random)
    }

    fn callback(&self, _task: &Seen, _at: Timestamp, _secret: &str) -> Option<Posted> {
        None
    }

    fn refuses_content(&self) -> bool {
        // Known is a status of jobs only.
        false
    }

    fn shown(&self, _key: Option<&str>) -> Option<String> {
        Some(self.0.sessions.shown())
    }
}

/// "Every call: cookie header + `x-csrf-protection: 1`, `Origin`, `Referer`"; "401 = session".
async fn authorise(State(gate): State<Gate>, headers: HeaderMap, request: Request, next: Next) -> Response {
    let dressed = headers.get("x-csrf-protection").is_some_and(|one| one == "1")
        && headers.contains_key(header::ORIGIN)
        && headers.contains_key(header::REFERER);
    if !dressed {
        return StatusCode::FORBIDDEN.into_response();
    }
    if !gate.service.sessions.admits(gate.key(), &headers, gate.now()) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    next.run(request).await
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Renewal {
    key: String,
    grant_type: String,
    refresh_token: String,
}

/// Google's secure-token service: the public key in the address, the rest as a form.
async fn token(State(gate): State<Gate>, Query(asked): Query<Renewal>, body: Bytes) -> Response {
    let refused = |message: &str| {
        let body = json!({"error": {"code": 400, "message": message, "status": "INVALID_ARGUMENT"}});
        (StatusCode::BAD_REQUEST, Json(body)).into_response()
    };
    let form: Renewal = serde_urlencoded::from_bytes(&body).unwrap_or_default();
    if asked.key.is_empty() {
        return refused("API_KEY_INVALID");
    }
    if form.grant_type != "refresh_token" {
        return refused("INVALID_GRANT_TYPE");
    }
    let sessions = &gate.service.sessions;
    let Some(tokens) = sessions.renew(gate.key(), &form.refresh_token, gate.now()) else {
        return refused("INVALID_REFRESH_TOKEN");
    };
    let lasts = LASTS.as_secs().to_string();
    Json(json!({
        "id_token": tokens.id, "refresh_token": tokens.refresh, "expires_in": lasts, "token_type": "Bearer",
        "user_id": USER,
    }))
    .into_response()
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Login {
    cookie: LoginCookie,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct LoginCookie {
    id_token: String,
}

async fn login(State(gate): State<Gate>, Json(login): Json<Login>) -> Response {
    let sessions = &gate.service.sessions;
    if !sessions.knows(gate.key(), &login.cookie.id_token, gate.now()) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let user = json!({
        "id": USER, "email": "somebody@example.com", "websocketToken": "simulated",
        "abilities": {"can_private": false, "can_relax": true, "subscription": {"type": "month", "plan_type": "standard"}},
    });
    Json(json!({"authUser": user})).into_response()
}

/// `success` or `failure`, one of them empty.
fn jobs(success: Option<&Value>, failure: Option<&Value>) -> Response {
    let list = |one: Option<&Value>| one.into_iter().cloned().collect::<Vec<_>>();
    Json(json!({"success": list(success), "failure": list(failure)})).into_response()
}

/// "HTTP 200 also for refused jobs". Two kinds of failures were ever seen.
fn wrong(kind: &str, message: &str) -> Response {
    jobs(None, Some(&json!({"type": kind, "message": message})))
}

fn refused(refusal: Refusal) -> Response {
    match refusal {
        Refusal::QueueFull | Refusal::RateLimited => StatusCode::TOO_MANY_REQUESTS.into_response(),
        Refusal::NoCredit => StatusCode::PAYMENT_REQUIRED.into_response(),
        Refusal::Moderated | Refusal::Invalid => wrong("invalid_parameter", "Invalid value sim"),
        Refusal::UnknownParent => wrong("invalid_parameter", "there is no such job"),
        Refusal::UnfinishedParent => wrong("invalid_parameter", "the job is not completed"),
        Refusal::NotOffered => wrong("invalid_parameter", "the job does not allow this"),
    }
}

async fn submit(State(gate): State<Gate>, Json(body): Json<Submit>) -> Response {
    let mode = body.mode().to_owned();
    let mut order = match body.order() {
        Ok(order) => order,
        Err(name) => return wrong("invalid_parameter", name),
    };
    let links = order
        .prompt
        .split_whitespace()
        .filter(|word| word.starts_with("http"));
    let (count, all_there) = links.fold((0, true), |(count, all_there), link| {
        (count + 1, all_there && gate.service.has(link))
    });
    if !all_there {
        return wrong("invalid_link", "a link in the prompt cannot be read");
    }
    order.images = count;
    if let Some((parent, _)) = &order.parent
        && let Some(parent) = gate.backend.peek(parent).await
    {
        order.offered = offered(&order, &parent.order);
    }
    let said = |taken: Result<&Seen, Refusal>| match taken {
        Ok(task) => jobs(Some(&started(task, &mode)), None),
        Err(refusal) => refused(refusal),
    };
    gate.backend.submit(order, said).await
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Describe {
    image_url: String,
}

async fn describe(State(gate): State<Gate>, Json(body): Json<Describe>) -> Response {
    if !body.image_url.starts_with("http") || !gate.service.has(&body.image_url) {
        return StatusCode::BAD_REQUEST.into_response();
    }
    let order = Order {
        images: 1,
        at_once: true,
        ..Order::new(Action::Describe, String::new())
    };
    let said = |taken: Result<&Seen, Refusal>| match taken.map(|task| &task.status) {
        Ok(RemoteStatus::Succeeded(result)) => {
            Json(json!({"success": true, "data": {"descriptions": result.texts}})).into_response()
        }
        Ok(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Err(refusal) => refused(refusal),
    };
    gate.backend.submit(order, said).await
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Question {
    job_ids: Vec<String>,
}

/// What is not there is left out.
async fn job_status(State(gate): State<Gate>, Json(question): Json<Question>) -> Response {
    let said = |tasks: &[Seen]| Json(tasks.iter().map(told).collect::<Vec<_>>()).into_response();
    gate.backend.list(Some(&question.job_ids), said).await
}

/// Takes any file; only that it was handed over is remembered.
async fn upload(State(gate): State<Gate>, headers: HeaderMap, body: Bytes) -> Response {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    let is_form = kind.is_some_and(|kind| kind.starts_with("multipart/form-data"));
    if !is_form || !String::from_utf8_lossy(&body).contains("name=\"file\"") {
        return StatusCode::BAD_REQUEST.into_response();
    }
    let number = gate.service.uploads.fetch_add(1, Ordering::Relaxed);
    let short = format!("https://s.mj.run/{number}");
    Json(json!({"bucketPathname": format!("{number}/image.png"), "shortUrl": short})).into_response()
}

impl Service {
    /// Whether what `link` leads to is there, as far as that is to be known here.
    fn has(&self, link: &str) -> bool {
        let Some((_, path)) = link.split_once(UPLOADS) else {
            return true;
        };
        let number = path
            .split('/')
            .next()
            .and_then(|number| number.parse::<u64>().ok());
        number.is_some_and(|number| number < self.uploads.load(Ordering::Relaxed))
    }
}

/// "`<job>/0_<i>.png`".
async fn picture(State(gate): State<Gate>, Path((task, name)): Path<(String, String)>) -> Response {
    given(
        &gate,
        &task,
        name.strip_prefix("0_").and_then(|name| name.strip_suffix(".png")),
    )
    .await
}

/// "`video/<job>/<i>.mp4`": what is there is a picture, as with all imitations.
async fn video(State(gate): State<Gate>, Path((task, name)): Path<(String, String)>) -> Response {
    given(&gate, &task, name.strip_suffix(".mp4")).await
}

async fn given(gate: &Gate, task: &str, number: Option<&str>) -> Response {
    let number = number.and_then(|number| number.parse::<u8>().ok());
    let index = number.and_then(|number| number.checked_add(1));
    answer::picture(&gate.backend, task, index).await
}

/// What a submit is told of the job that it started.
fn started(task: &Seen, mode: &str) -> Value {
    let parent = task.order.parent.as_ref();
    json!({
        "job_id": task.id,
        "prompt": task.order.prompt,
        "is_queued": task.status == RemoteStatus::Waiting,
        "softban": false,
        "event_type": "diffusion",
        "job_type": job_type(&task.order),
        "flags": {"mode": mode, "visibility": "public"},
        "meta": {
            "height": 1_024, "width": 1_024, "batch_size": batch(task.order.action),
            "parent_id": parent.map(|(id, _)| id), "parent_grid": grid(task),
        },
        "optimisticJobIndex": 0,
        "personalization_codes": [],
    })
}

/// A job, as asking for it gives it.
fn told(task: &Seen) -> Value {
    let status = match &task.status {
        RemoteStatus::Waiting => "queued",
        RemoteStatus::Succeeded(_) => "completed",
        RemoteStatus::Failed(failure) if failure.kind == FailureKind::Moderated => "moderated",
        RemoteStatus::Failed(_) => "failed",
        RemoteStatus::Cancelled => "cancelled",
        _ => "running",
    };
    json!({
        "id": task.id,
        "job_type": job_type(&task.order),
        "event_type": "diffusion",
        "full_command": task.order.prompt,
        "width": 1_024,
        "height": 1_024,
        "batch_size": batch(task.order.action),
        "current_status": status,
        "parent_id": task.order.parent.as_ref().map(|(id, _)| id),
        "parent_grid": grid(task),
        "enqueue_time": task.submitted,
    })
}

const fn batch(action: Action) -> u8 {
    if matches!(action, Action::Upscale { .. }) {
        1
    } else {
        4
    }
}

/// Which of the parent's pictures it starts from, from 0.
fn grid(task: &Seen) -> Option<u8> {
    let (_, index) = task.order.parent.as_ref()?;
    index.checked_sub(1)
}
