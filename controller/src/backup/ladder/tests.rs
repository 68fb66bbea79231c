//! Whole climbs in a real PostgreSQL, of what no count shows.

use std::io::Write as _;
use std::process::Command;

use futures::stream;

use super::*;
use crate::backup::checks::{CodeLevel, Expectation};
use crate::backup::contents::Scanner;
use crate::backup::lab::{Lab, lab};
use crate::providers::git::{Repository, Source};

/// Takes a dump of `database` up, bare: what is well with it ends as unsealed.
async fn climbed(lab: &Lab, database: &str, code: &Code) -> (Climb, Target) {
    asked(lab, database, code, &[]).await
}

async fn asked(lab: &Lab, database: &str, code: &Code, questions: &[DataCheck]) -> (Climb, Target) {
    let target = lab.target().await;
    let superuser = lab.superuser(&target);
    (tried(lab, database, (&target, Some(&superuser)), code, questions).await, target)
}

/// The same as on somebody else's server, where nobody is a superuser.
async fn tried_elsewhere(lab: &Lab, database: &str) -> Climb {
    let target = lab.target().await;
    tried(lab, database, (&target, None), &Code::Known(Vec::new()), &[]).await
}

async fn tried(
    lab: &Lab,
    database: &str,
    (target, superuser): (&Target, Option<&Target>),
    code: &Code,
    questions: &[DataCheck],
) -> Climb {
    let dump = lab.dump(database, &[]);
    tried_with(lab, &dump, (target, superuser), code, questions).await
}

async fn tried_file(lab: &Lab, dump: &Path, whose: (&Target, Option<&Target>)) -> Climb {
    tried_with(lab, dump, whose, &Code::Known(Vec::new()), &[]).await
}

async fn tried_with(
    lab: &Lab,
    dump: &Path,
    (target, superuser): (&Target, Option<&Target>),
    code: &Code,
    questions: &[DataCheck],
) -> Climb {
    let bytes = std::fs::read(dump).expect("the dump");
    let scratch = Scratch {
        target,
        superuser,
        jobs: 2,
        work_dir: lab.folder.path(),
        application: "test",
        questions,
        question_limit: Duration::from_secs(2),
        structure_limit: Duration::from_mins(1),
        code,
    };
    let expect = Expect { download_bytes: None, max_dump_bytes: u64::MAX };
    let body = stream::iter([Ok::<_, std::io::Error>(Bytes::from(bytes))]);
    let file = dump.with_extension("received");
    let (recorded, never) = (Recorded::default(), CancellationToken::new());
    Box::pin(climb(&lab.tools, body, expect, &recorded, &file, scratch, &never)).await
}

#[tokio::test]
async fn without_a_superuser_what_anybody_may_make_is_proven_and_that_nobody_looked_inside_is_told() {
    let lab = lab().await;
    let climb = tried_elsewhere(&lab, &lab.shop().await).await;
    assert!(matches!(climb.halt, Some(Halt::Unsealed)), "{:?}", climb.halt);
    let told = climb.structure.expect("it was tried").to_string();
    assert!(told.starts_with("indexes and tables were not looked into: permission denied"), "{told}");
}

#[tokio::test]
async fn without_a_superuser_what_only_he_may_make_says_nothing_of_the_backup() {
    let lab = lab().await;
    for (sql, lacks) in [
        ("CREATE EXTENSION pageinspect", "the making of the extension \"pageinspect\""),
        ("CREATE FUNCTION public.f() RETURNS void LANGUAGE sql LEAKPROOF AS ''", "the right to "),
    ] {
        let climb = tried_elsewhere(&lab, &lab.source(sql).await).await;
        assert!(matches!(climb.halt, Some(Halt::Incomplete(_))), "{sql}: {:?}", climb.halt);
        let told = climb.unoffered.join(", ");
        assert!(!climb.is_conclusive() && told.contains(lacks), "{sql}: {told}");
    }
}

