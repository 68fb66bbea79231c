//! Answers and refusals in the vendor's shapes, and the forgiving reading of bodies.

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use crate::http::Resource;

/// What a handler returns.
pub(super) type Answer = Result<Reply, Refusal>;

/// A success.
#[derive(Debug)]
pub(super) struct Reply {
    status: StatusCode,
    body: Option<Value>,
    location: Option<String>,
    resource: Option<String>,
}

impl Reply {
    fn new(status: StatusCode, body: Option<Value>) -> Self {
        Self { status, body, location: None, resource: None }
    }

    /// 200.
    pub(super) fn ok(body: Value) -> Self {
        Self::new(StatusCode::OK, Some(body))
    }

    /// 201.
    pub(super) fn created(body: Value) -> Self {
        Self::new(StatusCode::CREATED, Some(body))
    }

    /// 202 with the operation to follow; `body` where the vendor sends one.
    pub(super) fn accepted(location: String, body: Option<Value>) -> Self {
        Self { location: Some(location), ..Self::new(StatusCode::ACCEPTED, body) }
    }

    /// The same with a `Location`.
    pub(super) fn at(mut self, location: String) -> Self {
        self.location = Some(location);
        self
    }

    /// 202 without a body or an operation to follow.
    pub(super) fn begun() -> Self {
        Self::new(StatusCode::ACCEPTED, None)
    }

    /// 204.
    pub(super) fn no_content() -> Self {
        Self::new(StatusCode::NO_CONTENT, None)
    }

    /// What it was about, for the journal.
    pub(super) fn about(mut self, resource: impl Into<String>) -> Self {
        self.resource = Some(resource.into());
        self
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let mut response = match self.body {
            Some(body) => (self.status, axum::Json(body)).into_response(),
            None => self.status.into_response(),
        };
        if let Some(location) = self.location.and_then(|url| HeaderValue::from_str(&url).ok()) {
            response.headers_mut().insert(header::LOCATION, location);
        }
        if let Some(resource) = self.resource {
            response.extensions_mut().insert(Resource(resource));
        }
        response
    }
}

/// Where the vendor sends people who must pay.
const BILLING: &str = "https://dashboard.scalingo.com/billing";

/// A refusal; each status has one shape (reference sheet 1.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    /// 400.
    BadRequest(String),
    /// 401: not known, or not allowed (the vendor says 401 for both).
    Unauthorized(String),
    /// 402.
    PaymentRequired {
        /// What clients tell cases apart by.
        name: &'static str,
        /// For people.
        error: String,
    },
    /// 403: not for want of a right, which is 401.
    Forbidden {
        /// For people.
        error: String,
        /// What clients tell cases apart by.
        code: &'static str,
    },
    /// 404 with the kind that was not found.
    NotFound(&'static str),
    /// 404 as a web page: what the auth API answers for an unknown token.
    NotFoundPage,
    /// 409.
    Conflict(String),
    /// 422 with messages by field.
    Invalid(Vec<(String, String)>),
    /// 429, plain text.
    RetryLater,
    /// 500.
    Broken,
}

impl Refusal {
    /// 422 about one field.
    pub(super) fn invalid(field: &str, message: &str) -> Self {
        Self::Invalid(vec![(field.to_owned(), message.to_owned())])
    }

    /// 401 for somebody who is known and may not.
    pub(super) fn not_allowed() -> Self {
        Self::Unauthorized("you are not authorized to do this".into())
    }

