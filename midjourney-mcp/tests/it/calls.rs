//! What the tools do.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use midjourney_mcp::open::{OpenError, OpenGateway, Opened};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::session::{Memory, Session, blocks, text};

fn decoded(block: &Value) -> image::DynamicImage {
    let bytes = STANDARD.decode(block["data"].as_str().unwrap()).unwrap();
    image::load_from_memory(&bytes).unwrap()
}

#[tokio::test]
async fn a_wish_becomes_pictures_that_can_be_seen_and_read() {
    let mut session = Session::quick().await;
    let result = session
        .call(
            "imagine",
            json!({"prompt": "a red fox in the snow --ar 3:2 --v 7"}),
        )
        .await;
    let data = &result["structuredContent"];
    assert_eq!(
        (&data["status"], &data["simulated"]),
        (&json!("completed"), &json!(true))
    );
    assert_eq!(data["prompt"], "a red fox in the snow --ar 3:2 --v 7");
    assert!(data["next"].is_null(), "{data}");
    let said = text(&result);
    for part in [
        data["job_id"].as_str().unwrap(),
        "SIMULATED",
        "Seed: ",
        "\"a red fox in the snow",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let pictures = blocks(&result, "image");
    assert_eq!(pictures.len(), 1);
    let sheet = decoded(pictures[0]);
    assert!(sheet.width() <= 768 && sheet.height() <= 768);
    let links = blocks(&result, "resource_link");
    let images = data["images"].as_array().unwrap();
    assert_eq!((links.len(), images.len()), (5, 5), "the grid and four pictures");
    for (link, image) in links.iter().zip(images) {
        assert_eq!((&link["uri"], &link["size"]), (&image["uri"], &image["bytes"]));
        let read = session
            .request("resources/read", json!({"uri": link["uri"]}))
            .await;
        let contents = &read["result"]["contents"][0];
        assert_eq!(
            (&contents["uri"], &contents["mimeType"]),
            (&link["uri"], &link["mimeType"])
        );
        let bytes = STANDARD.decode(contents["blob"].as_str().unwrap()).unwrap();
        assert_eq!(json!(bytes.len()), image["bytes"]);
        let picture = image::load_from_memory(&bytes).unwrap();
        assert_eq!(
            (json!(picture.width()), json!(picture.height())),
            (image["width"].clone(), image["height"].clone())
        );
    }
    // What is offered as possible works as it stands.
    for action in data["actions"].as_array().unwrap() {
        let shown = session
            .call(action["tool"].as_str().unwrap(), action["arguments"].clone())
            .await;
        assert_eq!(
            (blocks(&shown, "image").len(), &shown["isError"]),
            (1, &json!(false))
        );
    }
}

#[tokio::test]
async fn progress_is_told_to_those_who_asked_and_rises() {
    let mut session = Session::local(Memory::drawing(64, Duration::from_millis(900)));
    session.greet().await;
    let call = json!({"name": "imagine", "arguments": {"prompt": "a fox"}, "_meta": {"progressToken": "t"}});
    session.request("tools/call", call).await;
    let notes = std::mem::take(&mut session.notes);
    assert!(notes.len() >= 2, "{notes:?}");
    let mut last = 0.0;
    for note in &notes {
        assert_eq!(
            (&note["method"], &note["params"]["progressToken"]),
            (&json!("notifications/progress"), &json!("t"))
        );
        let progress = note["params"]["progress"].as_f64().unwrap();
        assert!(progress > last && progress <= 100.0, "{notes:?}");
        last = progress;
        assert!(note["params"]["message"].as_str().unwrap().chars().count() <= 200);
    }
    session.good("imagine", json!({"prompt": "another fox"})).await;
    assert!(session.notes.is_empty(), "nobody asked: {:?}", session.notes);
}

#[tokio::test]
async fn what_takes_longer_is_running_and_wait_brings_it() {
    let mut session = Session::quick().await;
    let begun = Instant::now();
    let result = session
        .call("imagine", json!({"prompt": "a fox sim:hang", "wait_seconds": 1}))
        .await;
    assert!(begun.elapsed() < Duration::from_secs(30));
    let data = &result["structuredContent"];
    assert_eq!(
        (&result["isError"], &data["status"]),
        (&json!(false), &json!("running"))
    );
    let job = data["job_id"].clone();
    assert_eq!(
        data["next"],
        json!({"tool": "wait", "arguments": {"job_id": job}})
    );
    assert!(text(&result).contains("nothing needs to be repeated"));

    let still = session
        .good("wait", json!({"job_id": job, "wait_seconds": 0}))
        .await;
    assert_eq!(still["status"], "running");
    assert_eq!(
        session.good("get_job", json!({"job_id": job})).await["status"],
        "running"
    );
    let refused = session.bad("show", json!({"job_id": job}), "conflict").await;
    assert!(refused.contains("Next: wait"), "{refused}");
    session.good("cancel", json!({"job_id": job})).await;
    session.good("cancel", json!({"job_id": job})).await;
    let over = session.good("wait", json!({"job_id": job})).await;
    assert_eq!(over["status"], "cancelled");

    let queued = session
        .good("imagine", json!({"prompt": "a quick fox", "wait_seconds": 0}))
        .await;
    assert_eq!(queued["status"], "running");
    let next = &queued["next"];
    let done = session
        .good(next["tool"].as_str().unwrap(), next["arguments"].clone())
        .await;
    assert_eq!(
        (&done["status"], done["images"].as_array().unwrap().len()),
        (&json!("completed"), 5)
    );
}

#[tokio::test]
async fn permutations_become_several_jobs_and_one_sheet() {
    let mut session = Session::quick().await;
    let result = session
        .call("imagine", json!({"prompt": "a {red, green, blue} fox --v 7"}))
        .await;
    let data = &result["structuredContent"];
    assert_eq!(data["status"], "completed");
    let prompts: Vec<_> = data["jobs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|job| job["prompt"].clone())
        .collect();
    assert_eq!(
        prompts,
        ["a red fox --v 7", "a green fox --v 7", "a blue fox --v 7"]
    );
    assert_eq!(
        (
            blocks(&result, "image").len(),
            blocks(&result, "resource_link").len()
        ),
        (1, 15)
    );
    let said = text(&result);
    assert!(said.contains("1. job_") && said.contains("3. job_"), "{said}");
    let again = session.good("get_job", json!({"job_id": data["batch_id"]})).await;
    assert_eq!(again["jobs"].as_array().unwrap().len(), 3);

    let early = session
        .good(
            "imagine",
            json!({"prompt": "a {big, small} fox", "wait_seconds": 0}),
        )
        .await;
    assert_eq!(early["next"]["arguments"]["job_id"], early["batch_id"]);
    let done = session.good("wait", early["next"]["arguments"].clone()).await;
    assert_eq!(done["status"], "completed");
}

#[tokio::test]
async fn lists_page_and_filter() {
    let mut session = Session::quick().await;
    for number in 0..5 {
        session
            .good("imagine", json!({"prompt": format!("fox {number}")}))
            .await;
    }
    let mut seen = Vec::new();
    let mut arguments = json!({"limit": 2, "status": "completed"});
    loop {
        let page = session.good("list_jobs", arguments).await;
        seen.extend(
            page["jobs"]
                .as_array()
                .unwrap()
                .iter()
                .map(|job| job["prompt"].as_str().unwrap().to_owned()),
        );
        if page["next"].is_null() {
            break;
        }
        arguments = page["next"]["arguments"].clone();
    }
    assert_eq!(seen.len(), 5);
    assert!(
        seen[0].starts_with("fox 4") && seen[4].starts_with("fox 0"),
        "{seen:?}"
    );
    let none = session.good("list_jobs", json!({"status": "failed"})).await;
    assert_eq!(none["jobs"], json!([]));
}

#[tokio::test]
async fn a_caller_that_gives_up_ends_its_wait_and_not_the_job() {
    let memory: Arc<dyn OpenGateway> = Memory::drawing(64, Duration::from_secs(2));
    let mut session = Session::local(Arc::clone(&memory));
    session.greet().await;
    let id = session
        .start(
            "tools/call",
            json!({"name": "imagine", "arguments": {"prompt": "a fox"}}),
        )
        .await;
    let jobs = loop {
        let page = session.good("list_jobs", json!({})).await;
        if page["jobs"] != json!([]) {
            break page["jobs"].clone();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    session
        .send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}}))
        .await;
    let done = session.good("wait", json!({"job_id": jobs[0]["job_id"]})).await;
    assert_eq!(done["status"], "completed");
    assert!(
        session.notes.iter().all(|note| note["id"] != id),
        "cancelled requests get no answer"
    );

    // And one that hangs up: the server ends at once, the job is there for the next one.
    let job = session
        .good("imagine", json!({"prompt": "a second fox", "wait_seconds": 0}))
        .await["job_id"]
        .clone();
    session
        .start(
            "tools/call",
            json!({"name": "wait", "arguments": {"job_id": job}}),
        )
        .await;
    let begun = Instant::now();
    session.hang_up().await;
    session.serving.take().unwrap().await.unwrap().unwrap();
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    let mut next = Session::local(memory);
    next.greet().await;
    let done = next.good("wait", json!({"job_id": job})).await;
    assert_eq!(done["status"], "completed", "{done}");
}

