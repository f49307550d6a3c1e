//! The `evolink` client against imitations of that upstream on loopback, over real HTTP.

#![expect(
    clippy::unwrap_used,
    clippy::too_many_lines,
    reason = "helpers of tests fail with the test; a table is as long as the facts are many"
)]

use std::time::Duration;

use bytes::Bytes;
use midjourney_core::{
    client::{
        InputPicture, MidjourneyClient as _, Reconciliation, Submission,
        evolink::{DEFAULT_BASE_URL, EvoLink},
    },
    image::{ImageKind, MediaType},
    job::{
        Action, Direction, FailureKind, JobRequest, PictureForm, RemoteImage, RemoteStatus, Shape, Spent,
        Strength, UpscaleMode, UpstreamId, Zoom,
    },
    key::Secret,
};
use serde_json::{Value, json};
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::method};

use crate::partner::{
    CANARY, TASK, answering, follow_up, imagine, later, lost, no, options, parent, plain_statuses,
    reads_statuses, refused_early, refuses, sent, shows_no_secret, submission, unsent, with_callback,
    with_prompt,
};

fn client(base: &str) -> EvoLink {
    EvoLink::new(options(base, Some(CANARY)))
}

fn accepted() -> String {
    json!({"id": TASK, "object": "image.generation.task", "model": "mj-v7", "status": "pending", "progress": 0})
        .to_string()
}

async fn status(task: Value) -> RemoteStatus {
    let server = answering(200, task.to_string()).await;
    client(&server.uri())
        .status(&UpstreamId::new(TASK))
        .await
        .unwrap()
}

fn draw(prompt: &str) -> Submission {
    submission(JobRequest::imagine(prompt))
}

#[tokio::test]
async fn an_imagine_is_sent_as_the_wire_has_it() {
    let server = answering(200, accepted()).await;
    let (submission, hook, _) = with_callback(draw("a red fox --ar 3:2 --s 250 --fast --v 7"));
    let submission = submission.with_pictures(vec![InputPicture::at("https://cdn.example/a.png")], None);
    let id = client(&server.uri()).submit(&submission).await.unwrap();
    assert_eq!(id.as_str(), TASK);
    let requests = server.received_requests().await.unwrap();
    assert_eq!(requests[0].headers["authorization"], format!("Bearer {CANARY}"));
    let (path, body) = sent(&server).await;
    assert_eq!(path, "/v1/images/generations");
    assert_eq!(
        body,
        json!({
            "model": "mj-v7",
            "prompt": "https://cdn.example/a.png a red fox --ar 3:2 --s 250",
            "model_params": {"speed": "fast"},
            "callback_url": hook,
        })
    );
    assert_eq!(DEFAULT_BASE_URL, "https://api.evolink.ai");
}

#[tokio::test]
async fn addresses_that_the_upstream_would_not_call_are_left_out() {
    for (url, told) in [
        ("https://gw.example/cb/1", true),
        ("http://gw.example/cb/1", false),
        ("https://127.0.0.1/cb", false),
        ("https://10.0.0.1/cb", false),
        ("https://[::1]/cb", false),
        ("https://localhost/cb", false),
        ("not an address", false),
        (&format!("https://gw.example/{}", "x".repeat(2_048)), false),
    ] {
        let server = answering(200, accepted()).await;
        let submission = imagine().with_callback(Some(Secret::new(url)));
        client(&server.uri()).submit(&submission).await.unwrap();
        let (_, body) = sent(&server).await;
        assert_eq!(body.get("callback_url").is_some(), told, "{url}");
    }
}

