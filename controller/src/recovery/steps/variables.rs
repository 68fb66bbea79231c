//! All variables of one app, computed and put in one call, then read back and compared.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};

use reprise_crds::Setting;
use reprise_crds::plan::{AppSpec, Computed};
use reprise_crds::variables::{Planned, resolve};
use secrecy::{ExposeSecret as _, SecretString};

use super::read_only_user::{self, is_read_only};
use super::{Ctx, Result, StepError, bucket, deploy};
use crate::providers::git::Commit;
use crate::providers::scalingo::capture::ALL;
use crate::providers::scalingo::variables::{Aliases, Variable, alias_of};
use crate::recovery::drive::{Next, Pace, drive};
use crate::recovery::outputs::{ConfiguredApp, MadeApp};
use crate::recovery::step::Step;
use crate::recovery::tools::{Back, Captured, Untold};
use crate::store::SpanKind;

mod dsn;

/// What was put so often and still reads otherwise is kept otherwise by the platform.
const OFTEN: u32 = 3;

pub(super) use dsn::Dsn;

pub(super) async fn run(ctx: &Ctx, app: &str) -> Result<ConfiguredApp> {
    let gone = || StepError::refused(format!("the plan has no app {app} any more"), "file a new request");
    let spec = ctx.run.plan.app(app).ok_or_else(gone)?;
    let decided = async {
        let commit = deploy::commit(ctx, spec).await?;
        let planned = planned(ctx, spec, &commit).await?;
        Ok::<_, StepError>((commit, planned))
    };
    let plan = (ctx.run.plan_name.as_str(), &ctx.run.plan);
    let (decided, captured) = futures::join!(decided, ctx.tools.replaced(plan, spec, &ALL, &ctx.stop));
    let (commit, planned) = decided?;
    let values = values(ctx, spec, &planned, &captured).await?;
    // One may have come into the plan when the user was there already.
    if planned.values().any(|one| matches!(one, Planned::Computed(computed) if is_read_only(*computed))) {
        read_only_user::complete(ctx).await?;
    }
    let there = put(ctx, app, &values, &asked(&planned)).await?;
    as_the_app_sees_them(ctx, app, &values, &planned).await?;
    let (captured_from, left, unknown) = match captured {
        Ok(captured) => {
            let left = captured.left(&back(ctx, spec, &there));
            (Some(captured.from), left, None)
        }
        Err(untold) => (None, Vec::new(), Some(untold.why)),
    };
    let names = planned.into_keys().collect();
    let put_after = deploy::newest(ctx, app).await?;
    Ok(ConfiguredApp { commit: commit.to_string(), names, captured_from, left, unknown, put_after })
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
    let listed = ctx.tools.target_platform(&ctx.run)?.variables(app, Aliases::Resolved).await;
    let seen = listed.map_err(StepError::provider(format!("reading the variables of {app}")))?;
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

/// The values themselves. Those of the read-only user are put by what knows its password.
async fn values(
    ctx: &Ctx,
    app: &AppSpec,
    planned: &BTreeMap<String, Planned>,
    captured: &Result<Captured, Untold>,
) -> Result<BTreeMap<String, SecretString>> {
    ctx.doing(SpanKind::Own, "computing the variables");
    let known = Known::gather(ctx, app, planned).await?;
    let mut values = BTreeMap::new();
    for (name, planned) in planned {
        let value = match planned {
            Planned::Literal(text) => SecretString::from(text.clone()),
            Planned::Reference(reference) => ctx
                .tools
                .references
                .secret(reference)
                .map_err(StepError::reference(format!("variable {name}")))?,
            Planned::Computed(computed) if is_read_only(*computed) => continue,
            Planned::Computed(computed) => known.value(*computed)?,
            Planned::Kept => match kept(captured, name) {
                Ok(value) => value,
                // It was put by an earlier attempt, and what told it may be gone by now.
                Err(why) => there(ctx, &app.name, name).await?.ok_or(why)?,
            },
            Planned::Generated { shared } => generated(ctx, &app.name, name, *shared).await?,
            Planned::Asked => continue,
        };
        values.insert(name.clone(), value);
    }
    Ok(values)
}

fn kept(captured: &Result<Captured, Untold>, name: &str) -> Result<SecretString> {
    let advice =
        "give it a value in the plan, or policy regenerate or ask, apply the plan, and resume the request";
    let captured = captured.as_ref().map_err(|untold| {
        StepError::refused(
            format!("variable {name} is to be kept, and nobody tells its value: {}", untold.why),
            advice,
        )
    })?;
    captured.variable(name).ok_or_else(|| {
        let from = &captured.from;
        StepError::refused(format!("variable {name} is to be kept, and {from} has no value for it"), advice)
    })
}

/// A new secret. It is known to the app alone: an attempt after a crash finds it there, or makes another one.
async fn generated(ctx: &Ctx, app: &str, name: &str, shared: bool) -> Result<SecretString> {
    // The first app's variables were put before those of the others are.
    let owner = if shared { ctx.first_app() } else { app };
    let known = there(ctx, owner, name).await?;
    Ok(known.unwrap_or_else(|| hex::encode(rand::random::<[u8; 32]>()).into()))
}

/// What an app of ours has under a name, unless it is blank.
async fn there(ctx: &Ctx, app: &str, name: &str) -> Result<Option<SecretString>> {
    let platform = ctx.tools.target_platform(&ctx.run)?;
    let seen = platform.variables(app, Aliases::Raw).await;
    let seen = seen.map_err(StepError::provider(format!("reading the variables of {app}")))?;
    Ok(of(&seen, name))
}

/// Everything that computed values are made of.
struct Known {
    database: Dsn,
    redis: Option<SecretString>,
    bucket: Option<Bucket>,
    hosts: Vec<String>,
}

struct Bucket {
    name: String,
    endpoint: String,
    region: String,
    access_key_id: SecretString,
    secret_access_key: SecretString,
}

impl Known {
    async fn gather(ctx: &Ctx, app: &AppSpec, planned: &BTreeMap<String, Planned>) -> Result<Self> {
        let made: MadeApp = ctx.outputs.get(&Step::App(app.name.clone()))?;
        let wants_redis = planned.values().any(|planned| *planned == Planned::Computed(Computed::RedisUrl));
        let redis =
            if wants_redis { Some(variable(ctx, &app.name, "SCALINGO_REDIS_URL").await?) } else { None };
        let mut hosts = app.domains.clone();
        hosts.push(made.default_host);
        Ok(Self { database: database_dsn(ctx).await?, redis, bucket: bucket(ctx).await?, hosts })
    }

    fn value(&self, computed: Computed) -> Result<SecretString> {
        let bucket = || self.bucket.as_ref().ok_or_else(|| lacks("a bucket"));
        let default_host = || self.hosts.last().cloned().unwrap_or_default();
        let primary = || self.hosts.first().cloned().unwrap_or_default();
        Ok(match computed {
            Computed::DatabaseUrl => self.database.url(),
            Computed::DatabaseHost => self.database.host.clone().into(),
            Computed::DatabasePort => self.database.port.to_string().into(),
            Computed::DatabaseUser => self.database.user.clone().into(),
            Computed::DatabasePassword => self.database.password.clone(),
            Computed::DatabaseName => self.database.database.clone().into(),
            Computed::RedisUrl => self.redis.clone().ok_or_else(|| lacks("Redis"))?,
            Computed::BucketName => bucket()?.name.clone().into(),
            Computed::BucketEndpoint => bucket()?.endpoint.clone().into(),
            Computed::BucketRegion => bucket()?.region.clone().into(),
            Computed::BucketAccessKeyId => bucket()?.access_key_id.clone(),
            Computed::BucketSecretAccessKey => bucket()?.secret_access_key.clone(),
            Computed::Hosts => self.hosts.join(",").into(),
            Computed::DefaultHost => default_host().into(),
            Computed::PrimaryHost => primary().into(),
            Computed::PrimaryUrl => format!("https://{}", primary()).into(),
            Computed::ReadOnlyUrl
            | Computed::ReadOnlyHost
            | Computed::ReadOnlyPort
            | Computed::ReadOnlyUser
            | Computed::ReadOnlyPassword
            | Computed::ReadOnlyName => {
                return Err(lacks("the read-only user's password, which is on the app alone"));
            }
        })
    }
}

fn lacks(what: &str) -> StepError {
    StepError::refused(
        format!("a variable is computed from {what}, and there is none"),
        "mend the plan, apply it, and resume",
    )
}

async fn bucket(ctx: &Ctx) -> Result<Option<Bucket>> {
    if ctx.run.plan.target.bucket.is_none() {
        return Ok(None);
    }
    let bucket = bucket::made(ctx).await?;
    let setting = |setting: &Setting, what: &str| ctx.tools.setting(setting, what);
    let secret = |reference| {
        ctx.tools.references.secret(reference).map_err(StepError::reference("the bucket's key pair"))
    };
    Ok(Some(Bucket {
        name: bucket.name.clone(),
        endpoint: setting(&bucket.endpoint, "target.bucket.endpoint")?,
        region: setting(&bucket.region, "target.bucket.region")?,
        access_key_id: secret(bucket.credentials.access_key_id.reference())?,
        secret_access_key: secret(bucket.credentials.secret_access_key.reference())?,
    }))
}

/// One variable of an app, aliases resolved.
async fn variable(ctx: &Ctx, app: &str, name: &str) -> Result<SecretString> {
    let platform = ctx.tools.target_platform(&ctx.run)?;
    let listed = platform.variables(app, Aliases::Resolved).await;
    let variables = listed.map_err(StepError::provider(format!("reading the variables of {app}")))?;
    let found = variables.into_iter().find(|variable| variable.name == name);
    found.map(|variable| variable.value).ok_or_else(|| {
        StepError::refused(
            format!("{app} has no variable {name}"),
            "the addon was probably removed: look at the app in the platform's dashboard, then resume",
        )
    })
}

/// How the first app reaches the restored database. Read each time: the platform may change it.
pub(super) async fn database_dsn(ctx: &Ctx) -> Result<Dsn> {
    let url = variable(ctx, ctx.first_app(), "SCALINGO_POSTGRESQL_URL").await?;
    Dsn::parse(&url).ok_or_else(|| {
        StepError::refused(
            "SCALINGO_POSTGRESQL_URL is not a PostgreSQL URL",
            "look at the variable in the platform's dashboard, then resume",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(name: &str, value: &str) -> Variable {
        Variable { id: name.to_owned(), name: name.to_owned(), value: value.to_owned().into() }
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
