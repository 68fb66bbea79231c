//! What watches an app: alerts, autoscalers, notifiers, log drains. Kept as they are set, to be listed and copied; nothing in this
//! world measures, sends or drains.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Query, State as Shared};
use axum::routing::{delete, get, post};
use serde_json::{Map, Value, json};

use super::events;
use crate::paas::Paas;
use crate::paas::reply::{Answer, Input, Refusal, Reply};
use crate::paas::session::{Role, Session};
use crate::paas::state::App;
use crate::paas::view::date;

/// One list.
#[derive(Debug, Clone, Copy)]
struct Kind {
    list: &'static str,
    item: &'static str,
    /// What a request must say.
    needs: &'static [&'static str],
}

const ALERTS: Kind = Kind { list: "alerts", item: "alert", needs: &["container_type", "metric", "limit"] };
const AUTOSCALERS: Kind = Kind {
    list: "autoscalers",
    item: "autoscaler",
    needs: &["container_type", "metric", "target", "min_containers", "max_containers"],
};
const NOTIFIERS: Kind = Kind { list: "notifiers", item: "notifier", needs: &["name", "platform_id"] };

/// Where notifications can go.
const PLATFORMS: &[(&str, &str)] =
    &[("email", "E-mail"), ("webhook", "Webhook"), ("slack", "Slack"), ("rocker_chat", "Rocket Chat")];

/// Routes of all lists.
pub(super) fn routes() -> Router<Arc<Paas>> {
    let lists = [ALERTS, AUTOSCALERS, NOTIFIERS]
        .into_iter()
        .fold(Router::new(), |router, kind| router.merge(of(kind)));
    lists
        .route("/v1/apps/{app}/notifiers/{id}/test", post(test))
        .route("/v1/apps/{app}/log_drains", get(drains).post(add_drain).delete(remove_drain))
        .route("/v1/apps/{app}/log_drains/{id}", delete(remove_drain_by_id))
}

fn of(kind: Kind) -> Router<Arc<Paas>> {
    let all = format!("/v1/apps/{{app}}/{}", kind.list);
    let one = format!("{all}/{{id}}");
    Router::new()
        .route(
            &all,
            get(move |Shared(paas): Shared<Arc<Paas>>, session, Path(key): Path<String>| async move {
                list(&paas, &session, &key, kind)
            })
            .post(
                move |Shared(paas): Shared<Arc<Paas>>, session, Path(key): Path<String>, input| async move {
                    create(&paas, &session, &key, kind, &input)
                },
            ),
        )
        .route(
            &one,
            get(move |Shared(paas): Shared<Arc<Paas>>, session, Path(place)| async move {
                show(&paas, &session, &place, kind)
            })
            .patch(move |Shared(paas): Shared<Arc<Paas>>, session, Path(place), input| async move {
                update(&paas, &session, &place, kind, &input)
            })
            .delete(move |Shared(paas): Shared<Arc<Paas>>, session, Path(place)| async move {
                remove(&paas, &session, &place, kind)
            }),
        )
}

type Place = (String, String);

fn list(paas: &Paas, session: &Session, key: &str, kind: Kind) -> Answer {
    let state = paas.state();
    let app = state.app_for(&session.user, key, Role::Limited)?;
    Ok(Reply::ok(json!({kind.list: app.observers.get(kind.list).cloned().unwrap_or_default()})))
}

fn show(paas: &Paas, session: &Session, (key, id): &Place, kind: Kind) -> Answer {
    let state = paas.state();
    let app = state.app_for(&session.user, key, Role::Limited)?;
    let one = app.observers.get(kind.list).into_iter().flatten().find(|one| one["id"] == *id);
    Ok(Reply::ok(json!({kind.item: one.ok_or(Refusal::NotFound(kind.item))?})))
}

fn create(paas: &Paas, session: &Session, key: &str, kind: Kind, input: &Input) -> Answer {
    let wanted = input.wrapped(kind.item)?;
    check(kind, wanted)?;
    let mut state = paas.state();
    let app = state.app_for_mut(&session.user, key, Role::Collaborator)?;
    let mut made = blank(kind, app, paas);
    let taken = |one: &Value| one["container_type"] == wanted["container_type"];
    if kind.list == "autoscalers" && app.observers.get(kind.list).into_iter().flatten().any(taken) {
        return Err(Refusal::invalid("container_type", "has already been taken"));
    }
    apply(&mut made, wanted);
    app.observers.entry(kind.list.to_owned()).or_default().push(made.clone());
    Ok(Reply::created(json!({kind.item: made})).about(format!("{}/{}", app.name, kind.item)))
}

