//! On a real server that is not ours: what is made there, and what is left alone.

use std::sync::Arc;

use secrecy::SecretString;
use sqlx::postgres::PgConnection;

use super::*;
use crate::backup::lab::Lab;
use crate::backup::lab::lab as server;
use crate::backup::ladder::connect;
use crate::proof::address::Address;
use crate::store::tests::{Lab as Records, lab as records};

/// Somebody's server, our records, and a folder.
struct Bench {
    server: Arc<Lab>,
    user: String,
    door: Door,
    records: Records,
    root: tempfile::TempDir,
}

impl Bench {
    async fn new() -> Self {
        let (server, records) = (server().await, records().await);
        let (user, address) = server.prover().await;
        let door = door(&address);
        Self { server, user, door, records, root: tempfile::tempdir().expect("a folder") }
    }

    async fn open(&self) -> Result<Named, ProofError> {
        let ours = (&self.records.store, "shop");
        Named::open(self.door.clone(), ours, &self.root.path().join("shop"), 99).await
    }

    async fn named(&self) -> Named {
        self.open().await.expect("a server that will do")
    }

    /// Puts a database of this name there, of our user's, as `sql` goes on with.
    async fn put(&self, name: &str, sql: &str) {
        self.server.execute("postgres", &format!("CREATE DATABASE {name} OWNER {}", self.user)).await;
        if !sql.is_empty() {
            self.server.execute("postgres", sql).await;
        }
    }

    async fn on_record(&self, name: &str) {
        self.records.store.begin_throwaway(name, "shop", self.door.place()).await.expect("on record");
    }

    async fn there(&self, name: &str) -> bool {
        let mut session = self.server.connect("postgres").await;
        let sql = "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)";
        sqlx::query_scalar(sql).bind(name).fetch_one(&mut session).await.expect("an answer")
    }
}

fn door(address: &SecretString) -> Door {
    Door::at_address(Address::read(address, String::new).expect("an address"))
}

/// A name such as a throwaway database has.
fn name(number: u32) -> String {
    format!("{PREFIX}{:016x}_{number}", rand::random::<u64>())
}

async fn shown(session: &mut PgConnection, sql: &'static str) -> String {
    sqlx::query_scalar(sql).fetch_one(session).await.expect("an answer")
}

#[tokio::test]
async fn what_a_killed_predecessor_left_is_dropped_and_nothing_else_is() {
    let bench = Bench::new().await;
    let mut killed = bench.named().await;
    let place = killed.fresh(None).await.expect("a database");
    let left = place.owner.database.clone();
    let mut session = connect(&place.owner, "test").await.expect("it is ours");
    sqlx::raw_sql("CREATE TABLE a AS SELECT 1").execute(&mut session).await.expect("a table");
    // Its `pg_restore` may live on, with its session. Nothing is said, nothing is cleaned up.
    drop(killed);

    let (unmarked, lookalike, renamed, given) = (name(1), name(2), name(3), name(4));
    bench.on_record(&unmarked).await;
    bench.put(&unmarked, "").await;
    let comment = |name: &str, text: &str| format!("COMMENT ON DATABASE {name} IS '{text}'");
    bench.put(&lookalike, &comment(&lookalike, MARK)).await;
    bench.on_record(&renamed).await;
    bench.put(&renamed, &comment(&renamed, "Kept by Zoé")).await;
    bench.on_record(&given).await;
    bench.put(&given, &format!("ALTER DATABASE {given} OWNER TO postgres")).await;

    let mut next = bench.named().await;
    for (name, stays) in
        [(&left, false), (&unmarked, false), (&lookalike, true), (&renamed, true), (&given, true)]
    {
        assert_eq!(bench.there(name).await, stays, "{name}");
    }
    let place = next.fresh(None).await.expect("a database");
    assert_ne!(place.owner.database, left, "who was left behind finds no database of its name");
    assert!(place.superuser.is_none());
    next.end().await.expect("ended");
    assert!(!bench.there(&place.owner.database).await && !bench.root.path().join("shop").exists());
    let kept: Vec<String> =
        bench.records.store.throwaways().await.expect("rows").into_iter().map(|row| row.name).collect();
    assert_eq!(kept, [renamed, given], "what could not be dropped is not forgotten");
    bench.records.end().await;
}

#[tokio::test]
async fn what_is_asked_for_and_has_not_come_yet_is_not_forgotten() {
    let bench = Bench::new().await;
    let to_come = name(1);
    bench.on_record(&to_come).await;
    let named = bench.named().await;
    bench.put(&to_come, "").await;
    named.drop_all().await.expect("looked");
    assert!(!bench.there(&to_come).await, "it came after the first look");
    bench.on_record(&to_come).await;
    let old = "UPDATE proof_databases SET begun_at = now() - interval '2 hours'";
    bench.records.sql(old).await.expect("written");
    named.drop_all().await.expect("looked");
    assert!(bench.records.store.throwaways().await.expect("rows").is_empty());
    bench.records.end().await;
}

