//! The read-only database user. Its password exists in two places: at the platform, and in the apps' variables. It is put there at
//! once, and where no app has it (a crash in between) it is reset rather than remembered.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use reprise_crds::plan::{AppSpec, Computed};
use secrecy::{ExposeSecret as _, SecretString};

use super::variables::{Dsn, database_dsn, listed};
use super::{Ctx, Result, StepError, given};
use crate::providers::scalingo::AddonRef;
use crate::providers::scalingo::users::DatabaseUser;
use crate::providers::scalingo::variables::{self, Aliases};
use crate::recovery::drive::{Next, Pace, drive, look};
use crate::recovery::outputs::{Made, MadeAddon};
use crate::recovery::step::Step;
use crate::store::{Severity, SpanKind};

pub(super) async fn run(ctx: &Ctx) -> Result<Made> {
    let name = ctx.run.plan.target.read_only_user.clone().unwrap_or_default();
    let addon: MadeAddon = ctx.outputs.get(&Step::Postgres)?;
    let at = AddonRef { app: ctx.database_app().await?, addon: addon.id.clone() };
    let intent = ctx.intend("database-user", &name, Some(&addon.id), serde_json::json!({})).await?;
    ctx.doing(SpanKind::Provider, "looking for the read-only user");
    let fresh = made(ctx, &at, &name, !intent.fresh).await?;
    let _turn = ctx.tools.read_only_turn.lock().await;
    if let Some(password) = fresh {
        put_everywhere(ctx, &name, &password).await?;
    } else if !everywhere(ctx, &name).await? {
        // An app that is deployed already goes on with the password that it has: another one would lock it out.
        let password = match told(ctx, &name).await? {
            Some(password) => password,
            None => rotated(ctx, &at, &name).await?,
        };
        put_everywhere(ctx, &name, &password).await?;
    }
    ctx.saw(&intent, &name).await?;
    Ok(Made { id: name })
}

/// The database as its read-only user, whose password the apps have that were made.
pub(super) async fn as_reader(ctx: &Ctx, dsn: &Dsn, user: &str) -> Result<Dsn> {
    let password = told(ctx, user).await?;
    password.map(|password| dsn.as_user(user, &password)).ok_or_else(|| {
        StepError::refused(
            format!("no app that this request made tells the password of {user}"),
            "look at its variables in the platform's dashboard; `reprise cancel` and another request make another user",
        )
    })
}

/// The apps that were made. Those that were there before are led to the database once it was checked.
fn made_apps(ctx: &Ctx) -> impl Iterator<Item = &AppSpec> {
    ctx.run.plan.apps.iter().filter(|app| !ctx.run.cut.is_standing(&app.name))
}

/// Sees to it that every app has each variable of the read-only user, also one that came into the plan when the user was there already: it
/// is made of what the other variables tell.
pub(super) async fn complete(ctx: &Ctx) -> Result<()> {
    let Made { id: name } = ctx.outputs.get(&Step::ReadOnlyUser)?;
    let _turn = ctx.tools.read_only_turn.lock().await;
    if everywhere(ctx, &name).await? {
        return Ok(());
    }
    let password = if let Some(password) = told(ctx, &name).await? {
        password
    } else {
        // No app knows it, so none is locked out by another one.
        let addon: MadeAddon = ctx.outputs.get(&Step::Postgres)?;
        let at = AddonRef { app: ctx.database_app().await?, addon: addon.id };
        rotated(ctx, &at, &name).await?
    };
    put_everywhere(ctx, &name, &password).await
}

async fn put_everywhere(ctx: &Ctx, name: &str, password: &SecretString) -> Result<()> {
    put(ctx, name, password).await?;
    if everywhere(ctx, name).await? {
        return Ok(());
    }
    Err(StepError::refused(
        "the read-only user's credentials were put and are not there",
        "look at the apps' variables in the platform's dashboard, then resume",
    ))
}

