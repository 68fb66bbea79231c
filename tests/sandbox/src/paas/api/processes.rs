//! The formation, what runs of it, and the operations that change it.

use std::sync::Arc;

use axum::extract::{Path, State as Shared};
use serde_json::{Value, json};

use crate::paas::reply::{Answer, Input, Refusal, Reply};
use crate::paas::session::{Role, Session};
use crate::paas::state::{App, Container, Operation};
use crate::paas::view::date;
use crate::paas::{Paas, catalogue, view, work};

/// Containers of one type.
const LIMIT: u32 = 10;
const OVER_LIMIT: &str =
    "can't scale over 10 containers, contact us at support@scalingo.com if you need more";

/// `GET …/containers`: the formation.
pub(super) async fn formation(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path(key): Path<String>,
) -> Answer {
    let state = paas.state();
    let app = state.app_for(&session.user, &key, Role::Limited)?;
    Ok(Reply::ok(json!({"containers": view::formation(app)})))
}

/// `GET …/ps`: what runs.
pub(super) async fn running(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path(key): Path<String>,
) -> Answer {
    let state = paas.state();
    let app = state.app_for(&session.user, &key, Role::Limited)?;
    let owner = view::app(&paas, &state, app, &session);
    let containers = paas.plane.runner.containers(&app.name);
    let formation = containers.iter().map(|container| {
        let kind = app.formation.iter().find(|kind| kind.name == container.kind);
        json!({
            "id": container_id(app, &container.kind, container.index), "app_id": app.id, "app": owner,
            "created_at": date(container.started_at), "deleted_at": null,
            "command": kind.map(|kind| &kind.command), "type": container.kind, "type_index": container.index,
            "label": format!("{}-{}", container.kind, container.index), "state": container.state,
            "container_size": view::container_size(kind.map_or("M", |kind| &kind.size)),
        })
    });
    let one_offs = paas.one_offs.of_app(&app.id).into_iter().map(|one_off| {
        let mut shown = one_off.shown();
        shown["app"] = owner.clone();
        shown
    });
    Ok(Reply::ok(json!({"containers": formation.chain(one_offs).collect::<Value>()})))
}

/// An id in the vendor's form that a container keeps as long as its app is scaled so.
pub(super) fn container_id(app: &App, kind: &str, index: u32) -> String {
    use sha2::Digest as _;
    let digest = sha2::Sha256::digest(format!("{} {kind} {index}", app.id));
    hex::encode(digest).chars().take(24).collect()
}

/// `POST …/scale`: 202 with an operation, or 200 where nothing was ever deployed.
pub(super) async fn scale(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path(key): Path<String>,
    input: Input,
) -> Answer {
    let wanted = input.0.get("containers").and_then(Value::as_array);
    let wanted = wanted.ok_or_else(|| Refusal::invalid("containers", "missing field"))?;
    let mut state = paas.state();
    let app = state.app_for_mut(&session.user, &key, Role::Collaborator)?;
    refuse_if_busy(app)?;
    let formation = scaled(app, wanted, || paas.world.ids.hex(24))?;
    app.formation = formation;
    stop_autoscalers(app, wanted);
    let body = json!({"containers": view::formation(app)});
    if !app.was_deployed() {
        return Ok(Reply::ok(body).about(app.name.clone()));
    }
    let (location, id) = paas.begin(app, "scale", "scaling");
    let name = app.name.clone();
    drop(state);
    let scale = work::operate::run(Arc::clone(&paas), name.clone(), id, Vec::new(), session.user);
    paas.world.tasks.spawn("scale", scale);
    Ok(Reply::accepted(location, Some(body)).about(name))
}

/// `POST …/restart`: the whole app, or a scope.
pub(super) async fn restart(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path(key): Path<String>,
    input: Input,
) -> Answer {
    let mut state = paas.state();
    let app = state.app_for_mut(&session.user, &key, Role::Limited)?;
    let named = input.0.get("scope").and_then(Value::as_array).into_iter().flatten();
    let scope: Vec<String> = named.filter_map(Value::as_str).map(str::to_owned).collect();
    for name in &scope {
        let kind = name
            .rsplit_once('-')
            .filter(|(_, index)| index.parse::<u32>().is_ok())
            .map_or(name.as_str(), |(kind, _)| kind);
        if !app.formation.iter().any(|known| known.name == kind) {
            return Err(Refusal::invalid("scope", &format!("'{name}' → no such process type")));
        }
    }
    if !app.was_deployed() {
        return Err(Refusal::BadRequest("the app has not been deployed yet".into()));
    }
    refuse_if_busy(app)?;
    let (location, id) = paas.begin(app, "restart", "restarting");
    let name = app.name.clone();
    drop(state);
    let restart = work::operate::run(Arc::clone(&paas), name.clone(), id, scope, session.user);
    paas.world.tasks.spawn("restart", restart);
    Ok(Reply::accepted(location, None).about(name))
}

/// `GET …/operations/:id`.
pub(super) async fn operation(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path((key, id)): Path<(String, String)>,
) -> Answer {
    let state = paas.state();
    let app = state.app_for(&session.user, &key, Role::Limited)?;
    let operation =
        app.operations.iter().find(|operation| operation.id == id).ok_or(Refusal::NotFound("operation"))?;
    Ok(Reply::ok(json!({"operation": view::operation(app, operation)})))
}

