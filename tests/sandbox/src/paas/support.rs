//! What the vendor's support can still do: the archives of a database's backups outlive it, and no call reaches them.
//! Source: user documentation "Backup policies".

use std::path::PathBuf;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Paas;
use super::state::{Addon, Backup, State};
use super::work::backup::{Retention, retention};

/// A backup whose addon is no more.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Orphan {
    app: String,
    addon: String,
    backup: Backup,
    /// World date after which the support has it no more either.
    until: DateTime<Utc>,
}

impl State {
    /// Hands the finished backups of an addon that is being removed from `app` to the support.
    pub(super) fn keep_for_support(&mut self, app: &str, addon: &mut Addon) {
        let lasts = longest(retention(addon));
        let done = addon.database.backups.extract_if(.., |backup| backup.status == "done");
        let orphans = done.map(|backup| Orphan {
            app: app.to_owned(),
            addon: addon.id.clone(),
            until: backup.world_date + lasts,
            backup,
        });
        self.orphans.extend(orphans);
    }
}

/// How long the longest-lived backup is kept.
fn longest(keep: Retention) -> TimeDelta {
    let days = [keep.daily, keep.weekly * 7, keep.monthly * 31].into_iter().max().unwrap_or_default();
    TimeDelta::days(i64::try_from(days).unwrap_or(i64::MAX))
}

impl Paas {
    /// What the support has, oldest first.
    pub(crate) fn orphans(&self) -> Vec<Value> {
        let (state, today) = (self.state(), self.calendar.date(self.world.clock.elapsed()));
        let there = state.orphans.iter().filter(|orphan| orphan.until > today);
        there
            .map(|Orphan { app, addon, backup, until }| {
                json!({
                    "id": backup.id, "name": backup.name, "app": app, "addon": addon, "size": backup.size,
                    "created_at": backup.created_at, "until": until,
                })
            })
            .collect()
    }

    /// The name and the archive of one that the support has.
    pub(crate) fn orphan(&self, id: &str) -> Option<(String, PathBuf)> {
        let (state, today) = (self.state(), self.calendar.date(self.world.clock.elapsed()));
        let found = state.orphans.iter().find(|one| one.backup.id == id && one.until > today)?;
        Some((found.backup.name.clone(), found.backup.file.clone()))
    }
}
