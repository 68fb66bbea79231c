//! How a plan stands: `reprise describe PLAN`, and the columns of `reprise get plans`. All of it is what the daemon wrote into the
//! plan's status.

use serde_json::{Value, json};

use super::get::moment;
use super::{CliError, output, report};
use crate::store::PlanRow;

/// A condition of the plan, as `True (REASON): MESSAGE`.
fn proven(row: &PlanRow) -> Option<&Value> {
    row.status["conditions"].as_array()?.iter().find(|condition| condition["type"] == "Proven")
}

/// Whether it is proven, what a recovery is predicted to take, and the sentence about it.
pub(super) fn cells(row: &PlanRow) -> [String; 3] {
    let word = |name: &str| proven(row).and_then(|it| it[name].as_str()).unwrap_or_default().to_owned();
    let predicted = row.status["prediction"]["seconds"].as_f64();
    [word("status"), predicted.map(report::seconds).unwrap_or_default(), word("message")]
}

/// The plan for programs.
pub(super) fn document(row: &PlanRow) -> Value {
    json!({ "name": row.name, "generation": row.generation, "createdAt": row.created_at, "status": row.status })
}

/// The plan for people.
pub(super) fn text(row: &PlanRow) -> Result<(), CliError> {
    let [status, predicted, message] = cells(row);
    output::line(format!("Plan:       {}", row.name))?;
    output::line(format!("Generation: {}, first applied {}", row.generation, moment(row.created_at)))?;
    let unknown = || "not known: the daemon has not looked, or no drill is wanted".to_owned();
    output::line(format!(
        "Proven:     {}",
        if status.is_empty() { unknown() } else { format!("{status}: {message}") }
    ))?;
    if !predicted.is_empty() {
        output::line(format!(
            "Predicted:  a recovery would take {predicted} at today's sizes; the longest way:"
        ))?;
    }
    for step in row.status["prediction"]["longestWay"].as_array().into_iter().flatten() {
        let took = step[1].as_f64().map(report::seconds).unwrap_or_default();
        output::line(format!("  {took:>9}  {}", step[0].as_str().unwrap_or_default()))?;
    }
    let preflight = &row.status["preflight"];
    let (good, of) = (&preflight["score"]["good"], &preflight["score"]["of"]);
    if good.is_number() {
        output::line(format!(
            "Preflight:  {good} of {of} are good, at {}",
            preflight["at"].as_str().unwrap_or_default()
        ))?;
    }
    let bad = |finding: &&Value| finding["grade"] != "good";
    for finding in preflight["findings"].as_array().into_iter().flatten().filter(bad) {
        let word = |name: &str| finding[name].as_str().unwrap_or_default().to_owned();
        output::line(format!("  {} {}: {}", word("grade"), word("check"), word("message")))?;
    }
    Ok(())
}
