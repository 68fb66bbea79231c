//! The steps as a graph: compiled from plan and scope, without I/O. Milestones are its cuts.

use std::collections::{BTreeMap, BTreeSet};

use reprise_crds::plan::{AppSpec, Policy};
use reprise_crds::{Milestone, Part, RecoveryPlanSpec};

use super::cut::Cut;
use super::step::{Site, Step};
use super::steps::of_database;

/// Every step in scope with the steps that it needs first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Graph {
    needs: BTreeMap<Step, BTreeSet<Step>>,
}

impl Graph {
    /// Compiles the plan, as its cut has it. A step that the cut leaves out is also left out of what others need.
    pub fn compile(plan: &RecoveryPlanSpec, cut: &Cut) -> Self {
        let mut needs = BTreeMap::new();
        let mut add = |step: Step, after: &[Step]| {
            needs.insert(step, after.iter().cloned().collect::<BTreeSet<_>>());
        };
        estate(plan, &mut add);
        let mut before = None;
        for app in &plan.apps {
            if cut.is_standing(&app.name) {
                standing_steps(plan, app, cut, &mut add);
            } else if cut.holder.as_ref() == Some(&app.name) {
                add(Step::App(app.name.clone()), &[Step::Project]);
            } else {
                app_steps(plan, &app.name, before.replace(app.name.as_str()), &mut add);
            }
            for domain in &app.domains {
                site_steps(
                    &Site { app: app.name.clone(), domain: domain.clone() },
                    has_documents(plan),
                    &mut add,
                );
            }
        }
        for app in cut.looked_at() {
            add(Step::Target(app.to_owned()), &[]);
        }
        let last: Vec<Step> = needs.keys().cloned().collect();
        needs.insert(Step::Cleanup, last.into_iter().collect());
        Self { needs }.within(cut).after_targets()
    }

    /// The same for a drill: what there is is written down before anything is made.
    #[must_use]
    pub fn rehearsed(mut self) -> Self {
        for (step, needs) in &mut self.needs {
            if matches!(step, Step::Project | Step::SshKey | Step::Bucket | Step::Cleanup) {
                needs.insert(Step::Inventory);
            }
        }
        self.needs.insert(Step::Inventory, BTreeSet::new());
        self
    }

    /// The steps, in their order of milestones.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.needs.keys()
    }

    /// What `step` needs first.
    pub fn needs(&self, step: &Step) -> impl Iterator<Item = &Step> {
        self.needs.get(step).into_iter().flatten()
    }

    /// The longest prefix of milestones all of whose steps are `done`. One without steps holds vacuously.
    pub fn reached(&self, done: impl Fn(&Step) -> bool) -> Milestone {
        let open = self.needs.keys().filter(|step| !done(step)).map(Step::milestone).min();
        let reached =
            Milestone::ALL.iter().take_while(|milestone| open.is_none_or(|open| **milestone < open));
        reached.last().copied().unwrap_or_default()
    }

    /// Nothing is made or changed before every app that the request names was looked at.
    fn after_targets(mut self) -> Self {
        let targets: BTreeSet<Step> =
            self.needs.keys().filter(|step| matches!(step, Step::Target(_))).cloned().collect();
        for (step, needs) in &mut self.needs {
            // What needs another step that does something comes after them with that one.
            if !step.makes_nothing() && *step != Step::Cleanup && needs.iter().all(Step::makes_nothing) {
                needs.extend(targets.iter().cloned());
            }
        }
        self
    }

    fn within(mut self, cut: &Cut) -> Self {
        self.needs.retain(|step, _| is_kept(step, cut));
        let kept: BTreeSet<Step> = self.needs.keys().cloned().collect();
        self.needs.values_mut().for_each(|needs| needs.retain(|need| kept.contains(need)));
        self
    }
}

fn is_kept(step: &Step, cut: &Cut) -> bool {
    if cut.scope.is_whole() {
        return true;
    }
    match step {
        Step::Cleanup | Step::Target(_) => true,
        // A look, whatever the scope: no name is led to an app that does not answer.
        Step::Health(app) if cut.is_standing(app) => true,
        Step::App(app) if cut.holder.as_ref() == Some(app) => true,
        Step::Project => cut.holder.is_some() || cut.scope.includes(Part::App),
        Step::SshKey => cut.scope.includes(Part::Database) || cut.scope.includes(Part::App),
        _ => cut.scope.includes(part(step)),
    }
}

/// The part of the estate to which a step belongs.
fn part(step: &Step) -> Part {
    match step {
        Step::ChooseBackup
        | Step::Postgres
        | Step::ReadOnlyUser
        | Step::Restore
        | Step::CheckDatabase
        | Step::Switch(_) => Part::Database,
        Step::ChooseObjects | Step::Bucket | Step::Refill => Part::Bucket,
        Step::Project
        | Step::SshKey
        | Step::Target(_)
        | Step::App(_)
        | Step::Collaborators(_)
        | Step::Redis(_)
        | Step::Variables(_)
        | Step::Deploy(_)
        | Step::Formation(_)
        | Step::Health(_) => Part::App,
        Step::Domain(_)
        | Step::Cname(_)
        | Step::Authoritative(_)
        | Step::Resolver(_)
        | Step::Certificate(_)
        | Step::ForceHttps(_)
        | Step::Probe(_) => Part::Dns,
        Step::Inventory | Step::Cleanup | Step::HandOver | Step::TearDown => Part::All,
    }
}

