//! What we ask others: providers and the store.

use std::time::Duration;

use prometheus::{HistogramVec, IntCounterVec};

use super::MetricsError;
use super::family::{CALLS, Families, at_label};
use super::labels::{CALL_OUTCOMES, Labels, with_other};

#[derive(Debug)]
pub(super) struct Outside {
    labels: Labels,
    requests: IntCounterVec,
    duration: HistogramVec,
}

impl Outside {
    pub(super) fn new(families: &Families, labels: Labels) -> Result<Self, MetricsError> {
        let ended = "Calls to a provider by how they ended.";
        let took = "How long a call to a provider took.";
        let call = &["provider", "call"];
        let outside = Self {
            labels,
            requests: families.counters(
                "provider_requests_total",
                ended,
                &["provider", "call", "outcome"],
            )?,
            duration: families.histograms("provider_request_duration_seconds", took, call, CALLS)?,
        };
        outside.create_all();
        Ok(outside)
    }

    fn create_all(&self) {
        for (provider, call) in self.labels.provider_calls() {
            self.duration.with_label_values(&[provider, call]);
            for outcome in with_other(CALL_OUTCOMES) {
                self.requests.with_label_values(&[provider, call, outcome]);
            }
        }
    }

    pub(super) fn provider_called(&self, provider: &str, call: &str, outcome: &str, took: Duration) {
        let (provider, call) = self.labels.provider_call(provider, call);
        self.requests.with_label_values(&[provider, call, at_label(CALL_OUTCOMES, outcome)]).inc();
        self.duration.with_label_values(&[provider, call]).observe(took.as_secs_f64());
    }
}
