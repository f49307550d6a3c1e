//! Gateways that nobody has named the line of, told apart by what they answer.

use midjourney_core::job::Strength;

use super::*;

/// Answers as trueai does: it reads `Authorization` as it is, and `mj-api-secret` only without that.
async fn trueai() -> MockServer {
    let server = MockServer::start().await;
    for (at, body) in [
        ("/mj/submit/imagine".to_owned(), json!({"code": 1, "result": ID})),
        ("/mj/submit/modal".to_owned(), json!({"code": 1, "result": ID})),
        (
            format!("/mj/task/{ID}/fetch"),
            json!({"id": ID, "status": "SUBMITTED"}),
        ),
    ] {
        Mock::given(path(at))
            .and(wiremock::matchers::header("authorization", CANARY))
            .respond_with(ResponseTemplate::new(200).set_body_json(body))
            .mount(&server)
            .await;
    }
    Mock::given(wiremock::matchers::any())
        .respond_with(|request: &wiremock::Request| {
            if request.headers.contains_key("authorization") {
                ResponseTemplate::new(403).set_body_string("未登录")
            } else {
                ResponseTemplate::new(401).set_body_string("Authorization header missing.")
            }
        })
        .with_priority(10)
        .mount(&server)
        .await;
    server
}

async fn authorizations(server: &MockServer) -> Vec<String> {
    let requests = server.received_requests().await.unwrap();
    let sent = requests.iter().map(|request| {
        let header = request.headers.get("authorization");
        header.map_or_else(String::new, |value| value.to_str().unwrap().to_owned())
    });
    sent.collect()
}

#[tokio::test]
async fn a_question_is_asked_again_as_trueai_wants_it() {
    let server = trueai().await;
    let client = client(&server.uri());
    let remix = Action::Remix {
        strength: Strength::Subtle,
    };
    assert!(!client.supports(remix) && !client.supports(Action::Retexture));
    let id = UpstreamId::new(ID);
    assert_eq!(client.status(&id).await.unwrap(), RemoteStatus::Waiting);
    let bearer = format!("Bearer {CANARY}");
    assert_eq!(authorizations(&server).await, [bearer.as_str(), CANARY]);
    // What was learnt stays, and opens what this line has.
    assert!(client.supports(remix) && client.supports(Action::Retexture));
    assert_eq!(client.submit(&imagine()).await.unwrap(), id);
    assert_eq!(authorizations(&server).await[2..], [CANARY]);
}

#[tokio::test]
async fn a_submit_that_was_refused_for_its_header_is_left_to_be_made_again() {
    let server = trueai().await;
    let client = client(&server.uri());
    let error = client.submit(&imagine()).await.unwrap_err();
    assert_eq!(
        (error.failure.kind, error.applied, error.retry),
        (FailureKind::Transient, Applied::No, true)
    );
    assert_eq!(authorizations(&server).await.len(), 1, "sent once");
    assert_eq!(client.submit(&imagine()).await.unwrap().as_str(), ID);
    assert_eq!(authorizations(&server).await[1..], [CANARY]);

    let server = trueai().await;
    let client = client_with(&server.uri(), Dialect::Auto, Some(CANARY));
    let follow_up = JobRequest::follow_up(Action::Reroll, ParentRef::new(job(), 1), "a fox");
    let window = submission(follow_up);
    let error = client.confirm(&UpstreamId::new(ID), &window).await.unwrap_err();
    assert_eq!((error.applied, error.retry), (Applied::No, true));
    client.confirm(&UpstreamId::new(ID), &window).await.unwrap();
}

#[tokio::test]
async fn a_key_that_trueai_refuses_as_it_is_stays_refused() {
    let server = trueai().await;
    let id = UpstreamId::new(ID);
    for (dialect, key, asked) in [
        (Dialect::Auto, Some("another-key"), 2),
        (Dialect::TrueAi, Some("another-key"), 1),
        (Dialect::Plus, Some(CANARY), 1),
        // Once it is known to be no open gateway, a key is missed before anything is sent.
        (Dialect::Auto, None, 1),
    ] {
        let before = authorizations(&server).await.len();
        let error = client_with(&server.uri(), dialect, key)
            .status(&id)
            .await
            .unwrap_err();
        assert_eq!(
            (error.failure.kind, error.retry),
            (FailureKind::AccountBlocked, false),
            "{dialect:?}"
        );
        assert_eq!(authorizations(&server).await.len() - before, asked, "{dialect:?}");
    }
}

#[tokio::test]
async fn a_reseller_is_known_by_its_own_errors() {
    let refusal = json!({"description": "quota_not_enough", "type": "upstream_error", "code": 4});
    let server = answering(400, refusal.to_string()).await;
    let client = client(&server.uri());
    assert!(client.capabilities().cancel && client.capabilities().reconcile);
    let error = client.submit(&imagine()).await.unwrap_err();
    assert_eq!(error.failure.kind, FailureKind::QuotaExhausted);
    assert!(!client.capabilities().cancel && !client.capabilities().reconcile);
    assert!(client.supports(Action::Edit));
}
