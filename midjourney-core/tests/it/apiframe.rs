//! The `apiframe` client against imitations of that upstream on loopback, over real HTTP.

#![expect(clippy::too_many_lines, reason = "a table is as long as the facts are many")]

use midjourney_core::{
    client::{
        InputPicture, Submission,
        apiframe::{ApiFrame, DEFAULT_BASE_URL, WEBHOOK_HEADER, is_from_upstream},
    },
    image::ImageKind,
    job::{
        Action, Direction, FailureKind, InputImage, JobRequest, PictureForm, RemoteImage, RemoteStatus,
        Shape, Spent, Strength, UpscaleMode, UpstreamId, Zoom,
    },
    key::Secret,
};
use serde_json::{Value, json};

use crate::upstream::{
    self, CUTOUT, Fate, ID, Make, answering, client, file, follow_up, hooked, imagine, parent, sent,
    status_at, submission, submits_end_so,
};

const MAKE: Make = |options| Box::new(ApiFrame::new(options));

fn accepted() -> String {
    json!({"task_id": ID}).to_string()
}

async fn sends(submission: &Submission, route: &str, body: Value) {
    let (_, sent_to, sent) = sent(MAKE, submission, &accepted()).await;
    assert_eq!(
        (sent_to.as_str(), sent),
        (route, body),
        "{}",
        submission.request.action
    );
}

#[tokio::test]
async fn the_form_and_the_speed_are_fields() {
    assert_eq!(DEFAULT_BASE_URL, "https://api.apiframe.pro");
    for (prompt, body) in [
        ("a red fox", json!({"prompt": "a red fox"})),
        (
            "https://cdn.example/a.png a red fox --ar 3:2 --v 7 --turbo",
            json!({"prompt": "https://cdn.example/a.png a red fox --v 7", "aspect_ratio": "3:2", "process_mode": "turbo"}),
        ),
        ("a fox --fast", json!({"prompt": "a fox", "process_mode": "fast"})),
        (
            "a fox --operators-own --ar 3:2",
            json!({"prompt": "a fox --operators-own --ar 3:2"}),
        ),
    ] {
        sends(&submission(JobRequest::imagine(prompt)), "POST /imagine", body).await;
    }
    let relaxed = JobRequest::imagine("a fox --relax");
    let failure = client(MAKE, DEFAULT_BASE_URL).check(&relaxed, None).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unsupported);
    assert!(failure.message.contains("--relax"), "{failure}");
}

#[tokio::test]
async fn a_webhook_gets_a_secret_that_can_be_checked() {
    let (submission, hook) = hooked(imagine());
    let (request, _, body) = sent(MAKE, &submission, &accepted()).await;
    assert_eq!(request.headers["authorization"], upstream::CANARY);
    assert_eq!(request.headers["content-type"], "application/json");
    let secret = body["webhook_secret"].as_str().unwrap();
    assert_eq!(
        body,
        json!({"prompt": "a red fox", "webhook_url": hook, "webhook_secret": secret})
    );
    assert_eq!(WEBHOOK_HEADER, "x-webhook-secret");
    assert!(is_from_upstream(&Secret::new(hook.clone()), secret));
    assert!(!is_from_upstream(&Secret::new(hook), &secret[1..]));
}

