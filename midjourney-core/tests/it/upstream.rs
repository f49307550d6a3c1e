//! What the tests of HTTP upstreams share: imitations on loopback, and what every client must stand.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail with the test"
)]

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt as _;
use midjourney_core::{
    client::{ClientError, HttpOptions, InputPicture, MidjourneyClient, ParentTask, Submission},
    clock::{OsEntropy, SystemClock, Timestamp},
    error::{Applied, Chain},
    id::JobId,
    image::{ImageKind, MediaType},
    job::{
        Action, FailureKind, JobRequest, Nonce, ParentRef, RemoteAction, RemoteImage, RemoteStatus, Spent,
        UpscaleMode, UpstreamId,
    },
    key::{Key, KeyError, KeyName, KeyProvider, Secret},
    net::{Outbound, OutboundOptions},
    webhook::CallbackRegistration,
};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use url::Url;
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

pub(crate) const CANARY: &str = "canary-5ecret-key";

/// The task that the imitations speak of.
pub(crate) const ID: &str = "aaaaaaaa-0000-0000-0000-000000000001";

/// Makes the client under test for a base URL.
pub(crate) type Make = fn(HttpOptions) -> Box<dyn MidjourneyClient>;

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

pub(crate) fn options(base: &str, key: Option<&'static str>) -> HttpOptions {
    HttpOptions::new(
        Url::parse(base).unwrap(),
        KeyName::new("midjourney"),
        Arc::new(OneKey(key.map(Secret::new))),
        Arc::new(SystemClock),
        OUTBOUND.with(Outbound::clone),
    )
    .with_timeout(Duration::from_secs(1))
}

pub(crate) fn client(make: Make, base: &str) -> Box<dyn MidjourneyClient> {
    make(options(base, Some(CANARY)))
}

pub(crate) fn job() -> JobId {
    JobId::new(Timestamp::from_millis(1), &OsEntropy)
}

pub(crate) fn submission(request: JobRequest) -> Submission {
    Submission::new(job(), Nonce::new(&OsEntropy), request)
}

pub(crate) fn imagine() -> Submission {
    submission(JobRequest::imagine("a red fox"))
}

/// The same submission, to be called back, and the address for that.
pub(crate) fn hooked(submission: Submission) -> (Submission, String) {
    let registration = CallbackRegistration::new("https://gw.example/cb", Secret::new("s"));
    let hook = registration.url_for(submission.job);
    let address = hook.expose().to_owned();
    (submission.with_callback(Some(hook)), address)
}

/// `base` with the fields of `more`.
pub(crate) fn with(mut base: Value, more: Value) -> Value {
    if let (Some(base), Value::Object(more)) = (base.as_object_mut(), more) {
        base.extend(more);
    }
    base
}

/// A finished task that did `action` to `prompt` and offers `offers`.
pub(crate) fn parent(action: Action, prompt: &str, offers: &[&str]) -> ParentTask {
    let offers = offers.iter().map(|id| RemoteAction::new(*id, "")).collect();
    ParentTask::new(UpstreamId::new("parent-1"), offers, prompt.to_owned()).with_action(action)
}

pub(crate) const CUTOUT: Action = Action::Upscale {
    mode: UpscaleMode::Cutout,
};

/// `action` on picture `index` of `parent`, with its prompt.
pub(crate) fn follow_up(action: Action, index: u8, parent: &ParentTask) -> Submission {
    let request = JobRequest::follow_up(action, ParentRef::new(job(), index), parent.prompt.clone());
    submission(request).with_parent(Some(parent.clone()))
}

pub(crate) fn file() -> InputPicture {
    InputPicture::of(Bytes::from_static(b"png"), MediaType::Png)
}

pub(crate) async fn answering(status: u16, body: impl AsRef<[u8]>) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(wiremock::matchers::any())
        .respond_with(ResponseTemplate::new(status).set_body_bytes(body.as_ref()))
        .mount(&server)
        .await;
    server
}

