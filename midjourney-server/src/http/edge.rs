//! What happens to every request, whatever its route: an id, a log line, guards, safe headers, and no bare errors.

use std::{
    convert::Infallible,
    mem,
    net::IpAddr,
    panic::AssertUnwindSafe,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{
    extract::{MatchedPath, Request},
    http::{HeaderMap, HeaderName, HeaderValue, Version, header},
    response::{IntoResponse, Response},
};
use futures_util::{FutureExt as _, future::BoxFuture};
use midjourney_core::clock::{Entropy as _, OsEntropy};
use tower::Service;
use tracing::Instrument as _;

use super::{
    App, Hosts, callbacks,
    problem::{self, Part, Problem},
    sender,
};

tokio::task_local! {
    static REQUEST_ID: String;
}

/// Marks an error that has the form of its own interface, and is no bare one.
#[derive(Clone, Copy, Debug)]
pub(super) struct OwnForm;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The policy for everything that is no page: nothing may run, load or frame it.
const CSP: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// The id of the request that this task answers.
pub(super) fn request_id() -> String {
    REQUEST_ID.try_with(Clone::clone).unwrap_or_default()
}

/// The outermost layer around `inner`. A service of its own: what `axum::middleware` makes of a function costs every
/// request two more on the heap.
#[derive(Clone)]
pub(super) struct Edge<S> {
    app: Arc<App>,
    inner: S,
}

impl<S> Edge<S> {
    pub(super) fn new(app: &Arc<App>, inner: S) -> Self {
        let app = Arc::clone(app);
        Self { app, inner }
    }
}

impl<S> Service<Request> for Edge<S>
where
    S: Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        // The one that is ready serves; its copy takes its place.
        let inner = self.inner.clone();
        let ready = mem::replace(&mut self.inner, inner);
        Box::pin(edge(Arc::clone(&self.app), request, ready).map(Ok))
    }
}

async fn edge<S>(app: Arc<App>, request: Request, mut next: S) -> Response
where
    S: Service<Request, Response = Response, Error = Infallible>,
{
    let id = caller_id(request.headers()).unwrap_or_else(new_id);
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("", MatchedPath::as_str);
    let method = request.method().clone();
    // The path and the query stay out of the log: they may hold what a client should not have put there.
    // Lines at the usual level carry the id themselves: a span for each request would cost more than all else here.
    let span = tracing::debug_span!("http", %method, route, id);
    let header = HeaderValue::from_str(&id).ok();
    let unwieldy = unwieldy(&request);

    let answer = async {
        let begun = tokio::time::Instant::now();
        let mut response = match host_guard(&app, &request).and_then(|()| rate_guard(&app, &request)) {
            Ok(()) => {
                let answered = AssertUnwindSafe(async { next.call(request).await });
                match answered.catch_unwind().await {
                    Ok(Ok(response)) => response,
                    Err(_) => {
                        tracing::error!(request = request_id(), "a handler panicked");
                        Problem::internal().into_response()
                    }
                }
            }
            Err(problem) => problem.into_response(),
        };
        if is_bare_error(&response) {
            response = Problem::of_status(response.status()).into_response();
        }
        tracing::debug!(status = response.status().as_u16(), elapsed = ?begun.elapsed(), "answered");
        response
    };
    let mut response = REQUEST_ID.scope(id, answer).instrument(span).await;
    let status = response.status();
    let headers = response.headers_mut();
    if let Some(header) = header {
        headers.insert(X_REQUEST_ID, header);
    }
    if unwieldy && (status.is_client_error() || status.is_server_error()) {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    harden(headers);
    response
}

/// Whether a body may still be on its way when the request is refused. The connection is closed after such a refusal,
/// and the client should hear of that rather than send its next request into the void.
fn unwieldy(request: &Request) -> bool {
    let length = request
        .headers()
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse().ok());
    request.version() <= Version::HTTP_11
        && (request.headers().contains_key(header::TRANSFER_ENCODING)
            || length.is_some_and(|length: u64| length > 8192))
}

fn new_id() -> String {
    let mut bytes = [0; 16];
    OsEntropy.fill(&mut bytes);
    format!("req_{:032x}", u128::from_be_bytes(bytes))
}

