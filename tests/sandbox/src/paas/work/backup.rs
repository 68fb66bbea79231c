//! Backups: a real dump in a gzip tar of one member, on request and every night, kept as long as the vendor keeps them.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Datelike, Utc};

use super::demolish::remove_archive;
use crate::paas::catalogue::{self, Plan};
use crate::paas::state::{Addon, Backup};
use crate::paas::{Paas, events};

mod archive;
mod kind;

pub use archive::Deflated;
pub(in crate::paas) use kind::Kind;

const QUEUED: Duration = Duration::from_secs(2);
/// How many missed hours are made up for when the world is pushed far forward: two days.
const MADE_UP: u64 = 48;

/// How many of each kind are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::paas) struct Retention {
    pub(in crate::paas) manual: usize,
    pub(in crate::paas) daily: usize,
    /// Sundays.
    pub(in crate::paas) weekly: usize,
    /// First Sundays of a month.
    pub(in crate::paas) monthly: usize,
}

pub(in crate::paas) const STARTER: Retention = Retention { manual: 10, daily: 7, weekly: 4, monthly: 0 };
pub(in crate::paas) const BUSINESS: Retention = Retention { manual: 50, daily: 7, weekly: 8, monthly: 12 };

/// Backs up, at each hour of world time, every database that wants it then. A world that was made what it was at another time goes on
/// from there.
pub(in crate::paas) async fn periodic(paas: Arc<Paas>) {
    let (clock, calendar) = (&paas.world.clock, paas.calendar);
    let (mut times_set, mut struck) = (clock.times_set(), calendar.strikes(clock.elapsed()));
    loop {
        clock.sleep_until(calendar.time_of(struck + 1)).await;
        let was = std::mem::replace(&mut times_set, clock.times_set());
        let now = calendar.strikes(clock.elapsed());
        if was != times_set {
            struck = now;
            continue;
        }
        for stroke in (struck + 1).max(now.saturating_sub(MADE_UP))..=now {
            for addon in wanting(&paas, calendar.hour_of(stroke)) {
                let date = calendar.date(calendar.time_of(stroke));
                schedule_at(&paas, &addon, "periodic", events::PLATFORM, date);
            }
        }
        struck = now.max(struck);
    }
}

/// The databases that are to be backed up at `hour`: one that does not run is skipped.
fn wanting(paas: &Paas, hour: u32) -> Vec<String> {
    let state = paas.state();
    let addons = state.apps.iter().flat_map(|app| &app.addons);
    let wanting = addons.filter(|addon| {
        let of = &addon.database;
        addon.is_running() && of.periodic_backups && of.backup_hours.contains(&hour)
    });
    wanting.map(|addon| addon.id.clone()).collect()
}

/// Schedules the backup of the addon `id` that `user` asked for.
pub(in crate::paas) fn schedule(paas: &Arc<Paas>, id: &str, user: &str) -> Option<Backup> {
    schedule_at(paas, id, "manual", user, paas.today())
}

fn schedule_at(
    paas: &Arc<Paas>,
    id: &str,
    method: &str,
    by: &str,
    world_date: DateTime<Utc>,
) -> Option<Backup> {
    let backup = {
        let mut state = paas.state();
        let addon = state.addon_mut(id)?;
        let backup = Backup { world_date, ..new(paas, addon, method, paas.world.clock.wall()) };
        addon.database.backups.push(backup.clone());
        backup
    };
    paas.world.tasks.spawn("backup", run(Arc::clone(paas), id.to_owned(), backup.id.clone(), by.to_owned()));
    Some(backup)
}

/// A backup that is not yet anywhere.
pub(in crate::paas) fn new(paas: &Paas, addon: &Addon, method: &str, at: DateTime<Utc>) -> Backup {
    let id = paas.world.ids.hex(24);
    Backup {
        name: format!("{}_{}", at.format("%Y%m%d%H%M%S"), addon.resource_id),
        size: None,
        status: "scheduled".into(),
        method: method.into(),
        created_at: at,
        started_at: None,
        world_date: at,
        file: paas.backups.join(format!("{id}.tar.gz")),
        id,
    }
}

async fn run(paas: Arc<Paas>, addon: String, id: String, by: String) {
    paas.world.clock.sleep(QUEUED).await;
    let started = paas.world.clock.wall();
    let Some((of, backup)) = change(&paas, &addon, &id, |backup| {
        "running".clone_into(&mut backup.status);
        backup.started_at = Some(started);
    }) else {
        return;
    };
    let archived = archive(&paas, &of, &backup).await;
    let kept = change(&paas, &addon, &id, |backup| match &archived {
        Ok(size) => {
            "done".clone_into(&mut backup.status);
            backup.size = Some(*size);
        }
        Err(error) => {
            tracing::error!(backup = backup.name, error, "could not make a backup");
            "error".clone_into(&mut backup.status);
        }
    });
    match kept {
        Some((of, ended)) => paas.witness_backup(&by, &of, &ended),
        None => remove_archive(&backup.file).await,
    }
    prune(&paas, &addon).await;
}

/// Changes one backup, if it is still there: its addon and itself afterwards.
fn change(paas: &Paas, addon: &str, id: &str, change: impl FnOnce(&mut Backup)) -> Option<(Addon, Backup)> {
    let mut state = paas.state();
    let addon = state.addon_mut(addon)?;
    let backup = addon.database.backups.iter_mut().find(|backup| backup.id == id)?;
    change(backup);
    let backup = backup.clone();
    Some((addon.clone(), backup))
}

