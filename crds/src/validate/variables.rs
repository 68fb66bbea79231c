//! Rules about variables that hold whatever the template says.

use std::collections::{BTreeMap, BTreeSet};

use crate::plan::{AppSpec, DrillPolicy, Needs, Policy, RecoveryPlanSpec, TargetSpec, Variable};
use crate::problem::{At, Report};

mod name;

pub use name::is_reserved;

pub(super) fn check(plan: &RecoveryPlanSpec, at: &At, report: &mut Report) {
    let variables = &plan.variables;
    let here = at.member("variables");
    if let Some(wrong) = variables.template.as_deref().and_then(template) {
        report.add(&here.member("template"), wrong);
    }
    for (field, names) in [
        ("shared", &variables.shared),
        ("required", &variables.required),
        ("keepDefaults", &variables.keep_defaults),
        ("unset", &variables.unset),
    ] {
        list(names, &here.member(field), report);
    }
    values(&variables.values, &plan.target, &here.member("values"), report);
    for (index, app) in plan.apps.iter().enumerate() {
        let at = at.member("apps").item(index);
        list(&app.unset, &at.member("unset"), report);
        with_and_without(app, &at, report);
        values(&app.variables, &plan.target, &at.member("variables"), report);
    }
    shared(plan, at, report);
    required(plan, &here.member("required"), report);
    contradictions(plan, &here, report);
}

/// A path inside the repository.
fn template(path: &str) -> Option<&'static str> {
    if path.trim().is_empty() {
        return Some("is blank");
    }
    let inside = !path.starts_with('/') && path.split('/').all(|part| !matches!(part, "" | "." | ".."));
    let plain = !path.starts_with('-') && !path.contains([':', '\\']) && !path.chars().any(char::is_control);
    (!(inside && plain)).then_some("must be a path inside the repository, for example .env.template")
}

fn list(names: &[String], at: &At, report: &mut Report) {
    let mut seen = BTreeSet::new();
    for (index, name) in names.iter().enumerate() {
        if let Some(wrong) = name::wrong(name) {
            report.add(&at.item(index), wrong);
        } else if !seen.insert(name) {
            report.add(&at.item(index), "is listed twice");
        }
    }
}

fn values(values: &BTreeMap<String, Variable>, target: &TargetSpec, at: &At, report: &mut Report) {
    for (name, variable) in values {
        let at = at.member(name);
        if let Some(wrong) = name::wrong(name) {
            report.add(&at, wrong);
        }
        value(variable, target, &at, report);
    }
}

fn value(variable: &Variable, target: &TargetSpec, at: &At, report: &mut Report) {
    let Variable { value, from, computed, policy, drill } = variable;
    let given = [value.is_some(), from.is_some(), computed.is_some(), policy.is_some()];
    match given.into_iter().filter(|given| *given).count() {
        0 => report.add_with_hint(at, "has no value", "give one of value, from, computed, policy"),
        1 => {}
        _ => report.add_with_hint(at, "has more than one value", "give one of value, from, computed, policy"),
    }
    if *policy == Some(Policy::Ask) && *drill == DrillPolicy::Keep {
        report.add(&at.member("drill"), "cannot be kept: nobody is asked in a drill");
    }
    if let Some(wrong) = value.as_ref().and_then(|literal| name::wrong_value(&literal.to_string())) {
        report.add(&at.member("value"), wrong);
    }
    let missing = match computed.map(crate::plan::Computed::needs) {
        Some(Needs::ReadOnlyUser) if target.read_only_user.is_none() => "readOnlyUser",
        Some(Needs::Redis) if target.redis.is_none() => "redis",
        Some(Needs::Bucket) if target.bucket.is_none() => "bucket",
        Some(Needs::Database | Needs::ReadOnlyUser | Needs::Redis | Needs::Bucket | Needs::App) | None => {
            return;
        }
    };
    if !report.is_placeholder(&format!("spec.target.{missing}")) {
        report.add(&at.member("computed"), format!("cannot be computed without target.{missing}"));
    }
}

/// What is shared is defined once, for all apps.
fn shared(plan: &RecoveryPlanSpec, at: &At, report: &mut Report) {
    let variables = &plan.variables;
    let here = at.member("variables");
    for (index, name) in variables.shared.iter().enumerate() {
        match variables.values.get(name) {
            Some(Variable { computed: Some(computed), .. }) if computed.is_per_app() => {
                let at = here.member("values").member(name).member("computed");
                report.add(&at, "differs from app to app, but the variable is shared");
            }
            Some(_) => {}
            None if variables.keep_defaults.contains(name)
                || report.is_placeholder("spec.variables.values") => {}
            None => report.add_with_hint(
                &here.member("shared").item(index),
                "is shared but has no value",
                "give it one in variables.values",
            ),
        }
    }
    for (index, app) in plan.apps.iter().enumerate() {
        let at = at.member("apps").item(index);
        let again = app.variables.keys().map(|name| (name, at.member("variables").member(name)));
        let without = app.unset.iter().enumerate().map(|(i, name)| (name, at.member("unset").item(i)));
        for (_, at) in again.chain(without).filter(|(name, _)| variables.shared.contains(name)) {
            let message = "is shared, so an app can neither define it again nor do without it";
            report.add_with_hint(&at, message, "take it out here, or out of variables.shared");
        }
    }
}

fn required(plan: &RecoveryPlanSpec, at: &At, report: &mut Report) {
    let variables = &plan.variables;
    for (index, name) in variables.required.iter().enumerate() {
        let for_all = variables.values.contains_key(name) || variables.keep_defaults.contains(name);
        let has = |app: &AppSpec| app.variables.contains_key(name) || for_all && !app.unset.contains(name);
        let lacking: Vec<_> = plan.apps.iter().filter(|app| !has(app)).map(|app| app.name.as_str()).collect();
        // A shared name without a value was reported where it is shared.
        let told = variables.shared.contains(name) || report.is_placeholder("spec.variables.values");
        if !lacking.is_empty() && !told {
            report.add_with_hint(
                &at.item(index),
                format!("is required, but has no value for {}", lacking.join(", ")),
                "give it one in variables.values or in the app's variables",
            );
        }
    }
}

fn contradictions(plan: &RecoveryPlanSpec, at: &At, report: &mut Report) {
    let variables = &plan.variables;
    for (index, name) in variables.keep_defaults.iter().enumerate() {
        if variables.values.contains_key(name) {
            report.add(
                &at.member("keepDefaults").item(index),
                "keeps the template's default, but has a value too",
            );
        }
    }
    for (index, name) in variables.unset.iter().enumerate() {
        let elsewhere = if variables.values.contains_key(name) {
            "values"
        } else if variables.keep_defaults.contains(name) {
            "keepDefaults"
        } else {
            continue;
        };
        let message = format!("is left out on purpose, but also stands in variables.{elsewhere}");
        report.add(&at.member("unset").item(index), message);
    }
}

/// An app cannot both have a variable and do without it.
fn with_and_without(app: &AppSpec, at: &At, report: &mut Report) {
    for (index, _) in app.unset.iter().enumerate().filter(|(_, name)| app.variables.contains_key(*name)) {
        report
            .add(&at.member("unset").item(index), "is left out on purpose, but the app gives it a value too");
    }
}
