//! A mirror bucket: listed, thawed where it lies in cold storage, and taken as it is. It has no point in time, and nothing to check it
//! against but the store's own word.

use futures::TryStreamExt as _;
use reprise_crds::plan::MirrorSource;

use super::Tried;
use crate::providers::s3::objects::{ObjectSummary, Thaw};
use crate::recovery::outputs::{ChosenObjects, RefusedBackup};
use crate::recovery::steps::{Ctx, Result, StepError};
use crate::store::SpanKind;

/// For how many days a thawed copy stays readable.
const DAYS: i32 = 7;
/// The class of cold storage.
const COLD: &str = "GLACIER";

pub(super) async fn choose(ctx: &Ctx, index: usize, source: &MirrorSource) -> Result<Tried> {
    let objects = list(ctx, source).await?;
    if objects.is_empty() {
        return Ok(Tried::Refused(vec![RefusedBackup {
            backup: "the mirror bucket".to_owned(),
            taken_at: None,
            reason: "empty".to_owned(),
            message: "it holds no object".to_owned(),
        }]));
    }
    thaw(ctx, source, &objects).await?;
    Ok(Tried::Chosen(ChosenObjects::Mirror {
        source: index,
        taken_at: objects.iter().filter_map(|object| object.modified).max(),
        objects: objects.len() as u64,
        bytes: objects.iter().map(|object| object.size).sum(),
        refused: Vec::new(),
    }))
}

/// Asks for a thaw of everything cold, without waiting for it.
pub(super) async fn thaw_all(ctx: &Ctx, source: &MirrorSource) -> Result<()> {
    let objects = list(ctx, source).await?;
    thaw(ctx, source, &objects).await
}

/// Everything in the mirror, under its prefix.
pub(in crate::recovery::steps) async fn list(ctx: &Ctx, source: &MirrorSource) -> Result<Vec<ObjectSummary>> {
    ctx.doing(SpanKind::Data, "listing the mirror bucket");
    let store = ctx.tools.mirror(source)?;
    let bucket = ctx.tools.setting(&source.bucket, "the mirror's bucket")?;
    let prefix = source.prefix.clone().unwrap_or_default();
    let objects: std::result::Result<Vec<_>, _> = store.list(&bucket, &prefix).try_collect().await;
    objects.map_err(StepError::s3(format!("listing the mirror bucket {bucket}")))
}

async fn thaw(ctx: &Ctx, source: &MirrorSource, objects: &[ObjectSummary]) -> Result<()> {
    let store = ctx.tools.mirror(source)?;
    let bucket = ctx.tools.setting(&source.bucket, "the mirror's bucket")?;
    let cold: Vec<&ObjectSummary> =
        objects.iter().filter(|object| object.storage_class.as_deref() == Some(COLD)).collect();
    ctx.doing(SpanKind::Provider, "asking for the mirror's objects to be thawed");
    for (done, object) in cold.iter().enumerate() {
        let asked = store.thaw(&bucket, &object.key, DAYS).await;
        asked.map_err(StepError::s3(format!("asking for a thaw in {bucket}")))?;
        ctx.pulse.progress(done as u64 + 1, Some(cold.len() as u64), "objects");
    }
    Ok(())
}

/// Whether an object of the mirror can be read now.
pub(in crate::recovery::steps) async fn is_readable(
    ctx: &Ctx,
    source: &MirrorSource,
    object: &ObjectSummary,
) -> Result<bool> {
    if object.storage_class.as_deref() != Some(COLD) {
        return Ok(true);
    }
    let store = ctx.tools.mirror(source)?;
    let bucket = ctx.tools.setting(&source.bucket, "the mirror's bucket")?;
    let head = store
        .head(&bucket, &object.key)
        .await
        .map_err(StepError::s3("looking whether an object is thawed"))?;
    Ok(head.is_some_and(|head| matches!(head.thaw, Thaw::Readable | Thaw::Thawed)))
}
