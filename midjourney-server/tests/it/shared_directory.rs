//! Several processes on one data directory.

use std::process::Stdio;

use serde_json::{Value, json};

use crate::{
    imitation::Imitation,
    process::{Home, http, until},
};

/// Two servers and a command at once: nothing is submitted twice, and each sees the others' jobs finish.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_and_a_command_share_one_directory() {
    let imitation = Imitation::start().await;
    let home = Home::against(&imitation.base_url());
    let (first, second) = (home.serve(), home.serve());
    let command = home
        .command()
        .args(["imagine", "drawn by a command"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();

    let client = http();
    let mut jobs = Vec::new();
    for number in 0..40 {
        let url = if number % 2 == 0 { &first.url } else { &second.url };
        let answer = client
            .post(format!("{url}/imagine"))
            .json(&json!({"prompt": format!("shared {number}")}));
        let answer = answer.send().await.unwrap();
        assert_eq!(answer.status(), 202);
        let body: Value = answer.json().await.unwrap();
        jobs.push(body["jobs"][0]["id"].as_str().unwrap().to_owned());
    }
    for (number, id) in jobs.iter().enumerate() {
        // Asked of the other server than the one that took it.
        let url = if number % 2 == 0 { &second.url } else { &first.url };
        until("completion", &format!("{url}/jobs/{id}"), 60, |job| {
            job["status"] == "completed"
        })
        .await;
    }
    let output = tokio::task::spawn_blocking(move || command.wait_with_output().unwrap())
        .await
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );

    let paid = imitation.paid();
    assert_eq!(paid.len(), 41, "{paid:?}");
    assert!(paid.values().all(|count| *count == 1), "{paid:?}");
}
