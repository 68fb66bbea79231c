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

/// A way to the server that can be cut: what is sent then arrives nowhere, and nobody is told.
async fn way(lab: &Lab) -> (PgConnectOptions, tokio::sync::watch::Sender<bool>, tokio::task::JoinSet<()>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let socket = lab.cluster.socket_dir().join(format!(".s.PGSQL.{}", lab.cluster.port()));
    let (cut, mut lines) = (tokio::sync::watch::Sender::new(false), tokio::task::JoinSet::new());
    let seen = cut.subscribe();
    lines.spawn(async move {
        let mut all = tokio::task::JoinSet::new();
        while let Ok((mut client, _)) = listener.accept().await {
            let mut server = tokio::net::UnixStream::connect(&socket).await.expect("the server");
            let mut cut = seen.clone();
            all.spawn(async move {
                tokio::select! {
                    _ = tokio::io::copy_bidirectional(&mut client, &mut server) => return,
                    _ = cut.wait_for(|cut| *cut) => {}
                }
                std::future::pending::<()>().await;
            });
        }
    });
    let options = PgConnectOptions::new_without_pgpass().host("127.0.0.1").port(port).database("postgres");
    let options = options.username(lab.cluster.superuser()).ssl_mode(sqlx::postgres::PgSslMode::Disable);
    (options, cut, lines)
}

#[tokio::test]
async fn connections_at_whose_other_end_nobody_answers_keep_no_place() {
    let lab = lab().await;
    let (options, cut, _lines) = way(&lab).await;
    let far = Store::connect(options).await.expect("connected");
    let asked =
        futures::future::join_all((0..12).map(|_| sqlx::query("SELECT pg_sleep(600)").execute(&far.pool)));
    let all = async {
        let busy = "SELECT FROM pg_stat_activity WHERE query LIKE '%pg_sleep%' AND state = 'active' AND pid <> pg_backend_pid()";
        while sqlx::query(busy).fetch_all(&lab.store.pool).await.expect("a list").len() < 12 {
            tokio::task::yield_now().await;
        }
        cut.send_replace(true);
    };
    // Whoever asked has no patience left: all twelve are given back in the middle of a question.
    tokio::select! {
        _ = asked => panic!("nobody was to answer"),
        () = all => {}
    }
    cut.send_replace(false);
    far.ping().await.expect("there is room for new ones");
    drop(far);
    lab.end().await;
}
