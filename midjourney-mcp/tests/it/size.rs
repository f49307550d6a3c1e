//! Results stay within what clients take.

use std::time::Duration;

use serde_json::json;

use crate::session::{Memory, Session, blocks};

#[tokio::test]
async fn the_largest_results_stay_below_the_limit() {
    let mut session = Session::local(Memory::drawing(128, Duration::from_millis(20)));
    session.greet().await;
    // Forty jobs with long prompts full of what JSON has to escape.
    let long = "\\\" quoted fox ".repeat(120);
    let prompt = format!(
        "{long} {{{}}}",
        (0..40).map(|n| n.to_string()).collect::<Vec<_>>().join(", ")
    );
    let result = session.call("imagine", json!({"prompt": prompt})).await;
    let jobs = result["structuredContent"]["jobs"].as_array().unwrap();
    assert_eq!(jobs.len(), 40, "{result}");
    let raw = result.to_string();
    assert!(raw.len() <= 700_000, "{}", raw.len());
    assert_eq!(blocks(&result, "image").len(), 1);
    let listed = session.call("list_jobs", json!({"limit": 50})).await;
    assert!(
        listed.to_string().len() <= 100_000,
        "{}",
        listed.to_string().len()
    );
}

#[tokio::test]
async fn large_pictures_are_shown_smaller_and_say_so() {
    let mut session = Session::local(Memory::drawing(1_400, Duration::from_millis(20)));
    session.greet().await;
    let result = session.call("imagine", json!({"prompt": "a large fox"})).await;
    assert!(result.to_string().len() <= 700_000);
    let data = &result["structuredContent"];
    for size in [256, 512, 768, 1024] {
        let shown = session
            .call(
                "show",
                json!({"job_id": data["job_id"], "index": 1, "size": size}),
            )
            .await;
        let shown_data = &shown["structuredContent"];
        let edge = shown_data["width"]
            .as_u64()
            .max(shown_data["height"].as_u64())
            .unwrap();
        assert_eq!(edge, size, "{shown_data}");
        assert!(shown.to_string().len() <= 700_000);
    }
    for image in data["images"].as_array().unwrap() {
        let read = session
            .request("resources/read", json!({"uri": image["uri"]}))
            .await;
        assert!(read.to_string().len() < 1 << 20, "{}", read.to_string().len());
        let contents = &read["result"]["contents"][0];
        let scaled = image["bytes"].as_u64().unwrap() > 750_000;
        assert_eq!(contents["_meta"]["scaled"].is_object(), scaled, "{image}");
        assert_eq!(contents["mimeType"] == "image/jpeg", scaled, "{image}");
    }
}
