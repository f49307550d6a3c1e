//! Answers that are none, each given to every client: what comes of them is told by type, nothing is sent twice, and no key
//! shows.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::future_not_send,
    reason = "helpers of tests fail as tests do, and run on their thread"
)]

use std::{
    sync::{Arc, LazyLock, atomic::Ordering},
    time::Duration,
};

use futures_util::future::join_all;
use midjourney_core::{
    client::{ClientError, MidjourneyClient, ParentTask, Reconciliation, Submission},
    clock::{Clock as _, OsEntropy},
    error::{Applied, Chain},
    id::JobId,
    job::{FailureKind, JobRequest, Nonce, RemoteStatus, Spent, UpstreamId},
    net::{Outbound, OutboundOptions},
    testing::{FakeClock, wait_until},
};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    task::JoinHandle,
};
use url::Url;

use crate::{
    every_client::{CANARY, every_client, guessing},
    scripted::{End, Scripted},
};

/// The task that is asked about.
const ID: &str = "aaaaaaaa-0000-0000-0000-000000000001";

/// The most that is kept of an answer, with the words around it.
const KEPT: usize = 2_300;

fn ok(content_type: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn json_of(body: impl AsRef<[u8]>) -> (Vec<u8>, End) {
    (ok("application/json", body.as_ref()), End::Close)
}

/// Bodies that answer nothing.
fn bodies() -> Vec<Vec<u8>> {
    let mut bodies: Vec<Vec<u8>> = [
        "",
        " ",
        "null",
        "true",
        "0",
        "-1",
        "1e999",
        "\"\"",
        "[]",
        "[1]",
        "[{}]",
        "{}",
        "{",
        "}",
        "{\"",
        "{\"task_id\"",
        "{\"task_id\":",
        "{\"status\":",
        "{\"status\":2}",
        "{\"status\":\"SUCCESS\"}",
        "{\"status\":\"SUCCESS\",\"data\":null}",
        "{\"status\":\"SUCCESS\",\"data\":[{\"jobId\":\"a\"}]}",
        "{\"status\":1,\"data\":\"a\"}",
        "{\"data\":{\"id\":\"1\"}}",
        "{\"data\":{\"jobId\":\"a/b\"},\"status\":\"SUCCESS\"}",
        "{\"success\":true}",
        "{\"success\":\"yes\"}",
        "{\"success\":false}",
        "{\"success\":false,\"error\":[]}",
        "{\"success\":false,\"error\":{\"code\":7}}",
        "{\"code\":1}",
        "{\"code\":\"1\"}",
        "{\"code\":1,\"result\":null}",
        "{\"code\":1,\"result\":[]}",
        "{\"code\":1,\"result\":\"a/b\"}",
        "{\"errors\":{}}",
        "{\"errors\":[]}",
        "{\"response\":{}}",
        "{\"response\":[[]]}",
        "{\"image_urls\":[]}",
        "{\"success\":[],\"failure\":[]}",
        "ok",
        "提交成功",
        "{'task_id':1}",
        "{\"task_id\":01}",
        "\u{feff}{\"task_id\":\"a\"}",
        "{\"task_id\":\"a\"}{\"task_id\":\"a\"}",
        "<html>502 canary-5ecret-key</html>",
        "<!doctype html>",
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec();
    for name in ["id", "task_id", "job_id", "taskId", "jobId", "result"] {
        for value in [
            "null", "true", "{}", "[]", "[1]", "\"\"", "\"..\"", "\"a b\"", "\"a/b\"", "\"../x\"", "\"a",
        ] {
            bodies.push(format!("{{\"{name}\":{value}}}").into_bytes());
        }
        bodies.push([b"{\"", name.as_bytes(), b"\":\"\xff\"}"].concat());
    }
    bodies.push(vec![0xff, 0xfe, 0x00]);
    bodies.push([&b"\xff"[..], &b"canary-5ecret-key ".repeat(1_000)].concat());
    bodies.push(vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]);
    bodies.push([b"[".repeat(100_000), b"]".repeat(100_000)].concat());
    bodies.push(b"{\"data\":".repeat(100_000));
    bodies
}

/// What else is said in the place of an answer.
fn noises() -> Vec<(Vec<u8>, End)> {
    let head = "HTTP/1.1 200 OK\r\n";
    let texts = [
        String::new(),
        "SSH-2.0-OpenSSH_9.9\r\n".to_owned(),
        "{\"code\":1,\"result\":\"1\"}".to_owned(),
        format!("{head}content-"),
        format!("{head}content-length: 30\r\n\r\n{{\"id\":\"1"),
        format!("{head}content-length: 9\r\n\r\n{{\"id\":\"1234\"}}"),
        format!("{head}content-length: x\r\n\r\n{{}}"),
        format!("{head}content-length: 2\r\ncontent-length: 30\r\n\r\n{{}}"),
        format!("{head}transfer-encoding: chunked\r\n\r\nzz\r\ngarbage"),
        format!("{head}transfer-encoding: chunked\r\n\r\n5\r\n{{\"id\r\n"),
        format!("{head}transfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n{{"),
        format!("{head}content-type: text/html\r\n\r\n<html>canary-5ecret-key"),
        format!("{head}content-encoding: gzip\r\n\r\n<html>canary-5ecret-key"),
        format!("{head}bad header\r\n\r\n{{}}"),
        "HTTP/1.1 204 No Content\r\n\r\n".to_owned(),
        "HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 0\r\n\r\n".to_owned(),
        "HTTP/1.1 999 \r\n\r\n".to_owned(),
        "HTTP/9.9 200 OK\r\n\r\n".to_owned(),
        "HTTP/1.1 100 Continue\r\n\r\n".repeat(1_000),
    ];
    let mut noises: Vec<_> = texts
        .into_iter()
        .map(|text| (text.into_bytes(), End::Close))
        .collect();
    noises.push((Vec::new(), End::Reset));
    noises.push((
        format!("{head}content-length: 30\r\n\r\n{{\"id\":\"1").into_bytes(),
        End::Reset,
    ));
    noises
}

fn imagine() -> Submission {
    let job = JobId::new(FakeClock::new().now(), &OsEntropy);
    Submission::new(job, Nonce::new(&OsEntropy), JobRequest::imagine("a red fox"))
}

async fn submit(client: &dyn MidjourneyClient) -> Result<UpstreamId, ClientError> {
    client.submit(&imagine()).await
}

/// An error that keeps little of the answer, and nothing of the key.
fn assert_fit_to_be_told(error: &ClientError, at: &str) {
    let told = Chain(error).to_string();
    assert!(told.len() <= KEPT, "{at}: {} bytes are kept", told.len());
    assert!(!format!("{told} {error:?}").contains(CANARY), "{at}: {error:?}");
}

/// A submit that got no answer, sent once; nobody knows whether it is paid.
async fn assert_lost(client: &dyn MidjourneyClient, server: &Scripted, at: &str) -> FailureKind {
    let before = server.asked.load(Ordering::SeqCst);
    let error = match submit(client).await {
        Err(error) => error,
        Ok(id) => panic!("{at} was taken for the task {id}"),
    };
    assert_eq!(
        (error.applied, error.failure.spent),
        (Applied::Maybe, Spent::Maybe),
        "{at}: {error:?}"
    );
    let sent = server.asked.load(Ordering::SeqCst) - before;
    assert_eq!(sent, 1, "{at}: sent exactly once");
    assert_fit_to_be_told(&error, at);
    error.failure.kind
}

/// A question that got no answer, which says nothing about the task. By saying `nothing`, some upstreams say that there is
/// none.
async fn assert_no_news(client: &dyn MidjourneyClient, nothing: bool, at: &str) {
    match client.status(&UpstreamId::new(ID)).await {
        Ok(RemoteStatus::Missing) if nothing => {}
        // A word that says nothing about a task's end is no end.
        Ok(RemoteStatus::Running { progress: None }) if at.contains("\"status\"") => {}
        Ok(other) => panic!("{at} was taken for {other:?}"),
        Err(error) => {
            assert_eq!(
                (error.applied, error.retry),
                (Applied::No, true),
                "{at}: {error:?}"
            );
            assert_fit_to_be_told(&error, at);
        }
    }
}

fn outbound() -> Outbound {
    Outbound::new(OutboundOptions::default()).unwrap()
}

fn shown(words: &[u8]) -> String {
    String::from_utf8_lossy(&words[..words.len().min(140)]).into_owned()
}

async fn clients(base: &Url, outbound: &Outbound) -> Vec<(&'static str, Arc<dyn MidjourneyClient>)> {
    let mut clients = every_client(base, outbound).await;
    clients.push(("midjourney-proxy", guessing(base, outbound).await));
    clients
}

/// Every client at a server that talks so, all at once.
async fn each_at<F>(
    outbound: &Outbound,
    words: &[u8],
    end: End,
    check: impl Fn(&'static str, Arc<dyn MidjourneyClient>, Arc<Scripted>) -> F,
) where
    F: Future<Output = ()>,
{
    // The clients are made for their servers, so each is taken from a list of its own.
    let count = clients(&"http://gateway.invalid".parse().unwrap(), outbound)
        .await
        .len();
    join_all((0..count).map(|place| {
        let check = &check;
        async move {
            let server = Arc::new(Scripted::start(words.to_vec(), end).await);
            let (name, client) = clients(&server.base, outbound).await.swap_remove(place);
            check(name, client, Arc::clone(&server)).await;
        }
    }))
    .await;
}

/// U5: what is no answer is an error by its type, whatever the client.
#[tokio::test]
async fn what_is_no_answer_is_lost_and_never_sent_again() {
    let outbound = outbound();
    let bodies = bodies();
    let rows: Vec<_> = bodies.iter().map(json_of).chain(noises()).collect();
    assert!(rows.len() >= 100, "{}", rows.len());
    for (words, end) in rows {
        let nothing = words.ends_with(b"\r\n\r\n")
            || words.ends_with(b" ")
            || words.ends_with(b"null")
            || words.ends_with(b"[]");
        let row = shown(&words);
        each_at(&outbound, &words, end, |name, client, server| {
            let at = format!("{name}: {row}");
            async move {
                assert_lost(&*client, &server, &at).await;
                assert_no_news(&*client, nothing, &at).await;
                let found = client.reconcile(&imagine()).await;
                let known = matches!(found, Ok(Reconciliation::Found(_) | Reconciliation::Absent));
                assert!(!known, "{at}: {found:?}");
                if client.capabilities().seed {
                    let parent = ParentTask::new(UpstreamId::new(ID), Vec::new(), String::new());
                    let seed = client.seed(&parent).await;
                    assert!(!matches!(seed, Ok(Some(_))), "{at}: {seed:?}");
                }
            }
        })
        .await;
    }
    for (_, client) in clients(&"http://gateway.invalid".parse().unwrap(), &outbound).await {
        for body in &bodies {
            assert!(client.parse_callback(body).is_err(), "{}", shown(body));
        }
    }
}

fn said(status: u16, header: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status} As Scripted\r\n{header}content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// U2: a breakdown tells nothing about a submit, and nothing about a task.
#[tokio::test]
async fn a_breakdown_is_no_answer() {
    let outbound = outbound();
    for status in [500, 502, 503, 504, 520, 599] {
        let words = said(status, "", &format!("<html>{CANARY}"));
        each_at(&outbound, &words, End::Close, |name, client, server| async move {
            let at = format!("{name}: {status}");
            let kind = assert_lost(&*client, &server, &at).await;
            assert_eq!(kind, FailureKind::Transient, "{at}");
            assert_no_news(&*client, false, &at).await;
        })
        .await;
    }
}

/// U1: whoever asks for patience gets it, up to an hour.
#[tokio::test]
async fn too_many_requests_wait_as_long_as_is_asked() {
    let outbound = outbound();
    let hour = Some(Duration::from_secs(3_600));
    for (header, wait) in [
        ("", None),
        ("retry-after: 7\r\n", Some(Duration::from_secs(7))),
        ("retry-after: 0\r\n", Some(Duration::ZERO)),
        ("retry-after: -5\r\n", None),
        ("retry-after: soon\r\n", None),
        ("retry-after: 1000000000\r\n", hour),
        ("retry-after: Sat, 06 Nov 2094 08:00:00 GMT\r\n", hour),
        (
            "retry-after: Sun, 06 Nov 1994 08:00:00 GMT\r\n",
            Some(Duration::ZERO),
        ),
    ] {
        let words = said(429, header, CANARY);
        each_at(&outbound, &words, End::Close, |name, client, server| async move {
            let at = format!("{name}: {header}");
            let question = client.status(&UpstreamId::new(ID)).await.unwrap_err();
            for error in [submit(&*client).await.unwrap_err(), question] {
                assert_eq!(
                    (error.failure.kind, error.applied, error.retry, error.retry_after),
                    (FailureKind::RateLimited, Applied::No, true, wait),
                    "{at}: {error:?}"
                );
                assert_fit_to_be_told(&error, &at);
            }
            assert_eq!(server.asked.load(Ordering::SeqCst), 2, "{at}: each asked once");
        })
        .await;
    }
}

/// U10: a key that is refused costs nothing, is not tried again, and is not told.
#[tokio::test]
async fn a_refused_key_is_the_accounts_trouble() {
    let outbound = outbound();
    for status in [401, 403] {
        let words = said(status, "", &format!("the key {CANARY} is not known"));
        each_at(&outbound, &words, End::Close, |name, client, _| async move {
            let at = format!("{name}: {status}");
            if status == 401 && name.starts_with("midjourney-web") {
                // A session is renewed first; what comes of that is told in tests of its own.
                return;
            }
            let question = client.status(&UpstreamId::new(ID)).await.unwrap_err();
            for error in [submit(&*client).await.unwrap_err(), question] {
                let kinds = [FailureKind::AccountBlocked, FailureKind::NeedsPerson];
                assert!(kinds.contains(&error.failure.kind), "{at}: {error:?}");
                assert_eq!(
                    (error.applied, error.retry, error.failure.spent),
                    (Applied::No, false, Spent::No),
                    "{at}: {error:?}"
                );
                assert_fit_to_be_told(&error, &at);
            }
        })
        .await;
    }
}

/// A piece of a JSON text that never ends, as a chunk of 64 KiB.
static CHUNK: LazyLock<Vec<u8>> =
    LazyLock::new(|| [b"10000\r\n".as_slice(), &[b' '; 0x1_0000], b"\r\n"].concat());

/// A MiB of zeros, packed into 1 kB: a whole gzip file, of which any number make one.
static BOMB: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let head = b"\x1f\x8b\x08\0\0\0\0\0\x02\x03\xed\xc1\x31\x01\0\0\0\xc2\xa0\xf5\x4f\x6d\x08\x5f\xa0";
    let tail = b"\x3e\x03\x1c\xea\x38\xa7\0\0\x10\0";
    [head.as_slice(), &[0; 1_016], tail].concat()
});