/// The steps that are not about one app. Nothing is created before both sources are chosen: a request whose backups are all bad must leave nothing behind.
fn estate(plan: &RecoveryPlanSpec, add: &mut impl FnMut(Step, &[Step])) {
    let first = Step::App(plan.apps[0].name.clone());
    let mut chosen = vec![Step::ChooseBackup];
    add(Step::ChooseBackup, &[]);
    if has_documents(plan) {
        // Where rows name objects, the run is chosen that suits the backup.
        let first = if plan.object_keys.is_empty() { &[][..] } else { &[Step::ChooseBackup][..] };
        add(Step::ChooseObjects, first);
        chosen.push(Step::ChooseObjects);
    }
    add(Step::Project, &chosen);
    add(Step::SshKey, &chosen);
    add(Step::Postgres, &[first]);
    let mut restored = vec![Step::Postgres, Step::SshKey, Step::ChooseBackup];
    // A resumed request looks at the addon anew, and restores anew where it is another one.
    let mut checked = vec![Step::Postgres, Step::Restore];
    if plan.target.read_only_user.is_some() {
        let apps = plan.apps.iter().map(|app| Step::App(app.name.clone()));
        add(Step::ReadOnlyUser, &apps.chain([Step::Postgres]).collect::<Vec<_>>());
        restored.push(Step::ReadOnlyUser);
        // One that came into the plan after the restore is given its rights as well.
        checked.push(Step::ReadOnlyUser);
    }
    add(Step::Restore, &restored);
    add(Step::CheckDatabase, &checked);
    if plan.target.bucket.is_some() {
        add(Step::Bucket, &chosen);
    }
    if has_documents(plan) {
        add(Step::Refill, &[Step::Bucket, Step::ChooseObjects]);
    }
}

fn has_documents(plan: &RecoveryPlanSpec) -> bool {
    plan.target.bucket.is_some() && !plan.source.objects.is_empty()
}

/// Some secret is made by the recovery and is the same for all apps: it is known to the first app alone.
fn shares_secrets(plan: &RecoveryPlanSpec) -> bool {
    let variables = &plan.variables;
    let made =
        |name: &String| variables.values.get(name).is_some_and(|one| one.policy == Some(Policy::Regenerate));
    variables.shared.iter().any(made)
}

/// The steps of one app. Deployments follow each other: both fronts run their migrations on the one database.
fn app_steps(plan: &RecoveryPlanSpec, app: &str, before: Option<&str>, add: &mut impl FnMut(Step, &[Step])) {
    let app = || app.to_owned();
    add(Step::App(app()), &[Step::Project]);
    add(Step::Collaborators(app()), &[Step::App(app())]);
    let mut configured = vec![Step::App(app()), Step::Postgres];
    configured.extend(plan.target.bucket.is_some().then_some(Step::Bucket));
    if plan.target.redis.is_some() {
        add(Step::Redis(app()), &[Step::App(app())]);
        configured.push(Step::Redis(app()));
    }
    if plan.target.read_only_user.is_some() {
        configured.push(Step::ReadOnlyUser);
    }
    if before.is_some() && shares_secrets(plan) {
        configured.push(Step::Variables(plan.apps[0].name.clone()));
    }
    add(Step::Variables(app()), &configured);
    let mut ready = vec![Step::Variables(app()), Step::CheckDatabase, Step::SshKey];
    ready.extend(before.map(|before| Step::Deploy(before.to_owned())));
    add(Step::Deploy(app()), &ready);
    add(Step::Formation(app()), &[Step::Deploy(app())]);
    add(Step::Health(app()), &[Step::Formation(app())]);
    add(Step::ForceHttps(app()), &[Step::Health(app())]);
}

/// The steps of an app that is there already. It is led to a new database only once that was checked.
fn standing_steps(plan: &RecoveryPlanSpec, spec: &AppSpec, cut: &Cut, add: &mut impl FnMut(Step, &[Step])) {
    let app = || spec.name.clone();
    let switched = cut.scope.includes(Part::Database) && !of_database(plan, spec).is_empty();
    let named = cut.scope.includes(Part::Dns) && !spec.domains.is_empty();
    if switched {
        let mut checked = vec![Step::Target(app()), Step::Postgres, Step::CheckDatabase];
        checked.extend(plan.target.read_only_user.is_some().then_some(Step::ReadOnlyUser));
        add(Step::Switch(app()), &checked);
    }
    if switched || named {
        add(Step::Health(app()), &[if switched { Step::Switch(app()) } else { Step::Target(app()) }]);
    }
    if named {
        add(Step::ForceHttps(app()), &[Step::Health(app())]);
    }
}

/// The steps of one domain. The name is switched only when the app behind it is healthy and its documents are back.
fn site_steps(site: &Site, documents: bool, add: &mut impl FnMut(Step, &[Step])) {
    let app = site.app.clone();
    let site = || site.clone();
    let mut behind = vec![Step::Health(app.clone())];
    behind.extend(documents.then_some(Step::Refill));
    add(Step::Domain(site()), &behind);
    add(Step::Cname(site()), &[Step::Domain(site())]);
    add(Step::Authoritative(site()), &[Step::Cname(site())]);
    add(Step::Resolver(site()), &[Step::Authoritative(site())]);
    add(Step::Certificate(site()), &[Step::Authoritative(site())]);
    add(Step::Probe(site()), &[Step::Resolver(site()), Step::Certificate(site()), Step::ForceHttps(app)]);
}

#[cfg(test)]
mod tests;
