//! Undoing a change of a DNS record: the old value comes back, or the record goes; in both cases only while it still bears our mark.

use super::super::{Ctx, Result, StepError};
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
    for record in marked {
        undo_one(&provider, row, record.id).await?;
    }
    Ok(Undone::Settled)
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

/// The records of the zone that bear the mark of a row. A zone that the account does not hold any more has none.
async fn marked(ctx: &Ctx, provider: &Alwaysdata, row: &LedgerRow) -> Result<Vec<Record>> {
    let zone = ctx.run.plan.dns.zone.as_str();
    let doing = || StepError::provider(format!("listing the records of {zone}"));
    let Some(domain) = provider.domain(zone).await.map_err(doing())? else { return Ok(Vec::new()) };
    let mut records = provider.zone_records(domain.id).await.map_err(doing())?;
    let mark = mark(ctx, row);
    records.retain(|record| record.annotation.as_deref().is_some_and(|text| text.contains(&mark)));
    Ok(records)
}

/// Nothing bears the mark: it is gone or was put back, or the record that was ours is somebody's now.
async fn unmarked(ctx: &Ctx, provider: &Alwaysdata, row: &LedgerRow) -> Result<Undone> {
    match found(provider, row).await? {
        Some(record) if !is_as_before(row, &record) => not_ours(ctx, row).await,
        Some(_) | None => Ok(Undone::Absent),
    }
}

pub(super) async fn is_undone(ctx: &Ctx, row: &LedgerRow) -> Result<bool> {
    let provider = ctx.tools.alwaysdata()?;
    if !marked(ctx, &provider, row).await?.is_empty() {
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
    let (old, now) = (old.trim_end_matches('.'), record.value.trim_end_matches('.'));
    let annotation = row.detail["oldAnnotation"].as_str().unwrap_or_default();
    old.eq_ignore_ascii_case(now)
        && row.detail["oldTtl"].as_u64().is_none_or(|ttl| record.ttl.map(u64::from) == Some(ttl))
        && record.annotation.as_deref().unwrap_or_default() == annotation
}
