//! Undoing what a request made: DNS first, so that no name points to what is deleted next, then domains, apps, buckets, the project.
//!
//! The one place that destroys. It takes nothing but rows of the ledger, and looks at each resource's mark again before it acts.

use reprise_crds::Mode;
use serde_json::json;

use super::{Ctx, Result, StepError, app, bucket, cleanup, cname, inventory};
use crate::providers::alwaysdata::{Alwaysdata, Record, RecordChange};
use crate::providers::s3::versions::VersionToken;
use crate::store::{LedgerRow, LedgerState, Severity, SpanKind};

/// The order of undoing. What is not named goes with what it belongs to (addons, users and variables with their app).
const ORDER: [&str; 7] = ["dns-record", "domain", "detached-domain", "app", "bucket", "project", "ssh-key"];

pub(super) async fn run(ctx: &Ctx) -> Result<u64> {
    let mut rows = ctx.tools.store.ledger(&ctx.run.request).await?;
    rows.retain(|row| row.state != LedgerState::Deleted);
    let rank = |row: &LedgerRow| ORDER.iter().position(|kind| *kind == row.kind).unwrap_or(ORDER.len());
    rows.sort_by_key(rank);
    for (done, row) in rows.iter().enumerate() {
        ctx.doing(SpanKind::Provider, format!("undoing {} {}", row.kind, row.name));
        undo(ctx, row).await?;
        ctx.gone(row).await?;
        ctx.pulse.progress(done as u64 + 1, Some(rows.len() as u64), "resources");
    }
    cleanup::run(ctx).await?;
    if ctx.run.mode == Mode::Drill {
        inventory::compare(ctx).await?;
    }
    Ok(rows.len() as u64)
}

async fn undo(ctx: &Ctx, row: &LedgerRow) -> Result<()> {
    let platform = ctx.tools.target_platform(&ctx.run)?;
    let doing = || StepError::provider(format!("undoing {} {}", row.kind, row.name));
    match row.kind.as_str() {
        "dns-record" => dns_record(ctx, row).await,
        "domain" => match (row.parent.as_deref(), row.external_id.as_deref()) {
            (Some(app), Some(id)) => platform.delete_domain(app, id).await.map(drop).map_err(doing()),
            _ => Ok(()),
        },
        "detached-domain" => match row.parent.as_deref() {
            Some(app)
                if row.state == LedgerState::Present
                    && platform.app(app).await.map_err(doing())?.is_some() =>
            {
                platform.add_domain(app, &row.name).await.map(drop).map_err(doing())
            }
            _ => Ok(()),
        },
        "app" => delete_app(ctx, row).await,
        "bucket" => delete_bucket(ctx, row).await,
        "project" => delete_project(ctx, row).await,
        _ => Ok(()),
    }
}

fn mark(ctx: &Ctx, row: &LedgerRow) -> String {
    format!("{}/{}", ctx.run.request, row.nonce.simple())
}

/// Puts the old value back, or deletes the record that we made; in both cases only while it still bears our mark.
async fn dns_record(ctx: &Ctx, row: &LedgerRow) -> Result<()> {
    let provider = ctx.tools.alwaysdata()?;
    let doing = || StepError::provider(format!("undoing the record of {}", row.name));
    let id = match row.external_id.as_deref().and_then(|id| id.parse().ok()) {
        Some(id) => Some(id),
        // Its answer never came: what bears our mark is what was made.
        None => marked(ctx, &provider, row).await?,
    };
    let Some(id) = id else { return Ok(()) };
    let Some(record) = provider.record(id).await.map_err(doing())? else { return Ok(()) };
    if !record.annotation.as_deref().is_some_and(|annotation| annotation.contains(&mark(ctx, row))) {
        return not_ours(ctx, row).await;
    }
    match row.detail["oldValue"].as_str() {
        None => provider.delete_record(id).await.map(drop).map_err(doing()),
        Some(old) => {
            let ttl = row.detail["oldTtl"].as_u64().and_then(|ttl| u32::try_from(ttl).ok());
            let change = RecordChange {
                value: Some(old),
                ttl,
                annotation: Some(row.detail["oldAnnotation"].as_str().unwrap_or_default()),
            };
            provider.change_record(id, &change).await.map_err(doing())
        }
    }
}

