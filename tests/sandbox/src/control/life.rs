//! Control of the world as a whole: back to its beginning, put aside, brought back.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;

use super::parsed;
use crate::sandbox::Parts;
use crate::sandbox::life::{self, LifeError};
use crate::seed::Size;

type Shared = State<Arc<Parts>>;

/// The routes of this module.
pub(super) fn router() -> Router<Arc<Parts>> {
    Router::new()
        .route("/reset", post(reset))
        .route("/seed", post(seed))
        .route("/snapshots", get(list).post(take))
        .route("/snapshots/{name}", delete(remove))
        .route("/snapshots/{name}/restore", post(restore))
}

async fn reset(State(parts): Shared) -> Response {
    done(whole(&parts, |parts| async move { life::reset(&parts, None).await }).await)
}

/// Runs `work` to its end, whether or not whoever asked for it stays: half a world is of no use.
async fn whole<F>(parts: &Arc<Parts>, work: impl FnOnce(Arc<Parts>) -> F) -> Result<(), LifeError>
where
    F: Future<Output = Result<(), LifeError>> + Send + 'static,
{
    let (done, result) = tokio::sync::oneshot::channel();
    let work = work(Arc::clone(parts));
    // Nobody may be left to be told.
    parts.world.tasks.spawn("life", async move { drop(done.send(work.await)) });
    result.await.unwrap_or(Err(LifeError::NotReady))
}

/// Another amount of content.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sowing {
    size: String,
}

async fn seed(State(parts): Shared, body: Bytes) -> Response {
    let sowing: Sowing = match parsed(&body) {
        Ok(sowing) => sowing,
        Err(wrong) => return wrong.into_response(),
    };
    match Size::from_name(&sowing.size) {
        Some(size) => {
            done(whole(&parts, move |parts| async move { life::reset(&parts, Some(size)).await }).await)
        }
        None => told(StatusCode::BAD_REQUEST, "size: expected small, medium or large"),
    }
}

async fn list(State(parts): Shared) -> Response {
    match life::list(&parts) {
        Ok(snapshots) => Json(json!({"snapshots": snapshots})).into_response(),
        Err(error) => refused(&error),
    }
}

/// A snapshot to be.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    name: String,
}

async fn take(State(parts): Shared, body: Bytes) -> Response {
    let wanted: Wanted = match parsed(&body) {
        Ok(wanted) => wanted,
        Err(wrong) => return wrong.into_response(),
    };
    let name = wanted.name.clone();
    match whole(&parts, |parts| async move { life::take(&parts, &name).await }).await {
        Ok(()) => (StatusCode::CREATED, Json(json!({"name": wanted.name}))).into_response(),
        Err(error) => refused(&error),
    }
}

async fn restore(State(parts): Shared, Path(name): Path<String>) -> Response {
    done(whole(&parts, |parts| async move { life::restore(&parts, &name).await }).await)
}

async fn remove(State(parts): Shared, Path(name): Path<String>) -> Response {
    done(life::remove(&parts, &name))
}

fn done(result: Result<(), LifeError>) -> Response {
    result.map_or_else(|error| refused(&error), |()| StatusCode::NO_CONTENT.into_response())
}

/// What went wrong, with its causes: who asks here is the operator.
fn refused(error: &LifeError) -> Response {
    let status = match error {
        LifeError::Name(_) => StatusCode::BAD_REQUEST,
        LifeError::Unknown(_) => StatusCode::NOT_FOUND,
        LifeError::Exists(_) => StatusCode::CONFLICT,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let chain = std::iter::successors(Some(error as &dyn std::error::Error), |cause| cause.source());
    told(status, &chain.map(ToString::to_string).collect::<Vec<_>>().join(": "))
}

fn told(status: StatusCode, text: &str) -> Response {
    (status, Json(json!({"error": text}))).into_response()
}
