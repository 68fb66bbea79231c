//! The rehearsal: the production path under throwaway names, while production serves; afterwards everything is as it was before.

use std::collections::BTreeSet;

use reprise_e2e::plan::{APPS, DOMAINS, NAME, Plan};
use reprise_e2e::records::{Request, StepLine, poll};
use reprise_e2e::stage::{Stage, play};
use reprise_e2e::world::Fault;
use reqwest::Method;
use serde_json::{Value, json};

use crate::platform::Code;
use crate::proof::{asked_for, in_production, night};

/// What a drill must leave as it found it, whatever it made meanwhile. Records are compared without their ids: none is changed.
pub(crate) fn standing(stage: &Stage) -> Value {
    let inventory = stage.world.inventory();
    let names = |kind: &str, field: &str| -> Vec<Value> {
        let mut names: Vec<Value> =
            inventory[kind].as_array().into_iter().flatten().map(|one| one[field].clone()).collect();
        names.sort_by_key(ToString::to_string);
        names
    };
    json!({
        "apps": names("apps", "name"),
        "addons": names("addons", "id"),
        "projects": names("projects", "name"),
        "domains": names("domains", "name"),
        "collaborators": names("collaborators", "email"),
        "users": names("database_users", "name"),
        "keys": names("ssh_keys", "name"),
        "records": inventory["dns_records"]["records"],
        "buckets": inventory["buckets"]["source"],
    })
}

pub(crate) async fn file(stage: &Stage) -> Request {
    file_as(stage, "rehearsal").await
}

/// Files a drill under this name.
pub(crate) async fn file_as(stage: &Stage, name: &str) -> Request {
    let sql = format!(
        "INSERT INTO recovery_requests (name, plan, spec) VALUES ('{name}', '{NAME}', '{{\"mode\": \"drill\"}}')"
    );
    stage.daemon.records().execute(&sql).await;
    Request::named(name)
}

/// Every resource of the drill is on record as deleted, and production answers as before.
pub(crate) async fn nothing_is_left(stage: &Stage, request: &Request, before: &Value) {
    assert_eq!(&standing(stage), before);
    let ledger = stage.daemon.records().ledger(request).await;
    assert!(ledger.iter().any(|line| line.kind == "app"), "the drill made no app");
    let left: Vec<_> = ledger.iter().filter(|line| line.state != "deleted").collect();
    assert!(left.is_empty(), "{left:?}");
    for domain in DOMAINS {
        assert_eq!(stage.world.visit(domain, "/healthz").await.status.as_u16(), 200, "{domain}");
    }
    assert_eq!(stage.world.findings(true), [""; 0], "what was left half way");
}

async fn becomes(stage: &Stage, series: &str, wanted: f64) {
    let told = poll(async || (stage.daemon.metric(series).await == Some(wanted)).then_some(())).await;
    assert!(told.is_some(), "{series} was never {wanted}: {}", stage.daemon.run(&["get", "plans"]).await);
}

/// The plan whose drills are proven, predicted and changed.
fn plan() -> Plan {
    Plan::example().with("{ from: \"env:APILOS_JWT_SIGN_KEY\" }", "{ policy: keep }")
}

/// Gives the app that is replaced another value for the variable that the plan keeps.
async fn keeps(stage: &Stage, value: &str) {
    let body = json!({ "variables": [{ "name": "JWT_SIGN_KEY", "value": value }] });
    stage.world.platform(Method::PUT, "apps/apilos-siap/variables", Some(body)).await;
}

const PREDICTED: &str = "reprise_predicted_rto_seconds{plan=\"apilos\"}";

/// The plan is proven, and what is predicted of a recovery is the time of the *next* drill. The name of the last drill.
async fn proves_the_plan_and_predicts_the_next(stage: &Stage) -> &'static str {
    becomes(stage, "reprise_plan_proven{plan=\"apilos\"}", 1.0).await;
    becomes(stage, "reprise_objective_rto_seconds{plan=\"apilos\"}", 7200.0).await;
    // The machine may be busy with other scenes in one of two drills and not in the other: then both drills after it must be as predicted.
    let (mut told, mut hits) = (Vec::new(), 0);
    for name in ["the-next", "the-third", "the-fourth"] {
        let predicted = stage.daemon.metric(PREDICTED).await.expect("a prediction");
        let prediction = described(stage).await["status"]["prediction"].clone();
        // A recovery waits for resolvers too; a drill's names are new to them.
        let waits = |step: &Value| step[0].as_str().is_some_and(|step| step.starts_with("resolver/"));
        let waited = prediction["longestWay"].as_array().is_some_and(|way| way.iter().any(waits));
        let ttl = prediction["ttlSeconds"].as_f64().filter(|_| waited).unwrap_or_default();
        let next = file_as(stage, name).await;
        let status = stage.daemon.records().succeeded(&next).await.status;
        let measured = status["rto"]["totalSeconds"].as_f64().expect("a time");
        told.push(format!(
            "{predicted} s were predicted, {ttl} s of them for what resolvers remember, and it took {measured} s"
        ));
        hits += u32::from(((predicted - ttl) / measured - 1.0).abs() <= 0.2);
        if (hits == 1 && name == "the-next") || hits == 2 {
            return name;
        }
        let newer = async || (stage.daemon.metric(PREDICTED).await != Some(predicted)).then_some(());
        assert!(poll(newer).await.is_some(), "{name} changed no prediction");
    }
    panic!("{told:#?}");
}

