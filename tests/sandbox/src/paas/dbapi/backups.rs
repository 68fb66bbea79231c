//! Logical backups: listed newest first, made by the real `pg_dump` or redis-server, downloaded from a pre-signed address.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State as Shared};
use serde_json::{Value, json};

use super::{opened, running_of_any_kind};
use crate::paas::reply::{Answer, Refusal, Reply};
use crate::paas::session::Session;
use crate::paas::state::{Addon, Backup, Source, State};
use crate::paas::{Paas, view, work};

/// How long a download address is valid, in world time; the vendor does not say.
const LIFE: Duration = Duration::from_hours(1);

/// `GET /databases/:id/backups`.
pub(super) async fn list(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path(id): Path<String>,
) -> Answer {
    let state = paas.state();
    let (_, addon) = opened(&state, &session, &id)?;
    let mut backups: Vec<_> = addon.database.backups.iter().collect();
    backups.sort_by_key(|backup| std::cmp::Reverse(backup.created_at));
    Ok(Reply::ok(
        json!({"database_backups": backups.into_iter().map(|one| view::backup(addon, one)).collect::<Value>()}),
    ))
}

/// `POST /databases/:id/backups`: scheduled, done later.
pub(super) async fn create(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path(id): Path<String>,
) -> Answer {
    let addon = running_of_any_kind(&paas.state(), &session, &id)?;
    let backup =
        work::backup::schedule(&paas, &addon.id, &session.user).ok_or(Refusal::NotFound("database"))?;
    let shown = view::backup_created(&addon, &backup);
    Ok(Reply::created(json!({"database_backup": shown})).about(backup.name))
}

/// `GET /databases/:id/backups/:backup`.
pub(super) async fn show(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path((id, backup)): Path<(String, String)>,
) -> Answer {
    let state = paas.state();
    let (addon, backup) = found(&state, &session, &id, &backup)?;
    Ok(Reply::ok(json!({"database_backup": view::backup(addon, backup)})))
}

/// `GET /backups/:backup`, as the command line asks.
pub(super) async fn show_alone(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path(id): Path<String>,
) -> Answer {
    let state = paas.state();
    let (_, addon, backup) = state.backup(&id).ok_or(Refusal::NotFound("backup"))?;
    opened(&state, &session, &addon.id)?;
    Ok(Reply::ok(json!({"database_backup": view::backup(addon, backup)})))
}

/// `GET …/archive`: where to download it, without authorization, for a while.
pub(super) async fn archive(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path((id, backup)): Path<(String, String)>,
) -> Answer {
    let secret = paas.world.ids.secret(48);
    let ends_at = (paas.world.clock.elapsed() + LIFE).as_secs_f64();
    let mut state = paas.state();
    let (addon, one) = found(&state, &session, &id, &backup)?;
    if one.status != "done" {
        return Err(Refusal::BadRequest("this backup is not done".into()));
    }
    let path = format!("/api/databases/{}/backups/{}/download?token={secret}", addon.id, one.id);
    state.downloads.insert(secret, Source { opens: backup, ends_at });
    Ok(Reply::ok(json!({"download_url": format!("{}{path}", paas.urls().database)})))
}

pub(super) fn found<'a>(
    state: &'a State,
    session: &Session,
    id: &str,
    backup: &str,
) -> Result<(&'a Addon, &'a Backup), Refusal> {
    let (_, addon) = opened(state, session, id)?;
    let one =
        addon.database.backups.iter().find(|one| one.id == backup).ok_or(Refusal::NotFound("backup"))?;
    Ok((addon, one))
}