/// The user's password as the apps have it; `None` where none has it, or two have different ones.
async fn told(ctx: &Ctx, user: &str) -> Result<Option<SecretString>> {
    let dsn = database_dsn(ctx).await?.as_user(user, &SecretString::from(""));
    let mut known: Option<SecretString> = None;
    for app in made_apps(ctx) {
        let there = listed(ctx, &app.name, Aliases::Raw).await?;
        for password in passwords(&computed(ctx, app), &dsn, &there) {
            match &known {
                Some(before) if before.expose_secret() != password.expose_secret() => return Ok(None),
                _ => known = Some(password),
            }
        }
    }
    Ok(known)
}

/// The passwords that an app's variables of this user tell. One that stands alone counts only beside the user's name or URL. Pure.
fn passwords(
    computed: &BTreeMap<String, Computed>,
    dsn: &Dsn,
    there: &[variables::Variable],
) -> Vec<SecretString> {
    let found = computed.iter().filter_map(|(name, computed)| {
        let variable = there.iter().find(|variable| variable.name == *name)?;
        is_of(*computed, dsn, &variable.value).then_some((*computed, &variable.value))
    });
    let found: Vec<(Computed, &SecretString)> = found.collect();
    let named =
        found.iter().any(|(computed, _)| matches!(computed, Computed::ReadOnlyUrl | Computed::ReadOnlyUser));
    let told = found.into_iter().filter_map(|(computed, value)| match computed {
        Computed::ReadOnlyUrl => Dsn::parse(value).map(|dsn| dsn.password),
        Computed::ReadOnlyPassword if named => Some(value.clone()),
        _ => None,
    });
    told.collect()
}

async fn find(ctx: &Ctx, at: &AddonRef, name: &str) -> Result<Option<DatabaseUser>> {
    let platform = ctx.tools.target_platform(&ctx.run)?;
    let users =
        platform.database_users(at).await.map_err(StepError::provider("listing the database's users"))?;
    Ok(users.into_iter().find(|user| user.name == name))
}

/// Sees to it that the user is there, and tells its password where it was made now. `doubt`: an earlier attempt may have made it.
async fn made(ctx: &Ctx, at: &AddonRef, name: &str, doubt: bool) -> Result<Option<SecretString>> {
    let platform = ctx.tools.target_platform(&ctx.run)?;
    let password = Mutex::new(None);
    let act = |()| async {
        let made = platform.create_database_user(at, name, true).await;
        let user = made.map_err(StepError::provider(format!("creating the read-only user {name}")))?;
        *password.lock().unwrap_or_else(PoisonError::into_inner) = user.password;
        Ok(())
    };
    drive(ctx, Pace::PROVIDER, doubt, || find(ctx, at, name), |seen| decide(name, seen.as_ref()), act)
        .await?;
    Ok(password.into_inner().unwrap_or_else(PoisonError::into_inner))
}

fn decide(name: &str, seen: Option<&DatabaseUser>) -> Result<Next<(), ()>> {
    match seen {
        None => Ok(Next::Act(())),
        Some(user) if user.read_only => Ok(Next::Done(())),
        Some(_) => Err(StepError::refused(
            format!("the database user {name} exists and may write"),
            "remove it in the platform's dashboard, or choose another name for target.readOnlyUser; then resume",
        )),
    }
}

