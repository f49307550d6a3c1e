//! The `midjourney-proxy` client against imitations of that gateway on loopback, over real HTTP.

#![expect(
    clippy::unwrap_used,
    clippy::too_many_lines,
    reason = "helpers of tests fail with the test; a table is as long as the facts are many"
)]

mod actions;
mod dialects;

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::StreamExt as _;
use midjourney_core::{
    client::{
        ClientError, MidjourneyClient as _, ParentTask, Reconciliation, Submission,
        midjourney_proxy::{Dialect, MidjourneyProxy},
    },
    error::{Applied, Chain},
    image::ImageKind,
    job::{
        Action, FailureKind, JobRequest, ParentRef, RemoteAction, RemoteImage, RemoteStatus, Spent,
        UpscaleMode, UpstreamId,
    },
    net::BlockedAddress,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{method, path},
};

use crate::loopback::{CANARY, answering, hooked, job, options, submission};

const ID: &str = "1700000000000123";

fn client_with(base: &str, dialect: Dialect, key: Option<&str>) -> MidjourneyProxy {
    MidjourneyProxy::new(options(base, key)).with_dialect(dialect)
}

fn client(base: &str) -> MidjourneyProxy {
    client_with(base, Dialect::Auto, Some(CANARY))
}

fn imagine() -> Submission {
    submission(JobRequest::imagine(
        "https://cdn.example/a.png a red fox --ar 3:2",
    ))
}

async fn submit_to(status: u16, body: impl AsRef<[u8]>) -> Result<UpstreamId, ClientError> {
    let server = answering(status, body).await;
    let outcome = client(&server.uri()).submit(&imagine()).await;
    assert_eq!(
        server.received_requests().await.unwrap().len(),
        1,
        "sent exactly once"
    );
    outcome
}

async fn status_at(status: u16, body: impl AsRef<[u8]>) -> Result<RemoteStatus, ClientError> {
    let server = answering(status, body).await;
    client(&server.uri()).status(&UpstreamId::new(ID)).await
}

/// A server that does `work` on every connection once the head of a request has come, and counts connections.
async fn raw<F>(work: impl Fn(TcpStream) -> F + Send + Sync + 'static) -> (SocketAddr, Arc<AtomicUsize>)
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            let mut head = vec![0; 65_536];
            // A small request comes in one piece.
            if stream.read(&mut head).await.is_ok() {
                tokio::spawn(work(stream));
            }
        }
    });
    (address, seen)
}

#[tokio::test]
async fn imagine_is_sent_as_the_wire_has_it() {
    for (dialect, headers) in [
        (
            Dialect::Java,
            [
                ("mj-api-secret", Some(CANARY.to_owned())),
                ("authorization", None),
            ],
        ),
        (
            Dialect::Plus,
            [
                ("mj-api-secret", Some(CANARY.to_owned())),
                ("authorization", None),
            ],
        ),
        (
            Dialect::TrueAi,
            [
                ("mj-api-secret", None),
                ("authorization", Some(CANARY.to_owned())),
            ],
        ),
        (
            Dialect::NewApi,
            [
                ("mj-api-secret", None),
                ("authorization", Some(format!("Bearer {CANARY}"))),
            ],
        ),
        (
            Dialect::Auto,
            [
                ("mj-api-secret", Some(CANARY.to_owned())),
                ("authorization", Some(format!("Bearer {CANARY}"))),
            ],
        ),
    ] {
        let server = answering(
            200,
            json!({"code": 1, "description": "提交成功", "result": ID}).to_string(),
        )
        .await;
        let (submission, hook) = hooked(imagine());
        let client = client_with(&server.uri(), dialect, Some(CANARY));
        assert_eq!(client.submit(&submission).await.unwrap().as_str(), ID);
        let requests = server.received_requests().await.unwrap();
        let request = &requests[0];
        assert_eq!(
            (request.method.as_str(), request.url.path()),
            ("POST", "/mj/submit/imagine")
        );
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!(
            body,
            json!({
                "prompt": "https://cdn.example/a.png a red fox --ar 3:2",
                "state": submission.nonce.as_str(),
                "notifyHook": hook,
            })
        );
        for (name, value) in headers {
            let sent = request
                .headers
                .get(name)
                .map(|value| value.to_str().unwrap().to_owned());
            assert_eq!(sent, value, "{dialect:?} {name}");
        }
        assert_eq!(request.headers["content-type"], "application/json");
    }
}

