//! What there is at the vendors, before a drill makes anything and after it was torn down. The two must be equal.

use std::collections::{BTreeMap, BTreeSet};

use reprise_crds::RecoveryPlanSpec;
use serde::{Deserialize, Serialize};

use super::{Ctx, Result, StepError, cname};
use crate::recovery::cost::Estimate;
use crate::recovery::grounds::Grounds;
use crate::recovery::step::Step;
use crate::store::{Severity, SpanKind};

/// How long the vendors may take to let what was deleted disappear from their lists.
const SETTLING: std::time::Duration = std::time::Duration::from_mins(5);
/// So many differences are named.
const NAMED: usize = 10;

/// Everything that a drill could leave behind or take away, by kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Inventory(BTreeMap<String, BTreeSet<String>>);

/// What a drill leaves of its beginning.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Before {
    /// What there was.
    inventory: Inventory,
    /// What it stands on, for which alone it proves anything.
    grounds: Option<Grounds>,
    /// A digest of what each app of the plan keeps of its variables, by the plan's names. An earlier release did not look.
    #[serde(default)]
    kept: BTreeMap<String, String>,
    /// What it may cost, in a sentence; `None` where an earlier release looked.
    #[serde(default)]
    cost: Option<String>,
}

/// What there is before anything is made.
pub(super) async fn run(ctx: &Ctx) -> Result<Before> {
    ctx.doing(SpanKind::Own, "writing down what there is");
    // The plan that is rehearsed, whatever it says by now.
    let kept = ctx.tools.store.accepted_plan(&ctx.run.request).await?;
    let spec = kept.unwrap_or_default();
    let grounds = Grounds::of(&ctx.tools, &spec).await;
    let kept = match RecoveryPlanSpec::from_json(spec) {
        Ok(plan) => ctx.tools.kept(&plan).await,
        Err(_) => BTreeMap::new(),
    };
    let inventory = look(ctx).await?;
    let cost = Some(affordable(ctx).await?);
    Ok(Before { inventory, grounds, kept, cost })
}

/// What the drill may cost, if the plan lets it; nothing is made before that is known.
async fn affordable(ctx: &Ctx) -> Result<String> {
    let plan = &ctx.run.plan;
    ctx.doing(SpanKind::Own, "reckoning what the drill may cost");
    let estimate = Estimate::of(plan, &prices(ctx).await?);
    if let Some(why) = estimate.forbids(plan.drill.cost_ceiling_cents) {
        return Err(StepError::refused(
            format!("the drill is not begun: {why}"),
            "raise drill.costCeilingCents, shorten drill.timeToLive, or name the price that is missing in drill.monthlyCents; apply the plan and file another drill",
        ));
    }
    let told = estimate.to_string();
    ctx.event(Severity::Normal, "DrillCost", &told).await?;
    Ok(told)
}

/// What 30 days of each addon plan of the drill's cost, in euros, as far as the platform tells it.
async fn prices(ctx: &Ctx) -> Result<BTreeMap<String, f64>> {
    let (platform, target) = (ctx.tools.target_platform(&ctx.run)?, &ctx.run.plan.target);
    let redis = target.redis.as_ref().map(|redis| ("redis", redis.plan.as_str()));
    let mut prices = BTreeMap::new();
    for (provider, wanted) in [("postgresql", target.postgresql.plan.as_str())].into_iter().chain(redis) {
        let plans = platform.addon_plans(provider, true).await;
        let plans = plans.map_err(StepError::provider(format!("asking for the prices of {provider}")))?;
        let told = plans.into_iter().filter(|plan| plan.name == wanted);
        prices.extend(told.filter_map(|plan| Some((plan.name.clone(), plan.monthly_euros()?))));
    }
    Ok(prices)
}

async fn look(ctx: &Ctx) -> Result<Inventory> {
    let platform = ctx.tools.target_platform(&ctx.run)?;
    let doing = |what: &str| StepError::provider(format!("listing the account's {what}"));
    let apps = platform.apps().await.map_err(doing("apps"))?;
    let mut kinds = BTreeMap::from([
        ("app", apps.into_iter().map(|app| app.name).collect()),
        (
            "project",
            platform.projects().await.map_err(doing("projects"))?.into_iter().map(|one| one.name).collect(),
        ),
        ("SSH key", platform.keys().await.map_err(doing("keys"))?.into_iter().map(|key| key.name).collect()),
        ("DNS record", records(ctx).await?),
        ("bucket", BTreeSet::new()),
    ]);
    if let Some(target) = &ctx.run.plan.target.bucket {
        let store = ctx.tools.target_store(target)?;
        let there = store.bucket_exists(&target.name).await;
        if there.map_err(StepError::s3(format!("looking for bucket {}", target.name)))? {
            kinds.entry("bucket").or_default().insert(target.name.clone());
        }
    }
    Ok(Inventory(kinds.into_iter().map(|(kind, names)| (kind.to_owned(), names)).collect()))
}

