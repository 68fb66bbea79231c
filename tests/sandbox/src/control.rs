//! The control API: what there is, what happened, what shall go wrong, how late it is, and what is lost.
//!
//! It speaks for the world, not for a vendor: plain JSON, no credentials, loopback only.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::estate;
use crate::http;
use crate::sandbox::Parts;
use crate::world::World;

mod account;
mod caa;
mod code_host;
mod evidence;
mod faults;
mod page;
mod rates;
mod support;

pub(crate) mod life;

/// What is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Disaster {
    /// The estate is listed and its backups download, but nothing runs, database and bucket are empty, DNS is stale.
    Data,
    /// Everything of the account is gone, backups and source buckets too.
    Account,
}

/// Serves the control API of a sandbox.
pub(crate) async fn serve(world: &Arc<World>, parts: &Arc<Parts>) -> std::io::Result<SocketAddr> {
    evidence::witness(parts);
    let router = Router::new()
        .route("/", get(page::show))
        .route("/inventory", get(inventory))
        .route("/journal", get(evidence::journal))
        .route("/calls", get(evidence::calls))
        .route("/findings", get(evidence::findings))
        .route("/faults", get(faults::list).post(faults::add).delete(faults::clear))
        .route("/faults/{id}", delete(faults::remove))
        .route("/rates", get(rates::show).post(rates::set))
        .route("/support/backups", get(support::list))
        .route("/support/backups/{id}", get(support::fetch))
        .route("/github", get(code_host::show).post(code_host::set))
        .route("/account", get(account::show).post(account::set))
        .route("/caa", get(caa::list).post(caa::set))
        .route("/clock", get(clock).post(advance))
        .route("/disaster", post(disaster))
        .merge(life::router())
        .layer(middleware::from_fn(same_origin))
        .with_state(Arc::clone(parts));
    http::serve(world, "control", router).await
}

type Shared = State<Arc<Parts>>;

async fn inventory(State(parts): Shared) -> Json<Value> {
    Json(parts.inventory())
}

/// A page of somebody else in the same browser has no business here: what it sends says where it comes from.
async fn same_origin(request: Request, next: Next) -> Response {
    if is_foreign(request.headers()) {
        return (StatusCode::FORBIDDEN, "the control API is not for pages of other origins\n")
            .into_response();
    }
    next.run(request).await
}

fn is_foreign(headers: &HeaderMap) -> bool {
    let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(origin) = text(header::ORIGIN) else { return false };
    text(header::HOST).is_none_or(|host| origin != format!("http://{host}"))
}

async fn clock(State(parts): Shared) -> Json<Value> {
    let clock = &parts.world.clock;
    Json(
        json!({"elapsed_seconds": clock.elapsed().as_secs_f64(), "speed": clock.speed(), "wall": clock.wall()}),
    )
}

/// A step of the clock.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Advance {
    advance_seconds: f64,
}

async fn advance(State(parts): Shared, body: Bytes) -> Result<Json<Value>, Wrong> {
    let wanted = parsed::<Advance>(&body)?.advance_seconds;
    let by =
        Duration::try_from_secs_f64(wanted).map_err(|error| Wrong(format!("advance_seconds: {error}")))?;
    parts.world.clock.advance(by);
    Ok(clock(State(parts)).await)
}

/// A disaster to be.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Happening {
    kind: Disaster,
}

async fn disaster(State(parts): Shared, body: Bytes) -> Result<StatusCode, Response> {
    let Happening { kind } = parsed(&body).map_err(IntoResponse::into_response)?;
    match estate::strike(&parts, kind).await {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(error) => {
            tracing::error!(%error, "the disaster was not complete");
            Err((StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response())
        }
    }
}

/// A body that is not what was asked for.
#[derive(Debug)]
struct Wrong(String);

impl IntoResponse for Wrong {
    fn into_response(self) -> Response {
        (StatusCode::BAD_REQUEST, Json(json!({"error": self.0}))).into_response()
    }
}

/// The body, whatever its `Content-Type`: this API is used with curl.
fn parsed<T: for<'de> Deserialize<'de>>(body: &[u8]) -> Result<T, Wrong> {
    serde_json::from_slice(body).map_err(|error| Wrong(error.to_string()))
}
