//! CAA records of the platform's zone, where a switch of DNS leads a name: no API of a vendor sets them.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

use super::{Shared, Wrong, parsed};

/// `GET /caa`.
pub(super) async fn list(State(parts): Shared) -> Json<Value> {
    let records = parts.plane.dns.vendor_caa();
    Json(records.into_iter().map(|(name, value)| json!({"name": name, "value": value})).collect())
}

/// All CAA records of one name; none takes them away.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    name: String,
    values: Vec<String>,
}

/// `POST /caa`.
pub(super) async fn set(State(parts): Shared, body: Bytes) -> Result<Json<Value>, Wrong> {
    let Wanted { name, values } = parsed(&body)?;
    let put = parts.plane.dns.set_vendor_caa(&name, &values);
    put.map_err(|error| {
        Wrong(format!("{error}: give a default domain and values like 0 issue \"letsencrypt.org\""))
    })?;
    Ok(list(State(Arc::clone(&parts))).await)
}
