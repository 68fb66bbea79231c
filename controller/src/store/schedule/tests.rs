//! Two daemons and one run: who gets it, when it may be taken over, and what a former owner can still do.

use super::super::tests::{Lab, lab};
use super::*;

const SILENCE: Duration = Duration::from_mins(2);

fn due(hour: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_790_000_000 + hour * 3_600, 0).expect("a date")
}

impl Lab {
    async fn claim(&self, hour: i64, me: &str) -> Option<Claim> {
        self.store.claim_run("apilos", "archive", due(hour), me, SILENCE).await.expect("answered")
    }

    async fn silent(&self) {
        let statement =
            "UPDATE scheduled_runs SET heartbeat_at = now() - interval '121 s' WHERE state = 'claimed'";
        self.sql(statement).await.expect("written");
    }

    async fn last(&self) -> ScheduledRun {
        self.store.last_run("apilos", "archive").await.expect("answered").expect("there is one")
    }
}

#[tokio::test]
async fn of_daemons_that_claim_at_once_one_gets_the_run() {
    let lab = lab().await;
    let claims = futures::future::join_all((0..8).map(|number| {
        let (store, me) = (lab.store.clone(), format!("daemon-{number}"));
        async move { store.claim_run("apilos", "archive", due(0), &me, SILENCE).await.expect("answered") }
    }))
    .await;
    let got: Vec<Claim> = claims.into_iter().flatten().collect();
    assert_eq!(got.len(), 1);
    lab.store.beat(&got[0]).await.expect("it is alive");
    lab.store.finish_run(&got[0], &Ending::Done("3 objects".into())).await.expect("written");
    assert_eq!(lab.claim(0, "late").await, None, "it is done");
    let last = lab.last().await;
    assert_eq!((last.state, last.message.as_deref()), (RunState::Done, Some("3 objects")));
    assert_eq!(lab.store.last_due("apilos", "archive").await.expect("answered"), Some(due(0)));
    assert_eq!(lab.store.last_due("apilos", "drill").await.expect("answered"), None);
    lab.end().await;
}

#[tokio::test]
async fn a_silent_claim_is_taken_over_and_its_former_owner_can_write_nothing() {
    let lab = lab().await;
    let old = lab.claim(0, "one").await.expect("free");
    assert_eq!(lab.claim(0, "two").await, None, "its owner lives");
    lab.silent().await;
    let new = lab.claim(0, "two").await.expect("its owner fell silent");
    assert!(matches!(lab.store.beat(&old).await, Err(StoreError::Outrun { .. })));
    let ended = lab.store.finish_run(&old, &Ending::Done(String::new())).await;
    assert!(matches!(ended, Err(StoreError::Outrun { .. })), "{ended:?}");
    lab.store.beat(&new).await.expect("the new owner lives");
    assert_eq!(lab.last().await.claimed_by, "two");
    lab.end().await;
}

#[tokio::test]
async fn a_claim_that_was_given_back_is_taken_at_once_and_by_whoever_asks() {
    let lab = lab().await;
    let old = lab.claim(0, "one").await.expect("free");
    lab.store.leave_run(&old).await.expect("given back");
    let new = lab.claim(0, "two").await.expect("nobody has it");
    lab.store.leave_run(&old).await.expect("nothing to give back");
    assert_eq!(lab.claim(0, "three").await, None, "it is the other's");
    lab.store.beat(&new).await.expect("it is");
    lab.end().await;
}

#[tokio::test]
async fn a_restarted_daemon_takes_its_own_claim_back_at_once() {
    let lab = lab().await;
    let before = lab.claim(0, "one").await.expect("free");
    let after = lab.claim(0, "one").await.expect("our own predecessor's");
    assert!(lab.store.beat(&before).await.is_err() && lab.store.beat(&after).await.is_ok());
    lab.end().await;
}

#[tokio::test]
async fn two_runs_of_one_job_never_overlap() {
    let lab = lab().await;
    let first = lab.claim(0, "one").await.expect("free");
    assert_eq!(lab.claim(1, "two").await, None, "the run before is not over");
    let drill = lab.store.claim_run("apilos", "drill", due(1), "two", SILENCE).await.expect("answered");
    assert!(drill.is_some(), "another job is another matter");
    lab.store.finish_run(&first, &Ending::Done(String::new())).await.expect("written");
    let second = lab.claim(1, "two").await.expect("now it is over");
    assert_eq!(
        lab.store.running("apilos", "archive").await.expect("answered").map(|run| run.due_at),
        Some(due(1))
    );
    lab.silent().await;
    lab.claim(2, "one").await.expect("what is newer stands for what was cut off");
    assert!(lab.store.beat(&second).await.is_err());
    let cut = lab.store.one_run("AND state = 'failed'", "apilos", "archive").await.expect("answered");
    assert_eq!(cut.map(|run| (run.due_at, run.retry_at)), Some((due(1), None)));
    lab.end().await;
}

