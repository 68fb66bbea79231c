//! Contents in cold storage: all that is wanted is asked for at once, since thawing takes as long for one as for all.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::TryStreamExt as _;
use tokio::sync::OnceCell;

use super::{RestoreOrder, Stage};
use crate::archive::Archiver;
use crate::archive::error::{ArchiveError, Result};
use crate::archive::format::Entry;
use crate::providers::s3::Thaw;

/// How often a thawing object is looked at, in nominal time.
const LOOK: Duration = Duration::from_secs(30);

/// What a restore knows of cold storage.
#[derive(Debug, Default)]
pub(super) struct Thaws {
    manifest: PathBuf,
    /// Everything was asked for.
    asked: OnceCell<()>,
    /// Contents that were in cold storage then, thawed or not.
    frozen: AtomicU64,
    /// Of these, those that were seen to be readable since.
    readable: AtomicU64,
}

impl Thaws {
    pub(super) fn of(manifest: &Path) -> Self {
        Self { manifest: manifest.to_owned(), ..Self::default() }
    }

    pub(super) fn are_asked(&self) -> bool {
        self.asked.initialized()
    }
}

pub(super) fn is_frozen(error: &ArchiveError) -> bool {
    match error {
        ArchiveError::Inside { source, .. } | ArchiveError::Outside { source, .. } => source.is_frozen(),
        _ => false,
    }
}

impl Archiver {
    /// Asks for everything that was ordered and is in cold storage, before anything is waited for. Once.
    pub(super) async fn thaw_all(&self, thaws: &Thaws, order: &RestoreOrder) -> Result<()> {
        thaws.asked.get_or_try_init(|| self.ask_all(thaws, order)).await.map(drop)
    }

    async fn ask_all(&self, thaws: &Thaws, order: &RestoreOrder) -> Result<()> {
        let asked = Self::wanted(&thaws.manifest, order).try_for_each_concurrent(
            self.concurrency,
            |entry| async move {
                let key = entry.content_key(&self.vault.prefix);
                let state = self.look_inside(&key).await?.map(|head| head.thaw);
                if state == Some(Thaw::Frozen) {
                    self.ask(&key, order).await?;
                }
                let is_cold = matches!(state, Some(Thaw::Frozen | Thaw::Thawing | Thaw::Thawed));
                thaws.frozen.fetch_add(u64::from(is_cold), Ordering::Relaxed);
                Ok(())
            },
        );
        asked.await
    }

    async fn ask(&self, key: &str, order: &RestoreOrder) -> Result<()> {
        let asked = self.vault.s3.thaw(&self.vault.bucket, key, order.thaw_days).await;
        asked.map_err(ArchiveError::inside("thawing a content"))
    }

    /// Waits until a content can be read. Bounded by the step's or the person's patience: it can take a day.
    pub(super) async fn thawed(&self, entry: &Entry, thaws: &Thaws, order: &RestoreOrder) -> Result<()> {
        let key = entry.content_key(&self.vault.prefix);
        let mut waited = false;
        while let Some(head) = self.look_inside(&key).await? {
            let frozen = thaws.frozen.load(Ordering::Relaxed);
            match head.thaw {
                Thaw::Readable | Thaw::Thawed => {
                    // Most are thawed when they are first looked at here: they were thawing while others were waited for.
                    let more = u64::from(head.thaw == Thaw::Thawed);
                    let readable = thaws.readable.fetch_add(more, Ordering::Relaxed) + more;
                    // That it is over is said too, and not of each that was never waited for.
                    if waited || (more > 0 && readable == frozen) {
                        order.tell(Stage::Thawing, readable.min(frozen), frozen);
                    }
                    return Ok(());
                }
                // It was readable for as long as was asked for, and is not any more.
                Thaw::Frozen => self.ask(&key, order).await?,
                Thaw::Thawing => {}
            }
            if !waited {
                order.tell(Stage::Thawing, thaws.readable.load(Ordering::Relaxed), frozen);
            }
            waited = true;
            tokio::select! {
                () = self.clock.sleep(LOOK) => {}
                () = self.cancel.cancelled() => return Err(ArchiveError::Cancelled),
            }
        }
        Err(ArchiveError::Damaged { what: key, how: "the archive does not hold it".to_owned() })
    }
}
