//! Which configuration and which data directory a process uses. One rule for all binaries.

use std::path::{Path, PathBuf};

use etcetera::BaseStrategy as _;
use midjourney_core::config::{Config, ConfigError, Entry, Environment, Origin, Source, SourceError};

/// The name of our folder in the platform's directories.
const FOLDER: &str = "midjourney";

/// Where a configuration file is looked for when none is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a program is started by a person or by another program"
)]
pub enum Search {
    /// In the working directory, then in the platform's configuration directory: for programs that a person starts.
    WorkingDirectory,
    /// In the platform's configuration directory only: for programs that another program starts in a folder it does
    /// not own. A file found there must not decide where a key is sent.
    Platform,
}

/// A configuration and where its data lives.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// The configuration.
    pub config: Config,
    /// The file it came from, if any.
    pub file: Option<String>,
    /// Where jobs and pictures are kept.
    pub data_dir: PathBuf,
}

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("the configuration file cannot be read")]
    Source(#[from] SourceError),
    /// The configuration has mistakes.
    #[error("{0}")]
    Config(ConfigError),
    /// The platform has no directory for data, and none is named.
    #[error(
        "there is no home directory to keep data in: set MIDJOURNEY_DATA_DIR, or data_dir in the configuration"
    )]
    NoHome,
}

impl Settings {
    /// Reads the configuration: `file` if it is given, else the first one that `search` finds, else the defaults; and
    /// the environment over it. `data_dir` overrules what the configuration says.
    pub fn load(
        file: Option<&Path>,
        data_dir: Option<PathBuf>,
        search: Search,
        environment: &Environment,
    ) -> Result<Self, SettingsError> {
        let home = etcetera::choose_base_strategy().ok();
        let source = if let Some(file) = file {
            Some(Source::read(file)?)
        } else {
            let here = (search == Search::WorkingDirectory).then(|| PathBuf::from("."));
            let platform = home.as_ref().map(|home| home.config_dir().join(FOLDER));
            Source::find([here, platform].into_iter().flatten())?
        };
        let config = Config::load(source.as_ref(), environment).map_err(SettingsError::Config)?;
        let data_dir = data_dir
            .or_else(|| config.data_dir.clone())
            .or_else(|| home.map(|home| home.data_dir().join(FOLDER)))
            .ok_or(SettingsError::NoHome)?;
        Ok(Self {
            config,
            file: source.map(|source| source.name().to_owned()),
            data_dir,
        })
    }

    /// What is to be logged, where somebody said so in the file or the environment.
    pub fn log_level(&self) -> Option<&str> {
        let said = |entry: Entry| entry.path == "log.level" && !matches!(entry.origin, Origin::Default);
        self.config
            .entries()
            .into_iter()
            .any(said)
            .then_some(self.config.log.level.as_str())
    }

    /// Whether the pictures are made up and nothing is spent.
    pub fn is_simulated(&self) -> bool {
        self.config.is_simulated()
    }
}
