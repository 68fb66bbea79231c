//! New database backups of the platform, fetched, read to their last block, encrypted in passing, and kept in the archive.

use std::path::Path;

use futures::StreamExt as _;

use super::{Capture, CaptureError};
use crate::archive::Archiver;
use crate::archive::crypt::Recipients;
use crate::archive::dumps::{Clear, DumpRecord};
use crate::archive::format::FORMAT;
use crate::backup::archive::{Expect, Received, receive};
use crate::backup::contents::{Counts, read_all};
use crate::backup::toc::{Toc, read_toc};
use crate::backup::tools::ToolsError;
use crate::backup::{PgTools, Refusal};
use crate::proof::Source;
use crate::runtime::chain::Chain;
use crate::store::{ListedBackup, Rung, Verdict};

/// Who notes refusals where no proof does.
const NOTED_BY: &str = "archive dumps";

/// What became of the platform's backups.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct Copies {
    /// Copied now, newest first.
    pub copied: Vec<DumpRecord>,
    /// Were there already.
    pub kept: usize,
    /// Not worth a copy, each with its reason.
    pub refused: Vec<String>,
    /// Could not be copied now, each with why; the next time may do.
    pub failed: Vec<String>,
}

impl Capture<'_> {
    /// Copies what the platform lists and the archive does not have: of its newest backups as many as the plan keeps as such. Each copy
    /// is complete before the next is begun. Safe to repeat.
    pub async fn dumps(&self, archiver: &Archiver) -> Result<Copies, CaptureError> {
        let recipients = Recipients::parse(&archiver.spec.recipients)?;
        let source = &self.spec.source;
        let platform = self.tools.platform(&source.region)?;
        let found = Source::find(platform, &source.app, &source.addon).await?;
        let mut listed = found.list().await?;
        listed.sort_by_key(|backup| std::cmp::Reverse(backup.taken_at));
        listed.truncate(usize::try_from(archiver.spec.dumps.retention.last).unwrap_or(usize::MAX));
        archiver.vault.must_lock().await?;
        let there = archiver.dumps().await?;
        let verdicts = self.tools.store.verdicts(self.plan).await?;
        let mut copies = Copies::default();
        for backup in &listed {
            if there.iter().any(|copy| copy.backup == backup.backup) {
                copies.kept += 1;
                continue;
            }
            if let Some(known) = refused_before(&verdicts, backup, self.spec.proof.enabled) {
                copies.refused.push(known);
                continue;
            }
            match self.copy(archiver, &recipients, &found, backup).await {
                Ok(Ok(record)) => {
                    self.tools.store.forget_note(self.plan, &backup.backup, NOTED_BY).await?;
                    copies.copied.push(record);
                }
                Ok(Err(Unfit { reason, why })) => {
                    copies.refused.push(format!("{} ({reason}): {why}", label(backup)));
                    self.remember(&verdicts, backup, reason, why).await?;
                }
                // One that does not come keeps none of the older ones out.
                Err(error @ (CaptureError::Platform { .. } | CaptureError::Absent(_))) => {
                    tracing::warn!(plan = self.plan, backup = label(backup), error = %Chain(&error), "a backup is not copied now");
                    copies.failed.push(format!("{}: {}", label(backup), Chain(&error)));
                }
                Err(error) => return Err(error),
            }
            if self.stop.is_cancelled() {
                break;
            }
        }
        Ok(copies)
    }

    /// Has the platform make one more backup now, as before work that is risky; then copies as always.
    pub async fn fresh_dump(&self, archiver: &Archiver) -> Result<Copies, CaptureError> {
        let source = &self.spec.source;
        let platform = self.tools.platform(&source.region)?;
        let found = Source::find(platform, &source.app, &source.addon).await?;
        found.make(&self.tools.clock, self.stop).await?;
        self.dumps(archiver).await
    }

    /// Notes that a backup is refused, where no proof of backups does so: it would be downloaded each hour for as long as it is listed.
    /// What a proof has learnt of it is not written over.
    async fn remember(
        &self,
        verdicts: &[Verdict],
        backup: &ListedBackup,
        reason: &str,
        why: String,
    ) -> Result<(), CaptureError> {
        let known = verdicts.iter().find(|known| known.kind == "database" && known.backup == backup.backup);
        let is_ours = known.is_none_or(|known| known.checked_by.as_deref() == Some(NOTED_BY));
        if self.spec.proof.enabled || !is_ours {
            return Ok(());
        }
        let verdict = Verdict {
            kind: "database".to_owned(),
            backup: backup.backup.clone(),
            name: backup.name.clone(),
            taken_at: backup.taken_at,
            rung: Rung::Listed,
            refused: Some(reason.to_owned()),
            message: Some(why),
            checked_at: self.tools.clock.now(),
            checked_by: Some(NOTED_BY.to_owned()),
            ..Verdict::default()
        };
        Ok(self.tools.store.record_verdict(self.plan, &verdict).await?)
    }

    /// One backup; `Err` inside says what is wrong with it.
    async fn copy(
        &self,
        archiver: &Archiver,
        recipients: &Recipients,
        source: &Source,
        backup: &ListedBackup,
    ) -> Result<Result<DumpRecord, Unfit>, CaptureError> {
        let name = label(backup).to_owned();
        let folder = self.folder()?;
        let doing = || format!("downloading backup {name}");
        let download = source.download(&backup.backup).await;
        let download = download.map_err(|source| CaptureError::Platform { doing: doing(), source })?;
        let Some(download) = download else {
            // It may be there in an hour: nothing is noted against it.
            return Err(CaptureError::Absent(format!("{name} is listed and cannot be had")));
        };
        let seal = recipients.seal(&folder.path().join("sealed"));
        let expect = Expect {
            download_bytes: download.length,
            max_dump_bytes: room(self.tools.disk_budget(folder.path())?, download.length),
        };
        let body = seal.tee(download.body.boxed());
        let clear = match read(body, expect, &folder.path().join("dump")).await {
            Ok(clear) => clear,
            Err(refusal) if refusal.blames_backup() => {
                self.tools.metrics.backup_refused(refusal.reason());
                return Ok(Err(Unfit { reason: refusal.reason(), why: Chain(&refusal).to_string() }));
            }
            Err(refusal) => return Err(CaptureError::Absent(format!("{}: {}", doing(), Chain(&refusal)))),
        };
        let sealed = seal.finish().await?;
        let record = DumpRecord {
            format: FORMAT.to_owned(),
            plan: self.plan.to_owned(),
            backup: backup.backup.clone(),
            name,
            taken_at: backup.taken_at.unwrap_or_default(),
            copied_at: self.tools.clock.now(),
            clear,
            key: archiver.keep(&sealed).await?,
            sha256: hex::encode(sealed.sha256),
            size: sealed.size,
            encryption: "age".to_owned(),
        };
        archiver.keep_dump(&record).await?;
        tracing::info!(
            plan = self.plan,
            backup = record.name,
            bytes = record.size,
            "backup copied into the archive"
        );
        Ok(Ok(record))
    }
}

