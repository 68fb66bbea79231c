//! Rules about a request.

use std::collections::BTreeSet;

use serde_json::Value;

use super::names;
use crate::problem::{At, Report};
use crate::request::{Part, RecoveryRequestSpec};

/// The longest reason, in characters.
const REASON: usize = 1024;

/// A scope of one word may be written without a list.
pub(super) fn list_scope(spec: &mut Value) {
    if let Some(scope) = spec.get_mut("scope").filter(|scope| scope.is_string()) {
        *scope = Value::Array(vec![scope.take()]);
    }
}

pub(super) fn check(spec: &RecoveryRequestSpec, at: &At, report: &mut Report) {
    if let Some(wrong) = names::object(&spec.plan) {
        report.add(&at.member("plan"), wrong);
    }
    if spec.scope.is_empty() {
        report.add(&at.member("scope"), "is empty");
    }
    targets(spec, &at.member("targets"), report);
    if spec.reason.as_ref().is_some_and(|reason| reason.chars().count() > REASON) {
        report.add(&at.member("reason"), format!("is longer than {REASON} characters"));
    }
}

/// Which of them are the plan's is looked at where the plan is known.
fn targets(spec: &RecoveryRequestSpec, at: &At, report: &mut Report) {
    if spec.targets.is_empty() {
        return;
    }
    let about_apps = [Part::Database, Part::App, Part::Dns].iter().any(|part| spec.scope.includes(*part));
    if spec.scope.is_whole() || !about_apps {
        let hint = "give a scope of database, app or dns, or no targets";
        report.add_with_hint(at, "names existing apps, and nothing in the scope uses them", hint);
    }
    let mut taken = BTreeSet::new();
    for (planned, existing) in &spec.targets {
        let at = at.member(planned);
        if let Some(wrong) = names::app(existing) {
            report.add(&at, wrong);
        }
        if !taken.insert(existing) {
            report.add(&at, "names an app that takes another one's place already");
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn problems(spec: Value) -> Vec<String> {
        let checked = RecoveryRequestSpec::from_json(spec);
        checked.err().unwrap_or_default().into_iter().map(|problem| problem.path).collect()
    }

    #[test]
    fn targets_are_apps_of_their_own_and_of_use_to_the_scope() {
        let spec =
            |scope: Value, targets: Value| json!({ "plan": "apilos", "scope": scope, "targets": targets });
        assert_eq!(problems(spec(json!("dns"), json!({ "front-pra": "front-new" }))), [""; 0]);
        for scope in ["all", "bucket"] {
            assert_eq!(problems(spec(json!(scope), json!({ "front-pra": "front-new" }))), ["spec.targets"]);
        }
        let bad = json!({ "front-pra": "No", "one-pra": "shared", "two-pra": "shared" });
        assert_eq!(problems(spec(json!(["dns"]), bad)), ["spec.targets.front-pra", "spec.targets.two-pra"]);
    }
}
