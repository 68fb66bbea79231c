//! What there is, by kind, sorted and without anything that changes by itself: two inventories can be compared as text.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::state::{App, State};
use super::{Paas, SERVICE};
use crate::world::journal::{Draft, Evidence, change};

impl Paas {
    /// The platform's part of the inventory.
    pub fn inventory(&self) -> Value {
        let state = self.state();
        json!({
            "apps": sorted(state.apps.iter().map(|app| shown(&state, app))),
            "projects": sorted(state.projects.iter().map(|one| json!({"name": one.name, "owner": who(&state, &one.owner)}))),
            "addons": per_app(&state, |app| app.addons.iter().map(|one| {
                json!({"app": app.name, "provider": one.provider, "plan": one.plan_id, "resource": one.resource_id,
                       "status": one.status})
            }).collect()),
            "databases": per_app(&state, |app| app.addons.iter().filter(|one| one.url.is_some()).map(|one| {
                json!({"resource": one.resource_id, "type": one.provider,
                       "backups": one.database.backups.iter().map(|backup| &backup.name).collect::<Vec<_>>(),
                       "features": one.database.features.iter().map(|feature| &feature.name).collect::<Vec<_>>()})
            }).collect()),
            "database_users": per_app(&state, |app| app.addons.iter().flat_map(|one| one.database.users.iter().map(|user| {
                json!({"resource": one.resource_id, "name": user.name, "read_only": user.read_only})
            })).collect()),
            "variables": per_app(&state, |app| app.variables.iter().map(|one| {
                json!({"app": app.name, "name": one.name, "value_sha256": digest(&one.value)})
            }).collect()),
            "domains": per_app(&state, |app| app.domains.iter().map(|one| {
                json!({"app": app.name, "name": one.name, "canonical": one.canonical, "certificate": one.issued_at.is_some()})
            }).collect()),
            "collaborators": per_app(&state, |app| app.collaborators.iter().map(|one| {
                json!({"app": app.name, "email": one.email, "limited": one.is_limited, "accepted": one.user.is_some()})
            }).collect()),
            "ssh_keys": sorted(state.keys.iter().map(|key| {
                json!({"owner": who(&state, &key.user), "name": key.name, "fingerprint": key.fingerprint})
            })),
            "processes": per_app(&state, |app| self.processes(app)),
        })
    }

    /// What serves an app, for the journal: the version of its code, and each container by the time of its start.
    pub(super) fn serving(&self, name: &str) -> Value {
        let Some(code) = self.with_app(name, |app| deployed(app).map(str::to_owned)) else {
            return json!({});
        };
        let code = code.map(|version| json!({"app": name, "version": version}));
        let containers = self.plane.runner.containers(name).into_iter().map(|one| {
            json!({"app": name, "name": format!("{}-{}", one.kind, one.index), "started_at": one.started_at})
        });
        json!({"code": code.into_iter().collect::<Value>(), "containers": sorted(containers)})
    }

    /// Writes down what work on an app, which ends long after its request, made of what served it `before`.
    pub(super) fn note_work(&self, call: &str, caller: &str, app: &str, ended_well: bool, before: &Value) {
        let (before, after) = change::between(before, &self.serving(app));
        let draft = Draft {
            service: SERVICE,
            call: call.into(),
            caller: caller.into(),
            resource: app.into(),
            status: if ended_well { 200 } else { 422 },
            fault: None,
        };
        self.world.journal.record_with(draft, Evidence { before, after, ..Evidence::default() });
    }

    /// How many containers of each type run.
    fn processes(&self, app: &App) -> Vec<Value> {
        let mut counts = std::collections::BTreeMap::<String, u32>::new();
        for container in self.plane.runner.containers(&app.name) {
            *counts.entry(container.kind).or_default() += 1;
        }
        counts
            .into_iter()
            .map(|(kind, count)| json!({"app": app.name, "type": kind, "count": count}))
            .collect()
    }
}

fn shown(state: &State, app: &App) -> Value {
    let project = state.projects.iter().find(|project| project.id == app.project);
    json!({
        "name": app.name, "id": app.id, "owner": who(state, &app.owner), "project": project.map(|project| &project.name),
        "status": app.status, "stack": app.stack, "force_https": app.force_https, "deployed": deployed(app),
        "formation": app.formation.iter().map(|kind| format!("{}:{}:{}", kind.name, kind.amount, kind.size)).collect::<Vec<_>>(),
    })
}

/// The version that serves: a commit, or what its deployment was called.
fn deployed(app: &App) -> Option<&str> {
    let last = app.deployments.iter().find(|one| Some(&one.id) == app.last_deployment.as_ref())?;
    last.git_ref.as_deref()
}

fn who<'a>(state: &'a State, id: &'a str) -> &'a str {
    state.user(id).map_or(id, |user| &user.username)
}

fn per_app(state: &State, list: impl Fn(&App) -> Vec<Value>) -> Value {
    sorted(state.apps.iter().flat_map(list))
}

fn sorted(items: impl Iterator<Item = Value>) -> Value {
    let mut items: Vec<Value> = items.collect();
    items.sort_by_cached_key(Value::to_string);
    items.into()
}

/// Enough of a digest to see a change, not enough to guess a secret from.
fn digest(value: &str) -> String {
    hex::encode(Sha256::digest(value.as_bytes())).chars().take(12).collect()
}
