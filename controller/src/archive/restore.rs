//! Bringing objects back: what is right already is skipped, what is copied is hashed on the way, and the end is compared with the
//! manifest.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use futures::{TryFutureExt as _, TryStreamExt as _};
use serde::Serialize;

use super::cost::Cost;
use super::error::{ArchiveError, Result};
use super::folder::{Folder, Purpose};
use super::format::Entry;
use super::gate::Gate;
use super::select::Which;
use super::vault::{PART, SENDS};
use super::verify::again;
use super::{Archiver, Place};
use crate::providers::s3::ObjectHead;
use crate::runtime::chain::Chain;
use crate::runtime::class::{Class, Classified as _};
use crate::runtime::tasks::aside;

mod compare;
mod dress;
mod lost;
mod out;
mod tally;
mod thaw;

use lost::is_cut;
use tally::Tally;
use thaw::{Thaws, is_frozen};

/// How often one object is begun again.
const ATTEMPTS: u32 = 6;
/// So many refusals before anything was taken are not about single objects.
const ROW: u64 = 8;
/// So many are not, whatever was taken.
const MOST_REFUSED: u64 = 100;

/// What is to come back, and where.
#[derive(Clone)]
pub struct RestoreOrder {
    /// Of which run.
    pub which: Which,
    /// Only keys that begin so.
    pub prefix: Option<String>,
    /// Only this key.
    pub key: Option<String>,
    /// The bucket.
    pub to: Place,
    /// What is put before each key there.
    pub to_prefix: String,
    /// Both sides are at one endpoint, and the key pair of the target may read the archive: let the store copy.
    pub server_side: bool,
    /// For how many days thawed contents stay readable.
    pub thaw_days: i32,
    /// Nobody else restores into the bucket: what was begun there can be gone on with. Found out when it is begun.
    pub is_alone: bool,
    /// Told how far it is.
    pub progress: Option<Progress>,
}

/// What is being done with a run's objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Those in cold storage are made readable: minutes to a day.
    Thawing,
    /// They are brought back.
    Copying,
    /// Bytes or names pass: a sign of life, by which nothing is done yet. It has no numbers.
    Passing,
}

/// Is told how many of how many are done.
pub type Progress = Arc<dyn Fn(Stage, u64, u64) + Send + Sync>;

impl std::fmt::Debug for RestoreOrder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RestoreOrder")
            .field("which", &self.which)
            .field("to", &self.to)
            .finish_non_exhaustive()
    }
}

/// What came back.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Restored {
    /// Of which run.
    pub run: String,
    /// Objects that the manifest names, of those that were asked for.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Of these, those that were copied now.
    pub copied: u64,
    /// Bytes that were copied now.
    pub copied_bytes: u64,
    /// Those that were right already.
    pub skipped: u64,
    /// Those that did not come back, since the archive has lost their content or holds it as other bytes.
    pub damaged: u64,
    /// Those that the target does not take, by their keys or what travels with them; the archive has them.
    pub refused: u64,
    /// Those that the archive has, and did not send to their ends: another restore may bring them.
    pub cut: u64,
    /// What differs from the manifest at the end; the first hundred. None: all is as it was.
    pub differences: Vec<String>,
    /// What could be neither put back nor compared, and why.
    pub notes: Vec<String>,
    /// Requests by side and class.
    pub cost: BTreeMap<String, u64>,
}

impl RestoreOrder {
    fn tell(&self, stage: Stage, done: u64, total: u64) {
        if let Some(told) = &self.progress {
            told(stage, done, total);
        }
    }

    /// Something passes.
    fn passes(&self) {
        self.tell(Stage::Passing, 0, 0);
    }

    fn wants(&self, key: &str) -> bool {
        self.prefix.as_deref().is_none_or(|prefix| key.starts_with(prefix))
            && self.key.as_deref().is_none_or(|only| key == only)
    }
}

impl Archiver {
    /// Brings objects back. Safe to repeat: it goes on where it was. An object whose content is damaged is a difference, and keeps no
    /// other from coming back.
    pub async fn restore(&self, order: &RestoreOrder) -> Result<Restored> {
        let cost = Cost::default();
        let turn = self.store.restore_turn(&order.to.name()).await?;
        let order = RestoreOrder { to: cost.of_target(&order.to), is_alone: turn.is_some(), ..order.clone() };
        let restored = cost.of(self).restore_counted(&order).await?;
        Ok(Restored { cost: cost.counts(), ..restored })
    }

