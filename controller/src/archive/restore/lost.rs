//! Objects whose content the archive has lost, or holds as other bytes: they cost themselves and nothing else. All others come back, and
//! these are named.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::RestoreOrder;
use crate::archive::Archiver;
use crate::archive::error::{ArchiveError, Result};
use crate::archive::format::Entry;
use crate::providers::s3::S3Error;

/// So many are named.
const NAMED: usize = 100;

/// What cannot come back.
#[derive(Debug, Default)]
pub(super) struct Lost {
    count: AtomicU64,
    /// Objects that the target does not take; the archive has them.
    refused: AtomicU64,
    /// Objects whose content the archive's store does not send to its end.
    cuts: AtomicU64,
    /// The first of them: what is wrong with the content of each, by its key at the target.
    told: Mutex<BTreeMap<String, String>>,
    /// The same of those that the archive has all the same.
    held_back: Mutex<BTreeMap<String, String>>,
}

impl Lost {
    pub(super) fn add(&self, key: &str, how: String) {
        self.count.fetch_add(1, Ordering::Relaxed);
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() < NAMED {
            told.insert(key.to_owned(), how);
        }
    }

    /// The target refuses this object.
    pub(super) fn refuse(&self, key: &str, how: String) {
        self.refused.fetch_add(1, Ordering::Relaxed);
        self.hold_back(key, how);
    }

    /// The archive's store has it, and breaks off.
    pub(super) fn cut(&self, key: &str, how: String) {
        self.cuts.fetch_add(1, Ordering::Relaxed);
        self.hold_back(key, how);
    }

    /// How many broke off.
    pub(super) fn cuts(&self) -> u64 {
        self.cuts.load(Ordering::Relaxed)
    }

    /// How many do not come back, for whatever reason.
    pub(super) fn all(&self) -> u64 {
        self.count() + self.refused() + self.cuts()
    }

    fn hold_back(&self, key: &str, how: String) {
        let mut told = self.held_back.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() < NAMED {
            told.insert(key.to_owned(), how);
        }
    }

    /// How many the target refused.
    pub(super) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    pub(super) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Why the object under `key` is not there, if that is known.
    pub(super) fn of(&self, key: &str) -> Option<String> {
        let of = |told: &Mutex<BTreeMap<String, String>>| {
            told.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
        };
        let how = of(&self.told).or_else(|| of(&self.held_back))?;
        Some(format!("{key} does not come back: {how}"))
    }

    /// All that is told, in a sentence.
    pub(super) fn told(&self) -> String {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.values().cloned().collect::<Vec<_>>().join("; ")
    }
}

/// Whether the archive's store does not send a content, or not to its end.
pub(super) fn is_cut(error: &ArchiveError) -> bool {
    matches!(error, ArchiveError::Inside { source, .. } if source.is_cut() || source.is_broken() || is_refused(source))
}

/// Whether it is about what was asked for. What is cold is thawed.
fn is_refused(source: &S3Error) -> bool {
    source.is_refused() && !source.is_of_all() && !source.is_frozen() && !source.is_not_found()
}

impl Archiver {
    /// What is wrong with an object's content, if that is why it could not be brought back; then it is on record, and the next run puts it
    /// again where the source still has it.
    pub(super) async fn lost(&self, entry: &Entry, error: &ArchiveError) -> Result<Option<String>> {
        let content = entry.content_key(&self.vault.prefix);
        let how = match error {
            ArchiveError::Damaged { what, .. } if *what == content => error.to_string(),
            // The archive's store says so itself, however often it is asked.
            ArchiveError::Inside { source, .. } if source.is_mismatch() => {
                format!("{content} is damaged: {source}")
            }
            // Which side lacks something is not in every answer.
            ArchiveError::Inside { source, .. } | ArchiveError::Outside { source, .. }
                if source.is_not_found()
                    && source.code() != Some("NoSuchBucket")
                    && self.look_inside(&content).await?.is_none() =>
            {
                format!("{content} is missing")
            }
            _ => return Ok(None),
        };
        match (&entry.pending, hex::decode(&entry.sha256)) {
            (Some(name), _) => self.store.archive_pending_damaged(&self.plan, name).await?,
            (None, Ok(digest)) => self.store.archive_damaged(&self.plan, &[digest]).await?,
            (None, Err(_)) => {}
        }
        tracing::error!(plan = self.plan, key = entry.key, how, "an object cannot be brought back");
        Ok(Some(how))
    }

