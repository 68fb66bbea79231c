//! What browsers ask before and after they ask a store from another origin: the bucket's `cors` document decides. It protects
//! nobody from other clients.

use hyper::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, CONTENT_TYPE, HeaderMap, HeaderName,
    HeaderValue, ORIGIN, VARY,
};
use hyper::{Request, StatusCode};
use s3s::dto::{CORSConfiguration, CORSRule};
use s3s::{Body, HttpResponse, S3Result};

use super::documents::{self, Kind};
use super::errors;
use super::host::Hosts;
use super::policy::wildcard;
use super::store::Store;

const METHODS: [&str; 5] = ["GET", "PUT", "POST", "DELETE", "HEAD"];
const VARIES: &str = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method";

/// What a browser says of a request from another origin.
#[derive(Debug)]
pub(crate) struct Foreign {
    bucket: String,
    origin: String,
}

impl Foreign {
    /// `None` where a request names no origin or no bucket.
    pub(crate) fn of<T>(request: &Request<T>, hosts: &Hosts) -> Option<Self> {
        let origin = text(request.headers(), &ORIGIN)?.to_owned();
        let host = text(request.headers(), &hyper::header::HOST).unwrap_or_default();
        let bucket = hosts.bucket(host).or_else(|| request.uri().path().split('/').nth(1))?;
        (!bucket.is_empty()).then(|| Self { bucket: bucket.to_owned(), origin })
    }

    /// Lets the page of that origin see the answer, if the bucket does.
    pub(crate) fn admit(&self, store: &Store, method: &str, headers: &mut HeaderMap) {
        let Ok(rules) = rules(store, &self.bucket) else { return };
        if let Some(rule) = rules.iter().find(|rule| suits(rule, &self.origin, method, &[])) {
            say(rule, &self.origin, headers);
        }
    }
}

/// The answer to a preflight.
pub(crate) fn preflight<T>(request: &Request<T>, store: &Store, hosts: &Hosts) -> HttpResponse {
    let headers = request.headers();
    let Some(origin) = text(headers, &ORIGIN) else {
        return refusal(
            StatusCode::BAD_REQUEST,
            "BadRequest",
            "Insufficient information. Origin request header needed.",
        );
    };
    let method = text(headers, &ACCESS_CONTROL_REQUEST_METHOD).unwrap_or("null");
    if !METHODS.contains(&method) {
        let message =
            format!("Invalid Access-Control-Request-Method: {}", super::server::words::escape(method));
        return refusal(StatusCode::BAD_REQUEST, "BadRequest", &message);
    }
    let asked = text(headers, &ACCESS_CONTROL_REQUEST_HEADERS).unwrap_or_default();
    let asked: Vec<&str> = asked.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    let bucket = Foreign::of(request, hosts).map(|foreign| foreign.bucket).unwrap_or_default();
    let rules = match rules(store, &bucket) {
        Ok(rules) if !rules.is_empty() => rules,
        Ok(_) => return forbidden("CORSResponse: CORS is not enabled for this bucket."),
        Err(_) => return forbidden("CORSResponse: Bucket not found"),
    };
    let Some(rule) = rules.iter().find(|rule| suits(rule, origin, method, &asked)) else {
        return forbidden(
            "CORSResponse: This CORS request is not allowed. This is usually because the evalution of Origin, request method / Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the resource's CORS spec.",
        );
    };
    let mut response = HttpResponse::new(Body::empty());
    say(rule, origin, response.headers_mut());
    set(response.headers_mut(), ACCESS_CONTROL_ALLOW_HEADERS, &asked.join(", ").to_lowercase());
    if let Some(seconds) = rule.max_age_seconds {
        set(response.headers_mut(), ACCESS_CONTROL_MAX_AGE, &seconds.to_string());
    }
    response
}

/// The rules of a bucket that is there.
fn rules(store: &Store, bucket: &str) -> S3Result<Vec<CORSRule>> {
    store.read_bucket(bucket, |_| Ok(()))?;
    let document = documents::get_xml::<CORSConfiguration>(store, bucket, Kind::Cors);
    Ok(document.map(|document| document.cors_rules).unwrap_or_default())
}

fn suits(rule: &CORSRule, origin: &str, method: &str, asked: &[&str]) -> bool {
    let allowed = rule.allowed_headers.as_deref().unwrap_or_default();
    rule.allowed_origins.iter().any(|pattern| wildcard(pattern, origin, true))
        && rule.allowed_methods.iter().any(|one| one == method)
        && asked.iter().all(|name| allowed.iter().any(|pattern| wildcard(pattern, name, false)))
}

