//! Our own webhooks over real sockets: who may be told, what arrives, and what a receiver's answer does.

use std::{
    collections::VecDeque,
    io::Write as _,
    net::SocketAddr,
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Response, StatusCode, Uri},
    routing::any,
};
use midjourney_core::{
    clock::{Clock as _, Entropy as _, SystemClock},
    delivery::{SigningKey, Subscription},
    id::{DeliveryId, SubscriptionId},
    job::{Owner, Position},
    key::Secret,
    net::OutboundOptions,
    testing::{SeededEntropy, wait_until},
};
use serde_json::{Value, json};

use crate::http_support::{Server, Setup, send};

/// Nothing healthy takes this long.
const DEADLINE: Duration = Duration::from_secs(20);

/// What came to a receiver.
#[derive(Clone, Debug)]
struct Message {
    path: String,
    headers: HeaderMap,
    body: String,
}

/// A status, headers and a body.
type Answer = (u16, Vec<(&'static str, String)>, Vec<u8>);

/// A server of somebody else's, which answers as it is told to and 204 after that.
#[derive(Clone, Debug)]
struct Receiver {
    address: SocketAddr,
    got: Arc<Mutex<Vec<Message>>>,
    answers: Arc<Mutex<VecDeque<Answer>>>,
}

impl Receiver {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let receiver = Self {
            address: listener.local_addr().unwrap(),
            got: Arc::default(),
            answers: Arc::default(),
        };
        let routes = Router::new()
            .fallback(any(Self::take))
            .with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        receiver
    }

    async fn take(
        State(receiver): State<Self>,
        uri: Uri,
        headers: HeaderMap,
        body: Bytes,
    ) -> Response<axum::body::Body> {
        receiver.got.lock().unwrap().push(Message {
            path: uri.to_string(),
            headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
        });
        let answer = receiver.answers.lock().unwrap().pop_front();
        let (status, headers, body) = answer.unwrap_or((204, Vec::new(), Vec::new()));
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(name, value);
        }
        response.body(body.into()).unwrap()
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn answer(&self, status: u16, headers: Vec<(&'static str, String)>, body: Vec<u8>) {
        self.answers.lock().unwrap().push_back((status, headers, body));
    }

    fn got(&self) -> Vec<Message> {
        self.got.lock().unwrap().clone()
    }
}

/// A server that posts also to where only this machine is.
async fn server() -> Server {
    server_with(OutboundOptions::default().with_allow_private(true)).await
}

async fn server_with(options: OutboundOptions) -> Server {
    let mut setup = Setup::new();
    setup.webhooks = Some(Setup::webhooks(options));
    setup.links_here = true;
    setup.start().await
}

async fn subscribe(server: &Server, body: Value) -> Value {
    let (status, body) = send(server.post("/webhooks/subscriptions").json(&body)).await;
    assert_eq!(status, StatusCode::CREATED, "{body}");
    body
}

/// The newest message, once it is no longer on its way.
async fn settled(server: &Server, want: usize) -> Vec<Value> {
    wait_until("the messages are settled", DEADLINE, async || {
        let (_, page) = send(server.get("/webhooks/deliveries")).await;
        let all = page["deliveries"].as_array().cloned().unwrap_or_default();
        let done = all
            .iter()
            .filter(|one| one["state"] != "waiting" || one["attempts"] != 0);
        if all.len() == want && done.count() == want {
            Ok(all)
        } else {
            Err(page)
        }
    })
    .await
}

fn text<'a>(message: &'a Message, name: &str) -> &'a str {
    message.headers[name].to_str().unwrap()
}

