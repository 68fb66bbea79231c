//! Verdicts against a real PostgreSQL.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use super::*;
use crate::store::tests::lab;

fn at(minute: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + TimeDelta::minutes(minute)
}

fn listed(backup: &str, day: i64, size: i64) -> ListedBackup {
    ListedBackup {
        backup: backup.to_owned(),
        name: Some(format!("name of {backup}")),
        taken_at: Some(at(day * 24 * 60)),
        size_bytes: Some(size),
    }
}

fn verdict(backup: &str, rung: Rung, minute: i64) -> Verdict {
    Verdict {
        kind: "database".into(),
        backup: backup.into(),
        rung,
        sha256: Some("aa".into()),
        checked_at: at(minute),
        tools: json!({}),
        settled: rung >= Rung::Restored,
        sound: rung == Rung::Asserted,
        proven_at: (rung == Rung::Asserted).then(|| at(minute)),
        ..Verdict::default()
    }
}

#[tokio::test]
async fn a_list_puts_new_ones_down_marks_those_that_are_gone_and_forgets_nothing() {
    let lab = lab().await;
    let store = &lab.store;
    store.record_listing("apilos", &[listed("a", 1, 10), listed("b", 2, 20)], at(0), "test").await.unwrap();
    store.record_verdict("apilos", &verdict("a", Rung::Asserted, 1)).await.unwrap();
    store.record_listing("apilos", &[listed("a", 1, 10), listed("c", 3, 30)], at(2), "test").await.unwrap();
    let rows = store.verdicts("apilos").await.unwrap();
    let seen: Vec<_> =
        rows.iter().map(|row| (row.backup.as_str(), row.rung, row.gone_at.is_some())).collect();
    assert_eq!(seen, [("c", Rung::Listed, false), ("b", Rung::Listed, true), ("a", Rung::Asserted, false)]);
    assert_eq!(rows[2].label(), "name of a", "the verdict had no name and keeps the one that it has");
    assert_eq!(store.last_listing("apilos").await.unwrap(), Some(at(2)));
    assert!(rows[2].settled);
    store.record_listing("apilos", &[listed("a", 1, 11), listed("b", 2, 20)], at(3), "test").await.unwrap();
    let rows = store.verdicts("apilos").await.unwrap();
    let a = rows.iter().find(|row| row.backup == "a").unwrap();
    assert!(!a.settled, "another size is another backup: it is judged anew");
    assert!(rows.iter().find(|row| row.backup == "b").unwrap().gone_at.is_none(), "it came back");
    lab.end().await;
}

#[tokio::test]
async fn an_older_fact_and_a_lesser_look_at_the_same_bytes_replace_nothing() {
    let lab = lab().await;
    let store = &lab.store;
    store.record_verdict("apilos", &verdict("a", Rung::Asserted, 5)).await.unwrap();
    store.record_verdict("apilos", &verdict("a", Rung::Restored, 4)).await.unwrap();
    store.record_verdict("apilos", &verdict("a", Rung::Readable, 6)).await.unwrap();
    let rung = async || store.verdicts("apilos").await.unwrap()[0].rung;
    assert_eq!(rung().await, Rung::Asserted);
    let refused = Verdict {
        refused: Some("gzip-cut".into()),
        settled: true,
        sha256: None,
        ..verdict("a", Rung::Listed, 7)
    };
    store.record_verdict("apilos", &refused).await.unwrap();
    assert_eq!(rung().await, Rung::Listed, "it has rotted");
    let unhashed = Verdict { sha256: None, kind: "objects".into(), ..verdict("o", Rung::Readable, 1) };
    store.record_verdict("apilos", &unhashed).await.unwrap();
    store
        .record_verdict("apilos", &Verdict { rung: Rung::Listed, checked_at: at(2), ..unhashed })
        .await
        .unwrap();
    let rows = store.verdicts("apilos").await.unwrap();
    assert_eq!(
        rows.iter().find(|row| row.backup == "o").unwrap().rung,
        Rung::Listed,
        "without a digest the later wins"
    );
    lab.end().await;
}

