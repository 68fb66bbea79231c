//! Sessions in the throwaway database.

use secrecy::ExposeSecret as _;
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{ConnectOptions as _, PgConnection};

use super::Halt;
use crate::backup::checks::CheckError;
use crate::backup::restore::Target;

/// A session in the throwaway database.
pub(crate) async fn connect(target: &Target, application: &str) -> Result<PgConnection, Halt> {
    let Target { socket_dir, port, database, user, password } = target;
    let options = PgConnectOptions::new_without_pgpass()
        .socket(socket_dir)
        .port(*port)
        .database(database)
        .username(user)
        .password(password.expose_secret())
        .ssl_mode(PgSslMode::Disable)
        .application_name(application)
        .disable_statement_logging();
    let connected = options.connect().await;
    connected.map_err(|source| CheckError { doing: "connect to the throwaway database", source }.into())
}

/// A name as SQL does.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
