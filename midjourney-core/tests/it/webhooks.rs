//! Others' servers are told what happens to jobs: at least once, whatever dies.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail as tests do"
)]

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use midjourney_core::{
    clock::{Clock as _, Entropy as _, SystemClock},
    delivery::{
        DeadReason, DeliveryQuery, DeliveryState, EventFilter, Outcome, Post, SCHEDULE, SECRET_OVERLAP,
        SigningKey, SubscriptionChange, Transport, Webhooks,
    },
    engine::{Engine, EngineConfig},
    error::ErrorKind,
    gateway::{Gateway, Imagine, Subscribe},
    id::{DeliveryId, JobId, SubscriptionId},
    job::{EventKind, Failure, FailureKind, JobQuery, Owner, RemoteStatus},
    key::Secret,
    memory::MemoryDeliveryStore,
    testing::{FakeClient, SeededEntropy, SubmitOutcome, Trouble},
};

use crate::given::World;

/// What a receiver does with a message.
type Answer = Box<dyn Fn(&Post, usize) -> Option<Outcome> + Send + Sync>;

/// Receivers by their address, and what came to each.
#[derive(Default)]
struct Receivers {
    answers: Mutex<HashMap<String, Answer>>,
    got: Mutex<Vec<(String, Post)>>,
    /// How many are under way at each, and how many were at most.
    open: Mutex<HashMap<String, (usize, usize)>>,
}

impl std::fmt::Debug for Receivers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Receivers")
    }
}

impl Receivers {
    /// Answers at `url` by `answer`, told how many came there before; `None` never answers. Others answer 204.
    fn at(&self, url: &str, answer: impl Fn(&Post, usize) -> Option<Outcome> + Send + Sync + 'static) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.insert(url.to_owned(), Box::new(answer));
    }

    fn got(&self, url: &str) -> Vec<Post> {
        let got = self.got.lock().unwrap_or_else(PoisonError::into_inner);
        got.iter()
            .filter(|(to, _)| to == url)
            .map(|(_, post)| post.clone())
            .collect()
    }

    fn most_open(&self, url: &str) -> usize {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.get(url).map_or(0, |(_, most)| *most)
    }

    fn enter(&self, url: &str, by: isize) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let (now, most) = open.entry(url.to_owned()).or_default();
        *now = now.saturating_add_signed(by);
        *most = (*most).max(*now);
    }
}

#[async_trait]
impl Transport for Receivers {
    fn allows(&self, url: &str) -> Result<(), String> {
        if url.starts_with("https://") {
            Ok(())
        } else {
            Err("only https here".to_owned())
        }
    }

    async fn post(&self, post: Post) -> Outcome {
        let url = post.url.expose().to_owned();
        let before = self.got(&url).len();
        self.got
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((url.clone(), post.clone()));
        let answer = {
            let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
            answers
                .get(&url)
                .map_or(Some(Outcome::status(204)), |answer| answer(&post, before))
        };
        self.enter(&url, 1);
        let Some(answer) = answer else {
            return std::future::pending().await;
        };
        tokio::task::yield_now().await;
        self.enter(&url, -1);
        answer
    }
}

const URL: &str = "https://receiver.example/hook";

fn key() -> SigningKey {
    SigningKey::new(Secret::new("0123456789abcdef"))
}

/// A world whose gateways send webhooks to `receivers`.
fn world(client: FakeClient) -> (World, Arc<Receivers>) {
    let receivers = Arc::new(Receivers::default());
    let transport: Arc<Receivers> = Arc::clone(&receivers);
    let mut world = World::new(client);
    world.webhooks = Some(Webhooks {
        store: Arc::new(MemoryDeliveryStore::new()),
        transport,
        key: key(),
    });
    (world, receivers)
}

async fn subscribe(gateway: &Gateway, url: &str, kinds: &[EventKind]) -> SubscriptionId {
    let wish = Subscribe::new(url).to(EventFilter::new(kinds.iter().copied()));
    gateway.subscribe(wish).await.unwrap().0.id
}

async fn all_in_state(gateway: &Gateway, state: &'static str) -> Vec<DeliveryId> {
    let mut query = DeliveryQuery::default();
    query.limit = 200;
    query.state = Some(state);
    let page = gateway.deliveries(&query).await.unwrap();
    page.items.iter().map(|one| one.id).collect()
}

