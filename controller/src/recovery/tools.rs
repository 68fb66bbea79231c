//! What lives as long as the process and is shared by all steps: the store, the providers, the clock, the keys.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reprise_crds::plan::{ArtifactSource, CopyMode, MirrorSource, S3Credentials, TargetBucket};
use reprise_crds::{RecoveryPlanSpec, Setting};
use secrecy::ExposeSecret as _;

use super::error::{Result, StepError};
use super::steps::Run;
use crate::archive::{Archiver, Place, Vault};
use crate::backup::tools::ToolsError;
use crate::backup::{PgTools, Refusal};
use crate::config::{Config, References, ScalingoSettings};
use crate::metrics::Metrics;
use crate::providers::alwaysdata::{Alwaysdata, AlwaysdataConfig};
use crate::providers::github::{Github, GithubConfig};
use crate::providers::http::{Budget, HttpShared, Limiter};
use crate::providers::probe::Prober;
use crate::providers::s3::{S3, S3Config};
use crate::providers::scalingo::{Scalingo, ScalingoConfig};
use crate::providers::ssh::ClientKey;
use crate::runtime::chain::Chain;
use crate::runtime::clock::Clock;
use crate::store::Store;

mod budgets;
mod code;
mod estate;
mod kept;
mod ssh;
mod versions;

pub(crate) use code::CODE_PATIENCE;
pub(crate) use estate::{Back, Captured, Untold};
pub(crate) use ssh::registered;
pub(crate) use versions::PROGRAMS;

/// Requests a minute to the code host, which publishes 900 points.
const GITHUB_BUDGET: NonZeroU32 = NonZeroU32::new(600).expect("not zero");
/// Requests a minute to the DNS provider, which publishes 50 (250 for reads).
const DNS_BUDGET: NonZeroU32 = NonZeroU32::new(45).expect("not zero");

/// Everything that steps share.
#[derive(Debug)]
pub struct Tools {
    /// Our records.
    pub store: Store,
    /// The daemon's configuration.
    pub config: Config,
    /// Where references lead.
    pub references: References,
    /// The one clock.
    pub clock: Clock,
    /// What Prometheus sees.
    pub metrics: Arc<Metrics>,
    /// What HTTP clients share.
    pub http: HttpShared,
    /// Who we are among several daemons.
    pub identity: String,
    /// Private folders of requests.
    pub work_dir: PathBuf,
    /// Private folders of archive runs.
    pub archive_work: PathBuf,
    /// Private folders of throwaway databases.
    pub proof_work: PathBuf,
    /// Local copies of code.
    pub code_root: PathBuf,
    /// One at a time changes a local copy of code.
    pub code_turn: tokio::sync::Mutex<()>,
    /// One at a time registers a key.
    pub ssh_key_turn: tokio::sync::Mutex<()>,
    /// One at a time puts the read-only user's credentials.
    pub read_only_turn: tokio::sync::Mutex<()>,
    /// The code host's budget of requests.
    pub github_limiter: Limiter,
    dns_limiter: Limiter,
    platforms: Mutex<HashMap<String, Scalingo>>,
    limiter: Limiter,
    ssh_keys: Mutex<HashMap<String, ClientKey>>,
    account: tokio::sync::OnceCell<String>,
    programs: tokio::sync::Mutex<versions::Told>,
}

/// What [`Tools::new`] is made of.
#[derive(Debug)]
pub struct Parts {
    /// See [`Tools::store`].
    pub store: Store,
    /// See [`Tools::config`].
    pub config: Config,
    /// See [`Tools::references`].
    pub references: References,
    /// See [`Tools::clock`].
    pub clock: Clock,
    /// See [`Tools::metrics`].
    pub metrics: Arc<Metrics>,
    /// See [`Tools::http`].
    pub http: HttpShared,
    /// See [`Tools::identity`].
    pub identity: String,
    /// The data folder.
    pub data_dir: PathBuf,
}

impl Tools {
    /// Puts the parts together; nothing is sent.
    pub fn new(parts: Parts) -> Self {
        let Parts { store, config, references, clock, metrics, http, identity, data_dir } = parts;
        let budget = NonZeroU32::new(config.dev.requests_per_minute).unwrap_or(NonZeroU32::MIN);
        let minute = clock.scaled(Duration::from_mins(1));
        let budgets: Arc<dyn Budget> = Arc::new(budgets::Budgets(store.clone()));
        let limiter = |requests, account| Limiter::shared(requests, minute, account, Arc::clone(&budgets));
        Self {
            store,
            references,
            clock,
            metrics,
            http,
            identity,
            work_dir: data_dir.join("work"),
            archive_work: data_dir.join("archive"),
            proof_work: data_dir.join("proof"),
            code_root: data_dir.join("code"),
            code_turn: tokio::sync::Mutex::default(),
            ssh_key_turn: tokio::sync::Mutex::default(),
            read_only_turn: tokio::sync::Mutex::default(),
            github_limiter: limiter(GITHUB_BUDGET, "github"),
            dns_limiter: limiter(DNS_BUDGET, "alwaysdata"),
            platforms: Mutex::default(),
            limiter: limiter(budget, "scalingo"),
            ssh_keys: Mutex::default(),
            account: tokio::sync::OnceCell::new(),
            programs: tokio::sync::Mutex::default(),
            config,
        }
    }

