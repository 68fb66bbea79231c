//! Archives and schedules: how they stand, as the store says. Everything is set anew each time it is read, so that a restart resets
//! nothing, and what is gone from the store is gone from here.

use chrono::{DateTime, Utc};
use prometheus::GaugeVec;

use super::MetricsError;
use super::family::{Families, seconds};
use crate::schedule::runner::Next;
use crate::store::ArchiveFacts;

/// Seconds.
const DAY: f64 = 86_400.0;

#[derive(Debug)]
pub(super) struct Archive {
    objects: GaugeVec,
    bytes: GaugeVec,
    changed_bytes: GaugeVec,
    duration: GaugeVec,
    suspicious: GaugeVec,
    damaged: GaugeVec,
    missing: GaugeVec,
    dangling: GaugeVec,
    dangling_limit: GaugeVec,
    orphans: GaugeVec,
    coverage: GaugeVec,
    copying_objects: GaugeVec,
    copying_of: GaugeVec,
    copying_bytes: GaugeVec,
    copying_bytes_of: GaugeVec,
    copying_left: GaugeVec,
    /// One that has no value before the first tick: zero would be a date.
    tick: GaugeVec,
    due: GaugeVec,
}

impl Archive {
    pub(super) fn new(families: &Families) -> Result<Self, MetricsError> {
        let of_plan = |name, help: &str| families.float_gauges(name, help, &["plan"]);
        let due = "When a job is due next; a date in the past: nobody has started it.";
        Ok(Self {
            objects: of_plan("archive_objects", "Objects in the newest archive of a plan.")?,
            bytes: of_plan("archive_bytes", "Bytes of the objects in the newest archive of a plan.")?,
            changed_bytes: of_plan(
                "archive_changed_bytes",
                "Bytes that the newest archive of a plan had to copy.",
            )?,
            duration: of_plan("archive_duration_seconds", "How long the newest archive of a plan took.")?,
            suspicious: of_plan(
                "archive_suspicious",
                "1 while the newest archive is suspicious and nobody accepted it.",
            )?,
            damaged: of_plan(
                "archive_damaged",
                "1 while the newest archive is known to lack contents or to hold damaged ones.",
            )?,
            missing: of_plan(
                "archive_missing_parts",
                "Parts of the estate that the newest archive lacks; copies of dumps and older runs that are damaged.",
            )?,
            dangling: of_plan(
                "dangling_references",
                "Rows of the newest compared backup whose object is missing in the run that suits it best.",
            )?,
            dangling_limit: of_plan(
                "dangling_references_limit",
                "So many such rows the plan finds normal; no series where it does not say.",
            )?,
            orphans: of_plan("orphan_objects", "Objects of that run that no row of that backup names.")?,
            coverage: of_plan(
                "archive_full_coverage_seconds",
                "Until every content of the archive was read back, at the pace seen by the last verification that read.",
            )?,
            copying_objects: of_plan(
                "archive_run_objects_done",
                "Objects that are there of the run that goes on.",
            )?,
            copying_of: of_plan("archive_run_objects", "Objects that the run that goes on has listed.")?,
            copying_bytes: of_plan(
                "archive_run_copied_bytes",
                "Bytes that the run that goes on has copied.",
            )?,
            copying_bytes_of: of_plan(
                "archive_run_bytes",
                "Bytes that the run that goes on has to copy, as far as it has listed.",
            )?,
            copying_left: of_plan(
                "archive_run_left_seconds",
                "How long the run that goes on will still copy; no series before it has listed all.",
            )?,
            tick: families.float_gauges(
                "scheduler_tick_timestamp_seconds",
                "When any daemon last looked at all schedules.",
                &[],
            )?,
            due: families.float_gauges("schedule_due_timestamp_seconds", due, &["plan", "job"])?,
        })
    }

    pub(super) fn archives_are(&self, facts: &[ArchiveFacts]) {
        self.forget();
        for fact in facts {
            let set = |gauge: &GaugeVec, value: Option<f64>| {
                if let Some(value) = value {
                    gauge.with_label_values(&[fact.plan.as_str()]).set(value);
                }
            };
            set(&self.objects, fact.objects.map(float));
            set(&self.bytes, fact.bytes.map(float));
            set(&self.changed_bytes, fact.changed_bytes.map(float));
            set(&self.duration, fact.duration_seconds);
            set(&self.suspicious, fact.finished_at.map(|_| f64::from(u8::from(fact.suspicious))));
            set(&self.damaged, fact.finished_at.map(|_| f64::from(u8::from(fact.damaged))));
            set(&self.missing, fact.finished_at.map(|_| float(fact.missing)));
            set(&self.dangling, fact.dangling.map(float));
            set(&self.dangling_limit, fact.dangling_limit.map(float));
            set(&self.orphans, fact.orphans.map(float));
            set(&self.coverage, fact.full_coverage_days.map(|days| float(days) * DAY));
            set(&self.copying_objects, fact.copying_objects.map(float));
            set(&self.copying_of, fact.copying_of.map(float));
            set(&self.copying_bytes, fact.copying_bytes.map(float));
            set(&self.copying_bytes_of, fact.copying_bytes_of.map(float));
            set(&self.copying_left, fact.copying_left);
        }
    }

    fn forget(&self) {
        let all = [&self.objects, &self.bytes, &self.changed_bytes, &self.duration, &self.damaged];
        let rest =
            [&self.suspicious, &self.missing, &self.copying_objects, &self.copying_of, &self.copying_bytes];
        let truth = [&self.dangling, &self.dangling_limit, &self.orphans];
        let ends = [&self.copying_bytes_of, &self.copying_left, &self.coverage];
        all.into_iter().chain(rest).chain(truth).chain(ends).for_each(GaugeVec::reset);
    }

    pub(super) fn schedules_are(&self, tick: Option<DateTime<Utc>>, next: &[Next]) {
        if let Some(tick) = tick {
            self.tick.with_label_values::<&str>(&[]).set(seconds(tick));
        }
        self.due.reset();
        for one in next {
            self.due.with_label_values(&[one.plan.as_str(), one.job.name()]).set(seconds(one.due_at));
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus knows no other numbers")]
fn float(count: i64) -> f64 {
    count as f64
}
