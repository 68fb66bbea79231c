//! Undoing: whatever was lost on the way, what was made goes, and nothing else does.

use reprise_e2e::plan::{BUCKET, DOMAINS, Plan};
use reprise_e2e::records::Request;
use reprise_e2e::stage::{Stage, play};
use reprise_e2e::world::Fault;
use reqwest::Method;
use serde_json::json;

use crate::drill::{file, file_as, nothing_is_left, standing};

/// The calls with which a drill makes something. A path is matched where it is contained: the shortest comes last.
const MAKING: [&str; 7] =
    ["/v1/projects", "/v1/keys", "/addons", "/users", "/domains", "/v1/record/", "/v1/apps"];

/// The calls with which it is undone, in the same way.
const UNDOING: [&str; 5] = ["/v1/record/", "/domains", "/v1/apps", "/v1/projects", "/v1/keys"];

/// So slow an answer never arrives while a scene plays.
const NEVER: Fault = Fault::SlowBody { bytes_per_second: 1 };

/// Takes tokens out of the way of the rules that follow: they are asked for by POST, too, and create nothing.
fn spare_tokens(stage: &Stage) {
    stage.world.break_("POST", "/token", None, Fault::Latency { ms: 0 });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drill_all_of_whose_answers_are_lost_leaves_nothing_behind() {
    play(48, async |stage: &mut Stage| {
        // Without a key of the operator's it registers one of its own.
        stage.daemon.unset("SCALINGO_SSH_KEY");
        stage.daemon.start().await;
        stage.daemon.apply(&Plan::example()).await;
        let before = standing(stage);
        spare_tokens(stage);
        let lost = UNDOING.iter().map(|call| ("DELETE", *call)).chain(MAKING.map(|call| ("POST", call)));
        for (method, call) in lost.chain([("CreateBucket", ""), ("DeleteBucket", "")]) {
            stage.world.break_(method, call, Some(1), Fault::DropAfter);
        }
        // More documents than a stall's time would do for: each that goes is a sign of life.
        stage.world.break_("DeleteObject", BUCKET, None, Fault::Latency { ms: 600 });
        let request = file(stage).await;
        stage.daemon.records().succeeded(&request).await;
        let mut left = stage.world.faults_left();
        left.retain(|rule| rule.fault == Fault::DropAfter);
        assert!(left.is_empty(), "these answers were never lost: {left:?}");
        nothing_is_left(stage, &request, &before).await;
        let stalled = "SELECT message FROM recovery_events WHERE message LIKE 'nothing moved%'";
        assert_eq!(stage.daemon.records().column(stalled).await, [""; 0]);
    })
    .await;
}

/// Kills the daemon when `call` has taken effect and its answer is on its way, and cancels the drill: the ledger knows no id.
async fn dies_unanswered(stage: &mut Stage, name: &str, call: &str) {
    let before = standing(stage);
    spare_tokens(stage);
    stage.world.break_("POST", call, Some(1), NEVER);
    let request = file_as(stage, name).await;
    stage.eventually(call, |stage| stage.world.trickles(call)).await;
    let intended = "SELECT count(*)::text FROM resource_ledger WHERE state = 'intended' AND request = ";
    let open = stage.daemon.records().column(&format!("{intended}'{name}'")).await;
    assert_ne!(open, ["0"], "{call}: its answer came");
    let cancel = format!("UPDATE recovery_requests SET desired = 'cancel' WHERE name = '{name}'");
    stage.daemon.records().execute(&cancel).await;
    dies_and_is_cancelled(stage, &request, call).await;
    assert_eq!(standing(stage), before, "{call}");
}

async fn dies_and_is_cancelled(stage: &mut Stage, request: &Request, what: &str) {
    stage.daemon.kill().await;
    stage.world.mend();
    stage.daemon.start().await;
    let end = stage.daemon.records().ended(request).await;
    assert_eq!(end.phase, "Cancelled", "{what}: {}", end.message());
    let ledger = stage.daemon.records().ledger(request).await;
    assert!(ledger.iter().all(|line| line.state == "deleted"), "{what}: {ledger:?}");
    let alone = "SELECT message FROM recovery_events WHERE reason = 'LeftAlone'";
    assert_eq!(stage.daemon.records().column(alone).await, [""; 0], "{what}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_made_as_the_daemon_died_is_found_and_removed() {
    play(49, async |stage: &mut Stage| {
        stage.daemon.unset("SCALINGO_SSH_KEY");
        stage.daemon.start().await;
        stage.daemon.apply(&Plan::example()).await;
        for (number, call) in ["/v1/projects", "/v1/keys", "/v1/apps", "/addons", "/users"].iter().enumerate()
        {
            dies_unanswered(stage, &format!("lost-{number}"), call).await;
        }
        // The store answers nothing that could be slow: the daemon dies before it marks what it made.
        let before = standing(stage);
        stage.world.break_("PutBucketTagging", BUCKET, None, Fault::Stall);
        let request = file_as(stage, "lost-bucket").await;
        let made = |stage: &Stage| standing(stage)["buckets"] != before["buckets"];
        stage.eventually("a bucket", made).await;
        let cancel = "UPDATE recovery_requests SET desired = 'cancel' WHERE name = 'lost-bucket'";
        stage.daemon.records().execute(cancel).await;
        dies_and_is_cancelled(stage, &request, "the bucket").await;
        assert_eq!(standing(stage), before);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_that_were_made_as_the_daemon_died_are_found_and_removed() {
    play(50, async |stage: &mut Stage| {
        stage.daemon.start().await;
        stage.daemon.apply(&Plan::example()).await;
        for (number, call) in ["/domains", "/v1/record/"].iter().enumerate() {
            dies_unanswered(stage, &format!("lost-{number}"), call).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drill_that_can_be_run_no_more_is_torn_down_when_its_time_is_over() {
    play(51, async |stage: &mut Stage| {
        stage.daemon.start().await;
        stage.daemon.apply(&Plan::example()).await;
        let before = standing(stage);
        stage.world.break_("provision", "", None, Fault::Stall);
        let request = file(stage).await;
        stage.daemon.records().step_is(&request, "postgresql", |seen| seen.phase == "Running").await;
        stage.eventually("an addon", |stage| standing(stage)["addons"] != before["addons"]).await;

        // Nothing that it needs to go on is there any more.
        stage.daemon.records().execute("UPDATE recovery_plans SET spec = '{\"apps\": 7}'").await;
        stage.daemon.kill().await;
        stage.world.mend();
        stage.daemon.unset("APILOS_SECRET_KEY");
        stage.daemon.start().await;
        let waits = |told: &str| told.contains("APILOS_SECRET_KEY");
        stage.daemon.records().stands(&request, |now| waits(now.message())).await;
        assert_ne!(standing(stage), before, "it may be mended until its time is over");

        let over = "UPDATE recovery_requests SET started_at = started_at - interval '7 hours'";
        stage.daemon.records().execute(over).await;
        let message = stage.daemon.records().failed(&request).await;
        assert!(message.contains("drill.timeToLive"), "{message}");
        nothing_is_left(stage, &request, &before).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_that_the_plan_names_no_more_is_told_and_goes_once_it_is_named_again() {
    play(52, async |stage: &mut Stage| {
        let request = stage.bad_day(&Plan::example()).await;
        let records = stage.daemon.records();
        records.step_is(&request, "bucket", |seen| seen.phase == "Done").await;
        records.execute("UPDATE recovery_requests SET desired = 'cancel'").await;
        records.stands(&request, |now| now.phase == "Cancelled").await;
        stage.daemon.apply(&Plan::example().with("name: apilos-pra\n", "name: apilos-elsewhere\n")).await;
        stage.daemon.run(&["cancel", request.name(), "--clean"]).await;
        let told = stage.daemon.records().failed(&request).await;
        assert!(
            told.contains("the plan does not name it any more. What to do: name it under target.bucket"),
            "{told}"
        );
        let there = |stage: &Stage| !stage.world.inventory()["buckets"]["source"][BUCKET].is_null();
        assert!(there(stage), "it was deleted all the same");
        assert_eq!(stage.world.count("projects", "name", "apilos-pra"), 0, "it held up what is not in it");

        stage.daemon.apply(&Plan::example()).await;
        stage.daemon.run(&["resume", request.name()]).await;
        stage.daemon.records().stands(&request, |now| now.phase == "Cancelled").await;
        assert!(!there(stage), "it was left behind");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_that_is_busy_is_deleted_once_it_is_idle() {
    play(55, async |stage: &mut Stage| {
        let busy = Fault::Status { status: 409, body: None, retry_after: None };
        stage.world.break_("DELETE", "/v1/apps", Some(2), busy);
        let request = stage.bad_day(&Plan::example()).await;
        let records = stage.daemon.records();
        records.step_is(&request, "postgresql", |step| step.phase == "Done").await;
        stage.daemon.run(&["cancel", request.name(), "--clean"]).await;
        let end = records.ended(&request).await;
        assert_eq!(end.phase, "Cancelled", "{}", end.message());
        assert!(stage.world.faults_left().is_empty(), "nobody was told that it is busy");
        let left = records.ledger(&request).await;
        assert!(left.iter().all(|row| row.state == "deleted"), "{left:?}");
        assert_eq!(stage.world.count("projects", "name", "apilos-pra"), 0, "it is there still");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_made_and_then_refused_as_a_second_one_is_found() {
    play(53, async |stage: &mut Stage| {
        stage.daemon.start().await;
        stage.daemon.apply(&Plan::example()).await;
        let before = standing(stage);
        // What comes back is the answer to the second delivery: there is such a record already.
        stage.world.break_("POST", "/v1/record/", Some(1), Fault::Duplicate);
        let request = file(stage).await;
        stage.daemon.records().succeeded(&request).await;
        assert!(
            stage.world.journal().iter().any(|entry| entry.service == "alwaysdata" && entry.status == 400)
        );
        nothing_is_left(stage, &request, &before).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_there_before_stays_and_what_was_taken_is_given_back() {
    play(54, async |stage: &mut Stage| {
        let project = json!({ "project": { "name": "apilos-pra" } });
        stage.world.platform(Method::POST, "projects", Some(project)).await;
        stage.world.break_("DELETE", "/domains", Some(1), Fault::DropAfter);
        let request = stage.bad_day(&Plan::example()).await;
        let records = stage.daemon.records();
        records.succeeded(&request).await;
        assert!(stage.world.faults_left().is_empty(), "no answer was lost");
        // As if the project were of long ago, and not of this very minute.
        let later =
            "UPDATE resource_ledger SET intended_at = intended_at + interval '1 hour' WHERE kind = 'project'";
        records.execute(later).await;
        stage.daemon.run(&["cancel", request.name(), "--clean"]).await;
        records.stands(&request, |now| now.phase == "Cancelled").await;
        let held = stage.world.inventory()["domains"].as_array().cloned().unwrap_or_default();
        for (domain, app) in DOMAINS.iter().zip(["apilos-siap", "apilos-standalone"]) {
            let back = held.iter().any(|one| one["name"] == *domain && one["app"] == app);
            assert!(back, "{domain} is not {app}'s again: {held:?}");
        }
        assert_eq!(stage.world.count("projects", "name", "apilos-pra"), 1, "it was somebody's");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_whose_attaching_got_no_answer_goes_back_to_the_app_that_it_was_taken_from() {
    play(66, async |stage: &mut Stage| {
        stage.daemon.start().await;
        stage.daemon.apply(&Plan::example()).await;
        let before = standing(stage);
        stage.world.break_("POST", "/domains", Some(1), NEVER);
        let request = stage.file().await;
        stage.eventually("a name is attached", |stage| stage.world.trickles("/domains")).await;
        let undo = "UPDATE recovery_requests SET deletion_requested_at = now()";
        stage.daemon.records().execute(undo).await;
        dies_and_is_cancelled(stage, &request, "the name").await;
        assert_eq!(standing(stage), before);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_tear_down_that_failed_left_behind_goes_after_the_next_start() {
    play(67, async |stage: &mut Stage| {
        stage.daemon.start().await;
        stage.daemon.apply(&Plan::example()).await;
        let before = standing(stage);
        // A proxy takes two calls that come to nothing, and the platform refuses what it should not: while the first may pass, the step is
        // tried again, and then the refusal is its end.
        let taken = || Fault::HtmlPage { status: 200 };
        stage.world.break_("DELETE", "/v1/record/", Some(1), taken());
        let refusal = Fault::Status { status: 422, body: None, retry_after: None };
        stage.world.break_("DELETE", "/domains", None, refusal);
        let request = file(stage).await;
        let told = stage.daemon.records().failed(&request).await;
        assert!(told.contains("step tear-down failed: undoing domain"), "{told}");
        assert_ne!(standing(stage), before, "nothing was left behind");
        stage.world.mend();
        stage.world.break_("DELETE", "/v1/projects", Some(1), taken());

        // What has just ended rests: a daemon that dies again and again would ask and ask.
        let ended = "UPDATE recovery_requests SET finished_at = finished_at - interval '6 minutes'";
        stage.daemon.records().execute(ended).await;
        stage.daemon.kill().await;
        stage.daemon.start().await;
        stage.daemon.records().stands(&request, |now| now.phase == "Succeeded").await;
        let taken =
            "SELECT DISTINCT step FROM recovery_events WHERE message LIKE '%nothing has come of it so far%'";
        assert_eq!(stage.daemon.records().column(taken).await, ["tear-down"]);
        let reopened = "SELECT reason FROM recovery_events WHERE reason = 'TearDownReopened'";
        assert_eq!(stage.daemon.records().column(reopened).await, ["TearDownReopened"]);
        nothing_is_left(stage, &request, &before).await;
    })
    .await;
}