#[tokio::test]
async fn each_action_has_a_route() {
    let grid = parent(Action::Imagine, "a fox --ar 3:2 --v 7 --fast", &[]);
    let single = grid.clone().with_action(CUTOUT);
    let old = parent(CUTOUT, "a fox --v 5.2", &[]);
    let up = |mode| Action::Upscale { mode };
    let vary = |strength| Action::Variation { strength };
    let zoom = |zoom| Action::Zoom { zoom };
    let pan = |direction| Action::Pan { direction };
    let prompt = "a fox --v 7";
    for (action, parent, index, route, mut body) in [
        (CUTOUT, &grid, 3, "POST /upscale-1x", json!({"index": "3"})),
        (
            up(UpscaleMode::Subtle),
            &single,
            1,
            "POST /upscale-alt",
            json!({"type": "subtle"}),
        ),
        (
            up(UpscaleMode::Creative),
            &single,
            1,
            "POST /upscale-alt",
            json!({"type": "creative"}),
        ),
        (
            up(UpscaleMode::Double),
            &old,
            1,
            "POST /upscale-highres",
            json!({"type": "2x"}),
        ),
        (
            up(UpscaleMode::Quadruple),
            &old,
            1,
            "POST /upscale-highres",
            json!({"type": "4x"}),
        ),
        (
            vary(None),
            &grid,
            4,
            "POST /variations",
            json!({"index": "4", "prompt": prompt}),
        ),
        (
            vary(None),
            &single,
            1,
            "POST /variations",
            json!({"index": "strong", "prompt": prompt}),
        ),
        (
            vary(Some(Strength::Subtle)),
            &single,
            1,
            "POST /variations",
            json!({"index": "subtle", "prompt": prompt}),
        ),
        (
            vary(Some(Strength::Strong)),
            &single,
            1,
            "POST /variations",
            json!({"index": "strong", "prompt": prompt}),
        ),
        (
            Action::Reroll,
            &grid,
            0,
            "POST /reroll",
            json!({"prompt": prompt, "aspect_ratio": "3:2"}),
        ),
        (
            zoom(Zoom::OneAndAHalf),
            &single,
            1,
            "POST /outpaint",
            json!({"zoom_ratio": 1.5, "aspect_ratio": "3:2", "prompt": prompt}),
        ),
        (
            zoom(Zoom::Double),
            &single,
            1,
            "POST /outpaint",
            json!({"zoom_ratio": 2.0, "aspect_ratio": "3:2", "prompt": prompt}),
        ),
        (
            zoom(Zoom::Custom(125)),
            &single,
            1,
            "POST /outpaint",
            json!({"zoom_ratio": 1.25, "aspect_ratio": "3:2", "prompt": prompt}),
        ),
        (
            zoom(Zoom::Square),
            &single,
            1,
            "POST /outpaint",
            json!({"zoom_ratio": 1.0, "aspect_ratio": "1:1", "prompt": prompt}),
        ),
        (
            pan(Direction::Left),
            &single,
            1,
            "POST /pan",
            json!({"direction": "left", "prompt": prompt}),
        ),
        (
            pan(Direction::Right),
            &single,
            1,
            "POST /pan",
            json!({"direction": "right", "prompt": prompt}),
        ),
        (
            pan(Direction::Up),
            &single,
            1,
            "POST /pan",
            json!({"direction": "up", "prompt": prompt}),
        ),
        (
            pan(Direction::Down),
            &single,
            1,
            "POST /pan",
            json!({"direction": "down", "prompt": prompt}),
        ),
    ] {
        body["parent_task_id"] = json!("parent-1");
        sends(&follow_up(action, index, parent), route, body).await;
    }
    let mut reroll = follow_up(Action::Reroll, 1, &grid);
    reroll.request.prompt = "a hare".to_owned();
    let body = json!({"parent_task_id": "parent-1", "prompt": "a hare"});
    sends(&reroll, "POST /reroll", body).await;
    let mut inpaint = follow_up(Action::Inpaint, 1, &single).with_pictures(Vec::new(), Some(file()));
    inpaint.request.prompt = "a hat".to_owned();
    let body = json!({"parent_task_id": "parent-1", "mask": "cG5n", "prompt": "a hat"});
    sends(&inpaint, "POST /inpaint", body).await;
}

