//! An upstream in this process, for what must not be disturbed by drawing: it takes every task, remembers where it is to
//! call back, and never gets done. It speaks as much of LegNext's interface as that needs.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::Outcome;

/// What callbacks are signed with.
pub(crate) const SECRET: &str = "what-callbacks-are-signed-with";

/// The name by which ours takes callbacks. Nobody looks it up.
pub(crate) const CALLBACK_HOST: &str = "callbacks.example";

/// The most jobs that an account may have under way.
const SLOTS: usize = 10_000;

/// A task that was taken.
#[derive(Clone, Debug)]
pub(crate) struct Task {
    pub(crate) id: String,
    /// The path of the address to call back.
    pub(crate) callback: String,
    pub(crate) prompt: String,
}

/// Answers from a thread of its own until the process ends.
pub(crate) struct Upstream {
    address: SocketAddr,
    accounts: usize,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    tasks: Mutex<Vec<Task>>,
    taken: AtomicUsize,
    silent: AtomicBool,
}

impl Upstream {
    /// One that can have `tasks` under way.
    pub(crate) fn open(tasks: usize) -> Outcome<Self> {
        let shared = Arc::new(Shared::default());
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let served = Arc::clone(&shared);
        std::thread::spawn(move || runtime.block_on(serve(listener, served)));
        let accounts = tasks.div_ceil(SLOTS).max(1);
        Ok(Self {
            address,
            accounts,
            shared,
        })
    }

    /// One that takes connections and says nothing, so that those who call it soon rest.
    pub(crate) fn silent() -> Outcome<Self> {
        let upstream = Self::open(1)?;
        upstream.fall_silent();
        Ok(upstream)
    }

    /// Answers nothing from now on.
    pub(crate) fn fall_silent(&self) {
        self.shared.silent.store(true, Ordering::SeqCst);
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many tasks it took.
    pub(crate) fn taken(&self) -> usize {
        self.shared.taken.load(Ordering::SeqCst)
    }

    /// Every task that it took.
    pub(crate) fn tasks(&self) -> Vec<Task> {
        self.shared
            .tasks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The configuration of ours for it.
    pub(crate) fn settings(&self) -> String {
        let accounts: String = (0..self.accounts)
            .map(|number| {
                format!(
                    "  a{number}: {{ kind: legnext, base_url: \"{}\", key: compare, slots: {SLOTS}, webhook_secret: {SECRET} }}\n",
                    self.url()
                )
            })
            .collect();
        format!(
            "webhook:\n  public_url: \"http://{CALLBACK_HOST}/webhook/midjourney\"\n  secret: the-secret-of-the-addresses\n\
             engine:\n  concurrency: 64\naccounts:\n{accounts}"
        )
    }
}

async fn serve(listener: std::net::TcpListener, shared: Arc<Shared>) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(answer(stream, Arc::clone(&shared)));
    }
}

async fn answer(mut stream: TcpStream, shared: Arc<Shared>) -> io::Result<()> {
    let mut request = Vec::with_capacity(4096);
    loop {
        let Some((head, body)) = read(&mut stream, &mut request).await? else {
            return Ok(());
        };
        if shared.silent.load(Ordering::SeqCst) {
            // The connection stays open, and so does the question.
            std::future::pending::<()>().await;
        }
        let said = if head.starts_with("POST") {
            let number = shared.taken.fetch_add(1, Ordering::SeqCst);
            let id = format!("00000000-0000-4000-8000-{number:012x}");
            let said = format!(
                "{{\"job_id\":\"{id}\",\"id\":\"{id}\",\"task_type\":\"diffusion\",\"status\":\"pending\"}}"
            );
            remember(&shared, id, &body);
            said
        } else {
            let path = head.split_whitespace().nth(1).unwrap_or_default();
            let id = path.rsplit('/').next().unwrap_or_default();
            format!("{{\"job_id\":\"{id}\",\"task_type\":\"diffusion\",\"status\":\"processing\"}}")
        };
        let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ";
        stream
            .write_all(format!("{head}{}\r\n\r\n{said}", said.len()).as_bytes())
            .await?;
    }
}

fn remember(shared: &Shared, id: String, body: &[u8]) {
    let asked: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |name: &str| {
        asked
            .get(name)
            .and_then(serde_json::Value::as_str)
            .unwrap_or_default()
    };
    let callback = text("callback")
        .split_once(CALLBACK_HOST)
        .map(|(_, path)| path.to_owned());
    let task = Task {
        id,
        callback: callback.unwrap_or_default(),
        prompt: text("text").to_owned(),
    };
    shared
        .tasks
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(task);
}

/// The head and the body of the next request; `None` where there are no more.
async fn read(stream: &mut TcpStream, request: &mut Vec<u8>) -> io::Result<Option<(String, Vec<u8>)>> {
    request.clear();
    loop {
        if stream.read_buf(request).await? == 0 {
            return Ok(None);
        }
        let Some(end) = request.windows(4).position(|part| part == b"\r\n\r\n") else {
            continue;
        };
        let head = String::from_utf8_lossy(&request[..end]).into_owned();
        let length: usize = head
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .and_then(|(_, length)| length.trim().parse().ok())
            .unwrap_or(0);
        while request.len() < end + 4 + length {
            if stream.read_buf(request).await? == 0 {
                return Ok(None);
            }
        }
        return Ok(Some((head, request[end + 4..].to_vec())));
    }
}
