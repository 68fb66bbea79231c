//! Deployments and operations.

use serde_json::{Value, json};

use super::date;
use crate::paas::Paas;
use crate::paas::state::{App, Deployment, Operation, State};

/// A deployment.
pub(in crate::paas) fn deployment(paas: &Paas, state: &State, app: &App, one: &Deployment) -> Value {
    let pusher = state.user(&one.pusher);
    let duration = one.finished_at.map_or(0, |end| (end - one.created_at).num_seconds());
    let built = one.status == "success" || one.status == "hook-error";
    json!({
        "id": one.id, "app_id": app.id, "created_at": date(one.created_at), "finished_at": one.finished_at.map(date),
        "status": one.status, "type": one.kind, "git_ref": one.git_ref, "previous_git_ref": one.previous_git_ref,
        "image": built.then(|| format!("{}:{}", app.name, one.id)), "image_size": built.then_some(104_857_600),
        "registry": built.then_some("registry.scalingo.test"), "duration": duration, "postdeploy_hook": one.postdeploy,
        "stack_base_image": null,
        "pusher": pusher.map(|who| json!({"id": who.id, "username": who.username, "email": who.email})),
        "links": {"output": format!("{}/v1/apps/{}/deployments/{}/output", paas.urls().api, app.id, one.id)},
    })
}

/// An operation.
pub(in crate::paas) fn operation(app: &App, one: &Operation) -> Value {
    let mut shown = json!({
        "id": one.id, "app_id": app.id, "type": one.kind, "status": one.status, "error": one.error,
        "created_at": date(one.created_at), "finished_at": one.finished_at.map(date),
    });
    if let Some(started) = &one.one_off {
        shown["start_one_off_data"] =
            json!({"container_id": started.container_id, "attach_url": started.attach_url});
    }
    shown
}
