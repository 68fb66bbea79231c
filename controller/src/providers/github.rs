//! GitHub: runs of a workflow and what they left behind.
//!
//! Runs are listed unfiltered and filtered here: the vendor answers filtered lists from an index that may be stale for days. Downloads go
//! through a redirect to another host, which must not see our token.

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde::Deserialize;

use super::http::{
    Answer, Call, Download, Effect, Http, HttpSetupError, HttpShared, Limiter, Method, ProviderError,
    StatusCode, Turn,
};

/// The provider's name in spans and metrics.
pub const NAME: &str = "github";
/// Items of a page: the vendor's maximum.
const PAGE: usize = 100;
/// When the token ends by which it was asked.
const TOKEN_END: &str = "github-authentication-token-expiration";
/// Largest number of pages that a list is followed for.
const MOST_PAGES: usize = 20;

/// Where the repository is and how to enter it.
#[derive(Debug, Clone)]
pub struct GithubConfig {
    /// Base URL, `https://api.github.com`.
    pub url: String,
    /// `owner/name`.
    pub repository: String,
    /// Token with *Actions: read*. Listing public repositories works without; downloading never does.
    pub token: Option<SecretString>,
}

/// A client of one repository. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Github {
    http: Http,
    config: GithubConfig,
}

/// A run of a workflow.
#[derive(Debug, Clone, Deserialize)]
pub struct Run {
    /// Its id.
    pub id: u64,
    /// The branch.
    pub head_branch: Option<String>,
    /// The commit.
    pub head_sha: Option<String>,
    /// What started it.
    pub event: Option<String>,
    /// `completed` when it ended.
    pub status: Option<String>,
    /// `success` when it ended well.
    pub conclusion: Option<String>,
    /// When it was created.
    pub created_at: Option<DateTime<Utc>>,
    /// When it, or its last repetition, began.
    pub run_started_at: Option<DateTime<Utc>>,
    repository: Option<RepositoryRef>,
    head_repository: Option<RepositoryRef>,
}

#[derive(Debug, Clone, Deserialize)]
struct RepositoryRef {
    id: u64,
}

impl Run {
    /// Ended well.
    pub fn succeeded(&self) -> bool {
        self.status.as_deref() == Some("completed") && self.conclusion.as_deref() == Some("success")
    }

    /// Ran code of the repository itself. A fork can publish an artifact of the same name: nothing of it may be believed.
    pub fn is_own(&self) -> bool {
        match (&self.repository, &self.head_repository) {
            (Some(own), Some(head)) => own.id == head.id,
            _ => false,
        }
    }
}

/// What a run left behind.
#[derive(Debug, Clone, Deserialize)]
pub struct Artifact {
    /// Its id. Of several with one name, the highest is the newest.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// Size of what is downloaded, in bytes.
    pub size_in_bytes: Option<u64>,
    /// Listed, but its content is gone.
    #[serde(default)]
    pub expired: bool,
    /// `sha256:<hex>` of what is downloaded; older uploads have none.
    pub digest: Option<String>,
    /// When it was uploaded.
    pub created_at: Option<DateTime<Utc>>,
    /// When its content goes.
    pub expires_at: Option<DateTime<Utc>>,
}

/// Some of a workflow's runs.
#[derive(Debug, Default)]
pub struct Runs {
    /// Those that were wanted, as listed.
    pub wanted: Vec<Run>,
    /// How many were read, of any kind.
    pub read: usize,
    /// Whether these are all that there are.
    pub all: bool,
    /// When our token ends, which the vendor tells of those that do.
    ///
    /// Source: vendor's changelog, "Expiration of personal access tokens", and REST reference "Troubleshooting": header
    /// `github-authentication-token-expiration`.
    pub token_end: Option<DateTime<Utc>>,
}

#[derive(Deserialize)]
struct RunsPage {
    workflow_runs: Vec<Run>,
}

#[derive(Deserialize)]
struct ArtifactsPage {
    artifacts: Vec<Artifact>,
}

impl Github {
    /// A client; nothing is sent yet.
    pub fn new(config: GithubConfig, limiter: Limiter, shared: HttpShared) -> Result<Self, HttpSetupError> {
        Ok(Self { http: Http::new(NAME, &config.url, limiter, shared)?, config })
    }

