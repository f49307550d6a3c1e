//! What happens to a job while a call to its upstream is under way.
#![expect(
    clippy::unwrap_used,
    clippy::as_conversions,
    reason = "helpers of tests fail as tests do"
)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use midjourney_core::{
    accounts::Accounts,
    client::{Callback, ClientError, MidjourneyClient, ParentTask, Reconciliation, Submission},
    clock::{Clock as _, Entropy},
    engine::{Engine, EngineConfig, Parts},
    gateway::{Gateway, Imagine, PromptRules},
    id::{JobId, WorkerId},
    image::ByteStream,
    job::{
        AccountName, Action, Capabilities, Claim, Commit, Failure, Input, InputImage, JobRequest, JobStore,
        JobStoreExt as _, Moment, PictureForm, RemoteImage, RemoteStatus, Resolution, Stage, Status,
        UpstreamId, Verdict, step,
    },
    testing::{FakeClient, FakeClock, FaultPlan, FaultyJobStore, SeededEntropy},
};
use tokio::sync::Semaphore;

use crate::{
    callbacks::{reachable, to_job},
    given::World,
};

/// The calls that can be made to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Submit,
    Status,
    Fetch,
}

/// An upstream whose answers to one kind of call are held back until the gate opens.
#[derive(Debug)]
struct Gated {
    inner: Arc<FakeClient>,
    call: Call,
    reached: AtomicBool,
    gate: Semaphore,
}

impl Gated {
    fn new(inner: Arc<FakeClient>, call: Call) -> Arc<Self> {
        Arc::new(Self {
            inner,
            call,
            reached: AtomicBool::new(false),
            gate: Semaphore::new(0),
        })
    }

    async fn pass(&self, call: Call) {
        if call == self.call {
            self.reached.store(true, Ordering::SeqCst);
            drop(self.gate.acquire().await.unwrap());
        }
    }

    fn is_reached(&self) -> bool {
        self.reached.load(Ordering::SeqCst)
    }

    fn open(&self) {
        self.gate.add_permits(1);
    }

    fn close(&self) {
        self.gate.forget_permits(1);
        self.reached.store(false, Ordering::SeqCst);
    }
}

#[async_trait]
impl MidjourneyClient for Gated {
    fn upstream(&self) -> &'static str {
        self.inner.upstream()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn supports(&self, _action: Action) -> bool {
        true
    }

    fn check(&self, request: &JobRequest, parent: Option<&ParentTask>) -> Result<(), Failure> {
        self.inner.check(request, parent)
    }

    async fn submit(&self, submission: &Submission) -> Result<UpstreamId, ClientError> {
        let answer = self.inner.submit(submission).await;
        self.pass(Call::Submit).await;
        answer
    }

    async fn reconcile(&self, submission: &Submission) -> Result<Reconciliation, ClientError> {
        self.inner.reconcile(submission).await
    }

    async fn status(&self, id: &UpstreamId) -> Result<RemoteStatus, ClientError> {
        let answer = self.inner.status(id).await;
        self.pass(Call::Status).await;
        answer
    }

    async fn cancel(&self, id: &UpstreamId) -> Result<bool, ClientError> {
        self.inner.cancel(id).await
    }

    async fn confirm(&self, id: &UpstreamId, submission: &Submission) -> Result<(), ClientError> {
        self.inner.confirm(id, submission).await
    }

    async fn fetch(&self, image: &RemoteImage) -> Result<ByteStream, ClientError> {
        self.pass(Call::Fetch).await;
        self.inner.fetch(image).await
    }

    fn parse_callback(&self, body: &[u8]) -> Result<Callback, ClientError> {
        self.inner.parse_callback(body)
    }
}

fn start(world: &World, jobs: Arc<dyn JobStore>, client: Arc<Gated>, config: EngineConfig) -> Engine {
    let parts = Parts {
        jobs,
        images: Arc::clone(&world.images) as _,
        accounts: Accounts::single(AccountName::new("fake"), client),
        clock: Arc::new(world.clock.clone()),
        entropy: Arc::new(SeededEntropy::new(7)),
        policy: world.policy.clone(),
        callback: world.callback.clone(),
        links: None,
        webhooks: None,
    };
    Gateway::new(parts, PromptRules::default()).start_engine(config)
}

/// A job whose call is out, and who waits for the answer.
async fn out(world: &World, call: Call) -> (JobId, Arc<Gated>, Engine) {
    let id = world.accepted().await;
    let client = Gated::new(Arc::clone(&world.client), call);
    let engine = start(
        world,
        Arc::clone(&world.jobs),
        Arc::clone(&client),
        EngineConfig::default(),
    );
    world.live_until("the call", async || client.is_reached()).await;
    (id, client, engine)
}

