//! How the account stands with the platform: what no API of the vendor sets.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use std::sync::Arc;

use super::{Shared, Wrong, parsed};
use crate::paas::Standing;

/// `GET /account`.
pub(super) async fn show(State(parts): Shared) -> Json<Standing> {
    Json(parts.paas.standing())
}

/// `POST /account`: what is not named is as in an account without worries.
pub(super) async fn set(State(parts): Shared, body: Bytes) -> Result<Json<Standing>, Wrong> {
    parts.paas.set_standing(parsed(&body)?);
    Ok(show(State(Arc::clone(&parts))).await)
}
