//! `reprise archive list PLAN`: from our own records alone, so that it works while the archive cannot be reached.

use serde_json::{Value, json};

use super::Desk;
use crate::cli::get::moment;
use crate::cli::{CliError, Format, exit, output};
use crate::store::ArchiveRow;

/// Letters of a note: a table is for the eye, `-o json` has all of it.
const LONGEST: usize = 240;

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

/// `suspicions`, `missing` and `lost` are sentences: why the run was found suspicious, what should lie beside it and never did, and what
/// does not any more.
fn document(row: &ArchiveRow) -> Value {
    json!({
        "run": row.run, "phase": row.phase, "startedAt": row.started_at, "finishedAt": row.finished_at,
        "objects": row.objects, "bytes": row.bytes, "changedObjects": row.changed_objects, "changedBytes": row.changed_bytes,
        "durationSeconds": row.duration_seconds, "suspicious": row.suspicious, "suspicions": suspicions(row),
        "verifiedAt": row.verified_at, "verifiedDepth": row.verified_depth, "verifiedObjects": row.verified_objects, "damaged": row.damaged, "message": row.message,
        "missing": told(row, "missing"), "lost": told(row, "lost"),
    })
}

/// What the run's record, and what was found of it since, has under `what`.
fn told<'a>(row: &'a ArchiveRow, what: &str) -> Vec<&'a str> {
    row.status[what].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Why a run is suspicious: what was seen when it was taken, and what turned out since.
fn suspicions(row: &ArchiveRow) -> Vec<&str> {
    let since = row.suspected.as_array().into_iter().flatten().filter_map(Value::as_str);
    told(row, "suspicious").into_iter().chain(since).collect()
}

fn print(rows: &[ArchiveRow]) -> Result<(), CliError> {
    output::table(
        &["RUN", "PHASE", "OBJECTS", "BYTES", "CHANGED", "VERIFIED", "NOTE"],
        &rows.iter().map(cells).collect::<Vec<_>>(),
    )
}

fn cells(row: &ArchiveRow) -> Vec<String> {
    let number = |count: Option<i64>| count.map_or_else(|| "-".to_owned(), |count| count.to_string());
    vec![
        row.run.clone(),
        row.phase.clone(),
        number(row.objects),
        number(row.bytes),
        number(row.changed_objects),
        verified(row),
        note(row),
    ]
}

fn verified(row: &ArchiveRow) -> String {
    match (&row.damaged, row.verified_at) {
        (Some(_), _) => "DAMAGED".to_owned(),
        (None, Some(at)) => {
            let depth = row.verified_depth.as_deref().unwrap_or_default();
            let read = row.verified_objects.filter(|_| depth != "full");
            let read = read.map(|read| format!(" of {read}")).unwrap_or_default();
            format!("{depth}{read} {}", moment(at))
        }
        (None, None) => "never".to_owned(),
    }
}

/// What a person has to know of a run, in one line that is not too long. Pure.
fn note(row: &ArchiveRow) -> String {
    let reasons = |what: &str| told(row, what).join("; ");
    let parts = [
        row.damaged.clone(),
        row.suspicious.then(|| format!("suspicious: {}", suspicions(row).join("; "))),
        Some(reasons("missing"))
            .filter(|missing| !missing.is_empty())
            .map(|why| format!("NOT ARCHIVED: {why}")),
        Some(reasons("lost")).filter(|lost| !lost.is_empty()).map(|why| format!("WRONG: {why}")),
        row.message.clone(),
    ];
    short(&parts.into_iter().flatten().collect::<Vec<_>>().join("; "))
}

/// Keys are somebody else's text: none of it moves a terminal's cursor.
fn short(text: &str) -> String {
    let text = text.replace(char::is_control, " ");
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}… (all of it: -o json)", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::a_row;

    #[test]
    fn a_sample_says_how_much_of_the_run_it_read() {
        let seen = |depth: &str, objects| {
            let (at, depth) = (chrono::DateTime::UNIX_EPOCH, Some(depth.to_owned()));
            verified(&ArchiveRow {
                verified_at: Some(at),
                verified_depth: depth,
                verified_objects: objects,
                ..a_row("1")
            })
        };
        let at = moment(chrono::DateTime::UNIX_EPOCH);
        assert_eq!(verified(&a_row("1")), "never");
        assert_eq!(seen("sample", Some(0)), format!("sample of 0 {at}"));
        assert_eq!(seen("full", Some(30)), format!("full {at}"));
        assert_eq!(seen("sample", None), format!("sample {at}"), "by an older release");
    }

    #[test]
    fn a_note_says_what_is_wrong_and_what_changed_and_stays_short() {
        let why = "10 of 20 objects (50.0 %) were deleted; the plan allows 20 %";
        let mut row = a_row("20261101T010000Z-a");
        assert_eq!(note(&row), "");
        row.suspicious = true;
        row.status =
            json!({"suspicious": [why], "missing": ["code: the token may not"], "lost": ["run A: x"]});
        assert_eq!(
            note(&row),
            format!("suspicious: {why}; NOT ARCHIVED: code: the token may not; WRONG: run A: x")
        );
        assert_eq!(document(&row)["suspicions"], json!([why]));
        assert_eq!(document(&row)["lost"], json!(["run A: x"]));
        // Somebody says that it is right: the reasons stay on record.
        row.suspicious = false;
        row.status = json!({"suspicious": [why]});
        assert_eq!((note(&row), &document(&row)["suspicions"]), (String::new(), &json!([why])));
        row.damaged = Some("é".repeat(1_000));
        assert_eq!(
            (note(&row).chars().filter(|one| *one == 'é').count(), verified(&row)),
            (240, "DAMAGED".into())
        );
        assert!(note(&row).ends_with("-o json)"), "{}", note(&row));
    }
}
