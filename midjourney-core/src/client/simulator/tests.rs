use std::{
    collections::HashSet,
    sync::atomic::{AtomicI64, Ordering},
};

use futures_util::StreamExt as _;

use super::*;
use crate::{
    clock::{OsEntropy, Timestamp},
    error::Applied,
    id::JobId,
    image::{ImageKind, MediaType, sniff},
    job::{Action, InputImage, Nonce, ParentRef, RemoteResult, Shape, Spent, Strength, UpscaleMode},
};

/// A clock that stands still until it is moved.
#[derive(Debug, Default)]
struct Hand(AtomicI64);

#[async_trait]
impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }

    async fn sleep_until(&self, _deadline: Timestamp) {}
}

struct World {
    clock: Arc<Hand>,
    simulator: Simulator,
}

fn world() -> World {
    world_of(SimulatorOptions::default().with_side(64))
}

fn world_of(options: SimulatorOptions) -> World {
    let clock = Arc::new(Hand(AtomicI64::new(1_795_341_600_000)));
    let simulator = Simulator::new(Arc::<Hand>::clone(&clock), options);
    World { clock, simulator }
}

fn submission(request: JobRequest, parent: Option<ParentTask>) -> Submission {
    let job = JobId::new(Timestamp::from_millis(1), &OsEntropy);
    Submission::new(job, Nonce::new(&OsEntropy), request).with_parent(parent)
}

impl World {
    fn pass(&self, millis: i64) {
        self.clock.0.fetch_add(millis, Ordering::SeqCst);
    }

    async fn submit(&self, prompt: &str) -> Result<UpstreamId, ClientError> {
        self.simulator
            .submit(&submission(JobRequest::imagine(prompt), None))
            .await
    }

    async fn status(&self, id: &UpstreamId) -> RemoteStatus {
        self.simulator.status(id).await.unwrap()
    }

    async fn result(&self, id: &UpstreamId) -> RemoteResult {
        self.pass(2_500);
        match self.status(id).await {
            RemoteStatus::Succeeded(result) => result,
            other => panic!("not finished: {other:?}"),
        }
    }

    async fn bytes(&self, image: &RemoteImage) -> Vec<u8> {
        let mut stream = self.simulator.fetch(image).await.unwrap();
        let mut bytes = Vec::new();
        while let Some(chunk) = stream.next().await {
            bytes.extend(chunk.unwrap());
        }
        bytes
    }

    async fn follow(&self, action: Action, id: &UpstreamId, result: &RemoteResult, index: u8) -> UpstreamId {
        let job = JobId::new(Timestamp::from_millis(1), &OsEntropy);
        let request = JobRequest::follow_up(action, ParentRef::new(job, index), "a fox --ar 3:2");
        let parent = ParentTask::new(id.clone(), result.actions.clone(), "a fox --ar 3:2".to_owned());
        self.simulator
            .submit(&submission(request, Some(parent)))
            .await
            .unwrap()
    }
}

#[tokio::test]
async fn a_task_runs_and_survives_the_process_that_started_it() {
    let world = world();
    let id = world.submit("a red fox --ar 3:2 --v 7").await.unwrap();
    assert!(id.as_str().starts_with("sim1.") && id.as_str().len() < 1_024);
    assert_eq!(world.status(&id).await, RemoteStatus::Waiting);
    world.pass(1_000);
    assert_eq!(
        world.status(&id).await,
        RemoteStatus::Running { progress: Some(31) }
    );
    // Another process, with another idea of how long tasks take.
    let other = Simulator::new(
        Arc::<Hand>::clone(&world.clock),
        SimulatorOptions::default().with_duration(Duration::from_secs(60)),
    );
    assert_eq!(
        other.status(&id).await.unwrap(),
        RemoteStatus::Running { progress: Some(31) }
    );
    world.pass(1_500);
    let RemoteStatus::Succeeded(result) = other.status(&id).await.unwrap() else {
        panic!("not finished");
    };
    let kinds: Vec<_> = result
        .images
        .iter()
        .map(|image| (image.kind, image.index))
        .collect();
    assert_eq!(
        kinds,
        [
            (ImageKind::Single, 1),
            (ImageKind::Single, 2),
            (ImageKind::Single, 3),
            (ImageKind::Single, 4),
            (ImageKind::Grid, 0)
        ]
    );
    assert!(result.actions[0].id.starts_with("MJ::JOB::upsample::1::"));
    assert!(result.seed.is_some());
    // A clock set back does no harm.
    world.pass(-10_000);
    assert_eq!(world.status(&id).await, RemoteStatus::Waiting);
}

