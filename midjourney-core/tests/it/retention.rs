//! What is past its time goes, and nothing else.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{collections::BTreeSet, time::Duration};

use bytes::Bytes;
use futures_util::stream;
use midjourney_core::{
    clock::{Clock as _, Entropy as _, Timestamp},
    id::{ImageId, JobId},
    image::{Image, ImageDigest, ImageKey, ImageKind, ImageStore as _, MarkChange, MediaType},
    job::{
        AccountName, Action, Commit, EventKind, Failure, FailureKind, ImageQuery, InputImage, Insertion, Job,
        JobQuery, JobRequest, JobState, NewJob, NewJobs, Owner, ParentRef, Retention, Status, UpstreamId,
    },
    testing::{FakeClient, SeededEntropy, tiny_png},
};

use crate::given::World;

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

/// A throw of dice that can be repeated.
struct Dice(SeededEntropy);

impl Dice {
    fn below(&self, most: u64) -> u64 {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        u64::from_be_bytes(bytes) % most
    }

    fn days(&self, most: u64) -> Duration {
        DAY.saturating_mul(u32::try_from(self.below(most)).unwrap())
    }

    fn limit(&self) -> Option<Duration> {
        (self.below(3) > 0).then(|| self.days(30).saturating_add(DAY))
    }
}

fn days_ago(world: &World, age: Duration) -> Timestamp {
    world.clock.now().saturating_sub(age)
}

/// A job of some age, from somewhere in its life, that may start from one of the `others`.
async fn some_job(world: &World, dice: &Dice, others: &[Job]) -> Job {
    let accepted = days_ago(world, dice.days(60));
    let mut request = JobRequest::imagine("a red fox");
    if dice.below(2) == 0
        && let Some(parent) = others.get(usize::try_from(dice.below(6)).unwrap())
    {
        request = JobRequest::follow_up(Action::Reroll, ParentRef::new(parent.id, 1), "again");
    }
    let id = JobId::new(accepted, &dice.0);
    let new = NewJobs::new(
        Owner::local(),
        AccountName::new("fake"),
        vec![NewJob::new(id, request)],
        accepted,
    );
    let Insertion::Created(jobs) = world.jobs.insert(new).await.unwrap() else {
        unreachable!("there is no key");
    };
    let mut job = jobs.into_iter().next().unwrap();
    let ended = accepted.saturating_add(dice.days(5)).min(world.clock.now());
    let failure = || Failure::new(FailureKind::Moderated, "no");
    let upstream = UpstreamId::new("task");
    let (state, event) = match dice.below(6) {
        0 => return job,
        1 => (JobState::Cancelling { upstream }, EventKind::Submitted),
        2 => (JobState::Failed { failure: failure() }, EventKind::Failed),
        3 => (JobState::Cancelled { failure: None }, EventKind::Cancelled),
        4 => (JobState::Expired { failure: failure() }, EventKind::Expired),
        _ => {
            let done = JobState::Completed {
                upstream,
                actions: Vec::new(),
                seed: None,
                texts: Vec::new(),
                handle: None,
            };
            (done, EventKind::Completed)
        }
    };
    let completed = state.status() == Status::Completed;
    job.life.state = state;
    job.life.entered = ended;
    if job.life.state.status().is_final() {
        job.life.due = None;
    }
    let mut commit = Commit::new(&job, job.life.clone(), Some(event), ended);
    if completed {
        let image = picture(world, dice, &job, ended).await;
        commit = commit.with_images(vec![image]);
    }
    world.jobs.commit(commit).await.unwrap()
}

async fn picture(world: &World, dice: &Dice, job: &Job, at: Timestamp) -> Image {
    let (kind, media) = (ImageKind::Single, MediaType::Png);
    let key = ImageKey::new(at, job.id, kind, 1, media);
    let bytes = Bytes::from_static(b"picture");
    let body = Box::pin(stream::iter([Ok(bytes.clone())]));
    world.images.put(&key, body, 100).await.unwrap();
    Image::new(
        ImageId::new(at, &dice.0),
        job.id,
        Owner::local(),
        kind,
        1,
        key,
        ImageDigest::of(&bytes),
        7,
        media,
        None,
        String::new(),
        at,
    )
}

/// All jobs and all pictures.
async fn everything(world: &World) -> (Vec<Job>, Vec<Image>) {
    let jobs = world.jobs.list(&JobQuery::newest(200)).await.unwrap().items;
    let images = world.jobs.images(&ImageQuery::newest(200)).await.unwrap().items;
    (jobs, images)
}

