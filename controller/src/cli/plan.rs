//! `reprise plan PLAN`: the dry run.

use reprise_crds::RecoveryPlanSpec;
use serde_json::json;

use super::file::{self, Parts};
use super::{CliError, Common, Format, exit, output};
use crate::recovery::cut::Cut;
use crate::recovery::dry_run::{PlannedStep, dry_run};
use crate::recovery::graph::Graph;

/// Arguments of `plan`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The plan
    plan: String,
    #[command(flatten)]
    parts: Parts,
}

pub(super) async fn run(common: &Common, args: &Args) -> Result<u8, CliError> {
    let store = common.store().await?;
    let Some(row) = store.plan(&args.plan).await? else {
        let names = store.plans().await?.into_iter().map(|plan| plan.name).collect();
        return Err(CliError::NotFound { kind: "plan", name: args.plan.clone(), names });
    };
    let invalid = |problems| CliError::Invalid { what: format!("plan {}", args.plan), problems };
    let plan = RecoveryPlanSpec::from_json(row.spec).map_err(invalid)?;
    let mut spec = json!({});
    args.parts.write(&mut spec)?;
    let request = file::check(&args.plan, &spec)?;
    let of_scope = |problems| CliError::Invalid { what: "the scope".to_owned(), problems };
    let (plan, cut) = Cut::of(&plan, &request, "xxxxxx").map_err(of_scope)?;
    let steps = dry_run(&plan, &cut, &Graph::compile(&plan, &cut));
    match common.output {
        Format::Json => output::json(&steps)?,
        Format::Text => print(&steps)?,
    }
    Ok(exit::OK)
}

fn print(steps: &[PlannedStep]) -> Result<(), CliError> {
    let mut milestone = "";
    for step in steps {
        if step.milestone != milestone {
            milestone = step.milestone;
            output::line(milestone)?;
        }
        let needs = if step.needs.is_empty() {
            String::new()
        } else {
            format!("  (after {})", step.needs.join(", "))
        };
        output::line(format!("  {}{needs}", step.step))?;
        for call in &step.calls {
            let mark = if call.changes { '!' } else { ' ' };
            output::line(format!("    {mark} {:<10} {}", call.to, call.call))?;
        }
    }
    output::line(
        "\nNothing was sent. Calls marked ! change something; a resource that is there already and ours is adopted, not made twice.",
    )
}
