//! A user's links to code hosts, which are the account's and not a region's: kept as they are made. No code host of that kind is
//! in reach here, so a link's token is checked by nobody, and not kept.

use std::sync::Arc;

use axum::extract::{Path, State as Shared};
use serde_json::{Map, Value, json};

use crate::paas::Paas;
use crate::paas::reply::{Answer, Input, Refusal, Reply, text};
use crate::paas::session::Session;
use crate::paas::state::{Integration, State};
use crate::paas::view::date;

/// Code hosts, with where they are unless they are somebody's own.
const KINDS: [(&str, Option<&str>); 4] = [
    ("github", Some("https://github.com")),
    ("github-enterprise", None),
    ("gitlab", Some("https://gitlab.com")),
    ("gitlab-self-hosted", None),
];

fn missing() -> Refusal {
    Refusal::NotFound("scm_integration")
}

/// `GET /v1/scm_integrations`.
pub(super) async fn list(Shared(paas): Shared<Arc<Paas>>, session: Session) -> Reply {
    let state = paas.state();
    let mine = state.integrations.iter().filter(|one| one.user == session.user);
    Reply::ok(json!({"scm_integrations": mine.map(|one| view(&state, one)).collect::<Value>()}))
}

/// `GET /v1/scm_integrations/:id`.
pub(super) async fn show(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path(id): Path<String>,
) -> Answer {
    let state = paas.state();
    let one = found(&state, &session, &id)?;
    Ok(Reply::ok(json!({"scm_integration": view(&state, one)})))
}

/// `POST /v1/scm_integrations {"scm_integration":{scm_type,url,access_token}}`.
pub(super) async fn create(Shared(paas): Shared<Arc<Paas>>, session: Session, input: Input) -> Answer {
    let wanted = input.wrapped("scm_integration")?;
    let (kind, url) = (text(wanted, "scm_type"), checked(wanted)?);
    let mut state = paas.state();
    let same = |one: &Integration| one.user == session.user && one.kind == kind && one.url == url;
    if state.integrations.iter().any(same) {
        return Err(Refusal::invalid("url", "has already been taken"));
    }
    let made = paas.new_integration(&session.user, kind, &url);
    state.integrations.push(made.clone());
    Ok(Reply::created(json!({"scm_integration": view(&state, &made)})).about(made.id))
}

/// `DELETE /v1/scm_integrations/:id`.
pub(super) async fn delete(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path(id): Path<String>,
) -> Answer {
    let mut state = paas.state();
    let id = found(&state, &session, &id)?.id.clone();
    state.integrations.retain(|one| one.id != id);
    Ok(Reply::no_content().about(id))
}

/// `POST /v1/scm_integrations/:id/import_keys`: the code host that is not there has no keys.
pub(super) async fn import_keys(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path(id): Path<String>,
) -> Answer {
    found(&paas.state(), &session, &id)?;
    Ok(Reply::created(json!({"keys": []})))
}

/// A link of the user's, by its id or by its kind: the vendor's command line puts either into the path. The oldest of a kind.
fn search<'a>(state: &'a State, user: &str, key: &str) -> Option<&'a Integration> {
    let mut mine = state.integrations.iter().filter(|one| one.user == user);
    mine.find(|one| one.id == key || one.kind == key)
}

fn found<'a>(state: &'a State, session: &Session, key: &str) -> Result<&'a Integration, Refusal> {
    search(state, &session.user, key).ok_or_else(missing)
}

/// How a link of `user`'s looks that a path names by `key`; nothing where there is none.
pub(in crate::paas) fn shown(state: &State, user: &str, key: &str) -> Value {
    search(state, user, key).map_or(Value::Null, |one| view(state, one))
}

/// The address of the code host that is wanted.
fn checked(wanted: &Map<String, Value>) -> Result<String, Refusal> {
    let (kind, url) = (text(wanted, "scm_type"), text(wanted, "url"));
    let known = KINDS.iter().find(|(name, _)| *name == kind);
    let own = known.and_then(|(_, own)| *own);
    let wrong = [
        ("access_token", "can't be blank", text(wanted, "access_token").is_empty()),
        ("scm_type", "can't be blank", kind.is_empty()),
        ("scm_type", "Unknown scm integration type", known.is_none()),
        ("url", "can't be blank", known.is_some() && own.is_none() && url.is_empty()),
    ];
    let wrong: Vec<_> = wrong
        .into_iter()
        .filter(|(_, _, is)| *is)
        .map(|(field, message, _)| (field.to_owned(), message.to_owned()))
        .collect();
    if wrong.is_empty() { Ok(own.unwrap_or(url).to_owned()) } else { Err(Refusal::Invalid(wrong)) }
}

fn view(state: &State, one: &Integration) -> Value {
    let user = state.user(&one.user);
    let (username, email) = user.map_or(("", ""), |user| (user.username.as_str(), user.email.as_str()));
    json!({
        "id": one.id, "scm_type": one.kind, "url": one.url, "created_at": date(one.created_at), "uid": one.uid,
        "username": username, "avatar_url": format!("{}/{username}.png", one.url), "email": email,
        "profile_url": format!("{}/{username}", one.url),
        "owner": {"id": one.user, "email": email, "username": username},
    })
}

impl Paas {
    /// A link of `user` to a code host that is not yet anywhere.
    pub(in crate::paas) fn new_integration(&self, user: &str, kind: &str, url: &str) -> Integration {
        Integration {
            id: self.world.ids.uuid().to_string(),
            user: user.to_owned(),
            kind: kind.to_owned(),
            url: url.to_owned(),
            uid: self.world.ids.below(90_000_000).to_string(),
            created_at: self.world.clock.wall(),
        }
    }
}
