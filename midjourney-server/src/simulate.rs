//! Upstreams imitated over their own wire formats, on loopback, for tests and for trying things out.
//!
//! Behind every dialect is one backend: it draws real pictures, spends nothing, keeps an account of what would have
//! been paid, and goes wrong on command (see [`Fault`] for all that can be asked for). Beside the dialect's own routes:
//!
//! | route | what it gives |
//! |---|---|
//! | `GET /_simulate/ledger` | the [`Account`] as JSON |
//! | `GET /pictures/{task}/{index}.png` | a picture of a finished task |
//!
//! To add an upstream, write `dialects/<name>.rs` with its `Wire`, name it in [`Dialect`], and
//! give it a line in `each_dialect!` of `tests/it/upstreams.rs`.

mod answer;
mod backend;
mod callback;
mod dialects;
mod faults;
mod ledger;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Path, RawQuery, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
    routing::get,
};
use midjourney_core::{client::simulator::SimulatorOptions, clock::Clock};

use self::{backend::Backend, faults::Plan};
use crate::http::{self, ServeOptions, Stopping};

pub use self::{
    dialects::{Dialect, UnknownDialect},
    faults::{Fault, Script, ScriptError},
    ledger::{Account, Paid},
};

/// The longest request that is read: five pictures as base64 and some.
const MAX_REQUEST: usize = 64 * 1024 * 1024;

/// What is imitated, and how.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SimulationOptions {
    /// Which upstream.
    pub dialect: Dialect,
    /// Where it listens; a loopback address.
    pub listen: SocketAddr,
    /// What goes wrong without being asked for in prompts.
    pub script: Script,
    /// How long a task takes.
    pub duration: Duration,
    /// The side of a square picture, in pixels.
    pub side: u16,
    /// What ids and variations follow from.
    pub seed: u64,
    /// The key that callers must show; every key will do where it is `None`.
    pub key: Option<String>,
    /// What callbacks are signed with, where the upstream signs them.
    pub callback_secret: String,
}

impl SimulationOptions {
    /// This dialect on a free port, with tasks of 2.5 s.
    pub fn new(dialect: Dialect) -> Self {
        let defaults = SimulatorOptions::default();
        Self {
            dialect,
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            script: Script::default(),
            duration: defaults.duration,
            side: defaults.side,
            seed: 0,
            key: None,
            callback_secret: "simulated".to_owned(),
        }
    }
}

/// The imitation could not start or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SimulationError {
    /// It would be open to others.
    #[error("{0} is not a loopback address; imitations of upstreams listen on this machine only")]
    NotLoopback(SocketAddr),
    /// The socket failed.
    #[error("the imitation cannot serve")]
    Serve(#[source] io::Error),
}

/// A running imitation; ends when dropped.
#[derive(Debug)]
pub struct Simulation {
    address: SocketAddr,
    backend: Arc<Backend>,
    stopping: Stopping,
    server: tokio::task::JoinHandle<io::Result<()>>,
}

impl Drop for Simulation {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Simulation {
    /// Starts one that lives by `clock`. Must be called within a tokio runtime.
    pub fn start(options: SimulationOptions, clock: Arc<dyn Clock>) -> Result<Self, SimulationError> {
        if !options.listen.ip().is_loopback() {
            return Err(SimulationError::NotLoopback(options.listen));
        }
        let listener = http::listen(options.listen).map_err(SimulationError::Serve)?;
        let address = listener.local_addr().map_err(SimulationError::Serve)?;
        let drawing = SimulatorOptions::default()
            .with_duration(options.duration)
            .with_side(options.side);
        let backend = Arc::new(Backend::new(
            clock,
            options.dialect.wire(),
            Plan::new(options.script),
            options.key,
            options.callback_secret,
            drawing,
            options.seed,
        ));
        backend.settle_at(format!("http://{address}"));
        let stopping = Stopping::new();
        let limits = ServeOptions::default().with_grace(Duration::from_secs(1));
        let serving = http::serve(router(&backend), vec![listener], limits, stopping.clone());
        Ok(Self {
            address,
            backend,
            stopping,
            server: tokio::spawn(serving),
        })
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What was paid until now.
    pub fn account(&self) -> Account {
        self.backend.account()
    }

    /// The next submit goes wrong so. Several orders are for several submits, in their order.
    pub fn spoil_submit(&self, fault: Fault) {
        self.backend.plan.order_submit(fault);
    }

    /// The next answer to a question about tasks goes wrong so, where `fault` is one of answers.
    pub fn spoil_question(&self, fault: Fault) {
        self.backend.plan.order_question(fault);
    }

    /// Lets go of everybody and returns.
    pub async fn stop(mut self) -> Result<(), SimulationError> {
        self.stopping.begin();
        match (&mut self.server).await {
            Ok(served) => served.map_err(SimulationError::Serve),
            Err(error) => Err(SimulationError::Serve(io::Error::other(error))),
        }
    }
}

fn router(backend: &Arc<Backend>) -> Router {
    let ours = Router::new()
        .route("/_simulate/ledger", get(ledger))
        .route("/pictures/{task}/{name}", get(picture))
        .with_state(Arc::clone(backend));
    backend
        .wire()
        .routes(Arc::clone(backend))
        .merge(ours)
        .layer(DefaultBodyLimit::max(MAX_REQUEST))
}

async fn ledger(State(backend): State<Arc<Backend>>) -> Json<Account> {
    Json(backend.account())
}

async fn picture(
    State(backend): State<Arc<Backend>>,
    Path((task, name)): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> Response {
    if query.is_some_and(|query| query.contains("proof=expired")) {
        return (StatusCode::FORBIDDEN, "the signature has expired").into_response();
    }
    let index = name.strip_suffix(".png").and_then(|index| index.parse().ok());
    answer::picture(&backend, &task, index).await
}
