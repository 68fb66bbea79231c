//! The reconciler of requests: short runs that observe, decide, and start or stop step tasks.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use reprise_crds::{Milestone, Mode, Phase};

use super::accept::{self, Accepted, Plans, Refusal};
use super::approval::{self, Loss};
use super::decide::{Decision, Drill, Situation, decide};
use super::outputs::Outputs;
use super::ownership::Ownership;
use super::retry;
use super::shown::shown_of;
use super::status::{self, Doing};
use super::step::Step;
use super::steps::Run;
use super::supervisor::Live;
use super::tools::Tools;
use crate::runtime::chain::Chain;
use crate::runtime::controller::{Outcome, Reconciler};
use crate::runtime::lease::Held;
use crate::runtime::queue::WorkQueue;
use crate::runtime::tasks::Tasks;
use crate::store::{
    Desired, Epoch, LedgerState, Reopen, RequestRow, Severity, StatusUpdate, StepPhase, StepRow, StoreError,
    answered,
};

mod hand_over;

/// The look without an event, while something runs.
const LOOK: Duration = Duration::from_secs(5);

/// The look at what can go on at once.
const SOON: Duration = Duration::from_millis(500);

/// Reconciles requests by name.
#[derive(Debug)]
pub struct Requests {
    tools: Arc<Tools>,
    ownership: Ownership,
}

impl Reconciler for Requests {
    type Key = String;
    type Error = StoreError;

    async fn reconcile(&self, name: String) -> Result<Outcome, StoreError> {
        answered(Box::pin(self.reconciled(name))).await
    }
}

impl Requests {
    /// Deletes what was downloaded here for a request that has ended, elsewhere perhaps: another daemon's cleanup does not reach this disk.
    async fn forget(&self, row: &RequestRow) {
        let folder = self.tools.work_dir.join(&row.name);
        match tokio::fs::remove_dir_all(&folder).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::error!(folder = %folder.display(), error = %Chain(&error), "personal data may be left there: delete it by hand");
            }
            _ => {}
        }
    }

    async fn reconciled(&self, name: String) -> Result<Outcome, StoreError> {
        let row = match self.tools.store.request(&name).await? {
            Some(row) if !status::settled(&row) => row,
            ended => {
                if let Some(row) = &ended {
                    self.forget(row).await;
                    if let Some(next) = self.hand_over(row).await? {
                        return Ok(next);
                    }
                }
                self.ownership.let_go(&name).await;
                return Ok(Outcome::AwaitChange);
            }
        };
        let plans = self.plans(&row).await?;
        let accepted = self.accept(&row, &plans).await?;
        let goes_on = row.desired == Desired::Run && self.ownership.is_at_work(&name);
        if !goes_on && accepted.as_ref().is_err_and(|refusal| status::says(&row, refusal)) {
            self.ownership.let_go(&name).await;
            return Ok(until_closed(&row, &plans));
        }
        let Some(held) = self.ownership.lease(&name).await else {
            return Ok(Outcome::RequeueAfter(self.ownership.term()));
        };
        let done = self.owned(&row, &plans, accepted, &held).await;
        let done = self.ownership.unless_fenced(&name, done).await?;
        Ok(done.unwrap_or(Outcome::RequeueAfter(LOOK)))
    }
}

/// When a request that is refused is looked at again. A drill that was accepted before may have made something, and is torn down when
/// its time is over: no change tells of that.
fn until_closed(row: &RequestRow, plans: &Plans) -> Outcome {
    let drill = accept::mode(row) == Mode::Drill;
    if drill && plans.kept.is_some() { Outcome::RequeueAfter(LOOK) } else { Outcome::AwaitChange }
}

impl Requests {
    /// A reconciler that runs its step tasks under `tasks`.
    pub fn new(tools: Arc<Tools>, tasks: Tasks, queue: WorkQueue<String>) -> Self {
        let ownership = Ownership::new(Arc::clone(&tools), tasks, queue);
        Self { tools, ownership }
    }