/// The record of the zone that bears the mark of a row whose record's id is not known.
async fn marked(ctx: &Ctx, provider: &Alwaysdata, row: &LedgerRow) -> Result<Option<u64>> {
    let zone = ctx.run.plan.dns.zone.as_str();
    let records = provider.zone_records(cname::zone_id(provider, zone).await?).await;
    let records = records.map_err(StepError::provider(format!("listing the records of {zone}")))?;
    let mark = mark(ctx, row);
    let bears = |record: &&Record| record.annotation.as_deref().is_some_and(|text| text.contains(&mark));
    Ok(records.iter().find(bears).map(|record| record.id))
}

async fn delete_app(ctx: &Ctx, row: &LedgerRow) -> Result<()> {
    let platform = ctx.tools.target_platform(&ctx.run)?;
    let doing = || StepError::provider(format!("deleting app {}", row.name));
    let Some(found) = platform.app(&row.name).await.map_err(doing())? else { return Ok(()) };
    let ours = match app::read_marker(ctx, &row.name).await? {
        Some(marker) => marker == mark(ctx, row),
        // We were stopped between creating it and marking it.
        None => {
            row.state == LedgerState::Intended
                && app::is_of_intent(row, &found, &ctx.tools.account(&ctx.run).await?)
        }
    };
    if !ours {
        return not_ours(ctx, row).await;
    }
    platform.delete_app(&row.name).await.map(drop).map_err(doing())
}

/// Every version first: a bucket with versions in it cannot be deleted.
async fn delete_bucket(ctx: &Ctx, row: &LedgerRow) -> Result<()> {
    let Some(target) = ctx.run.plan.target.bucket.as_ref().filter(|target| target.name == row.name) else {
        // Its store and key pair are the plan's. To say nothing would leave it there, and call it deleted.
        return Err(StepError::refused(
            format!("bucket {} is this request's, and the plan does not name it any more", row.name),
            "name it under target.bucket again, apply the plan, and resume the request: what was deleted by hand meanwhile is passed over",
        ));
    };
    let store = ctx.tools.target_store(target)?;
    let doing = || StepError::s3(format!("deleting bucket {}", row.name));
    if !store.bucket_exists(&row.name).await.map_err(doing())? {
        return Ok(());
    }
    let tags = store.bucket_tags(&row.name).await.map_err(doing())?;
    if !tags.iter().any(|(key, value)| key == bucket::TAG && *value == mark(ctx, row)) {
        return not_ours(ctx, row).await;
    }
    let mut token = Some(VersionToken::default());
    while let Some(at) = token {
        let (versions, next) = store.versions_page(&row.name, "", at).await.map_err(doing())?;
        for version in versions {
            store.delete(&row.name, &version.key, Some(&version.id)).await.map_err(doing())?;
        }
        token = next;
    }
    store.delete_bucket(&row.name).await.map(drop).map_err(doing())
}

/// A project that still holds something is somebody's: it stays.
async fn delete_project(ctx: &Ctx, row: &LedgerRow) -> Result<()> {
    let Some(id) = row.external_id.as_deref() else { return Ok(()) };
    match ctx.tools.target_platform(&ctx.run)?.delete_project(id).await {
        Err(error) if error.status().is_some_and(|status| status.as_u16() == 409) => not_ours(ctx, row).await,
        other => other.map(drop).map_err(StepError::provider(format!("deleting project {}", row.name))),
    }
}

async fn not_ours(ctx: &Ctx, row: &LedgerRow) -> Result<()> {
    let message =
        format!("{} {} is left alone: it is not (or no longer) this recovery's alone", row.kind, row.name);
    tracing::warn!(detail = %json!({ "kind": row.kind }), "a resource is left alone");
    ctx.event(Severity::Warning, "LeftAlone", &message).await
}
