//! What the tests of upstreams with Midjourney's partner verbs share: an account, imitations on loopback, bad weather.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::future_not_send,
    reason = "helpers of tests fail with the test, and run on its thread"
)]

use midjourney_core::{
    client::{ClientError, MidjourneyClient, ParentTask, Submission},
    error::{Applied, Chain},
    job::{FailureKind, JobRequest, RemoteAction, RemoteStatus, Spent, UpstreamId},
};
use serde_json::{Value, json};
use wiremock::MockServer;

#[cfg(any(feature = "upstream-legnext", feature = "upstream-youchuan"))]
pub(crate) use crate::loopback::anywhere;
pub(crate) use crate::loopback::{CANARY, answering, follow_up, hooked, options, submission};

/// The job that a finished task at the upstream belongs to.
pub(crate) const TASK: &str = "aaaaaaaa-0000-0000-0000-000000000001";

pub(crate) fn imagine() -> Submission {
    submission(JobRequest::imagine("a red fox --ar 3:2"))
}

/// A finished task that was drawn from `prompt` and offers `actions`.
pub(crate) fn parent(prompt: &str, actions: &[&str]) -> ParentTask {
    let actions = actions.iter().map(|id| RemoteAction::new(*id, *id)).collect();
    ParentTask::new(UpstreamId::new(TASK), actions, prompt.to_owned())
}

/// The same submission with another prompt.
pub(crate) fn with_prompt(mut submission: Submission, prompt: &str) -> Submission {
    prompt.clone_into(&mut submission.request.prompt);
    submission
}

/// The only request that `server` got: its path and its body as JSON.
pub(crate) async fn sent(server: &MockServer) -> (String, Value) {
    let requests = server.received_requests().await.unwrap();
    assert_eq!(requests.len(), 1, "sent exactly once");
    assert_eq!(requests[0].method.as_str(), "POST");
    assert_eq!(requests[0].headers["content-type"], "application/json");
    let body = serde_json::from_slice(&requests[0].body).unwrap();
    (requests[0].url.path().to_owned(), body)
}

/// How a refusal is to be judged: its kind, whether it may have taken effect, whether another try may pass.
pub(crate) type Judged = (FailureKind, Applied, bool);

pub(crate) const fn no(kind: FailureKind) -> Judged {
    (kind, Applied::No, false)
}

pub(crate) const fn later(kind: FailureKind) -> Judged {
    (kind, Applied::No, true)
}

pub(crate) const fn lost(kind: FailureKind) -> Judged {
    (kind, Applied::Maybe, true)
}

/// Checks what a submit makes of each answer, and that it was sent once.
pub(crate) async fn refuses<C: MidjourneyClient>(
    client: impl Fn(&str) -> C,
    submission: &Submission,
    rows: Vec<(u16, Value, Judged)>,
) {
    for (status, body, judged) in rows {
        let text = body.as_str().map_or_else(|| body.to_string(), str::to_owned);
        let server = answering(status, &text).await;
        let error = client(&server.uri()).submit(submission).await.unwrap_err();
        assert_eq!(
            (error.failure.kind, error.applied, error.retry),
            judged,
            "{status} {text}"
        );
        let spent = match judged.1 {
            Applied::Maybe => Spent::Maybe,
            Applied::No => Spent::No,
        };
        assert_eq!(error.failure.spent, spent, "{status} {text}");
        assert_eq!(
            server.received_requests().await.unwrap().len(),
            1,
            "{status} {text}"
        );
    }
}

/// What plain HTTP statuses mean to all of these upstreams.
pub(crate) fn plain_statuses() -> Vec<(u16, Value, Judged)> {
    use FailureKind as K;
    [
        (302, lost(K::BadAnswer)),
        (303, lost(K::BadAnswer)),
        (307, no(K::BadAnswer)),
        (308, no(K::BadAnswer)),
        (400, no(K::InvalidPrompt)),
        (401, no(K::AccountBlocked)),
        (402, no(K::QuotaExhausted)),
        (403, no(K::AccountBlocked)),
        (404, no(K::Unsupported)),
        (405, no(K::Unsupported)),
        (408, lost(K::BadAnswer)),
        (409, lost(K::BadAnswer)),
        (413, no(K::InvalidPrompt)),
        (418, lost(K::BadAnswer)),
        (422, no(K::InvalidPrompt)),
        (429, later(K::RateLimited)),
        (500, lost(K::Transient)),
        (502, lost(K::Transient)),
        (503, lost(K::Transient)),
        (504, lost(K::Transient)),
    ]
    .into_iter()
    .map(|(status, judged)| (status, json!("<html>"), judged))
    .collect()
}

