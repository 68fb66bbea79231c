//! The step tasks of the requests that this process owns. Reconciles start, join and stop them here and never wait for them, so
//! that an hour-long restore delays neither a cancel nor a look.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reprise_crds::Mode;
use tokio::time::Instant;

use super::attempt::{self, End};
use super::outputs::Outputs;
use super::patience::Patience;
use super::pulse::{Pulse, Report};
use super::step::Step;
use super::steps::{Ctx, Run};
use super::tools::Tools;
use crate::runtime::backoff::{Backoffs, Policy, Random};
use crate::runtime::class::Class;
use crate::runtime::queue::WorkQueue;
use crate::runtime::tasks::{Task, Tasks};
use crate::runtime::tenure::Tenure;
use crate::runtime::urgency::Urgency;
use crate::store::Span;

/// The shape of the waits between two attempts at one step.
const BETWEEN_ATTEMPTS: Policy =
    Policy { base: Duration::from_secs(2), cap: Duration::from_mins(2), floor: Duration::from_millis(500) };

/// A step that keeps failing is given up after this many stall limits in which nothing moved: by default two hours.
const GIVE_UP_AFTER: u32 = 24;

/// Failures of one step in a row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Row {
    /// The time in which nothing moved: the end of each attempt, and the rests. Hours of work before a line breaks are none of it.
    idle: Duration,
    /// How far the furthest attempt came.
    best: u64,
}

impl Row {
    /// With one more attempt that came so far and whose end was silent for so long. Getting further than ever begins a new row.
    fn after(row: Option<Self>, done: u64, silence: Duration) -> Self {
        let before = row.filter(|row| done <= row.best).unwrap_or(Self { idle: Duration::ZERO, best: done });
        Self { idle: before.idle + silence, ..before }
    }
}

/// One owned request and its tasks.
#[derive(Debug)]
pub(super) struct Live {
    tools: Arc<Tools>,
    queue: WorkQueue<String>,
    tasks: Tasks,
    patience: Arc<Patience>,
    /// What its tasks may do outside, and until when.
    tenure: Tenure,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    run: Arc<Run>,
    busy: BTreeMap<Step, Busy>,
    backoffs: Backoffs<Step>,
    /// What has been failing in a row.
    failing: HashMap<Step, Row>,
}

#[derive(Debug)]
enum Busy {
    /// A task is at it.
    Running(Arc<Pulse>, Task<()>),
    /// Its next attempt is due then.
    Resting(Instant),
}

/// What is known of a step that is busy now.
#[derive(Debug, Clone)]
pub struct BusyStep {
    /// The step.
    pub step: Step,
    /// Its pulse, if a task is at it.
    pub report: Option<Report>,
    /// How long nothing has moved.
    pub silence: Duration,
}

impl Live {
    /// An owned request without tasks yet. `tasks` is a group of its own.
    pub(super) fn new(
        run: Arc<Run>,
        tools: Arc<Tools>,
        queue: WorkQueue<String>,
        (tasks, tenure): (Tasks, Tenure),
    ) -> Arc<Self> {
        let state = State {
            run,
            busy: BTreeMap::new(),
            backoffs: Backoffs::new(BETWEEN_ATTEMPTS, Random::system()),
            failing: HashMap::new(),
        };
        Arc::new(Self { tools, queue, tasks, patience: Arc::default(), tenure, state: Mutex::new(state) })
    }

    /// The request, as the steps that begin next are given it.
    pub(super) fn run(&self) -> Arc<Run> {
        Arc::clone(&self.state().run)
    }

    /// Steps that begin from now on are given `run`. One that is at work ends with the plan that it began with: what it has done would
    /// be lost. Whoever wants it to follow at once pauses and resumes the request.
    pub(super) fn follow(&self, run: Run) {
        let mut state = self.state();
        if state.run.plan != run.plan || state.run.cut != run.cut {
            state.run = Arc::new(run);
        }
    }

    /// The steps that a task is at or that rest before their next attempt. Rests that are over are forgotten.
    pub(super) fn busy(&self) -> BTreeSet<Step> {
        let mut state = self.state();
        state.busy.retain(|_, busy| match busy {
            Busy::Running(_, task) => !task.is_finished(),
            Busy::Resting(until) => *until > Instant::now(),
        });
        state.busy.keys().cloned().collect()
    }

    /// What the busy steps report.
    pub(super) fn reports(&self) -> Vec<BusyStep> {
        let now = self.tools.clock.now();
        let report = |(step, busy): (&Step, &Busy)| match busy {
            Busy::Running(pulse, _) => {
                BusyStep { step: step.clone(), report: Some(pulse.report(now)), silence: pulse.silence() }
            }
            Busy::Resting(_) => BusyStep { step: step.clone(), report: None, silence: Duration::ZERO },
        };
        self.state().busy.iter().map(report).collect()
    }

    /// When the next rest is over.
    pub(super) fn next_attempt(&self) -> Option<Duration> {
        let state = self.state();
        let rests = state.busy.values().filter_map(|busy| match busy {
            Busy::Resting(until) => Some(*until),
            Busy::Running(..) => None,
        });
        rests.min().map(|until| until.saturating_duration_since(Instant::now()))
    }

