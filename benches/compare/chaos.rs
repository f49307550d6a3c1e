//! The program, an upstream that goes wrong, clients that do not give up, and `kill -9` at odd moments; at the end, every
//! request, job and payment is accounted for.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs,
    net::SocketAddr,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::{
    Outcome,
    bench::Bench,
    connection::Connection,
    numbers::figure,
    process::{Running, free_address, pinned},
    submit::number_in,
    surface::{Surface, get, id_in, post},
    table::Table,
};

/// What goes wrong with some of the submits.
const FAULTS: [&str; 9] = [
    "lost",
    "half",
    "html",
    "error",
    "rate-limited",
    "queue-full",
    "fail",
    "moderated",
    "no-callbacks",
];

/// How many clients ask at once.
const CLIENTS: u64 = 16;

/// How long the jobs may take to come to rest once the kills are over.
const REST: Duration = Duration::from_secs(180);

pub(crate) fn chaos(bench: &Bench, table: &mut Table) -> Outcome<()> {
    let kills = bench.options.number("kills", 10)?;
    let requests = bench.options.number("requests", 400)?;
    let mut dice = Dice(bench.options.number("seed", 1)?);
    let data = TempDir::new()?;
    let (upstream, simulator) = simulator(bench, data.path(), requests, &mut dice)?;
    let address = free_address()?;
    let settings = settings(upstream, address);
    let home = data.path().join("data");
    fs::create_dir(&home)?;
    let start = || bench.ours()?.start_at(address, &home, Some(&settings));

    let clients = Arc::new(Clients {
        address,
        requests,
        next: AtomicU64::new(0),
        acknowledged: Mutex::default(),
    });
    let mut server = start()?;
    let accounts = bench.runtime.block_on(async {
        let mut asking = JoinSet::new();
        for _ in 0..CLIENTS {
            asking.spawn(Arc::clone(&clients).ask());
        }
        for kill in 1..=kills {
            tokio::time::sleep(Duration::from_millis(200 + dice.below(2_500))).await;
            drop(server);
            server = start()?;
            let ready = server.ready_after.as_millis();
            println!(
                "kill {kill}: {} acknowledged so far, ready after {ready} ms",
                clients.acknowledged().len()
            );
        }
        while asking.join_next().await.is_some() {}
        let acknowledged = clients.acknowledged();
        let jobs = rest(address, &acknowledged).await?;
        Outcome::Ok(Accounts {
            requests,
            acknowledged,
            jobs,
            paid: paid(upstream).await?,
        })
    })?;
    drop(simulator);
    accounts.tell(table);
    Ok(())
}

/// An imitation of LegNext that goes wrong with about every fifth submit.
fn simulator(bench: &Bench, folder: &Path, requests: u64, dice: &mut Dice) -> Outcome<(SocketAddr, Running)> {
    let script = folder.join("faults.jsonl");
    let rules: Vec<String> = (1..=requests)
        .filter_map(|submit| {
            let fault = FAULTS.get(usize::try_from(dice.below(45)).ok()?)?;
            Some(format!("{{\"submit\": {submit}, \"fault\": \"{fault}\"}}"))
        })
        .collect();
    fs::write(&script, rules.join("\n"))?;
    let address = free_address()?;
    let program = std::path::absolute(bench.options.ours()?)?;
    let mut command = pinned(bench.options.text("load-cpu", "1"), &program.to_string_lossy());
    command.current_dir(folder).env("HOME", folder).args([
        "simulate",
        "--dialect",
        "legnext",
        "--duration-ms",
        "1500",
    ]);
    command
        .arg("--listen")
        .arg(address.to_string())
        .arg("--script")
        .arg(script);
    command
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null());
    let (running, _) = Running::until_ready(&mut command, address, "/_simulate/ledger")?;
    Ok((address, running))
}

fn settings(upstream: SocketAddr, address: SocketAddr) -> String {
    format!(
        "webhook:\n  public_url: \"http://localhost:{}/webhook/midjourney\"\n  secret: the-secret-of-the-addresses\n\
         accounts:\n  a0: {{ kind: legnext, base_url: \"http://{upstream}\", key: compare, slots: 40 }}\n\
         engine:\n  submit_timeout_seconds: 2\n  lease_seconds: 60\n",
        address.port()
    )
}

/// Numbered requests, each repeated under its key until it is acknowledged.
struct Clients {
    address: SocketAddr,
    requests: u64,
    next: AtomicU64,
    /// Every id that each request was answered with.
    acknowledged: Mutex<BTreeMap<u64, HashSet<String>>>,
}

