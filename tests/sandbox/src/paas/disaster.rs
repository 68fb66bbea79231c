//! What a disaster does to the platform. Buckets and DNS are somebody else's.

use super::work::demolish;
use super::{Paas, SeedError};

impl Paas {
    /// The `data` disaster: apps and addons are still listed and backups download, but nothing runs and the databases of
    /// `apps` are destroyed.
    pub async fn lose_data(&self, apps: &[&str]) -> Result<(), SeedError> {
        for app in apps {
            self.plane.runner.stop(app).await;
            let resources = self.with_app(app, |app| {
                "crashed".clone_into(&mut app.status);
                let databases = app.addons.iter().filter(|addon| addon.provider == "postgresql");
                databases.map(|addon| addon.resource_id.clone()).collect::<Vec<_>>()
            });
            for resource in resources.unwrap_or_default() {
                let wiped = self.plane.databases.wipe(&resource).await;
                wiped.map_err(|error| SeedError::Refused { what: resource, why: error.to_string() })?;
            }
        }
        Ok(())
    }

    /// The `account` disaster: everything of `user` is gone, backups included, also those that the support had. The user and the API token stay, as those of
    /// the new account that a recovery would begin with.
    pub async fn lose_account(&self, user: &str) {
        let apps: Vec<_> = {
            let mut state = self.state();
            state.projects.retain(|project| project.owner != user || project.default);
            state.keys.retain(|key| key.user != user);
            state.orphans.clear();
            state.transfers.retain(|one| one.inviter != user && one.invited != user);
            let apps = state.apps.extract_if(.., |app| app.owner == user);
            apps.map(|app| demolish::detach(self, app)).collect()
        };
        for remains in apps {
            demolish::app_now(self, remains).await;
        }
    }

    /// Every app's processes down and every Redis stopped: the end of the world.
    pub(crate) async fn stop_all(&self) {
        let (apps, servers) = {
            let state = self.state();
            let apps: Vec<_> = state.apps.iter().map(|app| app.name.clone()).collect();
            let addons =
                state.apps.iter().flat_map(|app| &app.addons).filter(|addon| addon.provider == "redis");
            (apps, addons.map(|addon| addon.resource_id.clone()).collect::<Vec<_>>())
        };
        for app in apps {
            self.plane.runner.stop(&app).await;
        }
        for server in servers {
            demolish::resource(self, "redis", &server).await;
        }
    }
}
