//! The `legnext` client against imitations of that upstream on loopback, over real HTTP.

#![expect(
    clippy::unwrap_used,
    clippy::too_many_lines,
    reason = "helpers of tests fail with the test; a table is as long as the facts are many"
)]

use std::time::Duration;

use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use midjourney_core::{
    client::{
        InputPicture, MidjourneyClient as _, Reconciliation, Submission,
        legnext::{DEFAULT_BASE_URL, LegNext, verify_signature},
    },
    error::Applied,
    image::{ImageKind, MediaType},
    job::{
        Action, Direction, FailureKind, InputImage, JobRequest, Motion, RemoteAction, RemoteImage,
        RemoteStatus, Shape, Spent, Strength, UpscaleMode, UpstreamId, Zoom,
    },
    key::Secret,
    net::BlockedAddress,
};
use serde_json::{Value, json};
use sha2::Sha256;
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::method};

use crate::partner::{
    CANARY, TASK, answering, anywhere, follow_up, imagine, later, lost, no, options, parent, plain_statuses,
    reads_statuses, refused_early, refuses, sent, shows_no_secret, submission, unsent, with_callback,
    with_prompt,
};

/// A picture of one pixel by two.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x02\x08\x06\0\0\0";

fn client(base: &str) -> LegNext {
    LegNext::new(options(base, Some(CANARY)))
}

fn accepted() -> String {
    json!({"job_id": TASK, "status": "pending", "task_type": "diffusion"}).to_string()
}

async fn status(task: Value) -> RemoteStatus {
    let server = answering(200, task.to_string()).await;
    client(&server.uri())
        .status(&UpstreamId::new(TASK))
        .await
        .unwrap()
}

fn at(url: &str) -> InputPicture {
    InputPicture::at(url)
}

#[tokio::test]
async fn an_imagine_is_sent_as_the_wire_has_it() {
    let server = answering(200, accepted()).await;
    let (submission, hook, _) = with_callback(imagine());
    let submission = submission.with_pictures(vec![at("https://cdn.example/a.png")], None);
    let id = client(&server.uri()).submit(&submission).await.unwrap();
    assert_eq!(id.as_str(), TASK);
    let requests = server.received_requests().await.unwrap();
    assert_eq!(requests[0].headers["x-api-key"], CANARY);
    let (path, body) = sent(&server).await;
    assert_eq!(path, "/v1/diffusion");
    assert_eq!(
        body,
        json!({"text": "https://cdn.example/a.png a red fox --ar 3:2", "callback": hook})
    );
    assert_eq!(DEFAULT_BASE_URL, "https://api.legnext.ai/api");
    let server = answering(200, accepted()).await;
    client(&format!("{}/api/", server.uri()))
        .submit(&imagine())
        .await
        .unwrap();
    assert_eq!(sent(&server).await.0, "/api/v1/diffusion");
}

