//! Several processes on one data directory.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, Stdio},
};

use serde_json::{Value, json};

use crate::{
    imitation::Imitation,
    process::{Home, http, until},
};

/// Two servers, a command and an agent's server at once: nothing is submitted twice, and each sees the others' jobs finish.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_a_command_and_an_agent_share_one_directory() {
    let imitation = Imitation::start();
    let home = Home::against(&imitation.base_url());
    let (first, second) = (home.serve(), home.serve());
    let command = home
        .command()
        .args(["imagine", "drawn by a command"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();

    let agent = home
        .mcp()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let agent = tokio::task::spawn_blocking(move || draw_as_an_agent(agent));

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

    // The agent's job, too, is known to everybody.
    let drawn = agent.await.unwrap();
    let job = until(
        "the agent's job",
        &format!("{}/jobs/{drawn}", first.url),
        30,
        |job| job["status"] == "completed",
    )
    .await;
    assert_eq!(job["prompt"], "drawn by an agent");

    let paid = imitation.paid();
    assert_eq!(paid.len(), 42, "{paid:?}");
    assert!(paid.values().all(|count| *count == 1), "{paid:?}");
}

/// One short MCP session over stdio: greet, draw, leave. Returns the job's id.
fn draw_as_an_agent(mut agent: Child) -> String {
    let mut input = agent.stdin.take().unwrap();
    let output = BufReader::new(agent.stdout.take().unwrap());
    let greeting = json!({
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}
    });
    let call = json!({"name": "imagine", "arguments": {"prompt": "drawn by an agent"}});
    for message in [
        json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": greeting}),
        json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
        json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": call}),
    ] {
        writeln!(input, "{message}").unwrap();
    }
    let answer = output
        .lines()
        .map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap())
        .find(|message| message["id"] == 2)
        .unwrap();
    drop(input);
    assert!(agent.wait().unwrap().success());
    let result = &answer["result"]["structuredContent"];
    assert_eq!(result["status"], "completed", "{answer}");
    result["job_id"]
        .as_str()
        .unwrap_or_else(|| panic!("{answer}"))
        .to_owned()
}
