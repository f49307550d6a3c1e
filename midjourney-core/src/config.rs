//! The typed configuration: one YAML file, with environment variables laid over it.
//!
//! Reading is pure: [`Config::load`] takes the text of a file ([`Source`]) and variables ([`Environment`])
//! and gives either a [`Config`] or a [`ConfigError`] that lists *every* mistake, each with its key, its line
//! or variable, what was expected and how to mend it. No message ever holds a secret or a neighbouring line.
//!
//! ```
//! use midjourney_core::config::{Config, Environment, Source};
//!
//! let file = Source::new("midjourney.yaml", "server:\n  port: 9000\n  workers: many\n  hots: ::1\n");
//! let error = Config::load(Some(&file), &Environment::empty()).unwrap_err();
//! assert_eq!(
//!     error.to_string(),
//!     "2 errors in the configuration\n\
//!      midjourney.yaml:3:12: server.workers: `many` is no whole number; expected a whole number from 1 to 1024\n\
//!      midjourney.yaml:4:3: server.hots: unknown key; expected one of host, port, public_url, \
//!      trusted_proxies, workers, max_connections, \
//!      requests_per_minute, allow_unauthenticated (did you mean `host`?)"
//! );
//! ```
//!
//! # Rules
//!
//! - Later wins: built-in default, file, environment variable. [`Config::entries`] tells which it was.
//! - `MIDJOURNEY__SERVER__PORT=9000` sets `server.port`, and so for every key. `MIDJOURNEY_API_KEY` and
//!   `MIDJOURNEY_DATA_DIR` are short names. An empty variable counts as not set.
//! - `null`, `~` and an empty value mean "the default"; in a variable they undo what the file says.
//! - A text is taken as it is written: `default_version: 6.1` is the text `6.1`. Numbers and switches are
//!   written without quotes.
//! - `accounts.NAME.slots` is set by `MIDJOURNEY__ACCOUNTS__NAME__SLOTS` for an account that the file names; a `-` in
//!   the name is a `_` in the variable.
//! - Unknown keys and unknown `MIDJOURNEY__` variables are errors.
//! - Placeholders of the documented example (`your-domain.com`, `webhook_secret_key` and so on) count as not
//!   set and give a warning.
//!
//! [`EXAMPLE`] is a commented file with every key and its default.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

mod check;
mod decode;
mod env;
mod issue;
mod kind;
mod schema;
mod sections;
mod source;
mod suggest;
#[cfg(test)]
mod tests;
mod validate;
mod yaml;

pub use decode::Entry;
pub use env::{ENV_PREFIX, Environment, variable};
pub use issue::{ConfigError, ConfigIssue, ConfigWarning, IssueKind, Origin};
pub use sections::{
    Account, Api, Clients, Dialect, DiscordAutomation, Engine, KeySource, Log, LogFormat, Outbound, Plan,
    Pool, PoolStrategy, Prompt, ProxyUrl, Retention, Server, Storage, StorageKind, Upstream, UpstreamKind,
    Webhook,
};
pub use source::{FILE_NAME, MAX_FILE_BYTES, Source, SourceError};

/// A commented configuration file with every key and its default.
pub const EXAMPLE: &str = include_str!("config/example.yaml");

/// The whole configuration. `Config::default()` is that of an empty file.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Config {
    /// `data_dir`: the folder for everything that is kept; absent lets the program choose the platform's.
    pub data_dir: Option<PathBuf>,
    /// The key for the upstream.
    pub api: Api,
    /// The HTTP server.
    pub server: Server,
    /// Images and the job database.
    pub storage: Storage,
    /// How long jobs are kept.
    pub retention: Retention,
    /// Logging in with a browser.
    pub discord_automation: DiscordAutomation,
    /// Callbacks from the upstream.
    pub webhook: Webhook,
    /// Who draws the pictures.
    pub upstream: Upstream,
    /// `accounts`: the accounts by name, where there are several; empty means the one of `upstream`.
    pub accounts: BTreeMap<String, Account>,
    /// How accounts work together.
    pub pool: Pool,
    /// `clients`.
    pub clients: Clients,
    /// Every call that leaves this process.
    pub outbound: Outbound,
    /// What prompts may ask for.
    pub prompt: Prompt,
    /// How jobs are worked on.
    pub engine: Engine,
    /// What is logged, and how.
    pub log: Log,
    origins: decode::Origins,
    warnings: Vec<ConfigWarning>,
}

impl Config {
    /// Reads a file and lays the environment over it; without either, the defaults.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, at once.
    pub fn load(file: Option<&Source>, environment: &Environment) -> Result<Self, ConfigError> {
        let mut report = issue::Report::default();
        let mut config = Self::default();
        let mut file = file.map(|source| decode::FileValues::read(source, &mut report));
        let names = file.iter().flat_map(|file| file.names(schema::ACCOUNTS));
        config.accounts = names.map(|name| (name, Account::default())).collect();
        let paths = schema::paths(&config);
        if let Some(file) = &mut file {
            file.take(&paths, &mut report);
        }
        let overlay = environment.overlay(&paths, &mut report);
        let origins = decode::Origins::new();
        let mut decoder = decode::Decoder {
            file,
            overlay,
            report: &mut report,
            origins,
        };
        schema::visit(&mut config, &mut decoder);
        config.origins = decoder.origins;
        validate::settle(&mut config, &mut report);
        config.warnings = report.finish()?;
        Ok(config)
    }

    /// Reads a text alone, without environment.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, at once.
    pub fn from_yaml(text: &str) -> Result<Self, ConfigError> {
        Self::load(Some(&Source::new(FILE_NAME, text)), &Environment::empty())
    }

    /// What is allowed but doubtful.
    pub fn warnings(&self) -> &[ConfigWarning] {
        &self.warnings
    }

    /// Every key with its value and where that comes from; secrets are only said to be set.
    pub fn entries(&self) -> Vec<Entry> {
        decode::entries(self)
    }

    /// The accounts to work with, by name: those of `accounts`, or the one of `upstream` with the key of `api`. Each
    /// has the proxy that its calls go through.
    pub fn working_accounts(&self) -> BTreeMap<String, Account> {
        let mut accounts = self.accounts.clone();
        if accounts.is_empty() {
            let single = Account {
                upstream: self.upstream.clone(),
                key: self.api.midjourney_key.clone(),
                ..Account::default()
            };
            accounts.insert(self.upstream.account_name(), single);
        }
        for account in accounts.values_mut() {
            let common = self.outbound.proxy.as_ref();
            account.proxy = account.proxy.take().or_else(|| common.cloned());
        }
        accounts
    }

    /// Whether all pictures are made up and nothing is spent.
    pub fn is_simulated(&self) -> bool {
        let accounts = self.working_accounts();
        accounts
            .values()
            .all(|account| account.upstream.kind == UpstreamKind::Simulator)
    }

    /// The folder for images, below this data directory unless configured.
    pub fn images_dir(&self, data_dir: &Path) -> PathBuf {
        self.storage
            .path
            .clone()
            .unwrap_or_else(|| data_dir.join("images"))
    }

    /// The job database, in this data directory unless configured.
    pub fn database_path(&self, data_dir: &Path) -> PathBuf {
        self.storage
            .database
            .clone()
            .unwrap_or_else(|| data_dir.join("midjourney.db"))
    }
}
