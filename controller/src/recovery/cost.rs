//! What a drill may cost at most: everything that it makes, for as long as it may stand. No I/O.
//!
//! The platform tells the prices of addon plans, in euros. It documents none of containers, so the plan names those; what the
//! plan names wins. What has no price is not taken for free.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use reprise_crds::RecoveryPlanSpec;
use reprise_crds::plan::{ContainerSize, Containers};

/// The platform starts one of this size where a formation names no `web`.
const WEB: &str = "web";
const ONE: Containers = Containers { amount: 1, size: ContainerSize::M };
const MONTH: Duration = Duration::from_hours(30 * 24);

/// Something that is billed.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Billed {
    /// The container size or the addon plan.
    pub(super) what: String,
    /// How many.
    pub(super) amount: u32,
    /// What 30 days of one cost, in euros, if that is known.
    pub(super) monthly: Option<f64>,
}

/// An estimate from above.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Estimate {
    /// What is billed.
    pub(super) billed: Vec<Billed>,
    /// For how long at most.
    pub(super) lives: Duration,
}

impl Estimate {
    /// For `plan`, which is a drill's own, with the prices of addon plans that the platform `told`.
    pub(super) fn of(plan: &RecoveryPlanSpec, told: &BTreeMap<String, f64>) -> Self {
        let mut amounts: BTreeMap<&str, u32> = BTreeMap::new();
        let mut add = |what, amount| *amounts.entry(what).or_default() += amount;
        add(plan.target.postgresql.plan.as_str(), 1);
        for app in &plan.apps {
            if let Some(redis) = &plan.target.redis {
                add(redis.plan.as_str(), 1);
            }
            let mut formation = app.formation(plan);
            formation.entry(WEB.to_owned()).or_insert(ONE);
            for containers in formation.values().filter(|containers| containers.amount > 0) {
                add(containers.size.as_str(), containers.amount);
            }
        }
        let price = |what: &str| {
            let named = plan.drill.monthly_cents.get(what).map(|cents| f64::from(*cents) / 100.0);
            named.or_else(|| told.get(what).copied())
        };
        let billed = amounts.into_iter().map(|(what, amount)| Billed {
            what: what.to_owned(),
            amount,
            monthly: price(what),
        });
        Self { billed: billed.collect(), lives: plan.drill.time_to_live.duration() }
    }

    /// What it comes to, in euros; `None` where a price is not known.
    pub(super) fn euros(&self) -> Option<f64> {
        let share = self.lives.as_secs_f64() / MONTH.as_secs_f64();
        self.billed.iter().map(|one| Some(one.monthly? * f64::from(one.amount) * share)).sum()
    }

    /// Why the drill must not begin, given the most that it may cost.
    pub(super) fn forbids(&self, ceiling_cents: Option<u32>) -> Option<String> {
        let ceiling = f64::from(ceiling_cents?) / 100.0;
        match self.euros() {
            Some(euros) if euros <= ceiling => None,
            Some(_) => Some(format!("{self}: more than the plan allows a drill ({ceiling:.2} euros)")),
            None => Some(format!("{self}, and the plan allows a drill {ceiling:.2} euros")),
        }
    }

    fn unpriced(&self) -> Vec<&str> {
        let unpriced = self.billed.iter().filter(|one| one.monthly.is_none());
        unpriced.map(|one| one.what.as_str()).collect()
    }
}

impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(euros) = self.euros() else {
            return write!(f, "what it may cost is not known: no price of {}", self.unpriced().join(", "));
        };
        let lives = humantime::format_duration(self.lives);
        let billed: Vec<String> =
            self.billed.iter().map(|one| format!("{} x {}", one.amount, one.what)).collect();
        write!(f, "it may cost {euros:.2} euros at most ({} for {lives})", billed.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use reprise_crds::RecoveryPlan;

    use super::*;
    use crate::recovery::rehearsal::rehearsed;

    /// The example's drill, with these prices of its plan's own.
    fn drill(monthly_cents: &[(&str, u32)]) -> RecoveryPlanSpec {
        let text = include_str!("../../../deploy/examples/apilos.yaml");
        let mut plan = RecoveryPlan::parse_yaml(text).expect("the example is valid").spec;
        plan.drill.monthly_cents =
            monthly_cents.iter().map(|(what, cents)| ((*what).to_owned(), *cents)).collect();
        plan.drill.time_to_live = "3d".parse().expect("a period");
        rehearsed(&plan, "0a1b2c")
    }

    fn told() -> BTreeMap<String, f64> {
        let plan = drill(&[]);
        let redis = plan.target.redis.expect("the example has one").plan;
        BTreeMap::from([(plan.target.postgresql.plan, 20.0), (redis, 5.0)])
    }

    #[test]
    fn all_that_a_drill_makes_counts_for_all_of_its_life() {
        let estimate = Estimate::of(&drill(&[("M", 1_000), ("L", 1_000), ("S", 1_000)]), &told());
        let containers: u32 =
            estimate.billed.iter().filter(|one| one.monthly == Some(10.0)).map(|one| one.amount).sum();
        assert!(containers >= 2, "a web of each app: {estimate:?}");
        // A tenth of a month: one database, two Redis, and the containers.
        let expected = (20.0 + 2.0 * 5.0 + f64::from(containers) * 10.0) / 10.0;
        let euros = estimate.euros().expect("every price is known");
        assert!((euros - expected).abs() < 1e-6, "{estimate}");
    }

    #[test]
    fn what_the_plan_names_wins_over_what_the_platform_tells() {
        let plan = drill(&[]).target.postgresql.plan;
        let prices = [("M", 0), ("L", 0), ("S", 0), (plan.as_str(), 30_000)];
        let euros = Estimate::of(&drill(&prices), &told()).euros().expect("every price is known");
        assert!((euros - 31.0).abs() < 1e-6, "{euros}");
    }

    #[test]
    fn a_drill_that_may_cost_more_or_has_no_price_is_forbidden_where_there_is_a_ceiling() {
        let known = Estimate::of(&drill(&[("M", 1_000), ("L", 1_000), ("S", 1_000)]), &told());
        assert_eq!(known.forbids(None), None);
        assert_eq!(known.forbids(Some(100_000)), None);
        let told_why = known.forbids(Some(10)).expect("it costs more");
        assert!(told_why.contains("more than the plan allows a drill (0.10 euros)"), "{told_why}");

        let unknown = Estimate::of(&drill(&[]), &told());
        assert_eq!((unknown.euros(), unknown.forbids(None)), (None, None));
        let told_why = unknown.forbids(Some(100_000)).expect("it is not known");
        assert!(told_why.starts_with("what it may cost is not known: no price of "), "{told_why}");
    }
}
