//! What a command needs that does the daemon's work itself: the plan, the configuration, the providers.

use std::path::PathBuf;
use std::sync::Arc;

use reprise_crds::RecoveryPlanSpec;

use super::{CliError, Common, connect};
use crate::config::{Config, ConfigError, References};
use crate::draft::account::Account;
use crate::metrics::Metrics;
use crate::providers::http::CallObserver;
use crate::recovery::tools::Tools;
use crate::run::{Order, http, labels, tools};
use crate::store::Store;

/// How the daemon is configured.
#[derive(Debug, clap::Args)]
pub(super) struct Configured {
    /// The configuration, TOML; the environment wins over it
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Allow what only a rehearsal may do: faster time
    #[arg(long, global = true)]
    dev: bool,
}

impl Configured {
    /// Everything that the daemon would work with, on its own store.
    pub(super) fn tools(&self, common: &Common, store: Store) -> Result<Tools, CliError> {
        let references = References::of_this_process();
        let config = Config::load(self.config.as_deref(), self.dev, &references).map_err(CliError::Config)?;
        let order = Order {
            data_dir: connect::data_dir(common.data_dir.as_deref(), &references),
            database: connect::from_environment(&references)?,
            listen: crate::http::server::DEFAULT_ADDRESS,
            config,
            references,
        };
        let metrics = Arc::new(Metrics::new(labels()).map_err(|error| cannot_start(error.into()))?);
        tools(order, store, metrics).map_err(|error| cannot_start(error.into()))
    }

    /// The account at the platform, without a store.
    pub(super) fn account(&self) -> Result<Account, CliError> {
        let references = References::of_this_process();
        let config = Config::load(self.config.as_deref(), self.dev, &references).map_err(CliError::Config)?;
        let http = http(&config, CallObserver::silent()).map_err(|error| cannot_start(error.into()))?;
        Account::new(&config, http).ok_or_else(|| {
            let problem = "it is not set, and the platform is asked with it".to_owned();
            CliError::Config(ConfigError::Value { name: "SCALINGO_API_TOKEN", problem })
        })
    }
}

/// The command cannot begin.
pub(super) fn cannot_start(source: Box<dyn std::error::Error + Send + Sync>) -> CliError {
    CliError::Start { what: "the command".to_owned(), source }
}

/// A stored plan, read.
pub(super) async fn plan(store: &Store, name: &str) -> Result<RecoveryPlanSpec, CliError> {
    let Some(row) = store.plan(name).await? else {
        let names = store.plans().await?.into_iter().map(|plan| plan.name).collect();
        return Err(CliError::NotFound { kind: "plan", name: name.to_owned(), names });
    };
    let invalid = |problems| CliError::Invalid { what: format!("plan {name}"), problems };
    RecoveryPlanSpec::from_json(row.spec).map_err(invalid)
}
