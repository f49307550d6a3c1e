//! Many jobs in a store, by the program's own interface: live ones, and ones that are over.

use std::{
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tempfile::TempDir;

use crate::{
    Outcome,
    bench::Bench,
    connection::Connection,
    load::{Requests, Strength, load},
    process::copy_folder,
    programs::{Program, Server},
    submit::Submits,
    surface::{Surface, get, post},
    upstream::Upstream,
};

/// Bounded, like everything.
const LONGEST: Duration = Duration::from_secs(900);

/// How many jobs one request of ours makes.
const AT_ONCE: u64 = 40;

/// The data of a program with many jobs.
pub(crate) struct Filled {
    data: TempDir,
    silence: Upstream,
    pub(crate) ids: Vec<String>,
    /// Where the second half of the list begins, with ours.
    pub(crate) middle: Option<String>,
}

impl Filled {
    pub(crate) fn make(bench: &Bench, program: &Program, jobs: u64) -> Outcome<Self> {
        Self::with_finished(bench, program, jobs, 0)
    }

    /// `finished` jobs that are over, and then `live` ones that wait to be submitted.
    pub(crate) fn with_finished(bench: &Bench, program: &Program, live: u64, finished: u64) -> Outcome<Self> {
        let data = TempDir::new()?;
        // Jobs that cannot be submitted stay as they are.
        let silence = Upstream::silent()?;
        let server = program.start(data.path(), Some(&silence.settings()))?;
        let run = |requests: Arc<dyn Requests>| {
            let strength = Strength::new(64, LONGEST);
            bench
                .runtime
                .block_on(load(server.address, strength, requests))?
                .unbroken()
        };
        let fill = |jobs| match program.surface {
            Surface::Ours => {
                let batches = Arc::new(Batches::new(&server, jobs));
                run(Arc::clone(&batches) as _)?;
                Outcome::Ok(batches.ids())
            }
            Surface::Peer => {
                let submits = Submits::usual(&server, jobs)?;
                run(Arc::clone(&submits) as _)?;
                Ok(submits.acknowledged().into_iter().map(|(_, id)| id).collect())
            }
        };
        let mut ids = Vec::new();
        if finished > 0 {
            ids = fill(finished)?;
            run(Arc::new(Cancels::new(&server, &ids)))?;
        }
        ids.extend(fill(live)?);
        let middle = match program.surface {
            Surface::Ours => bench.runtime.block_on(middle(&server, ids.len()))?,
            Surface::Peer => None,
        };
        server.process.end()?;
        println!("{}: {} jobs are stored", program.name, ids.len());
        Ok(Self {
            data,
            silence,
            ids,
            middle,
        })
    }

    /// A program that goes on from a copy of the data.
    pub(crate) fn start(&self, program: &Program, copy: &Path) -> Outcome<Server> {
        copy_folder(self.data.path(), copy)?;
        self.start_in(program, copy)
    }

    /// The same, where the copy is already.
    pub(crate) fn start_in(&self, program: &Program, copy: &Path) -> Outcome<Server> {
        program.start(copy, Some(&self.silence.settings()))
    }
}

/// Requests of ours that make many jobs each.
struct Batches {
    host: String,
    left: AtomicU64,
    ids: Mutex<Vec<String>>,
}

impl Batches {
    fn new(server: &Server, jobs: u64) -> Self {
        Self {
            host: server.address.to_string(),
            left: AtomicU64::new(jobs),
            ids: Mutex::default(),
        }
    }

    fn ids(&self) -> Vec<String> {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Requests for Batches {
    fn write(&self, request: &mut Vec<u8>) -> Option<u64> {
        let take = |left: u64| Some(left.saturating_sub(AT_ONCE));
        let left = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
            .ok()?;
        let jobs = left.min(AT_ONCE);
        let words: Vec<_> = (0..jobs).map(|job| format!("hat {}", left - job)).collect();
        let prompt = match jobs {
            0 => return None,
            1 => "a fox with one hat".to_owned(),
            _ => format!("a fox with {{{}}} --ar 16:9 --v 7", words.join(", ")),
        };
        let body = format!("{{\"prompt\":\"{prompt}\"}}");
        post(request, &self.host, "/imagine", "", body.as_bytes());
        Some(left)
    }

    fn answered(&self, _: u64, _: u16, body: &[u8]) {
        let said: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
        let jobs = said.get("jobs").and_then(serde_json::Value::as_array);
        let ids = jobs
            .into_iter()
            .flatten()
            .filter_map(|job| Some(job.get("id")?.as_str()?.to_owned()));
        self.ids
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(ids);
    }
}

/// Cancels each of some jobs, which ends it.
struct Cancels {
    host: String,
    ids: Vec<String>,
    next: AtomicUsize,
}

impl Cancels {
    fn new(server: &Server, ids: &[String]) -> Self {
        Self {
            host: server.address.to_string(),
            ids: ids.to_vec(),
            next: AtomicUsize::new(0),
        }
    }
}

impl Requests for Cancels {
    fn write(&self, request: &mut Vec<u8>) -> Option<u64> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let id = self.ids.get(number)?;
        post(request, &self.host, &format!("/jobs/{id}/cancel"), "", b"");
        u64::try_from(number).ok()
    }
}

/// The cursor behind which the older half of `jobs` begins.
async fn middle(server: &Server, jobs: usize) -> Outcome<Option<String>> {
    const PAGE: usize = 200;
    let mut connection = Connection::open(server.address).await?;
    let mut cursor: Option<String> = None;
    for _ in 0..(jobs / 2).div_ceil(PAGE) {
        let after = cursor
            .as_ref()
            .map(|cursor| format!("&after={cursor}"))
            .unwrap_or_default();
        let request = get(server.address, &format!("/jobs?limit={PAGE}{after}"), "");
        let answer = connection.ask(&request).await?;
        let page: serde_json::Value = serde_json::from_slice(answer.body)?;
        match page.get("next").and_then(serde_json::Value::as_str) {
            Some(next) => cursor = Some(next.to_owned()),
            None => break,
        }
    }
    Ok(cursor)
}
