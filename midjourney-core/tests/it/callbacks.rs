//! What upstreams say on their own: believed as far as it is proved, heeded once, recorded always.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail as tests do"
)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use midjourney_core::{
    accounts::{Account, Accounts, Strategy},
    clock::Clock as _,
    engine::{EngineConfig, Parts},
    gateway::{Gateway, PromptRules},
    id::JobId,
    job::{
        AccountName, CALLBACKS_KEPT, CallbackQuery, CallbackRecord, EventKind, Nonce, PARKED_FOR,
        REPLAY_WINDOW, Resolution, Stage, Status, Verdict,
    },
    key::Secret,
    testing::{FakeClient, SeededEntropy, SubmitOutcome},
    webhook::{CallbackRegistration, Headers, Incoming},
};

use crate::given::World;

/// What proves the addresses.
const SECRET: &str = "a secret of the callbacks";

/// A world whose upstream is told where to call.
pub(crate) fn reachable(client: FakeClient) -> World {
    let mut world = World::new(client);
    world.callback = Some(CallbackRegistration::new(
        "https://gw.example/cb",
        Secret::new(SECRET),
    ));
    world
}

/// What only the upstream of `job` was told: the end of the address of its last submit.
pub(crate) fn segment(world: &World, job: JobId) -> String {
    let submits = world.client.submits();
    let own = submits.iter().rev().find(|submit| submit.job == job);
    let nonce = own.map_or_else(
        || Nonce::new(&SeededEntropy::new(4)),
        |submit| submit.nonce.clone(),
    );
    let address = world.callback.as_ref().unwrap().url_for(job, &nonce);
    address.expose().rsplit('/').next().unwrap().to_owned()
}

/// A callback to the address of `job`.
pub(crate) fn to_job(world: &World, job: JobId, body: &str) -> Incoming {
    Incoming::new(Bytes::from(body.to_owned())).to(segment(world, job))
}

fn signed(incoming: Incoming, signature: &str) -> Incoming {
    let headers: Headers = [(FakeClient::SIGNATURE, signature)].into_iter().collect();
    incoming.with_headers(headers)
}

/// What becomes of `incoming`, with an id of its own.
async fn received(world: &World, incoming: Incoming) -> CallbackRecord {
    static SEED: AtomicU64 = AtomicU64::new(100);
    let gateway = world.gateway_over(Arc::clone(&world.jobs), SEED.fetch_add(1, Ordering::SeqCst));
    gateway.receive(incoming).await.unwrap()
}

async fn verdict(world: &World, incoming: Incoming) -> Verdict {
    received(world, incoming).await.verdict
}

async fn recorded(world: &World) -> Vec<CallbackRecord> {
    let mut query = CallbackQuery::default();
    query.limit = 200;
    world.gateway().callbacks(&query).await.unwrap().items
}

/// A job whose task is under way, and nobody working on it.
pub(crate) async fn submitted(world: &World) -> (JobId, String) {
    let id = world.accepted().await;
    let engine = world.start();
    world
        .live_until("the submit", async || {
            world.job(id).await.life.state.stage() == Some(Stage::Submitted)
        })
        .await;
    drop(engine);
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
    (id, world.client.tasks()[0].as_str().to_owned())
}

#[tokio::test]
async fn an_unsigned_callback_changes_nothing_but_has_the_task_asked_about_at_once() {
    let world = reachable(FakeClient::new());
    let (id, task) = submitted(&world).await;
    let before = world.job(id).await;
    let lie = format!("{task} done");
    assert_eq!(verdict(&world, to_job(&world, id, &lie)).await, Verdict::Noticed);
    let after = world.job(id).await;
    assert_eq!(after.life.state, before.life.state);
    assert_eq!(after.life.due, Some(world.clock.now()));
    // Again it is known, and what has happened since is not undone.
    world.clock.advance(Duration::from_millis(10));
    assert_eq!(verdict(&world, to_job(&world, id, &lie)).await, Verdict::Repeated);
    assert_eq!(world.job(id).await, after);
    let records = recorded(&world).await;
    assert_eq!(records.len(), 1);
    assert_eq!((records[0].job, records[0].verdict), (Some(id), Verdict::Noticed));
}