/// What is sent for `submission`, the upstream answering `body`.
pub(crate) async fn sent(make: Make, submission: &Submission, body: &str) -> (Request, String, Value) {
    let server = answering(200, body).await;
    let client = client(make, &server.uri());
    assert!(client.supports(submission.request.action));
    client
        .check(&submission.request, submission.parent.as_ref())
        .unwrap_or_else(|failure| panic!("{}: {failure}", submission.request.action));
    client
        .submit(submission)
        .await
        .unwrap_or_else(|error| panic!("{}: {error:?}", submission.request.action));
    let request = server.received_requests().await.unwrap().remove(0);
    let body = serde_json::from_slice(&request.body).unwrap();
    let route = format!("{} {}", request.method, request.url.path());
    (request, route, body)
}

pub(crate) async fn submit_to(
    make: Make,
    status: u16,
    body: impl AsRef<[u8]>,
) -> Result<UpstreamId, ClientError> {
    let server = answering(status, body).await;
    let outcome = client(make, &server.uri()).submit(&imagine()).await;
    let requests = server.received_requests().await.unwrap();
    assert_eq!(requests.len(), 1, "sent exactly once");
    outcome
}

pub(crate) async fn status_at(
    make: Make,
    status: u16,
    body: impl AsRef<[u8]>,
) -> Result<RemoteStatus, ClientError> {
    let server = answering(status, body).await;
    client(make, &server.uri()).status(&UpstreamId::new(ID)).await
}

/// A row of a table of refusals: HTTP status, body, kind, and what may have happened.
pub(crate) type Row = (u16, String, FailureKind, Fate);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Refused for good.
    Refused,
    /// Surely not taken; later it may be.
    NotNow,
    /// Nobody knows.
    Lost,
}

pub(crate) async fn submits_end_so(make: Make, rows: Vec<Row>) {
    for (status, body, kind, fate) in rows {
        let error = submit_to(make, status, &body).await.unwrap_err();
        let expected = match fate {
            Fate::Refused => (Applied::No, false, Spent::No),
            Fate::NotNow => (Applied::No, true, Spent::No),
            Fate::Lost => (Applied::Maybe, true, Spent::Maybe),
        };
        assert_eq!(
            (
                error.failure.kind,
                (error.applied, error.retry, error.failure.spent)
            ),
            (kind, expected),
            "{status} {body}: {error}"
        );
    }
}

/// Bodies that answer nothing. None may panic, none may count as accepted, and none as surely refused.
fn bad_bodies() -> Vec<Vec<u8>> {
    let texts = [
        "",
        " ",
        "null",
        "true",
        "0",
        "-1",
        "1e999",
        "\"\"",
        "[]",
        "[1]",
        "[{}]",
        "{}",
        "{",
        "}",
        "{\"",
        "{\"task_id\"",
        "{\"task_id\":",
        "{\"task_id\":\"a",
        "{\"task_id\":null}",
        "{\"task_id\":[1]}",
        "{\"task_id\":{}}",
        "{\"task_id\":\"\"}",
        "{\"task_id\":\"..\"}",
        "{\"task_id\":\"a b\"}",
        "{\"task_id\":\"a/b\"}",
        "{\"task_id\":true}",
        "{\"data\":{\"jobId\":\"a/b\"},\"status\":\"SUCCESS\"}",
        "{\"status\":\"SUCCESS\"}",
        "{\"status\":\"SUCCESS\",\"data\":null}",
        "{\"status\":\"SUCCESS\",\"data\":[{\"jobId\":\"a\"}]}",
        "{\"status\":1,\"data\":\"a\"}",
        "{\"success\":true}",
        "{\"success\":\"yes\"}",
        "{\"success\":false}",
        "{\"success\":false,\"error\":[]}",
        "{\"success\":false,\"error\":{\"code\":7}}",
        "{\"errors\":{}}",
        "{\"errors\":[]}",
        "{\"response\":{}}",
        "{\"response\":[[]]}",
        "{\"image_urls\":[]}",
        "<html>502 Bad Gateway</html>",
        "<!doctype html>",
        "ok",
        "{'task_id':1}",
        "{\"task_id\":01}",
        "\u{feff}{\"task_id\":\"a\"}",
        "{\"task_id\":\"a\"}{\"task_id\":\"a\"}",
    ];
    let mut bodies: Vec<Vec<u8>> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    bodies.push(vec![0xff, 0xfe, 0x00]);
    bodies.push(b"{\"task_id\":\"\xff\"}".to_vec());
    bodies.push(vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]);
    bodies.push([b"[".repeat(100_000), b"]".repeat(100_000)].concat());
    bodies.push(b"{\"response\":".repeat(100_000));
    bodies
}

