//! Everything that can go wrong over HTTP, in one table (RFC 9457).
//!
//! Gateway errors, wrong requests and the refusals of the framework all become a [`Problem`]. Its body tells what is
//! wrong, where, and the mend; causes go to the log, once, and never into an answer.

use std::{borrow::Cow, time::Duration};

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use midjourney_core::{
    error::{Chain, Error, ErrorKind, FieldError},
    prompt::Diagnostic,
};
use serde::Serialize;

use super::edge;

/// The media type of a problem.
pub(super) const MEDIA_TYPE: &str = "application/problem+json";

/// How long a caller should wait where nobody knows better.
const COME_BACK: Duration = Duration::from_secs(5);

/// How long somebody who guesses addresses has to wait at most.
const A_MINUTE: Duration = Duration::from_secs(60);

/// One row of the table.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Class {
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
    pub(super) title: &'static str,
    /// What the caller can do about it.
    pub(super) mend: &'static str,
}

macro_rules! classes {
    ($($name:ident = $status:ident, $code:expr, $title:literal, $mend:literal;)*) => {
        $(pub(super) const $name: Class = Class {
            status: StatusCode::$status,
            code: $code,
            title: $title,
            mend: $mend,
        };)*

        /// Every row.
        pub(super) const CLASSES: &[&Class] = &[$(&$name,)*];
    };
}

classes! {
    MALFORMED = BAD_REQUEST, ErrorKind::Invalid.code(), "The request cannot be read",
        "Broken JSON, or a wrong query parameter or header: `detail` and `errors` name the place.";
    INVALID = UNPROCESSABLE_ENTITY, ErrorKind::Invalid.code(), "The request is wrong",
        "`errors` names each wrong field, what was expected, and the mend.";
    INVALID_PROMPT = UNPROCESSABLE_ENTITY, ErrorKind::InvalidPrompt.code(), "The prompt has errors",
        "`diagnostics` has a span, what is allowed and the corrected text of each. Nothing was spent.";
    NOT_FOUND = NOT_FOUND, ErrorKind::NotFound.code(), "There is no such thing",
        "Check the id or the path; `/openapi.json` lists the routes.";
    CONFLICT = CONFLICT, ErrorKind::Conflict.code(), "Not in this state",
        "Look at the job's status first.";
    IDEMPOTENCY_MISMATCH = UNPROCESSABLE_ENTITY, ErrorKind::IdempotencyMismatch.code(),
        "The idempotency key was used for another request",
        "A new request needs a new key; repeating a request needs the same body.";
    REJECTED = UNPROCESSABLE_ENTITY, ErrorKind::Rejected.code(), "The upstream cannot do this",
        "`detail` tells what it lacks. Nothing was spent.";
    OVER_BUDGET = TOO_MANY_REQUESTS, ErrorKind::OverBudget.code(), "The budget is used up",
        "`detail` tells whose budget and what is left; `Retry-After` when it begins anew. Nothing was spent.";
    UNAVAILABLE = SERVICE_UNAVAILABLE, ErrorKind::Unavailable.code(), "Not possible at the moment",
        "Ask again after `Retry-After` seconds, with the same idempotency key.";
    STORAGE_FULL = INSUFFICIENT_STORAGE, ErrorKind::StorageFull.code(), "No room left",
        "The operator must free space where jobs and pictures are stored.";
    INTERNAL = INTERNAL_SERVER_ERROR, ErrorKind::Internal.code(), "A fault of ours",
        "Find the request id of `instance` in the server's log.";
    METHOD = METHOD_NOT_ALLOWED, "method_not_allowed", "The path has no such method",
        "The `Allow` header lists the methods it has.";
    TIMEOUT = REQUEST_TIMEOUT, "request_timeout", "The body did not arrive in time",
        "Send the whole body within the limit.";
    TOO_LARGE = PAYLOAD_TOO_LARGE, "payload_too_large", "The body is too large",
        "`detail` names the limit.";
    MEDIA = UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", "The body is not JSON",
        "Send `Content-Type: application/json`, without a content coding.";
    RANGE = RANGE_NOT_SATISFIABLE, "range_not_satisfiable", "The range lies outside of the picture",
        "`Content-Range` tells the length.";
    NOT_PROVED = UNAUTHORIZED, "not_proved", "The callback does not prove where it comes from",
        "Compare the secret set at the upstream with the configured one, and the clocks of both.";
    BARRED = FORBIDDEN, "sender_not_allowed", "Callbacks are not taken from there",
        "Add the sender to `webhook.allowed_ips`; behind a proxy, name the proxy in `server.trusted_proxies`.";
    TOO_MANY_GUESSES = TOO_MANY_REQUESTS, "too_many_guesses", "Too many wrong addresses",
        "Wait as long as `Retry-After` tells; an address that was given out works all the time.";
    TOO_MANY_REQUESTS = TOO_MANY_REQUESTS, "too_many_requests", "Too many requests",
        "Come back after `Retry-After` seconds; follow events, or wait with `Prefer: wait`, instead of asking again and again.";
    FOREIGN_ORIGIN = FORBIDDEN, "foreign_origin", "Another site's page may not do this",
        "Call from a page of this server, from a program, or add the origin to the trusted ones.";
    DEAD_LINK = FORBIDDEN, "dead_link", "The link does not open this",
        "It has expired or was changed: ask for the job again to get a new one.";
    UPGRADE = UPGRADE_REQUIRED, "upgrade_required", "The route speaks another protocol",
        "Open it with a WebSocket client, over HTTP/1.1.";
    UNKNOWN_HOST = MISDIRECTED_REQUEST, "unknown_host", "This server does not go by that name",
        "Use its address, or add the name to the known ones.";
    OTHER = BAD_REQUEST, "bad_request", "The request was refused",
        "The status tells more.";
}