#[tokio::test]
async fn pictures_are_links() {
    let link = |n: u8| InputPicture::at(format!("https://a/{n}.png"));
    let with = |action, prompt: &str, pictures: Vec<InputPicture>| {
        let inputs = pictures
            .iter()
            .map(|_| InputImage::Url("https://a/1.png".to_owned()))
            .collect();
        submission(JobRequest::new(action, prompt).with_images(inputs)).with_pictures(pictures, None)
    };
    for (shape, dimension) in [
        (Shape::Portrait, "portrait"),
        (Shape::Square, "square"),
        (Shape::Landscape, "landscape"),
    ] {
        sends(
            &with(Action::Blend { shape }, "", vec![link(1), link(2)]),
            "POST /blend",
            json!({"image_urls": ["https://a/1.png", "https://a/2.png"], "dimension": dimension}),
        )
        .await;
    }
    sends(
        &with(Action::Describe, "", vec![link(1)]),
        "POST /describe",
        json!({"image_url": "https://a/1.png"}),
    )
    .await;
    let parent = parent(CUTOUT, "a fox", &[]).with_picture_url(Some("https://p/1.png".to_owned()));
    sends(
        &follow_up(Action::Describe, 1, &parent),
        "POST /describe",
        json!({"image_url": "https://p/1.png"}),
    )
    .await;
    sends(
        &with(Action::Imagine, "a fox", vec![link(1)]),
        "POST /imagine",
        json!({"prompt": "https://a/1.png a fox"}),
    )
    .await;
    let client = client(MAKE, "http://127.0.0.1:9");
    assert_eq!(client.capabilities().pictures, PictureForm::Link);
    assert_eq!(client.capabilities().mask, PictureForm::Bytes);
    for submission in [
        with(Action::Describe, "", vec![file()]),
        with(Action::Imagine, "a fox", vec![file()]),
        follow_up(Action::Inpaint, 1, &parent),
    ] {
        let error = client.submit(&submission).await.unwrap_err();
        assert_eq!(error.failure.kind, FailureKind::Unsupported);
    }
    assert!(
        client
            .check(&JobRequest::new(Action::Describe, ""), None)
            .is_err()
    );
}

#[tokio::test]
async fn what_cannot_work_is_refused_before_it_costs() {
    let client = client(MAKE, DEFAULT_BASE_URL);
    let missing: Vec<String> = Action::ALL
        .into_iter()
        .filter(|action| !client.supports(*action))
        .map(|action| action.to_string())
        .collect();
    assert_eq!(
        missing,
        [
            "remix subtle",
            "remix strong",
            "edit",
            "retexture",
            "shorten",
            "animate low",
            "animate high",
            "extend low"
        ]
    );
    let grid = parent(Action::Imagine, "a fox --v 8.2", &[]);
    let single = parent(CUTOUT, "a fox --v 8.2", &[]);
    let subtle = Some(Strength::Subtle);
    for (action, parent, index, says) in [
        (CUTOUT, &single, 1, "cut out already"),
        (CUTOUT, &grid, 5, "no picture 5"),
        (
            Action::Upscale {
                mode: UpscaleMode::Subtle,
            },
            &grid,
            1,
            "cut one out first",
        ),
        (
            Action::Upscale {
                mode: UpscaleMode::Double,
            },
            &single,
            1,
            "the subtle and the creative",
        ),
        (
            Action::Variation { strength: subtle },
            &grid,
            1,
            "leave the strength out",
        ),
        (Action::Reroll, &single, 1, "a variation of it can"),
        (
            Action::Zoom { zoom: Zoom::Double },
            &single,
            1,
            "version 8.2 has no zoom 2x",
        ),
        (Action::Inpaint, &grid, 1, "cut one out first"),
    ] {
        let submission = follow_up(action, index, parent);
        let failure = client
            .check(&submission.request, submission.parent.as_ref())
            .unwrap_err();
        assert_eq!(failure.kind, FailureKind::Unsupported);
        assert!(failure.message.contains(says), "{action}: {failure}");
    }
    let seven = parent(CUTOUT, "a fox --v 7", &[]);
    let too_far = follow_up(
        Action::Zoom {
            zoom: Zoom::Custom(300),
        },
        1,
        &seven,
    );
    assert!(client.check(&too_far.request, too_far.parent.as_ref()).is_err());
    let mut other = follow_up(CUTOUT, 1, &grid);
    other.request.prompt = "another".to_owned();
    let failure = client.check(&other.request, other.parent.as_ref()).unwrap_err();
    assert!(failure.message.contains("no prompt of its own"), "{failure}");
}

