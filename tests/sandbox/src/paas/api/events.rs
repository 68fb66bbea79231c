//! Timelines of an app and of a user, and the catalogue of event types.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Path, Query, State as Shared};
use serde_json::{Value, json};

use super::projects;
use crate::paas::Paas;
use crate::paas::events::PLATFORM;
use crate::paas::reply::{Answer, Refusal, Reply};
use crate::paas::session::{Role, Session};
use crate::paas::state::{Event, State};
use crate::paas::view::date;

/// Events of a page, and at most.
const PAGE: usize = 20;
const MOST: usize = 100;

/// What a notifier can tell of, by category: a vocabulary of its own beside the timeline's kinds. Source: the vendor's Ruby client,
/// `samples/regional/events` (types and categories); the later types: its user documentation "App notifiers" and its changelog, which
/// name no category.
const CATEGORIES: &[(&str, &str, &[&str])] = &[
    (
        "app_operations",
        "App operations",
        &[
            "app_deployed",
            "app_restarted",
            "app_crashed",
            "app_crashed_repeated",
            "app_scaled",
            "app_stopped",
            "app_command_ran",
            "app_deleted",
            "app_transferred",
            "app_renamed",
            "app_alert_triggered",
            "app_edited",
            "app_project_updated",
            "app_region_migration_started",
            "alert_added",
            "alert_deleted",
        ],
    ),
    (
        "addons",
        "Addons",
        &[
            "addon_provisioned",
            "addon_resumed",
            "addon_suspended",
            "addon_plan_changed",
            "addon_db_upgraded",
            "addon_deleted",
            "addon_updated",
            "database_backup_succeeded",
            "database_backup_failed",
            "database_continuousbackup_healthy",
            "database_continuousbackup_delayed",
            "database_continuousbackup_stale",
            "database_maintenance_planned",
            "database_maintenance_started",
            "database_maintenance_completed",
        ],
    ),
    (
        "collaborators",
        "Collaborators",
        &[
            "collaborator_invited",
            "collaborator_accepted",
            "collaborator_removed",
            "collaborator_role_changed",
        ],
    ),
    ("domains", "Domains", &["domain_added", "domain_edited", "domain_removed"]),
    ("notifiers", "Notifiers", &["notifier_added", "notifier_edited", "notifier_removed"]),
    (
        "variables",
        "Variables",
        &["variable_added", "variable_edited", "variable_bulk_edited", "variable_removed"],
    ),
    ("github", "GitHub", &["github_link", "github_unlink"]),
    ("projects", "Projects", &["project_created", "project_edited", "project_deleted"]),
];

fn shown(state: &State, event: &Event) -> Value {
    let who = match state.user(&event.user) {
        Some(user) => json!({"id": user.id, "username": user.username, "email": user.email}),
        None if event.user == PLATFORM => json!({"id": "", "username": "deploy", "email": PLATFORM}),
        None => json!({"id": event.user, "username": "", "email": ""}),
    };
    json!({
        "id": event.id, "created_at": date(event.at), "user": who, "app_id": event.app_id, "app_name": event.app_name,
        "type": event.kind, "project_id": event.project_id, "project_name": event.project_name, "type_data": event.data,
    })
}

/// The `meta` of a page, as every paginated list has it.
pub(super) fn pagination(page: usize, size: usize, total: usize) -> Value {
    let pages = total.div_ceil(size).max(1);
    json!({"pagination": {
        "current_page": page, "prev_page": (page > 1).then(|| page - 1), "next_page": (page < pages).then(|| page + 1),
        "total_pages": pages, "total_count": total, "per_page": size,
    }})
}

/// The page and its size that a query names.
pub(super) fn paging(query: &HashMap<String, String>, most: usize) -> (usize, usize) {
    let number = |name: &str, default: usize| {
        query.get(name).and_then(|text| text.parse().ok()).filter(|number| *number > 0).unwrap_or(default)
    };
    (number("page", 1), number("per_page", PAGE).min(most))
}

fn page(state: &State, events: &[&Event], query: &HashMap<String, String>) -> Reply {
    let (page, size) = paging(query, MOST);
    let listed = events.iter().rev().skip((page - 1).saturating_mul(size)).take(size);
    Reply::ok(json!({
        "events": listed.map(|event| shown(state, event)).collect::<Value>(),
        "meta": pagination(page, size, events.len()),
    }))
}

/// `GET …/events`: newest first.
pub(super) async fn of_app(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path(key): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Answer {
    let state = paas.state();
    let id = &state.app_for(&session.user, &key, Role::Limited)?.id;
    let events: Vec<&Event> = state.events.iter().filter(|event| event.app_id == *id).collect();
    Ok(page(&state, &events, &query))
}

/// `GET /v1/events`: of the user, and of all apps that they see.
pub(super) async fn of_user(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Query(query): Query<HashMap<String, String>>,
) -> Reply {
    let state = paas.state();
    let seen = |event: &&Event| event.user == session.user || state.sees(&session.user, &event.app_id);
    let events: Vec<&Event> = state.events.iter().filter(seen).collect();
    page(&state, &events, &query)
}

/// `GET /v1/projects/:id/events`: of the project and of the apps in it.
pub(super) async fn of_project(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path(id): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Answer {
    let state = paas.state();
    let id = &projects::own(&state, &session, &id)?.id;
    let events: Vec<&Event> = state.events.iter().filter(|event| event.project_id == *id).collect();
    Ok(page(&state, &events, &query))
}

/// `GET …/events/:id`.
pub(super) async fn show(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path((key, id)): Path<(String, String)>,
) -> Answer {
    let state = paas.state();
    let app = &state.app_for(&session.user, &key, Role::Limited)?.id;
    let event = state.events.iter().find(|event| event.app_id == *app && event.id == id);
    Ok(Reply::ok(json!({"event": shown(&state, event.ok_or(Refusal::NotFound("event"))?)})))
}

/// The id of the event type or category of this name: the same in every world.
pub(super) fn type_id(name: &str) -> String {
    use sha2::Digest as _;
    hex::encode(sha2::Sha256::digest(name.as_bytes())).chars().take(24).collect()
}

/// Every event type's id.
pub(super) fn type_ids() -> Vec<String> {
    CATEGORIES.iter().flat_map(|(_, _, types)| *types).map(|name| type_id(name)).collect()
}

fn words(name: &str) -> String {
    let mut words = name.replace('_', " ");
    if let Some(first) = words.get_mut(0..1) {
        first.make_ascii_uppercase();
    }
    words
}

/// `GET /v1/event_types`, for anybody.
pub(super) async fn types() -> Reply {
    let named =
        CATEGORIES.iter().flat_map(|(category, _, types)| types.iter().map(move |name| (*category, *name)));
    let types = named.map(|(category, name)| {
        json!({
            "id": type_id(name), "category_id": type_id(category), "name": name, "display_name": words(name),
            "description": words(name), "template": "",
        })
    });
    Reply::ok(json!({"event_types": types.collect::<Value>()}))
}

/// `GET /v1/event_categories`, for anybody.
pub(super) async fn categories() -> Reply {
    let categories = CATEGORIES.iter().enumerate().map(|(position, (name, display, _))| {
        json!({"id": type_id(name), "name": name, "display_name": display, "position": position + 1})
    });
    Reply::ok(json!({"event_categories": categories.collect::<Value>()}))
}
