//! `reprise archive list PLAN`: from our own records alone, so that it works while the archive cannot be reached.

use serde_json::json;

use super::Desk;
use crate::cli::get::moment;
use crate::cli::{CliError, Format, exit, output};
use crate::store::ArchiveRow;

/// Arguments of `archive list`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The plan
    plan: String,
}

pub(super) async fn run(desk: &Desk<'_>, args: &Args) -> Result<u8, CliError> {
    let store = desk.common.store().await?;
    crate::cli::desk::plan(&store, &args.plan).await?;
    let rows = store.archives(&args.plan).await?;
    match desk.format() {
        Format::Json => output::json(&rows.iter().map(document).collect::<Vec<_>>())?,
        Format::Text => print(&rows)?,
    }
    Ok(exit::OK)
}

fn document(row: &ArchiveRow) -> serde_json::Value {
    json!({
        "run": row.run, "phase": row.phase, "startedAt": row.started_at, "finishedAt": row.finished_at,
        "objects": row.objects, "bytes": row.bytes, "changedObjects": row.changed_objects, "changedBytes": row.changed_bytes,
        "durationSeconds": row.duration_seconds, "suspicious": row.suspicious, "verifiedAt": row.verified_at,
        "verifiedDepth": row.verified_depth, "damaged": row.damaged, "message": row.message,
    })
}

fn print(rows: &[ArchiveRow]) -> Result<(), CliError> {
    let number = |count: Option<i64>| count.map_or_else(|| "-".to_owned(), |count| count.to_string());
    let cells = |row: &ArchiveRow| {
        let verified = match (&row.damaged, row.verified_at) {
            (Some(_), _) => "DAMAGED".to_owned(),
            (None, Some(at)) => {
                format!("{} {}", row.verified_depth.as_deref().unwrap_or_default(), moment(at))
            }
            (None, None) => "never".to_owned(),
        };
        let note = if row.suspicious { "suspicious" } else { row.message.as_deref().unwrap_or_default() };
        vec![
            row.run.clone(),
            row.phase.clone(),
            number(row.objects),
            number(row.bytes),
            number(row.changed_objects),
            verified,
            note.to_owned(),
        ]
    };
    output::table(
        &["RUN", "PHASE", "OBJECTS", "BYTES", "CHANGED", "VERIFIED", "NOTE"],
        &rows.iter().map(cells).collect::<Vec<_>>(),
    )
}
