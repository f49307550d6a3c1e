//! Callbacks over HTTP, from imitated upstreams that call back as the real ones do.

use std::{sync::Arc, time::Duration};

use midjourney_core::{
    client::legnext::LegNext,
    clock::OsEntropy,
    job::{Backoff, Nonce},
    key::Secret,
    testing::wait_until,
    webhook::CallbackRegistration,
};
use midjourney_server::simulate::{Dialect, Simulation, SimulationOptions};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::{
    http_support::{Log, Server, Setup, send, text},
    upstreams::{self, connected},
};

/// A gateway that hears of news by callbacks alone: it would look by itself an hour later.
fn deaf() -> Setup {
    let hour = Duration::from_secs(3_600);
    Setup {
        callbacks_here: true,
        poll: Backoff::new(hour, hour),
        ..Setup::new()
    }
}

fn imitation(dialect: Dialect) -> Simulation {
    let mut options = SimulationOptions::new(dialect);
    options.side = 16;
    options.duration = Duration::from_millis(300);
    options.key = Some(upstreams::key(dialect));
    Simulation::start(options, Arc::new(midjourney_core::clock::SystemClock)).unwrap()
}

async fn history(server: &Server, query: &str) -> Vec<Value> {
    let (status, page) = send(server.get(&format!("/webhooks/events{query}"))).await;
    assert_eq!(status, StatusCode::OK, "{page}");
    page["callbacks"].as_array().unwrap().clone()
}

/// Those that call addresses on this machine; `EvoLink` calls public ones only, and a session calls nobody.
const CALLING: [Dialect; 9] = [
    Dialect::MidjourneyProxyJava,
    Dialect::MidjourneyProxyPlus,
    Dialect::MidjourneyProxyTrueAi,
    Dialect::MidjourneyProxyNewApi,
    Dialect::LegNext,
    Dialect::YouChuan,
    Dialect::TtApi,
    Dialect::AceData,
    Dialect::ApiFrame,
];

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_done_when_their_upstream_says_so() {
    for dialect in CALLING {
        let simulation = imitation(dialect);
        let client = connected(dialect, &simulation).await;
        let server = Setup { client, ..deaf() }.start().await;
        let job = server.finished("a red fox").await;
        assert_eq!(job["status"], "completed", "{dialect}: {job}");
        let told = history(&server, &format!("?job={}", text(&job, "id"))).await;
        let verdicts: Vec<_> = told.iter().map(|one| text(one, "verdict")).collect();
        assert!(verdicts.contains(&"noticed"), "{dialect}: {verdicts:?}");
        assert!(
            !verdicts.contains(&"applied"),
            "none of these signs: {verdicts:?}"
        );
        assert_eq!(simulation.account().paid.len(), 1, "{dialect}");
    }
}

