//! Switches of a database: asked for, pending for a moment, then in force.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Query, State as Shared};
use serde_json::Value;

use super::{message, opened, opened_mut};
use crate::paas::reply::{Answer, Input, Refusal, Reply};
use crate::paas::session::Session;
use crate::paas::state::{Addon, Feature};
use crate::paas::{Paas, view};

/// World time from asking for a switch to having it.
const DELAY: Duration = Duration::from_secs(5);
const FORCE_SSL: &str = "force-ssl";
const PUBLIC: &str = "publicly-available";
/// What every kind of database has.
const COMMON: [&str; 2] = [FORCE_SSL, PUBLIC];
/// What Redis has besides; the first of them from the start.
const OF_REDIS: [&str; 3] = ["redis-rdb", "redis-aof", "redis-cache"];

/// What a database has from the start. Source: developer documentation, "Databases", "Enable feature".
pub(in crate::paas) fn at_first(provider: &str) -> Vec<Feature> {
    let by_default: &[&str] = if provider == "redis" { &OF_REDIS[..1] } else { &[] };
    by_default
        .iter()
        .map(|name| Feature { name: (*name).to_owned(), status: "ACTIVATED".to_owned() })
        .collect()
}

fn is_offered(addon: &Addon, feature: &str) -> bool {
    COMMON.contains(&feature) || (addon.provider == "redis" && OF_REDIS.contains(&feature))
}

fn is_active(addon: &Addon, feature: &str) -> bool {
    addon.database.features.iter().any(|one| one.name == feature && one.status == "ACTIVATED")
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
    let (shown, addon) = {
        let mut state = paas.state();
        let addon = opened_mut(&mut state, &session, &id)?;
        if !is_offered(addon, &name) {
            return Err(Refusal::NotFound("feature"));
        }
        if !addon.is_running() {
            return Err(Refusal::BadRequest("database is not running".into()));
        }
        if name == PUBLIC && !is_active(addon, FORCE_SSL) {
            return Err(Refusal::BadRequest("force-ssl must be enabled first".into()));
        }
        if addon.database.features.iter().any(|one| one.name == name) {
            return Err(Refusal::BadRequest(format!("feature '{name}' is already setup on this database")));
        }
        let feature = Feature { name: name.clone(), status: "PENDING".into() };
        addon.database.features.push(feature.clone());
        (view::feature(&feature), addon.clone())
    };
    paas.world.tasks.spawn("feature", activate(Arc::clone(&paas), addon.id, name));
    Ok(Reply::ok(shown).about(addon.resource_id))
}

async fn activate(paas: Arc<Paas>, addon: String, name: String) {
    paas.world.clock.sleep(DELAY).await;
    let mut state = paas.state();
    let Some(addon) = state.addon_mut(&addon) else { return };
    let resource = addon.resource_id.clone();
    let provider = addon.provider.clone();
    for feature in addon.database.features.iter_mut().filter(|feature| feature.name == name) {
        feature.status =
            if switch(&paas, &provider, &resource, &name, true) { "ACTIVATED" } else { "FAILED" }.into();
    }
}

/// Every switch of `addon` that is in force, thrown again: a server that is started anew has them all off.
pub(in crate::paas) fn switch_on(paas: &Paas, addon: &Addon) {
    for feature in addon.database.features.iter().filter(|feature| feature.status == "ACTIVATED") {
        switch(paas, &addon.provider, &addon.resource_id, &feature.name, true);
    }
}

/// Does what the switch says; `false` if it could not. A server that is started anew has all its switches off.
pub(in crate::paas) fn switch(paas: &Paas, provider: &str, resource: &str, feature: &str, on: bool) -> bool {
    let done = match (provider, feature) {
        ("postgresql", FORCE_SSL) => {
            paas.plane.databases.force_tls(resource, on).map_err(|error| error.to_string())
        }
        ("postgresql", PUBLIC) => {
            paas.plane.databases.publish(resource, on).map_err(|error| error.to_string())
        }
        ("redis", FORCE_SSL) => paas.plane.redis.force_tls(resource, on).map_err(|error| error.to_string()),
        // A Redis of this world is reached by every process of the machine anyway, and keeps nothing.
        _ => Ok(()),
    };
    if let Err(error) = &done {
        tracing::error!(resource, feature, error, "could not switch a feature");
    }
    done.is_ok()
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
    let (_, addon) = opened(&state, &session, &id)?;
    if !addon.database.features.iter().any(|feature| feature.name == name) {
        return Err(Refusal::NotFound("feature"));
    }
    if name == FORCE_SSL && addon.database.features.iter().any(|feature| feature.name == PUBLIC) {
        return Err(Refusal::BadRequest("force-ssl is needed by publicly-available".into()));
    }
    let addon = opened_mut(&mut state, &session, &id)?;
    switch(&paas, &addon.provider, &addon.resource_id, &name, false);
    addon.database.features.retain(|feature| feature.name != name);
    Ok(Reply::ok(message("feature disabled")).about(addon.resource_id.clone()))
}
