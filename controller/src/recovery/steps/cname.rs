//! The CNAME at the DNS provider: changed in place where there is one, its old value kept, marked as ours, and read back.

use reprise_crds::plan::{AppSpec, ExistingRecord};
use serde_json::json;

use super::{Ctx, Result, StepError};
use crate::providers::alwaysdata::{Alwaysdata, NewRecord, Record, RecordChange};
use crate::recovery::drive::{Next, Pace, drive, look};
use crate::recovery::outputs::{MadeApp, SwitchedName};
use crate::recovery::step::{Site, Step};
use crate::store::{LedgerRow, Severity};

/// How long resolvers remember that a name does not exist, in seconds, where nothing better is known (RFC 2308: an hour or less).
const NEGATIVE_TTL: u64 = 3_600;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Action {
    Create,
    Change(Record),
}

/// What the plan allows.
struct Rules<'a> {
    domain: &'a str,
    target: &'a str,
    ttl: u32,
    existing: ExistingRecord,
    /// Where the name of the app that is replaced points.
    expected: Option<String>,
    /// What the annotations of this request's records begin with.
    mark: String,
}

pub(super) async fn run(ctx: &Ctx, site: &Site) -> Result<SwitchedName> {
    let made: MadeApp = ctx.outputs.get(&Step::App(site.app.clone()))?;
    let provider = ctx.tools.alwaysdata()?;
    let zone = ctx.run.plan.dns.zone.as_str();
    let label = site
        .domain
        .strip_suffix(zone)
        .map(|label| label.trim_end_matches('.'))
        .unwrap_or_default()
        .to_owned();
    let domain = zone_id(ctx, &provider, zone).await?;
    let rules = rules(ctx, site, &made.default_host);
    let observe = || async {
        let listed = provider.records(domain, &label).await;
        listed.map_err(StepError::provider(format!("reading the records of {}", site.domain)))
    };
    let act = |action: Action| async {
        let action = action;
        // A list that is empty for a moment is no free name: what is there would be overlaid, and its value lost.
        if action == Action::Create && !is_free(&rules, &observe().await?) {
            return Ok(());
        }
        let old = if let Action::Change(old) = &action { Some(old) } else { None };
        let row = remember(ctx, &rules, old).await?;
        let mark = format!("{}{}", rules.mark, row.nonce.simple());
        match action {
            Action::Create => {
                let new = NewRecord {
                    domain,
                    kind: "CNAME",
                    name: &label,
                    value: rules.target,
                    ttl: rules.ttl,
                    annotation: &mark,
                };
                let made = provider.create_record(&new).await;
                made.map(drop).map_err(StepError::provider(format!("creating the CNAME of {}", site.domain)))
            }
            Action::Change(old) => {
                if !same(&old.value, rules.target) {
                    let told = format!(
                        "{} pointed to {} and is switched to {}; the old value is kept",
                        site.domain, old.value, rules.target
                    );
                    ctx.event(Severity::Normal, "NameSwitched", &told).await?;
                }
                let change =
                    RecordChange { value: Some(rules.target), ttl: Some(rules.ttl), annotation: Some(&mark) };
                let made = provider.change_record(old.id, &change).await;
                made.map_err(StepError::provider(format!("changing the CNAME of {}", site.domain)))
            }
        }
    };
    let record = drive(ctx, Pace::DNS, ctx.retry, &observe, |seen| decide(&rules, seen), act).await?;
    let row = remember(ctx, &rules, None).await?;
    ctx.saw(&row, &record.id.to_string()).await?;
    let old_value = row.detail["oldValue"].as_str().map(str::to_owned);
    let old_ttl_seconds = row.detail["oldTtl"].as_u64().unwrap_or(NEGATIVE_TTL);
    Ok(SwitchedName {
        record: record.id.to_string(),
        target: rules.target.to_owned(),
        old_value,
        old_ttl_seconds,
    })
}

fn rules<'a>(ctx: &'a Ctx, site: &'a Site, target: &'a str) -> Rules<'a> {
    let replaces = ctx.run.plan.app(&site.app).and_then(|spec| spec.replaces.as_deref());
    // The lost app's default host differs from ours in its first label only.
    let expected = replaces.zip(target.split_once('.')).map(|(app, (_, rest))| format!("{app}.{rest}"));
    Rules {
        domain: &site.domain,
        target,
        ttl: ctx.run.plan.dns.ttl,
        existing: ctx.run.plan.dns.existing,
        expected,
        mark: format!("reprise {}/", ctx.run.request),
    }
}

