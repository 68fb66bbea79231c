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
    /// The share of its checks that are good, 0 to 1.
    pub score: f64,
    /// Each check, and whether a recovery could do with what was seen.
    pub checks: Vec<(&'static str, bool)>,
    /// The checks that look at credentials, and when the first of these ends.
    pub ends: Vec<(&'static str, DateTime<Utc>)>,
}

#[derive(Debug)]
pub(super) struct Preflight {
    ok: IntGaugeVec,
    score: GaugeVec,
    at: GaugeVec,
    ends: GaugeVec,
}

impl Preflight {
    pub(super) fn new(families: &Families) -> Result<Self, MetricsError> {
        let ok = "Whether a recovery could do with what the last preflight saw; what could not be seen is 0.";
        let at = "When a plan's preflight was last done.";
        let score = "The share of the last preflight's checks that are good, 0 to 1.";
        Ok(Self {
            score: families.float_gauges("preflight_score", score, &["plan"])?,
            ok: families.gauges("preflight_ok", ok, &["plan", "check"])?,
            ends: families.float_gauges(
                "credential_expiry_timestamp_seconds",
                "When the first of the credentials ends that a check of the preflight looks at.",
                &["plan", "credential"],
            )?,
            at: families.float_gauges("preflight_timestamp_seconds", at, &["plan"])?,
        })
    }

    pub(super) fn readiness_is(&self, all: &[Readiness]) {
        self.ok.reset();
        [&self.at, &self.score, &self.ends].into_iter().for_each(GaugeVec::reset);
        for one in all {
            self.at.with_label_values(&[one.plan.as_str()]).set(seconds(one.at));
            self.score.with_label_values(&[one.plan.as_str()]).set(one.score);
            for (credential, end) in &one.ends {
                self.ends.with_label_values(&[one.plan.as_str(), credential]).set(seconds(*end));
            }
            for (check, ready) in &one.checks {
                self.ok.with_label_values(&[one.plan.as_str(), check]).set(i64::from(*ready));
            }
        }
    }
}
