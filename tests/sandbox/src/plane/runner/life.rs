//! What serves, as data: for snapshots of the world.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Formation, Release, Runner, wanted};

/// One app in a snapshot; its files are in the world's folder of apps.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SavedApp {
    pub(crate) name: String,
    release: Option<Release>,
    formation: Formation,
    /// Whether it ran at all: a disaster leaves a release without processes.
    is_up: bool,
    #[serde(default)]
    is_down: bool,
}

impl Runner {
    /// Every app as it serves now.
    pub(crate) fn save(&self) -> Vec<SavedApp> {
        let saved = |(name, app): (&String, &std::sync::Arc<super::App>)| {
            let now = app.now();
            SavedApp {
                name: name.clone(),
                release: now.release.clone(),
                formation: now.formation.clone(),
                is_up: !now.containers.is_empty(),
                is_down: now.is_down,
            }
        };
        self.apps().iter().map(saved).collect()
    }

    /// Every process down, every app forgotten. Files stay.
    pub(crate) async fn clear(&self) {
        let names: Vec<String> = self.apps().keys().cloned().collect();
        futures::future::join_all(names.iter().map(|name| self.stop(name))).await;
        self.apps().clear();
    }

    /// An app that was saved, its files in place: its processes start, and are waited for.
    pub(crate) async fn bring_back(
        &self,
        saved: SavedApp,
        env: &BTreeMap<String, String>,
    ) -> Result<(), String> {
        let app = self.app(&saved.name);
        let _turn = app.turn.lock().await;
        let Some(release) = saved.release else { return Ok(()) };
        let containers: Vec<_> = wanted(&release, &saved.formation).filter(|_| saved.is_up).collect();
        let fresh = self.boot(&saved.name, &release, &containers, env)?;
        let booted = self.await_boot(&fresh).await.map_err(|failure| failure.to_string());
        let mut now = app.now();
        now.is_down = saved.is_down;
        (now.release, now.formation, now.containers) = (Some(release), saved.formation, fresh);
        booted
    }
}