/// What statuses mean to a question, which is free to ask again. `task` is the body of a running task.
pub(crate) async fn reads_statuses<C: MidjourneyClient>(client: impl Fn(&str) -> C, id: &str) {
    use FailureKind as K;
    let ask = async |status: u16, body: &str| {
        let server = answering(status, body).await;
        client(&server.uri()).status(&UpstreamId::new(TASK)).await
    };
    for body in ["", r#"{"code":404,"message":"not found"}"#] {
        assert_eq!(ask(404, body).await.unwrap(), RemoteStatus::Missing, "{body}");
    }
    for (status, kind, retry) in [
        (302, K::BadAnswer, true),
        (401, K::AccountBlocked, false),
        (403, K::AccountBlocked, false),
        (404, K::BadAnswer, true),
        (418, K::BadAnswer, true),
        (429, K::RateLimited, true),
        (500, K::Transient, true),
        (503, K::Transient, true),
    ] {
        let error = ask(status, "<html>").await.unwrap_err();
        assert_eq!(
            (error.failure.kind, error.retry, error.applied),
            (kind, retry, Applied::No),
            "{status}"
        );
    }
    let running = json!({id: TASK, "status": "dreaming"}).to_string();
    assert_eq!(
        ask(200, &running).await.unwrap(),
        RemoteStatus::Running { progress: None },
        "a status that is not known"
    );
    let other = json!({id: "another", "status": "completed"}).to_string();
    assert_eq!(
        ask(200, &other).await.unwrap_err().failure.kind,
        K::BadAnswer,
        "another task"
    );
    // An id that would change the path is never sent.
    let server = answering(200, "{}").await;
    for id in ["..", "a/b", ""] {
        let status = client(&server.uri()).status(&UpstreamId::new(id)).await.unwrap();
        assert_eq!(status, RemoteStatus::Missing);
    }
    assert!(server.received_requests().await.unwrap().is_empty());
}

/// A submission with an address to call back, and the proof at its end.
pub(crate) fn with_callback(submission: Submission) -> (Submission, String, String) {
    let (submission, hook) = hooked(submission);
    let proof = hook.rsplit('.').next().unwrap().to_owned();
    (submission, hook, proof)
}

/// The key, either part of it, and the callback address appear in no error, whatever the upstream repeats.
pub(crate) async fn shows_no_secret<C: MidjourneyClient>(client: impl Fn(&str) -> C) {
    let (submission, hook, proof) = with_callback(imagine());
    let leak = format!("Bearer {CANARY} and {CANARY}-app|{CANARY} and {hook} and {proof}");
    for (status, body) in [
        (400, json!({"code": 400, "message": leak}).to_string()),
        (
            403,
            json!({"error": {"message": leak, "raw_message": leak}}).to_string(),
        ),
        (
            403,
            json!({"code": 403, "reason": "Msg_Sensitive", "message": leak}).to_string(),
        ),
        (200, leak.clone()),
        (200, format!("{}{leak}", "x".repeat(1_980))),
        (401, leak.clone()),
        (429, leak.clone()),
        (500, leak.clone()),
    ] {
        let server = answering(status, &body).await;
        let client = client(&server.uri());
        let error = client.submit(&submission).await.unwrap_err();
        let shown = format!("{error:?} {error} {} {client:?} {submission:?}", Chain(&error));
        assert!(
            !shown.contains(CANARY) && !shown.contains(&proof),
            "{status}: {shown}"
        );
    }
    for body in [
        json!({"job_id": TASK, "status": "failed", "error": {"message": leak}}),
        json!({"id": TASK, "status": "failed", "error": {"code": "x", "message": leak}}),
        json!({"id": TASK, "status": 3, "comment": leak}),
    ] {
        let server = answering(200, body.to_string()).await;
        let status = client(&server.uri()).status(&UpstreamId::new(TASK)).await;
        let shown = format!("{status:?}");
        assert!(!shown.contains(CANARY), "{shown}");
    }
}

/// Checks that each refusal comes before anything is sent, from `check` as from `submit`, and names `words`.
pub(crate) async fn refused_early<C: MidjourneyClient>(
    client: impl Fn(&str) -> C,
    submission: &Submission,
    words: &str,
) {
    let server = answering(200, "{}").await;
    let client = client(&server.uri());
    let failure = client
        .check(&submission.request, submission.parent.as_ref())
        .unwrap_err();
    assert!(failure.message.contains(words), "{failure}");
    let error = client.submit(submission).await.unwrap_err();
    assert_eq!((error.failure.kind, error.applied), (failure.kind, Applied::No));
    assert!(server.received_requests().await.unwrap().is_empty());
}

/// The error of a submit to a gateway that must not be asked.
pub(crate) async fn unsent<C: MidjourneyClient>(
    client: impl Fn(&str) -> C,
    submission: &Submission,
) -> ClientError {
    let server = answering(200, "{}").await;
    let error = client(&server.uri()).submit(submission).await.unwrap_err();
    assert!(server.received_requests().await.unwrap().is_empty());
    assert_eq!(error.applied, Applied::No);
    error
}