/// Another password for the user, whose own one is nowhere.
async fn rotated(ctx: &Ctx, at: &AddonRef, name: &str) -> Result<SecretString> {
    let platform = ctx.tools.target_platform(&ctx.run)?;
    let message = format!("the password of {name} had not reached the apps; it is reset");
    ctx.event(Severity::Normal, "PasswordRotated", &message).await?;
    // What is refused was not done; one that was done twice is good all the same.
    let reset = || async {
        let reset = platform.reset_database_user(at, name).await;
        reset.map_err(StepError::provider(format!("resetting the password of {name}")))
    };
    look(ctx, Pace::PROVIDER, reset).await?.password.ok_or_else(|| {
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
    for app in made_apps(ctx) {
        let values = computed(ctx, app);
        if values.is_empty() {
            continue;
        }
        let values: BTreeMap<String, SecretString> = values
            .into_iter()
            .filter_map(|(name, computed)| Some((name, read_only(computed, &dsn)?)))
            .collect();
        let pairs = values.iter().map(|(name, value)| (name.as_str(), value));
        let put = || async {
            let put = platform.set_variables(&app.name, pairs.clone()).await;
            put.map_err(StepError::provider(format!("putting the read-only credentials into {}", app.name)))
        };
        look(ctx, Pace::PROVIDER, put).await?;
    }
    Ok(())
}

/// The variables of `app` that are computed from the read-only user, and how.
fn computed(ctx: &Ctx, app: &AppSpec) -> BTreeMap<String, Computed> {
    let mut computed = given::computed(&ctx.run.plan, app);
    computed.retain(|_, computed| is_read_only(*computed));
    computed
}

/// The value of a computed variable, if it is one of the read-only user.
pub(super) fn read_only(computed: Computed, dsn: &Dsn) -> Option<SecretString> {
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
    let dsn = database_dsn(ctx).await?.as_user(user, &SecretString::from(""));
    for app in made_apps(ctx) {
        let wanted = computed(ctx, app);
        let there = listed(ctx, &app.name, Aliases::Raw).await?;
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
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use serde_json::json;

    use super::*;
    use crate::recovery::steps::bench::{Bench, vendors};

    #[tokio::test]
    async fn a_user_whose_creation_got_no_answer_and_who_is_listed_late_is_not_made_twice() {
        let made = Arc::new(AtomicUsize::new(0));
        let created = Arc::clone(&made);
        let platform = vendors(move |what, before| match what.split_once(' ') {
            Some(("POST", at)) if at.ends_with("/users") => {
                // Done, and its answer was lost; a second one would be refused.
                if created.fetch_add(1, Ordering::Relaxed) == 0 { Err(500) } else { Err(422) }
            }
            Some(("GET", at)) if at.ends_with("/users") && before < 4 => {
                if before == 0 {
                    Err(404)
                } else {
                    Ok(json!({ "database_users": [] }))
                }
            }
            Some(("GET", at)) if at.ends_with("/users") => {
                Ok(json!({ "database_users": [{ "name": "reader", "read_only": true }] }))
            }
            _ => Err(404),
        });
        let bench = Bench::new(Step::ReadOnlyUser, platform).await;
        let at = AddonRef { app: "apilos".to_owned(), addon: "ad-1".to_owned() };
        let password = super::made(&bench.ctx, &at, "reader", false).await.expect("it is there");
        assert!(password.is_none(), "nobody told it: it is reset");
        assert_eq!(made.load(Ordering::Relaxed), 1);
        bench.end().await;
    }

    #[test]
    fn the_password_is_what_the_apps_have_of_this_user() {
        let url = |user: &str| format!("postgresql://{user}:s3cret@db.test:31234/apilos");
        let dsn =
            Dsn::parse(&url("apilos").into()).expect("a URL").as_user("reader", &SecretString::from(""));
        let variable = |name: &str, value: &str| variables::Variable {
            id: name.to_owned(),
            name: name.to_owned(),
            value: value.to_owned().into(),
        };
        let told = |computed: &[(&str, Computed)], there: &[variables::Variable]| -> Vec<String> {
            let computed = computed.iter().map(|(name, computed)| ((*name).to_owned(), *computed)).collect();
            let told = passwords(&computed, &dsn, there);
            told.iter().map(|password| password.expose_secret().to_owned()).collect()
        };
        let whole = [("URL", Computed::ReadOnlyUrl), ("NEW", Computed::ReadOnlyHost)];
        assert_eq!(told(&whole, &[variable("URL", &url("reader"))]), ["s3cret"]);
        assert_eq!(told(&whole, &[variable("URL", &url("earlier"))]), [""; 0], "it is another user's");
        let parts = [("U", Computed::ReadOnlyUser), ("P", Computed::ReadOnlyPassword)];
        assert_eq!(told(&parts, &[variable("U", "reader"), variable("P", "s3cret")]), ["s3cret"]);
        assert_eq!(told(&parts, &[variable("P", "s3cret")]), [""; 0], "whose it is nobody says");
    }

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
