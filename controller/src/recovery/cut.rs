//! A part of an estate: what a request with a scope brings back, and the apps that it finds there. No I/O.
//!
//! Like a drill it is the recovery of another plan: what an existing app stands for bears that app's name in it, so that most steps do not
//! know the difference.

use std::collections::{BTreeMap, BTreeSet};

use reprise_crds::plan::{AppSpec, Computed, Needs, Variable};
use reprise_crds::{Mode, Part, Problem, RecoveryPlanSpec, RecoveryRequestSpec, Scope};
use serde_json::Value;

use super::steps::of_database;

/// The variable in which the app that holds nothing but a new database keeps what its read-only user needs.
const READ_ONLY: &str = "REPRISE_READ_ONLY_URL";

/// The longest part of the name of such an app that comes from the plan: with what follows it is one that the platform takes.
const LONGEST: usize = 38;

/// What a request brings back, and the apps that are there already. By default everything, and none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cut {
    /// The parts.
    pub scope: Scope,
    /// The apps that are there already and stay: what each is called in the plan, by its name at the platform.
    pub standing: BTreeMap<String, String>,
    /// The app of ours that holds nothing but the new database, where no app is made to use it.
    pub holder: Option<String>,
    /// The app that is there and tells what leads to the parts that are not brought back, by the app that is made.
    pub givers: BTreeMap<String, String>,
}

impl Cut {
    /// The plan as this request runs it. `suffix`: six hexadecimal digits of its own. Errors: what of the request and the plan does not go
    /// together, all of it.
    pub fn of(
        plan: &RecoveryPlanSpec,
        request: &RecoveryRequestSpec,
        suffix: &str,
    ) -> Result<(RecoveryPlanSpec, Self), Vec<Problem>> {
        let scope = request.scope.clone();
        let about_apps = [Part::Database, Part::App, Part::Dns].iter().any(|part| scope.includes(*part));
        let mut cut = Self { scope, ..Self::default() };
        if cut.scope.is_whole() || !about_apps {
            return Ok((plan.clone(), cut));
        }
        if request.mode == Mode::Drill {
            return Ok(cut.apart(plan, suffix));
        }
        let problems = problems(plan, &cut.scope, &request.targets);
        if !problems.is_empty() {
            return Err(problems);
        }
        let mut plan = plan.clone();
        // What lives on is nobody's to hand over.
        plan.hand_over = None;
        let (mut made, mut standing) = (Vec::new(), Vec::new());
        for app in std::mem::take(&mut plan.apps) {
            match existing(&plan, &cut.scope, &request.targets, &app) {
                Existing::Named(name) => standing.push(cut.stands(app, &name)),
                // Its names lead to it already.
                Existing::Live(name) => {
                    standing.push(AppSpec { domains: Vec::new(), ..cut.stands(app, &name) });
                }
                Existing::Made => made.push(app),
                Existing::Left => {}
            }
        }
        if cut.scope.includes(Part::Database) && made.is_empty() {
            if request.targets.is_empty() {
                plan.source.region.clone_into(&mut plan.target.region);
            }
            let planned = cut.standing.get(&standing[0].name).cloned().unwrap_or_default();
            let start = planned[..planned.len().min(LONGEST)].trim_end_matches('-');
            made.push(cut.holds(&plan, &standing[0], format!("{start}-db-{suffix}")));
        }
        cut.are_given(&plan, &made, &standing);
        plan.apps = made.into_iter().chain(standing).collect();
        Ok((plan, cut))
    }

    /// A rehearsal of what can be made without anything that lives. `plan` is the rehearsed one.
    fn apart(mut self, plan: &RecoveryPlanSpec, suffix: &str) -> (RecoveryPlanSpec, Self) {
        let mut plan = plan.clone();
        let first = plan.apps.swap_remove(0);
        let end = format!("-drill-{suffix}");
        let start = first.name.trim_end_matches(&end);
        let start = start[..start.len().min(LONGEST - "-drill".len())].trim_end_matches('-');
        let holder = self.holds(&plan, &first, format!("{start}-db{end}"));
        plan.apps = vec![holder];
        (plan, self)
    }

