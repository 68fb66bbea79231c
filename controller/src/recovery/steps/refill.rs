//! Every document back in the new bucket, in parallel, each one compared with its source afterwards.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use futures::{StreamExt as _, TryStreamExt as _};
use reprise_crds::plan::{MirrorSource, TargetBucket};

use super::choose_objects::{artifact, mirror};
use super::{Ctx, Result, StepError};
use crate::archive::content_type;
use crate::backup::objects::{ArtifactEntry, Listed, RefillPlan, Wanted, plan_refill, read_entry};
use crate::providers::s3::S3;
use crate::providers::s3::{Headers, Keeping, ObjectSummary, S3Error, Want};
use crate::recovery::outputs::{ChosenObjects, Refilled};
use crate::recovery::step::Step;
use crate::store::{Severity, SpanKind};

mod archive;

/// Objects above this are put from a file of ours, not from memory.
const IN_MEMORY: u64 = 16 << 20;
/// How often the whole bucket is compared and what is wrong put again.
const ROUNDS: usize = 3;
/// How often an object is written whose answers are lost.
const ATTEMPTS: u32 = 4;

/// Where the objects come from.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one of it for each refill")]
enum Source {
    Artifact {
        file: std::path::PathBuf,
        entries: BTreeMap<String, ArtifactEntry>,
    },
    Mirror {
        spec: MirrorSource,
        store: S3,
        bucket: String,
        prefix: String,
        objects: BTreeMap<String, ObjectSummary>,
    },
}

pub(super) async fn run(ctx: &Ctx) -> Result<Refilled> {
    let lacks = || StepError::refused("the plan has no target.bucket", "file a new request");
    let target = ctx.run.plan.target.bucket.as_ref().ok_or_else(lacks)?;
    let store = ctx.tools.target_store(target)?;
    if let ChosenObjects::Archive { run, .. } = ctx.outputs.get(&Step::ChooseObjects)? {
        return archive::refill(ctx, store, target, run).await;
    }
    let source = source(ctx).await?;
    let wanted = source.wanted();
    for _ in 0..ROUNDS {
        let listed = listed(ctx, &store, target).await?;
        let plan = plan_refill(&wanted, &listed);
        if plan.is_complete() {
            return complete(ctx, &plan).await;
        }
        put_missing(ctx, &source, &store, target, &plan, wanted.len()).await?;
    }
    Err(StepError::refused(
        format!("bucket {} does not hold what was put into it, after {ROUNDS} rounds", target.name),
        "does somebody else write to it? Look at the bucket, then resume the request",
    ))
}

async fn source(ctx: &Ctx) -> Result<Source> {
    let gone = || {
        StepError::refused("the source of the documents is not in the plan any more", "file a new request")
    };
    match ctx.outputs.get(&Step::ChooseObjects)? {
        ChosenObjects::Artifact { source, artifact, sha256, .. } => {
            let spec = ctx
                .run
                .plan
                .source
                .objects
                .get(source)
                .and_then(|source| source.artifact.as_ref())
                .ok_or_else(gone)?;
            let (file, index) = artifact::obtain(ctx, spec, artifact, &sha256).await?;
            let entries = index.entries.into_iter().map(|entry| (entry.key.clone(), entry)).collect();
            Ok(Source::Artifact { file, entries })
        }
        ChosenObjects::Archive { .. } => Err(gone()),
        ChosenObjects::Mirror { source, .. } => {
            let spec = ctx
                .run
                .plan
                .source
                .objects
                .get(source)
                .and_then(|source| source.mirror.as_ref())
                .ok_or_else(gone)?;
            let prefix = spec.prefix.clone().unwrap_or_default();
            let objects = mirror::list(ctx, spec).await?;
            let own_key = |key: &str| key.strip_prefix(prefix.as_str()).unwrap_or(key).to_owned();
            Ok(Source::Mirror {
                store: ctx.tools.mirror(spec)?,
                bucket: ctx.tools.setting(&spec.bucket, "the mirror's bucket")?,
                objects: objects.into_iter().map(|object| (own_key(&object.key), object)).collect(),
                spec: spec.clone(),
                prefix,
            })
        }
    }
}

impl Source {
    fn wanted(&self) -> Vec<Wanted> {
        match self {
            Self::Artifact { entries, .. } => entries
                .values()
                .map(|entry| Wanted {
                    key: entry.key.clone(),
                    size: entry.size,
                    etag: Some(entry.md5.clone()),
                })
                .collect(),
            Self::Mirror { objects, .. } => objects
                .iter()
                .map(|(key, object)| Wanted { key: key.clone(), size: object.size, etag: digest(object) })
                .collect(),
        }
    }
}

/// An `ETag` of several parts is no digest: the size is all that can be compared.
fn digest(object: &ObjectSummary) -> Option<String> {
    Some(object.etag.clone()).filter(|etag| !etag.contains('-'))
}

