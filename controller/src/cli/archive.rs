//! `reprise archive …`: archives by hand. The work is done by this process, with the plan's own key pairs, and is safe beside a
//! running daemon: one process at a time works on the archive of a plan.

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use clap::{Subcommand, ValueEnum};
use reprise_crds::RecoveryPlanSpec;
use secrecy::ExposeSecret as _;
use serde_json::json;

use super::desk::{Configured, cannot_start};
use super::{CliError, Common, Format, desk, exit, output, serve};
use crate::archive::verify::GONE;
use crate::archive::{Archiver, Which, vault::Init, verify};
use crate::recovery::tools::Tools;

mod dumps;
mod import;
mod list;
mod prune;
mod restore;
mod take;

/// Arguments of `archive`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    configured: Configured,
    #[command(subcommand)]
    command: Command,
}

impl Args {
    /// Whether the code says nothing but that something was printed.
    pub(super) fn only_list(&self) -> bool {
        matches!(self.command, Command::List(_))
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a key pair: the recipient for the plan, the identity for a safe place away from this machine
    Keygen(KeygenArgs),
    /// Make the archive's bucket: private, every version kept, with object lock if the plan asks for it
    Init(InitArgs),
    /// Take an archive now, or end the one that was cut off
    Run(take::Args),
    /// Copy the platform's new database backups into the archive, encrypted
    Dumps(dumps::Args),
    /// Turn an old copy into a run: a workflow's zip file, or the mirror bucket
    Import(import::Args),
    /// List the runs of a plan's archive
    List(list::Args),
    /// Prove a run: its listing, a sample of its contents, or all of them
    Verify(VerifyArgs),
    /// Bring objects back; what is right already is skipped, and the end is compared with the manifest
    Restore(Box<restore::Args>),
    /// Show what the plan's retention would delete; with --yes, delete it
    Prune(prune::Args),
    /// Say that a suspicious run is right as it is: what follows is compared with it, and retention goes on
    Accept(AcceptArgs),
}

/// Which run is meant.
#[derive(Debug, clap::Args)]
struct WhichArgs {
    /// This run [default: the newest that is not suspicious, and not damaged unless all are]
    #[arg(long)]
    run: Option<String>,
    /// The newest run that began by then, for example 2026-11-23T02:00:00Z
    #[arg(long, value_name = "TIME", conflicts_with = "run")]
    as_of: Option<DateTime<Utc>>,
}

impl WhichArgs {
    fn which(&self) -> Which {
        Which { run: self.run.clone(), as_of: self.as_of }
    }
}

/// How deeply it is looked.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Depth {
    /// Every content is listed, with its size
    Listing,
    /// And the plan's share of them is read again, longest unread first
    Sample,
    /// And all of them are
    Full,
}

#[derive(Debug, clap::Args)]
struct VerifyArgs {
    /// The plan
    plan: String,
    #[command(flatten)]
    which: WhichArgs,
    /// How deeply it is looked
    #[arg(long, value_enum, default_value_t = Depth::Sample)]
    depth: Depth,
    /// Have what is in cold storage thawed (which is billed): the verification after reads it. Scheduled ones do so with their sample
    #[arg(long)]
    thaw: bool,
}

#[derive(Debug, clap::Args)]
struct KeygenArgs {
    /// Where the identity is written; must not exist
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Debug, clap::Args)]
struct InitArgs {
    /// The plan
    plan: String,
}

#[derive(Debug, clap::Args)]
struct AcceptArgs {
    /// The plan
    plan: String,
    /// The run
    run: String,
}

pub(super) async fn run(common: &Common, args: Args) -> Result<u8, CliError> {
    let Args { configured, command } = args;
    let desk = Desk { common, configured };
    match command {
        Command::Keygen(args) => keygen(common.output, &args),
        Command::Init(args) => init(&desk, &args).await,
        Command::Run(args) => Box::pin(take::run(&desk, &args)).await,
        Command::Dumps(args) => dumps::run(&desk, &args).await,
        Command::Import(args) => Box::pin(import::run(&desk, &args)).await,
        Command::List(args) => list::run(&desk, &args).await,
        Command::Verify(args) => verify(&desk, &args).await,
        Command::Restore(args) => restore::run(&desk, &args).await,
        Command::Prune(args) => prune::run(&desk, &args).await,
        Command::Accept(args) => accept(&desk, &args).await,
    }
}

/// What every subcommand needs.
#[derive(Debug)]
struct Desk<'a> {
    common: &'a Common,
    configured: Configured,
}

/// A plan with its archive.
struct Opened {
    plan: RecoveryPlanSpec,
    tools: Tools,
    archiver: Archiver,
}

impl Desk<'_> {
    fn format(&self) -> Format {
        self.common.output
    }

    /// The plan, and everything that its archive needs.
    async fn open(&self, plan: &str) -> Result<Opened, CliError> {
        let store = self.common.store().await?;
        let spec = desk::plan(&store, plan).await?;
        let tools = self.configured.tools(self.common, store)?;
        let stop = serve::stop_on_signals().map_err(|error| cannot_start(error.into()))?;
        let archiver = tools.archiver(plan, &spec, &stop).map_err(CliError::Setup)?;
        Ok(Opened { plan: spec, tools, archiver })
    }
}

