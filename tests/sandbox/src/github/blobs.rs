//! The blob host: another origin, that trusts only the signature in the URL. It knows nothing of tokens and answers in XML.

use std::collections::HashMap;
use std::io::SeekFrom;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::header::{
    ACCEPT_RANGES, AUTHORIZATION, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG,
    RANGE, SERVER,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use base64::Engine as _;
use chrono::{DateTime, Utc};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;

use super::json::date;
use crate::http::{Caller, Resource};
use crate::world::World;

/// World time for which a signed URL lives.
const LIFE: Duration = Duration::from_mins(1);
/// Wall time for which it lives at least, however fast the world is.
const LEAST: Duration = Duration::from_secs(10);
/// The storage protocol's version.
const VERSION: &str = "2025-11-05";

/// Said of a URL that we did not sign like this.
const MISMATCH: &str = "Signature did not match.";

/// What may be fetched, by signature.
#[derive(Debug)]
pub struct Blobs {
    world: Arc<World>,
    secret: String,
    issued: Mutex<HashMap<String, Issued>>,
}

#[derive(Debug, Clone)]
struct Issued {
    file: PathBuf,
    path: String,
    /// Every other parameter of the URL, sorted.
    query: Vec<(String, String)>,
    world_end: Duration,
    start: DateTime<Utc>,
    wall_end: DateTime<Utc>,
    /// What was added to the clock by hand until then.
    advanced: i128,
}

/// What a signed URL is asked for.
#[derive(Debug, Clone)]
pub struct Target {
    /// The stored bytes.
    pub file: PathBuf,
    /// The name that `Content-Disposition` gives.
    pub name: String,
    /// The stored bytes' type.
    pub content_type: String,
}

impl Blobs {
    /// An empty blob host.
    pub fn new(world: &Arc<World>) -> Arc<Self> {
        let secret = world.ids.secret(43);
        Arc::new(Self { world: Arc::clone(world), secret, issued: Mutex::default() })
    }

    /// Path and query of a fresh signed URL.
    pub fn sign(&self, target: &Target) -> String {
        let path = format!("/actions-results/{}/artifact", self.world.ids.uuid());
        let (world_now, now) = (self.world.clock.elapsed(), self.world.clock.wall());
        let life = LIFE.div_f64(self.world.clock.speed()).max(LEAST);
        let disposition = format!("attachment; filename=\"{0}\"; filename*=UTF-8''{0}", target.name);
        let mut query: Vec<(String, String)> = [
            ("rscd", disposition),
            ("rsct", target.content_type.clone()),
            ("se", date(now + life)),
            ("sp", "r".to_owned()),
            ("spr", "https".to_owned()),
            ("sr", "b".to_owned()),
            ("st", date(now)),
            ("sv", VERSION.to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec();
        query.sort();
        let signature = self.signature(&path, &query);
        let issued = Issued {
            file: target.file.clone(),
            path: path.clone(),
            query: query.clone(),
            world_end: world_now + LIFE,
            start: now,
            wall_end: now + LEAST,
            advanced: self.world.clock.advanced(),
        };
        query.push(("sig".to_owned(), signature.clone()));
        self.remember(signature, issued);
        format!(
            "{path}?{}",
            url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish()
        )
    }

    fn signature(&self, path: &str, query: &[(String, String)]) -> String {
        let mut hash = Sha256::new();
        hash.update(&self.secret);
        hash.update(path);
        for (name, value) in query {
            hash.update(format!("\n{name}={value}"));
        }
        base64::engine::general_purpose::STANDARD.encode(hash.finalize())
    }

    /// Keeps the URL, and forgets those that ended an hour ago.
    fn remember(&self, signature: String, issued: Issued) {
        let now = self.world.clock.elapsed();
        let mut all = self.issued.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, known| known.world_end + Duration::from_hours(1) > now);
        all.insert(signature, issued);
    }

    /// The file of a URL that is genuine and alive; else what is wrong with it.
    fn check(&self, path: &str, query: &HashMap<String, String>) -> Result<PathBuf, String> {
        let all = self.issued.lock().unwrap_or_else(PoisonError::into_inner);
        let signature = query.get("sig").ok_or(MISMATCH)?;
        let issued = all.get(signature).ok_or(MISMATCH)?;
        let mut given: Vec<(String, String)> =
            query.iter().filter(|(name, _)| *name != "sig").map(|(n, v)| (n.clone(), v.clone())).collect();
        given.sort();
        if issued.path != path || issued.query != given {
            return Err(MISMATCH.to_owned());
        }
        let (world_now, now) = (self.world.clock.elapsed(), self.world.clock.wall());
        // Who pushes the clock says how late it is: only a fast world is given the seconds.
        let late = now + self.world.clock.advanced_since(issued.advanced);
        if world_now > issued.world_end && late > issued.wall_end {
            let ended = query.get("se").map_or("", String::as_str);
            let detail = format!(
                "Signature not valid in the specified time frame: Start [{}] - Expiry [{ended}] - Current [{}]",
                date(issued.start),
                date(now)
            );
            return Err(detail);
        }
        Ok(issued.file.clone())
    }
}

/// The routes of the blob host.
pub fn router(blobs: Arc<Blobs>) -> Router {
    Router::new().route("/{*path}", get(fetch)).fallback(|| async { missing() }).with_state(blobs)
}

async fn fetch(
    State(blobs): State<Arc<Blobs>>,
    Path(path): Path<String>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    if headers.contains_key(AUTHORIZATION) {
        let message = "Authentication information is not given in the correct format. Check the value of Authorization header.";
        return xml(StatusCode::BAD_REQUEST, "InvalidAuthenticationInfo", message, None);
    }
    let file = match blobs.check(&format!("/{path}"), &query) {
        Ok(file) => file,
        Err(detail) => return forbidden(&detail),
    };
    let mut response = match serve_file(&file, &headers).await {
        Ok(response) => response,
        Err(error) => {
            tracing::warn!(error = %error, "a stored artifact is unreadable");
            return missing();
        }
    };
    for (name, parameter) in [(CONTENT_DISPOSITION, "rscd"), (CONTENT_TYPE, "rsct")] {
        if let Some(value) = query.get(parameter).and_then(|value| HeaderValue::from_str(value).ok()) {
            response.headers_mut().insert(name, value);
        }
    }
    response.extensions_mut().insert(Caller("signed-url".to_owned()));
    response.extensions_mut().insert(Resource(path));
    response
}

/// The whole file or the range that is asked for.
async fn serve_file(file: &std::path::Path, headers: &HeaderMap) -> std::io::Result<Response> {
    let mut opened = tokio::fs::File::open(file).await?;
    let total = opened.metadata().await?.len();
    let asked =
        headers.get("x-ms-range").or_else(|| headers.get(RANGE)).and_then(|value| value.to_str().ok());
    let (status, start, end) = match asked.and_then(|text| range(text, total)) {
        None => (StatusCode::OK, 0, total),
        Some(Some((start, end))) => (StatusCode::PARTIAL_CONTENT, start, end),
        Some(None) => {
            let message = "The range specified is invalid for the current size of the resource.";
            return Ok(xml(StatusCode::RANGE_NOT_SATISFIABLE, "InvalidRange", message, None));
        }
    };
    opened.seek(SeekFrom::Start(start)).await?;
    let body = Body::from_stream(ReaderStream::with_capacity(opened.take(end - start), 64 * 1_024));
    let mut response = (status, body).into_response();
    let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let mut put = |header, value: String| {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(header, value);
        }
    };
    put(CONTENT_LENGTH, (end - start).to_string());
    put(ACCEPT_RANGES, "bytes".to_owned());
    put(ETAG, format!("\"0x{}\"", hex::encode_upper(&Sha256::digest(name)[..8])));
    put(SERVER, "Windows-Azure-Blob/1.0 Microsoft-HTTPAPI/2.0".to_owned());
    if status == StatusCode::PARTIAL_CONTENT {
        put(CONTENT_RANGE, format!("bytes {start}-{}/{total}", end - 1));
    }
    Ok(response)
}

/// `None`: not a range that this host knows, so the whole; `Some(None)`: outside of the blob.
#[expect(clippy::option_option, reason = "absent and unsatisfiable are two answers")]
fn range(text: &str, total: u64) -> Option<Option<(u64, u64)>> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    if first.is_empty() {
        let suffix: u64 = last.parse().ok()?;
        return Some((suffix > 0 && total > 0).then(|| (total.saturating_sub(suffix), total)));
    }
    let start: u64 = first.parse().ok()?;
    let end = if last.is_empty() { total } else { last.parse::<u64>().ok()?.saturating_add(1).min(total) };
    Some((start < end).then_some((start, end)))
}

