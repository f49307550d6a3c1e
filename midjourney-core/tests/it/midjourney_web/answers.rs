//! What answers mean, row by row.

use midjourney_core::{
    client::ClientError,
    error::{Applied, Chain},
    image::ImageKind,
    job::{FailureKind as K, RemoteAction, RemoteImage, RemoteStatus as S, Spent, UpstreamId},
};
use tokio::{io::AsyncReadExt as _, net::TcpListener};

use super::*;

async fn submit_to(status: u16, body: &str) -> Result<UpstreamId, ClientError> {
    let server = service(status, body).await;
    let outcome = client(&server).await.submit(&imagine()).await;
    assert_eq!(
        at(&server, "/api/submit-jobs").await.len(),
        1,
        "sent exactly once"
    );
    outcome
}

async fn status_at(status: u16, body: &str) -> Result<S, ClientError> {
    let server = service(status, body).await;
    client(&server).await.status(&UpstreamId::new(ID)).await
}

#[tokio::test]
async fn submits_end_so() {
    let failure = |kind: &str, message: &str| {
        json!({"success": [], "failure": [{"type": kind, "message": message}]}).to_string()
    };
    let both = json!({"success": [{"job_id": ID}], "failure": [{"type": "invalid_link"}]}).to_string();
    for body in [started(), both] {
        assert_eq!(submit_to(200, &body).await.unwrap().as_str(), ID, "{body}");
    }
    let no = (Applied::No, false);
    let later = (Applied::No, true);
    let lost = (Applied::Maybe, true);
    for (status, body, kind, (applied, retry)) in [
        (200, failure("invalid_parameter", "--q 9"), K::InvalidPrompt, no),
        (200, failure("invalid_link", "x"), K::InvalidPrompt, no),
        (
            200,
            failure("banned_prompt", "Banned prompt detected"),
            K::Moderated,
            no,
        ),
        (200, failure("other", "[Queue full] wait"), K::QueueFull, later),
        (200, failure("other", "Credits exhausted"), K::QuotaExhausted, no),
        (
            200,
            failure("other", "Action needed to continue"),
            K::NeedsPerson,
            no,
        ),
        (200, failure("something_new", ""), K::BadAnswer, no),
        (
            200,
            json!({"success": [], "failure": []}).to_string(),
            K::BadAnswer,
            lost,
        ),
        (
            200,
            json!({"success": [{"job_id": "../x"}]}).to_string(),
            K::BadAnswer,
            lost,
        ),
        (200, json!({"success": [{}]}).to_string(), K::BadAnswer, lost),
        (200, json!({"success": false}).to_string(), K::BadAnswer, lost),
        (200, "<html>".to_owned(), K::BadAnswer, lost),
        (200, String::new(), K::BadAnswer, lost),
        (200, "[]".to_owned(), K::BadAnswer, lost),
        (
            403,
            "<html>Just a moment...</html>".to_owned(),
            K::NeedsPerson,
            no,
        ),
        (402, String::new(), K::QuotaExhausted, no),
        (429, String::new(), K::RateLimited, later),
        (404, String::new(), K::Unsupported, no),
        (413, String::new(), K::InvalidPrompt, no),
        (307, String::new(), K::BadAnswer, no),
        (302, String::new(), K::BadAnswer, lost),
        (400, "{}".to_owned(), K::BadAnswer, lost),
        (408, String::new(), K::BadAnswer, lost),
        (500, failure("invalid_link", "x"), K::Transient, lost),
        (502, String::new(), K::Transient, lost),
        (503, String::new(), K::Transient, lost),
    ] {
        let error = submit_to(status, &body).await.unwrap_err();
        assert_eq!(
            (error.failure.kind, error.applied, error.retry),
            (kind, applied, retry),
            "{status} {body}: {error}"
        );
        let spent = if applied == Applied::Maybe {
            Spent::Maybe
        } else {
            Spent::No
        };
        assert_eq!(error.failure.spent, spent, "{status} {body}");
    }
    let error = submit_to(200, &failure("invalid_parameter", "--q 9"))
        .await
        .unwrap_err();
    assert_eq!(
        error.failure.upstream_text.as_deref(),
        Some("invalid_parameter: --q 9")
    );
}