#[tokio::test]
async fn what_a_recovery_saw_of_a_backup_clears_no_refusal_and_ends_no_proof() {
    let lab = lab().await;
    let store = &lab.store;
    let recovered = |minute| Verdict { settled: false, ..verdict("a", Rung::Restored, minute) };
    store.record_verdict("apilos", &recovered(1)).await.unwrap();
    let row = async || store.verdicts("apilos").await.unwrap().swap_remove(0);
    assert!(!row().await.settled, "it is still to be looked at as a whole");
    let refused =
        Verdict { refused: Some("data-not-in-dump".into()), sound: false, ..verdict("a", Rung::Restored, 2) };
    store.record_verdict("apilos", &refused).await.unwrap();
    store.record_verdict("apilos", &recovered(3)).await.unwrap();
    assert_eq!(row().await.refused.as_deref(), Some("data-not-in-dump"));
    // Proven, and held back for its rows: neither is forgotten.
    let held = Verdict { sound: true, ..verdict("a", Rung::Restored, 4) };
    store.record_verdict("apilos", &held).await.unwrap();
    store.record_verdict("apilos", &recovered(5)).await.unwrap();
    assert!(row().await.sound && row().await.settled);
    lab.end().await;
}

#[tokio::test]
async fn the_tear_down_of_another_plans_drill_is_no_reason_to_wait() {
    let lab = lab().await;
    let store = &lab.store;
    store.file_request("rehearsal", "apilos", &json!({ "mode": "drill" })).await.unwrap();
    let of = async |plan: &str| store.recovery_at_work_beside(plan).await.unwrap();
    assert!(of("other").await && of("apilos").await, "it is at work");
    sqlx::query("UPDATE recovery_requests SET phase = 'TearingDown'").execute(&store.pool).await.unwrap();
    assert!(!of("other").await && of("apilos").await);
    assert!(store.recovery_at_work().await.unwrap(), "another drill waits for it");
    sqlx::query("UPDATE recovery_requests SET spec = '{}'").execute(&store.pool).await.unwrap();
    assert!(of("other").await, "what a recovery undoes is a person's to wait for");
    lab.end().await;
}

#[tokio::test]
async fn the_next_look_at_a_backup_leaves_the_report_of_the_one_before() {
    let lab = lab().await;
    let store = &lab.store;
    store.record_listing("apilos", &[listed("a", 1, 10)], at(0), "test").await.unwrap();
    let reports = async || store.verification_reports("apilos", "database", "a").await.unwrap();
    assert_eq!(reports().await, [], "being listed is no look");
    let counts = Some(json!({ "tables": [["public", "orders", 7]] }));
    let proven = Verdict { counts: counts.clone(), ..verdict("a", Rung::Asserted, 1) };
    store.record_verdict("apilos", &proven).await.unwrap();
    store.record_suspicions("apilos", &[("a".to_owned(), Some("orders fell".to_owned()))]).await.unwrap();
    store.record_listing("apilos", &[listed("a", 1, 10)], at(2), "test").await.unwrap();
    let cut = Verdict { refused: Some("gzip-cut".into()), settled: true, ..verdict("a", Rung::Listed, 3) };
    store.record_verdict("apilos", &cut).await.unwrap();
    let found = reports().await;
    let told: Vec<_> = found.iter().map(|one| (one.rung, one.refused.as_deref(), one.checked_at)).collect();
    assert_eq!(told, [(Rung::Listed, Some("gzip-cut"), at(3)), (Rung::Restored, None, at(1))]);
    assert_eq!((found[1].suspicious.as_deref(), &found[1].counts), (Some("orders fell"), &counts));
    sqlx::query("DELETE FROM backup_verdicts").execute(&store.pool).await.unwrap();
    assert_eq!(reports().await, [], "they are kept as long as it is known");
    lab.end().await;
}

#[tokio::test]
async fn when_it_was_proven_stays_known_of_one_that_is_refused_later() {
    let lab = lab().await;
    let store = &lab.store;
    store.record_verdict("apilos", &verdict("a", Rung::Asserted, 1)).await.unwrap();
    let refused = Verdict {
        refused: Some("gzip-cut".into()),
        sha256: Some("others".into()),
        settled: true,
        proven_at: None,
        ..verdict("a", Rung::Listed, 2)
    };
    store.record_verdict("apilos", &refused).await.unwrap();
    let row = store.verdicts("apilos").await.unwrap().remove(0);
    assert_eq!((row.refused.as_deref(), row.proven_at), (Some("gzip-cut"), Some(at(1))));
    lab.end().await;
}

#[tokio::test]
async fn a_request_that_was_not_accepted_is_at_no_work() {
    let lab = lab().await;
    let store = &lab.store;
    store.file_request("typo", "apilos", &json!({ "scope": ["dns"] })).await.unwrap();
    assert!(store.recovery_at_work().await.unwrap(), "nobody has looked at it yet");
    let refused = r#"UPDATE recovery_requests SET status = '{"conditions": [{"type": "Accepted", "status": "False"}]}'"#;
    sqlx::query(refused).execute(&store.pool).await.unwrap();
    assert!(!store.recovery_at_work().await.unwrap());
    sqlx::query("UPDATE recovery_requests SET phase = 'Running'").execute(&store.pool).await.unwrap();
    assert!(store.recovery_at_work().await.unwrap());
    lab.end().await;
}

