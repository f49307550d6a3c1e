//! The sections of the configuration and their defaults.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use secrecy::SecretString;
use url::Url;

use super::Config;
use crate::budget::{Budget, Prices};
use crate::clock::Timestamp;
use crate::job;
use crate::prompt::Speed;

/// An enumeration whose variants are written as fixed words.
pub(super) trait Choice: Copy + 'static {
    const ALL: &'static [Self];
    fn word(self) -> &'static str;
}

macro_rules! choices {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$doc])* #[doc = concat!("Written `", $word, "`.")] $variant,)+
        }

        impl $name {
            /// The word that stands for it in the file.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl Choice for $name {
            const ALL: &'static [Self] = &[$(Self::$variant),+];
            fn word(self) -> &'static str {
                self.as_str()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

choices! {
    /// Where the key for the upstream comes from.
    KeySource {
        /// Typed in by a person: the configuration file, or later a page or command.
        Manual = "manual",
        /// The variable `MIDJOURNEY_API_KEY`.
        Environment = "environment",
        /// The login automation.
        Discord = "discord",
    }
}

choices! {
    /// Where images are kept.
    StorageKind {
        /// Files on this machine.
        Local = "local",
        /// A bucket at Amazon S3, or at what speaks its protocol.
        S3 = "s3",
        /// A bucket at Google Cloud Storage.
        Gcs = "gcs",
        /// A container at Azure Blob Storage.
        Azure = "azure",
    }
}

choices! {
    /// Who draws the pictures.
    UpstreamKind {
        /// This process, at no cost; every picture says that it is simulated.
        Simulator = "simulator",
        /// A gateway that speaks the midjourney-proxy protocol.
        MidjourneyProxy = "midjourney-proxy",
        /// `AceDataCloud`.
        AceData = "acedata",
        /// `ApiFrame`.
        ApiFrame = "apiframe",
        /// `EvoLink`.
        EvoLink = "evolink",
        /// `LegNext`.
        LegNext = "legnext",
        /// TTAPI.
        TtApi = "ttapi",
        /// `YouChuan`.
        YouChuan = "youchuan",
    }
}

choices! {
    /// How new jobs are shared out over the accounts.
    PoolStrategy {
        /// To the account with the fewest jobs for each of its slots.
        LeastBusy = "least-busy",
        /// To each in turn.
        RoundRobin = "round-robin",
        /// By chance, in proportion to the weights.
        Weighted = "weighted",
        /// To the first in rank that has room.
        Priority = "priority",
    }
}

choices! {
    /// The variety of the midjourney-proxy protocol.
    Dialect {
        /// The first one.
        Java = "java",
        /// The extended one.
        Plus = "plus",
        /// The one in C#.
        TrueAi = "trueai",
        /// A relay in front of one of the others.
        NewApi = "new-api",
    }
}

choices! {
    /// The Midjourney subscription behind an account; some parameters need a larger one.
    Plan {
        /// The smallest.
        Basic = "basic",
        /// The usual one.
        Standard = "standard",
        /// Has stealth mode.
        Pro = "pro",
        /// The largest.
        Mega = "mega",
    }
}

choices! {
    /// The form of log lines.
    LogFormat {
        /// For people.
        Text = "text",
        /// One object a line, for programs.
        Json = "json",
    }
}

/// `api`: the key for the upstream.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Api {
    /// `api.midjourney_key`: the key, if there is one.
    pub midjourney_key: Option<SecretString>,
    /// `api.key_source`: where it comes from. Always [`KeySource::Environment`] if a variable set the key.
    pub key_source: KeySource,
}

impl Default for Api {
    fn default() -> Self {
        Self {
            midjourney_key: None,
            key_source: KeySource::Environment,
        }
    }
}

/// `server`: the HTTP server.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Server {
    /// `server.host`: the address or host name to listen on.
    pub host: String,
    /// `server.port`: 0 takes any free port.
    pub port: u16,
    /// `server.public_url`: where others reach this server; pictures are then handed to upstreams as links to it.
    pub public_url: Option<Url>,
    /// `server.trusted_proxies`: whose word about the sender of a request is taken.
    pub trusted_proxies: Vec<IpNet>,
    /// `server.workers`: threads; absent means one for each processor core.
    pub workers: Option<usize>,
    /// `server.max_connections`: how many connections may be open at once.
    pub max_connections: usize,
    /// `server.requests_per_minute`: how many requests one sender may make in a minute; absent means any number.
    pub requests_per_minute: Option<u32>,
    /// `server.allow_unauthenticated`: listen beyond this machine although nobody has to log in.
    pub allow_unauthenticated: bool,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
            port: 8000,
            public_url: None,
            trusted_proxies: Vec::new(),
            workers: None,
            max_connections: 4_096,
            requests_per_minute: None,
            allow_unauthenticated: false,
        }
    }
}