async fn accept(gateway: &Gateway) -> JobId {
    let accepted = gateway.imagine(Imagine::new("a red fox")).await.unwrap();
    accepted.jobs[0].id
}

/// An engine in a process of its own.
fn start(world: &World, seed: u64) -> Engine {
    let gateway = world.gateway_over(Arc::clone(&world.jobs), seed);
    gateway.start_engine(EngineConfig::default())
}

fn value(post: &Post) -> serde_json::Value {
    serde_json::from_str(&post.body).unwrap()
}

#[tokio::test]
async fn a_job_that_is_done_is_told_with_all_that_is_known() {
    let (world, receivers) = world(FakeClient::new());
    let gateway = world.gateway();
    let (subscription, secret) = gateway.subscribe(Subscribe::new(URL)).await.unwrap();
    let id = accept(&gateway).await;
    let engine = start(&world, 100);
    world
        .live_until("the message", async || {
            all_in_state(&gateway, "delivered").await.len() == 1
        })
        .await;
    drop(engine);
    let [post] = &receivers.got(URL)[..] else {
        panic!("one message about one job");
    };
    let told = value(post);
    let job = world.job(id).await;
    assert_eq!(told["type"], "job.completed");
    assert_eq!(told["data"]["sequence"], job.sequence);
    assert_eq!(told["data"]["job"]["id"], id.to_string());
    assert_eq!(told["data"]["job"]["status"], "completed");
    assert!(told["data"]["job"]["images"].as_array().unwrap().len() >= 4);
    assert_eq!(post.at, world.clock.now());
    assert_eq!(secret.expose(), key().secret_of(subscription.id, 1).expose());
    let delivery = gateway.delivery(post.id).await.unwrap();
    assert_eq!((delivery.attempts, delivery.job), (1, Some(id)));
}

#[tokio::test]
async fn a_job_may_name_an_address_of_its_own() {
    let (world, receivers) = world(FakeClient::new());
    let gateway = world.gateway();
    let wish = |url: &str| Imagine::new("a red fox").with_webhook(Some(url.to_owned()));
    let refused = gateway.imagine(wish("http://inside/")).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
    assert_eq!(refused.fields()[0].pointer, "/webhook_url");
    assert_eq!(gateway.jobs(&JobQuery::newest(1)).await.unwrap().items.len(), 0);
    let accepted = gateway.imagine(wish(URL)).await.unwrap();
    gateway.imagine(Imagine::new("another")).await.unwrap();
    let engine = start(&world, 100);
    world
        .live_until("both jobs", async || {
            let jobs = gateway.jobs(&JobQuery::newest(2)).await.unwrap();
            jobs.items.iter().all(|job| job.status().is_final())
        })
        .await;
    world
        .live_until("the message", async || {
            all_in_state(&gateway, "delivered").await.len() == 1
        })
        .await;
    drop(engine);
    let got = receivers.got(URL);
    assert_eq!(got.len(), 1);
    assert_eq!(
        value(&got[0])["data"]["job"]["id"],
        accepted.jobs[0].id.to_string()
    );
}

/// O1: the planned times, then a dead letter, which can be sent by hand.
#[tokio::test]
async fn a_receiver_that_is_down_is_tried_by_the_schedule_and_then_by_hand() {
    let (world, receivers) = world(FakeClient::new());
    receivers.at(URL, |_, before| {
        Some(Outcome::status(if before < SCHEDULE.len() { 500 } else { 200 }))
    });
    let gateway = world.gateway();
    let subscription = subscribe(&gateway, URL, &[EventKind::Completed]).await;
    accept(&gateway).await;
    let engine = start(&world, 100);
    world
        .live_until("the dead letter", async || {
            !all_in_state(&gateway, "dead").await.is_empty()
        })
        .await;
    let posts = receivers.got(URL);
    assert_eq!(posts.len(), SCHEDULE.len());
    assert!(
        posts
            .iter()
            .all(|post| (post.id, &post.body) == (posts[0].id, &posts[0].body))
    );
    for (pair, wait) in posts.windows(2).zip(&SCHEDULE[1..]) {
        let waited = pair[1].at.saturating_since(pair[0].at).as_secs_f64();
        // The sender looks at most once in 20 ms.
        let slack = 0.1;
        let wait = wait.as_secs_f64();
        assert!(
            (wait * 0.8 - slack..=wait * 1.2 + slack).contains(&waited),
            "{waited} s instead of {wait} s"
        );
    }
    let dead = gateway.delivery(posts[0].id).await.unwrap();
    assert!(
        matches!(
            dead.state,
            DeliveryState::Dead {
                why: DeadReason::Exhausted,
                ..
            }
        ),
        "{dead:?}"
    );
    let since = dead.created;
    assert_eq!(gateway.replay_dead(subscription, since).await.unwrap(), 1);
    world
        .live_until("the message", async || {
            all_in_state(&gateway, "delivered").await == [dead.id]
        })
        .await;
    drop(engine);
    assert_eq!(receivers.got(URL).len(), SCHEDULE.len() + 1);
}

