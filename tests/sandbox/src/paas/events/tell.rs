//! Which events a call makes, and what they say. Pure. The names of kinds and fields are those that the vendor's clients decode.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::paas::catalogue;
use crate::paas::state::{App, State};

mod around;
mod call;

pub(super) use call::Call;

/// What was, before a call.
#[derive(Debug, Clone)]
pub(super) struct Before {
    pub(super) app: Option<Known>,
    pub(super) user: Value,
    /// The name of the SSH key, token or project that the call names by its id.
    pub(super) named: String,
    /// The link to a code host that the call names.
    pub(super) integration: Value,
}

/// What events need to know of an app.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) project_id: String,
    pub(super) project_name: String,
    stack: String,
    formation: BTreeMap<String, String>,
    /// id → name.
    variables: BTreeMap<String, String>,
    domains: BTreeMap<String, (String, bool)>,
    /// id → provider, plan, resource.
    addons: BTreeMap<String, (String, String, String)>,
    collaborators: BTreeMap<String, Value>,
    observers: BTreeMap<String, Value>,
    scm: Value,
}

impl Known {
    pub(super) fn of(state: &State, app: &App) -> Self {
        let project = state.projects.iter().find(|project| project.id == app.project);
        let formation =
            app.formation.iter().map(|one| (one.name.clone(), format!("{}:{}", one.amount, one.size)));
        let addons = app.addons.iter().map(|one| {
            let provider = catalogue::provider(&one.provider);
            let plan = provider.and_then(|provider| provider.plan(&one.plan_id));
            let names = (
                provider.map_or(one.provider.as_str(), |provider| provider.name).to_owned(),
                plan.map_or(one.plan_id.as_str(), |(_, plan)| plan.name).to_owned(),
                one.resource_id.clone(),
            );
            (one.id.clone(), names)
        });
        let collaborators = app.collaborators.iter().map(|one| {
            let who = one.user.as_deref().map_or_else(
                || json!({"email": one.email, "username": "n/a", "id": ""}),
                |user| who(state, user),
            );
            (one.id.clone(), who)
        });
        let observers = app
            .observers
            .values()
            .flatten()
            .filter_map(|one| Some((one["id"].as_str()?.to_owned(), one.clone())));
        Self {
            id: app.id.clone(),
            name: app.name.clone(),
            project_id: app.project.clone(),
            project_name: project.map_or_else(String::new, |project| project.name.clone()),
            stack: app.stack.clone(),
            formation: formation.collect(),
            variables: app.variables.iter().map(|one| (one.id.clone(), one.name.clone())).collect(),
            domains: app
                .domains
                .iter()
                .map(|one| (one.id.clone(), (one.name.clone(), one.has_certificate())))
                .collect(),
            addons: addons.collect(),
            collaborators: collaborators.collect(),
            observers: observers.collect(),
            scm: app.scm_link.clone().unwrap_or(Value::Null),
        }
    }
}

/// Somebody beside an event.
pub(super) fn who(state: &State, user: &str) -> Value {
    state.user(user).map_or_else(
        || json!({"id": user, "username": "", "email": ""}),
        |user| json!({"id": user.id, "username": user.username, "email": user.email}),
    )
}

/// Whether a call can make an event at all.
pub(super) fn concerns(method: &str, template: &str) -> bool {
    let accepting = method == "GET" && template == "/v1/apps/collaboration";
    accepting || !matches!(method, "GET" | "HEAD" | "OPTIONS")
}

