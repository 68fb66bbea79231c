//! The plan's questions, as they are asked. Pure.

use reprise_crds::plan::{DataCheck as PlannedCheck, Expectation as Expected};

use super::{DataCheck, Expectation};

/// The questions of a plan. One of them can hold two bounds; each is asked by itself.
pub fn planned(checks: &[PlannedCheck]) -> Vec<DataCheck> {
    checks.iter().flat_map(one).collect()
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn one(check: &PlannedCheck) -> impl Iterator<Item = DataCheck> {
    let Expected { equals, at_least, at_most, not_empty } = &check.expect;
    let asked = |expectation| DataCheck { name: check.name.clone(), sql: check.sql.clone(), expectation };
    let equals = equals.as_ref().map(|value| asked(Expectation::Equals(value.to_string())));
    let at_least = at_least.map(|bound| asked(Expectation::AtLeast(bound as f64)));
    let at_most = at_most.map(|bound| asked(Expectation::AtMost(bound as f64)));
    let present = (*not_empty == Some(true)).then(|| asked(Expectation::Present));
    [equals, at_least, at_most, present].into_iter().flatten()
}
