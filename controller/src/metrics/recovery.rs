//! Recoveries: requests, milestones, steps, backups, bytes.

use std::time::Duration;

use chrono::{DateTime, Utc};
use prometheus::{GaugeVec, HistogramVec, IntCounterVec, IntGaugeVec};

use super::MetricsError;
use super::family::{Families, LONG, at_label, seconds};
use super::labels::{Labels, with_other};

#[derive(Debug)]
pub(super) struct Recovery {
    labels: Labels,
    steps: IntCounterVec,
    step_duration: HistogramVec,
    requests: IntGaugeVec,
    open: IntGaugeVec,
    milestones: GaugeVec,
    /// No series for a plan none of whose requests stands failed.
    failed: GaugeVec,
    /// No series for a plan that has no open request.
    moved: GaugeVec,
    /// No series for a plan whose hand-over waits for nobody.
    hand_over: GaugeVec,
    refused: IntCounterVec,
    bytes: IntCounterVec,
}

impl Recovery {
    pub(super) fn new(families: &Families, labels: Labels) -> Result<Self, MetricsError> {
        let reached =
            "When a recovery of a whole plan last reached a milestone; drills and parts are not counted.";
        let open = "Requests that have not ended, by what of an estate they are about; one may be about several parts.";
        let milestone = &["plan", "milestone"];
        let failed =
            "When the newest request that stands failed ended, or a step failed of one that has not ended.";
        let moved = "When anything last moved in the plan's open request that has stood still for longest.";
        let waits = "Since when the hand-over of what the plan recovered has waited for the same thing.";
        let ended = "Attempts of recovery steps by how they ended.";
        let took = "How long an attempt of a recovery step took.";
        let refused = "Database backups that were not good enough, by reason.";
        let recovery = Self {
            labels,
            steps: families.counters("steps_total", ended, &["step", "outcome"])?,
            step_duration: families.histograms("step_duration_seconds", took, &["step"], LONG)?,
            requests: families.gauges("requests", "Recovery requests by phase.", &["phase"])?,
            open: families.gauges("open_requests", open, &["scope"])?,
            milestones: families.float_gauges("recovery_milestone_timestamp_seconds", reached, milestone)?,
            failed: families.float_gauges("recovery_failed_timestamp_seconds", failed, &["plan"])?,
            moved: families.float_gauges("request_moved_timestamp_seconds", moved, &["plan"])?,
            hand_over: families.float_gauges("hand_over_waiting_timestamp_seconds", waits, &["plan"])?,
            refused: families.counters("backups_refused_total", refused, &["reason"])?,
            bytes: families.counters("bytes_moved_total", "Bytes moved, by what they were.", &["what"])?,
        };
        recovery.create_all();
        Ok(recovery)
    }

    /// All but the milestones: before one is reached it has no date.
    fn create_all(&self) {
        for step in with_other(self.labels.steps) {
            self.step_duration.with_label_values(&[step]);
            for outcome in with_other(self.labels.step_outcomes) {
                self.steps.with_label_values(&[step, outcome]);
            }
        }
        for phase in with_other(self.labels.phases) {
            self.requests.with_label_values(&[phase]);
        }
        for scope in with_other(self.labels.scopes) {
            self.open.with_label_values(&[scope]);
        }
        for (counters, values) in [(&self.refused, self.labels.refusals), (&self.bytes, self.labels.data)] {
            with_other(values).for_each(|value| drop(counters.with_label_values(&[value])));
        }
    }

    pub(super) fn step_ended(&self, step: &str, outcome: &str, took: Duration) {
        let step = at_label(self.labels.steps, step);
        self.steps.with_label_values(&[step, at_label(self.labels.step_outcomes, outcome)]).inc();
        self.step_duration.with_label_values(&[step]).observe(took.as_secs_f64());
    }

    pub(super) fn requests_are(&self, counts: &[(String, i64)]) {
        for phase in with_other(self.labels.phases) {
            let there = counts.iter().filter(|(told, _)| at_label(self.labels.phases, told) == phase);
            self.requests.with_label_values(&[phase]).set(there.map(|(_, count)| count).sum());
        }
    }

    pub(super) fn scopes_are(&self, counts: &[(String, i64)]) {
        for scope in with_other(self.labels.scopes) {
            let there = counts.iter().filter(|(told, _)| at_label(self.labels.scopes, told) == scope);
            self.open.with_label_values(&[scope]).set(there.map(|(_, count)| count).sum());
        }
    }

    pub(super) fn failures_are(&self, failures: &[(String, DateTime<Utc>)]) {
        self.failed.reset();
        for (plan, at) in failures {
            self.failed.with_label_values(&[plan]).set(seconds(*at));
        }
    }

    pub(super) fn movements_are(&self, movements: &[(String, DateTime<Utc>)]) {
        self.moved.reset();
        for (plan, at) in movements {
            self.moved.with_label_values(&[plan]).set(seconds(*at));
        }
    }

    pub(super) fn hand_overs_are(&self, waiting: &[(String, DateTime<Utc>)]) {
        self.hand_over.reset();
        for (plan, since) in waiting {
            self.hand_over.with_label_values(&[plan]).set(seconds(*since));
        }
    }

    pub(super) fn milestones_are(&self, reached: &[(String, String, DateTime<Utc>)]) {
        self.milestones.reset();
        for (plan, milestone, at) in reached {
            let milestone = at_label(self.labels.milestones, milestone);
            self.milestones.with_label_values(&[plan.as_str(), milestone]).set(seconds(*at));
        }
    }

    pub(super) fn backup_refused(&self, reason: &str) {
        self.refused.with_label_values(&[at_label(self.labels.refusals, reason)]).inc();
    }

    pub(super) fn bytes_moved(&self, what: &str, bytes: u64) {
        self.bytes.with_label_values(&[at_label(self.labels.data, what)]).inc_by(bytes);
    }
}
