//! Environment variables of an app. A change restarts nothing.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Path, Query, RawQuery, State as Shared};
use serde_json::{Value, json};

use crate::paas::reply::{Answer, Input, Refusal, Reply, text};
use crate::paas::rights::{Action, allowed};
use crate::paas::session::{Session, role};
use crate::paas::state::{App, Variable};
use crate::paas::{Paas, rules};

fn view(app: &App, variable: &Variable, value: &str) -> Value {
    json!({"id": variable.id, "app_id": app.id, "name": variable.name, "value": value})
}

/// `GET …/variables?aliases=`: raw by default, resolved with `aliases=false`. Limited collaborators see names only.
pub(super) async fn list(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path(key): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Answer {
    let state = paas.state();
    let app = state.app_to(&session.user, &key, Action::Look)?;
    let hidden = !role(app, &session.user).is_some_and(|role| allowed(role, Action::Variables));
    let resolve = query.get("aliases").is_some_and(|value| value == "false");
    let shown = app.variables.iter().map(|variable| {
        let value = match (hidden, resolve) {
            (true, _) => String::new(),
            (false, true) => rules::resolved(&app.variables, &variable.value),
            (false, false) => variable.value.clone(),
        };
        view(app, variable, &value)
    });
    Ok(Reply::ok(json!({"variables": shown.collect::<Value>()})))
}

/// `POST …/variables`: one; an existing name is overwritten.
pub(super) async fn create(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path(key): Path<String>,
    input: Input,
) -> Answer {
    let wanted = input.wrapped("variable")?;
    let pair = (text(wanted, "name").to_owned(), text(wanted, "value").to_owned());
    let (about, mut shown) = paas.put_variables(&session, &key, std::slice::from_ref(&pair))?;
    Ok(Reply::created(json!({"variable": shown.pop()})).about(about))
}

/// `PUT …/variables`: many, all or none. The vendor's Go client writes a list without elements as `null`.
pub(super) async fn upsert(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path(key): Path<String>,
    input: Input,
) -> Answer {
    let list = match input.0.get("variables") {
        Some(Value::Array(list)) => list.as_slice(),
        Some(Value::Null) => &[],
        _ => return Err(Refusal::invalid("variables", "missing field")),
    };
    let value =
        |item: &Value, name: &str| item.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let pairs: Vec<_> = list.iter().map(|item| (value(item, "name"), value(item, "value"))).collect();
    let (about, shown) = paas.put_variables(&session, &key, &pairs)?;
    Ok(Reply::ok(json!({"variables": shown})).about(about))
}

/// `PATCH …/variables/:id`: another value; a name cannot change.
pub(super) async fn update(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path((key, id)): Path<(String, String)>,
    input: Input,
) -> Answer {
    let value = text(input.wrapped("variable")?, "value").to_owned();
    let name = {
        let state = paas.state();
        let app = state.app_to(&session.user, &key, Action::Variables)?;
        let known = app.variables.iter().find(|variable| variable.id == id || variable.name == id);
        known.ok_or(Refusal::NotFound("variable"))?.name.clone()
    };
    let (about, mut shown) = paas.put_variables(&session, &key, &[(name, value)])?;
    Ok(Reply::ok(json!({"variable": shown.pop()})).about(about))
}

/// `DELETE …/variables/:id`.
pub(super) async fn delete(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path((key, id)): Path<(String, String)>,
) -> Answer {
    paas.remove_variables(&session, &key, &[id])
}

/// `DELETE …/variables`: ids in the body (`variable_ids`) or in the query (`variable_ids[]`).
pub(super) async fn delete_many(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path(key): Path<String>,
    RawQuery(query): RawQuery,
    input: Input,
) -> Answer {
    let in_body = input.0.get("variable_ids").and_then(Value::as_array).into_iter().flatten();
    let mut ids: Vec<String> = in_body.filter_map(Value::as_str).map(str::to_owned).collect();
    let query = query.unwrap_or_default();
    let in_query = url::form_urlencoded::parse(query.as_bytes());
    ids.extend(in_query.filter(|(name, _)| name == "variable_ids[]").map(|(_, id)| id.into_owned()));
    paas.remove_variables(&session, &key, &ids)
}

impl Paas {
    fn put_variables(
        &self,
        session: &Session,
        key: &str,
        pairs: &[(String, String)],
    ) -> Result<(String, Vec<Value>), Refusal> {
        let wrong: Vec<_> = pairs.iter().flat_map(|(name, value)| rules::variable(name, value)).collect();
        if !wrong.is_empty() {
            return Err(Refusal::Invalid(wrong));
        }
        let mut state = self.state();
        let app = state.app_to_mut(&session.user, key, Action::Variables)?;
        for (name, value) in pairs {
            set(app, || self.world.ids.hex(24), name, value);
        }
        let written = |name: &str| app.variables.iter().find(|variable| variable.name == *name);
        let shown = pairs
            .iter()
            .filter_map(|(name, _)| written(name))
            .map(|one| view(app, one, &one.value))
            .collect();
        let names: Vec<_> = pairs.iter().map(|(name, _)| name.as_str()).collect();
        Ok((format!("{}: {}", app.name, names.join(" ")), shown))
    }

    fn remove_variables(&self, session: &Session, key: &str, ids: &[String]) -> Answer {
        let mut state = self.state();
        let app = state.app_to_mut(&session.user, key, Action::Variables)?;
        if !ids.iter().all(|id| app.variables.iter().any(|variable| variable.id == *id)) {
            return Err(Refusal::NotFound("variable"));
        }
        app.variables.retain(|variable| !ids.contains(&variable.id));
        Ok(Reply::no_content().about(app.name.clone()))
    }
}

/// Creates or overwrites one variable.
pub(in crate::paas) fn set(app: &mut App, id: impl FnOnce() -> String, name: &str, value: &str) {
    match app.variables.iter_mut().find(|variable| variable.name == name) {
        Some(variable) => value.clone_into(&mut variable.value),
        None => app.variables.push(Variable { id: id(), name: name.into(), value: value.into() }),
    }
}
