//! The documents from a run of the archive: each content is hashed on the way, and the bucket compared with the manifest at the end.

use std::sync::Arc;
use std::time::Duration;

use reprise_crds::plan::TargetBucket;

use crate::archive::restore::{RestoreOrder, Stage};
use crate::archive::{Place, Which};
use crate::providers::s3::S3;
use crate::recovery::outputs::Refilled;
use crate::recovery::steps::{Ctx, Result, StepError};
use crate::store::SpanKind;

/// For how many days thawed contents stay readable.
const DAYS: i32 = 7;
/// Documented: thawing takes up to a day. That silence is no stall.
const THAW: Duration = Duration::from_hours(24);

pub(super) async fn refill(ctx: &Ctx, store: S3, target: &TargetBucket, run: String) -> Result<Refilled> {
    let archiver = ctx.tools.archiver(&ctx.run.plan_name, &ctx.run.plan, &ctx.stop)?;
    ctx.doing(SpanKind::Data, format!("bringing documents back from archive run {run}"));
    let (pulse, day) = (Arc::clone(&ctx.pulse), ctx.tools.clock.scaled(THAW));
    if archiver.vault.is_cold() {
        pulse.expect_silence(day);
    }
    let progress = move |stage, done, total| match stage {
        // What was not to be expected by the plan is seen when it is met.
        Stage::Thawing => pulse.expect_silence(day),
        Stage::Copying => pulse.progress(done, Some(total), "objects"),
    };
    let order = RestoreOrder {
        which: Which { run: Some(run.clone()), as_of: None },
        prefix: None,
        key: None,
        to: Place {
            s3: store.with_cancel(ctx.stop.clone()),
            endpoint: ctx.tools.setting(&target.endpoint, "the new bucket's endpoint")?,
            bucket: target.name.clone(),
        },
        to_prefix: String::new(),
        server_side: false,
        thaw_days: DAYS,
        progress: Some(Arc::new(progress)),
    };
    let restored = archiver.restore(&order).await;
    let restored = restored.map_err(StepError::failed(format!("bringing back archive run {run}")))?;
    ctx.tools.metrics.bytes_moved("documents", restored.copied_bytes);
    for note in &restored.notes {
        tracing::warn!(
            run,
            bucket = target.name,
            note,
            "documents came back, and there is something to be said of them"
        );
    }
    if restored.differences.is_empty() {
        return Ok(Refilled { objects: restored.objects, bytes: restored.bytes });
    }
    Err(StepError::refused(
        format!(
            "bucket {} is not what archive run {run} says: {}",
            target.name,
            restored.differences.join("; ")
        ),
        "does somebody else write to it? Look at the bucket, then resume the request",
    ))
}