async fn listed(ctx: &Ctx, store: &S3, target: &TargetBucket) -> Result<Vec<Listed>> {
    ctx.doing(SpanKind::Data, "comparing the new bucket with the source");
    let objects = store.list(&target.name, "").map_ok(|object: ObjectSummary| Listed {
        key: object.key,
        size: object.size,
        etag: Some(object.etag),
    });
    let all: std::result::Result<Vec<_>, _> = objects.try_collect().await;
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

async fn put_missing(
    ctx: &Ctx,
    source: &Source,
    store: &S3,
    target: &TargetBucket,
    plan: &RefillPlan<'_>,
    total: usize,
) -> Result<()> {
    ctx.doing(SpanKind::Data, "copying documents");
    let again = plan.wrong.iter().map(|(wanted, _)| *wanted);
    let all = plan.missing.iter().copied().chain(again).chain(plan.unproven.iter().copied());
    // Owned: a stream of futures that borrow their keys cannot be proved to be `Send`.
    let keys: Vec<String> = all.map(|wanted| wanted.key.clone()).collect();
    let (mut done, total) = (plan.same, total as u64);
    let concurrency = usize::try_from(ctx.run.plan.limits.copy_concurrency).unwrap_or(16).max(1);
    let copies = futures::stream::iter(keys).map(|key| copy(ctx, source, store, target, key));
    let mut copies = std::pin::pin!(copies.buffer_unordered(concurrency));
    while let Some(copied) = copies.next().await {
        ctx.tools.metrics.bytes_moved("documents", copied?);
        done += 1;
        ctx.pulse.progress(done, Some(total), "objects");
    }
    Ok(())
}

/// Copies one object; its length in bytes.
async fn copy(ctx: &Ctx, source: &Source, store: &S3, target: &TargetBucket, key: String) -> Result<u64> {
    let key = key.as_str();
    let (content, headers, size, etag) = match source {
        Source::Artifact { file, entries } => {
            let entry =
                entries.get(key).ok_or_else(|| StepError::Output { step: "choose-objects".to_owned() })?;
            let stream =
                read_entry(file, entry).map(|piece| piece.map_err(StepError::failed("reading the artifact")));
            let headers =
                Headers { content_type: content_type::of(key).map(str::to_owned), ..Headers::default() };
            (body(ctx, stream, entry.size).await?, headers, entry.size, Some(entry.md5.clone()))
        }
        Source::Mirror { spec, store, bucket, prefix, objects } => {
            let object =
                objects.get(key).ok_or_else(|| StepError::Output { step: "choose-objects".to_owned() })?;
            thawed(ctx, spec, object).await?;
            let found = store.read(bucket, &format!("{prefix}{key}"), Want::default()).await;
            let found = found.map_err(StepError::s3(format!("reading {key} of the mirror")))?;
            let stream = found.body.map(|piece| piece.map_err(StepError::s3("reading the mirror")));
            (body(ctx, stream, object.size).await?, found.headers, object.size, digest(object))
        }
    };
    let wanted = Wanted { key: key.to_owned(), size, etag };
    put(ctx, (store, &target.name), &content, &headers, &wanted).await?;
    Ok(size)
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
        let Err(error) = content.put(&careful, bucket, key, headers).await else { return Ok(()) };
        if attempt == ATTEMPTS || !error.outcome_unknown() {
            return Err(StepError::s3(format!("writing {key}"))(error));
        }
        ctx.pause(pause).await?;
        pause *= 2;
        let head = store.head(bucket, key).await.map_err(StepError::s3(format!("looking at {key}")))?;
        // Without a digest nothing tells; to write the same once more does no harm.
        let same =
            |etag: &String| head.as_ref().is_some_and(|head| head.size == wanted.size && head.etag == *etag);
        if wanted.etag.as_ref().is_some_and(same) {
            return Ok(());
        }
    }
    Ok(())
}

/// Waits until an object of the mirror can be read.
async fn thawed(ctx: &Ctx, spec: &MirrorSource, object: &ObjectSummary) -> Result<()> {
    let mut pause = std::time::Duration::from_secs(5);
    while !mirror::is_readable(ctx, spec, object).await? {
        ctx.doing(SpanKind::Provider, "the mirror's objects are thawing (minutes to a day)");
        // Documented: up to a day. That silence is no stall.
        ctx.pulse.expect_silence(ctx.tools.clock.scaled(std::time::Duration::from_hours(24)));
        ctx.pause(pause).await?;
        pause = pause.mul_f64(1.5).min(std::time::Duration::from_mins(5));
    }
    Ok(())
}

/// The content of an object: small ones in memory, large ones in a file of ours that goes with this value.
enum Content {
    Memory(Bytes),
    File(tempfile::NamedTempFile),
}

impl Content {
    async fn put(&self, store: &S3, bucket: &str, key: &str, headers: &Headers) -> Result<String, S3Error> {
        match self {
            Self::Memory(bytes) => {
                store.write(bucket, key, bytes.clone(), headers, &Keeping::default()).await
            }
            Self::File(file) => store.write_file(bucket, key, file.path(), headers).await,
        }
    }
}

async fn body(
    ctx: &Ctx,
    stream: impl futures::Stream<Item = Result<Bytes>> + Send,
    size: u64,
) -> Result<Content> {
    use tokio::io::AsyncWriteExt as _;
    let mut stream = std::pin::pin!(stream);
    if size <= IN_MEMORY {
        let mut bytes = BytesMut::new();
        while let Some(piece) = stream.next().await {
            bytes.extend_from_slice(&piece?);
        }
        return Ok(Content::Memory(bytes.freeze()));
    }
    let doing = || "keeping a large object for a moment";
    ctx.make_dir()?;
    let file = tempfile::NamedTempFile::new_in(&ctx.run.dir).map_err(StepError::io(doing()))?;
    let mut writer =
        tokio::fs::OpenOptions::new().write(true).open(file.path()).await.map_err(StepError::io(doing()))?;
    while let Some(piece) = stream.next().await {
        writer.write_all(&piece?).await.map_err(StepError::io(doing()))?;
    }
    writer.flush().await.map_err(StepError::io(doing()))?;
    Ok(Content::File(file))
}
