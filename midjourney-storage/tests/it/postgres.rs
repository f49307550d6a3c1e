//! The suite over a real PostgreSQL, and what it cannot ask of every store.
#![expect(clippy::print_stderr, reason = "what was measured is told")]

mod cluster;
mod lost;
mod nodes;
mod silent;
mod tls;

use std::sync::{Arc, OnceLock};

use midjourney_core::{delivery::DeliveryStore, delivery_store_suite, job::JobStore, job_store_suite};

use midjourney_storage::postgres::{PostgresJobStore, PostgresOptions};

use self::cluster::Cluster;

async fn connect(url: &str) -> PostgresJobStore {
    PostgresJobStore::connect(url, PostgresOptions::default())
        .await
        .unwrap()
}

/// The one that tests share which do not harm it.
pub(crate) fn shared() -> &'static Cluster {
    static SHARED: OnceLock<Cluster> = OnceLock::new();
    SHARED.get_or_init(Cluster::start)
}

/// Runs a statement in the database at `url`.
async fn ask(url: &str, statement: &str) {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
    let task = tokio::spawn(connection);
    client.batch_execute(statement).await.unwrap();
    drop(client);
    task.await.unwrap().unwrap();
}

mod suite {
    use super::*;

    async fn fresh() -> (Arc<dyn JobStore>, ()) {
        (Arc::new(connect(&shared().database()).await), ())
    }

    job_store_suite!(fresh);
}

mod delivery_suite {
    use super::*;

    async fn fresh() -> (Arc<dyn DeliveryStore>, ()) {
        (Arc::new(connect(&shared().database()).await), ())
    }

    delivery_store_suite!(fresh);
}
