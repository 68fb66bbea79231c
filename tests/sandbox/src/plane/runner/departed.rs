//! An app that gave up its name and is on its way out. The name is free at once; folder and log stay its own until the last of its
//! processes has ended, so that an app which takes the name meanwhile gets others.

use std::sync::{Arc, PoisonError, Weak};

use super::{App, Runner};

/// What is left of an app that is no longer found by its name.
#[must_use = "its processes run on"]
pub(crate) struct Departed(Arc<App>);

impl std::fmt::Debug for Departed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Departed").field("folder", &self.0.folder).finish_non_exhaustive()
    }
}

impl Runner {
    /// Takes the app off its name, at once. `None`: nothing is known of it.
    pub(crate) fn depart(&self, name: &str) -> Option<Departed> {
        // Held until the folder is reserved: a new app of the name must not get it in between.
        let mut apps = self.apps();
        let app = apps.remove(name)?;
        let mut departed = self.departed.lock().unwrap_or_else(PoisonError::into_inner);
        departed.retain(|one| one.strong_count() > 0);
        departed.push(Arc::downgrade(&app));
        Some(Departed(app))
    }

    /// Processes down, files gone.
    pub(crate) async fn clear_away(&self, Departed(app): Departed) {
        app.stop().await;
        self.logs.forget(&app.folder);
        let Ok(folder) = self.folder_of(&app) else { return };
        match tokio::fs::remove_dir_all(&folder).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::warn!(%error, "an app's files stay behind");
            }
            _ => {}
        }
    }

    /// Whether a folder is still that of an app on its way out.
    pub(super) fn is_being_left(&self, folder: &str) -> bool {
        let departed = self.departed.lock().unwrap_or_else(PoisonError::into_inner);
        departed.iter().filter_map(Weak::upgrade).any(|app| app.folder == folder)
    }
}