    /// The same repository, with every wait ending at `cancel`.
    #[must_use]
    pub fn with_cancel(&self, cancel: tokio_util::sync::CancellationToken) -> Self {
        Self { http: self.http.with_cancel(cancel), config: self.config.clone() }
    }

    fn call(&self, name: &'static str, path: &[&str]) -> Call {
        let repository = self.config.repository.splitn(2, '/');
        let call =
            Call::new(&self.http, name, Method::GET).segments(["repos"]).segments(repository).segments(path);
        let call =
            call.header("accept", "application/vnd.github+json").header("x-github-api-version", "2022-11-28");
        // A repository that was renamed or transferred is elsewhere.
        let call = call.follow(|_| true);
        match &self.config.token {
            Some(token) => call.bearer(token),
            None => call,
        }
    }

    /// `GET /repos/:r/actions/workflows/:workflow/runs`, newest first, page by page until `enough` that are `wanted` were read or there are
    /// no more. `workflow` is an id or a file name.
    ///
    /// Source: REST reference "Workflow runs / List workflow runs for a workflow". Safe to repeat.
    pub async fn runs(
        &self,
        workflow: &str,
        enough: usize,
        wanted: impl Fn(&Run) -> bool,
    ) -> Result<Runs, ProviderError> {
        let mut found = Runs::default();
        for page in 1..=MOST_PAGES {
            let call = self.call("runs.list", &["actions", "workflows", workflow, "runs"]);
            let (answer, root): (Answer, RunsPage) = self.page(call, page).await?;
            found.read += root.workflow_runs.len();
            found.wanted.extend(root.workflow_runs.into_iter().filter(&wanted));
            found.token_end = answer.header(TOKEN_END).and_then(token_end);
            found.all = !has_next(&answer);
            if found.all || found.wanted.len() >= enough {
                break;
            }
        }
        Ok(found)
    }

    /// `GET /repos/:r/actions/runs/:run/artifacts`, all pages.
    ///
    /// Source: REST reference "Artifacts / List workflow run artifacts". Safe to repeat.
    pub async fn artifacts(&self, run: u64) -> Result<Vec<Artifact>, ProviderError> {
        let mut all = Vec::new();
        for page in 1..=MOST_PAGES {
            let call = self.call("artifacts.list", &["actions", "runs", &run.to_string(), "artifacts"]);
            let (answer, root): (Answer, ArtifactsPage) = self.page(call, page).await?;
            all.extend(root.artifacts);
            if !has_next(&answer) {
                break;
            }
        }
        Ok(all)
    }

    /// `GET /repos/:r/actions/artifacts/:id/zip`: a redirect to a signed address that is good for a minute, fetched at once and without the
    /// token. Expired content is status 410. It may be no zip: see [`Download::content_type`].
    ///
    /// Source: REST reference "Artifacts / Download an artifact". Safe to repeat.
    pub async fn download(&self, artifact: u64) -> Result<Download, ProviderError> {
        let turn = Turn::take(&self.http, "artifacts.download").await?;
        let call = self.call("artifacts.locate", &["actions", "artifacts", &artifact.to_string(), "zip"]);
        // The same call of a repository that was renamed, and not the signed address, whosever host that is.
        let call = call.follow(|to| to.path().contains("/actions/artifacts/") && to.path().ends_with("/zip"));
        let answer = self.limited(call.accept_redirect().answer().await).await?;
        let (call, what, effect) = ("artifacts.locate", "a place to download from", Effect::Repeatable);
        let location = answer.header("location").ok_or(ProviderError::Incomplete { call, what, effect })?;
        Download::open(&self.http, turn, "artifacts.download", location).await
    }

    async fn page<T: serde::de::DeserializeOwned>(
        &self,
        call: Call,
        page: usize,
    ) -> Result<(Answer, T), ProviderError> {
        let call = call.query("per_page", &PAGE.to_string()).query("page", &page.to_string());
        let name = call.name();
        let answer = self.limited(call.answer().await).await?;
        let root = super::http::call::decode(name, Effect::Repeatable, &answer.body)?;
        Ok((answer, root))
    }

