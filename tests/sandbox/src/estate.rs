//! The seeded estate: two production apps that share a database, a bucket and their history, and the ways to lose them.

use std::path::PathBuf;
use std::sync::Arc;

use crate::control::Disaster;
use crate::paas::{DEFAULT_DOMAIN, SeedError};
use crate::sandbox::{Options, Parts};
use crate::seed::{self, Size};

mod backups;
mod content;
mod key;
mod runs;

/// The zone of the estate.
pub const ZONE: &str = "apilos.test";
/// Account at the DNS provider.
pub const ALWAYSDATA_ACCOUNT: &str = "apilos";
/// `owner/name` at the code host.
pub const REPOSITORY: &str = "apilos/apilos";
/// The weekly archive job.
pub const WORKFLOW: &str = "archive.yml";
/// What that job uploads.
pub const ARTIFACT: &str = "s3_production";
/// The production bucket, at the source store.
pub const BUCKET: &str = "apilos-production";
/// Its mirror in a cold class, at the archive store.
pub const MIRROR: &str = "apilos-mirror";
/// Both stores' region.
pub const S3_REGION: &str = "fr-par";
/// The app that owns the database.
pub const SIAP: &str = "apilos-siap";
/// The app that shares it.
pub const STANDALONE: &str = "apilos-standalone";
/// Whom a recovery may invite; the account exists and may accept.
pub const COLLABORATOR: &str = "astreinte@apilos.test";
/// The read-only database user of the SQL explorer.
const READ_ONLY_USER: &str = "apilosexplorer";
/// Seconds that a CNAME of the estate may be cached.
const TTL: u32 = 300;
const FORMATION: [(&str, u32); 2] = [("web", 1), ("worker", 1)];

/// What was made, as far as others need to know.
#[derive(Debug)]
pub(crate) struct Estate {
    /// The account's id.
    user: String,
    /// The account's API token.
    pub(crate) token: String,
    /// The collaborator's API token.
    pub(crate) collaborator_token: String,
    /// The private half of the registered key.
    pub(crate) ssh_key: PathBuf,
    /// The bare repository.
    pub(crate) code: PathBuf,
}

