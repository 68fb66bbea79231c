//! `reprise archive …`: archives by hand. The work is done by this process, with the plan's own key pairs, and is safe beside a
//! running daemon: one process at a time works on the archive of a plan.

use std::path::PathBuf;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use clap::{Subcommand, ValueEnum};
use reprise_crds::RecoveryPlanSpec;
use tokio_util::sync::CancellationToken;

use super::{CliError, Common, Format, connect, exit, output, serve};
use crate::archive::{Archiver, Which, verify};
use crate::config::{Config, References};
use crate::metrics::Metrics;
use crate::recovery::tools::Tools;
use crate::run::{Order, labels, tools};
use crate::store::Store;

mod list;
mod prune;
mod restore;
mod take;

/// Arguments of `archive`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The configuration, TOML; the environment wins over it
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Allow what only a rehearsal may do: faster time
    #[arg(long, global = true)]
    dev: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make the archive's bucket: private, every version kept, with object lock if the plan asks for it
    Init(InitArgs),
    /// Take an archive now, or end the one that was cut off
    Run(take::Args),
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
    /// This run [default: the newest that is neither suspicious nor damaged]
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
    let Args { config, dev, command } = args;
    let desk = Desk { common, config, dev };
    match command {
        Command::Init(args) => init(&desk, &args).await,
        Command::Run(args) => take::run(&desk, &args).await,
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
    config: Option<PathBuf>,
    dev: bool,
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
        let spec = spec(&store, plan).await?;
        let references = References::of_this_process();
        let config = Config::load(self.config.as_deref(), self.dev, &references).map_err(CliError::Config)?;
        let order = Order {
            data_dir: connect::data_dir(self.common.data_dir.as_deref(), &references),
            database: connect::from_environment(&references)?,
            listen: crate::http::server::DEFAULT_ADDRESS,
            config,
            references,
        };
        let started = |source: Box<dyn std::error::Error + Send + Sync>| CliError::Start {
            what: "the command".to_owned(),
            source,
        };
        let metrics = Arc::new(Metrics::new(labels()).map_err(|error| started(error.into()))?);
        let tools = tools(order, store, metrics).map_err(|error| started(error.into()))?;
        let stop: CancellationToken = serve::stop_on_signals().map_err(|error| started(error.into()))?;
        let archiver = tools.archiver(plan, &spec, &stop).map_err(CliError::Setup)?;
        Ok(Opened { plan: spec, tools, archiver })
    }
}

async fn spec(store: &Store, plan: &str) -> Result<RecoveryPlanSpec, CliError> {
    let Some(row) = store.plan(plan).await? else {
        let names = store.plans().await?.into_iter().map(|plan| plan.name).collect();
        return Err(CliError::NotFound { kind: "plan", name: plan.to_owned(), names });
    };
    let invalid = |problems| CliError::Invalid { what: format!("plan {plan}"), problems };
    RecoveryPlanSpec::from_json(row.spec).map_err(invalid)
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
    let verified = opened.archiver.verify(&args.which.which(), depth).await.map_err(failed(&args.plan))?;
    match desk.format() {
        Format::Json => output::json(&verified)?,
        Format::Text => print_verified(&verified)?,
    }
    Ok(if verified.findings.is_empty() { exit::OK } else { exit::FAILED })
}

fn print_verified(verified: &verify::Verified) -> Result<(), CliError> {
    for finding in &verified.findings {
        output::line(format!("WRONG: {finding}"))?;
    }
    let frozen = if verified.frozen > 0 {
        format!(", {} are in cold storage and were not", verified.frozen)
    } else {
        String::new()
    };
    output::line(format!(
        "run {}: {} objects; {} of {} contents were read again now{frozen}; {} within seven days, all of them in {} days at this rate",
        verified.run,
        verified.objects,
        verified.read,
        verified.contents,
        verified.covered,
        verified.days_to_full_coverage
    ))?;
    let end = if verified.findings.is_empty() {
        "nothing wrong was found"
    } else {
        "it is damaged: a recovery will prefer another run"
    };
    output::line(end)
}

async fn init(desk: &Desk<'_>, args: &InitArgs) -> Result<u8, CliError> {
    let opened = desk.open(&args.plan).await?;
    let vault = &opened.archiver.vault;
    let new = vault.init().await.map_err(failed(&args.plan))?;
    let what = if new { "was made" } else { "is there already" };
    let lock = if vault.lock.is_some() { ", with object lock" } else { "" };
    output::line(format!("bucket {} {what}: private, every version kept{lock}", vault.bucket))?;
    Ok(exit::OK)
}

async fn accept(desk: &Desk<'_>, args: &AcceptArgs) -> Result<u8, CliError> {
    let store = desk.common.store().await?;
    spec(&store, &args.plan).await?;
    let by = nix::unistd::User::from_uid(nix::unistd::getuid())
        .ok()
        .flatten()
        .map_or_else(|| "unknown".to_owned(), |user| user.name);
    if store.accept_archive(&args.plan, &args.run, &by).await? {
        output::line(format!("run {} is accepted", args.run))?;
        return Ok(exit::OK);
    }
    let rows = store.archives(&args.plan).await?;
    if rows.iter().any(|row| row.run == args.run) {
        output::line(format!("run {} is not suspicious", args.run))?;
        return Ok(exit::OK);
    }
    let names = rows.into_iter().map(|row| row.run).collect();
    Err(CliError::NotFound { kind: "archive run", name: args.run.clone(), names })
}
