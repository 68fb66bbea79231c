//! The signs of life of one running step: how far, what it does or waits for, and where its time goes.
//!
//! Kept in memory and written to the store now and then by the supervisor. Silence is measured here: it ends when something
//! *moved* (bytes, objects, a status word that is new), not when something was polled, nor when what was said before is said again.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;

use crate::store::{Span, SpanKind};

/// So many different words are signs of life. What has more to say counts, and tells its numbers.
const WORDS: usize = 10_000;
/// What moves without a number, and what is rightly waited for, is told no more often than this.
const TOLD: Duration = Duration::from_secs(30);

/// The pulse of one attempt at a step.
#[derive(Debug)]
pub struct Pulse(Mutex<State>);

#[derive(Debug)]
struct State {
    report: Report,
    kind: SpanKind,
    since: DateTime<Utc>,
    moved: Instant,
    patience: Option<Instant>,
    /// What was said in this attempt, as hashes.
    said: HashSet<u64>,
    dirty: bool,
    /// More than words since it was last told.
    stirred: bool,
    told: Instant,
}

/// What is known of a running step at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// How far, in `unit`s.
    pub done: u64,
    /// How far to go, where known.
    pub total: Option<u64>,
    /// `bytes`, `objects`, `entries`.
    pub unit: Option<&'static str>,
    /// What it does, or why it waits.
    pub message: String,
    /// Where the time went, this moment included.
    pub spans: Vec<Span>,
}

impl Pulse {
    /// A pulse that begins `now`, after the `earlier` attempts' spans.
    pub fn new(now: DateTime<Utc>, earlier: Vec<Span>) -> Self {
        let report = Report { spans: earlier, ..Report::default() };
        let state = State {
            report,
            kind: SpanKind::Own,
            since: now,
            moved: Instant::now(),
            patience: None,
            said: HashSet::new(),
            dirty: true,
            stirred: false,
            told: Instant::now(),
        };
        Self(Mutex::new(state))
    }

    /// From now on the time goes to `kind`, and this is what is being done.
    pub fn doing(&self, now: DateTime<Utc>, kind: SpanKind, message: impl Into<String>) {
        let mut state = self.state();
        if state.kind != kind {
            state.close_span(now);
            state.kind = kind;
        }
        state.say(message.into());
    }

    /// How far it is.
    pub fn progress(&self, done: u64, total: Option<u64>, unit: &'static str) {
        let mut state = self.state();
        if (state.report.done, state.report.total) != (done, total) {
            state.moved = Instant::now();
            (state.dirty, state.stirred) = (true, true);
        }
        (state.report.done, state.report.total, state.report.unit) = (done, total, Some(unit));
    }

    /// Something moved that has no number of its own.
    pub fn moved(&self) {
        let mut state = self.state();
        state.moved = Instant::now();
        state.stirred = true;
    }

    /// Somebody is awaited, for as long as that takes: no stall, and nothing that moves either.
    pub fn awaits(&self) {
        self.state().moved = Instant::now();
    }

    /// Silence is expected for `duration` from now (a TTL that has to run out): it is no stall.
    pub fn expect_silence(&self, duration: Duration) {
        let until = Instant::now() + duration;
        let mut state = self.state();
        state.patience = Some(state.patience.map_or(until, |known| known.max(until)));
    }

    /// How long nothing has moved, expected silence not counted.
    pub fn silence(&self) -> Duration {
        let state = self.state();
        let since = state.patience.map_or(state.moved, |patience| patience.max(state.moved));
        Instant::now().saturating_duration_since(since)
    }

    /// The report, spans closed at `now`.
    pub fn report(&self, now: DateTime<Utc>) -> Report {
        let state = self.state();
        let mut report = state.report.clone();
        push(&mut report.spans, Span(state.kind, state.since, now));
        report
    }