/// Why the estate was not made, or not lost.
#[derive(Debug, thiserror::Error)]
pub enum EstateError {
    /// The platform refused.
    #[error(transparent)]
    Platform(#[from] SeedError),
    /// A file could not be read or written.
    #[error("could not handle {what}")]
    File {
        /// What it is.
        what: &'static str,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Another part refused.
    #[error("could not {doing}")]
    Part {
        /// What was to be done.
        doing: &'static str,
        /// What it said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Wraps another part's error.
fn failed<E: Into<Box<dyn std::error::Error + Send + Sync>>>(
    doing: &'static str,
) -> impl FnOnce(E) -> EstateError {
    move |source| EstateError::Part { doing, source: source.into() }
}

/// Makes the estate, without the vendor's waits. What does not need each other is made at the same time; what is drawn is drawn
/// in the same order each time, so that the same seed makes the same estate.
pub(crate) async fn furnish(parts: &Arc<Parts>, options: &Options) -> Result<Estate, EstateError> {
    parts.world.ids.begin(options.seed);
    let paas = &parts.paas;
    let (user, token) = paas.seed_user("apilos-ops", "ops@apilos.test");
    let (_, collaborator_token) = paas.seed_user("apilos-astreinte", COLLABORATOR);
    let ssh_key = key::make(parts, &user)?;
    for app in [SIAP, STANDALONE] {
        paas.seed_app(&user, app)?;
    }
    let (code, ()) = tokio::try_join!(platform(parts, options), documents(parts, options))?;
    Ok(Estate { user, token, collaborator_token, ssh_key, code })
}

/// Buckets and workflow runs, on tasks of their own: all of it is computing.
async fn documents(parts: &Arc<Parts>, options: &Options) -> Result<(), EstateError> {
    let all = content::documents(options)?;
    let zipping = async move {
        let zipped = tokio::task::spawn_blocking(move || runs::zipped(all)).await;
        zipped.map_err(failed("zip the documents"))?
    };
    let ((), whole) = tokio::try_join!(content::store(parts, options), zipping)?;
    let owned = Arc::clone(parts);
    let adding = tokio::task::spawn_blocking(move || runs::make(&owned, whole));
    adding.await.map_err(failed("add the workflow runs"))?
}

/// Addons, variables, domains, backups, and the two apps; the code's repository.
async fn platform(parts: &Arc<Parts>, options: &Options) -> Result<PathBuf, EstateError> {
    let paas = &parts.paas;
    expect_copy(parts, options);
    let ((postgres, _, _), (code, commit)) = tokio::try_join!(
        async {
            Ok::<_, EstateError>(tokio::try_join!(
                paas.seed_addon(SIAP, "postgresql", "postgresql-starter-512"),
                paas.seed_addon(SIAP, "redis", "redis-starter-256"),
                paas.seed_addon(STANDALONE, "redis", "redis-starter-256"),
            )?)
        },
        code(parts)
    )?;
    content::fill(parts, &postgres, options).await?;
    parts.plane.databases.keep(&postgres).await.map_err(failed("keep the database for later"))?;
    let password = paas.seed_database_user(&postgres, READ_ONLY_USER).await?;
    for (app, host) in [(SIAP, "siap"), (STANDALONE, "standalone")] {
        set_variables(parts, app, host, &password)?;
        let name = format!("{host}.{ZONE}");
        parts.alwaysdata.seed_record(host, "CNAME", &format!("{app}.{DEFAULT_DOMAIN}"), TTL, true);
        paas.seed_domain(app, &name)?;
    }
    let deploy = |app| paas.seed_deployment(app, &code, &commit, &FORMATION);
    let (siap, standalone, backed_up) =
        tokio::join!(deploy(SIAP), deploy(STANDALONE), backups::make(parts, &postgres, options.size));
    for error in [siap, standalone].into_iter().filter_map(Result::err) {
        // The platform says so too: the app stays as after any failed deployment.
        tracing::error!(%error, "a production app does not run");
    }
    backed_up?;
    Ok(code)
}

/// The generated database is the same each time. A large one is not worth its place, and a given one is nobody's to keep.
fn expect_copy(parts: &Parts, options: &Options) {
    if options.dump.is_none() && options.size < Size::Large {
        parts.plane.databases.expect(options.cache.clone(), &seed::identity(options.size, options.seed));
    }
}

/// The application's bare repository, and the commit of `main`.
async fn code(parts: &Parts) -> Result<(PathBuf, String), EstateError> {
    let file = |source| EstateError::File { what: "the code's repository", source };
    let bare = parts.world.folder("code/apilos.git").map_err(file)?;
    let commit = seed::code_repository(&bare).await.map_err(failed("make the code's repository"))?;
    Ok((bare, commit))
}

/// The variables of one app: its own, and those that both share.
fn set_variables(parts: &Parts, app: &str, host: &str, read_only_password: &str) -> Result<(), EstateError> {
    let paas = &parts.paas;
    let dsn = paas.variable(SIAP, "SCALINGO_POSTGRESQL_URL").unwrap_or_default();
    let url = url::Url::parse(&dsn).map_err(failed("read the database's url"))?;
    let (own, default) = (format!("{host}.{ZONE}"), format!("{app}.{DEFAULT_DOMAIN}"));
    let (db_host, port, name) = (
        url.host_str().unwrap_or_default(),
        url.port().unwrap_or_default(),
        url.path().trim_start_matches('/'),
    );
    let (key_id, secret) = parts.secrets.source.clone();
    let mut variables = vec![
        ("SECRET_KEY", parts.world.ids.secret(50)),
        ("ENVIRONMENT", "production".into()),
        ("DEBUG", "False".into()),
        ("LOGLEVEL", "ERROR".into()),
        ("ALLOWED_HOSTS", format!("{own},{default}")),
        ("APPLICATION_DOMAIN_URL", format!("https://{own}")),
        ("DB_USER", url.username().to_owned()),
        ("DB_PASSWORD", url.password().unwrap_or_default().to_owned()),
        ("DB_HOST", db_host.to_owned()),
        ("DB_PORT", port.to_string()),
        ("DB_NAME", name.to_owned()),
        ("DB_READONLY", format!("postgres://{READ_ONLY_USER}:{read_only_password}@{db_host}:{port}/{name}")),
        ("AWS_ACCESS_KEY_ID", key_id),
        ("AWS_SECRET_ACCESS_KEY", secret),
        ("AWS_STORAGE_BUCKET_NAME", BUCKET.into()),
        ("AWS_S3_REGION_NAME", S3_REGION.into()),
        ("AWS_S3_ENDPOINT_URL", parts.source.endpoint()),
    ];
    if app == SIAP {
        variables.push(("CERBERE_AUTH", "https://portal.apilos.test/cas/".into()));
    } else {
        variables.push(("DATABASE_URL", dsn));
    }
    Ok(paas.seed_variables(app, &variables)?)
}

/// Has the disaster `kind` happen. DNS is left stale in both.
pub(crate) async fn strike(parts: &Parts, kind: Disaster) -> Result<(), EstateError> {
    let Some(estate) = parts.estate.get() else { return Ok(()) };
    match kind {
        Disaster::Data => {
            parts.paas.lose_data(&[SIAP, STANDALONE]).await?;
            parts.source.empty(BUCKET).await.map_err(failed("empty the production bucket"))
        }
        Disaster::Account => {
            parts.paas.lose_account(&estate.user).await;
            parts.source.remove_all().await.map_err(failed("remove the source's buckets"))
        }
    }
}
