//! The hand-over: pursued when all is back, for as long as people take, through deaths of the daemon, and never twice.

use reprise_e2e::plan::{APPS, DOMAINS, Plan};
use reprise_e2e::records::{Request, Standing};
use reprise_e2e::stage::{Stage, play};
use reprise_e2e::world::{Fault, World};
use reqwest::Method;

/// Who is to own it: the sandbox has an account of this address.
const OWNER: &str = "astreinte@apilos.test";

fn hands_over() -> Plan {
    Plan::example().and("handOver", &format!("{{ to: {OWNER} }}"))
}

/// The reason of the condition `HandedOver`.
fn reason(standing: &Standing) -> String {
    let condition = standing.condition("HandedOver").cloned().unwrap_or_default();
    condition["reason"].as_str().unwrap_or_default().to_owned()
}

async fn says(stage: &Stage, request: &Request, wanted: &str) -> Standing {
    stage.daemon.records().stands(request, |now| reason(now) == wanted).await
}

/// The new owner opens the links of the invitations to every app.
async fn joins(world: &World) {
    for app in APPS {
        let told = world.platform(Method::GET, &format!("apps/{app}/collaborators"), None).await;
        let mut people = told["collaborators"].as_array().expect("collaborators").iter();
        let theirs = people.find(|one| one["email"] == OWNER).expect("their invitation");
        let link = theirs["invitation_link"].as_str().expect("a link").to_owned();
        let token = link.split_once("token=").expect("a token").1;
        world.guest(Method::GET, &format!("apps/collaboration?token={token}")).await;
    }
}

/// The new owner answers the open offer.
async fn answers(world: &World, how: &str) {
    let listed = world.platform(Method::GET, "projects", None).await;
    let projects = listed["projects"].as_array().expect("projects");
    let project = projects.iter().find(|one| one["name"] == "apilos-pra").expect("the estate's own");
    let path = format!("projects/{}/transfer_invitations", project["id"].as_str().expect("an id"));
    let offers = world.platform(Method::GET, &path, None).await;
    let offer = offers["transfer_invitations"][0]["id"].as_str().expect("an open offer").to_owned();
    world.guest(Method::POST, &format!("{path}/{offer}/{how}")).await;
}

