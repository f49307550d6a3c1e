//! `kill -9` of the server at random moments under load.

use std::{
    collections::{HashMap, HashSet},
    fs,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use midjourney_core::job::{JobQuery, JobStore as _};
use midjourney_storage::sqlite::{SqliteJobStore, SqliteOptions};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use crate::{
    imitation::Imitation,
    process::{Home, http, random, until_by},
};

const CLIENTS: u32 = 8;
const PER_CLIENT: u32 = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_acknowledged_job_is_lost_and_none_is_paid_twice_over_fifty_kills() {
    kills(50).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "minutes; docs/faults.md has the command"]
async fn no_acknowledged_job_is_lost_and_none_is_paid_twice_over_five_hundred_kills() {
    kills(500).await;
}

async fn kills(rounds: usize) {
    let imitation = Imitation::start();
    let home = Home::against(&imitation.base_url());
    let acknowledged: Arc<Mutex<HashMap<String, String>>> = Arc::default();
    let number = Arc::new(AtomicU32::new(0));
    let mut seed = 0x9e37_79b9_7f4a_7c15;
    let client = http();
    let database = home.data().join("midjourney.db");

    let mut starts = Vec::new();
    for _ in 0..rounds {
        let begun = Instant::now();
        let server = home.serve();
        starts.push(begun.elapsed());
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
        let store = SqliteJobStore::open(&database, SqliteOptions::default())
            .await
            .unwrap();
        assert_eq!(store.integrity_check().await.unwrap(), Vec::<String>::new());
        store.close().await.unwrap();
    }

    let drafts = home.data().join("images/.tmp");
    age(&drafts);
    let server = home.serve();
    assert_eq!(
        names(&drafts),
        Vec::<String>::new(),
        "half pictures are left over"
    );
    let acknowledged = acknowledged.lock().unwrap().clone();
    assert!(
        acknowledged.len() > 100,
        "only {} jobs were acknowledged: no load",
        acknowledged.len()
    );
    let mut ends: HashMap<String, usize> = HashMap::new();
    for (id, prompt) in &acknowledged {
        let job = until_by(
            &client,
            prompt,
            &format!("{}/jobs/{id}", server.url),
            120,
            settled,
        )
        .await;
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
    let stored = prompts(&database).await;
    let unique: HashSet<_> = stored.iter().collect();
    assert_eq!(unique.len(), stored.len(), "no job is in the store twice");
    let paid = imitation.paid();
    let twice: Vec<_> = paid.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "paid twice: {twice:?}");
    starts.sort_unstable();
    println!(
        "{rounds} kills, {} jobs acknowledged, {} tasks paid, ends: {ends:?}; ready again: half within {:?}, 99 % within {:?}",
        acknowledged.len(),
        paid.len(),
        starts[rounds / 2],
        starts[rounds * 99 / 100]
    );
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries
        .map(|it| it.unwrap().file_name().into_string().unwrap())
        .collect()
}

/// Makes the files in `folder` older than whatever may still be at work.
fn age(folder: &Path) {
    for name in names(folder) {
        let file = fs::File::options().write(true).open(folder.join(name)).unwrap();
        let modified = file.metadata().unwrap().modified().unwrap();
        file.set_modified(modified - Duration::from_secs(120)).unwrap();
    }
}

/// The prompts of all jobs that are stored.
async fn prompts(database: &Path) -> Vec<String> {
    let store = SqliteJobStore::open(database, SqliteOptions::default())
        .await
        .unwrap();
    let mut query = JobQuery::newest(200);
    let mut prompts = Vec::new();
    loop {
        let page = store.list(&query).await.unwrap();
        prompts.extend(page.items.into_iter().map(|job| job.request.prompt.clone()));
        match page.next {
            Some(next) => query.after = Some(next),
            None => return prompts,
        }
    }
}

/// Over, or waiting for evidence that a kill in the middle of a submit took away.
pub(crate) fn settled(job: &Value) -> bool {
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
