//! Whether strangers see the repository at the code host: no API of its vendor that is simulated here says it.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

use super::{Shared, Wrong, parsed};

/// `GET /github`.
pub(super) async fn show(State(parts): Shared) -> Json<Value> {
    Json(json!({"private": parts.github.is_private()}))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    private: bool,
}

/// `POST /github`.
pub(super) async fn set(State(parts): Shared, body: Bytes) -> Result<Json<Value>, Wrong> {
    let Wanted { private } = parsed(&body)?;
    parts.github.set_private(private);
    Ok(show(State(Arc::clone(&parts))).await)
}
