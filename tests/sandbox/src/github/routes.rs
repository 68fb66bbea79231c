//! The calls. A caller who does not see the repository learns nothing but 404.

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::header::{LINK, LOCATION};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use serde_json::{Value, json};

use super::Github;
use super::access::{Caller, Permission};
use super::dispatch::dispatch;
use super::filters::{self, Page};
use super::gate::{Admitted, failure, gate};
use super::json::Repository;
use super::state::{Artifact, Run};
use crate::http::Resource;

pub(super) type Shared = State<Arc<Github>>;
type Parameters = Query<HashMap<String, String>>;
type Owner = (String, String);

/// All routes. A path with a trailing slash is nothing here.
pub(super) fn router(github: Arc<Github>) -> Router {
    let actions = Router::new()
        .route("/workflows", get(workflows))
        .route("/workflows/{id}", get(workflow))
        .route("/workflows/{id}/runs", get(workflow_runs))
        .route("/workflows/{id}/dispatches", post(dispatch))
        .route("/runs", get(all_runs))
        .route("/runs/{id}", get(run))
        .route("/runs/{id}/artifacts", get(run_artifacts))
        .route("/runs/{id}/jobs", get(jobs))
        .route("/artifacts", get(artifacts))
        .route("/artifacts/{id}", get(artifact).delete(delete_artifact))
        .route("/artifacts/{id}/{format}", get(download));
    Router::new()
        .route("/rate_limit", get(rate_limit))
        .route("/repos/{owner}/{name}", get(repository))
        .nest("/repos/{owner}/{name}/actions", actions)
        .fallback(|| async { not_found() })
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&github), gate))
        .with_state(github)
}

pub(super) fn not_found() -> Response {
    failure(StatusCode::NOT_FOUND, "Not Found")
}

impl Github {
    /// Whether this is our repository, and one that the caller sees.
    pub(super) fn is_visible(&self, owner: &str, name: &str, caller: &Caller) -> bool {
        let slug = format!("{owner}/{name}");
        slug.eq_ignore_ascii_case(&self.slug)
            && (!self.is_private() || caller.permission() >= Permission::Metadata)
    }

    fn is_expired(&self, artifact: &Artifact) -> bool {
        artifact.deadline <= self.world.clock.elapsed()
    }

    fn runs(
        &self,
        api: &str,
        workflow: Option<u64>,
        query: &HashMap<String, String>,
        base: &str,
    ) -> Response {
        let state = self.state();
        let mut runs = state.runs_newest_first(workflow);
        if filters::is_search(query) {
            if self.world.faults.take("github", "index", base).is_some() && !runs.is_empty() {
                runs.remove(0);
            }
            runs.retain(|run| filters::passes(run, query));
        }
        let total = runs.len();
        if filters::is_search(query) {
            runs.truncate(filters::SEARCH_CAP);
        }
        let reachable = runs.len();
        let page = Page::from_query(query);
        let repository = self.repository(api);
        let file =
            |run: &Run| state.workflows.get(&run.workflow).map_or("", |workflow| workflow.file.as_str());
        let shown: Vec<Value> = page.of(runs).iter().map(|run| repository.run(run, file(run))).collect();
        let link = page.link(&repository.url(base), query, reachable);
        listing(&json!({"total_count": total, "workflow_runs": shown}), link)
    }

    fn artifact_list(
        &self,
        api: &str,
        run: Option<u64>,
        query: &HashMap<String, String>,
        base: &str,
    ) -> Response {
        let state = self.state();
        let mut artifacts = state.artifacts_newest_first(run);
        if let Some(name) = query.get("name") {
            artifacts.retain(|artifact| artifact.name == *name);
        }
        if run.is_some() && query.get("direction").is_some_and(|direction| direction == "asc") {
            artifacts.reverse();
        }
        let (total, page, repository) = (artifacts.len(), Page::from_query(query), self.repository(api));
        let show = |one: &Artifact| repository.artifact(one, state.runs.get(&one.run), self.is_expired(one));
        let shown: Vec<Value> = page.of(artifacts).iter().map(show).collect();
        let link = page.link(&repository.url(base), query, total);
        listing(&json!({"total_count": total, "artifacts": shown}), link)
    }

