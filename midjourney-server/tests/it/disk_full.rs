//! The disk under the data directory is full, and then is not.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use midjourney_core::job::JobStore as _;
use midjourney_storage::sqlite::{SqliteJobStore, SqliteOptions};
use reqwest::StatusCode;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::{
    imitation::Imitation,
    machine::{may_mount, mount},
    process::{Answer, Home, Server, http, order, status, until},
};

/// A file system in memory; gone with the process.
struct Disk(PathBuf);

impl Disk {
    /// One of `size` at `place`.
    fn at(place: &Path, size: &str) -> Self {
        fs::create_dir_all(place).unwrap();
        assert!(mount(
            &["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"],
            place
        ));
        Self(place.to_owned())
    }

    fn grow(&self, size: &str) {
        assert!(mount(&["-o", &format!("remount,size={size}")], &self.0));
    }

    /// Takes all but about `left` bytes.
    fn fill(&self, left: u64) {
        let output = Command::new("stat")
            .args(["--file-system", "--format=%a %S"])
            .arg(&self.0)
            .output();
        let text = String::from_utf8(output.unwrap().stdout).unwrap();
        let (blocks, size) = text.trim().split_once(' ').unwrap();
        let free = blocks.parse::<u64>().unwrap() * size.parse::<u64>().unwrap();
        let ballast = vec![1; usize::try_from(free.saturating_sub(left)).unwrap()];
        let file = self.0.join(format!("ballast-{free}"));
        match fs::write(file, ballast) {
            // Somebody else has written meanwhile: that is as full as it gets.
            Err(error) if error.kind() == io::ErrorKind::StorageFull => {}
            done => done.unwrap(),
        }
    }
}

