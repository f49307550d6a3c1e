//! Our programs beside a peer: the peer runs in turn with ours inside every round, and what counts is the ratio.
//!
//! ```text
//! compare submit --ours target/release/midjourney --peer 'limits serve --db {data}/peer.db --addr {addr}' --peer-path /v1/imagine
//! compare start  --ours target/release/midjourney-mcp --peer mcpempty
//! ```
//!
//! Each works without `--peer` too. Everything stays on loopback and is bounded in time. On Linux the servers are pinned to
//! one processor and the load to another (`taskset`); on a machine that others use, run the whole under `chrt -r 1`.

#![expect(clippy::disallowed_methods, reason = "measuring is asking the clock")]

use std::{
    collections::HashMap,
    error::Error,
    io::{BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpListener, TcpStream as StdStream},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const USAGE: &str = "\
compare submit --ours PROGRAM [--peer 'PROGRAM ARGS {addr} {data}'] [--peer-path PATH] [--conns N] [--secs N]
               [--rounds N] [--prompt TEXT] [--upstream simulator|hangs] [--server-cpu N] [--load-cpu N]
compare start  --ours PROGRAM [--peer PROGRAM] [--runs N]

submit: acknowledged submits of one job each, from --conns connections (64) that each wait for their answer, for --secs (2)
after one second of warm-up. The engine of ours works on the jobs meanwhile. --upstream hangs: it talks to an upstream
that never answers, so that it soon rests and only the submits are measured.
start: from the start of a process to its answer to the MCP request `initialize`.";

fn main() -> Outcome<()> {
    let mut words = std::env::args().skip(1);
    let what = words.next().unwrap_or_default();
    let mut options = HashMap::new();
    while let Some(name) = words.next() {
        let value = words.next().ok_or_else(|| format!("{name} needs a value"))?;
        options.insert(name, value);
    }
    let options = Options(options);
    match what.as_str() {
        "submit" => submit(&options),
        "start" => start(&options),
        _ => Err(USAGE.into()),
    }
}

struct Options(HashMap<String, String>);

impl Options {
    fn text<'a>(&'a self, name: &str, default: &'a str) -> &'a str {
        self.0.get(name).map_or(default, String::as_str)
    }

    fn number(&self, name: &str, default: u64) -> Outcome<u64> {
        Ok(self.text(name, &default.to_string()).parse()?)
    }

    fn ours(&self) -> Outcome<&str> {
        self.0
            .get("--ours")
            .map(String::as_str)
            .ok_or_else(|| USAGE.into())
    }
}

// ---- submit ----

/// What one load gave.
struct Load {
    per_second: f64,
    /// Sorted.
    times: Vec<Duration>,
    refused: usize,
}

impl Load {
    fn at(&self, part: f64) -> f64 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a place in a list"
        )]
        let place = (self.times.len() as f64 * part) as usize;
        self.times.get(place).map_or(0.0, |time| time.as_secs_f64() * 1e3)
    }
}

