//! The timelines: what a call that succeeded did, as the vendor's events.
//!
//! A layer around the API's routes watches calls and their answers, so that no handler has to think of it. Deployments, which
//! end long after their call, are told by their own work.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State as Shared};
use axum::http::header;
use axum::middleware::Next;
use axum::response::Response;
use serde_json::{Value, json};

use super::session::Session;
use super::state::{Addon, App, Backup, Deployment, Event, State};
use super::view::date;
use super::{Paas, catalogue};

mod tell;

use tell::{Before, Call};

/// A body that is larger is not looked at: no call that makes an event has one.
const LARGEST: usize = 4 * 1024 * 1024;
/// Events that are remembered.
const KEPT: usize = 10_000;
/// The vendor's own account, by which its clients know what the platform did by itself.
pub(super) const PLATFORM: &str = "deploy@scalingo.com";

/// Writes down what a successful call did.
pub(super) async fn witness(Shared(paas): Shared<Arc<Paas>>, request: Request, next: Next) -> Response {
    let template = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let session = request.extensions().get::<Session>().cloned();
    let (Some(template), Some(session)) = (template, session) else { return next.run(request).await };
    let method = request.method().as_str().to_owned();
    if !tell::concerns(&method, &template) {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let Ok(bytes) = axum::body::to_bytes(body, LARGEST).await else {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = axum::http::StatusCode::PAYLOAD_TOO_LARGE;
        return response;
    };
    let asked = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    let path: Vec<String> = parts.uri.path().split('/').skip(3).map(str::to_owned).collect();
    let query = parts.uri.query().unwrap_or_default().to_owned();
    let dry = parts.headers.contains_key("x-dry-run");
    let before = paas.before(&template, &path, &session);
    let response = next.run(Request::from_parts(parts, Body::from(bytes))).await;
    if !response.status().is_success() || dry {
        return response;
    }
    let (response, answered) = peek(response).await;
    let call = Call {
        method: &method,
        template: &template,
        path: &path,
        query: &query,
        asked: &asked,
        answered: &answered,
    };
    paas.write_down(&session.user, &before, &call);
    response
}

/// The answer again, and its JSON.
async fn peek(response: Response) -> (Response, Value) {
    let is_json = response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/json");
    if !is_json {
        return (response, Value::Null);
    }
    let (parts, body) = response.into_parts();
    let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
    let answered = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    (Response::from_parts(parts, Body::from(bytes)), answered)
}

impl Paas {
    /// What the call is about, before it changes anything.
    fn before(&self, template: &str, path: &[String], session: &Session) -> Before {
        let state = self.state();
        let key = path.first().map_or("", String::as_str);
        // A child is an app of its own: its first event is not its parent's.
        let is_about_one = template.starts_with("/v1/apps/{app}") && !template.ends_with("/child_apps");
        let app = if is_about_one {
            state.app(key)
        } else if template.contains("/databases/{id}") {
            state.addon(key).map(|(app, _)| app)
        } else {
            None
        };
        let integration = if template.contains("/scm_integrations/{id}") {
            super::auth::integration_shown(&state, &session.user, key)
        } else {
            Value::Null
        };
        Before {
            app: app.map(|app| tell::Known::of(&state, app)),
            user: tell::who(&state, &session.user),
            named: state.named(key),
            integration,
        }
    }

    fn write_down(&self, user: &str, before: &Before, call: &Call<'_>) {
        let mut state = self.state();
        // What was created by the call is found by its answer.
        let created = call.answered["app"]["id"].as_str().and_then(|id| state.app(id));
        let app = before.app.clone().or_else(|| created.map(|app| tell::Known::of(&state, app)));
        for (kind, data) in tell::events(before, call) {
            let mut event = self.event(user, kind, app.as_ref(), data);
            if let Some((id, name)) = call.project(before) {
                (event.project_id, event.project_name) = (id, name);
            }
            state.remember(event);
        }
    }

    fn event(&self, user: &str, kind: &str, app: Option<&tell::Known>, data: Value) -> Event {
        let text = |of: fn(&tell::Known) -> &String| app.map(of).cloned().unwrap_or_default();
        Event {
            id: self.world.ids.hex(24),
            at: self.world.clock.wall(),
            user: user.to_owned(),
            kind: kind.to_owned(),
            app_id: text(|app| &app.id),
            app_name: text(|app| &app.name),
            project_id: text(|app| &app.project_id),
            project_name: text(|app| &app.project_name),
            data,
        }
    }

    /// Writes down that a deployment ended.
    pub(super) fn witness_deployment(&self, app: &str, id: &str) {
        let mut state = self.state();
        let Some((known, data, pusher)) = state.app(app).and_then(|app| {
            let one = app.deployments.iter().find(|one| one.id == id)?;
            Some((tell::Known::of(&state, app), deployed(&state, one), one.pusher.clone()))
        }) else {
            return;
        };
        let event = self.event(&pusher, "deployment", Some(&known), data);
        state.remember(event);
    }

    /// Writes down that a backup ended.
    pub(super) fn witness_backup(&self, by: &str, addon: &Addon, backup: &Backup) {
        let mut state = self.state();
        let Some((app, _)) = state.addon(&addon.id) else { return };
        let known = tell::Known::of(&state, app);
        let provider = catalogue::provider(&addon.provider).map_or("", |provider| provider.name);
        let kind =
            if backup.status == "done" { "database_backup_succeeded" } else { "database_backup_failed" };
        let data = json!({
            "addon_uuid": addon.id, "addon_name": provider, "resource_id": addon.resource_id,
            "backup_method": backup.method, "backup_id": backup.id, "backup_status": backup.status,
            "started_at": backup.started_at.map(date), "ended_at": date(self.world.clock.wall()),
            "remote_ip": "127.0.0.1",
        });
        let event = self.event(by, kind, Some(&known), data);
        state.remember(event);
    }
}

fn deployed(state: &State, one: &Deployment) -> Value {
    let pusher = state.user(&one.pusher).map_or("", |user| &user.username);
    let duration = one.finished_at.map_or(0, |end| (end - one.created_at).num_seconds());
    json!({
        "deployment_id": one.id, "deployment_uuid": one.id, "pusher": pusher, "git_ref": one.git_ref.as_deref().unwrap_or_default(),
        "status": one.status, "duration": duration,
    })
}

impl State {
    /// The name of the SSH key, token or project of this id; none of anything else.
    fn named(&self, id: &str) -> String {
        let keys = self.keys.iter().map(|one| (&one.id, &one.name));
        let tokens = self.tokens.iter().map(|one| (&one.id, &one.name));
        let projects = self.projects.iter().map(|one| (&one.id, &one.name));
        let found = keys.chain(tokens).chain(projects).find(|(known, _)| *known == id);
        found.map_or_else(String::new, |(_, name)| name.clone())
    }

    fn remember(&mut self, event: Event) {
        if self.events.len() == KEPT {
            self.events.remove(0);
        }
        self.events.push(event);
    }

    /// Whether `user` may see what happened to the app of this id.
    pub(super) fn sees(&self, user: &str, app_id: &str) -> bool {
        let app: Option<&App> = self.app(app_id);
        app.is_some_and(|app| super::session::role(app, user).is_some())
    }
}
