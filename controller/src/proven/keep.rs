//! Keeps what is proven and predicted in each plan's status, and in the metrics. What it says comes from the records; only the
//! commits and the values that a plan keeps are asked for outside, now and then.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use reprise_crds::conditions::{self, Observation, time_from_micros};
use reprise_crds::plan::RecoveryPlanStatus;
use reprise_crds::{Phase, RecoveryPlanSpec};
use serde::Deserialize as _;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::fingerprint::{Fingerprint, Standing, standing};
use super::predict::{Growth, Model, Prediction};
use crate::archive::vault::is_cold;
use crate::metrics::Outlook;
use crate::preflight::{MIRROR_IS_COLD, NAMES_TTL};
use crate::recovery::cut::Cut;
use crate::recovery::graph::Graph;
use crate::recovery::grounds::Grounds;
use crate::recovery::outputs::{ChosenBackup, ChosenObjects, Outputs};
use crate::recovery::step::Step;
use crate::recovery::tools::{CODE_PATIENCE, Tools};
use crate::recovery::{rehearsal, report};
use crate::runtime::chain::Chain;
use crate::store::{PlanRow, RequestRow, Sizes, StepRow, StoreError};

/// Between two looks at the records. Real time, never scaled: they are between us and our own store.
const LOOK: Duration = Duration::from_secs(5);
/// How long a commit, or a variable, is taken for today's.
const COMMITS: TimeDelta = TimeDelta::minutes(5);

/// That all was compared is written down no more often.
const NOTED: TimeDelta = TimeDelta::hours(1);
/// Documented: a thaw takes up to a day.
const THAW: Duration = Duration::from_hours(24);
/// Where, in the plan's status.
const PREDICTED: &str = "prediction";
/// Where, in the plan's status.
const COMPARED: &str = "comparedAt";

/// What was asked for outside about a plan's apps, and when, at which generation of the plan.
type Commits = HashMap<String, (DateTime<Utc>, i64, Outside)>;

/// What only others know of a plan's apps.
#[derive(Debug, Clone, Default)]
struct Outside {
    /// The commit of each.
    commits: BTreeMap<String, String>,
    /// A digest of what each keeps of its variables.
    kept: BTreeMap<String, String>,
}

/// Looks again and again, until `stop` fires.
pub async fn watch(tools: Arc<Tools>, stop: CancellationToken) {
    let mut commits = Commits::new();
    loop {
        match stop.run_until_cancelled(Box::pin(look(&tools, &mut commits))).await {
            None => return,
            Some(Ok(outlooks)) => tools.metrics.outlooks_are(&outlooks),
            Some(Err(error)) => tracing::warn!(error = %Chain(&error), "cannot look what is proven"),
        }
        if stop.run_until_cancelled(tokio::time::sleep(LOOK)).await.is_none() {
            return;
        }
    }
}

async fn look(tools: &Tools, commits: &mut Commits) -> Result<Vec<Outlook>, StoreError> {
    let plans = tools.store.plans().await?;
    commits.retain(|name, _| plans.iter().any(|plan| plan.name == *name));
    let mut outlooks = Vec::new();
    for row in &plans {
        // That a plan cannot be read is told where it is applied and run.
        if let Ok(spec) = RecoveryPlanSpec::from_json(row.spec.clone()) {
            let plan = Plan { tools, row, spec: &spec };
            outlooks.push(plan.look(commits).await?);
        }
    }
    Ok(outlooks)
}

/// One plan.
struct Plan<'a> {
    tools: &'a Tools,
    row: &'a PlanRow,
    spec: &'a RecoveryPlanSpec,
}

