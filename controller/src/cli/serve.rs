//! `reprise serve`: the daemon.

use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::{CliError, Common, connect, exit};
use crate::config::{Config, References};
use crate::http::server::DEFAULT_ADDRESS;
use crate::run::{Order, RunError, run as run_daemon};
use crate::telemetry::{self, Format};

/// Arguments of `serve`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The configuration, TOML; the environment wins over it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where metrics and health are served; port 0 takes a free one
    #[arg(long, default_value_t = DEFAULT_ADDRESS)]
    listen: SocketAddr,
    /// Allow what only a rehearsal may do: faster time, another request budget, other ingress ports
    #[arg(long)]
    dev: bool,
    /// How the log is written, on standard error
    #[arg(long, value_enum, default_value_t = Format::Auto)]
    log: Format,
}

pub(super) async fn run(common: &Common, args: Args) -> Result<u8, CliError> {
    let start = |what: &str| {
        let what = what.to_owned();
        move |source: Box<dyn std::error::Error + Send + Sync>| CliError::Start { what, source }
    };
    telemetry::init(args.log).map_err(|error| start("the log")(error.into()))?;
    let references = References::of_this_process();
    let config = Config::load(args.config.as_deref(), args.dev, &references).map_err(CliError::Config)?;
    let order = Order {
        data_dir: connect::data_dir(common.data_dir.as_deref(), &references),
        database: connect::from_environment(&references)?,
        listen: args.listen,
        config,
        references,
    };
    let stop = stop_on_signals().map_err(|error| start("signal handling")(error.into()))?;
    let told = |address: SocketAddr| tracing::info!(%address, "ready");
    run_daemon(order, stop, told).await.map_err(|error| match error {
        RunError::Died { .. } | RunError::Task(_) => CliError::Ended(error.into()),
        error => start("the daemon")(error.into()),
    })?;
    Ok(exit::OK)
}

/// Fires at the first SIGTERM or SIGINT; a second one ends the process at once.
pub(super) fn stop_on_signals() -> std::io::Result<CancellationToken> {
    let (mut term, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let stop = CancellationToken::new();
    let fired = stop.clone();
    // Belongs to the process and not to a group of tasks: it must outlive them to be able to cut them off.
    #[expect(clippy::disallowed_methods, reason = "lives as long as the process")]
    tokio::spawn(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = interrupt.recv() => {}
        }
        fired.cancel();
        tokio::select! {
            _ = term.recv() => {}
            _ = interrupt.recv() => {}
        }
        // Asked twice: what was under way is in doubt, and the next start looks.
        #[expect(clippy::exit, reason = "a second signal means now")]
        std::process::exit(130);
    });
    Ok(stop)
}
