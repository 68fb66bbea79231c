//! The code host's REST API as far as finding, downloading and producing a workflow artifact needs it, and its blob host on
//! another origin.
//!
//! Two services: `github` and `github-blob`. One fault of its own: service `github`, method `index`: filtered run lists come
//! from an index that has not yet seen the newest run.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

pub mod access;
pub mod archives;
pub mod blobs;
mod dispatch;
pub mod filters;
mod gate;
pub mod json;
pub mod limits;
mod links;
mod progress;
mod routes;
pub mod seeds;
pub mod state;

use crate::http;
use crate::world::World;
use access::Grant;
pub use access::Permission;
use blobs::Blobs;
use json::Repository;
use limits::Limits;
pub use seeds::{Digest, Producer, SeedArtifact, SeedRun};
use state::{Artifact, Run, State, Workflow};

/// The workflow that exists from the start.
const ARCHIVE_WORKFLOW: &str = "archive.yml";
/// The names under which the doors lead here: this world's, and the vendor's own.
pub(crate) const HOSTS: [&str; 2] = ["api.github.test", "api.github.com"];
/// Seconds of a day.
const DAY: u64 = 86_400;

/// The API of one repository.
#[derive(Debug)]
pub struct Github {
    world: Arc<World>,
    slug: String,
    id: u64,
    folder: PathBuf,
    addr: std::sync::OnceLock<(SocketAddr, SocketAddr)>,
    private: std::sync::atomic::AtomicBool,
    tokens: RwLock<HashMap<String, Grant>>,
    state: Mutex<State>,
    limits: Mutex<Limits>,
    blobs: Arc<Blobs>,
    producer: Mutex<Option<Arc<dyn Producer>>>,
}

impl Github {
    /// Serves the public repository `owner/name`; `token` may read and write its actions.
    pub async fn start(world: &Arc<World>, repository: &str, token: &str) -> io::Result<Arc<Self>> {
        let github = Arc::new(Self {
            world: Arc::clone(world),
            slug: repository.to_owned(),
            id: 260_000_000 + world.ids.below(1_000_000),
            folder: world.folder("github")?,
            addr: std::sync::OnceLock::new(),
            private: std::sync::atomic::AtomicBool::new(false),
            tokens: RwLock::default(),
            state: Mutex::default(),
            limits: Mutex::default(),
            blobs: Blobs::new(world),
            producer: Mutex::default(),
        });
        github.add_token(token, "reprise-bot", Permission::Write);
        github.workflow_id(&mut github.state(), ARCHIVE_WORKFLOW);
        let blob = http::serve(world, "github-blob", blobs::router(Arc::clone(&github.blobs))).await?;
        let api = http::serve(world, "github", routes::router(Arc::clone(&github))).await?;
        github.addr.set((api, blob)).map_err(|_| io::Error::other("the repository was started twice"))?;
        Ok(github)
    }

    /// The API's base URL.
    pub fn endpoint(&self) -> String {
        self.addr.get().map_or_else(String::new, |(api, _)| format!("http://{api}"))
    }

    /// The origin of signed URLs.
    pub fn blob_endpoint(&self) -> String {
        self.addr.get().map_or_else(String::new, |(_, blob)| format!("http://{blob}"))
    }

    /// Makes the repository private, or public again.
    pub fn set_private(&self, private: bool) {
        self.private.store(private, std::sync::atomic::Ordering::Relaxed);
    }

