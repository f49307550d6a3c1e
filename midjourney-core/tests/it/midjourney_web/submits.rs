//! What is sent for each action.

use midjourney_core::{
    client::{
        InputPicture,
        midjourney_web::{CountFrom, PanNumbers},
    },
    job::{Action, Direction, FailureKind, JobRequest, Motion, RemoteStatus, Strength, UpscaleMode},
};

use super::*;

const V7: [&str; 2] = ["v7_2x_subtle", "v7_2x_creative"];

fn on(action: Action, index: u8) -> Submission {
    follow_up(action, index, &parent("a fox --v 7", &V7))
}

async fn sent_with(submission: &Submission, set: impl Fn(&mut WebOptions)) -> Value {
    let server = service(200, started()).await;
    let mut options = options(&server, vault(3_600).await);
    set(&mut options);
    let client = MidjourneyWeb::new(options);
    assert!(client.supports(submission.request.action));
    client
        .check(&submission.request, submission.parent.as_ref())
        .unwrap();
    assert_eq!(client.submit(submission).await.unwrap().as_str(), ID);
    let requests = at(&server, "/api/submit-jobs").await;
    assert_eq!(requests.len(), 1, "sent exactly once");
    read(requests.first().unwrap())
}

async fn sent(submission: &Submission) -> Value {
    sent_with(submission, |_| {}).await
}

#[tokio::test]
async fn an_imagine_is_sent_as_the_pages_send_it() {
    let server = service(200, started()).await;
    let submission = submission(JobRequest::imagine("a red fox --ar 3:2 --relax --v 7"));
    client(&server).await.submit(&submission).await.unwrap();
    let request = at(&server, "/api/submit-jobs").await.remove(0);
    assert_eq!(request.method.as_str(), "POST");
    assert_eq!(
        read(&request),
        json!({
            "t": "imagine",
            "prompt": "a red fox --ar 3:2 --v 7",
            "channelId": format!("singleplayer_{USER}"),
            "f": {"mode": "relax", "private": false},
            "roomId": null,
            "metadata": {
                "isMobile": null, "imagePrompts": 0, "imageReferences": 0, "characterReferences": 0,
                "depthReferences": 0, "lightboxOpen": null,
            },
        })
    );
    let header = |name: &str| request.headers[name].to_str().unwrap().to_owned();
    assert_eq!(header("x-csrf-protection"), "1");
    assert_eq!(header("origin"), server.uri());
    assert_eq!(header("referer"), format!("{}/", server.uri()));
    let cookie = header("cookie");
    assert!(cookie.starts_with("__Host-Midjourney.AuthUserTokenV3_i=e30."));
    assert!(cookie.ends_with(&format!("; __Host-Midjourney.AuthUserTokenV3_r={REFRESH}")));
    assert!(
        header("user-agent").starts_with("midjourney-gateway/"),
        "it says who it is"
    );
}

#[tokio::test]
async fn follow_ups_are_sent_as_the_facts_have_them() {
    let id = "parent-1";
    let upscale = |mode| Action::Upscale { mode };
    let vary = |strength| Action::Variation { strength };
    let remix = |strength| Action::Remix { strength };
    for (action, index, body) in [
        (
            upscale(UpscaleMode::Subtle),
            1,
            json!({"t": "upscale", "id": id, "index": 0, "type": "v7_2x_subtle"}),
        ),
        (
            upscale(UpscaleMode::Creative),
            4,
            json!({"t": "upscale", "id": id, "index": 3, "type": "v7_2x_creative"}),
        ),
        (
            vary(None),
            2,
            json!({"t": "vary", "id": id, "index": 1, "strong": true}),
        ),
        (
            vary(Some(Strength::Subtle)),
            2,
            json!({"t": "vary", "id": id, "index": 1, "strong": false}),
        ),
        (
            vary(Some(Strength::Strong)),
            2,
            json!({"t": "vary", "id": id, "index": 1, "strong": true}),
        ),
        (
            remix(Strength::Subtle),
            3,
            json!({"t": "remix", "id": id, "index": 2, "strong": false, "newPrompt": "a fox --v 7"}),
        ),
        (Action::Reroll, 0, json!({"t": "reroll", "id": id})),
    ] {
        let mut sent = sent(&on(action, index)).await;
        let object = sent.as_object_mut().unwrap();
        for common in ["channelId", "f", "roomId", "metadata"] {
            assert!(object.remove(common).is_some(), "{action}");
        }
        assert_eq!(sent, body, "{action}");
    }
}

#[tokio::test]
async fn pans_have_the_numbers_that_are_set() {
    for (direction, from_down, from_up) in [
        (Direction::Down, 0, 2),
        (Direction::Right, 1, 1),
        (Direction::Up, 2, 0),
        (Direction::Left, 3, 3),
    ] {
        let mut pan = on(Action::Pan { direction }, 1);
        "a wolf --fast".clone_into(&mut pan.request.prompt);
        let body = sent(&pan).await;
        assert_eq!(body["direction"], from_down, "{direction:?}");
        assert_eq!((&body["fraction"], &body["stitch"]), (&json!(0.5), &json!(true)));
        assert_eq!(body["newPrompt"], "a wolf");
        let body = sent_with(&pan, |options| {
            options.pan_numbers = PanNumbers::FromUp;
            options.count_from = CountFrom::One;
            options.private = true;
        })
        .await;
        assert_eq!(body["direction"], from_up, "{direction:?}");
        assert_eq!((&body["index"], &body["f"]["private"]), (&json!(1), &json!(true)));
    }
}

