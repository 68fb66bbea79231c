//! A rule in force: its counters, its dice and its bucket of tokens.

use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use super::{ASIDE, Asked, Fault, Order, offer};

/// The 99th percentile of the standard normal distribution.
const Z99: f64 = 2.326_347_9;
/// No drawn latency is longer.
const LONGEST: f64 = 600_000.0;

/// A rule in force.
#[derive(Debug, Clone, Serialize)]
pub struct Standing {
    /// What removes it.
    pub id: u64,
    /// Requests that were meant by it.
    pub matches: u64,
    /// Requests that it was played on.
    pub plays: u64,
    /// The profile that it came with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<&'static str>,
    /// The rule; `skip` and `times` say what is left of them.
    #[serde(flatten)]
    pub order: Order,
    #[serde(skip)]
    dice: Dice,
    /// When the bucket was last filled, and how full it is.
    #[serde(skip)]
    bucket: Option<(Instant, f64)>,
}

impl Standing {
    pub(super) fn new(id: u64, order: Order, profile: Option<&'static str>, seed: u64) -> Self {
        let dice = Dice(seed ^ id.wrapping_mul(0xd1b5_4a32_d192_ed03));
        Self { id, matches: 0, plays: 0, profile, order, dice, bucket: None }
    }

    /// Counts the request if it is meant; whether the fault is to be played on it.
    pub(super) fn is_due(&mut self, asked: &Asked<'_>) -> bool {
        if self.order.times == Some(0) || !self.order.means(asked) {
            return false;
        }
        self.matches += 1;
        if self.order.skip > 0 {
            self.order.skip -= 1;
            return false;
        }
        let share = self.order.probability;
        share.is_none_or(|share| self.dice.fraction() < share) && self.is_too_fast()
    }

    /// Always, except for a throttle whose bucket has a token left.
    fn is_too_fast(&mut self) -> bool {
        let Fault::Throttle { per_second, .. } = self.order.fault else { return true };
        let (now, burst) = (Instant::now(), per_second.max(1.0));
        let (last, tokens) = self.bucket.unwrap_or((now, burst));
        let elapsed = now.saturating_duration_since(last).as_secs_f64();
        let tokens = elapsed.mul_add(per_second, tokens).min(burst);
        let passes = tokens >= 1.0;
        self.bucket = Some((now, if passes { tokens - 1.0 } else { tokens }));
        !passes
    }

    /// Counts it as played. What happens, drawn.
    pub(super) fn play(&mut self, service: &str) -> Fault {
        self.plays += 1;
        if let Some(times) = &mut self.order.times {
            *times -= 1;
        }
        let is_store = service.starts_with("s3-");
        match self.order.fault.clone() {
            Fault::LatencyUniform { min_ms, max_ms } => {
                Fault::Latency { ms: self.dice.between(min_ms, max_ms) }
            }
            Fault::LatencyPercentiles { p50_ms, p99_ms } => {
                Fault::Latency { ms: milliseconds(p50_ms * (p99_ms / p50_ms).powf(self.normal() / Z99)) }
            }
            Fault::Throttle { retry_after, .. } => {
                Fault::Status { status: if is_store { 503 } else { 429 }, body: None, retry_after }
            }
            Fault::DiskFull => {
                Fault::Status { status: if is_store { 507 } else { 500 }, body: None, retry_after: None }
            }
            fault => fault,
        }
    }

    pub(super) fn is_spent(&self) -> bool {
        self.order.times == Some(0)
    }

    /// A standard normal draw (Box and Muller).
    fn normal(&mut self) -> f64 {
        let (first, second) = (1.0 - self.dice.fraction(), self.dice.fraction());
        (-2.0 * first.ln()).sqrt() * (std::f64::consts::TAU * second).cos()
    }
}

/// A generator small enough to be copied with its rule (splitmix64).
#[derive(Debug, Clone)]
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to 1, without 1.
    fn fraction(&mut self) -> f64 {
        let high = u32::try_from(self.next() >> 32).unwrap_or_default();
        f64::from(high) / (f64::from(u32::MAX) + 1.0)
    }

    fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.next() % (most - least).saturating_add(1)
    }
}

fn milliseconds(drawn: f64) -> u64 {
    let bounded = Duration::try_from_secs_f64(drawn.clamp(0.0, LONGEST) / 1_000.0).unwrap_or_default();
    u64::try_from(bounded.as_millis()).unwrap_or(u64::MAX)
}

impl Order {
    fn means(&self, asked: &Asked<'_>) -> bool {
        let is =
            |wanted: &Option<String>, given: &str| wanted.as_deref().is_none_or(|wanted| wanted == given);
        let one_of = |wanted: &Option<String>, given: [&str; 2]| {
            wanted.as_deref().is_none_or(|wanted| given.iter().any(|one| one.eq_ignore_ascii_case(wanted)))
        };
        let method = match self.method.as_deref() {
            Some(wanted) => wanted.eq_ignore_ascii_case(asked.method),
            None => !ASIDE.contains(&asked.method) || self.call.is_some(),
        };
        method
            && offer::plays(asked.method, self.fault.kind())
            && offer::suffers(asked.service, asked.method, self.fault.kind())
            && is(&self.service, asked.service)
            && self.path.as_deref().is_none_or(|wanted| asked.path.contains(wanted))
            && one_of(&self.call, asked.calls)
            && one_of(&self.credential, asked.credential)
    }
}
