//! What is proven of each plan, and how long its recovery would take. What is not known has no series.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use prometheus::{GaugeVec, IntGaugeVec};
use tokio::time::Instant;

use super::MetricsError;
use super::family::Families;

/// When the records were not read for so long, nothing is called proven any more. A look waits for code hosts that do not answer.
const UNSEEN: Duration = Duration::from_mins(15);

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
    /// What the newest drill that succeeded took, from its filing to `dns-ok`.
    pub drill_seconds: Option<f64>,
}

#[derive(Debug)]
pub(super) struct Outlooks {
    readable: IntGaugeVec,
    proven: IntGaugeVec,
    predicted: GaugeVec,
    objective: GaugeVec,
    drill: GaugeVec,
    /// When that was, and the plans that have such a gauge.
    seen: Mutex<Option<(Instant, Vec<String>)>>,
}

impl Outlooks {
    pub(super) fn new(families: &Families) -> Result<Self, MetricsError> {
        let proven = "Whether the last drill proves that the plan can be recovered as everything is today.";
        let predicted = "How long a recovery would take at today's sizes, from the filing to dns-ok.";
        let objective = "The plan's recovery time objective.";
        let drill = "How long the newest drill that succeeded took, from its filing to dns-ok.";
        let readable = "Whether this release can read the plan; one that it cannot is not worked on.";
        Ok(Self {
            readable: families.gauges("plan_readable", readable, &["plan"])?,
            proven: families.gauges("plan_proven", proven, &["plan"])?,
            predicted: families.float_gauges("predicted_rto_seconds", predicted, &["plan"])?,
            objective: families.float_gauges("objective_rto_seconds", objective, &["plan"])?,
            drill: families.float_gauges("drill_duration_seconds", drill, &["plan"])?,
            seen: Mutex::default(),
        })
    }

    pub(super) fn plans_are(&self, all: &[(String, bool)]) {
        self.readable.reset();
        for (plan, readable) in all {
            self.readable.with_label_values(&[plan.as_str()]).set(i64::from(*readable));
        }
    }

    /// Before each scrape: a process whose store is away must not go on calling a plan proven.
    pub(super) fn doubt_what_is_unseen(&self) {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, plans)) = seen.as_ref().filter(|(at, _)| at.elapsed() > UNSEEN) {
            for plan in plans {
                self.proven.with_label_values(&[plan.as_str()]).set(0);
            }
        }
    }

    pub(super) fn outlooks_are(&self, all: &[Outlook]) {
        let named = all.iter().filter(|one| one.proven.is_some()).map(|one| one.plan.clone()).collect();
        // Held to the end: a scrape must not see half of it.
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        *seen = Some((Instant::now(), named));
        self.proven.reset();
        [&self.predicted, &self.objective, &self.drill].into_iter().for_each(GaugeVec::reset);
        for one in all {
            let plan = &[one.plan.as_str()];
            if let Some(proven) = one.proven {
                self.proven.with_label_values(plan).set(i64::from(proven));
            }
            for (family, value) in [
                (&self.predicted, one.predicted_seconds),
                (&self.objective, one.objective_seconds),
                (&self.drill, one.drill_seconds),
            ] {
                if let Some(value) = value {
                    family.with_label_values(plan).set(value);
                }
            }
        }
    }
}
