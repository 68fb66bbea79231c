//! Wiring: the only file that knows every part of the daemon.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use reprise_crds::{Milestone, Part, Phase};
use sqlx::postgres::PgConnectOptions;
use tokio_util::sync::CancellationToken;

use crate::backup::checks::Finding;
use crate::backup::ladder::Halt;
use crate::backup::refusal;
use crate::config::{Config, References};
use crate::http::health::Health;
use crate::http::server::{Server, ServerError, routes};
use crate::metrics::{Labels, Metrics, MetricsError};
use crate::providers::http::{CallObserver, CallReport, HttpShared};
use crate::recovery::reconcile::Requests;
use crate::recovery::step::Step;
use crate::recovery::tools::{Parts, Tools};
use crate::runtime::clock::{BadScale, Clock};
use crate::runtime::controller::{self, Options};
use crate::runtime::queue::WorkQueue;
use crate::runtime::tasks::Tasks;
use crate::schedule::runner;
use crate::store::embedded::{Embedded, EmbeddedError};
use crate::store::{Store, StoreError};

mod data_dir;
mod jobs;
mod sweep;
mod watch;

/// What is reconciled.
const KIND: &str = "RecoveryRequest";
/// How long stopping may take: less than the ten seconds that container platforms give.
const GRACE: Duration = Duration::from_secs(8);

/// What the daemon is told on its command line.
#[derive(Debug)]
pub struct Order {
    /// Its configuration, validated.
    pub config: Config,
    /// Where references lead.
    pub references: References,
    /// Where its state lies.
    pub data_dir: PathBuf,
    /// A PostgreSQL to use instead of the private one.
    pub database: Option<PgConnectOptions>,
    /// Where metrics and health are served.
    pub listen: SocketAddr,
}