    /// A used-up limit holds the account, whichever way it is said.
    async fn limited<T: Send>(&self, result: Result<T, ProviderError>) -> Result<T, ProviderError> {
        let result = limited(result);
        if let Err(ProviderError::RateLimited { retry_after, .. }) = &result {
            self.http.limiter.hold(*retry_after).await;
        }
        result
    }
}

/// `2026-12-31 23:59:59 UTC`, or with an offset in place of the zone.
fn token_end(text: &str) -> Option<DateTime<Utc>> {
    let text = text.trim();
    let text = text.strip_suffix("UTC").map_or_else(|| text.to_owned(), |at| format!("{at}+0000"));
    DateTime::parse_from_str(&text, "%Y-%m-%d %H:%M:%S %z").ok().map(|at| at.to_utc())
}

/// Whether `Link` names a next page.
fn has_next(answer: &Answer) -> bool {
    answer.header("link").is_some_and(|link| link.split(',').any(|part| part.contains("rel=\"next\"")))
}

/// A used-up limit is said by 403 too, with `Retry-After` or in words; a 403 with neither is about permissions.
///
/// Source: REST reference "Rate limits / Exceeding the rate limit".
fn limited<T>(result: Result<T, ProviderError>) -> Result<T, ProviderError> {
    match result {
        Err(ProviderError::Status { call, status: StatusCode::FORBIDDEN, body, retry_after, .. })
            if retry_after.is_some() || body.message.to_ascii_lowercase().contains("rate limit") =>
        {
            Err(ProviderError::RateLimited { call, retry_after })
        }
        other => other,
    }
}

#[cfg(test)]
mod recorded;
#[cfg(test)]
pub(crate) mod tests {
    use axum::{Json, Router, http::HeaderMap, http::Uri, response::IntoResponse, routing::any};
    use serde_json::json;

    use super::*;
    use crate::{
        providers::http::call::tests::{fast, serve},
        runtime::class::{Class, Classified as _},
    };

    /// A client of a server that answers so; it ends with the second value.
    pub(crate) async fn client(router: Router) -> (Github, tokio::task::JoinSet<()>) {
        let (url, server) = serve(router).await;
        let token = Some(SecretString::from("t0ken"));
        let config = GithubConfig { url: url.replace("/v1", ""), repository: "agence/app".into(), token };
        (Github::new(config, fast(), HttpShared::default()).unwrap(), server)
    }

    #[tokio::test]
    async fn pages_are_followed_until_enough_are_wanted_and_nulls_are_read() {
        let runs = |uri: Uri| async move {
            let last = uri.query().unwrap().contains("page=2");
            let mut headers = HeaderMap::new();
            if !last {
                headers.insert("link", "<https://x/?page=2>; rel=\"next\"".parse().unwrap());
            }
            let run = json!({"id": if last { 1 } else { 2 }, "head_branch": null, "status": "completed",
                             "conclusion": "success", "repository": {"id": 5}, "head_repository": null});
            (headers, Json(json!({"total_count": 2, "workflow_runs": [run]})))
        };
        let route = "/repos/agence/app/actions/workflows/archive.yml/runs";
        let (github, _server) = client(Router::new().route(route, any(runs))).await;
        let found = github.runs("archive.yml", 100, |_| true).await.unwrap();
        assert_eq!(found.wanted.iter().map(|run| run.id).collect::<Vec<_>>(), [2, 1]);
        assert!(
            found.wanted[0].succeeded() && !found.wanted[0].is_own(),
            "a lost fork is not the repository itself"
        );
        // Others' runs do not count as enough.
        let found = github.runs("archive.yml", 1, |run| run.id == 1).await.unwrap();
        assert_eq!((found.wanted.len(), found.read, found.all), (1, 2, true));
        let found = github.runs("archive.yml", 1, |_| true).await.unwrap();
        assert_eq!((found.wanted.len(), found.read, found.all), (1, 1, false));
    }

