//! Can this request be run at all? Everything that can be known before the first effect is checked here, all of it at once.

use reprise_crds::{Mode, Part, Problem, RecoveryPlanSpec, RecoveryRequestSpec, Reference};
use serde_json::{Value, json};

use super::graph::Graph;
use super::rehearsal;
use crate::config::{Config, References};
use crate::store::{PlanRow, RequestRow};

/// A request that can be run.
#[derive(Debug)]
pub struct Accepted {
    /// The plan, valid.
    pub plan: RecoveryPlanSpec,
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

/// Checks the request, its plan, every reference of the plan, and that the daemon knows every provider that it needs.
pub fn accept(
    row: &RequestRow,
    plan: Option<PlanRow>,
    references: &References,
    config: &Config,
) -> Result<Accepted, Refusal> {
    let request = request(row)?;
    let Some(plan) = plan else {
        return Err(Refusal {
            reason: "PlanNotFound",
            message: format!("there is no plan called {}", row.plan),
        });
    };
    let plan = RecoveryPlanSpec::from_json(plan.spec)
        .map_err(|problems| refusal("InvalidPlan", &format!("plan {}", row.plan), &problems))?;
    let problems = unconfigured(&plan, references, config);
    if !problems.is_empty() {
        return Err(refusal("NotConfigured", "the daemon", &problems));
    }
    let graph = Graph::compile(&plan, &request.scope);
    Ok(match request.mode {
        Mode::Recover => Accepted { graph, plan, mode: Mode::Recover },
        Mode::Drill => {
            let plan = rehearsal::rehearsed(&plan, &rehearsal::suffix(&row.name, row.created_at));
            Accepted { graph: Graph::compile(&plan, &request.scope).rehearsed(), plan, mode: Mode::Drill }
        }
    })
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
    if request.mode == Mode::Drill && !request.scope.is_whole() {
        let message = "a drill rehearses the whole recovery; file it without a scope".to_owned();
        return Err(Refusal { reason: "ScopeNotSupported", message });
    }
    if !request.scope.is_whole() && request.scope.parts().any(|part| part != Part::Bucket) {
        let message =
            "this release runs the scopes `all` and `bucket`; file a request without a scope".to_owned();
        return Err(Refusal { reason: "ScopeNotSupported", message });
    }
    Ok(request)
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

/// Every `env:` and `file:` reference of the plan that leads nowhere, with its path.
fn unresolved(plan: &RecoveryPlanSpec, references: &References) -> Vec<Problem> {
    let problem = |(path, reference): (String, Reference)| {
        let error = references.resolve(&reference).err()?;
        Some(Problem::new(path, crate::runtime::chain::Chain(&error).to_string()))
    };
    references_of(plan).into_iter().filter_map(problem).collect()
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
