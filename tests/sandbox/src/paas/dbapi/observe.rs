//! What can be looked at besides the database itself: its CA, metrics, logs, maintenance, operations.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Query, State as Shared};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::{opened, running};
use crate::paas::Paas;
use crate::paas::reply::{Answer, Refusal, Reply};
use crate::paas::session::Session;
use crate::paas::state::Source;

/// World time that a log's address is valid.
const LIFE: Duration = Duration::from_hours(1);
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

/// `GET /databases/:id/logs`: where to read them.
pub(super) async fn logs(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path(id): Path<String>,
) -> Answer {
    let secret = paas.world.ids.secret(48);
    let ends_at = (paas.world.clock.elapsed() + LIFE).as_secs_f64();
    let mut state = paas.state();
    let (_, addon) = opened(&state, &session, &id)?;
    let (opens, path) = (addon.id.clone(), format!("/api/databases/{}/logs/read?token={secret}", addon.id));
    state.downloads.insert(secret, Source { opens, ends_at });
    Ok(Reply::ok(json!({"url": format!("{}{path}", paas.urls().database)})))
}

/// What that address answers: the end of the server's log, the last `n` lines.
pub(super) async fn read_logs(
    Shared(paas): Shared<Arc<Paas>>,
    Path(id): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let text = |key: &str| query.get(key).map_or("", String::as_str);
    let now = paas.world.clock.elapsed().as_secs_f64();
    let resource = {
        let state = paas.state();
        let link = state.downloads.get(text("token")).filter(|link| link.opens == id && link.ends_at > now);
        link.and_then(|_| state.addon(&id)).map(|(_, addon)| addon.resource_id.clone())
    };
    let Some(resource) = resource else {
        return Refusal::Unauthorized("invalid or expired token".into()).into_response();
    };
    let Ok(log) = paas.plane.databases.log_tail(&resource).await else {
        return StatusCode::NO_CONTENT.into_response();
    };
    let lines: Vec<&str> = log.lines().collect();
    let wanted = text("n").parse().unwrap_or(100);
    let tail = &lines[lines.len().saturating_sub(wanted)..];
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], tail.join("\n") + "\n").into_response()
}

/// `GET /databases/:id/logs_archives`: none yet.
pub(super) async fn logs_archives(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path(id): Path<String>,
) -> Answer {
    opened(&paas.state(), &session, &id)?;
    Ok(Reply::ok(json!({"archives": [], "next_cursor": "", "has_more": false})))
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