#[tokio::test]
async fn refusals_row_by_row() {
    use FailureKind as K;
    use Fate::{Lost, NotNow, Refused};
    let say = |message: &str| json!({"errors": [{"msg": message}]}).to_string();
    submits_end_so(
        MAKE,
        vec![
            (400, say("Invalid value"), K::InvalidPrompt, Refused),
            (400, say("Banned prompt detected"), K::Moderated, Refused),
            (400, say("Queue full"), K::QueueFull, Refused),
            (401, "{}".to_owned(), K::AccountBlocked, Refused),
            (402, "{}".to_owned(), K::QuotaExhausted, Refused),
            (404, "<html>".to_owned(), K::Unsupported, Refused),
            (405, String::new(), K::Unsupported, Refused),
            (413, String::new(), K::InvalidPrompt, Refused),
            (308, String::new(), K::BadAnswer, Refused),
            (429, String::new(), K::RateLimited, NotNow),
            (400, "{}".to_owned(), K::BadAnswer, Lost),
            (400, "<html>".to_owned(), K::BadAnswer, Lost),
            (
                400,
                json!({"errors": [{"msg": ""}]}).to_string(),
                K::BadAnswer,
                Lost,
            ),
            (400, accepted(), K::BadAnswer, Lost),
            (200, say("Invalid value"), K::BadAnswer, Lost),
            (408, String::new(), K::BadAnswer, Lost),
            (409, say("x"), K::BadAnswer, Lost),
            (302, String::new(), K::BadAnswer, Lost),
            (500, "{}".to_owned(), K::Transient, Lost),
            (500, say("Invalid value"), K::Transient, Lost),
            (502, "<html>".to_owned(), K::Transient, Lost),
            (504, String::new(), K::Transient, Lost),
        ],
    )
    .await;
}

fn task(extra: Value) -> Value {
    upstream::with(json!({"task_id": ID, "task_type": "imagine"}), extra)
}

#[tokio::test]
async fn what_a_task_says() {
    use RemoteStatus as S;
    let running = |progress| S::Running { progress };
    let server = answering(200, task(json!({})).to_string()).await;
    client(MAKE, &server.uri())
        .status(&UpstreamId::new(ID))
        .await
        .unwrap();
    let requests = server.received_requests().await.unwrap();
    assert_eq!(
        (requests[0].method.as_str(), requests[0].url.path()),
        ("POST", "/fetch")
    );
    assert_eq!(
        serde_json::from_slice::<Value>(&requests[0].body).unwrap(),
        json!({"task_id": ID})
    );
    for (task, status) in [
        (task(json!({"status": "staged"})), S::Waiting),
        (
            task(json!({"status": "processing", "percentage": 40})),
            running(Some(40)),
        ),
        (
            task(json!({"status": "processing", "progress": "7%"})),
            running(Some(7)),
        ),
        // A preview is no result.
        (
            task(json!({"status": "processing", "original_image_url": "https://cdn/p.png"})),
            running(None),
        ),
        (task(json!({"status": "dreaming"})), running(None)),
        (task(json!({})), running(None)),
        (task(json!({"image_urls": []})), running(None)),
        (
            task(json!({"original_image_url": "file:///etc/passwd", "image_urls": [7, "data:,x"]})),
            running(None),
        ),
        (
            task(json!({"task_type": "describe", "content": [""]})),
            running(None),
        ),
        (task(json!({"status": "cancelled"})), S::Cancelled),
    ] {
        assert_eq!(
            status_at(MAKE, 200, task.to_string()).await.unwrap(),
            status,
            "{task}"
        );
    }
    assert_eq!(status_at(MAKE, 404, "").await.unwrap(), S::Missing);
    let other = json!({"task_id": "other", "image_urls": ["https://cdn/1.png"]}).to_string();
    let error = status_at(MAKE, 200, other).await.unwrap_err();
    assert_eq!(error.failure.kind, FailureKind::BadAnswer);
    upstream::polls_end_so(
        MAKE,
        &[
            (401, FailureKind::AccountBlocked, false),
            (429, FailureKind::RateLimited, true),
            (400, FailureKind::BadAnswer, true),
            (302, FailureKind::BadAnswer, true),
            (500, FailureKind::Transient, true),
        ],
    )
    .await;
}

