//! Several processes on one data directory.

use std::{
    collections::HashMap,
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, Command, Stdio},
    time::Duration,
};

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{
    imitation::Imitation,
    kill::settled,
    process::{Answer, Home, Server, http, order, random, until, until_by},
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

/// Another process that holds the database's lock for three seconds at a time.
const HOLDER: &str = "
import sqlite3, sys, time
db = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)
for _ in range(int(sys.argv[2])):
    db.execute('BEGIN IMMEDIATE')
    time.sleep(3)
    db.execute('COMMIT')
    time.sleep(0.2)
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_notice_only_the_wait_where_another_process_holds_the_database() {
    held(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "three minutes; docs/faults.md has the command"]
async fn clients_notice_only_the_wait_where_another_process_holds_the_database_fifty_times() {
    held(50).await;
}

async fn held(times: usize) {
    const CLIENTS: usize = 32;
    let home = Home::simulated();
    let server = home.serve();
    let mut holder = Command::new("python3")
        .args(["-c", HOLDER])
        .arg(home.data().join("midjourney.db"))
        .arg(times.to_string())
        .spawn()
        .unwrap();
    let (over, ended) = tokio::sync::watch::channel(false);
    let client = http();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let (client, url, ended) = (client.clone(), server.url.clone(), ended.clone());
            tokio::spawn(async move {
                let mut taken = Vec::new();
                while !*ended.borrow() {
                    let begun = Instant::now();
                    let prompt = format!("fox {number} {}", taken.len());
                    let id = order(&client, &url, &prompt).await.taken();
                    taken.push((begun.elapsed(), id));
                    // A crowd that never rests would measure itself.
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
                taken
            })
        })
        .collect();
    let status = tokio::task::spawn_blocking(move || holder.wait().unwrap());
    assert!(status.await.unwrap().success());
    over.send_replace(true);
    let mut taken: Vec<_> = join_all(clients)
        .await
        .into_iter()
        .flat_map(Result::unwrap)
        .collect();
    for (_, id) in &taken {
        let found = client
            .get(server.at(&format!("/jobs/{id}")))
            .send()
            .await
            .unwrap();
        assert_eq!(found.status(), 200, "{id}");
    }
    taken.sort_unstable();
    println!(
        "{} orders over {times} times of three seconds; half within {:?}, 99 % within {:?}",
        taken.len(),
        taken[taken.len() / 2].0,
        taken[taken.len() * 99 / 100].0
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_are_killed_in_turn_share_one_directory() {
    killed_in_turn(10, 60).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a minute and more; docs/faults.md has the command"]
async fn servers_that_are_killed_thirty_times_share_one_directory() {
    killed_in_turn(30, 500).await;
}

/// Two servers and three commands at a time, `jobs` jobs between them, and one server killed again and again.
async fn killed_in_turn(kills: usize, jobs: usize) {
    const COMMANDS: usize = 3;
    let imitation = Imitation::start();
    let home = Home::against(&imitation.base_url());
    let client = http();
    let mut servers = [home.serve(), home.serve()];
    let mut seed = 0x2545_f491_4f6c_dd1d;
    let mut acknowledged = HashMap::new();
    let mut commands = Vec::new();
    for kill in 0..kills {
        for number in 0..COMMANDS * usize::from(kill % 5 == 0) {
            let prompt = format!("by a command {kill} {number}");
            let mut command = home.command();
            command.args(["imagine", &prompt, "--no-wait"]);
            commands.push(
                command
                    .stdout(Stdio::null())
                    .stderr(Stdio::piped())
                    .spawn()
                    .unwrap(),
            );
        }
        let victim = usize::try_from(random(&mut seed) % 2).unwrap();
        let orders = (0..jobs / kills).map(|number| {
            let (client, prompt) = (client.clone(), format!("by a server {kill} {number}"));
            let url = servers[number % 2].url.clone();
            let dies = number % 2 == victim;
            tokio::spawn(async move {
                match order(&client, &url, &prompt).await {
                    Answer::Taken(id) => Some((id, prompt)),
                    Answer::Lost if dies => None,
                    other => panic!("{prompt}: {other:?}"),
                }
            })
        });
        let orders: Vec<_> = orders.collect();
        // The moment of death is the point of the test, not a wait for anything.
        tokio::time::sleep(Duration::from_millis(random(&mut seed) % 100)).await;
        let next: Server = home.serve();
        std::mem::replace(&mut servers[victim], next).kill();
        for order in orders {
            acknowledged.extend(order.await.unwrap());
        }
    }
    for command in commands {
        let output = command.wait_with_output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    for (id, prompt) in &acknowledged {
        let url = servers[0].at(&format!("/jobs/{id}"));
        until_by(&client, prompt, &url, 120, settled).await;
    }
    let paid = imitation.paid();
    assert!(paid.values().all(|count| *count == 1), "{paid:?}");
    println!(
        "{kills} kills, {} acknowledged, {} paid",
        acknowledged.len(),
        paid.len()
    );
}