/// The longest answer that is read, with what lies in the buffers on the way.
const MOST: usize = 20 * 1024 * 1024;

/// U6: what is longer than any answer is not read to its end, nor unpacked.
#[tokio::test]
async fn huge_answers_are_cut() {
    let outbound = outbound();
    let chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    let packed = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n".to_vec();
    let claimed = b"HTTP/1.1 200 OK\r\ncontent-length: 1073741824\r\n\r\n".to_vec();
    let mut headed = b"HTTP/1.1 200 OK\r\n".to_vec();
    for number in 0..1_000_000 {
        headed.extend(format!("x-{number}: y\r\n").into_bytes());
    }
    let line = [
        b"HTTP/1.1 200 OK\r\nx: ".as_slice(),
        &vec![b'y'; 4 << 20],
        b"\r\n\r\n{}",
    ]
    .concat();
    for (what, words, end) in [
        ("endless", chunked, End::GoOn(&CHUNK)),
        ("packed", packed, End::GoOn(&BOMB)),
        ("claimed", claimed, End::Stall),
        ("a million headers", headed, End::Stall),
        ("a long header", line, End::Stall),
    ] {
        each_at(&outbound, &words, end, |name, client, server| async move {
            let at = format!("{name}: {what}");
            assert_lost(&*client, &server, &at).await;
            assert_no_news(&*client, false, &at).await;
            let (asked, taken) = (&server.asked, server.taken.load(Ordering::SeqCst));
            let most = asked.load(Ordering::SeqCst) * MOST;
            assert!(taken < most, "{at}: {taken} bytes were taken");
        })
        .await;
    }
}

