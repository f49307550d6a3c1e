//! The wire format of `midjourney-proxy`: what its clients send is understood, and what comes back is what they expect.

use std::{sync::Arc, time::Duration};

use axum::{Router, extract::State, routing::post};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use midjourney_core::{
    clock::{Clock as _, SystemClock},
    job::{Capabilities, Failure, FailureKind, JobStore},
    key::Secret,
    link::PublicLinks,
    memory::MemoryJobStore,
    net::{Outbound, OutboundOptions},
    testing::{FakeClient, FaultPlan, FaultyJobStore, tiny_png},
};
use midjourney_server::http::HttpOptions;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::http_support::{Server, Setup, send, text};

/// Sends a submit, which is always HTTP 200.
async fn submit(server: &Server, path: &str, body: Value) -> Value {
    let (status, answer) = send(server.post(path).json(&body)).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    answer
}

/// The id of the task that a submit became.
async fn accepted(server: &Server, path: &str, body: Value) -> String {
    let answer = submit(server, path, body).await;
    assert!([1, 22].map(Value::from).contains(&answer["code"]), "{answer}");
    text(&answer, "result").to_owned()
}

/// The code and description of a refusal, which has no result.
async fn refused(server: &Server, path: &str, body: Value) -> (u64, String) {
    let answer = submit(server, path, body).await;
    assert_eq!(answer["result"], Value::Null, "{answer}");
    (
        answer["code"].as_u64().unwrap(),
        text(&answer, "description").to_owned(),
    )
}

async fn fetch(server: &Server, id: &str) -> Value {
    let (status, task) = send(server.get(&format!("/mj/task/{id}/fetch"))).await;
    assert_eq!(status, StatusCode::OK);
    task
}

/// Polls as clients do: until the task is over.
async fn finished(server: &Server, id: &str) -> Value {
    for _ in 0..1_500 {
        let task = fetch(server, id).await;
        match text(&task, "status") {
            "SUCCESS" | "FAILURE" | "CANCEL" => return task,
            _ => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
    panic!("{id} is not over");
}

async fn succeeded(server: &Server, id: &str) -> Value {
    let task = finished(server, id).await;
    assert_eq!(
        (text(&task, "status"), text(&task, "progress")),
        ("SUCCESS", "100%"),
        "{task}"
    );
    task
}

async fn drawn(server: &Server, prompt: &str) -> Value {
    let id = accepted(server, "/mj/submit/imagine", json!({"prompt": prompt})).await;
    succeeded(server, &id).await
}

fn labels(task: &Value) -> Vec<&str> {
    let buttons = task["buttons"].as_array().unwrap();
    buttons.iter().map(|button| text(button, "label")).collect()
}

/// The custom id of the button that has `part` in it.
fn button<'a>(task: &'a Value, part: &str) -> &'a str {
    let buttons = task["buttons"].as_array().unwrap();
    let mut ids = buttons.iter().map(|button| text(button, "customId"));
    ids.find(|id| id.contains(part))
        .unwrap_or_else(|| panic!("no button {part} in {task}"))
}

async fn press(server: &Server, task: &Value, part: &str) -> Value {
    let body = json!({"taskId": task["id"], "customId": button(task, part)});
    submit(server, "/mj/submit/action", body).await
}

async fn pressed(server: &Server, task: &Value, part: &str) -> Value {
    let answer = press(server, task, part).await;
    assert!([1, 22].map(Value::from).contains(&answer["code"]), "{answer}");
    succeeded(server, text(&answer, "result")).await
}

fn data_url(shade: u8) -> String {
    format!("data:image/png;base64,{}", STANDARD.encode(tiny_png(shade)))
}