fn forbidden(detail: &str) -> Response {
    let message = "Server failed to authenticate the request. Make sure the value of Authorization header is formed correctly including the signature.";
    xml(StatusCode::FORBIDDEN, "AuthenticationFailed", message, Some(detail))
}

fn missing() -> Response {
    xml(StatusCode::NOT_FOUND, "ResourceNotFound", "The specified resource does not exist.", None)
}

fn xml(status: StatusCode, code: &str, message: &str, detail: Option<&str>) -> Response {
    let detail = detail.map(|text| format!("<AuthenticationErrorDetail>{text}</AuthenticationErrorDetail>"));
    let body = format!(
        "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>{code}</Code><Message>{message}</Message>{}</Error>",
        detail.unwrap_or_default()
    );
    (
        status,
        [(CONTENT_TYPE, "application/xml"), (axum::http::HeaderName::from_static("x-ms-error-code"), code)],
        body,
    )
        .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A store, the address of a file in it, and that address's words.
    fn signed(world: &Arc<World>, dir: &std::path::Path) -> (Arc<Blobs>, url::Url, HashMap<String, String>) {
        let blobs = Blobs::new(world);
        let (name, content_type) = ("a.zip".to_owned(), "application/zip".to_owned());
        let signed = blobs.sign(&Target { file: dir.join("1.blob"), name, content_type });
        let url = url::Url::parse(&format!("http://x{signed}")).unwrap();
        let query = url.query_pairs().into_owned().collect();
        (blobs, url, query)
    }

    #[tokio::test]
    async fn a_url_lives_a_minute_of_the_world_and_ten_seconds_of_the_wall() {
        let dir = tempfile::tempdir().unwrap();
        let world = World::new(dir.path(), 1.0, 1).unwrap();
        let (blobs, url, query) = signed(&world, dir.path());
        let status = || blobs.check(url.path(), &query);
        assert!(status().is_ok());
        for issued in blobs.issued.lock().unwrap().values_mut() {
            issued.world_end = Duration::ZERO;
        }
        assert!(status().is_ok(), "a minute of a fast world, but not ten seconds of the wall");
        for issued in blobs.issued.lock().unwrap().values_mut() {
            issued.wall_end = world.clock.wall() - chrono::Duration::seconds(1);
        }
        assert!(status().unwrap_err().contains("time frame"));
    }

    #[tokio::test]
    async fn a_clock_that_is_pushed_ends_a_url_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let world = World::new(dir.path(), 1.0, 1).unwrap();
        let (blobs, url, query) = signed(&world, dir.path());
        world.clock.advance(Duration::from_secs(50));
        assert!(blobs.check(url.path(), &query).is_ok(), "a minute is not over");
        world.clock.advance(Duration::from_secs(11));
        assert!(blobs.check(url.path(), &query).unwrap_err().contains("time frame"));
    }

    #[test]
    fn ranges_are_read_as_the_blob_host_does() {
        for (text, expected) in [
            ("bytes=0-9", Some(Some((0, 10)))),
            ("bytes=90-", Some(Some((90, 100)))),
            ("bytes=-5", Some(Some((95, 100)))),
            ("bytes=50-1000", Some(Some((50, 100)))),
            ("bytes=100-", Some(None)),
            ("bytes=0-1,5-6", None),
            ("lines=1-2", None),
        ] {
            assert_eq!(range(text, 100), expected, "{text}");
        }
    }
}