#[tokio::test]
async fn pictures_are_real_different_and_always_the_same() {
    let (world, again) = (
        world_of(SimulatorOptions::default()),
        world_of(SimulatorOptions::default()),
    );
    let prompt = "a fox --ar 3:2 --seed 7";
    let id = world.submit(prompt).await.unwrap();
    let result = world.result(&id).await;
    assert_eq!(result.seed, Some(7));
    again.pass(77);
    let id = again.submit(prompt).await.unwrap();
    let second = again.result(&id).await;
    let mut seen = HashSet::new();
    for (image, same) in result.images.iter().zip(&second.images) {
        let bytes = world.bytes(image).await;
        let sniffed = sniff(&bytes).unwrap();
        assert_eq!(sniffed.media_type, MediaType::Png);
        assert_eq!(sniffed.size, Some((1_152, 768)));
        assert!(bytes.windows(16).any(|part| part == b"Source\0simulated"));
        assert_eq!(bytes, again.bytes(same).await);
        assert!(seen.insert(bytes), "two pictures are alike");
    }
    let other = world.submit("a fox --ar 3:2 --seed 8").await.unwrap();
    let other = world.result(&other).await;
    assert_ne!(other.images[0].url, result.images[0].url);
}

#[tokio::test]
async fn follow_ups_start_from_the_parents_picture() {
    let world = world();
    let id = world.submit("a fox --ar 3:2").await.unwrap();
    let grid = world.result(&id).await;

    let cut = Action::Upscale {
        mode: UpscaleMode::Cutout,
    };
    let cut_id = world.follow(cut, &id, &grid, 3).await;
    let single = world.result(&cut_id).await;
    assert_eq!(single.images.len(), 1);
    // A cutout is the very same picture.
    assert_eq!(single.images[0].url, grid.images[2].url);
    assert!(
        single
            .actions
            .iter()
            .any(|action| action.id.contains("low_variation"))
    );

    for mode in [UpscaleMode::Subtle, UpscaleMode::Creative] {
        let large = world.follow(Action::Upscale { mode }, &cut_id, &single, 1).await;
        let large = world.result(&large).await;
        let bytes = world.bytes(&large.images[0]).await;
        assert_eq!(sniff(&bytes).unwrap().size, Some((156, 104)));
    }
    for strength in [None, Some(Strength::Subtle), Some(Strength::Strong)] {
        let varied = world.follow(Action::Variation { strength }, &id, &grid, 2).await;
        let varied = world.result(&varied).await;
        assert_eq!(varied.images.len(), 5);
        assert_ne!(varied.images[0].url, grid.images[1].url);
    }
}

