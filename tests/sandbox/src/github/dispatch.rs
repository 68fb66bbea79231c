//! Starting a workflow by hand, and the life of the run that this makes.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Value, json};

use super::access::{Permission, VERSIONS};
use super::gate::{Admitted, failure};
use super::routes::{Shared, lacking, not_found};
use super::state::{Run, Workflow};
use super::{Github, SeedArtifact};
use crate::http::Resource;

/// World time until a runner takes the job.
const QUEUED: Duration = Duration::from_secs(4);
/// World time that the job takes.
const RUNNING: Duration = Duration::from_secs(30);
/// Inputs of one dispatch, at most.
const MAX_INPUTS: usize = 25;

#[derive(Debug, Deserialize)]
struct Request {
    r#ref: String,
    #[serde(default)]
    inputs: HashMap<String, String>,
    #[serde(default)]
    return_run_details: bool,
}

/// `POST …/dispatches`.
pub(super) async fn dispatch(
    State(github): Shared,
    Extension(admitted): Extension<Admitted>,
    Path((owner, name, id)): Path<(String, String, String)>,
    body: Bytes,
) -> Response {
    if !github.is_visible(&owner, &name, &admitted.caller) {
        return not_found();
    }
    if admitted.caller.permission() < Permission::Write {
        return lacking(&admitted.caller);
    }
    let Some(workflow) = github.state().workflow(&id).cloned() else { return not_found() };
    let request = match read(&body, &workflow) {
        Ok(request) => request,
        Err((status, message)) => return failure(status, &message),
    };
    let run = github.queue(&workflow, &request, admitted.caller.label());
    let details = admitted.version == VERSIONS[1] || request.return_run_details;
    let mut response = if details {
        Json(details_of(&github, &admitted.api, run)).into_response()
    } else {
        StatusCode::NO_CONTENT.into_response()
    };
    response.extensions_mut().insert(Resource(format!("run/{run} {}", workflow.file)));
    github.follow(run, workflow.file);
    response
}

fn read(body: &[u8], workflow: &Workflow) -> Result<Request, (StatusCode, String)> {
    let invalid = |message: &str| (StatusCode::UNPROCESSABLE_ENTITY, message.to_owned());
    let value: Value = serde_json::from_slice(body)
        .map_err(|_| (StatusCode::BAD_REQUEST, "Problems parsing JSON".to_owned()))?;
    let request: Request = serde_json::from_value(value).map_err(|_| {
        invalid("Invalid request.\n\n\"ref\" wasn't supplied, or a value is of the wrong type.")
    })?;
    let branch = request.r#ref.strip_prefix("refs/heads/").unwrap_or(&request.r#ref);
    if branch != "main" {
        return Err(invalid(&format!("No ref found for: {}", request.r#ref)));
    }
    if request.inputs.len() > MAX_INPUTS {
        return Err(invalid("you may only define up to 25 `inputs` for a `workflow_dispatch` event"));
    }
    if !workflow.dispatchable {
        return Err(invalid("Workflow does not have 'workflow_dispatch' trigger"));
    }
    // No workflow of this world declares any.
    if !request.inputs.is_empty() {
        let mut names: Vec<_> = request.inputs.keys().map(|name| format!("{name:?}")).collect();
        names.sort();
        return Err(invalid(&format!("Unexpected inputs provided: [{}]", names.join(", "))));
    }
    Ok(request)
}

fn details_of(github: &Github, api: &str, run: u64) -> Value {
    let repository = github.repository(api);
    json!({
        "workflow_run_id": run,
        "run_url": repository.url(&format!("/actions/runs/{run}")),
        "html_url": format!("https://github.test/{}/actions/runs/{run}", repository.slug),
    })
}

impl Github {
    fn queue(&self, workflow: &Workflow, request: &Request, actor: &str) -> u64 {
        let mut state = self.state();
        let now = self.world.clock.wall();
        let id = state.free_run_id(now);
        let number = 1 + state.runs.values().filter(|other| other.workflow == workflow.id).count() as u64;
        let run = Run {
            id,
            workflow: workflow.id,
            status: "queued".to_owned(),
            conclusion: None,
            event: "workflow_dispatch".to_owned(),
            head_branch: request.r#ref.trim_start_matches("refs/heads/").to_owned(),
            head_sha: self.world.ids.hex(40),
            actor: actor.to_owned(),
            from_fork: false,
            number,
            created_at: now,
            updated_at: now,
        };
        state.runs.insert(id, run);
        id
    }

    /// Lets the run happen: taken by a runner, artifacts uploaded, completed.
    fn follow(self: &Arc<Self>, run: u64, workflow: String) {
        let (github, tasks) = (Arc::clone(self), self.world.tasks.clone());
        tasks.spawn("github-run", async move {
            github.world.clock.sleep(QUEUED).await;
            github.stepped(run, || github.mark(run, "in_progress", None));
            github.world.clock.sleep(RUNNING).await;
            let producer = github.producer.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let produced = match producer {
                Some(producer) => producer.produce(&workflow).await,
                None => Ok(Vec::new()),
            };
            github.stepped(run, || github.complete(run, produced));
        });
    }

    /// Keeps what the run made, and ends it.
    fn complete(&self, run: u64, produced: Result<Vec<SeedArtifact>, String>) {
        let conclusion = match produced.map(|artifacts| self.upload(run, &artifacts)) {
            Ok(Ok(())) => "success",
            Ok(Err(error)) => {
                tracing::warn!(error = %error, "artifact not stored");
                "failure"
            }
            Err(reason) => {
                tracing::info!(reason, "dispatched run failed");
                "failure"
            }
        };
        self.mark(run, "completed", Some(conclusion));
    }

    fn upload(&self, run: u64, artifacts: &[SeedArtifact]) -> std::io::Result<()> {
        let mut state = self.state();
        let now = self.world.clock.wall();
        artifacts.iter().try_for_each(|artifact| self.store(&mut state, run, now, artifact))
    }

    fn mark(&self, run: u64, status: &str, conclusion: Option<&str>) {
        let now = self.world.clock.wall();
        if let Some(run) = self.state().runs.get_mut(&run) {
            status.clone_into(&mut run.status);
            run.conclusion = conclusion.map(ToOwned::to_owned);
            run.updated_at = now;
        }
    }
}