type Told = Vec<(&'static str, Value)>;

/// The events of a call.
pub(super) fn events(before: &Before, call: &Call<'_>) -> Told {
    let none = Known::default();
    let was = before.app.as_ref().unwrap_or(&none);
    let rest = call.template.strip_prefix("/v1/apps/{app}");
    match (call.method, rest) {
        (_, None) => elsewhere(before, was, call),
        ("PUT" | "PATCH", Some("")) => edited(was, call),
        ("DELETE", Some("")) => vec![("delete_app", json!({}))],
        ("POST", Some("/rename")) => {
            vec![("rename_app", json!({"old_name": was.name, "new_name": call.answered["app"]["name"]}))]
        }
        ("POST", Some("/child_apps")) => vec![("new_app", json!({"git_source": ""}))],
        ("POST", Some("/scale")) => vec![("scale", scaled(was, call))],
        ("POST", Some("/restart")) => {
            vec![(
                "restart",
                json!({"scope": call.asked["scope"].as_array().cloned().unwrap_or_default(), "addon_name": ""}),
            )]
        }
        ("POST", Some("/run")) => {
            let detached = call.asked["detached"].as_bool().unwrap_or_default();
            vec![("run", json!({"command": call.asked["command"], "audit_log_id": "", "detached": detached}))]
        }
        (_, Some(rest)) if rest.starts_with("/variables") => variables(was, call),
        (_, Some(rest)) if rest.starts_with("/addons") && rest.ends_with("/log_drains") => {
            around::addon_drain(was, call)
        }
        (_, Some(rest)) if rest.starts_with("/addons") => addons(was, call),
        (_, Some(rest)) if rest.starts_with("/domains") => domains(was, call),
        (_, Some(rest)) if rest.starts_with("/collaborators") => collaborators(before, was, call),
        (_, Some(rest)) if rest.starts_with("/scm_repo_link") => scm(before, was, call),
        (_, Some(rest)) => observers(was, call, rest),
    }
}

/// Calls that are not about an existing app.
fn elsewhere(before: &Before, was: &Known, call: &Call<'_>) -> Told {
    let answered = call.answered;
    match (call.method, call.template) {
        ("POST", "/v1/apps") => vec![("new_app", json!({"git_source": ""}))],
        ("GET", "/v1/apps/collaboration") => {
            vec![("accept_collaborator", json!({"collaborator": before.user}))]
        }
        ("POST", "/v1/projects") => {
            vec![(
                "new_project",
                json!({"default": answered["project"]["default"].as_bool().unwrap_or_default()}),
            )]
        }
        ("PATCH", "/v1/projects/{id}") => {
            let name =
                json!({"name": "name", "value": answered["project"]["name"], "old_value": before.named});
            vec![("edit_project", json!({"updated_values": [name]}))]
        }
        ("DELETE", "/v1/projects/{id}") => vec![("delete_project", json!({}))],
        ("POST", "/v1/keys") => {
            let key = &answered["key"];
            vec![("new_key", json!({"name": key["name"], "fingerprint": key["fingerprint"]}))]
        }
        ("DELETE", "/v1/keys/{id}") => vec![("delete_key", json!({"name": before.named}))],
        ("PATCH", "/v1/tokens/{id}/renew") => {
            let token = &answered["token"];
            vec![("regenerate_token", json!({"token_name": token["name"], "token_id": token["id"]}))]
        }
        ("DELETE", "/v1/tokens/{id}") => {
            vec![("delete_token", json!({"token_name": before.named, "token_id": call.path.first()}))]
        }
        _ => around::events(before, was, call),
    }
}

fn edited(was: &Known, call: &Call<'_>) -> Told {
    let now = &call.answered["app"];
    let change = call.asked.get("app").filter(|inner| inner.is_object()).unwrap_or(call.asked);
    let mut told = Told::new();
    if now["stack_id"].as_str().is_some_and(|id| id != was.stack) {
        let name = |id: &str| catalogue::stack(id).map_or("", |stack| stack.name);
        told.push(("stack_changed", json!({
            "previous_stack_id": was.stack, "current_stack_id": now["stack_id"],
            "previous_stack_name": name(&was.stack), "current_stack_name": name(now["stack_id"].as_str().unwrap_or_default()),
        })));
    }
    if now["project"]["id"].as_str().is_some_and(|id| id != was.project_id) {
        told.push((
            "update_app_project",
            json!({
                "old_project_name": was.project_name, "new_project_name": now["project"]["name"],
                "old_project_id": was.project_id, "new_project_id": now["project"]["id"],
            }),
        ));
    }
    let switches = ["force_https", "sticky_session", "router_logs"];
    let changed: Map<String, Value> =
        switches.iter().filter_map(|name| Some(((*name).to_owned(), change.get(name)?.clone()))).collect();
    if !changed.is_empty() {
        told.push(("edit_app", changed.into()));
    }
    told
}

fn scaled(was: &Known, call: &Call<'_>) -> Value {
    let containers = call.answered["containers"].as_array().into_iter().flatten();
    let now: Map<String, Value> = containers
        .filter_map(|one| {
            let size = one["size"].as_str().unwrap_or_default();
            Some((one["name"].as_str()?.to_owned(), json!(format!("{}:{size}", one["amount"]))))
        })
        .collect();
    json!({"previous_containers": was.formation, "containers": now})
}

/// Variables by name. Values are left out: whoever may read a timeline need not be one who may read them.
fn variables(was: &Known, call: &Call<'_>) -> Told {
    let variable = |name: &str| json!({"name": name, "value": "", "old_value": "", "addon_name": ""});
    let known = |name: &str| was.variables.values().any(|one| one == name);
    let one_id = call.path.get(2).map(String::as_str);
    let names_of = |list: &Value| -> Vec<String> {
        let all = list.as_array().into_iter().flatten();
        all.filter_map(|one| one["name"].as_str().map(str::to_owned)).collect()
    };
    match (call.method, one_id) {
        ("POST", None) => {
            let name = call.answered["variable"]["name"].as_str().unwrap_or_default();
            vec![(if known(name) { "edit_variable" } else { "new_variable" }, variable(name))]
        }
        ("PUT", None) => {
            let (updated, new): (Vec<_>, Vec<_>) =
                names_of(&call.answered["variables"]).into_iter().partition(|name| known(name));
            vec![("edit_variables", changes(&new, &updated, &[]))]
        }
        ("PATCH", Some(id)) => {
            let name = call.answered["variable"]["name"]
                .as_str()
                .or_else(|| was.variables.get(id).map(String::as_str));
            vec![("edit_variable", variable(name.unwrap_or_default()))]
        }
        ("DELETE", Some(id)) => {
            let name = was.variables.get(id).map_or("", String::as_str);
            vec![("delete_variable", variable(name))]
        }
        ("DELETE", None) => {
            let ids = call.asked["variable_ids"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let gone: Vec<String> = ids.filter_map(|id| was.variables.get(id).cloned()).collect();
            vec![("edit_variables", changes(&[], &[], &gone))]
        }
        _ => Told::new(),
    }
}

fn changes(new: &[String], updated: &[String], deleted: &[String]) -> Value {
    let shown =
        |names: &[String]| names.iter().map(|name| json!({"name": name, "value": ""})).collect::<Value>();
    json!({"new_vars": shown(new), "updated_vars": shown(updated), "deleted_vars": shown(deleted)})
}

fn addons(was: &Known, call: &Call<'_>) -> Told {
    let addon = &call.answered["addon"];
    let now = |resource: &Value| json!({"addon_provider_name": addon["addon_provider"]["name"], "plan_name": addon["plan"]["name"], "resource_id": resource});
    let old = call.path.get(2).and_then(|id| {
        was.addons.get(id).or_else(|| was.addons.values().find(|(_, _, resource)| resource == id))
    });
    match (call.method, call.path.len()) {
        ("POST", 2) => vec![("new_addon", now(&addon["resource_id"]))],
        ("POST", 4) if call.template.ends_with("/resume") => {
            vec![("resume_addon", now(&addon["resource_id"]))]
        }
        ("PATCH", 3) => {
            let mut told = now(&addon["resource_id"]);
            told["old_plan_name"] = json!(old.map(|(_, plan, _)| plan));
            told["new_plan_name"] = addon["plan"]["name"].clone();
            vec![("upgrade_addon", told)]
        }
        ("DELETE", 3) => {
            let gone = old.map(|(provider, plan, resource)| {
                json!({"addon_provider_name": provider, "plan_name": plan, "resource_id": resource})
            });
            vec![("delete_addon", gone.unwrap_or_else(|| json!({})))]
        }
        _ => Told::new(),
    }
}

fn domains(was: &Known, call: &Call<'_>) -> Told {
    let domain = &call.answered["domain"];
    let old = call.path.get(2).and_then(|id| was.domains.get(id));
    match (call.method, old) {
        ("POST", _) => vec![("new_domain", json!({"hostname": domain["name"], "ssl": domain["ssl"]}))],
        ("PATCH", Some((name, ssl))) => {
            vec![("edit_domain", json!({"hostname": name, "ssl": domain["ssl"], "old_ssl": ssl}))]
        }
        ("DELETE", Some((name, _))) => vec![("delete_domain", json!({"hostname": name}))],
        _ => Told::new(),
    }
}

fn collaborators(before: &Before, was: &Known, call: &Call<'_>) -> Told {
    let now = &call.answered["collaborator"];
    let old = call.path.get(2).and_then(|id| was.collaborators.get(id)).cloned();
    let told = |mut who: Value| {
        who["inviter"] = before.user.clone();
        who["is_limited"] = json!(now["is_limited"].as_bool().unwrap_or_default());
        json!({"collaborator": who})
    };
    match (call.method, old) {
        ("POST", _) => {
            let invited = json!({"email": now["email"], "username": "", "id": ""});
            vec![("new_collaborator", told(invited))]
        }
        ("PATCH", Some(who)) => vec![("change_collaborator_role", told(who))],
        ("DELETE", Some(who)) => vec![("delete_collaborator", told(who))],
        _ => Told::new(),
    }
}

fn scm(before: &Before, was: &Known, call: &Call<'_>) -> Told {
    let link = if call.method == "DELETE" { &was.scm } else { &call.answered["scm_repo_link"] };
    let repository = format!(
        "{}/{}",
        link["owner"].as_str().unwrap_or_default(),
        link["repo"].as_str().unwrap_or_default()
    );
    let linker = &before.user["username"];
    match (call.method, call.path.len()) {
        ("DELETE", 2) => {
            vec![(
                "unlink_scm",
                json!({"repo_name": repository, "unlinker_username": linker, "source": link["scm_type"]}),
            )]
        }
        (method @ ("POST" | "PATCH" | "UPDATE"), 2) => {
            let data = json!({
                "repo_name": repository, "linker_username": linker, "source": link["scm_type"], "branch": link["branch"],
                "auto_deploy": link["auto_deploy_enabled"], "auto_deploy_review_apps": link["deploy_review_apps_enabled"],
                "delete_on_close": link["delete_on_close_enabled"], "delete_stale": link["delete_stale_enabled"],
                "hours_before_delete_on_close": link["hours_before_delete_on_close"],
                "hours_before_delete_stale": link["hours_before_delete_stale"],
            });
            vec![(if method == "POST" { "link_scm" } else { "update_scm" }, data)]
        }
        _ => Told::new(),
    }
}

/// Alerts, autoscalers, log drains, notifiers.
fn observers(was: &Known, call: &Call<'_>, rest: &str) -> Told {
    let list = rest.trim_start_matches('/').split('/').next().unwrap_or_default();
    let old = call.path.get(2).and_then(|id| was.observers.get(id)).cloned().unwrap_or(Value::Null);
    // The vendor's clients know no event of a changed alert.
    let (made, changed, gone, key): (&'static str, Option<&'static str>, &'static str, &str) = match list {
        "alerts" => ("new_alert", None, "delete_alert", "alert"),
        "autoscalers" => ("new_autoscaler", Some("edit_autoscaler"), "delete_autoscaler", "autoscaler"),
        "notifiers" => ("new_notifier", Some("edit_notifier"), "delete_notifier", "notifier"),
        "log_drains" => ("new_log_drain", None, "delete_log_drain", "drain"),
        _ => return Told::new(),
    };
    let kind = match call.method {
        "POST" if call.path.len() == 2 => Some(made),
        "PATCH" | "PUT" => changed,
        "DELETE" => Some(gone),
        _ => None,
    };
    let Some(kind) = kind else { return Told::new() };
    let now = if call.answered[key].is_object() { &call.answered[key] } else { &old };
    let data = match key {
        // The vendor sends these two numbers as text here.
        "autoscaler" => json!({
            "container_type": now["container_type"], "min_containers": now["min_containers"].to_string(),
            "max_containers": now["max_containers"].to_string(), "metric": now["metric"], "target": now["target"],
            "target_text": now["target"].to_string(),
        }),
        "notifier" => json!({
            "notifier_name": now["name"], "active": now["active"], "send_all_events": now["send_all_events"],
            "selected_events": [], "notifier_type": now["type"], "notifier_type_data": now["type_data"], "platform_name": now["type"],
        }),
        "drain" if now["url"].is_string() => json!({"url": now["url"]}),
        "drain" => json!({"url": around::drain(call)}),
        _ => json!({
            "container_type": now["container_type"], "metric": now["metric"], "limit": now["limit"],
            "limit_text": now["limit"].to_string(), "send_when_below": now["send_when_below"],
        }),
    };
    vec![(kind, data)]
}

#[cfg(test)]
mod tests;
