//! The `ttapi` client against imitations of that upstream on loopback, over real HTTP.

use midjourney_core::{
    client::{
        InputPicture, Submission,
        ttapi::{DEFAULT_BASE_URL, TtApi},
    },
    image::ImageKind,
    job::{
        Action, Direction, FailureKind, InputImage, JobRequest, PictureForm, RemoteImage, RemoteStatus,
        Shape, Spent, Strength, UpscaleMode, UpstreamId, Zoom,
    },
};
use serde_json::{Value, json};

use crate::upstream::{
    self, CUTOUT, Fate, ID, Make, answering, client, file, follow_up, hooked, imagine, parent, sent,
    status_at, submission, submit_to, submits_end_so,
};

const MAKE: Make = |options| Box::new(TtApi::new(options));

fn accepted() -> String {
    json!({"status": "SUCCESS", "message": "", "data": {"jobId": ID}}).to_string()
}

/// Checks what is sent. Drawing and actions carry the mark and ask for single pictures.
async fn sends(submission: &Submission, route: &str, body: Value) {
    let (_, sent_to, sent) = sent(MAKE, submission, &accepted()).await;
    let marked = match route {
        "POST /imagine" | "POST /action" => {
            json!({"notify_id": submission.nonce.as_str(), "getUImages": true})
        }
        _ => json!({}),
    };
    let whole = upstream::with(marked, body);
    assert_eq!(
        (sent_to.as_str(), sent),
        (route, whole),
        "{}",
        submission.request.action
    );
}

#[tokio::test]
async fn prompts_keep_their_parameters_but_the_speed() {
    assert_eq!(DEFAULT_BASE_URL, "https://api.ttapi.io/midjourney/v1");
    for (prompt, mut body) in [
        ("a red fox", json!({"prompt": "a red fox"})),
        (
            "https://cdn.example/a.png a red fox --ar 3:2 --v 7 --turbo",
            json!({"prompt": "https://cdn.example/a.png a red fox --ar 3:2 --v 7", "mode": "turbo"}),
        ),
        ("a fox --fast", json!({"prompt": "a fox", "mode": "fast"})),
        (
            "a fox --relax",
            json!({"prompt": "a fox", "mode": "relax", "timeout": 1200}),
        ),
    ] {
        body["translation"] = json!(false);
        sends(&submission(JobRequest::imagine(prompt)), "POST /imagine", body).await;
    }
    let (hooked, hook) = hooked(imagine());
    let (request, _, body) = sent(MAKE, &hooked, &accepted()).await;
    assert_eq!(body["hookUrl"], json!(hook));
    assert_eq!(request.headers["tt-api-key"], upstream::CANARY);
    assert!(!request.headers.contains_key("authorization"));
    assert_eq!(request.headers["content-type"], "application/json");
    // The base's own path stays.
    let server = answering(200, accepted()).await;
    let client = client(MAKE, &format!("{}/midjourney/v1/", server.uri()));
    assert_eq!(client.submit(&imagine()).await.unwrap().as_str(), ID);
    let requests = server.received_requests().await.unwrap();
    assert_eq!(requests[0].url.path(), "/midjourney/v1/imagine");
}

