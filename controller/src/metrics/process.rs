//! The machinery itself: reconcile runs, queues, lease, tasks.

use std::time::Duration;

use prometheus::{GaugeVec, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

use super::MetricsError;
use super::family::{Families, SHORT, at_label, seconds};
use super::labels::{Labels, with_other};
use crate::runtime::controller::RunOutcome;
use crate::runtime::lease::Epoch;
use crate::runtime::queue::Depth;

#[derive(Debug)]
pub(super) struct Process {
    kinds: &'static [&'static str],
    runs: IntCounterVec,
    duration: HistogramVec,
    due: IntGaugeVec,
    delayed: IntGaugeVec,
    running: IntGaugeVec,
    oldest: GaugeVec,
    last_success: GaugeVec,
    lease_held: IntGauge,
    lease_epoch: IntGauge,
    tasks_failed: IntCounter,
    alert_drill: IntGauge,
}

impl Process {
    pub(super) fn new(families: &Families, labels: Labels) -> Result<Self, MetricsError> {
        let ended = "Reconcile runs by how they ended.";
        let succeeded = "When a run last ended without a failure.";
        let process = Self {
            kinds: labels.kinds,
            runs: families.counters("reconcile_runs_total", ended, &["kind", "outcome"])?,
            duration: families.histograms(
                "reconcile_duration_seconds",
                "How long a run took.",
                &["kind"],
                SHORT,
            )?,
            due: families.gauges(
                "queue_depth",
                "Objects that are due and wait for a free place.",
                &["kind"],
            )?,
            delayed: families.gauges("queue_delayed", "Objects whose next run is not due yet.", &["kind"])?,
            running: families.gauges("queue_running", "Objects that are reconciled now.", &["kind"])?,
            oldest: families.float_gauges(
                "queue_oldest_seconds",
                "How long the first in turn has waited.",
                &["kind"],
            )?,
            last_success: families.float_gauges("last_success_timestamp_seconds", succeeded, &["kind"])?,
            lease_held: families
                .gauge("lease_held", "Whether this process owns a request (1) or none (0).")?,
            lease_epoch: families
                .gauge("lease_epoch", "The epoch of the lease that this process took last.")?,
            alert_drill: families
                .gauge("alert_drill", "Whether the alerts are being rehearsed (1) or not (0).")?,
            tasks_failed: families
                .counter("tasks_failed_total", "Tasks that panicked or ended too early.")?,
        };
        process.create_all();
        Ok(process)
    }

    pub(super) fn alerts_are_rehearsed(&self, rehearsed: bool) {
        self.alert_drill.set(i64::from(rehearsed));
    }

    /// All but the time of the last success: before the first there is none, and zero would be a date.
    fn create_all(&self) {
        for kind in with_other(self.kinds) {
            self.duration.with_label_values(&[kind]);
            self.oldest.with_label_values(&[kind]);
            for gauges in [&self.due, &self.delayed, &self.running] {
                gauges.with_label_values(&[kind]);
            }
            for outcome in RunOutcome::LABELS {
                self.runs.with_label_values(&[kind, outcome]);
            }
        }
    }

    pub(super) fn run_ended(&self, kind: &str, outcome: RunOutcome, took: Duration) {
        let kind = at_label(self.kinds, kind);
        self.runs.with_label_values(&[kind, outcome.label()]).inc();
        self.duration.with_label_values(&[kind]).observe(took.as_secs_f64());
        match outcome {
            RunOutcome::Requeued | RunOutcome::Settled => {
                self.last_success.with_label_values(&[kind]).set(seconds(chrono::Utc::now()));
            }
            RunOutcome::Failed(_) | RunOutcome::Panicked => {}
        }
    }

    pub(super) fn queue_changed(&self, kind: &str, depth: Depth) {
        let kind = at_label(self.kinds, kind);
        let gauge = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.due.with_label_values(&[kind]).set(gauge(depth.due));
        self.delayed.with_label_values(&[kind]).set(gauge(depth.delayed));
        self.running.with_label_values(&[kind]).set(gauge(depth.running));
        self.oldest.with_label_values(&[kind]).set(depth.oldest.as_secs_f64());
    }

    pub(super) fn lease(&self, held: Option<Epoch>) {
        self.lease_held.set(held.is_some().into());
        if let Some(epoch) = held {
            self.lease_epoch.set(epoch.0);
        }
    }

    pub(super) fn task_failed(&self) {
        self.tasks_failed.inc();
    }
}
