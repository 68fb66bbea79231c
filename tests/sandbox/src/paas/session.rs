//! Who is asking: bearer tokens at the door, the rate limit, and what a role may do.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRequestParts, Request, State as Shared};
use axum::http::header;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;

use super::Paas;
use super::reply::Refusal;
use super::state::{App, State};
use super::token::Claims;
use crate::http::Caller;

/// A request's bearer, checked.
#[derive(Debug, Clone)]
pub(super) struct Session {
    /// The user's id.
    pub(super) user: String,
    /// The addon that an addon token opens.
    pub(super) addon: Option<String>,
    /// The JWT's `rnd`: how a token minted from this one is counted with it.
    pub(super) rnd: String,
    /// Whether they came by the vendor's own name: then other hosts, too, are told by their names.
    pub(super) by_name: bool,
}

impl<S: Send + Sync> FromRequestParts<S> for Session {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let missing = || Refusal::Unauthorized("no access token given".into());
        parts.extensions.get::<Self>().cloned().ok_or_else(missing)
    }
}

/// Lets only a valid bearer through; counts it.
pub(super) async fn bearer(Shared(paas): Shared<Arc<Paas>>, request: Request, next: Next) -> Response {
    guarded(&paas, "api", request, next).await
}

/// As [`bearer`], with the database API's own window.
pub(super) async fn database_bearer(
    Shared(paas): Shared<Arc<Paas>>,
    request: Request,
    next: Next,
) -> Response {
    guarded(&paas, "database", request, next).await
}

async fn guarded(paas: &Paas, window: &str, mut request: Request<Body>, next: Next) -> Response {
    let claims = match paas.bearer_of(request.headers()) {
        Ok(claims) => claims,
        Err(refusal) => return refusal.into_response(),
    };
    let caller = Caller(claims.uuid.clone());
    let mut response = if paas.admit(window, &claims) {
        let Claims { uuid, addon_uuid, rnd, .. } = claims;
        let by_name = is_by_name(request.headers());
        request.extensions_mut().insert(Session { user: uuid, addon: addon_uuid, rnd, by_name });
        next.run(request).await
    } else {
        Refusal::RetryLater.into_response()
    };
    response.extensions_mut().insert(caller);
    response
}

impl Paas {
    /// What the bearer says, if it is valid and not revoked.
    pub(super) fn bearer_of(&self, headers: &axum::http::HeaderMap) -> Result<Claims, Refusal> {
        let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        self.claims_of(bearer.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default())
    }

    /// What a JWT says, wherever it was sent, if it is valid and not revoked.
    pub(super) fn claims_of(&self, token: &str) -> Result<Claims, Refusal> {
        let claims = self
            .signer
            .check(token.trim())
            .ok_or_else(|| Refusal::Unauthorized("invalid access token".into()))?;
        let state = self.state();
        // A revoked API token takes the tokens made from it along.
        let known =
            state.minted.get(&claims.rnd).is_some_and(|id| state.tokens.iter().any(|token| token.id == *id));
        if known { Ok(claims) } else { Err(Refusal::Unauthorized("invalid access token".into())) }
    }

    fn admit(&self, window: &str, claims: &Claims) -> bool {
        let origin = self.state().minted.get(&claims.rnd).cloned().unwrap_or_default();
        self.limiter.admit(&format!("{window} {origin}"), self.world.clock.elapsed())
    }

    /// A bearer for `user`, traced to the API token `origin`.
    pub(super) fn mint(&self, user: &str, origin: &str, addon: Option<&str>) -> Result<String, Refusal> {
        let rnd = self.world.ids.hex(32);
        let token = self.signer.issue(self.world.clock.wall(), user, &rnd, addon).ok_or(Refusal::Broken)?;
        self.state().minted.insert(rnd, origin.to_owned());
        Ok(token)
    }

    /// The API token that the session comes from.
    pub(super) fn origin_of(&self, session: &Session) -> String {
        self.state().minted.get(&session.rnd).cloned().unwrap_or_default()
    }
}

/// Whether a request asks for one of the vendor's own host names, which lead here only where `exec` makes them.
pub(super) fn is_by_name(headers: &axum::http::HeaderMap) -> bool {
    crate::http::host(headers).is_some_and(|host| host.ends_with(".scalingo.com"))
}

/// User and password of a Basic header.
pub(super) fn basic(headers: &axum::http::HeaderMap) -> Option<(String, String)> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Basic ")?;
    let decoded = base64::engine::general_purpose::STANDARD.decode(value.trim()).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
}

/// What a user is to an app.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    /// May restart and look at logs; sees names of variables, no values.
    Limited,
    /// May do all but what touches ownership.
    Collaborator,
    /// May do all.
    Owner,
}

/// `user`'s role on `app`, if any.
pub(super) fn role(app: &App, user: &str) -> Option<Role> {
    if app.owner == user {
        return Some(Role::Owner);
    }
    let invited = app.collaborators.iter().find(|who| who.user.as_deref() == Some(user))?;
    Some(if invited.is_limited { Role::Limited } else { Role::Collaborator })
}

impl State {
    /// The app `key`, if `user` may do with it what needs `role`. An app of others does not exist.
    pub(super) fn app_for(&self, user: &str, key: &str, needed: Role) -> Result<&App, Refusal> {
        let app = self.app(key).ok_or(Refusal::NotFound("app"))?;
        match role(app, user) {
            None => Err(Refusal::NotFound("app")),
            Some(role) if role < needed => Err(Refusal::not_allowed()),
            Some(_) => Ok(app),
        }
    }

    /// As [`State::app_for`], to change it.
    pub(super) fn app_for_mut(&mut self, user: &str, key: &str, needed: Role) -> Result<&mut App, Refusal> {
        self.app_for(user, key, needed)?;
        self.app_mut(key).ok_or(Refusal::NotFound("app"))
    }
}
