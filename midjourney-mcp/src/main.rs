//! `midjourney-mcp`: the Midjourney gateway as an MCP server on standard input and output.

use std::{
    ffi::OsString,
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
};

use midjourney_core::config::Environment;
use midjourney_mcp::{
    open::OpenError,
    settings::{Flags, FromSettings},
    transport::serve_stdio,
};
use midjourney_storage::Settings;
use tracing::{info, warn};
use tracing_subscriber::{
    Layer as _, filter::Targets, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

const HELP: &str = "\
Midjourney as an MCP server on standard input and output. Started by an MCP client, for example

  claude mcp add midjourney -- midjourney-mcp

Usage: midjourney-mcp [--config FILE] [--data-dir DIR]

  --config FILE    The configuration; default: midjourney.yaml in the platform's configuration folder.
  --data-dir DIR   Where jobs and pictures are kept; default: MIDJOURNEY_DATA_DIR, else the platform's data folder.
  --version        Print the version.
  --help           Print this.

Without configuration pictures are simulated and nothing is spent. Every key of the configuration can be set by a
variable, such as MIDJOURNEY__UPSTREAM__KIND; the upstream's key is MIDJOURNEY_API_KEY. Logs go to standard error; RUST_LOG
or log.level choose what, `warn` by default.
";

enum Said {
    Serve(Flags),
    Print(String),
    Wrong(String),
}

fn main() -> ExitCode {
    let flags = match said(std::env::args_os().skip(1)) {
        Said::Serve(flags) => flags,
        Said::Print(text) => {
            // Whoever closed the pipe has read enough.
            io::stdout().write_all(text.as_bytes()).ok();
            return ExitCode::SUCCESS;
        }
        Said::Wrong(text) => {
            tell(format_args!("{text}; try --help"));
            return ExitCode::from(2);
        }
    };
    let settings = flags.settings(&Environment::of_process());
    log_to_stderr(&settings);
    match &settings {
        Ok(settings) => {
            info!(data_dir = %settings.data_dir.display(), "starting");
            if settings.is_simulated() {
                tell(format_args!(
                    "no upstream is configured: pictures are SIMULATED and cost nothing. Data: {}",
                    settings.data_dir.display()
                ));
            }
            for warning in settings.config.warnings() {
                warn!("{warning}");
            }
        }
        // The client can still be served: every tool tells what is wrong, and works once it is mended.
        Err(error) => {
            tell(format_args!("{error}"));
        }
    }
    let opener = Arc::new(FromSettings::new(flags, Environment::of_process, &settings));
    drop(settings);
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tell(format_args!("cannot start: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let served = runtime.block_on(serve_stdio(opener));
    // A read of standard input may be stuck for ever; nothing else is left to wait for.
    runtime.shutdown_background();
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(format_args!("{error}"));
            ExitCode::FAILURE
        }
    }
}

/// To the person who reads the client's log; there is nobody else to tell if that fails.
fn tell(what: std::fmt::Arguments<'_>) {
    writeln!(io::stderr(), "midjourney-mcp: {what}").ok();
}

fn said(mut words: impl Iterator<Item = OsString>) -> Said {
    let mut flags = Flags::default();
    while let Some(word) = words.next() {
        let text = word.to_string_lossy().into_owned();
        let (name, mut value) = match text.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(PathBuf::from(value))),
            None => (text.clone(), None),
        };
        let place = match name.as_str() {
            "--help" | "-h" => return Said::Print(HELP.to_owned()),
            "--version" | "-V" => {
                return Said::Print(format!("midjourney-mcp {}\n", env!("CARGO_PKG_VERSION")));
            }
            "--config" => &mut flags.config,
            "--data-dir" => &mut flags.data_dir,
            _ => return Said::Wrong(format!("unknown argument {text:?}")),
        };
        if value.is_none() {
            value = words.next().map(PathBuf::from);
        }
        if value.as_ref().is_none_or(|value| value.as_os_str().is_empty()) {
            return Said::Wrong(format!("{name} needs a path"));
        }
        *place = value;
    }
    Said::Serve(flags)
}

/// Standard output belongs to the protocol alone.
fn log_to_stderr(settings: &Result<Settings, OpenError>) {
    let chosen = std::env::vars_os()
        .find(|(name, _)| name == "RUST_LOG")
        .map(|(_, value)| value.to_string_lossy().into_owned())
        .filter(|value| !value.trim().is_empty());
    let chosen = chosen.or_else(|| settings.as_ref().ok()?.log_level().map(str::to_owned));
    let (filter, bad) = match chosen.map(|text| (text.parse::<Targets>(), text)) {
        None => (Targets::new().with_default(tracing::Level::WARN), None),
        Some((Ok(filter), _)) => (filter, None),
        Some((Err(error), text)) => (
            Targets::new().with_default(tracing::Level::WARN),
            Some(format!(
                "{text:?} is no list of log levels ({error}); using `warn`"
            )),
        ),
    };
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(false)
        .with_filter(filter);
    // Fails only where there is a logger already.
    if tracing_subscriber::registry().with(layer).try_init().is_ok()
        && let Some(bad) = bad
    {
        warn!("{bad}");
    }
}
