//! The `youchuan` client against imitations of that upstream on loopback, over real HTTP.

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
        youchuan::{DEFAULT_BASE_URL, YouChuan},
    },
    image::{ImageKind, MediaType},
    job::{
        Action, Direction, FailureKind, InputImage, JobRequest, Motion, PictureForm, RemoteImage,
        RemoteStatus, Shape, Spent, Strength, UpscaleMode, UpstreamId, Zoom,
    },
};
use serde_json::{Value, json};
use wiremock::{Mock, MockServer, ResponseTemplate, matchers::method};

use crate::partner::{
    CANARY, TASK, answering, anywhere, follow_up, imagine, later, lost, no, options, parent, plain_statuses,
    reads_statuses, refused_early, refuses, sent, shows_no_secret, submission, unsent, with_callback,
    with_prompt,
};

fn key() -> String {
    format!("{CANARY}-app|{CANARY}")
}

fn client(base: &str) -> YouChuan {
    YouChuan::new(options(base, Some(&key())))
}

fn accepted() -> String {
    json!({"id": TASK, "status": 1, "comment": "JobStatusCreated"}).to_string()
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

fn with_mask(mut submission: Submission) -> Submission {
    let mask = "https://cdn.example/m.png";
    submission.request = submission
        .request
        .with_mask(Some(InputImage::Url(mask.to_owned())));
    let images = submission.images.clone();
    submission.with_pictures(images, Some(at(mask)))
}

#[tokio::test]
async fn an_imagine_is_sent_with_both_parts_of_the_key() {
    let server = answering(200, accepted()).await;
    let (submission, hook, _) = with_callback(imagine());
    let submission = submission.with_pictures(vec![at("https://cdn.example/a.png")], None);
    let id = client(&server.uri()).submit(&submission).await.unwrap();
    assert_eq!(id.as_str(), TASK);
    let requests = server.received_requests().await.unwrap();
    assert_eq!(requests[0].headers["x-youchuan-app"], format!("{CANARY}-app"));
    assert_eq!(requests[0].headers["x-youchuan-secret"], CANARY);
    let (path, body) = sent(&server).await;
    assert_eq!(path, "/v1/tob/diffusion");
    assert_eq!(
        body,
        json!({"text": "https://cdn.example/a.png a red fox --ar 3:2", "callback": hook})
    );
    assert_eq!(DEFAULT_BASE_URL, "https://ali.youchuan.cn");
}

#[tokio::test]
async fn a_key_of_one_part_is_refused_before_anything_is_sent() {
    for key in [
        Some("canary"),
        Some("|canary"),
        Some("canary|"),
        Some(" | "),
        None,
    ] {
        let client = |base: &str| YouChuan::new(options(base, key));
        let error = unsent(client, &imagine()).await;
        assert_eq!(error.failure.kind, FailureKind::AccountBlocked);
        assert!(!format!("{error:?}").contains("canary"));
    }
}

#[tokio::test]
async fn every_action_has_its_verb_and_body() {
    let fox = parent("a fox", &[]).with_picture_size(Some((1024, 512)));
    let five = parent("a fox --v 5.2", &[]);
    let upscale = |mode| follow_up(Action::Upscale { mode }, 2, &fox);
    let old = |mode| follow_up(Action::Upscale { mode }, 2, &five);
    let vary = |strength| follow_up(Action::Variation { strength }, 4, &fox);
    let zoom = |zoom| follow_up(Action::Zoom { zoom }, 1, &fox);
    let pan = |direction| follow_up(Action::Pan { direction }, 1, &fox);
    let remix = |strength| with_prompt(follow_up(Action::Remix { strength }, 3, &fox), "a wolf");
    let place = json!({"width": 1024, "height": 512, "x": 0, "y": 0});
    let mask = json!({"url": "https://cdn.example/m.png"});
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
            old(UpscaleMode::Double),
            "upscale",
            json!({"jobId": TASK, "imageNo": 1, "type": 2}),
        ),
        (
            old(UpscaleMode::Quadruple),
            "upscale",
            json!({"jobId": TASK, "imageNo": 1, "type": 3}),
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
            follow_up(Action::Reroll, 0, &fox),
            "reroll",
            json!({"jobId": TASK}),
        ),
        // The other way round than a variation.
        (
            remix(Strength::Strong),
            "remix",
            json!({"jobId": TASK, "imageNo": 2, "mode": 0, "remixPrompt": "a wolf"}),
        ),
        (
            remix(Strength::Subtle),
            "remix",
            json!({"jobId": TASK, "imageNo": 2, "mode": 1, "remixPrompt": "a wolf"}),
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
            zoom(Zoom::Custom(110)),
            "outpaint",
            json!({"jobId": TASK, "imageNo": 0, "scale": 1.1}),
        ),
        (
            pan(Direction::Down),
            "pan",
            json!({"jobId": TASK, "imageNo": 0, "direction": 0, "scale": 1.5}),
        ),
        (
            pan(Direction::Right),
            "pan",
            json!({"jobId": TASK, "imageNo": 0, "direction": 1, "scale": 1.5}),
        ),
        (
            pan(Direction::Up),
            "pan",
            json!({"jobId": TASK, "imageNo": 0, "direction": 2, "scale": 1.5}),
        ),
        (
            pan(Direction::Left),
            "pan",
            json!({"jobId": TASK, "imageNo": 0, "direction": 3, "scale": 1.5}),
        ),
        (
            with_mask(with_prompt(follow_up(Action::Inpaint, 1, &fox), "a hat")),
            "inpaint",
            json!({"jobId": TASK, "imageNo": 0, "remixPrompt": "a hat", "mask": mask}),
        ),
        (
            with_mask(with_prompt(follow_up(Action::Edit, 1, &fox), "hills")),
            "edit",
            json!({"jobId": TASK, "imageNo": 0, "remixPrompt": "hills", "imgPos": place,
                "canvas": {"width": 1024, "height": 512}, "mask": mask}),
        ),
        (
            submission(JobRequest::new(Action::Retexture, "of glass"))
                .with_pictures(vec![at("https://cdn.example/a.png")], None),
            "retexture",
            json!({"imgUrl": "https://cdn.example/a.png", "remixPrompt": "of glass"}),
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
        assert_eq!(sent(&server).await, (format!("/v1/tob/{verb}"), body));
    }
    for action in Action::ALL {
        let without = matches!(
            action,
            Action::Upscale {
                mode: UpscaleMode::Cutout
            } | Action::Zoom { zoom: Zoom::Square }
                | Action::Blend { .. }
                | Action::Describe
                | Action::Shorten
        );
        assert_eq!(
            client("http://127.0.0.1:9").supports(action),
            !without,
            "{action}"
        );
    }
}

