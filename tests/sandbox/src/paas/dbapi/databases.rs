//! The database itself: what it is, its switches, its backup hours.

use std::sync::Arc;

use axum::extract::{Path, State as Shared};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::{opened, opened_mut};
use crate::paas::reply::{Answer, Input, Refusal, Reply};
use crate::paas::session::Session;
use crate::paas::state::Database;
use crate::paas::{Paas, view};

/// `GET /databases/:id`.
pub(super) async fn show(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path(id): Path<String>,
) -> Answer {
    let state = paas.state();
    let (app, addon) = opened(&state, &session, &id)?;
    Ok(Reply::ok(json!({"database": view::database(&paas, app, addon)})))
}

/// `PATCH`/`PUT /databases/:id`: periodic backups (hour as integer or array) and the maintenance window.
pub(super) async fn update(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path(id): Path<String>,
    input: Input,
) -> Answer {
    let change = input.maybe_wrapped("database");
    let mut state = paas.state();
    configure(&mut opened_mut(&mut state, &session, &id)?.database, change)?;
    let (app, addon) = opened(&state, &session, &id)?;
    Ok(Reply::ok(json!({"database": view::database(&paas, app, addon)})).about(addon.resource_id.clone()))
}

fn configure(database: &mut Database, change: &Value) -> Result<(), Refusal> {
    let hours: Vec<u32> = match change.get("periodic_backups_scheduled_at") {
        // All or none: an hour that is none spoils the list.
        Some(Value::Array(hours)) => hours.iter().map(hour).collect::<Option<_>>().unwrap_or_default(),
        Some(Value::Null) | None => database.backup_hours.clone(),
        Some(one) => hour(one).into_iter().collect(),
    };
    if hours.is_empty() {
        return Err(Refusal::invalid("periodic_backups_scheduled_at", "is invalid"));
    }
    let weekday = part_of_window(change, "weekday_utc", 7)?.unwrap_or(database.maintenance_weekday);
    let starting = part_of_window(change, "starting_hour_utc", 24)?.unwrap_or(database.maintenance_hour);
    (database.maintenance_weekday, database.maintenance_hour) = (weekday, starting);
    database.backup_hours = hours;
    if let Some(on) = change.get("periodic_backups_enabled").and_then(Value::as_bool) {
        database.periodic_backups = on;
    }
    Ok(())
}

/// A part of the maintenance window, below `bound`, if it is to change.
fn part_of_window(change: &Value, key: &str, bound: u32) -> Result<Option<u32>, Refusal> {
    let Some(value) = change.get("maintenance_window").and_then(|window| window.get(key)) else {
        return Ok(None);
    };
    let number =
        value.as_u64().and_then(|number| u32::try_from(number).ok()).filter(|number| *number < bound);
    number.map(Some).ok_or_else(|| Refusal::invalid("maintenance_window", "is invalid"))
}

fn hour(value: &Value) -> Option<u32> {
    value.as_u64().filter(|hour| *hour < 24).and_then(|hour| u32::try_from(hour).ok())
}

/// `POST /databases/:id/upgrade`: this world has one version, which is the newest.
pub(super) async fn upgrade(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path(id): Path<String>,
) -> Answer {
    opened(&paas.state(), &session, &id)?;
    Err(Refusal::BadRequest("no upgrade is available".into()))
}

/// `GET /databases/:id/instances_status`: an array at the root.
pub(super) async fn instances(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let state = paas.state();
    let (_, addon) = opened(&state, &session, &id)?;
    let status = if addon.is_running() { "running" } else { "booting" };
    let node = json!([{
        "id": addon.database.instance, "type": "db-node", "status": status, "role": "master", "dbms_status": status,
    }]);
    Ok(axum::Json(node).into_response())
}
