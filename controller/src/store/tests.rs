//! The tables as people meet them with psql, and the fence between two daemons. A real PostgreSQL, a database a test.
//!
//! Past 400 lines: a test for each promise to whoever looks with psql, on one lab.

use std::time::Duration;

use reprise_cluster::{Cluster, Settings};
use reprise_crds::{Milestone, Phase};
use serde_json::json;

use super::*;
use crate::runtime::lease::LeaseStore as _;

mod ill;

const TERM: Duration = Duration::from_secs(30);

/// A store of its own; the cluster ends with the folder.
pub(crate) struct Lab {
    pub(crate) store: Store,
    cluster: Cluster,
    _dir: tempfile::TempDir,
}

pub(crate) async fn lab() -> Lab {
    let dir = tempfile::tempdir().expect("a folder");
    let cluster = Cluster::start(Settings::new(dir.path()).option("fsync", "off")).await.expect("a server");
    let store = Store::connect(cluster.url("postgres").parse().expect("a URL")).await.expect("connected");
    store.migrate().await.expect("migrated");
    store.apply_plan("apilos", &json!({"any": "thing"})).await.expect("applied");
    Lab { store, cluster, _dir: dir }
}

impl Lab {
    pub(crate) async fn sql(&self, statement: &'static str) -> Result<(), String> {
        sqlx::query(statement).execute(&self.store.pool).await.map(drop).map_err(|error| error.to_string())
    }

    /// Files a request by name and plan alone, and takes its lease.
    pub(crate) async fn filed(&self) -> Epoch {
        self.sql("INSERT INTO recovery_requests (name, plan) VALUES ('bad-day', 'apilos')")
            .await
            .expect("filed");
        let taken = self.store.lease("bad-day").take("me", Epoch(0), TERM).await.expect("answered");
        taken.expect("nobody has it")
    }

    /// How others connect.
    pub(crate) fn options(&self) -> PgConnectOptions {
        self.cluster.url("postgres").parse().expect("a URL")
    }

