//! Renewing the session: once, stored at once, and never lost.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use midjourney_core::{
    error::Applied,
    job::{FailureKind as K, RemoteStatus, UpstreamId},
    key::{Key, KeyError, KeyProvider},
};

use super::*;

/// A token service that renews so, after a while, and a service behind it.
async fn renewing(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(path("/v1/token"))
        .respond_with(answer.set_delay(Duration::from_millis(50)))
        .mount(&server)
        .await;
    let jobs = json!([{"id": ID, "current_status": "queued"}]);
    for (at, answer) in [
        ("/api/firebase-login", json!({"id": USER})),
        ("/api/job-status", jobs),
        ("/api/submit-jobs", json!({"success": [{"job_id": ID}]})),
    ] {
        let answer = ResponseTemplate::new(200).set_body_json(answer);
        Mock::given(path(at))
            .respond_with(answer)
            .with_priority(9)
            .mount(&server)
            .await;
    }
    server
}

fn tokens(id: &str, refresh: &str) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(json!({
        "id_token": id, "refresh_token": refresh, "expires_in": "3600", "token_type": "Bearer",
    }))
}

fn id() -> UpstreamId {
    UpstreamId::new(ID)
}

#[tokio::test]
async fn an_old_session_is_renewed_and_stored_before_it_is_used() {
    let fresh = token(3_600);
    let server = renewing(tokens(&fresh, "canary-refresh-1")).await;
    let vault = vault(60).await;
    let client = MidjourneyWeb::new(options(&server, Arc::<MemoryKeys>::clone(&vault)));
    client.submit(&imagine()).await.unwrap();
    assert_eq!(stored(&vault).await, format!("{fresh}|canary-refresh-1"));
    let versions = vault
        .usable(&name(), Timestamp::from_millis(i64::MAX))
        .await
        .unwrap();
    assert_eq!(versions.len(), 1, "the old one is retired");
    let renewals = at(&server, "/v1/token").await;
    assert_eq!(renewals[0].url.query(), Some("key=public-web-key"));
    assert_eq!(
        renewals[0].headers["content-type"],
        "application/x-www-form-urlencoded"
    );
    let form = format!("grant_type=refresh_token&refresh_token={REFRESH}");
    assert_eq!(renewals[0].body, form.as_bytes());
    assert!(!renewals[0].headers.contains_key("cookie"));
    // The service is told about the new tokens, once.
    client.submit(&imagine()).await.unwrap();
    let logins = at(&server, "/api/firebase-login").await;
    assert_eq!(logins.len(), 1);
    assert_eq!(
        read(&logins[0]),
        json!({"type": "firebase", "cookie": {
            "type": "firebase", "idToken": fresh, "refreshToken": "canary-refresh-1",
        }})
    );
    assert_eq!(at(&server, "/v1/token").await.len(), 1);
}

#[tokio::test]
async fn many_calls_at_once_renew_once() {
    let server = renewing(tokens(&token(3_600), "canary-refresh-1")).await;
    let client = MidjourneyWeb::new(options(&server, vault(-5).await));
    let calls = (0..20).map(|_| {
        let client = client.clone();
        tokio::spawn(async move { client.status(&id()).await })
    });
    for call in calls.collect::<Vec<_>>() {
        assert_eq!(call.await.unwrap().unwrap(), RemoteStatus::Waiting);
    }
    assert_eq!(at(&server, "/v1/token").await.len(), 1);
}

#[tokio::test]
async fn a_call_that_is_dropped_does_not_lose_the_session() {
    let fresh = token(3_600);
    let server = renewing(tokens(&fresh, "canary-refresh-1")).await;
    let vault = vault(-5).await;
    let client = MidjourneyWeb::new(options(&server, Arc::<MemoryKeys>::clone(&vault)));
    let dropped = tokio::time::timeout(Duration::from_millis(20), client.status(&id())).await;
    assert!(dropped.is_err(), "dropped in the middle");
    // The next call waits for the lock, and finds the new session.
    client.status(&id()).await.unwrap();
    assert_eq!(stored(&vault).await, format!("{fresh}|canary-refresh-1"));
    assert_eq!(at(&server, "/v1/token").await.len(), 1);
}