    fn find_artifact(&self, id: &str) -> Option<Artifact> {
        self.state().artifacts.get(&id.parse().ok()?).cloned()
    }
}

fn listing(body: &Value, link: Option<String>) -> Response {
    let mut response = Json(body).into_response();
    if let Some(link) = link.and_then(|link| HeaderValue::from_str(&link).ok()) {
        response.headers_mut().insert(LINK, link);
    }
    response
}

async fn rate_limit(State(github): Shared, Extension(admitted): Extension<Admitted>) -> Json<Value> {
    let now = github.world.clock.elapsed();
    let shown = github.limits().shown(&admitted.caller, now);
    let left = shown.resets_in.div_f64(github.world.clock.speed());
    let core = json!({
        "limit": shown.limit, "used": shown.used, "remaining": shown.limit.saturating_sub(shown.used),
        "reset": github.world.clock.wall().timestamp().unsigned_abs() + left.as_secs() + 1,
    });
    Json(json!({"resources": {"core": core}, "rate": core}))
}

async fn repository(
    State(github): Shared,
    Extension(admitted): Extension<Admitted>,
    Path((owner, name)): Path<Owner>,
) -> Response {
    if !github.is_visible(&owner, &name, &admitted.caller) {
        return not_found();
    }
    Json(github.repository(&admitted.api).to_json()).into_response()
}

async fn workflows(
    State(github): Shared,
    Extension(admitted): Extension<Admitted>,
    Path((owner, name)): Path<Owner>,
    Query(query): Parameters,
) -> Response {
    if !github.is_visible(&owner, &name, &admitted.caller) {
        return not_found();
    }
    let (page, repository) = (Page::from_query(&query), github.repository(&admitted.api));
    let all: Vec<Value> = github.state().workflows.values().map(|one| repository.workflow(one)).collect();
    let (total, link) = (all.len(), page.link(&repository.url("/actions/workflows"), &query, all.len()));
    listing(&json!({"total_count": total, "workflows": page.of(all)}), link)
}

async fn workflow(
    State(github): Shared,
    Extension(admitted): Extension<Admitted>,
    Path((owner, name, id)): Path<(String, String, String)>,
) -> Response {
    let found = github.state().workflow(&id).cloned();
    match found.filter(|_| github.is_visible(&owner, &name, &admitted.caller)) {
        Some(workflow) => Json(github.repository(&admitted.api).workflow(&workflow)).into_response(),
        None => not_found(),
    }
}

async fn workflow_runs(
    State(github): Shared,
    Extension(admitted): Extension<Admitted>,
    Path((owner, name, id)): Path<(String, String, String)>,
    Query(query): Parameters,
) -> Response {
    let workflow = github.state().workflow(&id).map(|workflow| workflow.id);
    match workflow.filter(|_| github.is_visible(&owner, &name, &admitted.caller)) {
        Some(workflow) => {
            github.runs(&admitted.api, Some(workflow), &query, &format!("/actions/workflows/{id}/runs"))
        }
        None => not_found(),
    }
}

async fn all_runs(
    State(github): Shared,
    Extension(admitted): Extension<Admitted>,
    Path((owner, name)): Path<Owner>,
    Query(query): Parameters,
) -> Response {
    if !github.is_visible(&owner, &name, &admitted.caller) {
        return not_found();
    }
    github.runs(&admitted.api, None, &query, "/actions/runs")
}

async fn run(
    State(github): Shared,
    Extension(admitted): Extension<Admitted>,
    Path(named): Path<(String, String, String)>,
) -> Response {
    shown(&github, &admitted, &named, Repository::run)
}

/// Every run of this world is one job.
async fn jobs(
    State(github): Shared,
    Extension(admitted): Extension<Admitted>,
    Path(named): Path<(String, String, String)>,
) -> Response {
    shown(
        &github,
        &admitted,
        &named,
        |repository, run, file| json!({"total_count": 1, "jobs": [repository.job(run, file)]}),
    )
}