    async fn restore_counted(&self, order: &RestoreOrder) -> Result<Restored> {
        let run = self.which(&order.which).await?;
        let folder = Folder::below(&self.work, Purpose::Restore)?;
        let manifest = folder.path().join("manifest");
        let tally = Arc::new(Tally { thaws: Thaws::of(&manifest), ..Tally::default() });
        let mut result = self.restore_run(&run, &manifest, order, Arc::clone(&tally)).await;
        if let Err(error) = &result
            && error.is_disordered()
        {
            // From now on the target's list is sorted before it is read; what is right by now is skipped.
            tracing::warn!(plan = self.plan, %error, "the target lists in an order of its own: begun again");
            result = self.restore_run(&run, &manifest, order, Arc::new(tally.again(&manifest))).await;
        }
        result
    }

    async fn restore_run(
        &self,
        run: &str,
        manifest: &std::path::Path,
        order: &RestoreOrder,
        tally: Arc<Tally>,
    ) -> Result<Restored> {
        let (record, _) = self.record_of(run).await?;
        self.vault.fetch_manifest(&record, manifest).await?;
        if self.vault.is_cold() {
            self.thaw_all(&tally.thaws, order).await?;
        }
        let gate = Gate::new(self.concurrency, vec![self.vault.s3.pressure(), order.to.s3.pressure()]);
        let gate = &gate;
        let all = order.prefix.is_none() && order.key.is_none();
        let total = if all {
            record.manifest.objects
        } else {
            Self::wanted(manifest, order).try_fold(0, |count, _| std::future::ready(Ok(count + 1))).await?
        };
        let shared = (Arc::new(self.clone()), Arc::new(order.clone()), Arc::clone(&tally));
        let shared = &shared;
        let start = order.start();
        // What is on a later page of a list in another order would be taken for missing, and put again.
        let mut pages = std::pin::pin!(order.to.s3.list_pages_in_order(&order.to.bucket, &start));
        let listing = ArchiveError::outside("listing the target");
        while pages.try_next().await.map_err(&listing)?.is_some() {
            order.passes();
        }
        Self::beside(manifest, order, &start)
            .try_for_each_concurrent(self.concurrency, |(entry, there)| async move {
                let pass = gate.enter().await.ok_or(ArchiveError::Cancelled)?;
                let (archiver, order, tally) = shared.clone();
                let (key, counted) = (entry.key.clone(), Arc::clone(&tally));
                let done = aside(async move { archiver.bring_back(&entry, there, &order, &tally).await });
                let done = done.await;
                gate.leave(pass);
                if done.map_err(|error| error.of(&key))? {
                    shared.1.tell(Stage::Copying, counted.right.fetch_add(1, Ordering::Relaxed) + 1, total);
                }
                Ok(())
            })
            .await?;
        // Nothing of it may be read: that is about the key pair, however few they are.
        if tally.right.load(Ordering::Relaxed) == 0
            && let Some(denied) = tally.denial.lock().unwrap_or_else(PoisonError::into_inner).take()
        {
            return Err(denied);
        }
        self.is_not_whole(run, &tally.lost).await?;
        if order.is_alone {
            self.end_uploads_out(order).await?;
        }
        let compared = self.compared(manifest, order, &tally.lost).await?;
        let mut differences = compared.differences;
        differences.extend(self.closed(manifest, order, &tally.acls).await?);
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Ok(Restored {
            run: run.to_owned(),
            objects: count(&tally.objects),
            bytes: count(&tally.bytes),
            // What nobody has hashed may be copied a second time, where it was begun again.
            copied: count(&tally.copied).min(count(&tally.objects)),
            copied_bytes: count(&tally.copied_bytes),
            skipped: count(&tally.objects)
                .saturating_sub(count(&tally.copied))
                .saturating_sub(tally.lost.all()),
            damaged: tally.lost.count(),
            refused: tally.lost.refused(),
            cut: tally.lost.cuts(),
            differences,
            notes: tally.notes().into_iter().chain(compared.others).collect(),
            cost: BTreeMap::new(),
        })
    }

