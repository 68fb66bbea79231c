//! The content in a real server, dumped, restored, and damaged.

use std::path::{Path, PathBuf};
use std::process::Output;

use reprise_cluster::{Binaries, Cluster, Settings};
use tokio::process::Command;

use super::*;

/// A server with a database `estate` whose owner is no superuser, as an addon's user is none.
struct Bench {
    cluster: Cluster,
    binaries: Binaries,
    dir: tempfile::TempDir,
}

async fn bench() -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings::new(dir.path().join("cluster")).option("fsync", "off");
    let (cluster, binaries) = (Cluster::start(settings).await.unwrap(), Binaries::find().unwrap());
    let bench = Bench { cluster, binaries, dir };
    let as_superuser = bench.cluster.superuser().to_owned();
    bench.psql(&as_superuser, "postgres", "CREATE ROLE app LOGIN PASSWORD 'pw'").await;
    for database in ["estate", "copy"] {
        bench
            .psql(
                &as_superuser,
                "postgres",
                &format!("CREATE DATABASE {database} OWNER app TEMPLATE template0 ENCODING 'UTF8'"),
            )
            .await;
    }
    bench
}

impl Bench {
    async fn run(&self, tool: &str, user: &str, words: &[&str], input: &str) -> Output {
        let path = self.dir.path().join("input.sql");
        tokio::fs::write(&path, input).await.unwrap();
        let mut command = Command::new(self.binaries.tool(tool));
        command.args(words).env("PGPASSWORD", "pw").env("PGUSER", user);
        command.env("PGHOST", self.cluster.socket_dir()).env("PGPORT", self.cluster.port().to_string());
        command.stdin(std::fs::File::open(&path).unwrap());
        command.output().await.unwrap()
    }

    async fn psql(&self, user: &str, database: &str, sql: &str) -> String {
        let words = ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", database];
        let output = self.run("psql", user, &words, sql).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// The number of rows of every user table, and the number of large objects.
    async fn counts(&self, database: &str) -> Vec<(String, u64)> {
        const SQL: &str = "SELECT format('%I.%I', schemaname, tablename), (xpath('/row/n/text()', query_to_xml(format('SELECT count(*) AS n FROM %I.%I', schemaname, tablename), false, true, '')))[1] FROM pg_tables WHERE schemaname IN ('public', 'audit') UNION ALL SELECT 'large objects', count(*)::text::xml FROM pg_largeobject_metadata ORDER BY 1";
        let said = self.psql("app", database, SQL).await;
        let row =
            |line: &str| line.split_once('|').map(|(name, count)| (name.to_owned(), count.parse().unwrap()));
        said.lines().filter_map(row).collect()
    }

    async fn dump(&self) -> Vec<u8> {
        let file = self.dir.path().join("estate.dump");
        let words = ["-Fc", "--no-owner", "--no-privileges", "-f", file.to_str().unwrap(), "estate"];
        let output = self.run("pg_dump", "app", &words, "").await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        tokio::fs::read(&file).await.unwrap()
    }

    async fn write(&self, bytes: &[u8]) -> PathBuf {
        let path = self.dir.path().join("checked.pgsql");
        tokio::fs::write(&path, bytes).await.unwrap();
        path
    }

    /// Whether the table of contents lists, and whether every data block reads.
    async fn judged(&self, dump: &[u8]) -> (bool, bool) {
        let path = self.write(dump).await;
        let path = path.to_str().unwrap();
        let listed = self.run("pg_restore", "app", &["-l", path], "").await;
        let read = self.run("pg_restore", "app", &["-f", "/dev/null", path], "").await;
        (listed.status.success(), read.status.success())
    }
}

#[tokio::test]
async fn the_content_is_whole_in_a_real_server_and_survives_a_restore() {
    let bench = bench().await;
    bench.psql("app", "estate", &sql(Size::Small, 1)).await;
    let counts = bench.counts("estate").await;
    let (tables, rows) = (counts.len() - 1, counts.iter().map(|(_, count)| count).sum::<u64>());
    assert!(tables >= 12 && (4_500..8_000).contains(&rows), "{counts:?}");
    assert!(counts.iter().all(|(_, count)| *count > 0), "{counts:?}");
    let file = bench.write(&bench.dump().await).await;
    let words = ["--no-owner", "--no-privileges", "-d", "copy", file.to_str().unwrap()];
    let output = bench.run("pg_restore", "app", &words, "").await;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.matches("error:").all(|_| said.contains("must be owner of extension")), "{said}");
    assert_eq!(bench.counts("copy").await, counts);
    let view = bench
        .psql("app", "copy", "SELECT count(*) FROM public.statistiques_departements WHERE logements > 0")
        .await;
    assert_ne!(view, "0");
    let ahead = bench.psql("app", "copy", "SELECT nextval('public.numero_convention')").await;
    assert_eq!(ahead, "900004");
    bench.cluster.stop().await;
}

#[tokio::test]
async fn the_same_seed_fills_the_same_and_rows_name_the_files() {
    let bench = bench().await;
    let digest = "SELECT md5(string_agg(e::text, '') || (SELECT string_agg(c::text, '') FROM (SELECT * FROM public.conventions ORDER BY id) AS c)) FROM (SELECT * FROM public.evenements ORDER BY id) AS e";
    bench.psql("app", "estate", &sql(Size::Small, 5)).await;
    bench.psql("app", "copy", &sql(Size::Small, 5)).await;
    assert_eq!(bench.psql("app", "estate", digest).await, bench.psql("app", "copy", digest).await);
    let listed = bench
        .psql("app", "estate", "SELECT object_key || '|' || taille FROM public.documents ORDER BY id")
        .await;
    let files: Vec<String> = documents(Size::Small, 5)
        .skip(documents::ORPHANS)
        .map(|document| format!("{}|{}", document.key, document.bytes.len()))
        .collect();
    assert_eq!(listed, files.join("\n"));
    bench.cluster.stop().await;
}