/// Every picture that is listed can be had, as it was recorded.
async fn all_pictures_are_whole(client: &reqwest::Client, server: &Server) {
    let list = client.get(server.at("/images?limit=200"));
    let list: Value = list.send().await.unwrap().json().await.unwrap();
    let images = list["images"].as_array().unwrap();
    for image in images {
        let url = server.at(&format!("/images/{}/content", image["id"].as_str().unwrap()));
        let bytes = client.get(url).send().await.unwrap().bytes().await.unwrap();
        let digest = Sha256::digest(&bytes);
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(image["sha256"], digest, "{image}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_orders_forgets_none_and_passes() {
    if !may_mount("disk_full::a_full_disk_refuses_orders_forgets_none_and_passes") {
        return;
    }
    let imitation = Imitation::start();
    let home = Home::against(&imitation.base_url());
    let disk = Disk::at(&home.data(), "8m");
    let (server, client) = (home.serve(), http());
    let completed = |job: &Value| job["status"] == "completed";
    let mut accepted = vec![order(&client, &server.url, "before").await.taken()];
    let first = server.at(&format!("/jobs/{}", accepted[0]));
    until("the first", &first, 30, completed).await;
    disk.fill(512 * 1024);

    // Small writes find room now and then; what counts is that it is full for long.
    let mut refusals = 0;
    for number in 0..2_000 {
        match order(&client, &server.url, &format!("number {number}")).await {
            Answer::Taken(id) => accepted.push(id),
            Answer::Refused(StatusCode::INSUFFICIENT_STORAGE, problem) => {
                assert_eq!(problem["code"], "storage_full", "{problem}");
                refusals += 1;
            }
            other => panic!("{other:?}"),
        }
        if refusals == 50 {
            break;
        }
    }
    assert_eq!(refusals, 50, "{} orders were accepted", accepted.len());
    let status = async |path: &str| status(&client, &server.at(path)).await.unwrap();
    assert_eq!(status("/healthz").await, StatusCode::OK);
    assert_eq!(status("/readyz").await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(status("/jobs?limit=200").await, StatusCode::OK);
    for id in &accepted {
        assert_eq!(status(&format!("/jobs/{id}")).await, StatusCode::OK);
    }
    all_pictures_are_whole(&client, &server).await;

    disk.grow("64m");
    let again = async {
        loop {
            if let Answer::Taken(id) = order(&client, &server.url, "after").await {
                return id;
            }
        }
    };
    let again = tokio::time::timeout(Duration::from_secs(5), again).await;
    accepted.push(again.expect("orders are taken within five seconds, without a restart"));
    for id in &accepted {
        let job = until(id, &server.at(&format!("/jobs/{id}")), 120, completed).await;
        assert_eq!(job["images"].as_array().unwrap().len(), 5, "{job}");
    }
    assert_eq!(status("/readyz").await, StatusCode::OK);
    all_pictures_are_whole(&client, &server).await;
    let paid = imitation.paid();
    assert_eq!(paid.len(), accepted.len());
    assert!(paid.values().all(|count| *count == 1), "{paid:?}");
    let said = server.said();
    assert!(!said.contains("panicked"), "{said}");
    server.kill();
    let store = SqliteJobStore::open(home.data().join("midjourney.db"), SqliteOptions::default());
    let store = store.await.unwrap();
    assert_eq!(store.integrity_check().await.unwrap(), Vec::<String>::new());
    let counts = store.counts().await.unwrap();
    assert_eq!(counts.completed, accepted.len() as u64);
    println!(
        "{} accepted, {refusals} refused while the disk was full",
        accepted.len()
    );
}

/// A restart is what many try first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_on_a_full_disk_finds_everything_or_says_what_is_wrong() {
    if !may_mount("disk_full::a_restart_on_a_full_disk_finds_everything_or_says_what_is_wrong") {
        return;
    }
    let imitation = Imitation::start();
    let home = Home::against(&imitation.base_url());
    let disk = Disk::at(&home.data(), "8m");
    let client = http();
    for killed in [true, false] {
        let mut server = home.serve();
        let id = order(&client, &server.url, &format!("killed {killed}"))
            .await
            .taken();
        disk.fill(0);
        if killed {
            server.kill();
        } else {
            server.signal("TERM");
            assert!(server.ended(Duration::from_secs(25)).success());
        }
        match Server::start(home.command()) {
            Ok(server) => {
                let found = status(&client, &server.at(&format!("/jobs/{id}"))).await;
                assert_eq!(found, Some(StatusCode::OK));
                // An orderly end makes room: it takes the log into the database.
                let more = order(&client, &server.url, &format!("more, {killed}")).await;
                match more {
                    Answer::Taken(_) | Answer::Refused(StatusCode::INSUFFICIENT_STORAGE, _) => {}
                    other => panic!("{other:?}"),
                }
            }
            Err((status, said)) => {
                assert_eq!(status.code(), Some(1), "{said}");
                assert!(said.contains("no room left"), "{said}");
            }
        }
        disk.grow(if killed { "16m" } else { "64m" });
        let server = home.serve();
        until(&id, &server.at(&format!("/jobs/{id}")), 60, |job| {
            job["status"] == "completed"
        })
        .await;
    }
    let paid = imitation.paid();
    assert!(paid.values().all(|count| *count == 1), "{paid:?}");
}

/// Pictures may lie on a disk of their own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pictures_that_find_no_room_are_fetched_again_until_they_do() {
    if !may_mount("disk_full::pictures_that_find_no_room_are_fetched_again_until_they_do") {
        return;
    }
    let imitation = Imitation::start();
    let home = Home::against(&imitation.base_url());
    let disk = Disk::at(&home.data().join("images"), "8m");
    let (server, client) = (home.serve(), http());
    disk.fill(0);
    let mut ids = Vec::new();
    for number in 0..8 {
        ids.push(
            order(&client, &server.url, &format!("fox {number}"))
                .await
                .taken(),
        );
    }
    let no_room = |job: &Value| job["stage"] == "storing" && job["failure"]["code"] == "storage_failed";
    for id in &ids {
        until(id, &server.at(&format!("/jobs/{id}")), 30, no_room).await;
    }
    let list: Value = client
        .get(server.at("/images"))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(
        list["images"],
        serde_json::json!([]),
        "nothing is listed that is not there"
    );

    disk.grow("64m");
    for id in &ids {
        let job = until(id, &server.at(&format!("/jobs/{id}")), 60, |job| {
            job["status"] == "completed"
        })
        .await;
        assert_eq!(job["images"].as_array().unwrap().len(), 5, "{job}");
    }
    all_pictures_are_whole(&client, &server).await;
    let paid = imitation.paid();
    assert!(
        paid.len() == ids.len() && paid.values().all(|count| *count == 1),
        "{paid:?}"
    );
}
