//! Undoing what a request made: DNS first, so that no name points to what is deleted next, then domains, apps, buckets, the project.
//!
//! The one place that destroys. It takes nothing but rows of the ledger, and looks at each resource's mark again before it acts.

use std::time::Duration;

use reprise_crds::Mode;
use serde_json::json;
use tokio::time::Instant;

use super::{Ctx, Result, StepError, cleanup, force_https, inventory, place, switch};
use crate::recovery::drive::QUIET;
use crate::recovery::outputs::TornDown;
use crate::runtime::chain::Chain;
use crate::runtime::class::{Class, Classified as _};
use crate::store::{LedgerRow, LedgerState, Severity, SpanKind};

mod app;
mod bucket;
mod domain;
mod forced;
mod project;
mod record;
mod switched;
mod theirs;

/// The order of undoing. What is not named goes with what it belongs to (addons, users and variables with their app).
const ORDER: [&str; 9] = [
    "dns-record",
    "domain",
    "detached-domain",
    force_https::FORCED,
    switch::SWITCHED,
    "app",
    "bucket",
    "project",
    "ssh-key",
];

/// Between two looks for what may still appear, or disappear.
const LOOK: Duration = Duration::from_secs(2);

/// How long it may take to be seen that what was undone is undone. After that the step is tried again: the call is sent anew.
const VANISHING: Duration = Duration::from_mins(1);

/// What became of a row of the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Undone {
    /// It was there, and the call that undoes it was taken; from [`settle`]: and that was seen.
    Settled,
    /// It is there and is not, or not any more, ours alone: it stays, and so does its row.
    LeftAlone,
    /// There was nothing to undo.
    Absent,
}

pub(super) async fn run(ctx: &Ctx) -> Result<TornDown> {
    let mut rows = ctx.tools.store.ledger(&ctx.run.request).await?;
    rows.retain(|row| row.state != LedgerState::Deleted);
    let rank = |row: &LedgerRow| ORDER.iter().position(|kind| *kind == row.kind).unwrap_or(ORDER.len());
    rows.sort_by_key(rank);
    let (undone, trouble) = match theirs::whose(ctx, &rows).await? {
        None => undo_all(ctx, &rows).await?,
        Some(whose) => {
            let left = theirs::left_alone(ctx, &rows, &whose).await?;
            rows.retain(|row| row.kind == "ssh-key");
            let (undone, trouble) = undo_all(ctx, &rows).await?;
            (TornDown { resources: undone.resources, ..left }, trouble)
        }
    };
    // Whatever else stays, what was downloaded must not.
    cleanup::run(ctx).await?;
    if let Some(error) = trouble {
        return Err(error);
    }
    if ctx.run.mode == Mode::Drill {
        inventory::compare(ctx).await?;
    }
    Ok(undone)
}

/// Undoes every row that can be. What a person has to decide about, and what a vendor does not do now, holds up only what it belongs to.
/// Also the first trouble: one that may pass comes before a refusal, so that the step is tried again.
async fn undo_all(ctx: &Ctx, rows: &[LedgerRow]) -> Result<(TornDown, Option<StepError>)> {
    let quiet = ctx.deadline(QUIET);
    let (mut undone, mut first) = (TornDown::default(), None);
    let (mut kept, mut left) = (Vec::<&LedgerRow>::new(), Vec::<&LedgerRow>::new());
    for (done, row) in rows.iter().enumerate() {
        if kept.iter().any(|kept| holds_up(kept, row)) {
            continue;
        }
        if let Some(app) = left.iter().find(|app| goes_with(app, row, rows)) {
            if row.kind == "bucket" {
                let told = format!("bucket {} is left alone: app {} is, and may use it", row.name, app.name);
                ctx.event(Severity::Warning, "LeftAlone", &told).await?;
                undone.left_alone.push(format!("{} {}", row.kind, row.name));
            }
            continue;
        }
        ctx.doing(SpanKind::Provider, format!("undoing {} {}", row.kind, row.name));
        match settle(ctx, row, quiet).await {
            Ok(Undone::LeftAlone) => {
                left.push(row);
                undone.left_alone.push(format!("{} {}", row.kind, row.name));
            }
            Ok(Undone::Settled | Undone::Absent) => {
                ctx.gone(row).await?;
                undone.resources += 1;
            }
            Err(error) if error.class() == Class::Cancelled => return Err(error),
            Err(error) => {
                kept.push(row);
                tracing::warn!(kind = row.kind, name = row.name, error = %Chain(&error), "not undone now");
                let passes = |error: &StepError| error.class() != Class::Terminal;
                first = match first {
                    Some(known) if passes(&known) || !passes(&error) => Some(known),
                    _ => Some(error),
                };
            }
        }
        ctx.pulse.progress(done as u64 + 1, Some(rows.len() as u64), "resources");
    }
    Ok((undone, first))
}