#[tokio::test]
async fn a_token_alone_is_enough_and_one_that_does_not_rotate_stays() {
    for (answered, kept) in [("canary-refresh-1", "canary-refresh-1"), ("", REFRESH)] {
        let fresh = token(3_600);
        let server = renewing(tokens(&fresh, answered)).await;
        let vault = Arc::new(MemoryKeys::new());
        vault.add(&name(), Secret::new(REFRESH)).await.unwrap();
        let client = MidjourneyWeb::new(options(&server, Arc::<MemoryKeys>::clone(&vault)));
        client.status(&id()).await.unwrap();
        assert_eq!(stored(&vault).await, format!("{fresh}|{kept}"));
    }
}

/// A vault that fails to write for a while.
#[derive(Debug)]
struct Stuck {
    vault: MemoryKeys,
    broken: AtomicBool,
    tries: AtomicUsize,
}

#[async_trait]
impl KeyProvider for Stuck {
    fn source(&self) -> &'static str {
        "stuck"
    }

    async fn current(&self, name: &KeyName, now: Timestamp) -> Result<Key, KeyError> {
        self.vault.current(name, now).await
    }

    async fn usable(&self, name: &KeyName, now: Timestamp) -> Result<Vec<Key>, KeyError> {
        self.vault.usable(name, now).await
    }
}

#[async_trait]
impl KeyVault for Stuck {
    async fn add(&self, name: &KeyName, secret: Secret) -> Result<u32, KeyError> {
        self.tries.fetch_add(1, Ordering::SeqCst);
        if self.broken.load(Ordering::SeqCst) {
            return Err(KeyError::Backend {
                backend: "stuck",
                source: "the disk is full".into(),
            });
        }
        self.vault.add(name, secret).await
    }

    async fn retire(&self, name: &KeyName, version: u32, at: Timestamp) -> Result<(), KeyError> {
        self.vault.retire(name, version, at).await
    }
}

async fn stuck() -> Arc<Stuck> {
    let vault = MemoryKeys::new();
    let pair = format!("{}|{REFRESH}", token(-5));
    vault.add(&name(), Secret::new(pair)).await.unwrap();
    Arc::new(Stuck {
        vault,
        broken: AtomicBool::new(true),
        tries: AtomicUsize::new(0),
    })
}

#[tokio::test]
async fn what_cannot_be_stored_is_kept_and_not_used_until_it_is() {
    let fresh = token(3_600);
    let server = renewing(tokens(&fresh, "canary-refresh-1")).await;
    let vault = stuck().await;
    let client = MidjourneyWeb::new(options(&server, Arc::<Stuck>::clone(&vault)));
    for tries in 1..=2 {
        let error = client.submit(&imagine()).await.unwrap_err();
        assert_eq!(
            (error.failure.kind, error.applied, error.retry),
            (K::Transient, Applied::No, true)
        );
        assert_eq!(vault.tries.load(Ordering::SeqCst), tries);
    }
    assert!(at(&server, "/api/submit-jobs").await.is_empty());
    vault.broken.store(false, Ordering::SeqCst);
    client.submit(&imagine()).await.unwrap();
    assert_eq!(stored(&vault.vault).await, format!("{fresh}|canary-refresh-1"));
    assert_eq!(at(&server, "/v1/token").await.len(), 1, "renewed once");
}

#[tokio::test]
async fn a_person_who_signs_in_anew_is_believed() {
    let server = renewing(tokens(&token(3_600), "canary-refresh-1")).await;
    let vault = stuck().await;
    let client = MidjourneyWeb::new(options(&server, Arc::<Stuck>::clone(&vault)));
    client.status(&id()).await.unwrap_err();
    let signed_in = format!("{}|canary-refresh-9", token(7_200));
    vault
        .vault
        .add(&name(), Secret::new(signed_in.clone()))
        .await
        .unwrap();
    vault.broken.store(false, Ordering::SeqCst);
    client.status(&id()).await.unwrap();
    assert_eq!(stored(&vault.vault).await, signed_in);
}