#[tokio::test]
async fn an_upscaled_picture_is_not_upscaled_again() {
    let world = world();
    let id = world.submit("a fox --ar 3:2").await.unwrap();
    let grid = world.result(&id).await;
    let job = JobId::new(Timestamp::from_millis(1), &OsEntropy);
    let upscales = Action::ALL
        .into_iter()
        .filter(|action| matches!(action, Action::Upscale { .. }));
    for done in upscales.clone() {
        let again = world.follow(done, &id, &grid, 2).await;
        let result = world.result(&again).await;
        let is_cutout = done
            == Action::Upscale {
                mode: UpscaleMode::Cutout,
            };
        let offers = result.actions.iter().any(|offer| offer.id.contains("upsample"));
        assert_eq!(offers, is_cutout, "{done}: {:?}", result.actions);
        let parent = ParentTask::new(again, result.actions, "a fox".to_owned());
        for action in upscales.clone() {
            let request = JobRequest::follow_up(action, ParentRef::new(job, 1), "a fox");
            let checked = world.simulator.check(&request, Some(&parent));
            assert_eq!(checked.is_ok(), is_cutout, "{action} after {done}: {checked:?}");
        }
        let varied = JobRequest::follow_up(
            Action::Variation { strength: None },
            ParentRef::new(job, 1),
            "a fox",
        );
        assert_eq!(world.simulator.check(&varied, Some(&parent)), Ok(()), "{done}");
    }
}

