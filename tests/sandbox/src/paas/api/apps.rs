//! Applications.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Path, Query, State as Shared};
use axum::http::HeaderMap;
use serde_json::{Value, json};

use super::observers;
use crate::paas::reply::{Answer, Input, Refusal, Reply, text};
use crate::paas::session::{Role, Session, role};
use crate::paas::state::{App, State};
use crate::paas::{Paas, catalogue, rules, view, work};

/// `GET /v1/apps`. Only arrays at the root: the vendor's client decodes it so.
pub(super) async fn list(Shared(paas): Shared<Arc<Paas>>, session: Session) -> Reply {
    let state = paas.state();
    let mine = state.apps.iter().filter(|app| role(app, &session.user).is_some());
    Reply::ok(json!({"apps": mine.map(|app| view::app(&paas, &state, app, &session)).collect::<Value>()}))
}

/// `GET /v1/apps/:app`.
pub(super) async fn show(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path(key): Path<String>,
) -> Answer {
    let state = paas.state();
    let app = state.app_for(&session.user, &key, Role::Limited)?;
    Ok(Reply::ok(json!({"app": view::app(&paas, &state, app, &session)})))
}

/// `POST /v1/apps`; with `X-Dry-Run: true` only validated.
pub(super) async fn create(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    headers: HeaderMap,
    input: Input,
) -> Answer {
    let wanted = input.wrapped("app")?;
    let request = NewApp {
        name: text(wanted, "name"),
        stack: text(wanted, "stack_id"),
        project: text(wanted, "project_id"),
        hds: wanted.get("hds_resource").and_then(Value::as_bool).unwrap_or_default(),
        parent: Some(text(wanted, "parent_id")).filter(|parent| !parent.is_empty()),
    };
    if let Some(parent) = request.parent {
        paas.state().app_for(&session.user, parent, Role::Collaborator)?;
    }
    let dry = headers.get("x-dry-run").is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"true"));
    paas.create_app(&session, &session.user, &request, dry)
}

/// `POST /v1/apps/:parent/child_apps`.
pub(super) async fn create_child(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path(parent): Path<String>,
    input: Input,
) -> Answer {
    let (parent, stack, project, owner) = {
        let state = paas.state();
        let app = state.app_for(&session.user, &parent, Role::Collaborator)?;
        (app.name.clone(), app.stack.clone(), app.project.clone(), app.owner.clone())
    };
    let name = text(input.wrapped("app")?, "name");
    let request = NewApp { name, stack: &stack, project: &project, hds: false, parent: Some(&parent) };
    paas.create_app(&session, &owner, &request, false)
}

/// `PATCH` (wrapped) and `PUT` (unwrapped) `/v1/apps/:app`: the switches, the stack and the project.
pub(super) async fn update(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path(key): Path<String>,
    input: Input,
) -> Answer {
    let change = input.maybe_wrapped("app");
    if change.get("owner").is_some() {
        // Transfers of single apps ended; whole projects are transferred (reference sheet 3.2).
        return Err(Refusal::BadRequest("an app can no longer be transferred on its own".into()));
    }
    let mut state = paas.state();
    let is_owner = state.app_for(&session.user, &key, Role::Collaborator)?.owner == session.user;
    let (stack, project) = checked_change(&state, &session, change, is_owner)?;
    let app = state.app_for_mut(&session.user, &key, Role::Collaborator)?;
    for (name, switch) in [
        ("force_https", &mut app.force_https),
        ("sticky_session", &mut app.sticky_session),
        ("router_logs", &mut app.router_logs),
    ] {
        *switch = change.get(name).and_then(Value::as_bool).unwrap_or(*switch);
    }
    app.stack = stack.unwrap_or_else(|| app.stack.clone());
    app.project = project.unwrap_or_else(|| app.project.clone());
    app.updated_at = paas.world.clock.wall();
    paas.apply_switches(app);
    let app = state.app_for(&session.user, &key, Role::Collaborator)?;
    Ok(Reply::ok(json!({"app": view::app(&paas, &state, app, &session)})).about(&app.name))
}

