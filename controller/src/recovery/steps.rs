//! What each step does: one file a step, all of the same shape. Observe the world, decide by a pure function, act at most once,
//! observe again; done only when the post-condition was seen.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use reprise_crds::{Mode, RecoveryPlanSpec};
use serde_json::Value;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::attempt::written;
use super::cut::Cut;
use super::error::{Result, StepError};
use super::outputs::{MadeApp, Outputs};
use super::patience::Patience;
use super::pulse::Pulse;
use super::step::Step;
use super::tools::Tools;
use crate::store::{Epoch, Intent, LedgerRow, LedgerState, Severity, SpanKind, Store, StoreError, answered};

mod addon;
mod app;
#[cfg(test)]
pub(super) mod bench;
mod bucket;
mod certificate;
mod check_database;
mod choose_backup;
mod choose_objects;
mod cleanup;
pub(crate) mod cname;
mod collaborators;
mod database;
mod deploy;
mod domain;
mod dump;
mod force_https;
mod formation;
mod given;
mod hand_over;
mod health;
mod inventory;
mod names;
mod place;
pub(super) mod probe;
mod project;
mod read_only_user;
mod refill;
mod restore;
mod ssh_key;
mod switch;
mod target;
mod teardown;
mod variables;

pub(super) use given::of_database;

/// What loses data where it is passed over is passed over once it has been failing for so long, and so often.
const LONG: Duration = Duration::from_mins(10);
const OFTEN: u32 = 3;

/// One request that is being run: what does not change while it runs.
#[derive(Debug)]
pub struct Run {
    /// The request's name.
    pub request: String,
    /// The plan's name.
    pub plan_name: String,
    /// The plan, valid, as it was when the step began; in a drill the rehearsed one, with a scope as its cut has it.
    pub plan: RecoveryPlanSpec,
    /// What of the plan is brought back, and the apps that are there already.
    pub cut: Cut,
    /// For real, or as a rehearsal.
    pub mode: Mode,
    /// The lease's epoch.
    pub epoch: Epoch,
    /// A private folder (mode 0700) for dumps, keys and sockets; deleted at the end.
    pub dir: PathBuf,
    /// When the request was filed.
    pub filed_at: chrono::DateTime<chrono::Utc>,
}

/// What one attempt at one step works with.
#[derive(Debug, Clone)]
pub struct Ctx {
    /// What lives as long as the process.
    pub tools: Arc<Tools>,
    /// The request.
    pub run: Arc<Run>,
    /// The step.
    pub step: Step,
    /// Its signs of life.
    pub pulse: Arc<Pulse>,
    /// What earlier steps left.
    pub outputs: Arc<Outputs>,
    /// Fires when this attempt must stop.
    pub stop: CancellationToken,
    /// Whether the step was begun before: a call of then may have taken effect.
    pub retry: bool,
    /// What has been failing in this process.
    pub patience: Arc<Patience>,
}

impl Ctx {
    /// Says what is being done or waited for, and what the time counts as.
    pub fn doing(&self, kind: SpanKind, what: impl Into<String>) {
        self.pulse.doing(self.tools.clock.now(), kind, what);
    }

    /// Silence is expected for as long as `wait`, in scaled time, from when this step first said so of `what`: it is no stall. An attempt that
    /// begins anew waits for what is left of it.
    pub fn expect_silence(&self, what: &str, wait: Duration) {
        let what = format!("{}/{what}", self.step);
        self.pulse.expect_silence(self.patience.granted(&what, self.tools.clock.scaled(wait)));
    }

    /// What this step waited for as `what` has come.
    pub fn has_come(&self, what: &str) {
        self.patience.is_over(&format!("{}/{what}", self.step));
    }

    /// Now, on the clock that waits.
    pub fn now(&self) -> Instant {
        Instant::now()
    }

    /// The instant that lies `after` from now, in scaled time.
    pub fn deadline(&self, after: Duration) -> Instant {
        Instant::now() + self.tools.clock.scaled(after)
    }

