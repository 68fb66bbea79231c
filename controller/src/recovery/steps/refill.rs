//! Every document back in the new bucket, in parallel, each one compared with its source afterwards.

use std::collections::BTreeMap;

use futures::{StreamExt as _, TryStreamExt as _};
use md5::{Digest as _, Md5};
use reprise_crds::plan::TargetBucket;

use super::{Ctx, Result, StepError, bucket};
use crate::backup::objects::{Listed, RefillPlan, Wanted, plan_refill};
use crate::providers::s3::{Headers, ObjectSummary, S3, Want};
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
    let mut known = Known::default();
    for _ in 0..ROUNDS {
        let wanted = source.wanted(&known.hashed);
        let listed = look(ctx, Pace::PROVIDER, || listed(ctx, &store, target, &known)).await?;
        let plan = plan_refill(&wanted, &listed);
        if plan.is_complete() {
            return complete(ctx, &plan).await;
        }
        put_missing(ctx, &source, &store, target, (&plan, wanted.len()), &mut known).await?;
    }
    Err(StepError::refused(
        format!("bucket {} does not hold what was put into it, after {ROUNDS} rounds", target.name),
        "does somebody else write to it? Look at the bucket, then resume the request",
    ))
}

/// What was learnt by reading, where tags do not tell: they are no digests where an object was sent in parts, and where a store encrypts.
#[derive(Debug, Default)]
struct Known {
    /// Of the source.
    hashed: Hashed,
    /// Of the new bucket: by key, the tag that the object bears, and the MD5 that it has.
    read: BTreeMap<String, (String, String)>,
}

impl Known {
    /// What an object of the new bucket is known by.
    fn tag(&self, object: &ObjectSummary) -> String {
        let read = self.read.get(&object.key).filter(|(tag, _)| *tag == object.etag);
        read.map_or(&object.etag, |(_, md5)| md5).clone()
    }
}

async fn listed(ctx: &Ctx, store: &S3, target: &TargetBucket, known: &Known) -> Result<Vec<Listed>> {
    ctx.doing(SpanKind::Data, "comparing the new bucket with the source");
    let objects = store.list(&target.name, "").map_ok(|object: ObjectSummary| Listed {
        etag: Some(known.tag(&object)),
        key: object.key,
        size: object.size,
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

/// Puts what is not there as it should be, and learns what tags do not tell.
async fn put_missing(
    ctx: &Ctx,
    source: &Source,
    store: &S3,
    target: &TargetBucket,
    (plan, total): (&RefillPlan<'_>, usize),
    known: &mut Known,
) -> Result<()> {
    ctx.doing(SpanKind::Data, "copying documents");
    // Owned: a stream of futures that borrow their keys cannot be proved to be `Send`.
    let missing = plan.missing.iter().map(|wanted| (wanted.key.clone(), None));
    let there = plan.wrong.iter().chain(&plan.unproven).map(|(wanted, found)| {
        let is_long_enough = found.size == wanted.size;
        (wanted.key.clone(), found.etag.clone().filter(|_| is_long_enough))
    });
    let keys: Vec<(String, Option<String>)> = missing.chain(there).collect();
    let (mut done, total) = (plan.same, total as u64);
    let concurrency = usize::try_from(ctx.run.plan.limits.copy_concurrency).unwrap_or(16).max(1);
    let copies = futures::stream::iter(keys)
        .map(|(key, found)| async move { copy(ctx, source, (store, &target.name), key, found).await });
    let mut copies = std::pin::pin!(copies.buffer_unordered(concurrency));
    while let Some(copied) = copies.next().await {
        let Copied { key, size, md5, bore } = copied?;
        if let Some(tag) = bore {
            known.read.insert(key.clone(), (tag, md5.clone()));
        }
        if source.tag(&key).as_ref() != Some(&md5) {
            known.hashed.insert(key, md5);
        }
        ctx.tools.metrics.bytes_moved("documents", size);
        done += 1;
        ctx.pulse.progress(done, Some(total), "objects");
    }
    Ok(())
}

/// What was read of an object.
struct Copied {
    key: String,
    /// Bytes.
    size: u64,
    /// Of what was read, in hex.
    md5: String,
    /// The tag of what was there already and turned out to be the same.
    bore: Option<String>,
}

/// Copies one object, unless what the bucket has under its key, by the tag `found`, turns out to be the same.
async fn copy(
    ctx: &Ctx,
    source: &Source,
    to: (&S3, &str),
    key: String,
    found: Option<String>,
) -> Result<Copied> {
    let (content, md5, headers, size) = source.read(ctx, &key).await?;
    if let Some(tag) = found
        && (tag == md5 || md5_there(ctx, to, &key).await? == md5)
    {
        return Ok(Copied { key, size, md5, bore: Some(tag) });
    }
    let wanted = Wanted { key: key.clone(), size, etag: Some(md5.clone()) };
    // A store may not know at once that a bucket was made. What it refuses it has not written.
    look(ctx, Pace::PROVIDER, || put(ctx, to, &content, &headers, &wanted)).await?;
    Ok(Copied { key, size, md5, bore: None })
}

/// The MD5 of what the new bucket has under a key: whatever its tag is.
async fn md5_there(ctx: &Ctx, (store, bucket): (&S3, &str), key: &str) -> Result<String> {
    let doing = || StepError::s3(format!("reading {key} again"));
    let mut body = store.read(bucket, key, Want::default()).await.map_err(doing())?.body;
    let mut md5 = Md5::new();
    while let Some(piece) = body.try_next().await.map_err(doing())? {
        ctx.pulse.moved();
        md5.update(&piece);
    }
    Ok(hex::encode(md5.finalize()))
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
