//! Many who wait for a job each: what one costs, and when one hears of the end.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tempfile::TempDir;
use tokio::{sync::mpsc, task::JoinSet};

use crate::{
    Outcome,
    bench::{Bench, for_each},
    callbacks::{Callbacks, Proof, Signer},
    connection::Connection,
    load::{Requests, Strength, load},
    numbers::{figure, millis, quantile},
    process::enough_files,
    programs::{Program, Server},
    surface::{Surface, get},
    table::{Figures, Table},
    underway::{Job, UnderWay},
};

/// How they wait.
#[derive(Clone, Copy, Debug)]
enum Way {
    Poll,
    Sse,
    Ws,
}

impl Way {
    const ALL: [Self; 3] = [Self::Poll, Self::Sse, Self::Ws];

    const fn name(self) -> &'static str {
        match self {
            Self::Poll => "poll",
            Self::Sse => "sse",
            Self::Ws => "ws",
        }
    }
}

/// How long all of them have to come in, and to hear of the end.
const PATIENCE: Duration = Duration::from_secs(40);

const HANDSHAKE: &str = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
                         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

pub(crate) fn waiters(bench: &Bench, table: &mut Table) -> Outcome<()> {
    let waiters = bench.options.number("waiters", 10_000)?;
    enough_files(waiters + 500)?;
    // One that many wait for, after those that have one waiter each.
    let under_way = for_each(&bench.programs, |program| {
        UnderWay::make(bench, program, waiters + 1)
    })?;
    let ways = bench.options.text("ways", "poll,sse,ws");
    bench.in_turn(
        table,
        |program| program.name != "each",
        |program| {
            let under_way = under_way.get(program.name).ok_or("no jobs are under way")?;
            let mut figures = Figures::new();
            for way in Way::ALL {
                // The FastAPI program speaks no WebSocket, as it is a plain one.
                if ways.contains(way.name()) && !(program.name == "group" && matches!(way, Way::Ws)) {
                    figures.extend(one_each(bench, program, under_way, way, waiters)?);
                }
            }
            figures.push(("crowd".to_owned(), crowd(bench, program, under_way, waiters)?));
            Ok(figures)
        },
    )
}

/// Each waits for another job.
fn one_each(
    bench: &Bench,
    program: &Program,
    under_way: &UnderWay,
    way: Way,
    waiters: u64,
) -> Outcome<Figures> {
    let data = TempDir::new()?;
    let server = under_way.start(program, data.path())?;
    let signer = Arc::new(Signer::new(program.surface));
    let waiters = usize::try_from(waiters)?.min(under_way.jobs.len());
    let jobs: Arc<[Job]> = under_way.jobs.iter().take(waiters).cloned().collect();
    let calls = usize::try_from(bench.options.number("callbacks", 3_000)?)?.min(waiters);
    let rate = bench.options.number("rate", 1_000)?;
    bench.runtime.block_on(async {
        let before = server.process.memory();
        let mut seen = wait(&server, way, &jobs, &signer).await?;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let memory = (server.process.memory() - before) / figure(waiters);
        let (worked, rested) = (server.process.cpu(), Instant::now());
        tokio::time::sleep(Duration::from_secs(3)).await;
        let idle = (server.process.cpu() - worked) / rested.elapsed().as_secs_f64() * 100.0;

        // Those that end are spread over all that wait.
        let called: Arc<[Job]> = (0..calls).filter_map(|n| jobs.get(n * (waiters / calls))).cloned().collect();
        let timed = Arc::new(Timed::new(Callbacks::new(&signer, &called, Proof::Right)));
        #[expect(clippy::cast_precision_loss, reason = "some thousands")]
        let strength = Strength {
            rate: Some(rate as f64),
            ..Strength::new(32, PATIENCE)
        };
        let sent = load(server.address, strength, Arc::clone(&timed) as _).await?.unbroken()?;
        if sent.refused > 0 {
            return Err(format!("{} callbacks were refused", sent.refused).into());
        }
        let seen_at = hear(&mut seen, called.len()).await?;
        let times = timed.times();
        let (mut after_answer, mut after_sending) = (Vec::new(), Vec::new());
        for job in called.iter() {
            let (Some(seen), Some((sent, answered))) = (seen_at.get(&job.id), times.get(&job.id)) else {
                continue;
            };
            after_answer.push(micros_between(*answered, *seen));
            after_sending.push(millis(seen.saturating_duration_since(*sent)));
        }
        let late = quantile(&after_sending, 0.99) / sent.quantile(0.99);
        println!(
            "{}, {waiters} by {}: {memory:.1} KiB each, {idle:.1} % of a processor; of {} callbacks: 200 p50 {:.2} ms, \
             p99 {:.2} ms; seen p50 {:.2} ms, p99 {:.2} ms; seen after 200 p50 {:.0} µs, p99 {:.0} µs",
            program.name,
            way.name(),
            after_answer.len(),
            sent.quantile(0.5),
            sent.quantile(0.99),
            quantile(&after_sending, 0.5),
            quantile(&after_sending, 0.99),
            quantile(&after_answer, 0.5),
            quantile(&after_answer, 0.99),
        );
        let name = way.name();
        Ok(vec![
            (format!("memory_{name}"), memory),
            (format!("answered_{name}"), sent.quantile(0.5)),
            (format!("seen_{name}"), quantile(&after_answer, 0.5)),
            (format!("late_{name}"), late),
            ("waiting_cpu".to_owned(), idle),
        ])
    })
}

