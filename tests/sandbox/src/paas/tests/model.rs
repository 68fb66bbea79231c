//! Any sequence of calls leaves a consistent world: random ones are played against the platform and a small model of it.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::Value;

use super::{Site, site, until};
use crate::world::Fault;
use crate::world::faults::Rule;

mod calls;
mod data;
mod domains;
mod inventory;
mod one_offs;
mod people;
mod processes;

/// What the model knows of an app.
#[derive(Debug, Default, Clone)]
struct App {
    /// The project's name; none for the default one.
    project: Option<String>,
    /// Ids of addons, in order.
    addons: Vec<String>,
    variables: BTreeMap<String, String>,
    /// Domain → id.
    domains: BTreeMap<String, String>,
    /// Address → id.
    team: BTreeMap<String, String>,
    /// Type → amount.
    formation: BTreeMap<String, u64>,
    /// Something is being deployed, without an end.
    busy: bool,
    /// Something was deployed, and came to its end.
    deployed: bool,
}

impl App {
    /// Nothing but processes tells a deployed app from another.
    fn status(&self) -> &'static str {
        match self.formation.values().any(|amount| *amount > 0) {
            _ if !self.deployed => "new",
            true => "running",
            false => "stopped",
        }
    }
}

/// What should be there.
#[derive(Debug, Default)]
struct Model {
    apps: BTreeMap<String, App>,
    /// Name → id.
    projects: BTreeMap<String, String>,
    /// Name → id.
    keys: BTreeMap<String, String>,
    /// Ids of API tokens that were made here.
    tokens: BTreeSet<String>,
}

/// The platform and what it should hold.
struct Play {
    site: Site,
    model: Model,
    calls: u32,
    /// Rules that hold the deployments of an app, by its name.
    held: BTreeMap<String, Vec<u64>>,
}

impl Play {
    async fn new() -> Self {
        Self { site: site().await, model: Model::default(), calls: 0, held: BTreeMap::new() }
    }

    /// What the next build of `app` is to meet.
    fn at_build(&self, app: &str, fault: Fault) -> u64 {
        self.site.world.faults.add(Rule {
            service: Some("scalingo".into()),
            method: Some("build".into()),
            path: Some(app.to_owned()),
            skip: 0,
            times: Some(1),
            fault,
        })
    }

    /// A request as a fresh API token now and then, so that the rate limit never answers for the handler.
    async fn ask(&mut self, method: &str, path: &str, body: Value) -> (u16, Value) {
        self.calls += 1;
        if self.calls.is_multiple_of(50) {
            let user = self.site.user.clone();
            let origin = self.site.paas.new_token(&user, "of the play").id;
            self.site.bearer = self.site.paas.mint(&user, &origin, None).unwrap();
        }
        self.site.call(method, path, body).await
    }

    /// What the state says is what the model says, and is consistent in itself.
    fn check(&self) {
        let state = self.site.paas.state();
        let names: Vec<&str> = state.apps.iter().map(|app| app.name.as_str()).collect();
        let unique: BTreeSet<&str> = names.iter().copied().collect();
        assert_eq!(unique.len(), names.len(), "a name is taken twice: {names:?}");
        assert_eq!(unique, self.model.apps.keys().map(String::as_str).collect(), "apps");
        for app in &state.apps {
            let known = &self.model.apps[&app.name];
            let ids: Vec<&String> = app.addons.iter().map(|addon| &addon.id).collect();
            assert_eq!(ids, known.addons.iter().collect::<Vec<_>>(), "addons of {}", app.name);
            let own = app.variables.iter().filter(|one| one.name.starts_with("OWN_"));
            let own: BTreeMap<_, _> = own.map(|one| (one.name.clone(), one.value.clone())).collect();
            assert_eq!(own, known.variables, "variables of {}", app.name);
            assert!(
                app.domains.iter().map(|one| &one.name).eq(sorted(&app.domains, &known.domains)),
                "domains"
            );
            let team: BTreeSet<_> = app.collaborators.iter().map(|who| &who.email).collect();
            assert_eq!(team, known.team.keys().collect(), "collaborators of {}", app.name);
            let project =
                state.projects.iter().find(|one| one.id == app.project).expect("an app is in a project");
            assert_eq!(
                known.project.as_deref().unwrap_or("default"),
                project.name,
                "project of {}",
                app.name
            );
            assert_eq!(app.status, known.status(), "status of {}", app.name);
            assert_eq!(
                app.busy_with().is_some(),
                known.busy,
                "{} is busy with {:?}",
                app.name,
                app.busy_with()
            );
            let formation = app.formation.iter().map(|kind| (kind.name.clone(), u64::from(kind.amount)));
            assert_eq!(formation.collect::<BTreeMap<_, _>>(), known.formation, "formation of {}", app.name);
            for addon in &app.addons {
                let legal = match addon.status.as_str() {
                    "running" => addon.url.is_some() && addon.endpoint.is_some(),
                    "provisioning" => true,
                    _ => false,
                };
                assert!(legal, "{} is {}", addon.resource_id, addon.status);
            }
            // A URL of an addon is told only while there is one of its kind.
            let told = app.variables.iter().any(|one| one.name == "SCALINGO_REDIS_URL");
            let some = app.addons.iter().any(|addon| addon.url.is_some());
            assert!(!told || some, "{} tells of an addon that is gone", app.name);
        }
        let resources: Vec<_> =
            state.apps.iter().flat_map(|app| &app.addons).map(|one| &one.resource_id).collect();
        assert_eq!(resources.iter().collect::<BTreeSet<_>>().len(), resources.len(), "{resources:?}");
        let projects: BTreeSet<_> =
            state.projects.iter().filter(|one| !one.default).map(|one| &one.name).collect();
        assert_eq!(projects, self.model.projects.keys().collect(), "projects");
        let keys: BTreeSet<_> = state.keys.iter().map(|key| &key.id).collect();
        assert_eq!(keys, self.model.keys.values().collect(), "keys");
        assert!(
            self.model.tokens.iter().all(|id| state.tokens.iter().any(|token| token.id == *id)),
            "tokens"
        );
    }

