//! The command line: one file a command.
//!
//! Commands talk to the store, not to the daemon: what psql can do, they can do, and they work while the daemon is down.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

use crate::store::Store;

mod alert_drill;
mod answer;
mod apply;
mod archive;
mod backups;
mod bootstrap;
mod cancel;
mod connect;
mod describe;
mod desk;
mod doctor;
mod error;
mod evidence;
mod file;
mod get;
mod init;
mod output;
mod plan;
mod prove;
mod report;
mod serve;
mod standing;
mod watch;

pub use error::CliError;

/// Exit codes, part of the interface.
pub mod exit {
    /// Done; `watch`: the request succeeded.
    pub const OK: u8 = 0;
    /// It did not work, or what was looked at is not right; `watch`: the request failed.
    pub const FAILED: u8 = 1;
    /// The command or a document is wrong; nothing was changed.
    pub const USAGE: u8 = 2;
    /// There is no plan, request or app of that name.
    pub const NOT_FOUND: u8 = 3;
    /// The store does not answer.
    pub const UNAVAILABLE: u8 = 4;
    /// `watch`: the request was cancelled.
    pub const CANCELLED: u8 = 5;
}

const EXIT_CODES: &str = "Exit codes:
  0  done (watch: the request succeeded)
  1  it did not work, or what was looked at is not right (watch: the request failed)
  2  the command or a document is wrong; nothing was changed
  3  there is no plan, request or app of that name
  4  the store does not answer
  5  watch: the request was cancelled
  130  a second signal ended it at once; the next start looks at what was under way

The store is the PostgreSQL at DATABASE_URL or, without it, the private one that `reprise serve` runs under --data-dir.";

/// Brings a lost web application back, and keeps proving that it could.
#[derive(Debug, Parser)]
#[command(name = "reprise", version, after_help = EXIT_CODES, max_term_width = 110)]
pub struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

/// Options of every command.
#[derive(Debug, clap::Args)]
struct Common {
    /// Where the daemon keeps its state [default: /var/lib/reprise as root, else ~/.local/share/reprise]
    #[arg(long, global = true, env = "REPRISE_DATA_DIR", value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// How to print
    #[arg(short, long, global = true, value_enum, default_value_t = Format::Text)]
    output: Format,
}

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// For programs: one JSON document, or one a line where a command follows something
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon
    Serve(serve::Args),
    /// Draw up a first plan from a live app; it has to be looked at, and no value of a variable is in it
    Init(init::Args),
    /// Check a plan and store it; every problem is listed, and nothing is stored unless all is well
    Apply(apply::Args),
    /// File a request: an order to run a plan now
    File(file::Args),
    /// Show what a recovery would do: every external call, nothing sent
    Plan(plan::Args),
    /// List requests and plans
    Get(get::Args),
    /// Show everything that is known of one request, or how a plan stands
    Describe(describe::Args),
    /// Print the evidence of one request: choices with reasons, checks, times against the plan's objectives
    Evidence(evidence::Args),
    /// Follow a request until it ends
    Watch(watch::Args),
    /// Stop a request; with --clean, also tear down what the ledger proves to be its own
    Cancel(cancel::Args),
    /// Show what is known of each database backup: how far it was proven, when, and why not further
    Backups(backups::Args),
    /// Take database backups up the ladder of evidence now: restore each into a throwaway database and question it there
    Prove(prove::Args),
    /// Would a recovery work now? Looks at everything that it needs, and changes nothing
    Doctor(doctor::Args),
    /// Take, list, verify, restore and prune archives
    Archive(archive::Args),
    /// Take in what another machine knew, from an archive; then a recovery can start
    Bootstrap(Box<bootstrap::Args>),
    /// Try a failed or cancelled request again; what is done stays done
    Resume(cancel::NameArgs),
    /// Raise an alert on purpose, and see whether it arrives
    AlertDrill(alert_drill::Args),
    /// Stop a request where it is until it is resumed
    Pause(cancel::NameArgs),
    /// Agree to the loss of data that a request waits with; who and when is recorded
    Approve(cancel::ApproveArgs),
    /// Give the value of a variable that a plan asks a person for; it is read from standard input
    Answer(answer::Args),
}

impl Command {
    /// Whether the code says nothing but that something was printed.
    fn only_lists(&self) -> bool {
        match self {
            Self::Plan(_) | Self::Get(_) | Self::Describe(_) | Self::Evidence(_) => true,
            Self::Backups(args) => args.accept.is_none(),
            Self::Archive(args) => args.only_list(),
            Self::Init(args) => args.only_print(),
            _ => false,
        }
    }
}

impl Cli {
    /// Runs the command; the result is the exit code.
    pub async fn run(self) -> u8 {
        let (output, lists) = (self.common.output, self.command.only_lists());
        match Box::pin(self.execute()).await {
            Ok(code) => code,
            // Whoever reads our output has seen enough: `reprise plan x | head`. Of what does or judges something, nobody has seen the end.
            Err(CliError::Print(error)) if lists && error.kind() == std::io::ErrorKind::BrokenPipe => {
                exit::OK
            }
            Err(error) => {
                output::complain(output, &error);
                error.exit_code()
            }
        }
    }

    async fn execute(self) -> Result<u8, CliError> {
        let Self { common, command } = self;
        match command {
            Command::Serve(args) => serve::run(&common, args).await,
            Command::Init(args) => init::run(&common, &args).await,
            Command::Apply(args) => apply::run(&common, &args).await,
            Command::File(args) => file::run(&common, &args).await,
            Command::Plan(args) => plan::run(&common, &args).await,
            Command::Get(args) => get::run(&common, &args).await,
            Command::Describe(args) => describe::run(&common, &args).await,
            Command::Evidence(args) => evidence::run(&common, &args).await,
            Command::Watch(args) => watch::run(&common, &args).await,
            Command::Doctor(args) => doctor::run(&common, &args).await,
            Command::Backups(args) => backups::run(&common, &args).await,
            Command::Prove(args) => prove::run(&common, &args).await,
            Command::Archive(args) => archive::run(&common, args).await,
            Command::Bootstrap(args) => bootstrap::run(&common, &args).await,
            Command::Cancel(args) => cancel::run(&common, &args).await,
            Command::Resume(args) => cancel::resume(&common, &args).await,
            Command::AlertDrill(args) => alert_drill::run(&common, &args).await,
            Command::Pause(args) => cancel::pause(&common, &args).await,
            Command::Approve(args) => cancel::approve(&common, &args).await,
            Command::Answer(args) => answer::run(&common, &args).await,
        }
    }
}

impl Common {
    async fn store(&self) -> Result<Store, CliError> {
        connect::store(self.data_dir.as_deref()).await
    }
}