fn submit(options: &Options) -> Outcome<()> {
    let rounds = options.number("--rounds", 5)?;
    let server_cpu = options.text("--server-cpu", "0");
    pin_self(options.text("--load-cpu", "1"));
    let hangs = match options.text("--upstream", "simulator") {
        "simulator" => None,
        "hangs" => Some(Silence::open()?),
        other => return Err(format!("--upstream {other}: expected simulator or hangs").into()),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut ratios = Vec::new();
    for round in 1..=rounds {
        let mut rates = Vec::new();
        for (name, path) in [
            ("ours", "/imagine"),
            ("peer", options.text("--peer-path", "/imagine")),
        ] {
            let data = TempDir::new()?;
            let address = free_address()?;
            let mut command = if name == "ours" {
                let program = std::path::absolute(options.ours()?)?;
                let mut command = pinned(server_cpu, &program.to_string_lossy());
                // Away from any configuration of the person who measures.
                command.current_dir(data.path()).env("HOME", data.path());
                command.arg("--data-dir").arg(data.path()).args([
                    "serve",
                    "--port",
                    &address.port().to_string(),
                ]);
                if let Some(silence) = &hangs {
                    command.envs(silence.settings());
                }
                command
            } else {
                let Some(peer) = options.0.get("--peer") else {
                    continue;
                };
                let folder = data.path().to_string_lossy();
                let text = peer
                    .replace("{addr}", &address.to_string())
                    .replace("{data}", &folder);
                let mut words = text.split_whitespace();
                let mut command = pinned(server_cpu, words.next().ok_or(USAGE)?);
                command.args(words);
                command
            };
            let server = Running::start(&mut command, address)?;
            let request = Request {
                address,
                path,
                prompt: options.text(
                    "--prompt",
                    "a cat number {n} sitting on a chair in the style of an oil painting, golden hour, highly detailed \
                     --ar 16:9 --v 7",
                ),
            };
            let conns = options.number("--conns", 64)?;
            runtime.block_on(load(&request, conns, Duration::from_secs(1)))?;
            let span = Duration::from_secs(options.number("--secs", 2)?);
            let before = server.cpu();
            let done = runtime.block_on(load(&request, conns, span))?;
            let cpu = (server.cpu() - before) / span.as_secs_f64() * 100.0;
            println!(
                "round {round} {name}: {:.0} submits/s, p50 {:.2} ms, p99 {:.2} ms, refused {}, server cpu {cpu:.0} %",
                done.per_second,
                done.at(0.5),
                done.at(0.99),
                done.refused,
            );
            rates.push(done.per_second);
        }
        if let [ours, peer] = rates[..] {
            println!("round {round}: ours / peer = {:.3}", ours / peer);
            ratios.push(ours / peer);
        }
    }
    if let Some((low, median, high)) = spread(&mut ratios) {
        println!("submits, ours / peer: {median:.3} [{low:.3}..{high:.3}] over {rounds} rounds");
    }
    Ok(())
}

struct Request<'a> {
    address: SocketAddr,
    path: &'a str,
    prompt: &'a str,
}

/// Closed loop: each connection sends its next request when the last one is answered.
async fn load(request: &Request<'_>, connections: u64, span: Duration) -> Outcome<Load> {
    let mut tasks = JoinSet::new();
    let begun = Instant::now();
    let end = begun + span;
    for connection in 0..connections {
        let mut stream = TcpStream::connect(request.address).await?;
        stream.set_nodelay(true)?;
        let head = format!(
            "POST {} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: ",
            request.path, request.address
        );
        let prompt = serde_json::to_string(request.prompt)?;
        tasks.spawn(async move {
            let (mut times, mut refused, mut answer) = (Vec::new(), 0_usize, Vec::with_capacity(4096));
            let mut number = connection;
            while Instant::now() < end {
                let body = format!("{{\"prompt\":{}}}", prompt.replace("{n}", &number.to_string()));
                let text = format!("{head}{}\r\n\r\n{body}", body.len());
                let sent = Instant::now();
                stream.write_all(text.as_bytes()).await?;
                let status = read_answer(&mut stream, &mut answer).await?;
                times.push(sent.elapsed());
                refused += usize::from(!(200..300).contains(&status));
                number += connections;
            }
            Outcome::Ok((times, refused))
        });
    }
    let (mut times, mut refused) = (Vec::new(), 0);
    while let Some(done) = tasks.join_next().await {
        let (some, bad) = done??;
        times.extend(some);
        refused += bad;
    }
    let took = begun.elapsed().as_secs_f64();
    times.sort_unstable();
    #[expect(clippy::cast_precision_loss, reason = "some thousands")]
    let per_second = (times.len() - refused) as f64 / took;
    Ok(Load {
        per_second,
        times,
        refused,
    })
}

/// Reads one answer with a `Content-Length`; gives its status.
async fn read_answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Outcome<u16> {
    buffer.clear();
    loop {
        if stream.read_buf(buffer).await? == 0 {
            return Err("the server closed the connection".into());
        }
        let Some(end) = buffer.windows(4).position(|part| part == b"\r\n\r\n") else {
            continue;
        };
        let head = std::str::from_utf8(&buffer[..end])?;
        let status = head.get(9..12).ok_or("no status")?.parse()?;
        let length: usize = head
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .map_or(Ok(0), |(_, length)| length.trim().parse())?;
        while buffer.len() < end + 4 + length {
            if stream.read_buf(buffer).await? == 0 {
                return Err("the server closed the connection".into());
            }
        }
        return Ok(status);
    }
}

/// A place on loopback that takes connections and says nothing.
struct Silence(SocketAddr);