#[tokio::test]
async fn what_taught_nothing_is_noted_and_forgotten_when_something_is_learnt() {
    let lab = lab().await;
    let store = &lab.store;
    store.record_listing("apilos", &[listed("a", 1, 10)], at(0), "test").await.unwrap();
    store.note_trouble("apilos", "a", "the line dropped", at(9)).await.unwrap();
    store.note_trouble("apilos", "a", "the line dropped", at(19)).await.unwrap();
    let row = store.verdicts("apilos").await.unwrap().swap_remove(0);
    assert_eq!((row.attempts, row.retry_at, row.rung), (2, Some(at(19)), Rung::Listed));
    store.record_verdict("apilos", &verdict("a", Rung::Asserted, 20)).await.unwrap();
    let row = store.verdicts("apilos").await.unwrap().swap_remove(0);
    assert_eq!((row.attempts, row.retry_at, row.trouble), (0, None, None));
    lab.end().await;
}

#[tokio::test]
async fn a_suspicious_backup_is_not_asserted_until_somebody_accepts_it() {
    let lab = lab().await;
    let store = &lab.store;
    store.record_listing("apilos", &[listed("a", 1, 10)], at(0), "test").await.unwrap();
    store.record_verdict("apilos", &verdict("a", Rung::Asserted, 1)).await.unwrap();
    let suspicion = [("a".to_owned(), Some("orders fell".to_owned()))];
    let rung = async || store.verdicts("apilos").await.unwrap()[0].rung;
    store.record_suspicions("apilos", &suspicion).await.unwrap();
    assert_eq!(rung().await, Rung::Restored);
    assert!(store.plan_dates().await.unwrap()[0].suspicious);
    assert_eq!(store.plan_dates().await.unwrap()[0].backup_at, None);
    store.record_verdict("apilos", &verdict("a", Rung::Asserted, 2)).await.unwrap();
    assert_eq!(rung().await, Rung::Restored, "proven again, and as suspicious as before");
    assert!(store.accept_backup("apilos", "name of a", "eve").await.unwrap());
    store.record_suspicions("apilos", &suspicion).await.unwrap();
    assert_eq!(rung().await, Rung::Asserted);
    let dates = store.plan_dates().await.unwrap().swap_remove(0);
    assert!(!dates.suspicious);
    assert_eq!(dates.backup_at, Some(at(24 * 60)));
    store.record_listing("apilos", &[], at(3), "test").await.unwrap();
    assert_eq!(store.plan_dates().await.unwrap()[0].backup_at, None, "what is gone is not fresh");
    lab.end().await;
}