/// What the tokens and keys may do was seen in the last drill, which had the same.
async fn their_rights_were_seen(stage: &Stage, last: &str) {
    let seen = format!("what it may do was last seen in the drill {last}");
    let told = poll(async || {
        let findings = described(stage).await["status"]["preflight"]["findings"].clone();
        let well = |check: &str| {
            findings.as_array().is_some_and(|all| {
                all.iter().any(|one| {
                    one["check"] == check
                        && one["grade"] == "good"
                        && one["message"].as_str().is_some_and(|told| told.contains(&seen))
                })
            })
        };
        (well("platform") && well("dns")).then_some(())
    });
    assert!(told.await.is_some(), "{}", described(stage).await["status"]["preflight"]);
}

/// More rows make a longer recovery, as soon as a backup holds them.
async fn a_larger_database_is_predicted_to_take_longer(stage: &Stage) {
    let rows = "INSERT INTO public.evenements (convention_id, nature, contenu, survenu_le)
                SELECT 1, 'relance', to_jsonb(sha256(n::text::bytea)::text), now() FROM generate_series(1, 200000) AS n";
    let before = stage.daemon.metric(PREDICTED).await.expect("a prediction");
    in_production(stage, rows).await;
    let larger = night(stage).await;
    let (well, told) = asked_for(stage, &larger).await;
    assert!(well && told.contains(": asserted"), "{told}");
    let longer = async || stage.daemon.metric(PREDICTED).await.filter(|now| *now > before + 0.1);
    assert!(poll(longer).await.is_some(), "{before} s are still predicted");
}

async fn described(stage: &Stage) -> Value {
    serde_json::from_str(&stage.daemon.run(&["describe", "apilos", "-o", "json"]).await).expect("JSON")
}

/// What each drill took is the plan's own, the newest first, and the newest is a metric.
async fn the_trend_is_kept(stage: &Stage, last: &str) {
    let told = described(stage).await;
    let drills = told["drills"].as_array().expect("drills");
    assert_eq!(drills.first().map(|drill| &drill["name"]), Some(&json!(last)), "{drills:?}");
    assert_eq!(drills.last().map(|drill| &drill["name"]), Some(&json!("rehearsal")), "{drills:?}");
    let took = drills[0]["rto"]["totalSeconds"].as_f64().expect("a time");
    becomes(stage, "reprise_drill_duration_seconds{plan=\"apilos\"}", took).await;
    let page = stage.daemon.run(&["describe", "apilos"]).await;
    assert!(page.contains("Drills that succeeded") && page.contains(last), "{page}");
}

/// The daemon looks by itself what a recovery would need, for as long as none is at work.
async fn nobody_has_to_ask_for_a_preflight(stage: &Stage) {
    let looked = poll(async || {
        let score = stage.daemon.metric("reprise_preflight_score{plan=\"apilos\"}").await;
        score.filter(|score| (0.0..=1.0).contains(score))
    });
    let score = looked.await.expect("a preflight");
    let kept = &described(stage).await["status"];
    let (good, of) = (&kept["preflight"]["score"]["good"], &kept["preflight"]["score"]["of"]);
    let share = good.as_f64().zip(of.as_f64()).map(|(good, of)| good / of).expect("a score");
    assert!(share > 0.5 && (share - score).abs() < 1.0, "{score}: {kept}");
    // What it saw at the code host and at the DNS provider is on record.
    assert!(kept["namesTtlSeconds"].as_u64() > Some(0), "{kept}");
    let artifact = stage.daemon.metric("reprise_artifact_timestamp_seconds{plan=\"apilos\"}").await;
    let looked = "reprise_freshness_looked_timestamp_seconds{plan=\"apilos\",what=\"artifact\"}";
    let artifacts = stage.daemon.metric(looked).await;
    assert!(artifact.is_some() && artifacts > artifact, "{artifact:?}, {artifacts:?}");
}