#[tokio::test]
async fn whoever_subscribes_is_told_with_links_to_the_pictures() {
    let (server, receiver) = (server().await, Receiver::start().await);
    let made = subscribe(&server, json!({"url": receiver.url("/hook?token=1")})).await;
    assert!(made["secret"].as_str().unwrap().starts_with("whsec_"), "{made}");
    let (_, listed) = send(server.get("/webhooks/subscriptions")).await;
    assert_eq!(listed["subscriptions"][0]["id"], made["id"]);
    assert!(!listed.to_string().contains("whsec_"), "it is shown once");
    let job = server.finished("a red fox").await;
    let settled = settled(&server, 1).await;
    let got = receiver.got();
    assert_eq!((got.len(), got[0].path.as_str()), (1, "/hook?token=1"));
    assert_eq!(text(&got[0], "content-type"), "application/json");
    assert_eq!(text(&got[0], "webhook-id"), settled[0]["id"].as_str().unwrap());
    let told: Value = serde_json::from_str(&got[0].body).unwrap();
    assert_eq!(
        (&told["type"], &told["data"]["job"]["id"]),
        (&json!("job.completed"), &job["id"])
    );
    for link in told["data"]["links"].as_array().unwrap() {
        let picture = server.open(link["url"].as_str().unwrap()).send().await.unwrap();
        assert_eq!(picture.status(), StatusCode::OK);
    }
    assert!(told["data"]["links"].as_array().unwrap().len() >= 4);
    let id = settled[0]["id"].as_str().unwrap();
    let (_, whole) = send(server.get(&format!("/webhooks/deliveries/{id}"))).await;
    assert_eq!(whole["payload"], told);
    assert_eq!(
        (&whole["state"], &whole["last_attempt"]["status"]),
        (&json!("delivered"), &json!(204))
    );
}

#[tokio::test]
async fn a_job_that_names_an_address_is_told_there() {
    let (server, receiver) = (server().await, Receiver::start().await);
    let request = server
        .post("/imagine")
        .json(&json!({"prompt": "a red fox", "webhook_url": receiver.url("/mine")}));
    let (status, body) = send(request).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{body}");
    let settled = settled(&server, 1).await;
    assert_eq!(settled[0]["receiver"], receiver.url(""));
    assert_eq!(receiver.got()[0].path, "/mine");
    let (_, secret) = send(server.get("/webhooks/job-secret")).await;
    let webhook = standardwebhooks::Webhook::new(secret["secret"].as_str().unwrap()).unwrap();
    let got = &receiver.got()[0];
    webhook.verify(got.body.as_bytes(), &got.headers).unwrap();
}

