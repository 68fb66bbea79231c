//! Freshness: how old the newest proven thing of each kind is, held against the plan's limits.
//!
//! Everything is computed from what is on record, again and again; nothing is remembered. A daemon that was just started
//! says the same as one that has run for weeks.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use reprise_crds::plan::{ARTIFACT_STALE, DrillSpec, DumpsSpec, ObjectivesSpec, ProofSpec};
use reprise_crds::{Period, RecoveryPlanSpec};
use serde::Deserialize as _;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::metrics::{Dated, What};
use crate::recovery::tools::Tools;
use crate::runtime::chain::Chain;
use crate::store::{PlanDates, StoreError};

/// Between two looks at the records. Real time, never scaled: they are between us and our own store.
const LOOK: Duration = Duration::from_secs(5);
/// An archive is read back week by week; after two weeks and a day without, somebody should look.
const VERIFIED: Duration = Duration::from_hours(15 * 24);
/// The age at which an archive is stale whose plan does not say, or cannot be read.
const ARCHIVED: Period = Period::seconds(8 * 24 * 3_600);

/// The limits of a plan.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    backup: Option<Duration>,
    archive: Option<Duration>,
    verified_archive: Option<Duration>,
    verification: Option<Duration>,
    dump_copy: Option<Duration>,
    artifact: Option<Duration>,
    drill: Option<Duration>,
}

impl Limits {
    /// What the plan asks for. What it does not ask for has no limit.
    pub fn of(spec: &RecoveryPlanSpec) -> Self {
        let backup = spec.proof.enabled.then(|| spec.proof.stale_after(&spec.objectives).duration());
        // An archive that is taken by hand alone is as old as somebody lets it be.
        let scheduled = spec.archive.as_ref().filter(|archive| archive.schedule.is_some());
        Self {
            backup,
            archive: scheduled.map(|archive| archive.max_age.duration()),
            verified_archive: scheduled.map(|archive| archive.max_age.duration().max(VERIFIED)),
            verification: scheduled.map(|_| VERIFIED),
            // Without a recipient no copy is made, and none is missed.
            dump_copy: spec
                .archive
                .as_ref()
                .filter(|archive| !archive.recipients.is_empty())
                .map(|archive| archive.dumps.max_age.duration()),
            // Only who names the old job's artifact misses it.
            artifact: spec
                .source
                .objects
                .iter()
                .filter_map(|one| Some(one.artifact.as_ref()?.max_age.duration()))
                .min(),
            drill: spec.drill.enabled.then(|| spec.drill.max_age.duration()),
        }
    }

    /// Of a plan that this release cannot read: what can be read of it, else what is usual. Nothing is archived or proven until
    /// somebody corrects it, so its alerts are what is left of it.
    fn of_unreadable(spec: &Value) -> Self {
        let enabled = |part: &str| spec[part]["enabled"] != Value::Bool(false);
        let age = |age: &Value, usual: Period| Period::deserialize(age).unwrap_or(usual).duration();
        let archive = &spec["archive"];
        let scheduled = !archive["schedule"].is_null();
        let copied = archive["recipients"].as_array().is_some_and(|all| !all.is_empty());
        let objectives = ObjectivesSpec {
            rpo: Period::deserialize(&spec["objectives"]["rpo"]).ok(),
            ..Default::default()
        };
        let stale = ProofSpec::default().stale_after(&objectives);
        let archived = scheduled.then(|| age(&archive["maxAge"], ARCHIVED));
        let sources = spec["source"]["objects"].as_array().into_iter().flatten();
        let artifacts = sources.map(|one| &one["artifact"]).filter(|artifact| artifact.is_object());
        Self {
            backup: enabled("proof").then(|| age(&spec["proof"]["maxAge"], stale)),
            archive: archived,
            verified_archive: archived.map(|limit| limit.max(VERIFIED)),
            verification: scheduled.then_some(VERIFIED),
            dump_copy: copied.then(|| age(&archive["dumps"]["maxAge"], DumpsSpec::default().max_age)),
            artifact: artifacts.map(|artifact| age(&artifact["maxAge"], ARTIFACT_STALE)).min(),
            drill: enabled("drill").then(|| age(&spec["drill"]["maxAge"], DrillSpec::default().max_age)),
        }
    }
}

/// What a plan's dates are held against. Pure.
pub fn dated(dates: &PlanDates, limits: Limits) -> Vec<Dated> {
    let one = |what, at, limit, looked_at| Dated {
        plan: dates.plan.clone(),
        what,
        at,
        limit,
        looked_at,
        suspicious: None,
        refused: None,
        rotten: None,
    };
    let verified = dates.archive_verified_at;
    let archives = dates.archived_at.max(read(dates.preflight_at.as_ref()).filter(|_| dates.archive_read));
    vec![
        Dated {
            suspicious: Some(dates.suspicious),
            refused: dates.refused,
            rotten: Some(dates.rotten),
            ..one(What::Backup, dates.backup_at, limits.backup, dates.listed_at)
        },
        one(What::Archive, dates.archive_at, limits.archive, archives),
        one(What::VerifiedArchive, dates.verified_archive_at, limits.verified_archive, verified),
        one(What::ArchiveVerification, verified, limits.verification, verified),
        one(What::DumpCopy, dates.dump_copy_at, limits.dump_copy, dates.dumps_looked_at),
        // Before anybody can have looked nothing is known of it, which is no reason to say that there is none; a look that fails for long is.
        one(
            What::Artifact,
            dates.artifact_at,
            limits.artifact.filter(|_| dates.artifacts_listed_at.is_some() || !dates.brand_new),
            dates.artifacts_listed_at,
        ),
        one(What::Drill, dates.drill_at, limits.drill, read(dates.compared_at.as_ref())),
    ]
}

