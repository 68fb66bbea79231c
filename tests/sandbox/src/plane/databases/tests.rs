//! Databases before real clients: from outside, from an app's process, with users and dumps.

use std::collections::BTreeMap;

use sqlx::Connection as _;
use sqlx::postgres::{PgConnectOptions, PgConnection};

use super::*;
use crate::plane::runner::{DeployFailure, Formation, Release};

struct Town {
    _dir: tempfile::TempDir,
    world: Arc<World>,
    databases: Arc<Databases>,
    access: DatabaseAccess,
}

async fn town() -> Town {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path(), 60.0, 1).unwrap();
    let databases = Databases::start(&world).await.unwrap();
    let access = databases.create("my_app_1").await.unwrap();
    Town { _dir: dir, world, databases, access }
}

impl Town {
    async fn query(&self, user: &str, password: &str, sql: &str) -> Result<i64, sqlx::Error> {
        let socket = self.databases.socket_of(&self.access.host, self.access.port).unwrap();
        let options = PgConnectOptions::new_without_pgpass()
            .socket(socket.parent().unwrap())
            .username(user)
            .password(password)
            .database("my_app_1");
        let mut connection = PgConnection::connect_with(&options).await?;
        sqlx::query_scalar(sqlx::AssertSqlSafe(sql.to_owned())).fetch_one(&mut connection).await
    }

    async fn as_owner(&self, sql: &str) -> Result<i64, sqlx::Error> {
        self.query(&self.access.user, &self.access.password, sql).await
    }
}

#[tokio::test]
async fn the_front_cuts_a_foreign_process_and_accepts_an_apps() {
    let town = town().await;
    let runner = Runner::start(&town.world);
    let DatabaseAccess { host, port, user, password, database } = town.access.clone();
    let foreign = PgConnectOptions::new_without_pgpass()
        .host("127.0.0.1")
        .port(port)
        .username(&user)
        .password(&password);
    let refused = PgConnection::connect_with(&foreign.clone().database(&database)).await;
    assert!(refused.is_err(), "nobody is admitted yet");
    town.databases.admit(&runner);
    assert!(PgConnection::connect_with(&foreign.database(&database)).await.is_err(), "we are no app");

    let url = format!("postgresql://{user}:{password}@{host}:{port}/{database}?sslmode=prefer");
    let hook = "psql -X -w -c 'CREATE TABLE made_by_the_app (id int)' \"$URL\"";
    let release = Release {
        deployment: "d1".into(),
        dir: town.world.folder("apps/one/d1").unwrap(),
        procfile: BTreeMap::from([("postdeploy".into(), hook.into())]),
    };
    let (log, mut lines) = tokio::sync::mpsc::unbounded_channel();
    let env = BTreeMap::from([("URL".to_owned(), url)]);
    let released: Result<(), DeployFailure> =
        runner.release("one", release, &Formation::new(), &env, &log).await;
    let said: Vec<String> = std::iter::from_fn(|| lines.try_recv().ok()).collect();
    assert_eq!(released, Ok(()), "{said:?}");
    assert_eq!(town.as_owner("SELECT count(*) FROM made_by_the_app").await.unwrap(), 0);
    town.databases.shut_down().await;
}

#[tokio::test]
async fn a_read_only_user_reads_what_the_owner_makes_and_writes_nothing() {
    let town = town().await;
    let id = "my_app_1";
    town.databases.run_sql(id, "CREATE TABLE old AS SELECT 1 AS n; CREATE EXTENSION unaccent").await.unwrap();
    town.databases.add_user(id, "reader", "a-first-password", true).await.unwrap();
    town.databases.run_sql(id, "CREATE TABLE new AS SELECT 2 AS n").await.unwrap();
    let read = |password: &'static str, sql| town.query("reader", password, sql);
    for table in ["old", "new"] {
        let sql = format!("SELECT count(*) FROM {table}");
        assert_eq!(town.query("reader", "a-first-password", &sql).await.unwrap(), 1, "{table}");
    }
    for write in [
        "INSERT INTO old VALUES (3) RETURNING n::bigint",
        "WITH x AS (DELETE FROM new RETURNING 1) SELECT count(*) FROM x",
    ] {
        assert!(read("a-first-password", write).await.is_err(), "{write}");
    }
    town.databases.set_password(id, "reader", "a-second-password").await.unwrap();
    assert!(read("a-first-password", "SELECT 1::bigint").await.is_err());
    assert!(read("a-second-password", "SELECT 1::bigint").await.is_ok());
    town.databases.drop_user(id, "reader").await.unwrap();
    assert!(read("a-second-password", "SELECT 1::bigint").await.is_err());
    town.databases.shut_down().await;
}

