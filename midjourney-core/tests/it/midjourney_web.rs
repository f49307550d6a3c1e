//! The `midjourney-web` client against imitations of that service on loopback, over real HTTP.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail with the test")]

mod answers;
mod session;
mod submits;

use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use midjourney_core::{
    client::{
        MidjourneyClient as _, ParentTask, Submission,
        midjourney_web::{MidjourneyWeb, WebOptions},
    },
    clock::{Clock as _, SystemClock, Timestamp},
    job::{Capabilities, JobRequest, RemoteAction, UpstreamId},
    key::{KeyName, KeyProvider as _, KeyVault, Secret},
    memory::MemoryKeys,
};
use serde_json::{Value, json};
use url::Url;
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers::path};

use crate::loopback::{file, follow_up, key_name as name, outbound, submission};

const ID: &str = "aaaaaaaa-0000-0000-0000-000000000001";
const USER: &str = "bbbbbbbb-0000-0000-0000-000000000002";
const REFRESH: &str = "canary-refresh-0";
const WEB_KEY: &str = "public-web-key";

/// An id token that lasts so many seconds from now on.
fn token(seconds: i64) -> String {
    let now = now_in_seconds();
    let claims = json!({"exp": now + seconds, "sub": "canary-subject"}).to_string();
    format!("e30.{}.canary-signature", URL_SAFE_NO_PAD.encode(claims))
}

fn now_in_seconds() -> i64 {
    SystemClock.now().as_millis() / 1_000
}

fn options(server: &MockServer, vault: Arc<dyn KeyVault>) -> WebOptions {
    let at = |path: &str| Url::parse(&format!("{}{path}", server.uri())).unwrap();
    let mut options = WebOptions::new(name(), vault, Arc::new(SystemClock), outbound(), WEB_KEY)
        .unwrap()
        .at(at("/"), at("/cdn/"), at("/v1/token"));
    options.http = options.http.with_timeout(Duration::from_secs(2));
    options
}

/// A vault with a session whose first token lasts so long.
async fn vault(seconds: i64) -> Arc<MemoryKeys> {
    let vault = Arc::new(MemoryKeys::new());
    let pair = format!("{}|{REFRESH}", token(seconds));
    vault.add(&name(), Secret::new(pair)).await.unwrap();
    vault
}

async fn client(server: &MockServer) -> MidjourneyWeb {
    MidjourneyWeb::new(options(server, vault(3_600).await))
}

/// A service that signs in, takes uploads, and answers submits and questions so.
async fn service(status: u16, body: impl AsRef<[u8]>) -> MockServer {
    let server = MockServer::start().await;
    for (at, answer) in [
        (
            "/api/firebase-login",
            json!({"authUser": {"id": USER, "email": "canary@example.com"}}),
        ),
        (
            "/api/storage-upload-file",
            json!({"bucketPathname": "abc/fox.png", "shortUrl": "https://s.mj.run/x"}),
        ),
    ] {
        let answer = ResponseTemplate::new(200).set_body_json(answer);
        Mock::given(path(at)).respond_with(answer).mount(&server).await;
    }
    Mock::given(wiremock::matchers::any())
        .respond_with(ResponseTemplate::new(status).set_body_bytes(body.as_ref()))
        .with_priority(9)
        .mount(&server)
        .await;
    server
}

fn imagine() -> Submission {
    submission(JobRequest::imagine("a red fox"))
}

/// A finished job drawn from `prompt` that offers `offers`.
fn parent(prompt: &str, offers: &[&str]) -> ParentTask {
    let offers = offers.iter().map(|id| RemoteAction::new(*id, "")).collect();
    ParentTask::new(UpstreamId::new("parent-1"), offers, prompt.to_owned())
}

fn started() -> String {
    json!({"success": [{"job_id": ID, "is_queued": false, "softban": false}], "failure": []}).to_string()
}

/// The requests that came to a route.
async fn at(server: &MockServer, route: &str) -> Vec<Request> {
    let mut requests = server.received_requests().await.unwrap();
    requests.retain(|request| request.url.path() == route);
    requests
}

/// The session in the vault now.
async fn stored(vault: &MemoryKeys) -> String {
    let key = vault.current(&name(), Timestamp::from_millis(i64::MAX)).await;
    key.unwrap().secret.expose().to_owned()
}

fn read(request: &Request) -> Value {
    serde_json::from_slice(&request.body).unwrap()
}

#[tokio::test]
async fn it_promises_nothing_that_is_not_known() {
    let server = service(200, "").await;
    let client = client(&server).await;
    assert_eq!(client.upstream(), "midjourney-web");
    assert_eq!(client.capabilities(), Capabilities::default());
    assert!(client.parse_callback(b"{}").is_err());
    let id = UpstreamId::new(ID);
    assert!(client.cancel(&id).await.is_err());
    assert!(server.received_requests().await.unwrap().is_empty());
}
