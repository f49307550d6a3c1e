//! Everything that each upstream can do, the whole way: our HTTP, gateway and engine on SQLite and files, the client,
//! and the imitation of the upstream.
//!
//! What there is to do is taken from [`Action::ALL`] and the client, and how it is asked for from [`Action::needs`]: a new
//! action that has no route, or does not work here, fails.

use std::{sync::Arc, time::Duration};

use midjourney_core::{
    client::MidjourneyClient,
    clock::SystemClock,
    image::sniff,
    job::{Action, Motion, Need, UpscaleMode, Zoom},
    testing::client_suite::did,
};
use midjourney_server::simulate::{Dialect, Simulation, SimulationOptions};
use midjourney_storage::{
    fs::LocalImageStore,
    sqlite::{SqliteJobStore, SqliteOptions},
};
use reqwest::StatusCode;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::{
    http_support::{Server, Setup, send, text},
    upstreams::{self, each_dialect},
};

struct Bench {
    server: Server,
    simulation: Simulation,
    client: Arc<dyn MidjourneyClient>,
    _folder: TempDir,
}

impl Bench {
    async fn new(dialect: Dialect) -> Self {
        let mut options = SimulationOptions::new(dialect);
        options.duration = Duration::from_millis(20);
        options.side = 16;
        options.key = Some(upstreams::key(dialect));
        let simulation = Simulation::start(options, Arc::new(SystemClock)).unwrap();
        let client = upstreams::connected(dialect, &simulation).await;
        let folder = TempDir::new().unwrap();
        let jobs = SqliteJobStore::open(folder.path().join("jobs.db"), SqliteOptions::default());
        let images = LocalImageStore::open(folder.path().join("images"));
        let setup = Setup {
            client: Arc::clone(&client),
            jobs: Arc::new(jobs.await.unwrap()),
            images: Arc::new(images.await.unwrap()),
            // Some upstreams take pictures as links only.
            links_here: true,
            ..Setup::new()
        };
        Self {
            server: setup.start().await,
            simulation,
            client,
            _folder: folder,
        }
    }

    /// What comes of asking for `action` so; the refusal where the upstream cannot.
    async fn ask(&self, action: Action, body: &Value) -> Result<Value, String> {
        let paid = self.simulation.account().paid.len();
        let request = self.server.post(&format!("/{}", action.name()));
        let (status, answer) = send(request.header("prefer", "wait=60").json(body)).await;
        if status == StatusCode::UNPROCESSABLE_ENTITY && answer["code"] == "upstream_rejected" {
            assert_eq!(
                self.simulation.account().paid.len(),
                paid,
                "{action}: refused and paid"
            );
            return Err(text(&answer, "detail").to_owned());
        }
        assert_eq!(status, StatusCode::OK, "{action} {body}: {answer}");
        let job = answer["jobs"][0].clone();
        assert_eq!(job["status"], "completed", "{action} {body}: {job}");
        self.assert_gives(action, &job).await;
        let account = self.simulation.account();
        assert_eq!(account.paid.len(), paid + 1, "{action} is paid once");
        let done = &account.paid[paid];
        assert!(did(action, &done.action), "{action} was asked for, {done:?}");
        Ok(job)
    }

    /// Texts, or pictures that can be had and are what was stored.
    async fn assert_gives(&self, action: Action, job: &Value) {
        let images = job["images"].as_array().unwrap();
        if action.gives_text() {
            let texts = job["texts"].as_array().unwrap();
            let told = texts.iter().all(|text| !text.as_str().unwrap().trim().is_empty());
            assert!(told && !texts.is_empty() && images.is_empty(), "{action}: {job}");
            return;
        }
        assert!(!images.is_empty(), "{action}: {job}");
        for image in images {
            let bytes = self.content(image).await;
            let digest: String = Sha256::digest(&bytes)
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            assert_eq!(image["sha256"], digest, "{action}: {image}");
            assert_eq!(image["bytes"], bytes.len(), "{action}: {image}");
            let kind = sniff(&bytes).unwrap().media_type.mime();
            assert_eq!(image["media_type"], kind, "{action}: {image}");
        }
    }

    async fn content(&self, image: &Value) -> Vec<u8> {
        let place = format!("/images/{}/content", text(image, "id"));
        let answer = self.server.get(&place).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{image}");
        answer.bytes().await.unwrap().into()
    }

    /// The id of a picture of `job`, taken in again as one that somebody brings along.
    async fn upload(&self, job: &Value) -> String {
        let bytes = self.content(&job["images"][0]).await;
        let request = self.server.post("/images/uploads").body(bytes.clone());
        let (status, upload) = send(request).await;
        assert_eq!(status, StatusCode::CREATED, "{upload}");
        let place = format!("/images/uploads/{}/content", text(&upload, "id"));
        let kept = self
            .server
            .get(&place)
            .send()
            .await
            .unwrap()
            .bytes()
            .await
            .unwrap();
        assert!(kept == bytes, "what was uploaded is another picture now");
        text(&upload, "id").to_owned()
    }

