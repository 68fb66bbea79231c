//! What is taken in is what there was, and nothing is taken in by halves.

use super::super::tests::lab;
use super::*;

#[tokio::test]
async fn an_empty_store_takes_in_all_of_a_snapshot_and_goes_on_counting_after_it() {
    let (old, new) = (lab().await, lab().await);
    old.sql("INSERT INTO recovery_requests (name, plan) VALUES ('one', 'apilos')").await.expect("written");
    old.sql("INSERT INTO archives (plan, run, phase) VALUES ('apilos', '20261124T000000Z-aa', 'Complete')")
        .await
        .expect("written");
    old.sql(
        "INSERT INTO archive_objects (plan, sha256, size_bytes, damaged_at) VALUES
            ('apilos', decode(repeat('0a', 32), 'hex'), 3, now()), ('apilos', decode(repeat('0b', 32), 'hex'), 4, NULL)",
    )
    .await
    .expect("written");
    old.sql(
        "INSERT INTO recovery_requests (name, plan, phase, status) VALUES
            ('offered', 'apilos', 'Succeeded', '{\"conditions\": [{\"type\": \"HandedOver\", \"status\": \"False\", \"reason\": \"Offered\"}]}')",
    )
    .await
    .expect("written");
    let rows = [
        "INSERT INTO recovery_steps (request, step, milestone) VALUES ('one', 'bucket', 'addons')",
        "INSERT INTO recovery_events (request, reason, message) VALUES ('one', 'Filed', 'it was filed')",
        "INSERT INTO resource_ledger (request, step, kind, name, nonce, epoch) VALUES ('one', 'bucket', 'bucket', 'apilos-pra', gen_random_uuid(), 1)",
        "INSERT INTO backup_verdicts (plan, kind, backup, rung) VALUES ('apilos', 'database', 'b1', 'asserted')",
        "UPDATE backup_verdicts SET climbs = 1, checked_at = now()",
        "INSERT INTO archive_dumps (plan, backup, taken_at, copied_at, bytes, sha256, record) VALUES ('apilos', 'b1', now(), now(), 1, 'aa', '{}')",
    ];
    for row in rows {
        old.sql(row).await.expect("written");
    }
    let lines = old.store.snapshot().await.expect("read");
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    new.sql("DELETE FROM recovery_requests").await.expect("emptied");
    new.sql("DELETE FROM recovery_plans").await.expect("emptied");
    let cut: Vec<&str> = lines.iter().copied().chain(["{\"table\":\"recovery_plans\"}"]).collect();
    let refused = new.store.take_in(&cut).await.expect_err("one line is no row");
    assert!(refused.to_string().starts_with(&format!("line {}", cut.len())), "{refused}");
    assert!(new.store.plans().await.expect("read").is_empty(), "all or nothing");
    assert_eq!(new.store.take_in(&lines).await.expect("taken in"), lines.len());
    assert_eq!(new.store.plans().await.expect("read").len(), 1);
    // What is torn down one day is torn down by the ledger, and what is chosen is chosen by the verdicts.
    let counts = [
        "SELECT 1 / count(*) FROM recovery_steps",
        "SELECT 1 / count(*) FROM recovery_events",
        "SELECT 1 / count(*) FROM resource_ledger",
        "SELECT 1 / count(*) FROM backup_verdicts",
        "SELECT 1 / count(*) FROM verification_reports",
        "SELECT 1 / count(*) FROM archive_dumps",
    ];
    for count in counts {
        new.sql(count).await.unwrap_or_else(|error| panic!("{count}: {error}"));
    }
    assert!(new.store.archive_has_damage("apilos").await.expect("read"), "no listing would tell");
    assert_eq!(new.store.archive_count("apilos").await.expect("read"), 1, "the listing tells of the others");
    let request = new.store.request("one").await.expect("read").expect("there");
    assert_eq!(request.desired, crate::store::Desired::Cancel, "what was under way waits for people");
    let offered = new.store.request("offered").await.expect("read").expect("there");
    assert_eq!(offered.desired, crate::store::Desired::Cancel, "so does a hand-over");
    new.sql("INSERT INTO archives (plan, run) VALUES ('apilos', 'next')").await.expect("its number is free");
    let again = new.store.take_in(&lines).await.expect_err("it is not empty any more");
    assert!(matches!(again, SnapshotError::NotEmpty(1)), "{again}");
    old.end().await;
    new.end().await;
}
