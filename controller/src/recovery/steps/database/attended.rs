//! Signs of life of long work in a database. `pg_restore` is silent while one large table is copied or one index built: that is no
//! stall as long as bytes pass through the tunnel, or the server itself says that it executes what we asked for.

use std::convert::Infallible;
use std::time::Duration;

use sqlx::postgres::PgConnection;
use tokio::time::timeout;

use super::Database;
use crate::backup::checks::is_executing;
use crate::recovery::pulse::Pulse;

/// Between two looks, in wall time: real programs are behind it.
const LOOK: Duration = Duration::from_secs(2);
/// A server that does not say within this what it does, says nothing.
const PATIENCE: Duration = Duration::from_secs(10);

impl Database {
    /// Does `work`, and lets `pulse` know meanwhile that it moves.
    pub(in crate::recovery::steps) async fn attended<T>(
        &self,
        pulse: &Pulse,
        work: impl Future<Output = T>,
    ) -> T {
        tokio::select! {
            biased;
            done = work => done,
            never = self.attend(pulse) => match never {},
        }
    }

    async fn attend(&self, pulse: &Pulse) -> Infallible {
        let mut asking = None;
        let mut known = self.carried();
        loop {
            tokio::time::sleep(LOOK).await;
            if self.carried() != known || self.executes(&mut asking).await {
                pulse.moved();
            }
            // Our own question and its answer are no sign of life.
            known = self.carried();
        }
    }

    fn carried(&self) -> (u64, u64) {
        let traffic = self.tunnel.traffic();
        (traffic.sent, traffic.received)
    }

    /// Whether the server says that it is at work for us. The connection that asks is kept; one that breaks is made anew next time.
    async fn executes(&self, asking: &mut Option<PgConnection>) -> bool {
        let mut connection = match asking.take() {
            Some(connection) => connection,
            None => match timeout(PATIENCE, self.connect()).await {
                Ok(Ok(connection)) => connection,
                Ok(Err(_)) | Err(_) => return false,
            },
        };
        let Ok(Ok(executes)) = timeout(PATIENCE, is_executing(&mut connection)).await else { return false };
        *asking = Some(connection);
        executes
    }
}
