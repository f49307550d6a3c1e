//! Several servers on one PostgreSQL database and one folder of pictures, which are killed, frozen, and lose their
//! database.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write as _,
    time::Duration,
};

use futures_util::future::join_all;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use tokio::{sync::watch, time::Instant};

use crate::{
    cluster::Cluster,
    imitation::Imitation,
    process::{Home, Server, http, http_that_stays, random, until_by},
};

/// How long a node may be silent before others take over its work.
const LEASE: Duration = Duration::from_secs(4);

/// Nodes that share jobs and pictures; whatever else they have is their own.
struct Nodes {
    homes: Vec<Home>,
    _images: TempDir,
}

impl Nodes {
    fn new(count: usize, database: &str, upstream: &str) -> Self {
        let images = TempDir::new().unwrap();
        let config = format!(
            "storage:\n  database_url: \"{database}\"\n  path: \"{}\"\n\
             upstream:\n  kind: midjourney-proxy\n  base_url: \"{upstream}\"\n  dialect: trueai\n  timeout_seconds: 2\n\
             engine:\n  lease_seconds: {}\n  submit_timeout_seconds: 2\n  concurrency: 32\n",
            images.path().display(),
            LEASE.as_secs(),
        );
        Self {
            homes: (0..count).map(|_| Home::with(&config)).collect(),
            _images: images,
        }
    }

    fn serve(&self) -> Vec<Server> {
        self.homes.iter().map(Home::serve).collect()
    }
}

/// What clients do until each of their orders is acknowledged: the same order under the same key, to whichever node.
struct Orders {
    count: usize,
    addresses: watch::Receiver<Vec<String>>,
}

