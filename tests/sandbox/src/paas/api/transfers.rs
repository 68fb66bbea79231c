//! A project changes hands: an invitation that its new owner accepts or declines, and that ends by itself after three days.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Query, State as Shared};
use serde_json::{Value, json};

use super::projects::own;
use crate::paas::Paas;
use crate::paas::reply::{Answer, Input, Refusal, Reply, text};
use crate::paas::rights::{Action, allowed};
use crate::paas::session::{Session, role};
use crate::paas::state::{App, Collaborator, Project, State, Transfer, User};
use crate::paas::view::date;

/// World time that an invitation waits.
const LIFE: Duration = Duration::from_hours(72);

fn shown(state: &State, one: &Transfer, now: f64) -> Value {
    let name = state.user(&one.invited).map_or("", |user| &user.username);
    let (status, reason) = if one.is_pending(now) || one.status != "pending" {
        (one.status.as_str(), one.reason.as_str())
    } else {
        ("failed", "the invitation has expired")
    };
    json!({
        "id": one.id, "project_id": one.project, "invited_user_id": one.invited, "invited_user_name": name,
        "inviter_user_id": one.inviter, "status": status, "status_reason": reason,
        "expires_at": date(one.expires_at), "created_at": date(one.created_at), "updated_at": date(one.updated_at),
    })
}

/// Who could own the project: an accepted collaborator of every app in it.
fn eligible<'a>(state: &'a State, project: &'a Project) -> impl Iterator<Item = &'a User> {
    let apps = || state.apps.iter().filter(|app| app.project == project.id);
    let of_all = move |user: &&User| apps().all(|app| role(app, &user.id).is_some());
    let some = state.apps.iter().any(|app| app.project == project.id);
    state.users.iter().filter(move |user| some && user.id != project.owner).filter(of_all)
}

/// `GET /v1/projects/:id/eligible_new_owners`.
pub(super) async fn eligible_new_owners(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path(id): Path<String>,
) -> Answer {
    let state = paas.state();
    let users = eligible(&state, own(&state, &session, &id)?);
    let users = users.map(|user| json!({"user_id": user.id, "user_name": user.username}));
    Ok(Reply::ok(json!({"eligible_new_owners": users.collect::<Value>()})))
}

