//! Parts of an estate: what a request with a scope brings back, on apps that live on, and the way back.

use reprise_e2e::plan::{APPS, DOMAINS, NAME, Plan};
use reprise_e2e::records::{Request, Standing, poll};
use reprise_e2e::stage::{Stage, play};
use reprise_e2e::world::Fault;
use reprise_sandbox::control::Disaster;
use reqwest::Method;
use serde_json::{Value, json};

use crate::drill::{nothing_is_left, standing};

/// The apps of production, in the order of those of the plan.
const LIVE: [&str; 2] = ["apilos-siap", "apilos-standalone"];

/// So slow an answer never arrives while a scene plays.
const NEVER: Fault = Fault::SlowBody { bytes_per_second: 1 };

/// Files a request with this spec by plain SQL.
async fn file(stage: &Stage, name: &str, spec: &Value) -> Request {
    let row =
        format!("INSERT INTO recovery_requests (name, plan, spec) VALUES ('{name}', '{NAME}', '{spec}')");
    stage.daemon.records().execute(&row).await;
    Request::named(name)
}

/// What there is but for what changes by itself.
fn lasting(stage: &Stage) -> Value {
    let mut all = stage.world.inventory();
    let mut without = |kind: &str, member: &str| {
        for one in all[kind].as_array_mut().into_iter().flatten() {
            one.as_object_mut().and_then(|one| one.remove(member));
        }
    };
    without("domains", "certificate");
    without("apps", "status");
    all.as_object_mut().and_then(|all| all.remove("processes"));
    all
}

/// What is asked for is the scene's own doing where the checker knows nothing but a loss of everything.
fn owns(stage: &mut Stage, calls: &[&str]) {
    for call in calls {
        stage.world.owns(&format!("foreign_write: `{call}"));
    }
}

/// The request is undone, and all is as it was `before`.
async fn undone(stage: &Stage, request: &Request, before: &Value) {
    stage.daemon.run(&["cancel", request.name(), "--clean"]).await;
    is_undone(stage, request, before).await;
}

async fn is_undone(stage: &Stage, request: &Request, before: &Value) {
    let end = stage.daemon.records().ended(request).await;
    assert_eq!(end.phase, "Cancelled", "{}", end.message());
    stage.world.becomes(|_| lasting(stage) == *before).await;
    assert_eq!(lasting(stage), *before, "the estate is not as it was before");
    let ledger = stage.daemon.records().ledger(request).await;
    assert!(ledger.iter().all(|row| row.state == "deleted"), "{ledger:?}");
}

/// Deletes what an app keeps of its variables as they were, and returns that.
async fn forgotten(stage: &Stage, app: &str) -> Vec<Value> {
    let path = format!("apps/{app}/variables");
    let told = stage.world.platform(Method::GET, &path, None).await;
    let mut kept = Vec::new();
    for one in told["variables"].as_array().expect("variables") {
        let (name, id) = (one["name"].as_str().unwrap_or_default(), one["id"].as_str().unwrap_or_default());
        if name.starts_with("REPRISE_BEFORE_") {
            stage.world.platform(Method::DELETE, &format!("{path}/{id}"), None).await;
            kept.push(json!({ "name": name, "value": one["value"] }));
        }
    }
    assert!(!kept.is_empty(), "nothing is kept at {app}");
    kept
}

