//! Dedicated-resources databases, which the vendor offers to selected customers: this account is none of them.

use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::paas::reply::{Input, Refusal};
use crate::paas::rules;
use crate::paas::session::Session;

/// `GET /v1/databases`: an array at the root, and nothing in it.
pub(super) async fn list(_: Session) -> Response {
    axum::Json(json!([])).into_response()
}

/// `GET /v1/databases/:id`: 404 in a shape of its own.
pub(super) async fn show(_: Session, Path(_): Path<String>) -> Response {
    (StatusCode::NOT_FOUND, axum::Json(json!({"error": "Database not found"}))).into_response()
}

/// `POST /v1/databases`, wrapped or not: a name that no app could have is refused as such, a good one because no dedicated
/// provider is offered here.
pub(super) async fn create(_: Session, input: Input) -> Response {
    let wanted = input.maybe_wrapped("database");
    let text = |key: &str| wanted.get(key).and_then(Value::as_str);
    let name = text("name").or_else(|| text("database_name")).unwrap_or_default();
    let wrong: Vec<_> =
        rules::app_name(name).into_iter().map(|message| ("name".to_owned(), message.to_owned())).collect();
    if wrong.is_empty() {
        Refusal::NotFound("addon_provider").into_response()
    } else {
        Refusal::Invalid(wrong).into_response()
    }
}
