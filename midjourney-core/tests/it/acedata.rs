//! The `acedata` client against imitations of that upstream on loopback, over real HTTP.

#![expect(clippy::too_many_lines, reason = "a table is as long as the facts are many")]

use midjourney_core::{
    client::{
        InputPicture, Submission,
        acedata::{AceData, DEFAULT_BASE_URL},
    },
    image::ImageKind,
    job::{
        Action, Direction, FailureKind, InputImage, JobRequest, Motion, PictureForm, RemoteImage,
        RemoteResult, RemoteStatus, Shape, Spent, Strength, UpscaleMode, UpstreamId, Zoom,
    },
};
use serde_json::{Value, json};

use crate::upstream::{
    self, CUTOUT, Fate, ID, Make, answering, client, file, follow_up, hooked, imagine, parent, sent,
    status_at, submission, submit_to, submits_end_so,
};

const MAKE: Make = |options| Box::new(AceData::new(options));

fn accepted() -> String {
    json!({"task_id": ID}).to_string()
}

/// What every drawing carries that was not asked to call back.
fn drawing(body: Value) -> Value {
    upstream::with(json!({"split_images": true, "async": true}), body)
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

const IMAGINE: &str = "POST /midjourney/imagine";

#[tokio::test]
async fn prompts_are_sent_with_what_has_a_field_beside_them() {
    assert_eq!(DEFAULT_BASE_URL, "https://api.acedata.cloud");
    for (prompt, body) in [
        ("a red fox", json!({"prompt": "a red fox"})),
        (
            "https://cdn.example/a.png a red fox --ar 3:2 --relax --v 8.2 --hd --q 2",
            json!({
                "prompt": "https://cdn.example/a.png a red fox --ar 3:2",
                "mode": "relax", "version": "8.2", "hd": true, "quality": "2",
            }),
        ),
        ("a fox --niji 6", json!({"prompt": "a fox --niji 6"})),
        (
            "a fox --v 6.1 --q 0.5",
            json!({"prompt": "a fox --q 0.5", "version": "6.1"}),
        ),
        (
            "a fox --v 7 --turbo --sref 123 --p m123",
            json!({"prompt": "a fox --sref 123 --p m123", "version": "7", "mode": "turbo",
                "style_reference": true, "moodboard": true}),
        ),
        (
            "a fox --operators-own --relax",
            json!({"prompt": "a fox --operators-own --relax"}),
        ),
    ] {
        let mut body = drawing(body);
        body["action"] = json!("generate");
        sends(&submission(JobRequest::imagine(prompt)), IMAGINE, body).await;
    }
    let (hooked, hook) = hooked(imagine());
    let (request, _, body) = sent(MAKE, &hooked, &accepted()).await;
    assert_eq!(
        body,
        json!({"action": "generate", "prompt": "a red fox", "split_images": true, "callback_url": hook})
    );
    assert_eq!(
        request.headers["authorization"],
        format!("Bearer {}", upstream::CANARY)
    );
    assert_eq!(request.headers["content-type"], "application/json");
}

#[tokio::test]
async fn pictures_come_along() {
    let images = |n: u8| {
        (1..=n)
            .map(|n| InputPicture::at(format!("https://a/{n}.png")))
            .collect::<Vec<_>>()
    };
    let with = |action, prompt: &str, n| {
        let inputs = (0..n)
            .map(|n| InputImage::Url(format!("https://a/{n}.png")))
            .collect();
        submission(JobRequest::new(action, prompt).with_images(inputs)).with_pictures(images(n), None)
    };
    let body = drawing(json!({"action": "generate", "prompt": "https://a/1.png a fox"}));
    sends(&with(Action::Imagine, "a fox", 1), IMAGINE, body).await;
    for (shape, ratio) in [
        (Shape::Portrait, "2:3"),
        (Shape::Square, "1:1"),
        (Shape::Landscape, "3:2"),
    ] {
        let prompt = format!("https://a/1.png https://a/2.png --ar {ratio}");
        let body = drawing(json!({"action": "generate", "prompt": prompt}));
        sends(&with(Action::Blend { shape }, "", 2), IMAGINE, body).await;
    }
    let edit = json!({"action": "generate", "image_url": "https://a/1.png", "prompt": "hills --ar 3:2", "mode": "fast"});
    sends(
        &with(Action::Edit, "hills --ar 3:2 --fast", 1),
        "POST /midjourney/edits",
        drawing(edit),
    )
    .await;
    // The parent's picture, and a mask as a file.
    let parent = parent(CUTOUT, "a fox", &[]).with_picture_url(Some("https://p/1.png".to_owned()));
    let mut submission = follow_up(Action::Edit, 1, &parent).with_pictures(Vec::new(), Some(file()));
    submission.request.prompt = "hills".to_owned();
    let edit =
        json!({"action": "generate", "image_url": "https://p/1.png", "prompt": "hills", "mask": "cG5n"});
    sends(&submission, "POST /midjourney/edits", drawing(edit)).await;

    let client = client(MAKE, DEFAULT_BASE_URL);
    assert_eq!(client.capabilities().pictures, PictureForm::Link);
    assert_eq!(client.capabilities().mask, PictureForm::Bytes);
    for action in [Action::Edit, Action::Describe] {
        assert!(client.check(&JobRequest::new(action, "x"), None).is_err());
    }
    let upload = with(Action::Imagine, "a fox", 1).with_pictures(vec![file()], None);
    let error = client.submit(&upload).await.unwrap_err();
    assert_eq!(error.failure.kind, FailureKind::Unsupported);
    assert!(error.failure.message.contains("link"), "{error}");
}

#[tokio::test]
async fn follow_ups_are_named_by_the_image_and_the_upstreams_own_words() {
    let grid = parent(Action::Imagine, "a fox --v 6.1", &[]).with_handle(Some("12000".to_owned()));
    let single = grid.clone().with_action(CUTOUT);
    let old = |mode| {
        let old = parent(CUTOUT, "a fox --v 5.2", &[]).with_handle(Some("12000".to_owned()));
        (Action::Upscale { mode }, old)
    };
    let strength = |strength| Action::Variation { strength };
    for ((action, parent), index, name) in [
        ((CUTOUT, grid.clone()), 3, "upscale3"),
        (
            (
                Action::Upscale {
                    mode: UpscaleMode::Subtle,
                },
                single.clone(),
            ),
            1,
            "upscale_subtle",
        ),
        (
            (
                Action::Upscale {
                    mode: UpscaleMode::Creative,
                },
                single.clone(),
            ),
            1,
            "upscale_creative",
        ),
        (old(UpscaleMode::Double), 1, "upscale_2x"),
        (old(UpscaleMode::Quadruple), 1, "upscale_4x"),
        ((strength(None), grid.clone()), 2, "variation2"),
        ((strength(None), single.clone()), 1, "variation_strong"),
        (
            (strength(Some(Strength::Subtle)), single.clone()),
            1,
            "variation_subtle",
        ),
        (
            (strength(Some(Strength::Strong)), single.clone()),
            1,
            "variation_strong",
        ),
        ((Action::Reroll, grid.clone()), 0, "reroll"),
        (
            (
                Action::Zoom {
                    zoom: Zoom::OneAndAHalf,
                },
                single.clone(),
            ),
            1,
            "zoom_out_1_5x",
        ),
        (
            (Action::Zoom { zoom: Zoom::Double }, single.clone()),
            1,
            "zoom_out_2x",
        ),
        ((Action::Zoom { zoom: Zoom::Square }, single.clone()), 1, "square"),
        (
            (
                Action::Pan {
                    direction: Direction::Left,
                },
                single.clone(),
            ),
            1,
            "pan_left",
        ),
        (
            (
                Action::Pan {
                    direction: Direction::Right,
                },
                single.clone(),
            ),
            1,
            "pan_right",
        ),
        (
            (
                Action::Pan {
                    direction: Direction::Up,
                },
                single.clone(),
            ),
            1,
            "pan_up",
        ),
        (
            (
                Action::Pan {
                    direction: Direction::Down,
                },
                single.clone(),
            ),
            1,
            "pan_down",
        ),
    ] {
        let body = drawing(json!({"action": name, "image_id": "12000"}));
        sends(&follow_up(action, index, &parent), IMAGINE, body).await;
    }
    let mut inpaint = follow_up(Action::Inpaint, 1, &single).with_pictures(Vec::new(), Some(file()));
    inpaint.request.prompt = "a hat --v 6.1 --turbo".to_owned();
    let body = json!({"action": "variation_region", "image_id": "12000", "mask": "cG5n",
        "prompt": "a hat --v 6.1", "mode": "turbo"});
    sends(&inpaint, IMAGINE, drawing(body)).await;
    // Its own word goes before the table.
    let offering = parent_offering(&["upscale1", "variation1"]);
    let client = client(MAKE, DEFAULT_BASE_URL);
    let refused = |action, index| {
        let submission = follow_up(action, index, &offering);
        client
            .check(&submission.request, submission.parent.as_ref())
            .unwrap_err()
    };
    let failure = refused(CUTOUT, 2);
    assert_eq!(failure.kind, FailureKind::Unsupported);
    assert!(failure.message.contains("upscale1, variation1"), "{failure}");
    assert!(refused(Action::Reroll, 1).message.contains("offers no reroll"));
    assert!(refused(CUTOUT, 5).message.contains("no picture 5"));
    // A prompt that would be paid for and not be read.
    let mut other = follow_up(CUTOUT, 1, &offering);
    other.request.prompt = "another".to_owned();
    let failure = client.check(&other.request, other.parent.as_ref()).unwrap_err();
    assert!(failure.message.contains("no prompt of its own"), "{failure}");
}

fn parent_offering(offers: &[&str]) -> midjourney_core::client::ParentTask {
    parent(Action::Imagine, "a fox", offers)
}

#[tokio::test]
async fn what_there_is_no_route_for_is_not_supported() {
    let client = client(MAKE, DEFAULT_BASE_URL);
    let missing: Vec<String> = Action::ALL
        .into_iter()
        .filter(|action| !client.supports(*action))
        .map(|action| action.to_string())
        .collect();
    assert_eq!(
        missing,
        ["remix subtle", "remix strong", "zoom 1.80x", "retexture"]
    );
}

const LOW: Action = Action::Animate { motion: Motion::Low };
const HIGH: Action = Action::Animate { motion: Motion::High };
const LONGER: Action = Action::Extend { motion: Motion::Low };

#[tokio::test]
async fn videos_begin_with_a_picture_or_go_on_with_a_video() {
    let waiting = |body| upstream::with(json!({"async": true}), body);
    let route = "POST /midjourney/videos";
    let url = "https://p/1.png";
    let single = parent(CUTOUT, "a fox --v 7", &[]).with_picture_url(Some(url.to_owned()));
    let grid = parent(Action::Imagine, "a fox", &[]).with_picture_url(Some(url.to_owned()));
    let part = grid.clone().with_picture_size(Some((1_024, 1_024)));
    let film = parent(HIGH, "it runs", &[])
        .with_handle(Some("1751816807896311".to_owned()))
        .with_picture_url(Some("https://p/0_0.mp4".to_owned()));
    let brought = |prompt: &str| {
        let request =
            JobRequest::new(HIGH, prompt).with_images(vec![InputImage::Url("https://a/1.png".to_owned())]);
        submission(request).with_pictures(vec![InputPicture::at("https://a/1.png")], None)
    };
    let saying = |mut submission: Submission, prompt: &str| {
        prompt.clone_into(&mut submission.request.prompt);
        submission
    };
    for (submission, body) in [
        (
            follow_up(LOW, 1, &single),
            json!({"action": "generate", "image_url": url, "prompt": "a fox --v 7 --motion low"}),
        ),
        (
            saying(follow_up(HIGH, 3, &part), "it runs --turbo"),
            json!({"action": "generate", "image_url": url, "prompt": "it runs --motion high", "mode": "turbo"}),
        ),
        (
            brought("it runs"),
            json!({"action": "generate", "image_url": "https://a/1.png", "prompt": "it runs --motion high"}),
        ),
        (
            saying(follow_up(LONGER, 3, &film), ""),
            json!({"action": "extend", "video_id": "1751816807896311", "video_index": 2,
                "prompt": "it runs --motion low"}),
        ),
    ] {
        sends(&submission, route, waiting(body)).await;
    }
    let client = client(MAKE, DEFAULT_BASE_URL);
    let nameless = parent(HIGH, "it runs", &[]);
    for (submission, words) in [
        (
            submission(JobRequest::new(LOW, "it runs")),
            "picture to begin with",
        ),
        (brought(""), "say what happens"),
        (brought("it runs --relax"), "relax"),
        (follow_up(LOW, 1, &grid), "cut one out first"),
        (follow_up(LOW, 0, &single), "no picture 0"),
        (follow_up(LOW, 1, &film), "not from a video"),
        (follow_up(CUTOUT, 1, &film), "not from a video"),
        (follow_up(Action::Describe, 1, &film), "not from a video"),
        (follow_up(LONGER, 1, &single), "from a video"),
        (follow_up(LONGER, 1, &nameless), "video_id"),
    ] {
        let failure = client
            .check(&submission.request, submission.parent.as_ref())
            .unwrap_err();
        assert!(failure.message.contains(words), "{words}: {failure}");
    }
}

#[tokio::test]
async fn videos_are_results_and_their_cover_is_not() {
    let film = |n: u8| format!("https://cdn/video/0_{n}.mp4");
    let told = json!({"success": true, "task_id": ID, "progress": 100, "video_id": "1751816807896311",
        "image_url": "https://cdn/cover.png", "video_urls": [film(0), "", film(0), film(3)]});
    let moving = |n, index| RemoteImage::new(film(n), ImageKind::Single, index);
    // The index of a video is its place, whatever is missing.
    let result = RemoteResult::new(vec![moving(0, 1), moving(0, 3), moving(3, 4)])
        .with_handle(Some("1751816807896311".to_owned()));
    let status = RemoteStatus::Succeeded(result);
    let record = finished(told.clone()).to_string();
    assert_eq!(status_at(MAKE, 200, record).await.unwrap(), status);
    let client = client(MAKE, DEFAULT_BASE_URL);
    let callback = client.parse_callback(told.to_string().as_bytes()).unwrap();
    assert_eq!(callback.status, status);
    let mut early = told.clone();
    early["video_urls"] = json!([]);
    let early = finished(early).to_string();
    let running = RemoteStatus::Running { progress: Some(100) };
    assert_eq!(status_at(MAKE, 200, early).await.unwrap(), running);
    // A picture's name names no videos.
    let mut nameless = told;
    nameless["video_id"] = json!(null);
    let RemoteStatus::Succeeded(result) = status_at(MAKE, 200, finished(nameless).to_string())
        .await
        .unwrap()
    else {
        panic!("not done");
    };
    assert_eq!(result.handle, None);
}

#[tokio::test]
async fn texts_that_come_at_once_are_kept_in_the_id() {
    let describe = submission(JobRequest::new(Action::Describe, ""))
        .with_pictures(vec![InputPicture::at("https://a/1.png")], None);
    let mut describe_request = describe.clone();
    describe_request.request.images = vec![InputImage::Url("https://a/1.png".to_owned())];
    let shorten = submission(JobRequest::new(Action::Shorten, "a very red fox"));
    for (submission, route, body, answer) in [
        (
            describe_request,
            "/midjourney/describe",
            json!({"image_url": "https://a/1.png"}),
            json!({"descriptions": ["one", "two", "", 3]}),
        ),
        (
            shorten,
            "/midjourney/shorten",
            json!({"prompt": "a very red fox"}),
            json!({"success": true, "task_id": ID, "prompts": ["one", "two", "3"]}),
        ),
    ] {
        let server = answering(200, answer.to_string()).await;
        let client = client(MAKE, &server.uri());
        let id = client.submit(&submission).await.unwrap();
        let requests = server.received_requests().await.unwrap();
        assert_eq!(requests[0].url.path(), route);
        assert_eq!(serde_json::from_slice::<Value>(&requests[0].body).unwrap(), body);
        // A client made anew, as after a crash, still has them, without asking anybody.
        drop(server);
        let client = upstream::client(MAKE, "http://127.0.0.1:9");
        let RemoteStatus::Succeeded(result) = client.status(&id).await.unwrap() else {
            panic!("not done");
        };
        assert_eq!(result.texts, ["one", "two", "3"]);
        assert!(result.images.is_empty());
    }
    let parent = parent(CUTOUT, "a fox", &[]).with_picture_url(Some("https://p/1.png".to_owned()));
    let (_, route, body) = sent(
        MAKE,
        &follow_up(Action::Describe, 1, &parent),
        r#"{"descriptions":["x"]}"#,
    )
    .await;
    assert_eq!(
        (route.as_str(), body),
        (
            "POST /midjourney/describe",
            json!({"image_url": "https://p/1.png"})
        )
    );
}

#[tokio::test]
async fn refusals_row_by_row() {
    use FailureKind as K;
    use Fate::{Lost, NotNow, Refused};
    let say = |code: &str, message: &str| {
        json!({"success": false, "error": {"code": code, "message": message}, "trace_id": "b"}).to_string()
    };
    submits_end_so(
        MAKE,
        vec![
            (400, say("token_mismatched", "x"), K::AccountBlocked, Refused),
            (400, say("api_not_implemented", "x"), K::Unsupported, Refused),
            (
                400,
                say("bad_request", "Unrecognized argument(s): `-c`"),
                K::InvalidPrompt,
                Refused,
            ),
            (
                400,
                say("bad_request", "Banned prompt detected"),
                K::Moderated,
                Refused,
            ),
            (400, say("bad_request", ""), K::InvalidPrompt, Refused),
            (
                400,
                json!({"detail": "prompt is required"}).to_string(),
                K::InvalidPrompt,
                Refused,
            ),
            (200, say("bad_request", "x"), K::InvalidPrompt, Refused),
            (401, say("invalid_token", "x"), K::AccountBlocked, Refused),
            (401, String::new(), K::AccountBlocked, Refused),
            (403, say("used_up", "x"), K::QuotaExhausted, Refused),
            (403, say("disabled", "x"), K::AccountBlocked, Refused),
            (403, say("moderation", "x"), K::Moderated, Refused),
            (403, say("forbidden", "content moderation"), K::Moderated, Refused),
            (403, say("other", "x"), K::AccountBlocked, Refused),
            (
                403,
                say("other", "[Banned prompt detected] x"),
                K::Moderated,
                Refused,
            ),
            (429, say("too_many_requests", "x"), K::RateLimited, NotNow),
            (429, String::new(), K::RateLimited, NotNow),
            (404, "<html>".to_owned(), K::Unsupported, Refused),
            (405, String::new(), K::Unsupported, Refused),
            (413, String::new(), K::InvalidPrompt, Refused),
            (307, String::new(), K::BadAnswer, Refused),
            (308, String::new(), K::BadAnswer, Refused),
            (302, String::new(), K::BadAnswer, Lost),
            (400, "<html>".to_owned(), K::BadAnswer, Lost),
            (400, say("api_error", "fetch failed"), K::BadAnswer, Lost),
            (408, String::new(), K::BadAnswer, Lost),
            (409, String::new(), K::BadAnswer, Lost),
            (418, say("new_code", "x"), K::BadAnswer, Lost),
            (200, say("too_many_requests", "x"), K::BadAnswer, Lost),
            (200, say("api_error", "fetch failed"), K::BadAnswer, Lost),
            (200, say("new_code", "x"), K::BadAnswer, Lost),
            (500, say("api_error", "fetch failed"), K::Transient, Lost),
            (500, say("bad_request", "x"), K::Transient, Lost),
            (502, "<html>".to_owned(), K::Transient, Lost),
            (504, String::new(), K::Transient, Lost),
        ],
    )
    .await;
    let error = submit_to(MAKE, 400, say("bad_request", "no such thing"))
        .await
        .unwrap_err();
    assert_eq!(error.failure.upstream_text.as_deref(), Some("no such thing"));
    // A task that failed at once has a name; asking for it tells why.
    let failed = json!({"success": false, "task_id": ID, "error": {"code": "api_error"}}).to_string();
    assert_eq!(submit_to(MAKE, 200, failed).await.unwrap().as_str(), ID);
}

fn finished(response: Value) -> Value {
    let record = json!({"_id": "0000", "id": ID, "type": "imagine", "created_at": 1_720_364_607.967, "hold": false,
        "image_id": "12000", "state": "finished", "request": {"action": "generate"}});
    upstream::with(record, Value::from_iter([("response", response)]))
}

#[tokio::test]
async fn what_a_record_says() {
    use RemoteStatus as S;
    let running = |progress| S::Running { progress };
    let server = answering(200, finished(json!({})).to_string()).await;
    let client = client(MAKE, &server.uri());
    client.status(&UpstreamId::new(ID)).await.unwrap();
    let requests = server.received_requests().await.unwrap();
    assert_eq!(requests[0].url.path(), "/midjourney/tasks");
    assert_eq!(
        serde_json::from_slice::<Value>(&requests[0].body).unwrap(),
        json!({"action": "retrieve", "id": ID})
    );
    for (record, status) in [
        (json!({"id": ID, "state": "pending"}), S::Waiting),
        (json!({"id": ID, "state": "generating"}), running(None)),
        (
            json!({"id": ID, "state": "generating", "response": {"success": true, "progress": 40, "image_url": "https://cdn/p.png"}}),
            running(Some(40)),
        ),
        (json!({"id": ID, "state": "dreaming"}), running(None)),
        (json!({"id": ID, "state": "", "response": null}), running(None)),
        (json!({"id": ID}), running(None)),
        (
            json!({"id": ID, "response": {"progress": "31"}}),
            running(Some(31)),
        ),
        (
            json!({"id": ID, "response": {"success": true, "progress": 55, "image_url": "https://cdn/p.png"}}),
            running(Some(55)),
        ),
        (finished(json!({"success": true})), running(None)),
        (
            finished(json!({"success": true, "progress": 100, "image_url": ""})),
            running(Some(100)),
        ),
        (
            finished(
                json!({"success": true, "image_url": "file:///etc/passwd", "sub_image_urls": [7, "data:,x"]}),
            ),
            running(None),
        ),
    ] {
        assert_eq!(
            status_at(MAKE, 200, record.to_string()).await.unwrap(),
            status,
            "{record}"
        );
    }
    for status in [404, 410] {
        assert_eq!(status_at(MAKE, status, "").await.unwrap(), S::Missing);
    }
    for other in [
        json!({"id": "other", "state": "finished", "response": {"success": true, "image_url": "https://cdn/1.png"}}),
        json!({"id": ID, "response": {"task_id": "other", "success": true, "image_url": "https://cdn/1.png"}}),
    ] {
        let error = status_at(MAKE, 200, other.to_string()).await.unwrap_err();
        assert_eq!(error.failure.kind, FailureKind::BadAnswer);
    }
    upstream::polls_end_so(
        MAKE,
        &[
            (401, FailureKind::AccountBlocked, false),
            (403, FailureKind::AccountBlocked, false),
            (429, FailureKind::RateLimited, true),
            (400, FailureKind::BadAnswer, true),
            (302, FailureKind::BadAnswer, true),
            (500, FailureKind::Transient, true),
            (503, FailureKind::Transient, true),
        ],
    )
    .await;
}

#[tokio::test]
async fn failures_row_by_row() {
    use FailureKind as K;
    for (code, message, kind) in [
        (
            "bad_request",
            "Unrecognized argument(s): `-c`, `x`",
            K::InvalidPrompt,
        ),
        ("bad_request", "[Banned prompt detected] x", K::Moderated),
        ("api_error", "fetch failed", K::Transient),
        ("api_error", "[Invalid link!] x", K::InvalidPrompt),
        ("used_up", "", K::QuotaExhausted),
        ("disabled", "", K::AccountBlocked),
        ("api_not_implemented", "", K::Unsupported),
        ("moderation", "", K::Moderated),
        ("new", "something new", K::Transient),
        ("", "", K::Transient),
    ] {
        let response = json!({"success": false, "task_id": ID, "error": {"code": code, "message": message}});
        for record in [
            finished(response.clone()),
            json!({"id": ID, "response": response}),
            json!({"id": ID, "state": "failed", "response": response}),
        ] {
            let RemoteStatus::Failed(failure) = status_at(MAKE, 200, record.to_string()).await.unwrap()
            else {
                panic!("{record}");
            };
            assert_eq!((failure.kind, failure.spent), (kind, Spent::Yes), "{record}");
        }
    }
}

#[tokio::test]
async fn results_are_grids_or_single_pictures() {
    let url = |name: &str| format!("https://cdn/{name}.png");
    let (s, g) = (ImageKind::Single, ImageKind::Grid);
    let grid = json!({"success": true, "task_id": ID, "image_id": "13000", "progress": 100,
        "image_url": "https://cdn/half.png", "raw_image_url": "https://cdn/w.png",
        "actions": ["upscale1", "reroll", "variation1"],
        "sub_image_urls": ["https://cdn/1.png", "https://cdn/2.png", "https://cdn/3.png"]});
    let result = |response: Value, action: &str| {
        let mut record = finished(response);
        record["request"]["action"] = json!(action);
        async move {
            match status_at(MAKE, 200, record.to_string()).await.unwrap() {
                RemoteStatus::Succeeded(result) => result,
                other => panic!("{record}: {other:?}"),
            }
        }
    };
    let told = result(grid.clone(), "generate").await;
    let images: Vec<_> = [("1", s, 1), ("2", s, 2), ("3", s, 3), ("w", g, 0)]
        .map(|(name, kind, index)| RemoteImage::new(url(name), kind, index))
        .into();
    assert_eq!(told.images, images);
    assert_eq!(told.handle.as_deref(), Some("13000"));
    assert_eq!(
        told.actions
            .iter()
            .map(|action| action.id.as_str())
            .collect::<Vec<_>>(),
        ["upscale1", "reroll", "variation1"]
    );
    let single = |url: String| vec![RemoteImage::new(url, s, 1)];
    let upscaled =
        json!({"success": true, "image_url": "https://cdn/half.png", "actions": ["upscale_2x", "pan_left"]});
    let told = result(upscaled.clone(), "upscale1").await;
    assert_eq!(told.images, single(url("half")));
    assert_eq!(told.handle.as_deref(), Some("12000"), "the record's own");
    let mut bare = upscaled;
    bare["actions"] = json!(null);
    assert_eq!(
        result(bare.clone(), "upscale_4x").await.images,
        single(url("half"))
    );
    assert_eq!(
        result(bare, "generate").await.images,
        [RemoteImage::new(url("half"), g, 0)]
    );
}

#[tokio::test]
async fn callbacks_are_the_answer() {
    let client = client(MAKE, DEFAULT_BASE_URL);
    let body = json!({"success": true, "task_id": ID, "image_id": "1", "image_url": "https://cdn/w.png", "progress": 100});
    let callback = client.parse_callback(body.to_string().as_bytes()).unwrap();
    assert_eq!((callback.upstream.as_str(), callback.nonce), (ID, None));
    let result = RemoteResult::new(vec![RemoteImage::new("https://cdn/w.png", ImageKind::Grid, 0)])
        .with_handle(Some("1".to_owned()));
    assert_eq!(callback.status, RemoteStatus::Succeeded(result));
    let body = json!({"success": false, "task_id": ID, "error": {"code": "bad_request", "message": "x"}});
    let callback = client.parse_callback(body.to_string().as_bytes()).unwrap();
    assert!(matches!(callback.status, RemoteStatus::Failed(_)));
    assert!(
        client
            .parse_callback(br#"{"success":true,"task_id":"../x"}"#)
            .is_err()
    );
}

#[tokio::test]
async fn the_seed_is_asked_for_by_the_image() {
    let parent = parent(Action::Imagine, "a fox", &[]).with_handle(Some("12000".to_owned()));
    for (body, seed) in [
        (r#"{"seed":"123"}"#, Some(123)),
        (r#"{"success":true,"seed":4294967295}"#, Some(u32::MAX)),
        (r#"{"seed":"none"}"#, None),
    ] {
        let server = answering(200, body).await;
        let client = client(MAKE, &server.uri());
        assert_eq!(client.seed(&parent).await.unwrap(), seed);
        let requests = server.received_requests().await.unwrap();
        assert_eq!(requests[0].url.path(), "/midjourney/seed");
        assert_eq!(requests[0].body, br#"{"image_id":"12000"}"#);
    }
    let server = answering(500, "").await;
    assert!(client(MAKE, &server.uri()).seed(&parent).await.unwrap_err().retry);
}

#[tokio::test]
async fn secrets_are_never_shown() {
    let bodies = [
        (200, "LEAK"),
        (
            200,
            r#"{"success":false,"error":{"code":"bad_request","message":"LEAK"}}"#,
        ),
        (
            400,
            r#"{"success":false,"error":{"code":"bad_request","message":"LEAK"}}"#,
        ),
        (200, r#"{"descriptions":["LEAK"]}"#),
        (401, "LEAK"),
        (500, "LEAK"),
    ];
    upstream::secrets_are_never_shown(MAKE, &bodies).await;
    let failed = json!({"id": ID, "response": {"success": false, "error": {"message": upstream::CANARY}}});
    let told = status_at(MAKE, 200, failed.to_string()).await.unwrap();
    assert!(!format!("{told:?}").contains(upstream::CANARY));
}

#[tokio::test]
async fn manners() {
    upstream::manners(MAKE).await;
}
