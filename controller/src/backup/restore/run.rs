//! Starts `pg_restore`, follows what it says, and sees to it that nothing of it stays behind.

use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitStatus;

use secrecy::ExposeSecret as _;
use tempfile::NamedTempFile;
use tokio::io::BufReader;
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

use super::messages::{Event, Messages};
use super::progress::Tracker;
use super::{Host, Order, Progress, Report, RestoreError, Target};
use crate::backup::PgTools;
use crate::backup::process::{Group, bounded_lines};

/// The longest line that is read; only heads of lines are used.
const MAX_LINE: usize = 8 << 10;

/// Runs the restore that `order` describes, and reports what `pg_restore` said: errors in it are the account's business.
///
/// Where tables are parts of others, all rows come before any trigger and constraint, in a run of their own: what a table's parent
/// or partitioned table has is its own as soon as it is made, and a dump tells a parallel `pg_restore` of no such dependency. Where
/// something is dropped first, all has to be one run: what is to be dropped, and in which order, is known to that one alone. There one
/// session does it all, in the archive's order, in which rows come first: slower, and right.
///
/// `cancel` asks `pg_restore` to cancel its queries and end; dropping the future kills it and all its workers.
/// *Repeat*: only with a [`super::Selection`] made from a new look at the target.
pub async fn restore(
    tools: &PgTools,
    order: Order<'_>,
    cancel: &CancellationToken,
    progress: impl Fn(Progress),
) -> Result<Report, RestoreError> {
    let local = |doing| move |source| RestoreError::Local { doing, source };
    let list =
        private_file(order.work_dir, &order.selection.list()).map_err(local("write the list of entries"))?;
    let passwords = private_file(order.work_dir, &password_line(order.target))
        .map_err(local("write the password file"))?;
    let authorities = authorities(&order).map_err(local("write the file of authorities"))?;
    let mut messages = Messages::default();
    let mut tracker = Tracker::new(order.toc, order.counts, order.selection);
    progress(tracker.progress());
    let apart = order.counts.has_families() && !order.is_alone();
    let runs = if apart { &[ROWS, AFTER_ROWS][..] } else { &[&[][..]] };
    for sections in runs {
        let mut command = command(tools, &order, list.path(), passwords.path());
        if !order.is_alone() {
            command.arg(format!("--jobs={}", order.jobs.max(2)));
        }
        reach(&mut command, &order, authorities.as_ref().map(NamedTempFile::path));
        let before = messages.ends();
        let told = |line: &str| {
            if let Some(Event::Finished(id)) = messages.line(line) {
                tracker.finish(id);
                progress(tracker.progress());
            }
        };
        let status = follow(command.args(*sections), cancel, told).await?;
        if !status.success() && messages.ends() == before {
            let said = messages.last_error().map_or_else(|| status.to_string(), ToString::to_string);
            let total = order.selection.restored().len() as u64;
            return Err(RestoreError::GaveUp { finished: messages.finished().min(total), total, said });
        }
    }
    let report = messages.finish();
    match report.trouble() {
        Some(error) => Err(RestoreError::Trouble { said: error.to_string() }),
        None => Ok(report),
    }
}

/// The sections of an archive up to its rows, and those after them.
const ROWS: &[&str] = &["--section=pre-data", "--section=data"];
const AFTER_ROWS: &[&str] = &["--section=post-data"];

/// Runs one `pg_restore` to its end, telling each line that it says.
async fn follow(
    command: &mut Command,
    cancel: &CancellationToken,
    told: impl FnMut(&str),
) -> Result<ExitStatus, RestoreError> {
    let local = |doing| move |source| RestoreError::Local { doing, source };
    let mut pg_restore = Group::spawn(command).map_err(local("run pg_restore"))?;
    let stderr = pg_restore.child().stderr.take();
    let listen = async {
        let Some(stderr) = stderr else { return Ok(()) };
        bounded_lines(BufReader::new(stderr), MAX_LINE, told).await
    };
    let listened = tokio::select! {
        biased;
        () = cancel.cancelled() => None,
        listened = listen => Some(listened),
    };
    let Some(listened) = listened else {
        pg_restore.stop().await;
        return Err(RestoreError::Cancelled);
    };
    listened.map_err(local("listen to pg_restore"))?;
    pg_restore.wait().await.map_err(local("wait for pg_restore"))
}

fn command(tools: &PgTools, order: &Order<'_>, list: &Path, passwords: &Path) -> Command {
    let mut command = tools.command("pg_restore");
    command.args(["--verbose", "--no-password", "--no-owner", "--no-privileges", "--no-tablespaces"]);
    if order.selection.replaces() {
        command.args(["--clean", "--if-exists"]);
    }
    command.arg("--use-list").arg(list);
    command.arg("--dbname").arg(connection_string(order.target));
    command.arg(order.file);
    command
        .env("PGPORT", order.target.port.to_string())
        .env("PGUSER", &order.target.user)
        .env("PGPASSFILE", passwords)
        .env("PGAPPNAME", order.application)
        .env("PGCONNECT_TIMEOUT", "15")
        // The role may have time-outs of its own; a long index is no reason to lose a restore.
        .env("PGOPTIONS", "-c statement_timeout=0 -c lock_timeout=0 -c idle_in_transaction_session_timeout=0")
        .stdout(std::process::Stdio::null());
    command
}

/// Tells it the way to the server.
fn reach(command: &mut Command, order: &Order<'_>, authorities: Option<&Path>) {
    match &order.target.host {
        Host::Socket(folder) => command.env("PGHOST", folder),
        Host::Name { name, tls } => {
            // A file of that name in the user's home would change what the mode means: the one that is named instead is not there.
            let nobody = order.work_dir.join("no-authority");
            command
                .env("PGHOST", name)
                .env("PGSSLMODE", tls.mode())
                .env("PGSSLROOTCERT", authorities.unwrap_or(&nobody))
                .env("PGGSSENCMODE", "disable")
        }
    };
}

/// Those that vouch for the server, in a file.
fn authorities(order: &Order<'_>) -> io::Result<Option<NamedTempFile>> {
    let Host::Name { tls, .. } = &order.target.host else { return Ok(None) };
    tls.authorities().map(|pem| private_file(order.work_dir, pem)).transpose()
}

/// What a peer that is gone without a word is noticed by: within a minute and a half.
const SIGNS_OF_LIFE: &str =
    " keepalives_idle=30 keepalives_interval=15 keepalives_count=4 tcp_user_timeout=90000";

/// A bare name that looks like a connection string would be taken for one.
fn connection_string(target: &Target) -> String {
    let name = target.database.replace('\\', r"\\").replace('\'', r"\'");
    let signs = if matches!(target.host, Host::Name { .. }) { SIGNS_OF_LIFE } else { "" };
    format!("dbname='{name}'{signs}")
}

/// One line of libpq's password file, for any host: the file serves this one connection.
fn password_line(target: &Target) -> String {
    let password = target.password.expose_secret().replace('\\', r"\\").replace(':', r"\:");
    format!("*:*:*:*:{password}\n")
}

/// A file that only we may read, gone when dropped.
fn private_file(dir: &Path, content: &str) -> io::Result<NamedTempFile> {
    let mut file = tempfile::Builder::new().prefix("restore-").tempfile_in(dir)?;
    file.write_all(content.as_bytes())?;
    file.flush()?;
    Ok(file)
}