    /// The platform in a region. All regions share the account's budget of requests.
    pub fn platform(&self, region: &str) -> Result<Scalingo> {
        let mut platforms = self.platforms.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = platforms.get(region) {
            return Ok(known.clone());
        }
        let settings = self.scalingo()?;
        let config = ScalingoConfig {
            auth_url: settings.auth_url.clone(),
            api_url: settings.api_url.clone(),
            db_url: settings.db_url.clone(),
            region: region.to_owned(),
            token: settings.token.clone(),
        };
        let platform = Scalingo::new(config, self.limiter.clone(), self.http.clone()).map_err(|error| {
            StepError::refused(
                format!("the platform's address cannot be used: {}", Chain(&error)),
                "correct the daemon's configuration, restart it, and resume the request",
            )
        })?;
        platforms.insert(region.to_owned(), platform.clone());
        Ok(platform)
    }

    /// The platform where the estate comes back.
    pub fn target_platform(&self, run: &Run) -> Result<Scalingo> {
        self.platform(&run.plan.target.region)
    }

    /// The platform where the estate was.
    pub fn source_platform(&self, run: &Run) -> Result<Scalingo> {
        self.platform(&run.plan.source.region)
    }

    /// The id of the account that we act as. It is asked once: the token stays the same as long as the process lives.
    pub async fn account(&self, run: &Run) -> Result<String> {
        let ask = || async {
            let user = self.target_platform(run)?.self_account().await;
            user.map(|user| user.id).map_err(StepError::provider("asking the platform who we are"))
        };
        self.account.get_or_try_init(ask).await.cloned()
    }

    /// The value of a setting of the plan, its reference resolved.
    pub fn setting(&self, setting: &Setting, what: &str) -> Result<String> {
        match setting.reference() {
            None => Ok(setting.as_str().to_owned()),
            Some(reference) => self.references.resolve(&reference).map_err(StepError::reference(what)),
        }
    }

    /// The code host, for the repository whose workflow leaves an artifact.
    pub fn github(&self, source: &ArtifactSource) -> Result<Github> {
        let config = GithubConfig {
            url: self.config.github.api_url.clone(),
            repository: self.setting(&source.repository, "the artifact's repository")?,
            token: self.config.github.token.clone(),
        };
        Github::new(config, self.github_limiter.clone(), self.http.clone()).map_err(|error| {
            StepError::refused(
                format!("the code host's address cannot be used: {}", Chain(&error)),
                "correct GITHUB_API_URL, restart the daemon, and resume",
            )
        })
    }

    /// The ephemeral SSH key of a request, made when it is first asked for. It lives in this process alone.
    pub fn ephemeral_ssh_key(&self, request: &str) -> Result<ClientKey> {
        let mut keys = self.ssh_keys.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = keys.get(request) {
            return Ok(key.clone());
        }
        let key = ClientKey::generate(&format!("reprise-{request}"))
            .map_err(StepError::failed("making an SSH key"))?;
        keys.insert(request.to_owned(), key.clone());
        Ok(key)
    }

    /// Forgets the ephemeral key of a request.
    pub fn forget_ssh_key(&self, request: &str) {
        self.ssh_keys.lock().unwrap_or_else(PoisonError::into_inner).remove(request);
    }

