//! The preflight that never ends: every few minutes, by one daemon of all, and never in the way of a recovery. What it found is
//! kept in the plan's status; the metrics come from there, so that a restart finds nothing better than it was.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use reprise_crds::RecoveryPlanSpec;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::{Check, Finding, Grade, Preflight, Score};
use crate::metrics::Readiness;
use crate::recovery::tools::Tools;
use crate::runtime::chain::Chain;
use crate::store::{PlanRow, StoreError};

/// Between two looks at our own records. Real time, as the store is really there.
const TICK: Duration = Duration::from_secs(5);
/// A daemon that was just started has better things to do.
const FIRST: TimeDelta = TimeDelta::minutes(2);
/// Between two looks at everything outside.
const EVERY: TimeDelta = TimeDelta::minutes(5);

/// What is kept of a look.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Kept {
    at: DateTime<Utc>,
    score: Score,
    findings: Vec<Finding>,
}

/// Looks again and again, until `stop` fires.
pub async fn watch(tools: Arc<Tools>, stop: CancellationToken) {
    let began = tools.clock.now();
    loop {
        match stop.run_until_cancelled(Box::pin(turn(&tools, began))).await {
            None => return,
            Some(Ok(())) => {}
            Some(Err(error)) => tracing::warn!(error = %Chain(&error), "cannot keep the preflight"),
        }
        if stop.run_until_cancelled(tokio::time::sleep(TICK)).await.is_none() {
            return;
        }
    }
}

async fn turn(tools: &Tools, began: DateTime<Utc>) -> Result<(), StoreError> {
    let plans = tools.store.plans().await?;
    tools.metrics.readiness_is(&plans.iter().filter_map(readiness).collect::<Vec<_>>());
    let now = tools.clock.now();
    let due: Vec<&PlanRow> = plans.iter().filter(|plan| is_due(kept(plan).as_ref(), began, now)).collect();
    if due.is_empty() {
        return Ok(());
    }
    let Some(_turn) = tools.store.preflight_turn().await? else { return Ok(()) };
    for plan in due {
        if !tools.store.recovery_at_work_beside(&plan.name).await? {
            look(tools, plan).await?;
        }
    }
    Ok(())
}

async fn look(tools: &Tools, plan: &PlanRow) -> Result<(), StoreError> {
    // That a plan cannot be read is told where it is applied and run.
    let Ok(spec) = RecoveryPlanSpec::from_json(plan.spec.clone()) else { return Ok(()) };
    let (seen, before) = (Preflight { tools, plan: &plan.name, spec: &spec }.look().await, kept(plan));
    let named = spec.apps.iter().any(|app| !app.domains.is_empty());
    let findings: Vec<Finding> = seen.into_iter().map(|one| carried(one, before.as_ref(), named)).collect();
    let score = Score::of(&findings);
    for finding in findings.iter().filter(|finding| finding.grade == Grade::Bad) {
        let (check, message) = (finding.check.name(), &finding.message);
        tracing::warn!(plan = plan.name, check, message, "a recovery would fail");
    }
    tracing::info!(plan = plan.name, %score, "preflight");
    let kept = Kept { at: tools.clock.now(), score, findings };
    match serde_json::to_value(&kept) {
        Ok(document) => tools.store.record_plan_status(&plan.name, "preflight", &document).await,
        Err(error) => {
            tracing::error!(%error, "a preflight cannot be written down");
            Ok(())
        }
    }
}

/// With the end that was seen before, where this look could not see any: that a name or a vendor does not answer for a moment makes no
/// credential last. `named`: the plan has public names, so that there are certificates.
fn carried(finding: Finding, before: Option<&Kept>, named: bool) -> Finding {
    let unseen = match finding.check {
        Check::Certificates => named,
        _ => finding.grade == Grade::Unknown,
    };
    let of = |kept: &Kept| kept.findings.iter().find(|one| one.check == finding.check)?.until;
    let until = finding.until.or_else(|| before.filter(|_| unseen).and_then(of));
    Finding { until, ..finding }
}

/// What the plan's status holds; `None` if there is none, or one of another release.
fn kept(plan: &PlanRow) -> Option<Kept> {
    serde_json::from_value(plan.status.get("preflight")?.clone()).ok()
}

