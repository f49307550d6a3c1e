//! Jobs: asking for them, looking at them, changing them.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures_util::future::try_join_all;
use midjourney_core::{
    error::{Error, ErrorKind},
    gateway::{Accepted, Imagine, JobView},
    id::{BatchId, JobId},
    job::{InputImage, Job, JobQuery, Resolution, Status, UpstreamId},
    page::Cursor,
    prompt::Diagnostic,
};
use serde::{Deserialize, Serialize};

use super::{
    App,
    actions::PictureText,
    conditional::matches_etag,
    detach::detach,
    extract::{self, ApiJson, ApiKey, ApiPath, ApiQuery, Patience},
    problem::Problem,
    prompt::Finding,
};

/// How many rows a list has where nothing is said.
pub(super) const ROWS: usize = 50;

/// What to draw.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ImagineBody {
    /// The prompt with its parameters; permutations and `--repeat` make several jobs.
    #[schema(example = "a red fox in the snow --ar 3:2")]
    prompt: String,
    /// The version for prompts that name none; see `GET /version`.
    #[schema(example = "7")]
    version: Option<String>,
    /// Reference pictures beside those that the prompt links to: links, or ids of uploads.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    images: Vec<PictureText>,
    /// Where the ends of the jobs, and what they need somebody for, are posted as signed webhooks: a public https address.
    #[schema(example = "https://shop.example/midjourney")]
    webhook_url: Option<String>,
}

/// What became of a job whose submit was lost.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ResolveBody {
    /// What to do.
    decision: Decision,
    /// The upstream's name for the task; with `adopt` only.
    upstream_id: Option<String>,
}

/// A decision about a lost submit.
#[derive(Clone, Copy, Debug, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Decision {
    /// The upstream did accept it, as `upstream_id`.
    Adopt,
    /// Submit it again, knowing that it may be paid twice.
    Resubmit,
    /// Let it go.
    GiveUp,
}

/// The jobs that a request became.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Submitted {
    /// The first job's id, for requests that are one job.
    #[schema(value_type = String, example = "job_019ab3c0d1e27f3a8b4c5d6e7f8091a2")]
    id: JobId,
    /// The first job's status.
    #[schema(example = "pending")]
    status: &'static str,
    /// Every job, in the order of the permutations.
    jobs: Vec<JobView>,
    /// What ties several jobs together.
    #[schema(value_type = Option<String>)]
    batch: Option<BatchId>,
    /// What is doubtful about the prompt.
    #[schema(value_type = Vec<Finding>)]
    warnings: Vec<Diagnostic>,
    /// Whether these are the jobs of an earlier request under the same idempotency key.
    replayed: bool,
}

/// A page of jobs.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct JobPage {
    /// The jobs, newest first.
    jobs: Vec<JobView>,
    /// Give it as `after` for the next page; `null` at the end.
    #[schema(value_type = Option<String>)]
    next: Option<Cursor>,
}

/// Which jobs to list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct JobsQuery {
    /// Only jobs of this status: `pending`, `processing`, `completed`, `failed`, `cancelled` or `expired`.
    #[param(value_type = Option<String>)]
    status: Option<Status>,
    /// Only jobs of this batch.
    #[param(value_type = Option<String>)]
    batch: Option<BatchId>,
    /// At most this many, 1 to 200; 50 where nothing is said.
    #[serde(default, deserialize_with = "extract::limit")]
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
    /// The `next` of the page before.
    #[param(value_type = Option<String>)]
    after: Option<Cursor>,
}

/// Draw from a prompt.
///
/// Answers as soon as the jobs are on disk. Permutations and `--repeat` make several jobs, tied together as a batch.
#[utoipa::path(
    post, path = "/imagine", tag = "jobs", request_body = ImagineBody,
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "Repeating a request under its key returns the same jobs."),
        ("Prefer" = Option<String>, Header, description = "`wait=N` waits up to N seconds (60 at most) for the jobs to be over."),
    ),
    responses(
        (status = 202, description = "The jobs are on disk.", body = Submitted, headers(
            ("Location" = String, description = "Where the job, or the batch, can be looked at."),
            ("Retry-After" = u64, description = "When to look again, in seconds."),
        )),
        (status = 200, description = "All jobs were over within the wait.", body = Submitted),
    ),
)]
pub(super) async fn imagine(
    State(app): State<Arc<App>>,
    ApiKey(key): ApiKey,
    patience: Patience,
    ApiJson(body): ApiJson<ImagineBody>,
) -> Result<Response, Problem> {
    let request = Imagine::new(body.prompt)
        .with_version(body.version)
        .with_images(body.images.into_iter().map(InputImage::from).collect())
        .with_webhook(body.webhook_url)
        .with_key(key);
    // One step, which the store takes or does not: nothing can stop half-way when the client hangs up.
    let accepted = app.gateway.imagine(request).await?;
    submitted(&app, accepted, patience).await
}

