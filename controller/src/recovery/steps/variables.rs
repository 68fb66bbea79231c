//! All variables of one app, computed and put in one call, then read back and compared.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};

use reprise_crds::Part;
use reprise_crds::plan::AppSpec;
use reprise_crds::variables::{Planned, kept as kept_names, resolve};
use secrecy::{ExposeSecret as _, SecretString};

use super::read_only_user::{self, is_read_only};
use super::{Ctx, Result, StepError, deploy};
use crate::providers::git::Commit;
use crate::providers::scalingo::capture::ALL;
use crate::providers::scalingo::variables::{Aliases, Variable, alias_of};
use crate::recovery::drive::{Next, Pace, drive, look};
use crate::recovery::outputs::ConfiguredApp;
use crate::recovery::tools::{Back, Captured, Untold};
use crate::runtime::chain::Chain;
use crate::runtime::class::{Class, Classified as _};
use crate::store::Severity;

mod dsn;
mod values;

/// What was put so often and still reads otherwise is kept otherwise by the platform.
const OFTEN: u32 = 3;

pub(super) use dsn::Dsn;
use values::values;
pub(super) use values::{database_dsn, listed};

pub(super) async fn run(ctx: &Ctx, app: &str) -> Result<ConfiguredApp> {
    let gone = || StepError::refused(format!("the plan has no app {app} any more"), "file a new request");
    let spec = ctx.run.plan.app(app).ok_or_else(gone)?;
    let decided = async {
        let commit = deploy::commit(ctx, spec).await?;
        let planned = planned(ctx, spec, &commit).await?;
        Ok::<_, StepError>((commit, planned))
    };
    let (decided, captured) = futures::join!(decided, captured(ctx, spec));
    let ((commit, planned), captured) = (decided?, captured?);
    let values = values(ctx, spec, &planned, &captured).await?;
    // One may have come into the plan when the user was there already.
    if ctx.run.cut.scope.includes(Part::Database)
        && planned.values().any(|one| matches!(one, Planned::Computed(computed) if is_read_only(*computed)))
    {
        read_only_user::complete(ctx).await?;
    }
    let there = put(ctx, app, &values, &asked(&planned)).await?;
    as_the_app_sees_them(ctx, app, &values, &planned).await?;
    let (captured_from, left, unknown) = match captured {
        Ok(captured) => {
            let left = captured.left(&back(ctx, spec, &there));
            let unknown = (!captured.silent.is_empty()).then(|| captured.silent.join("; "));
            (Some(captured.from), left, unknown)
        }
        Err(untold) => (None, Vec::new(), Some(untold.why)),
    };
    let names = planned.into_keys().collect();
    let put_after = deploy::newest(ctx, app).await?;
    Ok(ConfiguredApp { commit: commit.to_string(), names, captured_from, left, unknown, put_after })
}

/// What the app that is replaced was like. Where the plan keeps its values, those of the archive may be older than its own: they are taken
/// once the platform says that there is no such app, or has been failing for long.
async fn captured(ctx: &Ctx, app: &AppSpec) -> Result<Result<Captured, Untold>> {
    let plan = (ctx.run.plan_name.as_str(), &ctx.run.plan);
    if kept_names(plan.1, app).is_empty() {
        return Ok(ctx.tools.replaced(plan, app, &ALL, &ctx.stop).await);
    }
    let failing = format!("captured/{}", app.name);
    let error = match look(ctx, Pace::PROVIDER, || ctx.tools.alive(plan.1, app, &ALL)).await {
        Ok(captured) => {
            ctx.patience.answered(&failing);
            return Ok(Ok(captured));
        }
        Err(error) if error.class() == Class::Cancelled => return Err(error),
        Err(error) => error,
    };
    if !matches!(error, StepError::Refused { .. }) {
        if !ctx.keeps_failing(&failing) {
            return Err(error.may_pass());
        }
        let told = format!("what the archive keeps of {} is taken: {}", app.name, Chain(&error));
        ctx.event(Severity::Warning, "ConfigurationFromArchive", &told).await?;
    }
    Ok(ctx.tools.archived_instead(plan, app, &ALL, (&error, &ctx.stop)).await)
}

