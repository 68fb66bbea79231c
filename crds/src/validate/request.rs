//! Rules about a request.

use serde_json::Value;

use super::names;
use crate::problem::{At, Report};
use crate::request::RecoveryRequestSpec;

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
    if spec.reason.as_ref().is_some_and(|reason| reason.chars().count() > REASON) {
        report.add(&at.member("reason"), format!("is longer than {REASON} characters"));
    }
}