#[tokio::test]
async fn roles_are_made_on_nobody_s_server_and_their_policies_are_left_out_and_counted() {
    let lab = lab().await;
    let role = format!("lecteur_{}", rand::random::<u32>());
    let policy = format!(
        "CREATE ROLE {role}; CREATE TABLE public.a (x integer); ALTER TABLE public.a ENABLE ROW LEVEL SECURITY;
         CREATE POLICY p ON public.a TO {role} USING (true)"
    );
    let source = lab.source(&policy).await;
    let (dump, target) = (lab.dump(&source, &[]), lab.target().await);
    lab.execute(&source, &format!("DROP POLICY p ON public.a; DROP ROLE {role}")).await;
    let climb = tried_file(&lab, &dump, (&target, None)).await;
    let named = climb.counts.as_ref().is_some_and(|counts| counts.roles.contains(&role));
    assert!(named && matches!(climb.halt, Some(Halt::Unsealed)), "{:?}", climb.halt);
    let benign = climb.account.expect("an account").benign();
    assert_eq!(benign.get(&crate::backup::accounting::Rule::RoleMissing), Some(&1));
    let there = format!("SELECT count(*) FROM pg_roles WHERE rolname = '{role}'");
    let there: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(there))
        .fetch_one(&mut lab.connect("postgres").await)
        .await
        .expect("a count");
    assert_eq!(there, 0);
}

/// A view that takes its time in the target alone.
const SLOW: &str = "
    CREATE FUNCTION public.lent() RETURNS int LANGUAGE plpgsql AS
      'begin if current_database() like ''target%'' then perform pg_sleep(600); end if; return 1; end';
    CREATE TABLE public.a AS SELECT n FROM generate_series(1, 200) AS n;
    CREATE MATERIALIZED VIEW public.b AS SELECT public.lent() AS n;";

#[tokio::test]
async fn a_connection_that_is_lost_in_the_middle_says_nothing_of_the_backup() {
    let lab = lab().await;
    let source = lab.source(SLOW).await;
    let target = lab.target().await;
    let code = Code::Known(Vec::new());
    let mut climbing = Box::pin(tried(&lab, &source, (&target, None), &code, &[]));
    let cutting = async {
        let mut session = lab.connect("postgres").await;
        let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
             WHERE datname = $1 AND EXISTS (SELECT FROM pg_stat_activity WHERE datname = $1 AND query LIKE 'REFRESH%')";
        loop {
            let cut: i64 = sqlx::query_scalar(cut)
                .bind(&target.database)
                .fetch_one(&mut session)
                .await
                .expect("a count");
            if cut > 0 {
                return;
            }
        }
    };
    tokio::select! {
        climb = &mut climbing => panic!("it was not cut: {:?}", climb.halt),
        () = cutting => {}
    }
    let climb = climbing.await;
    let halt = climb.halt.as_ref().expect("it was cut");
    assert!(!halt.blames_backup() && !climb.is_conclusive(), "{halt:?}");
}

#[tokio::test]
async fn an_index_that_answers_wrong_is_found_and_the_look_leaves_nothing() {
    let lab = lab().await;
    let unsteady = "
        CREATE FUNCTION public.unsteady(t text) RETURNS float LANGUAGE plpgsql IMMUTABLE AS 'begin return random(); end';
        CREATE TABLE public.people (name text PRIMARY KEY);
        INSERT INTO public.people SELECT 'N' || n FROM generate_series(1, 200) AS n;
        CREATE INDEX people_unsteady ON public.people (public.unsteady(name));";
    let (climb, target) = climbed(&lab, &lab.source(unsteady).await, &Code::Known(Vec::new())).await;
    let Some(Halt::Unsound(findings)) = &climb.halt else { panic!("{:?}", climb.halt) };
    let [Finding::IndexDamaged { index, .. }] = findings.as_slice() else { panic!("{findings:?}") };
    assert_eq!((index.to_string().as_str(), climb.rung), ("public.people_unsteady", Rung::Restored));
    assert_eq!(climb.halt.as_ref().map(Halt::reason), Some("index-damaged"));
    let seen = climb.structure.expect("there was a look").to_string();
    assert!(seen.contains("2 of 2 b-tree indexes and 1 of 1 tables"), "{seen}");
    let extensions: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_extension WHERE extname <> 'plpgsql'")
        .fetch_one(&mut lab.connect(&target.database).await)
        .await
        .expect("a count");
    assert_eq!(extensions, 0);
}

/// The migrations of a repository whose newest commit has these files.
async fn code(files: &[&str]) -> Code {
    let (folder, cache) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let git = |arguments: &[&str]| {
        let mut git = Command::new("git");
        for who in ["AUTHOR", "COMMITTER"] {
            git.env(format!("GIT_{who}_NAME"), "a").env(format!("GIT_{who}_EMAIL"), "a@example.org");
        }
        let done = git.current_dir(folder.path()).args(arguments).output().expect("git");
        assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    };
    git(&["init", "--quiet", "-b", "main"]);
    for file in files {
        let path = folder.path().join(file);
        std::fs::create_dir_all(path.parent().expect("below the repository")).expect("a folder");
        std::fs::write(path, "").expect("a file");
    }
    git(&["add", "."]);
    git(&["commit", "--quiet", "-m", "all"]);
    let repository = Repository::open(&cache.path().join("code.git")).await.expect("a repository");
    let url = folder.path().to_string_lossy().into_owned();
    let source = Source { url, token: None, extra_ca_pem: None };
    let commit = repository.fetch(&source, "main").await.expect("fetched");
    let paths = repository.paths(&commit, 1 << 20).await.expect("a tree");
    Code::Known(vec![CodeLevel::of_tree("shop", paths.iter().map(String::as_str))])
}

