//! The description of the interface: what it says is so.

use reqwest::StatusCode;
use serde_json::Value;

use crate::http_support::{Setup, send, text};

#[tokio::test]
async fn the_description_is_the_one_that_was_agreed_on() {
    let server = Setup::idle().start().await;
    let (_, api) = send(server.get("/openapi.json")).await;
    let now = format!("{}\n", serde_json::to_string_pretty(&api).unwrap());
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/openapi.json");
    if std::env::var_os("MEND_GOLDEN").is_some() {
        std::fs::write(file, &now).unwrap();
    }
    let agreed = std::fs::read_to_string(file).unwrap_or_default();
    let differs = agreed
        .lines()
        .zip(now.lines())
        .position(|(agreed, now)| agreed != now);
    assert!(
        agreed == now,
        "the interface has changed, first in line {}: look whether callers can live with it, then run\n  \
         MEND_GOLDEN=1 cargo test -p midjourney-server the_description\nand commit tests/it/openapi.json",
        differs.unwrap_or_else(|| agreed.lines().count().min(now.lines().count())) + 1
    );
}

#[tokio::test]
async fn everything_that_is_described_is_there_and_every_reference_leads_somewhere() {
    let server = Setup::idle().start().await;
    let (_, api) = send(server.get("/openapi.json")).await;
    assert!(text(&api, "openapi").starts_with("3.1"));
    let mut operations = 0;
    for (path, item) in api["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            operations += 1;
            assert!(!text(operation, "summary").is_empty(), "{method} {path}");
            assert!(operation["responses"]["default"].is_object(), "{method} {path}");
            let path = path.replace("{id}", "job_019ab3c0d1e27f3a8b4c5d6e7f8091a2");
            let answer = server
                .request(&method.to_uppercase(), &path)
                .send()
                .await
                .unwrap();
            assert_ne!(answer.status(), StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
            if answer
                .headers()
                .get("content-type")
                .is_some_and(|kind| kind == "text/event-stream")
            {
                // It is there, and has no end.
                continue;
            }
            let body = answer.text().await.unwrap();
            assert!(!body.contains("no such route"), "{method} {path}: {body}");
        }
    }
    assert_eq!(operations, 80);
    let mut stack = vec![&api];
    while let Some(value) = stack.pop() {
        match value {
            Value::Object(map) => {
                if let Some(Value::String(target)) = map.get("$ref") {
                    let pointer = target.strip_prefix('#').unwrap();
                    assert!(api.pointer(pointer).is_some(), "{target} leads nowhere");
                }
                stack.extend(map.values());
            }
            Value::Array(items) => stack.extend(items),
            _ => {}
        }
    }
}

#[tokio::test]
async fn the_documentation_is_served_from_here_alone() {
    let server = Setup::idle().start().await;
    assert_eq!(
        server.get("/docs").send().await.unwrap().headers()["location"],
        "/docs/"
    );
    let root = server
        .get("/")
        .header("accept", "text/html")
        .send()
        .await
        .unwrap();
    assert_eq!(
        (root.status(), &root.headers()["location"]),
        (StatusCode::SEE_OTHER, &"/docs/".parse().unwrap())
    );
    let page = server.get("/docs/").send().await.unwrap().text().await.unwrap();
    assert!(!page.contains("//cdn") && !page.contains("https://"), "{page}");
    let named = page.split(['"', '\'']).filter(|part| part.starts_with("./"));
    let mut files = 0;
    for file in named {
        let answer = server
            .get(&format!("/docs/{}", file.trim_start_matches("./")))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{file}");
        files += 1;
    }
    assert!(files >= 4, "{page}");
    // The policy forbids scripts and styles within the page.
    assert!(!page.contains("<style") && !page.contains("<script>"), "{page}");
    let script = server
        .get("/docs/swagger-initializer.js")
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(script.contains("/openapi.json"), "{script}");
    let errors = server
        .get("/docs/errors")
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(errors.contains("id=\"idempotency_mismatch\""));
}