/// What does not go together is told before anything is sent.
async fn refused(stage: &Stage) {
    let spec = json!({ "scope": ["dns"], "targets": { "nobody-there": LIVE[1] } });
    let request = file(stage, "unknown", &spec).await;
    let told = |condition: &Value| condition["status"] == "False" && condition["reason"] == "ScopeNotUsable";
    let is_told = |now: &Standing| now.condition("Accepted").is_some_and(told);
    let standing = stage.daemon.records().stands(&request, is_told).await;
    for part in ["spec.targets.nobody-there: is no app of the plan", "apilos-siap-pra, apilos-standalone-pra"]
    {
        assert!(standing.message().contains(part), "`{part}` is not in: {}", standing.message());
    }
    let series = "reprise_open_requests{scope=\"dns\"}";
    let counted = poll(async || (stage.daemon.metric(series).await == Some(1.0)).then_some(())).await;
    assert!(counted.is_some(), "the scope is not counted");
    stage.daemon.run(&["cancel", request.name()]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_are_led_to_an_existing_app_and_back() {
    play(120, async |stage: &mut Stage| {
        stage.daemon.start().await;
        stage.daemon.apply(&Plan::example()).await;
        // The owner's own doing, and what the request names.
        owns(stage, &["PUT /v1/apps/", "POST /v1/apps/apilos-standalone/restart"]);
        refused(stage).await;
        let target = format!("{}={}", APPS[0], LIVE[1]);
        let part = ["--scope", "dns", "--target", target.as_str()];
        let planned = stage.daemon.run(&[&["plan", NAME][..], &part].concat()).await;
        assert!(
            planned.contains("target/apilos-standalone") && planned.contains("cname/siap.apilos.test"),
            "{planned}"
        );
        for call in ["DELETE /apps/apilos-siap/domains/", "POST /apps/apilos-standalone/domains {"] {
            assert!(planned.contains(call), "`{call}` is not told: {planned}");
        }
        for other in ["choose-backup", "standalone.apilos.test", "POST /apps {", "variables {"] {
            assert!(!planned.contains(other), "`{other}` is not of this part: {planned}");
        }

        // It would refuse its visitors: nothing is changed before that is mended.
        stage.daemon.run(&[&["file", NAME, "--name", "names"][..], &part].concat()).await;
        let request = Request::named("names");
        let told = stage.daemon.records().failed(&request).await;
        for part in [
            "target/apilos-standalone",
            "siap.apilos.test is not in its variable ALLOWED_HOSTS",
            "nothing was changed",
        ] {
            assert!(told.contains(part), "`{part}` is not in: {told}");
        }
        assert_eq!(stage.world.count("domains", "app", LIVE[1]), 1, "something was changed");
        let hosts = format!("{},{},{}.osc-fr1.scalingo.test", DOMAINS[0], DOMAINS[1], LIVE[1]);
        let hosts = json!({ "variables": [{ "name": "ALLOWED_HOSTS", "value": hosts }] });
        let app = format!("apps/{}", LIVE[1]);
        stage.world.platform(Method::PUT, &format!("{app}/variables"), Some(hosts)).await;
        stage.world.platform(Method::POST, &format!("{app}/restart"), Some(Value::Null)).await;
        stage.world.platform(Method::PUT, &app, Some(json!({ "force_https": false }))).await;
        let idle = |world: &Value| {
            world["apps"].as_array().is_some_and(|apps| {
                apps.iter().any(|app| app["name"] == LIVE[1] && app["status"] == "running")
            })
        };
        stage.world.becomes(idle).await;
        let before = lasting(stage);

        // It dies as the record is switched, and goes on.
        stage.world.break_("PATCH", "/v1/record/", Some(1), NEVER);
        stage.daemon.run(&["resume", request.name()]).await;
        stage.eventually("a switch", |stage| stage.world.trickles("/v1/record/")).await;
        stage.daemon.kill().await;
        stage.world.mend();
        stage.daemon.start().await;
        stage.daemon.records().succeeded(&request).await;
        let front = stage.world.visit(DOMAINS[0], "/").await;
        assert_eq!((front.status.as_u16(), &front.json()["app"]), (200, &LIVE[1].into()));
        assert_eq!(stage.world.visit_plain(DOMAINS[0], "/").await.status.as_u16(), 301);
        let still = stage.world.visit(DOMAINS[1], "/").await;
        assert_eq!(still.json()["app"], LIVE[1], "the other name was touched");
        let changed: Vec<String> =
            stage.daemon.records().ledger(&request).await.into_iter().map(|row| row.kind).collect();
        let mut kinds = changed.clone();
        kinds.sort_unstable();
        assert_eq!(kinds, ["detached-domain", "dns-record", "domain", "force-https"], "{changed:?}");
        let said = stage.daemon.run(&["describe", request.name()]).await;
        assert!(said.contains("Scope:    dns (apilos-siap-pra=apilos-standalone)"), "{said}");

        undone(stage, &request, &before).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn live_apps_are_led_to_a_restored_database_and_back() {
    play(121, async |stage: &mut Stage| {
        let live = LIVE.map(|app| {
            [
                format!("PUT /v1/apps/{app}/"),
                format!("DELETE /v1/apps/{app}/"),
                format!("POST /v1/apps/{app}/restart"),
            ]
        });
        let live: Vec<&str> = live.iter().flatten().map(String::as_str).collect();
        owns(stage, &live);
        stage.daemon.start().await;
        stage.daemon.apply(&Plan::example()).await;
        stage.world.strike(Disaster::Data).await;
        let (before, old) = (lasting(stage), stage.world.variables_of(LIVE[1]).await);

        // It dies as the first app is switched, and goes on.
        stage.world.break_("PUT", "/v1/apps/apilos-siap/variables", Some(1), NEVER);
        let request = file(stage, "rows", &json!({ "scope": ["database"] })).await;
        stage.eventually("a switch", |stage| stage.world.trickles("/v1/apps/apilos-siap/variables")).await;
        stage.daemon.kill().await;
        stage.world.mend();
        stage.daemon.start().await;
        stage.daemon.records().succeeded(&request).await;
        let new = stage.world.variables_of(LIVE[1]).await;
        assert_ne!(new["DB_HOST"], old["DB_HOST"]);
        for (app, domain) in LIVE.iter().zip(DOMAINS) {
            let front = stage.world.visit(domain, "/rows").await;
            assert_eq!(front.status.as_u16(), 200, "{domain}: {}", front.body);
            assert_eq!(stage.world.visit(domain, "/readonly").await.status.as_u16(), 200, "{domain}");
            let there = stage.world.variables_of(app).await;
            assert!(there["DATABASE_URL"].contains(&new["DB_HOST"]), "{app} is led elsewhere");
        }
        assert_eq!(stage.world.count("addons", "app", LIVE[0]), 2, "the old database was touched");
        let holder: Vec<String> =
            stage.daemon.records().column("SELECT name FROM resource_ledger WHERE kind = 'app'").await;
        assert!(holder.len() == 1 && holder[0].starts_with("apilos-siap-pra-db-"), "{holder:?}");
        let stays = "SELECT message FROM recovery_events WHERE reason = 'OldDatabaseStays'";
        let told = stage.daemon.records().column(stays).await;
        assert!(
            told.iter().any(|told| told.contains("of apilos-siap stays as it is, and is billed")),
            "{told:?}"
        );
        let shown = stage.daemon.run(&["evidence", request.name()]).await;
        for part in ["scope database", "stays, and is billed", "time of this part"] {
            assert!(shown.contains(part), "`{part}` is not in: {shown}");
        }
        let everything = stage.daemon.records().everything().await;
        for secret in [&old["DB_PASSWORD"], &new["DB_PASSWORD"], &old["DB_READONLY"], &new["DB_READONLY"]] {
            assert!(!everything.contains(secret.as_str()), "a secret is in the records");
        }
        // Whoever deletes what is kept has no way back: the database must not go under the apps that use it.
        let kept = forgotten(stage, LIVE[1]).await;
        stage.daemon.run(&["cancel", request.name(), "--clean"]).await;
        let told = stage.daemon.records().failed(&request).await;
        assert!(told.contains("of apilos-standalone would still lead to the database"), "{told}");
        assert_eq!(stage.world.count("apps", "name", &holder[0]), 1, "the database of a live app is gone");
        assert_eq!(stage.world.visit(DOMAINS[1], "/rows").await.status.as_u16(), 200);
        let path = format!("apps/{}/variables", LIVE[1]);
        stage.world.platform(Method::PUT, &path, Some(json!({ "variables": kept }))).await;
        stage.daemon.run(&["resume", request.name()]).await;
        is_undone(stage, &request, &before).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_alone_is_rehearsed_and_proves_no_plan() {
    play(123, async |stage: &mut Stage| {
        stage.daemon.start().await;
        stage.daemon.apply(&Plan::example()).await;
        let before = standing(stage);
        let request = file(stage, "rehearsal", &json!({ "mode": "drill", "scope": ["database"] })).await;
        stage.daemon.records().succeeded(&request).await;
        let checked = stage.daemon.records().step(&request, "check-database").await.expect("the step");
        assert!(checked.output["rows"].as_u64() > Some(0), "{checked:?}");
        nothing_is_left(stage, &request, &before).await;
        let said = stage.daemon.run(&["-o", "json", "describe", NAME]).await;
        let plan: Value = serde_json::from_str(&said).expect("a document");
        assert_eq!(
            plan["drills"].as_array().map(Vec::len),
            Some(0),
            "it is taken for a drill of the plan: {plan}"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_front_comes_back_beside_its_sibling_with_what_stays() {
    play(122, async |stage: &mut Stage| {
        stage.daemon.start().await;
        stage.daemon.apply(&Plan::example()).await;
        stage.world.owns("foreign_write: `DELETE /v1/apps/apilos-standalone`");
        stage
            .world
            .platform(Method::DELETE, "apps/apilos-standalone?current_name=apilos-standalone", None)
            .await;
        let gone = |world: &Value| {
            world["apps"].as_array().is_some_and(|apps| apps.iter().all(|app| app["name"] != LIVE[1]))
        };
        stage.world.becomes(gone).await;
        let before = lasting(stage);
        let siap = stage.world.variables_of(LIVE[0]).await;

        let spec = json!({ "scope": ["app", "dns"], "targets": { APPS[0]: LIVE[0] } });
        let request = file(stage, "front", &spec).await;
        let key = format!("deploy/{}", APPS[1]);
        stage.daemon.records().step_is(&request, &key, |step| step.phase == "Running" && step.done > 0).await;
        stage.daemon.kill().await;
        stage.daemon.start().await;
        stage.daemon.records().succeeded(&request).await;
        for (domain, app) in DOMAINS.iter().zip([LIVE[0], APPS[1]]) {
            let front = stage.world.visit(domain, "/").await;
            assert_eq!((front.status.as_u16(), &front.json()["app"]), (200, &app.into()), "{domain}");
            assert_eq!(stage.world.visit(domain, "/readonly").await.status.as_u16(), 200, "{domain}");
        }
        let made = stage.world.variables_of(APPS[1]).await;
        for name in
            ["DB_HOST", "DB_PASSWORD", "DB_READONLY", "AWS_STORAGE_BUCKET_NAME", "AWS_SECRET_ACCESS_KEY"]
        {
            assert_eq!(made[name], siap[name], "{name}");
        }
        assert_eq!(stage.world.variables_of(LIVE[0]).await, siap, "the app that is there was touched");
        let ledger = stage.daemon.records().ledger(&request).await;
        let touched: Vec<&str> = ledger
            .iter()
            .filter(|row| row.name == DOMAINS[0] || row.name == LIVE[0])
            .map(|row| &*row.kind)
            .collect();
        assert_eq!(touched, [""; 0], "the app that is there was touched");
        undone(stage, &request, &before).await;
    })
    .await;
}
