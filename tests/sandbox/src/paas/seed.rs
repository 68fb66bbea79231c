//! Making an estate without its vendor's waits: for the start of a world and for tests, never behind HTTP.

use std::path::Path;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::api::{NewApp, set_variable};
use super::state::User;
use super::work::deploy::{self, Code, Pace};
use super::work::{backup, certificate, provision};
use super::{Paas, catalogue};

/// Why an estate could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// The platform's own rules refuse it.
    #[error("could not seed {what}: {why}")]
    Refused {
        /// What was to be made.
        what: String,
        /// Why not.
        why: String,
    },
    /// A file could not be read or written.
    #[error("could not write a seeded backup")]
    File(#[from] std::io::Error),
}

fn refused(what: impl Into<String>, why: impl std::fmt::Debug) -> SeedError {
    SeedError::Refused { what: what.into(), why: format!("{why:?}") }
}

/// A backup of the past.
#[derive(Debug)]
pub struct SeedBackup {
    /// When it was made.
    pub at: DateTime<Utc>,
    /// What its archive holds: a custom-format dump.
    pub dump: Arc<backup::Deflated>,
}

impl Paas {
    /// A user with a default project and a link to GitHub: their id and an API token.
    pub fn seed_user(&self, username: &str, email: &str) -> (String, String) {
        let id = format!("us-{}", self.world.ids.uuid());
        let project = self.new_project(&id, "default", true);
        let integration = self.new_integration(&id, "github", "https://github.com");
        let user = User {
            id: id.clone(),
            username: username.into(),
            fullname: username.into(),
            email: email.into(),
        };
        {
            let mut state = self.state();
            state.users.push(user);
            state.projects.push(project);
            state.integrations.push(integration);
        }
        let token = self.new_token(&id, "sandbox").secret;
        (id, token)
    }

    /// Registers an SSH public key of `user`.
    pub fn seed_key(&self, user: &str, name: &str, public_key: &str) -> Result<(), SeedError> {
        self.add_key(user, name, public_key).map(drop).map_err(|why| refused(name, why))
    }

    /// An empty app of `user` in their default project.
    pub fn seed_app(&self, user: &str, name: &str) -> Result<(), SeedError> {
        let wanted = NewApp { name, stack: "", project: "", hds: false, parent: None };
        let mut state = self.state();
        let app = self.new_app(&state, user, &wanted).map_err(|why| refused(name, why))?;
        self.publish(&app);
        state.apps.push(app);
        Ok(())
    }

    /// An addon of `app` on the plan of this name, running when this returns: its resource's name.
    pub async fn seed_addon(&self, app: &str, provider: &str, plan: &str) -> Result<String, SeedError> {
        let chosen = catalogue::provider(provider).and_then(|offer| offer.plan_named(plan));
        let chosen = chosen.ok_or_else(|| refused(plan, "no such plan"))?;
        let addon = self.new_addon(&self.state(), app, provider, chosen);
        let (id, resource) = (addon.id.clone(), addon.resource_id.clone());
        self.with_app(app, |app| app.addons.push(addon)).ok_or_else(|| refused(app, "no such app"))?;
        provision::now(self, &id).await.map_err(|why| refused(&resource, why))?;
        Ok(resource)
    }

    /// Sets variables of `app`.
    pub fn seed_variables(&self, app: &str, variables: &[(&str, String)]) -> Result<(), SeedError> {
        let ids = &self.world.ids;
        let set = |app: &mut super::state::App| {
            for (name, value) in variables {
                set_variable(app, || ids.hex(24), name, value);
            }
        };
        self.with_app(app, set).ok_or_else(|| refused(app, "no such app"))
    }

    /// A variable of `app`, aliases resolved.
    pub fn variable(&self, app: &str, name: &str) -> Option<String> {
        let state = self.state();
        let app = state.app(app)?;
        app.variables.iter().find(|one| one.name == name)?;
        Some(super::rules::resolved(&app.variables, &format!("${name}")))
    }

    /// A read-only database user of `resource`: its password.
    pub async fn seed_database_user(&self, resource: &str, name: &str) -> Result<String, SeedError> {
        let password = self.world.ids.secret(34);
        let added = self.plane.databases.add_user(resource, name, &password, true).await;
        added.map_err(|error| refused(name, error))?;
        let user = super::state::DatabaseUser { name: name.into(), read_only: true, protected: false };
        if let Some(addon) = self.state().addon_mut(resource) {
            addon.database.users.push(user);
        }
        Ok(password)
    }