pub(crate) async fn bad_bodies_give_typed_errors(make: Make) {
    assert!(bad_bodies().len() >= 50);
    for body in bad_bodies() {
        let shown = String::from_utf8_lossy(body.get(..60).unwrap_or(&body)).into_owned();
        let error = submit_to(make, 200, &body).await.unwrap_err();
        assert_eq!(
            (error.applied, error.failure.spent),
            (Applied::Maybe, Spent::Maybe),
            "{shown}: {error:?}"
        );
        assert!(Chain(&error).to_string().len() <= 2_300, "{shown}");
        let error = status_at(make, 200, &body).await.unwrap_err();
        assert_eq!(
            (error.failure.kind, error.retry),
            (FailureKind::BadAnswer, true),
            "{shown}"
        );
        let server = answering(200, &body).await;
        let client = client(make, &server.uri());
        assert!(client.parse_callback(&body).is_err(), "{shown}");
        let seed = client.seed(&parent(Action::Imagine, "a fox", &[])).await;
        assert_eq!(seed.unwrap(), None, "{shown}");
    }
}

/// A server that does `work` on every connection once the head of a request has come, and counts connections.
async fn raw<F>(work: impl Fn(TcpStream) -> F + Send + Sync + 'static) -> (SocketAddr, Arc<AtomicUsize>)
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            let mut head = vec![0; 65_536];
            // A small request comes in one piece.
            if stream.read(&mut head).await.is_ok() {
                tokio::spawn(work(stream));
            }
        }
    });
    (address, seen)
}

pub(crate) async fn a_lost_answer_is_never_sent_twice(make: Make) {
    let half = |text: &'static str| {
        move |mut stream: TcpStream| async move {
            stream.write_all(text.as_bytes()).await.ok();
        }
    };
    let reset = raw(|stream: TcpStream| async move {
        // Closing at once without lingering sends a reset.
        stream.set_zero_linger().ok();
    });
    let stall = raw(|stream: TcpStream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    });
    let servers = [
        reset.await,
        stall.await,
        raw(half("")).await,
        raw(half("HTTP/1.1 200 OK\r\ncontent-")).await,
        raw(half(
            "HTTP/1.1 200 OK\r\ncontent-length: 30\r\n\r\n{\"task_id\":\"a",
        ))
        .await,
        raw(half("SSH-2.0-OpenSSH_9.9\r\n")).await,
    ];
    for (n, (address, seen)) in servers.into_iter().enumerate() {
        let client = client(make, &format!("http://{address}"));
        let error = client.submit(&imagine()).await.unwrap_err();
        assert_eq!(
            (error.applied, error.failure.spent),
            (Applied::Maybe, Spent::Maybe),
            "{n}: {error:?}"
        );
        assert_eq!(seen.load(Ordering::SeqCst), 1, "{n}: sent exactly once");
        // The same trouble with a question changes nothing.
        let error = client.status(&UpstreamId::new(ID)).await.unwrap_err();
        assert_eq!((error.applied, error.retry), (Applied::No, true), "{n}");
    }
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    let client = client(make, &format!("http://{address}"));
    let error = client.submit(&imagine()).await.unwrap_err();
    assert_eq!(
        (error.applied, error.retry),
        (Applied::No, true),
        "nobody listened"
    );
}

