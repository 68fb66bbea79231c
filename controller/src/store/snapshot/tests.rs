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
    assert!(new.store.archive_has_damage("apilos").await.expect("read"), "no listing would tell");
    assert_eq!(new.store.archive_count("apilos").await.expect("read"), 1, "the listing tells of the others");
    let request = new.store.request("one").await.expect("read").expect("there");
    assert_eq!(request.desired, crate::store::Desired::Cancel, "what was under way waits for people");
    new.sql("INSERT INTO archives (plan, run) VALUES ('apilos', 'next')").await.expect("its number is free");
    let again = new.store.take_in(&lines).await.expect_err("it is not empty any more");
    assert!(matches!(again, SnapshotError::NotEmpty(1)), "{again}");
    old.end().await;
    new.end().await;
}
