//! What can be scheduled, which schedules a plan asks for, and what starts each job.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use reprise_crds::RecoveryPlanSpec;
use reprise_crds::plan::ScheduleSpec;
use tokio_util::sync::CancellationToken;

use super::ScheduleError;
use crate::store::PlanRow;

/// A kind of scheduled work. Its name is stored: it is added to and never renamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Job {
    /// Takes an archive run, and reads a sample of the archive again.
    Archive,
    /// Copies new database backups into the archive.
    Dumps,
    /// Rehearses the recovery.
    Drill,
    /// Takes new backups up the ladder of evidence.
    Freshness,
}

impl Job {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Archive, Self::Dumps, Self::Drill, Self::Freshness];

    /// Its name in rows, logs and labels.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Archive => "archive",
            Self::Dumps => "dumps",
            Self::Drill => "drill",
            Self::Freshness => "freshness",
        }
    }
}

/// One run that has come due.
#[derive(Debug, Clone)]
pub struct Order {
    /// What is to be done.
    pub job: Job,
    /// The plan's name.
    pub plan: String,
    /// When it was due.
    pub due_at: DateTime<Utc>,
    /// How many attempts at this run failed before.
    pub failures: u32,
    /// Fires when the work must end: it has a few seconds to put itself in order, then it is dropped. What it did not finish
    /// is ordered again, with the same `due_at`.
    pub stop: CancellationToken,
}

/// The work of one run: what it did, or why it failed, in a sentence for the row.
pub type Work = BoxFuture<'static, Result<String, String>>;

/// What starts each job. Jobs without a starter are never claimed: another daemon may have one.
#[derive(Clone, Default)]
pub struct Jobs(BTreeMap<Job, Arc<dyn Fn(Order) -> Work + Send + Sync>>);

impl Jobs {
    /// With a starter for `job`.
    #[must_use]
    pub fn with<F, W>(mut self, job: Job, start: F) -> Self
    where
        F: Fn(Order) -> W + Send + Sync + 'static,
        W: Future<Output = Result<String, String>> + Send + 'static,
    {
        self.0.insert(job, Arc::new(move |order| start(order).boxed()));
        self
    }

    /// Whether `job` can be started here.
    pub(super) fn can(&self, job: Job) -> bool {
        self.0.contains_key(&job)
    }

    /// The work that `order` asks for.
    pub(super) fn start(&self, order: Order) -> Work {
        match self.0.get(&order.job) {
            Some(start) => start(order),
            None => futures::future::ready(Err("this daemon does not know the job".to_owned())).boxed(),
        }
    }
}

impl fmt::Debug for Jobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// The schedules that a plan asks for.
pub fn wanted(plan: &PlanRow) -> Result<Vec<(Job, ScheduleSpec)>, ScheduleError> {
    let spec = RecoveryPlanSpec::from_json(plan.spec.clone()).map_err(|problems| {
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        ScheduleError::Plan(problems.join("; "))
    })?;
    let dumps = spec.archive.as_ref().filter(|archive| !archive.recipients.is_empty());
    let dumps = dumps.map(|archive| (Job::Dumps, archive.dumps.schedule.clone()));
    let archive = spec.archive.and_then(|archive| archive.schedule).map(|schedule| (Job::Archive, schedule));
    let drill = spec.drill.enabled.then_some((Job::Drill, spec.drill.schedule));
    let proof = spec.proof.enabled.then_some((Job::Freshness, spec.proof.schedule));
    Ok([archive, dumps, proof, drill].into_iter().flatten().collect())
}
