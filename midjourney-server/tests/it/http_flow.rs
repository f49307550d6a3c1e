//! The main job over HTTP: ask, follow, fetch, and what may be repeated.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt as _, future::join_all};
use midjourney_core::testing::FakeClient;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::http_support::{Server, Setup, send, text};

/// The events of a stream as `(id, name, data)`.
pub(crate) fn events(body: &str) -> Vec<(u64, String, Value)> {
    let field = |block: &str, name: &str| {
        let line = block.lines().find_map(|line| line.strip_prefix(name));
        line.map(|line| line.trim_start_matches(':').trim_start().to_owned())
    };
    let blocks = body.split("\n\n").filter(|block| block.contains("data:"));
    let read = |block| {
        let data = serde_json::from_str(&field(block, "data").unwrap()).unwrap();
        (
            field(block, "id").unwrap().parse().unwrap(),
            field(block, "event").unwrap(),
            data,
        )
    };
    blocks.map(read).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_becomes_a_job_and_the_job_becomes_pictures() {
    let server = Setup::new().start().await;

    let answer = server
        .post("/imagine")
        .json(&json!({"prompt": "a red fox --ar 3:2 --v 7"}))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    let place = answer.headers()["location"].to_str().unwrap().to_owned();
    assert_eq!(answer.headers()["retry-after"], "1");
    let body: Value = answer.json().await.unwrap();
    let id = text(&body, "id");
    assert_eq!(place, format!("/jobs/{id}"));
    assert_eq!(body["status"], "pending");
    assert_eq!(body["jobs"][0]["id"], id);
    assert_eq!(
        (&body["batch"], &body["replayed"], &body["warnings"]),
        (&Value::Null, &json!(false), &json!([]))
    );

    let answer = server.get(&format!("{place}/events")).send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let told = events(&answer.text().await.unwrap());
    let numbers: Vec<u64> = told.iter().map(|(id, ..)| *id).collect();
    assert_eq!(
        numbers,
        (1..=numbers.len())
            .map(|n| n.try_into().unwrap())
            .collect::<Vec<u64>>()
    );
    assert_eq!(told[0].1, "job.created");
    let last = told.last().unwrap();
    assert_eq!(
        (last.1.as_str(), text(&last.2, "status")),
        ("job.completed", "completed")
    );
    for (id, name, data) in &told {
        assert_eq!(
            (data["sequence"].as_u64(), text(data, "kind")),
            (Some(*id), name.as_str())
        );
    }

    let answer = server.get(&place).send().await.unwrap();
    let etag = answer.headers()["etag"].clone();
    assert!(!answer.headers().contains_key("retry-after"));
    let job: Value = answer.json().await.unwrap();
    assert_eq!(
        (text(&job, "status"), &job["simulated"]),
        ("completed", &json!(true))
    );
    assert_eq!(job["images"].as_array().unwrap().len(), 5);
    let again = server
        .get(&place)
        .header("if-none-match", etag)
        .send()
        .await
        .unwrap();
    assert_eq!(again.status(), StatusCode::NOT_MODIFIED);

    // From the middle, by header or by query; and nothing more to come.
    let rest = server
        .get(&format!("{place}/events?after=1"))
        .header("last-event-id", "3");
    let rest = events(&rest.send().await.unwrap().text().await.unwrap());
    assert_eq!(rest.first().map(|(id, ..)| *id), Some(4));
    let rest = server
        .get(&format!("{place}/events?after=2"))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert_eq!(events(&rest).first().map(|(id, ..)| *id), Some(3));
    let over = server
        .get(&format!("{place}/events?after={}", last.0))
        .send()
        .await
        .unwrap();
    assert_eq!(over.status(), StatusCode::NO_CONTENT);
}

#[tokio::test(flavor = "multi_thread")]
async fn permutations_become_a_batch_that_can_be_waited_for_and_listed() {
    let server = Setup::new().start().await;
    let request = server
        .post("/imagine")
        .header("prefer", "respond-async, wait=600");
    let answer = request
        .json(&json!({"prompt": "a {red, blue, green} fox", "version": "7"}))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["preference-applied"], "wait=60");
    let place = answer.headers()["location"].to_str().unwrap().to_owned();
    let body: Value = answer.json().await.unwrap();
    assert_eq!(place, format!("/jobs?batch={}", text(&body, "batch")));
    let prompts: Vec<_> = body["jobs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|job| text(job, "prompt"))
        .collect();
    assert_eq!(
        prompts,
        ["a red fox --v 7", "a blue fox --v 7", "a green fox --v 7"]
    );

    let (_, first) = send(server.get(&format!("{place}&limit=2&status=completed"))).await;
    assert_eq!(first["jobs"].as_array().unwrap().len(), 2);
    let (_, second) = send(server.get(&format!("{place}&after={}", text(&first, "next")))).await;
    assert_eq!(
        (second["jobs"].as_array().unwrap().len(), &second["next"]),
        (1, &Value::Null)
    );
    let (_, none) = send(server.get(&format!("{place}&status=failed"))).await;
    assert_eq!(none["jobs"], json!([]));
    // However much is asked for, a page stays a page.
    let (status, all) = send(server.get("/jobs?limit=99999999999999999999999999")).await;
    assert_eq!(
        (status, all["jobs"].as_array().unwrap().len()),
        (StatusCode::OK, 3)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_are_gone_on_from() {
    let server = Setup::new().start().await;
    let job = server.finished("a red fox").await;
    let images = job["images"].as_array().unwrap();
    let grid = images.iter().find(|image| image["kind"] == "grid").unwrap();
    let second = images.iter().find(|image| image["index"] == 2).unwrap();

    for (path, body, index) in [
        ("/upscale", json!({"job": job["id"], "index": 3}), 3),
        ("/upscale", json!({"image": second["id"], "mode": "subtle"}), 2),
        ("/upscale", json!({"image": grid["id"], "index": 4}), 4),
        (
            "/variation",
            json!({"image": second["id"], "index": 2, "strength": "strong"}),
            2,
        ),
        ("/variation", json!({"job": job["id"], "index": 1}), 1),
    ] {
        let (status, answer) = send(server.post(path).header("prefer", "wait=30").json(&body)).await;
        assert_eq!(status, StatusCode::OK, "{path} {body}: {answer}");
        let made = &answer["jobs"][0];
        assert_eq!(
            (&made["parent_job"], &made["parent_index"]),
            (&job["id"], &json!(index)),
            "{made}"
        );
        assert_eq!(made["status"], "completed", "{made}");
    }
    for (body, pointer) in [
        (json!({"job": job["id"]}), "/index"),
        (json!({"job": job["id"], "index": 0}), "/index"),
        (json!({"job": job["id"], "index": 5}), "/index"),
        (json!({"image": grid["id"]}), "/index"),
        (json!({"image": second["id"], "index": 1}), "/index"),
    ] {
        let (status, answer) = send(server.post("/upscale").json(&body)).await;
        assert_eq!(
            (status, text(&answer["errors"][0], "pointer")),
            (StatusCode::UNPROCESSABLE_ENTITY, pointer)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_key_is_one_job_however_often_it_comes_at_once() {
    let server = Setup::idle().start().await;
    let ask = |prompt: &'static str, key: String| {
        let request = server.post("/imagine").header("idempotency-key", key);
        send(request.json(&json!({ "prompt": prompt })))
    };
    for round in 0..5 {
        let key = format!("key-{round}");
        let answers = join_all((0..64).map(|_| ask("a red fox", key.clone()))).await;
        let first = text(&answers[0].1, "id");
        let created = answers
            .iter()
            .filter(|(_, body)| body["replayed"] == json!(false))
            .count();
        assert_eq!(created, 1);
        for (status, body) in &answers {
            assert_eq!((*status, text(body, "id")), (StatusCode::ACCEPTED, first));
        }
        let (status, problem) = ask("a blue fox", key).await;
        assert_eq!(
            (status, text(&problem, "code")),
            (StatusCode::UNPROCESSABLE_ENTITY, "idempotency_mismatch")
        );
    }
    let (_, page) = send(server.get("/jobs")).await;
    assert_eq!(page["jobs"].as_array().unwrap().len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_cancelled_and_a_finished_one_is_not() {
    let server = Setup::idle().start().await;
    let (_, body) = send(server.post("/imagine").json(&json!({"prompt": "a fox"}))).await;
    let id = text(&body, "id").to_owned();
    let (status, job) = send(server.post(&format!("/jobs/{id}/cancel"))).await;
    assert_eq!((status, text(&job, "status")), (StatusCode::OK, "cancelled"));
    let (status, _) = send(server.post(&format!("/jobs/{id}/cancel"))).await;
    assert_eq!(status, StatusCode::OK);
    let (status, problem) = send(
        server
            .post(&format!("/jobs/{id}/resolve"))
            .json(&json!({"decision": "resubmit"})),
    )
    .await;
    assert_eq!(
        (status, text(&problem, "code")),
        (StatusCode::CONFLICT, "conflict")
    );
    let (status, problem) = send(server.post("/upscale").json(&json!({"job": id, "index": 1}))).await;
    assert_eq!(
        (status, text(&problem, "code")),
        (StatusCode::CONFLICT, "conflict")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seed_is_told_once_there_is_one() {
    let server = Setup::new().start().await;
    let job = server.finished("a red fox --seed 42").await;
    let (status, body) = send(server.get(&format!("/jobs/{}/seed", text(&job, "id")))).await;
    assert_eq!(
        (status, body),
        (StatusCode::OK, json!({"job": job["id"], "seed": 42}))
    );
    let (_, running) = send(server.post("/imagine").json(&json!({"prompt": "a fox sim:hang"}))).await;
    let (status, body) = send(server.get(&format!("/jobs/{}/seed", text(&running, "id")))).await;
    assert_eq!((status, text(&body, "code")), (StatusCode::CONFLICT, "conflict"));
    let mut setup = Setup::new();
    setup.client = Arc::new(FakeClient::new());
    let silent = setup.start().await;
    let job = silent.finished("a red fox").await;
    let (status, body) = send(silent.get(&format!("/jobs/{}/seed", text(&job, "id")))).await;
    assert_eq!(
        (status, body),
        (StatusCode::OK, json!({"job": job["id"], "seed": null}))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_submit_waits_for_a_decision() {
    use midjourney_core::testing::SubmitOutcome;
    let upstream = Arc::new(FakeClient::new());
    upstream.script_submits([SubmitOutcome::LostAfter, SubmitOutcome::LostBefore]);
    let server = Setup {
        client: Arc::<FakeClient>::clone(&upstream),
        ..Setup::new()
    }
    .start()
    .await;
    for decision in [
        json!({"decision": "adopt", "upstream_id": "task-1"}),
        json!({"decision": "give_up"}),
    ] {
        let (_, body) = send(server.post("/imagine").json(&json!({"prompt": "a fox"}))).await;
        let place = format!("/jobs/{}", text(&body, "id"));
        let mut stream = server
            .get(&format!("{place}/events"))
            .send()
            .await
            .unwrap()
            .bytes_stream();
        let mut told = String::new();
        while !told.contains("job.submit_unknown") {
            told.push_str(std::str::from_utf8(&stream.next().await.unwrap().unwrap()).unwrap());
        }
        let (status, job) = send(server.post(&format!("{place}/resolve")).json(&decision)).await;
        assert_eq!(status, StatusCode::OK, "{job}");
        assert_ne!(job["stage"], "submit_unknown", "{job}");
    }
    assert_eq!(upstream.paid(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_hangs_up_does_not_stop_its_request() {
    let server = Setup::idle().start().await;
    let body = json!({"prompt": "a fox"}).to_string();
    let head = format!(
        "POST /imagine HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    for _ in 0..20 {
        let mut socket = tokio::net::TcpStream::connect(server.address).await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut socket, format!("{head}{body}").as_bytes())
            .await
            .unwrap();
        drop(socket);
    }
    // Whatever was taken up is whole: each stored job can be read and has its first event.
    let (_, page) = send(server.get("/jobs")).await;
    for job in page["jobs"].as_array().unwrap() {
        assert_eq!(job["sequence"], 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn waits_and_streams_end_with_the_server() {
    let server = Setup::idle().start().await;
    let (_, body) = send(server.post("/imagine").json(&json!({"prompt": "a fox"}))).await;
    let place = format!("/jobs/{}", text(&body, "id"));
    let mut stream = server
        .get(&format!("{place}/events"))
        .send()
        .await
        .unwrap()
        .bytes_stream();
    assert!(String::from_utf8_lossy(&stream.next().await.unwrap().unwrap()).contains("job.created"));
    let wait = tokio::spawn(server.get(&place).header("prefer", "wait=60").send());
    // The long wait has reached the server once it counts as a second request under way; a round trip on a fresh
    // connection behind it is the nearest thing a client can see.
    send(server.get("/healthz")).await;

    server.stopping.begin();
    let Server { task, .. } = server;
    assert!(stream.next().await.is_none());
    let ended = tokio::time::timeout(Duration::from_secs(8), task).await;
    ended.expect("well within the grace").unwrap().unwrap();
    if let Ok(answer) = wait.await.unwrap() {
        assert_eq!(answer.status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn a_prompt_is_checked_without_spending() {
    let server = Setup::idle().start().await;
    let (status, good) = send(
        server
            .post("/prompt/check")
            .json(&json!({"prompt": "a {red, blue} fox --aspect 3:2"})),
    )
    .await;
    assert_eq!(
        (status, &good["valid"], &good["count"]),
        (StatusCode::OK, &json!(true), &json!(2))
    );
    assert_eq!(good["jobs"], json!(["a red fox --ar 3:2", "a blue fox --ar 3:2"]));
    let (status, bad) = send(
        server
            .post("/prompt/check")
            .json(&json!({"prompt": "a fox --s 5000"})),
    )
    .await;
    assert_eq!(
        (status, &bad["valid"], &bad["jobs"]),
        (StatusCode::OK, &json!(false), &json!([]))
    );
    assert_eq!(bad["errors"][0]["code"], "prompt.value_out_of_range");
    assert_eq!(bad["corrected"], "a fox --s 1000");
    let (status, refused) = send(server.post("/imagine").json(&json!({"prompt": "a fox --s 5000"}))).await;
    assert_eq!(
        (status, text(&refused, "code")),
        (StatusCode::UNPROCESSABLE_ENTITY, "invalid_prompt")
    );
    assert_eq!(refused["diagnostics"], bad["errors"]);
    let (_, page) = send(server.get("/jobs")).await;
    assert_eq!(page["jobs"], json!([]));
}

#[tokio::test]
async fn versions_and_configuration_are_told() {
    let entries = json!({"api": {"midjourney_key": {"source": "environment", "set": true}}});
    let server = Setup::idle()
        .options(|options| options.with_config(entries.clone()))
        .start()
        .await;
    assert_eq!(send(server.get("/config")).await, (StatusCode::OK, entries));
    let (_, versions) = send(server.get("/version")).await;
    let default = text(&versions, "default_version");
    let listed = versions["versions"].as_array().unwrap();
    let marked: Vec<_> = listed
        .iter()
        .filter(|version| version["default"] == json!(true))
        .collect();
    assert_eq!((marked.len(), text(marked[0], "id")), (1, default));
    assert!(
        listed
            .iter()
            .all(|version| !version["parameters"].as_array().unwrap().is_empty()),
        "{versions}"
    );
    for path in ["/healthz", "/readyz"] {
        assert_eq!(
            send(server.get(path)).await,
            (StatusCode::OK, json!({"status": "ok"}))
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_are_told() {
    let server = Setup::new().start().await;
    let accounts: Value = server
        .get("/accounts")
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let account = &accounts[0];
    assert_eq!(
        (&account["condition"], &account["pending"], &account["spent"]),
        (&json!("ok"), &json!(0), &json!({"day": 0, "month": 0}))
    );
    assert_eq!(account["actions"][0], "imagine");
}
