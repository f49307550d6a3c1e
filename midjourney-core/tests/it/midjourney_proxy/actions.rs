//! Every action as each line of the family has it, the windows that some open, and what comes back as text.

use midjourney_core::{
    client::InputPicture,
    job::{Direction, Failure, InputImage, Motion, PictureForm, Shape, Strength, Zoom},
};

use super::*;
use crate::loopback::file;

const UUID: &str = "11111111-2222-3333-4444-555555555555";
const DIALECTS: [Dialect; 5] = [
    Dialect::Java,
    Dialect::Plus,
    Dialect::TrueAi,
    Dialect::NewApi,
    Dialect::Auto,
];
const REROLL: Action = Action::Reroll;
const PNG: &str = "data:image/png;base64,cG5n";

fn linked() -> InputPicture {
    file().with_url(Some("https://cdn.example/a.png".to_owned()))
}

fn uploaded() -> InputImage {
    InputImage::Upload("upl_01890a5dac967b4bbcceb302099a8057".parse().unwrap())
}

fn parent(ids: &[String]) -> ParentTask {
    let buttons = ids.iter().map(|id| RemoteAction::new(id, "")).collect();
    ParentTask::new(UpstreamId::new(ID), buttons, "a fox".to_owned())
}

/// A task that offers all there is.
fn full() -> ParentTask {
    let solo = |id: &str| format!("MJ::{id}::1::{UUID}::SOLO");
    let mut ids: Vec<String> = [
        "JOB::upsample_v7_2x_subtle",
        "JOB::upsample_v7_2x_creative",
        "JOB::upsample_v5_2x",
        "JOB::upsample_v5_4x",
        "JOB::low_variation",
        "JOB::high_variation",
        "Inpaint",
        "Outpaint::50",
        "Outpaint::75",
        "Outpaint::100",
        "JOB::pan_left",
        "JOB::pan_right",
        "JOB::pan_up",
        "JOB::pan_down",
    ]
    .into_iter()
    .map(solo)
    .collect();
    ids.push(format!("MJ::CustomZoom::{UUID}"));
    ids.push(format!("MJ::JOB::upsample::1::{UUID}"));
    ids.push(format!("MJ::JOB::variation::1::{UUID}"));
    ids.push(format!("MJ::JOB::reroll::0::{UUID}::SOLO"));
    parent(&ids)
}

fn follow_up(action: Action) -> Submission {
    let request = JobRequest::follow_up(action, ParentRef::new(job(), 1), "a fox");
    submission(request).with_parent(Some(full()))
}

/// The route and the body, without the mark, that `submission` is sent with.
async fn sent(dialect: Dialect, submission: &Submission) -> Result<(String, Value), Failure> {
    let server = answering(200, json!({"code": 1, "result": ID}).to_string()).await;
    let client = client_with(&server.uri(), dialect, Some(CANARY));
    let checked = client.check(&submission.request, submission.parent.as_ref());
    let outcome = client.submit(submission).await;
    let mut requests = server.received_requests().await.unwrap();
    if let Err(error) = outcome {
        assert_eq!(error.applied, Applied::No);
        assert!(requests.is_empty(), "what is refused here is not sent");
        return Err(error.failure);
    }
    checked.unwrap();
    assert!(client.supports(submission.request.action));
    assert_eq!(requests.len(), 1);
    let request = requests.remove(0);
    let mut body: Value = serde_json::from_slice(&request.body).unwrap();
    let mark = body.as_object_mut().unwrap().remove("state").unwrap();
    assert_eq!(mark, submission.nonce.as_str());
    let route = request.url.path().strip_prefix("/mj/submit/").unwrap().to_owned();
    Ok((route, body))
}