#[tokio::test]
async fn failures_row_by_row() {
    use FailureKind as K;
    for (extra, kind, words) in [
        (
            json!({"status": "failed", "message": "[Banned prompt detected] x"}),
            K::Moderated,
            "[Banned prompt detected] x",
        ),
        (
            json!({"status": "FAILED", "errors": [{"msg": "Invalid parameter"}]}),
            K::InvalidPrompt,
            "Invalid parameter",
        ),
        (json!({"status": "error", "message": "new"}), K::Transient, "new"),
        (json!({"status": "failed"}), K::Transient, ""),
        (
            json!({"errors": [{"msg": "a"}, {"msg": "b"}]}),
            K::Transient,
            "a; b",
        ),
    ] {
        let task = task(extra);
        let RemoteStatus::Failed(failure) = status_at(MAKE, 200, task.to_string()).await.unwrap() else {
            panic!("{task}");
        };
        assert_eq!((failure.kind, failure.spent), (kind, Spent::Yes), "{task}");
        assert_eq!(failure.upstream_text.as_deref().unwrap_or_default(), words);
    }
}

#[tokio::test]
async fn results_are_grids_single_pictures_or_texts() {
    let url = |name: &str| format!("https://cdn/{name}.png");
    let result = |extra: Value| async move {
        match status_at(MAKE, 200, task(extra.clone()).to_string())
            .await
            .unwrap()
        {
            RemoteStatus::Succeeded(result) => result,
            other => panic!("{extra}: {other:?}"),
        }
    };
    let (s, g) = (ImageKind::Single, ImageKind::Grid);
    let four = [url("1"), url("2"), url("3"), url("4")];
    let told = result(json!({"original_image_url": url("w"), "image_urls": four, "seed": 7})).await;
    let images: Vec<_> = [("1", s, 1), ("2", s, 2), ("3", s, 3), ("4", s, 4), ("w", g, 0)]
        .map(|(name, kind, index)| RemoteImage::new(url(name), kind, index))
        .into();
    assert_eq!((told.images, told.seed), (images, Some(7)));
    let three = result(json!({"image_urls": four[..3]})).await;
    assert_eq!(three.images.len(), 3);
    for (kind, extra) in [
        ("upscale-1x", json!({"image_url": url("w")})),
        ("upscale-alt", json!({"original_image_url": url("w")})),
        ("upscale-highres", json!({"image_urls": [url("w")]})),
    ] {
        let mut extra = extra;
        extra["task_type"] = json!(kind);
        let told = result(extra).await;
        assert_eq!(told.images, [RemoteImage::new(url("w"), s, 1)], "{kind}");
    }
    let told = result(json!({"task_type": "describe", "content": ["one", "two"]})).await;
    assert_eq!(told.texts, ["one", "two"]);
}

#[tokio::test]
async fn callbacks_are_the_task() {
    let client = client(MAKE, DEFAULT_BASE_URL);
    let body = task(json!({"status": "processing", "percentage": 31})).to_string();
    let callback = client.parse_callback(body.as_bytes()).unwrap();
    assert_eq!((callback.upstream.as_str(), callback.nonce), (ID, None));
    assert_eq!(callback.status, RemoteStatus::Running { progress: Some(31) });
    let body = task(json!({"image_urls": ["https://cdn/1.png"]})).to_string();
    let callback = client.parse_callback(body.as_bytes()).unwrap();
    assert!(matches!(callback.status, RemoteStatus::Succeeded(_)));
    assert!(client.parse_callback(br#"{"task_id":"../x"}"#).is_err());
}

#[tokio::test]
async fn the_seed_is_asked_for() {
    let parent = parent(Action::Imagine, "a fox", &[]);
    for (body, seed) in [(r#"{"seed":"123"}"#, Some(123)), (r#"{"task_id":"x"}"#, None)] {
        let server = answering(200, body).await;
        assert_eq!(client(MAKE, &server.uri()).seed(&parent).await.unwrap(), seed);
        let requests = server.received_requests().await.unwrap();
        assert_eq!(requests[0].url.path(), "/seed");
        assert_eq!(requests[0].body, br#"{"task_id":"parent-1"}"#);
    }
}

#[tokio::test]
async fn secrets_are_never_shown() {
    let failed = json!({"task_id": ID, "status": "failed", "message": "LEAK"}).to_string();
    let bodies = [
        (200, "LEAK"),
        (400, r#"{"errors":[{"msg":"LEAK"}]}"#),
        (200, failed.as_str()),
        (401, "LEAK"),
        (500, "LEAK"),
    ];
    upstream::secrets_are_never_shown(MAKE, &bodies).await;
}

#[tokio::test]
async fn manners() {
    upstream::manners(MAKE).await;
}
