//! Addons: provisioned once, of the plan that was asked for, and running with their variables there.

use super::{Ctx, Result, StepError};
use crate::providers::scalingo::Scalingo;
use crate::providers::scalingo::addons::{Addon, AddonStatus};
use crate::providers::scalingo::variables::Aliases;
use crate::recovery::drive::{Next, Pace, drive, look};
use crate::recovery::outputs::MadeAddon;
use crate::recovery::step::Step;
use crate::store::{LedgerRow, LedgerState, Severity};

/// The database's provider.
pub(super) const POSTGRESQL: &str = "postgresql";

/// An addon as the plan wants it.
#[derive(Debug, Clone, Copy)]
struct Wanted<'a> {
    app: &'a str,
    provider: &'static str,
    plan: &'a str,
    version: Option<&'a str>,
    /// The variable that comes when it can be used.
    variable: &'static str,
}

/// What the platform says.
#[derive(Debug)]
struct Seen {
    addons: Vec<Addon>,
    has_variable: bool,
}

pub(super) async fn postgresql(ctx: &Ctx) -> Result<MadeAddon> {
    let (wanted, app) = (&ctx.run.plan.target.postgresql, ctx.database_app().await?);
    provision(
        ctx,
        Wanted {
            app: &app,
            provider: POSTGRESQL,
            plan: &wanted.plan,
            version: wanted.version.as_deref(),
            variable: "SCALINGO_POSTGRESQL_URL",
        },
    )
    .await
}

pub(super) async fn redis(ctx: &Ctx, app: &str) -> Result<MadeAddon> {
    let plan = ctx.run.plan.target.redis.as_ref().map(|redis| redis.plan.as_str()).unwrap_or_default();
    provision(ctx, Wanted { app, provider: "redis", plan, version: None, variable: "SCALINGO_REDIS_URL" })
        .await
}

async fn provision(ctx: &Ctx, wanted: Wanted<'_>) -> Result<MadeAddon> {
    let platform = ctx.tools.target_platform(&ctx.run)?;
    let plan_id = look(ctx, Pace::PROVIDER, || plan_id(&platform, wanted)).await?;
    let detail = serde_json::json!({ "plan": wanted.plan });
    let intend = || ctx.intend("addon", wanted.provider, Some(wanted.app), detail.clone());
    let intent = intend().await?;
    let observe = || observe(&platform, wanted);
    let act = |()| async {
        let made = platform.provision_addon(wanted.app, wanted.provider, &plan_id, wanted.version).await;
        let addon =
            made.map_err(StepError::provider(format!("provisioning {} for {}", wanted.plan, wanted.app)))?;
        taken(ctx, &intent, &addon.id).await
    };
    let doubt = !intent.fresh;
    let addon = drive(ctx, Pace::PROVIDER, doubt, observe, |seen| decide(wanted, seen), act).await?;
    taken(ctx, &intend().await?, &addon.id).await?;
    Ok(MadeAddon { resource: addon.resource_id.unwrap_or_default(), id: addon.id, plan: addon.plan.name })
}

/// Records the addon. Where it is not the one that was on record, a person has removed that one: what was put into it went with it, and the
/// steps that did it begin anew.
async fn taken(ctx: &Ctx, row: &LedgerRow, id: &str) -> Result<()> {
    if let Some(old) = row.external_id.as_deref().filter(|old| *old != id) {
        let told = format!("addon {old} of {} is gone, and {id} is there in its place", row.name);
        ctx.event(Severity::Warning, "AddonReplaced", &told).await?;
        let ledger = ctx.tools.store.ledger(&ctx.run.request).await?;
        let inside = |inside: &&LedgerRow| {
            inside.parent.as_deref() == Some(old) && inside.state != LedgerState::Deleted
        };
        for inside in ledger.iter().filter(inside) {
            ctx.gone(inside).await?;
        }
        if ctx.step == Step::Postgres {
            let filled = [Step::ReadOnlyUser, Step::Restore].map(|step| step.to_string());
            ctx.written(|store| store.begin_anew(&ctx.run.request, ctx.run.epoch, &filled)).await?;
        }
    }
    ctx.saw(row, id).await
}

async fn observe(platform: &Scalingo, wanted: Wanted<'_>) -> Result<Seen> {
    let listed = platform.addons(wanted.app).await;
    let mut addons = listed.map_err(StepError::provider(format!("listing the addons of {}", wanted.app)))?;
    addons.retain(|addon| addon.addon_provider.id == wanted.provider);
    let running = addons.iter().any(|addon| addon.status == AddonStatus::Running);
    let has_variable = running && {
        let listed = platform.variables(wanted.app, Aliases::Resolved).await;
        let variables =
            listed.map_err(StepError::provider(format!("reading the variables of {}", wanted.app)))?;
        variables.iter().any(|variable| variable.name == wanted.variable)
    };
    Ok(Seen { addons, has_variable })
}