#[tokio::test]
async fn a_signed_callback_is_believed_without_a_look() {
    let world = reachable(FakeClient::new().signing());
    let (id, task) = submitted(&world).await;
    let asked = world.client.polls(&world.client.tasks()[0]);
    for (said, expected) in [("40", Some(40)), ("20", Some(40)), ("60", Some(60))] {
        let incoming = signed(to_job(&world, id, &format!("{task} {said}")), "good");
        assert_eq!(verdict(&world, incoming).await, Verdict::Applied);
        assert_eq!(world.job(id).await.life.state.progress(), expected);
    }
    let done = signed(to_job(&world, id, &format!("{task} done")), "good");
    assert_eq!(verdict(&world, done).await, Verdict::Applied);
    assert_eq!(world.job(id).await.life.state.stage(), Some(Stage::Storing));
    assert_eq!(world.client.polls(&world.client.tasks()[0]), asked);
    let engine = world.start();
    assert_eq!(world.live_until_over(id).await.status(), Status::Completed);
    drop(engine);
    let late = signed(to_job(&world, id, &format!("{task} 70")), "good");
    assert_eq!(verdict(&world, late).await, Verdict::Late);
}

/// Whatever order they come in, with the answer to the submit lost.
#[tokio::test]
async fn every_order_of_callbacks_comes_to_the_same() {
    let said = ["10", "40", "40", "90", "done"];
    let mut orders = vec![vec![]];
    for _ in said {
        orders = orders
            .into_iter()
            .flat_map(|order: Vec<usize>| {
                (0..said.len())
                    .filter(|next| !order.contains(next))
                    .map(|next| [order.clone(), vec![next]].concat())
                    .collect::<Vec<_>>()
            })
            .collect();
    }
    assert_eq!(orders.len(), 120);
    for order in orders {
        let world = reachable(FakeClient::new().signing());
        let (id, task) = submitted(&world).await;
        for (turn, which) in order.iter().enumerate() {
            let signature = format!(
                "good {}",
                world.clock.now().as_millis() + i64::try_from(turn).unwrap()
            );
            let body = format!("{task} {}", said[*which]);
            verdict(&world, signed(to_job(&world, id, &body), &signature)).await;
        }
        let engine = world.start();
        let job = world.live_until_over(id).await;
        drop(engine);
        assert_eq!(
            (job.status(), world.client.paid()),
            (Status::Completed, 1),
            "{order:?}"
        );
        let events = world.gateway().history(id, 0, 100).await.unwrap();
        assert!(
            events.windows(2).all(|two| two[0].sequence < two[1].sequence),
            "{order:?}"
        );
        assert_eq!(
            events
                .iter()
                .filter(|event| event.kind == EventKind::Storing)
                .count(),
            1
        );
    }
}

/// It came to the address of this very job: that a task bears it is evidence.
#[tokio::test]
async fn a_callback_finds_a_lost_submit() {
    let world = reachable(FakeClient::new());
    world.client.script_submits([SubmitOutcome::LostAfter]);
    let id = world.accepted().await;
    let engine = world.start();
    world
        .live_until("the lost answer", async || {
            world.job(id).await.life.state.stage() == Some(Stage::SubmitUnknown)
        })
        .await;
    let task = world.client.tasks()[0].as_str().to_owned();
    assert_eq!(verdict(&world, to_job(&world, id, &task)).await, Verdict::Noticed);
    assert_eq!(world.job(id).await.life.state.upstream().unwrap().as_str(), task);
    assert_eq!(world.live_until_over(id).await.status(), Status::Completed);
    drop(engine);
    assert_eq!(world.client.paid(), 1);
}

