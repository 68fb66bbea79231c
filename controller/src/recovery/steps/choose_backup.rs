//! The newest database backup that is good as far as can be known. Newer ones that lose are named one by one, each with its
//! reason.
//!
//! What was proven before counts: a backup that was refused lately is not downloaded again while there is another one, and a
//! suspicious one is taken only if nothing else is left. What is chosen is read to its last block all the same, and its rows are
//! held against those of the backups before it: the disaster may have come before the proof of the poisoned one.

mod offer;
mod rank;

use std::collections::VecDeque;

use chrono::{DateTime, Utc};

use super::dump::{self, Fetched, Origin, Unfit};
use super::{Ctx, Result, StepError};
use crate::backup::Refusal;
use crate::backup::ladder::{Recorded, Rows, Seal, rows_document, rows_of};
use crate::backup::refusal::Layer;
use crate::providers::scalingo::backups::Backup;
use crate::recovery::outputs::{ChosenBackup, RefusedBackup};
use crate::runtime::chain::Chain;
use crate::store::{Rung, Severity, Verdict};
use offer::{Offered, offered};
use rank::{Candidate, rank};

pub(super) async fn run(ctx: &Ctx) -> Result<ChosenBackup> {
    let offered = offered(ctx).await?;
    let known = ctx.tools.store.verdicts(&ctx.run.plan_name).await?;
    let mut candidates: VecDeque<Candidate> =
        rank(offered.backups.clone(), &known, ctx.tools.clock.now()).into();
    let mut lost: Vec<RefusedBackup> = candidates.iter().filter_map(Candidate::lost).collect();
    lost.extend(offered.lost.clone());
    let mut trouble = None;
    while let Some(mut candidate) = candidates.pop_front() {
        let (origin, fetched) = fetch(ctx, &offered, &candidate).await?;
        let unfit = match fetched {
            Ok(fetched) if candidate.is_the_same(&fetched.received.dump_sha256) => {
                if let Some(why) = fallen(ctx, &candidate, &fetched).await? {
                    candidate.doubt(why);
                    if candidates.front().is_some_and(|next| next.is_better_than(&candidate)) {
                        lost.push(doubted(ctx, &candidate, &fetched).await?);
                        put_back(&mut candidates, candidate);
                        continue;
                    }
                }
                return chosen(ctx, &origin, &candidate, &fetched, lost).await;
            }
            Ok(_) => Unfit::Refused(Refusal::DigestDiffers { layer: Layer::Member }),
            Err(unfit) => unfit,
        };
        if !matches!(unfit, Unfit::Line(_)) {
            ctx.patience.answered(&key(&candidate));
        }
        let told = match unfit {
            Unfit::Refused(refusal) => refuse(ctx, &candidate, &refusal).await?,
            Unfit::Gone => gone(ctx, &candidate).await?,
            // An older backup is a loss: it is taken in place of one whose download keeps failing.
            Unfit::Line(error) if ctx.keeps_failing(&key(&candidate)) => {
                let told = unreachable(ctx, &candidate, &error).await?;
                trouble = trouble.or(Some(error));
                told
            }
            Unfit::Line(error) | Unfit::Error(error) => return Err(error),
        };
        // What is seen now is told in place of what was remembered.
        lost.retain(|one| one.backup != told.backup);
        lost.push(told);
    }
    // One that could not be had may still be whole.
    Err(trouble.unwrap_or_else(|| none_left(ctx, &newest_first(lost))))
}

/// One backup, from where it is offered first; where it cannot be had there, the archive's copy of the very same.
async fn fetch(
    ctx: &Ctx,
    offered: &Offered,
    candidate: &Candidate,
) -> Result<(Origin, Result<Fetched, Unfit>)> {
    let (id, before) = (&candidate.backup.id, candidate.refused_before());
    let origin = offered.origin(id);
    let fetched = dump::fetch(ctx, &origin, id, before).await;
    let (Err(Unfit::Gone | Unfit::Line(_)), Some(copy)) = (&fetched, offered.spare(id)) else {
        return Ok((origin, fetched));
    };
    let told = format!("{} cannot be had from the platform: the archive's copy is read", candidate.name());
    ctx.event(Severity::Warning, "BackupsFromArchive", &told).await?;
    Ok(match dump::fetch(ctx, &copy, id, before).await {
        // Only what the platform says ends it: the copy may be had another time, or be none.
        Err(_) => (origin, fetched),
        copied => (copy, copied),
    })
}

