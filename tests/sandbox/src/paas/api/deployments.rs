//! Deployments: listed, followed, and started from an archive. (Those from git come through the SSH server.)

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Path, Query, State as Shared};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::paas::reply::{Answer, Input, Refusal, Reply, text};
use crate::paas::session::{Role, Session};
use crate::paas::work::deploy::{self, Code};
use crate::paas::{Paas, view};

const PAGE: usize = 20;
/// How old a deployment may be whose log limited collaborators read.
const LIMITED_SEE: TimeDelta = TimeDelta::days(7);

/// `GET …/deployments`: newest first, in pages.
pub(super) async fn list(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path(key): Path<String>,
    Query(query): Query<HashMap<String, String>>,
) -> Answer {
    let number = |name: &str, default: usize| {
        query.get(name).and_then(|text| text.parse().ok()).unwrap_or(default).max(1)
    };
    let (page, size) = (number("page", 1), number("per_page", PAGE).min(100));
    let state = paas.state();
    let app = state.app_for(&session.user, &key, Role::Limited)?;
    let total = app.deployments.len();
    let pages = total.div_ceil(size).max(1);
    let shown = app.deployments.iter().rev().skip((page - 1).saturating_mul(size)).take(size);
    Ok(Reply::ok(json!({
        "deployments": shown.map(|one| view::deployment(&paas, &state, app, one)).collect::<Value>(),
        "meta": {"pagination": {
            "current_page": page, "prev_page": (page > 1).then(|| page - 1), "next_page": (page < pages).then(|| page + 1),
            "total_pages": pages, "total_count": total, "per_page": size,
        }},
    })))
}

/// `GET …/deployments/:id`.
pub(super) async fn show(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path((key, id)): Path<(String, String)>,
) -> Answer {
    let state = paas.state();
    let app = state.app_for(&session.user, &key, Role::Limited)?;
    let one = app.deployments.iter().find(|one| one.id == id).ok_or(Refusal::NotFound("deployment"))?;
    Ok(Reply::ok(json!({"deployment": view::deployment(&paas, &state, app, one)})))
}

/// `GET …/deployments/:id/output`: plain text; 404 while there is none.
pub(super) async fn output(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path((key, id)): Path<(String, String)>,
) -> Result<Response, Refusal> {
    let state = paas.state();
    let app = state.app_for(&session.user, &key, Role::Limited)?;
    let one = app.deployments.iter().find(|one| one.id == id).ok_or(Refusal::NotFound("deployment"))?;
    let is_limited = state.app_for(&session.user, &key, Role::Collaborator).is_err();
    if is_limited && paas.today() - one.world_date >= LIMITED_SEE {
        return Err(Refusal::not_allowed());
    }
    if one.output.is_empty() {
        return Err(Refusal::NotFound("deployment_output"));
    }
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], one.output.clone()).into_response())
}

/// `POST …/deployments`: from the archive at `source_url`.
pub(super) async fn create(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path(key): Path<String>,
    input: Input,
) -> Answer {
    let wanted = input.wrapped("deployment")?;
    let url = text(wanted, "source_url").to_owned();
    let given = Some(text(wanted, "git_ref").trim().to_owned()).filter(|name| !name.is_empty());
    if !url.starts_with("http://") && !url.starts_with("https://") {
        return Err(Refusal::invalid("source_url", "is not a valid URL"));
    }
    // Whoever names no version gets one that is made of the time.
    let git_ref = given.unwrap_or_else(|| paas.world.clock.wall().format("%Y%m%d%H%M%S").to_string());
    if git_ref.starts_with('-') {
        return Err(Refusal::invalid("git_ref", "is invalid"));
    }
    let app = paas.state().app_for(&session.user, &key, Role::Collaborator)?.name.clone();
    let id = deploy::enqueue(&paas, &app, &session.user, "archive", Some(git_ref))
        .ok_or(Refusal::NotFound("app"))?;
    let state = paas.state();
    let found = state.app_for(&session.user, &key, Role::Collaborator)?;
    let one = found.deployments.iter().find(|one| one.id == id).ok_or(Refusal::Broken)?;
    let body = json!({"deployment": view::deployment(&paas, &state, found, one)});
    let job = deploy::detached(Arc::clone(&paas), app.clone(), id, Code::Archive { url });
    paas.world.tasks.spawn("deployment", job);
    Ok(Reply::created(body).about(app))
}

/// `DELETE …/caches/deployment`: there is no cache; that it is empty afterwards is true.
pub(super) async fn reset_cache(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path(key): Path<String>,
) -> Answer {
    let state = paas.state();
    let app = state.app_for(&session.user, &key, Role::Limited)?;
    Ok(Reply::no_content().about(app.name.clone()))
}