#[tokio::test]
async fn every_button_is_pressed_at_every_line_that_has_buttons() {
    let upscale = |mode| Action::Upscale { mode };
    let vary = |strength| Action::Variation { strength };
    let zoom = |zoom| Action::Zoom { zoom };
    let pan = |direction| Action::Pan { direction };
    for (action, button) in [
        (upscale(UpscaleMode::Cutout), "MJ::JOB::upsample::1::U"),
        (
            upscale(UpscaleMode::Subtle),
            "MJ::JOB::upsample_v7_2x_subtle::1::U::SOLO",
        ),
        (
            upscale(UpscaleMode::Creative),
            "MJ::JOB::upsample_v7_2x_creative::1::U::SOLO",
        ),
        (
            upscale(UpscaleMode::Double),
            "MJ::JOB::upsample_v5_2x::1::U::SOLO",
        ),
        (
            upscale(UpscaleMode::Quadruple),
            "MJ::JOB::upsample_v5_4x::1::U::SOLO",
        ),
        (vary(None), "MJ::JOB::variation::1::U"),
        (vary(Some(Strength::Subtle)), "MJ::JOB::low_variation::1::U::SOLO"),
        (
            vary(Some(Strength::Strong)),
            "MJ::JOB::high_variation::1::U::SOLO",
        ),
        (REROLL, "MJ::JOB::reroll::0::U::SOLO"),
        (zoom(Zoom::Double), "MJ::Outpaint::50::1::U::SOLO"),
        (zoom(Zoom::OneAndAHalf), "MJ::Outpaint::75::1::U::SOLO"),
        (zoom(Zoom::Square), "MJ::Outpaint::100::1::U::SOLO"),
        (zoom(Zoom::Custom(180)), "MJ::CustomZoom::U"),
        (pan(Direction::Left), "MJ::JOB::pan_left::1::U::SOLO"),
        (pan(Direction::Right), "MJ::JOB::pan_right::1::U::SOLO"),
        (pan(Direction::Up), "MJ::JOB::pan_up::1::U::SOLO"),
        (pan(Direction::Down), "MJ::JOB::pan_down::1::U::SOLO"),
        (Action::Inpaint, "MJ::Inpaint::1::U::SOLO"),
    ] {
        let button = button.replace("::U", &format!("::{UUID}"));
        for dialect in DIALECTS {
            if dialect == Dialect::Java {
                continue;
            }
            let (route, body) = sent(dialect, &follow_up(action)).await.unwrap();
            assert_eq!(route, "action", "{action} {dialect:?}");
            assert_eq!(
                body,
                json!({"taskId": ID, "customId": button}),
                "{action} {dialect:?}"
            );
        }
    }
}

#[tokio::test]
async fn the_original_line_has_three_changes() {
    let cutout = Action::Upscale {
        mode: UpscaleMode::Cutout,
    };
    for (action, body) in [
        (cutout, json!({"taskId": ID, "action": "UPSCALE", "index": 1})),
        (
            Action::Variation { strength: None },
            json!({"taskId": ID, "action": "VARIATION", "index": 1}),
        ),
        (REROLL, json!({"taskId": ID, "action": "REROLL"})),
    ] {
        let (route, sent) = sent(Dialect::Java, &follow_up(action)).await.unwrap();
        assert_eq!((route.as_str(), sent), ("change", body), "{action}");
    }
}

#[tokio::test]
async fn remixing_asks_trueai_for_a_window() {
    let remix = |strength| follow_up(Action::Remix { strength });
    for (strength, button) in [(Strength::Subtle, "low"), (Strength::Strong, "high")] {
        let (route, body) = sent(Dialect::TrueAi, &remix(strength)).await.unwrap();
        assert_eq!(route, "action");
        let button = format!("MJ::JOB::{button}_variation::1::{UUID}::SOLO");
        assert_eq!(
            body,
            json!({"taskId": ID, "customId": button, "enableRemix": true})
        );
        for dialect in [Dialect::Java, Dialect::Plus, Dialect::NewApi, Dialect::Auto] {
            let failure = sent(dialect, &remix(strength)).await.unwrap_err();
            assert_eq!(failure.kind, FailureKind::Unsupported, "{dialect:?}");
        }
    }
    // A prompt of its own makes other actions remixes too, and is never sent where nobody reads it.
    let mut own = follow_up(Action::Variation { strength: None });
    "a wolf".clone_into(&mut own.request.prompt);
    let (_, body) = sent(Dialect::TrueAi, &own).await.unwrap();
    assert_eq!(body["enableRemix"], true);
    for dialect in [Dialect::Java, Dialect::Plus, Dialect::NewApi, Dialect::Auto] {
        assert_eq!(
            sent(dialect, &own).await.unwrap_err().kind,
            FailureKind::Unsupported
        );
    }
}