    /// As the vendor answered a fine-grained token, without what is of no matter here.
    #[tokio::test]
    async fn an_answer_tells_when_the_token_ends() {
        let with = |end: Option<&'static str>| {
            any(move || async move {
                let mut headers = HeaderMap::new();
                headers.insert("x-github-request-id", "D2A1:3B5C7:1".parse().unwrap());
                headers.insert("x-accepted-github-permissions", "actions=read".parse().unwrap());
                if let Some(end) = end {
                    headers.insert("github-authentication-token-expiration", end.parse().unwrap());
                }
                (headers, Json(json!({"total_count": 0, "workflow_runs": []})))
            })
        };
        for (told, read) in [
            (Some("2026-12-31 23:59:59 UTC"), Some("2026-12-31T23:59:59Z")),
            (Some("2027-01-01 01:30:00 +0200"), Some("2026-12-31T23:30:00Z")),
            (Some("soon"), None),
            (None, None),
        ] {
            let (github, _server) = client(Router::new().fallback(with(told))).await;
            let runs = github.runs("archive.yml", 1, |_| true).await.unwrap();
            let read: Option<DateTime<Utc>> = read.map(|at| at.parse().unwrap());
            assert_eq!((runs.read, runs.token_end), (0, read), "{told:?}");
        }
    }

    #[tokio::test]
    async fn the_token_does_not_reach_the_blob_store() {
        let blob = |headers: HeaderMap| async move {
            assert!(!headers.contains_key("authorization"));
            ([("content-type", "application/zip; x=y")], "PK")
        };
        let (blobs, _blobs) = serve(Router::new().fallback(any(blob))).await;
        let to = any(move |headers: HeaderMap| async move {
            assert_eq!(headers["authorization"], "Bearer t0ken");
            (StatusCode::FOUND, [("location", format!("{blobs}/x?sig=1"))]).into_response()
        });
        let (github, _server) =
            client(Router::new().route("/repos/agence/app/actions/artifacts/9/zip", to)).await;
        let download = github.download(9).await.unwrap();
        assert_eq!(download.content_type.as_deref(), Some("application/zip"));
        assert_eq!(download.bytes(10).await.unwrap(), "PK");
    }

    /// As the vendor answers what is asked of a repository's former name.
    #[tokio::test]
    async fn a_repository_that_was_renamed_is_followed() {
        let runs = "/repositories/5/actions/workflows/archive.yml/runs";
        let zip = "/repositories/5/actions/artifacts/9/zip";
        let moved = any(|uri: Uri| async move {
            let to = uri.to_string().replace("/repos/agence/app/", "/repositories/5/");
            (StatusCode::MOVED_PERMANENTLY, [("location", to)], Json(json!({"message": "Moved Permanently"})))
        });
        let (blobs, _blobs) = serve(Router::new().fallback(any(|| async { "PK" }))).await;
        let signed = format!("{blobs}/x");
        let blob = any(move || async move { (StatusCode::TEMPORARY_REDIRECT, [("location", signed)]) });
        let listed = any(|| async { Json(json!({"total_count": 0, "workflow_runs": []})) });
        let router = Router::new().route(runs, listed).route(zip, blob).fallback(moved);
        let (github, _server) = client(router).await;
        assert_eq!(github.runs("archive.yml", 100, |_| true).await.unwrap().read, 0);
        assert_eq!(github.download(9).await.unwrap().bytes(10).await.unwrap(), "PK");
    }

    #[tokio::test]
    async fn a_used_up_limit_is_told_from_a_missing_permission() {
        let answer = |message: &'static str| {
            Router::new().fallback(any(move || async move {
                (StatusCode::FORBIDDEN, Json(json!({ "message": message })))
            }))
        };
        let (github, _server) = client(answer("API rate limit exceeded for user ID 1.")).await;
        assert_eq!(github.artifacts(1).await.unwrap_err().class(), Class::Throttled(None));
        let again = tokio::time::timeout(std::time::Duration::from_millis(50), github.artifacts(1)).await;
        assert!(again.is_err(), "the account is asked again at once");
        let (github, _server) = client(answer("Resource not accessible by integration")).await;
        assert_eq!(github.artifacts(1).await.unwrap_err().class(), Class::Terminal);
    }
}