/// What is to be told of a run, to who may see it.
fn shown(
    github: &Github,
    admitted: &Admitted,
    (owner, name, id): &(String, String, String),
    tell: impl FnOnce(&Repository, &Run, &str) -> Value,
) -> Response {
    let state = github.state();
    let found = id.parse().ok().and_then(|id: u64| state.runs.get(&id));
    match found.filter(|_| github.is_visible(owner, name, &admitted.caller)) {
        Some(run) => {
            let file = state.workflows.get(&run.workflow).map_or("", |workflow| workflow.file.as_str());
            Json(tell(&github.repository(&admitted.api), run, file)).into_response()
        }
        None => not_found(),
    }
}

async fn run_artifacts(
    State(github): Shared,
    Extension(admitted): Extension<Admitted>,
    Path((owner, name, id)): Path<(String, String, String)>,
    Query(query): Parameters,
) -> Response {
    let known = id.parse().ok().filter(|id| github.state().runs.contains_key(id));
    match known.filter(|_| github.is_visible(&owner, &name, &admitted.caller)) {
        Some(run) => {
            github.artifact_list(&admitted.api, Some(run), &query, &format!("/actions/runs/{run}/artifacts"))
        }
        None => not_found(),
    }
}

async fn artifacts(
    State(github): Shared,
    Extension(admitted): Extension<Admitted>,
    Path((owner, name)): Path<Owner>,
    Query(query): Parameters,
) -> Response {
    if !github.is_visible(&owner, &name, &admitted.caller) {
        return not_found();
    }
    github.artifact_list(&admitted.api, None, &query, "/actions/artifacts")
}

async fn artifact(
    State(github): Shared,
    Extension(admitted): Extension<Admitted>,
    Path((owner, name, id)): Path<(String, String, String)>,
) -> Response {
    let found = github.find_artifact(&id);
    let Some(artifact) = found.filter(|_| github.is_visible(&owner, &name, &admitted.caller)) else {
        return not_found();
    };
    let state = github.state();
    let expired = github.is_expired(&artifact);
    Json(github.repository(&admitted.api).artifact(&artifact, state.runs.get(&artifact.run), expired))
        .into_response()
}

async fn delete_artifact(
    State(github): Shared,
    Extension(admitted): Extension<Admitted>,
    Path((owner, name, id)): Path<(String, String, String)>,
) -> Response {
    let found = github.find_artifact(&id);
    let Some(artifact) = found.filter(|_| github.is_visible(&owner, &name, &admitted.caller)) else {
        return not_found();
    };
    if admitted.caller.permission() < Permission::Write {
        return lacking(&admitted.caller);
    }
    github.state().artifacts.remove(&artifact.id);
    let mut response = StatusCode::NO_CONTENT.into_response();
    response.extensions_mut().insert(Resource(format!("artifact/{} {}", artifact.id, artifact.name)));
    response
}

/// The redirect to the blob host. Downloading needs a permission even where listing is public.
async fn download(
    State(github): Shared,
    Extension(admitted): Extension<Admitted>,
    Path((owner, name, id, format)): Path<(String, String, String, String)>,
) -> Response {
    let found = github.find_artifact(&id).filter(|_| format == "zip");
    let Some(artifact) = found.filter(|_| github.is_visible(&owner, &name, &admitted.caller)) else {
        return not_found();
    };
    if admitted.caller.permission() < Permission::Read {
        return lacking(&admitted.caller);
    }
    if github.is_expired(&artifact) {
        return failure(StatusCode::GONE, "Artifact has expired");
    }
    let is_zip = artifact.content_type == "application/zip";
    let target = super::blobs::Target {
        name: if is_zip { format!("{}.zip", artifact.name) } else { artifact.name.clone() },
        file: artifact.file,
        content_type: artifact.content_type,
    };
    let location = format!("{}{}", github.blob_endpoint(), github.blobs.sign(&target));
    (StatusCode::FOUND, [(LOCATION, location)], Body::empty()).into_response()
}

/// The refusal of a caller who sees the thing but may not do this with it.
pub(super) fn lacking(caller: &Caller) -> Response {
    match caller {
        Caller::Anonymous => {
            failure(StatusCode::UNAUTHORIZED, "You must have the actions scope to download artifacts.")
        }
        Caller::User(_) => failure(StatusCode::FORBIDDEN, "Resource not accessible by personal access token"),
    }
}
