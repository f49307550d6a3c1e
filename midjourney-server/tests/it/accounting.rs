//! A thousand jobs of all sorts over accounts at all upstreams, with everything going wrong that can be imitated: at the
//! end every job is accounted for, and so is everything that was paid.

use std::{
    collections::{HashMap, HashSet},
    fmt::Write as _,
    path::Path,
    sync::Arc,
    time::Duration,
};

use futures_util::{StreamExt as _, stream};
use midjourney_core::{
    accounts::{Limits, Strategy},
    clock::Clock as _,
    gateway::{Act, Gateway, Imagine},
    id::JobId,
    job::{
        AccountName, Action, ImageQuery, InputImage, Job, JobQuery, JobState, Need, Owner, ParentRef, Phase,
        Spent, Status,
    },
    testing::{SeededEntropy, tiny_png},
};
use midjourney_server::simulate::{Dialect, Fault, Paid, Script, SimulationOptions};
use midjourney_storage::{
    fs::LocalImageStore,
    sqlite::{SqliteJobStore, SqliteOptions},
};
use tempfile::TempDir;

use crate::world::{Setup, Upstream, World};

const JOBS: usize = 1_000;

/// How much time passes at once while there are orders.
const PACE: Duration = Duration::from_millis(250);

/// The same when all that is left has to run into its limits.
const HASTE: Duration = Duration::from_secs(1);

/// What goes wrong with a submit, each as likely as the other.
const FAULTS: &[&str] = &[
    "banned",
    "invalid",
    "queue-full",
    "no-credit",
    "rate-limited",
    "lost",
    "lost",
    "half",
    "html",
    "error",
    "huge",
    "drip",
    "wrong-type",
    "echo",
    "numeric",
    "moderated",
    "fail",
    "vanish",
    "window",
    "hang",
    "slow",
    "bad-image",
    "expired-links",
];

/// What goes wrong with questions.
const SILENCES: &[Fault] = &[
    Fault::Lost,
    Fault::Half,
    Fault::Html,
    Fault::Error,
    Fault::RateLimited,
    Fault::Echo,
];

fn one_of<'a, T>(chance: &SeededEntropy, of: &'a [T]) -> &'a T {
    &of[chance.below(of.len() as u64) as usize]
}

/// Every third submit or so goes wrong.
fn script(chance: &SeededEntropy) -> Script {
    let mut text = String::new();
    for submit in 1..=JOBS {
        if chance.below(3) == 0 {
            let fault = one_of(chance, FAULTS);
            writeln!(text, "{{\"submit\": {submit}, \"fault\": \"{fault}\"}}").unwrap();
        }
    }
    Script::read(&text).unwrap()
}

/// A gateway on disk with an account at each upstream.
async fn world(folder: &Path, chance: &SeededEntropy) -> World {
    let jobs = SqliteJobStore::open(folder.join("jobs.db"), SqliteOptions::default());
    let images = LocalImageStore::open(folder.join("images"));
    let mut setup = Setup::new(Strategy::LeastBusy);
    setup.jobs = Arc::new(jobs.await.unwrap());
    setup.images = Arc::new(images.await.unwrap());
    setup.policy.store_limit = Duration::from_secs(600);
    for dialect in Dialect::ALL {
        let mut options = SimulationOptions::new(dialect);
        options.script = script(chance);
        options.duration = Duration::from_secs(30);
        options.seed = chance.next();
        let name = AccountName::new(dialect.name());
        setup = setup.with(name, options, Limits::default()).await;
    }
    setup.start(chance.next())
}

/// Whether nothing happens to a job any more unless somebody tells what became of it.
const fn rests(job: &Job) -> bool {
    job.status().is_final() || waits(job)
}

const fn waits(job: &Job) -> bool {
    matches!(
        job.life.state,
        JobState::SubmitUnknown { .. }
            | JobState::Submitted {
                phase: Phase::AwaitingInput,
                ..
            }
    )
}

/// Somebody who orders all sorts of things.
struct Customer<'a> {
    world: &'a World,
    chance: &'a SeededEntropy,
    mask: InputImage,
    ids: Vec<JobId>,
    /// What was asked of which job; each only once, so that tasks can be told apart by their parents.
    asked: HashSet<(JobId, &'static str)>,
}

impl<'a> Customer<'a> {
    async fn new(world: &'a World, chance: &'a SeededEntropy) -> Self {
        let picture = stream::iter([Ok(tiny_png(255))]).boxed();
        let mask = world.gateway.upload(Owner::local(), picture).await.unwrap();
        Self {
            world,
            chance,
            mask: InputImage::Upload(mask.id),
            ids: Vec::new(),
            asked: HashSet::new(),
        }
    }

