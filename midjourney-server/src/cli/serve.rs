//! `serve`: the HTTP API with the engine behind it.

use std::{net::SocketAddr, process::ExitCode, time::Duration};

use midjourney_core::config::Config;
use tokio::net::TcpListener;
use tracing::info;

use super::{
    args::ServeArgs,
    context::Context,
    output::{Failure, note},
};
use crate::http::{self, HttpOptions};

/// How long requests and running work may take to come to rest at the end.
const SHUTDOWN: Duration = Duration::from_secs(10);

pub(super) async fn run(context: &Context, args: ServeArgs) -> Result<ExitCode, Failure> {
    let mut config = context.settings.config.clone();
    config.server.host = args.host.unwrap_or(config.server.host);
    config.server.port = args.port.unwrap_or(config.server.port);
    refuse_open_doors(&config)?;

    let assembled = context.assemble().await?;
    let listener = listen(&config).await?;
    let address = listener
        .local_addr()
        .map_err(|error| Failure::failed("the address is unknown", error))?;
    let engine = assembled.gateway.start_engine(assembled.engine);
    let options = HttpOptions::new(serde_json::json!(shown(&config)));
    let router = http::router(assembled.gateway.clone(), options);

    note(format_args!(
        "listening on http://{address} (documentation: http://{address}/docs)"
    ));
    note(format_args!("data in {}", context.settings.data_dir.display()));
    if assembled.gateway.default_capabilities().simulated {
        note("simulated upstream: the pictures are made up, nothing is sent or spent");
    } else {
        note(format_args!("upstream: {}", assembled.gateway.default_upstream()));
    }

    let served = http::serve(listener, router, stop_signal(), SHUTDOWN).await;
    let rested = engine.shutdown(SHUTDOWN).await;
    info!(rested, "stopped");
    served.map_err(|error| Failure::failed("serving failed", error))?;
    Ok(ExitCode::SUCCESS)
}

/// Every key with its value, secrets hidden, and where it came from.
fn shown(config: &Config) -> Vec<midjourney_core::config::Entry> {
    config.entries()
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

async fn listen(config: &Config) -> Result<TcpListener, Failure> {
    let (host, port) = (config.server.host.as_str(), config.server.port);
    let failed = |error| {
        Failure::failed(
            &format!("cannot listen on {host}:{port} (server.host, server.port)"),
            error,
        )
    };
    let address: SocketAddr = tokio::net::lookup_host((host, port))
        .await
        .map_err(failed)?
        .next()
        .ok_or_else(|| failed(std::io::Error::other("the name has no address")))?;
    TcpListener::bind(address).await.map_err(failed)
}

/// Returns at the first request to stop; at the second one the process ends at once.
async fn stop_signal() {
    asked_to_stop().await;
    note("stopping; once more to stop at once");
    tokio::spawn(async {
        asked_to_stop().await;
        std::process::exit(130);
    });
}

#[cfg(unix)]
async fn asked_to_stop() {
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
async fn asked_to_stop() {
    drop(tokio::signal::ctrl_c().await);
}