#[tokio::test]
async fn a_blend_has_the_shape_that_is_asked_for() {
    let world = world();
    for (shape, size) in [
        (Shape::Portrait, (52, 78)),
        (Shape::Square, (64, 64)),
        (Shape::Landscape, (78, 52)),
    ] {
        let pictures = ["a", "b"].map(|name| InputImage::Url(format!("https://pictures.example/{name}.png")));
        let request = JobRequest::new(Action::Blend { shape }, "").with_images(pictures.to_vec());
        let id = world.simulator.submit(&submission(request, None)).await.unwrap();
        let result = world.result(&id).await;
        let bytes = world.bytes(&result.images[0]).await;
        assert_eq!(sniff(&bytes).unwrap().size, Some(size), "{shape:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_done_is_refused_before_it_is_started() {
    let world = world();
    let id = world.submit("a fox").await.unwrap();
    let job = JobId::new(Timestamp::from_millis(1), &OsEntropy);
    let parent = ParentTask::new(id, Vec::new(), "a fox".to_owned());
    let stranger = ParentTask::new(
        UpstreamId::new("1700000000000123"),
        Vec::new(),
        "a fox".to_owned(),
    );
    let variation = Action::Variation { strength: None };
    let request = |index| JobRequest::follow_up(variation, ParentRef::new(job, index), "a fox");
    for (index, parent) in [
        (1, None),
        (0, Some(&parent)),
        (5, Some(&parent)),
        (1, Some(&stranger)),
    ] {
        let failure = world.simulator.check(&request(index), parent).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Unsupported);
        let submitted = world
            .simulator
            .submit(&submission(request(index), parent.cloned()))
            .await;
        assert_eq!(submitted.unwrap_err().applied, Applied::No);
    }
    assert_eq!(world.simulator.check(&request(4), Some(&parent)), Ok(()));
}

#[tokio::test]
async fn submits_fail_as_told() {
    for (word, kind, applied, retry) in [
        ("sim:banned", FailureKind::Moderated, Applied::No, false),
        ("sim:invalid", FailureKind::InvalidPrompt, Applied::No, false),
        ("sim:queue-full", FailureKind::QueueFull, Applied::No, true),
        ("sim:lost", FailureKind::Transient, Applied::Maybe, true),
    ] {
        let error = world()
            .submit(&format!("a fox, {word}, --ar 3:2"))
            .await
            .unwrap_err();
        assert_eq!(
            (error.failure.kind, error.applied, error.retry),
            (kind, applied, retry),
            "{word}"
        );
    }
    let waits = world().submit("sim:queue-full").await.unwrap_err().retry_after;
    assert_eq!(waits, Some(Duration::from_secs(2)));
}

#[tokio::test]
async fn tasks_fail_as_told() {
    let at = async |word: &str, millis| {
        let world = world();
        let id = world.submit(&format!("a fox {word}")).await.unwrap();
        world.pass(millis);
        let over = world.simulator.cancel(&id).await.unwrap();
        (world.status(&id).await, !over)
    };
    let (RemoteStatus::Failed(failure), true) = at("sim:moderated", 1_300).await else {
        panic!("not moderated");
    };
    assert_eq!(
        (failure.kind, failure.spent),
        (FailureKind::Moderated, Spent::Yes)
    );
    let (RemoteStatus::Failed(failure), true) = at("sim:fail", 1_500).await else {
        panic!("not failed");
    };
    assert_eq!(failure.kind, FailureKind::Transient);
    assert_eq!(
        at("sim:fail", 1_400).await,
        (RemoteStatus::Running { progress: Some(46) }, false)
    );
    assert_eq!(at("sim:vanish", 1_250).await, (RemoteStatus::Missing, true));
    assert_eq!(
        at("sim:window", 9_000).await,
        (RemoteStatus::AwaitingInput, false)
    );
    let running = |progress| {
        (
            RemoteStatus::Running {
                progress: Some(progress),
            },
            false,
        )
    };
    assert_eq!(at("sim:hang", 1_000_000).await, running(78));
    assert_eq!(at("sim:slow", 10_000).await, running(31));
    assert_eq!(at("sim:nothing-known", 1_250).await, running(46));
}

#[tokio::test]
async fn spoiled_pictures_are_web_pages() {
    let world = world();
    let id = world.submit("a fox sim:bad-image").await.unwrap();
    let result = world.result(&id).await;
    let bytes = world.bytes(&result.images[0]).await;
    assert!(bytes.starts_with(b"<!doctype html>"));
    assert_eq!(sniff(&bytes), None);
}

#[tokio::test]
async fn strange_ids_and_addresses_are_harmless() {
    let world = world();
    let huge = task::pack("sim1.", &"x".repeat(1 << 16));
    for id in [
        "",
        "sim1.",
        "sim1.AAAA",
        "sim1.!!",
        "sim2.e30",
        "sim1.e30",
        huge.as_str(),
    ] {
        assert_eq!(
            world.status(&UpstreamId::new(id)).await,
            RemoteStatus::Missing,
            "{id}"
        );
    }
    let wide = r#"{"w":4000000000,"h":4000000000,"s":1,"c":1,"d":1,"v":8,"t":""}"#;
    let wide = task::pack(
        "sim://1/",
        &serde_json::from_str::<serde_json::Value>(wide).unwrap(),
    );
    for url in ["", "sim://1/", "https://example.com/1.png", wide.as_str()] {
        let error = world
            .simulator
            .fetch(&RemoteImage::new(url, ImageKind::Single, 1))
            .await
            .err()
            .unwrap();
        assert_eq!(error.failure.kind, FailureKind::ImageUnavailable, "{url}");
    }
    // Every letter of every script, and prompts longer than any upstream takes.
    for prompt in ["", "红狐狸 🦊 ﷽", "--ar 4:1", &"🦊".repeat(20_000)] {
        let id = world.submit(prompt).await.unwrap();
        let result = world.result(&id).await;
        for image in &result.images {
            assert!(sniff(&world.bytes(image).await).is_some(), "{prompt}");
        }
    }
}

/// Not a check but a look: `cargo test -p midjourney-core --features simulator -- --ignored look`.
#[tokio::test]
#[ignore = "writes pictures for people to look at"]
async fn look() {
    let folder = std::env::temp_dir().join("simulated");
    std::fs::create_dir_all(&folder).unwrap();
    let world = world_of(SimulatorOptions::default());
    for (n, prompt) in [
        "a red fox in the snow --ar 3:2 --v 7",
        "lighthouse at dusk --ar 16:9 --v 6",
        "a quiet forest lake, morning mist --ar 1:1",
        "tower --ar 1:4 --niji 7",
        "city of glass --ar 2:3 --seed 5",
    ]
    .into_iter()
    .enumerate()
    {
        let id = world.submit(prompt).await.unwrap();
        for image in world.result(&id).await.images {
            let bytes = world.bytes(&image).await;
            std::fs::write(folder.join(format!("{n}_{}.png", image.index)), bytes).unwrap();
        }
    }
}