#[tokio::test]
async fn a_dump_brings_back_what_a_disaster_took() {
    let town = town().await;
    let id = "my_app_1";
    town.databases
        .run_sql(id, "CREATE TABLE things AS SELECT generate_series(1, 1000) AS n; SELECT lo_from_bytea(0, 'big'::bytea)")
        .await
        .unwrap();
    town.databases.add_user(id, "reader", "a-reader-password", true).await.unwrap();
    let file = town.world.folder("dumps").unwrap().join("x.pgsql");
    assert!(town.databases.dump(id, &file).await.unwrap() > 0);
    town.databases.wipe(id).await.unwrap();
    assert!(town.as_owner("SELECT count(*) FROM things").await.is_err());
    assert_eq!(town.as_owner("SELECT count(*) FROM pg_largeobject_metadata").await.unwrap(), 0);
    town.databases.load_dump(id, &file).await.unwrap();
    assert_eq!(town.as_owner("SELECT count(*) FROM things").await.unwrap(), 1000);
    assert_eq!(town.query("reader", "a-reader-password", "SELECT count(*) FROM things").await.unwrap(), 1000);
    let owned = "SELECT count(*) FROM pg_class WHERE relname = 'things' AND relowner = 'my_app_1'::regrole";
    assert_eq!(town.as_owner(owned).await.unwrap(), 1);
    assert_eq!(town.as_owner("SELECT count(*) FROM pg_largeobject_metadata").await.unwrap(), 1);

    let failure = town.databases.load_dump(id, &file).await.unwrap_err();
    assert!(
        matches!(failure, DatabaseError::Tool { .. }),
        "a second time everything is there already: {failure}"
    );
    town.databases.shut_down().await;
}

#[tokio::test]
async fn two_addons_keep_their_users_apart_and_go_alone() {
    let town = town().await;
    let second = town.databases.create("my_app_2").await.unwrap();
    for id in ["my_app_1", "my_app_2"] {
        town.databases.add_user(id, "reader", &format!("the-password-of-{id}"), true).await.unwrap();
    }
    assert!(town.query("reader", "the-password-of-my_app_2", "SELECT 1::bigint").await.is_err());
    assert!(town.query("my_app_2", &second.password, "SELECT 1::bigint").await.is_err());
    assert!(matches!(town.databases.create("my_app_2").await, Err(DatabaseError::Exists(_))));
    town.databases.destroy("my_app_2").await.unwrap();
    assert!(town.databases.socket_of(&second.host, second.port).is_none());
    assert!(tokio::net::TcpStream::connect(("127.0.0.1", second.port)).await.is_err());
    assert!(town.query("reader", "the-password-of-my_app_1", "SELECT 1::bigint").await.is_ok());
    let text = format!("{:?} {:?}", town.access, town.databases);
    assert!(!text.contains(&town.access.password));
    town.databases.shut_down().await;
}

/// What `psql` says of one statement through the tunnels' door, with these settings.
async fn psql(town: &Town, settings: &str, sql: &str) -> (bool, String) {
    let socket = town.databases.socket_of(&town.access.host, town.access.port).unwrap();
    // A tunnel of our own: the door is a socket, and libpq speaks TLS by TCP only.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let tunnel = async move {
        loop {
            let (mut near, _) = listener.accept().await.unwrap();
            let mut far = tokio::net::UnixStream::connect(&socket).await.unwrap();
            tokio::io::copy_bidirectional(&mut near, &mut far).await.ok();
        }
    };
    let conninfo = format!(
        "host={} hostaddr=127.0.0.1 port={port} user={} dbname={} {settings}",
        town.access.host, town.access.user, town.access.database
    );
    let mut command = tokio::process::Command::new(town.databases.binaries.tool("psql"));
    command
        .args(["-XAtw", "-c", sql, "-d", &conninfo])
        .env("PGPASSWORD", &town.access.password)
        .env("LC_ALL", "C");
    let output = tokio::select! {
        output = command.output() => output.unwrap(),
        () = tunnel => unreachable!(),
    };
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(said).unwrap())
}