    /// Whether this app was there before the request, and stays.
    pub fn is_standing(&self, app: &str) -> bool {
        self.standing.contains_key(app)
    }

    /// The apps that are looked at before anything is made: those that stand, and those that tell what leads to what stays.
    pub fn looked_at(&self) -> BTreeSet<&str> {
        self.standing.keys().chain(self.givers.values()).map(String::as_str).collect()
    }

    /// The apps from which the names of `app` may be taken: the one that it replaces by the plan's word, and the one whose place it takes by
    /// the request's.
    pub fn taken_from<'a>(&'a self, app: &'a AppSpec) -> Vec<&'a str> {
        let planned = self.standing.get(&app.name).map(String::as_str).filter(|planned| *planned != app.name);
        app.replaces.as_deref().into_iter().chain(planned).collect()
    }

    /// Whether a computed value leads to a part that is not brought back: it is what the app that is there has.
    pub fn is_given(&self, computed: Computed) -> bool {
        match computed.needs() {
            Needs::Database | Needs::ReadOnlyUser => !self.scope.includes(Part::Database),
            Needs::Bucket => !self.scope.includes(Part::Bucket),
            Needs::Redis | Needs::App => false,
        }
    }

    /// The existing app of this name in the place of the plan's.
    fn stands(&mut self, mut app: AppSpec, name: &str) -> AppSpec {
        let planned = std::mem::replace(&mut app.name, name.to_owned());
        app.replaces.take_if(|replaced| replaced == name);
        self.standing.insert(name.to_owned(), planned);
        app
    }

    /// An app of ours for the database alone. What the platform calls the variables of a second database of one app, and what becomes of those
    /// of the first, is not documented: an app that lives on is given none.
    fn holds(&mut self, plan: &RecoveryPlanSpec, first: &AppSpec, name: String) -> AppSpec {
        self.holder = Some(name.clone());
        let reader = || Variable { computed: Some(Computed::ReadOnlyUrl), ..Variable::default() };
        AppSpec {
            name,
            replaces: None,
            domains: Vec::new(),
            variables: plan.target.read_only_user.iter().map(|_| (READ_ONLY.to_owned(), reader())).collect(),
            unset: plan.variables.values.keys().cloned().collect(),
            ..first.clone()
        }
    }

    fn are_given(&mut self, plan: &RecoveryPlanSpec, made: &[AppSpec], standing: &[AppSpec]) {
        let whole = self.scope.includes(Part::Database) && self.scope.includes(Part::Bucket);
        if !self.scope.includes(Part::App) || whole {
            return;
        }
        for app in made {
            let stands = standing.first().map(|app| app.name.as_str());
            let giver = stands.or(app.replaces.as_deref()).unwrap_or(&plan.source.app);
            self.givers.insert(app.name.clone(), giver.to_owned());
        }
    }
}

/// What becomes of an app of the plan.
enum Existing {
    /// The request names the app that stands for it.
    Named(String),
    /// The app that it would replace stands for itself.
    Live(String),
    /// It is made anew.
    Made,
    /// It is none of this request's business.
    Left,
}

fn existing(
    plan: &RecoveryPlanSpec,
    scope: &Scope,
    targets: &BTreeMap<String, String>,
    app: &AppSpec,
) -> Existing {
    match targets.get(&app.name) {
        Some(name) => Existing::Named(name.clone()),
        None if scope.includes(Part::App) => Existing::Made,
        None if scope.includes(Part::Database) => {
            Existing::Live(app.replaces.clone().unwrap_or_else(|| plan.source.app.clone()))
        }
        None => Existing::Left,
    }
}

