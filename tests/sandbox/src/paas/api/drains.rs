//! Where the logs of an app and of its addons go: kept as it is set, to be listed and copied; nothing in this world drains.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Query, State as Shared};
use axum::routing::{delete, get};
use serde_json::{Map, Value, json};

use crate::paas::Paas;
use crate::paas::reply::{Answer, Input, Refusal, Reply, text};
use crate::paas::session::{Role, Session};
use crate::paas::state::App;

/// Where logs can go.
const KINDS: [&str; 9] = [
    "appsignal",
    "betterstack",
    "datadog",
    "elk",
    "logentries",
    "logtail",
    "ovh-graylog",
    "papertrail",
    "syslog",
];

/// Whose logs: the app's, and the addon's if one is named.
type Whose = HashMap<String, String>;

/// All routes.
pub(super) fn routes() -> Router<Arc<Paas>> {
    Router::new()
        .route("/v1/apps/{app}/log_drains", get(list).post(add).delete(remove))
        .route("/v1/apps/{app}/log_drains/{id}", delete(remove_by_id))
        .route("/v1/apps/{app}/addons/{addon}/log_drains", get(list).post(add).delete(remove))
}

/// The name of the list of drains; an addon has to be the app's.
fn place(app: &App, whose: &Whose) -> Result<String, Refusal> {
    match whose.get("addon") {
        None => Ok("log_drains".to_owned()),
        Some(id) if app.addons.iter().any(|addon| addon.is(id)) => Ok(format!("log_drains/{id}")),
        Some(_) => Err(Refusal::NotFound("addon")),
    }
}

fn app_of(whose: &Whose) -> &str {
    whose.get("app").map_or("", String::as_str)
}

async fn list(Shared(paas): Shared<Arc<Paas>>, session: Session, Path(whose): Path<Whose>) -> Answer {
    let state = paas.state();
    let app = state.app_for(&session.user, app_of(&whose), Role::Limited)?;
    let all = app.observers.get(&place(app, &whose)?).into_iter().flatten();
    let shown = all.map(|one| json!({"app_id": app.id, "url": one["url"]}));
    Ok(Reply::ok(json!({"drains": shown.collect::<Value>()})))
}

/// The address of a drain: named, or made of what its kind has instead. The vendor's clients send every field, blank ones too.
/// Source: user documentation "Log drains".
fn address(kind: &str, wanted: &Map<String, Value>) -> Option<String> {
    let given = |key: &str| Some(text(wanted, key)).filter(|text| !text.is_empty());
    let port = wanted.get("port").map(|port| port.to_string().trim_matches('"').to_owned());
    let port = port.filter(|port| !matches!(port.as_str(), "" | "0" | "null"));
    if let Some(url) = given("url") {
        return Some(url.to_owned()).filter(|url| url.contains("://"));
    }
    match kind {
        "datadog" => {
            Some(format!("datadog://{}?region={}", given("token")?, given("drain_region").unwrap_or("eu")))
        }
        "ovh-graylog" => Some(format!("ovh://:{}@{}:6514", given("token")?, given("host")?)),
        "logentries" => Some(format!("https://webhook.logentries.com/noformat/logs/{}", given("token")?)),
        // The vendor shows how it is asked for, not what it becomes.
        "betterstack" => Some(format!("betterstack://:{}@{}", given("token")?, given("host")?)),
        "appsignal" | "logtail" => Some(format!("{kind}://{}", given("token")?)),
        "syslog" if given("token").is_some() => {
            Some(format!("syslog://:{}@{}:{}", given("token")?, given("host")?, port?))
        }
        _ => Some(format!("tcp+tls://{}:{}", given("host")?, port?)),
    }
}

async fn add(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path(whose): Path<Whose>,
    input: Input,
) -> Answer {
    let wanted = input.wrapped("drain")?;
    let kind = Some(text(wanted, "type")).filter(|kind| !kind.is_empty()).unwrap_or("syslog");
    if !KINDS.contains(&kind) {
        return Err(Refusal::invalid("type", "is not included in the list"));
    }
    let url = address(kind, wanted).ok_or_else(|| Refusal::invalid("url", "can't be blank"))?;
    let mut state = paas.state();
    let app = state.app_for_mut(&session.user, app_of(&whose), Role::Collaborator)?;
    let all = app.observers.entry(place(app, &whose)?).or_default();
    if all.iter().any(|one| one["url"] == *url) {
        return Err(Refusal::invalid("url", "has already been taken"));
    }
    all.push(json!({"id": paas.world.ids.hex(24), "url": url, "type": kind}));
    Ok(Reply::created(json!({"drain": {"app_id": app.id, "url": url}})).about(format!("{}/drain", app.name)))
}

/// `DELETE …/log_drains?url=`: the vendor's client names a drain by its address.
async fn remove(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path(whose): Path<Whose>,
    Query(query): Query<HashMap<String, String>>,
    input: Input,
) -> Answer {
    let asked = query.get("url").map(String::as_str).or_else(|| input.0.get("url")?.as_str());
    let url = asked.unwrap_or_default().to_owned();
    paas.drop_drain(&session, &whose, |one| one["url"] == *url)
}

async fn remove_by_id(Shared(paas): Shared<Arc<Paas>>, session: Session, Path(whose): Path<Whose>) -> Answer {
    let id = whose.get("id").cloned().unwrap_or_default();
    paas.drop_drain(&session, &whose, |one| one["id"] == *id)
}

impl Paas {
    fn drop_drain(&self, session: &Session, whose: &Whose, is: impl Fn(&Value) -> bool) -> Answer {
        let mut state = self.state();
        let app = state.app_for_mut(&session.user, app_of(whose), Role::Collaborator)?;
        let about = format!("{}/drain", app.name);
        let all = app.observers.entry(place(app, whose)?).or_default();
        let place = all.iter().position(is).ok_or(Refusal::NotFound("log_drain"))?;
        all.remove(place);
        Ok(Reply::no_content().about(about))
    }
}
