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
            return good("every reference of the plan leads somewhere");
        }
        bad(problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
    }

    pub(super) async fn postgresql(&self) -> Seen {
        let tools = match self.tools.postgresql().await {
            Ok(tools) => tools,
            Err(refusal) => return bad(Chain(&refusal).to_string()),
        };
        let wanted = self.spec.target.postgresql.version.as_deref().and_then(major);
        match wanted {
            Some(wanted) if wanted > tools.major() => bad(format!(
                "pg_restore is {}, and the plan wants PostgreSQL {wanted}: install postgresql-client-{wanted}",
                tools.version()
            )),
            _ => good(format!("pg_restore is {}", tools.version())),
        }
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
        } else if largest.saturating_mul(GROWTH) > free {
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
        What::ArchiveVerification => "verification of the archive",
        What::DumpCopy => "copied backup",
        What::Drill => "drill that succeeded",
    }
}