/// Puts what is to be there, and waits for what a person gives. Returns the names of all that is there then.
async fn put(
    ctx: &Ctx,
    app: &str,
    values: &BTreeMap<String, SecretString>,
    asked: &[&str],
) -> Result<Vec<String>> {
    let platform = ctx.tools.target_platform(&ctx.run)?;
    let observe = || async {
        let listed = platform.variables(app, Aliases::Raw).await;
        listed.map_err(StepError::provider(format!("reading the variables of {app}")))
    };
    let decide = |seen: &Vec<Variable>| {
        let other = others(values, seen);
        if !other.is_empty() {
            return Ok(Next::Act(other));
        }
        let open: Vec<&str> = asked.iter().copied().filter(|name| of(seen, name).is_none()).collect();
        if !open.is_empty() {
            // A person is awaited, for as long as that takes.
            ctx.pulse.awaits();
            return Ok(Next::Wait(question(ctx, app, &open)));
        }
        Ok(Next::Done(seen.iter().map(|variable| variable.name.clone()).collect()))
    };
    let taken = AtomicU32::new(0);
    let (platform, taken) = (&platform, &taken);
    let act = |other: Vec<String>| async move {
        if taken.load(Ordering::Relaxed) >= OFTEN {
            return Err(kept_otherwise(app, &other));
        }
        let put =
            platform.set_variables(app, values.iter().map(|(name, value)| (name.as_str(), value))).await;
        put.map_err(StepError::provider(format!("putting the variables of {app}")))?;
        taken.fetch_add(1, Ordering::Relaxed);
        Ok(())
    };
    drive(ctx, Pace::PROVIDER, false, observe, decide, act).await
}

/// The names whose values are not there as they are to be.
fn others(values: &BTreeMap<String, SecretString>, seen: &[Variable]) -> Vec<String> {
    let there = |name: &str, value: &SecretString| {
        seen.iter().any(|known| known.name == name && known.value.expose_secret() == value.expose_secret())
    };
    values.iter().filter(|(name, value)| !there(name, value)).map(|(name, _)| name.clone()).collect()
}

fn kept_otherwise(app: &str, names: &[String]) -> StepError {
    StepError::refused(
        format!("the platform took {} of {app} and has them otherwise than they were put", names.join(", ")),
        "look for blanks at their ends, line breaks and unusual characters, change the values, and resume the request",
    )
}

/// A secret that is nothing but `$NAME` may stand for another variable on the platform, which what was set does not show: it is looked at
/// as the app sees it. Where the plan says `$NAME` itself, that is meant.
async fn as_the_app_sees_them(
    ctx: &Ctx,
    app: &str,
    values: &BTreeMap<String, SecretString>,
    planned: &BTreeMap<String, Planned>,
) -> Result<()> {
    let mut doubted = values.clone();
    doubted.retain(|name, value| {
        let meant = matches!(planned.get(name), Some(Planned::Literal(_) | Planned::Kept));
        !meant && alias_of(value.expose_secret()).is_some()
    });
    if doubted.is_empty() {
        return Ok(());
    }
    let seen = listed(ctx, app, Aliases::Resolved).await?;
    let other = others(&doubted, &seen);
    if other.is_empty() { Ok(()) } else { Err(taken_for_a_name(app, &other)) }
}

fn taken_for_a_name(app: &str, names: &[String]) -> StepError {
    StepError::refused(
        format!(
            "{} of {app} has a secret that is a dollar sign and the name of another variable: the app would be given that one's value",
            names.join(", ")
        ),
        "choose another secret, put it where the reference points, and resume the request",
    )
}

/// The names whose values a person gives.
fn asked(planned: &BTreeMap<String, Planned>) -> Vec<&str> {
    let asked = planned.iter().filter(|(_, planned)| **planned == Planned::Asked);
    asked.map(|(name, _)| name.as_str()).collect()
}

fn question(ctx: &Ctx, app: &str, open: &[&str]) -> String {
    let commands = open.iter().map(|name| format!("`reprise answer {} {name}`", ctx.run.request));
    let commands = commands.collect::<Vec<_>>().join(", ");
    format!("{app} waits for somebody to give {}: {commands}", open.join(", "))
}

