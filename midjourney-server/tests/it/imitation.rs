//! An imitation of a `midjourney-proxy` gateway on loopback, after the wire facts, that remembers what was paid.
//!
//! Speaks the form of the trueai line: `code`/`result` answers, buttons, and single pictures beside the grid. A task
//! is done when it has been fetched twice, so nothing here depends on time.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    extract::{Path, State},
    routing::{get, post},
};
use serde_json::{Value, json};

#[derive(Debug, Clone)]
struct Task {
    state: String,
    prompt: String,
    singles: usize,
    fetches: u32,
    cancelled: bool,
}

#[derive(Debug, Default)]
struct World {
    tasks: Vec<Task>,
    address: Option<SocketAddr>,
}

/// The running imitation; stops when dropped.
#[derive(Debug)]
pub(crate) struct Imitation {
    world: Arc<Mutex<World>>,
    address: SocketAddr,
    server: tokio::task::JoinHandle<()>,
}

impl Imitation {
    pub(crate) async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let world = Arc::new(Mutex::new(World {
            address: Some(address),
            ..World::default()
        }));
        let router = Router::new()
            .route("/mj/submit/imagine", post(imagine))
            .route("/mj/submit/action", post(action))
            .route("/mj/task/{id}/fetch", get(fetch))
            .route("/mj/task/{id}/cancel", post(cancel))
            .route("/mj/task/list", get(list))
            .route("/pictures/{name}", get(picture))
            .with_state(Arc::clone(&world));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            world,
            address,
            server,
        }
    }

    pub(crate) fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many tasks were paid for each prompt.
    pub(crate) fn paid(&self) -> HashMap<String, usize> {
        let mut paid = HashMap::new();
        for task in &self.world.lock().unwrap().tasks {
            *paid.entry(task.prompt.clone()).or_default() += 1;
        }
        paid
    }
}

impl Drop for Imitation {
    fn drop(&mut self) {
        self.server.abort();
    }
}

type Shared = State<Arc<Mutex<World>>>;

fn accept(world: &Mutex<World>, body: &Value, prompt: String, singles: usize) -> Json<Value> {
    let state = body["state"].as_str().unwrap_or_default().to_owned();
    let mut world = world.lock().unwrap();
    world.tasks.push(Task {
        state,
        prompt,
        singles,
        fetches: 0,
        cancelled: false,
    });
    Json(
        json!({"code": 1, "description": "提交成功", "result": world.tasks.len().to_string(), "properties": {}}),
    )
}

async fn imagine(State(world): Shared, Json(body): Json<Value>) -> Json<Value> {
    accept(
        &world,
        &body,
        body["prompt"].as_str().unwrap_or_default().to_owned(),
        4,
    )
}

async fn action(State(world): Shared, Json(body): Json<Value>) -> Json<Value> {
    let custom_id = body["customId"].as_str().unwrap_or_default();
    let singles = if custom_id.contains("::upsample") { 1 } else { 4 };
    let prompt = format!(
        "{} of task {}",
        custom_id,
        body["taskId"].as_str().unwrap_or_default()
    );
    accept(&world, &body, prompt, singles)
}

fn show(world: &World, number: usize) -> Value {
    let task = &world.tasks[number - 1];
    let address = world.address.unwrap();
    let url = |name: String| format!("http://{address}/pictures/{number}-{name}.png");
    let done = task.fetches >= 2;
    let buttons: Vec<_> = (1..=4)
        .flat_map(|n| ["upsample", "variation"].map(|verb| json!({"customId": format!("MJ::JOB::{verb}::{n}::{number}"), "label": format!("{verb}{n}")})))
        .collect();
    json!({
        "id": number.to_string(),
        "state": task.state,
        "prompt": task.prompt,
        "action": if task.singles == 1 { "UPSCALE" } else { "IMAGINE" },
        "status": if task.cancelled { "CANCEL" } else if done { "SUCCESS" } else { "IN_PROGRESS" },
        "progress": if done { "100%" } else { "40%" },
        "imageUrl": if task.singles == 1 { url("1".to_owned()) } else { url("grid".to_owned()) },
        "imageUrls": (done && task.singles > 1).then(|| (1..=task.singles).map(|n| json!({"url": url(n.to_string())})).collect::<Vec<_>>()),
        "buttons": if done { buttons } else { Vec::new() },
        "failReason": null,
    })
}

async fn fetch(State(world): Shared, Path(id): Path<usize>) -> Json<Value> {
    let mut world = world.lock().unwrap();
    if id == 0 || id > world.tasks.len() {
        return Json(Value::Null);
    }
    world.tasks[id - 1].fetches += 1;
    Json(show(&world, id))
}

async fn cancel(State(world): Shared, Path(id): Path<usize>) {
    if let Some(task) = world.lock().unwrap().tasks.get_mut(id - 1) {
        task.cancelled = true;
    }
}

async fn list(State(world): Shared) -> Json<Value> {
    let world = world.lock().unwrap();
    Json(
        (1..=world.tasks.len())
            .map(|number| show(&world, number))
            .collect(),
    )
}

/// A small picture of its own for every name.
async fn picture(Path(name): Path<String>) -> ([(&'static str, &'static str); 1], Vec<u8>) {
    let colour = name
        .bytes()
        .fold(7_u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte));
    let pixels = image::RgbImage::from_pixel(12, 8, image::Rgb([colour, 255 - colour, name.len() as u8]));
    let mut bytes = std::io::Cursor::new(Vec::new());
    pixels.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    ([("content-type", "image/png")], bytes.into_inner())
}
