//! `reprise archive run PLAN`.

use std::convert::Infallible;
use std::time::Duration;

use serde_json::json;

use super::{Desk, failed};
use crate::archive::format::Record;
use crate::capture::Capture;
use crate::cli::{CliError, Format, exit, output};
use crate::runtime::chain::Chain;
use crate::store::{ArchiveRow, Store};

/// Arguments of `archive run`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The plan
    plan: String,
    /// Show the progress: objects, bytes, rate, and when it will end
    #[arg(long)]
    watch: bool,
    /// Read the tags and access control lists of unchanged objects again, two requests each: who changes them alone leaves no trace in a
    /// listing. The plan's `refreshMetadata` does so in every run
    #[arg(long)]
    refresh_metadata: bool,
}

pub(super) async fn run(desk: &Desk<'_>, args: &Args) -> Result<u8, CliError> {
    let mut opened = desk.open(&args.plan).await?;
    opened.archiver.spec.refresh_metadata |= args.refresh_metadata;
    let (plan, stop) = (args.plan.as_str(), &opened.archiver.cancel);
    let capture = Capture { tools: &opened.tools, plan, spec: &opened.plan, stop };
    let taking = capture.take(&opened.archiver);
    let record = if args.watch {
        // The run goes on, whoever looks.
        let watching = async {
            if let Err(error) = watch(&opened.archiver.store, &args.plan, desk.format()).await {
                tracing::warn!(error = %Chain(&error), "the progress is not shown any more");
            }
            std::future::pending::<Infallible>().await
        };
        tokio::select! {
            record = taking => record,
            never = watching => match never {},
        }
    } else {
        taking.await
    };
    let record = record.map_err(failed(&args.plan))?;
    match desk.format() {
        // The last of several documents.
        Format::Json if args.watch => output::json_line(&record)?,
        format => show(format, &record)?,
    }
    Ok(exit::OK)
}

/// Shows what a run is.
pub(super) fn show(format: Format, record: &Record) -> Result<(), CliError> {
    match format {
        Format::Json => output::json(record),
        Format::Text => print(record),
    }
}

fn print(record: &Record) -> Result<(), CliError> {
    let changes = record.changes;
    output::line(format!(
        "run {}: {} objects, {} bytes; {} new, {} rewritten, {} deleted since the run before; {} bytes were read, in {:.1} s",
        record.run,
        record.manifest.objects,
        record.manifest.bytes,
        changes.added,
        changes.rewritten,
        changes.deleted,
        changes.bytes,
        (record.finished_at - record.started_at).as_seconds_f64()
    ))?;
    let cost: Vec<String> = record.cost.iter().map(|(class, count)| format!("{class} {count}")).collect();
    output::line(format!("requests: {}", cost.join(", ")))?;
    if !record.vanished.is_empty() {
        output::line(format!("{} objects were deleted while they were copied", record.vanished.len()))?;
    }
    if changes.redressed > 0 {
        output::line(format!(
            "of {} objects only tags or access control lists are others",
            changes.redressed
        ))?;
    }
    for extra in &record.extras {
        output::line(format!(
            "{} of {}: {} bytes{}",
            extra.kind,
            extra.name,
            extra.size,
            if extra.encrypted { ", encrypted" } else { "" }
        ))?;
    }
    for why in &record.missing {
        output::line(format!("NOT ARCHIVED: {why}"))?;
    }
    for why in &record.unread {
        output::line(format!("NOT CERTAIN: {why}"))?;
    }
    for why in &record.suspicious {
        output::line(format!("SUSPICIOUS: {why}"))?;
    }
    Ok(())
}

/// Shows the running row each second; ends with the archive, from outside.
async fn watch(store: &Store, plan: &str, format: Format) -> Result<(), CliError> {
    let mut shown = None;
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let rows = store.archives(plan).await?;
        let Some(row) = rows.into_iter().find(|row| row.phase == "Running") else { continue };
        let now = (row.done_objects, row.done_bytes, row.objects);
        if shown == Some(now) {
            continue;
        }
        shown = Some(now);
        match format {
            Format::Json => output::json_line(&json!({
                "run": row.run, "objects": row.done_objects, "of": row.objects, "bytes": row.done_bytes, "ofBytes": row.due_bytes,
                "objectsPerSecond": row.objects_per_second, "bytesPerSecond": row.bytes_per_second, "secondsLeft": row.seconds_left,
            }))?,
            Format::Text => output::line(progress(&row))?,
        }
    }
}

fn progress(row: &ArchiveRow) -> String {
    let left = row
        .seconds_left
        .map_or_else(|| "it is still listing".to_owned(), |left| format!("about {left:.0} s left"));
    format!(
        "{} of {} objects listed so far are there; {} of {} bytes are copied; {:.0} objects/s, {:.1} MB/s; {left}",
        row.done_objects,
        row.objects.unwrap_or(0),
        row.done_bytes,
        row.due_bytes,
        row.objects_per_second.unwrap_or(0.0),
        row.bytes_per_second.unwrap_or(0.0) / 1e6,
    )
}
