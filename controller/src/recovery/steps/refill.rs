//! Every document back in the new bucket, in parallel, each one compared with its source afterwards.

use futures::{StreamExt as _, TryStreamExt as _};
use reprise_crds::plan::TargetBucket;

use super::{Ctx, Result, StepError, bucket};
use crate::backup::objects::{Listed, RefillPlan, Wanted, plan_refill};
use crate::providers::s3::{Headers, ObjectSummary, S3};
use crate::recovery::drive::{Pace, look};
use crate::recovery::outputs::{ChosenObjects, Refilled};
use crate::recovery::step::Step;
use crate::store::{Severity, SpanKind};

mod archive;
mod content;
mod source;

use content::Content;
use source::{Hashed, Source, source};

/// How often the whole bucket is compared and what is wrong put again.
const ROUNDS: usize = 3;
/// How often an object is written whose answers are lost.
const ATTEMPTS: u32 = 4;

pub(super) async fn run(ctx: &Ctx) -> Result<Refilled> {
    let target = bucket::made(ctx).await?;
    let store = ctx.tools.target_store(target)?;
    if let ChosenObjects::Archive { run, .. } = ctx.outputs.get(&Step::ChooseObjects)? {
        return archive::refill(ctx, store, target, run).await;
    }
    let source = source(ctx).await?;
    let mut hashed = Hashed::new();
    for _ in 0..ROUNDS {
        let wanted = source.wanted(&hashed);
        let listed = look(ctx, Pace::PROVIDER, || listed(ctx, &store, target)).await?;
        let plan = plan_refill(&wanted, &listed);
        if plan.is_complete() {
            return complete(ctx, &plan).await;
        }
        hashed.extend(put_missing(ctx, &source, &store, target, &plan, wanted.len()).await?);
    }
    Err(StepError::refused(
        format!("bucket {} does not hold what was put into it, after {ROUNDS} rounds", target.name),
        "does somebody else write to it? Look at the bucket, then resume the request",
    ))
}

async fn listed(ctx: &Ctx, store: &S3, target: &TargetBucket) -> Result<Vec<Listed>> {
    ctx.doing(SpanKind::Data, "comparing the new bucket with the source");
    let objects = store.list(&target.name, "").map_ok(|object: ObjectSummary| Listed {
        key: object.key,
        size: object.size,
        etag: Some(object.etag),
    });
    let all: std::result::Result<Vec<_>, _> = objects.inspect_ok(|_| ctx.pulse.moved()).try_collect().await;
    all.map_err(StepError::s3(format!("listing bucket {}", target.name)))
}

async fn complete(ctx: &Ctx, plan: &RefillPlan<'_>) -> Result<Refilled> {
    if let Some(extra) = plan.extra.first() {
        let message = format!(
            "{} objects are in the bucket that the source does not have (first: {})",
            plan.extra.len(),
            extra.key
        );
        ctx.event(Severity::Warning, "ExtraObjects", &message).await?;
    }
    Ok(Refilled { objects: plan.same, bytes: plan.same_bytes })
}

/// Puts what is not there as it should be, and tells the MD5s that nobody else tells.
async fn put_missing(
    ctx: &Ctx,
    source: &Source,
    store: &S3,
    target: &TargetBucket,
    plan: &RefillPlan<'_>,
    total: usize,
) -> Result<Hashed> {
    ctx.doing(SpanKind::Data, "copying documents");
    // Owned: a stream of futures that borrow their keys cannot be proved to be `Send`.
    let again = plan.wrong.iter().map(|(wanted, _)| (wanted.key.clone(), None));
    let missing = plan.missing.iter().map(|wanted| (wanted.key.clone(), None));
    let unproven = plan.unproven.iter().map(|(wanted, found)| (wanted.key.clone(), found.etag.clone()));
    let keys: Vec<(String, Option<String>)> = missing.chain(again).chain(unproven).collect();
    let (mut done, total, mut hashed) = (plan.same, total as u64, Hashed::new());
    let concurrency = usize::try_from(ctx.run.plan.limits.copy_concurrency).unwrap_or(16).max(1);
    let copies = futures::stream::iter(keys)
        .map(|(key, found)| async move { copy(ctx, source, (store, &target.name), key, found).await });
    let mut copies = std::pin::pin!(copies.buffer_unordered(concurrency));
    while let Some(copied) = copies.next().await {
        let Copied { key, size, md5 } = copied?;
        if source.is_silent_on(&key) {
            hashed.insert(key, md5);
        }
        ctx.tools.metrics.bytes_moved("documents", size);
        done += 1;
        ctx.pulse.progress(done, Some(total), "objects");
    }
    Ok(hashed)
}

/// What was read of an object.
struct Copied {
    key: String,
    /// Bytes.
    size: u64,
    /// Of what was read, in hex.
    md5: String,
}

/// Copies one object, unless what the bucket has under its key, `found`, turns out to be the same.
async fn copy(
    ctx: &Ctx,
    source: &Source,
    to: (&S3, &str),
    key: String,
    found: Option<String>,
) -> Result<Copied> {
    let (content, md5, headers, size) = source.read(ctx, &key).await?;
    if found.as_ref() != Some(&md5) {
        let wanted = Wanted { key: key.clone(), size, etag: Some(md5.clone()) };
        // A store may not know at once that a bucket was made. What it refuses it has not written.
        look(ctx, Pace::PROVIDER, || put(ctx, to, &content, &headers, &wanted)).await?;
    }
    Ok(Copied { key, size, md5 })
}

/// Writes an object. Whether it is there is looked at before it is written again after a lost answer: a second version of it would be
/// kept and paid for ever.
async fn put(
    ctx: &Ctx,
    (store, bucket): (&S3, &str),
    content: &Content,
    headers: &Headers,
    wanted: &Wanted,
) -> Result<()> {
    let (key, careful) = (wanted.key.as_str(), store.careful());
    let mut pause = std::time::Duration::from_millis(200);
    for attempt in 1.. {
        let Err(error) = content.put(ctx, &careful, (bucket, key), headers).await else { return Ok(()) };
        if attempt == ATTEMPTS || !error.outcome_unknown() {
            return Err(StepError::s3(format!("writing {key}"))(error));
        }
        ctx.pause(pause).await?;
        pause *= 2;
        let head = store.head(bucket, key).await.map_err(StepError::s3(format!("looking at {key}")))?;
        let same =
            |etag: &String| head.as_ref().is_some_and(|head| head.size == wanted.size && head.etag == *etag);
        if wanted.etag.as_ref().is_some_and(same) {
            return Ok(());
        }
    }
    Ok(())
}
