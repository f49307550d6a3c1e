//! A server that says what it is told to, byte for byte.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail as tests do"
)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use url::Url;

/// What a scripted server does once it has said its words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Close,
    Reset,
    /// It says this again and again, until nobody listens.
    GoOn(&'static [u8]),
    /// It gives a byte now and then, for as long as anybody listens.
    Drip,
    Stall,
}

/// Somebody who answers every request alike, whatever it is, but lets people sign in.
pub(crate) struct Scripted {
    pub(crate) base: Url,
    /// How many requests came, sign-ins aside.
    pub(crate) asked: Arc<AtomicUsize>,
    /// How many bytes of answers were taken.
    pub(crate) taken: Arc<AtomicUsize>,
    /// How many hung up on an answer that would have gone on.
    pub(crate) left: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Scripted {
    pub(crate) async fn start(words: Vec<u8>, end: End) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}/", listener.local_addr().unwrap());
        let counts = Counts::default();
        let Counts { asked, taken, left } = counts.clone();
        let words = Arc::new(words);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (counts, words) = (counts.clone(), Arc::clone(&words));
                tokio::spawn(async move {
                    answer(stream, &counts, &words, end).await;
                });
            }
        });
        let base = base.parse().unwrap();
        Self {
            base,
            asked,
            taken,
            left,
            task,
        }
    }
}

#[derive(Clone, Default)]
struct Counts {
    asked: Arc<AtomicUsize>,
    taken: Arc<AtomicUsize>,
    left: Arc<AtomicUsize>,
}

async fn answer(mut stream: TcpStream, counts: &Counts, words: &[u8], end: End) {
    let Some(head) = request(&mut stream).await else {
        return;
    };
    if head.starts_with("POST /api/firebase-login") {
        let body = r#"{"authUser": {"id": "somebody"}}"#;
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
        stream.write_all(format!("{head}{body}").as_bytes()).await.ok();
        return;
    }
    counts.asked.fetch_add(1, Ordering::SeqCst);
    if stream.write_all(words).await.is_err() {
        return;
    }
    match end {
        End::Close => {}
        // Closing at once without lingering sends a reset.
        End::Reset => drop(stream.set_zero_linger()),
        End::Stall => std::future::pending().await,
        End::GoOn(more) => {
            while stream.write_all(more).await.is_ok() {
                counts.taken.fetch_add(more.len(), Ordering::SeqCst);
            }
            counts.left.fetch_add(1, Ordering::SeqCst);
        }
        End::Drip => {
            while stream.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            counts.left.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// Reads a whole request, and tells its head.
async fn request(stream: &mut TcpStream) -> Option<String> {
    let (mut read, mut piece) = (Vec::new(), [0; 1_024]);
    loop {
        let taken = stream.read(&mut piece).await.ok().filter(|taken| *taken > 0)?;
        read.extend_from_slice(&piece[..taken]);
        let text = String::from_utf8_lossy(&read);
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head
            .to_lowercase()
            .split("content-length: ")
            .nth(1)
            .and_then(|rest| rest.split("\r\n").next()?.parse().ok());
        if body.len() >= length.unwrap_or(0) {
            return Some(head.to_owned());
        }
    }
}