/// D20, 10,000 times: by rules of their own, over jobs of every state and age.
#[tokio::test]
async fn clean_up_removes_what_is_past_its_time_and_nothing_else() {
    for seed in 0..10_000 {
        let dice = Dice(SeededEntropy::new(seed));
        let mut world = World::new(FakeClient::new());
        let mut rules = Retention::default();
        rules.completed = dice.limit();
        rules.failed = dice.limit();
        rules.cancelled = dice.limit();
        rules.expired = dice.limit();
        rules.images = dice.limit();
        world.policy.retention = rules.clone();
        let mut made = Vec::new();
        for _ in 0..dice.below(8) {
            made.push(some_job(&world, &dice, &made).await);
        }
        for image in everything(&world).await.1 {
            if dice.below(5) == 0 {
                let pin = MarkChange::pin(true);
                world.jobs.mark(image.id, &pin).await.unwrap();
            }
        }
        let (jobs, images) = everything(&world).await;
        let pinned: BTreeSet<_> = images
            .iter()
            .filter(|image| image.marks.pinned)
            .map(|image| image.job)
            .collect();
        let gateway = world.gateway();

        let foretold = gateway.clean(true).await.unwrap();
        assert_eq!(
            everything(&world).await,
            (jobs.clone(), images.clone()),
            "seed {seed}"
        );
        let done = gateway.clean(false).await.unwrap();
        assert_eq!(done, foretold, "seed {seed}");

        let now = world.clock.now();
        let live = jobs.iter().filter(|job| !job.status().is_final());
        let needed: BTreeSet<_> = live
            .filter_map(|job| job.request.parent)
            .map(|parent| parent.job)
            .collect();
        let (left, pictures) = everything(&world).await;
        for job in &jobs {
            let age = now.saturating_since(job.life.entered);
            let past = rules.of(job.status()).is_some_and(|kept| age >= kept);
            let kept = needed.contains(&job.id) || pinned.contains(&job.id);
            let goes = job.status().is_final() && past && !kept;
            assert_eq!(!left.contains(job), goes, "seed {seed}: {job:?}");
            assert_eq!(done.jobs.contains(&job.id), goes, "seed {seed}");
        }
        for image in &images {
            let past = rules
                .images
                .is_some_and(|kept| now.saturating_since(image.created) >= kept);
            let kept = needed.contains(&image.job) || image.marks.pinned;
            let goes = done.jobs.contains(&image.job) || (past && !kept);
            assert_eq!(!pictures.contains(image), goes, "seed {seed}: {image:?}");
            assert_eq!(done.images.contains(&image.id), goes, "seed {seed}");
            let file = world.images.length(&image.key).await.unwrap();
            assert_eq!(file.is_none(), goes, "seed {seed}: the file goes with its row");
        }
    }
}

/// What callers brought along goes with the pictures' rule, unless a job that is not over starts from it.
#[tokio::test]
async fn uploads_are_kept_as_long_as_pictures_and_as_they_are_needed() {
    let mut world = World::new(FakeClient::new());
    world.policy.retention.images = Some(DAY);
    let gateway = world.gateway();
    let mut uploads = Vec::new();
    for shade in 1..=3 {
        let upload = gateway.upload_bytes(Owner::local(), tiny_png(shade)).await;
        uploads.push(upload.unwrap());
    }
    let mut request = JobRequest::new(Action::Describe, "");
    request.images = vec![InputImage::Upload(uploads[1].id)];
    let new = NewJob::new(JobId::new(world.clock.now(), &SeededEntropy::new(3)), request);
    let jobs = NewJobs::new(
        Owner::local(),
        AccountName::new("main"),
        vec![new],
        world.clock.now(),
    );
    world.jobs.insert(jobs).await.unwrap();
    assert_eq!(gateway.clean(false).await.unwrap().uploads, []);
    world.clock.advance(DAY + HOUR);
    let young = gateway.upload_bytes(Owner::local(), tiny_png(4)).await.unwrap();
    let expected = BTreeSet::from([uploads[0].id, uploads[2].id]);
    for dry_run in [true, false] {
        let cleaned = gateway.clean(dry_run).await.unwrap().uploads;
        assert_eq!(cleaned.into_iter().collect::<BTreeSet<_>>(), expected);
    }
    let left = world.jobs.uploads(None, 10).await.unwrap().items;
    let left: BTreeSet<_> = left.iter().map(|upload| upload.id).collect();
    assert_eq!(left, BTreeSet::from([young.id, uploads[1].id]));
    for (upload, there) in uploads.iter().zip([false, true, false]) {
        let length = world.images.length(&upload.key).await.unwrap();
        assert_eq!(length.is_some(), there);
    }
}

/// The engine does it by itself, every hour; and a clock that is set ten years ahead by mistake removes nothing.
#[tokio::test]
async fn an_engine_cleans_up_and_does_not_believe_a_clock_at_once() {
    let mut world = World::new(FakeClient::new());
    world.policy.retention.completed = Some(DAY);
    let id = world.accepted().await;
    let engine = world.start();
    world.live_until_over(id).await;
    let ended = world.clock.now();
    world.clock.advance(DAY.saturating_mul(3_650));
    // From then on, two hours of each hour are believed.
    world
        .live_until("the clean-up", async || {
            world.jobs.load(id).await.unwrap().is_none()
        })
        .await;
    drop(engine);
    let since = world.clock.now().saturating_since(ended);
    let since = since.saturating_sub(DAY.saturating_mul(3_650));
    assert!(since >= HOUR.saturating_mul(11), "believed after {since:?}");
}
