//! Secrets of the gateway's own, which all nodes must have alike: what one node has signed, another must accept.

use midjourney_core::key::Secret;
use tokio_postgres::Error;

use super::db::{Db, One, Two};
use crate::rows::Value;

/// The secret under `name`, which is `fresh` where there was none: the first of several nodes wins.
pub(super) async fn shared(db: Db<'_>, name: &str, fresh: &Secret) -> Result<Option<Secret>, Error> {
    let add = "INSERT INTO own_secrets (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING";
    db.execute(add, &[name.into(), fresh.expose().into()]).await?;
    let kept: Option<One> = db
        .row("SELECT value FROM own_secrets WHERE name = $1", &[name.into()])
        .await?;
    Ok(match kept {
        Some(One([Value::Text(value)])) => Some(Secret::new(value)),
        _ => None,
    })
}

/// All of them, by name.
pub(super) async fn all(db: Db<'_>) -> Result<Vec<(String, Secret)>, Error> {
    let found: Vec<Two> = db
        .rows("SELECT name, value FROM own_secrets ORDER BY name", &[])
        .await?;
    let secret = |Two(row)| match row {
        [Value::Text(name), Value::Text(value)] => Some((name, Secret::new(value))),
        _ => None,
    };
    Ok(found.into_iter().filter_map(secret).collect())
}

/// `secret` is the one under `name` from now on.
pub(super) async fn replace(db: Db<'_>, name: &str, secret: &Secret) -> Result<(), Error> {
    let put = "INSERT INTO own_secrets (name, value) VALUES ($1, $2)
               ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    db.execute(put, &[name.into(), secret.expose().into()]).await?;
    Ok(())
}
