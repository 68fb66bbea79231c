//! Timelines of an app and of a user, and the catalogue of event types.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Path, Query, State as Shared};
use serde_json::{Value, json};

use crate::paas::Paas;
use crate::paas::reply::{Answer, Refusal, Reply};
use crate::paas::session::{Role, Session};
use crate::paas::state::{Event, State};
use crate::paas::view::date;

/// Events of a page, and at most.
const PAGE: usize = 20;
const MOST: usize = 100;

/// Kinds of events with the category that they are listed in.
const TYPES: &[(&str, &str)] = &[
    ("new_app", "app"),
    ("edit_app", "app"),
    ("delete_app", "app"),
    ("rename_app", "app"),
    ("restart", "app"),
    ("scale", "app"),
    ("stop_app", "app"),
    ("crash", "app"),
    ("repeated_crash", "app"),
    ("deployment", "app"),
    ("link_scm", "app"),
    ("update_scm", "app"),
    ("unlink_scm", "app"),
    ("run", "app"),
    ("new_domain", "app"),
    ("edit_domain", "app"),
    ("delete_domain", "app"),
    ("stack_changed", "app"),
    ("new_addon", "addon"),
    ("upgrade_addon", "addon"),
    ("delete_addon", "addon"),
    ("database_backup_succeeded", "addon"),
    ("database_backup_failed", "addon"),
    ("database_continuousbackup_healthy", "addon"),
    ("database_continuousbackup_delayed", "addon"),
    ("database_continuousbackup_stale", "addon"),
    ("new_collaborator", "collaborator"),
    ("accept_collaborator", "collaborator"),
    ("delete_collaborator", "collaborator"),
    ("change_collaborator_role", "collaborator"),
    ("new_variable", "environment"),
    ("edit_variable", "environment"),
    ("edit_variables", "environment"),
    ("delete_variable", "environment"),
    ("new_key", "user"),
    ("delete_key", "user"),
    ("new_token", "user"),
    ("regenerate_token", "user"),
    ("delete_token", "user"),
    ("new_alert", "alert"),
    ("alert", "alert"),
    ("delete_alert", "alert"),
    ("new_autoscaler", "alert"),
    ("edit_autoscaler", "alert"),
    ("delete_autoscaler", "alert"),
    ("new_log_drain", "app"),
    ("delete_log_drain", "app"),
    ("new_notifier", "app"),
    ("edit_notifier", "app"),
    ("delete_notifier", "app"),
    ("new_project", "project"),
    ("edit_project", "project"),
    ("delete_project", "project"),
];
const CATEGORIES: &[&str] = &["app", "addon", "collaborator", "environment", "alert", "user", "project"];

fn shown(state: &State, event: &Event) -> Value {
    let user = state.user(&event.user);
    let who = user.map_or_else(
        || json!({"id": event.user, "username": "", "email": ""}),
        |user| json!({"id": user.id, "username": user.username, "email": user.email}),
    );
    // The name of now: an app keeps its timeline when it is renamed.
    let name = state.app(&event.app_id).map_or(&event.app_name, |app| &app.name);
    json!({
        "id": event.id, "created_at": date(event.at), "user": who, "app_id": event.app_id, "app_name": name,
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
    TYPES.iter().map(|(name, _)| type_id(name)).collect()
}

fn words(name: &str) -> String {
    let mut words = name.replace(['_', '/'], " ");
    if let Some(first) = words.get_mut(0..1) {
        first.make_ascii_uppercase();
    }
    words
}

/// `GET /v1/event_types`, for anybody.
pub(super) async fn types() -> Reply {
    let types = TYPES.iter().map(|(name, category)| {
        json!({
            "id": type_id(name), "category_id": type_id(category), "name": name, "display_name": words(name),
            "description": words(name), "template": "",
        })
    });
    Reply::ok(json!({"event_types": types.collect::<Value>()}))
}

/// `GET /v1/event_categories`, for anybody.
pub(super) async fn categories() -> Reply {
    let categories = CATEGORIES.iter().enumerate().map(|(position, name)| {
        json!({"id": type_id(name), "name": name, "display_name": words(name), "position": position + 1})
    });
    Reply::ok(json!({"event_categories": categories.collect::<Value>()}))
}
