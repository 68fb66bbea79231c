//! The command line of the sandbox.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

mod check;

use crate::exec;
use crate::s3::Durability;
use crate::sandbox::{Cache, Options, Sandbox, SandboxError};
use crate::seed::Size;
use crate::world::faults::profile::BAD_DAY;
use crate::world::faults::{FaultError, Script};

/// A small real world to recover in.
#[derive(Debug, Parser)]
#[command(name = "reprise-sandbox", version, about, long_about = None)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Bring a world up; it serves when a line `ready` is printed, and is cleaned up on SIGTERM or SIGINT.
    Up(Up),
    /// Make a running world what it was at its beginning.
    Reset(life::Of),
    /// Put a running world aside under a name.
    Snapshot(life::Named),
    /// Make a running world what it was when it was put aside.
    Restore(life::Named),
    /// List what was put aside; with --remove, forget one.
    Snapshots(life::Kept),
    /// Make a running world anew with another amount of content.
    Seed(life::Sown),
    /// Run a program inside a world that is up: its names resolve, its CA is trusted.
    Exec(exec::Args),
    /// The half of `exec` that runs inside of a network namespace.
    #[command(hide = true)]
    ExecInside(exec::Inside),
    /// Say what is wrong with what was done in a world: things made twice, leaks, writes to what is not ours, secrets where
    /// they do not belong. Exits with 1 if anything is.
    Check(check::Check),
}

mod banner;
mod life;

#[derive(Debug, clap::Args)]
struct Up {
    /// The folder of all state: empty, or a former sandbox's. Emptied at the end.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Where to write NAME=value lines that tell clients where everything is.
    #[arg(long, value_name = "FILE")]
    env_file: PathBuf,
    /// How many times faster than the wall durations pass.
    #[arg(long, value_name = "N", default_value_t = 1.0)]
    speed: f64,
    /// What identifiers and content are drawn from.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// How much content the estate has: small, medium or large.
    #[arg(long, value_name = "SIZE", value_parser = size, default_value = "medium")]
    size: Size,
    /// A custom-format dump that becomes the estate's database.
    #[arg(long, value_name = "FILE")]
    dump: Option<PathBuf>,
    /// A folder whose files become the estate's documents.
    #[arg(long, value_name = "DIR")]
    bucket: Option<PathBuf>,
    /// Make everything anew, and keep nothing for the next start.
    #[arg(long)]
    no_cache: bool,
    /// For measurements: the object stores answer before the disk has what was written (a power cut loses it), and refuse
    /// nobody for asking too often.
    #[arg(long)]
    relaxed_storage: bool,
    /// What goes wrong from the start: `bad-day`, or a file of rules (JSON, as for `POST /faults`).
    #[arg(long, value_name = "PROFILE|FILE")]
    faults: Option<String>,
}