#[tokio::test]
async fn a_database_that_newer_code_has_changed_is_not_asserted_with_the_older() {
    let lab = lab().await;
    let source = lab
        .source(
            "CREATE TABLE public.django_migrations (id serial PRIMARY KEY, app varchar(255), name varchar(255));
             INSERT INTO public.django_migrations (app, name) VALUES ('auth', '0012_last'), ('orders', '0001_initial'),
               ('orders', '0002_more');",
        )
        .await;
    let (old, new) = ("shop/orders/migrations/0001_initial.py", "shop/orders/migrations/0002_more.py");

    let (climb, _) = climbed(&lab, &source, &code(&[old, "manage.py"]).await).await;
    let Some(halt @ Halt::Ahead(ahead)) = &climb.halt else { panic!("{:?}", climb.halt) };
    assert_eq!((ahead[0].label.as_str(), ahead[0].migration.as_str()), ("orders", "0002_more"));
    assert_eq!((climb.rung, halt.reason(), climb.is_conclusive()), (Rung::Restored, "code-behind", true));
    assert!(!halt.blames_backup() && halt.to_string().contains("orders 0002_more"), "{halt}");

    let (climb, _) = climbed(&lab, &source, &code(&[old, new, "manage.py"]).await).await;
    assert!(matches!(climb.halt, Some(Halt::Unsealed)), "{:?}", climb.halt);
    let told = climb.migrations.expect("they were compared").to_string();
    assert_eq!(told, "migrations: the code is as new as the 2 applied of its own; not of this code: auth");

    // A code host that does not answer keeps no backup from being proven.
    let (climb, _) = climbed(&lab, &source, &Code::Unknown("no line".to_owned())).await;
    assert!(matches!(climb.halt, Some(Halt::Unsealed)), "{:?}", climb.halt);
}

#[tokio::test]
async fn a_question_that_does_not_hold_at_once_is_asked_again_with_statistics() {
    let lab = lab().await;
    let source =
        lab.source("CREATE TABLE public.people AS SELECT n AS id FROM generate_series(1, 300) AS n").await;
    let code = Code::Known(Vec::new());
    let known =
        question("SELECT count(*) FROM pg_stats WHERE tablename = 'people'", Expectation::AtLeast(1.0));
    let (climb, _) = asked(&lab, &source, &code, &[known]).await;
    assert!(matches!(climb.halt, Some(Halt::Unsealed)), "{:?}", climb.halt);
    let wrong = question("SELECT count(*) FROM public.people", Expectation::AtLeast(301.0));
    let (climb, _) = asked(&lab, &source, &code, &[wrong]).await;
    assert!(matches!(&climb.halt, Some(Halt::Answers(wrong)) if wrong.len() == 1), "{:?}", climb.halt);
}

fn question(sql: &str, expectation: Expectation) -> DataCheck {
    DataCheck { name: "people".to_owned(), sql: sql.to_owned(), expectation }
}

#[tokio::test]
async fn a_question_finds_its_table_as_the_application_does() {
    let lab = lab().await;
    let source = lab.source("CREATE TABLE public.people AS SELECT generate_series(1, 3) AS id").await;
    let bare = question("SELECT count(*) FROM people", Expectation::Equals("3".to_owned()));
    let (climb, _) = asked(&lab, &source, &Code::Known(Vec::new()), &[bare]).await;
    assert!(matches!(climb.halt, Some(Halt::Unsealed)), "{:?}", climb.halt);
}

