//! The report of a recovery: what it cost in time and in data, computed from the records alone. No I/O, no clock.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::store::{RequestRow, Span, SpanKind, StepRow};

/// Where the wall time of a request went: every moment is counted once, under the weightiest kind that ran at that moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RtoSplit {
    /// From the filing to the end, in seconds.
    pub total_seconds: f64,
    /// Bytes were moving.
    pub data_movement_seconds: f64,
    /// Nothing but name servers and caches was waited for.
    pub dns_wait_seconds: f64,
    /// Nothing but the platform was waited for.
    pub provider_wait_seconds: f64,
    /// Our own doing, and every moment that no step accounts for.
    pub own_overhead_seconds: f64,
}

/// Splits the time between `from` and `to`. Data weighs more than the platform, the platform more than DNS, DNS more than our own.
pub fn split(steps: &[StepRow], from: DateTime<Utc>, to: DateTime<Utc>) -> RtoSplit {
    let to = to.max(from);
    let all = steps.iter().flat_map(|step| step.spans.iter());
    let spans: Vec<Span> =
        all.map(|span| Span(span.0, span.1.clamp(from, to), span.2.clamp(from, to))).collect();
    let mut cuts: Vec<DateTime<Utc>> =
        spans.iter().flat_map(|span| [span.1, span.2]).chain([from, to]).collect();
    cuts.sort_unstable();
    cuts.dedup();
    let mut seconds: BTreeMap<u8, f64> = BTreeMap::new();
    for pair in cuts.windows(2) {
        let running = spans.iter().filter(|span| span.1 <= pair[0] && span.2 >= pair[1]);
        let heaviest = running.map(|span| weight(span.0)).max().unwrap_or(0);
        *seconds.entry(heaviest).or_default() += in_seconds(pair[1] - pair[0]);
    }
    let spent = |kind| seconds.get(&weight(kind)).copied().unwrap_or_default();
    RtoSplit {
        total_seconds: in_seconds(to - from),
        data_movement_seconds: spent(SpanKind::Data),
        dns_wait_seconds: spent(SpanKind::Dns),
        provider_wait_seconds: spent(SpanKind::Provider),
        own_overhead_seconds: spent(SpanKind::Own),
    }
}

/// The split that the daemon wrote at the end of a request; before that, what its steps say up to `now`.
pub fn times(request: &RequestRow, steps: &[StepRow], now: DateTime<Utc>) -> RtoSplit {
    let written = request.status.get("rto").and_then(|rto| RtoSplit::deserialize(rto).ok());
    written.unwrap_or_else(|| split(steps, request.created_at, request.finished_at.unwrap_or(now)))
}

fn weight(kind: SpanKind) -> u8 {
    match kind {
        SpanKind::Own => 0,
        SpanKind::Dns => 1,
        SpanKind::Provider => 2,
        SpanKind::Data => 3,
    }
}

fn in_seconds(delta: TimeDelta) -> f64 {
    delta.to_std().unwrap_or_default().as_secs_f64()
}

/// Minutes of data that are lost with a backup taken at `taken_at` when the order came at `filed_at`.
pub fn rpo_minutes(taken_at: DateTime<Utc>, filed_at: DateTime<Utc>) -> f64 {
    in_seconds(filed_at - taken_at) / 60.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).expect("a date")
    }

    fn step(spans: &[Span]) -> StepRow {
        StepRow { spans: spans.to_vec(), ..crate::store::a_done_step("any") }
    }

    #[test]
    fn every_moment_is_counted_once() {
        let steps = [
            step(&[Span(SpanKind::Provider, at(10), at(40))]),
            step(&[Span(SpanKind::Data, at(20), at(30)), Span(SpanKind::Dns, at(50), at(90))]),
        ];
        let split = split(&steps, at(0), at(100));
        assert_eq!(
            (
                split.data_movement_seconds,
                split.provider_wait_seconds,
                split.dns_wait_seconds,
                split.own_overhead_seconds
            ),
            (10.0, 20.0, 40.0, 30.0)
        );
        assert!((split.total_seconds - 100.0).abs() < 1e-9, "{split:?}");
    }

    #[test]
    fn what_lies_outside_the_request_is_not_counted() {
        let split = split(&[step(&[Span(SpanKind::Data, at(-50), at(500))])], at(0), at(10));
        assert_eq!((split.data_movement_seconds, split.total_seconds), (10.0, 10.0));
    }
}
