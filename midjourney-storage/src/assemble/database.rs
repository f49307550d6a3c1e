//! The job database that the configuration names.

use std::{fmt, path::Path, sync::Arc};

use midjourney_core::{
    config::Config,
    job::{JobStore, StoreError},
};

use super::AssembleError;
use crate::{
    sqlite::{SqliteJobStore, SqliteOptions},
    transfer::{Loads, Rows},
};
#[cfg(feature = "postgres")]
use {
    crate::postgres::{PostgresJobStore, PostgresOptions},
    secrecy::ExposeSecret as _,
};

/// A job database, with what only some kinds of it can tell. Shown, it is where the jobs are.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum JobDatabase {
    /// A file.
    Sqlite(Arc<SqliteJobStore>),
    /// A database that nodes share.
    #[cfg(feature = "postgres")]
    Postgres(Arc<PostgresJobStore>),
}

impl JobDatabase {
    pub(super) async fn open(config: &Config, data_dir: &Path) -> Result<Self, AssembleError> {
        if config.storage.database_url.is_some() {
            return shared(config).await;
        }
        let file = config.database_path(data_dir);
        let store = SqliteJobStore::open(&file, SqliteOptions::default()).await?;
        Ok(Self::Sqlite(Arc::new(store)))
    }

    /// The jobs in it.
    pub fn jobs(&self) -> Arc<dyn JobStore> {
        match self {
            Self::Sqlite(store) => Arc::<SqliteJobStore>::clone(store),
            #[cfg(feature = "postgres")]
            Self::Postgres(store) => Arc::<PostgresJobStore>::clone(store),
        }
    }

    /// The messages to be sent that are in it.
    #[cfg(feature = "http")]
    pub(super) fn deliveries(&self) -> Arc<dyn midjourney_core::delivery::DeliveryStore> {
        match self {
            Self::Sqlite(store) => Arc::<SqliteJobStore>::clone(store),
            #[cfg(feature = "postgres")]
            Self::Postgres(store) => Arc::<PostgresJobStore>::clone(store),
        }
    }

    /// What is damaged, in words; empty where nothing is. Reads all of a file. PostgreSQL looks after its own.
    ///
    /// **Errors:** the database's.
    pub async fn integrity_check(&self) -> Result<Vec<String>, StoreError> {
        match self {
            Self::Sqlite(store) => store.integrity_check().await,
            #[cfg(feature = "postgres")]
            Self::Postgres(store) => store.ping().await.map(|()| Vec::new()),
        }
    }

    /// Whether both are one file.
    pub(crate) fn is_the_file_of(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Sqlite(one), Self::Sqlite(two)) => one.path() == two.path(),
            #[cfg(feature = "postgres")]
            _ => false,
        }
    }

    /// All rows as they are when the first is read.
    pub(crate) fn dump(&self) -> Rows {
        match self {
            Self::Sqlite(store) => store.dump(),
            #[cfg(feature = "postgres")]
            Self::Postgres(store) => store.dump(),
        }
    }

    /// Does what `loads` say, in one transaction; `false` where they ended without a commit.
    pub(crate) async fn load_rows(&self, loads: Loads) -> Result<bool, StoreError> {
        match self {
            Self::Sqlite(store) => store.load_rows(loads).await,
            #[cfg(feature = "postgres")]
            Self::Postgres(store) => store.load_rows(loads).await,
        }
    }

    /// Waits until nothing can be written before the database is opened anew.
    ///
    /// **Cancel safety:** dropping the future only ends the wait.
    pub async fn stopped(&self) {
        match self {
            Self::Sqlite(store) => store.stopped().await,
            #[cfg(feature = "postgres")]
            Self::Postgres(store) => store.stopped().await,
        }
    }

    /// Whether that has happened.
    pub fn has_stopped(&self) -> bool {
        match self {
            Self::Sqlite(store) => store.has_stopped(),
            #[cfg(feature = "postgres")]
            Self::Postgres(store) => store.has_stopped(),
        }
    }
}

impl fmt::Display for JobDatabase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(store) => write!(f, "{}", store.path().display()),
            #[cfg(feature = "postgres")]
            Self::Postgres(store) => write!(f, "PostgreSQL, {}", store.place()),
        }
    }
}

#[cfg(feature = "postgres")]
async fn shared(config: &Config) -> Result<JobDatabase, AssembleError> {
    let storage = &config.storage;
    let url = storage
        .database_url
        .as_ref()
        .map_or("", |url| url.expose_secret());
    let options = PostgresOptions {
        connections: usize::try_from(storage.database_connections).unwrap_or(usize::MAX),
        ca: storage.database_ca.clone(),
        ..PostgresOptions::default()
    };
    let store = PostgresJobStore::connect(url, options).await?;
    Ok(JobDatabase::Postgres(Arc::new(store)))
}

#[cfg(not(feature = "postgres"))]
async fn shared(_: &Config) -> Result<JobDatabase, AssembleError> {
    Err(AssembleError::NoPostgres)
}
