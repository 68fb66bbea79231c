//! An existing app that the request names. It is looked at before anything is changed, and never made, marked or deleted.

use std::collections::{BTreeMap, BTreeSet};

use reprise_crds::plan::{AppSpec, Computed};
use reprise_crds::{Part, RecoveryPlanSpec};
use secrecy::ExposeSecret as _;

use super::app::default_host;
use super::given::{computed, given, of_database};
use super::switch::overlooked;
use super::{Ctx, Result, Run, StepError};
use crate::providers::scalingo::apps::{App, AppStatus};
use crate::providers::scalingo::deployments::Deployment;
use crate::providers::scalingo::variables::{Aliases, Variable};
use crate::recovery::drive::{Next, Pace, drive};
use crate::recovery::outputs::MadeApp;

/// What is known of the app.
#[derive(Debug, Default)]
struct Seen {
    app: Option<App>,
    variables: Vec<Variable>,
    deployment: Option<Deployment>,
    /// What it is to give to apps that are made, and has not, by names.
    not_given: Vec<String>,
    /// Another request that is at work with it.
    other: Option<String>,
}

/// What it has to be.
struct Wanted<'a> {
    name: &'a str,
    region: &'a str,
    /// The account that we act as.
    me: &'a str,
    /// Whether it stays in use, and does not only tell.
    stands: bool,
    /// As the plan has it, where its names are to be led to it.
    named: Option<(&'a AppSpec, Vec<String>)>,
    /// The variables that lead to its database, where it is to be led to a new one.
    database: BTreeMap<String, Computed>,
}

pub(super) async fn run(ctx: &Ctx, name: &str) -> Result<MadeApp> {
    let app = usable(ctx, name).await?;
    Ok(MadeApp {
        default_host: default_host(&app, &ctx.run.plan.target.region),
        git_url: app.git_url.unwrap_or_default(),
        id: app.id,
    })
}

/// The app once it is as it has to be and idle. It is looked at again right before it is changed: a restore takes hours.
pub(super) async fn usable(ctx: &Ctx, name: &str) -> Result<App> {
    let (plan, cut) = (&ctx.run.plan, &ctx.run.cut);
    let me = ctx.tools.account(&ctx.run).await?;
    let named = plan.app(name).filter(|app| cut.scope.includes(Part::Dns) && !app.domains.is_empty());
    let named = named.map(|app| (app, of_hosts(plan, app)));
    let switched = plan.app(name).filter(|_| cut.scope.includes(Part::Database) && cut.is_standing(name));
    let database = switched.map(|app| of_database(plan, app)).unwrap_or_default();
    let wanted =
        Wanted { name, region: &plan.target.region, me: &me, stands: cut.is_standing(name), named, database };
    let decide = |seen: &Seen| decide(&wanted, seen);
    drive(ctx, Pace::PROVIDER, false, || observe(ctx, name), decide, |(): ()| std::future::ready(Ok(())))
        .await
}

/// The variables of `app` that hold its host names by the plan's word.
fn of_hosts(plan: &RecoveryPlanSpec, app: &AppSpec) -> Vec<String> {
    computed(plan, app)
        .into_iter()
        .filter(|(_, computed)| *computed == Computed::Hosts)
        .map(|(name, _)| name)
        .collect()
}

/// What the apps that are made lack of what this one is to give them, by names.
fn not_given(ctx: &Ctx, name: &str, there: &[Variable]) -> Vec<String> {
    let Run { plan, cut, .. } = ctx.run.as_ref();
    let takes = plan.apps.iter().filter(|app| cut.givers.get(&app.name).is_some_and(|giver| giver == name));
    let missing: BTreeSet<String> = takes.flat_map(|app| given(plan, cut, app, there).1).collect();
    missing.into_iter().collect()
}