impl Orders {
    /// All jobs by their prompts, and what was answered that was no acknowledgement, how often.
    async fn placed(&self) -> (BTreeMap<String, String>, BTreeMap<String, usize>) {
        const CLIENTS: usize = 8;
        let shares = (0..CLIENTS).map(|client| async move {
            let (http, mut jobs, mut others) = (http(), BTreeMap::new(), BTreeMap::<_, usize>::new());
            for number in (client..self.count).step_by(CLIENTS) {
                let prompt = format!("fox number {number}");
                for round in client.. {
                    let url = {
                        let addresses = self.addresses.borrow();
                        addresses[round % addresses.len()].clone()
                    };
                    match place(&http, &url, &prompt).await {
                        Ok(id) => {
                            jobs.insert(prompt, id);
                            break;
                        }
                        Err(other) => *others.entry(other).or_default() += 1,
                    }
                    // A client that is told to come back in a second does not come back at once.
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
            (jobs, others)
        });
        let (mut jobs, mut others) = (BTreeMap::new(), BTreeMap::<_, usize>::new());
        for (placed, refused) in join_all(shares).await {
            jobs.extend(placed);
            for (other, count) in refused {
                *others.entry(other).or_default() += count;
            }
        }
        (jobs, others)
    }
}

/// The job, or what else was answered.
async fn place(http: &Client, url: &str, prompt: &str) -> Result<String, String> {
    let request = http
        .post(format!("{url}/imagine"))
        .header("Idempotency-Key", prompt.replace(' ', "-"))
        .json(&json!({ "prompt": prompt }));
    let answer = request.send().await.map_err(|_| "no answer".to_owned())?;
    let (status, later) = (answer.status(), answer.headers().contains_key("retry-after"));
    let body: Value = answer.json().await.map_err(|_| "half an answer".to_owned())?;
    if status == StatusCode::ACCEPTED {
        return Ok(body["jobs"][0]["id"].as_str().unwrap().to_owned());
    }
    assert!(status.is_server_error(), "{status} {body}");
    let mut other = format!("{status} {}", body["code"]);
    if later {
        other.push_str(" with Retry-After");
    }
    Err(other)
}

/// Waits for the end of every job. What was sent out by a node that was killed, and is not at the upstream, is sent again
/// as an operator would who has looked there.
async fn all_completed(
    http: &Client,
    url: &str,
    jobs: &BTreeMap<String, String>,
    imitation: &Imitation,
) -> usize {
    let mut resent = 0;
    for (prompt, id) in jobs {
        let place = format!("{url}/jobs/{id}");
        loop {
            let job = until_by(http, prompt, &place, 120, |job| {
                job["status"] != "pending" && job["status"] != "processing"
                    || job["stage"] == "submit_unknown"
            })
            .await;
            if job["status"] == "completed" {
                break;
            }
            assert_eq!(job["stage"], "submit_unknown", "{job}");
            // What is there comes to light by itself: the upstream can be asked.
            if imitation.paid_for(prompt) == 0 {
                let again = json!({"decision": "resubmit"});
                let sent = http
                    .post(format!("{place}/resolve"))
                    .json(&again)
                    .send()
                    .await
                    .unwrap();
                // It may have been settled a moment ago.
                assert!(
                    sent.status().is_success() || sent.status() == StatusCode::CONFLICT,
                    "{}",
                    sent.text().await.unwrap()
                );
                resent += 1;
            }
            until_by(http, prompt, &place, 120, |job| job["stage"] != "submit_unknown").await;
        }
    }
    resent
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_nodes_of_which_some_are_killed_pay_each_job_once() {
    killed_at_random(160, Duration::from_millis(700)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "minutes; docs/faults.md has the command"]
async fn four_nodes_of_which_some_are_killed_pay_each_of_two_thousand_jobs_once() {
    killed_at_random(2_000, Duration::from_secs(2)).await;
}

async fn killed_at_random(count: usize, pause: Duration) {
    let (cluster, imitation) = (Cluster::start(), Imitation::start());
    let nodes = Nodes::new(4, &cluster.database(), &imitation.base_url());
    let mut servers = nodes.serve();
    let (tell, addresses) = watch::channel(urls(&servers));
    let orders = Orders { count, addresses };
    let mut kills = 0;
    let killing = async {
        let mut seed = 0x9e37_79b9_7f4a_7c15;
        loop {
            // The moment of death is the point of the test, not a wait for anything.
            tokio::time::sleep(pause).await;
            let victim = usize::try_from(random(&mut seed)).unwrap() % servers.len();
            let fresh = nodes.homes[victim].command();
            servers.remove(victim).kill();
            kills += 1;
            let again = tokio::task::spawn_blocking(|| Server::start(fresh))
                .await
                .unwrap();
            servers.insert(victim, again.unwrap_or_else(|(_, said)| panic!("{said}")));
            tell.send_replace(urls(&servers));
        }
    };
    let (jobs, others) = tokio::select! {
        placed = orders.placed() => placed,
        () = killing => unreachable!("it goes on"),
    };
    assert_eq!(jobs.len(), count);
    let client = http();
    let resent = all_completed(&client, &servers[0].url, &jobs, &imitation).await;
    let paid = imitation.paid();
    let twice: HashMap<_, _> = paid.iter().filter(|(_, count)| **count != 1).collect();
    assert!(twice.is_empty(), "paid twice: {twice:?}");
    assert_eq!(paid.len(), count, "each is paid");
    println!(
        "4 nodes, {kills} kills, {count} jobs completed, {} paid, {resent} sent again by hand; other answers: {others:?}",
        paid.len()
    );
}

fn urls(servers: &[Server]) -> Vec<String> {
    servers.iter().map(|server| server.url.clone()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_was_frozen_for_three_leases_comes_back_and_changes_nothing() {
    const JOBS: usize = 12;
    let (cluster, imitation) = (Cluster::start(), Imitation::start());
    let nodes = Nodes::new(2, &cluster.database(), &imitation.base_url());
    let servers = nodes.serve();
    let client = http();
    let mut jobs = BTreeMap::new();
    for number in 0..JOBS {
        // Half of them are being handed over when it stops.
        let prompt = format!(
            "fox {number} {}",
            if number % 2 == 0 { "sim:slow" } else { "sim:drip" }
        );
        jobs.insert(
            prompt.clone(),
            place(&client, &servers[0].url, &prompt).await.unwrap(),
        );
    }
    servers[0].signal("STOP");
    let frozen = Instant::now();
    let resent = all_completed(&client, &servers[1].url, &jobs, &imitation).await;
    tokio::time::sleep_until(frozen + 3 * LEASE).await;
    let before = told(&client, &servers[1].url, &jobs).await;
    servers[0].signal("CONT");
    // It has looked at the database once more when it takes an order.
    let prompt = "fox after the frost";
    let after = place(&client, &servers[0].url, prompt).await.unwrap();
    let one = BTreeMap::from([(prompt.to_owned(), after)]);
    all_completed(&client, &servers[0].url, &one, &imitation).await;
    assert_eq!(told(&client, &servers[1].url, &jobs).await, before);
    let paid = imitation.paid();
    assert!(paid.values().all(|count| *count == 1), "{paid:?}");
    assert_eq!(paid.len(), JOBS + 1);
    println!("frozen for {:?}; {resent} sent again by hand", 3 * LEASE);
}

/// All that was ever told of these jobs.
async fn told(client: &Client, url: &str, jobs: &BTreeMap<String, String>) -> String {
    let mut told = String::new();
    for id in jobs.values() {
        let job: Value = client
            .get(format!("{url}/jobs/{id}"))
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        writeln!(told, "{job}").unwrap();
    }
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_restarts_again_and_again_costs_no_acknowledged_job() {
    const JOBS: usize = 80;
    const RESTARTS: usize = 5;
    let (cluster, imitation) = (Cluster::start(), Imitation::start());
    let nodes = Nodes::new(2, &cluster.database(), &imitation.base_url());
    let servers = nodes.serve();
    let (_tell, addresses) = watch::channel(urls(&servers));
    let orders = Orders {
        count: JOBS,
        addresses,
    };
    let restarting = async {
        for _ in 0..RESTARTS {
            tokio::task::block_in_place(|| cluster.crash());
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    let ((jobs, others), ()) = tokio::join!(orders.placed(), restarting);
    for other in others.keys() {
        assert!(
            other == "no answer" || other.starts_with("503") && other.ends_with("with Retry-After"),
            "{others:?}"
        );
    }
    let resent = all_completed(&http(), &servers[1].url, &jobs, &imitation).await;
    let paid = imitation.paid();
    assert!(paid.values().all(|count| *count == 1), "{paid:?}");
    assert_eq!(paid.len(), JOBS);
    println!(
        "{RESTARTS} restarts, {JOBS} jobs completed, {resent} sent again by hand; other answers: {others:?}"
    );
}

/// What one node has signed is good at the others: they share a secret although they share no folder.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_of_one_node_opens_at_another() {
    let cluster = Cluster::start();
    let (database, images) = (cluster.database(), TempDir::new().unwrap());
    let config = format!(
        "server:\n  public_url: http://127.0.0.1\nstorage:\n  database_url: \"{database}\"\n  path: \"{}\"\n",
        images.path().display()
    );
    let servers = [Home::with(&config), Home::with(&config)].map(|home| (home.serve(), home));
    let client = http();
    let order = client
        .post(servers[0].0.at("/mj/submit/imagine"))
        .json(&json!({"prompt": "a fox"}));
    let task: Value = order.send().await.unwrap().json().await.unwrap();
    let place = servers[0]
        .0
        .at(&format!("/mj/task/{}/fetch", task["result"].as_str().unwrap()));
    let done = until_by(&client, "the task", &place, 60, |task| {
        task["status"] == "SUCCESS"
    })
    .await;
    let link = done["imageUrl"].as_str().unwrap();
    let path = link.strip_prefix("http://127.0.0.1").unwrap();
    for (server, _) in &servers {
        let open = |path: String| client.get(server.at(&path)).send();
        assert_eq!(
            open(path.to_owned()).await.unwrap().status(),
            StatusCode::OK,
            "{link}"
        );
        let wrong = open(path.replace("signature=", "signature=00")).await.unwrap();
        assert_eq!(wrong.status(), StatusCode::FORBIDDEN, "{link}");
    }
}

/// No file of one node is there for the other.
#[cfg(feature = "s3")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_share_a_database_and_a_bucket_need_nothing_else() {
    const JOBS: usize = 6;
    let (cluster, imitation) = (Cluster::start(), Imitation::start());
    let bucket = crate::bucket::Server::s3().bucket();
    let config = format!(
        "storage:\n  type: s3\n  bucket: {}\n  prefix: pictures\n  endpoint: {}\n  database_url: \"{}\"\n\
         upstream:\n  kind: midjourney-proxy\n  base_url: \"{}\"\n  dialect: trueai\n",
        bucket.name,
        bucket.endpoint.as_deref().unwrap(),
        cluster.database(),
        imitation.base_url()
    );
    let start = |home: &Home| {
        let mut command = home.command();
        command
            .env("AWS_ACCESS_KEY_ID", "tests")
            .env("AWS_SECRET_ACCESS_KEY", "tests");
        Server::start(command).unwrap_or_else(|(_, said)| panic!("{said}"))
    };
    // The one hands out the bytes, the other sends callers to the bucket with a signed link.
    let signing = config.replace("  prefix:", "  signed_links: true\n  prefix:");
    let homes = [Home::with(&config), Home::with(&signing)];
    let servers: Vec<_> = homes.iter().map(start).collect();
    let client = http();
    let mut jobs = BTreeMap::new();
    for number in 0..JOBS {
        let prompt = format!("fox {number}");
        let id = place(&client, &servers[number % 2].url, &prompt).await.unwrap();
        jobs.insert(prompt, id);
    }
    all_completed(&client, &servers[0].url, &jobs, &imitation).await;
    for (number, id) in jobs.values().enumerate() {
        let other = &servers[(number + 1) % 2];
        let job: Value = client
            .get(other.at(&format!("/jobs/{id}")))
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        let images = job["images"].as_array().unwrap();
        assert_eq!(images.len(), 5, "{job}");
        for image in images {
            let content = other.at(&format!("/images/{}/content", image["id"].as_str().unwrap()));
            let bytes = client.get(&content).send().await.unwrap().bytes().await.unwrap();
            let digest: String = Sha256::digest(&bytes)
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            assert_eq!(image["sha256"], digest, "{image}");
            let part = client
                .get(&content)
                .header("range", "bytes=1-3")
                .send()
                .await
                .unwrap();
            assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
            assert_eq!(part.bytes().await.unwrap(), bytes[1..4]);
        }
    }
    let (_, images) = crate::http_support::send(client.get(servers[1].at("/images?limit=1"))).await;
    let content = format!("/images/{}/content", images["images"][0]["id"].as_str().unwrap());
    let sent = http_that_stays()
        .get(servers[1].at(&content))
        .send()
        .await
        .unwrap();
    assert_eq!(sent.status(), StatusCode::TEMPORARY_REDIRECT);
    assert_eq!(sent.headers()["cache-control"], "no-store");
    let link = sent.headers()["location"].to_str().unwrap();
    assert!(
        link.contains("X-Amz-Expires=3600") && link.contains("X-Amz-Signature="),
        "{link}"
    );
    let doctor = homes[0]
        .command()
        .env("AWS_ACCESS_KEY_ID", "tests")
        .env("AWS_SECRET_ACCESS_KEY", "tests")
        .arg("doctor")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&doctor.stdout);
    assert!(
        told.contains("PostgreSQL, database") && told.contains("s3 bucket"),
        "{told}"
    );
    for home in &homes {
        assert!(!home.data().join("images").exists() && !home.data().join("midjourney.db").exists());
    }
}