/// Both were paid, and each is a task of its own: the first must not be taken for the second.
#[tokio::test]
async fn a_callback_of_an_earlier_submit_is_not_taken_for_a_later_one() {
    let world = reachable(FakeClient::new());
    world
        .client
        .script_submits([SubmitOutcome::LostAfter, SubmitOutcome::LostAfter]);
    let id = world.accepted().await;
    let lost = async |submits: usize| {
        let gateway = world.gateway_over(Arc::clone(&world.jobs), u64::try_from(submits).unwrap());
        let engine = gateway.start_engine(EngineConfig::default());
        world
            .live_until("the lost answer", async || {
                world.client.submits().len() == submits
                    && world.job(id).await.life.state.stage() == Some(Stage::SubmitUnknown)
            })
            .await;
        drop(engine);
    };
    lost(1).await;
    let earlier = segment(&world, id);
    world.gateway().resolve(id, Resolution::Resubmit).await.unwrap();
    lost(2).await;
    let tasks = world.client.tasks();
    let news = |segment: &str, task: usize| {
        Incoming::new(Bytes::from(format!("{} 10", tasks[task].as_str()))).to(segment)
    };
    assert_eq!(verdict(&world, news(&earlier, 0)).await, Verdict::Foreign);
    assert_eq!(world.job(id).await.life.state.upstream(), None);
    assert_eq!(
        verdict(&world, news(&segment(&world, id), 1)).await,
        Verdict::Noticed
    );
    assert_eq!(world.job(id).await.life.state.upstream(), Some(&tasks[1]));
}

#[tokio::test]
async fn what_is_not_proved_is_refused_and_changes_nothing() {
    let world = reachable(FakeClient::new().signing());
    let (id, task) = submitted(&world).await;
    let before = world.job(id).await;
    let body = format!("{task} done");
    let other = JobId::new(world.clock.now(), &SeededEntropy::new(9));
    let own = segment(&world, id);
    let flipped = format!(
        "{}{}",
        &own[..own.len() - 1],
        if own.ends_with('0') { '1' } else { '0' }
    );
    let to = |segment: &str| Incoming::new(Bytes::from(body.clone())).to(segment);
    for (incoming, expected) in [
        (to_job(&world, id, &body), Verdict::Forged),
        (signed(to_job(&world, id, &body), "bad"), Verdict::Forged),
        (signed(to_job(&world, id, &body), "good soon"), Verdict::Forged),
        (signed(to_job(&world, id, ""), "good"), Verdict::Malformed),
        (signed(to_job(&world, id, "another 20"), "good"), Verdict::Foreign),
        (signed(to(&flipped), "good"), Verdict::Unknown),
        (signed(to(&own[1..]), "good"), Verdict::Unknown),
        (signed(to(""), "good"), Verdict::Unknown),
        (signed(to_job(&world, other, &body), "good"), Verdict::Unknown),
        (Incoming::new(Bytes::from(body.clone())), Verdict::Forged),
    ] {
        assert_eq!(verdict(&world, incoming).await, expected);
    }
    let twice: Headers = [(FakeClient::SIGNATURE, "good"), (FakeClient::SIGNATURE, "good")]
        .into_iter()
        .collect();
    let incoming = to_job(&world, id, &body).with_headers(twice);
    assert_eq!(verdict(&world, incoming).await, Verdict::Forged);
    assert_eq!(world.job(id).await, before);
    // Each is recorded, the refused ones together a second later.
    world.clock.advance(Duration::from_secs(1));
    world
        .live_until("the records", async || recorded(&world).await.len() == 11)
        .await;
}

