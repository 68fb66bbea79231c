//! A world in a folder: what every service remembers as one private file, and the files of each beside it.

use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{LifeError, failed};
use crate::files::{self, Take};
use crate::plane::databases::SavedDatabase;
use crate::plane::redis::SavedRedis;
use crate::plane::runner::SavedApp;
use crate::sandbox::Parts;
use crate::seed::Size;

/// Folders of the world that are kept as they are.
pub(super) const FOLDERS: [(&str, Take); 7] = [
    ("apps", Take::Copy),
    ("code", Take::Copy),
    ("git", Take::Copy),
    ("keys", Take::Copy),
    // Written once, under a name of their own.
    ("github", Take::Link),
    ("paas/backups", Take::Link),
    ("paas/sources", Take::Link),
];
const MANIFEST: &str = "world.json";
const DATABASES: &str = "databases";
const REDIS: &str = "redis";
const SOURCE: &str = "s3-source";
const ARCHIVE: &str = "s3-archive";

/// What every service remembers. It holds secrets: private on disk, never shown.
#[derive(Serialize, Deserialize)]
pub(super) struct Snapshot {
    pub(super) taken_at: DateTime<Utc>,
    pub(super) size: Size,
    /// World time since the start.
    elapsed: Duration,
    /// How much had happened when it was taken.
    journal: usize,
    paas: Value,
    alwaysdata: Value,
    github: Value,
    apps: Vec<SavedApp>,
    databases: Vec<SavedDatabase>,
    redis: Vec<SavedRedis>,
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot").field("taken_at", &self.taken_at).finish_non_exhaustive()
    }
}

impl Snapshot {
    /// The one in `folder`.
    pub(super) fn read(folder: &Path) -> Result<Self, LifeError> {
        let text = std::fs::read(folder.join(MANIFEST)).map_err(failed("read the snapshot"))?;
        serde_json::from_slice(&text).map_err(failed("read the snapshot"))
    }

    fn write(&self, folder: &Path) -> std::io::Result<()> {
        let mut options = std::fs::OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600).open(folder.join(MANIFEST))?;
        let mut writer = std::io::BufWriter::new(file);
        serde_json::to_writer(&mut writer, self)?;
        std::io::Write::flush(&mut writer)
    }
}

/// Puts the world aside in `folder`, which is made. Nobody may change the world meanwhile.
pub(super) async fn take(parts: &Arc<Parts>, size: Size, folder: &Path) -> Result<(), LifeError> {
    let mut private = std::fs::DirBuilder::new();
    private.mode(0o700).create(folder).map_err(failed("make a folder for the snapshot"))?;
    let (world, plane) = (&parts.world, &parts.plane);
    let snapshot = Snapshot {
        taken_at: world.clock.wall(),
        size,
        elapsed: world.clock.elapsed(),
        journal: world.journal.entries().len(),
        paas: parts.paas.save().map_err(failed("put the platform aside"))?,
        alwaysdata: parts.alwaysdata.save().map_err(failed("put the dns provider aside"))?,
        github: parts.github.save().map_err(failed("put the code host aside"))?,
        apps: plane.runner.save(),
        redis: plane.redis.save(&folder.join(REDIS)).await.map_err(failed("put a redis aside"))?,
        databases: plane
            .databases
            .save(&folder.join(DATABASES))
            .await
            .map_err(failed("put a database aside"))?,
    };
    parts.source.save(&folder.join(SOURCE)).await.map_err(failed("put the source store aside"))?;
    parts.archive.save(&folder.join(ARCHIVE)).await.map_err(failed("put the archive store aside"))?;
    let (dir, folder) = (world.dir().to_owned(), folder.to_owned());
    let files = files::aside(move || {
        for (name, how) in FOLDERS.iter().filter(|(name, _)| dir.join(name).exists()) {
            files::take_tree(&dir.join(name), &folder.join("files").join(name), *how)?;
        }
        snapshot.write(&folder)
    });
    files.await.map_err(failed("put files aside"))
}

/// Makes the world what it was when `snapshot` was put aside in `folder`.
pub(super) async fn bring_back(
    parts: &Arc<Parts>,
    snapshot: Snapshot,
    folder: &Path,
) -> Result<(), LifeError> {
    let (world, plane) = (&parts.world, &parts.plane);
    plane.runner.clear().await;
    world.clock.set_elapsed(snapshot.elapsed);
    let (databases, redis) = (folder.join(DATABASES), folder.join(REDIS));
    let restoring = plane.databases.bring_back(&databases, &snapshot.databases);
    restoring.await.map_err(failed("bring a database back"))?;
    let restoring = plane.redis.bring_back(&redis, &snapshot.redis);
    restoring.await.map_err(failed("bring a redis back"))?;
    parts.source.bring_back(&folder.join(SOURCE)).await.map_err(failed("bring the source store back"))?;
    parts.archive.bring_back(&folder.join(ARCHIVE)).await.map_err(failed("bring the archive store back"))?;
    let (dir, from) = (world.dir().to_owned(), folder.join("files"));
    let files = files::aside(move || {
        FOLDERS
            .iter()
            .try_for_each(|(name, how)| files::replace_tree(&from.join(name), &dir.join(name), *how))
    });
    files.await.map_err(failed("bring files back"))?;
    parts.github.bring_back(snapshot.github).map_err(failed("bring the code host back"))?;
    parts.alwaysdata.bring_back(snapshot.alwaysdata).map_err(failed("bring the dns provider back"))?;
    parts.paas.bring_back(snapshot.paas).map_err(failed("bring the platform back"))?;
    // Apps that do not start are the apps' own matter, as on any other day.
    futures::future::join_all(snapshot.apps.into_iter().map(|app| parts.paas.start_again(app))).await;
    Ok(())
}
