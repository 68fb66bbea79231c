//! Dedicated-resources databases, which the vendor offers to selected customers: this account is none of them.

use std::sync::Arc;

use axum::extract::{Path, State as Shared};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::paas::reply::{Input, Refusal};
use crate::paas::session::Session;
use crate::paas::{Paas, dbapi, rules};

/// How the vendor's JavaScript client announces itself; its transport does where it is told not to.
const JAVASCRIPT: [&str; 4] = ["Scalingo Javascript Client", "axios", "node", "Mozilla"];

/// `GET /v1/databases`: none, in an object, as documented. The JavaScript client that its registry has takes the root, and expects an
/// array.
pub(super) async fn list(_: Session, headers: HeaderMap) -> Response {
    let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    let is_javascript = JAVASCRIPT.iter().any(|known| agent.starts_with(known));
    let none = if is_javascript { json!([]) } else { json!({"databases": []}) };
    axum::Json(none).into_response()
}

/// `GET /v1/databases/:id`: an addon's database, for which later clients ask here; else 404 in a shape of its own.
pub(super) async fn show(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path(id): Path<String>,
) -> Response {
    let none = (StatusCode::NOT_FOUND, axum::Json(json!({"error": "Database not found"}))).into_response();
    dbapi::show_or(paas, session, id, none).await
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