/// The stack and project that a change names, if it may. An app is on its owner's bill, and nobody else moves it.
fn checked_change(
    state: &State,
    session: &Session,
    change: &Value,
    is_owner: bool,
) -> Result<(Option<String>, Option<String>), Refusal> {
    let named = |key| change.get(key).and_then(Value::as_str).filter(|id| !id.is_empty());
    let stack =
        named("stack_id").map(|id| catalogue::stack(id).ok_or(Refusal::NotFound("stack"))).transpose()?;
    let project = named("project_id").map(|id| {
        let own = state.projects.iter().find(|project| project.id == id && project.owner == session.user);
        own.filter(|_| is_owner).ok_or(Refusal::NotFound("project"))
    });
    Ok((stack.map(|stack| stack.id.to_owned()), project.transpose()?.map(|project| project.id.clone())))
}

/// `POST /v1/apps/:app/rename`: the default domain follows.
pub(super) async fn rename(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path(key): Path<String>,
    input: Input,
) -> Answer {
    let value = |name| input.0.get(name).and_then(Value::as_str).unwrap_or_default();
    let (current, new) = (value("current_name"), value("new_name"));
    let mut state = paas.state();
    confirmed(&state, &session, &key, current)?;
    check_name(&state, new, "new_name")?;
    let app = state.app_for_mut(&session.user, &key, Role::Owner)?;
    super::processes::refuse_if_busy(app)?;
    let (old, old_host) = (app.name.clone(), app.default_host());
    new.clone_into(&mut app.name);
    app.updated_at = paas.world.clock.wall();
    paas.move_default_domain(&old_host, &app.default_host(), &app.name);
    paas.move_processes(&old, app);
    let app = state.app_for(&session.user, new, Role::Owner)?;
    Ok(Reply::ok(json!({"app": view::app(&paas, &state, app, &session)})).about(new))
}

/// `DELETE /v1/apps/:app?current_name=`: at once, with all that hangs on it; but not while something is done with it.
pub(super) async fn delete(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path(key): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Answer {
    let current = query.get("current_name").map(String::as_str).unwrap_or_default();
    let (name, remains) = {
        let mut state = paas.state();
        let name = confirmed(&state, &session, &key, current)?;
        let place = state.apps.iter().position(|app| app.name == name).ok_or(Refusal::NotFound("app"))?;
        super::processes::refuse_if_busy(&state.apps[place])?;
        let mut app = state.apps.remove(place);
        for addon in &mut app.addons {
            state.keep_for_support(&name, addon);
        }
        (name, work::demolish::detach(&paas, app))
    };
    work::demolish::app(&paas, remains);
    Ok(Reply::no_content().about(name))
}

/// The name of an app that its owner named right.
fn confirmed(state: &State, session: &Session, key: &str, current: &str) -> Result<String, Refusal> {
    let app = state.app_for(&session.user, key, Role::Owner)?;
    if app.name == current {
        Ok(app.name.clone())
    } else {
        Err(Refusal::invalid("current_name", "Provided name does not match app name"))
    }
}

/// What an app is created from; empty text where nothing was said.
pub(in crate::paas) struct NewApp<'a> {
    pub(in crate::paas) name: &'a str,
    pub(in crate::paas) stack: &'a str,
    pub(in crate::paas) project: &'a str,
    pub(in crate::paas) hds: bool,
    pub(in crate::paas) parent: Option<&'a str>,
}

/// Names are shared by all customers of the region.
fn check_name(state: &State, name: &str, field: &str) -> Result<(), Refusal> {
    let mut wrong = rules::app_name(name);
    if state.apps.iter().any(|app| app.name == name) {
        wrong.push("has already been taken");
    }
    let wrong: Vec<_> = wrong.into_iter().map(|message| (field.to_owned(), message.to_owned())).collect();
    if wrong.is_empty() { Ok(()) } else { Err(Refusal::Invalid(wrong)) }
}