    /// Stops every step task and gives the leases back, so that another daemon need not wait for their end.
    pub async fn shut_down(&self) {
        self.ownership.shut_down().await;
    }

    async fn owned(
        &self,
        row: &RequestRow,
        plans: &Plans,
        accepted: Result<Accepted, Refusal>,
        held: &Held,
    ) -> Result<Outcome, StoreError> {
        let epoch = held.epoch;
        let accepted = match accepted {
            Ok(accepted) => accepted,
            Err(refusal) => return self.refused(row, plans, &refusal, epoch).await,
        };
        // What an earlier release began was accepted with a plan that nobody knows any more.
        if let (None, None, Some(today)) = (row.started_at, &plans.kept, &plans.today) {
            self.tools.store.keep_plan(&row.name, epoch, today).await?;
        }
        let live = self.live(row, &accepted, held).await;
        // Before the rows are read: a step that ends in between is then Done and still busy, never neither, and is not begun again.
        let busy = live.busy();
        let mut steps = self.tools.store.steps(&row.name).await?;
        let mut again = retry::is_due(row, &accepted, &steps);
        if again && busy.is_empty() {
            self.reopen(row, accepted.mode, epoch).await?;
            steps = self.tools.store.steps(&row.name).await?;
            again = false;
        }
        if accepted.mode == Mode::Drill
            && row.desired == Desired::Run
            && !row.is_finished()
            && !is_closing(&steps)
        {
            self.give_way(row, epoch).await?;
        }
        let loss = Loss::of(row, &accepted.plan, accepted.mode, &Outputs::read(&steps));
        let expired = expired(row, &accepted, self.tools.clock.now());
        let to = accepted.plan.hand_over.as_ref().map(|spec| spec.to.clone());
        let doing = Doing { busy: Vec::new(), loss, expired, again, hand_over_to: to };
        let decision = decided(row, &accepted, &steps, &busy, &doing);
        if row.phase == Phase::WaitingApproval && approval::covers(row, &steps) {
            self.tell_approval(row, epoch, doing.loss.as_ref()).await?;
        }
        self.tell_cut_off(row, epoch, &decision, &steps).await?;
        carry_out(&decision, &steps, &live);
        let doing = Doing { busy: live.reports(), ..doing };
        let now = self.tools.clock.now();
        let update = status::of(row, &decision, &accepted.graph, &steps, &doing, now);
        self.record(row, epoch, update, &steps, now).await?;
        if decision.phase.is_final() {
            self.ownership.hand_over(&row.name).await;
            // Where the estate is to be handed over, that begins now.
            let pursued = accepted.plan.hand_over.is_some();
            return Ok(if pursued { Outcome::RequeueAfter(SOON) } else { Outcome::AwaitChange });
        }
        Ok(Outcome::RequeueAfter(live.next_attempt().unwrap_or(LOOK).min(LOOK)))
    }

    /// Nothing new is begun. What is at work ends as it began, unless people want it to stop: hours of it would be lost for what it does not
    /// need.
    async fn refused(
        &self,
        row: &RequestRow,
        plans: &Plans,
        refusal: &Refusal,
        epoch: Epoch,
    ) -> Result<Outcome, StoreError> {
        let begun = !self.tools.store.steps(&row.name).await?.is_empty();
        let wanted = row.desired == Desired::Run;
        let mut busy = if wanted { self.ownership.reports(&row.name, epoch) } else { Vec::new() };
        busy.retain(|step| step.report.is_some());
        let update = status::refused(row, refusal, begun, &busy, self.tools.clock.now());
        self.tools.store.set_status(&row.name, epoch, &update).await?;
        if busy.is_empty() {
            self.ownership.let_go(&row.name).await;
            return Ok(until_closed(row, plans));
        }
        Ok(Outcome::RequeueAfter(LOOK))
    }

