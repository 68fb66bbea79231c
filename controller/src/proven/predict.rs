//! How long a recovery would take today: the last drill's steps along the graph, their moving of data scaled to today's sizes.
//! No I/O, no clock.
//!
//! A step takes as long as it took, but that what it spent moving data grows with the data. Between two steps there is the
//! pause that there was. The longest way through the graph is the prediction. A drill switches names that nobody has asked for
//! before; a recovery also waits until resolvers have forgotten the old ones.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::recovery::graph::Graph;
use crate::recovery::step::Step;
use crate::store::{Span, SpanKind, StepRow};

/// How much more data there is than there was: 1 where there is as much.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Growth {
    pub database: f64,
    pub documents: f64,
}

/// What a recovery would take.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Prediction {
    /// From the filing to `dns-ok`, in seconds.
    pub seconds: f64,
    /// Of which resolvers may hold the old answer, in seconds.
    pub ttl_seconds: f64,
    /// Of which documents may thaw, in seconds, where the drill met them thawed.
    #[serde(default)]
    pub thaw_seconds: f64,
    /// The steps that follow each other on the longest way, with their seconds.
    pub longest_way: Vec<(String, f64)>,
}

/// A drill that succeeded, and what is different today.
#[derive(Debug)]
pub(super) struct Model<'a> {
    /// The drill's graph.
    pub graph: &'a Graph,
    /// Its steps.
    pub steps: &'a [StepRow],
    /// When it was filed.
    pub filed_at: DateTime<Utc>,
    /// How much more there is to move.
    pub growth: Growth,
    /// For how long resolvers may hold the old names.
    pub ttl: Duration,
    /// How long the documents may take to thaw; nothing where they lie warm.
    pub thaw: Duration,
}

/// The longest way up to the end of a step.
#[derive(Debug, Clone, Default)]
struct Way {
    seconds: f64,
    steps: Vec<(String, f64)>,
}

impl Model<'_> {
    /// The prediction; `None` where a step of the drill has no times.
    pub(super) fn predict(&self) -> Option<Prediction> {
        let mut known = HashMap::new();
        let mut longest = Way::default();
        for step in self.graph.steps() {
            let way = self.way_to(step, &mut known)?;
            if way.seconds > longest.seconds {
                longest = way;
            }
        }
        let Way { seconds, steps } = longest;
        let thaw_seconds =
            self.steps.iter().find(|row| row.step == Step::Refill.to_string()).map(|row| self.thaws(row));
        Some(Prediction {
            seconds,
            ttl_seconds: self.ttl.as_secs_f64(),
            thaw_seconds: thaw_seconds.unwrap_or_default(),
            longest_way: steps,
        })
    }

    fn way_to(&self, step: &Step, known: &mut HashMap<Step, Way>) -> Option<Way> {
        if let Some(way) = known.get(step) {
            return Some(way.clone());
        }
        let (began, _) = self.times(step)?;
        let (mut way, mut ready) = (Way::default(), self.filed_at);
        for need in self.graph.needs(step) {
            let before = self.way_to(need, known)?;
            ready = ready.max(self.times(need)?.1);
            if before.seconds > way.seconds {
                way = before;
            }
        }
        let pause = between(ready, began);
        let takes = self.takes(step)?;
        way.seconds += pause + takes;
        way.steps.push((step.to_string(), takes));
        known.insert(step.clone(), way.clone());
        Some(way)
    }

    fn row(&self, step: &Step) -> Option<&StepRow> {
        let key = step.to_string();
        self.steps.iter().find(|row| row.step == key)
    }

    fn times(&self, step: &Step) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        let row = self.row(step)?;
        row.started_at.zip(row.finished_at)
    }

    /// How long the step would take today, in seconds.
    fn takes(&self, step: &Step) -> Option<f64> {
        let (began, ended) = self.times(step)?;
        let (took, spans) = (between(began, ended), &self.row(step)?.spans);
        let moving = spent(spans, SpanKind::Data).min(took);
        let more = match step {
            Step::Resolver(_) => self.ttl.as_secs_f64(),
            Step::Refill => self.thaws(self.row(step)?),
            _ => 0.0,
        };
        Some(took - moving + moving * self.growth.of(step) + more)
    }

    /// What thaws stays so for a week: a drill that did not wait for it met what one before had thawed, and tells nothing of a recovery.
    fn thaws(&self, refill: &StepRow) -> f64 {
        if spent(&refill.spans, SpanKind::Provider) > 0.0 { 0.0 } else { self.thaw.as_secs_f64() }
    }
}

impl Growth {
    fn of(self, step: &Step) -> f64 {
        match step {
            Step::ChooseBackup | Step::Restore | Step::CheckDatabase => self.database,
            Step::ChooseObjects | Step::Refill => self.documents,
            _ => 1.0,
        }
    }
}

fn spent(spans: &[Span], kind: SpanKind) -> f64 {
    spans.iter().filter(|span| span.0 == kind).map(|span| between(span.1, span.2)).sum()
}

fn between(from: DateTime<Utc>, to: DateTime<Utc>) -> f64 {
    (to - from).to_std().unwrap_or_default().as_secs_f64()
}