async fn is_picture(server: &Server, url: &str) {
    let answer = server.open(url).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK, "{url}");
    assert_eq!(answer.headers()["cross-origin-resource-policy"], "cross-origin");
    assert!(answer.bytes().await.unwrap().starts_with(b"\x89PNG"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grid_is_drawn_and_everything_is_done_with_it() {
    let server = Setup::new().start().await;
    let body = json!({"prompt": "a red fox --ar 3:2 --v 7", "botType": "MID_JOURNEY", "state": "job-7 ü",
        "base64Array": null, "notifyHook": "", "accountFilter": {"modes": ["FAST"]}, "unknown": [1]});
    let request = server
        .post("/mj/submit/imagine")
        .header("mj-api-secret", "whatever")
        .header("authorization", "Bearer whatever");
    let (_, answer) = send(request.json(&body)).await;
    assert_eq!(answer["code"], 1, "{answer}");
    let grid = succeeded(&server, text(&answer, "result")).await;
    assert_eq!(
        (text(&grid, "action"), text(&grid, "prompt"), text(&grid, "state")),
        ("IMAGINE", "a red fox --ar 3:2 --v 7", "job-7 ü")
    );
    assert_eq!(grid["properties"]["finalPrompt"], grid["prompt"]);
    let times: Vec<_> = ["submitTime", "startTime", "finishTime"]
        .map(|name| grid[name].as_i64().unwrap())
        .into();
    assert!(times.is_sorted() && times[0] > 1_700_000_000_000, "{times:?}");
    assert!(
        text(&grid, "imageUrl").starts_with(&server.url("/images/img_")),
        "{grid}"
    );
    is_picture(&server, text(&grid, "imageUrl")).await;
    assert_eq!(grid["imageUrls"].as_array().unwrap().len(), 4);
    assert_eq!(
        labels(&grid),
        ["U1", "U2", "U3", "U4", "V1", "V2", "V3", "V4", ""]
    );
    assert_eq!(
        (&grid["failReason"], grid["buttons"][0]["type"].as_u64()),
        (&Value::Null, Some(2))
    );

    let single = pressed(&server, &grid, "upsample::2::").await;
    assert_eq!(
        (
            text(&single, "action"),
            &single["imageUrls"].as_array().unwrap().len()
        ),
        ("UPSCALE", &1)
    );
    is_picture(&server, text(&single, "imageUrl")).await;
    let told = labels(&single);
    for label in [
        "Upscale (Subtle)",
        "Vary (Strong)",
        "Vary (Region)",
        "Zoom Out 1.5x",
        "Custom Zoom",
    ] {
        assert!(told.contains(&label), "{label}: {told:?}");
    }
    for (part, action) in [
        ("upsample_v7_2x_subtle", "UPSCALE"),
        ("upsample_v7_2x_creative", "UPSCALE"),
        ("low_variation", "VARIATION"),
        ("high_variation", "VARIATION"),
        ("Outpaint::50", "ZOOM"),
        ("Outpaint::75", "ZOOM"),
        ("pan_left", "PAN"),
        ("pan_right", "PAN"),
        ("pan_up", "PAN"),
        ("pan_down", "PAN"),
    ] {
        let task = pressed(&server, &single, part).await;
        assert_eq!(text(&task, "action"), action, "{part}");
    }
    assert!(
        !told.iter().any(|label| label.starts_with("Animate")),
        "the simulator has no videos"
    );

    let change = json!({"taskId": grid["id"], "action": "VARIATION", "index": 3});
    let varied = succeeded(&server, &accepted(&server, "/mj/submit/change", change).await).await;
    assert_eq!((text(&varied, "action"), labels(&varied).len()), ("VARIATION", 9));
    for (words, action) in [("U4", "UPSCALE"), ("V1", "VARIATION"), ("R", "REROLL")] {
        let body = json!({"content": format!("{} {words}", text(&varied, "id"))});
        let task = succeeded(
            &server,
            &accepted(&server, "/mj/submit/simple-change", body).await,
        )
        .await;
        assert_eq!(text(&task, "action"), action);
    }
    assert_eq!(
        text(&pressed(&server, &varied, "reroll::0").await, "action"),
        "REROLL"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_wait_for_what_they_need_and_go_on_under_their_id() {
    let server = Setup::new().start().await;
    let grid = drawn(&server, "a red fox --v 7").await;
    let single = pressed(&server, &grid, "upsample::1::").await;

    let body =
        json!({"taskId": single["id"], "customId": button(&single, "CustomZoom"), "state": "of the window"});
    let answer = submit(&server, "/mj/submit/action", body).await;
    assert_eq!(
        (&answer["code"], &answer["properties"]["remix"]),
        (&json!(21), &json!(true)),
        "{answer}"
    );
    assert!(text(&answer["properties"], "finalPrompt").contains("--zoom 2"));
    let id = text(&answer, "result").to_owned();
    let waiting = fetch(&server, &id).await;
    assert_eq!(
        (
            text(&waiting, "id"),
            text(&waiting, "status"),
            text(&waiting, "action"),
            text(&waiting, "state")
        ),
        (&*id, "MODAL", "ZOOM", "of the window")
    );
    assert!(waiting["submitTime"].as_i64().unwrap() > 1_700_000_000_000);
    let (code, detail) = refused(
        &server,
        "/mj/submit/modal",
        json!({"taskId": id, "prompt": "a fox"}),
    )
    .await;
    assert!(code == 4 && detail.contains("--zoom 1.5"), "{detail}");

    let modal = json!({"taskId": id, "prompt": "a red fox --v 7 --zoom 1.5"});
    assert_eq!(accepted(&server, "/mj/submit/modal", modal.clone()).await, id);
    let zoomed = succeeded(&server, &id).await;
    assert_eq!(
        (
            text(&zoomed, "id"),
            text(&zoomed, "action"),
            text(&zoomed, "state"),
            text(&zoomed, "prompt")
        ),
        (&*id, "ZOOM", "of the window", "a red fox --v 7")
    );
    // Confirmed once is confirmed.
    let again = submit(&server, "/mj/submit/modal", modal).await;
    assert_eq!((&again["code"], text(&again, "result")), (&json!(21), &*id));
    assert_eq!(again["properties"]["status"], "SUCCESS");
    is_picture(&server, text(&again["properties"], "imageUrl")).await;
    // What was drawn under a window's id can be gone on from by that id.
    assert_eq!(
        text(&pressed(&server, &zoomed, "upsample::3::").await, "action"),
        "UPSCALE"
    );

    let answer = press(&server, &single, "Inpaint").await;
    assert_eq!(answer["code"], 21);
    let id = text(&answer, "result").to_owned();
    let (code, detail) = refused(&server, "/mj/submit/modal", json!({"taskId": id, "prompt": ""})).await;
    assert!(code == 4 && detail.starts_with("maskBase64: "), "{detail}");
    let modal = json!({"taskId": id, "prompt": "", "maskBase64": data_url(255)});
    accepted(&server, "/mj/submit/modal", modal).await;
    assert_eq!(text(&succeeded(&server, &id).await, "action"), "INPAINT");

    let body = json!({"taskId": grid["id"], "customId": button(&grid, "variation::2"), "enableRemix": true});
    let answer = submit(&server, "/mj/submit/action", body).await;
    assert_eq!(answer["code"], 21, "{answer}");
    let modal = json!({"taskId": answer["result"], "prompt": "a blue fox --v 7"});
    let remixed = accepted(&server, "/mj/submit/modal", modal).await;
    assert_eq!(
        text(&succeeded(&server, &remixed).await, "prompt"),
        "a blue fox --v 7"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_come_along_as_data_urls_or_plain_base64() {
    let server = Setup::new().start().await;
    let blend = json!({"base64Array": [data_url(1), data_url(2)], "dimensions": "LANDSCAPE"});
    let blended = succeeded(&server, &accepted(&server, "/mj/submit/blend", blend).await).await;
    assert_eq!(text(&blended, "action"), "BLEND");

    let describe = json!({"base64": data_url(3)});
    let described = succeeded(&server, &accepted(&server, "/mj/submit/describe", describe).await).await;
    let told = text(&described["properties"], "finalPrompt");
    let items: Vec<_> = told.split("\n\n").collect();
    assert!(
        items.len() == 4 && items[0].starts_with("1️⃣ ") && items[3].starts_with("4️⃣ "),
        "{told}"
    );
    // A suggestion is drawn after a window; left empty, as it is.
    let window = press(&server, &described, "PicReader::2").await;
    assert_eq!(
        (
            &window["code"],
            fetch(&server, text(&window, "result")).await["action"].as_str()
        ),
        (&json!(21), Some("IMAGINE"))
    );
    let drawn = accepted(
        &server,
        "/mj/submit/modal",
        json!({"taskId": window["result"], "prompt": ""}),
    )
    .await;
    let drawn = succeeded(&server, &drawn).await;
    assert!(items[1].ends_with(text(&drawn, "prompt")), "{items:?} {drawn}");

    let shorten = json!({"prompt": "a very, very, very red fox"});
    let shortened = succeeded(&server, &accepted(&server, "/mj/submit/shorten", shorten).await).await;
    let told = text(&shortened["properties"], "finalPrompt");
    assert!(
        told.contains("Important tokens") && told.contains("Shortened prompts\n\n1️⃣ "),
        "{told}"
    );
    assert!(button(&shortened, "PromptAnalyzer::1").starts_with("MJ::Job::"));

    let plain = STANDARD.encode(tiny_png(4));
    for (path, action) in [("edits", "EDIT"), ("edit", "EDIT"), ("retexture", "RETEXTURE")] {
        for image in [plain.trim_end_matches('='), "https://pictures.example/fox.png"] {
            let body = json!({"prompt": "in the snow", "image": image});
            let task = accepted(&server, &format!("/mj/submit/{path}"), body).await;
            assert_eq!(text(&succeeded(&server, &task).await, "action"), action);
        }
    }
    let body = json!({"prompt": "a fox", "base64Array": [data_url(5)], "base64": plain, "botType": "niji"});
    let task = succeeded(&server, &accepted(&server, "/mj/submit/imagine", body).await).await;
    assert_eq!(text(&task, "prompt"), "a fox --niji 7");

    let answer = submit(
        &server,
        "/mj/submit/upload-discord-images",
        json!({"base64Array": [data_url(6), plain]}),
    )
    .await;
    assert_eq!(answer["code"], 1, "{answer}");
    for link in answer["result"].as_array().unwrap() {
        is_picture(&server, link.as_str().unwrap()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_path_says_how_fast_where_the_prompt_does_not() {
    let server = Setup::idle().start().await;
    for (place, prompt, drawn) in [
        ("/mj", "a fox", "a fox"),
        ("/mj-fast/mj", "a fox", "a fox --fast"),
        ("/mj-turbo/mj", "a fox --v 7", "a fox --v 7 --turbo"),
        ("/mj-relax/mj", "a fox", "a fox --relax"),
        ("/mj-relax/mj", "a fox --fast", "a fox --fast"),
    ] {
        let id = accepted(
            &server,
            &format!("{place}/submit/imagine"),
            json!({"prompt": prompt}),
        )
        .await;
        let (_, task) = send(server.get(&format!("{place}/task/{id}/fetch"))).await;
        assert_eq!(text(&task, "prompt"), drawn, "{place}");
        assert_eq!(
            (text(&task, "status"), text(&task, "progress")),
            ("NOT_START", "0%")
        );
    }
}

const OTHER: &str = "job_019ab3c0d1e27f3a8b4c5d6e7f8091a2";

/// Sends each row and sees it refused with its code and words, and that nothing was stored.
async fn refuses(server: &Server, rows: Vec<(&str, Value, u64, &str)>) {
    let before = server.gateway.counts().await.unwrap();
    for (path, body, code, says) in rows {
        let shown: String = body.to_string().chars().take(200).collect();
        let (told, detail) = refused(server, &format!("/mj/submit/{path}"), body).await;
        assert!(
            told == code && detail.contains(says),
            "{path} {shown} -> {told} {detail}"
        );
    }
    assert_eq!(server.gateway.counts().await.unwrap(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_prompt_or_picture_is_refused_with_its_field() {
    let server = Setup::new().start().await;
    let large = STANDARD.encode(vec![0; 8 * 1024 * 1024 + 1]);
    let rows = vec![
        ("imagine", json!({}), 4, "prompt: "),
        ("imagine", json!({"prompt": null}), 4, "prompt: "),
        ("imagine", json!({"prompt": " "}), 4, "prompt: "),
        ("imagine", json!({"prompt": 7}), 4, "prompt: invalid type"),
        (
            "imagine",
            json!({"prompt": "a", "base64Array": "x"}),
            4,
            "base64Array: invalid type",
        ),
        (
            "imagine",
            json!({"prompt": "a", "base64Array": [1]}),
            4,
            "base64Array/0: invalid type",
        ),
        (
            "imagine",
            json!({"prompt": "a", "base64Array": ["data:image/png,x"]}),
            4,
            "base64Array: expected a data URL",
        ),
        (
            "imagine",
            json!({"prompt": "a", "base64": "%%%"}),
            4,
            "broken base64",
        ),
        (
            "imagine",
            json!({"prompt": "a", "base64": "AAAA"}),
            4,
            "PNG, JPEG, WebP or GIF",
        ),
        ("imagine", json!({"prompt": "a", "base64": large}), 4, "8 MiB"),
        (
            "imagine",
            json!({"prompt": "a", "botType": "dalle"}),
            4,
            "botType: unknown variant",
        ),
        (
            "imagine",
            json!({"prompt": "a", "state": "x".repeat(256)}),
            4,
            "state: ",
        ),
        ("imagine", json!({"prompt": "a --zz"}), 4, "prompt: "),
        ("imagine", json!({"prompt": "a {red, blue} fox"}), 4, "2 tasks"),
        ("imagine", json!([]), 4, "expected a JSON object"),
    ];
    refuses(&server, rows).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_request_of_another_kind_is_refused_with_its_field() {
    let server = Setup::new().start().await;
    let rows = vec![
        (
            "blend",
            json!({"base64Array": [data_url(1)]}),
            4,
            "base64Array: expected 2 to 5",
        ),
        (
            "blend",
            json!({"base64Array": [data_url(1), data_url(2)], "dimensions": "ROUND"}),
            4,
            "dimensions: ",
        ),
        ("describe", json!({}), 4, "base64: "),
        ("describe", json!({"link": "ftp://x"}), 4, "http"),
        ("shorten", json!({}), 4, "prompt: "),
        ("edits", json!({"prompt": "a"}), 4, "image: "),
        (
            "retexture",
            json!({"prompt": "a", "image": data_url(1), "maskBase64": data_url(2)}),
            4,
            "maskBase64: ",
        ),
        (
            "video",
            json!({"prompt": "a", "image": data_url(1)}),
            4,
            "no videos",
        ),
        ("video", json!({"prompt": "a", "action": "extend"}), 4, "taskId: "),
        (
            "video",
            json!({"prompt": "a", "image": data_url(1), "batchSize": 3}),
            4,
            "batchSize: ",
        ),
        (
            "video",
            json!({"prompt": "a", "motion": "wild"}),
            4,
            "motion: unknown variant",
        ),
        (
            "video",
            json!({"prompt": "a", "taskId": OTHER}),
            3,
            "there is no job",
        ),
    ];
    refuses(&server, rows).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_change_is_refused_with_its_field() {
    let server = Setup::new().start().await;
    let grid = drawn(&server, "a red fox --v 7").await;
    let id = text(&grid, "id");
    let unfinished = accepted(&server, "/mj/submit/imagine", json!({"prompt": "a fox sim:hang"})).await;
    let rows = vec![
        ("upload-discord-images", json!({}), 4, "base64Array: "),
        ("change", json!({"taskId": id, "action": "UPSCALE"}), 4, "index: "),
        (
            "change",
            json!({"taskId": id, "action": "UPSCALE", "index": 5}),
            4,
            "index: expected 1 to 4",
        ),
        (
            "change",
            json!({"taskId": id, "action": "UPSCALE", "index": "1"}),
            4,
            "index: invalid type",
        ),
        (
            "change",
            json!({"taskId": id, "action": "PAINT", "index": 1}),
            4,
            "action: unknown variant",
        ),
        ("change", json!({"taskId": id}), 4, "action: "),
        ("change", json!({"action": "REROLL"}), 4, "taskId: "),
        (
            "change",
            json!({"taskId": OTHER, "action": "REROLL"}),
            3,
            "there is no job",
        ),
        (
            "change",
            json!({"taskId": "1700000000000123", "action": "REROLL"}),
            3,
            "no such task",
        ),
        (
            "change",
            json!({"taskId": unfinished, "action": "REROLL"}),
            4,
            "completed",
        ),
    ];
    refuses(&server, rows).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_button_or_window_is_refused_with_its_field() {
    let server = Setup::new().start().await;
    let grid = drawn(&server, "a red fox --v 7").await;
    let id = text(&grid, "id");
    let upscale = button(&grid, "upsample::1::");
    let foreign = "MJ::JOB::upsample::1::019ab3c0-d1e2-7f3a-8b4c-5d6e7f8091a2";
    let rows = vec![
        ("simple-change", json!({"content": id}), 4, "content: "),
        (
            "simple-change",
            json!({"content": format!("{id} X1")}),
            4,
            "content: ",
        ),
        (
            "simple-change",
            json!({"content": format!("{id} U9")}),
            4,
            "index: ",
        ),
        (
            "simple-change",
            json!({"content": format!("{id} Ü1")}),
            4,
            "content: ",
        ),
        ("action", json!({"taskId": id}), 4, "customId: "),
        (
            "action",
            json!({"taskId": id, "customId": "MJ::BOOKMARK::x"}),
            4,
            "customId: there is no such button",
        ),
        (
            "action",
            json!({"taskId": id, "customId": foreign}),
            4,
            "customId: the button is of another task",
        ),
        (
            "action",
            json!({"taskId": OTHER, "customId": upscale}),
            3,
            "there is no job",
        ),
        (
            "action",
            json!({"taskId": id, "customId": "MJ::Job::PicReader::1"}),
            4,
            "customId: the task has no such button",
        ),
        (
            "modal",
            json!({"taskId": id}),
            4,
            "taskId: the task waits for nothing",
        ),
        ("modal", json!({"taskId": OTHER}), 3, "there is no job"),
        ("modal", json!({"taskId": "win_x"}), 3, "no such task"),
    ];
    refuses(&server, rows).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_no_request_and_a_path_that_is_none_are_told_apart() {
    let server = Setup::new().start().await;
    let huge = server
        .post("/mj/submit/imagine")
        .body(vec![b' '; 13 * 1024 * 1024]);
    let (status, answer) = send(huge.header("content-type", "application/json")).await;
    assert_eq!((status, &answer["code"]), (StatusCode::OK, &json!(4)), "{answer}");
    assert!(text(&answer, "description").contains("12 MiB"), "{answer}");
    let (_, answer) = send(server.post("/mj/submit/imagine").body("prompt=fox")).await;
    assert!(
        text(&answer, "description").contains("application/json"),
        "{answer}"
    );
    for (method, path, status, code) in [
        ("GET", "/mj/submit/imagine", 405, 4),
        ("POST", "/mj/insight-face/swap", 404, 3),
        ("GET", "/mj-fast/mj/account/list", 404, 3),
    ] {
        let (told, answer) = send(server.request(method, path)).await;
        assert_eq!((told.as_u16(), &answer["code"]), (status, &json!(code)), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_other_code_is_told() {
    let client = Arc::new(FakeClient::new());
    let store = Arc::new(FaultyJobStore::new(
        Arc::new(MemoryJobStore::new()),
        FaultPlan::None,
    ));
    let jobs: Arc<dyn JobStore> = Arc::clone(&store) as Arc<dyn JobStore>;
    let server = Setup {
        client: Arc::clone(&client) as _,
        jobs,
        ..Setup::idle()
    };
    let server = server.start().await;
    let fox = json!({"prompt": "a fox"});

    let first = submit(&server, "/mj/submit/imagine", fox.clone()).await;
    assert_eq!(
        (&first["code"], &first["properties"]["discordInstanceId"]),
        (&json!(1), &json!("main"))
    );
    let second = submit(&server, "/mj/submit/imagine", fox.clone()).await;
    assert_eq!(
        (&second["code"], &second["properties"]["numberOfQueues"]),
        (&json!(22), &json!(1))
    );

    client.refuse_check(Some(Failure::new(FailureKind::Moderated, "refused words")));
    let (code, detail) = refused(&server, "/mj/submit/imagine", fox.clone()).await;
    assert!(code == 24 && detail.contains("refused words"), "{code} {detail}");
    client.refuse_check(Some(Failure::new(FailureKind::Unsupported, "no foxes")));
    assert_eq!(refused(&server, "/mj/submit/imagine", fox.clone()).await.0, 4);
    client.refuse_check(None);

    // The third operation from here on is the insertion itself or comes before it; all fail in passing.
    store.arm(FaultPlan::FailNth {
        n: 1,
        after: false,
        forever: true,
    });
    let (code, detail) = refused(&server, "/mj/submit/imagine", fox.clone()).await;
    assert!(code == 9 && !detail.is_empty(), "{code} {detail}");
    let broken = server.get(&format!("/mj/task/{}/fetch", text(&first, "result")));
    let (status, answer) = send(broken).await;
    assert_eq!(
        (status, &answer["code"]),
        (StatusCode::SERVICE_UNAVAILABLE, &json!(9))
    );
    store.arm(FaultPlan::None);

    let (_, seed) = send(server.get(&format!("/mj/task/{}/image-seed", text(&first, "result")))).await;
    assert_eq!(seed["code"], 4, "{seed}");
    let (_, seed) = send(server.get("/mj/task/nonsense/image-seed")).await;
    assert_eq!(seed["code"], 3, "{seed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_are_looked_at_listed_and_cancelled() {
    let server = Setup::idle().start().await;
    let mut ids = Vec::new();
    for prompt in ["a red fox", "a blue fox"] {
        ids.push(accepted(&server, "/mj/submit/imagine", json!({"prompt": prompt})).await);
    }
    for unknown in [
        "job_019ab3c0d1e27f3a8b4c5d6e7f8091a2",
        "1700000000000123",
        "win_x",
        "%FF",
    ] {
        let answer = server
            .get(&format!("/mj/task/{unknown}/fetch"))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{unknown}");
        assert!(answer.text().await.unwrap().is_empty(), "{unknown}");
    }
    for path in ["list-by-condition", "list-by-ids"] {
        let body = json!({"ids": [ids[1], "unknown", 17, null, ids[0]]});
        let (_, tasks) = send(server.post(&format!("/mj/task/{path}")).json(&body)).await;
        let told: Vec<_> = tasks
            .as_array()
            .unwrap()
            .iter()
            .map(|task| text(task, "prompt"))
            .collect();
        assert_eq!(told, ["a blue fox", "a red fox"]);
    }
    let (_, wrong) = send(
        server
            .post("/mj/task/list-by-condition")
            .json(&json!({"ids": "x"})),
    )
    .await;
    assert!(
        wrong["code"] == 4 && text(&wrong, "description").starts_with("ids: "),
        "{wrong}"
    );

    let cancelled = server
        .post(&format!("/mj/task/{}/cancel", ids[0]))
        .send()
        .await
        .unwrap();
    assert_eq!(
        (cancelled.status(), cancelled.text().await.unwrap().len()),
        (StatusCode::OK, 0)
    );
    let (_, unknown) = send(server.post("/mj/task/unknown/cancel")).await;
    assert_eq!(unknown["code"], 3);
    let task = fetch(&server, &ids[0]).await;
    assert_eq!((text(&task, "status"), text(&task, "progress")), ("CANCEL", ""));
    assert!(task["finishTime"].is_i64() && task["startTime"].is_null());

    let (_, all) = send(server.get("/mj/task/list")).await;
    let (_, queue) = send(server.get("/mj/task/queue")).await;
    assert_eq!(
        (all.as_array().unwrap().len(), queue.as_array().unwrap().len()),
        (2, 1)
    );
    assert_eq!(queue[0]["id"].as_str(), Some(&*ids[1]));
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_tell_why_and_seeds_are_told() {
    let server = Setup::new().start().await;
    let id = accepted(
        &server,
        "/mj/submit/imagine",
        json!({"prompt": "a fox sim:moderated"}),
    )
    .await;
    let task = finished(&server, &id).await;
    assert_eq!((text(&task, "status"), text(&task, "progress")), ("FAILURE", ""));
    assert!(
        text(&task, "failReason").contains("Banned prompt detected"),
        "{task}"
    );
    assert_eq!((&task["imageUrl"], &task["buttons"]), (&Value::Null, &json!([])));

    let grid = drawn(&server, "a red fox --seed 42").await;
    let (_, seed) = send(server.get(&format!("/mj/task/{}/image-seed", text(&grid, "id")))).await;
    assert_eq!(
        (&seed["code"], &seed["result"]),
        (&json!(1), &grid["seed"]),
        "{seed}"
    );
    assert!(seed["result"].as_str().unwrap().parse::<u32>().is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_opens_its_own_picture_until_it_expires() {
    let links = PublicLinks::new("https://gallery.example/mj", Secret::new("secret of this test"));
    let server = Setup {
        links: Some(links.clone()),
        ..Setup::new()
    };
    let server = server.start().await;
    let grid = drawn(&server, "a red fox").await;
    let link = text(&grid, "imageUrl");
    let place = link.strip_prefix("https://gallery.example/mj").unwrap();
    is_picture(&server, &server.url(place)).await;
    let (path, query) = place.split_once('?').unwrap();
    let (expires, signature) = query.split_once('&').unwrap();

    let other = text(&grid["imageUrls"][0], "url");
    let other = other.strip_prefix("https://gallery.example/mj").unwrap();
    let other = other.split_once('?').unwrap().0;
    let long_ago = SystemClock.now().as_millis() - 10_000;
    let dead = links.at("").sign(
        path,
        midjourney_core::clock::Timestamp::from_millis(long_ago),
        Duration::from_secs(1),
    );
    let later = format!("expires=9{}", expires.strip_prefix("expires=").unwrap());
    for wrong in [
        dead,
        format!("{other}?{query}"),
        format!("{path}?{later}&{signature}"),
        format!("{path}?{expires}&signature=00"),
        format!("{path}?{expires}"),
        format!("{path}?{signature}"),
        format!("{path}?expires=soon&{signature}"),
    ] {
        let (status, problem) = send(server.get(&wrong)).await;
        assert_eq!(
            (status, text(&problem, "code")),
            (StatusCode::FORBIDDEN, "dead_link"),
            "{wrong}"
        );
    }
    // Without a proof it is the plain route, as ever.
    assert_eq!(server.get(path).send().await.unwrap().status(), StatusCode::OK);
    assert_eq!(
        server.get(&format!("{path}?v=1")).send().await.unwrap().status(),
        StatusCode::OK
    );
}

/// A client that is posted to: gives each body, and answers the first post with an error.
async fn hook() -> (String, mpsc::UnboundedReceiver<Value>) {
    let (sender, received) = mpsc::unbounded_channel();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/hook/secret-path", listener.local_addr().unwrap());
    let take = |State(sender): State<mpsc::UnboundedSender<Value>>, axum::Json(body): axum::Json<Value>| async move {
        sender.send(body).unwrap();
    };
    let router = Router::new()
        .route("/hook/secret-path", post(take))
        .with_state(sender);
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (address, received)
}

fn may_call(private: bool) -> impl FnOnce(HttpOptions) -> HttpOptions {
    let options = OutboundOptions::default().with_allow_private(private);
    move |http| http.with_outbound(Outbound::new(options).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_is_posted_whole_and_in_order() {
    let server = Setup::new().options(may_call(true)).start().await;
    let (address, mut posts) = hook().await;
    let body = json!({"prompt": "a red fox", "state": "mine", "notifyHook": address});
    let id = accepted(&server, "/mj/submit/imagine", body).await;
    let mut told = Vec::new();
    loop {
        let post = tokio::time::timeout(Duration::from_secs(20), posts.recv()).await;
        let task = post.expect("a post comes").unwrap();
        assert_eq!((text(&task, "id"), text(&task, "state")), (&*id, "mine"));
        assert_eq!(text(&task["properties"], "notifyHook"), address);
        told.push((
            text(&task, "status").to_owned(),
            text(&task, "progress").to_owned(),
        ));
        if text(&task, "status") == "SUCCESS" {
            let mut fetched = fetch(&server, &id).await;
            let mut task = task;
            // Links are made anew each time.
            for task in [&mut task, &mut fetched] {
                let link = task["imageUrl"].take();
                is_picture(&server, link.as_str().unwrap()).await;
                task["imageUrls"].take();
            }
            assert_eq!(task, fetched);
            break;
        }
    }
    let rank = |status: &str| {
        ["NOT_START", "SUBMITTED", "IN_PROGRESS", "SUCCESS"]
            .iter()
            .position(|known| *known == status)
    };
    let percent = |progress: &str| progress.trim_end_matches('%').parse::<u8>().unwrap();
    let ranks: Vec<_> = told
        .iter()
        .map(|(status, progress)| (rank(status).unwrap(), percent(progress)))
        .collect();
    assert!(ranks.is_sorted(), "{told:?}");
    assert_eq!(told.first().map(|(status, _)| &**status), Some("NOT_START"));
    let mut once = told.clone();
    once.dedup();
    assert_eq!(once, told, "nothing is told twice");
    assert!(told.len() >= 3, "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn hooks_inside_are_refused_and_are_not_called() {
    let (address, mut posts) = hook().await;
    let server = Setup::new().options(may_call(false)).start().await;
    for (hook, says) in [
        (&*address, "not public"),
        ("http://10.0.0.1/", "not public"),
        ("ftp://a.example/", "only http and https"),
        ("https://me:pass@a.example/", "credentials"),
        ("nonsense", "expected an http or https address"),
        (&format!("https://a.example/{}", "x".repeat(2_000)), "2000"),
    ] {
        let body = json!({"prompt": "a red fox", "notifyHook": hook});
        let (code, detail) = refused(&server, "/mj/submit/imagine", body).await;
        assert!(
            code == 4 && detail.starts_with("notifyHook: ") && detail.contains(says),
            "{hook}: {detail}"
        );
    }
    // A name tells where it leads only when it is called.
    let port = address.rsplit_once(':').unwrap().1;
    let server = Setup::new().options(may_call(false)).start().await;
    let body = json!({"prompt": "a red fox", "notifyHook": "http://localhost/hook"});
    let id = accepted(&server, "/mj/submit/imagine", body).await;
    succeeded(&server, &id).await;
    assert!(posts.try_recv().is_err(), "{port} was called");

    let silent = Setup::idle().start().await;
    let body = json!({"prompt": "a red fox", "notifyHook": "https://a.example/"});
    let (code, detail) = refused(&silent, "/mj/submit/imagine", body).await;
    assert!(code == 4 && detail.contains("poll the task"), "{detail}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_caller_wanted_back_survives_a_restart() {
    let jobs: Arc<dyn JobStore> = Arc::new(MemoryJobStore::new());
    let (address, mut posts) = hook().await;
    let setup = |engine| Setup {
        jobs: Arc::clone(&jobs),
        engine,
        ..Setup::new()
    };
    let first = setup(false).options(may_call(true)).start().await;
    let body = json!({"prompt": "a red fox", "state": "mine", "notifyHook": address});
    let id = accepted(&first, "/mj/submit/imagine", body).await;
    let post = tokio::time::timeout(Duration::from_secs(20), posts.recv()).await;
    assert_eq!(text(&post.unwrap().unwrap(), "status"), "NOT_START");
    first.stopping.begin();
    first.task.await.unwrap().unwrap();

    let second = setup(true)
        .options(|http| may_call(true)(http).with_address("https://gallery.example"))
        .start()
        .await;
    loop {
        let post = tokio::time::timeout(Duration::from_secs(20), posts.recv()).await;
        let task = post.expect("a post comes").unwrap();
        assert_eq!((text(&task, "id"), text(&task, "state")), (&*id, "mine"));
        if text(&task, "status") == "SUCCESS" {
            assert!(
                text(&task, "imageUrl").starts_with("https://gallery.example/images/"),
                "{task}"
            );
            break;
        }
    }
    drop(second);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_upstream_lacks_has_no_button() {
    let client = Arc::new(FakeClient::new().with_capabilities(Capabilities::default()));
    let server = Setup {
        client: Arc::clone(&client) as _,
        ..Setup::new()
    };
    let server = server.start().await;
    let grid = drawn(&server, "a red fox").await;
    assert!(!labels(&grid).is_empty(), "{grid}");
    client.refuse_check(Some(Failure::new(FailureKind::Unsupported, "nothing more")));
    let grid = fetch(&server, text(&grid, "id")).await;
    assert_eq!(labels(&grid), Vec::<&str>::new());
}
