//! The program itself: its standard streams, its start and its end.

use std::time::Duration;

use serde_json::json;
use tokio::{io::AsyncReadExt as _, time::Instant};

use crate::session::{Session, blocks, command, text};

#[tokio::test]
async fn the_whole_way_over_standard_streams_with_files_on_disk() {
    let data = tempfile::tempdir().unwrap();
    let mut session = Session::process(data.path(), &[]);
    let greeting = session.greet().await;
    assert!(
        greeting["result"]["instructions"]
            .as_str()
            .unwrap()
            .contains("SIMULATED"),
        "{greeting}"
    );
    let result = session
        .call(
            "imagine",
            json!({"prompt": "a red fox in the snow --ar 3:2 --v 7"}),
        )
        .await;
    let found = &result["structuredContent"];
    assert_eq!(found["status"], "completed", "{}", text(&result));
    assert!(blocks(&result, "image").len() == 1 && text(&result).contains("SIMULATED"));
    for image in found["images"].as_array().unwrap() {
        let path = image["path"].as_str().unwrap();
        assert!(path.starts_with(data.path().to_str().unwrap()), "{path}");
        let bytes = std::fs::read(path).unwrap();
        assert_eq!(json!(bytes.len()), image["bytes"]);
        assert!(image["width"].as_u64() > image["height"].as_u64());
    }
    let job = found["job_id"].clone();
    let pending = session
        .good("imagine", json!({"prompt": "a slow fox", "wait_seconds": 0}))
        .await["job_id"]
        .clone();
    let begun = Instant::now();
    session.hang_up().await;
    let status = session.child.take().unwrap().wait().await.unwrap();
    assert!(
        status.success() && begun.elapsed() < Duration::from_secs(30),
        "{status} {:?}",
        begun.elapsed()
    );

    // The next process finds both jobs and goes on with what the first one left, without being asked.
    let mut next = Session::process(data.path(), &[]);
    next.greet().await;
    assert_eq!(
        next.good("get_job", json!({"job_id": job})).await["status"],
        "completed"
    );
    let done = next.good("wait", json!({"job_id": pending})).await;
    assert_ne!(done["status"], "cancelled", "{done}");
}

#[tokio::test]
async fn standard_output_holds_frames_only_whatever_is_logged() {
    let data = tempfile::tempdir().unwrap();
    let mut session = Session::process(data.path(), &[("RUST_LOG", "trace")]);
    let mut stderr = session.child.as_mut().unwrap().stderr.take().unwrap();
    let log = tokio::spawn(async move {
        let mut log = String::new();
        stderr.read_to_string(&mut log).await.map(|_| log)
    });
    session.greet().await;
    session
        .call("imagine", json!({"prompt": "a fox --nonsense"}))
        .await;
    session
        .call("imagine", json!({"prompt": "a fox sim:banned"}))
        .await;
    session.call("show", json!({"job_id": 5})).await;
    session.send(&json!([1, 2, 3])).await;
    session.request("tools/list", json!({})).await;
    // `message` fails on every line that is no frame.
    session.hang_up().await;
    let log = log.await.unwrap().unwrap();
    assert!(log.contains("TRACE"), "nothing was logged at all");
}

#[tokio::test]
async fn the_program_ends_when_its_input_does_even_in_the_middle() {
    for greet in [false, true] {
        let data = tempfile::tempdir().unwrap();
        let mut session = Session::process(data.path(), &[]);
        if greet {
            session.greet().await;
            let wish = json!({"name": "imagine", "arguments": {"prompt": "a fox sim:hang"}});
            session.start("tools/call", wish).await;
            // In the middle: the job is there, and it will never finish.
            while session.good("list_jobs", json!({})).await["jobs"] == json!([]) {}
        }
        session.hang_up().await;
        let mut child = session.child.take().unwrap();
        let ended = tokio::time::timeout(Duration::from_secs(30), child.wait()).await;
        let status = ended.expect("it ends by itself").unwrap();
        assert!(status.success(), "{status}");
    }
}