/// The vendor's Go client sends some of these changes unwrapped.
fn update(paas: &Paas, session: &Session, (key, id): &Place, kind: Kind, input: &Input) -> Answer {
    let change = input.maybe_wrapped(kind.item).as_object().cloned().unwrap_or_default();
    let mut state = paas.state();
    let app = state.app_for_mut(&session.user, key, Role::Collaborator)?;
    let name = app.name.clone();
    let mut all = app.observers.get_mut(kind.list).into_iter().flatten();
    let one = all.find(|one| one["id"] == *id).ok_or(Refusal::NotFound(kind.item))?;
    apply(one, &change);
    one["updated_at"] = json!(date(paas.world.clock.wall()));
    Ok(Reply::ok(json!({kind.item: one})).about(format!("{name}/{}", kind.item)))
}

fn remove(paas: &Paas, session: &Session, (key, id): &Place, kind: Kind) -> Answer {
    let mut state = paas.state();
    let app = state.app_for_mut(&session.user, key, Role::Collaborator)?;
    let about = format!("{}/{}", app.name, kind.item);
    let all = app.observers.entry(kind.list.to_owned()).or_default();
    let before = all.len();
    all.retain(|one| one["id"] != *id);
    if all.len() == before { Err(Refusal::NotFound(kind.item)) } else { Ok(Reply::no_content().about(about)) }
}

fn check(kind: Kind, wanted: &Map<String, Value>) -> Result<(), Refusal> {
    let blank = |name: &&&str| match wanted.get(**name) {
        None | Some(Value::Null) => true,
        Some(Value::String(text)) => text.trim().is_empty(),
        Some(_) => false,
    };
    let missing =
        kind.needs.iter().filter(blank).map(|name| ((*name).to_owned(), "can't be blank".to_owned()));
    let missing: Vec<_> = missing.collect();
    if missing.is_empty() { Ok(()) } else { Err(Refusal::Invalid(missing)) }
}

/// A new item with every field that the vendor's has.
fn blank(kind: Kind, app: &App, paas: &Paas) -> Value {
    let now = date(paas.world.clock.wall());
    let mut made =
        json!({"id": paas.world.ids.hex(24), "app_id": app.id, "created_at": now, "updated_at": now});
    let own = match kind.list {
        "alerts" => json!({
            "container_type": "", "metric": "", "limit": 0, "duration_before_trigger": 0, "remind_every": "",
            "send_when_below": false, "disabled": false, "notifiers": [], "metadata": {},
        }),
        "autoscalers" => json!({
            "container_type": "", "metric": "", "target": 0, "min_containers": 2, "max_containers": 10, "disabled": false,
        }),
        _ => json!({
            "name": "", "active": true, "type": "webhook", "send_all_events": false, "send_all_alerts": false,
            "selected_event_ids": [], "type_data": {}, "platform_id": "",
        }),
    };
    if let (Value::Object(made), Value::Object(own)) = (&mut made, own) {
        made.extend(own);
    }
    made
}

/// Takes over what is known of `change`; its id and its app are not the client's to say.
fn apply(one: &mut Value, change: &Map<String, Value>) {
    let Value::Object(one) = one else { return };
    for (name, value) in change {
        let fixed = matches!(name.as_str(), "id" | "app_id" | "created_at" | "updated_at");
        if !fixed && !value.is_null() && one.contains_key(name) {
            one.insert(name.clone(), value.clone());
        }
    }
    if let Some((name, _)) =
        PLATFORMS.iter().find(|(name, _)| one.get("platform_id") == Some(&json!(events::type_id(name))))
    {
        one.insert("type".into(), json!(name));
    }
}

/// `POST …/notifiers/:id/test`: nothing is sent from this world.
async fn test(Shared(paas): Shared<Arc<Paas>>, session: Session, Path(place): Path<Place>) -> Answer {
    show(&paas, &session, &place, NOTIFIERS)?;
    Ok(Reply::begun())
}

/// `GET /v1/notification_platforms`, for anybody.
pub(super) async fn platforms() -> Reply {
    Reply::ok(json!({"notification_platforms": PLATFORMS.iter().map(platform).collect::<Value>()}))
}

