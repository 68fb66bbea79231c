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

/// Nothing bears the mark: it is gone, or the record that was ours is somebody's now.
async fn unmarked(ctx: &Ctx, provider: &Alwaysdata, row: &LedgerRow) -> Result<Undone> {
    let known = row.external_id.as_deref().and_then(|id| id.parse().ok());
    let Some(id) = known else { return Ok(Undone::Absent) };
    let found = provider.record(id).await;
    match found.map_err(StepError::provider(format!("undoing the record of {}", row.name)))? {
        Some(_) => not_ours(ctx, row).await,
        None => Ok(Undone::Absent),
    }
}
