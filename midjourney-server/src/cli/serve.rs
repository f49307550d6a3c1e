//! `serve`: the HTTP API with the engine behind it.

use std::{convert::Infallible, net::SocketAddr, process::ExitCode, time::Duration};

use midjourney_core::{config::Config, gateway::Gateway, net::Outbound};
use tracing::info;

use super::{
    args::ServeArgs,
    context::Context,
    output::{Failure, note},
};
use crate::http::{self, Hosts, HttpOptions, ServeOptions, Stopping};

/// How long requests and running work may take to come to rest at the end.
const SHUTDOWN: Duration = Duration::from_secs(10);

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
        .with_config(serde_json::json!({ "entries": config.entries() }))
        .with_outbound(outbound.clone())
        .with_address(format!("http://{address}"));
    let router = http::router(assembled.gateway.clone(), options).await;
    let engine = assembled.gateway.start_engine(assembled.engine);

    note(format_args!(
        "listening on http://{address} (documentation: http://{address}/docs)"
    ));
    note(format_args!("data in {}", context.settings.data_dir.display()));
    if assembled.gateway.default_capabilities().simulated {
        note("simulated upstream: the pictures are made up, nothing is sent or spent");
    } else {
        note(format_args!("upstream: {}", assembled.gateway.default_upstream()));
    }

    tokio::spawn(stop_on_signal(stopping.clone()));
    let limits = ServeOptions::default().with_grace(SHUTDOWN);
    let served = tokio::select! {
        served = http::serve(router, vec![listener], limits, stopping) => served,
        never = watch(&assembled.gateway, &outbound) => match never {},
    };
    let rested = engine.shutdown(SHUTDOWN).await;
    info!(rested, "stopped");
    served.map_err(|error| Failure::failed("serving failed", error))?;
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

/// Begins the end at the first request to stop; at the second one the process ends at once.
async fn stop_on_signal(stopping: Stopping) {
    asked_to_stop().await;
    note("stopping; once more to stop at once");
    stopping.begin();
    asked_to_stop().await;
    std::process::exit(130);
}

#[cfg(unix)]
pub(super) async fn asked_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};

    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
        }
        Err(_) => drop(tokio::signal::ctrl_c().await),
    }
}

#[cfg(not(unix))]
pub(super) async fn asked_to_stop() {
    drop(tokio::signal::ctrl_c().await);
}
