//! Where a resource lies. It is written with the intent, for a recovery follows its plan, and the plan may name another place by the time
//! the resource is undone: there it would not be found, and what is not found counts as gone.

use serde_json::Value;

use super::{Ctx, Result, StepError};
use crate::store::LedgerRow;

/// A part of the plan that says where things lie.
struct Place {
    /// The member of the ledger's `detail`.
    member: &'static str,
    /// The field of the plan.
    field: &'static str,
    value: String,
}

/// The member of the ledger's `detail` that tells as whom we acted at the platform.
const ACCOUNT: &str = "account";

/// Writes into the `detail` of a new intent where the plan puts what is of this kind, and at the platform as whom.
pub(super) async fn written(ctx: &Ctx, kind: &str, mut detail: Value) -> Result<Value> {
    // Boxed: every step has this one in it.
    let account =
        if is_at_the_platform(kind) { Some(Box::pin(ctx.tools.account(&ctx.run)).await?) } else { None };
    if let Some(detail) = detail.as_object_mut() {
        if let Some(place) = of(ctx, kind)? {
            detail.insert(place.member.to_owned(), place.value.into());
        }
        if let Some(account) = account {
            detail.insert(ACCOUNT.to_owned(), account.into());
        }
    }
    Ok(detail)
}

fn is_at_the_platform(kind: &str) -> bool {
    !matches!(kind, "dns-record" | "bucket")
}

/// Refuses to believe that what is of a row is gone where we are somebody else than who made it: to another account it is never there.
pub(super) async fn is_of_our_account(ctx: &Ctx, row: &LedgerRow) -> Result<()> {
    if !is_at_the_platform(&row.kind) {
        return Ok(());
    }
    // A row of an earlier release does not say.
    let Some(was) = row.detail[ACCOUNT].as_str() else { return Ok(()) };
    let now = Box::pin(ctx.tools.account(&ctx.run)).await?;
    if now == was { Ok(()) } else { Err(somebody_else(row, was, &now)) }
}

fn somebody_else(row: &LedgerRow, was: &str, now: &str) -> StepError {
    StepError::refused(
        format!(
            "the {} {} is not to be seen, and it was made as account {was}, while the token is of account {now}: it may be there all the same",
            row.kind, row.name
        ),
        format!(
            "set SCALINGO_API_TOKEN to a token of {was} where the daemon runs, restart it, and resume the request"
        ),
    )
}

/// Refuses a row whose resource lies elsewhere than the plan says today. A row of an earlier release does not say where: today's place
/// is taken for it.
pub(super) fn is_as_planned(ctx: &Ctx, row: &LedgerRow) -> Result<()> {
    let Some(place) = of(ctx, &row.kind)? else { return Ok(()) };
    match row.detail[place.member].as_str() {
        Some(was) if !same(was, &place.value) => Err(elsewhere(row, &place, was)),
        _ => Ok(()),
    }
}

/// Keys belong to the account, wherever it is used.
fn of(ctx: &Ctx, kind: &str) -> Result<Option<Place>> {
    let plan = &ctx.run.plan;
    let place = |member, field, value| Some(Place { member, field, value });
    Ok(match (kind, &plan.target.bucket) {
        ("ssh-key", _) | ("bucket", None) => None,
        ("dns-record", _) => place("zone", "dns.zone", plan.dns.zone.clone()),
        ("bucket", Some(bucket)) => {
            let endpoint = ctx.tools.setting(&bucket.endpoint, "the endpoint of target.bucket")?;
            place("endpoint", "target.bucket.endpoint", endpoint)
        }
        _ => place("region", "target.region", plan.target.region.clone()),
    })
}

fn same(one: &str, other: &str) -> bool {
    one.trim_end_matches(['/', '.']).eq_ignore_ascii_case(other.trim_end_matches(['/', '.']))
}

fn elsewhere(row: &LedgerRow, place: &Place, was: &str) -> StepError {
    let Place { field, value, .. } = place;
    StepError::refused(
        format!(
            "the {} {} of this request was put where {field} was {was}, and the plan says {value} now",
            row.kind, row.name
        ),
        format!(
            "put {field} back to {was}, apply the plan, and resume the request; to recover with {value}, cancel this request and file another"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_final_slash_or_dot_makes_no_other_place() {
        assert!(same("https://s3.example.org/", "https://S3.example.org") && same("shop.test", "shop.test."));
        assert!(!same("osc-fr1", "osc-secnum-fr1"));
    }
}
