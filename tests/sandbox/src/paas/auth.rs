//! The auth API (`/v1` of one host for all regions): tokens, keys, the user, the regions.

use std::sync::Arc;

use axum::Router;
use axum::extract::State as Shared;
use axum::http::{HeaderMap, header};
use axum::middleware;
use axum::routing::{delete, get, patch, post};
use serde_json::json;

use super::reply::{Answer, Refusal, Reply};
use super::session::{self, Session};
use super::{Paas, REGION, Urls, view};

mod integrations;
mod keys;
mod tokens;

pub(super) use integrations::shown as integration_shown;

/// All routes.
pub(super) fn router(paas: &Arc<Paas>) -> Router {
    let guarded = Router::new()
        .route("/v1/tokens/{id}/renew", patch(tokens::renew))
        .route("/v1/tokens/{id}", delete(tokens::delete))
        .route("/v1/users/self", get(myself))
        .route("/v1/users/stop_free_trial", post(stop_free_trial))
        .route("/v1/keys", get(keys::list).post(keys::create))
        .route("/v1/keys/{id}", get(keys::show).delete(keys::delete))
        .route("/v1/tokens", get(tokens::list))
        .route("/v1/scm_integrations", get(integrations::list).post(integrations::create))
        .route("/v1/scm_integrations/{id}", get(integrations::show).delete(integrations::delete))
        .route("/v1/scm_integrations/{id}/import_keys", post(integrations::import_keys))
        .route_layer(middleware::from_fn_with_state(Arc::clone(paas), super::events::witness))
        .route_layer(middleware::from_fn_with_state(Arc::clone(paas), session::bearer));
    Router::new()
        .route("/v1/tokens/exchange", post(tokens::exchange))
        .route("/v1/tokens", post(tokens::create))
        .route("/v1/regions", get(regions))
        .merge(guarded)
        .fallback(no_such_route)
        .with_state(Arc::clone(paas))
}

/// A web page, as the vendor's framework answers what it does not know; JSON for a client that asked for that.
async fn no_such_route(headers: HeaderMap) -> Refusal {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let wants_json = accepted.into_iter().any(|kinds| kinds.contains("application/json"));
    if wants_json { Refusal::NotFound("route") } else { Refusal::NotFoundPage }
}

async fn myself(Shared(paas): Shared<Arc<Paas>>, session: Session) -> Answer {
    let state = paas.state();
    let user = state.user(&session.user).ok_or(Refusal::NotFound("user"))?;
    Ok(Reply::ok(json!({"user": view::myself(user)})))
}

/// Ends a trial, also one that is over: from now on what costs is billed.
async fn stop_free_trial(Shared(paas): Shared<Arc<Paas>>, _: Session) -> Reply {
    paas.state().standing.trial_over = false;
    Reply::ok(json!({}))
}

/// The region, under the names by which somebody came: a client that has them built in goes on by them.
async fn regions(Shared(paas): Shared<Arc<Paas>>, headers: HeaderMap) -> Reply {
    let by_name = session::is_by_name(&headers);
    let (urls, ssh) = (if by_name { Urls::named() } else { paas.urls() }, paas.ssh_endpoint(by_name));
    Reply::ok(json!({"regions": [{
        "name": REGION, "display_name": "Paris - Outscale", "ssh": ssh, "api": urls.api,
        "database_api": urls.database, "dashboard": urls.auth, "default": true,
    }]}))
}