#[tokio::test]
async fn tls_is_offered_verified_by_name_and_forced_as_the_server_would() {
    let town = town().await;
    let ca = town.databases.ca_file().display().to_string();
    for settings in [
        "sslmode=prefer".to_owned(),
        "sslmode=disable".to_owned(),
        "sslmode=require channel_binding=prefer".to_owned(),
        format!("sslmode=verify-ca sslrootcert={ca}"),
        format!("sslmode=verify-full sslrootcert={ca}"),
    ] {
        assert_eq!(psql(&town, &settings, "SELECT 1").await, (true, "1\n".into()), "{settings}");
    }
    let (met, said) = psql(&town, "sslmode=require", "\\conninfo").await;
    assert!(met && said.contains("SSL connection"), "{said}");
    let other = format!("sslmode=verify-full sslrootcert={ca} host=localhost");
    let (met, said) = psql(&town, &other, "SELECT 1").await;
    assert!(!met && said.contains("does not match host name"), "{said}");

    town.databases.force_tls("my_app_1", true).unwrap();
    let (met, said) = psql(&town, "sslmode=disable", "SELECT 1").await;
    let words = "no pg_hba.conf entry for host \"127.0.0.1\", user \"my_app_1\", database \"my_app_1\", no encryption";
    assert!(!met && said.contains(words), "{said}");
    assert!(psql(&town, "sslmode=prefer", "SELECT 1").await.0);
    town.databases.force_tls("my_app_1", false).unwrap();
    assert!(psql(&town, "sslmode=disable", "SELECT 1").await.0);
    town.databases.shut_down().await;
}

#[tokio::test]
async fn extensions_of_the_whitelist_can_be_made_and_are_the_platforms() {
    let town = town().await;
    let ask = async |sql: &str| psql(&town, "sslmode=disable", sql).await;
    for name in ["pg_trgm", "dblink", "postgres_fdw"] {
        let (met, said) = ask(&format!("CREATE EXTENSION {name}")).await;
        assert!(met, "{name}: {said}");
        for refused in [format!("COMMENT ON EXTENSION {name} IS 'x'"), format!("DROP EXTENSION {name}")] {
            let (met, said) = ask(&refused).await;
            assert!(
                !met && said.contains(&format!("must be owner of extension {name}")),
                "{refused}: {said}"
            );
        }
    }
    assert!(ask("CREATE EXTENSION IF NOT EXISTS earthdistance CASCADE").await.0);
    for name in ["adminpack", "lo", "file_fdw"] {
        let (met, said) = ask(&format!("CREATE EXTENSION {name}")).await;
        assert!(
            !met && said.contains(&format!("permission denied to create extension \"{name}\"")),
            "{said}"
        );
    }
    let hidden = ask("CREATE EXTENSION dblink; CREATE EXTENSION adminpack").await;
    assert!(!hidden.0, "{hidden:?}");
    assert_eq!(ask("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").await.1, "f\n");
    let owned = "SELECT count(*) FROM pg_proc p JOIN pg_depend d ON d.objid = p.oid AND d.deptype = 'e' \
                 WHERE p.proowner = current_user::regrole";
    assert_eq!(ask(owned).await.1, "0\n", "functions of an extension are the user's");
    assert_eq!(ask("SELECT similarity('a', 'a')").await.1, "1\n");
    town.databases.shut_down().await;
}

#[tokio::test]
async fn a_dump_restored_by_the_user_fails_at_the_extensions_comment_only() {
    let town = town().await;
    let id = "my_app_1";
    town.databases
        .run_sql(id, "CREATE EXTENSION pg_trgm; CREATE TABLE things (name text); CREATE INDEX ON things USING gin (name gin_trgm_ops)")
        .await
        .unwrap();
    let file = town.world.folder("dumps").unwrap().join("x.pgsql");
    town.databases.dump(id, &file).await.unwrap();
    let list = std::process::Command::new(town.databases.binaries.tool("pg_restore"))
        .arg("-l")
        .arg(&file)
        .output()
        .unwrap();
    let list = String::from_utf8(list.stdout).unwrap();
    assert!(
        list.contains("EXTENSION - pg_trgm") && !list.contains("EVENT TRIGGER") && !list.contains("sandbox_"),
        "{list}"
    );
    let socket = town.databases.socket_of(&town.access.host, town.access.port).unwrap();
    let output = tokio::process::Command::new(town.databases.binaries.tool("pg_restore"))
        .args([
            "--clean",
            "--if-exists",
            "--no-owner",
            "--no-privileges",
            "--no-comments",
            "-w",
            "-d",
            id,
            "-U",
            id,
        ])
        .arg(&file)
        .env("PGHOST", socket.parent().unwrap())
        .env("PGPORT", "5433")
        .env("PGPASSWORD", &town.access.password)
        .env("LC_ALL", "C")
        .output()
        .await
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("must be owner of extension pg_trgm"), "{said}");
    assert!(said.contains("errors ignored on restore: 1"), "{said}");
    town.databases.shut_down().await;
}
