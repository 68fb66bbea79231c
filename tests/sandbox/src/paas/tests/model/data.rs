//! Any sequence of calls about a PostgreSQL leaves the real server with the users that are told, every backup with an end, and nothing
//! behind once it is deleted, whatever was under way.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::{Value, json};
use sqlx::Connection as _;
use sqlx::postgres::{PgConnectOptions, PgConnection};

use crate::paas::tests::{Site, site, until};

const APP: &str = "demarches-test";
const PLAN: &str = "postgresql-starter-512";
const PLANS: [&str; 2] = ["5cc45d220000000000000512", "5cc45d220000000000001024"];
/// Manual backups that the plans keep.
const KEPT: usize = 10;

#[derive(Debug, Clone)]
enum Call {
    AddUser {
        user: u8,
        read_only: bool,
    },
    DropUser {
        user: u8,
    },
    Reset {
        user: u8,
    },
    Enable {
        feature: usize,
    },
    Disable {
        feature: usize,
    },
    BackUp {
        times: usize,
    },
    ChangePlan {
        plan: usize,
    },
    /// All that is under way comes to its end.
    Settle,
    /// Whatever is under way.
    Replace,
}

const FEATURES: [&str; 2] = ["force-ssl", "publicly-available"];

fn any() -> impl Strategy<Value = Call> {
    let (user, feature) = (0..3_u8, 0..2_usize);
    prop_oneof![
        5 => (user.clone(), prop::bool::ANY).prop_map(|(user, read_only)| Call::AddUser { user, read_only }),
        2 => user.clone().prop_map(|user| Call::DropUser { user }),
        2 => user.prop_map(|user| Call::Reset { user }),
        3 => feature.clone().prop_map(|feature| Call::Enable { feature }),
        2 => feature.prop_map(|feature| Call::Disable { feature }),
        2 => (1..5_usize).prop_map(|times| Call::BackUp { times }),
        2 => (0..2_usize).prop_map(|plan| Call::ChangePlan { plan }),
        3 => Just(Call::Settle),
        1 => Just(Call::Replace),
    ]
}

/// A database user as the model has it: its rights, and the password that was told last.
#[derive(Debug)]
struct User {
    read_only: bool,
    password: String,
}

struct Play {
    site: Site,
    id: String,
    resource: String,
    calls: u32,
    /// Whether sessions were cut since all was at rest: a backup that met that has failed.
    cut: bool,
    users: BTreeMap<String, User>,
    features: Vec<&'static str>,
    /// Ids, oldest first; the oldest are given up one by one.
    backups: Vec<String>,
    /// Resources that were deleted.
    gone: Vec<(String, String, u16)>,
}

fn called(user: u8) -> String {
    format!("somebody{user}")
}

impl Play {
    async fn new() -> Self {
        let site = site().await;
        site.paas.seed_app(&site.user, APP).unwrap();
        let (id, resource) = site.seeded_addon(APP, "postgresql", PLAN).await;
        let play = Self {
            site,
            id,
            resource,
            calls: 0,
            cut: false,
            users: BTreeMap::new(),
            features: Vec::new(),
            backups: Vec::new(),
            gone: Vec::new(),
        };
        play.sql("CREATE TABLE things AS SELECT 1 AS n").await;
        play
    }

    async fn sql(&self, sql: &str) {
        self.site.paas.plane.databases.run_sql(&self.resource, sql).await.unwrap();
    }

    fn runs(&self) -> bool {
        self.site.paas.state().addon(&self.id).is_some_and(|(_, addon)| addon.is_running())
    }

    /// A request as a fresh API token now and then, so that the rate limit never answers for the handler.
    async fn ask(&mut self, method: &str, path: &str, body: Value) -> (u16, Value) {
        self.calls += 1;
        if self.calls.is_multiple_of(40) {
            let user = self.site.user.clone();
            let origin = self.site.paas.new_token(&user, "of the play").id;
            self.site.bearer = self.site.paas.mint(&user, &origin, None).unwrap();
        }
        self.site.call(method, path, body).await
    }

    /// A call that is answered so where the database runs, and refused where it does not: then there is no answer.
    async fn expect(&mut self, status: u16, method: &str, rest: &str, body: Value) -> Option<Value> {
        let path = format!("/v1/databases/{}{rest}", self.id);
        let ran = self.runs();
        let (answered, answer) = self.ask(method, &path, body).await;
        // A plan change may have come to its end meanwhile.
        let done = answered == status && (ran || self.runs());
        assert!(done || (!ran && answered == 400), "{method} {rest}: {answered} {answer}");
        done.then_some(answer)
    }