/// `bodies` speak of failures, `LEAK` in their words standing for what must not be repeated.
pub(crate) async fn secrets_are_never_shown(make: Make, bodies: &[(u16, &str)]) {
    let (submission, hook) = hooked(imagine());
    let proof = hook.rsplit('.').next().unwrap();
    let leak = format!("Bearer {CANARY} and {hook} and {proof}");
    for (status, body) in bodies {
        let body = body.replace("LEAK", &leak);
        let server = answering(*status, &body).await;
        let client = client(make, &server.uri());
        let submitted = client.submit(&submission).await;
        let error = match &submitted {
            Ok(id) => id.to_string(),
            Err(error) => format!("{error} {}", Chain(error)),
        };
        let told = client.status(&UpstreamId::new(ID)).await;
        let seed = client.seed(&parent(Action::Imagine, "a fox", &[])).await;
        let shown = format!("{submitted:?} {error} {client:?} {submission:?}");
        assert!(
            !shown.contains(CANARY) && !shown.contains(proof),
            "{status}: {shown}"
        );
        // Questions know the key only.
        let shown = format!("{told:?} {seed:?}");
        assert!(!shown.contains(CANARY), "{status}: {shown}");
    }
}

/// What every client does alike beside its own wire.
pub(crate) async fn manners(make: Make) {
    // Without a key nothing is sent.
    let server = answering(200, "{}").await;
    let keyless = make(options(&server.uri(), None));
    let error = keyless.submit(&imagine()).await.unwrap_err();
    assert_eq!(
        (error.failure.kind, error.applied),
        (FailureKind::AccountBlocked, Applied::No)
    );
    let client = client(make, &server.uri());
    // An id that is none is never sent.
    for id in ["..", "a/b", ""] {
        let status = client.status(&UpstreamId::new(id)).await.unwrap();
        assert_eq!(status, RemoteStatus::Missing);
    }
    assert!(!client.capabilities().cancel && !client.capabilities().reconcile);
    let error = client.cancel(&UpstreamId::new(ID)).await.unwrap_err();
    assert_eq!(error.failure.kind, FailureKind::Unsupported);
    // What is not supported is refused by name, whatever the parent offers.
    for action in Action::ALL.into_iter().filter(|action| !client.supports(*action)) {
        let failure = client.check(&JobRequest::new(action, "a fox"), None).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Unsupported);
        assert!(failure.message.contains(&action.to_string()), "{failure}");
    }
    // What needs a parent is refused without one.
    let failure = client.check(&JobRequest::new(CUTOUT, "a fox"), None).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unsupported);
    assert!(server.received_requests().await.unwrap().is_empty());
    let huge = format!(
        "{{\"task_id\":\"1\",\"jobId\":\"1\",\"x\":\"{}\"}}",
        "y".repeat(1 << 20)
    );
    assert!(client.parse_callback(huge.as_bytes()).is_err());

    // No key goes to a picture's server.
    let pictures = answering(200, "png").await;
    let own = make(options(&pictures.uri(), Some(CANARY)));
    let url = format!("{}/a.png", pictures.uri());
    let image = RemoteImage::new(url, ImageKind::Single, 1);
    let body: Vec<_> = own.fetch(&image).await.unwrap().collect().await;
    assert_eq!(
        body.into_iter().map(Result::unwrap).collect::<Vec<_>>().concat(),
        b"png"
    );
    let request = pictures.received_requests().await.unwrap().remove(0);
    assert!(
        !request
            .headers
            .values()
            .any(|value| value.to_str().unwrap().contains(CANARY))
    );

    for (header, wait) in [("7", Some(Duration::from_secs(7))), ("never", None)] {
        let server = MockServer::start().await;
        Mock::given(wiremock::matchers::any())
            .respond_with(ResponseTemplate::new(429).insert_header("retry-after", header))
            .mount(&server)
            .await;
        let client = make(options(&server.uri(), Some(CANARY)));
        let error = client.submit(&imagine()).await.unwrap_err();
        assert_eq!(
            (error.failure.kind, error.applied, error.retry_after),
            (FailureKind::RateLimited, Applied::No, wait)
        );
    }
}

/// Polls that end in errors, the same for all.
pub(crate) async fn polls_end_so(make: Make, rows: &[(u16, FailureKind, bool)]) {
    for (status, kind, retry) in rows {
        let error = status_at(make, *status, "<html>").await.unwrap_err();
        assert_eq!(
            (error.failure.kind, error.retry, error.applied),
            (*kind, *retry, Applied::No),
            "{status}"
        );
    }
}
