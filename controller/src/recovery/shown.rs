//! The evidence of a request from its records: as they stand, and as they stood when it ended.

use chrono::{DateTime, Utc};
use reprise_crds::RecoveryPlanSpec;
use reprise_crds::plan::ObjectivesSpec;
use serde::Deserialize as _;
use serde_json::Value;

use super::evidence::{self, Evidence, Record};
use super::step::Step;
use crate::store::{RequestRow, StatusUpdate, StepRow, Store, StoreError};

/// What can be shown of a request: of one that has ended, what was written then.
pub async fn shown(store: &Store, request: &RequestRow) -> Result<Evidence, StoreError> {
    if request.is_finished()
        && let Some(kept) = store.evidence(&request.name).await?
        // What another release wrote otherwise is computed anew.
        && let Ok(kept) = Evidence::deserialize(kept)
    {
        return with_later(store, request, kept).await;
    }
    let mut steps = store.steps(&request.name).await?;
    // It is no part of the recovery, and is shown by itself.
    steps.retain(|row| row.step != Step::HandOver.to_string());
    let evidence = computed(store, request, &steps).await?;
    with_later(store, request, evidence).await
}

/// What has ended is shown as it was then; its hand-over goes on.
async fn with_later(store: &Store, request: &RequestRow, evidence: Evidence) -> Result<Evidence, StoreError> {
    let events = store.events_after(&request.name, 0).await?;
    Ok(Evidence { hand_over: evidence::later(request, &events), ..evidence })
}

/// What can be shown of a request that ends now, with `update`.
pub(super) async fn shown_of(
    store: &Store,
    row: &RequestRow,
    update: &StatusUpdate,
    steps: &[StepRow],
    now: DateTime<Utc>,
) -> Result<Value, StoreError> {
    let StatusUpdate { state, phase, status, .. } = update.clone();
    let ended = RequestRow { state, phase, status, finished_at: Some(now), ..row.clone() };
    let evidence = computed(store, &ended, steps).await?;
    Ok(serde_json::to_value(evidence).unwrap_or_default())
}

async fn computed(store: &Store, request: &RequestRow, steps: &[StepRow]) -> Result<Evidence, StoreError> {
    let events = store.events_after(&request.name, 0).await?;
    let verdicts = store.verdicts(&request.plan).await?;
    let objectives = objectives(store, request).await?;
    Ok(evidence::of(Record { request, steps, events: &events, verdicts: &verdicts, objectives }))
}

/// What the plan asked for when the request was accepted; before that, what it asks for now.
async fn objectives(store: &Store, request: &RequestRow) -> Result<Option<ObjectivesSpec>, StoreError> {
    let mut spec = store.accepted_plan(&request.name).await?;
    if spec.is_none() && request.started_at.is_none() {
        spec = store.plan(&request.plan).await?.map(|plan| plan.spec);
    }
    let plan = spec.and_then(|spec| serde_json::from_value::<RecoveryPlanSpec>(spec).ok());
    Ok(plan.map(|plan| plan.objectives))
}

#[cfg(test)]
mod tests {
    use reprise_crds::{Milestone, Phase};
    use serde_json::json;

    use super::*;
    use crate::store::tests::lab;

    #[tokio::test]
    async fn what_was_written_at_the_end_is_shown_whatever_is_learnt_later() {
        let lab = lab().await;
        let (store, epoch) = (&lab.store, lab.filed().await);
        let row = async || store.request("bad-day").await.expect("answered").expect("there");
        let tools = async || shown(store, &row().await).await.expect("shown").tools;
        let output = json!({
            "addon": "", "backup": "b", "name": "nightly", "takenAt": "2026-11-01T00:00:00Z", "sizeBytes": 1, "archiveSha256": "",
            "dumpSha256": "", "serverVersion": "15.4", "tables": 1, "rows": 1, "largeObjects": 0, "refused": [],
        });
        let steps =
            [crate::recovery::evidence::tests::step("choose-backup", crate::store::StepPhase::Done, output)];
        lab.sql("INSERT INTO backup_verdicts (plan, kind, backup, rung, tools) VALUES ('apilos', 'database', 'b', 'asserted', '{\"pg_restore\": \"15.1\"}')")
            .await
            .expect("written");
        let (state, phase, status) = (Milestone::DnsOk, Phase::Succeeded, json!({ "message": "done" }));
        let mut update = StatusUpdate { state, phase, status, evidence: None };
        let evidence = shown_of(store, &row().await, &update, &steps, Utc::now()).await.expect("computed");
        update.evidence = Some(evidence);
        store.set_status("bad-day", epoch, &update).await.expect("written");
        let before = tools().await;
        assert_eq!(before[0].versions["pg_restore"], "15.1");
        let kept = shown(store, &row().await).await.expect("shown");
        assert_eq!((kept.phase.as_str(), kept.finished_at), ("Succeeded", row().await.finished_at));

        lab.sql("UPDATE backup_verdicts SET tools = '{\"pg_restore\": \"15.4\"}'")
            .await
            .expect("a later look");
        assert_eq!(tools().await, before);
        // It is tried again: what goes on is told as it is.
        update = StatusUpdate { phase: Phase::Running, evidence: None, ..update };
        store.set_status("bad-day", epoch, &update).await.expect("written");
        assert_eq!(shown(store, &row().await).await.expect("shown").phase, "Running");
        assert!(store.evidence("bad-day").await.expect("answered").is_some(), "the last end stays on record");
        lab.end().await;
    }
}
