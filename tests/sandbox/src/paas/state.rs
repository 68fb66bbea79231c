//! What the platform remembers, as plain data that can be written down and read back.

use serde::{Deserialize, Serialize};

pub(super) mod account;
pub(super) mod addon;
pub(super) mod app;
pub(super) mod event;

pub(super) use account::{ApiToken, Integration, Project, SshKey, Transfer, User};
pub(super) use addon::{Addon, Backup, Database, DatabaseUser, Feature, Restoration};
pub(super) use app::{
    App, Collaborator, Container, Deployment, Domain, Operation, OwnTls, StartedOneOff, Variable,
};
pub(super) use event::Event;

/// Everything. Lists are in the order of creation, which is also the order of the vendor's answers.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct State {
    pub(super) users: Vec<User>,
    pub(super) tokens: Vec<ApiToken>,
    /// Which API token a JWT came from: `rnd` → token id.
    pub(super) minted: std::collections::HashMap<String, String>,
    pub(super) keys: Vec<SshKey>,
    /// Links to code hosts.
    #[serde(default)]
    pub(super) integrations: Vec<Integration>,
    pub(super) projects: Vec<Project>,
    /// Invitations to take a project over.
    #[serde(default)]
    pub(super) transfers: Vec<Transfer>,
    pub(super) apps: Vec<App>,
    /// What happened, oldest first.
    #[serde(default)]
    pub(super) events: Vec<Event>,
    /// Sources that were asked for: opaque token → file, until when (world seconds).
    pub(super) sources: std::collections::HashMap<String, Source>,
    /// Download links of backups: opaque token → backup, until when (world seconds).
    pub(super) downloads: std::collections::HashMap<String, Source>,
    /// Backups of addons that are no more.
    #[serde(default)]
    pub(super) orphans: Vec<super::support::Orphan>,
    /// How the account stands with the vendor.
    #[serde(default)]
    pub(super) standing: super::Standing,
}

/// A pre-signed address.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Source {
    /// What it opens: a file's name, or a backup's id.
    pub(super) opens: String,
    /// World seconds since the start.
    pub(super) ends_at: f64,
}

impl State {
    pub(super) fn user(&self, id: &str) -> Option<&User> {
        self.users.iter().find(|user| user.id == id)
    }

    /// The app of this name or id.
    pub(super) fn app(&self, key: &str) -> Option<&App> {
        self.apps.iter().find(|app| app.is(key))
    }

    pub(super) fn app_mut(&mut self, key: &str) -> Option<&mut App> {
        self.apps.iter_mut().find(|app| app.is(key))
    }

    /// The addon of this id or resource name, with its app.
    pub(super) fn addon(&self, key: &str) -> Option<(&App, &Addon)> {
        self.apps.iter().find_map(|app| Some((app, app.addons.iter().find(|addon| addon.is(key))?)))
    }

    pub(super) fn addon_mut(&mut self, key: &str) -> Option<&mut Addon> {
        self.apps.iter_mut().flat_map(|app| &mut app.addons).find(|addon| addon.is(key))
    }

    /// The backup of this id, with its addon.
    pub(super) fn backup(&self, id: &str) -> Option<(&App, &Addon, &Backup)> {
        let addons = self.apps.iter().flat_map(|app| app.addons.iter().map(move |addon| (app, addon)));
        addons
            .flat_map(|(app, addon)| addon.database.backups.iter().map(move |backup| (app, addon, backup)))
            .find(|(_, _, backup)| backup.id == id)
    }
}