#[tokio::test]
async fn a_signature_is_good_for_five_minutes_both_ways() {
    let world = reachable(FakeClient::new().signing());
    let (id, task) = submitted(&world).await;
    let now = world.clock.now().as_millis();
    let window = i64::try_from(REPLAY_WINDOW.as_millis()).unwrap();
    for (at, expected) in [
        (now - window, Verdict::Applied),
        (now - window - 1, Verdict::Expired),
        (now + window, Verdict::Applied),
        (now + window + 1, Verdict::Expired),
        (i64::MIN, Verdict::Expired),
        (i64::MAX, Verdict::Expired),
        (0, Verdict::Expired),
    ] {
        let incoming = signed(to_job(&world, id, &format!("{task} 5")), &format!("good {at}"));
        assert_eq!(verdict(&world, incoming).await, expected, "{at}");
    }
}

/// 100,000 guesses, some in the right form: none leads anywhere, and those beyond the limit cost no write.
#[tokio::test]
async fn guessed_addresses_lead_nowhere_and_are_not_recorded_without_end() {
    let world = reachable(FakeClient::new());
    let (id, task) = submitted(&world).await;
    let gateway = world.gateway_over(Arc::clone(&world.jobs), 77);
    let body = Bytes::from(format!("{task} done"));
    let guesser = Some([192, 0, 2, 1].into());
    let guess = async |number: u32| {
        let segment = match number % 4 {
            0 => format!("{id}.{number:064x}"),
            1 => format!("{id}.{number}"),
            2 => format!("{number:x}"),
            _ => format!("job_{number:032x}.{number:064x}"),
        };
        let incoming = Incoming::new(body.clone()).to(segment).from(guesser);
        gateway.receive(incoming).await.unwrap().verdict
    };
    for number in 0..100_000 {
        let expected = if number < 60 {
            Verdict::Unknown
        } else {
            Verdict::Throttled
        };
        assert_eq!(guess(number).await, expected, "{number}");
    }
    let own = to_job(&world, id, &format!("{task} 10")).from(guesser);
    assert_eq!(gateway.receive(own).await.unwrap().verdict, Verdict::Noticed);
    world.clock.advance(Duration::from_secs(60));
    assert_eq!(guess(0).await, Verdict::Unknown);
    world
        .live_until("the records", async || recorded(&world).await.len() >= 61)
        .await;
    assert_eq!(
        recorded(&world).await.len(),
        62,
        "60, the one that was right, and the one a minute later"
    );
}

#[tokio::test]
async fn callbacks_from_elsewhere_are_refused_and_recorded() {
    let mut world = reachable(FakeClient::new());
    let (id, task) = submitted(&world).await;
    let networks = ["198.51.100.0/24", "2001:db8::/32"];
    world.policy.callback_senders = networks.map(|network| network.parse().unwrap()).into();
    let before = world.job(id).await;
    let sent = async |from: Option<&str>| {
        let incoming = to_job(&world, id, &format!("{task} {from:?}"));
        let from = from.map(|from| from.parse().unwrap());
        verdict(&world, incoming.from(from)).await
    };
    for from in [
        Some("203.0.113.5"),
        Some("198.51.101.1"),
        Some("2001:db9::1"),
        Some("::198.51.100.7"),
        None,
    ] {
        assert_eq!(sent(from).await, Verdict::Barred, "{from:?}");
    }
    assert_eq!(world.job(id).await, before);
    for from in ["::ffff:198.51.100.7", "2001:db8::7"] {
        assert_eq!(sent(Some(from)).await, Verdict::Noticed, "{from}");
    }
    world.clock.advance(Duration::from_secs(1));
    world
        .live_until("the records", async || recorded(&world).await.len() == 7)
        .await;
}

