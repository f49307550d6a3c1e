//! What the gateway makes of an upstream that asks for patience, is gone, or talks nonsense, while hours pass.
#![expect(clippy::indexing_slicing, reason = "helpers of tests fail as tests do")]

use std::time::Duration;

use bytes::Bytes;
use midjourney_core::{
    accounts::{Condition, Limits, Strategy},
    clock::Clock as _,
    error::ErrorKind,
    gateway::Imagine,
    image::MediaType,
    job::{Failure, FailureKind, ImageQuery, RemoteStatus, Spent, Status},
    testing::{FakeClient, FetchOutcome, Gauge, SeededEntropy, SubmitOutcome, Trouble, tiny_png},
};

use crate::{given::World, pools::Pool};

const HOUR: Duration = Duration::from_secs(3_600);

fn busy(wait: Option<Duration>) -> SubmitOutcome {
    let failure = Failure::new(FailureKind::RateLimited, "too many requests");
    SubmitOutcome::Fail(Trouble::not_now(failure, wait))
}

/// U1: the next try comes when it is asked for, and soon then.
#[tokio::test]
async fn patience_is_had_as_long_as_is_asked_and_a_fifth_more_at_most() {
    for asked in [7, 90, 600, 3_600].map(Duration::from_secs) {
        let world = World::new(FakeClient::new());
        world.client.script_submits([busy(Some(asked))]);
        world.accepted().await;
        let engine = world.start();
        let mut tries = Vec::new();
        world
            .live_until("the second try", async || {
                while tries.len() < world.client.submits().len() {
                    tries.push(world.clock.now());
                }
                tries.len() == 2
            })
            .await;
        drop(engine);
        let waited = tries[1].saturating_since(tries[0]);
        assert!(
            (asked..=asked.mul_f64(1.2)).contains(&waited),
            "{waited:?} for {asked:?}"
        );
    }
}

/// U1: one job at a time finds out whether the patience was enough.
#[tokio::test]
async fn a_throttled_account_gets_one_request_in_each_window() {
    const WINDOWS: u16 = 20;
    let pool = Pool::new(1, Strategy::LeastBusy, Limits::default());
    let window = Duration::from_secs(60);
    pool.clients[0].script_submits((0..1_000).map(|_| busy(Some(window))));
    pool.accept(30).await;
    let begun = pool.world.clock.now();
    let engine = pool.start();
    let mut first = 0;
    pool.world
        .live_until("the end of the windows", async || {
            let passed = pool.world.clock.now().saturating_since(begun);
            if passed < window {
                first = pool.clients[0].submits().len();
            }
            passed > window * WINDOWS.into()
        })
        .await;
    drop(engine);
    let later = pool.clients[0].submits().len() - first;
    // The first ones were under way together before the first of them was answered.
    assert!(first <= 12, "{first} requests before the first answer");
    assert!(
        (1..=WINDOWS.into()).contains(&later),
        "{later} in {WINDOWS} windows"
    );
}

/// U11: nobody hammers at an upstream that is gone, nothing is lost, and what comes in meanwhile is taken, up to the limit.
#[tokio::test]
async fn an_upstream_that_is_gone_for_an_hour_is_probed_and_the_queue_waits() {
    let limits = Limits {
        slots: Some(3),
        queue: Some(17),
        ..Limits::default()
    };
    let pool = Pool::new(1, Strategy::LeastBusy, limits);
    pool.clients[0].script_submits((0..10_000).map(|_| SubmitOutcome::Fail(Trouble::passing())));
    pool.accept(10).await;
    let begun = pool.world.clock.now();
    let engine = pool.start();
    let mut down_after = None;
    pool.world
        .live_until("an hour has passed", async || {
            let sent = pool.clients[0].submits().len();
            if down_after.is_none() && pool.condition(0) == Condition::Down {
                down_after = Some(sent);
            }
            pool.world.clock.now().saturating_since(begun) >= HOUR
        })
        .await;
    let down_after = down_after.unwrap();
    assert!(down_after <= 10, "{down_after} failures until nobody tries");
    let probes = pool.clients[0].submits().len() - down_after;
    assert!(probes <= 3_600 / 30, "{probes} probes in an hour");
    let gateway = pool.gateway();
    gateway.ready().await.unwrap();
    pool.accept(10).await;
    let full = gateway.imagine(Imagine::new("one more")).await.unwrap_err();
    assert_eq!(full.kind(), ErrorKind::Unavailable);
    drop(engine);
    let counts = pool.world.jobs.counts().await.unwrap();
    assert_eq!((counts.pending, counts.failed), (20, 0), "{counts:?}");
}

