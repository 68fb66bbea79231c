//! The hand-over of what was recovered: pursued once a request has succeeded, by short looks with long rests between them, for which
//! nobody keeps the lease. Nothing that comes of it changes how the request has ended.

use std::sync::Arc;
use std::time::Duration;

use reprise_crds::conditions::Observation;

use super::{LOOK, Requests, SOON};
use crate::recovery::accept::{self, Accepted};
use crate::recovery::hand_over::{self, HandOver};
use crate::recovery::outputs::Outputs;
use crate::recovery::status;
use crate::recovery::step::Step;
use crate::runtime::controller::Outcome;
use crate::store::{Desired, Epoch, RequestRow, Severity, StepPhase, StepRow, StoreError};

impl Requests {
    /// Goes on with the hand-over of a request that has ended; `None` where none is pursued.
    pub(super) async fn hand_over(&self, row: &RequestRow) -> Result<Option<Outcome>, StoreError> {
        if !hand_over::is_pursued(&status::known(row)) || !hand_over::is_possible(row) {
            return Ok(None);
        }
        let plans = self.plans(row).await?;
        let accepted = accept::to_close(row, &plans);
        let wanted =
            accepted.filter(|accepted| accepted.plan.hand_over.is_some() && row.desired == Desired::Run);
        let Some(accepted) = wanted else {
            return self.stop_hand_over(row).await;
        };
        let steps = self.tools.store.steps(&row.name).await?;
        if let (Some(rest), true) = (self.rest(row, &accepted, &steps), is_told(row, &steps)) {
            self.ownership.let_go(&row.name).await;
            return Ok(Some(Outcome::RequeueAfter(rest)));
        }
        let Some(held) = self.ownership.lease(&row.name).await else {
            return Ok(Some(Outcome::RequeueAfter(self.ownership.term())));
        };
        // Somebody else may have had the lease since it was read.
        let Some(row) = &self.still(row).await? else { return Ok(Some(Outcome::RequeueAfter(SOON))) };
        let live = self.live(row, &accepted, &held).await;
        // Before the rows are read: see `owned`.
        let busy = live.busy().contains(&Step::HandOver);
        let steps = self.tools.store.steps(&row.name).await?;
        let told = async {
            match told(row, &steps) {
                Some(observation) => self.say(row, held.epoch, observation).await,
                None => Ok(()),
            }
        };
        if self.ownership.unless_fenced(&row.name, told.await).await?.is_none() {
            return Ok(Some(Outcome::RequeueAfter(LOOK)));
        }
        if !busy && self.rest(row, &accepted, &steps).is_none() {
            let outputs = Arc::new(Outputs::read(&steps));
            live.start(Step::HandOver, hand_over::step(&steps).is_some(), outputs, Vec::new());
        }
        let next = if busy { live.next_attempt().unwrap_or(LOOK).min(LOOK) } else { SOON };
        Ok(Some(Outcome::RequeueAfter(next)))
    }

    /// The request as it is under our lease; `None` where more has become of it than of its hand-over.
    async fn still(&self, row: &RequestRow) -> Result<Option<RequestRow>, StoreError> {
        let now = self.tools.store.request(&row.name).await?;
        Ok(now.filter(|now| {
            status::settled(now) && now.generation == row.generation && hand_over::is_possible(now)
        }))
    }

    /// What is left of the rest after the last look.
    fn rest(&self, row: &RequestRow, accepted: &Accepted, steps: &[StepRow]) -> Option<Duration> {
        let to = accepted.plan.hand_over.as_ref()?.to.as_str();
        let clock = &self.tools.clock;
        hand_over::due(row, to, steps, clock.now(), |nominal| clock.scaled(nominal))
    }

    /// Says that nobody pursues it any more. A look that is under way is stopped with the lease.
    async fn stop_hand_over(&self, row: &RequestRow) -> Result<Option<Outcome>, StoreError> {
        let Some(held) = self.ownership.lease(&row.name).await else {
            return Ok(Some(Outcome::RequeueAfter(self.ownership.term())));
        };
        let Some(row) = &self.still(row).await? else { return Ok(Some(Outcome::RequeueAfter(SOON))) };
        let said = self.say(row, held.epoch, hand_over::not_pursued(row)).await;
        let said = self.ownership.unless_fenced(&row.name, said).await?;
        Ok(said.is_none().then_some(Outcome::RequeueAfter(LOOK)))
    }

    /// Writes the condition, and an event where it says something else than before. Nothing else of the status is touched.
    async fn say(&self, row: &RequestRow, epoch: Epoch, said: Observation) -> Result<(), StoreError> {
        let store = &self.tools.store;
        let before = hand_over::condition(&row.status);
        let same = before.is_some_and(|before| {
            before["reason"] == said.reason && before["message"] == said.message.as_str()
        });
        if same {
            return Ok(());
        }
        let severity = if hand_over::is_trouble(&said) { Severity::Warning } else { Severity::Normal };
        let (step, reason) = (Step::HandOver.to_string(), format!("HandOver{}", said.reason));
        store.record_event(&row.name, epoch, severity, &reason, Some(&step), &said.message).await?;
        let update = status::with(row, said, self.tools.clock.now());
        store.set_status(&row.name, epoch, &update).await
    }
}

/// What the row of the step has to say; `None` where nothing is known that was not told.
fn told(row: &RequestRow, steps: &[StepRow]) -> Option<Observation> {
    let step = hand_over::step(steps)?;
    match step.phase {
        StepPhase::Done => HandOver::known(steps).map(|known| known.observation(row)),
        StepPhase::Failed => {
            Some(hand_over::not_looked(row, step.message.as_deref().unwrap_or("no reason was recorded")))
        }
        // It goes on: what was told stands.
        StepPhase::Pending | StepPhase::Running => None,
    }
}

/// Whether the condition says what the last look found.
fn is_told(row: &RequestRow, steps: &[StepRow]) -> bool {
    let condition = hand_over::condition(&row.status);
    told(row, steps).is_none_or(|said| {
        condition
            .is_some_and(|told| told["reason"] == said.reason && told["message"] == said.message.as_str())
    })
}
