//! Looking: at one job, and at pages of them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tempfile::TempDir;

use crate::{
    Outcome,
    bench::{Bench, for_each},
    fill::Filled,
    load::{Requests, Strength, load},
    programs::Server,
    surface::{Surface, get},
    table::{Figures, Table},
};

/// Requests that change nothing, over and over.
struct Gets {
    requests: Vec<Vec<u8>>,
    next: AtomicUsize,
}

impl Requests for Gets {
    fn write(&self, request: &mut Vec<u8>) -> Option<u64> {
        let number = self.next.fetch_add(1, Ordering::Relaxed) % self.requests.len();
        request.extend_from_slice(self.requests.get(number)?);
        u64::try_from(number).ok()
    }
}

/// `GET` of one job, of as many as there are.
pub(crate) fn poll(bench: &Bench, table: &mut Table) -> Outcome<()> {
    let counts = bench.options.numbers("jobs", "1000,100000")?;
    sizes(bench, table, &counts, "poll", |server, filled| {
        let path = |id: &String| get(server.address, &format!("{}/{id}", server.surface.jobs()), "");
        // Each far from the one before.
        let (ids, step) = (&filled.ids, 7_919);
        vec![(
            "poll",
            (0..ids.len().min(100_000))
                .filter_map(|n| ids.get(n * step % ids.len()))
                .map(path)
                .collect(),
        )]
    })
}

/// Pages of fifty: the newest, from the middle, and by every filter.
pub(crate) fn list(bench: &Bench, table: &mut Table) -> Outcome<()> {
    let counts = bench.options.numbers("jobs", "1000,100000")?;
    sizes(bench, table, &counts, "list", |server, filled| {
        let jobs = server.surface.jobs();
        let page = |query: &str| vec![get(server.address, &format!("{jobs}?limit=50{query}"), "")];
        let mut kinds = vec![("list", page(""))];
        match server.surface {
            Surface::Ours => {
                kinds.extend(
                    filled
                        .middle
                        .iter()
                        .map(|middle| ("deep", page(&format!("&after={middle}")))),
                );
                // Many, a few, and none.
                for status in ["pending", "cancelled", "completed"] {
                    kinds.push(("filter", page(&format!("&status={status}"))));
                }
            }
            Surface::Peer => kinds.push(("deep", page(&format!("&before={}", filled.ids.len() / 2)))),
        }
        kinds
    })
}

/// Asks at each size of the store; the time of a request at the last against that at the first is a figure, too.
fn sizes(
    bench: &Bench,
    table: &mut Table,
    counts: &[u64],
    what: &str,
    kinds: impl Fn(&Server, &Filled) -> Vec<(&'static str, Vec<Vec<u8>>)>,
) -> Outcome<()> {
    let mut filled = Vec::new();
    for &jobs in counts {
        filled.push(for_each(&bench.programs, |program| {
            // Only their pages at few jobs count, and they take in a hundredth of ours a second.
            let jobs = if matches!(program.name, "each" | "group") {
                jobs.min(5_000)
            } else {
                jobs
            };
            Filled::make(bench, program, jobs)
        })?);
    }
    bench.in_turn(
        table,
        |_| true,
        |program| {
            let mut figures = Figures::new();
            let mut first: Vec<(&str, f64)> = Vec::new();
            for stores in &filled {
                let store = stores.get(program.name).ok_or("nothing is filled")?;
                let data = TempDir::new()?;
                let server = store.start(program, data.path())?;
                let mut times: Vec<(&str, f64)> = Vec::new();
                for (kind, requests) in kinds(&server, store) {
                    let (rate, time) = ask(bench, &server, requests)?;
                    println!("{}, {} jobs, {kind}: {rate:.0}/s", program.name, store.ids.len());
                    figures.retain(|(name, _)| name != kind);
                    figures.push((kind.to_owned(), rate));
                    // Of several requests of one kind the slowest counts.
                    match times.iter_mut().find(|(other, _)| *other == kind) {
                        Some((_, slowest)) => *slowest = slowest.max(time),
                        None => times.push((kind, time)),
                    }
                }
                if first.is_empty() {
                    first = times;
                } else {
                    for ((kind, now), (_, then)) in times.iter().zip(&first) {
                        figures.retain(|(name, _)| *name != format!("{kind}_growth"));
                        figures.push((format!("{kind}_growth"), now / then));
                    }
                }
            }
            println!("{what} of {} is done", program.name);
            Ok(figures)
        },
    )
}

/// Answers a second, and the time between two of them.
fn ask(bench: &Bench, server: &Server, requests: Vec<Vec<u8>>) -> Outcome<(f64, f64)> {
    let requests = Arc::new(Gets {
        requests,
        next: AtomicUsize::new(0),
    });
    let connections = bench.options.number("conns", 64)?;
    let run = |span| {
        let strength = Strength::new(connections, span);
        bench
            .runtime
            .block_on(load(server.address, strength, Arc::clone(&requests) as _))?
            .unbroken()
    };
    run(Duration::from_millis(300))?;
    let done = run(bench.span()?)?;
    if done.refused > 0 {
        return Err(format!("{} of {} requests were refused", done.refused, done.times.len()).into());
    }
    Ok((done.per_second(), 1.0 / done.per_second()))
}