    /// Finished jobs of all kinds that something may start from.
    async fn parents(&self) -> Vec<Value> {
        let mut parents = Vec::new();
        for (number, prompt) in ["a red fox --ar 3:2 --v 7", "a red fox --v 5.2"]
            .iter()
            .enumerate()
        {
            match self.ask(Action::Imagine, &json!({"prompt": prompt})).await {
                Ok(job) => parents.push(job),
                // Not every upstream has the old versions.
                Err(refused) => assert!(number > 0, "{refused}"),
            }
        }
        let cutout = Action::Upscale {
            mode: UpscaleMode::Cutout,
        };
        let animate = Action::Animate { motion: Motion::Low };
        for start in parents.clone() {
            for action in [cutout, animate] {
                if self.client.supports(action) {
                    let bodies = of_parents(action, std::slice::from_ref(&start));
                    parents.extend(self.try_all(action, bodies).await.0);
                }
            }
        }
        parents
    }

    /// The first of `bodies` that the upstream takes, done; else why it took none.
    async fn try_all(&self, action: Action, bodies: Vec<Value>) -> (Option<Value>, Vec<String>) {
        let mut refused = Vec::new();
        for body in bodies {
            match self.ask(action, &body).await {
                Ok(job) => return (Some(job), refused),
                Err(why) => refused.push(format!("{body}: {why}")),
            }
        }
        (None, refused)
    }
}

/// What every body for `action` holds: its variety, and a prompt where it must have one.
fn base(action: Action) -> Value {
    let mut body = serde_json::to_value(action).unwrap();
    body.as_object_mut().unwrap().remove("action");
    if let Action::Zoom {
        zoom: Zoom::Custom(hundredths),
    } = action
    {
        body["zoom"] = json!(f64::from(hundredths) / 100.0);
    }
    if action.needs().prompt == Need::Must {
        body["prompt"] = json!("a blue fox in the snow");
    }
    body
}

fn with(body: &Value, name: &str, value: impl Into<Value>) -> Value {
    let mut body = body.clone();
    body[name] = value.into();
    body
}

/// The ways to ask for `action` on one of `parents`, without a mask.
fn of_parents(action: Action, parents: &[Value]) -> Vec<Value> {
    let needs = action.needs();
    let starts = parents.iter().flat_map(|parent| {
        let alone = parent["images"].as_array().unwrap().len() == 1;
        let indexes: &[u8] = match needs.index {
            Need::Must if alone && parent["images"][0]["kind"] == "single" => &[1],
            Need::Must => &[2, 1],
            Need::May => &[0, 1],
            Need::No => &[0],
        };
        indexes.iter().map(|index| {
            let body = with(&base(action), "job", parent["id"].clone());
            if *index == 0 {
                body
            } else {
                with(&body, "index", *index)
            }
        })
    });
    starts.collect()
}

/// Groups of ways to ask for `action`: from a finished job, from pictures that come along, from words alone. Of each group
/// that the upstream takes at all, one has to work.
fn ways(action: Action, parents: &[Value], uploads: &[String]) -> Vec<Vec<Value>> {
    let needs = action.needs();
    let mut groups = Vec::new();
    if needs.parent != Need::No {
        groups.push(of_parents(action, parents));
    }
    let (least, most) = needs.images;
    if needs.parent == Need::No {
        groups.push(vec![with(&base(action), "images", &uploads[..least])]);
    }
    if most > 0 && least == 0 {
        groups.push(vec![with(&base(action), "images", &uploads[..1])]);
    }
    let masked = |group: &Vec<Value>| -> Vec<Value> {
        let bodies = group.iter();
        bodies
            .map(|body| with(body, "mask", uploads[0].as_str()))
            .collect()
    };
    match needs.mask {
        Need::No => groups,
        Need::Must => groups.iter().map(masked).collect(),
        Need::May => groups.iter().map(masked).chain(groups.clone()).collect(),
    }
}

async fn every_action_gives_what_it_promises(dialect: Dialect) {
    let bench = Bench::new(dialect).await;
    let parents = bench.parents().await;
    let uploads = [bench.upload(&parents[0]).await, bench.upload(&parents[0]).await];
    for action in Action::ALL {
        if !bench.client.supports(action) {
            continue;
        }
        let (mut done, mut refused) = (0, Vec::new());
        for way in ways(action, &parents, &uploads) {
            let (job, why) = bench.try_all(action, way).await;
            done += usize::from(job.is_some());
            refused.extend(why);
        }
        assert!(
            done > 0,
            "{dialect} has {action}, and refuses it:\n{}",
            refused.join("\n")
        );
    }
}

macro_rules! every_action {
    ($name:ident, $dialect:ident) => {
        mod $name {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn every_action_gives_what_it_promises() {
                super::every_action_gives_what_it_promises(super::Dialect::$dialect).await;
            }
        }
    };
}

each_dialect!(every_action);