#[tokio::test]
async fn every_action_has_its_model_and_body() {
    let seven = parent("a fox --v 7", &[]);
    let eight = parent("a fox --v 8.1", &[]);
    // What a finished task tells goes before what its prompt says.
    let told = parent("hills", &["mj-v8.1-variation", "mj-v8.1-remix"]);
    let upscale = |mode| follow_up(Action::Upscale { mode }, 2, &seven);
    let vary = |strength, of| follow_up(Action::Variation { strength }, 4, of);
    let zoom = |zoom| follow_up(Action::Zoom { zoom }, 2, &seven);
    let pan = |direction| follow_up(Action::Pan { direction }, 1, &seven);
    let remix =
        |strength, of, prompt: &str| with_prompt(follow_up(Action::Remix { strength }, 3, of), prompt);
    let retexture = |prompt: &str| {
        submission(JobRequest::new(Action::Retexture, prompt))
            .with_pictures(vec![InputPicture::at("https://cdn.example/a.png")], None)
    };
    let rows: Vec<(Submission, Value)> = vec![
        (draw("a fox"), json!({"model": "mj-v7", "prompt": "a fox"})),
        (
            draw("a fox --v 8.1 --hd --turbo"),
            json!({"model": "mj-v8.1", "prompt": "a fox", "quality": "hd", "model_params": {"speed": "turbo"}}),
        ),
        (
            draw("a fox --v 8.1 --draft"),
            json!({"model": "mj-v8.1", "prompt": "a fox", "model_params": {"speed": "draft"}}),
        ),
        (
            upscale(UpscaleMode::Subtle),
            json!({"model": "mj-v7-upscale", "model_params": {"task_id": TASK, "image_number": 1, "type": "standard"}}),
        ),
        (
            upscale(UpscaleMode::Creative),
            json!({"model": "mj-v7-upscale", "model_params": {"task_id": TASK, "image_number": 1, "type": "creative"}}),
        ),
        (
            vary(None, &seven),
            json!({"model": "mj-v7-variation", "model_params": {"task_id": TASK, "image_number": 3, "type": "strong"}}),
        ),
        (
            vary(Some(Strength::Subtle), &eight),
            json!({"model": "mj-v8.1-variation", "model_params": {"task_id": TASK, "image_number": 3, "type": "subtle"}}),
        ),
        (
            vary(Some(Strength::Strong), &told),
            json!({"model": "mj-v8.1-variation", "model_params": {"task_id": TASK, "image_number": 3, "type": "strong"}}),
        ),
        (
            remix(Strength::Strong, &seven, "a wolf --v 7 --turbo --ar 1:1"),
            json!({"model": "mj-v7-remix", "prompt": "a wolf --ar 1:1",
                "model_params": {"task_id": TASK, "image_number": 2, "mode": "strong", "speed": "turbo"}}),
        ),
        (
            remix(Strength::Subtle, &told, "a wolf"),
            json!({"model": "mj-v8.1-remix", "prompt": "a wolf",
                "model_params": {"task_id": TASK, "image_number": 2, "mode": "subtle"}}),
        ),
        (
            zoom(Zoom::OneAndAHalf),
            json!({"model": "mj-v7-outpaint", "model_params": {"task_id": TASK, "image_number": 1, "scale": 1.5}}),
        ),
        (
            zoom(Zoom::Double),
            json!({"model": "mj-v7-outpaint", "model_params": {"task_id": TASK, "image_number": 1, "scale": 2.0}}),
        ),
        (
            with_prompt(zoom(Zoom::Custom(180)), "a wider wood"),
            json!({"model": "mj-v7-outpaint", "prompt": "a wider wood",
                "model_params": {"task_id": TASK, "image_number": 1, "scale": 1.8}}),
        ),
        (
            pan(Direction::Left),
            json!({"model": "mj-v7-pan", "model_params": {"task_id": TASK, "image_number": 0, "direction": "left", "scale": 1.5}}),
        ),
        (
            pan(Direction::Right),
            json!({"model": "mj-v7-pan", "model_params": {"task_id": TASK, "image_number": 0, "direction": "right", "scale": 1.5}}),
        ),
        (
            pan(Direction::Up),
            json!({"model": "mj-v7-pan", "model_params": {"task_id": TASK, "image_number": 0, "direction": "up", "scale": 1.5}}),
        ),
        (
            pan(Direction::Down),
            json!({"model": "mj-v7-pan", "model_params": {"task_id": TASK, "image_number": 0, "direction": "down", "scale": 1.5}}),
        ),
        (
            retexture("of glass --fast"),
            json!({"model": "mj-v7-retexture", "prompt": "of glass", "image_urls": ["https://cdn.example/a.png"],
                "model_params": {"speed": "fast"}}),
        ),
        (
            retexture("of glass --v 8.1"),
            json!({"model": "mj-v8.1-retexture", "prompt": "of glass", "image_urls": ["https://cdn.example/a.png"]}),
        ),
    ];
    for (submission, body) in rows {
        let server = answering(200, accepted()).await;
        let client = client(&server.uri());
        client
            .check(&submission.request, submission.parent.as_ref())
            .unwrap();
        assert!(client.supports(submission.request.action));
        client.submit(&submission).await.unwrap();
        assert_eq!(sent(&server).await, ("/v1/images/generations".to_owned(), body));
    }
    for action in Action::ALL {
        let with = matches!(
            action,
            Action::Imagine
                | Action::Upscale {
                    mode: UpscaleMode::Subtle | UpscaleMode::Creative
                }
                | Action::Variation { .. }
                | Action::Remix { .. }
                | Action::Zoom {
                    zoom: Zoom::OneAndAHalf | Zoom::Double | Zoom::Custom(_)
                }
                | Action::Pan { .. }
                | Action::Retexture
        );
        assert_eq!(client("http://127.0.0.1:9").supports(action), with, "{action}");
    }
}