/// U12: whatever order an upstream tells its news in, and however often.
#[tokio::test]
async fn news_that_comes_twice_or_out_of_order_ends_in_the_same_record() {
    for seed in 0..20 {
        let chance = SeededEntropy::new(seed);
        let news = [
            RemoteStatus::Waiting,
            RemoteStatus::Running { progress: None },
            RemoteStatus::Running { progress: Some(10) },
            RemoteStatus::Running { progress: Some(50) },
            RemoteStatus::Running { progress: Some(90) },
        ];
        let mut told: Vec<_> = news.iter().cycle().take(50).cloned().collect();
        for place in (1..told.len()).rev() {
            let other = usize::try_from(chance.next()).unwrap() % (place + 1);
            told.swap(place, other);
        }
        told.push(FakeClient::succeeded(4));
        let world = World::new(FakeClient::new());
        world.client.script_statuses(told.into_iter().map(Ok));
        let id = world.accepted().await;
        let engine = world.start();
        let job = world.live_until_over(id).await;
        drop(engine);
        assert_eq!((job.status(), job.life.submits), (Status::Completed, 1), "{seed}");
        let images = world.jobs.images(&ImageQuery::of(id)).await.unwrap().items;
        assert_eq!(images.len(), 4, "{seed}");
        let history = world.jobs.history(id, 0, 200).await.unwrap();
        let mut last = None;
        for (event, sequence) in history.iter().zip(1..) {
            assert_eq!(event.sequence, sequence, "{seed}");
            assert!(
                event.progress >= last || event.progress.is_none(),
                "{seed}: {history:?}"
            );
            last = event.progress.or(last);
        }
    }
}

/// The head of an MP4 or something like it.
fn boxed(brand: &[u8]) -> Vec<u8> {
    [&b"\0\0\0\x18ftyp"[..], brand, &b"\0\0\x02\0isomiso2"[..]].concat()
}

fn riff(kind: &[u8]) -> Vec<u8> {
    [&b"RIFF\x24\0\0\0"[..], kind, &[0; 64]].concat()
}

/// A PNG whose head claims this size.
fn png_of(side: u32) -> Vec<u8> {
    let mut png = tiny_png(1).to_vec();
    png[16..20].copy_from_slice(&side.to_be_bytes());
    png[20..24].copy_from_slice(&side.to_be_bytes());
    png
}