/// A gateway whose account expects callbacks that are signed with `secret`.
async fn expecting(secret: &str, simulation: &Simulation) -> Server {
    let keys = upstreams::vault(&upstreams::key(Dialect::LegNext)).await;
    let clock = Arc::new(midjourney_core::clock::SystemClock);
    let client = LegNext::new(upstreams::options(simulation, keys, clock));
    let client = Arc::new(client.with_webhook_secret(Secret::new(secret)));
    Setup { client, ..deaf() }.start().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_legnext_signs_is_believed() {
    let simulation = imitation(Dialect::LegNext);
    let server = expecting("simulated", &simulation).await;
    let job = server.finished("a red fox").await;
    assert_eq!(job["status"], "completed", "{job}");
    assert!(!history(&server, "?verdict=applied").await.is_empty());
    assert!(history(&server, "?verdict=noticed").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_signed_with_another_secret_is_refused() {
    let simulation = imitation(Dialect::LegNext);
    let server = expecting("of another dashboard", &simulation).await;
    let (status, job) = send(server.post("/imagine").json(&json!({"prompt": "a red fox"}))).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    let refused = async {
        while history(&server, "?verdict=forged").await.is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), refused)
        .await
        .unwrap();
    let (_, job) = send(server.get(&format!("/jobs/{}", text(&job, "id")))).await;
    assert_eq!(job["status"], "processing", "{job}");
}

#[tokio::test]
async fn what_is_wrong_with_a_callback_is_said() {
    let server = deaf().start().await;
    let (status, accepted) = send(server.post("/imagine").json(&json!({"prompt": "a red fox"}))).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    let id = text(&accepted, "id");
    let guessed = format!("/webhook/midjourney/{id}.{}", "0".repeat(64));
    for (path, body, expected, code) in [
        (guessed.as_str(), "{}", StatusCode::NOT_FOUND, "not_found"),
        (
            "/webhook/midjourney/nothing",
            "{}",
            StatusCode::NOT_FOUND,
            "not_found",
        ),
        (
            "/webhook/midjourney",
            "{}",
            StatusCode::UNAUTHORIZED,
            "not_proved",
        ),
        ("/webhook/midjourney", "", StatusCode::UNAUTHORIZED, "not_proved"),
        (
            "/webhook/midjourney",
            r#"{"token":"wrong","challenge":"abc"}"#,
            StatusCode::UNAUTHORIZED,
            "not_proved",
        ),
    ] {
        let (status, problem) = send(server.post(path).body(body)).await;
        assert_eq!(
            (status, text(&problem, "code")),
            (expected, code),
            "{path} {body}"
        );
    }
    let large = vec![b'a'; 1024 * 1024 + 1];
    let (status, problem) = send(server.post("/webhook/midjourney").body(large)).await;
    assert_eq!(
        (status, text(&problem, "code")),
        (StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large")
    );
    for query in ["?verdict=nice", "?job=fox", "?limit=0", "?color=red"] {
        let (status, _) = send(server.get(&format!("/webhooks/events{query}"))).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{query}");
    }
}

#[tokio::test]
async fn the_address_proves_to_be_ours_by_its_token() {
    let server = deaf().start().await;
    let token = Setup::VERIFICATION_TOKEN;
    for query in [
        format!("?token={token}&challenge=abc-123"),
        format!("?hub.mode=subscribe&hub.verify_token={token}&hub.challenge=abc-123"),
    ] {
        let answer = server
            .get(&format!("/webhook/midjourney{query}"))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{query}");
        assert_eq!(answer.text().await.unwrap(), "abc-123");
    }
    let body = json!({"type": "url_verification", "token": token, "challenge": "abc-123"});
    let (status, answer) = send(server.post("/webhook/midjourney").json(&body)).await;
    assert_eq!(
        (status, answer),
        (StatusCode::OK, json!({"challenge": "abc-123"}))
    );
    for (query, expected) in [
        ("?token=wrong&challenge=abc", StatusCode::UNAUTHORIZED),
        ("?token=&challenge=abc", StatusCode::UNAUTHORIZED),
        ("?challenge=abc", StatusCode::BAD_REQUEST),
    ] {
        let (status, _) = send(server.get(&format!("/webhook/midjourney{query}"))).await;
        assert_eq!(status, expected, "{query}");
    }
    let page = format!("/webhook/midjourney?token={token}&challenge=%3Cscript%3E%0A");
    let (status, _) = send(server.get(&page)).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
}

/// A tunnel to a server that asks nobody to log in must not open all of it.
#[tokio::test]
async fn the_public_name_leads_to_callbacks_alone() {
    let setup = deaf().options(|options| options.with_callback_host(Some("gw.example".to_owned())));
    let server = setup.start().await;
    let named = |path: &str| server.post(path).header("host", "gw.example").body("{}");
    let (status, _) = send(named("/webhook/midjourney")).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    for path in ["/imagine", "/webhook/midjourneys", "/webhooks/events", "/"] {
        let (status, problem) = send(named(path)).await;
        assert_eq!(
            (status, text(&problem, "code")),
            (StatusCode::MISDIRECTED_REQUEST, "unknown_host"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_body_that_is_not_what_it_says_is_refused() {
    let server = deaf().start().await;
    let head = "POST /webhook/midjourney HTTP/1.1\r\nhost: localhost\r\n";
    let endless: String = std::iter::once(format!("{head}transfer-encoding: chunked\r\n\r\n"))
        .chain((0..20).map(|_| format!("10000\r\n{}\r\n", "a".repeat(0x1_0000))))
        .collect();
    for (request, status) in [
        (endless, "413"),
        (
            format!("{head}content-length: 5\r\ncontent-length: 6\r\n\r\nhello"),
            "400",
        ),
        (format!("{head}content-length: -1\r\n\r\n"), "400"),
        (
            format!("{head}transfer-encoding: chunked\r\n\r\nmuch\r\nhello\r\n"),
            "400",
        ),
    ] {
        let answer = server.raw(request.as_bytes()).await;
        let begin: String = request[head.len()..].chars().take(30).collect();
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{begin}: {answer}"
        );
    }
    // Nothing is unpacked: packed bytes are bytes that nobody signed.
    let packed = server.post("/webhook/midjourney").body(vec![0x1f, 0x8b, 8, 0]);
    let (status, _) = send(packed.header("content-encoding", "gzip")).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn who_guesses_addresses_is_stopped_after_sixty_in_a_minute() {
    let server = deaf().start().await;
    let wrong = format!("/webhook/midjourney/job_{:032x}.{:064x}", 1, 2);
    for number in 0..65 {
        let path = if number % 2 == 0 {
            wrong.as_str()
        } else {
            "/webhook/midjourney/nothing"
        };
        let answer = server.post(path).body("{}").send().await.unwrap();
        let (status, code) = if number < 60 {
            (StatusCode::NOT_FOUND, "not_found")
        } else {
            (StatusCode::TOO_MANY_REQUESTS, "too_many_guesses")
        };
        assert_eq!(answer.status(), status, "{number}");
        let wait = answer.headers().get("retry-after").cloned();
        assert_eq!(
            wait.is_some_and(|wait| wait == "60"),
            status == StatusCode::TOO_MANY_REQUESTS
        );
        let problem: Value = answer.json().await.unwrap();
        assert_eq!(text(&problem, "code"), code);
    }
}

/// Behind a proxy on this machine, which tells whom it heard from.
#[tokio::test]
async fn callbacks_are_taken_from_the_allowed_senders_alone() {
    let setup = Setup {
        callback_senders: vec!["198.51.100.0/24".parse().unwrap()],
        ..deaf()
    };
    let setup = setup.options(|options| options.with_trusted_proxies(vec!["127.0.0.1/32".parse().unwrap()]));
    let server = setup.start().await;
    for (forwarded, expected, code) in [
        ("198.51.100.7", StatusCode::UNAUTHORIZED, "not_proved"),
        (
            "203.0.113.5, 198.51.100.7",
            StatusCode::UNAUTHORIZED,
            "not_proved",
        ),
        ("203.0.113.5", StatusCode::FORBIDDEN, "sender_not_allowed"),
        (
            "198.51.100.7, 203.0.113.5",
            StatusCode::FORBIDDEN,
            "sender_not_allowed",
        ),
        ("unknown", StatusCode::FORBIDDEN, "sender_not_allowed"),
    ] {
        let request = server.post("/webhook/midjourney").body("{}");
        let (status, problem) = send(request.header("x-forwarded-for", forwarded)).await;
        assert_eq!((status, text(&problem, "code")), (expected, code), "{forwarded}");
    }
    let found = async {
        loop {
            let barred = history(&server, "?verdict=barred").await;
            if barred.len() == 3 {
                return barred;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let barred = tokio::time::timeout(Duration::from_secs(30), found)
        .await
        .unwrap();
    let mut from: Vec<_> = barred.iter().map(|one| text(one, "from")).collect();
    from.sort_unstable();
    assert_eq!(from, ["127.0.0.1", "203.0.113.5", "203.0.113.5"]);
}

/// On one thread, for what is listened to is of this thread alone.
#[tokio::test]
async fn no_log_shows_the_address_of_a_job() {
    let log = Log::default();
    let _guard = log.listen(tracing::Level::TRACE);
    let setup = Setup {
        engine: false,
        ..deaf()
    };
    let server = setup.start().await;
    let (_, accepted) = send(server.post("/imagine").json(&json!({"prompt": "a red fox"}))).await;
    let id = text(&accepted, "id").parse().unwrap();
    let secret = Secret::new(Setup::CALLBACK_SECRET);
    let registration = CallbackRegistration::new(server.url("/webhook/midjourney"), secret);
    let url = registration.url_for(id, &Nonce::new(&OsEntropy));
    let (place, proof) = url.expose().rsplit_once('.').unwrap();
    let wrong = proof.replace(['0', '1', '2', '3', '4'], "9");
    for proof in [proof, &wrong] {
        let path = format!("{place}.{proof}").replace(&server.url(""), "");
        let answer = server.post(&path).body("{}").send().await.unwrap();
        assert!(answer.status().is_client_error(), "{}", answer.status());
    }
    // Refused ones are told of together, within a second.
    wait_until("the refusals", Duration::from_secs(20), async || {
        if log.count("callbacks were refused") > 0 {
            Ok(())
        } else {
            Err("nothing is said of them")
        }
    })
    .await;
    assert_eq!((log.count(proof), log.count(&wrong)), (0, 0));
}