    fn json(&self) -> (StatusCode, Value) {
        match self {
            // The database API's answer to another database's token has no code.
            Self::BadRequest(error) if error == "unauthorized" => {
                (StatusCode::BAD_REQUEST, json!({"error": error}))
            }
            Self::BadRequest(error) => {
                (StatusCode::BAD_REQUEST, json!({"error": error, "code": "bad_request"}))
            }
            Self::PaymentRequired { name, error } => {
                (StatusCode::PAYMENT_REQUIRED, json!({"name": name, "error": error, "url": BILLING}))
            }
            Self::Forbidden { error, code } => (StatusCode::FORBIDDEN, json!({"error": error, "code": code})),
            Self::Unauthorized(error) => (StatusCode::UNAUTHORIZED, json!({"error": error})),
            Self::NotFound(resource) => {
                (StatusCode::NOT_FOUND, json!({"resource": resource, "error": "not found"}))
            }
            Self::Conflict(error) => (StatusCode::CONFLICT, json!({"error": error})),
            Self::Invalid(errors) => (StatusCode::UNPROCESSABLE_ENTITY, json!({"errors": by_field(errors)})),
            Self::NotFoundPage | Self::RetryLater | Self::Broken => {
                (StatusCode::INTERNAL_SERVER_ERROR, json!({"error": "internal error"}))
            }
        }
    }
}

fn by_field(errors: &[(String, String)]) -> Map<String, Value> {
    let mut fields = Map::new();
    for (field, message) in errors {
        if let Value::Array(messages) = fields.entry(field).or_insert_with(|| json!([])) {
            messages.push(json!(message));
        }
    }
    fields
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        match self {
            Self::RetryLater => {
                let mut response = (StatusCode::TOO_MANY_REQUESTS, "Retry later").into_response();
                response.extensions_mut().insert(crate::http::Limited);
                response
            }
            Self::NotFoundPage => {
                let page = "<!DOCTYPE html>\n<html><head><title>The page you were looking for doesn't exist (404)</title></head>\
                            <body><h1>The page you were looking for doesn't exist.</h1></body></html>\n";
                (StatusCode::NOT_FOUND, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], page)
                    .into_response()
            }
            refusal => {
                let (status, body) = refusal.json();
                (status, axum::Json(body)).into_response()
            }
        }
    }
}

/// A JSON body, whatever its `Content-Type`; none is an empty object.
#[derive(Debug)]
pub(super) struct Input(pub(super) Value);

impl<S: Send + Sync> FromRequest<S> for Input {
    type Rejection = Refusal;

    async fn from_request(request: Request<Body>, state: &S) -> Result<Self, Refusal> {
        let unreadable = |_| Refusal::BadRequest("the body could not be read".into());
        let bytes = Bytes::from_request(request, state).await.map_err(unreadable)?;
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self(json!({})));
        }
        serde_json::from_slice(&bytes).map(Self).map_err(|_| Refusal::BadRequest("invalid JSON body".into()))
    }
}

impl Input {
    /// What is under `key`, which must be an object: `{"app":["missing field"]}` otherwise.
    pub(super) fn wrapped(&self, key: &str) -> Result<&Map<String, Value>, Refusal> {
        self.0.get(key).and_then(Value::as_object).ok_or_else(|| Refusal::invalid(key, "missing field"))
    }

    /// What is under `key` if it is an object there, else the body itself: for calls that clients send in both shapes.
    pub(super) fn maybe_wrapped(&self, key: &str) -> &Value {
        self.0.get(key).filter(|inner| inner.is_object()).unwrap_or(&self.0)
    }
}

/// The text under `key`, empty if it is absent or no text.
pub(super) fn text<'a>(object: &'a Map<String, Value>, key: &str) -> &'a str {
    object.get(key).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_about_one_field_are_listed_together() {
        let refusal = Refusal::Invalid(vec![
            ("name".into(), "can't be blank".into()),
            ("name".into(), "must start with a letter".into()),
            ("value".into(), "can't be blank".into()),
        ]);
        let expected = json!({"errors": {"name": ["can't be blank", "must start with a letter"], "value": ["can't be blank"]}});
        assert_eq!(refusal.json(), (StatusCode::UNPROCESSABLE_ENTITY, expected));
    }

    #[test]
    fn a_missing_root_is_told_by_its_name() {
        assert_eq!(Input(json!({})).wrapped("app").unwrap_err(), Refusal::invalid("app", "missing field"));
    }
}
