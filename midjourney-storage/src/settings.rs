//! Which configuration and which data directory a process uses. One rule for all binaries.

use std::path::{Path, PathBuf};

use etcetera::BaseStrategy as _;
use midjourney_core::config::{Config, ConfigError, Environment, Source, SourceError};

/// The name of our folder in the platform's directories.
const FOLDER: &str = "midjourney";

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
    /// Reads the configuration: `file` if it is given, else `midjourney.yaml` in the working directory, else the one in
    /// the platform's configuration directory, else the defaults; and the environment over it. `data_dir` overrules
    /// what the configuration says.
    pub fn load(
        file: Option<&Path>,
        data_dir: Option<PathBuf>,
        environment: &Environment,
    ) -> Result<Self, SettingsError> {
        let home = etcetera::choose_base_strategy().ok();
        let source = if let Some(file) = file {
            Some(Source::read(file)?)
        } else {
            let platform = home.as_ref().map(|home| home.config_dir().join(FOLDER));
            Source::find([Some(PathBuf::from(".")), platform].into_iter().flatten())?
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
}