#[cfg(test)]
mod tests {
    use reprise_crds::RecoveryPlan;

    use super::*;
    use crate::recovery::cut::Cut;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(second, 0).expect("a date")
    }

    /// The example's drill, each step of which took ten seconds at once after the last that it needs; half of it data.
    fn drilled(graph: &Graph) -> Vec<StepRow> {
        let mut ends: HashMap<Step, i64> = HashMap::new();
        let mut rows = Vec::new();
        while ends.len() < graph.steps().count() {
            for step in graph.steps() {
                let Some(needs) = graph.needs(step).map(|need| ends.get(need)).collect::<Option<Vec<_>>>()
                else {
                    continue;
                };
                if ends.contains_key(step) {
                    continue;
                }
                let began = needs.into_iter().max().copied().unwrap_or_default();
                ends.insert(step.clone(), began + 10);
                rows.push(row(step, began));
            }
        }
        rows
    }

    fn row(step: &Step, began: i64) -> StepRow {
        StepRow {
            spans: vec![Span(SpanKind::Data, at(began), at(began + 5))],
            started_at: Some(at(began)),
            finished_at: Some(at(began + 10)),
            ..crate::store::a_done_step(&step.to_string())
        }
    }

    fn predicted(growth: Growth, ttl: u64, change: impl Fn(&mut Vec<StepRow>)) -> Option<f64> {
        let text = include_str!("../../../deploy/examples/apilos.yaml");
        let plan = RecoveryPlan::parse_yaml(text).expect("the example is valid").spec;
        let graph = Graph::compile(&plan, &Cut::default()).rehearsed();
        let mut steps = drilled(&graph);
        change(&mut steps);
        let ttl = Duration::from_secs(ttl);
        let model =
            Model { graph: &graph, steps: &steps, filed_at: at(0), growth, ttl, thaw: Duration::ZERO };
        model.predict().map(|prediction| prediction.seconds)
    }

    const SAME: Growth = Growth { database: 1.0, documents: 1.0 };

    fn measured() -> f64 {
        predicted(SAME, 0, |_| {}).expect("it can be predicted")
    }

    #[test]
    fn the_same_data_take_the_time_that_the_drill_took() {
        let text = include_str!("../../../deploy/examples/apilos.yaml");
        let plan = RecoveryPlan::parse_yaml(text).expect("the example is valid").spec;
        let steps = drilled(&Graph::compile(&plan, &Cut::default()).rehearsed());
        let end = steps.iter().filter_map(|row| row.finished_at).max().expect("it ended");
        assert!((measured() - between(at(0), end)).abs() < 1e-9);
    }

    #[test]
    fn a_larger_database_delays_the_end_and_documents_beside_the_longest_way_do_not() {
        // Three steps move the database: choosing, restoring, checking; five seconds of each.
        let larger = predicted(Growth { database: 3.0, ..SAME }, 0, |_| {});
        assert!((larger.unwrap() - measured() - 30.0).abs() < 1e-9, "{larger:?}");
        // Refilling runs beside the database's steps and has room.
        let documents = predicted(Growth { documents: 2.0, ..SAME }, 0, |_| {}).unwrap();
        assert!(documents - measured() <= 5.0 + 1e-9, "{documents}");
    }

    #[test]
    fn what_resolvers_remember_is_added_once() {
        let waits = predicted(SAME, 300, |_| {}).unwrap();
        assert!((waits - measured() - 300.0).abs() < 1e-9, "{waits}");
    }

    #[test]
    fn a_thaw_that_the_drill_did_not_wait_for_is_added_and_one_that_it_measured_is_not() {
        let text = include_str!("../../../deploy/examples/apilos.yaml");
        let plan = RecoveryPlan::parse_yaml(text).expect("the example is valid").spec;
        let graph = Graph::compile(&plan, &Cut::default()).rehearsed();
        let mut steps = drilled(&graph);
        let day = Duration::from_hours(24);
        let of = |steps: &[StepRow], thaw| {
            Model { graph: &graph, steps, filed_at: at(0), growth: SAME, ttl: Duration::ZERO, thaw }
                .predict()
                .unwrap()
        };
        let (warm, cold) = (of(&steps, Duration::ZERO), of(&steps, day));
        assert!(
            cold.seconds > day.as_secs_f64() && cold.seconds < warm.seconds + day.as_secs_f64() + 1e-9,
            "{cold:?}"
        );
        assert!((cold.thaw_seconds - day.as_secs_f64()).abs() < 1e-9, "{cold:?}");
        let refill = steps.iter_mut().find(|row| row.step == Step::Refill.to_string()).unwrap();
        let began = refill.started_at.unwrap();
        refill.spans.push(Span(
            SpanKind::Provider,
            began + chrono::TimeDelta::seconds(5),
            began + chrono::TimeDelta::seconds(9),
        ));
        assert_eq!(of(&steps, day), of(&steps, Duration::ZERO), "it is in the drill's own time");
    }

    #[test]
    fn a_step_without_times_predicts_nothing() {
        let broken = predicted(SAME, 0, |steps| steps[3].finished_at = None);
        assert_eq!(broken, None);
    }
}
