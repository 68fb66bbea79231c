//! What was handed over is not ours to delete: looked for before anything is undone, since names would be taken from an estate that lives
//! on. An offer that is open is taken back first: who accepts it meanwhile would get half of an estate.

use std::time::Duration;

use super::super::hand_over::TRANSFER;
use super::super::{Ctx, Result, StepError, place};
use super::ORDER;
use crate::providers::scalingo::Scalingo;
use crate::providers::scalingo::transfers::TransferStatus;
use crate::recovery::outputs::TornDown;
use crate::runtime::class::Class;
use crate::store::{LedgerRow, Severity, SpanKind};

/// Between two looks whether an offer is taken back.
const LOOK: Duration = Duration::from_secs(2);
/// How long that may take to be seen.
const TAKING_BACK: Duration = Duration::from_mins(1);

/// Whose the estate is, where it is not ours any more. Only where it was offered to somebody: else the marks tell.
pub(super) async fn whose(ctx: &Ctx, rows: &[LedgerRow]) -> Result<Option<String>> {
    let Some(offer) = rows.iter().find(|row| row.kind == TRANSFER) else { return Ok(None) };
    place::is_as_planned(ctx, offer)?;
    let platform = ctx.tools.target_platform(&ctx.run)?;
    let until = ctx.deadline(TAKING_BACK);
    loop {
        ctx.doing(SpanKind::Provider, "looking whether the project was handed over");
        let owned = owned(ctx, &platform, rows).await?;
        if let Owned::By(who) = owned {
            return Ok(Some(who));
        }
        let project =
            rows.iter().find(|row| row.kind == "project").and_then(|row| row.external_id.as_deref());
        let offers = platform.transfers(project.unwrap_or_default()).await;
        let offers = offers.map_err(StepError::provider("listing the offers of the project"))?;
        let Some(offers) = offers else {
            place::is_of_our_account(ctx, offer).await?;
            if matches!(owned, Owned::Unseen) {
                return Ok(Some("somebody else, by all that is to be seen".to_owned()));
            }
            ctx.gone(offer).await?;
            return Ok(None);
        };
        let open = offers.iter().filter(|one| one.status == TransferStatus::Pending);
        let mut open = open.filter(|one| offer.external_id.as_ref().is_none_or(|id| *id == one.id));
        let Some(open) = open.next() else {
            ctx.gone(offer).await?;
            return Ok(None);
        };
        if ctx.now() >= until {
            return Err(StepError::Failed {
                doing: "taking the offer of the project back".to_owned(),
                class: Class::Transient,
                in_doubt: false,
                source: "the call was taken, and nothing has come of it so far".into(),
            });
        }
        match platform.cancel_transfer(project.unwrap_or_default(), &open.id).await {
            // It does not wait any more: the next look tells what became of it.
            Err(error) if error.status().is_some_and(|status| matches!(status.as_u16(), 404 | 409)) => {}
            told => told.map_err(StepError::provider("taking the offer of the project back"))?,
        }
        ctx.pause(LOOK).await?;
    }
}

/// Whose apps they are.
enum Owned {
    /// Ours, as far as they are to be seen.
    Us,
    /// Somebody else's, by name.
    By(String),
    /// None of them is to be seen.
    Unseen,
}

async fn owned(ctx: &Ctx, platform: &Scalingo, rows: &[LedgerRow]) -> Result<Owned> {
    let me = ctx.tools.account(&ctx.run).await?;
    let apps = platform.apps().await.map_err(StepError::provider("listing the account's apps"))?;
    let ours = |name: &str| rows.iter().find(|row| row.kind == "app" && row.name == name);
    let mut owned = Owned::Unseen;
    for app in &apps {
        let Some(row) = ours(&app.name) else { continue };
        owned = Owned::Us;
        let Some(owner) = &app.owner else { continue };
        // With a token of another account, what is of the account that made it is not handed over.
        if owner.id != me && row.detail["account"] != owner.id.as_str() {
            let name = owner.username.clone().or_else(|| owner.email.clone());
            return Ok(Owned::By(name.unwrap_or_else(|| owner.id.clone())));
        }
    }
    Ok(owned)
}

/// Leaves all of it alone, and says so: names and documents too, for the apps need them.
pub(super) async fn left_alone(ctx: &Ctx, rows: &[LedgerRow], whose: &str) -> Result<TornDown> {
    let kept = rows.iter().filter(|row| ORDER.contains(&row.kind.as_str()) && row.kind != "ssh-key");
    let left_alone: Vec<String> = kept.map(|row| format!("{} {}", row.kind, row.name)).collect();
    let told = format!(
        "what this request recovered was handed over and belongs to {whose}: it is not ours to delete, and nothing of it was. Its names and its \
         bucket are still in our accounts, since the apps need them: {}",
        left_alone.join(", ")
    );
    ctx.event(Severity::Warning, "LeftAlone", &told).await?;
    Ok(TornDown { resources: 0, left_alone })
}
