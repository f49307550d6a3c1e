//! The imitations themselves: what they say on the wire, and the command that runs them.

use std::{
    io::{BufRead as _, BufReader},
    process::Stdio,
    sync::Arc,
    time::Duration,
};

use axum::{Router, body::Bytes, extract::State, http::HeaderMap, routing::post};
use midjourney_core::{
    client::{apiframe::WEBHOOK_HEADER, legnext},
    clock::Clock as _,
    key::Secret,
    testing::FakeClock,
};
use midjourney_server::simulate::{Dialect, Fault, Script, Simulation, SimulationError, SimulationOptions};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

use crate::process::{Home, http};

const DURATION: Duration = Duration::from_secs(60);

fn start(dialect: Dialect, script: &str) -> (Simulation, FakeClock) {
    let clock = FakeClock::new();
    let mut options = SimulationOptions::new(dialect);
    options.duration = DURATION;
    options.side = 16;
    options.script = Script::read(script).unwrap();
    (
        Simulation::start(options, Arc::new(clock.clone())).unwrap(),
        clock,
    )
}

async fn post_to(simulation: &Simulation, route: &str, body: Value) -> (u16, Value) {
    let request = http().post(format!("{}{route}", simulation.url())).json(&body);
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    (status, answer.json().await.unwrap_or_default())
}

async fn get_from(simulation: &Simulation, route: &str) -> Value {
    let answer = http()
        .get(format!("{}{route}", simulation.url()))
        .send()
        .await
        .unwrap();
    answer.json().await.unwrap_or_default()
}

async fn imagine(simulation: &Simulation, prompt: &str) -> Value {
    post_to(
        simulation,
        "/mj/submit/imagine",
        json!({"prompt": prompt, "state": "mark"}),
    )
    .await
    .1
}