impl Paas {
    fn create_app(&self, session: &Session, owner: &str, wanted: &NewApp<'_>, dry: bool) -> Answer {
        let mut state = self.state();
        let app = self.new_app(&state, owner, wanted)?;
        let shown = json!({"app": view::app(self, &state, &app, session)});
        if !dry {
            self.publish(&app);
            state.apps.push(app);
        }
        Ok(Reply::created(shown).about(wanted.name))
    }

    /// A validated app that is not yet anywhere.
    pub(in crate::paas) fn new_app(
        &self,
        state: &State,
        user: &str,
        wanted: &NewApp<'_>,
    ) -> Result<App, Refusal> {
        check_name(state, wanted.name, "name")?;
        let stack = match wanted.stack {
            "" => catalogue::DEFAULT_STACK,
            key => catalogue::stack(key).ok_or(Refusal::NotFound("stack"))?.id,
        };
        let mut mine = state.projects.iter().filter(|project| project.owner == user);
        let project =
            mine.find(|one| if wanted.project.is_empty() { one.default } else { one.id == wanted.project });
        let (ids, now) = (&self.world.ids, self.world.clock.wall());
        let mut app = App {
            id: ids.hex(24),
            uuid: format!("ap-{}", ids.uuid()),
            name: wanted.name.into(),
            parent: wanted.parent.map(str::to_owned),
            owner: user.into(),
            project: project.ok_or(Refusal::NotFound("project"))?.id.clone(),
            status: "new".into(),
            stack: stack.into(),
            force_https: false,
            sticky_session: false,
            router_logs: false,
            hds_resource: wanted.hds,
            formation: Vec::new(),
            variables: Vec::new(),
            addons: Vec::new(),
            domains: Vec::new(),
            collaborators: Vec::new(),
            deployments: Vec::new(),
            operations: Vec::new(),
            observers: std::collections::BTreeMap::new(),
            scm_link: None,
            cron_runs: std::collections::BTreeMap::new(),
            last_deployed_at: None,
            last_deployed_by: None,
            last_deployment: None,
            created_at: now,
            updated_at: now,
        };
        app.observers.insert("notifiers".into(), vec![observers::default_notifier(self, &app)]);
        Ok(app)
    }

    /// Lets the ingress do as the app's switches say.
    pub(in crate::paas) fn apply_switches(&self, app: &App) {
        let ingress = &self.plane.ingress;
        ingress.set_force_https(&app.name, app.force_https);
        ingress.set_sticky(&app.name, app.sticky_session);
        ingress.set_router_logs(&app.name, app.router_logs);
    }

    /// Makes the default domain of a new app known.
    pub(in crate::paas) fn publish(&self, app: &App) {
        let host = app.default_host();
        self.plane.ingress.attach(&host, &app.name);
        self.plane.dns.publish_default_domain(&host);
    }

    /// What the plane keeps by the app's name follows it: processes, hosts, the repository, domains that wait for their DNS.
    fn move_processes(self: &Arc<Self>, old: &str, app: &App) {
        self.plane.ingress.rename(old, &app.name);
        self.plane.runner.rename(old, &app.name);
        if let Err(error) = crate::plane::ssh::rename(&self.world, old, &app.name) {
            tracing::warn!(%error, "a renamed app has lost what was pushed to it");
        }
        for domain in app.domains.iter().filter(|domain| domain.issued_at.is_none()) {
            self.attach(&app.name, &domain.name);
        }
    }

    fn move_default_domain(&self, old: &str, new: &str, app: &str) {
        self.plane.ingress.detach(old);
        self.plane.dns.withdraw_default_domain(old);
        self.plane.ingress.attach(new, app);
        self.plane.dns.publish_default_domain(new);
    }
}