/// Why the daemon could not start, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The private store cannot be run.
    #[error("cannot run the private store")]
    Embedded(#[from] EmbeddedError),
    /// The store cannot be used.
    #[error("cannot use the store")]
    Store(#[from] StoreError),
    /// Metrics and health cannot be served.
    #[error("cannot serve metrics and health")]
    Server(#[from] ServerError),
    /// The metrics cannot be registered.
    #[error("cannot set up the metrics")]
    Metrics(#[from] MetricsError),
    /// The time scale is not usable.
    #[error("cannot set the clock")]
    Clock(#[from] BadScale),
    /// What killed predecessors left of throwaway databases cannot be wiped.
    #[error("cannot wipe what is left of throwaway databases")]
    Sweep(#[from] crate::proof::ProofError),
    /// Another daemon has the data folder.
    #[error("another daemon uses {}: each needs a --data-dir of its own, also where they share a database", path.display())]
    Shared {
        /// The folder.
        path: PathBuf,
    },
    /// A file of ours cannot be used.
    #[error("cannot use {}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The private PostgreSQL ended while the daemon ran.
    #[error("its private PostgreSQL ended; start the daemon again: it goes on where it was (the server's last words are in {})", log.display())]
    Died {
        /// The server's log.
        log: PathBuf,
    },
    /// A task without which nothing works ended.
    #[error("task {0} ended early")]
    Task(&'static str),
}

/// Runs the daemon until it is asked to stop. `started` is told the address of metrics and health.
pub async fn run(
    order: Order,
    stop: CancellationToken,
    started: impl FnOnce(SocketAddr),
) -> Result<(), RunError> {
    // Also beside the lock of a private store: a daemon whose records are elsewhere knows nothing of that.
    let _held = data_dir::hold(&order.data_dir)?;
    let mut embedded = match &order.database {
        Some(_) => None,
        None => Some(Embedded::start(&order.data_dir).await?),
    };
    let options = match (&order.database, &embedded) {
        (Some(options), _) => options.clone(),
        (None, Some(embedded)) => embedded.options()?,
        (None, None) => PgConnectOptions::new(),
    };
    let log = order.data_dir.join("store/server.log");
    let result = tokio::select! {
        result = serve(order, options, stop, started) => result,
        () = died(embedded.as_mut()) => Err(RunError::Died { log }),
    };
    if let Some(embedded) = embedded {
        embedded.stop().await;
    }
    result
}

async fn died(embedded: Option<&mut Embedded>) {
    match embedded {
        Some(embedded) => embedded.ended().await,
        None => std::future::pending().await,
    }
}

async fn serve(
    order: Order,
    options: PgConnectOptions,
    stop: CancellationToken,
    started: impl FnOnce(SocketAddr),
) -> Result<(), RunError> {
    let store = Store::connect(options).await?;
    store.migrate().await?;
    let metrics = Arc::new(Metrics::new(labels())?);
    let counted = Arc::clone(&metrics);
    let tasks = Tasks::observed(move |_| counted.task_failed());
    let health = Health::new();
    let server = Server::bind(order.listen).await?;
    let address = server.address();
    let serving = tasks.child();
    serving.critical("http", {
        let routes = routes(Arc::clone(&metrics), health.clone());
        |stop| server.run(routes, stop)
    });
    let tools = Arc::new(tools(order, store.clone(), Arc::clone(&metrics))?);
    tracing::info!(name = tools.identity, "leases and claims bear this name");
    sweep::leftovers(&tools).await;
    let queue = WorkQueue::new(tools.clock.clone());
    let requests = Arc::new(Requests::new(Arc::clone(&tools), tasks.child(), queue.clone()));
    let loops = tasks.child();
    loops.spawn("leftovers elsewhere", |stop| sweep::elsewhere(Arc::clone(&tools), stop));
    let asking = tasks.child();
    start_loops((&loops, &asking), &tools, &queue, &requests, &metrics, &health);
    loops.critical("freshness", |stop| crate::freshness::watch(Arc::clone(&tools), stop));
    if let Some(url) = tools.config.heartbeat_url.clone() {
        loops.critical("heartbeat", |stop| crate::heartbeat::beat(Arc::clone(&tools), url, stop));
    }
    loops.critical("proven", |stop| crate::proven::watch(Arc::clone(&tools), stop));
    loops.critical("preflight", |stop| crate::preflight::watch(Arc::clone(&tools), stop));
    started(address);
    let failed = tasks.stopping();
    tokio::select! {
        () = stop.cancelled() => {}
        () = failed.cancelled() => {}
    }
    tracing::info!("stopping");
    health.stopping();
    // Other daemons go on with the requests as soon as they may: not after whatever else takes its time to end.
    let handed_over = async {
        asking.shut_down(GRACE).await;
        requests.shut_down().await;
    };
    tokio::join!(loops.shut_down(GRACE), handed_over);
    tasks.shut_down(GRACE).await;
    store.close().await;
    tasks.failure().map_or(Ok(()), |name| Err(RunError::Task(name)))
}

/// `asking`: what asks for leases, beside all other loops.
fn start_loops(
    (loops, asking): (&Tasks, &Tasks),
    tools: &Arc<Tools>,
    queue: &WorkQueue<String>,
    requests: &Arc<Requests>,
    metrics: &Arc<Metrics>,
    health: &Health,
) {
    let reporter = health.condition("store");
    let (store, wake) = (tools.store.clone(), queue.clone());
    let counted = Arc::clone(metrics);
    asking.critical("watch", |stop| watch::requests(store, wake, counted, reporter, stop));
    let store = tools.store.clone();
    loops.critical("leftovers", |stop| watch::leftovers(store, stop));
    let (store, shown) = (tools.store.clone(), Arc::clone(metrics));
    loops.critical("ages", |stop| watch::ages(store, shown, stop));
    let scheduled = runner::Parts {
        store: tools.store.clone(),
        clock: tools.clock.clone(),
        identity: tools.identity.clone(),
        tasks: loops.child(),
        jobs: jobs::jobs(tools),
        pace: runner::Pace::of(tools.config.dev.lease),
    };
    loops.critical("schedules", |stop| runner::run(scheduled, stop));
    let (taken, requests, observer) = (queue.clone(), Arc::clone(requests), Arc::clone(metrics));
    asking.critical("reconcile", |stop| controller::run(taken, requests, Options::new(KIND), observer, stop));
}

/// What every part of the program needs, from its configuration.
pub fn tools(order: Order, store: Store, metrics: Arc<Metrics>) -> Result<Tools, RunError> {
    let clock = Clock::system().with_scale(order.config.dev.time_scale.max(1.0))?;
    let counted = Arc::clone(&metrics);
    let observer = CallObserver::new(move |report: CallReport| {
        counted.provider_called(report.provider, report.call, report.outcome.label(), report.took);
    });
    let http = http(&order.config, observer)?;
    let identity = identity(&order);
    let Order { config, references, data_dir, .. } = order;
    Ok(Tools::new(Parts { store, config, references, clock, metrics, http, identity, data_dir }))
}

/// What all providers share, from the configuration.
pub fn http(config: &Config, observer: CallObserver) -> Result<HttpShared, RunError> {
    let read =
        |path: &PathBuf| std::fs::read(path).map_err(|source| RunError::File { path: path.clone(), source });
    let extra_ca_pem = config.ca_file.as_ref().map(read).transpose()?;
    Ok(HttpShared { extra_ca_pem, observer, ..HttpShared::default() })
}

/// A name that belongs to one living process at a time. The private store lets only one process in, so there the name may outlive the
/// process, and a restarted daemon takes its own leases back at once.
fn identity(order: &Order) -> String {
    let host = nix::unistd::gethostname().ok().and_then(|host| host.into_string().ok()).unwrap_or_default();
    match &order.database {
        None => format!("{host}:{}", order.data_dir.display()),
        Some(_) => format!("{host}:{}", uuid::Uuid::new_v4().simple()),
    }
}

/// Every reason for which a backup can be refused, on whichever rung.
static REFUSALS: LazyLock<Vec<&'static str>> =
    LazyLock::new(|| [refusal::REASONS, Halt::REASONS, Finding::REASONS].concat());

/// The label values that exist from the start.
pub fn labels() -> Labels {
    const PHASES: &[&str] = &[
        "Pending",
        "Running",
        "WaitingApproval",
        "Paused",
        "TearingDown",
        "Succeeded",
        "Failed",
        "Cancelled",
    ];
    const MILESTONES: &[&str] =
        &["pending", "backup-selected", "app-created", "addons", "restored", "deployed", "dns-ok"];
    const SCOPES: &[&str] = &["all", "database", "bucket", "app", "dns"];
    debug_assert_eq!((PHASES.len(), MILESTONES.len()), (Phase::ALL.len(), Milestone::ALL.len()));
    debug_assert_eq!(SCOPES.len(), Part::ALL.len());
    Labels {
        kinds: &[KIND],
        calls: crate::providers::CALLS,
        steps: &Step::KINDS,
        step_outcomes: &["ok", "transient", "throttled", "terminal", "cancelled"],
        phases: PHASES,
        scopes: SCOPES,
        milestones: MILESTONES,
        refusals: &REFUSALS,
        data: &["database-backup", "artifact", "restore", "documents"],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What keeps a backup from being proven is looked up there by its reason.
    #[test]
    fn the_runbook_names_every_reason_that_a_backup_may_halt_for() {
        let page = include_str!("../../docs/alerts.md");
        let missing: Vec<&&str> =
            REFUSALS.iter().filter(|reason| !page.contains(&format!("`{reason}`"))).collect();
        assert!(missing.is_empty(), "docs/alerts.md lacks {missing:?}");
    }
}
