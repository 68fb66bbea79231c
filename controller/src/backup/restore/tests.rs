//! Real restores into real databases: what went well is proven, what went wrong is found.

use std::path::Path;
use std::time::Duration;

use sqlx::Connection as _;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::backup::accounting::{Account, Fate, Rule, account};
use crate::backup::checks::{
    DataCheck, Expectation, Finding, Severity, analyze, compare, grant_readonly, integrity, observe,
    occupancy, readonly_gaps, run_data_checks,
};
use crate::backup::lab::{Lab, lab};

struct Restored {
    counts: Counts,
    selection: Selection,
    report: Report,
    account: Account,
    progress: Progress,
}

async fn select(lab: &Lab, toc: &Toc, target: &Target, ours: bool) -> Result<Selection, RestoreError> {
    let found = occupancy(&mut lab.owner(target).await).await.expect("a look");
    Selection::new(toc, &found, ours)
}

async fn restored(lab: &Lab, file: &Path, target: &Target, ours: bool) -> Restored {
    let (toc, counts) = lab.contents(file).await;
    let selection = select(lab, &toc, target, ours).await.expect("a target");
    let last = std::cell::Cell::new(Progress::default());
    let order = order(lab, file, &toc, &counts, &selection, target);
    let report = restore(&lab.tools, order, &CancellationToken::new(), |progress| last.set(progress))
        .await
        .expect("a restore that runs to its end");
    let observed = observe(&mut lab.owner(target).await, |_, _| {}).await.expect("a look");
    let account = account(&toc, &selection, &report, &counts, &observed);
    Restored { counts, selection, report, account, progress: last.get() }
}

fn order<'a>(
    lab: &'a Lab,
    file: &'a Path,
    toc: &'a Toc,
    counts: &'a Counts,
    selection: &'a Selection,
    target: &'a Target,
) -> Order<'a> {
    let application = target.database.as_str();
    Order { file, toc, counts, selection, target, jobs: 2, work_dir: lab.folder.path(), application }
}

async fn failures(lab: &Lab, target: &Target, restored: &Restored) -> Vec<&'static str> {
    let mut owner = lab.owner(target).await;
    let observed = observe(&mut owner, |_, _| {}).await.expect("a look");
    let mut findings = compare(&restored.counts, &observed);
    findings.extend(integrity(&mut owner).await.expect("a look"));
    let failures = findings.iter().filter(|finding| finding.severity(&restored.counts) == Severity::Failure);
    failures.map(Finding::reason).collect()
}

#[tokio::test]
async fn every_entry_of_a_whole_restore_is_accounted_for() {
    let lab = lab().await;
    let dump = lab.dump(&lab.shop().await, &[]);
    let target = lab.target().await;
    let restored = restored(&lab, &dump, &target, false).await;
    assert!(restored.account.is_complete(), "{}: {:?}", restored.account, restored.report);
    let unseen: Vec<_> = (restored.account.entries.iter())
        .filter(|entry| !matches!(entry.fate, Fate::Restored(crate::backup::accounting::Evidence::Observed)))
        .map(|entry| (entry.entry.kind.as_str(), entry.entry.name.as_str()))
        .collect();
    assert_eq!(unseen, [("COMMENT", "EXTENSION pg_trgm"), ("ACL", "TABLE commande")]);
    assert_eq!(
        restored.account.benign().keys().collect::<Vec<_>>(),
        [&Rule::ExtensionComment, &Rule::Privileges]
    );
    let progress = restored.progress;
    assert_eq!(progress.entries_done, progress.entries_total);
    assert_eq!((progress.rows_done, progress.rows_total), (5500, 5500));
    assert_eq!(failures(&lab, &target, &restored).await, [""; 0]);
    // So it was in the source: told, and no failure.
    let notices = integrity(&mut lab.owner(&target).await).await.expect("a look");
    assert_eq!(notices.iter().map(Finding::reason).collect::<Vec<_>>(), ["constraint-not-validated"]);
}

#[tokio::test]
async fn a_target_in_use_is_refused_unless_it_is_ours() {
    let lab = lab().await;
    let dump = lab.dump(&lab.shop().await, &[]);
    let target = lab.target().await;
    restored(&lab, &dump, &target, false).await;
    let (toc, _) = lab.contents(&dump).await;
    let refused = select(&lab, &toc, &target, false).await.expect_err("it is in use");
    assert!(matches!(refused, RestoreError::NotEmpty { .. }), "{refused}");
    let again = restored(&lab, &dump, &target, true).await;
    assert!(
        again.selection.replaces() && again.account.is_complete(),
        "{}: {:?}",
        again.account,
        again.report
    );
    assert_eq!(failures(&lab, &target, &again).await, [""; 0]);
}

