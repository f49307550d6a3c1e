//! Links to pictures that open without a header, for a while: for pages and programs that have no credential of ours.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, Uri, header, request::Parts},
};
use midjourney_core::{
    clock::{Clock, Entropy as _, OsEntropy},
    id::{ImageId, UploadId},
    key::Secret,
    link::{PublicLinks, image_path, upload_path},
};
use serde::Deserialize;

use super::{
    App,
    problem::{self, Problem},
};

/// How long a link opens. Whoever asks again gets a new one.
const LIFE: Duration = Duration::from_secs(86_400);

/// Makes and checks the links of this server.
#[derive(Debug)]
pub(super) struct Links {
    signer: PublicLinks,
    /// Whether the operator said how others reach us; else everybody gets the address that they asked at.
    settled: bool,
    clock: Arc<dyn Clock>,
}

/// The proof in a link. Other parameters are left alone.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Proof {
    /// Until when the link opens, in seconds since 1970; with `signature`.
    expires: Option<String>,
    /// What proves the link; with `expires`.
    signature: Option<String>,
}

impl Links {
    /// The links that are configured. Without any, links at `address`, proved by a secret that lasts as long as the
    /// process: a client that asks again after a restart gets good ones.
    pub(super) fn new(
        configured: Option<&PublicLinks>,
        address: Option<&str>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            settled: configured.is_some(),
            signer: configured
                .cloned()
                .unwrap_or_else(|| PublicLinks::new(address.unwrap_or_default(), passing_secret())),
            clock,
        }
    }

    /// Links as those see them who did not ask for any: where nobody told an address, these are paths alone.
    pub(super) fn unasked(&self) -> Signer {
        Signer {
            links: self.signer.clone(),
            clock: Arc::clone(&self.clock),
        }
    }

    /// Links as the sender of a request sees them.
    fn seen_from(&self, headers: &HeaderMap, uri: &Uri) -> Signer {
        let mut signer = self.unasked();
        if let Some(address) = address(headers, uri).filter(|_| !self.settled) {
            signer.links = signer.links.at(address);
        }
        signer
    }

    /// Whether the request came through a link.
    ///
    /// **Errors:** a problem where the link is wrong or has expired.
    pub(super) fn check(&self, proof: &Proof, path: &str) -> Result<bool, Problem> {
        let (expires, signature) = match (&proof.expires, &proof.signature) {
            (None, None) => return Ok(false),
            (Some(expires), Some(signature)) => (expires.parse(), signature),
            _ => return Err(refused()),
        };
        let now = self.clock.now();
        let opens = expires.is_ok_and(|expires| self.signer.opens(path, expires, signature, now));
        if opens { Ok(true) } else { Err(refused()) }
    }
}

fn refused() -> Problem {
    Problem::new(
        &problem::DEAD_LINK,
        "the link has expired or was changed; ask for the job again to get a new one",
    )
}

fn passing_secret() -> Secret {
    let mut bytes = [0; 16];
    OsEntropy.fill(&mut bytes);
    Secret::new(format!("{:032x}", u128::from_be_bytes(bytes)))
}

/// How the sender of a request reaches us. A proxy in front may say that it speaks https; who lies about that breaks
/// only their own links.
fn address(headers: &HeaderMap, uri: &Uri) -> Option<String> {
    let host = match uri.authority() {
        Some(authority) => authority.as_str(),
        None => headers.get(header::HOST)?.to_str().ok()?,
    };
    let told = headers
        .get("x-forwarded-proto")
        .and_then(|scheme| scheme.to_str().ok())
        .or_else(|| uri.scheme_str());
    let scheme = if told == Some("https") { "https" } else { "http" };
    Some(format!("{scheme}://{host}"))
}

/// Makes links for one caller.
#[derive(Clone, Debug)]
pub(super) struct Signer {
    links: PublicLinks,
    clock: Arc<dyn Clock>,
}

impl Signer {
    /// A link to the bytes of a picture.
    pub(super) fn image(&self, id: ImageId) -> String {
        self.links.sign(&image_path(id), self.clock.now(), LIFE)
    }

    /// A link to the bytes of a picture that was brought along.
    pub(super) fn upload(&self, id: UploadId) -> String {
        self.links.sign(&upload_path(id), self.clock.now(), LIFE)
    }
}

impl FromRequestParts<Arc<App>> for Signer {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Infallible> {
        Ok(app.links.seen_from(&parts.headers, &parts.uri))
    }
}
