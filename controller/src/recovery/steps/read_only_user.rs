//! The read-only database user. Its password exists in two places: at the platform, and in the apps' variables. It is put there at
//! once, and where that did not happen (a crash in between) it is reset rather than remembered.

use std::collections::BTreeMap;

use reprise_crds::plan::{AppSpec, Computed, Variable};
use secrecy::{ExposeSecret as _, SecretString};

use super::variables::{Dsn, database_dsn};
use super::{Ctx, Result, StepError};
use crate::providers::scalingo::AddonRef;
use crate::providers::scalingo::users::DatabaseUser;
use crate::providers::scalingo::variables::Aliases;
use crate::recovery::outputs::{Made, MadeAddon};
use crate::recovery::step::Step;
use crate::store::{Severity, SpanKind};

pub(super) async fn run(ctx: &Ctx) -> Result<Made> {
    let name = ctx.run.plan.target.read_only_user.clone().unwrap_or_default();
    let addon: MadeAddon = ctx.outputs.get(&Step::Postgres)?;
    let at = AddonRef { app: ctx.first_app().to_owned(), addon: addon.id.clone() };
    let intent = ctx.intend("database-user", &name, Some(&addon.id), serde_json::json!({})).await?;
    ctx.doing(SpanKind::Provider, "looking for the read-only user");
    let known = find(ctx, &at, &name).await?;
    if known.as_ref().is_some_and(|user| !user.read_only) {
        return Err(StepError::refused(
            format!("the database user {name} exists and may write"),
            "remove it in the platform's dashboard, or choose another name for target.readOnlyUser; then resume",
        ));
    }
    if known.is_none() || !everywhere(ctx, &name).await? {
        let password = fresh_password(ctx, &at, &name, known.is_some()).await?;
        put(ctx, &name, &password).await?;
        if !everywhere(ctx, &name).await? {
            return Err(StepError::refused(
                "the read-only user's credentials were put and are not there",
                "look at the apps' variables in the platform's dashboard, then resume",
            ));
        }
    }
    ctx.saw(&intent, &name).await?;
    Ok(Made { id: name })
}

async fn find(ctx: &Ctx, at: &AddonRef, name: &str) -> Result<Option<DatabaseUser>> {
    let platform = ctx.tools.target_platform(&ctx.run)?;
    let users =
        platform.database_users(at).await.map_err(StepError::provider("listing the database's users"))?;
    Ok(users.into_iter().find(|user| user.name == name))
}

/// Creates the user or, where it is there and its password is nowhere, resets it.
async fn fresh_password(ctx: &Ctx, at: &AddonRef, name: &str, exists: bool) -> Result<SecretString> {
    let platform = ctx.tools.target_platform(&ctx.run)?;
    let made = if exists {
        let message = format!("the password of {name} had not reached the apps; it is reset");
        ctx.event(Severity::Normal, "PasswordRotated", &message).await?;
        platform.reset_database_user(at, name).await
    } else {
        platform.create_database_user(at, name, true).await
    };
    let user = made.map_err(StepError::provider(format!("creating the read-only user {name}")))?;
    user.password.ok_or_else(|| {
        StepError::refused(
            "the platform told no password for the read-only user",
            "reset it in the dashboard, then resume",
        )
    })
}

/// Puts the credentials into every app that uses them.
async fn put(ctx: &Ctx, user: &str, password: &SecretString) -> Result<()> {
    let platform = ctx.tools.target_platform(&ctx.run)?;
    let dsn = database_dsn(ctx).await?.as_user(user, password);
    for app in &ctx.run.plan.apps {
        let values = values(ctx, app, &dsn);
        if values.is_empty() {
            continue;
        }
        let pairs = values.iter().map(|(name, value)| (name.as_str(), value));
        let put = platform.set_variables(&app.name, pairs).await;
        put.map_err(StepError::provider(format!("putting the read-only credentials into {}", app.name)))?;
    }
    Ok(())
}

/// The variables of `app` that are computed from the read-only user.
fn values(ctx: &Ctx, app: &AppSpec, dsn: &Dsn) -> BTreeMap<String, SecretString> {
    let all = ctx.run.plan.variables.values.iter().filter(|(name, _)| !app.variables.contains_key(*name));
    let computed =
        |(name, variable): (&String, &Variable)| Some((name.clone(), read_only(variable.computed?, dsn)?));
    all.chain(&app.variables).filter(|(name, _)| !app.unset.contains(name)).filter_map(computed).collect()
}

/// The value of a computed variable, if it is one of the read-only user.
fn read_only(computed: Computed, dsn: &Dsn) -> Option<SecretString> {
    match computed {
        Computed::ReadOnlyUrl => Some(dsn.url()),
        Computed::ReadOnlyHost => Some(dsn.host.clone().into()),
        Computed::ReadOnlyPort => Some(dsn.port.to_string().into()),
        Computed::ReadOnlyUser => Some(dsn.user.clone().into()),
        Computed::ReadOnlyPassword => Some(dsn.password.clone()),
        Computed::ReadOnlyName => Some(dsn.database.clone().into()),
        _ => None,
    }
}

/// Whether a computed value comes from the read-only user, and so was put by this step.
pub(super) fn is_read_only(computed: Computed) -> bool {
    matches!(
        computed,
        Computed::ReadOnlyUrl
            | Computed::ReadOnlyHost
            | Computed::ReadOnlyPort
            | Computed::ReadOnlyUser
            | Computed::ReadOnlyPassword
            | Computed::ReadOnlyName
    )
}

/// Whether every app has its read-only variables, of this user where they name one.
async fn everywhere(ctx: &Ctx, user: &str) -> Result<bool> {
    let platform = ctx.tools.target_platform(&ctx.run)?;
    let dsn = database_dsn(ctx).await?.as_user(user, &SecretString::from(""));
    for app in &ctx.run.plan.apps {
        let wanted = values(ctx, app, &dsn);
        let listed = platform.variables(&app.name, Aliases::Raw).await;
        let there = listed.map_err(StepError::provider(format!("reading the variables of {}", app.name)))?;
        let has = |name: &String| {
            there
                .iter()
                .any(|variable| variable.name == *name && !variable.value.expose_secret().trim().is_empty())
        };
        if !wanted.keys().all(has) {
            return Ok(false);
        }
    }
    Ok(true)
}
