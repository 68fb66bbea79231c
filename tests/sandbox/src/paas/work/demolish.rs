//! What is deleted takes its processes, databases, archives and names along.

use std::path::PathBuf;
use std::sync::Arc;

use crate::paas::Paas;
use crate::paas::state::{Addon, App};
use crate::plane::ingress::Pages;
use crate::plane::runner::Departed;

/// An app that is out of the state, and what is left of it. Nothing of it is found by its name any more.
#[derive(Debug)]
#[must_use = "its processes and databases run on"]
pub(in crate::paas) struct Remains {
    processes: Option<Departed>,
    repository: Option<PathBuf>,
    addons: Vec<Addon>,
}

/// Takes an app that was just taken out of the state off its name. Call it before the state is unlocked: from then on the name is
/// anybody's.
pub(in crate::paas) fn detach(paas: &Paas, app: App) -> Remains {
    forget_names(paas, &app);
    let repository = crate::plane::ssh::forget(&paas.world, &app.name).unwrap_or_else(|error| {
        tracing::warn!(%error, app = app.name, "a repository stays behind");
        None
    });
    Remains { processes: paas.plane.runner.depart(&app.name), repository, addons: app.addons }
}

/// Clears away what is left of an app.
pub(in crate::paas) fn app(paas: &Arc<Paas>, remains: Remains) {
    let (paas, tasks) = (Arc::clone(paas), paas.world.tasks.clone());
    tasks.spawn("demolish", async move { app_now(&paas, remains).await });
}

/// As [`app`], waited for.
pub(in crate::paas) async fn app_now(paas: &Paas, remains: Remains) {
    if let Some(processes) = remains.processes {
        paas.plane.runner.clear_away(processes).await;
    }
    if let Some(repository) = remains.repository
        && let Err(error) = tokio::fs::remove_dir_all(repository).await
    {
        tracing::warn!(%error, "a repository stays behind");
    }
    for addon in remains.addons {
        addon_now(paas, addon).await;
    }
}

/// Clears away an addon that is no longer in the state.
pub(in crate::paas) fn addon(paas: &Arc<Paas>, addon: Addon) {
    let (paas, tasks) = (Arc::clone(paas), paas.world.tasks.clone());
    tasks.spawn("demolish", async move { addon_now(&paas, addon).await });
}

/// Takes the names of an app, and what was set for its own, out of routing and DNS.
pub(in crate::paas) fn forget_names(paas: &Paas, app: &App) {
    let host = app.default_host();
    paas.plane.ingress.set_force_https(&app.name, false);
    paas.plane.ingress.set_sticky(&app.name, false);
    paas.plane.ingress.set_router_logs(&app.name, false);
    paas.plane.ingress.set_canonical(&app.name, None);
    paas.plane.ingress.set_pages(&app.name, Pages::new());
    paas.plane.ingress.detach(&host);
    paas.plane.dns.withdraw_default_domain(&host);
    for domain in &app.domains {
        paas.plane.ingress.detach(&domain.name);
        paas.plane.ingress.forget_certificate(&domain.name);
    }
}

async fn addon_now(paas: &Paas, addon: Addon) {
    for backup in &addon.database.backups {
        remove_archive(&backup.file).await;
    }
    if addon.url.is_some() {
        resource(paas, &addon.provider, &addon.resource_id).await;
    }
}

/// Removes a backup's archive; that there is none (yet) is fine.
pub(in crate::paas) async fn remove_archive(file: &std::path::Path) {
    if let Err(error) = tokio::fs::remove_file(file).await {
        tracing::debug!(%error, "no archive was removed");
    }
}

/// Destroys the real thing behind an addon.
pub(in crate::paas) async fn resource(paas: &Paas, provider: &str, resource: &str) {
    let destroyed = if provider == "postgresql" {
        paas.plane.databases.destroy(resource).await.map_err(|error| error.to_string())
    } else {
        paas.plane.redis.destroy(resource).await.map_err(|error| error.to_string())
    };
    if let Err(error) = destroyed {
        tracing::error!(resource, error, "could not destroy an addon's resource");
    }
}