impl Silence {
    fn open() -> Outcome<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        std::thread::spawn(move || listener.incoming().collect::<Vec<_>>());
        Ok(Self(address))
    }

    fn settings(&self) -> [(&'static str, String); 4] {
        [
            ("MIDJOURNEY__UPSTREAM__DIALECT", "trueai".to_owned()),
            ("MIDJOURNEY__UPSTREAM__KIND", "midjourney-proxy".to_owned()),
            ("MIDJOURNEY__UPSTREAM__BASE_URL", format!("http://{}", self.0)),
            ("MIDJOURNEY_API_KEY", "compare".to_owned()),
        ]
    }
}

fn free_address() -> Outcome<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

// ---- start ----

fn start(options: &Options) -> Outcome<()> {
    let runs = options.number("--runs", 40)?;
    let data = TempDir::new()?;
    let (mut ours, mut peers) = (Vec::new(), Vec::new());
    for run in 0..=runs {
        let mut command = Command::new(options.ours()?);
        command.env("MIDJOURNEY_DATA_DIR", data.path());
        let own = initialize(&mut command)?;
        let peer = match options.0.get("--peer") {
            Some(peer) => Some(initialize(&mut Command::new(peer))?),
            None => None,
        };
        // The first brings the files into memory.
        if run > 0 {
            ours.push(own);
            peers.extend(peer);
        }
    }
    let own = spread(&mut ours).ok_or("no runs")?;
    println!(
        "ours: {:.2} ms [{:.2}..{:.2}] over {runs} runs",
        own.1, own.0, own.2
    );
    if let Some(peer) = spread(&mut peers) {
        println!(
            "peer: {:.2} ms [{:.2}..{:.2}] over {runs} runs",
            peer.1, peer.0, peer.2
        );
        println!(
            "start to initialize, ours / peer: {:.3} (medians)",
            own.1 / peer.1
        );
    }
    Ok(())
}

/// Milliseconds from the start of the process to its answer.
fn initialize(command: &mut Command) -> Outcome<f64> {
    let begun = Instant::now();
    let mut server = Running(
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?,
    );
    let mut input = server.0.stdin.take().ok_or("no standard input")?;
    let mut output = BufReader::new(server.0.stdout.take().ok_or("no standard output")?);
    writeln!(
        input,
        r#"{{"jsonrpc":"2.0","id":1,"method":"initialize","params":{{"protocolVersion":"2025-06-18","capabilities":{{}},"clientInfo":{{"name":"compare","version":"0"}}}}}}"#
    )?;
    let mut line = String::new();
    while !line.contains("\"id\":1") {
        line.clear();
        if output.read_line(&mut line)? == 0 {
            return Err("the server ended without an answer".into());
        }
    }
    Ok(begun.elapsed().as_secs_f64() * 1e3)
}

// ---- processes and numbers ----

/// Killed when dropped.
struct Running(Child);

impl Running {
    fn start(command: &mut Command, address: SocketAddr) -> Outcome<Self> {
        let mut running = Self(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?);
        let deadline = Instant::now() + Duration::from_secs(20);
        while StdStream::connect(address).is_err() {
            if let Some(status) = running.0.try_wait()? {
                return Err(format!("{command:?} ended: {status}").into());
            }
            if Instant::now() > deadline {
                return Err(format!("{command:?} does not listen on {address}").into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(running)
    }

    /// Seconds of processor time so far; 0 where that cannot be told.
    fn cpu(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id())).unwrap_or_default();
        let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        // Fields 14 and 15, in ticks of which Linux has a hundred a second.
        fields
            .split_whitespace()
            .skip(11)
            .take(2)
            .filter_map(|field| field.parse::<f64>().ok())
            .sum::<f64>()
            / 100.0
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().unwrap_or_default();
        self.0.wait().map(drop).unwrap_or_default();
    }
}

fn pinned(cpu: &str, program: &str) -> Command {
    if !cfg!(target_os = "linux") {
        return Command::new(program);
    }
    let mut command = Command::new("taskset");
    command.args(["-c", cpu, program]);
    command
}

fn pin_self(cpu: &str) {
    let own = std::process::id().to_string();
    let pinned = Command::new("taskset")
        .args(["-p", "-c", cpu, &own])
        .stdout(Stdio::null())
        .status();
    if !pinned.is_ok_and(|status| status.success()) {
        eprintln!("the load is not pinned to a processor");
    }
}

/// Least, median, most.
fn spread(values: &mut [f64]) -> Option<(f64, f64, f64)> {
    values.sort_unstable_by(f64::total_cmp);
    Some((*values.first()?, *values.get(values.len() / 2)?, *values.last()?))
}