fn say(rule: &CORSRule, origin: &str, headers: &mut HeaderMap) {
    if rule.allowed_origins.iter().any(|one| one == "*") {
        set(headers, ACCESS_CONTROL_ALLOW_ORIGIN, "*");
    } else {
        set(headers, ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        set(headers, ACCESS_CONTROL_ALLOW_CREDENTIALS, "true");
    }
    set(headers, ACCESS_CONTROL_ALLOW_METHODS, &rule.allowed_methods.join(", "));
    set(
        headers,
        ACCESS_CONTROL_EXPOSE_HEADERS,
        &rule.expose_headers.as_deref().unwrap_or_default().join(", "),
    );
    set(headers, VARY, VARIES);
}

/// Whether `text` is a document that `PutBucketCors` takes.
pub(crate) fn is_document(text: &str) -> bool {
    use s3s::xml::{Deserialize as _, Deserializer};
    let document = CORSConfiguration::deserialize(&mut Deserializer::new(text.as_bytes()));
    document.is_ok_and(|document| check(&document).is_ok())
}

/// Checks what `PutBucketCors` is sent.
pub(crate) fn check(configuration: &CORSConfiguration) -> S3Result<()> {
    for rule in &configuration.cors_rules {
        if let Some(method) = rule.allowed_methods.iter().find(|method| !METHODS.contains(&method.as_str())) {
            return Err(errors::bad_request(format!(
                "Found unsupported HTTP method in CORS config. Unsupported method is {method}"
            )));
        }
        let patterns = rule.allowed_origins.iter().chain(rule.allowed_headers.iter().flatten());
        if let Some(pattern) = patterns.into_iter().find(|pattern| pattern.matches('*').count() > 1) {
            return Err(errors::bad_request(format!("\"{pattern}\" can not have more than one wildcard.")));
        }
    }
    Ok(())
}

fn forbidden(message: &str) -> HttpResponse {
    refusal(StatusCode::FORBIDDEN, "AccessForbidden", message)
}

fn refusal(status: StatusCode, code: &str, message: &str) -> HttpResponse {
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code><Message>{message}</Message></Error>"
    );
    let mut response = HttpResponse::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    response
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let (false, Ok(value)) = (value.is_empty(), HeaderValue::from_str(value)) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(origin: &str, headers: &[&str]) -> CORSRule {
        CORSRule {
            allowed_headers: Some(headers.iter().map(|name| (*name).to_owned()).collect()),
            allowed_methods: vec!["PUT".to_owned()],
            allowed_origins: vec![origin.to_owned()],
            expose_headers: None,
            id: None,
            max_age_seconds: None,
        }
    }

    #[test]
    fn a_rule_suits_by_origin_method_and_every_header_that_is_asked_for() {
        let rule = rule("https://*.a.test", &["x-amz-*", "content-type"]);
        assert!(suits(&rule, "https://b.a.test", "PUT", &["X-Amz-Date", "Content-Type"]));
        assert!(!suits(&rule, "https://b.a.test", "GET", &[]));
        assert!(!suits(&rule, "https://a.test", "PUT", &[]));
        assert!(!suits(&rule, "https://b.a.test", "PUT", &["authorization"]));
    }

    #[test]
    fn only_who_is_named_may_send_credentials() {
        let said = |pattern: &str| {
            let mut headers = HeaderMap::new();
            say(&rule(pattern, &[]), "https://a.test", &mut headers);
            (
                headers[ACCESS_CONTROL_ALLOW_ORIGIN].clone(),
                headers.contains_key(ACCESS_CONTROL_ALLOW_CREDENTIALS),
            )
        };
        assert_eq!(said("*"), (HeaderValue::from_static("*"), false));
        assert_eq!(said("https://*"), (HeaderValue::from_static("https://a.test"), true));
    }

    #[test]
    fn a_document_with_two_wildcards_or_another_method_is_refused() {
        let check = |rule| check(&CORSConfiguration { cors_rules: vec![rule] });
        assert!(check(rule("https://*", &["*"])).is_ok());
        assert!(check(rule("https://*.*", &[])).is_err());
        assert!(check(CORSRule { allowed_methods: vec!["PATCH".to_owned()], ..rule("*", &[]) }).is_err());
    }
}