#[tokio::test]
async fn what_cannot_be_is_refused_before_anything_is_sent() {
    let seven = parent("a fox --v 7", &[]);
    let eight = parent("a fox --v 8.1", &[]);
    let upscaled = parent("a fox", &["mj-v7-variation", "mj-v7-pan"]);
    let creative = Action::Upscale {
        mode: UpscaleMode::Creative,
    };
    let remix = Action::Remix {
        strength: Strength::Strong,
    };
    let blend = Action::Blend { shape: Shape::Square };
    let retexture = |prompt: &str| submission(JobRequest::new(Action::Retexture, prompt));
    for (submission, words) in [
        (draw("a fox --v 6.1"), "7 and 8.1"),
        (draw("a fox --niji 7"), "7 and 8.1"),
        (draw("a fox --relax"), "turbo"),
        (draw("a fox --v 7 --hd"), "8.1"),
        (draw("a fox --v 8.1 --hd --draft"), "HD"),
        (draw("--v 7"), "needs a text"),
        (draw(&"é".repeat(8_193)), "8192"),
        (submission(JobRequest::new(blend, "")), "imagine"),
        (
            follow_up(
                Action::Upscale {
                    mode: UpscaleMode::Cutout,
                },
                1,
                &seven,
            ),
            "upscale creative",
        ),
        (follow_up(creative, 1, &eight), "variation"),
        (
            follow_up(
                Action::Pan {
                    direction: Direction::Up,
                },
                1,
                &eight,
            ),
            "remix",
        ),
        (follow_up(creative, 1, &upscaled), "pan"),
        (follow_up(creative, 5, &seven), "counted 1 to 4"),
        (submission(JobRequest::new(creative, "")), "finished picture"),
        (
            with_prompt(follow_up(remix, 1, &seven), "a wolf --v 8.1"),
            "mj-v7",
        ),
        (
            with_prompt(follow_up(remix, 1, &eight), "a wolf --draft"),
            "draft",
        ),
        (retexture("glass --v 8.1 --hd"), "HD"),
    ] {
        refused_early(client, &submission, words).await;
    }
    let file = InputPicture::of(Bytes::from_static(b"GIF89a\x02\0\x03\0\0\0\0"), MediaType::Gif);
    let error = unsent(client, &retexture("of glass").with_pictures(vec![file], None)).await;
    assert!(error.failure.message.contains("links only"), "{error}");
}

#[tokio::test]
async fn refusals_are_told_from_lost_answers_row_by_row() {
    use FailureKind as K;
    let said = |code: &str, text: &str| json!({"error": {"code": code, "message": text}});
    let mut rows = plain_statuses();
    rows.extend([
        (
            400,
            said("invalid_request", "no such model"),
            no(K::InvalidPrompt),
        ),
        (400, said("invalid_parameter", "speed"), no(K::InvalidPrompt)),
        (400, said("content_moderation", "no"), no(K::Moderated)),
        (403, said("x", "sensitive content"), no(K::Moderated)),
        (401, said("unauthorized", "no key"), no(K::AccountBlocked)),
        (402, said("insufficient_credits", "no"), no(K::QuotaExhausted)),
        (403, said("forbidden", "no"), no(K::AccountBlocked)),
        (404, said("not_found", "no"), no(K::Unsupported)),
        (422, said("x", "no"), no(K::InvalidPrompt)),
        (429, said("rate_limited", "no"), later(K::RateLimited)),
        (500, said("x", "no"), lost(K::Transient)),
        (503, said("service_unavailable", "no"), lost(K::Transient)),
        (
            400,
            json!({"id": TASK, "error": {"code": "x"}}),
            lost(K::BadAnswer),
        ),
        (200, said("invalid_request", "no"), lost(K::BadAnswer)),
    ]);
    refuses(client, &imagine(), rows).await;
    let seven = parent("a fox --v 7", &[]);
    let vary = follow_up(Action::Variation { strength: None }, 1, &seven);
    refuses(
        client,
        &vary,
        vec![(404, said("not_found", "task"), no(K::LostAtUpstream))],
    )
    .await;
}

#[tokio::test]
async fn the_upstreams_words_and_its_wait_are_kept() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .respond_with(
            ResponseTemplate::new(429)
                .insert_header("retry-after", "7")
                .set_body_json(json!({"error": {"code": "rate", "message": "slow"}})),
        )
        .mount(&server)
        .await;
    let error = client(&server.uri()).submit(&imagine()).await.unwrap_err();
    assert_eq!(error.retry_after, Some(Duration::from_secs(7)));
    assert_eq!(error.failure.upstream_text.as_deref(), Some("rate: slow"));
}

