//! Projects: what apps and their bill belong to.

use std::sync::Arc;

use axum::extract::{Path, State as Shared};
use serde_json::{Value, json};

use crate::paas::reply::{Answer, Input, Refusal, Reply, text};
use crate::paas::session::Session;
use crate::paas::state::{Project, State};
use crate::paas::view::{date, somebody};
use crate::paas::{Paas, rules};

/// Projects of one account.
const LIMIT: usize = 20;

fn shown(state: &State, project: &Project) -> Value {
    json!({
        "id": project.id, "name": project.name, "default": project.default, "flags": {},
        "owner": somebody(state.user(&project.owner)),
        "created_at": date(project.created_at), "updated_at": date(project.updated_at),
    })
}

pub(super) fn own<'a>(state: &'a State, session: &Session, id: &str) -> Result<&'a Project, Refusal> {
    let mut mine = state.projects.iter().filter(|project| project.owner == session.user);
    mine.find(|project| project.id == id).ok_or(Refusal::NotFound("project"))
}

/// `GET /v1/projects`.
pub(super) async fn list(Shared(paas): Shared<Arc<Paas>>, session: Session) -> Reply {
    let state = paas.state();
    let mine = state.projects.iter().filter(|project| project.owner == session.user);
    Reply::ok(json!({"projects": mine.map(|project| shown(&state, project)).collect::<Value>()}))
}

/// `GET /v1/projects/:id`.
pub(super) async fn show(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path(id): Path<String>,
) -> Answer {
    let state = paas.state();
    Ok(Reply::ok(json!({"project": shown(&state, own(&state, &session, &id)?)})))
}

/// `POST /v1/projects`.
pub(super) async fn create(Shared(paas): Shared<Arc<Paas>>, session: Session, input: Input) -> Answer {
    let wanted = input.wrapped("project")?;
    let name = text(wanted, "name").to_owned();
    let default = wanted.get("default").and_then(Value::as_bool).unwrap_or_default();
    let mut state = paas.state();
    check_name(&state, &session, &name)?;
    if state.projects.iter().filter(|project| project.owner == session.user).count() >= LIMIT {
        return Err(Refusal::invalid("base", "can't have more than 20 projects"));
    }
    let project = paas.new_project(&session.user, &name, default);
    if default {
        state.projects.iter_mut().filter(|one| one.owner == session.user).for_each(|one| one.default = false);
    }
    state.projects.push(project.clone());
    Ok(Reply::created(json!({"project": shown(&state, &project)})).about(name))
}

/// `PATCH /v1/projects/:id`.
pub(super) async fn update(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path(id): Path<String>,
    input: Input,
) -> Answer {
    let wanted = input.wrapped("project")?;
    let (name, default) = (text(wanted, "name").to_owned(), wanted.get("default").and_then(Value::as_bool));
    let mut state = paas.state();
    let current = own(&state, &session, &id)?.name.clone();
    if !name.is_empty() && name != current {
        check_name(&state, &session, &name)?;
    }
    let now = paas.world.clock.wall();
    for project in state.projects.iter_mut().filter(|project| project.owner == session.user) {
        if project.id == id {
            project.name = if name.is_empty() { current.clone() } else { name.clone() };
            project.default |= default == Some(true);
            project.updated_at = now;
        } else if default == Some(true) {
            project.default = false;
        }
    }
    Ok(Reply::ok(json!({"project": shown(&state, own(&state, &session, &id)?)})).about(id))
}

/// `DELETE /v1/projects/:id`: only an empty one, never the default one.
pub(super) async fn delete(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path(id): Path<String>,
) -> Answer {
    let mut state = paas.state();
    let project = own(&state, &session, &id)?;
    if project.default {
        return Err(Refusal::Conflict("Cannot delete the default project".into()));
    }
    if state.apps.iter().any(|app| app.project == id) {
        return Err(Refusal::Conflict("Cannot delete project with existing apps".into()));
    }
    let name = project.name.clone();
    state.projects.retain(|project| project.id != id);
    state.transfers.retain(|transfer| transfer.project != id);
    Ok(Reply::no_content().about(name))
}

fn check_name(state: &State, session: &Session, name: &str) -> Result<(), Refusal> {
    let taken = state.projects.iter().any(|project| project.owner == session.user && project.name == name);
    match rules::project_name(name).or_else(|| taken.then_some("has already been taken")) {
        Some(message) => Err(Refusal::invalid("name", message)),
        None => Ok(()),
    }
}

impl Paas {
    /// A project that is not yet anywhere.
    pub(in crate::paas) fn new_project(&self, owner: &str, name: &str, default: bool) -> Project {
        let now = self.world.clock.wall();
        Project {
            id: format!("prj-{}", self.world.ids.uuid()),
            name: name.into(),
            default,
            owner: owner.into(),
            created_at: now,
            updated_at: now,
        }
    }
}
