//! Sessions in the throwaway database.

use std::time::Duration;

use sqlx::{ConnectOptions as _, PgConnection};

use super::Halt;
use crate::backup::checks::CheckError;
use crate::backup::restore::Target;

/// How long a server may take to let us in.
const PATIENCE: Duration = Duration::from_secs(30);

/// A session in the throwaway database.
pub(crate) async fn connect(target: &Target, application: &str) -> Result<PgConnection, Halt> {
    let options = target.options(application);
    let connected = tokio::time::timeout(PATIENCE, options.connect()).await;
    let connected = connected.unwrap_or_else(|_| Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())));
    connected.map_err(|source| CheckError { doing: "connect to the throwaway database", source }.into())
}

/// A name as SQL does.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