#[tokio::test]
async fn the_base_may_carry_its_own_path() {
    for (base, expected) in [
        ("", "/mj/submit/imagine"),
        ("/", "/mj/submit/imagine"),
        ("/mj", "/mj/submit/imagine"),
        ("/mj/", "/mj/submit/imagine"),
        ("/mj-fast/mj", "/mj-fast/mj/submit/imagine"),
        ("/gateway?x=1#y", "/gateway/mj/submit/imagine"),
    ] {
        let server = answering(200, r#"{"code":1,"result":"1"}"#).await;
        client(&format!("{}{base}", server.uri()))
            .submit(&imagine())
            .await
            .unwrap();
        let requests = server.received_requests().await.unwrap();
        assert_eq!(requests[0].url.path(), expected);
        assert_eq!(requests[0].url.query(), None);
    }
}

#[tokio::test]
async fn an_open_gateway_needs_no_key_and_the_others_do() {
    for (dialect, open) in [
        (Dialect::Auto, true),
        (Dialect::Java, true),
        (Dialect::Plus, true),
        (Dialect::TrueAi, false),
        (Dialect::NewApi, false),
    ] {
        let server = answering(200, r#"{"code":1,"result":"1"}"#).await;
        let outcome = client_with(&server.uri(), dialect, None).submit(&imagine()).await;
        let requests = server.received_requests().await.unwrap();
        if open {
            outcome.unwrap();
            assert!(!requests[0].headers.contains_key("authorization"));
        } else {
            let error = outcome.unwrap_err();
            assert_eq!(
                (error.failure.kind, error.applied),
                (FailureKind::AccountBlocked, Applied::No)
            );
            assert!(requests.is_empty());
        }
    }
}

#[tokio::test]
async fn follow_ups_press_a_button_or_take_the_old_route() {
    let parent = |actions| ParentTask::new(UpstreamId::new(ID), actions, "a fox".to_owned());
    let button = "MJ::JOB::upsample::2::11111111-2222-3333-4444-555555555555";
    let action = Action::Upscale {
        mode: UpscaleMode::Cutout,
    };
    let request = JobRequest::follow_up(action, ParentRef::new(job(), 2), "a fox");
    for (actions, route, body) in [
        (
            vec![RemoteAction::new(button, "U2")],
            "/mj/submit/action",
            json!({"taskId": ID, "customId": button}),
        ),
        (
            Vec::new(),
            "/mj/submit/change",
            json!({"taskId": ID, "action": "UPSCALE", "index": 2}),
        ),
    ] {
        let server = answering(200, r#"{"code":1,"result":1700000000000124}"#).await;
        let submission = submission(request.clone()).with_parent(Some(parent(actions)));
        let id = client(&server.uri()).submit(&submission).await.unwrap();
        assert_eq!(id.as_str(), "1700000000000124", "numbers are ids too");
        let requests = server.received_requests().await.unwrap();
        assert_eq!(requests[0].url.path(), route);
        let mut sent: Value = serde_json::from_slice(&requests[0].body).unwrap();
        assert_eq!(
            sent.as_object_mut().unwrap().remove("state").unwrap(),
            submission.nonce.as_str()
        );
        assert_eq!(sent, body);
    }
    // A button that is not there is refused before anything is sent.
    let server = answering(200, r#"{"code":1,"result":"1"}"#).await;
    let other = parent(vec![RemoteAction::new("MJ::JOB::upsample::1::u", "U1")]);
    let client = client(&server.uri());
    let failure = client.check(&request, Some(&other)).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unsupported);
    assert!(failure.message.contains("U1"), "{failure}");
    let error = client
        .submit(&submission(request).with_parent(Some(other)))
        .await
        .unwrap_err();
    assert_eq!(
        (error.failure.kind, error.applied),
        (FailureKind::Unsupported, Applied::No)
    );
    assert!(server.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn codes_that_accept() {
    for body in [
        json!({"code": 1, "description": "提交成功", "result": ID, "properties": {"discordInstanceId": "1"}}),
        json!({"code": "1", "result": 1_700_000_000_000_123_u64}),
        json!({"code": 21, "description": "任务已存在", "result": ID, "properties": {"status": "SUCCESS", "imageUrl": "https://x/y"}}),
        json!({"code": 21, "description": "窗口等待", "result": ID}),
        json!({"code": 21, "description": "Waiting for window confirm", "result": ID, "properties": {"remix": true}}),
        json!({"code": 22, "description": "排队中，前面还有1个任务", "result": ID, "properties": {"numberOfQueues": 1}}),
        json!({"code": 1, "description": null, "result": ID, "properties": "odd", "unknown": [[{}]]}),
    ] {
        assert_eq!(
            submit_to(200, body.to_string()).await.unwrap().as_str(),
            ID,
            "{body}"
        );
    }
}

#[tokio::test]
async fn codes_that_refuse() {
    use FailureKind as K;
    let say = |code: i64, text: &str| json!({"code": code, "description": text, "result": null}).to_string();
    let no = (Applied::No, false);
    let later = (Applied::No, true);
    let lost = (Applied::Maybe, true);
    for (status, body, kind, (applied, retry)) in [
        (200, say(3, "关联任务不存在或已失效"), K::LostAtUpstream, no),
        (200, say(3, "无可用的账号实例"), K::Transient, later),
        (200, say(3, "账号不可用: 110000"), K::Transient, later),
        (404, say(3, "关联任务不存在或已失效"), K::LostAtUpstream, no),
        (200, say(4, "prompt不能为空"), K::InvalidPrompt, no),
        (200, say(4, "关联任务状态错误"), K::Unsupported, no),
        (200, say(4, "关联任务不允许执行变化"), K::Unsupported, no),
        (200, say(4, "该任务不支持重新生成"), K::Unsupported, no),
        (200, say(4, "internal error"), K::BadAnswer, lost),
        (200, say(9, "提交失败，队列已满，请稍后重试"), K::QueueFull, later),
        (200, say(9, "提交失败，系统异常"), K::Transient, later),
        (200, say(9, "访客今日绘图次数已达上限"), K::QuotaExhausted, no),
        (200, say(23, "队列已满，请稍后尝试"), K::QueueFull, later),
        // The documents show an id here; the task is deleted all the same.
        (
            200,
            json!({"code": 23, "result": ID}).to_string(),
            K::QueueFull,
            later,
        ),
        (200, say(24, "可能包含敏感词"), K::Moderated, no),
        (200, say(30, "quota"), K::QuotaExhausted, no),
        (429, say(30, "quota"), K::QuotaExhausted, no),
        (
            200,
            json!({"success": false, "code": -1, "message": "访客今日绘图次数已达上限"}).to_string(),
            K::QuotaExhausted,
            no,
        ),
        (
            200,
            json!({"success": false, "code": -1, "message": "?", "timestamp": "x"}).to_string(),
            K::BadAnswer,
            lost,
        ),
        (
            400,
            json!({"description": "quota_not_enough", "type": "upstream_error", "code": 4}).to_string(),
            K::QuotaExhausted,
            no,
        ),
        (
            400,
            json!({"description": "prompt_is_required", "code": 4}).to_string(),
            K::InvalidPrompt,
            no,
        ),
        (
            400,
            json!({"description": "task_no_found", "code": 4}).to_string(),
            K::LostAtUpstream,
            no,
        ),
        (
            400,
            json!({"description": "task_status_not_success", "code": 4}).to_string(),
            K::Unsupported,
            no,
        ),
        (401, String::new(), K::AccountBlocked, no),
        (403, "账号不可用".to_owned(), K::AccountBlocked, no),
        // Refused for the header alone: the same request passes when it is made as trueai wants it.
        (403, "未登录".to_owned(), K::Transient, later),
        (402, String::new(), K::QuotaExhausted, no),
        (404, "<html>".to_owned(), K::Unsupported, no),
        (405, String::new(), K::Unsupported, no),
        (413, String::new(), K::InvalidPrompt, no),
        (429, String::new(), K::RateLimited, later),
        (302, String::new(), K::BadAnswer, lost),
        (307, String::new(), K::BadAnswer, no),
        (308, String::new(), K::BadAnswer, no),
        (303, String::new(), K::BadAnswer, lost),
        (408, String::new(), K::BadAnswer, lost),
        (500, say(9, "提交失败，系统异常"), K::Transient, lost),
        (502, "<html>".to_owned(), K::Transient, lost),
        (503, String::new(), K::Transient, lost),
        (504, String::new(), K::Transient, lost),
        (200, say(5, "new"), K::BadAnswer, lost),
        (
            400,
            json!({"code": 1, "result": ID}).to_string(),
            K::BadAnswer,
            lost,
        ),
        (407, String::new(), K::BadAnswer, no),
        (200, say(1, "no id"), K::BadAnswer, lost),
        (
            200,
            json!({"code": 1, "result": "../../x"}).to_string(),
            K::BadAnswer,
            lost,
        ),
        (
            200,
            json!({"code": 22, "result": ["1", "2"]}).to_string(),
            K::BadAnswer,
            lost,
        ),
    ] {
        let error = submit_to(status, &body).await.unwrap_err();
        assert_eq!(
            (error.failure.kind, error.applied, error.retry),
            (kind, applied, retry),
            "{status} {body}"
        );
        let spent = if applied == Applied::Maybe {
            Spent::Maybe
        } else {
            Spent::No
        };
        assert_eq!(error.failure.spent, spent, "{status} {body}");
    }
}

#[tokio::test]
async fn the_banned_word_is_told() {
    let body = json!({"code": 24, "description": "可能包含敏感词", "properties": {"promptEn": "x", "bannedWord": "blood"}});
    let error = submit_to(200, body.to_string()).await.unwrap_err();
    assert_eq!(
        error.failure.upstream_text.as_deref(),
        Some("可能包含敏感词: blood")
    );
}

#[tokio::test]
async fn retry_after_is_kept() {
    for (header, wait) in [
        ("7", Some(Duration::from_secs(7))),
        ("1000000000", Some(Duration::from_secs(3_600))),
        ("-3", None),
        ("Sun, 06 Nov 1994 08:49:37 GMT", Some(Duration::ZERO)),
        ("never", None),
    ] {
        let server = MockServer::start().await;
        Mock::given(method("POST"))
            .respond_with(ResponseTemplate::new(429).insert_header("retry-after", header))
            .mount(&server)
            .await;
        let error = client(&server.uri()).submit(&imagine()).await.unwrap_err();
        assert_eq!(
            (error.failure.kind, error.retry_after),
            (FailureKind::RateLimited, wait),
            "{header}"
        );
    }
}

#[tokio::test]
async fn what_a_task_says() {
    use RemoteStatus as S;
    let running = |progress| S::Running { progress };
    for (task, status) in [
        (
            json!({"id": ID, "status": "NOT_START", "progress": null}),
            S::Waiting,
        ),
        (json!({"id": ID, "status": null}), S::Waiting),
        (
            json!({"id": ID, "status": "SUBMITTED", "progress": "0%"}),
            S::Waiting,
        ),
        (
            json!({"id": ID, "status": "IN_PROGRESS", "progress": "31%", "imageUrl": "https://cdn/preview.png"}),
            running(Some(31)),
        ),
        (
            json!({"id": ID, "status": "IN_PROGRESS", "progress": ""}),
            running(None),
        ),
        (
            json!({"id": ID, "status": "IN_PROGRESS", "progress": 46}),
            running(Some(46)),
        ),
        (
            json!({"id": 1_700_000_000_000_123_u64, "status": "in_progress", "progress": "900%"}),
            running(None),
        ),
        (
            json!({"id": ID, "status": "DREAMING", "progress": "5%"}),
            running(Some(5)),
        ),
        (json!({"id": ID, "status": "MODAL"}), S::AwaitingInput),
        (json!({"id": ID, "status": "CANCEL"}), S::Cancelled),
        (
            json!({"id": ID, "status": "SUCCESS", "progress": "100%"}),
            running(Some(100)),
        ),
        (
            json!({"id": ID, "status": "SUCCESS", "progress": "100%", "imageUrl": ""}),
            running(Some(100)),
        ),
        (
            json!({"id": ID, "status": "SUCCESS", "imageUrl": "file:///etc/passwd", "imageUrls": [{"url": "data:,x"}, 7]}),
            running(None),
        ),
        (json!({"code": 4, "description": "task_no_found"}), S::Missing),
        (json!({"code": 3, "description": "x"}), S::Missing),
    ] {
        assert_eq!(status_at(200, task.to_string()).await.unwrap(), status, "{task}");
    }
    for (status, body) in [
        (200, ""),
        (200, "null"),
        (204, ""),
        (404, ""),
        (404, r#"{"code":3}"#),
        (400, r#"{"code":4,"description":"task_not_found"}"#),
    ] {
        assert_eq!(
            status_at(status, body).await.unwrap(),
            S::Missing,
            "{status} {body}"
        );
    }
    let task = json!({"id": ID, "status": "FAILURE", "progress": "100%", "failReason": "[Banned prompt detected] x"});
    let S::Failed(failure) = status_at(200, task.to_string()).await.unwrap() else {
        panic!("not failed");
    };
    assert_eq!(
        (failure.kind, failure.spent),
        (FailureKind::Moderated, Spent::Yes)
    );
    assert_eq!(
        failure.upstream_text.as_deref(),
        Some("[Banned prompt detected] x")
    );
    // Another task's word is not this task's.
    let other = json!({"id": "1", "status": "SUCCESS", "imageUrl": "https://cdn/1.png"});
    assert_eq!(
        status_at(200, other.to_string()).await.unwrap_err().failure.kind,
        FailureKind::BadAnswer
    );
    for (status, kind, retry) in [
        (401, FailureKind::AccountBlocked, false),
        (403, FailureKind::AccountBlocked, false),
        (429, FailureKind::RateLimited, true),
        (500, FailureKind::Transient, true),
        (503, FailureKind::Transient, true),
        (302, FailureKind::BadAnswer, true),
        (418, FailureKind::BadAnswer, true),
    ] {
        let error = status_at(status, "<html>").await.unwrap_err();
        assert_eq!(
            (error.failure.kind, error.retry, error.applied),
            (kind, retry, Applied::No),
            "{status}"
        );
    }
    // An id that would change the path is never sent.
    let server = answering(200, "{}").await;
    let client = client(&server.uri());
    for id in ["..", "a/b", ""] {
        assert_eq!(client.status(&UpstreamId::new(id)).await.unwrap(), S::Missing);
    }
    assert!(server.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn pictures_are_grids_and_singles_as_the_task_shows() {
    let buttons = |ids: &[&str]| {
        ids.iter()
            .map(|id| json!({"customId": id, "label": "", "type": 2}))
            .collect::<Vec<_>>()
    };
    let grid = buttons(&[
        "MJ::JOB::upsample::1::u",
        "MJ::JOB::variation::1::u",
        "MJ::JOB::reroll::0::u::SOLO",
    ]);
    let single = buttons(&[
        "MJ::JOB::upsample_v7_2x_subtle::1::u::SOLO",
        "MJ::JOB::low_variation::1::u::SOLO",
    ]);
    let four = json!([{"url": "https://cdn/1.png", "thumbnail": "x"}, {"url": "https://cdn/2.png"}, {"url": "https://cdn/3.png"}, {"url": "https://cdn/4.png"}]);
    let (s, g) = (ImageKind::Single, ImageKind::Grid);
    let all = vec![("1", s, 1), ("2", s, 2), ("3", s, 3), ("4", s, 4), ("w", g, 0)];
    for (extra, pictures) in [
        (json!({"action": "IMAGINE"}), vec![("w", g, 0)]),
        (json!({"action": "UPSCALE"}), vec![("w", s, 1)]),
        (json!({"action": "UPSCALE_HD"}), vec![("w", s, 1)]),
        (
            json!({"action": "IMAGINE", "imageUrls": four, "buttons": grid}),
            all.clone(),
        ),
        (
            json!({"action": "ACTION", "imageUrls": four, "buttons": grid}),
            all.clone(),
        ),
        (json!({"action": "ACTION", "buttons": single}), vec![("w", s, 1)]),
        (json!({"action": "ACTION", "buttons": grid}), vec![("w", g, 0)]),
        (
            json!({"action": "VARIATION", "imageUrls": [{"url": "https://cdn/w.png"}]}),
            vec![("w", g, 0)],
        ),
        (
            json!({"action": "IMAGINE", "imageUrls": four, "imageUrl": "https://cdn/1.png"}),
            all[..4].to_vec(),
        ),
        (
            json!({"action": "UPSCALE", "imageUrl": null, "imageUrls": four}),
            vec![("1", s, 1)],
        ),
        (
            json!({"imageUrls": "odd", "buttons": {"odd": 1}}),
            vec![("w", s, 1)],
        ),
    ] {
        let mut task = json!({"id": ID, "status": "SUCCESS", "imageUrl": "https://cdn/w.png", "seed": 7});
        task.as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        let RemoteStatus::Succeeded(result) = status_at(200, task.to_string()).await.unwrap() else {
            panic!("{task}");
        };
        let expected: Vec<_> = pictures
            .into_iter()
            .map(|(name, kind, index)| RemoteImage::new(format!("https://cdn/{name}.png"), kind, index))
            .collect();
        assert_eq!(result.images, expected, "{task}");
        assert_eq!(result.seed, Some(7));
        assert_eq!(
            result.actions.len(),
            task["buttons"].as_array().map_or(0, Vec::len)
        );
    }
}

#[tokio::test]
async fn a_lost_submit_is_found_by_its_mark() {
    let submission = imagine();
    let mark = submission.nonce.as_str();
    let list = json!([{"id": "1", "state": "other"}, 7, {"id": null}, {"id": ID, "state": mark, "status": "NOT_START"}]);
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .and(path("/mj/task/list"))
        .respond_with(ResponseTemplate::new(200).set_body_json(list))
        .mount(&server)
        .await;
    let found = client(&server.uri()).reconcile(&submission).await.unwrap();
    assert_eq!(found, Reconciliation::Found(UpstreamId::new(ID)));
    // Absence proves nothing, and neither does a line without the route.
    for (status, body) in [(200, "[]"), (404, ""), (405, ""), (400, "{}"), (204, "")] {
        let server = answering(status, body).await;
        let answer = client(&server.uri()).reconcile(&submission).await.unwrap();
        assert_eq!(answer, Reconciliation::Unknown, "{status}");
    }
    for status in [401, 429, 500] {
        let server = answering(status, "").await;
        assert!(
            client(&server.uri())
                .reconcile(&submission)
                .await
                .unwrap_err()
                .retry,
            "{status}"
        );
    }
}

/// That the list could not be read is no sign of life: whoever waited for it learns what the one who asked did.
#[tokio::test]
async fn a_look_at_the_list_that_fails_has_failed_for_all_who_share_it() {
    let server = MockServer::start().await;
    Mock::given(path("/mj/task/list"))
        .respond_with(ResponseTemplate::new(429).insert_header("retry-after", "7"))
        .mount(&server)
        .await;
    let client = client(&server.uri());
    let look = async || {
        let failed = client.reconcile(&imagine()).await.unwrap_err();
        (failed.failure.kind, failed.retry, failed.retry_after)
    };
    let not_now = (FailureKind::Transient, true, Some(Duration::from_secs(7)));
    let told = tokio::join!(look(), look(), look());
    assert_eq!(told, (not_now, not_now, not_now));
    assert!(server.received_requests().await.unwrap().len() < 3, "they shared");
}

#[tokio::test]
async fn cancelling() {
    let id = UpstreamId::new(ID);
    for (status, body, expected) in [
        (200, "", Some(true)),
        (200, r#"{"code":1}"#, Some(true)),
        (200, r#"{"code":4,"description":"x"}"#, Some(false)),
        (404, "", None),
        (500, "", None),
    ] {
        let server = answering(status, body).await;
        let answer = client(&server.uri()).cancel(&id).await;
        assert_eq!(answer.ok(), expected, "{status} {body}");
        let requests = server.received_requests().await.unwrap();
        assert_eq!(requests[0].url.path(), "/mj/task/1700000000000123/cancel");
    }
    for dialect in [Dialect::Java, Dialect::NewApi] {
        let client = client_with("http://127.0.0.1:9", dialect, None);
        assert!(!client.capabilities().cancel);
        assert_eq!(
            client.cancel(&id).await.unwrap_err().failure.kind,
            FailureKind::Unsupported
        );
    }
}

async fn fetch(client: &MidjourneyProxy, url: &str) -> Result<Result<Vec<u8>, ()>, ClientError> {
    let mut stream = client.fetch(&RemoteImage::new(url, ImageKind::Grid, 0)).await?;
    let mut bytes = Vec::new();
    while let Some(chunk) = stream.next().await {
        match chunk {
            Ok(chunk) => bytes.extend(chunk),
            Err(_) => return Ok(Err(())),
        }
    }
    Ok(Ok(bytes))
}

#[tokio::test]
async fn pictures_come_from_the_gateway_itself_or_from_public_places() {
    let inside = answering(200, "secret").await;
    let server = MockServer::start().await;
    let to = |location: String| ResponseTemplate::new(302).insert_header("location", location);
    for (route, answer) in [
        ("/a.png", ResponseTemplate::new(200).set_body_bytes(b"png")),
        ("/moved", to("/a.png".to_owned())),
        ("/inside", to(inside.uri())),
        (
            "/metadata",
            to("http://169.254.169.254/latest/meta-data/".to_owned()),
        ),
        ("/file", to("file:///etc/passwd".to_owned())),
        (
            "/name",
            to(format!("http://localhost:{}/", inside.address().port())),
        ),
        ("/loop", to("/loop".to_owned())),
        ("/gone", ResponseTemplate::new(404)),
        ("/busy", ResponseTemplate::new(503)),
    ] {
        Mock::given(path(route)).respond_with(answer).mount(&server).await;
    }
    let client = client(&server.uri());
    let at = |route: &str| format!("{}{route}", server.uri());
    assert_eq!(fetch(&client, &at("/a.png")).await.unwrap().unwrap(), b"png");
    assert_eq!(fetch(&client, &at("/moved")).await.unwrap().unwrap(), b"png");
    for route in ["/inside", "/metadata", "/file", "/name", "/loop"] {
        let error = fetch(&client, &at(route)).await.unwrap_err();
        assert_eq!(
            (error.failure.kind, error.retry),
            (FailureKind::ImageUnavailable, false),
            "{route}"
        );
    }
    let gone = fetch(&client, &at("/gone")).await.unwrap_err();
    assert_eq!(gone.failure.kind, FailureKind::ImageExpired);
    assert!(fetch(&client, &at("/busy")).await.unwrap_err().retry);
    for url in [
        inside.uri(),
        "http://127.1/".to_owned(),
        "http://[::1]/x".to_owned(),
    ] {
        let error = fetch(&client, &url).await.unwrap_err();
        assert_eq!(
            (error.failure.kind, error.retry),
            (FailureKind::ImageUnavailable, false),
            "{url}"
        );
        assert!(BlockedAddress::find(&error).is_some(), "{url}: found by type");
    }
    assert!(inside.received_requests().await.unwrap().is_empty());
    for request in server.received_requests().await.unwrap() {
        assert!(
            !request.headers.contains_key("authorization"),
            "no key goes to a picture's server"
        );
        assert!(!request.headers.contains_key("mj-api-secret"));
    }
    // A picture that stops halfway, or never starts, ends in an error.
    let (cut, _) = raw(|mut stream: TcpStream| async move {
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nhalf")
            .await
            .ok();
    })
    .await;
    let (stalled, _) = raw(|mut stream: TcpStream| async move {
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nhalf")
            .await
            .ok();
        std::future::pending::<()>().await;
    })
    .await;
    for address in [cut, stalled] {
        let url = format!("http://{address}");
        assert_eq!(
            fetch(&client_with(&url, Dialect::Auto, None), &url)
                .await
                .unwrap(),
            Err(())
        );
    }
}

#[tokio::test]
async fn a_callback_is_the_whole_task() {
    let client = client("http://127.0.0.1:9");
    let body =
        json!({"id": ID, "state": "mark", "status": "IN_PROGRESS", "progress": "31%", "buttons": null});
    let callback = client.parse_callback(body.to_string().as_bytes()).unwrap();
    assert_eq!(callback.upstream.as_str(), ID);
    assert_eq!(callback.nonce.as_deref(), Some("mark"));
    assert_eq!(callback.status, RemoteStatus::Running { progress: Some(31) });
    let nameless = json!({"id": "../x", "status": "SUCCESS"}).to_string();
    assert!(client.parse_callback(nameless.as_bytes()).is_err());
    let huge = format!("{{\"id\":\"1\",\"x\":\"{}\"}}", "y".repeat(1 << 20));
    assert!(client.parse_callback(huge.as_bytes()).is_err());
}

#[tokio::test]
async fn the_key_and_the_callback_address_are_never_shown() {
    let (submission, hook) = hooked(imagine());
    let proof = hook.rsplit('.').next().unwrap().to_owned();
    let leak = format!("Bearer {CANARY} and {hook} and {proof}");
    let padded = format!("{}{leak}", "x".repeat(1_980));
    for (status, body) in [
        (200, json!({"code": 4, "description": leak}).to_string()),
        (200, leak.clone()),
        (200, padded),
        (401, leak.clone()),
        (500, leak.clone()),
        (429, leak.clone()),
        (404, leak.clone()),
    ] {
        let server = answering(status, &body).await;
        let client = client(&server.uri());
        let error = client.submit(&submission).await.unwrap_err();
        let shown = format!("{error:?} {error} {} {client:?} {submission:?}", Chain(&error));
        assert!(
            !shown.contains(CANARY) && !shown.contains(&proof),
            "{status}: {shown}"
        );
    }
    let task = json!({"id": ID, "status": "FAILURE", "failReason": leak}).to_string();
    let server = answering(200, &task).await;
    let shown = format!("{:?}", client(&server.uri()).status(&UpstreamId::new(ID)).await);
    assert!(!shown.contains(CANARY), "{shown}");
    let (reset, _) = raw(|stream: TcpStream| async move { drop(stream) }).await;
    let error = client(&format!("http://{reset}"))
        .submit(&submission)
        .await
        .unwrap_err();
    assert!(!format!("{error:?} {}", Chain(&error)).contains(CANARY));
}
