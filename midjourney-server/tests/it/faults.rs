//! What goes wrong at an upstream, seen from the gateway: each fault at each upstream, over real HTTP.

use std::{
    fmt::Write as _,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use midjourney_core::{
    accounts::{Condition, Limits, Strategy},
    clock::Clock as _,
    gateway::Imagine,
    id::JobId,
    job::{AccountName, FailureKind, ImageQuery, Job, Spent, Stage, Status},
};
use midjourney_server::simulate::{Account, Dialect, Fault, SimulationOptions};
use tracing_subscriber::fmt::MakeWriter;

use crate::{
    upstreams::{SECRET, each_dialect},
    world::{Setup, World},
};

/// How long a task takes at the upstreams here.
const DURATION: Duration = Duration::from_secs(30);

/// How much time passes at once.
const PACE: Duration = Duration::from_secs(2);

/// The same where nothing is to happen.
const HASTE: Duration = Duration::from_secs(20);

fn account(number: usize) -> AccountName {
    AccountName::new(format!("account-{number}"))
}

/// A world with so many accounts at `dialect`, each with one slot.
async fn world(dialect: Dialect, accounts: usize) -> World {
    let mut setup = Setup::new(Strategy::RoundRobin);
    for number in 0..accounts {
        let mut options = SimulationOptions::new(dialect);
        options.duration = DURATION;
        options.seed = number as u64;
        let limits = Limits {
            slots: Some(1),
            ..Limits::default()
        };
        setup = setup.with(account(number), options, limits).await;
    }
    setup.start(1)
}

impl World {
    async fn order(&self, prompt: &str) -> JobId {
        let accepted = self.gateway.imagine(Imagine::new(prompt)).await.unwrap();
        // Who comes first is first.
        self.clock.advance(Duration::from_millis(1));
        accepted.jobs[0].id
    }

    async fn look(&self, id: JobId) -> Job {
        self.gateway.job(id).await.unwrap()
    }

    async fn until(&self, what: &str, pace: Duration, id: JobId, enough: impl Fn(&Job) -> bool) -> Job {
        self.live_until(what, pace, async || {
            let job = self.look(id).await;
            if enough(&job) {
                Ok(())
            } else {
                Err(format!("{:?}", job.life))
            }
        })
        .await;
        self.look(id).await
    }

    async fn over(&self, id: JobId) -> Job {
        self.until("the job is over", PACE, id, |job| job.status().is_final())
            .await
    }

    fn paid(&self, number: usize) -> Account {
        self.upstreams[&account(number)].simulation.account()
    }
}

/// U2: nothing is sent a second time, whatever the upstream breaks down at.
async fn breakdowns_are_survived(dialect: Dialect) {
    let world = world(dialect, 1).await;
    let name = account(0);
    for times in [0, 1, 3, 10] {
        let before = world.paid(0).submits;
        let id = world.order(&format!("a fox of {times}")).await;
        let upstream = &world.upstreams[&name].simulation;
        (0..times).for_each(|_| upstream.spoil_question(Fault::Error));
        assert_eq!(
            world.over(id).await.status(),
            Status::Completed,
            "{times} breakdowns"
        );
        assert_eq!(world.paid(0).submits, before + 1, "{times} breakdowns");
    }
    let before = world.paid(0);
    let id = world.order("a hen sim:error").await;
    let can = world.accounts.client(&name).unwrap().capabilities();
    let job = world
        .until("the answer is missed", PACE, id, |job| {
            job.status().is_final() || !can.reconcile && job.life.state.stage() == Some(Stage::SubmitUnknown)
        })
        .await;
    let expected = if can.reconcile {
        Status::Completed
    } else {
        Status::Processing
    };
    assert_eq!(job.status(), expected, "{:?}", job.life);
    let hour = world.clock.now().saturating_add(Duration::from_secs(3_600));
    world
        .while_passing(HASTE, || (), world.clock.sleep_until(hour))
        .await;
    let after = world.paid(0);
    assert_eq!(
        (after.submits, after.paid.len()),
        (before.submits + 1, before.paid.len() + 1)
    );
}

/// U9: a task that is forgotten is given up soon, and is told to have been paid perhaps.
async fn a_task_that_vanishes_is_lost(dialect: Dialect) {
    let world = world(dialect, 1).await;
    let id = world.order("a fox sim:vanish").await;
    let job = world.over(id).await;
    let failure = job.life.failure().unwrap();
    assert_eq!(failure.kind, FailureKind::LostAtUpstream, "{:?}", job.life);
    assert_ne!(failure.spent, Spent::No, "{:?}", job.life);
    // It is there for half of its time.
    let lived = job.updated.saturating_since(job.life.created);
    assert!(lived <= DURATION / 2 + Duration::from_secs(120), "{lived:?}");
    assert_eq!(world.paid(0).submits, 1);
}

/// U14: links that died before anybody came are asked for once more.
async fn dead_links_are_renewed(dialect: Dialect) {
    let world = world(dialect, 1).await;
    let id = world.order("a fox sim:expired-links").await;
    let job = world.over(id).await;
    assert_eq!(job.status(), Status::Completed, "{:?}", job.life);
    let images = world.gateway.images(&ImageQuery::of(id)).await.unwrap().items;
    for image in &images {
        let bytes = world.gateway.picture_bytes(image.id).await.unwrap();
        assert_eq!(bytes.len() as u64, image.bytes);
    }
    assert!(!images.is_empty());
    assert_eq!(world.paid(0).paid.len(), 1);
}

/// U15: a refusal is told as such, and whoever waits behind it gets the slot.
async fn a_refusal_frees_its_slot(dialect: Dialect) {
    let world = world(dialect, 1).await;
    let refused = [
        world.order("a fox sim:banned").await,
        world.order("a fox sim:moderated").await,
    ];
    let next = world.order("a hen").await;
    assert_eq!(world.over(next).await.status(), Status::Completed);
    for id in refused {
        let job = world.look(id).await;
        assert_eq!(job.status(), Status::Failed, "the one before it: {:?}", job.life);
        let failure = job.life.failure().unwrap();
        assert_eq!(failure.kind, FailureKind::Moderated, "{:?}", job.life);
    }
}

/// What is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// U10: the account whose key is refused gets no more work, what it had not begun goes to the other, and nobody reads the key
/// anywhere.
async fn a_revoked_key_parks_its_account(dialect: Dialect) {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(log.clone())
        .finish();
    let _logging = tracing::subscriber::set_default(subscriber);
    // A session that has ended is begun anew by its person.
    let (kind, condition) = match dialect {
        Dialect::MidjourneyWeb => (FailureKind::NeedsPerson, Condition::NeedsPerson),
        _ => (FailureKind::AccountBlocked, Condition::Blocked),
    };
    let world = world(dialect, 2).await;
    let begun = [world.order("a fox").await, world.order("a hen").await];
    for id in begun {
        world
            .until("it is begun", PACE, id, |job| job.life.state.upstream().is_some())
            .await;
    }
    let mut waiting = Vec::new();
    for number in 0..6 {
        waiting.push(world.order(&format!("a hare of {number}")).await);
    }
    world.upstreams[&account(0)].lose_key().await;
    let mut told = String::new();
    let mut refused = 0;
    for id in waiting.iter().chain(&begun) {
        let pace = if waiting.contains(id) { PACE } else { HASTE };
        let job = world
            .until("the job is over", pace, *id, |job| job.status().is_final())
            .await;
        let view = world.gateway.view(&job).await.unwrap();
        let history = world.gateway.history(*id, 0, 100).await.unwrap();
        writeln!(told, "{view:?} {history:?}").unwrap();
        match job.life.failure() {
            Some(failure) if waiting.contains(id) => {
                assert_eq!((failure.kind, failure.spent), (kind, Spent::No), "{:?}", job.life);
                refused += 1;
            }
            // Nobody can ask any more what became of it, and it is not begun again elsewhere.
            Some(failure) => assert_eq!((job.account, failure.spent), (account(0), Spent::Yes)),
            None => assert_eq!((job.status(), job.account), (Status::Completed, account(1))),
        }
    }
    assert_eq!(world.accounts.condition(&account(0)), condition);
    // Whoever finds it out is refused; nobody tries again at once.
    assert!(refused <= 2, "{refused} jobs were sent with a dead key");
    assert_eq!(world.paid(0).paid.len(), 1);
    assert_eq!(world.paid(1).paid.len(), 1 + waiting.len() - refused);
    told.push_str(&String::from_utf8_lossy(&log.0.lock().unwrap()));
    assert!(told.contains("account-0"), "nothing was logged");
    for secret in [SECRET, "another-key"] {
        let place = told.find(secret);
        assert_eq!(place.map(|place| &told[place.saturating_sub(200)..place]), None);
    }
}

/// Who lets no program through is told to a person, who may get further; nothing is spent, and nothing is forgotten.
#[tokio::test]
async fn who_is_stopped_by_cloudflare_waits_for_a_person() {
    let world = world(Dialect::MidjourneyWeb, 1).await;
    let upstream = &world.upstreams[&account(0)].simulation;
    let begun = world.order("a fox").await;
    world
        .until("it is begun", PACE, begun, |job| {
            job.life.state.upstream().is_some()
        })
        .await;
    upstream.spoil_question(Fault::Cloudflare);
    let refused = world.order("a hen sim:cloudflare").await;
    let job = world.over(refused).await;
    let failure = job.life.failure().unwrap();
    assert_eq!(
        (failure.kind, failure.spent),
        (FailureKind::NeedsPerson, Spent::No),
        "{:?}",
        job.life
    );
    assert!(failure.message.contains("Cloudflare"), "{failure:?}");
    let next = world.order("a hare").await;
    assert_eq!(world.over(begun).await.status(), Status::Completed);
    assert_eq!(
        world.look(next).await.status(),
        Status::Pending,
        "it is not sent into the wall"
    );
    assert_eq!(world.accounts.condition(&account(0)), Condition::NeedsPerson);
    // Now and then one is sent to see whether somebody was there.
    let job = world
        .until("the account is tried again", HASTE, next, |job| {
            job.status().is_final()
        })
        .await;
    assert_eq!(job.status(), Status::Completed, "{:?}", job.life);
    assert_eq!(world.accounts.condition(&account(0)), Condition::Ok);
    let account = world.paid(0);
    assert_eq!((account.submits, account.refused, account.paid.len()), (3, 1, 2));
}

macro_rules! faults {
    ($name:ident, $dialect:ident) => {
        mod $name {
            use super::Dialect;

            faults!(case breakdowns_are_survived, $dialect);
            faults!(case a_task_that_vanishes_is_lost, $dialect);
            faults!(case dead_links_are_renewed, $dialect);
            faults!(case a_refusal_frees_its_slot, $dialect);
            faults!(case a_revoked_key_parks_its_account, $dialect);
        }
    };
    (case $case:ident, $dialect:ident) => {
        #[tokio::test]
        async fn $case() {
            super::$case(Dialect::$dialect).await;
        }
    };
}

each_dialect!(faults);