/// O2: the process dies after the message was sent and before that was recorded.
#[tokio::test]
async fn a_message_whose_answer_was_lost_with_the_process_is_sent_again_under_its_id() {
    let (world, receivers) = world(FakeClient::new());
    receivers.at(URL, |_, before| (before > 0).then(|| Outcome::status(200)));
    let gateway = world.gateway();
    subscribe(&gateway, URL, &[EventKind::Completed]).await;
    accept(&gateway).await;
    let engine = start(&world, 100);
    world
        .live_until("the first try", async || receivers.got(URL).len() == 1)
        .await;
    drop(engine);
    let engine = start(&world, 101);
    world
        .live_until("the second try", async || {
            all_in_state(&gateway, "delivered").await.len() == 1
        })
        .await;
    drop(engine);
    let got = receivers.got(URL);
    assert_eq!(got.len(), 2);
    assert_eq!((got[0].id, &got[0].body), (got[1].id, &got[1].body));
}

/// Engines die at any moment, and two work at once: each job is told once or more, and by one id.
#[tokio::test]
async fn nothing_is_left_untold_and_nothing_is_told_under_two_ids() {
    let (world, receivers) = world(FakeClient::new());
    let gateway = world.gateway();
    subscribe(&gateway, URL, &[EventKind::Created, EventKind::Completed]).await;
    let entropy = SeededEntropy::new(11);
    let mut accepted = BTreeSet::new();
    for round in 1..30 {
        let engines = (start(&world, 2 * round), start(&world, 2 * round + 1));
        for _ in 0..3 {
            accepted.insert(accept(&gateway).await);
        }
        while entropy.chance() < 0.99 {
            tokio::task::yield_now().await;
        }
        world.clock.advance_to_next();
        drop(engines);
    }
    let engine = start(&world, 100);
    world
        .live_until("all to be told", async || {
            let over = gateway.jobs(&JobQuery::newest(200)).await.unwrap().items;
            over.iter().all(|job| job.status().is_final())
                && all_in_state(&gateway, "delivered").await.len() >= 2 * accepted.len()
        })
        .await;
    drop(engine);
    let mut ids: BTreeMap<(String, String), BTreeSet<DeliveryId>> = BTreeMap::new();
    for post in receivers.got(URL) {
        let told = value(&post);
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let about = (text(&told["data"]["job"]["id"]), text(&told["type"]));
        ids.entry(about).or_default().insert(post.id);
    }
    assert_eq!(ids.len(), 2 * accepted.len());
    assert!(ids.values().all(|ids| ids.len() == 1), "{ids:?}");
    assert!(all_in_state(&gateway, "waiting").await.is_empty());
}

/// O6: whoever does not answer holds a few connections and keeps nobody waiting.
#[tokio::test]
async fn one_dead_receiver_among_many_holds_up_nobody() {
    let (world, receivers) = world(FakeClient::new());
    let gateway = world.gateway();
    receivers.at("https://dead.example/", |_, _| None);
    let mut wish = Subscribe::new("https://dead.example/");
    gateway.subscribe(wish.clone()).await.unwrap();
    for number in 0..40 {
        wish.url = format!("https://{number}.example/");
        gateway.subscribe(wish.clone()).await.unwrap();
    }
    let mut accepted = BTreeSet::new();
    for _ in 0..20 {
        accepted.insert(accept(&gateway).await);
    }
    let engine = start(&world, 100);
    world
        .live_until("the living to be told", async || {
            (0..40).all(|number| {
                let got = receivers.got(&format!("https://{number}.example/"));
                got.len() == accepted.len()
            })
        })
        .await;
    drop(engine);
    assert_eq!(receivers.most_open("https://dead.example/"), 4);
    for number in 0..40 {
        for post in receivers.got(&format!("https://{number}.example/")) {
            let delivery = gateway.delivery(post.id).await.unwrap();
            let waited = post.at.saturating_since(delivery.created);
            assert!(waited <= Duration::from_secs(2), "{waited:?}");
        }
    }
}