    /// Waits `for_` in scaled time, unless stopped.
    pub async fn pause(&self, for_: Duration) -> Result<()> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Err(StepError::Stopped),
            () = self.tools.clock.sleep(for_) => Ok(()),
        }
    }

    /// Writes the intent to create or change a resource, and where it lies, before the call. One that was written before with another
    /// place is refused: what came of it is there, and would be looked for here.
    pub async fn intend(
        &self,
        kind: &str,
        name: &str,
        parent: Option<&str>,
        detail: Value,
    ) -> Result<LedgerRow> {
        let step = self.step.to_string();
        let detail = place::written(self, kind, detail).await?;
        let intent = Intent { step: &step, kind, name, parent, detail };
        let row = self.tools.store.intend(&self.run.request, self.run.epoch, &intent).await?;
        place::is_as_planned(self, &row)?;
        Ok(row)
    }

    /// Records that the resource of `row` was seen under this id.
    pub async fn saw(&self, row: &LedgerRow, id: &str) -> Result<()> {
        if row.state == LedgerState::Present && row.external_id.as_deref() == Some(id) {
            return Ok(());
        }
        self.written(|store| store.observed(&self.run.request, self.run.epoch, row.nonce, id)).await
    }

    /// Adds to what the ledger keeps of `row`, and returns it as it is then.
    pub async fn amend(&self, row: &LedgerRow, detail: &Value) -> Result<LedgerRow> {
        self.written(|store| store.amend(&self.run.request, self.run.epoch, row.nonce, detail)).await
    }

    /// Records that the resource of `row` is gone.
    pub async fn gone(&self, row: &LedgerRow) -> Result<()> {
        self.written(|store| store.gone(&self.run.request, self.run.epoch, row.nonce)).await
    }

    /// Tells people something.
    pub async fn event(&self, severity: Severity, reason: &str, message: &str) -> Result<()> {
        let (step, run) = (self.step.to_string(), &self.run);
        self.written(|store| {
            store.record_event(&run.request, run.epoch, severity, reason, Some(&step), message)
        })
        .await
    }

    /// Writes down what was done or seen, again while the store does not answer: it would be done once more for want of one line.
    pub async fn written<'a, T, Writing>(&'a self, write: impl Fn(&'a Store) -> Writing) -> Result<T>
    where
        Writing: Future<Output = std::result::Result<T, StoreError>>,
    {
        Ok(written(|| answered(write(&self.tools.store)), &self.stop).await?)
    }

    /// Counts one more failure of `what`, and tells whether it is time to do without it, although that loses data.
    pub fn keeps_failing(&self, what: &str) -> bool {
        let failing = self.patience.failed(what);
        failing.times >= OFTEN && failing.lasted >= self.tools.clock.scaled(LONG)
    }

    /// Makes the request's private folder.
    pub fn make_dir(&self) -> Result<()> {
        use std::os::unix::fs::DirBuilderExt as _;
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.run.dir);
        made.map_err(StepError::io("making the request's private folder"))
    }

    /// What is known of an app: one that was made, or one that was there already.
    pub fn known_app(&self, app: &str) -> Result<MadeApp> {
        let step = if self.run.cut.is_standing(app) { Step::Target } else { Step::App };
        self.outputs.get(&step(app.to_owned()))
    }

    /// The app that owns the database, as the plan has it.
    pub fn first_app(&self) -> &str {
        &self.run.plan.apps[0].name
    }

    /// The app that the database was ordered for: the plan's apps may come in another order by now, and a second one is billed.
    pub async fn database_app(&self) -> Result<String> {
        let ledger = self.tools.store.ledger(&self.run.request).await?;
        let ordered = ledger.iter().rfind(|row| {
            row.kind == "addon" && row.name == addon::POSTGRESQL && row.state != LedgerState::Deleted
        });
        let app = ordered.and_then(|row| row.parent.clone());
        Ok(app.unwrap_or_else(|| self.first_app().to_owned()))
    }
}

/// Runs one step to its post-condition and returns what it leaves for later ones. Safe to repeat at any point.
pub fn run(ctx: &Ctx) -> BoxFuture<'_, Result<Value>> {
    match &ctx.step {
        Step::Inventory => outputs(inventory::run(ctx)),
        Step::ChooseBackup => outputs(choose_backup::run(ctx)),
        Step::ChooseObjects => outputs(choose_objects::run(ctx)),
        Step::Target(app) => outputs(target::run(ctx, app)),
        Step::Project => outputs(project::run(ctx)),
        Step::SshKey => outputs(ssh_key::run(ctx)),
        Step::App(app) => outputs(app::run(ctx, app)),
        Step::Collaborators(app) => outputs(collaborators::run(ctx, app)),
        Step::Postgres => outputs(addon::postgresql(ctx)),
        Step::Redis(app) => outputs(addon::redis(ctx, app)),
        Step::ReadOnlyUser => outputs(read_only_user::run(ctx)),
        Step::Restore => outputs(restore::run(ctx)),
        Step::CheckDatabase => outputs(check_database::run(ctx)),
        Step::Bucket => outputs(bucket::run(ctx)),
        Step::Refill => outputs(refill::run(ctx)),
        Step::Variables(app) => outputs(variables::run(ctx, app)),
        Step::Switch(app) => outputs(switch::run(ctx, app)),
        Step::Deploy(app) => outputs(deploy::run(ctx, app)),
        Step::Formation(app) => outputs(formation::run(ctx, app)),
        Step::Health(app) => outputs(health::run(ctx, app)),
        Step::Domain(site) => outputs(domain::run(ctx, site)),
        Step::Cname(site) => outputs(cname::run(ctx, site)),
        Step::Authoritative(site) => outputs(names::authoritative(ctx, site)),
        Step::Resolver(site) => outputs(names::resolver(ctx, site)),
        Step::Certificate(site) => outputs(certificate::run(ctx, site)),
        Step::ForceHttps(app) => outputs(force_https::run(ctx, app)),
        Step::Probe(site) => outputs(probe::run(ctx, site)),
        Step::Cleanup => outputs(cleanup::run(ctx)),
        Step::HandOver => outputs(hand_over::run(ctx)),
        Step::TearDown => outputs(teardown::run(ctx)),
    }
}

/// Boxed: the steps differ in size, and the largest would be paid for by all.
fn outputs<'a, T: serde::Serialize + 'a>(
    step: impl Future<Output = Result<T>> + Send + 'a,
) -> BoxFuture<'a, Result<Value>> {
    Box::pin(async {
        serde_json::to_value(step.await?).map_err(|_| StepError::Output { step: "this one".to_owned() })
    })
}
