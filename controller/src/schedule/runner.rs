//! The loop: now and then it looks at the schedules of all plans and starts what has come due.
//!
//! It remembers nothing that matters: what was due last, who is at it and when somebody looked is in the store, so any number of
//! daemons may run it, and a restart changes nothing. It looks often enough for cron's minutes that nobody has to wake it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::job::{Job, Jobs, wanted};
use super::run::Run;
use super::{Schedule, ScheduleError};
use crate::runtime::backoff::Policy;
use crate::runtime::chain::Chain;
use crate::runtime::clock::Clock;
use crate::runtime::tasks::{Task, Tasks};
use crate::store::{PlanRow, RunState, Store, StoreError, answered};

/// What the loop works with.
#[derive(Debug)]
pub struct Parts {
    /// Where schedules and runs are on record.
    pub store: Store,
    /// What says which time it is.
    pub clock: Clock,
    /// The name of this daemon, of which no other is alive.
    pub identity: String,
    /// A group of its own for the runs.
    pub tasks: Tasks,
    /// What starts each job.
    pub jobs: Jobs,
    /// How often, and how patient.
    pub pace: Pace,
}

/// How often the loop looks, and how patient it is. All but the tick and the retries are real time, never scaled: they are
/// between us and our own store.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Between two looks at the schedules.
    pub tick: Duration,
    /// Between two signs of life of a run.
    pub heartbeat: Duration,
    /// How long a run may show no sign of life before another daemon takes it over.
    pub silence: Duration,
    /// How long a run that is stopped has to put itself in order.
    pub wind_down: Duration,
    /// How long a run that failed rests before it is tried again.
    pub retry: Policy,
}

impl Pace {
    /// Of daemons whose leases last so long.
    pub fn of(lease: Duration) -> Self {
        Self {
            tick: Duration::from_secs(15),
            heartbeat: lease / 4,
            silence: lease * 2,
            wind_down: Duration::from_secs(4),
            retry: Policy {
                base: Duration::from_mins(1),
                cap: Duration::from_hours(1),
                floor: Duration::from_secs(5),
            },
        }
    }
}

/// Runs the loop until `stop` fires; then stops the runs and waits for them, a little longer than they may take.
pub async fn run(parts: Parts, stop: CancellationToken) {
    let parts = Arc::new(parts);
    let mut here = Scheduler { parts: Arc::clone(&parts), known: HashMap::new(), busy: HashMap::new() };
    loop {
        let looked = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            looked = answered(here.tick()) => looked,
        };
        if let Err(error) = looked {
            tracing::warn!(error = %Chain(&error), "cannot look at the schedules");
        }
        if stop.run_until_cancelled(parts.clock.sleep(parts.pace.tick)).await.is_none() {
            break;
        }
    }
    parts.tasks.shut_down(parts.pace.wind_down + Duration::from_secs(2)).await;
}

/// When a job of a plan is due next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Next {
    /// The plan.
    pub plan: String,
    /// The job.
    pub job: Job,
    /// When. In the past: nobody has started it.
    pub due_at: DateTime<Utc>,
}

/// When each job of these plans is due next, as far as any daemon has seen its schedule. Plans that cannot be read have none.
pub async fn next(store: &Store, plans: &[PlanRow]) -> Result<Vec<Next>, StoreError> {
    let marks = store.schedule_marks().await?;
    let due = |plan: &PlanRow, read: Read| {
        let mark = marks.iter().find(|(name, job, _)| *name == plan.name && job == read.job.name())?;
        let due_at = read.schedule.next(mark.2)?;
        Some(Next { plan: plan.name.clone(), job: read.job, due_at })
    };
    let of_plan = |plan| read(plan).unwrap_or_default().into_iter().filter_map(move |read| due(plan, read));
    Ok(plans.iter().flat_map(of_plan).collect())
}

struct Scheduler {
    parts: Arc<Parts>,
    /// The schedules of each plan, at a generation of it.
    known: HashMap<String, (i64, Vec<Followed>)>,
    /// The runs that this process is at.
    busy: HashMap<(String, Job), Task<()>>,
}

/// A schedule that is followed.
#[derive(Clone)]
struct Followed {
    job: Job,
    schedule: Schedule,
    since: DateTime<Utc>,
}