    /// The entries that were asked for, in order.
    fn wanted<'a>(
        manifest: &std::path::Path,
        order: &'a RestoreOrder,
    ) -> impl futures::Stream<Item = Result<Entry>> + Send + use<'a> {
        let batches =
            futures::stream::unfold(super::manifest::lines(manifest.to_owned()), |mut lines| async {
                Some((lines.recv().await?, lines))
            });
        let entries =
            batches.map_ok(|batch| futures::stream::iter(batch.into_iter().map(|line| Ok(line.entry))));
        entries.try_flatten().try_filter(|entry| std::future::ready(order.wants(&entry.key)))
    }

    async fn look_inside(&self, key: &str) -> Result<Option<ObjectHead>> {
        let inside = ArchiveError::inside("looking at a content");
        // Hours of thawing are not lost to a store that is away for a moment.
        again(SENDS, || self.vault.s3.head(&self.vault.bucket, key).map_err(&inside)).await
    }

    /// The entry with its digest, where what the store copied was hashed since: then what comes from there can be proven.
    async fn hashed_since(&self, entry: &Entry) -> Result<Option<Entry>> {
        let Some(name) = &entry.pending else { return Ok(None) };
        let sha256 = self.store.archive_hashed_as(&self.plan, name).await?;
        Ok(sha256.map(|sha256| Entry { sha256: hex::encode(sha256), ..entry.clone() }))
    }

    /// Whether the object is back: not if the archive does not hold its content any more.
    async fn bring_back(
        &self,
        entry: &Entry,
        there: bool,
        order: &RestoreOrder,
        tally: &Tally,
    ) -> Result<bool> {
        let hashed = self.hashed_since(entry).await?;
        let entry = &hashed.clone().unwrap_or_else(|| entry.clone());
        tally.objects.fetch_add(1, Ordering::Relaxed);
        tally.bytes.fetch_add(entry.size, Ordering::Relaxed);
        let key = format!("{}{}", order.to_prefix, entry.key);
        let Err(mut error) = self.bring(entry, &key, there, (order, tally)).await else { return Ok(true) };
        // Where nothing was taken, or so much is refused, it is not about this object.
        let taken = tally.right.load(Ordering::Relaxed);
        let patient = tally.lost.refused() + tally.lost.cuts() < if taken == 0 { ROW } else { MOST_REFUSED };
        if patient && self.is_cut_alone(entry, &error).await {
            // The archive's store answers, and may have been away for a moment.
            match self.bring(entry, &key, there, (order, tally)).await {
                Ok(()) => return Ok(true),
                Err(still) if is_cut(&still) => {
                    tracing::warn!(key, error = %Chain(&still), "the archive does not send an object to its end");
                    let told = format!("the archive does not send it to its end: {}", Chain(&still));
                    tally.lost.cut(&key, told);
                    if still.is_denied() {
                        tally.denial.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(still);
                    }
                    return Ok(false);
                }
                Err(other) => error = other,
            }
        }
        if let Some(how) = self.lost(entry, &error).await? {
            // It lies under its digest too.
            let by_digest = hashed.map(|entry| Entry { pending: None, ..entry });
            if let Some(entry) = by_digest
                && self.bring(&entry, &key, there, (order, tally)).await.is_ok()
            {
                return Ok(true);
            }
            tally.lost.add(&key, how);
            return Ok(false);
        }
        let alone = patient
            && (Self::is_refused_alone(&error, taken > 0)
                || (taken > 0 && self.is_stumbled_over(&error, order).await));
        if !alone {
            return Err(error);
        }
        tracing::warn!(key, error = %Chain(&error), "the target does not take an object");
        tally.lost.refuse(&key, format!("the target does not take it: {}", Chain(&error)));
        Ok(false)
    }

    async fn bring(
        &self,
        entry: &Entry,
        key: &str,
        there: bool,
        (order, tally): (&RestoreOrder, &Tally),
    ) -> Result<()> {
        if there && again(SENDS, || self.is_right(entry, key, order, &tally.tags)).await? {
            return again(SENDS, || self.open_up(entry, key, (order, &tally.acls), false)).await;
        }
        if tally.thaws.are_asked() {
            self.thawed(entry, &tally.thaws, order).await?;
        }
        let mut pause = Duration::from_millis(200);
        for attempt in 1.. {
            match self.copy_out(entry, key, order).await {
                // A rule of the bucket may have moved it there, whatever the plan says; or its time to be read is over.
                Err(error) if attempt < ATTEMPTS && is_frozen(&error) => {
                    self.thaw_all(&tally.thaws, order).await?;
                    self.thawed(entry, &tally.thaws, order).await?;
                }
                // Each part was asked for several times by now, where it is large: if the store tells of it all the same, that is that.
                Err(error) if entry.size > PART && self.is_cut_alone(entry, &error).await => {
                    return Err(error);
                }
                Err(error)
                    if attempt < ATTEMPTS
                        && matches!(error.class(), Class::Transient | Class::Throttled(_)) =>
                {
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                    // An answer that was lost may have been a yes: a second version would be kept and paid for ever.
                    if error.outcome_unknown() && self.is_written(entry, key, order).await? {
                        break;
                    }
                }
                result => {
                    result?;
                    break;
                }
            }
        }
        if !entry.tags.is_empty() {
            again(SENDS, || tally.tags.put(&order.to, key, &entry.tags)).await?;
        }
        again(SENDS, || self.open_up(entry, key, (order, &tally.acls), true)).await?;
        self.see_dress(entry, key, (order, tally)).await;
        tally.copied.fetch_add(1, Ordering::Relaxed);
        tally.copied_bytes.fetch_add(entry.size, Ordering::Relaxed);
        Ok(())
    }
}
