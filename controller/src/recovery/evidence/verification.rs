//! The evidence of one verification: what is known of a backup or an archive run, since when, and by what it was looked at.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;

use super::checks::{self, Check};
use super::page::{self, date, plain, section, time};
use crate::backup::ladder::tables_of_document;
use crate::store::{Rung, Verdict};

/// The rungs, in the order in which a backup is taken up.
const LADDER: [Rung; 6] =
    [Rung::Listed, Rung::Downloaded, Rung::Intact, Rung::Readable, Rung::Restored, Rung::Asserted];

/// The kind of verdicts about copies of documents: they are read to their end, and restored in drills and recoveries alone.
const OBJECTS: &str = "objects";

/// What can be shown of one backup or archive run.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verification {
    /// The plan.
    pub plan: String,
    /// `database` or `objects`.
    pub kind: String,
    /// Its id at the provider, or `archive:` and the run.
    pub backup: String,
    /// What it is called.
    pub name: String,
    /// When it was taken.
    pub taken_at: Option<DateTime<Utc>>,
    /// In bytes.
    pub size_bytes: Option<i64>,
    /// The highest rung that it reached when it was last looked at.
    pub rung: Rung,
    /// The class of the refusal, if it was refused.
    pub refused: Option<String>,
    /// Why it is not higher.
    pub message: Option<String>,
    /// Which rows are gone since the backup before.
    pub suspicious: Option<String>,
    /// Who said that this was meant.
    pub accepted_by: Option<String>,
    /// Why the last attempt taught nothing.
    pub trouble: Option<String>,
    /// When it was last looked at.
    pub checked_at: DateTime<Utc>,
    /// The request or job that did.
    pub checked_by: Option<String>,
    /// When it last passed every check.
    pub proven_at: Option<DateTime<Utc>>,
    /// Since when the provider does not list it.
    pub gone_at: Option<DateTime<Utc>>,
    /// Digest of what was downloaded.
    pub sha256: Option<String>,
    /// Seconds from the beginning to each rung, as far as it was timed.
    pub reached: Value,
    /// Tables that were counted, and their rows.
    pub counted: Option<(usize, i64)>,
    /// What was looked at.
    pub checks: Vec<Check>,
    /// Versions of the tools.
    pub tools: Value,
}

impl Verification {
    /// Of what is on record.
    pub fn of(plan: &str, verdict: &Verdict) -> Self {
        Self {
            plan: plan.to_owned(),
            kind: verdict.kind.clone(),
            backup: verdict.backup.clone(),
            name: verdict.label().to_owned(),
            taken_at: verdict.taken_at,
            size_bytes: verdict.size_bytes,
            rung: verdict.rung,
            refused: verdict.refused.clone(),
            message: verdict.message.clone(),
            suspicious: verdict.suspicious.clone(),
            accepted_by: verdict.accepted_by.clone(),
            trouble: verdict.trouble.clone(),
            checked_at: verdict.checked_at,
            checked_by: verdict.checked_by.clone(),
            proven_at: verdict.proven_at,
            gone_at: verdict.gone_at,
            sha256: verdict.sha256.clone(),
            reached: verdict.reached.clone().unwrap_or_default(),
            counted: verdict.counts.as_ref().and_then(counted),
            checks: checks::of_verdict(verdict),
            tools: verdict.tools.clone(),
        }
    }

    /// The page as Markdown.
    pub fn markdown(&self) -> String {
        [self.head(), self.ladder(), self.against(), self.looked_at(), page::tools(&self.tools)].join("\n")
    }

    /// The page as one HTML file that needs nothing else.
    pub fn html(&self) -> String {
        page::document(&self.name, &self.markdown())
    }

    /// One HTML file of the pages of several looks.
    pub fn html_of(name: &str, all: &[Self]) -> String {
        page::document(name, &Self::markdown_of(all))
    }

    /// The pages of several looks, one after the other.
    pub fn markdown_of(all: &[Self]) -> String {
        all.iter().map(Self::markdown).collect::<Vec<_>>().join("\n")
    }

    fn head(&self) -> String {
        let size = self.size_bytes.map(|bytes| format!(", {bytes} bytes")).unwrap_or_default();
        let taken = self.taken_at.map_or_else(|| "at a time that is not known".to_owned(), date);
        let by = self.checked_by.as_deref().unwrap_or("nobody who is on record");
        let proven = match self.proven_at {
            Some(at) => format!("It last passed every check {}.", date(at)),
            None if self.kind == OBJECTS => {
                "Whether documents come back whole is compared by each drill and recovery, and told in its report.".to_owned()
            }
            None => "It never passed every check.".to_owned(),
        };
        format!(
            "# Verification of {}\n\n**{}**, {} of plan {}.\n\nTaken {taken}{size}. Looked at {}, by {}. {proven}\n",
            plain(&self.name),
            if self.refused.is_some() { "refused" } else { self.rung.name() },
            plain(&self.kind),
            plain(&self.plan),
            date(self.checked_at),
            plain(by)
        )
    }

