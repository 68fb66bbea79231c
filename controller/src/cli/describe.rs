//! `reprise describe NAME`: everything that is known of one request, or of one plan.

use serde_json::{Value, json};

use super::get::{moment, request_json};
use super::{CliError, Common, Format, cancel, exit, output, report, standing};
use crate::recovery::cut;
use crate::runtime::lease::{Lease, LeaseStore as _, Seen};
use crate::store::{Event, LedgerRow, RequestRow, StepRow, Store, Verdict};

/// Arguments of `describe`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The request, or else the plan
    name: String,
}

/// All records of one request.
pub(super) struct Records {
    pub(super) request: RequestRow,
    /// Who works on it, while somebody does.
    pub(super) lease: Option<Lease>,
    pub(super) steps: Vec<StepRow>,
    pub(super) events: Vec<Event>,
    pub(super) ledger: Vec<LedgerRow>,
    pub(super) verdicts: Vec<Verdict>,
}

pub(super) async fn run(common: &Common, args: &Args) -> Result<u8, CliError> {
    let store = common.store().await?;
    if store.request(&args.name).await?.is_none()
        && let Some(plan) = store.plan(&args.name).await?
    {
        let jobs = standing::jobs(&store, &plan).await?;
        let drills = standing::drills(&store, &plan).await?;
        match common.output {
            Format::Json => output::json(&standing::described(&plan, &jobs, &drills))?,
            Format::Text => standing::text(&plan, &jobs, &drills)?,
        }
        return Ok(exit::OK);
    }
    let records = read(&store, &args.name).await?;
    match common.output {
        Format::Json => json(records)?,
        Format::Text => text(&records)?,
    }
    Ok(exit::OK)
}

pub(super) async fn read(store: &Store, name: &str) -> Result<Records, CliError> {
    let Some(request) = store.request(name).await? else { return Err(cancel::not_found(store, name).await?) };
    Ok(Records {
        steps: store.steps(name).await?,
        events: store.events_after(name, 0).await?,
        ledger: store.ledger(name).await?,
        verdicts: store.verdicts(&request.plan).await?,
        lease: held(store.lease(name).read().await?),
        request,
    })
}

/// A lease that has ended is nobody's.
fn held(seen: Seen) -> Option<Lease> {
    seen.lease.filter(|lease| !lease.holder.is_empty() && lease.expires_at > seen.now)
}

fn json(records: Records) -> Result<(), CliError> {
    let step = |row: &StepRow| {
        json!({ "step": row.step, "phase": format!("{:?}", row.phase), "attempt": row.attempt, "done": row.done, "total": row.total,
                "unit": row.unit, "message": row.message, "output": row.output, "startedAt": row.started_at, "finishedAt": row.finished_at })
    };
    let event = |row: &Event| json!({ "at": row.at, "type": format!("{:?}", row.severity), "reason": row.reason, "step": row.step, "message": row.message });
    let resource = |row: &LedgerRow| {
        json!({ "kind": row.kind, "name": row.name, "parent": row.parent, "state": format!("{:?}", row.state).to_lowercase(),
                "id": row.external_id, "detail": row.detail, "step": row.step, "intendedAt": row.intended_at })
    };
    let verdict = |row: &Verdict| {
        json!({ "kind": row.kind, "backup": row.backup, "takenAt": row.taken_at, "rung": format!("{:?}", row.rung).to_lowercase(),
                "refused": row.refused, "message": row.message, "checkedAt": row.checked_at, "checkedBy": row.checked_by })
    };
    let mut document = json!({
        "verdicts": records.verdicts.iter().map(verdict).collect::<Vec<_>>(),
        "steps": records.steps.iter().map(step).collect::<Vec<_>>(),
        "events": records.events.iter().map(event).collect::<Vec<_>>(),
        "ledger": records.ledger.iter().map(resource).collect::<Vec<_>>(),
        "report": report::json(&records),
    });
    document["request"] = request_json(&Ok(records.request));
    document["lease"] = records.lease.map_or(
        Value::Null,
        |lease| json!({ "holder": lease.holder, "epoch": lease.epoch.0, "until": lease.expires_at }),
    );
    output::json(&document)
}

fn text(records: &Records) -> Result<(), CliError> {
    let request = &records.request;
    output::line(format!("Name:     {}", request.name))?;
    output::line(format!("Plan:     {}", request.plan))?;
    output::line(format!("Scope:    {}", cut::told(&request.spec)))?;
    output::line(format!("State:    {}", request.state))?;
    output::line(format!("Phase:    {}", request.phase))?;
    output::line(format!("Message:  {}", super::get::message(&request.status)))?;
    if let Some(lease) = &records.lease {
        let until = moment(lease.expires_at);
        output::line(format!("Worker:   {} (lease {}, until {until})", lease.holder, lease.epoch))?;
    }
    output::line("\nConditions:")?;
    for condition in request.status["conditions"].as_array().into_iter().flatten() {
        let word = |name: &str| condition[name].as_str().unwrap_or_default().to_owned();
        output::line(format!(
            "  {}={} ({}): {}",
            word("type"),
            word("status"),
            word("reason"),
            word("message")
        ))?;
    }
    output::line("\nSteps:")?;
    output::table(
        &["  STEP", "PHASE", "TRIES", "TOOK", "MESSAGE"],
        &records.steps.iter().map(step_cells).collect::<Vec<_>>(),
    )?;
    output::line("\nResources:")?;
    output::table(
        &["  KIND", "NAME", "OF", "STATE", "ID"],
        &records.ledger.iter().map(resource_cells).collect::<Vec<_>>(),
    )?;
    output::line("\nBackups known of this plan:")?;
    output::table(
        &["  KIND", "BACKUP", "TAKEN", "RUNG", "REFUSED"],
        &records.verdicts.iter().map(verdict_cells).collect::<Vec<_>>(),
    )?;
    output::line("\nEvents:")?;
    for event in &records.events {
        let step = event.step.as_deref().map(|step| format!("{step}: ")).unwrap_or_default();
        output::line(format!("  {}  {:<18} {step}{}", moment(event.at), event.reason, event.message))?;
    }
    if request.is_finished() { report::print(records) } else { Ok(()) }
}

fn step_cells(row: &StepRow) -> Vec<String> {
    vec![
        format!("  {}", row.step),
        format!("{:?}", row.phase),
        row.attempt.to_string(),
        report::took(row).map(report::seconds).unwrap_or_default(),
        row.message.clone().unwrap_or_default(),
    ]
}

fn resource_cells(row: &LedgerRow) -> Vec<String> {
    vec![
        format!("  {}", row.kind),
        row.name.clone(),
        row.parent.clone().unwrap_or_default(),
        format!("{:?}", row.state).to_lowercase(),
        row.external_id.clone().unwrap_or_default(),
    ]
}

fn verdict_cells(row: &Verdict) -> Vec<String> {
    vec![
        format!("  {}", row.kind),
        row.backup.clone(),
        row.taken_at.map(moment).unwrap_or_default(),
        format!("{:?}", row.rung).to_lowercase(),
        row.refused.clone().unwrap_or_default(),
    ]
}
