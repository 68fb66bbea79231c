//! Every metric of the daemon. All families are registered here, prefix `reprise_`, base units.
//!
//! Labels are closed sets, given at start as [`Labels`]; every combination exists from then on, so that a rate over the
//! first failure exists. A value outside its set is counted as `other`: no id, URL or message becomes a label. The one
//! open label is the plan's name, which is a small set.

mod archive;
mod family;
mod freshness;
mod labels;
mod outlook;
mod outside;
mod process;
mod readiness;
mod recovery;

use std::time::Duration;

use chrono::{DateTime, Utc};
use prometheus::{Registry, TextEncoder};

use crate::runtime::clock::Clock;
use crate::runtime::controller::{Observer, RunOutcome};
use crate::runtime::lease::Epoch;
use crate::runtime::queue::Depth;
use crate::schedule::runner::Next;
use crate::store::ArchiveFacts;
use family::Families;
pub use freshness::{Dated, What};
pub use labels::Labels;
pub use outlook::Outlook;
pub use readiness::Readiness;

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
    process: process::Process,
    outside: outside::Outside,
    recovery: recovery::Recovery,
    archive: archive::Archive,
    freshness: freshness::Freshness,
    preflight: readiness::Preflight,
    outlooks: outlook::Outlooks,
}

impl Metrics {
    /// What the text format is called.
    pub const CONTENT_TYPE: &'static str = prometheus::TEXT_FORMAT;

    /// Registers every family and creates every combination of `labels`.
    pub fn new(labels: Labels) -> Result<Self, MetricsError> {
        let families = Families::new();
        families.build_info()?;
        let process = process::Process::new(&families, labels)?;
        let outside = outside::Outside::new(&families, labels)?;
        let recovery = recovery::Recovery::new(&families, labels)?;
        let archive = archive::Archive::new(&families)?;
        let freshness = freshness::Freshness::new(&families)?;
        let preflight = readiness::Preflight::new(&families)?;
        let outlooks = outlook::Outlooks::new(&families)?;
        Ok(Self {
            registry: families.into_registry(),
            process,
            outside,
            recovery,
            archive,
            freshness,
            preflight,
            outlooks,
        })
    }

    /// Everything, as Prometheus reads it.
    pub fn text(&self) -> Result<String, MetricsError> {
        self.outlooks.doubt_what_is_unseen();
        TextEncoder::new().encode_to_string(&self.registry.gather()).map_err(MetricsError::Encode)
    }

    /// One call to a provider has ended. `outcome` is `ok`, or the class of its error.
    pub fn provider_called(&self, provider: &str, call: &str, outcome: &str, took: Duration) {
        self.outside.provider_called(provider, call, outcome, took);
    }

    /// One attempt of a recovery step has ended.
    pub fn step_ended(&self, step: &str, outcome: &str, took: Duration) {
        self.recovery.step_ended(step, outcome, took);
    }

    /// How many requests are in each phase now; in those that are not named there are none.
    pub fn requests_are(&self, counts: &[(String, i64)]) {
        self.recovery.requests_are(counts);
    }

    /// How many requests that have not ended are about each part of an estate; one may be about several.
    pub fn scopes_are(&self, counts: &[(String, i64)]) {
        self.recovery.scopes_are(counts);
    }

    /// When the newest request of each plan ended that stands failed; a plan that is not named has none.
    pub fn failures_are(&self, failures: &[(String, DateTime<Utc>)]) {
        self.recovery.failures_are(failures);
    }

    /// When anything last moved in the open request of each plan that has stood still for longest; a plan that is not named has none.
    pub fn movements_are(&self, movements: &[(String, DateTime<Utc>)]) {
        self.recovery.movements_are(movements);
    }

    /// Since when the hand-over of each plan's recovery has waited for the same thing; a plan that is not named waits for nobody.
    pub fn hand_overs_are(&self, waiting: &[(String, DateTime<Utc>)]) {
        self.recovery.hand_overs_are(waiting);
    }

    /// How the archives of all plans stand, as the store says.
    pub fn archives_are(&self, facts: &[ArchiveFacts]) {
        self.archive.archives_are(facts);
    }

    /// When somebody last looked at all schedules, and when each job is due next, as the store says.
    pub fn schedules_are(&self, tick: Option<DateTime<Utc>>, next: &[Next]) {
        self.archive.schedules_are(tick, next);
    }

    /// When a recovery of each plan last reached each milestone, as the store says; what is not named was not reached.
    pub fn milestones_are(&self, reached: &[(String, String, DateTime<Utc>)]) {
        self.recovery.milestones_are(reached);
    }

    /// A database backup was refused.
    pub fn backup_refused(&self, reason: &str) {
        self.recovery.backup_refused(reason);
    }

    /// All that is on record about how old things are, as of now by `clock`; what is not named is not there.
    pub fn dates_are(&self, dates: Vec<Dated>, clock: &Clock) {
        self.freshness.dates_are(dates, clock);
    }

    /// Whether each plan can be read; one that is not named is not there.
    pub fn plans_are(&self, all: &[(String, bool)]) {
        self.outlooks.plans_are(all);
    }

    /// What the last preflight of each plan found, as it is on record.
    pub fn readiness_is(&self, all: &[Readiness]) {
        self.preflight.readiness_is(all);
    }

    /// What is proven of each plan, and how long its recovery would take.
    pub fn outlooks_are(&self, all: &[Outlook]) {
        self.outlooks.outlooks_are(all);
    }

    /// Whether the alerts are being rehearsed.
    pub fn alerts_are_rehearsed(&self, rehearsed: bool) {
        self.process.alerts_are_rehearsed(rehearsed);
    }

    /// More bytes were moved.
    pub fn bytes_moved(&self, what: &str, bytes: u64) {
        self.recovery.bytes_moved(what, bytes);
    }

    /// A request was taken up under this epoch, or the last one was let go.
    pub fn lease(&self, held: Option<Epoch>) {
        self.process.lease(held);
    }

    /// A task panicked or ended too early.
    pub fn task_failed(&self) {
        self.process.task_failed();
    }
}

impl Observer for Metrics {
    fn run_ended(&self, kind: &'static str, outcome: RunOutcome, took: Duration) {
        self.process.run_ended(kind, outcome, took);
    }

    fn queue_changed(&self, kind: &'static str, depth: Depth) {
        self.process.queue_changed(kind, depth);
    }
}

#[cfg(test)]
mod tests;