    async fn play(&mut self, call: &Call) {
        match *call {
            Call::AddUser { user, read_only } => self.add_user(called(user), read_only).await,
            Call::DropUser { user } => {
                let wanted = if self.users.contains_key(&called(user)) { 204 } else { 404 };
                let done =
                    self.expect(wanted, "DELETE", &format!("/users/{}", called(user)), Value::Null).await;
                if done.is_some() {
                    self.users.remove(&called(user));
                }
            }
            Call::Reset { user } => self.reset(called(user)).await,
            Call::Enable { feature } => self.enable(FEATURES[feature]).await,
            Call::Disable { feature } => self.disable(FEATURES[feature]).await,
            Call::BackUp { times } => {
                for _ in 0..times {
                    let made = self.expect(201, "POST", "/backups", json!({})).await;
                    let id = made.map(|made| made["database_backup"]["id"].as_str().unwrap().to_owned());
                    self.backups.extend(id);
                }
            }
            Call::ChangePlan { plan } => {
                let path = format!("/v1/apps/{APP}/addons/{}", self.id);
                let ran = self.runs();
                let body = json!({"addon": {"plan_id": PLANS[plan]}});
                let (status, answer) = self.ask("PATCH", &path, body).await;
                assert!(status == 200 || (!ran && status == 400), "{status} {answer}");
                self.cut |= status == 200;
            }
            Call::Settle => self.settle().await,
            Call::Replace => self.replace().await,
        }
    }

    async fn add_user(&mut self, name: String, read_only: bool) {
        let wanted = if self.users.contains_key(&name) { 422 } else { 201 };
        let body = json!({"database_user": {"name": name, "read_only": read_only}});
        let made = self.expect(wanted, "POST", "/users", body).await;
        if wanted == 201
            && let Some(made) = made
        {
            let password = made["database_user"]["password"].as_str().unwrap().to_owned();
            self.users.insert(name, User { read_only, password });
        }
    }

    /// The old password opens nothing from then on.
    async fn reset(&mut self, name: String) {
        let wanted = if self.users.contains_key(&name) { 200 } else { 404 };
        let told = self.expect(wanted, "POST", &format!("/users/{name}/reset_password"), json!({})).await;
        let password = told.and_then(|told| told["database_user"]["password"].as_str().map(str::to_owned));
        if let (Some(password), Some(user)) = (password, self.users.get_mut(&name)) {
            let old = std::mem::replace(&mut user.password, password);
            assert!(self.session(&name, &old).await.is_err(), "the old password of {name} is good");
        }
    }

    async fn enable(&mut self, feature: &'static str) {
        let waits = self.features.contains(&FEATURES[0]) && !self.is_active(FEATURES[0]);
        if waits && feature == FEATURES[1] {
            // It may be active by the time of the call.
            return;
        }
        let needs = feature == FEATURES[1] && !self.is_active(FEATURES[0]);
        let wanted = if needs || self.features.contains(&feature) { 400 } else { 200 };
        let body = json!({"feature": {"name": feature}});
        if self.expect(wanted, "POST", "/features", body).await.is_some() && wanted == 200 {
            self.features.push(feature);
        }
    }

    fn is_active(&self, feature: &str) -> bool {
        let state = self.site.paas.state();
        let features = &state.addon(&self.id).unwrap().1.database.features;
        features.iter().any(|one| one.name == feature && one.status == "ACTIVATED")
    }

    /// A switch is taken back whatever the database does.
    async fn disable(&mut self, feature: &'static str) {
        let needed = feature == FEATURES[0] && self.features.contains(&FEATURES[1]);
        let wanted = match self.features.contains(&feature) {
            false => 404,
            true if needed => 400,
            true => 200,
        };
        let path = format!("/v1/databases/{}/features?feature={feature}", self.id);
        let (status, answer) = self.ask("DELETE", &path, Value::Null).await;
        assert_eq!(status, wanted, "{feature}: {answer}");
        if wanted == 200 {
            self.features.retain(|one| *one != feature);
        }
    }

    async fn settle(&mut self) {
        let ended = |status: &str| status == "done" || (self.cut && status == "error");
        until("all is at rest", async || {
            self.site.advance(16);
            let state = self.site.paas.state();
            let (_, addon) = state.addon(&self.id).unwrap();
            let of = &addon.database;
            let mut manual = of.backups.iter().filter(|one| one.method == "manual");
            addon.is_running()
                && of.features.iter().all(|one| one.status == "ACTIVATED")
                && manual.clone().count() <= KEPT
                && manual.all(|one| ended(&one.status))
        })
        .await;
        self.cut = false;
        self.backups.drain(..self.backups.len().saturating_sub(KEPT));
        self.check_server().await;
    }

    /// Deleted, in the midst of whatever it does, and bought anew.
    async fn replace(&mut self) {
        let (host, port) = self.site.paas.state().addon(&self.id).unwrap().1.endpoint.clone().unwrap();
        let path = format!("/v1/apps/{APP}/addons/{}", self.id);
        assert_eq!(self.ask("DELETE", &path, Value::Null).await.0, 204);
        let backups = format!("/v1/databases/{}/backups", self.id);
        let (status, _) = self.ask("GET", &backups, Value::Null).await;
        assert_eq!(status, 404, "its backups are still told");
        assert!(self.site.paas.variable(APP, "DATABASE_URL").is_none(), "its address is still told");
        let (id, resource) = self.site.seeded_addon(APP, "postgresql", PLAN).await;
        let resource = std::mem::replace(&mut self.resource, resource);
        (self.id, self.cut) = (id, false);
        self.gone.push((resource, host, port));
        self.users.clear();
        self.features.clear();
        self.backups.clear();
        self.sql("CREATE TABLE things AS SELECT 1 AS n").await;
    }