    /// Starts an attempt at `step`, unless it is busy.
    pub(super) fn start(self: &Arc<Self>, step: Step, retry: bool, outputs: Arc<Outputs>, spans: Vec<Span>) {
        let mut state = self.state();
        if state.busy.contains_key(&step) {
            return;
        }
        let pulse = Arc::new(Pulse::new(self.tools.clock.now(), spans));
        let (live, of, beat) = (Arc::clone(self), step.clone(), Arc::clone(&pulse));
        let run = Arc::clone(&state.run);
        let urgency = match (run.mode, &step) {
            // It has all the time of the people whom it waits for.
            (_, Step::HandOver) => Urgency::Verdicts,
            (Mode::Drill, _) => Urgency::Drill,
            (Mode::Recover, _) => Urgency::Recovery,
        };
        let tenure = self.tenure.clone();
        let task = self.tasks.spawn("step", |stop| {
            let work = async move {
                let (tools, patience) = (Arc::clone(&live.tools), Arc::clone(&live.patience));
                let ctx = Ctx { tools, run, step: of, pulse: beat, outputs, stop, retry, patience };
                let end = attempt::run(&ctx, || live.gives_up(&ctx)).await;
                live.ended(&ctx, end);
            };
            urgency.scope(tenure.scope(work))
        });
        state.busy.insert(step, Busy::Running(pulse, task));
    }

    /// Whether a task is at any step.
    pub(super) fn is_at_work(&self) -> bool {
        let at_work = |busy: &Busy| matches!(busy, Busy::Running(_, task) if !task.is_finished());
        self.state().busy.values().any(at_work)
    }

    /// Asks every task but a closing one to stop; rests end at once. What is begun again later has not failed in a row.
    pub(super) fn stop(&self) {
        let mut state = self.state();
        state.failing.retain(|step, _| is_closing(step));
        state.busy.retain(|step, busy| match busy {
            Busy::Running(_, task) => {
                if !is_closing(step) {
                    task.stop();
                }
                true
            }
            Busy::Resting(_) => false,
        });
    }

    /// Resolves when every task was asked to stop.
    pub(super) async fn stopping(&self) {
        self.tasks.stopping().cancelled().await;
    }

    /// Stops and waits for every task, at most `grace`.
    pub(super) async fn shut_down(&self, grace: Duration) {
        self.tasks.shut_down(grace).await;
    }

    /// Whether a failure of this attempt, which is ending, is the last one.
    fn gives_up(&self, ctx: &Ctx) -> bool {
        let limit = self.tools.clock.scaled(ctx.run.plan.limits.stall.duration() * GIVE_UP_AFTER);
        let before = self.state().failing.get(&ctx.step).copied();
        let row = Row::after(before, self.done(ctx), ctx.pulse.silence());
        before.is_some() && row.idle > limit && !is_never_given_up(ctx.run.mode, &ctx.step)
    }

    fn done(&self, ctx: &Ctx) -> u64 {
        ctx.pulse.report(self.tools.clock.now()).done
    }

    fn ended(&self, ctx: &Ctx, end: End) {
        let step = &ctx.step;
        let done = self.done(ctx);
        let mut state = self.state();
        state.busy.remove(step);
        match end {
            End::Settled => {
                state.backoffs.succeeded(step);
                state.failing.remove(step);
            }
            End::Again(class) => {
                let mut row = Row::after(state.failing.get(step).copied(), done, ctx.pulse.silence());
                let delay = rest(&mut state.backoffs, step, class);
                row.idle += self.tools.clock.scaled(delay);
                state.failing.insert(step.clone(), row);
                let until = self.tools.clock.after(delay);
                state.busy.insert(step.clone(), Busy::Resting(until));
            }
            End::Stopped => {}
        }
        let request = state.run.request.clone();
        drop(state);
        self.queue.add(request, "step ended");
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The steps that end a request are not stopped.
fn is_closing(step: &Step) -> bool {
    matches!(step, Step::Cleanup | Step::TearDown)
}

/// A drill must leave nothing behind, however long a vendor is away.
fn is_never_given_up(mode: Mode, step: &Step) -> bool {
    mode == Mode::Drill && *step == Step::TearDown
}

fn rest(backoffs: &mut Backoffs<Step>, step: &Step, class: Class) -> Duration {
    backoffs.failed(step.clone(), class)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_of_work_between_two_failures_are_no_failing_in_a_row() {
        let minute = Duration::from_mins(1);
        let first = Row::after(None, 5, minute);
        assert_eq!(first, Row { idle: minute, best: 5 });
        // It worked for hours, got further, and the line broke: its silence alone counts.
        assert_eq!(Row::after(Some(first), 90, Duration::ZERO), Row { idle: Duration::ZERO, best: 90 });
        let same = Row::after(Some(first), 5, minute);
        assert_eq!(same, Row { idle: 2 * minute, best: 5 }, "it comes no further");
        assert_eq!(Row::after(Some(same), 2, minute), Row { idle: 3 * minute, best: 5 });
    }

    #[test]
    fn only_the_tear_down_of_a_drill_is_never_given_up() {
        assert!(is_never_given_up(Mode::Drill, &Step::TearDown));
        assert!(!is_never_given_up(Mode::Drill, &Step::Restore));
        assert!(!is_never_given_up(Mode::Recover, &Step::TearDown));
    }
}