/// The app is ours (its marker says so) and nobody else adds to it: whatever addon of this kind is on it is ours too.
fn decide(wanted: Wanted<'_>, seen: &Seen) -> Result<Next<(), Addon>> {
    let addon = match seen.addons.as_slice() {
        [] => return Ok(Next::Act(())),
        [only] => only,
        several => {
            return Err(StepError::refused(
                format!(
                    "{} has {} {} addons: each one is billed, and which holds the data is not known",
                    wanted.app,
                    several.len(),
                    wanted.provider
                ),
                "remove all but one in the platform's dashboard, then resume the request",
            ));
        }
    };
    if addon.plan.name != wanted.plan {
        return Err(StepError::refused(
            format!("{} has {} where {} is asked for", wanted.app, addon.plan.name, wanted.plan),
            "put the plan that is there under target in the plan and apply it; or change the addon in the platform's dashboard, or remove it there \
             (another one is ordered); then resume",
        ));
    }
    Ok(match (&addon.status, seen.has_variable) {
        (AddonStatus::Running, true) => Next::Done(addon.clone()),
        (AddonStatus::Running, false) => {
            Next::Wait(format!("{} runs; its variables have not arrived yet", wanted.provider))
        }
        (status, _) => Next::Wait(format!("{} is {status}", wanted.provider)),
    })
}

async fn plan_id(platform: &Scalingo, wanted: Wanted<'_>) -> Result<String> {
    let listed = platform.addon_plans(wanted.provider, false).await;
    let plans = listed.map_err(StepError::provider(format!("listing the plans of {}", wanted.provider)))?;
    let offered = || {
        plans
            .iter()
            .filter(|plan| !plan.disabled)
            .map(|plan| plan.name.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    };
    match plans.iter().find(|plan| plan.name == wanted.plan) {
        Some(plan) if plan.is_free() == Some(true) => Err(StepError::refused(
            format!(
                "{} costs nothing: it has no backups, and the platform may replace it by a paid one",
                wanted.plan
            ),
            format!("choose one of: {}", offered()),
        )),
        Some(plan) if !plan.disabled => Ok(plan.id.clone()),
        _ => Err(StepError::refused(
            format!("the platform does not offer the plan {}", wanted.plan),
            format!("choose one of: {}", offered()),
        )),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::recovery::steps::bench::{Bench, vendors};
    use crate::store::StepPhase;

    const WANTED: Wanted<'static> = Wanted {
        app: "apilos-pra",
        provider: "postgresql",
        plan: "postgresql-starter-512",
        version: None,
        variable: "SCALINGO_POSTGRESQL_URL",
    };

    fn listed(plan: &str, status: &str) -> serde_json::Value {
        json!({
            "id": "ad-1", "resource_id": "apilos_1", "addon_provider": {"id": "postgresql"},
            "plan": {"id": "p", "name": plan}, "status": status
        })
    }

    fn addon(plan: &str, status: &str) -> Addon {
        serde_json::from_value(listed(plan, status)).expect("an addon")
    }

    /// The one that was ordered was removed: what was in it is gone, and restored anew into what is there now.
    #[tokio::test]
    async fn what_was_put_into_an_addon_is_put_into_its_successor_anew() {
        let platform = vendors(|what, _| match what.rsplit('/').next() {
            Some("addons") => Ok(json!({ "addons": [listed("postgresql-starter-512", "running")] })),
            Some("self") => Ok(json!({ "user": { "id": "us-1" } })),
            Some("plans") => {
                Ok(json!({ "plans": [{ "id": "p", "name": "postgresql-starter-512", "price": 7 }] }))
            }
            Some("variables") => {
                Ok(json!({ "variables": [{ "id": "v", "name": "SCALINGO_POSTGRESQL_URL", "value": "x" }] }))
            }
            _ => Err(404),
        });
        let bench = Bench::new(Step::Postgres, platform).await;
        let bench = bench.replanned(|plan| plan.target.postgresql.plan = "postgresql-starter-512".to_owned());
        let (ctx, app) = (&bench.ctx, bench.ctx.first_app().to_owned());
        let row = ctx.intend("addon", POSTGRESQL, Some(&app), json!({})).await.expect("intended");
        ctx.saw(&row, "ad-0").await.expect("seen");
        ctx.intend("database-content", "db", Some("ad-0"), json!({ "empty": true })).await.expect("intended");
        bench
            .sql(
                "INSERT INTO recovery_steps (request, step, milestone, phase) VALUES ('bad-day', 'read-only-user', 'addons', 'Done'),
                    ('bad-day', 'restore', 'restored', 'Done'), ('bad-day', 'app/x', 'app-created', 'Done')",
            )
            .await;
        for replaced in [true, false] {
            assert_eq!(postgresql(ctx).await.expect("it is there").id, "ad-1");
            let steps = ctx.tools.store.steps("bad-day").await.expect("read");
            let done = steps.iter().filter(|row| row.phase == StepPhase::Done).count();
            assert_eq!(done, if replaced { 1 } else { 3 }, "{steps:?}");
            bench.sql("UPDATE recovery_steps SET phase = 'Done'").await;
        }
        let ledger = ctx.tools.store.ledger("bad-day").await.expect("read");
        let content = ledger.iter().find(|row| row.kind == "database-content").expect("it is on record");
        assert_eq!(content.state, LedgerState::Deleted);
        bench.end().await;
    }

    #[test]
    fn a_running_addon_without_its_variable_is_not_there_yet() {
        let seen = Seen { addons: vec![addon(WANTED.plan, "running")], has_variable: false };
        assert!(matches!(decide(WANTED, &seen), Ok(Next::Wait(_))));
    }

    #[test]
    fn another_plan_than_asked_for_is_refused() {
        let seen = Seen { addons: vec![addon("postgresql-starter-1024", "running")], has_variable: true };
        assert!(decide(WANTED, &seen).is_err());
    }

    #[test]
    fn two_addons_of_a_kind_are_never_picked_from() {
        let seen = Seen {
            addons: vec![addon(WANTED.plan, "running"), addon(WANTED.plan, "running")],
            has_variable: true,
        };
        assert!(decide(WANTED, &seen).is_err());
    }
}