#[tokio::test]
async fn every_action_has_its_verb_and_body() {
    let fox = parent("a fox", &[]).with_picture_size(Some((1024, 512)));
    let upscale = |mode| follow_up(Action::Upscale { mode }, 2, &fox);
    let vary = |strength| follow_up(Action::Variation { strength }, 4, &fox);
    let zoom = |zoom| follow_up(Action::Zoom { zoom }, 1, &fox);
    let pan = |direction| follow_up(Action::Pan { direction }, 1, &fox);
    let remix = |strength| with_prompt(follow_up(Action::Remix { strength }, 3, &fox), "a wolf");
    let bare = |action, prompt: &str| submission(JobRequest::new(action, prompt));
    let blend = |shape| {
        bare(Action::Blend { shape }, "").with_pictures(
            vec![at("https://cdn.example/a.png"), at("https://cdn.example/b.png")],
            None,
        )
    };
    let place = json!({"width": 1024, "height": 512, "x": 0, "y": 0});
    let rows: Vec<(Submission, &str, Value)> = vec![
        (
            upscale(UpscaleMode::Subtle),
            "upscale",
            json!({"jobId": TASK, "imageNo": 1, "type": 0}),
        ),
        (
            upscale(UpscaleMode::Creative),
            "upscale",
            json!({"jobId": TASK, "imageNo": 1, "type": 1}),
        ),
        (
            vary(None),
            "variation",
            json!({"jobId": TASK, "imageNo": 3, "type": 1}),
        ),
        (
            vary(Some(Strength::Subtle)),
            "variation",
            json!({"jobId": TASK, "imageNo": 3, "type": 0}),
        ),
        (
            vary(Some(Strength::Strong)),
            "variation",
            json!({"jobId": TASK, "imageNo": 3, "type": 1}),
        ),
        (
            with_prompt(vary(None), "a wolf"),
            "variation",
            json!({"jobId": TASK, "imageNo": 3, "type": 1, "remixPrompt": "a wolf"}),
        ),
        (
            follow_up(Action::Reroll, 0, &fox),
            "reroll",
            json!({"jobId": TASK}),
        ),
        (
            remix(Strength::Strong),
            "remix",
            json!({"jobId": TASK, "imageNo": 2, "mode": 1, "remixPrompt": "a wolf"}),
        ),
        (
            remix(Strength::Subtle),
            "remix",
            json!({"jobId": TASK, "imageNo": 2, "mode": 0, "remixPrompt": "a wolf"}),
        ),
        (
            zoom(Zoom::OneAndAHalf),
            "outpaint",
            json!({"jobId": TASK, "imageNo": 0, "scale": 1.5}),
        ),
        (
            zoom(Zoom::Double),
            "outpaint",
            json!({"jobId": TASK, "imageNo": 0, "scale": 2.0}),
        ),
        (
            zoom(Zoom::Custom(180)),
            "outpaint",
            json!({"jobId": TASK, "imageNo": 0, "scale": 1.8}),
        ),
        (
            pan(Direction::Up),
            "pan",
            json!({"jobId": TASK, "imageNo": 0, "direction": 0, "scale": 1.5}),
        ),
        (
            pan(Direction::Down),
            "pan",
            json!({"jobId": TASK, "imageNo": 0, "direction": 1, "scale": 1.5}),
        ),
        (
            pan(Direction::Left),
            "pan",
            json!({"jobId": TASK, "imageNo": 0, "direction": 2, "scale": 1.5}),
        ),
        (
            pan(Direction::Right),
            "pan",
            json!({"jobId": TASK, "imageNo": 0, "direction": 3, "scale": 1.5}),
        ),
        (
            with_mask(with_prompt(follow_up(Action::Edit, 1, &fox), "hills")),
            "edit",
            json!({"jobId": TASK, "imageNo": 0, "remixPrompt": "hills", "imgPos": place,
                "canvas": {"width": 1024, "height": 512}, "mask": {"url": "https://cdn.example/m.png"}}),
        ),
        (
            bare(Action::Retexture, "of glass").with_pictures(vec![at("https://cdn.example/a.png")], None),
            "retexture",
            json!({"imgUrl": "https://cdn.example/a.png", "remixPrompt": "of glass"}),
        ),
        (
            blend(Shape::Portrait),
            "blend",
            json!({"imgUrls": ["https://cdn.example/a.png", "https://cdn.example/b.png"], "aspect_ratio": "2:3"}),
        ),
        (
            blend(Shape::Square),
            "blend",
            json!({"imgUrls": ["https://cdn.example/a.png", "https://cdn.example/b.png"], "aspect_ratio": "1:1"}),
        ),
        (
            blend(Shape::Landscape),
            "blend",
            json!({"imgUrls": ["https://cdn.example/a.png", "https://cdn.example/b.png"], "aspect_ratio": "3:2"}),
        ),
        (
            bare(Action::Describe, "").with_pictures(vec![at("https://cdn.example/a.png")], None),
            "describe",
            json!({"imgUrl": "https://cdn.example/a.png"}),
        ),
        (
            follow_up(
                Action::Describe,
                1,
                &fox.clone()
                    .with_picture_url(Some("https://cdn.example/0.png".to_owned())),
            ),
            "describe",
            json!({"imgUrl": "https://cdn.example/0.png"}),
        ),
        (
            bare(Action::Shorten, "a very red fox"),
            "shorten",
            json!({"prompt": "a very red fox"}),
        ),
    ];
    for (submission, verb, body) in rows {
        let server = answering(200, accepted()).await;
        let client = client(&server.uri());
        client
            .check(&submission.request, submission.parent.as_ref())
            .unwrap();
        assert!(client.supports(submission.request.action));
        client.submit(&submission).await.unwrap();
        assert_eq!(sent(&server).await, (format!("/v1/{verb}"), body));
    }
    for action in Action::ALL {
        let without = matches!(
            action,
            Action::Upscale {
                mode: UpscaleMode::Cutout | UpscaleMode::Double | UpscaleMode::Quadruple
            } | Action::Zoom { zoom: Zoom::Square }
        );
        assert_eq!(
            client("http://127.0.0.1:9").supports(action),
            !without,
            "{action}"
        );
    }
}