    pub(crate) async fn end(self) {
        self.store.close().await;
        self.cluster.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_says_nothing_is_given_up() {
    let told = answered(std::future::pending::<Result<()>>()).await.expect_err("it says nothing");
    assert_eq!((matches!(told, StoreError::Silent), told.class()), (true, Class::Transient));
}

#[tokio::test]
async fn the_server_is_told_to_look_after_its_clients() {
    let lab = lab().await;
    let shown: String = sqlx::query_scalar("SHOW idle_in_transaction_session_timeout")
        .fetch_one(&lab.store.pool)
        .await
        .expect("told");
    assert_eq!(shown, "1min", "what a dead daemon has locked would stay locked");
    lab.end().await;
}

#[tokio::test]
async fn every_daemon_can_be_told_to_look() {
    let lab = lab().await;
    let mut told = lab.store.listen(&[ASKED]).await.expect("it listens");
    lab.store.wake("bad-day").await.expect("told");
    let heard = tokio::time::timeout(TERM, told.recv()).await.expect("it is told").expect("answered");
    assert_eq!(heard.payload(), "bad-day");
    lab.end().await;
}

#[test]
fn a_migration_takes_nothing_away_that_the_release_before_uses() {
    for migration in sqlx::migrate!("./migrations").iter() {
        let sql = migration.sql.as_str().to_uppercase();
        let statements = sql.split(';').map(|one| one.split_whitespace().collect::<Vec<_>>().join(" "));
        for statement in statements {
            let takes = ["DROP TABLE", "DROP COLUMN", "RENAME", "SET NOT NULL"]
                .iter()
                .any(|word| statement.contains(word));
            let mut added = statement.split("ADD COLUMN").skip(1);
            let asks = added.any(|column| {
                let column = column.split(", ").next().unwrap_or_default();
                column.contains(" NOT NULL") && !column.contains(" DEFAULT ")
            });
            assert!(!takes && !asks, "migration {}: {statement}", migration.version);
        }
    }
}

#[tokio::test]
async fn a_store_that_a_newer_release_has_changed_is_left_to_it() {
    let lab = lab().await;
    lab.sql("INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (9001, 'newer', true, '', 0)")
        .await
        .expect("changed");
    let error = lab.store.migrate().await.expect_err("it might misread it");
    let told = error.to_string();
    assert!(told.contains("a newer release of Reprise") && told.contains("change 9001"), "{told}");
    assert_eq!(error.class(), Class::Terminal);
    lab.end().await;
}

#[tokio::test]
async fn a_database_without_tables_of_ours_is_told_from_one_that_does_not_answer() {
    let lab = lab().await;
    lab.sql("CREATE DATABASE plain").await.expect("made");
    let plain = Store::connect(lab.cluster.url("plain").parse().expect("a URL")).await.expect("connected");
    assert!(plain.plans().await.expect_err("it has none").lacks_tables());
    plain.close().await;
    assert!(!plain.plans().await.expect_err("it is closed").lacks_tables());
    lab.end().await;
}

fn update(state: Milestone, phase: Phase) -> StatusUpdate {
    StatusUpdate { state, phase, status: json!({"message": "x"}), evidence: None }
}

#[tokio::test]
async fn a_name_and_a_plan_are_enough_to_file_and_migrating_twice_is_harmless() {
    let lab = lab().await;
    lab.store.migrate().await.expect("nothing to do");
    lab.filed().await;
    let row = lab.store.request("bad-day").await.expect("answered").expect("there");
    assert_eq!((row.state, row.phase, row.desired), (Milestone::Pending, Phase::Pending, Desired::Run));
    assert_eq!(lab.store.open_requests().await.expect("answered"), ["bad-day"]);
    lab.end().await;
}

#[tokio::test]
async fn psql_is_told_what_cannot_be() {
    let lab = lab().await;
    lab.filed().await;
    for (statement, told) in [
        (
            "INSERT INTO recovery_requests (name, plan) VALUES ('x', 'no-such-plan')",
            "recovery_requests_plan_fkey",
        ),
        (
            "INSERT INTO recovery_requests (name, plan) VALUES ('Bad Day', 'apilos')",
            "request_name_is_a_dns_label",
        ),
        ("UPDATE recovery_requests SET phase = 'Flying'", "request_phase_is_known"),
        ("UPDATE recovery_requests SET desired = 'fly'", "request_desired_is_known"),
        ("UPDATE recovery_requests SET plan = 'other'", "the plan of a request cannot be changed"),
    ] {
        let refused = lab.sql(statement).await.expect_err(statement);
        assert!(refused.contains(told), "{statement}: {refused}");
    }
    lab.end().await;
}

#[tokio::test]
async fn the_generation_grows_with_what_people_ask_for_and_with_nothing_else() {
    let lab = lab().await;
    let epoch = lab.filed().await;
    let generation =
        async || lab.store.request("bad-day").await.expect("answered").expect("there").generation;
    lab.store
        .set_status("bad-day", epoch, &update(Milestone::Addons, Phase::Running))
        .await
        .expect("written");
    assert_eq!(generation().await, 1);
    assert!(lab.store.ask("bad-day", Desired::Cancel).await.expect("answered"));
    assert_eq!(generation().await, 2);
    assert!(!lab.store.ask("nobody", Desired::Cancel).await.expect("answered"));
    lab.end().await;
}

#[tokio::test]
async fn a_milestone_never_goes_back() {
    let lab = lab().await;
    let epoch = lab.filed().await;
    lab.store
        .set_status("bad-day", epoch, &update(Milestone::Restored, Phase::Running))
        .await
        .expect("written");
    let back = lab.store.set_status("bad-day", epoch, &update(Milestone::Addons, Phase::Running)).await;
    assert!(back.is_err());
    let row = lab.store.request("bad-day").await.expect("answered").expect("there");
    assert_eq!(row.state, Milestone::Restored);
    lab.end().await;
}

#[tokio::test]
async fn a_former_owner_can_write_nothing() {
    let lab = lab().await;
    let old = lab.filed().await;
    let lease = lab.store.lease("bad-day");
    assert_eq!(lease.take("other", old, TERM).await.expect("answered"), None, "it is held");
    lease.release("me", old).await.expect("answered");
    let new = lease.take("other", old, TERM).await.expect("answered").expect("it is free");
    assert!(new > old);
    assert!(!lease.renew("me", old, TERM).await.expect("answered"));
    let intent = Intent { step: "app/x", kind: "app", name: "x", parent: None, detail: json!({}) };
    let refused = lab.store.intend("bad-day", old, &intent).await;
    assert!(matches!(refused, Err(StoreError::Fenced { .. })), "{refused:?}");
    let refused = lab.store.begin_step("bad-day", old, "restore", "restored").await;
    assert!(matches!(refused, Err(StoreError::Fenced { .. })), "{refused:?}");
    lab.store.begin_step("bad-day", new, "restore", "restored").await.expect("the new owner writes");
    // One that ends a day from now is a dead daemon's, from before the clock was set back.
    assert_eq!(lease.take("third", new, TERM).await.expect("answered"), None, "it is held");
    lab.sql("UPDATE recovery_requests SET lease_expires_at = now() + interval '1 day'").await.expect("set");
    assert!(
        lease.take("third", new, TERM).await.expect("answered").is_some(),
        "a clock that was set back holds it"
    );
    lab.end().await;
}

#[tokio::test]
async fn an_intent_is_one_and_keeps_its_first_detail() {
    let lab = lab().await;
    let epoch = lab.filed().await;
    let with = |detail| Intent { step: "cname/x", kind: "dns-record", name: "x.test", parent: None, detail };
    let first =
        lab.store.intend("bad-day", epoch, &with(json!({"oldValue": "lost.test"}))).await.expect("written");
    let again =
        lab.store.intend("bad-day", epoch, &with(json!({"oldValue": "new.test"}))).await.expect("read");
    assert_eq!((again.nonce, again.detail["oldValue"].as_str()), (first.nonce, Some("lost.test")));
    lab.store.observed("bad-day", epoch, first.nonce, "7").await.expect("written");
    lab.store.gone("bad-day", epoch, first.nonce).await.expect("written");
    let fresh = lab.store.intend("bad-day", epoch, &with(json!({}))).await.expect("a new life");
    assert_ne!(fresh.nonce, first.nonce);
    lab.end().await;
}

#[tokio::test]
async fn what_a_request_was_accepted_with_stays_whatever_becomes_of_the_plan() {
    let lab = lab().await;
    let epoch = lab.filed().await;
    assert_eq!(lab.store.accepted_plan("bad-day").await.expect("answered"), None);
    for spec in [json!({"any": "thing"}), json!({"another": "thing"})] {
        lab.store.keep_plan("bad-day", epoch, &spec).await.expect("written");
    }
    lab.sql("UPDATE recovery_plans SET spec = '{}'").await.expect("written");
    let kept = lab.store.accepted_plan("bad-day").await.expect("answered");
    assert_eq!(kept, Some(json!({"any": "thing"})));
    for statement in [
        "UPDATE recovery_requests SET spec = '{\"mode\": \"drill\"}'",
        "UPDATE recovery_requests SET accepted_plan = NULL",
    ] {
        let refused = lab.sql(statement).await.expect_err(statement);
        assert!(refused.contains("that was accepted cannot be changed"), "{statement}: {refused}");
    }
    lab.end().await;
}

#[tokio::test]
async fn only_what_others_changed_since_the_filing_is_theirs() {
    let lab = lab().await;
    let epoch = lab.filed().await;
    for name in ["long-ago.test", "changed-since.test", "undone-since.test", "made-since.test"] {
        let intent = Intent { step: "cname/x", kind: "dns-record", name, parent: None, detail: json!({}) };
        lab.store.intend("bad-day", epoch, &intent).await.expect("written");
    }
    lab.sql("UPDATE resource_ledger SET intended_at = now() - interval '2 days', observed_at = now() - interval '1 day'")
        .await
        .expect("written");
    lab.sql("INSERT INTO recovery_requests (name, plan, created_at) VALUES ('drill', 'apilos', now() - interval '1 hour')")
        .await
        .expect("filed");
    for since in [
        "UPDATE resource_ledger SET observed_at = now() WHERE name LIKE 'changed%'",
        "UPDATE resource_ledger SET deleted_at = now(), state = 'deleted' WHERE name LIKE 'undone%'",
        "UPDATE resource_ledger SET intended_at = now() WHERE name LIKE 'made%'",
    ] {
        lab.sql(since).await.expect("written");
    }
    let others = lab.store.names_of_others("drill").await.expect("answered");
    assert_eq!(Vec::from_iter(others), ["changed-since.test", "made-since.test", "undone-since.test"]);
    assert!(lab.store.names_of_others("bad-day").await.expect("answered").is_empty(), "these are its own");
    lab.end().await;
}

#[tokio::test]
async fn an_event_that_says_the_same_again_is_not_written_again() {
    let lab = lab().await;
    let epoch = lab.filed().await;
    for message in ["slow down", "slow down", "go on"] {
        let told = lab.store.record_event("bad-day", epoch, Severity::Warning, "Retrying", None, message);
        told.await.expect("written");
    }
    let events = lab.store.events_after("bad-day", 0).await.expect("answered");
    assert_eq!(events.iter().map(|event| event.message.as_str()).collect::<Vec<_>>(), ["slow down", "go on"]);
    lab.end().await;
}

#[tokio::test]
async fn a_row_that_a_newer_release_wrote_is_that_rows_error_alone() {
    let lab = lab().await;
    lab.filed().await;
    lab.sql("INSERT INTO recovery_requests (name, plan) VALUES ('other', 'apilos')").await.expect("filed");
    lab.sql("ALTER TABLE recovery_requests DROP CONSTRAINT request_phase_is_known").await.expect("altered");
    lab.sql("UPDATE recovery_requests SET phase = 'Levitating' WHERE name = 'other'").await.expect("written");
    let rows = lab.store.requests().await.expect("answered");
    let (read, unread): (Vec<_>, Vec<_>) = rows.into_iter().partition(Result::is_ok);
    assert_eq!((read.len(), unread.len()), (1, 1));
    lab.end().await;
}

/// Polls `work` until it has waited `polls` times, then lets go of it.
async fn cut_after(polls: usize, work: impl Future) {
    let mut work = std::pin::pin!(work);
    for _ in 0..polls {
        if futures::poll!(work.as_mut()).is_ready() {
            return;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn work_that_is_cut_short_leaves_no_transaction_open_for_the_next() {
    let lab = lab().await;
    let other = Store::connect(lab.cluster.url("postgres").parse().expect("a URL")).await.expect("connected");
    let epoch = lab.filed().await;
    for polls in 0..60 {
        cut_after(polls, lab.store.fenced("bad-day", epoch)).await;
        // More than once: the connection comes back to the pool in its own time.
        for desired in [Desired::Cancel, Desired::Run, Desired::Cancel, Desired::Run] {
            assert!(lab.store.ask("bad-day", desired).await.expect("answered"));
            let read = other.request("bad-day").await.expect("answered").expect("there");
            assert_eq!(read.desired, desired, "cut after {polls} polls: others do not see what was written");
        }
    }
    other.close().await;
    lab.end().await;
}

#[tokio::test]
async fn a_drill_that_left_something_behind_is_torn_down_again_and_a_recovery_is_not() {
    let lab = lab().await;
    lab.sql(
        "INSERT INTO recovery_requests (name, plan, spec, phase, finished_at) VALUES
            ('left', 'apilos', '{\"mode\": \"drill\"}', 'Failed', now() - interval '1 hour'),
            ('ahead', 'apilos', '{\"mode\": \"drill\"}', 'Failed', now() + interval '1 hour'),
            ('just-ended', 'apilos', '{\"mode\": \"drill\"}', 'Failed', now()),
            ('clean', 'apilos', '{\"mode\": \"drill\"}', 'Failed', now() - interval '1 hour'),
            ('alone', 'apilos', '{\"mode\": \"drill\"}', 'Failed', now() - interval '1 hour'),
            ('under-way', 'apilos', '{\"mode\": \"drill\"}', 'TearingDown', NULL),
            ('recovery', 'apilos', '{}', 'Failed', now() - interval '1 hour')",
    )
    .await
    .expect("filed");
    lab.sql(
        "INSERT INTO recovery_steps (request, step, milestone, phase)
            SELECT name, 'tear-down', 'dns-ok', CASE name WHEN 'alone' THEN 'Done' ELSE 'Failed' END FROM recovery_requests",
    )
    .await
    .expect("written");
    lab.sql(
        "INSERT INTO resource_ledger (nonce, request, step, kind, name, state, external_id, epoch)
            SELECT gen_random_uuid(), name, 'app/x', 'app', 'x', CASE name WHEN 'clean' THEN 'deleted' ELSE 'present' END, '1', 1
            FROM recovery_requests",
    )
    .await
    .expect("written");
    let mut names = lab.store.reopen_drills().await.expect("answered");
    names.sort_unstable();
    assert_eq!(names, ["ahead", "left"]);
    let open = lab.store.open_requests().await.expect("answered");
    assert!(names.iter().all(|name| open.contains(name)), "the daemon looks at them: {open:?}");
    lab.end().await;
}

#[tokio::test]
async fn a_number_that_nobody_can_read_is_refused_where_it_is_written() {
    let lab = lab().await;
    for unreadable in [
        "INSERT INTO recovery_requests (name, plan, spec) VALUES ('one', 'apilos', '{\"scope\": [{\"n\": 1e400}]}')",
        "INSERT INTO recovery_requests (name, plan, spec) VALUES ('two', 'apilos', '{\"n\": -1e400}')",
        "UPDATE recovery_plans SET spec = '{\"n\": 1e400}'",
    ] {
        let refused = lab.sql(unreadable).await.expect_err(unreadable);
        assert!(refused.contains("numbers_are_finite"), "{refused}");
    }
    lab.sql("INSERT INTO recovery_requests (name, plan, spec) VALUES ('three', 'apilos', '{\"n\": 1e300}')")
        .await
        .expect("filed");
    assert!(lab.store.requests().await.expect("read").iter().all(Result::is_ok));
    lab.end().await;
}

#[tokio::test]
async fn a_failure_is_known_when_a_step_fails_and_not_when_all_has_ended() {
    let lab = lab().await;
    let failures = async || lab.store.failures().await.expect("read");
    lab.sql("INSERT INTO recovery_requests (name, plan, phase) VALUES ('at-work', 'apilos', 'Running')")
        .await
        .expect("filed");
    assert!(failures().await.is_empty());
    lab.sql(
        "INSERT INTO recovery_steps (request, step, milestone, phase, finished_at) VALUES
            ('at-work', 'restore', 'restored', 'Failed', to_timestamp(100)), ('at-work', 'bucket', 'restored', 'Done', to_timestamp(200))",
    )
    .await
    .expect("written");
    let at =
        |seconds| vec![("apilos".to_owned(), chrono::DateTime::from_timestamp(seconds, 0).expect("a date"))];
    assert_eq!(failures().await, at(100));
    lab.sql("UPDATE recovery_requests SET phase = 'Failed', finished_at = to_timestamp(300)")
        .await
        .expect("written");
    assert_eq!(failures().await, at(300));
    lab.sql("UPDATE recovery_requests SET phase = 'Succeeded'").await.expect("written");
    assert!(failures().await.is_empty());
    lab.end().await;
}