/// A check that old rows do not meet, of a parent with more rows than its children have: before all rows are there it may be made between
/// two of the children.
const FAMILY: &str = "
    CREATE TABLE public.mesure (id integer);
    DO $$ begin for n in 1..8 loop
      execute format('CREATE TABLE public.mesure_%s () INHERITS (public.mesure)', n);
      execute format('INSERT INTO public.mesure_%s SELECT -i FROM generate_series(1, 3000) AS i', n);
    end loop; end $$;
    INSERT INTO public.mesure SELECT i FROM generate_series(1, 9000) AS i;
    ALTER TABLE public.mesure ADD CONSTRAINT positif CHECK (id > 0) NOT VALID;";

#[tokio::test]
async fn a_family_is_restored_over_itself_with_its_rows_before_its_checks() {
    let lab = lab().await;
    let dump = lab.dump(&lab.source(FAMILY).await, &[]);
    let target = lab.target().await;
    for ours in [false, true] {
        let restored = restored(&lab, &dump, &target, ours).await;
        assert_eq!(restored.selection.replaces(), ours);
        assert!(restored.account.is_complete(), "{ours}: {}: {:?}", restored.account, restored.report);
        assert_eq!(failures(&lab, &target, &restored).await, [""; 0]);
    }
}

#[tokio::test]
async fn an_attempt_that_was_cut_off_after_its_first_schema_is_in_nobodys_way() {
    let lab = lab().await;
    let shop = lab.shop().await;
    lab.execute(&shop, "CREATE SCHEMA audit CREATE TABLE trail (n int)").await;
    let dump = lab.dump(&shop, &[]);
    let target = lab.target().await;
    let mut owner = lab.owner(&target).await;
    sqlx::raw_sql("CREATE SCHEMA audit").execute(&mut owner).await.expect("it is left behind");
    assert!(occupancy(&mut owner).await.expect("a look").is_empty(), "a schema alone keeps nobody out");
    let restored = restored(&lab, &dump, &target, true).await;
    assert!(restored.account.is_complete(), "{}: {:?}", restored.account, restored.report);
    assert_eq!(failures(&lab, &target, &restored).await, [""; 0]);
}

#[tokio::test]
async fn a_single_large_object_or_function_makes_a_target_be_in_use() {
    let lab = lab().await;
    for sql in ["SELECT lo_create(0)", "CREATE FUNCTION public.f() RETURNS int LANGUAGE sql AS 'SELECT 1'"] {
        let target = lab.target().await;
        let empty = occupancy(&mut lab.owner(&target).await).await.expect("a look");
        assert!(empty.is_empty(), "{empty}");
        lab.execute(&target.database, "CREATE EXTENSION pg_trgm").await;
        let with_extension = occupancy(&mut lab.owner(&target).await).await.expect("a look");
        assert!(
            with_extension.is_empty() && with_extension.extensions.contains("pg_trgm"),
            "{with_extension}"
        );
        lab.execute(&target.database, sql).await;
        assert!(!occupancy(&mut lab.owner(&target).await).await.expect("a look").is_empty(), "{sql}");
    }
}

#[tokio::test]
async fn an_extension_of_the_platform_stands_in_nobody_s_way() {
    let lab = lab().await;
    let dump = lab.dump(&lab.shop().await, &[]);
    let target = lab.target().await;
    lab.execute(&target.database, "CREATE EXTENSION pg_trgm").await;
    let restored = restored(&lab, &dump, &target, false).await;
    assert!(restored.account.is_complete(), "{}", restored.account);
    assert_eq!(restored.report.errors, []);
}

/// A check that looks for its table by a bare name finds none under the empty search path of a restore.
const UNRESTORABLE: &str = "
    CREATE TABLE public.connus (nom text PRIMARY KEY);
    CREATE FUNCTION public.est_connu(n text) RETURNS boolean LANGUAGE plpgsql AS
      'begin return exists (select from connus where nom = n); end';
    INSERT INTO public.connus VALUES ('Zoé');
    CREATE TABLE public.invites (id serial PRIMARY KEY, nom text CHECK (public.est_connu(nom)));
    INSERT INTO public.invites (nom) VALUES ('Zoé'), ('Zoé');";