#[tokio::test]
async fn what_starts_from_pictures_and_texts() {
    use Dialect as D;
    let with = |action, prompt: &str, images: Vec<InputPicture>, given: InputImage| {
        let count = images.len();
        let request = JobRequest::new(action, prompt).with_images(vec![given; count]);
        submission(request).with_pictures(images, None)
    };
    let link = || InputImage::Url("https://cdn.example/a.png".to_owned());
    let blend = |shape| with(Action::Blend { shape }, "", vec![file(), linked()], link());
    for (submission, dialects, route, body) in [
        (
            with(Action::Imagine, "a fox --v 7", vec![file(), file()], uploaded()),
            DIALECTS.to_vec(),
            "imagine",
            json!({"prompt": "a fox --v 7", "base64Array": [PNG, PNG]}),
        ),
        (
            with(Action::Imagine, "a fox", vec![linked()], link()),
            DIALECTS.to_vec(),
            "imagine",
            json!({"prompt": "https://cdn.example/a.png a fox"}),
        ),
        (
            // A link of ours to an upload stays with us.
            with(Action::Imagine, "a fox", vec![linked()], uploaded()),
            DIALECTS.to_vec(),
            "imagine",
            json!({"prompt": "a fox", "base64Array": [PNG]}),
        ),
        (
            blend(Shape::Square),
            DIALECTS.to_vec(),
            "blend",
            json!({"base64Array": [PNG, PNG], "dimensions": "SQUARE"}),
        ),
        (
            blend(Shape::Portrait),
            DIALECTS.to_vec(),
            "blend",
            json!({"base64Array": [PNG, PNG], "dimensions": "PORTRAIT"}),
        ),
        (
            blend(Shape::Landscape),
            DIALECTS.to_vec(),
            "blend",
            json!({"base64Array": [PNG, PNG], "dimensions": "LANDSCAPE"}),
        ),
        (
            with(Action::Describe, "", vec![linked()], uploaded()),
            DIALECTS.to_vec(),
            "describe",
            json!({"base64": PNG}),
        ),
        (
            with(Action::Describe, "", vec![linked()], link()),
            vec![D::Java, D::Plus, D::NewApi, D::Auto],
            "describe",
            json!({"base64": PNG}),
        ),
        (
            with(Action::Describe, "", vec![linked()], link()),
            vec![D::TrueAi],
            "describe",
            json!({"link": "https://cdn.example/a.png"}),
        ),
        (
            with(Action::Shorten, "a very long prompt", vec![], link()),
            vec![D::Plus, D::TrueAi, D::NewApi, D::Auto],
            "shorten",
            json!({"prompt": "a very long prompt"}),
        ),
        (
            with(Action::Edit, "a wolf", vec![file()], uploaded()),
            vec![D::TrueAi, D::NewApi, D::Auto],
            "edits",
            json!({"prompt": "a wolf", "image": PNG}),
        ),
        (
            with(Action::Edit, "a wolf", vec![linked()], link()),
            vec![D::TrueAi, D::NewApi, D::Auto],
            "edits",
            json!({"prompt": "a wolf", "image": "https://cdn.example/a.png"}),
        ),
        (
            with(Action::Retexture, "marble", vec![file()], uploaded()),
            vec![D::TrueAi],
            "retexture",
            json!({"prompt": "marble", "image": PNG}),
        ),
    ] {
        for dialect in DIALECTS {
            let action = submission.request.action;
            if dialects.contains(&dialect) {
                let sent = sent(dialect, &submission).await.unwrap();
                assert_eq!(sent, (route.to_owned(), body.clone()), "{action} {dialect:?}");
            } else if !client_with("http://127.0.0.1:9", dialect, None).supports(action) {
                let failure = sent(dialect, &submission).await.unwrap_err();
                assert_eq!(failure.kind, FailureKind::Unsupported, "{action} {dialect:?}");
            }
        }
    }
    // What must be bytes and is not is refused before anything is sent.
    let bare = with(
        Action::Describe,
        "",
        vec![InputPicture::at("https://cdn.example/a.png")],
        link(),
    );
    for (submission, dialect) in [
        (bare, D::Plus),
        (with(Action::Retexture, "marble", vec![], link()), D::TrueAi),
        (with(Action::Describe, "", vec![], link()), D::TrueAi),
    ] {
        let failure = sent(dialect, &submission).await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Unsupported);
    }
    for dialect in DIALECTS {
        let client = client_with("http://127.0.0.1:9", dialect, None);
        assert_eq!(client.capabilities().pictures, PictureForm::Bytes);
        assert_eq!(client.capabilities().windows, dialect != D::Java);
        for action in Action::ALL {
            if matches!(action, Action::Animate { .. } | Action::Extend { .. }) {
                let has = !matches!(dialect, D::Java | D::Plus);
                assert_eq!(client.supports(action), has, "{action} {dialect:?}");
            }
        }
    }
}