fn size(name: &str) -> Result<Size, String> {
    Size::from_name(name).ok_or_else(|| "expected small, medium or large".to_owned())
}

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The runtime or the signal handlers could not be made.
    #[error("could not set up the process")]
    Process(#[source] std::io::Error),
    /// Programs that the world is made of are not installed.
    #[error("not installed: {0}")]
    Missing(String),
    /// The world did not come up.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// The env file was not written.
    #[error("could not write the env file {file}")]
    EnvFile {
        /// Which file.
        file: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A running world could not do what it was asked.
    #[error(transparent)]
    Ask(#[from] life::AskError),
    /// The faults are not rules.
    #[error("--faults {0}")]
    Faults(String, #[source] FaultError),
    /// The faults could not be read.
    #[error("--faults {0}: neither a profile (bad-day) nor a file that can be read")]
    FaultsFile(String, #[source] std::io::Error),
    /// Nothing could be checked.
    #[error(transparent)]
    Check(#[from] check::CheckError),
    /// A program could not be run.
    #[error(transparent)]
    Exec(#[from] exec::ExecError),
}

impl CliError {
    /// What the process answers: 125 where a program could not be brought into the world, as `chroot` and `env` do, so that it is
    /// not taken for the program's own code.
    pub fn code(&self) -> u8 {
        if matches!(self, Self::Exec(_)) { 125 } else { 1 }
    }
}

/// Runs the command.
pub fn run(cli: Cli) -> Result<ExitCode, CliError> {
    match cli.command {
        // Before any thread is started: the process may become the program.
        Command::Exec(args) => Ok(exec::run(&args)?),
        Command::ExecInside(args) => Ok(args.run()?),
        Command::Check(args) => {
            let runtime = tokio::runtime::Runtime::new().map_err(CliError::Process)?;
            Ok(runtime.block_on(check::run(&args))?)
        }
        Command::Up(up) => {
            frugal();
            let runtime = tokio::runtime::Runtime::new().map_err(CliError::Process)?;
            runtime.block_on(self::up(up))
        }
        Command::Reset(args) => told(args.reset()),
        Command::Snapshot(args) => told(args.snapshot()),
        Command::Restore(args) => told(args.restore()),
        Command::Snapshots(args) => told(args.list_or_remove()),
        Command::Seed(args) => told(args.seed()),
    }
}

/// How the allocator is told to give memory back: a world needs much while it is made and little afterwards.
const FRUGAL: [(&str, &str); 3] =
    [("MALLOC_ARENA_MAX", "2"), ("MALLOC_MMAP_THRESHOLD_", "131072"), ("MALLOC_TRIM_THRESHOLD_", "131072")];

/// Begins again, as the same process, with an allocator that gives memory back: it listens only before the first allocation.
/// Where the user has said anything about it, or the program cannot be found again, everything stays as it is.
fn frugal() {
    if FRUGAL.iter().any(|(name, _)| std::env::var_os(name).is_some()) {
        return;
    }
    let Ok(program) = std::env::current_exe() else { return };
    let mut again = std::process::Command::new(program);
    again.args(std::env::args_os().skip(1)).envs(FRUGAL);
    let error = std::os::unix::process::CommandExt::exec(&mut again);
    tracing::debug!(%error, "memory is not given back");
}

/// Runs a command that asks a running world.
fn told(asking: impl Future<Output = Result<(), life::AskError>>) -> Result<ExitCode, CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(CliError::Process)?.block_on(asking)?;
    Ok(ExitCode::SUCCESS)
}

async fn up(args: Up) -> Result<ExitCode, CliError> {
    // Listened to before anything starts, so that an early signal is not lost.
    let mut terminate = signal(SignalKind::terminate()).map_err(CliError::Process)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(CliError::Process)?;
    let Up { dir, env_file, speed, seed, size, dump, bucket, no_cache, relaxed_storage, faults } = args;
    // Read before anything starts: a mistake is told at once.
    let script = faults.as_deref().map(script).transpose()?;
    let cache = if no_cache { Cache::none() } else { Cache::of_user() };
    banner::check_programs().map_err(CliError::Missing)?;
    let began = tokio::time::Instant::now();
    let told = banner::About { dir: dir.clone(), env_file: env_file.clone(), speed, seed, size };
    let durability = if relaxed_storage { Durability::Relaxed } else { Durability::Full };
    let options = Options { dir, speed, seed, size, dump, bucket, cache, durability };
    let sandbox = Box::pin(Sandbox::start(options)).await?;
    if let Some(script) = script {
        sandbox.world().faults.add_all(script);
    }
    let said = announce(&env_file, &sandbox, &told.banner(began.elapsed(), &sandbox.env()))
        .map_err(|source| CliError::EnvFile { file: env_file.clone(), source });
    if said.is_ok() {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    }
    let stopped = sandbox.shut_down().await;
    if let Err(error) = std::fs::remove_file(&env_file) {
        tracing::debug!(%error, "the env file stays behind");
    }
    said.map(|()| if stopped { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The rules of `--faults`.
fn script(named: &str) -> Result<Script, CliError> {
    if named == BAD_DAY {
        return Script::profile(named).map_err(|error| CliError::Faults(named.to_owned(), error));
    }
    let text = std::fs::read(named).map_err(|error| CliError::FaultsFile(named.to_owned(), error))?;
    Script::parse(&text).map_err(|error| CliError::Faults(named.to_owned(), error))
}

/// Writes the env file, then says so: whoever waits for the line may read the file.
fn announce(file: &Path, sandbox: &Sandbox, banner: &str) -> std::io::Result<()> {
    write_env(file, &sandbox.env())?;
    // For people; whoever reads the output of a program wants nothing but the line.
    write!(std::io::stderr(), "{banner}").unwrap_or_default();
    let mut out = std::io::stdout();
    writeln!(out, "ready")?;
    out.flush()
}

fn write_env(file: &Path, env: &[(String, String)]) -> std::io::Result<()> {
    let mut text: String =
        env.iter().map(|(name, value)| [name, "=", value].concat()).collect::<Vec<_>>().join("\n");
    text.push('\n');
    // It holds credentials, and appears whole or not at all.
    let part = file.with_extension("part");
    let mut target =
        std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
    target.write_all(text.as_bytes())?;
    target.sync_all()?;
    std::fs::rename(part, file)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_env_file_is_readable_by_its_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("env");
        write_env(&file, &[("A".into(), "1".into()), ("B".into(), "2".into())]).unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "A=1\nB=2\n");
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn faults_are_a_profile_or_a_file_and_mistakes_are_told() {
        assert!(script("bad-day").is_ok());
        assert!(script("/nowhere").unwrap_err().to_string().contains("bad-day"));
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("faults.json");
        let name = file.to_str().unwrap();
        std::fs::write(&file, r#"[{"fault": {"kind": "stall"}}]"#).unwrap();
        assert!(script(name).is_ok());
        std::fs::write(&file, r#"[{"fault": {"kind": "explode"}}]"#).unwrap();
        assert!(script(name).is_err());
    }

    #[test]
    fn up_needs_a_folder_and_an_env_file() {
        assert!(Cli::try_parse_from(["reprise-sandbox", "up"]).is_err());
        assert!(Cli::try_parse_from(["reprise-sandbox", "up", "--dir", "d", "--env-file", "e"]).is_ok());
    }
}
