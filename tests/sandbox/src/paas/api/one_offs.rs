//! One-off containers: run, stop, and signals to any container.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, State as Shared};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::processes::container_id;
use crate::paas::one_offs::{self, Known};
use crate::paas::reply::{Answer, Input, Refusal, Reply};
use crate::paas::session::{Role, Session};
use crate::paas::state::App;
use crate::paas::{Paas, catalogue, rules, work};
use crate::plane::runner::oneoff::Order;

/// One-off containers at once of one app, and of one account.
const PER_APP: usize = 10;
const PER_ACCOUNT: usize = 50;

/// What was asked for.
pub(in crate::paas) struct Wanted {
    command: String,
    size: String,
    detached: bool,
    env: BTreeMap<String, String>,
}

impl Wanted {
    /// A command that nobody attaches to.
    pub(in crate::paas) fn detached(command: &str, size: &str) -> Self {
        Self { command: command.to_owned(), size: size.to_owned(), detached: true, env: BTreeMap::new() }
    }
}

/// `POST …/run`: 200 with the container and the operation that starts it.
pub(super) async fn run(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path(key): Path<String>,
    input: Input,
) -> Answer {
    let wanted = wanted(&input.0)?;
    let mut state = paas.state();
    let app = state.app_for(&session.user, &key, Role::Collaborator)?;
    let theirs = state.apps.iter().filter(|other| other.owner == app.owner);
    let account: usize = theirs.map(|app| paas.one_offs.of_app(&app.id).len()).sum();
    refuse_too_many(paas.one_offs.of_app(&app.id).len(), account)?;
    let known = paas.new_one_off(&session.user, app, wanted)?;
    let app = state.app_for_mut(&session.user, &key, Role::Collaborator)?;
    let (location, operation) = paas.new_operation(app, "start-one-off");
    let (id, name, label) = (app.id.clone(), app.name.clone(), known.label());
    let body = json!({
        "container": known.shown(), "operation_url": location,
        "operation": {"id": operation, "status": "pending", "type": "start-one-off"},
    });
    drop(state);
    paas.one_offs.add(known.clone());
    let start = work::run::start(Arc::clone(&paas), id, operation, known);
    paas.world.tasks.spawn("start one-off", start);
    Ok(Reply::ok(body).at(location).about(format!("{name}/{label}")))
}

/// `POST …/containers/:id/stop`: one-offs only.
pub(super) async fn stop(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path((key, id)): Path<(String, String)>,
) -> Answer {
    let state = paas.state();
    let app = state.app_for(&session.user, &key, Role::Collaborator)?;
    if let Some(one_off) = find(&paas, app, &id) {
        one_off.real.stop();
        return Ok(Reply::begun().about(format!("{}/{}", app.name, one_off.label())));
    }
    Err(match formation_container(&paas, app, &id) {
        Some(_) => Refusal::BadRequest("only one-off containers can be stopped".into()),
        None => Refusal::NotFound("container"),
    })
}

/// `POST …/containers/:id/kill`: SIGUSR1 or SIGUSR2 to any container.
pub(super) async fn kill(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path((key, id)): Path<(String, String)>,
    input: Input,
) -> Answer {
    let signal = match input.0.get("signal").and_then(Value::as_str) {
        Some("SIGUSR1") => Signal::SIGUSR1,
        Some("SIGUSR2") => Signal::SIGUSR2,
        _ => return Err(Refusal::invalid("signal", "is not included in the list: SIGUSR1, SIGUSR2")),
    };
    let state = paas.state();
    let app = state.app_for(&session.user, &key, Role::Collaborator)?;
    let label = if let Some(one_off) = find(&paas, app, &id) {
        one_off.real.signal(signal);
        one_off.label()
    } else {
        let (kind, index) = formation_container(&paas, app, &id).ok_or(Refusal::NotFound("container"))?;
        paas.plane.runner.signal(&app.name, &kind, index, signal);
        format!("{kind}-{index}")
    };
    Ok(Reply::no_content().about(format!("{}/{label}", app.name)))
}

/// A living one-off of `app`, by id or label.
fn find(paas: &Paas, app: &App, key: &str) -> Option<Known> {
    paas.one_offs.of_app(&app.id).into_iter().find(|one| one.id == key || one.label() == key)
}

