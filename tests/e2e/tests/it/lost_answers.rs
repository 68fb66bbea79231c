//! Calls that took effect and whose answers were lost: each is looked for, none is repeated.

use reprise_e2e::plan::{APPS, Plan};
use reprise_e2e::stage::{Stage, play};
use reprise_e2e::world::Fault;

use crate::evidence::recovered;

/// The calls that create what is billed or seen by people. A path is matched where it is contained: the shortest comes last.
const CALLS: [&str; 7] = [
    "/v1/projects",
    "/apilos-siap-pra/addons",
    "/collaborators",
    "/users",
    "/domains",
    "/v1/record/",
    "/v1/apps",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_created_without_an_answer_is_found_and_not_created_again() {
    play(12, async |stage: &mut Stage| {
        stage.world.unpoint("siap").await;
        // Taken out of the way of the others: tokens are asked for by POST, too, and create nothing.
        stage.world.break_("POST", "/token", None, Fault::Latency { ms: 0 });
        for call in CALLS {
            stage.world.break_("POST", call, Some(1), Fault::DropAfter);
        }
        stage.world.break_("CreateBucket", "", Some(1), Fault::DropAfter);
        // A name is taken from the app that is replaced: that is known, too.
        stage.world.break_("DELETE", "/domains/", Some(1), Fault::DropAfter);
        let request = stage.bad_day(&Plan::example()).await;
        stage.daemon.records().succeeded(&request).await;
        let mut left = stage.world.faults_left();
        left.retain(|rule| rule.fault == Fault::DropAfter);
        assert!(left.is_empty(), "these answers were never lost: {left:?}");
        recovered(stage, &request).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_made_and_not_marked_yet_goes_with_its_request() {
    play(13, async |stage: &mut Stage| {
        stage.world.break_("PUT", "/variables", None, Fault::Stall);
        let request = stage.bad_day(&Plan::example()).await;
        let made = |stage: &Stage| APPS.iter().any(|app| stage.world.count("apps", "name", app) == 1);
        stage.eventually("an app that is not marked", made).await;
        stage.daemon.run(&["cancel", request.name(), "--clean"]).await;
        stage.daemon.records().stands(&request, |now| now.phase == "Cancelled").await;
        for app in APPS {
            assert_eq!(stage.world.count("apps", "name", app), 0, "{app} was left behind");
        }
        let left = "SELECT message FROM recovery_events WHERE reason = 'LeftAlone'";
        assert_eq!(stage.daemon.records().column(left).await, [""; 0]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_answer_says_is_not_believed_before_it_was_asked_again() {
    play(15, async |stage: &mut Stage| {
        // A list that does not know yet what was just made, and a page for people in place of the new user.
        for list in ["/apilos-siap-pra/addons", "/apilos-siap-pra/deployments", "/apilos-siap-pra/domains"] {
            let unknown = Fault::Status { status: 404, body: None, retry_after: None };
            stage.world.break_("GET", list, Some(1), unknown);
        }
        stage.world.break_("POST", "/users", Some(1), Fault::HtmlPage { status: 200 });
        let request = stage.bad_day(&Plan::example()).await;
        stage.daemon.records().succeeded(&request).await;
        let left = stage.world.faults_left();
        assert!(left.is_empty(), "these answers were never given: {left:?}");
        recovered(stage, &request).await;
    })
    .await;
}
