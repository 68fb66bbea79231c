//! An addon becomes real: after a while there is a database, a user, and variables of the app that say so.

use std::sync::Arc;
use std::time::Duration;

use crate::paas::Paas;
use crate::paas::api::set_variable;
use crate::paas::catalogue::{self, Provider};
use crate::paas::state::{Addon, App, DatabaseUser};
use crate::world::Fault;

/// World time of a plan change.
const PLAN_CHANGE: Duration = Duration::from_secs(30);

/// What the plane made for an addon.
pub(in crate::paas) struct Made {
    url: String,
    endpoint: (String, u16),
}

/// Provisions the addon `id`, in the time that the vendor takes.
pub(in crate::paas) async fn run(paas: Arc<Paas>, id: String) {
    let Some((provider, _)) = wanted(&paas, &id) else { return };
    paas.world.clock.sleep(Duration::from_secs(provider.provisioning_s)).await;
    if paas.is_stuck(&id).await {
        return;
    }
    if let Err(error) = now(&paas, &id).await {
        // It stays `provisioning`, as at the vendor: a client that waits without limit waits for ever.
        tracing::error!(addon = id, error, "could not provision an addon");
    }
}

impl Paas {
    /// A fault on `provision` (path `APP/PROVIDER`): a latency delays, anything else leaves the addon in its status.
    async fn is_stuck(&self, id: &str) -> bool {
        let path = {
            let state = self.state();
            state.addon(id).map(|(app, addon)| format!("{}/{}", app.name, addon.provider))
        };
        match self.world.faults.take(crate::paas::SERVICE, "provision", &path.unwrap_or_default()) {
            None => false,
            Some(Fault::Latency { ms }) => {
                tokio::time::sleep(Duration::from_millis(ms)).await;
                false
            }
            Some(_) => true,
        }
    }
}

/// Provisions the addon `id` at once.
pub(in crate::paas) async fn now(paas: &Paas, id: &str) -> Result<(), String> {
    let Some((provider, resource)) = wanted(paas, id) else { return Ok(()) };
    let made = make(paas, provider, &resource).await?;
    let gone = {
        let mut state = paas.state();
        let app = state.apps.iter_mut().find(|app| app.addons.iter().any(|addon| addon.id == id));
        app.map(|app| install(paas, app, id, provider, &made)).is_none()
    };
    if gone {
        // Deleted while it was made: nothing may stay behind.
        super::demolish::resource(paas, provider.id, &resource).await;
    }
    Ok(())
}

fn wanted(paas: &Paas, id: &str) -> Option<(&'static Provider, String)> {
    let state = paas.state();
    let (_, addon) = state.addon(id)?;
    Some((catalogue::provider(&addon.provider)?, addon.resource_id.clone()))
}

async fn make(paas: &Paas, provider: &Provider, resource: &str) -> Result<Made, String> {
    if provider.id == "postgresql" {
        let access = paas.plane.databases.create(resource).await.map_err(|error| error.to_string())?;
        let (user, password, host, port) = (&access.user, &access.password, &access.host, access.port);
        let url = format!("postgresql://{user}:{password}@{host}:{port}/{}?sslmode=prefer", access.database);
        return Ok(Made { url, endpoint: (access.host, access.port) });
    }
    let access = paas.plane.redis.create(resource).await.map_err(|error| error.to_string())?;
    let url = format!("redis://{}:{}@{}:{}", access.user, access.password, access.host, access.port);
    Ok(Made { url, endpoint: (access.host, access.port) })
}

fn install(paas: &Paas, app: &mut App, id: &str, provider: &Provider, made: &Made) {
    if let Some(addon) = app.addons.iter_mut().find(|addon| addon.id == id) {
        "running".clone_into(&mut addon.status);
        addon.url = Some(made.url.clone());
        addon.endpoint = Some(made.endpoint.clone());
        if provider.id == "postgresql" {
            let owner = DatabaseUser { name: addon.resource_id.clone(), read_only: false, protected: true };
            addon.database.users.push(owner);
        }
    }
    // A second addon of a kind leaves the variables with the first.
    if !app.variables.iter().any(|variable| variable.name == provider.variable) {
        set_variable(app, || paas.world.ids.hex(24), provider.variable, &made.url);
    }
    if !app.variables.iter().any(|variable| variable.name == provider.alias) {
        set_variable(app, || paas.world.ids.hex(24), provider.alias, &format!("${}", provider.variable));
    }
}

/// Takes the variables of an addon that is gone away from its app.
pub(in crate::paas) fn withdraw_variables(app: &mut App, addon: &Addon) {
    let (Some(provider), Some(url)) = (catalogue::provider(&addon.provider), &addon.url) else { return };
    let alias = format!("${}", provider.variable);
    let ours = app.variables.iter().any(|one| one.name == provider.variable && one.value == *url);
    if ours {
        app.variables.retain(|one| {
            one.name != provider.variable && !(one.name == provider.alias && one.value == alias)
        });
    }
}

/// A plan change: the connections are cut, and some time later the addon runs again.
pub(in crate::paas) async fn change_plan(paas: Arc<Paas>, id: String) {
    paas.world.clock.sleep(PLAN_CHANGE / 2).await;
    if let Some((provider, resource)) = wanted(&paas, &id)
        && provider.id == "postgresql"
        && let Err(error) = paas.plane.databases.cut_sessions(&resource).await
    {
        tracing::warn!(resource, %error, "sessions outlived a plan change");
    }
    paas.world.clock.sleep(PLAN_CHANGE / 2).await;
    if let Some(addon) = paas.state().addon_mut(&id) {
        "running".clone_into(&mut addon.status);
    }
}