/// `GET /v1/projects/:id/transfer_invitations`: pending ones, unless `?status=all`.
pub(super) async fn list(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path(id): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Answer {
    let (state, now) = (paas.state(), paas.world.clock.elapsed().as_secs_f64());
    let all = query.get("status").is_some_and(|status| status == "all");
    let mine = state.projects.iter().any(|one| one.id == id && one.owner == session.user);
    let concerns = |one: &&Transfer| one.project == id && (mine || one.invited == session.user);
    let listed: Vec<_> = state.transfers.iter().filter(concerns).collect();
    if !mine && listed.is_empty() {
        return Err(Refusal::NotFound("project"));
    }
    let listed =
        listed.into_iter().filter(|one| all || one.is_pending(now)).map(|one| shown(&state, one, now));
    Ok(Reply::ok(json!({"transfer_invitations": listed.collect::<Value>()})))
}

/// `GET /v1/projects/:id/transfer_invitations/:invitation`.
pub(super) async fn show(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path((project, id)): Path<(String, String)>,
) -> Answer {
    let (state, now) = (paas.state(), paas.world.clock.elapsed().as_secs_f64());
    let mine = |one: &&Transfer| one.invited == session.user || one.inviter == session.user;
    let found = state.transfers.iter().find(|one| one.id == id && one.project == project).filter(mine);
    let found = found.ok_or(Refusal::NotFound("transfer_invitation"))?;
    Ok(Reply::ok(json!({"transfer_invitation": shown(&state, found, now)})))
}

/// `POST /v1/projects/:id/transfer_invitations`: by the owner, to somebody eligible, one at a time.
pub(super) async fn create(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path(id): Path<String>,
    input: Input,
) -> Answer {
    let invited = text(input.wrapped("transfer_invitation")?, "invited_user_id").to_owned();
    let (clock, mut state) = (&paas.world.clock, paas.state());
    let project = own(&state, &session, &id)?;
    if project.default {
        return Err(Refusal::Conflict("Cannot transfer the default project".into()));
    }
    if invited.is_empty() {
        return Err(Refusal::invalid("invited_user_id", "can't be blank"));
    }
    if !eligible(&state, project).any(|user| user.id == invited) {
        return Err(Refusal::invalid("invited_user_id", "is not an eligible new owner"));
    }
    let elapsed = clock.elapsed();
    if state.transfers.iter().any(|one| one.project == id && one.is_pending(elapsed.as_secs_f64())) {
        return Err(Refusal::Conflict("A transfer invitation is already pending".into()));
    }
    let now = clock.wall();
    let transfer = Transfer {
        id: format!("tin-{}", paas.world.ids.uuid()),
        project: id,
        invited,
        inviter: session.user,
        status: "pending".into(),
        reason: String::new(),
        ends_at: (elapsed + LIFE).as_secs_f64(),
        expires_at: now + LIFE,
        created_at: now,
        updated_at: now,
    };
    state.transfers.push(transfer.clone());
    let shown = shown(&state, &transfer, elapsed.as_secs_f64());
    Ok(Reply::created(json!({"transfer_invitation": shown})).about(transfer.id))
}

/// `…/accept`, by the invitee: the project and its apps are theirs, and the former owner a collaborator.
pub(super) async fn accept(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path((project, id)): Path<(String, String)>,
) -> Answer {
    let mut state = paas.state();
    let transfer = pending(&paas, &state, &project, &id, |one| one.invited == session.user)?;
    let of = state.projects.iter().find(|one| one.id == project).ok_or(Refusal::NotFound("project"))?;
    let still = eligible(&state, of).any(|user| user.id == session.user);
    let namesake = state.projects.iter().any(|one| one.owner == session.user && one.name == of.name);
    let end = match (still, namesake) {
        (false, _) => ("failed", "the new owner is no longer eligible"),
        (true, true) => ("failed", "the new owner has a project of this name"),
        (true, false) => ("accepted", ""),
    };
    if end.0 == "accepted" {
        hand_over(&paas, &mut state, &transfer);
    }
    finish(&paas, &mut state, &id, end)
}

/// `…/decline`, by the invitee.
pub(super) async fn decline(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path((project, id)): Path<(String, String)>,
) -> Answer {
    let mut state = paas.state();
    pending(&paas, &state, &project, &id, |one| one.invited == session.user)?;
    finish(&paas, &mut state, &id, ("declined", ""))
}

/// `PATCH …/:invitation {"transfer_invitation":{status}}`: the same three ends by their names, as the vendor documents them.
pub(super) async fn update(
    paas: Shared<Arc<Paas>>,
    session: Session,
    place: Path<(String, String)>,
    input: Input,
) -> Answer {
    match text(input.wrapped("transfer_invitation")?, "status") {
        "accepted" => accept(paas, session, place).await,
        "declined" => decline(paas, session, place).await,
        "canceled" => cancel(paas, session, place).await,
        _ => Err(Refusal::invalid("status", "is not included in the list")),
    }
}

/// `…/cancel`, by the owner.
pub(super) async fn cancel(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path((project, id)): Path<(String, String)>,
) -> Answer {
    let mut state = paas.state();
    pending(&paas, &state, &project, &id, |one| one.inviter == session.user)?;
    finish(&paas, &mut state, &id, ("canceled", ""))
}

fn pending(
    paas: &Paas,
    state: &State,
    project: &str,
    id: &str,
    may: impl Fn(&Transfer) -> bool,
) -> Result<Transfer, Refusal> {
    let found = state.transfers.iter().find(|one| one.id == id && one.project == project);
    let found = found.filter(|one| may(one)).ok_or(Refusal::NotFound("transfer_invitation"))?;
    if found.is_pending(paas.world.clock.elapsed().as_secs_f64()) {
        Ok(found.clone())
    } else {
        Err(Refusal::Conflict("This transfer invitation is no longer pending".into()))
    }
}

fn finish(paas: &Paas, state: &mut State, id: &str, (status, reason): (&str, &str)) -> Answer {
    let clock = &paas.world.clock;
    for one in state.transfers.iter_mut().filter(|one| one.id == id) {
        (one.status, one.reason, one.updated_at) = (status.to_owned(), reason.to_owned(), clock.wall());
    }
    let one =
        state.transfers.iter().find(|one| one.id == id).ok_or(Refusal::NotFound("transfer_invitation"))?;
    let shown = shown(state, one, clock.elapsed().as_secs_f64());
    Ok(Reply::ok(json!({"transfer_invitation": shown})).about(id))
}

fn hand_over(paas: &Paas, state: &mut State, transfer: &Transfer) {
    let email = state.user(&transfer.inviter).map_or_else(String::new, |user| user.email.clone());
    let (now, ids) = (paas.world.clock.wall(), &paas.world.ids);
    for project in state.projects.iter_mut().filter(|one| one.id == transfer.project) {
        project.owner.clone_from(&transfer.invited);
        project.updated_at = now;
    }
    let moves = |app: &&mut App| {
        app.project == transfer.project
            && role(app, &transfer.inviter).is_some_and(|role| allowed(role, Action::Transfer))
    };
    for app in state.apps.iter_mut().filter(moves) {
        app.owner.clone_from(&transfer.invited);
        app.updated_at = now;
        // The new owner is none any more, and nobody else goes by the address of the former one.
        app.collaborators.retain(|who| {
            who.user.as_deref() != Some(&transfer.invited) && !who.email.eq_ignore_ascii_case(&email)
        });
        app.collaborators.push(Collaborator {
            id: ids.hex(24),
            email: email.clone(),
            user: Some(transfer.inviter.clone()),
            is_limited: false,
            invitation: ids.hex(40),
        });
    }
}