fn failed(plan: &str) -> impl Fn(crate::archive::ArchiveError) -> CliError {
    let plan = plan.to_owned();
    move |source| CliError::Archive { plan: plan.clone(), source }
}

async fn verify(desk: &Desk<'_>, args: &VerifyArgs) -> Result<u8, CliError> {
    let opened = desk.open(&args.plan).await?;
    let depth = match args.depth {
        Depth::Listing => verify::Depth::Listing,
        Depth::Sample => verify::Depth::Sample,
        Depth::Full => verify::Depth::Full,
    };
    let verified =
        opened.archiver.verify(&args.which.which(), depth, args.thaw).await.map_err(failed(&args.plan))?;
    match desk.format() {
        Format::Json => output::json(&verified)?,
        Format::Text => print_verified(&verified)?,
    }
    Ok(if verified.findings.is_empty() && verified.beside.is_empty() { exit::OK } else { exit::FAILED })
}

fn print_verified(verified: &verify::Verified) -> Result<(), CliError> {
    for finding in verified.findings.iter().chain(&verified.beside) {
        output::line(format!("WRONG: {finding}"))?;
    }
    for known in &verified.known {
        output::line(format!("KNOWN: {known}"))?;
    }
    let frozen = if verified.frozen > 0 {
        format!(", and {} are in cold storage and were not", verified.frozen)
    } else {
        String::new()
    };
    output::line(format!(
        "run {}: {} objects, the contents of {} of them read again now; of the archive's contents {} of {} were{frozen}; {} within seven days; {} never yet, and all of these in {} days at this pace",
        verified.run,
        verified.objects,
        verified.objects_read,
        verified.read,
        verified.contents,
        verified.covered,
        verified.unread,
        verified.days_to_full_coverage
    ))?;
    output::line(match (verified.findings.is_empty(), verified.beside.is_empty()) {
        (true, true) => "nothing wrong was found",
        (true, false) => {
            "no damage of its objects was found; what lies beside them is not whole: take another run, which puts again what it can"
        }
        (false, _) => "it is damaged: a recovery will prefer another run",
    })
}

/// The file is what `age-keygen` writes: `age -d -i FILE` opens what the archive holds, without us.
fn keygen(format: Format, args: &KeygenArgs) -> Result<u8, CliError> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let pair = age::x25519::Identity::generate();
    let recipient = pair.to_public();
    let cannot = |source| CliError::Write { path: args.out.clone(), source };
    let mut file =
        std::fs::File::options().write(true).create_new(true).mode(0o600).open(&args.out).map_err(cannot)?;
    writeln!(file, "# public key: {recipient}\n{}", pair.to_string().expose_secret()).map_err(cannot)?;
    file.sync_all().map_err(cannot)?;
    let document = json!({ "recipient": recipient.to_string(), "identityFile": args.out });
    output::outcome(format, &document, recipient.to_string())?;
    Ok(exit::OK)
}

async fn init(desk: &Desk<'_>, args: &InitArgs) -> Result<u8, CliError> {
    let opened = desk.open(&args.plan).await?;
    let vault = &opened.archiver.vault;
    let Init { new, versioned } = vault.init().await.map_err(failed(&args.plan))?;
    let locked = vault.lock.is_some();
    let what = if new { "was made" } else { "is there already" };
    let versions = if versioned { "every version kept" } else { "NO VERSIONS KEPT: this store does not" };
    let lock = if locked { ", with object lock" } else { "" };
    let document = json!({ "bucket": vault.bucket, "made": new, "versioned": versioned, "lock": locked });
    let text = format!("bucket {} {what}: private, {versions}{lock}", vault.bucket);
    output::outcome(desk.format(), &document, text)?;
    Ok(exit::OK)
}

async fn accept(desk: &Desk<'_>, args: &AcceptArgs) -> Result<u8, CliError> {
    let store = desk.common.store().await?;
    desk::plan(&store, &args.plan).await?;
    let by = nix::unistd::User::from_uid(nix::unistd::getuid())
        .ok()
        .flatten()
        .map_or_else(|| "unknown".to_owned(), |user| user.name);
    if store.accept_archive(&args.plan, &args.run, &by).await? {
        let document = json!({ "run": args.run, "accepted": true, "by": by });
        output::outcome(desk.format(), &document, format!("run {} is accepted", args.run))?;
        return Ok(exit::OK);
    }
    if store.forget_archive(&args.plan, &args.run, &by, GONE).await? {
        let document = json!({ "run": args.run, "accepted": true, "forgotten": true, "by": by });
        output::outcome(desk.format(), &document, format!("run {} is missed no more", args.run))?;
        return Ok(exit::OK);
    }
    let rows = store.archives(&args.plan).await?;
    if rows.iter().any(|row| row.run == args.run) {
        let document = json!({ "run": args.run, "accepted": false });
        output::outcome(
            desk.format(),
            &document,
            format!("run {} is neither suspicious nor missed", args.run),
        )?;
        return Ok(exit::OK);
    }
    let names = rows.into_iter().map(|row| row.run).collect();
    Err(CliError::NotFound { kind: "archive run", name: args.run.clone(), names })
}
