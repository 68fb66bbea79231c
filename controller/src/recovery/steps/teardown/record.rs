//! Undoing a change of a DNS record: the old value comes back, or the record goes; in both cases only while it still bears our mark, and
//! still leads where we led it. Somebody may have switched it on since, and left the mark.

use super::super::{Ctx, Result, StepError, cname};
use super::{Undone, mark, not_ours};
use crate::providers::alwaysdata::{Alwaysdata, Record, RecordChange};
use crate::store::LedgerRow;

pub(super) async fn undo(ctx: &Ctx, row: &LedgerRow) -> Result<Undone> {
    let provider = ctx.tools.alwaysdata()?;
    // By the mark alone: the answer that told the id may be lost, and what was delivered twice was made twice.
    let marked = marked(ctx, &provider, row).await?;
    if marked.is_empty() {
        return unmarked(ctx, &provider, row).await;
    }
    let hosts = hosts(ctx);
    let (ours, theirs): (Vec<Record>, Vec<Record>) =
        marked.into_iter().partition(|record| is_as_put(row, &hosts, record));
    for record in &ours {
        undo_one(&provider, row, record.id).await?;
    }
    if ours.is_empty() && !theirs.is_empty() {
        return not_ours(ctx, row).await;
    }
    Ok(Undone::Settled)
}

fn hosts(ctx: &Ctx) -> Vec<String> {
    ctx.outputs.hosts(|app| ctx.run.cut.is_standing(app))
}

/// Whether a record leads where we led it, or where it led before. Where it is not known what was made, the mark has to do.
fn is_as_put(row: &LedgerRow, hosts: &[String], record: &Record) -> bool {
    hosts.is_empty()
        || leads_to(hosts, record)
        || row.detail["oldValue"].as_str().is_some_and(|old| same(old, &record.value))
}

fn leads_to(hosts: &[String], record: &Record) -> bool {
    record.kind == "CNAME" && hosts.iter().any(|host| same(host, &record.value))
}

fn same(one: &str, other: &str) -> bool {
    one.trim_end_matches('.').eq_ignore_ascii_case(other.trim_end_matches('.'))
}

async fn undo_one(provider: &Alwaysdata, row: &LedgerRow, id: u64) -> Result<()> {
    let doing = || StepError::provider(format!("undoing the record of {}", row.name));
    let Some(old) = row.detail["oldValue"].as_str() else {
        return provider.delete_record(id).await.map(drop).map_err(doing());
    };
    let ttl = row.detail["oldTtl"].as_u64().and_then(|ttl| u32::try_from(ttl).ok());
    let change = RecordChange {
        value: Some(old),
        ttl,
        annotation: Some(row.detail["oldAnnotation"].as_str().unwrap_or_default()),
    };
    provider.change_record(id, &change).await.map_err(doing())
}

/// The records of the zone that bear the mark of a row.
async fn marked(ctx: &Ctx, provider: &Alwaysdata, row: &LedgerRow) -> Result<Vec<Record>> {
    let mut records = zone_records(ctx, provider).await?;
    let mark = mark(ctx, row);
    records.retain(|record| record.annotation.as_deref().is_some_and(|text| text.contains(&mark)));
    Ok(records)
}

/// Those of a zone that the account does not hold are not gone: it may be another account.
async fn zone_records(ctx: &Ctx, provider: &Alwaysdata) -> Result<Vec<Record>> {
    let zone = ctx.run.plan.dns.zone.as_str();
    let domain = cname::zone_id(ctx, provider, zone).await?;
    let records = provider.zone_records(domain).await;
    records.map_err(StepError::provider(format!("listing the records of {zone}")))
}

/// Nothing bears the mark: it is gone or was put back, or the record that was ours is somebody's now. One that leads to our app without
/// the mark holds up what it leads to.
async fn unmarked(ctx: &Ctx, provider: &Alwaysdata, row: &LedgerRow) -> Result<Undone> {
    let (zone, hosts) = (ctx.run.plan.dns.zone.as_str(), hosts(ctx));
    let found = found(provider, row).await?;
    // Where it led before another app of this request may be, too.
    if found.as_ref().is_some_and(|record| is_as_before(row, record)) {
        return Ok(Undone::Absent);
    }
    let live = zone_records(ctx, provider).await?;
    let live = live.iter().find(|record| is_named(record, zone, &row.name) && leads_to(&hosts, record));
    if let Some(record) = live {
        return Err(StepError::refused(
            format!(
                "{} leads to {}, as this request led it, and its record does not bear our mark any more: whose it is is not known",
                row.name, record.value
            ),
            "switch it elsewhere or delete it at the DNS provider, then resume the request: what it leads to would be undone under it",
        ));
    }
    if found.is_some() { not_ours(ctx, row).await } else { Ok(Undone::Absent) }
}

/// Whether a record of the zone is this name's.
fn is_named(record: &Record, zone: &str, name: &str) -> bool {
    let label = name.strip_suffix(zone).unwrap_or(name).trim_end_matches('.');
    record.name.trim_end_matches('.').eq_ignore_ascii_case(label)
}

pub(super) async fn is_undone(ctx: &Ctx, row: &LedgerRow) -> Result<bool> {
    let provider = ctx.tools.alwaysdata()?;
    let hosts = hosts(ctx);
    if marked(ctx, &provider, row).await?.iter().any(|record| is_as_put(row, &hosts, record)) {
        return Ok(false);
    }
    Ok(found(&provider, row).await?.is_none_or(|record| is_as_before(row, &record)))
}

/// The record under the id that was seen, if one was.
async fn found(provider: &Alwaysdata, row: &LedgerRow) -> Result<Option<Record>> {
    let Some(id) = row.external_id.as_deref().and_then(|id| id.parse().ok()) else { return Ok(None) };
    provider.record(id).await.map_err(StepError::provider(format!("looking at the record of {}", row.name)))
}

/// Whether the record is what it was before it was changed: putting that back takes our mark away too.
fn is_as_before(row: &LedgerRow, record: &Record) -> bool {
    let Some(old) = row.detail["oldValue"].as_str() else { return false };
    let annotation = row.detail["oldAnnotation"].as_str().unwrap_or_default();
    same(old, &record.value)
        && row.detail["oldTtl"].as_u64().is_none_or(|ttl| record.ttl.map(u64::from) == Some(ttl))
        && record.annotation.as_deref().unwrap_or_default() == annotation
}
