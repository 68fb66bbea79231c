//! Rules about the target.

use std::collections::BTreeSet;

use super::{names, settings};
use crate::plan::{Formation, RecoveryPlanSpec, TargetBucket};
use crate::problem::{At, Report};
use crate::text::Setting;

pub(super) fn check(plan: &RecoveryPlanSpec, at: &At, report: &mut Report) {
    let (target, at) = (&plan.target, at.member("target"));
    for (field, wrong) in [
        ("region", names::code(&target.region)),
        ("project", names::project(&target.project)),
        ("stack", target.stack.as_deref().and_then(names::code)),
        ("readOnlyUser", target.read_only_user.as_deref().and_then(names::database_user)),
    ] {
        if let Some(wrong) = wrong {
            report.add(&at.member(field), wrong);
        }
    }
    addon_plan("postgresql", &target.postgresql.plan, &at.member("postgresql").member("plan"), report);
    if target.postgresql.version.as_deref().is_some_and(|version| !is_version(version)) {
        let at = at.member("postgresql").member("version");
        report.add_with_hint(&at, "is not a version", "write it in quotes: \"15\"");
    }
    if let Some(redis) = &target.redis {
        addon_plan("redis", &redis.plan, &at.member("redis").member("plan"), report);
    }
    bucket(plan, &at.member("bucket"), report);
    collaborators(&target.collaborators, &at.member("collaborators"), report);
    formation(&target.formation, &at.member("formation"), report);
}

fn is_version(version: &str) -> bool {
    version.starts_with(|c: char| c.is_ascii_digit())
        && version.len() <= 32
        && version.chars().all(|c| c.is_ascii_digit() || c == '.' || c == '-')
}

fn addon_plan(provider: &str, plan: &str, at: &At, report: &mut Report) {
    let hint = format!("take a paid plan, for example {provider}-starter-512");
    if plan.trim().is_empty() {
        report.add_with_hint(at, "is blank", hint);
    } else if names::is_free_plan(plan) {
        report.add_with_hint(at, "is a free plan, which the platform silently replaces by another", hint);
    } else if names::code(plan).is_some() || !plan.starts_with(&format!("{provider}-")) {
        report.add_with_hint(at, format!("is not a plan of the addon {provider}"), hint);
    }
}

fn bucket(plan: &RecoveryPlanSpec, at: &At, report: &mut Report) {
    let Some(bucket) = &plan.target.bucket else {
        if !plan.source.objects.is_empty() {
            report.add(at, "is missing, but source.objects has documents to put into it");
        }
        return;
    };
    let TargetBucket { name, endpoint, region, .. } = bucket;
    if let Some(wrong) = names::bucket(name) {
        report.add(&at.member("name"), wrong);
    }
    settings::check(endpoint, settings::endpoint, &at.member("endpoint"), report);
    settings::check(region, names::code, &at.member("region"), report);
    if plan.source.objects.is_empty() && !report.is_placeholder("spec.source.objects") {
        report.add(at, "would stay empty, since source.objects names no copy of the documents");
    }
    let own = (endpoint.as_str(), name.as_str());
    if stores(plan).any(|(endpoint, name)| (endpoint.as_str(), name.as_str()) == own) {
        report.add_with_hint(
            &at.member("name"),
            "is a bucket that the documents come from",
            "a recovery fills a new bucket and never touches an old one",
        );
    }
}

/// Every bucket that is only read: endpoint and name.
fn stores(plan: &RecoveryPlanSpec) -> impl Iterator<Item = (&Setting, &Setting)> {
    let production = plan.source.bucket.as_ref().map(|bucket| (&bucket.endpoint, &bucket.name));
    let mirrors = plan.source.objects.iter().filter_map(|object| object.mirror.as_ref());
    let mirrors = mirrors.map(|mirror| (&mirror.endpoint, &mirror.bucket));
    production.into_iter().chain(mirrors).filter(|(_, name)| !name.as_str().is_empty())
}

fn collaborators(addresses: &[String], at: &At, report: &mut Report) {
    let mut seen = BTreeSet::new();
    for (index, address) in addresses.iter().enumerate() {
        if let Some(wrong) = names::email(address) {
            report.add(&at.item(index), wrong);
        } else if !seen.insert(address.to_lowercase()) {
            report.add(&at.item(index), "is invited twice");
        }
    }
}

/// Rules about containers, of the estate and of one app.
pub(super) fn formation(formation: &Formation, at: &At, report: &mut Report) {
    for (process, containers) in formation {
        if let Some(wrong) = names::process(process) {
            report.add(&at.member(process), wrong);
        }
        if process == "web" && containers.amount == 0 {
            report.add_with_hint(
                &at.member("web").member("amount"),
                "is 0, so the app could never answer",
                "give at least 1",
            );
        }
    }
}
