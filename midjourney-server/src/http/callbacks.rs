//! What upstreams post to us, the question whether this address is ours, and the history of both.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use midjourney_core::{
    gateway::{CallbackStatusView, CallbackView, ProbeView},
    id::{CallbackId, JobId},
    job::{CallbackQuery, CallbackRecord, Verdict},
    page::Cursor,
    webhook::{Headers, Incoming, ProbeAnswer},
};
use serde::{Deserialize, Serialize};

use super::{
    App,
    detach::detach,
    extract::{self, ApiPath, ApiQuery, BODY_LIMIT, BODY_TIME},
    jobs::ROWS,
    problem::{self, Part, Problem},
    sender,
};

/// Whether a path is one that upstreams call.
pub(super) fn is_place(path: &str) -> bool {
    let below = path.strip_prefix("/webhook/midjourney");
    below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// What became of a callback.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Receipt {
    /// The callback, as it stands in the history.
    #[schema(value_type = String, example = "cbk_019ab3c0d1e27f3a8b4c5d6e7f8091a2")]
    id: CallbackId,
    /// `applied`, `noticed`, `repeated`, `late`, `parked` or `foreign`.
    #[schema(example = "noticed")]
    verdict: &'static str,
}

/// The question whether this address is ours, in the body of a post.
#[derive(Deserialize)]
struct Question {
    token: Option<String>,
    challenge: Option<String>,
}

/// The same in a query, in the two spellings that are about.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct QuestionQuery {
    /// The token that only the one who asks and this server know: `webhook.verification_token`.
    #[serde(alias = "hub.verify_token")]
    token: Option<String>,
    /// What to answer with.
    #[serde(alias = "hub.challenge")]
    challenge: Option<String>,
}

/// Which callbacks to list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct CallbacksQuery {
    /// Of this job only.
    #[param(value_type = Option<String>)]
    job: Option<JobId>,
    /// With this verdict only.
    #[param(value_type = Option<String>)]
    #[serde(default, deserialize_with = "verdict")]
    verdict: Option<Verdict>,
    /// How many rows, 1 to 200; 50 where nothing is said.
    #[serde(default, deserialize_with = "extract::limit")]
    limit: Option<usize>,
    /// `next` of the page before.
    #[param(value_type = Option<String>)]
    after: Option<Cursor>,
}

fn verdict<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Verdict>, D::Error> {
    let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
    let known = Verdict::ALL.into_iter().find(|verdict| verdict.name() == text);
    known.map(Some).ok_or_else(|| {
        let names = Verdict::ALL.map(Verdict::name).join(", ");
        serde::de::Error::custom(format!("expected one of {names}, not {text:?}"))
    })
}

/// A page of callbacks.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct CallbackPage {
    /// The callbacks, newest first.
    callbacks: Vec<CallbackView>,
    /// Where the next page begins; absent on the last.
    #[schema(value_type = Option<String>)]
    next: Option<Cursor>,
}

/// A signed callback, or the question whether this address is ours.
///
/// What an upstream signs is believed; anything else is refused here and belongs to the address of its job. A post with
/// `token` and `challenge` is answered with the challenge where the token is right.
#[utoipa::path(post, path = "/webhook/midjourney", tag = "callbacks",
    request_body(content = serde_json::Value, description = "As the upstream sends it."),
    responses(
        (status = 200, description = "It was taken in, and what it caused is on disk.", body = Receipt),
        (status = 401, description = "It does not prove where it comes from."),
        (status = 403, description = "It comes from an address that is not among `webhook.allowed_ips`."),
    ))]
pub(super) async fn receive(State(app): State<Arc<App>>, request: Request) -> Result<Response, Problem> {
    let incoming = incoming(&app, request).await?;
    if let Some(Question {
        token: Some(token),
        challenge: Some(challenge),
    }) = question(&incoming)
    {
        let challenge = answer(&app, &token, challenge)?;
        return Ok(Json(serde_json::json!({ "challenge": challenge })).into_response());
    }
    take_in(app, incoming).await
}

/// A callback to the address of a job.
///
/// The address is what only the upstream of that job was told. What it says there is believed where it is signed; else
/// its task is asked about at once.
#[utoipa::path(post, path = "/webhook/midjourney/{capability}", tag = "callbacks",
    params(("capability" = String, Path, description = "The end of the address that the upstream was given.")),
    request_body(content = serde_json::Value, description = "As the upstream sends it."),
    responses(
        (status = 200, description = "It was taken in, and what it caused is on disk.", body = Receipt),
        (status = 401, description = "The upstream signs its callbacks, and this one is not proved."),
        (status = 403, description = "It comes from an address that is not among `webhook.allowed_ips`."),
        (status = 404, description = "No job has this address."),
        (status = 429, description = "The sender has tried too many wrong addresses within a minute."),
    ))]
pub(super) async fn receive_for_job(
    State(app): State<Arc<App>>,
    ApiPath(capability): ApiPath<String>,
    request: Request,
) -> Result<Response, Problem> {
    let incoming = incoming(&app, request).await?.to(capability);
    take_in(app, incoming).await
}

/// A probe of our own.
///
/// Sent by a gateway to its own public address, to see whether callbacks would come through. The answer proves that the
/// right gateway gave it, and says what became of the probe on its way.
#[utoipa::path(post, path = "/webhook/midjourney/probe", tag = "callbacks",
    request_body(content = serde_json::Value, description = "As gateways send it."),
    responses(
        (status = 200, description = "It is a probe of ours.", body = ProbeAnswer),
        (status = 401, description = "It is none."),
    ))]
