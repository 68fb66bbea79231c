//! A real server from the machine's own binaries: as root or as an ordinary user, whoever runs the tests.
#![cfg(test)]

use std::io::{BufRead, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use reprise_cluster::{Binaries, Cluster, ClusterError, Settings};
use sqlx::{Connection, PgConnection};

/// Set for the child process that plays an owner; see `owner_in_another_process`.
const PLAY_OWNER: &str = "REPRISE_TEST_OWNER_DIR";

fn quick(dir: &Path) -> Settings {
    Settings::new(dir).option("fsync", "off")
}

async fn execute(cluster: &Cluster, sql: &'static str) {
    let mut connection = PgConnection::connect(&cluster.url("postgres")).await.unwrap();
    sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

async fn ask(cluster: &Cluster, sql: &'static str) -> String {
    let mut connection = PgConnection::connect(&cluster.url("postgres")).await.unwrap();
    sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap()
}

#[tokio::test]
async fn a_cluster_keeps_its_data_over_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = Cluster::start(quick(dir.path())).await.unwrap();
    assert_eq!(ask(&cluster, "SHOW server_encoding").await, "UTF8");
    assert_eq!(ask(&cluster, "SHOW listen_addresses").await, "");
    assert_eq!(ask(&cluster, "SHOW fsync").await, "off");
    assert!(ask(&cluster, "SHOW server_version").await.starts_with(cluster.version()));
    execute(&cluster, "CREATE TABLE t AS SELECT 'été'::text AS x").await;
    let socket = cluster.socket_dir().to_owned();
    cluster.stop().await;
    assert!(!socket.join(".s.PGSQL.5432").exists());

    let again = Cluster::start(Settings::new(dir.path())).await.unwrap();
    assert_eq!(ask(&again, "SELECT x FROM t").await, "été");
    assert_eq!(ask(&again, "SHOW fsync").await, "on", "durable unless told otherwise");
    again.stop().await;
}

#[tokio::test]
async fn the_command_line_client_understands_the_url() {
    let dir = tempfile::tempdir().unwrap();
    let mut settings = quick(dir.path());
    settings.superuser = "the boss".into();
    let cluster = Cluster::start(settings).await.unwrap();
    let psql = Binaries::find().unwrap().tool("psql");
    let output =
        Command::new(psql).args([&cluster.url("postgres"), "-Atc", "SELECT current_user"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "the boss", "{output:?}");
    cluster.stop().await;
}

#[tokio::test]
async fn anybody_but_the_superuser_needs_a_password() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = Cluster::start(quick(dir.path())).await.unwrap();
    execute(&cluster, "CREATE ROLE app LOGIN PASSWORD 'right'").await;
    let url = |password: &str| cluster.url("postgres").replace("postgres@", &format!("app:{password}@"));
    assert!(PgConnection::connect(&url("wrong")).await.is_err());
    assert!(PgConnection::connect(&url("right")).await.is_ok());
    cluster.stop().await;
}

#[tokio::test]
async fn a_second_owner_is_refused_with_the_first_ones_number() {
    let dir = tempfile::tempdir().unwrap();
    let first = Cluster::start(quick(dir.path())).await.unwrap();
    let refused = Cluster::start(quick(dir.path())).await.unwrap_err();
    assert!(matches!(refused, ClusterError::Owned { .. }), "{refused}");
    let sentence = refused.to_string();
    assert!(sentence.contains(&std::process::id().to_string()), "{sentence}");
    assert_eq!(ask(&first, "SELECT 'still here'").await, "still here");
    first.stop().await;
}

#[tokio::test]
async fn a_server_that_was_killed_is_recovered_from() {
    let dir = tempfile::tempdir().unwrap();
    let mut cluster = Cluster::start(Settings::new(dir.path())).await.unwrap();
    execute(&cluster, "CREATE TABLE t AS SELECT 'kept'::text AS x").await;
    let pid = first_line(&cluster.data_dir().join("postmaster.pid"));
    assert!(Command::new("kill").args(["-KILL", &pid]).status().unwrap().success());
    tokio::time::timeout(Duration::from_secs(10), cluster.ended()).await.unwrap().unwrap();
    drop(cluster);

    let again = Cluster::start(quick(dir.path())).await.unwrap();
    assert_eq!(ask(&again, "SELECT x FROM t").await, "kept");
    again.stop().await;
}

#[tokio::test]
async fn a_dropped_cluster_stops_and_can_be_started_again() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = Cluster::start(quick(dir.path())).await.unwrap();
    execute(&cluster, "CREATE TABLE t AS SELECT 'kept'::text AS x").await;
    drop(cluster);
    let again = Cluster::start(quick(dir.path())).await.unwrap();
    assert_eq!(ask(&again, "SELECT x FROM t").await, "kept");
    again.stop().await;
}

#[tokio::test]
async fn an_abandoned_cluster_is_gone_without_a_checkpoint_and_can_be_erased() {
    let dir = tempfile::tempdir().unwrap();
    let cluster = Cluster::start(quick(dir.path())).await.unwrap();
    let pid: i32 = ask(&cluster, "SELECT pg_backend_pid()::text").await.parse().unwrap();
    let socket = cluster.socket_dir().to_owned();
    cluster.abandon().await;
    assert!(!Path::new(&format!("/proc/{pid}")).exists(), "its sessions are gone");
    let log = std::fs::read_to_string(dir.path().join("server.log")).unwrap();
    assert!(log.contains("immediate shutdown") && !log.contains("fast shutdown"), "{log}");
    assert!(std::fs::read_dir(socket).is_ok_and(|mut left| left.next().is_none()), "its socket is gone");
    Cluster::erase(dir.path()).await.unwrap();
}