/// A manual scale disables the autoscaler of its type, as documented.
fn stop_autoscalers(app: &mut App, wanted: &[Value]) {
    for one in app.observers.get_mut("autoscalers").into_iter().flatten() {
        if wanted.iter().any(|item| item["name"] == one["container_type"]) {
            one["disabled"] = json!(true);
        }
    }
}

/// The vendor documents the refusal, not its status: 409 is the one that means it.
pub(super) fn refuse_if_busy(app: &App) -> Result<(), Refusal> {
    app.busy_with().map_or(Ok(()), |what| Err(Refusal::Conflict(format!("app is {what}, try again later"))))
}

/// The formation after `wanted`, or why not.
fn scaled(app: &App, wanted: &[Value], mut id: impl FnMut() -> String) -> Result<Vec<Container>, Refusal> {
    let mut formation = app.formation.clone();
    for item in wanted {
        let name = item.get("name").and_then(Value::as_str).unwrap_or_default();
        let amount = amount_of(item, name)?;
        let size = item.get("size").and_then(Value::as_str).filter(|size| !size.is_empty());
        if size.is_some_and(|size| !catalogue::SIZES.iter().any(|(_, known, ..)| *known == size)) {
            return Err(Refusal::NotFound("container_size"));
        }
        let known = formation.iter().position(|kind| kind.name == name);
        let place = match known {
            Some(place) => place,
            // Before the first deployment nobody knows the types yet.
            None if !app.was_deployed() && !name.is_empty() => {
                formation.push(new_type(id(), name));
                formation.len() - 1
            }
            None => return Err(Refusal::NotFound("container_type")),
        };
        let kind = &mut formation[place];
        kind.amount = amount.unwrap_or(kind.amount);
        kind.size = size.map_or_else(|| kind.size.clone(), str::to_owned);
    }
    Ok(formation)
}

/// How many containers an item asks for; `None` leaves their number alone.
fn amount_of(item: &Value, name: &str) -> Result<Option<u32>, Refusal> {
    let Some(amount) = item.get("amount").filter(|amount| !amount.is_null()) else { return Ok(None) };
    let refused = |message| Refusal::invalid(&format!("container-{name}-amount"), message);
    let number = amount.as_i64().ok_or_else(|| refused("is not a number"))?;
    let number = u32::try_from(number).map_err(|_| refused("must be greater than or equal to 0"))?;
    if number > LIMIT { Err(refused(OVER_LIMIT)) } else { Ok(Some(number)) }
}

/// A type of which nothing runs.
pub(in crate::paas) fn new_type(id: String, name: &str) -> Container {
    Container { id, name: name.into(), amount: 0, size: "M".into(), command: String::new() }
}

impl Paas {
    /// Opens an operation on `app`: its address and id.
    fn begin(&self, app: &mut App, kind: &str, status: &str) -> (String, String) {
        status.clone_into(&mut app.status);
        self.new_operation(app, kind)
    }

    /// A pending operation of `app`, which leaves its status alone: its address and id.
    pub(super) fn new_operation(&self, app: &mut App, kind: &str) -> (String, String) {
        let id = self.world.ids.hex(24);
        app.operations.push(Operation {
            id: id.clone(),
            kind: kind.into(),
            status: "pending".into(),
            error: String::new(),
            created_at: self.world.clock.wall(),
            finished_at: None,
            one_off: None,
        });
        (format!("{}/v1/apps/{}/operations/{id}", self.urls().api, app.id), id)
    }
}

/// `GET …/stats`: what each running container uses now.
pub(super) async fn stats(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path(key): Path<String>,
) -> Answer {
    let state = paas.state();
    let app = state.app_for(&session.user, &key, Role::Limited)?;
    let shown = paas.plane.runner.containers(&app.name).into_iter().map(|container| {
        let kind = app.formation.iter().find(|kind| kind.name == container.kind);
        let limit = view::container_size(kind.map_or("M", |kind| &kind.size))["memory"].clone();
        let used = resident_memory(container.pid);
        json!({
            "id": format!("{}-{}", container.kind, container.index), "cpu_usage": 0, "memory_usage": used, "swap_usage": 0,
            "memory_limit": limit, "swap_limit": limit, "highest_memory_usage": used, "highest_swap_usage": 0,
        })
    });
    Ok(Reply::ok(json!({"stats": shown.collect::<Value>()})))
}

/// Bytes of memory that a process holds; 0 if it is gone.
fn resident_memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|text| text.trim().trim_end_matches("kB").trim().parse::<u64>().ok()).unwrap_or(0) * 1_024
}

/// `GET …/cron_tasks`: the tasks of the `cron.json` that was deployed.
pub(super) async fn cron_tasks(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path(key): Path<String>,
) -> Answer {
    let state = paas.state();
    let app = state.app_for(&session.user, &key, Role::Limited)?;
    let now = paas.moment();
    let jobs = work::cron::tasks(&paas, &app.name).into_iter().map(|task| {
        json!({
            "command": task.line, "size": task.size,
            "last_execution_date": app.cron_runs.get(&task.line).copied().map(date),
            "next_execution_date": task.next(now).map(date),
        })
    });
    let deployment = app.last_deployment.as_ref();
    Ok(Reply::ok(json!({"jobs": jobs.collect::<Value>(), "deployment_id": deployment})))
}