    /// Takes back to pending what has to be tried again. What was being torn down is not built up again.
    async fn reopen(&self, row: &RequestRow, mode: Mode, epoch: Epoch) -> Result<(), StoreError> {
        let store = &self.tools.store;
        if mode == Mode::Drill {
            let ledger = store.ledger(&row.name).await?;
            let left = ledger.iter().filter(|row| row.state != LedgerState::Deleted).count();
            let message = format!(
                "the tear-down of this drill is tried again: {left} of what it made or changed are still on record"
            );
            store
                .record_event(&row.name, epoch, Severity::Normal, "TearDownReopened", None, &message)
                .await?;
        }
        let what = match (mode, row.desired) {
            (Mode::Drill, _) | (Mode::Recover, Desired::TearDown) => Reopen::TearDown,
            (Mode::Recover, Desired::Cancel) => Reopen::Cleanup,
            (Mode::Recover, Desired::Run | Desired::Pause) => Reopen::All,
        };
        store.reopen_steps(&row.name, epoch, what).await
    }

    async fn tell_approval(
        &self,
        row: &RequestRow,
        epoch: Epoch,
        loss: Option<&Loss>,
    ) -> Result<(), StoreError> {
        let (Some((who, at)), Some(loss)) = (&row.approval, loss) else { return Ok(()) };
        let message = format!("{who} agreed at {}: {loss}", at.format("%Y-%m-%dT%H:%M:%SZ"));
        self.tools.store.record_event(&row.name, epoch, Severity::Normal, "Approved", None, &message).await
    }

    /// Says why a step begins once more that nobody has seen end: hours of it may have been lost.
    async fn tell_cut_off(
        &self,
        row: &RequestRow,
        epoch: Epoch,
        decision: &Decision,
        steps: &[StepRow],
    ) -> Result<(), StoreError> {
        for step in cut_off(decision, steps) {
            let message = format!(
                "attempt {} was cut off and begins anew: its daemon ended, or could not write to its store for as long as its lease held",
                step.attempt
            );
            let store = &self.tools.store;
            store
                .record_event(&row.name, epoch, Severity::Warning, "StepCutOff", Some(&step.step), &message)
                .await?;
        }
        Ok(())
    }

    /// A drill asks for its own cancellation when a recovery is at work: the disaster needs the bandwidth and the rate limit.
    async fn give_way(&self, row: &RequestRow, epoch: Epoch) -> Result<(), StoreError> {
        let store = &self.tools.store;
        let Some(recovery) = store.recovery_running().await? else { return Ok(()) };
        let message = format!(
            "{recovery} is at work: this drill is cancelled and torn down; file another one afterwards"
        );
        store.record_event(&row.name, epoch, Severity::Warning, "GaveWay", None, &message).await?;
        store.ask(&row.name, Desired::Cancel).await.map(drop)
    }

    async fn plans(&self, row: &RequestRow) -> Result<Plans, StoreError> {
        let store = &self.tools.store;
        Ok(Plans {
            kept: store.accepted_plan(&row.name).await?,
            today: store.plan(&row.plan).await?.map(|plan| plan.spec),
        })
    }

    /// What to run it with. A refusal holds only as long as something is to be made.
    async fn accept(&self, row: &RequestRow, plans: &Plans) -> Result<Result<Accepted, Refusal>, StoreError> {
        let accepted = accept::accept(row, plans, &self.tools.references, &self.tools.config);
        if accepted.is_ok() {
            return Ok(accepted);
        }
        let Some(closing) = accept::to_close(row, plans) else { return Ok(accepted) };
        let steps = self.tools.store.steps(&row.name).await?;
        Ok(if closes(row, &closing, &steps, self.tools.clock.now()) { Ok(closing) } else { accepted })
    }

    async fn live(&self, row: &RequestRow, accepted: &Accepted, held: &Held) -> Arc<Live> {
        let run = Run {
            request: row.name.clone(),
            plan_name: row.plan.clone(),
            plan: accepted.plan.clone(),
            cut: accepted.cut.clone(),
            mode: accepted.mode,
            epoch: held.epoch,
            dir: self.tools.work_dir.join(&row.name),
            filed_at: row.created_at,
        };
        self.ownership.live(run, held).await
    }