    /// A session of this user's, by the tunnels' door.
    async fn session(&self, user: &str, password: &str) -> sqlx::Result<PgConnection> {
        let (host, port) = self.site.paas.state().addon(&self.id).unwrap().1.endpoint.clone().unwrap();
        let socket = self.site.paas.plane.databases.socket_of(&host, port).unwrap();
        let options = PgConnectOptions::new_without_pgpass()
            .socket(socket.parent().unwrap())
            .username(user)
            .password(password)
            .database(&self.resource);
        PgConnection::connect_with(&options).await
    }

    /// What is told is what the model says.
    fn check(&self) {
        let state = self.site.paas.state();
        let (_, addon) = state.addon(&self.id).unwrap();
        let users: BTreeMap<_, _> =
            addon.database.users.iter().map(|one| (&one.name, one.read_only)).collect();
        let known = self.users.iter().map(|(name, user)| (name, user.read_only));
        assert_eq!(users, known.chain([(&self.resource, false)]).collect(), "users");
        let features: Vec<_> = addon.database.features.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(features, self.features, "features");
        let manual = addon.database.backups.iter().filter(|one| one.method == "manual");
        let told: Vec<_> = manual.map(|one| one.id.as_str()).collect();
        // Of more than are kept, those that ended first go first.
        let known: Vec<_> = self.backups.iter().filter(|id| told.contains(&id.as_str())).collect();
        assert_eq!(told, known, "backups, in the order of their requests");
        assert!(told.len() >= self.backups.len().min(KEPT), "{told:?} of {:?}", self.backups);
        assert!(matches!(addon.status.as_str(), "running" | "provisioning"), "it is {}", addon.status);
    }

    /// The real server has these users, with these rights and passwords, and each backup is a file.
    async fn check_server(&self) {
        let sql = "SELECT rolname FROM pg_roles WHERE rolcanlogin AND rolname LIKE 'somebody%' ORDER BY 1";
        let rows = self.site.paas.plane.databases.rows(&self.resource, sql, &[]).await.unwrap();
        let there: BTreeSet<_> = rows
            .as_array()
            .into_iter()
            .flatten()
            .map(|row| row["rolname"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(there, self.users.keys().cloned().collect(), "roles of the server");
        for (name, user) in &self.users {
            let mut session = self.session(name, &user.password).await.unwrap();
            sqlx::query("SELECT n FROM things").execute(&mut session).await.unwrap();
            let written = sqlx::query("CREATE TABLE mine AS SELECT 1 AS n").execute(&mut session).await;
            assert_eq!(written.is_ok(), !user.read_only, "{name} and its right to write: {written:?}");
            if written.is_ok() {
                sqlx::query("DROP TABLE mine").execute(&mut session).await.unwrap();
            }
        }
        let state = self.site.paas.state();
        let backups = &state.addon(&self.id).unwrap().1.database.backups;
        for backup in backups.iter().filter(|one| one.status == "done") {
            let size = std::fs::metadata(&backup.file).map(|file| file.len()).ok();
            assert_eq!(size, backup.size, "{}", backup.name);
        }
        let manual = backups.iter().filter(|one| one.method == "manual");
        assert_eq!(manual.map(|one| &one.id).collect::<Vec<_>>(), self.backups.iter().collect::<Vec<_>>());
    }

    /// Of what was deleted there is no server, no name and no file but those that the support keeps.
    async fn check_nothing_is_left(&self) {
        let dir = self.site.world.dir();
        for (resource, host, port) in &self.gone {
            until("its server is gone", async || {
                let databases = &self.site.paas.plane.databases;
                databases.socket_of(host, *port).is_none()
                    && self.site.world.names.address_of(host).is_none()
                    && !dir.join("databases").join(resource).exists()
            })
            .await;
        }
        until("no backup is left of what was deleted, but at the support", async || {
            let told: BTreeSet<_> = self.kept_files();
            let there = std::fs::read_dir(&self.site.paas.backups).unwrap();
            there.filter_map(|file| Some(file.ok()?.path())).all(|file| told.contains(&file))
        })
        .await;
    }

    fn kept_files(&self) -> BTreeSet<std::path::PathBuf> {
        let state = self.site.paas.state();
        let own = &state.addon(&self.id).unwrap().1.database.backups;
        let kept = state.orphans.iter().map(|orphan| orphan.backup.file.clone());
        own.iter().map(|backup| backup.file.clone()).chain(kept).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5, max_shrink_iters: 12, ..ProptestConfig::default() })]

    #[test]
    fn a_database_has_the_users_and_backups_that_are_told_and_leaves_nothing(
        calls in prop::collection::vec(any(), 8..30),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let mut play = Play::new().await;
            for call in &calls {
                play.play(call).await;
                play.check();
            }
            play.settle().await;
            play.check_nothing_is_left().await;
            play.site.paas.stop_all().await;
        });
    }
}
