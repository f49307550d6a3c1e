//! What becomes of the pictures of a finished task.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use midjourney_core::{
    gateway::Gateway,
    id::JobId,
    image::{ImageKind, sniff},
    job::{Failure, FailureKind, ImageQuery, Job, RemoteImage, RemoteResult, RemoteStatus, Spent, Status},
    testing::{FakeClient, FetchOutcome, Trouble, tiny_png},
};

use crate::given::World;

/// A job whose upstream says `status`, when it is over.
async fn done(world: &World, status: RemoteStatus) -> Job {
    world.client.script_statuses([Ok(status)]);
    let id = world.accepted().await;
    let engine = world.start();
    let job = world.live_until_over(id).await;
    drop(engine);
    job
}

async fn indexes(gateway: &Gateway, id: JobId) -> Vec<(ImageKind, u8)> {
    let job = gateway.job(id).await.unwrap();
    let view = gateway.images(&ImageQuery::of(job.id)).await;
    let images = view.unwrap().items;
    images.iter().map(|image| (image.kind, image.index)).collect()
}

fn singles(indexes: &[u8]) -> Vec<(ImageKind, u8)> {
    indexes.iter().map(|index| (ImageKind::Single, *index)).collect()
}

#[tokio::test]
async fn a_damaged_picture_does_not_cost_the_others() {
    let world = World::new(FakeClient::new());
    let whole = |shade| FetchOutcome::Bytes(tiny_png(shade));
    let half = || FetchOutcome::Bytes(tiny_png(2).slice(..40));
    world
        .client
        .script_fetches([whole(1), half(), whole(3), whole(4)]);
    world.client.script_fetches((0..100).map(|_| half()));
    let job = done(&world, FakeClient::succeeded(4)).await;
    assert_eq!(job.status(), Status::Completed);
    let failure = job.life.failure().unwrap();
    assert_eq!(
        (failure.kind, failure.spent),
        (FailureKind::ImageUnavailable, Spent::Yes)
    );
    assert!(failure.message.contains("picture 2 is damaged"), "{failure:?}");
    let gateway = world.gateway();
    assert_eq!(indexes(&gateway, job.id).await, singles(&[1, 3, 4]));
    let view = gateway.view(&job).await.unwrap();
    assert_eq!(view.missing, Some(1));
    // The fourth is still called so, and can be gone on with.
    let images = gateway.images(&ImageQuery::of(job.id)).await.unwrap().items;
    let follow_ups = gateway.follow_ups(&job, &images);
    assert!(follow_ups.iter().any(|(_, index)| *index == 4), "{follow_ups:?}");
    // Those that came were not fetched again.
    let tries = usize::try_from(world.policy.store_attempts).unwrap();
    let fetches = world.client.fetches();
    assert!(fetches >= 3 + tries && fetches < 3 * tries, "{fetches}");
}

#[tokio::test]
async fn a_picture_that_comes_later_completes_the_job() {
    let world = World::new(FakeClient::new());
    let whole = |shade| FetchOutcome::Bytes(tiny_png(shade));
    let trouble = FetchOutcome::Fail(Trouble::not_now(
        Failure::new(FailureKind::Transient, "not yet"),
        None,
    ));
    world
        .client
        .script_fetches([whole(1), whole(2), trouble, whole(4), whole(3)]);
    let job = done(&world, FakeClient::succeeded(4)).await;
    assert_eq!((job.status(), job.life.failure()), (Status::Completed, None));
    let gateway = world.gateway();
    assert_eq!(indexes(&gateway, job.id).await, singles(&[1, 2, 3, 4]));
    assert_eq!(gateway.view(&job).await.unwrap().missing, None);
    assert_eq!(world.client.fetches(), 5);
}

/// What moderation holds back never comes: the job is done, and says so.
#[tokio::test]
async fn pictures_that_were_held_back_are_told() {
    for (given, missing) in [(4, None), (3, Some(1)), (2, Some(2)), (1, None)] {
        let world = World::new(FakeClient::new());
        let job = done(&world, FakeClient::succeeded(given)).await;
        let view = world.gateway().view(&job).await.unwrap();
        assert_eq!((view.status, view.missing), ("completed", missing), "{given}");
    }
}

fn grid_alone() -> RemoteStatus {
    let grid = RemoteImage::new("https://fake.invalid/grid.png", ImageKind::Grid, 0);
    RemoteStatus::Succeeded(RemoteResult::new(vec![grid]))
}

#[cfg(feature = "renditions")]
#[tokio::test]
async fn a_grid_alone_is_cut_into_its_pictures() {
    use midjourney_core::image::raster::{Encoding, Raster};

    let world = World::new(FakeClient::new());
    let tile = |shade| Raster::decode(&tiny_png(shade)).unwrap();
    let grid = Raster::sheet(&[tile(10), tile(90), tile(170), tile(250)]).unwrap();
    let file = grid.encode(Encoding::Png).unwrap();
    world.client.script_fetches([FetchOutcome::Bytes(file.into())]);
    let job = done(&world, grid_alone()).await;
    let gateway = world.gateway();
    let kinds = indexes(&gateway, job.id).await;
    assert_eq!(kinds[0], (ImageKind::Grid, 0));
    assert_eq!(kinds[1..], singles(&[1, 2, 3, 4]));
    for (image, shade) in gateway.view(&job).await.unwrap().images[1..]
        .iter()
        .zip([10, 90, 170, 250])
    {
        let bytes = gateway.picture_bytes(image.id).await.unwrap();
        assert_eq!(sniff(&bytes).unwrap().size, image.width.zip(image.height));
        let expected = Raster::sheet(&[tile(shade)])
            .unwrap()
            .encode(Encoding::Png)
            .unwrap();
        assert_eq!(bytes, expected, "picture {}", image.index);
        assert_eq!(
            image.sha256,
            midjourney_core::image::ImageDigest::of(&bytes).to_string()
        );
    }
}

/// It is paid for, and each of its pictures can still be asked of the upstream.
#[tokio::test]
async fn a_grid_that_cannot_be_cut_is_kept() {
    let world = World::new(FakeClient::new());
    // Its pixels are missing, which nobody sees who does not unpack it.
    let mut grid = tiny_png(1).to_vec();
    grid[41] ^= 0xff;
    world.client.script_fetches([FetchOutcome::Bytes(grid.into())]);
    let job = done(&world, grid_alone()).await;
    assert_eq!(job.status(), Status::Completed);
    let gateway = world.gateway();
    assert_eq!(indexes(&gateway, job.id).await, [(ImageKind::Grid, 0)]);
    let view = gateway.view(&job).await.unwrap();
    let images = gateway.images(&ImageQuery::of(job.id)).await.unwrap().items;
    assert_eq!(view.missing, None);
    let follow_ups = gateway.follow_ups(&job, &images);
    assert!(follow_ups.iter().any(|(_, index)| *index == 4), "{follow_ups:?}");
}