/// What `confirm` sends for `submission`, and what comes of the answer.
async fn confirmed(
    submission: &Submission,
    status: u16,
    body: &str,
) -> (Result<(), ClientError>, Vec<wiremock::Request>) {
    let server = answering(status, body).await;
    let client = client_with(&server.uri(), Dialect::Plus, Some(CANARY));
    let outcome = client.confirm(&UpstreamId::new(ID), submission).await;
    (outcome, server.received_requests().await.unwrap())
}

fn inpaint() -> Submission {
    let mut submission = follow_up(Action::Inpaint).with_pictures(Vec::new(), Some(file()));
    "a hat".clone_into(&mut submission.request.prompt);
    submission
}

#[tokio::test]
async fn windows_are_given_what_they_wait_for() {
    let ok = json!({"code": 1, "description": "提交成功", "result": ID}).to_string();
    let zoom = |zoom| follow_up(Action::Zoom { zoom });
    for (submission, body) in [
        (
            inpaint(),
            json!({"taskId": ID, "prompt": "a hat", "maskBase64": PNG}),
        ),
        (
            zoom(Zoom::Custom(180)),
            json!({"taskId": ID, "prompt": "a fox --zoom 1.8"}),
        ),
        (
            zoom(Zoom::Double),
            json!({"taskId": ID, "prompt": "a fox --zoom 2"}),
        ),
        (
            follow_up(Action::Remix {
                strength: Strength::Subtle,
            }),
            json!({"taskId": ID, "prompt": "a fox"}),
        ),
        (follow_up(REROLL), json!({"taskId": ID, "prompt": "a fox"})),
    ] {
        let (outcome, requests) = confirmed(&hooked(submission).0, 200, &ok).await;
        outcome.unwrap();
        assert_eq!(requests.len(), 1);
        assert_eq!(requests[0].url.path(), "/mj/submit/modal");
        assert_eq!(requests[0].headers["mj-api-secret"], CANARY);
        let sent: Value = serde_json::from_slice(&requests[0].body).unwrap();
        assert_eq!(sent, body);
    }
    // With nothing to give, nothing is sent, and the message says what is missing.
    let mut blank = follow_up(REROLL);
    blank.request.prompt.clear();
    let maskless = follow_up(Action::Inpaint);
    for (submission, missing) in [(blank, "a prompt"), (maskless, "a mask")] {
        let (outcome, requests) = confirmed(&submission, 200, &ok).await;
        let error = outcome.unwrap_err();
        assert_eq!(error.failure.kind, FailureKind::Unsupported);
        assert_eq!(error.applied, Applied::No);
        assert!(error.failure.message.contains(missing), "{error}");
        assert!(requests.is_empty());
    }
    let java = client_with("http://127.0.0.1:9", Dialect::Java, None);
    let error = java.confirm(&UpstreamId::new(ID), &inpaint()).await.unwrap_err();
    assert_eq!(error.failure.kind, FailureKind::Unsupported);
}

