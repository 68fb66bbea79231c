//! Can this request be run at all? Everything that can be known before the first effect is checked here, all of it at once.

use std::collections::BTreeMap;

use reprise_crds::{Mode, Part, Problem, RecoveryPlanSpec, RecoveryRequestSpec, Reference, Scope};
use serde_json::{Value, json};

use super::cut::Cut;
use super::graph::Graph;
use super::rehearsal;
use crate::config::{Config, References};
use crate::store::RequestRow;

/// What is known of a request's plan: specs, unvalidated.
#[derive(Debug, Clone, Default)]
pub struct Plans {
    /// As it is today; `None` if there is no such plan.
    pub today: Option<Value>,
    /// As it was when the request was accepted; `None` before that.
    pub kept: Option<Value>,
}

/// A request that can be run.
#[derive(Debug)]
pub struct Accepted {
    /// The plan, valid, as its cut has it.
    pub plan: RecoveryPlanSpec,
    /// What of it is brought back, and the apps that are there already.
    pub cut: Cut,
    /// What has to be done.
    pub graph: Graph,
    /// For real, or as a rehearsal; the plan and the graph are then the rehearsal's.
    pub mode: Mode,
}

/// Why a request cannot be run; a person has to change something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// One word, `PascalCase`.
    pub reason: &'static str,
    /// A sentence with every problem in it.
    pub message: String,
}

impl Plans {
    /// What a request of this mode runs. A drill proves the plan that it was accepted with; a recovery follows the plan, so that a
    /// person can mend it on the way.
    pub fn to_run(&self, mode: Mode) -> Option<&Value> {
        let kept = self.kept.as_ref().filter(|_| mode == Mode::Drill);
        kept.or(self.today.as_ref())
    }
}

/// Checks the request, its plan, every reference of the plan, and that the daemon knows every provider that it needs.
pub fn accept(
    row: &RequestRow,
    plans: &Plans,
    references: &References,
    config: &Config,
) -> Result<Accepted, Refusal> {
    let request = request(row)?;
    let Some(plan) = plans.to_run(request.mode) else {
        return Err(Refusal {
            reason: "PlanNotFound",
            message: format!("there is no plan called {}", row.plan),
        });
    };
    let plan = RecoveryPlanSpec::from_json(plan.clone())
        .map_err(|problems| refusal("InvalidPlan", &format!("plan {}", row.plan), &problems))?;
    let problems = unconfigured(&plan, references, config);
    if !problems.is_empty() {
        return Err(refusal("NotConfigured", "the daemon", &problems));
    }
    accepted(row, &request, &plan).map_err(|problems| refusal("ScopeNotUsable", "the scope", &problems))
}

/// What a request that was accepted once is closed with, whatever has become of it, of its plan and of what that refers to: undoing
/// takes what the ledger proves to be ours, and where it lies does not change. `None` for a request that was never accepted.
pub fn to_close(row: &RequestRow, plans: &Plans) -> Option<Accepted> {
    let (mode, kept) = (mode(row), plans.kept.as_ref()?);
    let today = plans.today.as_ref().filter(|_| mode == Mode::Recover);
    let today = today.and_then(|spec| RecoveryPlanSpec::from_json(spec.clone()).ok());
    // It was valid when it was kept. Rules that came since matter to what is made, and nothing is.
    let plan = today.or_else(|| serde_json::from_value(kept.clone()).ok())?;
    if plan.apps.is_empty() {
        return None;
    }
    let whole = || RecoveryRequestSpec {
        plan: row.plan.clone(),
        mode,
        scope: Scope::default(),
        targets: BTreeMap::new(),
        reason: None,
    };
    let asked = request(row).ok().and_then(|asked| accepted(row, &asked, &plan).ok());
    asked.or_else(|| accepted(row, &whole(), &plan).ok())
}

/// What a stored request is, also where the rest of its spec cannot be read.
pub(super) fn mode(row: &RequestRow) -> Mode {
    let drill = row.spec.get("mode").is_some_and(|mode| mode == "drill");
    if drill { Mode::Drill } else { Mode::Recover }
}

/// What makes names of this request's own.
fn suffix(row: &RequestRow) -> String {
    rehearsal::suffix(&row.name, row.created_at)
}