/// The ledger's row of the name: the first old value stays, whatever happens later. It may come late: where the name looked free, a row without
/// any was written.
async fn remember(ctx: &Ctx, rules: &Rules<'_>, old: Option<&Record>) -> Result<LedgerRow> {
    let old = old.filter(|old| !is_ours(rules, old));
    let detail = old.map_or_else(|| json!({}), |old| json!({ "record": old.id, "oldValue": old.value, "oldTtl": old.ttl, "oldAnnotation": old.annotation }));
    let row = ctx.intend("dns-record", rules.domain, None, detail.clone()).await?;
    if old.is_some() && row.detail["oldValue"].is_null() {
        return ctx.amend(&row, &detail).await;
    }
    Ok(row)
}

fn is_free(rules: &Rules<'_>, seen: &[Record]) -> bool {
    matches!(decide(rules, seen), Ok(Next::Act(Action::Create)))
}

fn decide(rules: &Rules<'_>, seen: &[Record]) -> Result<Next<Action, Record>> {
    let user_made = |record: &&Record| record.is_user_defined != Some(false);
    let in_the_way: Vec<&Record> = seen
        .iter()
        .filter(user_made)
        .filter(|record| record.kind != "CNAME" && clashes(&record.kind))
        .collect();
    if let Some(other) = in_the_way.first() {
        return Err(StepError::refused(
            format!(
                "{} has a record of type {} ({}), and a name with a CNAME can have no other",
                rules.domain, other.kind, other.value
            ),
            "remove that record at the DNS provider if nobody needs it, then resume the request",
        ));
    }
    let aliases: Vec<&Record> =
        seen.iter().filter(user_made).filter(|record| record.kind == "CNAME").collect();
    match aliases.as_slice() {
        [] => Ok(Next::Act(Action::Create)),
        [one] if same(&one.value, rules.target) && (is_ours(rules, one) || has_ttl(rules, one)) => {
            Ok(Next::Done((*one).clone()))
        }
        [one] if same(&one.value, rules.target) => Ok(Next::Act(Action::Change((*one).clone()))),
        [one] => {
            let expected = rules.expected.as_deref().is_some_and(|expected| same(&one.value, expected));
            if expected || rules.existing == ExistingRecord::Replace {
                return Ok(Next::Act(Action::Change((*one).clone())));
            }
            Err(StepError::refused(
                format!(
                    "{} points to {}, which is neither the lost app nor the new one, and the plan says dns.existing: refuse",
                    rules.domain, one.value
                ),
                "if it may be switched, change the record at the DNS provider or set dns.existing: replace in the plan; then resume",
            ))
        }
        _ => Err(StepError::refused(
            format!("{} has {} CNAME records", rules.domain, aliases.len()),
            "leave one of them at the DNS provider, then resume the request",
        )),
    }
}

fn same(one: &str, other: &str) -> bool {
    one.trim_end_matches('.').eq_ignore_ascii_case(other.trim_end_matches('.'))
}

/// Whether this request has put the record. Its time to live was put with it: where it is another one, the provider has its own idea of it.
fn is_ours(rules: &Rules<'_>, record: &Record) -> bool {
    record.annotation.as_deref().is_some_and(|annotation| annotation.starts_with(&rules.mark))
}

fn has_ttl(rules: &Rules<'_>, record: &Record) -> bool {
    record.ttl.is_none_or(|ttl| ttl == rules.ttl)
}

/// Why a recovery would not switch the name of `app` as its records are now. Its own target is not known before the app is made: what
/// bears the app's name in the region is taken for it.
pub(crate) fn obstacle(
    domain: &str,
    app: &AppSpec,
    region: &str,
    existing: ExistingRecord,
    seen: &[Record],
) -> Option<StepError> {
    let of = |name: &str| {
        let start = format!("{name}.{region}.");
        let values = seen.iter().filter(|record| record.kind == "CNAME").map(|record| record.value.as_str());
        values.into_iter().find(|value| value.to_ascii_lowercase().starts_with(&start))
    };
    let target = of(&app.name).unwrap_or_default();
    let expected = app.replaces.as_deref().and_then(of).map(str::to_owned);
    decide(&Rules { domain, target, ttl: 0, existing, expected, mark: "reprise ".to_owned() }, seen).err()
}

/// For how many seconds resolvers may remember what a name was before a recovery switches it.
pub(crate) fn remembered(seen: &[Record]) -> u64 {
    let alias = seen.iter().find(|record| record.kind == "CNAME");
    alias.and_then(|record| record.ttl).map_or(NEGATIVE_TTL, u64::from)
}