pub(super) async fn submitted(
    app: &App,
    accepted: Accepted,
    patience: Patience,
) -> Result<Response, Problem> {
    let Accepted {
        mut jobs,
        batch,
        replayed,
        warnings,
        ..
    } = accepted;
    let Some(first) = jobs.first().map(|job| job.id) else {
        return Err(Error::new(ErrorKind::Internal, "a request became no jobs").into());
    };
    if let Some(wait) = patience.0 {
        jobs = try_join_all(jobs.iter().map(|job| wait_for(app, job.id, wait))).await?;
    }
    let over = jobs.iter().all(|job| job.status().is_final());
    let hint = jobs.iter().filter_map(|job| hint(app, job)).min();
    let mut views = Vec::with_capacity(jobs.len());
    for job in &jobs {
        views.push(app.gateway.view(job).await?);
    }
    let status = jobs.first().map_or("pending", |job| job.status().name());
    let body = Submitted {
        id: first,
        status,
        jobs: views,
        batch,
        warnings,
        replayed,
    };

    let code = if over && patience.0.is_some() {
        StatusCode::OK
    } else {
        StatusCode::ACCEPTED
    };
    let mut response = json(code, &body)?;
    let headers = response.headers_mut();
    let place = match batch {
        Some(batch) => format!("/jobs?batch={batch}"),
        None => format!("/jobs/{first}"),
    };
    headers.extend(
        HeaderValue::try_from(place)
            .ok()
            .map(|place| (header::LOCATION, place)),
    );
    tell(headers, hint, patience);
    if replayed {
        headers.insert(
            HeaderName::from_static("idempotent-replayed"),
            HeaderValue::from_static("true"),
        );
    }
    Ok(response)
}

/// The same as [`Json`], with room from the start for what one job takes, and for all headers.
fn json(code: StatusCode, body: &impl Serialize) -> Result<Response, Problem> {
    let mut text = Vec::with_capacity(1024);
    serde_json::to_writer(&mut text, body).map_err(|_| Problem::internal())?;
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = code;
    let headers = response.headers_mut();
    headers.reserve(12);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// The job once it is over, or as it is when the wait or the server ends.
async fn wait_for(app: &App, id: JobId, wait: Duration) -> Result<Job, Error> {
    tokio::select! {
        job = app.gateway.wait(id, wait) => job,
        () = app.stopping.begun() => app.gateway.job(id).await,
    }
}

/// When to look again at a job that is not over: the longer it has taken, the later.
fn hint(app: &App, job: &Job) -> Option<Duration> {
    if job.status().is_final() {
        return None;
    }
    let age = app.clock.now().saturating_since(job.life.created).as_secs();
    Some(Duration::from_secs(match age {
        0..10 => 1,
        10..60 => 3,
        60..600 => 10,
        _ => 30,
    }))
}

fn tell(headers: &mut HeaderMap, hint: Option<Duration>, patience: Patience) {
    if let Some(hint) = hint {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(hint.as_secs()));
    }
    let applied = patience
        .0
        .and_then(|wait| HeaderValue::try_from(format!("wait={}", wait.as_secs())).ok());
    headers.extend(applied.map(|applied| (HeaderName::from_static("preference-applied"), applied)));
}

/// The seed of a job.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Seed {
    /// The job.
    #[schema(value_type = String, example = "job_019ab3c0d1e27f3a8b4c5d6e7f8091a2")]
    job: JobId,
    /// The seed; `null` where nobody can tell.
    seed: Option<u32>,
}

/// The seed of a completed job.
///
/// As the upstream told it with the pictures; where it did not, it is asked now, if it can be.
#[utoipa::path(get, path = "/jobs/{id}/seed", tag = "jobs",
    params(("id" = String, Path, description = "The job's id.")),
    responses((status = 200, description = "The seed, where it can be told.", body = Seed)))]
pub(super) async fn seed(
    State(app): State<Arc<App>>,
    ApiPath(id): ApiPath<JobId>,
) -> Result<Json<Seed>, Problem> {
    let seed = app.gateway.seed(id).await?;
    Ok(Json(Seed { job: id, seed }))
}