fn with_mask(mut submission: Submission) -> Submission {
    let mask = "https://cdn.example/m.png";
    submission.request = submission
        .request
        .with_mask(Some(InputImage::Url(mask.to_owned())));
    let images = submission.images.clone();
    submission.with_pictures(images, Some(at(mask)))
}

#[tokio::test]
async fn videos_begin_with_a_picture_or_go_on_with_a_video() {
    let animate = |motion| Action::Animate { motion };
    let extend = |motion| Action::Extend { motion };
    let (low, high) = (Motion::Low, Motion::High);
    let fox = parent("a fox", &["video-diffusion:1"]);
    let film = parent("it runs", &[]).with_action(animate(high));
    let link = "https://cdn.example/a.png";
    let brought = submission(
        JobRequest::new(animate(low), "it runs").with_images(vec![InputImage::Url(link.to_owned())]),
    )
    .with_pictures(vec![at(link)], None);
    let offering = |offer| parent("it runs", &[offer]).with_action(extend(low));
    for (submission, verb, body) in [
        (
            follow_up(animate(low), 2, &fox),
            "video-diffusion",
            json!({"jobId": TASK, "imageNo": 1}),
        ),
        (
            with_prompt(follow_up(animate(high), 2, &fox), "it runs"),
            "video-diffusion",
            json!({"jobId": TASK, "imageNo": 1, "prompt": "it runs --motion high"}),
        ),
        (
            brought.clone(),
            "video-diffusion",
            json!({"prompt": "https://cdn.example/a.png it runs --motion low"}),
        ),
        // "`prompt` optional"
        (
            follow_up(extend(low), 4, &film),
            "extend-video",
            json!({"jobId": TASK, "videoNo": 3}),
        ),
        (
            follow_up(extend(high), 1, &offering("extend:0")),
            "extend-video",
            json!({"jobId": TASK, "videoNo": 0, "prompt": "--motion high"}),
        ),
        (
            with_prompt(follow_up(extend(low), 1, &offering("extend-video")), "it jumps"),
            "extend-video",
            json!({"jobId": TASK, "videoNo": 0, "prompt": "it jumps --motion low"}),
        ),
    ] {
        let server = answering(200, accepted()).await;
        let client = client(&server.uri());
        client
            .check(&submission.request, submission.parent.as_ref())
            .unwrap();
        client.submit(&submission).await.unwrap();
        assert_eq!(sent(&server).await, (format!("/v1/{verb}"), body));
    }
    for (submission, words) in [
        (
            submission(JobRequest::new(animate(low), "")),
            "picture to begin with",
        ),
        (follow_up(animate(low), 1, &fox), "video-diffusion:1"),
        (follow_up(extend(low), 1, &fox), "from a video"),
        (follow_up(extend(low), 5, &film), "counted 1 to 4"),
        (follow_up(extend(low), 2, &offering("extend:0")), "extend:0"),
        (follow_up(animate(low), 1, &film), "not from a video"),
        (follow_up(Action::Describe, 1, &film), "not from a video"),
    ] {
        refused_early(client, &submission, words).await;
    }
    unsent(client, &brought.with_pictures(Vec::new(), None)).await;
}