async fn observe(ctx: &Ctx, name: &str) -> Result<Seen> {
    let platform = ctx.tools.target_platform(&ctx.run)?;
    let app = platform.app(name).await.map_err(StepError::provider(format!("looking for app {name}")))?;
    if app.is_none() {
        return Ok(Seen::default());
    }
    let mut apps = ctx.run.plan.app(name).map(|app| ctx.run.cut.taken_from(app)).unwrap_or_default();
    apps.push(name);
    let other = ctx.tools.store.other_at_work(&ctx.run.request, &apps).await?;
    let variables = platform.variables(name, Aliases::Resolved).await;
    let variables = variables.map_err(StepError::provider(format!("reading the variables of {name}")))?;
    let deployments = platform.deployments(name, 1).await;
    let deployments =
        deployments.map_err(StepError::provider(format!("listing the deployments of {name}")))?;
    let not_given = not_given(ctx, name, &variables);
    Ok(Seen { app, variables, deployment: deployments.into_iter().next(), not_given, other })
}

fn decide(wanted: &Wanted<'_>, seen: &Seen) -> Result<Next<(), App>> {
    let name = wanted.name;
    let anew = "nothing was changed: cancel this request and file another that names the app that is meant (`--target APP=EXISTING`)";
    let Some(app) = &seen.app else {
        let told =
            format!("there is no app called {name} in {} that the platform shows to us", wanted.region);
        return Err(StepError::refused(told, anew));
    };
    if let Some(owner) = app.owner.as_ref().filter(|owner| owner.id != wanted.me) {
        let whose = owner.username.as_deref().unwrap_or("another account");
        return Err(StepError::refused(
            format!("the app {name} belongs to {whose}, and SCALINGO_API_TOKEN is of another account"),
            "run the daemon with a token of that account, or name an app of ours: nothing was changed",
        ));
    }
    if let Some(other) = &seen.other {
        return Err(StepError::refused(
            format!(
                "the request {other}, which has not ended, is at work with the app {name}, or with the one whose names it takes"
            ),
            "wait for its end or cancel it, then resume this one: nothing was changed",
        ));
    }
    if wanted.stands && app.status == AppStatus::New {
        return Err(StepError::refused(format!("the app {name} was never deployed"), anew));
    }
    if !seen.not_given.is_empty() {
        return Err(StepError::refused(
            format!(
                "the app {name} has no {}, and the apps that are made would be led by them to what is not brought back",
                seen.not_given.join(", ")
            ),
            "give them values in the plan that say where the database and the bucket are, or bring these back too (`--scope`): nothing was made",
        ));
    }
    if without_database(&wanted.database, &seen.variables) {
        let names: Vec<&str> = wanted.database.keys().map(String::as_str).collect();
        return Err(StepError::refused(
            format!(
                "the app {name} has none of the variables that lead to its database by the plan's word: {}",
                names.join(", ")
            ),
            "say in the plan which variable of the app does (computed: database.url), apply it, and resume the request: nothing of the app was changed",
        ));
    }
    let other = overlooked(&wanted.database, &seen.variables);
    if !other.is_empty() {
        return Err(StepError::refused(
            format!(
                "the app {name} would use two databases at once: {} would go on leading to the one it has",
                other.join(", ")
            ),
            "say in the plan what they are (computed: database.url, or the like, under variables of the app), or take them from the app; then resume the request: nothing was changed",
        ));
    }
    if let Some(lacking) = wanted.named.as_ref().and_then(|(app, hosts)| lacking(app, hosts, &seen.variables))
    {
        return Err(StepError::refused(
            format!("the app {name} would refuse its visitors: {lacking}"),
            "add it to that variable and restart the app, then resume the request: nothing was changed",
        ));
    }
    if matches!(app.status, AppStatus::Restarting | AppStatus::Scaling | AppStatus::Booting) {
        return Ok(Next::Wait(format!("{name} is {}: nothing is done to it until that is over", app.status)));
    }
    if seen.deployment.as_ref().is_some_and(|deployment| !deployment.status.is_finished()) {
        return Ok(Next::Wait(format!("{name} is being deployed: nothing is done to it until that is over")));
    }
    Ok(Next::Done(app.clone()))
}

/// Whether it is to be led to a new database and has nothing that leads to one. Pure.
fn without_database(names: &BTreeMap<String, Computed>, there: &[Variable]) -> bool {
    !names.is_empty() && there.iter().all(|variable| !names.contains_key(&variable.name))
}