/// A job whose picture has to be fetched before it can be sent.
async fn accepted_with_a_picture(world: &World) -> JobId {
    let picture = InputImage::Url("https://cdn.example/a.png".to_owned());
    let request = Imagine::new("a red fox").with_images(vec![picture]);
    world.gateway().imagine(request).await.unwrap().jobs.remove(0).id
}

fn takes_bytes() -> Capabilities {
    let mut can = FakeClient::new().capabilities();
    can.pictures = PictureForm::Bytes;
    can.windows = true;
    can
}

/// Another worker takes the job, as if the lease had run out.
async fn take_over(world: &World) {
    let lease = EngineConfig::default().lease;
    let later = world.clock.now().saturating_add(lease + Duration::from_secs(1));
    let other = WorkerId::new(later, &SeededEntropy::new(9));
    let claim = Claim::new(
        other,
        vec![AccountName::new("fake").into()],
        9,
        later,
        Duration::from_secs(1),
    );
    assert_eq!(world.jobs.claim(claim).await.unwrap().len(), 1);
}

/// Somebody else's step.
async fn take_step(world: &World, id: JobId, input: Input) {
    let job = world.job(id).await;
    let at = Moment {
        now: world.clock.now(),
        chance: 0.5,
    };
    let next = step(&job.life, input, &world.policy, at).unwrap();
    world
        .jobs
        .commit(Commit::new(&job, next.life, next.event, at.now))
        .await
        .unwrap();
}

async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_answer_that_comes_after_the_lease_was_lost_is_evidence() {
    for given_up in [false, true] {
        let world = World::new(FakeClient::new());
        let (id, client, engine) = out(&world, Call::Submit).await;
        take_over(&world).await;
        if given_up {
            take_step(&world, id, Input::Inconclusive).await;
            assert_eq!(world.job(id).await.life.state.stage(), Some(Stage::SubmitUnknown));
        }
        client.open();
        settle().await;
        let job = world.job(id).await;
        assert_eq!(
            job.life.state.upstream(),
            world.client.tasks().first(),
            "{:?}",
            job.life
        );
        assert_eq!(world.live_until_over(id).await.status(), Status::Completed);
        assert_eq!(world.client.paid(), 1);
        drop(engine);
    }
}

#[tokio::test]
async fn an_answer_to_an_earlier_submit_does_not_stand_for_a_later_one() {
    let world = World::new(FakeClient::new());
    let (id, client, engine) = out(&world, Call::Submit).await;
    take_over(&world).await;
    take_step(&world, id, Input::Inconclusive).await;
    take_step(&world, id, Input::Resolve(Resolution::Resubmit)).await;
    take_step(
        &world,
        id,
        Input::Start {
            nonce: midjourney_core::job::Nonce::new(&SeededEntropy::new(5)),
        },
    )
    .await;
    let before = world.job(id).await;
    client.open();
    settle().await;
    assert_eq!(world.job(id).await.life.state, before.life.state);
    drop(engine);
}

/// Chance that puts the machine to sleep for an hour, once, while the intent to submit is being committed.
#[derive(Debug)]
struct Sleepy {
    inner: SeededEntropy,
    clock: FakeClock,
    marked: AtomicBool,
    slept: AtomicBool,
}

impl Entropy for Sleepy {
    fn fill(&self, out: &mut [u8]) {
        self.inner.fill(out);
        // First the mark of 16 bytes is drawn, then the jitter of the step that commits it.
        if out.len() == 16 {
            self.marked.store(true, Ordering::SeqCst);
        } else if self.marked.load(Ordering::SeqCst) && !self.slept.swap(true, Ordering::SeqCst) {
            self.clock.advance(Duration::from_secs(3600));
        }
    }
}

#[tokio::test]
async fn who_slept_through_the_lease_sends_nothing_and_says_so() {
    let world = World::new(FakeClient::new());
    let id = world.accepted().await;
    let parts = Parts {
        jobs: Arc::clone(&world.jobs),
        images: Arc::clone(&world.images) as _,
        accounts: Accounts::single(AccountName::new("fake"), Arc::clone(&world.client) as _),
        clock: Arc::new(world.clock.clone()),
        entropy: Arc::new(Sleepy {
            inner: SeededEntropy::new(7),
            clock: world.clock.clone(),
            marked: AtomicBool::new(false),
            slept: AtomicBool::new(false),
        }),
        policy: world.policy.clone(),
        callback: None,
        links: None,
        webhooks: None,
    };
    let engine = Gateway::new(parts, PromptRules::default()).start_engine(EngineConfig::default());
    let job = world.live_until_over(id).await;
    drop(engine);
    // The first intent was taken back, for nothing had left; it is not a lost submit.
    assert_eq!(
        (job.status(), job.life.submits),
        (Status::Completed, 2),
        "{:?}",
        job.life
    );
    assert_eq!((world.client.submits().len(), world.client.paid()), (1, 1));
}