/// The caller's own id for the request, where it is harmless in a log.
fn caller_id(headers: &HeaderMap) -> Option<String> {
    let id = headers.get(X_REQUEST_ID)?.to_str().ok()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    ((1..=64).contains(&id.len()) && id.bytes().all(plain)).then(|| id.to_owned())
}

/// Refuses requests that name a host this server does not go by: a page whose name was made to point at this machine
/// (DNS rebinding) must not reach a server that asks nobody to log in.
fn host_guard(app: &App, request: &Request) -> Result<(), Problem> {
    let mut named = request.headers().get_all(header::HOST).iter();
    let host = match request.uri().authority() {
        Some(authority) => Some(authority.as_str()),
        None => match named.next() {
            Some(host) => Some(host.to_str().unwrap_or("?")),
            None if request.version() == Version::HTTP_11 => {
                return Err(Problem::at(
                    &problem::MALFORMED,
                    Part::Header,
                    "/host",
                    "HTTP/1.1 needs it",
                ));
            }
            None => None,
        },
    };
    if named.next().is_some() && request.headers().get_all(header::HOST).iter().count() > 1 {
        return Err(Problem::at(
            &problem::MALFORMED,
            Part::Header,
            "/host",
            "expected it once",
        ));
    }
    match (&app.hosts, host) {
        (Hosts::Any, _) | (_, None) => Ok(()),
        (Hosts::Known(known), Some(host)) if is_known(known, host) => Ok(()),
        (Hosts::Known(_), Some(host))
            if callbacks::is_place(request.uri().path()) && is_known(app.callback_host.as_slice(), host) =>
        {
            Ok(())
        }
        (Hosts::Known(_), Some(_)) => Err(Problem::at(
            &problem::UNKNOWN_HOST,
            Part::Header,
            "/host",
            "this server answers to its addresses, to localhost, and to the names it was told",
        )),
    }
}

/// Refuses what is one request too many of its sender. Callbacks have limits of their own, and whoever asks about the
/// health of a busy server should hear of it.
fn rate_guard(app: &App, request: &Request) -> Result<(), Problem> {
    let Some(rates) = &app.rates else {
        return Ok(());
    };
    let path = request.uri().path();
    if callbacks::is_place(path) || matches!(path, "/healthz" | "/readyz") {
        return Ok(());
    }
    let taken = rates.take(sender::of(request, &app.trusted_proxies));
    taken.map_err(|wait| {
        let detail = "more requests in a minute than one sender may make here";
        Problem::new(&problem::TOO_MANY_REQUESTS, detail).after(wait)
    })
}

/// Addresses cannot be rebound, only names can.
fn is_known(known: &[String], host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    let name = name.trim_end_matches('.');
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok()
        || known.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// An error that did not come from the table: the router's own 405, whose `Allow` is added further out, and whatever a
/// library answers.
fn is_bare_error(response: &Response) -> bool {
    let status = response.status();
    (status.is_client_error() || status.is_server_error())
        && response.extensions().get::<OwnForm>().is_none()
        && response
            .headers()
            .get(header::CONTENT_TYPE)
            .is_none_or(|kind| kind != problem::MEDIA_TYPE)
}

/// Headers that every answer has; a route may have set stricter or wider ones.
const SAFE: [(HeaderName, HeaderValue); 5] = [
    (
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    ),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::CONTENT_SECURITY_POLICY, CSP),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
];

fn harden(headers: &mut HeaderMap) {
    for (name, value) in SAFE {
        headers.entry(name).or_insert(value);
    }
}

/// The answer to a path without a route.
pub(super) async fn no_route() -> Problem {
    Problem::no_route()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_was_not_told_is_unknown_and_an_address_is_known() {
        let known = ["gallery.example".to_owned()];
        for host in [
            "localhost",
            "localhost:8000",
            "127.0.0.1:1",
            "[::1]:8000",
            "[::1]",
            "GALLERY.example.:443",
        ] {
            assert!(is_known(&known, host), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example:80",
            "127.0.0.1.evil.example",
            "",
            "[evil]:1",
            "?",
        ] {
            assert!(!is_known(&known, host), "{host}");
        }
    }
}
