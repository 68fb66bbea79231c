//! What the last preflight of each plan found, as it is on record. What was never looked at has no series.

use chrono::{DateTime, Utc};
use prometheus::{GaugeVec, IntGaugeVec};

use super::MetricsError;
use super::family::{Families, seconds};

/// The outcome of one plan's last preflight.
#[derive(Debug, Clone, PartialEq)]
pub struct Readiness {
    /// The plan.
    pub plan: String,
    /// When it was looked.
    pub at: DateTime<Utc>,
    /// Each check, and whether a recovery could do with what was seen.
    pub checks: Vec<(&'static str, bool)>,
}

#[derive(Debug)]
pub(super) struct Preflight {
    ok: IntGaugeVec,
    at: GaugeVec,
}

impl Preflight {
    pub(super) fn new(families: &Families) -> Result<Self, MetricsError> {
        let ok = "Whether a recovery could do with what the last preflight saw; what could not be seen is 0.";
        let at = "When a plan's preflight was last done.";
        Ok(Self {
            ok: families.gauges("preflight_ok", ok, &["plan", "check"])?,
            at: families.float_gauges("preflight_timestamp_seconds", at, &["plan"])?,
        })
    }

    pub(super) fn readiness_is(&self, all: &[Readiness]) {
        self.ok.reset();
        self.at.reset();
        for one in all {
            self.at.with_label_values(&[one.plan.as_str()]).set(seconds(one.at));
            for (check, ready) in &one.checks {
                self.ok.with_label_values(&[one.plan.as_str(), check]).set(i64::from(*ready));
            }
        }
    }
}
