//! Where log events go: standard error, as text for a person or as JSON for a collector.
//!
//! It must be called once, by the command that runs; a library never installs a subscriber.

use std::io::IsTerminal;

use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{Layer, fmt};

/// Our crates tell what changes, the others what is wrong.
const DEFAULT_FILTER: &str = "warn,reprise=info,reprise_cluster=info,reprise_crds=info";

/// How events are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Format {
    /// A line of text; coloured on a terminal.
    #[default]
    Text,
    /// A JSON object a line.
    Json,
    /// Text on a terminal, JSON elsewhere.
    Auto,
}

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// `RUST_LOG` is set and cannot be read.
    #[error("cannot read the log filter in RUST_LOG")]
    Filter(#[source] tracing_subscriber::filter::FromEnvError),
    /// It was set up before.
    #[error("cannot set up logging twice")]
    Twice(#[source] TryInitError),
}

/// Sets up logging for this process. `RUST_LOG` wins over the default filter; one that cannot be read is an error, not
/// silence.
pub fn init(format: Format) -> Result<(), TelemetryError> {
    let terminal = std::io::stderr().is_terminal();
    let layer = fmt::layer().with_writer(std::io::stderr).with_ansi(terminal);
    let layer = match format.resolved(terminal) {
        Format::Json => layer.json().flatten_event(true).boxed(),
        Format::Text | Format::Auto => layer.boxed(),
    };
    tracing_subscriber::registry()
        .with(layer.with_filter(filter()?))
        .try_init()
        .map_err(TelemetryError::Twice)
}

fn filter() -> Result<EnvFilter, TelemetryError> {
    match std::env::var_os(EnvFilter::DEFAULT_ENV).filter(|value| !value.is_empty()) {
        Some(_) => EnvFilter::try_from_default_env().map_err(TelemetryError::Filter),
        None => Ok(EnvFilter::new(DEFAULT_FILTER)),
    }
}

impl Format {
    const fn resolved(self, terminal: bool) -> Self {
        match (self, terminal) {
            (Self::Auto, false) => Self::Json,
            (Self::Auto, true) => Self::Text,
            (Self::Text | Self::Json, _) => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::filter::EnvFilter;

    use super::{DEFAULT_FILTER, Format};

    #[test]
    fn every_directive_of_the_default_filter_is_understood() {
        let filter = EnvFilter::try_new(DEFAULT_FILTER).unwrap().to_string();
        assert_eq!(filter.split(',').count(), DEFAULT_FILTER.split(',').count(), "{filter}");
    }

    #[test]
    fn json_is_for_what_is_no_terminal_and_only_if_wanted() {
        assert_eq!(Format::Auto.resolved(false), Format::Json);
        assert_eq!(Format::Auto.resolved(true), Format::Text);
        assert_eq!(Format::Text.resolved(false), Format::Text);
        assert_eq!(Format::Json.resolved(true), Format::Json);
    }
}
