//! The gateway that the configuration describes.

use std::path::PathBuf;

use async_trait::async_trait;
use midjourney_core::{config::Environment, error::Chain};
use midjourney_storage::{Search, Settings, assemble};

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

impl Flags {
    /// Everything that decides what this process works on. The working directory is not looked at: an MCP client
    /// starts its servers in the folder of whatever project is open.
    ///
    /// **Errors:** all mistakes at once.
    pub fn settings(&self, environment: &Environment) -> Result<Settings, OpenError> {
        Settings::load(
            self.config.as_deref(),
            self.data_dir.clone(),
            Search::Platform,
            environment,
        )
        .map_err(|error| OpenError::new(Chain(&error).to_string()).with_source(error))
    }
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
            Ok(settings) if settings.is_simulated() => Some(
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
        let settings = self.flags.settings(&(self.environment)())?;
        let assembled = assemble(&settings.config, &settings.data_dir)
            .await
            .map_err(|error| OpenError::new(Chain(&error).to_string()).with_source(error))?;
        let images = assembled
            .images
            .map(|folder| std::path::absolute(&folder).unwrap_or(folder));
        Ok(Opened::new(assembled.gateway, Some(assembled.engine)).with_images_dir(images))
    }
}
