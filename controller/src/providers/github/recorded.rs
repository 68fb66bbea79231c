//! What the vendor answers by its reference (`tests/fixtures/github`), which the sandbox's answers are held against too, is read as it is
//! meant.

use axum::{Router, response::IntoResponse as _, routing::any};

use super::tests::client;
use super::*;
use crate::runtime::class::{Class, Classified as _};

/// A client of a vendor that answers every call with this.
async fn vendor(body: &'static str, status: u16) -> (Github, tokio::task::JoinSet<()>) {
    let status = StatusCode::from_u16(status).unwrap();
    let json = [("content-type", "application/json; charset=utf-8")];
    client(Router::new().fallback(any(move || async move { (status, json, body).into_response() }))).await
}

#[tokio::test]
async fn runs_and_artifacts() {
    let (github, _server) = vendor(include_str!("../../../../tests/fixtures/github/runs.json"), 200).await;
    let runs = github.runs("archive.yml", 100, |_| true).await.unwrap();
    let [run] = runs.wanted.as_slice() else { panic!("{runs:?}") };
    assert_eq!((run.id, run.head_branch.as_deref(), runs.all), (30_433_642, Some("main"), true));
    assert!(run.succeeded() && run.is_own());
    assert_eq!(run.created_at, "2026-08-22T22:33:08Z".parse().ok());
    let (github, _server) =
        vendor(include_str!("../../../../tests/fixtures/github/artifacts.json"), 200).await;
    let artifacts = github.artifacts(30_433_642).await.unwrap();
    let [artifact] = artifacts.as_slice() else { panic!("{artifacts:?}") };
    assert_eq!(
        (artifact.id, artifact.name.as_str(), artifact.size_in_bytes, artifact.expired),
        (11, "s3_production", Some(556), false)
    );
    assert!(artifact.digest.as_deref().is_some_and(|digest| digest.starts_with("sha256:cfc3")));
}

#[tokio::test]
async fn refusals() {
    for (body, status) in [
        (include_str!("../../../../tests/fixtures/github/bad_credentials.json"), 401),
        (include_str!("../../../../tests/fixtures/github/not_found.json"), 404),
        (include_str!("../../../../tests/fixtures/github/expired.json"), 410),
    ] {
        let (github, _server) = vendor(body, status).await;
        let error = github.download(11).await.unwrap_err();
        let ProviderError::Status { status: told, body: said, .. } = error else { panic!("{error:?}") };
        assert_eq!(told.as_u16(), status);
        assert!(body.contains(&format!("\"message\": \"{}\"", said.message)), "{}", said.message);
    }
    let (github, _server) =
        vendor(include_str!("../../../../tests/fixtures/github/rate_limited.json"), 403).await;
    assert_eq!(github.artifacts(1).await.unwrap_err().class(), Class::Throttled(None));
}