/// What a backup lost since the newest older one that was restored and is above suspicion; also where nobody has proven it yet. It is
/// noted, so that the next attempt need not read it again and a person can say that it was meant.
async fn fallen(ctx: &Ctx, candidate: &Candidate, fetched: &Fetched) -> Result<Option<String>> {
    let (store, plan) = (&ctx.tools.store, &ctx.run.plan_name);
    let counts = rows_of(&fetched.dump.counts);
    let known = store.verdicts_with_counts(plan).await?;
    let tolerated = f64::from(ctx.run.plan.proof.fall_percent) / 100.0;
    let Some(why) = candidate.fallen(&counts, &known, tolerated) else { return Ok(None) };
    store.record_verdict(plan, &readable(ctx, candidate, fetched, &counts).await?).await?;
    store.record_suspicions(plan, &[(candidate.backup.id.clone(), Some(why.clone()))]).await?;
    Ok(Some(why))
}

/// It is tried again once nothing better is left, and then downloaded again: two dumps at once may be more than the disk holds.
async fn doubted(ctx: &Ctx, candidate: &Candidate, fetched: &Fetched) -> Result<RefusedBackup> {
    let message = candidate.suspicion().unwrap_or_default().to_owned();
    let told = format!("{} is passed over (rows-fallen): {message}", candidate.name());
    ctx.event(Severity::Warning, "BackupPassedOver", &told).await?;
    if let Err(error) = tokio::fs::remove_file(&fetched.dump.file).await {
        tracing::warn!(%error, "a dump that is passed over stays until the end of the request");
    }
    Ok(candidate.lost_by("rows-fallen", message))
}

/// Among those that are left, where its standing puts it.
fn put_back(candidates: &mut VecDeque<Candidate>, doubted: Candidate) {
    let at = candidates.iter().take_while(|next| next.is_better_than(&doubted)).count();
    candidates.insert(at, doubted);
}

/// What the failures of a download are counted under.
fn key(candidate: &Candidate) -> String {
    format!("backup/{}", candidate.backup.id)
}

fn taken_at(backup: &Backup) -> DateTime<Utc> {
    backup.created_at.unwrap_or_default()
}

fn newest_first(mut lost: Vec<RefusedBackup>) -> Vec<RefusedBackup> {
    lost.sort_by_key(|one| std::cmp::Reverse(one.taken_at));
    lost
}

async fn chosen(
    ctx: &Ctx,
    origin: &Origin,
    candidate: &Candidate,
    fetched: &Fetched,
    mut lost: Vec<RefusedBackup>,
) -> Result<ChosenBackup> {
    let Fetched { received, dump } = fetched;
    let backup = &candidate.backup;
    let tools = ctx.tools.postgresql().await.map_err(StepError::failed("looking for pg_restore"))?;
    let verdict = readable(ctx, candidate, fetched, &rows_of(&dump.counts)).await?;
    ctx.tools.store.record_verdict(&ctx.run.plan_name, &verdict).await?;
    let name = candidate.name().to_owned();
    // What has no date stands for all that could not be listed.
    let newer = |one: &RefusedBackup| one.taken_at.is_none_or(|at| at > taken_at(backup));
    lost.retain(|one| one.backup != name && newer(one));
    tell_remembered(ctx, &lost).await?;
    let whole = format!("{name} is whole: {} tables, {} rows", dump.counts.tables.len(), dump.counts.rows());
    ctx.event(Severity::Normal, "BackupChosen", &format!("{whole}{}", candidate.proof())).await?;
    if let Some(why) = candidate.suspicion() {
        let message = format!("{name} is suspicious, and nothing better is left: {why}");
        ctx.event(Severity::Warning, "BackupSuspicious", &message).await?;
    }
    Ok(ChosenBackup {
        addon: origin.addon(),
        copied: matches!(origin, Origin::Archive(_)),
        backup: backup.id.clone(),
        name,
        taken_at: taken_at(backup),
        size_bytes: received.download_bytes,
        archive_sha256: received.download_sha256.clone(),
        dump_sha256: received.dump_sha256.clone(),
        server_version: dump.toc.server_version.clone(),
        tables: dump.counts.tables.len() as u64,
        rows: dump.counts.rows(),
        large_objects: dump.counts.large_objects,
        schema_sha256: Some(dump.counts.schema_sha256.clone()),
        sealed: Seal::of(received, &dump.toc, &Recorded::default()).is_some(),
        tools: dump::versions([
            ("pg_restore", tools.version()),
            ("pg_dump", &dump.toc.dump_version),
            ("dumpedFrom", &dump.toc.server_version),
        ]),
        refused: newest_first(lost),
    })
}

