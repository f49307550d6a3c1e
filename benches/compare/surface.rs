//! How the programs are spoken to: ours by its own interface, every peer by the one that peers share.
//!
//! | | ours | peers |
//! |---|---|---|
//! | submit | `POST /imagine` | `POST /v1/imagine` |
//! | one job | `GET /jobs/{id}` | `GET /v1/jobs/{id}` |
//! | newest jobs | `GET /jobs?limit=50` | `GET /v1/jobs?limit=50` |
//! | callback | the address that the upstream was given, signed as LegNext does | `POST /v1/webhook`, `x-signature: sha256=` and the HMAC of the body |
//! | HMAC alone | - | `POST /hmac` |
//! | waiting | `Prefer: wait`, `GET /jobs/{id}/events`, `/ws` | `GET /v1/jobs/{id}/wait`, `/events`, `/ws` |
//! | ready | `GET /readyz` | `GET /hello` |
//!
//! What peers answer to a submit begins with `{"id": <number>`. They verify callbacks with the secret `mj-bench-secret`, and
//! read `event_id`, `job_id`, `status`, `progress` and `image_url` of them.

use std::net::SocketAddr;

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Surface {
    Ours,
    Peer,
}

impl Surface {
    pub(crate) const fn ready(self) -> &'static str {
        match self {
            Self::Ours => "/readyz",
            Self::Peer => "/hello",
        }
    }

    pub(crate) const fn submit(self) -> &'static str {
        match self {
            Self::Ours => "/imagine",
            Self::Peer => "/v1/imagine",
        }
    }

    pub(crate) const fn jobs(self) -> &'static str {
        match self {
            Self::Ours => "/jobs",
            Self::Peer => "/v1/jobs",
        }
    }
}

/// A `GET`, with further header lines that each end in a line break.
pub(crate) fn get(address: SocketAddr, path: &str, headers: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n{headers}\r\n").into_bytes()
}

/// A `POST` of JSON, likewise.
pub(crate) fn post(request: &mut Vec<u8>, host: &str, path: &str, headers: &str, body: &[u8]) {
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n{headers}content-length: {}\r\n\r\n",
        body.len()
    );
    request.extend_from_slice(head.as_bytes());
    request.extend_from_slice(body);
}

/// The `id` that an answer begins with: text with us, a number with the peers.
pub(crate) fn id_in(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    let (_, rest) = text.split_once("\"id\":")?;
    let id: String = rest
        .trim_start()
        .trim_start_matches('"')
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
        .collect();
    (!id.is_empty()).then_some(id)
}