#[tokio::test]
async fn renewals_that_fail_say_what_to_do() {
    for (answer, kind, retry) in [
        (
            ResponseTemplate::new(400).set_body_string(REFRESH),
            K::NeedsPerson,
            false,
        ),
        (ResponseTemplate::new(401), K::NeedsPerson, false),
        (ResponseTemplate::new(403), K::NeedsPerson, false),
        (ResponseTemplate::new(429), K::RateLimited, true),
        (ResponseTemplate::new(500), K::Transient, true),
        (ResponseTemplate::new(200), K::BadAnswer, true),
        (tokens("a b", "c"), K::BadAnswer, true),
        (tokens("a;b", "c"), K::BadAnswer, true),
    ] {
        let server = renewing(answer).await;
        let vault = vault(-5).await;
        let before = stored(&vault).await;
        let client = MidjourneyWeb::new(options(&server, Arc::<MemoryKeys>::clone(&vault)));
        let error = client.submit(&imagine()).await.unwrap_err();
        assert_eq!(
            (error.failure.kind, error.retry, error.applied),
            (kind, retry, Applied::No)
        );
        assert!(!format!("{error:?}").contains("canary"));
        assert_eq!(stored(&vault).await, before);
        assert!(at(&server, "/api/submit-jobs").await.is_empty());
    }
    for secret in ["a b", "|", "x|"] {
        let server = renewing(tokens("a", "b")).await;
        let vault = Arc::new(MemoryKeys::new());
        vault.add(&name(), Secret::new(secret)).await.unwrap();
        let client = MidjourneyWeb::new(options(&server, vault));
        let error = client.status(&id()).await.unwrap_err();
        assert_eq!(error.failure.kind, K::NeedsPerson, "{secret}");
    }
    let server = renewing(tokens("a", "b")).await;
    let client = MidjourneyWeb::new(options(&server, Arc::new(MemoryKeys::new())));
    let error = client.status(&id()).await.unwrap_err();
    assert_eq!(error.failure.kind, K::NeedsPerson);
    assert!(server.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_session_that_another_process_renewed_is_taken_over() {
    let vault = vault(-5).await;
    let server = MockServer::start().await;
    let newer = format!("{}|canary-refresh-2", token(3_600));
    let (to, pair) = (Arc::clone(&vault), newer.clone());
    // The other one was faster: its pair is in the vault when ours is refused.
    Mock::given(path("/v1/token"))
        .respond_with(move |_: &Request| {
            let (to, pair) = (Arc::clone(&to), Secret::new(pair.clone()));
            at_once(async move { to.add(&name(), pair).await.unwrap() });
            ResponseTemplate::new(400)
        })
        .mount(&server)
        .await;
    Mock::given(path("/api/job-status"))
        .respond_with(ResponseTemplate::new(200).set_body_string("[]"))
        .mount(&server)
        .await;
    let client = MidjourneyWeb::new(options(&server, Arc::<MemoryKeys>::clone(&vault)));
    assert_eq!(client.status(&id()).await.unwrap(), RemoteStatus::Missing);
    assert_eq!(stored(&vault).await, newer);
}

/// Runs what never waits.
fn at_once<T>(work: impl Future<Output = T>) -> T {
    use futures_util::FutureExt as _;
    work.now_or_never().unwrap()
}

#[tokio::test]
async fn a_session_that_is_not_accepted_is_renewed_once() {
    let fresh = token(3_600);
    let server = renewing(tokens(&fresh, "canary-refresh-1")).await;
    Mock::given(wiremock::matchers::path_regex("^/api/"))
        .respond_with(ResponseTemplate::new(401))
        .with_priority(1)
        .up_to_n_times(1)
        .mount(&server)
        .await;
    let client = MidjourneyWeb::new(options(&server, vault(3_600).await));
    let error = client.submit(&imagine()).await.unwrap_err();
    assert_eq!(
        (error.failure.kind, error.applied, error.retry),
        (K::Transient, Applied::No, true)
    );
    assert!(
        at(&server, "/v1/token").await.is_empty(),
        "renewed when it is needed"
    );
    client.submit(&imagine()).await.unwrap();
    assert_eq!(at(&server, "/v1/token").await.len(), 1);

    // Where that does not help, a person has to.
    let server = renewing(tokens(&fresh, "canary-refresh-1")).await;
    Mock::given(wiremock::matchers::path_regex("^/api/"))
        .respond_with(ResponseTemplate::new(401))
        .with_priority(1)
        .mount(&server)
        .await;
    let client = MidjourneyWeb::new(options(&server, vault(3_600).await));
    let first = client.status(&id()).await.unwrap_err();
    assert_eq!((first.failure.kind, first.retry), (K::Transient, true));
    for _ in 0..2 {
        let error = client.submit(&imagine()).await.unwrap_err();
        assert_eq!(
            (error.failure.kind, error.applied, error.retry),
            (K::NeedsPerson, Applied::No, false)
        );
    }
    assert_eq!(at(&server, "/v1/token").await.len(), 1);
}
