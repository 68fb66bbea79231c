//! `reprise archive restore PLAN --to-bucket BUCKET`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reprise_crds::plan::S3Credentials;
use reprise_crds::{SecretRef, Setting};
use serde_json::json;
use tokio::time::Instant;

use super::{Desk, Opened, WhichArgs, failed};
use crate::archive::Place;
use crate::archive::restore::{Progress, RestoreOrder, Restored, Stage};
use crate::cli::{CliError, Format, exit, output};

/// Between two lines of progress.
const SHOW: Duration = Duration::from_secs(1);

/// Arguments of `archive restore`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The plan
    plan: String,
    #[command(flatten)]
    which: WhichArgs,
    /// The bucket that is restored into; it must exist
    #[arg(long, value_name = "BUCKET")]
    to_bucket: String,
    /// The base URL of its store [default: the production bucket's]
    #[arg(long, value_name = "URL")]
    to_endpoint: Option<String>,
    /// The store's region [default: the production bucket's]
    #[arg(long, value_name = "REGION")]
    to_region: Option<String>,
    /// Reference to the access key's id, `env:NAME` or `file:PATH` [default: the production bucket's]
    #[arg(long, value_name = "REF", requires = "to_secret_key", value_parser = reference)]
    to_access_key: Option<SecretRef>,
    /// Reference to its secret half
    #[arg(long, value_name = "REF", requires = "to_access_key", value_parser = reference)]
    to_secret_key: Option<SecretRef>,
    /// What is put before each key
    #[arg(long, value_name = "PREFIX", default_value = "")]
    to_prefix: String,
    /// Only keys that begin so
    #[arg(long)]
    prefix: Option<String>,
    /// Only this key
    #[arg(long, conflicts_with = "prefix")]
    key: Option<String>,
    /// Let the store copy: both sides are at one endpoint, and the key pair may read the archive
    #[arg(long)]
    server_side: bool,
    /// Days for which thawed contents stay readable
    #[arg(long, default_value_t = 7)]
    thaw_days: i32,
    /// Show the progress: what is thawed, what is back, and when it will end
    #[arg(long)]
    watch: bool,
}

fn reference(text: &str) -> Result<SecretRef, String> {
    SecretRef::try_from(text.to_owned()).map_err(|error| error.to_string())
}

pub(super) async fn run(desk: &Desk<'_>, args: &Args) -> Result<u8, CliError> {
    let opened = desk.open(&args.plan).await?;
    let order = RestoreOrder {
        is_alone: false,
        which: args.which.which(),
        prefix: args.prefix.clone(),
        key: args.key.clone(),
        to: place(&opened, args)?,
        to_prefix: args.to_prefix.clone(),
        server_side: args.server_side,
        thaw_days: args.thaw_days,
        progress: args.watch.then(|| Watch::progress(desk.format())),
    };
    let restored = opened.archiver.restore(&order).await.map_err(failed(&args.plan))?;
    match desk.format() {
        Format::Json if args.watch => output::json_line(&json!(restored))?,
        Format::Json => output::json(&restored)?,
        Format::Text => print(&restored)?,
    }
    Ok(if restored.differences.is_empty() { exit::OK } else { exit::FAILED })
}

/// Shows how far a restore is, about once a second.
struct Watch {
    format: Format,
    shown: Mutex<Option<Shown>>,
}

/// What was shown last.
struct Shown {
    stage: Stage,
    began: Instant,
    at: Instant,
}

impl Watch {
    fn progress(format: Format) -> Progress {
        let watch = Self { format, shown: Mutex::default() };
        Arc::new(move |stage, done, total| watch.tell(stage, done, total))
    }

    fn tell(&self, stage: Stage, done: u64, total: u64) {
        if stage == Stage::Passing {
            return;
        }
        let now = Instant::now();
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let last = shown.as_ref().filter(|shown| shown.stage == stage);
        if last.is_some_and(|last| done < total && now.duration_since(last.at) < SHOW) {
            return;
        }
        let began = last.map_or(now, |last| last.began);
        *shown = Some(Shown { stage, began, at: now });
        let line = said(self.format, stage, (done, total), now.duration_since(began));
        // Nobody may read it any more; what matters is said at the end.
        output::line(line).ok();
    }
}

/// One line of progress. Pure.
fn said(format: Format, stage: Stage, (done, total): (u64, u64), passed: Duration) -> String {
    let left = left(done, total, passed);
    match (format, stage) {
        (Format::Json, _) => {
            let name = if stage == Stage::Thawing { "thawing" } else { "copying" };
            json!({ "stage": name, "done": done, "of": total, "secondsLeft": left.map(|left| left.as_secs()) })
                .to_string()
        }
        (Format::Text, Stage::Thawing) => {
            format!(
                "{done} of {total} contents in cold storage can be read by now; that takes minutes to a day"
            )
        }
        (Format::Text, Stage::Copying | Stage::Passing) => {
            let left = left.map_or_else(String::new, |left| format!(", about {} s left", left.as_secs()));
            format!("{done} of {total} objects are right{left}")
        }
    }
}

/// At the rate so far.
fn left(done: u64, total: u64, passed: Duration) -> Option<Duration> {
    let each = passed.checked_div(u32::try_from(done).ok()?)?;
    Some(each.saturating_mul(u32::try_from(total.saturating_sub(done)).unwrap_or(u32::MAX)))
}

fn place(opened: &Opened, args: &Args) -> Result<Place, CliError> {
    let Some(source) = &opened.plan.source.bucket else { return Ok(opened.archiver.source.clone()) };
    let given = |text: Option<&String>, other: &Setting| {
        text.map_or_else(|| other.clone(), |text| Setting::from(text.as_str()))
    };
    let endpoint = given(args.to_endpoint.as_ref(), &source.endpoint);
    let credentials = match (&args.to_access_key, &args.to_secret_key) {
        (Some(id), Some(secret)) => {
            S3Credentials { access_key_id: id.clone(), secret_access_key: secret.clone() }
        }
        _ => source.credentials.clone(),
    };
    let s3 =
        opened.tools.object_store(&endpoint, &given(args.to_region.as_ref(), &source.region), &credentials);
    let url = opened.tools.setting(&endpoint, "the endpoint").map_err(CliError::Setup)?;
    let s3 = s3.map_err(CliError::Setup)?.with_cancel(opened.archiver.cancel.clone());
    Ok(Place { s3, endpoint: url, bucket: args.to_bucket.clone() })
}

fn damaged(restored: &Restored) -> String {
    let told = |count: u64, why: &str| {
        if count == 0 { String::new() } else { format!(", {count} DID NOT COME BACK: {why}") }
    };
    let lost = told(restored.damaged, "the archive has lost them");
    lost + &told(restored.refused, "the target does not take them")
        + &told(restored.cut, "the archive does not send them to their ends; try again")
}

fn print(restored: &Restored) -> Result<(), CliError> {
    for difference in &restored.differences {
        output::line(format!("DIFFERENT: {difference}"))?;
    }
    for note in &restored.notes {
        output::line(format!("NOTE: {note}"))?;
    }
    output::line(format!(
        "run {}: {} objects, {} bytes; {} were copied ({} bytes), {} were right already{}; {}",
        restored.run,
        restored.objects,
        restored.bytes,
        restored.copied,
        restored.copied_bytes,
        restored.skipped,
        damaged(restored),
        if restored.differences.is_empty() {
            "compared with the manifest: equal"
        } else {
            "compared with the manifest: NOT equal"
        }
    ))
}
