//! A request that is held: by a person, or until a person agrees to what is lost.

use reprise_e2e::plan::{APPS, DOMAINS, Plan};
use reprise_e2e::stage::{Stage, play};
use reprise_e2e::world::Fault;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_loss_beyond_the_plans_limit_waits_for_a_person_and_makes_nothing_meanwhile() {
    play(61, async |stage: &mut Stage| {
        let asks = Plan::example().with("\n    stall: 5m", "\n    stall: 5m\n    lossWithoutApproval: 1m");
        let request = stage.bad_day(&asks).await;
        let records = stage.daemon.records();
        let waits = records.stands(&request, |now| now.phase == "WaitingApproval").await;
        assert!(waits.message().contains("reprise approve"), "{}", waits.message());
        assert_eq!(waits.state, "backup-selected");
        assert!(records.ledger(&request).await.is_empty(), "something was made");

        // The wait outlives the daemon.
        stage.daemon.kill().await;
        stage.daemon.start().await;
        stage.daemon.run(&["approve", "the-bad-day", "--by", "Ada"]).await;
        let records = stage.daemon.records();
        records.succeeded(&request).await;
        let (well, told) = stage.daemon.ask(&["approve", "the-bad-day", "--by", "Bob"]).await;
        assert!(!well && told.contains("waits for nobody to agree"), "{told}");
        let told = records.column("SELECT message FROM recovery_events WHERE reason = 'Approved'").await;
        let [told] = told.as_slice() else { panic!("{told:?}") };
        assert!(told.starts_with("Ada agreed at "), "{told}");
        let evidence = stage.daemon.run(&["evidence", "the-bad-day"]).await;
        assert!(evidence.contains("Ada agreed at "), "{evidence}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_request_does_nothing_until_it_is_resumed() {
    play(62, async |stage: &mut Stage| {
        let request = stage.bad_day(&Plan::example()).await;
        stage.daemon.records().step_is(&request, "postgresql", |seen| seen.phase == "Running").await;
        stage.daemon.run(&["pause", "the-bad-day"]).await;
        stage.daemon.records().stands(&request, |now| now.phase == "Paused").await;
        let steps = stage.daemon.records().steps(&request).await;
        assert!(steps.iter().all(|step| step.phase != "Running"), "{steps:?}");
        let before = stage.world.journal().len();

        // A restart resumes nothing either.
        stage.daemon.kill().await;
        stage.daemon.start().await;
        stage.daemon.records().stands(&request, |now| now.phase == "Paused").await;
        assert_eq!(stage.world.journal().len(), before, "something was asked of a vendor");

        // What is changed in the plan meanwhile is what is done.
        stage.daemon.apply(&Plan::example().with("ttl: 300", "ttl: 120")).await;
        stage.daemon.run(&["resume", "the-bad-day"]).await;
        stage.daemon.records().succeeded(&request).await;
        let alias = stage.world.aliases("siap");
        assert_eq!(alias[0]["ttl"], 120, "{alias:?}");
        assert_eq!(stage.world.visit(DOMAINS[0], "/healthz").await.status.as_u16(), 200);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resume_that_comes_while_the_failed_try_is_being_closed_is_not_lost() {
    play(68, async |stage: &mut Stage| {
        // The key that it registers is slow to go: the request has failed, and has not ended yet.
        stage.daemon.unset("SCALINGO_SSH_KEY");
        stage.world.break_("DELETE", "/v1/keys", Some(1), Fault::Latency { ms: 6_000 });
        stage.world.break_("build", APPS[0], Some(1), Fault::Reject { reason: "build-error".to_owned() });
        let request = stage.bad_day(&Plan::example()).await;
        let records = stage.daemon.records();
        records.step_is(&request, "cleanup", |seen| seen.phase == "Running").await;
        stage.daemon.run(&["resume", "the-bad-day"]).await;
        let still = records.standing(&request).await;
        assert_eq!(still.phase, "Running", "it ended too soon for this scene");
        records.succeeded(&request).await;
    })
    .await;
}