impl Clients {
    fn acknowledged(&self) -> BTreeMap<u64, HashSet<String>> {
        self.acknowledged
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    async fn ask(self: Arc<Self>) {
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= self.requests {
                return;
            }
            let mut request = Vec::new();
            let body = format!("{{\"prompt\":\"a cat number {number} on a chair --v 7\"}}");
            let headers = format!("idempotency-key: request-{number}\r\n");
            post(
                &mut request,
                &self.address.to_string(),
                Surface::Ours.submit(),
                &headers,
                body.as_bytes(),
            );
            // Once more than it takes: the second answer must be the first one's.
            for _ in 0..2 {
                while let Err(_gone) = self.once(number, &request).await {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }

    async fn once(&self, number: u64, request: &[u8]) -> Outcome<()> {
        let mut connection = Connection::open(self.address).await?;
        let answer = connection.ask(request).await?;
        let id = id_in(answer.body)
            .filter(|_| answer.status == 202)
            .ok_or("refused")?;
        let mut acknowledged = self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner);
        acknowledged.entry(number).or_default().insert(id);
        Ok(())
    }
}

/// Where each job ended, by its id: its status, or its stage where it has not ended. Those that the program does not know
/// are left out.
async fn rest(
    address: SocketAddr,
    acknowledged: &BTreeMap<u64, HashSet<String>>,
) -> Outcome<HashMap<String, String>> {
    let mut connection = Connection::open(address).await?;
    let mut open: Vec<&String> = acknowledged.values().flatten().collect();
    let mut jobs = HashMap::new();
    let deadline = Instant::now() + REST;
    while !open.is_empty() {
        let mut still = Vec::new();
        for id in open {
            let answer = connection.ask(&get(address, &format!("/jobs/{id}"), "")).await?;
            if answer.status != 200 {
                continue;
            }
            let job: serde_json::Value = serde_json::from_slice(answer.body)?;
            let text = |name: &str| {
                job.get(name)
                    .and_then(serde_json::Value::as_str)
                    .unwrap_or_default()
            };
            let (status, stage) = (text("status"), text("stage"));
            // Nobody but its owner can settle that one.
            let rests = matches!(status, "completed" | "failed" | "cancelled" | "expired")
                || stage == "submit_unknown";
            if !rests {
                still.push(id);
            }
            let shown = if matches!(status, "pending" | "processing") {
                stage
            } else {
                status
            };
            jobs.insert(id.clone(), shown.to_owned());
        }
        open = still;
        if Instant::now() > deadline {
            break;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    Ok(jobs)
}

/// How often the upstream was paid for each request.
async fn paid(upstream: SocketAddr) -> Outcome<BTreeMap<u64, usize>> {
    let mut connection = Connection::open(upstream).await?;
    let answer = connection.ask(&get(upstream, "/_simulate/ledger", "")).await?;
    let account: serde_json::Value = serde_json::from_slice(answer.body)?;
    let prompts = account
        .get("paid")
        .and_then(serde_json::Value::as_array)
        .into_iter()
        .flatten();
    let mut paid = BTreeMap::new();
    for prompt in prompts.filter_map(|paid| paid.get("prompt")?.as_str()) {
        let number = number_in(prompt).ok_or_else(|| format!("paid for {prompt:?}"))?;
        *paid.entry(number).or_default() += 1;
    }
    Ok(paid)
}

struct Accounts {
    requests: u64,
    acknowledged: BTreeMap<u64, HashSet<String>>,
    jobs: HashMap<String, String>,
    paid: BTreeMap<u64, usize>,
}

impl Accounts {
    fn tell(&self, table: &mut Table) {
        let mut ends: BTreeMap<&str, usize> = BTreeMap::new();
        let (mut lost, mut doubled, mut unpaid) = (0, 0, 0);
        for (number, ids) in &self.acknowledged {
            doubled += ids.len() - 1;
            for id in ids {
                let Some(end) = self.jobs.get(id) else {
                    lost += 1;
                    continue;
                };
                *ends.entry(end).or_default() += 1;
                unpaid += usize::from(end == "completed" && !self.paid.contains_key(number));
            }
        }
        let twice = self.paid.values().filter(|times| **times > 1).count();
        let stray = self
            .paid
            .keys()
            .filter(|number| !self.acknowledged.contains_key(number))
            .count();
        println!(
            "asked for {}, acknowledged {}, paid {}; ended: {ends:?}\nlost {lost}, paid twice {twice}, made twice {doubled}, \
             completed without being paid {unpaid}, paid without being acknowledged {stray}",
            self.requests,
            self.acknowledged.len(),
            self.paid.values().sum::<usize>(),
        );
        table.note("lost", figure(lost));
        table.note("twice", figure(twice + doubled));
    }
}

/// Chance that can be repeated (SplitMix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % most
    }
}
