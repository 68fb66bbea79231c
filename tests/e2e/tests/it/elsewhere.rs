//! Backups that are proven on a server that the plan names: as an ordinary user, in databases that go, beside a stranger's that stay.

use std::path::PathBuf;

use reprise_cluster::{Cluster, Settings};
use reprise_e2e::plan::{NAME, Plan};
use reprise_e2e::records::poll;
use reprise_e2e::stage::{Stage, play};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::proof::grade;

const PASSWORD: &str = "hunter2-of-the-prover";
/// As throwaway databases are called, and as they are marked; made by the very user, and not by Reprise.
const LOOKALIKE: &str = "reprise_proof_0123456789abcdef_1";
const STRANGERS: &str = "CREATE ROLE stranger LOGIN PASSWORD 'another';
    CREATE ROLE prover LOGIN CREATEDB PASSWORD 'hunter2-of-the-prover'";

/// A second server, which is not Reprise's.
struct Elsewhere {
    cluster: Cluster,
    _dir: tempfile::TempDir,
}

impl Elsewhere {
    async fn start() -> Self {
        let dir = tempfile::Builder::new().prefix("reprise-e2e-").tempdir().expect("a folder");
        let settings = Settings::new(dir.path().join("elsewhere")).option("fsync", "off");
        let elsewhere = Self { cluster: Cluster::start(settings).await.expect("a server"), _dir: dir };
        elsewhere.execute("postgres", STRANGERS).await;
        elsewhere.execute("postgres", "CREATE DATABASE shop OWNER stranger").await;
        elsewhere.execute("shop", "CREATE TABLE orders AS SELECT generate_series(1, 100) AS n").await;
        elsewhere.execute("postgres", &format!("CREATE DATABASE {LOOKALIKE} OWNER prover")).await;
        let mark = format!("COMMENT ON DATABASE {LOOKALIKE} IS 'Throwaway database of Reprise'");
        elsewhere.execute("postgres", &mark).await;
        elsewhere
    }

    fn address(&self) -> String {
        let folder = self.cluster.socket_dir().display().to_string().replace('/', "%2F");
        format!("postgres://prover:{PASSWORD}@{folder}:{}/postgres", self.cluster.port())
    }

    async fn connect(&self, database: &str) -> PgConnection {
        PgConnection::connect(&self.cluster.url(database)).await.expect("a session")
    }