fn accepted(
    row: &RequestRow,
    request: &RecoveryRequestSpec,
    plan: &RecoveryPlanSpec,
) -> Result<Accepted, Vec<Problem>> {
    let (mode, suffix) = (request.mode, suffix(row));
    let rehearsed = (mode == Mode::Drill).then(|| rehearsal::rehearsed(plan, &suffix));
    let (plan, cut) = Cut::of(rehearsed.as_ref().unwrap_or(plan), request, &suffix)?;
    let graph = Graph::compile(&plan, &cut);
    let graph = if mode == Mode::Drill { graph.rehearsed() } else { graph };
    Ok(Accepted { plan, cut, graph, mode })
}

fn request(row: &RequestRow) -> Result<RecoveryRequestSpec, Refusal> {
    let mut spec = match &row.spec {
        Value::Object(fields) => Value::Object(fields.clone()),
        Value::Null => json!({}),
        _ => return Err(Refusal { reason: "InvalidSpec", message: "spec is not a JSON object".to_owned() }),
    };
    spec["plan"] = row.plan.clone().into();
    let request = RecoveryRequestSpec::from_json(spec)
        .map_err(|problems| refusal("InvalidSpec", "the request", &problems))?;
    if request.mode == Mode::Drill && !request.scope.is_whole() && !is_apart(&request) {
        let message = "a drill touches no live app, so it rehearses a whole recovery, or `database` and `bucket`: an app alone would use, and \
                       migrate, the database that is there, and names alone would be led away from the apps that have them";
        return Err(Refusal { reason: "ScopeNotSupported", message: message.to_owned() });
    }
    Ok(request)
}

/// Whether what is in scope can be made without anything that lives.
fn is_apart(request: &RecoveryRequestSpec) -> bool {
    let apart = |part| matches!(part, Part::Database | Part::Bucket);
    request.targets.is_empty() && request.scope.parts().all(apart)
}

fn refusal(reason: &'static str, what: &str, problems: &[Problem]) -> Refusal {
    let listed: Vec<String> = problems.iter().map(ToString::to_string).collect();
    Refusal { reason, message: format!("{what} cannot be used: {}", listed.join("; ")) }
}

/// What of the plan the daemon lacks: references that lead nowhere, providers that it does not know.
pub(crate) fn unconfigured(
    plan: &RecoveryPlanSpec,
    references: &References,
    config: &Config,
) -> Vec<Problem> {
    let mut problems = unresolved(plan, references);
    problems.extend(missing_providers(config));
    problems
}

/// Where backups are proven is no recovery's concern: on the bad day that address may be gone, and nothing waits for it.
const PROOF: &str = "spec.proof.server";

/// Every `env:` and `file:` reference of the plan that leads nowhere, with its path.
fn unresolved(plan: &RecoveryPlanSpec, references: &References) -> Vec<Problem> {
    let problem = |(path, reference): (String, Reference)| {
        let error = references.resolve(&reference).err()?;
        Some(Problem::new(path, crate::runtime::chain::Chain(&error).to_string()))
    };
    references_of(plan).into_iter().filter(|(path, _)| path != PROOF).filter_map(problem).collect()
}

/// Every `env:` and `file:` reference of the plan, with its path. Walks the document, so that no field is forgotten.
pub(crate) fn references_of(plan: &RecoveryPlanSpec) -> Vec<(String, Reference)> {
    let mut found = Vec::new();
    if let Ok(document) = serde_json::to_value(plan) {
        walk(&document, "spec", &mut found);
    }
    found
}