/// The row of each kind of gateway error. A new kind must find its row here before this compiles.
const fn class(kind: ErrorKind) -> &'static Class {
    match kind {
        ErrorKind::Invalid => &INVALID,
        ErrorKind::InvalidPrompt => &INVALID_PROMPT,
        ErrorKind::NotFound => &NOT_FOUND,
        ErrorKind::Conflict => &CONFLICT,
        ErrorKind::IdempotencyMismatch => &IDEMPOTENCY_MISMATCH,
        ErrorKind::Rejected => &REJECTED,
        ErrorKind::OverBudget => &OVER_BUDGET,
        ErrorKind::Unavailable => &UNAVAILABLE,
        ErrorKind::StorageFull => &STORAGE_FULL,
        ErrorKind::Internal => &INTERNAL,
    }
}

/// Which part of the request a fault is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Part {
    Body,
    Query,
    Header,
    Path,
}

/// One thing wrong with the request.
#[derive(Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub(super) struct Fault {
    /// Which part of the request.
    #[serde(rename = "in")]
    pub(super) part: Part,
    /// Where in that part, as a JSON pointer: `/prompt`, `/limit`, `/idempotency-key`.
    pub(super) pointer: String,
    /// What is wrong, what was expected, and the mend.
    pub(super) detail: String,
}

/// Why a request was refused.
#[derive(Debug)]
pub(super) struct Problem {
    class: &'static Class,
    status: StatusCode,
    detail: Cow<'static, str>,
    errors: Vec<Fault>,
    diagnostics: Vec<Diagnostic>,
    retry_after: Option<Duration>,
}

/// A problem as it is sent (RFC 9457).
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = Problem)]
pub(super) struct Document<'a> {
    /// A page of this server that explains the code.
    #[serde(rename = "type")]
    #[schema(example = "/docs/errors#invalid_request")]
    class: String,
    /// The class of problem in words.
    title: &'a str,
    /// The HTTP status.
    status: u16,
    /// What happened, and the mend.
    detail: &'a str,
    /// The id of this request; also in the header `X-Request-Id` and in the log.
    instance: &'a str,
    /// The stable machine-readable code.
    #[schema(example = "invalid_request")]
    code: &'a str,
    /// Each thing that is wrong with the request.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(required = false)]
    errors: &'a [Fault],
    /// What is wrong with the prompt.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schema(value_type = Vec<super::prompt::Finding>, required = false)]
    diagnostics: &'a [Diagnostic],
}

impl Problem {
    /// A problem of `class`.
    pub(super) fn new(class: &'static Class, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            class,
            status: class.status,
            detail: detail.into(),
            errors: Vec::new(),
            diagnostics: Vec::new(),
            retry_after: if class == &UNAVAILABLE {
                Some(COME_BACK)
            } else if class == &TOO_MANY_GUESSES {
                Some(A_MINUTE)
            } else {
                None
            },
        }
    }

    /// The same, to be asked again after `wait`.
    pub(super) const fn after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// A problem of `class` at one place of the request.
    pub(super) fn at(
        class: &'static Class,
        part: Part,
        pointer: impl Into<String>,
        detail: impl Into<String>,
    ) -> Self {
        let (pointer, detail) = (pointer.into(), detail.into());
        let place = match part {
            Part::Body => pointer.as_str(),
            Part::Query | Part::Header | Part::Path => pointer.trim_start_matches('/'),
        };
        let whole = if place.is_empty() {
            detail.clone()
        } else {
            format!("{place}: {detail}")
        };
        let mut problem = Self::new(class, whole);
        problem.errors.push(Fault {
            part,
            pointer,
            detail,
        });
        problem
    }

    /// A fault of ours. What it was is in the log.
    pub(super) fn internal() -> Self {
        Self::new(
            &INTERNAL,
            "something failed inside; the log tells what, under this request's id",
        )
    }

    /// A refusal of the framework, of which only the status is known.
    pub(super) fn of_status(status: StatusCode) -> Self {
        if status == StatusCode::NOT_FOUND {
            return Self::no_route();
        }
        if status.is_server_error() {
            return Self {
                status,
                ..Self::internal()
            };
        }
        let class = CLASSES
            .iter()
            .find(|class| class.status == status && class.status != OTHER.status);
        let class: &'static Class = class.copied().unwrap_or(&OTHER);
        Self {
            status,
            ..Self::new(class, class.mend)
        }
    }

    /// What is wrong, with its place.
    pub(super) fn detail(&self) -> &str {
        &self.detail
    }

    /// The machine-readable code.
    pub(super) const fn code(&self) -> &'static str {
        self.class.code
    }

    /// The first thing that is wrong with the request.
    pub(super) fn fault(&self) -> Option<&Fault> {
        self.errors.first()
    }

    /// The HTTP status.
    pub(super) const fn status(&self) -> StatusCode {
        self.status
    }

    /// There is no such route.
    pub(super) fn no_route() -> Self {
        Self::new(
            &NOT_FOUND,
            "there is no such route; /openapi.json lists those there are",
        )
    }
}