/// What this plan brings back of an app.
fn back<'a>(ctx: &'a Ctx, app: &'a AppSpec, there: &'a [String]) -> Back<'a> {
    let target = &ctx.run.plan.target;
    Back {
        variables: there.iter().map(String::as_str).collect(),
        domains: &app.domains,
        collaborators: &target.collaborators,
        redis: target.redis.is_some(),
    }
}

/// A value that is there and not blank.
fn of(seen: &[Variable], name: &str) -> Option<SecretString> {
    let found = seen.iter().find(|known| known.name == name)?;
    (!found.value.expose_secret().trim().is_empty()).then(|| found.value.clone())
}

/// Where each value comes from: the plan's word over the template's, read at the commit that will be deployed.
async fn planned(ctx: &Ctx, app: &AppSpec, commit: &Commit) -> Result<BTreeMap<String, Planned>> {
    let parsed = ctx.tools.template(&ctx.run.plan, app, commit).await?;
    resolve(&ctx.run.plan, app, parsed.as_ref(), ctx.run.mode).map_err(|problems| {
        let listed: Vec<String> = problems.iter().map(ToString::to_string).collect();
        StepError::refused(
            format!("the variables of {} are not complete: {}", app.name, listed.join("; ")),
            "give the values in the plan, apply it, and resume the request",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recovery::step::Step;
    use crate::recovery::steps::bench::{Bench, example, vendors};

    fn variable(name: &str, value: &str) -> Variable {
        Variable { id: name.to_owned(), name: name.to_owned(), value: value.to_owned().into() }
    }

    fn keeping() -> reprise_crds::RecoveryPlanSpec {
        let mut plan = example();
        let keep = serde_json::from_value(serde_json::json!({ "policy": "keep" })).expect("a variable");
        plan.variables.values.insert("JWT_SIGN_KEY".to_owned(), keep);
        plan
    }

    #[tokio::test]
    async fn values_that_are_kept_are_those_of_the_app_though_it_is_silent_for_a_moment() {
        let platform = vendors(|what, before| match what.rsplit('/').next() {
            Some("variables") if before < 2 => Err(403),
            Some("variables") => {
                Ok(serde_json::json!({ "variables": [{ "name": "JWT_SIGN_KEY", "value": "now" }] }))
            }
            Some("log_drains" | "notifiers") => Err(403),
            _ => Ok(serde_json::json!({})),
        });
        let plan = keeping();
        let bench = Bench::new(Step::Variables(plan.apps[0].name.clone()), platform).await;
        let told = captured(&bench.ctx.clone(), &plan.apps[0]).await;
        let bench = bench.replanned(|spec| *spec = keeping());
        assert!(told.is_ok_and(|told| told.is_err()), "no value is kept: it is looked at once");
        let told = captured(&bench.ctx, &plan.apps[0]).await.expect("it is looked at again").expect("told");
        assert!(told.variable("JWT_SIGN_KEY").is_some_and(|value| value.expose_secret() == "now"));
        assert_eq!(told.silent.len(), 2, "{:?}", told.silent);
        bench.end().await;
    }

    #[tokio::test]
    async fn a_platform_that_fails_is_waited_for_before_older_values_are_taken() {
        let plan = keeping();
        let bench = Bench::new(Step::Variables(plan.apps[0].name.clone()), vendors(|_, _| Err(500))).await;
        let bench = bench.replanned(|spec| *spec = keeping());
        let error = captured(&bench.ctx, &plan.apps[0]).await.map(drop).expect_err("it may come back");
        assert_eq!(error.class(), Class::Transient, "{error}");
        bench.end().await;
    }

    #[test]
    fn what_is_there_otherwise_is_named_and_its_value_is_not() {
        let values = [("KEY", "s3cret "), ("OTHER", "x")];
        let values = values.map(|(name, value)| (name.to_owned(), SecretString::from(value))).into();
        assert_eq!(others(&values, &[variable("KEY", "s3cret "), variable("OTHER", "x")]), [""; 0]);
        let trimmed = others(&values, &[variable("KEY", "s3cret"), variable("OTHER", "x")]);
        assert_eq!(trimmed, ["KEY"]);
        let told = kept_otherwise("shop", &trimmed).to_string();
        assert!(told.contains("KEY of shop") && !told.contains("s3cret"), "{told}");
        assert_eq!(others(&values, &[]), ["KEY", "OTHER"]);
    }
}
