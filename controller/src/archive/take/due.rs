//! What was taken for a due time already: a scheduled run that is tried again goes on with it.

use chrono::{DateTime, Utc};

use crate::archive::Archiver;
use crate::archive::error::Result;
use crate::archive::format::{Record, Source};
use crate::store::ArchiveRow;

impl Archiver {
    /// The runs of the plan's own bucket that began at `due` or later and are complete, oldest first.
    pub async fn taken_since(&self, due: DateTime<Utc>) -> Result<Vec<Record>> {
        let there = self.vault.runs().await?;
        let rows = self.store.archives(&self.plan).await?;
        Ok(taken_since(&rows, &there, &self.source_named(), (due, self.clock.now())))
    }

    /// The plan's bucket, as records name it.
    pub(super) fn source_named(&self) -> Source {
        Source { endpoint: self.source.endpoint.clone(), bucket: self.source.bucket.clone() }
    }
}

/// Rows come newest first. A name may lie ahead of every clock, after one that went wrong: when the run was complete tells more. Pure.
fn taken_since(
    rows: &[ArchiveRow],
    there: &[String],
    source: &Source,
    (due, now): (DateTime<Utc>, DateTime<Utc>),
) -> Vec<Record> {
    let from = due.format("%Y%m%dT%H%M%SZ").to_string();
    let is_it = |row: &&ArchiveRow| {
        let complete = row.finished_at.filter(|_| row.phase == "Complete");
        row.run >= from && complete.is_some_and(|at| at >= due && at <= now) && there.contains(&row.run)
    };
    let taken = rows.iter().rev().filter(is_it);
    let records = taken.filter_map(|row| serde_json::from_value::<Record>(row.status.clone()).ok());
    records.filter(|record| record.source == *source).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::store::a_row;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn taken(run: &str, finished_at: &str, bucket: &str) -> ArchiveRow {
        let status = json!({
            "format": "reprise-archive/1", "plan": "apilos", "run": run,
            "source": {"endpoint": "http://s3", "bucket": bucket},
            "started_at": finished_at, "finished_at": finished_at,
            "manifest": {"key": "m", "sha256": "00", "objects": 0, "bytes": 0},
            "changes": {"before": 0, "added": 0, "rewritten": 0, "scrambled": 0, "deleted": 0, "bytes": 0},
            "replaced": 0, "cost": {}, "writer": "a test",
        });
        ArchiveRow { finished_at: Some(at(finished_at)), status, ..a_row(run) }
    }

    #[test]
    fn only_a_complete_run_of_the_bucket_from_then_on_need_not_be_taken_again() {
        let source = Source { endpoint: "http://s3".into(), bucket: "production".into() };
        let (due, now) = (at("2026-11-08T02:00:00Z"), at("2026-11-08T04:00:00Z"));
        let rows = [
            taken("20271108T021000Z-f", "2027-11-08T02:10:00Z", "production"), // when the clock was wrong
            taken("20261108T030000Z-e", "2026-11-08T03:10:00Z", "production"),
            taken("20261108T022000Z-d", "2026-11-08T02:30:00Z", "mirror"),
            ArchiveRow {
                phase: "Running".into(),
                ..taken("20261108T021000Z-c", "2026-11-08T02:20:00Z", "production")
            },
            taken("20261108T020000Z-b", "2026-11-08T02:05:00Z", "production"),
            taken("20261108T015959Z-a", "2026-11-08T02:04:00Z", "production"),
        ];
        let mut there: Vec<String> = rows.iter().map(|row| row.run.clone()).collect();
        let names = |there: &[String]| -> Vec<String> {
            taken_since(&rows, there, &source, (due, now)).into_iter().map(|record| record.run).collect()
        };
        assert_eq!(names(&there), ["20261108T020000Z-b", "20261108T030000Z-e"]);
        there.retain(|run| !run.ends_with('e'));
        assert_eq!(names(&there), ["20261108T020000Z-b"], "somebody deleted it");
        // A run that is named after one of a wrong clock, and was complete before.
        let ahead = [taken("20271108T021001Z-g", "2026-11-07T02:10:00Z", "production")];
        assert!(taken_since(&ahead, &[ahead[0].run.clone()], &source, (due, now)).is_empty());
    }
}
