//! The edge: headers on everything, sizes, odd framing, panics, hosts and origins.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use axum::{Router, body::Body, routing::get};
use bytes::Bytes;
use futures_util::{future::join_all, stream};
use midjourney_core::{
    client::{Callback, ClientError, MidjourneyClient, ParentTask, Reconciliation, Submission},
    image::ByteStream,
    job::{Action, Capabilities, Failure, JobRequest, RemoteImage, RemoteStatus, UpstreamId},
};
use midjourney_server::http::{self, Hosts, HttpOptions, ServeOptions, Stopping};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::oneshot,
};

use crate::http_support::{Server, Setup, any_host, send, text};

/// H8: every route, whatever it answers.
#[tokio::test(flavor = "multi_thread")]
async fn every_answer_has_safe_headers() {
    let server = Setup::new().start().await;
    let job = server.finished("a red fox").await;
    let (id, image) = (text(&job, "id"), text(&job["images"][0], "id"));
    let (_, api) = send(server.get("/openapi.json")).await;
    let mut paths: Vec<(String, String)> = Vec::new();
    for (path, item) in api["paths"].as_object().unwrap() {
        let path = path.replace("{id}", if path.starts_with("/images") { image } else { id });
        paths.extend(
            item.as_object()
                .unwrap()
                .keys()
                .map(|method| (method.to_uppercase(), path.clone())),
        );
    }
    for path in [
        "/docs",
        "/docs/",
        "/docs/errors",
        "/docs/swagger-ui.css",
        "/docs/wat",
        "/wat",
        "/jobs/x",
    ] {
        paths.push(("GET".to_owned(), path.to_owned()));
    }
    assert!(paths.len() > 20);
    for (method, path) in paths {
        let answer = server
            .request(&method, &path)
            .header("accept", "text/html")
            .send()
            .await
            .unwrap();
        let name = format!("{method} {path} {}", answer.status());
        assert!(!answer.status().is_server_error(), "{name}");
        let header = |header: &str| {
            answer
                .headers()
                .get(header)
                .map_or("", |value| value.to_str().unwrap())
        };
        assert_eq!(header("x-content-type-options"), "nosniff", "{name}");
        assert_eq!(header("referrer-policy"), "no-referrer", "{name}");
        assert!(!header("cross-origin-resource-policy").is_empty(), "{name}");
        assert!(
            !header("x-request-id").is_empty() && !header("cache-control").is_empty(),
            "{name}"
        );
        let csp = header("content-security-policy");
        assert!(
            csp.contains("default-src 'none'") && csp.contains("frame-ancestors 'none'"),
            "{name}: {csp}"
        );
        assert!(!csp.contains("unsafe"), "{name}: {csp}");
        assert!(!answer.headers().contains_key("server"), "{name}");
    }
}

#[tokio::test]
async fn a_request_keeps_the_id_its_caller_gave_it_unless_that_is_odd() {
    let server = Setup::idle().start().await;
    for (given, kept) in [
        ("trace-1_A", true),
        ("a b", false),
        ("<script>", false),
        (&*"x".repeat(65), false),
    ] {
        let answer = server
            .get("/wat")
            .header("x-request-id", given)
            .send()
            .await
            .unwrap();
        let told = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
        let body: Value = answer.json().await.unwrap();
        assert_eq!(told == given, kept, "{given} became {told}");
        assert_eq!(text(&body, "instance"), told);
    }
}

