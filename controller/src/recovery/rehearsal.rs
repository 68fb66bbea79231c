//! A plan under throwaway names: what a drill runs in place of the plan itself, on the very same path. No I/O.

use chrono::{DateTime, Utc};
use reprise_crds::RecoveryPlanSpec;
use reprise_crds::plan::{AppSpec, ExistingRecord, Formation};
use sha2::{Digest as _, Sha256};

/// The longest part of a host name that comes from the real one: with a hyphen and the suffix it stays a label.
const LONGEST_LABEL: usize = 50;

/// Six hexadecimal digits that belong to one request: the same after a restart, others for a request of the same name elsewhere.
pub fn suffix(request: &str, filed_at: DateTime<Utc>) -> String {
    let digest = Sha256::digest(format!("{request} {}", filed_at.timestamp_micros()));
    hex::encode(digest)[..6].to_owned()
}

/// The plan that the drill with this suffix runs. Nothing in it can reach users or what is real: nobody is invited, nothing is
/// handed over, no app is replaced, only web containers run, names lie in the drills' own subdomain, and a record that is there already is not ours.
pub fn rehearsed(plan: &RecoveryPlanSpec, suffix: &str) -> RecoveryPlanSpec {
    let mut drill = plan.clone();
    drill.target.project = format!("{}-drill-{suffix}", plan.target.project);
    drill.target.collaborators.clear();
    drill.hand_over = None;
    drill.target.formation = web_alone(&plan.target.formation);
    if let Some(bucket) = &mut drill.target.bucket {
        bucket.name = format!("{}-drill-{suffix}", bucket.name);
    }
    drill.dns.existing = ExistingRecord::Refuse;
    for app in &mut drill.apps {
        rename(app, plan, suffix);
    }
    drill
}

fn rename(app: &mut AppSpec, plan: &RecoveryPlanSpec, suffix: &str) {
    app.name = format!("{}-drill-{suffix}", app.drill_prefix());
    app.drill_prefix = None;
    app.replaces = None;
    app.formation = web_alone(&app.formation);
    for domain in &mut app.domains {
        *domain = host(domain, plan, suffix);
    }
}

/// `www.shop.example.org` becomes `www-shop-0a1b2c.drill.example.org`.
fn host(domain: &str, plan: &RecoveryPlanSpec, suffix: &str) -> String {
    let zone = &plan.dns.zone;
    let label = domain.strip_suffix(zone.as_str()).unwrap_or(domain).trim_end_matches('.').replace('.', "-");
    let label = label[..label.len().min(LONGEST_LABEL)].trim_end_matches('-');
    let label = if label.is_empty() { suffix.to_owned() } else { format!("{label}-{suffix}") };
    format!("{label}.{}.{zone}", plan.drill.subdomain)
}

/// Workers send mail and call others: a rehearsal has none.
fn web_alone(formation: &Formation) -> Formation {
    let mut formation = formation.clone();
    for (_, containers) in formation.iter_mut().filter(|(name, _)| *name != "web") {
        containers.amount = 0;
    }
    formation
}

#[cfg(test)]
mod tests {
    use reprise_crds::RecoveryPlan;

    use super::*;

    fn example() -> RecoveryPlanSpec {
        let text = include_str!("../../../deploy/examples/apilos.yaml");
        RecoveryPlan::parse_yaml(text).expect("the example is valid").spec
    }

    #[test]
    fn a_drill_shares_no_name_with_the_plan_and_is_a_valid_plan_itself() {
        let plan = example();
        let drill = rehearsed(&plan, "0a1b2c");
        let names = |plan: &RecoveryPlanSpec| {
            let mut names = vec![plan.target.project.clone()];
            names.extend(plan.target.bucket.iter().map(|bucket| bucket.name.clone()));
            names.extend(plan.apps.iter().map(|app| app.name.clone()));
            names.extend(plan.apps.iter().flat_map(|app| app.domains.clone()));
            names
        };
        assert!(names(&drill).iter().all(|name| name.contains("0a1b2c") && !names(&plan).contains(name)));
        assert_eq!(drill.apps[0].domains, ["siap-0a1b2c.drill.apilos.test"]);
        let document = serde_json::to_value(&drill).unwrap();
        assert_eq!(RecoveryPlanSpec::from_json(document), Ok(drill));
    }

    #[test]
    fn a_drill_reaches_nobody() {
        let mut plan = example();
        plan.hand_over = serde_json::from_value(serde_json::json!({ "to": "owner@apilos.test" })).ok();
        assert!(plan.hand_over.is_some());
        let drill = rehearsed(&plan, "0a1b2c");
        assert!(drill.hand_over.is_none(), "it would go to somebody");
        assert!(drill.target.collaborators.is_empty() && drill.apps.iter().all(|app| app.replaces.is_none()));
        for app in &drill.apps {
            let running: Vec<String> = app
                .formation(&drill)
                .into_iter()
                .filter(|(_, c)| c.amount > 0)
                .map(|(name, _)| name)
                .collect();
            assert_eq!(running, ["web"]);
        }
    }

    #[test]
    fn a_long_name_and_a_bare_zone_give_labels() {
        let plan = example();
        let long = format!("{}.apilos.test", "a.".repeat(60).trim_end_matches('.'));
        let host = host(&long, &plan, "0a1b2c");
        assert!(host.split('.').all(|label| label.len() <= 63 && !label.ends_with('-')), "{host}");
        assert_eq!(super::host("apilos.test", &plan, "0a1b2c"), "0a1b2c.drill.apilos.test");
    }

    #[test]
    fn a_suffix_belongs_to_one_request() {
        let at = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
        assert_eq!(suffix("a", at(1)), suffix("a", at(1)));
        assert_ne!(suffix("a", at(1)), suffix("a", at(2)));
        assert_ne!(suffix("a", at(1)), suffix("b", at(1)));
    }
}