#[tokio::test]
async fn an_inpaint_is_a_form_with_the_mask_as_a_file() {
    let fox = parent("a fox", &[]);
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(200).set_body_string(accepted()))
        .mount(&server)
        .await;
    Mock::given(method("GET"))
        .respond_with(ResponseTemplate::new(200).set_body_bytes(PNG))
        .mount(&server)
        .await;
    let (submission, hook, _) = with_callback(with_prompt(follow_up(Action::Inpaint, 2, &fox), "a hat"));
    let submission = with_mask(submission);
    for mask in [
        InputPicture::of(Bytes::from_static(PNG), MediaType::Png),
        at(&format!("{}/m.png", server.uri())),
    ] {
        let submission = submission.clone().with_pictures(Vec::new(), Some(mask));
        LegNext::new(anywhere(&server.uri(), CANARY))
            .submit(&submission)
            .await
            .unwrap();
        let requests = server.received_requests().await.unwrap();
        let request = requests.last().unwrap();
        assert_eq!(
            (request.method.as_str(), request.url.path()),
            ("POST", "/v1/inpaint")
        );
        let mark = submission.nonce.as_str();
        assert_eq!(
            request.headers["content-type"],
            format!("multipart/form-data; boundary={mark}")
        );
        let part = |name: &str, value: &str| {
            format!("--{mark}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
        };
        let head = [
            part("callback", &hook),
            part("imageNo", "1"),
            part("jobId", TASK),
            part("remixPrompt", "a hat"),
            format!(
                "--{mark}\r\nContent-Disposition: form-data; name=\"mask\"; filename=\"mask.png\"\r\n\
                 Content-Type: image/png\r\n\r\n"
            ),
        ]
        .concat();
        let whole = [head.as_bytes(), PNG, format!("\r\n--{mark}--\r\n").as_bytes()].concat();
        assert_eq!(request.body, whole);
    }
    let gif = InputPicture::of(Bytes::from_static(b"GIF89a\x02\0\x03\0\0\0\0"), MediaType::Gif);
    for mask in [Some(gif), None] {
        let submission = submission.clone().with_pictures(Vec::new(), mask);
        let error = unsent(client, &submission).await;
        assert_eq!(error.failure.kind, FailureKind::InvalidPrompt);
    }
}

#[tokio::test]
async fn an_edit_of_a_picture_that_comes_along_tells_its_size() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(200).set_body_string(accepted()))
        .mount(&server)
        .await;
    Mock::given(method("GET"))
        .respond_with(ResponseTemplate::new(200).set_body_bytes(PNG))
        .mount(&server)
        .await;
    let url = format!("{}/a.png", server.uri());
    let edit = with_mask(submission(JobRequest::new(Action::Edit, "hills")));
    let mask = edit.mask.clone();
    let known = InputPicture::of(Bytes::from_static(PNG), MediaType::Png).with_url(Some(url.clone()));
    for picture in [at(&url), known] {
        let edit = edit.clone().with_pictures(vec![picture], mask.clone());
        LegNext::new(anywhere(&server.uri(), CANARY))
            .submit(&edit)
            .await
            .unwrap();
        let requests = server.received_requests().await.unwrap();
        let request = requests.last().unwrap();
        assert_eq!(request.url.path(), "/v1/upload-paint");
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!(
            body,
            json!({"imgUrl": url, "remixPrompt": "hills", "mask": {"url": "https://cdn.example/m.png"},
                "canvas": {"width": 1, "height": 2}, "imgPos": {"width": 1, "height": 2, "x": 0, "y": 0}})
        );
    }
}

