//! Where the gateway comes from.

use std::{any::Any, fmt, path::PathBuf};

use async_trait::async_trait;
use midjourney_core::{engine::EngineConfig, error::BoxError, gateway::Gateway};

/// A gateway that is ready to work.
#[non_exhaustive]
pub struct Opened {
    /// The façade that tools call.
    pub gateway: Gateway,
    /// How the engine beside it works; `None` leaves the work to other processes on the same store.
    pub engine: Option<EngineConfig>,
    /// The folder that pictures lie in, where they are files on this machine.
    pub images_dir: Option<PathBuf>,
    /// Whatever must live as long as the gateway.
    pub keep: Option<Box<dyn Any + Send + Sync>>,
}

impl Opened {
    /// A gateway with an engine of this kind beside it.
    pub fn new(gateway: Gateway, engine: Option<EngineConfig>) -> Self {
        Self {
            gateway,
            engine,
            images_dir: None,
            keep: None,
        }
    }

    /// The same, with pictures as files in this folder.
    pub fn with_images_dir(mut self, folder: Option<PathBuf>) -> Self {
        self.images_dir = folder;
        self
    }

    /// The same, keeping `thing` alive.
    pub fn keeping(mut self, thing: impl Any + Send + Sync) -> Self {
        self.keep = Some(Box::new(thing));
        self
    }
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened")
            .field("gateway", &self.gateway)
            .field("engine", &self.engine)
            .field("images_dir", &self.images_dir)
            .finish_non_exhaustive()
    }
}

/// Why there is no gateway. Shown to the caller of the tool, and the operator's to mend.
#[derive(Debug)]
pub struct OpenError {
    detail: String,
    source: Option<BoxError>,
}

impl OpenError {
    /// `detail` says what is wrong and how to mend it, without secrets.
    pub fn new(detail: impl Into<String>) -> Self {
        Self {
            detail: detail.into(),
            source: None,
        }
    }

    /// The same error with its cause, for the log.
    pub fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What the caller may be told.
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for OpenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source
            .as_deref()
            .map(|source| -> &(dyn std::error::Error + 'static) { source })
    }
}

/// Opens a gateway once the client has been greeted, so that starting costs nothing.
#[async_trait]
pub trait OpenGateway: fmt::Debug + Send + Sync + 'static {
    /// A sentence for the greeting, told without opening anything: such as that pictures are simulated.
    fn notice(&self) -> Option<String> {
        None
    }

    /// Opens the gateway. Called again after it failed, so that a mended configuration needs no restart.
    async fn open(&self) -> Result<Opened, OpenError>;
}
