//! A backup is put back on the server's side, as the dashboard does it.

use std::io::Read;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State as Shared};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::backups::found;
use super::{opened, running};
use crate::paas::Paas;
use crate::paas::reply::{Answer, Refusal, Reply};
use crate::paas::session::Session;
use crate::paas::state::{Addon, Restoration};
use crate::paas::view::date;
use crate::paas::work::demolish::remove_archive;

/// World time from asking to beginning.
const QUEUED: Duration = Duration::from_secs(2);

fn shown(addon: &Addon, one: &Restoration) -> Value {
    json!({
        "id": one.id, "created_at": date(one.created_at), "started_at": one.started_at.map(date),
        "ended_at": one.ended_at.map(date), "method": "backup", "status": one.status,
        "database_id": addon.database.id, "source_backup_id": one.backup,
    })
}

/// `POST /databases/:id/backups/:backup/restore`: accepted.
pub(super) async fn restore(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path((id, backup)): Path<(String, String)>,
) -> Result<Response, Refusal> {
    let addon = running(&paas.state(), &session, &id)?;
    let archive = {
        let state = paas.state();
        let (_, one) = found(&state, &session, &id, &backup)?;
        if one.status != "done" {
            return Err(Refusal::BadRequest("this backup is not done".into()));
        }
        one.file.clone()
    };
    let restoration = Restoration {
        id: paas.world.ids.hex(24),
        backup,
        status: "scheduled".into(),
        created_at: paas.world.clock.wall(),
        started_at: None,
        ended_at: None,
    };
    // Unwrapped as in one version of the SDK, and under the key that another one reads.
    let mut body = shown(&addon, &restoration);
    body["backup_restoration"] = shown(&addon, &restoration);
    let task = run(Arc::clone(&paas), addon.id.clone(), restoration.id.clone(), archive);
    if let Some(addon) = paas.state().addon_mut(&addon.id) {
        addon.database.restorations.push(restoration);
    }
    paas.world.tasks.spawn("restoration", task);
    Ok(Reply::created(body).about(addon.resource_id).into_response())
}

/// `GET /databases/:id/backup_restorations/:restoration`.
pub(super) async fn show(
    Shared(paas): Shared<Arc<Paas>>,
    session: Session,
    Path((id, restoration)): Path<(String, String)>,
) -> Answer {
    let state = paas.state();
    let (_, addon) = opened(&state, &session, &id)?;
    let one = addon.database.restorations.iter().find(|one| one.id == restoration);
    let one = one.ok_or(Refusal::NotFound("backup_restoration"))?;
    Ok(Reply::ok(json!({"backup_restoration": shown(addon, one)})))
}

async fn run(paas: Arc<Paas>, addon: String, id: String, archive: PathBuf) {
    paas.world.clock.sleep(QUEUED).await;
    let now = paas.world.clock.wall();
    let begun = change(&paas, &addon, &id, |one| {
        "running".clone_into(&mut one.status);
        one.started_at = Some(now);
    });
    let Some(resource) = begun else { return };
    let dump = archive.with_extension(format!("{id}.pgsql"));
    let restored = match unpacked(&archive, &dump).await {
        Ok(()) => {
            paas.plane.databases.restore_dump(&resource, &dump).await.map_err(|error| error.to_string())
        }
        Err(error) => Err(error.to_string()),
    };
    remove_archive(&dump).await;
    if let Err(error) = &restored {
        tracing::error!(resource, error, "could not put a backup back");
    }
    let now = paas.world.clock.wall();
    change(&paas, &addon, &id, |one| {
        if restored.is_ok() { "done" } else { "error" }.clone_into(&mut one.status);
        one.ended_at = Some(now);
    });
}

/// Changes one restoration, if its addon is still there: the resource's name.
fn change(paas: &Paas, addon: &str, id: &str, change: impl FnOnce(&mut Restoration)) -> Option<String> {
    let mut state = paas.state();
    let addon = state.addon_mut(addon)?;
    change(addon.database.restorations.iter_mut().find(|one| one.id == id)?);
    Some(addon.resource_id.clone())
}

/// Takes the one member out of an archive.
async fn unpacked(archive: &FilePath, dump: &FilePath) -> std::io::Result<()> {
    let (archive, dump) = (archive.to_owned(), dump.to_owned());
    let unpack = move || {
        let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(std::fs::File::open(archive)?));
        let member = tar.entries()?.next().ok_or(std::io::ErrorKind::UnexpectedEof)?;
        std::io::copy(&mut member?.by_ref(), &mut std::fs::File::create(dump)?).map(drop)
    };
    tokio::task::spawn_blocking(unpack).await?
}