impl Server {
    /// Whether only this machine can reach the server.
    pub fn is_loopback(&self) -> bool {
        self.host
            .parse::<IpAddr>()
            .map_or_else(|_| is_localhost(&self.host), |address| address.is_loopback())
    }
}

/// Whether a host name always means this machine.
pub(super) fn is_localhost(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

/// `storage`: images and the job database.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Storage {
    /// `storage.type`: the sort of image store.
    pub kind: StorageKind,
    /// `storage.path`: the folder for images; absent means `images` in the data directory.
    pub path: Option<PathBuf>,
    /// `storage.bucket`: the bucket (at Azure: the container) for images; all types but `local` need one.
    pub bucket: Option<String>,
    /// `storage.prefix`: what stands in front of the images' names in the bucket.
    pub prefix: Option<String>,
    /// `storage.region`: where the bucket is; S3.
    pub region: Option<String>,
    /// `storage.endpoint`: the service's address where it is not its own.
    pub endpoint: Option<Url>,
    /// `storage.access_key_id`: the name of the key; at Azure, of the storage account. Absent means that the environment
    /// has what the service's own tools would take.
    pub access_key_id: Option<String>,
    /// `storage.secret_access_key`: its secret.
    pub secret_access_key: Option<SecretString>,
    /// `storage.credentials_file`: the key of a service account; GCS.
    pub credentials_file: Option<PathBuf>,
    /// `storage.signed_links`: whether callers get the bytes of images from the bucket itself, by links that expire.
    pub signed_links: bool,
    /// `storage.public_base_url`: where anybody can get images under their names, such as a CDN before the bucket.
    pub public_base_url: Option<Url>,
    /// `storage.database`: the job database; absent means `midjourney.db` in the data directory.
    pub database: Option<PathBuf>,
    /// `storage.database_url`: a PostgreSQL database for the jobs instead of a file. Secret, for it holds the password.
    pub database_url: Option<SecretString>,
    /// `storage.database_ca`: a file of certificates (PEM) that the database's own must be signed by; absent means those
    /// that the system trusts.
    pub database_ca: Option<PathBuf>,
    /// `storage.database_connections`: how many connections this process makes to it at most.
    pub database_connections: u32,
    /// `storage.retention_days`: images older than this are removed; 0 keeps them for ever.
    pub retention_days: u32,
}

impl Default for Storage {
    fn default() -> Self {
        Self {
            kind: StorageKind::Local,
            path: None,
            bucket: None,
            prefix: None,
            region: None,
            endpoint: None,
            access_key_id: None,
            secret_access_key: None,
            credentials_file: None,
            signed_links: false,
            public_base_url: None,
            database: None,
            database_url: None,
            database_ca: None,
            database_connections: 8,
            retention_days: 0,
        }
    }
}

impl Storage {
    /// How long images are kept; `None` is for ever.
    pub fn retention(&self) -> Option<Duration> {
        days(self.retention_days)
    }
}

/// `retention`: how long jobs are kept after their end, in days; 0 is for ever.
#[derive(Debug, Clone, Default)]
#[expect(clippy::struct_field_names, reason = "the names of the keys")]
#[non_exhaustive]
pub struct Retention {
    /// `retention.completed_days`.
    pub completed_days: u32,
    /// `retention.failed_days`.
    pub failed_days: u32,
    /// `retention.cancelled_days`.
    pub cancelled_days: u32,
    /// `retention.expired_days`.
    pub expired_days: u32,
}

impl Config {
    /// How long what is over is kept: jobs by `retention`, images by `storage.retention_days`.
    pub fn retention(&self) -> job::Retention {
        let mut retention = job::Retention::default();
        retention.completed = days(self.retention.completed_days);
        retention.failed = days(self.retention.failed_days);
        retention.cancelled = days(self.retention.cancelled_days);
        retention.expired = days(self.retention.expired_days);
        retention.images = self.storage.retention();
        retention
    }
}

