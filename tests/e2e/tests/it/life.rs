//! A world that is put aside and brought back is the same world, and goes on.

use reprise_e2e::plan::{DOMAINS, Plan};
use reprise_e2e::stage::{Stage, play};
use reprise_sandbox::control::Disaster;

use crate::evidence::recovered;

const DOCUMENT: &str = "/objects/mod%C3%A8les/LISEZ-MOI.txt";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_world_that_is_brought_back_is_the_same_and_can_be_recovered() {
    play(31, async |stage: &mut Stage| {
        let before = stage.world.inventory();
        let rows = stage.world.visit(DOMAINS[0], "/rows").await.json();
        let document = stage.world.visit(DOMAINS[0], DOCUMENT).await.body;
        assert!(document.contains("conventions"), "{document}");
        stage.world.control("snapshots", &serde_json::json!({"name": "whole"})).await;

        stage.world.unpoint("standalone").await;
        stage.world.strike(Disaster::Account).await;
        stage.world.take_app_name("somebody-elses").await;
        assert_ne!(stage.world.inventory(), before);

        stage.world.control("snapshots/whole/restore", &serde_json::Value::Null).await;
        assert_eq!(stage.world.inventory(), before);
        assert_eq!(stage.world.visit(DOMAINS[0], "/rows").await.json(), rows);
        assert_eq!(stage.world.visit(DOMAINS[0], DOCUMENT).await.body, document);

        // Pushes, builds, new addons, restorations, DNS: all of it works on the world that was brought back.
        let request = stage.bad_day(&Plan::example()).await;
        stage.daemon.records().succeeded(&request).await;
        recovered(stage, &request).await;

        stage.world.control("reset", &serde_json::Value::Null).await;
        assert_eq!(stage.world.visit(DOMAINS[0], "/rows").await.json(), rows);
        assert_eq!(names(&stage.world.inventory()), names(&before));
    })
    .await;
}

fn names(inventory: &serde_json::Value) -> Vec<&str> {
    inventory["apps"].as_array().into_iter().flatten().filter_map(|app| app["name"].as_str()).collect()
}