/// O3: what only looks like success is none, and nobody's long answer is read.
#[tokio::test]
async fn only_a_2xx_is_success_and_answers_are_not_read() {
    let (server, receiver) = (server().await, Receiver::start().await);
    let made = subscribe(&server, json!({"url": receiver.url("/hook")})).await;
    let id = made["id"].as_str().unwrap();
    let test = format!("/webhooks/subscriptions/{id}/test");
    let elsewhere = receiver.url("/elsewhere");
    receiver.answer(307, vec![("location", elsewhere)], Vec::new());
    receiver.answer(200, Vec::new(), vec![b' '; 32 * 1024 * 1024]);
    receiver.answer(429, vec![("retry-after", "3600".to_owned())], Vec::new());
    for (round, (state, status)) in [("waiting", 307), ("delivered", 200), ("waiting", 429)]
        .into_iter()
        .enumerate()
    {
        let (code, _) = send(server.post(&test)).await;
        assert_eq!(code, StatusCode::ACCEPTED);
        let newest = settled(&server, round + 1).await[0].clone();
        assert_eq!(
            (&newest["state"], &newest["last_attempt"]["status"]),
            (&json!(state), &json!(status)),
            "{newest}"
        );
    }
    assert!(receiver.got().iter().all(|message| message.path == "/hook"));
    let (_, page) = send(server.get("/webhooks/deliveries?state=waiting")).await;
    let paused = &page["deliveries"][0];
    let [made, next] =
        ["created_at", "next_attempt_at"].map(|name| paused[name].as_str().unwrap_or_default());
    assert!(next > made, "{paused}");
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_told_nothing_more() {
    let (server, receiver) = (server().await, Receiver::start().await);
    let made = subscribe(&server, json!({"url": receiver.url("/hook")})).await;
    let place = format!("/webhooks/subscriptions/{}", made["id"].as_str().unwrap());
    receiver.answer(410, Vec::new(), Vec::new());
    send(server.post(&format!("{place}/test"))).await;
    let newest = settled(&server, 1).await[0].clone();
    assert_eq!(
        (&newest["state"], &newest["dead_reason"]),
        (&json!("dead"), &json!("gone"))
    );
    let (_, now) = send(server.get(&place)).await;
    assert_eq!(
        (&now["enabled"], &now["disabled_reason"]),
        (&json!(false), &json!("gone"))
    );
    let (status, body) = send(server.post(&format!("{place}/test"))).await;
    assert_eq!(status, StatusCode::CONFLICT, "{body}");
    let change = server.request("PATCH", &place).json(&json!({"enabled": true}));
    let (status, body) = send(change).await;
    assert_eq!((status, &body["enabled"]), (StatusCode::OK, &json!(true)));
    let since = newest["created_at"].clone();
    let again = server
        .post(&format!("{place}/replay"))
        .json(&json!({"since": since}));
    let (status, body) = send(again).await;
    assert_eq!((status, &body["replayed"]), (StatusCode::ACCEPTED, &json!(1)));
    wait_until("the message came again", DEADLINE, async || {
        match &receiver.got()[..] {
            [first, second] if text(first, "webhook-id") == text(second, "webhook-id") => Ok(()),
            got => Err(format!("{} messages", got.len())),
        }
    })
    .await;
    let gone = server.request("DELETE", &place).send().await.unwrap();
    assert_eq!(gone.status(), StatusCode::NO_CONTENT);
    let (status, _) = send(server.get(&place)).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn what_is_wrong_with_a_wish_is_said() {
    let strict = server_with(OutboundOptions::default()).await;
    for (url, why) in [
        ("http://127.0.0.1/hook", "not public"),
        ("http://[::ffff:10.0.0.1]/", "not public"),
        ("http://2130706433/", "not public"),
        ("https://user:secret@receiver.example/", "credentials"),
        ("https://receiver.example:22/", "ports"),
        ("gopher://receiver.example/", "http"),
        ("nonsense", "not a URL"),
    ] {
        let (status, body) = send(strict.post("/webhooks/subscriptions").json(&json!({"url": url}))).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{url}: {body}");
        let error = &body["errors"][0];
        assert_eq!(error["pointer"], "/url", "{body}");
        assert!(error["detail"].as_str().unwrap().contains(why), "{url}: {body}");
        let job = json!({"prompt": "a red fox", "webhook_url": url});
        let (status, body) = send(strict.post("/imagine").json(&job)).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{url}: {body}");
        assert_eq!(body["errors"][0]["pointer"], "/webhook_url", "{body}");
    }
    let url = "https://receiver.example/";
    for (body, pointer) in [
        (
            json!({"url": url, "events": ["job.completed", "job.done"]}),
            "/events/1",
        ),
        (json!({"url": url, "events": []}), "/events"),
    ] {
        let (status, body) = send(strict.post("/webhooks/subscriptions").json(&body)).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
        assert_eq!(body["errors"][0]["pointer"], pointer, "{body}");
    }
    let (status, body) = send(strict.get("/webhooks/deliveries?state=lost")).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
    let (_, jobs) = send(strict.get("/jobs")).await;
    assert_eq!(jobs["jobs"], json!([]), "nothing was made");
}

#[tokio::test]
async fn what_arrives_is_signed_with_the_secret_that_was_shown() {
    let (server, receiver) = (server().await, Receiver::start().await);
    let made = subscribe(&server, json!({"url": receiver.url("/hook")})).await;
    let place = format!("/webhooks/subscriptions/{}", made["id"].as_str().unwrap());
    server
        .finished("\u{1f98a} \"quoted\" \\ caf\u{e9} \u{2028}")
        .await;
    settled(&server, 1).await;
    let (_, rotated) = send(server.post(&format!("{place}/rotate"))).await;
    send(server.post(&format!("{place}/test"))).await;
    settled(&server, 2).await;
    let (first, second) = (&made["secret"], &rotated["secret"]);
    let got = receiver.got();
    let signed = |secret: &Value, message: &Message| {
        let webhook = standardwebhooks::Webhook::new(secret.as_str().unwrap()).unwrap();
        webhook.verify(message.body.as_bytes(), &message.headers).is_ok()
    };
    assert!(signed(first, &got[0]) && !signed(second, &got[0]));
    assert!(
        signed(first, &got[1]) && signed(second, &got[1]),
        "both, for a day"
    );
    let mut changed = got[1].clone();
    changed.body.push(' ');
    assert!(!signed(second, &changed));
}

/// O4: 10,000 messages of all kinds of text, taken by two implementations that are not ours.
#[tokio::test]
async fn signatures_are_what_others_expect() {
    let (key, entropy) = (
        SigningKey::new(Secret::new("the root of this test")),
        SeededEntropy::new(5),
    );
    let (now, owner) = (SystemClock.now(), Owner::local());
    let mut of = Subscription::new(
        SubscriptionId::new(now, &entropy),
        owner.clone(),
        "https://receiver.example/",
        Position::START,
        now,
    );
    of.generation = 7;
    let secret = key.secret_of(of.id, 7);
    let reference = standardwebhooks::Webhook::new(secret.expose()).unwrap();
    let mut lines = Vec::new();
    for _ in 0..10_000 {
        let mut random = [0; 64];
        entropy.fill(&mut random);
        let body = json!({"data": String::from_utf8_lossy(&random)}).to_string();
        let id = DeliveryId::new(now, &entropy);
        let signature = key.sign(Some(&of), &owner, id, now, &body);
        let seconds = (now.as_millis() / 1_000).to_string();
        let mut headers = HeaderMap::new();
        headers.insert("webhook-id", id.to_string().parse().unwrap());
        headers.insert("webhook-timestamp", seconds.parse().unwrap());
        headers.insert("webhook-signature", signature.expose().parse().unwrap());
        reference.verify(body.as_bytes(), &headers).unwrap();
        let headers = json!({
            "webhook-id": id,
            "webhook-timestamp": seconds,
            "webhook-signature": signature.expose(),
        });
        lines.push(json!({"headers": headers, "body": body}).to_string());
    }
    taken_by_python(secret.expose(), &lines);
}

const SCRIPT: &str = "
import json, sys
from svix.webhooks import Webhook
webhook = Webhook(sys.stdin.readline().strip())
taken = 0
for line in sys.stdin:
    message = json.loads(line)
    webhook.verify(message['body'], message['headers'])
    taken += 1
print(taken)
";

/// Has the Python package `svix` look at all of them.
fn taken_by_python(secret: &str, lines: &[String]) {
    let variable = |name: &str| std::env::vars().find_map(|(found, value)| (found == name).then_some(value));
    let python = variable("TEST_PYTHON").unwrap_or_else(|| "python3".to_owned());
    let there = Command::new(&python)
        .args(["-c", "import svix"])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !there {
        let mend = "python3 -m venv /tmp/test-venv && /tmp/test-venv/bin/pip install svix, then set TEST_PYTHON to \
                    /tmp/test-venv/bin/python";
        assert!(
            variable("CI").is_none_or(|ci| ci != "true"),
            "{python} has no package `svix`, which CI must have: {mend}"
        );
        // Past the test harness, which would keep it to itself.
        writeln!(
            std::io::stderr(),
            "SKIPPED: signatures were NOT shown to svix, {python} has no such package. To show them: {mend}"
        )
        .ok();
        return;
    }
    let mut child = Command::new(&python)
        .args(["-c", SCRIPT])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    writeln!(input, "{secret}\n{}", lines.join("\n")).unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    let taken = String::from_utf8_lossy(&output.stdout);
    assert_eq!(
        (output.status.success(), taken.trim()),
        (true, lines.len().to_string().as_str())
    );
}