pub(super) async fn receive_probe(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Json<ProbeAnswer>, Problem> {
    let incoming = incoming(&app, request).await?;
    let (record, answer) = detach(async move { app.gateway.answer_probe(incoming).await }).await?;
    answer.map(Json).ok_or_else(|| refusal(record))
}

/// Whether this address is ours.
///
/// Answers with the challenge where the token is that of `webhook.verification_token`; also in the spelling
/// `hub.verify_token`, `hub.challenge`.
#[utoipa::path(get, path = "/webhook/midjourney", tag = "callbacks", params(QuestionQuery),
    responses(
        (status = 200, description = "The challenge, as plain text.", body = String),
        (status = 401, description = "The token is not ours."),
    ))]
pub(super) async fn verify(
    State(app): State<Arc<App>>,
    ApiQuery(query): ApiQuery<QuestionQuery>,
) -> Result<Response, Problem> {
    let missing = |name: &str| {
        Problem::at(
            &problem::MALFORMED,
            Part::Query,
            format!("/{name}"),
            "expected it",
        )
    };
    let token = query.token.ok_or_else(|| missing("token"))?;
    let challenge = query.challenge.ok_or_else(|| missing("challenge"))?;
    let challenge = answer(&app, &token, challenge)?;
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], challenge).into_response())
}

/// List the callbacks that came in, newest first.
///
/// The newest 10,000 of those that were heeded and of those that were refused; their content is not kept.
#[utoipa::path(get, path = "/webhooks/events", tag = "callbacks", params(CallbacksQuery),
    responses((status = 200, description = "A page of callbacks.", body = CallbackPage)))]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    ApiQuery(query): ApiQuery<CallbacksQuery>,
) -> Result<Json<CallbackPage>, Problem> {
    let mut wanted = CallbackQuery::default();
    wanted.job = query.job;
    wanted.verdict = query.verdict;
    wanted.after = query.after;
    wanted.limit = query.limit.unwrap_or(ROWS);
    let page = app.gateway.callbacks(&wanted).await?;
    Ok(Json(CallbackPage {
        callbacks: page.items.iter().map(CallbackView::of).collect(),
        next: page.next,
    }))
}

/// How the callback address is doing.
///
/// Whether there is one, whether the last probe of it came through, and what came in so far.
#[utoipa::path(get, path = "/webhooks/status", tag = "callbacks",
    responses((status = 200, description = "The state of the address.", body = CallbackStatusView)))]
pub(super) async fn status(State(app): State<Arc<App>>) -> Result<Json<CallbackStatusView>, Problem> {
    Ok(Json(app.gateway.callback_status().await?))
}

/// Probe the callback address now.
///
/// Posts a signed probe to `webhook.public_url` as an upstream would, through everything that stands in front, and tells
/// whether it came through; where not, the likely cause and what to do.
#[utoipa::path(post, path = "/webhooks/test", tag = "callbacks",
    responses(
        (status = 200, description = "What the probe found; look at `reached`.", body = ProbeView),
        (status = 409, description = "There is no callback address to probe."),
    ))]
pub(super) async fn test(State(app): State<Arc<App>>) -> Result<Json<ProbeView>, Problem> {
    let Some(outbound) = app.outbound.clone() else {
        return Err(Problem::new(
            &problem::CONFLICT,
            "this server makes no outgoing calls",
        ));
    };
    let probe = detach(async move { app.gateway.probe_callbacks(&outbound).await }).await?;
    Ok(Json(probe))
}

async fn take_in(app: Arc<App>, incoming: Incoming) -> Result<Response, Problem> {
    let record = detach(async move { app.gateway.receive(incoming).await }).await?;
    if record.is_refused() {
        return Err(refusal(record));
    }
    let receipt = Receipt {
        id: record.id,
        verdict: record.verdict.name(),
    };
    Ok((StatusCode::OK, Json(receipt)).into_response())
}

/// What the sender of a refused callback is told.
fn refusal(record: CallbackRecord) -> Problem {
    let class = match record.verdict {
        Verdict::Unknown => &problem::NOT_FOUND,
        Verdict::Malformed => &problem::MALFORMED,
        Verdict::Barred => &problem::BARRED,
        Verdict::Throttled => &problem::TOO_MANY_GUESSES,
        _ => &problem::NOT_PROVED,
    };
    Problem::new(class, record.detail)
}

/// The request, byte by byte: signatures are over what was sent, not over what it means.
async fn incoming(app: &App, request: Request) -> Result<Incoming, Problem> {
    let from = sender::of(&request, &app.trusted_proxies);
    let headers = headers(request.headers());
    let body = extract::read_body(request.into_body(), BODY_LIMIT, BODY_LIMIT, BODY_TIME).await?;
    Ok(Incoming::new(body).with_headers(headers).from(from))
}

/// Those that are text; no signature is anything else.
fn headers(headers: &HeaderMap) -> Headers {
    let texts = headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)));
    texts.collect()
}

fn question(incoming: &Incoming) -> Option<Question> {
    serde_json::from_slice(&incoming.body).ok()
}

fn answer(app: &App, token: &str, challenge: String) -> Result<String, Problem> {
    let plain = |c: char| c.is_ascii_graphic();
    if !app.gateway.verifies_callbacks_by(token) {
        return Err(Problem::new(
            &problem::NOT_PROVED,
            "the verification token is not ours",
        ));
    }
    if challenge.len() > 1_024 || !challenge.chars().all(plain) {
        let detail = "expected up to 1,024 visible ASCII characters";
        return Err(Problem::at(
            &problem::MALFORMED,
            Part::Query,
            "/challenge",
            detail,
        ));
    }
    Ok(challenge)
}