/// List jobs, newest first.
#[utoipa::path(get, path = "/jobs", tag = "jobs", params(JobsQuery),
    responses((status = 200, description = "A page of jobs.", body = JobPage)))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    ApiQuery(query): ApiQuery<JobsQuery>,
) -> Result<Json<JobPage>, Problem> {
    let mut wanted = JobQuery::newest(query.limit.unwrap_or(ROWS));
    wanted.status = query.status;
    wanted.batch = query.batch;
    wanted.after = query.after;
    let page = app.gateway.jobs(&wanted).await?;
    let jobs = try_join_all(page.items.iter().map(|job| app.gateway.view(job))).await?;
    Ok(Json(JobPage {
        jobs,
        next: page.next,
    }))
}

/// Look at a job.
#[utoipa::path(get, path = "/jobs/{id}", tag = "jobs",
    params(
        ("id" = String, Path, description = "The job's id."),
        ("Prefer" = Option<String>, Header, description = "`wait=N` waits up to N seconds (60 at most) for the job to be over."),
        ("If-None-Match" = Option<String>, Header, description = "The `ETag` last seen; 304 where nothing has changed since."),
    ),
    responses(
        (status = 200, description = "The job.", body = JobView, headers(
            ("ETag" = String, description = "Changes with the job."),
            ("Retry-After" = u64, description = "When to look again, in seconds; absent once the job is over."),
        )),
        (status = 304, description = "The job has not changed."),
    ),
)]
pub(super) async fn get(
    State(app): State<Arc<App>>,
    ApiPath(id): ApiPath<JobId>,
    patience: Patience,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let job = match patience.0 {
        Some(wait) => wait_for(&app, id, wait).await?,
        None => app.gateway.job(id).await?,
    };
    shown(&app, &job, patience, &headers).await
}

async fn shown(app: &App, job: &Job, patience: Patience, asked: &HeaderMap) -> Result<Response, Problem> {
    let etag = format!("W/\"{}\"", job.version);
    let mut response = if matches_etag(asked, &etag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        Json(app.gateway.view(job).await?).into_response()
    };
    let headers = response.headers_mut();
    headers.extend(HeaderValue::try_from(etag).ok().map(|etag| (header::ETAG, etag)));
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("private, no-cache"),
    );
    tell(headers, hint(app, job), patience);
    Ok(response)
}

/// Cancel a job.
///
/// At once where nothing has been spent, else as soon as the upstream lets go of it. Cancelling twice is fine.
#[utoipa::path(post, path = "/jobs/{id}/cancel", tag = "jobs",
    params(("id" = String, Path, description = "The job's id.")),
    responses((status = 200, description = "The job as it is now.", body = JobView)))]
pub(super) async fn cancel(
    State(app): State<Arc<App>>,
    ApiPath(id): ApiPath<JobId>,
) -> Result<Response, Problem> {
    let gateway = app.gateway.clone();
    let job = detach(async move { gateway.cancel(id).await }).await?;
    shown(&app, &job, Patience::default(), &HeaderMap::new()).await
}

/// Settle a job whose submit was lost (stage `submit_unknown`).
#[utoipa::path(post, path = "/jobs/{id}/resolve", tag = "jobs", request_body = ResolveBody,
    params(("id" = String, Path, description = "The job's id.")),
    responses(
        (status = 200, description = "The job as it is now.", body = JobView),
        (status = 429, description = "A budget does not allow to submit it again."),
    ))]
pub(super) async fn resolve(
    State(app): State<Arc<App>>,
    ApiPath(id): ApiPath<JobId>,
    ApiJson(body): ApiJson<ResolveBody>,
) -> Result<Response, Problem> {
    let resolution = resolution(body)?;
    let gateway = app.gateway.clone();
    let job = detach(async move { gateway.resolve(id, resolution).await }).await?;
    shown(&app, &job, Patience::default(), &HeaderMap::new()).await
}

fn resolution(body: ResolveBody) -> Result<Resolution, Error> {
    match (body.decision, body.upstream_id) {
        (Decision::Adopt, Some(id))
            if (1..=200).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic()) =>
        {
            Ok(Resolution::Adopt {
                upstream_id: UpstreamId::new(id),
            })
        }
        (Decision::Adopt, _) => {
            let detail = "`adopt` needs the upstream's id of the task: 1 to 200 visible ASCII characters";
            Err(Error::field("/upstream_id", detail))
        }
        (Decision::Resubmit, None) => Ok(Resolution::Resubmit),
        (Decision::GiveUp, None) => Ok(Resolution::GiveUp),
        (_, Some(_)) => Err(Error::field(
            "/upstream_id",
            "only `adopt` takes it; leave it out",
        )),
    }
}