#[tokio::test]
async fn a_gateway_that_cannot_be_opened_is_told_and_tried_again() {
    #[derive(Debug)]
    struct Broken(AtomicBool);
    #[async_trait::async_trait]
    impl OpenGateway for Broken {
        fn notice(&self) -> Option<String> {
            Some("mind the gap".to_owned())
        }
        async fn open(&self) -> Result<Opened, OpenError> {
            if self.0.load(Ordering::SeqCst) {
                return Memory::quick().open().await;
            }
            Err(OpenError::new("server.port: `x` is no number\nsecond line").with_source("secret"))
        }
    }
    let opener = Arc::new(Broken(AtomicBool::new(false)));
    let mut session = Session::local(Arc::<Broken>::clone(&opener));
    let greeting = session.greet().await;
    assert!(
        greeting["result"]["instructions"]
            .as_str()
            .unwrap()
            .starts_with("mind the gap")
    );
    let said = session.bad("list_jobs", json!({}), "setup_failed").await;
    assert!(
        said.contains("server.port: `x` is no number\nsecond line") && !said.contains("secret"),
        "{said}"
    );
    opener.0.store(true, Ordering::SeqCst);
    session.good("list_jobs", json!({})).await;
}

#[tokio::test]
async fn a_panic_is_an_answer_and_the_server_lives() {
    #[derive(Debug)]
    struct Panics;
    #[async_trait::async_trait]
    impl OpenGateway for Panics {
        async fn open(&self) -> Result<Opened, OpenError> {
            panic!("on purpose")
        }
    }
    let mut session = Session::local(Arc::new(Panics));
    session.greet().await;
    for _ in 0..2 {
        let said = session.bad("list_jobs", json!({}), "internal").await;
        assert!(!said.contains("on purpose"), "{said}");
    }
}