fn days(days: u32) -> Option<Duration> {
    (days > 0).then(|| Duration::from_secs(u64::from(days).saturating_mul(86_400)))
}

/// `discord_automation`: logging in with a browser to fetch a token.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct DiscordAutomation {
    /// `discord_automation.enabled`.
    pub enabled: bool,
    /// `discord_automation.credentials_stored`: keep the credentials after the login.
    pub credentials_stored: bool,
}

/// `webhook`: callbacks from the upstream.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Webhook {
    /// `webhook.public_url`: where the upstream reaches us.
    pub public_url: Option<Url>,
    /// `webhook.secret`: proves that a callback is genuine.
    pub secret: Option<SecretString>,
    /// `webhook.previous_secret`: the one before, for addresses that upstreams were told earlier.
    pub previous_secret: Option<SecretString>,
    /// `webhook.previous_secret_until`: the last moment at which it is good.
    pub previous_secret_until: Option<Timestamp>,
    /// `webhook.verification_token`: answers the upstream's question whether the address is ours.
    pub verification_token: Option<SecretString>,
    /// `webhook.allowed_ips`: where callbacks may come from; empty means everywhere.
    pub allowed_ips: Vec<IpNet>,
    /// `webhook.ssl_enabled`: callbacks come by https.
    pub ssl_enabled: bool,
}

impl Default for Webhook {
    fn default() -> Self {
        Self {
            public_url: None,
            secret: None,
            previous_secret: None,
            previous_secret_until: None,
            verification_token: None,
            allowed_ips: Vec::new(),
            ssl_enabled: true,
        }
    }
}

/// `upstream`: who draws the pictures.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Upstream {
    /// `upstream.kind`.
    pub kind: UpstreamKind,
    /// `upstream.base_url`: needed by `midjourney-proxy`; the others know where their upstream is.
    pub base_url: Option<Url>,
    /// `upstream.dialect`: absent lets the client choose.
    pub dialect: Option<Dialect>,
    /// `upstream.timeout_seconds`: the longest that one call may take.
    pub timeout: Duration,
    /// `upstream.webhook_secret`: what the upstream signs its callbacks with, where its dashboard sets such a secret.
    pub webhook_secret: Option<SecretString>,
    /// `upstream.account`: the name of the account; see [`Self::account_name`].
    pub account: Option<String>,
}

impl Default for Upstream {
    fn default() -> Self {
        Self {
            kind: UpstreamKind::Simulator,
            base_url: None,
            dialect: None,
            webhook_secret: None,
            timeout: Duration::from_secs(30),
            account: None,
        }
    }
}

impl Upstream {
    /// The name of the account: the configured one, else the kind with the host of its gateway, so that another gateway
    /// is never asked about this one's tasks.
    pub fn account_name(&self) -> String {
        if let Some(name) = &self.account {
            return name.clone();
        }
        let url = self.base_url.as_ref();
        match url.and_then(|url| Some((url.host_str()?, url.port()))) {
            Some((host, None)) => format!("{}@{host}", self.kind),
            Some((host, Some(port))) => format!("{}@{host}:{port}", self.kind),
            None => self.kind.to_string(),
        }
    }
}

/// `accounts.NAME`: one account of a pool.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Account {
    /// Where it is. Its keys are written beside the others, as in `accounts.NAME.kind`.
    pub upstream: Upstream,
    /// `accounts.NAME.key`: its key.
    pub key: Option<SecretString>,
    /// `accounts.NAME.slots`: how many jobs it runs at once; absent leaves that to the upstream.
    pub slots: Option<u32>,
    /// `accounts.NAME.queue`: how many may wait behind those; absent is any number.
    pub queue: Option<u32>,
    /// `accounts.NAME.per_minute`: how many may be started within a minute; absent is any number.
    pub per_minute: Option<u32>,
    /// `accounts.NAME.speeds`: the modes it has.
    pub speeds: Vec<Speed>,
    /// `accounts.NAME.fall_back_to_relax`: draw in relax mode while there is no credit for another.
    pub fall_back_to_relax: bool,
    /// `accounts.NAME.cost` and its kin: what a job costs.
    pub prices: Prices,
    /// `accounts.NAME.budget_day` and `accounts.NAME.budget_month`: what may be spent.
    pub budget: Budget,
    /// `accounts.NAME.weight`: its share where jobs are shared out by weight.
    pub weight: u32,
    /// `accounts.NAME.priority`: its rank where jobs go by rank; the lowest first.
    pub priority: u32,
    /// `accounts.NAME.proxy`: the HTTP proxy for its calls; absent means that of `outbound`.
    pub proxy: Option<ProxyUrl>,
}

