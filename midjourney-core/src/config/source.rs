//! Reading the configuration file.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};

/// The name of the configuration file, in whichever folder it is looked for.
pub const FILE_NAME: &str = "midjourney.yaml";

/// The longest configuration file that is read, in bytes.
pub const MAX_FILE_BYTES: usize = 1024 * 1024;

/// The text of a configuration file and the name by which messages call it.
///
/// The text may hold secrets: it is never printed and is wiped when dropped.
#[derive(Debug, Clone)]
pub struct Source {
    name: String,
    text: SecretString,
}

/// Why a configuration file could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// There is no such file.
    #[error("there is no configuration file {}", path.display())]
    NotFound {
        /// The path that was looked at.
        path: PathBuf,
    },
    /// The path is a folder.
    #[error("{} is a folder, expected a configuration file (did you mean {}?)", path.display(), path.join(FILE_NAME).display())]
    Folder {
        /// The path that was looked at.
        path: PathBuf,
    },
    /// The file exists but cannot be read.
    #[error("cannot read the configuration file {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is longer than [`MAX_FILE_BYTES`].
    #[error("the configuration file {} is longer than {MAX_FILE_BYTES} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The file is not UTF-8 text.
    #[error("the configuration file {} is not UTF-8 text: line {line} (save it as UTF-8)", path.display())]
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// The line of the first wrong byte, counted from 1.
        line: usize,
    },
}

impl Source {
    /// A text that was read elsewhere.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            text: SecretString::from(text.into()),
        }
    }

    /// Reads a file of at most [`MAX_FILE_BYTES`].
    pub fn read(path: &Path) -> Result<Self, SourceError> {
        let owned = || path.to_path_buf();
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound => SourceError::NotFound { path: owned() },
            io::ErrorKind::IsADirectory => SourceError::Folder { path: owned() },
            _ => SourceError::Unreadable {
                path: owned(),
                source,
            },
        };
        if path.is_dir() {
            return Err(SourceError::Folder { path: owned() });
        }
        let file = File::open(path).map_err(failed)?;
        let limit = u64::try_from(MAX_FILE_BYTES)
            .unwrap_or(u64::MAX)
            .saturating_add(1);
        let mut bytes = Vec::new();
        file.take(limit).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() > MAX_FILE_BYTES {
            return Err(SourceError::TooLarge { path: owned() });
        }
        let text = String::from_utf8(bytes).map_err(|error| {
            let good = error.as_bytes().iter().take(error.utf8_error().valid_up_to());
            let line = good.filter(|byte| **byte == b'\n').count().saturating_add(1);
            SourceError::NotUtf8 { path: owned(), line }
        })?;
        Ok(Self::new(path.to_string_lossy().as_ref(), text))
    }

    /// Reads [`FILE_NAME`] from the first of these folders that has one.
    ///
    /// Callers pass the working directory, then the platform's configuration directory.
    pub fn find<P: AsRef<Path>>(folders: impl IntoIterator<Item = P>) -> Result<Option<Self>, SourceError> {
        for folder in folders {
            match Self::read(&folder.as_ref().join(FILE_NAME)) {
                Err(SourceError::NotFound { .. }) => {}
                found => return found.map(Some),
            }
        }
        Ok(None)
    }

    /// The name by which messages call this text.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn text(&self) -> &str {
        self.text.expose_secret()
    }
}
