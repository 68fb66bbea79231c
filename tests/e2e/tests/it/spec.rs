//! Requests and plans that cannot be understood: each is told on its own row, and stops nothing else.

use reprise_e2e::plan::Plan;
use reprise_e2e::records::Request;
use reprise_e2e::stage::{Stage, play};

use crate::evidence::recovered;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nonsense_is_refused_on_its_own_row_while_another_request_runs_through() {
    play(11, async |stage: &mut Stage| {
        let request = stage.bad_day(&Plan::example()).await;
        let unset = Plan::example()
            .with("name: apilos\n", "name: unset\n")
            .with("env:APILOS_SECRET_KEY", "env:NOBODY_SET_THIS");
        stage.daemon.apply(&unset).await;
        let records = stage.daemon.records();
        for row in [
            r#"('nonsense', 'apilos', '{"mode": "rehearse", "scop": 1}')"#,
            r#"('no-object', 'apilos', '["all"]')"#,
            "('unset', 'unset', '{}')",
        ] {
            records.execute(&format!("INSERT INTO recovery_requests (name, plan, spec) VALUES {row}")).await;
        }
        refused(stage, "nonsense", "InvalidSpec", &["spec.mode", "recover, drill", "spec.scop", "`scope`"])
            .await;
        refused(stage, "no-object", "InvalidSpec", &["object"]).await;
        let path = "spec.variables.values.SECRET_KEY.from";
        refused(stage, "unset", "NotConfigured", &[path, "NOBODY_SET_THIS"]).await;
        records.succeeded(&request).await;
        recovered(stage, &request).await;
        // It was restored; whether that is all that can be asked of it, a recovery does not say.
        let rung = "SELECT rung || ' ' || settled || ' ' || sound FROM backup_verdicts WHERE checked_by = 'the-bad-day' AND rung NOT IN ('listed', 'downloaded', 'intact', 'readable')";
        assert_eq!(records.column(rung).await, ["restored false false"]);
        let touched = records.column("SELECT DISTINCT request FROM recovery_steps").await;
        assert_eq!(touched, [request.name()], "a refused request began something");
    })
    .await;
}

async fn refused(stage: &Stage, name: &str, reason: &str, parts: &[&str]) {
    let told = |condition: &serde_json::Value| condition["status"] == "False";
    let standing = stage
        .daemon
        .records()
        .stands(&Request::named(name), |standing| standing.condition("Accepted").is_some_and(told))
        .await;
    let accepted = standing.condition("Accepted").expect("just seen");
    assert_eq!(accepted["reason"], reason, "{accepted}");
    let message = accepted["message"].as_str().unwrap_or_default();
    for part in parts {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
}
