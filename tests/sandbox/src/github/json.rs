//! The vendor's JSON. Pure; fields after GitHub's `OpenAPI` description.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

use super::links;
use super::state::{Artifact, Run, Workflow};

/// The repository around which all URLs are built.
#[derive(Debug, Clone)]
pub struct Repository {
    /// `http://127.0.0.1:PORT`, or `https://` and the name by which somebody came.
    pub api: String,
    /// `owner/name`.
    pub slug: String,
    /// Numeric id.
    pub id: u64,
    /// Whether only its members see it.
    pub private: bool,
}

impl Repository {
    /// The API URL of something in the repository.
    pub fn url(&self, rest: &str) -> String {
        format!("{}/repos/{}{rest}", self.api, self.slug)
    }

    fn owner_and_name(&self) -> (&str, &str) {
        self.slug.split_once('/').unwrap_or((self.slug.as_str(), ""))
    }

    fn web(&self, rest: &str) -> String {
        format!("https://github.test/{}{rest}", self.slug)
    }

    fn user(&self, login: &str) -> Value {
        let url = format!("{}/users/{login}", self.api);
        let mut shown = json!({
            "login": login, "id": 41_898_282, "node_id": "MDM6Qm90NDE4OTgyODI=", "type": "User", "site_admin": false,
            "url": url, "html_url": format!("https://github.test/{login}"),
            "avatar_url": "https://avatars.github.test/u/41898282?v=4", "gravatar_id": "",
        });
        links::of_user(&mut shown, &url);
        shown
    }

    /// `GET /repos/{owner}/{repo}`, and the minimal form inside runs.
    pub fn to_json(&self) -> Value {
        let (owner, name) = self.owner_and_name();
        let mut shown = json!({
            "id": self.id, "node_id": format!("R_{}", self.id), "name": name, "full_name": self.slug,
            "private": self.private, "visibility": if self.private { "private" } else { "public" },
            "owner": self.user(owner), "html_url": self.web(""), "description": null, "fork": false,
            "url": self.url(""), "default_branch": "main", "archived": false, "disabled": false,
        });
        links::of_repository(&mut shown, &self.url(""));
        shown
    }

    /// A workflow.
    pub fn workflow(&self, workflow: &Workflow) -> Value {
        json!({
            "id": workflow.id, "node_id": format!("W_{}", workflow.id), "name": title(&workflow.file),
            "path": format!(".github/workflows/{}", workflow.file), "state": "active",
            "created_at": "2024-01-08T09:00:00Z", "updated_at": "2024-01-08T09:00:00Z",
            "url": self.url(&format!("/actions/workflows/{}", workflow.id)),
            "html_url": self.web(&format!("/blob/main/.github/workflows/{}", workflow.file)),
            "badge_url": self.web(&format!("/workflows/{}/badge.svg", title(&workflow.file))),
        })
    }

    /// A run of `file`.
    pub fn run(&self, run: &Run, file: &str) -> Value {
        let url = self.url(&format!("/actions/runs/{}", run.id));
        let head_id = self.head_id(run);
        let mut head = self.to_json();
        head["id"] = json!(head_id);
        json!({
            "id": run.id, "name": title(file), "node_id": format!("WFR_{}", run.id),
            "head_branch": run.head_branch, "head_sha": run.head_sha,
            "path": format!(".github/workflows/{file}"), "display_title": title(file),
            "run_number": run.number, "run_attempt": 1, "event": run.event,
            "status": run.status, "conclusion": run.conclusion, "workflow_id": run.workflow,
            "check_suite_id": run.check_suite(), "check_suite_node_id": format!("CS_{}", run.check_suite()),
            "url": url, "html_url": self.web(&format!("/actions/runs/{}", run.id)), "pull_requests": [],
            "created_at": date(run.created_at), "updated_at": date(run.updated_at),
            "run_started_at": date(run.created_at), "referenced_workflows": [],
            "actor": self.user(&run.actor), "triggering_actor": self.user(&run.actor),
            "jobs_url": format!("{url}/jobs"), "logs_url": format!("{url}/logs"),
            "check_suite_url": self.url(&format!("/check-suites/{}", run.check_suite())),
            "artifacts_url": format!("{url}/artifacts"), "cancel_url": format!("{url}/cancel"),
            "rerun_url": format!("{url}/rerun"), "previous_attempt_url": null,
            "workflow_url": self.url(&format!("/actions/workflows/{}", run.workflow)),
            "head_commit": {
                "id": run.head_sha, "tree_id": run.head_sha, "message": "Archive the documents",
                "timestamp": date(run.created_at),
                "author": {"name": run.actor, "email": "actions@apilos.test"},
                "committer": {"name": run.actor, "email": "actions@apilos.test"},
            },
            "repository": self.to_json(), "head_repository": head, "head_repository_id": head_id,
        })
    }

    /// The one job of a run of `file`.
    pub fn job(&self, run: &Run, file: &str) -> Value {
        let (id, completed) = (run.job(), run.conclusion.is_some());
        json!({
            "id": id, "run_id": run.id, "run_url": self.url(&format!("/actions/runs/{}", run.id)), "run_attempt": 1,
            "node_id": format!("CR_{id}"), "head_sha": run.head_sha, "head_branch": run.head_branch,
            "url": self.url(&format!("/actions/jobs/{id}")),
            "html_url": self.web(&format!("/actions/runs/{}/job/{id}", run.id)),
            "status": run.status, "conclusion": run.conclusion, "created_at": date(run.created_at),
            "started_at": date(run.created_at), "completed_at": completed.then(|| date(run.updated_at)),
            "name": title(file).to_lowercase(), "workflow_name": title(file), "steps": [],
            "check_run_url": self.url(&format!("/check-runs/{id}")), "labels": ["ubuntu-latest"],
            "runner_id": null, "runner_name": null, "runner_group_id": null, "runner_group_name": null,
        })
    }

    /// An artifact of `run`, which may be gone.
    pub fn artifact(&self, artifact: &Artifact, run: Option<&Run>, expired: bool) -> Value {
        let url = self.url(&format!("/actions/artifacts/{}", artifact.id));
        json!({
            "id": artifact.id, "node_id": format!("MDg6QXJ0aWZhY3Q{}", artifact.id), "name": artifact.name,
            "size_in_bytes": artifact.size, "url": url, "archive_download_url": format!("{url}/zip"),
            "expired": expired, "digest": artifact.digest,
            "created_at": date(artifact.created_at), "updated_at": date(artifact.created_at),
            "expires_at": date(artifact.expires_at),
            "workflow_run": run.map(|run| json!({
                "id": run.id, "repository_id": self.id, "head_repository_id": self.head_id(run),
                "head_branch": run.head_branch, "head_sha": run.head_sha,
            })),
        })
    }

    fn head_id(&self, run: &Run) -> u64 {
        if run.from_fork { self.id + 4_321 } else { self.id }
    }
}

/// RFC 3339 in whole seconds, as the vendor writes dates.
pub fn date(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// `archive.yml` → `Archive`.
fn title(file: &str) -> String {
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
    let mut letters = stem.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// The error body.
pub fn error(status: u16, message: &str) -> Value {
    json!({"message": message, "documentation_url": "https://docs.github.com/rest", "status": status.to_string()})
}
