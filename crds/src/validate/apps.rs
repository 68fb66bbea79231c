//! Rules about the applications.

use std::collections::BTreeMap;

use super::{names, settings, target};
use crate::plan::{AppSpec, RecoveryPlanSpec};
use crate::problem::{At, Report};

/// The platform's limit of domains of one app.
const DOMAINS: usize = 20;

pub(super) fn check(plan: &RecoveryPlanSpec, at: &At, report: &mut Report) {
    let at = at.member("apps");
    for (index, app) in plan.apps.iter().enumerate() {
        one(app, plan, &at.item(index), report);
    }
    unique(plan, |app| vec![("name", None, app.name.as_str())], &at, report);
    unique(plan, |app| vec![("drillPrefix", None, app.drill_prefix())], &at, report);
    unique(
        plan,
        |app| app.replaces.as_deref().map(|name| ("replaces", None, name)).into_iter().collect(),
        &at,
        report,
    );
    unique(plan, domains, &at, report);
}

fn domains(app: &AppSpec) -> Vec<(&'static str, Option<usize>, &str)> {
    app.domains.iter().enumerate().map(|(index, name)| ("domains", Some(index), name.as_str())).collect()
}

fn one(app: &AppSpec, plan: &RecoveryPlanSpec, at: &At, report: &mut Report) {
    for (field, wrong) in [
        ("name", names::app(&app.name)),
        ("drillPrefix", app.drill_prefix.as_deref().and_then(names::drill_prefix)),
        ("replaces", app.replaces.as_deref().and_then(names::app)),
        ("healthPath", names::url_path(&app.health_path)),
    ] {
        if let Some(wrong) = wrong {
            report.add(&at.member(field), wrong);
        }
    }
    let drillable = app.drill_prefix.is_some() || names::drill_prefix(&app.name).is_none();
    if names::app(&app.name).is_none() && !drillable {
        report.add_with_hint(
            &at.member("name"),
            "is longer than 35 characters, which leaves a drill no room for -drill- and six digits",
            "shorten it, or give a shorter drillPrefix",
        );
    }
    let code = at.member("code");
    settings::check(&app.code.repository, settings::git_repository, &code.member("repository"), report);
    if let Some(wrong) = settings::git_ref(&app.code.git_ref) {
        report.add(&code.member("ref"), wrong);
    }
    hosts(app, &plan.dns.zone, &at.member("domains"), report);
    target::formation(&app.formation, &at.member("formation"), report);
}

fn hosts(app: &AppSpec, zone: &str, at: &At, report: &mut Report) {
    if app.domains.is_empty() {
        report.add_with_hint(at, "names no domain", "give at least one host name below the zone");
    }
    if app.domains.len() > DOMAINS {
        report.add(at, format!("names more than {DOMAINS} domains, the platform's limit"));
    }
    let zone_known = names::host(zone).is_none();
    for (index, domain) in app.domains.iter().enumerate() {
        let at = at.item(index);
        if let Some(wrong) = names::host(domain) {
            report.add(&at, wrong);
        } else if zone_known && domain == zone {
            report.add_with_hint(&at, "is the zone itself, where no CNAME may stand", "take a name below it");
        } else if zone_known && !is_below(domain, zone) {
            report.add(&at, "lies outside the zone of dns.zone");
        }
    }
}

fn is_below(domain: &str, zone: &str) -> bool {
    domain.strip_suffix(zone).is_some_and(|label| label.ends_with('.'))
}

/// Reports what a later app says again. `values` tells the field, the position in it and the text.
fn unique<'a>(
    plan: &'a RecoveryPlanSpec,
    values: impl Fn(&'a AppSpec) -> Vec<(&'static str, Option<usize>, &'a str)>,
    at: &At,
    report: &mut Report,
) {
    let mut seen = BTreeMap::new();
    for (index, app) in plan.apps.iter().enumerate() {
        for (field, position, text) in values(app) {
            let own = at.item(index).member(field);
            let own = position.map_or_else(|| own.clone(), |position| own.item(position));
            let stand_in = text.is_empty()
                || field == "drillPrefix" && app.drill_prefix.is_none() && seen_as_name(plan, index);
            if stand_in || report.is_placeholder(own.as_str()) {
                continue;
            }
            match seen.get(text) {
                Some(first) => report.add(&own, format!("is the same as {first}")),
                None => {
                    seen.insert(text, own.as_str().to_owned());
                }
            }
        }
    }
}

/// Whether the name of this app was told to be a double already, so that its drills need not be told, too.
fn seen_as_name(plan: &RecoveryPlanSpec, index: usize) -> bool {
    let name = plan.apps.get(index).map(|app| &app.name);
    plan.apps.iter().take(index).any(|other| Some(&other.name) == name)
}
