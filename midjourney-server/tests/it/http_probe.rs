//! Probes of our own callback address, over real sockets: each cause that can be made on one machine.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use midjourney_core::{
    clock::Clock as _,
    key::Secret,
    net::{Outbound, OutboundOptions},
    testing::{FakeClock, wait_until},
    webhook::{CallbackRegistration, PROBE_HEADER},
};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::http_support::{Log, Server, Setup, send, text};

/// Goes everywhere, and waits half a second.
fn outbound(allow_private: bool) -> Outbound {
    let mut options = OutboundOptions::default().with_allow_private(allow_private);
    options.total_timeout = Duration::from_millis(500);
    Outbound::new(options).unwrap()
}

fn registered(url: &str, secret: &str) -> CallbackRegistration {
    CallbackRegistration::new(url, Secret::new(secret))
}

fn probing() -> Setup {
    Setup::idle().options(|options| options.with_outbound(outbound(true)))
}

/// A gateway whose callback address is said to be `url`.
async fn at(url: &str) -> Server {
    let callback = Some(registered(url, Setup::CALLBACK_SECRET));
    Setup {
        callback,
        ..probing()
    }
    .start()
    .await
}

async fn probed(server: &Server) -> Value {
    let (status, probe) = send(server.post("/webhooks/test")).await;
    assert_eq!(status, StatusCode::OK, "{probe}");
    assert_eq!(
        probe["reached"].as_bool(),
        Some(probe["cause"].is_null()),
        "{probe}"
    );
    assert_eq!(probe["mend"].is_null(), probe["cause"].is_null(), "{probe}");
    probe
}

async fn cause(url: &str) -> String {
    let server = at(url).await;
    let probe = probed(&server).await;
    let (_, status) = send(server.get("/webhooks/status")).await;
    assert_eq!(status["last_probe"]["cause"], probe["cause"], "{status}");
    text(&probe, "cause").to_owned()
}

/// A server that is none of ours: answers each request with these bytes, or never.
async fn stranger(answer: Option<&'static str>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut kept = Vec::new();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            request(&mut stream).await;
            if let Some(answer) = answer {
                drop(stream.write_all(answer.as_bytes()).await);
            }
            kept.push(stream);
        }
    });
    address
}

/// A whole request with its body, of a client that tells its length.
async fn request(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let mut piece = [0; 4_096];
        let read = stream.read(&mut piece).await.unwrap();
        bytes.extend_from_slice(&piece[..read]);
        let so_far = String::from_utf8_lossy(&bytes).into_owned();
        let whole = so_far.split_once("\r\n\r\n").is_some_and(|(head, body)| {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            length.is_none_or(|length| body.len() >= length.parse().unwrap())
        });
        if whole || read == 0 {
            return so_far;
        }
    }
}

