//! The session of a person who is signed in at Midjourney's own pages: what its imitation insists on, and that the client
//! lives with that.

use std::{collections::HashSet, sync::Arc, time::Duration};

use midjourney_core::{
    client::{MidjourneyClient as _, Submission, midjourney_web::MidjourneyWeb},
    clock::{Clock as _, OsEntropy},
    id::JobId,
    job::{FailureKind, JobRequest, Nonce, RemoteStatus, UpstreamId},
    key::{KeyName, KeyProvider as _},
    memory::MemoryKeys,
    testing::FakeClock,
};
use midjourney_server::simulate::{Dialect, Simulation, SimulationOptions};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::{
    process::http,
    upstreams::{self, KEY, SECRET},
};

const HOUR: Duration = Duration::from_secs(3_600);

/// An imitation whose session begins with [`SECRET`].
struct Bench {
    clock: FakeClock,
    simulation: Simulation,
    keys: Arc<MemoryKeys>,
}

impl Bench {
    async fn new() -> Self {
        let clock = FakeClock::new();
        let mut options = SimulationOptions::new(Dialect::MidjourneyWeb);
        options.side = 16;
        options.key = Some(SECRET.to_owned());
        Self {
            simulation: Simulation::start(options, Arc::new(clock.clone())).unwrap(),
            clock,
            keys: upstreams::vault(SECRET).await,
        }
    }

    fn client(&self) -> MidjourneyWeb {
        let keys = Arc::clone(&self.keys);
        let options = upstreams::options(&self.simulation, keys, Arc::new(self.clock.clone()));
        upstreams::web(options, Arc::clone(&self.keys))
    }

    async fn submit(&self, client: &MidjourneyWeb) -> UpstreamId {
        let job = JobId::new(self.clock.now(), &OsEntropy);
        let request = JobRequest::imagine("a red fox");
        let submission = Submission::new(job, Nonce::new(&OsEntropy), request);
        client.submit(&submission).await.unwrap()
    }

    async fn renew(&self, refresh: &str) -> (StatusCode, Value) {
        let url = format!("{}/v1/token?key=public-web-key", self.simulation.url());
        let form = [("grant_type", "refresh_token"), ("refresh_token", refresh)];
        let body = serde_urlencoded::to_string(form).unwrap();
        let answer = http().post(url).body(body).send().await.unwrap();
        (answer.status(), answer.json().await.unwrap())
    }

    /// How a question is answered that shows this id token.
    async fn ask(&self, id_token: &str) -> StatusCode {
        let cookie = format!(
            "__Host-Midjourney.AuthUserTokenV3_i={id_token}; __Host-Midjourney.AuthUserTokenV3_r=anything"
        );
        let request = http()
            .post(format!("{}/api/job-status", self.simulation.url()))
            .header("cookie", cookie)
            .header("x-csrf-protection", "1")
            .header("origin", "https://www.midjourney.com")
            .header("referer", "https://www.midjourney.com/")
            .json(&json!({"jobIds": []}));
        request.send().await.unwrap().status()
    }
}

fn token(tokens: &Value, name: &str) -> String {
    tokens[name].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_refresh_token_renews_once_and_used_twice_ends_the_session() {
    let bench = Bench::new().await;
    assert_eq!(bench.renew("another").await.0, StatusCode::BAD_REQUEST);
    let (status, first) = bench.renew(SECRET).await;
    assert_eq!(status, StatusCode::OK, "a wrong one harms nobody: {first}");
    let (status, second) = bench.renew(&token(&first, "refresh_token")).await;
    assert_eq!(status, StatusCode::OK, "{second}");
    let (status, refused) = bench.renew(&token(&first, "refresh_token")).await;
    assert_eq!(
        (status, &refused["error"]["message"]),
        (StatusCode::BAD_REQUEST, &json!("INVALID_REFRESH_TOKEN"))
    );
    let (status, _) = bench.renew(&token(&second, "refresh_token")).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "the newest is dead too");
}

#[tokio::test]
async fn an_id_token_is_good_for_an_hour() {
    let bench = Bench::new().await;
    let (_, tokens) = bench.renew(SECRET).await;
    let id = token(&tokens, "id_token");
    assert_eq!(bench.ask(&id).await, StatusCode::OK);
    assert_eq!(bench.ask("e30.e30.forged").await, StatusCode::UNAUTHORIZED);
    bench.clock.advance(HOUR);
    assert_eq!(bench.ask(&id).await, StatusCode::UNAUTHORIZED);
}

/// A client that used a token twice, or did not store what it was given, would have no session at the end.
#[tokio::test]
async fn a_session_outlives_its_tokens_and_a_restart() {
    let bench = Bench::new().await;
    let mut sessions = HashSet::new();
    let mut client = bench.client();
    for hour in 0..4 {
        let id = bench.submit(&client).await;
        bench.clock.advance(HOUR / 2);
        // Many ask at once, whose token has just become too old.
        bench.clock.advance(HOUR / 2);
        let asks = (0..8).map(|_| {
            let (client, id) = (client.clone(), id.clone());
            tokio::spawn(async move { client.status(&id).await })
        });
        for ask in asks.collect::<Vec<_>>() {
            let status = ask.await.unwrap().unwrap();
            assert!(matches!(status, RemoteStatus::Succeeded(_)), "{hour}: {status:?}");
        }
        let key = bench
            .keys
            .current(&KeyName::new(KEY), bench.clock.now())
            .await
            .unwrap();
        sessions.insert(key.secret.expose().to_owned());
        // Somebody starts the program anew: all that is left is the vault.
        client = bench.client();
    }
    assert_eq!(sessions.len(), 4, "each hour has tokens of its own");
    assert_eq!(bench.simulation.account().paid.len(), 4);
}

#[tokio::test]
async fn two_programs_with_one_session_of_which_each_has_a_copy_end_it() {
    let bench = Bench::new().await;
    let alone = bench.client();
    let id = bench.submit(&alone).await;
    // The other one has the token that the first has spent.
    let copy = upstreams::vault(SECRET).await;
    let options = upstreams::options(
        &bench.simulation,
        Arc::clone(&copy),
        Arc::new(bench.clock.clone()),
    );
    let error = upstreams::web(options, copy).status(&id).await.unwrap_err();
    assert_eq!(error.failure.kind, FailureKind::NeedsPerson, "{error}");
    bench.clock.advance(HOUR);
    let error = alone.status(&id).await.unwrap_err();
    assert_eq!(error.failure.kind, FailureKind::NeedsPerson, "{error}");
}

#[tokio::test]
async fn a_link_to_what_was_never_uploaded_is_refused() {
    let bench = Bench::new().await;
    let request = JobRequest::imagine("http://127.0.0.1/cdn/u/7/image.png a red fox");
    let job = JobId::new(bench.clock.now(), &OsEntropy);
    let submission = Submission::new(job, Nonce::new(&OsEntropy), request);
    let error = bench.client().submit(&submission).await.unwrap_err();
    assert_eq!(error.failure.kind, FailureKind::InvalidPrompt, "{error}");
    assert_eq!(bench.simulation.account().paid.len(), 0);
}