#[tokio::test]
async fn a_paid_answer_outlasts_a_store_that_is_gone_for_an_hour() {
    let world = World::new(FakeClient::new());
    let id = world.accepted().await;
    let store = Arc::new(FaultyJobStore::new(Arc::clone(&world.jobs), FaultPlan::None));
    let client = Gated::new(Arc::clone(&world.client), Call::Submit);
    let engine = start(
        &world,
        Arc::clone(&store) as _,
        Arc::clone(&client),
        EngineConfig::default(),
    );
    world.live_until("the submit", async || client.is_reached()).await;
    store.arm(FaultPlan::FailNth {
        n: 1,
        after: false,
        forever: true,
    });
    client.open();
    let back = world.clock.now().saturating_add(Duration::from_secs(3600));
    world
        .live_until("an hour", async || world.clock.now() >= back)
        .await;
    store.arm(FaultPlan::None);
    let job = world.live_until_over(id).await;
    assert_eq!(
        (job.status(), world.client.paid()),
        (Status::Completed, 1),
        "{:?}",
        job.life
    );
    drop(engine);
}

#[tokio::test]
async fn a_cancel_during_a_poll_reaches_the_upstream_right_after_it() {
    let world = World::new(FakeClient::new());
    let (id, client, engine) = out(&world, Call::Status).await;
    world.gateway().cancel(id).await.unwrap();
    let asked = world.clock.now();
    client.open();
    assert_eq!(world.live_until_over(id).await.status(), Status::Cancelled);
    let waited = world.clock.now().saturating_since(asked);
    assert!(waited < Duration::from_secs(2), "{waited:?}");
    drop(engine);
}

#[tokio::test]
async fn whoever_lost_the_lease_stores_nothing_any_more() {
    let world = World::new(FakeClient::new());
    let (id, client, engine) = out(&world, Call::Fetch).await;
    take_over(&world).await;
    let begun = world.clock.now();
    let extended = begun.saturating_add(EngineConfig::default().lease);
    world
        .live_until("the loss to show", async || world.clock.now() >= extended)
        .await;
    client.open();
    settle().await;
    assert_eq!(world.client.fetches(), 0);
    assert_eq!(
        world.jobs.get(id).await.unwrap().life.state.stage(),
        Some(Stage::Storing)
    );
    drop(engine);
}

#[tokio::test]
async fn a_watcher_may_outlive_its_gateway() {
    let world = World::new(FakeClient::new());
    let id = world.accepted().await;
    let mut watch = world.gateway().watch(id, 0).await.unwrap();
    let watcher = tokio::spawn(async move {
        let mut last = None;
        while let Some(event) = watch.next().await.unwrap() {
            last = Some(event.status);
        }
        last
    });
    settle().await;
    let engine = world.start();
    world.live_until_over(id).await;
    drop(engine);
    let last = tokio::time::timeout(Duration::from_secs(20), watcher).await;
    assert_eq!(last.unwrap().unwrap(), Some(Status::Completed));
}

/// It comes before the answer to the submit does.
#[tokio::test]
async fn an_early_callback_and_the_answer_agree() {
    let world = reachable(FakeClient::new());
    let (id, client, engine) = out(&world, Call::Submit).await;
    let task = world.client.tasks()[0].clone();
    let early = to_job(&world, id, task.as_str());
    let record = world.gateway().receive(early).await.unwrap();
    assert_eq!(record.verdict, Verdict::Noticed);
    assert_eq!(world.job(id).await.life.state.upstream(), Some(&task));
    client.open();
    assert_eq!(world.live_until_over(id).await.status(), Status::Completed);
    drop(engine);
    assert_eq!((world.client.paid(), world.client.submits().len()), (1, 1));
}

/// It may be of an earlier submit, or of nobody: the answer that is on its way tells.
#[tokio::test]
async fn an_early_callback_of_another_task_gives_way_to_the_answer() {
    let world = reachable(FakeClient::new());
    let (id, client, engine) = out(&world, Call::Submit).await;
    let early = to_job(&world, id, "another-task");
    assert_eq!(
        world.gateway().receive(early).await.unwrap().verdict,
        Verdict::Noticed
    );
    client.open();
    assert_eq!(world.live_until_over(id).await.status(), Status::Completed);
    drop(engine);
    assert_eq!((world.client.paid(), world.client.submits().len()), (1, 1));
}