#[tokio::test]
async fn pictures_go_as_files_or_links() {
    let with = |action, prompt: &str, pictures: Vec<InputPicture>| {
        let inputs = pictures
            .iter()
            .map(|_| InputImage::Url("https://a/1.png".to_owned()))
            .collect();
        submission(JobRequest::new(action, prompt).with_images(inputs)).with_pictures(pictures, None)
    };
    let link = || InputPicture::at("https://a/1.png");
    for (shape, dimensions) in [
        (Shape::Portrait, "PORTRAIT"),
        (Shape::Square, "SQUARE"),
        (Shape::Landscape, "LANDSCAPE"),
    ] {
        let blend = with(Action::Blend { shape }, "", vec![file(), file()]);
        let body = json!({"imgBase64Array": ["cG5n", "cG5n"], "dimensions": dimensions});
        sends(&blend, "POST /blend", body).await;
    }
    let describe = |pictures| with(Action::Describe, "", pictures);
    sends(
        &describe(vec![file()]),
        "POST /describe",
        json!({"base64": "cG5n"}),
    )
    .await;
    sends(
        &describe(vec![link()]),
        "POST /describe",
        json!({"url": "https://a/1.png"}),
    )
    .await;
    let parent = parent(CUTOUT, "a fox", &[]).with_picture_url(Some("https://p/1.png".to_owned()));
    sends(
        &follow_up(Action::Describe, 1, &parent),
        "POST /describe",
        json!({"url": "https://p/1.png"}),
    )
    .await;
    sends(
        &with(Action::Imagine, "a fox", vec![link()]),
        "POST /imagine",
        json!({"prompt": "https://a/1.png a fox", "translation": false}),
    )
    .await;
    let mut inpaint = follow_up(Action::Inpaint, 1, &parent).with_pictures(Vec::new(), Some(file()));
    inpaint.request.prompt = "a hat".to_owned();
    let body = json!({"jobId": "parent-1", "mask": "cG5n", "prompt": "a hat"});
    sends(&inpaint, "POST /inpaint", body).await;

    let client = client(MAKE, "http://127.0.0.1:9");
    assert_eq!(client.capabilities().pictures, PictureForm::Bytes);
    for submission in [
        with(Action::Imagine, "a fox", vec![file()]),
        with(Action::Blend { shape: Shape::Square }, "", vec![link(), link()]),
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
async fn actions_have_the_upstreams_own_words_and_numbers() {
    let grid = ["upsample1", "upsample3", "variation2", "reroll"];
    let single = [
        "upscale2",
        "upscale4",
        "upscale_subtle",
        "upscale_creative",
        "low_variation",
        "high_variation",
        "zoom_out_2",
        "zoom_out_1_5",
        "make_square",
        "pan_left",
        "pan_right",
        "pan_up",
        "pan_down",
    ];
    let grid = parent(Action::Imagine, "a fox", &grid);
    let single = parent(CUTOUT, "a fox", &single);
    let up = |mode| Action::Upscale { mode };
    let vary = |strength| Action::Variation { strength };
    let zoom = |zoom| Action::Zoom { zoom };
    let pan = |direction| Action::Pan { direction };
    for (action, parent, index, name) in [
        (CUTOUT, &grid, 3, "upsample3"),
        (up(UpscaleMode::Subtle), &single, 1, "upscale_subtle"),
        (up(UpscaleMode::Creative), &single, 1, "upscale_creative"),
        (up(UpscaleMode::Double), &single, 1, "upscale2"),
        (up(UpscaleMode::Quadruple), &single, 1, "upscale4"),
        (vary(None), &grid, 2, "variation2"),
        (vary(None), &single, 1, "high_variation"),
        (vary(Some(Strength::Subtle)), &single, 1, "low_variation"),
        (vary(Some(Strength::Strong)), &single, 1, "high_variation"),
        (Action::Reroll, &grid, 0, "reroll"),
        (zoom(Zoom::OneAndAHalf), &single, 1, "zoom_out_1_5"),
        (zoom(Zoom::Double), &single, 1, "zoom_out_2"),
        (zoom(Zoom::Square), &single, 1, "make_square"),
        (pan(Direction::Left), &single, 1, "pan_left"),
        (pan(Direction::Right), &single, 1, "pan_right"),
        (pan(Direction::Up), &single, 1, "pan_up"),
        (pan(Direction::Down), &single, 1, "pan_down"),
    ] {
        let body = json!({"jobId": "parent-1", "action": name});
        sends(&follow_up(action, index, parent), "POST /action", body).await;
    }
    let client = client(MAKE, DEFAULT_BASE_URL);
    let refused = |action, index, parent| {
        let submission = follow_up(action, index, parent);
        client
            .check(&submission.request, submission.parent.as_ref())
            .unwrap_err()
            .message
    };
    // Its `upscale2` is no second picture.
    assert!(refused(CUTOUT, 2, &single).contains("it offers upscale2"));
    assert!(refused(up(UpscaleMode::Double), 1, &grid).contains("it offers upsample1"));
    assert!(refused(Action::Inpaint, 1, &grid).contains("cut one out first"));
    let mut other = follow_up(Action::Reroll, 1, &grid);
    other.request.prompt = "another".to_owned();
    let failure = client.check(&other.request, other.parent.as_ref()).unwrap_err();
    assert!(failure.message.contains("no prompt of its own"), "{failure}");
    // Where the task does not tell, its version does.
    let bare = parent(CUTOUT, "a fox --v 8.2", &[]);
    assert!(refused(pan(Direction::Up), 1, &bare).contains("version 8.2 has no pan up"));
    let bare = parent(Action::Imagine, "a fox --v 8.2", &[]);
    let body = json!({"jobId": "parent-1", "action": "upsample4"});
    sends(&follow_up(CUTOUT, 4, &bare), "POST /action", body).await;
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
        [
            "remix subtle",
            "remix strong",
            "zoom 1.80x",
            "edit",
            "retexture",
            "shorten",
            "animate low",
            "animate high",
            "extend low"
        ]
    );
}

#[tokio::test]
async fn refusals_row_by_row() {
    use FailureKind as K;
    use Fate::{Lost, NotNow, Refused};
    let say = |message: &str| json!({"status": "FAILED", "message": message, "data": null}).to_string();
    submits_end_so(
        MAKE,
        vec![
            (200, say("[Banned prompt detected] x"), K::Moderated, Refused),
            (200, say("[Image denied] x"), K::Moderated, Refused),
            (200, say("[Invalid link!] x"), K::InvalidPrompt, Refused),
            (
                200,
                say("[Invalid parameter] Invalid value 9"),
                K::InvalidPrompt,
                Refused,
            ),
            (
                400,
                say("[Invalid parameter] Invalid value 9"),
                K::InvalidPrompt,
                Refused,
            ),
            (401, String::new(), K::AccountBlocked, Refused),
            (402, String::new(), K::QuotaExhausted, Refused),
            (403, "{}".to_owned(), K::AccountBlocked, Refused),
            (404, "<html>".to_owned(), K::Unsupported, Refused),
            (405, String::new(), K::Unsupported, Refused),
            (413, String::new(), K::InvalidPrompt, Refused),
            (307, String::new(), K::BadAnswer, Refused),
            (429, String::new(), K::RateLimited, NotNow),
            (200, say("Job Timeout"), K::BadAnswer, Lost),
            (200, say("Failed to process your command..."), K::BadAnswer, Lost),
            (200, say("[Internal error]..."), K::BadAnswer, Lost),
            (200, say("something new"), K::BadAnswer, Lost),
            (200, say(""), K::BadAnswer, Lost),
            (
                200,
                json!({"status": -3, "message": "x"}).to_string(),
                K::BadAnswer,
                Lost,
            ),
            (
                200,
                json!({"status": "SUCCESS", "data": {}}).to_string(),
                K::BadAnswer,
                Lost,
            ),
            (
                200,
                json!({"status": "NEW", "data": {"jobId": ID}}).to_string(),
                K::BadAnswer,
                Lost,
            ),
            (400, say("something new"), K::BadAnswer, Lost),
            (400, accepted(), K::BadAnswer, Lost),
            (408, String::new(), K::BadAnswer, Lost),
            (409, String::new(), K::BadAnswer, Lost),
            (302, String::new(), K::BadAnswer, Lost),
            (500, say("[Banned prompt detected] x"), K::Transient, Lost),
            (502, "<html>".to_owned(), K::Transient, Lost),
            (504, String::new(), K::Transient, Lost),
        ],
    )
    .await;
    // A task that failed at once has a name; asking for it tells why.
    let failed = json!({"status": "FAILED", "data": {"jobId": ID}}).to_string();
    assert_eq!(submit_to(MAKE, 200, failed).await.unwrap().as_str(), ID);
}

fn task(status: &str, data: Value) -> Value {
    let data = upstream::with(json!({"jobId": ID, "actions": "imagine"}), data);
    let task = json!({"status": status, "jobId": ID, "message": "success"});
    upstream::with(task, Value::from_iter([("data", data)]))
}

#[tokio::test]
async fn what_a_task_says() {
    use RemoteStatus as S;
    let running = |progress| S::Running { progress };
    let server = answering(200, task("ON_QUEUE", json!({})).to_string()).await;
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
        json!({"jobId": ID})
    );
    for (task, status) in [
        (task("PENDING_QUEUE", json!({"progress": "0"})), S::Waiting),
        (task("ON_QUEUE", json!({"progress": "31"})), running(Some(31))),
        (task("on_queue", json!({"progress": 46})), running(Some(46))),
        (task("ON_QUEUE", json!({"progress": ""})), running(None)),
        (task("DREAMING", json!({})), running(None)),
        (task("SUCCESS", json!({"progress": "100"})), running(Some(100))),
        (
            task(
                "SUCCESS",
                json!({"cdnImage": "", "discordImage": null, "images": []}),
            ),
            running(None),
        ),
        (
            task(
                "SUCCESS",
                json!({"cdnImage": "file:///etc/passwd", "images": [7, "data:,x"]}),
            ),
            running(None),
        ),
        (
            task("SUCCESS", json!({"actions": "describe", "prompt": " \n"})),
            running(None),
        ),
        (
            json!({"status": "SUCCESS", "jobId": ID, "data": null}),
            running(None),
        ),
        (json!({"jobId": ID}), running(None)),
    ] {
        assert_eq!(
            status_at(MAKE, 200, task.to_string()).await.unwrap(),
            status,
            "{task}"
        );
    }
    assert_eq!(status_at(MAKE, 404, "").await.unwrap(), S::Missing);
    for other in [
        json!({"status": "SUCCESS", "jobId": "other", "data": {"cdnImage": "https://cdn/1.png"}}),
        json!({"status": "SUCCESS", "jobId": ID, "data": {"jobId": "other", "cdnImage": "https://cdn/1.png"}}),
        // The question may have failed, not the task.
        json!({"status": "FAILED", "message": "too fast", "data": null}),
    ] {
        let error = status_at(MAKE, 200, other.to_string()).await.unwrap_err();
        assert_eq!((error.failure.kind, error.retry), (FailureKind::BadAnswer, true));
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
        ],
    )
    .await;
}

