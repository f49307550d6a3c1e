//! Following jobs over a WebSocket, with a client that is not ours.

use std::{sync::Arc, time::Duration};

use futures_util::{SinkExt as _, StreamExt as _};
use midjourney_core::{
    clock::Clock as _,
    gateway::{Gateway, Imagine},
    job::{Event, JobStore, Position},
    memory::MemoryJobStore,
    testing::{FakeClock, wait_until},
};
use midjourney_server::http::ServeOptions;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Error, Message, client::IntoClientRequest as _},
};

use crate::http_support::{Server, Setup, send, text};

const LONG: Duration = Duration::from_secs(20);

struct Client(WebSocketStream<TcpStream>);

impl Client {
    async fn open(server: &Server) -> Self {
        Self::open_from(server, None).await.unwrap()
    }

    /// Opens a socket as a page of `origin` does; it has room for little that was not read.
    async fn open_from(server: &Server, origin: Option<&str>) -> Result<Self, Error> {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let stream = socket.connect(server.address).await.unwrap();
        let mut request = format!("ws://{}/ws", server.address)
            .into_client_request()
            .unwrap();
        if let Some(origin) = origin {
            request.headers_mut().insert("origin", origin.parse().unwrap());
        }
        client_async(request, stream)
            .await
            .map(|(socket, _)| Self(socket))
    }

    async fn say(&mut self, message: &Value) {
        self.0.send(Message::text(message.to_string())).await.unwrap();
    }

    async fn message(&mut self) -> Message {
        let message = tokio::time::timeout(LONG, self.0.next()).await;
        message.expect("there is more").unwrap().unwrap()
    }

    async fn hear(&mut self) -> Value {
        let message = self.message().await;
        serde_json::from_str(message.to_text().unwrap()).unwrap_or_else(|_| panic!("no JSON: {message:?}"))
    }

    async fn ask(&mut self, message: Value) -> Value {
        self.say(&message).await;
        self.hear().await
    }

    /// The events that come until the server closes the connection; its code and reason.
    async fn until_closed(&mut self) -> (Vec<Value>, u16, String) {
        let mut told = Vec::new();
        loop {
            match self.message().await {
                Message::Text(text) => told.push(serde_json::from_str(&text).unwrap()),
                Message::Ping(_) => {}
                Message::Close(Some(frame)) => return (told, frame.code.into(), frame.reason.to_string()),
                other => panic!("{other:?}"),
            }
        }
    }

    async fn until_completed(&mut self) -> Vec<Value> {
        let mut told = Vec::new();
        while told
            .last()
            .is_none_or(|event: &Value| event["kind"] != "job.completed")
        {
            told.push(self.hear().await);
        }
        told
    }
}

fn positions(told: &[Value]) -> Vec<u64> {
    told.iter()
        .map(|event| event["position"].as_u64().unwrap())
        .collect()
}

async fn committed(jobs: &Arc<dyn JobStore>) -> Vec<Event> {
    jobs.events(Position::START, 100_000).await.unwrap()
}