async fn records(ctx: &Ctx) -> Result<BTreeSet<String>> {
    let (provider, zone) = (ctx.tools.alwaysdata()?, ctx.run.plan.dns.zone.as_str());
    let domain = cname::zone_id(ctx, &provider, zone).await?;
    let records = provider.zone_records(domain).await;
    let records = records.map_err(StepError::provider(format!("listing the records of {zone}")))?;
    let line = |record: crate::providers::alwaysdata::Record| {
        let name = if record.name.is_empty() { zone.to_owned() } else { format!("{}.{zone}", record.name) };
        format!("{name} {} {}", record.kind, record.value)
    };
    Ok(records.into_iter().map(line).collect())
}

/// Waits until everything is as before, and refuses what still differs when that takes too long. What other requests of ours
/// made or changed meanwhile is theirs.
pub(super) async fn compare(ctx: &Ctx) -> Result<()> {
    // A drill that ended before it looked has made nothing.
    let Some(Before { inventory: before, .. }) = ctx.outputs.find(&Step::Inventory)? else { return Ok(()) };
    let until = ctx.deadline(SETTLING);
    // To wait that long is no stall, whatever the plan says of those: it would begin again and again.
    ctx.pulse.expect_silence(ctx.tools.clock.scaled(SETTLING));
    loop {
        let others = ctx.tools.store.names_of_others(&ctx.run.request).await?;
        let differing = differences(&before, &look(ctx).await?, &others);
        if differing.is_empty() {
            return Ok(());
        }
        if ctx.now() >= until {
            return Err(left(&differing));
        }
        ctx.doing(SpanKind::Provider, format!("waiting until all is as before: {}", differing[0]));
        ctx.pause(std::time::Duration::from_secs(5)).await?;
    }
}

fn left(differing: &[String]) -> StepError {
    StepError::refused(
        format!("not everything is as it was before the drill: {}", differing.join("; ")),
        "look at each in the vendor's dashboard; what is the drill's, delete there, then resume the request: it looks again",
    )
}

/// What is there and was not, and what was there and is not.
fn differences(before: &Inventory, after: &Inventory, others: &BTreeSet<String>) -> Vec<String> {
    let empty = BTreeSet::new();
    let mut told = Vec::new();
    let kinds: BTreeSet<&String> = before.0.keys().chain(after.0.keys()).collect();
    for kind in kinds {
        let (then, now) = (before.0.get(kind).unwrap_or(&empty), after.0.get(kind).unwrap_or(&empty));
        let ours = |name: &&String| !others.contains(name.split(' ').next().unwrap_or_default());
        told.extend(now.difference(then).filter(ours).map(|name| format!("{kind} {name} is new")));
        told.extend(then.difference(now).filter(ours).map(|name| format!("{kind} {name} is gone")));
    }
    told.truncate(NAMED);
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inventory(kind: &str, names: &[&str]) -> Inventory {
        Inventory(BTreeMap::from([(kind.to_owned(), names.iter().map(|name| (*name).to_owned()).collect())]))
    }

    #[test]
    fn what_is_left_and_what_is_missing_are_told() {
        let before = inventory("app", &["shop", "shop-api"]);
        let after = inventory("app", &["shop", "shop-drill-0a1b2c"]);
        assert_eq!(
            differences(&before, &after, &BTreeSet::new()),
            ["app shop-drill-0a1b2c is new", "app shop-api is gone"]
        );
        assert!(differences(&before, &before, &BTreeSet::new()).is_empty());
    }

    #[test]
    fn what_another_request_did_is_not_the_drills() {
        let before = inventory("DNS record", &["www.shop.test CNAME old"]);
        let after = inventory("DNS record", &["www.shop.test CNAME new"]);
        let others = BTreeSet::from(["www.shop.test".to_owned()]);
        assert!(differences(&before, &after, &others).is_empty());
        assert_eq!(differences(&before, &after, &BTreeSet::new()).len(), 2);
    }
}
