//! Every metric of the daemon. All families are registered here, prefix `reprise_`, base units.
//!
//! Labels are closed sets, given at start as [`Labels`]; every combination exists from then on, so that a rate over the
//! first failure exists. A value outside its set is counted as `other`: no id, URL or message becomes a label. The one
//! open label is the plan's name, which is a small set.

mod family;
mod labels;

use std::time::Duration;

use prometheus::{
    GaugeVec, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Registry, TextEncoder,
};

use crate::runtime::controller::{Observer, RunOutcome};
use crate::runtime::lease::Epoch;
use crate::runtime::queue::Depth;
use family::{Families, at_label, seconds};
pub use labels::Labels;

/// Why metrics cannot be made or shown.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// Two families have one name, or a name or label is not one.
    #[error("cannot register the metric {name}")]
    Register {
        /// The metric's name, without prefix.
        name: &'static str,
        /// Why.
        #[source]
        source: prometheus::Error,
    },
    /// A family cannot be written as text.
    #[error("cannot write the metrics as text")]
    Encode(#[source] prometheus::Error),
}

/// All families. What happens below reaches it through observers that the wiring installs.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    labels: Labels,
    reconcile_runs: IntCounterVec,
    reconcile_duration: HistogramVec,
    queue_depth: IntGaugeVec,
    queue_delayed: IntGaugeVec,
    queue_running: IntGaugeVec,
    queue_oldest: GaugeVec,
    last_success: GaugeVec,
    provider_requests: IntCounterVec,
    provider_duration: HistogramVec,
    store_queries: HistogramVec,
    steps: IntCounterVec,
    step_duration: HistogramVec,
    requests: IntGaugeVec,
    milestones: GaugeVec,
    backups_refused: IntCounterVec,
    bytes_moved: IntCounterVec,
    lease_held: IntGauge,
    lease_epoch: IntGauge,
    tasks_failed: IntCounter,
}

impl Metrics {
    /// What the text format is called.
    pub const CONTENT_TYPE: &'static str = prometheus::TEXT_FORMAT;

    /// Registers every family and creates every combination of `labels`.
    pub fn new(labels: Labels) -> Result<Self, MetricsError> {
        let families = Families::new();
        families.build_info()?;
        let kind = &["kind"];
        let metrics = Self {
            reconcile_runs: families.counters(
                "reconcile_runs_total",
                "Reconcile runs by how they ended.",
                &["kind", "outcome"],
            )?,
            reconcile_duration: families.histograms(
                "reconcile_duration_seconds",
                "How long a reconcile run took.",
                kind,
                family::SHORT,
            )?,
            queue_depth: families.gauges(
                "queue_depth",
                "Objects that are due and wait for a free place.",
                kind,
            )?,
            queue_delayed: families.gauges(
                "queue_delayed",
                "Objects whose next run is not due yet.",
                kind,
            )?,
            queue_running: families.gauges("queue_running", "Objects that are reconciled now.", kind)?,
            queue_oldest: families.float_gauges(
                "queue_oldest_seconds",
                "How long the oldest due object has waited.",
                kind,
            )?,
            last_success: families.float_gauges(
                "last_success_timestamp_seconds",
                "When a run last ended without a failure.",
                kind,
            )?,
            provider_requests: families.counters(
                "provider_requests_total",
                "Calls to a provider by how they ended.",
                &["provider", "call", "outcome"],
            )?,
            provider_duration: families.histograms(
                "provider_request_duration_seconds",
                "How long a call to a provider took.",
                &["provider", "call"],
                family::CALLS,
            )?,
            store_queries: families.histograms(
                "store_query_duration_seconds",
                "How long a statement of the store took.",
                &["op"],
                family::SHORT,
            )?,
            steps: families.counters(
                "steps_total",
                "Recovery steps by how an attempt ended.",
                &["step", "outcome"],
            )?,
            step_duration: families.histograms(
                "step_duration_seconds",
                "How long an attempt of a recovery step took.",
                &["step"],
                family::LONG,
            )?,
            requests: families.gauges("requests", "Recovery requests by phase.", &["phase"])?,
            milestones: families.float_gauges(
                "recovery_milestone_timestamp_seconds",
                "When the newest recovery of a plan reached a milestone.",
                &["plan", "milestone"],
            )?,
            backups_refused: families.counters(
                "backups_refused_total",
                "Database backups that were not good enough, by reason.",
                &["reason"],
            )?,
            bytes_moved: families.counters(
                "bytes_moved_total",
                "Bytes of data moved, by what they were.",
                &["what"],
            )?,
            lease_held: families.gauge("lease_held", "Whether this process is the owner (1) or not (0).")?,
            lease_epoch: families.gauge("lease_epoch", "The epoch that this process holds or held last.")?,
            tasks_failed: families
                .counter("tasks_failed_total", "Tasks that panicked or ended too early.")?,
            registry: families.into_registry(),
            labels,
        };
        metrics.create_all();
        Ok(metrics)
    }

    /// Everything, as Prometheus reads it.
    pub fn text(&self) -> Result<String, MetricsError> {
        TextEncoder::new().encode_to_string(&self.registry.gather()).map_err(MetricsError::Encode)
    }

