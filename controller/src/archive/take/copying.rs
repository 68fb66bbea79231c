//! What a run does at once: it lists, decides what changed, copies that, and keeps notes of it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::holdings::Holdings;
use super::{BATCH, Meter};
use crate::archive::copy::{Copier, Kept, Outcome};
use crate::archive::error::{ArchiveError, Result};
use crate::archive::gate::Gate;
use crate::archive::known::Known;
use crate::archive::walk::{Before, Changed, Sight, Spool, Walked, walk};
use crate::archive::{Archiver, manifest};
use crate::providers::s3::ObjectSummary;
use crate::runtime::tasks::{Aside, aside};
use crate::store::{ArchiveRow, Copied};

/// How long they are gathered at most.
const GATHER: Duration = Duration::from_millis(500);
/// How often the row shows the progress.
const BEAT: Duration = Duration::from_secs(1);
/// Pages that are read ahead.
const AHEAD: usize = 4;

/// The source's list, read ahead on whatever core is free. A failure is the last thing that comes.
#[derive(Debug)]
pub(super) struct Listing {
    pages: mpsc::Receiver<Result<Vec<ObjectSummary>>>,
    // It ends with whoever reads.
    reader: Aside<()>,
}

impl Archiver {
    /// Begins to list the source.
    pub(super) fn listing(&self) -> Listing {
        let (sender, pages) = mpsc::channel(AHEAD);
        let source = self.source.clone();
        let reader = aside(async move {
            let listing = source.s3.list_pages_in_order(&source.bucket, "");
            let mut listing = std::pin::pin!(listing.map_err(ArchiveError::outside("listing the bucket")));
            while let Some(page) = listing.next().await {
                if sender.send(page).await.is_err() {
                    return;
                }
            }
        });
        Listing { pages, reader }
    }

    /// Decides and copies what is listed, all at once.
    pub(super) async fn copy_changes(
        &self,
        row: &ArchiveRow,
        (before, listing): (Option<PathBuf>, Listing),
        spool: &Path,
        meter: &Meter,
    ) -> Result<Walked> {
        let (changed, due) = mpsc::channel(1_024);
        let (done, copied) = mpsc::channel(BATCH);
        let before = Before::new(before.map(manifest::lines)).read_again(self.spec.refresh_metadata);
        let lines = self.store.archive_lines(row.id);
        let seen = |sight| match sight {
            Sight::Listed(count) => drop(meter.listed.fetch_add(count, Ordering::Relaxed)),
            Sight::Due(bytes) => {
                meter.due.fetch_add(1, Ordering::Relaxed);
                meter.due_bytes.fetch_add(bytes, Ordering::Relaxed);
            }
        };
        let known = Arc::new(Known::new(self));
        let holdings = Holdings::of(self, Arc::clone(&known));
        let Listing { pages, reader } = listing;
        let walked = walk(pages, before, lines, Spool::create(spool)?, changed, &seen, &holdings);
        let copier = Copier::new(
            self.clone(),
            row.run.clone(),
            (Arc::clone(&meter.acls), Arc::clone(&meter.tags)),
            known,
        );
        let (walked, (), ()) = futures::try_join!(
            async {
                let walked = walked.await?;
                // A reader that broke is no end of the list.
                reader.await;
                meter.decided.cancel();
                Ok(walked)
            },
            Box::pin(self.copy_all(copier, due, done, meter)),
            self.keep_notes(row.id, copied),
        )?;
        meter.complete.cancel();
        Ok(walked)
    }

    /// Copies as many at once as the stores bear.
    async fn copy_all(
        &self,
        copier: Copier,
        due: mpsc::Receiver<Changed>,
        done: mpsc::Sender<Copied>,
        meter: &Meter,
    ) -> Result<()> {
        let copier = Arc::new(copier);
        let gate = Gate::new(self.concurrency, vec![self.source.s3.pressure(), self.vault.s3.pressure()]);
        let due = futures::stream::unfold(due, |mut due| async move { Some((due.recv().await?, due)) });
        let (copier, gate, done) = (&copier, &gate, &done);
        due.map(Ok::<_, ArchiveError>)
            .try_for_each_concurrent(self.concurrency, |changed| async move {
                let pass = gate.enter().await.ok_or(ArchiveError::Cancelled)?;
                let (copying, listed, known) =
                    (Arc::clone(copier), changed.listed.clone(), changed.known.clone());
                let copied = aside(async move {
                    match known {
                        Some(known) => copying.refresh(*known).await,
                        None => copying.copy(&listed).await,
                    }
                });
                let copied = copied.await;
                gate.leave(pass);
                let copied = copied.map_err(|error| error.of(&changed.listed.key))?;
                let note = Self::note(copier, changed, copied, meter).await?;
                done.send(note).await.map_err(|_| ArchiveError::Cancelled)
            })
            .await?;
        copier.tells(meter);
        Ok(())
    }

