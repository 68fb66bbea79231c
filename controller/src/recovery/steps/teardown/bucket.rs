//! Deleting a bucket that a request made, with all that is in it.

use futures::{StreamExt as _, TryStreamExt as _};

use super::super::{Ctx, Result, StepError, bucket};
use super::{Undone, mark, not_ours};
use crate::providers::s3::versions::VersionToken;
use crate::providers::s3::{S3, S3Error};
use crate::store::{LedgerRow, LedgerState, SpanKind};

/// Objects that are deleted before it is listed again.
const PAGE: usize = 1_000;

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
    Ok(Undone::Settled)
}

pub(super) async fn is_gone(ctx: &Ctx, row: &LedgerRow) -> Result<bool> {
    let exists = store(ctx, row)?.bucket_exists(&row.name).await;
    exists
        .map(|exists| !exists)
        .map_err(StepError::s3(format!("looking whether bucket {} is gone", row.name)))
}

fn store(ctx: &Ctx, row: &LedgerRow) -> Result<S3> {
    let Some(target) = ctx.run.plan.target.bucket.as_ref().filter(|target| target.name == row.name) else {
        // Its store and key pair are the plan's. To say nothing would leave it there, and call it deleted.
        return Err(StepError::refused(
            format!("bucket {} is this request's, and the plan does not name it any more", row.name),
            "name it under target.bucket again, apply the plan, and resume the request: what was deleted by hand meanwhile is passed over",
        ));
    };
    ctx.tools.target_store(target)
}

/// By its tag; or, where we were stopped between creating and marking it, by having been absent before the intent and empty since. A store
/// that has no room for tags leaves it to our records.
async fn is_ours(ctx: &Ctx, row: &LedgerRow, store: &S3) -> Result<bool> {
    let doing = || StepError::s3(format!("looking whose bucket {} is", row.name));
    let tags = store.bucket_tags(&row.name).await.map_err(doing())?;
    let has_room = tags.is_some();
    if let Some((_, value)) = tags.unwrap_or_default().iter().find(|(key, _)| key == bucket::TAG) {
        return Ok(*value == mark(ctx, row));
    }
    let was_absent = bucket::was_absent(row) == Some(true);
    if row.state != LedgerState::Intended {
        return Ok(was_absent && !has_room);
    }
    Ok(was_absent && store.is_empty(&row.name, "").await.map_err(doing())?)
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
        let (versions, next) = page(store, &row.name, at).await.map_err(doing())?;
        for (key, version) in versions {
            store.delete(&row.name, &key, version.as_deref()).await.map_err(doing())?;
            deleted += 1;
            // Each is a sign of life: there may be a great many.
            ctx.pulse.moved();
            ctx.doing(SpanKind::Provider, format!("undoing bucket {}: {deleted} versions deleted", row.name));
        }
        token = next;
    }
    Ok(())
}

/// Keys with their versions, and where they go on. Of a store that knows no versions its objects, until there are none.
async fn page(
    store: &S3,
    name: &str,
    at: VersionToken,
) -> Result<(Vec<(String, Option<String>)>, Option<VersionToken>), S3Error> {
    match store.versions_page(name, "", at).await {
        Err(error) if error.is_unsupported() => {
            let objects = store.list(name, "").take(PAGE).map_ok(|object| (object.key, None));
            let objects: Vec<_> = objects.try_collect().await?;
            let next = (!objects.is_empty()).then(VersionToken::default);
            Ok((objects, next))
        }
        page => page.map(|(versions, next)| {
            (versions.into_iter().map(|version| (version.key, Some(version.id))).collect(), next)
        }),
    }
}
