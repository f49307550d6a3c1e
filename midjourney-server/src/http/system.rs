//! The server itself: is it well, how is it configured, what can it do.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Redirect, Response},
};
use bytes::Bytes;
use midjourney_core::gateway::AccountView;
use serde::Serialize;

use super::{
    App,
    problem::{self, Problem},
    prompt::Versions,
};

/// Scripts and styles from here only, pictures that the page itself makes, and nothing from anywhere else.
const PAGE_CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Where to go from here.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Welcome {
    #[schema(example = "midjourney-gateway")]
    name: &'static str,
    /// The interactive documentation.
    documentation: &'static str,
    /// The description of this interface.
    openapi: &'static str,
}

/// How the server is.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Health {
    /// `ok`.
    #[schema(example = "ok")]
    status: &'static str,
}

fn json(body: &Bytes) -> Response {
    (
        [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))],
        body.clone(),
    )
        .into_response()
}

/// Where to go from here; browsers are sent to the documentation.
#[utoipa::path(get, path = "/", tag = "system",
    responses(
        (status = 200, description = "Where to go.", body = Welcome),
        (status = 303, description = "For browsers: the documentation."),
    ))]
pub(super) async fn root(headers: HeaderMap) -> Response {
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .unwrap_or_default();
    if accept.contains("text/html") {
        return Redirect::to("/docs/").into_response();
    }
    let welcome = Welcome {
        name: "midjourney-gateway",
        documentation: "/docs/",
        openapi: "/openapi.json",
    };
    Json(welcome).into_response()
}

/// Whether the process lives.
#[utoipa::path(get, path = "/healthz", tag = "system",
    responses((status = 200, description = "It lives.", body = Health)))]
pub(super) async fn healthz() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// Whether jobs and pictures can be stored.
#[utoipa::path(get, path = "/readyz", tag = "system",
    responses((status = 200, description = "They can.", body = Health)))]
pub(super) async fn readyz(State(app): State<Arc<App>>) -> Result<Json<Health>, Problem> {
    if app.stopping.has_begun() {
        return Err(Problem::new(&problem::UNAVAILABLE, "the server is going down"));
    }
    app.gateway.ready().await?;
    Ok(Json(Health { status: "ok" }))
}

/// The configuration in force, without secrets.
#[utoipa::path(get, path = "/config", tag = "system",
    responses((status = 200, description = "The entries, with secrets blotted out.", body = serde_json::Value)))]
pub(super) async fn config(State(app): State<Arc<App>>) -> Response {
    json(&app.config)
}

/// Every account: what it has to do, what was spent on it, and what is wrong with it.
#[utoipa::path(get, path = "/accounts", tag = "system",
    responses((status = 200, description = "The accounts.", body = Vec<AccountView>)))]
pub(super) async fn accounts(State(app): State<Arc<App>>) -> Result<Json<Vec<AccountView>>, Problem> {
    Ok(Json(app.gateway.accounts().await?))
}

/// Every known version of the models, what each supports, and the default.
#[utoipa::path(get, path = "/version", tag = "prompts",
    responses((status = 200, description = "The versions.", body = Versions<'_>)))]
pub(super) async fn version(State(app): State<Arc<App>>) -> Response {
    json(&app.versions)
}

/// This description.
#[utoipa::path(get, path = "/openapi.json", tag = "system",
    responses((status = 200, description = "OpenAPI 3.1.", body = serde_json::Value)))]
pub(super) async fn openapi(State(app): State<Arc<App>>) -> Response {
    json(&app.openapi)
}

/// The page that the `type` of problems points to.
pub(super) async fn errors_page() -> Response {
    (
        [(header::CONTENT_SECURITY_POLICY, PAGE_CSP)],
        Html(problem::page()),
    )
        .into_response()
}

/// The documentation's files need the slash to be found beside the page.
pub(super) async fn docs_redirect() -> Redirect {
    Redirect::permanent("/docs/")
}

/// The first page of the documentation.
pub(super) async fn docs_index(State(state): State<Arc<App>>) -> Result<Response, Problem> {
    docs_file(&state, "")
}

/// A file of the documentation.
pub(super) async fn docs(
    State(state): State<Arc<App>>,
    Path(path): Path<String>,
) -> Result<Response, Problem> {
    docs_file(&state, &path)
}

fn docs_file(app: &App, path: &str) -> Result<Response, Problem> {
    let file = utoipa_swagger_ui::serve(path, Arc::clone(&app.swagger)).map_err(|error| {
        tracing::error!(%error, "the documentation cannot be shown");
        Problem::internal()
    })?;
    let file = file.ok_or_else(Problem::no_route)?;
    let mut response = (
        StatusCode::OK,
        [
            (header::CONTENT_TYPE, file.content_type),
            (header::CONTENT_SECURITY_POLICY, PAGE_CSP.to_owned()),
            (header::CACHE_CONTROL, "no-cache".to_owned()),
        ],
        file.bytes.into_owned(),
    )
        .into_response();
    if file.gzpipped {
        response
            .headers_mut()
            .insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Ok(response)
}