/// How many calls of this kind took effect.
fn taken(world: &World, end: &str) -> usize {
    let took = |status: u16| (200..300).contains(&status);
    let journal = world.journal();
    journal
        .iter()
        .filter(|entry| entry.call.starts_with("POST ") && entry.call.ends_with(end) && took(entry.status))
        .count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recovered_estate_becomes_somebody_elses_whenever_the_daemon_dies() {
    play(110, async |stage: &mut Stage| {
        // Nobody has invited them: the hand-over does, and one answer is lost.
        let alone = hands_over().with("    collaborators:\n      - ops@apilos.test\n", "");
        stage.world.break_("POST", "/collaborators", Some(1), Fault::DropAfter);
        let request = stage.bad_day(&alone).await;
        let end = stage.daemon.records().succeeded(&request).await;
        assert_eq!(
            end.condition("HandedOver").map(|told| &told["status"]),
            Some(&"False".into()),
            "nothing waits for it"
        );
        let waits = says(stage, &request, "WaitingForCollaborator").await;
        let told = waits.condition("HandedOver").expect("it is told")["message"].to_string();
        assert!(told.contains(OWNER) && APPS.iter().all(|app| told.contains(app)), "{told}");
        assert_eq!(taken(&stage.world, "/collaborators"), 2, "one invitation to each app");

        // It dies; they accept meanwhile; and it dies again with the answer to its offer on the way.
        stage.daemon.kill().await;
        joins(&stage.world).await;
        stage.world.break_("POST", "/transfer_invitations", Some(1), Fault::SlowBody { bytes_per_second: 1 });
        stage.daemon.start().await;
        stage.eventually("the offer", |stage| stage.world.trickles("/transfer_invitations")).await;
        let ledger = stage.daemon.records().ledger(&request).await;
        let open: Vec<_> =
            ledger.iter().filter(|row| row.state == "intended").map(|row| row.kind.as_str()).collect();
        assert_eq!(open, ["transfer"], "the intent comes before the act");
        stage.daemon.kill().await;
        stage.world.mend();
        stage.daemon.start().await;
        says(stage, &request, "Offered").await;
        answers(&stage.world, "accept").await;
        stage.daemon.kill().await;
        stage.daemon.start().await;
        let done = says(stage, &request, "HandedOver").await;
        assert_eq!(taken(&stage.world, "/transfer_invitations"), 1);
        assert_eq!(
            (done.phase.as_str(), done.state.as_str()),
            ("Succeeded", "dns-ok"),
            "nothing else is different"
        );
        assert_eq!(done.condition("Succeeded").map(|told| &told["status"]), Some(&"True".into()));
        let evidence = stage.daemon.run(&["evidence", request.name()]).await;
        assert!(
            evidence.contains("## Hand-over, after the end") && evidence.contains("**HandedOver=True**"),
            "{evidence}"
        );
        let described = stage.daemon.run(&["describe", request.name()]).await;
        assert!(described.contains("Hand-over: True (HandedOver)"), "{described}");
        is_not_ours_to_delete(stage, &request).await;
    })
    .await;
}

async fn is_not_ours_to_delete(stage: &Stage, request: &Request) {
    let (well, told) = stage.daemon.ask(&["cancel", request.name(), "--clean"]).await;
    assert!(!well && told.contains("no longer ours to delete"), "{told}");
    let by_hand = "UPDATE recovery_requests SET deletion_requested_at = now() WHERE name = 'the-bad-day'";
    stage.daemon.records().execute(by_hand).await;
    let end = stage.daemon.records().ended(request).await;
    assert_eq!(end.phase, "Cancelled", "{}", end.message());
    assert!(end.message().contains("left alone") && end.message().contains(APPS[0]), "{}", end.message());
    assert_eq!(reason(&end), "HandedOver");
    let why =
        stage.daemon.records().column("SELECT message FROM recovery_events WHERE reason = 'LeftAlone'").await;
    assert!(why.len() == 1 && why[0].contains("belongs to apilos-astreinte"), "{why:?}");
    for (app, domain) in APPS.iter().zip(DOMAINS) {
        assert_eq!(stage.world.count("apps", "name", app), 1, "{app} was deleted");
        assert_eq!(stage.world.visit(domain, "/healthz").await.status.as_u16(), 200, "{domain}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_offer_that_was_declined_is_made_again_only_when_somebody_asks() {
    play(111, async |stage: &mut Stage| {
        let plan = hands_over().with("- ops@apilos.test", &format!("- {OWNER}"));
        let request = stage.bad_day(&plan).await;
        says(stage, &request, "WaitingForCollaborator").await;
        joins(&stage.world).await;
        says(stage, &request, "Offered").await;
        answers(&stage.world, "decline").await;
        let declined = says(stage, &request, "Declined").await;
        let told = declined.condition("HandedOver").expect("it is told")["message"].to_string();
        assert!(told.contains("reprise resume the-bad-day"), "{told}");
        let looks = stage.daemon.records().step(&request, "hand-over").await.expect("a look").attempt;
        stage.daemon.records().step_is(&request, "hand-over", |look| look.attempt > looks + 1).await;
        assert_eq!(taken(&stage.world, "/transfer_invitations"), 1, "nobody has asked");
        assert_eq!(taken(&stage.world, "/collaborators"), 2, "who is invited already is not invited anew");

        stage.daemon.run(&["resume", request.name()]).await;
        says(stage, &request, "Offered").await;
        assert_eq!(taken(&stage.world, "/transfer_invitations"), 2);
        // It is wanted no more: who could take it now would get half of an estate.
        stage.daemon.run(&["cancel", request.name(), "--clean"]).await;
        let end = stage.daemon.records().stands(&request, |now| now.phase == "Cancelled").await;
        assert_eq!(reason(&end), "NotPursued", "{:?}", end.status);
        assert_eq!(taken(&stage.world, "/cancel"), 1, "the offer was open");
        for app in APPS {
            assert_eq!(stage.world.count("apps", "name", app), 0, "{app} was left behind");
        }
        assert_eq!(stage.world.count("projects", "name", "apilos-pra"), 0);
        let alone = "SELECT message FROM recovery_events WHERE reason = 'LeftAlone'";
        assert_eq!(stage.daemon.records().column(alone).await, [""; 0]);
    })
    .await;
}