#[tokio::test]
async fn a_lost_answer_is_never_taken_for_a_refusal() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = service(200, started()).await;
    let mut options = options(&server, vault(3_600).await);
    let client = MidjourneyWeb::new(options.clone());
    client.submit(&imagine()).await.unwrap();
    // Copies share the session, which knows by now who is signed in; another one has to ask first.
    options.http.base_url = Url::parse(&format!("http://{address}")).unwrap();
    let cut = tokio::spawn(async move {
        let mut seen = 0;
        while let Ok((mut stream, _)) = listener.accept().await {
            seen += 1;
            let mut head = vec![0; 65_536];
            let read = stream.read(&mut head).await.unwrap();
            let head = String::from_utf8_lossy(&head[..read]).into_owned();
            if head.starts_with("POST /api/submit-jobs") {
                stream.set_zero_linger().ok();
                return seen;
            }
            let body = json!({"id": USER}).to_string();
            let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
            tokio::io::AsyncWriteExt::write_all(&mut stream, answer.as_bytes())
                .await
                .unwrap();
        }
        seen
    });
    let error = MidjourneyWeb::new(options).submit(&imagine()).await.unwrap_err();
    assert_eq!(
        (error.applied, error.failure.spent),
        (Applied::Maybe, Spent::Maybe),
        "{error:?}"
    );
    assert_eq!(cut.await.unwrap(), 2, "one sign-in, one submit");
}

