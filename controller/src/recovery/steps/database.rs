//! The new database, reached through an SSH tunnel that ends in a Unix socket of ours.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use sqlx::postgres::PgConnection;
use sqlx::{ConnectOptions as _, Connection as _};

mod attended;

use super::variables::database_dsn;
use super::{Ctx, Result, StepError, ssh_key};
use crate::backup::restore::{Host, Target};
use crate::providers::ssh::Tunnel;
use crate::recovery::drive::{Pace, look};
use crate::runtime::class::Class;
use crate::store::SpanKind;

/// An open way to the new database.
#[derive(Debug)]
pub(super) struct Database {
    tunnel: Tunnel,
    pub(super) target: Target,
    /// Holds the socket; goes with this value.
    _dir: tempfile::TempDir,
}

impl Database {
    /// Opens the tunnel; the host key is pinned.
    pub(super) async fn open(ctx: &Ctx) -> Result<Self> {
        ctx.doing(SpanKind::Provider, "opening the tunnel to the database");
        let dsn = database_dsn(ctx).await?;
        let config = ssh_key::config(ctx).await?;
        ctx.make_dir()?;
        let dir = tempfile::Builder::new()
            .prefix("reprise-db-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(socket_folder(&ctx.run.dir))
            .map_err(StepError::io("making a folder for the tunnel"))?;
        // A key that was registered a moment ago may not be known at the door yet.
        let open = || async {
            let opened = Tunnel::open(config.clone(), &dsn.host, dsn.port, dir.path()).await;
            opened.map_err(StepError::failed("opening the tunnel to the database"))
        };
        let tunnel = look(ctx, Pace::PROVIDER, open).await?;
        let target = Target {
            host: Host::Socket(tunnel.socket_dir().to_owned()),
            port: 5432,
            database: dsn.database.clone(),
            user: dsn.user.clone(),
            password: dsn.password.clone(),
        };
        Ok(Self { tunnel, target, _dir: dir })
    }

    /// A connection as the addon's own user.
    pub(super) async fn connect(&self) -> Result<PgConnection> {
        self.target
            .options("reprise")
            .connect()
            .await
            .map_err(|source| self.broken("connecting to the new database", source))
    }

    /// Ends the sessions that a killed predecessor may have left behind.
    pub(super) async fn end_sessions(&self, connection: &mut PgConnection, application: &str) -> Result<()> {
        sqlx::query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE application_name = $1 AND usename = current_user AND pid <> pg_backend_pid()",
        )
        .bind(application)
        .execute(connection)
        .await
        .map(drop)
        .map_err(|source| self.broken("ending an earlier attempt's sessions", source))
    }

    /// Closes the tunnel.
    pub(super) async fn close(self) {
        self.tunnel.close().await;
    }

    /// What broke may be the tunnel: its own reason is the better one.
    fn broken(&self, doing: &str, source: sqlx::Error) -> StepError {
        let why = self
            .tunnel
            .failures()
            .map(|why| format!(" (the tunnel: {})", crate::runtime::chain::Chain(why.as_ref())));
        let doing = format!("{doing}{}", why.unwrap_or_default());
        StepError::Failed { doing, class: Class::Transient, in_doubt: false, source: Box::new(source) }
    }
}

/// The request's private folder, which is emptied at its end even where this process is killed; the machine's, where the path of a socket
/// in ours would be longer than systems allow.
fn socket_folder(own: &Path) -> PathBuf {
    /// 107 bytes, less `/reprise-db-XXXXXX/.s.PGSQL.5432`.
    const LONGEST: usize = 107 - 32;
    if own.is_absolute() && own.as_os_str().len() <= LONGEST { own.to_owned() } else { std::env::temp_dir() }
}

/// Says goodbye to the server; where that fails the server notices by itself.
pub(super) async fn goodbye(connection: PgConnection) {
    if let Err(error) = connection.close().await {
        tracing::debug!(%error, "a connection did not close");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use serde_json::{Value, json};

    use super::*;
    use crate::providers::ssh::tests::serve_after;
    use crate::recovery::rehearsal::suffix;
    use crate::recovery::step::Step;
    use crate::recovery::steps::bench::{Bench, SCALE, vendors};

    /// The key that this daemon has registered is listed from then on.
    #[tokio::test]
    async fn a_key_that_the_door_does_not_know_yet_is_shown_again() {
        let (address, fingerprint, _server) = serve_after(2).await;
        let address = address.to_string();
        let environment =
            [("SCALINGO_SSH_HOST", address.as_str()), ("SCALINGO_SSH_FINGERPRINT", fingerprint.as_str())];
        let registered = Arc::<Mutex<Option<Value>>>::default();
        let known = Arc::clone(&registered);
        let platform = vendors(move |what, _| match what.rsplit('/').next() {
            Some("variables") => {
                let url = "postgres://u:p@db.private:5432/d";
                Ok(json!({ "variables": [{ "id": "v", "name": "SCALINGO_POSTGRESQL_URL", "value": url }] }))
            }
            Some("keys") => {
                let keys = known.lock().unwrap().clone();
                Ok(json!({ "keys": keys.into_iter().collect::<Vec<_>>() }))
            }
            Some("self") => Ok(json!({ "user": { "id": "us-1" } })),
            _ => Err(404),
        });
        let bench = Bench::with(Step::Restore, platform, (SCALE, &environment)).await;
        let key = bench.ctx.tools.ephemeral_ssh_key("bad-day").expect("a key");
        let name = format!("reprise-bad-day-{}", suffix("bad-day", bench.ctx.run.filed_at));
        let line = key.public_line().expect("a line");
        *registered.lock().unwrap() = Some(json!({ "id": "k", "name": name, "content": line }));
        let database = Database::open(&bench.ctx).await.expect("the door has learnt of it");
        database.close().await;
        bench.end().await;
    }
}