    /// Whether the repository is private.
    pub fn is_private(&self) -> bool {
        self.private.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Another token, of the user `login`.
    pub fn add_token(&self, token: &str, login: &str, permission: Permission) {
        let grant = Grant { login: login.to_owned(), permission };
        self.tokens.write().unwrap_or_else(PoisonError::into_inner).insert(token.to_owned(), grant);
    }

    /// What dispatched runs produce from now on (without a producer: nothing, successfully).
    pub fn set_producer(&self, producer: Arc<dyn Producer>) {
        *self.producer.lock().unwrap_or_else(PoisonError::into_inner) = Some(producer);
    }

    /// Adds a run that happened, with its artifacts; its id.
    pub fn add_run(&self, run: SeedRun) -> io::Result<u64> {
        let mut state = self.state();
        let workflow = self.workflow_id(&mut state, &run.workflow);
        let id = state.free_run_id(run.created_at);
        let number = 1 + state.runs.values().filter(|other| other.workflow == workflow).count() as u64;
        for artifact in &run.artifacts {
            self.store(&mut state, id, run.created_at, artifact)?;
        }
        let status = if run.conclusion.is_some() { "completed" } else { "in_progress" };
        let entry = Run {
            id,
            workflow,
            status: status.to_owned(),
            conclusion: run.conclusion,
            event: run.event,
            head_branch: run.head_branch,
            head_sha: self.world.ids.hex(40),
            actor: "reprise-bot".to_owned(),
            from_fork: run.from_fork,
            number,
            created_at: run.created_at,
            updated_at: run.created_at + chrono::Duration::minutes(4),
        };
        state.runs.insert(id, entry);
        Ok(id)
    }

    /// Workflows, runs and artifacts, without bytes.
    pub fn inventory(&self) -> Value {
        let state = self.state();
        let repository = self.repository(&self.endpoint());
        let now = self.world.clock.elapsed();
        let artifact =
            |one: &Artifact| repository.artifact(one, state.runs.get(&one.run), one.deadline <= now);
        json!({
            "repository": self.slug,
            "workflows": state.workflows.values().map(|one| &one.file).collect::<Vec<_>>(),
            "runs": state.runs_newest_first(None).iter().map(|run| json!({
                "id": run.id, "workflow": run.workflow, "status": run.status, "conclusion": run.conclusion,
                "event": run.event, "created_at": json::date(run.created_at),
            })).collect::<Vec<_>>(),
            "artifacts": state.artifacts.values().map(artifact).collect::<Vec<_>>(),
        })
    }

    /// Workflows, runs and artifacts as data; the bytes are in [`Github::folder`].
    pub(crate) fn save(&self) -> serde_json::Result<Value> {
        serde_json::to_value(&*self.state())
    }

    /// In place of everything, what was saved. Runs that were under way then are over.
    pub(crate) fn bring_back(&self, saved: Value) -> serde_json::Result<()> {
        let mut state: State = serde_json::from_value(saved)?;
        for run in state.runs.values_mut().filter(|run| run.conclusion.is_none()) {
            "completed".clone_into(&mut run.status);
            run.conclusion = Some("cancelled".into());
        }
        *self.state() = state;
        self.set_private(false);
        Ok(())
    }

    /// Writes an artifact's bytes to their file and lists it.
    fn store(
        &self,
        state: &mut State,
        run: u64,
        at: chrono::DateTime<chrono::Utc>,
        seed: &SeedArtifact,
    ) -> io::Result<()> {
        let id = state.free_artifact_id(at);
        let file = self.folder.join(format!("{id}.blob"));
        let sum = sha256(&seed.bytes);
        let same = state.artifacts.values().find(|other| other.digest.as_ref() == Some(&sum));
        // A file is never changed once written: equal bytes can be one file.
        if same.is_none_or(|other| {
            other.size != seed.bytes.len() as u64 || std::fs::hard_link(&other.file, &file).is_err()
        }) {
            std::fs::write(&file, &seed.bytes)?;
        }
        let digest = match &seed.digest {
            Digest::Ok => Some(sum),
            Digest::Wrong => Some(sha256(b"something else")),
            Digest::None => None,
            Digest::Of(other) => Some(sha256(other)),
        };
        let age = (self.world.clock.wall() - at).to_std().unwrap_or_default();
        let left = Duration::from_secs(DAY * seeds::RETENTION_DAYS.unsigned_abs()).saturating_sub(age);
        let deadline = if seed.expired { Duration::ZERO } else { self.world.clock.elapsed() + left };
        let artifact = Artifact {
            id,
            run,
            name: seed.name.clone(),
            file,
            size: seed.bytes.len() as u64,
            digest,
            content_type: seed.content_type.clone(),
            created_at: at,
            expires_at: at + chrono::Duration::days(seeds::RETENTION_DAYS),
            deadline,
        };
        state.artifacts.insert(id, artifact);
        Ok(())
    }

    /// The id of a workflow file, made known if it is not.
    fn workflow_id(&self, state: &mut State, file: &str) -> u64 {
        if let Some(known) = state.workflow(file) {
            return known.id;
        }
        let id = 70_000_000 + self.world.ids.below(20_000_000);
        state.workflows.insert(id, Workflow { id, file: file.to_owned(), dispatchable: true });
        id
    }

    /// The base URL for whoever asks so: the name by which they came where a door has it (its clients compare that name with what
    /// they are told), else the endpoint.
    fn base_for(&self, headers: &axum::http::HeaderMap) -> String {
        let name = http::host(headers).filter(|name| HOSTS.contains(&name.as_str()));
        name.map_or_else(|| self.endpoint(), |name| format!("https://{name}"))
    }

    fn repository(&self, api: &str) -> Repository {
        Repository { api: api.to_owned(), slug: self.slug.clone(), id: self.id, private: self.is_private() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn limits(&self) -> MutexGuard<'_, Limits> {
        self.limits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn sha256(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

#[cfg(test)]
mod tests;