/// Makes the archive of `backup` from a fresh dump: its size.
async fn archive(paas: &Paas, addon: &Addon, backup: &Backup) -> Result<u64, String> {
    let kind = Kind::of(&addon.provider);
    let dump = backup.file.with_extension(kind.ending());
    kind.dump(&paas.plane, &addon.resource_id, &dump).await?;
    let source = dump.clone();
    let size = packed(backup, kind, move |member, file| archive::pack(&source, member, file)).await;
    remove_archive(&dump).await;
    size
}

/// Has `pack` write the archive of `backup`, given the member's name and the file: its size.
pub(in crate::paas) async fn packed(
    backup: &Backup,
    kind: Kind,
    pack: impl FnOnce(&str, &Path) -> std::io::Result<u64> + Send + 'static,
) -> Result<u64, String> {
    let (member, file) = (member(backup, kind), backup.file.clone());
    let packed = tokio::task::spawn_blocking(move || pack(&member, &file));
    packed.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
}

/// The name inside the archive; at the vendor it starts with a slash or does not.
fn member(backup: &Backup, kind: Kind) -> String {
    let slash = backup.id.ends_with(['0', '2', '4', '6', '8', 'a', 'c', 'e']);
    format!("{}{}.{}", if slash { "/" } else { "" }, backup.name, kind.ending())
}

async fn prune(paas: &Paas, addon: &str) {
    let dropped: Vec<Backup> = {
        let mut state = paas.state();
        let Some(addon) = state.addon_mut(addon) else { return };
        let gone = superfluous(&addon.database.backups, retention(addon));
        addon.database.backups.extract_if(.., |backup| gone.contains(&backup.id)).collect()
    };
    for backup in dropped {
        remove_archive(&backup.file).await;
    }
}

/// What the plan of an addon keeps.
pub(in crate::paas) fn retention(addon: &Addon) -> Retention {
    let plan = catalogue::provider(&addon.provider).and_then(|provider| provider.plan(&addon.plan_id));
    plan.map_or(STARTER, |(_, plan)| promised(plan))
}

/// What a plan keeps.
pub(in crate::paas) fn promised(plan: &Plan) -> Retention {
    if plan.name.contains("-business-") { BUSINESS } else { STARTER }
}

/// The ids of finished backups beyond the retention. A day counts by the world's calendar.
fn superfluous(backups: &[Backup], keep: Retention) -> Vec<String> {
    let newest_first = |method: &str| {
        let finished =
            |backup: &&Backup| backup.method == method && matches!(backup.status.as_str(), "done" | "error");
        let mut list: Vec<&Backup> = backups.iter().filter(finished).collect();
        list.sort_by_key(|backup| std::cmp::Reverse(backup.world_date));
        list
    };
    let periodic = newest_first("periodic");
    let sunday = |backup: &&&Backup| backup.world_date.weekday() == chrono::Weekday::Sun;
    let first = |backup: &&&Backup| sunday(backup) && backup.world_date.day() <= 7;
    let mut kept: Vec<&str> =
        periodic.iter().filter(sunday).take(keep.weekly).map(|one| one.id.as_str()).collect();
    kept.extend(periodic.iter().filter(first).take(keep.monthly).map(|one| one.id.as_str()));
    let daily =
        periodic.iter().skip(keep.daily).filter(|backup| !kept.contains(&backup.id.as_str())).copied();
    let manual = newest_first("manual").into_iter().skip(keep.manual);
    manual.chain(daily).map(|backup| backup.id.clone()).collect()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn backup(n: u32, method: &str, at: DateTime<Utc>) -> Backup {
        Backup {
            id: format!("{n}"),
            name: format!("{n}_app"),
            size: Some(1),
            status: "done".into(),
            method: method.into(),
            created_at: at,
            started_at: None,
            world_date: at,
            file: PathBuf::new(),
        }
    }

    #[test]
    fn the_oldest_beyond_the_retention_go_and_sundays_stay() {
        // 2026-03-01 was a Sunday.
        let day = |n: u32| format!("2026-03-{n:02}T01:00:00Z").parse::<DateTime<Utc>>().unwrap();
        let nights: Vec<_> = (1..=20).map(|n| backup(n, "periodic", day(n))).collect();
        let gone = superfluous(&nights, STARTER);
        assert_eq!(gone.len(), 20 - STARTER.daily - 2, "{gone:?}");
        assert!(!gone.contains(&"1".into()) && !gone.contains(&"8".into()), "a Sunday went: {gone:?}");
        let manual: Vec<_> = (1..=12).map(|n| backup(n, "manual", day(n))).collect();
        assert_eq!(superfluous(&manual, STARTER), ["2", "1"]);
        assert!(superfluous(&manual, BUSINESS).is_empty());
    }

    #[test]
    fn a_business_plan_keeps_first_sundays_for_a_year() {
        let first = "2025-01-01T01:00:00Z".parse::<DateTime<Utc>>().unwrap();
        let nights: Vec<_> =
            (0..500).map(|n| backup(n, "periodic", first + chrono::TimeDelta::days(n.into()))).collect();
        let kept = |keep| nights.len() - superfluous(&nights, keep).len();
        // The newest seven nights hold one Sunday, and eight Sundays one or two first ones.
        assert!((7 + 7 + 10..=7 + 8 + 12).contains(&kept(BUSINESS)), "{}", kept(BUSINESS));
        assert_eq!(kept(STARTER), 7 + 3);
    }
}
