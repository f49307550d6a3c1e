//! Hears of what other nodes have committed: a notification where one comes, and a look now and then where none does.

use std::{future::poll_fn, time::Duration};

use midjourney_core::{
    clock::{Entropy as _, OsEntropy},
    error::BoxError,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
    task::JoinHandle,
};
use tokio_postgres::{AsyncMessage, Client, Connection, NoTls};

use super::{db::Db, link::Link, tallies};

/// What writers notify.
pub(super) const CHANNEL: &str = "midjourney_changes";

/// The time between two looks: a notification is a hint, and may be lost with its connection.
const LOOK: Duration = Duration::from_secs(2);

/// Ends when dropped.
pub(super) struct Listener(JoinHandle<()>);

impl Drop for Listener {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Listener {
    pub(super) fn start(link: Link, changes: watch::Sender<u64>) -> Self {
        Self(tokio::spawn(async move {
            tokio::join!(listen(&link, &changes), look(&link, &changes));
        }))
    }
}

fn rise(changes: &watch::Sender<u64>) {
    changes.send_modify(|number| *number = number.wrapping_add(1));
}

/// `LOOK`, a fifth sooner or later: nodes that started together do not ask together.
fn pause() -> Duration {
    LOOK.mul_f64(0.8 + 0.4 * OsEntropy.chance())
}

async fn listen(link: &Link, changes: &watch::Sender<u64>) {
    loop {
        if let Err(error) = listened(link, changes).await {
            tracing::debug!(error = &*error, "nothing is heard of other nodes for now");
        }
        tokio::time::sleep(pause()).await;
    }
}

/// Returns when the connection ends.
async fn listened(link: &Link, changes: &watch::Sender<u64>) -> Result<(), BoxError> {
    match link.config() {
        (config, Some(tls)) => {
            let (client, connection) = config.connect(tls.clone()).await?;
            heard(&client, connection, changes).await
        }
        (config, None) => {
            let (client, connection) = config.connect(NoTls).await?;
            heard(&client, connection, changes).await
        }
    }
}

async fn heard<S, T>(
    client: &Client,
    mut connection: Connection<S, T>,
    changes: &watch::Sender<u64>,
) -> Result<(), BoxError>
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    let heard = async {
        while let Some(message) = poll_fn(|context| connection.poll_message(context)).await {
            if let AsyncMessage::Notification(_) = message? {
                rise(changes);
            }
        }
        Ok(())
    };
    let asked = async {
        client.batch_execute(&format!("LISTEN {CHANNEL}")).await?;
        // What was committed before it listened.
        rise(changes);
        std::future::pending::<Result<(), tokio_postgres::Error>>().await
    };
    tokio::select! {
        ended = heard => ended.map_err(|error: tokio_postgres::Error| error.into()),
        failed = asked => failed.map_err(Into::into),
    }
}

async fn look(link: &Link, changes: &watch::Sender<u64>) {
    let mut seen = None;
    loop {
        tokio::time::sleep(pause()).await;
        let Ok(connection) = link.get("looking for changes").await else {
            continue;
        };
        if let Ok(position) = tallies::position(Db(&connection)).await
            && seen.replace(position) != Some(position)
        {
            rise(changes);
        }
    }
}
