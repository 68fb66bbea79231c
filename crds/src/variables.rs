//! From a plan and a repository's template to the variables of one app.
//!
//! A template is written for a developer's machine, so what its lines mean for production must be decided once:
//!
//! | Line | Meaning |
//! |---|---|
//! | `NAME=` | not set, unless the plan gives a value; an error if `required` lists it and nothing gives one |
//! | `# NAME=…` | the same: optional |
//! | `NAME=default` | needed: the plan must give a value, or list it under `keepDefaults` or under `unset` |
//! | not in the template | set if the plan gives a value |
//!
//! Why a filled-in default is never simply taken over: it says `localhost`, `DEBUG=True` or `my-secret-key`. An app that
//! starts with such a value looks recovered and is not, or is open to everybody. Why it is never simply left out
//! either: the app reads that name, and the template says that it should have a value. So a person decides once, in the
//! plan, for each of them, long before the day it matters; those that are undecided are all told at once, before
//! anything is deployed.
//!
//! Names that the platform sets itself (`PORT`, …) are passed over in a template and refused in a plan.
//!
//! Nothing is read or computed here: the result says where each value comes from.

use std::collections::{BTreeMap, BTreeSet};

use crate::plan::{AppSpec, Computed, DrillPolicy, Policy, RecoveryPlanSpec, Variable};
use crate::problem::{At, Problem, Report};
use crate::request::Mode;
use crate::template::{Entry, Template};
use crate::text::Reference;
pub use crate::validate::variables::is_reserved;

/// Where the value of one variable comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Planned {
    /// From the plan or the template, letter for letter.
    Literal(String),
    /// To be read by the controller, which must refuse a blank one: the platform does.
    Reference(Reference),
    /// To be computed by the controller.
    Computed(Computed),
    /// As the app had it that is replaced.
    Kept,
    /// A new secret.
    Generated {
        /// All apps have the same.
        shared: bool,
    },
    /// To be given by a person.
    Asked,
}

/// The variables of one app.
///
/// `template` is the app's own, read at the commit that will be deployed; `None` if the plan names none. In a drill, only
/// computed and regenerated values and those marked `drill: keep` are let through.
///
/// Errors: every problem at once. The plan itself is taken as validated.
///
/// ```
/// # use reprise_crds::{template, variables, Mode, RecoveryPlan};
/// # let text = include_str!("../../deploy/examples/apilos.yaml");
/// let plan = RecoveryPlan::parse_yaml(text).unwrap().spec;
/// let template = template::parse("NEW_KEY=change-me\n");
/// let problems = variables::resolve(&plan, &plan.apps[0], Some(&template), Mode::Recover).unwrap_err();
/// assert_eq!(problems[0].path, ".env.template:1");
/// ```
pub fn resolve(
    plan: &RecoveryPlanSpec,
    app: &AppSpec,
    template: Option<&Template>,
    mode: Mode,
) -> Result<BTreeMap<String, Planned>, Vec<Problem>> {
    let mut report = Report::default();
    let file = At::root(plan.variables.template.as_deref().unwrap_or("template"));
    let mut planned = given(plan, app, mode, &mut report);
    if let Some(template) = template {
        for bad in &template.bad {
            let hint = "mend the line, or take variables.template out of the plan";
            report.push(Problem::new(place(&file, bad.line), bad.reason).hint(hint));
        }
        let names: BTreeSet<&str> = template.entries.iter().map(|entry| entry.name.as_str()).collect();
        for entry in names.into_iter().filter_map(|name| template.get(name)) {
            if let Some(value) = decide(entry, plan, app, mode, &file, &mut report) {
                planned.insert(entry.name.clone(), value);
            }
        }
    }
    missing(plan, app, &planned, mode, &mut report);
    report.finish(planned)
}

fn place(file: &At, line: usize) -> String {
    format!("{}:{line}", file.as_str())
}

