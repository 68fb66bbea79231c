//! The page for people: one file, nothing from elsewhere, fed by the same API that programs use.

use axum::http::header;
use axum::response::{Html, IntoResponse, Response};

/// Only its own style, script and data; nobody may frame it.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; \
                      img-src data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// `GET /`.
pub(super) async fn show() -> Response {
    ([(header::CONTENT_SECURITY_POLICY, POLICY)], Html(include_str!("page.html"))).into_response()
}