#[tokio::test]
async fn a_window_answered_is_judged_like_a_submit() {
    use FailureKind as K;
    for body in [
        json!({"code": 1, "result": ID}),
        json!({"code": 22, "result": ID, "properties": {"numberOfQueues": 2}}),
        json!({"code": 1, "result": 1_700_000_000_000_123_u64}),
        json!({"code": 1, "result": null}),
    ] {
        confirmed(&inpaint(), 200, &body.to_string()).await.0.unwrap();
    }
    let no = (Applied::No, false);
    let later = (Applied::No, true);
    let lost = (Applied::Maybe, true);
    for (status, body, kind, fate) in [
        (200, r#"{"code":1,"result":"17"}"#, K::BadAnswer, lost),
        (
            200,
            r#"{"code":21,"result":"1700000000000123"}"#,
            K::BadAnswer,
            lost,
        ),
        (200, r#"{"code":77}"#, K::BadAnswer, lost),
        (200, "<html>", K::BadAnswer, lost),
        (200, "", K::BadAnswer, lost),
        (502, "", K::Transient, lost),
        (500, r#"{"code":9}"#, K::Transient, lost),
        (
            200,
            r#"{"code":4,"description":"prompt不能为空"}"#,
            K::InvalidPrompt,
            no,
        ),
        (404, r#"{"code":3,"description":"x"}"#, K::LostAtUpstream, no),
        (200, r#"{"code":24}"#, K::Moderated, no),
        (200, r#"{"code":23}"#, K::QueueFull, later),
        (
            200,
            r#"{"code":9,"description":"提交失败，队列已满，请稍后重试"}"#,
            K::QueueFull,
            later,
        ),
        (429, "", K::RateLimited, later),
        (401, "", K::AccountBlocked, no),
    ] {
        let (outcome, requests) = confirmed(&inpaint(), status, body).await;
        let error = outcome.unwrap_err();
        assert_eq!(
            (error.failure.kind, (error.applied, error.retry)),
            (kind, fate),
            "{status} {body}"
        );
        assert_eq!(requests.len(), 1, "sent exactly once");
    }
    let (reset, seen) = raw(|stream: TcpStream| async move {
        stream.set_zero_linger().ok();
    })
    .await;
    let client = client(&format!("http://{reset}"));
    let error = client
        .confirm(&UpstreamId::new(ID), &inpaint())
        .await
        .unwrap_err();
    assert_eq!(
        (error.applied, error.failure.spent),
        (Applied::Maybe, Spent::Maybe)
    );
    assert_eq!(seen.load(Ordering::SeqCst), 1, "sent exactly once");
    assert!(!format!("{error:?} {}", Chain(&error)).contains(CANARY));
}

#[tokio::test]
async fn a_window_opens_under_either_code() {
    // new-api turns 21 into 1 for remixes; only the task's status tells.
    for code in [21, 1] {
        let server = MockServer::start().await;
        Mock::given(path("/mj/submit/action"))
            .respond_with(ResponseTemplate::new(200).set_body_json(json!({"code": code, "result": ID})))
            .mount(&server)
            .await;
        Mock::given(path(format!("/mj/task/{ID}/fetch")))
            .respond_with(ResponseTemplate::new(200).set_body_json(json!({"id": ID, "status": "MODAL"})))
            .mount(&server)
            .await;
        Mock::given(path("/mj/submit/modal"))
            .respond_with(ResponseTemplate::new(200).set_body_json(json!({"code": 1, "result": ID})))
            .mount(&server)
            .await;
        let client = client_with(&server.uri(), Dialect::NewApi, Some(CANARY));
        let id = client.submit(&inpaint_button()).await.unwrap();
        assert_eq!(client.status(&id).await.unwrap(), RemoteStatus::AwaitingInput);
        client.confirm(&id, &inpaint()).await.unwrap();
    }
}

fn inpaint_button() -> Submission {
    follow_up(Action::Inpaint).with_pictures(Vec::new(), Some(file()))
}

#[tokio::test]
async fn seeds_are_told_where_they_can_be() {
    let seed_at = |status: u16, body: &'static str| async move {
        let server = answering(status, body).await;
        let client = client_with(&server.uri(), Dialect::TrueAi, Some(CANARY));
        let seed = client.seed(&full()).await;
        let requests = server.received_requests().await.unwrap();
        assert_eq!(requests[0].url.path(), "/mj/task/1700000000000123/image-seed");
        assert_eq!(requests[0].method.as_str(), "GET");
        seed
    };
    for (status, body, seed) in [
        (200, r#"{"code":1,"result":"4294967295"}"#, Some(u32::MAX)),
        (200, r#"{"code":1,"result":7}"#, Some(7)),
        (200, r#"{"code":1,"result":"4294967296"}"#, None),
        (200, r#"{"code":9,"result":"7"}"#, None),
        (200, r#"{"code":1,"result":["7"]}"#, None),
        (200, "", None),
        (200, "<html>", None),
        (404, r#"{"code":3}"#, None),
        (400, r#"{"code":4,"description":"关联任务状态错误"}"#, None),
    ] {
        assert_eq!(seed_at(status, body).await.unwrap(), seed, "{status} {body}");
    }
    for (status, kind, retry) in [
        (401, FailureKind::AccountBlocked, false),
        (429, FailureKind::RateLimited, true),
        (500, FailureKind::Transient, true),
    ] {
        let error = seed_at(status, "canary-5ecret-key").await.unwrap_err();
        assert_eq!((error.failure.kind, error.retry), (kind, retry), "{status}");
        assert!(!format!("{error:?}").contains(CANARY));
    }
    for dialect in DIALECTS {
        let client = client_with("http://127.0.0.1:9", dialect, None);
        assert_eq!(client.capabilities().seed, dialect != Dialect::Java);
    }
    let java = client_with("http://127.0.0.1:9", Dialect::Java, None);
    let error = java.seed(&full()).await.unwrap_err();
    assert_eq!(error.failure.kind, FailureKind::Unsupported);
    let odd = ParentTask::new(UpstreamId::new("a/b"), Vec::new(), String::new());
    assert_eq!(client("http://127.0.0.1:9").seed(&odd).await.unwrap(), None);
}

#[tokio::test]
async fn texts_come_out_of_tasks_that_give_texts() {
    let text = "1️⃣ a red fox --ar 3:2\n\n2️⃣ a canary-5ecret-key fox";
    let shorten = format!("Important tokens\n**fox**\n\nShortened prompts\n{text}");
    for (action, prompt) in [("DESCRIBE", text), ("SHORTEN", shorten.as_str())] {
        for picture in [json!(null), json!("https://cdn/input.png")] {
            let task = json!({
                "id": ID, "action": action, "status": "SUCCESS", "progress": "100%", "imageUrl": picture,
                "properties": {"finalPrompt": prompt},
                "buttons": [{"customId": "MJ::Job::PicReader::1", "label": "1️⃣"}],
            });
            let RemoteStatus::Succeeded(result) = status_at(200, task.to_string()).await.unwrap() else {
                panic!("{task}");
            };
            assert_eq!(result.texts, ["a red fox --ar 3:2", "a *** fox"]);
            assert!(result.images.is_empty(), "the picture asked about is no result");
            assert_eq!(result.actions.len(), 1);
        }
    }
    // Texts may follow a moment later, and a picture alone is not one.
    for properties in [
        json!(null),
        json!({}),
        json!({"finalPrompt": 7.5e300}),
        json!([1]),
        json!({"finalPrompt": ""}),
    ] {
        let task = json!({"id": ID, "action": "DESCRIBE", "status": "SUCCESS", "imageUrl": "https://cdn/input.png", "properties": properties});
        match status_at(200, task.to_string()).await.unwrap() {
            RemoteStatus::Running { .. } => {}
            RemoteStatus::Succeeded(result) => assert!(result.images.is_empty()),
            other => panic!("{other:?}"),
        }
    }
    let chinese = json!({"id": ID, "action": "DESCRIBE", "status": "SUCCESS", "properties": {"finalZhPrompt": "1️⃣ 狐狸"}});
    let RemoteStatus::Succeeded(result) = status_at(200, chinese.to_string()).await.unwrap() else {
        panic!("{chinese}");
    };
    assert_eq!(result.texts, ["狐狸"]);
}

#[tokio::test]
async fn videos_are_made_by_their_buttons_or_their_route() {
    let animate = |motion| Action::Animate { motion };
    let extend = |motion| Action::Extend { motion };
    let button = |name: &str| vec![format!("MJ::JOB::{name}::1::{UUID}::SOLO")];
    let on = |action, prompt: &str, buttons: &[String]| {
        let request = JobRequest::follow_up(action, ParentRef::new(job(), 1), prompt);
        submission(request).with_parent(Some(parent(buttons)))
    };
    let brought = |prompt: &str| {
        let request = JobRequest::new(animate(Motion::High), prompt).with_images(vec![uploaded()]);
        submission(request).with_pictures(vec![linked()], None)
    };
    let pressed = |name: &str| json!({"taskId": ID, "customId": button(name)[0]});
    let extended = |prompt: &str, motion: &str| json!({"prompt": prompt, "motion": motion, "action": "extend", "taskId": ID, "index": 0});
    for (submission, route, body) in [
        (
            on(animate(Motion::High), "a fox", &button("animate_high")),
            "action",
            pressed("animate_high"),
        ),
        (
            on(animate(Motion::Low), "", &button("animate_low")),
            "action",
            pressed("animate_low"),
        ),
        (
            on(extend(Motion::Low), "a fox", &button("animate_low_extend")),
            "action",
            pressed("animate_low_extend"),
        ),
        (
            on(extend(Motion::High), "", &[]),
            "video",
            extended("a fox", "high"),
        ),
        (
            // The button takes no prompt.
            on(extend(Motion::Low), "it runs", &button("animate_low_extend")),
            "video",
            extended("it runs", "low"),
        ),
        (
            brought("it runs"),
            "video",
            json!({"prompt": "it runs", "motion": "high", "image": PNG}),
        ),
    ] {
        for dialect in [Dialect::TrueAi, Dialect::NewApi, Dialect::Auto] {
            let sent = sent(dialect, &submission).await.unwrap();
            assert_eq!(sent, (route.to_owned(), body.clone()), "{dialect:?}");
        }
        for dialect in [Dialect::Java, Dialect::Plus] {
            let failure = sent(dialect, &submission).await.unwrap_err();
            assert_eq!(failure.kind, FailureKind::Unsupported, "{dialect:?}");
        }
    }
    let mut wordless = on(extend(Motion::Low), "", &[]);
    wordless.parent.as_mut().unwrap().prompt.clear();
    let of_video = on(Action::Edit, "a wolf", &button("animate_low_extend"));
    let video = parent(&[])
        .with_action(animate(Motion::Low))
        .with_picture_url(Some("https://cdn/1.mp4".to_owned()));
    for (submission, kind) in [
        (wordless, FailureKind::InvalidPrompt),
        (brought(""), FailureKind::InvalidPrompt),
        (
            on(animate(Motion::Low), "a fox", &button("animate_high")),
            FailureKind::Unsupported,
        ),
        (
            on(animate(Motion::Low), "it runs", &button("animate_low")),
            FailureKind::Unsupported,
        ),
        (of_video.with_parent(Some(video)), FailureKind::Unsupported),
    ] {
        let failure = sent(Dialect::TrueAi, &submission).await.unwrap_err();
        assert_eq!(failure.kind, kind, "{failure}");
    }
}

#[tokio::test]
async fn videos_are_numbered_like_pictures() {
    let two = json!([{"url": "https://cdn/1.mp4", "thumbnail": "x"}, {"url": "https://cdn/2.mp4"}]);
    for (extra, videos) in [
        (json!({"action": "VIDEO", "videoUrls": two}), vec!["1", "2"]),
        (
            json!({"action": "ACTION", "videoUrl": "https://cdn/1.mp4", "videoUrls": two}),
            vec!["1", "2"],
        ),
        (
            json!({"action": "VIDEO_EXTEND", "videoUrl": "https://cdn/1.mp4", "videoUrls": null}),
            vec!["1"],
        ),
        // The first picture may be there before the video.
        (json!({"action": "VIDEO", "videoUrl": null}), vec![]),
    ] {
        let mut task = json!({"id": ID, "status": "SUCCESS", "imageUrl": "https://cdn/first.png"});
        task.as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        let images = match status_at(200, task.to_string()).await.unwrap() {
            RemoteStatus::Succeeded(result) => result.images,
            RemoteStatus::Running { .. } => Vec::new(),
            other => panic!("{other:?}"),
        };
        let expected: Vec<_> = videos
            .iter()
            .zip(1..)
            .map(|(name, index)| {
                RemoteImage::new(format!("https://cdn/{name}.mp4"), ImageKind::Single, index)
            })
            .collect();
        assert_eq!(images, expected, "{task}");
    }
}