fn walk(value: &Value, path: &str, found: &mut Vec<(String, Reference)>) {
    match value {
        Value::String(text) => found.extend(text.parse().ok().map(|reference| (path.to_owned(), reference))),
        // A literal value of a variable is not a reference, whatever it looks like.
        Value::Object(fields) => {
            for (name, value) in fields.iter().filter(|(name, _)| *name != "value") {
                walk(value, &format!("{path}.{name}"), found);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                walk(value, &format!("{path}[{index}]"), found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn missing_providers(config: &Config) -> Vec<Problem> {
    let needs = |there: bool, name: &str, what: &str| {
        (!there).then(|| Problem::new(name, format!("is not set, so {what} cannot be reached")))
    };
    [
        needs(config.scalingo.is_some(), "SCALINGO_API_TOKEN", "the platform"),
        needs(config.alwaysdata.is_some(), "ALWAYSDATA_API_KEY", "the DNS provider"),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests {
    use reprise_crds::{Milestone, Phase, RecoveryPlan};

    use super::request as request_of;
    use super::*;
    use crate::recovery::evidence::tests::request;

    fn example(region: &str) -> Value {
        let text = include_str!("../../../deploy/examples/apilos.yaml");
        let mut plan = RecoveryPlan::parse_yaml(text).expect("the example is valid").spec;
        region.clone_into(&mut plan.target.region);
        serde_json::to_value(plan).expect("JSON")
    }

    #[test]
    fn where_backups_are_proven_is_no_recovery_s_concern() {
        let mut spec = example("osc-fr1");
        spec["proof"]["server"] = "env:PROOF_SERVER".into();
        let plan: RecoveryPlanSpec = serde_json::from_value(spec).expect("a plan");
        let problems = unresolved(&plan, &References::new([]));
        assert!(!problems.is_empty() && problems.iter().all(|one| !one.to_string().contains("PROOF_SERVER")));
        assert!(
            references_of(&plan).iter().any(|(path, _)| path == PROOF),
            "its change ends a proof all the same"
        );
    }

    fn row(spec: Value) -> RequestRow {
        RequestRow { spec, ..request(Milestone::Restored, Phase::Running) }
    }

    #[test]
    fn a_drill_of_a_part_makes_what_is_its_own_and_nothing_that_touches_a_live_app() {
        let asked = |spec| request_of(&row(spec)).err().map(|refusal| refusal.reason);
        for scope in ["database", "bucket"] {
            assert_eq!(asked(json!({ "mode": "drill", "scope": scope })), None, "{scope}");
        }
        for spec in [
            json!({ "mode": "drill", "scope": "app" }),
            json!({ "mode": "drill", "scope": ["database", "app"] }),
            json!({ "mode": "drill", "scope": "dns", "targets": { "apilos-siap-pra": "apilos-siap" } }),
            json!({ "mode": "drill", "scope": "database", "targets": { "apilos-siap-pra": "apilos-siap" } }),
        ] {
            assert_eq!(asked(spec.clone()), Some("ScopeNotSupported"), "{spec}");
        }
        let plans = Plans { today: None, kept: Some(example("osc-fr1")) };
        let part =
            to_close(&row(json!({ "mode": "drill", "scope": "database" })), &plans).expect("it was accepted");
        let kinds: Vec<&str> = part.graph.steps().map(super::super::step::Step::kind).collect();
        assert!(kinds.contains(&"restore") && kinds.contains(&"inventory"), "{kinds:?}");
        assert!(
            ["target", "switch", "health", "deploy"].iter().all(|kind| !kinds.contains(kind)),
            "{kinds:?}"
        );
        let names: Vec<&str> = part.plan.apps.iter().map(|app| app.name.as_str()).collect();
        assert!(names.len() == 1 && names[0].contains("-db-drill-"), "{names:?}");
    }

    #[test]
    fn a_drill_is_closed_by_what_it_was_accepted_with_whatever_is_unreadable_since() {
        let plans = Plans { today: Some(json!({})), kept: Some(example("osc-fr1")) };
        let drill = row(json!({ "mode": "drill", "nonsense": 7 }));
        let closing = to_close(&drill, &plans).expect("it was accepted");
        assert_eq!((closing.mode, closing.plan.target.region.as_str()), (Mode::Drill, "osc-fr1"));
        assert!(closing.plan.target.project.contains("-drill-"), "{}", closing.plan.target.project);
        assert!(to_close(&drill, &Plans { kept: None, ..plans }).is_none(), "it has made nothing");
    }

    #[test]
    fn a_recovery_follows_its_plan_and_a_drill_does_not() {
        let plans = Plans { today: Some(example("osc-secnum-fr1")), kept: Some(example("osc-fr1")) };
        let region = |spec| to_close(&row(spec), &plans).expect("it was accepted").plan.target.region;
        assert_eq!(region(json!({})), "osc-secnum-fr1");
        assert_eq!(region(json!({ "mode": "drill" })), "osc-fr1");
        assert_eq!(plans.to_run(Mode::Recover), plans.today.as_ref());
        assert_eq!(plans.to_run(Mode::Drill), plans.kept.as_ref());
    }
}
