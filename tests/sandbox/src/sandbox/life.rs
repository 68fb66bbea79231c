//! The world as a whole: back to its beginning, put aside under a name, brought back.
//!
//! Listeners, credentials of the env file, the CA and the fault rules are not part of what changes: after each of these, every
//! URL and key that a client holds is good. The journal goes on: it is evidence, and says what was done here too. What is wrong is asked
//! from here on: the checker has nothing to hold against what was done in the world that was.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;

use super::{Options, Parts};
use crate::estate::{self, EstateError};
use crate::files::{self, Take};
use crate::seed::Size;

mod snapshot;

use snapshot::Snapshot;

/// The name of the beginning.
const SEED: &str = "seed";
/// The world as it was before a restoration that may fail.
const PREVIOUS: &str = ".previous";
const FOLDER: &str = "snapshots";
/// How long calls in flight and work under way are waited for.
const GRACE: Duration = Duration::from_secs(10);
const LONGEST_NAME: usize = 64;

/// Why the world is not as it was asked to be.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LifeError {
    /// Not a name that a snapshot can have.
    #[error(
        "{0:?} cannot name a snapshot: letters, digits, - _ and ., a letter or digit first, at most 64; not seed"
    )]
    Name(String),
    /// There is none.
    #[error("there is no snapshot {0}")]
    Unknown(String),
    /// There is one already.
    #[error("there is a snapshot {0} already")]
    Exists(String),
    /// The world is not furnished yet.
    #[error("the world is not ready yet")]
    NotReady,
    /// A part could not be put aside or brought back.
    #[error("could not {doing}")]
    Part {
        /// What was being done.
        doing: &'static str,
        /// What it said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The estate was not made again.
    #[error("could not furnish the world")]
    Estate(#[source] EstateError),
    /// The restoration failed, and the world is as it was before it.
    #[error("the snapshot could not be restored, the world is as it was")]
    Undone(#[source] Box<Self>),
    /// The restoration failed, and so did going back.
    #[error("the snapshot could not be restored, nor the world as it was: reset it")]
    Broken(#[source] Box<Self>),
}

/// Wraps a part's own error.
fn failed<E: Into<Box<dyn std::error::Error + Send + Sync>>>(
    doing: &'static str,
) -> impl FnOnce(E) -> LifeError {
    move |source| LifeError::Part { doing, source: source.into() }
}

/// What a reset needs to know, and who may change the world now.
#[derive(Debug)]
pub(crate) struct Life {
    options: Mutex<Options>,
    /// Every service before anything was furnished.
    blank: Blank,
    turn: tokio::sync::Mutex<()>,
}

#[derive(Clone)]
struct Blank {
    paas: Value,
    alwaysdata: Value,
    github: Value,
}

impl std::fmt::Debug for Blank {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Blank")
    }
}

impl Life {
    /// To be made before the estate is.
    pub(super) fn new(parts: &Parts, options: &Options) -> serde_json::Result<Self> {
        let blank = Blank {
            paas: parts.paas.save()?,
            alwaysdata: parts.alwaysdata.save()?,
            github: parts.github.save()?,
        };
        Ok(Self { options: Mutex::new(options.clone()), blank, turn: tokio::sync::Mutex::default() })
    }

    fn options(&self) -> Options {
        self.options.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_size(&self, size: Size) {
        self.options.lock().unwrap_or_else(PoisonError::into_inner).size = size;
    }
}

/// One line of the list of snapshots.
#[derive(Debug, Serialize)]
pub(crate) struct Listed {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    taken_at: Option<DateTime<Utc>>,
    size: Option<Size>,
    /// Of its files; those that the world still has are shared with it.
    bytes: u64,
}

/// The life of a world that is ready.
fn life(parts: &Parts) -> Result<&Life, LifeError> {
    parts.estate.get().and_then(|_| parts.life.get()).ok_or(LifeError::NotReady)
}

fn folder(parts: &Parts) -> Result<PathBuf, LifeError> {
    parts.world.folder(FOLDER).map_err(failed("open the folder of the snapshots"))
}

/// Where the snapshot of that name is, or will be.
fn place(parts: &Parts, name: &str) -> Result<PathBuf, LifeError> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    let good = name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.bytes().all(plain);
    if good && name.len() <= LONGEST_NAME && name != SEED {
        Ok(folder(parts)?.join(name))
    } else {
        Err(LifeError::Name(name.to_owned()))
    }
}

/// Every snapshot, the beginning first.
pub(crate) fn list(parts: &Parts) -> Result<Vec<Listed>, LifeError> {
    let size = Some(life(parts)?.options().size);
    let mut all = vec![Listed { name: SEED.into(), taken_at: None, size, bytes: 0 }];
    let entries = std::fs::read_dir(folder(parts)?).map_err(failed("list the snapshots"))?;
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> = names.filter(|name| !name.starts_with('.')).collect();
    names.sort();
    for name in names {
        let path = place(parts, &name)?;
        let Ok(snapshot) = Snapshot::read(&path) else { continue };
        let (taken_at, size) = (Some(snapshot.taken_at), Some(snapshot.size));
        all.push(Listed { name, taken_at, size, bytes: files::size_of(&path) });
    }
    Ok(all)
}

/// Puts the world aside. Calls wait meanwhile.
pub(crate) async fn take(parts: &Arc<Parts>, name: &str) -> Result<(), LifeError> {
    let life = life(parts)?;
    let target = place(parts, name)?;
    let _turn = life.turn.lock().await;
    if target.exists() {
        return Err(LifeError::Exists(name.to_owned()));
    }
    parts.world.gate.hold(GRACE).await;
    let _open = Opening(parts);
    put_aside(parts, life, &target).await
}

/// A snapshot in `target`, whole or not at all.
async fn put_aside(parts: &Arc<Parts>, life: &Life, target: &Path) -> Result<(), LifeError> {
    let draft = folder(parts)?.join(".draft");
    files::remove_tree(&draft).map_err(failed("clear an unfinished snapshot"))?;
    let taken = snapshot::take(parts, life.options().size, &draft).await;
    let kept = taken.and_then(|()| std::fs::rename(&draft, target).map_err(failed("keep the snapshot")));
    if kept.is_err() {
        files::remove_tree(&draft).map_err(failed("clear an unfinished snapshot"))?;
    }
    kept
}

/// Forgets a snapshot.
pub(crate) fn remove(parts: &Parts, name: &str) -> Result<(), LifeError> {
    let target = place(parts, name)?;
    if !target.exists() {
        return Err(LifeError::Unknown(name.to_owned()));
    }
    files::remove_tree(&target).map_err(failed("remove the snapshot"))
}

/// Makes the world what it was. Calls are refused meanwhile; if it fails, the world is what it was before.
pub(crate) async fn restore(parts: &Arc<Parts>, name: &str) -> Result<(), LifeError> {
    let life = life(parts)?;
    if name == SEED {
        return reset(parts, None).await;
    }
    let source = place(parts, name)?;
    if !source.exists() {
        return Err(LifeError::Unknown(name.to_owned()));
    }
    let _turn = life.turn.lock().await;
    let snapshot = Snapshot::read(&source)?;
    let _open = close(parts).await;
    let previous = folder(parts)?.join(PREVIOUS);
    files::remove_tree(&previous).map_err(failed("clear an earlier restoration"))?;
    put_aside(parts, life, &previous).await?;
    let size = snapshot.size;
    let restored = Box::pin(snapshot::bring_back(parts, snapshot, &source)).await;
    let result = match restored {
        Ok(()) => {
            life.set_size(size);
            parts.world.journal.begin(parts.inventory());
            Ok(())
        }
        Err(error) => Err(Box::pin(go_back(parts, &previous, error)).await),
    };
    files::remove_tree(&previous).map_err(failed("clear an earlier restoration"))?;
    result
}

async fn go_back(parts: &Arc<Parts>, previous: &Path, error: LifeError) -> LifeError {
    tracing::error!(%error, "a snapshot could not be restored");
    let back = async { snapshot::bring_back(parts, Snapshot::read(previous)?, previous).await };
    match back.await {
        Ok(()) => LifeError::Undone(Box::new(error)),
        Err(worse) => {
            tracing::error!(error = %worse, "nor could the world as it was");
            LifeError::Broken(Box::new(error))
        }
    }
}

/// Makes the world anew as it began, or with another amount of content. Calls are refused meanwhile.
pub(crate) async fn reset(parts: &Arc<Parts>, size: Option<Size>) -> Result<(), LifeError> {
    let life = life(parts)?;
    let _turn = life.turn.lock().await;
    let _open = close(parts).await;
    let mut options = life.options();
    options.size = size.unwrap_or(options.size);
    clear(parts, &life.blank).await?;
    let furnished = Box::pin(estate::furnish(parts, &options)).await;
    furnished.map_err(LifeError::Estate)?;
    // Only now: where there was no room for more, the next reset makes what there was room for.
    life.set_size(options.size);
    // What is there now is what was there at the start: the checker holds later effects against it.
    parts.world.journal.begin(parts.inventory());
    Ok(())
}

/// Nothing but the services.
async fn clear(parts: &Arc<Parts>, blank: &Blank) -> Result<(), LifeError> {
    let Blank { paas, alwaysdata, github } = blank.clone();
    parts.paas.bring_back(paas).map_err(failed("clear the platform"))?;
    parts.plane.runner.clear().await;
    parts.plane.databases.clear().await;
    parts.plane.redis.clear().await;
    parts.source.remove_all().await.map_err(failed("clear the source store"))?;
    parts.archive.remove_all().await.map_err(failed("clear the archive store"))?;
    parts.alwaysdata.bring_back(alwaysdata).map_err(failed("clear the dns provider"))?;
    parts.github.bring_back(github).map_err(failed("clear the code host"))?;
    let dir = parts.world.dir().to_owned();
    let clearing = files::aside(move || {
        let nothing = dir.join(FOLDER).join(".nothing");
        snapshot::FOLDERS
            .iter()
            .try_for_each(|(name, how)| files::replace_tree(&nothing, &dir.join(name), *how))?;
        files::replace_tree(&nothing, &dir.join("logs"), Take::Copy)
    });
    clearing.await.map_err(failed("clear the folders"))
}

/// Refuses calls, and ends what is under way.
async fn close(parts: &Arc<Parts>) -> Opening<'_> {
    let opening = Opening(parts);
    parts.world.gate.shut(GRACE).await;
    if !parts.world.tasks.end_era(GRACE).await {
        tracing::warn!("some work under way does not end");
    }
    opening
}

/// Lets calls in again, however this ends.
struct Opening<'a>(&'a Parts);

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        self.0.world.gate.open();
    }
}
