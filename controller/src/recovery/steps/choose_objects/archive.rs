//! The plan's own archive: of its runs, the newest whose contents are all there and that is not suspicious.

use std::collections::BTreeSet;

use reprise_crds::plan::ArchiveSource;

use super::Tried;
use crate::archive::{ArchiveError, Archiver, Which, own_first};
use crate::recovery::drive::{Pace, look};
use crate::recovery::outputs::{ChosenBackup, ChosenObjects, RefusedBackup};
use crate::recovery::step::Step;
use crate::recovery::steps::{Ctx, Result, StepError};
use crate::runtime::chain::Chain;
use crate::runtime::class::Class;
use crate::store::{ArchiveRow, Severity, SpanKind};
use crate::truth;

pub(super) async fn choose(ctx: &Ctx, index: usize, wanted: &ArchiveSource) -> Result<Tried> {
    let archiver = ctx.tools.archiver(&ctx.run.plan_name, &ctx.run.plan, &ctx.stop)?;
    ctx.doing(SpanKind::Data, "looking for the archive's newest run");
    let runs = archiver.vault.runs().await;
    let mut runs = runs.map_err(StepError::archive("listing the runs of the archive"))?;
    runs.retain(|run| wanted.run.as_ref().is_none_or(|wanted| wanted == run));
    let rows = ctx.tools.store.archives(&ctx.run.plan_name).await?;
    runs.reverse();
    let mut refused = lost(ctx, &archiver, runs.first(), wanted).await?;
    let behind = archiver.behind(&runs, &rows).await;
    let (runs, passed) = suited(ctx, runs, &behind).await?;
    refused.extend(passed);
    for run in &runs {
        let row = rows.iter().find(|row| row.run == *run);
        match judge(ctx, &archiver, run, row, wanted.run.is_some()).await? {
            Ok(found) => return Ok(Tried::Chosen(chosen(index, found, row, refused))),
            Err(one) => {
                let told = format!("{} is not taken ({}): {}", one.backup, one.reason, one.message);
                ctx.event(Severity::Warning, "ArchiveRefused", &told).await?;
                refused.push(one);
            }
        }
    }
    if refused.is_empty() {
        let message = wanted
            .run
            .as_ref()
            .map_or_else(|| "it has no run".to_owned(), |run| format!("it has no run {run}"));
        refused.push(RefusedBackup {
            backup: "the archive".to_owned(),
            taken_at: None,
            reason: "none-listed".to_owned(),
            message,
        });
    }
    Ok(Tried::Refused(refused))
}

/// Runs that are gone and newer than the newest that is there: what was changed since cannot be brought back, and nothing else would tell.
async fn lost(
    ctx: &Ctx,
    archiver: &Archiver,
    newest: Option<&String>,
    wanted: &ArchiveSource,
) -> Result<Vec<RefusedBackup>> {
    let gone = archiver.vanished().await.map_err(StepError::failed("looking for runs that are gone"))?;
    let matters = |run: &String| match &wanted.run {
        Some(wanted) => wanted == run,
        None => newest.is_none_or(|newest| run > newest),
    };
    let mut refused = Vec::new();
    for one in gone.into_iter().filter(|one| matters(&one.row.run)) {
        let (backup, reason) = (format!("archive run {}", one.row.run), "gone".to_owned());
        let (taken_at, message) = (one.row.finished_at, one.how);
        ctx.event(Severity::Warning, "ArchiveRefused", &format!("{backup} is lost: {message}")).await?;
        refused.push(RefusedBackup { backup, taken_at, reason, message });
    }
    Ok(refused)
}

/// The runs in the order in which they are tried, and those newer than the first that are passed over for it.
async fn suited(
    ctx: &Ctx,
    newest: Vec<String>,
    behind: &BTreeSet<String>,
) -> Result<(Vec<String>, Vec<RefusedBackup>)> {
    let backup = ctx.outputs.find::<ChosenBackup>(&Step::ChooseBackup)?;
    let (ranked, truths) = match &backup {
        None => (own_first(newest.clone(), behind), Vec::new()),
        Some(backup) => {
            let truths = ctx.tools.store.truths(&ctx.run.plan_name, &backup.backup).await?;
            let since = truth::since(ctx.run.filed_at, &ctx.run.plan.objectives);
            (truth::ranked(&newest, since.as_deref(), &truths, behind), truths)
        }
    };
    let dangling = |run: &String| truths.iter().find(|truth| truth.run == *run).map(|truth| truth.dangling);
    let mut passed = Vec::new();
    for run in newest.iter().take_while(|run| Some(*run) != ranked.first()) {
        let (reason, message) = match (&backup, dangling(run), ranked.first().and_then(dangling)) {
            (Some(backup), Some(more), Some(fewer)) if more > fewer => (
                "dangling-rows",
                format!(
                    "with {} it leaves {more} rows without their object, an older run {fewer}",
                    backup.name
                ),
            ),
            _ if behind.contains(run) => {
                ("mirrored", "it shows a copy of the bucket, and an older run the bucket itself".to_owned())
            }
            _ => continue,
        };
        ctx.event(Severity::Normal, "ArchivePassedOver", &format!("{run}: {message}")).await?;
        let (backup, reason) = (format!("archive run {run}"), reason.to_owned());
        passed.push(RefusedBackup { backup, taken_at: None, reason, message });
    }
    Ok((ranked, passed))
}