/// A proxy in front of `server` that passes on all but one header.
async fn stripping_proxy(server: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let request = request(&mut stream).await;
            let (before, rest) = request.split_once(&format!("{PROBE_HEADER}: ")).unwrap();
            let (_, after) = rest.split_once("\r\n").unwrap();
            let passed = format!("{before}connection: close\r\n{after}");
            let mut behind = TcpStream::connect(server).await.unwrap();
            behind.write_all(passed.as_bytes()).await.unwrap();
            tokio::io::copy(&mut behind, &mut stream).await.unwrap();
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_goes_through_the_whole_public_path() {
    let server = Setup {
        callbacks_here: true,
        ..probing()
    }
    .start()
    .await;
    let (_, before) = send(server.get("/webhooks/status")).await;
    assert_eq!(
        (
            &before["configured"],
            &before["reachable"],
            &before["verdicts"]["probe"]
        ),
        (&json!(true), &Value::Null, &json!(0))
    );
    assert_eq!(probed(&server).await["cause"], Value::Null);
    let (_, after) = send(server.get("/webhooks/status")).await;
    assert_eq!(
        after["public_url"],
        json!(server.url("/webhook/midjourney")),
        "{after}"
    );
    assert_eq!(
        (
            &after["reachable"],
            &after["verdicts"]["probe"],
            &after["last_callback_at"]
        ),
        (&json!(true), &json!(1), &Value::Null),
        "{after}"
    );
    let (_, page) = send(server.get("/webhooks/events")).await;
    assert_eq!(page["callbacks"].as_array().unwrap().len(), 1, "{page}");
    assert_eq!(text(&page["callbacks"][0], "verdict"), "probe");
}

#[tokio::test]
async fn a_gateway_that_nobody_calls_has_nothing_to_probe() {
    let server = probing().start().await;
    let (status, problem) = send(server.post("/webhooks/test")).await;
    assert_eq!(
        (status, text(&problem, "code")),
        (StatusCode::CONFLICT, "conflict")
    );
    let (_, status) = send(server.get("/webhooks/status")).await;
    assert_eq!(
        (&status["configured"], &status["public_url"]),
        (&json!(false), &Value::Null)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_probe_gets_no_answer_the_step_is_named() {
    assert_eq!(cause("http://nowhere.invalid/webhook/midjourney").await, "dns");
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    assert_eq!(cause(&format!("http://{address}/cb")).await, "connection");
    let plain = Setup::idle().start().await;
    let url = format!("https://{}/webhook/midjourney", plain.address);
    assert_eq!(cause(&url).await, "tls");
    let silent = stranger(None).await;
    assert_eq!(cause(&format!("http://{silent}/cb")).await, "timeout");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_address_is_probed_only_where_the_operator_allows_it() {
    let server = Setup {
        callbacks_here: true,
        ..Setup::idle().options(|options| options.with_outbound(outbound(false)))
    }
    .start()
    .await;
    assert_eq!(text(&probed(&server).await, "cause"), "private_address");
    let (_, page) = send(server.get("/webhooks/events?verdict=missed")).await;
    assert!(
        text(&page["callbacks"][0], "detail").starts_with("private_address: "),
        "{page}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_answers_in_our_place_is_told_apart() {
    for (answer, expected) in [
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n<html>",
            "other_server",
        ),
        (
            "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n",
            "wrong_path",
        ),
        (
            "HTTP/1.1 301 Moved\r\nlocation: https://gw.example/\r\ncontent-length: 0\r\n\r\n",
            "redirected",
        ),
        (
            "HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n",
            "proxy_failed",
        ),
        ("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n", "timeout"),
        ("nonsense\r\n\r\n", "connection"),
    ] {
        let address = stranger(Some(answer)).await;
        assert_eq!(cause(&format!("http://{address}/cb")).await, expected, "{answer}");
    }
    // Our own server, under a path that takes no callbacks.
    let other = Setup::idle().start().await;
    assert_eq!(cause(&other.url("/webhooks/midjourney")).await, "wrong_path");
    // One of its names that it was not told.
    let named = format!("http://gw.localhost:{}/webhook/midjourney", other.address.port());
    assert!(["unknown_host", "dns"].contains(&cause(&named).await.as_str()));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_gateway_is_known_by_its_secret_and_its_clock() {
    let place = "http://127.0.0.1:1/webhook/midjourney";
    let with = |secret: &str| Setup {
        callback: Some(registered(place, secret)),
        ..Setup::idle()
    };
    let stranger = with("of somebody else").start().await;
    assert_eq!(cause(&stranger.url("/webhook/midjourney")).await, "wrong_secret");
    let now = midjourney_core::clock::SystemClock.now();
    let fast = FakeClock::at(now.saturating_add(Duration::from_secs(900)));
    let skewed = Setup {
        clock: Arc::new(fast),
        ..with(Setup::CALLBACK_SECRET)
    };
    let skewed = skewed.start().await;
    let server = at(&skewed.url("/webhook/midjourney")).await;
    let probe = probed(&server).await;
    assert_eq!(text(&probe, "cause"), "clock_skew");
    assert!(text(&probe, "detail").ends_with(" s ahead"), "{probe}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_takes_a_header_out_is_found() {
    let behind = Setup {
        callback: Some(registered("http://127.0.0.1:1", Setup::CALLBACK_SECRET)),
        ..Setup::idle()
    };
    let behind = behind.start().await;
    let proxy = stripping_proxy(behind.address).await;
    let url = format!("http://{proxy}/webhook/midjourney");
    assert_eq!(cause(&url).await, "headers_stripped");
}

/// Hour by hour: gone, still gone, there again. On one thread, for the subscriber is of this thread alone.
#[tokio::test]
async fn the_log_tells_once_that_the_address_is_gone_and_once_that_it_is_back() {
    let log = Log::default();
    let _guard = log.listen(tracing::Level::INFO);

    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    let clock = FakeClock::at(midjourney_core::clock::SystemClock.now());
    let url = format!("http://{address}/webhook/midjourney");
    let setup = || Setup {
        callback: Some(registered(&url, Setup::CALLBACK_SECRET)),
        clock: Arc::new(clock.clone()),
        ..Setup::idle()
    };
    let server = setup().start().await;
    let gateway = server.gateway.clone();
    let watching = tokio::spawn(async move { gateway.watch_callbacks(&outbound(true)).await });
    let probes = async |count: u64| {
        wait_until("the next probe", Duration::from_secs(20), async || {
            let status = server.gateway.callback_status().await.unwrap();
            let probes = status.verdicts["probe"] + status.verdicts["missed"];
            if probes == count && clock.sleepers() > 0 {
                Ok(())
            } else {
                Err(probes)
            }
        })
        .await;
    };
    probes(1).await;
    clock.advance(Duration::from_secs(3_599));
    probes(1).await;
    clock.advance(Duration::from_secs(1));
    probes(2).await;
    assert_eq!((log.count(" WARN "), log.count("cause=\"connection\"")), (1, 1));
    let back = Setup {
        listen: address,
        jobs: Arc::clone(&server.jobs),
        ..setup()
    };
    let _back = back.start().await;
    for count in [3, 4] {
        clock.advance(Duration::from_secs(3_600));
        probes(count).await;
    }
    assert_eq!((log.count(" WARN "), log.count("come through again")), (1, 1));
    watching.abort();
}
