//! Turns a configuration into a gateway. The only place that knows every backend and every upstream.

mod database;
mod images;
mod secret;
mod upstream;

pub use self::database::JobDatabase;
use self::secret::Own;
pub use self::upstream::base_url;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use midjourney_core::{
    accounts::{Account, Accounts, Limits, Modes, Strategy},
    clock::{Clock, OsEntropy, SystemClock},
    config::{Config, PoolStrategy, StorageKind, UpstreamKind},
    engine::{EngineConfig, Parts},
    error::BoxError,
    gateway::{Gateway, PromptRules},
    image::{ImageStore, ImageStoreError},
    job::{AccountName, Policy, StoreError},
    key::Secret,
    link::PublicLinks,
    prompt::{self, CheckOptions, Table, TableError},
    webhook::CallbackRegistration,
};
#[cfg(feature = "http")]
use midjourney_core::{
    delivery::{SigningKey, Webhooks},
    net::{Outbound, OutboundOptions},
};
use secrecy::ExposeSecret as _;

use crate::fs::create_all;

/// For the commit after the last call.
const COMMIT: Duration = Duration::from_secs(10);

/// A gateway and what else its host wants to know.
#[derive(Debug)]
#[non_exhaustive]
pub struct Assembled {
    /// The gateway. It works on jobs once its engine is started.
    pub gateway: Gateway,
    /// How its engine is to work.
    pub engine: EngineConfig,
    /// How long its workers may take to come to rest: the longest call to the upstream, and the commit after it. A
    /// process that ends earlier may cut off a submit, perhaps somebody else's, and leave it unknown.
    pub rest: Duration,
    /// The job database, for checks that only some kinds of it have.
    pub database: JobDatabase,
    /// The folder of pictures, where they are files on this machine.
    pub images: Option<PathBuf>,
}

/// What is kept, and where: all that a backup holds.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Stores {
    /// The job database.
    pub database: JobDatabase,
    /// The store of pictures.
    pub images: Arc<dyn ImageStore>,
    data_dir: PathBuf,
}

impl Stores {
    /// Opens what `config` names; what is not there yet is made.
    ///
    /// **Errors:** as for [`assemble`].
    pub async fn open(config: &Config, data_dir: &Path) -> Result<Self, AssembleError> {
        make_private(data_dir).await?;
        Ok(Self {
            database: JobDatabase::open(config, data_dir).await?,
            images: images::open(config, data_dir).await?,
            data_dir: data_dir.to_owned(),
        })
    }

    /// The gateway's own secrets, by name.
    pub(crate) async fn secrets(&self) -> Result<Vec<(String, Secret)>, AssembleError> {
        secret::all(&self.data_dir, &self.database).await
    }

    /// Takes over secrets of another gateway, which this one is to go on as.
    pub(crate) async fn take_secrets(&self, secrets: &[(String, Secret)]) -> Result<(), AssembleError> {
        for (name, secret) in secrets {
            secret::replace(&self.data_dir, &self.database, name, secret).await?;
        }
        Ok(())
    }
}