    /// Whether there is something to write down since the last call of this function, and if so, whether it is more than words: something
    /// moved, or a wait of known length goes on.
    pub fn changed(&self) -> Option<bool> {
        let (mut state, now) = (self.state(), Instant::now());
        let moves = state.stirred || state.patience.is_some_and(|until| until > now);
        if !(state.dirty || moves && now - state.told >= TOLD) {
            return None;
        }
        (state.dirty, state.stirred, state.told) = (false, false, now);
        Some(moves)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn close_span(&mut self, now: DateTime<Utc>) {
        let span = Span(self.kind, self.since, now);
        push(&mut self.report.spans, span);
        self.since = now;
    }

    /// Two faults that take turns are told in turn, and are no progress.
    fn say(&mut self, message: String) {
        if self.report.message == message {
            return;
        }
        let mut hasher = DefaultHasher::new();
        message.hash(&mut hasher);
        if self.said.len() < WORDS && self.said.insert(hasher.finish()) {
            self.moved = Instant::now();
        }
        self.report.message = message;
        self.dirty = true;
    }
}

/// Appends a span, joined to the last one where they touch.
fn push(spans: &mut Vec<Span>, span: Span) {
    match spans.last_mut() {
        Some(last) if last.0 == span.0 && last.2 >= span.1 => last.2 = last.2.max(span.2),
        _ if span.1 < span.2 => spans.push(span),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).expect("a date")
    }

    #[test]
    fn time_goes_to_the_kind_that_was_said_last() {
        let pulse = Pulse::new(at(0), Vec::new());
        pulse.doing(at(2), SpanKind::Provider, "addon is provisioning");
        pulse.doing(at(5), SpanKind::Provider, "addon is still provisioning");
        let spans = pulse.report(at(9)).spans;
        assert_eq!(spans, [Span(SpanKind::Own, at(0), at(2)), Span(SpanKind::Provider, at(2), at(9))]);
    }

    #[tokio::test(start_paused = true)]
    async fn saying_the_same_again_is_not_a_sign_of_life() {
        let pulse = Pulse::new(at(0), Vec::new());
        pulse.doing(at(0), SpanKind::Provider, "provisioning");
        tokio::time::advance(Duration::from_mins(1)).await;
        pulse.doing(at(60), SpanKind::Provider, "provisioning");
        assert_eq!(pulse.silence(), Duration::from_mins(1));
        pulse.progress(1, None, "objects");
        assert_eq!(pulse.silence(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn two_faults_that_take_turns_are_no_sign_of_life() {
        let pulse = Pulse::new(at(0), Vec::new());
        for second in 0..60 {
            let status = if second % 2 == 0 { "answers 502" } else { "answers 503" };
            pulse.doing(at(second), SpanKind::Provider, status);
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert_eq!(pulse.silence(), Duration::from_secs(59), "the second fault was the last news");
        assert_eq!(pulse.report(at(60)).message, "answers 503", "what is so now is told");
        pulse.doing(at(60), SpanKind::Provider, "answers 404");
        assert_eq!(pulse.silence(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn words_are_written_down_and_are_no_movement() {
        let pulse = Pulse::new(at(0), Vec::new());
        assert_eq!((pulse.changed(), pulse.changed()), (Some(false), None));
        pulse.doing(at(1), SpanKind::Provider, "provisioning");
        assert_eq!(pulse.changed(), Some(false));
        pulse.progress(1, None, "objects");
        assert_eq!((pulse.changed(), pulse.changed()), (Some(true), None));
        // What has no number is told now and then.
        pulse.moved();
        assert_eq!(pulse.changed(), None);
        tokio::time::advance(TOLD).await;
        assert_eq!((pulse.changed(), pulse.changed()), (Some(true), None));
        pulse.expect_silence(Duration::from_mins(5));
        tokio::time::advance(TOLD).await;
        assert_eq!(pulse.changed(), Some(true), "it is rightly waited for");
        tokio::time::advance(Duration::from_mins(5)).await;
        assert_eq!(pulse.changed(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn expected_silence_is_no_stall() {
        let pulse = Pulse::new(at(0), Vec::new());
        pulse.expect_silence(Duration::from_mins(5));
        tokio::time::advance(Duration::from_secs(310)).await;
        assert_eq!(pulse.silence(), Duration::from_secs(10));
    }
}
