//! What is proven of each plan, and how long its recovery would take. What is not known has no series.

use prometheus::{GaugeVec, IntGaugeVec};

use super::MetricsError;
use super::family::Families;

/// How one plan stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Outlook {
    /// The plan.
    pub plan: String,
    /// Whether the last drill proves something about today; `None` where none is wanted and none was made.
    pub proven: Option<bool>,
    /// What a recovery would take today.
    pub predicted_seconds: Option<f64>,
    /// What it may take, by the plan.
    pub objective_seconds: Option<f64>,
}

#[derive(Debug)]
pub(super) struct Outlooks {
    readable: IntGaugeVec,
    proven: IntGaugeVec,
    predicted: GaugeVec,
    objective: GaugeVec,
}

impl Outlooks {
    pub(super) fn new(families: &Families) -> Result<Self, MetricsError> {
        let proven = "Whether the last drill proves that the plan can be recovered as everything is today.";
        let predicted = "How long a recovery would take at today's sizes, from the filing to dns-ok.";
        let objective = "The plan's recovery time objective.";
        let readable = "Whether this release can read the plan; one that it cannot is not worked on.";
        Ok(Self {
            readable: families.gauges("plan_readable", readable, &["plan"])?,
            proven: families.gauges("plan_proven", proven, &["plan"])?,
            predicted: families.float_gauges("predicted_rto_seconds", predicted, &["plan"])?,
            objective: families.float_gauges("objective_rto_seconds", objective, &["plan"])?,
        })
    }

    pub(super) fn plans_are(&self, all: &[(String, bool)]) {
        self.readable.reset();
        for (plan, readable) in all {
            self.readable.with_label_values(&[plan.as_str()]).set(i64::from(*readable));
        }
    }

    pub(super) fn outlooks_are(&self, all: &[Outlook]) {
        self.proven.reset();
        [&self.predicted, &self.objective].into_iter().for_each(GaugeVec::reset);
        for one in all {
            let plan = &[one.plan.as_str()];
            if let Some(proven) = one.proven {
                self.proven.with_label_values(plan).set(i64::from(proven));
            }
            for (family, value) in
                [(&self.predicted, one.predicted_seconds), (&self.objective, one.objective_seconds)]
            {
                if let Some(value) = value {
                    family.with_label_values(plan).set(value);
                }
            }
        }
    }
}
