//! `kill -9` of the server at random moments under load.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::{
    imitation::Imitation,
    process::{Home, http, until},
};

const ROUNDS: u64 = 50;
const CLIENTS: u32 = 8;
const PER_CLIENT: u32 = 4;

/// Xorshift: the moments are random but the same in every run.
fn random(seed: &mut u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_acknowledged_job_is_lost_and_none_is_paid_twice_over_fifty_kills() {
    let imitation = Imitation::start();
    let home = Home::against(&imitation.base_url());
    let acknowledged: Arc<Mutex<HashMap<String, String>>> = Arc::default();
    let number = Arc::new(AtomicU32::new(0));
    let mut seed = 0x9e37_79b9_7f4a_7c15;
    let client = http();

    for _ in 0..ROUNDS {
        let server = home.serve();
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                tokio::spawn(submit(
                    client.clone(),
                    server.url.clone(),
                    Arc::clone(&number),
                    Arc::clone(&acknowledged),
                ))
            })
            .collect();
        // The moment of death is the point of the test, not a wait for anything.
        tokio::time::sleep(Duration::from_millis(5 + random(&mut seed) % 116)).await;
        server.kill();
        for task in clients {
            task.await.unwrap();
        }
    }

    let server = home.serve();
    let acknowledged = acknowledged.lock().unwrap().clone();
    assert!(
        acknowledged.len() > 100,
        "only {} jobs were acknowledged: no load",
        acknowledged.len()
    );
    let mut ends: HashMap<String, usize> = HashMap::new();
    for (id, prompt) in &acknowledged {
        let job = until(prompt, &format!("{}/jobs/{id}", server.url), 120, settled).await;
        assert!(job["prompt"].as_str().unwrap().starts_with(prompt), "{job}");
        let end = job["stage"]
            .as_str()
            .or(job["status"].as_str())
            .unwrap()
            .to_owned();
        if end == "completed" {
            assert_eq!(job["images"].as_array().unwrap().len(), 5, "{job}");
            for image in job["images"].as_array().unwrap() {
                let url = format!("{}/images/{}/content", server.url, image["id"].as_str().unwrap());
                let bytes = client.get(url).send().await.unwrap().bytes().await.unwrap();
                let digest: String = Sha256::digest(&bytes)
                    .iter()
                    .map(|byte| format!("{byte:02x}"))
                    .collect();
                assert_eq!(image["sha256"], digest, "{image}");
            }
        }
        *ends.entry(end).or_default() += 1;
    }
    let paid = imitation.paid();
    let twice: Vec<_> = paid.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "paid twice: {twice:?}");
    println!(
        "{ROUNDS} kills, {} jobs acknowledged, {} tasks paid, ends: {ends:?}",
        acknowledged.len(),
        paid.len()
    );
}

/// Over, or waiting for evidence that a kill in the middle of a submit took away.
fn settled(job: &Value) -> bool {
    matches!(
        job["status"].as_str(),
        Some("completed" | "failed" | "cancelled" | "expired")
    ) || job["stage"] == "submit_unknown"
}

async fn submit(
    client: reqwest::Client,
    url: String,
    number: Arc<AtomicU32>,
    acknowledged: Arc<Mutex<HashMap<String, String>>>,
) {
    for _ in 0..PER_CLIENT {
        let prompt = format!("fox number {}", number.fetch_add(1, Ordering::Relaxed));
        let Ok(answer) = client
            .post(format!("{url}/imagine"))
            .json(&json!({"prompt": prompt}))
            .send()
            .await
        else {
            return;
        };
        if answer.status() != 202 {
            continue;
        }
        // The acknowledgement counts only once it has arrived whole.
        if let Ok(body) = answer.json::<Value>().await {
            let id = body["jobs"][0]["id"].as_str().unwrap().to_owned();
            acknowledged.lock().unwrap().insert(id, prompt);
        }
    }
}
