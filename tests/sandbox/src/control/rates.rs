//! How often the object stores and the platform may be asked, by the control API.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;

use super::{Shared, Wrong, parsed};
use crate::paas::Rate;
use crate::s3::Rates;
use crate::sandbox::Parts;

/// `GET /rates`.
pub(super) async fn show(State(parts): Shared) -> Json<Value> {
    let Parts { source, archive, paas, .. } = parts.as_ref();
    Json(json!({"source": source.rates(), "archive": archive.rates(), "platform": paas.rate()}))
}

/// Other rates: of one store, of both, of the platform. Who is not named keeps its own; a rate that is not given is no limit.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    source: Option<Rates>,
    archive: Option<Rates>,
    platform: Option<Rate>,
}

/// `POST /rates`.
pub(super) async fn set(State(parts): Shared, body: Bytes) -> Result<Response, Wrong> {
    let wanted: Wanted = parsed(&body)?;
    let pairs = [(&parts.source, wanted.source), (&parts.archive, wanted.archive)];
    if pairs.iter().filter_map(|(_, rates)| *rates).any(|rates| !rates.are_sound()) {
        return Err(Wrong("reads, writes: requests a second, above 0; leave one out for no limit".into()));
    }
    for (store, rates) in pairs {
        if let Some(rates) = rates {
            store.limit(rates);
        }
    }
    if let Some(rate) = wanted.platform {
        parts.paas.limit(rate);
    }
    Ok((StatusCode::OK, show(State(Arc::clone(&parts))).await).into_response())
}
