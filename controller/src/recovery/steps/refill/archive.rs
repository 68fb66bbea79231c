//! The documents from a run of the archive: each content is hashed on the way, and the bucket compared with the manifest at the end.

use std::sync::Arc;
use std::time::Duration;

use reprise_crds::plan::TargetBucket;

use crate::archive::restore::{RestoreOrder, Restored, Stage};
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
    let bringing = format!("bringing documents back from archive run {run}");
    ctx.doing(SpanKind::Data, bringing.clone());
    let (pulse, clock, thaws) = (Arc::clone(&ctx.pulse), ctx.tools.clock.clone(), ctx.clone());
    if archiver.vault.is_cold() {
        ctx.expect_silence("thaw", THAW);
    }
    let progress = move |stage, done, total| match stage {
        // What was not to be expected by the plan is seen when it is met.
        Stage::Thawing => {
            pulse.doing(
                clock.now(),
                SpanKind::Provider,
                "the archive's contents are thawing (minutes to a day)",
            );
            thaws.expect_silence("thaw", THAW);
        }
        Stage::Copying => {
            // What was thawed may freeze again before it is copied.
            thaws.has_come("thaw");
            pulse.doing(clock.now(), SpanKind::Data, bringing.clone());
            pulse.progress(done, Some(total), "objects");
        }
        Stage::Passing => pulse.moved(),
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
        is_alone: false,
        progress: Some(Arc::new(progress)),
    };
    let restored = archiver.restore(&order).await;
    let restored = restored.map_err(StepError::archive(format!("bringing back archive run {run}")))?;
    ctx.tools.metrics.bytes_moved("documents", restored.copied_bytes);
    for note in &restored.notes {
        tracing::warn!(
            run,
            bucket = target.name,
            note,
            "documents came back, and there is something to be said of them"
        );
    }
    verdict(&target.name, &restored)
}

/// All is back, or it is said what is not. Pure.
fn verdict(bucket: &str, restored: &Restored) -> Result<Refilled> {
    let Restored { run, objects, bytes, damaged, refused, cut, differences, .. } = restored;
    if *cut > 0 {
        // The archive has them: another try may bring them.
        let told = format!(
            "the archive breaks off {cut} of {objects} documents of run {run}: {}",
            differences.join("; ")
        );
        return Err(StepError::io("bringing back the documents")(std::io::Error::other(told)));
    }
    if *damaged > 0 {
        return Err(StepError::refused(
            format!(
                "{damaged} of {objects} documents of archive run {run} did not come back into bucket {bucket}: {}",
                differences.join("; ")
            ),
            "the archive has lost their contents. Put them into the bucket yourself, exactly as they were, and resume the request; or file \
             another one: it passes this run over and takes an older one that is whole",
        ));
    }
    if *refused > 0 {
        return Err(StepError::refused(
            format!(
                "bucket {bucket} does not take {refused} of {objects} documents of archive run {run}: {}",
                differences.join("; ")
            ),
            "the archive has them, and all others are back. Put them there by another name or tool if the app needs them, and resume the \
             request; or cancel it, choose another store for the bucket, and file another one",
        ));
    }
    if differences.is_empty() {
        return Ok(Refilled { objects: *objects, bytes: *bytes });
    }
    Err(StepError::refused(
        format!("bucket {bucket} is not what archive run {run} says: {}", differences.join("; ")),
        "does somebody else write to it? Look at the bucket, then resume the request",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_did_not_come_back_is_told_and_never_counted_as_restored() {
        let whole = Restored { run: "R".into(), objects: 3, bytes: 9, copied: 3, ..Restored::default() };
        assert_eq!(verdict("b", &whole).unwrap(), Refilled { objects: 3, bytes: 9 });
        let lost = ["a does not come back: objects/1 is missing".to_owned()];
        let less = Restored { copied: 2, damaged: 1, differences: lost.to_vec(), ..whole.clone() };
        let said = crate::runtime::chain::Chain(&verdict("b", &less).unwrap_err()).to_string();
        assert!(said.contains("1 of 3 documents of archive run R did not come back"), "{said}");
        assert!(said.contains(&lost[0]) && said.contains("file another one"), "{said}");
        let other = Restored { differences: vec!["a has another content".into()], ..whole };
        let said = crate::runtime::chain::Chain(&verdict("b", &other).unwrap_err()).to_string();
        assert!(said.contains("does somebody else write to it?"), "{said}");
    }
}
