//! What every command starts from.

use midjourney_core::{
    config::{Environment, LogFormat},
    engine::Engine,
    gateway::Gateway,
    key::Secret,
    net::{Outbound, OutboundOptions},
};
use midjourney_storage::{Assembled, Search, Settings, SettingsError, assemble};
use tracing_subscriber::EnvFilter;

use super::{
    args::{Cli, Command},
    output::{Failure, note},
};

/// The settings, and how to answer.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) settings: Settings,
    pub(super) json: bool,
}

impl Context {
    pub(super) fn load(cli: &Cli) -> Result<Self, Failure> {
        let environment = Environment::of_process();
        let settings = Settings::load(
            cli.config.as_deref(),
            cli.data_dir.clone(),
            Search::WorkingDirectory,
            &environment,
        )
        .map_err(|error| match error {
            SettingsError::Config(error) => Failure::usage(error.to_string()),
            other => Failure::usage(midjourney_core::error::Chain(&other).to_string()),
        })?;
        log(&settings, matches!(cli.command, Command::Serve(_)));
        for warning in settings.config.warnings() {
            note(format_args!("warning: {warning}"));
        }
        Ok(Self {
            settings,
            json: cli.json,
        })
    }

    /// Opens the stores.
    pub(super) async fn assemble(&self) -> Result<Assembled, Failure> {
        assemble(&self.settings.config, &self.settings.data_dir)
            .await
            .map_err(|error| Failure::failed("the gateway cannot start", error))
    }

    /// What calls the addresses that clients name, and our own public one.
    pub(super) fn outbound(&self) -> Result<Outbound, Failure> {
        let config = &self.settings.config.outbound;
        let proxy = config.proxy.as_ref();
        let options = OutboundOptions::default()
            .with_allow_private(config.allow_private)
            .with_proxy(proxy.map(|proxy| Secret::new(proxy.expose().as_str())));
        Outbound::new(options)
            .map_err(|error| Failure::failed("the client for outgoing calls cannot be made", error))
    }

    /// A gateway with its engine running in this process.
    pub(super) async fn working(&self) -> Result<(Assembled, Engine), Failure> {
        let assembled = self.assemble().await?;
        let engine = assembled.gateway.start_engine(assembled.engine);
        Ok((assembled, engine))
    }

    /// A gateway that only looks.
    pub(super) async fn gateway(&self) -> Result<Gateway, Failure> {
        Ok(self.assemble().await?.gateway)
    }
}

/// The log goes to standard error. A command beside a person is quiet unless the configuration says otherwise.
fn log(settings: &Settings, serving: bool) {
    let config = &settings.config.log;
    let level = settings
        .log_level()
        .unwrap_or(if serving { config.level.as_str() } else { "error" });
    let filter = EnvFilter::try_new(level).unwrap_or_else(|_| EnvFilter::new("info"));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // A second subscriber in one process, as in tests, is not worth an error.
    drop(match config.format {
        LogFormat::Json => subscriber.json().try_init(),
        _ => subscriber
            .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
            .try_init(),
    });
}