/// The names of the variables of `app` whose values are those of the app that it replaces.
pub fn kept(plan: &RecoveryPlanSpec, app: &AppSpec) -> BTreeSet<String> {
    let mut given = given(plan, app, Mode::Recover, &mut Report::default());
    given.retain(|_, planned| *planned == Planned::Kept);
    given.into_keys().collect()
}

/// What the plan gives: for all apps, then for this one.
fn given(
    plan: &RecoveryPlanSpec,
    app: &AppSpec,
    mode: Mode,
    report: &mut Report,
) -> BTreeMap<String, Planned> {
    let all = plan
        .variables
        .values
        .iter()
        .filter(|(name, _)| !app.variables.contains_key(*name) && !app.unset.contains(name));
    let mut planned = BTreeMap::new();
    for (name, variable) in all.chain(&app.variables).filter(|(_, variable)| reaches(variable, mode)) {
        match source(variable, plan.variables.shared.contains(name)) {
            Some(value) => {
                planned.insert(name.clone(), value);
            }
            None => report.push(Problem::new(name, "has no value")),
        }
    }
    planned
}

fn reaches(variable: &Variable, mode: Mode) -> bool {
    let own = variable.computed.is_some() || variable.policy == Some(Policy::Regenerate);
    mode == Mode::Recover || own || variable.drill == DrillPolicy::Keep
}

fn source(variable: &Variable, shared: bool) -> Option<Planned> {
    let literal = variable.value.as_ref().map(|value| Planned::Literal(value.to_string()));
    let reference = || variable.from.as_ref().map(|from| Planned::Reference(from.reference().clone()));
    let policy = || {
        variable.policy.map(|policy| match policy {
            Policy::Keep => Planned::Kept,
            Policy::Regenerate => Planned::Generated { shared },
            Policy::Ask => Planned::Asked,
        })
    };
    literal.or_else(reference).or_else(|| variable.computed.map(Planned::Computed)).or_else(policy)
}

/// What an entry of the template adds to what the plan gives.
fn decide(
    entry: &Entry,
    plan: &RecoveryPlanSpec,
    app: &AppSpec,
    mode: Mode,
    file: &At,
    report: &mut Report,
) -> Option<Planned> {
    let name = &entry.name;
    let default = entry.default.as_ref().filter(|_| !entry.commented && !is_reserved(name))?;
    let variables = &plan.variables;
    let unset = variables.unset.contains(name) || app.unset.contains(name);
    if unset || variables.values.contains_key(name) || app.variables.contains_key(name) {
        return None;
    }
    if variables.keep_defaults.contains(name) {
        // A drill sees only what the plan lets through by name, and nobody has looked at defaults for that.
        return (mode == Mode::Recover).then(|| Planned::Literal(default.clone()));
    }
    let message = format!("{name} has a default for development, and the plan says nothing about it");
    let hint =
        "give it a value in variables.values, or list it under variables.keepDefaults or variables.unset";
    report.push(Problem::new(place(file, entry.line), message).hint(hint));
    None
}

/// What is required must be there in the end, in a drill too.
fn missing(
    plan: &RecoveryPlanSpec,
    app: &AppSpec,
    planned: &BTreeMap<String, Planned>,
    mode: Mode,
    report: &mut Report,
) {
    for (index, name) in
        plan.variables.required.iter().enumerate().filter(|(_, name)| !planned.contains_key(*name))
    {
        let at = At::root("spec").member("variables").member("required").item(index);
        let given = plan.variables.values.contains_key(name)
            || app.variables.contains_key(name)
            || plan.variables.keep_defaults.contains(name);
        let (message, hint) = if given && mode == Mode::Drill {
            ("does not reach a drill", "give it a value that is marked drill: keep")
        } else {
            ("has no value", "give it one in variables.values or in the app's variables")
        };
        report.add_with_hint(&at, format!("{name} is required by {}, but {message}", app.name), hint);
    }
}

#[cfg(test)]
mod tests;