#[tokio::test]
async fn failures_row_by_row() {
    use FailureKind as K;
    for (message, kind) in [
        ("Job Timeout", K::Transient),
        ("[Banned prompt detected] x", K::Moderated),
        ("[Image denied] x", K::Moderated),
        ("Failed to process your command...", K::Transient),
        ("[Internal error]...", K::Transient),
        ("[Invalid link!]...", K::InvalidPrompt),
        ("[Invalid parameter] Invalid value `9`", K::InvalidPrompt),
        ("something new", K::Transient),
        ("", K::Transient),
    ] {
        let mut task = task("FAILED", json!({"progress": "100"}));
        task["message"] = json!(message);
        let RemoteStatus::Failed(failure) = status_at(MAKE, 200, task.to_string()).await.unwrap() else {
            panic!("{task}");
        };
        assert_eq!((failure.kind, failure.spent), (kind, Spent::Yes), "{task}");
        assert_eq!(failure.upstream_text.as_deref().unwrap_or_default(), message);
    }
}

#[tokio::test]
async fn results_are_grids_single_pictures_or_texts() {
    let url = |name: &str| format!("https://cdn/{name}.png");
    let result = |data: Value| async move {
        match status_at(MAKE, 200, task("SUCCESS", data.clone()).to_string())
            .await
            .unwrap()
        {
            RemoteStatus::Succeeded(result) => result,
            other => panic!("{data}: {other:?}"),
        }
    };
    let (s, g) = (ImageKind::Single, ImageKind::Grid);
    let grid = json!({"progress": "100", "discordImage": "https://cdn.discordapp.com/x.png", "cdnImage": url("w"),
        "components": ["upsample1", "variation1", ""], "seed": "42", "images": [url("1"), url("2")]});
    let told = result(grid.clone()).await;
    let images: Vec<_> = [("1", s, 1), ("2", s, 2), ("w", g, 0)]
        .map(|(name, kind, index)| RemoteImage::new(url(name), kind, index))
        .into();
    assert_eq!(told.images, images);
    assert_eq!((told.seed, told.actions.len()), (Some(42), 2));
    // `upscale2` makes no grid.
    let single =
        result(json!({"cdnImage": url("w"), "components": ["upscale2", "pan_left"], "seed": ""})).await;
    assert_eq!(single.images, [RemoteImage::new(url("w"), s, 1)]);
    assert_eq!(single.seed, None);
    let bare = result(json!({"actions": "upsample2", "discordImage": url("w")})).await;
    assert_eq!(bare.images, [RemoteImage::new(url("w"), s, 1)]);
    let bare = result(json!({"actions": "pan_left", "cdnImage": url("w")})).await;
    assert_eq!(bare.images, [RemoteImage::new(url("w"), g, 0)]);
    let texts = result(json!({"actions": "describe", "prompt": "one\n\ntwo", "cdnImage": url("w")})).await;
    assert_eq!(texts.texts, ["one", "two"]);
    assert!(texts.images.is_empty());
}

