//! What a request is checked for before it becomes a job, and what reaches the upstream of it.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail as tests do"
)]

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use midjourney_core::{
    error::{Error, ErrorKind},
    gateway::{Act, Gateway, Imagine},
    image::{ByteStream, MediaType},
    job::{
        Action, Capabilities, Direction, FailureKind, InputImage, Motion, Owner, ParentRef, PictureForm,
        Shape, Spent, Status, Strength, UpscaleMode, Zoom,
    },
    testing::{FakeClient, FetchOutcome, Gauge, tiny_png},
};

use crate::given::World;

fn body(bytes: Bytes) -> ByteStream {
    stream::iter([Ok(bytes)]).boxed()
}

fn link() -> InputImage {
    InputImage::Url("https://cdn.example/a.png".to_owned())
}

/// The field that a request stumbles over.
async fn fault(gateway: &Gateway, request: Act) -> String {
    let error: Error = gateway.act(request).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    error.fields()[0].pointer.clone()
}

#[tokio::test]
async fn a_part_that_is_missing_or_too_much_is_named() {
    let world = World::new(FakeClient::new());
    let gateway = world.gateway();
    let id = world.accepted().await;
    let engine = world.start();
    world.live_until_over(id).await;
    drop(engine);
    let parent = ParentRef::new(id, 1);
    let upscale = Action::Upscale {
        mode: UpscaleMode::Subtle,
    };
    let remix = Action::Remix {
        strength: Strength::Strong,
    };
    let custom = |hundredths| Action::Zoom {
        zoom: Zoom::Custom(hundredths),
    };
    let blend = Action::Blend {
        shape: Shape::Portrait,
    };
    let animate = Action::Animate { motion: Motion::Low };
    let text = |words: &str| Some(words.to_owned());
    for (request, field) in [
        (Act::new(upscale), "/job"),
        (Act::new(upscale).on(parent).with_mask(Some(link())), "/mask"),
        (Act::new(upscale).on(parent).with_images(vec![link()]), "/images"),
        (Act::new(upscale).on(ParentRef::new(id, 0)), "/index"),
        (Act::new(upscale).on(ParentRef::new(id, 5)), "/index"),
        (Act::new(remix).on(parent), "/prompt"),
        (Act::new(custom(100)).on(parent), "/zoom"),
        (Act::new(custom(201)).on(parent), "/zoom"),
        (Act::new(Action::Inpaint).on(parent), "/mask"),
        (Act::new(Action::Edit).with_prompt(text("hills")), "/job"),
        (
            Act::new(Action::Edit)
                .on(parent)
                .with_images(vec![link()])
                .with_prompt(text("hills")),
            "/job",
        ),
        (Act::new(Action::Retexture).with_prompt(text("clay")), "/images"),
        (Act::new(blend).with_images(vec![link()]), "/images"),
        (Act::new(blend).with_images(vec![link(); 6]), "/images"),
        (
            Act::new(blend)
                .with_images(vec![link(); 2])
                .with_prompt(text("no")),
            "/prompt",
        ),
        (Act::new(Action::Describe), "/job"),
        (Act::new(Action::Shorten), "/prompt"),
        (
            Act::new(Action::Shorten).with_prompt(text("a {red,blue} fox")),
            "/prompt",
        ),
        (Act::new(animate), "/job"),
        (
            Act::new(Action::Describe).with_images(vec![InputImage::Url("file:///etc/passwd".to_owned())]),
            "/images/0",
        ),
        (
            Act::new(blend).with_images(vec![link(), InputImage::Url("cat.png".to_owned())]),
            "/images/1",
        ),
    ] {
        let words = format!("{request:?}");
        assert_eq!(fault(&gateway, request).await, field, "{words}");
    }
    assert_eq!(world.jobs.counts().await.unwrap().pending, 0);
}