const LOW: Action = Action::Animate { motion: Motion::Low };
const HIGH: Action = Action::Animate { motion: Motion::High };
const LONGER: Action = Action::Extend { motion: Motion::Low };
const LIVELIER: Action = Action::Extend { motion: Motion::High };

fn brought(prompt: &str) -> Submission {
    let link = "https://cdn.example/a.png";
    let request = JobRequest::new(HIGH, prompt).with_images(vec![InputImage::Url(link.to_owned())]);
    submission(request).with_pictures(vec![at(link)], None)
}

#[tokio::test]
async fn videos_begin_with_a_picture_or_go_on_with_a_video() {
    let fox = parent("a fox --v 8.1", &[]);
    let film = parent("it runs", &[]).with_action(HIGH);
    let (begin, go_on) = ("/v1/tob/video-diffusion", "/v1/tob/extend-video");
    for (submission, path, body) in [
        (
            follow_up(LOW, 2, &fox),
            begin,
            json!({"jobId": TASK, "imageNo": 1}),
        ),
        (
            follow_up(HIGH, 4, &fox),
            begin,
            json!({"jobId": TASK, "imageNo": 3, "prompt": "--motion high"}),
        ),
        (
            with_prompt(follow_up(LOW, 1, &fox), "it runs"),
            begin,
            json!({"jobId": TASK, "imageNo": 0, "prompt": "it runs --motion low"}),
        ),
        (
            brought("it runs"),
            begin,
            json!({"prompt": "https://cdn.example/a.png it runs --motion high"}),
        ),
        (
            brought(""),
            begin,
            json!({"prompt": "https://cdn.example/a.png --motion high"}),
        ),
        // A prompt is required here: the parent's.
        (
            follow_up(LONGER, 3, &film),
            go_on,
            json!({"jobId": TASK, "videoNo": 2, "prompt": "it runs --motion low"}),
        ),
        (
            with_prompt(follow_up(LIVELIER, 1, &film), "it jumps"),
            go_on,
            json!({"jobId": TASK, "videoNo": 0, "prompt": "it jumps --motion high"}),
        ),
    ] {
        let server = answering(200, accepted()).await;
        let client = client(&server.uri());
        client
            .check(&submission.request, submission.parent.as_ref())
            .unwrap();
        client.submit(&submission).await.unwrap();
        assert_eq!(sent(&server).await, (path.to_owned(), body));
    }
    for (submission, words) in [
        (
            submission(JobRequest::new(LOW, "it runs")),
            "picture to begin with",
        ),
        (follow_up(LOW, 0, &fox), "counted 1 to 4"),
        (follow_up(LONGER, 5, &film), "counted 1 to 4"),
        (follow_up(LONGER, 1, &fox), "from a video"),
        (follow_up(LOW, 1, &film), "not from a video"),
        (follow_up(Action::Reroll, 0, &film), "not from a video"),
        (
            follow_up(LONGER, 1, &parent("", &[]).with_action(LOW)),
            "say what happens",
        ),
        (
            with_prompt(follow_up(LONGER, 1, &film), &"é".repeat(8_190)),
            "8192",
        ),
    ] {
        refused_early(client, &submission, words).await;
    }
    let gif = InputPicture::of(Bytes::from_static(b"GIF89a\x02\0\x03\0\0\0\0"), MediaType::Gif);
    for pictures in [vec![gif], Vec::new()] {
        unsent(client, &brought("it runs").with_pictures(pictures, None)).await;
    }
    // "at most 4 times, then HTTP 405"
    let server = answering(405, json!({"code": 405, "reason": "Not_Support"}).to_string()).await;
    let error = client(&server.uri())
        .submit(&follow_up(LONGER, 1, &film))
        .await
        .unwrap_err();
    assert_eq!(error.failure.kind, FailureKind::Unsupported);
    assert!(error.failure.message.contains("four times"), "{error}");
}

