//! How a family is registered: prefix, help, buckets, and the error that names it.

use chrono::{DateTime, Utc};
use prometheus::core::Collector;
use prometheus::{
    Gauge, GaugeVec, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry,
};

use super::MetricsError;
use super::labels::OTHER;

const PREFIX: &str = "reprise";

/// Statements and reconcile runs: 1 ms to 10 s.
pub(super) const SHORT: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Calls to providers: 10 ms to 60 s.
pub(super) const CALLS: &[f64] = &[0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
/// Steps of a recovery: 100 ms to 4 h.
pub(super) const LONG: &[f64] =
    &[0.1, 0.5, 1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0, 14400.0];

/// The registry while it is filled.
pub(super) struct Families {
    registry: Registry,
}

impl Families {
    pub(super) fn new() -> Self {
        Self { registry: Registry::new() }
    }

    pub(super) fn into_registry(self) -> Registry {
        self.registry
    }

    pub(super) fn counter(&self, name: &'static str, help: &str) -> Result<IntCounter, MetricsError> {
        self.register(name, IntCounter::with_opts(opts(name, help)))
    }

    pub(super) fn gauge(&self, name: &'static str, help: &str) -> Result<IntGauge, MetricsError> {
        self.register(name, IntGauge::with_opts(opts(name, help)))
    }

    pub(super) fn counters(
        &self,
        name: &'static str,
        help: &str,
        labels: &[&str],
    ) -> Result<IntCounterVec, MetricsError> {
        self.register(name, IntCounterVec::new(opts(name, help), labels))
    }

    pub(super) fn gauges(
        &self,
        name: &'static str,
        help: &str,
        labels: &[&str],
    ) -> Result<IntGaugeVec, MetricsError> {
        self.register(name, IntGaugeVec::new(opts(name, help), labels))
    }

    pub(super) fn float_gauge(&self, name: &'static str, help: &str) -> Result<Gauge, MetricsError> {
        self.register(name, Gauge::with_opts(opts(name, help)))
    }

    pub(super) fn float_gauges(
        &self,
        name: &'static str,
        help: &str,
        labels: &[&str],
    ) -> Result<GaugeVec, MetricsError> {
        self.register(name, GaugeVec::new(opts(name, help), labels))
    }

    pub(super) fn histograms(
        &self,
        name: &'static str,
        help: &str,
        labels: &[&str],
        buckets: &[f64],
    ) -> Result<HistogramVec, MetricsError> {
        let opts = HistogramOpts::new(name, help).namespace(PREFIX).buckets(buckets.to_vec());
        self.register(name, HistogramVec::new(opts, labels))
    }

    /// Which version runs: always 1, the value is in the label.
    pub(super) fn build_info(&self) -> Result<(), MetricsError> {
        let info = self.gauges("build_info", "The version that runs.", &["version"])?;
        info.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        Ok(())
    }

    pub(super) fn register<C: Collector + Clone + 'static>(
        &self,
        name: &'static str,
        made: prometheus::Result<C>,
    ) -> Result<C, MetricsError> {
        let failed = |source| MetricsError::Register { name, source };
        let family = made.map_err(failed)?;
        self.registry.register(Box::new(family.clone())).map_err(failed)?;
        Ok(family)
    }
}

/// The options of a family.
pub(super) fn opts(name: &str, help: &str) -> Opts {
    Opts::new(name, help).namespace(PREFIX)
}

/// The set's own copy of `value`, or `other`.
pub(super) fn at_label(set: &'static [&'static str], value: &str) -> &'static str {
    set.iter().find(|known| **known == value).copied().unwrap_or(OTHER)
}

/// A date as metrics give it.
pub(super) fn seconds(at: DateTime<Utc>) -> f64 {
    #[expect(
        clippy::cast_precision_loss,
        reason = "dates of this century in milliseconds fit a double exactly"
    )]
    let milliseconds = at.timestamp_millis() as f64;
    milliseconds / 1000.0
}