/// All wait for the same job: milliseconds from its callback to the last who hears of it.
fn crowd(bench: &Bench, program: &Program, under_way: &UnderWay, waiters: u64) -> Outcome<f64> {
    let data = TempDir::new()?;
    let server = under_way.start(program, data.path())?;
    let signer = Arc::new(Signer::new(program.surface));
    let job = under_way.jobs.last().ok_or("no job is under way")?;
    let jobs = vec![job.clone(); usize::try_from(waiters)?];
    bench.runtime.block_on(async {
        let mut seen = wait(&server, Way::Poll, &jobs, &signer).await?;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let mut request = Vec::new();
        signer.write(job, Proof::Right, &mut request);
        let mut connection = Connection::open(server.address).await?;
        let sent = Instant::now();
        let status = connection.ask(&request).await?.status;
        if status != 200 {
            return Err(format!("the callback was answered with {status}").into());
        }
        let mut last = sent;
        for _ in 0..jobs.len() {
            let (_, at) = tokio::time::timeout(PATIENCE, seen.came.recv())
                .await?
                .ok_or("waiters went away")?;
            last = last.max(at);
        }
        let took = millis(last - sent);
        println!(
            "{}, one callback to {waiters} waiters: the last hears of it after {took:.0} ms",
            program.name
        );
        Ok(took)
    })
}

/// Waiters, and when each has heard of the end of its job.
struct Waiting {
    came: mpsc::UnboundedReceiver<(String, Instant)>,
    /// They end with this.
    _tasks: JoinSet<()>,
}

/// Has somebody wait for each of `jobs`, and returns when all of them do.
async fn wait(server: &Server, way: Way, jobs: &[Job], signer: &Signer) -> Outcome<Waiting> {
    let (tell, came) = mpsc::unbounded_channel();
    let mut tasks = JoinSet::new();
    for job in jobs {
        let mut connection = Connection::open(server.address).await?;
        connection.send(&request(server, way, &job.id)).await?;
        // A long poll says nothing until the end; the others say that they have begun.
        if !matches!(way, Way::Poll) {
            tokio::time::timeout(PATIENCE, connection.wait_for(b"\r\n\r\n")).await??;
            let status = connection.status()?;
            if !matches!(status, 101 | 200) {
                return Err(format!("a waiter was answered with {status}").into());
            }
        }
        if let (Way::Ws, Surface::Ours) = (way, server.surface) {
            connection
                .send(&frame(&format!("{{\"watch\":[\"{}\"]}}", job.id)))
                .await?;
            tokio::time::timeout(PATIENCE, connection.wait_for(b"watching")).await??;
        }
        let (tell, id, end) = (tell.clone(), job.id.clone(), signer.sign_of_the_end());
        tasks.spawn(async move {
            if connection.wait_for(end).await.is_ok() {
                tell.send((id, Instant::now())).unwrap_or_default();
            }
            // The next event goes to the one that stays.
            std::future::pending::<()>().await;
        });
    }
    Ok(Waiting { came, _tasks: tasks })
}

fn request(server: &Server, way: Way, id: &str) -> Vec<u8> {
    let (address, jobs) = (server.address, server.surface.jobs());
    match (server.surface, way) {
        (Surface::Ours, Way::Poll) => get(address, &format!("{jobs}/{id}"), "prefer: wait=60\r\n"),
        (Surface::Peer, Way::Poll) => get(address, &format!("{jobs}/{id}/wait"), ""),
        (_, Way::Sse) => get(address, &format!("{jobs}/{id}/events"), ""),
        (Surface::Ours, Way::Ws) => get(address, "/ws", HANDSHAKE),
        (Surface::Peer, Way::Ws) => get(address, &format!("{jobs}/{id}/ws"), HANDSHAKE),
    }
}

/// A WebSocket frame of a client, masked with zeros.
fn frame(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len())
        .ok()
        .filter(|length| *length < 126)
        .unwrap_or(0);
    let mut frame = vec![0x81, 0x80 | length, 0, 0, 0, 0];
    frame.extend_from_slice(text.as_bytes());
    frame
}

/// When each of the next `many` heard of the end.
async fn hear(waiting: &mut Waiting, many: usize) -> Outcome<HashMap<String, Instant>> {
    let mut seen = HashMap::new();
    while seen.len() < many {
        let came = tokio::time::timeout(PATIENCE, waiting.came.recv()).await;
        let came = came.map_err(|_| format!("of {many} waiters {} heard of the end", seen.len()))?;
        seen.extend(came);
    }
    Ok(seen)
}

fn micros_between(first: Instant, second: Instant) -> f64 {
    match second.checked_duration_since(first) {
        Some(after) => millis(after) * 1e3,
        None => -millis(first - second) * 1e3,
    }
}

/// Callbacks, and when each was sent and answered.
struct Timed {
    callbacks: Callbacks,
    times: Mutex<HashMap<u64, (Instant, Instant)>>,
}

impl Timed {
    fn new(callbacks: Callbacks) -> Self {
        let times = Mutex::default();
        Self { callbacks, times }
    }

    /// By the ids of the jobs.
    fn times(&self) -> HashMap<String, (Instant, Instant)> {
        let times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        let by_id = times.iter().filter_map(|(number, times)| {
            let job = self.callbacks.jobs.get(usize::try_from(*number).ok()?)?;
            Some((job.id.clone(), *times))
        });
        by_id.collect()
    }
}

impl Requests for Timed {
    fn write(&self, request: &mut Vec<u8>) -> Option<u64> {
        let number = self.callbacks.write(request)?;
        let now = Instant::now();
        self.times
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(number, (now, now));
        Some(number)
    }

    fn answered(&self, number: u64, _: u16, _: &[u8]) {
        let now = Instant::now();
        let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, answered)) = times.get_mut(&number) {
            *answered = now;
        }
    }
}
