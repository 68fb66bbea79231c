//! The variables of an app that hold what only a recovery knows, and those of them that lead to parts that are not brought back: an app that
//! is there has them. No I/O.

use std::collections::BTreeMap;

use reprise_crds::RecoveryPlanSpec;
use reprise_crds::plan::{AppSpec, Computed, Needs};
use secrecy::{ExposeSecret as _, SecretString};

use crate::providers::scalingo::variables::Variable;
use crate::recovery::cut::Cut;

/// The variables of `app` that the plan has computed.
pub(in crate::recovery) fn computed(plan: &RecoveryPlanSpec, app: &AppSpec) -> BTreeMap<String, Computed> {
    let all = plan.variables.values.iter().filter(|(name, _)| !app.variables.contains_key(*name));
    let own = all.chain(&app.variables).filter(|(name, _)| !app.unset.contains(name));
    own.filter_map(|(name, variable)| Some((name.clone(), variable.computed?))).collect()
}

/// Those of them that lead to the database.
pub(in crate::recovery) fn of_database(plan: &RecoveryPlanSpec, app: &AppSpec) -> BTreeMap<String, Computed> {
    let mut computed = computed(plan, app);
    computed.retain(|_, computed| matches!(computed.needs(), Needs::Database | Needs::ReadOnlyUser));
    computed
}

/// What the app that gives has of what `app` lacks, by the names of `app`; and the names for which it has nothing. `there`: its variables as
/// it sees them.
pub(super) fn given(
    plan: &RecoveryPlanSpec,
    cut: &Cut,
    app: &AppSpec,
    there: &[Variable],
) -> (BTreeMap<String, SecretString>, Vec<String>) {
    let giver = cut.givers.get(&app.name).and_then(|giver| plan.app(giver));
    // One that is replaced had what its successor has.
    let theirs = computed(plan, giver.unwrap_or(app));
    let value = |name: &str| {
        let found = there.iter().find(|variable| variable.name == name)?;
        (!found.value.expose_secret().trim().is_empty()).then(|| found.value.clone())
    };
    let (mut values, mut missing) = (BTreeMap::new(), Vec::new());
    for (name, wanted) in computed(plan, app).into_iter().filter(|(_, computed)| cut.is_given(*computed)) {
        let same = theirs.iter().filter(|(_, computed)| **computed == wanted).map(|(name, _)| name);
        let same =
            theirs.get(&name).filter(|computed| **computed == wanted).map(|_| &name).into_iter().chain(same);
        match same.into_iter().find_map(|name| value(name)) {
            Some(value) => drop(values.insert(name, value)),
            None => missing.push(name),
        }
    }
    (values, missing)
}

#[cfg(test)]
mod tests {
    use reprise_crds::Scope;
    use reprise_crds::plan::Variable as Spec;

    use super::*;
    use crate::recovery::steps::bench::example;
    use reprise_crds::Part;

    fn variable(name: &str, value: &str) -> Variable {
        Variable { id: name.to_owned(), name: name.to_owned(), value: value.to_owned().into() }
    }

    #[test]
    fn what_leads_to_what_stays_is_what_the_app_that_is_there_has_whatever_it_calls_it() {
        let mut plan = example();
        let (lost, there) = (plan.apps[1].name.clone(), plan.apps[0].name.clone());
        // The app that is there calls it otherwise.
        plan.apps[0].unset.push("DB_HOST".to_owned());
        let host = Spec { computed: Some(Computed::DatabaseHost), ..Spec::default() };
        plan.apps[0].variables.insert("PGHOST".to_owned(), host);
        let cut = Cut {
            scope: Scope::of([Part::App, Part::Bucket]),
            givers: BTreeMap::from([(lost, there)]),
            ..Cut::default()
        };
        let told = [
            variable("PGHOST", "db.test"),
            variable("DATABASE_URL", "postgres://u:p@db.test:1/d"),
            variable("DB_PORT", " "),
            variable("AWS_STORAGE_BUCKET_NAME", "old"),
        ];
        let (values, missing) = given(&plan, &cut, &plan.apps[1], &told);
        assert_eq!(values["DB_HOST"].expose_secret(), "db.test");
        assert!(values.contains_key("DATABASE_URL") && !values.contains_key("AWS_STORAGE_BUCKET_NAME"));
        assert!(
            missing.contains(&"DB_PORT".to_owned()) && missing.contains(&"DB_READONLY".to_owned()),
            "{missing:?}"
        );
    }
}
