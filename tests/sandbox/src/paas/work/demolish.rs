//! What is deleted takes its processes, databases, archives and names along.

use std::sync::Arc;

use crate::paas::Paas;
use crate::paas::state::{Addon, App};

/// Clears away an app that is no longer in the state.
pub(in crate::paas) fn app(paas: &Arc<Paas>, app: App) {
    forget_names(paas, &app);
    let (paas, tasks) = (Arc::clone(paas), paas.world.tasks.clone());
    tasks.spawn("demolish", async move { remains(&paas, app).await });
}

/// As [`app`], waited for.
pub(in crate::paas) async fn app_now(paas: &Paas, app: App) {
    forget_names(paas, &app);
    remains(paas, app).await;
}

/// Clears away an addon that is no longer in the state.
pub(in crate::paas) fn addon(paas: &Arc<Paas>, addon: Addon) {
    let (paas, tasks) = (Arc::clone(paas), paas.world.tasks.clone());
    tasks.spawn("demolish", async move { addon_now(&paas, addon).await });
}

/// Takes the names of an app out of routing and DNS.
pub(in crate::paas) fn forget_names(paas: &Paas, app: &App) {
    let host = app.default_host();
    paas.plane.ingress.detach(&host);
    paas.plane.dns.withdraw_default_domain(&host);
    for domain in &app.domains {
        paas.plane.ingress.detach(&domain.name);
        paas.plane.ingress.forget_certificate(&domain.name);
    }
}

async fn remains(paas: &Paas, app: App) {
    paas.plane.runner.remove(&app.name).await;
    if let Err(error) = crate::plane::ssh::forget(&paas.world, &app.name).await {
        tracing::debug!(%error, "no repository was removed");
    }
    for addon in app.addons {
        addon_now(paas, addon).await;
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
