//! The programs of PostgreSQL's that are used, and how they are started: by full path, in plain C locale (their texts
//! are parsed), without the daemon's environment (which holds tokens and may hold libpq's own variables).

use std::path::{Path, PathBuf};
use std::process::Stdio;

use thiserror::Error;
use tokio::process::Command;

use crate::runtime::class::{Class, Classified};

/// Where the children look for anything that is not named by a full path.
const SEARCH_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Why the programs cannot be used.
#[derive(Debug, Error)]
pub enum ToolsError {
    /// There is none.
    #[error("no pg_restore found: install the package postgresql-client")]
    Absent,
    /// `pg_restore --version` could not be run.
    #[error("could not run pg_restore in {dir:?}")]
    Run {
        /// Folder of the programs.
        dir: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It ran and told no version.
    #[error("pg_restore in {dir:?} tells no version")]
    Version {
        /// Folder of the programs.
        dir: PathBuf,
    },
}

impl Classified for ToolsError {
    fn class(&self) -> Class {
        Class::Terminal
    }
}

/// The PostgreSQL programs of one folder.
#[derive(Debug, Clone)]
pub struct PgTools {
    dir: PathBuf,
    version: String,
    major: u32,
}

impl PgTools {
    /// Asks the `pg_restore` in `dir` for its version.
    pub async fn at(dir: &Path) -> Result<Self, ToolsError> {
        let output = bare_command(&dir.join("pg_restore"))
            .arg("--version")
            .output()
            .await
            .map_err(|source| ToolsError::Run { dir: dir.to_owned(), source })?;
        let text = String::from_utf8_lossy(&output.stdout);
        let (version, major) =
            parse_version(&text).ok_or_else(|| ToolsError::Version { dir: dir.to_owned() })?;
        Ok(Self { dir: dir.to_owned(), version, major })
    }

    /// Every `pg_restore` of this machine, one of each major version, the newest first. A client alone will do.
    pub async fn installed() -> Vec<Self> {
        let mut found = Vec::new();
        for dir in reprise_cluster::client_folders() {
            match Self::at(&dir).await {
                Ok(tools) => found.push(tools),
                Err(error) => tracing::debug!(%error, "a pg_restore that cannot be used"),
            }
        }
        reprise_cluster::one_of_each_major(found, Self::major)
    }

    /// The version of `pg_restore`, such as `15.18`: it belongs into every verdict.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Its major version.
    pub fn major(&self) -> u32 {
        self.major
    }

    /// A command of `tool`, not yet started.
    pub(super) fn command(&self, tool: &'static str) -> Command {
        bare_command(&self.dir.join(tool))
    }
}

fn bare_command(program: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", SEARCH_PATH)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        // A group of its own: parallel pg_restore forks, and all of it must be reachable by a signal.
        .process_group(0);
    command
}

/// `pg_restore (PostgreSQL) 15.18 (Debian …)` → `15.18` and 15; `18devel` and `18rc1` count as 18.
fn parse_version(text: &str) -> Option<(String, u32)> {
    let version = text.split(") ").nth(1)?.split_whitespace().next()?;
    let digits = version.find(|c: char| !c.is_ascii_digit()).unwrap_or(version.len());
    Some((version.to_owned(), version[..digits].parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::parse_version;

    #[test]
    fn versions_of_all_kinds_are_understood() {
        let parse = |text| parse_version(text).map(|(version, major)| format!("{version}/{major}"));
        assert_eq!(
            parse("pg_restore (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n").as_deref(),
            Some("15.18/15")
        );
        assert_eq!(parse("pg_restore (PostgreSQL) 19devel\n").as_deref(), Some("19devel/19"));
        assert_eq!(parse("nonsense"), None);
    }
}
