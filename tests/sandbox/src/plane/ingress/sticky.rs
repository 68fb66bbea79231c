//! Sticky sessions: a cookie that leads a client to the container that answered it before.
//!
//! Source: the vendor's documentation "Sticky Sessions": name, attributes and life of the cookie. Every start of a container has another
//! port, so that old cookies end with it.

use base64::Engine as _;
use chrono::{DateTime, TimeDelta, Utc};
use hyper::HeaderMap;
use hyper::header::{COOKIE, HeaderValue};
use sha2::Digest as _;

const NAME: &str = "sc-sticky-session";
const LIFE: TimeDelta = TimeDelta::hours(24);

/// The value of the cookie in a request.
pub(super) fn asked(headers: &HeaderMap) -> Option<String> {
    let cookies = headers.get_all(COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == NAME).map(|(_, value)| value.to_owned())
}

/// What stands for the container behind a port.
pub(super) fn mark(app: &str, port: u16) -> String {
    base64::engine::general_purpose::STANDARD.encode(sha2::Sha256::digest(format!("{app} {port}")))
}

/// The cookie for an answer of the container behind `port`.
pub(super) fn cookie(app: &str, port: u16, host: &str, now: DateTime<Utc>) -> Option<HeaderValue> {
    let (mark, end) = (mark(app, port), (now + LIFE).format("%a, %d-%b-%y %H:%M:%S GMT"));
    let age = LIFE.num_seconds();
    let text = format!("{NAME}={mark}; Expires={end}; Max-Age={age}; Domain={host}; Path=/; HttpOnly");
    HeaderValue::from_str(&text).ok()
}
