//! The vendor's support, asked by the control API: backups of databases that are no more.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use tokio_util::io::ReaderStream;

use super::Shared;

/// `GET /support/backups`.
pub(super) async fn list(State(parts): Shared) -> Json<Vec<Value>> {
    Json(parts.paas.orphans())
}

/// `GET /support/backups/:id`: the archive.
pub(super) async fn fetch(State(parts): Shared, Path(id): Path<String>) -> Response {
    let Some((name, file)) = parts.paas.orphan(&id) else {
        return (StatusCode::NOT_FOUND, "the support has no such backup; GET /support/backups lists them\n")
            .into_response();
    };
    match tokio::fs::File::open(file).await {
        Ok(file) => {
            let attachment = format!("attachment; filename=\"{name}.tar.gz\"");
            let headers = [
                (header::CONTENT_TYPE, "application/x-gzip"),
                (header::CONTENT_DISPOSITION, attachment.as_str()),
            ];
            (headers, Body::from_stream(ReaderStream::new(file))).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "could not read a backup's archive");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