#[tokio::test]
async fn nobody_else_enters_and_the_user_s_time_outs_do_not_hold_there() {
    let bench = Bench::new().await;
    bench
        .server
        .execute("postgres", &format!("ALTER ROLE {} SET statement_timeout = 1234", bench.user))
        .await;
    let (_, stranger) = bench.server.prover().await;
    let mut named = bench.named().await;
    let place = named.fresh(None).await.expect("a database");
    let name = &place.owner.database;
    let refused = connect(&door(&stranger).database(name), "test").await.expect_err("it is not his");
    assert!(Chain(&refused).to_string().contains("permission denied"), "{}", Chain(&refused));
    // As `psql` and `pg_restore` begin: our own driver chooses a zone.
    let mut session = connect(&place.owner, "test").await.expect("a session");
    assert_eq!(shown(&mut session, "SHOW statement_timeout").await, "0");
    let zone = "SELECT reset_val FROM pg_settings WHERE name = 'synchronous_commit'";
    assert_eq!(shown(&mut session, zone).await, "off");
    session.close().await.ok();
    named.end().await.expect("ended");
    bench.records.end().await;
}

#[tokio::test]
async fn whoever_may_do_too_much_or_too_little_is_refused_before_anything_is_made() {
    let bench = Bench::new().await;
    for (change, told) in
        [("SUPERUSER", "may do too much"), ("NOSUPERUSER NOCREATEDB", "may make no database")]
    {
        bench.server.execute("postgres", &format!("ALTER ROLE {} {change}", bench.user)).await;
        let error = bench.open().await.err().map(|error| Chain(&error).to_string()).unwrap_or_default();
        assert!(error.contains(told), "{error}");
        assert!(!bench.root.path().join("shop").exists());
    }
    let user = &bench.user;
    bench
        .server
        .execute("postgres", &format!("ALTER ROLE {user} CREATEDB; GRANT pg_read_server_files TO {user}"))
        .await;
    assert!(matches!(bench.open().await, Err(ProofError::Unsuited { .. })));
    bench.records.end().await;
}

#[tokio::test]
async fn a_database_that_outgrows_its_limit_is_noticed() {
    let bench = Bench::new().await;
    let mut named = bench.named().await;
    named.fresh(None).await.expect("a database");
    assert!(named.watch(Some(1 << 20)).trouble().await.contains("1048576 bytes"));
    let enough = tokio::time::timeout(LOOK * 2, named.watch(Some(1 << 40)).trouble()).await;
    assert!(enough.is_err(), "{enough:?}");
    named.end().await.expect("ended");
    bench.records.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_falls_silent_is_noticed() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = silent.local_addr().expect("an address").port();
    let door = door(&SecretString::from(format!("postgres://a:hunter2@127.0.0.1:{port}/?sslmode=disable")));
    let watch = Watch { door, stem: PREFIX.to_owned(), most: None };
    let told = watch.trouble().await;
    assert!(told.contains("could not open a session") && !told.contains("hunter2"), "{told}");
}

#[tokio::test]
async fn a_sweep_leaves_the_dump_of_a_run_alone() {
    let bench = Bench::new().await;
    let named = bench.named().await;
    let dump = crate::proof::server::dump_in(named.folder());
    std::fs::write(&dump, "a dump").expect("written");
    crate::proof::sweep(bench.root.path()).await.expect("swept");
    assert!(dump.exists());
    named.end().await.expect("ended");
    std::fs::create_dir_all(bench.root.path().join("other")).expect("a folder");
    crate::proof::sweep(bench.root.path()).await.expect("swept");
    assert!(!bench.root.path().join("other").exists());
    bench.records.end().await;
}

#[tokio::test]
async fn a_database_that_somebody_mightier_is_in_is_dropped_once_he_has_left() {
    let bench = Bench::new().await;
    let mut named = bench.named().await;
    let place = named.fresh(None).await.expect("a database");
    // As a worker of the server's that vacuums what was just restored: our user may not end it.
    let stranger = bench.server.connect(&place.owner.database).await;
    let mut looking = bench.server.connect("postgres").await;
    let left = async {
        let trying = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'DROP DATABASE%')";
        while !sqlx::query_scalar::<_, bool>(trying).fetch_one(&mut looking).await.expect("an answer") {
            tokio::task::yield_now().await;
        }
        stranger.close().await.expect("closed");
        std::future::pending::<()>().await;
    };
    tokio::select! {
        dropped = named.end() => dropped.expect("it is dropped"),
        () = left => {}
    }
    assert!(!bench.there(&place.owner.database).await);
    bench.records.end().await;
}