#[tokio::test]
async fn what_a_job_says_about_itself() {
    let job = |status: &str| json!([{"id": ID, "current_status": status}]).to_string();
    for (body, status) in [
        (job("queued"), S::Waiting),
        (job("running"), S::Running { progress: None }),
        (job("dreaming"), S::Running { progress: None }),
        (json!([{"id": ID}]).to_string(), S::Running { progress: None }),
        (job("cancelled"), S::Cancelled),
        ("[]".to_owned(), S::Missing),
    ] {
        assert_eq!(status_at(200, &body).await.unwrap(), status, "{body}");
    }
    for (word, kind) in [("failed", K::Transient), ("moderated", K::Moderated)] {
        let S::Failed(failure) = status_at(200, &job(word)).await.unwrap() else {
            panic!("{word}");
        };
        assert_eq!((failure.kind, failure.spent), (kind, Spent::Yes));
    }
    for (status, body, kind, retry) in [
        (200, "", K::BadAnswer, true),
        (200, "null", K::BadAnswer, true),
        (200, "{}", K::BadAnswer, true),
        (200, "[{]", K::BadAnswer, true),
        (200, r#"[{"id":"another"}]"#, K::BadAnswer, true),
        (403, "", K::NeedsPerson, false),
        (429, "", K::RateLimited, true),
        (404, "", K::Transient, true),
        (500, "", K::Transient, true),
    ] {
        let error = status_at(status, body).await.unwrap_err();
        assert_eq!(
            (error.failure.kind, error.retry, error.applied),
            (kind, retry, Applied::No),
            "{status} {body}"
        );
    }
    let server = service(200, "[]").await;
    let client = client(&server).await;
    for id in ["", "..", "a/b"] {
        assert_eq!(client.status(&UpstreamId::new(id)).await.unwrap(), S::Missing);
    }
    assert!(server.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn pictures_are_where_the_id_says() {
    let (subtle, creative) = ("Upscale (Subtle)", "Upscale (Creative)");
    for (kind, batch, pictures, offers) in [
        (
            "v7_diffusion",
            json!(4),
            4,
            vec![("v7_2x_subtle", subtle), ("v7_2x_creative", creative)],
        ),
        ("v8-1_diffusion", json!("4"), 4, vec![("v8r1_2x_subtle", subtle)]),
        ("v8-1_hd_diffusion", json!(null), 4, vec![]),
        ("v7_2x_subtle", json!(null), 1, vec![]),
        ("vid_1.1_i2v_480", json!(null), 4, vec![]),
        ("vid_1.1_i2v_480", json!(1), 1, vec![]),
        ("", json!(0), 1, vec![]),
        ("", json!(200), 4, vec![]),
    ] {
        let server = MockServer::start().await;
        let job = json!([{"id": ID.to_uppercase(), "current_status": "completed", "job_type": kind, "batch_size": batch}]);
        Mock::given(path("/api/job-status"))
            .respond_with(ResponseTemplate::new(200).set_body_json(job))
            .mount(&server)
            .await;
        let client = client(&server).await;
        let S::Succeeded(result) = client.status(&UpstreamId::new(ID)).await.unwrap() else {
            panic!("{kind}");
        };
        let cdn = format!("{}/cdn", server.uri());
        let expected: Vec<_> = (0..pictures)
            .map(|n| {
                let url = match kind.strip_prefix("vid_") {
                    Some(_) => format!("{cdn}/video/{ID}/{n}.mp4"),
                    None => format!("{cdn}/{ID}/0_{n}.png"),
                };
                RemoteImage::new(url, ImageKind::Single, n + 1)
            })
            .collect();
        assert_eq!(result.images, expected, "{kind}");
        let offers: Vec<_> = offers
            .into_iter()
            .map(|(id, label)| RemoteAction::new(id, label))
            .collect();
        assert_eq!(result.actions, offers, "{kind}");
        let asked = at(&server, "/api/job-status").await;
        assert_eq!(read(&asked[0]), json!({"jobIds": [ID]}));
    }
}

#[tokio::test]
async fn cloudflare_is_told_and_never_worked_around() {
    let server = MockServer::start().await;
    let challenge = ResponseTemplate::new(503)
        .insert_header("cf-mitigated", "challenge")
        .set_body_string("<html>Just a moment...</html>");
    Mock::given(path("/api/firebase-login"))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({"id": USER})))
        .mount(&server)
        .await;
    for (route, answer) in [
        ("/api/submit-jobs", challenge.clone()),
        ("/api/job-status", challenge),
        ("/cdn/x.png", ResponseTemplate::new(403)),
    ] {
        Mock::given(path(route)).respond_with(answer).mount(&server).await;
    }
    let client = client(&server).await;
    let submit = client.submit(&imagine()).await.unwrap_err();
    assert_eq!((submit.applied, submit.retry), (Applied::No, false));
    let status = client.status(&UpstreamId::new(ID)).await.unwrap_err();
    let image = RemoteImage::new(format!("{}/cdn/x.png", server.uri()), ImageKind::Single, 1);
    let Err(fetch) = client.fetch(&image).await else {
        panic!("a refusal is no picture");
    };
    for error in [submit, status, fetch] {
        assert_eq!(error.failure.kind, K::NeedsPerson);
        assert!(error.failure.message.contains("Cloudflare"), "{error}");
    }
    assert_eq!(
        server.received_requests().await.unwrap().len(),
        4,
        "nothing is tried again"
    );
    let requests = at(&server, "/cdn/x.png").await;
    assert!(
        !requests[0].headers.contains_key("cookie"),
        "no session goes to a picture's server"
    );
}

#[tokio::test]
async fn no_token_is_ever_shown() {
    let session = vault(3_600).await;
    let pair = stored(&session).await;
    let leak = format!("{pair} and {}", pair.replace('|', " "));
    let failure = json!({"failure": [{"type": "x", "message": leak}]}).to_string();
    for (status, body) in [
        (200, failure),
        (403, leak.clone()),
        (500, leak.clone()),
        (401, leak),
    ] {
        let server = service(status, &body).await;
        let client = MidjourneyWeb::new(options(&server, Arc::<MemoryKeys>::clone(&session)));
        let submit = client.submit(&imagine()).await.unwrap_err();
        let ask = client.status(&UpstreamId::new(ID)).await.unwrap_err();
        let shown = format!("{submit:?} {} {ask:?} {} {client:?}", Chain(&submit), Chain(&ask));
        assert!(!shown.contains("canary"), "{status}: {shown}");
    }
}
