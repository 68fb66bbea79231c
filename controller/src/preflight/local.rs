//! What this machine and our own records say.

use super::Preflight;
use super::finding::{Seen, bad, failed, good, unknown, unusable, warning};
use crate::freshness::{Limits, dated};
use crate::metrics::{Dated, What};
use crate::recovery::accept::unconfigured;
use crate::runtime::chain::Chain;
use crate::store::Verdict;

/// A dump is compressed, its database is not, and has indexes: room for both, by the size of the download.
const GROWTH: u64 = 15;

impl Preflight<'_> {
    pub(super) fn references(&self) -> Seen {
        let problems = unconfigured(self.spec, &self.tools.references, &self.tools.config);
        if problems.is_empty() {
            return good("every reference that a recovery needs leads somewhere");
        }
        bad(problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
    }

    pub(super) async fn postgresql(&self) -> Seen {
        let tools = match self.tools.postgresql().await {
            Ok(tools) => tools,
            Err(refusal) => return bad(Chain(&refusal).to_string()),
        };
        let rows = match self.tools.store.verdicts(self.plan).await {
            Ok(rows) => rows,
            Err(error) => return failed(&error),
        };
        // Backups to come are of the server that runs now. That it does not tell is found elsewhere.
        let server = self.source_version().await;
        let plan = self.spec.target.postgresql.version.as_deref();
        new_enough((tools.version(), tools.major()), [plan, server.as_deref()], &rows)
    }

    pub(super) async fn disk(&self) -> Seen {
        let free = match self.tools.disk_budget(&self.tools.work_dir) {
            Ok(free) => free,
            Err(error) => return unusable(&error),
        };
        if free == 0 {
            return bad(
                "nothing more may be written where dumps are kept for a while: make room, or allow more in the plan",
            );
        }
        let rows = match self.tools.store.verdicts(self.plan).await {
            Ok(rows) => rows,
            Err(error) => return failed(&error),
        };
        let Some(largest) = rows.iter().filter(|row| row.gone_at.is_none()).filter_map(size).max() else {
            return unknown("the size of the backups is not known yet; `reprise prove` asks for it");
        };
        let told = format!("{free} bytes may be written, the largest backup has {largest}");
        if largest > free {
            bad(told)
        } else if self.spec.proof.server.is_none() && largest.saturating_mul(GROWTH) > free {
            warning(format!("{told}, and its database may need {GROWTH} times as much"))
        } else {
            good(told)
        }
    }

    pub(super) async fn freshness(&self) -> Seen {
        let all = match self.tools.store.plan_dates().await {
            Ok(all) => all,
            Err(error) => return failed(&error),
        };
        let Some(dates) = all.iter().find(|dates| dates.plan == self.plan) else {
            return unknown("the plan is gone");
        };
        let now = self.tools.clock.now();
        let asked: Vec<Dated> =
            dated(dates, Limits::of(self.spec)).into_iter().filter(|one| one.limit.is_some()).collect();
        let stale: Vec<String> =
            asked.iter().filter(|one| one.is_fresh(now) == Some(false)).map(told).collect();
        if dates.suspicious {
            bad("the newest sound backup lost suspiciously many rows: see `reprise backups`")
        } else if stale.is_empty() {
            good(asked.iter().map(told).collect::<Vec<_>>().join("; "))
        } else {
            bad(stale.join("; "))
        }
    }
}

/// `pg_restore` reads what a server of its own major or an older one gave. What counts is the newest that is met: what the plan wants, and
/// what production runs, and what the backups were made of that are still there.
fn new_enough((here, major_here): (&str, u32), [plan, server]: [Option<&str>; 2], rows: &[Verdict]) -> Seen {
    let met = [
        (newest_dumped(rows), "the newest backups are of"),
        (server.and_then(major), "production runs"),
        (plan.and_then(major), "the plan wants"),
    ];
    match met.into_iter().filter_map(|(major, whose)| Some((major?, whose))).max_by_key(|(major, _)| *major) {
        Some((wanted, whose)) if wanted > major_here => bad(format!(
            "pg_restore is {here}, and {whose} PostgreSQL {wanted}: install postgresql-client-{wanted}"
        )),
        Some((wanted, whose)) => good(format!("pg_restore is {here}, and {whose} PostgreSQL {wanted}")),
        None => good(format!("pg_restore is {here}; what the backups are of is not known yet")),
    }
}

/// The major of the newest server that backups which are still there were dumped from.
pub(super) fn newest_dumped(rows: &[Verdict]) -> Option<u32> {
    let there = rows.iter().filter(|row| row.kind == "database" && row.gone_at.is_none());
    there.filter_map(|row| major(row.tools["dumpedFrom"].as_str()?)).max()
}

fn size(row: &Verdict) -> Option<u64> {
    row.size_bytes.filter(|_| row.kind == "database").and_then(|size| u64::try_from(size).ok())
}

fn major(version: &str) -> Option<u32> {
    version.split('.').next()?.parse().ok()
}

fn told(one: &Dated) -> String {
    let limit = one.limit.map(humantime::format_duration).map(|limit| limit.to_string()).unwrap_or_default();
    let what = called(one.what);
    match one.at {
        Some(at) => format!("the newest {what} is of {}, the limit is {limit}", at.format("%F %R")),
        None => format!("there is no {what}, and the limit is {limit}"),
    }
}

/// What makes it count: a backup that is merely listed is none.
const fn called(what: What) -> &'static str {
    match what {
        What::Backup => "proven backup",
        What::Archive => "whole archive run",
        What::VerifiedArchive => "archive run that was read back",
        What::ArchiveVerification => "verification of the archive",
        What::DumpCopy => "copied backup",
        What::Artifact => "artifact that can be had",
        What::Drill => "drill that succeeded",
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use serde_json::json;

    use super::*;
    use crate::preflight::Grade;

    #[test]
    fn pg_restore_is_held_against_the_newest_server_that_is_met() {
        let of = |server: &str| Verdict {
            kind: "database".into(),
            tools: json!({ "dumpedFrom": server }),
            ..Verdict::default()
        };
        let seen = |plan, rows: &[Verdict]| new_enough(("15.14", 15), [plan, None], rows);
        assert_eq!(seen(None, &[of("15.3"), of("14.9 (Debian 14.9-1)")]).0, Grade::Good);
        let (grade, told) = seen(None, &[of("15.3"), of("16.1")]);
        assert!(grade == Grade::Bad && told.contains("postgresql-client-16"), "{told}");
        assert_eq!(seen(Some("17"), &[of("15.3")]).0, Grade::Bad);
        assert_eq!(seen(Some("14"), &[of("16.1")]).0, Grade::Bad, "the plan's version hides no newer one");
        let upgraded = new_enough(("15.14", 15), [None, Some("16.2.0-1")], &[of("15.3")]);
        assert_eq!(upgraded.0, Grade::Bad, "the next backup is of it");
        let gone = Verdict { gone_at: Some(DateTime::UNIX_EPOCH), ..of("16.1") };
        assert_eq!(seen(None, &[gone, Verdict::default()]).0, Grade::Good);
    }
}
