//! The values of an app's variables, each from where the plan has it.

use std::collections::BTreeMap;

use reprise_crds::plan::{AppSpec, Computed};
use reprise_crds::variables::Planned;
use reprise_crds::{Part, Setting};
use secrecy::SecretString;

use super::{Dsn, of};
use crate::providers::scalingo::variables::{Aliases, Variable};
use crate::recovery::drive::{Pace, look};
use crate::recovery::steps::given::given;
use crate::recovery::steps::read_only_user::is_read_only;
use crate::recovery::steps::{Ctx, Result, StepError, bucket};
use crate::recovery::tools::{Captured, Untold};
use crate::store::SpanKind;

/// The values themselves. Those of the read-only user are put by what knows its password.
pub(super) async fn values(
    ctx: &Ctx,
    app: &AppSpec,
    planned: &BTreeMap<String, Planned>,
    captured: &Result<Captured, Untold>,
) -> Result<BTreeMap<String, SecretString>> {
    ctx.doing(SpanKind::Own, "computing the variables");
    let known = Known::gather(ctx, app, planned).await?;
    let mut given = given_to(ctx, app).await?;
    let mut values = BTreeMap::new();
    for (name, planned) in planned {
        let value = match planned {
            Planned::Literal(text) => SecretString::from(text.clone()),
            Planned::Reference(reference) => ctx
                .tools
                .references
                .secret(reference)
                .map_err(StepError::reference(format!("variable {name}")))?,
            Planned::Computed(computed) if ctx.run.cut.is_given(*computed) => {
                given.remove(name).ok_or_else(|| lacks("what the app that is there has"))?
            }
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

/// What leads `app` to the parts that are not brought back. It was looked for before anything was made.
async fn given_to(ctx: &Ctx, app: &AppSpec) -> Result<BTreeMap<String, SecretString>> {
    let Some(giver) = ctx.run.cut.givers.get(&app.name) else { return Ok(BTreeMap::new()) };
    let there = listed(ctx, giver, Aliases::Resolved).await?;
    Ok(given(&ctx.run.plan, &ctx.run.cut, app, &there).0)
}

fn kept(captured: &Result<Captured, Untold>, name: &str) -> Result<SecretString> {
    let advice =
        "give it a value in the plan, or policy regenerate or ask, apply the plan, and resume the request";
    let captured = captured.as_ref().map_err(|untold| {
        let what = format!("variable {name} is to be kept, and nobody tells its value: {}", untold.why);
        let refused = StepError::refused(what, advice);
        if untold.passes { refused.may_pass() } else { refused }
    })?;
    captured.variable(name).ok_or_else(|| {
        let from = &captured.from;
        StepError::refused(format!("variable {name} is to be kept, and {from} has no value for it"), advice)
    })
}

/// A new secret. It is known to the app alone: an attempt after a crash finds it there, or makes another one.
async fn generated(ctx: &Ctx, app: &str, name: &str, shared: bool) -> Result<SecretString> {
    // The first app's variables were put before those of the others are; an app that lives on has them.
    let standing = ctx.run.plan.apps.iter().find(|app| ctx.run.cut.is_standing(&app.name));
    let first = standing.map_or_else(|| ctx.first_app(), |app| app.name.as_str());
    let owner = if shared { first } else { app };
    let known = match there(ctx, owner, name).await? {
        None if owner != app => there(ctx, app, name).await?,
        known => known,
    };
    Ok(known.unwrap_or_else(|| hex::encode(rand::random::<[u8; 32]>()).into()))
}

/// What an app of ours has under a name, unless it is blank.
async fn there(ctx: &Ctx, app: &str, name: &str) -> Result<Option<SecretString>> {
    Ok(of(&listed(ctx, app, Aliases::Raw).await?, name))
}

/// The variables of an app of ours.
pub(in crate::recovery::steps) async fn listed(
    ctx: &Ctx,
    app: &str,
    aliases: Aliases,
) -> Result<Vec<Variable>> {
    let platform = ctx.tools.target_platform(&ctx.run)?;
    let observe = || async {
        let listed = platform.variables(app, aliases).await;
        listed.map_err(StepError::provider(format!("reading the variables of {app}")))
    };
    look(ctx, Pace::PROVIDER, observe).await
}

/// Everything that computed values are made of.
struct Known {
    database: Option<Dsn>,
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
        let made = ctx.known_app(&app.name)?;
        let wants_redis = planned.values().any(|planned| *planned == Planned::Computed(Computed::RedisUrl));
        let redis =
            if wants_redis { Some(variable(ctx, &app.name, "SCALINGO_REDIS_URL").await?) } else { None };
        let mut hosts = app.domains.clone();
        hosts.push(made.default_host);
        let database =
            if ctx.run.cut.scope.includes(Part::Database) { Some(database_dsn(ctx).await?) } else { None };
        Ok(Self { database, redis, bucket: bucket(ctx).await?, hosts })
    }

    fn value(&self, computed: Computed) -> Result<SecretString> {
        let database = || self.database.as_ref().ok_or_else(|| lacks("a database"));
        let bucket = || self.bucket.as_ref().ok_or_else(|| lacks("a bucket"));
        let default_host = || self.hosts.last().cloned().unwrap_or_default();
        let primary = || self.hosts.first().cloned().unwrap_or_default();
        Ok(match computed {
            Computed::DatabaseUrl => database()?.url(),
            Computed::DatabaseHost => database()?.host.clone().into(),
            Computed::DatabasePort => database()?.port.to_string().into(),
            Computed::DatabaseUser => database()?.user.clone().into(),
            Computed::DatabasePassword => database()?.password.clone(),
            Computed::DatabaseName => database()?.database.clone().into(),
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
    if ctx.run.plan.target.bucket.is_none() || !ctx.run.cut.scope.includes(Part::Bucket) {
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
    let observe = || async {
        let listed = platform.variables(app, Aliases::Resolved).await;
        let variables = listed.map_err(StepError::provider(format!("reading the variables of {app}")))?;
        let found = variables.into_iter().find(|variable| variable.name == name);
        found.map(|variable| variable.value).ok_or_else(|| {
            StepError::refused(
                format!("{app} has no variable {name}"),
                "the addon was probably removed: look at the app in the platform's dashboard, then resume. Until the database is checked (Redis: \
                 until the app is deployed) a missing addon is ordered anew, and what was in it restored anew; after that, file a new request",
            )
        })
    };
    look(ctx, Pace::PROVIDER, observe).await
}

/// How the app that has it reaches the restored database. Read each time: the platform may change it.
pub(in crate::recovery::steps) async fn database_dsn(ctx: &Ctx) -> Result<Dsn> {
    let url = variable(ctx, &ctx.database_app().await?, "SCALINGO_POSTGRESQL_URL").await?;
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
    use crate::runtime::class::{Class, Classified as _};

    #[test]
    fn a_value_that_may_be_told_later_is_asked_for_again() {
        let untold = |passes| Err(Untold { why: "503".to_owned(), passes });
        let class = |passes| kept(&untold(passes), "KEY").expect_err("nobody tells it").class();
        assert_eq!((class(true), class(false)), (Class::Transient, Class::Terminal));
    }
}