fn store() -> Arc<dyn JobStore> {
    Arc::new(MemoryJobStore::new())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_follows_one_then_all_then_none() {
    let jobs = store();
    let setup = Setup {
        jobs: Arc::clone(&jobs),
        ..Setup::new()
    };
    let server = setup.start().await;
    let (red, _) = tokio::join!(server.finished("a red fox"), server.finished("a blue fox"));
    let red = text(&red, "id");
    let mut client = Client::open(&server).await;

    let answer = client.ask(json!({"watch": [red], "after": 0})).await;
    assert_eq!(answer, json!({"watching": {"after": 0}}));
    let told = client.until_completed().await;
    let of_red = committed(&jobs)
        .await
        .into_iter()
        .filter(|event| event.job.to_string() == red);
    assert_eq!(
        positions(&told),
        of_red.map(|event| event.position.get()).collect::<Vec<_>>()
    );
    assert_eq!(told[0]["kind"], "job.created");

    let last = told.last().unwrap()["position"].as_u64().unwrap();
    let head = jobs.head().await.unwrap().get();
    client.ask(json!({"watch": "all", "after": last})).await;
    for event in committed(&jobs).await {
        if event.position.get() > last {
            assert_eq!(client.hear().await["position"], event.position.get());
        }
    }
    server.finished("a green fox").await;
    let told = client.until_completed().await;
    assert_eq!(positions(&told).first(), Some(&(head + 1)));
    assert_eq!(positions(&told).last(), Some(&jobs.head().await.unwrap().get()));

    let head = jobs.head().await.unwrap().get();
    let answer = client.ask(json!({"unwatch": true})).await;
    assert_eq!(answer, json!({"unwatched": {"after": head}}));
    server.finished("a yellow fox").await;
    let head = jobs.head().await.unwrap().get();
    let answer = client.ask(json!({"watch": "all"})).await;
    assert_eq!(answer, json!({"watching": {"after": head}}));
}

#[tokio::test]
async fn what_cannot_be_heeded_is_told_and_the_connection_stays() {
    let server = Setup::idle().start().await;
    let (_, job) = send(server.post("/imagine").json(&json!({"prompt": "a fox"}))).await;
    let mut client = Client::open(&server).await;
    client.ask(json!({"watch": "all"})).await;
    let missing = "job_019ab3c0d1e27f3a8b4c5d6e7f8091a2";
    let many: Vec<String> = (0..101).map(|n| format!("job_{n:032x}")).collect();
    for (message, code, pointer) in [
        ("fox".to_owned(), "invalid_request", ""),
        ("[]".to_owned(), "invalid_request", ""),
        ("{}".to_owned(), "invalid_request", ""),
        (json!({"watch": "some"}).to_string(), "invalid_request", "/watch"),
        (json!({"watch": []}).to_string(), "invalid_request", "/watch"),
        (
            json!({"watch": [job["id"], "fox"]}).to_string(),
            "invalid_request",
            "/watch/1",
        ),
        (json!({"watch": many}).to_string(), "invalid_request", "/watch"),
        (
            json!({"watch": "all", "after": -1}).to_string(),
            "invalid_request",
            "/after",
        ),
        (
            json!({"watch": "all", "unwatch": true}).to_string(),
            "invalid_request",
            "",
        ),
        (json!({"unwatch": false}).to_string(), "invalid_request", ""),
        (json!({"listen": true}).to_string(), "invalid_request", "/listen"),
        (json!({"watch": [missing]}).to_string(), "not_found", ""),
        (
            format!("{{\"watch\": \"{}\"}}", "x".repeat(16 * 1024)),
            "payload_too_large",
            "",
        ),
    ] {
        client.0.send(Message::text(message.clone())).await.unwrap();
        let answer = client.hear().await;
        let message = message.get(..80).unwrap_or(&message);
        let error = &answer["error"];
        assert_eq!(
            (text(error, "code"), text(error, "pointer")),
            (code, pointer),
            "{message}: {answer}"
        );
        assert!(!text(error, "detail").is_empty(), "{message}: {answer}");
    }
    client.0.send(Message::binary(b"{}".to_vec())).await.unwrap();
    assert_eq!(client.hear().await["error"]["code"], "invalid_request");
    // What was followed is still followed.
    send(server.post("/imagine").json(&json!({"prompt": "a fox"}))).await;
    assert_eq!(client.hear().await["kind"], "job.created");
}

#[tokio::test]
async fn pages_of_other_sites_may_not_listen() {
    let trusting = |options: midjourney_server::http::HttpOptions| {
        options.trust_origin("https://front.example").unwrap()
    };
    let server = Setup::idle().options(trusting).start().await;
    let own = format!("http://{}", server.address);
    for origin in [&*own, "https://front.example"] {
        let mut client = Client::open_from(&server, Some(origin)).await.unwrap();
        client.ask(json!({"watch": "all"})).await;
    }
    for origin in ["https://evil.example", "http://127.0.0.1:1", "null"] {
        match Client::open_from(&server, Some(origin)).await.map(|_| ()) {
            Err(Error::Http(answer)) => {
                assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{origin}");
                let head = format!(
                    "GET /ws HTTP/1.1\r\nhost: localhost\r\norigin: {origin}\r\nconnection: close\r\n\r\n"
                );
                assert!(
                    server.raw(head.as_bytes()).await.contains("foreign_origin"),
                    "{origin}"
                );
            }
            other => panic!("{origin}: {other:?}"),
        }
    }
    let answer = server.get("/ws").send().await.unwrap();
    assert_eq!(
        (answer.status(), &answer.headers()["upgrade"]),
        (StatusCode::UPGRADE_REQUIRED, &"websocket".parse().unwrap())
    );
    let problem: Value = answer.json().await.unwrap();
    assert_eq!(problem["code"], "upgrade_required");
}

async fn ask_and_cancel(gateway: &Gateway, jobs: usize) {
    for _ in 0..jobs {
        let accepted = gateway.imagine(Imagine::new("a red fox")).await.unwrap();
        gateway.cancel(accepted.jobs[0].id).await.unwrap();
    }
}

/// The server's sockets sleep until a ping is due, and while a frame waits until the client's time is up; once they are
/// closing, they sleep for this long at most.
const GOODBYE: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_is_told_where_to_go_on_and_misses_nothing() {
    let (jobs, clock) = (store(), FakeClock::new());
    let setup = Setup {
        jobs: Arc::clone(&jobs),
        ..Setup::idle()
    };
    let with_clock =
        |options: midjourney_server::http::HttpOptions| options.with_clock(Arc::new(clock.clone()));
    let server = setup.options(with_clock).start().await;
    // More than fits between the two ends of a connection.
    ask_and_cancel(&server.gateway, 10_000).await;
    let mut client = Client::open(&server).await;
    client.say(&json!({"watch": "all", "after": 0})).await;
    wait_until("the server closes", LONG, async || {
        let now = clock.now();
        match (clock.sleepers(), clock.next_wake()) {
            (1, Some(wake)) if wake == now.saturating_add(GOODBYE) => return Ok(()),
            (2.., _) => clock.advance(Duration::from_secs(11)),
            _ => {}
        }
        Err(format!(
            "{} sleep, until {:?}",
            clock.sleepers(),
            clock.next_wake()
        ))
    })
    .await;
    let (mut told, code, reason) = client.until_closed().await;
    assert_eq!(told.remove(0), json!({"watching": {"after": 0}}));
    assert_eq!(
        (code, &*reason),
        (1013, &*told.last().unwrap()["position"].to_string())
    );

    let all: Vec<u64> = committed(&jobs)
        .await
        .iter()
        .map(|event| event.position.get())
        .collect();
    assert!(told.len() < all.len(), "it was not slow");
    let mut client = Client::open(&server).await;
    client
        .ask(json!({"watch": "all", "after": reason.parse::<u64>().unwrap()}))
        .await;
    while told.len() < all.len() {
        told.push(client.hear().await);
    }
    assert_eq!(positions(&told), all);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_answers_no_ping_is_closed_and_one_that_does_is_not() {
    let clock = FakeClock::new();
    let with_clock =
        |options: midjourney_server::http::HttpOptions| options.with_clock(Arc::new(clock.clone()));
    let server = Setup::idle().options(with_clock).start().await;
    let mut lively = Client::open(&server).await;
    lively.ask(json!({"watch": "all"})).await;
    let mut deaf = Client::open(&server).await;
    deaf.ask(json!({"watch": "all"})).await;
    let both_sleep_for = async |span| {
        let next = clock.now().saturating_add(span);
        wait_until("both sleep", LONG, async || {
            match (clock.sleepers(), clock.next_wake()) {
                (2, Some(wake)) if wake == next => Ok(()),
                state => Err(format!("{state:?}")),
            }
        })
        .await;
    };
    for _ in 0..2 {
        both_sleep_for(Duration::from_secs(15)).await;
        clock.advance(Duration::from_secs(15));
        assert!(lively.message().await.is_ping());
        // The pong goes out before the question, and the answer shows that it was heard.
        lively.ask(json!({"watch": "all"})).await;
    }
    // Who reads answers the ping, which would come in time as long as the server has not looked.
    both_sleep_for(GOODBYE).await;
    assert_eq!(deaf.until_closed().await, (vec![], 1011, "0".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_end_with_the_server_and_hold_a_place_until_then() {
    let setup = Setup {
        serve: ServeOptions::default().with_connections(1),
        ..Setup::idle()
    };
    let server = setup.start().await;
    let mut client = Client::open(&server).await;
    client.ask(json!({"watch": "all"})).await;
    ask_and_cancel(&server.gateway, 1).await;
    assert_eq!(positions(&[client.hear().await, client.hear().await]), [1, 2]);
    let question = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    assert_eq!(server.raw(question).await, "", "the socket has the only place");
    client.0.close(None).await.unwrap();
    let free = async || Client::open_from(&server, None).await;
    let mut client = wait_until("the place is free", LONG, free).await;
    client.ask(json!({"watch": "all", "after": 2})).await;
    server.stopping.begin();
    let Server { task, .. } = server;
    assert_eq!(client.until_closed().await, (vec![], 1001, "2".to_owned()));
    // The client's answer to that lets the server end.
    drop(client);
    let ended = tokio::time::timeout(Duration::from_secs(8), task).await;
    ended.expect("well within the grace").unwrap().unwrap();
}