type Record = crate::archive::format::Record;

/// The run's record, if its manifest is whole and every content that it names is there.
async fn judge(
    ctx: &Ctx,
    archiver: &Archiver,
    run: &str,
    row: Option<&ArchiveRow>,
    named: bool,
) -> Result<std::result::Result<Record, RefusedBackup>> {
    let lost = |reason: &str, message: String| RefusedBackup {
        backup: format!("archive run {run}"),
        taken_at: row.and_then(|row| row.finished_at),
        reason: reason.to_owned(),
        message,
    };
    ctx.doing(SpanKind::Data, format!("comparing the manifest of run {run} with what the archive lists"));
    let which = Which { run: Some(run.to_owned()), as_of: None };
    let looked = || async {
        let looked = archiver.look(&which).await;
        looked.map_err(StepError::archive(format!("checking archive run {run}")))
    };
    let verified = match look(ctx, Pace::PROVIDER, looked).await {
        // An older one may do.
        Err(error) if is_of_the_run(&error) => {
            return Ok(Err(lost("unreadable", Chain(&error).to_string())));
        }
        verified => verified?,
    };
    if !verified.findings.is_empty() {
        return Ok(Err(lost("damaged", verified.findings.join("; "))));
    }
    let record = archiver.vault.record(run).await;
    let (record, _) = record.map_err(StepError::archive(format!("reading archive run {run}")))?;
    if row.map_or(!record.suspicious.is_empty(), |row| row.suspicious) && !named {
        let since = row.and_then(|row| row.suspected.as_array()).into_iter().flatten();
        let since = since.filter_map(|why| why.as_str().map(str::to_owned));
        let why: Vec<_> = record.suspicious.into_iter().chain(since).collect();
        return Ok(Err(lost("suspicious", why.join("; "))));
    }
    Ok(Ok(record))
}

/// Whether a run cannot be read, and not the archive as a whole, of which an older run is a part as well. Pure.
fn is_of_the_run(error: &StepError) -> bool {
    let StepError::Failed { class: Class::Terminal, source, .. } = error else { return false };
    !source.downcast_ref::<ArchiveError>().is_some_and(ArchiveError::is_of_all)
}

fn chosen(
    source: usize,
    record: Record,
    row: Option<&ArchiveRow>,
    refused: Vec<RefusedBackup>,
) -> ChosenObjects {
    ChosenObjects::Archive {
        source,
        run: record.run,
        taken_at: record.finished_at,
        verified_at: row.and_then(|row| row.verified_at),
        verified_objects: row.and_then(|row| row.verified_objects),
        objects: record.manifest.objects,
        bytes: record.manifest.bytes,
        refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::http::Effect;
    use crate::providers::s3::S3Error;

    fn answered(status: u16, code: &str) -> StepError {
        let (call, effect) = ("objects.get", Effect::Repeatable);
        let source = S3Error::Status { call, status, code: code.to_owned(), message: String::new(), effect };
        StepError::archive("checking")(ArchiveError::inside("reading a record")(source))
    }

    #[test]
    fn a_store_that_takes_nothing_from_us_says_nothing_of_one_run() {
        let damaged = ArchiveError::Damaged { what: "runs/x".into(), how: "it is cut".into() };
        assert!(is_of_the_run(&StepError::archive("checking")(damaged)));
        assert!(is_of_the_run(&answered(404, "NoSuchKey")));
        for (status, code) in
            [(403, "RequestTimeTooSkewed"), (403, ""), (401, ""), (404, "NoSuchBucket"), (503, "")]
        {
            assert!(!is_of_the_run(&answered(status, code)), "{status} {code}");
        }
    }
}