/// Files that upstreams may give for a picture, and what each is stored as.
fn files() -> Vec<(&'static str, Vec<u8>, Option<MediaType>)> {
    use MediaType as M;
    let png = tiny_png(1).to_vec();
    let jpeg =
        b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0\xff\xc0\0\x11\x08\0\x01\0\x01\x03\xff\xd9"
            .to_vec();
    let stored = |name, bytes, kind| (name, bytes, Some(kind));
    let refused = |name: &'static str, bytes: &[u8]| (name, bytes.to_vec(), None);
    vec![
        stored("png", png.clone(), M::Png),
        stored("jpeg", jpeg.clone(), M::Jpeg),
        stored("gif 87", b"GIF87a\x01\0\x01\0\0\0\0;".to_vec(), M::Gif),
        stored("gif 89", b"GIF89a\x01\0\x01\0\0\0\0;".to_vec(), M::Gif),
        stored("webp", riff(b"WEBPVP8X\x0a\0\0\0"), M::WebP),
        stored("mp4", boxed(b"isom"), M::Mp4),
        stored("mp4 of version 2", boxed(b"mp42"), M::Mp4),
        // What it is is told by its head; nobody runs its tail, for it is served as what it is.
        stored(
            "a png with a page behind it",
            [png.as_slice(), b"<script>"].concat(),
            M::Png,
        ),
        stored(
            "a gif that is a script too",
            b"GIF89a/*\0\0\0*/=1;alert(1)".to_vec(),
            M::Gif,
        ),
        stored(
            "a png with a zip behind it",
            [png.as_slice(), b"PK\x03\x04"].concat(),
            M::Png,
        ),
        // Nobody unpacks it, so that it costs what its bytes do.
        stored("a bomb", png_of(65_535), M::Png),
        refused("nothing", b""),
        refused("a page", b"<html>not found</html>"),
        refused("a page after spaces", b"   \n<!doctype html>"),
        refused(
            "svg",
            b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
        ),
        refused("svg with a head", b"<?xml version='1.0'?><svg/>"),
        refused("json", b"{\"error\":\"expired\"}"),
        refused("text", b"gone"),
        refused("half a png", &png[..png.len() - 5]),
        refused("half a jpeg", &jpeg[..jpeg.len() - 1]),
        refused("half a gif", b"GIF89a\x01\0\x01\0\0\0\0"),
        refused("half a webp", &riff(b"WEBPVP8X\x0a\0\0\0")[..18]),
        refused("half an mp4", &boxed(b"isom")[..14]),
        refused("half a mark", b"\x89PN"),
        refused("a mark with a line end mended", b"\x89PNG\n\x1a\n\0\0\0\rIHDR"),
        refused("pdf", b"%PDF-1.7"),
        refused("zip", b"PK\x03\x04"),
        refused("gzip", b"\x1f\x8b\x08\0\0\0\0\0"),
        refused("a program", b"\x7fELF\x02\x01\x01"),
        refused("bmp", b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0"),
        refused("tiff", b"II*\0\x08\0\0\0"),
        refused("ico", b"\0\0\x01\0\x01\0\x10\x10"),
        refused("psd", b"8BPS\0\x01"),
        refused("avif", &boxed(b"avif")),
        refused("heic", &boxed(b"heic")),
        refused("sound in a box", &boxed(b"M4A ")),
        refused("wav", &riff(b"WAVEfmt ")),
        refused("avi", &riff(b"AVI LIST")),
        refused(
            "a page with a picture's end",
            &[b"<html>".as_slice(), &png].concat(),
        ),
        refused("zeros", &[0; 100_000]),
    ]
}

/// U13: only pictures and videos are stored, as what their bytes say; the rest is an error of its own, and paid.
#[tokio::test]
async fn only_pictures_and_videos_are_stored_whatever_the_upstream_gives() {
    let files = files();
    assert!(files.len() >= 30);
    let mut too_long = tiny_png(1).to_vec();
    too_long.resize(64 * 1024 * 1024 + 1, 0);
    let files = files
        .into_iter()
        .map(|(name, bytes, kind)| (name, FetchOutcome::Bytes(Bytes::from(bytes)), kind))
        .chain([
            ("64 MiB and a byte", FetchOutcome::Bytes(too_long.into()), None),
            ("a broken line", FetchOutcome::Cut(tiny_png(1)), None),
        ]);
    for (name, file, kind) in files {
        let world = World::new(FakeClient::new());
        world.client.script_statuses([Ok(FakeClient::succeeded(1))]);
        world.client.script_fetches(vec![file; 100]);
        let id = world.accepted().await;
        let engine = world.start();
        let job = world.live_until_over(id).await;
        drop(engine);
        let images = world.jobs.images(&ImageQuery::of(id)).await.unwrap().items;
        let stored: Vec<_> = images.iter().map(|image| image.media_type).collect();
        assert_eq!(stored, kind.into_iter().collect::<Vec<_>>(), "{name}");
        let failure = job.life.failure().map(|failure| (failure.kind, failure.spent));
        let expected = kind
            .is_none()
            .then_some((FailureKind::ImageUnavailable, Spent::Yes));
        assert_eq!(failure, expected, "{name}");
    }
}

/// U13: who gives without end is not listened to for long.
#[tokio::test]
async fn a_picture_without_end_is_cut_and_not_asked_for_again() {
    const MIB: usize = 1024 * 1024;
    let world = World::new(FakeClient::new());
    world.client.script_statuses([Ok(FakeClient::succeeded(1))]);
    let gauge = Gauge::default();
    world
        .client
        .script_fetches(vec![FetchOutcome::Long(gauge.clone(), 1024 * MIB); 9]);
    let id = world.accepted().await;
    let engine = world.start();
    let job = world.live_until_over(id).await;
    drop(engine);
    let failure = job.life.failure().unwrap();
    assert_eq!(
        (failure.kind, failure.spent),
        (FailureKind::ImageUnavailable, Spent::Yes),
        "{failure:?}"
    );
    assert!(gauge.given() <= 65 * MIB, "{} bytes were taken", gauge.given());
    assert!(
        world
            .jobs
            .images(&ImageQuery::of(id))
            .await
            .unwrap()
            .items
            .is_empty()
    );
}

/// U16: whoever calls and hears nothing is soon left alone.
#[tokio::test]
async fn an_account_whose_answers_never_come_is_parked() {
    let pool = Pool::new(2, Strategy::RoundRobin, Limits::default());
    pool.clients[1].script_submits((0..1_000).map(|_| SubmitOutcome::LostBefore));
    pool.accept(40).await;
    let engine = pool.start();
    pool.world
        .live_until("all that can be done", async || {
            pool.world.jobs.counts().await.unwrap().pending == 0
        })
        .await;
    drop(engine);
    assert_eq!(pool.condition(1), Condition::Down);
    let lost = pool.clients[1].submits().len();
    assert!(
        lost <= 20,
        "{lost} jobs were given to an account that never answers"
    );
    assert_eq!(pool.clients[0].paid(), 40 - lost);
}