/// Bytes that the dump itself may have: the sealed copy of the download grows beside it. Pure.
fn room(budget: u64, download: Option<u64>) -> u64 {
    download.map_or(budget / 2, |download| budget.saturating_sub(download))
}

/// Receives a backup and reads every block of it.
async fn read<S>(body: S, expect: Expect, file: &Path) -> Result<Clear, Refusal>
where
    S: futures::Stream<Item = Result<bytes::Bytes, crate::providers::http::ProviderError>>,
{
    let received: Received = receive(body, expect, file, |_| {}).await?;
    let newest = PgTools::installed().await.into_iter().next();
    let tools = newest.ok_or_else(|| tool(ToolsError::Absent))?;
    let toc: Toc = read_toc(&tools, file).await?;
    let counts: Counts = read_all(&tools, file, &toc, |_| {}).await?;
    Ok(Clear {
        size: received.download_bytes,
        sha256: received.download_sha256,
        dump_sha256: received.dump_sha256,
        server_version: toc.server_version,
        tables: counts.tables.len() as u64,
        rows: counts.rows(),
        large_objects: counts.large_objects,
    })
}

fn tool(error: impl std::error::Error + Send + Sync + 'static) -> Refusal {
    Refusal::Tool { tool: "pg_restore", source: std::io::Error::other(error) }
}

/// A backup that is not worth a copy.
#[derive(Debug)]
struct Unfit {
    /// The label of its refusal.
    reason: &'static str,
    /// What is wrong with it.
    why: String,
}

fn label(backup: &ListedBackup) -> &str {
    backup.name.as_deref().unwrap_or(&backup.backup)
}

/// What is on record against a backup: it is not downloaded again each hour. Where nobody proves backups, what was seen once is looked at
/// once more: it may have been the line. Pure.
fn refused_before(verdicts: &[Verdict], backup: &ListedBackup, is_proven: bool) -> Option<String> {
    let known = verdicts.iter().find(|known| known.kind == "database" && known.backup == backup.backup)?;
    let reason = known.refused.as_ref().filter(|_| is_proven || known.climbs > 1)?;
    Some(format!("{} ({reason}): {}", label(backup), known.message.as_deref().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backup() -> ListedBackup {
        ListedBackup {
            backup: "b".to_owned(),
            name: Some("night".to_owned()),
            taken_at: None,
            size_bytes: None,
        }
    }

    #[test]
    fn a_refused_backup_is_downloaded_once_more_and_not_each_hour() {
        let known = |climbs| {
            let (kind, refused) = ("database".to_owned(), Some("gzip-cut".to_owned()));
            [Verdict { kind, backup: "b".to_owned(), refused, climbs, ..Verdict::default() }]
        };
        assert_eq!(refused_before(&known(1), &backup(), false), None, "it may have been the line");
        assert!(
            refused_before(&known(2), &backup(), false)
                .is_some_and(|told| told.starts_with("night (gzip-cut)"))
        );
        assert!(refused_before(&known(1), &backup(), true).is_some(), "the proof looks again");
        assert_eq!(refused_before(&[], &backup(), false), None);
    }

    #[test]
    fn the_sealed_copy_has_its_share_of_the_disk() {
        assert_eq!(room(100, Some(30)), 70);
        assert_eq!(room(100, Some(130)), 0);
        assert_eq!(room(100, None), 50);
    }
}
