//! What watches an app: alerts, autoscalers, notifiers. Kept as they are set, to be listed and copied; nothing in this world measures
//! or sends.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Query, State as Shared};
use axum::routing::{get, post};
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

/// What an autoscaler leaves at least, and the metrics that only web containers have. Source: user documentation "Scalingo Autoscaler",
/// "Limitations"; the words are ours.
const LEAST_CONTAINERS: u64 = 2;
const OF_THE_ROUTER: [&str; 3] = ["rpm_per_container", "p95_response_time", "5XX"];
/// What a new app's notifier tells of: "critical alerts", which the vendor does not list.
const CRITICAL: [&str; 3] = ["app_crashed", "app_crashed_repeated", "database_backup_failed"];

/// Where notifications can go.
const PLATFORMS: &[(&str, &str)] =
    &[("email", "Email"), ("webhook", "Webhook"), ("slack", "Slack"), ("rocket_chat", "Rocket.Chat")];

/// Routes of all lists.
pub(super) fn routes() -> Router<Arc<Paas>> {
    let lists = [ALERTS, AUTOSCALERS, NOTIFIERS]
        .into_iter()
        .fold(Router::new(), |router, kind| router.merge(of(kind)));
    lists.route("/v1/apps/{app}/notifiers/{id}/test", post(test))
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
    check_scaling(kind, &made)?;
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
    let mut changed = one.clone();
    apply(&mut changed, &change);
    check_scaling(kind, &changed)?;
    changed["updated_at"] = json!(date(paas.world.clock.wall()));
    *one = changed;
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

/// An autoscaler as it would be.
fn check_scaling(kind: Kind, one: &Value) -> Result<(), Refusal> {
    if kind.list != AUTOSCALERS.list {
        return Ok(());
    }
    if one["min_containers"].as_u64().is_some_and(|least| least < LEAST_CONTAINERS) {
        return Err(Refusal::invalid("min_containers", "must be greater than or equal to 2"));
    }
    let of_router = one["metric"].as_str().is_some_and(|metric| OF_THE_ROUTER.contains(&metric));
    if of_router && one["container_type"] != "web" {
        return Err(Refusal::invalid("metric", "is only available for web containers"));
    }
    Ok(())
}

/// What each app has from the start: critical alerts by mail to its owner.
pub(super) fn default_notifier(paas: &Paas, app: &App) -> Value {
    let mut made = blank(NOTIFIERS, app, paas);
    let events = CRITICAL.map(events::type_id);
    let wanted = json!({
        "name": format!("Default '{}' notifier", app.name), "platform_id": events::type_id("email"),
        "selected_event_ids": events, "type_data": {"user_ids": [app.owner], "emails": []},
    });
    if let Value::Object(wanted) = wanted {
        apply(&mut made, &wanted);
    }
    made
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
            "last_scale": null, "alert_id_scale_up": paas.world.ids.hex(24), "alert_id_scale_down": paas.world.ids.hex(24),
        }),
        _ => json!({
            "name": "", "active": true, "type": "webhook", "send_all_events": false, "send_all_alerts": false,
            "selected_event_ids": [], "type_data": {}, "platform_id": "", "app": app.name,
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
        let Some(present) = one.get(name) else { continue };
        let fixed =
            matches!(name.as_str(), "id" | "app_id" | "app" | "created_at" | "updated_at" | "last_scale")
                || name.starts_with("alert_id_");
        if fixed || is_unsaid(name, value) {
            continue;
        }
        let value = match value {
            // A list that the vendor's Go client was given empty arrives as null.
            Value::Null if present.is_array() => json!([]),
            Value::Null => continue,
            Value::Number(nanoseconds) if name == "remind_every" => {
                json!(go_duration(nanoseconds.as_u64().unwrap_or_default()))
            }
            value => value.clone(),
        };
        one.insert(name.clone(), value);
    }
    if let Some((name, _)) =
        PLATFORMS.iter().find(|(name, _)| one.get("platform_id") == Some(&json!(events::type_id(name))))
    {
        one.insert("type".into(), json!(name));
        let has_data = one.get("type_data").and_then(Value::as_object).is_some_and(|data| !data.is_empty());
        if *name == "email" && !has_data {
            one.insert("type_data".into(), json!({"user_ids": [], "emails": []}));
        }
    }
}

/// What the vendor's Go client sends of a notifier with every change, whether it was given or not: it cannot leave these out.
fn is_unsaid(name: &str, value: &Value) -> bool {
    match name {
        "platform_id" | "type" => value == "",
        "type_data" => value.as_object().is_some_and(Map::is_empty),
        _ => false,
    }
}

/// A duration that the vendor's Go client sends in nanoseconds, as it reads one: `5m0s`, nothing for none. A second is the least.
fn go_duration(nanoseconds: u64) -> String {
    let seconds = nanoseconds / 1_000_000_000;
    match (seconds / 3_600, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0) => String::new(),
        (0, 0, seconds) => format!("{seconds}s"),
        (0, minutes, seconds) => format!("{minutes}m{seconds}s"),
        (hours, minutes, seconds) => format!("{hours}h{minutes}m{seconds}s"),
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