#[tokio::test]
async fn a_question_that_cannot_be_asked_is_no_fault_of_the_backup_and_no_proof() {
    let lab = lab().await;
    let source = lab.source("CREATE TABLE public.people AS SELECT generate_series(1, 3) AS id").await;
    let code = Code::Known(Vec::new());
    for (sql, conclusive, told) in [
        ("SELECT count(*) FROM peopel", true, "people (an error: relation \"peopel\" does not exist)"),
        ("SELEC 1", true, "people (an error: syntax error"),
        ("SELECT pg_sleep(600)", false, "statement timeout"),
    ] {
        let (climb, _) = asked(&lab, &source, &code, &[question(sql, Expectation::Present)]).await;
        let Some(halt @ Halt::Unasked(_)) = &climb.halt else { panic!("{sql}: {:?}", climb.halt) };
        assert_eq!((climb.rung, climb.is_conclusive()), (Rung::Restored, conclusive), "{sql}");
        assert!(!halt.blames_backup() && halt.to_string().contains(told), "{halt}");
    }
    let divided = question("SELECT 1 / (count(*) - 3) FROM people", Expectation::Present);
    let (climb, _) = asked(&lab, &source, &code, &[divided]).await;
    assert!(matches!(climb.halt, Some(Halt::Answers(_))), "{:?}", climb.halt);
}

/// Names from a to z, among which a B is in French, and not in C.
const SORTED: &str = "
    CREATE TABLE public.nom (nom text NOT NULL) PARTITION BY RANGE (nom);
    CREATE TABLE public.nom_az PARTITION OF public.nom FOR VALUES FROM ('a') TO ('z');
    INSERT INTO public.nom VALUES ('Bernard'), ('claude');";

#[tokio::test]
async fn what_only_the_source_s_locale_takes_says_nothing_of_the_backup() {
    let lab = lab().await;
    let french = "LOCALE_PROVIDER icu ICU_LOCALE 'fr-FR' TEMPLATE template0";
    let source = lab.source_in(french, SORTED).await;
    let (climb, _) = climbed(&lab, &source, &Code::Known(Vec::new())).await;
    assert!(matches!(climb.halt, Some(Halt::Incomplete(_))), "{:?}", climb.halt);
    assert_eq!(climb.unoffered, ["the locale fr-FR, by which the texts of public.nom_az are compared"]);
    assert!(!climb.is_conclusive());
    assert_eq!(climb.locale.expect("the dump tells it").to_string(), "fr-FR");
}

#[tokio::test]
async fn in_the_source_s_own_locale_a_misplaced_text_is_the_backup_s_fault() {
    let lab = lab().await;
    let misplaced = "CREATE TABLE public.a (nom text); INSERT INTO public.a VALUES ('z');
        ALTER TABLE public.a ADD CONSTRAINT tot CHECK (nom < 'b') NOT VALID;
        UPDATE pg_constraint SET convalidated = true WHERE conname = 'tot'";
    let (climb, _) = climbed(&lab, &lab.source(misplaced).await, &Code::Known(Vec::new())).await;
    assert!(matches!(climb.halt, Some(Halt::Incomplete(_))), "{:?}", climb.halt);
    assert!(climb.is_conclusive() && climb.unoffered.is_empty(), "{:?}", climb.unoffered);
}

/// What is read of these bytes while they come.
async fn early(lab: &Lab, bytes: Vec<u8>) -> (Option<Toc>, Option<Scanner>) {
    let (reading, mut dump) = EarlyReading::begin(&lab.tools).expect("begun");
    assert_eq!(dump.len(), 2, "its head and its whole are read apart");
    let mut write = move |piece: &[u8]| dump.retain_mut(|dump| dump.write_all(piece).is_ok());
    tokio::task::spawn_blocking(move || bytes.chunks(1000).for_each(&mut write)).await.expect("written");
    reading.finish().await
}

#[tokio::test]
async fn what_is_read_as_it_comes_is_what_the_file_holds_and_nothing_is_told_of_what_is_broken() {
    let lab = lab().await;
    let dump = lab.dump(&lab.shop().await, &[]);
    let (toc, counts) = lab.contents(&dump).await;
    let bytes = std::fs::read(&dump).expect("the dump");
    let (listed, scanned) = early(&lab, bytes.clone()).await;
    assert_eq!((listed.as_ref(), early_counts(scanned, &toc)), (Some(&toc), Some(counts)));
    let (listed, scanned) = early(&lab, bytes[..bytes.len() - 40].to_vec()).await;
    assert_eq!((listed.as_ref(), early_counts(scanned, &toc)), (Some(&toc), None), "its head was whole");
    let (listed, scanned) = early(&lab, bytes[..200].to_vec()).await;
    assert_eq!((listed, early_counts(scanned, &toc)), (None, None));
    let (listed, scanned) = early(&lab, b"no dump at all".to_vec()).await;
    assert_eq!((listed, early_counts(scanned, &toc)), (None, None));
    let (other, _) = lab.contents(&lab.dump(&lab.source("CREATE TABLE public.other ()").await, &[])).await;
    assert_eq!(early_counts(early(&lab, bytes).await.1, &other), None, "another table of contents");
}
