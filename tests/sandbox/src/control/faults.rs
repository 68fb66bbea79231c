//! Faults by the control API: put, listed with their counts, taken back.

use std::collections::HashMap;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{Shared, Wrong};
use crate::world::faults::Script;

/// `GET /faults`: the rules in force with what is left of them; `?all=true` adds those that were played out.
pub(super) async fn list(State(parts): Shared, Query(query): Query<HashMap<String, String>>) -> Json<Value> {
    let faults = &parts.world.faults;
    let mut all = faults.standing();
    if query.contains_key("all") {
        all.extend(faults.spent());
        all.sort_by_key(|one| one.id);
    }
    Json(json!(all))
}

/// `POST /faults`: one rule, an array, or a profile. 201 with the ids, or 400 that says what is wrong where.
pub(super) async fn add(State(parts): Shared, body: Bytes) -> Result<(StatusCode, Json<Value>), Wrong> {
    let script = Script::parse(&body).map_err(|error| Wrong(error.to_string()))?;
    let ids = parts.world.faults.add_all(script);
    let said = match ids.as_slice() {
        [id] => json!({"id": id, "ids": ids}),
        _ => json!({"ids": ids}),
    };
    Ok((StatusCode::CREATED, Json(said)))
}

/// `DELETE /faults`.
pub(super) async fn clear(State(parts): Shared) -> StatusCode {
    parts.world.faults.clear();
    StatusCode::NO_CONTENT
}

/// `DELETE /faults/{id}`.
pub(super) async fn remove(State(parts): Shared, Path(id): Path<u64>) -> (StatusCode, Json<Value>) {
    if parts.world.faults.remove(id) {
        return (StatusCode::NO_CONTENT, Json(Value::Null));
    }
    let error = format!("no rule {id} is in force: GET /faults lists those that are");
    (StatusCode::NOT_FOUND, Json(json!({"error": error})))
}
