//! What the metrics and the predictions ask of all requests of a plan.

use super::*;
use crate::store::tests::{Lab, lab};
use crate::store::{StepPhase, StepRow};

fn at(text: &str) -> DateTime<Utc> {
    text.parse().expect("a date")
}

async fn moved(lab: &Lab) -> Option<DateTime<Utc>> {
    let all = lab.store.movements().await.expect("answered");
    assert!(all.len() <= 1, "{all:?}");
    all.into_iter().next().map(|(_, at)| at)
}

#[tokio::test]
async fn a_request_that_moves_hides_none_that_stands_still_and_words_are_no_movement() {
    let lab = lab().await;
    assert_eq!(moved(&lab).await, None, "nothing is open");
    lab.sql(
        "INSERT INTO recovery_requests (name, plan, phase, created_at) VALUES
            ('still', 'apilos', 'Running', '2026-11-01T01:00:00Z'), ('moves', 'apilos', 'Running', '2026-11-01T01:00:00Z'),
            ('waits', 'apilos', 'WaitingApproval', '2026-10-01T01:00:00Z'), ('over', 'apilos', 'Failed', '2026-10-01T01:00:00Z')",
    )
    .await
    .expect("filed");
    lab.sql(
        "INSERT INTO recovery_steps (request, step, milestone, phase, heartbeat_at, moved_at, finished_at) VALUES
            ('still', 'choose-backup', 'backup-selected', 'Done', now(), '2026-11-01T01:30:00Z', '2026-11-01T02:00:00Z'),
            ('still', 'restore', 'restored', 'Running', now(), NULL, NULL),
            ('moves', 'restore', 'restored', 'Running', now(), '2026-11-05T01:00:00Z', NULL)",
    )
    .await
    .expect("written");
    assert_eq!(moved(&lab).await, Some(at("2026-11-01T02:00:00Z")), "its last step that ended well");
    lab.sql("UPDATE recovery_requests SET phase = 'Succeeded' WHERE name = 'still'").await.expect("written");
    assert_eq!(moved(&lab).await, Some(at("2026-11-05T01:00:00Z")));
    lab.end().await;
}

#[tokio::test]
async fn a_sign_of_life_moves_a_request_where_it_is_more_than_words() {
    let lab = lab().await;
    let epoch = lab.filed().await;
    lab.store.begin_step("bad-day", epoch, "restore", "restored").await.expect("begun");
    lab.sql("UPDATE recovery_requests SET created_at = '2026-11-01T01:00:00Z'").await.expect("written");
    let beat = StepRow {
        step: "restore".into(),
        phase: StepPhase::Running,
        attempt: 0,
        done: 0,
        total: None,
        unit: None,
        message: Some("asking".into()),
        output: None,
        spans: Vec::new(),
        started_at: None,
        heartbeat_at: None,
        finished_at: None,
    };
    lab.store.heartbeat("bad-day", epoch, &beat, false).await.expect("written");
    assert_eq!(moved(&lab).await, Some(at("2026-11-01T01:00:00Z")));
    lab.store.heartbeat("bad-day", epoch, &beat, true).await.expect("written");
    assert!(moved(&lab).await > Some(at("2026-11-01T01:00:00Z")));
    lab.end().await;
}

#[tokio::test]
async fn a_drill_that_failed_or_was_of_a_part_hides_none_that_succeeded() {
    let lab = lab().await;
    lab.sql(
        r#"INSERT INTO recovery_requests (name, plan, spec, phase, finished_at) VALUES
            ('first', 'apilos', '{"mode": "drill"}', 'Succeeded', '2026-11-01T01:00:00Z'),
            ('second', 'apilos', '{"mode": "drill"}', 'Succeeded', '2026-11-08T01:00:00Z'),
            ('third', 'apilos', '{"mode": "drill"}', 'Failed', '2026-11-15T01:00:00Z'),
            ('ahead', 'apilos', '{"mode": "drill"}', 'Succeeded', '2126-11-15T01:00:00Z'),
            ('rows', 'apilos', '{"mode": "drill", "scope": "database"}', 'Succeeded', '2026-11-16T01:00:00Z'),
            ('files', 'apilos', '{"mode": "drill", "scope": ["bucket"]}', 'Failed', '2026-11-17T01:00:00Z'),
            ('recovery', 'apilos', '{}', 'Succeeded', '2026-11-20T01:00:00Z')"#,
    )
    .await
    .expect("filed");
    let last = lab.store.last_drill("apilos").await.expect("answered").expect("there is one");
    assert_eq!(last.name, "third");
    let good = lab.store.good_drills("apilos", 10).await.expect("answered");
    let names: Vec<&str> = good.iter().map(|drill| drill.name.as_str()).collect();
    assert_eq!(names, ["second", "first", "ahead"]);
    lab.end().await;
}
