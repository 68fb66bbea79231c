//! Database users: real roles of the real server.

use std::sync::Arc;

use axum::extract::{Path, State as Shared};
use serde_json::{Value, json};

use super::{opened_mut, running};
use crate::paas::reply::{Answer, Input, Refusal, Reply};
use crate::paas::session::Session;
use crate::paas::state::{Addon, DatabaseUser};
use crate::paas::{Paas, rules, view};

/// Length of a generated password.
const PASSWORD: usize = 34;

/// `GET /databases/:id/users` (with a hyphen in the root's name).
pub(super) async fn list(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path(id): Path<String>,
) -> Answer {
    let addon = running(&paas.state(), &session, &id)?;
    let users = addon.database.users.iter().map(|user| view::database_user(user, None));
    Ok(Reply::ok(json!({"database-users": users.collect::<Value>()})))
}

/// `POST /databases/:id/users`; an empty password is generated.
pub(super) async fn create(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path(id): Path<String>,
    input: Input,
) -> Answer {
    let wanted = input.maybe_wrapped("database_user");
    let name = wanted.get("name").and_then(Value::as_str).unwrap_or_default();
    if let Some(message) = rules::database_user(name) {
        return Err(Refusal::invalid("name", message));
    }
    let password = password(&paas, wanted)?;
    let read_only = wanted.get("read_only").and_then(Value::as_bool).unwrap_or_default();
    let addon = running(&paas.state(), &session, &id)?;
    if addon.database.users.iter().any(|user| user.name == name) {
        return Err(Refusal::invalid("name", "has already been taken"));
    }
    let added = paas.plane.databases.add_user(&addon.resource_id, name, &password, read_only).await;
    added.map_err(|error| broken("add a database user", &error))?;
    let user = DatabaseUser { name: name.into(), read_only, protected: false };
    opened_mut(&mut paas.state(), &session, &id)?.database.users.push(user.clone());
    let shown = view::database_user(&user, Some(&password));
    Ok(Reply::created(json!({"database_user": shown})).about(about(&addon, name)))
}

/// `PATCH /databases/:id/users/:name`: another password.
pub(super) async fn update(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path((id, name)): Path<(String, String)>,
    input: Input,
) -> Answer {
    let wanted = input.maybe_wrapped("database_user");
    if wanted.get("password").and_then(Value::as_str).is_none_or(str::is_empty) {
        return Err(Refusal::invalid("password", "can't be blank"));
    }
    let password = password(&paas, wanted)?;
    set_password(&paas, &session, &id, &name, &password, false).await
}

/// `POST` (or `PATCH`: older clients) `/databases/:id/users/:name/reset_password`: a generated one.
pub(super) async fn reset_password(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path((id, name)): Path<(String, String)>,
) -> Answer {
    let password = paas.world.ids.secret(PASSWORD);
    set_password(&paas, &session, &id, &name, &password, true).await
}

async fn set_password(
    paas: &Paas,
    session: &Session,
    id: &str,
    name: &str,
    password: &str,
    show: bool,
) -> Answer {
    let addon = running(&paas.state(), session, id)?;
    let user = unprotected(&addon, name)?;
    let set = paas.plane.databases.set_password(&addon.resource_id, name, password).await;
    set.map_err(|error| broken("set a database user's password", &error))?;
    let shown = view::database_user(user, show.then_some(password));
    Ok(Reply::ok(json!({"database_user": shown})).about(about(&addon, name)))
}

/// `DELETE /databases/:id/users/:name`.
pub(super) async fn delete(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path((id, name)): Path<(String, String)>,
) -> Answer {
    let addon = running(&paas.state(), &session, &id)?;
    unprotected(&addon, &name)?;
    let dropped = paas.plane.databases.drop_user(&addon.resource_id, &name).await;
    dropped.map_err(|error| broken("drop a database user", &error))?;
    opened_mut(&mut paas.state(), &session, &id)?.database.users.retain(|user| user.name != name);
    Ok(Reply::no_content().about(about(&addon, &name)))
}

fn unprotected<'a>(addon: &'a Addon, name: &str) -> Result<&'a DatabaseUser, Refusal> {
    let user = addon.database.users.iter().find(|user| user.name == name).ok_or(Refusal::NotFound("user"))?;
    if user.protected { Err(Refusal::BadRequest("this user is protected".into())) } else { Ok(user) }
}

/// The password that is asked for and confirmed, or a generated one.
fn password(paas: &Paas, wanted: &Value) -> Result<String, Refusal> {
    let text = |key: &str| wanted.get(key).and_then(Value::as_str).unwrap_or_default();
    let (password, confirmation) = (text("password"), text("password_confirmation"));
    if password.is_empty() {
        return Ok(paas.world.ids.secret(PASSWORD));
    }
    if let Some(message) = rules::database_password(password) {
        return Err(Refusal::invalid("password", message));
    }
    if password == confirmation {
        Ok(password.to_owned())
    } else {
        Err(Refusal::invalid("password_confirmation", "doesn't match password"))
    }
}

fn about(addon: &Addon, name: &str) -> String {
    format!("{}/{name}", addon.resource_id)
}

fn broken(what: &'static str, error: &impl std::error::Error) -> Refusal {
    tracing::error!(what, %error, "the database server refused");
    Refusal::Broken
}