/// What was drilled is neither what would be deployed today nor what it would be given; and what is on record of the drill stays as it was.
async fn newer_code_ends_the_proof(stage: &mut Stage, last: &str) {
    let newest = Code::of(stage).put("NEWS", b"something else\n");
    keeps(stage, "signed-otherwise").await;
    // Both are known for minutes to a daemon that runs.
    stage.daemon.stop().await;
    stage.daemon.start().await;
    becomes(stage, "reprise_plan_proven{plan=\"apilos\"}", 0.0).await;
    let told = stage.daemon.run(&["describe", NAME]).await;
    let changed = format!("Proven:     False: changed since the drill {last}");
    assert!(told.contains(&format!("a kept variable of {}", APPS[0])), "{told}");
    assert!(!told.contains(&format!("a kept variable of {}", APPS[1])), "{told}");
    let everything = stage.daemon.records().everything().await + &stage.daemon.printed();
    assert!(!everything.contains("signed-"), "a value that is kept is on record");
    assert!(
        told.contains(&changed) && told.contains(&format!("the code of {} (now {})", APPS[0], &newest[..12])),
        "{told}"
    );

    let shown = async || stage.daemon.run(&["evidence", "rehearsal"]).await;
    let before = shown().await;
    for step in ["choose-backup | pg", "restore | server", "deploy/apilos", " | git | "] {
        assert!(before.contains(step), "{step}: {before}");
    }
    stage.daemon.records().execute("UPDATE backup_verdicts SET tools = '{\"pg_restore\": \"99.9\"}'").await;
    assert_eq!(shown().await, before);
}

