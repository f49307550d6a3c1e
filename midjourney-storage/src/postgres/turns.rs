//! Turns of writers, and what shows afterwards whether one was used.
//!
//! Each transaction writes a number of its own into its node's row. Where the answer to a commit is lost, the number that
//! stands there tells what came of it: on the server that writes go to now, whichever did so before.

use midjourney_core::clock::{Entropy as _, OsEntropy};
use tokio_postgres::Error;

use super::db::Db;
use crate::rows::Value;

/// Waits for the turn, which ends with the transaction.
const LOCK: &str = "SELECT number FROM tallies WHERE what = 'position' AND name = '' FOR UPDATE";

/// Forgets the nodes that have written nothing for long.
const FORGET: &str = "DELETE FROM commits WHERE noted_at < now() - interval '7 days'";

/// The turns of one node. One at a time: a turn begins after it is clear what became of the one before.
pub(super) struct Turns {
    /// Never the same again, so that a node which was started anew takes nothing for its own that is not.
    node: [u8; 16],
    newest: i64,
}

impl Turns {
    pub(super) fn new() -> Self {
        let mut node = [0; 16];
        OsEntropy.fill(&mut node);
        Self { node, newest: 0 }
    }

    /// Waits for a turn in the transaction that was begun; the newest position, and the turn's number.
    pub(super) async fn take(&mut self, db: Db<'_>) -> Result<(i64, i64), Error> {
        self.newest = self.newest.saturating_add(1);
        let sql = format!(
            "WITH noted AS (
                 INSERT INTO commits (node, turn, noted_at) VALUES ($1, $2, now())
                 ON CONFLICT (node) DO UPDATE SET turn = excluded.turn, noted_at = excluded.noted_at)
             {LOCK}"
        );
        let own: [Value; 2] = [(&self.node).into(), self.newest.into()];
        let position = db.number(&sql, &own).await?.unwrap_or(0);
        if self.newest == 1 {
            db.execute(FORGET, &[]).await?;
        }
        Ok((position, self.newest))
    }

    /// Whether the transaction of `turn` was committed, over another connection.
    pub(super) async fn was_used(&self, db: Db<'_>, turn: i64) -> Result<bool, Error> {
        db.0.batch_execute("BEGIN").await?;
        // While it is not over, it has the lock.
        db.number(LOCK, &[]).await?;
        let noted = "SELECT turn FROM commits WHERE node = $1";
        let noted = db.number(noted, &[(&self.node).into()]).await?;
        db.0.batch_execute("ROLLBACK").await?;
        Ok(noted == Some(turn))
    }
}