impl Plan<'_> {
    async fn look(&self, commits: &mut Commits) -> Result<Outlook, StoreError> {
        let (store, now) = (&self.tools.store, self.tools.clock.now());
        let drill = store.last_drill(&self.row.name).await?;
        let steps = match &drill {
            Some(drill) => store.steps(&drill.name).await?,
            None => Vec::new(),
        };
        let sizes = store.sizes(&self.row.name).await?;
        let proven = if drill.is_some() || self.spec.drill.enabled {
            let drilled = drill.as_ref().and_then(|drill| Fingerprint::of_drill(drill, self.spec, &steps));
            // Without a drill to hold it against, nobody need be asked for today's code.
            let today = match drilled {
                Some(_) => self.today(&sizes, commits).await?,
                None => Fingerprint::default(),
            };
            let limit = TimeDelta::from_std(self.spec.drill.max_age.duration()).unwrap_or(TimeDelta::MAX);
            Some(standing(drill.as_ref(), drilled.as_ref(), &today, self.compared(), limit, now))
        } else {
            None
        };
        // One that failed measured nothing, and does not undo what the ones before it have.
        let good = match drill.filter(|drill| drill.phase == Phase::Succeeded) {
            Some(drill) => Some((drill, steps)),
            None => match store.good_drills(&self.row.name, 1).await?.pop() {
                Some(drill) => Some((drill.clone(), store.steps(&drill.name).await?)),
                None => None,
            },
        };
        let predicted = match &good {
            Some((drill, steps)) => self.predict(drill, steps, &sizes).await?,
            None => None,
        };
        let prediction = stays(predicted, &self.row.status);
        self.keep(proven.as_ref(), prediction.as_ref(), now).await?;
        Ok(Outlook {
            plan: self.row.name.clone(),
            proven: proven.map(|standing| standing.proven == Some(true)),
            predicted_seconds: prediction.map(|prediction| prediction.seconds),
            drill_seconds: good.map(|(drill, steps)| report::times(&drill, &steps, now).total_seconds),
            objective_seconds: self.spec.objectives.rto.map(|rto| rto.duration().as_secs_f64()),
        })
    }

    async fn today(&self, sizes: &Sizes, commits: &mut Commits) -> Result<Fingerprint, StoreError> {
        let grounds = Grounds::now(self.tools, &self.row.name).await?.unwrap_or_default();
        let schema = sizes.schema_sha256.clone();
        let Outside { commits, kept } = self.outside(commits).await?;
        Ok(Fingerprint { grounds, code: commits, schema, kept })
    }

    /// As of today, as far as code host and platform tell; while a recovery is at work nobody is bothered.
    async fn outside(&self, known: &mut Commits) -> Result<Outside, StoreError> {
        let (now, generation) = (self.tools.clock.now(), self.row.generation);
        let known_now = known.get(&self.row.name).filter(|(_, of, _)| *of == generation);
        if let Some((_, _, outside)) = known_now.filter(|(at, ..)| *at <= now && now - *at < COMMITS) {
            return Ok(outside.clone());
        }
        if self.tools.store.recovery_at_work_beside(&self.row.name).await? {
            return Ok(known_now.map(|(_, _, outside)| outside.clone()).unwrap_or_default());
        }
        let mut commits = BTreeMap::new();
        for app in &self.spec.apps {
            match self.tools.revision_within(app, CODE_PATIENCE).await {
                Ok(commit) => drop(commits.insert(app.name.clone(), commit.as_str().to_owned())),
                Err(error) => {
                    tracing::debug!(app = app.name, error = %Chain(&error), "today's commit is not known");
                }
            }
        }
        let outside = Outside { commits, kept: self.tools.kept(self.spec).await };
        known.insert(self.row.name.clone(), (now, generation, outside.clone()));
        Ok(outside)
    }

    /// When all that the drill stands on was last seen to be the same.
    fn compared(&self) -> Option<DateTime<Utc>> {
        serde_json::from_value(self.row.status.get(COMPARED)?.clone()).ok()
    }

    /// By the way that the drill took, which was the plan's of that day.
    async fn predict(
        &self,
        drill: &RequestRow,
        steps: &[StepRow],
        sizes: &Sizes,
    ) -> Result<Option<Prediction>, StoreError> {
        let accepted =
            self.tools.store.accepted_plan(&drill.name).await?.filter(|spec| *spec != self.row.spec);
        let accepted = accepted.and_then(|spec| RecoveryPlanSpec::from_json(spec).ok());
        let spec = accepted.as_ref().unwrap_or(self.spec);
        let suffix = rehearsal::suffix(&drill.name, drill.created_at);
        let graph = Graph::compile(&rehearsal::rehearsed(spec, &suffix), &Cut::default()).rehearsed();
        let model = Model {
            graph: &graph,
            steps,
            filed_at: drill.created_at,
            growth: growth(steps, sizes),
            ttl: self.tools.clock.scaled(self.remembered()),
            thaw: if self.thaws(steps) { self.tools.clock.scaled(THAW) } else { Duration::ZERO },
        };
        Ok(model.predict())
    }

    /// For how long resolvers hold what the plan's names are now, as a preflight saw it. Before one has, what the plan makes of them.
    fn remembered(&self) -> Duration {
        let seen = self.row.status.get(NAMES_TTL).and_then(Value::as_u64);
        Duration::from_secs(seen.unwrap_or_else(|| self.spec.dns.ttl.into()))
    }

    /// Whether the documents that the drill chose lie in cold storage.
    fn thaws(&self, steps: &[StepRow]) -> bool {
        match Outputs::read(steps).find(&Step::ChooseObjects).ok().flatten() {
            Some(ChosenObjects::Archive { .. }) => {
                is_cold(self.spec.archive.as_ref().and_then(|archive| archive.storage_class.as_deref()))
            }
            Some(ChosenObjects::Mirror { .. }) => self.row.status[MIRROR_IS_COLD] == Value::Bool(true),
            Some(ChosenObjects::Artifact { .. }) | None => false,
        }
    }

    async fn keep(
        &self,
        proven: Option<&Standing>,
        prediction: Option<&Prediction>,
        now: DateTime<Utc>,
    ) -> Result<(), StoreError> {
        let store = &self.tools.store;
        let known: RecoveryPlanStatus = serde_json::from_value(self.row.status.clone()).unwrap_or_default();
        let mut conditions = known.conditions;
        if let Some(standing) = proven {
            let observation = Observation {
                kind: "Proven",
                holds: standing.proven,
                reason: standing.reason,
                message: standing.message.clone(),
                generation: Some(self.row.generation),
            };
            if conditions::observe(&mut conditions, observation, time_from_micros(now.timestamp_micros())) {
                let conditions = serde_json::to_value(&conditions).unwrap_or_default();
                store.record_plan_status(&self.row.name, "conditions", &conditions).await?;
            }
            let noted = self.compared().is_some_and(|at| at <= now && now - at < NOTED);
            if standing.compared && !noted {
                let at = serde_json::to_value(now).unwrap_or_default();
                store.record_plan_status(&self.row.name, COMPARED, &at).await?;
            }
        }
        let prediction = serde_json::to_value(prediction).unwrap_or_default();
        if self.row.status.get(PREDICTED).unwrap_or(&Value::Null) != &prediction {
            store.record_plan_status(&self.row.name, PREDICTED, &prediction).await?;
        }
        Ok(())
    }
}

