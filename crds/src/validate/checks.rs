//! Rules about data checks.

use std::collections::BTreeSet;

use crate::plan::{Expectation, RecoveryPlanSpec};
use crate::problem::{At, Report};

pub(super) fn check(plan: &RecoveryPlanSpec, at: &At, report: &mut Report) {
    object_keys(plan, at, report);
    let at = at.member("dataChecks");
    let mut seen = BTreeSet::new();
    for (index, check) in plan.data_checks.iter().enumerate() {
        let at = at.item(index);
        let name = at.member("name");
        if check.name.trim().is_empty() {
            report.add(&name, "is blank");
        } else if !seen.insert(check.name.as_str()) {
            report.add(&name, "is the name of two checks");
        }
        sql(&check.sql, &at.member("sql"), report);
        expectation(&check.expect, &at.member("expect"), report);
    }
}

fn object_keys(plan: &RecoveryPlanSpec, at: &At, report: &mut Report) {
    let at = at.member("objectKeys");
    if !plan.object_keys.is_empty() && plan.archive.is_none() {
        report.add_with_hint(
            &at,
            "there is no archive to hold them against",
            "add `archive:`, or leave it out",
        );
    }
    for (index, keys) in plan.object_keys.iter().enumerate() {
        let at = at.item(index);
        let named = keys.table.split_once('.').is_some_and(|(schema, table)| {
            !schema.trim().is_empty() && !table.trim().is_empty() && !table.contains('.')
        });
        if !named {
            report.add_with_hint(
                &at.member("table"),
                "is not SCHEMA.TABLE",
                "for example `public.documents`",
            );
        }
        if keys.column.trim().is_empty() {
            report.add(&at.member("column"), "is blank");
        }
    }
}

/// The database enforces that a check only reads; this is to say it early.
fn sql(text: &str, at: &At, report: &mut Report) {
    let first = text.trim_start().split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
    if text.trim().is_empty() {
        report.add(at, "is blank");
    } else if !["select", "with", "values", "table"].contains(&first.to_ascii_lowercase().as_str()) {
        report.add_with_hint(at, "is not a query", "a check only asks: start with SELECT");
    }
}

fn expectation(expect: &Expectation, at: &At, report: &mut Report) {
    let Expectation { equals, at_least, at_most, not_empty } = expect;
    let range = at_least.is_some() || at_most.is_some();
    match usize::from(equals.is_some()) + usize::from(range) + usize::from(not_empty.is_some()) {
        0 => report.add_with_hint(at, "expects nothing", "give one of equals, atLeast, atMost, notEmpty"),
        1 => {}
        _ => report.add(at, "expects different kinds of things at once: equals, a range, or notEmpty"),
    }
    if at_least.zip(*at_most).is_some_and(|(least, most)| least > most) {
        report.add(&at.member("atMost"), "is less than atLeast, so nothing can be right");
    }
    if *not_empty == Some(false) {
        report.add_with_hint(&at.member("notEmpty"), "is false, which expects nothing", "leave it out");
    }
}