#[tokio::test]
async fn callbacks_echo_the_mark() {
    let client = client(MAKE, DEFAULT_BASE_URL);
    let body = task("ON_QUEUE", json!({"progress": "31", "notify_id": "mark"})).to_string();
    let callback = client.parse_callback(body.as_bytes()).unwrap();
    assert_eq!(
        (callback.upstream.as_str(), callback.nonce.as_deref()),
        (ID, Some("mark"))
    );
    assert_eq!(callback.status, RemoteStatus::Running { progress: Some(31) });
    let body = format!(r#"{{"status":"FAILED","data":{{"jobId":"{ID}"}}}}"#);
    let callback = client.parse_callback(body.as_bytes()).unwrap();
    assert!(matches!(callback.status, RemoteStatus::Failed(_)) && callback.nonce.is_none());
    assert!(
        client
            .parse_callback(br#"{"status":"SUCCESS","jobId":"../x"}"#)
            .is_err()
    );
}

#[tokio::test]
async fn the_seed_is_asked_for() {
    let parent = parent(Action::Imagine, "a fox", &[]);
    for (body, seed) in [
        (r#"{"status":"SUCCESS","data":{"seed":"123"}}"#, Some(123)),
        (r#"{"status":"SUCCESS","data":{"seed":""}}"#, None),
    ] {
        let server = answering(200, body).await;
        assert_eq!(client(MAKE, &server.uri()).seed(&parent).await.unwrap(), seed);
        let requests = server.received_requests().await.unwrap();
        assert_eq!(requests[0].url.path(), "/seed");
        assert_eq!(requests[0].body, br#"{"jobId":"parent-1"}"#);
    }
    let server = answering(401, "").await;
    let error = client(MAKE, &server.uri()).seed(&parent).await.unwrap_err();
    assert_eq!(error.failure.kind, FailureKind::AccountBlocked);
}

#[tokio::test]
async fn secrets_are_never_shown() {
    let failed = json!({"status": "FAILED", "jobId": ID, "message": "[Invalid link!] LEAK"}).to_string();
    let bodies = [
        (200, "LEAK"),
        (200, r#"{"status":"FAILED","message":"[Invalid link!] LEAK"}"#),
        (400, r#"{"status":"FAILED","message":"[Invalid link!] LEAK"}"#),
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