#[tokio::test]
async fn pictures_lead_the_prompt_and_uploads_go_to_the_service_first() {
    let server = service(200, started()).await;
    let link = InputPicture::at("https://cdn.example/a.png");
    // A link of ours to an upload stays with us.
    let upload = file().with_url(Some("https://gateway.example/ours.png".to_owned()));
    let submission = submission(JobRequest::imagine("a red fox")).with_pictures(vec![link, upload], None);
    client(&server).await.submit(&submission).await.unwrap();
    let body = read(&at(&server, "/api/submit-jobs").await[0]);
    let prompt = format!(
        "https://cdn.example/a.png {}/cdn/u/abc/fox.png a red fox",
        server.uri()
    );
    assert_eq!(body["prompt"], prompt);
    assert_eq!(body["metadata"]["imagePrompts"], 2);
    let uploads = at(&server, "/api/storage-upload-file").await;
    assert_eq!(uploads.len(), 1);
    let form = String::from_utf8_lossy(&uploads[0].body).into_owned();
    assert!(form.contains("name=\"file\"; filename=\"image.png\"\r\nContent-Type: image/png\r\n\r\npng\r\n"));
}

#[tokio::test]
async fn videos_begin_with_a_picture_or_go_on_with_a_video() {
    let animate = Action::Animate { motion: Motion::High };
    let extend = Action::Extend { motion: Motion::Low };
    let video = parent("a fox", &[]).with_action(animate);
    let mut own = on(animate, 2);
    "it runs".clone_into(&mut own.request.prompt);
    let link = InputPicture::at("https://cdn.example/a.png");
    let brought = submission(JobRequest::new(animate, "it runs")).with_pictures(vec![link], None);
    let (high, low) = ("--bs 4 --motion high --video 1", "--bs 4 --motion low --video 1");
    let parent_job = json!({"job_id": "parent-1", "image_num": 1});
    for (submission, kind, prompt, parent_job, mode) in [
        (
            on(animate, 2),
            "vid_1.1_i2v_480",
            high.to_owned(),
            &parent_job,
            "auto",
        ),
        (
            own,
            "vid_1.1_i2v_480",
            format!("it runs {high}"),
            &parent_job,
            "manual",
        ),
        (
            follow_up(extend, 2, &video),
            "vid_1.1_i2v_extend_480",
            low.to_owned(),
            &parent_job,
            "auto",
        ),
        (
            brought,
            "vid_1.1_i2v_480",
            format!("https://cdn.example/a.png it runs {high}"),
            &json!(null),
            "manual",
        ),
    ] {
        let body = sent(&submission).await;
        assert_eq!(
            (&body["t"], &body["videoType"], &body["newPrompt"]),
            (&json!("video"), &json!(kind), &json!(prompt))
        );
        assert_eq!(
            (&body["parentJob"], &body["animateMode"]),
            (parent_job, &json!(mode))
        );
    }
}

#[tokio::test]
async fn descriptions_come_at_once_and_survive_as_the_id() {
    let answer = json!({"success": true, "data": {"descriptions": ["a red fox", " ", "a fox"]}});
    let server = service(200, answer.to_string()).await;
    let client = client(&server).await;
    let request = JobRequest::new(Action::Describe, "");
    let brought = submission(request).with_pictures(vec![file()], None);
    let of_parent = parent("a fox", &[]).with_picture_url(Some("https://cdn/1.png".to_owned()));
    let of_parent = follow_up(Action::Describe, 1, &of_parent);
    let uploaded = format!("{}/cdn/u/abc/fox.png", server.uri());
    for (submission, image_url) in [(brought, uploaded.as_str()), (of_parent, "https://cdn/1.png")] {
        let id = client.submit(&submission).await.unwrap();
        let RemoteStatus::Succeeded(result) = client.status(&id).await.unwrap() else {
            panic!("the texts are lost");
        };
        assert_eq!(result.texts, ["a red fox", "a fox"]);
        let body = read(at(&server, "/api/describe").await.last().unwrap());
        assert_eq!(body, json!({"image_url": image_url}));
    }
    assert!(at(&server, "/api/job-status").await.is_empty());
    assert!(
        at(&server, "/api/firebase-login").await.is_empty(),
        "nobody is named"
    );
}

#[tokio::test]
async fn what_is_not_known_is_refused_before_anything_is_sent() {
    let server = service(200, started()).await;
    let client = client(&server).await;
    let bare = parent("a fox", &[]);
    let v8 = parent("a fox", &["v8r1_2x_subtle"]);
    let upscale = |mode| Action::Upscale { mode };
    let mut own = on(Action::Variation { strength: None }, 1);
    "a wolf".clone_into(&mut own.request.prompt);
    let mut cases = vec![
        own,
        on(Action::Variation { strength: None }, 5),
        follow_up(upscale(UpscaleMode::Subtle), 1, &bare),
        follow_up(upscale(UpscaleMode::Creative), 1, &v8),
        follow_up(Action::Describe, 1, &bare),
        submission(JobRequest::new(Action::Reroll, "")),
        on(Action::Extend { motion: Motion::Low }, 1),
        follow_up(
            Action::Reroll,
            1,
            &parent("a fox", &[]).with_action(Action::Animate { motion: Motion::Low }),
        ),
    ];
    let lacking = Action::ALL.into_iter().filter(|action| !client.supports(*action));
    cases.extend(lacking.map(|action| on(action, 1)));
    assert!(cases.len() > 18);
    for case in cases {
        let failure = client.check(&case.request, case.parent.as_ref()).unwrap_err();
        assert_eq!(failure.kind, FailureKind::Unsupported, "{:?}", case.request);
        let error = client.submit(&case).await.unwrap_err();
        assert_eq!(error.failure.kind, FailureKind::Unsupported);
    }
    assert!(server.received_requests().await.unwrap().is_empty());
}
