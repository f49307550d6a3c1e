//! Connections: how they are made, and when one is given up.

use std::time::Duration;

use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime};
use midjourney_core::{
    error::{Applied, BoxError, Retry},
    job::StoreError,
};
use tokio_postgres::{
    Config, NoTls,
    config::{SslMode, TargetSessionAttrs},
};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{PostgresOptions, error::failed, tls};

/// How long one statement may take, and a transaction that nobody goes on with: a node that stands still in the middle of
/// one must not hold up the others for longer.
const STATEMENT: Duration = Duration::from_secs(10);

/// What every connection is told. Whatever the server's own settings are, what is acknowledged is on its disk.
const SETTINGS: &str = "SET synchronous_commit = on; SET statement_timeout = '10s'; SET lock_timeout = '10s';
     SET idle_in_transaction_session_timeout = '10s'; SET tcp_user_timeout = '10s'; SET tcp_keepalives_idle = 5;
     SET tcp_keepalives_interval = 2; SET tcp_keepalives_count = 3; SET default_transaction_isolation = 'read committed'";

/// The database, by as many connections as are needed at once.
#[derive(Clone)]
pub(super) struct Link {
    pool: Pool,
    config: Config,
    tls: Option<MakeRustlsConnect>,
    /// How long it may take to get a connection in all.
    limit: Duration,
}

impl Link {
    pub(super) async fn new(mut config: Config, options: &PostgresOptions) -> Result<Self, StoreError> {
        let setup = |error: BoxError| failed("connecting", Applied::No, Retry::Never, error);
        let tls = if config.get_ssl_mode() == SslMode::Require || options.ca.is_some() {
            let ca = options.ca.clone();
            let made = tokio::task::spawn_blocking(move || tls::connector(ca.as_deref())).await;
            Some(made.map_err(|error| setup(error.into()))?.map_err(setup)?)
        } else {
            None
        };
        config
            // A certificate that nobody checks is no protection, so it is all or nothing.
            .ssl_mode(if tls.is_some() {
                SslMode::Require
            } else {
                SslMode::Disable
            })
            .application_name("midjourney")
            // Of several hosts, and while they change their parts, a standby is none of ours.
            .target_session_attrs(TargetSessionAttrs::ReadWrite)
            .connect_timeout(options.connect_limit)
            .keepalives_idle(Duration::from_secs(5))
            .tcp_user_timeout(STATEMENT);
        let manager = ManagerConfig {
            recycling_method: RecyclingMethod::Fast,
        };
        let manager = match tls.clone() {
            Some(tls) => Manager::from_config(config.clone(), tls, manager),
            None => Manager::from_config(config.clone(), NoTls, manager),
        };
        let pool = Pool::builder(manager)
            .max_size(options.connections.max(2))
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(STATEMENT))
            .create_timeout(Some(options.connect_limit))
            .post_create(Hook::async_fn(|client, _| {
                Box::pin(async move { client.batch_execute(SETTINGS).await.map_err(HookError::Backend) })
            }))
            .build()
            .map_err(|error| setup(error.into()))?;
        Ok(Self {
            pool,
            config,
            tls,
            limit: options.connect_limit.saturating_add(STATEMENT),
        })
    }

    /// A connection for `operation`.
    pub(super) async fn get(&self, operation: &'static str) -> Result<Object, StoreError> {
        // The pool's own limits leave out what a new connection is told.
        match tokio::time::timeout(self.limit, self.pool.get()).await {
            Ok(got) => got.map_err(|error| failed(operation, Applied::No, Retry::Soon, error)),
            Err(late) => Err(failed(operation, Applied::No, Retry::Soon, late)),
        }
    }

    /// How to make a connection of its own, for listening.
    pub(super) const fn config(&self) -> (&Config, Option<&MakeRustlsConnect>) {
        (&self.config, self.tls.as_ref())
    }

    pub(super) fn close(&self) {
        self.pool.close();
    }
}

/// What `work` gives, within the time that a statement may take. A link that is frozen tells nothing by itself.
pub(super) async fn within<T, E>(work: impl Future<Output = Result<T, E>>) -> Result<Result<T, E>, BoxError> {
    let limit = STATEMENT.saturating_add(Duration::from_secs(1));
    tokio::time::timeout(limit, work)
        .await
        .map_err(|_| "the database did not answer in time".into())
}
