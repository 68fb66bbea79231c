//! Who else may touch an app. An invitation is a link: whoever opens it becomes the collaborator.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Path, Query, State as Shared};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::paas::reply::{Answer, Input, Refusal, Reply, text};
use crate::paas::rights::Action;
use crate::paas::session::{Session, role};
use crate::paas::state::{App, Collaborator, State};
use crate::paas::{Paas, view};

fn shown(state: &State, app: &App, who: &Collaborator) -> Value {
    let user = who.user.as_deref().and_then(|id| state.user(id));
    let link = format!("https://dashboard.scalingo.test/apps/collaboration?token={}", who.invitation);
    // The field table says that limited ones have none either, the example beside it shows one; without e-mail it is needed.
    let hidden = user.is_some();
    json!({
        "id": who.id, "app_id": app.id, "app_name": app.name, "email": who.email,
        "username": user.map_or("n/a", |user| &user.username), "user_id": who.user,
        "tfa_status": user.map(|_| false), "status": status(who, user.is_some()),
        "is_limited": who.is_limited, "invitation_link": if hidden { "" } else { link.as_str() },
    })
}

fn status(who: &Collaborator, known: bool) -> &'static str {
    match (&who.user, known) {
        (None, _) => "pending",
        (Some(_), true) => "accepted",
        (Some(_), false) => "user account deleted",
    }
}

/// `GET …/collaborators`, the owner not included.
pub(super) async fn list(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path(key): Path<String>,
) -> Answer {
    let state = paas.state();
    let app = state.app_to(&session.user, &key, Action::Collaborators)?;
    let all = app.collaborators.iter().map(|who| shown(&state, app, who));
    Ok(Reply::ok(json!({"collaborators": all.collect::<Value>()})))
}

/// `GET /v1/collaborators`: over the apps one owns.
pub(super) async fn list_all(Shared(paas): Shared<Arc<Paas>>, session: Session) -> Reply {
    let state = paas.state();
    let own = state.apps.iter().filter(|app| app.owner == session.user);
    let all = own.flat_map(|app| app.collaborators.iter().map(|who| shown(&state, app, who)));
    Reply::ok(json!({"collaborators": all.collect::<Value>()}))
}

/// `POST …/collaborators`; limited unless told otherwise.
pub(super) async fn invite(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path(key): Path<String>,
    input: Input,
) -> Answer {
    let wanted = input.wrapped("collaborator")?;
    let email = text(wanted, "email").trim().to_owned();
    check_email(&email)?;
    let mut state = paas.state();
    let app = state.app_to_mut(&session.user, &key, Action::Collaborators)?;
    if app.collaborators.iter().any(|who| who.email.eq_ignore_ascii_case(&email)) {
        return Err(Refusal::invalid("email", "has already been taken"));
    }
    let who = Collaborator {
        id: paas.world.ids.hex(24),
        email,
        user: None,
        is_limited: wanted.get("is_limited").and_then(Value::as_bool).unwrap_or(true),
        invitation: paas.world.ids.hex(40),
    };
    app.collaborators.push(who.clone());
    let app = state.app_to(&session.user, &key, Action::Collaborators)?;
    Ok(Reply::created(json!({"collaborator": shown(&state, app, &who)}))
        .about(format!("{}/{}", app.name, who.email)))
}

fn check_email(email: &str) -> Result<(), Refusal> {
    let mut wrong = Vec::new();
    if email.is_empty() {
        wrong.push(("email".to_owned(), "can't be blank".to_owned()));
    }
    let parts = email.split_once('@').filter(|(name, host)| !name.is_empty() && host.contains('.'));
    if parts.is_none() {
        wrong.push(("email".to_owned(), "is invalid".to_owned()));
    }
    if wrong.is_empty() { Ok(()) } else { Err(Refusal::Invalid(wrong)) }
}

/// `PATCH …/collaborators/:id`.
pub(super) async fn update(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path((key, id)): Path<(String, String)>,
    input: Input,
) -> Answer {
    let limited = input.wrapped("collaborator")?.get("is_limited").and_then(Value::as_bool);
    let mut state = paas.state();
    let app = state.app_to_mut(&session.user, &key, Action::Collaborators)?;
    let who =
        app.collaborators.iter_mut().find(|who| who.id == id).ok_or(Refusal::NotFound("collaborator"))?;
    who.is_limited = limited.unwrap_or(who.is_limited);
    let who = who.clone();
    let app = state.app_to(&session.user, &key, Action::Collaborators)?;
    Ok(Reply::ok(json!({"collaborator": shown(&state, app, &who)}))
        .about(format!("{}/{}", app.name, who.email)))
}

/// `DELETE …/collaborators/:id`.
pub(super) async fn delete(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path((key, id)): Path<(String, String)>,
) -> Answer {
    let mut state = paas.state();
    let app = state.app_to_mut(&session.user, &key, Action::Collaborators)?;
    let place =
        app.collaborators.iter().position(|who| who.id == id).ok_or(Refusal::NotFound("collaborator"))?;
    let who = app.collaborators.remove(place);
    Ok(Reply::no_content().about(format!("{}/{}", app.name, who.email)))
}

/// `GET /v1/apps/collaboration?token=`: the invitee opens the link.
pub(super) async fn accept(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let token = query.get("token").cloned().unwrap_or_default();
    let mut state = paas.state();
    let invited = |who: &Collaborator| who.user.is_none() && who.invitation == token;
    let ours = |who: &Collaborator| {
        who.invitation == token
            && !token.is_empty()
            && who.user.as_ref().is_none_or(|user| *user == session.user)
    };
    let Some(place) = state.apps.iter().position(|app| app.collaborators.iter().any(ours)) else {
        return Refusal::NotFound("invitation").into_response();
    };
    if role(&state.apps[place], &session.user).is_some() {
        let body =
            json!({"type": "already-collaborator", "error": "you already are a collaborator of this app"});
        return (StatusCode::BAD_REQUEST, axum::Json(body)).into_response();
    }
    for who in state.apps[place].collaborators.iter_mut().filter(|who| invited(who)) {
        who.user = Some(session.user.clone());
    }
    Reply::ok(json!({"app": view::app(&paas, &state, &state.apps[place], &session)})).into_response()
}