impl From<Error> for Problem {
    /// The one place where a gateway error becomes an answer, and where its causes are logged.
    fn from(error: Error) -> Self {
        let class = class(error.kind());
        if class.status.is_server_error() {
            tracing::error!(request = edge::request_id(), code = class.code, error = %Chain(&error), "request failed");
        } else if std::error::Error::source(&error).is_some() {
            tracing::debug!(code = class.code, error = %Chain(&error), "request refused");
        }
        let mut problem = match error.kind() {
            ErrorKind::Internal => Self::internal(),
            _ => Self::new(class, error.detail().to_owned()),
        };
        let fault = |field: &FieldError| Fault {
            part: Part::Body,
            pointer: field.pointer.clone(),
            detail: field.detail.clone(),
        };
        problem.errors = error.fields().iter().map(fault).collect();
        problem.diagnostics = error.report().map(super::prompt::diagnostics).unwrap_or_default();
        problem.retry_after = error.retry_after().or(problem.retry_after);
        problem
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let instance = edge::request_id();
        let document = Document {
            class: format!("/docs/errors#{}", self.class.code),
            title: self.class.title,
            status: self.status.as_u16(),
            detail: &self.detail,
            instance: &instance,
            code: self.class.code,
            errors: &self.errors,
            diagnostics: &self.diagnostics,
        };
        // Strings, numbers and lists of them always serialise.
        let body = serde_json::to_vec(&document).unwrap_or_default();
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(wait) = self.retry_after {
            // Upwards: who comes back a little early has to wait again.
            let seconds = u64::try_from(wait.as_millis().div_ceil(1_000)).unwrap_or(u64::MAX);
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        response
    }
}

/// The page that `type` points to: every code, when it comes, and what to do.
pub(super) fn page() -> String {
    let mut page = String::from(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Problems</title><h1>Problems</h1>\
         <p>Errors are <code>application/problem+json</code> (RFC 9457). Branch on <code>code</code>.</p><dl>",
    );
    let mut last = "";
    for class in CLASSES {
        let anchor = if class.code == last {
            String::new()
        } else {
            format!(" id=\"{}\"", class.code)
        };
        last = class.code;
        let (code, status, title) = (class.code, class.status.as_u16(), class.title);
        let mend = class.mend.replace('`', "");
        page.extend([
            &*format!("<dt{anchor}><code>{code}</code> ({status}) {title}</dt>"),
            "<dd>",
            &mend,
            "</dd>",
        ]);
    }
    page.push_str("</dl></html>\n");
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_gateway_error_has_its_status_and_code() {
        let table: Vec<_> = ErrorKind::ALL
            .map(|kind| (kind.code(), class(kind).status.as_u16()))
            .into_iter()
            .collect();
        assert_eq!(
            table,
            [
                ("invalid_request", 422),
                ("invalid_prompt", 422),
                ("not_found", 404),
                ("conflict", 409),
                ("idempotency_mismatch", 422),
                ("upstream_rejected", 422),
                ("over_budget", 429),
                ("unavailable", 503),
                ("storage_full", 507),
                ("internal", 500),
            ]
        );
        for kind in ErrorKind::ALL {
            assert_eq!(class(kind).code, kind.code());
        }
    }

    #[test]
    fn a_fault_of_ours_tells_nothing_of_its_cause() {
        let error =
            Error::new(ErrorKind::Internal, "SELECT * FROM jobs").with_source("/var/lib/secret".to_owned());
        let problem = Problem::from(error);
        assert!(
            !problem.detail.contains("SELECT") && !problem.detail.contains("/var"),
            "{problem:?}"
        );
    }

    #[test]
    fn codes_that_are_equal_stand_together_on_the_page() {
        let page = page();
        for class in CLASSES {
            assert_eq!(
                page.matches(&format!("id=\"{}\"", class.code)).count(),
                1,
                "{}",
                class.code
            );
        }
    }
}
