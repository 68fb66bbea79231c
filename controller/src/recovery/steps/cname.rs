//! The CNAME at the DNS provider: changed in place where there is one, its old value kept, marked as ours, and read back.

use reprise_crds::plan::{AppSpec, ExistingRecord};
use serde_json::json;

use super::{Ctx, Result, StepError};
use crate::providers::alwaysdata::{Alwaysdata, NewRecord, Record, RecordChange};
use crate::recovery::drive::{Next, Pace, drive, look};
use crate::recovery::outputs::SwitchedName;
use crate::recovery::step::Site;
use crate::store::{LedgerRow, LedgerState, Severity};

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
    /// The app was there before: a record that leads to it is as it should be.
    standing: bool,
    /// Where the names of the apps point that the name may be taken from.
    expected: Vec<String>,
    /// What the annotations of this request's records begin with.
    mark: String,
}

pub(super) async fn run(ctx: &Ctx, site: &Site) -> Result<SwitchedName> {
    let made = ctx.known_app(&site.app)?;
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
    if !is_ours(&rules, &record) && !is_on_record(ctx, &rules).await? {
        // It was as it should be before anybody asked: nothing was changed, and there is nothing to undo.
        return Ok(untouched(&rules, &record));
    }
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

/// Since when it leads there nobody knows: resolvers may still remember that the name did not exist.
fn untouched(rules: &Rules<'_>, record: &Record) -> SwitchedName {
    let (record, target) = (record.id.to_string(), rules.target.to_owned());
    SwitchedName { record, target, old_value: None, old_ttl_seconds: NEGATIVE_TTL }
}

async fn is_on_record(ctx: &Ctx, rules: &Rules<'_>) -> Result<bool> {
    let ledger = ctx.tools.store.ledger(&ctx.run.request).await?;
    let is = |row: &LedgerRow| {
        row.kind == "dns-record" && row.name == rules.domain && row.state != LedgerState::Deleted
    };
    Ok(ledger.iter().any(is))
}

fn rules<'a>(ctx: &'a Ctx, site: &'a Site, target: &'a str) -> Rules<'a> {
    let from = ctx.run.plan.app(&site.app).map(|spec| ctx.run.cut.taken_from(spec)).unwrap_or_default();
    // Their default hosts differ from ours in their first label only.
    let rest = target.split_once('.').map(|(_, rest)| rest);
    let expected = rest.into_iter().flat_map(|rest| from.iter().map(move |app| format!("{app}.{rest}")));
    let expected = expected.collect();
    Rules {
        domain: &site.domain,
        target,
        ttl: ctx.run.plan.dns.ttl,
        existing: ctx.run.plan.dns.existing,
        standing: ctx.run.cut.is_standing(&site.app),
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
        [one]
            if same(&one.value, rules.target)
                && (rules.standing || is_ours(rules, one) || has_ttl(rules, one)) =>
        {
            Ok(Next::Done((*one).clone()))
        }
        [one] if same(&one.value, rules.target) => Ok(Next::Act(Action::Change((*one).clone()))),
        [one] => {
            let expected = rules.expected.iter().any(|expected| same(&one.value, expected));
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
    let expected = app.replaces.as_deref().and_then(of).map(str::to_owned).into_iter().collect();
    let mark = "reprise ".to_owned();
    decide(&Rules { domain, target, ttl: 0, existing, standing: false, expected, mark }, seen).err()
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
mod tests;