    async fn order_all(&mut self) {
        while self.ids.len() < JOBS {
            let before = self.ids.len();
            match self.chance.below(8) {
                0..3 => self.follow_up().await,
                3 => self.shorten().await,
                _ => {}
            }
            if self.ids.len() == before {
                self.imagine().await;
            }
            for id in self.ids.get(before..).unwrap_or_default() {
                if self.chance.below(12) == 0 {
                    self.change_ones_mind(*id);
                }
            }
            let next = self.world.clock.now().saturating_add(Duration::from_millis(300));
            self.world.clock.sleep_until(next).await;
        }
    }

    /// One job, or three of a batch; each prompt has a word of its own.
    async fn imagine(&mut self) {
        let word = format!("n{}", self.ids.len());
        let prompt = if self.chance.below(4) == 0 {
            format!("a fox {{{word}a, {word}b, {word}c}}")
        } else {
            format!("a fox {word}")
        };
        let accepted = self.world.gateway.imagine(Imagine::new(prompt)).await.unwrap();
        self.ids.extend(accepted.jobs.iter().map(|job| job.id));
    }

    async fn shorten(&mut self) {
        let prompt = format!("a very red fox n{}", self.ids.len());
        let order = Act::new(Action::Shorten).with_prompt(Some(prompt));
        self.act(order).await;
    }

    /// Anything that some finished job allows.
    async fn follow_up(&mut self) {
        if self.ids.is_empty() {
            return;
        }
        let id = *one_of(self.chance, &self.ids);
        let job = self.world.gateway.job(id).await.unwrap();
        if job.status() != Status::Completed {
            return;
        }
        let images = self
            .world
            .gateway
            .images(&ImageQuery::of(id))
            .await
            .unwrap()
            .items;
        let pictures = if images.len() == 1 { 1 } else { 4 };
        let wishes = Action::ALL.into_iter().filter(|action| {
            action.needs().parent == Need::Must && !self.asked.contains(&(id, action.name()))
        });
        let wishes: Vec<_> = wishes
            .map(|action| match action.needs().index {
                Need::Must => (action, 1 + self.chance.below(pictures) as u8),
                _ => (action, 0),
            })
            .collect();
        let possible = self.world.gateway.possible(&job, &images, &wishes);
        if possible.is_empty() {
            return;
        }
        let (action, index) = *one_of(self.chance, &possible);
        let needs = action.needs();
        let order = Act::new(action)
            .on(ParentRef::new(id, index))
            .with_prompt((needs.prompt == Need::Must).then(|| "a blue fox".to_owned()))
            .with_mask((needs.mask == Need::Must).then(|| self.mask.clone()));
        self.asked.insert((id, action.name()));
        self.act(order).await;
    }

    /// What the upstream refuses at once becomes no job.
    async fn act(&mut self, order: Act) {
        if let Ok(accepted) = self.world.gateway.act(order).await {
            self.ids.extend(accepted.jobs.iter().map(|job| job.id));
        }
    }

    /// Cancels a job at some time of its life; it may be over by then.
    fn change_ones_mind(&self, id: JobId) {
        let (clock, gateway) = (self.world.clock.clone(), self.world.gateway.clone());
        let at = clock
            .now()
            .saturating_add(Duration::from_secs(self.chance.below(60)));
        tokio::spawn(async move {
            clock.sleep_until(at).await;
            drop(gateway.cancel(id).await);
        });
    }
}

async fn all(gateway: &Gateway, status: Option<Status>) -> Vec<Job> {
    let mut query = JobQuery::newest(200);
    query.status = status;
    let mut jobs = Vec::new();
    loop {
        let page = gateway.jobs(&query).await.unwrap();
        jobs.extend(page.items);
        match page.next {
            Some(next) => query.after = Some(next),
            None => return jobs,
        }
    }
}

/// Whether every job rests; else what is still to be done.
async fn at_rest(gateway: &Gateway) -> Result<(), String> {
    let pending = gateway.counts().await.unwrap().pending;
    let processing = all(gateway, Some(Status::Processing)).await;
    let busy = processing.iter().filter(|job| !rests(job)).count();
    if pending == 0 && busy == 0 {
        return Ok(());
    }
    // Looking costs more than time does.
    tokio::time::sleep(Duration::from_millis(100)).await;
    Err(format!("{pending} wait and {busy} are under way"))
}

/// What was paid at all upstreams, to be found by what it was paid for.
struct Ledger {
    by_word: HashMap<String, usize>,
    by_parent: HashMap<(AccountName, String, String), usize>,
    total: usize,
}

