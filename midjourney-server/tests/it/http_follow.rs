//! Following all jobs with server-sent events.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt as _, stream::BoxStream};
use midjourney_core::{
    image::ImageStore,
    job::{JobStore, Position},
    memory::{MemoryImageStore, MemoryJobStore},
};
use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::{
    http_flow::events,
    http_support::{Server, Setup, send, text},
};

/// One that reads a stream of events.
struct Reader {
    bytes: BoxStream<'static, reqwest::Result<bytes::Bytes>>,
    text: String,
}

impl Reader {
    /// Returns once the server has begun to tell.
    async fn open(request: RequestBuilder) -> Self {
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        let mut reader = Self {
            bytes: answer.bytes_stream().boxed(),
            text: String::new(),
        };
        reader.read_until(|_, text| text.contains("\n\n")).await;
        reader
    }

    /// All events so far, once they are `enough`.
    async fn read_until(
        &mut self,
        enough: impl Fn(&[(u64, String, Value)], &str) -> bool,
    ) -> Vec<(u64, String, Value)> {
        let reading = async {
            loop {
                let whole = self.text.rfind("\n\n").map_or("", |end| &self.text[..end + 2]);
                let told = events(whole);
                if enough(&told, whole) {
                    return told;
                }
                let bytes = self.bytes.next().await.expect("there is more").unwrap();
                self.text.push_str(std::str::from_utf8(&bytes).unwrap());
            }
        };
        tokio::time::timeout(Duration::from_secs(20), reading)
            .await
            .unwrap()
    }

    async fn until_over(&mut self, jobs: usize) -> Vec<(u64, String, Value)> {
        let over = |told: &[(u64, String, Value)]| {
            told.iter().filter(|(_, kind, _)| kind == "job.completed").count()
        };
        self.read_until(|told, _| over(told) == jobs).await
    }
}

async fn stop(server: Server) {
    server.stopping.begin();
    let Server { task, .. } = server;
    let ended = tokio::time::timeout(Duration::from_secs(8), task).await;
    ended.expect("well within the grace").unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn all_jobs_are_followed_in_order_and_over_a_restart() {
    let jobs: Arc<dyn JobStore> = Arc::new(MemoryJobStore::new());
    let images: Arc<dyn ImageStore> = Arc::new(MemoryImageStore::new());
    let start = || {
        let setup = Setup {
            jobs: Arc::clone(&jobs),
            images: Arc::clone(&images),
            ..Setup::new()
        };
        setup.start()
    };
    let first = start().await;
    let mut reader = Reader::open(first.get("/events")).await;
    assert!(reader.text.starts_with("id: 0\n"), "{}", reader.text);
    let (red, blue) = tokio::join!(first.finished("a red fox"), first.finished("a blue fox"));
    let mut told = reader.until_over(2).await;
    stop(first).await;
    assert!(reader.bytes.next().await.is_none());

    let second = start().await;
    let green = second.finished("a green fox").await;
    let request = second.get("/events?after=0");
    let last = told.last().unwrap().0.to_string();
    let mut reader = Reader::open(request.header("last-event-id", last)).await;
    told.extend(reader.until_over(1).await);

    let committed = jobs.events(Position::START, 1000).await.unwrap();
    assert_eq!(told.len(), committed.len());
    for ((id, name, data), event) in told.iter().zip(&committed) {
        assert_eq!((*id, name.as_str()), (event.position.get(), event.kind.name()));
        assert_eq!(
            (
                text(data, "job"),
                data["sequence"].as_u64(),
                data["position"].as_u64()
            ),
            (&*event.job.to_string(), Some(event.sequence), Some(*id))
        );
    }

    // Some of them, whichever way they are named.
    let (red, green) = (text(&red, "id"), text(&green, "id"));
    for query in [format!("job={red},{green}"), format!("job={red}&job={green}")] {
        let mut reader = Reader::open(second.get(&format!("/events?after=0&{query}"))).await;
        let mut wanted = told.clone();
        wanted.retain(|(_, _, data)| data["job"] != blue["id"]);
        assert_eq!(reader.until_over(2).await, wanted, "{query}");
    }
}

#[tokio::test]
async fn a_wrong_question_for_events_is_told_with_its_place() {
    let server = Setup::idle().start().await;
    let missing = "job_019ab3c0d1e27f3a8b4c5d6e7f8091a2";
    let many: Vec<String> = (0..101).map(|n| format!("job_{n:032x}")).collect();
    for (query, pointer) in [
        ("job=fox".to_owned(), "/job"),
        (format!("job={missing},"), "/job"),
        (format!("job={}", many.join(",")), ""),
        ("after=-1".to_owned(), "/after"),
        ("after=1&after=2".to_owned(), ""),
        ("jobs=all".to_owned(), ""),
    ] {
        let (status, problem) = send(server.get(&format!("/events?{query}"))).await;
        assert_eq!(
            (status, text(&problem, "code")),
            (StatusCode::BAD_REQUEST, "invalid_request"),
            "{query}: {problem}"
        );
        let place = text(&problem["errors"][0], "pointer");
        assert!(place.starts_with(pointer), "{query}: {problem}");
    }
    let (status, problem) = send(server.get(&format!("/events?job={missing}"))).await;
    assert_eq!(
        (status, &problem["code"]),
        (StatusCode::NOT_FOUND, &json!("not_found"))
    );
}
