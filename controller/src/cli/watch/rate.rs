//! One line per running step: done of total, rate, and when it will be done. The rate is taken over a window, so that it tells
//! of now and not of the beginning.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use indicatif::{HumanBytes, HumanCount};
use tokio::time::Instant;

use crate::store::StepRow;

/// How far back the rate looks.
const WINDOW: Duration = Duration::from_secs(10);

/// Recent progress of each step.
#[derive(Debug, Default)]
pub(super) struct Rates(HashMap<String, VecDeque<(Instant, i64)>>);

impl Rates {
    /// Takes note of where `step` is; the rate in units a second, once it is known.
    pub(super) fn update(&mut self, step: &StepRow, now: Instant) -> Option<f64> {
        let samples = self.0.entry(step.step.clone()).or_default();
        samples.push_back((now, step.done));
        while samples.len() > 2 && samples.front().is_some_and(|(at, _)| now.duration_since(*at) > WINDOW) {
            samples.pop_front();
        }
        let (since, from) = *samples.front()?;
        let passed = now.duration_since(since).as_secs_f64();
        let moved = step.done - from;
        (passed > 0.2 && moved > 0).then(|| precise(moved) / passed)
    }
}

#[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
fn precise(count: i64) -> f64 {
    count as f64
}

/// The line of one step.
pub(super) fn line(step: &StepRow, rate: Option<f64>) -> String {
    let mut parts = vec![step.step.clone()];
    if step.unit.is_some() && (step.done > 0 || step.total.is_some()) {
        let total = step.total.map(|total| format!("/{}", amount(step, total))).unwrap_or_default();
        parts.push(format!("{}{total}", amount(step, step.done)));
    }
    if let Some(rate) = rate {
        parts.push(format!("{}/s", amount(step, whole(rate))));
        if let Some(total) = step.total.filter(|total| *total > step.done) {
            let left = Duration::from_secs_f64((precise(total - step.done) / rate).min(1e7).round());
            parts.push(format!("ETA {}", humantime::format_duration(left)));
        }
    }
    parts.extend(step.message.clone().filter(|message| !message.is_empty()));
    parts.join("  ")
}

#[expect(clippy::cast_possible_truncation, reason = "rounded and far below the limit")]
fn whole(rate: f64) -> i64 {
    rate.round() as i64
}

fn amount(step: &StepRow, count: i64) -> String {
    let count = u64::try_from(count).unwrap_or(0);
    match step.unit.as_deref() {
        Some("bytes") => HumanBytes(count).to_string(),
        Some(unit) => format!("{} {unit}", HumanCount(count)),
        None => HumanCount(count).to_string(),
    }
}
