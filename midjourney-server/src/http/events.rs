//! Events as they are committed (server-sent events): one job's, or those of all jobs.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{
        IntoResponse, Response,
        sse::{Event as Frame, KeepAlive, Sse},
    },
};
use futures_util::{Stream, StreamExt as _, future, stream};
use midjourney_core::{
    error::{Chain, Error},
    gateway::{EventView, SharedEvent},
    id::JobId,
    job::Position,
};
use serde::Deserialize;

use super::{
    App,
    extract::{self, ApiPath, ApiQuery, LastEvent},
    follow::FollowQuery,
    problem::Problem,
};

/// How often a quiet stream shows that it lives.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(15);

/// From where to tell.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct EventsQuery {
    /// Only events after this sequence number. The header `Last-Event-ID` goes before it.
    #[serde(default, deserialize_with = "extract::sequence")]
    after: Option<u64>,
}

/// Follow a job.
///
/// Server-sent events, each with its sequence number as `id` and its kind as `event`, in order and without gaps, to
/// the one that ends the job. Reconnect with `Last-Event-ID` to go on; 204 says that there will be no more.
#[utoipa::path(get, path = "/jobs/{id}/events", tag = "jobs",
    params(
        ("id" = String, Path, description = "The job's id."),
        EventsQuery,
        ("Last-Event-ID" = Option<u64>, Header, description = "The sequence number last seen."),
    ),
    responses(
        (status = 200, description = "The events.", content_type = "text/event-stream", body = EventView),
        (status = 204, description = "The job is over and all was told before."),
    ),
)]
pub(super) async fn events(
    State(app): State<Arc<App>>,
    ApiPath(id): ApiPath<JobId>,
    LastEvent(last): LastEvent,
    ApiQuery(query): ApiQuery<EventsQuery>,
) -> Result<Response, Problem> {
    let after = last.or(query.after).unwrap_or(0);
    let job = app.gateway.job(id).await?;
    if job.status().is_final() && job.sequence <= after {
        // A browser reconnects whenever a stream ends, unless it is told this.
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let watch = app.gateway.watch(id, after).await?;
    Ok(answer(frames(&app, watch.into_stream(), |event| event.sequence)))
}

/// Follow all jobs.
///
/// Server-sent events of all jobs, each with its position as `id` and its kind as `event`, in the order in which they were
/// committed and without gaps. Begins with a bare `id`, the position to come back to until there is an event. Reconnect
/// with `Last-Event-ID` to go on. The stream has no end of its own.
#[utoipa::path(get, path = "/events", tag = "jobs",
    params(
        FollowQuery,
        ("Last-Event-ID" = Option<u64>, Header, description = "The position last seen."),
    ),
    responses(
        (status = 200, description = "The events.", content_type = "text/event-stream", body = EventView),
    ),
)]
pub(super) async fn all_events(
    State(app): State<Arc<App>>,
    LastEvent(last): LastEvent,
    ApiQuery(query): ApiQuery<FollowQuery>,
) -> Result<Response, Problem> {
    let after = last.map(Position::new).or(query.after);
    let watch = query.job.watch(&app, after).await?;
    let place = Frame::default().id(watch.position().get().to_string());
    let frames = frames(&app, watch.into_stream(), |event| event.position.get());
    Ok(answer(stream::once(future::ready(Ok(place))).chain(frames)))
}

/// The events as frames, until the first error or the end of the server.
fn frames<S: Stream<Item = Result<SharedEvent, Error>>>(
    app: &App,
    events: S,
    id: fn(&SharedEvent) -> u64,
) -> impl Stream<Item = Result<Frame, Infallible>> + use<S> {
    let stopping = app.stopping.clone();
    events
        .take_until(async move { stopping.begun().await })
        .filter_map(move |event| {
            future::ready(match event {
                Ok(event) => Some(Ok(frame(&event, id(&event)))),
                Err(error) => {
                    // The reader comes back with the last id it has.
                    tracing::warn!(error = %Chain(&error), "an event stream broke off");
                    None
                }
            })
        })
}

fn frame(event: &SharedEvent, id: u64) -> Frame {
    Frame::default()
        .id(id.to_string())
        .event(event.kind.name())
        .data(event.json())
}

fn answer(frames: impl Stream<Item = Result<Frame, Infallible>> + Send + 'static) -> Response {
    let mut response = Sse::new(frames)
        .keep_alive(KeepAlive::new().interval(HEARTBEAT))
        .into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Some proxies hold answers back until they are large.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}
