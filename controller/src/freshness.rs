//! Freshness: how old the newest proven thing of each kind is, held against the plan's limits.
//!
//! Everything is computed from what is on record, again and again; nothing is remembered. A daemon that was just started
//! says the same as one that has run for weeks.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use reprise_crds::RecoveryPlanSpec;
use tokio_util::sync::CancellationToken;

use crate::metrics::{Dated, What};
use crate::recovery::tools::Tools;
use crate::runtime::chain::Chain;
use crate::store::{PlanDates, StoreError};

/// Between two looks at the records. Real time, never scaled: they are between us and our own store.
const LOOK: Duration = Duration::from_secs(5);
/// An archive is read back week by week; after two weeks and a day without, somebody should look.
const VERIFIED: Duration = Duration::from_hours(15 * 24);

/// The limits of a plan.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    backup: Option<Duration>,
    archive: Option<Duration>,
    verification: Option<Duration>,
    dump_copy: Option<Duration>,
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
            verification: scheduled.map(|_| VERIFIED),
            // Without a recipient no copy is made, and none is missed.
            dump_copy: spec
                .archive
                .as_ref()
                .filter(|archive| !archive.recipients.is_empty())
                .map(|archive| archive.dumps.max_age.duration()),
            drill: spec.drill.enabled.then(|| spec.drill.max_age.duration()),
        }
    }
}

/// What a plan's dates are held against. Pure.
pub fn dated(dates: &PlanDates, limits: Limits) -> Vec<Dated> {
    let one = |what, at, limit| Dated {
        plan: dates.plan.clone(),
        what,
        at,
        limit,
        looked_at: None,
        suspicious: None,
        refused: None,
    };
    vec![
        Dated {
            looked_at: dates.listed_at,
            suspicious: Some(dates.suspicious),
            refused: dates.refused,
            ..one(What::Backup, dates.backup_at, limits.backup)
        },
        one(What::Archive, dates.archive_at, limits.archive),
        one(What::ArchiveVerification, dates.archive_verified_at, limits.verification),
        one(What::DumpCopy, dates.dump_copy_at, limits.dump_copy),
        one(What::Drill, dates.drill_at, limits.drill),
    ]
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
        // A plan that cannot be read asks for nothing; that it cannot is told elsewhere.
        let limits = RecoveryPlanSpec::from_json(dates.spec.clone()).map(|spec| Limits::of(&spec));
        let limits = limits.unwrap_or_default();
        self.0.insert(dates.plan.clone(), (dates.generation, limits));
        limits
    }
}