/// For a day, addresses made with the older secret are good beside those made with the new one.
#[tokio::test]
async fn both_secrets_are_good_for_as_long_as_they_overlap() {
    let mut world = reachable(FakeClient::new());
    let (id, task) = submitted(&world).await;
    let old = world.callback.clone();
    let day = Duration::from_secs(86_400);
    let until = world.clock.now().saturating_add(day);
    let new = CallbackRegistration::new("https://gw.example/cb", Secret::new("the new one"));
    let new = new.also_accepting(Secret::new(SECRET), until);
    let say = async |world: &mut World, by: &Option<CallbackRegistration>, note: &str| {
        world.callback.clone_from(by);
        let incoming = to_job(world, id, &format!("{task} note-{note}"));
        world.callback = Some(new.clone());
        verdict(world, incoming).await
    };
    let alone = Some(CallbackRegistration::new(
        "https://gw.example/cb",
        Secret::new("the new one"),
    ));
    assert_eq!(say(&mut world, &old, "1").await, Verdict::Noticed);
    assert_eq!(say(&mut world, &alone, "2").await, Verdict::Noticed);
    world.clock.advance(day);
    assert_eq!(say(&mut world, &old, "3").await, Verdict::Noticed);
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(say(&mut world, &old, "4").await, Verdict::Unknown);
    assert_eq!(say(&mut world, &alone, "5").await, Verdict::Noticed);
}

/// The address that is the same for all takes what is signed, and finds the job by its task.
#[tokio::test]
async fn a_signed_callback_finds_its_job_by_its_task() {
    let world = reachable(FakeClient::new().signing());
    let early = || signed(Incoming::new(Bytes::from("task-1 20")), "good");
    assert_eq!(verdict(&world, early()).await, Verdict::Parked);
    let (id, task) = submitted(&world).await;
    // It was not heeded then.
    assert_eq!(verdict(&world, early()).await, Verdict::Applied);
    assert_eq!(verdict(&world, early()).await, Verdict::Repeated);
    let body = Bytes::from(format!("{task} 30"));
    let record = received(&world, signed(Incoming::new(body), "good 0")).await;
    assert_eq!(record.verdict, Verdict::Expired);
    let body = Bytes::from(format!("{task} 35"));
    let record = received(&world, signed(Incoming::new(body), "good")).await;
    assert_eq!((record.verdict, record.job), (Verdict::Applied, Some(id)));
}

/// As two keys of one dashboard do.
#[tokio::test]
async fn a_secret_that_two_accounts_share_tells_not_whose_the_task_is() {
    let world = reachable(FakeClient::new().signing());
    let (id, task) = submitted(&world).await;
    let (own, other) = (Arc::clone(&world.client), Arc::new(FakeClient::new().signing()));
    let images = Arc::clone(&world.images);
    let parts = Parts {
        jobs: Arc::clone(&world.jobs),
        images,
        accounts: Accounts::new(Strategy::Priority)
            .with(Account::new(AccountName::new("other"), other))
            .with(Account::new(AccountName::new("fake"), own)),
        clock: Arc::new(world.clock.clone()),
        entropy: Arc::new(SeededEntropy::new(99)),
        policy: world.policy.clone(),
        callback: world.callback.clone(),
        links: None,
        webhooks: None,
    };
    let news = signed(Incoming::new(Bytes::from(format!("{task} 30"))), "good");
    let gateway = Gateway::new(parts, PromptRules::default());
    let record = gateway.receive(news).await.unwrap();
    assert_eq!((record.verdict, record.job), (Verdict::Applied, Some(id)));
    assert_eq!(record.account, Some(AccountName::new("fake")));
}

