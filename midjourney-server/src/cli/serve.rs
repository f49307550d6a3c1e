//! `serve`: the HTTP API with the engine behind it.

use std::{convert::Infallible, net::SocketAddr, num::NonZeroU32, process::ExitCode, time::Duration};

use midjourney_core::{config::Config, gateway::Gateway, net::Outbound};
use midjourney_storage::assemble::JobDatabase;
#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::info;

use super::{
    args::ServeArgs,
    context::Context,
    output::{Failure, note},
};
use crate::http::{self, Hosts, HttpOptions, ServeOptions, Stopping};

/// How long requests and running work may take to come to rest at the end.
const SHUTDOWN: Duration = Duration::from_secs(10);

/// How long a server whose disk has failed goes on to say that it is not ready, so that whoever shares out requests
/// hears of it.
const LAST_WORDS: Duration = Duration::from_secs(3);

pub(super) async fn run(context: &Context, args: ServeArgs) -> Result<ExitCode, Failure> {
    let mut config = context.settings.config.clone();
    config.server.host = args.host.unwrap_or(config.server.host);
    config.server.port = args.port.unwrap_or(config.server.port);
    refuse_open_doors(&config)?;

    let assembled = context.assemble().await?;
    let listener = http::listen(address(&config).await?).map_err(|error| cannot_listen(&config, error))?;
    let address = listener
        .local_addr()
        .map_err(|error| cannot_listen(&config, error))?;
    let outbound = context.outbound()?;
    let stopping = Stopping::new();
    let options = HttpOptions::new(stopping.clone())
        .with_hosts(hosts(&config))
        .with_callback_host(callback_host(&config))
        .with_trusted_proxies(config.server.trusted_proxies.clone())
        .with_requests_per_minute(config.server.requests_per_minute.and_then(NonZeroU32::new))
        .with_config(serde_json::json!({ "entries": config.entries() }))
        .with_outbound(outbound.clone())
        .with_address(format!("http://{address}"));
    let router = http::router(assembled.gateway.clone(), options).await;
    let engine = assembled.gateway.start_engine(assembled.engine);

    // Whoever reads the next line may ask at once.
    let requests = StopRequests::listen();
    note(format_args!(
        "listening on http://{address} (documentation: http://{address}/docs)"
    ));
    note(format_args!("data in {}", context.settings.data_dir.display()));
    if assembled.gateway.default_capabilities().simulated {
        note("simulated upstream: the pictures are made up, nothing is sent or spent");
    } else {
        note(format_args!("upstream: {}", assembled.gateway.default_upstream()));
    }

    tokio::spawn(stop_on_signal(requests, stopping.clone()));
    tokio::spawn(stop_on_a_failed_disk(
        assembled.database.clone(),
        stopping.clone(),
    ));
    let limits = ServeOptions::default()
        .with_grace(SHUTDOWN)
        .with_connections(config.server.max_connections);
    let served = tokio::select! {
        served = http::serve(router, vec![listener], limits, stopping) => served,
        never = watch(&assembled.gateway, &outbound) => match never {},
    };
    // Where nothing can be written any more, no work comes to rest.
    let limit = if assembled.database.has_stopped() {
        Duration::ZERO
    } else {
        SHUTDOWN
    };
    let rested = engine.shutdown(limit).await;
    info!(rested, "stopped");
    served.map_err(|error| Failure::failed("serving failed", error))?;
    if assembled.database.has_stopped() {
        // Not a success: whoever looks after this process is to start it anew.
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// Looks after our own callback address for as long as requests are served.
async fn watch(gateway: &Gateway, outbound: &Outbound) -> Infallible {
    gateway.watch_callbacks(outbound).await;
    std::future::pending().await
}

/// Whoever can reach the port can spend money.
fn refuse_open_doors(config: &Config) -> Result<(), Failure> {
    if config.server.is_loopback() || config.server.allow_unauthenticated {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "server.host {} can be reached from other machines and no credential protects it: use 127.0.0.1, or set \
         server.allow_unauthenticated to true if a proxy in front asks for one",
        config.server.host
    )))
}

/// Behind a proxy the names are the proxy's business; else only our own are answered.
fn hosts(config: &Config) -> Hosts {
    if config.server.allow_unauthenticated {
        Hosts::Any
    } else {
        Hosts::Known(vec![config.server.host.clone()])
    }
}

/// The name in the address that upstreams are told.
fn callback_host(config: &Config) -> Option<String> {
    let url = config.webhook.public_url.as_ref()?;
    url.host_str().map(str::to_owned)
}

fn cannot_listen(config: &Config, error: std::io::Error) -> Failure {
    let (host, port) = (&config.server.host, config.server.port);
    Failure::failed(
        &format!("cannot listen on {host}:{port} (server.host, server.port)"),
        error,
    )
}

async fn address(config: &Config) -> Result<SocketAddr, Failure> {
    let found = tokio::net::lookup_host((config.server.host.as_str(), config.server.port)).await;
    let first = found.map_err(|error| cannot_listen(config, error))?.next();
    first.ok_or_else(|| cannot_listen(config, std::io::Error::other("the name has no address")))
}

/// Begins the end once nothing can be written any more: only a process that opens the database anew learns what is on
/// disk.
async fn stop_on_a_failed_disk(database: JobDatabase, stopping: Stopping) {
    database.stopped().await;
    note("the disk failed to keep what was written; ending, to be started anew");
    tokio::time::sleep(LAST_WORDS).await;
    stopping.begin();
}

/// Begins the end at the first request to stop; at the second one the process ends at once.
async fn stop_on_signal(mut requests: StopRequests, stopping: Stopping) {
    requests.next().await;
    note("stopping; once more to stop at once");
    stopping.begin();
    requests.next().await;
    std::process::exit(130);
}

/// The requests to stop this process from now on. Before there is one of these, a request ends it on the spot.
#[cfg(unix)]
pub(super) struct StopRequests([Option<Signal>; 2]);

#[cfg(unix)]
impl StopRequests {
    pub(super) fn listen() -> Self {
        Self([SignalKind::terminate(), SignalKind::interrupt()].map(|kind| signal(kind).ok()))
    }

    pub(super) async fn next(&mut self) {
        let [terminate, interrupt] = &mut self.0;
        tokio::select! {
            () = heard(terminate) => {}
            () = heard(interrupt) => {}
        }
    }
}

#[cfg(unix)]
async fn heard(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

#[cfg(not(unix))]
pub(super) struct StopRequests;

#[cfg(not(unix))]
impl StopRequests {
    pub(super) fn listen() -> Self {
        Self
    }

    pub(super) async fn next(&mut self) {
        drop(tokio::signal::ctrl_c().await);
    }
}
