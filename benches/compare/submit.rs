//! Acknowledged submits of one job each.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tempfile::TempDir;

use crate::{
    Outcome,
    bench::Bench,
    load::{Requests, Strength, load},
    programs::{Program, Server},
    surface::{id_in, post},
    table::{Figures, Table},
    upstream::Upstream,
};

/// The prompt of each submit; `{n}` becomes its number.
const PROMPT: &str = "a cat number {n} sitting on a chair in the style of an oil painting, golden hour, highly detailed \
                      --ar 16:9 --v 7";

/// Submits that are numbered from 0 on.
pub(crate) struct Submits {
    host: String,
    path: &'static str,
    /// As JSON.
    prompt: String,
    next: AtomicU64,
    most: u64,
    /// Number and id of each that was acknowledged.
    acknowledged: Mutex<Vec<(u64, String)>>,
}

impl Submits {
    pub(crate) fn new(server: &Server, prompt: &str, most: u64) -> Outcome<Arc<Self>> {
        Ok(Arc::new(Self {
            host: server.address.to_string(),
            path: server.surface.submit(),
            prompt: serde_json::to_string(prompt)?,
            next: AtomicU64::new(0),
            most,
            acknowledged: Mutex::default(),
        }))
    }

    /// `jobs` of the usual ones.
    pub(crate) fn usual(server: &Server, jobs: u64) -> Outcome<Arc<Self>> {
        Self::new(server, PROMPT, jobs)
    }

    pub(crate) fn acknowledged(&self) -> Vec<(u64, String)> {
        self.acknowledged
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Requests for Submits {
    fn write(&self, request: &mut Vec<u8>) -> Option<u64> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        if number >= self.most {
            return None;
        }
        let body = format!(
            "{{\"prompt\":{}}}",
            self.prompt.replace("{n}", &number.to_string())
        );
        post(request, &self.host, self.path, "", body.as_bytes());
        Some(number)
    }

    fn answered(&self, number: u64, status: u16, body: &[u8]) {
        if let (202, Some(id)) = (status, id_in(body)) {
            self.acknowledged
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push((number, id));
        }
    }
}

/// The number in a prompt of the usual ones.
pub(crate) fn number_in(prompt: &str) -> Option<u64> {
    prompt.split_whitespace().nth(3)?.parse().ok()
}

pub(crate) fn submit(bench: &Bench, table: &mut Table) -> Outcome<()> {
    let silence = match bench.options.text("upstream", "simulator") {
        "simulator" => None,
        "hangs" => Some(Upstream::silent()?.settings()),
        other => return Err(format!("--upstream {other}: expected simulator or hangs").into()),
    };
    let counts = bench.options.numbers("conns", "1,64,256")?;
    bench.in_turn(
        table,
        |_| true,
        |program| {
            let mut figures = Figures::new();
            for &connections in &counts {
                figures.extend(rates(bench, program, silence.as_deref(), connections)?);
            }
            Ok(figures)
        },
    )
}

/// On a new database each time, so that every program begins with the same.
fn rates(bench: &Bench, program: &Program, silence: Option<&str>, connections: u64) -> Outcome<Figures> {
    let data = TempDir::new()?;
    let server = program.start(data.path(), silence)?;
    let prompt = bench.options.text("prompt", PROMPT);
    let run = |span| {
        let submits = Submits::new(&server, prompt, u64::MAX)?;
        let strength = Strength::new(connections, span);
        bench
            .runtime
            .block_on(load(server.address, strength, submits))?
            .unbroken()
    };
    run(Duration::from_secs(1))?;
    let before = server.process.cpu();
    let done = run(bench.span()?)?;
    let cpu = (server.process.cpu() - before) / done.took.as_secs_f64();
    let (rate, p50) = (done.per_second(), done.quantile(0.5));
    println!(
        "{}, {connections} connections: {rate:.0} submits/s, p50 {p50:.2} ms, p99 {:.2} ms, refused {}, {:.1} µs of \
         processor each",
        program.name,
        done.quantile(0.99),
        done.refused,
        cpu / rate * 1e6,
    );
    Ok(vec![
        (format!("submit{connections}"), rate),
        (format!("submit{connections}_p50"), p50),
    ])
}