/// H4: too much of anything is answered, not hung up on.
#[tokio::test(flavor = "multi_thread")]
async fn too_much_of_anything_is_refused_with_an_answer() {
    let server = Setup::idle().start().await;
    let status = |answer: &str| answer.split_whitespace().nth(1).unwrap_or("none").to_owned();
    let start = "GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n";

    let header = format!("{start}x-long: {}\r\n\r\n", "x".repeat(64 * 1024));
    assert_eq!(status(&server.raw(header.as_bytes()).await), "431");
    let many: String = (0..500).map(|n| format!("x-{n}: 1\r\n")).collect();
    assert_eq!(
        status(&server.raw(format!("{start}{many}\r\n").as_bytes()).await),
        "431"
    );
    let url = format!(
        "GET /{} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
        "x".repeat(64 * 1024)
    );
    let answer = status(&server.raw(url.as_bytes()).await);
    assert!(matches!(&*answer, "414" | "431"), "{answer}");

    let mebibyte = 1024 * 1024;
    let body_of = |size: usize| {
        let frame = json!({"prompt": ""}).to_string().len();
        json!({"prompt": "x".repeat(size - frame)}).to_string()
    };
    let json = |body: String| {
        server
            .post("/imagine")
            .header("content-type", "application/json")
            .body(body)
    };
    let (status, body) = send(json(body_of(mebibyte))).await;
    assert_eq!(
        (status.as_u16(), text(&body, "code")),
        (422, "invalid_prompt"),
        "what fits is read"
    );
    for size in [mebibyte + 1, 8 * mebibyte] {
        let (status, body) = send(json(body_of(size))).await;
        assert_eq!(
            (status, text(&body, "code")),
            (StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large")
        );
    }
    // Chunked: nobody says beforehand how long it is.
    let chunks = stream::iter((0..24).map(move |_| Ok::<_, std::io::Error>(vec![b' '; mebibyte / 8])));
    let request = server.post("/imagine").header("content-type", "application/json");
    let (status, _) = send(request.body(reqwest::Body::wrap_stream(chunks))).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    // Who asks before sending is told at once, and so is who means to send for ever.
    for extra in [
        "content-length: 2000000\r\nexpect: 100-continue",
        "content-length: 99999999999999",
    ] {
        let request = format!(
            "POST /imagine HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n{extra}\r\n\r\n"
        );
        let answer = server.raw(request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    }

    let deep = format!("{{\"prompt\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(send(json(deep)).await.0, StatusCode::UNPROCESSABLE_ENTITY);
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(send(json(deep)).await.0, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(send(json("[".repeat(100_000))).await.0, StatusCode::BAD_REQUEST);
    let parts: String = (0..10_000)
        .map(|n| format!("--x\r\ncontent-disposition: form-data; name=p{n}\r\n\r\n1\r\n"))
        .collect();
    let multipart = server
        .post("/imagine")
        .header("content-type", "multipart/form-data; boundary=x")
        .body(parts);
    assert_eq!(send(multipart).await.0, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    send(server.get("/healthz")).await;
}

/// H5: a request hidden behind an odd one is never answered.
#[tokio::test(flavor = "multi_thread")]
async fn no_request_is_smuggled_behind_another() {
    let server = Setup::idle().start().await;
    let marker = "GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let post = "POST /imagine HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
    let length = marker.len();
    let heads = [
        "content-length: 0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(),
        "transfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n0\r\n\r\n".to_owned(),
        format!("content-length: 0\r\ncontent-length: {length}\r\n\r\n"),
        format!("content-length: {length}\r\ncontent-length: 0\r\n\r\n"),
        format!("content-length: 0, {length}\r\n\r\n"),
        "content-length: +0\r\n\r\n".to_owned(),
        "content-length: -1\r\n\r\n".to_owned(),
        "content-length: 0x0\r\n\r\n".to_owned(),
        "content-length: 0 0\r\n\r\n".to_owned(),
        "content-length: \r\n\r\n".to_owned(),
        "content-length : 0\r\n\r\n".to_owned(),
        "transfer-encoding: xchunked\r\n\r\n0\r\n\r\n".to_owned(),
        "transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n".to_owned(),
        "transfer-encoding: identity\r\n\r\n".to_owned(),
        "transfer-encoding : chunked\r\n\r\n0\r\n\r\n".to_owned(),
        "transfer-encoding:\r\n chunked\r\n\r\n0\r\n\r\n".to_owned(),
        "x-folded: a\r\n b\r\ncontent-length: 0\r\n\r\n".to_owned(),
        "transfer-encoding: chunked\r\n\r\n-1\r\n\r\n".to_owned(),
        "transfer-encoding: chunked\r\n\r\n0x0\r\n\r\n".to_owned(),
        "transfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n\r\n".to_owned(),
        "transfer-encoding: chunked\r\n\r\n1\r\nAB\r\n0\r\n\r\n".to_owned(),
        "content-length: 0\0\r\n\r\n".to_owned(),
        "x-null: a\0b\r\ncontent-length: 0\r\n\r\n".to_owned(),
    ];
    for head in &heads {
        let answer = server.raw(format!("{post}{head}{marker}").as_bytes()).await;
        assert!(!answer.contains("{\"status\":\"ok\"}"), "{head:?}: {answer}");
    }
    for line in [
        "POST  /imagine HTTP/1.1",
        "POST /imagine HTTP/1.1 x",
        "POST /imagine HTTP/9.9",
        "POST /a b HTTP/1.1",
    ] {
        let answer = server
            .raw(format!("{line}\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n{marker}").as_bytes())
            .await;
        assert!(!answer.contains("{\"status\":\"ok\"}"), "{line:?}: {answer}");
    }
    let answer = server
        .raw(format!("GET /wat HTTP/1.1\r\n\r\n{marker}").as_bytes())
        .await;
    assert!(
        answer.starts_with("HTTP/1.1 400") && answer.contains("/host"),
        "{answer}"
    );
    let two = "GET /healthz HTTP/1.1\r\nhost: localhost\r\nhost: evil.example\r\nconnection: close\r\n\r\n";
    assert!(server.raw(two.as_bytes()).await.starts_with("HTTP/1.1 400"));
}

/// An upstream whose code panics.
#[derive(Debug)]
struct Broken {
    at_check: bool,
}

#[async_trait]
impl MidjourneyClient for Broken {
    fn upstream(&self) -> &'static str {
        "broken"
    }
    fn capabilities(&self) -> Capabilities {
        panic!("a secret in /var/lib/midjourney")
    }
    fn supports(&self, _action: Action) -> bool {
        true
    }

    fn check(&self, _: &JobRequest, _: Option<&ParentTask>) -> Result<(), Failure> {
        assert!(!self.at_check, "a secret in /var/lib/midjourney");
        Ok(())
    }
    async fn submit(&self, _: &Submission) -> Result<UpstreamId, ClientError> {
        unreachable!()
    }
    async fn reconcile(&self, _: &Submission) -> Result<Reconciliation, ClientError> {
        unreachable!()
    }
    async fn status(&self, _: &UpstreamId) -> Result<RemoteStatus, ClientError> {
        unreachable!()
    }
    async fn cancel(&self, _: &UpstreamId) -> Result<bool, ClientError> {
        unreachable!()
    }
    fn parse_callback(&self, _: &[u8]) -> Result<Callback, ClientError> {
        unreachable!()
    }
    async fn fetch(&self, _: &RemoteImage) -> Result<ByteStream, ClientError> {
        unreachable!()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_a_problem_and_the_process_lives() {
    for at_check in [true, false] {
        let server = Setup {
            client: Arc::new(Broken { at_check }),
            ..Setup::idle()
        }
        .start()
        .await;
        for _ in 0..3 {
            let answer = server
                .post("/imagine")
                .json(&json!({"prompt": "a fox"}))
                .send()
                .await
                .unwrap();
            assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
            assert_eq!(answer.headers()["content-type"], "application/problem+json");
            assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
            let body: Value = answer.json().await.unwrap();
            assert_eq!(text(&body, "code"), "internal");
            assert!(!body.to_string().contains("secret"), "{body}");
        }
        send(server.get("/healthz")).await;
    }
}

#[tokio::test]
async fn names_and_origins_that_were_told_are_let_in() {
    let options = |options: HttpOptions| {
        let hosts = Hosts::Known(vec!["gallery.example".to_owned()]);
        options
            .with_hosts(hosts)
            .trust_origin("https://front.example")
            .unwrap()
    };
    let server = Setup::idle().options(options).start().await;
    for (host, status) in [
        ("gallery.example", 200),
        ("localhost:1", 200),
        ("other.example", 421),
    ] {
        assert_eq!(
            server
                .get("/healthz")
                .header("host", host)
                .send()
                .await
                .unwrap()
                .status(),
            status,
            "{host}"
        );
    }
    let own = format!("http://{}", server.address);
    for (origin, status) in [
        ("https://front.example", 200),
        (&*own, 200),
        ("https://front.example:444", 403),
    ] {
        let request = server
            .post("/prompt/check")
            .header("origin", origin)
            .json(&json!({"prompt": "a fox"}));
        assert_eq!(request.send().await.unwrap().status(), status, "{origin}");
    }
    let open = Setup::idle().options(any_host).start().await;
    assert_eq!(
        open.get("/healthz")
            .header("host", "other.example")
            .send()
            .await
            .unwrap()
            .status(),
        200
    );
    let error = HttpOptions::new(Stopping::new())
        .trust_origin("https://front.example/path")
        .unwrap_err();
    assert!(error.to_string().contains("path"), "{error}");
}

/// H3: what is sent to it is held for a while, and then the connection ends.
#[tokio::test]
async fn who_does_not_read_is_not_waited_for() {
    let (held, gone) = oneshot::channel::<()>();
    let held = Arc::new(Mutex::new(Some(held)));
    let endless = async move || {
        let held = held.lock().unwrap().take();
        Body::from_stream(stream::repeat_with(move || {
            let _held = &held;
            Ok::<_, Infallible>(Bytes::from_static(&[0; 16 * 1024]))
        }))
    };
    let router = Router::new().route("/", get(endless));
    let listener = http::listen(([127, 0, 0, 1], 0).into()).unwrap();
    let address = listener.local_addr().unwrap();
    let options = ServeOptions::default().with_write_time(Duration::from_millis(300));
    let served = tokio::spawn(http::serve(router, vec![listener], options, Stopping::new()));
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket
        .write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await
        .unwrap();
    // The answer is dropped with the connection, and what it holds with it.
    let ended = tokio::time::timeout(Duration::from_secs(20), gone).await;
    ended.expect("the server closes").unwrap_err();
    served.abort();
}

#[tokio::test]
async fn half_a_request_is_not_waited_for_and_the_house_can_be_full() {
    let serve = ServeOptions::default()
        .with_head_time(Duration::from_millis(300))
        .with_connections(2);
    let server = Setup {
        serve,
        ..Setup::idle()
    }
    .start()
    .await;
    // Two that say nothing hold the two places; the third is shown the door.
    let mut quiet = Vec::new();
    for _ in 0..2 {
        let mut socket = TcpStream::connect(server.address).await.unwrap();
        socket
            .write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nx-ha")
            .await
            .unwrap();
        quiet.push(socket);
    }
    let third = server
        .raw(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .await;
    assert_eq!(third, "");
    for mut socket in quiet {
        let mut rest = Vec::new();
        let closed = tokio::time::timeout(Duration::from_secs(10), socket.read_to_end(&mut rest)).await;
        drop(closed.expect("the server closes"));
        assert!(!String::from_utf8_lossy(&rest).contains("200 OK"));
    }
    // Their places are free again.
    let Server { gateway, .. } = &server;
    gateway.ready().await.unwrap();
    assert_eq!(server.get("/healthz").send().await.unwrap().status(), 200);
}

/// H12, over real sockets and by the real clock.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sender_has_its_share_of_requests_and_hears_when_to_come_back() {
    let most = std::num::NonZeroU32::new(60);
    let proxied = |options: HttpOptions| {
        let proxies = vec!["127.0.0.1/32".parse().unwrap()];
        options
            .with_requests_per_minute(most)
            .with_trusted_proxies(proxies)
    };
    let server = Arc::new(Setup::idle().options(proxied).start().await);
    let from = |path: &str, sender: &str| server.get(path).header("x-forwarded-for", sender);
    let clients = (0..32).map(|_| {
        let requests: Vec<_> = (0..5).map(|_| from("/jobs", "192.0.2.1")).collect();
        tokio::spawn(async move {
            let mut taken = 0;
            for request in requests {
                let answer = request.send().await.unwrap();
                if answer.status() == StatusCode::OK {
                    taken += 1;
                } else {
                    assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
                    assert_eq!(answer.headers()["retry-after"], "1");
                    let problem: Value = answer.json().await.unwrap();
                    assert_eq!(problem["code"], "too_many_requests");
                }
            }
            taken
        })
    });
    let taken: i32 = join_all(clients).await.into_iter().map(Result::unwrap).sum();
    // One more comes back each second that this takes.
    assert!((60..=75).contains(&taken), "{taken}");
    let (status, _) = send(from("/jobs", "192.0.2.2")).await;
    assert_eq!(status, StatusCode::OK);
    let (status, _) = send(from("/healthz", "192.0.2.1")).await;
    assert_eq!(status, StatusCode::OK);
    let callback = server
        .post("/webhook/midjourney")
        .header("x-forwarded-for", "192.0.2.1");
    let (status, _) = send(callback.body("{}")).await;
    assert_ne!(status, StatusCode::TOO_MANY_REQUESTS);
}
