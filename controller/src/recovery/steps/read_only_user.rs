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
        let values = computed(ctx, app);
        if values.is_empty() {
            continue;
        }
        let values: BTreeMap<String, SecretString> = values
            .into_iter()
            .filter_map(|(name, computed)| Some((name, read_only(computed, &dsn)?)))
            .collect();
        let pairs = values.iter().map(|(name, value)| (name.as_str(), value));
        let put = platform.set_variables(&app.name, pairs).await;
        put.map_err(StepError::provider(format!("putting the read-only credentials into {}", app.name)))?;
    }
    Ok(())
}

/// The variables of `app` that are computed from the read-only user, and how.
fn computed(ctx: &Ctx, app: &AppSpec) -> BTreeMap<String, Computed> {
    let all = ctx.run.plan.variables.values.iter().filter(|(name, _)| !app.variables.contains_key(*name));
    let computed = |(name, variable): (&String, &Variable)| {
        Some((name.clone(), variable.computed.filter(|computed| is_read_only(*computed))?))
    };
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

/// Whether every app has its read-only variables, and they are this user's.
async fn everywhere(ctx: &Ctx, user: &str) -> Result<bool> {
    let platform = ctx.tools.target_platform(&ctx.run)?;
    let dsn = database_dsn(ctx).await?.as_user(user, &SecretString::from(""));
    for app in &ctx.run.plan.apps {
        let wanted = computed(ctx, app);
        let listed = platform.variables(&app.name, Aliases::Raw).await;
        let there = listed.map_err(StepError::provider(format!("reading the variables of {}", app.name)))?;
        let has = |(name, computed): (&String, &Computed)| {
            there.iter().any(|variable| variable.name == *name && is_of(*computed, &dsn, &variable.value))
        };
        if !wanted.iter().all(has) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether a variable has what comes of this user. Its password is not remembered: any will do, as it was put together with the rest.
fn is_of(computed: Computed, dsn: &Dsn, value: &SecretString) -> bool {
    match computed {
        Computed::ReadOnlyPassword => !value.expose_secret().trim().is_empty(),
        Computed::ReadOnlyUrl => Dsn::parse(value).is_some_and(|found| {
            (&found.user, &found.host, found.port, &found.database)
                == (&dsn.user, &dsn.host, dsn.port, &dsn.database)
        }),
        other => read_only(other, dsn).is_some_and(|wanted| wanted.expose_secret() == value.expose_secret()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_of_an_earlier_user_are_not_this_ones() {
        let url = |user: &str| SecretString::from(format!("postgresql://{user}:secret@db.test:31234/apilos"));
        let dsn = Dsn::parse(&url("apilos")).expect("a URL").as_user("reader", &SecretString::from(""));
        assert!(is_of(Computed::ReadOnlyUrl, &dsn, &url("reader")));
        assert!(
            !is_of(Computed::ReadOnlyUrl, &dsn, &url("earlier"))
                && !is_of(Computed::ReadOnlyUrl, &dsn, &"".into())
        );
        assert!(is_of(Computed::ReadOnlyUser, &dsn, &"reader".into()));
        assert!(!is_of(Computed::ReadOnlyUser, &dsn, &"earlier".into()));
        assert!(
            is_of(Computed::ReadOnlyPassword, &dsn, &"x".into())
                && !is_of(Computed::ReadOnlyPassword, &dsn, &" ".into())
        );
    }
}
