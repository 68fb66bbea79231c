//! What can be looked at besides the database itself: its CA, metrics, maintenance, operations.

use std::sync::Arc;

use axum::extract::{Path, State as Shared};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::{opened, running};
use crate::paas::Paas;
use crate::paas::reply::{Answer, Refusal, Reply};
use crate::paas::session::Session;

const SIZES: &str = "SELECT pg_database_size(current_database()) AS disk,
    (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND usename <> current_user) AS connections,
    current_setting('max_connections')::int AS max_connections";

/// `GET /ca_certificate`: for everybody.
pub(super) async fn ca_certificate(Shared(paas): Shared<Arc<Paas>>) -> Response {
    match tokio::fs::read(paas.plane.databases.ca_file()).await {
        Ok(pem) => ([(header::CONTENT_TYPE, "application/x-pem-file")], pem).into_response(),
        Err(error) => {
            tracing::error!(%error, "could not read the CA of databases");
            Refusal::Broken.into_response()
        }
    }
}

/// `GET /databases/:id/metrics`: what the server itself knows.
pub(super) async fn metrics(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path(id): Path<String>,
) -> Answer {
    let addon = running(&paas.state(), &session, &id)?;
    let rows = paas.plane.databases.rows(&addon.resource_id, SIZES, &[]).await;
    let rows = rows.map_err(|error| {
        tracing::error!(%error, "could not measure a database");
        Refusal::Broken
    })?;
    let row = &rows[0];
    Ok(Reply::ok(json!({
        "cpu_usage": 0, "memory": {"memory": 0, "memory_max": 0, "memory_limit": 0, "swap": 0, "swap_max": 0, "swap_limit": 0},
        "database_size": row["disk"], "real_disk_size": row["disk"], "instances_metrics": [],
        "database_stats": {"current_connections": row["connections"], "max_connections": row["max_connections"]},
    })))
}

/// `GET /databases/:id/maintenance`: this world never needs any.
pub(super) async fn maintenance(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path(id): Path<String>,
) -> Answer {
    opened(&paas.state(), &session, &id)?;
    let page = json!({
        "current_page": 1, "per_page": 20, "prev_page": null, "next_page": null, "total_pages": 1, "total_count": 0,
    });
    Ok(Reply::ok(json!({"maintenance": [], "meta": {"pagination": page}})))
}

/// `GET /databases/:id/maintenance/:one`.
pub(super) async fn one_maintenance(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path((id, _)): Path<(String, String)>,
) -> Answer {
    opened(&paas.state(), &session, &id)?;
    Err(Refusal::NotFound("maintenance"))
}

/// `GET /databases/:id/operations/:operation`.
pub(super) async fn operation_of(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path((id, _)): Path<(String, String)>,
) -> Answer {
    opened(&paas.state(), &session, &id)?;
    Err(Refusal::NotFound("operation"))
}

/// `GET /operations/:id`: upgrades and recoveries are refused here, so that there never is one.
pub(super) async fn operation(_: Session, Path(_): Path<String>) -> Answer {
    Err(Refusal::NotFound("operation"))
}
