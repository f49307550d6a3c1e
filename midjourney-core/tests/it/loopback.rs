//! What the tests of all HTTP upstreams share: an account whose key is known, calls that stay on this machine, and somebody
//! who answers them.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail with the test")]

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use midjourney_core::{
    client::{HttpOptions, InputPicture, ParentTask, Submission},
    clock::{OsEntropy, SystemClock, Timestamp},
    id::JobId,
    image::MediaType,
    job::{Action, JobRequest, Nonce, ParentRef},
    key::{Key, KeyError, KeyName, KeyProvider, Secret},
    net::{Outbound, OutboundOptions},
    webhook::CallbackRegistration,
};
use url::Url;
use wiremock::{Mock, MockServer, ResponseTemplate};

/// The key, or both halves of one with two parts; must show nowhere.
pub(crate) const CANARY: &str = "canary-5ecret-key";

#[derive(Debug)]
struct OneKey(Option<Secret>);

#[async_trait]
impl KeyProvider for OneKey {
    fn source(&self) -> &'static str {
        "test"
    }

    async fn current(&self, name: &KeyName, _now: Timestamp) -> Result<Key, KeyError> {
        let missing = || KeyError::Missing {
            name: name.clone(),
            mend: "set it",
        };
        self.0.clone().map(|key| Key::new(1, key)).ok_or_else(missing)
    }

    async fn usable(&self, name: &KeyName, now: Timestamp) -> Result<Vec<Key>, KeyError> {
        Ok(self.current(name, now).await.into_iter().collect())
    }
}

thread_local! {
    /// One for each test, which has a thread of its own: setting up TLS takes longer than most of them.
    static OUTBOUND: Outbound = {
        let mut options = OutboundOptions::default();
        options.headers_timeout = Duration::from_millis(400);
        options.idle_timeout = Duration::from_millis(400);
        Outbound::new(options).unwrap()
    };
}

/// Calls that nobody waits for long.
pub(crate) fn outbound() -> Outbound {
    OUTBOUND.with(Outbound::clone)
}

pub(crate) fn key_name() -> KeyName {
    KeyName::new("midjourney")
}

/// An account at `base` under `key`.
pub(crate) fn options(base: &str, key: Option<&str>) -> HttpOptions {
    HttpOptions::new(
        Url::parse(base).unwrap(),
        key_name(),
        Arc::new(OneKey(key.map(Secret::new))),
        Arc::new(SystemClock),
        outbound(),
    )
    .with_timeout(Duration::from_secs(2))
}

/// The same for those who may follow links to this machine.
#[cfg(any(feature = "upstream-legnext", feature = "upstream-youchuan"))]
pub(crate) fn anywhere(base: &str, key: &str) -> HttpOptions {
    let outbound = OutboundOptions::default().with_allow_private(true);
    let mut options = options(base, Some(key));
    options.outbound = Outbound::new(outbound).unwrap();
    options
}

pub(crate) fn job() -> JobId {
    JobId::new(Timestamp::from_millis(1), &OsEntropy)
}

pub(crate) fn submission(request: JobRequest) -> Submission {
    Submission::new(job(), Nonce::new(&OsEntropy), request)
}

/// `action` on picture `index` of `parent`, with its prompt.
pub(crate) fn follow_up(action: Action, index: u8, parent: &ParentTask) -> Submission {
    let request = JobRequest::follow_up(action, ParentRef::new(job(), index), parent.prompt.clone());
    submission(request).with_parent(Some(parent.clone()))
}

/// The same submission, to be called back, and the address for that.
pub(crate) fn hooked(submission: Submission) -> (Submission, String) {
    let registration = CallbackRegistration::new("https://gw.example/cb", Secret::new("s"));
    let hook = registration.url_for(submission.job, &submission.nonce);
    let address = hook.expose().to_owned();
    (submission.with_callback(Some(hook)), address)
}

pub(crate) fn file() -> InputPicture {
    InputPicture::of(Bytes::from_static(b"png"), MediaType::Png)
}

/// An upstream that always answers so.
pub(crate) async fn answering(status: u16, body: impl AsRef<[u8]>) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(wiremock::matchers::any())
        .respond_with(ResponseTemplate::new(status).set_body_bytes(body.as_ref()))
        .mount(&server)
        .await;
    server
}