    /// Whether the target does not take this one object, whose key or headers it may not like, and not whatever it is asked for.
    /// `taken`: it took others.
    pub(super) fn is_refused_alone(error: &ArchiveError, taken: bool) -> bool {
        let alone = |source: &S3Error| {
            (source.is_refused() || source.is_unsupported()) && !source.is_of_all()
                // A proxy that tidies paths up spoils the signatures of some.
                || (taken && source.code() == Some("SignatureDoesNotMatch"))
        };
        matches!(error, ArchiveError::Outside { source, .. }
            if alone(source) || source.is_mismatch())
    }

    /// Whether the target fails over this one object, however often it is sent, and answers otherwise: a key that its server stumbles over.
    pub(super) async fn is_stumbled_over(&self, error: &ArchiveError, order: &RestoreOrder) -> bool {
        let fails =
            matches!(error, ArchiveError::Outside { source, .. } if source.is_broken() || source.is_cut());
        fails && matches!(order.to.s3.bucket_exists(&order.to.bucket).await, Ok(true))
    }

    /// Whether only this content does not come, where others did: it is refused, or the archive's store tells of it all the same.
    pub(super) async fn is_cut_alone(&self, entry: &Entry, error: &ArchiveError) -> bool {
        if matches!(error, ArchiveError::Inside { source, .. } if is_refused(source)) {
            return true;
        }
        is_cut(error) && matches!(self.look_inside(&entry.content_key(&self.vault.prefix)).await, Ok(Some(_)))
    }

    /// The run does not pass for whole any more. What a verification found of it says more, and stays.
    pub(super) async fn is_not_whole(&self, run: &str, lost: &Lost) -> Result<()> {
        let rows = self.store.archives(&self.plan).await?;
        if lost.count() == 0 || rows.iter().any(|row| row.run == run && row.damaged.is_some()) {
            return Ok(());
        }
        Ok(self.store.archive_is_damaged(&self.plan, run, Some(&lost.told())).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_lost_is_counted_and_the_first_of_it_told() {
        let lost = Lost::default();
        for number in 0..2 * NAMED {
            lost.add(&format!("{number:03}"), format!("objects/{number} is missing"));
        }
        assert_eq!(lost.count(), 200);
        assert_eq!(lost.of("000").as_deref(), Some("000 does not come back: objects/0 is missing"));
        assert_eq!(lost.of("150"), None);
        lost.refuse("a//b", "the target does not take it".to_owned());
        assert_eq!(lost.of("a//b").as_deref(), Some("a//b does not come back: the target does not take it"));
        assert!(!lost.told().contains("take it"), "the archive has it");
        assert!(lost.told().starts_with("objects/0 is missing; objects/1 is missing"), "{}", lost.told());
    }

    #[test]
    fn one_content_that_does_not_come_is_told_from_an_archive_that_is_shut() {
        let inside = |status: u16, code: &str| ArchiveError::Inside {
            doing: "reading a content",
            source: S3Error::Status {
                call: "objects.get",
                status,
                code: code.to_owned(),
                message: String::new(),
                effect: crate::providers::http::Effect::Repeatable,
            },
        };
        for (status, code) in [(500, "InternalError"), (403, "AccessDenied"), (400, "InvalidRequest")] {
            assert!(is_cut(&inside(status, code)), "{status}");
        }
        for (status, code) in
            [(403, "InvalidAccessKeyId"), (403, "InvalidObjectState"), (404, "NoSuchKey"), (503, "SlowDown")]
        {
            assert!(!is_cut(&inside(status, code)), "{code}");
        }
    }
}
