//! What the vendor's support can still do: the archives of a database's backups outlive it, and no call reaches them.
//! Source: user documentation "Backup policies".

use std::path::PathBuf;

use chrono::{DateTime, Datelike as _, TimeDelta, Utc, Weekday};
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
    pub(super) backup: Backup,
    /// World date after which the support has it no more either.
    until: DateTime<Utc>,
}

impl State {
    /// Hands the finished backups of an addon that is being removed from `app` to the support.
    pub(super) fn keep_for_support(&mut self, app: &str, addon: &mut Addon) {
        let keep = retention(addon);
        let done = addon.database.backups.extract_if(.., |backup| backup.status == "done");
        let orphans = done.map(|backup| Orphan {
            app: app.to_owned(),
            addon: addon.id.clone(),
            until: backup.world_date + lasts(&backup, keep),
            backup,
        });
        self.orphans.extend(orphans);
    }
}

/// How long a backup is kept after its database is gone: as long as it would have been there, so that they expire one by one.
/// One that somebody made has no such day, and stays as long as any.
fn lasts(backup: &Backup, keep: Retention) -> TimeDelta {
    let sunday = backup.world_date.weekday() == Weekday::Sun;
    let manual = backup.method == "manual";
    let weekly = if manual || sunday { keep.weekly * 7 } else { 0 };
    let monthly = if manual || (sunday && backup.world_date.day() <= 7) { keep.monthly * 31 } else { 0 };
    let days = keep.daily.max(weekly).max(monthly);
    TimeDelta::days(i64::try_from(days).unwrap_or(i64::MAX))
}

impl Paas {
    /// What the support has, oldest first.
    pub(crate) fn orphans(&self) -> Vec<Value> {
        let (state, today) = (self.state(), self.today());
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
        let (state, today) = (self.state(), self.today());
        let found = state.orphans.iter().find(|one| one.backup.id == id && one.until > today)?;
        Some((found.backup.name.clone(), found.backup.file.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paas::work::backup::{BUSINESS, STARTER};

    #[test]
    fn nightly_backups_expire_one_by_one_after_their_database() {
        // 2026-03-01 was a Sunday, and the first of its month.
        for (date, method, starter, business) in [
            ("2026-03-03", "periodic", 7, 7),
            ("2026-03-08", "periodic", 28, 56),
            ("2026-03-01", "periodic", 28, 372),
            ("2026-03-03", "manual", 28, 372),
        ] {
            let world_date = format!("{date}T01:00:00Z").parse().unwrap();
            let backup = Backup {
                id: "b".into(),
                name: "b".into(),
                size: Some(1),
                status: "done".into(),
                method: method.into(),
                created_at: world_date,
                started_at: None,
                world_date,
                file: PathBuf::new(),
            };
            let days = [STARTER, BUSINESS].map(|keep| lasts(&backup, keep).num_days());
            assert_eq!(days, [starter, business], "{date} {method}");
        }
    }
}