#[tokio::test]
async fn a_lost_answer_ends_before_its_first_byte_and_is_paid() {
    let (simulation, _) = start(Dialect::MidjourneyProxyPlus, "");
    let address = simulation.url().replace("http://", "");
    let mut line = TcpStream::connect(&address).await.unwrap();
    let body = json!({"prompt": "sim:lost a fox"}).to_string();
    let request = format!(
        "POST /mj/submit/imagine HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    line.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // Whether the end is orderly or a reset is the operating system's business.
    drop(line.read_to_end(&mut answer).await);
    assert!(answer.is_empty(), "{}", String::from_utf8_lossy(&answer));
    let account = simulation.account();
    assert_eq!((account.submits, account.lost, account.paid.len()), (1, 1, 1));
}

#[tokio::test]
async fn the_account_is_told_over_http() {
    let (simulation, clock) = start(
        Dialect::MidjourneyProxyPlus,
        "{\"submit\": 2, \"fault\": \"queue-full\"}",
    );
    let at = clock.now();
    let taken = imagine(&simulation, "a fox").await;
    assert_eq!(imagine(&simulation, "a fox").await["code"], 23);
    let id = taken["result"].as_str().unwrap();
    clock.advance(DURATION);
    let task = get_from(&simulation, &format!("/mj/task/{id}/fetch")).await;
    assert_eq!(
        (&task["status"], &task["progress"]),
        (&json!("SUCCESS"), &json!("100%"))
    );
    assert_eq!(task["buttons"].as_array().unwrap().len(), 9);
    let account = get_from(&simulation, "/_simulate/ledger").await;
    assert_eq!(
        account,
        json!({"submits": 2, "refused": 1, "windows": 0, "lost": 0, "paid": [{
            "task": id, "mark": "mark", "action": "imagine", "prompt": "a fox", "asked": 1,
            "at": at,
        }]})
    );
}

#[tokio::test]
async fn the_varieties_differ_as_the_originals_do() {
    use Dialect::{
        MidjourneyProxyJava as Java, MidjourneyProxyNewApi as NewApi, MidjourneyProxyPlus as Plus,
        MidjourneyProxyTrueAi as TrueAi,
    };
    for (dialect, banned, full, orphan) in [
        (Java, 24, 23, (404, Value::Null)),
        (Plus, 24, 23, (200, json!(3))),
        (TrueAi, 1, 9, (404, json!(3))),
        (NewApi, 24, 23, (400, json!(4))),
    ] {
        let (simulation, _) = start(dialect, "");
        assert_eq!(
            imagine(&simulation, "sim:banned").await["code"],
            banned,
            "{dialect}"
        );
        assert_eq!(
            imagine(&simulation, "sim:queue-full").await["code"],
            full,
            "{dialect}"
        );
        let press = json!({"taskId": "1", "customId": "MJ::JOB::upsample::1::u"});
        let (status, body) = post_to(&simulation, "/mj/submit/action", press).await;
        assert_eq!((status, body["code"].clone()), orphan, "{dialect}");
        assert_eq!(
            get_from(&simulation, "/mj/task/1/fetch").await["status"],
            Value::Null,
            "{dialect}"
        );
        let numeric = imagine(&simulation, "sim:numeric a fox").await;
        assert!(numeric["result"].is_u64(), "{dialect}: {numeric}");
    }
}

#[tokio::test]
async fn more_tasks_than_are_drawn_at_once_wait_in_line() {
    let (simulation, _) = start(Dialect::MidjourneyProxyPlus, "");
    let mut codes = Vec::new();
    for _ in 0..5 {
        codes.push(imagine(&simulation, "a fox").await["code"].clone());
    }
    assert_eq!(codes, [1, 1, 1, 22, 22]);
}

#[tokio::test]
async fn a_window_is_paid_once_it_is_answered() {
    for (dialect, code) in [
        (Dialect::MidjourneyProxyPlus, 21),
        (Dialect::MidjourneyProxyTrueAi, 21),
        (Dialect::MidjourneyProxyNewApi, 21),
    ] {
        let (simulation, clock) = start(dialect, "");
        let mut id = imagine(&simulation, "a fox").await["result"].clone();
        for (verb, expected) in [("MJ::JOB::upsample::1", 1), ("MJ::Inpaint::1", code)] {
            clock.advance(DURATION);
            let task = get_from(&simulation, &format!("/mj/task/{}/fetch", id.as_str().unwrap())).await;
            let button = task["buttons"].as_array().unwrap().iter();
            let button = button.filter_map(|button| button["customId"].as_str());
            let button = button
                .into_iter()
                .find(|button| button.starts_with(verb))
                .unwrap();
            let press = json!({"taskId": id, "customId": button});
            let (_, answer) = post_to(&simulation, "/mj/submit/action", press).await;
            assert_eq!(answer["code"], expected, "{dialect}: {answer}");
            id = answer["result"].clone();
        }
        let route = format!("/mj/task/{}/fetch", id.as_str().unwrap());
        assert_eq!(get_from(&simulation, &route).await["status"], "MODAL");
        assert_eq!(simulation.account().paid.len(), 2);
        let (_, refused) = post_to(&simulation, "/mj/submit/modal", json!({"taskId": id})).await;
        assert_eq!(refused["code"], 4, "a mask is wanted");
        let modal = json!({"taskId": id, "prompt": "a hat", "maskBase64": "data:image/png;base64,AAAA"});
        assert_eq!(post_to(&simulation, "/mj/submit/modal", modal).await.1["code"], 1);
        assert_eq!(simulation.account().paid.len(), 3);
        clock.advance(DURATION);
        assert_eq!(get_from(&simulation, &route).await["status"], "SUCCESS");
    }
}

/// What was posted.
type Post = (HeaderMap, Bytes);

/// Somebody who takes callbacks.
async fn hook() -> (String, mpsc::UnboundedReceiver<Post>) {
    let (send, receive) = mpsc::unbounded_channel();
    let take = async |State(send): State<mpsc::UnboundedSender<Post>>, headers: HeaderMap, body: Bytes| {
        send.send((headers, body)).unwrap();
    };
    let router = Router::new().route("/hook", post(take)).with_state(send);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (url, receive)
}

async fn next(told: &mut mpsc::UnboundedReceiver<Post>) -> Value {
    let (_, body) = tokio::time::timeout(DURATION, told.recv())
        .await
        .unwrap()
        .unwrap();
    serde_json::from_slice(&body).unwrap()
}

#[tokio::test]
async fn callbacks_prove_where_they_come_from_as_the_originals_do() {
    let (simulation, _) = start(Dialect::LegNext, "");
    let (url, mut told) = hook().await;
    post_to(
        &simulation,
        "/v1/diffusion",
        json!({"text": "a fox", "callback": url}),
    )
    .await;
    let (headers, body) = told.recv().await.unwrap();
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let signature = header(legnext::SIGNATURE_HEADER).unwrap();
    let time = header(legnext::TIMESTAMP_HEADER);
    assert!(time.is_some());
    for (secret, proves) in [("simulated", true), ("another", false)] {
        let proven = legnext::verify_signature(&Secret::new(secret), &body, signature, time);
        assert_eq!(proven, proves, "{secret}");
    }

    let (simulation, _) = start(Dialect::ApiFrame, "");
    let (url, mut told) = hook().await;
    let order = json!({"prompt": "a fox", "webhook_url": url, "webhook_secret": "mine"});
    post_to(&simulation, "/imagine", order).await;
    let (headers, _) = told.recv().await.unwrap();
    assert_eq!(headers[WEBHOOK_HEADER], "mine");
}

#[tokio::test]
async fn acedata_calls_back_once_and_waits_for_nobody() {
    let (simulation, clock) = start(Dialect::AceData, "");
    let (url, mut told) = hook().await;
    let order = json!({"prompt": "a fox", "callback_url": url});
    let (_, taken) = post_to(&simulation, "/midjourney/imagine", order).await;
    clock.advance(DURATION);
    let answer = next(&mut told).await;
    assert_eq!(
        (&answer["task_id"], &answer["success"]),
        (&taken["task_id"], &json!(true))
    );
    assert_eq!(answer["sub_image_urls"], json!([]), "they were not asked for");
    let question = json!({"action": "retrieve", "id": taken["task_id"]});
    let (_, record) = post_to(&simulation, "/midjourney/tasks", question).await;
    assert_eq!(record["response"], answer);
    let (status, refused) = post_to(&simulation, "/midjourney/imagine", json!({"prompt": "a fox"})).await;
    assert_eq!(
        (status, &refused["error"]["code"]),
        (400, &json!("api_not_implemented"))
    );
    assert_eq!(simulation.account().paid.len(), 1);
}

#[tokio::test]
async fn what_is_paid_is_never_turned_away() {
    let (simulation, _) = start(Dialect::AceData, "");
    let order = json!({"prompt": "sim:vanish a fox"});
    let (status, answer) = post_to(&simulation, "/midjourney/shorten", order).await;
    assert_eq!(
        status, 500,
        "texts come with the submit, which has no time to vanish in: {answer}"
    );
    let account = simulation.account();
    assert_eq!((account.refused, account.paid.len()), (0, 1));
}

#[tokio::test]
async fn evolink_calls_nobody_on_this_machine() {
    let (simulation, _) = start(Dialect::EvoLink, "");
    let order = json!({"model": "mj-v7", "prompt": "a fox", "callback_url": "http://127.0.0.1:9/hook"});
    let (status, refused) = post_to(&simulation, "/v1/images/generations", order).await;
    assert_eq!(
        (status, &refused["error"]["code"]),
        (400, &json!("invalid_request"))
    );
    assert_eq!(simulation.account().paid.len(), 0);
}

#[tokio::test]
async fn callbacks_come_once_or_thrice_or_from_behind() {
    for (words, expected) in [
        ("", vec!["SUBMITTED", "SUCCESS"]),
        (
            "sim:repeated-callbacks",
            vec![
                "SUBMITTED",
                "SUBMITTED",
                "SUBMITTED",
                "SUCCESS",
                "SUCCESS",
                "SUCCESS",
            ],
        ),
        ("sim:reordered-callbacks", vec!["SUCCESS", "SUBMITTED"]),
    ] {
        let (simulation, clock) = start(Dialect::MidjourneyProxyPlus, "");
        let (url, mut told) = hook().await;
        let order = json!({"prompt": format!("a fox {words}"), "notifyHook": url});
        post_to(&simulation, "/mj/submit/imagine", order).await;
        let mut seen = Vec::new();
        if words == "sim:reordered-callbacks" {
            // Nothing is told before the end, so wait until the first is held.
            midjourney_core::testing::wait_until("it sleeps", DURATION, async || {
                (clock.sleepers() == 1).then_some(()).ok_or("nobody sleeps")
            })
            .await;
            clock.advance(DURATION);
        }
        while seen.len() < expected.len() {
            let one = next(&mut told).await;
            seen.push(one["status"].as_str().unwrap().to_owned());
            if seen.len() * 2 == expected.len() && words != "sim:reordered-callbacks" {
                clock.advance(DURATION);
            }
        }
        assert_eq!(seen, expected, "{words}");
    }
}

#[tokio::test]
async fn only_this_machine_is_served() {
    let mut options = SimulationOptions::new(Dialect::MidjourneyProxyPlus);
    options.listen = ([0, 0, 0, 0], 0).into();
    let refused = Simulation::start(options, Arc::new(FakeClock::new()));
    assert!(
        matches!(refused, Err(SimulationError::NotLoopback(_))),
        "{refused:?}"
    );
}

#[test]
fn every_dialect_and_fault_has_a_name() {
    for dialect in Dialect::ALL {
        assert_eq!(dialect.name().parse(), Ok(dialect));
    }
    assert!("midjourney-proxy-rust".parse::<Dialect>().is_err());
    assert_eq!(Fault::named("expired-links"), Some(Fault::ExpiredLinks));
    assert_eq!(Fault::named("nonsense"), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_tells_where_it_listens_and_serves() {
    let home = Home::simulated();
    let script = home.path().join("script.jsonl");
    std::fs::write(&script, "{\"word\": \"wolf\", \"fault\": \"invalid\"}\n").unwrap();
    let mut child = home
        .command()
        .args([
            "simulate",
            "--dialect",
            "midjourney-proxy-java",
            "--duration-ms",
            "1",
            "--script",
        ])
        .arg(&script)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let url = lines.next().unwrap().unwrap();
    let submit = async |prompt: &str| -> Value {
        let request = http()
            .post(format!("{url}/mj/submit/imagine"))
            .json(&json!({"prompt": prompt}));
        request.send().await.unwrap().json().await.unwrap()
    };
    assert_eq!(submit("a fox").await["code"], 1);
    assert_eq!(submit("a wolf").await["code"], 4);
    child.kill().unwrap();
    child.wait().unwrap();

    for wrong in [
        vec!["simulate", "--dialect", "nonsense"],
        vec![
            "simulate",
            "--dialect",
            "midjourney-proxy-java",
            "--script",
            "/nonexistent",
        ],
        vec!["simulate"],
    ] {
        let output = home.command().args(&wrong).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
        assert!(output.stdout.is_empty(), "{wrong:?}");
    }
}
