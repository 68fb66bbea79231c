//! What GETs answered before the last effect: so that a read can be stale, as from a replica that lags.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::body::{Body, Bytes};
use axum::http::Response;
use axum::http::response::Parts;
use hyper::body::Body as _;

/// Paths that are remembered.
const PATHS: usize = 256;
/// Longer answers are not remembered.
const LONGEST: u64 = 64 * 1024;

/// The memory of one service.
#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<Remembered>);

#[derive(Debug, Default)]
struct Remembered {
    /// Counts what changed something.
    effects: u64,
    paths: HashMap<String, Versions>,
}

/// An answer, and how many effects it had seen.
#[derive(Debug, Clone)]
struct Version {
    effects: u64,
    parts: Parts,
    body: Bytes,
}

#[derive(Debug, Default)]
struct Versions {
    newest: Option<Version>,
    older: Option<Version>,
}

impl Memory {
    /// Something was changed.
    pub(super) fn changed(&self) {
        self.remembered().effects += 1;
    }

    /// Effects so far: taken *before* the handler reads.
    pub(super) fn effects(&self) -> u64 {
        self.remembered().effects
    }

    /// Keeps the answer to the GET of `key` that had seen `effects`, if it is small, and hands it on.
    pub(super) async fn keep(&self, key: &str, effects: u64, response: Response<Body>) -> Response<Body> {
        let small = response.body().size_hint().exact().is_some_and(|size| size <= LONGEST);
        if !small || !response.status().is_success() {
            return response;
        }
        let (parts, body) = response.into_parts();
        let Ok(body) = axum::body::to_bytes(body, usize::try_from(LONGEST).unwrap_or(usize::MAX)).await
        else {
            return Response::new(Body::empty());
        };
        let version = Version { effects, parts: parts.clone(), body: body.clone() };
        self.remembered().keep(key, version);
        Response::from_parts(parts, Body::from(body))
    }

    /// What the GET of `key` answered before the last effect.
    pub(super) fn stale(&self, key: &str) -> Option<Response<Body>> {
        let remembered = self.remembered();
        let versions = remembered.paths.get(key)?;
        let is_old = |version: &&Version| version.effects < remembered.effects;
        let version = versions.newest.as_ref().filter(is_old).or(versions.older.as_ref())?;
        Some(Response::from_parts(version.parts.clone(), Body::from(version.body.clone())))
    }

    fn remembered(&self) -> MutexGuard<'_, Remembered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Remembered {
    fn keep(&mut self, key: &str, version: Version) {
        if self.paths.len() >= PATHS && !self.paths.contains_key(key) {
            self.paths.clear();
        }
        let versions = self.paths.entry(key.to_owned()).or_default();
        if versions.newest.as_ref().is_some_and(|newest| newest.effects < version.effects) {
            versions.older = versions.newest.take();
        }
        versions.newest = Some(version);
    }
}
