//! Where a backup is had from: the platform, or the copy that the archive keeps.

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};

use super::Unfit;
use crate::archive::crypt;
use crate::archive::dumps::DumpRecord;
use crate::backup::refusal::BodyError;
use crate::providers::s3::Want;
use crate::providers::scalingo::AddonRef;
use crate::recovery::outputs::ChosenBackup;
use crate::recovery::steps::{Ctx, Result, StepError};
use crate::store::SpanKind;

/// Where a backup is had from.
#[derive(Debug, Clone)]
pub(in crate::recovery::steps) enum Origin {
    /// The platform that made it.
    Platform(AddonRef),
    /// The archive's copy of it, encrypted.
    Archive(Box<DumpRecord>),
}

/// A backup on its way.
pub(super) struct Incoming {
    pub(super) body: BoxStream<'static, Result<Bytes, BodyError>>,
    pub(super) length: Option<u64>,
}

impl Origin {
    /// Where the chosen backup was had from.
    pub(super) async fn of(ctx: &Ctx, chosen: &ChosenBackup) -> Result<Self> {
        if !chosen.copied {
            let app = ctx.run.plan.source.app.clone();
            return Ok(Self::Platform(AddonRef { app, addon: chosen.addon.clone() }));
        }
        let found = copies(ctx).await?.into_iter().find(|copy| copy.backup == chosen.backup);
        found.map(|copy| Self::Archive(Box::new(copy))).ok_or_else(|| {
            StepError::refused(
                format!("the archive does not keep backup {} any more", chosen.backup),
                "file a new request: it chooses anew",
            )
        })
    }

    /// The addon's id, where it is the platform's.
    pub(in crate::recovery::steps) fn addon(&self) -> String {
        match self {
            Self::Platform(addon) => addon.addon.clone(),
            Self::Archive(_) => String::new(),
        }
    }

    /// The bytes as the platform served them.
    pub(super) async fn open(&self, ctx: &Ctx, backup: &str) -> Result<Incoming, Unfit> {
        match self {
            Self::Platform(addon) => {
                let platform = ctx.tools.source_platform(&ctx.run).map_err(Unfit::Error)?;
                ctx.doing(SpanKind::Data, format!("downloading backup {backup}"));
                let found = platform.download_backup(addon, backup).await;
                let failed = StepError::provider("asking for a backup's archive");
                let download = found.map_err(|error| Unfit::of(failed(error)))?.ok_or(Unfit::Gone)?;
                Ok(Incoming { body: download.body.map_err(BodyError::from).boxed(), length: download.length })
            }
            Self::Archive(copy) => {
                ctx.doing(SpanKind::Data, format!("fetching the archive's copy of backup {backup}"));
                read(ctx, copy).await
            }
        }
    }
}

async fn read(ctx: &Ctx, copy: &DumpRecord) -> Result<Incoming, Unfit> {
    let archiver = ctx.tools.archiver(&ctx.run.plan_name, &ctx.run.plan, &ctx.stop).map_err(Unfit::Error)?;
    let identity = archiver.spec.identity.as_ref().ok_or_else(|| Unfit::Error(no_identity()))?;
    let identity = ctx.tools.references.secret(identity.reference());
    let identity =
        identity.map_err(|error| Unfit::Error(StepError::reference("the archive's identity")(error)))?;
    let key = format!("{}{}", archiver.vault.prefix, copy.key);
    let found = match archiver.vault.s3.read(&archiver.vault.bucket, &key, Want::default()).await {
        Err(error) if error.is_not_found() => return Err(Unfit::Gone),
        found => found.map_err(|error| Unfit::of(StepError::s3("reading a copied backup")(error)))?,
    };
    let opened = crypt::open(found.body, identity);
    Ok(Incoming { body: opened.map_err(BodyError::from).boxed(), length: Some(copy.clear.size) })
}

fn no_identity() -> StepError {
    StepError::refused(
        "the archive's copies of the backups are encrypted, and the plan names no identity to open them",
        "name it at archive.identity (file:PATH or env:NAME), apply the plan, and resume the request",
    )
}

/// The copies that the plan's archive keeps; none if it has no archive or nothing that opens them.
pub(in crate::recovery::steps) async fn copies(ctx: &Ctx) -> Result<Vec<DumpRecord>> {
    let Some(archive) = &ctx.run.plan.archive else { return Ok(Vec::new()) };
    if archive.identity.is_none() {
        return Ok(Vec::new());
    }
    let archiver = ctx.tools.archiver(&ctx.run.plan_name, &ctx.run.plan, &ctx.stop)?;
    archiver.dumps().await.map_err(StepError::failed("listing the archive's copies of the backups"))
}