impl Scheduler {
    /// One look at everything. The tick is on record only when the whole look worked.
    async fn tick(&mut self) -> Result<(), StoreError> {
        let plans = self.parts.store.plans().await?;
        self.known.retain(|name, _| plans.iter().any(|plan| plan.name == *name));
        self.busy.retain(|_, task| !task.is_finished());
        for plan in &plans {
            for followed in self.followed(plan).await? {
                if !self.busy.contains_key(&(plan.name.clone(), followed.job)) {
                    self.consider(&plan.name, &followed).await?;
                }
            }
        }
        self.parts.store.record_tick(&self.parts.identity).await
    }

    /// The schedules of a plan, read again when its spec has changed.
    async fn followed(&mut self, plan: &PlanRow) -> Result<Vec<Followed>, StoreError> {
        let now = self.parts.clock.now();
        if let Some((generation, followed)) = self.known.get(&plan.name)
            && *generation == plan.generation
            // What is followed from a time to come was seen by a clock that was ahead.
            && followed.iter().all(|followed| followed.since <= now)
        {
            return Ok(followed.clone());
        }
        let followed = match read(plan) {
            Ok(schedules) => self.see(plan, schedules).await?,
            // Kept on record: what a person breaks for a while does not start afresh.
            Err(error) => {
                tracing::warn!(plan = plan.name, error = %Chain(&error), "a plan's schedules cannot be followed");
                Vec::new()
            }
        };
        self.known.insert(plan.name.clone(), (plan.generation, followed.clone()));
        Ok(followed)
    }

    async fn see(&self, plan: &PlanRow, schedules: Vec<Read>) -> Result<Vec<Followed>, StoreError> {
        let store = &self.parts.store;
        let jobs: Vec<&str> = schedules.iter().map(|read| read.job.name()).collect();
        store.forget_schedules(&plan.name, &jobs).await?;
        // A new plan may have waited for a daemon; an old one gets a new schedule from now on.
        let now = self.parts.clock.now();
        let first = if plan.generation == 1 { plan.created_at.min(now) } else { now };
        let mut followed = Vec::new();
        for Read { job, text, schedule } in schedules {
            let since = store.see_schedule(&plan.name, job.name(), &text, first).await?;
            followed.push(Followed { job, schedule, since });
        }
        followed.retain(|followed| self.parts.jobs.can(followed.job));
        Ok(followed)
    }

    /// Starts the job if it has come due, if its last run was cut off, or if that failed and has rested.
    async fn consider(&mut self, plan: &str, followed: &Followed) -> Result<(), StoreError> {
        let parts = &self.parts;
        let job = followed.job;
        let now = parts.clock.now();
        let last = parts.store.last_run_until(plan, job.name(), now).await?;
        let after = last.as_ref().map_or(followed.since, |last| last.due_at.max(followed.since));
        let due = followed
            .schedule
            .due(after, now)
            .or_else(|| last.filter(|last| last.state != RunState::Done).map(|last| last.due_at));
        let Some(due_at) = due else { return Ok(()) };
        let asked = Instant::now();
        let claim =
            parts.store.claim_run(plan, job.name(), due_at, &parts.identity, parts.pace.silence).await?;
        let Some(claim) = claim else { return Ok(()) };
        let span = tracing::info_span!("scheduled run", plan, job = job.name(), due = %due_at);
        let run = Run { parts: Arc::clone(parts), job, claim, asked };
        let task = parts.tasks.spawn("scheduled run", |stop| run.attend(stop).instrument(span));
        self.busy.insert((plan.to_owned(), job), task);
        Ok(())
    }
}

/// Whether this release can read the plan and follow its schedules. One that was applied by another release may not be valid any more.
pub fn check(plan: &PlanRow) -> Result<(), ScheduleError> {
    read(plan).map(drop)
}

/// A schedule as it stands in a plan.
struct Read {
    job: Job,
    text: String,
    schedule: Schedule,
}

fn read(plan: &PlanRow) -> Result<Vec<Read>, ScheduleError> {
    let read = |(job, spec): (Job, reprise_crds::plan::ScheduleSpec)| {
        let salt = format!("{}/{}", plan.name, job.name());
        let schedule = Schedule::parse(&spec, &salt)?;
        Ok(Read { job, text: format!("{} {} {}", spec.cron, spec.time_zone, spec.jitter), schedule })
    };
    wanted(plan)?.into_iter().map(read).collect()
}

#[cfg(test)]
mod tests;