/// Another plan is not proven; and what was drilled is held against what was asked for then.
async fn a_change_ends_the_proof_and_judges_nothing_anew(stage: &Stage, last: &str) {
    let strict = plan().with("stall: 5m", "stall: 6m").with("rto: 2h", "rto: 1s");
    stage.daemon.apply(&strict).await;
    becomes(stage, "reprise_plan_proven{plan=\"apilos\"}", 0.0).await;
    becomes(stage, "reprise_objective_rto_seconds{plan=\"apilos\"}", 1.0).await;
    let evidence: Value =
        serde_json::from_str(&stage.daemon.run(&["evidence", "rehearsal", "-o", "json"]).await)
            .expect("JSON");
    let asked = &evidence["objectives"][0];
    assert_eq!((&asked["wantedSeconds"], &asked["met"]), (&7200.0.into(), &true.into()), "{asked}");
    for page in ["markdown", "html"] {
        let page = stage.daemon.run(&["evidence", "rehearsal", "--page", page]).await;
        let row = page.split("recovery time (RTO)").nth(1).and_then(|rest| rest.split("RPO").next());
        assert!(
            row.is_some_and(|row| row.contains("yes") && !row.contains("no<") && !row.contains("**no")),
            "{page}"
        );
    }
    let told = stage.daemon.run(&["describe", "apilos"]).await;
    assert!(
        told.contains(&format!("Proven:     False: changed since the drill {last}"))
            && told.contains(": the plan"),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drill_reaches_dns_ok_under_its_own_names_and_leaves_nothing_behind() {
    play(41, async |stage: &mut Stage| {
        stage.daemon.start().await;
        keeps(stage, "signed-as-ever").await;
        stage.daemon.apply(&plan()).await;
        // Vendors take most of the time, as in life: else the prediction would be one of how busy this machine is.
        stage.world.break_("provision", "", None, Fault::Latency { ms: 12_000 });
        let before = standing(stage);
        let request = file(stage).await;
        let end = stage.daemon.records().succeeded(&request).await;
        assert_eq!(end.state, "dns-ok");
        assert!(end.status["rto"]["totalSeconds"].as_f64() > Some(0.0), "{:?}", end.status);

        let steps = stage.daemon.records().steps(&request).await;
        let probes: Vec<&str> = steps.iter().filter_map(|step| step.step.strip_prefix("probe/")).collect();
        assert_eq!(probes.len(), DOMAINS.len());
        assert!(probes.iter().all(|host| host.ends_with(".drill.apilos.test")), "{probes:?}");
        nothing_is_left(stage, &request, &before).await;
        let last = proves_the_plan_and_predicts_the_next(stage).await;
        assert_eq!(standing(stage), before);
        the_trend_is_kept(stage, last).await;
        nobody_has_to_ask_for_a_preflight(stage).await;
        their_rights_were_seen(stage, last).await;
        a_larger_database_is_predicted_to_take_longer(stage).await;
        newer_code_ends_the_proof(stage, last).await;
        a_change_ends_the_proof_and_judges_nothing_anew(stage, last).await;
        // What a rehearsal must not know never left for the platform.
        assert!(!stage.world.journal().iter().any(|entry| format!("{entry:?}").contains("ops@apilos.test")));
    })
    .await;
}

/// A daemon that is killed takes seconds to be back.
const KILLS: usize = 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drill_whose_daemon_is_killed_again_and_again_leaves_nothing_behind() {
    play(42, async |stage: &mut Stage| {
        stage.daemon.start().await;
        stage.daemon.apply(&Plan::example()).await;
        let before = standing(stage);
        let request = file(stage).await;
        // At so many steps while they run, whichever come; and in the tear-down.
        let mut killed: BTreeSet<String> = BTreeSet::new();
        while !killed.contains("tear-down") {
            let enough = killed.len() >= KILLS;
            let wanted = |step: &StepLine| {
                step.phase == "Running"
                    && (step.step == "tear-down" || !enough)
                    && !killed.contains(&step.step)
            };
            let running = async || stage.daemon.records().steps(&request).await.into_iter().find(wanted);
            let running = poll(running).await.unwrap_or_else(|| panic!("no other step runs than {killed:?}"));
            stage.daemon.kill().await;
            stage.daemon.start().await;
            killed.insert(running.step);
        }
        assert!(killed.len() > KILLS / 2, "it was killed at {killed:?} alone");
        stage.daemon.records().succeeded(&request).await;
        nothing_is_left(stage, &request, &before).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drill_that_fails_is_torn_down_and_says_why() {
    play(43, async |stage: &mut Stage| {
        stage.daemon.start().await;
        let asks = "expect: { atLeast: 1 }\n    - name";
        stage.daemon.apply(&Plan::example().with(asks, "expect: { atLeast: 1000000 }\n    - name")).await;
        let before = standing(stage);
        let request = file(stage).await;
        let message = stage.daemon.records().failed(&request).await;
        assert!(message.contains("check-database"), "{message}");
        nothing_is_left(stage, &request, &before).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_due_drill_files_itself_proves_the_plan_fresh_and_is_alone() {
    play(44, async |stage: &mut Stage| {
        let often = "{ schedule: { cron: '*/2 * * * * *', jitter: 0s } }";
        stage.daemon.start().await;
        stage.daemon.apply(&Plan::example().and("drill", often)).await;
        let overdue = "reprise_freshness_ok{plan=\"apilos\",what=\"drill\"}";
        let told = async |value| {
            let told = poll(async || (stage.daemon.metric(overdue).await == Some(value)).then_some(())).await;
            assert!(told.is_some(), "{overdue} was never {value}");
        };
        told(0.0).await;
        let records = stage.daemon.records();
        let filed = "SELECT name FROM recovery_requests ORDER BY created_at";
        let name = poll(async || records.column(filed).await.into_iter().next()).await.expect("nothing was filed");
        assert!(name.starts_with("apilos-drill-"), "{name}");
        records.succeeded(&Request::named(&name)).await;
        let waits = "SELECT count(*)::text FROM scheduled_runs WHERE job = 'drill' AND message LIKE '%waits for its end'";
        assert_ne!(records.column(waits).await, ["0"], "no later run came due meanwhile");
        told(1.0).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drill_gives_way_to_a_recovery() {
    play(45, async |stage: &mut Stage| {
        stage.daemon.start().await;
        stage.daemon.apply(&Plan::example()).await;
        let drill = file(stage).await;
        stage.daemon.records().step_is(&drill, "postgresql", |seen| seen.phase == "Done").await;
        let recovery = stage.file().await;
        let end = stage.daemon.records().ended(&drill).await;
        assert_eq!(end.phase, "Cancelled", "{:?}", end.status);
        stage.daemon.records().succeeded(&recovery).await;
        let ledger = stage.daemon.records().ledger(&drill).await;
        assert!(ledger.iter().all(|line| line.state == "deleted"), "{ledger:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drill_that_may_cost_more_than_the_plan_allows_makes_nothing() {
    play(47, async |stage: &mut Stage| {
        let priced = |ceiling: u32| {
            let drill = format!(
                "{{ enabled: false, costCeilingCents: {ceiling}, monthlyCents: {{ S: 720, M: 1440 }} }}"
            );
            Plan::example().and("drill", &drill)
        };
        stage.daemon.start().await;
        stage.daemon.apply(&priced(1)).await;
        let before = standing(stage);
        let request = file(stage).await;
        let told = stage.daemon.records().failed(&request).await;
        assert!(told.contains("more than the plan allows a drill (0.01 euros)"), "{told}");
        assert_eq!(standing(stage), before);
        let made = stage.daemon.records().ledger(&request).await;
        assert!(made.is_empty(), "{made:?}");

        stage.daemon.apply(&priced(10_000)).await;
        let affordable = file_as(stage, "affordable").await;
        stage.daemon.records().step_is(&affordable, "inventory", |seen| seen.phase == "Done").await;
        let evidence = stage.daemon.run(&["evidence", "affordable"]).await;
        assert!(
            evidence.contains("it may cost ") && evidence.contains(" x postgresql-starter-512"),
            "{evidence}"
        );
        stage.daemon.run(&["cancel", "affordable"]).await;
        stage.daemon.records().ended(&affordable).await;
    })
    .await;
}
