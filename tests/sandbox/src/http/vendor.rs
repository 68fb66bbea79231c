//! How each vendor words a refusal that a fault forces on it, where the rule gives no body of its own.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Response, StatusCode, header};
use serde_json::json;

use crate::world::Fault;

const SECONDARY: &str =
    "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.";

/// A refusal of `service` with `status`; `body` is sent as it is.
pub(super) fn refusal(
    service: &str,
    status: u16,
    body: Option<String>,
    retry_after: Option<u64>,
) -> Response<Body> {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let (content_type, usual) = match service {
        "github" => github(status, None, retry_after.is_some()),
        _ => worded(service, status, None),
    };
    let mut response = Response::new(Body::from(body.unwrap_or(usual)));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if service == "github" && status.is_client_error() {
        response.headers_mut().extend(allowance());
    }
    response
}

/// The code host's headers about its hourly limit, which stand on every answer: nearly nothing of it is used, so that nobody takes
/// a refusal for the end of the hour.
fn allowance() -> [(HeaderName, HeaderValue); 5] {
    let reset = u64::try_from(chrono::Utc::now().timestamp()).unwrap_or_default() + 3_600;
    [
        (HeaderName::from_static("x-ratelimit-limit"), HeaderValue::from(5_000)),
        (HeaderName::from_static("x-ratelimit-remaining"), HeaderValue::from(4_999)),
        (HeaderName::from_static("x-ratelimit-used"), HeaderValue::from(1)),
        (HeaderName::from_static("x-ratelimit-reset"), HeaderValue::from(reset)),
        (HeaderName::from_static("x-ratelimit-resource"), HeaderValue::from_static("core")),
    ]
}

/// A refusal by the service's own rules, for `reason`.
pub(super) fn rejected(service: &str, reason: &str) -> Response<Body> {
    let status = StatusCode::UNPROCESSABLE_ENTITY;
    refusal(service, status.as_u16(), Some(worded(service, status, Some(reason)).1), None)
}

/// The answer to a token that has ended.
pub(super) fn expired(service: &str) -> Response<Body> {
    let status = if service.starts_with("s3") { 403 } else { 401 };
    refusal(service, status, None, None)
}

/// The answer to a credential that was taken back.
pub(super) fn revoked(service: &str) -> Response<Body> {
    let (status, words) = match service {
        "scalingo" | "database-api" => (401, r#"{"error":"invalid access token"}"#),
        "github" => (
            401,
            r#"{"message":"Bad credentials","documentation_url":"https://docs.github.com/rest","status":"401"}"#,
        ),
        _ => (401, "Unauthorized"),
    };
    refusal(service, status, Some(words.to_owned()), None)
}

/// The web page of a proxy that has no service behind it.
pub(super) fn page(status: u16) -> Response<Body> {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    let mut response = Response::new(Body::from(crate::world::faults::page(status.as_u16())));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html"));
    response
}

/// A fault's name in the journal.
pub(super) fn name(fault: &Fault) -> String {
    match fault {
        Fault::Status { status, .. } => format!("status {status}"),
        Fault::Reject { reason } => format!("reject {reason}"),
        fault => fault.kind().into(),
    }
}

fn worded(service: &str, status: StatusCode, text: Option<&str>) -> (&'static str, String) {
    let reason = text.or_else(|| status.canonical_reason()).unwrap_or("error");
    match service {
        "scalingo" | "database-api" => scalingo(status, reason),
        "github" => github(status, text, false),
        "github-blob" => ("application/xml", blob(status, reason)),
        name if name.starts_with("s3") => ("application/xml", s3(status, reason)),
        _ => ("text/plain; charset=utf-8", reason.to_owned()),
    }
}

/// Clients tell the second limit from a missing right by these words.
fn github(status: StatusCode, text: Option<&str>, wait: bool) -> (&'static str, String) {
    let usual = match status.as_u16() {
        401 => "Bad credentials",
        403 if wait => SECONDARY,
        429 => SECONDARY,
        _ => status.canonical_reason().unwrap_or("error"),
    };
    let (message, documentation) = (text.unwrap_or(usual), "https://docs.github.com/rest");
    let body = json!({"message": message, "documentation_url": documentation, "status": status.as_str()});
    ("application/json; charset=utf-8", body.to_string())
}

fn scalingo(status: StatusCode, reason: &str) -> (&'static str, String) {
    let body = match status.as_u16() {
        400 => json!({"error": reason, "code": "bad_request"}),
        402 => {
            json!({"name": "free-trial-exceeded", "error": reason, "url": "https://dashboard.scalingo.com/billing"})
        }
        403 => json!({"error": reason, "code": "region_disabled"}),
        429 => return ("text/plain", "Retry later".into()),
        404 => json!({"resource": "", "error": "not found"}),
        422 => json!({"errors": {"base": [reason]}}),
        _ => json!({"error": reason}),
    };
    ("application/json", body.to_string())
}

/// As the storage behind the code host says it, mark of the byte order included.
fn blob(status: StatusCode, reason: &str) -> String {
    let code = match status.as_u16() {
        403 => "AuthenticationFailed",
        404 => "ResourceNotFound",
        503 => "ServerBusy",
        _ => "InternalError",
    };
    format!(
        "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>{code}</Code><Message>{reason}</Message></Error>"
    )
}

fn s3(status: StatusCode, reason: &str) -> String {
    let code = match status.as_u16() {
        403 => "ExpiredToken",
        404 => "NoSuchKey",
        429 | 503 => "SlowDown",
        _ => "InternalError",
    };
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{reason}</Message></Error>"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn told(service: &str, status: u16) -> (String, String) {
        let answer = refusal(service, status, None, None);
        let content_type = answer.headers()["content-type"].to_str().unwrap().to_owned();
        let body = axum::body::to_bytes(answer.into_body(), 1_000).await.unwrap();
        (content_type, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn the_platforms_refusals_have_the_fields_that_clients_read() {
        for (status, fields) in
            [(400, vec!["error", "code"]), (402, vec!["name", "error", "url"]), (403, vec!["error", "code"])]
        {
            let body: serde_json::Value = serde_json::from_str(&told("scalingo", status).await.1).unwrap();
            for field in fields {
                assert!(body[field].is_string(), "{status}: {body}");
            }
        }
    }

    #[tokio::test]
    async fn the_blob_host_refuses_in_xml() {
        for (status, code) in [(403, "AuthenticationFailed"), (503, "ServerBusy")] {
            let (content_type, body) = told("github-blob", status).await;
            assert_eq!(content_type, "application/xml");
            assert!(body.contains(&format!("<Code>{code}</Code>")), "{body}");
        }
    }

    #[tokio::test]
    async fn the_code_hosts_limits_and_credentials_are_told_in_its_words() {
        for (status, wait, words) in [
            (429, None, "secondary rate limit"),
            (403, Some(3), "secondary rate limit"),
            (403, None, "Forbidden"),
            (401, None, "Bad credentials"),
        ] {
            let answer = refusal("github", status, None, wait);
            assert_eq!(answer.headers()["x-ratelimit-remaining"], "4999", "{status} {wait:?}");
            let body = axum::body::to_bytes(answer.into_body(), 1_000).await.unwrap();
            let told: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert!(told["message"].as_str().unwrap().contains(words), "{status} {wait:?}: {told}");
            assert!(told["documentation_url"].is_string());
        }
    }
}