/// A prediction stays where nothing can be predicted anew: that it vanished would end an alert.
fn stays(predicted: Option<Prediction>, status: &Value) -> Option<Prediction> {
    predicted.or_else(|| Prediction::deserialize(status.get(PREDICTED)?).ok())
}

/// Today's sizes over the drill's, of the same kind of copy. What is not known has not grown.
fn growth(steps: &[StepRow], sizes: &Sizes) -> Growth {
    let outputs = Outputs::read(steps);
    let backup: Option<ChosenBackup> = outputs.find(&Step::ChooseBackup).ok().flatten();
    let documents = match outputs.find(&Step::ChooseObjects).ok().flatten() {
        Some(ChosenObjects::Archive { bytes, .. }) => ratio(sizes.document_bytes, Some(bytes)),
        Some(ChosenObjects::Artifact { size_bytes, .. }) => ratio(sizes.artifact_bytes, Some(size_bytes)),
        // To know today's size of a mirror, all of it would have to be listed.
        Some(ChosenObjects::Mirror { .. }) | None => 1.0,
    };
    Growth { database: ratio(sizes.backup_bytes, backup.map(|backup| backup.size_bytes)), documents }
}

fn ratio(today: Option<i64>, then: Option<u64>) -> f64 {
    let today = today.and_then(|bytes| u32::try_from(bytes / KIB).ok()).map(f64::from);
    let then = then.and_then(|bytes| u32::try_from(bytes / KIB.unsigned_abs()).ok()).map(f64::from);
    match (today, then) {
        (Some(today), Some(then)) if then >= 1.0 => today / then,
        _ => 1.0,
    }
}