#[tokio::test]
async fn a_task_says_how_it_is_doing() {
    use FailureKind as K;
    use RemoteStatus as S;
    let running = |progress| S::Running { progress };
    for (task, expected) in [
        (json!({"status": "pending", "progress": 0}), S::Waiting),
        (json!({"status": "processing", "progress": 45}), running(Some(45))),
        (
            json!({"status": "PROCESSING", "progress": "45"}),
            running(Some(45)),
        ),
        (json!({"status": "processing", "progress": 300}), running(None)),
        (json!({"status": "processing", "progress": {}}), running(None)),
        (json!({"status": "dreaming", "progress": 5}), running(Some(5))),
        (
            json!({"status": "completed", "progress": 100}),
            running(Some(100)),
        ),
        (json!({"status": "completed", "results": [""]}), running(None)),
        (json!({"status": "cancelled"}), S::Cancelled),
        (json!({"progress": 5}), running(Some(5))),
    ] {
        let mut whole = task.clone();
        whole["id"] = json!(TASK);
        assert_eq!(status(whole).await, expected, "{task}");
    }
    for (error, kind) in [
        (
            json!({"code": "invalid_request", "message": "no"}),
            K::InvalidPrompt,
        ),
        (
            json!({"code": "invalid_request", "message": "moderation"}),
            K::Moderated,
        ),
        (
            json!({"code": "x", "message": "Banned prompt detected"}),
            K::Moderated,
        ),
        (
            json!({"code": "service_unavailable", "message": ""}),
            K::Transient,
        ),
        (json!(null), K::Transient),
    ] {
        let task = json!({"id": TASK, "status": "failed", "error": error});
        let S::Failed(failure) = status(task).await else {
            panic!("{error}");
        };
        assert_eq!((failure.kind, failure.spent), (kind, Spent::Yes), "{error}");
    }
    reads_statuses(client, "id").await;
}

#[tokio::test]
async fn results_are_pictures_with_what_follows_from_them() {
    let url = |n: usize| format!("https://img.example/{n}.png");
    let result = async |model: &str, count: usize| {
        let links: Vec<_> = (0..count).map(url).collect();
        let task = json!({"id": TASK, "status": "completed", "model": model, "results": links});
        match status(task).await {
            RemoteStatus::Succeeded(result) => result,
            other => panic!("{other:?}"),
        }
    };
    for (count, kept) in [(1, 1), (3, 3), (4, 4), (24, 24), (60, 24)] {
        let images: Vec<_> = (0..kept)
            .map(|n| RemoteImage::new(url(n), ImageKind::Single, u8::try_from(n + 1).unwrap()))
            .collect();
        assert_eq!(result("mj-v7", count).await.images, images);
    }
    for (model, offers) in [
        (
            "mj-v7",
            vec![
                "mj-v7-upscale",
                "mj-v7-variation",
                "mj-v7-remix",
                "mj-v7-outpaint",
                "mj-v7-pan",
            ],
        ),
        (
            "mj-v7-upscale",
            vec!["mj-v7-variation", "mj-v7-remix", "mj-v7-outpaint", "mj-v7-pan"],
        ),
        ("mj-v8.1-remix", vec!["mj-v8.1-variation", "mj-v8.1-remix"]),
        ("another", vec![]),
    ] {
        let told: Vec<_> = result(model, 1)
            .await
            .actions
            .into_iter()
            .map(|offer| offer.id)
            .collect();
        assert_eq!(told, offers, "{model}");
    }
    let server = answering(200, json!({"id": TASK, "status": "pending"}).to_string()).await;
    client(&server.uri())
        .status(&UpstreamId::new(TASK))
        .await
        .unwrap();
    let requests = server.received_requests().await.unwrap();
    assert_eq!(requests[0].url.path(), format!("/v1/tasks/{TASK}"));
    assert_eq!(requests[0].headers["authorization"], format!("Bearer {CANARY}"));
}

#[tokio::test]
async fn what_the_upstream_lacks_is_said() {
    let client = client("http://127.0.0.1:9");
    let capabilities = client.capabilities();
    assert!(!capabilities.cancel && !capabilities.reconcile && !capabilities.seed);
    assert!(capabilities.callbacks);
    assert_eq!(capabilities.pictures, PictureForm::Link);
    let error = client.cancel(&UpstreamId::new(TASK)).await.unwrap_err();
    assert_eq!(error.failure.kind, FailureKind::Unsupported);
    assert_eq!(
        client.reconcile(&imagine()).await.unwrap(),
        Reconciliation::Unknown
    );
}

#[tokio::test]
async fn no_secret_is_shown() {
    shows_no_secret(client).await;
}

#[test]
fn a_callback_is_the_task_itself() {
    let body = json!({"id": TASK, "status": "processing", "progress": 31}).to_string();
    let callback = client("http://127.0.0.1:9")
        .parse_callback(body.as_bytes())
        .unwrap();
    assert_eq!(callback.upstream.as_str(), TASK);
    assert_eq!(callback.nonce, None);
    assert_eq!(callback.status, RemoteStatus::Running { progress: Some(31) });
}
