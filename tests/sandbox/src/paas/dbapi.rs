//! The database API (`/api`): one addon token opens one database. The newest SDK reaches the same through the regional host
//! with a user's bearer; both are answered.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State as Shared};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, patch, post};
use serde_json::json;

use super::reply::{Answer, Refusal, Reply};
use super::rights::Action;
use super::session::Session;
use super::state::{Addon, App, State};
use super::{Paas, session};

mod actions;
mod backups;
mod databases;
mod download;
pub(super) mod features;
mod logs;
mod observe;
mod restorations;
mod types;
mod users;

/// The database API's own host.
pub(super) fn router(paas: &Arc<Paas>) -> Router {
    let guarded = routes()
        .route_layer(middleware::from_fn_with_state(Arc::clone(paas), super::events::witness))
        .route_layer(middleware::from_fn_with_state(Arc::clone(paas), session::database_bearer));
    let open = open_routes().fallback(async || Refusal::NotFound("route"));
    open.merge(guarded).with_state(Arc::clone(paas))
}

/// What needs a bearer.
pub(super) fn routes() -> Router<Arc<Paas>> {
    about_one("/api")
        .route("/api/databases/{id}", get(databases::show))
        .route("/api/databases/{id}/upgrade", post(databases::upgrade))
        .route("/api/databases/{id}/instances_status", get(databases::instances))
        .route("/api/databases/{id}/backups/{backup}", get(backups::show))
        .route("/api/databases/{id}/backups/{backup}/restore", post(restorations::restore))
        .route("/api/databases/{id}/backup_restorations/{restoration}", get(restorations::show))
        .route("/api/databases/{id}/action", post(actions::act))
        .route("/api/databases/{id}/metrics", get(observe::metrics))
        .route("/api/operations/{id}", get(observe::operation))
        .merge(about_types())
}

/// What later Go clients (the command line's, Terraform's) ask of the regional host's own API, with a user's bearer and no addon
/// token. `GET /v1/databases/:id` is shared with the databases on dedicated resources, in [`show_or`].
pub(super) fn routes_of_later_clients() -> Router<Arc<Paas>> {
    about_one("/v1")
}

/// The addon's database by its id on the regional host's own API, or else `other`.
pub(super) async fn show_or(paas: Arc<Paas>, session: Session, id: String, other: Response) -> Response {
    let is_addon = paas.state().addon(&id).is_some();
    if is_addon { databases::show(Shared(paas), session, Path(id)).await.into_response() } else { other }
}

/// What the vendor's Go client does with one database: on the database API's host under `/api`, later under `/v1` of the region's.
fn about_one(prefix: &str) -> Router<Arc<Paas>> {
    let one = format!("{prefix}/databases/{{id}}");
    let below = |rest: &str| format!("{one}/{rest}");
    Router::new()
        .route(&one, patch(databases::update).put(databases::update))
        .route(&below("features"), post(features::enable).delete(features::disable))
        .route(&below("pitr/recovery_window"), get(no_window))
        .route(&below("pitr/restore"), post(no_pitr))
        .route(&below("users"), get(users::list).post(users::create))
        .route(&below("users/{name}"), patch(users::update).delete(users::delete))
        .route(
            &below("users/{name}/reset_password"),
            post(users::reset_password).patch(users::reset_password),
        )
        .route(&below("backups"), get(backups::list).post(backups::create))
        .route(&below("backups/{backup}/archive"), get(backups::archive))
        .route(&below("logs"), get(logs::address))
        .route(&below("logs_archives"), get(logs::archives))
        .route(&below("maintenance"), get(observe::maintenance))
        .route(&below("maintenance/{one}"), get(observe::one_maintenance))
        .route(&format!("{prefix}/backups/{{backup}}"), get(backups::show_alone))
        .route(&format!("{prefix}/database_type_versions/{{id}}"), get(types::version))
}

fn about_types() -> Router<Arc<Paas>> {
    Router::new()
        .route("/api/database_types", get(types::list))
        .route("/api/database_types/{id}", get(types::show))
        .route("/api/database_types/{id}/versions", get(types::versions))
        .route("/api/databases/{id}/plan", get(types::plan))
        .route("/api/plans/{name}", get(types::plan_named))
        .route("/api/databases/{id}/ping", post(types::ping))
        .route("/api/databases/{id}/lag", get(types::lag))
        .route("/api/databases/{id}/operations/{operation}", get(observe::operation_of))
}

/// What needs none: pre-signed downloads.
pub(super) fn open_routes() -> Router<Arc<Paas>> {
    Router::new()
        .route("/api/databases/{id}/backups/{backup}/download", get(download::download))
        .route("/api/databases/{id}/logs/read", get(logs::read))
        .route("/api/ca_certificate", get(observe::ca_certificate))
}

/// The recovery window of a database whose first base backup is not made yet, as it is during the first day at the vendor's.
async fn no_window(Shared(paas): Shared<Arc<Paas>>, session: Session, Path(id): Path<String>) -> Answer {
    running(&paas.state(), &session, &id)?;
    let window = json!({"earliest_recoverable_at": null, "latest_recoverable_at": null});
    Ok(Reply::ok(json!({"recovery_window": window})))
}

/// Point-in-time recovery is not offered by this world.
async fn no_pitr(Shared(paas): Shared<Arc<Paas>>, session: Session, Path(id): Path<String>) -> Answer {
    running(&paas.state(), &session, &id)?;
    Err(Refusal::BadRequest("point-in-time recovery is not available for this database".into()))
}

/// The addon that a session may touch under the name `key`.
fn opened<'a>(state: &'a State, session: &Session, key: &str) -> Result<(&'a App, &'a Addon), Refusal> {
    let found = state.addon(key);
    match (&session.addon, found) {
        // The token of another database is refused the same way whether the named one exists or not.
        (Some(id), Some((app, addon))) if addon.id == *id => Ok((app, addon)),
        (Some(_), _) => Err(Refusal::BadRequest("unauthorized".into())),
        (None, Some((app, addon))) => {
            state.app_to(&session.user, &app.id, Action::Addons)?;
            Ok((app, addon))
        }
        (None, None) => Err(Refusal::NotFound("database")),
    }
}

/// As [`opened`], to change it.
fn opened_mut<'a>(state: &'a mut State, session: &Session, key: &str) -> Result<&'a mut Addon, Refusal> {
    opened(state, session, key)?;
    state.addon_mut(key).ok_or(Refusal::NotFound("database"))
}

/// As [`opened_mut`], of a `PostgreSQL` that runs.
fn running(state: &State, session: &Session, key: &str) -> Result<Addon, Refusal> {
    let (_, addon) = opened(state, session, key)?;
    if addon.provider != "postgresql" {
        return Err(Refusal::BadRequest("this operation is not available for this type of database".into()));
    }
    running_of_any_kind(state, session, key)
}

/// As [`running`], a Redis included.
fn running_of_any_kind(state: &State, session: &Session, key: &str) -> Result<Addon, Refusal> {
    let (_, addon) = opened(state, session, key)?;
    if addon.is_running() {
        Ok(addon.clone())
    } else {
        Err(Refusal::BadRequest("database is not running".into()))
    }
}

/// What an answer says that carries nothing else.
fn message(text: &str) -> serde_json::Value {
    json!({"message": text})
}
