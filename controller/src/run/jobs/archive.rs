//! The scheduled run of an archive: taken once for each due time, however often it is tried, read back, and followed by pruning.

use std::sync::Arc;

use futures::FutureExt as _;
use reprise_crds::RecoveryPlanSpec;

use super::plan;
use crate::archive::format::Record;
use crate::archive::verify::{Depth, Verified};
use crate::archive::{ArchiveError, Archiver, Which};
use crate::capture::Capture;
use crate::recovery::tools::Tools;
use crate::runtime::chain::Chain;
use crate::runtime::class::{Class, Classified as _};
use crate::schedule::job::Order;

/// Runs for one due time: what is damaged of the first is put again by a second one. What that does not heal no further one does.
const MOST: usize = 2;

/// Takes an archive, unless an earlier attempt did; reads a sample of it again; and prunes if the plan wants that.
pub(super) async fn archive(tools: Arc<Tools>, order: Order) -> Result<String, String> {
    let told = |error: ArchiveError| Chain(&error).to_string();
    let spec = plan(&tools, &order.plan).await?;
    let archiver =
        tools.archiver(&order.plan, &spec, &order.stop).map_err(|error| Chain(&error).to_string())?;
    let capture = Capture { tools: &tools, plan: &order.plan, spec: &spec, stop: &order.stop };
    let mut runs = archiver.taken_since(order.due_at).await.map_err(told)?;
    if runs.is_empty() {
        runs.push(capture.take(&archiver).boxed().await.map_err(told)?);
    }
    let healed = loop {
        let Some(newest) = runs.last() else { return Err("no run was taken".to_owned()) };
        let verified = verify(&archiver, newest).await.map_err(told)?;
        if verified.findings.is_empty() {
            break said(&runs, &verified);
        }
        tracing::error!(plan = order.plan, run = newest.run, "the run that was just taken is damaged");
        if runs.len() >= MOST {
            return Err(format!("run {} is damaged: {}", newest.run, verified.findings.join("; ")));
        }
        runs.push(capture.take(&archiver).boxed().await.map_err(told)?);
    };
    let pruned = pruned(&archiver, &spec).await.map_err(told)?;
    Ok(format!("{healed}{pruned}"))
}

async fn verify(archiver: &Archiver, run: &Record) -> Result<Verified, ArchiveError> {
    let which = Which { run: Some(run.run.clone()), ..Which::default() };
    archiver.verify(&which, Depth::Sample, true).boxed().await
}

/// What is said of the last of these runs, which is whole. Pure.
fn said(runs: &[Record], verified: &Verified) -> String {
    let (damaged, record) = match runs {
        [] => return String::new(),
        [.., damaged, record] => (Some(damaged), record),
        [record] => (None, record),
    };
    let mut message = format!(
        "run {}: {} objects, {} of them copied",
        record.run,
        record.manifest.objects,
        record.changes.added + record.changes.rewritten
    );
    message = format!(
        "{message}; {} of the archive's {} contents read back within seven days, the {} never read in {} days at this pace",
        verified.covered, verified.contents, verified.unread, verified.days_to_full_coverage
    );
    if let Some(damaged) = damaged {
        message = format!("{message}; it stands for run {}, which is damaged", damaged.run);
    }
    if !record.missing.is_empty() {
        message = format!("{message}; NOT archived: {}", record.missing.join("; "));
    }
    if !verified.beside.is_empty() {
        message = format!("{message}; WRONG beside it: {}", verified.beside.join("; "));
    }
    if !verified.known.is_empty() {
        message = format!("{message}; known: {}", verified.known.join("; "));
    }
    message
}

/// Prunes where the plan wants that. What trying again does not change is told, and is no reason to do so.
async fn pruned(archiver: &Archiver, spec: &RecoveryPlanSpec) -> Result<String, ArchiveError> {
    if !spec.archive.as_ref().is_some_and(|archive| archive.retention.automatic) {
        return Ok(String::new());
    }
    match archiver.prune(true).boxed().await {
        Ok(pruned) => {
            let gone = pruned.runs.iter().filter(|run| run.kept_by.is_empty()).count();
            Ok(format!("; {gone} runs and {} contents pruned", pruned.deleted))
        }
        Err(error) if error.class() == Class::Terminal => {
            tracing::error!(error = %Chain(&error), "nothing is pruned");
            Ok(format!("; NOT pruned: {}", Chain(&error)))
        }
        Err(error) => Err(error),
    }
}
