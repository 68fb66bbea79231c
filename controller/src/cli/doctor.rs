//! `reprise doctor [PLAN]`: would a recovery work now? Everything is looked at, nothing is changed.

use serde_json::json;

use super::desk::Configured;
use super::{CliError, Common, Format, desk, exit, output};
use crate::preflight::{Check, Finding, Grade, Preflight, Score};

/// Arguments of `doctor`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The plan [default: all of them]
    plan: Option<String>,
    #[command(flatten)]
    configured: Configured,
}

pub(super) async fn run(common: &Common, args: &Args) -> Result<u8, CliError> {
    let store = common.store().await?;
    let names = match &args.plan {
        Some(plan) => vec![plan.clone()],
        None => store.plans().await?.into_iter().map(|plan| plan.name).collect(),
    };
    let tools = args.configured.tools(common, store)?;
    let mut worst = Grade::Good;
    let mut documents = Vec::new();
    for name in &names {
        let findings = match desk::plan(&tools.store, name).await {
            Ok(spec) => Box::pin(Preflight { tools: &tools, plan: name, spec: &spec }.look()).await,
            // The other plans are looked at all the same.
            Err(CliError::Invalid { problems, .. }) => vec![unreadable(&problems)],
            Err(error) => return Err(error),
        };
        let score = Score::of(&findings);
        worst = worst.max(score.worst);
        match common.output {
            Format::Json => documents.push(json!({ "plan": name, "score": score, "findings": findings })),
            Format::Text => print(name, score, &findings)?,
        }
    }
    if common.output == Format::Json {
        output::json(&documents)?;
    }
    Ok(if worst <= Grade::Warning { exit::OK } else { exit::FAILED })
}

/// That this release cannot read the plan, so that nobody works on it.
fn unreadable<P: ToString>(problems: &[P]) -> Finding {
    let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
    let message =
        format!("this release cannot read the plan: {}; correct it and apply it again", problems.join("; "));
    Finding { check: Check::References, grade: Grade::Bad, message, until: None }
}

fn print(plan: &str, score: Score, findings: &[Finding]) -> Result<(), CliError> {
    output::line(format!("{plan}: {score}"))?;
    let cells = |finding: &Finding| {
        vec![format!("  {}", finding.check.name()), finding.grade.name().to_owned(), finding.message.clone()]
    };
    output::table(&["  CHECK", "GRADE", "WHAT WAS SEEN"], &findings.iter().map(cells).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_that_cannot_be_read_is_bad_and_says_why() {
        let found = unreadable(&["archive: not an object", "apps: missing"]);
        assert_eq!(found.grade, Grade::Bad);
        assert!(found.message.contains("archive: not an object; apps: missing"), "{}", found.message);
    }
}