    async fn execute(&self, database: &str, sql: &str) {
        let mut session = self.connect(database).await;
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut session).await.expect(sql);
        session.close().await.ok();
    }

    /// The databases and roles that somebody made, but for the stranger's and the lookalike.
    async fn made(&self) -> Vec<String> {
        let sql = "SELECT datname::text FROM pg_database WHERE NOT datistemplate AND datname NOT IN ('postgres', 'shop', $1)
             UNION ALL SELECT rolname::text FROM pg_roles WHERE rolname !~ '^pg_' AND rolname NOT IN ('postgres', 'stranger', 'prover')";
        let mut session = self.connect("postgres").await;
        let made = sqlx::query_scalar(sql).bind(LOOKALIKE).fetch_all(&mut session).await.expect("a list");
        session.close().await.ok();
        made
    }

    /// Whether `pg_restore` is at work in a throwaway database now: its sessions beside that which waits for it.
    async fn is_restored_into(&self) -> Option<()> {
        let sql =
            "SELECT count(*) > 1 FROM pg_stat_activity WHERE datname ~ '^reprise_proof_' AND datname <> $1";
        let mut session = self.connect("postgres").await;
        let at_work: bool =
            sqlx::query_scalar(sql).bind(LOOKALIKE).fetch_one(&mut session).await.expect("a look");
        session.close().await.ok();
        at_work.then_some(())
    }

    async fn is_untouched(&self) -> bool {
        let mut shop = self.connect("shop").await;
        let rows: i64 =
            sqlx::query_scalar("SELECT count(*) FROM orders").fetch_one(&mut shop).await.expect("rows");
        self.connect(LOOKALIKE).await.close().await.ok();
        rows == 100
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_that_dies_in_a_proof_elsewhere_leaves_nothing_there_and_touches_nobody_s() {
    play(83, async |stage: &mut Stage| {
        let elsewhere = Elsewhere::start().await;
        stage.daemon.set("PROOF_SERVER", &elsewhere.address());
        stage.daemon.start().await;
        let often =
            "{ perRun: 2, server: 'env:PROOF_SERVER', schedule: { cron: '*/2 * * * * *', jitter: 0s } }";
        stage.daemon.apply(&Plan::example().and("proof", often)).await;
        let mut left = Vec::new();
        for _ in 0..5 {
            assert!(poll(async || elsewhere.is_restored_into().await).await.is_some(), "there was no restore");
            stage.daemon.kill().await;
            left = elsewhere.made().await;
            stage.daemon.start().await;
            if !left.is_empty() {
                break;
            }
        }
        let [left] = left.as_slice() else { panic!("no death came in the middle of a restore: {left:?}") };
        assert!(left.starts_with("reprise_proof_"), "{left}");
        let gone = poll(async || (!elsewhere.made().await.contains(left)).then_some(())).await;
        assert!(gone.is_some(), "{left} was left");

        let records = stage.daemon.records();
        let settled = "SELECT name FROM backup_verdicts WHERE kind = 'database' AND settled";
        let all = poll(async || (records.column(settled).await.len() == 7).then_some(())).await;
        let rows = records.column("SELECT name || ' ' || rung || ' ' || coalesce(refused, message, '') FROM backup_verdicts").await;
        assert!(all.is_some(), "{rows:#?}");
        let sound = "SELECT name || ' | ' || coalesce(checks ->> 'place', '') || ' | ' || coalesce(checks ->> 'structure', '')
             FROM backup_verdicts WHERE sound AND rung = 'asserted' ORDER BY taken_at DESC";
        let sound = records.column(sound).await;
        assert_eq!(sound.len(), 4, "{sound:#?}");
        let told = |line: &String| {
            line.contains("the server that the plan names") && line.contains("were not looked into: permission denied")
        };
        assert!(sound.iter().all(told), "{sound:#?}");
        let page = stage.daemon.run(&["evidence", sound[0].split(" | ").next().unwrap_or_default()]).await;
        assert!(page.contains("the server that the plan names"), "{page}");

        let (_, told) = stage.daemon.ask(&["doctor", NAME, "--dev", "-o", "json"]).await;
        assert_eq!(grade(&told, "proof-server"), "good", "{told}");
        nothing_is_left(stage, &elsewhere).await;
        assert!(elsewhere.is_untouched().await);
        let printed = stage.daemon.printed();
        assert!(!printed.contains(PASSWORD) && !told.contains(PASSWORD), "a password was told");
    })
    .await;
}

async fn nothing_is_left(stage: &Stage, elsewhere: &Elsewhere) {
    let on_record = "SELECT name FROM proof_databases";
    let mut seen = (Vec::new(), Vec::new(), Vec::new());
    let clean = poll(async || {
        let here: Vec<PathBuf> = stage.daemon.tried_now();
        seen = (elsewhere.made().await, stage.daemon.records().column(on_record).await, here);
        (seen.0.is_empty() && seen.1.is_empty() && seen.2.is_empty()).then_some(())
    });
    let clean = clean.await.is_some();
    assert!(clean, "{seen:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_will_not_do_refuses_no_backup_and_keeps_no_recovery() {
    play(84, async |stage: &mut Stage| {
        let elsewhere = Elsewhere::start().await;
        elsewhere.execute("postgres", "ALTER ROLE prover NOCREATEDB").await;
        stage.daemon.set("PROOF_SERVER", &elsewhere.address());
        stage.daemon.start().await;
        let plan = Plan::example().and("proof", "{ server: 'env:PROOF_SERVER', enabled: false }");
        stage.daemon.apply(&plan).await;
        let (well, told) = stage.daemon.ask(&["prove", NAME, "--dev"]).await;
        assert!(!well && told.contains("ALTER ROLE prover CREATEDB") && !told.contains(PASSWORD), "{told}");
        let judged = "SELECT name FROM backup_verdicts WHERE settled OR refused IS NOT NULL";
        assert_eq!(stage.daemon.records().column(judged).await, [""; 0]);
        let (_, told) = stage.daemon.ask(&["doctor", NAME, "--dev", "-o", "json"]).await;
        assert_eq!(grade(&told, "proof-server"), "bad", "{told}");

        // On the bad day nobody may know its address any more.
        stage.daemon.stop().await;
        stage.daemon.unset("PROOF_SERVER");
        let request = stage.bad_day(&plan).await;
        let records = stage.daemon.records();
        records.step_is(&request, "choose-backup", |step| step.phase == "Done").await;
    })
    .await;
}
