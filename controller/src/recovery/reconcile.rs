//! The reconciler of requests: short runs that observe, decide, and start or stop step tasks.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reprise_crds::Phase;

use super::accept::{self, Accepted};
use super::decide::{Decision, Situation, decide};
use super::graph::Graph;
use super::outputs::Outputs;
use super::status;
use super::step::Step;
use super::steps::Run;
use super::supervisor::Live;
use super::tools::Tools;
use crate::runtime::{Outcome, Reconciler, Tasks, WorkQueue};
use crate::store::{Desired, Epoch, RequestRow, Severity, StatusUpdate, StepPhase, StepRow, StoreError};

/// How long a lease lasts without renewal.
pub const LEASE: Duration = Duration::from_secs(30);
/// The look without an event, while something runs.
const LOOK: Duration = Duration::from_secs(5);
/// How long stopped tasks may take to stop.
const GRACE: Duration = Duration::from_secs(10);

/// Reconciles requests by name.
#[derive(Debug)]
pub struct Requests {
    tools: Arc<Tools>,
    tasks: Tasks,
    queue: WorkQueue<String>,
    live: Mutex<HashMap<String, Arc<Live>>>,
}

impl Reconciler for Requests {
    type Key = String;
    type Error = StoreError;

    async fn reconcile(&self, name: String) -> Result<Outcome, StoreError> {
        let Some(row) = self.tools.store.request(&name).await? else {
            self.let_go(&name).await;
            return Ok(Outcome::AwaitChange);
        };
        if row.is_finished() && status::observed(&row) >= row.generation {
            self.let_go(&name).await;
            return Ok(Outcome::AwaitChange);
        }
        let Some(epoch) = self.tools.store.take_lease(&name, &self.tools.identity, LEASE).await? else {
            self.let_go(&name).await;
            return Ok(Outcome::RequeueAfter(LEASE / 3));
        };
        match self.owned(&row, epoch).await {
            Err(StoreError::Fenced { .. }) => {
                self.let_go(&name).await;
                Ok(Outcome::RequeueAfter(LEASE / 3))
            }
            other => other,
        }
    }
}

impl Requests {
    /// A reconciler that runs its step tasks under `tasks`.
    pub fn new(tools: Arc<Tools>, tasks: Tasks, queue: WorkQueue<String>) -> Self {
        Self { tools, tasks, queue, live: Mutex::default() }
    }

    /// Stops every step task and gives the leases back, so that another daemon need not wait for their end.
    pub async fn shut_down(&self) {
        let names: Vec<String> = self.live().keys().cloned().collect();
        for name in names {
            self.let_go(&name).await;
        }
    }

    async fn owned(&self, row: &RequestRow, epoch: Epoch) -> Result<Outcome, StoreError> {
        let accepted = match self.accept(row).await? {
            Ok(accepted) => accepted,
            Err(refusal) => {
                let update = status::refused(row, &refusal, self.tools.clock.now());
                self.tools.store.set_status(&row.name, epoch, &update).await?;
                self.tools.store.release_lease(&row.name, &self.tools.identity).await?;
                return Ok(Outcome::AwaitChange);
            }
        };
        let live = self.live_for(row, &accepted, epoch).await?;
        if wants_another_try(row) {
            self.tools.store.reopen_steps(&row.name, epoch).await?;
        }
        let steps = self.tools.store.steps(&row.name).await?;
        let decision = self.decided(row, &accepted.graph, &steps, &live);
        self.carry_out(&decision, &steps, &live);
        let update = status::of(row, &decision, &accepted.graph, &steps, &live.reports(), self.tools.clock.now());
        self.record(row, epoch, &update).await?;
        if decision.phase.is_final() {
            self.let_go(&row.name).await;
            return Ok(Outcome::AwaitChange);
        }
        Ok(Outcome::RequeueAfter(live.next_attempt().unwrap_or(LOOK).min(LOOK)))
    }

    async fn accept(&self, row: &RequestRow) -> Result<Result<Accepted, accept::Refusal>, StoreError> {
        let plan = self.tools.store.plan(&row.plan).await?;
        Ok(accept::accept(row, plan, &self.tools.references, &self.tools.config))
    }

    /// The tasks of the request. A lease that was lost and taken again fences the old ones off: they end first.
    async fn live_for(&self, row: &RequestRow, accepted: &Accepted, epoch: Epoch) -> Result<Arc<Live>, StoreError> {
        let known = self.live().get(&row.name).cloned();
        match known {
            Some(live) if live.run.epoch == epoch => return Ok(live),
            Some(live) => live.shut_down(GRACE).await,
            None => {}
        }
        let run = Arc::new(Run {
            request: row.name.clone(),
            plan_name: row.plan.clone(),
            plan: accepted.plan.clone(),
            epoch,
            dir: self.tools.work_dir.join(&row.name),
            filed_at: row.created_at,
        });
        let live = Live::new(run, Arc::clone(&self.tools), self.queue.clone(), self.tasks.child());
        self.live().insert(row.name.clone(), Arc::clone(&live));
        Ok(live)
    }

    fn decided(&self, row: &RequestRow, graph: &Graph, steps: &[StepRow], live: &Live) -> Decision {
        let by_key: HashMap<String, Step> = graph.steps().chain([&Step::TearDown]).map(|step| (step.to_string(), step.clone())).collect();
        let known = steps.iter().filter_map(|row| Some((by_key.get(&row.step)?.clone(), row.phase)));
        let phases: BTreeMap<Step, StepPhase> = known.collect();
        let busy = live.busy();
        decide(&Situation { graph, desired: row.desired, state: row.state, phases: &phases, busy: &busy })
    }

    fn carry_out(&self, decision: &Decision, steps: &[StepRow], live: &Arc<Live>) {
        if decision.stop {
            live.stop();
        }
        let outputs = Arc::new(Outputs::read(steps));
        for step in &decision.start {
            let known = steps.iter().find(|row| row.step == step.to_string());
            let spans = known.map(|row| row.spans.clone()).unwrap_or_default();
            live.start(step.clone(), known.is_some(), Arc::clone(&outputs), spans);
        }
    }

    async fn record(&self, row: &RequestRow, epoch: Epoch, update: &StatusUpdate) -> Result<(), StoreError> {
        let store = &self.tools.store;
        if update.state > row.state {
            let message = format!("milestone {} is reached", update.state);
            store.record_event(&row.name, epoch, Severity::Normal, "MilestoneReached", None, &message).await?;
            self.tools.metrics.milestone_reached(&row.plan, update.state, self.tools.clock.now());
        }
        if update.phase != row.phase {
            let severity = if update.phase == Phase::Failed { Severity::Warning } else { Severity::Normal };
            let message = status::message(&update.status).to_owned();
            store.record_event(&row.name, epoch, severity, update.phase.as_str(), None, &message).await?;
        }
        store.set_status(&row.name, epoch, update).await
    }

    /// Stops the tasks of a request that is not ours, or is finished, and gives its lease back.
    async fn let_go(&self, name: &str) {
        let Some(live) = self.live().remove(name) else { return };
        live.shut_down(GRACE).await;
        if let Err(error) = self.tools.store.release_lease(name, &self.tools.identity).await {
            tracing::warn!(error = %crate::runtime::Chain(&error), "a lease could not be given back; it ends by itself");
        }
    }

    fn live(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Live>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody asked to try a finished request again after it ended.
fn wants_another_try(row: &RequestRow) -> bool {
    let asked = row.retry_requested_at.zip(row.finished_at).is_some_and(|(asked, finished)| asked > finished);
    row.desired == Desired::Run && row.is_finished() && row.phase != Phase::Succeeded && asked
}