    /// What the platform lists is what the model says.
    async fn check_lists(&mut self) {
        for (path, root, field) in [
            ("/v1/apps", "apps", "name"),
            ("/v1/projects", "projects", "name"),
            ("auth:/v1/keys", "keys", "name"),
        ] {
            let (status, answer) = self.ask("GET", path, Value::Null).await;
            assert_eq!(status, 200, "{path}");
            let items = answer[root].as_array().unwrap();
            let listed: BTreeSet<_> = items
                .iter()
                .map(|one| one[field].as_str().unwrap())
                .filter(|name| *name != "default")
                .collect();
            let known: BTreeSet<&str> = match root {
                "apps" => self.model.apps.keys().map(String::as_str).collect(),
                "projects" => self.model.projects.keys().map(String::as_str).collect(),
                _ => self.model.keys.keys().map(String::as_str).collect(),
            };
            assert_eq!(listed, known, "{path}");
        }
    }

    /// Once all is quiet, only the hosts of running addons have a name, and each its server.
    async fn check_nothing_is_orphaned(&self) {
        let hosts = async || {
            let file = self.site.world.names.hosts_file();
            let text = std::fs::read_to_string(file).unwrap();
            let names = text.lines().filter_map(|line| line.split_whitespace().nth(1));
            names.filter(|name| name.contains("scalingo-dbs")).map(str::to_owned).collect::<BTreeSet<_>>()
        };
        let endpoints = || {
            let state = self.site.paas.state();
            let addons = state.apps.iter().flat_map(|app| &app.addons);
            addons.filter_map(|addon| addon.endpoint.clone()).collect::<Vec<_>>()
        };
        until("only what runs has a name", async || {
            hosts().await == endpoints().into_iter().map(|(host, _)| host).collect::<BTreeSet<_>>()
        })
        .await;
        for (host, port) in endpoints() {
            assert!(self.site.paas.plane.redis.endpoint_of(&host, port).is_some(), "{host} has no server");
        }
    }
}

/// The model's domains in the platform's order, which is that of creation.
fn sorted<'a>(
    listed: &'a [crate::paas::state::Domain],
    known: &'a BTreeMap<String, String>,
) -> impl Iterator<Item = &'a String> {
    assert_eq!(listed.len(), known.len(), "domains");
    listed
        .iter()
        .filter_map(|one| known.get_key_value(&one.name).filter(|(_, id)| **id == one.id))
        .map(|(name, _)| name)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 40, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_calls_leaves_a_consistent_world(calls in prop::collection::vec(calls::any(), 10..70)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let mut play = Play::new().await;
            for call in calls {
                play.play(&call).await;
                play.check();
            }
            play.check_lists().await;
            play.check_inventory();
            play.check_nothing_is_orphaned().await;
            play.site.paas.stop_all().await;
        });
    }
}