/// Whether a record of this type cannot stand beside a CNAME of the same name.
fn clashes(kind: &str) -> bool {
    !matches!(kind, "SOA" | "NS")
}

pub(super) async fn zone_id(ctx: &Ctx, provider: &Alwaysdata, zone: &str) -> Result<u64> {
    let observe = || async {
        let found = provider.domain(zone).await;
        let found = found.map_err(StepError::provider(format!("looking for the zone {zone}")))?;
        found.map(|domain| domain.id).ok_or_else(|| {
            StepError::refused(
                format!("the DNS provider's account does not hold the zone {zone}"),
                "correct dns.zone in the plan or ALWAYSDATA_ACCOUNT where the daemon runs, then resume the request",
            )
        })
    };
    look(ctx, Pace::DNS, observe).await
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use super::*;
    use crate::recovery::steps::bench::{Bench, vendors};

    fn rules(existing: ExistingRecord) -> Rules<'static> {
        Rules {
            domain: "siap.apilos.test",
            target: "apilos-siap-pra.osc-fr1.scalingo.test",
            ttl: 300,
            existing,
            expected: Some("apilos-siap.osc-fr1.scalingo.test".to_owned()),
            mark: "reprise bad-day/".to_owned(),
        }
    }

    fn record(kind: &str, value: &str) -> Record {
        serde_json::from_value(json!({"id": 7, "domain": {"href": "/v1/domain/1/"}, "type": kind, "name": "siap", "value": value, "ttl": 300, "is_user_defined": true}))
            .expect("a record")
    }

    #[test]
    fn a_name_that_points_to_the_lost_app_is_switched_even_where_strangers_are_refused() {
        let seen = [record("CNAME", "apilos-siap.osc-fr1.scalingo.test")];
        assert!(matches!(decide(&rules(ExistingRecord::Refuse), &seen), Ok(Next::Act(Action::Change(_)))));
    }

    #[test]
    fn a_name_that_points_elsewhere_is_switched_or_refused_as_the_plan_says() {
        let seen = [record("CNAME", "maintenance.example.net")];
        assert!(matches!(decide(&rules(ExistingRecord::Replace), &seen), Ok(Next::Act(Action::Change(_)))));
        let refused = decide(&rules(ExistingRecord::Refuse), &seen).expect_err("refused").to_string();
        assert!(refused.contains("maintenance.example.net"), "{refused}");
    }

    #[test]
    fn an_address_in_the_way_and_two_aliases_are_refused() {
        assert!(decide(&rules(ExistingRecord::Replace), &[record("A", "192.0.2.1")]).is_err());
        let two = [record("CNAME", "a.example.net"), record("CNAME", "b.example.net")];
        assert!(decide(&rules(ExistingRecord::Replace), &two).is_err());
    }

    #[test]
    fn what_would_stop_a_recovery_is_seen_before_its_app_is_there() {
        let app: AppSpec = serde_json::from_value(json!({
            "name": "apilos-siap-pra", "replaces": "apilos-siap", "code": {"repository": "https://git.test/x", "ref": "main"},
        }))
        .expect("an app");
        let stops = |existing, records: &[Record]| {
            obstacle("siap.apilos.test", &app, "osc-fr1", existing, records).is_some()
        };
        let alias = |value: &str| vec![record("CNAME", value)];
        for ours in ["apilos-siap.osc-fr1.scalingo.test", "apilos-siap-pra.osc-fr1.scalingo.test."] {
            assert!(!stops(ExistingRecord::Refuse, &alias(ours)), "{ours}");
        }
        for strange in ["maintenance.example.net", "apilos-siap.example.net"] {
            assert!(stops(ExistingRecord::Refuse, &alias(strange)), "{strange}");
            assert!(!stops(ExistingRecord::Replace, &alias(strange)), "{strange}");
        }
        let made_by_the_provider = Record { is_user_defined: Some(false), ..record("A", "192.0.2.1") };
        assert!(!stops(ExistingRecord::Refuse, &[made_by_the_provider]));
        assert!(stops(ExistingRecord::Replace, &[record("A", "192.0.2.1")]));
        assert!(!stops(ExistingRecord::Refuse, &[]));
    }

    #[test]
    fn a_name_is_remembered_for_its_own_time_and_one_that_is_not_there_for_an_hour() {
        let old = Record { ttl: Some(86_400), ..record("CNAME", "apilos-siap.osc-fr1.scalingo.test") };
        assert_eq!((remembered(&[old]), remembered(&[])), (86_400, 3_600));
    }

    #[test]
    fn a_provider_that_has_its_own_idea_of_a_ttl_is_asked_once() {
        let target = "apilos-siap-pra.osc-fr1.scalingo.test";
        let clamped = |annotation: Option<&str>| Record {
            ttl: Some(60),
            annotation: annotation.map(str::to_owned),
            ..record("CNAME", target)
        };
        let rules = rules(ExistingRecord::Refuse);
        let next = |annotation| decide(&rules, &[clamped(annotation)]);
        assert!(
            matches!(next(Some("reprise bad-day/0f")), Ok(Next::Done(_))),
            "it was put so by this request"
        );
        for stranger in [None, Some(""), Some("reprise bad-day-2/0f"), Some("by hand")] {
            assert!(matches!(next(stranger), Ok(Next::Act(Action::Change(_)))), "{stranger:?}");
        }
    }

    #[tokio::test]
    async fn a_zone_that_is_not_listed_for_a_moment_is_looked_for_again() {
        let provider = vendors(|_, before| match before {
            0 => Ok(json!([])),
            1 => Err(302),
            2 => Err(404),
            3 => Ok(json!({})),
            _ => Ok(json!([{ "id": 7, "name": "apilos.test" }])),
        });
        let bench = Bench::new(Step::TearDown, provider).await;
        let dns = bench.ctx.tools.alwaysdata().expect("it is configured");
        assert_eq!(zone_id(&bench.ctx, &dns, "apilos.test").await.expect("it is there"), 7);
        let refused = zone_id(&bench.ctx, &dns, "other.test").await.expect_err("it is not").to_string();
        assert!(refused.contains("does not hold the zone other.test"), "{refused}");
        bench.end().await;
    }

    /// The old value is what a tear-down puts back, and how long resolvers remember it.
    #[tokio::test]
    async fn a_record_that_was_not_listed_for_a_moment_is_kept_all_the_same() {
        // So many lists are empty; the second look keeps a create from being sent.
        for (empty, creates) in [(1, 0), (2, 1)] {
            let (sent, changed) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
            let (made, switched) = (Arc::clone(&sent), Arc::clone(&changed));
            let old = json!({"id": 9, "domain": {"href": "/v1/domain/7/"}, "type": "CNAME", "name": "siap",
                "value": "apilos-siap.osc-fr1.scalingo.test", "ttl": 86_400, "is_user_defined": true});
            let new = json!({"id": 9, "domain": {"href": "/v1/domain/7/"}, "type": "CNAME", "name": "siap",
                "value": "apilos-siap-pra.osc-fr1.scalingo.test", "ttl": 300, "is_user_defined": true,
                "annotation": "reprise bad-day/0f"});
            let provider = vendors(move |what, before| match what {
                "GET /v1/domain/" => Ok(json!([{ "id": 7, "name": "apilos.test" }])),
                "GET /v1/record/" if before < empty => Ok(json!([])),
                "GET /v1/record/" if switched.load(Ordering::Relaxed) => Ok(json!([new])),
                "GET /v1/record/" => Ok(json!([old])),
                "POST /v1/record/" => {
                    made.fetch_add(1, Ordering::Relaxed);
                    Err(400)
                }
                "PATCH /v1/record/9/" => {
                    switched.store(true, Ordering::Relaxed);
                    Ok(json!({}))
                }
                _ => Err(404),
            });
            let site = Site { app: "apilos-siap-pra".to_owned(), domain: "siap.apilos.test".to_owned() };
            let app =
                json!({ "id": "1", "defaultHost": "apilos-siap-pra.osc-fr1.scalingo.test", "gitUrl": "" });
            let bench = Bench::new(Step::Cname(site.clone()), provider).await;
            let bench = bench
                .replanned(|plan| {
                    plan.dns.zone = "apilos.test".to_owned();
                    plan.dns.existing = ExistingRecord::Replace;
                })
                .after([(Step::App(site.app.clone()), app)]);
            let made = run(&bench.ctx, &site).await.expect("switched");
            assert_eq!(made.old_value.as_deref(), Some("apilos-siap.osc-fr1.scalingo.test"), "{empty}");
            assert_eq!((made.old_ttl_seconds, sent.load(Ordering::Relaxed)), (86_400, creates));
            bench.end().await;
        }
    }

    #[test]
    fn the_right_value_is_done() {
        let seen = [record("CNAME", "Apilos-siap-pra.osc-fr1.scalingo.test.")];
        assert!(matches!(decide(&rules(ExistingRecord::Refuse), &seen), Ok(Next::Done(_))));
    }
}