/// Sizes are compared in KiB: up to 4 TiB, and less than one of them takes no time.
const KIB: i64 = 1 << 10;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_known_has_not_grown() {
        let same = |today, then| (ratio(today, then) - 1.0).abs() < 1e-9;
        assert!(same(None, Some(5_000)) && same(Some(5_000), None) && same(Some(5_000), Some(10)));
        assert!((ratio(Some(30 << 20), Some(20 << 20)) - 1.5).abs() < 1e-9);
    }

    fn chose(output: &Value) -> StepRow {
        StepRow {
            output: Some(output.clone()),
            ..crate::store::a_done_step(&Step::ChooseObjects.to_string())
        }
    }

    #[test]
    fn documents_grow_as_the_kind_of_copy_does_that_the_drill_took() {
        let sizes =
            Sizes { document_bytes: Some(90 << 20), artifact_bytes: Some(30 << 20), ..Sizes::default() };
        let artifact = chose(&json!({
            "from": "artifact", "source": 0, "run": 1, "artifact": 2, "takenAt": "2026-11-01T00:00:00Z", "sizeBytes": 20 << 20,
            "sha256": "", "objects": 1, "bytes": 40 << 20, "refused": [],
        }));
        let mirror = chose(&json!({
            "from": "mirror", "source": 0, "takenAt": null, "objects": 1, "bytes": 10 << 20, "refused": [],
        }));
        assert!((growth(&[artifact], &sizes).documents - 1.5).abs() < 1e-9);
        assert!((growth(&[mirror], &sizes).documents - 1.0).abs() < 1e-9);
    }

    #[test]
    fn the_database_grows_as_its_newest_backup_has_since_the_drill_took_one() {
        let output = json!({
            "addon": "", "backup": "b", "name": "nightly", "takenAt": "2026-11-01T00:00:00Z", "sizeBytes": 20 << 20,
            "archiveSha256": "", "dumpSha256": "", "serverVersion": "16", "tables": 1, "rows": 1, "largeObjects": 0, "refused": [],
        });
        let chosen =
            StepRow { output: Some(output), ..crate::store::a_done_step(&Step::ChooseBackup.to_string()) };
        let today =
            |bytes| growth(std::slice::from_ref(&chosen), &Sizes { backup_bytes: bytes, ..Sizes::default() });
        assert!((today(Some(50 << 20)).database - 2.5).abs() < 1e-9);
        assert!((today(None).database - 1.0).abs() < 1e-9);
    }

    #[test]
    fn a_prediction_stays_where_there_is_no_new_one() {
        let old = Prediction { seconds: 7.0, ttl_seconds: 1.0, thaw_seconds: 0.0, longest_way: Vec::new() };
        let status = json!({ "prediction": old });
        let new = Prediction { seconds: 9.0, ..old.clone() };
        assert_eq!(stays(Some(new.clone()), &status), Some(new));
        assert_eq!(stays(None, &status), Some(old));
        assert_eq!(stays(None, &json!({ "prediction": null })), None);
    }
}