/// Events for the newer ones that lost by what was known of them; of those that were looked at now there are some already.
async fn tell_remembered(ctx: &Ctx, lost: &[RefusedBackup]) -> Result<()> {
    for one in lost.iter().filter(|one| one.message.starts_with(rank::REMEMBERED)) {
        let message = format!("{} is passed over ({}): {}", one.backup, one.reason, one.message);
        ctx.event(Severity::Warning, "BackupPassedOver", &message).await?;
    }
    Ok(())
}

async fn refuse(ctx: &Ctx, candidate: &Candidate, refusal: &Refusal) -> Result<RefusedBackup> {
    let (reason, message) = (refusal.reason(), Chain(refusal).to_string());
    ctx.tools.metrics.backup_refused(reason);
    let verdict = Verdict {
        refused: Some(reason.to_owned()),
        message: Some(message.clone()),
        // What the bytes were at the first look stays the measure.
        sha256: candidate.known.as_ref().and_then(|known| known.sha256.clone()),
        dump_sha256: candidate.known.as_ref().and_then(|known| known.dump_sha256.clone()),
        settled: true,
        ..verdict(ctx, &candidate.backup).await?
    };
    ctx.tools.store.record_verdict(&ctx.run.plan_name, &verdict).await?;
    let told = format!("{} is not whole ({reason}): {message}", candidate.name());
    ctx.event(Severity::Warning, "BackupRefused", &told).await?;
    Ok(candidate.lost_by(reason, message))
}

/// Nothing is learnt of its bytes, so it gets no verdict.
async fn gone(ctx: &Ctx, candidate: &Candidate) -> Result<RefusedBackup> {
    let message = "it is listed and cannot be downloaded".to_owned();
    let told = format!("{} is passed over: {message}", candidate.name());
    ctx.event(Severity::Warning, "BackupRefused", &told).await?;
    Ok(candidate.lost_by("not-downloadable", message))
}

/// Passed over this time; it is asked for again if an older one is not taken. Nothing is learnt of it, so it gets no verdict.
async fn unreachable(ctx: &Ctx, candidate: &Candidate, error: &StepError) -> Result<RefusedBackup> {
    let message = format!("its download keeps failing: {}", Chain(error));
    let told = format!("{} is passed over: {message}", candidate.name());
    ctx.event(Severity::Warning, "BackupPassedOver", &told).await?;
    Ok(candidate.lost_by("unreachable", message))
}

/// Every block of it was read.
async fn readable(ctx: &Ctx, candidate: &Candidate, fetched: &Fetched, rows: &Rows) -> Result<Verdict> {
    let Fetched { received, dump } = fetched;
    Ok(Verdict {
        rung: Rung::Readable,
        sha256: Some(received.download_sha256.clone()),
        dump_sha256: Some(received.dump_sha256.clone()),
        counts: Some(rows_document(rows)),
        schema_sha256: Some(dump.counts.schema_sha256.clone()),
        ..verdict(ctx, &candidate.backup).await?
    })
}

/// A verdict that says nothing yet.
async fn verdict(ctx: &Ctx, backup: &Backup) -> Result<Verdict> {
    let tools = ctx.tools.postgresql().await.map_err(StepError::failed("looking for pg_restore"))?;
    Ok(Verdict {
        kind: "database".to_owned(),
        backup: backup.id.clone(),
        name: backup.name.clone(),
        taken_at: backup.created_at,
        size_bytes: backup.size.and_then(|size| i64::try_from(size).ok()),
        tools: dump::tool_versions(&tools),
        checked_at: ctx.tools.clock.now(),
        checked_by: Some(ctx.run.request.clone()),
        ..Verdict::default()
    })
}

fn none_left(ctx: &Ctx, refused: &[RefusedBackup]) -> StepError {
    let app = &ctx.run.plan.source.app;
    if refused.is_empty() {
        return StepError::refused(
            format!(
                "the platform lists no finished backup of the database of {app}, and no archive has a copy that can be opened"
            ),
            "look at the database's dashboard; copies in the archive need archive.identity in the plan; backups of a deleted addon can only be had from the platform's support",
        );
    }
    let each: Vec<String> =
        refused.iter().map(|one| format!("{} ({}: {})", one.backup, one.reason, one.message)).collect();
    StepError::refused(
        format!(
            "none of the {} backups of {app} is whole: {}. Nothing was created",
            refused.len(),
            each.join("; ")
        ),
        "ask the platform's support for older backups, or restore a dump that you keep elsewhere by hand",
    )
}
