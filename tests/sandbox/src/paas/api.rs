//! The regional API (`/v1`), and the database API's other address (`/api`) that the newest SDK uses with a user's bearer.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use axum::routing::{get, patch, post, put};

use super::reply::Refusal;
use super::{Paas, dbapi, session};

mod addons;
mod apps;
mod collaborators;
mod dedicated;
mod deployments;
mod domains;
mod drains;
mod events;
mod logs;
mod observers;
mod offer;
mod one_offs;
mod processes;
mod projects;
mod scm;
mod sources;
mod streams;
mod transfers;
mod variables;

pub(super) use one_offs::Wanted;

/// All routes.
pub(super) fn router(paas: &Arc<Paas>) -> Router {
    let guarded = Router::new()
        .merge(about_apps())
        .merge(inside_apps())
        .merge(about_events())
        .merge(drains::routes())
        .merge(observers::routes())
        .merge(scm::routes())
        .merge(around_projects())
        .merge(dbapi::routes())
        .route_layer(middleware::from_fn_with_state(Arc::clone(paas), super::events::witness))
        .route_layer(middleware::from_fn_with_state(Arc::clone(paas), super::standing::check))
        .route_layer(middleware::from_fn_with_state(Arc::clone(paas), session::bearer));
    let open = Router::new()
        .route("/v1/addon_providers", get(offer::providers))
        .route("/v1/event_types", get(events::types))
        .route("/v1/event_categories", get(events::categories))
        .route("/v1/addon_providers/{id}/plans", get(offer::plans))
        .route("/v1/addon_categories", get(offer::categories))
        .route("/v1/notification_platforms", get(observers::platforms))
        .route("/v1/notification_platforms/search", get(observers::search_platforms))
        .route("/apps/{app}", get(streams::deployments))
        .route("/logs/{app}", get(logs::read))
        .route("/sources/upload", put(sources::upload).layer(DefaultBodyLimit::disable()))
        .route("/sources/download", get(sources::download))
        .merge(dbapi::open_routes());
    open.merge(guarded).fallback(async || Refusal::NotFound("route")).with_state(Arc::clone(paas))
}

pub(super) use apps::NewApp;
pub(super) use logs::event as log_event;
pub(super) use processes::new_type;
pub(super) use streams::relay;
pub(super) use variables::set as set_variable;

type Routes = Router<Arc<Paas>>;

fn about_apps() -> Routes {
    Router::new()
        .route("/v1/apps", get(apps::list).post(apps::create))
        .route("/v1/apps/collaboration", get(collaborators::accept))
        .route("/v1/apps/{app}", get(apps::show).patch(apps::update).put(apps::update).delete(apps::delete))
        .route("/v1/apps/{app}/rename", post(apps::rename))
        .route("/v1/apps/{app}/child_apps", post(apps::create_child))
        .route("/v1/projects", get(projects::list).post(projects::create))
        .route("/v1/projects/{id}", get(projects::show).patch(projects::update).delete(projects::delete))
        .route("/v1/collaborators", get(collaborators::list_all))
        .route("/v1/sources", post(sources::create))
        .route("/v1/features/container_sizes", get(offer::container_sizes))
        .route("/v1/features/stacks", get(offer::stacks))
}

fn about_events() -> Routes {
    Router::new()
        .route("/v1/events", get(events::of_user))
        .route("/v1/apps/{app}/events", get(events::of_app))
        .route("/v1/apps/{app}/events/{id}", get(events::show))
        .route("/v1/apps/{app}/logs", get(logs::address))
        .route("/v1/apps/{app}/logs_archives", get(logs::archives))
        .route("/v1/apps/{app}/stats", get(processes::stats))
        .route("/v1/apps/{app}/cron_tasks", get(processes::cron_tasks))
}

fn inside_apps() -> Routes {
    Router::new()
        .route("/v1/apps/{app}/containers", get(processes::formation))
        .route("/v1/apps/{app}/ps", get(processes::running))
        .route("/v1/apps/{app}/scale", post(processes::scale))
        .route("/v1/apps/{app}/restart", post(processes::restart))
        .route("/v1/apps/{app}/operations/{id}", get(processes::operation))
        .route("/v1/apps/{app}/run", post(one_offs::run))
        .route("/v1/apps/{app}/containers/{id}/stop", post(one_offs::stop))
        .route("/v1/apps/{app}/containers/{id}/kill", post(one_offs::kill))
        .route(
            "/v1/apps/{app}/variables",
            get(variables::list)
                .post(variables::create)
                .put(variables::upsert)
                .delete(variables::delete_many),
        )
        .route("/v1/apps/{app}/variables/{id}", patch(variables::update).delete(variables::delete))
        .route("/v1/apps/{app}/addons", get(addons::list).post(addons::create))
        .route("/v1/apps/{app}/addons/{id}", get(addons::show).patch(addons::change).delete(addons::delete))
        .route("/v1/apps/{app}/addons/{id}/token", post(addons::token))
        .route("/v1/apps/{app}/addons/{id}/sso", get(addons::sso).post(addons::sso))
        .route("/v1/apps/{app}/collaborators", get(collaborators::list).post(collaborators::invite))
        .route(
            "/v1/apps/{app}/collaborators/{id}",
            patch(collaborators::update).delete(collaborators::delete),
        )
        .route("/v1/apps/{app}/private_network_domain_names", get(domains::private))
        .route("/v1/apps/{app}/domains", get(domains::list).post(domains::create))
        .route(
            "/v1/apps/{app}/domains/{id}",
            get(domains::show).patch(domains::update).delete(domains::delete),
        )
        .route("/v1/apps/{app}/deployments", get(deployments::list).post(deployments::create))
        .route("/v1/apps/{app}/deployments/{id}", get(deployments::show))
        .route("/v1/apps/{app}/deployments/{id}/output", get(deployments::output))
        .route("/v1/apps/{app}/caches/deployment", axum::routing::delete(deployments::reset_cache))
}

fn around_projects() -> Routes {
    let invitation = "/v1/projects/{id}/transfer_invitations/{invitation}";
    Router::new()
        .route("/v1/projects/{id}/eligible_new_owners", get(transfers::eligible_new_owners))
        .route("/v1/projects/{id}/transfer_invitations", get(transfers::list).post(transfers::create))
        .route("/v1/projects/{id}/events", get(events::of_project))
        .route(invitation, get(transfers::show).patch(transfers::update))
        .route(&format!("{invitation}/accept"), post(transfers::accept).patch(transfers::accept))
        .route(&format!("{invitation}/decline"), post(transfers::decline).patch(transfers::decline))
        .route(&format!("{invitation}/cancel"), post(transfers::cancel).patch(transfers::cancel))
        .route("/v1/databases", get(dedicated::list).post(dedicated::create))
        .route("/v1/databases/{id}", get(dedicated::show))
        .merge(dbapi::routes_of_later_clients())
        .route("/v1/apps/{app}/addons/{id}/resume", post(addons::resume))
}
