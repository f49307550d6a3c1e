//! Wrong requests: every one gets a problem with its status, code and place, and nothing is written.

use std::sync::Arc;

use midjourney_core::{
    job::{Failure, FailureKind, JobStore},
    memory::MemoryJobStore,
    testing::{FakeClient, FaultPlan, FaultyJobStore},
};
use serde_json::{Value, json};

use crate::http_support::{Setup, send, text};

const JOB: &str = "job_019ab3c0d1e27f3a8b4c5d6e7f8091a2";
const IMAGE: &str = "img_019ab3c0d1e27f3a8b4c5d6e7f8091a2";

struct Case {
    method: &'static str,
    path: String,
    headers: Vec<(&'static str, String)>,
    body: Option<String>,
    status: u16,
    code: &'static str,
    /// `in` and `pointer` of the first error; empty for none.
    place: &'static str,
    /// What the detail has in it.
    says: &'static str,
}

fn case(
    line: &str,
    body: Option<&str>,
    answer: (u16, &'static str),
    place: &'static str,
    says: &'static str,
) -> Case {
    let (method, path) = line.split_once(' ').unwrap();
    let method = if method == "GET" { "GET" } else { "POST" };
    let headers = if body.is_some() {
        vec![("content-type", "application/json".to_owned())]
    } else {
        Vec::new()
    };
    let path = path.replace("JOB", JOB).replace("IMAGE", IMAGE);
    let body = body.map(|body| body.replace("JOB", JOB).replace("IMAGE", IMAGE));
    Case {
        method,
        path,
        headers,
        body,
        status: answer.0,
        code: answer.1,
        place,
        says,
    }
}

impl Case {
    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value.into()));
        self
    }
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn cases() -> Vec<Case> {
    let bad = (400, "invalid_request");
    let wrong = (422, "invalid_request");
    let gone = (404, "not_found");
    let media = (415, "unsupported_media_type");
    let fox = Some("{\"prompt\":\"a fox\"}");
    vec![
        // Bodies that are no JSON.
        case("POST /imagine", Some(""), bad, "body ", "the body is empty"),
        case("POST /imagine", Some("{"), bad, "body ", "line 1 column 1"),
        case(
            "POST /imagine",
            Some("{\"prompt\":\"a\n\"}"),
            bad,
            "body ",
            "line 2 column 0",
        ),
        case(
            "POST /imagine",
            Some("{\"prompt\":'a'}"),
            bad,
            "body ",
            "line 1 column 11",
        ),
        case(
            "POST /imagine",
            Some("{\"prompt\":\"a\"}}"),
            bad,
            "body ",
            "trailing characters",
        ),
        case(
            "POST /imagine",
            Some("{\"prompt\":\"\\ud800\"}"),
            bad,
            "body ",
            "broken JSON",
        ),
        case("POST /imagine", Some("prompt=fox"), bad, "body ", "broken JSON"),
        // JSON of the wrong shape.
        case(
            "POST /imagine",
            Some("[\"a fox\"]"),
            wrong,
            "body ",
            "expected a JSON object",
        ),
        case(
            "POST /imagine",
            Some("\"a fox\""),
            wrong,
            "body ",
            "invalid type: string",
        ),
        case(
            "POST /imagine",
            Some("null"),
            wrong,
            "body ",
            "invalid type: null",
        ),
        case(
            "POST /imagine",
            Some("{}"),
            wrong,
            "body ",
            "missing field `prompt`",
        ),
        case(
            "POST /imagine",
            Some("{\"prompt\":7}"),
            wrong,
            "body /prompt",
            "expected a string",
        ),
        case(
            "POST /imagine",
            Some("{\"prompt\":null}"),
            wrong,
            "body /prompt",
            "expected a string",
        ),
        case(
            "POST /imagine",
            Some("{\"prompt\":\"a\",\"version\":7}"),
            wrong,
            "body /version",
            "expected a string",
        ),
        case(
            "POST /imagine",
            Some("{\"promt\":\"a\"}"),
            wrong,
            "body /promt",
            "expected one of `prompt`, `version`, `images`",
        ),
        case(
            "POST /imagine",
            Some("{\"prompt\":\"a\",\"prompt\":\"b\"}"),
            wrong,
            "body ",
            "duplicate field `prompt`",
        ),
        case(
            "POST /imagine",
            Some("{\"prompt\":\"a\",\"version\":\"99\"}"),
            wrong,
            "body /version",
            "expected one of",
        ),
        case(
            "POST /prompt/check",
            Some("{\"prompt\":\"a\",\"version\":\"99\"}"),
            wrong,
            "body /version",
            "expected one of",
        ),
        case(
            "POST /prompt/check",
            Some("{\"prompt\":[]}"),
            wrong,
            "body /prompt",
            "expected a string",
        ),
        // Prompts.
        case(
            "POST /imagine",
            Some("{\"prompt\":\"\"}"),
            (422, "invalid_prompt"),
            "",
            "nothing was spent",
        ),
        case(
            "POST /imagine",
            Some("{\"prompt\":\"a fox --wat 3\"}"),
            (422, "invalid_prompt"),
            "",
            "nothing was spent",
        ),
        case(
            "POST /imagine",
            Some("{\"prompt\":\"a fox --repeat 41\"}"),
            (422, "invalid_prompt"),
            "",
            "nothing was spent",
        ),
        // Follow-ups.
        case(
            "POST /upscale",
            Some("{}"),
            wrong,
            "body /job",
            "finished picture",
        ),
        case(
            "POST /pan",
            Some("{}"),
            wrong,
            "body ",
            "missing field `direction`",
        ),
        case(
            "POST /pan",
            Some("{\"direction\":\"north\"}"),
            wrong,
            "body /direction",
            "`left`",
        ),
        case(
            "POST /zoom",
            Some("{\"zoom\":3}"),
            wrong,
            "body /zoom",
            "2 at most",
        ),
        case(
            "POST /zoom",
            Some("{\"zoom\":\"far\"}"),
            wrong,
            "body /zoom",
            "1.5x",
        ),
        case(
            "POST /blend",
            Some("{\"images\":[\"https://a.example/1.png\"]}"),
            wrong,
            "body /images",
            "2 to 5",
        ),
        case(
            "POST /blend",
            Some("{\"images\":[\"upl_1\",\"b\"]}"),
            wrong,
            "body /images/0",
            "upl_",
        ),
        case(
            "POST /describe",
            Some("{\"images\":[\"cat.png\"]}"),
            wrong,
            "body /images/0",
            "link",
        ),
        case(
            "POST /shorten",
            Some("{}"),
            wrong,
            "body /prompt",
            "needs a prompt",
        ),
        case(
            "POST /retexture",
            Some("{\"prompt\":\"clay\"}"),
            wrong,
            "body /images",
            "takes 1",
        ),
        case(
            "POST /animate",
            Some("{\"motion\":\"wild\"}"),
            wrong,
            "body /motion",
            "`low`",
        ),
        case("POST /images/uploads", Some("<svg/>"), wrong, "body ", "PNG"),
        case(
            "POST /upscale",
            Some("{\"job\":\"JOB\",\"image\":\"IMAGE\"}"),
            wrong,
            "body /image",
            "not both",
        ),
        case(
            "POST /upscale",
            Some("{\"job\":\"JOB\"}"),
            wrong,
            "body /index",
            "expected 1 to 4",
        ),
        case(
            "POST /upscale",
            Some("{\"job\":\"IMAGE\",\"index\":1}"),
            wrong,
            "body /job",
            "job_ followed by 32",
        ),
        case(
            "POST /upscale",
            Some("{\"job\":\"JOB\",\"index\":-1}"),
            wrong,
            "body /index",
            "from 1 to 4",
        ),
        case(
            "POST /upscale",
            Some("{\"job\":\"JOB\",\"index\":\"1\"}"),
            wrong,
            "body /index",
            "from 1 to 4",
        ),
        case(
            "POST /upscale",
            Some("{\"job\":\"JOB\",\"index\":1,\"mode\":\"huge\"}"),
            wrong,
            "body /mode",
            "`creative`",
        ),
        case(
            "POST /upscale",
            Some("{\"job\":\"JOB\",\"index\":1}"),
            gone,
            "",
            "there is no job",
        ),
        case(
            "POST /upscale",
            Some("{\"image\":\"IMAGE\"}"),
            gone,
            "",
            "there is no image",
        ),
        case(
            "POST /variation",
            Some("{\"job\":\"JOB\",\"index\":1,\"strength\":9}"),
            wrong,
            "body /strength",
            "wrong type",
        ),
        case(
            "POST /variation",
            Some("{\"job\":\"JOB\",\"index\":1,\"mode\":\"subtle\"}"),
            wrong,
            "body /mode",
            "`strength`",
        ),
        // Decisions.
        case(
            "POST /jobs/JOB/resolve",
            Some("{}"),
            wrong,
            "body ",
            "missing field `decision`",
        ),
        case(
            "POST /jobs/JOB/resolve",
            Some("{\"decision\":\"maybe\"}"),
            wrong,
            "body /decision",
            "`give_up`",
        ),
        case(
            "POST /jobs/JOB/resolve",
            Some("{\"decision\":\"adopt\"}"),
            wrong,
            "body /upstream_id",
            "needs",
        ),
        case(
            "POST /jobs/JOB/resolve",
            Some("{\"decision\":\"resubmit\",\"upstream_id\":\"1\"}"),
            wrong,
            "body /upstream_id",
            "leave it out",
        ),
        case(
            "POST /jobs/JOB/resolve",
            Some("{\"decision\":\"give_up\"}"),
            gone,
            "",
            "there is no job",
        ),
        case("POST /jobs/JOB/cancel", None, gone, "", "there is no job"),
        // Paths.
        case("GET /jobs/JOB", None, gone, "", "there is no job"),
        case("GET /jobs/42", None, gone, "path /id", "job_ followed by 32"),
        case("GET /jobs/IMAGE", None, gone, "path /id", "job_ followed by 32"),
        case("GET /jobs/%ff", None, gone, "path /id", "job_ followed by 32"),
        case("GET /jobs/JOB/events", None, gone, "", "there is no job"),
        case("GET /images/JOB", None, gone, "path /id", "img_ followed by 32"),
        case("GET /images/IMAGE", None, gone, "", "there is no image"),
        case("GET /images/IMAGE/content", None, gone, "", "there is no image"),
        case("GET /wat", None, gone, "", "no such route"),
        case("GET /jobs/", None, gone, "", ""),
        case("GET /docs/wat.js", None, gone, "", "no such route"),
        // Queries.
        case("GET /jobs?limit=0", None, bad, "query /limit", "from 1 to 200"),
        case("GET /jobs?limit=-1", None, bad, "query /limit", "from 1 to 200"),
        case("GET /jobs?limit=ten", None, bad, "query /limit", "from 1 to 200"),
        case("GET /jobs?limit=", None, bad, "query /limit", "from 1 to 200"),
        case(
            "GET /jobs?limit=1&limit=2",
            None,
            bad,
            "query ",
            "duplicate field `limit`",
        ),
        case("GET /jobs?status=done", None, bad, "query /status", "`completed`"),
        case(
            "GET /jobs?batch=JOB",
            None,
            bad,
            "query /batch",
            "bat_ followed by 32",
        ),
        case("GET /jobs?after=2", None, bad, "query /after", "not a cursor"),
        case(
            "GET /jobs?after=c1_%2b0000000000000000000000000000000",
            None,
            bad,
            "query /after",
            "not a cursor",
        ),
        case("GET /jobs?page=2", None, bad, "query /page", "`after`"),
        case(
            "GET /images?job=JOB&status=failed",
            None,
            bad,
            "query /status",
            "`limit`",
        ),
        case("GET /images?after=x", None, bad, "query /after", "not a cursor"),
        case(
            "GET /images/IMAGE?format=hex",
            None,
            bad,
            "query /format",
            "`base64`",
        ),
        case(
            "GET /jobs/JOB/events?after=x",
            None,
            bad,
            "query /after",
            "whole number",
        ),
        // Headers.
        case(
            "POST /imagine",
            fox,
            media,
            "header /content-type",
            "not \"text/plain\"",
        )
        .with("content-type", "text/plain"),
        case("POST /imagine", fox, media, "header /content-type", "multipart")
            .with("content-type", "multipart/form-data; boundary=x"),
        case("POST /imagine", fox, media, "header /content-encoding", "gzip")
            .with("content-encoding", "gzip"),
        case(
            "POST /imagine",
            None,
            media,
            "header /content-type",
            "there is none",
        ),
        case("POST /imagine", fox, bad, "header /idempotency-key", "1 to 255").with("idempotency-key", ""),
        case("POST /imagine", fox, bad, "header /idempotency-key", "1 to 255").with("idempotency-key", "a b"),
        case("POST /imagine", fox, bad, "header /idempotency-key", "1 to 255")
            .with("idempotency-key", "x".repeat(256)),
        case("POST /imagine", fox, bad, "header /prefer", "wait=N").with("prefer", "wait=soon"),
        case("GET /jobs/JOB", None, bad, "header /prefer", "wait=N").with("prefer", "wait"),
        case(
            "GET /jobs/JOB/events",
            None,
            bad,
            "header /last-event-id",
            "whole number",
        )
        .with("last-event-id", "x"),
        case(
            "GET /healthz",
            None,
            (421, "unknown_host"),
            "header /host",
            "localhost",
        )
        .with("host", "evil.example"),
        case("POST /imagine", fox, (403, "foreign_origin"), "", "another site")
            .with("origin", "https://evil.example"),
        case("POST /imagine", fox, (403, "foreign_origin"), "", "another site").with("origin", "null"),
        case("POST /imagine", fox, (403, "foreign_origin"), "", "another site")
            .with("sec-fetch-site", "cross-site"),
        case(
            "POST /jobs/JOB/cancel",
            None,
            (403, "foreign_origin"),
            "",
            "another site",
        )
        .with("sec-fetch-site", "same-site"),
        case(
            "POST /imagine",
            Some("{\"prompt\":\"sim:banned\"}"),
            (422, "upstream_rejected"),
            "",
            "nothing was spent",
        ),
    ]
}