/// The answer that is on its way was given before the news.
#[tokio::test]
async fn a_callback_during_a_look_has_the_task_asked_about_again() {
    let world = reachable(FakeClient::new());
    world.client.script_statuses([
        Ok(RemoteStatus::Running { progress: Some(10) }),
        Ok(FakeClient::succeeded(1)),
    ]);
    let (id, client, engine) = out(&world, Call::Status).await;
    let now = world.clock.now();
    let news = to_job(&world, id, world.client.tasks()[0].as_str());
    assert_eq!(
        world.gateway().receive(news).await.unwrap().verdict,
        Verdict::Noticed
    );
    client.open();
    client.open();
    settle().await;
    let job = world.job(id).await;
    drop(engine);
    assert_eq!((job.status(), world.clock.now()), (Status::Completed, now));
}

#[tokio::test]
async fn who_will_not_wait_for_the_end_stops_the_engine_at_once() {
    let world = World::new(FakeClient::new());
    let (id, client, engine) = out(&world, Call::Submit).await;
    let ending = engine.shutdown(Duration::from_secs(60));
    assert!(tokio::time::timeout(Duration::ZERO, ending).await.is_err());
    settle().await;
    client.open();
    settle().await;
    let stage = world.job(id).await.life.state.stage();
    assert_eq!(stage, Some(Stage::Submitting), "a worker went on");
}

#[tokio::test]
async fn an_engine_that_stops_sends_nothing_whose_picture_was_still_on_its_way() {
    let world = World::new(FakeClient::new().with_capabilities(takes_bytes()));
    let id = accepted_with_a_picture(&world).await;
    let client = Gated::new(Arc::clone(&world.client), Call::Fetch);
    let jobs = Arc::clone(&world.jobs);
    let engine = start(&world, jobs, Arc::clone(&client), EngineConfig::default());
    world.live_until("the fetch", async || client.is_reached()).await;
    let stopping = tokio::spawn(engine.shutdown(Duration::from_secs(60)));
    settle().await;
    client.open();
    assert!(stopping.await.unwrap(), "its worker is done");
    assert_eq!(world.job(id).await.status(), Status::Pending);
    assert_eq!(world.client.submits().len(), 0);
    // At once, not when a lease runs out.
    let engine = world.start();
    assert_eq!(world.live_until_over(id).await.status(), Status::Completed);
    drop(engine);
}

#[tokio::test]
async fn an_engine_without_workers_or_leases_works_all_the_same() {
    let world = World::new(FakeClient::new());
    let id = world.accepted().await;
    let engine = world.gateway().start_engine(EngineConfig::new(0, Duration::ZERO));
    assert_eq!(world.live_until_over(id).await.status(), Status::Completed);
    drop(engine);
}

/// A slow picture is no reason to be unsure whether anything was sent.
#[tokio::test]
async fn a_restart_while_a_picture_is_fetched_leaves_the_job_in_the_queue() {
    let world = World::new(FakeClient::new().with_capabilities(takes_bytes()));
    let id = accepted_with_a_picture(&world).await;
    let client = Gated::new(Arc::clone(&world.client), Call::Fetch);
    let run = |client| start(&world, Arc::clone(&world.jobs), client, EngineConfig::default());
    let engine = run(Arc::clone(&client));
    world.live_until("the fetch", async || client.is_reached()).await;
    drop(engine);
    assert_eq!(world.job(id).await.status(), Status::Pending);
    client.open();
    let engine = run(client);
    assert_eq!(world.live_until_over(id).await.status(), Status::Completed);
    drop(engine);
    assert_eq!(world.client.paid(), 1);
}

#[tokio::test]
async fn a_window_of_a_job_that_was_cancelled_meanwhile_is_not_answered() {
    let world = World::new(FakeClient::new().with_capabilities(takes_bytes()));
    world.client.script_statuses([Ok(RemoteStatus::AwaitingInput)]);
    let id = accepted_with_a_picture(&world).await;
    let client = Gated::new(Arc::clone(&world.client), Call::Fetch);
    client.open();
    let engine = start(
        &world,
        Arc::clone(&world.jobs),
        Arc::clone(&client),
        EngineConfig::default(),
    );
    world
        .live_until("the submit", async || world.client.paid() == 1)
        .await;
    client.close();
    // The picture is fetched once more, for the answer.
    world.live_until("the fetch", async || client.is_reached()).await;
    take_step(&world, id, Input::CancelRequested).await;
    client.open();
    let job = world.live_until_over(id).await;
    drop(engine);
    assert_eq!(job.status(), Status::Cancelled);
    assert_eq!(world.client.confirmed(), 0);
}
