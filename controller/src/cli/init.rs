//! `reprise init --from-app APP`: a first plan, drawn up from a live app.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use chrono::Utc;
use serde_json::json;

use super::desk::Configured;
use super::{CliError, Common, Format, exit, output};
use crate::draft::look::{LookError, estate};
use crate::draft::{Draft, draft};

/// Arguments of `init`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A live app of the estate; may be given several times. Those that share its database or its bucket are found by themselves
    #[arg(long, required = true, value_name = "APP")]
    from_app: Vec<String>,
    /// The region that it is in [default: the first region of the account that has it]
    #[arg(long)]
    region: Option<String>,
    /// Where to write the plan; a file that is there is kept as it is [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    configured: Configured,
}

impl Args {
    /// Whether the plan is only printed.
    pub(super) fn only_print(&self) -> bool {
        self.out.is_none()
    }
}

pub(super) async fn run(common: &Common, args: &Args) -> Result<u8, CliError> {
    if let Some(out) = args.out.as_deref().filter(|out| out.symlink_metadata().is_ok()) {
        // Told before the platform is asked for minutes.
        return Err(CliError::Write {
            path: out.to_owned(),
            source: std::io::ErrorKind::AlreadyExists.into(),
        });
    }
    let account = args.configured.account()?;
    let estate = estate(&account, args.region.as_deref(), &args.from_app).await.map_err(wrong)?;
    let draft = draft(&estate, Utc::now().date_naive());
    let text = match common.output {
        Format::Text => draft.text.clone(),
        Format::Json => format!("{:#}\n", draft.document),
    };
    let Some(out) = &args.out else {
        output::line(text.trim_end())?;
        return Ok(exit::OK);
    };
    write(out, &text).map_err(|source| CliError::Write { path: out.clone(), source })?;
    let document = json!({ "file": out, "plan": draft.name, "fillIn": draft.blanks });
    output::outcome(common.output, &document, told(out, &draft))?;
    Ok(exit::OK)
}

fn wrong(error: LookError) -> CliError {
    match error {
        LookError::Absent { app, names } => CliError::NotFound { kind: "app", name: app, names },
        other => CliError::Look(other),
    }
}

fn write(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = std::fs::File::options().write(true).create_new(true).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn told(out: &Path, draft: &Draft) -> String {
    let mut told =
        format!("plan {} is drawn up in {}; look at what it marks CHECK", draft.name, out.display());
    if !draft.blanks.is_empty() {
        told += ", and fill in:";
        for path in &draft.blanks {
            told += "\n  ";
            told += path;
        }
    }
    told
}
