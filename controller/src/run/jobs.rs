//! What each scheduled job does.

use std::sync::Arc;

use futures::FutureExt as _;
use reprise_crds::RecoveryPlanSpec;

use crate::capture::Capture;
use crate::recovery::tools::Tools;
use crate::runtime::chain::Chain;
use crate::schedule::job::{Job, Jobs, Order};
use crate::schedule::{drill, proof};

mod archive;

/// What starts each job that this daemon knows.
pub(super) fn jobs(tools: &Arc<Tools>) -> Jobs {
    let (archiving, copying) = (Arc::clone(tools), Arc::clone(tools));
    Jobs::default()
        .with(Job::Archive, move |order| archive::archive(Arc::clone(&archiving), order))
        .with(Job::Dumps, move |order| dumps(Arc::clone(&copying), order))
        .with(Job::Freshness, proof::job(Arc::clone(tools)))
        .with(Job::Drill, drill::job(Arc::clone(tools)))
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
    let told = format!("{} backups copied, {} were there already{refused}", copies.copied.len(), copies.kept);
    if copies.failed.is_empty() { Ok(told) } else { Err(format!("{}; {told}", copies.failed.join("; "))) }
}

async fn plan(tools: &Tools, name: &str) -> Result<RecoveryPlanSpec, String> {
    let row = tools.store.plan(name).await.map_err(|error| Chain(&error).to_string())?;
    let row = row.ok_or_else(|| format!("plan {name} is gone"))?;
    RecoveryPlanSpec::from_json(row.spec).map_err(|problems| {
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        format!("plan {name} cannot be read: {}", problems.join("; "))
    })
}