/// O7: whatever order they arrive in.
#[tokio::test]
async fn the_order_of_a_jobs_messages_can_be_told_and_none_is_missing() {
    let client = FakeClient::new();
    client.script_statuses((0..50).map(|progress| {
        Ok(RemoteStatus::Running {
            progress: Some(progress),
        })
    }));
    let (world, receivers) = world(client);
    let entropy = SeededEntropy::new(3);
    receivers.at(URL, move |_, _| {
        Some(Outcome::status(if entropy.chance() < 0.4 { 503 } else { 200 }))
    });
    let gateway = world.gateway();
    subscribe(&gateway, URL, &EventKind::ALL).await;
    let id = accept(&gateway).await;
    let engine = start(&world, 100);
    let job = world.live_until_over(id).await;
    world
        .live_until("all to be told", async || {
            u64::try_from(all_in_state(&gateway, "delivered").await.len()).unwrap() == job.sequence
        })
        .await;
    drop(engine);
    assert!(job.sequence > 50);
    let mut told = BTreeMap::new();
    for post in receivers.got(URL) {
        let value = value(&post);
        told.insert(
            value["data"]["sequence"].as_u64().unwrap(),
            value["type"].as_str().unwrap().to_owned(),
        );
    }
    let history = gateway.history(id, 0, 200).await.unwrap();
    let expected: BTreeMap<_, _> = history
        .iter()
        .map(|event| (event.sequence, event.kind.name().to_owned()))
        .collect();
    assert_eq!(told, expected);
}

/// The relay reads some hundred events at a time.
#[tokio::test]
async fn what_is_wanted_is_found_behind_much_that_is_not() {
    let (world, receivers) = world(FakeClient::new());
    let gateway = world.gateway();
    for _ in 0..1_500 {
        accept(&gateway).await;
    }
    subscribe(&gateway, URL, &[EventKind::Created]).await;
    let wanted = accept(&gateway).await;
    let engine = start(&world, 100);
    world
        .live_until("the message", async || {
            all_in_state(&gateway, "delivered").await.len() == 1
        })
        .await;
    drop(engine);
    let told: Vec<_> = receivers.got(URL).iter().map(value).collect();
    assert_eq!(told[0]["data"]["job"]["id"], wanted.to_string());
}

#[tokio::test]
async fn only_the_owner_is_told_and_only_of_what_comes_after() {
    let (world, receivers) = world(FakeClient::new());
    let gateway = world.gateway();
    accept(&gateway).await;
    let mut other = Subscribe::new("https://other.example/");
    other.owner = Owner::new("other");
    gateway
        .subscribe(other.to(EventFilter::new(EventKind::ALL)))
        .await
        .unwrap();
    subscribe(&gateway, URL, &[EventKind::Created]).await;
    let second = accept(&gateway).await;
    let engine = start(&world, 100);
    world
        .live_until("the message", async || {
            all_in_state(&gateway, "delivered").await.len() == 1
        })
        .await;
    world.live_until_over(second).await;
    drop(engine);
    assert_eq!(receivers.got("https://other.example/").len(), 0);
    let told: Vec<_> = receivers.got(URL).iter().map(value).collect();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0]["data"]["job"]["id"], second.to_string());
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_left_alone_until_it_is_enabled() {
    let (world, receivers) = world(FakeClient::new());
    receivers.at(URL, |_, before| {
        Some(Outcome::status(if before == 0 { 410 } else { 200 }))
    });
    let gateway = world.gateway();
    let id = subscribe(&gateway, URL, &[EventKind::Created]).await;
    let engine = start(&world, 100);
    accept(&gateway).await;
    world
        .live_until("the end of it", async || {
            gateway.subscription(id).await.unwrap().disabled.is_some()
        })
        .await;
    let untold = accept(&gateway).await;
    world.live_until_over(untold).await;
    let refused = gateway.test_subscription(id).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    let mut enabled = SubscriptionChange::default();
    enabled.enabled = Some(true);
    gateway.change_subscription(id, &enabled).await.unwrap();
    let test = gateway.test_subscription(id).await.unwrap();
    world
        .live_until("the test", async || {
            all_in_state(&gateway, "delivered").await == [test.id]
        })
        .await;
    drop(engine);
    let told: Vec<_> = receivers
        .got(URL)
        .iter()
        .map(|post| value(post)["type"].clone())
        .collect();
    assert_eq!(told, ["job.created", "webhook.test"]);
}

