//! The newest backup may be the poisoned one; and what a proof may take of disk and line.

use std::fs::OpenOptions;
use std::path::Path;

use reprise_e2e::plan::{NAME, Plan, far};
use reprise_e2e::records::{Request, poll};
use reprise_e2e::stage::{Stage, play};
use reprise_sandbox::control::Disaster;
use serde_json::Value;

use crate::platform::Code;
use crate::proof::{asked_for, choice, in_production, night, until};

/// Waits until the metric says so.
async fn suspected(stage: &Stage, wanted: bool) {
    until(stage, "reprise_backup_suspicious{plan=\"apilos\"}", |value| (value > 0.5) == wanted).await;
}

/// What Django keeps in the database.
const DJANGO: &str =
    "CREATE TABLE django_migrations (id serial, app text, name text, applied timestamptz DEFAULT now());
                      INSERT INTO django_migrations (app, name) VALUES ('shop', '0001_initial')";
/// A hotfix that the plan's ref does not have: it migrates, and empties the largest table.
const HOTFIX: &str =
    "INSERT INTO django_migrations (app, name) VALUES ('shop', '0002_hotfix'); DELETE FROM public.evenements";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_night_that_lost_most_rows_is_passed_over_until_somebody_says_that_it_was_meant() {
    play(56, async |stage: &mut Stage| {
        stage.daemon.start().await;
        stage.daemon.apply(&Plan::example()).await;
        Code::of(stage).put("shop/migrations/0001_initial.py", b"");
        in_production(stage, DJANGO).await;
        let whole = night(stage).await;
        let (well, told) = asked_for(stage, &whole).await;
        assert!(well && told.contains(": asserted"), "{told}");
        suspected(stage, false).await;

        in_production(stage, HOTFIX).await;
        let poisoned = night(stage).await;
        let (well, told) = asked_for(stage, &poisoned).await;
        // Nothing is wrong with its bytes, and the newest code would suit it.
        assert!(well && told.contains("shop 0002_hotfix"), "{told}");
        suspected(stage, true).await;
        let listed = stage.daemon.run(&["backups", NAME]).await;
        assert!(
            listed.contains("SUSPICIOUS: ") && listed.contains("public.evenements fell from "),
            "{listed}"
        );

        stage.world.strike(Disaster::Data).await;
        let request = stage.file().await;
        let chosen = choice(stage, &request).await;
        assert_eq!(chosen["name"], Value::from(whole), "{chosen}");
        let lost = &chosen["refused"][0];
        assert_eq!((&lost["backup"], &lost["reason"]), (&poisoned.as_str().into(), &"rows-fallen".into()));
        stage.daemon.run(&["cancel", request.name()]).await;
        stage.daemon.records().ended(&request).await;

        stage.daemon.run(&["backups", NAME, "--accept", &poisoned]).await;
        suspected(stage, false).await;
        is_chosen_by_another_request(stage, poisoned).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_night_that_lost_most_rows_is_passed_over_also_before_anybody_has_proven_it() {
    play(58, async |stage: &mut Stage| {
        stage.daemon.start().await;
        let never = format!("{{ schedule: {{ cron: \"{}\" }} }}", far());
        stage.daemon.apply(&Plan::example().and("proof", &never)).await;
        let whole = night(stage).await;
        let (well, told) = asked_for(stage, &whole).await;
        assert!(well && told.contains(": asserted"), "{told}");

        in_production(stage, "DELETE FROM public.evenements").await;
        let poisoned = night(stage).await;
        // The platform lists it as finished; what is proven again meanwhile is the other one.
        let finished = async || {
            asked_for(stage, &whole).await;
            stage.daemon.run(&["backups", NAME]).await.contains(&poisoned).then_some(())
        };
        poll(finished).await.expect("a finished backup");
        let rung = format!("SELECT rung || climbs FROM backup_verdicts WHERE name = '{poisoned}'");
        assert_eq!(stage.daemon.records().column(&rung).await, ["listed0"]);

        stage.world.strike(Disaster::Data).await;
        let request = stage.file().await;
        let chosen = choice(stage, &request).await;
        assert_eq!(chosen["name"], Value::from(whole), "{chosen}");
        let lost = &chosen["refused"][0];
        assert_eq!((&lost["backup"], &lost["reason"]), (&poisoned.as_str().into(), &"rows-fallen".into()));
        assert!(
            lost["message"].as_str().is_some_and(|why| why.contains("public.evenements fell from ")),
            "{lost}"
        );
        stage.daemon.run(&["cancel", request.name()]).await;
        stage.daemon.records().ended(&request).await;

        stage.daemon.run(&["backups", NAME, "--accept", &poisoned]).await;
        is_chosen_by_another_request(stage, poisoned).await;
    })
    .await;
}

/// Some MiB that no compression makes small.
const BULK: &str =
    "CREATE TABLE public.bulk AS SELECT sha256(n::text::bytea) AS noise FROM generate_series(1, 100000) AS n";
/// What they are at least, packed.
const BYTES: f64 = 3.0 * 1024.0 * 1024.0;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proof_keeps_to_its_rate_and_its_disk_and_old_ones_are_looked_at_again() {
    play(57, async |stage: &mut Stage| {
        stage.daemon.start().await;
        let proof = |often: &str| {
            let limits = format!("maxMibPerSecond: 1, maxDiskGib: 1, sampleEvery: {often}");
            Plan::example().and("proof", &format!("{{ schedule: {{ cron: \"{}\" }}, {limits} }}", far()))
        };
        stage.daemon.apply(&proof("1d")).await;
        in_production(stage, BULK).await;
        let large = night(stage).await;
        // It is there as soon as the platform has finished it.
        let (_, told) = asked_for(stage, &large).await;
        assert!(told.contains(": asserted"), "{told}");
        let listed: Value =
            serde_json::from_str(&stage.daemon.run(&["backups", NAME, "-o", "json"]).await).expect("JSON");
        let row =
            listed["backups"].as_array().into_iter().flatten().find(|row| row["name"] == large.as_str());
        let row = row.expect("it is listed");
        let (bytes, took) = (row["sizeBytes"].as_f64(), row["secondsToRung"]["downloaded"].as_f64());
        let (bytes, took) = (bytes.expect("a size"), took.expect("a time"));
        assert!(bytes > BYTES, "{bytes} bytes say nothing about a rate");
        assert!(took >= bytes / f64::from(1 << 20), "{bytes} bytes came in {took} s");

        // While it comes, something else fills the folder beyond what the proof may take.
        let again = stage.daemon.begin(&["prove", NAME, "--dev", "--backup", &large]);
        // The folder is made anew for it, and what is put there now stays. The download takes seconds from then on.
        let under_way = async || stage.daemon.tried_now().pop();
        fill(&poll(under_way).await.expect("a download"));
        let ended = again.wait_with_output().await.expect("it ends");
        let told = String::from_utf8_lossy(&ended.stdout);
        assert!(told.contains("it needs more than the 1073741824 bytes of disk"), "{told}");
        assert!(!ended.status.success() && stage.daemon.tried_now().is_empty(), "{told}");

        // All that is known is old as soon as it is known.
        let prove = ["prove", NAME, "--dev", "-o", "json"];
        stage.daemon.apply(&proof("1s")).await;
        stage
            .daemon
            .records()
            .execute("UPDATE backup_verdicts SET settled = true, retry_at = NULL, climbs = 2")
            .await;
        let why = async || -> Vec<Value> {
            let (_, told) = stage.daemon.ask(&prove).await;
            let summary: Value = serde_json::from_str(&told).expect("JSON");
            summary["taken"].as_array().into_iter().flatten().map(|one| one["why"].clone()).collect()
        };
        let sampled = async || why().await.first().cloned();
        assert_eq!(poll(sampled).await, Some(Value::from("sample")));
        // Nothing is old by the plan's measure: nothing is drawn.
        stage.daemon.apply(&proof("1d")).await;
        stage.daemon.records().execute("UPDATE backup_verdicts SET checked_at = clock_timestamp()").await;
        assert_eq!(why().await, [Value::Null; 0]);
    })
    .await;
}

/// Two GiB that take no place.
fn fill(folder: &Path) {
    let ballast = OpenOptions::new().write(true).create_new(true).open(folder.join("ballast"));
    ballast.and_then(|file| file.set_len(2 << 30)).expect("a file");
}

/// What somebody said was meant is what a request that is filed since takes.
async fn is_chosen_by_another_request(stage: &Stage, backup: String) {
    let sql = format!("INSERT INTO recovery_requests (name, plan) VALUES ('as-it-was-meant', '{NAME}')");
    stage.daemon.records().execute(&sql).await;
    let request = Request::named("as-it-was-meant");
    assert_eq!(choice(stage, &request).await["name"], Value::from(backup));
    stage.daemon.run(&["cancel", request.name()]).await;
    stage.daemon.records().ended(&request).await;
}