/// A place where connections are begun and never made. Drop the sockets to let go of it.
async fn unreachable() -> (Url, Vec<JoinHandle<()>>) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    // Whoever is not accepted fills the queue; those behind them wait outside.
    let mut waiting = vec![tokio::spawn(async move {
        let _listener = listener;
        std::future::pending::<()>().await;
    })];
    for _ in 0..8 {
        waiting.push(tokio::spawn(async move {
            let _stream = TcpStream::connect(address).await;
            std::future::pending::<()>().await;
        }));
    }
    let full = async || {
        let connect = TcpStream::connect(address);
        let connected = tokio::time::timeout(Duration::from_millis(100), connect).await;
        if connected.is_err() {
            Ok(())
        } else {
            Err("somebody comes through")
        }
    };
    wait_until("the queue is full", Duration::from_secs(30), full).await;
    (format!("http://{address}/").parse().unwrap(), waiting)
}

/// Limits that a test can wait for.
fn impatient(connect: Duration, total: Duration) -> Outbound {
    let mut options = OutboundOptions::default();
    options.connect_timeout = connect;
    options.total_timeout = total;
    Outbound::new(options).unwrap()
}

/// U3: before the request is out, nothing is spent.
#[tokio::test]
async fn a_connection_that_is_not_made_costs_nothing_and_ends_at_its_limit() {
    let outbound = impatient(Duration::from_millis(200), Duration::from_secs(60));
    let (nowhere, waiting) = unreachable().await;
    let silent = Scripted::start(Vec::new(), End::Stall).await;
    let mut tls = silent.base.clone();
    tls.set_scheme("https").unwrap();
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let refused = format!("http://{}/", closed.local_addr().unwrap());
    drop(closed);
    let unknown = "http://gateway.invalid/".parse().unwrap();
    for base in [nowhere, tls, refused.parse().unwrap(), unknown] {
        let clients = clients(&base, &outbound).await;
        join_all(clients.iter().map(|(name, client)| {
            let at = format!("{name}: {base}");
            async move {
                let error = submit(&**client).await.unwrap_err();
                assert_eq!(
                    (
                        error.failure.kind,
                        error.applied,
                        error.retry,
                        error.failure.spent
                    ),
                    (FailureKind::Transient, Applied::No, true, Spent::No),
                    "{at}: {error:?}"
                );
                assert_no_news(&**client, false, &at).await;
            }
        }))
        .await;
    }
    assert_eq!(silent.asked.load(Ordering::SeqCst), 0);
    waiting.iter().for_each(JoinHandle::abort);
}

/// U3: once it is out, a silence is a lost answer.
#[tokio::test]
async fn an_answer_that_does_not_come_is_lost_at_its_limit() {
    let outbound = impatient(Duration::from_secs(30), Duration::from_millis(500));
    for words in [
        "",
        "HTTP/1.1 200 OK\r\ncontent-",
        "HTTP/1.1 200 OK\r\ncontent-length: 30\r\n\r\n{\"id\":",
    ] {
        each_at(
            &outbound,
            words.as_bytes(),
            End::Stall,
            |name, client, server| async move {
                let at = format!("{name}: {words}");
                let kind = assert_lost(&*client, &server, &at).await;
                assert_eq!(kind, FailureKind::TimedOut, "{at}");
                assert_no_news(&*client, false, &at).await;
            },
        )
        .await;
    }
}

/// U3: nobody is waited for longer than this.
#[test]
fn each_stage_has_a_limit_of_its_own() {
    let limits = OutboundOptions::default();
    let secs = Duration::from_secs;
    assert!(limits.connect_timeout <= secs(5) && limits.headers_timeout <= secs(15));
    assert!(limits.idle_timeout <= secs(30) && limits.total_timeout <= secs(60));
}
