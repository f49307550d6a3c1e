//! What the tests of HTTP upstreams share: imitations on loopback, and what every client must stand.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail with the test"
)]

use std::time::Duration;

use futures_util::StreamExt as _;
use midjourney_core::{
    client::{ClientError, HttpOptions, MidjourneyClient, ParentTask, Submission},
    error::{Applied, Chain},
    image::ImageKind,
    job::{
        Action, FailureKind, JobRequest, RemoteAction, RemoteImage, RemoteStatus, Spent, UpscaleMode,
        UpstreamId,
    },
};
use serde_json::Value;
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

pub(crate) use crate::loopback::{CANARY, answering, file, follow_up, hooked, options, submission};

/// The task that the imitations speak of.
pub(crate) const ID: &str = "aaaaaaaa-0000-0000-0000-000000000001";

/// Makes the client under test for a base URL.
pub(crate) type Make = fn(HttpOptions) -> Box<dyn MidjourneyClient>;

pub(crate) fn client(make: Make, base: &str) -> Box<dyn MidjourneyClient> {
    make(options(base, Some(CANARY)))
}

pub(crate) fn imagine() -> Submission {
    submission(JobRequest::imagine("a red fox"))
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