#[tokio::test]
async fn a_table_emptied_by_a_failed_copy_is_found() {
    let lab = lab().await;
    let dump = lab.dump(&lab.source(UNRESTORABLE).await, &[]);
    let target = lab.target().await;
    let restored = restored(&lab, &dump, &target, false).await;
    let missing: Vec<_> =
        restored.account.missing().map(|(entry, why)| (entry.path(), why.to_owned())).collect();
    assert_eq!(missing, [("public invites".to_owned(), "relation \"connus\" does not exist".to_owned())]);
    assert_eq!(restored.account.unattributed, [""; 0], "{:?}", restored.report);
    assert!(!restored.account.is_complete());
    assert_eq!(failures(&lab, &target, &restored).await, ["rows-differ"]);
}

#[tokio::test]
async fn an_extension_that_may_not_be_made_is_a_loss() {
    let lab = lab().await;
    let source = lab.source("CREATE EXTENSION pageinspect; CREATE TABLE public.a AS SELECT 1 AS x").await;
    let target = lab.target().await;
    let restored = restored(&lab, &lab.dump(&source, &[]), &target, false).await;
    let missing: Vec<_> = restored.account.missing().map(|(entry, _)| entry.kind.as_str()).collect();
    assert_eq!(missing, ["EXTENSION"]);
}

#[tokio::test]
async fn what_is_lost_after_the_restore_is_found() {
    let lab = lab().await;
    let dump = lab.dump(&lab.shop().await, &[]);
    let target = lab.target().await;
    let restored = restored(&lab, &dump, &target, false).await;
    for (damage, found) in [
        ("SELECT setval('public.commande_id_seq', 1)", ["sequence-differs", "sequence-behind"].as_slice()),
        ("SELECT setval('public.commande_id_seq', 2000)", &[]),
        ("DELETE FROM public.commande WHERE id = 7", &["rows-differ"]),
        ("DROP TABLE \"autre lieu\".vide", &["rows-differ", "table-absent"]),
        (
            "SELECT lo_unlink(min(oid)) FROM pg_largeobject_metadata",
            &["rows-differ", "table-absent", "large-objects-differ"],
        ),
    ] {
        lab.execute(&target.database, damage).await;
        let mut reasons = failures(&lab, &target, &restored).await;
        let mut expected = found.to_vec();
        reasons.sort_unstable();
        expected.sort_unstable();
        assert_eq!(reasons, expected, "{damage}");
    }
}

#[tokio::test]
async fn a_wrong_password_is_told_and_shown_nowhere() {
    let lab = lab().await;
    let dump = lab.dump(&lab.source("CREATE TABLE public.a (x int)").await, &[]);
    let mut target = lab.target().await;
    let (toc, counts) = lab.contents(&dump).await;
    let selection = select(&lab, &toc, &target, false).await.expect("an empty target");
    target.password = secrecy::SecretString::from("guessed-wrong");
    let order = order(&lab, &dump, &toc, &counts, &selection, &target);
    let error = restore(&lab.tools, order, &CancellationToken::new(), |_| {}).await.expect_err("no login");
    let told = format!("{error} {error:?} {target:?}");
    assert!(told.contains("authentication failed") && !told.contains("guessed"), "{told}");
}

