//! `reprise backups PLAN`: from our own records alone, so that it works while the platform cannot be reached.

use serde_json::{Value, json};

use super::get::moment;
use super::{CliError, Common, Format, desk, exit, output};
use crate::store::{Store, Verdict};

/// Arguments of `backups`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The plan
    plan: String,
    /// Also those that the platform does not list any more
    #[arg(long)]
    all: bool,
    /// Say that what is suspicious about this backup was meant: later ones are held against it from then on
    #[arg(long, value_name = "BACKUP")]
    pub(super) accept: Option<String>,
}

pub(super) async fn run(common: &Common, args: &Args) -> Result<u8, CliError> {
    let store = common.store().await?;
    desk::plan(&store, &args.plan).await?;
    if let Some(backup) = &args.accept {
        return accept(common.output, &store, &args.plan, backup).await;
    }
    let mut rows = store.verdicts(&args.plan).await?;
    rows.retain(|row| row.kind == "database" && (args.all || row.gone_at.is_none()));
    let listed = store.last_listing(&args.plan).await?;
    match common.output {
        Format::Json => {
            let backups: Vec<Value> = rows.iter().map(document).collect();
            output::json(&json!({ "listedAt": listed, "backups": backups }))?;
        }
        Format::Text => {
            let cells: Vec<Vec<String>> = rows.iter().map(cells).collect();
            output::table(&["BACKUP", "TAKEN", "SIZE", "RUNG", "LOOKED AT", "NOTE"], &cells)?;
            let listed = listed.map_or_else(
                || "the platform was never asked for its list; `reprise prove` asks it".to_owned(),
                |at| format!("the platform's list is of {}", moment(at)),
            );
            output::line(listed)?;
        }
    }
    Ok(exit::OK)
}

async fn accept(format: Format, store: &Store, plan: &str, backup: &str) -> Result<u8, CliError> {
    let who = std::env::var("SUDO_USER")
        .or_else(|_| std::env::var("USER"))
        .unwrap_or_else(|_| "somebody".to_owned());
    if store.accept_backup(plan, backup, &who).await? {
        let document = serde_json::json!({ "backup": backup, "accepted": true, "by": who });
        let text = format!("{backup} is accepted by {who}: what it lost was meant to go");
        output::outcome(format, &document, text)?;
        return Ok(exit::OK);
    }
    let rows = store.verdicts(plan).await?;
    let suspicious = rows.iter().filter(|row| row.suspicious.is_some()).map(|row| row.label().to_owned());
    Err(CliError::NotFound {
        kind: "suspicious backup",
        name: backup.to_owned(),
        names: suspicious.collect(),
    })
}

fn document(row: &Verdict) -> Value {
    json!({
        "backup": row.backup, "name": row.name, "takenAt": row.taken_at, "sizeBytes": row.size_bytes,
        "rung": row.rung, "refused": row.refused, "message": row.message, "suspicious": row.suspicious,
        "acceptedBy": row.accepted_by, "checkedAt": row.checked_at, "checkedBy": row.checked_by, "provenAt": row.proven_at,
        "tools": row.tools, "sha256": row.sha256, "dumpSha256": row.dump_sha256, "secondsToRung": row.reached, "checks": row.checks,
        "climbs": row.climbs, "goneAt": row.gone_at, "trouble": row.trouble, "retryAt": row.retry_at,
    })
}

fn cells(row: &Verdict) -> Vec<String> {
    let rung = if row.refused.is_some() {
        format!("{}, REFUSED", row.rung.name())
    } else {
        row.rung.name().to_owned()
    };
    vec![
        row.label().to_owned(),
        row.taken_at.map(moment).unwrap_or_default(),
        row.size_bytes.map(|size| size.to_string()).unwrap_or_default(),
        rung,
        // Being listed is no look.
        if row.climbs > 0 { moment(row.checked_at) } else { "never".to_owned() },
        note(row),
    ]
}

fn note(row: &Verdict) -> String {
    let refused = row.refused.as_ref().map(|reason| match &row.message {
        Some(message) => format!("{reason}: {message}"),
        None => reason.clone(),
    });
    let suspicious = row.suspicious.as_ref().map(|why| match &row.accepted_by {
        Some(who) => format!("accepted by {who}: {why}"),
        None => format!("SUSPICIOUS: {why}"),
    });
    let short = row.message.clone().filter(|_| row.refused.is_none());
    let trouble = row.trouble.as_ref().map(|why| format!("nothing was learnt lately: {why}"));
    let gone = row.gone_at.map(|at| format!("gone from the platform since {}", moment(at)));
    [refused, short, suspicious, trouble, gone].into_iter().flatten().collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Rung;

    #[test]
    fn a_row_says_what_it_is_and_why_not_more() {
        let refused = Verdict {
            name: Some("20261101".into()),
            rung: Rung::Downloaded,
            refused: Some("gzip-cut".into()),
            message: Some("the gzip stream ends early".into()),
            climbs: 1,
            ..Verdict::default()
        };
        let cells = cells(&refused);
        assert_eq!(cells[0], "20261101");
        assert_eq!(cells[3], "downloaded, REFUSED");
        assert_eq!(cells[5], "gzip-cut: the gzip stream ends early");
        let suspicious = Verdict { suspicious: Some("a fell".into()), ..Verdict::default() };
        assert_eq!(note(&suspicious), "SUSPICIOUS: a fell");
        let accepted = Verdict { accepted_by: Some("eve".into()), ..suspicious };
        assert_eq!(note(&accepted), "accepted by eve: a fell");
        assert_eq!(super::cells(&accepted)[4], "never");
    }
}
