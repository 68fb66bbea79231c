//! API tokens, and their exchange for a bearer.

use std::sync::Arc;

use axum::extract::{Path, State as Shared};
use axum::http::HeaderMap;
use serde_json::{Value, json};

use crate::paas::Paas;
use crate::paas::reply::{Answer, Input, Refusal, Reply};
use crate::paas::session::{self, Session};
use crate::paas::state::ApiToken;
use crate::paas::view::date;

fn bad_credentials() -> Refusal {
    Refusal::Unauthorized("Invalid credentials".into())
}

/// `POST /v1/tokens/exchange`: Basic with an empty user and the API token as password.
pub(super) async fn exchange(Shared(paas): Shared<Arc<Paas>>, headers: HeaderMap) -> Answer {
    let (_, secret) = session::basic(&headers).ok_or_else(bad_credentials)?;
    let (id, user) = {
        let mut state = paas.state();
        let token =
            state.tokens.iter_mut().find(|token| token.secret == secret).ok_or_else(bad_credentials)?;
        token.last_used_at = Some(paas.world.clock.wall());
        (token.id.clone(), token.user.clone())
    };
    if !paas.limiter.admit(&format!("api {id}"), paas.world.clock.elapsed()) {
        return Err(Refusal::RetryLater);
    }
    Ok(Reply::ok(json!({"token": paas.mint(&user, &id, None)?})).about(id))
}

/// `POST /v1/tokens` with a bearer. Passwords do not exist in this world: Basic is refused as a wrong one.
pub(super) async fn create(Shared(paas): Shared<Arc<Paas>>, headers: HeaderMap, input: Input) -> Answer {
    let claims = paas.bearer_of(&headers).map_err(|_| bad_credentials())?;
    // The vendor's JavaScript client sends the name unwrapped.
    let name =
        input.maybe_wrapped("token").get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let token = paas.new_token(&claims.uuid, &name);
    let mut shown = view(&token);
    shown["token"] = json!(token.secret);
    Ok(Reply::created(json!({"token": shown})).about(token.id))
}

/// `GET /v1/tokens`, without the secrets.
pub(super) async fn list(Shared(paas): Shared<Arc<Paas>>, session: Session) -> Reply {
    let state = paas.state();
    let mine = state.tokens.iter().filter(|token| token.user == session.user);
    Reply::ok(json!({"tokens": mine.map(view).collect::<Value>()}))
}

/// `PATCH /v1/tokens/:id/renew`: a new secret under the same id.
pub(super) async fn renew(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path(id): Path<String>,
) -> Answer {
    let secret = fresh_secret(&paas);
    let mut state = paas.state();
    let token = state.tokens.iter_mut().find(|token| token.id == id && token.user == session.user);
    let token = token.ok_or(Refusal::NotFoundPage)?;
    token.secret = secret;
    let mut shown = view(token);
    shown["token"] = json!(token.secret);
    Ok(Reply::ok(json!({"token": shown})).about(id))
}

/// `DELETE /v1/tokens/:id`; the bearers made from it end with it.
pub(super) async fn delete(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path(id): Path<String>,
) -> Answer {
    let mut state = paas.state();
    let before = state.tokens.len();
    state.tokens.retain(|token| token.id != id || token.user != session.user);
    if state.tokens.len() == before { Err(Refusal::NotFoundPage) } else { Ok(Reply::no_content().about(id)) }
}

fn view(token: &ApiToken) -> Value {
    json!({
        "id": token.id, "name": token.name, "created_at": date(token.created_at),
        "last_used_at": token.last_used_at.map(date), "issued_at": date(token.created_at),
    })
}

fn fresh_secret(paas: &Paas) -> String {
    format!("tk-us-{}", paas.world.ids.secret(48))
}

impl Paas {
    /// A new API token of `user`.
    pub(in crate::paas) fn new_token(&self, user: &str, name: &str) -> ApiToken {
        let token = ApiToken {
            id: self.world.ids.uuid().to_string(),
            user: user.into(),
            name: name.into(),
            secret: fresh_secret(self),
            created_at: self.world.clock.wall(),
            last_used_at: None,
        };
        self.state().tokens.push(token.clone());
        token
    }
}
