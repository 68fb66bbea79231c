//! A mirror bucket: listed, thawed where it lies in cold storage, and taken as it is. It has no point in time, and nothing to check it
//! against but the store's own word.

use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use reprise_crds::plan::MirrorSource;

use super::Tried;
use crate::providers::s3::S3;
use crate::providers::s3::objects::{ObjectSummary, Thaw};
use crate::recovery::outputs::{ChosenObjects, RefusedBackup};
use crate::recovery::steps::{Ctx, Result, StepError};
use crate::store::SpanKind;

/// For how many days a thawed copy stays readable.
const DAYS: i32 = 7;
/// The class of cold storage.
const COLD: &str = "GLACIER";
/// Documented: thawing takes up to a day. That silence is no stall.
const LONGEST_THAW: Duration = Duration::from_hours(24);

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
        place: Some(place(ctx, source)?),
        taken_at: objects.iter().filter_map(|object| object.modified).max(),
        objects: objects.len() as u64,
        bytes: objects.iter().map(|object| object.size).sum(),
        refused: Vec::new(),
    }))
}

/// Where a mirror is.
pub(in crate::recovery::steps) fn place(ctx: &Ctx, source: &MirrorSource) -> Result<String> {
    let endpoint = ctx.tools.setting(&source.endpoint, "the mirror's endpoint")?;
    let bucket = ctx.tools.setting(&source.bucket, "the mirror's bucket")?;
    let prefix = source.prefix.as_deref().unwrap_or_default();
    Ok(format!("{}/{bucket}/{prefix}", endpoint.trim_end_matches('/')))
}

/// Everything in the mirror, under its prefix.
pub(in crate::recovery::steps) async fn list(ctx: &Ctx, source: &MirrorSource) -> Result<Vec<ObjectSummary>> {
    let (store, bucket) = open(ctx, source)?;
    let prefix = source.prefix.clone().unwrap_or_default();
    let objects: std::result::Result<Vec<_>, _> =
        store.list(&bucket, &prefix).inspect_ok(|_| ctx.pulse.moved()).try_collect().await;
    objects.map_err(StepError::s3(format!("listing the mirror bucket {bucket}")))
}

/// Asks for a thaw of everything cold, without waiting for it.
async fn thaw(ctx: &Ctx, source: &MirrorSource, objects: &[ObjectSummary]) -> Result<()> {
    let (store, bucket) = open(ctx, source)?;
    let (store, bucket) = (&store, bucket.as_str());
    // Owned: a stream of futures that borrow their keys cannot be proved to be `Send`.
    let cold: Vec<String> =
        objects.iter().filter(|object| is_cold(object)).map(|object| object.key.clone()).collect();
    let concurrency = usize::try_from(ctx.run.plan.limits.copy_concurrency).unwrap_or(16).max(1);
    let asked = futures::stream::iter(cold)
        .map(|key| async move { store.thaw(bucket, &key, DAYS).await })
        .buffer_unordered(concurrency);
    let mut asked = std::pin::pin!(asked);
    while let Some(asked) = asked.next().await {
        asked.map_err(StepError::s3(format!("asking for a thaw in {bucket}")))?;
        // No number: it may go on beside a source that has one.
        ctx.pulse.moved();
    }
    Ok(())
}

/// Waits until an object of the mirror can be read.
pub(in crate::recovery::steps) async fn readable(
    ctx: &Ctx,
    source: &MirrorSource,
    object: &ObjectSummary,
) -> Result<()> {
    if !is_cold(object) {
        return Ok(());
    }
    let (store, bucket) = open(ctx, source)?;
    let mut pause = Duration::from_secs(5);
    while !is_thawed(&store, &bucket, &object.key).await? {
        ctx.doing(SpanKind::Provider, "the mirror's objects are thawing (minutes to a day)");
        // A thaw that does not end is a stall.
        ctx.expect_silence(&object.key, LONGEST_THAW);
        ctx.pause(pause).await?;
        pause = pause.mul_f64(1.5).min(Duration::from_mins(5));
    }
    Ok(())
}

/// Looks at a cold object. Where nobody has asked for it, or its thawed copy's time is over, it is asked for.
async fn is_thawed(store: &S3, bucket: &str, key: &str) -> Result<bool> {
    let head = store.head(bucket, key).await;
    match head.map_err(StepError::s3(format!("looking whether {key} is thawed")))?.map(|head| head.thaw) {
        Some(Thaw::Readable | Thaw::Thawed) => Ok(true),
        Some(Thaw::Thawing) => Ok(false),
        Some(Thaw::Frozen) => {
            let asked = store.thaw(bucket, key, DAYS).await;
            asked.map_err(StepError::s3(format!("asking for a thaw of {key}")))?;
            Ok(false)
        }
        None => Err(StepError::refused(
            format!("{key} is not in the mirror bucket {bucket} any more, and was a moment ago"),
            "does somebody delete from it? Look at the bucket, then resume the request: it is listed anew",
        )),
    }
}

fn is_cold(object: &ObjectSummary) -> bool {
    object.storage_class.as_deref() == Some(COLD)
}

/// The mirror's store and bucket.
fn open(ctx: &Ctx, source: &MirrorSource) -> Result<(S3, String)> {
    Ok((ctx.tools.mirror(source)?, ctx.tools.setting(&source.bucket, "the mirror's bucket")?))
}

#[cfg(test)]
mod tests {
    use super::is_thawed;
    use crate::providers::s3::tests::{Answer, store};

    const COLD: (&str, &str) = ("x-amz-storage-class", "GLACIER");
    const FROZEN: Answer = (200, &[COLD, ("content-length", "1")], "");
    const THAWING: Answer =
        (200, &[COLD, ("content-length", "1"), ("x-amz-restore", "ongoing-request=\"true\"")], "");
    const THAWED: Answer =
        (200, &[COLD, ("content-length", "1"), ("x-amz-restore", "ongoing-request=\"false\"")], "");

    #[tokio::test]
    async fn what_is_frozen_again_is_asked_for_again_and_what_thaws_is_not() {
        let (s3, seen, _server) = store(vec![FROZEN, (202, &[], ""), THAWING, THAWED]).await;
        let mut looks = Vec::new();
        for _ in 0..3 {
            looks.push(is_thawed(&s3, "mirror", "a").await.unwrap());
        }
        assert_eq!(looks, [false, false, true]);
        let calls: Vec<_> = seen.lock().unwrap().iter().map(|call| call.0.to_string()).collect();
        assert_eq!(calls, ["HEAD", "POST", "HEAD", "HEAD"]);
    }

    #[tokio::test]
    async fn what_has_vanished_is_named() {
        let (s3, _seen, _server) = store(vec![(404, &[], "")]).await;
        let why = is_thawed(&s3, "mirror", "dossier/a").await.unwrap_err().to_string();
        assert!(why.contains("dossier/a") && why.contains("What to do"), "{why}");
    }
}