#[tokio::test]
async fn an_edit_of_a_picture_that_comes_along_tells_its_size() {
    let gif = b"GIF89a\x02\0\x03\0\0\0\0";
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(200).set_body_string(accepted()))
        .mount(&server)
        .await;
    Mock::given(method("GET"))
        .respond_with(ResponseTemplate::new(200).set_body_bytes(gif))
        .mount(&server)
        .await;
    let url = format!("{}/a.gif", server.uri());
    let edit = with_mask(submission(JobRequest::new(Action::Edit, "hills")));
    let mask = edit.mask.clone();
    YouChuan::new(anywhere(&server.uri(), &key()))
        .submit(&edit.with_pictures(vec![at(&url)], mask))
        .await
        .unwrap();
    let requests = server.received_requests().await.unwrap();
    assert_eq!(requests.len(), 2);
    assert!(
        !requests[0].headers.contains_key("x-youchuan-secret"),
        "no key goes to a picture's server"
    );
    assert_eq!(requests[1].url.path(), "/v1/tob/upload-paint");
    let body: Value = serde_json::from_slice(&requests[1].body).unwrap();
    assert_eq!(body["canvas"], json!({"width": 2, "height": 3}));
    assert_eq!(body["imgPos"], json!({"width": 2, "height": 3, "x": 0, "y": 0}));
}

#[tokio::test]
async fn what_cannot_be_is_refused_before_anything_is_sent() {
    let fox = parent("a fox", &[]);
    let eight = parent("a fox --v 8.1", &[]);
    let creative = Action::Upscale {
        mode: UpscaleMode::Creative,
    };
    let left = Action::Pan {
        direction: Direction::Left,
    };
    for (submission, words) in [
        (
            follow_up(
                Action::Upscale {
                    mode: UpscaleMode::Cutout,
                },
                1,
                &fox,
            ),
            "upscale 2x",
        ),
        (
            submission(JobRequest::new(Action::Blend { shape: Shape::Square }, "")),
            "retexture",
        ),
        (follow_up(creative, 1, &eight), "variation"),
        (follow_up(left, 1, &eight), "remix"),
        (
            follow_up(Action::Zoom { zoom: Zoom::Double }, 1, &eight),
            "reroll",
        ),
        (with_mask(follow_up(Action::Inpaint, 1, &eight)), "edit"),
        (
            follow_up(
                Action::Upscale {
                    mode: UpscaleMode::Double,
                },
                1,
                &parent("a fox --v 7", &[]),
            ),
            "creative",
        ),
        (follow_up(left, 5, &fox), "counted 1 to 4"),
    ] {
        refused_early(client, &submission, words).await;
    }
    let file = InputPicture::of(Bytes::from_static(b"GIF89a\x02\0\x03\0\0\0\0"), MediaType::Gif);
    let retexture = submission(JobRequest::new(Action::Retexture, "of glass"));
    unsent(client, &retexture.with_pictures(vec![file], None)).await;
    unsent(
        client,
        &with_mask(with_prompt(follow_up(Action::Edit, 1, &fox), "hills")),
    )
    .await;
}