    /// What is kept of a copy.
    async fn note(copier: &Copier, changed: Changed, outcome: Outcome, meter: &Meter) -> Result<Copied> {
        meter.copied.fetch_add(1, Ordering::Relaxed);
        let done = match outcome {
            Outcome::Copied(done) => *done,
            Outcome::Refreshed(entry) => {
                let other = changed.known.as_ref().is_some_and(|known| *known != entry);
                meter.redressed.fetch_add(u64::from(other), Ordering::Relaxed);
                return Ok(absent(changed, serde_json::to_value(&entry).ok()));
            }
            Outcome::Vanished => {
                meter.is_not_copied(&changed);
                return Ok(absent(changed, None));
            }
            Outcome::Unreadable(why) => {
                meter.is_not_copied(&changed);
                return Ok(absent(changed, Some(why.into())));
            }
        };
        meter.bytes.fetch_add(done.entry.size, Ordering::Relaxed);
        meter.replaced.fetch_add(u64::from(done.replaced), Ordering::Relaxed);
        if done.is_odd {
            meter.odd.fetch_add(1, Ordering::Relaxed);
            meter.first_odd.get_or_init(|| done.entry.key.clone());
        }
        let same = changed.before.as_ref().is_some_and(|before| before.is_same_content(&done.entry));
        meter.same.fetch_add(u64::from(same), Ordering::Relaxed);
        let entry = serde_json::to_value(&done.entry).unwrap_or_default();
        let (stored, pending) = match done.kept {
            Kept::Hashed(stored) => (Some(stored), None),
            Kept::Pending(pending) => (None, Some(pending)),
        };
        let noise = stored.as_ref().is_some_and(|stored| stored.noise);
        if !same
            && noise
            && let Some(before) = &changed.before
            && copier.is_clear(&before.sha256).await?
        {
            meter.scrambled.fetch_add(1, Ordering::Relaxed);
        }
        Ok(Copied { key: changed.listed.key, etag: changed.listed.etag, entry: Some(entry), stored, pending })
    }

    /// Stores what was copied, many at a time: a run that is killed loses at most the last of them.
    async fn keep_notes(&self, archive: i64, mut copied: mpsc::Receiver<Copied>) -> Result<()> {
        let mut batch = Vec::with_capacity(BATCH);
        while copied.recv_many(&mut batch, BATCH).await > 0 {
            // Each transaction waits for the disk: it is to be worth it.
            let gathered = async {
                let mut room = BATCH.saturating_sub(batch.len());
                while room > 0 && copied.recv_many(&mut batch, room).await > 0 {
                    room = BATCH.saturating_sub(batch.len());
                }
            };
            tokio::time::timeout(GATHER, gathered).await.ok();
            self.store.archive_copied(&self.plan, archive, &batch).await?;
            batch.clear();
        }
        Ok(())
    }

    /// Shows the progress in the row until everything is copied.
    pub(super) async fn beat(&self, archive: i64, meter: &Meter) -> Result<()> {
        let began = Instant::now();
        while !meter.complete.is_cancelled() {
            self.store.archive_progress(archive, &meter.progress(began.elapsed())).await?;
            tokio::select! {
                () = tokio::time::sleep(BEAT) => {}
                () = meter.complete.cancelled() => {}
                () = self.cancel.cancelled() => return Err(ArchiveError::Cancelled),
            }
        }
        Ok(())
    }
}

/// The note of an object of which nothing was copied; if it should have been, with the reason in place of its line.
fn absent(changed: Changed, entry: Option<serde_json::Value>) -> Copied {
    Copied { key: changed.listed.key, etag: changed.listed.etag, entry, stored: None, pending: None }
}