    async fn record(
        &self,
        row: &RequestRow,
        epoch: Epoch,
        mut update: StatusUpdate,
        steps: &[StepRow],
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let store = &self.tools.store;
        let crossed =
            Milestone::ALL.iter().filter(|milestone| row.state < **milestone && **milestone <= update.state);
        for milestone in crossed {
            let message = format!("milestone {milestone} is reached");
            store
                .record_event(&row.name, epoch, Severity::Normal, "MilestoneReached", None, &message)
                .await?;
        }
        if update.phase != row.phase {
            let severity = if update.phase == Phase::Failed { Severity::Warning } else { Severity::Normal };
            let message = status::message(&update.status).to_owned();
            store.record_event(&row.name, epoch, severity, update.phase.as_str(), None, &message).await?;
            if update.phase.is_final() {
                update.evidence = Some(shown_of(store, row, &update, steps, now).await?);
            }
        }
        store.set_status(&row.name, epoch, &update).await
    }
}

/// A drill that has failed or is being torn down has ended by itself: nobody cancels it.
fn is_closing(steps: &[StepRow]) -> bool {
    let tear_down = Step::TearDown.to_string();
    steps.iter().any(|row| row.phase == StepPhase::Failed || row.step == tear_down)
}

fn decided(
    row: &RequestRow,
    accepted: &Accepted,
    steps: &[StepRow],
    busy: &BTreeSet<Step>,
    doing: &Doing,
) -> Decision {
    let graph = &accepted.graph;
    let by_key: HashMap<String, Step> =
        graph.steps().chain([&Step::TearDown]).map(|step| (step.to_string(), step.clone())).collect();
    let known = steps.iter().filter_map(|row| Some((by_key.get(&row.step)?.clone(), row.phase)));
    let phases: BTreeMap<Step, StepPhase> = known.collect();
    let drill = (accepted.mode == Mode::Drill)
        .then(|| Drill { expired: doing.expired, blind: approval::is_unreadable(&Outputs::read(steps)) });
    let unapproved = doing.loss.is_some() && !approval::covers(row, steps);
    decide(&Situation {
        graph,
        drill,
        unapproved,
        again: doing.again,
        desired: row.desired,
        state: row.state,
        phase: row.phase,
        phases: &phases,
        busy,
    })
}

/// Whether all that is left to do about it is to close it.
fn closes(row: &RequestRow, accepted: &Accepted, steps: &[StepRow], now: DateTime<Utc>) -> bool {
    if matches!(row.desired, Desired::Cancel | Desired::TearDown) {
        return true;
    }
    let drill = accepted.mode == Mode::Drill;
    let expired = expired(row, accepted, now);
    let doing = Doing { busy: Vec::new(), loss: None, expired, again: false, hand_over_to: None };
    let phase = || decided(row, accepted, steps, &BTreeSet::new(), &doing).phase;
    drill && matches!(phase(), Phase::TearingDown | Phase::Succeeded | Phase::Failed | Phase::Cancelled)
}

/// Whether it is a drill that has stood for longer than its plan allows.
fn expired(row: &RequestRow, accepted: &Accepted, now: DateTime<Utc>) -> bool {
    let limit = accepted.plan.drill.time_to_live.duration();
    let limit = TimeDelta::from_std(limit).unwrap_or(TimeDelta::MAX);
    accepted.mode == Mode::Drill && row.started_at.is_some_and(|started| now - started > limit)
}

/// The steps that are to begin and that the store calls running: no task is at them.
fn cut_off<'a>(decision: &'a Decision, steps: &'a [StepRow]) -> impl Iterator<Item = &'a StepRow> {
    let begins = |row: &&StepRow| decision.start.iter().any(|step| step.to_string() == row.step);
    steps.iter().filter(|row| row.phase == StepPhase::Running).filter(begins)
}

fn carry_out(decision: &Decision, steps: &[StepRow], live: &Arc<Live>) {
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