    fn ladder(&self) -> String {
        let highest = if self.kind == OBJECTS { Rung::Readable } else { Rung::Asserted };
        let rows = LADDER.iter().filter(|rung| **rung <= highest).map(|rung| {
            let reached = if *rung <= self.rung { "yes" } else { "**no**" };
            vec![rung.name().to_owned(), reached.to_owned(), time(self.reached[rung.name()].as_f64())]
        });
        section("How far it got", &["Rung", "Reached", "After"], rows)
    }

    /// What is held against it; nothing is said of what nobody looked for.
    fn against(&self) -> String {
        let why = self.message.clone();
        let refused = self
            .refused
            .iter()
            .map(|class| ("refused", format!("{class}: {}", why.clone().unwrap_or_default())));
        let short = why.iter().filter(|_| self.refused.is_none()).map(|why| ("not higher", why.clone()));
        let accepted = self.accepted_by.as_ref().map(|who| format!("; {who} said that this was meant"));
        let suspicious = self
            .suspicious
            .iter()
            .map(|what| ("suspicious", format!("{what}{}", accepted.clone().unwrap_or_default())));
        let trouble = self.trouble.iter().map(|why| ("last attempt", why.clone()));
        let gone = self
            .gone_at
            .iter()
            .map(|at| ("gone", format!("the provider does not list it since {}", date(*at))));
        let all = refused.chain(short).chain(suspicious).chain(trouble).chain(gone);
        section(
            "What is held against it",
            &["What", "Why"],
            all.map(|(what, why)| vec![what.to_owned(), plain(&why)]),
        )
    }

    fn looked_at(&self) -> String {
        let digest = self.sha256.iter().map(|sha256| ("SHA-256 of the download".to_owned(), sha256.clone()));
        let counted = self.counted.iter().map(|(tables, rows)| {
            ("rows".to_owned(), format!("{rows} rows in {tables} tables of the dump were read and counted"))
        });
        let checks = self.checks.iter().map(|check| (check.step.clone(), check.seen.clone()));
        let rows = digest.chain(counted).chain(checks).map(|(what, seen)| vec![plain(&what), plain(&seen)]);
        section("What was looked at", &["What", "Seen"], rows)
    }
}

/// Of the tables `[[schema, name, rows], …]`, where a partition has its root's name behind them.
fn counted(counts: &Value) -> Option<(usize, i64)> {
    let tables = tables_of_document(counts)?;
    Some((tables.len(), tables.iter().filter_map(|table| table.get(2)?.as_i64()).sum()))
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use serde_json::json;

    use super::*;

    fn verdict(rung: Rung) -> Verdict {
        Verdict {
            kind: "database".into(),
            backup: "b-1".into(),
            name: Some("nightly".into()),
            rung,
            counts: Some(json!([["public", "rows", 900], ["public", "users", 12]])),
            reached: Some(json!({ "downloaded": 1.25 })),
            checks: Some(json!({ "structure": "41 indexes | whole" })),
            tools: json!({ "pg_restore": "17.2" }),
            checked_at: DateTime::UNIX_EPOCH + TimeDelta::days(20_000),
            checked_by: Some("scheduled proof".into()),
            ..Verdict::default()
        }
    }

    #[test]
    fn each_rung_is_shown_and_none_that_was_not_reached_passes_for_one_that_was() {
        let page = Verification::of("shop", &verdict(Rung::Readable)).markdown();
        for row in ["| downloaded | yes | 1.2 s |", "| readable | yes | — |", "| restored | **no** | — |"]
        {
            assert!(page.contains(row), "{row} is not in:\n{page}");
        }
        assert!(page.contains("It never passed every check."), "{page}");
        assert!(page.contains("912 rows in 2 tables") && page.contains("41 indexes \\| whole"), "{page}");
        assert!(page.contains("## What is held against it\n\nNothing is recorded."), "{page}");
    }

    #[test]
    fn documents_are_not_measured_by_what_is_done_with_databases() {
        let page =
            Verification::of("shop", &Verdict { kind: OBJECTS.into(), ..verdict(Rung::Readable) }).markdown();
        assert!(page.contains("| readable | yes |") && !page.contains("asserted"), "{page}");
        assert!(!page.contains("never passed"), "{page}");
    }

    #[test]
    fn rows_of_partitions_are_counted() {
        let counts = json!([["public", "y2026", 900, ["public", "all"]], ["public", "users", 12]]);
        assert_eq!(counted(&counts), Some((2, 912)));
        assert_eq!(counted(&json!({ "tables": counts, "largeObjects": [3, 70] })), Some((2, 912)));
    }

    #[test]
    fn what_is_held_against_it_is_said_and_text_of_others_is_no_markup() {
        let bad = Verdict {
            refused: Some("gzip-cut".into()),
            message: Some("<b>it ends early</b>".into()),
            suspicious: Some("rows fell".into()),
            accepted_by: Some("Ada".into()),
            ..verdict(Rung::Downloaded)
        };
        let shown = Verification::of("shop", &bad);
        let page = shown.markdown();
        assert!(page.contains("**refused**, database of plan shop"), "{page}");
        assert!(page.contains("| suspicious | rows fell; Ada said that this was meant |"), "{page}");
        assert!(shown.html().contains("gzip-cut: &lt;b&gt;it ends early&lt;/b&gt;"), "{}", shown.html());
        assert_eq!(serde_json::to_value(&shown).unwrap()["rung"], "downloaded");
    }
}