#[tokio::test]
async fn every_action_becomes_a_job_of_its_own() {
    let world = World::new(FakeClient::new());
    let gateway = world.gateway();
    let id = world.accepted().await;
    let engine = world.start();
    world.live_until_over(id).await;
    for action in Action::ALL
        .into_iter()
        .filter(|action| *action != Action::Imagine)
    {
        let needs = action.needs();
        let mut request = Act::new(action).with_images(vec![link(); needs.images.0]);
        if needs.images == (0, 1) || needs.parent == midjourney_core::job::Need::Must {
            request = request.on(ParentRef::new(id, 1));
        }
        if needs.prompt == midjourney_core::job::Need::Must {
            request = request.with_prompt(Some("a blue fox".to_owned()));
        }
        if needs.mask == midjourney_core::job::Need::Must {
            request = request.with_mask(Some(link()));
        }
        let job = gateway.act(request).await.unwrap().jobs.remove(0);
        assert_eq!(job.request.action, action);
        assert_eq!(
            world.live_until_over(job.id).await.status(),
            Status::Completed,
            "{action}"
        );
        let sent = world.client.submits().pop().unwrap();
        assert_eq!(sent.images.len(), needs.images.0, "{action}");
        assert_eq!(sent.parent.is_some(), job.request.parent.is_some());
    }
    drop(engine);
}

#[tokio::test]
async fn an_uploaded_picture_reaches_the_upstream_as_it_takes_pictures() {
    for form in [PictureForm::Either, PictureForm::Bytes, PictureForm::Link] {
        let mut can = Capabilities::default();
        can.pictures = form;
        let world = World::new(FakeClient::new().with_capabilities(can));
        let gateway = world.gateway();
        let upload = gateway.upload(Owner::local(), body(tiny_png(7))).await.unwrap();
        assert_eq!(upload.media_type, MediaType::Png);
        let request = Imagine::new("a fox").with_images(vec![InputImage::Upload(upload.id), link()]);
        let accepted = gateway.imagine(request).await;
        if form == PictureForm::Link {
            // Nobody can reach our files here.
            let error = accepted.unwrap_err();
            assert_eq!(error.fields()[0].pointer, "/images/0");
            assert!(error.fields()[0].detail.contains("server.public_url"));
            continue;
        }
        let id = accepted.unwrap().jobs[0].id;
        let engine = world.start();
        assert_eq!(world.live_until_over(id).await.status(), Status::Completed);
        drop(engine);
        let sent = world.client.submits().remove(0).images;
        assert_eq!(sent[0].file, Some((tiny_png(7), MediaType::Png)));
        assert_eq!(sent[1].file.is_some(), form == PictureForm::Bytes);
        assert_eq!(sent[1].url.as_deref(), Some("https://cdn.example/a.png"));
    }
}

/// U13: what comes along is held whole for a while, so there is an end to it: 20 MiB a picture, 40 MiB a request.
#[tokio::test]
async fn pictures_that_come_along_are_bounded_each_and_together() {
    const MIB: usize = 1024 * 1024;
    for (count, each, words) in [(1, 1024, "20 MiB at most"), (5, 15, "40 MiB in all")] {
        let mut can = Capabilities::default();
        can.pictures = PictureForm::Bytes;
        let world = World::new(FakeClient::new().with_capabilities(can));
        let gauge = Gauge::default();
        world
            .client
            .script_fetches(vec![FetchOutcome::Long(gauge.clone(), each * MIB); count]);
        let request = Imagine::new("a fox").with_images(vec![link(); count]);
        let id = world.gateway().imagine(request).await.unwrap().jobs[0].id;
        let engine = world.start();
        let job = world.live_until_over(id).await;
        drop(engine);
        let failure = job.life.failure().unwrap();
        assert_eq!(
            (failure.kind, failure.spent),
            (FailureKind::InvalidPrompt, Spent::No),
            "{failure:?}"
        );
        assert!(failure.message.contains(words), "{failure:?}");
        assert!(gauge.given() <= 41 * MIB, "{} bytes were taken", gauge.given());
        assert!(world.client.submits().is_empty());
    }
}

#[tokio::test]
async fn what_is_no_picture_is_not_taken_in_and_strangers_uploads_are_unknown() {
    let world = World::new(FakeClient::new());
    let gateway = world.gateway();
    let page = Bytes::from_static(b"<svg onload=alert(1)>");
    let error = gateway.upload(Owner::local(), body(page)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let ann = gateway
        .upload(Owner::new("ann"), body(tiny_png(1)))
        .await
        .unwrap();
    let request = Act::new(Action::Describe).with_images(vec![InputImage::Upload(ann.id)]);
    assert_eq!(fault(&gateway, request).await, "/images/0");
    let pan = Action::Pan {
        direction: Direction::Up,
    };
    assert_eq!(fault(&gateway, Act::new(pan)).await, "/job");
}