/// A container of the formation, by id or label.
fn formation_container(paas: &Paas, app: &App, key: &str) -> Option<(String, u32)> {
    let running = paas.plane.runner.containers(&app.name);
    let found = running.into_iter().find(|one| {
        container_id(app, &one.kind, one.index) == key || format!("{}-{}", one.kind, one.index) == key
    })?;
    Some((found.kind, found.index))
}

fn wanted(body: &Value) -> Result<Wanted, Refusal> {
    let text = |key: &str| body.get(key).and_then(Value::as_str).unwrap_or_default();
    let command = text("command").trim().to_owned();
    if command.is_empty() {
        return Err(Refusal::invalid("command", "can't be blank"));
    }
    let size = Some(text("size")).filter(|size| !size.is_empty()).unwrap_or("M");
    if !catalogue::SIZES.iter().any(|(_, known, ..)| *known == size) {
        return Err(Refusal::NotFound("container_size"));
    }
    let mut env = BTreeMap::new();
    for (name, value) in body.get("env").and_then(Value::as_object).into_iter().flatten() {
        // The client sends variables of its own that may be blank (`TERM`).
        if rules::variable(name, "x").is_empty() {
            env.insert(name.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        }
    }
    let detached = body.get("detached").and_then(Value::as_bool).unwrap_or_default();
    if detached && body.get("has_uploads").and_then(Value::as_bool).unwrap_or_default() {
        return Err(Refusal::invalid("has_uploads", "is impossible in detached mode"));
    }
    Ok(Wanted { command, size: size.to_owned(), detached, env })
}

/// The vendor documents both limits, not the words.
fn refuse_too_many(of_app: usize, of_account: usize) -> Result<(), Refusal> {
    let told = if of_app >= PER_APP {
        "can't run more than 10 one-off containers at the same time for an application"
    } else if of_account >= PER_ACCOUNT {
        "can't run more than 50 one-off containers at the same time"
    } else {
        return Ok(());
    };
    Err(Refusal::invalid("app", told))
}

/// A number of four digits that no other container of the app has: its label names it.
fn free_index(is_taken: impl Fn(u64) -> bool, mut draw: impl FnMut() -> u64) -> u64 {
    loop {
        let index = 1_000 + draw();
        if !is_taken(index) {
            return index;
        }
    }
}

impl Paas {
    /// A container that has not started; it is not listed yet.
    pub(in crate::paas) fn new_one_off(
        &self,
        user: &str,
        app: &App,
        wanted: Wanted,
    ) -> Result<Known, Refusal> {
        let taken = self.one_offs.of_app(&app.id);
        let index =
            free_index(|index| taken.iter().any(|one| one.index == index), || self.world.ids.below(9_000));
        let mut env = work::environment(app);
        env.extend(wanted.env);
        let (_, _, megabytes, _) = catalogue::SIZES
            .iter()
            .find(|(_, name, ..)| *name == wanted.size)
            .ok_or(Refusal::NotFound("container_size"))?;
        env.insert("CONTAINER_SIZE".into(), wanted.size.clone());
        env.insert("CONTAINER_MEMORY".into(), (megabytes * 1_048_576).to_string());
        env.insert("SCALINGO_USER_ID".into(), user.into());
        let order = Order { label: one_offs::label(index), command: wanted.command.clone(), env };
        let undeployed = || Refusal::BadRequest("the app has not been deployed yet".into());
        Ok(Known {
            id: self.world.ids.hex(24),
            app_id: app.id.clone(),
            index,
            command: wanted.command,
            size: wanted.size,
            detached: wanted.detached,
            created_at: self.world.clock.wall(),
            started: false,
            real: self.plane.runner.one_off(&app.name, order).ok_or_else(undeployed)?,
        })
    }

    /// The address of a one-off container on the attach server.
    pub(in crate::paas) fn attach_url(&self, id: &str) -> String {
        self.attach.get().map_or_else(String::new, |addr| format!("http://{addr}/c/{id}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_is_taken_is_not_given_again() {
        let mut drawn = [7, 7, 8].into_iter();
        assert_eq!(free_index(|index| index == 1_007, || drawn.next().unwrap()), 1_008);
    }
}