fn problems(plan: &RecoveryPlanSpec, scope: &Scope, targets: &BTreeMap<String, String>) -> Vec<Problem> {
    let known: BTreeSet<&str> = plan.apps.iter().map(|app| app.name.as_str()).collect();
    let names = known.iter().copied().collect::<Vec<_>>().join(", ");
    let unknown = |name: &String| {
        let problem = Problem::new(format!("spec.targets.{name}"), "is no app of the plan");
        problem.hint(format!("the plan's apps are {names}"))
    };
    let mut problems: Vec<Problem> =
        targets.keys().filter(|name| !known.contains(name.as_str())).map(unknown).collect();
    let all =
        |problem: Problem| problem.hint(format!("the plan's apps are {names}: `--target APP=EXISTING`"));
    if scope.includes(Part::App) && plan.apps.iter().all(|app| targets.contains_key(&app.name)) {
        problems.push(all(Problem::new(
            "spec.targets",
            "names an existing app for every app of the plan: none is left to be made",
        )));
    }
    if scope.includes(Part::Dns) && !scope.includes(Part::App) && targets.is_empty() {
        problems.push(all(Problem::new("spec.targets", "is empty, and the scope dns needs existing apps")));
    }
    problems.extend(unled(plan, scope, targets));
    problems.extend(elsewhere(plan, scope, targets));
    problems.extend(doubled(plan, scope, targets));
    problems
}

/// A database that no app would be led to is of no use, and that would be told after the restore.
fn unled(plan: &RecoveryPlanSpec, scope: &Scope, targets: &BTreeMap<String, String>) -> Option<Problem> {
    let uses = |app: &AppSpec| {
        matches!(existing(plan, scope, targets, app), Existing::Made) || !of_database(plan, app).is_empty()
    };
    if !scope.includes(Part::Database) || plan.apps.iter().any(uses) {
        return None;
    }
    let told = "no app of the plan has a variable that leads to the database by the plan's word";
    Some(Problem::new("spec.scope", told).hint("say which does, with `computed: database.url` or the like"))
}

/// The database of an app is reached within its region alone.
fn elsewhere(plan: &RecoveryPlanSpec, scope: &Scope, targets: &BTreeMap<String, String>) -> Option<Problem> {
    let (from, to) = (&plan.source.region, &plan.target.region);
    let live = plan.apps.iter().any(|app| matches!(existing(plan, scope, targets, app), Existing::Live(_)));
    let given = scope.includes(Part::App)
        && !(scope.includes(Part::Database) && scope.includes(Part::Bucket))
        && targets.is_empty();
    let mixed = (live && !targets.is_empty()) || given;
    (mixed && from != to).then(|| {
        let told = format!("what is not brought back is in {from}, and the plan's target in {to}");
        Problem::new("spec.targets", told)
            .hint(format!("name apps in {to} for all that are there: `--target APP=EXISTING`"))
    })
}

/// One app cannot stand for two.
fn doubled(plan: &RecoveryPlanSpec, scope: &Scope, targets: &BTreeMap<String, String>) -> Option<Problem> {
    let mut taken = BTreeSet::new();
    let twice = plan.apps.iter().find(|app| match existing(plan, scope, targets, app) {
        Existing::Named(name) | Existing::Live(name) => !taken.insert(name),
        Existing::Made | Existing::Left => false,
    })?;
    let told = format!("which existing app {} is cannot be told from the plan", twice.name);
    Some(Problem::new("spec.targets", told).hint(format!("name it: `--target {}=EXISTING`", twice.name)))
}

/// The scope of a stored request; one that cannot be read is refused, and takes nothing.
fn scope(spec: &Value) -> Scope {
    let scope = spec.get("scope").and_then(|scope| serde_json::from_value(scope.clone()).ok());
    scope.unwrap_or_default()
}

/// Whether a stored request is about a whole estate.
pub fn is_whole(spec: &Value) -> bool {
    scope(spec).is_whole()
}

/// Whether a stored request is about this part of an estate, too.
pub fn includes(spec: &Value, part: Part) -> bool {
    scope(spec).includes(part)
}

/// What a stored request is about, in words: `all`, or its parts and the existing apps.
pub fn told(spec: &Value) -> String {
    let parts: Vec<&str> = scope(spec).parts().map(Part::as_str).collect();
    let targets = spec.get("targets").and_then(Value::as_object);
    let targets: Vec<String> = targets
        .into_iter()
        .flatten()
        .map(|(planned, existing)| format!("{planned}={}", existing.as_str().unwrap_or_default()))
        .collect();
    let parts = parts.join(", ");
    if targets.is_empty() { parts } else { format!("{parts} ({})", targets.join(", ")) }
}

#[cfg(test)]
mod tests;
