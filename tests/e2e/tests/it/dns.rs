//! A name that points elsewhere, and the way back.

use reprise_e2e::plan::{DOMAINS, Plan};
use reprise_e2e::stage::{Stage, play};
use reprise_sandbox::control::Disaster;
use serde_json::Value;

use crate::evidence::recovered;

const ELSEWHERE: &str = "maintenance.example.net";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_points_elsewhere_is_switched_only_where_the_plan_says_so_and_can_be_given_back() {
    play(7, async |stage: &mut Stage| {
        stage.world.point("siap", ELSEWHERE).await;
        stage.daemon.start().await;
        stage.daemon.apply(&Plan::example().with("existing: replace", "existing: refuse")).await;
        stage.world.strike(Disaster::Data).await;
        let before = stage.world.inventory();
        let request = stage.file().await;
        let why = stage.daemon.records().failed(&request).await;
        for part in [DOMAINS[0], ELSEWHERE, "dns.existing", "What to do: "] {
            assert!(why.contains(part), "`{part}` is not in: {why}");
        }
        assert_eq!(stage.world.aliases("siap")[0]["value"], ELSEWHERE, "the record was touched");

        stage.daemon.apply(&Plan::example()).await;
        stage.daemon.run(&["resume", request.name()]).await;
        stage.daemon.records().succeeded(&request).await;
        recovered(stage, &request).await;
        let ledger = stage.daemon.records().ledger(&request).await;
        let row =
            ledger.iter().find(|row| row.kind == "dns-record" && row.name == DOMAINS[0]).expect("a row");
        assert_eq!(row.detail["oldValue"], ELSEWHERE, "{row:?}");

        stage.daemon.run(&["cancel", request.name(), "--clean"]).await;
        let end = stage.daemon.records().ended(&request).await;
        assert_eq!(end.phase, "Cancelled", "{}", end.message());
        assert_eq!(stage.world.aliases("siap")[0]["value"], ELSEWHERE, "the old value is not back");
        let left = stage.daemon.records().ledger(&request).await;
        assert!(left.iter().all(|row| row.state == "deleted"), "{left:?}");
        let same =
            stage.world.becomes(|world| without_certificates(world) == without_certificates(&before)).await;
        assert_eq!(
            without_certificates(&same),
            without_certificates(&before),
            "the estate is not as it was before"
        );
    })
    .await;
}

/// The inventory but for certificates of domains: the platform issues one anew when a domain comes back, once its name points there.
fn without_certificates(inventory: &Value) -> Value {
    let mut all = inventory.clone();
    for domain in all["domains"].as_array_mut().into_iter().flatten() {
        domain.as_object_mut().and_then(|domain| domain.remove("certificate"));
    }
    all
}
