//! Deleting a bucket that a request made, with all that is in it.

use futures::TryStreamExt as _;

use reprise_crds::plan::TargetBucket;

use super::super::{Ctx, Result, StepError, bucket};
use super::{Undone, mark, not_ours};
use crate::archive::Place;
use crate::providers::s3::S3;
use crate::providers::s3::versions::VersionToken;
use crate::store::{LedgerRow, LedgerState, SpanKind};

pub(super) async fn undo(ctx: &Ctx, row: &LedgerRow) -> Result<Undone> {
    let store = store(ctx, row)?;
    let doing = || StepError::s3(format!("deleting bucket {}", row.name));
    if !store.bucket_exists(&row.name).await.map_err(doing())? {
        return Ok(Undone::Absent);
    }
    if !is_ours(ctx, row, &store).await? {
        return not_ours(ctx, row).await;
    }
    empty(ctx, row, &store).await?;
    store.delete_bucket(&row.name).await.map_err(doing())?;
    ctx.tools.store.uploads_are_gone(&sent_to(ctx, row)?).await?;
    Ok(Undone::Settled)
}

pub(super) async fn is_gone(ctx: &Ctx, row: &LedgerRow) -> Result<bool> {
    let exists = store(ctx, row)?.bucket_exists(&row.name).await;
    exists
        .map(|exists| !exists)
        .map_err(StepError::s3(format!("looking whether bucket {} is gone", row.name)))
}

fn store(ctx: &Ctx, row: &LedgerRow) -> Result<S3> {
    ctx.tools.target_store(target(ctx, row)?)
}

/// The bucket, as uploads to it are noted.
fn sent_to(ctx: &Ctx, row: &LedgerRow) -> Result<String> {
    let target = target(ctx, row)?;
    let endpoint = ctx.tools.setting(&target.endpoint, "the new bucket's endpoint")?;
    Ok(Place { s3: ctx.tools.target_store(target)?, endpoint, bucket: row.name.clone() }.name())
}

fn target<'a>(ctx: &'a Ctx, row: &LedgerRow) -> Result<&'a TargetBucket> {
    let Some(target) = ctx.run.plan.target.bucket.as_ref().filter(|target| target.name == row.name) else {
        // Its store and key pair are the plan's. To say nothing would leave it there, and call it deleted.
        return Err(StepError::refused(
            format!("bucket {} is this request's, and the plan does not name it any more", row.name),
            "name it under target.bucket again, apply the plan, and resume the request: what was deleted by hand meanwhile is passed over",
        ));
    };
    Ok(target)
}

/// By its tag; or, where we were stopped between creating and marking it, by having been absent before the intent and empty since. At a
/// store that has no room for tags nothing proves that a bucket with anything in it is the one that was made.
async fn is_ours(ctx: &Ctx, row: &LedgerRow, store: &S3) -> Result<bool> {
    let doing = || StepError::s3(format!("looking whose bucket {} is", row.name));
    let tags = store.bucket_tags(&row.name).await.map_err(doing())?;
    let has_room = tags.is_some();
    if let Some((_, value)) = tags.unwrap_or_default().iter().find(|(key, _)| key == bucket::TAG) {
        return Ok(*value == mark(ctx, row));
    }
    let may_be = (row.state == LedgerState::Intended || !has_room) && bucket::was_absent(row) == Some(true);
    Ok(may_be && store.is_empty(&row.name, "").await.map_err(doing())?)
}

/// Every version, and what of an upload was left half way: a bucket with anything in it cannot be deleted.
async fn empty(ctx: &Ctx, row: &LedgerRow, store: &S3) -> Result<()> {
    let doing = || StepError::s3(format!("emptying bucket {}", row.name));
    let uploads = match store.uploads(&row.name, "").await {
        // A store that cannot tell its uploads has to end them by itself.
        Err(error) if error.is_unsupported() => Vec::new(),
        uploads => uploads.map_err(doing())?,
    };
    for upload in uploads {
        store.abort_parts(&row.name, &upload.key, &upload.id).await.map_err(doing())?;
    }
    let (mut token, mut deleted) = (Some(VersionToken::default()), 0_u64);
    while let Some(at) = token {
        let (versions, next) = match store.versions_page(&row.name, "", at).await {
            // A store that knows no versions. A bucket that is not marked is empty by now, and where it is marked there are few such.
            Err(error) if error.is_unsupported() => return empty_of_objects(ctx, row, store).await,
            page => page.map_err(doing())?,
        };
        for version in versions {
            store.delete(&row.name, &version.key, Some(&version.id)).await.map_err(doing())?;
            deleted += 1;
            // Each is a sign of life: there may be a great many.
            ctx.pulse.moved();
            ctx.doing(SpanKind::Provider, format!("undoing bucket {}: {deleted} versions deleted", row.name));
        }
        token = next;
    }
    Ok(())
}

/// Every object of a store that knows no versions, once.
async fn empty_of_objects(ctx: &Ctx, row: &LedgerRow, store: &S3) -> Result<()> {
    let doing = || StepError::s3(format!("emptying bucket {}", row.name));
    let mut pages = std::pin::pin!(store.list_pages(&row.name, ""));
    while let Some(page) = pages.try_next().await.map_err(doing())? {
        for object in page {
            store.delete(&row.name, &object.key, None).await.map_err(doing())?;
            ctx.pulse.moved();
        }
    }
    Ok(())
}
