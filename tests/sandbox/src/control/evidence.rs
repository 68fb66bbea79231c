//! Evidence by the control API: the journal, the tally of all calls, and what the checker says of them.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::{Shared, Wrong};
use crate::sandbox::{Parts, secrets};
use crate::world::evidence::{self, ALLOWED, Case, Finding};
use crate::world::journal::Entry;

/// A journal as lines.
const LINES: &str = "application/x-ndjson";

/// Lets the journal ask what a service holds, before and after each change.
pub(super) fn witness(parts: &Arc<Parts>) {
    let parts_of_world = Arc::downgrade(parts);
    parts.world.journal.set_witness(Arc::new(move |service| {
        let parts = parts_of_world.upgrade()?;
        match service {
            "scalingo" | "database-api" => Some(parts.paas.inventory()),
            "alwaysdata" => Some(json!({"dns_records": parts.alwaysdata.inventory()["records"]})),
            "github" => Some(parts.github.holdings()),
            _ => None,
        }
    }));
}

/// `GET /journal?since=SEQ&format=jsonl`.
pub(super) async fn journal(
    State(parts): Shared,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Result<Response, Wrong> {
    let since = match query.get("since").map(|text| text.parse::<u64>()) {
        None => 0,
        Some(Ok(seq)) => seq,
        Some(Err(error)) => {
            return Err(Wrong(format!("since: {error}: give the number of the last entry you have")));
        }
    };
    let entries = parts.world.journal.since(since);
    let accepts = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let as_lines = accepts.contains(LINES) || query.get("format").is_some_and(|format| format == "jsonl");
    if !as_lines {
        return Ok(Json(entries).into_response());
    }
    let lines = entries.iter().filter_map(|entry| serde_json::to_string(entry).ok()).map(|line| line + "\n");
    Ok(([(header::CONTENT_TYPE, LINES)], lines.collect::<String>()).into_response())
}

/// `GET /calls`: how often each route was asked for, by which programs, with which results.
pub(super) async fn calls(State(parts): Shared) -> Json<Value> {
    let observed = parts.world.journal.observed();
    let calls = observed.calls.iter().filter(|((service, ..), _)| *service != "control");
    let shown = calls.map(|((service, method, route), tally)| {
        json!({"service": service, "method": method, "route": route, "agents": tally.agents,
               "accepted": tally.accepted, "statuses": tally.statuses})
    });
    Json(shown.collect::<Vec<_>>().into())
}

/// `GET /findings?clean=true`.
pub(super) async fn findings(
    State(parts): Shared,
    Query(query): Query<HashMap<String, String>>,
) -> Json<Value> {
    let effects = parts.evidence().iter().filter(|entry| entry.had_effect()).count();
    let mut findings = parts.findings();
    if query.get("clean").is_some_and(|wanted| wanted == "true") {
        findings.extend(evidence::traces(&parts.world.journal.baseline().inventory, &parts.inventory()));
    }
    Json(json!({"effects": effects, "findings": findings}))
}

impl Parts {
    /// What is wrong with what was done since the estate was made.
    pub(crate) fn findings(&self) -> Vec<Finding> {
        let journal = &self.world.journal;
        let baseline = journal.baseline().inventory;
        evidence::check(&Case {
            entries: &self.evidence(),
            observed: &journal.observed(),
            baseline: &baseline,
            now: &self.inventory(),
            secrets: &secrets(self),
            allowed: &ALLOWED,
        })
    }

    /// The vendors' entries since the estate was made: the control API speaks for the world.
    fn evidence(&self) -> Vec<Entry> {
        let mut entries = self.world.journal.since(self.world.journal.baseline().seq);
        entries.retain(|entry| entry.service != "control");
        entries
    }
}
