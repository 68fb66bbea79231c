//! The database itself: what it is, its switches, its backup hours.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Query, State as Shared};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::{message, opened, opened_mut};
use crate::paas::reply::{Answer, Input, Refusal, Reply};
use crate::paas::session::Session;
use crate::paas::state::{Database, Feature};
use crate::paas::{Paas, view};

/// World time from asking for a switch to having it.
const FEATURE_DELAY: Duration = Duration::from_secs(5);
const FEATURES: [&str; 5] = ["force-ssl", "publicly-available", "redis-rdb", "redis-aof", "redis-cache"];

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
    if let Some(on) = change.get("periodic_backups_enabled").and_then(Value::as_bool) {
        database.periodic_backups = on;
    }
    let hours = match change.get("periodic_backups_scheduled_at") {
        Some(Value::Array(hours)) => hours.iter().filter_map(hour).collect(),
        Some(one) => hour(one).into_iter().collect(),
        None => database.backup_hours.clone(),
    };
    if hours.is_empty() {
        return Err(Refusal::invalid("periodic_backups_scheduled_at", "is invalid"));
    }
    database.backup_hours = hours;
    let window = |key: &str| change.get("maintenance_window")?.get(key)?.as_u64()?.try_into().ok();
    database.maintenance_weekday = window("weekday_utc").unwrap_or(database.maintenance_weekday);
    database.maintenance_hour = window("starting_hour_utc").unwrap_or(database.maintenance_hour);
    Ok(())
}

fn hour(value: &Value) -> Option<u32> {
    value.as_u64().filter(|hour| *hour < 24).and_then(|hour| u32::try_from(hour).ok())
}

/// `POST /databases/:id/features`: pending first, active a moment later.
pub(super) async fn enable(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path(id): Path<String>,
    input: Input,
) -> Answer {
    let name =
        input.maybe_wrapped("feature").get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    if !FEATURES.contains(&name.as_str()) {
        return Err(Refusal::NotFound("feature"));
    }
    let (shown, addon) = {
        let mut state = paas.state();
        let addon = opened_mut(&mut state, &session, &id)?;
        let features = &mut addon.database.features;
        let active =
            |wanted: &str| features.iter().any(|one| one.name == wanted && one.status == "ACTIVATED");
        if name == "publicly-available" && !active("force-ssl") {
            return Err(Refusal::BadRequest("force-ssl must be enabled first".into()));
        }
        let feature = Feature { name: name.clone(), status: "PENDING".into() };
        match features.iter().find(|one| one.name == name) {
            Some(known) => return Ok(Reply::ok(view::feature(known)).about(addon.resource_id.clone())),
            None => features.push(feature.clone()),
        }
        (view::feature(&feature), (addon.id.clone(), addon.resource_id.clone()))
    };
    paas.world.tasks.spawn("feature", activate(Arc::clone(&paas), addon.0, name));
    Ok(Reply::ok(shown).about(addon.1))
}

async fn activate(paas: Arc<Paas>, addon: String, name: String) {
    paas.world.clock.sleep(FEATURE_DELAY).await;
    if let Some(addon) = paas.state().addon_mut(&addon) {
        let pending = addon.database.features.iter_mut().filter(|feature| feature.name == name);
        pending.for_each(|feature| "ACTIVATED".clone_into(&mut feature.status));
    }
}

/// `DELETE /databases/:id/features?feature=`.
pub(super) async fn disable(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path(id): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Answer {
    let name = query.get("feature").cloned().unwrap_or_default();
    let mut state = paas.state();
    let addon = opened_mut(&mut state, &session, &id)?;
    let before = addon.database.features.len();
    addon.database.features.retain(|feature| feature.name != name);
    if addon.database.features.len() == before {
        return Err(Refusal::NotFound("feature"));
    }
    Ok(Reply::ok(message("feature disabled")).about(addon.resource_id.clone()))
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
    let node =
        json!([{"id": addon.database.instance, "type": "db-node", "status": "running", "role": "leader"}]);
    Ok(axum::Json(node).into_response())
}

/// `GET /database_type_versions/:id`: the one version there is.
pub(super) async fn version(Shared(paas): Shared<Arc<Paas>>, _: Session, Path(id): Path<String>) -> Reply {
    let mut parts =
        paas.plane.databases.version().split('.').map(|part| part.parse::<u32>().unwrap_or_default());
    let mut part = || parts.next().unwrap_or_default();
    Reply::ok(json!({"database_type_version": {
        "id": id, "database_type_id": "5d0b95b801dcea2f34b18f1a", "major": part(), "minor": part(), "patch": part(),
        "build": 1, "next_upgrade": null,
    }}))
}