/// An index that takes long enough to be interrupted.
const SLOW: &str = "
    CREATE FUNCTION public.lent(n int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS
      'begin if current_database() like ''target%'' then perform pg_sleep(0.5); end if; return n; end';
    CREATE TABLE public.a AS SELECT n FROM generate_series(1, 200) AS n;
    CREATE INDEX a_lent ON public.a (public.lent(n));";

#[tokio::test]
async fn a_cancelled_restore_leaves_no_session_behind() {
    let lab = lab().await;
    let dump = lab.dump(&lab.source(SLOW).await, &[]);
    let target = lab.target().await;
    let (toc, counts) = lab.contents(&dump).await;
    let selection = select(&lab, &toc, &target, false).await.expect("an empty target");
    let cancel = CancellationToken::new();
    let order = order(&lab, &dump, &toc, &counts, &selection, &target);
    let at_the_index = |progress: Progress| {
        if progress.entries_done + 1 == progress.entries_total {
            cancel.cancel();
        }
    };
    let began = Instant::now();
    let outcome = restore(&lab.tools, order, &cancel, at_the_index).await;
    assert!(matches!(outcome, Err(RestoreError::Cancelled)), "{outcome:?}");
    let mut watcher = lab.connect("postgres").await;
    loop {
        let sessions: i64 =
            sqlx::query_scalar("SELECT count(*) FROM pg_stat_activity WHERE application_name = $1")
                .bind(&target.database)
                .fetch_one(&mut watcher)
                .await
                .expect("a look");
        if sessions == 0 {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "{sessions} sessions are still there");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(began.elapsed() < Duration::from_secs(30), "the index alone takes 100 seconds");
}

#[tokio::test]
async fn the_read_only_user_reads_everything_and_writes_nothing() {
    let lab = lab().await;
    let target = lab.target().await;
    restored(&lab, &lab.dump(&lab.shop().await, &[]), &target, false).await;
    let reader = format!("Lecteur {}", target.database);
    lab.execute("postgres", &format!("CREATE ROLE \"{reader}\" LOGIN")).await;
    let mut owner = lab.owner(&target).await;
    let before = readonly_gaps(&mut owner, &reader).await.expect("a look");
    assert_eq!((before.unreadable.len(), before.writable.len()), (7, 0), "{before:?}");
    // As pg_repack and postgis_topology have them: a schema of the extension's own, which only a superuser may grant on.
    let foreign =
        "CREATE SCHEMA repack; CREATE TABLE repack.t (x int); CREATE TABLE public.of_extension (x int);
        ALTER EXTENSION pg_trgm ADD SCHEMA repack; ALTER EXTENSION pg_trgm ADD TABLE repack.t;
        ALTER EXTENSION pg_trgm ADD TABLE public.of_extension";
    lab.execute(&target.database, foreign).await;
    grant_readonly(&mut owner, &reader).await.expect("the grants");
    sqlx::query("CREATE TABLE public.plus_tard (x int)").execute(&mut owner).await.expect("a table");
    assert!(readonly_gaps(&mut owner, &reader).await.expect("a look").none());
    lab.execute(&target.database, &format!("GRANT DELETE ON public.commande TO \"{reader}\"")).await;
    let after = readonly_gaps(&mut owner, &reader).await.expect("a look");
    assert_eq!(after.writable.iter().map(ToString::to_string).collect::<Vec<_>>(), ["public.commande"]);
    owner.close().await.expect("closed");
}

fn check(name: &str, sql: &str, expectation: Expectation) -> DataCheck {
    DataCheck { name: name.to_owned(), sql: sql.to_owned(), expectation }
}

#[tokio::test]
async fn data_checks_read_and_cannot_write() {
    let lab = lab().await;
    let target = lab.target().await;
    restored(&lab, &lab.dump(&lab.shop().await, &[]), &target, false).await;
    let mut owner = lab.owner(&target).await;
    analyze(&mut owner, |_, _| {}).await.expect("statistics");
    let checks = [
        check("enough", "SELECT count(*) -- all\nFROM public.commande;", Expectation::AtLeast(2000.0)),
        check("too few", "SELECT count(*) FROM public.commande", Expectation::AtLeast(2001.0)),
        check("none", "SELECT 1 WHERE false", Expectation::Present),
        check("wrong", "SELECT * FROM public.absente", Expectation::Present),
        check("two", "SELECT 1; DELETE FROM public.commande", Expectation::Present),
        check("write", "SELECT setval('public.commande_id_seq', 1)", Expectation::Present),
        check(
            "unlock",
            "SELECT set_config('transaction_read_only', 'off', false)",
            Expectation::Equals("off".into()),
        ),
        check("slow", "SELECT pg_sleep(60)", Expectation::Present),
        check(
            "text",
            "SELECT nom FROM public.gais WHERE nom LIKE 'Łukasz%' ORDER BY nom",
            Expectation::Present,
        ),
        check(
            "analyzed",
            "SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND reltuples < 0",
            Expectation::AtMost(0.0),
        ),
    ];
    let limit = Duration::from_millis(500);
    let outcomes = run_data_checks(&mut owner, &checks, limit).await.expect("a connection");
    let holds: Vec<_> = outcomes.iter().filter(|o| o.holds).map(|o| o.name.as_str()).collect();
    assert_eq!(holds, ["enough", "text", "analyzed"], "{outcomes:#?}");
    assert_eq!((outcomes[0].found.as_str(), outcomes[2].found.as_str()), ("2000", "nothing"));
}
