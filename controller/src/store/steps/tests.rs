//! What is opened again, against a real PostgreSQL.

use super::*;
use crate::store::tests::lab;

#[tokio::test]
async fn another_try_decides_anew_what_is_deployed_and_what_it_is_deployed_with() {
    let lab = lab().await;
    let epoch = lab.filed().await;
    lab.sql(
        "INSERT INTO recovery_steps (request, step, milestone, phase) VALUES
            ('bad-day', 'restore', 'restored', 'Done'), ('bad-day', 'cleanup', 'dns-ok', 'Done'),
            ('bad-day', 'variables/up', 'deployed', 'Done'), ('bad-day', 'deploy/up', 'deployed', 'Done'),
            ('bad-day', 'variables/broken', 'deployed', 'Done'), ('bad-day', 'deploy/broken', 'deployed', 'Failed'),
            ('bad-day', 'variables/next', 'deployed', 'Done')",
    )
    .await
    .expect("written");
    lab.store.reopen_steps("bad-day", epoch, Reopen::All).await.expect("reopened");
    let steps = lab.store.steps("bad-day").await.expect("read");
    let mut open: Vec<&str> =
        steps.iter().filter(|row| row.phase == StepPhase::Pending).map(|row| row.step.as_str()).collect();
    open.sort_unstable();
    assert_eq!(open, ["deploy/broken", "variables/broken", "variables/next"]);
    assert!(steps.iter().all(|row| row.step != "cleanup"), "it is begun when its row is there");
    lab.end().await;
}

#[tokio::test]
async fn who_asks_after_a_failure_is_counted_and_a_mirror_is_chosen_anew() {
    let lab = lab().await;
    let epoch = lab.filed().await;
    lab.sql(
        "INSERT INTO recovery_steps (request, step, milestone, phase, output) VALUES
            ('bad-day', 'choose-objects', 'backup-selected', 'Done', '{\"from\": \"mirror\"}'),
            ('bad-day', 'bucket', 'restored', 'Done', NULL), ('bad-day', 'refill', 'restored', 'Failed', NULL),
            ('bad-day', 'deploy/up', 'deployed', 'Running', NULL)",
    )
    .await
    .expect("written");
    let asked = async |step| lab.store.asked_again("bad-day", step).await.expect("read");
    lab.store.reopen_steps("bad-day", epoch, Reopen::Cleanup).await.expect("reopened");
    assert_eq!(asked("refill").await, 0, "it is about the cleanup alone");
    lab.store.reopen_steps("bad-day", epoch, Reopen::All).await.expect("reopened");
    assert_eq!((asked("refill").await, asked("deploy/up").await), (1, 0), "it had not failed");
    let steps = lab.store.steps("bad-day").await.expect("read");
    let done: Vec<&str> =
        steps.iter().filter(|row| row.phase == StepPhase::Done).map(|row| row.step.as_str()).collect();
    assert_eq!(done, ["bucket"]);
    lab.end().await;
}

/// Who was told to remove an addon, or to change its plan, is heard.
#[tokio::test]
async fn another_try_looks_at_the_addons_anew_until_something_is_built_on_them() {
    let lab = lab().await;
    let epoch = lab.filed().await;
    lab.sql(
        "INSERT INTO recovery_steps (request, step, milestone, phase) VALUES
            ('bad-day', 'postgresql', 'addons', 'Done'), ('bad-day', 'restore', 'restored', 'Failed'),
            ('bad-day', 'redis/up', 'addons', 'Done'), ('bad-day', 'deploy/up', 'deployed', 'Done'),
            ('bad-day', 'redis/next', 'addons', 'Done')",
    )
    .await
    .expect("written");
    let open = async || {
        lab.store.reopen_steps("bad-day", epoch, Reopen::All).await.expect("reopened");
        let steps = lab.store.steps("bad-day").await.expect("read");
        let open = steps.into_iter().filter(|row| row.phase == StepPhase::Pending).map(|row| row.step);
        open.collect::<std::collections::BTreeSet<_>>()
    };
    assert_eq!(open().await.iter().collect::<Vec<_>>(), ["postgresql", "redis/next", "restore"]);
    lab.sql("UPDATE recovery_steps SET phase = 'Done'").await.expect("written");
    lab.sql("INSERT INTO recovery_steps (request, step, milestone, phase) VALUES ('bad-day', 'check-database', 'restored', 'Done')")
        .await
        .expect("written");
    assert_eq!(open().await.iter().collect::<Vec<_>>(), ["redis/next"], "the database is checked");
    lab.end().await;
}

#[tokio::test]
async fn what_a_hand_over_waits_for_is_known_while_a_look_at_it_fails() {
    let lab = lab().await;
    let epoch = lab.filed().await;
    for step in ["hand-over", "restore"] {
        lab.store.begin_step("bad-day", epoch, step, "dns-ok").await.expect("begun");
        let found = StepRow { output: Some(serde_json::json!({ "since": "then" })), ..a_done_step(step) };
        lab.store.finish_step("bad-day", epoch, &found).await.expect("written");
        lab.store.begin_step("bad-day", epoch, step, "dns-ok").await.expect("begun");
        let failed = StepRow { phase: StepPhase::Failed, ..a_done_step(step) };
        lab.store.finish_step("bad-day", epoch, &failed).await.expect("written");
    }
    let steps = lab.store.steps("bad-day").await.expect("read");
    let kept: Vec<(&str, bool)> = steps.iter().map(|row| (row.step.as_str(), row.output.is_some())).collect();
    assert_eq!(kept, [("hand-over", true), ("restore", false)]);
    lab.end().await;
}