    /// One call to a provider has ended. `outcome` is `ok`, or the class of its error.
    pub fn provider_called(&self, provider: &str, call: &str, outcome: &str, took: Duration) {
        let (provider, call) = self.labels.provider_call(provider, call);
        let outcome = at_label(labels::CALL_OUTCOMES, outcome);
        self.provider_requests.with_label_values(&[provider, call, outcome]).inc();
        self.provider_duration.with_label_values(&[provider, call]).observe(took.as_secs_f64());
    }

    /// One statement of the store has ended.
    pub fn store_asked(&self, op: &str, took: Duration) {
        self.store_queries
            .with_label_values(&[at_label(self.labels.store_ops, op)])
            .observe(took.as_secs_f64());
    }

    /// One attempt of a recovery step has ended.
    pub fn step_ended(&self, step: &str, outcome: &str, took: Duration) {
        let step = at_label(self.labels.steps, step);
        self.steps.with_label_values(&[step, at_label(self.labels.step_outcomes, outcome)]).inc();
        self.step_duration.with_label_values(&[step]).observe(took.as_secs_f64());
    }

    /// How many requests are in a phase now.
    pub fn requests_in(&self, phase: &str, count: i64) {
        self.requests.with_label_values(&[at_label(self.labels.phases, phase)]).set(count);
    }

    /// A recovery of `plan` has reached a milestone.
    pub fn milestone_reached(&self, plan: &str, milestone: &str, at: chrono::DateTime<chrono::Utc>) {
        let milestone = at_label(self.labels.milestones, milestone);
        self.milestones.with_label_values(&[plan, milestone]).set(seconds(at));
    }

    /// A plan is gone, and its metrics with it.
    pub fn plan_deleted(&self, plan: &str) {
        for milestone in labels::with_other(self.labels.milestones) {
            // Absent where the plan never got so far.
            self.milestones.remove_label_values(&[plan, milestone]).ok();
        }
    }

    /// A database backup was refused.
    pub fn backup_refused(&self, reason: &str) {
        self.backups_refused.with_label_values(&[at_label(self.labels.refusals, reason)]).inc();
    }

    /// More bytes were moved.
    pub fn bytes_moved(&self, what: &str, bytes: u64) {
        self.bytes_moved.with_label_values(&[at_label(self.labels.data, what)]).inc_by(bytes);
    }

    /// The lease was taken, or lost.
    pub fn lease(&self, held: Option<Epoch>) {
        self.lease_held.set(held.is_some().into());
        if let Some(epoch) = held {
            self.lease_epoch.set(epoch.0);
        }
    }

    /// A task panicked or ended too early.
    pub fn task_failed(&self) {
        self.tasks_failed.inc();
    }

    fn create_all(&self) {
        for kind in labels::with_other(self.labels.kinds) {
            self.reconcile_duration.with_label_values(&[kind]);
            for gauges in [&self.queue_depth, &self.queue_delayed, &self.queue_running] {
                gauges.with_label_values(&[kind]);
            }
            self.queue_oldest.with_label_values(&[kind]);
            for outcome in RunOutcome::LABELS {
                self.reconcile_runs.with_label_values(&[kind, outcome]);
            }
        }
        for (provider, call) in self.labels.provider_calls() {
            self.provider_duration.with_label_values(&[provider, call]);
            for outcome in labels::with_other(labels::CALL_OUTCOMES) {
                self.provider_requests.with_label_values(&[provider, call, outcome]);
            }
        }
        for step in labels::with_other(self.labels.steps) {
            self.step_duration.with_label_values(&[step]);
            for outcome in labels::with_other(self.labels.step_outcomes) {
                self.steps.with_label_values(&[step, outcome]);
            }
        }
        for op in labels::with_other(self.labels.store_ops) {
            self.store_queries.with_label_values(&[op]);
        }
        for phase in labels::with_other(self.labels.phases) {
            self.requests.with_label_values(&[phase]);
        }
        for reason in labels::with_other(self.labels.refusals) {
            self.backups_refused.with_label_values(&[reason]);
        }
        for what in labels::with_other(self.labels.data) {
            self.bytes_moved.with_label_values(&[what]);
        }
    }
}

impl Observer for Metrics {
    fn run_ended(&self, kind: &'static str, outcome: RunOutcome, took: Duration) {
        let kind = at_label(self.labels.kinds, kind);
        self.reconcile_runs.with_label_values(&[kind, outcome.label()]).inc();
        self.reconcile_duration.with_label_values(&[kind]).observe(took.as_secs_f64());
        match outcome {
            RunOutcome::Requeued | RunOutcome::Settled => {
                self.last_success.with_label_values(&[kind]).set(seconds(chrono::Utc::now()));
            }
            RunOutcome::Failed(_) | RunOutcome::Panicked => {}
        }
    }

    fn queue_changed(&self, kind: &'static str, depth: Depth) {
        let kind = at_label(self.labels.kinds, kind);
        let gauge = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.queue_depth.with_label_values(&[kind]).set(gauge(depth.due));
        self.queue_delayed.with_label_values(&[kind]).set(gauge(depth.delayed));
        self.queue_running.with_label_values(&[kind]).set(gauge(depth.running));
        self.queue_oldest.with_label_values(&[kind]).set(depth.oldest.as_secs_f64());
    }
}

#[cfg(test)]
mod tests;