/// Whether something that could not be undone keeps `row`: neither a name nor an app must lead to what is gone, an app needs its bucket, and
/// a project holds its apps. What goes with an app stays on record with it.
fn holds_up(kept: &LedgerRow, row: &LedgerRow) -> bool {
    let name = matches!(kept.kind.as_str(), "dns-record" | "domain" | "detached-domain" | switch::SWITCHED);
    match row.kind.as_str() {
        "domain" | "detached-domain" => kept.kind == "dns-record" && kept.name == row.name,
        "dns-record" | "ssh-key" | force_https::FORCED | switch::SWITCHED => false,
        "app" => name,
        _ => name || kept.kind == "app",
    }
}

/// Whether `row` stays with an app that is left alone: what hangs on that app or on an addon of it, and the bucket, which it may use.
fn goes_with(app: &LedgerRow, row: &LedgerRow, rows: &[LedgerRow]) -> bool {
    if app.kind != "app" {
        return false;
    }
    let on_app = |row: &LedgerRow| row.parent.as_deref() == Some(&app.name);
    let on_addon = |row: &LedgerRow| {
        let parent = row.parent.as_deref();
        rows.iter().any(|addon| {
            addon.kind == "addon"
                && on_app(addon)
                && parent.is_some()
                && addon.external_id.as_deref() == parent
        })
    };
    row.kind == "bucket" || on_app(row) || on_addon(row)
}

/// Undoes one row, and looks until that is seen. What does not seem to be there may have been asked for a moment ago, by a call that was
/// cut off, or is not told for a moment: it is absent for good only when nothing has appeared until `quiet`, to the account that made it.
pub(super) async fn settle(ctx: &Ctx, row: &LedgerRow, quiet: Instant) -> Result<Undone> {
    place::is_as_planned(ctx, row)?;
    let may_come = ORDER.contains(&row.kind.as_str());
    loop {
        match undo(ctx, row).await? {
            Undone::Settled => return seen_undone(ctx, row).await,
            Undone::Absent if may_come && ctx.now() < quiet => {
                ctx.doing(
                    SpanKind::Provider,
                    format!("looking whether {} {} still comes", row.kind, row.name),
                );
            }
            Undone::Absent => {
                place::is_of_our_account(ctx, row).await?;
                return Ok(Undone::Absent);
            }
            Undone::LeftAlone => return Ok(Undone::LeftAlone),
        }
        ctx.pause(LOOK).await?;
    }
}

/// A vendor's word that it took a call is no proof: a proxy may have said it, and what is undone in the background may fail. What is
/// off the ledger nobody looks for any more.
async fn seen_undone(ctx: &Ctx, row: &LedgerRow) -> Result<Undone> {
    let until = ctx.deadline(VANISHING);
    while !is_undone(ctx, row).await? {
        if ctx.now() >= until {
            return Err(StepError::Failed {
                doing: format!("undoing {} {}", row.kind, row.name),
                class: Class::Transient,
                in_doubt: false,
                source: "the call was taken, and nothing has come of it so far".into(),
            });
        }
        ctx.doing(
            SpanKind::Provider,
            format!("undoing {} {}: the call was taken, and its effect is not seen yet", row.kind, row.name),
        );
        ctx.pause(LOOK).await?;
    }
    Ok(Undone::Settled)
}

async fn undo(ctx: &Ctx, row: &LedgerRow) -> Result<Undone> {
    match row.kind.as_str() {
        "dns-record" => record::undo(ctx, row).await,
        "domain" => domain::undo(ctx, row).await,
        "detached-domain" => domain::give_back(ctx, row).await,
        force_https::FORCED => forced::undo(ctx, row).await,
        switch::SWITCHED => switched::undo(ctx, row).await,
        "app" => app::undo(ctx, row).await,
        "bucket" => bucket::undo(ctx, row).await,
        "project" => project::undo(ctx, row).await,
        "ssh-key" => cleanup::remove_key(ctx, row).await,
        _ => Ok(Undone::Absent),
    }
}

/// Only looks.
async fn is_undone(ctx: &Ctx, row: &LedgerRow) -> Result<bool> {
    match row.kind.as_str() {
        "dns-record" => record::is_undone(ctx, row).await,
        "domain" => domain::is_gone(ctx, row).await,
        "detached-domain" => domain::is_back(ctx, row).await,
        force_https::FORCED => forced::is_undone(ctx, row).await,
        switch::SWITCHED => switched::is_undone(ctx, row).await,
        "app" => app::is_gone(ctx, row).await,
        "bucket" => bucket::is_gone(ctx, row).await,
        "project" => project::is_gone(ctx, row).await,
        "ssh-key" => cleanup::key_is_gone(ctx, row).await,
        _ => Ok(true),
    }
}

fn mark(ctx: &Ctx, row: &LedgerRow) -> String {
    format!("{}/{}", ctx.run.request, row.nonce.simple())
}

async fn not_ours(ctx: &Ctx, row: &LedgerRow) -> Result<Undone> {
    let message =
        format!("{} {} is left alone: it is not (or no longer) this recovery's alone", row.kind, row.name);
    tracing::warn!(detail = %json!({ "kind": row.kind }), "a resource is left alone");
    ctx.event(Severity::Warning, "LeftAlone", &message).await?;
    Ok(Undone::LeftAlone)
}

#[cfg(test)]
mod tests;