/// The domain that is not in a variable of the app that holds its host names. A variable that is not there says nothing.
fn lacking(app: &AppSpec, hosts: &[String], there: &[Variable]) -> Option<String> {
    let mut known = there.iter().filter(|variable| hosts.contains(&variable.name));
    known.find_map(|variable| {
        let listed = variable.value.expose_secret();
        let domain =
            app.domains.iter().find(|domain| !listed.split(',').any(|host| takes(host.trim(), domain)))?;
        Some(format!("{domain} is not in its variable {}", variable.name))
    })
}

/// Whether an entry of a list of hosts means `domain`; a star and a leading dot are Django's.
fn takes(host: &str, domain: &str) -> bool {
    host == "*"
        || host.eq_ignore_ascii_case(domain)
        || host.strip_prefix('.').is_some_and(|zone| domain == zone || domain.ends_with(&format!(".{zone}")))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::recovery::steps::bench::example;

    fn seen(change: &Value) -> Seen {
        let mut app =
            json!({ "id": "1", "name": "front-new", "status": "running", "owner": { "id": "us-1" } });
        app.as_object_mut().expect("an app").extend(change.as_object().cloned().unwrap_or_default());
        Seen { app: serde_json::from_value(app).ok(), ..Seen::default() }
    }

    fn decided(seen: &Seen) -> Result<Next<(), App>> {
        let plan = example();
        let named = Some((&plan.apps[0], vec!["ALLOWED_HOSTS".to_owned()]));
        decide(
            &Wanted {
                name: "front-new",
                region: "osc-fr1",
                me: "us-1",
                stands: true,
                named,
                database: BTreeMap::new(),
            },
            seen,
        )
    }

    #[test]
    fn an_app_that_is_not_there_or_not_ours_or_taken_is_refused_before_anything_is_changed() {
        let refused = |seen: &Seen| decided(seen).expect_err("refused").to_string();
        assert!(refused(&Seen::default()).contains("no app called front-new in osc-fr1"));
        let theirs = seen(&json!({ "owner": { "id": "us-2", "username": "them" } }));
        assert!(refused(&theirs).contains("belongs to them"), "{}", refused(&theirs));
        let taken = Seen { other: Some("bad-day".to_owned()), ..seen(&json!({})) };
        assert!(refused(&taken).contains("the request bad-day"), "{}", refused(&taken));
        assert!(refused(&seen(&json!({ "status": "new" }))).contains("never deployed"));
        assert!(matches!(decided(&seen(&json!({}))), Ok(Next::Done(_))));
    }

    #[test]
    fn an_app_that_nothing_could_lead_to_the_new_database_is_refused() {
        let names = BTreeMap::from([("DATABASE_URL".to_owned(), Computed::DatabaseUrl)]);
        let variable =
            |name: &str| Variable { id: "v".into(), name: name.into(), value: "x".to_owned().into() };
        assert!(without_database(&names, &[variable("OTHER")]));
        assert!(!without_database(&names, &[variable("OTHER"), variable("DATABASE_URL")]));
        assert!(!without_database(&BTreeMap::new(), &[]), "it has no database by the plan's word");
    }

    #[test]
    fn a_busy_app_is_waited_for() {
        assert!(matches!(decided(&seen(&json!({ "status": "scaling" }))), Ok(Next::Wait(_))));
        let deploying = json!({ "id": "d", "status": "building", "created_at": "2026-11-01T00:00:00Z" });
        let deploying = Seen { deployment: serde_json::from_value(deploying).ok(), ..seen(&json!({})) };
        assert!(deploying.deployment.is_some() && matches!(decided(&deploying), Ok(Next::Wait(_))));
    }

    #[test]
    fn an_app_that_would_refuse_the_name_is_told_of() {
        let with = |hosts: &str| {
            let variable = json!({ "id": "v", "name": "ALLOWED_HOSTS", "value": hosts });
            let variables = vec![serde_json::from_value(variable).expect("a variable")];
            decided(&Seen { variables, ..seen(&json!({})) })
        };
        let told = with("other.apilos.test").expect_err("it is not in it").to_string();
        assert!(told.contains("siap.apilos.test is not in its variable ALLOWED_HOSTS"), "{told}");
        for hosts in ["a.test, siap.apilos.test", "*", ".apilos.test"] {
            assert!(with(hosts).is_ok(), "{hosts}");
        }
    }
}
