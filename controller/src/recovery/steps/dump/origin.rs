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
use crate::recovery::drive::{Pace, look};
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
                let asked = || async {
                    let found = platform.download_backup(addon, backup).await;
                    found.map_err(StepError::provider("asking for a backup's archive"))?.ok_or_else(gone)
                };
                let download = match look(ctx, Pace::PROVIDER, asked).await {
                    Err(StepError::Refused { .. }) => return Err(Unfit::Gone),
                    found => found.map_err(Unfit::of)?,
                };
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
    let vault = &archiver.vault;
    let asked = || async {
        match vault.s3.read(&vault.bucket, &key, Want::default()).await {
            Err(error) if error.is_not_found() => Err(gone_from_archive()),
            found => found.map_err(StepError::s3("reading a copied backup")),
        }
    };
    let found = match look(ctx, Pace::PROVIDER, asked).await {
        Err(StepError::Refused { .. }) => return Err(Unfit::Gone),
        found => found.map_err(Unfit::of)?,
    };
    let opened = crypt::open(found.body, identity);
    Ok(Incoming { body: opened.map_err(BodyError::from).boxed(), length: Some(copy.clear.size) })
}

/// That the platform does not have it, which is believed once it has been said for a while.
fn gone() -> StepError {
    StepError::refused("the platform lists the backup and does not have it", "nothing: an older one is tried")
}

fn gone_from_archive() -> StepError {
    StepError::refused("the archive does not have the copy that it lists", "nothing: an older one is tried")
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::http::{StatusCode, Uri};
    use axum::response::IntoResponse as _;
    use serde_json::json;

    use super::*;
    use crate::providers::http::call::tests::serve;
    use crate::recovery::step::Step;
    use crate::recovery::steps::bench::{Bench, vendors};

    /// A store whose first answers are these, and then the backup.
    async fn blobs(odd: &'static [u16]) -> (String, tokio::task::JoinSet<()>) {
        let asked = Arc::new(AtomicUsize::new(0));
        serve(axum::Router::new().fallback(async move |_: Uri| {
            let before = asked.fetch_add(1, Ordering::Relaxed);
            match odd.get(before) {
                Some(status) => StatusCode::from_u16(*status).expect("a status").into_response(),
                None => "the backup".into_response(),
            }
        }))
        .await
    }

    async fn opened(odd_links: &'static [u16], odd_blobs: &'static [u16]) -> Result<Incoming, Unfit> {
        let (blob, _blobs) = blobs(odd_blobs).await;
        let platform = vendors(move |what, before| match odd_links.get(before) {
            _ if !what.ends_with("/archive") => Err(404),
            Some(status) => Err(*status),
            None => Ok(json!({ "download_url": blob })),
        });
        let bench = Bench::new(Step::ChooseBackup, platform).await;
        let at = AddonRef { app: "apilos".to_owned(), addon: "ad-1".to_owned() };
        let opened = Origin::Platform(at).open(&bench.ctx, "b-1").await;
        bench.end().await;
        opened
    }

    #[tokio::test]
    async fn one_word_that_a_listed_backup_is_not_there_is_not_believed() {
        assert!(opened(&[404, 403], &[404]).await.is_ok());
    }

    #[tokio::test]
    async fn a_store_that_does_not_take_the_link_is_a_fault_of_the_line() {
        let unfit = opened(&[], &[400]).await.err();
        assert!(matches!(unfit, Some(Unfit::Line(_))), "{unfit:?}");
    }
}