/// 1,500 forged ones a second: the history keeps its size, and each good one among them is heeded.
#[tokio::test]
async fn a_flood_of_forgeries_drowns_nothing() {
    const SECONDS: u64 = 15;
    let world = reachable(FakeClient::new().signing());
    let (id, task) = submitted(&world).await;
    let gateway = world.gateway_over(Arc::clone(&world.jobs), 78);
    for second in 0..SECONDS {
        for number in 0..1_500 {
            let forged = Incoming::new(Bytes::from(format!("{task} {second} {number}")));
            let forged = if number % 2 == 0 {
                signed(forged, "bad")
            } else {
                forged
            };
            assert_eq!(gateway.receive(forged).await.unwrap().verdict, Verdict::Forged);
        }
        let good = signed(to_job(&world, id, &format!("{task} {second}")), "good");
        assert_eq!(gateway.receive(good).await.unwrap().verdict, Verdict::Applied);
        let recorded = (second + 1).saturating_mul(1_000).min(CALLBACKS_KEPT);
        world
            .live_until("the records", async || {
                let status = gateway.callback_status().await.unwrap();
                status.verdicts["forged"] == recorded
            })
            .await;
    }
    let status = gateway.callback_status().await.unwrap();
    assert_eq!(
        (status.verdicts["forged"], status.verdicts["applied"]),
        (CALLBACKS_KEPT, SECONDS)
    );
    assert!(status.last_callback_at.is_some());
}

/// A callback that comes before the answer to the submit is not lost: the task is asked about as soon as it is known whose
/// it is, and for ten minutes.
#[tokio::test]
async fn an_early_callback_is_heeded_once_its_task_is_known() {
    let exactly = PARKED_FOR;
    let longer = PARKED_FOR.saturating_add(Duration::from_millis(1));
    for (task, before, at_once) in [
        ("task-1", Duration::ZERO, true),
        ("task-1", exactly, true),
        ("task-1", longer, false),
        ("task-2", Duration::ZERO, false),
    ] {
        let world = reachable(FakeClient::new().signing());
        let early = signed(Incoming::new(Bytes::from(format!("{task} done"))), "good");
        assert_eq!(verdict(&world, early).await, Verdict::Parked);
        world.clock.advance(before);
        let id = world.accepted().await;
        let engine = world.start();
        // The time stands still: whatever happens now, happens at once.
        for _ in 0..2_000 {
            tokio::task::yield_now().await;
        }
        let tasks = world.client.tasks();
        assert_eq!(
            world.client.polls(&tasks[0]) > 0,
            at_once,
            "{task} after {before:?}"
        );
        assert_eq!(world.live_until_over(id).await.status(), Status::Completed);
        drop(engine);
        assert_eq!(world.client.paid(), 1);
    }
}

/// 1,000 callbacks, each ten times from 32 tasks.
#[tokio::test(flavor = "multi_thread")]
async fn callbacks_that_come_many_times_are_heeded_once() {
    let world = reachable(FakeClient::new().signing());
    let (id, task) = submitted(&world).await;
    let gateway = world.gateway();
    let before = world.job(id).await.version;
    let mut senders = tokio::task::JoinSet::new();
    for sender in 0..32_usize {
        let gateway = gateway.clone();
        let incoming: Vec<_> = (0..10_000)
            .filter(|number| number % 32 == sender)
            .map(|number| to_job(&world, id, &format!("{task} note-{}", number % 1_000)))
            .collect();
        senders.spawn(async move {
            let mut applied = 0;
            for incoming in incoming {
                let record = gateway.receive(signed(incoming, "good")).await.unwrap();
                assert!(!record.is_refused());
                applied += usize::from(record.verdict == Verdict::Applied);
            }
            applied
        });
    }
    let applied: usize = senders.join_all().await.into_iter().sum();
    assert_eq!(applied, 1_000);
    assert_eq!(world.job(id).await.version, before + 1_000);
}

/// It tells how the task did when it was posted; the task may be done by now.
#[tokio::test]
async fn a_signed_callback_ends_no_job_by_saying_that_it_runs() {
    let world = reachable(FakeClient::new().signing());
    world.client.script_statuses([Ok(FakeClient::succeeded(4))]);
    let (id, task) = submitted(&world).await;
    world.clock.advance(world.policy.run_limit);
    let old = signed(to_job(&world, id, &format!("{task} 40")), "good");
    assert_eq!(verdict(&world, old).await, Verdict::Applied);
    let engine = world.start();
    assert_eq!(world.live_until_over(id).await.status(), Status::Completed);
    drop(engine);
}
