//! A store that is held up, takes no writes, or keeps a start waiting.

use super::*;

#[tokio::test]
async fn an_open_transaction_on_one_request_keeps_no_connection_waiting() {
    let lab = lab().await;
    let epoch = lab.filed().await;
    let mut psql = lab.options().connect().await.expect("connected");
    sqlx::raw_sql("BEGIN; SELECT FROM recovery_requests FOR UPDATE")
        .execute(&mut psql)
        .await
        .expect("locked");
    let lease = lab.store.lease("bad-day");
    let limit = Duration::from_secs(10);
    let renewed =
        tokio::time::timeout(limit, lease.renew("me", epoch, TERM)).await.expect("it does not hang");
    let told = renewed.expect_err("the row is locked").to_string();
    assert!(told.contains("keeps a lock") && told.contains("lease.renew"), "{told}");
    let begun = lab.store.begin_step("bad-day", epoch, "restore", "restored");
    tokio::time::timeout(limit, begun).await.expect("it does not hang").expect_err("the row is locked");
    sqlx::raw_sql("COMMIT").execute(&mut psql).await.expect("unlocked");
    assert!(lease.renew("me", epoch, TERM).await.expect("answered"));
    lab.end().await;
}

#[tokio::test]
async fn a_store_that_only_answers_is_told_from_one_that_takes_writes() {
    let lab = lab().await;
    lab.store.takes_writes().await.expect("it takes them");
    lab.sql("ALTER DATABASE postgres SET default_transaction_read_only = on").await.expect("altered");
    let copy = Store::connect(lab.options()).await.expect("connected");
    copy.ping().await.expect("it answers");
    let error = copy.takes_writes().await.expect_err("it takes none");
    assert!(error.takes_no_writes(), "{error}");
    copy.close().await;
    lab.end().await;
}

#[tokio::test(start_paused = true)]
async fn who_waits_long_is_heard_of() {
    let heard_of = std::cell::Cell::new(0);
    let done = heard(tokio::time::sleep(HEARD * 5 / 2), || heard_of.set(heard_of.get() + 1));
    done.await;
    assert_eq!(heard_of.get(), 2);
}