#[tokio::test]
async fn one_process_at_a_time_has_the_turn() {
    let lab = lab().await;
    let first = lab.store.proof_turn("apilos").await.unwrap();
    assert!(first.is_some());
    assert!(lab.store.proof_turn("apilos").await.unwrap().is_none());
    assert!(lab.store.proof_turn("other").await.unwrap().is_some());
    drop(first);
    let mut again = None;
    for _ in 0..200 {
        again = lab.store.proof_turn("apilos").await.unwrap();
        if again.is_some() {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert!(again.is_some(), "it ends with its holder");
    lab.end().await;
}

#[tokio::test]
async fn a_verdict_from_a_time_to_come_gives_way_and_hides_nothing() {
    let lab = lab().await;
    let store = &lab.store;
    let ahead = Utc::now() + TimeDelta::days(1500);
    store.record_listing("apilos", &[listed("a", 1, 10)], at(0), "test").await.unwrap();
    let odd = ListedBackup { taken_at: Some(ahead), ..listed("z", 1, 10) };
    store.record_listing("apilos", &[listed("a", 1, 10), odd], at(0), "test").await.unwrap();
    store
        .record_verdict("apilos", &Verdict { checked_at: ahead, ..verdict("a", Rung::Asserted, 1) })
        .await
        .unwrap();
    store.record_verdict("apilos", &verdict("z", Rung::Asserted, 1)).await.unwrap();
    assert_eq!(store.plan_dates().await.unwrap()[0].backup_at, listed("a", 1, 10).taken_at);
    let refused =
        Verdict { refused: Some("gzip-cut".into()), settled: true, ..verdict("a", Rung::Listed, 7) };
    store.record_verdict("apilos", &refused).await.unwrap();
    let rows = store.verdicts("apilos").await.unwrap();
    let a = rows.iter().find(|row| row.backup == "a").unwrap();
    assert_eq!((a.rung, a.checked_at), (Rung::Listed, at(7)));
    lab.end().await;
}

#[tokio::test]
async fn one_that_the_code_is_behind_is_suspicious_too_and_keeps_its_rung() {
    let lab = lab().await;
    let store = &lab.store;
    store.record_listing("apilos", &[listed("a", 1, 10), listed("b", 2, 10)], at(0), "test").await.unwrap();
    store.record_verdict("apilos", &verdict("a", Rung::Asserted, 1)).await.unwrap();
    store.record_verdict("apilos", &verdict("b", Rung::Restored, 2)).await.unwrap();
    let suspicions = [("a".to_owned(), None), ("b".to_owned(), Some("orders fell".to_owned()))];
    store.record_suspicions("apilos", &suspicions).await.unwrap();
    let newest = async || store.verdicts("apilos").await.unwrap().swap_remove(0);
    let suspicious = async || store.plan_dates().await.unwrap()[0].suspicious;
    assert_eq!((newest().await.rung, newest().await.suspicious.is_some()), (Rung::Restored, true));
    assert!(suspicious().await, "though an older one is sound and above suspicion");
    assert!(store.accept_backup("apilos", "b", "eve").await.unwrap());
    assert_eq!((newest().await.rung, suspicious().await), (Rung::Restored, false), "accepted is not proven");
    let refused = Verdict { refused: Some("check-failed".into()), ..verdict("b", Rung::Restored, 3) };
    store.record_verdict("apilos", &refused).await.unwrap();
    assert!(!suspicious().await, "what is refused is told by another alert");
    lab.end().await;
}

#[tokio::test]
async fn a_dump_that_was_packed_anew_is_the_same_backup() {
    let lab = lab().await;
    let store = &lab.store;
    let packed = |sha256: &str, rung, minute| Verdict {
        sha256: Some(sha256.into()),
        dump_sha256: Some("dump".into()),
        ..verdict("a", rung, minute)
    };
    store.record_listing("apilos", &[listed("a", 1, 10)], at(0), "test").await.unwrap();
    store.record_verdict("apilos", &packed("once", Rung::Asserted, 1)).await.unwrap();
    store.record_suspicions("apilos", &[("a".to_owned(), Some("orders fell".to_owned()))]).await.unwrap();
    store.record_verdict("apilos", &packed("again", Rung::Asserted, 2)).await.unwrap();
    let row = store.verdicts("apilos").await.unwrap().swap_remove(0);
    assert_eq!((row.rung, row.suspicious.as_deref()), (Rung::Restored, Some("orders fell")));
    assert!(store.accept_backup("apilos", "a", "eve").await.unwrap());
    store.record_verdict("apilos", &packed("a third time", Rung::Readable, 3)).await.unwrap();
    let row = store.verdicts("apilos").await.unwrap().swap_remove(0);
    assert_eq!((row.rung, row.accepted_by.as_deref()), (Rung::Asserted, Some("eve")), "a lesser look");
    lab.end().await;
}

#[tokio::test]
async fn rows_of_tables_are_read_where_they_are_asked_for_alone() {
    let lab = lab().await;
    let store = &lab.store;
    let counts = Some(json!([["public", "a", 3]]));
    let questions_sha256 = Some("q".to_owned());
    let fact = Verdict { counts: counts.clone(), questions_sha256, ..verdict("a", Rung::Asserted, 0) };
    store.record_verdict("apilos", &fact).await.unwrap();
    assert_eq!(store.counts_of("apilos", "a").await.unwrap(), counts);
    assert_eq!(store.counts_of("apilos", "b").await.unwrap(), None);
    let known = store.verdicts("apilos").await.unwrap().swap_remove(0);
    assert_eq!((known.counts.as_ref(), known.questions_sha256.as_deref()), (None, Some("q")));
    // What is written from there leaves them as they are.
    let again = Verdict { checked_at: at(1), questions_sha256: None, ..known };
    store.record_verdict("apilos", &again).await.unwrap();
    let known = store.verdicts_with_counts("apilos").await.unwrap().swap_remove(0);
    assert_eq!((known.counts, known.questions_sha256.as_deref()), (counts, Some("q")));
    lab.end().await;
}