/// A link in a request must not have us call what only we can reach, be it the upstream that we are to call.
#[tokio::test]
async fn a_link_that_comes_with_a_request_leads_to_no_private_upstream() {
    let fox = parent("a fox", &[]);
    let server = answering(200, PNG).await;
    let link = || at(&format!("{}/a.png", server.uri()));
    let edit = with_mask(submission(JobRequest::new(Action::Edit, "hills")));
    let mask = edit.mask.clone();
    let inpaint = with_mask(with_prompt(follow_up(Action::Inpaint, 2, &fox), "a hat"));
    for submission in [
        edit.with_pictures(vec![link()], mask),
        inpaint.with_pictures(Vec::new(), Some(link())),
    ] {
        let error = client(&server.uri()).submit(&submission).await.unwrap_err();
        assert!(BlockedAddress::find(&error).is_some(), "{error:?}");
        assert_eq!((error.applied, error.retry), (Applied::No, false), "{error:?}");
        assert!(server.received_requests().await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn what_cannot_be_is_refused_before_anything_is_sent() {
    let fox = parent("a fox", &[]);
    let eight = parent("a fox --v 8.1", &[]);
    let told = parent("a fox", &["upscale:0", "upscale:1", "edit:0"]);
    let cut = Action::Upscale {
        mode: UpscaleMode::Cutout,
    };
    let creative = Action::Upscale {
        mode: UpscaleMode::Creative,
    };
    let left = Action::Pan {
        direction: Direction::Left,
    };
    for (submission, words) in [
        (follow_up(cut, 1, &fox), "upscale creative"),
        (follow_up(Action::Zoom { zoom: Zoom::Square }, 1, &fox), "zoom 2x"),
        (
            follow_up(
                Action::Zoom {
                    zoom: Zoom::Custom(101),
                },
                1,
                &fox,
            ),
            "zoom 1.5x",
        ),
        (follow_up(creative, 0, &fox), "counted 1 to 4"),
        (follow_up(creative, 5, &fox), "counted 1 to 4"),
        (follow_up(creative, 3, &told), "upscale:1"),
        (follow_up(left, 1, &told), "upscale:0"),
        (follow_up(left, 1, &eight), "variation"),
        (
            with_prompt(follow_up(Action::Reroll, 0, &fox), "a wolf"),
            "imagine",
        ),
        (with_prompt(follow_up(Action::Edit, 1, &fox), "hills"), "mask"),
        (submission(JobRequest::imagine("")), "needs a text"),
        (submission(JobRequest::imagine("é".repeat(8_193))), "8192"),
        (submission(JobRequest::new(creative, "a fox")), "finished picture"),
    ] {
        refused_early(client, &submission, words).await;
    }
    client("http://127.0.0.1:9")
        .check(&follow_up(creative, 2, &told).request, Some(&told))
        .unwrap();
    // These are seen only with the pictures at hand.
    let file = InputPicture::of(Bytes::from_static(PNG), MediaType::Png);
    let describe = submission(JobRequest::new(Action::Describe, ""));
    let retexture = submission(JobRequest::new(Action::Retexture, "of glass"));
    for submission in [
        describe.clone().with_pictures(vec![file], None),
        follow_up(Action::Describe, 1, &fox),
        with_mask(with_prompt(follow_up(Action::Edit, 1, &fox), "hills")),
        retexture.with_pictures(
            vec![at(&format!("https://cdn.example/{}", "x".repeat(1_024)))],
            None,
        ),
        imagine().with_pictures(
            vec![at(&format!("https://cdn.example/{}", "x".repeat(8_192)))],
            None,
        ),
    ] {
        unsent(client, &submission).await;
    }
}

#[tokio::test]
async fn refusals_are_told_from_lost_answers_row_by_row() {
    use FailureKind as K;
    let flat =
        |code: u16, text: &str| json!({"code": code, "message": text, "raw_message": "", "detail": null});
    let nested = |code: u16, text: &str| json!({"error": {"code": code, "message": text}});
    let mut rows = plain_statuses();
    rows.extend([
        (400, flat(400, "bad"), no(K::InvalidPrompt)),
        (400, nested(400, "Banned prompt detected"), no(K::Moderated)),
        (400, flat(400, "Invalid parameter"), no(K::InvalidPrompt)),
        (401, flat(401, "no key"), no(K::AccountBlocked)),
        (402, nested(402, "no points"), no(K::QuotaExhausted)),
        (403, flat(403, "sensitive"), no(K::Moderated)),
        (403, nested(403, "no"), no(K::Moderated)),
        (404, flat(404, "no route"), no(K::Unsupported)),
        (422, flat(422, "min_length"), no(K::InvalidPrompt)),
        (429, nested(429, "slow down"), later(K::RateLimited)),
        (500, flat(500, "broken"), lost(K::Transient)),
        (503, nested(503, "broken"), lost(K::Transient)),
        // Both a refusal and a task.
        (400, json!({"job_id": TASK, "message": "bad"}), lost(K::BadAnswer)),
        (200, flat(400, "bad"), lost(K::BadAnswer)),
    ]);
    refuses(client, &imagine(), rows).await;
    let fox = parent("a fox", &[]);
    refuses(
        client,
        &follow_up(Action::Reroll, 0, &fox),
        vec![(404, flat(404, "no job"), no(K::LostAtUpstream))],
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
                .set_body_json(json!({"error": {"message": "slow", "raw_message": "down"}})),
        )
        .mount(&server)
        .await;
    let error = client(&server.uri()).submit(&imagine()).await.unwrap_err();
    assert_eq!(error.retry_after, Some(Duration::from_secs(7)));
    assert_eq!(error.failure.upstream_text.as_deref(), Some("slow: down"));
}

#[tokio::test]
async fn a_task_says_how_it_is_doing() {
    use RemoteStatus as S;
    let task = |status: &str| json!({"job_id": TASK, "task_type": "diffusion", "status": status});
    let running = S::Running { progress: None };
    for (word, expected) in [
        ("pending", S::Waiting),
        ("staged", S::Waiting),
        ("PENDING", S::Waiting),
        ("processing", running.clone()),
        // Links may follow.
        ("completed", running.clone()),
        ("", running.clone()),
    ] {
        assert_eq!(status(task(word)).await, expected, "{word}");
    }
    let empty = json!({"job_id": TASK, "status": "completed", "output": {"image_url": "", "image_urls": ["", ""], "description": "x"}});
    assert_eq!(status(empty).await, running);
    for (error, kind) in [
        (
            json!({"code": 1, "message": "Banned prompt detected", "raw_message": ""}),
            FailureKind::Moderated,
        ),
        (json!({"code": 1, "message": "x"}), FailureKind::Transient),
        (json!(null), FailureKind::Transient),
        (json!("odd"), FailureKind::Transient),
    ] {
        let task = json!({"job_id": TASK, "status": "failed", "error": error});
        let S::Failed(failure) = status(task).await else {
            panic!("not failed");
        };
        assert_eq!((failure.kind, failure.spent), (kind, Spent::Yes), "{error}");
    }
    reads_statuses(client, "job_id").await;
}

#[tokio::test]
async fn pictures_offers_and_texts_are_read() {
    let result = async |extra: Value| {
        let mut task = json!({"job_id": TASK, "status": "completed", "task_type": "diffusion"});
        task.as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        match status(task).await {
            RemoteStatus::Succeeded(result) => result,
            other => panic!("{other:?}"),
        }
    };
    let url = |name: &str| format!("https://img.example/{name}.png");
    let single = |name: &str, index| RemoteImage::new(url(name), ImageKind::Single, index);
    let grid = || RemoteImage::new(url("grid"), ImageKind::Grid, 0);
    let full = result(json!({"output": {
        "image_url": url("grid"), "image_urls": [url("0"), url("1"), url("2"), url("3")], "seed": "123",
        "available_actions": {"upscale": [0, "1"], "video_diffusion": [], "odd": 7},
    }}))
    .await;
    assert_eq!(
        full.images,
        [
            single("0", 1),
            single("1", 2),
            single("2", 3),
            single("3", 4),
            grid()
        ]
    );
    assert_eq!(full.seed, Some(123));
    let offer = |id: &str, label: &str| RemoteAction::new(id, label);
    assert_eq!(
        full.actions,
        [
            offer("odd", "odd"),
            offer("upscale:0", "upscale 1"),
            offer("upscale:1", "upscale 2"),
            offer("video-diffusion", "video-diffusion"),
        ]
    );
    for (output, images) in [
        // A picture that was removed leaves its place.
        (
            json!({"image_urls": [url("0"), "", url("2"), 7]}),
            vec![single("0", 1), single("2", 3)],
        ),
        (json!({"image_url": url("grid")}), vec![grid()]),
        (
            json!({"image_url": url("a"), "image_urls": [url("a")]}),
            vec![single("a", 1)],
        ),
        (
            json!({"image_urls": [url("a"), "file:///etc/passwd"]}),
            vec![single("a", 1)],
        ),
    ] {
        assert_eq!(result(json!({"output": output})).await.images, images, "{output}");
    }
    let film = |name: &str| format!("https://img.example/{name}.mp4");
    let moving = |name: &str, index| RemoteImage::new(film(name), ImageKind::Single, index);
    for verb in ["video-diffusion", "extend_video"] {
        let output = json!({"image_url": url("cover"), "video_urls": [film("0"), "", film("2")],
            "available_actions": {"extend": [0, 2]}});
        let read = result(json!({"task_type": verb, "output": output})).await;
        assert_eq!(read.images, [moving("0", 1), moving("2", 3)], "{verb}");
        assert_eq!(
            read.actions,
            [offer("extend:0", "extend 1"), offer("extend:2", "extend 3")]
        );
    }
    // What shows how a video begins is no video.
    let early = json!({"job_id": TASK, "status": "completed", "task_type": "video_diffusion",
        "output": {"image_url": url("cover"), "video_urls": [""]}});
    assert_eq!(status(early).await, RemoteStatus::Running { progress: None });
    let up = json!({"task_type": "upscale", "output": {"image_url": url("u")}});
    assert_eq!(result(up).await.images, [single("u", 1)]);
    for (verb, output, texts) in [
        (
            "describe",
            json!({"prompts": ["a", "", "b"], "description": "c"}),
            vec!["a", "b"],
        ),
        (
            "describe",
            json!({"description": "c", "promptEn": "d"}),
            vec!["c"],
        ),
        ("shorten", json!({"finalPrompt": "f", "promptEn": "d"}), vec!["f"]),
        ("shorten", json!({"promptEn": "d", "prompts": null}), vec!["d"]),
    ] {
        let read = result(json!({"task_type": verb, "output": output})).await;
        assert_eq!(read.texts, texts, "{verb} {output}");
        assert!(read.images.is_empty());
    }
}

#[tokio::test]
async fn the_seed_is_asked_for() {
    let fox = parent("a fox", &[]);
    for (output, seed) in [
        (json!({"seed": "123"}), Some(123)),
        (json!({"seed": 7}), Some(7)),
        (json!({}), None),
        (json!({"seed": "x"}), None),
    ] {
        let task = json!({"job_id": TASK, "status": "completed", "output": output});
        let server = answering(200, task.to_string()).await;
        assert_eq!(client(&server.uri()).seed(&fox).await.unwrap(), seed);
        let requests = server.received_requests().await.unwrap();
        assert_eq!(requests[0].url.path(), format!("/v1/job/{TASK}"));
        assert_eq!(requests[0].headers["x-api-key"], CANARY);
    }
}

#[tokio::test]
async fn what_the_upstream_lacks_is_said() {
    let client = client("http://127.0.0.1:9");
    let capabilities = client.capabilities();
    assert!(!capabilities.cancel && !capabilities.reconcile && !capabilities.idempotent_submit);
    assert!(capabilities.callbacks && capabilities.seed);
    let error = client.cancel(&UpstreamId::new(TASK)).await.unwrap_err();
    assert_eq!(error.failure.kind, FailureKind::Unsupported);
    assert_eq!(
        client.reconcile(&imagine()).await.unwrap(),
        Reconciliation::Unknown
    );
    let keyless = LegNext::new(options("http://127.0.0.1:9", None));
    let error = keyless.submit(&imagine()).await.unwrap_err();
    assert_eq!(error.failure.kind, FailureKind::AccountBlocked);
}

#[tokio::test]
async fn no_secret_is_shown() {
    shows_no_secret(client).await;
}

#[test]
fn a_callback_is_the_task_itself() {
    let body = json!({"job_id": TASK, "status": "processing"}).to_string();
    let callback = client("http://127.0.0.1:9")
        .parse_callback(body.as_bytes())
        .unwrap();
    assert_eq!(callback.upstream.as_str(), TASK);
    assert_eq!(callback.nonce, None);
    assert_eq!(callback.status, RemoteStatus::Running { progress: None });
}

#[test]
fn a_signature_proves_the_sender() {
    let secret = Secret::new("whsec-1");
    let body = br#"{"job_id":"1"}"#;
    let sign = |secret: &str, signed: &[u8]| {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(signed);
        let bytes = mac.finalize().into_bytes();
        bytes
            .iter()
            .fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
    };
    let bare = sign("whsec-1", body);
    let timed = sign("whsec-1", br#"1767225600.{"job_id":"1"}"#);
    // Computed by Python's `hmac`, as the vendor's verifier does it.
    assert_eq!(bare, BARE);
    assert_eq!(timed, TIMED);
    for (signature, timestamp, holds) in [
        (&*bare, None, true),
        (&*bare, Some(""), true),
        (&*timed, Some("1767225600"), true),
        // The time is part of what is signed: neither another nor none at all passes.
        (&*timed, Some("1767225601"), false),
        (&*timed, None, false),
        (&*bare, Some("1767225600"), false),
        (&*sign("whsec-2", body), None, false),
        (&*sign("whsec-1", b"{}"), None, false),
        (&bare[..63], None, false),
        (&*bare.to_uppercase(), None, false),
        ("", None, false),
        ("é", None, false),
    ] {
        assert_eq!(
            verify_signature(&secret, body, signature, timestamp),
            holds,
            "{signature} {timestamp:?}"
        );
    }
    assert!(!verify_signature(&Secret::new(""), body, &sign("", body), None));
}

const BARE: &str = "a099ff58bf50dd79cb64a47ef6c0679de19182fefbaa8f2792b6c8d60c5bda2d";
const TIMED: &str = "2bc34f76fd3a4944734b68000b5a3730a0ef9c236f7df3d61dea878aa873ef84";