fn check_problem(name: &str, status: u16, body: &Value) {
    assert_eq!(body["status"], status, "{name}: {body}");
    let code = text(body, "code");
    assert_eq!(text(body, "type"), format!("/docs/errors#{code}"), "{name}");
    assert!(
        !text(body, "title").is_empty() && !text(body, "detail").is_empty(),
        "{name}: {body}"
    );
    assert!(text(body, "instance").starts_with("req_"), "{name}: {body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_wrong_request_is_told_what_is_wrong_and_where() {
    let upstream = Arc::new(FakeClient::new());
    let jobs: Arc<dyn JobStore> = Arc::new(MemoryJobStore::new());
    let server = Setup {
        client: Arc::<FakeClient>::clone(&upstream),
        jobs,
        ..Setup::idle()
    }
    .start()
    .await;
    let cases = cases();
    assert!(cases.len() >= 60);
    for case in cases {
        if case.code == "upstream_rejected" {
            upstream.refuse_check(Some(Failure::new(FailureKind::Unsupported, "not here")));
        }
        let name = format!("{} {} {:?} {:?}", case.method, case.path, case.headers, case.body);
        let mut request = server.request(case.method, &case.path);
        for (header, value) in &case.headers {
            request = request.header(*header, value);
        }
        if let Some(body) = case.body {
            request = request.body(body);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let kind = answer.headers()["content-type"].clone();
        let id = answer.headers()["x-request-id"].clone();
        let text_body = answer.text().await.unwrap();
        let body: Value =
            serde_json::from_str(&text_body).unwrap_or_else(|_| panic!("{name}: {status} {text_body}"));
        assert_eq!(
            (status, text(&body, "code")),
            (case.status, case.code),
            "{name}: {body}"
        );
        assert_eq!(kind, "application/problem+json", "{name}");
        assert_eq!(text(&body, "instance"), id.to_str().unwrap(), "{name}");
        check_problem(&name, case.status, &body);
        assert!(text(&body, "detail").contains(case.says), "{name}: {body}");
        let place = match &body["errors"][0] {
            Value::Null => String::new(),
            fault => format!("{} {}", text(fault, "in"), text(fault, "pointer")),
        };
        assert_eq!(place, case.place, "{name}: {body}");
        if case.code == "invalid_prompt" {
            assert!(body["diagnostics"][0]["code"].is_string(), "{name}: {body}");
        }
    }
    let (_, page) = send(server.get("/jobs")).await;
    assert_eq!(page["jobs"], json!([]), "a wrong request left a job behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_refuses_a_method_it_has_not_and_says_which_it_has() {
    let server = Setup::idle().start().await;
    let (_, api) = send(server.get("/openapi.json")).await;
    let mut routes: Vec<(String, Vec<String>)> = Vec::new();
    for (path, item) in api["paths"].as_object().unwrap() {
        let path = path.replace("{id}", if path.starts_with("/images") { IMAGE } else { JOB });
        routes.push((
            path,
            item.as_object()
                .unwrap()
                .keys()
                .map(|method| method.to_uppercase())
                .collect(),
        ));
    }
    for path in ["/docs", "/docs/", "/docs/errors", "/docs/index.css"] {
        routes.push((path.to_owned(), vec!["GET".to_owned()]));
    }
    for (path, has) in routes {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"] {
            if has.iter().any(|known| known == method) {
                continue;
            }
            let answer = server.request(method, &path).send().await.unwrap();
            let name = format!("{method} {path}");
            assert_eq!(answer.status().as_u16(), 405, "{name}");
            let allow = answer.headers()["allow"].to_str().unwrap().to_owned();
            assert!(
                has.iter().all(|known| allow.contains(known.as_str())),
                "{name}: {allow}"
            );
            let body: Value = answer.json().await.unwrap();
            if path.starts_with("/mj") {
                // What speaks midjourney-proxy refuses in its form.
                assert_eq!(body["code"], 4, "{name}: {body}");
                continue;
            }
            check_problem(&name, 405, &body);
            assert_eq!(text(&body, "code"), "method_not_allowed");
        }
    }
}

/// H10: what fails inside is told as a kind and an id, never as what it was.
#[tokio::test(flavor = "multi_thread")]
async fn a_failing_store_tells_nothing_of_itself() {
    let store = Arc::new(FaultyJobStore::new(
        Arc::new(MemoryJobStore::new()),
        FaultPlan::None,
    ));
    let server = Setup {
        jobs: Arc::<FaultyJobStore>::clone(&store),
        ..Setup::idle()
    }
    .start()
    .await;
    for (method, path, body) in [
        ("POST", "/imagine", json!({"prompt": "a fox"})),
        ("POST", "/upscale", json!({"job": JOB, "index": 1})),
        ("GET", &*format!("/jobs/{JOB}"), json!({})),
        ("GET", "/jobs", json!({})),
        ("GET", "/images", json!({})),
        ("GET", &*format!("/jobs/{JOB}/seed"), json!({})),
        ("GET", &*format!("/jobs/{JOB}/events"), json!({})),
        ("POST", &*format!("/jobs/{JOB}/cancel"), json!({})),
        ("GET", "/readyz", json!({})),
    ] {
        store.arm(FaultPlan::FailNth {
            n: 1,
            after: false,
            forever: true,
        });
        let answer = server.request(method, path).json(&body).send().await.unwrap();
        let status = answer.status().as_u16();
        let retry = answer.headers().contains_key("retry-after");
        let body: Value = answer.json().await.unwrap();
        check_problem(path, status, &body);
        assert!(
            matches!((status, retry), (503, true) | (500, false)),
            "{path}: {status} {body}"
        );
        let told = body.to_string().to_lowercase();
        for secret in [
            "faulty", "injected", "sqlite", "/tmp", ".rs", "panicked", "memory",
        ] {
            assert!(!told.contains(secret), "{path}: {body}");
        }
    }
}