#[tokio::test]
async fn refusals_are_told_from_lost_answers_row_by_row() {
    use FailureKind as K;
    let row = |status: u16, reason: &str, judged| {
        let body = json!({"code": status, "message": "no", "reason": reason});
        (status, body, judged)
    };
    let mut rows = plain_statuses();
    rows.extend([
        row(400, "Invalid_Argument", no(K::InvalidPrompt)),
        row(400, "Invalid_Prompt_Parameter", no(K::InvalidPrompt)),
        row(400, "Cancel_Job_Not_Runnig", no(K::Unsupported)),
        row(400, "Job_ReUpscale_Not_Support", no(K::Unsupported)),
        row(401, "Invalid_App_Identifier", no(K::AccountBlocked)),
        row(402, "Account_Fee_Not_Enough", no(K::QuotaExhausted)),
        row(402, "No_More_Relax_Credit", no(K::QuotaExhausted)),
        row(403, "Permission_Denied", no(K::AccountBlocked)),
        row(403, "Msg_Sensitive", no(K::Moderated)),
        row(403, "Upscale_Not_Support", no(K::Unsupported)),
        row(403, "Relax_Not_Allow", no(K::Unsupported)),
        row(403, "No_Avaliable_Plan", no(K::AccountBlocked)),
        row(405, "Not_Support", no(K::Unsupported)),
        row(429, "Max_Concurrent_Limited", later(K::QueueFull)),
        row(429, "something new", later(K::RateLimited)),
        row(400, "something new", no(K::InvalidPrompt)),
        row(500, "Internal_Server_Error", lost(K::Transient)),
        row(503, "Server_Busy", lost(K::Transient)),
        row(503, "Request_Timout", lost(K::Transient)),
        row(200, "Msg_Sensitive", lost(K::BadAnswer)),
        (
            400,
            json!({"id": TASK, "reason": "Invalid_Argument"}),
            lost(K::BadAnswer),
        ),
    ]);
    refuses(client, &imagine(), rows).await;
    let fox = parent("a fox", &[]);
    refuses(
        client,
        &follow_up(Action::Reroll, 0, &fox),
        vec![row(404, "?", no(K::LostAtUpstream))],
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
                .set_body_json(json!({"reason": "Max_Concurrent_Limited", "message": "three run"})),
        )
        .mount(&server)
        .await;
    let error = client(&server.uri()).submit(&imagine()).await.unwrap_err();
    assert_eq!(error.retry_after, Some(Duration::from_secs(7)));
    assert_eq!(
        error.failure.upstream_text.as_deref(),
        Some("Max_Concurrent_Limited: three run")
    );
}

#[tokio::test]
async fn a_job_says_how_it_is_doing() {
    use FailureKind as K;
    use RemoteStatus as S;
    let running = S::Running { progress: None };
    let url = "https://img.example/0_0.png";
    for (job, expected) in [
        (json!({"status": 1, "comment": "JobStatusCreated"}), S::Waiting),
        (json!({"status": 1, "comment": "Queued"}), S::Waiting),
        (
            json!({"status": "1", "comment": "JobStatusRunning"}),
            running.clone(),
        ),
        // Success can come before the links.
        (
            json!({"status": 2, "comment": "Success", "urls": []}),
            running.clone(),
        ),
        (
            json!({"status": 2, "comment": "Success", "urls": [""]}),
            running.clone(),
        ),
        (
            json!({"status": 9, "comment": "JobStatusDreaming"}),
            running.clone(),
        ),
        (json!({"status": 0, "comment": "JobStatusQueued"}), S::Waiting),
        (json!({"comment": "JobStatusRunning"}), running.clone()),
        (json!({"status": null, "urls": [url]}), running.clone()),
        (json!({"status": 3, "comment": "JobStatusCanceled"}), S::Cancelled),
    ] {
        let mut task = job.clone();
        task["id"] = json!(TASK);
        assert_eq!(status(task).await, expected, "{job}");
    }
    for (status_no, comment, kind) in [
        (json!(3), "JobStatusFail", K::Transient),
        (json!("3"), "Fail", K::Transient),
        (json!(3), "JobStatusError", K::Transient),
        (json!(3), "JobStatusReject", K::Moderated),
        (json!(3), "TextReject", K::Moderated),
        (json!(3), "JobStatusBadPrompt", K::InvalidPrompt),
        (json!(3), "JobStatusInvalidParameter", K::InvalidPrompt),
        (json!(3), "JobStatusTimeout", K::Transient),
        (json!(3), "JobStatusRequestTimeout", K::Transient),
        (json!(3), "JobStatusInvalidImagePromptLink", K::InvalidPrompt),
        (json!(3), "JobStatusMaxConcurrentLimited", K::QueueFull),
        (json!(3), "JobStatusCreditNotEnough", K::QuotaExhausted),
        (json!(3), "JobStatusImagePromptDenied", K::Moderated),
        (json!(3), "JobStatusDuplicateImage", K::InvalidPrompt),
        (json!(3), "", K::Transient),
        (json!(3), "new", K::Transient),
        // A status that is not known, whose comment is one of an end.
        (json!(4), "JobStatusReject", K::Moderated),
    ] {
        let job = json!({"id": TASK, "status": status_no, "comment": comment});
        let S::Failed(failure) = status(job).await else {
            panic!("{comment}: not failed");
        };
        assert_eq!((failure.kind, failure.spent), (kind, Spent::Yes), "{comment}");
    }
    reads_statuses(client, "id").await;
}

