//! Finding the store: `DATABASE_URL`, else the private one under the data folder.

use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use sqlx::postgres::PgConnectOptions;

use super::CliError;
use crate::config::References;
use crate::store::{Store, embedded};

/// Where the state lies if nobody says.
pub(super) fn data_dir(given: Option<&Path>, references: &References) -> PathBuf {
    if let Some(given) = given {
        return given.to_owned();
    }
    match references.environment("HOME") {
        Some(home) if !nix::unistd::geteuid().is_root() => Path::new(home).join(".local/share/reprise"),
        _ => PathBuf::from("/var/lib/reprise"),
    }
}

/// The options behind `DATABASE_URL`, if it is set.
pub(super) fn from_environment(references: &References) -> Result<Option<PgConnectOptions>, CliError> {
    let Some(url) = references.environment("DATABASE_URL") else { return Ok(None) };
    // What reads it takes any scheme for ours.
    let is_postgres = url.starts_with("postgres://") || url.starts_with("postgresql://");
    let options = PgConnectOptions::from_str(url).ok().filter(|_| is_postgres);
    options.map(Some).ok_or_else(|| CliError::NoStore {
        advice: "DATABASE_URL is not a PostgreSQL URL (postgresql://user:password@host:port/database)"
            .to_owned(),
    })
}

/// Connects to the store of a daemon, running or not.
pub(super) async fn store(data: Option<&Path>) -> Result<Store, CliError> {
    let references = References::of_this_process();
    let options = match from_environment(&references)? {
        Some(options) => options,
        None => running(&data_dir(data, &references))?,
    };
    Ok(Store::connect(options).await?)
}

/// The private store of the daemon that runs under `data_dir`.
fn running(data_dir: &Path) -> Result<PgConnectOptions, CliError> {
    let nothing = |_| CliError::NoStore {
        advice: format!(
            "no daemon keeps one under {}; start `reprise serve`, or give --data-dir or DATABASE_URL",
            data_dir.display()
        ),
    };
    let url = std::fs::read_to_string(embedded::url_file(data_dir)).map_err(nothing)?;
    PgConnectOptions::from_str(url.trim()).map_err(|_| CliError::NoStore {
        advice: format!("{} is damaged; restart the daemon", embedded::url_file(data_dir).display()),
    })
}
