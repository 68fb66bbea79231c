//! What each scheduled job does.

use std::sync::Arc;

use futures::FutureExt as _;
use reprise_crds::RecoveryPlanSpec;

use crate::archive::verify::Depth;
use crate::archive::{ArchiveError, Which};
use crate::capture::Capture;
use crate::recovery::tools::Tools;
use crate::runtime::chain::Chain;
use crate::schedule::job::{Job, Jobs, Order};
use crate::schedule::{drill, proof};

/// What starts each job that this daemon knows.
pub(super) fn jobs(tools: &Arc<Tools>) -> Jobs {
    let (archiving, copying) = (Arc::clone(tools), Arc::clone(tools));
    Jobs::default()
        .with(Job::Archive, move |order| archive(Arc::clone(&archiving), order))
        .with(Job::Dumps, move |order| dumps(Arc::clone(&copying), order))
        .with(Job::Freshness, proof::job(Arc::clone(tools)))
        .with(Job::Drill, drill::job(Arc::clone(tools)))
}

/// Takes an archive, reads a sample of it again, and prunes if the plan wants that.
async fn archive(tools: Arc<Tools>, order: Order) -> Result<String, String> {
    let told = |error: ArchiveError| Chain(&error).to_string();
    let spec = plan(&tools, &order.plan).await?;
    let archiver =
        tools.archiver(&order.plan, &spec, &order.stop).map_err(|error| Chain(&error).to_string())?;
    let capture = Capture { tools: &tools, plan: &order.plan, spec: &spec, stop: &order.stop };
    let record = capture.take(&archiver).boxed().await.map_err(told)?;
    let which = Which { run: Some(record.run.clone()), ..Which::default() };
    let verified = archiver.verify(&which, Depth::Sample, true).boxed().await.map_err(told)?;
    if !verified.findings.is_empty() {
        return Err(format!("run {} is damaged: {}", record.run, verified.findings.join("; ")));
    }
    let mut message = format!(
        "run {}: {} objects, {} of them copied",
        record.run,
        record.manifest.objects,
        record.changes.added + record.changes.rewritten
    );
    if !record.missing.is_empty() {
        message = format!("{message}; NOT archived: {}", record.missing.join("; "));
    }
    if !verified.beside.is_empty() {
        message = format!("{message}; LOST: {}", verified.beside.join("; "));
    }
    if spec.archive.as_ref().is_some_and(|archive| archive.retention.automatic) {
        let pruned = archiver.prune(true).boxed().await.map_err(told)?;
        let gone = pruned.runs.iter().filter(|run| run.kept_by.is_empty()).count();
        message = format!("{message}; {gone} runs and {} contents pruned", pruned.deleted);
    }
    Ok(message)
}

/// Copies new database backups into the archive.
async fn dumps(tools: Arc<Tools>, order: Order) -> Result<String, String> {
    let spec = plan(&tools, &order.plan).await?;
    let archiver =
        tools.archiver(&order.plan, &spec, &order.stop).map_err(|error| Chain(&error).to_string())?;
    let capture = Capture { tools: &tools, plan: &order.plan, spec: &spec, stop: &order.stop };
    let copies = capture.dumps(&archiver).boxed().await.map_err(|error| Chain(&error).to_string())?;
    let refused = if copies.refused.is_empty() {
        String::new()
    } else {
        format!("; refused: {}", copies.refused.join("; "))
    };
    Ok(format!("{} backups copied, {} were there already{refused}", copies.copied.len(), copies.kept))
}

async fn plan(tools: &Tools, name: &str) -> Result<RecoveryPlanSpec, String> {
    let row = tools.store.plan(name).await.map_err(|error| Chain(&error).to_string())?;
    let row = row.ok_or_else(|| format!("plan {name} is gone"))?;
    RecoveryPlanSpec::from_json(row.spec).map_err(|problems| {
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        format!("plan {name} cannot be read: {}", problems.join("; "))
    })
}