    /// The archive of a plan; an error if the plan has none.
    pub fn archiver(
        &self,
        plan: &str,
        spec: &RecoveryPlanSpec,
        cancel: &tokio_util::sync::CancellationToken,
    ) -> Result<Archiver> {
        let (Some(archive), Some(bucket)) = (&spec.archive, &spec.source.bucket) else {
            return Err(StepError::refused(
                format!("plan {plan} has no archive"),
                "add `archive:` and `source.bucket:` to the plan; see docs/plan.md",
            ));
        };
        let source = self.object_store(&bucket.endpoint, &bucket.region, &bucket.credentials)?;
        let inside = self.object_store(&archive.endpoint, &archive.region, &archive.credentials)?;
        let ends = [&bucket.endpoint, &archive.endpoint];
        let [from, to] = ends.map(|end| self.setting(end, "an endpoint of the archive"));
        let (from, to) = (from?, to?);
        if archive.mode == CopyMode::ServerSide && from.trim_end_matches('/') != to.trim_end_matches('/') {
            return Err(StepError::refused(
                format!(
                    "plan {plan}: archive.mode is `server-side`, and the bucket and its archive are at different endpoints"
                ),
                "set archive.mode to `stream`",
            ));
        }
        Ok(Archiver {
            plan: plan.to_owned(),
            concurrency: usize::try_from(spec.limits.copy_concurrency).unwrap_or(1),
            source: Place {
                s3: source.with_cancel(cancel.clone()),
                endpoint: from,
                bucket: self.setting(&bucket.name, "the production bucket's name")?,
            },
            vault: Vault {
                s3: inside.with_cancel(cancel.clone()),
                endpoint: to,
                bucket: self.setting(&archive.bucket, "the archive's bucket")?,
                prefix: archive.prefix.clone().unwrap_or_else(|| format!("{plan}/")),
                storage_class: archive.storage_class.clone(),
                lock: archive.lock,
            },
            spec: archive.clone(),
            store: self.store.clone(),
            clock: self.clock.clone(),
            work: self.archive_work.join(plan),
            identity: self.identity.clone(),
            cancel: cancel.clone(),
        })
    }

    /// The object store behind a mirror.
    pub fn mirror(&self, source: &MirrorSource) -> Result<S3> {
        self.object_store(&source.endpoint, &source.region, &source.credentials)
    }

    /// The object store where the documents come back.
    pub fn target_store(&self, bucket: &TargetBucket) -> Result<S3> {
        self.object_store(&bucket.endpoint, &bucket.region, &bucket.credentials)
    }

    /// A client of the store at `endpoint`.
    pub fn object_store(&self, endpoint: &Setting, region: &Setting, pair: &S3Credentials) -> Result<S3> {
        let secret = |reference| {
            self.references.secret(reference).map_err(StepError::reference("a key pair of the plan"))
        };
        let config = S3Config {
            endpoint: self.setting(endpoint, "an endpoint of the plan")?,
            region: self.setting(region, "a region of the plan")?,
            access_key: secret(pair.access_key_id.reference())?.expose_secret().to_owned(),
            secret_key: secret(pair.secret_access_key.reference())?,
            path_style: true,
        };
        S3::new(&config, self.http.clone()).map_err(StepError::s3("setting up the object store's client"))
    }

    /// The DNS provider.
    pub fn alwaysdata(&self) -> Result<Alwaysdata> {
        let settings = self.config.alwaysdata.as_ref().ok_or_else(|| {
            StepError::refused(
                "the DNS provider is not configured",
                "set ALWAYSDATA_API_KEY where the daemon runs, restart, and resume",
            )
        })?;
        let config = AlwaysdataConfig {
            url: settings.api_url.clone(),
            key: settings.api_key.clone(),
            account: settings.account.clone(),
        };
        Alwaysdata::new(config, self.dns_limiter.clone(), self.http.clone()).map_err(|error| {
            StepError::refused(
                format!("the DNS provider's address cannot be used: {}", Chain(&error)),
                "correct ALWAYSDATA_API_URL, restart the daemon, and resume",
            )
        })
    }

    /// A look from outside.
    pub fn prober(&self) -> Prober {
        Prober::new(self.http.clone())
    }

    /// The newest `pg_restore` of this machine: it reads what older ones wrote.
    pub async fn postgresql(&self) -> std::result::Result<PgTools, Refusal> {
        let newest = PgTools::installed().await.into_iter().next();
        let absent = || std::io::Error::other(ToolsError::Absent);
        newest.ok_or_else(|| Refusal::Tool { tool: "pg_restore", source: absent() })
    }

    /// How many bytes may still be written where `dir` lies: nine tenths of what is free.
    pub fn disk_budget(&self, dir: &std::path::Path) -> Result<u64> {
        let existing = dir.ancestors().find(|dir| dir.exists()).unwrap_or(dir);
        let space = nix::sys::statvfs::statvfs(existing)
            .map_err(|errno| StepError::io("looking how much disk is free")(errno.into()))?;
        Ok(space.blocks_available() * space.fragment_size() / 10 * 9)
    }

    fn scalingo(&self) -> Result<&ScalingoSettings> {
        self.config.scalingo.as_ref().ok_or_else(|| {
            StepError::refused(
                "the platform is not configured",
                "set SCALINGO_API_TOKEN where the daemon runs, restart, and resume",
            )
        })
    }
}