/// `GET /v1/notification_platforms/search?name=`.
pub(super) async fn search_platforms(Query(query): Query<HashMap<String, String>>) -> Reply {
    let named = PLATFORMS.iter().filter(|(name, _)| query.get("name").is_some_and(|wanted| wanted == name));
    Reply::ok(json!({"notification_platforms": named.map(platform).collect::<Value>()}))
}

fn platform((name, display): &(&str, &str)) -> Value {
    json!({
        "id": events::type_id(name), "name": name, "display_name": display, "logo_url": format!("//cdn.scalingo.test/{name}.svg"),
        "description": display, "available_event_ids": events::type_ids(),
    })
}

const DRAINS: &str = "log_drains";

async fn drains(Shared(paas): Shared<Arc<Paas>>, session: Session, Path(key): Path<String>) -> Answer {
    let state = paas.state();
    let app = state.app_for(&session.user, &key, Role::Limited)?;
    let all = app.observers.get(DRAINS).into_iter().flatten();
    let shown = all.map(|one| json!({"app_id": app.id, "url": one["url"]}));
    Ok(Reply::ok(json!({"drains": shown.collect::<Value>()})))
}

/// The address of a drain: named, or made of the host and port that some kinds have instead.
fn drain_url(wanted: &Map<String, Value>) -> Option<String> {
    let text = |key: &str| wanted.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    let url = text("url").map(str::to_owned).or_else(|| {
        let port = wanted.get("port").map(|port| port.to_string().trim_matches('"').to_owned())?;
        Some(format!("tcp+tls://{}:{port}", text("host")?))
    });
    url.filter(|url| url.contains("://"))
}

async fn add_drain(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path(key): Path<String>,
    input: Input,
) -> Answer {
    let wanted = input.wrapped("drain")?;
    let region = |kind: Option<&str>| match kind {
        Some("datadog" | "logentries" | "papertrail" | "syslog" | "elk" | "ovh-graylog") | None => true,
        Some(_) => false,
    };
    if !region(wanted.get("type").and_then(Value::as_str)) {
        return Err(Refusal::invalid("type", "is not included in the list"));
    }
    let kind = wanted.get("type").cloned().unwrap_or(Value::Null);
    let named = drain_url(wanted).or_else(|| {
        // Some kinds need a token only: their address is the service's.
        let token = wanted.get("token").and_then(Value::as_str).filter(|token| !token.is_empty())?;
        let service = kind.as_str()?;
        (!token.is_empty()).then(|| format!("tcp+tls://{service}.logs.test"))
    });
    let url = named.ok_or_else(|| Refusal::invalid("url", "can't be blank"))?;
    let mut state = paas.state();
    let app = state.app_for_mut(&session.user, &key, Role::Collaborator)?;
    let all = app.observers.entry(DRAINS.to_owned()).or_default();
    if all.iter().any(|one| one["url"] == *url) {
        return Err(Refusal::invalid("url", "has already been taken"));
    }
    // Its token stays unknown: nothing is drained.
    all.push(json!({"id": paas.world.ids.hex(24), "url": url, "type": kind}));
    Ok(Reply::created(json!({"drain": {"app_id": app.id, "url": url}})).about(format!("{}/drain", app.name)))
}

/// `DELETE …/log_drains?url=`: the vendor's client names a drain by its address.
async fn remove_drain(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path(key): Path<String>,
    Query(query): Query<HashMap<String, String>>,
    input: Input,
) -> Answer {
    let asked = query.get("url").map(String::as_str).or_else(|| input.0.get("url")?.as_str());
    let url = asked.unwrap_or_default().to_owned();
    paas.drop_drain(&session, &key, |one| one["url"] == *url)
}

async fn remove_drain_by_id(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path((key, id)): Path<Place>,
) -> Answer {
    paas.drop_drain(&session, &key, |one| one["id"] == *id)
}

impl Paas {
    fn drop_drain(&self, session: &Session, key: &str, is: impl Fn(&Value) -> bool) -> Answer {
        let mut state = self.state();
        let app = state.app_for_mut(&session.user, key, Role::Collaborator)?;
        let about = format!("{}/drain", app.name);
        let all = app.observers.entry(DRAINS.to_owned()).or_default();
        let place = all.iter().position(is).ok_or(Refusal::NotFound("log_drain"))?;
        all.remove(place);
        Ok(Reply::no_content().about(about))
    }
}
