//! `reprise get`: what there is.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

use super::{CliError, Common, Format, exit, output, standing};
use crate::recovery::cut;
use crate::store::{PlanRow, RequestRow, Store, StoreError};

/// Arguments of `get`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// What to list
    #[arg(default_value = "requests", value_parser = clap::builder::PossibleValuesParser::new(["requests", "plans"]))]
    kind: String,
}

pub(super) async fn run(common: &Common, args: &Args) -> Result<u8, CliError> {
    let store = common.store().await?;
    if args.kind == "plans" {
        plans(common, &store).await?;
    } else {
        requests(common, &store).await?;
    }
    Ok(exit::OK)
}

async fn requests(common: &Common, store: &Store) -> Result<(), CliError> {
    let rows = store.requests().await?;
    match common.output {
        Format::Json => output::json(&rows.iter().map(request_json).collect::<Vec<_>>()),
        Format::Text => output::table(
            &["NAME", "PLAN", "SCOPE", "STATE", "PHASE", "FILED", "MESSAGE"],
            &rows.iter().map(request_cells).collect::<Vec<_>>(),
        ),
    }
}

async fn plans(common: &Common, store: &Store) -> Result<(), CliError> {
    let rows = store.plans().await?;
    match common.output {
        Format::Json => output::json(&rows.iter().map(standing::document).collect::<Vec<_>>()),
        Format::Text => {
            let cells = |row: &PlanRow| {
                let [proven, predicted, message] = standing::cells(row);
                let (generation, applied) = (row.generation.to_string(), moment(row.created_at));
                vec![row.name.clone(), generation, applied, proven, predicted, message]
            };
            output::table(
                &["NAME", "GENERATION", "APPLIED", "PROVEN", "WOULD TAKE", "MESSAGE"],
                &rows.iter().map(cells).collect::<Vec<_>>(),
            )
        }
    }
}

/// One request for programs; an unreadable row is told as such.
pub(super) fn request_json(row: &Result<RequestRow, StoreError>) -> Value {
    match row {
        Ok(row) => json!({
            "name": row.name, "plan": row.plan, "spec": row.spec, "state": row.state.as_str(), "phase": row.phase.as_str(),
            "createdAt": row.created_at, "startedAt": row.started_at, "finishedAt": row.finished_at, "status": row.status,
        }),
        Err(error) => json!({ "error": error.to_string() }),
    }
}

fn request_cells(row: &Result<RequestRow, StoreError>) -> Vec<String> {
    match row {
        Ok(row) => vec![
            row.name.clone(),
            row.plan.clone(),
            cut::told(&row.spec),
            row.state.to_string(),
            row.phase.to_string(),
            moment(row.created_at),
            message(&row.status).to_owned(),
        ],
        Err(error) => vec![error.to_string()],
    }
}

/// The sentence of a request's status.
pub(super) fn message(status: &Value) -> &str {
    status.get("message").and_then(Value::as_str).unwrap_or_default()
}

/// A date as people and programs read it.
pub(super) fn moment(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}
