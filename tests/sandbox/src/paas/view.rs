//! The vendor's JSON of each thing. One function a shape, fields in the order of the reference sheet.

use chrono::{DateTime, FixedOffset, SecondsFormat, Utc};
use serde_json::{Value, json};

use super::Paas;
use super::catalogue::{self, Plan, Provider};
use super::session::Session;
use super::state::{Addon, App, State, User};

mod database;
mod deployment;

pub(super) use database::{
    backup, backup_created, database, database_user, feature, readable_version, type_id, version_id,
};
pub(super) use deployment::{deployment, operation};

/// A date in an answer: UTC, milliseconds.
pub(super) fn date(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// A date as the database API writes it: with the offset of Paris in summer.
fn paris(at: DateTime<Utc>) -> String {
    let summer = FixedOffset::east_opt(7_200);
    summer.map_or_else(
        || date(at),
        |offset| at.with_timezone(&offset).to_rfc3339_opts(SecondsFormat::Millis, false),
    )
}

/// A user beside what they own or did.
pub(super) fn somebody(user: Option<&User>) -> Value {
    user.map_or(
        Value::Null,
        |user| json!({"id": user.id, "username": user.username, "email": user.email, "flags": {}}),
    )
}

/// A user as they see themselves.
pub(super) fn myself(user: &User) -> Value {
    json!({
        "id": user.id, "username": user.username, "fullname": user.fullname, "email": user.email,
        "email_newsletter": false, "company": null, "location": null, "flags": {}, "has_2fa": false,
    })
}

/// An app, as it is shown to whoever asks.
pub(super) fn app(paas: &Paas, state: &State, app: &App, session: &Session) -> Value {
    let urls = paas.urls();
    let url = format!("https://{}", app.default_host());
    let stream = urls.api.replacen("http", "ws", 1);
    let project = state.projects.iter().find(|project| project.id == app.project);
    json!({
        "id": app.id, "uuid": app.uuid, "name": app.name, "region": super::REGION,
        "parent_app_name": app.parent.as_deref().unwrap_or_default(),
        "git_url": paas.git_url(&app.name, session.by_name),
        "url": url, "base_url": url, "status": app.status,
        "owner": somebody(state.user(&app.owner)),
        "project": project.map(|project| json!({"id": project.id, "name": project.name})),
        "last_deployed_at": app.last_deployed_at.map(date), "last_deployed_by": app.last_deployed_by.as_deref().map(|id| state.user(id).map_or(id, |user| &user.username)),
        "last_deployment_id": app.last_deployment,
        "links": {"deployments_stream": format!("{stream}/apps/{}", app.name)},
        "stack_id": app.stack, "force_https": app.force_https, "sticky_session": app.sticky_session,
        "router_logs": app.router_logs, "flags": {}, "limits": {}, "hds_resource": app.hds_resource,
        "private_networks_ids": [], "git_source": null,
        "created_at": date(app.created_at), "updated_at": date(app.updated_at),
    })
}

/// The formation, all types.
pub(super) fn formation(app: &App) -> Value {
    let types = app.formation.iter().map(|kind| {
        json!({"id": kind.id, "app_id": app.id, "name": kind.name, "amount": kind.amount,
               "size": kind.size, "command": kind.command})
    });
    types.collect()
}

/// The size of a container.
pub(super) fn container_size(name: &str) -> Value {
    let size = catalogue::SIZES.iter().enumerate().find(|(_, (_, known, ..))| *known == name);
    size.map_or(Value::Null, |(ordinal, (id, name, megabytes, _))| {
        let memory = megabytes * 1_048_576;
        json!({
            "id": id, "sku": format!("osc-fr1-container-{}", name.to_lowercase()), "name": name, "human_name": name,
            "human_cpu": "1 CPU", "memory": memory, "swap": memory, "ordinal": ordinal,
        })
    })
}

/// A plan as it is listed.
pub(super) fn plan(plan: &Plan, position: usize) -> Value {
    let mut shown = plan_in_addon(plan, position);
    let pricings = json!({"default": {"price": plan.per_minute, "currency": "EUR", "period": "minute"}});
    for (name, value) in [
        ("hds_available", json!(false)),
        ("to_be_discontinued", json!(false)),
        ("trial_available", json!(plan.trial)),
        ("pricings", pricings),
    ] {
        shown[name] = value;
    }
    shown
}

/// A plan inside an addon. The alternative to a disabled plan is never told: the vendor's client takes a boolean there, and the
/// sheets an id.
fn plan_in_addon(plan: &Plan, position: usize) -> Value {
    json!({
        "id": plan.id, "name": plan.name, "display_name": plan.display_name, "price": plan.price, "description": "",
        "position": position, "on_demand": false, "disabled": plan.becomes.is_some(),
        "disabled_alternative_plan_id": null, "sku": format!("{}-{}", super::REGION, plan.name),
    })
}

/// A provider with its plans.
pub(super) fn provider(provider: &Provider) -> Value {
    json!({
        "id": provider.id, "name": provider.name, "logo_url": logo(provider), "short_description": provider.name,
        "description": "", "category": {"id": provider.category, "name": "Databases", "description": "", "position": 1},
        "provider_name": "Scalingo", "provider_url": "https://scalingo.test", "hds_available": false,
        "plans": provider.plans.iter().enumerate().map(|(position, each)| plan(each, position)).collect::<Value>(),
    })
}

/// Where a provider's picture would be.
pub(super) fn logo(provider: &Provider) -> String {
    format!("//cdn.scalingo.test/{}.svg", provider.id)
}

/// An addon.
pub(super) fn addon(app: &App, addon: &Addon) -> Value {
    let provider = catalogue::provider(&addon.provider);
    let chosen = provider.and_then(|provider| provider.plan(&addon.plan_id));
    let message = match (addon.status.as_str(), &addon.url) {
        ("provisioning", Some(_)) => "Your plan is being changed",
        ("provisioning", None) => "Database is being provisioned",
        ("suspended", _) => "Database is suspended",
        _ => "",
    };
    json!({
        "id": addon.id, "app_id": app.id, "resource_id": addon.resource_id,
        "addon_provider": provider.map(|one| {
            json!({"id": addon.older_id.as_deref().unwrap_or(one.id), "name": one.name, "logo_url": logo(one)})
        }),
        "plan": chosen.map(|(position, each)| plan_in_addon(each, position)),
        "provisioned_at": date(addon.provisioned_at), "deprovisioned_at": null, "status": addon.status,
        "message": message, "variables": null,
    })
}