/// No test by itself: an owner in a process of its own, for the test below to kill.
#[tokio::test]
async fn owner_in_another_process() {
    let Some(dir) = std::env::var_os(PLAY_OWNER) else { return };
    let cluster = Cluster::start(quick(Path::new(&dir))).await.unwrap();
    execute(&cluster, "CREATE TABLE t AS SELECT 'kept'::text AS x").await;
    println!("\nowner is ready");
    // Until whoever plays it is gone, however that comes: a test that failed leaves no process behind.
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

#[tokio::test]
async fn a_killed_owner_s_server_is_ended_and_its_data_taken_over() {
    let dir = tempfile::tempdir().unwrap();
    let mut owner = play_owner(dir.path());
    let held = Cluster::start(quick(dir.path())).await.unwrap_err();
    assert!(held.to_string().contains(&owner.id().to_string()), "{held}");

    owner.kill().unwrap();
    owner.wait().unwrap();
    let left = first_line(&dir.path().join("data/postmaster.pid"));
    assert!(Path::new("/proc").join(&left).exists(), "the server outlives its owner until the next start");
    let cluster = Cluster::start(quick(dir.path())).await.unwrap();
    assert_ne!(first_line(&dir.path().join("data/postmaster.pid")), left);
    assert_eq!(ask(&cluster, "SELECT x FROM t").await, "kept");
    cluster.stop().await;
}

fn play_owner(dir: &Path) -> Child {
    let mut owner = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "owner_in_another_process", "--nocapture"])
        .env(PLAY_OWNER, dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(owner.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "owner is ready"));
    owner
}

#[tokio::test]
async fn a_server_of_somebody_else_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    Cluster::start(quick(dir.path())).await.unwrap().stop().await;
    let mut theirs = foreign_server(dir.path());
    let refused = Cluster::start(quick(dir.path())).await.unwrap_err();
    let running = theirs.try_wait().unwrap().is_none();
    Command::new("kill").args(["-INT", &theirs.id().to_string()]).status().unwrap();
    theirs.wait().unwrap();
    assert!(matches!(refused, ClusterError::Foreign { .. }), "{refused}");
    assert!(running, "it was stopped");
}

fn foreign_server(dir: &Path) -> Child {
    let server = Binaries::find().unwrap().tool("postgres");
    let mut command = if nix::unistd::geteuid().is_root() {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-user=1000", "--map-group=1000", "--"]).arg(server);
        command
    } else {
        Command::new(server)
    };
    let data = dir.join("data");
    command.arg("-D").arg(&data).args(["-c", "listen_addresses="]).arg("-k").arg(dir.join("socket"));
    let child = command.stderr(Stdio::null()).spawn().unwrap();
    let ready = |text: String| text.lines().nth(7).is_some_and(|state| state.trim() == "ready");
    let serves = || std::fs::read_to_string(data.join("postmaster.pid")).is_ok_and(ready);
    let mut looks = 0..500;
    while !serves() && looks.next().is_some() {
        Command::new("sleep").arg("0.02").status().unwrap();
    }
    child
}

#[tokio::test]
async fn a_long_folder_works_too() {
    let dir = tempfile::tempdir().unwrap();
    let long =
        dir.path().join("a folder whose name is quite long, with blanks, ' and \"").join("é".repeat(50));
    let cluster = Cluster::start(quick(&long)).await.unwrap();
    assert_eq!(ask(&cluster, "SELECT 'reached'").await, "reached");
    let socket = cluster.socket_dir().to_owned();
    assert!(socket.join(".s.PGSQL.5432").as_os_str().len() <= 107);
    cluster.stop().await;
    assert!(!socket.exists(), "a folder outside ours is cleaned up");
}

#[tokio::test]
async fn data_of_another_version_is_refused_before_anything_is_touched() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("data")).unwrap();
    std::fs::write(dir.path().join("data/PG_VERSION"), "9.1\n").unwrap();
    let refused = Cluster::start(quick(dir.path())).await.unwrap_err().to_string();
    assert!(refused.contains("PostgreSQL 9.1"), "{refused}");
}

#[tokio::test]
async fn a_start_that_fails_tells_the_server_s_own_reason() {
    let dir = tempfile::tempdir().unwrap();
    let refused = Cluster::start(Settings::new(dir.path()).option("no_such_option", "1")).await.unwrap_err();
    assert!(refused.to_string().contains("no_such_option"), "{refused}");
}

fn first_line(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap().lines().next().unwrap().to_owned()
}

#[tokio::test]
async fn what_nobody_runs_is_erased_and_what_somebody_runs_is_not() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("throwaway");
    Cluster::erase(&dir).await.unwrap();
    let cluster = Cluster::start(quick(&dir)).await.unwrap();
    let data = cluster.data_dir().to_owned();
    let refused = Cluster::erase(&dir).await.unwrap_err();
    assert!(matches!(refused, ClusterError::Owned { .. }), "{refused}");
    assert!(data.join("PG_VERSION").exists(), "nothing was touched");
    // As after a death of the owner: the server still runs.
    drop(cluster);
    Cluster::erase(&dir).await.unwrap();
    assert!(!dir.exists() && !data.exists());
    Cluster::erase(&dir).await.unwrap();
}
