//! Answers that go wrong on the wire.

use std::{io, time::Duration};

use axum::{
    body::{Body, Bytes},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use futures_util::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use midjourney_core::client::MidjourneyClient as _;

use super::{backend::Backend, faults::Fault};

/// How long a huge answer is, in pieces.
const PIECES: usize = 24 * 16;

/// The piece that a huge answer is made of: 64 KiB.
static PIECE: [u8; 64 * 1024] = [b' '; 64 * 1024];

/// How long the drip goes on, in bytes.
const DRIPS: usize = 6_000;

const PAGE: &str = "<!doctype html><title>Just a moment...</title><p>Checking your browser.";

/// Turned away, with the time to wait.
pub(super) fn rate_limited() -> Response {
    let headers = [
        (header::RETRY_AFTER, "7"),
        (header::CONTENT_TYPE, "application/json"),
    ];
    (
        StatusCode::TOO_MANY_REQUESTS,
        headers,
        "{\"error\":\"too many requests\"}",
    )
        .into_response()
}

/// Stopped by Cloudflare, before the upstream heard of it.
pub(super) fn challenge() -> Response {
    let mut said = page(StatusCode::FORBIDDEN, PAGE.to_owned());
    let challenge = HeaderValue::from_static("challenge");
    said.headers_mut().insert("cf-mitigated", challenge);
    said
}

/// The picture of a finished task.
pub(super) async fn picture(backend: &Backend, task: &str, index: Option<u8>) -> Response {
    let Some(index) = index else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let Some(image) = backend.picture(task, index).await else {
        return StatusCode::NOT_FOUND.into_response();
    };
    match backend.simulator().fetch(&image).await {
        Ok(bytes) => ([(header::CONTENT_TYPE, "image/png")], Body::from_stream(bytes)).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// The answer `said` gone wrong by `fault`; unchanged where the fault is about something else.
pub(super) fn spoil(said: Response, fault: Fault, secrets: &str) -> Response {
    match fault {
        // A head is held back until the body is looked at once; so this ends the connection before the first byte.
        Fault::Lost => ended(said, stream::once(async { Err(reset()) }).boxed()),
        Fault::Half => half(said),
        Fault::Html => page(StatusCode::OK, PAGE.to_owned()),
        Fault::Error => page(StatusCode::BAD_GATEWAY, PAGE.to_owned()),
        Fault::Echo => page(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("cannot handle: {secrets}"),
        ),
        Fault::Huge => huge(said),
        Fault::Drip => drip(said),
        Fault::WrongType => {
            let mut said = said;
            let html = HeaderValue::from_static("text/html");
            said.headers_mut().insert(header::CONTENT_TYPE, html);
            said
        }
        _ => said,
    }
}

fn page(status: StatusCode, text: String) -> Response {
    (status, [(header::CONTENT_TYPE, "text/html")], text).into_response()
}

fn reset() -> io::Error {
    io::Error::from(io::ErrorKind::ConnectionReset)
}

/// The head of `said` with another body, of unknown length.
fn ended(said: Response, body: BoxStream<'static, io::Result<Bytes>>) -> Response {
    let (mut head, _) = said.into_parts();
    head.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(head, Body::from_stream(body))
}

fn half(said: Response) -> Response {
    let (head, body) = said.into_parts();
    let first = stream::once(async {
        let whole = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
        Ok(whole.slice(..whole.len() / 2))
    });
    let then = stream::once(async {
        // Lets what there is be sent.
        tokio::task::yield_now().await;
        Err(reset())
    });
    ended(
        Response::from_parts(head, Body::empty()),
        first.chain(then).boxed(),
    )
}

fn huge(said: Response) -> Response {
    let pieces = stream::iter((0..PIECES).map(|_| Ok(Bytes::from_static(&PIECE))));
    ended(said, pieces.boxed())
}

fn drip(said: Response) -> Response {
    let drops = stream::iter(0..DRIPS).then(|_| async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        Ok(Bytes::from_static(b" "))
    });
    ended(said, drops.boxed())
}
