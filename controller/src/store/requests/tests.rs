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

#[tokio::test]
async fn a_request_whose_hand_over_is_pursued_is_looked_at_and_counts_since_it_waits() {
    let lab = lab().await;
    let statuses = [
        ("waits", "Succeeded", r#"{"type": "HandedOver", "status": "False", "reason": "Offered"}"#),
        ("unseen", "Succeeded", r#"{"type": "HandedOver", "status": "Unknown", "reason": "NotSeen"}"#),
        ("done", "Succeeded", r#"{"type": "HandedOver", "status": "True", "reason": "HandedOver"}"#),
        ("silent", "Succeeded", r#"{"type": "HandedOver", "status": "False", "reason": "NoAnswer"}"#),
        ("stopped", "Succeeded", r#"{"type": "HandedOver", "status": "False", "reason": "NotPursued"}"#),
        ("undone", "Cancelled", r#"{"type": "HandedOver", "status": "False", "reason": "Offered"}"#),
        ("plain", "Succeeded", r#"{"type": "Succeeded", "status": "True", "reason": "Succeeded"}"#),
    ];
    let pool = &lab.store.pool;
    for (number, (name, phase, condition)) in (1..).zip(statuses) {
        let status = format!(r#"{{"observedGeneration": 1, "conditions": [{condition}]}}"#);
        sqlx::query(
            "INSERT INTO recovery_requests (name, plan, phase, status) VALUES ($1, 'apilos', $2, $3::jsonb)",
        )
        .bind(name)
        .bind(phase)
        .bind(status)
        .execute(pool)
        .await
        .expect("filed");
        sqlx::query(
            "INSERT INTO recovery_steps (request, step, milestone, output)
             VALUES ($1, 'hand-over', 'dns-ok', jsonb_build_object('since', format('2026-11-0%s 01:00:00Z', $2::integer)))",
        )
        .bind(name)
        .bind(number)
        .execute(pool)
        .await
        .expect("written");
    }
    let mut open = lab.store.open_requests().await.expect("answered");
    open.sort_unstable();
    assert_eq!(open, ["unseen", "waits"]);
    // A drill that runs meanwhile misses no project that somebody has taken over.
    lab.sql("INSERT INTO recovery_requests (name, plan, created_at) VALUES ('drill', 'apilos', '2100-01-01T00:00:00Z')")
        .await
        .expect("filed");
    lab.sql(
        "INSERT INTO resource_ledger (request, step, kind, name, nonce, epoch)
         SELECT name, 'project', kind, name || '-' || kind, gen_random_uuid(), 1 FROM recovery_requests, unnest(ARRAY['project', 'bucket']) AS kind",
    )
    .await
    .expect("written");
    let names = lab.store.names_of_others("drill").await.expect("answered");
    assert_eq!(names.into_iter().collect::<Vec<_>>(), ["unseen-project", "waits-project"]);
    let waiting = lab.store.hand_overs().await.expect("answered");
    assert_eq!(
        waiting,
        [("apilos".to_owned(), at("2026-11-01T01:00:00Z"))],
        "the one that waits for longest"
    );
    lab.end().await;
}
