//! The platform as data, for snapshots: put aside, and brought back with routes, names and what was under way.

use std::sync::Arc;

use serde_json::Value;

use super::Paas;
use super::dbapi::features;
use super::state::{OwnTls, State};
use super::work::{self, demolish, provision};
use crate::plane::ingress::OwnCertificate;
use crate::plane::runner::SavedApp;

impl Paas {
    /// Everything that the platform remembers. It holds secrets: for private files only.
    pub(crate) fn save(&self) -> serde_json::Result<Value> {
        serde_json::to_value(&*self.state())
    }

    /// In place of everything, what was saved. Databases, Redis servers and files are brought back before, processes after.
    pub(crate) fn bring_back(self: &Arc<Self>, saved: Value) -> serde_json::Result<()> {
        let mut new: State = serde_json::from_value(saved)?;
        settle(&mut new);
        let old = std::mem::take(&mut *self.state());
        for app in &old.apps {
            demolish::forget_names(self, app);
        }
        let apps = new.apps.clone();
        *self.state() = new;
        for app in &apps {
            self.route(app);
        }
        Ok(())
    }

    /// Starts the processes of an app as they were. An app that does not start is shown as crashed.
    pub(crate) async fn start_again(self: &Arc<Self>, app: SavedApp) {
        let name = app.name.clone();
        let Some(env) = self.with_app(&name, |app| work::environment(app)) else { return };
        if let Err(error) = self.plane.runner.bring_back(app, &env).await {
            tracing::error!(app = name, error, "an app did not start again");
            self.with_app(&name, |app| "crashed".clone_into(&mut app.status));
        }
        work::pages::show(self, &name, &env).await;
    }

    /// Routes, certificates, and the work that its state waits for.
    fn route(self: &Arc<Self>, app: &super::state::App) {
        self.publish(app);
        let ingress = &self.plane.ingress;
        self.apply_switches(app);
        for domain in &app.domains {
            if let Some(own) = &domain.own {
                self.show_again(&domain.name, own);
            }
            if domain.issued_at.is_none() {
                self.attach(&app.name, &domain.name);
                continue;
            }
            ingress.attach(&domain.name, &app.name);
            if domain.own.is_none()
                && let Err(error) = ingress.issue_certificate(&domain.name)
            {
                tracing::warn!(%error, "a certificate was not issued again");
            }
            if domain.canonical {
                ingress.set_canonical(&app.name, Some(&domain.name));
            }
        }
        app.addons.iter().for_each(|addon| features::switch_on(self, addon));
        for addon in app.addons.iter().filter(|addon| !addon.is_running() && addon.status == "provisioning") {
            let work = provision::run(Arc::clone(self), addon.id.clone());
            self.world.tasks.spawn("provision", work);
        }
    }
}

impl Paas {
    /// An own certificate in place again. One whose time has ended meanwhile is not shown.
    fn show_again(&self, host: &str, own: &OwnTls) {
        match OwnCertificate::parse(host, &own.certificate, &own.key, self.world.clock.wall()) {
            Ok(read) => self.plane.ingress.install_certificate(host, read),
            Err(error) => tracing::warn!(%error, host, "an own certificate is not shown again"),
        }
    }
}

/// What was under way when the state was saved, and is not taken up again, has ended.
fn settle(state: &mut State) {
    for app in &mut state.apps {
        for deployment in app.deployments.iter_mut().filter(|one| !one.is_finished()) {
            "aborted".clone_into(&mut deployment.status);
            deployment.finished_at.get_or_insert(deployment.created_at);
        }
        for operation in app.operations.iter_mut().filter(|one| one.finished_at.is_none()) {
            "done".clone_into(&mut operation.status);
            operation.finished_at = Some(operation.created_at);
        }
        if matches!(app.status.as_str(), "scaling" | "restarting" | "booting") {
            app.resting_status().clone_into(&mut app.status);
        }
        for addon in &mut app.addons {
            let backups = &mut addon.database.backups;
            let unfinished = |status: &str| matches!(status, "scheduled" | "running");
            backups
                .iter_mut()
                .filter(|backup| unfinished(&backup.status))
                .for_each(|backup| "error".clone_into(&mut backup.status));
            let pending = |status: &str| status == "PENDING";
            let features = &mut addon.database.features;
            features
                .iter_mut()
                .filter(|one| pending(&one.status))
                .for_each(|one| "ACTIVATED".clone_into(&mut one.status));
            // A change of plan that was under way.
            if addon.url.is_some() && addon.status != "suspended" {
                "running".clone_into(&mut addon.status);
            }
        }
    }
}