fn is_due(kept: Option<&Kept>, began: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    // A look from a time to come was dated by a clock that was ahead.
    (now >= began + FIRST || began > now) && kept.is_none_or(|kept| kept.at + EVERY <= now || kept.at > now)
}

fn readiness(plan: &PlanRow) -> Option<Readiness> {
    let Kept { at, score, findings } = kept(plan)?;
    let ready = |finding: &Finding| (finding.check.name(), finding.grade <= Grade::Warning);
    let ends = findings.iter().filter_map(|finding| Some((finding.check.name(), finding.until?)));
    let (checks, ends) = (findings.iter().map(ready).collect(), ends.collect());
    Some(Readiness { plan: plan.name.clone(), at, score: score.share(), checks, ends })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(status: serde_json::Value) -> PlanRow {
        PlanRow {
            name: "shop".into(),
            spec: serde_json::json!({}),
            status,
            generation: 1,
            created_at: DateTime::UNIX_EPOCH,
        }
    }

    fn looked(minutes: i64, grade: Grade) -> Kept {
        let findings = vec![Finding { check: Check::Dns, grade, message: "seen".into(), until: None }];
        let at = DateTime::UNIX_EPOCH + TimeDelta::minutes(minutes);
        Kept { at, score: Score::of(&findings), findings }
    }

    #[test]
    fn what_was_found_reads_back_and_what_is_unknown_is_not_ready() {
        let of = |grade| {
            let document = serde_json::to_value(looked(7, grade)).unwrap();
            readiness(&row(serde_json::json!({ "preflight": document }))).unwrap()
        };
        assert_eq!(of(Grade::Warning).checks, [("dns", true)]);
        assert!(of(Grade::Warning).score.abs() < 1e-9 && (of(Grade::Good).score - 1.0).abs() < 1e-9);
        assert_eq!(of(Grade::Unknown).checks, [("dns", false)]);
        assert_eq!(of(Grade::Bad).at, DateTime::UNIX_EPOCH + TimeDelta::minutes(7));
        assert!(readiness(&row(serde_json::json!({}))).is_none(), "never looked is not ready");
        let odd = serde_json::json!({ "preflight": { "at": "long ago" } });
        assert!(readiness(&row(odd)).is_none());
    }

    #[test]
    fn an_end_that_cannot_be_seen_for_a_moment_stays() {
        let end = Some(DateTime::UNIX_EPOCH + TimeDelta::days(7));
        let of = |check, grade, until| Finding { check, grade, message: String::new(), until };
        let findings =
            vec![of(Check::Certificates, Grade::Good, end), of(Check::Artifacts, Grade::Good, end)];
        let before = Kept { at: DateTime::UNIX_EPOCH, score: Score::of(&findings), findings };
        let until = |check, grade, named| carried(of(check, grade, None), Some(&before), named).until;
        assert_eq!(until(Check::Certificates, Grade::Good, true), end, "the names are silent");
        assert_eq!(until(Check::Certificates, Grade::Good, false), None, "there are none any more");
        assert_eq!(until(Check::Artifacts, Grade::Unknown, true), end);
        assert_eq!(until(Check::Artifacts, Grade::Good, true), None, "the new token has no end");
        assert_eq!(carried(of(Check::Certificates, Grade::Good, end), None, true).until, end);
    }

    #[test]
    fn it_is_due_every_few_minutes_and_not_at_once() {
        let at = |minutes| DateTime::UNIX_EPOCH + TimeDelta::minutes(minutes);
        assert!(!is_due(None, at(0), at(1)), "just started");
        assert!(is_due(None, at(0), at(2)));
        let kept = looked(10, Grade::Good);
        assert!(!is_due(Some(&kept), at(0), at(14)));
        assert!(is_due(Some(&kept), at(0), at(15)));
        let years = looked(4 * 365 * 24 * 60, Grade::Good);
        assert!(is_due(Some(&years), at(0), at(15)), "the clock was ahead when it was looked");
        assert!(is_due(None, at(4 * 365 * 24 * 60), at(15)), "and when the daemon began");
    }
}