#[tokio::test]
async fn pictures_keep_their_numbers() {
    let url = |name: &str| format!("https://img.example/{name}.png");
    let single = |name: &str, index| RemoteImage::new(url(name), ImageKind::Single, index);
    let film = |name: &str| format!("https://img.example/{name}.MP4?sign=x");
    let moving = |name: &str, index| RemoteImage::new(film(name), ImageKind::Single, index);
    for (extra, images) in [
        (
            json!({"urls": [url("0"), url("1"), url("2"), url("3")]}),
            vec![single("0", 1), single("1", 2), single("2", 3), single("3", 4)],
        ),
        (
            json!({"urls": [url("0"), url("1")], "imageRejectNum": 2}),
            vec![single("0", 1), single("1", 2)],
        ),
        (
            json!({"urls": [url("0"), url("2")], "imgUrls": [{"url": url("2"), "no": 2}, {"url": url("0"), "no": "0"}, 7, {"url": "x", "no": 1}]}),
            vec![single("0", 1), single("2", 3)],
        ),
        (
            json!({"urls": [url("0")], "imgUrls": [{"url": url("9"), "no": 9}]}),
            vec![single("0", 1)],
        ),
        (
            json!({"urls": [url("0")], "imgUrls": "odd"}),
            vec![single("0", 1)],
        ),
        // Of videos; the pictures beside them show how they begin.
        (
            json!({"urls": [film("0"), "", film("2")]}),
            vec![moving("0", 1), moving("2", 3)],
        ),
        (
            json!({"urls": [film("0"), film("1")], "imgUrls": [{"url": url("0"), "no": 0}]}),
            vec![moving("0", 1), moving("1", 2)],
        ),
        (
            json!({"imgUrls": [{"url": film("1"), "no": 1}], "videoUrl": film("0")}),
            vec![moving("1", 2)],
        ),
        (
            json!({"urls": [url("0")], "videoUrl": film("0")}),
            vec![moving("0", 1)],
        ),
    ] {
        let mut job = json!({"id": TASK, "status": 2, "comment": "Success"});
        job.as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        let RemoteStatus::Succeeded(result) = status(job).await else {
            panic!("{extra}");
        };
        assert_eq!(result.images, images, "{extra}");
    }
    let server = answering(200, json!({"id": TASK, "status": 1}).to_string()).await;
    client(&server.uri())
        .status(&UpstreamId::new(TASK))
        .await
        .unwrap();
    let requests = server.received_requests().await.unwrap();
    assert_eq!(requests[0].url.path(), format!("/v1/tob/job/{TASK}"));
    assert_eq!(requests[0].headers["x-youchuan-secret"], CANARY);
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
fn a_callback_is_the_job_itself() {
    let body = json!({"id": TASK, "status": 2, "urls": ["https://img.example/0.png"]}).to_string();
    let callback = client("http://127.0.0.1:9")
        .parse_callback(body.as_bytes())
        .unwrap();
    assert_eq!(callback.upstream.as_str(), TASK);
    assert!(matches!(callback.status, RemoteStatus::Succeeded(_)));
}
