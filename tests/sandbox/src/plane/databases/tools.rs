//! The server's own programs: `pg_dump` and `pg_restore`. No secret is in their arguments.

use std::path::Path;
use std::process::Stdio;

use reprise_cluster::Binaries;
use tokio::process::Command;

use super::DatabaseError;
use super::addon::Addon;
use super::sql;
use crate::plane::server_log;

/// How much of what a program said is kept.
const MESSAGE: usize = 2_000;

impl Addon {
    /// The equivalent of the vendor's dump, by its documentation.
    pub(super) async fn dump(
        &self,
        binaries: &Binaries,
        file: &Path,
        more: &[&str],
    ) -> Result<u64, DatabaseError> {
        let mut command = self.tool(binaries, "pg_dump");
        command.args(more);
        command.args([
            "--clean",
            "--if-exists",
            "--format=c",
            "--no-owner",
            "--no-privileges",
            "--no-comments",
        ]);
        command.args(["--exclude-schema=information_schema", "--exclude-schema=pg_*"]);
        command.arg("--file").arg(file).arg("--dbname").arg(self.resource());
        self.run("pg_dump", command).await?;
        let size = tokio::fs::metadata(file).await.map_err(sql::files(self.resource()))?.len();
        Ok(size)
    }

    pub(super) async fn load_dump(&self, binaries: &Binaries, file: &Path) -> Result<(), DatabaseError> {
        let mut command = self.tool(binaries, "pg_restore");
        command.args(["--no-owner", "--no-privileges", "--no-comments", "--jobs=2", "--exit-on-error"]);
        command.arg("--role").arg(self.resource()).arg("--dbname").arg(self.resource()).arg(file);
        self.run("pg_restore", command).await
    }

    /// The documented restoration, as the owner. That extensions are not the owner's to drop is no failure.
    pub(super) async fn restore_dump(&self, binaries: &Binaries, file: &Path) -> Result<(), DatabaseError> {
        let mut command = self.tool(binaries, "pg_restore");
        command.args(["--clean", "--if-exists", "--no-owner", "--no-privileges", "--no-comments"]);
        command.arg("--role").arg(self.resource()).arg("--dbname").arg(self.resource()).arg(file);
        match self.run("pg_restore", command).await {
            Err(DatabaseError::Tool { message, .. }) if is_harmless(&message) => Ok(()),
            result => result,
        }
    }

    /// The end of the server's log, empty if there is none.
    pub(super) async fn log_tail(&self) -> Result<String, DatabaseError> {
        server_log::tail(&self.log).await.map_err(sql::files(self.resource()))
    }

    /// The whole lines after the first `from` bytes, and where the next begins.
    pub(super) async fn log_from(&self, from: u64) -> Result<(String, u64), DatabaseError> {
        server_log::after(&self.log, from).await.map_err(sql::files(self.resource()))
    }

    fn tool(&self, binaries: &Binaries, name: &str) -> Command {
        let mut command = Command::new(binaries.tool(name));
        command.env("PGHOST", self.socket_dir()).env("PGUSER", Self::superuser_name());
        command
            .env("PGPASSFILE", &self.passfile)
            .env("LC_ALL", "C")
            .env_remove("PGPASSWORD")
            .arg("--no-password");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }

    async fn run(&self, tool: &'static str, mut command: Command) -> Result<(), DatabaseError> {
        let output = command.output().await.map_err(sql::files(self.resource()))?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let message: Vec<char> = said.trim().chars().rev().take(MESSAGE).collect();
        Err(DatabaseError::Tool {
            tool,
            resource: self.resource().to_owned(),
            status: output.status.to_string(),
            message: message.into_iter().rev().collect(),
        })
    }
}

/// Whether all errors that `pg_restore` passed over are about whose an extension is.
fn is_harmless(message: &str) -> bool {
    let errors = || message.lines().filter(|line| line.starts_with("pg_restore: error:"));
    errors().next().is_some() && errors().all(|line| line.contains("must be owner of extension"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_errors_about_extensions_are_harmless() {
        let owner = "pg_restore: error: could not execute query: ERROR:  must be owner of extension pg_trgm";
        let copy = "pg_restore: error: COPY failed for table \"things\"";
        assert!(is_harmless(&format!("{owner}\npg_restore: warning: errors ignored on restore: 1")));
        assert!(!is_harmless(&format!("{owner}\n{copy}")) && !is_harmless("") && !is_harmless("killed"));
    }
}
