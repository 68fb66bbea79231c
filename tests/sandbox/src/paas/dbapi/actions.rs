//! `POST /databases/:id/action`: what the dashboard does inside a database. Failures are told in the body, with status 200.

use std::sync::Arc;

use axum::extract::{Path, State as Shared};
use serde_json::{Value, json};

use super::running;
use crate::paas::Paas;
use crate::paas::reply::{Answer, Input, Refusal, Reply};
use crate::paas::session::Session;

const EXTENSIONS: &str =
    "SELECT a.name, a.default_version, a.installed_version, a.comment FROM pg_available_extensions a
    WHERE a.name = ANY (string_to_array($1, ',')) ORDER BY a.name";
const QUERIES: &str = "SELECT pid, usename AS username, application_name, client_addr, backend_start, xact_start AS transaction_start,
    query_start, state, wait_event_type, query FROM pg_stat_activity
    WHERE backend_type = 'client backend' AND datname = current_database() AND usename <> current_user ORDER BY pid";
/// Of the database's own users only: the platform's sessions are not the customer's to end.
const SIGNAL: &str = "SELECT pg_NAME_backend(pid) AS done FROM pg_stat_activity
    WHERE pid = $1::int AND usename <> current_user";
const STATEMENTS: &str = "SELECT queryid::text, query, calls, total_exec_time, mean_exec_time, rows FROM pg_stat_statements
    WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) ORDER BY total_exec_time DESC LIMIT 100";

/// What an action asks the server, with its parameter.
fn statement(action: &str, params: &Value) -> Result<(String, Option<String>), String> {
    let pid = || {
        let pid = params.get("pid").unwrap_or(params);
        let number = pid.as_i64().or_else(|| pid.as_str()?.parse().ok());
        number.map(|pid| pid.to_string()).ok_or("pid is missing")
    };
    Ok(match action {
        "list-extensions" => (EXTENSIONS.into(), Some(crate::plane::databases::EXTENSIONS.into())),
        "pg-list-queries" => (QUERIES.into(), None),
        "pg-cancel-query" => (SIGNAL.replace("NAME", "cancel"), Some(pid()?)),
        "pg-terminate-query" => (SIGNAL.replace("NAME", "terminate"), Some(pid()?)),
        "pg-stat-statements-list" => (STATEMENTS.into(), None),
        "pg-stat-statements-reset" => ("SELECT pg_stat_statements_reset()::text".into(), None),
        _ => return Err(format!("unknown action: {action}")),
    })
}

/// `POST /databases/:id/action`.
pub(super) async fn act(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path(id): Path<String>,
    input: Input,
) -> Answer {
    let addon = running(&paas.state(), &session, &id)?;
    let action = input.0.get("action_name").and_then(Value::as_str).unwrap_or_default();
    if action.is_empty() {
        return Err(Refusal::BadRequest("action_name is required".into()));
    }
    let params = input.0.get("params").cloned().unwrap_or_default();
    let result = match statement(action, &params) {
        Ok((sql, text)) => {
            let texts: Vec<&str> = text.iter().map(String::as_str).collect();
            paas.plane.databases.rows(&addon.resource_id, &sql, &texts).await.map_err(|error| told(&error))
        }
        Err(error) => Err(error),
    };
    let body = match result {
        Ok(rows) if action.ends_with("-query") && rows.as_array().is_none_or(Vec::is_empty) => {
            json!({"ok": 0, "error": "no such query"})
        }
        Ok(rows) => json!({"ok": 1, "result": rows}),
        Err(error) => json!({"ok": 0, "error": error}),
    };
    Ok(Reply::ok(body).about(format!("{}: {action}", addon.resource_id)))
}

/// What the server itself said, without our story around it.
fn told(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