#[tokio::test]
async fn a_failed_run_is_tried_again_after_its_time_until_a_newer_one_is_due() {
    let lab = lab().await;
    let claim = lab.claim(0, "one").await.expect("free");
    let failed = Ending::Failed("the endpoint answers 503".into(), Duration::from_mins(5));
    lab.store.finish_run(&claim, &failed).await.expect("written");
    lab.store.finish_run(&claim, &failed).await.expect("repeated, because the answer was lost");
    let last = lab.last().await;
    assert_eq!((last.state, last.failures), (RunState::Failed, 1), "counted once");
    assert_eq!(lab.claim(0, "two").await, None, "not yet");
    lab.sql("UPDATE scheduled_runs SET retry_at = now() - interval '1 s'").await.expect("written");
    let again = lab.claim(0, "two").await.expect("its time has come");
    assert_eq!(again.failures, 1);
    lab.store.finish_run(&again, &failed).await.expect("written");
    lab.claim(1, "one").await.expect("a newer one is due");
    lab.sql("UPDATE scheduled_runs SET retry_at = now() - interval '1 s' WHERE retry_at IS NOT NULL")
        .await
        .expect("written");
    assert_eq!(lab.claim(0, "two").await, None, "and stands for it");
    lab.end().await;
}

#[tokio::test]
async fn the_newest_run_of_each_job_is_told() {
    let lab = lab().await;
    for (hour, said) in [(0, "30 objects"), (1, "31 objects")] {
        let claim = lab.claim(hour, "one").await.expect("free");
        lab.store.finish_run(&claim, &Ending::Done(said.into())).await.expect("written");
    }
    let dumps = lab.store.claim_run("apilos", "dumps", due(0), "two", SILENCE).await.expect("answered");
    assert!(dumps.is_some());
    let last = lab.store.last_runs("apilos").await.expect("answered");
    let told: Vec<_> =
        last.iter().map(|one| (one.job.as_str(), one.run.state, one.run.message.as_deref())).collect();
    assert_eq!(told, [("archive", RunState::Done, Some("31 objects")), ("dumps", RunState::Claimed, None)]);
    assert_eq!(lab.store.last_runs("another").await.expect("answered"), []);
    lab.end().await;
}

#[tokio::test]
async fn a_schedule_is_followed_since_it_was_first_seen_or_changed() {
    let lab = lab().await;
    let see = async |schedule: &'static str, hour| {
        lab.store.see_schedule("apilos", "archive", schedule, due(hour)).await.expect("answered")
    };
    assert_eq!(see("27 1 * * 1 UTC", 0).await, due(0));
    assert_eq!(see("27 1 * * 1 UTC", 5).await, due(0), "a restart changes nothing");
    assert_eq!(see("0 4 * * * UTC", 6).await, due(6));
    lab.store.forget_schedules("apilos", &["archive", "drill"]).await.expect("written");
    assert_eq!(see("0 4 * * * UTC", 7).await, due(6));
    lab.store.forget_schedules("apilos", &[]).await.expect("written");
    assert_eq!(see("0 4 * * * UTC", 8).await, due(8), "it was away for a while");
    lab.end().await;
}

#[tokio::test]
async fn the_last_tick_outlives_the_daemon_that_made_it() {
    let lab = lab().await;
    assert_eq!(lab.store.last_tick().await.expect("answered"), None);
    lab.store.record_tick("one").await.expect("written");
    let first = lab.store.last_tick().await.expect("answered").expect("there");
    lab.store.record_tick("two").await.expect("written");
    let second = lab.store.last_tick().await.expect("answered").expect("there");
    assert!(second > first);
    lab.end().await;
}

#[tokio::test]
async fn what_a_clock_that_was_ahead_has_left_holds_nobody_up() {
    let lab = lab().await;
    let years = 24 * 365 * 50;
    lab.claim(years, "one").await.expect("free");
    let ahead = "UPDATE scheduled_runs SET heartbeat_at = now() + interval '4 years'";
    lab.sql(ahead).await.expect("written");
    let claim = lab.claim(1, "two").await.expect("nobody lives in a time to come");
    lab.store
        .finish_run(&claim, &Ending::Failed("503".into(), Duration::from_mins(5)))
        .await
        .expect("written");
    lab.sql("UPDATE scheduled_runs SET retry_at = now() + interval '4 years' WHERE retry_at IS NOT NULL")
        .await
        .expect("written");
    assert!(lab.claim(1, "two").await.is_some(), "no retry rests for years");
    let last = lab.store.last_run_until("apilos", "archive", due(2)).await.expect("answered");
    assert_eq!(last.map(|run| run.due_at), Some(due(1)));
    lab.store.see_schedule("apilos", "archive", "0 4 * * * UTC", due(years)).await.expect("answered");
    let marks = lab.store.schedule_marks().await.expect("answered");
    assert!(marks[0].2 < due(years), "{marks:?}");
    let since = lab.store.see_schedule("apilos", "archive", "0 4 * * * UTC", due(3)).await;
    assert_eq!(since.expect("answered"), due(3));
    lab.end().await;
}
