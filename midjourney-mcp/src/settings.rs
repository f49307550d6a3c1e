//! The configuration and the data directory of this process, and the gateway made of them.

use std::path::PathBuf;

use async_trait::async_trait;
use etcetera::BaseStrategy as _;
use midjourney_core::{
    config::{Config, Environment, Origin, Source, UpstreamKind},
    error::Chain,
};
use midjourney_storage::assemble;

use crate::open::{OpenError, OpenGateway, Opened};

/// The name of our folder in the platform's directories.
const FOLDER: &str = "midjourney";

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
            None => {
                platform().and_then(|folders| Source::find([folders.config_dir().join(FOLDER)]).transpose())
            }
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
            .or_else(|| platform().map(|folders| folders.data_dir().join(FOLDER)))
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

fn platform() -> Option<impl etcetera::BaseStrategy> {
    etcetera::choose_base_strategy().ok()
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
        let assembled = assemble(&settings.config, &settings.data_dir)
            .await
            .map_err(|error| OpenError::new(Chain(&error).to_string()).with_source(error))?;
        let images = std::path::absolute(&assembled.images).unwrap_or(assembled.images);
        Ok(Opened::new(assembled.gateway, Some(assembled.engine)).with_images_dir(Some(images)))
    }
}