#[tokio::test]
async fn each_damage_is_found_where_it_is_said_to_be_found() {
    let bench = bench().await;
    bench.psql("app", "estate", &sql(Size::Small, 1)).await;
    let good = corrupt::pack("20261120010000_estate.pgsql", &bench.dump().await).unwrap();
    let inside = |archive: &[u8]| corrupt::unpack(archive).unwrap().1;
    assert_eq!(bench.judged(&inside(&good)).await, (true, true));
    for (name, bad, judged) in [
        ("flip", corrupt::flip_data(&good).unwrap(), (true, false)),
        ("cut", corrupt::cut_dump(&good).unwrap(), (true, false)),
        ("toc", corrupt::bad_toc(&good).unwrap(), (false, false)),
        ("new", corrupt::too_new(&good).unwrap(), (false, false)),
        ("empty", corrupt::empty_dump(&good).unwrap(), (false, false)),
        ("plain", corrupt::plain_sql(&good).unwrap(), (false, false)),
    ] {
        assert_eq!(bench.judged(&inside(&bad)).await, judged, "{name}");
    }
    bench.cluster.stop().await;
}

#[tokio::test]
async fn what_no_reader_of_the_file_finds_a_restore_or_a_count_does() {
    let bench = bench().await;
    bench.psql("app", "estate", &sql(Size::Small, 1)).await;
    let counts = bench.counts("estate").await;
    let good = corrupt::pack("20261120010000_estate.pgsql", &bench.dump().await).unwrap();
    let inside = |archive: &[u8]| corrupt::unpack(archive).unwrap().1;
    let restored = async |dump: &[u8]| {
        for sql in [
            "SELECT lo_unlink(oid) FROM pg_largeobject_metadata",
            "DROP SCHEMA IF EXISTS audit CASCADE",
            "DROP SCHEMA public CASCADE; CREATE SCHEMA public",
        ] {
            bench.psql(bench.cluster.superuser(), "copy", sql).await;
        }
        let file = bench.write(dump).await;
        let words = ["--no-owner", "--no-privileges", "-d", "copy", file.to_str().unwrap()];
        let output = bench.run("pg_restore", bench.cluster.superuser(), &words, "").await;
        bench.psql(bench.cluster.superuser(), "copy", "GRANT USAGE ON SCHEMA public, audit TO app; GRANT SELECT ON ALL TABLES IN SCHEMA public, audit TO app").await;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        // The fresh `public` above stands in the way of the dump's own.
        let said: Vec<_> = said
            .lines()
            .filter(|line| line.contains("error:") && !line.contains("schema \"public\" already"))
            .map(str::to_owned)
            .collect();
        (said, bench.counts("copy").await)
    };

    // Nothing but the compression is another.
    let plain = dump::Dump::of(&inside(&good)).unwrap().uncompressed();
    let file = bench.write(&plain).await;
    let listed = bench.run("pg_restore", "app", &["-l", file.to_str().unwrap()], "").await;
    assert!(String::from_utf8_lossy(&listed.stdout).contains("Compression: 0"), "{listed:?}");
    assert_eq!(restored(&plain).await, (Vec::new(), counts.clone()));

    let flipped = inside(&corrupt::flip_uncompressed(&good).unwrap());
    assert_eq!((bench.judged(&flipped).await, flipped.len()), ((true, true), plain.len()));
    let (said, there) = restored(&flipped).await;
    assert!(said.iter().any(|line| line.contains("COPY failed")) && there != counts, "{said:?}");

    let empty = inside(&corrupt::schema_only(&good).unwrap());
    assert_eq!(bench.judged(&empty).await, (true, true));
    let (said, there) = restored(&empty).await;
    assert_eq!(said, Vec::<String>::new());
    assert!(there.len() == counts.len() && there.iter().all(|(_, count)| *count == 0), "{there:?}");
    bench.cluster.stop().await;
}

async fn said(dir: &Path, words: &[&str]) -> String {
    let output = Command::new("git").args(words).current_dir(dir).output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn the_code_is_a_repository_that_clones_and_builds() {
    let dir = tempfile::tempdir().unwrap();
    let bare = dir.path().join("code/apilos.git");
    let commit = code_repository(&bare).await.unwrap();
    assert_eq!(
        commit,
        code_repository(&dir.path().join("again.git")).await.unwrap(),
        "the same content, the same id"
    );
    let url = format!("file://{}", bare.display());
    said(dir.path(), &["clone", "--quiet", &url, "work"]).await;
    let work = dir.path().join("work");
    assert_eq!(said(&work, &["rev-parse", "HEAD"]).await.trim(), commit);
    let built = Command::new(work.join("bin/build")).env("SOURCE_VERSION", &commit).output().await.unwrap();
    assert!(built.status.success());
    assert_eq!(std::fs::read_to_string(work.join("REVISION")).unwrap().trim(), commit);
    let template = std::fs::read_to_string(work.join(".env.template")).unwrap();
    for line in
        ["SECRET_KEY=", "SENDINBLUE_API_KEY=\n", "# AWS_ACCESS_KEY_ID=", "JWT_SIGN_KEY=\n", "REDIS_URL="]
    {
        assert!(template.contains(line), "{line}");
    }
}
