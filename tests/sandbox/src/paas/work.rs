//! What takes time: provisioning, deployments, certificates, backups, operations. Each is a task on world time that looks the
//! state up again after every wait, because anything may have been deleted meanwhile.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use super::state::App;
use super::{Paas, REGION, catalogue, rules};
use crate::plane::runner::Formation;

pub(super) mod backup;
pub(super) mod calendar;
pub(super) mod certificate;
pub(super) mod cron;
pub(super) mod demolish;
pub(super) mod deploy;
pub(super) mod operate;
pub(super) mod pages;
pub(super) mod provision;
pub(super) mod run;

/// Deployments at once of one owner.
const PER_OWNER: usize = 10;

/// Who may deploy now: one at a time for an app, ten for an owner.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    apps: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
    owners: Mutex<HashMap<String, Arc<tokio::sync::Semaphore>>>,
}

impl Lanes {
    fn of_app(&self, app: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut apps = self.apps.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(apps.entry(app.to_owned()).or_default())
    }

    fn of_owner(&self, owner: &str) -> Arc<tokio::sync::Semaphore> {
        let mut owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = || Arc::new(tokio::sync::Semaphore::new(PER_OWNER));
        Arc::clone(owners.entry(owner.to_owned()).or_insert_with(fresh))
    }
}

/// What an app's processes see: its variables, resolved, and the platform's own.
pub(super) fn environment(app: &App) -> BTreeMap<String, String> {
    environment_of(app, app.last_deployment.as_deref())
}

/// The same for the processes of one deployment. Sizes are under `TYPE:NAME`: each type has its own.
fn environment_of(app: &App, deployment: Option<&str>) -> BTreeMap<String, String> {
    let own = app.variables.iter().map(|one| (one.name.clone(), rules::resolved(&app.variables, &one.value)));
    let stack = catalogue::stack(&app.stack).map_or("", |stack| stack.name);
    let deployed = app.deployments.iter().find(|one| Some(one.id.as_str()) == deployment);
    let platform = [
        ("APP", app.name.as_str()),
        ("STACK", stack),
        ("REGION_NAME", REGION),
        ("SCALINGO_APPLICATION_ID", app.uuid.as_str()),
        ("CONTAINER_VERSION", deployed.and_then(|one| one.git_ref.as_deref()).unwrap_or_default()),
    ];
    let formation = app.formation.iter().map(|kind| (kind.name.as_str(), kind.size.as_str()));
    let sizes = formation.chain([("postdeploy", "M")]).flat_map(|(kind, size)| {
        let known = catalogue::SIZES.iter().find(|(_, name, ..)| *name == size);
        let bytes = known.map_or(0, |(_, _, megabytes, _)| megabytes * 1_048_576);
        [
            (format!("{kind}:CONTAINER_SIZE"), size.to_owned()),
            (format!("{kind}:CONTAINER_MEMORY"), bytes.to_string()),
        ]
    });
    let platform = platform.map(|(name, value)| (name.to_owned(), value.to_owned()));
    own.chain(platform).chain(sizes).collect()
}

/// The amounts of a formation.
fn amounts(app: &App) -> Formation {
    app.formation.iter().map(|kind| (kind.name.clone(), kind.amount)).collect()
}

impl Paas {
    /// Reads and changes one app, if it is still there.
    pub(super) fn with_app<T>(&self, name: &str, change: impl FnOnce(&mut App) -> T) -> Option<T> {
        self.state().app_mut(name).map(change)
    }
}
