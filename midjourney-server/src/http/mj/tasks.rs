//! Looking at tasks, and cancelling them.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use futures_util::future::try_join_all;
use midjourney_core::{
    error::{Error, ErrorKind},
    job::{Job, JobQuery, Status},
};

use super::{
    body::{MjJson, MjPath},
    call::{no_task, run},
    task::{self, task},
    window::TaskId,
    wire::{Answer, Code, Condition, Task},
};
use crate::http::{App, detach::detach, links::Signer};

/// How many tasks a list has at most, and how many may be asked for at once.
const ROWS: usize = 100;

/// The task behind an id; `None` for an unknown one.
async fn find(app: &App, signer: &Signer, id: &str) -> Result<Option<Task>, Error> {
    let Ok(wanted) = id.parse::<TaskId>() else {
        return Ok(None);
    };
    if let Some(job) = known(app.gateway.job(wanted.job()).await)? {
        return task(app, signer, &job).await.map(Some);
    }
    let TaskId::Window(window) = wanted else {
        return Ok(None);
    };
    let parent = known(app.gateway.job(window.parent).await)?;
    Ok(parent.map(|parent| task::waiting(id.to_owned(), &window, &parent)))
}

fn known(job: Result<Job, Error>) -> Result<Option<Job>, Error> {
    match job {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    }
}

/// Tasks cannot be shown in another form, so a failure here is an error of HTTP too.
fn failed(error: Error) -> Response {
    Answer::from(error).at(StatusCode::SERVICE_UNAVAILABLE)
}

/// Look at a task; the body is empty for an unknown one.
#[utoipa::path(get, path = "/task/{id}/fetch", operation_id = "mj_fetch", tag = "midjourney-proxy",
    params(("id" = String, Path, description = "The task's id.")),
    responses((status = 200, description = "The task, or nothing.", body = Task)))]
pub(super) async fn fetch(
    State(app): State<Arc<App>>,
    signer: Signer,
    MjPath(id): MjPath,
) -> Result<Response, Response> {
    let found = find(&app, &signer, &id).await.map_err(failed)?;
    Ok(found.map_or_else(
        || StatusCode::OK.into_response(),
        |task| Json(task).into_response(),
    ))
}

/// List the newest tasks, 100 at most.
#[utoipa::path(get, path = "/task/list", operation_id = "mj_list", tag = "midjourney-proxy",
    responses((status = 200, description = "The tasks, newest first.", body = [Task])))]
pub(super) async fn list(State(app): State<Arc<App>>, signer: Signer) -> Result<Json<Vec<Task>>, Response> {
    newest(&app, &signer, None).await
}

/// List the tasks that wait to be submitted, 100 at most.
#[utoipa::path(get, path = "/task/queue", operation_id = "mj_queue", tag = "midjourney-proxy",
    responses((status = 200, description = "The tasks, newest first.", body = [Task])))]
pub(super) async fn queue(State(app): State<Arc<App>>, signer: Signer) -> Result<Json<Vec<Task>>, Response> {
    newest(&app, &signer, Some(Status::Pending)).await
}

async fn newest(app: &App, signer: &Signer, status: Option<Status>) -> Result<Json<Vec<Task>>, Response> {
    let mut query = JobQuery::newest(ROWS);
    query.status = status;
    let tasks = async {
        let jobs = app.gateway.jobs(&query).await?.items;
        try_join_all(jobs.iter().map(|job| task(app, signer, job))).await
    };
    tasks.await.map(Json).map_err(failed)
}

/// Look at several tasks; unknown ones are left out.
#[utoipa::path(post, path = "/task/list-by-condition", operation_id = "mj_list_by_condition",
    tag = "midjourney-proxy", request_body = Condition,
    responses((status = 200, description = "The tasks.", body = [Task])))]
pub(super) async fn by_condition(
    State(app): State<Arc<App>>,
    signer: Signer,
    MjJson(body): MjJson<Condition>,
) -> Result<Json<Vec<Task>>, Response> {
    if body.ids.len() > ROWS {
        let detail = format!("expected {ROWS} at most, not {}", body.ids.len());
        return Err(Answer::field("ids", &detail).into_response());
    }
    // A number is never one of our ids, but some clients send numbers.
    let ids = body.ids.iter().filter_map(|id| id.as_str());
    let found = try_join_all(ids.map(|id| find(&app, &signer, id))).await;
    Ok(Json(found.map_err(failed)?.into_iter().flatten().collect()))
}

/// Look at several tasks; another name of `task/list-by-condition`.
#[utoipa::path(post, path = "/task/list-by-ids", operation_id = "mj_list_by_ids",
    tag = "midjourney-proxy", request_body = Condition,
    responses((status = 200, description = "The tasks.", body = [Task])))]
pub(super) async fn by_ids(
    state: State<Arc<App>>,
    signer: Signer,
    body: MjJson<Condition>,
) -> Result<Json<Vec<Task>>, Response> {
    by_condition(state, signer, body).await
}

/// Cancel a task. The body is empty where it worked.
#[utoipa::path(post, path = "/task/{id}/cancel", operation_id = "mj_cancel", tag = "midjourney-proxy",
    params(("id" = String, Path, description = "The task's id.")),
    responses((status = 200, description = "Nothing, or why not.", body = Answer)))]
pub(super) async fn cancel(State(app): State<Arc<App>>, MjPath(id): MjPath) -> Response {
    let Ok(wanted) = id.parse::<TaskId>() else {
        return no_task().into_response();
    };
    let gateway = app.gateway.clone();
    let stopping = async move { gateway.cancel(wanted.job()).await };
    match detach(async move { Ok(stopping.await) }).await {
        Ok(Ok(_)) => StatusCode::OK.into_response(),
        Ok(Err(error)) => Answer::from(error).into_response(),
        Err(problem) => Answer::new(Code::Failure, problem.detail()).into_response(),
    }
}

/// Ask for the seed of a finished task.
#[utoipa::path(get, path = "/task/{id}/image-seed", operation_id = "mj_image_seed", tag = "midjourney-proxy",
    params(("id" = String, Path, description = "The task's id.")),
    responses((status = 200, description = "The seed as `result`.", body = Answer)))]
pub(super) async fn image_seed(State(app): State<Arc<App>>, MjPath(id): MjPath) -> Answer {
    run(async move {
        let wanted = id.parse::<TaskId>().map_err(|_| no_task())?;
        match app.gateway.seed(wanted.job()).await? {
            Some(seed) => Ok(Answer::new(Code::Success, "the seed").with_result(seed.to_string())),
            None => Err(Answer::new(Code::Failure, "the upstream does not tell the seed")),
        }
    })
    .await
}