/// The word in a prompt that tells it from others.
fn word(prompt: &str) -> Option<&str> {
    prompt.split_whitespace().find(|word| {
        word.strip_prefix('n')
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    })
}

impl Ledger {
    fn new(upstreams: &HashMap<AccountName, Upstream>) -> Self {
        let mut ledger = Self {
            by_word: HashMap::new(),
            by_parent: HashMap::new(),
            total: 0,
        };
        for (name, upstream) in upstreams {
            let account = upstream.simulation.account();
            let paid = account.paid.len() as u64;
            assert_eq!(
                account.submits,
                account.refused + account.windows + paid,
                "{name}: what was accepted was paid"
            );
            for paid in account.paid {
                ledger.note(name, &paid);
            }
        }
        ledger
    }

    fn note(&mut self, account: &AccountName, paid: &Paid) {
        self.total += 1;
        let action = paid.action.split(' ').next().unwrap_or_default().to_owned();
        *match &paid.parent {
            Some(parent) => self
                .by_parent
                .entry((account.clone(), parent.clone(), action))
                .or_default(),
            None => self
                .by_word
                .entry(word(&paid.prompt).unwrap_or(&paid.prompt).to_owned())
                .or_default(),
        } += 1;
    }

    /// How often `job` was paid, whose parent is among `jobs`.
    fn of(&self, job: &Job, jobs: &HashMap<JobId, Job>) -> usize {
        let found = match &job.request.parent {
            Some(parent) => {
                let upstream = jobs[&parent.job].life.state.upstream().unwrap().to_string();
                let action = job.request.action.name().to_owned();
                self.by_parent.get(&(job.account.clone(), upstream, action))
            }
            None => self.by_word.get(word(&job.request.prompt).unwrap()),
        };
        found.copied().unwrap_or(0)
    }
}

/// How often a job like this may have been paid.
fn allowed(job: &Job) -> std::ops::RangeInclusive<usize> {
    if matches!(
        job.life.state,
        JobState::Completed { .. } | JobState::Submitted { .. }
    ) {
        return 1..=1;
    }
    match job.life.failure().map(|failure| failure.spent) {
        Some(Spent::No) => 0..=0,
        Some(Spent::Yes) => 1..=1,
        Some(Spent::Maybe) | None => 0..=1,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_jobs_with_faults_end_in_exact_accounting() {
    let seed = std::env::var_os("MIDJOURNEY_TEST_SEED");
    let seed = seed.map_or(1, |seed| seed.to_str().unwrap().parse().unwrap());
    println!("MIDJOURNEY_TEST_SEED={seed}");
    let chance = SeededEntropy::new(seed);
    let folder = TempDir::new().unwrap();
    let world = world(folder.path(), &chance).await;
    let mut upstreams: Vec<_> = world.upstreams.iter().collect();
    upstreams.sort_by_key(|(name, _)| *name);
    let silences = SeededEntropy::new(seed + 1);
    // Some questions are not answered.
    let silence = || {
        if silences.below(30) == 0 {
            let (_, upstream) = one_of(&silences, &upstreams);
            upstream.simulation.spoil_question(*one_of(&silences, SILENCES));
        }
    };
    let mut customer = Customer::new(&world, &chance).await;
    world.while_passing(PACE, silence, customer.order_all()).await;
    let accepted = customer.ids.len();
    let gateway = &world.gateway;
    world
        .live_until("every job rests", HASTE, async || at_rest(gateway).await)
        .await;

    let jobs = all(gateway, None).await;
    let counts = gateway.counts().await.unwrap();
    let waiting = jobs.iter().filter(|job| waits(job)).count() as u64;
    println!("{accepted} accepted: {counts:?}, of which {waiting} wait for somebody");
    assert_eq!(jobs.len(), accepted, "what was accepted is there");
    assert_eq!(
        counts.completed + counts.failed + counts.cancelled + counts.expired + waiting,
        accepted as u64,
        "{counts:?}"
    );
    let ledger = Ledger::new(&world.upstreams);
    let jobs: HashMap<_, _> = jobs.into_iter().map(|job| (job.id, job)).collect();
    let mut paid = 0;
    let mut wrong = Vec::new();
    for job in jobs.values() {
        let times = ledger.of(job, &jobs);
        paid += times;
        if !allowed(job).contains(&times) {
            wrong.push(format!("paid {times} times: {job:?}"));
        }
    }
    println!("{} paid at the upstreams", ledger.total);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(paid, ledger.total, "what was paid belongs to a job");
}
