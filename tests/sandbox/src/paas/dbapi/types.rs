//! Kinds of databases and their versions, and what a plan promises: what the newest SDK asks besides the database itself.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Path, Query, State as Shared};
use serde_json::{Value, json};

use super::{opened, running};
use crate::paas::catalogue::{self, PROVIDERS, Plan, Provider};
use crate::paas::reply::{Answer, Refusal, Reply};
use crate::paas::session::Session;
use crate::paas::work::backup;
use crate::paas::{Paas, view};

/// Since when this world's kinds and versions are known.
const KNOWN_SINCE: &str = "2026-01-01T00:00:00.000Z";

fn kind(one: &Provider) -> Value {
    json!({
        "id": view::type_id(one.id), "name": one.id, "logo_url": view::logo(one), "short_description": one.name,
        "description": "", "created_at": KNOWN_SINCE, "updated_at": KNOWN_SINCE,
    })
}

/// The one version of a kind: the installed one.
fn version_of(paas: &Paas, provider: &str) -> Value {
    let readable = view::readable_version(paas, provider);
    let mut parts = readable.split(['.', '-']).map(|part| part.parse::<u32>().unwrap_or_default());
    let mut part = || parts.next().unwrap_or_default();
    json!({
        "id": view::version_id(provider), "database_type_id": view::type_id(provider), "created_at": KNOWN_SINCE,
        "updated_at": KNOWN_SINCE, "features": [], "next_upgrade": null, "allowed_plugins": [],
        "major": part(), "minor": part(), "patch": part(), "build": part(),
    })
}

/// `GET /database_types`.
pub(super) async fn list(_: Session) -> Reply {
    Reply::ok(json!({"database_types": PROVIDERS.iter().map(kind).collect::<Value>()}))
}

fn found(id: &str) -> Result<&'static Provider, Refusal> {
    let known = PROVIDERS.iter().find(|one| view::type_id(one.id) == id || one.id == id);
    known.ok_or(Refusal::NotFound("database_type"))
}

/// `GET /database_types/:id`.
pub(super) async fn show(_: Session, Path(id): Path<String>) -> Answer {
    Ok(Reply::ok(json!({"database_type": kind(found(&id)?)})))
}

/// `GET /database_types/:id/versions`.
pub(super) async fn versions(Shared(paas): Shared<Arc<Paas>>, _: Session, Path(id): Path<String>) -> Answer {
    Ok(Reply::ok(json!({"database_type_versions": [version_of(&paas, found(&id)?.id)]})))
}

/// `GET /database_type_versions/:id`.
pub(super) async fn version(Shared(paas): Shared<Arc<Paas>>, _: Session, Path(id): Path<String>) -> Answer {
    let known = PROVIDERS.iter().find(|one| view::version_id(one.id) == id);
    let known = known.ok_or(Refusal::NotFound("database_type_version"))?;
    Ok(Reply::ok(json!({"database_type_version": version_of(&paas, known.id)})))
}

/// `GET /databases/:id/plan`: what it promises, in megabytes and in backups.
pub(super) async fn plan(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path(id): Path<String>,
) -> Answer {
    let state = paas.state();
    let (_, addon) = opened(&state, &session, &id)?;
    let plan = catalogue::provider(&addon.provider).and_then(|provider| provider.plan(&addon.plan_id));
    let (_, plan) = plan.ok_or(Refusal::NotFound("plan"))?;
    Ok(Reply::ok(json!({"plan": promises(&addon.provider, plan)})))
}

/// `GET /plans/:name?type=`: the same of any plan, by its name; one of another kind of database is not found.
pub(super) async fn plan_named(
    _: Session,
    Path(name): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Answer {
    let kind = query.get("type").map_or("", String::as_str);
    let mut all = PROVIDERS.iter().filter(|one| kind.is_empty() || one.id == kind);
    let found = all.find_map(|one| Some((one.id, one.plan_named(&name)?)));
    let (provider, plan) = found.ok_or(Refusal::NotFound("plan"))?;
    Ok(Reply::ok(json!({"plan": promises(provider, plan)})))
}

fn promises(provider: &str, plan: &Plan) -> Value {
    let memory = plan.name.rsplit('-').next().and_then(|size| size.parse::<u64>().ok()).unwrap_or(256);
    let keep = backup::promised(plan);
    json!({
        "id": plan.id, "name": plan.name, "backup": provider == "postgresql", "memory": memory,
        "disk": memory * 20, "manual_backups_count": keep.manual, "daily_scheduled_backups": keep.daily,
        "weekly_scheduled_backups": keep.weekly, "monthly_scheduled_backups": keep.monthly, "pitr_backup_days": 0,
        "gateway_nodes": 0,
    })
}

/// `POST /databases/:id/ping`: whether the server answers.
pub(super) async fn ping(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path(id): Path<String>,
) -> Answer {
    let addon = running(&paas.state(), &session, &id)?;
    let answer = paas.plane.databases.rows(&addon.resource_id, "SELECT 1 AS ok", &[]).await;
    Ok(Reply::ok(match answer {
        Ok(_) => json!({"ok": 1}),
        Err(error) => json!({"ok": 0, "error": error.to_string()}),
    }))
}

/// `GET /databases/:id/lag`: a single node follows nobody.
pub(super) async fn lag(Shared(paas): Shared<Arc<Paas>>, session: Session, Path(id): Path<String>) -> Answer {
    opened(&paas.state(), &session, &id)?;
    Ok(Reply::ok(json!({"lag": 0})))
}
