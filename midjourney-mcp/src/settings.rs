//! The configuration and the data directory of this process, and the gateway made of them.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use etcetera::{AppStrategy as _, AppStrategyArgs};
use midjourney_core::{
    accounts::Accounts,
    client::simulator::{Simulator, SimulatorOptions},
    clock::{Clock, OsEntropy, SystemClock},
    config::{Config, Environment, Origin, Source, UpstreamKind},
    engine::{EngineConfig, Parts},
    error::Chain,
    gateway::{Gateway, PromptRules},
    job::{AccountName, Policy},
};
use midjourney_storage::{
    fs::LocalImageStore,
    sqlite::{SqliteJobStore, SqliteOptions},
};

use crate::open::{OpenError, OpenGateway, Opened};

/// What was said on the command line.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Flags {
    /// `--config`: the configuration file.
    pub config: Option<PathBuf>,
    /// `--data-dir`: the folder for everything that is kept.
    pub data_dir: Option<PathBuf>,
}

/// Everything that decides what this process works on.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// The configuration.
    pub config: Config,
    /// The folder for everything that is kept.
    pub data_dir: PathBuf,
}

impl Settings {
    /// Reads the file that `flags` name, else that of the platform's configuration folder, and lays the environment
    /// over it. The working directory is not looked at: an MCP client starts its servers in the folder of whatever
    /// project is open, and that must not decide where a key is sent.
    ///
    /// **Errors:** all mistakes at once.
    pub fn load(flags: &Flags, environment: &Environment) -> Result<Self, OpenError> {
        let source = match &flags.config {
            Some(path) => Some(Source::read(path)),
            None => platform().and_then(|folders| Source::find([folders.config_dir()]).transpose()),
        };
        let source = source
            .transpose()
            .map_err(|error| OpenError::new(error.to_string()).with_source(error))?;
        let config = Config::load(source.as_ref(), environment)
            .map_err(|error| OpenError::new(error.to_string()).with_source(error))?;
        let data_dir = flags
            .data_dir
            .clone()
            .or_else(|| config.data_dir.clone())
            .or_else(|| platform().map(|folders| folders.data_dir()))
            .ok_or_else(|| OpenError::new("no folder for data is known; set MIDJOURNEY_DATA_DIR"))?;
        Ok(Self { config, data_dir })
    }

    /// What is to be logged, where somebody said so.
    pub fn log_level(&self) -> Option<&str> {
        let set = |entry: midjourney_core::config::Entry| {
            entry.path == "log.level" && !matches!(entry.origin, Origin::Default)
        };
        self.config
            .entries()
            .into_iter()
            .any(set)
            .then_some(self.config.log.level.as_str())
    }

    /// Whether pictures are made up.
    pub fn simulated(&self) -> bool {
        self.config.upstream.kind == UpstreamKind::Simulator
    }
}

fn platform() -> Option<impl etcetera::AppStrategy> {
    etcetera::choose_app_strategy(AppStrategyArgs {
        top_level_domain: String::new(),
        author: String::new(),
        app_name: "midjourney".to_owned(),
    })
    .ok()
}

/// Opens the gateway that the settings describe, read anew each time.
#[derive(Debug)]
pub struct FromSettings {
    flags: Flags,
    environment: fn() -> Environment,
    notice: Option<String>,
}

impl FromSettings {
    /// For these flags. `first` is what reading the settings gave at the start; it only decides the greeting.
    pub fn new(flags: Flags, environment: fn() -> Environment, first: &Result<Settings, OpenError>) -> Self {
        let notice = match first {
            Ok(settings) if settings.simulated() => Some(
                "SIMULATED: no upstream is configured. Pictures are placeholders drawn by the built-in simulator, \
                 nothing is spent; tell the user so."
                    .to_owned(),
            ),
            Ok(_) => None,
            Err(_) => Some("The configuration is broken: every tool will say what to mend.".to_owned()),
        };
        Self {
            flags,
            environment,
            notice,
        }
    }
}

#[async_trait]
impl OpenGateway for FromSettings {
    fn notice(&self) -> Option<String> {
        self.notice.clone()
    }

    async fn open(&self) -> Result<Opened, OpenError> {
        let settings = Settings::load(&self.flags, &(self.environment)())?;
        assemble(&settings.config, &settings.data_dir).await
    }
}

/// Puts the gateway together.
async fn assemble(config: &Config, data_dir: &Path) -> Result<Opened, OpenError> {
    if config.upstream.kind != UpstreamKind::Simulator {
        return Err(OpenError::new(format!(
            "upstream.kind: this program was built without {}",
            config.upstream.kind.as_str()
        )));
    }
    let account = AccountName::new(config.upstream.account_name());
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let simulator = Simulator::new(Arc::clone(&clock), SimulatorOptions::default());
    let images_dir = config.images_dir(data_dir);
    let jobs = SqliteJobStore::open(config.database_path(data_dir), SqliteOptions::default())
        .await
        .map_err(|error| OpenError::new(Chain(&error).to_string()).with_source(error))?;
    let images = LocalImageStore::open(&images_dir)
        .await
        .map_err(|error| OpenError::new(Chain(&error).to_string()).with_source(error))?;
    let parts = Parts {
        jobs: Arc::new(jobs),
        images: Arc::new(images),
        accounts: Accounts::single(account, Arc::new(simulator)),
        clock,
        entropy: Arc::new(OsEntropy),
        policy: Policy::default(),
        callback: None,
    };
    let engine = EngineConfig::new(config.engine.concurrency, config.engine.lease);
    let images_dir = std::path::absolute(&images_dir).unwrap_or(images_dir);
    Ok(
        Opened::new(Gateway::new(parts, PromptRules::default()), Some(engine))
            .with_images_dir(Some(images_dir)),
    )
}
