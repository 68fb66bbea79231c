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
use crate::store::{ListedBackup, Verdict};

/// What became of the platform's backups.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct Copies {
    /// Copied now, newest first.
    pub copied: Vec<DumpRecord>,
    /// Were there already.
    pub kept: usize,
    /// Not worth a copy, each with its reason.
    pub refused: Vec<String>,
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
            if let Some(known) = refused_before(&verdicts, backup) {
                copies.refused.push(known);
                continue;
            }
            match self.copy(archiver, &recipients, &found, backup).await? {
                Ok(record) => copies.copied.push(record),
                Err(why) => copies.refused.push(why),
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

    /// One backup; `Err` inside says what is wrong with it.
    async fn copy(
        &self,
        archiver: &Archiver,
        recipients: &Recipients,
        source: &Source,
        backup: &ListedBackup,
    ) -> Result<Result<DumpRecord, String>, CaptureError> {
        let name = backup.name.clone().unwrap_or_else(|| backup.backup.clone());
        let folder = self.folder()?;
        let doing = || format!("downloading backup {name}");
        let download = source.download(&backup.backup).await;
        let download = download.map_err(|source| CaptureError::Platform { doing: doing(), source })?;
        let Some(download) = download else { return Ok(Err(format!("{name} is listed and cannot be had"))) };
        let seal = recipients.seal(&folder.path().join("sealed"));
        let expect = Expect {
            download_bytes: download.length,
            max_dump_bytes: self.tools.disk_budget(folder.path())?,
        };
        let body = seal.tee(download.body.boxed());
        let clear = match read(body, expect, &folder.path().join("dump")).await {
            Ok(clear) => clear,
            Err(refusal) if refusal.blames_backup() => {
                self.tools.metrics.backup_refused(refusal.reason());
                return Ok(Err(format!("{name} ({}): {}", refusal.reason(), Chain(&refusal))));
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

/// What is on record against a backup: it is not downloaded again each hour.
fn refused_before(verdicts: &[Verdict], backup: &ListedBackup) -> Option<String> {
    let known = verdicts.iter().find(|known| known.kind == "database" && known.backup == backup.backup)?;
    let reason = known.refused.as_ref()?;
    let name = backup.name.as_deref().unwrap_or(&backup.backup);
    Some(format!("{name} ({reason}): {}", known.message.as_deref().unwrap_or_default()))
}
