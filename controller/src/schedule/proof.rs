//! What starts [`Job::Freshness`](super::job::Job::Freshness): new backups are taken up the ladder of evidence.

use std::sync::Arc;

use reprise_crds::RecoveryPlanSpec;

use super::job::{Order, Work};
use crate::proof::{ProofError, Prover, Which};
use crate::recovery::tools::Tools;
use crate::runtime::chain::Chain;

/// The starter.
pub fn job(tools: Arc<Tools>) -> impl Fn(Order) -> Work + Send + Sync + 'static {
    move |order| {
        let tools = Arc::clone(&tools);
        Box::pin(async move { run(&tools, &order).await.map_err(|error| Chain(&error).to_string()) })
    }
}

async fn run(tools: &Tools, order: &Order) -> Result<String, ProofError> {
    let row = tools.store.plan(&order.plan).await?;
    let row = row.ok_or_else(|| ProofError::NoPlan(order.plan.clone()))?;
    let spec = RecoveryPlanSpec::from_json(row.spec).map_err(|problems| ProofError::Plan {
        plan: order.plan.clone(),
        problems: problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
    })?;
    let prover = Prover { tools, plan: &order.plan, spec: &spec, by: "scheduled proof", keys: None };
    let summary = Box::pin(prover.run(&Which::Due, &order.stop, |_| {})).await?;
    summary.outcome()
}