/// Why there is no gateway.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AssembleError {
    /// This build lacks what the configuration names.
    #[error(
        "account {account}: the upstream {kind} is not in this build; build it with the feature `{feature}`, or \
         choose another kind"
    )]
    NotCompiledIn {
        /// Whose upstream it is.
        account: String,
        /// What was named.
        kind: UpstreamKind,
        /// The feature that has it.
        feature: &'static str,
    },
    /// This build lacks PostgreSQL.
    #[error(
        "storage.database_url: PostgreSQL is not in this build; build it with the feature `postgres`, or remove the \
         key to keep jobs in a file"
    )]
    NoPostgres,
    /// This build lacks the store of pictures that the configuration names.
    #[error(
        "storage.type: {kind} is not in this build; build it with the feature `{kind}`, or write `local` for files on \
         this machine"
    )]
    NoSuchStorage {
        /// What was named.
        kind: StorageKind,
    },
    /// The data directory cannot be made.
    #[error(
        "the data directory {path} cannot be made: set MIDJOURNEY_DATA_DIR to a folder that can be written to"
    )]
    DataDirectory {
        /// The folder.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// A secret of our own cannot be read or made.
    #[error("the secret of this gateway's own cannot be had from {place}")]
    OwnSecret {
        /// Where it is kept.
        place: String,
        /// The cause.
        #[source]
        source: BoxError,
    },
    /// The job database cannot be opened.
    #[error("the job database cannot be opened")]
    Jobs(#[from] StoreError),
    /// The store of pictures cannot be opened.
    #[error("the store of pictures cannot be opened: see `storage` in the configuration")]
    Images(#[from] ImageStoreError),
    /// The prompt table cannot be read.
    #[error("prompt.table: {path} cannot be read")]
    TableFile {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The prompt table is wrong.
    #[error("prompt.table is not a usable table")]
    Table(#[from] TableError),
    /// `prompt.default_version` is no version of the table.
    #[error("prompt.default_version: {version} is not in the prompt table; expected one of {known}")]
    DefaultVersion {
        /// What was set.
        version: String,
        /// What there is.
        known: String,
    },
    /// It is not known where the upstream of an account is.
    #[error("account {account}: base_url is not set; set it to the address of your gateway")]
    NoAddress {
        /// Whose upstream it is.
        account: String,
    },
    /// The client that webhooks are sent with cannot be made.
    #[error("the client for webhooks cannot be made: see outbound.proxy")]
    Outbound(#[source] BoxError),
    /// The client of an account cannot be made.
    #[error("account {account}: its client cannot be made")]
    Upstream {
        /// Whose client it is.
        account: String,
        /// The cause.
        #[source]
        source: BoxError,
    },
}

/// Opens the stores in `data_dir` and puts a gateway together as `config` says.
///
/// **Errors:** each names the configuration key and the mend. Nothing is left half made: what was created before an
/// error, such as an empty database, is used by the next try.
pub async fn assemble(config: &Config, data_dir: &Path) -> Result<Assembled, AssembleError> {
    let prompts = prompt_rules(config).await?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let accounts = accounts(config, &clock)?;
    let Stores { database, images, .. } = Stores::open(config, data_dir).await?;
    let parts = Parts {
        jobs: database.jobs(),
        images,
        accounts,
        clock,
        entropy: Arc::new(OsEntropy),
        policy: policy(config),
        callback: callback(config),
        links: links(config, data_dir, &database).await?,
        #[cfg(feature = "http")]
        webhooks: webhooks(config, data_dir, &database).await?,
        #[cfg(not(feature = "http"))]
        webhooks: None,
    };
    Ok(Assembled {
        gateway: Gateway::new(parts, prompts),
        engine: EngineConfig::new(config.engine.concurrency, config.engine.lease),
        rest: longest_call(config) + COMMIT,
        database,
        images: (config.storage.kind == StorageKind::Local).then(|| config.images_dir(data_dir)),
    })
}

async fn make_private(folder: &Path) -> Result<(), AssembleError> {
    let path = folder.to_owned();
    // Its name must survive a power cut as well as what is in it.
    let made = tokio::task::spawn_blocking(move || create_all(&std::path::absolute(path)?));
    let failed = |source| AssembleError::DataDirectory {
        path: folder.to_owned(),
        source,
    };
    made.await
        .map_err(|error| failed(std::io::Error::other(error)))?
        .map_err(failed)
}

/// Links need an address that others can reach.
async fn links(
    config: &Config,
    data_dir: &Path,
    database: &JobDatabase,
) -> Result<Option<PublicLinks>, AssembleError> {
    let Some(url) = &config.server.public_url else {
        return Ok(None);
    };
    let secret = secret::own(data_dir, database, Own::Links).await?;
    Ok(Some(PublicLinks::new(url.as_str(), secret)))
}

/// Webhooks are signed with what `webhook.secret` gives, or with what this gateway has for it.
#[cfg(feature = "http")]
async fn webhooks(
    config: &Config,
    data_dir: &Path,
    database: &JobDatabase,
) -> Result<Option<Webhooks>, AssembleError> {
    let root = match &config.webhook.secret {
        Some(secret) => Secret::new(secret.expose_secret()),
        None => secret::own(data_dir, database, Own::Webhooks).await?,
    };
    let options = OutboundOptions::default()
        .with_allow_private(config.outbound.allow_private)
        .with_proxy(
            config
                .outbound
                .proxy
                .as_ref()
                .map(|proxy| Secret::new(proxy.expose().as_str())),
        );
    let outbound = Outbound::new(options).map_err(|error| AssembleError::Outbound(error.into()))?;
    Ok(Some(Webhooks {
        store: database.deliveries(),
        transport: Arc::new(outbound),
        key: SigningKey::new(root),
    }))
}

async fn prompt_rules(config: &Config) -> Result<PromptRules, AssembleError> {
    let table = match config.prompt.table.clone() {
        None => Table::builtin().clone(),
        Some(path) => {
            let file = path.clone();
            let read = tokio::task::spawn_blocking(move || std::fs::read_to_string(file)).await;
            let failed = |source| AssembleError::TableFile {
                path: path.clone(),
                source,
            };
            // An operator's file says what differs; the rest stays as built in.
            let differences = read
                .map_err(|error| failed(std::io::Error::other(error)))?
                .map_err(failed)?;
            Table::builtin().overlay(&differences)?
        }
    };
    let mut options = CheckOptions::default().jobs(u64::from(config.prompt.max_jobs_per_request));
    if let Some(plan) = config
        .prompt
        .plan
        .and_then(|plan| prompt::Plan::from_name(plan.as_str()))
    {
        options = options.plan(plan);
    }
    if let Some(version) = &config.prompt.default_version {
        if table.version(version).is_none() {
            let known: Vec<_> = table.versions.iter().map(|version| version.id.as_str()).collect();
            return Err(AssembleError::DefaultVersion {
                version: version.clone(),
                known: known.join(", "),
            });
        }
        options = options.default_version(version);
    }
    Ok(PromptRules::new(table).with_options(options))
}

fn policy(config: &Config) -> Policy {
    let mut policy = Policy::default();
    policy.queue_limit = config.engine.queue_timeout;
    policy.run_limit = config.engine.job_timeout;
    policy.owner_budget = config.clients.budget;
    policy.retention = config.retention();
    policy.callback_senders.clone_from(&config.webhook.allowed_ips);
    policy.silence_limit = config.engine.silence_timeout;
    policy
}

/// Callbacks need an address that the upstream can reach and a secret that tells its calls from others'.
fn callback(config: &Config) -> Option<CallbackRegistration> {
    let url = config.webhook.public_url.as_ref()?;
    let secret = config.webhook.secret.as_ref()?;
    let mut registration = CallbackRegistration::new(url.as_str(), Secret::new(secret.expose_secret()));
    if let (Some(older), Some(until)) = (
        &config.webhook.previous_secret,
        config.webhook.previous_secret_until,
    ) {
        registration = registration.also_accepting(Secret::new(older.expose_secret()), until);
    }
    if let Some(token) = &config.webhook.verification_token {
        registration = registration.with_verification_token(Secret::new(token.expose_secret()));
    }
    Some(registration)
}

fn longest_call(config: &Config) -> Duration {
    let accounts = config.working_accounts();
    let timeouts = accounts.values().map(|account| account.upstream.timeout);
    timeouts
        .max()
        .max(Some(config.engine.submit_timeout))
        .unwrap_or_default()
}

fn accounts(config: &Config, clock: &Arc<dyn Clock>) -> Result<Accounts, AssembleError> {
    let mut accounts = Accounts::new(strategy(config));
    for (name, account) in config.working_accounts() {
        let client = upstream::client(&name, &account, config, clock)?;
        let limits = Limits {
            slots: account.slots,
            queue: account.queue,
            per_minute: account.per_minute,
            weight: account.weight,
            priority: account.priority,
        };
        accounts = accounts.with(
            Account::new(AccountName::new(name), client)
                .with_limits(limits)
                .with_modes(Modes::new(account.speeds, account.fall_back_to_relax))
                .with_prices(account.prices, account.budget),
        );
    }
    Ok(accounts)
}

fn strategy(config: &Config) -> Strategy {
    match config.pool.strategy {
        PoolStrategy::RoundRobin => Strategy::RoundRobin,
        PoolStrategy::Weighted => Strategy::Weighted,
        PoolStrategy::Priority => Strategy::Priority,
        _ => Strategy::LeastBusy,
    }
}
