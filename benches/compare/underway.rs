//! Data in which jobs are under way: made once for each program, copied for every round.

use std::{
    collections::HashMap,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{
    Outcome,
    bench::Bench,
    load::{Strength, load},
    process::copy_folder,
    programs::{Program, Server},
    submit::{Submits, number_in},
    surface::Surface,
    upstream::Upstream,
};

/// How long it may take until a program has accepted all jobs. A slow one has fewer.
const ACCEPTING: Duration = Duration::from_secs(6);

/// How many times as many a peer has, which takes callbacks faster.
const MORE_FOR_PEERS: u64 = 8;

/// How long the engine may take until it has submitted all of them.
const SUBMITTING: Duration = Duration::from_secs(180);

/// A job under way.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) id: String,
    /// What its upstream calls it, and the path where it calls back; empty with peers.
    pub(crate) task: String,
    pub(crate) callback: String,
}

/// The data of a program, with jobs under way.
pub(crate) struct UnderWay {
    data: TempDir,
    upstream: Option<Upstream>,
    pub(crate) jobs: Arc<[Job]>,
    /// Jobs a second from the first request to the last job that was submitted.
    pub(crate) per_second: f64,
}

impl UnderWay {
    /// Has `program` accept `most` jobs, or a peer some more, and waits until they are at the upstream.
    pub(crate) fn make(bench: &Bench, program: &Program, most: u64) -> Outcome<Self> {
        let data = TempDir::new()?;
        let (upstream, most) = match program.surface {
            Surface::Ours => (Some(Upstream::open(usize::try_from(most)?)?), most),
            Surface::Peer => (None, most.saturating_mul(MORE_FOR_PEERS)),
        };
        let server = program.start(data.path(), upstream.as_ref().map(Upstream::settings).as_deref())?;
        let begun = Instant::now();
        let submits = Submits::usual(&server, most)?;
        let strength = Strength::new(64, ACCEPTING);
        bench
            .runtime
            .block_on(load(server.address, strength, Arc::clone(&submits) as _))?
            .unbroken()?;
        let accepted = submits.acknowledged();
        if let Some(upstream) = &upstream {
            wait_until_taken(upstream, accepted.len())?;
        }
        let per_second = crate::numbers::figure(accepted.len()) / begun.elapsed().as_secs_f64();
        // Its last steps are to be on disk, and its log in the database.
        server.process.end()?;
        let jobs = match &upstream {
            Some(upstream) => matched(&accepted, upstream),
            None => accepted.into_iter().map(|(_, id)| Job::of_peer(id)).collect(),
        };
        if let Some(upstream) = &upstream {
            upstream.fall_silent();
        }
        println!(
            "{}: {} jobs are under way, {per_second:.0} a second",
            program.name,
            jobs.len()
        );
        Ok(Self {
            data,
            upstream,
            jobs: jobs.into(),
            per_second,
        })
    }

    /// A program that goes on from a copy of the data.
    pub(crate) fn start(&self, program: &Program, copy: &Path) -> Outcome<Server> {
        copy_folder(self.data.path(), copy)?;
        program.start(copy, self.upstream.as_ref().map(Upstream::settings).as_deref())
    }
}

impl Job {
    fn of_peer(id: String) -> Self {
        let (task, callback) = (String::new(), String::new());
        Self { id, task, callback }
    }
}

fn wait_until_taken(upstream: &Upstream, jobs: usize) -> Outcome<()> {
    let deadline = Instant::now() + SUBMITTING;
    while upstream.taken() < jobs {
        if Instant::now() > deadline {
            return Err(format!("of {jobs} jobs, {} came to the upstream", upstream.taken()).into());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// The jobs with their tasks: both know the number in the prompt.
fn matched(accepted: &[(u64, String)], upstream: &Upstream) -> Vec<Job> {
    let mut tasks: HashMap<_, _> = upstream
        .tasks()
        .into_iter()
        .filter_map(|task| Some((number_in(&task.prompt)?, task)))
        .collect();
    let pairs = accepted
        .iter()
        .filter_map(|(number, id)| Some((id, tasks.remove(number)?)));
    pairs
        .map(|(id, task)| Job {
            id: id.clone(),
            task: task.id,
            callback: task.callback,
        })
        .collect()
}
