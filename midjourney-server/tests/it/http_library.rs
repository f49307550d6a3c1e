//! Finding pictures again, pinning and tagging them, and what came of what.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::http_support::{Server, Setup, send, text};

async fn found(server: &Server, query: &str) -> Vec<String> {
    let (status, page) = send(server.get(&format!("/images?{query}"))).await;
    assert_eq!(status, StatusCode::OK, "{query}: {page}");
    let images = page["images"].as_array().unwrap();
    images.iter().map(|image| text(image, "id").to_owned()).collect()
}

fn ids(job: &Value) -> Vec<String> {
    let images = job["images"].as_array().unwrap();
    images.iter().map(|image| text(image, "id").to_owned()).collect()
}

async fn varied(server: &Server, job: &Value, index: u8) -> Value {
    let request = server
        .post("/variation")
        .header("prefer", "wait=30")
        .json(&json!({"job": text(job, "id"), "index": index}));
    let (status, body) = send(request).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    body["jobs"][0].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_are_found_by_what_they_were_made_from() {
    let server = Setup::new().start().await;
    let red = server.finished("a red fox in the snow --ar 3:2 --v 7").await;
    let blue = server.finished("a blue whale --ar 2:3").await;
    let child = varied(&server, &red, 2).await;
    let all = [ids(&child), ids(&blue), ids(&red)].concat();
    let day = &text(&red, "created_at")[..10];
    for (query, expected) in [
        ("text=fox", [ids(&child), ids(&red)].concat()),
        ("text=SNO%20re", [ids(&child), ids(&red)].concat()),
        ("text=whale%20fox", vec![]),
        ("parameters=--aspect%202:3", ids(&blue)),
        ("version=7&action=imagine", ids(&red)),
        (&format!("parent={}", text(&red, "id")), ids(&child)),
        (&format!("from={day}&text=a"), all.clone()),
        ("to=2025-12-31", vec![]),
        ("pinned=true", vec![]),
    ] {
        assert_eq!(found(&server, query).await, expected, "{query}");
    }
    // Page by page it is the same.
    let mut pages = Vec::new();
    let mut after = String::new();
    loop {
        let (_, page) = send(server.get(&format!("/images?text=a&limit=4{after}"))).await;
        let images = page["images"].as_array().unwrap();
        pages.extend(images.iter().map(|image| text(image, "id").to_owned()));
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert_eq!(pages, all);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_searched_for_is_told() {
    let server = Setup::new().start().await;
    let job = server.finished("a red fox").await;
    for (query, field, expected) in [
        ("parameters=ar%203:2", "/parameters", "--ar 3:2"),
        (
            "parameters=fox%20--ar%203:2",
            "/parameters",
            "words belong into text",
        ),
        ("from=2026-02-30", "/from", "a day such as"),
        ("from=2026-02-02&to=2026-02-01", "/from", "2026-02-01"),
        ("action=paint", "/action", "imagine, upscale"),
        ("tag=two%20words", "/tag", "letters, digits"),
        ("pinned=1", "/pinned", "`true` or `false`"),
        ("colour=red", "colour", "unknown field"),
        (&format!("job={}&text=fox", text(&job, "id")), "/job", "alone"),
    ] {
        let (status, problem) = send(server.get(&format!("/images?{query}"))).await;
        assert!(status.is_client_error(), "{query}: {status}");
        let told = problem.to_string();
        assert!(told.contains(field) && told.contains(expected), "{query}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_are_pinned_tagged_and_removed() {
    let server = Setup::new().start().await;
    let job = server.finished("a red fox").await;
    let id = &ids(&job)[1];
    let place = format!("/images/{id}");
    let (status, pinned) = send(server.request("PUT", &format!("{place}/pin"))).await;
    assert_eq!((status, &pinned["pinned"]), (StatusCode::OK, &json!(true)));
    let tags = server
        .request("PUT", &format!("{place}/tags"))
        .json(&json!({"tags": ["Best", "foxes", "best"]}));
    let (status, tagged) = send(tags).await;
    assert_eq!(
        (status, &tagged["tags"]),
        (StatusCode::OK, &json!(["best", "foxes"]))
    );
    assert_eq!(send(server.get(&place)).await.1, tagged);
    assert_eq!(
        found(&server, "tag=best&pinned=true").await,
        std::slice::from_ref(id)
    );

    let (status, problem) = send(server.request("DELETE", &place)).await;
    assert_eq!(status, StatusCode::CONFLICT, "{problem}");
    assert!(problem.to_string().contains("unpin it first"), "{problem}");
    send(server.request("DELETE", &format!("{place}/pin"))).await;
    let gone = server.request("DELETE", &place).send().await.unwrap();
    assert_eq!(gone.status(), StatusCode::NO_CONTENT);
    for path in [place.clone(), format!("{place}/content")] {
        assert_eq!(
            server.get(&path).send().await.unwrap().status(),
            StatusCode::NOT_FOUND
        );
    }
    let (status, _) = send(server.request("PUT", &format!("{place}/pin"))).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(found(&server, "text=fox").await.len(), ids(&job).len() - 1);

    let many: Vec<_> = (0..21).map(|number| format!("tag{number}")).collect();
    for (body, expected) in [
        (json!({"tags": many}), "20 tags at most"),
        (json!({"tags": ["a b"]}), "letters, digits"),
        (json!({"tags": "best"}), "tags"),
    ] {
        let other = format!("/images/{}/tags", ids(&job)[2]);
        let (status, problem) = send(server.request("PUT", &other).json(&body)).await;
        assert!(
            status.is_client_error() && problem.to_string().contains(expected),
            "{problem}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tree_tells_what_came_of_what() {
    let server = Setup::new().start().await;
    let root = server.finished("a red fox").await;
    let first = varied(&server, &root, 1).await;
    let second = varied(&server, &root, 4).await;
    let leaf = varied(&server, &first, 3).await;
    let mut trees = Vec::new();
    for job in [&root, &first, &second, &leaf] {
        let (status, tree) = send(server.get(&format!("/jobs/{}/tree", text(job, "id")))).await;
        assert_eq!(status, StatusCode::OK, "{tree}");
        trees.push(tree);
    }
    assert!(
        trees.iter().all(|tree| *tree == trees[0]),
        "the same from everywhere"
    );
    let tree = &trees[0];
    assert_eq!((&tree["job"], &tree["action"]), (&root["id"], &json!("imagine")));
    assert_eq!(tree["images"], root["images"]);
    let shape = |node: &Value| {
        (
            node["job"].clone(),
            node["parent_index"].clone(),
            node["children"].as_array().unwrap().len(),
        )
    };
    let below = tree["children"].as_array().unwrap();
    assert_eq!(shape(&below[0]), (second["id"].clone(), json!(4), 0));
    assert_eq!(shape(&below[1]), (first["id"].clone(), json!(1), 1));
    assert_eq!(shape(&below[1]["children"][0]), (leaf["id"].clone(), json!(3), 0));
}