    /// A domain of `app` that has its certificate already; its DNS is the caller's to make.
    pub fn seed_domain(&self, app: &str, host: &str) -> Result<(), SeedError> {
        let domain = self.new_domain(host);
        self.with_app(app, |app| {
            app.domains.push(domain);
            app.force_https = true;
        })
        .ok_or_else(|| refused(app, "no such app"))?;
        let ingress = &self.plane.ingress;
        ingress.attach(host, app);
        ingress.issue_certificate(host).map_err(|error| refused(host, error))?;
        ingress.set_force_https(app, true);
        certificate::created(self, app, host);
        Ok(())
    }

    /// A finished nightly backup of `resource`: its archive, for whoever wants to spoil it.
    pub async fn seed_backup(
        &self,
        resource: &str,
        seed: SeedBackup,
    ) -> Result<std::path::PathBuf, SeedError> {
        let missing = || refused(resource, "no such addon");
        // Listed before it is packed, so that the order of the calls is the order of the list.
        let mut made = {
            let mut state = self.state();
            let (_, addon) = state.addon(resource).ok_or_else(missing)?;
            let made = backup::new(self, addon, "periodic", seed.at);
            state.addon_mut(resource).ok_or_else(missing)?.database.backups.push(made.clone());
            made
        };
        let dump = seed.dump;
        let packed =
            backup::packed(&made, backup::Kind::Postgresql, move |member, file| dump.archive(member, file))
                .await;
        made.size = Some(packed.map_err(|why| refused(&made.name, why))?);
        made.started_at = Some(seed.at);
        "done".clone_into(&mut made.status);
        let file = made.file.clone();
        let mut state = self.state();
        let listed = &mut state.addon_mut(resource).ok_or_else(missing)?.database.backups;
        listed.iter_mut().filter(|one| one.id == made.id).for_each(|one| one.clone_from(&made));
        Ok(file)
    }

    /// A finished nightly backup of `resource` that is listed; laying its archive at the given place is the caller's.
    pub fn seed_listed_backup(
        &self,
        resource: &str,
        at: DateTime<Utc>,
    ) -> Result<std::path::PathBuf, SeedError> {
        let missing = || refused(resource, "no such addon");
        let mut state = self.state();
        let mut made = backup::new(self, state.addon(resource).ok_or_else(missing)?.1, "periodic", at);
        made.started_at = Some(at);
        "done".clone_into(&mut made.status);
        let file = made.file.clone();
        state.addon_mut(resource).ok_or_else(missing)?.database.backups.push(made);
        Ok(file)
    }

    /// Brings the listed sizes of `resource`'s backups up to date with their archives.
    pub fn refresh_backup_sizes(&self, resource: &str) -> Result<(), SeedError> {
        let mut state = self.state();
        let addon = state.addon_mut(resource).ok_or_else(|| refused(resource, "no such addon"))?;
        for backup in &mut addon.database.backups {
            backup.size = Some(std::fs::metadata(&backup.file)?.len());
        }
        Ok(())
    }

    /// Deploys `commit` of `repository` to `app` with this formation, without the vendor's waits.
    pub async fn seed_deployment(
        self: &Arc<Self>,
        app: &str,
        repository: &Path,
        commit: &str,
        formation: &[(&str, u32)],
    ) -> Result<(), SeedError> {
        let ids = &self.world.ids;
        let owner = self.with_app(app, |app| {
            for (name, amount) in formation {
                let mut kind = super::api::new_type(ids.hex(24), name);
                kind.amount = *amount;
                app.formation.push(kind);
            }
            app.owner.clone()
        });
        let owner = owner.ok_or_else(|| refused(app, "no such app"))?;
        let id = deploy::enqueue(self, app, &owner, "deployment", Some(commit.to_owned()));
        let id = id.ok_or_else(|| refused(app, "no such app"))?;
        let code =
            Code::Commit { repository: repository.to_owned(), commit: commit.to_owned(), branch: None };
        deploy::run(self, app, &id, code, None, Pace::Instant)
            .await
            .map(drop)
            .map_err(|why| refused(app, why))
    }

    /// Has `user` accept the invitation that was sent to their address for `app`, if there is one.
    pub fn accept_invitation(&self, app: &str, email: &str) -> bool {
        let mut state = self.state();
        let Some(user) = state.users.iter().find(|user| user.email == email).map(|user| user.id.clone())
        else {
            return false;
        };
        let invited = state.app_mut(app).into_iter().flat_map(|app| &mut app.collaborators);
        let mut pending = invited.filter(|who| who.email == email && who.user.is_none());
        pending.next().map(|who| who.user = Some(user)).is_some()
    }
}