/// O4, the first of two independent implementations; the other is asked by the server's tests.
#[tokio::test]
async fn signatures_are_what_the_reference_implementation_expects() {
    let (world, receivers) = world(FakeClient::new());
    // The reference looks at the clock of the machine.
    world.clock.set(SystemClock.now());
    let gateway = world.gateway();
    let (subscription, first) = gateway.subscribe(Subscribe::new(URL)).await.unwrap();
    let engine = start(&world, 100);
    let delivered = async |count: usize| {
        world
            .live_until("the message", async || {
                all_in_state(&gateway, "delivered").await.len() == count
            })
            .await;
        receivers.got(URL).last().unwrap().clone()
    };
    let accepts = |secret: &Secret, post: &Post| {
        let mut headers = http::HeaderMap::new();
        headers.insert("webhook-id", post.id.to_string().parse().unwrap());
        let seconds = (post.at.as_millis() / 1_000).to_string();
        headers.insert("webhook-timestamp", seconds.parse().unwrap());
        headers.insert("webhook-signature", post.signature.expose().parse().unwrap());
        let webhook = standardwebhooks::Webhook::new(secret.expose()).unwrap();
        webhook.verify(post.body.as_bytes(), &headers).is_ok()
    };
    gateway.test_subscription(subscription.id).await.unwrap();
    let post = delivered(1).await;
    assert!(accepts(&first, &post));
    let (_, second) = gateway.rotate_secret(subscription.id).await.unwrap();
    gateway.test_subscription(subscription.id).await.unwrap();
    let post = delivered(2).await;
    assert!(
        accepts(&first, &post) && accepts(&second, &post),
        "both are good for a day"
    );
    let other = key().secret_of(subscription.id, 3);
    assert!(!accepts(&other, &post));
    world.clock.advance(SECRET_OVERLAP);
    gateway.test_subscription(subscription.id).await.unwrap();
    let post = delivered(3).await;
    let signatures = post.signature.expose().split(' ').count();
    assert_eq!(signatures, 1, "the older one is not good any more");
    drop(engine);
}

#[tokio::test]
async fn the_operator_is_told_once_that_an_account_needs_somebody_and_once_that_it_works_again() {
    let client = FakeClient::new();
    let asked = Failure::new(FailureKind::NeedsPerson, "prove that you are human");
    let refused = SubmitOutcome::Fail(Trouble::refused(asked));
    client.script_submits([refused.clone(), refused, SubmitOutcome::Accept]);
    let (world, receivers) = world(client);
    let gateway = world.gateway();
    let all = EventFilter::new([]).and_accounts();
    gateway
        .subscribe(Subscribe::new(URL).to(all.clone()))
        .await
        .unwrap();
    let mut stranger = Subscribe::new("https://stranger.example/hook").to(all);
    stranger.owner = Owner::new("stranger");
    gateway.subscribe(stranger).await.unwrap();
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(accept(&gateway).await);
    }
    let engine = start(&world, 100);
    for id in ids {
        world.live_until_over(id).await;
    }
    world
        .live_until("both messages", async || {
            all_in_state(&gateway, "delivered").await.len() == 2
        })
        .await;
    drop(engine);
    let told: Vec<_> = receivers.got(URL).iter().map(value).collect();
    let [trouble, well] = &told[..] else {
        panic!("one message each: {told:?}");
    };
    assert_eq!(trouble["type"], "account.condition");
    assert_eq!(trouble["data"]["account"]["condition"], "needs_person");
    let reason = trouble["data"]["account"]["reason"].as_str().unwrap();
    assert!(reason.contains("prove that you are human"), "{reason}");
    assert_eq!(well["data"]["account"]["condition"], "ok");
    assert_eq!(well["data"]["account"].get("reason"), None);
    assert!(receivers.got("https://stranger.example/hook").is_empty());
}