impl Default for Account {
    fn default() -> Self {
        Self {
            upstream: Upstream::default(),
            key: None,
            slots: None,
            queue: None,
            per_minute: None,
            speeds: Speed::ALL.to_vec(),
            fall_back_to_relax: false,
            prices: Prices::default(),
            budget: Budget::default(),
            weight: 1,
            priority: 0,
            proxy: None,
        }
    }
}

/// `clients`: those who send requests.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Clients {
    /// `clients.budget_day` and `clients.budget_month`: what each may spend.
    pub budget: Budget,
}

/// `pool`: how accounts work together.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Pool {
    /// `pool.strategy`.
    pub strategy: PoolStrategy,
}

impl Default for Pool {
    fn default() -> Self {
        Self {
            strategy: PoolStrategy::LeastBusy,
        }
    }
}

/// `outbound`: every call that leaves this process.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Outbound {
    /// `outbound.allow_private`: private addresses and plain http may be called.
    pub allow_private: bool,
    /// `outbound.proxy`: the HTTP proxy for these calls.
    pub proxy: Option<ProxyUrl>,
}

/// The address of a proxy. It may hold a password, which is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct ProxyUrl(Url);

impl ProxyUrl {
    pub(super) const fn new(url: Url) -> Self {
        Self(url)
    }

    /// The whole address, with the password if it has one.
    pub const fn expose(&self) -> &Url {
        &self.0
    }
}

impl fmt::Display for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(url) = self;
        let credentials = if url.username().is_empty() && url.password().is_none() {
            ""
        } else {
            "***@"
        };
        write!(
            f,
            "{}://{credentials}{}",
            url.scheme(),
            url.host_str().unwrap_or_default()
        )?;
        url.port().map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl fmt::Debug for ProxyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProxyUrl({self})")
    }
}

/// `prompt`: what prompts may ask for.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Prompt {
    /// `prompt.table`: a parameter table that replaces the built-in one.
    pub table: Option<PathBuf>,
    /// `prompt.default_version`: the version for prompts that name none.
    pub default_version: Option<String>,
    /// `prompt.plan`: the subscription to check parameters against.
    pub plan: Option<Plan>,
    /// `prompt.max_jobs_per_request`: the most jobs that permutations and repeats of one prompt may make.
    pub max_jobs_per_request: u32,
}

impl Default for Prompt {
    fn default() -> Self {
        Self {
            table: None,
            default_version: None,
            plan: None,
            max_jobs_per_request: 40,
        }
    }
}

/// `engine`: how jobs are worked on.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Engine {
    /// `engine.concurrency`: jobs that this process works on at once.
    pub concurrency: usize,
    /// `engine.lease_seconds`: after this long without a sign of life another process takes over a job.
    pub lease: Duration,
    /// `engine.submit_timeout_seconds`: the longest that handing a job to the upstream may take.
    pub submit_timeout: Duration,
    /// `engine.job_timeout_seconds`: the longest that the upstream may work on a job.
    pub job_timeout: Duration,
    /// `engine.silence_timeout_seconds`: the longest that a job may go without news while the upstream works on it.
    pub silence_timeout: Duration,
    /// `engine.queue_timeout_seconds`: the longest that a job may wait for its turn.
    pub queue_timeout: Duration,
}

impl Default for Engine {
    fn default() -> Self {
        Self {
            concurrency: 12,
            lease: Duration::from_secs(60),
            submit_timeout: Duration::from_secs(30),
            job_timeout: Duration::from_secs(1_800),
            silence_timeout: Duration::from_secs(900),
            queue_timeout: Duration::from_secs(86_400),
        }
    }
}

/// `log`: what is logged, and how.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Log {
    /// `log.level`: a level, or a list such as `info,midjourney_core=debug`.
    pub level: String,
    /// `log.format`.
    pub format: LogFormat,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            level: "info".to_owned(),
            format: LogFormat::Text,
        }
    }
}