#[tokio::test]
async fn a_broken_configuration_is_told_by_every_tool_with_its_line() {
    let data = tempfile::tempdir().unwrap();
    let mut session = Session::process(data.path(), &[("MIDJOURNEY__ENGINE__CONCURRENCY", "many")]);
    session.greet().await;
    let said = session.bad("list_jobs", json!({}), "setup_failed").await;
    assert!(said.contains("MIDJOURNEY__ENGINE__CONCURRENCY"), "{said}");
}

#[tokio::test]
async fn flags_are_read_and_wrong_ones_refused() {
    let data = tempfile::tempdir().unwrap();
    for (words, code, out, err) in [
        (vec!["--version"], 0, "midjourney-mcp 0", ""),
        (vec!["--help"], 0, "--data-dir DIR", ""),
        (vec!["--port", "1"], 2, "", "unknown argument \"--port\""),
        (vec!["--config"], 2, "", "--config needs a path"),
        (vec!["--config="], 2, "", "--config needs a path"),
    ] {
        let output = command(data.path(), &[]).args(&words).output().await.unwrap();
        let (stdout, stderr) = (
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        );
        assert_eq!(output.status.code(), Some(code), "{words:?}");
        assert!(
            stdout.contains(out) && stderr.contains(err),
            "{words:?}: {stdout} {stderr}"
        );
        assert_eq!(stdout.is_empty(), out.is_empty(), "{words:?}: {stdout}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_signal_ends_it_in_order() {
    let data = tempfile::tempdir().unwrap();
    let mut session = Session::process(data.path(), &[]);
    session.greet().await;
    session.good("list_jobs", json!({})).await;
    let mut child = session.child.take().unwrap();
    let id = child.id().unwrap().to_string();
    let begun = Instant::now();
    assert!(
        tokio::process::Command::new("kill")
            .args(["-TERM", &id])
            .status()
            .await
            .unwrap()
            .success()
    );
    let status = child.wait().await.unwrap();
    assert!(
        status.success() && begun.elapsed() < Duration::from_secs(30),
        "{status}"
    );
}

#[tokio::test]
async fn two_programs_share_one_data_directory() {
    let data = tempfile::tempdir().unwrap();
    let mut one = Session::process(data.path(), &[]);
    let mut two = Session::process(data.path(), &[]);
    one.greet().await;
    two.greet().await;
    let wish = json!({"prompt": "a {red, blue} fox", "wait_seconds": 0, "idempotency_key": "shared"});
    let first = one.good("imagine", wish.clone()).await;
    let second = two.good("imagine", wish).await;
    assert_eq!(first["batch_id"], second["batch_id"]);
    let done = two.good("wait", json!({"job_id": first["batch_id"]})).await;
    assert_eq!(done["status"], "completed", "{done}");
    assert_eq!(
        one.good("list_jobs", json!({})).await["jobs"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
}

#[tokio::test]
async fn two_programs_that_are_given_one_file_at_once_make_one_job_of_it() {
    let data = tempfile::tempdir().unwrap();
    let file = data.path().join("fox.png");
    std::fs::write(&file, midjourney_core::testing::tiny_png(7)).unwrap();
    let mut one = Session::process(data.path(), &[]);
    let mut two = Session::process(data.path(), &[]);
    one.greet().await;
    two.greet().await;
    for number in 0..5 {
        std::fs::write(&file, midjourney_core::testing::tiny_png(number)).unwrap();
        let key = format!("shared-{number}");
        let wish = json!({"image": file.to_str().unwrap(), "wait_seconds": 0, "idempotency_key": key});
        let (first, second) = tokio::join!(one.good("describe", wish.clone()), two.good("describe", wish));
        assert_eq!(first["job_id"], second["job_id"]);
    }
}