/// A date of the plan's status; none, where another release wrote it otherwise.
fn read(date: Option<&String>) -> Option<DateTime<Utc>> {
    date?.parse().ok()
}

/// Keeps the metrics as old as the records say, until `stop` fires.
pub async fn watch(tools: Arc<Tools>, stop: CancellationToken) {
    let mut known = Known::default();
    loop {
        let looked = stop.run_until_cancelled(known.look(&tools)).await;
        match looked {
            None => return,
            Some(Ok(dates)) => tools.metrics.dates_are(dates, &tools.clock),
            // The dates stand, and grow older; after a while nothing is called fresh any more.
            Some(Err(error)) => tracing::warn!(error = %Chain(&error), "cannot look how fresh everything is"),
        }
        if stop.run_until_cancelled(tokio::time::sleep(LOOK)).await.is_none() {
            return;
        }
    }
}

/// The limits of each plan, at a generation of it: reading a plan costs more than all else here.
#[derive(Debug, Default)]
struct Known(HashMap<String, (i64, Limits)>);

impl Known {
    async fn look(&mut self, tools: &Tools) -> Result<Vec<Dated>, StoreError> {
        let all = tools.store.plan_dates().await?;
        self.0.retain(|name, _| all.iter().any(|dates| dates.plan == *name));
        Ok(all.iter().flat_map(|dates| dated(dates, self.limits(dates))).collect())
    }

    fn limits(&mut self, dates: &PlanDates) -> Limits {
        if let Some((generation, limits)) = self.0.get(&dates.plan)
            && *generation == dates.generation
        {
            return *limits;
        }
        let limits = match RecoveryPlanSpec::from_json(dates.spec.clone()) {
            Ok(spec) => Limits::of(&spec),
            Err(_) => Limits::of_unreadable(&dates.spec),
        };
        self.0.insert(dates.plan.clone(), (dates.generation, limits));
        limits
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_plan_that_cannot_be_read_keeps_its_limits() {
        let hours = |hours| Some(Duration::from_hours(hours));
        let spec = json!({
            "source": { "objects": [{ "artifact": { "maxAge": "3d" } }, { "artifact": {} }, { "mirror": 7 }] },
            "proof": { "maxAge": "3h" }, "drill": { "enabled": false, "invented": 1 }, "apps": 7,
            "archive": { "maxAge": "2d", "schedule": {"cron": "0 4 * * *"}, "recipients": ["age1"], "dumps": 7 },
        });
        assert!(RecoveryPlanSpec::from_json(spec.clone()).is_err());
        let limits = Limits::of_unreadable(&spec);
        assert_eq!((limits.backup, limits.archive, limits.dump_copy), (hours(3), hours(48), hours(26)));
        assert_eq!((limits.verification, limits.drill), (Some(VERIFIED), None));
        assert_eq!((limits.verified_archive, limits.artifact), (Some(VERIFIED), hours(72)));
        let usual = Limits::of_unreadable(&json!({}));
        let (nothing, drilled) = ((usual.archive, usual.verification, usual.dump_copy), hours(9 * 24));
        assert_eq!((usual.backup, usual.drill, nothing), (hours(26), drilled, (None, None, None)));
        assert_eq!((usual.verified_archive, usual.artifact), (None, None));
    }

    fn at(day: i64) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp(day * 86_400, 0)
    }

    fn dates() -> PlanDates {
        PlanDates {
            plan: "shop".into(),
            spec: json!({}),
            generation: 1,
            backup_at: None,
            listed_at: at(1),
            suspicious: false,
            refused: None,
            rotten: 0,
            archive_at: None,
            archived_at: at(2),
            verified_archive_at: None,
            archive_verified_at: at(3),
            dump_copy_at: None,
            dumps_looked_at: at(4),
            artifact_at: None,
            artifacts_listed_at: at(5),
            brand_new: false,
            drill_at: None,
            compared_at: Some("1970-01-07T00:00:00Z".into()),
            preflight_at: Some("1970-01-08T00:00:00Z".into()),
            archive_read: true,
        }
    }

    #[test]
    fn an_artifact_that_nobody_manages_to_look_for_is_not_fresh() {
        let limits = Limits { artifact: Some(VERIFIED), ..Limits::default() };
        let limit = |dates: &PlanDates| {
            let found = dated(dates, limits).into_iter().find(|one| one.what == What::Artifact);
            found.expect("each kind is told").limit
        };
        let never = PlanDates { artifacts_listed_at: None, ..dates() };
        assert_eq!(limit(&PlanDates { brand_new: true, ..never.clone() }), None, "nobody can have looked");
        assert_eq!(limit(&never), Some(VERIFIED));
        assert_eq!(limit(&PlanDates { brand_new: true, ..dates() }), Some(VERIFIED), "somebody has looked");
    }

    #[test]
    fn each_kind_tells_when_it_was_last_looked_at() {
        let dates = dates();
        let looked = |dates: &PlanDates| -> Vec<_> {
            dated(dates, Limits::default()).into_iter().map(|one| (one.what.label(), one.looked_at)).collect()
        };
        let expected = [
            ("backup", at(1)),
            ("archive", at(7)),
            ("verified-archive", at(3)),
            ("archive-verification", at(3)),
            ("dump-copy", at(4)),
            ("artifact", at(5)),
            ("drill", at(6)),
        ];
        assert_eq!(looked(&dates), expected);
        let odd = PlanDates { compared_at: Some("long ago".into()), archive_read: false, ..dates };
        assert_eq!((looked(&odd)[1].1, looked(&odd)[6].1), (at(2), None));
    }
}
